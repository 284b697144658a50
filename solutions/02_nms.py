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
# # 02 · Non-maximum suppression
#
# Show a detector one sheep, and it says *sheep* half a dozen times, each time with a slightly different box. All of them are more or less right. You want one.
#
# Keep the best, throw away what overlaps it: nearly every detector ends with this step, **non-maximum suppression**, NMS. You build it, make it fast, and find the flock of sheep for which it must fail.
#
# **After this lesson you can**
#
# - say why a detector repeats itself, and what greedy NMS does about it, step by step;
# - keep the classes apart, with a trick that most frameworks use, and name its two traps;
# - choose the boxes without a loop over boxes, and explain why the answer is the same;
# - rescue an object that stands close to another one with Soft-NMS, and say when even that fails;
# - let the dropped boxes vote on where the kept ones should be.
#
# You need lesson 01 (IoU), and about an hour and a half.

# %% [markdown]
# **How to work.** Run the cells from the top (Shift+Enter). Where a function says `raise NotImplementedError`, it is your turn. The check below it tells you at once what is wrong and why. `hint("nms")` opens a hint, once more opens the next. From lesson 01 you have `box_iou(boxes1, boxes2)`: here it is imported, use it wherever you like.
#
# | | you write | points |
# |---|---|---|
# | 1 | `nms` | 4 |
# | 2 | `batched_nms` | 3 |
# | 3 | `settle` | 3 |
# | 4 | `soft_nms` | 3 |
# | 5 | `weighted_boxes` | 3 |
# | | four questions at the end | 4 |

# %%
import time

import matplotlib.pyplot as plt
import torch
from skimage import data

from autograde import check, hint
from course_lib import draw
from course_lib import suppression as library
from course_lib.boxes import box_iou
from course_lib.data import crowded_scene, raw_detections
from course_lib.explore import nms_explorer

flock = crowded_scene()  # a picture, and the true boxes of all that is in it
said = raw_detections(flock)  # what a detector says about it: boxes, scores, labels, ious
enough = said["scores"] >= 0.3  # what scores lower is not even considered
said = {name: column[enough] for name, column in said.items()}

# %% [markdown]
# ## See it
#
# Here is a flock, and everything that a detector said about it.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.7), layout="constrained")
draw.draw_boxes(flock.image, flock.boxes, ax=axes[0], title=f"{len(flock.boxes)} objects")
title = f"{len(said['boxes'])} boxes say so"
draw.draw_boxes(
    flock.image, said["boxes"], colors=draw.ANCHOR, ax=axes[1], title=title, linewidth=0.8
)
draw.show(
    fig,
    "What is there (blue), and what the detector said (orange). Every object is said several times.",
    flock.alt + " On the left one box for each object, on the right several around each.",
)

# %% [markdown]
# In the explorer below the detector's boxes are orange, those that were taken are orange-red, the true ones dashed and blue. Guess first, then look:
#
# 1. It opens at the end of greedy NMS. One object was lost. Which one? Press **to the start**, then **one step** until you see it struck out. Which box did it?
# 2. Raise the **IoU threshold** until the lost one is back, and then a little more. How much room is there between *one is lost* and *some are said twice*?
# 3. Set the threshold back to 0.5 and choose **Soft, Gaussian**. Before you do: at the step you found in 1, what should happen to the lost object's boxes instead?
# 4. Stay there and lower **the lowest score that counts**. What are the boxes that appear?

# %%
nms_explorer()

# %% [markdown]
# 1. The black sheep in the middle. The best box of the white one in front of it, score 0.87, strikes out all of its boxes in step 2.
# 2. Hardly any, and in another picture it lies elsewhere. Two of the sheep overlap more than some duplicates do.
# 3. They should only lose score. The best that is left of the black sheep has 0.35 instead of 0.70, and is still there.
# 4. Duplicates. They are never thrown away now, only sent to the end of the queue.
#
# ## Why does a detector repeat itself?
#
# It looks at thousands of places, close together. Neighbouring places see nearly the same pixels, so they give nearly the same answer. The scores form a **hill** around each object, and everything above the score threshold is reported.

# %%
sheep = torch.tensor([[70.0, 194.0, 137.0, 250.0]])
shift = torch.arange(-60.0, 61.0, 6.0)
windows = sheep + shift[:, None] * torch.tensor([1.0, 0.0, 1.0, 0.0])
answer = 0.95 * box_iou(windows, sheep)[:, 0]  # a simple stand-in for a detector's score
over = answer > 0.5
fig, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
ax.vlines(shift[~over], 0, answer[~over], color=draw.IGNORED, lw=3)
ax.vlines(shift[over], 0, answer[over], color=draw.ANCHOR, lw=3)
ax.vlines(0, 0, answer.max(), color=draw.PREDICTION, lw=5)
ax.axhline(0.5, color="0.6", lw=1, ls="--")
ax.set(xlabel="where the detector looks: pixels from the object", ylabel="score", ylim=(0, 1))
draw.show(
    fig,
    f"One object, {int(over.sum())} places with a score over 0.5. "
    "The peak of the hill is the answer; its slopes are the non-maxima that we want to suppress.",
    "Scores at 21 places form a hill with its peak at the object. Several are above a line at 0.5.",
)

# %% [markdown]
# ## Say it: greedy NMS
#
# Three sentences, in use since R-CNN (Girshick et al., 2014) and older than that:
#
# 1. Take the box with the highest score. It is **kept**.
# 2. Throw away every other box whose IoU with it is **more than** the threshold: it means the same object.
# 3. Repeat with the boxes that are left, until none is.
#
# "Greedy", because a decision is never taken back.

# %%
example = torch.tensor([
    [4.0, 2.0, 24.0, 22.0],
    [0.0, 0.0, 20.0, 20.0],
    [8.0, 4.0, 28.0, 24.0],
    [40.0, 2.0, 60.0, 22.0],
])
example_scores = torch.tensor([0.8, 0.9, 0.7, 0.6])
fig, axes = plt.subplots(1, 4, figsize=(11, 2.4), layout="constrained")
titles, states = ["four boxes, all waiting"], [[draw.ANCHOR] * 4]
for step in library.nms_steps(example, example_scores, 0.5):
    now = list(states[-1])
    now[step.kept] = draw.PREDICTION
    for k in step.suppressed:
        now[k] = draw.IGNORED
    dropped = ", ".join(map(str, step.suppressed)) or "nothing"
    titles.append(f"keep {step.kept}, drop {dropped}")
    states.append(now)
widths = {draw.IGNORED: 1, draw.ANCHOR: 2, draw.PREDICTION: 3.5}
for ax, title, state in zip(axes, titles, states):
    for colour, width in widths.items():  # dropped first, kept last, on top of the others
        rows = [k for k in range(4) if state[k] == colour]
        names = [f"{k}: {example_scores[k]:.1f}" for k in rows]
        draw.draw_boxes(None, example[rows], names, colors=colour, ax=ax, linewidth=width)
    ax.set(xticks=[], yticks=[], ylim=(29, -9), xlim=(-5, 65), title=title)
draw.show(
    fig,
    "Greedy NMS at threshold 0.5. Orange: waiting. Thick orange-red: kept. Thin grey: dropped.",
    "Four boxes with scores, in four pictures. Box 1 is kept and drops box 0; then box 2 is kept, "
    "then box 3.",
)

# %% [markdown]
# ### Exercise 1 · `nms`
#
# **By hand first**, with the four boxes above. Each is 20 × 20. Boxes 0 and 1 share 16 × 18 = 288, so their IoU is 288/(400 + 400 − 288) ≈ 0.56. So is that of 0 and 2. Boxes 1 and 2 share 12 × 16 = 192: IoU = 192/608 ≈ 0.32.
#
# | step | best box left | drops | left over |
# |---|---|---|---|
# | 1 | 1 (0.9) | 0, since 0.56 > 0.5 | 2, 3 |
# | 2 | 2 (0.7) | nothing | 3 |
# | 3 | 3 (0.6) | nothing | none |
#
# The answer is `[1, 2, 3]`: **indices into the input, best score first**. Look at box 2 again. Box 0 is better and overlaps it, but box 0 was gone before its turn came. A dropped box drops nobody.
#
# Three rules for the borderline:
#
# - **more than** the threshold is strict: an IoU of exactly 0.5 at a threshold of 0.5 drops nothing;
# - of two equal scores the box that comes first in the input counts as better. `argsort(descending=True, stable=True)` sees to it; without `stable` anything can happen;
# - a score of 0 is a score like any other.

# %% solve="nms"
def nms(boxes, scores, iou_threshold):
    """Indices [kept] of the boxes [N, 4] that greedy NMS keeps, by decreasing score [N]."""
    ### BEGIN SOLUTION
    order = scores.argsort(descending=True, stable=True)
    kept = []
    while len(order) > 0:
        best, rest = order[0], order[1:]
        kept.append(best.item())
        iou = box_iou(boxes[best][None], boxes[rest])[0]
        order = rest[iou <= iou_threshold]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
    ### END SOLUTION

# %% check="nms"
check("nms", nms)

# %% [markdown]
# Your function, on the flock:

# %%
keep = torch.as_tensor(nms(said["boxes"], said["scores"], 0.5), dtype=torch.int64)
fig, ax = plt.subplots(figsize=(6, 3.9), layout="constrained")
draw.draw_boxes(flock.image, said["boxes"][keep], colors=draw.PREDICTION, ax=ax)
draw.show(
    fig,
    f"{len(said['boxes'])} boxes before, {len(keep)} after your NMS, for {len(flock.boxes)} objects.",
    flock.alt + " After suppression about one box for each object.",
)

# %% [markdown]
# Nearly perfect. Nearly: look at the black sheep in the middle, behind the white one. We will come back to it. (And a box around nothing stays, if it overlaps nothing. NMS removes repetitions, not mistakes.)
#
# ## Many classes
#
# A box may only be dropped by a box of **its own class**. Here is why.

# %%
portrait = torch.tensor([
    [40.0, 2.0, 400.0, 500.0],
    [22.0, 168.0, 412.0, 512.0],
    [22.0, 10.0, 412.0, 512.0],
    [296.0, 330.0, 512.0, 505.0],
    [40.0, 180.0, 396.0, 505.0],
    [286.0, 338.0, 508.0, 510.0],
])
portrait_scores = torch.tensor([0.71, 0.88, 0.94, 0.55, 0.62, 0.81])
portrait_classes = torch.tensor([0, 1, 0, 2, 1, 2])
kinds = ["person", "space suit", "helmet"]
overlap = box_iou(portrait[1:2], portrait[2:3]).item()
keep = library.nms(portrait, portrait_scores, 0.5)
fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, rows, title in [
    (axes[0], torch.arange(6), "six detections of three classes"),
    (axes[1], keep, "after NMS that ignores the classes"),
]:
    draw.draw_boxes(
        data.astronaut(),
        portrait[rows],
        portrait_classes[rows],
        portrait_scores[rows],
        class_names=kinds,
        ax=ax,
        title=title,
    )
draw.show(
    fig,
    f"The suit is gone: its box overlaps the person's with IoU {overlap:.2f}, and both were right.",
    "A portrait of an astronaut with boxes for person, space suit and helmet. "
    "After suppression the box of the space suit is missing.",
)

# %% [markdown]
# The plain way: call `nms` once for each class. The short way is a trick: **move each class to a place of its own**, far from the others. Then boxes of two classes cannot overlap, and one call of `nms` does it all. Moving all boxes of a class together changes no IoU among them.

# %%
span = portrait.max() - portrait.min() + 1
moved = portrait + portrait_classes[:, None] * span
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for ax, where, title in [(axes[0], portrait, "as they are"), (axes[1], moved, "moved by class")]:
    draw.draw_boxes(None, where, portrait_classes, class_names=kinds, ax=ax, title=title)
draw.show(
    fig,
    "Class 0 stays, class 1 moves right and down by one span, class 2 by two.",
    "Left, boxes of three classes on top of each other. Right, the classes along a diagonal.",
)

# %% [markdown]
# ### Exercise 2 · `batched_nms`
#
# **By hand first.** Three boxes in one place, scores 0.9, 0.8, 0.7, classes 1, 0, 1. The first drops the third, which has its class. The second has nobody of its class: it stays. Answer: `[0, 1]`, **by decreasing score, whatever the class**.
#
# Of equal scores in *different* classes either may come first.
#
# With the trick, class $k$ moves by $k$ times the span. Well-known code has stepped into both of its traps:
#
# - **How large is the span?** The largest coordinate is not enough where boxes reach over the left or upper edge, and a fixed 10,000 is not enough on a map. It must be at least max − min + 1.
# - **Large class numbers.** float32 has 24 binary digits. Near 300,000,000 neighbouring float32 numbers are 32 pixels apart, and your boxes are rounded away. Go to `.double()` first: 53 digits.
#
# With a loop there are no traps; class numbers may have gaps, so go through `idxs.unique()`. Both ways get full points, and your own `nms` is welcome inside.

# %% solve="batched_nms"
def batched_nms(boxes, scores, idxs, iou_threshold):
    """NMS in each class by itself. idxs [N]: class of each box. Indices [kept], best first."""
    ### BEGIN SOLUTION
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    span = boxes.max() - boxes.min() + 1
    moved = boxes.double() + idxs[:, None].double() * span
    return nms(moved, scores, iou_threshold)
    ### END SOLUTION

# %% check="batched_nms"
check("batched_nms", batched_nms)

# %%
keep = batched_nms(portrait, portrait_scores, portrait_classes, 0.5)
for k in torch.as_tensor(keep, dtype=torch.int64):
    print(f"{portrait_scores[k]:.2f}  {kinds[portrait_classes[k]]}")

# %% [markdown]
# ## The same choice without a loop over boxes
#
# Your `nms` takes one box after the other: 5,000 kept boxes are 5,000 rounds, and a graphics card, which could do thousands of things at once, waits. Can all boxes be judged **at the same time**?
#
# Sort the boxes, best first, and make the table of who overlaps whom. Read it as **row drops column**. Only the part above the diagonal matters: there the row's box is the better one.

# %%
five = torch.tensor([
    [0.0, 0.0, 20.0, 20.0],
    [5.0, 1.0, 25.0, 21.0],
    [10.0, 2.0, 30.0, 22.0],
    [15.0, 3.0, 35.0, 23.0],
    [-1.0, 5.0, 19.0, 25.0],
])
overlaps = box_iou(five, five) > 0.5
letters = list("ABCDE")
fig, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained", width_ratios=[1.3, 1])
draw.draw_boxes(None, five, letters, colors=list(draw.PALETTE[:1] + draw.PALETTE[4:8]), ax=axes[0])
axes[1].imshow(overlaps.triu(1).numpy(), cmap="Blues", vmax=1.6)
axes[1].set(xticks=range(5), xticklabels=letters, yticks=range(5), yticklabels=letters)
axes[1].set(ylabel="this box …", xlabel="… may drop this one", title="row drops column")
for i, j in overlaps.triu(1).nonzero().tolist():
    axes[1].text(j, i, f"{box_iou(five, five)[i, j]:.2f}", ha="center", va="center", fontsize=9)
draw.show(
    fig,
    "Five boxes, A the best and E the worst. The table holds each IoU over 0.5: the row's box may "
    "drop the column's, and never the other way.",
    "Boxes A, B, C and D in a row, each over the next, and E below A. "
    "The table has entries for A over B, B over C, C over D and A over E.",
)

# %% [markdown]
# A box stays if **no kept better box overlaps it**. That sounds circular: to know who stays, you must know who stays. So begin with a guess, *all stay*, and apply the sentence to all boxes at once. You get a better guess. Apply it again, and again, until nothing changes:
#
# | | A | B | C | D | E |
# |---|---|---|---|---|---|
# | start | stays | stays | stays | stays | stays |
# | round 1 | stays | – | – | – | – |
# | round 2 | stays | – | stays | stays | – |
# | round 3 | stays | – | stays | – | – |
# | round 4 | stays | – | stays | – | – |
#
# In round 1 everyone with a better neighbour goes. In round 2 each box asks who was kept in round 1: only A. So B and E stay away, and C and D come back. In round 3 C is there to be asked, and D goes for good. Round 4 changes nothing. **The answer has settled.**
#
# Why is it right? A has no better box: right from the start. The second box needs only the first: right after round 1. The third needs the first two: right after round 2. So after at most N rounds all are right, and it is exactly greedy NMS. In real scenes chains are short: a handful of rounds is enough for thousands of boxes. (The idea is known as Cluster-NMS, Zheng et al., 2021.)
#
# ### Exercise 3 · `settle`
#
# **By hand first.** Four boxes in a chain: A overlaps B, B overlaps C, C overlaps D. Write down the rounds, then read on. (Round 1: A. Round 2: A, C, D. Round 3: A, C. Round 4 changes nothing, and that is how you know: A and C stay.)
#
# You get `overlaps`, boolean [N, N], boxes sorted best first. It comes straight from `box_iou(b, b) > t`: both halves filled, and True on the diagonal, since every box overlaps itself. You need a part of it only: `triu(1)`. Return True and False, one for each box. For tensors of them *not* is `~` and *and* is `&`.
#
# N rounds are always enough, the last one included that changes nothing. So `for _ in range(len(overlaps))` with a `break` can never run forever. A `while True` with one slip can.

# %% solve="settle"
def settle(overlaps):
    """Which boxes greedy NMS keeps: bool [N], from overlaps, bool [N, N], boxes best first."""
    ### BEGIN SOLUTION
    better = overlaps.triu(1)  # [i, j]: i is better than j and overlaps it
    keep = overlaps.new_ones(len(overlaps))
    for _ in range(len(overlaps)):
        again = ~(better & keep[:, None]).any(dim=0)
        if torch.equal(again, keep):
            break
        keep = again
    return keep
    ### END SOLUTION

# %% check="settle"
check("settle", settle)

# %% [markdown]
# With it NMS is three lines. Same boxes?

# %%
def nms_by_settling(boxes, scores, iou_threshold):
    order = scores.argsort(descending=True, stable=True)
    overlaps = box_iou(boxes[order], boxes[order]) > iou_threshold
    return order[torch.as_tensor(settle(overlaps))]


def some_boxes(count, size, device="cpu"):
    corner = torch.rand(count, 2, device=device) * size
    return torch.cat([corner, corner + 20 + torch.rand(count, 2, device=device) * 60], dim=1)


torch.manual_seed(0)
two_thousand, their_scores = some_boxes(2000, 1000), torch.rand(2000)
loop = torch.as_tensor(nms(two_thousand, their_scores, 0.5), dtype=torch.int64)
settled = nms_by_settling(two_thousand, their_scores, 0.5)
print(f"the same {len(loop):,} of 2,000 boxes: {torch.equal(loop, settled)}")

# %% [markdown]
# ## The awkward pair
#
# Back to the flock. In its middle a white sheep stands right in front of a black one.

# %%
between = box_iou(flock.boxes, flock.boxes).triu(1)
first, second = (between == between.max()).nonzero()[0].tolist()
pair = flock.boxes[[first, second]]
near = (box_iou(said["boxes"], pair) > 0.5).any(dim=1)  # which boxes are about the pair
closer = {
    "xlim": (pair[:, 0].min() - 25, pair[:, 2].max() + 25),
    "ylim": (pair[:, 3].max() + 20, pair[:, 1].min() - 25),
}
choices = {t: torch.as_tensor(nms(said["boxes"], said["scores"], t)).long() for t in (0.5, 0.75)}
fig, axes = plt.subplots(
    1, 3, figsize=(11, 3.2), layout="constrained", width_ratios=[1, 1, 1.35]
)
draw.draw_boxes(flock.image, pair, colors=draw.TRUTH, ax=axes[0])
axes[0].set(title=f"two sheep, IoU {between.max():.2f}", **closer)
here = choices[0.5][near[choices[0.5]]]
draw.draw_boxes(
    flock.image,
    said["boxes"][here],
    scores=said["scores"][here],
    colors=draw.PREDICTION,
    ax=axes[1],
)
axes[1].set(title="your NMS at 0.5", **closer)
all_of_them = said["boxes"][choices[0.75]]
draw.draw_boxes(flock.image, all_of_them, colors=draw.PREDICTION, ax=axes[2], linewidth=0.8)
axes[2].set(title=f"your NMS at 0.75: {len(all_of_them)} boxes")
draw.show(
    fig,
    f"Two objects. At 0.5 one of them is lost. At 0.75 both are there, but the whole flock of "
    f"{len(flock.boxes)} now has {len(all_of_them)} boxes: duplicates everywhere.",
    "A white sheep in front of a black one; a box around the white one only, after NMS at 0.5; and "
    "the whole flock after NMS at 0.75, with two or more boxes on most sheep.",
)

# %% [markdown]
# The two sheep overlap by 0.64. Two boxes of *one* sheep may overlap by less than that. So IoU alone **cannot say** whether two boxes mean one object or two: a threshold that happens to fit this picture is wrong for the next. That is awkward. And in a crowd of people it is the rule.
#
# ## Soft-NMS: lower the score instead
#
# Greedy NMS is all or nothing: at IoU 0.51 a box loses everything, at 0.49 nothing. Bodla et al. (2017) changed one line. An overlapping box is not dropped. It **loses score**, the more the closer it is to the box $M$ that was just taken:
#
# $$s_i \leftarrow s_i \cdot f\bigl(\text{IoU}(M, b_i)\bigr)$$
#
# | | $f(\text{IoU})$ |
# |---|---|
# | greedy | 0 over the threshold, else 1 |
# | linear | 1 − IoU over the threshold, else 1 |
# | Gaussian | $e^{-\text{IoU}^2/\sigma}$, no threshold at all |

# %%
x = torch.linspace(0, 1, 401)
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.plot(x, (x <= 0.5).float(), color=draw.IGNORED, lw=2.5, label="greedy, 0.5")
ax.plot(x, torch.where(x > 0.5, 1 - x, 1), color=draw.TRUTH, lw=2.5, ls="--", label="linear, 0.5")
for sigma, width in [(0.2, 1.2), (0.5, 2.5), (1.0, 1.2)]:
    ax.plot(x, torch.exp(-(x**2) / sigma), color=draw.PREDICTION, lw=width)
    ax.text(1.01, torch.exp(torch.tensor(-1 / sigma)), f"σ = {sigma}", va="center", fontsize=9)
ax.plot([], [], color=draw.PREDICTION, lw=2.5, label="Gaussian")
ax.axvline(0.64, color="0.6", lw=1, ls=":")
ax.text(0.65, 0.93, "the awkward pair", fontsize=9)
ax.set(xlabel="IoU with the box that was taken", ylabel="share of the score that stays")
ax.set(xlim=(0, 1.13))
ax.legend(frameon=False, loc="lower left")
draw.show(
    fig,
    "What an overlap costs. The steps of greedy and linear sit at the threshold; the Gaussian has "
    "none. A small σ is strict, a large one is mild.",
    "Share of the score over IoU: a step to 0, a step to a falling line, and three bell curves.",
)

# %% [markdown]
# So in every round:
#
# 1. Take the waiting box with the highest score **now**. If even that is below the score threshold, stop: the rest is dropped.
# 2. Lower the scores of the boxes that still wait.
#
# ### Exercise 4 · `soft_nms`
#
# **By hand first.** A 0.9, B 0.8, C 0.6. IoU: A–B 0.6, A–C 0.2, B–C 0.5. Gaussian with σ = 0.5.
#
# | round | taken | what it does to the others |
# |---|---|---|
# | 1 | A, 0.9 | B: 0.8 · exp(−0.36/0.5) = 0.8 · 0.487 ≈ 0.389. C: 0.6 · exp(−0.04/0.5) = 0.6 · 0.923 ≈ 0.554 |
# | 2 | **C**, 0.554 | B: 0.389 · exp(−0.25/0.5) = 0.389 · 0.607 ≈ 0.236 |
# | 3 | B, 0.236 | – |
#
# Two things to see. C **overtakes** B, so you must look for the best one anew in every round. And B **pays twice**, once for each neighbour. With a score threshold of 0.3 the answer is A and C.
#
# Return two things: the indices in the order taken, and their scores when they were taken. A score of exactly the score threshold stays. Of equal scores the earlier box comes first, as always. Linear lowers where IoU is **more than** `iou_threshold`. And mind the formula: σ stands alone below IoU², there is no 2σ² as in statistics.

# %% solve="soft_nms"
def soft_nms(boxes, scores, iou_threshold, sigma, score_threshold, method):
    """Soft-NMS, method "linear" or "gaussian": indices [kept] in the order taken, scores [kept]."""
    ### BEGIN SOLUTION
    scores, waiting, keep = scores.clone(), list(range(len(boxes))), []
    while waiting:
        best = max(waiting, key=lambda k: scores[k])
        if scores[best] < score_threshold:
            break
        keep.append(best)
        waiting.remove(best)
        iou = box_iou(boxes[best][None], boxes[waiting])[0]
        if method == "gaussian":
            factor = torch.exp(-(iou**2) / sigma)
        else:
            factor = torch.where(iou > iou_threshold, 1 - iou, 1)
        scores[waiting] *= factor
    return torch.tensor(keep, dtype=torch.int64), scores[keep]
    ### END SOLUTION

# %% check="soft_nms"
check("soft_nms", soft_nms)

# %% [markdown]
# The awkward pair again, and the whole flock, with your function:

# %%
taken = soft_nms(said["boxes"], said["scores"], 0.5, 0.5, 0.3, "gaussian")
keep, scores_now = torch.as_tensor(taken[0]).long(), torch.as_tensor(taken[1])
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=[1.45, 1])
draw.draw_boxes(flock.image, said["boxes"][keep], colors=draw.PREDICTION, ax=axes[0])
axes[0].set_title(f"your Soft-NMS: {len(keep)} boxes, {len(flock.boxes)} objects")
mine = (box_iou(said["boxes"][keep], pair) > 0.5).any(dim=1)
draw.draw_boxes(
    flock.image,
    said["boxes"][keep[mine]],
    scores=scores_now[mine],
    colors=draw.PREDICTION,
    ax=axes[1],
)
axes[1].set(title="the pair, with the scores now", **closer)
draw.show(
    fig,
    "The black sheep is back. It has paid for standing close, but it is still over 0.3. (Linear at "
    "0.5 loses it again: of 0.70 it leaves 1 − 0.59, and 0.29 is too little.)",
    flock.alt + " One box for each object, the black sheep included.",
)

# %% [markdown]
# ## What the dropped boxes know
#
# NMS keeps the box with the best *score*: the detector is sure that there is a sheep, which is not to say that the box fits well. The dropped boxes have looked at the same sheep, and each erred in its own way. So let them vote: the mean of many guesses is better than most of them.
#
# **Softer-NMS** (He et al., 2019) does this. Each kept box $b$ moves to a weighted mean of all boxes $b_i$ around it:
#
# $$\hat b = \frac{\sum_i w_i\, b_i}{\sum_i w_i}, \qquad w_i = s_i \cdot e^{-(1 - \text{IoU}(b_i, b))^2 / \sigma_t}$$
#
# Who votes: the boxes with an IoU over a threshold, and $b$ itself. Who counts more: the sure ones ($s_i$) and the near ones. In Soft-NMS a near box is a rival and loses; here it is a witness, and its factor *rises* to 1 at IoU 1. (The paper has $\sigma_t$ = 0.02, and in place of $s_i$ 1/variance, as its network predicts it: hence *variance voting*.)

# %% [markdown]
# ### Exercise 5 · `weighted_boxes`
#
# **By hand first.** The kept box is (0, 0, 20, 20), score 0.9. Another box, (5, 0, 25, 20), score 0.6, was dropped. They share 15 of 25 columns: IoU 0.6. With $\sigma_t = 0.2$:
#
# - the kept box's own weight: 0.9 · exp(0) = 0.9;
# - the other's: 0.6 · exp(−0.4²/0.2) = 0.6 · exp(−0.8) ≈ 0.6 · 0.449 ≈ 0.270;
# - so x1 = (0.9 · 0 + 0.270 · 5)/(0.9 + 0.270) ≈ 1.15, and the box becomes (1.15, 0, 21.15, 20).
#
# **All** boxes vote, dropped and kept ones, if their IoU with the kept box is more than the threshold. A kept box always has its own vote, even at a threshold of 1. Return one tensor, [kept, 4]: row n belongs to the box `keep[n]`.

# %% solve="weighted_boxes"
def weighted_boxes(boxes, keep, scores, iou_threshold, sigma_t):
    """Boxes [kept, 4]: each kept box as the weighted mean of all boxes [N, 4] that overlap it."""
    ### BEGIN SOLUTION
    iou = box_iou(boxes[keep], boxes)  # [kept, N]
    votes = iou > iou_threshold
    votes[torch.arange(len(keep)), keep] = True
    weights = votes * scores * torch.exp(-((1 - iou) ** 2) / sigma_t)
    return weights @ boxes / weights.sum(dim=1, keepdim=True)
    ### END SOLUTION

# %% check="weighted_boxes"
check("weighted_boxes", weighted_boxes)

# %% [markdown]
# Does it help? Measure the IoU of each box with the object that it fits best, before and after the vote.

# %%
keep = library.nms(said["boxes"], said["scores"], 0.5)
before = said["boxes"][keep]
after = torch.as_tensor(weighted_boxes(said["boxes"], keep, said["scores"], 0.5, 0.1))
fit_before = box_iou(before, flock.boxes).max(dim=1).values
fit_after = box_iou(after, flock.boxes).max(dim=1).values
real = fit_before > 0.5
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=[1.2, 1])
shown = torch.where(real, fit_after - fit_before, -1).argmax()  # the one that gains most
whose = box_iou(after[shown][None], flock.boxes).argmax()
voters = said["boxes"][box_iou(said["boxes"], before[shown][None])[:, 0] > 0.5]
draw.draw_boxes(flock.image, voters, colors=draw.IGNORED, ax=axes[0], linewidth=1)
for box, colour in [
    (flock.boxes[whose], draw.TRUTH),
    (before[shown], draw.PREDICTION),
    (after[shown], draw.OVERLAP),
]:
    draw.draw_boxes(None, box[None], colors=colour, ax=axes[0])
(left, top), (right, bottom) = voters[:, :2].amin(0) - 6, voters[:, 2:].amax(0) + 6
axes[0].set(xlim=(left, right), ylim=(bottom, top), title="one of them and its voters")
axes[1].plot([0.5, 1], [0.5, 1], color="0.7", lw=1)
axes[1].plot(fit_before[real], fit_after[real], "o", color=draw.OVERLAP)
axes[1].set(xlabel="IoU with the truth before", ylabel="after", title="above the line: better")
axes[1].set(xlim=(0.7, 1), ylim=(0.7, 1), aspect="equal")
better = int((fit_after > fit_before)[real].sum())
draw.show(
    fig,
    f"The mean IoU goes from {fit_before[real].mean():.3f} to {fit_after[real].mean():.3f}, and "
    f"{better} of {int(real.sum())} boxes get better. On the left: voters grey, the kept box "
    "orange-red, where the vote puts it green, the truth blue.",
    "One object with its voters, the box before, after, and the truth; "
    f"and a scatter plot of IoU before and after: {better} of {int(real.sum())} points lie above the "
    "diagonal.",
)

# %% [markdown]
# ## Break it
#
# **Every setting is a compromise.** An object is found if a kept box has an IoU of at least 0.5 with it; boxes beyond that are extra. What happens to the two numbers as the threshold rises? Guess, then run the cell.

# %%
def found_and_extra(boxes):
    best = box_iou(boxes, flock.boxes).max(dim=1)
    found = len(best.indices[best.values >= 0.5].unique())
    return found, len(boxes) - found


thresholds = [k / 50 for k in range(5, 43)]
sigmas = [k / 50 for k in range(3, 51)]
greedy_runs = [library.nms(said["boxes"], said["scores"], t) for t in thresholds]
soft_runs = [
    library.soft_nms(said["boxes"], said["scores"], 0.5, sigma, 0.3)[0] for sigma in sigmas
]
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for ax, settings, runs, title in [
    (axes[0], thresholds, greedy_runs, "greedy: IoU threshold"),
    (axes[1], sigmas, soft_runs, "Gaussian Soft-NMS, score threshold 0.3: σ"),
]:
    found, extra = zip(*(found_and_extra(said["boxes"][run]) for run in runs))
    ax.axhline(len(flock.boxes), color=draw.TRUTH, lw=1, ls=":")
    ax.plot(settings, found, color=draw.TRUTH, lw=2.5, label="objects found")
    ax.plot(settings, extra, color=draw.PREDICTION, lw=2.5, ls="--", label="extra boxes")
    ax.set(xlabel=title, ylim=(-0.5, len(flock.boxes) + 5))
    good = [s for s, f, e in zip(settings, found, extra) if f == max(found) and e == min(extra)]
    if good:
        ax.axvspan(min(good), max(good), color=draw.OVERLAP, alpha=0.25, lw=0)
axes[0].legend(frameon=False, loc=(0.03, 0.3))
draw.show(
    fig,
    "Green: all found, nothing twice. Left of it objects are lost, right of it things are said "
    f"twice. σ = {max(good):.1f}, which you used all along, is the last good one. In the next picture the "
    "good settings lie elsewhere, if there are any.",
    "Two plots of objects found and extra boxes, over the IoU threshold and over σ. "
    "Both numbers rise with either setting.",
)

# %% [markdown]
# **Soft-NMS has its limit, too.** The best box left of the black sheep had score 0.70, and an IoU of 0.59 with the white one's. What if the two stood closer?

# %%
taken, _ = library.soft_nms(said["boxes"], said["scores"], 0.5, 0.5, 0.3)
white, black = taken[near[taken]]  # the two boxes about the pair that stay
score = said["scores"][black]
their_iou = box_iou(said["boxes"][white][None], said["boxes"][black][None])[0, 0]
x = torch.linspace(0, 1, 201)
left = score * torch.exp(-(x**2) / 0.5)
limit = (0.5 * torch.log(score / 0.3)).sqrt().item()
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.plot(x, left, color=draw.PREDICTION, lw=2.5)
ax.axhline(0.3, color="0.6", lw=1, ls="--")
ax.axvspan(limit, 1, color=draw.IGNORED, alpha=0.25, lw=0)
ax.plot(their_iou, score * torch.exp(-(their_iou**2) / 0.5), "o", color=draw.TRUTH, ms=8)
ax.text(their_iou - 0.03, 0.2, "the black sheep", ha="right", fontsize=9)
ax.text((1 + limit) / 2, 0.6, "lost", ha="center", fontsize=9)
ax.set(xlabel="IoU with the box that was taken", ylabel="what is left of the score", ylim=(0, 0.8))
draw.show(
    fig,
    f"It was close: beyond IoU {limit:.2f} the black sheep would be lost all the same. "
    "A lower score threshold would save it, and with it the duplicates.",
    "A falling curve with a line at 0.3 and a grey area where the curve is below it. "
    "A dot for the black sheep lies just above the line.",
)

# %% [markdown]
# Soft-NMS does not know either whether two boxes mean one object or two. It **puts off the decision**: likely duplicates go to the end of the queue, and you decide how far down to read.
#
# **The best score is not the best box.** What if the detector also predicted how well each box fits? IoU-Net (Jiang et al., 2018) does, and ranks by that: the best *placed* box stays, and takes over the best *score* among the boxes that it drops. This is **IoU-guided NMS**. Our detector predicts it as well, `said["ious"]`.

# %%
keep_plain = library.nms(said["boxes"], said["scores"], 0.5)
keep_guided, guided_scores = library.iou_guided_nms(
    said["boxes"], said["scores"], said["ious"], 0.5
)
voted = library.weighted_boxes(said["boxes"], keep_plain, said["scores"], 0.5, 0.1)
print(f"{'':22}{'boxes':>6}{'found':>7}{'mean IoU of those that fit':>29}")
for name, chosen in {
    "greedy": said["boxes"][keep_plain],
    "greedy, then voting": voted,
    "IoU-guided": said["boxes"][keep_guided],
}.items():
    fit = box_iou(chosen, flock.boxes).max(dim=1).values
    found, extra = found_and_extra(chosen)
    print(f"{name:22}{len(chosen):6}{found:7}{fit[fit > 0.5].mean():29.3f}")

# %% [markdown]
# Both place the boxes better. Neither cures the awkward pair: they choose and move boxes *within* a cluster, and do not ask whether it is one or two.
#
# Three things to remember:
#
# - **NMS assumes that objects do not overlap much.** Where they do, it loses some, and no threshold repairs it for every picture.
# - **The threshold is a property of your pictures:** more for crowds, less where nothing overlaps.
# - **NMS is not learned.** Some detectors do without it: CenterNet keeps the peaks of a heat map (lesson 10), DETR is trained to say everything once.
#
# ## Use it
#
# `course_lib.suppression` has all of this; `nms` and `batched_nms` have the names and the meaning that they have in torchvision. Its `nms` joins your two ideas: it settles, but compares only boxes that can overlap at all.
#
# What does it cost? In the worst case, where nobody drops anybody, every box is compared with every other one: N²/2 pairs, **O(N²)**. Ten times the boxes, a hundred times the work. And settling all at once needs the whole N × N table in memory: 40 GB of IoU for 100,000 boxes. (Below, the boxes lie thinly, so nearly all are kept. What each step of your loop costs anyway hides part of the growth.)

# %%
def seconds(function, *inputs):
    function(*inputs)  # the first call warms up
    started = time.perf_counter()
    kept = function(*inputs)
    len(torch.as_tensor(kept).tolist())  # waits for the GPU to finish
    return time.perf_counter() - started


torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
counts = [100, 300, 1000, 3000]
ways = {
    "your loop": (nms, draw.PREDICTION, "o-"),
    "by settling, all at once": (nms_by_settling, draw.TRUTH, "s--"),
    "the library": (library.nms, draw.OVERLAP, "^:"),
}
times = {name: [] for name in ways}
for count in counts:
    inputs = some_boxes(count, 40 * count**0.5, device), torch.rand(count, device=device), 0.5
    for name, (function, _, _) in ways.items():
        times[name].append(seconds(function, *inputs))
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, (_, colour, style) in ways.items():
    ax.loglog(counts, [1000 * t for t in times[name]], style, color=colour, lw=2, label=name)
ax.set(xlabel="boxes", ylabel="milliseconds", xticks=counts, xticklabels=counts)
ax.minorticks_off()
ax.legend(frameon=False)
draw.show(
    fig,
    f"{counts[-1]:,} boxes on the {device.upper().replace('CUDA', 'GPU')}: "
    f"your loop {1000 * times['your loop'][-1]:.0f} ms, "
    f"the library {1000 * times['the library'][-1]:.0f} ms. A GPU idles between the tiny steps of "
    "a loop; settling gives it few large ones.",
    "Time over the number of boxes on logarithmic axes for three ways; all rise.",
)

# %% [markdown]
# So you have one box for each thing, or nearly. How many of them are right? Counting that fairly is harder than it looks: it is the next lesson.
#
# ## Review
#
# Four questions, a point each; the check looks at the form of your answer only. Use your functions, or paper.
#
# **Question 1.** Four boxes: A 0.9, B 0.8, C 0.7, D 0.6. The IoU of A and B is 0.7, of B and C 0.6, of C and D exactly 0.5; all others are 0. How many does greedy NMS keep at a threshold of 0.5?

# %% solve="survivors"
### BEGIN SOLUTION
survivors = 3
### END SOLUTION

# %% check="survivors"
check("survivors", survivors)

# %% [markdown]
# **Question 2.** The best box is taken. Another one, of score 0.9, overlaps it with IoU 0.6. What is left of its score after this step of Soft-NMS, Gaussian, σ = 0.5? (Two decimals.)

# %% solve="softened"
### BEGIN SOLUTION
softened = 0.9 * 2.718281828 ** (-(0.6**2) / 0.5)
### END SOLUTION

# %% check="softened"
check("softened", softened)

# %% [markdown]
# **Question 3.** Two sheep overlap with IoU 0.64; their best boxes have scores 0.9 and 0.85. Your detector also says each of them several times more, with scores up to 0.6 and an IoU of 0.6 to 0.9 with its best box. Greedy NMS at 0.5 loses a sheep. You want both, and as few duplicates as possible. What do you change?
#
# - **A** raise the IoU threshold to 0.7
# - **B** lower the IoU threshold to 0.3
# - **C** Gaussian Soft-NMS, σ = 0.5, with a score threshold of 0.3
# - **D** greedy NMS at 0.5, then let all boxes vote

# %% solve="rescue"
### BEGIN SOLUTION
rescue = "C"
### END SOLUTION

# %% check="rescue"
check("rescue", rescue)

# %% [markdown]
# **Question 4.** Two boxes on one cat, with IoU 0.7 between them. P has score 0.95 and predicted IoU 0.6; Q has score 0.7 and predicted IoU 0.9. What does IoU-guided NMS at 0.5 give back?
#
# - **A** P, with score 0.95
# - **B** Q, with score 0.7
# - **C** Q, with score 0.95
# - **D** both

# %% solve="better_placed"
### BEGIN SOLUTION
better_placed = "C"
### END SOLUTION

# %% check="better_placed"
check("better_placed", better_placed)

# %% [markdown]
# ## Further reading
#
# - Girshick et al., *Rich feature hierarchies for accurate object detection* (R-CNN), CVPR 2014: greedy NMS, class by class, as everybody uses it.
# - Bodla et al., *Soft-NMS: Improving Object Detection With One Line of Code*, ICCV 2017.
# - Jiang et al., *Acquisition of Localization Confidence for Accurate Object Detection* (IoU-Net), ECCV 2018: IoU-guided NMS.
# - He et al., *Bounding Box Regression with Uncertainty for Accurate Object Detection*, CVPR 2019: Softer-NMS, or variance voting.
# - Zheng et al., *Enhancing Geometric Factors in Model Learning and Inference for Object Detection and Instance Segmentation*, 2021: Cluster-NMS, the settling of exercise 3.
# - `course_lib/suppression.py`: you can read all of it now.
#
# **Hand in** this notebook, saved, under its own name: `02_nms.ipynb`. Next: how good is a detector, in one number, and what does that number hide?
