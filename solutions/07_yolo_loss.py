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
# # 07 · YOLO's loss
#
# Anchors ask a hundred thousand times: *is there something here?* In 2015 YOLO, *you only look once*, asked 98 times, and did it 45 times a second. It lays a coarse grid over the picture. Every cell says two boxes and one class, and that is all. One network, one look.
#
# How does a network learn to say this? By a loss that is hardly more than a sum of squares. But each of its five terms has a reason, and you will see what happens without it.
#
# **After this lesson you can**
#
# - write a scene into a grid, and read it from there again;
# - say which of a cell's predictors answers for an object, and why only one;
# - build the five-term loss, and say what λ_coord, λ_noobj and the square roots are for;
# - train a detector with your own loss and watch it learn, in about a minute;
# - tell where this design must fail, count it, and know what the next version did about it.
#
# You need IoU (lesson 01), NMS (02) and AP (03). Take two hours.

# %% [markdown]
# **How to work.** As before: run from the top, write where it says `raise NotImplementedError`, let the check tell you. `hint("encode_grid")` opens a hint. Until exercises 1 to 5 are solved, the cells that train say *not attempted yet*.
#
# | | you write | points |
# |---|---|---|
# | 1 | `encode_grid` | 3 |
# | 2 | `decode_grid` | 2 |
# | 3 | `responsible` | 3 |
# | 4 | `yolo_loss` | 4 |
# | 5 | `grid_candidates` | 2 |
# | 6 | `decode_v2` | 2 |
# | | four questions at the end | 4 |

# %%
from functools import cache

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import one_hot

from autograde import check, hint
from course_lib import draw
from course_lib.boxes import box_convert, box_iou, clip_boxes_to_image
from course_lib.data import Digits, Shapes
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.engine.budget import budget
from course_lib.explore import grid_explorer
from course_lib.models import yolo as library
from course_lib.models.yolo import YOLO, small_network, split_cells, who_answers
from course_lib.suppression import batched_nms

S, A = 8, 2  # our grid: 8 x 8 cells, two predictors each
train, valid = Shapes(1500, seed=0), Shapes(200, seed=1)  # pictures to learn from, and unseen ones
names = train.classes
K = len(names)


def plain(answer):
    """Whatever your functions answer in (numpy, float64, ...) as a float32 tensor."""
    return torch.as_tensor(answer).float()


def draw_grid(ax, cells, side=128):
    """Lines between cells x cells cells, over a picture."""
    for k in range(1, cells):
        ax.plot([0, side], [k * side / cells] * 2, color="w", lw=0.7, alpha=0.75)
        ax.plot([k * side / cells] * 2, [0, side], color="w", lw=0.7, alpha=0.75)
    ax.set(xlim=(0, side), ylim=(side, 0))


def fill_cell(ax, row, column, colour, cells=S, side=128):
    """Tint one cell."""
    step = side / cells
    ax.add_patch(plt.Rectangle((column * step, row * step), step, step, color=colour, alpha=0.45, lw=0))


# %% [markdown]
# ## See it
#
# 128 × 128 pixels, four shapes, and a grid of 8 × 8 cells over them. (The paper has 7 × 7 cells on 448 × 448 pixels.) **The cell that holds the centre of an object has to find it.** All other cells say *nothing here*, even those that the object covers.

# %%
picture, truth = valid[94]
boxes, labels = truth["boxes"], truth["labels"]
centres = (boxes[:, :2] + boxes[:, 2:]) / 2
fig, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
draw.draw_boxes(picture, boxes, [names[k] for k in labels], colors=draw.TRUTH, ax=axes[0])
axes[0].set_title("what should be found")
draw.draw_boxes(picture, boxes[:0], ax=axes[1])
draw_grid(axes[1], S)
for x, y in centres.tolist():
    fill_cell(axes[1], int(y // 16), int(x // 16), draw.UNION)
    axes[1].plot(x, y, "o", color=draw.TRUTH, mec="w", ms=6)
axes[1].set_title("who has to find it")
draw.show(
    fig,
    f"Left: {len(boxes)} objects. Right: the grid, the centres (dots), and the cells that answer "
    "for them (light blue). The other cells answer for nothing.",
    "A picture of coloured shapes with blue boxes; the same with a grid of 8 by 8, where the cells "
    "that hold a centre are tinted.",
)

# %% [markdown]
# Play with it first. Blue is the truth; 1 and 2 are what the chosen cell says. Guess, then look:
#
# 1. Press **both miss**. Neither box overlaps the object. Which of the two answers, and why that one? Now drag the other one onto the object.
# 2. Press **two in one cell**. One object is *lost*: nobody answers for it. Turn **S** up. When is it found again?
#
# The other buttons are about the loss; we come back to them.

# %%
grid_explorer()

# %% [markdown]
# (1: the one whose centre and size are closer. 2: as soon as a line of the grid runs between the two centres, at S = 5. You will build all of it. The explorer counts the two predictors from 1; in the code below they are 0 and 1.)
#
# ## What a cell says
#
# - **S** cells on a side; **A** predictors in each; **K** classes. (The paper calls the predictors *B*; in this course B counts images, and A what stands at one place, as with anchors.)
# - Each predictor says five numbers: the box **x, y, √w, √h** and a **confidence**.
# - Below them the cell says once, for all its predictors, **K** class probabilities.
#
# That makes A · 5 + K numbers. The paper has 2 · 5 + 20 = 30 of them in each of 49 cells.

# %%
fig, ax = plt.subplots(figsize=(9.4, 1.9), layout="constrained")
words = ["x", "y", "√w", "√h", "conf."] * A + [f"p({name})" for name in names]
shades = [draw.PALETTE[1]] * 5 + [draw.PALETTE[0]] * 5 + [draw.PALETTE[2]] * K
for k, (word, shade) in enumerate(zip(words, shades)):
    ax.add_patch(plt.Rectangle((k, 0), 0.94, 1, color=shade, alpha=0.45, lw=0))
    ax.text(k + 0.47, 0.5, word, ha="center", va="center", fontsize=8 if k < 10 else 7)
    ax.text(k + 0.47, -0.3, str(k), ha="center", va="center", fontsize=7, color="0.4")
for left, width, word in [(0, 5, "predictor 0"), (5, 5, "predictor 1"), (10, K, "the cell's classes")]:
    ax.text(left + width / 2, 1.35, word, ha="center", fontsize=9)
ax.set(xlim=(-0.1, 10.1 + K), ylim=(-0.6, 1.8))
ax.axis("off")
draw.show(
    fig,
    f"The numbers of one cell: {A} · 5 + {K} = {A * 5 + K}. The grid has {S} · {S} of them.",
    f"A row of {A * 5 + K} fields: five for the first predictor, five for the second, {K} for the "
    "classes.",
)

# %% [markdown]
# x and y say where **in its cell** the centre lies: 0 is the left or upper edge, 1 the other one. w and h are shares **of the whole picture**, because an object may be much larger than its cell. And why their roots? Wait for the loss.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4.1), layout="constrained")
example = torch.tensor([[64.0, 34.0, 104.0, 54.0]])
draw.draw_boxes(None, example, colors=draw.TRUTH, ax=axes[0], size=(128, 128))
for k in range(9):
    axes[0].axhline(16 * k, color="0.7", lw=0.7)
    axes[0].axvline(16 * k, color="0.7", lw=0.7)
fill_cell(axes[0], 2, 5, draw.UNION)
axes[0].plot(84, 44, "o", color=draw.TRUTH)
axes[0].set(xticks=range(0, 129, 16), yticks=range(0, 129, 16), title="the picture, in pixels")
axes[1].add_patch(plt.Rectangle((0, 0), 1, 1, color=draw.UNION, alpha=0.3, lw=0))
axes[1].plot(0.25, 0.75, "o", color=draw.TRUTH, ms=9)
axes[1].annotate("", (0.25, 0.75), (0, 0.75), arrowprops={"arrowstyle": "->", "lw": 1.6})
axes[1].annotate("", (0.25, 0.75), (0.25, 0), arrowprops={"arrowstyle": "->", "lw": 1.6})
axes[1].text(0.04, 0.83, "x = 0.25", fontsize=10)
axes[1].text(0.28, 0.4, "y = 0.75", fontsize=10)
axes[1].set(xlim=(-0.05, 1.05), ylim=(1.05, -0.05), aspect="equal", title="its cell: row 2, column 5")
draw.show(
    fig,
    "A box of 40 × 20 pixels with its centre at (84, 44). Cells are 16 pixels wide: 84 / 16 = 5.25 and 44 / 16 = 2.75.",
    "A box on a grid with the cell of its centre tinted; the cell enlarged, the centre a quarter "
    "from the left and three quarters from the top.",
)

# %% [markdown]
# ### Exercise 1 · `encode_grid`
#
# What should the network say about a scene? The **target** is laid out like an answer with one predictor: x, y, √w, √h, a 1 for *object*, and K places for the class, with a 1 at the right one. Cells without an object hold zeros.
#
# **By hand first.** The box above, class 1 of 4, in 128 × 128 pixels and 8 × 8 cells. Centre (84, 44), in cells (5.25, 2.75): column 5, row 2, and x = 0.25, y = 0.75. w = 40 / 128, h = 20 / 128; their roots are 0.559 and 0.395. So `target[2, 5]` is (0.25, 0.75, 0.559, 0.395, 1, 0, 1, 0, 0).
#
# - `size` is (height, width), as in `image.shape[-2:]`.
# - A centre on the line between two cells belongs to the **right or lower** one. On the right or lower border of the picture there is no further cell: it belongs to the last one, and x or y is 1.
# - **One object a cell.** If two centres share a cell, the **first in the list** is written and the other is left out.
#
# Return a tensor [S, S, 5 + K] in the dtype of `boxes`.


# %% solve="encode_grid"
def encode_grid(boxes, labels, size, S, num_classes):
    """Target [S, S, 5 + K] of boxes [N, 4] (xyxy, pixels) and labels [N]; size is (height, width)."""
    ### BEGIN SOLUTION
    height, width = size
    target = torch.zeros(S, S, 5 + num_classes, dtype=boxes.dtype)
    for (x1, y1, x2, y2), label in zip(boxes, labels):
        x, y = (x1 + x2) / 2 * S / width, (y1 + y2) / 2 * S / height  # in cells
        column, row = min(int(x), S - 1), min(int(y), S - 1)
        if target[row, column, 4] == 0:
            w, h = (x2 - x1) / width, (y2 - y1) / height
            target[row, column, :5] = torch.stack([x - column, y - row, w**0.5, h**0.5, x * 0 + 1])
            target[row, column, 5 + label] = 1
    return target
    ### END SOLUTION


# %% check="encode_grid"
check("encode_grid", encode_grid)

# %% [markdown]
# The scene from above, as your function writes it:

# %%
target = plain(encode_grid(boxes, labels, (128, 128), S, K))
fig, ax = plt.subplots(figsize=(5.4, 5.2), layout="constrained")
draw.draw_boxes(picture // 2 + 127, boxes[:0], ax=ax)
draw_grid(ax, S)
for row, column in (target[..., 4] > 0).nonzero().tolist():
    x, y, rw, rh = target[row, column, :4].tolist()
    fill_cell(ax, row, column, draw.UNION)
    ax.plot(16 * column + 16 * x, 16 * row + 16 * y, "o", color=draw.TRUTH, ms=4)
    name = names[int(target[row, column, 5:].argmax())]
    words = f"{name}\n({x:.2f}, {y:.2f})\n√w {rw:.2f} √h {rh:.2f}"
    ax.annotate(
        words, (16 * column + 8, 16 * row + 16), (0, -2), textcoords="offset points", ha="center",
        va="top", fontsize=7, bbox={"fc": "w", "ec": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip
draw.show(
    fig,
    f"Your target. {int(target[..., 4].sum())} of {S * S} cells hold an object; the others hold zeros.",
    "A grid over a pale picture; each cell with an object is tinted and has its numbers beside it.",
)

# %% [markdown]
# ### Exercise 2 · `decode_grid`
#
# The way back, for boxes: [S, S, A, 4] numbers x, y, √w, √h become [S, S, A, 4] boxes x1, y1, x2, y2.
#
# $$c_x = \frac{\text{column} + x}{S}\,W, \qquad c_y = \frac{\text{row} + y}{S}\,H, \qquad w = (\sqrt{w})^2\,W, \qquad h = (\sqrt{h})^2\,H$$
#
# **By hand first.** In cell (2, 5) of 8 × 8 a predictor says (0.25, 0.75, 0.559, 0.395), in 128 × 128 pixels. Centre: 5.25 · 16 = 84 and 2.75 · 16 = 44. Sides: 0.559² · 128 = 40 and 0.395² · 128 = 20. Box: (64, 34, 104, 54). There it is again.
#
# - A network that has not learned anything says all sorts of numbers: x = −3 (the centre is then in another cell), or −0.559 for a root. Take them as they are. Squared, a root below 0 is as good as one above. That is why YOLO's network gives **the root itself**: a side can never come out negative.
# - Do not cut anything off at the border. Return boxes in the dtype of the input.


# %% solve="decode_grid"
def decode_grid(boxes, size):
    """xyxy boxes [S, S, A, 4] in pixels from x, y, √w, √h of each cell; size is (height, width)."""
    ### BEGIN SOLUTION
    S = len(boxes)
    height, width = size
    index = torch.arange(S, dtype=boxes.dtype)
    x, y, root_w, root_h = boxes.unbind(-1)  # [S, S, A] each
    cx, cy = (x + index[None, :, None]) / S * width, (y + index[:, None, None]) / S * height
    w, h = root_w**2 * width, root_h**2 * height
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=-1)
    ### END SOLUTION


# %% check="decode_grid"
check("decode_grid", decode_grid)

# %% [markdown]
# What goes in should come out: encode the scene, decode it. And if the network's numbers are a little off?

# %%
target = plain(encode_grid(boxes, labels, (128, 128), S, K))
full = target[..., 4] > 0
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
fits = []
for ax, noise in zip(axes, [0, 0.05, 0.15]):
    said = target[..., None, :4] + noise * torch.randn(S, S, 1, 4, generator=torch.Generator().manual_seed(3))
    found = plain(decode_grid(said, (128, 128)))[full][:, 0]
    draw.draw_boxes(picture, boxes, colors=draw.TRUTH, ax=ax, linewidth=2.5)
    draw.draw_boxes(None, found, colors=draw.PREDICTION, ax=ax, linewidth=1.3)
    fits.append(box_iou(found, boxes).amax(dim=1).mean())
    word = f"off by about {noise}" if noise else "exact"
    ax.set_title(f"numbers {word}: mean IoU {fits[-1]:.2f}", fontsize=9)
draw.show(
    fig,
    "Encoded and decoded (orange-red) over the truth (blue). Left exactly, in the middle and on the right with noise in the numbers.",
    "The scene three times with blue and orange-red boxes, which coincide on the left and differ more and more.",
)

# %% [markdown]
# ## Who answers?
#
# A cell has A predictors and at most one object. If both predictors were told the same truth, they would become twins. So only **one** is told: the one that is **best already**. It gets better at this kind of object, the other one is left for other kinds. After a while the predictors *specialise*. (You will see it in your own detector.)
#
# Best means: the **highest IoU** with the truth, now, in this very step. At the start all boxes are tiny or far off, and every IoU may be 0. The paper does not say what happens then. Its code does: take the one that is **closest**, by the root of the mean squared error of four numbers (centre x, centre y, width, height).

# %%
truth_box = torch.tensor([[30.0, 34.0, 98.0, 82.0]])
stages = {
    "at the start": [[100.0, 84.0, 108.0, 90.0], [6.0, 4.0, 14.0, 10.0]],
    "later": [[44.0, 22.0, 76.0, 88.0], [40.0, 46.0, 110.0, 78.0]],
    "at the end": [[46.0, 26.0, 78.0, 92.0], [32.0, 33.0, 98.0, 84.0]],
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, (when, pair) in zip(axes, stages.items()):
    pair = torch.tensor(pair)
    (best,), (iou,) = library.responsible(pair[None], truth_box)
    draw.draw_boxes(None, truth_box, ["truth"], colors=draw.TRUTH, ax=ax, size=(112, 128))
    shown = [draw.PREDICTION if j == best else draw.IGNORED for j in range(2)]
    each = box_iou(pair, truth_box)[:, 0].tolist()
    draw.draw_boxes(None, pair, [f"{j}: {v:.2f}" for j, v in enumerate(each)], colors=shown, ax=ax)
    ax.set_title(f"{when}: predictor {int(best)} answers", fontsize=10)
draw.show(
    fig,
    "One cell's two boxes with their IoU. The orange-red one is responsible, the grey one is not. On the left both miss, and the closer one answers. It may change from step to step.",
    "Three plots of a blue box and two predicted boxes: first both tiny and beside it, then roughly right, then one close.",
)

# %% [markdown]
# ### Exercise 3 · `responsible`
#
# For M cells with an object: `boxes` [M, A, 4] are what each cell's predictors say, `truths` [M, 4] the objects, all xyxy. Which predictor answers, and how well does it fit?
#
# **By hand first.** The truth is (0, 0, 10, 10).
#
# - Boxes (0, 0, 10, 5) and (2, 2, 12, 12): IoU 50 / 100 = 0.5 and 64 / 136 = 0.47. The first answers: 0 and 0.5.
# - Boxes (20, 0, 30, 10) and (12, 12, 14, 14): both IoUs are 0. Errors of (cx, cy, w, h): (20, 0, 0, 0), mean square 100; and (8, 8, −8, −8), mean square 64. The second answers: 1 and 0.
#
# Of equal ones, in IoU or in error, take the **first**. The rule for zeros is only for cells in which **no** box overlaps the truth. `box_iou(boxes1, boxes2)` and `box_convert(boxes, "xyxy", "cxcywh")` are there for you.
#
# Return two tensors: `best` [M], whole numbers from 0 to A − 1, and `iou` [M].


# %% solve="responsible"
def responsible(boxes, truths):
    """For each cell the predictor [M] that answers, and its IoU [M]. boxes [M, A, 4], truths [M, 4]."""
    ### BEGIN SOLUTION
    best, iou = [], []
    for said, true in zip(boxes, truths):
        overlaps = box_iou(said, true[None])[:, 0]  # [A]
        off = box_convert(said, "xyxy", "cxcywh") - box_convert(true[None], "xyxy", "cxcywh")
        score = overlaps if overlaps.max() > 0 else -(off**2).mean(dim=1)
        best.append(int(score.argmax()))
        iou.append(float(overlaps[best[-1]]))
    return torch.tensor(best, dtype=torch.long), torch.tensor(iou)
    ### END SOLUTION


# %% check="responsible"
check("responsible", responsible)

# %% [markdown]
# Does it part the work? Let us ask before anything is learned. By chance one predictor says boxes that are a little smaller than the other's. Who would answer for the objects of 400 pictures?

# %%
shapes = torch.cat([train[i][1]["boxes"] for i in range(400)])
sides = shapes[:, 2:] - shapes[:, :2]
pair = torch.tensor([[-16.0, -14.0, 16.0, 14.0], [-20.0, -18.0, 20.0, 18.0]])
around_zero = torch.cat([-sides / 2, sides / 2], dim=1)
best, _ = responsible(pair.expand(len(sides), 2, 4), around_zero)
best = torch.as_tensor(best)
fig, ax = plt.subplots(figsize=(4.6, 4.1), layout="constrained")
for j, (colour, marker, word) in enumerate(
    [(draw.UNION, "s", "predictor 0 says 32 × 28"), (draw.PREDICTION, "^", "predictor 1 says 40 × 36")]
):
    chosen = best == j
    ax.plot(*sides[chosen].T, marker, ms=3.5, alpha=0.5, mew=0, color=colour, label=word)
    ax.plot(*sides[chosen].mean(0), "X", color=colour, mec="k", ms=13)
ax.set(xlabel="width, pixels", ylabel="height, pixels", aspect="equal", xlim=(8, 70), ylim=(8, 70))
ax.legend(frameon=False, fontsize=9, loc="upper left", markerscale=1.6)
draw.show(
    fig,
    f"{len(sides)} objects, each with the predictor that would answer for it. Crosses: the mean of those that a predictor answers for, and so what it learns to say. A small lead becomes a division of labour.",
    "Scatter plot of widths and heights along the diagonal: squares at the lower end, triangles at the upper one, with a cross in each.",
)

# %% [markdown]
# ## Five sums of squares
#
# Now the loss. 𝟙ᵒᵇʲ is 1 for a **responsible** predictor, 𝟙ⁿᵒᵒᵇʲ for **every other one**. Hats are the truth, and C is the **confidence**.
#
# $$
# \begin{aligned}
# &\lambda_{coord} \sum_{\text{cells}} \sum_{a} \mathbb{1}^{obj} \left[(x-\hat x)^2 + (y-\hat y)^2\right] && \text{centre}\\
# +\;&\lambda_{coord} \sum_{\text{cells}} \sum_{a} \mathbb{1}^{obj} \left[(\sqrt w-\sqrt{\hat w})^2 + (\sqrt h-\sqrt{\hat h})^2\right] && \text{size}\\
# +\;&\sum_{\text{cells}} \sum_{a} \mathbb{1}^{obj} \left(C-\text{IoU}\right)^2 && \text{object}\\
# +\;&\lambda_{noobj} \sum_{\text{cells}} \sum_{a} \mathbb{1}^{noobj} \left(C-0\right)^2 && \text{no object}\\
# +\;&\sum_{\text{cells with an object}} \;\sum_{k} \left(p(k)-\hat p(k)\right)^2 && \text{classes}
# \end{aligned}
# $$
#
# with $\lambda_{coord} = 5$ and $\lambda_{noobj} = 0.5$ (Redmon et al., 2016, equation 3).
#
# **Why these weights?** Our grid has 128 predictors, and a scene three or four objects. More than 120 predictors are told *say 0*, three are told *say your IoU*. If all counted alike, the quickest way to a small loss would be silence, everywhere. So the many are turned down, and the four numbers that make a box are turned up.
#
# **Why roots?** A box is 4 pixels too wide. Is that bad?

# %%
w = torch.linspace(6, 124, 200)
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.3), layout="constrained")
plain_cost = ((w + 4) / 128 - w / 128) ** 2
root_cost = (((w + 4) / 128).sqrt() - (w / 128).sqrt()) ** 2
axes[0].plot(w, 1 - w / (w + 4), color=draw.TRUTH, lw=2.5)
axes[0].set(xlabel="width of the object, pixels", ylabel="1 − IoU", title="what it does", ylim=(0, None))
axes[1].plot(w, plain_cost / plain_cost[-1], "--", color=draw.IGNORED, lw=2, label="w itself")
axes[1].plot(w, root_cost / root_cost[-1], color=draw.PREDICTION, lw=2.5, label="√w")
axes[1].set(xlabel="width of the object, pixels", ylabel="cost, widest object = 1", title="what it costs, by the square", yscale="log")
axes[1].legend(frameon=False)
draw.show(
    fig,
    "4 pixels too wide. Left: a small object suffers most. Right: squared errors of w do not know that; those of √w do. (Both are 1 for the widest object.)",
    "A falling curve of 1 − IoU over the width; a flat line for w and a falling curve for its root.",
)

# %% [markdown]
# The slope of √w is large where w is small. So the same 4 pixels count ten times more for a box of 10 pixels than for one of 120. It is a rough cure, "partially", as the paper says. (YOLOv2 takes a logarithm.)
#
# **Why IoU as the target of the confidence?** Because a confidence should say *how good* this box is, not only that something is there. It will decide which of several boxes survives NMS. The IoU counts as a **constant**: the confidence moves towards it, the box is not moved by it.
#
# **Go back to the explorer** for two more:
#
# 3. Press **too sure of nothing**. Which term of the loss is the largest? Turn λ_noobj down to 0.5, what does it do to that term?
# 4. Press **10 pixels too wide** and go through the objects. The mistake is the same, 10 pixels. For which object does it cost most?
#
# (3: the one of all the empty predictors; halving λ halves it. 4: the narrowest one.)
#
# ### Exercise 4 · `yolo_loss`
#
# `predictions` [B, S, S, A·5 + K] and `targets` [B, S, S, 5 + K] of B pictures. Two helpers are there:
#
# - `split_cells(predictions, num_boxes)` gives `boxes` [B, S, S, A, 4], `confidence` [B, S, S, A] and `classes` [B, S, S, K]. With `targets` and 1 it gives the true boxes [B, S, S, 1, 4], the object flag [B, S, S, 1] and the true classes;
# - `who_answers(boxes, true_boxes)` is the rule of exercise 3 for all cells at once: `best` and `iou`, [B, S, S] each, without a gradient. In cells without an object they mean nothing. (It is the library's, so that a slip above does not follow you here. For the training we take yours.)
#
# **By hand first.** One picture, one cell, two predictors, one class. Truth: (0.5, 0.5, 0.8, 0.8).
#
# | | x | y | √w | √h | confidence | IoU |
# |---|---|---|---|---|---|---|
# | predictor 0 | 0.5 | 0.5 | 0.8 | 0.7 | 0.6 | 0.49 / 0.64 = 0.766 |
# | predictor 1 | 0.1 | 0.1 | 0.1 | 0.1 | 0.4 | 0 |
#
# and p = 0.9. Predictor 0 answers. Centre 0. Size 5 · 0.1² = 0.05. Object (0.6 − 0.766)² = 0.0274. No object 0.5 · 0.4² = 0.08. Classes (0.9 − 1)² = 0.01.
#
# The numbers in the grid **are** roots already, and here their sign counts: both −0.559 and 0.559 *decode* to the same side, but in the loss a root of −0.559 is not as good as 0.559, and is pulled up. Confidences, too, are taken as they are, below 0 and above 1. Sum over cells and predictors, and take the **mean over the B pictures**: divide each sum by B. Return five tensors: centre, size, object, no_object, classes, weights included. A gradient must flow: no `.item()`, no `float()`.


# %% solve="yolo_loss"
def yolo_loss(predictions, targets, num_boxes=2, lambda_coord=5, lambda_noobj=0.5):
    """The five terms. predictions [B, S, S, A*5 + K], targets [B, S, S, 5 + K]."""
    ### BEGIN SOLUTION
    B = len(predictions)
    boxes, confidence, classes = split_cells(predictions, num_boxes)
    true_boxes, is_object, true_classes = split_cells(targets, 1)
    best, iou = who_answers(boxes, true_boxes)  # [B, S, S] each
    mine = one_hot(best, num_boxes) * is_object  # [B, S, S, A]: 1 where responsible
    off = (boxes - true_boxes) ** 2 * mine[..., None]  # [B, S, S, A, 4]
    centre = lambda_coord * off[..., :2].sum() / B
    size = lambda_coord * off[..., 2:].sum() / B
    with_object = ((confidence - iou[..., None]) ** 2 * mine).sum() / B
    no_object = lambda_noobj * (confidence**2 * (1 - mine)).sum() / B
    return centre, size, with_object, no_object, ((classes - true_classes) ** 2 * is_object).sum() / B
    ### END SOLUTION


# %% check="yolo_loss"
check("yolo_loss", yolo_loss)

# %% [markdown]
# What does your loss want? A network that says a confidence of 0.3 everywhere, and boxes near the truth where there is one. Minus the gradient is where each confidence is pulled:

# %%
target = plain(encode_grid(boxes, labels, (128, 128), S, K))
says = torch.full((1, S, S, A * 5 + K), 0.3)
says[0, ..., 0:4] = target[..., :4] + 0.08
says[0, ..., 5:9] = target[..., :4] - 0.2
says.requires_grad_()
terms = yolo_loss(says, target[None], A)
(slope,) = torch.autograd.grad(sum(terms), says)
pull = -slope[0, ..., [4, 9]]  # [S, S, A]
limit = float(pull.abs().max())
fig, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained", width_ratios=[1, 1, 1.1])
for j in range(A):
    shown = axes[j].imshow(pull[..., j], cmap="PuOr_r", vmin=-limit, vmax=limit)
    for row in range(S):
        for column in range(S):
            if pull[row, column, j] > 0:
                axes[j].text(column, row, "▲", ha="center", va="center", fontsize=8)
    axes[j].set(title=f"predictor {j}", xticks=[], yticks=[])
fig.colorbar(shown, ax=axes[:2], shrink=0.8, label="pull on the confidence")
values = [float(torch.as_tensor(term).detach()) for term in terms]
axes[2].barh(["centre", "size", "object", "no object", "classes"], values, color=draw.TRUTH)
axes[2].invert_yaxis()
axes[2].set(title="the five terms")
draw.show(
    fig,
    f"Left: {int((pull > 0).sum())} of {S * S * A} confidences are pulled up (▲), all others down, also those of the second predictors in the same cells. Right: what each term costs.",
    "Two maps of 8 by 8 cells with a few cells marked by triangles, and five bars.",
)

# %% [markdown]
# ## Reading the answer
#
# Of every predictor and every class we ask one number:
#
# $$\text{score} = P(\text{class} \mid \text{object}) \cdot \text{confidence}$$
#
# Sure of the class but not of an object: a low score. Sure of an object but not of the class: low as well.
#
# ### Exercise 5 · `grid_candidates`
#
# **By hand first.** A cell says confidences 0.8 and 0.1, and p = (0.1, 0.7, 0.2). Scores: 0.08, **0.56**, **0.16** for the first predictor and 0.01, 0.07, 0.02 for the second. Above a threshold of 0.1 there are two candidates: the same box once as class 1 with 0.56, and once as class 2 with 0.16.
#
# `cells` [S, S, A·5 + K] is the answer for one picture of `size`. Use `split_cells` and your `decode_grid` (or `library.decode_grid`, if yours is not right yet).
#
# - Every predictor with every class whose score is **above** `score_threshold` is a candidate.
# - A confidence below 0 counts as 0. Beyond 1 nothing is cut off.
# - Best first.
#
# Return three tensors: `boxes` [N, 4] in pixels, `scores` [N] and `labels` [N].


# %% solve="grid_candidates"
def grid_candidates(cells, size, num_boxes=2, score_threshold=0.05):
    """Boxes [N, 4], scores [N] and labels [N] of an answer [S, S, A*5 + K], best first."""
    ### BEGIN SOLUTION
    boxes, confidence, classes = split_cells(cells, num_boxes)
    scores = confidence.clamp(min=0)[..., None] * classes[..., None, :]  # [S, S, A, K]
    row, column, predictor, label = (scores > score_threshold).nonzero().unbind(1)
    found = scores[row, column, predictor, label]
    order = found.argsort(descending=True, stable=True)
    where = decode_grid(boxes, size)[row, column, predictor]
    return where[order], found[order], label[order]
    ### END SOLUTION


# %% check="grid_candidates"
check("grid_candidates", grid_candidates)

# %% [markdown]
# ## Watch it learn
#
# Everything is there. Below, the library's class `YOLO` brings a small network (ten convolutions, 0.6 million weights, nothing learned before) and **you** bring the arithmetic. A detector of this course is three things: what it says (`forward`, from `YOLO`), what that costs (`loss`), and how it is read (`detect`).


# %%
TERMS = ("centre", "size", "object", "no_object", "classes")


def my_who_answers(boxes, true_boxes):
    """`who_answers` with your `decode_grid` and your `responsible`, in the cells with an object."""
    whole, full = (1, 1), true_boxes[..., 0, 2] > 0  # [B, S, S]
    found = torch.stack([plain(decode_grid(said, whole)) for said in boxes.detach()])
    truth = torch.stack([plain(decode_grid(true, whole)) for true in true_boxes])[..., 0, :]
    best, iou = torch.zeros(full.shape, dtype=torch.long), torch.zeros(full.shape)
    mine, fits = responsible(found[full], truth[full])
    best[full], iou[full] = torch.as_tensor(mine).long(), plain(fits)
    return best, iou


def my_loss(cells, grids, *settings):
    """Your `yolo_loss` with `my_who_answers`, for this one call: your exercise keeps the library's."""
    global who_answers
    who_answers = my_who_answers
    try:
        return yolo_loss(cells, grids, *settings)
    finally:
        who_answers = library.who_answers


class MyYOLO(YOLO):
    """The library's network, your arithmetic."""

    def write(self, target, size):
        return plain(encode_grid(target["boxes"], target["labels"], size, self.S, self.num_classes))

    def read(self, cells, size):
        boxes, scores, labels = grid_candidates(cells, size, self.num_boxes, 0.02)
        return plain(boxes).reshape(-1, 4), plain(scores), torch.as_tensor(labels).long()

    def compare(self, cells, grids):
        return my_loss(cells, grids, self.num_boxes, self.lambda_coord, self.lambda_noobj)

    def loss(self, images, targets):
        batch, sizes = self.prepare(images)
        grids = torch.stack([self.write(target, size) for target, size in zip(targets, sizes)])
        return dict(zip(TERMS, self.compare(self(batch), grids)))

    @torch.no_grad()
    def detect(self, images):
        found = []
        batch, sizes = self.prepare(images)
        for cells, size in zip(self(batch), sizes):
            boxes, scores, labels = self.read(cells, size)
            boxes = clip_boxes_to_image(boxes, size)
            keep = batched_nms(boxes, scores, labels, 0.5)[:100]
            keep = keep[(boxes[keep, 2:] > boxes[keep, :2]).all(dim=1)]
            found.append({"boxes": boxes[keep], "scores": scores[keep].clamp(max=1), "labels": labels[keep]})
        return found


def learn(data, steps, kind=MyYOLO, progress="auto", **options):
    """A fresh detector of this kind that has learned for so many steps, and how that went."""
    torch.manual_seed(0)
    K = len(data.classes)
    detector = kind(small_network(5 * A + K), K, side=128, S=S, num_boxes=A, **options)
    image, target = data[0]
    detector.loss(image[None] / 255, [target])  # is everything written?
    config = FitConfig.of(detector, steps=budget(steps))
    return detector, fit(detector, data, config, progress=progress)


@cache  # trained once; the cells below ask for it again
def mine():
    return learn(train, 700)


# %% [markdown]
# About 45 seconds, on a laptop: 700 steps of 16 pictures, so each picture seven or eight times. A curve shows how far it is. (If you change a function later on, run the cell above once more: it forgets what was trained.)

# %%
detector, history = mine()
result = evaluate(detector, valid)
print(f"200 unseen pictures: AP {result['AP']:.3f}, AP50 {result['AP50']:.3f}")

# %% [markdown]
# What did the five terms do?

# %%
detector, history = mine()
values = torch.tensor([history.terms[name] for name in TERMS])  # [5, steps]
width = max(1, history.steps // 40)
values = values.unfold(1, width, 1).mean(-1)  # averaged over some steps
steps = torch.arange(values.shape[1]) + width
shades = [draw.TRUTH, draw.UNION, draw.OVERLAP, draw.IGNORED, draw.ANCHOR]
fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.stackplot(steps, 100 * values / values.sum(0), colors=shades, alpha=0.9, labels=[name.replace("_", " ") for name in TERMS])
ax.set(xlabel="step", ylabel="share of the loss, percent", xlim=(steps[0], max(steps[-1], steps[0] + 1)), ylim=(0, 100))
ax.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
draw.show(
    fig,
    "What the loss is made of, step by step. Places and sizes are learned first; the classes swell and shrink; in the end the two confidence terms, object and no object, are most of it.",
    "Five coloured bands from 0 to 100 percent over the steps: centre and size shrink, classes swell to "
    "about two fifths and shrink again, object and no object fill most of the right end.",
)

# %% [markdown]
# The classes come after the places: before a network can tell a triangle from a rectangle, it must have found it. After some hundred steps they are about two fifths of the loss, at the end a tenth. What remains are the **two confidence terms**, about four fifths. Why?
#
# - The object term hardly shrinks (see the live curve), because its target, the IoU, grows while the network learns.
# - In a cell with an object one predictor is told *say your IoU*, the other one *say 0*. Which is which is decided by a comparison with the truth, and the network does not know the truth. All it can do is to guess in between, and pay on both sides.
#
# Detections in pictures that it has never seen:

# %%
detector, _ = mine()
fig, axes = plt.subplots(2, 4, figsize=(11, 5.8), layout="constrained")
for ax, n in zip(axes.flat, [1, 2, 5, 8, 11, 14, 18, 19]):
    image, target = valid[n]
    (found,) = detector.detect(image[None] / 255)
    sure = found["scores"] > 0.3
    draw.draw_boxes(image, target["boxes"], colors=draw.TRUTH, ax=ax, linewidth=2.6)
    words = [f"{names[k]} {s:.2f}" for k, s in zip(found["labels"][sure], found["scores"][sure])]
    draw.draw_boxes(None, found["boxes"][sure], words, colors=draw.PREDICTION, ax=ax, linewidth=1.3)
draw.show(
    fig,
    "Blue: the truth. Orange-red: what your detector says with a score above 0.3.",
    "Eight pictures of shapes with blue boxes and labelled orange-red ones.",
)

# %% [markdown]
# How does an answer look before NMS? Every cell speaks up, and neighbours of the right cell often see the object, too:

# %%
detector, _ = mine()
image, target = valid[11]
(cells,) = detector(detector.prepare(image[None] / 255)[0]).detach()
raw_boxes, raw_scores, _ = detector.read(cells, (128, 128))
(found,) = detector.detect(image[None] / 255)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
confidence = split_cells(cells, A).confidence.amax(-1)
axes[0].imshow(confidence.clamp(0, 1), cmap="Blues", vmin=0, vmax=1, extent=(0, 128, 128, 0))
axes[0].plot(*((target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2).T, "o", color=draw.PREDICTION, mec="w")
axes[0].set(title="confidence of each cell", xticks=[], yticks=[])
draw.draw_boxes(image, raw_boxes.clamp(0, 128), colors=draw.IGNORED, ax=axes[1], linewidth=0.8)
axes[1].set_title(f"{len(raw_boxes)} candidates above 0.02")
draw.draw_boxes(image, found["boxes"], colors=draw.PREDICTION, ax=axes[2])
axes[2].set_title(f"{len(found['boxes'])} left by NMS in each class")
draw.show(
    fig,
    "From left to right: what the cells say (the dots are the true centres), all candidates, and what NMS leaves. The rest have low scores and do little harm to AP.",
    "A map of confidences with peaks at the centres; many grey boxes; few boxes.",
)

# %% [markdown]
# Two promises are open. Do the predictors **specialise**? And does the confidence know the **IoU**?


# %%
few = [valid[i] for i in range(len(valid))]  # the unseen pictures, painted once


@torch.no_grad()
def answers_on(detector, pictures):
    """A row for each object in the grid: its w, h; its answering predictor, IoU, confidence; class right?"""
    cells = detector(detector.prepare(torch.stack([image for image, _ in pictures]) / 255)[0])
    grids = torch.stack([detector.write(target, (128, 128)) for _, target in pictures])
    said, true = split_cells(cells, A), split_cells(grids, 1)
    best, iou = library.who_answers(said.boxes, true.boxes)
    confidence = said.confidence.gather(-1, best[..., None])[..., 0]
    right = said.classes.argmax(-1) == true.classes.argmax(-1)
    w, h = (128 * true.boxes[..., 0, 2:] ** 2).unbind(-1)
    full = true.confidence[..., 0] > 0
    return torch.stack([column[full].float() for column in (w, h, best, iou, confidence, right)], dim=1)


detector, _ = mine()
w, h, best, iou, confidence, _ = answers_on(detector, few).T
fig, axes = plt.subplots(1, 2, figsize=(9, 4.1), layout="constrained")
styles = [(draw.UNION, "s"), (draw.PREDICTION, "^")]
order = torch.randperm(len(w), generator=torch.Generator().manual_seed(0))
for part in order.chunk(40):  # in turn, so that neither colour covers the other
    for j, (colour, marker) in enumerate(styles):
        some = part[best[part] == j]
        axes[0].plot(w[some], h[some], marker, ms=4, alpha=0.6, mew=0, color=colour)
means = []
for j, (colour, marker) in enumerate(styles):
    axes[0].plot([], [], marker, ms=4, color=colour, label=f"predictor {j}")
    middle = w[best == j].mean(), h[best == j].mean()
    axes[0].plot(*middle, "X", color=colour, mec="k", ms=13)
    means.append(f"{middle[0]:.0f} × {middle[1]:.0f} pixels for predictor {j}")
axes[0].set(xlabel="width, pixels", ylabel="height, pixels", aspect="equal", title="who answers for whom")
axes[0].legend(frameon=False, markerscale=1.5)
axes[1].plot(iou, confidence, ".", color=draw.TRUTH, alpha=0.5, ms=5, mew=0)
axes[1].plot([0, 1], [0, 1], "--", color="0.5", lw=1)
axes[1].set(xlabel="IoU of the answering box", ylabel="its confidence", xlim=(0, 1), ylim=(-0.1, 1.1), aspect="equal")
draw.show(
    fig,
    f"Left: {len(w)} unseen objects and the predictor that answers for them; the crosses are the means, {' and '.join(means)}. Right: its confidence over its IoU; correlation {torch.corrcoef(torch.stack([iou, confidence]))[0, 1]:.2f}.",
    "Two scatter plots: widths and heights in two colours that mix, with a cross in each, and "
    "confidence over IoU, nearly all of it below the diagonal.",
)

# %% [markdown]
# **Do they specialise?** Yes, but it is a tendency and no border: the colours mix, and the means lie apart. How far apart changes from training to training: about 8 pixels in some of ours, 12 to 14 in others. Which of the two gets the small ones is chance.
#
# **Does the confidence know the IoU?** In part. It is higher where the box is better, but nearly all points lie **below** the diagonal: at an IoU of 0.85 it is about 0.5. That is no lack of training. The confidence is told the IoU only in those steps in which its predictor answers, and 0 in the others. The network cannot know which of the two it will be, so it learns the IoU *times the chance of being the one*.

# %% [markdown]
# ## Break it
#
# **Two in one cell.** One object a cell: who comes second is not in the target, and no training can find it. How often is that? Your `encode_grid` can count. In ordinary pictures, and in crowds of 8 to 12 small objects:


# %%
crowded = Shapes(100, seed=2, objects=(8, 12), sizes=(12, 28), min_visible=0.4)
crowd = [crowded[i] for i in range(len(crowded))]


def out_of_the_grid(pictures, cells):
    """How many objects of these pictures are not in the grid, and how many there are."""
    total = written = 0
    for _, target in pictures:
        grid = encode_grid(target["boxes"], target["labels"], (128, 128), cells, K)
        total, written = total + len(target["boxes"]), written + int(plain(grid)[..., 4].sum())
    return total - written, total


fine = [4, 5, 6, 7, 8, 10, 14, 20, 28]
lines = {"1 to 5 objects": (few, "-", draw.TRUTH), "8 to 12 small objects": (crowd, "--", draw.PREDICTION)}
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
said = []
for name, (pictures, style, colour) in lines.items():
    counts = [out_of_the_grid(pictures, cells) for cells in fine]
    ax.plot(fine, [100 * gone / all_of_them for gone, all_of_them in counts], style, marker="o", ms=4, color=colour, lw=2, label=name)
    gone, all_of_them = counts[fine.index(S)]
    said.append(f"{gone} of {all_of_them} with {name}")
ax.axvline(7, color="0.8", lw=1)
ax.text(7.1, ax.get_ylim()[1] * 0.9, "the paper", color="0.5", fontsize=8)
ax.set(xscale="log", xlabel="S: cells on a side", ylabel="lost, percent of the objects", xticks=fine, ylim=(0, None))
ax.set_xticklabels(fine)
ax.minorticks_off()
ax.legend(frameon=False)
draw.show(
    fig,
    f"Objects that share their cell with an earlier one. On our 8 × 8 cells: {'; '.join(said)}. A finer grid is not always better: its lines lie elsewhere, and two centres that were parted may meet again.",
    "Two curves of the share of lost objects over the number of cells; both fall, with small steps upward in between.",
)

# %% [markdown]
# Flocks of birds are worse still: *small objects that appear in groups*, says the paper about its own weakness. Does your detector find those that are not in the grid? It may: a neighbouring cell can overhear.

# %%
detector, _ = mine()
hit = {"in the grid": [], "not in the grid": []}
worst, most = 0, -1
finds = detector.detect(torch.stack([image for image, _ in crowd]) / 255)
for i, ((_, target), found) in enumerate(zip(crowd, finds)):
    boxes, labels = target["boxes"], target["labels"]
    cell = ((boxes[:, :2] + boxes[:, 2:]) / 2 / 16).long()
    number = (cell[:, 1] * S + cell[:, 0]).tolist()
    first = torch.tensor([c not in number[:k] for k, c in enumerate(number)])
    iou = box_iou(boxes, found["boxes"]) * (labels[:, None] == found["labels"]) * (found["scores"] > 0.2)
    seen = (iou > 0.5).any(dim=1)
    hit["in the grid"] += seen[first].tolist()
    hit["not in the grid"] += seen[~first].tolist()
    if int((~first).sum()) > most:
        worst, most, lost_ones = i, int((~first).sum()), ~first
image, target = crowd[worst]
fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", width_ratios=[1, 1])
draw.draw_boxes(image, target["boxes"][:0], ax=axes[0])
draw_grid(axes[0], S)
shades = [draw.PREDICTION if gone else draw.TRUTH for gone in lost_ones]
draw.draw_boxes(None, target["boxes"], ["lost" if gone else "" for gone in lost_ones], colors=shades, ax=axes[0])
axes[0].plot(*((target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2).T, "o", color="w", mec="k", ms=4)
bars = [100 * sum(seen) / max(len(seen), 1) for seen in hit.values()]
axes[1].bar(list(hit), bars, color=[draw.TRUTH, draw.PREDICTION], width=0.5)
for k, (value, seen) in enumerate(zip(bars, hit.values())):
    axes[1].text(k, value + 1, f"{value:.0f}% of {len(seen)}", ha="center")
axes[1].set(ylabel="found, percent", ylim=(0, 105))
draw.show(
    fig,
    "Left: the picture with most lost objects (orange-red); the dots are centres. Right: what your detector finds in all crowded pictures, right class, IoU above 0.5.",
    "A crowded picture with a grid; two bars, the one of the lost objects much lower.",
)

# %% [markdown]
# Is it all the grid's doing? Two other things make the crowd hard even for those that are in the grid: its objects are **smaller** than those your detector has learned from (about 17 pixels in the middle of the list, against 31), and they **overlap more**. So even the left bar is low. And of what lies between the two bars a part is the overlap's: who shares a cell with somebody is often half hidden by them.

# %% [markdown]
# **Take a piece out.** Four times a training from the same start: once as in the paper, and three times with one thing changed:
#
# - **λ_coord = 1** instead of 5;
# - **λ_noobj = 5** instead of 0.5: the crowd of the empty ones is turned up instead of down;
# - **no roots**: w and h are compared themselves.
#
# Predict first: which of these numbers goes down in which training? The IoU of all boxes, the IoU of the small ones, the confidence at objects.
#
# Four times 250 steps take about a minute.


# %%
class NoRoots(MyYOLO):
    """The size term compares w and h themselves. What the network says is still their root."""

    def compare(self, cells, grids):
        terms = list(super().compare(cells, grids))
        said, true = split_cells(cells, A).boxes, split_cells(grids, 1).boxes
        answering = one_hot(my_who_answers(said, true)[0], A) * grids[..., 4:5]
        off = (said[..., 2:] ** 2 - true[..., 2:] ** 2) * answering[..., None]
        terms[1] = self.lambda_coord * (off**2).sum() / len(cells)
        return terms


trials = {
    "as in the paper": (MyYOLO, {}),
    "λ_coord = 1": (MyYOLO, {"lambda_coord": 1}),
    "λ_noobj = 5": (MyYOLO, {"lambda_noobj": 5}),
    "no roots": (NoRoots, {}),
}


@cache
def without(name):
    kind, options = trials[name]
    print(f"{name}: a quarter of a minute ...", flush=True)
    return answers_on(learn(train, 250, kind, progress="none", **options)[0], few)


measures = {"IoU of all boxes": [], "IoU, smallest third": [], "IoU, largest third": [], "confidence at objects": []}
for name in trials:
    w, h, _, iou, confidence, _ = without(name).T
    area = w * h
    small, large = area <= area.quantile(1 / 3), area >= area.quantile(2 / 3)
    for row, values in zip(measures.values(), (iou, iou[small], iou[large], confidence)):
        row.append(float(values.mean()))
fig, axes = plt.subplots(1, 4, figsize=(11, 2.7), layout="constrained", sharey=True)
shades = [draw.TRUTH, draw.ANCHOR, draw.IGNORED, draw.ENCLOSING]
for ax, (word, row) in zip(axes, measures.items()):
    ax.barh(list(trials), row, color=shades)
    for place, value in enumerate(row):
        ax.text(max(value, 0) + 0.01, place, f"{value:.2f}", va="center", fontsize=9)
    ax.set(title=word, xlim=(0, max(max(row), 0.05) * 1.25), xticks=[])
    ax.spines[["top", "right", "bottom"]].set_visible(False)
axes[0].invert_yaxis()
draw.show(
    fig,
    "Each after 250 steps, on 200 unseen pictures: the answering box of every object in the grid.",
    "Four groups of four bars. With a small λ_coord all boxes are worse, without roots a little less so; "
    "with a large λ_noobj the confidence is far lower, without roots higher.",
)

# %% [markdown]
# What came out, and how sure is it? (The numbers are of one run; yours may differ a little.)
#
# - **λ_coord = 1**: all boxes are worse. The four numbers of a box have less say.
# - **λ_noobj = 5**: the confidence falls far down, silence pays. The boxes suffer, too: small ones from 0.70 to 0.66.
# - **no roots**: the small boxes lose, from 0.70 to 0.67. But here the large ones lose as much, from 0.81 to 0.78, and λ_noobj = 5 hurts the small ones no less. From two other starts the small ones lost 0.02 and 0.05, while the large ones stayed within 0.01. So the roots help the small ones, as promised, but **weakly**. And the confidence *rises*, from 0.39 to 0.54, which the roots do not promise at all: a change in one term moves the others, since all share one network.
#
# One training is one sample. Before you believe a difference of 0.03, train again from other starts.

# %% [markdown]
# ## Use it: the way on
#
# YOLOv2 (Redmon and Farhadi, 2017) keeps the grid and changes how a box is read from it. Each predictor gets an **anchor** (lesson 04; its sides by k-means), and
#
# $$c_x = (\sigma(t_x) + \text{column}) \cdot \text{stride}, \qquad c_y = (\sigma(t_y) + \text{row}) \cdot \text{stride}, \qquad w = p_w\,e^{t_w}, \qquad h = p_h\,e^{t_h}$$
#
# with the anchor's sides $p_w, p_h$ and the stride $W/S$ across, $H/S$ down. Compare the two ways to read a number:

# %%
t = torch.linspace(-4, 4, 161)
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.2), layout="constrained")
axes[0].axhspan(0, 1, color=draw.UNION, alpha=0.25, lw=0)
axes[0].plot(t, t, "--", color=draw.IGNORED, lw=2, label="v1: as it is")
axes[0].plot(t, t.sigmoid(), color=draw.PREDICTION, lw=2.5, label="v2: sigmoid")
axes[0].set(xlabel="what the network says", ylabel="x, in cells", ylim=(-2, 3), title="centre (the cell is tinted)")
axes[1].plot(t, t**2, "--", color=draw.IGNORED, lw=2, label="v1: squared, times the picture")
axes[1].plot(t, t.exp(), color=draw.PREDICTION, lw=2.5, label="v2: exp, times the anchor")
axes[1].set(xlabel="what the network says", ylabel="factor", yscale="log", ylim=(0.01, 60), title="side")
for ax in axes:
    ax.legend(frameon=False, fontsize=8)
draw.show(
    fig,
    "Left: with a sigmoid no centre leaves its cell, whatever the network says. Right: exp is never 0 and never turns back; 0 means “just the anchor”.",
    "A straight line and an S-shaped curve; a parabola and an exponential on a logarithmic axis.",
)

# %% [markdown]
# Two things are won. Early in training no prediction can run away to the other end of the picture. And each predictor begins with a shape of its own, so that they need not be left to specialise by luck. YOLOv3 and v4 read their boxes in the same way, on three grids of different fineness.
#
# ### Exercise 6 · `decode_v2`
#
# **By hand first.** 128 × 128 pixels, 8 × 8 cells, cell (2, 5), anchor 40 × 20. The network says (−1.0986, 1.0986, 0, 0.6931). σ(−1.0986) = 0.25 and σ(1.0986) = 0.75: centre (84, 44) once more. Sides: 40 · e⁰ = 40 and 20 · e^0.6931 = 40. Box: (64, 24, 104, 64).
#
# `raw` is [S, S, A, 4]; `anchors` [A, 2] are (width, height) **in pixels**, one for each predictor; `size` is (height, width). Return xyxy boxes [S, S, A, 4] in the dtype of `raw`, nothing cut off.


# %% solve="decode_v2"
def decode_v2(raw, anchors, size):
    """xyxy boxes [S, S, A, 4] in pixels from tx, ty, tw, th of each cell and anchors [A, 2]."""
    ### BEGIN SOLUTION
    S = len(raw)
    height, width = size
    index = torch.arange(S, dtype=raw.dtype)
    cx = (raw[..., 0].sigmoid() + index[None, :, None]) / S * width
    cy = (raw[..., 1].sigmoid() + index[:, None, None]) / S * height
    w, h = anchors[:, 0] * raw[..., 2].exp(), anchors[:, 1] * raw[..., 3].exp()  # [S, S, A]
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=-1)
    ### END SOLUTION


# %% check="decode_v2"
check("decode_v2", decode_v2)

# %% [markdown]
# A fresh network says small random numbers. How good are its boxes before it has learned anything? In every cell with an object, the better one of the two predictors:

# %%
anchors = torch.tensor([[40.0, 24.0], [24.0, 40.0]])
dice = torch.Generator().manual_seed(0)
start = {"v1": [], "v2": []}
for _, target in few:
    grid = plain(encode_grid(target["boxes"], target["labels"], (128, 128), S, K))
    full = grid[..., 4] > 0
    says = 0.3 * torch.randn(S, S, A, 4, generator=dice)
    truths = plain(decode_grid(grid[..., None, :4], (128, 128)))[full][:, 0]
    for name, found in [("v1", decode_grid(says, (128, 128))), ("v2", decode_v2(says, anchors, (128, 128)))]:
        start[name].append(library.responsible(plain(found)[full], truths)[1])
start = {name: torch.cat(values) for name, values in start.items()}
fig, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
bins = torch.linspace(0, 1, 21)
for name, colour, style in [("v1", draw.IGNORED, "--"), ("v2", draw.PREDICTION, "-")]:
    ax.stairs(start[name].histogram(bins).hist, bins, color=colour, lw=2, ls=style, label=f"{name}: mean {start[name].mean():.2f}")
ax.set(xlabel="IoU of the better box, before any training", ylabel="objects")
ax.legend(frameon=False)
draw.show(
    fig,
    "An anchor of a usual size, in the middle of the right cell, is a better first guess than a random box.",
    "Two histograms of IoU: v1 piles up near 0, v2 spreads to the right.",
)

# %% [markdown]
# ### Real handwriting
#
# The same code, other data: real digits, written by hand, ten classes, in chalk on a board. No digit of a test picture has been in a training picture. 600 steps, about 40 seconds.


# %%
@cache
def reader():
    return learn(Digits(1500), 600)


detector, _ = reader()
unseen = Digits(200, train=False)
result = evaluate(detector, unseen)
fig, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, n in zip(axes, [0, 2, 3, 4]):
    image, target = unseen[n]
    (found,) = detector.detect(image[None] / 255)
    sure = found["scores"] > 0.3
    words = [unseen.classes[k] for k in found["labels"][sure]]
    draw.draw_boxes(image, target["boxes"], colors=draw.TRUTH, ax=ax, linewidth=2.6)
    draw.draw_boxes(None, found["boxes"][sure], words, colors=draw.PREDICTION, ax=ax, linewidth=1.3)
draw.show(
    fig,
    f"Digits that nobody has shown to it: AP {result['AP']:.2f}, AP50 {result['AP50']:.2f}. Blue: the truth. Orange-red: what your detector says.",
    "Four pictures with handwritten digits in blue boxes and labelled orange-red ones.",
)

# %% [markdown]
# ### Full size
#
# `course_lib.models.yolo.yolov1()` is the network of the paper: 24 convolutions, two linear layers, 448 × 448 pixels. Where are its weights?

# %%
with torch.device("meta"):  # shapes without numbers: no memory is needed
    full_size = library.yolov1()
    answer = full_size(torch.zeros(1, 3, 448, 448))
weights = {"24 convolutions": 0, "first linear layer": 0, "second linear layer": 0}
linear = iter(["first linear layer", "second linear layer"])
for layer in full_size.network:
    count = sum(p.numel() for p in layer.parameters())
    name = next(linear) if isinstance(layer, torch.nn.Linear) else "24 convolutions"
    weights[name] += count
print(f"answer: {list(answer.shape)}, {7 * 7 * 2} boxes")
for name, count in weights.items():
    print(f"{name:20} {count:12,}  {count / sum(weights.values()):5.1%}")
print(f"{'all':20} {sum(weights.values()):12,}")

# %% [markdown]
# Three quarters of all weights sit in one linear layer, that sees the whole picture at once. It also ties the network to one size of picture. YOLOv2 threw it away; our small one never had it.
#
# | | mAP on VOC 2007 | pictures a second |
# |---|---|---|
# | Fast YOLO | 52.7 | 155 |
# | **YOLO** | 63.4 | 45 |
# | Faster R-CNN, VGG-16 | 73.2 | 7 |
#
# (From the paper, Table 1, one Titan X.) Where does YOLO lose? Its Figure 4 sorts the best detections: 19.0% of them have the right class in the wrong *place*, more than all its other errors together. Background taken for an object: 4.75%, against 13.6% of Fast R-CNN, which never sees the whole picture at once.

# %% [markdown]
# ## Review
#
# Four questions, a point each. The check only looks at the form of your answer; it is marked when you hand in.
#
# **Question 1.** A YOLO has 7 × 7 cells, 2 predictors in each and 16 classes. How many numbers does its network give for one picture?

# %% solve="grid_numbers"
### BEGIN SOLUTION
grid_numbers = 7 * 7 * (2 * 5 + 16)
### END SOLUTION

# %% check="grid_numbers"
check("grid_numbers", grid_numbers)

# %% [markdown]
# **Question 2.** The same grid, and a picture with 3 objects in 3 different cells. For how many predictors does the loss pull the confidence to 0?

# %% solve="pulled_to_nothing"
### BEGIN SOLUTION
pulled_to_nothing = 7 * 7 * 2 - 3
### END SOLUTION

# %% check="pulled_to_nothing"
check("pulled_to_nothing", pulled_to_nothing)

# %% [markdown]
# **Question 3.** Widths as shares of the picture: a small object has 0.04 and is predicted with 0.09, a large one has 0.64 and is predicted with 0.69. How many times more does the small one's error cost in YOLO's size term? (One decimal; round only at the end.)

# %% solve="root_against_plain"
### BEGIN SOLUTION
root_against_plain = (0.09**0.5 - 0.04**0.5) ** 2 / (0.69**0.5 - 0.64**0.5) ** 2
### END SOLUTION

# %% check="root_against_plain"
check("root_against_plain", root_against_plain)

# %% [markdown]
# **Question 4.** A dog and a cat sit so close together that both centres fall into one cell; the dog is first in the list. Each cell has two predictors. What can be done so that the cat is learned, too?
#
# - **A** nothing is needed: one predictor learns the dog, the other one the cat
# - **B** a higher threshold for NMS
# - **C** a finer grid
# - **D** a larger λ_coord

# %% solve="two_in_a_cell"
### BEGIN SOLUTION
two_in_a_cell = "C"
### END SOLUTION

# %% check="two_in_a_cell"
check("two_in_a_cell", two_in_a_cell)

# %% [markdown]
# ## Further reading
#
# - Redmon, Divvala, Girshick and Farhadi, *You Only Look Once: Unified, Real-Time Object Detection*, CVPR 2016. You have built its sections 2.1 to 2.3; read 2.4, on its limits.
# - Redmon and Farhadi, *YOLO9000: Better, Faster, Stronger*, CVPR 2017: what each change of v2 brought, in a table.
# - Redmon and Farhadi, *YOLOv3: An Incremental Improvement*, 2018. Short and funny; section 4 is *Things we tried that didn't work*.
# - Bochkovskiy, Wang and Liao, *YOLOv4: Optimal Speed and Accuracy of Object Detection*, 2020.
# - `course_lib/models/yolo/`: `grid.py`, `loss.py` and `detector.py` are what you wrote, for whole batches and with its edges smoothed.
#
# **Hand in** this notebook, saved, under its own name: `07_yolo_loss.ipynb`. Next: a detector that asks a hundred thousand times again, with the loss of lesson 06: RetinaNet.
