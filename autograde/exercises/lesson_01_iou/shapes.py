"""Exercises 7 and 8: complete_box_iou, iou_loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autograde.exercises.lesson_01_iou.distances import diou
from autograde.exercises.lesson_01_iou.inputs import (
    SHARED_CASES,
    other_shapes,
    overlapping_fractions,
    pairs,
    pairs_apart,
)
from autograde.exercises.lesson_01_iou.slips import iou_and_union
from autograde.spec import Case, Exercise, Mistake
from course_lib import boxes as ref
from course_lib.losses import iou_loss


def _angle_term(a: Tensor, b: Tensor, scale: float = 4 / math.pi**2, atan: bool = True) -> Tensor:
    x = (a[:, 2] - a[:, 0]) / (a[:, 3] - a[:, 1])
    y = (b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])
    if atan:
        x, y = x.atan(), y.atan()
    return scale * (x[:, None] - y[None]) ** 2


def _ciou(a: Tensor, b: Tensor, v: Tensor, weighted: bool = True, sign: float = -1.0) -> Tensor:
    iou = iou_and_union(a, b)[0]
    with torch.no_grad():
        alpha = v / (1 - iou + v).clamp(min=1e-7) if weighted else torch.ones_like(v)
    return diou(a, b) + sign * alpha * v


def _ciou_alpha_over_iou(a: Tensor, b: Tensor) -> Tensor:
    v = _angle_term(a, b)
    return diou(a, b) - v / (iou_and_union(a, b)[0] + v).clamp(min=1e-7) * v


def _ciou_not_squared(a: Tensor, b: Tensor) -> Tensor:
    return _ciou(a, b, (4 / math.pi**2) * (_angle_term(a, b) / (4 / math.pi**2)).sqrt())


def _ciou_learning_alpha(a: Tensor, b: Tensor) -> Tensor:
    v = _angle_term(a, b)
    return diou(a, b) - v / (1 - iou_and_union(a, b)[0] + v).clamp(min=1e-7) * v


def _ciou_frozen_v(a: Tensor, b: Tensor) -> Tensor:
    return _ciou(a, b, _angle_term(a, b).detach())


def _ciou_no_distance(a: Tensor, b: Tensor) -> Tensor:
    return _ciou(a, b, _angle_term(a, b)) - diou(a, b) + iou_and_union(a, b)[0]


COMPLETE_BOX_IOU = Exercise(
    name="complete_box_iou",
    points=1,
    reference=ref.complete_box_iou,
    names=("boxes1", "boxes2"),
    cases=(*SHARED_CASES, Case("gradients, with α held still", other_shapes, kind="grad")),
    mistakes=(
        Mistake(
            "diou",
            "This is DIoU: the term α·v for the shape is missing.",
            lambda a, b: diou(a, b),
        ),
        Mistake(
            "no_scale",
            "v has lost its factor 4/π², which keeps it between 0 and 1.",
            lambda a, b: _ciou(a, b, _angle_term(a, b, scale=1.0)),
        ),
        Mistake(
            "no_alpha",
            "v is subtracted as it is. Weigh it with α = v / (1 − IoU + v), so that shape counts "
            "little while the boxes hardly overlap.",
            lambda a, b: _ciou(a, b, _angle_term(a, b), weighted=False),
        ),
        Mistake(
            "no_arctan",
            "w/h is compared without the arctangent.",
            lambda a, b: _ciou(a, b, _angle_term(a, b, atan=False)),
        ),
        Mistake(
            "alpha_from_iou",
            "α divides by IoU + v. It is (1 − IoU) + v, so that shape counts more the better the "
            "boxes overlap.",
            _ciou_alpha_over_iou,
        ),
        Mistake(
            "not_squared",
            "The difference of the angles is not squared in v.",
            _ciou_not_squared,
        ),
        Mistake(
            "alpha_learns",
            "The values are right, but α takes part in the gradient. Compute α inside "
            "`with torch.no_grad():`.",
            _ciou_learning_alpha,
        ),
        Mistake(
            "v_frozen",
            "The values are right, but v has no gradient, so the shape is never learned. Only α "
            "belongs inside `torch.no_grad()`.",
            _ciou_frozen_v,
        ),
        Mistake(
            "no_distance",
            "The distance d²/c² is missing: CIoU is DIoU − α·v.",
            _ciou_no_distance,
        ),
        Mistake(
            "plus_penalty",
            "α·v is added. It is a penalty: subtract it.",
            lambda a, b: _ciou(a, b, _angle_term(a, b), sign=1.0),
        ),
    ),
    hints=(
        "You have DIoU already: CIoU = DIoU − α·v. Only v and α are new.",
        "v = 4/π² · (arctan(w1/h1) − arctan(w2/h2))²: [N, 1] against [1, M] again.",
    ),
    picture="pairs",
)


def _paired(a: Tensor, b: Tensor) -> Tensor:
    return torch.diagonal(iou_and_union(a, b)[0])


IOU_LOSS = Exercise(
    name="iou_loss",
    points=1,
    reference=iou_loss,
    names=("boxes1", "boxes2"),
    cases=(
        Case("pairs that overlap", pairs, core=True),
        Case("a perfect prediction: 0", lambda d: (b := d.boxes(2), b.clone())),
        Case("pairs that do not overlap: large, not infinite", pairs_apart, core=True),
        Case("no pairs at all", lambda d: (torch.zeros(0, 4), torch.zeros(0, 4))),
        Case(
            "float64 stays float64",
            lambda d: tuple(x.double() / 3 for x in pairs(d)),
            dtype="exact",
        ),
        Case("gradients", overlapping_fractions, kind="grad"),
    ),
    mistakes=(
        Mistake(
            "one_minus_iou",
            "This is 1 − IoU. UnitBox takes −ln(IoU), which grows steeply as the overlap vanishes.",
            lambda a, b: 1 - _paired(a, b),
        ),
        Mistake(
            "sign",
            "The sign is turned round: ln of a number below 1 is negative, and a loss should be "
            "positive.",
            lambda a, b: _paired(a, b).clamp(min=1e-7).log(),
        ),
        Mistake(
            "log10",
            "This is the logarithm to base 10. The paper means the natural one: torch.log.",
            lambda a, b: -_paired(a, b).clamp(min=1e-7).log10(),
        ),
        Mistake(
            "no_floor",
            "ln 0 is minus infinity. Keep IoU at or above eps before you take the logarithm.",
            lambda a, b: -_paired(a, b).log(),
        ),
        Mistake(
            "all_pairs",
            "This is a table of all pairs. A loss compares prediction n with target n only: "
            "shape [N].",
            lambda a, b: -iou_and_union(a, b)[0].clamp(min=1e-7).log(),
        ),
        Mistake(
            "log2",
            "This is the logarithm to base 2. The paper means the natural one: torch.log.",
            lambda a, b: -_paired(a, b).clamp(min=1e-7).log2(),
        ),
        Mistake(
            "summed",
            "The losses are added up to one number. Give one loss a pair: shape [N].",
            lambda a, b: -_paired(a, b).clamp(min=1e-7).log().sum(),
        ),
        Mistake(
            "averaged",
            "The losses are averaged to one number. Give one loss a pair: shape [N].",
            lambda a, b: -_paired(a, b).clamp(min=1e-7).log().mean(),
        ),
    ),
    hints=(
        "Row n against row n: no [:, None] this time. (The diagonal of your own table works, "
        "too: torch.diagonal.)",
        "−ln(IoU), with IoU.clamp(min=eps) before the logarithm.",
    ),
    picture="pairs",
)
