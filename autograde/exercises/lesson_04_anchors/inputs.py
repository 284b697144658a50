"""Inputs of lesson 04: anchors, boxes, deltas and tables of IoU, each made for one thing to probe.

IoU comes in sixteenths or 64ths, sizes in whole pixels: whether a number reaches a threshold does
not hang on rounding. Base anchors are chosen so that no corner lies near the middle between two
pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autograde.spec import Draw

Sizes = list[int | float]
CLIP = math.log(1000 / 16)


def sizes(d: Draw, count: int, ratios: Sequence[int | float], low: int = 20) -> Sizes:
    """`count` different even sizes, small ones first, whose corners are not ties of rounding."""
    found: Sizes = []
    least = low
    while len(found) < count:
        size = 2 * d.integer(least // 2, least // 2 + 12)
        halves = [size * math.sqrt(r) / 2 for r in ratios]
        halves += [size / math.sqrt(r) / 2 for r in ratios]
        if all(abs(half % 1 - 0.5) > 0.05 for half in halves):
            found.append(size)
            least = size + 10
    return found


def base(d: Draw, count: int) -> Tensor:
    """Boxes around (0, 0) of whole-number sides, no two alike and none of them square."""
    half = d.numbers(count, 2, low=4, high=12)
    half[:, 1] = half[:, 0] + 3 + torch.arange(count) * 2
    return torch.cat([-half, half], dim=1)


def pairs(d: Draw, count: int) -> tuple[Tensor, Tensor]:
    """Two lists of boxes, row n near row n, of different sizes; sides are even, none is square."""
    half = d.numbers(count, 2, low=4, high=12)
    half[:, 1] += 9  # higher than wide
    centre = d.numbers(count, 2, low=40, high=90)
    other = half + d.numbers(count, 2, low=2, high=6)
    moved = centre + torch.stack(
        [d.numbers(count, low=2, high=6), -d.numbers(count, low=7, high=11)], dim=1
    )
    return torch.cat([moved - other, moved + other], 1), torch.cat(
        [centre - half, centre + half], 1
    )


def deltas(d: Draw, count: int) -> Tensor:
    """Deltas of ordinary size: dx to the right, dy up, wider, less high."""
    size = d.numbers(count, 4, low=10, high=60) / 100
    return size * torch.tensor([1.0, -1.0, 1.0, -1.0])


def boxes(d: Draw, count: int) -> Tensor:
    """Boxes of even sides, higher than wide, away from the border."""
    return pairs(d, count)[1]


def table(rows: Sequence[Sequence[int]], of: int = 16) -> Tensor:
    """IoU of truths (rows) with anchors (columns), written in sixteenths (or 64ths)."""
    return torch.tensor(rows, dtype=torch.float32) / of


def mixed(d: Draw, iou: Tensor) -> Tensor:
    """The same table with its anchors in another order."""
    return iou[:, d.numbers(iou.shape[1], high=1_000_000).argsort(stable=True)]


def many(d: Draw, truths: int, anchors: int) -> Tensor:
    """A table without ties: every number of 1..truths*anchors once, over a bit more than that."""
    count = truths * anchors
    place = d.numbers(count, high=10_000_000).argsort(stable=True).float()
    return ((place + 1) / (count + 3)).reshape(truths, anchors) ** 2


def shapes(d: Draw, count: int) -> Tensor:
    """(width, height) of `count` boxes, wide and tall ones in turn, whole numbers."""
    small, large = d.numbers(count, low=4, high=12), d.numbers(count, low=15, high=40)
    wide = torch.arange(count) % 2 == 0
    return torch.stack([torch.where(wide, large, small), torch.where(wide, small, large)], dim=1)
