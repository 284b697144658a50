"""Inputs of lesson 07: scenes and answers on a grid, each made for one thing to probe.

Centres lie at eighths of a cell, never in its middle and never at the same place across and down,
unless a case is about that; cells are powers of two pixels wide, so that which cell a centre is in
does not hang on rounding. Who is responsible is never a close call, unless a case is about ties.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.spec import Draw

K = 3
Scene = tuple[Tensor, Tensor, list[int], int, int]  # boxes, labels, size, S, K


def shuffled(d: Draw, count: int) -> Tensor:
    """0..count-1 in another order."""
    return d.numbers(count, high=1_000_000).argsort(stable=True)


def cells(d: Draw, count: int, S: int) -> tuple[Tensor, Tensor]:
    """`count` different cells off the diagonal, as rows and columns."""
    off = torch.tensor([k for k in range(S * S) if k // S != k % S])
    chosen = off[shuffled(d, len(off))[:count]]
    return chosen // S, chosen % S


def offsets(d: Draw, count: int) -> Tensor:
    """Where in its cell a centre lies, [count, 2]: eighths, x in one half and y in the other."""
    low, high = d.numbers(count, low=1, high=3) / 8, d.numbers(count, low=5, high=7) / 8
    flip = torch.arange(count) % 2 == d.integer(0, 1)
    return torch.stack([torch.where(flip, low, high), torch.where(flip, high, low)], dim=1)


def sides(d: Draw, count: int, size: list[int]) -> Tensor:
    """Width and height in pixels, [count, 2]: even, wide and tall ones in turn, all different."""
    short = d.numbers(count, low=3, high=6) * 2 + 10 * torch.arange(count)
    long = short + d.numbers(count, low=5, high=9) * 2
    wide = torch.arange(count) % 2 == d.integer(0, 1)
    whole = torch.stack([torch.where(wide, long, short), torch.where(wide, short, long)], dim=1)
    return whole.clamp(max=min(size))


def around(centre: Tensor, side: Tensor) -> Tensor:
    return torch.cat([centre - side / 2, centre + side / 2], dim=1)


def objects(d: Draw, count: int, size: list[int], S: int) -> tuple[Tensor, Tensor]:
    """`count` boxes in cells of their own, and labels that go through the classes."""
    row, column = cells(d, count, S)
    stride = torch.tensor([size[1] / S, size[0] / S])
    centre = (torch.stack([column, row], dim=1) + offsets(d, count)) * stride
    labels = (torch.arange(count) + d.integer(0, K - 1)) % K
    return around(centre, sides(d, count, size)), labels


def scene(d: Draw, count: int, size: tuple[int, int] = (128, 128), S: int = 4) -> Scene:
    boxes, labels = objects(d, count, list(size), S)
    return boxes, labels, list(size), S, K


def target_of(d: Draw, count: int, S: int) -> Tensor:
    """What `encode_grid` makes of a scene, [S, S, 5 + K]."""
    row, column = cells(d, count, S)
    target = torch.zeros(S, S, 5 + K)
    roots = (sides(d, count, [128]) / 128).sqrt()
    flag = torch.ones(count, 1)
    labels = torch.eye(K)[(torch.arange(count) + d.integer(0, K - 1)) % K]
    target[row, column] = torch.cat([offsets(d, count), roots, flag, labels], dim=1)
    return target


def answer_to(d: Draw, target: Tensor, A: int) -> Tensor:
    """What a network says that has learned a little: [S, S, A*5 + K].

    In a cell with an object one predictor, any of them, is near the truth and not very sure; the
    others are far off, and one of them is more sure. All numbers are sixteenths or rough anyway.
    """
    S = len(target)
    places, roots = d.numbers(S, S, A, 2, low=1, high=15), d.numbers(S, S, A, 2, low=1, high=5)
    boxes = torch.cat([places, roots], dim=3) / 16
    confidence = d.numbers(S, S, A, 1, low=9, high=15) / 16
    classes = d.numbers(S, S, K, low=1, high=14) / 16
    for row, column in (target[..., 4] > 0).nonzero().tolist():
        near = d.integer(0, A - 1)
        off = d.numbers(4, low=1, high=3) / 64 * torch.tensor([1, -1, 1, -1])
        boxes[row, column, near] = target[row, column, :4] + off
        confidence[row, column, near] = d.numbers(1, low=3, high=7) / 16
    return torch.cat([torch.cat([boxes, confidence], dim=3).flatten(2), classes], dim=2)


def answers(d: Draw, counts: list[int], A: int = 2, S: int = 3) -> tuple[Tensor, Tensor]:
    """Predictions and targets of images with so many objects each: [B, S, S, ...]."""
    targets = [target_of(d, count, S) for count in counts]
    said = [answer_to(d, target, A) for target in targets]
    return torch.stack(said), torch.stack(targets)
