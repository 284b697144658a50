"""Exercise 5: bin_points."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[float, float, int, int]


def _count(length: float, bins: int, ratio: int) -> int:
    return ratio if ratio > 0 else math.ceil(length / bins)


def _middles(n: int) -> Tensor:
    """Where in a bin the points lie, as parts of its length [n]."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def _placed(
    count: Callable[[float, int, int], int] = _count,
    inside: Callable[[int], Tensor] = _middles,
    place: Callable[[Tensor, Tensor, float, float], Tensor] = lambda p, part, start, step: (
        start + (p + part) * step
    ),
    done: Callable[[Tensor], Tensor] = lambda points: points,
) -> Callable[[float, float, int, int], Tensor]:
    """The exercise with one step replaced. place: of p [bins, 1], parts [n], start, step."""

    def wrong(start: float, length: float, bins: int, ratio: int) -> Tensor:
        p = torch.arange(bins, dtype=torch.float64)[:, None]
        return done(place(p, inside(count(length, bins, ratio)), start, length / bins))

    return wrong


def _spread(n: int) -> Tensor:
    return torch.linspace(0, 1, n, dtype=torch.float64)


def _region_over_ratio(start: float, length: float, bins: int, ratio: int) -> Tensor:
    """One set of points for the whole region, the same for every bin."""
    n = _count(length, bins, ratio)
    return (start + _middles(n) * length).expand(bins, n)


def _start(d: Draw) -> float:
    return d.integer(4, 40) / 8


def _case(
    probes: str, length: float, bins: int, ratio: int, core: bool = False, low: bool = False
) -> Case:
    """A region of this length, somewhere; low: it begins before the map."""

    def make(d: Draw) -> Inputs:
        return _start(d) - (8 if low else 0), length, bins, ratio

    return Case(probes, make, core=core)


BIN_POINTS = Exercise(
    name="bin_points",
    points=1,
    reference=ref.bin_points,
    names=("start", "length", "bins", "sampling_ratio"),
    forbids=("bin_points", "sample_points"),
    cases=(
        _case("2 bins, 2 points in each", 5.25, 2, 2, core=True),
        _case("3 bins, 1 point in each", 4.5, 3, 1, core=True),
        _case("2 bins, 3 points in each", 4.5, 2, 3, core=True),
        _case("as many points as a bin is long, rounded up", 7.25, 3, -1),
        _case("the same, written as 0", 5.75, 2, 0),
        _case("bins of exactly 2 cells: 2 points", 6.0, 3, -1),
        _case("bins shorter than a cell: 1 point", 1.5, 3, -1),
        _case("a single bin", 3.25, 1, 4),
        _case("a region that begins before the map", 5.25, 2, 2, low=True),
    ),
    mistakes=(
        Mistake(
            "from_end_to_end",
            "The points reach from one end of the bin to the other, as `linspace` makes them, so "
            "that neighbours share one. Each lies in the middle of one of n equal parts.",
            _placed(inside=_spread),
        ),
        Mistake(
            "at_the_start",
            "Each point lies at the start of its part, and all of the bin is seen half a part too "
            "far up or left. Take the middle: (i + 0.5) / n.",
            _placed(inside=lambda n: torch.arange(n, dtype=torch.float64) / n),
        ),
        Mistake(
            "at_the_end",
            "Each point lies at the end of its part. Take the middle: (i + 0.5) / n, with i "
            "counted from 0.",
            _placed(inside=lambda n: (torch.arange(n, dtype=torch.float64) + 1) / n),
        ),
        Mistake(
            "equal_gaps",
            "The gaps to the ends of the bin are as wide as those between the points. Cut the bin "
            "into n equal parts: the gaps at the ends are half as wide.",
            _placed(inside=lambda n: (torch.arange(n, dtype=torch.float64) + 1) / (n + 1)),
        ),
        Mistake(
            "a_cell_apart",
            "The points are one cell apart. They divide the bin evenly: its length over n apart.",
            _placed(
                place=lambda p, part, start, step: (
                    start + p * step + torch.arange(len(part), dtype=torch.float64) + 0.5
                )
            ),
        ),
        Mistake(
            "bins_alike",
            "All bins have the points of the first one. Bin p begins p bin lengths further on.",
            _placed(place=lambda p, part, start, step: start + (0 * p + part) * step),
        ),
        Mistake(
            "whole_region",
            "The points of every bin are spread over the whole region. Spread them over the bin: "
            "length / bins is how long it is.",
            _region_over_ratio,
        ),
        Mistake(
            "start_forgotten",
            "The points are counted from 0. The region begins at `start`.",
            _placed(place=lambda p, part, start, step: (p + part) * step),
        ),
        Mistake(
            "bins_a_cell_apart",
            "The bins follow one another at a distance of one cell. Bin p begins at start + p · "
            "length / bins.",
            _placed(place=lambda p, part, start, step: start + p + part * step),
        ),
        Mistake(
            "rounded_down",
            "The number of points was rounded down. A bin of 2.4 cells needs 3 points, so that no "
            "cell is jumped over: round up.",
            _placed(lambda length, bins, ratio: ratio if ratio > 0 else max(int(length / bins), 1)),
        ),
        Mistake(
            "rounded",
            "The number of points was rounded to the nearest whole number. A bin of 2.4 cells "
            "needs 3 points: round up, `math.ceil`.",
            _placed(lambda length, bins, ratio: ratio if ratio > 0 else round(length / bins)),
        ),
        Mistake(
            "not_zero",
            "A sampling_ratio of −1 was taken for a number of points. All that is not above 0 asks "
            "for as many as the bin is long: `> 0`, not `!= 0`.",
            _placed(lambda length, bins, ratio: ratio if ratio != 0 else math.ceil(length / bins)),
        ),
        Mistake(
            "by_the_region",
            "There are as many points in each bin as the whole region is long. A bin is only "
            "length / bins long.",
            _placed(lambda length, bins, ratio: ratio if ratio > 0 else math.ceil(length)),
        ),
        Mistake(
            "always_one",
            "A sampling_ratio of 0 or less gave one point. It asks for as many as the bin is long, "
            "rounded up.",
            _placed(lambda length, bins, ratio: max(ratio, 1)),
        ),
        Mistake(
            "always_two",
            "A sampling_ratio of 0 or less gave two points. It asks for as many as the bin is "
            "long, rounded up.",
            _placed(lambda length, bins, ratio: ratio if ratio > 0 else 2),
        ),
        Mistake(
            "always_by_length",
            "The number of points follows the length of the bin even where it is given. A "
            "sampling_ratio above 0 is that number.",
            _placed(lambda length, bins, ratio: math.ceil(length / bins)),
        ),
        Mistake(
            "zero_gives_none",
            "A sampling_ratio of 0 gave no points. Like −1, it asks for as many as the bin is "
            "long: test for `sampling_ratio > 0`.",
            _placed(lambda length, bins, ratio: ratio if ratio >= 0 else math.ceil(length / bins)),
        ),
        Mistake(
            "in_one_row",
            "The right points, in one row. Keep the bins apart: [bins, n], a row for each bin.",
            _placed(done=lambda points: points.flatten()),
        ),
        Mistake(
            "turned_round",
            "Rows and columns are swapped: a row for each bin, in it the n points of that bin.",
            _placed(done=lambda points: points.T),
        ),
    ),
    hints=(
        "A bin is `step = length / bins` long, and bin p begins at start + p · step. First find n: "
        "`sampling_ratio` if it is above 0, else `math.ceil(step)`.",
        "Point i of n lies (i + 0.5) / n of the way through its bin.",
        "For all at once: `p = torch.arange(bins)[:, None]`, `i = torch.arange(n)`, and then "
        "`start + (p + (i + 0.5) / n) * step` is [bins, n].",
    ),
)
