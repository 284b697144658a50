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
# # 05 · RoI pooling
#
# A **two-stage** detector works in two steps: first something proposes two thousand boxes, *there may be an object in here*; then each of them is looked at. Such a box is called an **RoI**, a *region of interest*. Each of them must now be looked at closely. The first detector of this kind (R-CNN, 2014) cut every box out of the photograph and sent it through the whole network, two thousand times for one picture. Fast R-CNN (2015) had a better idea: **send the picture through once, and cut the boxes out of the feature map.** (The network that makes the map is called the **backbone**: most often a classifier without its last layers.)
#
# But a box is 72 pixels wide, or 301, and the map has a cell for every 16 pixels. What comes next are layers that want the same number of inputs every time. So every box, whatever its size, must become a grid of, say, 7 × 7 numbers. How you fill that grid looks like a detail. It decides about 3 of 30 points of average precision.
#
# **After this lesson you can**
#
# - bring a box from the photograph to a feature map, and say by how many pixels rounding moves it;
# - fill the grid in three ways: RoIPool, RoIAlign and Precise RoI Pooling;
# - say which cells learn something in each of them, and which of them can move a box;
# - choose the level of a pyramid for a box;
# - measure on a real photograph what alignment is worth.
#
# You need lesson 01 (IoU) and know from lesson 04 what a stride is. It takes about two hours. After exercise 6 is a good place for a break. The sections *Break it* and *At scale* may be left out: nothing is graded there.

# %% [markdown]
# **How to work.** As before: run from the top, write where it says `raise NotImplementedError`, let the check tell you. `hint("roi_pool")` opens a hint. There are eight short exercises; the later ones call the earlier ones.
#
# | | you write | points |
# |---|---|---|
# | 1 | `project_boxes` | 2 |
# | 2 | `bin_cells` | 2 |
# | 3 | `roi_pool` | 3 |
# | 4 | `bilinear_sample` | 3 |
# | 5 | `bin_points` | 1 |
# | 6 | `roi_align` | 2 |
# | 7 | `hat_integrals` | 2 |
# | 8 | `assign_levels` | 1 |
# | | four questions at the end | 4 |

# %%
import math
import time

import matplotlib.pyplot as plt
import torch
from skimage import data
from torch.nn.functional import avg_pool2d

from autograde import check, hint
from course_lib import draw
from course_lib import pooling as library
from course_lib.boxes import box_iou
from course_lib.data import evaluation_set
from course_lib.explore import roi_explorer

STRIDE = 16
photo = torch.from_numpy(data.chelsea()[:288, :448].copy())  # a cat called Chelsea, [288, 448, 3]
cat = photo.permute(2, 0, 1)[None].float() / 255  # [1, 3, 288, 448]
eye = torch.tensor([[133.0, 86.0, 205.0, 149.0]])


def features(stride):
    """The feature map [1, 3, H, W] of a very simple network: the mean colour of each patch."""
    return avg_pool2d(cat, stride)


def plain(answer):
    """Whatever your functions answer in as a float32 tensor, for the pictures."""
    return torch.as_tensor(answer).detach().float()


def with_image(boxes):
    """Boxes [R, 4] of the one image that there is, as [R, 5]: its number, 0, in front."""
    return torch.cat([torch.zeros(len(boxes), 1), boxes], dim=1)


# %% [markdown]
# ## See it
#
# A cat, and a detector that wants to know more about its eye. The map on the right has a cell for every 16 × 16 pixels. A real network would put 256 numbers into each; ours puts three there, the mean colour of the patch, so that you can see what it sees. **The geometry is the same.**

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.4, 3.6), layout="constrained")
draw.draw_boxes(photo.permute(2, 0, 1), eye, ["eye"], colors=draw.ANCHOR, ax=axes[0])
axes[0].set_title("the photograph: 288 × 448 pixels")
cells = features(STRIDE)[0].permute(1, 2, 0)  # [18, 28, 3]
axes[1].imshow(cells, extent=(0, 28, 18, 0))
axes[1].vlines(range(29), 0, 18, color="w", lw=0.3)
axes[1].hlines(range(19), 0, 28, color="w", lw=0.3)
draw.draw_boxes(None, eye / STRIDE, colors=draw.ANCHOR, ax=axes[1])
axes[1].set(title="the feature map: 18 × 28 cells", xticks=[], yticks=[])
in_cells = ", ".join(f"{c:.2f}" for c in (eye[0] / STRIDE).tolist())
draw.show(
    fig,
    f"The eye is a box of 72 × 63 pixels. Divided by 16 it is ({in_cells}) on the map, and ends "
    "inside of cells.",
    "A photograph of a cat's face with a box around one eye, and the same picture as a mosaic "
    "of 18 by 28 coloured squares, on which the same box covers about four and a half by four "
    "squares.",
)

# %% [markdown]
# Three ways to make a small grid of numbers of such a box, side by side. Guess first, then try:
#
# 1. The orange region covers 2.9 × 3.1 = 9 cells. At how many does **RoIPool** look? (It stands to the right.)
# 2. Press → ten times, a tenth of a cell each. Whose numbers jump twice, and then stay as they are?
# 3. Set the **points in a bin** to 1, then to 3 × 3. Whose numbers change?
# 4. Set **aligned** to *false*. Where do the sample points go?

# %%
roi_explorer()

# %% [markdown]
# (1: at 16, which is 1.8 times the area of the region. 2: RoIPool's. For eight steps it saw nothing. That is only 0.8 of a cell, but 12.8 pixels of the photograph. 3: RoIAlign's only. 4: half a cell to the right and down, 8 pixels of the photograph.)
#
# ## Say it: the first rounding
#
# A point at pixel $x$ of the photograph lies at $x / 16$ on the map: multiply by the `spatial_scale`, here 1/16. The eye begins at $133 / 16 = 8.31$. There is no cell 8.31. Fast R-CNN's answer, **RoIPool**, is to round to the nearest whole cell:
#
# $$x \;\longrightarrow\; \left[\, x / 16 \,\right]$$
#
# and 8 cells are 128 pixels. The side has moved by 5 pixels.
#
# ### Exercise 1 · `project_boxes`
#
# **By hand first.** The box (20, 40, 99, 130), stride 16:
#
# | | x1 | y1 | x2 | y2 |
# |---|---|---|---|---|
# | pixels | 20 | 40 | 99 | 130 |
# | cells, exactly | 1.25 | 2.5 | 6.19 | 8.125 |
# | cells, rounded | 1 | 3 | 6 | 8 |
# | in pixels again | 16 | 48 | 96 | 128 |
# | moved, in pixels | −4 | +8 | −3 | −2 |
#
# Return both: the rounded corners `cells` [R, 4], and how far each was `moved` [R, 4], **in pixels of the photograph**: where it is now, minus where it was. A half goes up, to the larger number: 2.5 becomes 3, and −2.5 becomes −2. (Careful: `round` and `torch.round` take 2.5 to 2. torchvision takes −2.5 to −3, away from 0; that is outside of the picture and matters little.) A box may begin outside of the picture, at negative numbers. No boxes at all give [0, 4] twice.


# %% solve="project_boxes"
def project_boxes(boxes, spatial_scale):
    """Boxes [R, 4] in pixels: their whole cells [R, 4], and the way there in pixels [R, 4]."""
    ### BEGIN SOLUTION
    cells = (boxes * spatial_scale + 0.5).floor()
    moved = cells / spatial_scale - boxes
    return cells, moved
    ### END SOLUTION


# %% check="project_boxes"
check("project_boxes", project_boxes)

# %% [markdown]
# What rounding does to boxes of all sizes, by your function. 435 objects of 60 painted pictures; for each the IoU of the box with its rounded self:

# %%
objects = torch.cat([s.boxes[~s.crowd] for s in evaluation_set()])  # [435, 4]
side = (objects[:, 2:] - objects[:, :2]).prod(dim=1).sqrt()
fig, ax = plt.subplots(figsize=(7.6, 3.3), layout="constrained")
said = []
for stride, colour, style in [
    (8, draw.TRUTH, "-"),
    (16, draw.ANCHOR, "--"),
    (32, draw.PREDICTION, ":"),
]:
    cells, moved = (plain(part) for part in project_boxes(objects, 1 / stride))
    iou = box_iou(objects, cells * stride).diagonal()
    if stride == 16:
        ax.plot(side, iou, ".", color=colour, ms=5, alpha=0.35, mew=0)
    groups = [(side >= a) & (side < 1.5 * a) for a in (10, 15, 22, 33, 50, 75, 112)]
    ax.plot([side[g].mean() for g in groups], [iou[g].mean() for g in groups], style, color=colour,
            lw=2.5, label=f"stride {stride}")  # fmt: skip
    said.append(f"{moved.abs().mean():.1f}")
ax.set(xscale="log", xlabel="side of the object, pixels", ylabel="IoU with the rounded box")
ax.set_xticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
ax.minorticks_off()
ax.legend(frameon=False, loc="lower right")
draw.show(
    fig,
    f"Means by size; the dots are single objects at stride 16. A side moves by {said[0]}, "
    f"{said[1]} and {said[2]} pixels in the mean, whatever the size of the object. A large one "
    "hardly notices. A small one is elsewhere: at IoU 0 nothing is left of it, its two sides were "
    "rounded to the same line. (The last cell is not counted here; that comes next.)",
    "IoU over the side of the object on a logarithmic axis: three rising curves. At 20 pixels "
    "the IoU is about 0.7 for stride 8, 0.5 for stride 16 and far less for stride 32; at 150 "
    "pixels all are high.",
)

# %% [markdown]
# ## The second rounding
#
# One thing before. In exercise 1 a rounded corner is a *line* between cells. Fast R-CNN read the same numbers as *numbers of cells*, first and last, **both included**: from 1 to 5 are five cells, not four. It costs another cell of looking too far, and no box is ever empty.
#
# Now the rounded box has to be cut into bins: P rows and Q columns of them. A box of 5 cells and 2 bins makes 2.5 cells each, and RoIPool has whole cells only. So it rounds again, **each bin outwards**: it takes in every cell that it touches.

# %%
fig, ax = plt.subplots(figsize=(7.2, 2.5), layout="constrained")
for k in range(8):
    inside = 1 <= k <= 5
    ax.add_patch(plt.Rectangle((k, 2.2), 1, 0.8, fc="#FBE3B5" if inside else "w", ec="0.6"))
    ax.text(k + 0.5, 2.6, str(k), ha="center", va="center")
for p, (exact, cells) in enumerate([((1, 3.5), (1, 4)), ((3.5, 6), (3, 6))]):
    for (start, end), y, colour in [
        (exact, 1.45, draw.ANCHOR),
        (cells, 0.45 - 0.55 * p, draw.PREDICTION),
    ]:
        ax.plot([start, end], [y, y], "-|", color=colour, lw=3, ms=12, mew=2)
for y, words in [(2.6, "cells"), (1.45, "equal parts"), (0.2, "RoIPool's bins")]:
    ax.text(-0.2, y, words, ha="right", va="center")
ax.set(xlim=(-2.2, 8.1), ylim=(-0.4, 3.1))
ax.axis("off")
draw.show(
    fig,
    "From cell 1 to cell 5 are five cells: the last one belongs to the region. Two equal parts "
    "meet inside of cell 3, and both bins take it.",
    "A row of cells numbered 0 to 7, five of them marked. Below, two bars of 2.5 cells; below "
    "them two bars of three cells, from 1 to 4 and from 3 to 6, which overlap in cell 3.",
)

# %% [markdown]
# ### Exercise 2 · `bin_cells`
#
# One axis is enough: rows and columns are cut alike. From cell `first` to cell `last` there are last − first + 1 cells. With this length, bin p of `bins` (p = 0, 1, …) reaches from
#
# $$\text{first} + \left\lfloor \frac{p \cdot \text{length}}{\text{bins}} \right\rfloor \quad\text{to}\quad \text{first} + \left\lceil \frac{(p + 1) \cdot \text{length}}{\text{bins}} \right\rceil$$
#
# **By hand first**, the picture above: first 1, last 5, two bins. Length 5. Bin 0: 1 + ⌊0⌋ = 1 to 1 + ⌈2.5⌉ = 4. Bin 1: 1 + ⌊2.5⌋ = 3 to 1 + ⌈5⌉ = 6. As in a slice, the second number is **one past the last cell**.
#
# The map has `size` cells, 0 to size − 1, and a region may reach out of it. Cut the ends *of the bins*, not the region: limit both to 0..size. Return a tensor [bins, 2]. The four inputs are whole numbers.


# %% solve="bin_cells"
def bin_cells(first, last, bins, size):
    """Start and end [bins, 2] of each of RoIPool's bins along one axis, in cells."""
    ### BEGIN SOLUTION
    length = last - first + 1
    rows = []
    for p in range(bins):
        start, end = math.floor(p * length / bins), math.ceil((p + 1) * length / bins)
        rows.append([first + start, first + end])
    return torch.tensor(rows).clamp(0, size)
    ### END SOLUTION


# %% check="bin_cells"
check("bin_cells", bin_cells)

# %% [markdown]
# Both roundings together, on the eye, from left to right. Seven bins, as detectors take them:

# %%
first, last = 8, 13  # the eye's x1 and x2, rounded
ends = plain(bin_cells(first, last, 7, 28))
x1, x2 = (eye[0, [0, 2]] / STRIDE).tolist()
off = []
fig, ax = plt.subplots(figsize=(8.6, 3.2), layout="constrained")
for k in range(8, 15):
    ax.add_patch(plt.Rectangle((k, 0), 1, 7.6, fc="none", ec="0.85"))
    ax.text(k + 0.5, -0.45, str(k), ha="center", va="center", color="0.4", fontsize=9)
for p in range(7):
    y, start, end = 7 - p, x1 + (x2 - x1) * p / 7, x1 + (x2 - x1) * (p + 1) / 7
    ax.plot([start, end], [y, y], "-|", color=draw.ANCHOR, lw=5, ms=9, mew=1.5)
    ax.plot(ends[p], [y - 0.42] * 2, "-|", color=draw.PREDICTION, lw=3, ms=9, mew=1.5)
    off.append(((ends[p].mean() - (start + end) / 2) * STRIDE).item())
    ax.text(14.25, y - 0.2, f"{off[-1]:+.0f} pixels".replace("-", "−"), va="center", fontsize=9)
ax.text(14.25, 7.75, "middle is off by", fontsize=9, va="bottom")
ax.set(xlim=(7.9, 15.6), ylim=(-0.9, 8.4))
ax.axis("off")
draw.show(
    fig,
    "Orange: where the seven bins of the eye should lie. Orange-red: the cells that RoIPool "
    f"takes for them, the last one, cell 13, counted. The farther right, the farther off: up to {max(off):.0f} pixels. The fifth "
    "bin is wrong by 0.8 of a cell, which sounds like nothing and is 13 pixels of the "
    "photograph.",
    "Seven thin orange bars, one below the other, each a bit further right, and below each a "
    "bar of one or two whole cells. On the left the pairs agree, on the right the lower ones "
    "run ahead.",
)

# %% [markdown]
# ### Exercise 3 · `roi_pool`
#
# Now the whole of it, with torchvision's name and arguments. In each bin, in each channel, **the largest cell counts**.
#
# - `input` [B, C, H, W]: the maps of B images.
# - `boxes` [R, 5]: each row is *number of the image*, x1, y1, x2, y2, in pixels.
# - `output_size` is (P, Q): rows of bins first.
# - Return a tensor [R, C, P, Q], in the dtype of the input. No boxes at all: [0, C, P, Q].
# - A bin outside of the map has no cells. It is 0.
#
# - For the numbers of the map stay with tensors, here and in `roi_align`: later cells send a gradient through your functions, and numpy, `.item()` or `torch.tensor(…)` of a map's number would cut it. The check tells you, but takes no points for it. (The corners of a box may be plain numbers.)
#
# **By hand first.** A map of 4 × 4 cells, scale 1. The box (0.7, 0.7, 2.6, 2.6) is rounded to (1, 1, 3, 3): three cells each way. Two bins of them are the cells 1 to 2 and 2 to 3.
#
# | | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | **0** | 0 | 1 | 2 | 3 |
# | **1** | 4 | 5 | 6 | 7 |
# | **2** | 8 | 9 | 10 | 11 |
# | **3** | 12 | 13 | 14 | 15 |
#
# Upper left bin: rows 1 and 2, columns 1 and 2, the largest is 10. The others: 11, 14, 15. The cell 10 is looked at in all four bins.
#
# Use your two functions. Three loops are fine: boxes, rows of bins, columns of bins. Slices want whole numbers: `.int().tolist()` makes plain ones of a tensor, and `int(…)` of the number of the image.


# %% solve="roi_pool"
def roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """The largest cell in each bin of each box [R, 5]: [R, C, P, Q]."""
    ### BEGIN SOLUTION
    (P, Q), (C, H, W) = output_size, input.shape[1:]
    pooled = input.new_zeros(len(boxes), C, P, Q)
    cells, _ = project_boxes(boxes[:, 1:], spatial_scale)
    for r, (x1, y1, x2, y2) in enumerate(cells.int().tolist()):
        b = int(boxes[r, 0])
        for p, (top, bottom) in enumerate(bin_cells(y1, y2, P, H).tolist()):
            for q, (left, right) in enumerate(bin_cells(x1, x2, Q, W).tolist()):
                if bottom > top and right > left:
                    pooled[r, :, p, q] = input[b, :, top:bottom, left:right].amax(dim=(1, 2))
    return pooled
    ### END SOLUTION


# %% check="roi_pool"
check("roi_pool", roi_pool)

# %% [markdown]
# What the detector now sees of the eye:

# %%
seen = plain(roi_pool(features(STRIDE), with_image(eye), (7, 7), 1 / STRIDE))[0]
exact = library.prroi_pool(cat, [eye - 0.5], 7)[0]  # means of the photograph itself
x1, y1, x2, y2 = eye[0].int().tolist()
fig, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), layout="constrained")
for ax, picture, words in [
    (axes[0], photo[y1:y2, x1:x2], "the eye"),
    (axes[1], exact.permute(1, 2, 0), "7 × 7, from the photograph"),
    (axes[2], seen.permute(1, 2, 0), "7 × 7, by your RoIPool"),
]:
    ax.imshow(picture, extent=(0, 72, 63, 0))
    ax.set(title=words, xticks=[], yticks=[])
draw.show(
    fig,
    "In the middle what a grid of 7 × 7 could show, on the right what RoIPool makes of the map. "
    "It is brighter, as the largest counts; many bins are twins; and there is too much cheek "
    "below and on the right.",
    "The eye of the cat; the same as a mosaic of 49 squares, dark pupil in the middle; and a "
    "brighter mosaic in which the eye is shifted to the upper left.",
)

# %% [markdown]
# ## Between the cells
#
# **RoIAlign** (Mask R-CNN, 2017) has one rule: *never round*. If a bin ends at 8.31, it ends at 8.31. Then you need to know what the map says **between** its cells. The four cells around a point are mixed, the nearer ones more:

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.8, 3.4), layout="constrained")
ax, (px, py) = axes[0], (3.25, 2.5)
parts = [(3, 2, 10), (4, 2, 20), (3, 3, 30), (4, 3, 40)]  # x, y and value of the four cells
shades = [draw.PALETTE[k] for k in (1, 2, 0, 6)]
for (cx, cy, value), shade in zip(parts, shades):
    across, down = 7 - cx, 5 - cy  # the opposite cell
    corner = min(px, across), min(py, down)
    w, h = abs(across - px), abs(down - py)
    ax.add_patch(plt.Rectangle(corner, w, h, fc=shade, alpha=0.45, ec="none"))
    ax.text(corner[0] + w / 2, corner[1] + h / 2, f"{w * h:.3f}", ha="center", va="center")
    ax.plot(cx, cy, "o", ms=24, color=shade, mec="k")
    ax.text(cx, cy, str(value), ha="center", va="center", fontsize=11)
ax.plot(px, py, "X", ms=12, color="k", mec="w")
ax.set(xlim=(2.7, 4.3), ylim=(3.25, 1.75), xlabel="x", ylabel="y", xticks=[3, 4], yticks=[2, 3])
ax.set_aspect("equal")
ax.set_title("each cell weighs the area opposite to it", fontsize=10)
values = torch.tensor([2.0, 5.0, 1.0, 4.0, 4.5, 0.5])
t = torch.linspace(0, 5, 501)
for k, value in enumerate(values.tolist()):
    axes[1].plot([k, k], [0, value], color="0.85", lw=1)
    axes[1].plot(t, value * (1 - (t - k).abs()).clamp(min=0), color=draw.IGNORED, lw=1)
axes[1].plot(range(6), values, "o-", color=draw.TRUTH, lw=2.5)
axes[1].set_title("along one axis: straight lines, a sum of hats", fontsize=10)
axes[1].set(xlabel="x", xlim=(-0.2, 5.2), ylim=(0, 5.6))
draw.show(
    fig,
    "Left: a point (cross) between the cells of values 10, 20, 30 and 40, and their weights. "
    "Right: along one axis that draws straight lines from cell to cell. Seen otherwise, every "
    "cell adds a hat (grey) that reaches to its neighbours. The value of cell k stands at k.",
    "Left, a square with a cell at each corner, cut by a point into four rectangles of areas "
    "0.375, 0.125, 0.375 and 0.125. Right, six values joined by straight lines, with a grey "
    "triangle under each.",
)

# %% [markdown]
# ### Exercise 4 · `bilinear_sample`
#
# **By hand first**, the point of the picture, y = 2.5 and x = 3.25. It lies `down` = 0.5 below row 2 and `across` = 0.25 right of column 3.
#
# | cell | value | weight | product |
# |---|---|---|---|
# | row 2, column 3 | 10 | (1 − 0.5) · (1 − 0.25) = 0.375 | 3.75 |
# | row 2, column 4 | 20 | (1 − 0.5) · 0.25 = 0.125 | 2.5 |
# | row 3, column 3 | 30 | 0.5 · (1 − 0.25) = 0.375 | 11.25 |
# | row 3, column 4 | 40 | 0.5 · 0.25 = 0.125 | 5 |
# | | | together 1 | **22.5** |
#
# `feature` is one map [C, H, W]. `y` and `x` have the same shape, [N] or any other: y[n] and x[n] are one point. Return a tensor [C, N], or [C, …] in general, in the dtype of `feature`.
#
# At the border, as in torchvision: a point **up to one cell outside** (y from −1 to H, x from −1 to W, ends included) has the value of the border, as if it had been pushed back in; further out the value is 0.


# %% solve="bilinear_sample"
def bilinear_sample(feature, y, x):
    """The map [C, H, W] at points between its cells: y and x of one shape [...] to [C, ...]."""
    ### BEGIN SOLUTION
    H, W = feature.shape[1:]
    inside = (y >= -1) & (y <= H) & (x >= -1) & (x <= W)
    y, x = y.clamp(0, H - 1), x.clamp(0, W - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=H - 1), (left + 1).clamp(max=W - 1)
    down, across = y - top, x - left
    value = feature[:, top, left] * (1 - down) * (1 - across)
    value = value + feature[:, top, right] * (1 - down) * across
    value = value + feature[:, bottom, left] * down * (1 - across)
    value = value + feature[:, bottom, right] * down * across
    return (value * inside).to(feature.dtype)
    ### END SOLUTION


# %% check="bilinear_sample"
check("bilinear_sample", bilinear_sample)

# %% [markdown]
# Your function at 20,000 points around the eye:

# %%
yy, xx = torch.meshgrid(torch.linspace(4, 11, 125), torch.linspace(7, 15, 160), indexing="ij")
smooth = plain(bilinear_sample(features(STRIDE)[0], yy, xx)).permute(1, 2, 0)
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained")
axes[0].imshow(features(STRIDE)[0, :, 4:12, 7:16].permute(1, 2, 0), extent=(6.5, 15.5, 11.5, 3.5))
axes[0].set_title("the cells")
axes[1].imshow(smooth, extent=(7, 15, 11, 4))
axes[1].set_title("the surface through them")
for ax in axes:
    ax.plot(
        *torch.meshgrid(torch.arange(7, 16), torch.arange(4, 12), indexing="xy"),
        ".",
        color="w",
        ms=2,
    )
    ax.set(xlim=(7, 15), ylim=(11, 4), xlabel="x, cells", ylabel="y, cells")
draw.show(
    fig,
    "White dots: where the values of the cells stand. On the right nothing was rounded: every "
    "place of the map has a value of its own, and moving a little changes it a little.",
    "Left, a mosaic of coloured squares with a dot in the middle of each; right, the same as a "
    "smooth blend of colours through the same dots.",
)

# %% [markdown]
# ## Where to look
#
# RoIAlign looks at each bin in a few **points**: `sampling_ratio` of them each way. They should stand for the whole bin, so cut it into as many equal parts and take the middle of each.

# %%
fig, ax = plt.subplots(figsize=(8, 2.5), layout="constrained")
for y, n in [(3, 1), (2, 2), (1, 3)]:
    for start in (1, 4):
        ax.plot([start, start + 3], [y, y], "-|", color=draw.ANCHOR, lw=2, ms=22, mew=2.5)
        for i in range(n):
            if i:
                ax.plot([start + 3 * i / n] * 2, [y - 0.16, y + 0.16], color="0.6", lw=1)
            ax.plot(start + 3 * (i + 0.5) / n, y, "o", color=draw.TRUTH, ms=9, mec="w")
    ax.text(0.6, y, f"sampling_ratio {n}", ha="right", va="center")
ax.set(xlim=(-1.6, 7.4), ylim=(0.4, 3.5), yticks=[], xticks=range(8))
ax.spines[["left", "top", "right"]].set_visible(False)
draw.show(
    fig,
    "A region from 1 to 7 in two bins, seen at one, two or three points in each. All gaps "
    "between neighbours are equally wide, across the border of the bins, too.",
    "Three lines of two bars each, from 1 to 4 and from 4 to 7, with one, two and three evenly "
    "spaced points in each bar.",
)

# %% [markdown]
# ### Exercise 5 · `bin_points`
#
# One axis again. The region begins at `start` and is `length` long, in cells, both with fractions. **By hand first**, the second line of the picture: start 1, length 6, 2 bins, sampling_ratio 2. A bin is 3 long, a part 1.5. Points: 1 + 0.75 = 1.75 and 3.25; in the second bin 4.75 and 6.25.
#
# Return a tensor [bins, n], a row for each bin. `sampling_ratio` is n if it is above 0. **If it is 0 or less**, n is as many as a bin is long, rounded up: a bin of 2.4 cells gets 3 points.


# %% solve="bin_points"
def bin_points(start, length, bins, sampling_ratio):
    """Where RoIAlign looks along one axis: [bins, n]."""
    ### BEGIN SOLUTION
    step = length / bins
    n = sampling_ratio if sampling_ratio > 0 else math.ceil(step)
    p, i = torch.arange(bins)[:, None], torch.arange(n)
    return start + (p + (i + 0.5) / n) * step
    ### END SOLUTION


# %% check="bin_points"
check("bin_points", bin_points)

# %% [markdown]
# ### The half cell
#
# One trap is left. Cell 0 was computed from the pixels 0 to 16, so its value describes the photograph around pixel 8, the **middle** of the cell. But on the map we say that this value stands at 0.

# %%
fig, ax = plt.subplots(figsize=(8.4, 2.3), layout="constrained")
for k in range(4):
    ax.add_patch(plt.Rectangle((16 * k, 1), 16, 0.55, fc="#DDEBF5", ec="0.6"))
    ax.plot(16 * k + 8, 1.28, "o", color=draw.TRUTH, ms=8)
    ax.text(16 * k + 8, 1.75, f"cell {k}", ha="center", fontsize=9, color=draw.TRUTH)
ax.plot([40, 40], [0.35, 1.55], color=draw.ANCHOR, lw=2.5)
ax.text(40.8, 0.45, "pixel 40", color="#8a5a00", fontsize=10)
ax.plot([0, 64], [0.35, 0.35], color="0.4", lw=1)
for x in range(0, 65, 16):
    ax.plot([x, x], [0.3, 0.4], color="0.4", lw=1)
    ax.text(x, 0.1, str(x), ha="center", fontsize=9)
ax.set(xlim=(-2, 66), ylim=(-0.1, 2))
ax.axis("off")
draw.show(
    fig,
    "Pixel 40 is the middle of cell 2, its value is that of cell 2 alone. 40 / 16 = 2.5 would "
    "be half of cell 2 and half of cell 3. 40 / 16 − 0.5 = 2 is right.",
    "A ruler of pixels from 0 to 64, above it four cells of 16 pixels each with a dot in its "
    "middle; a line at pixel 40 passes through the dot of cell 2.",
)

# %% [markdown]
# The first RoIAlign forgot it and looked half a cell too far right and down, 8 pixels at stride 16. Later versions have a switch: `aligned=True` takes **0.5 off all four corners**, after the scale. torchvision's default is still False, the old way.
#
# ### Exercise 6 · `roi_align`
#
# **By hand first.** The map of exercise 3, box (0.5, 0.5, 2.5, 2.5), scale 1, 2 × 2 bins with one point each. Not aligned: the points are 1 and 2 each way, and the map says 5, 6, 9, 10 there. Aligned: the points are 0.5 and 1.5, the answers 2.5, 3.5, 6.5, 7.5.
#
# - Each bin is the **mean** of its n · m points (n down, m across: a wide bin may need more across).
# - One more habit of the first version: with aligned=False each side of the box is **at least one cell** long: x1 and y1 stay, x2 and y2 move. With aligned=True it is as short as it is. If it has no length and the points go by size, there are no points, and the bins are 0 (not NaN, which is the mean of nothing).
# - Everything else as in `roi_pool`: the boxes [R, 5], the answer [R, C, P, Q], the dtype.
#
# Use your `bin_points` and `bilinear_sample`. `torch.meshgrid(…, indexing="ij")` makes all pairs of y and x.


# %% solve="roi_align"
def roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """The mean of a few points in each bin of each box [R, 5]: [R, C, P, Q]."""
    ### BEGIN SOLUTION
    (P, Q), C = output_size, input.shape[1]
    pooled = input.new_zeros(len(boxes), C, P, Q)
    for r, (b, *corners) in enumerate(boxes.tolist()):
        x1, y1, x2, y2 = (c * spatial_scale - 0.5 * aligned for c in corners)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        y = bin_points(y1, height, P, sampling_ratio)  # [P, n]
        x = bin_points(x1, width, Q, sampling_ratio)  # [Q, m]
        yy, xx = torch.meshgrid(y.flatten(), x.flatten(), indexing="ij")
        values = bilinear_sample(input[int(b)], yy, xx)  # [C, P * n, Q * m]
        if values.numel():
            pooled[r] = values.reshape(C, P, y.shape[1], Q, x.shape[1]).mean(dim=(2, 4))
    return pooled
    ### END SOLUTION


# %% check="roi_align"
check("roi_align", roi_align)

# %% [markdown]
# The eye once more. And below it, for every bin an arrow **in the photograph**, from where it should look to where it looks. (How do we know? For RoIPool your `bin_cells` says it. For the others you pool a map whose cells hold their own place in the photograph, x and y.)

# %%
own_place = torch.stack(torch.meshgrid(torch.arange(28.0), torch.arange(18.0), indexing="xy"))
own_place = (own_place[None] + 0.5) * STRIDE  # [1, 2, 18, 28]: x and y of each cell's middle
box = with_image(eye)
ways = {
    "RoIAlign": lambda maps: plain(roi_align(maps, box, (7, 7), 1 / STRIDE, 2, False))[0],
    "RoIAlign, aligned": lambda maps: plain(roi_align(maps, box, (7, 7), 1 / STRIDE, 2, True))[0],
}
grid = (torch.arange(7) + 0.5) / 7
x1, y1, x2, y2 = eye[0].tolist()
should = torch.stack(torch.meshgrid(x1 + grid * (x2 - x1), y1 + grid * (y2 - y1), indexing="xy"))
columns, rows = plain(bin_cells(8, 13, 7, 28)), plain(bin_cells(5, 9, 7, 18))
pooled_at = torch.stack(torch.meshgrid(columns.mean(1), rows.mean(1), indexing="xy")) * STRIDE
looks = {"RoIPool": (plain(roi_pool(features(STRIDE), box, (7, 7), 1 / STRIDE))[0], pooled_at)}
looks |= {name: (way(features(STRIDE)), way(own_place)) for name, way in ways.items()}
fig, axes = plt.subplots(2, 3, figsize=(9.6, 6.2), layout="constrained")
colours = [draw.PREDICTION, draw.TRUTH, draw.TRUTH]
for (above, below), (name, (values, at)), colour in zip(axes.T, looks.items(), colours):
    above.imshow(values.permute(1, 2, 0).clamp(0, 1), extent=(0, 72, 63, 0))
    above.set(title=name, xticks=[], yticks=[])
    below.imshow(photo // 2 + 127, extent=(0, 448, 288, 0))
    draw.draw_boxes(None, eye, colors=draw.ANCHOR, ax=below)
    way = at - should
    below.quiver(*should, *way, color=colour, angles="xy", scale_units="xy", scale=1, width=0.008)
    below.plot(*should.flatten(1), "o", color="k", ms=2.5)
    below.set(xlim=(112, 240), ylim=(176, 64), xticks=[], yticks=[])
    far = way.norm(dim=0)
    below.set_xlabel(f"off by {far.mean():.1f} pixels, at most {far.max():.1f}")
draw.show(
    fig,
    "Above: what each way sees of the eye. Below: the middles of the 49 bins (dots), and arrows "
    "to where each way looks for them. RoIPool is wrong in a different way in every bin; "
    "RoIAlign by half a cell everywhere; aligned, it is right.",
    "Three mosaics of the eye above three photographs of it with 49 dots each. RoIPool's arrows "
    "point to the upper left in one corner and to the lower right in the other. RoIAlign's all "
    "point 8 pixels to the lower right. The aligned ones have no length.",
)

# %% [markdown]
# A surprise: without `aligned`, RoIAlign is off by as much as RoIPool. But it is off by **the same** way in every bin of every box, half a cell, and a network that is trained with it can largely learn to live with that (detectron2's authors found no difference in the end; a simple model cannot wholly, as you will measure below). RoIPool's error depends on where the box happens to lie. Nothing can learn that.
#
# Now slide the box over the photograph, pixel by pixel. A detector that corrects boxes lives from this: a box that lies a little better must look a little different.

# %%
steps = torch.arange(0, 65.0)
slid = with_image(eye + steps[:, None] * torch.tensor([1.0, 0, 1, 0]))  # [65, 5]
maps = features(STRIDE)[:, :1]  # red alone
curves = {
    "RoIPool": plain(roi_pool(maps, slid, (3, 3), 1 / STRIDE)),
    "RoIAlign": plain(roi_align(maps, slid, (3, 3), 1 / STRIDE, 2, True)),
}
looks = {
    "RoIPool": {"color": draw.PREDICTION, "drawstyle": "steps-post"},
    "RoIAlign": {"color": draw.TRUTH, "ls": "--"},
}
fig, ax = plt.subplots(figsize=(7.6, 3.1), layout="constrained")
for name, values in curves.items():
    ax.plot(steps, values[:, 0, 1, 1], **looks[name], lw=2.5, label=name)
    still = (values.flatten(1).diff(dim=0).abs().amax(dim=1) < 1e-6).sum()
    print(f"{name}: of 64 steps of one pixel, {still} change nothing at all in the 3 × 3 grid")
ax.set(xlabel="pixels to the right", ylabel="red, middle bin", xticks=range(0, 65, 16))
ax.legend(frameon=False)
draw.show(
    fig,
    "The middle bin of 3 × 3 as the box slides off the eye. RoIPool says the same for many "
    "pixels, then jumps. RoIAlign follows every step.",
    "Two curves over the shift in pixels: a staircase with a few large steps, and a smooth line.",
)

# %% [markdown]
# *A good place for a break: the rest takes about 40 minutes.*
#
# ## No points at all
#
# How many points are enough? **Precise RoI Pooling** (IoU-Net, 2018) takes all of them: the *integral* of the surface over the bin, divided by its area.
#
# $$\text{PrPool}(\text{bin}) = \frac{1}{(x_2 - x_1)(y_2 - y_1)} \int_{y_1}^{y_2}\!\int_{x_1}^{x_2} f(x, y)\, dx\, dy$$
#
# It sounds worse than it is, because the surface is a sum of hats, one for each cell, and the integral of a hat is two halves of a triangle. So each cell gets a weight: *how much of its hat lies between the two ends?*

# %%
t = torch.linspace(-1.2, 4.2, 1081)
fig, axes = plt.subplots(1, 2, figsize=(9.2, 2.9), layout="constrained")
for k, shade in zip((1, 2, 3), [draw.PALETTE[j] for j in (1, 6, 2)]):
    hat = (1 - (t - k).abs()).clamp(min=0)
    axes[0].plot(t, hat, color=shade, lw=2)
    axes[0].fill_between(t, hat, where=(t >= 1.5) & (t <= 3), color=shade, alpha=0.45)
    axes[0].text(k, 1.06, f"cell {k}", ha="center", fontsize=9)
axes[0].vlines([1.5, 3], 0, 1, color=draw.ANCHOR, lw=2)
axes[0].set(xlim=(-0.2, 4.2), ylim=(0, 1.2), xlabel="x, cells", title="hats, from 1.5 to 3")
u = torch.linspace(-1.6, 1.6, 321)
c = u.clamp(-1, 1)
axes[1].plot(
    u, torch.where(c < 0, (c + 1) ** 2 / 2, 1 - (1 - c) ** 2 / 2), color=draw.OVERLAP, lw=2.5
)
axes[1].plot(u, (1 - u.abs()).clamp(min=0), color=draw.IGNORED, lw=1.5)
axes[1].text(0.15, 0.93, "hat", color="0.4", fontsize=9)
axes[1].text(0.62, 0.78, "area up to t", color=draw.OVERLAP, fontsize=9)
axes[1].set(xlabel="t: how far from the cell", title="one hat, and the area left of t")
draw.show(
    fig,
    "Left: between the orange lines lie a little of cell 1, most of cell 2, half of cell 3. "
    "Right: the area under one hat left of t. It is 0 up to −1, and 1 from 1 on.",
    "Left, three triangles with the parts between 1.5 and 3 filled. Right, a triangle, and a "
    "curve that rises from 0 to 1 like an S.",
)

# %% [markdown]
# ### Exercise 7 · `hat_integrals`
#
# With t = end − k, the area of cell k's hat left of an end is A(t): **the area of the triangle left of t**, in the right figure.
#
# $$A(t) = \begin{cases} (t + 1)^2 / 2 & -1 \le t < 0 \\ 1 - (1 - t)^2 / 2 & 0 \le t \le 1 \end{cases}$$
#
# and the weight of a cell is A at `high` minus A at `low`. Beyond −1 and 1 nothing changes any more: limit t first.
#
# **By hand first**, the picture: from 1.5 to 3.
#
# | cell | t of low → A | t of high → A | weight |
# |---|---|---|---|
# | 1 | 0.5 → 0.875 | 2 → 1 | 0.125 |
# | 2 | −0.5 → 0.125 | 1 → 1 | 0.875 |
# | 3 | −1.5 → 0 | 0 → 0.5 | 0.5 |
#
# Together 1.5, the length of the stretch. `low` and `high` hold the ends of P stretches, the map has `size` cells, 0 to size − 1. Return a tensor [P, size], in the dtype of the ends. Use tensors from end to end (no numpy, no `.tolist()`, no `.item()`): below, a gradient flows through your function, and this time it is graded.


# %% solve="hat_integrals"
def hat_integrals(low, high, size):
    """How much of each cell's hat lies between low [P] and high [P]: [P, size]."""

    ### BEGIN SOLUTION
    def up_to(end):
        t = (end[:, None] - torch.arange(size)).clamp(-1, 1)
        return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)

    return up_to(high) - up_to(low)
    ### END SOLUTION


# %% check="hat_integrals"
check("hat_integrals", hat_integrals)

# %% [markdown]
# That was all of the mathematics. Weights for the rows, weights for the columns, and two matrix products make Precise RoI Pooling:


# %%
def prroi_pool(features, box, bins, spatial_scale):
    """One box [4] on one map [C, H, W]: [C, bins, bins], with your hats. Aligned."""
    x1, y1, x2, y2 = box * spatial_scale - 0.5
    y = y1 + torch.arange(bins + 1) * (y2 - y1) / bins  # the ends of the bins
    x = x1 + torch.arange(bins + 1) * (x2 - x1) / bins
    down = hat_integrals(y[:-1], y[1:], features.shape[1]) * bins / (y2 - y1)  # [bins, H]
    across = hat_integrals(x[:-1], x[1:], features.shape[2]) * bins / (x2 - x1)  # [bins, W]
    return down @ features @ across.T


mine = plain(prroi_pool(features(STRIDE)[0], eye[0], 7, 1 / STRIDE))
difference = (mine - library.prroi_pool(features(STRIDE), [eye - 8], 7, 1 / STRIDE)[0]).abs().max()
print(f"yours against the library's: largest difference {difference:.1e}")

# %% [markdown]
# ## Who learns
#
# Training sends the loss backwards: *which cells should change, so that this box is recognised better?* Each bin $j$ passes its share on to the cells that made it:
#
# $$\frac{\partial L}{\partial f_i} = \sum_j w_{ij} \frac{\partial L}{\partial y_j}$$
#
# where $w_{ij}$ is what cell $i$ weighs in bin $j$. In RoIPool that is 1 for the largest cell and 0 for all others; in RoIAlign the mean of the bilinear weights of its points; in Precise RoI Pooling the two hat integrals over the area of the bin. A cell of weight 0 hears nothing. The whole face, in 3 × 3 bins; the darker a cell, the more it hears:

# %%
face = torch.tensor([[40.0, 8.0, 344.0, 280.0]])
heard = {}
for name, pool in [
    ("RoIPool", lambda maps: roi_pool(maps, with_image(face), (3, 3), 1 / STRIDE)),
    (
        "RoIAlign, 2 × 2 points",
        lambda maps: roi_align(maps, with_image(face), (3, 3), 1 / STRIDE, 2, True),
    ),
    ("Precise RoI Pooling", lambda maps: prroi_pool(maps[0], face[0], 3, 1 / STRIDE)),
]:
    maps = features(STRIDE)[:, :1].clone().requires_grad_()  # red alone
    pooled = pool(maps)
    assert getattr(pooled, "requires_grad", False), (
        f"{name}: no gradient flows; is numpy in the way?"
    )
    heard[name] = torch.autograd.grad(pooled.sum(), maps)[0][0, 0]
fig, axes = plt.subplots(1, 3, figsize=(10.6, 2.9), layout="constrained")
for ax, (name, grad) in zip(axes, heard.items()):
    ax.imshow(grad.sqrt(), cmap="Blues", extent=(0, 28, 18, 0))
    draw.draw_boxes(None, face / STRIDE, colors=draw.ANCHOR, ax=ax)
    ax.set(title=name, xticks=[], yticks=[], xlabel=f"{int((grad > 0).sum())} cells hear something")
draw.show(
    fig,
    "The gradient on the map of 18 × 28 cells; orange: the box. RoIPool speaks to one cell in "
    "each bin, and as its last cells are counted, one lies outside of the box; RoIAlign to the four around each point, Precise RoI Pooling to every cell that "
    "the box touches.",
    "Three maps of gradients: nine single dark cells, one of them to the right of the box; a "
    "regular pattern of small groups; an even rectangle.",
)

# %% [markdown]
# And the **box**? RoIPool's rounding has slope 0 everywhere: no gradient can say *further left*. RoIAlign's points could be moved, but nobody computes that gradient. In Precise RoI Pooling the ends of the bins stand in the formula, so the gradient reaches the coordinates:
#
# $$\frac{\partial\,\text{PrPool}}{\partial x_1} = \frac{\text{PrPool} - \text{mean of } f \text{ along the left edge}}{x_2 - x_1}$$
#
# It pays to push the left edge inwards where the map says less along it than in the bin as a whole. With such slopes a box can **climb by itself** to where the map says more. IoU-Net improves its boxes like this after the detector is done.
#
# Here is a map that answers where the picture is not as red as fur. We leave the size of the box alone and let it slide uphill:

# %%
not_fur = (cat[:, 1] - cat[:, 0] + 0.12).clamp(min=0)  # green less red
maps = avg_pool2d(not_fur, 8)  # [1, 36, 56], stride 8
box = eye[0] + torch.tensor([-52.0, 40, -52, 40])
path, fits = [], []
for _ in range(60):
    path.append(box.reshape(2, 2).mean(dim=0))
    fits.append(box_iou(box[None], eye).item())
    at = box.clone().requires_grad_()
    score = prroi_pool(maps, at, 1, 1 / 8).sum()
    assert score.requires_grad, "no gradient reaches the ends: .tolist() or numpy is in the way"
    (slope,) = torch.autograd.grad(score, at)
    uphill = slope.reshape(2, 2).sum(dim=0)  # x1 and x2 together, y1 and y2 together
    box = box + (2.5 * uphill / uphill.norm().clamp(min=1e-9)).repeat(2) * (
        1 if len(path) < 40 else 0.3
    )
path = torch.stack(path)
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.3), layout="constrained")
axes[0].imshow(photo, extent=(0, 448, 288, 0))
axes[1].imshow(maps[0], extent=(0, 448, 288, 0), cmap="cividis")
ends = torch.stack([eye[0] + torch.tensor([-52.0, 40, -52, 40]), box])
for ax in axes:
    draw.draw_boxes(None, ends, ["start", "end"], colors=[draw.IGNORED, draw.OVERLAP], ax=ax)
    ax.plot(*path.T, ".-", color="w", ms=4, lw=1)
    ax.set(xlim=(40, 260), ylim=(210, 60), xticks=[], yticks=[])
draw.show(
    fig,
    "From grey to green in 60 small steps along the gradient of one number, the mean of the map "
    f"in the box. IoU with the eye: {fits[0]:.2f} at the start, {fits[-1]:.2f} at the end.",
    "The cat's eye in the photograph and in a map on which the eye is bright; a grey box to the "
    "lower left of it, a green box around it, and the path of the box's middle between them.",
)

# %% [markdown]
# ## Which map?
#
# A **feature pyramid** has several maps, level 2 with stride 4 to level 5 with stride 32. Pool a large box from the fine map and it covers hundreds of cells; pool a small one from the coarse map and it lies within one. Lin et al. (2017) give every box a level:
#
# $$k = \left\lfloor 4 + \log_2 \frac{\sqrt{w h}}{224} \right\rfloor$$
#
# 224 pixels is the side of the pictures from which the backbone learned to classify; such a box belongs to level 4, stride 16. Twice the side, one level up.
#
# ### Exercise 8 · `assign_levels`
#
# **By hand first.** 100 × 300 pixels: √30,000 = 173, and log2(173 / 224) = −0.37. So 3.63, rounded down: level 3. And 56 × 56? log2(1/4) = −2: level 2.
#
# Return a tensor [R] of whole numbers, within `k_min` to `k_max`: what is smaller goes to the finest map that there is, what is larger to the coarsest. A box without an area goes to the finest. `boxes` is [R, 4] here.


# %% solve="assign_levels"
def assign_levels(boxes, k_min, k_max):
    """The level of the pyramid [R] for each box [R, 4]."""
    ### BEGIN SOLUTION
    scale = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    return (4 + torch.log2(scale / 224)).floor().clamp(k_min, k_max).long()
    ### END SOLUTION


# %% check="assign_levels"
check("assign_levels", assign_levels)

# %% [markdown]
# Detectors usually enlarge a picture until its short side has 800 pixels. The cat, that large, with your levels:

# %%
parts = torch.tensor(
    [[40.0, 8, 344, 280], [133, 86, 336, 160], [133, 86, 205, 149], [158, 94, 188, 131]]
)
enlarged = parts * 800 / 288
levels = plain(assign_levels(enlarged, 2, 5)).long()
fig, axes = plt.subplots(1, 2, figsize=(10.4, 3.4), layout="constrained")
words = [f"{name}: level {k}" for name, k in zip(("face", "eyes", "eye", "pupil"), levels.tolist())]
shades = {2: draw.PALETTE[6], 3: draw.PALETTE[2], 4: draw.PALETTE[0], 5: draw.PALETTE[1]}
draw.draw_boxes(
    photo.permute(2, 0, 1), parts, words, colors=[shades[k] for k in levels.tolist()], ax=axes[0]
)
sides = torch.logspace(math.log10(16), math.log10(1000), 1500)
squares = torch.stack([0 * sides, 0 * sides, sides, sides], dim=1)
stride = 2.0 ** plain(assign_levels(squares, 2, 5))
axes[1].loglog(sides, sides / 16, "--", color=draw.IGNORED, lw=2, label="always stride 16")
axes[1].loglog(sides, sides / stride, color=draw.TRUTH, lw=2.5, label="by level")
axes[1].axhline(7, color="0.7", lw=1)
axes[1].text(17, 7.5, "7 bins", fontsize=9, color="0.4")
axes[1].set(xlabel="side of the box, pixels", ylabel="cells across the box")
axes[1].set_xticks([16, 56, 112, 224, 448, 896], ["16", "56", "112", "224", "448", "896"])
axes[1].set_yticks([1, 7, 14, 28, 56], ["1", "7", "14", "28", "56"])
axes[1].minorticks_off()
axes[1].legend(frameon=False, loc="upper left")
draw.show(
    fig,
    "Left: small parts go to fine maps. Right: with levels, boxes from 56 to 896 pixels are 14 "
    "to 28 cells wide, always at least two for each of 7 bins.",
    "The cat with boxes around face, both eyes, one eye and pupil and their levels; and cells over the "
    "side: a straight dashed line, and a saw that stays between 14 and 28 from 56 pixels on.",
)

# %% [markdown]
# ## Break it (may be left out)
#
# **Blind spots.** RoIAlign's points are a choice. Suppose a bin is 8 cells long and something small, one cell wide, wanders through it:

# %%
line = torch.arange(0, 12, 0.1)
where = torch.arange(12.0)
fig, ax = plt.subplots(figsize=(8.2, 3), layout="constrained")
for name, ratio, colour, style in [
    ("1 point", 1, draw.PREDICTION, ":"),
    ("2 points", 2, draw.ANCHOR, "--"),
    ("points by size: 8", -1, draw.TRUTH, "-"),
]:
    at = plain(bin_points(2.0, 8.0, 1, ratio)).flatten()  # the bin reaches from 2 to 10
    answers = []
    for x in line:
        cells = (1 - (where - x).abs()).clamp(min=0)  # a spot at x, on a map of one row
        answers.append(plain(bilinear_sample(cells[None, None], 0 * at, at)).mean())
    ax.plot(line, answers, style, color=colour, lw=2.2, label=name)
spot = (1 - (where - line[:, None]).abs()).clamp(min=0)  # [120, 12]
weights = plain(hat_integrals(torch.tensor([2.0]), torch.tensor([10.0]), 12))[0] / 8
ax.plot(line, spot @ weights, color=draw.OVERLAP, lw=5, alpha=0.45, label="precise")
ax.axvspan(2, 10, color=draw.ANCHOR, alpha=0.12, lw=0)
ax.set(
    xlabel="where the spot is, cells (shaded: the bin)", ylabel="what the bin says", xlim=(0, 11)
)
ax.legend(frameon=False, loc="upper right", fontsize=9)
draw.show(
    fig,
    "With one or two points the bin sees the spot at a few places and nowhere else. With as "
    "many points as cells, or with the integral, it counts wherever it is.",
    "What a bin of eight cells says over the place of the spot. One point: a single high peak. "
    "Two points: two peaks. Eight points and the integral: a plateau over the whole bin.",
)

# %% [markdown]
# That is why `sampling_ratio` 0 exists, and why a pyramid helps: on its own level a bin is 2 to 4 cells long, two points are 1 to 2 cells apart, and each hat is 2 cells wide: no cell between them is wholly overlooked, only heard more or less.
#
# **Nothing comes from nothing.** Alignment puts things into their place; it does not bring back what the stride has lost:

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.5), layout="constrained")
for ax, stride in zip(axes, (4, 8, 16, 32)):
    seen = plain(roi_align(features(stride), with_image(eye), (14, 14), 1 / stride, 2, True))[0]
    ax.imshow(seen.permute(1, 2, 0).clamp(0, 1), extent=(0, 72, 63, 0))
    ax.set(title=f"stride {stride}: {72 / stride:.1f} cells across", xticks=[], yticks=[])
draw.show(
    fig,
    "The eye in 14 × 14 bins by your RoIAlign, from maps of four strides. At stride 32 it is in "
    "its place, but no eye any more.",
    "Four mosaics of the eye: clear at stride 4, soft at 8, a dark smudge at 16, a brown blur "
    "at 32.",
)

# %% [markdown]
# **And no error at all.** A `spatial_scale` of 1/8 on a map of stride 16, a True where the weights were trained with False, boxes as (y, x): every one of them gives you numbers of the right shape, from the wrong place. If a two-stage detector trains and stays mediocre, look here first.
#
# ## Use it: what is alignment worth?
#
# Let us measure it, on a real photograph. 24 coins. Somebody's boxes are a little off, and from what is pooled we want to say **how far, in pixels**. We learn that (by least squares) from three rows of coins and try it on the fourth, each row in turn. The map has stride 16; its channels are brightness and edges.

# %%
table = torch.tensor(data.coins()[:288, :384]).float() / 255
coins = torch.tensor(
    [
        *[(22, 35, 67, 74), (81, 38, 120, 74), (132, 28, 179, 73)],
        *[(192, 29, 240, 73), (255, 33, 297, 73), (305, 16, 365, 73)],
        *[(24, 104, 67, 146), (84, 107, 122, 145), (133, 109, 174, 146)],
        *[(185, 104, 227, 145), (245, 95, 297, 145), (317, 105, 357, 145)],
        *[(25, 178, 63, 217), (79, 174, 125, 218), (134, 178, 174, 218)],
        *[(188, 169, 237, 217), (250, 171, 297, 217), (315, 156, 380, 218)],
        *[(18, 233, 75, 288), (92, 244, 137, 288), (144, 236, 202, 288)],
        *[(220, 240, 270, 288), (276, 239, 327, 288), (336, 248, 381, 288)],
    ]
).float()  # [24, 4], drawn by hand, row by row
dx, dy = torch.zeros_like(table), torch.zeros_like(table)
dx[:, :-1], dy[:-1] = table.diff(dim=1), table.diff(dim=0)
channels = torch.stack([table, dx.abs(), dy.abs(), dx.clamp(min=0), dy.clamp(min=0)])
coin_map = avg_pool2d(channels[None], STRIDE)  # [1, 5, 18, 24]
coin_map = (coin_map - coin_map.mean((2, 3), keepdim=True)) / coin_map.std((2, 3), keepdim=True)
sizes = coins[:, None, 2:] - coins[:, None, :2]  # [24, 1, 2]
dice = torch.Generator().manual_seed(0)
away = (0.5 * torch.rand(24, 40, 2, generator=dice) - 0.25) * sizes  # up to a quarter of a side
shifted = (coins[:, None] + away.repeat(1, 1, 2)).reshape(-1, 4)  # 40 boxes for each coin
fig, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
draw.draw_boxes(table, coins, colors=draw.TRUTH, ax=ax, linewidth=1.2)
draw.draw_boxes(None, shifted[::40], colors=draw.PREDICTION, ax=ax, linewidth=0.8)
draw.show(
    fig,
    "Blue: the coins. Orange-red: one of 40 boxes for each that are off, by "
    f"{away.norm(dim=2).mean():.1f} pixels in the mean. A coin is about 3 cells wide.",
    "A photograph of 24 ancient coins in four rows of six, each with a box around it and a "
    "second box that is shifted a little.",
)


# %%
def error_in_pixels(pooled):
    """How well the shift of each box can be told from what was pooled [960, ...]."""
    inputs = torch.cat([plain(pooled).flatten(1), torch.ones(960, 1)], dim=1)
    inputs = inputs.reshape(4, 240, -1).double()  # by rows of coins
    answers = (away / sizes).reshape(4, 240, 2).double()
    errors = []
    for row in range(4):
        others = [k for k in range(4) if k != row]
        A, b = inputs[others].flatten(0, 1), answers[others].flatten(0, 1)
        weights = torch.linalg.solve(A.T @ A + 0.01 * len(A) * torch.eye(A.shape[1]), A.T @ b)
        errors.append(inputs[row] @ weights - answers[row])
    return (torch.stack(errors).reshape(24, 40, 2) * sizes).norm(dim=2).mean().item()


rois = with_image(shifted)
whole, _ = project_boxes(shifted, 1 / STRIDE)  # rounded as by RoIPool, the last cells included
whole = with_image((plain(whole) + torch.tensor([0, 0, 1, 1])) * STRIDE)
dense = plain(roi_align(coin_map, rois, (14, 14), 1 / STRIDE, 1, True))
measured = {
    "RoIPool": error_in_pixels(roi_pool(coin_map, rois, (7, 7), 1 / STRIDE)),
    "rounded, then points": error_in_pixels(
        roi_align(coin_map, whole, (7, 7), 1 / STRIDE, 2, True)
    ),
    "RoIAlign, not aligned": error_in_pixels(
        roi_align(coin_map, rois, (7, 7), 1 / STRIDE, 2, False)
    ),
    "RoIAlign, largest": error_in_pixels(
        dense.unflatten(3, (7, 2)).unflatten(2, (7, 2)).amax((3, 5))
    ),
    "RoIAlign, mean": error_in_pixels(roi_align(coin_map, rois, (7, 7), 1 / STRIDE, 2, True)),
}
paper = {
    "RoIPool": 26.9,
    "RoIWarp, largest": 27.2,
    "RoIWarp, mean": 27.1,
    "RoIAlign, largest": 30.2,
    "RoIAlign, mean": 30.3,
}
fig, axes = plt.subplots(1, 2, figsize=(10.4, 2.9), layout="constrained")
for ax, numbers, form, title in [
    (axes[0], measured, "{:.1f}", "24 coins, your functions: error, pixels (less is better)"),
    (axes[1], paper, "{:.1f}", "Mask R-CNN, COCO: mask AP (more is better)"),
]:
    shades = [draw.TRUTH if name.startswith("RoIAlign") else draw.PREDICTION for name in numbers]
    bars = ax.barh(list(numbers), numbers.values(), color=shades, height=0.65)
    ax.bar_label(bars, labels=[form.format(v) for v in numbers.values()], padding=3)
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], xlim=(0, max(numbers.values()) * 1.12))
    ax.invert_yaxis()
    ax.spines[["top", "right", "bottom"]].set_visible(False)
draw.show(
    fig,
    "Blue: the kinds of RoIAlign. RoIWarp (Dai et al., 2016) rounds the box and then "
    "interpolates, like the second bar on the left. Right: He et al., 2017, table 2c, ResNet-50 "
    "with stride 16.",
    "Two bar charts. Left, errors in pixels, smaller for the three kinds of RoIAlign. Right, mask "
    "AP: 26.9 for RoIPool, 27.2 and 27.1 for RoIWarp, 30.2 and 30.3 for RoIAlign.",
)

# %% [markdown]
# The two ways that round are last in a toy of one photograph and in the paper. *RoIAlign, not aligned* lies between: off by the same half cell everywhere, so much of it can be learnt, but not all by a model as simple as ours. Where a cell is 32 pixels wide, the authors gain 7.3 points of mask AP, and 10.5 at an IoU of 0.75 (table 2d: 21.6 to 32.1). What exactly made it? That is question 3.
#
# ### At scale (may be left out)
#
# A detector pools 1,000 boxes from 256 channels for every picture. Your loops are made to be read; the library computes the same sum as one sparse product (`course_lib/pooling/_rows.py`), on the GPU if there is one:

# %%
dice = torch.Generator().manual_seed(0)
big = torch.randn(1, 256, 50, 68, generator=dice)  # of a picture of 800 × 1088 pixels
near = torch.rand(512, 2, generator=dice) * torch.tensor([700.0, 500])
many = with_image(torch.cat([near, near + 30 + 270 * torch.rand(512, 2, generator=dice)], dim=1))
few = 32
start = time.perf_counter()
mine = plain(roi_align(big, many[:few], (7, 7), 1 / STRIDE, 2, True))
yours = (time.perf_counter() - start) / few
device = "cuda" if torch.cuda.is_available() else "cpu"
maps, boxes = big.to(device), many.to(device)
library.roi_align(maps, boxes, 7, 1 / STRIDE, 2, True)  # once to warm up
start = time.perf_counter()
theirs = library.roi_align(maps, boxes, 7, 1 / STRIDE, 2, True).cpu()
took = time.perf_counter() - start
print(f"your RoIAlign:      {1000 * yours:8.2f} ms a box")
print(
    f"the library's:      {1000 * took / 512:8.2f} ms a box, on {device}; all 512 in {took:.3f} s"
)
print(f"largest difference: {(mine - theirs[:few]).abs().max():8.1e}")

pyramid = {str(k): torch.randn(1, 256, 800 >> k, 1088 >> k, generator=dice) for k in (2, 3, 4, 5)}
pooler = library.MultiScaleRoIAlign(["2", "3", "4", "5"], output_size=7, sampling_ratio=2)
print(
    "a pyramid, each box from its level:", list(pooler(pyramid, [many[:, 1:]], [(800, 1088)]).shape)
)

# %% [markdown]
# ## Review
#
# Four questions, a point each. The check looks at the form only; they are marked when you hand in. Use your functions, or paper.
#
# **Question 1.** Stride 32. RoIPool pools the box (100, 72, 290, 215). At how many **different** cells of the map does it look, all bins together? (A whole number.)

# %% solve="cells_looked_at"
### BEGIN SOLUTION
cells_looked_at = (9 - 3 + 1) * (7 - 2 + 1)
### END SOLUTION

# %% check="cells_looked_at"
check("cells_looked_at", cells_looked_at)

# %% [markdown]
# **Question 2.** A large box, 7 × 7 bins, RoIAlign with `sampling_ratio` 2. At most how many cells of one channel get a gradient from this box?

# %% solve="cells_with_gradient"
### BEGIN SOLUTION
cells_with_gradient = 49 * 4 * 4
### END SOLUTION

# %% check="cells_with_gradient"
check("cells_with_gradient", cells_with_gradient)

# %% [markdown]
# **Question 3.** Mask R-CNN's table 2c once more. To what does RoIAlign owe its gain over RoIPool?
#
# | | rounds the box | between the cells | of the values | mask AP |
# |---|---|---|---|---|
# | RoIPool | yes | no | largest | 26.9 |
# | RoIWarp | yes | bilinear | largest | 27.2 |
# | RoIWarp | yes | bilinear | mean | 27.1 |
# | RoIAlign | no | bilinear | largest | 30.2 |
# | RoIAlign | no | bilinear | mean | 30.3 |
#
# - **A** to the bilinear interpolation
# - **B** to the mean instead of the largest value
# - **C** to the box that is not rounded
# - **D** to the larger number of points

# %% solve="what_made_it"
### BEGIN SOLUTION
what_made_it = "C"
### END SOLUTION

# %% check="what_made_it"
check("what_made_it", what_made_it)

# %% [markdown]
# **Question 4.** A pyramid with levels 2 to 5. From which level is a box of 320 × 80 pixels pooled? (A whole number.)

# %% solve="level_of_a_box"
### BEGIN SOLUTION
level_of_a_box = 3
### END SOLUTION

# %% check="level_of_a_box"
check("level_of_a_box", level_of_a_box)

# %% [markdown]
# ## Further reading
#
# - Girshick, *Fast R-CNN*, ICCV 2015, section 2.1: RoIPool; section 2.3: its gradient.
# - He et al., *Mask R-CNN*, ICCV 2017, section 3 and tables 2c and 2d.
# - Jiang et al., *Acquisition of Localization Confidence for Accurate Object Detection* (IoU-Net), ECCV 2018, section 3.3: Precise RoI Pooling.
# - Lin et al., *Feature Pyramid Networks for Object Detection*, CVPR 2017, equation 1.
# - Dai et al., *Instance-aware Semantic Segmentation via Multi-task Network Cascades*, CVPR 2016: RoIWarp.
# - `course_lib/pooling/`: begin with `quantised.py` and `align.py`; the functions that end in `_plain` are made to be read.
#
# **Hand in** this notebook, saved, under its own name: `05_roi_pooling.ipynb`. Next: the network has looked at a hundred thousand places, and nearly all of them are background. Who gets heard?
