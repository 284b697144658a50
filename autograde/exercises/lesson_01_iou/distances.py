"""Exercises 5 and 6: generalized_box_iou, distance_box_iou."""

from __future__ import annotations

from torch import Tensor

from autograde.exercises.lesson_01_iou.inputs import (
    SHARED_CASES,
    apart,
)
from autograde.exercises.lesson_01_iou.slips import (
    NO_CLAMP,
    areas,
    enclosing_sides,
    iou_and_union,
    sides,
    squared_diagonal,
    squared_distance,
    tell_iou,
)
from autograde.spec import Case, Exercise, Mistake
from course_lib import boxes as ref


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


def _empty_share(a: Tensor, b: Tensor) -> Tensor:
    around = enclosing_sides(a, b).prod(-1)
    return (around - iou_and_union(a, b)[1]) / around


def _giou_inter_for_union(a: Tensor, b: Tensor) -> Tensor:
    iou, _ = iou_and_union(a, b)
    w, h = sides(a, b)
    around = enclosing_sides(a, b).prod(-1)
    return iou - (around - w * h) / around


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
    cases=(
        *SHARED_CASES,
        Case("gradients pull distant boxes together", apart, kind="grad", advice=True),
    ),
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
            "penalty_only",
            "This is the penalty alone. GIoU is IoU minus the penalty.",
            _empty_share,
        ),
        Mistake(
            "minus_penalty_only",
            "IoU is missing: GIoU = IoU − (C − U)/C.",
            lambda a, b: -_empty_share(a, b),
        ),
        Mistake(
            "one_minus",
            "This is 1 − GIoU, the loss. Give GIoU itself.",
            lambda a, b: 1 - _giou(a, b),
        ),
        Mistake(
            "intersection_for_union",
            "(C − I)/C is subtracted. What is empty in C is C minus the union, not minus the "
            "intersection.",
            _giou_inter_for_union,
        ),
        Mistake(
            "never_negative",
            "The values are stopped at 0. GIoU may be negative: below 0 it tells how far apart "
            "the boxes are.",
            lambda a, b: _giou(a, b).clamp(min=0),
        ),
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


def diou(
    a: Tensor, b: Tensor, root: bool = False, halves: float = 1.0, sign: float = -1.0
) -> Tensor:
    d2, c2 = squared_distance(a, b) * halves, squared_diagonal(a, b)
    ratio = d2.sqrt() / c2.sqrt() if root else d2 / c2
    return iou_and_union(a, b)[0] + sign * ratio


def _diou_over_area(a: Tensor, b: Tensor) -> Tensor:
    return iou_and_union(a, b)[0] - squared_distance(a, b) / enclosing_sides(a, b).prod(-1)


def _distance_share(a: Tensor, b: Tensor) -> Tensor:
    return squared_distance(a, b) / squared_diagonal(a, b)


def _diou_half_sides(a: Tensor, b: Tensor) -> Tensor:
    half1, half2 = ((x[:, 2:] - x[:, :2]) / 2 for x in (a, b))
    d2 = ((half1[:, None] - half2[None]) ** 2).sum(-1)
    return iou_and_union(a, b)[0] - d2 / squared_diagonal(a, b)


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
            lambda a, b: diou(a, b, root=True),
        ),
        Mistake(
            "centres_doubled",
            "The distance between the centres is twice too long: a centre is (x1 + x2) / 2.",
            lambda a, b: diou(a, b, halves=4.0),
        ),
        Mistake(
            "plus_penalty",
            "The distance is added. It is a penalty: subtract it.",
            lambda a, b: diou(a, b, sign=1.0),
        ),
        Mistake(
            "over_area",
            "d² is divided by the area of the enclosing box. Divide by its diagonal squared, "
            "c² = width² + height².",
            _diou_over_area,
        ),
        Mistake(
            "half_sides_for_centres",
            "(x2 − x1) / 2 is half the width. The centre is (x1 + x2) / 2.",
            _diou_half_sides,
        ),
        Mistake(
            "penalty_only",
            "This is d²/c² alone. DIoU is IoU minus that.",
            _distance_share,
        ),
        Mistake(
            "one_minus",
            "This is 1 − DIoU, the loss. Give DIoU itself.",
            lambda a, b: 1 - diou(a, b),
        ),
        Mistake(
            "from_giou",
            "d²/c² is subtracted from GIoU. DIoU starts from IoU.",
            lambda a, b: _giou(a, b) - _distance_share(a, b),
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
