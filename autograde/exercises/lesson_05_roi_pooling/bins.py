"""Exercise 2: bin_cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[int, int, int, int]
Ends = Callable[[int, int, int], tuple[float, float]]  # of (p, length, bins), without `first`


def _reference(first: int, last: int, bins: int, size: int) -> Tensor:
    return ref.bin_cells(torch.tensor([first]), torch.tensor([last]), bins, size)[0]


def _outwards(p: int, length: int, bins: int) -> tuple[float, float]:
    return math.floor(p * length / bins), math.ceil((p + 1) * length / bins)


def _nearest(x: float) -> int:
    return math.floor(x + 0.5)


def _cut(
    ends: Ends = _outwards,
    length: Callable[[int, int], int] = lambda first, last: last - first + 1,
    clip: Callable[[float, int], float] = lambda end, size: min(max(end, 0), size),
    row: Callable[[float, float], tuple[float, float]] = lambda low, high: (low, high),
    numbers: Callable[[int], Any] = range,
    offset: Callable[[int], int] = lambda first: first,
    done: Callable[[Tensor], Tensor] = lambda ends: ends,
) -> Callable[[int, int, int, int], Tensor]:
    """The exercise with one step replaced."""

    def wrong(first: int, last: int, bins: int, size: int) -> Tensor:
        rows = []
        for p in numbers(bins):
            low, high = ends(p, length(first, last), bins)
            begin = offset(first)
            rows.append(row(clip(begin + low, size), clip(begin + high, size)))
        return done(torch.tensor(rows))

    return wrong


def _float_steps(p: int, length: int, bins: int) -> tuple[float, float]:
    step = length / bins  # 29 / 7 is not a number of the machine, and 7 times it is above 29
    return math.floor(p * step), math.ceil((p + 1) * step)


def _step_and_one(p: int, length: int, bins: int) -> tuple[float, float]:
    step = length // bins + 1
    return p * step, (p + 1) * step


def _whole_steps(p: int, length: int, bins: int) -> tuple[float, float]:
    step = length // bins
    return p * step, (p + 1) * step


def _steps_up(p: int, length: int, bins: int) -> tuple[float, float]:
    step = math.ceil(length / bins)
    return p * step, (p + 1) * step


def _last_takes_the_rest(p: int, length: int, bins: int) -> tuple[float, float]:
    step = length // bins
    return p * step, length if p == bins - 1 else (p + 1) * step


def _clipped_first(first: int, last: int, bins: int, size: int) -> Tensor:
    """Cuts the region to the map, then divides what is left."""
    first, last = min(max(first, 0), size - 1), min(max(last, 0), size - 1)
    return _cut()(first, last, bins, size)


def _inside(d: Draw, length: int, bins: int, room: int = 3) -> Inputs:
    """A region of so many cells inside of a map, at neither of its ends."""
    first = d.integer(1, 4)
    return first, first + length - 1, bins, first + length + d.integer(1, room)


def _before(d: Draw) -> Inputs:
    first = -d.integer(2, 3)
    return first, first + 6, 3, 9


def _beyond(d: Draw) -> Inputs:
    size = d.integer(8, 10)
    return size - 4, size + 2, 3, size


def _outside(d: Draw) -> Inputs:
    size = d.integer(6, 9)
    return size + 1, size + d.integer(3, 5), 2, size


BIN_CELLS = Exercise(
    name="bin_cells",
    points=2,
    reference=_reference,
    names=("first", "last", "bins", "size"),
    forbids=("bin_cells", "roi_pool_bins"),
    rows=True,
    cases=(
        Case("6 cells, 3 bins: it comes out even", lambda d: _inside(d, 6, 3), core=True),
        Case("5 cells, 2 bins: one cell in both", lambda d: _inside(d, 5, 2), core=True),
        Case("8 cells, 3 bins", lambda d: _inside(d, 8, 3), core=True),
        Case("3 cells, 7 bins: more bins than cells", lambda d: _inside(d, 3, 7)),
        Case("one cell, 2 bins", lambda d: _inside(d, 1, 2)),
        Case("one bin: all of the region", lambda d: _inside(d, 4, 1)),
        Case("29 cells, 7 bins", lambda d: _inside(d, 29, 7)),
        Case("57 cells, 7 bins", lambda d: _inside(d, 57, 7)),
        Case("a region that begins before the map", _before),
        Case("a region that reaches beyond the map", _beyond),
        Case("a region outside of the map: empty bins", _outside),
    ),
    mistakes=(
        Mistake(
            "last_left_out",
            "The region is one cell too short. The last cell belongs to it: from cell 2 to cell 6 "
            "are 6 − 2 + 1 = 5 cells.",
            _cut(length=lambda first, last: last - first),
        ),
        Mistake(
            "to_the_nearest",
            "The ends of the bins were rounded to the nearest cell, so the bins stand side by "
            "side. RoIPool rounds each bin outwards: its start down, its end up.",
            _cut(
                lambda p, length, bins: (
                    _nearest(p * length / bins),
                    _nearest((p + 1) * length / bins),
                )
            ),
        ),
        Mistake(
            "all_down",
            "Both ends of a bin were rounded down. A bin takes in every cell that it touches: its "
            "start is rounded down, its end up.",
            _cut(lambda p, length, bins: (p * length // bins, (p + 1) * length // bins)),
        ),
        Mistake(
            "all_up",
            "Both ends of a bin were rounded up. A bin takes in every cell that it touches: its "
            "start is rounded down, its end up.",
            _cut(
                lambda p, length, bins: (
                    math.ceil(p * length / bins),
                    math.ceil((p + 1) * length / bins),
                )
            ),
        ),
        Mistake(
            "inwards",
            "The bins were rounded inwards: their start up, their end down. It is the other way "
            "round; a bin takes in every cell that it touches.",
            _cut(
                lambda p, length, bins: (
                    math.ceil(p * length / bins),
                    math.floor((p + 1) * length / bins),
                )
            ),
        ),
        Mistake(
            "whole_steps",
            "The length of a bin was rounded down, `length // bins`, and the rest of the region is "
            "lost. Keep the fraction until a bin's ends are known: p · length / bins.",
            _cut(_whole_steps),
        ),
        Mistake(
            "float_steps",
            "length / bins has no exact value: 7 · (29 / 7) comes out above 29, and is rounded up "
            "to 30. Multiply first, then divide: `(p + 1) * length / bins`.",
            _cut(_float_steps),
        ),
        Mistake(
            "step_and_one",
            "`length // bins + 1` makes every bin too long, also where it comes out even. Keep the "
            "fraction until a bin's ends are known: p · length / bins.",
            _cut(_step_and_one),
        ),
        Mistake(
            "turned_round",
            "Rows and columns are swapped: [bins, 2] is a row for each bin, with its start and its "
            "end.",
            _cut(done=lambda ends: ends.T),
        ),
        Mistake(
            "steps_up",
            "The length of a bin was rounded up, so the bins run out of the region. Keep the "
            "fraction until a bin's ends are known: p · length / bins.",
            _cut(_steps_up),
        ),
        Mistake(
            "last_takes_the_rest",
            "All bins got `length // bins` cells and the last one the rest. RoIPool's bins are "
            "equally long, p · length / bins, and each is rounded outwards.",
            _cut(_last_takes_the_rest),
        ),
        Mistake(
            "not_clipped",
            "Bins reach out of the map, where there are no cells. Limit both ends to 0..size.",
            _cut(clip=lambda end, size: end),
        ),
        Mistake(
            "clipped_below_only",
            "The bins are limited at 0, but reach beyond the map on the far side. The largest end "
            "is `size`.",
            _cut(clip=lambda end, size: max(end, 0)),
        ),
        Mistake(
            "clipped_above_only",
            "The bins are limited on the far side, but begin before the map. The smallest start "
            "is 0.",
            _cut(clip=lambda end, size: min(end, size)),
        ),
        Mistake(
            "clipped_one_early",
            "The ends were limited to size − 1. They name the cell after the last one, so `size` "
            "is allowed.",
            _cut(clip=lambda end, size: min(max(end, 0), size - 1)),
        ),
        Mistake(
            "clipped_first",
            "The region was cut to the map before it was divided, so what is left was divided "
            "anew. First the bins, then cut each of them.",
            _clipped_first,
        ),
        Mistake(
            "counted_from_zero",
            "These bins begin at cell 0. Add `first`: it says where on the map the region begins.",
            _cut(offset=lambda first: 0),
        ),
        Mistake(
            "last_cell_named",
            "The second number is the last cell of a bin. Give the one after it, as in a slice: "
            "`row[start:end]`.",
            _cut(row=lambda low, high: (low, high - 1)),
        ),
        Mistake(
            "start_and_length",
            "These are the start and the length of each bin. Give start and end.",
            _cut(row=lambda low, high: (low, high - low)),
        ),
        Mistake(
            "swapped",
            "Start and end of each bin are swapped.",
            _cut(row=lambda low, high: (high, low)),
        ),
        Mistake(
            "counted_from_one",
            "The bins are counted from 1: everything lies one bin too far. The first one begins at "
            "0 · length / bins.",
            _cut(numbers=lambda bins: range(1, bins + 1)),
        ),
        Mistake(
            "fractions",
            "These ends have fractions. A bin is made of whole cells: start rounded down, end "
            "rounded up.",
            _cut(lambda p, length, bins: (p * length / bins, (p + 1) * length / bins)),
        ),
    ),
    hints=(
        "From cell `first` to cell `last` there are `length = last - first + 1` cells. Bin p "
        "reaches from p · length / bins to (p + 1) · length / bins, counted from `first`.",
        "Round the start down and the end up: `math.floor(p * length / bins)` and `math.ceil((p + "
        "1) * length / bins)`. Then add `first` to both.",
        "`min(max(end, 0), size)` limits an end to the map. Collect `[start, end]` for each bin "
        "and return `torch.tensor(rows)`.",
    ),
)
