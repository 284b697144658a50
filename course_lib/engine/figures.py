"""The loss curve as a figure, and the numbers that it and its live sister draw."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from course_lib.draw import INK, PALETTE, PREDICTION, TRUTH, Picture, picture
from course_lib.engine.config import Number
from course_lib.engine.history import History

BINS = 100  # points of a curve; each is the mean of the steps around it
COLORS = tuple(color for color in PALETTE if color not in ("#F0E442", "#56B4E9"))  # on white
DASHES = ("6 2", "2 2", "8 2 2 2", "4 4", "1 3", "10 3")


def binned(values: Sequence[Number], bins: int = BINS) -> np.ndarray:
    """Means of `bins` equal stretches of the values; the values themselves, where they are fewer.

    Single batches are easy or hard; what is learnt shows in the mean.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) <= bins:
        return numbers
    starts = np.arange(bins) * len(numbers) // bins
    counts = np.diff(np.append(starts, len(numbers)))
    return np.add.reduceat(numbers, starts) / counts


def curves(history: History) -> dict[str, np.ndarray]:
    """The loss and, if there are several, its terms, for drawing."""
    rows = {"loss": binned(history.loss)}
    if len(history.terms) > 1:
        rows |= {name: binned(values) for name, values in history.terms.items()}
    return rows


def log_range(rows: Sequence[np.ndarray]) -> tuple[float, float]:
    """Lowest and highest value to show on a logarithmic axis, with some room."""
    positive = np.concatenate([row[row > 0] for row in rows]) if rows else np.empty(0)
    if not positive.size:
        return 0.1, 1.0
    high = float(positive.max()) * 1.25
    # A term that has fallen to almost nothing must not press the others against the top.
    low = max(float(positive.min()) / 1.25, high / 1e4)
    return min(low, high / 2), high


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, … between the two; 1, 3, 10, … or the powers of ten where these are many."""
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [s * 10.0**e for e in exponents for s in steps if low <= s * 10.0**e <= high]
        if len(ticks) <= 9:
            break
    return ticks


def spread(wanted: Sequence[Number], gap: Number) -> list[float]:
    """The places moved as little as needed so that neighbours are `gap` apart."""
    order = np.argsort(wanted)
    places = np.asarray(wanted, dtype=float)[order]
    for _ in range(50):
        short = gap - np.diff(places)
        if (short <= 1e-6).all():
            break
        push = np.clip(short, 0, None) / 2
        places[:-1] -= push
        places[1:] += push
    moved = np.empty_like(places)
    moved[order] = places
    return moved.tolist()


def loss_figure(history: History) -> Figure:
    """The loss and its terms over the seconds of training; AP beside it, if measured twice."""
    two = len(history.valid) > 1
    fig, axes = plt.subplots(
        1, 1 + two, figsize=(8.4 if two else 6.4, 2.9), layout="constrained", squeeze=False,
        width_ratios=(3, 2) if two else (1,),
    )  # fmt: skip
    ax = axes[0, 0]
    rows, seconds = curves(history), binned(history.seconds)
    low, high = log_range(list(rows.values()))
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.set_xlim(0, seconds[-1])
    ends = []
    for k, row in enumerate(rows.values()):
        color, style = look(k)
        line = (0, tuple(float(d) for d in style.split())) if style else "-"
        ax.plot(seconds, row.clip(low), color=color, lw=2.2 if k == 0 else 1.6, ls=line)
        ends.append(np.log(max(row[-1], low) / low) / np.log(high / low))
    for name, k, place in zip(rows, range(len(rows)), spread(ends, 0.085), strict=True):
        ax.annotate(
            f"{name} {number(rows[name][-1])}", (1, place), xytext=(5, 0), color=look(k)[0],
            xycoords="axes fraction", textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("loss", color=INK)
    if two:
        _average_precision(axes[0, 1], history)
    for each in axes[0]:
        each.set_xlabel("seconds of training", color=INK)
        each.grid(color="#E4E4E4", lw=0.8)
        each.tick_params(color="#BBBBBB", labelcolor=INK, labelsize=8.5, which="both")
        each.spines[:].set_color("#BBBBBB")
    return fig


def _average_precision(ax: plt.Axes, history: History) -> None:
    seconds = [row["seconds"] for row in history.valid]
    for name, color, marker in (("AP50", PREDICTION, "s"), ("AP", TRUTH, "o")):
        values = [row[name] for row in history.valid]
        ax.plot(seconds, values, color=color, marker=marker, ms=4, lw=1.8)
        ax.annotate(f"{name} {values[-1]:.2f}", (seconds[-1], values[-1]), xytext=(-4, 5),
                    textcoords="offset points", ha="right", color=color, fontsize=9)  # fmt: skip
    ax.set_xlim(0, history.seconds[-1] * 1.03)
    ax.set_ylim(0, 1.12)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    ax.set_ylabel("average precision", color=INK)


def look(k: int) -> tuple[str, str]:
    """Colour and dashes of curve k: the loss is black and solid, its terms differ in both."""
    if k == 0:
        return INK, ""
    return COLORS[(k - 1) % len(COLORS)], DASHES[(k - 1) % len(DASHES)]


def loss_picture(history: History) -> Picture:
    """The figure with its words, as lessons show it."""
    rows = curves(history)
    loss = rows["loss"]
    change = "down" if loss[-1] < loss[0] else "up"
    caption = (
        f"The loss over {history.steps:,} steps in {history.seconds[-1]:.0f} s "
        f"({history.images_per_second:.0f} images a second): from {number(loss[0])} {change} to "
        f"{number(loss[-1])}. The axis is logarithmic."
    )
    if history.valid:
        last = history.valid[-1]
        caption += f" AP {last['AP']:.2f}, AP50 {last['AP50']:.2f} on pictures not learnt from."
    ends = [f"{name} from {number(row[0])} to {number(row[-1])}" for name, row in rows.items()]
    alt = f"Curves over {history.seconds[-1]:.0f} seconds of training: {', '.join(ends)}."
    return picture(loss_figure(history), caption, alt)


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
