"""IoU and what grew out of it, for boxes that broadcast: what `boxes` and `losses` share.

boxes1 [N, 1, 4] with boxes2 [M, 4] compares every box with every box, [N, M]; [N, 4] with [N, 4]
compares row by row, [N]. The shapes in the comments are those of the first kind.

Boxes here are xyxy, both of `float_type`, and `right_way_round`. What has no area has an IoU of 0,
never NaN, with a gradient of 0.

A name that ends in _ works in place. It is used on fresh matrices only: memory traffic, not
arithmetic, is what these functions wait for. Autograd keeps the copies that it needs.
"""

import math

import torch
from torch import Tensor


def float_type(boxes1: Tensor, boxes2: Tensor) -> torch.dtype:
    """What two sets are compared in: float64 where one of them has it, float32 for all others."""
    both = torch.promote_types(boxes1.dtype, boxes2.dtype)
    return both if both == torch.float64 else torch.float32


def right_way_round(boxes: Tensor) -> Tensor:
    """New boxes [..., 4], in which an inverted side ends where it starts."""
    start, end = boxes.split(2, dim=-1)  # [..., 2] each
    return torch.cat((start, torch.maximum(start, end)), dim=-1)


def overlap(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Area of the intersection and of the union, [N, M] each."""
    left1, top1, right1, bottom1 = boxes1.unbind(-1)  # [N, 1] each
    left2, top2, right2, bottom2 = boxes2.unbind(-1)  # [M] each
    # x and y apart, so that every matrix is [N, M] and lies in one piece. The clamp matters: boxes
    # that are apart on both axes have two negative sides, and their product is positive.
    width = torch.minimum(right1, right2).sub_(torch.maximum(left1, left2)).clamp_(min=0)
    height = torch.minimum(bottom1, bottom2).sub_(torch.maximum(top1, top2)).clamp_(min=0)
    inter = width.mul_(height)
    area1 = (right1 - left1) * (bottom1 - top1)  # [N, 1]
    area2 = (right2 - left2) * (bottom2 - top2)  # [M]
    return inter, (area1 + area2).sub_(inter)


def iou(boxes1: Tensor, boxes2: Tensor, eps: float | int = 0) -> Tensor:
    """|A ∩ B| / (|A ∪ B| + eps), [N, M]."""
    inter, union = overlap(boxes1, boxes2)  # [N, M] each
    return inter.div_(_divisor(union, eps))


def generalized_iou(boxes1: Tensor, boxes2: Tensor, eps: float | int = 0) -> Tensor:
    """|A ∩ B| / (|A ∪ B| + eps) - |C \\ (A ∪ B)| / (|C| + eps), [N, M]."""
    inter, union = overlap(boxes1, boxes2)  # [N, M] each
    width, height = _enclosing_sides(boxes1, boxes2)  # [N, M] each
    enclosing = width.mul_(height)
    # Before the last line turns a union of 0 into infinity.
    empty_share = (enclosing - union).div_(_divisor(enclosing, eps))
    return inter.div_(_divisor(union, eps)).sub_(empty_share)


def distance_iou(
    boxes1: Tensor, boxes2: Tensor, eps: float | int, union_eps: float | int = 0
) -> Tensor:
    """IoU - ρ² / (c² + eps), [N, M]."""
    return iou(boxes1, boxes2, union_eps).sub_(_centre_distance(boxes1, boxes2, eps))


def complete_iou(
    boxes1: Tensor, boxes2: Tensor, eps: float | int, union_eps: float | int = 0
) -> Tensor:
    """IoU - ρ² / (c² + eps) - α v with α = v / (1 - IoU + v + eps), a constant: [N, M]."""
    overlapping = iou(boxes1, boxes2, union_eps)
    v = _aspect_angle(boxes1) - _aspect_angle(boxes2)  # [N, 1] - [M] -> [N, M]
    v = v.square_().mul_(4 / math.pi**2)
    with torch.no_grad():
        alpha = v / (1 - overlapping).add_(v).add_(eps)
    return overlapping.sub_(_centre_distance(boxes1, boxes2, eps)).sub_(alpha.mul_(v))


def _enclosing_sides(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both, [N, M] each."""
    left1, top1, right1, bottom1 = boxes1.unbind(-1)  # [N, 1] each
    left2, top2, right2, bottom2 = boxes2.unbind(-1)  # [M] each
    width = torch.maximum(right1, right2).sub_(torch.minimum(left1, left2))
    height = torch.maximum(bottom1, bottom2).sub_(torch.minimum(top1, top2))
    return width, height


def _centre_distance(boxes1: Tensor, boxes2: Tensor, eps: float | int) -> Tensor:
    """ρ² / (c² + eps), [N, M]: 0 for equal centres, below 1 for any."""
    cx1, cy1 = ((boxes1[..., :2] + boxes1[..., 2:]) / 2).unbind(-1)  # [N, 1] each
    cx2, cy2 = ((boxes2[..., :2] + boxes2[..., 2:]) / 2).unbind(-1)  # [M] each
    distance2 = (cx1 - cx2).square_().add_((cy1 - cy2).square_())  # [N, M]
    width, height = _enclosing_sides(boxes1, boxes2)  # [N, M] each
    diagonal2 = width.square_().add_(height.square_()).add_(eps)
    return distance2.div_(diagonal2)


def _aspect_angle(boxes: Tensor) -> Tensor:
    """atan(w / h) of each box, [..., 4] to [...], with a finite gradient where h is 0."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    # Of a point, w / h is 0 / 0. atan2 answers 0 there, and PyTorch makes its gradient 0 as well.
    return torch.atan2(width, height)


def _divisor(matrix: Tensor, eps: float | int) -> Tensor:
    """The fresh `matrix`, changed in place: eps more, and infinite where it was 0.

    So 0 divided by its zeros is 0. x / inf and its two gradients, 1 / inf and x / inf², are all 0.
    A small number in place of infinity would do for the value only: the gradient 1 / small is huge.
    """
    matrix = matrix.masked_fill_(matrix == 0, math.inf)
    return matrix.add_(eps) if eps else matrix
