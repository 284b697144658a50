"""Pictures of boxes: on a photograph or on a plain grid, legible at notebook size.

One colour for one idea in the whole course, from the Okabe-Ito palette, which stays apart for
every common kind of colour blindness (Okabe & Ito, "Color Universal Design", 2008).

H, W are rows and columns, N boxes. Boxes are xyxy in pixels, half-open, so pixel (0, 0) covers
[0, 1) x [0, 1) and a picture spans 0..W and 0..H exactly.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from course_lib._inputs import as_boxes, as_colors, as_image, as_labels, as_scores
from course_lib._tags import Tags, ink_on
from course_lib.boxes import box_iou

TRUTH = "#0072B2"  # blue: what is really there
PREDICTION = "#D55E00"  # vermillion, an orange-red: what the detector says
OVERLAP = "#009E73"  # green: an intersection
UNION = "#56B4E9"  # sky blue: a union
ENCLOSING = "#CC79A7"  # purple: the smallest box around both
ANCHOR = "#E69F00"  # orange: anchors, locations, regions of interest
IGNORED = "#8C8C8C"  # grey: left out, suppressed, neither right nor wrong
PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#5A5A5A",
)  # fmt: skip

INK = "#1F1F1F"  # text and axes
PAPER = "#F7F7F7"  # the plain grid

LARGE = 200_000  # bytes of PNG above which a picture becomes a JPEG


def draw_boxes(
    image: np.ndarray | Tensor | None,
    boxes: Any,
    labels: Any = None,
    scores: Any = None,
    colors: Any = None,
    ax: Axes | None = None,
    title: str | None = None,
    linewidth: float | int | None = None,
    *,
    class_names: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> Axes:
    """Draw boxes with their labels and scores on an image, and return the axes.

    Args:
        image: [H, W, 3] or [H, W] array or [3, H, W] tensor, uint8 or float in 0..1. None draws
            a plain grid with pixel ticks, or adds the boxes to `ax` if that holds a picture.
        boxes: [N, 4] xyxy in pixels. A box without area is drawn as a cross.
        labels: N strings, or N integers (looked up in `class_names` if those are given).
        scores: [N] in 0..1, written with two decimals. Tags of high scores are placed first.
        colors: one colour, or N of them. By default one for each class; without labels TRUTH,
            or PREDICTION if there are scores.
        linewidth: in points. By default it follows the size of the axes.
        size: (H, W) of the grid when there is no image. By default it fits the boxes.
    """
    xyxy = as_boxes(boxes)
    N = len(xyxy)
    words, classes = ([""] * N, None) if labels is None else as_labels(labels, N, class_names)
    ranks = [0.0] * N if scores is None else as_scores(scores, N)
    if scores is not None:
        words = [f"{word} {rank:.2f}".strip() for word, rank in zip(words, ranks, strict=True)]
    if colors is not None:
        shades = as_colors(colors, N)
    elif classes is not None:
        shades = [PALETTE[k % len(PALETTE)] for k in classes]
    else:
        shades = [TRUTH if scores is None else PREDICTION] * N
    ax = _canvas(image, xyxy, size, ax)
    if title is not None:
        ax.set_title(title, color=INK)
    inches = min(ax.bbox.width, ax.bbox.height) / ax.figure.dpi
    line = min(max(0.5 * inches, 1.0), 2.2) if linewidth is None else linewidth
    for box, color, word, rank in zip(xyxy, shades, words, ranks, strict=True):
        x1, y1, x2, y2 = box.tolist()
        outline = _rectangle(box, fill=False, ec=color, lw=line, zorder=3)
        if x2 <= x1 or y2 <= y1:
            outline.set_linestyle(":")
            cross = {"marker": "x", "ms": 4 + 3 * line, "mew": line + 0.5, "color": color}
            ax.plot((x1 + x2) / 2, (y1 + y2) / 2, zorder=4, **cross)
        if ax.images:  # a thin casing keeps every colour visible on every background
            casing = withStroke(linewidth=line + 1.2, foreground=ink_on(color), alpha=0.55)
            outline.set_path_effects([casing])
        ax.add_patch(outline)
        if word:
            Tags.on(ax).add((x1, y1, x2, y2), word, color, rank)
    return ax


def draw_overlap(
    box1: Any,
    box2: Any,
    image: np.ndarray | Tensor | None = None,
    ax: Axes | None = None,
    enclosing: bool = False,
    names: tuple[str, str] = ("A", "B"),
    *,
    areas: bool = False,
    colors: tuple[str, str] = (TRUTH, PREDICTION),
    title: str | None = None,
    size: tuple[int, int] | None = None,
) -> Axes:
    """Draw two boxes with their intersection filled and the rest of their union tinted.

    Args:
        box1, box2: [4] xyxy in pixels.
        enclosing: also draw the smallest box around both, dashed.
        areas: also write the areas in square pixels, and IoU as intersection over union.
        image, ax, size: as in `draw_boxes`.
    """
    for name, box in (("box1", box1), ("box2", box2)):
        if np.shape(box) != (4,):
            raise ValueError(f"{name} must have shape [4], got {list(np.shape(box))}")
    both = as_boxes(torch.stack([torch.as_tensor(box).cpu().float() for box in (box1, box2)]))
    ax = _canvas(image, both, size, ax)
    left_top, right_bottom = both[:, :2].amax(0), both[:, 2:].amin(0)
    overlap = torch.cat([left_top, torch.maximum(left_top, right_bottom)])
    around = torch.cat([both[:, :2].amin(0), both[:, 2:].amax(0)])
    solid = 0.5 if ax.images else 0.75  # what is in the photograph stays visible
    for box, color, alpha in [
        (both[0], UNION, 0.4),
        (both[1], UNION, 0.4),
        (overlap, OVERLAP, solid),
    ]:
        if _area(box) > 0:
            ax.add_patch(_rectangle(box, fc=color, ec="none", alpha=alpha, zorder=2))
    if enclosing:
        ax.add_patch(_rectangle(around, fill=False, ec=ENCLOSING, ls="--", lw=2, zorder=2.5))
    tags = list(names)
    if areas:
        a, b, inter = _area(both[0]), _area(both[1]), _area(overlap)
        tags = [f"{names[0]}: {_number(a)}", f"{names[1]}: {_number(b)}"]
        iou = float(box_iou(both[:1], both[1:]))
        ax.set_xlabel(
            f"intersection {_number(inter)},  union {_number(a)} + {_number(b)} − "
            f"{_number(inter)} = {_number(a + b - inter)},  IoU {iou:.3f}",
            color=INK,
        )
    return draw_boxes(None, both, tags, colors=colors, ax=ax, title=title)


@dataclass(frozen=True)
class Picture:
    """A finished picture: HTML for the notebook, words wherever there is no picture."""

    caption: str
    alt: str
    data: bytes
    mime: str  # image/png, or image/jpeg for photographs
    width: int  # CSS pixels; the data have twice as many

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.data).decode()
        return (
            f'<figure style="margin:0.5em 0;padding:10px;max-width:{self.width + 20}px;'
            'box-sizing:border-box;background-color:#fff;border-radius:8px;">'
            f'<img alt="{html.escape(self.alt)}" src="data:{self.mime};base64,{data}" '
            f'width="{self.width}" style="max-width:100%;height:auto;display:block;margin:0 auto">'
            '<figcaption style="color:#333;font-size:0.9em;line-height:1.4;margin-top:6px">'
            f"{html.escape(self.caption)}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return f"{self.caption}\n[{self.alt}]"


def picture(fig: Figure, caption: str, alt: str) -> Picture:
    """Render a figure at twice the notebook's resolution, and close it.

    The result is a PNG, or a JPEG where a photograph would make the PNG large.
    """
    for name, words in (("caption", caption), ("alt", alt)):
        if not words.strip():
            raise ValueError(f"{name} is empty: say in words what the picture shows")
    if not isinstance(fig, Figure):
        got = f"{type(fig).__name__}: give ax.figure if you have the Axes"
        raise TypeError(f"fig must be a matplotlib Figure, got {got}")
    png, jpeg = io.BytesIO(), io.BytesIO()
    fig.savefig(png, format="png", dpi=192, bbox_inches="tight", pad_inches=0.04, facecolor="w")
    plt.close(fig)
    data, mime, pixels = png.getvalue(), "image/png", Image.open(png)
    if len(data) > LARGE:
        # full colour resolution: without subsampling=0 thin coloured lines fray
        pixels.convert("RGB").save(jpeg, "JPEG", quality=88, subsampling=0, optimize=True)
        if len(jpeg.getvalue()) < len(data):
            data, mime = jpeg.getvalue(), "image/jpeg"
    return Picture(caption, alt, data, mime, pixels.width // 2)


def show(fig: Figure, caption: str, alt: str) -> None:
    """Display a figure in the notebook with a caption and a text for those who cannot see it."""
    display(picture(fig, caption, alt))


def _canvas(
    image: Any, boxes: Float[Tensor, "N 4"], size: tuple[int, int] | None, ax: Axes | None
) -> Axes:
    if image is None and ax is not None and (ax.has_data() or ax.artists):
        return ax
    pixels = None if image is None else as_image(image)
    if pixels is not None:
        left, top, (bottom, right) = 0.0, 0.0, pixels.shape[:2]
    elif size is not None:
        left, top, (bottom, right) = 0.0, 0.0, size
    elif len(boxes):
        low, high = boxes.reshape(-1, 2).amin(0), boxes.reshape(-1, 2).amax(0)
        margin = max(float((high - low).max()) * 0.12, 1.0)
        (left, top), (right, bottom) = (low - margin).tolist(), (high + margin).tolist()
    else:
        left, top, right, bottom = 0.0, 0.0, 100.0, 100.0
    width, height = right - left, bottom - top
    if ax is None:
        scale = min(6.4 / width, 4.8 / height)
        figsize = max(width * scale, 1.5), max(height * scale, 1.5)
        ax = plt.subplots(figsize=figsize, layout="constrained")[1]
    if pixels is not None:
        ax.imshow(pixels, extent=(0, width, height, 0), zorder=0)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    else:
        ax.set_facecolor(PAPER)
        ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        ax.grid(color="#DDDDDD", lw=0.8, zorder=0)
        ax.set_axisbelow(True)
        ax.tick_params(color="#BBBBBB", labelcolor=INK, labelsize=8)
        ax.spines[:].set_color("#BBBBBB")
    ax.set_aspect("equal")
    rim = 0.006 * max(width, height)  # so that a line on the border is not cut in half
    ax.set_xlim(left - rim, right + rim)
    ax.set_ylim(bottom + rim, top - rim)  # y points down, as in an image
    Tags.on(ax)  # marks the axes as ours, boxes or not
    return ax


def _rectangle(box: Tensor, **style: Any) -> Rectangle:
    x1, y1, x2, y2 = box.tolist()
    return Rectangle((x1, y1), x2 - x1, y2 - y1, **style)


def _area(box: Tensor) -> float:
    width, height = (box[2:] - box[:2]).tolist()
    return max(width, 0.0) * max(height, 0.0)


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
