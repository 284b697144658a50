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
# # 01 · Intersection over union
#
# A detector looks at a photograph and says: *a face, here*, and draws a box. You know where the face really is. **How right was it?**
#
# One number answers this, and the whole field runs on it. It decides which detections count as correct, which of two overlapping boxes is thrown away, which training example is a positive, and it can be a loss itself. In this lesson you build that number and its whole family, from four coordinates up.
#
# **After this lesson you can**
#
# - say which box format you are holding, and turn each into the others;
# - compute the overlap of every box with every other box at once, without a loop;
# - do the same for masks;
# - explain why a detector cannot learn from IoU alone when boxes do not touch, and repair it three ways;
# - name the cases in which IoU misleads.
#
# You need Python and a little PyTorch (tensors, shapes, `backward`). Nothing about detection. Take 90 minutes.

# %% [markdown]
# **How to work.** Run the cells from the top (Shift+Enter). Where a function says `raise NotImplementedError`, it is your turn: replace that line. The cell below it checks your work at once and tells you what is wrong and why. Stuck? `hint("box_area")` opens a hint, once more opens the next. The check cells are fixed; all the other cells are yours to play with.
#
# | | you write | points |
# |---|---|---|
# | 1 | `box_convert` | 2 |
# | 2 | `box_area` | 1 |
# | 3 | `box_iou` | 4 |
# | 4 | `mask_iou` | 2 |
# | 5 | `generalized_box_iou` | 3 |
# | 6 | `distance_box_iou` | 2 |
# | 7 | `complete_box_iou` | 1 |
# | 8 | `iou_loss` | 1 |
# | | four questions at the end | 4 |

# %%
import math
import time

import matplotlib.pyplot as plt
import torch
from skimage import data

from autograde import check, hint
from course_lib import boxes as library
from course_lib import draw
from course_lib.explore import iou_explorer

astronaut, coffee = data.astronaut(), data.coffee()

# %% [markdown]
# ## See it
#
# The blue box A is where the face is. The orange-red box B is what a detector said. Drag B, pull its corners, or press Tab until it has the focus and use the arrow keys. Guess before you look:
#
# 1. Shift box B until you would call it *half right*. What is the IoU? Most people are surprised how low it is.
# 2. Press **nested**. The small box lies wholly inside the face. Is that a good detection?
# 3. Press **apart**, then bring B back towards A without touching it. IoU does not notice. The other numbers do, and so does one of the two curves below. You will build them all.
# 4. Switch to **Grid** and count squares: is the IoU right? Switch to **Masks**: which of its two numbers would you trust?

# %%
iou_explorer()

# %% [markdown]
# (Half right is an IoU of 1/3 for a box of the same size that covers half: the union grows as well. And a nested box that covers a third of the face has an IoU of a third, however neatly it sits inside.)
#
# How good is good? Here are three detections of the same face. A rule of thumb: 0.4 is poor, 0.7 is good, 0.9 is excellent; nobody draws two boxes by hand that agree much better than that.

# %%
face = torch.tensor([170.0, 52.0, 280.0, 192.0])
detections = [
    ("poor", torch.tensor([192.0, 92.0, 302.0, 232.0])),
    ("good", torch.tensor([180.0, 62.0, 290.0, 202.0])),
    ("excellent", torch.tensor([174.0, 52.0, 284.0, 192.0])),
]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for ax, (word, box) in zip(axes, detections):
    iou = library.box_iou(face[None], box[None]).item()
    both = torch.stack([face, box])
    draw.draw_boxes(astronaut, both, colors=[draw.TRUTH, draw.PREDICTION], ax=ax)
    ax.set(xlim=(110, 340), ylim=(250, 10), title=f"IoU {iou:.2f}: {word}")
draw.show(
    fig,
    "One face (blue), three detections (orange-red).",
    "Three copies of a portrait. The true box and a detected box overlap with IoU 0.40, 0.73, 0.93.",
)

# %% [markdown]
# ## A box is four numbers. Which four?
#
# Three conventions are in use, and mixing them up is the most common bug in detection code. It raises no error; the numbers are just wrong.
#
# - `xyxy`: left, top, right, bottom. **Ours, unless a name says otherwise.**
# - `xywh`: left, top, width, height. COCO's annotation files.
# - `cxcywh`: centre x, centre y, width, height. YOLO, and most networks' outputs.
#
# Here $y$ grows **downwards**, as image rows do. Boxes are *half-open*: they end where the next pixel begins. A box from $x_1=2$ to $x_2=5$ covers the pixels 2, 3 and 4, so its width is $x_2 - x_1 = 3$. No `+ 1` anywhere.

# %%
box = torch.tensor([[2.0, 1.0, 5.0, 3.0]])
fig, ax = plt.subplots(figsize=(4.6, 3), layout="constrained")
draw.draw_boxes(None, box, ax=ax, size=(5, 8), colors=[draw.TRUTH])
ax.set(xticks=range(9), yticks=range(6))
ax.grid(True, color="0.8")
ax.plot(3.5, 2, "o", color=draw.PREDICTION)
ax.annotate("(x1, y1) = (2, 1)", (2, 1), (0.1, 0.65), fontsize=9)
ax.annotate("(x2, y2) = (5, 3)", (5, 3), (5.15, 3.45), fontsize=9)
ax.annotate("centre (3.5, 2)", (3.5, 2), (2.55, 2.6), fontsize=9)
draw.show(
    fig,
    "One box, three names: xyxy (2, 1, 5, 3), xywh (2, 1, 3, 2), cxcywh (3.5, 2, 3, 2).",
    "A pixel grid with a box whose corners are (2, 1) and (5, 3) and whose centre is (3.5, 2).",
)

# %% [markdown]
# ### Exercise 1 · `box_convert`
#
# **By hand first.** The box `xyxy` = (20, 30, 60, 80) is 40 wide and 50 high, so
#
# | format | | | | |
# |---|---|---|---|---|
# | `xyxy` | 20 | 30 | 60 | 80 |
# | `xywh` | 20 | 30 | 40 | 50 |
# | `cxcywh` | 40 | 55 | 40 | 50 |
#
# Your function gets boxes of shape [N, 4] and the names of two formats. Every pair can come: nine in all, but you need far fewer pieces of code than that. Make new tensors; leave the caller's boxes as they are.

# %% solve="box_convert"
def box_convert(boxes, in_fmt, out_fmt):
    """Convert boxes [N, 4] from in_fmt to out_fmt: "xyxy", "xywh" or "cxcywh"."""
    ### BEGIN SOLUTION
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return torch.stack([a, b, c, d], dim=-1)
    ### END SOLUTION

# %% check="box_convert"
check("box_convert", box_convert)

# %% [markdown]
# A friend sends you annotations of this photograph as `cxcywh`. Your function puts them where they belong:

# %%
annotations = torch.tensor([
    [284.0, 100.0, 228.0, 172.0],
    [276.0, 214.0, 404.0, 340.0],
    [348.0, 238.0, 76.0, 182.0],
])
things = box_convert(annotations, "cxcywh", "xyxy")
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
draw.draw_boxes(coffee, things, labels=["cup", "saucer", "spoon"], ax=ax)
draw.show(
    fig,
    "Boxes converted by your code.",
    "A coffee cup on a saucer with a spoon, each in a labelled box.",
)

# %% [markdown]
# ### Exercise 2 · `box_area`
#
# **By hand first.** The box (20, 30, 60, 80) has the area (60 − 20) · (80 − 30) = 40 · 50 = 2,000 square pixels.
#
# From here on every function works on *many* boxes: [N, 4] in, [N] out. `boxes[:, 0]` is the left edge of every box at once. The line for other formats is written already: it uses your own `box_convert`.

# %% solve="box_area"
def box_area(boxes, fmt="xyxy"):
    """Areas [N] of boxes [N, 4] in square pixels."""
    if fmt != "xyxy":
        boxes = box_convert(boxes, fmt, "xyxy")
    ### BEGIN SOLUTION
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    ### END SOLUTION

# %% check="box_area"
check("box_area", box_area)

# %%
areas = box_area(annotations, fmt="cxcywh").tolist()
for name, area in zip(["cup", "saucer", "spoon"], areas):
    print(f"{name:>6}: {area:9,.0f} square pixels, {area / (400 * 600):5.1%} of the photograph")

# %% [markdown]
# ## Say it: overlap over union
#
# Why not just measure the distance between two boxes? Because ten pixels mean different things. Below, both detections are shifted by the same 10 pixels to the right and 10 down.

# %%
helmet = torch.tensor([285.0, 338.0, 507.0, 510.0])
badge = torch.tensor([278.0, 345.0, 326.0, 382.0])
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, box, name in zip(axes, [helmet, badge], ["helmet", "badge"]):
    moved = box + 10
    iou = library.box_iou(box[None], moved[None]).item()
    both = torch.stack([box, moved])
    draw.draw_boxes(astronaut, both, colors=[draw.TRUTH, draw.PREDICTION], ax=ax)
    ax.set(title=f"{name}: 10 pixels off, IoU {iou:.2f}")
axes[1].set(xlim=(240, 370), ylim=(430, 310))
draw.show(
    fig,
    "The same distance, two verdicts: 10 pixels are little for a helmet and much for a badge.",
    "Left a large helmet, right a small badge, each with a true box and one shifted by 10 pixels. "
    "The IoU is high for the helmet and low for the badge.",
)

# %% [markdown]
# A fair measure depends on the size of the object. So compare areas: the part both boxes **share** against all that they cover **together**.
#
# $$\text{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|} = \frac{I}{|A| + |B| - I}$$
#
# It is 1 for a perfect fit, 0 when nothing is shared, and the same for a photograph of any resolution. Statisticians call it the Jaccard index; the PASCAL VOC challenge made it the standard of detection.

# %%
A, B = torch.tensor([0.0, 0.0, 4.0, 4.0]), torch.tensor([2.0, 2.0, 6.0, 6.0])
fig, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
draw.draw_overlap(A, B, ax=ax)
draw.show(
    fig,
    "I = 2 · 2 = 4. The union is 16 + 16 − 4 = 28. IoU = 4/28 = 1/7.",
    "Box A from (0, 0) to (4, 4) and box B from (2, 2) to (6, 6) share the square (2, 2) to (4, 4).",
)

# %% [markdown]
# ### Exercise 3 · `box_iou`
#
# **By hand first**, with A = (0, 0, 4, 4) and B = (2, 2, 6, 6) from the picture. The overlap
#
# - begins at the **larger** of the two left edges: max(0, 2) = 2, and likewise at the top: max(0, 2) = 2;
# - ends at the **smaller** of the two right edges: min(4, 6) = 4, and at the bottom: min(4, 6) = 4.
#
# So it is 2 wide and 2 high. What do you get for A and C = (5, 7, 8, 9), which do not meet? Work it out on paper before you write code: the two "sides" you get are a trap.
#
# **All pairs at once.** With N boxes in one list and M in the other you want a table [N, M]: entry [n, m] is the IoU of `boxes1[n]` with `boxes2[m]`. PyTorch fills such a table by itself when the shapes are [N, 1] and [1, M]:

# %%
left1, left2 = torch.tensor([0.0, 5.0]), torch.tensor([2.0, 3.0, 9.0])
print(torch.maximum(left1[:, None], left2[None, :]))  # 2 rows, 3 columns: the larger of each pair

# %% [markdown]
# Two boxes without any area have no union, and 0/0 is not a number. By agreement their IoU is 0. Loops over pairs are right, too; broadcasting is hundreds of times faster.
#
# One rule from here on: compute with tensors from end to end, without `.tolist()`, `.item()` or numpy. Further down these functions become losses, and a gradient must be able to flow through them. The check tries that, too, and tells you without taking points.

# %% solve="box_iou"
def box_iou(boxes1, boxes2, fmt="xyxy"):
    """IoU [N, M] of every box in boxes1 [N, 4] with every box in boxes2 [M, 4]."""
    if fmt != "xyxy":
        boxes1, boxes2 = box_convert(boxes1, fmt, "xyxy"), box_convert(boxes2, fmt, "xyxy")
    ### BEGIN SOLUTION
    top_left = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])  # [N, M, 2]
    bottom_right = torch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])  # [N, M, 2]
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)  # [N, M]
    union = box_area(boxes1)[:, None] + box_area(boxes2)[None, :] - intersection
    return torch.where(union > 0, intersection / union.clamp(min=1e-9), 0)
    ### END SOLUTION

# %% check="box_iou"
check("box_iou", box_iou)

# %% [markdown]
# Now use it as a detector would: five detections, three true objects. Whose is whose?

# %%
truth = torch.tensor([
    [170.0, 52.0, 280.0, 192.0],
    [285.0, 338.0, 507.0, 510.0],
    [360.0, 0.0, 440.0, 290.0],
])
found = torch.tensor([
    [155.0, 40.0, 272.0, 186.0],
    [300.0, 350.0, 512.0, 505.0],
    [372.0, 10.0, 450.0, 250.0],
    [40.0, 180.0, 360.0, 510.0],
    [170.0, 90.0, 215.0, 120.0],
])
table = box_iou(found, truth)
names = ["face", "helmet", "shuttle"]
fig, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4), layout="constrained", width_ratios=[1.15, 1]
)
draw.draw_boxes(
    astronaut,
    torch.cat([truth, found]),
    labels=names + [f"{k}" for k in range(5)],
    colors=[draw.TRUTH] * 3 + [draw.PREDICTION] * 5,
    ax=left,
)
right.imshow(table, cmap="Blues", vmin=0, vmax=1)
right.set(xticks=range(3), xticklabels=names, yticks=range(5), ylabel="detection", title="IoU")
for n in range(5):
    for m in range(3):
        value = table[n, m].item()
        ink = "white" if value > 0.5 else "black"
        right.text(m, n, f"{value:.2f}", ha="center", va="center", color=ink)
draw.show(
    fig,
    "Your table. Detections 0, 1 and 2 have found something; 3 and 4 fit nothing well.",
    "A portrait with three true boxes and five detections, and the table of their IoU.",
)

# %% [markdown]
# ## Masks overlap, too
#
# Where a detector outlines objects pixel by pixel, a **mask** says for each pixel: object or not. The idea is the same. Intersection: pixels set in both. Union: pixels set in at least one. And masks see what boxes cannot:

# %%
y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
slash, backslash = (x - y).abs() < 4, (x + y - 39).abs() < 4
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3), layout="constrained")
axes[0].imshow(slash.float(), cmap="Blues", vmax=1.4)
axes[1].imshow(backslash.float(), cmap="Oranges", vmax=1.4)
for ax in axes:
    ax.set(xticks=[], yticks=[])
shared, either = (slash & backslash).sum().item(), (slash | backslash).sum().item()
draw.show(
    fig,
    f"Two thin things with the same box: box IoU 1.00. Their masks share {shared} of {either} "
    f"pixels: mask IoU {shared / either:.2f}.",
    "Two crossing diagonal stripes, each filling the same square from corner to corner.",
)

# %% [markdown]
# ### Exercise 4 · `mask_iou`
#
# **By hand first.** In a picture of 1 × 5 pixels let one mask be `1 1 1 0 0` and another `0 1 1 1 0`. They share 2 pixels and together set 4: IoU = 2/4 = 0.5. The pixel that neither sets does not count at all.
#
# N masks against M masks, each [H, W] of `True` and `False`; the answer is [N, M]. Two empty masks have IoU 0.

# %% solve="mask_iou"
def mask_iou(masks1, masks2):
    """IoU [N, M] of every mask in masks1 [N, H, W] with every mask in masks2 [M, H, W]."""
    ### BEGIN SOLUTION
    rows1, rows2 = masks1.flatten(1).double(), masks2.flatten(1).double()  # [N, H*W], [M, H*W]
    intersection = rows1 @ rows2.T  # [N, M]
    union = rows1.sum(1)[:, None] + rows2.sum(1)[None, :] - intersection
    return torch.where(union > 0, intersection / union.clamp(min=1), 0).float()
    ### END SOLUTION

# %% check="mask_iou"
check("mask_iou", mask_iou)

# %%
h, w = coffee.shape[:2]
y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
saucer = ((x - 278) / 200.0) ** 2 + ((y - 212) / 170.0) ** 2 < 1
bounding = torch.zeros_like(saucer)
bounding[42:382, 78:478] = True
guesses = {"the same, shifted": saucer.roll((20, 30), (0, 1)), "its bounding box": bounding}
values = [mask_iou(saucer[None], guess[None]).item() for guess in guesses.values()]
fig, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
for ax, value, (name, guess) in zip(axes, values, guesses.items()):
    ax.imshow(coffee)
    ax.contour(saucer.float(), [0.5], colors=draw.TRUTH, linewidths=2)
    ax.contour(guess.float(), [0.5], colors=draw.PREDICTION, linewidths=2)
    ax.set(title=f"{name}: mask IoU {value:.2f}", xticks=[], yticks=[])
draw.show(
    fig,
    "A rough mask of the saucer (blue) against two guesses (orange-red). "
    "A box round an ellipse can reach at most π/4 ≈ 0.79.",
    "A saucer outlined as an ellipse, compared with a shifted ellipse and with a rectangle.",
)

# %% [markdown]
# ## When boxes do not touch
#
# IoU is a fine judge and a poor teacher. Suppose a network should learn to put its box on the object, and 1 − IoU is the loss. Slide a box away from the object and watch:

# %%
target = torch.tensor([[100.0, 100.0, 160.0, 160.0]])
shift = torch.arange(0.0, 201.0, 2.0)
slid = target + shift[:, None] * torch.tensor([1.0, 0.0, 1.0, 0.0])
fig, ax = plt.subplots(figsize=(6.4, 2.9), layout="constrained")
iou = library.box_iou(slid, target)[:, 0]
giou = library.generalized_box_iou(slid, target)[:, 0]
ax.plot(shift, iou, color=draw.OVERLAP, lw=2.5, label="IoU")
ax.plot(shift, giou, color=draw.ENCLOSING, lw=2.5, ls="--", label="GIoU")
ax.axhline(0, color="0.7", lw=1)
ax.axvline(60, color="0.7", lw=1, ls=":")
ax.annotate("from here on the boxes\nno longer touch", (60, 0.55), (68, 0.55), fontsize=9)
ax.set(xlabel="shift in pixels (the box is 60 wide)", ylim=(-1, 1.05))
ax.legend(loc="lower left", frameon=False)
draw.show(
    fig,
    "Past 60 pixels IoU is flat: 0 however far away. "
    "A flat curve has no slope, and no slope means no learning.",
    "IoU falls from 1 to 0 at a shift of 60 pixels and stays 0. GIoU goes on falling below 0.",
)

# %% [markdown]
# The other curve goes on falling. It belongs to **GIoU** (Rezatofighi et al., 2019). The idea: put the smallest box $C$ round both. The emptier it is, the further apart they are.
#
# $$\text{GIoU} = \text{IoU} - \frac{|C| - |A \cup B|}{|C|}$$
#
# The fraction is the share of $C$ that neither box covers. It lies between 0 and 1, so GIoU lies between −1 and 1.

# %%
A, B = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0])
fig, ax = plt.subplots(figsize=(4.4, 2.2), layout="constrained")
draw.draw_overlap(A, B, ax=ax, enclosing=True)
draw.show(
    fig,
    "|C| = 12 and the union is 8, so a third of C is empty: GIoU = 0 − 4/12 = −1/3.",
    "Two squares of side 2 with a gap of 2, and the dashed box of 6 by 2 that encloses both.",
)

# %% [markdown]
# ### Exercise 5 · `generalized_box_iou`
#
# **By hand first**: check the numbers under the picture. Then try A = (0, 0, 4, 4) and B = (2, 2, 6, 6) again: C is (0, 0, 6, 6), the union 28, so GIoU = 1/7 − 8/36 ≈ −0.079. Overlapping boxes can have a negative GIoU.
#
# C begins at the smaller left edge and ends at the larger right edge. You need the union itself here, not only the IoU. (No `eps` is needed: the box around two real boxes always has an area.)

# %% solve="generalized_box_iou"
def generalized_box_iou(boxes1, boxes2):
    """GIoU [N, M] of every box in boxes1 [N, 4] with every box in boxes2 [M, 4]."""
    ### BEGIN SOLUTION
    iou = box_iou(boxes1, boxes2)  # [N, M]
    union = (box_area(boxes1)[:, None] + box_area(boxes2)[None, :]) / (1 + iou)
    top_left = torch.minimum(boxes1[:, None, :2], boxes2[None, :, :2])  # [N, M, 2]
    bottom_right = torch.maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])  # [N, M, 2]
    enclosing = (bottom_right - top_left).prod(dim=-1)  # [N, M]
    return iou - (enclosing - union) / enclosing
    ### END SOLUTION

# %% check="generalized_box_iou"
check("generalized_box_iou", generalized_box_iou)

# %% [markdown]
# Now let your two functions teach. A box starts far from the face, and we simply walk downhill on 1 − IoU and on 1 − GIoU:

# %%
def walk(similarity, start, goal, steps=800):
    """Move a box downhill on 1 - similarity; returns the boxes on the way [steps, 4]."""
    box = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([box], lr=2.0)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps)
    path = []
    for _ in range(steps):
        path.append(box.detach().clone())
        loss = (1 - similarity(box[None], goal[None])).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
    return torch.stack(path)


start = torch.tensor([330.0, 330.0, 430.0, 420.0])
losses = {"1 − IoU": box_iou, "1 − GIoU": generalized_box_iou}
paths = {name: walk(similarity, start, face) for name, similarity in losses.items()}
fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, (name, path) in zip(axes, paths.items()):
    both = torch.stack([face, path[-1]])
    draw.draw_boxes(astronaut, both, colors=[draw.TRUTH, draw.PREDICTION], ax=ax)
    trail = path[:320:40].tolist()
    for k, (x1, y1, x2, y2) in enumerate(trail):  # the later, the stronger
        corners = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
        ax.plot(*corners, color=draw.PREDICTION, lw=1.2, alpha=0.15 + 0.7 * k / len(trail))
    ax.set(xlim=(0, 512), ylim=(512, 0))
    end = library.box_iou(path[-1:], face[None]).item()
    ax.set_title(f"downhill on {name}: ends at IoU {end:.2f}")
draw.show(
    fig,
    "With IoU the box never moves: there is no slope to follow. "
    "With GIoU it stretches until it reaches the face, then draws itself in (early boxes are pale).",
    "Two portraits. On the left the detected box stays where it began. "
    "On the right a trail of boxes leads to the face.",
)

# %% [markdown]
# ## Nearer the centre, and of the right shape
#
# Look at the trail: the box grows until it covers the face, and only then shrinks. While it covers the face, C is the box itself and GIoU equals IoU: it no longer says in which *direction* to move.
#
# **DIoU** (Zheng et al., 2020) adds what a person would say: *your centre is too far to the left*. With $d$ the distance of the two centres and $c$ the diagonal of the enclosing box,
#
# $$\text{DIoU} = \text{IoU} - \frac{d^2}{c^2}.$$

# %%
big = torch.tensor([0.0, 0.0, 12.0, 8.0])
small = torch.tensor([[4.0, 2.0, 8.0, 6.0], [7.0, 4.0, 11.0, 8.0]])
fig, axes = plt.subplots(1, 2, figsize=(7, 2.7), layout="constrained")
for ax, inner in zip(axes, small):
    draw.draw_overlap(big, inner, ax=ax)
    ax.plot(*((big[:2] + big[2:]) / 2), "o", color=draw.TRUTH)
    ax.plot(*((inner[:2] + inner[2:]) / 2), "o", color=draw.PREDICTION)
    iou, giou, diou = (
        measure(big[None], inner[None]).item()
        for measure in (library.box_iou, library.generalized_box_iou, library.distance_box_iou)
    )
    ax.set_title(f"IoU {iou:.3f}   GIoU {giou:.3f}   DIoU {diou:.3f}", fontsize=10)
draw.show(
    fig,
    "For IoU and GIoU these two are equally good. DIoU prefers the one in the middle.",
    "A small box inside a large one, once centred and once in the corner.",
)

# %% [markdown]
# ### Exercise 6 · `distance_box_iou`
#
# **By hand first**, on the right-hand picture: the centres are (6, 4) and (9, 6), so $d^2 = 3^2 + 2^2 = 13$. The enclosing box is the large one, $c^2 = 12^2 + 8^2 = 208$. IoU = 16/96. DIoU = 16/96 − 13/208 ≈ 0.104, as the title says.
#
# Squares only: no root is needed. (`eps` is there in case both boxes are the same point.)

# %% solve="distance_box_iou"
def distance_box_iou(boxes1, boxes2, eps=1e-7):
    """DIoU [N, M] of every box in boxes1 [N, 4] with every box in boxes2 [M, 4]."""
    ### BEGIN SOLUTION
    centre1, centre2 = ((b[:, :2] + b[:, 2:]) / 2 for b in (boxes1, boxes2))
    distance = ((centre1[:, None] - centre2[None]) ** 2).sum(dim=-1)  # [N, M], squared
    top_left = torch.minimum(boxes1[:, None, :2], boxes2[None, :, :2])  # [N, M, 2]
    bottom_right = torch.maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])  # [N, M, 2]
    diagonal = ((bottom_right - top_left) ** 2).sum(dim=-1)  # [N, M], squared
    return box_iou(boxes1, boxes2) - distance / (diagonal + eps)
    ### END SOLUTION

# %% check="distance_box_iou"
check("distance_box_iou", distance_box_iou)

# %% [markdown]
# ### Exercise 7 · `complete_box_iou`
#
# One thing is still missing: a box may sit in the right place with the wrong *shape*. **CIoU**, from the same paper, compares the angles of the diagonals:
#
# $$v = \frac{4}{\pi^2}\Bigl(\arctan\frac{w_1}{h_1} - \arctan\frac{w_2}{h_2}\Bigr)^2, \qquad \alpha = \frac{v}{(1 - \text{IoU}) + v}, \qquad \text{CIoU} = \text{DIoU} - \alpha v.$$
#
# $v$ is 0 for equal shapes and approaches 1 for a lying needle against a standing one. $\alpha$ keeps it quiet while the boxes hardly overlap: first come near, then take shape.
#
# **By hand first.** A = (0, 0, 4, 4) and B = (0, 0, 4, 1): $w/h$ is 1 and 4. arctan 1 ≈ 0.785, arctan 4 ≈ 1.326, so $v ≈ 0.405 · 0.292 ≈ 0.118$. IoU = 4/16, $α ≈ 0.118/(0.75 + 0.118) ≈ 0.136$, and CIoU ≈ DIoU − 0.016 ≈ 0.164.
#
# In the paper $\alpha$ is a weight and not something to learn from: compute it inside `with torch.no_grad():`. `eps` keeps the divisions safe.

# %% solve="complete_box_iou"
def complete_box_iou(boxes1, boxes2, eps=1e-7):
    """CIoU [N, M] of every box in boxes1 [N, 4] with every box in boxes2 [M, 4]."""
    ### BEGIN SOLUTION
    iou, diou = box_iou(boxes1, boxes2), distance_box_iou(boxes1, boxes2, eps)
    size1, size2 = boxes1[:, 2:] - boxes1[:, :2], boxes2[:, 2:] - boxes2[:, :2]
    angle1 = torch.atan(size1[:, 0] / (size1[:, 1] + eps))  # [N]
    angle2 = torch.atan(size2[:, 0] / (size2[:, 1] + eps))  # [M]
    v = 4 / math.pi**2 * (angle1[:, None] - angle2[None, :]) ** 2  # [N, M]
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return diou - alpha * v
    ### END SOLUTION

# %% check="complete_box_iou"
check("complete_box_iou", complete_box_iou)

# %% [markdown]
# All four from the same unlucky start:

# %%
family = {
    "IoU": box_iou,
    "GIoU": generalized_box_iou,
    "DIoU": distance_box_iou,
    "CIoU": complete_box_iou,
}
paths = {name: walk(similarity, start, face) for name, similarity in family.items()}
colours = [draw.OVERLAP, draw.ENCLOSING, draw.PREDICTION, draw.TRUTH]
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
for (name, path), colour, style in zip(paths.items(), colours, ["-", "--", "-", ":"]):
    iou = library.box_iou(path, face[None])[:400, 0]
    ax.plot(iou, color=colour, ls=style, lw=2.5, label=name)
ax.set(xlabel="step", ylabel="IoU with the face", ylim=(-0.03, 1.03))
ax.legend(frameon=False)
draw.show(
    fig,
    "How fast each loss brings the box home. IoU never starts, and DIoU overtakes GIoU. "
    "CIoU lies on DIoU: shape is not the problem of this box.",
    "IoU with the face over 400 steps: a flat line at 0 for IoU; DIoU and CIoU rise before GIoU.",
)

# %% [markdown]
# ## IoU as a loss
#
# The first to train with IoU was **UnitBox** (Yu et al., 2016), and FCOS in lesson 09 does it again:
#
# $$L = -\ln \text{IoU}.$$
#
# Near a perfect fit it behaves like 1 − IoU. For a bad fit it is far stricter. And a large object counts no more than a small one, as it did when detectors were trained on squared errors of four coordinates.

# %%
values = torch.linspace(0.01, 1, 200)
fig, ax = plt.subplots(figsize=(5, 2.7), layout="constrained")
ax.plot(values, -values.log(), color=draw.PREDICTION, lw=2.5, label="−ln IoU")
ax.plot(values, 1 - values, color=draw.TRUTH, lw=2.5, ls="--", label="1 − IoU")
ax.set(xlabel="IoU", ylabel="loss")
ax.legend(frameon=False)
draw.show(
    fig,
    "The logarithm punishes a poor overlap much harder.",
    "Two falling curves that meet at IoU 1. The logarithm rises steeply towards IoU 0.",
)

# %% [markdown]
# ### Exercise 8 · `iou_loss`
#
# A loss compares prediction n with **its own** target n: row by row, [N, 4] and [N, 4] in, [N] out. No table this time.
#
# **By hand first.** IoU = 1/7 costs ln 7 ≈ 1.946. IoU = 1 costs 0. IoU = 0 would cost infinity, so keep IoU at `eps` or above before you take the logarithm: then it costs −ln 1e-7 ≈ 16.1.

# %% solve="iou_loss"
def iou_loss(boxes1, boxes2, eps=1e-7):
    """-ln(IoU) [N] of each pair: predicted boxes1 [N, 4] against targets boxes2 [N, 4]."""
    ### BEGIN SOLUTION
    iou = torch.diagonal(box_iou(boxes1, boxes2))
    return -iou.clamp(min=eps).log()
    ### END SOLUTION

# %% check="iou_loss"
check("iou_loss", iou_loss)

# %% [markdown]
# ## Break it
#
# Every measure has cases in which it misleads. Predict each column before you run the cell.

# %%
cases = {
    "the same box": ([0, 0, 10, 10], [0, 0, 10, 10]),
    "touching": ([0, 0, 10, 10], [10, 0, 20, 10]),
    "nested, a quarter": ([0, 0, 10, 10], [0, 0, 5, 5]),
    "nested, in the middle": ([0, 0, 10, 10], [2.5, 2.5, 7.5, 7.5]),
    "apart": ([0, 0, 10, 10], [30, 0, 40, 10]),
    "far apart": ([0, 0, 10, 10], [300, 0, 310, 10]),
    "same centre, other shape": ([0, 4, 10, 6], [4, 0, 6, 10]),
    "two points": ([0, 0, 0, 0], [5, 5, 5, 5]),
}
measures = {
    "IoU": library.box_iou,
    "GIoU": library.generalized_box_iou,
    "DIoU": library.distance_box_iou,
    "CIoU": library.complete_box_iou,
}
print(f"{'':26}" + "".join(f"{name:>8}" for name in measures))
for name, (a, b) in cases.items():
    pair = torch.tensor([a], dtype=torch.float32), torch.tensor([b], dtype=torch.float32)
    print(f"{name:26}" + "".join(f"{f(*pair).item():8.3f}" for f in measures.values()))

# %% [markdown]
# (Two points have no area and nothing in common: IoU 0, GIoU −1, as far apart as can be.) Three things to remember:
#
# - **IoU cannot tell touching from far apart**, nor where a nested box lies.
# - **Small objects are judged hard.** The same slip of a pixel or two is nothing to a large box and much to a tiny one (question 4 has the figures). This is one reason why detectors score worse on small objects.
# - **IoU knows nothing of what is inside the boxes.** Two thin objects that cross can share a box; in a crowd two people can overlap at IoU 0.6 and both be real. The next lesson starts there.

# %% [markdown]
# ## Use it
#
# The library has the same functions, polished: `course_lib.boxes`. A RetinaNet on a large photograph compares about 100,000 reference boxes with every object, in every training step. On how many pairs a second does the library come here, and how far does a plain Python loop get?

# %%
def some_boxes(count, device):
    corner = torch.rand(count, 2, device=device) * 500
    return torch.cat([corner, corner + 10 + torch.rand(count, 2, device=device) * 100], dim=1)


torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
many1, many2 = some_boxes(3000, device), some_boxes(3000, device)
library.box_iou(many1, many2)  # the first call warms up
started = time.perf_counter()
best = library.box_iou(many1, many2).max().item()  # .item() waits for the GPU to finish
library_seconds = time.perf_counter() - started

few1, few2 = many1[:30].tolist(), many2[:30].tolist()
started = time.perf_counter()
for a in few1:
    for b in few2:
        w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
        w * h / (area_a + area_b - w * h)
loop_seconds = (time.perf_counter() - started) / 900 * 9_000_000
print(f"9,000,000 pairs on {device}: {library_seconds:.3f} s with the library")
print(f"9,000,000 pairs in a Python loop: about {loop_seconds:.0f} s")

# %% [markdown]
# ## Review
#
# Four questions, a point each. The check only looks at the form of your answer; it is marked when you hand in. Use your functions, or paper.
#
# **Question 1.** Two squares of the same size. One is shifted to the right by exactly half its side. What is their IoU? (A number.)

# %% solve="half_shifted"
### BEGIN SOLUTION
half_shifted = 1 / 3
### END SOLUTION

# %% check="half_shifted"
check("half_shifted", half_shifted)

# %% [markdown]
# **Question 2.** You want one number for how *tightly* the predicted boxes of a detector fit. Which do you take?
#
# - **A** mAP: detections are counted as right or wrong at a fixed IoU, class by class, and averaged (lesson 03)
# - **B** AP: the same count for one class only
# - **C** the mean IoU of the detections with their objects

# %% solve="tightness"
### BEGIN SOLUTION
tightness = "C"
### END SOLUTION

# %% check="tightness"
check("tightness", tightness)

# %% [markdown]
# **Question 3.** A network is trained with the loss 1 − IoU. Its first boxes lie far from every object. What happens?
#
# - **A** The loss is infinite and training stops with NaN
# - **B** The loss is 1 and its gradient is 0: the boxes do not move
# - **C** The boxes are pulled to the nearest object, only slowly
# - **D** The boxes grow until they touch an object

# %% solve="why_giou"
### BEGIN SOLUTION
why_giou = "B"
### END SOLUTION

# %% check="why_giou"
check("why_giou", why_giou)

# %% [markdown]
# **Question 4.** A tiny object fills 10 × 10 pixels. The detector's box has the right size but sits one pixel too far to the right and one too low. What is the IoU, to two decimals? (Then try 100 × 100, and remember it when you read a table of results by object size.)

# %% solve="one_pixel"
### BEGIN SOLUTION
one_pixel = 81 / 119
### END SOLUTION

# %% check="one_pixel"
check("one_pixel", one_pixel)

# %% [markdown]
# ## Further reading
#
# - Everingham et al., *The PASCAL Visual Object Classes Challenge*, IJCV 2010, section 4.2: IoU > 0.5 becomes the rule.
# - Yu et al., *UnitBox*, ACM MM 2016: the −ln IoU loss.
# - Rezatofighi et al., *Generalized Intersection over Union*, CVPR 2019.
# - Zheng et al., *Distance-IoU Loss*, AAAI 2020: DIoU and CIoU.
# - `course_lib/boxes.py`: the same functions, written for speed. You can read all of it now.
#
# **Hand in** this notebook, saved, under its own name: `01_iou.ipynb`. Next: what to do when a detector finds the same face twelve times.
