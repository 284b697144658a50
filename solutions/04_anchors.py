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
# # 04 · Anchors
#
# A network that looks for objects has a problem before it has seen anything. In one picture there are two sheep, in the next one a bird, three cars and a tree. How many boxes should it answer with, and which answer belongs to which object?
#
# The idea of this lesson is a trick that turns the question round. Lay a hundred thousand boxes over the picture, the same ones every time. Now the network only has to say of each of them: *is there something here, and how would I have to move and stretch this box to fit it?* These boxes are the **anchors**.
#
# **After this lesson you can**
#
# - say why a detector starts from boxes that have nothing to do with the picture;
# - make them: sizes, aspect ratios that keep the area, a grid, a pyramid of grids, and count them;
# - decide with two thresholds which anchors must find something, which must say "nothing", and which are left in peace;
# - turn a box into four small numbers and back, and explain the division, the logarithm and the limit in it;
# - let k-means choose the anchors for a dataset, and measure whether it helped.
#
# You need lesson 01 (IoU), and PyTorch to the point where `a[:, None] + b` is no surprise. It takes about two and a half hours, best in two sittings; a good place for the break is marked, and so is what you may leave out.

# %% [markdown]
# **How to work.** Run the cells from the top (Shift+Enter). Where a function says `raise NotImplementedError`, it is your turn. The check below it tells you at once what is wrong and why. `hint("base_anchors")` opens a hint, once more opens the next. From lesson 01 you have `box_iou(boxes1, boxes2)`: here it is imported. The long cells that draw need not be read: run them, and look at the picture.
#
# | | you write | points |
# |---|---|---|
# | 1 | `base_anchors` | 3 |
# | 2 | `grid_anchors` | 3 |
# | 3 | `match_anchors` | 4 |
# | 4 | `encode_boxes` | 2 |
# | 5 | `decode_boxes` | 2 |
# | 6 | `shape_iou` | 2 |
# | | four questions at the end | 4 |

# %%
import math

import matplotlib.pyplot as plt
import torch

from autograde import check, hint
from course_lib import anchors as library
from course_lib import draw
from course_lib.boxes import box_iou
from course_lib.data import CLASSES, evaluation_set, scene
from course_lib.explore import anchors_explorer
from course_lib.losses import smooth_l1_loss
from course_lib.matching import objectness_labels, sample_balanced


def plain(answer):
    """Whatever your functions answer in (numpy, float64, ...) as a float32 tensor, for the pictures."""
    return torch.as_tensor(answer).float()


meadow = scene(11)
names = [CLASSES[label] for label in meadow.labels]
pale = meadow.image // 2 + 127

# %% [markdown]
# ## See it
#
# Five objects. The smallest is 15 pixels wide, the largest 142. To the right is what a detector does with the picture: its convolutions shrink it, 16 times here, to a **feature map**. One place of that map sees one patch of the picture, and gives one answer about it.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained")
draw.draw_boxes(meadow.image, meadow.boxes, names, colors=draw.TRUTH, ax=axes[0])
axes[0].set_title("what should be found")
draw.draw_boxes(meadow.image, meadow.boxes, colors=draw.TRUTH, ax=axes[1])
y, x = torch.meshgrid(torch.arange(15) * 16, torch.arange(20) * 16, indexing="ij")
axes[1].plot(x.flatten(), y.flatten(), "o", ms=3.5, color=draw.ANCHOR, mec="k", mew=0.4)
axes[1].set_title("where the network gives an answer")
draw.show(
    fig,
    "Left: five objects. Right: 15 rows of 20 locations, 16 pixels apart; the network answers at "
    "each orange dot.",
    meadow.alt + " Blue boxes around a balloon, a bird, a cat, a tree and a car; "
    "on the right a regular grid of dots over the same picture.",
)

# %% [markdown]
# So the answers come from a fixed grid, and every dot must be ready for every object. What sizes? Here are the objects of 60 such pictures.

# %%
scenes = evaluation_set()  # 60 pictures, which we also use at the end
truths = torch.cat([s.boxes[~s.crowd] for s in scenes])  # one box for a whole flock: left out
sides = truths[:, 2:] - truths[:, :2]  # (width, height) of each object, [435, 2]
fig, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
ax.loglog(sides[:, 0], sides[:, 1], "o", ms=4, color=draw.TRUTH, alpha=0.5, mew=0)
for ratio, at, shift, name in [
    (0.5, 110, 0.72, "twice as wide as high"),
    (1, 165, 1.12, "square"),
    (2, 12, 1.1, "twice as high as wide"),
]:
    ax.plot([5, 300], [5 * ratio, 300 * ratio], "--", color="0.5", lw=1)
    ax.text(at, at * ratio * shift, name, rotation=45, rotation_mode="anchor", fontsize=8)
ticks = [10, 20, 50, 100, 200]
ax.set(
    xlabel="width, pixels", ylabel="height, pixels", xlim=(8, 260), ylim=(8, 260), aspect="equal"
)
ax.set(xticks=ticks, xticklabels=ticks, yticks=ticks, yticklabels=ticks)
ax.minorticks_off()
draw.show(
    fig,
    f"{len(sides)} objects of 60 pictures, on logarithmic axes: sizes differ by a factor of "
    f"{sides.prod(1).sqrt().max() / sides.prod(1).sqrt().min():.0f}, shapes by "
    f"{(sides[:, 1] / sides[:, 0]).max() / (sides[:, 1] / sides[:, 0]).min():.1f}.",
    "Scatter plot of heights over widths, from about 10 to 200 pixels, along the line of squares, "
    "with lines for shapes twice as wide and twice as high.",
)

# %% [markdown]
# Would you ask one and the same formula for a box of 15 pixels and for one of 142, from nothing but the features at a dot? It can be done, but it is hard to learn: the network must guess the scale before it can guess the box. And it says one thing at each dot. Where a cat sits in front of a car, it can say only one of them.
#
# **Anchors** divide the work. At every dot stand several boxes of different sizes and shapes, and each has a small predictor of its own. The predictor of the wide 128-pixel anchor only ever deals with objects that look like it. It starts from a good guess and predicts a *correction*.
#
# In the explorer an anchor that must find an object is **positive** (green), one that should say nothing is **negative**, and those in doubt are **ignored** (grey). Guess first, then look:
#
# 1. It opens with two objects that no anchor answers for. Which ones? Click on a dot next to one of them: why does none of its nine anchors fit?
# 2. Press **all found**. Which two settings changed? What did it cost in anchors?
# 3. **Squares only** needs a third of the anchors, and still misses nothing. Compare the number of positives.
# 4. Press **0.7 and 0.3**, then **… and rescued**. What does the switch for low-quality matches do?

# %%
anchors_explorer()

# %% [markdown]
# (Number 2: the size and the stride; four times as many anchors. Number 3: 48 positives instead of 125, with thresholds of 0.55 and 0.45: fewer teachers for every object. Number 4: at 0.7 only one object keeps an anchor. The switch gives every object at least its best one. You will build all of it. One difference: the explorer puts its dots into the middles of the cells. We will start at the corner of the picture, as torchvision does.)
#
# ## Boxes of every shape
#
# An anchor is described by two numbers. Its **size** $s$ is the side of the square that it would be. Its **aspect ratio** $r$ is **height over width**. Changing the ratio should not change the area, or size and shape would be mixed up:
#
# $$\frac{h}{w} = r \quad\text{and}\quad h \cdot w = s^2 \qquad\Rightarrow\qquad h = s\sqrt{r}, \qquad w = \frac{s}{\sqrt{r}}$$

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
for ax, r in zip(axes, [0.5, 1.0, 2.0]):
    w, h = 64 / math.sqrt(r), 64 * math.sqrt(r)
    square, box = torch.tensor([[-32.0, -32, 32, 32]]), torch.tensor([[-w, -h, w, h]]) / 2
    ax.set(xlim=(-60, 60), ylim=(60, -60))
    draw.draw_boxes(None, square, colors=draw.IGNORED, ax=ax, size=(10, 10))
    draw.draw_boxes(None, box, colors=draw.ANCHOR, ax=ax)
    ax.plot(0, 0, "+", color="k")
    ax.set(xlim=(-60, 60), ylim=(60, -60), title=f"r = {r}: {w:.1f} × {h:.1f} = {w * h:.0f}")
draw.show(
    fig,
    "Size 64, three aspect ratios: width × height is 4,096 each time. Grey: the square.",
    "A wide, a square and a tall box around one point, each with a grey square of the same area.",
)

# %% [markdown]
# ### Exercise 1 · `base_anchors`
#
# Make the anchors of one location, around the point (0, 0): **every size with every ratio**.
#
# **By hand first.** Size 64, ratio 2: √2 ≈ 1.414, so h ≈ 90.5 and w ≈ 45.3. Half of each to every side: (−22.6, −45.3, 22.6, 45.3). Rounded to whole pixels: (−23, −45, 23, 45). And for ratio 1/2? The same, lying down.
#
# - Each row is x1, y1, x2, y2. **Round the corners**, not the sides, to the nearest whole pixel; 16.5, in the middle, becomes 16, the even one, as `torch.round` does it. (A habit of torchvision. Other libraries leave the fractions.)
# - The order is **ratio by ratio**: all sizes of the first ratio, then all sizes of the second. For sizes 32, 64 and ratios 0.5, 1: (32, 0.5), (64, 0.5), (32, 1), (64, 1).
#
# You get two lists of numbers and return a tensor [A, 4], with A sizes times ratios.


# %% solve="base_anchors"
def base_anchors(sizes, aspect_ratios):
    """Anchors [A, 4] around (0, 0), in whole pixels: every size with every ratio, ratio by ratio."""
    ### BEGIN SOLUTION
    rows = []
    for ratio in aspect_ratios:
        for size in sizes:
            h, w = size * math.sqrt(ratio), size / math.sqrt(ratio)
            rows.append([-w / 2, -h / 2, w / 2, h / 2])
    return torch.tensor(rows).round()
    ### END SOLUTION


# %% check="base_anchors"
check("base_anchors", base_anchors)

# %% [markdown]
# Your nine anchors, put on one dot of the picture:

# %%
sizes, ratios = (32, 64, 128), (0.5, 1.0, 2.0)
nine = plain(base_anchors(sizes, ratios))
dot = torch.tensor([256.0, 128.0])
there = nine + dot.repeat(2)
fits = box_iou(there, meadow.boxes[3:4])[:, 0]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
for k, ax in enumerate(axes):  # ratio by ratio: three anchors each
    mine = slice(3 * k, 3 * k + 3)
    draw.draw_boxes(pale, meadow.boxes[3:4], colors=draw.TRUTH, ax=ax, linewidth=3)
    draw.draw_boxes(None, there[mine], colors=draw.ANCHOR, ax=ax, linewidth=1.6)
    ax.plot(*dot, "o", color="w", mec="k")
    ax.set(
        xlim=(140, 360), ylim=(240, 20), title=f"ratio {ratios[k]}: best IoU {fits[mine].max():.2f}"
    )
draw.show(
    fig,
    f"One dot, nine anchors (orange), a panel for each ratio. The best one overlaps the tree (blue) "
    f"with IoU {fits.max():.2f}. Anchors may leave the picture.",
    "Three times the same tree and a point on it, with three sizes of wide, of square and of tall "
    "boxes around the point.",
)

# %% [markdown]
# ## A grid of them
#
# The same anchors stand at every location. How far apart? By the **stride**: the factor by which the network has shrunk the picture. Location (row, column) of the feature map lies at x = column · stride, y = row · stride **in the picture**. An anchor is always written in pixels of the picture, although the grid comes from the feature map.

# %%
little = torch.tensor([[-9.0, -4.0, 9.0, 4.0], [-4.0, -7.0, 4.0, 7.0]])
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
number = 0
ax.set(xlim=(-12, 52), ylim=(28, -12))
draw.draw_boxes(None, little[:0], ax=ax, size=(30, 50))
for row in range(2):
    for column in range(3):
        place = torch.tensor([column, row, column, row]) * 20.0
        shades = [draw.ANCHOR, draw.PREDICTION]
        draw.draw_boxes(None, little + place, colors=shades, ax=ax)
        ax.plot(*place[:2], "o", color="k", ms=4)
        ax.text(place[0] + 9.5, place[1] + 0.5, str(number), color="#8a5a00", fontsize=11)
        ax.text(place[0] + 0.6, place[1] - 7.6, str(number + 1), color=draw.PREDICTION, fontsize=11)
        number += 2
ax.set(xlim=(-14, 56), ylim=(30, -14), xlabel="x, pixels", ylabel="y, pixels")
draw.show(
    fig,
    "A feature map of 2 rows and 3 columns, stride 20, two anchors a location: twelve anchors, "
    "numbered in the order that we need.",
    "Six points in two rows of three, each with a wide and a tall box, numbered row by row, the "
    "two boxes of a point one after the other.",
)

# %% [markdown]
# ### Exercise 2 · `grid_anchors`
#
# **By hand first.** One base anchor, (−8, −4, 8, 4), on 2 rows and 3 columns, stride 16. The location in row 1, column 2 (counted from 0) is the point x = 32, y = 16. Its anchor: (−8 + 32, −4 + 16, 8 + 32, 4 + 16) = (24, 12, 40, 20). It is the last of six.
#
# The order matters, because the network gives its answers in the same one: **row by row** from the top, from left to right in a row, and the A anchors of a location together.
#
# `grid` is (H, W): rows first, as in the shape of an array. Return a tensor of boxes, [H·W·A, 4]. Loops or broadcasting, both get full points. Here and in exercises 4 and 5 the answer has the dtype of the input (float64 stays float64), and no boxes at all give [0, 4].


# %% solve="grid_anchors"
def grid_anchors(base, grid, stride):
    """The base anchors [A, 4] around every location of a grid (H, W): [H*W*A, 4]."""
    ### BEGIN SOLUTION
    H, W = grid
    y, x = torch.meshgrid(torch.arange(H) * stride, torch.arange(W) * stride, indexing="ij")
    centres = torch.stack([x, y, x, y], dim=-1)  # [H, W, 4]
    return (centres[:, :, None] + base).reshape(-1, 4)  # [H, W, A, 4] -> [H*W*A, 4]
    ### END SOLUTION


# %% check="grid_anchors"
check("grid_anchors", grid_anchors)

# %% [markdown]
# Count them. Faster R-CNN (Ren et al., 2015) takes a picture of 600 × 800 pixels; its feature map has a stride of 16, which makes 38 rows and 50 columns (600 / 16, rounded up). Three sizes and three ratios:

# %%
theirs = plain(base_anchors((128, 256, 512), ratios))
all_of_them = plain(grid_anchors(theirs, (38, 50), 16))
print(f"38 · 50 · {len(theirs)} = {len(all_of_them):,} anchors in one picture")
middle = slice((19 * 50 + 25) * 9, (19 * 50 + 26) * 9)  # those of the location in the middle
border = (all_of_them[:, :2] < 0).any(1) | (all_of_them[:, 2:] > torch.tensor([800, 600])).any(1)
dots = plain(grid_anchors(torch.zeros(1, 4), (38, 50), 16))
picture = torch.tensor([[0.0, 0.0, 800.0, 600.0]])
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
for k, ax in enumerate(axes):
    three = all_of_them[middle][3 * k : 3 * k + 3]
    draw.draw_boxes(None, three, colors=draw.ANCHOR, ax=ax, size=(600, 800))
    ax.plot(dots[:, 0], dots[:, 1], ".", ms=1, color="0.55", zorder=1)
    draw.draw_boxes(None, picture, colors="black", ax=ax, linewidth=1)
    ax.set(xlim=(-60, 860), ylim=(690, -90), title=f"ratio {ratios[k]}")
draw.show(
    fig,
    f"All 1,900 locations of a picture (black), and the nine anchors of one. Of all anchors {border.float().mean():.0%} "
    "reach over the border, like the tallest one here; Faster R-CNN leaves those out when it learns.",
    "An area of 800 by 600 pixels full of dots, three times, with three large wide, square and tall "
    "boxes around the middle dot.",
)

# %% [markdown]
# ### A pyramid of grids
#
# Should a cat of 15 × 19 pixels and a tree of 81 × 104 be looked for on the same grid? Later detectors use several feature maps, a **pyramid** with L levels: fine grids with small anchors, coarse grids with large ones. RetinaNet (Lin et al., 2017) has five, with strides 8, 16, 32, 64, 128 and sizes of four times the stride. At every location there are 3 ratios in 3 sizes: $s$ itself and two steps on the way to the next level's, $2^{1/3}s$ and $2^{2/3}s$.

# %%
levels = list(
    zip((8, 16, 32, 64), (24, 48, 96, 192))
)  # stride and size of each level, our pictures
fig, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
for ax, (stride, size) in zip(axes.flat, levels):
    (grid,) = library.pyramid_grids(meadow.size, [stride])
    dots = plain(grid_anchors(torch.zeros(1, 4), grid, stride))
    centre = dots[(grid[0] // 2) * grid[1] + grid[1] // 2]
    draw.draw_boxes(
        pale, plain(base_anchors((size,), ratios)) + centre, colors=draw.PREDICTION, ax=ax
    )
    ax.plot(dots[:, 0], dots[:, 1], "o", ms=2 + stride / 16, color="k", mew=0)
    ax.set(xlim=(0, 320), ylim=(240, 0), title=f"stride {stride}: {grid[0]} × {grid[1]}")
draw.show(
    fig,
    "Four levels of a pyramid: each has its own grid, and anchors of one size in three ratios.",
    "The same picture four times, with ever fewer, larger dots and ever larger boxes.",
)

print("RetinaNet, 800 × 800 pixels, 9 anchors a location")
total = 0
for stride in (8, 16, 32, 64, 128):
    (grid,) = library.pyramid_grids((800, 800), [stride])
    count = len(grid_anchors(torch.zeros(9, 4), grid, stride))
    total += count
    print(f"  stride {stride:3}: {grid[0]:3} × {grid[1]:3} locations  {count:7,} anchors")
print(f"  all levels: {total:,}")

# %% [markdown]
# Remember that number: **more than 100,000 anchors** for a handful of objects. Three quarters of them are on the finest level. More anchors fit better, and every one of them costs time: this is one place where detectors trade speed for accuracy.
#
# ## Who answers for what?
#
# For training each anchor needs a task. The measure is its IoU with the objects, and there are **two thresholds**:

# %%
fig, ax = plt.subplots(figsize=(8.4, 1.7), layout="constrained")
for left, right, colour, words in [
    (0, 0.4, draw.ANCHOR, "negative, −1\n“nothing here”"),
    (0.4, 0.5, draw.IGNORED, "ignored\n−2"),
    (0.5, 1, draw.OVERLAP, "positive, number of the truth\n“there is something, and it lies …”"),
]:
    ax.barh(0, right - left, left=left, color=colour, alpha=0.35, ec=colour, lw=1.5)
    ax.text((left + right) / 2, 0, words, ha="center", va="center", fontsize=9)
ax.set(xlim=(0, 1), yticks=[], xticks=[0, 0.4, 0.5, 1], xlabel="highest IoU with any object")
ax.set_xticklabels(["0", "low = 0.4", "   high = 0.5", "1"])
ax.spines[:].set_visible(False)
draw.show(
    fig,
    "What an anchor has to learn, with RetinaNet's thresholds. At a threshold it belongs to the "
    "upper side.",
    "A bar from IoU 0 to 1 in three parts: negative up to 0.4, ignored up to 0.5, positive above.",
)

# %% [markdown]
# Why the band in between? An anchor with IoU 0.45 shows a good part of an object, and much beside it. Calling it background would punish the network for seeing the object; calling it positive asks for a large correction. So it is left out of the loss. (Faster R-CNN uses 0.7 and 0.3: a wide band.)
#
# ### Exercise 3 · `match_anchors`
#
# The largest of the six. Write it in two steps, and run the check after the first: the cases without low-quality matches should pass by then.
#
# **Step 1: the thresholds.** By hand first. Two truths P and Q, rows 0 and 1; five anchors; thresholds 0.7 and 0.3. An anchor looks down its **column** for its best truth (bold):
#
# | IoU | anchor 0 | anchor 1 | anchor 2 | anchor 3 | anchor 4 |
# |---|---|---|---|---|---|
# | truth P | **0.8** | **0.5** | 0.1 | 0 | 0.4 |
# | truth Q | 0.1 | 0.1 | **0.2** | **0.6** | **0.6** |
# | answer | 0 | −2 | −1 | −2 | −2 |
#
# *At least* the high threshold is positive, *below* the low one is negative. An image without truths (`iou` is [0, N]) makes every anchor negative.
#
# **Step 2: the low-quality rule**, if `allow_low_quality`. In the table nobody answers for Q: it would never be learned. So look along the **row** of each truth for its best IoU, here 0.8 and 0.6. Every anchor that reaches it becomes positive, however low it is; **ties are all taken**:
#
# | | anchor 0 | anchor 1 | anchor 2 | anchor 3 | anchor 4 |
# |---|---|---|---|---|---|
# | answer with the rule | 0 | −2 | −1 | 1 | 1 |
#
# - The rule makes an anchor positive, and no more: it still answers for **its own best truth**. If anchor 4 had 0.65 with P, its answer would be 0, not 1.
# - Every truth lifts, whoever answers for it already.
# - A best IoU of 0 lifts nobody.
#
# Return a tensor [N] of whole numbers.


# %% solve="match_anchors"
def match_anchors(iou, high, low, allow_low_quality):
    """For each anchor: number of its truth, -1 (negative) or -2 (ignored). IoU [M, N] to [N]."""
    ### BEGIN SOLUTION
    if len(iou) == 0:
        return torch.full((iou.shape[1],), -1)
    quality, truth = iou.max(dim=0)  # [N]: each anchor's best truth
    matches = truth.clone()
    matches[quality < high] = -2
    matches[quality < low] = -1
    if allow_low_quality:
        best = iou.amax(dim=1, keepdim=True)  # [M, 1]: each truth's best anchor
        lifted = ((iou == best) & (best > 0)).any(dim=0)
        matches[lifted] = truth[lifted]
    return matches
    ### END SOLUTION


# %% check="match_anchors"
check("match_anchors", match_anchors)

# %% [markdown]
# Your matching, on the picture with your nine anchors and stride 16:


# %%
def laid(stride):
    """Your nine anchors at every location of the meadow."""
    (grid,) = library.pyramid_grids(meadow.size, [stride])
    return plain(grid_anchors(plain(base_anchors(sizes, ratios)), grid, stride))


def matched(iou, high, low, rescue):
    return torch.as_tensor(match_anchors(iou, high, low, rescue)).long()


anchors = laid(16)  # [15 * 20 * 9, 4]
table = box_iou(meadow.boxes, anchors)  # a row for each truth, a column for each anchor
at = (anchors[:, :2] + anchors[:, 2:]) / 2  # the location of each anchor
fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.4), layout="constrained")
said = []
for ax, (high, low, rescue) in zip(axes, [(0.5, 0.4, False), (0.5, 0.4, True), (0.7, 0.3, True)]):
    found = matched(table, high, low, rescue)
    draw.draw_boxes(pale, meadow.boxes, colors=draw.TRUTH, ax=ax)
    ax.plot(*at[found == -2].T, "o", color=draw.IGNORED, ms=4)
    ax.plot(*at[found >= 0].T, "o", color=draw.OVERLAP, ms=6.5, mec="k", mew=0.5)
    mine = found == torch.arange(len(names))[:, None]  # which anchors answer for which truth
    counts = mine.sum(dim=1).tolist()
    best = (table * mine).argmax(dim=1)[mine.any(dim=1)]
    draw.draw_boxes(None, anchors[best], colors=draw.OVERLAP, ax=ax, linewidth=1.6)
    said.append(", ".join(f"{name} {count}" for name, count in zip(names, counts)))
    ax.set(xlim=(0, 320), ylim=(240, 0))
    ax.set_title(f"{high} and {low}, low quality {'on' if rescue else 'off'}", fontsize=10)
    ax.set_xlabel(f"{sum(counts)} positive, {int((found == -2).sum())} ignored", fontsize=9)
draw.show(
    fig,
    "A green dot: a location with a positive anchor. Grey: one with an ignored anchor. Green boxes: "
    f"the best positive of each object. How many positives? Left: {said[0]}. "
    f"Middle: {said[1]}. Right: {said[2]}.",
    "The picture three times. On the left bird and cat have no green box; in the middle every "
    "object has one; on the right there are fewer green dots and many more grey ones.",
)

# %% [markdown]
# On the left two objects have nobody. The bird (37 × 22) misses the threshold by a hair, its best IoU is 0.49. The cat (15 × 19) is far off: your smallest anchor is 32. In the middle the rule has rescued both, the cat with anchors that overlap it by 0.28. These have a hard task, but a hard task is better than none.
#
# ### A dozen against thousands
#
# Look at the counts.

# %%
anchors = laid(16)
found = matched(box_iou(meadow.boxes, anchors), 0.5, 0.4, True)
labels = objectness_labels(found)  # 1 object, 0 background, -1 ignored
chosen, beside = sample_balanced(labels, 256, 0.5, torch.Generator().manual_seed(0))
kinds = {"positive": labels == 1, "ignored": labels == -1, "negative": labels == 0}
fig, axes = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained")
shades = [draw.OVERLAP, draw.IGNORED, draw.ANCHOR]
for ax, among, title in [
    (axes[0], torch.ones(len(labels), dtype=torch.bool), "all anchors of the picture"),
    (axes[1], chosen | beside, "a balanced sample of 256"),
]:
    bars = [int((mask & among).sum()) for mask in kinds.values()]
    ax.barh(list(kinds), bars, color=shades)
    for row, count in enumerate(bars):
        ax.text(count, row, f" {count:,}", va="center", fontsize=10)
    ax.set(title=title, xlim=(0, max(bars) * 1.18))
    ax.invert_yaxis()
positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
draw.show(
    fig,
    f"{positive} positives and {negative:,} negatives: always saying *nothing here* would be right "
    f"{negative / (positive + negative):.1%} of the time. The sample keeps every positive and "
    f"{int(beside.sum())} of the negatives.",
    "Bars of the numbers of positive, ignored and negative anchors, in the picture and in a sample.",
)

# %% [markdown]
# A loss over all of them would hear the negatives only. Faster R-CNN's answer is **balanced sampling**: in every step take 256 anchors of a picture at random, at most half of them positive, and fill up with negatives. With 37 positives that makes 37 + 219. (`course_lib.matching.sample_balanced` does it. Lesson 06 has another answer, which needs no sampling: the focal loss.)
#
# *(A good place for a break. When you come back, run the cells from the top.)*
#
# ## Offsets, not coordinates
#
# A positive anchor has a truth. What should the network predict? Not x1, y1, x2, y2. A network of convolutions sees the same bird in the same way wherever it flies: it **cannot know** the coordinates. What it can see is how the bird lies *relative to the anchor*. So it predicts the way from the anchor to the truth. Look at two such pairs:

# %%
small = torch.tensor([[20.0, 28.0, 40.0, 48.0], [24.0, 23.0, 52.0, 43.0]])
large = 4 * small
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, (anchor, truth) in zip(axes, (small, large)):
    both = torch.stack([anchor, truth])
    draw.draw_boxes(None, both, colors=[draw.ANCHOR, draw.TRUTH], ax=ax, size=(210, 230))
    start, end = ((b[:2] + b[2:]) / 2 for b in (anchor, truth))
    tip = {
        "arrowstyle": "-|>",
        "lw": 1.2,
        "mutation_scale": 7,
        "shrinkA": 0,
        "shrinkB": 0,
        "fc": "k",
    }
    ax.annotate("", end.tolist(), start.tolist(), arrowprops=tip)
    dx, dy = (end - start).tolist()
    side = float(anchor[2] - anchor[0])
    ax.set_title(f"centre: {dx:+.0f} and {dy:+.0f} pixels", fontsize=10)
    ax.set_xlabel(f"in sides of the anchor: {dx / side:+.2f} and {dy / side:+.2f}")
draw.show(
    fig,
    "Orange: the anchor. Blue: the truth. A small and a large pair that look alike. In pixels the ways differ by four; in widths and "
    "heights of the anchor they are the same.",
    "Two plots with an orange anchor and a blue truth to its upper right, one four times as large.",
)

# %% [markdown]
# **Divide by the anchor's size**, and objects of all sizes ask for the same numbers. The way from the anchor (a) to the truth:
#
# $$d_x = \frac{x - x_a}{w_a}, \qquad d_y = \frac{y - y_a}{h_a}, \qquad d_w = \ln\frac{w}{w_a}, \qquad d_h = \ln\frac{h}{h_a}$$
#
# with (x, y) the **centre** and w, h the sides. Why the logarithm?

# %%
q = torch.linspace(0.2, 5, 200)
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3), layout="constrained")
axes[0].plot(q, q.log(), color=draw.TRUTH, lw=2.5)
for value, words in [
    (0.25, "a quarter"),
    (0.5, "half"),
    (1, "the same"),
    (2, "twice"),
    (4, "4 times"),
]:
    axes[0].plot([value, value, 0], [-2, math.log(value), math.log(value)], ":", color="0.6", lw=1)
    axes[0].plot(value, math.log(value), "o", color=draw.ANCHOR)
    axes[0].annotate(
        words, (value, math.log(value)), (6, -11), textcoords="offset points", fontsize=8
    )
axes[0].set(
    xlabel="w / w of the anchor", ylabel="dw", xlim=(0, 5), ylim=(-1.9, 1.9), title="there: ln"
)
d = torch.linspace(-3, 6, 200)
axes[1].semilogy(d, d.exp().clamp(max=1000 / 16), color=draw.TRUTH, lw=2.5)
axes[1].semilogy(d, d.exp(), "--", color=draw.PREDICTION, lw=1.5)
axes[1].axhline(1000 / 16, color="0.6", lw=1, ls=":")
axes[1].text(-2.9, 75, "62.5 times", fontsize=9)
axes[1].set(xlabel="dw", ylabel="w / w of the anchor", title="and back: exp, with a limit")
draw.show(
    fig,
    "Left: half and twice lie equally far from 0. Right: exp of whatever the network says is a "
    "positive width; from 4.14 on the limit (blue) departs from exp (dashed).",
    "The curve of the logarithm with points at a quarter, half, one, two and four; "
    "and the curve of the exponential on a logarithmic axis, cut off at 62.5.",
)

# %% [markdown]
# - An anchor that fits already gets **0, 0, 0, 0**: the easiest thing for a network to say.
# - *Twice as wide* and *half as wide* are mistakes of the same kind: +0.69 and −0.69. As plain quotients they would be +1 and −0.5 away from 1.
# - On the way back there is exp, and **no prediction can ever give a negative width**.
#
# ### Exercise 4 · `encode_boxes`
#
# **By hand first**, the small pair above. The anchor (20, 28, 40, 48) has its centre at (30, 38) and sides of 20. The truth (24, 23, 52, 43) has its centre at (38, 33) and sides 28 and 20.
#
# - dx = (38 − 30) / 20 = 0.4, dy = (33 − 38) / 20 = −0.25;
# - dw = ln(28 / 20) ≈ 0.336, dh = ln(20 / 20) = 0.
#
# Last, each column is **multiplied by a weight**: dx by the first, and so on. RetinaNet uses (1, 1, 1, 1), which changes nothing; Fast R-CNN (10, 10, 5, 5), because its deltas are small numbers. It starts from **proposals**, boxes that an earlier step took for possible objects, and they lie closer than anchors. So the names are torchvision's: `reference_boxes` are the truths, `proposals` the boxes to start from, here the anchors; row n belongs to row n. Return a tensor [N, 4] in the dtype of the input; no boxes at all give [0, 4].


# %% solve="encode_boxes"
def encode_boxes(reference_boxes, proposals, weights=(1, 1, 1, 1)):
    """Deltas [N, 4] (dx, dy, dw, dh) from each proposal [N, 4] to its reference box [N, 4]."""
    ### BEGIN SOLUTION
    size = reference_boxes[:, 2:] - reference_boxes[:, :2]  # [N, 2]
    size_a = proposals[:, 2:] - proposals[:, :2]
    centre = reference_boxes[:, :2] + size / 2
    centre_a = proposals[:, :2] + size_a / 2
    deltas = torch.cat([(centre - centre_a) / size_a, (size / size_a).log()], dim=1)
    return deltas * deltas.new_tensor(weights)
    ### END SOLUTION


# %% check="encode_boxes"
check("encode_boxes", encode_boxes)

# %% [markdown]
# All positives of the picture, in pixels and in your deltas:


# %%
def positives_and_owners():
    """The positive anchors [P, 4] at stride 16, and for each the number of its object [P]."""
    anchors = laid(16)
    found = matched(box_iou(meadow.boxes, anchors), 0.5, 0.4, True)
    return anchors[found >= 0], found[found >= 0]


starts, owners = positives_and_owners()
deltas = plain(encode_boxes(meadow.boxes[owners], starts))
way = (meadow.boxes[owners] - starts).reshape(-1, 2, 2).mean(1)  # of the centres
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for k, name in enumerate(names):
    mine = owners == k
    style = {"ms": 6, "color": draw.PALETTE[k], "mec": "k", "mew": 0.4, "label": name}
    axes[0].plot(way[mine, 0], way[mine, 1], "os^vD"[k], **style)
    axes[1].plot(deltas[mine, 0], deltas[mine, 1], "os^vD"[k], **style)
axes[0].set(xlabel="pixels to the right", ylabel="pixels down", title="in pixels")
axes[1].set(xlabel="dx", ylabel="dy", title="in sides of the anchor")
for ax in axes:
    ax.invert_yaxis()
axes[0].legend(frameon=False, fontsize=8)
draw.show(
    fig,
    f"From each positive anchor to the centre of its object. On the left up to "
    f"{way.abs().max():.0f} pixels, the more the larger the object; on the right all within "
    f"{deltas[:, :2].abs().max():.2f}.",
    "Two scatter plots of the ways to the centre; in pixels the large objects spread more, in "
    "deltas all spread alike.",
)

# %% [markdown]
# ### Exercise 5 · `decode_boxes`
#
# The way back: what the network says about an anchor becomes a box.
#
# $$x = x_a + d_x w_a, \qquad y = y_a + d_y h_a, \qquad w = w_a e^{d_w}, \qquad h = h_a e^{d_h}$$
#
# **By hand first.** Anchor (20, 28, 40, 48), deltas (0.4, −0.25, 0.336, 0). Centre: 30 + 0.4 · 20 = 38 and 38 − 0.25 · 20 = 33. Width 20 · e^0.336 ≈ 28, height 20. Corners: (38 − 14, 33 − 10, 38 + 14, 33 + 10) = (24, 23, 52, 43). There it is again.
#
# Three things on the way, in this order:
#
# - **divide** by the weights;
# - **limit dw and dh** (not dx and dy) to at most the argument `bbox_xform_clip`. Use the argument itself, not a number of your own: its default is ln(1000/16), and 4.135 would be too rough. A network that has not learned anything yet may well say dw = 100, and e^100 is more pixels than there are atoms in a mountain. From below no limit is needed;
# - corners at the end: return a tensor [N, 4], xyxy, in the dtype of the input; no boxes at all give [0, 4].


# %% solve="decode_boxes"
def decode_boxes(rel_codes, boxes, weights=(1, 1, 1, 1), bbox_xform_clip=4.135166556742356):
    """Boxes [N, 4] to which the deltas [N, 4] lead from the anchors `boxes` [N, 4]."""
    ### BEGIN SOLUTION
    deltas = rel_codes / rel_codes.new_tensor(weights)
    size_a = boxes[:, 2:] - boxes[:, :2]  # [N, 2]
    centre_a = boxes[:, :2] + size_a / 2
    centre = centre_a + deltas[:, :2] * size_a
    size = size_a * deltas[:, 2:].clamp(max=bbox_xform_clip).exp()
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)
    ### END SOLUTION


# %% check="decode_boxes"
check("decode_boxes", decode_boxes)

# %% [markdown]
# A detector that learns: at first it says nothing but zeros, later half of the right way, at last all of it. What your function makes of that:

# %%
starts, owners = positives_and_owners()
deltas = plain(encode_boxes(meadow.boxes[owners], starts))
fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.2), layout="constrained")
fits = []
for ax, share in zip(axes, [0.0, 0.5, 1.0]):
    moved = plain(decode_boxes(share * deltas, starts))
    draw.draw_boxes(pale, meadow.boxes, colors=draw.TRUTH, ax=ax, linewidth=3)
    for x1, y1, x2, y2 in moved.tolist():
        ax.add_patch(
            plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=draw.PREDICTION, zorder=4)
        )
    fit = box_iou(moved, meadow.boxes)[torch.arange(len(owners)), owners].mean()
    fits.append(f"{fit:.2f}")
    ax.set(xlim=(0, 320), ylim=(240, 0), title=f"{share:.0%} of the deltas")
draw.show(
    fig,
    f"The positive anchors (orange-red) move to their objects (blue). "
    f"Their mean IoU: {', then '.join(fits)}.",
    "The picture three times: scattered boxes, boxes closer to the objects, boxes exactly on them.",
)

# %% [markdown]
# ### How wrong is a delta? Smooth L1
#
# *(You may leave this part out, and come back when lesson 07 asks for a loss of boxes.)*
#
# The network's deltas are compared with yours. With which loss? The **squared** error has a slope that grows with the error: one hopeless anchor shouts louder than all others. The **absolute** error has the same slope everywhere, also a hair's breadth from the goal, where it should calm down. **Smooth L1** takes the best of both, with a switch at β:
#
# $$\text{smooth}_\beta(e) = \begin{cases} e^2 / (2\beta) & |e| < \beta \\ |e| - \beta/2 & \text{otherwise}\end{cases}$$

# %%
e = torch.linspace(-3, 3, 601, requires_grad=True)
curves = {
    "absolute, |e|": (e.abs(), "0.75", "-", 8),
    "smooth L1, β = 1": (
        smooth_l1_loss(e, torch.zeros_like(e), beta=1.0, reduction="none"),
        draw.TRUTH,
        "-",
        4,
    ),
    "squared, e²/2": (e**2 / 2, draw.PREDICTION, "--", 1.8),
    "smooth L1, β = 1/9": (
        smooth_l1_loss(e, torch.zeros_like(e), beta=1 / 9, reduction="none"),
        "k",
        "-.",
        1.5,
    ),
}  # where two of them coincide, the thinner one lies upon the thicker one
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.1), layout="constrained")
for name, (loss, colour, style, width) in curves.items():
    (slope,) = torch.autograd.grad(loss.sum(), e)
    axes[0].plot(e.detach(), loss.detach(), style, color=colour, lw=width, label=name)
    axes[1].plot(e.detach(), slope, style, color=colour, lw=width)
axes[0].set(title="loss", xlabel="error e of a delta", ylim=(-0.1, 3))
axes[1].set(title="its slope: how hard it pulls", xlabel="error e of a delta")
axes[0].legend(frameon=False, fontsize=8)
draw.show(
    fig,
    "Squared error pulls ever harder, absolute error always equally hard. Smooth L1 (β = 1 in Fast "
    "R-CNN, 1/9 in many versions of Faster R-CNN) pulls hard far away and gently near the goal.",
    "Four curves of losses and of their slopes. The slopes of smooth L1 are straight lines through "
    "0 that stay at 1 and −1 beyond β.",
)

# %% [markdown]
# Only **positive** anchors take part in it: a negative one has no box that it could be compared with. The other loss asks *object or not*. It hears positives and negatives; ignored anchors are in neither loss.
#
# ## Break it
#
# **Turn the thresholds.** Predict first: as the high threshold rises from 0.3 to 0.8, what happens to the number of positives, and what to the objects without any? (Low-quality matches are off, both thresholds are equal.)

# %%
steps = [0.3 + 0.025 * k for k in range(21)]
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3), layout="constrained")
for stride, colour, style in [
    (8, draw.TRUTH, "-"),
    (16, draw.ANCHOR, "--"),
    (32, draw.PREDICTION, ":"),
]:
    iou = box_iou(meadow.boxes, laid(stride))
    runs = [matched(iou, t, t, False) for t in steps]
    axes[0].semilogy(
        steps, [max(int((r >= 0).sum()), 0.5) for r in runs], style, color=colour, lw=2.5
    )
    missing = [len(names) - len(r[r >= 0].unique()) for r in runs]
    axes[1].plot(steps, missing, style, color=colour, lw=2.5, label=f"stride {stride}")
axes[0].set(xlabel="threshold", title="positive anchors (at the bottom: none)")
axes[1].set(xlabel="threshold", title="objects without an anchor, of five", ylim=(-0.2, 5.2))
axes[1].legend(frameon=False)
draw.show(
    fig,
    "A low threshold gives many positives, most of them poor; a high one leaves objects without. "
    "A finer grid (smaller stride) gives more positives at every threshold. But one object, the "
    "cat, stays without at all three strides: it needs smaller anchors, not more of them.",
    "Left, falling curves of the number of positives for strides 8, 16 and 32. Right, rising "
    "curves of the number of objects without an anchor.",
)

# %% [markdown]
# **Sizes that do not belong to the pictures.** Faster R-CNN's 128, 256 and 512 were made for photographs of 600 pixels and more. On our meadow, with a stride of 8:

# %%
(grid,) = library.pyramid_grids(meadow.size, [8])
for chosen_sizes in [(128, 256, 512), (32, 64, 128), (16, 32, 64)]:
    boxes = plain(grid_anchors(plain(base_anchors(chosen_sizes, ratios)), grid, 8))
    best = box_iou(meadow.boxes, boxes).amax(dim=1)
    row = "  ".join(f"{name} {value:.2f}" for name, value in zip(names, best.tolist()))
    print(f"{chosen_sizes!s:16} best IoU:  {row}")

# %% [markdown]
# No sizes serve all: what helps the cat hurts the car. **Anchors are settings**, and wrong settings cannot be learned away: a network never sees a positive example of an object that has no anchor.
#
# **And the order.** torchvision goes ratio by ratio, detectron2 size by size. Both are right. But load weights that were trained in one order into a network that uses the other, and every predictor gets somebody else's anchor. No error is raised; the boxes are nonsense. That is why the exercises are so particular about order.
#
# ## Use it: let the data choose
#
# YOLOv2 (Redmon and Farhadi, 2017) asked: why pick sizes by hand, when the boxes of the training pictures are there? Find k shapes such that every object is near one of them. That is **k-means**:
#
# 1. Take k of the objects' shapes (w, h) as centres.
# 2. Each object joins its nearest centre.
# 3. Each centre moves to the mean of those who joined. Back to 2, until nothing changes.
#
# What does *near* mean? In Euclidean distance, 10 pixels are 10 pixels: nothing for a car, half of a bird. The fair distance is **1 − IoU**, of boxes put on the same centre.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.2), layout="constrained")
for ax, (a, b), name in [
    (axes[0], ((20, 16), (30, 26)), "bird"),
    (axes[1], ((140, 90), (150, 100)), "car"),
]:
    first, second = (torch.tensor([-w / 2, -h / 2, w / 2, h / 2]) for w, h in (a, b))
    iou = (a[0] * a[1]) / (b[0] * b[1])
    draw.draw_overlap(
        first, second, ax=ax, names=("object", "anchor"), colors=(draw.TRUTH, draw.ANCHOR)
    )
    ax.set_title(f"{name}: Euclidean 14.1, 1 − IoU = {1 - iou:.2f}", fontsize=10)
draw.show(
    fig,
    "Both anchors are 10 pixels too wide and 10 too high. Euclidean distance cannot tell them "
    "apart; 1 − IoU can.",
    "A small box in one that is clearly larger, and a large box in one that is hardly larger.",
)

# %% [markdown]
# ### Exercise 6 · `shape_iou`
#
# The IoU of **every** shape in one list with **every** shape in another: [N, 2] and [M, 2], width and height each, to a table: return a tensor [N, M], in the dtype of the input; no shapes at all give [0, M]. All on one centre, so place does not count.
#
# **By hand first.** Wide, 40 × 10, and tall, 10 × 40. They share the smaller width and the smaller height: 10 · 10 = 100. Union: 400 + 400 − 100 = 700. IoU = 1/7 ≈ 0.14, although the areas are equal.


# %% solve="shape_iou"
def shape_iou(sizes1, sizes2):
    """IoU [N, M] of every (width, height) in [N, 2] with every one in [M, 2], on one centre."""
    ### BEGIN SOLUTION
    shared = torch.minimum(sizes1[:, None], sizes2).prod(dim=-1)  # [N, M]
    return shared / (sizes1.prod(dim=1)[:, None] + sizes2.prod(dim=1) - shared)
    ### END SOLUTION


# %% check="shape_iou"
check("shape_iou", shape_iou)

# %% [markdown]
# Now k-means, with your distance and with Euclid's. We learn the shapes from **other** pictures, a second series, so that the comparison at the end is fair.


# %%
def kmeans(shapes, k, distance, rounds=40):
    """k centres [k, 2] of the shapes [N, 2], the smallest first."""
    centres = shapes[torch.randperm(len(shapes), generator=torch.Generator().manual_seed(0))[:k]]
    for _ in range(rounds):
        nearest = distance(shapes, centres).argmin(dim=1)  # [N]
        groups = [shapes[nearest == i] for i in range(k)]
        centres = torch.stack([g.mean(0) if len(g) else c for g, c in zip(groups, centres)])
    return centres[centres.prod(dim=1).argsort()]


def far(shapes, centres):
    return 1 - plain(shape_iou(shapes, centres))


other_boxes = torch.cat([s.boxes[~s.crowd] for s in evaluation_set(seed=1)])
shapes = other_boxes[:, 2:] - other_boxes[:, :2]
fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.2), layout="constrained", sharey=True)
said = []
for ax, (distance, name) in zip(axes, [(torch.cdist, "Euclidean"), (far, "1 − IoU")]):
    centres = kmeans(shapes, 5, distance)
    mine = distance(shapes, centres).argmin(dim=1)
    for k in range(5):
        ax.plot(*shapes[mine == k].T, ".", color=draw.PALETTE[k + (k > 2)], ms=6, alpha=0.6)
    ax.plot(*centres.T, "X", color="k", mec="w", ms=11)
    fit = (1 - far(shapes, centres)).amax(dim=1)
    little = shapes.prod(1).sqrt() < 32
    said.append((fit.mean(), fit[little].mean()))
    ax.set(title=name, xlabel="width, pixels", xlim=(0, 200), ylim=(0, 200), aspect="equal")
axes[0].set_ylabel("height, pixels")
draw.show(
    fig,
    f"Five centres (crosses) for the same {len(shapes)} objects. Mean IoU with the best centre: "
    f"Euclidean {said[0][0]:.2f}, with 1 − IoU {said[1][0]:.2f}; for objects under 32 pixels "
    f"{said[0][1]:.2f} and {said[1][1]:.2f}.",
    "Two scatter plots of widths and heights in five colours. With 1 − IoU "
    "all crosses lie closer to the small objects.",
)

# %% [markdown]
# Did it help? The measure: the **recall of an anchor set**. Lay it over the 60 pictures. What share of the objects is overlapped by some anchor with an IoU of at least t? Everything below uses your functions.


# %%
def best_fit(base, stride=8):
    """For each object of the 60 pictures its highest IoU with any anchor, [435]."""
    laid, fits = {}, []
    for s in scenes:
        (grid,) = library.pyramid_grids(s.size, [stride])
        if grid not in laid:  # three sizes of pictures, so three grids
            laid[grid] = plain(grid_anchors(base, grid, stride))
        boxes = s.boxes[~s.crowd]
        fits.append(box_iou(boxes, laid[grid]).amax(dim=1))
    return torch.cat(fits)


def around_zero(wh):
    return torch.cat([-wh / 2, wh / 2], dim=1)


sets = {
    "9 of Faster R-CNN: 128, 256, 512": (
        plain(base_anchors((128, 256, 512), ratios)),
        ":",
        draw.IGNORED,
    ),
    "9 by hand: 32, 64, 128": (plain(base_anchors((32, 64, 128), ratios)), "--", draw.ANCHOR),
    "5 by k-means": (around_zero(kmeans(shapes, 5, far)), "-.", draw.UNION),
    "9 by k-means": (around_zero(kmeans(shapes, 9, far)), "-", draw.TRUTH),
}
asked = torch.linspace(0.2, 1, 81)
fig, ax = plt.subplots(figsize=(8.6, 3.6), layout="constrained")
print(f"{'':34}{'mean IoU':>9}{'recall at 0.5':>15}{'at 0.7':>9}")
for name, (base, style, colour) in sets.items():
    fit = best_fit(base)
    ax.plot(
        asked, [(fit >= t).float().mean() for t in asked], style, color=colour, lw=2.5, label=name
    )
    print(
        f"{name:34}{fit.mean():9.2f}{(fit >= 0.5).float().mean():15.1%}"
        f"{(fit >= 0.7).float().mean():9.1%}"
    )
ax.axvline(0.5, color="0.7", lw=1)
ax.set(xlabel="IoU that is asked for, t", ylabel="recall: share of the objects", ylim=(0, 1.02))
ax.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
draw.show(
    fig,
    "The recall of four anchor sets on 60 pictures that k-means has not seen, all at stride 8. The "
    "line marks the usual threshold for positives.",
    "Four falling curves. Nine anchors by k-means are highest nearly everywhere, those of Faster "
    "R-CNN far below all others.",
)

# %% [markdown]
# At the usual threshold of 0.5 five learned anchors offer more than nine chosen by hand, at nearly half the cost; at 0.7 they are level. Redmon and Farhadi found about the same on real photographs: 5 clusters reached a mean IoU of 61.0, the 9 of Faster R-CNN 60.9, and 9 clusters 67.2.
#
# *(You may leave out the next picture.)* How many should you take? More always fit better, but each one costs computing time and brings more negatives. YOLOv2 settled for 5:

# %%
ks = range(1, 13)
values = [(1 - far(sides, kmeans(shapes, k, far))).amax(dim=1).mean() for k in ks]
fig, ax = plt.subplots(figsize=(5.6, 2.8), layout="constrained")
ax.plot(ks, values, "o-", color=draw.TRUTH, lw=2)
ax.set(xlabel="k: anchors at each location", ylabel="mean IoU with the best shape", ylim=(0.3, 0.9))
draw.show(
    fig,
    "The first few anchors bring most. After that every further one brings less and costs as much.",
    "A curve that rises steeply for the first three or four anchors and then ever more slowly.",
)

# %% [markdown]
# A warning, so that the number does not fool you: recall says what the anchors *offer*, not what a detector finds. And it always rises with more anchors, a million would have 100%. It is good for one thing: to see, before you train for a day, whether some objects have no anchor at all.
#
# In practice: `course_lib.anchors` has `AnchorGenerator`, for whole pyramids, SSD's `default_boxes`, and `kmeans_anchors` with a better start. `course_lib.coding` and `course_lib.matching` have the rest. Names and meaning are torchvision's. (Some detectors do without anchors altogether: lessons 09 and 10.)
#
# ## Review
#
# Four questions, a point each. The check only looks at the form of your answer; it is marked when you hand in. Use your functions, or paper.
#
# **Question 1.** A detector takes pictures of 512 × 512 pixels. Its pyramid has strides 8, 16, 32, 64 and 128, and at every location 3 sizes and 3 ratios. How many anchors are there in all?

# %% solve="anchor_count"
### BEGIN SOLUTION
anchor_count = 9 * sum((512 // stride) ** 2 for stride in (8, 16, 32, 64, 128))
### END SOLUTION

# %% check="anchor_count"
check("anchor_count", anchor_count)

# %% [markdown]
# **Question 2.** An anchor is 40 pixels wide, its centre lies at x = 100. The network says dx = 0.25 and dw = 0.693 (all weights are 1). At which x is the **right edge** of the box? (To the pixel.)

# %% solve="decoded_edge"
### BEGIN SOLUTION
decoded_edge = 100 + 0.25 * 40 + 40 * 2.718281828**0.693 / 2
### END SOLUTION

# %% check="decoded_edge"
check("decoded_edge", decoded_edge)

# %% [markdown]
# **Question 3.** The thresholds are 0.7 and 0.3, low-quality matches are allowed. How many of the five anchors are positive?
#
# | IoU | anchor 0 | anchor 1 | anchor 2 | anchor 3 | anchor 4 |
# |---|---|---|---|---|---|
# | truth P | 0.75 | 0.40 | 0.05 | 0.20 | 0 |
# | truth Q | 0.10 | 0.20 | 0.25 | 0.25 | 0.15 |

# %% solve="positives"
### BEGIN SOLUTION
positives = 3
### END SOLUTION

# %% check="positives"
check("positives", positives)

# %% [markdown]
# **Question 4.** A bird of 10 × 10 pixels has an anchor of 20 × 20 as its nearest; a car of 200 × 200 has one of 210 × 210. Which of the two fits worse, says k-means?
#
# - **A** with 1 − IoU: both equally; with Euclidean distance: the bird's
# - **B** with 1 − IoU: the bird's; with Euclidean distance: both equally
# - **C** with 1 − IoU: the car's; with Euclidean distance: both equally
# - **D** the bird's, with either distance

# %% solve="fair_distance"
### BEGIN SOLUTION
fair_distance = "B"
### END SOLUTION

# %% check="fair_distance"
check("fair_distance", fair_distance)

# %% [markdown]
# ## Further reading
#
# - Ren et al., *Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks*, NeurIPS 2015: anchors, 0.7 and 0.3, the balanced sample.
# - Girshick, *Fast R-CNN*, ICCV 2015: smooth L1. The deltas are from appendix C of *R-CNN*, CVPR 2014.
# - Liu et al., *SSD: Single Shot MultiBox Detector*, ECCV 2016: anchors on several feature maps; there they are *default boxes*.
# - Redmon and Farhadi, *YOLO9000: Better, Faster, Stronger*, CVPR 2017, section 2: dimension clusters.
# - Lin et al., *Focal Loss for Dense Object Detection* (RetinaNet), ICCV 2017: 100,000 anchors, 0.5 and 0.4.
# - `course_lib/anchors.py`, `coding.py`, `matching.py`: you can read all of it now.
#
# **Hand in** this notebook, saved, under its own name: `04_anchors.ipynb`. Next: the network has found a region. How does it look into it, when its feature map is 16 times coarser than the picture?
