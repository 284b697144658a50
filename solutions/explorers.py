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
from course_lib.explore import anchors_explorer, fcos_explorer, focal_loss_explorer, grid_explorer
from course_lib.explore import heatmap_explorer, iou_explorer, map_explorer, nms_explorer
from course_lib.explore import pyramid_explorer, roi_explorer

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
# **Anchors.** Every dot carries the same few boxes, and two of the eight objects have none that fits. Turn the size, the stride, the thresholds: what gives each object an anchor, and what takes it away again? Or draw a box of your own.

# %%
anchored = anchors_explorer()
anchored

# %% [markdown]
# **RoI pooling.** Drag the region over the feature map, then move it by tenths of a cell: which of the three methods jumps, and by how many pixels of the image has rounding moved the box? Try aligned = false.

# %%
region = roi_explorer()
region

# %% [markdown]
# **Focal loss.** A detector sees a thousand easy pieces of background for each hard object. Start at γ = 0, then turn γ up: which examples still count?

# %%
focal = focal_loss_explorer()
focal

# %% [markdown]
# **YOLO's grid.** Drag the dog across the cells, then one of the two boxes that its cell says: which of them answers, and what does it cost? Make the grid coarser until two objects fall into one cell.

# %%
gridded = grid_explorer()
gridded

# %% [markdown]
# **A pyramid.** Make the box smaller and larger: the levels hand it on from one to the next. Which boxes does no level take? What is lost without the pyramid?

# %%
levelled = pyramid_explorer()
levelled

# %% [markdown]
# **Locations instead of anchors.** Every dot is a location of FCOS. Choose one, and see how far it is to the four sides of its object and how central it lies. Then switch centre sampling off, then the level ranges: how many locations do two objects ask for at once, and which object gets them?

# %%
located = fcos_explorer()
located

# %% [markdown]
# **A heatmap of centres.** How far around a centre is nearly right? Turn the IoU that a box must keep, then compute the radius as the published programs do: what does the dashed box, which still counts as nearly right, have in common with the sheep?

# %%
peaked = heatmap_explorer()
peaked

# %% [markdown]
# **From Python.** All of them can be read and set: move something above, then run this cell. `overlap.boxes = ...`, `overlap.choose("nested")` or `focal.gamma = 0.5` move what you see.

# %%
print("boxes      ", overlap.boxes.tolist())
print("IoU, GIoU  ", round(overlap.iou, 3), round(overlap.giou, 3))
print("γ, α, loss ", focal.gamma, focal.alpha, focal.loss)
print("hard share ", focal.shares)
print("NMS        ", suppression.found, "of", len(suppression.truth), "found:", suppression.kept.tolist())
print("AP         ", round(judged.average_precision(), 3), judged.counts)
print("anchors    ", anchored.counts, "without a positive:", anchored.missed)
print("RoI        ", region.box, "rounded by up to", round(region.moved, 2), "cells:", region.pooled("pool").tolist(), region.pooled("align").tolist())
print("grid       ", "box", gridded.answers + 1, "answers; the loss:", *(f"{name} {value:.3f}" for name, value in gridded.loss._asdict().items()))
print("pyramid    ", {level: counts["positive"] for level, counts in levelled.counts.items()}, "positive anchors on each level")
print("locations  ", located.owned.tolist(), "for each object on each level; ambiguous:", {level: counts["ambiguous"] for level, counts in located.counts.items()}, "centre-ness here:", located.centerness)
print("heatmap    ", "radius", peaked.radius, "locations, worst IoU", round(peaked.worst, 3), "offset", peaked.offset.tolist())
