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
# # 03 · Mean average precision
#
# Two detectors look at the same photographs. One finds more, the other is wrong less often. **Which one is better?**
#
# Every table in every paper on detection answers with one number, AP. In this lesson you build that number from nothing, and check it against the official program. Then you find out what it hides.
#
# **After this lesson you can**
#
# - say for each box of a detector whether it is right, by the rules of COCO and of PASCAL VOC;
# - say what precision, recall, F-score and AP each *ask*, and draw the curve behind them;
# - compute AP in the three ways that papers use, and COCO's number to the last digit;
# - read a table of results, and name what no number in it shows.
#
# You need IoU (lesson 01). It takes about two hours, best in two sittings; a good place for the break is marked.

# %% [markdown]
# **How to work.** As before: run the cells from the top, write where it says `raise NotImplementedError`, and let the check below tell you. `hint("match_coco")` opens a hint.
#
# | | you write | points |
# |---|---|---|
# | 1 | `match_coco` | 3 |
# | 2 | `precision_recall_curve` | 2 |
# | 3 | `f_beta` | 1 |
# | 4 | `average_precision_11` | 2 |
# | 5 | `average_precision_all` | 3 |
# | 6 | `average_precision_101` | 2 |
# | 7 | `coco_average_precision` | 3 |
# | | four questions at the end | 4 |

# %%
import contextlib
import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from autograde import check, hint
from course_lib import boxes as library
from course_lib import data, draw, metrics
from course_lib.explore import map_explorer

scenes = data.evaluation_set()  # 60 painted scenes: whoever paints them knows what is in them

# %% [markdown]
# ## See it
#
# To learn how a measure behaves, you need patients whose illness you know. So our detectors are pretended: each is the first one, `good`, with one fault added.
#
# | detector | its fault |
# |---|---|
# | `good` | none to speak of: it misses some objects and now and then sees a ghost |
# | `loose` | finds the same objects, but its boxes fit badly |
# | `twice` | reports every object twice |
# | `cluttered` | adds dozens of boxes around nothing, all with very low scores |
# | `gullible` | adds boxes around nothing, with high scores |
# | `shortsighted` | does not see small objects |
# | `timid` | reports only what it is sure of; all of it is right |
# | `shuffled` | good boxes, but its scores are random |
# | `overconfident` | gives every box a score above 0.9, in the same order as `good` |
# | `confused` | calls every second dog a cat, and every second cat a dog |
# | `raw` | forgets non-maximum suppression (lesson 02) |
#
# The first eight look at six pictures below; for once everything in them counts as one class. Four words first, in plain terms; the lesson makes them exact:
#
# - **precision**: of its boxes, how many are right?
# - **recall**: of the objects, how many does it find?
# - **the curve**: precision and recall at every score threshold, from strict to mild.
# - **AP**: one number for the whole curve, the higher the better. You will build it.
#
# Guess first, then try:
#
# 1. `good`: raise the **score threshold** to 0.8. What falls, precision or recall?
# 2. `loose`: its AP at IoU 0.5 is that of `good`. What is left of it at an **IoU threshold** of 0.75?
# 3. `twice`: half of its boxes are wrong. Does that halve its AP?
# 4. `cluttered`: take the score threshold down to 0. What becomes of precision, and of AP?

# %%
map_explorer()

# %% [markdown]
# (1: recall, from 0.90 to 0.24; precision has little left to win. 2: almost nothing. 3: no, AP loses a third; what a second report costs depends on its place in the ranking. 4: precision collapses, AP does not move. When you have built AP, all four will be obvious.)

# %% [markdown]
# ## Right or wrong?
#
# Before anything can be counted, each box needs a verdict. Each class is judged by itself, as if there were no other: here sheep, in one picture.

# %%
meadow = scenes[17]
sheep = meadow.boxes[meadow.labels == data.CLASSES.index("sheep")]
said = torch.tensor([
    [127.0, 159.0, 194.0, 213.0],
    [115.0, 148.0, 187.0, 205.0],
    [181.0, 125.0, 236.0, 162.0],
    [113.0, 74.0, 150.0, 125.0],
])
scores = torch.tensor([0.95, 0.85, 0.75, 0.65])
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
draw.draw_boxes(meadow.image, sheep, ax=left, colors=draw.TRUTH, title="three sheep")
draw.draw_boxes(meadow.image, said, scores=scores, ax=right, title="four boxes, with their scores")
draw.show(
    fig,
    "What is there (blue), and what a detector says (orange-red).",
    "A painted meadow, twice. Left: boxes around three sheep. Right: two boxes on the nearest sheep, "
    "one on the second, one on a tree, none on the small sheep far away.",
)

# %% [markdown]
# Count with me:
#
# - **True positive (TP)**: a box that found an object. Here 2, with scores 0.95 and 0.75.
# - **False positive (FP)**: a box that did not. Here 2: the tree, and the *second* box on the near sheep. It fits well enough, but that sheep has been found already. Each object can be found **once**.
# - **False negative (FN)**: an object that no box found. Here 1, the small sheep.
#
# And true negatives? All the places where nothing was said and nothing is: there is no counting them. Detection does without.
#
# So who found whom? The boxes choose, one after another, **the highest score first**. Each takes the object that it overlaps most, among those that are still free, provided the IoU reaches a threshold. That is COCO's rule.

# %% [markdown]
# ### Exercise 1 · `match_coco`
#
# **By hand first**, threshold 0.5, two objects, rows sorted by score already:
#
# | IoU with | object 0 | object 1 | |
# |---|---|---|---|
# | box 0 | **0.9** | 0.1 | takes object 0 |
# | box 1 | 0.7 | **0.6** | object 0 is taken; the best free one is 1, and 0.6 is enough |
# | box 2 | 0.8 | 0.2 | nothing free fits: −1 |
#
# Return a tensor of whole numbers, one for each box: the number of its object, or −1. Here `tensor([0, 1, -1])`. An IoU of exactly the threshold is enough.
#
# **PASCAL VOC** is stricter with box 1. It looks at the best object *of all*, finds it taken, and says: false positive. `[0, -1, -1]`. In a crowd the two rules give different numbers for the same detector, so a table must say which it used. You write COCO's.
#
# A loop over the boxes is fine. Think of a table without columns (no objects) and one without rows (no boxes).

# %% solve="match_coco"
def match_coco(ious, iou_threshold):
    """A tensor [D]: the object that each box found, or -1. ious [D, G]: a row a box, best score first."""
    ### BEGIN SOLUTION
    matches = torch.full((len(ious),), -1)
    free = torch.ones(ious.shape[1], dtype=torch.bool)
    for d, row in enumerate(ious):
        row = torch.where(free, row, -1)  # [G]
        if free.any() and row.max() >= iou_threshold:
            matches[d] = row.argmax()
            free[row.argmax()] = False
    return matches
    ### END SOLUTION

# %% check="match_coco"
check("match_coco", match_coco)

# %% [markdown]
# Your verdicts on the meadow:

# %%
verdicts = torch.as_tensor(match_coco(library.box_iou(said, sheep), 0.5)).tolist()
missed = [g for g in range(len(sheep)) if g not in verdicts]
words = ["found" if g >= 0 else "false alarm" for g in verdicts]
colours = [draw.OVERLAP if g >= 0 else draw.PREDICTION for g in verdicts]
fig, ax = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
draw.draw_boxes(
    meadow.image,
    torch.cat([said, sheep[missed]]),
    labels=words + ["missed"] * len(missed),
    colors=colours + [draw.TRUTH] * len(missed),
    ax=ax,
)
draw.show(
    fig,
    f"By your function: {words.count('found')} found (green), {words.count('false alarm')} false "
    f"alarms (orange-red), {len(missed)} missed (blue).",
    "The meadow with the four boxes coloured by verdict, and the missed sheep in blue.",
)

# %% [markdown]
# ## Say it: two questions
#
# $$\text{precision} = \frac{TP}{TP + FP} \qquad\qquad \text{recall} = \frac{TP}{TP + FN}$$
#
# **Precision** asks: of all that it *says*, how much is true? **Recall** asks: of all that is *there*, how much does it find? On the meadow they are 2/4 and 2/3.
#
# Each is easy to get alone. Say everything: recall 1. Say one sure thing: precision 1. You have to look at both, and there is a knob between them: the **score threshold**, below which boxes are thrown away. Turn it down, and recall can only rise. Precision may do anything.
#
# Which threshold is the right one? That is for the user to say: a surgeon and an advertiser will not agree. To compare detectors we must not choose for them. So take **all** thresholds: sort the boxes by score, and look after each one.

# %% [markdown]
# ### Exercise 2 · `precision_recall_curve`
#
# **By hand first.** Four objects, six boxes, sorted by score. Fill in the last two rows before you look.
#
# | box | score | right? | right so far | precision | recall |
# |---|---|---|---|---|---|
# | 1 | 0.95 | yes | 1 | 1/1 | 1/4 |
# | 2 | 0.90 | no | 1 | 1/2 | 1/4 |
# | 3 | 0.80 | yes | 2 | 2/3 | 2/4 |
# | 4 | 0.60 | yes | 3 | 3/4 | 3/4 |
# | 5 | 0.50 | no | 3 | 3/5 | 3/4 |
# | 6 | 0.30 | no | 3 | 3/6 | 3/4 |

# %%
toy_precision = torch.tensor([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 3 / 6])
toy_recall = torch.tensor([1, 1, 2, 3, 3, 3]) / 4
fig, ax = plt.subplots(figsize=(4.8, 3.1), layout="constrained")
ax.plot(toy_recall, toy_precision, "o-", color=draw.PREDICTION, lw=2)
for k, (x, y) in enumerate(zip(toy_recall.tolist(), toy_precision.tolist()), start=1):
    ax.annotate(f"{k}", (x, y), (7, -11), textcoords="offset points", fontsize=10)
ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.08))
draw.show(
    fig,
    "The six boxes as a curve. A wrong box moves it straight down, a right one to the right, and up "
    "unless precision is 1 already.",
    "Precision over recall: a line with teeth through six numbered points; it ends at recall 0.75.",
)

# %% [markdown]
# Your function gets the boxes of all pictures together, in **any** order: their `scores`, whether each is `correct`, and the number of objects, `positives`, which is at least 1. (Without objects there is no recall; COCO leaves such a class out.) Return two tensors of shape [D].
#
# - Equal scores keep their order: sort with `stable=True`.
# - Divide in float64, with `.double()`. Recalls will be compared with points like 0.7: in float32 7/10 is 0.69999999 and can miss its point.

# %% solve="precision_recall_curve"
def precision_recall_curve(scores, correct, positives):
    """(precision [D], recall [D]) after each box, the best score first."""
    ### BEGIN SOLUTION
    order = scores.argsort(descending=True, stable=True)
    tp = correct[order].cumsum(0).double()
    return tp / torch.arange(1, len(tp) + 1), tp / positives
    ### END SOLUTION

# %% check="precision_recall_curve"
check("precision_recall_curve", precision_recall_curve)

# %% [markdown]
# Now a real ranking. All dogs of all scenes, and two detectors: `good`, and `shuffled`, which has exactly the same boxes but random scores. The first cell only gathers what your two functions need; its helpers come back later.

# %%
def tables_of(outputs, scenes, k):
    """For class k, of each scene: the IoUs [D, G] of boxes and objects, and the scores [D]."""
    tables, scores = [], []
    for output, scene in zip(outputs, scenes):
        ours = output["labels"] == k  # what the detector calls a k, best score first
        truth = scene.boxes[scene.labels == k]  # what is one
        tables.append(library.box_iou(output["boxes"][ours].double(), truth.double()))
        scores.append(output["scores"][ours].double())
    return tables, scores


def curve_of(name, k):
    """By your functions, for class k at IoU 0.5: precision [D], recall [D], sorted scores [D]."""
    tables, scores = tables_of(data.DETECTORS[name].detect(scenes), scenes, k)
    correct = [torch.as_tensor(match_coco(table, 0.5)) >= 0 for table in tables]  # image by image
    scores, correct = torch.cat(scores), torch.cat(correct)  # from here on all images together
    precision, recall = precision_recall_curve(scores, correct, sum(t.shape[1] for t in tables))
    return torch.as_tensor(precision), torch.as_tensor(recall), scores.sort(descending=True).values


# %%
dog = data.CLASSES.index("dog")
curves = {name: curve_of(name, dog) for name in ("good", "shuffled")}
fig, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
for name, colour, style in [("good", draw.PREDICTION, "-"), ("shuffled", draw.IGNORED, "--")]:
    precision, recall, _ = curves[name]
    ax.plot(recall, precision, color=colour, ls=style, lw=2, label=name)
precision, recall, ranked = curves["good"]
for threshold in (0.8, 0.6, 0.3):
    k = int((ranked >= threshold).sum()) - 1  # the last box that this threshold keeps
    ax.plot(recall[k], precision[k], "o", color=draw.PREDICTION)
    ax.annotate(f"score {threshold}", (recall[k], precision[k]), (5, 4), textcoords="offset points", fontsize=9)
ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.1), ylim=(0, 1.1))
ax.legend(frameon=False, loc="lower left")
draw.show(
    fig,
    "The same boxes in two orders. Both end at the same point; the way there is what a ranking is worth.",
    "Two curves: good stays near precision 1 up to recall 0.91 and drops straight down there; "
    "shuffled runs at about 0.7. Both end at recall 0.91, precision 0.79.",
)

# %% [markdown]
# Only the **order** of the scores enters. Squash all of them to between 0.9 and 1 and you get the same curve: precision and recall at each *rank* stay what they are.

# %% [markdown]
# ### Exercise 3 · `f_beta`
#
# If the threshold is fixed, you may want one number for both. Not their plain mean: who says everything has recall 1 and precision 0, and would get 0.5. The **harmonic** mean is harsh on whatever is small. And if a miss hurts you more than a false alarm, weight it:
#
# $$F_\beta = (1 + \beta^2)\,\frac{P \cdot R}{\beta^2 P + R} = \frac{(1+\beta^2)\,TP}{(1+\beta^2)\,TP + \beta^2 FN + FP}$$
#
# Read the right-hand form: at the same TP, **one more miss (FN) lowers F as much as β² more false alarms (FP)**. With F2 a missed pedestrian weighs as much as four phantoms.
#
# Why β² and not β? "Recall counts β times as much" means: where R is β times P, a little more of either raises F alike. **By hand**, β = 2, P = 0.4, R = 0.8: F2 = 5 · 0.32 / (1.6 + 0.8) = 0.667; with P = 0.41 it becomes 0.672, and with R = 0.81 as well.
#
# If nothing is right, F is 0 by agreement, also where P or R would be 0/0.

# %% solve="f_beta"
def f_beta(tp, fp, fn, beta=1.0):
    """F-score of tp, fp, fn; recall counts beta times as much as precision."""
    ### BEGIN SOLUTION
    if tp == 0:
        return 0.0
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    ### END SOLUTION

# %% check="f_beta"
check("f_beta", f_beta)

# %% [markdown]
# Your function chooses a score threshold for `good` and the sheep, as three users would: one who fears false alarms (β = 0.5), one who fears misses (β = 2), and one in between.

# %%
sheep_class = data.CLASSES.index("sheep")
_, recall, ranked = curve_of("good", sheep_class)
objects = sum((scene.labels == sheep_class).sum().item() for scene in scenes)
found = (recall * objects).round().int().tolist()  # TP after each box
counts = [(tp, k - tp, objects - tp) for k, tp in enumerate(found, start=1)]  # TP, FP, FN
fig, ax = plt.subplots(figsize=(5.8, 3.2), layout="constrained")
looks = {0.5: (draw.TRUTH, "--", "s"), 1: (draw.OVERLAP, "-", "o"), 2: (draw.PREDICTION, "-.", "^")}
chosen = []
for beta, (colour, style, marker) in looks.items():
    heights = [float(f_beta(*count, beta)) for count in counts]
    best = int(np.argmax(heights))
    chosen.append(f"{ranked[best]:.2f} (F{beta})")
    ax.plot(ranked, heights, color=colour, ls=style, lw=2, label=f"F{beta}")
    ax.plot(ranked[best], heights[best], marker, color=colour, ms=12, mfc="none", mew=2)
ax.set(xlabel="score threshold", ylabel="F", xlim=(0, 1), ylim=(0, 1.05))
ax.legend(frameon=False, loc="lower left")
draw.show(
    fig,
    f"Three users, three best thresholds: {', '.join(chosen)}. Whoever fears misses goes on to lower scores.",
    "Three curves of F over the score threshold, each with its highest point marked: the larger "
    "beta, the further left it lies.",
)

# %% [markdown]
# ## One number for the whole curve
#
# *(A good place for a break: what comes is one long story. When you come back, run the cells from the top.)*
#
# **Average precision** is the mean height of the curve over recalls from 0 to 1: the area under it. What is never reached has height 0. So AP asks: *how good is the ranking, for every user at once?*
#
# But which height? The curve has teeth. At recall 1/4 your toy curve is at 1 and at 1/2. And at recall 0.4 it has no point at all. The way out: ask for a recall of *at least* r. Then you may also go beyond r, if precision is higher there. In your toy curve recall 2/4 has precision 2/3, but one box further recall is 3/4 and so is precision. So take the **envelope**, the highest precision from here to the right:
#
# $$p_{\text{env}}(r) = \max_{\tilde r \,\ge\, r} p(\tilde r).$$

# %%
def staircase(ax, precision, recall):
    """The curve, and its envelope as a filled staircase."""
    steps = torch.cat([torch.zeros(1), recall])
    height = metrics.precision_envelope(precision)
    ax.plot(recall, precision, color=draw.PREDICTION, lw=1.6)
    ax.stairs(height, steps, color=draw.ANCHOR, fill=True, alpha=0.3, baseline=0)
    ax.stairs(height, steps, color=draw.ANCHOR, lw=2, baseline=0)
    ax.set(xlabel="recall", xlim=(-0.03, 1.03), ylim=(-0.03, 1.08))


fig, axes = plt.subplots(1, 3, figsize=(9.4, 2.9), sharey=True, layout="constrained")
for ax, count, title in zip(axes, [11, 0, 101], ["11 points", "all points", "101 points"]):
    staircase(ax, toy_precision, toy_recall)
    ax.set_title(title)
    points = torch.linspace(0, 1, count) if count else torch.zeros(0)
    heights = [toy_precision[toy_recall >= r - 1e-6].amax().item() if r <= 0.75 else 0 for r in points]
    ax.plot(points, heights, "o", color="black", ms=5 if count == 11 else 1.6)
axes[0].set_ylabel("precision")
draw.show(
    fig,
    "Teeth (orange-red), envelope (orange). Left and right: the mean of the dots, also of those at 0. "
    "Middle: the area.",
    "Three copies of the toy curve with a staircase above it: height 1 up to recall 0.25, then 0.75 "
    "up to recall 0.75, then 0. Left 11 dots, middle none, right 101 dots.",
)

# %% [markdown]
# Three rules are in use, all on the same envelope:
#
# - **11 points** (VOC until 2009): the mean of its heights at recall 0, 0.1, …, 1. Quick, and coarse.
# - **all points** (VOC from 2010): the exact area.
# - **101 points** (COCO): the mean at 0, 0.01, …, 1. Nearly the area.

# %% [markdown]
# ### Exercise 4 · `average_precision_11`
#
# **By hand first**, on the left picture. At 0, 0.1 and 0.2 the height is 1. At 0.3, 0.4, 0.5, 0.6 and 0.7 it is 3/4. At 0.8, 0.9 and 1 it is 0. So AP = (3 · 1 + 5 · 3/4 + 3 · 0) / 11 = 6.75 / 11 ≈ 0.614.
#
# A recall of exactly the point reaches it (`>=`). Make the points as `k / 10`: `3 * 0.1`, which is also what `np.arange` and `linspace` compute, gives 0.30000000000000004, and a recall of 3/10 would miss it. No boxes at all: 0.
#
# From here on return one number, in a tensor or plain.

# %% solve="average_precision_11"
def average_precision_11(precision, recall):
    """AP of a curve (precision [D], recall [D]) by 11 points, as VOC 2007 had it."""
    ### BEGIN SOLUTION
    heights = []
    for k in range(11):
        reached = precision[recall >= k / 10]
        heights.append(reached.max().item() if len(reached) else 0.0)
    return sum(heights) / 11
    ### END SOLUTION

# %% check="average_precision_11"
check("average_precision_11", average_precision_11)

# %% [markdown]
# ### Exercise 5 · `average_precision_all`
#
# **By hand first**, on the middle picture. Recall jumps three times, by 1/4 each. The jumps end where the envelope is 1, 3/4 and 3/4. So AP = 1/4 · 1 + 1/4 · 3/4 + 1/4 · 3/4 = 0.625.
#
# In general: each box adds a rectangle as wide as its *jump* of recall (0 for a wrong box), as high as the envelope there. Two steps, then: the envelope of `precision`, and the widths. Mind the first width: before the first box, recall is 0.

# %% solve="average_precision_all"
def average_precision_all(precision, recall):
    """AP of a curve (precision [D], recall [D]): the area under its envelope, as in VOC 2010."""
    ### BEGIN SOLUTION
    envelope = precision.flip(0).cummax(0).values.flip(0)  # [D]
    width = recall.diff(prepend=recall.new_zeros(1))  # [D]
    return (width * envelope).sum()
    ### END SOLUTION

# %% check="average_precision_all"
check("average_precision_all", average_precision_all)

# %% [markdown]
# The same on all dogs. The number in each title comes from your function:

# %%
curves = {name: curve_of(name, dog) for name in ("good", "shuffled")}
areas = {name: float(average_precision_all(*curve[:2])) for name, curve in curves.items()}
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3), sharey=True, layout="constrained")
for ax, (name, area) in zip(axes, areas.items()):
    staircase(ax, *curves[name][:2])
    ax.set_title(f"{name}: AP {area:.3f}")
axes[0].set_ylabel("precision")
draw.show(
    fig,
    "A good order keeps the stairs high for long.",
    "Two precision-recall curves with their envelopes filled. The area of good is much larger.",
)

# %% [markdown]
# ### Exercise 6 · `average_precision_101`
#
# This is exercise 4 with other points: 0, 0.01, …, 1. Make them in float64, as `k / 100`, or by `torch.linspace(0, 1, 101, dtype=recall.dtype)`: in float32 0.6 is 0.60000002, and a recall of 3/5 would miss it. Return one number.
#
# **By hand first**, on the right picture. The points 0, 0.01, …, 0.25 are 26, with height 1. The points 0.26, …, 0.75 are 50, with height 3/4. So AP = (26 + 37.5) / 101 ≈ 0.629.

# %% solve="average_precision_101"
def average_precision_101(precision, recall):
    """AP of a curve (precision [D], recall [D]) by 101 points, as COCO has it."""
    ### BEGIN SOLUTION
    envelope = precision.flip(0).cummax(0).values.flip(0)  # [D]
    points = torch.linspace(0, 1, 101, dtype=recall.dtype)
    first = torch.searchsorted(recall, points)  # where the recall reaches each point, or D
    return torch.cat([envelope, envelope.new_zeros(1)])[first].mean()
    ### END SOLUTION

# %% check="average_precision_101"
check("average_precision_101", average_precision_101)

# %% [markdown]
# How far are the three rules apart? For the birds of `good` they say 0.794 (11 points), 0.852 (all) and 0.852 (101). The 11 points can be off by several hundredths: never compare numbers made by different rules.

# %% [markdown]
# ## COCO's number
#
# So far a box was right from IoU 0.5 on, and 0.51 was as good as 0.99. **COCO** repeats everything at ten thresholds, 0.50, 0.55, …, 0.95, and takes the mean. Loose boxes fail the stricter ones, so tightness counts. Then it averages over classes. This last mean is the *m* in **mAP**, VOC's name for the result; COCO writes just AP for it.
#
# | name | the mean of | over |
# |---|---|---|
# | AP50 | the 101-point AP at IoU 0.50 | classes |
# | AP75 | the same at IoU 0.75 | classes |
# | **AP** | the same at all ten thresholds | thresholds and classes |
# | APs, APm, APl | AP, only small, medium, large objects | objects below 32², up to 96², above 96² square pixels |

# %% [markdown]
# ### Exercise 7 · `coco_average_precision`
#
# One class, all images. You get two lists with an entry for each image: its table `ious[i]` [D, G] and its `scores[i]` [D], **not sorted**. For each of the ten thresholds:
#
# 1. in each image, sort the rows by score and match;
# 2. put the boxes of all images together: **one** ranking, one curve. Its positives are *all* objects;
# 3. take the 101-point AP.
#
# Then the mean of the ten: one number. Your earlier functions do most of the work. (Is what they give a tensor? If one gives a list or an array, `torch.as_tensor` makes a tensor of it.)
#
# **By hand first.** One image, one object, one box, IoU 0.62. At 0.50, 0.55 and 0.60 the box is right and AP is 1. At the other seven it is wrong and AP is 0. COCO's AP is 3/10.
#
# Images without objects (their boxes are false alarms) and without boxes (their objects are missed) count. One rule you can leave out: COCO looks at the 100 best boxes of a class in each image only. None of our detectors says so many.

# %% solve="coco_average_precision"
def coco_average_precision(ious, scores):
    """COCO's AP of one class. ious: a table [D, G] for each image; scores: a tensor [D] for each."""
    ### BEGIN SOLUTION
    orders = [s.argsort(descending=True, stable=True) for s in scores]
    tables = [table[order] for table, order in zip(ious, orders)]
    ranked = torch.cat([s[order] for s, order in zip(scores, orders)])
    positives = sum(table.shape[1] for table in ious)
    values = []
    for k in range(10):
        correct = torch.cat([match_coco(table, 0.5 + 0.05 * k) >= 0 for table in tables])
        precision, recall = precision_recall_curve(ranked, correct, positives)
        values.append(average_precision_101(precision, recall))
    return sum(values) / 10
    ### END SOLUTION

# %% check="coco_average_precision"
check("coco_average_precision", coco_average_precision)

# %% [markdown]
# ## Judge
#
# **The official program** is `pycocotools`; its numbers are the ones in the papers. Does yours agree? (Six scenes contain a distant flock that nobody counted, a *crowd* in COCO's words. COCO neither rewards nor punishes boxes there. Your function knows no crowds, so those scenes are left out here.)

# %%
countable = [scene for scene in scenes if not scene.crowd.any()]
outputs = data.DETECTORS["good"].detect(countable)
with contextlib.redirect_stdout(io.StringIO()):  # it is talkative
    coco = COCO()
    coco.dataset = data.coco_ground_truth(countable)
    coco.createIndex()
    official = COCOeval(coco, coco.loadRes(data.coco_results(outputs, countable)), "bbox")
    official.evaluate()
    official.accumulate()
    official.summarize()

print(f"{'':9}{'yours':>12}{'pycocotools':>14}")
yours = []
for k, name in enumerate(data.CLASSES):
    yours.append(float(coco_average_precision(*tables_of(outputs, countable, k))))
    print(f"{name:9}{yours[-1]:12.6f}{official.eval['precision'][:, :, k, 0, 2].mean():14.6f}")
print(f"{'mean':9}{np.mean(yours):12.6f}{official.stats[0]:14.6f}")

# %% [markdown]
# From now on you may trust the library, which does the same with crowds, sizes and the limit of 100, much faster: `course_lib.metrics.evaluate_coco`. All eleven detectors, all sixty scenes. (So `good` gets another mean than just now: the six scenes with crowds are in.)

# %%
truth = data.coco_ground_truth(scenes)
results = {}
columns = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"]
print(f"{'':14}" + "".join(f"{column:>8}" for column in columns))
for name, detector in data.DETECTORS.items():
    found = data.coco_results(detector.detect(scenes), scenes)
    results[name] = metrics.evaluate_coco(truth, found)
    print(f"{name:14}" + "".join(f"{results[name][column]:8.3f}" for column in columns))

# %% [markdown]
# Each column asks something else:
#
# | number | its question |
# |---|---|
# | precision | of what it says, how much is true? |
# | recall | of what is there, how much does it find? |
# | F$_\beta$ | how good is it at *this* score threshold, if a miss costs as much as β² false alarms? |
# | AP50 | how good is the ranking, if half a fit is enough? |
# | AP75 | … if only a good fit counts? |
# | AP | … and how tight are the boxes on top? |
# | APs, APm, APl | for which size of object? |
# | AR100 | how much is found at all, over the ten thresholds, if false alarms cost nothing? |
#
# Take a minute: whose fault can you find in its row? Then read on.
#
# - **You can see** `loose` (AP75 is almost 0), `shortsighted` (APs is 0), and `timid` (it finds little, and what it finds fits: AP75 is nearly AP50).
# - `twice` and `raw` say too much: a low AP, yet an AR100 *above* that of `good`. `raw` has the best of all, since with a cloud of boxes around each object one of them fits well, and AR100 does not count the others.
# - `gullible` and `shuffled` find what `good` finds (the same AR100), but rank it badly. Which of the two has which fault? The row does not say.
# - `confused` looks a little worse everywhere. Only class by class one sees it.
# - `cluttered` and `overconfident` are `good`, to the last digit.

# %% [markdown]
# ## Break it: what one number hides
#
# **Equal AP50, other AP.** `good` and `loose` have the same AP50 to the last digit. Look at the other thresholds:

# %%
thresholds = results["good"].iou_thresholds
fig, ax = plt.subplots(figsize=(5.4, 3), layout="constrained")
for name, colour, style in [("good", draw.TRUTH, "o-"), ("loose", draw.PREDICTION, "s--")]:
    heights = results[name].precision[:, :, :, 0, -1].mean(axis=(1, 2))  # over recalls, classes
    ax.plot(thresholds, heights, style, color=colour, lw=2, label=f"{name}: AP {heights.mean():.3f}")
ax.set(xlabel="IoU threshold", ylabel="AP at this threshold", ylim=(0, 1))
ax.legend(frameon=False)
draw.show(
    fig,
    "AP50 sees the first pair of points only. COCO's AP is the mean height of each line.",
    "AP over the IoU threshold: both start at 0.85. Loose falls to almost 0 between 0.65 and 0.75, "
    "good between 0.75 and 0.95.",
)

# %% [markdown]
# **Nearly equal AP, another fault.** `shortsighted` and `confused` are twins by that one number. Which of them would you put into a car?

# %%
twins = {"confused": draw.ANCHOR, "shortsighted": draw.TRUTH}
sizes = ["AP", "APs", "APm", "APl"]
fig, (left, right) = plt.subplots(
    1, 2, figsize=(9.6, 3), sharey=True, width_ratios=[4, 7], layout="constrained"
)
for shift, (name, colour) in zip([-0.2, 0.2], twins.items()):
    by_size = [results[name][size] for size in sizes]
    by_class = results[name].precision[:, :, :, 0, -1].mean(axis=(0, 1))  # over thresholds, recalls
    for ax, heights in [(left, by_size), (right, by_class)]:
        bars = ax.bar(np.arange(len(heights)) + shift, heights, 0.38, color=colour, label=name)
        ax.bar_label(bars, fmt="%.2f", fontsize=8)
left.set(xticks=range(4), xticklabels=["all", "small", "medium", "large"], ylabel="AP", ylim=(0, 1))
right.set(xticks=range(len(data.CLASSES)), xticklabels=data.CLASSES)
left.legend(frameon=False, loc="upper left", fontsize=9)
draw.show(
    fig,
    "Nearly the same AP. Left, by size: one is blind to what is small. Right, by class: the other is bad "
    "at dogs and cats only.",
    "Bars of AP. By size: shortsighted has 0 for small objects, and is ahead for medium and large ones. "
    "By class: confused has 0.2 for dogs and cats, and is level or ahead everywhere else.",
)

# %% [markdown]
# For a car: `confused`. What is far away looks small, and `shortsighted` sees it only when it is near; but a car brakes for a cat as for a dog. For someone who counts pets it is the other way round. The number knows neither.

# %% [markdown]
# **What a false alarm costs** depends on its place in the ranking, and on nothing else:

# %%
faulty = {name: curve_of(name, dog) for name in ("cluttered", "twice", "gullible")}
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.1), sharey=True, layout="constrained")
for ax, (name, (precision, recall, _)) in zip(axes, faulty.items()):
    ax.plot(recall, precision, color=draw.PREDICTION, lw=1.8, label="with the fault")
    ax.plot(curves["good"][1], curves["good"][0], color="black", lw=1.2, ls=":", label="good")
    ax.set(xlabel="recall", xlim=(0, 1.02), ylim=(0, 1.05))
    ax.set_title(f"{name}: AP50 {results[name]['AP50']:.3f}", fontsize=11)
axes[0].legend(frameon=False, loc="lower left", fontsize=9)
axes[0].set_ylabel("precision")
draw.show(
    fig,
    f"The dogs' curves; in the titles AP50 of all classes (good: {results['good']['AP50']:.3f}). Clutter at "
    "the end is a plunge at the last recall: no area is lost. Duplicates and bold ghosts cut the height.",
    "Three panels, each a detector against good. Cluttered follows good, then plunges straight down. "
    "Twice and gullible run below good.",
)

# %% [markdown]
# - **Clutter with low scores costs nothing.** It stands behind everything, where no recall is left to lose. This is why detectors in papers hand in 100 boxes for each image: at worst the last ones do no harm. A user who sees them all will disagree.
# - **A duplicate costs** what any false alarm costs: the more, the higher it stands. That is why non-maximum suppression pays: compare `twice` and `raw`, which forgot it, with `good`.
# - **A confident ghost costs dearly.** It lowers the precision of all that comes after.
# - **Overconfidence costs nothing.** Only the order counts. Yet a user who reads "0.95" as *19 times out of 20* is misled: the scores of `overconfident` are 0.96 on average, and 70 of 100 of its boxes are right.

# %% [markdown]
# So when you compare detectors: the same rule, the same data, and more than one number. When you *use* one: choose a score threshold for your costs. AP will not do it for you.

# %% [markdown]
# ## Review
#
# Four questions, a point each. The check looks at the form only; they are marked when you hand in.
#
# **Question 1.** A picture shows 5 pedestrians. A detector finds all 5, and draws 995 more boxes where nobody is. Its recall is 1. What is its precision?

# %% solve="pedestrians"
### BEGIN SOLUTION
pedestrians = 5 / 1000
### END SOLUTION

# %% check="pedestrians"
check("pedestrians", pedestrians)

# %% [markdown]
# **Question 2.** The same 1,000 boxes. Now you learn their scores: the 5 right boxes have the five highest. What is the AP (by any of the three rules)?

# %% solve="pedestrians_ranked"
### BEGIN SOLUTION
pedestrians_ranked = 1.0
### END SOLUTION

# %% check="pedestrians_ranked"
check("pedestrians_ranked", pedestrians_ranked)

# %% [markdown]
# **Question 3.** *Careful* has precision 0.9 and recall 0.5. *Thorough* has precision 0.5 and recall 0.9. Their F1 is equal. Which has the higher F2?
#
# - **A** Careful
# - **B** Thorough
# - **C** Neither: F weighs precision and recall alike

# %% solve="careful_or_thorough"
### BEGIN SOLUTION
careful_or_thorough = "B"
### END SOLUTION

# %% check="careful_or_thorough"
check("careful_or_thorough", careful_or_thorough)

# %% [markdown]
# **Question 4.** A detector finds every object exactly once and never raises a false alarm. Each of its boxes has an IoU of 0.72 with its object. Its AP50 is 1. What is its AP by COCO's rule?

# %% solve="always_072"
### BEGIN SOLUTION
always_072 = 0.5
### END SOLUTION

# %% check="always_072"
check("always_072", always_072)

# %% [markdown]
# ## Further reading
#
# - Everingham et al., *The PASCAL Visual Object Classes Challenge*, IJCV 2010, section 4: the rules of VOC, and why the envelope.
# - Lin et al., *Microsoft COCO*, ECCV 2014; and cocodataset.org, "Detection Evaluation".
# - Hoiem, Chodpathumwan & Dai, *Diagnosing Error in Object Detectors*, ECCV 2012: which mistakes cost what.
# - Bolya et al., *TIDE: A General Toolbox for Identifying Object Detection Errors*, ECCV 2020: AP taken apart.
# - `course_lib/metrics/`: `matching.py`, `curves.py` and `average.py` are what you have just written.
#
# **Hand in** this notebook, saved, under its own name: `03_map.ipynb`. Next: where a detector's boxes come from.
