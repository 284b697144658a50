"""Inputs of lesson 01: pairs and lists of boxes, each with one thing to probe."""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.spec import Case, Draw


def apart(d: Draw) -> tuple[Tensor, Tensor]:
    """Two boxes with a small gap both across and down.

    Small, so that two negative sides multiply to less than the areas: a missing clamp shows.
    """
    a, b = d.boxes(1, 40, smallest=10), d.boxes(1, 40, smallest=10)
    gap = d.numbers(1, 2, low=3, high=9)
    corner = a[:, 2:] + gap
    return a, torch.cat([corner, corner + b[:, 2:] - b[:, :2]], dim=1)


def beside(d: Draw) -> tuple[Tensor, Tensor]:
    """Two boxes at the same height with a gap between them."""
    a = d.boxes(1, 40)
    return a, a + torch.tensor([50.0, 3.0, 50.0, 3.0])


def touching(d: Draw) -> tuple[Tensor, Tensor]:
    """The right edge of one is the left edge of the other."""
    a = d.boxes(1, 40)
    width = float(a[0, 2] - a[0, 0])
    return a, a + torch.tensor([width, 0.0, width, 0.0])


def nested(d: Draw) -> tuple[Tensor, Tensor]:
    """A small box well inside a large one."""
    a = d.boxes(1, 80, smallest=25)
    return a, a + torch.tensor([5.0, 4.0, -7.0, -9.0])


def overlapping(d: Draw) -> tuple[Tensor, Tensor]:
    """Two boxes that share a corner region."""
    a = d.boxes(1, 60, smallest=16)
    dx, dy = float(d.integer(4, 10)), float(d.integer(3, 9))
    return a, a + torch.tensor([dx, dy, dx + 6, dy + 3])


def identical(d: Draw) -> tuple[Tensor, Tensor]:
    a = d.boxes(1)
    return a, a.clone()


def table(d: Draw) -> tuple[Tensor, Tensor]:
    """2 boxes against 3, as they come: some overlap, some do not."""
    return d.boxes(2, 50, smallest=12), d.boxes(3, 50, smallest=12)


def big_table(d: Draw) -> tuple[Tensor, Tensor]:
    return d.boxes(d.integer(8, 14), 90), d.boxes(d.integer(15, 20), 90)


def none_first(d: Draw) -> tuple[Tensor, Tensor]:
    return torch.zeros(0, 4), d.boxes(3)


def both_empty(d: Draw) -> tuple[Tensor, Tensor]:
    """Two boxes without area, at two places."""
    corner = d.numbers(1, 2)
    point = torch.cat([corner, corner], dim=1)
    return point, point + 1


def overlapping_double(d: Draw) -> tuple[Tensor, Tensor]:
    a, b = overlapping(d)
    return a.double() / 3, b.double() / 3


def overlapping_fractions(d: Draw) -> tuple[Tensor, Tensor]:
    """Overlapping boxes with no two equal edges, so that every gradient is unique."""
    a, b = overlapping(d)
    return a / 4, b / 4 + 0.0625


def other_shapes(d: Draw) -> tuple[Tensor, Tensor]:
    """A lying box and a standing one that overlap, with no two equal edges."""
    x, y = float(d.integer(0, 20)), float(d.integer(20, 40))
    wide = torch.tensor([[x, y, x + d.integer(40, 48), y + d.integer(12, 15)]])
    tall = torch.tensor([[x + 7.5, y - 9.5, x + 7.5 + d.integer(15, 19), y + d.integer(30, 40)]])
    return wide, tall


def pairs(d: Draw) -> tuple[Tensor, Tensor]:
    """4 overlapping pairs, row by row."""
    a = d.boxes(4, 60, smallest=20)
    return a, a + d.numbers(4, 4, low=1, high=6)


def pairs_apart(d: Draw) -> tuple[Tensor, Tensor]:
    a, b = pairs(d)
    return a, b + 100


SHARED_CASES = (
    Case("boxes that overlap", overlapping, core=True),
    Case("boxes that do not overlap", apart, core=True),
    Case("2 boxes against 3", table, core=True),
    Case("boxes that only touch", touching),
    Case("one box inside the other", nested),
    Case("a box and itself: 1", identical),
    Case("no boxes at all in the first list", none_first),
    Case("float64 stays float64", overlapping_double, dtype="exact"),
)
