"""Exercise 1: grid_locations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import fcos as ref

Grid = Sequence[int]


def _reference(grid: Grid, stride: int) -> Tensor:
    return ref.grid_locations(grid, stride)


def _grid(
    place: Callable[[Tensor, int], Tensor] = lambda n, stride: (n + 0.5) * stride,
    sides: Callable[[Grid], tuple[int, int]] = lambda grid: (grid[0], grid[1]),
    spread_x: Callable[[Tensor, int], Tensor] = lambda x, rows: x.repeat(rows),
    spread_y: Callable[[Tensor, int], Tensor] = lambda y, columns: y.repeat_interleave(columns),
    answer: Callable[[Tensor, Tensor], Tensor] = lambda x, y: torch.stack((x, y), dim=1),
) -> Callable[[Grid, int], Tensor]:
    """The exercise with one step replaced."""

    def wrong(grid: Grid, stride: int) -> Tensor:
        rows, columns = sides(grid)
        x = place(torch.arange(columns).float(), stride)
        y = place(torch.arange(rows).float(), stride)
        return answer(spread_x(x, rows), spread_y(y, columns))

    return wrong


def _stacked_first(grid: Grid, stride: int) -> Tensor:
    """The maps of x and of y one behind the other, and then cut into pairs."""
    return _reference(grid, stride).T.reshape(-1, 2)


def _still_a_map(grid: Grid, stride: int) -> Tensor:
    return _reference(grid, stride).reshape(*grid, 2)


def _even(d: Draw) -> int:
    return 2 ** d.integer(2, 6)


def _odd(d: Draw) -> int:
    return 2 * d.integer(1, 4) + 1


def _case(
    probes: str,
    rows: tuple[int, int],
    more: tuple[int, int],
    stride: Callable[[Draw], int] = _even,
    **about: Any,
) -> Case:
    """A grid of some rows, and of so many columns more."""

    def make(d: Draw) -> tuple[Any, ...]:
        high = d.integer(*rows)
        return [high, high + d.integer(*more)], stride(d)

    return Case(probes, make, **about)


GRID_LOCATIONS = Exercise(
    name="grid_locations",
    points=1,
    reference=_reference,
    names=("grid", "stride"),
    cases=(
        _case("more columns than rows", (2, 4), (1, 3), core=True),
        _case("more rows than columns", (5, 6), (-3, -2), core=True),
        _case("one row", (1, 1), (2, 5)),
        _case("a single location", (1, 1), (0, 0)),
        _case("a larger map", (9, 12), (3, 6)),
        _case("an odd stride", (2, 3), (1, 2), _odd),
    ),
    mistakes=(
        Mistake(
            "corners",
            "These are the upper left corners of the squares that the locations stand for. A "
            "location is in the middle: half a stride further, `(column + 0.5) * stride`.",
            _grid(place=lambda n, stride: n * stride),
        ),
        Mistake(
            "half_a_pixel",
            "You went on by half a pixel. It is half a stride: add 0.5 before you multiply.",
            _grid(place=lambda n, stride: n * stride + 0.5),
        ),
        Mistake(
            "middle_pixel",
            "You went on by (stride − 1) / 2, as if a pixel were a point. A pixel reaches from 0 "
            "to 1, and the middle of `stride` pixels is `stride / 2`.",
            _grid(place=lambda n, stride: n * stride + (stride - 1) / 2),
        ),
        Mistake(
            "half_rounded_down",
            "`stride // 2` rounds down: half of 5 is 2.5. Locations are no whole numbers; divide "
            "by `/`.",
            _grid(place=lambda n, stride: n * stride + stride // 2),
        ),
        Mistake(
            "far_corners",
            "These are the lower right corners: a whole stride was added where half of one is "
            "asked for.",
            _grid(place=lambda n, stride: (n + 1) * stride),
        ),
        Mistake(
            "no_stride",
            "These are rows and columns of the map. In the picture they lie `stride` pixels apart: "
            "multiply.",
            _grid(place=lambda n, stride: n + 0.5),
        ),
        Mistake(
            "stride_only_in_the_half",
            "Only the half was multiplied by the stride: `n + 0.5 * stride` lacks brackets, "
            "`(n + 0.5) * stride`.",
            _grid(place=lambda n, stride: n + 0.5 * stride),
        ),
        Mistake(
            "y_first",
            "y comes first. A location is (x, y), as boxes are: x from the column, y from the row.",
            _grid(answer=lambda x, y: torch.stack((y, x), dim=1)),
        ),
        Mistake(
            "column_by_column",
            "The locations go down column by column. The order is row by row, from left to right, "
            "as the network's answers are.",
            _grid(
                spread_x=lambda x, rows: x.repeat_interleave(rows),
                spread_y=lambda y, columns: y.repeat(columns),
            ),
        ),
        Mistake(
            "rows_for_columns",
            "Rows and columns are exchanged: `grid` is (rows, columns).",
            _grid(sides=lambda grid: (grid[1], grid[0])),
        ),
        Mistake(
            "stacked_first",
            "Two x came as one location, then two y: `stack` put all x before all y. It should "
            "join each x with its y: `torch.stack((xs, ys), dim=-1)`.",
            _stacked_first,
        ),
        Mistake(
            "both_repeated",
            "x and y run through their values together, so that the locations go down slantwise. "
            "In one row y stays what it is: `repeat_interleave` for y.",
            _grid(spread_y=lambda y, columns: y.repeat(columns)),
        ),
        Mistake(
            "both_held",
            "x and y stand still together. In one row x runs through all columns: `repeat` for x, "
            "`repeat_interleave` for y only.",
            _grid(spread_x=lambda x, rows: x.repeat_interleave(rows)),
        ),
        Mistake(
            "still_a_map",
            "The locations are right, but stand in a map of rows and columns. One list is asked "
            "for: `.reshape(-1, 2)`.",
            _still_a_map,
        ),
        Mistake(
            "first_row_only",
            "This is the first row. Every row has its locations.",
            lambda grid, stride: _reference(grid, stride)[: grid[1]],
        ),
    ),
    hints=(
        "`x = (torch.arange(columns) + 0.5) * stride` are the places of one row; y likewise.",
        "`torch.meshgrid(y, x, indexing='ij')` gives both for every location, as maps [H, W].",
        "Two maps to one list: `torch.stack((xs, ys), dim=-1).reshape(-1, 2)`.",
    ),
)
