"""Exercise 5: centerness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.fcos import centerness

Ratio = Callable[[Tensor], Tensor]  # of the two distances along an axis


def _ratio(pair: Tensor) -> Tensor:
    return pair.amin(-1) / pair.amax(-1)


def _central(
    ratio: Ratio = _ratio,
    join: Callable[[Tensor, Tensor], Tensor] = lambda across, down: (across * down).sqrt(),
    pairs: tuple[list[int], list[int]] = ([0, 2], [1, 3]),
) -> Callable[[Tensor], Tensor]:
    """The exercise with one step replaced."""
    return lambda sides: join(ratio(sides[:, pairs[0]]), ratio(sides[:, pairs[1]]))


def _sides(d: Draw, N: int) -> Tensor:
    return d.numbers(N, 4, low=2, high=60) + 0.5


def _case(probes: str, N: int, **about: Any) -> Case:
    return Case(probes, lambda d: (_sides(d, N),), **about)


def _lopsided(d: Draw) -> tuple[Any, ...]:
    """Near each of the four sides in turn, and near a corner."""
    near, far = d.integer(2, 6), d.integer(20, 40)
    middle = d.integer(10, 15)
    rows = [
        [near, middle, far, middle],
        [far, middle, near, middle + 1],
        [middle, near, middle + 2, far],
        [middle, far, middle, near + 1],
        [near, near + 1, far, far + 3],
    ]
    return (torch.tensor(rows).float(),)


def _in_the_centre(d: Draw) -> tuple[Any, ...]:
    half = d.numbers(3, 2, low=3, high=50)
    return (half.repeat(1, 2),)


def _small(d: Draw) -> tuple[Any, ...]:
    """Distances of a small fraction of a stride."""
    return (d.numbers(4, 4, low=1, high=16) / 64,)


def _on_a_side(d: Draw) -> tuple[Any, ...]:
    sides = _sides(d, 2)
    sides[0, 0] = sides[1, 3] = 0
    return (sides,)


CENTERNESS = Exercise(
    name="centerness",
    points=2,
    reference=centerness,
    names=("sides",),
    cases=(
        Case("near each side, and near a corner", _lopsided, core=True),
        _case("six locations", 6, core=True),
        Case("in the centre", _in_the_centre, core=True),
        Case("on a side", _on_a_side),
        Case("distances far below 1", _small),
        _case("no locations", 0),
    ),
    mistakes=(
        Mistake(
            "no_root",
            "The root is missing. The product of two quotients falls too quickly without it.",
            _central(join=lambda across, down: across * down),
        ),
        Mistake(
            "root_across_only",
            "The root is taken of the quotient of l and r only. It is taken of the product of "
            "both: mind the brackets.",
            _central(join=lambda across, down: across.sqrt() * down),
        ),
        Mistake(
            "root_down_only",
            "The root is taken of the quotient of t and b only. It is taken of the product of "
            "both: mind the brackets.",
            _central(join=lambda across, down: across * down.sqrt()),
        ),
        Mistake(
            "root_of_the_sum",
            "The two quotients were added before the root. They are multiplied: in the centre both "
            "are 1, and so is the centre-ness.",
            _central(join=lambda across, down: (across + down).sqrt()),
        ),
        Mistake(
            "root_of_the_smaller",
            "Only the smaller of the two quotients counts here, under a root. Both do: multiply, "
            "then the root.",
            _central(join=lambda across, down: torch.minimum(across, down).sqrt()),
        ),
        Mistake(
            "added_below",
            "A small number was added below the fraction line, and where distances are small "
            "themselves it shows. Leave it out: inside of a box max(l, r) is above 0.",
            _central(ratio=lambda pair: pair.amin(-1) / (pair.amax(-1) + 1e-3)),
        ),
        Mistake(
            "mean",
            "The two quotients were averaged. They are multiplied: who is on a side in one "
            "direction gets 0, whatever the other says.",
            _central(join=lambda across, down: (across + down) / 2),
        ),
        Mistake(
            "root_of_the_mean",
            "The two quotients were averaged before the root. They are multiplied.",
            _central(join=lambda across, down: ((across + down) / 2).sqrt()),
        ),
        Mistake(
            "the_smaller",
            "Only the smaller of the two quotients counts here. Both do: multiply, then the root.",
            _central(join=torch.minimum),
        ),
        Mistake(
            "all_four_at_once",
            "The shortest of all four distances was divided by the longest of all four. Each "
            "direction has a quotient of its own, or a long box would have no middle.",
            lambda sides: sides.amin(-1) / sides.amax(-1),
        ),
        Mistake(
            "neighbours",
            "l was compared with t, and r with b. l belongs to r and t to b: columns 0 and 2, "
            "1 and 3.",
            _central(pairs=([0, 1], [2, 3])),
        ),
        Mistake(
            "columns_as_l_r_t_b",
            "l was compared with b, and t with r. The order is l, t, r, b: columns 0 and 2, "
            "1 and 3.",
            _central(pairs=([0, 3], [1, 2])),
        ),
        Mistake(
            "left_over_right",
            "You divide l by r and t by b, whichever is larger. The shorter goes above, the longer "
            "below: `min` and `max`.",
            _central(ratio=lambda pair: pair[:, 0] / pair[:, 1]),
        ),
        Mistake(
            "upside_down",
            "The longer distance was divided by the shorter. It is the other way round, so that "
            "all lies between 0 and 1.",
            _central(ratio=lambda pair: pair.amax(-1) / pair.amin(-1)),
        ),
        Mistake(
            "share_of_the_width",
            "The shorter distance was divided by the whole width or height. It is divided by the "
            "longer distance.",
            _central(ratio=lambda pair: pair.amin(-1) / pair.sum(-1)),
        ),
        Mistake(
            "linear",
            "This is 1 − |l − r| / (l + r), which falls evenly from the centre to the side. The "
            "paper's is min / max.",
            _central(ratio=lambda pair: 2 * pair.amin(-1) / pair.sum(-1)),
        ),
        Mistake(
            "across_only",
            "Only l and r count here. Multiply by the same quotient of t and b.",
            _central(join=lambda across, down: across.sqrt()),
        ),
        Mistake(
            "one_minus",
            "This is 1 in the corners and 0 in the middle: 1 minus the centre-ness.",
            _central(join=lambda across, down: 1 - (across * down).sqrt()),
        ),
    ),
    hints=(
        "`across = sides[:, [0, 2]]` are l and r, `down = sides[:, [1, 3]]` are t and b.",
        "`across.amin(dim=1) / across.amax(dim=1)` is the quotient of one direction.",
        "`.sqrt()` of the product of both quotients.",
    ),
)
