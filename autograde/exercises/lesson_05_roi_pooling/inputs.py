"""Inputs of lesson 05: boxes, feature maps and points, each made for one thing to probe.

Boxes are whole pixels whose corners lie clearly on one side of the middle between two cells, some
on each side, so that every way of rounding gives itself away. The numbers of a map are all
different. Points lie on eighths, so that nothing hangs on the seventh digit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.spec import Draw

H, W = 9, 11  # rows and columns of the maps


def pixel_boxes(d: Draw, count: int, stride: int = 16, longest: int = 5) -> Tensor:
    """`count` boxes of 3 to `longest` cells a side, in pixels, at neither whole nor half cells."""
    near = d.numbers(count, 2, high=2)
    cells = torch.cat([near, near + d.numbers(count, 2, low=3, high=longest)], dim=1)
    down = d.numbers(count, 4, low=1, high=(stride - 1) // 2)
    up = stride - down
    turn = (torch.arange(count)[:, None] + torch.tensor([0, 1, 1, 0])) % 2 == 0  # which go up
    return cells * stride + torch.where(turn, up, down)


def on_image(boxes: Tensor, *images: int) -> Tensor:
    """[R, 5]: with the number of the image in front."""
    return torch.cat([torch.tensor(images).to(boxes)[:, None], boxes], dim=1)


def features(d: Draw, B: int, C: int, rows: int = H, columns: int = W) -> Tensor:
    """Maps [B, C, rows, columns] of whole numbers, no two alike."""
    count = B * C * rows * columns
    order = d.numbers(count, high=10_000_000).argsort(stable=True).float()
    return (order + 1).reshape(B, C, rows, columns)


def surface(d: Draw, B: int, C: int, rows: int = H, columns: int = W) -> Tensor:
    """Maps of numbers from 0 to 10 in tenths: what is sampled between cells stays readable."""
    return d.numbers(B, C, rows, columns, high=100) / 10


def eighths(d: Draw, *shape: int) -> Tensor:
    """Fractions of 1/8, 2/8, 3/8, 5/8, 6/8 or 7/8: never in the middle between two cells."""
    k = d.numbers(*shape, low=1, high=6)
    return (k + (k > 3)) / 8


def points(d: Draw, *shape: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """y and x of points inside of a map, each between four cells, and y never like x."""
    y = d.numbers(*shape, high=rows - 2) + eighths(d, *shape)
    x = d.numbers(*shape, high=columns - 2) + eighths(d, *shape)
    return y, torch.where(x == y, x - x.floor() + (x.floor() + 1) % (columns - 1), x)
