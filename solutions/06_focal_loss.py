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
# # 06 · Focal loss
#
# A detector asks at 100,000 places: *is there an object here?* At perhaps ten of them the answer is yes. It soon learns to mutter *no, no, no*, and is right almost always. **Whom should it listen to when it learns?**
#
# **After this lesson you can**
#
# - compute cross entropy from logits so that no logit, however wild, breaks it;
# - say who dominates a loss, and what α and γ each do about it;
# - start a classifier so that its first steps are not wasted;
# - train a small dense detector with your own loss, and read the paper's tables beside your own numbers.
#
# You need PyTorch, and precision and recall (lesson 03). It takes about two hours, best in two sittings; a good place for the break is marked, and so is what you may leave out.

# %% [markdown]
# **How to work.** As before: run from the top, write where it says `raise NotImplementedError`, let the check tell you. `hint("sigmoid_focal_loss")` opens a hint. The long cells that draw or train need not be read: run them, and look at the picture.
#
# | | you write | points |
# |---|---|---|
# | 1 | `balanced_cross_entropy` | 4 |
# | 2 | `sigmoid_focal_loss` | 4 |
# | 3 | `prior_bias` | 2 |
# | 4 | `hard_negative_mining` | 3 |
# | 5 | `softmax_focal_loss` | 3 |
# | | four questions at the end | 4 |

# %%
import math
import time

import ipywidgets
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import interpolate, logsigmoid

from autograde import check, hint
from course_lib import draw, metrics
from course_lib import losses as library
from course_lib.explore import focal_loss_explorer

torch.set_num_threads(1)  # tiny networks: quicker so, and the same numbers every time

# %% [markdown]
# ## See it
#
# A detector answers each question with a probability. The **loss** is a number that says how wrong that was: 0 for sure and right, large for sure and wrong. The network learns by making the sum of all losses smaller, so whoever holds most of the sum is listened to most.
#
# Here 100,000 easy pieces of background and 100 hard objects share one sum. Four words first, more on each below:
#
# - $p_t$: the probability that the detector gives to the truth, *object* or *background* (the explorer calls it *p of the true class*, or p for short);
# - **easy**: $p_t$ is near 1. **Hard**: it is near 0;
# - **α**: how much the objects' loss counts; the background's counts 1 − α;
# - **γ**: how far the easy ones are turned down; 0 is not at all.
#
# Guess first, then try:
#
# 1. Press **cross entropy, both sides alike**. Who holds more of the loss, and how many times more?
# 2. Turn γ up slowly. At which γ do the hundred hold half of it?
# 3. Set γ back to 0 and use α alone. Can you get the same balance? (α stands only in the shares and sums; the curves are drawn without it.) And what does α do to an easy object, compared with a hard one?
# 4. Turn γ from 0 to 2 and watch the two cumulative curves. Which side changes more, objects or background?

# %%
focal_loss_explorer()

# %% [markdown]
# (1: the easy ones, 46 times. 2: about 1.7. 3: yes, with α near 0.98. But both objects get the same factor, so their ratio stays: α moves a whole side. 4: the background. Its easy members fall silent; most objects are not that easy.)

# %% [markdown]
# ## A whisper, a hundred thousand times
#
# For one yes-or-no question the network gives a **logit** $x$, any number. It says yes with probability $p = \sigma(x) = 1/(1+e^{-x})$. What matters is the probability that was given to the *truth*:
#
# $$p_t = p \text{ if the target is } 1, \qquad p_t = 1 - p \text{ if it is } 0.$$
#
# **Cross entropy** is $-\ln p_t$: 0 for perfect, large for confidently wrong. An easy negative with $p = 0.1$ costs $-\ln 0.9 \approx 0.1$. A hard positive with $p = 0.1$ costs $-\ln 0.1 \approx 2.3$. Now count heads:

# %%
counts, costs = [100_000, 100], [-math.log(0.9), -math.log(0.1)]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
totals = [count * cost for count, cost in zip(counts, costs)]
panels = [("how many", counts), ("loss of each", costs), ("loss of all", totals)]
for ax, (title, values) in zip(axes, panels):
    bars = ax.bar(["easy\nbackground", "hard\nobjects"], values, color=[draw.IGNORED, draw.TRUTH])
    ax.bar_label(bars, labels=[f"{v:,.0f}" if v > 10 else f"{v:.2f}" for v in values])
    ax.set(title=title, yticks=[], ylim=(0, 1.2 * max(values)))
draw.show(
    fig,
    f"Each hard object shouts {costs[1] / costs[0]:.0f} times as loud, and yet the whisperers hold "
    f"{totals[0] / totals[1]:.0f} times as much of the loss.",
    "Three pairs of bars. Counts 100,000 and 100, losses 0.11 and 2.30, totals 10,536 and 230.",
)

# %% [markdown]
# ### From logits, never from probabilities
#
# The formula invites you to compute `p = x.sigmoid()` and then `-p.log()`. Float32 takes revenge:

# %%
x = torch.linspace(-140, 140, 561)
p = x.sigmoid()
fig, axes = plt.subplots(1, 2, figsize=(8.4, 2.9), sharey=True, layout="constrained")
ways = [("target 1", -p.log(), -logsigmoid(x)), ("target 0", -(1 - p).log(), -logsigmoid(-x))]
for ax, (title, naive, stable) in zip(axes, ways):
    ax.plot(x, stable, color=draw.TRUTH, lw=5, alpha=0.35, label="from the logit")
    ax.plot(x, naive, color=draw.PREDICTION, lw=1.8, label="from p")
    broken = x[torch.isinf(naive)]
    ax.axvspan(broken.min(), broken.max(), color=draw.PREDICTION, alpha=0.12)
    ax.set(title=title, xlabel="logit")
axes[0].set_ylabel("loss")
axes[0].legend(frameon=False)
draw.show(
    fig,
    "Where it is shaded, p has been rounded to 0 or 1 and the loss computed from it is infinite. "
    "For a target of 0 that begins at a logit of 17.",
    "Loss over the logit for both targets. The curve from p stops where the shading begins; "
    "the curve from the logit goes on as a straight line.",
)

# %% [markdown]
# The cure: never form $p$. Since $1 - \sigma(x) = \sigma(-x)$,
#
# $$-\ln p = -\ln \sigma(x), \qquad -\ln (1 - p) = -\ln \sigma(-x).$$
#
# PyTorch's `logsigmoid` computes $\ln\sigma(x)$ in one go.
#
# **The first remedy** for imbalance is old: let one side count more. Positives weigh α, negatives 1 − α:
#
# $$\text{CE}_\alpha = -\alpha_t \ln p_t$$

# %% [markdown]
# ### Exercise 1 · `balanced_cross_entropy`
#
# **By hand first**, α = 0.75. Cover the last two columns.
#
# | logit | target | $p$ | $p_t$ | $-\ln p_t$ | $\alpha_t$ | loss |
# |---|---|---|---|---|---|---|
# | 0 | 1 | 0.5 | 0.5 | 0.693 | 0.75 | 0.520 |
# | 2 | 0 | 0.881 | 0.119 | 2.127 | 0.25 | 0.532 |
# | −100 | 1 | 0.000… | 0.000… | 100 | 0.75 | 75 |
#
# One loss for each logit, in any shape: no mean, no sum. `targets` holds 0. and 1. A negative α, any at all, means *no weights*: plain cross entropy; α = 0 is a weight. Return one tensor with the dtype of `inputs`, an empty one for no logits. And compute with tensors from end to end (no `.detach()`, no numpy): later a detector learns through your function, so a gradient must flow.


# %% solve="balanced_cross_entropy"
def balanced_cross_entropy(inputs, targets, alpha=0.75):
    """-alpha_t ln(p_t) of each logit. inputs, targets: the same shape, and so is the answer."""
    ### BEGIN SOLUTION
    loss = -(targets * logsigmoid(inputs) + (1 - targets) * logsigmoid(-inputs))
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss
    ### END SOLUTION


# %% check="balanced_cross_entropy"
check("balanced_cross_entropy", balanced_cross_entropy)

# %% [markdown]
# What can α do? Three groups, by your function: 100,000 easy negatives ($p = 0.1$), 1,000 hard negatives ($p = 0.9$), 100 hard positives ($p = 0.1$).

# %%
groups = [
    ("easy negatives", 100_000, 0.1, 0.0, draw.IGNORED),
    ("hard negatives", 1_000, 0.9, 0.0, draw.PREDICTION),
    ("hard positives", 100, 0.1, 1.0, draw.TRUTH),
]
group_logits = torch.logit(torch.tensor([p for _, _, p, _, _ in groups]))
group_targets = torch.tensor([t for _, _, _, t, _ in groups])
group_sizes = torch.tensor([float(n) for _, n, _, _, _ in groups])


def shares(loss):
    """Of the loss of all examples, the share of each group [3]."""
    total = torch.as_tensor(loss) * group_sizes
    return (total / total.sum()).tolist()


def stacked(ax, rows):
    """A horizontal bar of shares for each row (name, shares)."""
    for y, (_, parts) in enumerate(rows):
        left = 0.0
        for part, (_, _, _, _, colour) in zip(parts, groups):
            ax.barh(y, part, left=left, color=colour, height=0.65)
            if part > 0.05:
                ax.text(left + part / 2, y, f"{part:.0%}", ha="center", va="center", color="white")
            left += part
    names = [name for name, _ in rows]
    ax.set(yticks=range(len(rows)), yticklabels=names, xlim=(0, 1), xlabel="share of the loss")
    ax.invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for *_, colour in groups]
    ax.legend(handles, [name for name, *_ in groups], ncols=3, frameon=False, loc="lower center",
              bbox_to_anchor=(0.5, 1.0))  # fmt: skip


rows = []
for alpha in (0.5, 0.75, 0.99):
    rows.append(
        (f"α = {alpha}", shares(balanced_cross_entropy(group_logits, group_targets, alpha)))
    )
fig, ax = plt.subplots(figsize=(7.4, 2.4), layout="constrained")
stacked(ax, rows)
draw.show(
    fig,
    "α moves weight from the negatives to the positives. Grey to orange-red stays what it was: "
    "among the negatives the easy ones go on drowning the hard ones.",
    "Three stacked bars. As alpha grows, the blue share of the positives grows; the ratio of "
    "easy to hard negatives is the same in all three.",
)

# %% [markdown]
# ## Say it: turn down whoever is right already
#
# α asks *which class are you?* Better to ask *how sure are you of the truth?* Lin et al. (2017) multiply by a **modulating factor** that is near 1 for the hard and near 0 for the easy:
#
# $$\text{FL} = -\alpha_t\,(1 - p_t)^{\gamma} \ln p_t$$

# %%
p_t = torch.linspace(0.005, 0.995, 199)
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3), layout="constrained")
styles = ["-", "--", "-.", ":"]
for gamma, style, colour in zip((0, 0.5, 2, 5), styles, draw.PALETTE[4:8]):
    axes[0].plot(p_t, (1 - p_t) ** gamma, style, color=colour, lw=2, label=f"γ = {gamma}")
    axes[1].plot(p_t, -((1 - p_t) ** gamma) * p_t.log(), style, color=colour, lw=2)
axes[0].set(title="the factor", xlabel="p_t: probability given to the truth")
axes[1].set(title="the loss", xlabel="p_t", ylim=(0, 4))
axes[1].legend(axes[0].lines, [line.get_label() for line in axes[0].lines], frameon=False)
draw.show(
    fig,
    "On the right of each panel are the easy ones. γ = 0 is cross entropy; the higher γ, "
    "the earlier they fall silent. On the left are the hard ones: at p_t = 0.2, γ = 2 leaves 0.64 of the loss, γ = 5 only 0.33.",
    "Left: the factor over p_t for four gammas, all falling to 0 at p_t = 1. Right: the losses.",
)

# %% [markdown]
# ### Exercise 2 · `sigmoid_focal_loss`
#
# **By hand first**, γ = 2, no α:
#
# | $p_t$ | $-\ln p_t$ | $(1 - p_t)^2$ | loss | turned down |
# |---|---|---|---|---|
# | 0.9 | 0.105 | 0.01 | 0.00105 | 100 times |
# | 0.5 | 0.693 | 0.25 | 0.173 | 4 times |
# | 0.1 | 2.303 | 0.81 | 1.865 | 1.2 times |
#
# The same for objects and background: a negative with $p = 0.1$ stands in the first row. So which $p$ goes into the factor?
#
# Order of the arguments as in torchvision. Again a loss for each logit, a negative α means no weights, and a gradient must flow.


# %% solve="sigmoid_focal_loss"
def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2):
    """-alpha_t (1 - p_t)^gamma ln(p_t) of each logit."""
    ### BEGIN SOLUTION
    p = inputs.sigmoid()
    doubt = (1 - p) * targets + p * (1 - targets)  # 1 - p_t
    return doubt**gamma * balanced_cross_entropy(inputs, targets, alpha)
    ### END SOLUTION


# %% check="sigmoid_focal_loss"
check("sigmoid_focal_loss", sigmoid_focal_loss)

# %% [markdown]
# The three groups again, by your function. And beside it what training really feels: the **gradient**. For a logit it says how hard the example pulls.

# %%
rows = []
for gamma in (0, 1, 2, 5):
    loss = sigmoid_focal_loss(group_logits, group_targets, -1, gamma)
    rows.append((f"γ = {gamma}", shares(loss)))
fig, ax = plt.subplots(figsize=(7.4, 2.7), layout="constrained")
stacked(ax, rows)
draw.show(
    fig,
    "γ takes from the easy negatives and leaves the hard examples of both kinds. No α here.",
    "Four stacked bars: the grey share of the easy negatives shrinks to nearly nothing as gamma grows.",
)

fig, axes = plt.subplots(1, 2, figsize=(8.6, 3), sharey=True, layout="constrained")
for ax, target in zip(axes, (1.0, 0.0)):
    for gamma, style, colour in zip((0, 0.5, 2, 5), styles, draw.PALETTE[4:8]):
        x = torch.linspace(-6, 6, 241, requires_grad=True)
        loss = sigmoid_focal_loss(x, torch.full_like(x, target), -1, gamma)
        if not (torch.is_tensor(loss) and loss.requires_grad):
            raise ValueError("no gradient flows: a detach(), no_grad() or numpy is in the way")
        loss.sum().backward()
        ax.plot(x.detach(), x.grad, style, color=colour, lw=2, label=f"γ = {gamma}")
    ax.axhline(0, color="0.7", lw=1)
    ax.set(title="object" if target else "background", xlabel="logit")
axes[0].set_ylabel("gradient")
axes[0].legend(frameon=False)
draw.show(
    fig,
    "Objects pull their logit up (gradient below 0), background pulls it down. With γ = 2 whoever "
    "is right by 2 or more hardly pulls at all; the hard ones even pull a little more (above 1).",
    "Gradient over the logit, for an object and for background, mirrored. With growing gamma the "
    "curves reach 0 earlier on the side of right answers.",
)

# %% [markdown]
# One formula for both sides, two effects. Of a detector's negatives nearly all are easy, so γ silences nearly all. Of its positives few are, so γ changes little. That is the answer to guess 4.
#
# **What to divide by.** RetinaNet sums the loss over all anchors and divides by the number of **positives**. By the number of all anchors? A hundred thousand whisperers would be counted, though γ has silenced them; the few who matter would get a gradient near nothing.

# %% [markdown]
# ## A detector, live
#
# Painted scenes of 40 × 40 pixels. *Find the discs*; squares, rings and diamonds are there to mislead. The detector looks at 20 × 20 cells and says for each: is the centre of a disc in here?


# %%
def shapes_at(row, column, radius, size=40):
    """The four shapes around a point, [size, size] each, True inside."""
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    dx, dy = x - column, y - row
    away = (dx**2 + dy**2).sqrt()
    return {
        "square": torch.maximum(dx.abs(), dy.abs()) < 0.88 * radius,
        "ring": (away < radius) & (away > 0.45 * radius),
        "diamond": dx.abs() + dy.abs() < 1.25 * radius,
        "disc": away < radius,
    }


def paint(count, seed, size=40):
    """`count` scenes [count, 1, size, size] and their targets [count, size / 2, size / 2]."""
    dice = torch.Generator().manual_seed(seed)
    hills = torch.randn(count, 1, 5, 5, generator=dice)
    images = 0.5 * interpolate(hills, size=(size, size), mode="bicubic", align_corners=True)
    targets = torch.zeros(count, size // 2, size // 2)
    for image, target in zip(images[:, 0], targets):
        discs = int(torch.randint(1, 4, (1,), generator=dice))
        for k in range(3 + discs):
            column, row = torch.randint(2, size // 2 - 2, (2,), generator=dice).tolist()
            radius, tone = (torch.rand(2, generator=dice) * torch.tensor([1.5, 0.7])).tolist()
            shapes = shapes_at(2 * row + 1, 2 * column + 1, radius + 2.5, size)
            image += (tone + 0.8) * list(shapes.values())[min(k, 3)]
            target[row, column] = max(target[row, column], float(k > 2))
    return images + 0.15 * torch.randn(images.shape, generator=dice), targets


train_images, train_targets = paint(400, seed=0)
test_images, test_targets = paint(200, seed=1)
per_positive = train_targets.numel() / train_targets.sum()


def show_scene(ax, n, title=""):
    ax.imshow(test_images[n, 0], cmap="gray", extent=(0, 20, 20, 0))
    row, column = test_targets[n].nonzero().T + 0.5
    for x, y in zip(column.tolist(), row.tolist()):
        ax.add_patch(plt.Circle((x, y), 2.7, fill=False, ec=draw.ANCHOR, lw=2))
    ax.set(xticks=[], yticks=[], title=title)


fig, axes = plt.subplots(2, 4, figsize=(10, 5.2), layout="constrained")
for (name, shape), ax in zip(shapes_at(20, 20, 6.0).items(), axes[0]):
    ax.imshow(shape[12:28, 12:28], cmap="gray")
    ax.set(xticks=[], yticks=[], title=name)
for n, ax in enumerate(axes[1]):
    show_scene(ax, n)
draw.show(
    fig,
    f"Above: one of each kind, without noise and large. Below: four scenes, the discs circled. One cell "
    f"in {per_positive:.0f} is a positive. The smallest discs have few pixels, and hardly differ from diamonds.",
    "A square, a ring, a diamond and a disc of pixels; grey scenes with such shapes, bright on a cloudy background.",
)

# %% [markdown]
# ### Exercise 3 · `prior_bias`
#
# A fresh classifier says $p = 0.5$ everywhere. With 10 objects among 100,000 anchors nearly every answer is wrong, and the first steps of training are one cry: *say no!* Better that it begins with a low $p = \pi$, say 0.01. Only the last layer's bias $b$ must be set, so that
#
# $$\sigma(b) = \frac{1}{1 + e^{-b}} = \pi$$
#
# Solve this for $b$, on paper: turn both sides upside down first. **Check it by hand**: for π = 0.5 your formula must give 0, for π = 0.01 about −4.6, which has to do with 99 to 1. This is no part of the loss: training may move $b$ wherever it wants. Give one number.


# %% solve="prior_bias"
def prior_bias(pi=0.01):
    """The bias with which a sigmoid begins at probability pi."""
    ### BEGIN SOLUTION
    return -math.log((1 - pi) / pi)
    ### END SOLUTION


# %% check="prior_bias"
check("prior_bias", prior_bias)

# %% [markdown]
# Does it matter? A small network learns from scratch, with plain cross entropy (your focal loss with γ = 0), once from π = 0.5 and once from your bias.


# %%
def network(width, bias):
    """Logits [B, 1, 20, 20] of images [B, 1, 40, 40]."""
    layers = [nn.Conv2d(1, width, 3, stride=2, padding=1), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Conv2d(width, 1, 1))
    nn.init.normal_(net[-1].weight, std=0.01)
    nn.init.constant_(net[-1].bias, bias)
    return net


def fit(parameters, loss_of, optimizer, lr, steps, seed):
    """Train on batches of 16 scenes; returns the loss at each step. loss_of(batch) gives it."""
    dice = torch.Generator().manual_seed(seed)
    optimizer = optimizer(parameters, lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    path = []
    for _ in range(steps):
        loss = loss_of(torch.randint(0, len(train_images), (16,), generator=dice))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        path.append(loss.item())
    return path


def momentum(parameters, lr):
    return torch.optim.SGD(parameters, lr, momentum=0.9)


def curve_of(logits):
    """(precision, recall, AP) of the cells of all test scenes."""
    found, truth = logits.flatten().double(), test_targets.flatten() > 0
    precision, recall = metrics.precision_recall_curve(found, truth, int(truth.sum()))
    return precision, recall, metrics.average_precision_all(precision, recall).item()


fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
starts = [
    ("π = 0.5", 0.0, draw.IGNORED, "--"),
    ("π = 0.01", float(prior_bias(0.01)), draw.TRUTH, "-"),
]
for name, bias, colour, style in starts:
    torch.manual_seed(0)
    net = network(8, bias)

    def loss_of(batch, net=net):  # as RetinaNet has it: the sum, divided by the positives
        targets = train_targets[batch]
        return (
            sigmoid_focal_loss(net(train_images[batch])[:, 0], targets, 0.5, 0).sum()
            / targets.sum()
        )

    path = fit(net.parameters(), loss_of, momentum, 0.04, 250, seed=0)
    with torch.no_grad():
        ap = curve_of(net(test_images)[:, 0])[2]
    ax.plot(
        path, style, color=colour, lw=1.8, label=f"{name}: first loss {path[0]:.1f}, AP {ap:.2f}"
    )
ax.set(yscale="log", xlabel="step", ylabel="loss for each positive")
ax.legend(frameon=False)
draw.show(
    fig,
    "The same network, data and steps; only the bias of its last layer differs at the start.",
    "Loss over the steps, on a logarithmic axis, for two starts. The one from 0.5 begins far higher.",
)

# %% [markdown]
# Follow the dashed curve. In the first dozen steps all cry *say no!*, and the loss falls to where the other one starts. But the push goes on, by momentum: after 40 steps every logit is about −23, in all cells alike. Each disc costs 23 now (half of it with α = 0.5), so the loss has crept up to 11. It tries to come back when the learning rate is near its highest, after 85 steps or so, overshoots and explodes. What is left says the same everywhere. The full curve never had that push to work off. A smaller rate may save the first one; the prior makes it unnecessary. Lin et al. saw it, too: without the prior RetinaNet with cross entropy diverged; with it, it trained. Use it with any loss.

# %% [markdown]
# *(A good place for a break. When you come back, run the cells from the top.)*
#
# ### γ against cross entropy
#
# Now a fair race. So that luck plays no part, all layers but the last are **frozen**: random filters that nobody trains. Only γ and α differ. The last layer is too small to please everybody, so it matters whom it listens to.
#
# **Set the sliders** before you run the cell after them. Start with γ = 2 and α = 0.25. α = 0.5 treats both sides alike. (γ is whole here; "Break it" says why.)

# %%
gamma_slider = ipywidgets.IntSlider(2, min=0, max=5, description="γ")
alpha_slider = ipywidgets.FloatSlider(0.25, min=0.05, max=0.95, step=0.05, description="α")
ipywidgets.VBox([gamma_slider, alpha_slider])


# %%
def frozen_features(seed, width=48):
    """What random filters see: [400, width, 20, 20] and [200, width, 20, 20]."""
    torch.manual_seed(100 + seed)
    filters = nn.Sequential(
        nn.Conv2d(1, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    with torch.no_grad():
        train, test = filters(train_images), filters(test_images)
    mean, spread = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True) + 1e-3
    return (train - mean) / spread, (test - mean) / spread


features = [frozen_features(seed) for seed in range(3)]


def learn(settings, seed=0):
    """Train a last layer for each (γ, α); its test logits, and its easy negatives' share of the loss.

    All learn side by side from the same batches. Adam treats each weight by itself, so that none
    notices the others.
    """
    train, test = features[seed]
    heads = nn.Conv2d(train.shape[1], len(settings), 3, padding=1)
    nn.init.zeros_(heads.weight)
    nn.init.constant_(heads.bias, float(prior_bias(0.01)))
    easy_shares = [[] for _ in settings]

    def loss_of(batch):
        all_logits, targets = heads(train[batch]), train_targets[batch]
        total = 0
        for logits, (gamma, alpha), shares in zip(all_logits.unbind(1), settings, easy_shares):
            loss = sigmoid_focal_loss(logits, targets, alpha, gamma)
            easy = (targets == 0) & (logits.detach().sigmoid() < 0.1)
            shares.append((loss.detach()[easy].sum() / loss.detach().sum()).item())
            total = total + loss.sum() / targets.sum()
        return total

    fit(heads.parameters(), loss_of, torch.optim.Adam, 0.02, 200, seed)
    with torch.no_grad():
        return list(zip(heads(test).unbind(1), easy_shares))


yours = (gamma_slider.value, alpha_slider.value)
names = ["γ = 0, α = 0.5", f"γ = {yours[0]:g}, α = {yours[1]:g}"]
looks = [(draw.IGNORED, "--"), (draw.TRUTH, "-")]
runs = [(*a, *b) for a, b in zip(zip(names, looks), learn([(0, 0.5), yours]))]

fig, axes = plt.subplots(1, 3, figsize=(10, 3.1), layout="constrained")
bins = torch.linspace(0, 1, 26)
for name, (colour, style), logits, easy_share in runs:
    precision, recall, ap = curve_of(logits)
    axes[0].plot(recall, precision, style, color=colour, lw=2, label=f"{name}: AP {ap:.3f}")
    axes[1].plot(easy_share, style, color=colour, lw=1.6)
    heights = logits.sigmoid().histogram(bins).hist
    axes[2].stairs(heights, bins, color=colour, lw=2, ls=style)
axes[0].set(xlabel="recall", ylabel="precision", ylim=(0, 1.05))
axes[0].legend(frameon=False, fontsize=9, loc="lower left")
axes[1].set(xlabel="step", ylabel="easy negatives' share of the loss", ylim=(0, 1))
axes[2].set(xlabel="p", ylabel="cells of the test scenes", yscale="log")
draw.show(
    fig,
    "Plain cross entropy (grey, dashed) and your setting (blue). Left: what it finds. Middle: who holds "
    "the loss while it learns (easy: p below 0.1). Right: how sure it is in the end.",
    "Three panels: precision-recall curves, the share of the loss of easy negatives over the steps, "
    "and histograms of p on a logarithmic axis.",
)

# %% [markdown]
# Read it honestly. The share of the easy ones collapses: that is what γ is for. The AP moves by a few points, no more. And the histogram: with γ = 2 the network is *less sure* of everything. A silenced example has no reason to go on to $p = 0.0001$. After focal loss do not read $p$ as a probability; the order is what counts.
#
# Are a few points luck? Three seeds each, with the γ and α of the paper (Tables 1a and 1b):

# %%
paper = {
    (0, 0.25): 10.8,
    (0, 0.5): 30.2,
    (0, 0.75): 31.1,
    (1, 0.25): 33.7,
    (2, 0.25): 34.0,
    (5, 0.25): 32.2,
}
tries = [learn(list(paper), seed) for seed in range(3)]
print(f"{'γ':>4} {'α':>5}   {'here, AP of three seeds':26}{'mean':>6}   paper, AP on COCO")
for k, ((gamma, alpha), ap) in enumerate(paper.items()):
    aps = [100 * curve_of(attempt[k][0])[2] for attempt in tries]
    each = "   ".join(f"{value:.1f}" for value in aps)
    print(f"{gamma:4} {alpha:5}   {each:26}{sum(aps) / 3:6.1f}   {ap:.1f}")

# %% [markdown]
# First the rows with α = 0.25: between γ = 0 and γ = 2 nothing else differs, and γ brings five points. With γ = 0 this α is worse than none. Then the column beside it. The numbers themselves cannot be compared, the pattern over γ can: a rise to a flat top at γ = 1 to 2, and a fall at 5 (here down to cross entropy with the same α). α does differ: 0.25 without γ is ruinous in the paper and mild here, and 0.75 costs two points here and gains one in the paper. The paper's Table 1a, cross entropy with α alone:
#
# | α | .10 | .25 | .50 | .75 | .90 | .99 | .999 |
# |---|---|---|---|---|---|---|---|
# | AP | 0.0 | 10.8 | 30.2 | 31.1 | 30.8 | 28.7 | 25.1 |
#
# From the best of these to the best focal loss: 2.9 points.

# %% [markdown]
# ## The rival: throw the easy ones away
#
# Before focal loss one *chose*. **OHEM** (2016) keeps only the examples with the highest loss. SSD keeps all positives and the hardest negatives, three for each positive. What focal loss turns down smoothly, these cut off.
#
# ### Exercise 4 · `hard_negative_mining`
#
# **By hand first.** One image, ratio 3. Which anchors stay?
#
# | anchor | 0 | 1 | 2 | 3 | 4 | 5 | 6 |
# |---|---|---|---|---|---|---|---|
# | label | 0 | 1 | 0 | −1 | 0 | 0 | 0 |
# | loss | 0.3 | 0.2 | 2.0 | 5.0 | 0.1 | 0.9 | 0.2 |
# | stays | yes | yes | yes | no | no | yes | no |
#
# One positive, so three negatives: 2, 5 and 0. The positive stays though its loss is small. −1 means *leave it out* (what lesson 04 ignored and wrote −2 for; such codes are a matter of habit); every label above 0 is a positive (it is the object's class). Each row of `losses` [B, N] is an image with its own count; an image without positives keeps nothing. Where there are too few negatives, take all.


# %% solve="hard_negative_mining"
def hard_negative_mining(losses, labels, ratio=3):
    """True [B, N] for all positives and the hardest negatives, `ratio` a positive, image by image."""
    ### BEGIN SOLUTION
    positive, negative = labels > 0, labels == 0  # [B, N] each
    order = losses.masked_fill(~negative, -math.inf).argsort(dim=1, descending=True)
    place = order.argsort(dim=1)  # [B, N]: 0 for the hardest negative of its image
    return positive | (negative & (place < ratio * positive.sum(1, keepdim=True)))
    ### END SOLUTION


# %% check="hard_negative_mining"
check("hard_negative_mining", hard_negative_mining)

# %% [markdown]
# Whom does it keep in the detector that you trained with cross entropy? And what weight would γ = 2 give?

# %%
logits = learn([(0, 0.5)])[0][0]
loss = sigmoid_focal_loss(logits, test_targets, -1, 0)
kept = torch.as_tensor(hard_negative_mining(loss.flatten(1), test_targets.flatten(1), 3))
kept = kept.view_as(loss)
n = 2
fig, (scene, mined, weights) = plt.subplots(
    1, 3, figsize=(9.4, 3), layout="constrained", width_ratios=[1, 1, 1.3]
)
show_scene(scene, n, "scene")
negative = test_targets[n] == 0
for cells, mark, colour in [
    (~negative, "o", draw.ANCHOR),
    (kept[n] & negative, "s", draw.PREDICTION),
]:
    row, column = cells.nonzero().T + 0.5
    mined.plot(column, row, mark, color=colour, ms=5)
mined.set(xlim=(0, 20), ylim=(20, 0), aspect="equal", facecolor="k", xticks=[], yticks=[])
mined.set(title=f"kept: {int(kept[n].sum())} of 400 cells")
cost = loss[n][negative]
line = cost[kept[n][negative]].min().item()  # of one scene: mining draws its line here
many = torch.logspace(-4, 1, 200)
weights.plot(many, (1 - (-many).exp()) ** 2, color=draw.TRUTH, lw=2, label="focal loss, γ = 2")
weights.step(
    [1e-4, line, 10],
    [0, 0, 1],
    "--",
    where="pre",
    color=draw.PREDICTION,
    lw=2,
    label="mining, this scene",
)
weights.plot(cost, torch.full_like(cost, -0.06), "|", color="0.4", ms=8)
weights.set(
    xscale="log", xlabel="cross entropy of a negative", ylabel="its weight", xlim=(1e-4, 10)
)
weights.legend(frameon=False, fontsize=9, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
draw.show(
    fig,
    "One scene. In the middle the kept cells: positives (orange discs) and the hardest negatives (squares). "
    "Right: mining draws a line and keeps what lies beyond it; the weight of focal loss grows smoothly, without a "
    "jump. The strokes at the bottom are the negatives of this scene.",
    "A scene, a map of the kept cells, and the weight of a negative over its loss: a step for mining, "
    "a smooth rise for focal loss. Nearly all negatives lie far to the left.",
)

# %% [markdown]
# The paper's Table 1d (ResNet-101): best OHEM 32.8, best OHEM with 1 : 3 31.1, focal loss **36.0**.

# %% [markdown]
# ## When exactly one class is right
#
# With $K$ classes a head may ask $K$ yes-or-no questions (RetinaNet does), or one question with $K$ answers, the background being one: **softmax**. The idea stays; $p_t$ is the softmax probability of the true class.
#
# ### Exercise 5 · `softmax_focal_loss`
#
# **By hand first.** The row of logits (ln 6, ln 3, ln 1) has the probabilities 0.6, 0.3, 0.1. The target is class 1, counted from 0, so $p_t$ = 0.3. With γ = 2: (1 − 0.3)² · (−ln 0.3) = 0.49 · 1.204 ≈ 0.590.
#
# `alpha` is a negative number (no weights), or a tensor [K] with a weight for each class: a row weighs what its true class weighs. `if alpha >= 0` cannot tell the two apart (of a tensor it gives a tensor); `torch.is_tensor(alpha)` can. One loss for each row, in one tensor [N], and a gradient must flow. `log_softmax` is to softmax what `logsigmoid` is to sigmoid.


# %% solve="softmax_focal_loss"
def softmax_focal_loss(inputs, targets, alpha=-1, gamma=2):
    """-alpha_t (1 - p_t)^gamma ln(p_t) of each row [N]. inputs [N, K], targets [N] (classes)."""
    ### BEGIN SOLUTION
    log_p = inputs.log_softmax(dim=1)  # [N, K]
    log_p_t = log_p.gather(1, targets[:, None]).squeeze(1)  # [N]
    loss = -((1 - log_p_t.exp()) ** gamma) * log_p_t
    return alpha[targets] * loss if torch.is_tensor(alpha) else loss
    ### END SOLUTION


# %% check="softmax_focal_loss"
check("softmax_focal_loss", softmax_focal_loss)

# %% [markdown]
# *(You may leave out this picture.)* Two classes and one sigmoid: the same thing? Your two functions on the same lead of the true class:

# %%
lead = torch.linspace(-5, 5, 101)
two = torch.stack([torch.zeros(101), lead], dim=1)
three = torch.stack([torch.zeros(101), lead, torch.zeros(101)], dim=1)
fig, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
truth = torch.ones(101, dtype=torch.int64)
ax.plot(
    lead,
    softmax_focal_loss(two, truth),
    color=draw.TRUTH,
    lw=5,
    alpha=0.4,
    label="softmax, 2 classes",
)
ax.plot(lead, sigmoid_focal_loss(lead, torch.ones(101), -1, 2), "k:", lw=2, label="sigmoid")
ax.plot(
    lead,
    softmax_focal_loss(three, truth),
    "--",
    color=draw.PREDICTION,
    lw=2,
    label="softmax, 3 classes",
)
ax.set(xlabel="logit of the true class, the others 0", ylabel="loss, γ = 2")
ax.legend(frameon=False)
draw.show(
    fig,
    "With two classes softmax is a sigmoid of the difference. A third rival makes it harder.",
    "Loss over the lead of the true class. The curves of the sigmoid and of two classes coincide; "
    "that of three classes lies above.",
)

# %% [markdown]
# ## Break it
#
# Focal loss trusts one thing: that **hard means interesting**. A wrong label is the hardest example of all. Suppose somebody forgot to annotate one disc in ten. A good detector finds it, is told that it is wrong, and:

# %%
logits = learn([(0, 0.5)])[0][0]  # sure of what it knows
dice = torch.Generator().manual_seed(0)
forgotten = (test_targets > 0) & (torch.rand(test_targets.shape, generator=dice) < 0.1)
labels = torch.where(forgotten, 0.0, test_targets)
gammas = [0, 0.5, 1, 2, 3, 5]
parts = []
for gamma in gammas:
    loss = sigmoid_focal_loss(logits, labels, -1, gamma)
    parts.append((loss[forgotten].sum() / loss[labels == 0].sum()).item())
fig, ax = plt.subplots(figsize=(5.4, 2.9), layout="constrained")
ax.plot(gammas, parts, "o-", color=draw.PREDICTION, lw=2)
ax.set(xlabel="γ", ylabel="share of the negatives' loss", ylim=(0, None))
draw.show(
    fig,
    f"{int(forgotten.sum())} forgotten discs among {int((labels == 0).sum()):,} negative cells: the higher γ, "
    "the more they are listened to.",
    "The share of the forgotten discs in the loss of all negatives grows with gamma.",
)

# %% [markdown]
# **A γ between 0 and 1** breaks the usual code: where $p_t$ is rounded to 1, the slope of $(1 - p_t)^\gamma$ is infinite, and 0 · ∞ is NaN: the loss is right, and one such logit ruins the training. The library computes $1 - p_t$ as σ(−x) for an object and σ(x) for background, so that it is not rounded away so soon, and never lets it become 0.
#
# **And it does not always help.** The authors of YOLOv3 (2018) report: "We tried using focal loss. It dropped our mAP about 2 points." They suspect that their detector is robust already: it predicts *is there anything?* apart from *which class?*, so for most places the classes cost nothing. "We aren't totally sure." Measure.

# %% [markdown]
# ## Use it
#
# *(You may leave this part out.)* The library has all five. It is careful in two places where yours may fail: with a γ between 0 and 1, and in half precision, where $1 - p$ loses the easy ones.

# %%
logit, target = torch.tensor([4.0]), torch.tensor([1.0])
exact = library.sigmoid_focal_loss(logit.double(), target.double(), -1, 2).item()
half, half_target = logit.bfloat16(), target.bfloat16()
p = half.sigmoid()
careless = ((1 - p) ** 2 * -p.log()).item()
careful = library.sigmoid_focal_loss(half, half_target, -1, 2).item()
print(f"an object with logit 4, γ = 2: exact {exact:.3e}")
print(f"bfloat16, from p:     {careless:.3e}, off by {abs(careless / exact - 1):6.1%}")
print(f"bfloat16, library:    {careful:.3e}, off by {abs(careful / exact - 1):6.1%}")

device = "cuda" if torch.cuda.is_available() else "cpu"
many = torch.randn(100_000, 10, device=device)
start = time.perf_counter()
library.sigmoid_focal_loss(many, torch.zeros_like(many), reduction="sum").item()
print(f"100,000 anchors, 10 classes, on {device}: {time.perf_counter() - start:.3f} s")

# %% [markdown]
# ## Review
#
# Four questions, a point each. The check looks at the form only; they are marked when you hand in.
#
# **Question 1.** 100,000 easy negatives with $p_t = 0.9$ and 100 hard positives with $p_t = 0.1$. γ = **1**, no α. What share of the whole loss do the hard ones hold? (A number from 0 to 1.)

# %% solve="hard_share"
### BEGIN SOLUTION
easy = 100_000 * 0.1 * -math.log(0.9)
hard = 100 * 0.9 * -math.log(0.1)
hard_share = hard / (easy + hard)
### END SOLUTION

# %% check="hard_share"
check("hard_share", hard_share)

# %% [markdown]
# **Question 2.** A colleague uses α = 0.99 instead of γ. What does she *not* change?
#
# - **A** how much all positives count against all negatives
# - **B** the size of the gradient of a negative
# - **C** how much easy negatives count against hard negatives
# - **D** the share of the loss that the positives hold

# %% solve="what_alpha_cannot"
### BEGIN SOLUTION
what_alpha_cannot = "C"
### END SOLUTION

# %% check="what_alpha_cannot"
check("what_alpha_cannot", what_alpha_cannot)

# %% [markdown]
# **Question 3.** 100,000 anchors, 10 of them positives. Plain cross entropy, summed and divided by the number of positives. The bias of the last layer is 0 and all logits begin at 0. How large is the first loss? Hand in this number. (For yourself, work it out for π = 0.01, too.)

# %% solve="first_loss"
### BEGIN SOLUTION
first_loss = 100_000 * math.log(2) / 10
### END SOLUTION

# %% check="first_loss"
check("first_loss", first_loss)

# %% [markdown]
# **Question 4.** In the paper the best α is 0.75 for γ = 0 and 0.25 for γ = 2: with γ = 2 positives get *less* weight than negatives. Why?
#
# - **A** γ = 2 makes positives easier to find
# - **B** γ has silenced the easy negatives, so positives need no protection from them any more
# - **C** α and γ must multiply to about 0.5
# - **D** with γ = 2 there are fewer positives

# %% solve="smaller_alpha"
### BEGIN SOLUTION
smaller_alpha = "B"
### END SOLUTION

# %% check="smaller_alpha"
check("smaller_alpha", smaller_alpha)

# %% [markdown]
# ## Further reading
#
# - Lin et al., *Focal Loss for Dense Object Detection*, ICCV 2017: sections 3 and 5.1, and Table 1, from which all numbers above are.
# - Shrivastava et al., *Training Region-based Object Detectors with Online Hard Example Mining*, CVPR 2016.
# - Liu et al., *SSD*, ECCV 2016, section 2.2: three negatives a positive.
# - Redmon & Farhadi, *YOLOv3: An Incremental Improvement*, 2018, section 4: "Things We Tried That Didn't Work".
# - `course_lib/losses/`: `classification.py` and `mining.py`.
#
# **Hand in** this notebook, saved, under its own name: `06_focal_loss.ipynb`. Next: whole detectors, built from all these parts.
