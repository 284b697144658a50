"""Exercise 7: hat_integrals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_05_roi_pooling.inputs import eighths
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[Tensor, Tensor, int]


def up_to(t: Tensor) -> Tensor:
    """The area under the hat around 0, left of t."""
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)


def _hat(t: Tensor) -> Tensor:
    return (1 - t.abs()).clamp(min=0)


def _between(
    area: Callable[[Tensor, Tensor], Tensor] = lambda low, high: up_to(high) - up_to(low),
    first: int = 0,
    done: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda weights, low, high: weights,
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """The exercise with one step replaced. area: of both ends as a cell sees them [P, size]."""

    def wrong(low: Tensor, high: Tensor, size: int) -> Tensor:
        k = torch.arange(first, first + size, dtype=low.dtype)
        weights = area(low[:, None] - k, high[:, None] - k)
        return done(weights, low[:, None], high[:, None])

    return wrong


def _unclamped(t: Tensor) -> Tensor:
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)


def _cells_as_boxes(low: Tensor, high: Tensor) -> Tensor:
    """Each cell a box from half a cell before it to half a cell after it."""
    return high.clamp(-0.5, 0.5) - low.clamp(-0.5, 0.5)


def _cells_from_k(low: Tensor, high: Tensor) -> Tensor:
    return high.clamp(0, 1) - low.clamp(0, 1)


def _half_a_base(t: Tensor) -> Tensor:
    """The triangles without their height."""
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) / 2, 1 - (1 - t) / 2)


def _no_halves(t: Tensor) -> Tensor:
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2, 1 - (1 - t) ** 2)


def _not_from_one(t: Tensor) -> Tensor:
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, (1 - t) ** 2 / 2)


def _plus_twice(t: Tensor) -> Tensor:
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 + t) ** 2 / 2)


def _rising_for_ever(t: Tensor) -> Tensor:
    return (t.clamp(-1, 1) + 1) ** 2 / 2


def _falling_for_ever(t: Tensor) -> Tensor:
    return 1 - (1 - t.clamp(-1, 1)) ** 2 / 2


def _rise(low: Tensor, high: Tensor) -> Tensor:
    a, b = low.clamp(-1, 0), high.clamp(-1, 0)
    return ((b + 1) ** 2 - (a + 1) ** 2) / 2


def _fall(low: Tensor, high: Tensor) -> Tensor:
    a, b = low.clamp(0, 1), high.clamp(0, 1)
    return ((1 - a) ** 2 - (1 - b) ** 2) / 2


def _narrow(low: Tensor, high: Tensor) -> Tensor:
    """A hat that is 0 half a cell away already."""
    return (up_to(2 * high) - up_to(2 * low)) / 2


def _trapezium(low: Tensor, high: Tensor) -> Tensor:
    return (high - low) * (_hat(low) + _hat(high)) / 2


def _middle(low: Tensor, high: Tensor) -> Tensor:
    return (high - low) * _hat((low + high) / 2)


def _one_stretch(d: Draw, inside: int) -> Inputs:
    """A stretch with `inside` cells in it."""
    low = d.integer(1, 2) + eighths(d, 1) / 2
    return low, low.floor() + inside + eighths(d, 1) / 2 + (0.5 if inside == 0 else 0), 6


def _several(d: Draw) -> Inputs:
    low = torch.tensor([0.0, 1, 2]) + eighths(d, 3)
    return low, low + torch.tensor([1.0, 2, 1]) + eighths(d, 3), 6


def _off_cells(d: Draw) -> Inputs:
    """No end lies on a cell, where the hats have a bend."""
    low = torch.tensor([0.0, 1, 2]) + eighths(d, 3) / 2
    return low, low.floor() + torch.tensor([1.0, 2, 1]) + 0.5 + eighths(d, 3) / 4, 6


def _whole(d: Draw) -> Inputs:
    low = d.numbers(2, low=0, high=2)
    return low, low + torch.tensor([1.0, 3.0]), 7


def _over_the_border(d: Draw) -> Inputs:
    part = eighths(d, 2)
    return torch.stack([-part[0], 3 + part[1]]), torch.stack([1 + part[1], 5 + part[0]]), 5


def _outside(d: Draw) -> Inputs:
    part = eighths(d, 2)
    return torch.stack([-4 - part[0], 6 + part[1]]), torch.stack([-1 - part[1], 9 + part[0]]), 5


def _no_length(d: Draw) -> Inputs:
    low = d.integer(0, 3) + eighths(d, 2)
    return low, low + torch.tensor([0.0, 1.5]), 5


def _in_double(d: Draw) -> Inputs:
    low, high, size = _several(d)
    return low.double() / 3, high.double() / 3, size


HAT_INTEGRALS = Exercise(
    name="hat_integrals",
    points=2,
    reference=ref.hat_integrals,
    names=("low", "high", "size"),
    forbids=("hat_integrals", "prroi_pool", "prroi_pool_plain"),
    cases=(
        Case("from one cell's side to the next one's", lambda d: _one_stretch(d, 1), core=True),
        Case("between two cells, over neither", lambda d: _one_stretch(d, 0), core=True),
        Case("three stretches", _several, core=True),
        Case("from cell to cell", _whole),
        Case("over the border of the map", _over_the_border),
        Case("outside of the map: 0", _outside),
        Case("a stretch of no length: 0", _no_length),
        Case("no stretches at all", lambda d: (torch.zeros(0), torch.zeros(0), 4)),
        Case("float64 stays float64", _in_double, dtype="exact"),
        Case("the gradient reaches both ends", _off_cells, kind="grad", slopes=(0, 1)),
    ),
    mistakes=(
        Mistake(
            "no_limits",
            "The area is wrong beyond the hat. It is 0 up to one cell before the peak and stays 1 "
            "from one cell behind it on: limit t to −1..1 first.",
            _between(lambda low, high: _unclamped(high) - _unclamped(low)),
        ),
        Mistake(
            "cells_as_boxes",
            "Each cell counts fully for half a cell to both sides, like a step. A hat falls slowly "
            "from 1 at the cell to 0 at its neighbours.",
            _between(_cells_as_boxes),
        ),
        Mistake(
            "cells_from_k",
            "Here cell k counts fully from k to k + 1. A hat has its peak at k and falls to 0 at k "
            "− 1 and k + 1.",
            _between(_cells_from_k),
        ),
        Mistake(
            "left_half_only",
            "Only the left half of the hat is counted, up to its peak. It falls on the right.",
            _between(_rise),
        ),
        Mistake(
            "right_half_only",
            "Only the right half of the hat is counted, behind its peak. It rises on the left.",
            _between(_fall),
        ),
        Mistake(
            "narrow_hat",
            "The hat is too narrow: 0 half a cell from its peak. It reaches to its neighbours, one "
            "cell away.",
            _between(_narrow),
        ),
        Mistake(
            "trapezium",
            "Length times the mean of both ends is right on a straight line only. The hat has "
            "bends at its peak and its feet: use the area up to each end.",
            _between(_trapezium),
        ),
        Mistake(
            "middle_times_length",
            "Length times the height in the middle is right on a straight line only. The hat has "
            "bends at its peak and its feet: use the area up to each end.",
            _between(_middle),
        ),
        Mistake(
            "heights",
            "The heights of the hat at the two ends were subtracted. An integral is a difference "
            "of areas.",
            _between(lambda low, high: _hat(high) - _hat(low)),
        ),
        Mistake(
            "only_up_to_high",
            "This is the area from far left up to `high`. Take away what lies left of `low`.",
            _between(lambda low, high: up_to(high)),
        ),
        Mistake(
            "turned_round",
            "All signs are turned round. Either t is: it is end − k, not k − end. Or the areas "
            "are: the one up to `high`, less the one up to `low`.",
            _between(lambda low, high: up_to(low) - up_to(high)),
        ),
        Mistake(
            "mean",
            "You divided by the length of the stretch. That comes later; here the integral itself "
            "is asked for.",
            _between(done=lambda weights, low, high: weights / (high - low)),
        ),
        Mistake(
            "adds_up_to_one",
            "The weights of each stretch add up to 1. An integral grows with the stretch: they "
            "should add up to its length.",
            _between(done=lambda weights, low, high: weights / weights.sum(1, keepdim=True)),
        ),
        Mistake(
            "counted_from_one",
            "The cells are counted from 1, so all weights stand one place too far left. The first "
            "cell is 0.",
            _between(first=1),
        ),
        Mistake(
            "cells_have_middles",
            "The peaks stand at k + 0.5. Here the value of cell k stands at k; whoever wants the "
            "half cell takes it off the box before.",
            _between(lambda low, high: up_to(high - 0.5) - up_to(low - 0.5)),
        ),
        Mistake(
            "cells_first",
            "Rows and columns are swapped: a row for each stretch, in it a weight for each cell.",
            _between(done=lambda weights, low, high: weights.T),
        ),
        Mistake(
            "no_halves",
            "The `/ 2` is missing: the area of a triangle is half of base times height, (t + 1)² / "
            "2.",
            _between(lambda low, high: _no_halves(high) - _no_halves(low)),
        ),
        Mistake(
            "not_from_one",
            "Behind the peak, (1 − t)² / 2 is what is still to come. What lies left of t is all of "
            "the hat less that: 1 − (1 − t)² / 2.",
            _between(lambda low, high: _not_from_one(high) - _not_from_one(low)),
        ),
        Mistake(
            "plus_twice",
            "Behind the peak there is 1 + t where 1 − t belongs: there the hat falls, and what is "
            "still to come is (1 − t)² / 2.",
            _between(lambda low, high: _plus_twice(high) - _plus_twice(low)),
        ),
        Mistake(
            "rising_for_ever",
            "The formula for the rising half was taken on both sides of the peak. From t = 0 on "
            "the hat falls: 1 − (1 − t)² / 2.",
            _between(lambda low, high: _rising_for_ever(high) - _rising_for_ever(low)),
        ),
        Mistake(
            "falling_for_ever",
            "The formula for the falling half was taken on both sides of the peak. Up to t = 0 the "
            "hat rises: (t + 1)² / 2.",
            _between(lambda low, high: _falling_for_ever(high) - _falling_for_ever(low)),
        ),
        Mistake(
            "half_a_base",
            "The square is missing. The area of a triangle is half of base times height, and both "
            "are t + 1 while the hat rises: (t + 1)² / 2.",
            _between(lambda low, high: _half_a_base(high) - _half_a_base(low)),
        ),
    ),
    hints=(
        "A cell sees an end at t = end − k: `t = (end[:, None] - torch.arange(size)).clamp(-1, 1)` "
        "is [P, size]. Left of −1 and right of 1 nothing is added any more.",
        "The area up to t is (t + 1)² / 2 while the hat rises, t < 0, and 1 − (1 − t)² / 2 when it "
        "falls: `torch.where(t < 0, …, …)`.",
        "Write this as a small function of an end, say `up_to`, and return `up_to(high) - "
        "up_to(low)`.",
    ),
)
