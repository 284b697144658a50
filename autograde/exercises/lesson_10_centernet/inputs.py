"""Inputs of lesson 10: objects on a map, and what a network says of them.

Numbers are eighths, so that no place, score or order hangs on rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Draw
from course_lib.models.centernet import gaussian_heatmap

Size = Sequence[int]
Triple = tuple[Tensor, Tensor, Tensor]


def signed(d: Draw, *shape: int, most: int = 12) -> Tensor:
    """Odd eighths from -most/4 to most/4: none is 0."""
    return (2 * d.numbers(*shape, low=-most, high=most - 1) + 1) / 8


# --- objects on a map ----------------------------------------------------------------------------


def drawn(objects: Sequence[Sequence[int]], shift: Sequence[int] = (0, 0)) -> Triple:
    """Places, radii and labels of objects given as (column, row, radius, class)."""
    table = torch.tensor([list(one) for one in objects], dtype=torch.int64).reshape(-1, 4)
    return table[:, :2] + torch.tensor(list(shift)), table[:, 2], table[:, 3]


def no_drawn(d: Draw) -> tuple[Any, ...]:
    return *drawn([]), [d.integer(3, 6), d.integer(3, 6)], d.integer(1, 3)


def boxes_at(centres: Sequence[Sequence[float]], sides: Tensor, stride: int) -> Tensor:
    """Boxes [M, 4] in pixels with centres given in locations and sides [M, 2] in pixels."""
    middle = torch.tensor([list(one) for one in centres]).reshape(-1, 2) * stride
    return torch.cat([middle - sides / 2, middle + sides / 2], 1)


# --- what a network says -------------------------------------------------------------------------


def one_target(d: Draw, K: int, H: int, W: int, places: Sequence[Sequence[int]]) -> list[Tensor]:
    """heatmap [K, H, W], places [M, 2], sizes [M, 2] and offsets [M, 2] of one image."""
    where = torch.tensor([list(p) for p in places], dtype=torch.int64).reshape(-1, 2)
    M = len(where)
    labels = d.numbers(M, high=K - 1).long()
    radii = d.numbers(M, low=0, high=2)
    heatmap = gaussian_heatmap(where, radii, labels, (H, W), K)
    sizes = d.numbers(M, 2, low=8, high=40) / 8
    offsets = (d.numbers(M, 2, low=0, high=3) * 2 + 1) / 8
    return [heatmap, where, sizes, offsets]


def said(d: Draw, B: int, K: int, H: int, W: int) -> Triple:
    """Logits [B, K, H, W], sizes and offsets [B, 2, H, W]."""
    return signed(d, B, K, H, W), signed(d, B, 2, H, W) * 2 + 4, signed(d, B, 2, H, W, most=6)


def probabilities(d: Draw, K: int, H: int, W: int) -> Tensor:
    """A map [K, H, W] of different numbers in (0, 1), in an order of chance."""
    order = d.numbers(K * H * W, high=10_000_000).argsort(stable=True).argsort()
    return ((order + 1) / (K * H * W + 2)).float().reshape(K, H, W)


def peaked(d: Draw, K: int, H: int, W: int, peaks: Sequence[Sequence[float]]) -> Triple:
    """Probabilities with peaks (class, column, row, height), sizes and offsets; no two alike.

    Around each peak the map falls off in steps; elsewhere it is below 0.05.
    """
    heatmap = probabilities(d, K, H, W) / 20
    for k, column, row, height in peaks:
        x, y = torch.arange(W) - column, torch.arange(H)[:, None] - row
        tilt = 1 - 0.01 * x.sign() - 0.03 * y.sign()
        bump = height * torch.exp(-(x**2 + y**2) / 1.5) * tilt * ((x.abs() <= 2) & (y.abs() <= 2))
        heatmap[int(k)] = torch.maximum(heatmap[int(k)], bump)
    size = d.numbers(2, H, W, low=9, high=24) / 8
    size[0] += 1
    offset = (d.numbers(2, H, W, low=0, high=3) * 2 + 1) / 8
    return heatmap, size, offset
