"""What wrong answers are made of: the arithmetic of lesson 01, with a slip of your choice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PLUS_ONE = (
    "Each side is one pixel too long: there is a `+ 1` too many. Our boxes end where the next "
    "pixel begins (half-open), so a width is x2 − x1 and nothing more."
)
NO_CLAMP = (
    "Both side lengths came out negative, and their product is positive. "
    "An overlap has no negative side: stop each side at 0 before you multiply."
)


def sides(a: Tensor, b: Tensor, clamp: bool = True, one: float = 0) -> tuple[Tensor, Tensor]:
    """Width and height [N, M] of the pairwise overlap."""
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    side = bottom_right - top_left + one
    if clamp:
        side = side.clamp(min=0)
    return side[..., 0], side[..., 1]


def areas(boxes: Tensor, one: float = 0) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)


def divide(inter: Tensor, union: Tensor) -> Tensor:
    return torch.where(union > 0, inter / union.clamp(min=1e-12), torch.zeros_like(inter))


def iou_and_union(
    a: Tensor, b: Tensor, clamp: bool = True, one: float = 0
) -> tuple[Tensor, Tensor]:
    """(IoU [N, M], union [N, M]) with the chosen slip."""
    w, h = sides(a, b, clamp, one)
    inter = w * h
    union = areas(a, one)[:, None] + areas(b, one)[None] - inter
    return divide(inter, union), union


def enclosing_sides(a: Tensor, b: Tensor) -> Tensor:
    """Width and height of the smallest enclosing boxes [N, M, 2]."""
    top_left = torch.minimum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    return bottom_right - top_left


def as_corner_and_size(boxes: Tensor) -> Tensor:
    """Read xyxy numbers as if they were xywh."""
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def on(f: Callable[..., Tensor], change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """`f` on changed boxes."""
    return lambda a, b: f(change(a), change(b))


def centres(boxes: Tensor) -> Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return ((centres(a)[:, None] - centres(b)[None]) ** 2).sum(-1)


def squared_diagonal(a: Tensor, b: Tensor) -> Tensor:
    return (enclosing_sides(a, b) ** 2).sum(-1)


def tell_iou(name: str) -> str:
    return f"This is plain IoU: the penalty that makes it {name} is missing."
