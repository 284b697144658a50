"""Exercise 6: shape_iou."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors.inputs import shapes
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import anchors as ref

Table = tuple[Tensor, Tensor]


def _nested(d: Draw) -> Table:
    """The second shape is longer on both sides."""
    small = d.numbers(1, 2, low=6, high=12)
    small[:, 1] += 8
    return small, small + d.numbers(1, 2, low=3, high=12)


def _crossing(d: Draw) -> Table:
    """A wide and a tall one."""
    return shapes(d, 2)[:1], shapes(d, 2)[1:]


def _scaled(d: Draw) -> Table:
    """The same shapes, ten times as large, against themselves."""
    some = shapes(d, 3)
    return torch.cat([some, 10 * some]), 10 * some


def _inter(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a[:, None], b[None]).prod(-1)


def _iou(a: Tensor, b: Tensor, one: float = 0) -> Tensor:
    a, b = a + one, b + one
    shared = _inter(a, b)
    return shared / (a.prod(1)[:, None] + b.prod(1) - shared)


def _over(
    whole: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Intersection over something else; it gets the areas [N, 1], [M] and the intersection."""

    def wrong(a: Tensor, b: Tensor) -> Tensor:
        shared = _inter(a, b)
        return shared / whole(a.prod(1)[:, None], b.prod(1), shared)

    return wrong


def _shorter_over_longer(a: Tensor, b: Tensor) -> Tensor:
    """min(w)/max(w) and min(h)/max(h), [N, M, 2]."""
    return torch.minimum(a[:, None], b[None]) / torch.maximum(a[:, None], b[None])


def _area_quotient(a: Tensor, b: Tensor) -> Tensor:
    first, second = a.prod(1)[:, None], b.prod(1)
    return torch.minimum(first, second) / torch.maximum(first, second)


def _longer_sides(a: Tensor, b: Tensor) -> Tensor:
    shared = torch.maximum(a[:, None], b[None]).prod(-1)
    return shared / (a.prod(1)[:, None] + b.prod(1) - shared)


def _crossed(a: Tensor, b: Tensor) -> Tensor:
    shared = _inter(a, b.flip(1))
    return shared / (a.prod(1)[:, None] + b.prod(1) - shared)


def _one_side_longer(a: Tensor, b: Tensor) -> Tensor:
    """min(w) * max(h) for the intersection."""
    w = torch.minimum(a[:, None, 0], b[:, 0])
    shared = w * torch.maximum(a[:, None, 1], b[:, 1])
    return shared / (a.prod(1)[:, None] + b.prod(1) - shared)


def _sides_added(a: Tensor, b: Tensor) -> Tensor:
    shared = torch.minimum(a[:, None], b[None]).sum(-1)
    return shared / (a.sum(1)[:, None] + b.sum(1) - shared)


def _sides_summed_inside(a: Tensor, b: Tensor) -> Tensor:
    shared = torch.minimum(a[:, None], b[None]).sum(-1)
    return shared / (a.prod(1)[:, None] + b.prod(1) - shared)


SHAPE_IOU = Exercise(
    name="shape_iou",
    points=2,
    reference=ref.shape_iou,
    names=("sizes1", "sizes2"),
    forbids=("shape_iou", "kmeans_anchors"),
    cases=(
        Case("one shape inside another", _nested, core=True),
        Case("a wide and a tall shape", _crossing, core=True),
        Case(
            "every one of 4 with every one of 3", lambda d: (shapes(d, 4), shapes(d, 3)), core=True
        ),
        Case("2 shapes with 5", lambda d: (shapes(d, 2), shapes(d, 5))),
        Case("a shape with itself, and with one ten times as large", _scaled),
        Case(
            "sizes as shares of the image",
            lambda d: (shapes(d, 3) / 64, shapes(d, 2) / 64),
        ),
        Case(
            "float64 stays float64",
            lambda d: (shapes(d, 2).double() / 3, shapes(d, 2).double()),
            dtype="exact",
        ),
        Case("no shapes at all", lambda d: (torch.zeros(0, 2), shapes(d, 2))),
    ),
    mistakes=(
        Mistake(
            "overlap_counted_twice",
            "The union is the sum of both areas, and the overlap is counted twice in it. Take it "
            "away once.",
            _over(lambda first, second, shared: first + second),
        ),
        Mistake(
            "over_first",
            "Divided by the first area only. The union is both areas, less the overlap.",
            _over(lambda first, second, shared: first + 0 * second),
        ),
        Mistake(
            "over_second",
            "Divided by the second area only. The union is both areas, less the overlap.",
            _over(lambda first, second, shared: 0 * first + second),
        ),
        Mistake(
            "over_larger",
            "Divided by the larger area. That is the union only where one shape lies inside the "
            "other.",
            _over(lambda first, second, shared: torch.maximum(first, second)),
        ),
        Mistake(
            "over_smaller",
            "Divided by the smaller area: whatever covers an anchor fits it perfectly then, "
            "however large it is. Divide by the union.",
            _over(lambda first, second, shared: torch.minimum(first, second)),
        ),
        Mistake(
            "areas_only",
            "This compares the areas alone: a wide and a tall shape of one area would fit "
            "perfectly. Their intersection is min(w) times min(h).",
            _area_quotient,
        ),
        Mistake(
            "enclosing",
            "Divided by max(w) times max(h), the box around both. The union has no corners where "
            "neither of them is: it is both areas, less the overlap.",
            lambda a, b: _shorter_over_longer(a, b).prod(-1),
        ),
        Mistake(
            "mean_of_sides",
            "This is the mean of the quotients of the widths and of the heights. IoU is about "
            "areas: intersection over union.",
            lambda a, b: _shorter_over_longer(a, b).mean(-1),
        ),
        Mistake(
            "width_only",
            "Only the widths are compared. The intersection is min(w) times min(h).",
            lambda a, b: _shorter_over_longer(a, b)[..., 0],
        ),
        Mistake(
            "max_for_min",
            "The larger sides were taken for the intersection. Two centred shapes share the "
            "smaller width and the smaller height.",
            _longer_sides,
        ),
        Mistake(
            "one_side_longer",
            "The shared width is right, the shared height is not: it is the smaller of the two "
            "heights, too. min(w) · min(h).",
            _one_side_longer,
        ),
        Mistake(
            "one_more_below",
            "The union is one square pixel too large: is a + 1 or a 1 against division by zero "
            "left in it? No shape is empty here: area + area − intersection.",
            _over(lambda first, second, shared: first + second - shared + 1),
        ),
        Mistake(
            "sides_added",
            "Width and height were added where they should be multiplied: an area is w · h.",
            _sides_added,
        ),
        Mistake(
            "intersection_added",
            "The intersection is min(w) + min(h). An area is a product: min(w) · min(h).",
            _sides_summed_inside,
        ),
        Mistake(
            "distance",
            "This is 1 − IoU, the distance that k-means will use. The function gives IoU itself.",
            lambda a, b: 1 - _iou(a, b),
        ),
        Mistake(
            "euclidean",
            "This is the Euclidean distance of widths and heights, in pixels. IoU is intersection "
            "over union.",
            lambda a, b: ((a[:, None] - b[None]) ** 2).sum(-1).sqrt(),
        ),
        Mistake(
            "crossed",
            "Width was compared with height. The shared width is min(w1, w2), the shared height "
            "min(h1, h2).",
            _crossed,
        ),
        Mistake(
            "brackets_forgotten",
            "Brackets are missing: `a / b + c - d` divides by b alone. Divide by the whole union, "
            "`(area1 + area2 - intersection)`.",
            lambda a, b: _inter(a, b) / a.prod(1)[:, None] + b.prod(1) - _inter(a, b),
        ),
        Mistake(
            "percent",
            "These are percent. An IoU lies between 0 and 1.",
            lambda a, b: 100 * _iou(a, b),
        ),
        Mistake(
            "intersection_only",
            "This is the intersection in square pixels. Divide it by the union.",
            _inter,
        ),
        Mistake(
            "one_pixel_more",
            "Each side is one pixel too long: a box of width w is w wide, without + 1.",
            lambda a, b: _iou(a, b, one=1),
        ),
        Mistake(
            "turned_round",
            "The table is turned round: rows belong to `sizes1`, columns to `sizes2`.",
            lambda a, b: _iou(b, a),
        ),
    ),
    hints=(
        "Put two boxes on one centre. They share the smaller of the two widths and the smaller of "
        "the two heights: the intersection is min(w1, w2) · min(h1, h2).",
        "For every pair: `sizes1[:, None]` is [N, 1, 2], and `torch.minimum(sizes1[:, None], "
        "sizes2)` is [N, M, 2]. `.prod(dim=-1)` multiplies the two.",
        "The areas are `sizes1.prod(dim=1)` and `sizes2.prod(dim=1)`. The union is `area1[:, None] "
        "+ area2 - intersection`.",
    ),
)
