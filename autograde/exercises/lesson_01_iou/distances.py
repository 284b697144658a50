"""Exercises 5 to 8: generalized, distance and complete IoU, and the loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autograde.exercises.lesson_01_iou.inputs import (
    SHARED_CASES,
    apart,
    overlapping_fractions,
    pairs,
    pairs_apart,
)
from autograde.exercises.lesson_01_iou.slips import (
    NO_CLAMP,
    areas,
    enclosing_sides,
    iou_and_union,
    squared_diagonal,
    squared_distance,
    tell_iou,
)
from autograde.spec import Case, Exercise, Mistake
from course_lib import boxes as ref
from course_lib.losses import iou_loss


def _giou(a: Tensor, b: Tensor, clamp: bool = True) -> Tensor:
    iou, union = iou_and_union(a, b, clamp=clamp)
    hull = enclosing_sides(a, b).prod(-1)
    return iou - (hull - union) / hull


def _giou_over_union(a: Tensor, b: Tensor) -> Tensor:
    iou, union = iou_and_union(a, b)
    return iou - (enclosing_sides(a, b).prod(-1) - union) / union


def _giou_plus(a: Tensor, b: Tensor) -> Tensor:
    iou, union = iou_and_union(a, b)
    hull = enclosing_sides(a, b).prod(-1)
    return iou + (hull - union) / hull


def _giou_share(a: Tensor, b: Tensor) -> Tensor:
    iou, union = iou_and_union(a, b)
    return iou - union / enclosing_sides(a, b).prod(-1)


def _giou_sum_for_union(a: Tensor, b: Tensor) -> Tensor:
    iou, _ = iou_and_union(a, b)
    hull = enclosing_sides(a, b).prod(-1)
    return iou - (hull - areas(a)[:, None] - areas(b)[None]) / hull


GENERALIZED_BOX_IOU = Exercise(
    name="generalized_box_iou",
    points=3,
    reference=ref.generalized_box_iou,
    names=("boxes1", "boxes2"),
    cases=(*SHARED_CASES, Case("gradients pull distant boxes together", apart, kind="grad")),
    mistakes=(
        Mistake("plain_iou", tell_iou("GIoU"), lambda a, b: iou_and_union(a, b)[0]),
        Mistake(
            "over_union",
            "The empty part is divided by the union. GIoU divides it by the enclosing box, "
            "so that the penalty stays below 1.",
            _giou_over_union,
        ),
        Mistake(
            "plus_penalty",
            "The empty part of the enclosing box is added. It is a penalty: subtract it.",
            _giou_plus,
        ),
        Mistake(
            "union_share",
            "The filled share U/C is subtracted. The penalty is the empty share (C − U)/C.",
            _giou_share,
        ),
        Mistake("no_clamp", NO_CLAMP, lambda a, b: _giou(a, b, clamp=False)),
        Mistake(
            "sum_for_union",
            "The union inside the penalty is area1 + area2. Take the intersection away there, too.",
            _giou_sum_for_union,
        ),
        Mistake(
            "transposed",
            "Rows and columns are swapped: row n belongs to boxes1[n].",
            lambda a, b: _giou(b, a),
        ),
    ),
    hints=(
        "The enclosing box C begins at the smaller left edge and ends at the larger right edge: "
        "max and min change places compared to the intersection.",
        "GIoU = IoU − (C − U) / C, where C and U are areas. You need U, so compute IoU from its "
        "parts here, or get U back: U = (area1 + area2) / (1 + IoU).",
    ),
    picture="pairs",
)


def _diou(
    a: Tensor, b: Tensor, root: bool = False, halves: float = 1.0, sign: float = -1.0
) -> Tensor:
    d2, c2 = squared_distance(a, b) * halves, squared_diagonal(a, b)
    ratio = d2.sqrt() / c2.sqrt() if root else d2 / c2
    return iou_and_union(a, b)[0] + sign * ratio


def _diou_over_area(a: Tensor, b: Tensor) -> Tensor:
    return iou_and_union(a, b)[0] - squared_distance(a, b) / enclosing_sides(a, b).prod(-1)


def _diou_corners(a: Tensor, b: Tensor) -> Tensor:
    d2 = ((a[:, None, :2] - b[None, :, :2]) ** 2).sum(-1)
    return iou_and_union(a, b)[0] - d2 / squared_diagonal(a, b)


DISTANCE_BOX_IOU = Exercise(
    name="distance_box_iou",
    points=2,
    reference=ref.distance_box_iou,
    names=("boxes1", "boxes2"),
    cases=(*SHARED_CASES, Case("gradients pull distant boxes together", apart, kind="grad")),
    mistakes=(
        Mistake("plain_iou", tell_iou("DIoU"), lambda a, b: iou_and_union(a, b)[0]),
        Mistake(
            "not_squared",
            "Distance over diagonal is not squared. The paper's penalty is d²/c².",
            lambda a, b: _diou(a, b, root=True),
        ),
        Mistake(
            "centres_doubled",
            "The distance between the centres is twice too long: a centre is (x1 + x2) / 2.",
            lambda a, b: _diou(a, b, halves=4.0),
        ),
        Mistake(
            "plus_penalty",
            "The distance is added. It is a penalty: subtract it.",
            lambda a, b: _diou(a, b, sign=1.0),
        ),
        Mistake(
            "over_area",
            "d² is divided by the area of the enclosing box. Divide by its diagonal squared, "
            "c² = width² + height².",
            _diou_over_area,
        ),
        Mistake(
            "corners_for_centres",
            "The distance is taken between top-left corners. Take the centres.",
            _diou_corners,
        ),
    ),
    hints=(
        "d² = (cx1 − cx2)² + (cy1 − cy2)². Squares add, no root is needed anywhere.",
        "c² is the squared diagonal of the enclosing box that you know from GIoU.",
    ),
    picture="pairs",
)


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
    return _diou(a, b) + sign * alpha * v


def _ciou_no_distance(a: Tensor, b: Tensor) -> Tensor:
    return _ciou(a, b, _angle_term(a, b)) - _diou(a, b) + iou_and_union(a, b)[0]


COMPLETE_BOX_IOU = Exercise(
    name="complete_box_iou",
    points=1,
    reference=ref.complete_box_iou,
    names=("boxes1", "boxes2"),
    cases=SHARED_CASES,
    mistakes=(
        Mistake(
            "diou",
            "This is DIoU: the term α·v for the shape is missing.",
            lambda a, b: _diou(a, b),
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
