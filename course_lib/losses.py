"""Losses for detectors: each prediction against its own target, and no other."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from course_lib._checks import check_boxes, check_tensor

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
    return _reduce(-iou.clamp(min=eps).log(), reduction)


def sigmoid_focal_loss(
    inputs: Float[Tensor, "*shape"],
    targets: Float[Tensor, "*shape"],
    alpha: float | int = 0.25,
    gamma: float | int = 2,
    reduction: Reduction = "none",
) -> Float[Tensor, ...]:
    """−α_t (1 − p_t)^γ ln(p_t) of each logit: cross entropy in which what is easy hardly counts.

    With p = sigmoid(input), p_t is the probability that was given to the truth: p for a target
    of 1, 1 − p for a target of 0. A target between mixes both, as in torchvision:
    p_t = p t + (1 − p)(1 − t), times the cross entropy −t ln(p) − (1 − t) ln(1 − p).

    Args:
        inputs: logits of any shape; K classes are K yes-or-no questions.
        targets: floats in 0..1 of the same shape, 1 where the class is present.
        alpha: weight of a target of 1; a target of 0 weighs 1 − alpha. Below 0: all weigh 1.
        gamma: 0 for plain cross entropy; the higher, the less the easy examples count.
        reduction: "none" for one value a logit [*shape], "mean" or "sum" for one value in all [].
            RetinaNet takes the sum and divides it by the number of matched anchors.

    Raises:
        TypeError: if one of the two is no tensor of floats.
        ValueError: if they differ in shape, alpha is above 1, gamma below 0, or the reduction
            is unknown.

    Dtype: that of inputs; half types are computed in float32.
    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 5.
        torchvision.ops.sigmoid_focal_loss, whose alpha below 0 must be −1. Logits of any size have
        a finite loss and gradient here, for every gamma.
    """
    for tensor, name in ((inputs, "inputs"), (targets, "targets")):
        check_tensor(tensor, name)
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must hold floats, got {tensor.dtype}; write {name}.float()")
    if inputs.shape != targets.shape:
        raise ValueError(
            "inputs and targets must have one shape, a target for each logit, got "
            f"{list(inputs.shape)} and {list(targets.shape)}"
        )
    if alpha > 1:
        raise ValueError(f"alpha must lie in 0..1, or below 0 for no weights, got {alpha}")
    if gamma < 0:
        raise ValueError(f"gamma must be 0 or more, got {gamma}")
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    x, t = inputs.to(dtype), targets.to(dtype)
    cross_entropy = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    # 1 − p_t as a sum of what is not negative: a subtraction from 1 would lose the small ones.
    doubt = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    # Above 0, because the slope of 0^γ is infinite for γ < 1.
    loss = doubt.clamp(min=torch.finfo(dtype).tiny) ** gamma * cross_entropy
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return _reduce(loss, reduction).to(inputs.dtype)


def _reduce(loss: Float[Tensor, "*shape"], reduction: Reduction) -> Float[Tensor, ...]:
    match reduction:
        case "none":
            return loss
        case "mean":
            return loss.mean()
        case "sum":
            return loss.sum()
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
