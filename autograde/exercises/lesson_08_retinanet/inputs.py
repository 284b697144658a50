"""Inputs of lesson 08: maps, weights, anchors and what a network says of them.

Numbers are eighths and sixteenths, sizes whole pixels: whether an IoU or a score reaches a
threshold does not hang on rounding, and no two scores of a table are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Draw

Size = tuple[int, int]
Maps = list[Tensor]


def signed(d: Draw, *shape: int, most: int = 12) -> Tensor:
    """Odd eighths from -most/4 to most/4: none is 0."""
    return (2 * d.numbers(*shape, low=-most, high=most - 1) + 1) / 8


# --- maps and weights ----------------------------------------------------------------------------


def backbone_maps(d: Draw, sizes: Sequence[Size], channels: Sequence[int], B: int = 1) -> Maps:
    """A map [B, channels, H, W] for each level, finest first."""
    return [signed(d, B, c, *size) for c, size in zip(channels, sizes, strict=True)]


def laterals(d: Draw, channels: Sequence[int], wanted: int) -> tuple[Maps, Maps]:
    """Weights [wanted, channels, 1, 1] and biases [wanted] for each level."""
    return (
        [signed(d, wanted, c, 1, 1, most=6) for c in channels],
        [signed(d, wanted, most=16) for _ in channels],
    )


def tower(d: Draw, C: int, depth: int, last: int) -> tuple[Maps, Maps]:
    """Weights and biases of `depth` convolutions C to C and of a last one, C to `last`.

    Sixteenths, and biases that let some channels through and not others.
    """
    shapes = [C] * depth + [last]
    weights = [signed(d, n, C, 3, 3, most=4) / 2 for n in shapes]
    return weights, [signed(d, n, most=8) for n in shapes]


# --- anchors and objects -------------------------------------------------------------------------


def square(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y + h]


def row_of_anchors(d: Draw, count: int, side: int = 32) -> Tensor:
    """Square anchors beside each other, [count, 4], from a corner of chance."""
    x, y = d.integer(0, 40), d.integer(0, 40)
    return torch.tensor([square(x + 2 * side * n, y, side, side) for n in range(count)]).float()


def graded_objects(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Five anchors; objects cover 3/4, 1/2, 29/64, 3/8 of the first four, each from the left.

    So their IoU is 0.75, 0.5, 0.453 and 0.375. The fifth sees nothing. Two further anchors are the
    third and the fourth object's best, so that these are nobody's low-quality match; another one is
    the first object's second, with 0.6.
    """
    anchors = row_of_anchors(d, 5, 32)
    parts = torch.tensor([24.0, 16.0, 14.5, 12.0])
    boxes = anchors[:4].clone()
    boxes[:, 2] = boxes[:, 0] + parts
    better = boxes[2:] + torch.tensor([0.0, 0.0, 1.0, 2.0])
    labels = d.numbers(9, high=1_000_000).argsort(stable=True)[:4]  # four different classes
    second = anchors[:1] + torch.tensor([0.0, 0.0, 0.0, 8.0])
    return torch.cat([anchors, better, second]), boxes, labels


def rescued_object(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """A small object whose best anchor overlaps it by 1/4 only, and one with a good anchor."""
    anchors = row_of_anchors(d, 4, 32)
    small = anchors[1:2].clone()
    small[:, 2:] = small[:, :2] + 16
    good = anchors[3:4] + torch.tensor([2.0, 0.0, 2.0, 4.0])
    return anchors, torch.cat([small, good]), torch.tensor([d.integer(1, 4), d.integer(5, 8)])


def rivals(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Two objects over one anchor: it takes the one it overlaps more, which comes second."""
    anchors = row_of_anchors(d, 3, 32)
    first, second = anchors[1:2].clone(), anchors[1:2].clone()
    first[:, 3] -= 12
    second[:, 2] -= 4
    apart = d.integer(1, 3)
    return anchors, torch.cat([first, second]), torch.tensor([apart, apart + d.integer(1, 3)])


def moved_object(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """One object that is moved and stretched in both directions, by different parts of a side."""
    anchors = row_of_anchors(d, 3, 32)
    anchors[:, 3] += 16  # 32 wide, 48 high
    moves = torch.tensor([4.0, 3.0, 4.0 + 6.0, 3.0 - 8.0])
    return anchors, anchors[1:2] + moves, torch.tensor([d.integer(0, 5)])


def no_objects(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    return row_of_anchors(d, 3), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)


def crowd_of_anchors(d: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """A grid of 5 x 6 anchors of two sizes and three objects, as in a picture."""
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    corner = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4) * 16
    base = torch.tensor([[-12.0, -12, 12, 12], [-20, -20, 20, 20]])
    anchors = (corner + base).reshape(-1, 4)
    size = d.numbers(3, 2, low=21, high=37)
    start = torch.tensor([[2.0, 3], [45, 8], [20, 40]]) + d.numbers(3, 2, high=5) + 1 / 3
    return anchors, torch.cat([start, start + size], 1), torch.tensor([1, 0, 4])


# --- what a network says -------------------------------------------------------------------------


def said(
    d: Draw, N: int, K: int, classes: Sequence[int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits [N, K], deltas [N, 4], classes [N], wanted deltas [N, 4] (0 where no object)."""
    logits, deltas = signed(d, N, K), signed(d, N, 4, most=4)
    kinds = torch.tensor(list(classes or []))
    wanted = signed(d, N, 4, most=4) / 2 * (kinds >= 0)[:, None]
    return logits, deltas, kinds, wanted


def table_of_logits(d: Draw, N: int, K: int) -> Tensor:
    """Logits [N, K] from about -6 to 3, all different, none at a threshold that is asked for."""
    order = d.numbers(N * K, high=10_000_000).argsort(stable=True).float()
    return (order * (9 / (N * K)) - 6 + 1 / 64).reshape(N, K)


def levels(d: Draw, *counts: int) -> tuple[Maps, Maps, Maps]:
    """Logits [N, 2], deltas [N, 4] and anchors [N, 4] for each level; anchors apart by far."""
    logits, deltas, anchors = [], [], []
    total = sum(counts)
    scores = (d.numbers(2 * total, high=10_000_000).argsort(stable=True) + 1).float()
    scores = (scores / (2 * total) * 6 - 4 + 1 / 64).reshape(total, 2)
    start = 0
    for level, count in enumerate(counts):
        side = 16 * 2**level
        boxes = [square(20 + 70 * n, 10 + 150 * level, side, side + 4) for n in range(count)]
        anchors.append(torch.tensor(boxes).float())
        deltas.append(signed(d, count, 4, most=2))
        logits.append(scores[start : start + count])
        start += count
    return logits, deltas, anchors


def size_of(*parts: Any) -> list[int]:
    """(height, width) as a list: a sheet makes a list of a tuple."""
    return list(parts)
