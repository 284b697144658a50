"""Exercise 2: grid_anchors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors.inputs import base
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import anchors as ref


def _reference(base: Tensor, grid: Sequence[int], stride: float) -> Tensor:
    return ref.grid_anchors(base, (grid[0], grid[1]), stride)  # a sheet makes a list of a tuple


def _points(H: int, W: int, stride: float) -> tuple[Tensor, Tensor]:
    """x and y of the locations, [H, W] each."""
    y, x = torch.meshgrid(torch.arange(H) * stride, torch.arange(W) * stride, indexing="ij")
    return x, y


def _laid(
    points: Callable[[int, int, float], tuple[Tensor, Tensor]] = _points,
    moves: Callable[[Tensor, Tensor], tuple[Tensor, ...]] = lambda x, y: (x, y, x, y),
    join: Callable[[Tensor, Tensor], Tensor] = lambda base, centres: centres[:, :, None] + base,
    shape: Callable[[Tensor], Tensor] = lambda all_of_them: all_of_them.reshape(-1, 4),
) -> Callable[[Tensor, Sequence[int], float], Tensor]:
    """The exercise with one step replaced. Centres are [H, W, 4], all anchors [H, W, A, 4]."""

    def wrong(base: Tensor, grid: Sequence[int], stride: float) -> Tensor:
        x, y = points(grid[0], grid[1], stride)
        return shape(join(base, torch.stack(moves(x, y), dim=-1).to(base.dtype)))

    return wrong


def _at(first: float, spacing: float = 1.0) -> Callable[[int, int, float], tuple[Tensor, Tensor]]:
    def points(H: int, W: int, stride: float) -> tuple[Tensor, Tensor]:
        x, y = _points(H, W, 1)
        return (x * spacing + first) * stride, (y * spacing + first) * stride

    return points


def _spread(H: int, W: int, stride: float) -> tuple[Tensor, Tensor]:
    y, x = torch.linspace(0, H * stride, H), torch.linspace(0, W * stride, W)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return grid_x, grid_y


def _in_strides(H: int, W: int, stride: float) -> tuple[Tensor, Tensor]:
    y, x = torch.arange(0, H, stride), torch.arange(0, W, stride)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return grid_x, grid_y


def _no_axes(base: Tensor, grid: Sequence[int], stride: float) -> Tensor:
    """Locations [H*W, 4] plus anchors [A, 4]: works where one of them is alone."""
    x, y = _points(grid[0], grid[1], stride)
    together: Tensor = torch.stack([x, y, x, y], dim=-1).reshape(-1, 4).to(base.dtype) + base
    return together


def _case(probes: str, count: int, grid: tuple[int, int], stride: int = 16, **about: Any) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return base(d, count), list(grid), stride + d.integer(0, 3)

    return Case(probes, make, **about)


def _uneven(d: Draw) -> tuple[Any, ...]:
    """Anchors that are not centred, and have fractions."""
    return base(d, 2) + torch.tensor([0.25, -3.5, 5.25, 0.5]), [2, 3], 8


GRID_ANCHORS = Exercise(
    name="grid_anchors",
    points=3,
    reference=_reference,
    names=("base", "grid", "stride"),
    forbids=("grid_anchors", "__call__", "default_boxes"),
    rows=True,
    cases=(
        _case("one anchor at 2 rows of 3 locations", 1, (2, 3), core=True),
        _case("three anchors at each location", 3, (2, 3), core=True),
        _case("more rows than columns", 2, (4, 2), core=True),
        _case("a single location: the base anchors themselves", 3, (1, 1)),
        _case("one row", 2, (1, 4)),
        _case("one column", 2, (4, 1)),
        _case("as many rows as columns as anchors", 3, (3, 3), stride=5),
        _case("a wide stride", 1, (2, 3), stride=64),
        Case("base anchors that are not centred on (0, 0)", _uneven),
        Case(
            "float64 stays float64",
            lambda d: (base(d, 2).double() / 3, [3, 2], 8),
            dtype="exact",
        ),
    ),
    mistakes=(
        Mistake(
            "rows_for_columns",
            "Rows and columns are swapped: `grid` is (H, W), rows first. H belongs to y, W to x.",
            _laid(points=lambda H, W, s: _points(W, H, s)),
        ),
        Mistake(
            "x_for_y",
            "The row moved the anchors to the right and the column down. A step along the row, to "
            "the next column, changes x1 and x2; a step to the next row y1 and y2.",
            _laid(moves=lambda x, y: (y, x, y, x)),
        ),
        Mistake(
            "column_by_column",
            "The right anchors, column by column. The order is row by row: x runs fastest. (With "
            '`meshgrid` give y first, `indexing="ij"`.)',
            _laid(
                join=lambda base, centres: centres.transpose(0, 1)[:, :, None] + base,
            ),
        ),
        Mistake(
            "anchor_by_anchor",
            "The right anchors in another order: all locations of the first anchor, then of the "
            "second. The anchors of one location should stay together.",
            _laid(
                join=lambda base, centres: (centres[:, :, None] + base).permute(2, 0, 1, 3),
            ),
        ),
        Mistake(
            "in_the_middle",
            "Your centres lie half a stride further right and down, in the middles of the cells. "
            "Here location k lies at k · stride; some detectors choose (k + 0.5) · stride.",
            _laid(points=_at(0.5)),
        ),
        Mistake(
            "from_one",
            "Everything is one stride too far to the right and down: the first location lies at 0. "
            "Count from 0.",
            _laid(points=_at(1)),
        ),
        Mistake(
            "stride_forgotten",
            "The locations are one pixel apart. On the feature map they are; in the image "
            "neighbours are `stride` pixels apart.",
            _laid(points=lambda H, W, s: _points(H, W, 1)),
        ),
        Mistake(
            "stride_divided",
            "The locations were divided by the stride. From the feature map to the image you "
            "multiply.",
            _laid(points=lambda H, W, s: _points(H, W, 1 / s)),
        ),
        Mistake(
            "anchors_scaled",
            "The base anchors were multiplied by the stride as well. They are in pixels of the "
            "image already; only the location needs the stride.",
            lambda base, grid, stride: _laid()(base * stride, grid, stride),
        ),
        Mistake(
            "near_corner_only",
            "Only x1 and y1 were moved, so the anchors turn inside out. Add the location to both "
            "corners: (x, y, x, y).",
            _laid(moves=lambda x, y: (x, y, x * 0, y * 0)),
        ),
        Mistake(
            "to_the_right_only",
            "The anchors move to the right but never down: y of the location is not added.",
            _laid(moves=lambda x, y: (x, y * 0, x, y * 0)),
        ),
        Mistake(
            "down_only",
            "The anchors move down but never to the right: x of the location is not added.",
            _laid(moves=lambda x, y: (x * 0, y, x * 0, y)),
        ),
        Mistake(
            "spread_to_the_border",
            "`linspace` with both ends spreads the locations over the whole image, a bit more than "
            "a stride apart. Location k lies at k · stride: `torch.arange(W) * stride`.",
            _laid(points=_spread),
        ),
        Mistake(
            "one_too_few",
            "The last row and the last column are missing: there are H times W locations.",
            _laid(points=lambda H, W, s: _points(max(H - 1, 1), max(W - 1, 1), s)),
        ),
        Mistake(
            "one_too_many",
            "There is a row and a column too many. A fence of W posts has W − 1 gaps: the last "
            "location lies at (W − 1) · stride.",
            _laid(points=lambda H, W, s: _points(H + 1, W + 1, s)),
        ),
        Mistake(
            "locations_only",
            "These are the locations, once for each anchor, and not the anchors around them. Add "
            "the base anchors.",
            _laid(join=lambda base, centres: centres[:, :, None] + 0 * base),
        ),
        Mistake(
            "first_anchor_only",
            "Only the first base anchor was laid out. Every location gets all of them.",
            _laid(join=lambda base, centres: centres[:, :, None] + base[:1]),
        ),
        Mistake(
            "cut_at_zero",
            "Negative coordinates became 0. Anchors may leave the image; leave them as they are.",
            _laid(shape=lambda all_of_them: all_of_them.reshape(-1, 4).clamp(min=0)),
        ),
        Mistake(
            "range_in_strides",
            "`range(0, H, stride)` counts the rows of the feature map in steps of the stride. "
            "There are H rows, W columns: count all of them and multiply by the stride.",
            _laid(points=_in_strides),
        ),
        Mistake(
            "moves_in_pairs",
            "x was added to x1 and y1, y to x2 and y2. A box is x1, y1, x2, y2: add (x, y, x, y).",
            _laid(moves=lambda x, y: (x, x, y, y)),
        ),
        Mistake(
            "taken_away",
            "The location was taken away where it should be added: the anchors leave the image to "
            "the left and at the top.",
            _laid(join=lambda base, centres: base - centres[:, :, None]),
        ),
        Mistake(
            "no_axes",
            "Locations [H·W, 4] and anchors [A, 4] were added row by row, which works only for one "
            "anchor or one location. Every location with every anchor: give the locations an axis "
            "for the anchors, `centres[:, None] + base`, then `.reshape(-1, 4)`.",
            _no_axes,
        ),
        Mistake(
            "not_flat",
            "The numbers are right, the shape is [H, W, A, 4]. Make a list of it: "
            "`.reshape(-1, 4)`.",
            _laid(shape=lambda all_of_them: all_of_them),
        ),
    ),
    hints=(
        "The x of the locations are `torch.arange(W) * stride`, their y `torch.arange(H) * "
        "stride`. Each anchor of a location is a base anchor plus (x, y, x, y).",
        "Three loops do it, y outside, then x, then the base anchors: collect `box + "
        "torch.tensor([x, y, x, y])` and `torch.stack` the list. Without loops: `y, x = "
        'torch.meshgrid(ys, xs, indexing="ij")` gives [H, W] each.',
        "`centres = torch.stack([x, y, x, y], dim=-1)` is [H, W, 4]. Put a place for the anchors "
        "before the four: `centres[:, :, None] + base` is [H, W, A, 4]. Then `.reshape(-1, 4)`.",
    ),
)
