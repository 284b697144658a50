# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explorers
#
# Figures to play with: move something, and see the picture, the formula and the numbers change together.

# %%
from course_lib.explore import focal_loss_explorer, iou_explorer, map_explorer, nms_explorer

# %% [markdown]
# **Intersection over union.** Box A is where the face is, box B is what a detector said. Drag them, pull their corners, move them with the arrow keys: how much do they share, and what would a loss tell the detector?

# %%
overlap = iou_explorer()
overlap

# %% [markdown]
# **Non-maximum suppression.** A detector says every animal many times. Go through the steps, then turn the IoU threshold: which one finds both of the two sheep that stand close together, and nothing twice? Then try the soft methods.

# %%
suppression = nms_explorer()
suppression

# %% [markdown]
# **Average precision.** Eight pretended detectors, each with a fault of its own. Turn the score threshold and watch the point run along the curve; turn the IoU threshold and watch the curve fall.

# %%
judged = map_explorer()
judged

# %% [markdown]
# **Focal loss.** A detector sees a thousand easy pieces of background for each hard object. Start at γ = 0, then turn γ up: which examples still count?

# %%
focal = focal_loss_explorer()
focal

# %% [markdown]
# **From Python.** All of them can be read and set: move something above, then run this cell. `overlap.boxes = ...`, `overlap.choose("nested")` or `focal.gamma = 0.5` move what you see.

# %%
print("boxes      ", overlap.boxes.tolist())
print("IoU, GIoU  ", round(overlap.iou, 3), round(overlap.giou, 3))
print("γ, α, loss ", focal.gamma, focal.alpha, focal.loss)
print("hard share ", focal.shares)
print("NMS        ", suppression.found, "of", len(suppression.truth), "found:", suppression.kept.tolist())
print("AP         ", round(judged.average_precision(), 3), judged.counts)
