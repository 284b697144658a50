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
# # 09 · FCOS
#
# RetinaNet lays nine anchors on every location of its maps. Their sizes and ratios were chosen by hand, most of them never meet an object, and each has to be compared with every object by IoU. In 2019 Tian et al. asked: what if a location simply **says where the object's four sides are**?
#
# The answer is FCOS: the pyramid, the subnets and the focal loss of RetinaNet, and not a single anchor. In this lesson you build all that is new, train it, and take it apart.
#
# **After this lesson you can**
#
# - say what anchors cost, and what a location says in their place;
# - decide which location of which level answers for which object, by three rules, and say what goes wrong without each;
# - say what centre-ness is for, and measure it;
# - write a loss that takes a box as a whole, and say how it differs from L1;
# - train a detector without anchors, look inside it, break it, and compare it honestly with RetinaNet;
# - read the full-size network: 32 million weights.
#
# You need lessons 01, 02, 06 and 08. Take two hours.

# %% [markdown]
# **How to work.** As before: run from the top, write where it says `raise NotImplementedError`, let the check tell you. `hint("may_answer")` opens a hint. Answer with torch tensors or numpy arrays; only `fcos_loss` must stay with tensors. The cells that train a detector, from *Watch it learn* on, need all seven exercises; until then they say *not attempted yet*.
#
# | | you write | points |
# |---|---|---|
# | 1 | `grid_locations` | 1 |
# | 2 | `box_sides` | 2 |
# | 3 | `may_answer` | 3 |
# | 4 | `location_targets` | 3 |
# | 5 | `centerness` | 2 |
# | 6 | `fcos_loss` | 3 |
# | 7 | `decode_locations` | 2 |
# | | four questions at the end | 4 |

# %%
import math
import time
from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.patheffects import withStroke
from torch.nn.functional import binary_cross_entropy_with_logits

from autograde import check, hint
from course_lib import draw
from course_lib.anchors import base_anchors, pyramid_grids
from course_lib.boxes import box_iou, clip_boxes_to_image
from course_lib.data import Shapes
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.engine.budget import budget
from course_lib.explore import fcos_explorer
from course_lib.losses import generalized_box_iou_loss, sigmoid_focal_loss
from course_lib.metrics import evaluate_coco_images
from course_lib.models import Detector, create_detector
from course_lib.models.backbones import create_backbone
from course_lib.models.candidates import best_scores
from course_lib.models.fcos import FCOSHead
from course_lib.models.pyramid import BackboneWithFPN
from course_lib.suppression import batched_nms

train, valid = Shapes(1500, seed=0), Shapes(200, seed=1)  # pictures to learn from, and unseen ones
names = train.classes
inf = math.inf
LEVELS, STRIDES = ("P3", "P4", "P5"), (8, 16, 32)
RANGES = ((0, 16), (16, 32), (32, inf))  # distances in pixels that each level is in charge of
COLOURS = (draw.ANCHOR, draw.OVERLAP, draw.ENCLOSING)  # of the three levels
counts = [rows * columns for rows, columns in pyramid_grids((128, 128), STRIDES)]  # locations of each


def plain(answer):
    """Whatever your functions answer in (numpy, float64, ...) as a float32 tensor."""
    return torch.as_tensor(answer).float()


def arrows(ax, location, sides, colour):
    """l, t, r, b as arrows from a location."""
    (x, y), (left, top, right, bottom) = location, sides
    halo = [withStroke(linewidth=4, foreground="w")]
    for letter, dx, dy in (("l", -left, 0), ("t", 0, -top), ("r", right, 0), ("b", 0, bottom)):
        arrow = ax.annotate("", (x + dx, y + dy), (x, y), arrowprops={"arrowstyle": "->", "lw": 2, "color": colour})
        arrow.arrow_patch.set_path_effects(halo)
        label = {"ha": "center", "va": "center", "fontsize": 11, "fontweight": "bold", "path_effects": halo}
        ax.text(x + 0.75 * dx + (4 if dy else 0), y + 0.75 * dy - (4 if dx else 0), letter, color=colour, zorder=5, **label)
    ax.plot(x, y, "o", color=colour, ms=7, mec="k", zorder=5)


# %% [markdown]
# ## See it
#
# The same picture, the same location, two ways to speak of the object. On the left nine boxes are there before anybody has looked. Each asks: *am I near enough to an object, and how must I be moved?* On the right there is a point. It asks: *am I in an object, and how far are its sides?*

# %%
picture, truth = valid[8]
pale = picture // 2 + 127
sizes = (truth["boxes"][:, 2:] - truth["boxes"][:, :2]).prod(dim=1)
largest = truth["boxes"][sizes.argmax()]
where = ((largest[:2] + largest[2:]) / 2 // 16 * 16 + 8).tolist()  # a location of P4 near the centre
nine = base_anchors([24 * 2 ** (k / 3) for k in range(3)], [0.5, 1, 2]).reshape(-1, 4) + torch.tensor(where * 2)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(1, 1, 0.9))
draw.draw_boxes(pale, nine, colors=draw.ANCHOR, ax=axes[0], linewidth=1.4, title="nine anchors at a location")
draw.draw_boxes(pale, largest[None], colors=draw.TRUTH, ax=axes[1], title="a location, and four distances")
arrows(axes[1], where, [where[0] - largest[0], where[1] - largest[1], largest[2] - where[0], largest[3] - where[1]], "k")
places = [rows * columns for rows, columns in pyramid_grids((600, 600), (8, 16, 32, 64, 128))]
bars = axes[2].bar(["RetinaNet:\nanchors", "FCOS:\nlocations"], [9 * sum(places), sum(places)], color=[draw.ANCHOR, draw.TRUTH])
axes[2].bar_label(bars, fmt="{:,.0f}")
axes[2].set(title="answers for 600 × 600 pixels", yticks=[], ylim=(0, 10.5 * sum(places)))
draw.show(
    fig,
    f"RetinaNet answers for {9 * sum(places):,} anchors, FCOS for {sum(places):,} locations: a ninth. No sizes, no ratios, no IoU with every object.",
    "Left: nine orange boxes of three sizes and three shapes around a point. Middle: a point in an object with arrows to its four sides. Right: two bars, one nine times as high as the other.",
)

# %% [markdown]
# Fewer answers are nice, but they are not the point. **Anchors are decisions.** Three sizes, three ratios, two IoU thresholds: each was tuned on COCO, and other objects (long ships, thin text) want others. A location has no shape and overlaps nothing, so it needs none of these. It needs others: how near to the middle is near, and which level is in charge of which distances. You will meet both.
#
# In the explorer every dot is a location, and you choose one by a click or with the arrow keys. Guess first, then look:
#
# 1. It opens with four objects: a badge (A), a face (B), a rocket (C) and an astronaut (D). Go through the levels P3 to P7. Which object is answered for on which level? How many of the 5,456 locations answer at all?
# 2. Move the chosen location from the middle of the face to its edge. Where does it stop answering, and which rule stops it? How does its centre-ness change on the way?
# 3. Switch **centre sampling** off, then the **level ranges**. How many locations answer now, and how many are asked for by two objects at once?
# 4. All on again, press **face in head**. The face lies in the head. Who gets the places that both ask for, and does the other go without?

# %%
fcos_explorer()

# %% [markdown]
# (1: A on P3, B on P4, C on P5, D on P6, nobody on P7. 33 locations answer: 6, 9, 9 and 9. 2: less than 24 pixels from the centre of the face, 1.5 strides, in x and in y. Its centre-ness is 0.86 at first and falls with each step away from the middle. 3: 164 without centre sampling, 2 of them ambiguous; without the ranges as well 5,162, nearly every location of the picture, and 1,027 of them ambiguous. 4: the face, it is smaller. The head keeps three locations on P4 and three on P5.)
#
# ## Say it: a location, and l t r b
#
# A map of stride $s$ has one location for every $s \times s$ pixels, and the location stands in their middle. For an object with the box $(x_1, y_1, x_2, y_2)$, the location $(x, y)$ should say
#
# $$l = x - x_1 \qquad t = y - y_1 \qquad r = x_2 - x \qquad b = y_2 - y$$
#
# the distances to the **left**, **top**, **right** and **bottom** side. If all four are above 0, the location lies inside. And the way back is as short: the box is $(x - l,\; y - t,\; x + r,\; y + b)$.
#
# ### Exercise 1 · `grid_locations`
#
# `grid` is (rows, columns) of a map. Return the locations [N, 2] as (x, y) in pixels, row by row, in a row from left to right.
#
# **By hand first.** Two rows, three columns, stride 8. The first location is the middle of the first 8 × 8 pixels: (4, 4). One column further: (12, 4). All of them:
#
# $$(4, 4) \quad (12, 4) \quad (20, 4) \quad (4, 12) \quad (12, 12) \quad (20, 12)$$


# %% solve="grid_locations"
def grid_locations(grid, stride):
    """(x, y) in pixels [N, 2] of each location of a map of `grid` (rows, columns), row by row."""
    ### BEGIN SOLUTION
    rows, columns = grid
    y = (torch.arange(rows) + 0.5) * stride
    x = (torch.arange(columns) + 0.5) * stride
    ys, xs = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((xs, ys), dim=-1).reshape(-1, 2)
    ### END SOLUTION


# %% check="grid_locations"
check("grid_locations", grid_locations)

# %% [markdown]
# Your locations, of the three levels that we use for pictures of 128 × 128 pixels:


# %%
@cache
def locations_of(size):
    """The locations [N, 2] of each level, for a picture of `size` (height, width)."""
    return [plain(grid_locations(grid, stride)) for grid, stride in zip(pyramid_grids(size, STRIDES), STRIDES)]


def everywhere(size, ranges=RANGES):
    """Locations [N, 2] of all levels, with stride [N] and range [N, 2] of each."""
    levels = locations_of(tuple(size))
    counts = torch.tensor([len(level) for level in levels])
    strides, ranges = (torch.tensor(x, dtype=torch.float32).repeat_interleave(counts, dim=0) for x in (STRIDES, ranges))
    return torch.cat(levels), strides, ranges


levels = locations_of((128, 128))
fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, level, stride, points, colour in zip(axes, LEVELS, STRIDES, levels, COLOURS):
    draw.draw_boxes(pale, truth["boxes"], colors=draw.TRUTH, ax=ax, linewidth=1.2)
    ax.plot(*points.T, "o", color=colour, ms=1.5 + stride / 6, mec="k", mew=0.4)
    ax.set_title(f"{level}, stride {stride}: {len(points)} locations", fontsize=10)
draw.show(
    fig,
    f"{sum(counts)} locations in all. RetinaNet's small version in lesson 08 had {3 * sum(counts):,} anchors here, with three at a location.",
    "The picture three times with a fine, a middle and a coarse grid of points, and the objects' boxes.",
)

# %% [markdown]
# ### Exercise 2 · `box_sides`
#
# Every location to every box: [N, 2] and [M, 4] to [N, M, 4], in the order l, t, r, b. Where a location lies outside, some of them are below 0; leave them so.
#
# **By hand first.** The box (10, 20, 50, 40).
#
# | location | l | t | r | b | |
# |---|---|---|---|---|---|
# | (20, 28) | 20 − 10 = 10 | 28 − 20 = 8 | 50 − 20 = 30 | 40 − 28 = 12 | inside |
# | (4, 28) | −6 | 8 | 46 | 12 | outside, to the left |


# %% solve="box_sides"
def box_sides(locations, boxes):
    """l, t, r, b [N, M, 4] from each location [N, 2] to the sides of each box [M, 4]."""
    ### BEGIN SOLUTION
    x, y = locations[:, 0, None], locations[:, 1, None]  # [N, 1]
    x1, y1, x2, y2 = boxes.unbind(1)  # [M]
    return torch.stack((x - x1, y - y1, x2 - x, y2 - y), dim=-1)
    ### END SOLUTION


# %% check="box_sides"
check("box_sides", box_sides)

# %% [markdown]
# Left: two locations and your numbers for the largest object. Right: for every location of P3 inside of it, the **longest** of the four.

# %%
fine = locations_of((128, 128))[0]
told = plain(box_sides(fine, largest[None]))[:, 0]
inside = (told > 0).all(dim=1)
fig, axes = plt.subplots(1, 2, figsize=(8.6, 4), layout="constrained")
draw.draw_boxes(pale, largest[None], colors=draw.TRUTH, ax=axes[0])
for share, colour in (((0.3, 0.3), "k"), ((0.7, 0.7), draw.PREDICTION)):
    wanted = largest[:2] + torch.tensor(share) * (largest[2:] - largest[:2])
    n = (fine - wanted).norm(dim=1).argmin()
    arrows(axes[0], fine[n].tolist(), told[n].tolist(), colour)
draw.draw_boxes(pale, largest[None], colors=draw.TRUTH, ax=axes[1])
seen = axes[1].scatter(*fine[inside].T, c=told[inside].amax(dim=1), cmap="viridis", s=60, ec="k", lw=0.5)
axes[1].plot(*fine[~inside].T, "o", color=draw.IGNORED, ms=2)
fig.colorbar(seen, ax=axes[1], shrink=0.8, label="max(l, t, r, b), pixels")
draw.show(
    fig,
    f"{int(inside.sum())} of P3's {len(fine)} locations lie in this object. From its middle the longest distance is {told[inside].amax(dim=1).min():.0f} pixels, from its corners {told[inside].amax(dim=1).max():.0f}.",
    "Left: the largest object with two points in it, each with arrows to the four sides. Right: points in the object, coloured by their longest distance, which is least in the middle.",
)

# %% [markdown]
# ## Which location answers for which object?
#
# RetinaNet settled it by IoU. A location has no size, so FCOS needs three rules of its own.
#
# **1. Near the middle.** A location answers for an object only if it lies in its box, and less than 1.5 strides from its centre in x and in y. (The first version of the paper took all of the box; this *centre sampling* came soon after.) At the edge a location sees half of something else.
#
# **2. In range.** Each level has a range, and the longest of l, t, r, b must lie in it. For P3 to P7 the paper has
#
# $$0 \cdots 64 \cdots 128 \cdots 256 \cdots 512 \cdots \infty$$
#
# and we, with three levels and small pictures, 0 · 16 · 32 · ∞. So small objects go to fine levels, and large ones to coarse levels, as anchors' sizes did it.
#
# **3. The smallest.** If there is still more than one object, it takes the one with the smallest area.
#
# ### Exercise 3 · `may_answer`
#
# Rules 1 and 2. For each location: its `strides` [N] and `ranges` [N, 2] (lowest, highest), those of its level. Return a table [N, M] of True and False: may location n answer for box m?
#
# - inside: all of l, t, r, b **above** 0;
# - near: distance from the box's centre, in x and in y, **less than** `radius` strides;
# - in range: `max(l, t, r, b)` from lowest to highest, **both included**.
#
# **By hand first.** The box (10, 20, 50, 40) has its centre in (30, 30). Stride 8, range 24 to 32, radius 1.5: near means less than 12 pixels.
#
# | location | l, t, r, b | inside | from the centre | near | longest | in range | may it? |
# |---|---|---|---|---|---|---|---|
# | (36, 28) | 26, 8, 14, 12 | yes | 6, 2 | yes | 26 | yes | **yes** |
# | (20, 36) | 10, 16, 30, 4 | yes | 10, 6 | yes | 30 | yes | **yes** |
# | (28, 28) | 18, 8, 22, 12 | yes | 2, 2 | yes | 22 | no | no |
# | (42, 28) | 32, 8, 8, 12 | yes | 12, 2 | no | 32 | yes | no |
# | (34, 41) | 24, 21, 16, −1 | no | 4, 11 | yes | 24 | yes | no |
#
# With `radius=math.inf` everything is near: the whole box. There may be no boxes at all.


# %% solve="may_answer"
def may_answer(locations, strides, ranges, boxes, radius=1.5):
    """Is each location [N] inside of each box [M], near its centre, and of the right level? [N, M]"""
    ### BEGIN SOLUTION
    sides = box_sides(locations, boxes)  # [N, M, 4]
    inside = (sides > 0).all(dim=2)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = (locations[:, None] - centres).abs().amax(dim=2)
    near = away < radius * strides[:, None]
    longest = sides.amax(dim=2)
    in_range = (longest >= ranges[:, :1]) & (longest <= ranges[:, 1:])
    return inside & near & in_range
    ### END SOLUTION


# %% check="may_answer"
check("may_answer", may_answer)

# %% [markdown]
# The three levels of our picture, with your answers. Compare the columns: an object has its locations on one level, or on two if it lies between them.

# %%
may = torch.as_tensor(may_answer(*everywhere((128, 128)), truth["boxes"])).bool().split(counts)
within = torch.as_tensor(may_answer(*everywhere((128, 128), [(0, inf)] * 3), truth["boxes"], inf)).bool().split(counts)
fig, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, level, points, yes, box, colour, reach in zip(axes, LEVELS, locations_of((128, 128)), may, within, COLOURS, RANGES):
    draw.draw_boxes(pale, truth["boxes"], colors="black", ax=ax, linewidth=1)
    ax.plot(*points.T, "o", color=draw.IGNORED, ms=2)
    ax.plot(*points[box.any(1)].T, "o", color="none", mec=colour, mew=1.2, ms=6)
    ax.plot(*points[yes.any(1)].T, "o", color=colour, mec="k", mew=0.6, ms=7)
    ax.set_title(f"{level}, distances {reach[0]} to {reach[1]}:\n{int(yes.any(1).sum())} locations may answer".replace("inf", "∞"), fontsize=10)
draw.show(
    fig,
    "Filled: may answer. Rings: in an object, but not in range or not near its middle. Small grey points: in no object.",
    "The picture three times with grids of points. Filled points stand around the middles of small objects on P3, of middle ones on P4, of large ones on P5.",
)

# %% [markdown]
# ### What the rules are good for, in numbers
#
# A location that lies in two objects is **ambiguous**: it can say only one class and one box. How often does that happen? On 150 pictures, and on 150 crowded ones (8 to 12 objects), with your function:

# %%
crowded = Shapes(150, seed=2, objects=(8, 12))
ONE_MAP = ((0, inf), (inf, inf), (inf, inf))  # P3 answers for everything, the others for nothing
rules = {
    "one map, whole box": (ONE_MAP, inf),
    "pyramid, whole box": (RANGES, inf),
    "one map, near the middle": (ONE_MAP, 1.5),
    "pyramid, near the middle": (RANGES, 1.5),
}


def ambiguous(pictures, ranges, radius):
    """Share of the answering locations that may answer for two objects or more; objects left out."""
    several = answering = lost = objects = 0
    for i in range(150):
        target = pictures[i][1]
        table = torch.as_tensor(may_answer(*everywhere((128, 128), ranges), target["boxes"], radius)).long()
        several += int((table.sum(1) > 1).sum())
        answering += int((table.sum(1) > 0).sum())
        lost += int((table.sum(0) == 0).sum())
        objects += len(target["boxes"])
    return several / max(1, answering), lost / objects, answering / objects


shares = {name: [ambiguous(pictures, *rule) for pictures in (valid, crowded)] for name, rule in rules.items()}
print(f"{'':26}{'ambiguous':>12}{'crowded':>9}{'locations an object':>21}{'without any':>13}")
for name, ((share, lost, each), (more, _, _)) in shares.items():
    print(f"{name:26}{share:12.1%}{more:9.1%}{each:21.1f}{lost:13.1%}")
fig, ax = plt.subplots(figsize=(7.6, 2.9), layout="constrained")
for k, (word, colour) in enumerate((("1 to 5 objects", draw.TRUTH), ("8 to 12 objects", draw.PREDICTION))):
    values = [100 * both[k][0] for both in shares.values()]
    bars = ax.barh([j + 0.38 * k for j in range(len(rules))], values, height=0.36, color=colour, label=word)
    ax.bar_label(bars, fmt="%.1f%%", fontsize=8, padding=2)
ax.set(yticks=[j + 0.19 for j in range(len(rules))], yticklabels=rules, xlabel="ambiguous, % of the locations that answer")
ax.set(xlim=(0, 1.15 * max(100 * both[1][0] for both in shares.values()) + 1))
ax.invert_yaxis()
ax.legend(frameon=False, fontsize=9)
first, middles, last = (shares[name][1][0] for name in ("one map, whole box", "one map, near the middle", "pyramid, near the middle"))
draw.show(
    fig,
    f"In crowded pictures {first:.0%} of the locations are in doubt with one map and whole boxes, {middles:.1%} if only the middles answer, and {last:.1%} with all the rules.",
    "Pairs of bars for four sets of rules: by far the longest for one map with whole boxes, the other three about alike.",
)

# %% [markdown]
# Either rule alone removes most of the doubt. (The paper counted on COCO, with whole boxes: 23% of the locations without the pyramid, 7% with it.) With our numbers one map and the middles do best of all. The ranges take away mostly locations that were in no doubt, and so the share of those in doubt grows. What the pyramid is for, you see in *Break it*.
#
# And why are the two pyramid rows the same? Our ranges are narrow, and who is in range is near the middle already. From the centre of its object a location is $|l - r| / 2$ pixels away in x. P3 wants l and r above 0 and at most 16, so that is less than 8; and near means less than 1.5 strides, 12 pixels. The paper's ranges are four times as wide (P3: 64 pixels at stride 8), and there both rules are needed.
#
# Look at the last column, too. An object may fall between two levels and have no location at all: that is the price of ranges. The paper counts 1.6% of them on COCO.
#
# What remains are objects of one size that overlap. Then the third rule decides, and as long as they do not share their centre, each keeps some locations.
#
# ### Exercise 4 · `location_targets`
#
# What each location of a picture shall say: `classes` [N], a label or −1 for background, and `sides` [N, 4], its l, t, r, b in pixels, zeros for background. Use `may_answer` and `box_sides`. Of several objects it takes the one with the **smallest area**; if areas are equal, the first.
#
# **By hand first.** Location (28, 28), range 0 to 24, stride 8. Two objects may be answered for:
#
# | box | label | l, t, r, b | area |
# |---|---|---|---|
# | (10, 20, 50, 40) | 2 | 18, 8, 22, 12 | 40 · 20 = 800 |
# | (20, 18, 40, 42) | 0 | 8, 10, 12, 14 | 20 · 24 = **480** |
#
# It says class 0 and (8, 10, 12, 14). Its neighbour (36, 28) is out of range for the first box and answers for the second as well: 0 and (16, 10, 4, 14). And (100, 28) is in no box: −1 and (0, 0, 0, 0).


# %% solve="location_targets"
def location_targets(locations, strides, ranges, boxes, labels, radius=1.5):
    """classes [N], -1 for background, and l, t, r, b [N, 4] of the object that each answers for."""
    ### BEGIN SOLUTION
    N = len(locations)
    if len(boxes) == 0:
        return torch.full((N,), -1), torch.zeros(N, 4)
    may = may_answer(locations, strides, ranges, boxes, radius)  # [N, M]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    best = areas.expand(may.shape).masked_fill(~may, math.inf).argmin(dim=1)
    answers = may.any(dim=1)
    classes = torch.where(answers, labels[best], -1)
    sides = box_sides(locations, boxes)[torch.arange(N), best]
    return classes, sides * answers[:, None]
    ### END SOLUTION


# %% check="location_targets"
check("location_targets", location_targets)

# %% [markdown]
# Who answers for whom? Each location of a crowded picture stands for a square of pixels; it has the colour of its object.

# %%
scene, crowd = next(one for one in crowded if len(one[1]["boxes"]) == 8)
numbers = torch.arange(len(crowd["boxes"]))  # the object's number in place of its class
answered = torch.as_tensor(location_targets(*everywhere((128, 128)), crowd["boxes"], numbers)[0]).long()
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
paints = [draw.PALETTE[m % len(draw.PALETTE)] for m in range(len(numbers))]
draw.draw_boxes(scene, crowd["boxes"], colors=paints, ax=axes[0], title=f"{len(numbers)} objects")
for ax, level, stride, points, mine in zip(axes[1:], LEVELS, STRIDES, locations_of((128, 128)), answered.split(counts)):
    draw.draw_boxes(scene // 4 + 191, crowd["boxes"], colors=paints, ax=ax, linewidth=1)
    for (x, y), m in zip(points[mine >= 0].tolist(), mine[mine >= 0].tolist()):
        ax.add_patch(plt.Rectangle((x - stride / 2, y - stride / 2), stride, stride, fc=paints[m], ec="k", lw=0.6, alpha=0.75))
    ax.set_title(f"{level}: {int((mine >= 0).sum())} answer", fontsize=10)
heard = len(set(answered.tolist()) - {-1})
draw.show(
    fig,
    f"{heard} of {len(numbers)} objects have at least one location. Where two boxes overlap, the smaller one has its own places.",
    "A crowded picture with boxes in different colours, and three copies on which squares of the same colours fill the middles of the boxes: small squares on P3, large ones on P5.",
)

# %% [markdown]
# ## Centre-ness
#
# Anchors far from an object were thrown out by IoU. Locations near the edge of an object have no such judge. They see less of it, their boxes are poor, and yet they may be **sure of the class**. Then NMS keeps a poor box and strikes out a good one.
#
# So FCOS lets every location say one more number: how near am I to the middle? What it should say is
#
# $$\text{centre-ness} = \sqrt{\frac{\min(l, r)}{\max(l, r)} \cdot \frac{\min(t, b)}{\max(t, b)}}$$
#
# ### Exercise 5 · `centerness`
#
# `sides` [N, 4], none of them below 0, to [N].
#
# **By hand first.** (l, t, r, b) = (10, 8, 40, 18): across 10/40 = 1/4, down 8/18 = 4/9, the product 1/9, its root **1/3**. In the centre l = r and t = b: 1. On a side one of them is 0: 0.


# %% solve="centerness"
def centerness(sides):
    """How near to the middle, 0 to 1 [N], from l, t, r, b [N, 4]."""
    ### BEGIN SOLUTION
    across, down = sides[:, [0, 2]], sides[:, [1, 3]]
    ratio = across.amin(dim=1) / across.amax(dim=1)
    return (ratio * down.amin(dim=1) / down.amax(dim=1)).sqrt()
    ### END SOLUTION


# %% check="centerness"
check("centerness", centerness)

# %% [markdown]
# Your function at every pixel of three boxes, and along a line through the middle of the first:

# %%
x = torch.linspace(0.2, 39.8, 100)
line = plain(centerness(torch.stack((x, torch.full_like(x, 20), 40 - x, torch.full_like(x, 20)), dim=1)))
fig, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained", width_ratios=(1, 1, 1, 1.15))
for ax, (width, height) in zip(axes, ((40, 40), (60, 20), (16, 56))):
    box = torch.tensor([[32 - width / 2, 32 - height / 2, 32 + width / 2, 32 + height / 2]])
    pixels = plain(grid_locations((64, 64), 1))
    told = plain(box_sides(pixels, box))[:, 0]
    inside = (told > 0).all(dim=1)
    value = torch.full((64 * 64,), math.nan)
    value[inside] = plain(centerness(told[inside]))
    shown = ax.imshow(value.reshape(64, 64), cmap="viridis", vmin=0, vmax=1, extent=(0, 64, 64, 0))
    ax.contour(value.reshape(64, 64).nan_to_num(0), levels=[0.5], colors="w", extent=(0, 64, 0, 64))
    ax.set(title=f"{width} × {height}", xticks=[], yticks=[])
fig.colorbar(shown, ax=axes[:3], shrink=0.7)
axes[3].plot(x, line, color=draw.TRUTH, lw=2.5, label="with the root")
axes[3].plot(x, line**2, "--", color=draw.IGNORED, lw=2, label="without")
axes[3].set(xlabel="x in the first box", ylim=(0, 1.05), title="along its middle")
axes[3].legend(frameon=False, fontsize=8, loc="lower center")
draw.show(
    fig,
    "Centre-ness stretches with the box. White: 0.5. The root makes the fall slower, so that not only the very centre counts.",
    "Three boxes coloured from dark at the sides to bright in the centre, with a white contour; and a curve that is 1 in the middle and 0 at both ends.",
)

# %% [markdown]
# ## The loss
#
# $$L = \frac{1}{N_+}\left(\sum_{\text{all}} \sum_{k=1}^{K} \text{FL}(z_k, y_k) \;+\; \sum_{\text{positive}} \bigl(1 - \text{GIoU}\bigr) \;+\; \sum_{\text{positive}} \text{BCE}(\text{centre})\right)$$
#
# - **Class:** the focal loss, as in RetinaNet, of the K logits $z_k$ of a location, one for each class. $y_k$ is 1 for the class of its object, else 0. Nobody is ignored here: a location answers, or it is background.
# - **Box:** L1 would treat l, t, r and b as four numbers that have nothing to do with each other, and ask ten times as much of an object ten times as large. GIoU (lesson 01) takes the box as a whole and does not ask how large it is. The first paper has −ln IoU; its longer version, and we, take 1 − GIoU.
# - **Centre:** binary cross entropy. The truth is no yes or no here, but your centre-ness, a number from 0 to 1.
#
# All three are divided by $N_+$, the number of positive locations, or by 1 if there are none.
#
# ### Exercise 6 · `fcos_loss`
#
# Given: `sigmoid_focal_loss(logits, targets)` and `generalized_box_iou_loss(boxes, boxes)` of lessons 06 and 01, one value each; `binary_cross_entropy_with_logits(logits, targets, reduction="sum")`; and your `centerness`. How far two boxes overlap does not depend on where they lie. So take every location for the point (0, 0): the box is $(-l, -t, r, b)$.
#
# **By hand first.** K = 1, two locations, all class logits 0 (so p = 0.5). The first is positive, the second background.
#
# - Focal: 0.25 · 0.5² · 0.693 + 0.75 · 0.5² · 0.693 = 0.0433 + 0.1300 = **0.1733**.
# - It said (1, 1, 1, 3), the truth is (1, 1, 1, 1). Areas 2 · 4 = 8 and 2 · 2 = 4, the smaller one inside of the larger: IoU = GIoU = 4 / 8, **box** = 0.5.
# - Its truth is a centre, so centre-ness 1; it said the logit 0: −ln 0.5, **centre** = 0.693.
#
# `cls_logits` [N, K], `bbox_regression` and `sides` [N, 4] in one unit, `bbox_ctrness` [N] (logits), `classes` [N]. Return three tensors of one number each: `classification, box, centre`. A gradient must flow.


# %% solve="fcos_loss"
def fcos_loss(cls_logits, bbox_regression, bbox_ctrness, classes, sides):
    """Focal loss of all, 1 - GIoU and centre-ness of the positives, over their number: three tensors."""
    ### BEGIN SOLUTION
    positive = classes >= 0  # [N]
    count = max(1, int(positive.sum()))
    targets = torch.zeros_like(cls_logits)
    targets[positive, classes[positive]] = 1
    focal = sigmoid_focal_loss(cls_logits, targets).sum()
    said, truth = (
        torch.cat((-s[:, :2], s[:, 2:]), dim=1) for s in (bbox_regression[positive], sides[positive])
    )
    box = generalized_box_iou_loss(said, truth).sum()
    wanted = centerness(sides[positive])
    centre = binary_cross_entropy_with_logits(bbox_ctrness[positive], wanted, reduction="sum")
    return focal / count, box / count, centre / count
    ### END SOLUTION


# %% check="fcos_loss"
check("fcos_loss", fcos_loss)

# %% [markdown]
# What the box term feels. An object of 16 pixels and one of 160 pixels, and a location in the middle that says all four distances too short or too long by one factor:

# %%
def box_term(said, truth):
    """What your loss says of a single box."""
    nothing = torch.zeros(1, 1), torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    return float(fcos_loss(nothing[0], said, nothing[1], nothing[2], truth)[1])


box_term(torch.ones(1, 4), torch.ones(1, 4))
factors = torch.linspace(0.4, 2.5, 85)
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.1), layout="constrained", sharex=True)
for size, colour, style in ((16, draw.PREDICTION, "-"), (160, draw.TRUTH, "--")):
    truths = torch.full((1, 4), size / 2.0)
    whole = [box_term(truths * f, truths) for f in factors.tolist()]
    each = [float((truths * f - truths).abs().sum()) for f in factors.tolist()]
    axes[0].plot(factors, each, style, color=colour, lw=2.5, label=f"{size} × {size} pixels")
    axes[1].plot(factors, whole, style, color=colour, lw=2.5, label=f"{size} × {size} pixels")
axes[0].set(title="L1, pixels", xlabel="what is said / what is true", ylim=(0, None))
axes[1].set(title="1 − GIoU, by your function", xlabel="what is said / what is true", ylim=(0, 1))
axes[0].legend(frameon=False, fontsize=9)
draw.show(
    fig,
    "L1 asks ten times as much of the large object. For 1 − GIoU both curves are one: a box that is a fifth too large is wrong by as much, whatever its size.",
    "Two panels over the factor. L1: two V-shaped curves, one far steeper. 1 minus GIoU: two curves on top of each other, 0 at factor 1.",
)

# %% [markdown]
# ## From answers to boxes
#
# As in lesson 08, with two changes. The **score** of class k at a location is
#
# $$\sqrt{p_k \cdot c}$$
#
# with $p_k$ the sigmoid of its logit and $c$ that of the centre-ness. (The paper has no root. It changes no order, but the numbers are easier to read: 0.8 and 0.8 make 0.8.) And the **box** comes from the location: $(x - l,\; y - t,\; x + r,\; y + b)$.
#
# ### Exercise 7 · `decode_locations`
#
# For one picture. The first four inputs are lists with an entry for each level. Of a level with N locations these are: `cls_logits` [N, K]; `bbox_regression` [N, 4], l, t, r, b in pixels; `bbox_ctrness` [N], logits; `locations` [N, 2]. `size` is (height, width) of the picture.
#
# `best_scores(scores, score_threshold, candidates)` is your `best_candidates` of lesson 08 behind the sigmoid: from scores [N, K] it picks those above the threshold, the best first, at most `candidates`, and returns `scores, place, labels`, where `place` says which location. Then clip (`clip_boxes_to_image(boxes, size)`), join the levels, `batched_nms(boxes, scores, labels, nms_threshold)`, and keep the first `max_detections`.
#
# **By hand first.** Two locations in one object, one class.
#
# | location | l, t, r, b | box | p | c | √(p · c) |
# |---|---|---|---|---|---|
# | (20, 20) | 10, 10, 10, 10 | (10, 10, 30, 30) | 0.64 | 0.81 | **0.72** |
# | (12, 20) | 2, 10, 17, 10 | (10, 10, 29, 30) | 0.81 | 0.16 | 0.36 |
#
# The second is surer of the class, and its box is a little short. By p it would win. By the score the first one wins, and NMS strikes out the second (IoU 380 / 400 = 0.95).
#
# Return `boxes` [N, 4], `scores` [N] and `labels` [N], best first. If nothing is found, N is 0.


# %% solve="decode_locations"
def decode_locations(cls_logits, bbox_regression, bbox_ctrness, locations, size, score_threshold=0.05,
                     candidates=1000, nms_threshold=0.6, max_detections=100):  # fmt: skip
    """boxes [N, 4], scores [N] and labels [N] of one picture of `size` (height, width)."""
    ### BEGIN SOLUTION
    found = []
    for logits, sides, central, points in zip(cls_logits, bbox_regression, bbox_ctrness, locations):
        scores = (logits.sigmoid() * central.sigmoid()[:, None]).sqrt()  # [N, K]
        scores, place, labels = best_scores(scores, score_threshold, candidates)
        x, s = points[place], sides[place]
        boxes = torch.cat((x - s[:, :2], x + s[:, 2:]), dim=1)
        found.append((clip_boxes_to_image(boxes, size), scores, labels))
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found))
    keep = batched_nms(boxes, scores, labels, nms_threshold)[:max_detections]
    return boxes[keep], scores[keep], labels[keep]
    ### END SOLUTION


# %% check="decode_locations"
check("decode_locations", decode_locations)

# %% [markdown]
# Do your targets and your `decode_locations` fit together? If the network said **exactly** its targets, the objects must come out. And if each distance is off by a share of itself, the far sides most, does centre-ness find the better boxes? Here P3 alone answers, with all of each box, so that there are many boxes to choose from.


# %%
def pretend(target, noise, central, seed=0):
    """What comes out if the network says its targets, each distance off by a share `noise`."""
    everything = everywhere((128, 128), ONE_MAP)
    classes, sides = location_targets(*everything, target["boxes"], target["labels"], inf)
    classes, sides = torch.as_tensor(classes).long(), plain(sides)
    dice = torch.Generator().manual_seed(seed)
    logits = torch.full((len(classes), len(names)), -6.0)
    logits[classes >= 0, classes[classes >= 0]] = 2 + torch.randn(int((classes >= 0).sum()), generator=dice) / 2
    middle = torch.full((len(classes),), 6.0)
    if central:
        middle[classes >= 0] = torch.logit(plain(centerness(sides[classes >= 0])).clamp(0.01, 0.99))
    said = sides * (1 + noise * torch.randn(sides.shape, generator=dice)).clamp(min=0.1)
    said, points = said.split(counts), locations_of((128, 128))
    return decode_locations(logits.split(counts), said, middle.split(counts), points, (128, 128))


pretend(truth, 0, True)
shown = 36  # a picture in which it can be seen
shapes, true_boxes = valid[shown][0], valid[shown][1]["boxes"]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, (noise, central) in zip(axes, ((0, True), (0.15, False), (0.15, True))):
    told = []
    for i in range(60):
        boxes, scores, labels = pretend(valid[i][1], noise, central, i)
        boxes = plain(boxes).reshape(-1, 4)
        whole = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        told.append({"boxes": boxes[whole], "scores": plain(scores)[whole], "labels": torch.as_tensor(labels).long()[whole]})
    AP = evaluate_coco_images([valid[i][1] for i in range(60)], told)["AP"]
    draw.draw_boxes(shapes, true_boxes, colors="white", ax=ax, linewidth=5)
    draw.draw_boxes(None, told[shown]["boxes"][: len(true_boxes)], colors=draw.PREDICTION, ax=ax, linewidth=1.4)
    word = f"off by 15%, {'with' if central else 'without'} centre-ness" if noise else "exact"
    ax.set_title(f"{word}:\nAP {AP:.2f} on 60 pictures", fontsize=10)
draw.show(
    fig,
    f"Targets read back: the best {len(true_boxes)} detections (orange-red) over the truth (white). Left: exactly the targets. Middle and right: the same errors, judged without and with centre-ness. This picture was chosen because it shows; in others less changes, in some nothing or the wrong way. The AP tells how much in all.",
    "A picture three times; on the left both kinds of boxes coincide, in the middle they differ, on the right less so.",
)

# %% [markdown]
# ## Watch it learn
#
# All parts are there. Backbone, pyramid and the two subnets are the library's: you built a pyramid and a subnet in lesson 08. The box subnet says $e^{s_j x}$ for each distance, in strides: never below 0, with a number $s_j$ for each level that is learned. It says the centre-ness as well. **Which location answers for what, the loss, the boxes: all of that is yours.**


# %%
class MyFCOS(Detector):
    """FCOS, every step by your own functions. box: "giou", or "l1" for trying it out."""

    def __init__(self, num_classes, ranges=RANGES, radius=1.5, box="giou"):
        super().__init__(num_classes)
        self.ranges, self.radius, self.box = ranges, radius, box
        self.told = {}  # the targets of a picture are the same every time: kept
        self.backbone = BackboneWithFPN(create_backbone("tiny"), 64, norm="batch")
        self.head = FCOSHead(64, len(LEVELS), num_classes, depth=1)

    def forward(self, images):
        """Logits [B, N, K], sides in strides [B, N, 4] and logits of the centre-ness [B, N]."""
        said = self.head(self.backbone(images))
        return said["cls_logits"], said["bbox_regression"], said["bbox_ctrness"].squeeze(-1)

    def tell(self, size, target):
        """What the locations should say, computed once for each picture."""
        key = target["image_id"]
        if key not in self.told:
            answer = location_targets(*everywhere(size, self.ranges), target["boxes"], target["labels"], self.radius)
            self.told[key] = torch.as_tensor(answer[0]).long(), plain(answer[1])
        return self.told[key]

    def loss(self, images, targets):
        batch, _ = self.prepare(images)
        logits, sides, central = (x.flatten(0, 1) for x in self(batch))  # a batch is one long list
        size = tuple(batch.shape[-2:])
        classes, wanted = (torch.cat(part) for part in zip(*(self.tell(size, target) for target in targets)))
        strides = everywhere(size)[1].repeat(len(targets))[:, None]
        terms = fcos_loss(logits, sides, central, classes, wanted / strides)
        assert all(term.requires_grad for term in terms), "no gradient flows: a detach(), float() or numpy is in the way"
        named = dict(zip(("classification", "box", "centre"), terms))
        if self.box == "l1":
            positive = classes >= 0
            named["box"] = (sides - wanted / strides)[positive].abs().sum() / max(1, int(positive.sum()))
        return named

    @torch.no_grad()
    def detect(self, images):
        batch, sizes = self.prepare(images)
        return [read(said, own, padded=batch.shape[-2:]) for said, own in zip(zip(*self(batch)), sizes)]


def read(said, size, chosen=(0, 1, 2), centre=True, padded=None, **options):
    """The detections of what the network said of one picture; centre=False leaves the centre-ness out."""
    logits, sides, central = said
    padded = tuple(padded or size)
    if not centre:
        central = torch.full_like(central, 20.0)  # a sigmoid of 1
    points, strides, _ = everywhere(padded)
    lengths = [len(level) for level in locations_of(padded)]
    parts = [x.split(lengths) for x in (logits, sides * strides[:, None], central, points)]
    answer = decode_locations(*([part[j] for j in chosen] for part in parts), size, **options)
    boxes, scores, labels = plain(answer[0]).reshape(-1, 4), plain(answer[1]), torch.as_tensor(answer[2]).long()
    keep = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}


def learn(make, steps):
    """A fresh detector that has learned for so many steps, how that went, and the seconds it took."""
    torch.manual_seed(0)
    detector, start = make(), time.perf_counter()
    history = fit(detector, train, FitConfig(steps=budget(steps), lr=1e-2, batch_size=16))
    return detector, history, time.perf_counter() - start


@cache  # trained once; the cells below ask for it again
def trained():
    return learn(lambda: MyFCOS(len(names)), 500)


# %% [markdown]
# 500 steps of 16 pictures each, about 45 seconds:

# %%
detector, history, _ = trained()
result = evaluate(detector, valid)
print(f"200 unseen pictures: AP {result['AP']:.3f}, AP50 {result['AP50']:.3f}")
targets = [valid[i][1] for i in range(200)]
told = [location_targets(*everywhere((128, 128)), target["boxes"], target["labels"]) for target in targets]
wanted = torch.cat([plain(centerness(plain(sides)[torch.as_tensor(classes) >= 0])) for classes, sides in told])
floor = -(torch.xlogy(wanted, wanted) + torch.xlogy(1 - wanted, 1 - wanted)).mean()
print(f"centre-ness that their locations should say: {wanted.mean():.2f} in the mean; saying just that costs {floor:.2f}")

# %% [markdown]
# Of the curves, **centre** hardly falls, and it cannot. For a target of 0.5 the right answer itself costs $-\ln 0.5 = 0.69$; only for 0 and 1 it costs nothing. The last number is what is left if all centre-ness is right.
#
# And do not wait for scores near 1. A score is $\sqrt{p \cdot c}$: with $p = 1$ and a centre-ness of 0.4 it is 0.63.

# %%
detector, *_ = trained()
fig, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
for ax, i in zip(axes, (8, 36, 12, 20)):
    image, target = valid[i]
    (said,) = detector.detect(image[None] / 255)
    sure = said["scores"] > 0.5
    draw.draw_boxes(image, target["boxes"], colors="white", ax=ax, linewidth=2.5)
    draw.draw_boxes(None, said["boxes"][sure], said["labels"][sure], said["scores"][sure], ax=ax,
                    colors=draw.PREDICTION, class_names=names)  # fmt: skip
draw.show(
    fig,
    "Four unseen pictures: what your detector finds with a score above 0.5 (orange-red), and the truth (white).",
    "Four pictures of shapes, each with boxes, class names and scores.",
)

# %% [markdown]
# ### Beside RetinaNet
#
# The library's small RetinaNet has the same backbone, the same pyramid, and subnets of the same depth. It gets the same pictures and as many steps, with the learning rate that did best for it in our tests.


# %%
@cache
def rival():
    torch.manual_seed(0)
    retinanet, start = create_detector("retinanet", len(names)), time.perf_counter()
    fit(retinanet, train, FitConfig.of(retinanet, steps=budget(500)))
    return retinanet, time.perf_counter() - start


trained()
retinanet, seconds = rival()
theirs = evaluate(retinanet, valid)

# %%
(detector, _, mine), (retinanet, seconds) = trained(), rival()
rows = {
    "FCOS": (result, mine, detector, sum(counts)),
    "RetinaNet": (theirs, seconds, retinanet, 3 * sum(counts)),
}
print(f"{'':10}{'AP':>8}{'AP50':>8}{'AP75':>8}{'answers':>9}{'weights':>10}{'seconds':>9}")
for name, (said, took, model, answers) in rows.items():
    weights = sum(p.numel() for p in model.parameters())
    print(f"{name:10}{said['AP']:8.3f}{said['AP50']:8.3f}{said['AP75']:8.3f}{answers:9,}{weights:10,}{took:9.0f}")
fig, axes = plt.subplots(1, 2, figsize=(9.4, 2.9), layout="constrained", width_ratios=(1.3, 1))
for k, (name, colour) in enumerate((("FCOS", draw.TRUTH), ("RetinaNet", draw.ANCHOR))):
    said, _, _, answers = rows[name]
    bars = axes[0].bar([j + 0.4 * k for j in range(3)], [said[key] for key in ("AP", "AP50", "AP75")], width=0.38, color=colour, label=name)
    axes[0].bar_label(bars, fmt="%.2f", fontsize=9)
    bars = axes[1].barh(name, answers, color=colour)
    axes[1].bar_label(bars, fmt="{:,.0f}", padding=3)
axes[0].set(xticks=[0.2, 1.2, 2.2], xticklabels=["AP", "AP50", "AP75"], ylim=(0, 1.2), title="200 unseen pictures")
axes[0].legend(frameon=False, fontsize=9, ncols=2, loc="upper left")
axes[1].set(title="answers for a picture", xticks=[], xlim=(0, 3.8 * sum(counts)))
axes[1].invert_yaxis()
draw.show(
    fig,
    f"FCOS reaches AP {result['AP']:.2f}, RetinaNet {theirs['AP']:.2f}, with a third of the answers (here RetinaNet has three anchors at a location, not nine).",
    "Left: pairs of bars for AP, AP50 and AP75. Right: a short bar for FCOS's answers and one three times as long for RetinaNet's.",
)

# %% [markdown]
# Read it honestly. These are two trainings of less than a minute, one each, and neither has learned all it can: in our tests RetinaNet went on to about 0.69 with 750 steps (`budget(750)` in `rival` lets you see it). Another seed moves each of them by a point or so, and another learning rate by more. What can be said is this: **without a single anchor it is no worse**, and nobody had to choose the shapes of anchors, their number and the thresholds of IoU. The ranges we did choose. On COCO, with the same backbone and more training, torchvision's weights reach 39.2 (FCOS) and 36.4 (RetinaNet).
#
# ### Look inside: who answers where?
#
# For the first of these pictures, level by level: above the highest p of a class, below the centre-ness that each location says.

# %%
detector, *_ = trained()
with torch.no_grad():
    logits, sides, central = (x[0] for x in detector(detector.prepare(picture[None] / 255)[0]))
fig, axes = plt.subplots(2, 3, figsize=(9.6, 6.2), layout="constrained")
for column, (level, sure, middle, colour) in enumerate(
    zip(LEVELS, logits.sigmoid().amax(-1).split(counts), central.sigmoid().split(counts), COLOURS)
):
    side = math.isqrt(len(sure))
    for row, (values, cmap, word) in enumerate(((sure, "Greys_r", "highest p"), (middle, "viridis", "centre-ness"))):
        ax = axes[row, column]
        shown = ax.imshow(values.reshape(side, side), cmap=cmap, vmin=0, vmax=1, extent=(0, 128, 128, 0))
        for x1, y1, x2, y2 in truth["boxes"].tolist():
            ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour if row == 0 else "w", lw=1.5))
        ax.set(title=f"{level}: {word}", xticks=[], yticks=[])
        if column == 2:
            fig.colorbar(shown, ax=axes[row], shrink=0.8)
draw.show(
    fig,
    "Above: each level speaks up mostly in the middle of the objects in its range. Below: the centre-ness. What it says outside of objects was never learned; mostly p is near 0 there, and then nobody asks.",
    "Three maps from fine to coarse, twice. Above dark, with bright spots in some of the boxes; below brighter towards the middles of the boxes.",
)

# %% [markdown]
# Over 100 pictures: for each object, which level has the best box for it? And beside it, from the targets alone, which level should?

# %%
detector, *_ = trained()
sizes, finders, owners = [], [], []
with torch.no_grad():
    for i in range(100):
        image, target = valid[i]
        said = [x[0] for x in detector(detector.prepare(image[None] / 255)[0])]
        best = torch.zeros(len(target["boxes"]), len(LEVELS))
        for j in range(len(LEVELS)):
            mine = read(said, (128, 128), (j,))
            right = (box_iou(target["boxes"], mine["boxes"]) >= 0.5) & (target["labels"][:, None] == mine["labels"])
            best[:, j] = (right * mine["scores"]).amax(1) if len(mine["scores"]) else 0
        number = torch.arange(len(target["boxes"]))
        told = torch.as_tensor(location_targets(*everywhere((128, 128)), target["boxes"], number)[0]).long().split(counts)
        places = torch.stack([(level[:, None] == number).sum(0) for level in told], dim=1)
        sizes += (target["boxes"][:, 2:] - target["boxes"][:, :2]).amax(1).tolist()
        finders += torch.where(best.amax(1) > 0.05, best.argmax(1), 3).tolist()
        owners += torch.where(places.amax(1) > 0, places.argmax(1), 3).tolist()
sizes, edges = torch.tensor(sizes), torch.arange(12, 72, 4.0)
fig, axes = plt.subplots(1, 2, figsize=(10.4, 3), layout="constrained", sharey=True)
for ax, title, who in zip(axes, ("has most of its locations on", "found best by"), (owners, finders)):
    bottom = torch.zeros(len(edges) - 1)
    for j, (word, colour) in enumerate(zip((*LEVELS, "nobody"), (*COLOURS, draw.IGNORED))):
        heights = sizes[torch.tensor(who) == j].histogram(edges).hist
        ax.bar(edges[:-1], heights, width=3.6, bottom=bottom, color=colour, align="edge", label=word)
        bottom += heights
    ax.set(xlabel="longer side of the object, pixels", title=title, ylim=(0, 1.1 * float(bottom.max())))
axes[0].set_ylabel("objects")
axes[1].legend(frameon=False)
draw.show(
    fig,
    f"{len(sizes)} objects of 100 unseen pictures, by their longer side. Left: what your rules say. Right: which level's right box has the highest score. Grey, on the left: {owners.count(3)} objects without a location of their own. Found by some level: {len(finders) - finders.count(3)} of {len(finders)}.",
    "Two panels of stacked bars over the size: the smallest objects are P3's, the middle ones P4's, the largest P5's, in both.",
)

# %% [markdown]
# In the centre of an object of 32 pixels the longest distance is 16, and there P3's range ends. Few objects have a location in their very centre, so P4 takes over a little earlier. The network does not keep to the border as strictly as the rules: a level also finds objects that it never had to answer for, if they look like its own.
#
# ### What centre-ness does
#
# A score should say how good a box is: NMS and AP trust it. So compare them, for the boxes **before** NMS. To see it clearly, take a detector in which the edges answer as well: P3 alone, for every size, with **all of the box**. This one, and three more for *Break it*, learn for 250 steps, half as long as the one above.

# %%
SETTINGS = {
    "as it is": {},
    "P3 alone, whole box": {"ranges": ONE_MAP, "radius": inf},
    "P3 alone, the middle": {"ranges": ONE_MAP},
    "L1 for the sides": {"box": "l1"},
}


@cache
def variant(name):
    """A detector with one thing changed, after half of the training; and what it says of the unseen pictures."""
    model, *_ = learn(lambda: MyFCOS(len(names), **SETTINGS[name]), 250)
    with torch.no_grad():
        batches = [torch.stack([valid[i][0] for i in range(k, k + 50)]) / 255 for k in range(0, 200, 50)]
        return [said for images in batches for said in zip(*model(model.prepare(images)[0]))]


said = variant("P3 alone, whole box")

# %%
points = locations_of((128, 128))[0]  # P3's
central_true, sure, quality, chosen = [], [], [], []
for (logits, sides, central), (_, target) in zip(variant("P3 alone, whole box"), (valid[i] for i in range(200))):
    numbers = torch.arange(len(target["boxes"]))
    owner, told = location_targets(*everywhere((128, 128), ONE_MAP), target["boxes"], numbers, inf)
    owner, told = torch.as_tensor(owner).long()[: len(points)], plain(told)[: len(points)]
    s = sides[: len(points)] * STRIDES[0]
    boxes = torch.cat((points - s[:, :2], points + s[:, 2:]), dim=1)
    for m, (truth_box, label) in enumerate(zip(target["boxes"], target["labels"])):
        mine = owner == m
        if mine.any():
            p, c = logits[: len(points)][mine, label].sigmoid(), central[: len(points)][mine].sigmoid()
            fits = box_iou(boxes[mine], truth_box[None])[:, 0]
            central_true.append(plain(centerness(told[mine])))
            sure.append(torch.stack((p, (p * c).sqrt())))
            quality.append(fits)
            chosen.append((float(fits[p.argmax()]), float(fits[(p * c).argmax()])))
bins = (torch.cat(central_true) * 10).long().clamp(max=9)
middles = torch.arange(10) / 10 + 0.05


def mean_in_bins(values):
    return [float(values[bins == k].mean()) if (bins == k).any() else math.nan for k in range(10)]


fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", width_ratios=(1.1, 1, 0.9))
by_class, by_score = torch.cat(sure, dim=1)
axes[0].plot(middles, mean_in_bins(torch.cat(quality)), "-o", color=draw.OVERLAP, lw=2, ms=4, label="IoU of its box")
axes[0].plot(middles, mean_in_bins(by_class), "--s", color=draw.IGNORED, lw=2, ms=4, label="p of the class")
axes[0].plot(middles, mean_in_bins(by_score), "-^", color=draw.TRUTH, lw=2, ms=4, label="√(p · centre-ness)")
axes[0].set(xlim=(0, 1), ylim=(0, 1), xlabel="true centre-ness of the location", title="mean over locations")
axes[0].legend(frameon=False, fontsize=8, loc="lower right")
chosen = torch.tensor(chosen)
axes[1].plot(*chosen.T, ".", color=draw.TRUTH, ms=4, alpha=0.5)
axes[1].plot((0, 1), (0, 1), color=draw.INK, lw=0.8)
axes[1].set(xlim=(0, 1), ylim=(0, 1), xlabel="IoU of the box with the highest p", ylabel="… with the highest score", title="one point an object")
scores = {
    (name, centre): evaluate_coco_images(
        [valid[i][1] for i in range(200)], [read(said, (128, 128), centre=centre) for said in variant(name)]
    )
    for name in ("P3 alone, whole box", "as it is")
    for centre in (False, True)
}
for k, (centre, colour) in enumerate(((False, draw.IGNORED), (True, draw.TRUTH))):
    values = [scores[name, centre]["AP"] for name in ("P3 alone, whole box", "as it is")]
    bars = axes[2].bar([j + 0.4 * k for j in range(2)], values, width=0.38, color=colour, label="with centre-ness" if centre else "without")
    axes[2].bar_label(bars, fmt="%.2f", fontsize=9)
axes[2].set(xticks=[0.2, 1.2], xticklabels=["P3 alone,\nwhole box", "as it is"], ylim=(0, 1.1), title="AP")
axes[2].legend(frameon=False, fontsize=8, loc="upper left")
draw.show(
    fig,
    f"The detector that learned with whole boxes. Left: locations by how central they are. Middle: for each object the box that wins by p, and the one that wins by the score; IoU {chosen[:, 0].mean():.2f} and {chosen[:, 1].mean():.2f} in the mean. Right: AP with and without centre-ness, for this detector and for one with all the rules.",
    "Left: three curves over the true centre-ness. Middle: a cloud of points about the diagonal. Right: pairs of bars of AP.",
)

# %% [markdown]
# Look at the left panel. The class is soon as sure as it will ever be, while the boxes still get better towards the middle. The score goes on rising with them, and NMS keeps whoever is highest.
#
# In the middle panel that changes little, in AP on the right much more. The middle panel looks at one box for each object, the winner. AP puts **all** detections of all pictures in one ranking: the boxes from the edge as well that overlap the winner too little for NMS to strike them out. By p they stand among the good ones, as false alarms; the score sends them down. Of the 296 best detections (there are 592 objects) 65 were false alarms by p when we counted, and 28 by the score.
#
# Nothing was trained anew for *with* and *without*: the same boxes, sorted by another number. The paper found 33.5 AP without and 37.1 with, learning from whole boxes. With ranges and centre sampling there are fewer poor places to begin with, and less is left to gain.
#
# ## Break it
#
# **At inference.** Your detector from above, with parts of it silenced. Predict first: what does each of them cost?

# %%
tries = {
    "as it is": {},
    "P3 only": {"chosen": (0,)},
    "P4 only": {"chosen": (1,)},
    "P5 only": {"chosen": (2,)},
    "no centre-ness": {"centre": False},
    "no NMS": {"nms_threshold": 1.0},
}


def measured(said, **options):
    """COCO's numbers for what a network said of the 200 unseen pictures."""
    return evaluate_coco_images([valid[i][1] for i in range(200)], [read(x, (128, 128), **options) for x in said])


def small_and_medium(results, caption, alt):
    """Bars of AP for all, small and medium objects, one group for each result."""
    fig, ax = plt.subplots(figsize=(8.6, 0.5 + 0.5 * len(results)), layout="constrained")
    for j, (key, word, colour) in enumerate(
        [("AP", "all", draw.TRUTH), ("APs", "small (under 32 × 32)", draw.ANCHOR), ("APm", "medium", draw.PREDICTION)]
    ):
        values = [max(result[key], 0) for result in results.values()]
        bars = ax.barh([k + 0.26 * (j - 1) for k in range(len(results))], values, height=0.25, color=colour, label=word)
        ax.bar_label(bars, fmt="%.2f", fontsize=7)
    ax.set(yticks=range(len(results)), yticklabels=results, xlabel="AP", xlim=(0, 1))
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    draw.show(fig, caption, alt)


detector, *_ = trained()
with torch.no_grad():
    answers = []
    for k in range(0, 200, 50):
        images = torch.stack([valid[i][0] for i in range(k, k + 50)]) / 255
        answers += list(zip(*detector(detector.prepare(images)[0])))
broken = {name: measured(answers, **options) for name, options in tries.items()}
small_and_medium(
    broken,
    f"AP {broken['as it is']['AP']:.2f} as it is; {broken['no centre-ness']['AP']:.2f} without centre-ness, {broken['no NMS']['AP']:.2f} without NMS. P3 alone finds small objects only, P5 alone medium ones only (none of ours is large to COCO).",
    "Groups of three bars for six settings: AP of all, of small and of medium objects.",
)

# %% [markdown]
# FCOS has got rid of anchors, not of NMS: an object has several locations, often on two levels, and all of them speak. (That it costs so little here is because many of our objects have two or three locations.) (Lesson 10 gets rid of NMS as well.)
#
# **In learning.** Now the rules themselves. Three detectors, each with one of them changed, beside one with all, 250 steps each:

# %%
changed = {name: measured(variant(name)) for name in SETTINGS}
small_and_medium(
    changed,
    f"250 steps each. AP {changed['as it is']['AP']:.2f} with all the rules, {changed['P3 alone, whole box']['AP']:.2f} if P3 answers for every size with whole boxes, {changed['P3 alone, the middle']['AP']:.2f} if only their middles answer, {changed['L1 for the sides']['AP']:.2f} if L1 takes the place of 1 − GIoU.",
    "Groups of three bars for four ways to learn: AP of all, of small and of medium objects.",
)

# %% [markdown]
# One training each, so a difference of a few points may be chance. With P3 alone and whole boxes the small objects lose most. There an object of 64 × 64 pixels has 64 locations and one of 16 × 16 has 4, so the loss speaks mostly of large ones; with the middles none has more than nine.
#
# With L1 the AP is lower than with 1 − GIoU. Not all of that is the idea: summed over four sides, in strides, L1 is the larger number as well (0.55 in the end, against 0.23) and weighs more beside the two other terms.
#
# And do not be surprised if P3 alone, with the middles, comes out as good as the pyramid. There an object has more than twice as many locations (you counted them), so there is more to learn from; and the pyramid's way down leads into P3 what the coarse maps know. Small objects pay for it. Our objects are 16 to 64 pixels long, though. On photographs they are 10 to 800, and no single map fits them all.
#
# ## Use it
#
# **Full size.** ResNet-50, 256 channels, P3 to P7, four convolutions with GroupNorm in each subnet. Beside RetinaNet's, the last layers are small: one answer a location, not nine.

# %%
with torch.device("meta"):  # the shapes alone, no memory and no time
    full = {name: create_detector(f"{name}_resnet50_fpn", 91) for name in ("fcos", "retinanet")}
parts = {name: {} for name in full}
for name, model in full.items():
    for part in ("backbone.body", "backbone.fpn", "head.classification_head", "head.regression_head"):
        parts[name][part] = sum(p.numel() for p in model.get_submodule(part).parameters())
    print(f"{name:10} {sum(parts[name].values()):>11,} weights, {'9 anchors' if name == 'retinanet' else '1 answer'} at a location")
fig, ax = plt.subplots(figsize=(8.6, 2.3), layout="constrained")
for y, name in enumerate(full):
    left = 0
    words = ("ResNet-50", "pyramid", "class subnet", "box subnet")
    for word, n, colour in zip(words, parts[name].values(), (draw.UNION, draw.PALETTE[3], draw.TRUTH, draw.ANCHOR)):
        ax.barh(y, n / 1e6, left=left / 1e6, color=colour, ec="k", lw=0.5, label=word if y == 0 else None)
        ax.text((left + n / 2) / 1e6, y, f"{n / 1e6:.1f}", ha="center", va="center", fontsize=9, color="w" if colour == draw.TRUTH else "k")
        left += n
ax.set(yticks=(0, 1), yticklabels=("FCOS", "RetinaNet"), xlabel="million weights", ylim=(1.5, -0.5))
ax.legend(frameon=False, fontsize=9, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
total, other = (sum(parts[name].values()) for name in full)
draw.show(
    fig,
    f"Where the weights are. FCOS has {total:,}, RetinaNet {other:,}; the difference is RetinaNet's last layers, which answer nine times at each location.",
    "Two stacked bars, nearly alike; the class subnet of RetinaNet is a little longer.",
)

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
large = create_detector("fcos_resnet50_fpn", 91).eval().to(device)
photo = torch.rand(1, 3, 320, 320, device=device)
with torch.no_grad():
    large(photo)  # once to warm up
    start = time.perf_counter()
    shape = list(large(photo)["cls_logits"].shape)  # waits for a GPU
print(f"{shape} logits for 320 × 320 pixels, on {device}, in {time.perf_counter() - start:.2f} s")

# %% [markdown]
# Trained on COCO's 118,000 photographs it reaches an AP of 39.2 (torchvision's weights, which load into it as they are). `course_lib.models.fcos` has all that you built, and `python -m course_lib.train fcos --seconds 60` trains the library's small one; `--data digits` gives it handwriting to read.
#
# ## Review
#
# Four questions, a point each. The check looks at the form only; they are marked when you hand in.
#
# **Question 1.** An FCOS with P3 to P7 gets a picture of 768 × 1280 pixels. For how many locations does it answer?

# %% solve="locations_counted"
### BEGIN SOLUTION
locations_counted = sum(rows * columns for rows, columns in pyramid_grids((768, 1280), (8, 16, 32, 64, 128)))
### END SOLUTION

# %% check="locations_counted"
check("locations_counted", locations_counted)

# %% [markdown]
# **Question 2.** The location (18, 30) lies in the box (10, 20, 50, 70). The network is right about the centre-ness, and says 0.64 for the class. What is the score?

# %% solve="score_of_a_location"
### BEGIN SOLUTION
score_of_a_location = math.sqrt(0.64 * math.sqrt(8 / 32 * 10 / 40))
### END SOLUTION

# %% check="score_of_a_location"
check("score_of_a_location", score_of_a_location)

# %% [markdown]
# **Question 3.** An object is 200 pixels wide and 90 high. All of its box answers (no centre sampling), and the ranges are the paper's: P3 to 64, P4 to 128, P5 to 256, P6 to 512, P7 above. Which levels have locations that answer for it?
#
# - **A** P3 and P4
# - **B** P4 only
# - **C** P4 and P5
# - **D** P5 only
# - **E** all five

# %% solve="levels_of_an_object"
### BEGIN SOLUTION
levels_of_an_object = "C"
### END SOLUTION

# %% check="levels_of_an_object"
check("levels_of_an_object", levels_of_an_object)

# %% [markdown]
# **Question 4.** What is centre-ness for?
#
# - **A** It moves boxes from the edge of an object towards its middle.
# - **B** It lowers the scores of places near the edge, so that NMS keeps a box from the middle.
# - **C** It makes fewer locations positive while learning.
# - **D** It settles which of two objects a location answers for.

# %% solve="why_centerness"
### BEGIN SOLUTION
why_centerness = "B"
### END SOLUTION

# %% check="why_centerness"
check("why_centerness", why_centerness)

# %% [markdown]
# ## Further reading
#
# - Tian et al., *FCOS: Fully Convolutional One-Stage Object Detection*, ICCV 2019: section 3 is this lesson, section 4 has the numbers.
# - Tian et al., *FCOS: A Simple and Strong Anchor-free Object Detector*, TPAMI 2020: centre sampling, GIoU, centre-ness beside the boxes.
# - Yu et al., *UnitBox: An Advanced Object Detection Network*, ACM MM 2016: −ln IoU for l, t, r, b.
# - Zhang et al., *Bridging the Gap Between Anchor-based and Anchor-free Detection*, CVPR 2020: give RetinaNet FCOS's way to choose positives, and the two are equal.
# - Huang et al., *DenseBox*, 2015: four distances from a pixel, before anchors were the fashion.
# - `course_lib/models/fcos/`: `steps.py` has your seven functions, with the reasons for every `<` and `<=`.
#
# **Hand in** this notebook, saved, under its own name: `09_fcos.ipynb`. Next: one point for each object, and no NMS.
