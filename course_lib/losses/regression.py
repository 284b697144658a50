"""Losses of boxes: smooth L1 on numbers, and four that look at the overlap instead."""

import torch
from jaxtyping import Float, Num
from torch import Tensor

from course_lib._checks import check_boxes
from course_lib._pairs import (
    complete_iou,
    distance_iou,
    float_type,
    generalized_iou,
    overlap,
    right_way_round,
)
from course_lib.losses._reduction import Reduction, check_floats, reduce


def smooth_l1_loss(
    input: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    beta: float | int = 1.0,
    reduction: Reduction = "none",
) -> Float[Tensor, "..."]:
    """d² / 2β where |d| < β, and |d| − β/2 beyond, of each difference d = input − target.

    Close to the target it is a parabola, whose slope dies down with the error; further out a line,
    so that a wild target pulls no harder than the others.

    Args:
        input: predicted numbers of any shape, in detection the deltas of boxes [N, 4].
        target: what they should be, of the same shape.
        beta: where the parabola becomes a line, in the unit of d. 0 for L1, |d|.
        reduction: "none" for one value a number [*shape], "mean" or "sum" for one in all [].

    Raises:
        TypeError: if one of the two is no tensor of floats.
        ValueError: if they differ in shape, beta is below 0, or the reduction is unknown.

    Dtype: that of input; half types are computed in float32.
    Source: Girshick, Fast R-CNN, ICCV 2015, eq. 3, whose β is 1; β itself is from Caffe's code of
        Faster R-CNN (1/9 there). torch.nn.functional.smooth_l1_loss has the mean as its default.
    """
    check_floats(input, "input")
    check_floats(target, "target")
    if input.shape != target.shape:
        raise ValueError(
            "input and target must have one shape, a target for each number, got "
            f"{list(input.shape)} and {list(target.shape)}"
        )
    if not beta >= 0:
        raise ValueError(f"beta must be 0 (for L1) or more, got {beta}")
    dtype = torch.promote_types(input.dtype, torch.float32)
    distance = (input.to(dtype) - target.to(dtype)).abs()
    if beta < torch.finfo(dtype).tiny:
        return reduce(distance, reduction).to(input.dtype)
    # Each distance is a way inside of β, under the parabola, and the rest of the way. One formula
    # instead of torch.where: what is not chosen there may overflow, and its gradient becomes NaN.
    inside = distance.clamp(max=beta)
    loss = 0.5 * inside * (inside / beta) + (distance - inside)
    return reduce(loss, reduction).to(input.dtype)


def iou_loss(
    boxes1: Num[Tensor, "N 4"],
    boxes2: Num[Tensor, "N 4"],
    reduction: Reduction = "none",
    eps: float | int = 1e-7,
) -> Float[Tensor, "..."]:
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
    inter, union = overlap(*_rows(boxes1, boxes2))  # [N] each
    iou = inter / union.clamp(min=eps)
    return reduce(-iou.clamp(min=eps).log(), reduction)


def generalized_box_iou_loss(
    boxes1: Num[Tensor, "N 4"],
    boxes2: Num[Tensor, "N 4"],
    reduction: Reduction = "none",
    eps: float | int = 1e-7,
) -> Float[Tensor, "..."]:
    """1 − GIoU of each pair, from 0 to 2: it pulls boxes together that do not touch.

    Args:
        boxes1: predicted boxes, xyxy in pixels.
        boxes2: target boxes, xyxy in pixels.
        reduction: "none" for one value a pair [N], "mean" or "sum" for one value in all [].
        eps: added to every divisor. In pixels it does not show; of boxes in 0..1, whose areas may
            be 1e-4, it costs the last digits. With 0 the loss is 1 − `generalized_box_iou`.

    Raises:
        ValueError: if the two lists differ in shape, or the reduction is unknown.

    Empty and inverted boxes: as in `course_lib.boxes`, with finite gradients.
    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019, algorithm 2.
        torchvision.ops.generalized_box_iou_loss.
    """
    return reduce(1 - generalized_iou(*_rows(boxes1, boxes2), eps), reduction)


def distance_box_iou_loss(
    boxes1: Num[Tensor, "N 4"],
    boxes2: Num[Tensor, "N 4"],
    reduction: Reduction = "none",
    eps: float | int = 1e-7,
) -> Float[Tensor, "..."]:
    """1 − DIoU of each pair, from 0 to 2: it pulls the centres together as well.

    Args:
        boxes1: predicted boxes, xyxy in pixels.
        boxes2: target boxes, xyxy in pixels.
        reduction: "none" for one value a pair [N], "mean" or "sum" for one value in all [].
        eps: added to every divisor; must be above 0 if two boxes may be one and the same point.

    Raises:
        ValueError: if the two lists differ in shape, or the reduction is unknown.

    Empty and inverted boxes: as in `course_lib.boxes`, with finite gradients.
    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, equation 7.
        torchvision.ops.distance_box_iou_loss.
    """
    return reduce(1 - distance_iou(*_rows(boxes1, boxes2), eps, eps), reduction)


def complete_box_iou_loss(
    boxes1: Num[Tensor, "N 4"],
    boxes2: Num[Tensor, "N 4"],
    reduction: Reduction = "none",
    eps: float | int = 1e-7,
) -> Float[Tensor, "..."]:
    """1 − CIoU of each pair, from 0 to below 3: it asks for the same proportions, too.

    Args:
        boxes1: predicted boxes, xyxy in pixels.
        boxes2: target boxes, xyxy in pixels.
        reduction: "none" for one value a pair [N], "mean" or "sum" for one value in all [].
        eps: added to every divisor; must be above 0 if two boxes may be equal.

    Raises:
        ValueError: if the two lists differ in shape, or the reduction is unknown.

    Empty and inverted boxes: as in `course_lib.boxes`, with finite gradients.
    Gradient: α counts as a constant.
    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, equation 10.
        torchvision.ops.complete_box_iou_loss, where another eps than 1e-7 reaches α only.
    """
    return reduce(1 - complete_iou(*_rows(boxes1, boxes2), eps, eps), reduction)


def _rows(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """The two lists [N, 4], checked, as `course_lib._pairs` wants them."""
    check_boxes(boxes1, "boxes1")
    check_boxes(boxes2, "boxes2")
    if boxes1.shape != boxes2.shape:
        raise ValueError(
            "boxes1 and boxes2 must have one shape [N, 4], row n of one belonging to row n of the "
            f"other, got {list(boxes1.shape)} and {list(boxes2.shape)}"
        )
    dtype = float_type(boxes1, boxes2)
    return right_way_round(boxes1.to(dtype)), right_way_round(boxes2.to(dtype))
