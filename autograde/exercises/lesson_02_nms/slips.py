"""What wrong answers are made of: greedy and soft suppression, with a slip of your choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.boxes import box_area, box_iou

AT_LEAST = (
    "Boxes whose IoU is exactly the threshold are dropped. The rule is *more than* the threshold: "
    "`>`, not `>=`."
)

Overlap = Callable[[Tensor, Tensor], Tensor]


def best_first(scores: Tensor) -> list[int]:
    order: list[int] = scores.argsort(descending=True, stable=True).tolist()
    return order


def indices(kept: Sequence[int]) -> Tensor:
    return torch.tensor(kept, dtype=torch.int64)


def greedy(
    boxes: Tensor,
    scores: Tensor,
    threshold: float,
    overlap: Overlap = box_iou,
    order: list[int] | None = None,
    drops: Callable[[Tensor, float], Tensor] = torch.gt,
) -> list[int]:
    """Greedy NMS with the chosen overlap, order and comparison."""
    table = overlap(boxes, boxes)
    left = best_first(scores) if order is None else order
    kept: list[int] = []
    while left:
        best, *left = left
        kept.append(best)
        left = [k for k in left if not drops(table[best, k], threshold)]
    return kept


def intersection(a: Tensor, b: Tensor, one: float = 0) -> Tensor:
    near = torch.maximum(a[:, None, :2], b[None, :, :2])
    far = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (far - near + one).clamp(min=0).prod(-1)


def iou_plus_one(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes that are taken to be one pixel longer on each side."""
    size_a, size_b = ((x[:, 2:] - x[:, :2] + 1).prod(1) for x in (a, b))
    shared = intersection(a, b, one=1)
    return shared / (size_a[:, None] + size_b[None] - shared)


def over_smaller(a: Tensor, b: Tensor) -> Tensor:
    return intersection(a, b) / torch.minimum(box_area(a)[:, None], box_area(b)[None])


Decay = Callable[[Tensor], Tensor]  # of an IoU [N]: what the scores are multiplied by


def decay(method: str, iou_threshold: float, sigma: float) -> Decay:
    if method == "linear":
        return lambda iou: torch.where(iou > iou_threshold, 1 - iou, torch.ones_like(iou))
    return lambda iou: torch.exp(-(iou**2) / sigma)


def soft(
    boxes: Tensor,
    scores: Tensor,
    least: float,
    decay: Decay,
    fixed_order: bool = False,
    stop: bool = False,
    own: bool = False,
    taken_decay: bool = False,
    last_of_equals: bool = False,
    compound: bool = True,
) -> tuple[Tensor, Tensor]:
    """Soft-NMS with the chosen decay.

    fixed_order: boxes come in the order of their first scores.
    stop: the first box that is too low ends it (as it may where the order is not fixed).
    own: the box that was taken is lowered, too.
    taken_decay: boxes that were taken before are lowered, too.
    last_of_equals: of equal scores the last is taken.
    compound: lowered scores are lowered again; else each time from the first score.
    """
    overlap, now, kept = box_iou(boxes, boxes), scores.clone(), list[int]()
    left = best_first(scores)
    while left:
        if not fixed_order:
            left.sort(key=lambda k: (-float(now[k]), -k if last_of_equals else k))
        best, *left = left
        if now[best] < least:
            if stop:
                break
            continue
        lowered = (now if compound else scores) * decay(overlap[best])
        for k in [*left, *(kept if taken_decay else []), *([best] if own else [])]:
            now[k] = lowered[k]
        kept.append(best)
    return indices(kept), now[kept]
