"""YOLO's loss: five sums of squares."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Num
from torch import Tensor
from torch.nn.functional import one_hot

from course_lib.models.yolo.grid import split_cells, who_answers


class YoloLoss(NamedTuple):
    """The five terms, weights included, [] each; their sum is what training minimises."""

    centre: Num[Tensor, ""]
    size: Num[Tensor, ""]
    object: Num[Tensor, ""]
    no_object: Num[Tensor, ""]
    classes: Num[Tensor, ""]


def yolo_loss(
    predictions: Num[Tensor, "B S S channels"],
    targets: Num[Tensor, "B S S target"],
    num_boxes: int = 2,
    lambda_coord: float | int = 5.0,
    lambda_noobj: float | int = 0.5,
) -> YoloLoss:
    """The squared errors of everything that the network says, in five weighted terms.

        centre      λ_coord · Σ (x - x̂)² + (y - ŷ)²         responsible predictors
        size        λ_coord · Σ (√w - √ŵ)² + (√h - √ĥ)²     responsible predictors
        object      Σ (C - IoU)²                            responsible predictors
        no_object   λ_noobj · Σ C²                          all other predictors
        classes     Σ (p(c) - p̂(c))²                        cells with an object, all classes

    Shapes: [B, S, S, A*5 + K] and targets [B, S, S, 5 + K] (`encode_grid`, stacked) to five of [].
        Each is summed over cells and predictors, and is the mean over the B images.
    num_boxes: A.
    In a cell with an object one predictor is responsible (`responsible`); the others of the cell
        count as `no_object`, as do all predictors of empty cells. The confidence of a responsible
        one should be its IoU with the truth, which counts as a constant: no gradient flows into
        the box from there.
    Dtype: that of predictions; half types are computed and answered in float32.
    Source: Redmon et al., You Only Look Once, CVPR 2016, equation 3. Its sum is over one image.
        The target of the confidence is IoU, as the text of section 2 says; the authors' code has
        it as an option, `rescore`, which their later configurations (with three predictors instead
        of the paper's two) switch on.
    """
    if len(predictions) != len(targets):
        raise ValueError(
            "predictions and targets must be of the same images, got "
            f"{len(predictions)} and {len(targets)}"
        )
    dtype = torch.promote_types(predictions.dtype, torch.float32)
    targets = targets.to(dtype)
    boxes, confidence, classes = split_cells(predictions.to(dtype), num_boxes)
    true_boxes, is_object, true_classes = split_cells(targets, 1)

    best, iou = who_answers(boxes, true_boxes)  # [B, S, S] each
    mine = one_hot(best, num_boxes) * is_object  # [B, S, S, A]: 1 where responsible

    def total(errors: Tensor, where: Tensor) -> Tensor:
        return (where * errors.square()).sum() / max(len(predictions), 1)

    off = boxes - true_boxes  # [B, S, S, A, 4]
    return YoloLoss(
        centre=lambda_coord * total(off[..., :2], mine[..., None]),
        size=lambda_coord * total(off[..., 2:], mine[..., None]),
        object=total(confidence - iou[..., None], mine),
        no_object=lambda_noobj * total(confidence, 1 - mine),
        classes=total(classes - true_classes, is_object),
    )
