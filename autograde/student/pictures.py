"""A picture of the case that failed, for the report: what was expected, what came."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autograde.student.compare import Difference, show_value
from autograde.student.plain import PlainError, unpack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRED = ("boxes", "pairs", "masks")  # here the rows of an answer belong to the rows of the inputs
MOST_BOXES = 14  # in one picture
MOST_CELLS = 8  # on a side of a table


def draw_case(kind: str, case: dict[str, Any], difference: Difference, answer: Any = None) -> str:
    """An <img> of what is behind a wrong answer; "" where there is nothing to draw.

    kind: the exercise's `picture`.
    answer: as it came, packed.
    """
    if not kind or case["kind"] == "grad" or (kind in PAIRED and not difference.where):
        return ""
    inputs = unpack(case["inputs"])
    try:
        got = unpack(answer)
    except PlainError:
        got = None
    from matplotlib.figure import Figure  # slow to import: only where a picture is drawn

    figure = Figure(figsize=(3.2, 2.4), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    if kind in PAIRED:
        tensors = [x for x in inputs if torch.is_tensor(x)]
        alt = _draw_pair(kind, ax, tensors, case["names"], difference.where or ())
    else:
        alt = DRAW[kind](ax, inputs, unpack(case["expected"]), got)
    if not alt:
        return ""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}" '
        'width="320" style="border-radius:6px;margin:6px 0">'
    )


def _draw_pair(
    kind: str, ax: Axes, inputs: list[Tensor], names: list[str], where: tuple[int, ...]
) -> str:
    """The box, the two boxes or the two masks that made one number of the answer."""
    from matplotlib.colors import to_rgb

    from course_lib.draw import OVERLAP, PREDICTION, TRUTH, draw_boxes, draw_overlap

    if kind == "boxes":
        draw_boxes(None, inputs[0][where[0]][None].float(), ax=ax)
        return f"the box {show_value(inputs[0][where[0]])}"
    first, second = inputs[0][where[0]], inputs[1][where[-1]]
    shown = (f"{names[0]}[{where[0]}]", f"{names[1]}[{where[-1]}]")
    if kind == "pairs":
        draw_overlap(first.float(), second.float(), ax=ax, names=shown)
        return f"{shown[0]} {show_value(first)} and {shown[1]} {show_value(second)}"
    a, b = first.bool()[..., None], second.bool()[..., None]
    picture = torch.ones(*a.shape[:2], 3)
    for mask, colour in ((a, TRUTH), (b, PREDICTION), (a & b, OVERLAP)):
        picture = torch.where(mask, torch.tensor(to_rgb(colour)), picture)
    ax.set_title(f"{shown[0]} blue, {shown[1]} orange-red, both green", fontsize=7)
    ax.imshow(picture.numpy())
    return f"{shown[0]} and {shown[1]} as pixels"


def _flat(value: Any) -> list[float] | None:
    """The numbers of a row, whatever holds them; None where it is none."""
    if isinstance(value, list) and all(
        isinstance(v, torch.Tensor | np.ndarray) and np.prod(v.shape) == 1 for v in value
    ):
        value = [v.item() for v in value]
    if not isinstance(value, torch.Tensor | np.ndarray | list):
        return None
    try:
        row = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return [float(v) for v in row.reshape(-1).tolist()] if row.ndim <= 1 else None


def _first(value: Any) -> Any:
    """The first part of an answer of several parts, else the answer."""
    nested = isinstance(value, list) and value and not isinstance(value[0], bool | int | float)
    return value[0] if nested else value


def _kept(ax: Axes, inputs: list[Any], expected: Any, got: Any) -> str:
    """Which boxes were to be kept, and which came back."""
    from course_lib.draw import IGNORED, OVERLAP, PREDICTION, TRUTH, draw_boxes

    boxes = inputs[0].float()
    right = {int(k) for k in _flat(_first(expected)) or []}
    given = {int(k) for k in _flat(_first(got)) or [] if np.isfinite(k)}
    if not 0 < len(boxes) <= MOST_BOXES or got is None:
        return ""
    colours, labels = [], []
    for k in range(len(boxes)):
        colour = (OVERLAP if k in given else TRUTH) if k in right else PREDICTION
        colours.append(colour if k in right | given else IGNORED)
        labels.append(str(k))
    draw_boxes(None, boxes, labels=labels, colors=colours, ax=ax)
    ax.set_title("green kept, grey dropped, blue missing, orange-red too many", fontsize=6.5)
    return (
        f"boxes by their index: kept rightly {sorted(right & given)}, "
        f"missing {sorted(right - given)}, too many {sorted(given - right)}"
    )


def _moved(ax: Axes, inputs: list[Any], expected: Any, got: Any) -> str:
    """Where the kept boxes were to go, and where they went."""
    from course_lib.draw import IGNORED, PREDICTION, TRUTH, draw_boxes

    boxes, right = inputs[0].float(), expected.float()
    if isinstance(got, np.ndarray):
        got = torch.from_numpy(got)
    if not 0 < len(boxes) <= MOST_BOXES or not torch.is_tensor(got) or got.shape != right.shape:
        return ""
    got = got.float()
    if not torch.isfinite(got).all():
        return ""
    both = torch.cat([boxes, right, got])
    colours = [IGNORED] * len(boxes) + [TRUTH] * len(right) + [PREDICTION] * len(got)
    draw_boxes(None, both, colors=colours, ax=ax)
    ax.set_title("grey: all boxes. Blue: expected. Orange-red: yours", fontsize=7)
    return f"boxes expected at {show_value(right)}, got {show_value(got)}"


def _settled(ax: Axes, inputs: list[Any], expected: Any, got: Any) -> str:
    """The table of overlaps, and beside it who is kept."""
    from course_lib.draw import OVERLAP, PREDICTION

    table, right, given = inputs[0], _flat(expected) or [], _flat(got) or []
    N = len(right)
    if not 0 < N <= MOST_CELLS or len(given) != N:
        return ""
    ax.imshow(table.float().triu(1).numpy(), cmap="Greys", vmin=0, vmax=2)
    for row, (keep, answer) in enumerate(zip(right, given, strict=True)):
        for x, kept in ((N + 0.3, keep), (N + 2.3, answer)):
            colour = OVERLAP if bool(keep) == bool(answer) else PREDICTION
            word = "keep" if kept else "drop"
            ax.text(x, row, word, fontsize=7, va="center", ha="center", color=colour, weight="bold")
    ax.set(xlim=(-0.5, N + 3.3), ylim=(N, -1.2), xticks=range(N), yticks=range(N))
    ax.text(N + 0.3, -0.9, "expected", fontsize=7, ha="center")
    ax.text(N + 2.3, -0.9, "yours", fontsize=7, ha="center")
    ax.set_frame_on(False)
    return f"a table of {N} boxes; kept {show_value(expected)}, got {show_value(got)}"


def _matches(ax: Axes, inputs: list[Any], expected: Any, got: Any) -> str:
    """The table of IoU, with the pair each detection was to take and the one it took."""
    from matplotlib.patches import Rectangle

    from course_lib.draw import PREDICTION, TRUTH

    table, right, given = inputs[0], _flat(expected) or [], _flat(got) or []
    if not torch.is_tensor(table) or table.ndim != 2 or 0 in table.shape:
        return ""
    D, G = table.shape
    if max(D, G) > MOST_CELLS:
        return ""
    ax.imshow(table.double().numpy(), cmap="Greys", vmin=0, vmax=1.6, aspect="auto")
    for d in range(D):
        for g in range(G):
            ax.text(g, d, f"{table[d, g]:.2f}", ha="center", va="center", fontsize=8)
    for row, colour, inset, style in ((right, TRUTH, 0.04, "-"), (given, PREDICTION, 0.12, "--")):
        side = 1 - 2 * inset
        for n, match in enumerate(row[:D]):
            if 0 <= match < G:
                corner = (match - 0.5 + inset, n - 0.5 + inset)
                ax.add_patch(Rectangle(corner, side, side, fill=False, ec=colour, ls=style, lw=2))
    ax.set(xticks=range(G), yticks=range(D))
    ax.set_xlabel("truth", fontsize=7)
    ax.set_ylabel("detection, best first", fontsize=7)
    ax.set_title("IoU. Blue: expected pair. Orange-red, dashed: yours", fontsize=7)
    return f"matches expected {show_value(expected)}, got {show_value(got)}"


def _curve(ax: Axes, inputs: list[Any], expected: Any, got: Any) -> str:
    """Precision over recall: the curve that was given, or the expected and the answered one."""
    from course_lib.draw import PREDICTION, TRUTH

    if isinstance(expected, list):
        curves = [(expected, TRUTH, "expected", "-"), (got, PREDICTION, "yours", "--")]
    else:
        curves = [(inputs[:2], TRUTH, "the curve", "-")]
    drawn = []
    for pair, colour, name, style in curves:
        if isinstance(pair, list) and len(pair) == 2:
            precision, recall = _flat(pair[0]), _flat(pair[1])
            if precision and recall and len(precision) == len(recall):
                ax.plot(recall, precision, style, marker="o", ms=3, color=colour, label=name)
                drawn.append(name)
    if not drawn:
        return ""
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.06))
    ax.set_xlabel("recall", fontsize=7)
    ax.set_ylabel("precision", fontsize=7)
    ax.tick_params(labelsize=6)
    ax.legend(fontsize=7)
    return f"precision over recall: {' and '.join(drawn)}"


DRAW: dict[str, Callable[[Any, list[Any], Any, Any], str]] = {
    "kept": _kept,
    "moved": _moved,
    "settled": _settled,
    "matches": _matches,
    "curve": _curve,
}
