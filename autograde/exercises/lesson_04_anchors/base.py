"""Exercise 1: base_anchors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors.inputs import sizes
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import anchors as ref

Numbers = Sequence[int | float]
Shape = Callable[[float, float], tuple[float, float]]  # of a size and a ratio: (w, h)

THREE = [0.5, 1.0, 2.0]


def _right(size: float, ratio: float) -> tuple[float, float]:
    return size / math.sqrt(ratio), size * math.sqrt(ratio)


def _pairs(sizes: Numbers, ratios: Numbers) -> list[tuple[float, float]]:
    return [(s, r) for r in ratios for s in sizes]


def _anchors(
    shape: Shape = _right,
    pairs: Callable[[Numbers, Numbers], list[tuple[float, float]]] = _pairs,
    corners: Callable[[Tensor, Tensor], tuple[Tensor, ...]] = lambda w, h: (
        -w / 2,
        -h / 2,
        w / 2,
        h / 2,
    ),
    whole: Callable[[Tensor], Tensor] = torch.round,
) -> Callable[[Numbers, Numbers], Tensor]:
    """The exercise with one step replaced."""

    def wrong(sizes: Numbers, ratios: Numbers) -> Tensor:
        wh = torch.tensor([shape(s, r) for s, r in pairs(sizes, ratios)], dtype=torch.float64)
        return whole(torch.stack(corners(*wh.unbind(1)), dim=1)).float()

    return wrong


def _halves(d: Draw) -> tuple[Numbers, Numbers]:
    """Two squares with corners in the middle between two pixels: even and a half, odd and a half.

    Rounding up moves one corner of each, away from zero moves the first: 16.5 and 21.5.
    """
    size = 4 * d.integer(5, 12) + 1
    return [size, size + 10], [1.0]


def _sides_rounded(w: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    w, h = w.round(), h.round()
    return -w / 2, -h / 2, w / 2, h / 2


BASE_ANCHORS = Exercise(
    name="base_anchors",
    points=3,
    reference=ref.base_anchors,
    names=("sizes", "aspect_ratios"),
    forbids=("base_anchors", "base"),
    rows=True,
    cases=(
        Case(
            "one anchor, twice as high as wide",
            lambda d: (sizes(d, 1, [2.0]), [2.0]),
            core=True,
        ),
        Case("one size, three ratios", lambda d: (sizes(d, 1, THREE), THREE), core=True),
        Case(
            "two sizes, three ratios: ratio by ratio",
            lambda d: (sizes(d, 2, THREE), THREE),
            core=True,
        ),
        Case(
            "more sizes than ratios",
            lambda d: (sizes(d, 3, [0.5, 3.0]), [0.5, 3.0]),
        ),
        Case(
            "as many sizes as ratios",
            lambda d: (sizes(d, 3, THREE, low=100), THREE),
        ),
        Case("very wide and very tall, 1/4 and 4", lambda d: (sizes(d, 1, [4.0]), [0.25, 4.0])),
        Case(
            "ratios in falling order: they stay in yours",
            lambda d: (sizes(d, 2, THREE)[::-1], THREE[::-1]),
        ),
        Case("small anchors", lambda d: (sizes(d, 1, THREE, low=6), THREE)),
        Case(
            "sizes with a fraction",
            lambda d: ([s + 0.4 for s in sizes(d, 1, [4.0])], [4.0, 0.25]),
        ),
        Case("corners in the middle between two pixels", _halves),
    ),
    mistakes=(
        Mistake(
            "ratio_upside_down",
            "These anchors lie where they should stand. The aspect ratio is height over width, so "
            "h = size · √ratio and w = size / √ratio, and x comes before y in a box.",
            _anchors(lambda s, r: (s * math.sqrt(r), s / math.sqrt(r))),
        ),
        Mistake(
            "root_forgotten",
            "The root is missing. size · ratio over size / ratio is ratio squared: the anchors "
            "are too long and too thin.",
            _anchors(lambda s, r: (s / r, s * r)),
        ),
        Mistake(
            "height_only",
            "Only the height follows the ratio, so a higher anchor is also a larger one. Its area "
            "should stay size²: stretch the height by √ratio and shrink the width by √ratio.",
            _anchors(lambda s, r: (s, s * r)),
        ),
        Mistake(
            "width_only",
            "Only the width follows the ratio, so the area changes with it. It should stay size²: "
            "both sides share the work, √ratio each.",
            _anchors(lambda s, r: (s / r, s)),
        ),
        Mistake(
            "half_the_work",
            "The height is right, the width is not divided by √ratio. Then h / w is √ratio and the "
            "area is no longer size².",
            _anchors(lambda s, r: (s, s * math.sqrt(r))),
        ),
        Mistake(
            "root_of_height_only",
            "The height is right, the width was divided by the ratio itself: its root is missing. "
            "Then h / w is not the ratio and the area is not size².",
            _anchors(lambda s, r: (s / r, s * math.sqrt(r))),
        ),
        Mistake(
            "root_of_width_only",
            "The width is right, the height was multiplied by the ratio itself: its root is "
            "missing. Then h / w is not the ratio and the area is not size².",
            _anchors(lambda s, r: (s / math.sqrt(r), s * r)),
        ),
        Mistake(
            "ratio_ignored",
            "All anchors are squares: the aspect ratio is not used.",
            _anchors(lambda s, r: (s, s)),
        ),
        Mistake(
            "size_as_area",
            "Here the area is `size`. A size is a side: the square anchor is size by size, its "
            "area size².",
            _anchors(lambda s, r: (math.sqrt(s / r), math.sqrt(s * r))),
        ),
        Mistake(
            "size_major",
            "The right anchors in another order. Ratio by ratio: all sizes of the first ratio, "
            "then all sizes of the second.",
            _anchors(pairs=lambda sizes, ratios: [(s, r) for s in sizes for r in ratios]),
        ),
        Mistake(
            "zipped",
            "Each size met one ratio only. Make every combination: as many anchors as sizes times "
            "ratios.",
            _anchors(pairs=lambda sizes, ratios: list(zip(sizes, ratios, strict=False))),
        ),
        Mistake(
            "not_rounded",
            "The corners have fractions. Round them to whole pixels at the end.",
            _anchors(whole=lambda corners: corners),
        ),
        Mistake(
            "sides_rounded",
            "The sides were rounded and then halved, which brings half pixels back. Halve first, "
            "then round the corners.",
            _anchors(corners=_sides_rounded, whole=lambda corners: corners),
        ),
        Mistake(
            "cut_off",
            "The fractions were cut off, as `int()` and `.trunc()` do. Round to the nearest whole "
            "pixel.",
            _anchors(whole=torch.trunc),
        ),
        Mistake(
            "floored",
            "All corners were rounded down, as `//` and `.floor()` do: the anchors are moved to "
            "the left and up. Round to the nearest whole pixel.",
            _anchors(whole=torch.floor),
        ),
        Mistake(
            "rounded_up",
            "All corners were rounded up, as `.ceil()` does: the anchors are moved to the right "
            "and down. Round to the nearest whole pixel.",
            _anchors(whole=torch.ceil),
        ),
        Mistake(
            "halves_up",
            "All is right but the corners in the middle between two pixels: `(x + 0.5).floor()` "
            "takes all of them up, so the square is no longer centred. `torch.round` goes to the "
            "even one: 16.5 to 16, −16.5 to −16.",
            _anchors(whole=lambda corners: (corners + 0.5).floor()),
        ),
        Mistake(
            "halves_away",
            "All is right but the corners in the middle between two pixels: yours go away from "
            "zero, 16.5 to 17. `torch.round` goes to the even one: 16.",
            _anchors(whole=lambda corners: corners.sign() * (corners.abs() + 0.5).floor()),
        ),
        Mistake(
            "upside_down",
            "y1 and y2 are exchanged. y grows downwards: y1 = −h/2 is the top edge, y2 = h/2 the "
            "bottom.",
            _anchors(corners=lambda w, h: (-w / 2, h / 2, w / 2, -h / 2)),
        ),
        Mistake(
            "sides_less_one",
            "The corners are (w − 1) / 2 from the centre: the old convention, in which a box "
            "contains its last pixel. Ours are half-open: w / 2.",
            _anchors(corners=lambda w, h: (-(w - 1) / 2, -(h - 1) / 2, (w - 1) / 2, (h - 1) / 2)),
        ),
        Mistake(
            "not_halved",
            "The corners lie a whole side away from the centre, so the anchors are twice as long. "
            "The centre is in the middle: half a side to the left, half to the right.",
            _anchors(corners=lambda w, h: (-w, -h, w, h)),
        ),
        Mistake(
            "corner_at_zero",
            "These are (0, 0, w, h): the anchors begin at the point (0, 0), they should have it in "
            "their middle.",
            _anchors(corners=lambda w, h: (torch.zeros_like(w), torch.zeros_like(h), w, h)),
        ),
        Mistake(
            "xywh",
            "The last two numbers are width and height. An xyxy box ends with its other corner: "
            "(w/2, h/2).",
            _anchors(corners=lambda w, h: (-w / 2, -h / 2, w, h)),
        ),
        Mistake(
            "columns_in_pairs",
            "The columns are x1, x2, y1, y2. The course writes x1, y1, x2, y2.",
            _anchors(corners=lambda w, h: (-w / 2, w / 2, -h / 2, h / 2)),
        ),
        Mistake(
            "one_pixel_less",
            "The far corner is one pixel short: that is the old convention in which a box contains "
            "its last pixel. Ours are half-open, x2 = w/2.",
            _anchors(corners=lambda w, h: (-w / 2, -h / 2, w / 2 - 1, h / 2 - 1)),
        ),
    ),
    hints=(
        "Two loops give the combinations in the right order, the ratios outside: `[(size, ratio) "
        "for ratio in aspect_ratios for size in sizes]`.",
        "For each of them `h = size * math.sqrt(ratio)` and `w = size / math.sqrt(ratio)`; then h "
        "/ w is the ratio and h · w is size².",
        "A box of that shape around (0, 0) is `[-w / 2, -h / 2, w / 2, h / 2]`. Collect these "
        "rows in a list; `torch.tensor(rows).round()` does the rest.",
    ),
)
