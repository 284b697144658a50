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
# # 08 · RetinaNet
#
# You have built the parts: anchors and their targets (lesson 04), the focal loss (06), NMS (02). In 2017 Lin et al. put them together with one more idea, a **pyramid of feature maps**, and for the first time a detector with a single stage was better than all with two.
#
# In this lesson you put them together as well. At the end you have a whole RetinaNet in which every step is yours, and you watch it learn, twice: without the focal loss and with it.
#
# **After this lesson you can**
#
# - say why a small and a large object should not be looked for on the same map, and build a pyramid that fits both;
# - run one small network over maps of all sizes, and put its answers in the order of the anchors;
# - write the whole loss, and say what it is divided by, and why;
# - turn 100,000 answers into a few boxes, and name the three filters on the way;
# - train it, look inside it, and read its mistakes;
# - read the published network: ResNet-50, P3 to P7, 34 million weights.
#
# You need lessons 02, 04 and 06. Take two hours.

# %% [markdown]
# **How to work.** As before: run from the top, write where it says `raise NotImplementedError`, let the check tell you. `hint("feature_pyramid")` opens a hint. The picture after an exercise is made by your own function; the cells that train a detector, from *Watch it learn* on, need all six. Until then they say *not attempted yet*.
#
# | | you write | points |
# |---|---|---|
# | 1 | `feature_pyramid` | 3 |
# | 2 | `subnet` | 3 |
# | 3 | `assign_targets` | 3 |
# | 4 | `retinanet_loss` | 3 |
# | 5 | `best_candidates` | 2 |
# | 6 | `decode` | 2 |
# | | four questions at the end | 4 |

# %%
import math
import time
from functools import cache
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn, relu
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from autograde import check, hint
from course_lib import draw
from course_lib.anchors import AnchorGenerator, pyramid_grids
from course_lib.boxes import box_iou, clip_boxes_to_image
from course_lib.coding import decode_boxes, encode_boxes
from course_lib.data import Digits, Shapes
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.engine.budget import budget
from course_lib.explore import pyramid_explorer
from course_lib.losses import prior_bias, sigmoid_focal_loss
from course_lib.matching import match_anchors
from course_lib.metrics import evaluate_coco_images
from course_lib.models import Detector, create_detector
from course_lib.models.backbones import create_backbone
from course_lib.suppression import batched_nms

train, valid = Shapes(1500, seed=0), Shapes(200, seed=1)  # pictures to learn from, and unseen ones
names = train.classes
LEVELS, STRIDES = ("P3", "P4", "P5"), (8, 16, 32)
COLOURS = (draw.ANCHOR, draw.OVERLAP, draw.ENCLOSING)  # of the three levels
make_anchors = AnchorGenerator(
    [[1.5 * stride * 2 ** (k / 3) for k in range(3)] for stride in STRIDES],  # three sizes a level
    (1.0,),  # one shape: squares
    offset=0.5,
    layout="detectron2",
)


def anchors_of(size):
    """The anchors [N, 4] of each level, for a picture of `size` (height, width)."""
    return make_anchors(pyramid_grids(size, STRIDES), STRIDES)


def plain(answer):
    """Whatever your functions answer in (numpy, lists, float64, ...) as a float32 tensor."""
    return torch.as_tensor(answer).float()


# %% [markdown]
# ## See it
#
# A convolutional network shrinks a picture again and again. Its early maps are fine: they know *where*, but each place has seen only a few pixels, and little of *what*. Its late maps are coarse: each place has seen half of the picture, and knows *what*, but hardly *where*. Which one would you look for a small object on?

# %%
picture, truth = valid[8]
pale = picture // 2 + 127
sides = (truth["boxes"][:, 2:] - truth["boxes"][:, :2]).prod(dim=1).sqrt()
fig, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
draw.draw_boxes(picture, truth["boxes"], colors=draw.TRUTH, ax=axes[0], title="what should be found")
for ax, level, stride, colour in zip(axes[1:], LEVELS, STRIDES, COLOURS):
    grey = avg_pool2d(picture.float().mean(0)[None], stride)[0]
    ax.imshow(grey, cmap="Greys_r", extent=(0, 128, 128, 0))
    for x1, y1, x2, y2 in truth["boxes"].tolist():
        ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=1.5))
    ax.set(title=f"stride {stride}: {128 // stride} × {128 // stride} places", xticks=[], yticks=[])
draw.show(
    fig,
    f"A picture of 128 × 128 pixels and what maps of stride 8, 16 and 32 can tell apart at most. The smallest object is "
    f"{sides.min():.0f} pixels large, the largest {sides.max():.0f}.",
    "A picture of coloured shapes with boxes, and the same picture three times in ever coarser squares.",
)

# %% [markdown]
# (Not on the coarse ones: there an object of 20 pixels is less than one place.)
#
# One answer would be an **image pyramid**: show the picture to the network in five sizes. It works, and costs five times as much. The **feature pyramid** (FPN, Lin et al., 2017) gets nearly the same out of one run. It takes the maps that the network makes anyway, and leads what the coarse ones know back down to the fine ones.
#
# Each level is then in charge of its own sizes. In the explorer, guess first, then look:
#
# 1. It opens with a face. Which levels have anchors for it? Drag a corner and make the box smaller, down to the eye: which levels does it pass through?
# 2. How many anchors are there in all, and how many of them are positive? What share is that?
# 3. Press **no pyramid**: only P5 is left. Go through the objects. Which ones are lost?
# 4. Press **one anchor a location**: squares only. Now the rocket is lost. Why?

# %%
pyramid_explorer()

# %% [markdown]
# (1: P4 and P5. Getting smaller it passes through P4 and P3; the eye itself is too small even for P3. 2: 30 of 49,104, that is 0.06%. 3: the star, the name tag, the badge and the eye are too small for P5, the astronaut is too large. The face, the rocket and the helmet stay. 4: it is 2.5 times as high as wide. From 2.25 on no square has an IoU of 0.5 with it, however large it is.)
#
# ## Say it: C3, C4, C5 to P3, P4, P5
#
# The backbone's maps are called C2, C3, C4, C5; the number is the logarithm of the stride: $C_l$ has stride $2^l$. The pyramid's maps are called P. They have the same sizes as the C's, and **all have the same number of channels**, so that one and the same small network can look at all of them.

# %%
fig, ax = plt.subplots(figsize=(9.6, 4.3), layout="constrained")
rows = [("3", 0.2, 1.9), ("4", 2.4, 1.3), ("5", 4.1, 0.85)]


def box_at(x, y, width, words, colour):
    ax.add_patch(plt.Rectangle((x - width / 2, y), width, 0.62, fc=colour, ec="k", lw=0.8, alpha=0.75))
    ax.text(x, y + 0.31, words, ha="center", va="center", fontsize=9)


def arrow(x1, y1, x2, y2):
    ax.annotate("", (x2, y2), (x1, y1), arrowprops={"arrowstyle": "->", "lw": 1.4, "color": "0.2"})


for k, (level, y, width) in enumerate(rows):
    box_at(1.2, y, width, f"C{level}", draw.UNION)
    box_at(4.6, y, width, "sum" if k < 2 else "lateral", draw.PALETTE[3])
    box_at(7.4, y, width, f"P{level}", COLOURS[k])
    arrow(1.2 + width / 2, y + 0.31, 4.6 - width / 2, y + 0.31)
    arrow(4.6 + width / 2, y + 0.31, 7.4 - width / 2, y + 0.31)
    ax.text(2.9, y + 0.4, "1 × 1", ha="center", fontsize=8)
    ax.text(6.05, y + 0.4, "3 × 3", ha="center", fontsize=8)
    arrow(7.4 + width / 2, y + 0.31, 9.1, y + 0.31)
    ax.text(9.2, y + 0.31, "class subnet\nbox subnet", fontsize=8, va="center")
for (_, y, _), (_, above, _) in pairwise(rows):
    arrow(1.2, y + 0.62, 1.2, above)
    arrow(4.6, above, 4.6, y + 0.62)
    ax.text(4.7, (y + 0.62 + above) / 2, "× 2, add", fontsize=8, va="center")
    ax.text(1.3, (y + 0.62 + above) / 2, "convolutions", fontsize=8, va="center")
ax.text(1.2, -0.45, "backbone: up", ha="center", fontsize=9)
ax.text(4.6, -0.45, "pyramid: down again", ha="center", fontsize=9)
ax.text(9.6, -0.45, "the same weights\nat every level", ha="center", va="center", fontsize=9)
ax.set(xlim=(-0.1, 10.6), ylim=(-0.8, 5))
ax.axis("off")
draw.show(
    fig,
    "RetinaNet. On the left the backbone, fine maps below, coarse ones above. Lateral connections (1 × 1) bring all maps to the same channels, "
    "the top-down path adds each coarse map to the next finer one, a 3 × 3 convolution smooths the sum.",
    "A diagram: C3, C4 and C5 in a column, joined by arrows upwards; arrows to the right to sums, which are joined by arrows downwards; arrows to P3, P4, P5 and to two subnets.",
)

# %% [markdown]
# ### Exercise 1 · `feature_pyramid`
#
# Two steps:
#
# 1. **Lateral.** Each map goes through a 1 × 1 convolution of its own: `conv2d(c, weight, bias)`. A 1 × 1 convolution mixes the channels of a place and nothing else.
# 2. **Top-down.** The coarsest lateral map stays as it is. Each finer one gets the **sum** above it, enlarged to its size. Enlarged means: every number is repeated (`interpolate(x, size=..., mode="nearest")`).
#
# **By hand first.** One channel, two levels, weights 1 and 0.5, biases 0 and 1:
#
# $$C_4 = \begin{pmatrix}1&2&3&4\\5&6&7&8\end{pmatrix} \qquad C_5 = \begin{pmatrix}10&20\end{pmatrix}$$
#
# The laterals: $C_4$ itself, and $0.5 \cdot 10 + 1 = 6$ and $11$. The coarsest: $\begin{pmatrix}6&11\end{pmatrix}$. Enlarged it is $\begin{pmatrix}6&6&11&11\\6&6&11&11\end{pmatrix}$, and the sum below
#
# $$\begin{pmatrix}7&8&14&15\\11&12&18&19\end{pmatrix}$$
#
# Sizes may be odd: a map of 5 × 7 has one of 3 × 4 above it. So give `interpolate` the size of the finer map. The 3 × 3 convolution comes later. Return a list of tensors, **finest first**, as the maps came. A gradient must flow through all of them: no numpy, no `.detach()`.


# %% solve="feature_pyramid"
def feature_pyramid(maps, weights, biases):
    """Sums of lateral and top-down path: maps [B, C_l, H_l, W_l], finest first, to [B, C, H_l, W_l]."""
    ### BEGIN SOLUTION
    laterals = [conv2d(c, weight, bias) for c, weight, bias in zip(maps, weights, biases)]
    sums = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        above = interpolate(sums[0], size=lateral.shape[-2:], mode="nearest")
        sums.insert(0, lateral + above)
    return sums
    ### END SOLUTION


# %% check="feature_pyramid"
check("feature_pyramid", feature_pyramid)

# %% [markdown]
# What does the pyramid do? Put a single 1 into one of the maps, zeros everywhere else, and look where it arrives.

# %%
one = [torch.ones(1, 1, 1, 1)] * 3
zero = [torch.zeros(1)] * 3
fig, axes = plt.subplots(1, 9, figsize=(11, 1.7), layout="constrained")
for k, source in enumerate(("C5", "C4", "C3")):
    empty = [torch.zeros(1, 1, side, side) for side in (16, 8, 4)]
    place = (1, 2) if k == 0 else (3, 4) if k == 1 else (7, 8)
    empty[2 - k][0, 0, place[0], place[1]] = 1
    for j, arrived in enumerate(feature_pyramid(empty, one, zero)):
        ax = axes[3 * k + j]
        ax.imshow(plain(arrived)[0, 0], cmap="Blues", vmin=0, vmax=1.3, extent=(0, 16, 16, 0))
        side = arrived.shape[-1]
        ax.set(xticks=range(0, 17, 16 // side), yticks=range(0, 17, 16 // side))
        ax.set(xticklabels=[], yticklabels=[])
        ax.tick_params(length=0)
        ax.grid(color="0.8", lw=0.5)
        ax.set_title(f"{source} → {LEVELS[j]}", fontsize=9)
draw.show(
    fig,
    "A 1 in C5 arrives in all three levels, at its place, and covers 4 × 4 places of P3. A 1 in C3 stays in P3: the way leads down only.",
    "Nine small maps. For C5 a square of the same size in all three; for C4 in two of them; for C3 one small square in P3.",
)

# %% [markdown]
# RetinaNet goes on upwards, too, for objects that fill the picture: P6 is a 3 × 3 convolution with stride 2 on the top, P7 another one on P6. (On C5 in the paper, on P5 in torchvision.) Our pictures are small: P3, P4 and P5 will do.
#
# ## Two subnets, for all levels
#
# Two small networks look at the maps. The **class subnet** says K logits for each of the A anchors of a location, the **box subnet** four deltas. Each is a few 3 × 3 convolutions with ReLU and a last one without. There is no fully connected layer in it, and that is the point: convolutions run on a map of any size. **So the same weights serve every level.** An object of 16 pixels on P3 and one of 32 pixels on P4 look alike to them.
#
# ### Exercise 2 · `subnet`
#
# `weights` and `biases` are lists, one entry for each convolution, 3 × 3 with `padding=1`. ReLU stands **between** the convolutions, not behind the last one. Its channels are A times K: **the K numbers of the first anchor, then those of the second, …** You bring them into the order of `grid_anchors` from lesson 04: row by row, in a row from left to right, the A anchors of a location together, each with a row of K numbers of its own.
#
# **By hand first.** A = 2 anchors, K = 2 numbers, a map of 1 row and 2 columns. The last convolution said the four channels
#
# $$(1\;2) \quad (3\;4) \quad (5\;6) \quad (7\;8)$$
#
# At the left location the first anchor has 1 and 3, the second 5 and 7. So the rows are (1, 3), (5, 7), then for the right location (2, 4), (6, 8).
#
# Return one tensor [B, N, K] with the anchors of all levels, finest level first. A gradient must flow: no numpy, no `.detach()`.


# %% solve="subnet"
def subnet(pyramid, weights, biases, num_anchors):
    """Numbers [B, N, K] for all anchors of the pyramid's maps [B, C, H_l, W_l], finest level first."""
    ### BEGIN SOLUTION
    rows = []
    for x in pyramid:
        for weight, bias in zip(weights[:-1], biases[:-1]):
            x = relu(conv2d(x, weight, bias, padding=1))
        x = conv2d(x, weights[-1], biases[-1], padding=1)
        B, channels, H, W = x.shape
        x = x.reshape(B, num_anchors, channels // num_anchors, H, W).permute(0, 3, 4, 1, 2)
        rows.append(x.reshape(B, H * W * num_anchors, -1))
    return torch.cat(rows, dim=1)
    ### END SOLUTION


# %% check="subnet"
check("subnet", subnet)

# %% [markdown]
# Sharing, to look at. A picture of three discs, 5, 10 and 20 pixels wide; as a pyramid simply the picture itself in three sizes. Your `subnet` gets one filter of 3 × 3 numbers: *bright in the middle, dark around.*

# %%
y, x = torch.meshgrid(torch.arange(128) + 0.5, torch.arange(128) + 0.5, indexing="ij")
discs = [(18, 66, 5), (52, 68, 10), (104, 72, 20)]  # x, y, width
scene = torch.zeros(128, 128)
for cx, cy, width in discs:
    scene[(x - cx) ** 2 + (y - cy) ** 2 < (width / 2) ** 2] = 1
sizes = [avg_pool2d(scene[None, None], stride) for stride in (4, 8, 16)]
blob = torch.tensor([[-1.0, -1, -1], [-1, 4, -1], [-1, -1, -1]])[None, None] / 4
rows = plain(subnet(sizes, [blob], [torch.zeros(1)], 1))[0, :, 0].split([1024, 256, 64])
fig, axes = plt.subplots(1, 4, figsize=(11, 2), layout="constrained")
axes[0].imshow(scene, cmap="Greys_r", extent=(0, 128, 128, 0))
axes[0].set(title="the picture", xticks=[], yticks=[], ylim=(104, 32))
for ax, answer, side in zip(axes[1:], rows, (32, 16, 8)):
    ax.imshow(answer.reshape(side, side), cmap="Oranges", vmin=0, vmax=1, extent=(0, 128, 128, 0))
    for cx, cy, width in discs:
        ax.add_patch(plt.Circle((cx, cy), width / 2, fill=False, ec="k", lw=0.8))
    ax.set(title=f"the filter on {side} × {side} places", xticks=[], yticks=[], ylim=(104, 32))
draw.show(
    fig,
    "One filter, three maps. It answers (orange) to the small disc on the fine map, to the middle one on the next, to the large one on the "
    "coarse map. It knows one size, and finds three.",
    "A picture of three white discs, and three maps of answers; in each another disc stands out.",
)

# %% [markdown]
# ## What should each anchor say?
#
# Now the targets. All is there from lesson 04, with RetinaNet's thresholds:
#
# - IoU of at least **0.5**: positive. It says the **class** of its object, and the **deltas** that lead to it.
# - IoU below **0.4**: background. It says no to all K questions.
# - Between: **ignored**.
#
# There is no class *background*. K yes-or-no questions, and for background all K answers are no.
#
# ### Exercise 3 · `assign_targets`
#
# For one picture: `anchors` [N, 4], `boxes` [M, 4], `labels` [M], 0 to K − 1. You have `box_iou`, and from lesson 04 `match_anchors(iou, high, low, allow_low_quality)` (a row of `iou` for each **object**; it answers an object's number, −1 for background or −2 for ignored) and `encode_boxes(goals, anchors)`. Allow low-quality matches, so that no object goes without.
#
# **By hand first.** One object, (0, 0, 20, 16), of class 2.
#
# | anchor | IoU | class | deltas |
# |---|---|---|---|
# | (0, 0, 20, 20) | 320 / 400 = 0.8 | 2 | (0, −0.1, 0, ln 0.8 = −0.223) |
# | (0, 0, 20, 36) | 320 / 720 = 0.44 | −2 | 0, 0, 0, 0 |
# | (0, 0, 20, 50) | 320 / 1000 = 0.32 | −1 | 0, 0, 0, 0 |
#
# Return `classes` [N], whole numbers, and `deltas` [N, 4], zeros where there is no object. A picture may have no objects at all.


# %% solve="assign_targets"
def assign_targets(anchors, boxes, labels):
    """classes [N]: 0..K-1, -1 background or -2 ignored; and deltas [N, 4] to the anchor's object."""
    ### BEGIN SOLUTION
    matches = match_anchors(box_iou(boxes, anchors), 0.5, 0.4, True)  # [N]
    positive = matches >= 0
    classes = matches.clone()
    classes[positive] = labels[matches[positive]]
    deltas = torch.zeros_like(anchors)
    deltas[positive] = encode_boxes(boxes[matches[positive]], anchors[positive])
    return classes, deltas
    ### END SOLUTION


# %% check="assign_targets"
check("assign_targets", assign_targets)

# %% [markdown]
# The picture from above, level by level, with your targets:

# %%
grids = anchors_of((128, 128))
fig, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, level, boxes, colour in zip(axes, LEVELS, grids, COLOURS):
    classes = torch.as_tensor(assign_targets(torch.cat(grids), truth["boxes"], truth["labels"])[0])
    mine = classes.split([len(g) for g in grids])[LEVELS.index(level)]
    draw.draw_boxes(pale, truth["boxes"], colors="black", ax=ax, linewidth=1)
    if (mine >= 0).any():
        draw.draw_boxes(None, boxes[mine >= 0], colors=colour, ax=ax, linewidth=1.2)
    ax.set_title(
        f"{level}: {int((mine >= 0).sum())} positive, {int((mine == -2).sum())} ignored,\n{int((mine == -1).sum())} background",
        fontsize=10,
    )
draw.show(
    fig,
    "The positive anchors of each level (coloured) over the objects (black): small objects are P3's, large ones P5's.",
    "The picture three times with black boxes around the shapes and coloured squares, small ones in the first, large ones in the last.",
)

# %% [markdown]
# ## The whole loss
#
# $$L = \frac{1}{N_+}\left(\sum_{\text{not ignored}} \;\sum_{k=1}^{K} \text{FL}(x_k, t_k) \;+\; \sum_{\text{positive}} \left\lVert d - \hat d \right\rVert_1\right)$$
#
# Here $x_k$ is the logit of class k and $t_k$ its target, 1 for the class of a positive and 0 otherwise; $d$ are an anchor's four deltas as the network says them, $\hat d$ as they should be.
#
# The focal loss hears positives and background, all K logits of each. The box loss hears the positives: background has no box that it could be compared with. (L1, the sum of the absolute differences. The paper says smooth L1; torchvision takes L1.)
#
# **Why divide by $N_+$, the number of positives?** Not by the number of anchors: nearly all of them are background that the focal loss has silenced already, and the few that matter would be divided by a hundred thousand. And not by nothing: a picture with ten objects would pull ten times as hard as a picture with one. No positives at all? Then divide by 1.
#
# ### Exercise 4 · `retinanet_loss`
#
# `sigmoid_focal_loss(logits, targets, alpha, gamma)` from lesson 06 is there, one value for each logit; its targets hold 0. and 1.
#
# **By hand first.** K = 1, three anchors, all logits 0 (so p = 0.5), classes 0, −1, −2. α = 0.25, γ = 2.
#
# - The positive: 0.25 · 0.5² · 0.693 = 0.0433. The background: 0.75 · 0.5² · 0.693 = 0.1300. The ignored one: nothing.
# - One positive, so **classification** = 0.1733 / 1.
# - The positive's deltas are (0.1, 0, 0, −0.2) and should be 0: **box** = 0.3 / 1.
#
# `cls_logits` [N, K], `bbox_regression` and `deltas` [N, 4], `classes` [N]; a batch comes as one long list. Return two tensors of one number each, `classification, box`. A gradient must flow: no `.item()`, no `float()` of a loss.


# %% solve="retinanet_loss"
def retinanet_loss(cls_logits, bbox_regression, classes, deltas, alpha=0.25, gamma=2):
    """Focal loss and L1 of the boxes, both over the number of positives: two tensors."""
    ### BEGIN SOLUTION
    positive, heard = classes >= 0, classes != -2  # [N]
    targets = torch.zeros_like(cls_logits)
    targets[positive, classes[positive]] = 1
    count = max(1, int(positive.sum()))
    focal = sigmoid_focal_loss(cls_logits[heard], targets[heard], alpha, gamma).sum()
    box = (bbox_regression - deltas)[positive].abs().sum()
    return focal / count, box / count
    ### END SOLUTION


# %% check="retinanet_loss"
check("retinanet_loss", retinanet_loss)

# %% [markdown]
# **And π = 0.01?** A fresh network knows nothing. If it says 0.5 everywhere, thousands of background anchors shout at once. So the bias of the class subnet's last convolution is set such that it says π = 0.01 (lesson 06, `prior_bias`). The first loss of your function, over π, on 200 pictures:

# %%
anchors = torch.cat(grids)
told = [assign_targets(anchors, t["boxes"], t["labels"]) for _, t in (valid[i] for i in range(200))]
classes = torch.cat([torch.as_tensor(c).long() for c, _ in told])
priors = torch.logspace(-4, math.log10(0.5), 30)
parts = []
for pi in priors.tolist():
    logits = torch.full((len(classes), len(names)), float(prior_bias(pi)))
    nothing = torch.zeros(len(classes), 4)
    whole = float(retinanet_loss(logits, nothing, classes, nothing)[0])
    background = torch.where(classes >= 0, -2, classes)
    count = max(1, int((classes >= 0).sum()))
    parts.append((whole, float(retinanet_loss(logits, nothing, background, nothing)[0]) / count))
whole, background = torch.tensor(parts).T
fig, ax = plt.subplots(figsize=(6.6, 3.1), layout="constrained")
ax.loglog(priors, whole, color=draw.TRUTH, lw=2.5, label="all that are heard")
ax.loglog(priors, background, "--", color=draw.IGNORED, lw=2, label="background's part")
ax.axvline(0.01, color=draw.PREDICTION, lw=1.2)
ax.text(0.0105, 20, "π = 0.01", color=draw.PREDICTION)
ax.set(xlabel="π: what a fresh network says everywhere", ylabel="first loss of the classes", ylim=(1e-3, 200))
ax.legend(frameon=False)
share = float((classes >= 0).float().mean())
draw.show(
    fig,
    f"{share:.1%} of the anchors of 200 pictures are positive. At π = 0.5 the first loss is {whole[-1]:.0f}, and nearly all of it is background. "
    f"At 0.01 it is {whole[(priors - 0.01).abs().argmin()]:.1f}, and the objects are heard.",
    f"Two curves over π on logarithmic axes. The whole loss has its minimum near {priors[whole.argmin()]:.2f} and rises steeply to the right, where it meets the curve of the background.",
)

# %% [markdown]
# The minimum lies near 0.06 here. The exact value matters little, a few steps lead there; what matters is to begin far below 0.5.
#
# ## From answers to boxes
#
# A full-size RetinaNet answers for 100,000 anchors with 80 classes: 8 million scores. Three filters follow:
#
# 1. at **each level** only scores above **0.05**, and of these the best **1,000**;
# 2. **NMS** at IoU **0.5**, in each class by itself, all levels together;
# 3. of what is left, the best 100.
#
# ### Exercise 5 · `best_candidates`
#
# The first filter, for one level. All N · K scores compete, so an anchor may go on with two classes.
#
# **By hand first.** Threshold 0.05, `most` = 3:
#
# | p | class 0 | class 1 |
# |---|---|---|
# | anchor 0 | **0.90** | 0.20 |
# | anchor 1 | 0.04 | **0.60** |
# | anchor 2 | **0.30** | 0.01 |
#
# Scores 0.9, 0.6, 0.3; anchors 0, 1, 2; classes 0, 1, 0. In the flat list of six numbers 0.3 has place 4. A row has K = 2 numbers, so it is anchor 4 // 2 = 2 and class 4 % 2 = 0.
#
# You get **logits**; the scores are their sigmoids, and must be **above** the threshold. Return `scores`, `anchors` and `labels`, best first.


# %% solve="best_candidates"
def best_candidates(cls_logits, score_threshold=0.05, most=1000):
    """Scores, anchor numbers and classes of the best of one level's logits [N, K], best first."""
    ### BEGIN SOLUTION
    K = cls_logits.shape[1]
    scores = cls_logits.sigmoid().flatten()  # [N*K]
    places = (scores > score_threshold).nonzero().squeeze(1)
    places = places[scores[places].argsort(descending=True)[:most]]
    return scores[places], places // K, places % K
    ### END SOLUTION


# %% check="best_candidates"
check("best_candidates", best_candidates)

# %% [markdown]
# ### Exercise 6 · `decode`
#
# All of it, for one picture. (It calls your `best_candidates`: get exercise 5 right first.) For each level: your `best_candidates`; the boxes of these anchors, moved by their deltas (`decode_boxes(deltas, anchors)`) and cut at the border (`clip_boxes_to_image(boxes, size)`). Then join the levels, `batched_nms(boxes, scores, labels, nms_threshold)` (the numbers of those that stay, best first), and keep the first `max_detections`.
#
# **By hand first.** P3 has a box (10, 10, 30, 30), class 0, score 0.9. P4 has (11, 10, 31, 30), once as class 0 with 0.8 and once as class 1 with 0.6. The second one overlaps the first with IoU 380 / 420 = 0.90 and has its class: gone. The third has another class: it stays. Two detections, although both are of the same object. (The third is most likely a mistake; but NMS cannot know.)
#
# `cls_logits`, `bbox_regression` and `anchors` are lists with an entry for each level: [N, K], [N, 4], [N, 4]. Return `boxes`, `scores`, `labels`, best first.


# %% solve="decode"
def decode(cls_logits, bbox_regression, anchors, size, score_threshold=0.05, candidates=1000,
           nms_threshold=0.5, max_detections=100):  # fmt: skip
    """boxes [N, 4], scores [N] and labels [N] of one picture of `size` (height, width)."""
    ### BEGIN SOLUTION
    found = []
    for logits, deltas, boxes in zip(cls_logits, bbox_regression, anchors):
        scores, anchor, labels = best_candidates(logits, score_threshold, candidates)
        moved = clip_boxes_to_image(decode_boxes(deltas[anchor], boxes[anchor]), size)
        found.append((moved, scores, labels))
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found))
    keep = batched_nms(boxes, scores, labels, nms_threshold)[:max_detections]
    return boxes[keep], scores[keep], labels[keep]
    ### END SOLUTION


# %% check="decode"
check("decode", decode)

# %% [markdown]
# Your loss says what the network should answer, your `decode` reads it. Do they fit together? If the network said **exactly** its targets, the objects must come out; and if it is a little off?


# %%
def perfect(noise, seed=0):
    """What comes out if the network says its targets, its deltas off by `noise`."""
    classes, deltas = assign_targets(anchors, truth["boxes"], truth["labels"])
    classes, deltas = torch.as_tensor(classes).long(), plain(deltas)
    logits = torch.full((len(anchors), len(names)), -6.0)
    logits[classes >= 0, classes[classes >= 0]] = 3.0
    dice = torch.Generator().manual_seed(seed)
    deltas = deltas + noise * torch.randn(deltas.shape, generator=dice)
    logits = logits + noise * torch.randn(logits.shape, generator=dice)
    counts = [len(level) for level in grids]
    return decode(logits.split(counts), deltas.split(counts), grids, (128, 128))


fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, noise in zip(axes, (0, 0.1, 0.3)):
    boxes = plain(perfect(noise)[0])
    fits = box_iou(truth["boxes"], boxes).amax(dim=1).mean()
    draw.draw_boxes(picture, truth["boxes"], colors=draw.TRUTH, ax=ax, linewidth=3)
    draw.draw_boxes(None, boxes, colors=draw.PREDICTION, ax=ax, linewidth=1.2)
    word = f"off by about {noise}" if noise else "exact"
    ax.set_title(f"{word}: {len(boxes)} boxes,\nmean of the best IoU {fits:.2f}", fontsize=10)
draw.show(
    fig,
    "Targets read back: detections (orange-red) over the truth (blue). On the left exactly the targets; in the middle and on the right with noise in every number.",
    "The picture three times; on the left both kinds of boxes coincide, on the right they differ and there are more of the orange-red ones.",
)

# %% [markdown]
# ## Watch it learn
#
# All parts are there. This is the whole detector: the backbone is the library's, a ResNet with one block a layer; the weights are fresh; **every step in between is one of your functions.**


# %%
C, A = 64, 3  # channels of the pyramid, anchors at a location


class Convolutions(nn.Module):
    """Weights and biases of a few convolutions, for your functions. shapes: (out, in, side) each."""

    def __init__(self, *shapes):
        super().__init__()
        fresh = [nn.init.kaiming_normal_(torch.empty(o, i, s, s), nonlinearity="relu") for o, i, s in shapes]
        self.weights = nn.ParameterList(fresh)
        self.biases = nn.ParameterList([torch.zeros(o) for o, _, _ in shapes])


class MyRetinaNet(Detector):
    """RetinaNet, every step by your own functions."""

    def __init__(self, num_classes, alpha=0.25, gamma=2):
        super().__init__(num_classes)
        self.alpha, self.gamma = alpha, gamma
        self.told = {}  # the targets of a picture are the same every time: kept
        self.easy = []  # of each step: how much of the classes' loss easy background holds
        self.body = create_backbone("tiny")
        self.lateral = Convolutions(*[(C, channels, 1) for channels in self.body.channels[1:]])
        smooth = [nn.Sequential(nn.Conv2d(C, C, 3, padding=1, bias=False), nn.BatchNorm2d(C)) for _ in LEVELS]
        self.smooth = nn.ModuleList(smooth)
        self.classes = Convolutions((C, C, 3), (A * num_classes, C, 3))
        self.boxes = Convolutions((C, C, 3), (A * 4, C, 3))
        for last in (self.classes.weights[-1], self.boxes.weights[-1]):
            nn.init.normal_(last, std=0.01)
        nn.init.constant_(self.classes.biases[-1], prior_bias(0.01))

    def forward(self, images):
        """Logits [B, N, K] and deltas [B, N, 4]."""
        maps = self.body(images)[1:]  # C3, C4, C5
        sums = feature_pyramid(maps, list(self.lateral.weights), list(self.lateral.biases))
        pyramid = [smooth(x) for smooth, x in zip(self.smooth, sums)]
        return tuple(
            subnet(pyramid, list(part.weights), list(part.biases), A) for part in (self.classes, self.boxes)
        )

    def tell(self, anchors, target):
        """What the anchors should say, computed once for each picture."""
        key = target["image_id"]
        if key not in self.told:
            classes, deltas = assign_targets(anchors, target["boxes"], target["labels"])
            self.told[key] = torch.as_tensor(classes).long(), plain(deltas)
        return self.told[key]

    def loss(self, images, targets):
        batch, _ = self.prepare(images)
        logits, deltas = self(batch)
        anchors = torch.cat(anchors_of(batch.shape[-2:]))
        told = [self.tell(anchors, target) for target in targets]
        classes, wanted = (torch.cat(part) for part in zip(*told))
        rows = logits.flatten(0, 1), deltas.flatten(0, 1)  # a batch is one long list
        both = retinanet_loss(*rows, classes, wanted, self.alpha, self.gamma)
        flows = all(torch.is_tensor(x) and x.requires_grad for x in both)
        assert flows, "no gradient flows: a detach(), item(), float() or numpy is in the way"
        self.listen(rows[0].detach(), classes, float(both[0].detach()))
        return dict(zip(("classification", "box"), both))

    def listen(self, logits, classes, loss):
        """Takes down how much of the loss is of background with p below 0.1."""
        each = sigmoid_focal_loss(logits, torch.zeros_like(logits), self.alpha, self.gamma).sum(1)
        easy = (classes == -1) & (logits.sigmoid().amax(1) < 0.1)
        self.easy.append(float(each[easy].sum()) / max(1, int((classes >= 0).sum())) / loss)

    @torch.no_grad()
    def detect(self, images):
        batch, sizes = self.prepare(images)
        anchors = anchors_of(batch.shape[-2:])
        counts = [len(level) for level in anchors]
        found = []
        for logits, deltas, size in zip(*self(batch), sizes):
            boxes, scores, labels = decode(logits.split(counts), deltas.split(counts), anchors, size)
            boxes, scores, labels = plain(boxes), plain(scores), torch.as_tensor(labels).long()
            keep = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
            found.append({"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]})
        return found


def learn(data, steps, **options):
    """A fresh detector that has learned for so many steps, and how that went."""
    torch.manual_seed(0)
    detector = MyRetinaNet(len(data.classes), **options)
    return detector, fit(detector, data, FitConfig(steps=budget(steps), lr=4e-3, batch_size=16))


# %% [markdown]
# Twice, from the same fresh weights and with the same batches: **γ = 0**, plain cross entropy, and **γ = 2**. Each has the α that the paper found best for it, 0.75 and 0.25. About 50 seconds each.

# %%
SETTINGS = {"γ = 0, α = 0.75": (0.75, 0), "γ = 2, α = 0.25": (0.25, 2)}


@cache  # trained once; the cells below ask for it again
def trained(name):
    alpha, gamma = SETTINGS[name]
    return learn(train, 800, alpha=alpha, gamma=gamma)


plain_entropy, plain_history = trained("γ = 0, α = 0.75")

# %%
detector, history = trained("γ = 2, α = 0.25")


# %% [markdown]
# Which one is better? The losses cannot be compared, they measure different things. AP can. And look at whom the loss listened to:


# %%
@cache
def measured(name):
    """AP on the unseen pictures, and what each anchor said there: p of its likeliest class."""
    model = trained(name)[0]
    with torch.no_grad():
        batches = [torch.stack([valid[i][0] for i in range(k, k + 50)]) / 255 for k in range(0, 200, 50)]
        said = torch.cat([model(model.prepare(images)[0])[0].sigmoid().amax(-1) for images in batches])
    return evaluate(model, valid), said.flatten()


fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
looks = [(draw.IGNORED, "--"), (draw.TRUTH, "-")]
bins = torch.linspace(0, 1, 26)
shares = []
for k, (name, (colour, style)) in enumerate(zip(SETTINGS, looks)):
    result, said = measured(name)
    easy = torch.tensor(trained(name)[0].easy)
    shares.append(float(easy[len(easy) // 5 :].mean()))
    aps = [result["AP"], result["AP50"]]
    bars = axes[0].bar([0.2 + 0.35 * k, 1.2 + 0.35 * k], aps, width=0.33, color=colour, label=name)
    axes[0].bar_label(bars, fmt="%.2f", fontsize=8)
    axes[1].plot(easy, style, color=colour, lw=1.2)
    axes[2].stairs(said[classes == -1].histogram(bins).hist, bins, color=colour, ls=style, lw=2)
    print(f"{name}:  AP {aps[0]:.3f}, AP50 {aps[1]:.3f}")
axes[0].set(xticks=[0.37, 1.37], xticklabels=["AP", "AP50"], ylim=(0, 1.15), title="200 unseen pictures")
axes[0].legend(frameon=False, fontsize=8, loc="upper left")
axes[1].set(xlabel="step", ylim=(0, None), title="easy background's share of the loss")
axes[2].set(yscale="log", xlabel="p of the likeliest class", title="background anchors, unseen pictures")
draw.show(
    fig,
    "γ = 0 (grey, dashed) and γ = 2 (blue). Left: how good they are. Middle: who is heard while they learn. Background with p below 0.1 "
    f"holds {shares[0]:.0%} of the classes' loss with γ = 0 and {shares[1]:.1%} with γ = 2 (after the first fifth). Right: what background says in the end.",
    "Three panels: bars of AP and AP50; the share of easy background over the steps, several times higher for gamma 0 than for gamma 2; histograms of p on a logarithmic axis.",
)

# %% [markdown]
# Read it honestly. The middle panel is what γ is for: with γ = 0 easy background gets several times the share of the loss, most of all in the first steps. The right panel is its other side: γ = 2 lets background alone once it is below 0.1 or so, γ = 0 presses on until nearly all of it is at 0; but what it gets wrong it says with more confidence.
#
# **And AP? Expect a tie.** In our runs γ = 0 came out a little ahead as often as γ = 2. The pictures here have 1,008 anchors, not 100,000, and their background is easily told: a loss that listens to it too much is not disturbed by that. On photographs the paper measured 31.1 AP for the best α without γ, and 34.0 with γ = 2 (table 1, a and b). An idea that solves a problem shows its worth where the problem is.
#
# From here on: your detector with γ = 2, the paper's.

# %%
detector, _ = trained("γ = 2, α = 0.25")
fig, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
for ax, i in zip(axes, (8, 3, 12, 20)):
    image, target = valid[i]
    (said,) = detector.detect(image[None] / 255)
    sure = said["scores"] > 0.4
    draw.draw_boxes(image, target["boxes"], colors="white", ax=ax, linewidth=2.5)
    draw.draw_boxes(None, said["boxes"][sure], said["labels"][sure], said["scores"][sure], ax=ax,
                    colors=draw.PREDICTION, class_names=names)  # fmt: skip
draw.show(
    fig,
    "Four unseen pictures: what your detector finds with a score above 0.4 (orange-red), and the truth (white).",
    "Four pictures of shapes, each with boxes, class names and scores.",
)

# %% [markdown]
# ### Look inside: who found what?
#
# The highest score at each place of each level, for the first of these pictures. Each level speaks loudest in the middle of objects of its size. The sizes overlap: an object between two levels is found by both, and NMS keeps the better box.

# %%
detector, _ = trained("γ = 2, α = 0.25")
with torch.no_grad():
    logits, deltas = detector(detector.prepare(picture[None] / 255)[0])
counts = [len(level) for level in grids]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, level, said, colour in zip(axes, LEVELS, logits[0].sigmoid().split(counts), COLOURS):
    side = math.isqrt(len(said) // A)
    shown = ax.imshow(said.reshape(side, side, -1).amax(-1), cmap="Greys_r", vmin=0, vmax=1, extent=(0, 128, 128, 0))
    for x1, y1, x2, y2 in truth["boxes"].tolist():
        ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=1.5))
    ax.set(title=f"{level}: highest p at each place", xticks=[], yticks=[])
fig.colorbar(shown, ax=axes, shrink=0.8)
draw.show(
    fig,
    "Bright: the subnet says *here*. The boxes are the truth.",
    "Three maps, fine to coarse, dark except at the middles of some of the boxes.",
)

# %% [markdown]
# Over 100 unseen pictures: for each object, which level has the best box for it?

# %%
detector, _ = trained("γ = 2, α = 0.25")
sizes, finders = [], []
with torch.no_grad():
    for i in range(100):
        image, target = valid[i]
        logits, deltas = detector(detector.prepare(image[None] / 255)[0])
        best = torch.zeros(len(target["boxes"]), len(LEVELS))
        for j, (said, moved) in enumerate(zip(logits[0].split(counts), deltas[0].split(counts))):
            boxes, scores, labels = decode([said], [moved], [grids[j]], (128, 128))
            boxes, scores, labels = plain(boxes), plain(scores), torch.as_tensor(labels)
            right = (box_iou(target["boxes"], boxes) >= 0.5) & (target["labels"][:, None] == labels)
            best[:, j] = (right * scores).amax(1) if len(scores) else 0
        area = (target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(1).sqrt()
        sizes += area.tolist()
        finders += torch.where(best.amax(1) > 0.05, best.argmax(1), 3).tolist()
sizes, finders = torch.tensor(sizes), torch.tensor(finders)
edges = torch.arange(8, 68, 4.0)
fig, ax = plt.subplots(figsize=(7.4, 3), layout="constrained")
bottom = torch.zeros(len(edges) - 1)
for j, (word, colour) in enumerate(zip((*LEVELS, "nobody"), (*COLOURS, draw.IGNORED))):
    heights = sizes[finders == j].histogram(edges).hist
    ax.bar(edges[:-1], heights, width=3.6, bottom=bottom, color=colour, align="edge", label=word)
    bottom += heights
ax.set(xlabel="size of the object, √(width · height), pixels", ylabel="objects", title="found best by",
       ylim=(0, 1.1 * float(bottom.max())))  # fmt: skip
ax.legend(frameon=False)
draw.show(
    fig,
    f"{len(sizes)} objects of 100 unseen pictures by size, and the level with the highest right score for each. "
    f"{(finders == 3).float().mean():.0%} are found by nobody with a score above 0.05.",
    "Stacked bars over the size: the smallest objects are P3's, the middle ones P4's, the largest P5's.",
)

# %% [markdown]
# Nobody told the levels to share the work like that. It follows from the anchors: each level has anchors of its own sizes, and learns from the objects that they match. P4's largest anchor has 38 pixels, and it still overlaps an object of 53 pixels with IoU 0.5: so P4 reaches far up, and little is left for P5 in these pictures.
#
# ### Read its mistakes
#
# An AP is one number. What goes wrong? Each detection with a score above 0.4 is one of five things, and an object that none of them found is *missed*.

# %%
detector, _ = trained("γ = 2, α = 0.25")
KINDS = ("right", "second box", "wrong class", "badly placed", "background")
counted, missed, examples = dict.fromkeys(KINDS, 0), 0, {}
for i in range(200):
    image, target = valid[i]
    (said,) = detector.detect(image[None] / 255)
    taken = torch.zeros(len(target["boxes"]), dtype=torch.bool)
    iou = box_iou(said["boxes"], target["boxes"])
    for n in range(int((said["scores"] > 0.4).sum())):
        quality, m = iou[n].max(0) if len(taken) else (torch.tensor(0.0), 0)
        same = len(taken) and said["labels"][n] == target["labels"][m]
        if quality >= 0.5:
            kind = "wrong class" if not same else "second box" if taken[m] else "right"
            taken[m] |= same
        else:
            kind = "badly placed" if quality >= 0.1 else "background"
        counted[kind] += 1
        examples.setdefault(kind, []).append((i, n))
    missed += int((~taken).sum())
shown = [kind for kind in KINDS[1:] if kind in examples][:3]
fig, axes = plt.subplots(1, 1 + len(shown), figsize=(3 + 2.6 * len(shown), 2.9), layout="constrained", squeeze=False)
axes = axes[0]
words, values = (*KINDS, "missed"), (*counted.values(), missed)
shades = [draw.OVERLAP, *[draw.PREDICTION] * 4, draw.IGNORED]
bars = axes[0].barh(words, values, color=shades)
axes[0].bar_label(bars, fontsize=8)
axes[0].invert_yaxis()
axes[0].set(xlim=(0, 1.2 * max(values)), xticks=[])
for ax, kind in zip(axes[1:], shown):
    i, n = examples[kind][0]
    image, target = valid[i]
    (said,) = detector.detect(image[None] / 255)
    draw.draw_boxes(image, target["boxes"], colors="white", ax=ax, linewidth=1.6)
    draw.draw_boxes(None, said["boxes"][n : n + 1], said["labels"][n : n + 1], said["scores"][n : n + 1], ax=ax,
                    colors=draw.PREDICTION, class_names=names)  # fmt: skip
    ax.set_title(kind, fontsize=10)
draw.show(
    fig,
    f"The detections on 200 unseen pictures. Right of all: {counted['right'] / max(1, sum(counted.values())):.0%}. On the right an example of each kind of mistake (white: the truth).",
    "Horizontal bars: right, second box, wrong class, badly placed, background, missed; and pictures with one detection each.",
)

# %% [markdown]
# ## Break it
#
# **One level only.** Silence the others, and measure AP for small objects (under 32 × 32 pixels) and for medium ones. Predict first: which level finds what? And then: how much is lost if each level may hand in only 3 candidates, if there is no NMS, if the score threshold is 0.5?

# %%
detector, _ = trained("γ = 2, α = 0.25")
with torch.no_grad():
    answers = []
    for k in range(0, 200, 50):
        images = torch.stack([valid[i][0] for i in range(k, k + 50)]) / 255
        answers += list(zip(*detector(detector.prepare(images)[0])))
targets = [valid[i][1] for i in range(200)]


def score(levels=(0, 1, 2), **options):
    """COCO's numbers of the detections from these levels alone."""
    found = []
    for logits, deltas in answers:
        parts = [logits.split(counts), deltas.split(counts), grids]
        said = decode(*([part[j] for j in levels] for part in parts), (128, 128), **options)
        found.append({key: torch.as_tensor(x) for key, x in zip(("boxes", "scores", "labels"), said)})
    return evaluate_coco_images(targets, found)


tries = {
    "as it is": {},
    "P3 only": {"levels": (0,)},
    "P4 only": {"levels": (1,)},
    "P5 only": {"levels": (2,)},
    "3 candidates a level": {"candidates": 3},
    "no NMS": {"nms_threshold": 1.0},
    "scores above 0.5": {"score_threshold": 0.5},
}
results = {name: score(**options) for name, options in tries.items()}
fig, ax = plt.subplots(figsize=(8.6, 3.4), layout="constrained")
for j, (key, word, colour) in enumerate(
    [("AP", "all", draw.TRUTH), ("APs", "small", draw.ANCHOR), ("APm", "medium", draw.PREDICTION)]
):
    values = [max(results[name][key], 0) for name in tries]
    bars = ax.barh([k + 0.26 * (j - 1) for k in range(len(tries))], values, height=0.25, color=colour, label=word)
    ax.bar_label(bars, fmt="%.2f", fontsize=7)
ax.set(yticks=range(len(tries)), yticklabels=tries, xlabel="AP", xlim=(0, 1))
ax.invert_yaxis()
ax.legend(frameon=False, fontsize=9, loc="lower right")
draw.show(
    fig,
    f"Your detector, with parts of it silenced. AP for small objects: {results['as it is']['APs']:.2f} with all levels, {results['P3 only']['APs']:.2f} with P3 alone, "
    f"{max(results['P5 only']['APs'], 0):.2f} with P5 alone.",
    "Groups of three bars for seven settings: AP of all, of small and of medium objects.",
)

# %% [markdown]
# The score threshold of 0.5 costs AP, and yet everybody who *uses* a detector sets one. AP asks for the whole ranking, down to 0.05; a user wants few wrong boxes. Two questions, two thresholds.
#
# ## Use it
#
# **On handwriting.** The same detector, fresh, on real digits: ten classes, written by people, and the digits of the unseen pictures were never in the training. Ten classes are harder than three, so it gets 1,200 steps, a minute and a half.

# %%
digits, unseen = Digits(1500, seed=0), Digits(200, seed=1, train=False)


@cache
def reader():
    return learn(digits, 1200)


reading, _ = reader()
result = evaluate(reading, unseen)
print(f"200 pictures of unseen digits: AP {result['AP']:.3f}, AP50 {result['AP50']:.3f}")

# %%
reading, _ = reader()
fig, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
for ax, i in zip(axes, range(4)):
    image, target = unseen[i]
    (said,) = reading.detect(image[None] / 255)
    sure = said["scores"] > 0.4
    draw.draw_boxes(image, target["boxes"], colors="white", ax=ax, linewidth=2.5)
    draw.draw_boxes(None, said["boxes"][sure], said["labels"][sure], said["scores"][sure], ax=ax,
                    colors=draw.PREDICTION, class_names=digits.classes)  # fmt: skip
draw.show(
    fig,
    "Real handwriting, read by your detector (orange-red, score above 0.4); white: the truth.",
    "Four dark pictures with handwritten digits in boxes, each with the digit that was read and its score.",
)

# %% [markdown]
# **Full size.** The network of the paper is the same, only larger: ResNet-50 for a backbone, 256 channels, P3 to P7, nine anchors a location, four convolutions in each subnet, 80 classes. torchvision's has 91 (COCO's numbers have gaps), and so has the library's; its weights load as they are.

# %%
with torch.device("meta"):  # the shapes alone, no memory and no time
    full = create_detector("retinanet_resnet50_fpn", 91)
count = {
    "ResNet-50": sum(p.numel() for p in full.backbone.body.parameters()),
    "pyramid": sum(p.numel() for p in full.backbone.fpn.parameters()),
    "class subnet": sum(p.numel() for p in full.head.classification_head.parameters()),
    "box subnet": sum(p.numel() for p in full.head.regression_head.parameters()),
}
print(f"{sum(count.values()):,} weights: " + ", ".join(f"{name} {n:,}" for name, n in count.items()))
print(f"\n600 × 600 pixels\n{'':5}{'stride':>7}{'places':>10}{'anchors':>9}{'sizes':>18}")
grids_600 = pyramid_grids((600, 600), (8, 16, 32, 64, 128))
total = 0
for level, stride, (rows, columns), level_sizes in zip(range(3, 8), (8, 16, 32, 64, 128), grids_600, full.anchors.sizes):
    total += 9 * rows * columns
    words = ", ".join(str(size) for size in level_sizes)
    print(f"P{level:<4}{stride:7}{rows:6} ×{columns:3}{9 * rows * columns:9,}{words:>18}")
print(f"{'all':21}{total:10,}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 2.8), layout="constrained")
bars = axes[0].barh(list(count), [n / 1e6 for n in count.values()], color=[draw.UNION, draw.PALETTE[3], draw.TRUTH, draw.ANCHOR])
axes[0].bar_label(bars, fmt="%.1f", fontsize=9)
axes[0].invert_yaxis()
axes[0].set(title="weights, millions", xlim=(0, 28), xticks=[])
places = [9 * rows * columns for rows, columns in grids_600]
bars = axes[1].bar([f"P{k}" for k in range(3, 8)], places, color=draw.TRUTH)
axes[1].bar_label(bars, fmt="{:,.0f}", fontsize=9)
axes[1].set(title="anchors at 600 × 600 pixels", yticks=[], ylim=(0, 60_000))
draw.show(
    fig,
    f"Left: where the weights are. Right: three quarters of the {sum(places):,} anchors stand on the finest level. A pyramid from P2 would have four times as many.",
    "Two bar charts. ResNet-50 has the most weights; P3 has by far the most anchors, and each further level a quarter of the one before.",
)

# %% [markdown]
# Trained on COCO's 118,000 photographs it reaches an AP of 36.4 (torchvision's weights). And it runs on a GPU as on a CPU:

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
large = create_detector("retinanet_resnet50_fpn", 91).eval().to(device)
photo = torch.rand(1, 3, 320, 320, device=device)
with torch.no_grad():
    large(photo)  # once to warm up
    start = time.perf_counter()
    outputs = large(photo)
    shape = list(outputs["cls_logits"].shape)  # waits for a GPU
print(f"{shape} logits for 320 × 320 pixels, on {device}, in {time.perf_counter() - start:.2f} s")

# %% [markdown]
# `course_lib.models.retinanet` has all that you built, and `python -m course_lib.train retinanet --seconds 60` trains the library's small one.
#
# ## Review
#
# Four questions, a point each. The check looks at the form only; they are marked when you hand in.
#
# **Question 1.** A RetinaNet with P3 to P7, three sizes and three ratios gets a picture of 800 × 512 pixels. How many anchors has it in all? (Rows and columns that do not come out even are rounded up.)

# %% solve="pyramid_anchors"
### BEGIN SOLUTION
pyramid_anchors = sum(9 * rows * columns for rows, columns in pyramid_grids((800, 512), (8, 16, 32, 64, 128)))
### END SOLUTION

# %% check="pyramid_anchors"
check("pyramid_anchors", pyramid_anchors)

# %% [markdown]
# **Question 2.** The same picture, and a single class, K = 1. Suppose **every** score is above 0.05. How many boxes reach the NMS, if each level may send 1,000?

# %% solve="what_reaches_nms"
### BEGIN SOLUTION
what_reaches_nms = sum(
    min(1000, 9 * rows * columns) for rows, columns in pyramid_grids((800, 512), (8, 16, 32, 64, 128))
)
### END SOLUTION

# %% check="what_reaches_nms"
check("what_reaches_nms", what_reaches_nms)

# %% [markdown]
# **Question 3.** A batch of two pictures. In the first the focal losses of all anchors sum to 30, and 40 anchors are positive. In the second they sum to 12, and 2 are positive. The batch goes through your `retinanet_loss` as one long list. What is its classification loss?

# %% solve="batch_loss"
### BEGIN SOLUTION
batch_loss = (30 + 12) / (40 + 2)
### END SOLUTION

# %% check="batch_loss"
check("batch_loss", batch_loss)

# %% [markdown]
# **Question 4.** A colleague has written down the parts of RetinaNet. Which list is right?
#
# - **A** a backbone, a pyramid, a region proposal network, two subnets
# - **B** a backbone, a pyramid, two subnets of convolutions that end in fully connected layers
# - **C** a backbone, a pyramid, two subnets of convolutions, with the same weights at every level
# - **D** selective search, a backbone, two subnets of convolutions

# %% solve="parts_of_retinanet"
### BEGIN SOLUTION
parts_of_retinanet = "C"
### END SOLUTION

# %% check="parts_of_retinanet"
check("parts_of_retinanet", parts_of_retinanet)

# %% [markdown]
# ## Further reading
#
# - Lin et al., *Focal Loss for Dense Object Detection*, ICCV 2017, section 4: all of RetinaNet on one page. Table 1 has the numbers above.
# - Lin et al., *Feature Pyramid Networks for Object Detection*, CVPR 2017.
# - He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016: the backbone.
# - Zhang et al., *Bridging the Gap Between Anchor-based and Anchor-free Detection*, CVPR 2020: how much the choice of positives decides.
# - `course_lib/models/retinanet/`, `pyramid.py` and `backbones.py`: you can read all of it now.
#
# **Hand in** this notebook, saved, under its own name: `08_retinanet.ipynb`. Next: the same pyramid and the same subnets, without a single anchor.
