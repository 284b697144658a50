"""Exercise 5: weighted_boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
    CROWD,
    MIXED,
    falling,
    scene,
    squares,
)
from autograde.exercises.lesson_02_nms.slips import indices
from autograde.exercises.lesson_02_nms.voting_mistakes import WEIGHTED_MISTAKES
from autograde.spec import Case, Draw, Exercise
from course_lib import suppression as ref

Votes = tuple[Tensor, Tensor, Tensor]  # boxes [N, 4], keep [kept], scores [N]


def _two_votes(d: Draw) -> Votes:
    """Two boxes that overlap with IoU 0.6, and one far away."""
    boxes, scores = scene(d, [(0, 0), (5, 0), (60, 8)], [1, 2, 0])
    return boxes, indices([2, 1]), scores


def _kept_crowd(d: Draw) -> Votes:
    boxes, scores = scene(d, CROWD, MIXED)
    return boxes, indices([MIXED.index(k) for k in (0, 1, 3, 9)]), scores


def _some_far(d: Draw) -> Votes:
    """Boxes with IoU 0.67, 0.25 and 0 with the kept one: four in all, as many as coordinates."""
    boxes, scores = scene(d, [(0, 0), (4, 0), (12, 0), (0, 30)], [2, 3, 1, 0])
    return boxes, indices([3]), scores


def _between(d: Draw) -> Votes:
    """Two kept boxes that overlap with IoU 1/3, and one between that votes for both."""
    boxes, scores = scene(d, [(0, 0), (10, 0), (5, 1)], [2, 0, 1])
    return boxes, indices([1, 2]), scores


def _half(d: Draw) -> Votes:
    """One box votes with an IoU of exactly 0.5, another with more."""
    boxes = squares(d, [(0, 0), (0, 0), (0, 3)])
    boxes[1, 2] -= 10
    return boxes, indices([0]), falling(d, 3)


def _alone(d: Draw) -> Votes:
    boxes, scores = scene(d, [(0, 0), (40, 0), (0, 40)], [1, 2, 0])
    return boxes, indices([2, 0]), scores


def _thirds(votes: Votes) -> Votes:
    boxes, keep, scores = votes
    return boxes.double() / 3 - 20, keep, scores.double()


def _moved_case(
    probes: str,
    make: Callable[[Draw], Votes],
    threshold: float = 0.5,
    sigma_t: float = 0.2,
    core: bool = False,
    dtype: Any = None,
) -> Case:
    return Case(probes, lambda d: (*make(d), threshold, sigma_t), core=core, dtype=dtype)


WEIGHTED_BOXES = Exercise(
    name="weighted_boxes",
    points=3,
    reference=ref.weighted_boxes,
    names=("boxes", "keep", "scores", "iou_threshold", "sigma_t"),
    rows=True,
    cases=(
        _moved_case("two boxes on one object, one elsewhere", _two_votes, core=True),
        _moved_case("only boxes over the IoU threshold vote", _some_far, core=True),
        _moved_case("four kept of ten", _kept_crowd, core=True),
        _moved_case("kept boxes vote for each other, too", _between, threshold=0.25),
        _moved_case("IoU of exactly the threshold: no vote", _half),
        _moved_case("a narrow σ, 0.02: only close boxes count", _kept_crowd, sigma_t=0.02),
        _moved_case("a box alone stays where it is", _alone),
        _moved_case("threshold 1: each box has only its own vote", _kept_crowd, threshold=1.0),
        _moved_case("threshold 0: every overlap votes", _some_far, threshold=0.0),
        _moved_case(
            "float64 stays float64, negative coordinates",
            lambda d: _thirds(_kept_crowd(d)),
            dtype="exact",
        ),
        _moved_case("nothing kept", lambda d: (d.boxes(3), indices([]), falling(d, 3))),
    ),
    mistakes=WEIGHTED_MISTAKES,
    hints=(
        "Make the table of every kept box with every box first: `iou = box_iou(boxes[keep], "
        "boxes)` is [kept, N]. The weights are a table of the same shape.",
        "`weights = scores * torch.exp(-(1 - iou) ** 2 / sigma_t)`, and 0 where the IoU is not "
        "over the threshold: `weights * (iou > iou_threshold)`. A box itself is always in: its "
        "place in the table is `[n, keep[n]]`.",
        "The weighted mean of all rows at once is a matrix product: `weights @ boxes / "
        "weights.sum(dim=1, keepdim=True)`.",
    ),
    picture="moved",
)
