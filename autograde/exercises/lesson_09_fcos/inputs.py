"""Inputs of lesson 09: locations of levels, objects under them, and what a network says of them.

Locations lie at quarters, boxes at whole pixels: whether a location is inside, near or in range
does not hang on rounding, except where a case is about just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Draw

Places = tuple[Tensor, Tensor, Tensor]  # locations [N, 2], strides [N], ranges [N, 2]
Maps = list[Tensor]
INF = float("inf")


def signed(d: Draw, *shape: int, most: int = 12) -> Tensor:
    """Odd eighths from -most/4 to most/4: none is 0."""
    return (2 * d.numbers(*shape, low=-most, high=most - 1) + 1) / 8


def square(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y + h]


def corner(d: Draw) -> tuple[int, int]:
    return 4 * d.integer(3, 12), 4 * d.integer(3, 12)


# --- locations -----------------------------------------------------------------------------------


def places(
    points: Sequence[Sequence[float]],
    stride: float = 8,
    reach: Sequence[float] | Sequence[Sequence[float]] = (0, INF),
) -> Places:
    """The given locations, all of one level; reach: of the level, or of each location."""
    locations = torch.tensor(points).float()
    N = len(locations)
    ranges = torch.tensor(reach).float().expand(N, 2).clone()
    return locations, torch.full((N,), float(stride)), ranges


def level(
    x: float, y: float, rows: int, columns: int, stride: int = 8, reach: Sequence[float] = (0, INF)
) -> Places:
    """A grid of locations, the first of them at (x, y)."""
    points = [[x + stride * j, y + stride * i] for i in range(rows) for j in range(columns)]
    return places(points, stride, reach)


def joined(*levels: Places) -> Places:
    locations, strides, ranges = (torch.cat(part) for part in zip(*levels, strict=True))
    return locations, strides, ranges


def around(
    x: float, y: float, rows: int = 8, columns: int = 9, reach: Sequence[float] = (0, INF)
) -> Places:
    """Locations of stride 8 around a box with its corner at (x, y) and sides of 16·n and 16·n + 8.

    Of such a box's centre they are −6.75, 1.25 and 9.25 away in x, −8.75, −0.75 and 7.25 in y (or
    4 more): in a square of 12 about it, and not all of them in a circle.
    """
    return level(x + 1.25 - 8, y + 3.25 - 8, rows, columns, 8, reach)


def two_levels(x: float, y: float) -> Places:
    """Stride 8 for distances up to 16, stride 16 for those from 16 to 64."""
    fine = level(x + 1.25 - 8, y + 3.25 - 8, 8, 8, 8, (0, 16))
    return joined(fine, level(x + 5.25 - 16, y + 7.25 - 16, 5, 5, 16, (16, 64)))


# --- objects -------------------------------------------------------------------------------------


def large_and_thin(d: Draw) -> tuple[Places, Tensor]:
    """A large box, and one that is narrower than the square about its centre."""
    x, y = corner(d)
    boxes = [square(x, y, 48 + 16 * d.integer(0, 1), 40), square(x + 14, y - 10, 16, 70)]
    return around(x, y), torch.tensor(boxes).float()


def large_and_small(d: Draw) -> tuple[Places, Tensor]:
    """A range from 20 to 34, over a box of 48 x 40 and one of 24 x 20 in it."""
    x, y = corner(d)
    boxes = [square(x, y, 48, 40), square(x + 8, y + 4 * d.integer(1, 2), 24, 20)]
    return around(x, y, reach=(20, 34)), torch.tensor(boxes).float()


def small_beside_large(d: Draw) -> tuple[Places, Tensor]:
    """Two levels, and an object for each, and one for both."""
    x, y = corner(d)
    boxes = [
        square(x, y, 20 + 2 * d.integer(0, 2), 18),
        square(x + 4, y + 6, 52, 44 + 2 * d.integer(0, 2)),
        square(x + 26, y + 2, 26, 26),
    ]
    return two_levels(x, y), torch.tensor(boxes).float()


def nested(d: Draw) -> tuple[Places, Tensor]:
    """A box of 24 x 24 in one of 64 x 56, a little beside its centre."""
    x, y = corner(d)
    return around(x, y), torch.tensor(
        [square(x, y, 64, 56), square(x + 24, y + 20, 24, 20 + 4 * d.integer(0, 1))]
    ).float()


def labels_for(d: Draw, M: int) -> Tensor:
    """M different classes, none of them the number of its object."""
    shift = d.integer(1, 3)
    return torch.arange(M).flip(0) + M + shift


# --- what a network says -------------------------------------------------------------------------


def said(d: Draw, N: int, K: int, classes: Sequence[int]) -> tuple[Tensor, ...]:
    """Logits [N, K], sides [N, 4] and logits of the centre-ness [N]; classes, sides wanted."""
    kinds = torch.tensor(list(classes))
    wanted = (d.numbers(N, 4, low=2, high=20) / 4) * (kinds >= 0)[:, None]
    sides = d.numbers(N, 4, low=3, high=24) / 4 + 1 / 8
    return signed(d, N, K), sides, signed(d, N), kinds, wanted


def levels(d: Draw, *counts: int) -> tuple[Maps, Maps, Maps, Maps]:
    """Logits [N, 2], sides [N, 4], centre-ness [N] and locations [N, 2] of each level.

    No two boxes touch, and no two scores are alike.
    """
    logits, sides, central, points = [], [], [], []
    total = sum(counts)
    table = (d.numbers(2 * total, high=10_000_000).argsort(stable=True) + 1).float()
    table = (table / (2 * total) * 6 - 4 + 1 / 64).reshape(total, 2)
    start = 0
    for k, count in enumerate(counts):
        logits.append(table[start : start + count])
        sides.append(d.numbers(count, 4, low=12, high=60) / 4 * 2**k)
        central.append(signed(d, count))
        across = 40.5 + 70 * 2**k * torch.arange(float(count))
        points.append(torch.stack((across, torch.full((count,), 40.5 + 160 * k)), 1))
        start += count
    return logits, sides, central, points


def size_of(*parts: Any) -> list[int]:
    """(height, width) as a list: a sheet makes a list of a tuple."""
    return list(parts)
