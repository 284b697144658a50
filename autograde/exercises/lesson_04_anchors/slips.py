"""What wrong answers are made of: box deltas there and back, with a slip of your choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors.inputs import CLIP

ONES = (1.0, 1.0, 1.0, 1.0)
Parts = tuple[Tensor, Tensor]  # centre [N, 2] and size [N, 2]


def parts(boxes: Tensor, one: float = 0) -> Parts:
    size = boxes[:, 2:] - boxes[:, :2] + one
    return boxes[:, :2] + size / 2, size


def by_corner(boxes: Tensor) -> Parts:
    return boxes[:, :2], boxes[:, 2:] - boxes[:, :2]


def by_far_corner(boxes: Tensor) -> Parts:
    return boxes[:, 2:], boxes[:, 2:] - boxes[:, :2]


def as_centres(boxes: Tensor) -> Parts:
    """Read as centre and size."""
    return boxes[:, :2], boxes[:, 2:]


def half_way(boxes: Tensor) -> Parts:
    """Half the size instead of the centre."""
    size = boxes[:, 2:] - boxes[:, :2]
    return size / 2, size


def centre_doubled(boxes: Tensor) -> Parts:
    return boxes[:, :2] + boxes[:, 2:], boxes[:, 2:] - boxes[:, :2]


def as_given(boxes: Tensor) -> Parts:
    """The last two numbers taken for width and height."""
    return boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]


def encode(
    split: Callable[[Tensor], Parts] = parts,
    shift: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda away, _, size_p: away / size_p,
    stretch: Callable[[Tensor, Tensor], Tensor] = lambda size, size_p: (size / size_p).log(),
    weigh: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    order: Sequence[int] = (0, 1, 2, 3),
) -> Callable[..., Tensor]:
    """encode_boxes with one step replaced."""

    def wrong(truths: Tensor, proposals: Tensor, weights: Sequence[float] = ONES) -> Tensor:
        (centre, size), (centre_p, size_p) = split(truths), split(proposals)
        codes = torch.cat([shift(centre - centre_p, size, size_p), stretch(size, size_p)], dim=1)
        return weigh(codes, codes.new_tensor(weights))[:, list(order)]

    return wrong


def decode(
    split: Callable[[Tensor], Parts] = parts,
    unweigh: Callable[[Tensor, Tensor], Tensor] = torch.div,
    clip: Callable[[Tensor, float], Tensor] = lambda codes, limit: torch.cat(
        [codes[:, :2], codes[:, 2:].clamp(max=limit)], dim=1
    ),
    grow: Callable[[Tensor, Tensor], Tensor] = lambda dwh, size: dwh.exp() * size,
    move: Callable[..., Tensor] = lambda dxy, size, _: dxy * size,
    corners: Callable[[Tensor, Tensor], tuple[Tensor, ...]] = lambda centre, size: (
        centre - size / 2,
        centre + size / 2,
    ),
    clip_first: bool = False,
) -> Callable[..., Tensor]:
    """decode_boxes with one step replaced."""

    def wrong(
        codes: Tensor, boxes: Tensor, weights: Sequence[float] = ONES, limit: float = CLIP
    ) -> Tensor:
        centre, size = split(boxes)
        if clip_first:
            codes = unweigh(clip(codes, limit), codes.new_tensor(weights))
        else:
            codes = clip(unweigh(codes, codes.new_tensor(weights)), limit)
        new_size = grow(codes[:, 2:], size)
        return torch.cat(corners(centre + move(codes[:, :2], size, new_size), new_size), dim=1)

    return wrong
