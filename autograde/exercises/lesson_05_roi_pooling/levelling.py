"""Exercise 8: assign_levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[Any, ...]
Scale = Callable[[Tensor, Tensor], Tensor]  # of widths and heights


def _root(w: Tensor, h: Tensor) -> Tensor:
    return (w * h).sqrt()


def _sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    wh = boxes[:, 2:] - boxes[:, :2]
    return wh[:, 0], wh[:, 1]


def _level(
    scale: Scale = _root,
    sides: Callable[[Tensor], tuple[Tensor, Tensor]] = _sides,
    log: Callable[[Tensor], Tensor] = torch.log2,
    whole: Callable[[Tensor], Tensor] = torch.floor,
    canonical: float = 224,
    level: float = 4,
    clamp: Callable[[Tensor, int, int], Tensor] = lambda k, k_min, k_max: k.clamp(k_min, k_max),
) -> Callable[[Tensor, int, int], Tensor]:
    """The exercise with one step replaced."""

    def wrong(boxes: Tensor, k_min: int, k_max: int) -> Tensor:
        w, h = sides(boxes.double())
        k = whole(level + log(scale(w, h) / canonical))
        return clamp(k, k_min, k_max).clamp(-99, 99).long()

    return wrong


def _boxes(d: Draw, *sides: tuple[int, int]) -> Tensor:
    wh = torch.tensor(sides, dtype=torch.float32)
    corner = d.numbers(len(sides), 2, low=50, high=200)
    return torch.cat([corner, corner + wh], dim=1)


def _round(d: Draw, *bases: int) -> Tensor:
    """About square, somewhere in the lower half of an octave, so that rounding and floor differ."""
    sides = [(int(b * 1.6) + d.integer(0, 9), int(b * 1.7) + d.integer(0, 9)) for b in bases]
    return _boxes(d, *sides)


def _from_the_coarsest(boxes: Tensor, k_min: int, k_max: int) -> Tensor:
    return _level(level=k_max)(boxes, k_min, k_max)


ASSIGN_LEVELS = Exercise(
    name="assign_levels",
    points=1,
    reference=ref.assign_levels,
    names=("boxes", "k_min", "k_max"),
    forbids=("assign_levels",),
    cases=(
        Case("a small and a large box", lambda d: (_round(d, 56, 224), 2, 5), core=True),
        Case("three boxes", lambda d: (_round(d, 112, 448, 56), 2, 6), core=True),
        Case("wide and tall boxes", lambda d: (_boxes(d, (400, 60), (50, 380)), 2, 5), core=True),
        Case(
            "exactly 224, 112 and 448",
            lambda d: (_boxes(d, (224, 224), (112, 112), (448, 448)), 2, 5),
        ),
        Case(
            "a pixel less than that",
            lambda d: (_boxes(d, (223, 223), (111, 111), (447, 447)), 2, 5),
        ),
        Case("too small and too large for the pyramid", lambda d: (_round(d, 7, 896), 2, 5)),
        Case("a pyramid up to level 8", lambda d: (_round(d, 1792, 896, 3584), 2, 8)),
        Case("a pyramid of two levels", lambda d: (_round(d, 28, 112, 448), 3, 4)),
        Case(
            "a box without an area: the finest level",
            lambda d: (_boxes(d, (0, 40), (300, 310)), 2, 5),
        ),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4), 2, 5)),
    ),
    mistakes=(
        Mistake(
            "rounded",
            "The level was rounded to the nearest whole number. Round down: a box changes its "
            "level when its side has doubled, at 112, 224, 448.",
            _level(whole=torch.round),
        ),
        Mistake(
            "rounded_up",
            "The level was rounded up. Round down: `.floor()`.",
            _level(whole=torch.ceil),
        ),
        Mistake(
            "not_limited",
            "There is no such level in the pyramid. Limit the answer to k_min..k_max.",
            _level(clamp=lambda k, k_min, k_max: k),
        ),
        Mistake(
            "limited_above_only",
            "Small boxes got a level below k_min. The finest map is the best there is for them.",
            _level(clamp=lambda k, k_min, k_max: k.clamp(max=k_max)),
        ),
        Mistake(
            "limited_below_only",
            "Large boxes got a level above k_max. The coarsest map must do for them.",
            _level(clamp=lambda k, k_min, k_max: k.clamp(min=k_min)),
        ),
        Mistake(
            "longer_side",
            "The longer side decides here. The rule asks for the side of a square of the same "
            "area, √(w · h).",
            _level(torch.maximum),
        ),
        Mistake(
            "shorter_side",
            "The shorter side decides here. The rule asks for the side of a square of the same "
            "area, √(w · h).",
            _level(torch.minimum),
        ),
        Mistake(
            "mean_side",
            "The mean of both sides decides here. The rule asks for the side of a square of the "
            "same area, √(w · h).",
            _level(lambda w, h: (w + h) / 2),
        ),
        Mistake(
            "diagonal",
            "The diagonal decides here. The rule asks for the side of a square of the same area, √"
            "(w · h).",
            _level(lambda w, h: (w * w + h * h).sqrt()),
        ),
        Mistake(
            "width_only",
            "Only the width decides. The rule asks for √(w · h).",
            _level(lambda w, h: w),
        ),
        Mistake(
            "height_only",
            "Only the height decides. The rule asks for √(w · h).",
            _level(lambda w, h: h),
        ),
        Mistake(
            "root_forgotten",
            "The area was divided by 224 without its root, so everything looks huge. 224 is a "
            "side: compare √(w · h) with it.",
            _level(lambda w, h: w * h),
        ),
        Mistake(
            "area_over_square",
            "The root is missing: w · h / 224² is the square of √(w · h) / 224, and its logarithm "
            "is twice as large. A level is a doubling of the side, not of the area.",
            _level(lambda w, h: w * h, canonical=224**2),
        ),
        Mistake(
            "side_over_square",
            "√(w · h) was divided by 224². Both are sides: divide by 224.",
            _level(canonical=224**2),
        ),
        Mistake(
            "cut_off_before_four",
            "The logarithm was cut off towards 0 before 4 was added: −0.4 became 0, and a box "
            "below 224 went one level too high. Round down, with `floor`.",
            _level(whole=lambda k: 4 + (k - 4).trunc()),
        ),
        Mistake(
            "from_the_coarsest",
            "224 pixels belong to level 4, whatever the coarsest level is: 4 + log2(…), not k_max "
            "+ log2(…).",
            _from_the_coarsest,
        ),
        Mistake(
            "always_two_to_five",
            "The levels are limited to 2..5 here. How many there are is told by `k_min` and "
            "`k_max`.",
            _level(clamp=lambda k, k_min, k_max: k.clamp(2, 5)),
        ),
        Mistake(
            "natural_log",
            "This is the natural logarithm. One level is a factor of 2: log2.",
            _level(log=torch.log),
        ),
        Mistake(
            "log10",
            "This is the logarithm to base 10. One level is a factor of 2: log2.",
            _level(log=torch.log10),
        ),
        Mistake(
            "upside_down",
            "The fraction stands upside down: large boxes go to the fine maps. It is √(w · h) / "
            "224.",
            _level(log=lambda s: -torch.log2(s)),
        ),
        Mistake(
            "log_forgotten",
            "The logarithm is missing: the level should grow by 1 when the side doubles.",
            _level(log=lambda s: s),
        ),
        Mistake(
            "counted_from_224",
            "A box of 224 pixels belongs to level 4. Add 4 before you round down.",
            _level(level=0),
        ),
        Mistake(
            "one_level_off",
            "Everything lies one level too high. 224 belongs to level 4, not 5.",
            _level(level=5),
        ),
        Mistake(
            "one_level_low",
            "Everything lies one level too low. 224 belongs to level 4, not 3.",
            _level(level=3),
        ),
        Mistake(
            "index",
            "You counted the maps from 0. The level itself is asked for: the finest map is k_min.",
            _level(clamp=lambda k, k_min, k_max: k.clamp(k_min, k_max) - k_min),
        ),
        Mistake(
            "far_corner_as_sides",
            "x2 and y2 were taken for width and height. The sides are x2 − x1 and y2 − y1.",
            _level(sides=lambda boxes: (boxes[:, 2], boxes[:, 3])),
        ),
    ),
    hints=(
        "The sides are `boxes[:, 2:] - boxes[:, :2]`; `.prod(dim=1).sqrt()` of them is √(w · h).",
        "`(4 + torch.log2(scale / 224)).floor()` is the level. For a box without an area log2 "
        "gives −inf, and clamp puts that right.",
        "`.clamp(k_min, k_max).long()` keeps it inside of the pyramid and makes a whole number of "
        "it: in this order, −inf has no whole number.",
    ),
)
