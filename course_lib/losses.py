"""Losses for detectors. B and N below count pairs: row n is compared with row n only."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib._checks import check_boxes

Reduction = Literal["none", "mean", "sum"]


def iou_loss(
    boxes1: Float[Tensor, "N 4"],
    boxes2: Float[Tensor, "N 4"],
    reduction: Reduction = "none",
    eps: float = 1e-7,
) -> Float[Tensor, ...]:
    """−ln(IoU) of each pair: the loss of UnitBox, and of FCOS after it.

    Args:
        boxes1: predicted boxes, xyxy in pixels.
        boxes2: target boxes, xyxy in pixels.
        reduction: "none" for one value a pair [N], "mean" or "sum" for one value in all [].
        eps: IoU is kept at or above it, so that boxes without overlap cost −ln(eps) ≈ 16
            instead of infinity. Their gradient is 0: they cannot be pulled together by this loss.

    Raises:
        ValueError: if the two lists differ in shape, or the reduction is unknown.

    Source: Yu et al., UnitBox, ACM MM 2016, Algorithm 1.
    """
    check_boxes(boxes1, "boxes1")
    check_boxes(boxes2, "boxes2")
    if boxes1.shape != boxes2.shape:
        raise ValueError(
            "boxes1 and boxes2 must have one shape [N, 4], row n of one belonging to row n of the "
            f"other, got {list(boxes1.shape)} and {list(boxes2.shape)}"
        )
    top_left = torch.maximum(boxes1[:, :2], boxes2[:, :2])  # [N, 2]
    bottom_right = torch.minimum(boxes1[:, 2:], boxes2[:, 2:])  # [N, 2]
    inter = (bottom_right - top_left).clamp(min=0).prod(dim=1)  # [N]
    area1, area2 = ((b[:, 2:] - b[:, :2]).prod(dim=1) for b in (boxes1, boxes2))
    union = area1 + area2 - inter
    iou = inter / union.clamp(min=eps)
    loss = -iou.clamp(min=eps).log()
    match reduction:
        case "none":
            return loss
        case "mean":
            return loss.mean()
        case "sum":
            return loss.sum()
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
