"""Exercise 5: weighted_boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
    CROWD,
    MIXED,
    falling,
    scene,
    squares,
)
from autograde.exercises.lesson_02_nms.slips import (
    indices,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import suppression as ref
from course_lib.boxes import box_iou

Votes = tuple[Tensor, Tensor, Tensor]  # boxes [N, 4], keep [kept], scores [N]


def _two_votes(d: Draw) -> Votes:
    """Two boxes that overlap with IoU 0.6, and one far away."""
    boxes, scores = scene(d, [(0, 0), (5, 0), (60, 8)], [1, 2, 0])
    return boxes, indices([2, 1]), scores


def _kept_crowd(d: Draw) -> Votes:
    boxes, scores = scene(d, CROWD, MIXED)
    return boxes, indices([MIXED.index(k) for k in (0, 1, 3, 9)]), scores


def _some_far(d: Draw) -> Votes:
    """Boxes with IoU 0.67, 0.43, 0.25 and 0 with the kept one."""
    boxes, scores = scene(d, [(0, 0), (4, 0), (8, 0), (12, 0), (0, 30)], [3, 1, 4, 0, 2])
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


def _closeness(iou: Tensor, sigma_t: float) -> Tensor:
    return torch.exp(-((1 - iou) ** 2) / sigma_t)


def _vote(
    boxes: Tensor,
    keep: Tensor,
    scores: Tensor,
    threshold: float,
    sigma_t: float,
    weight: Callable[[Tensor, float], Tensor] = _closeness,
    by_score: bool = True,
    members: Callable[[Tensor, Tensor, float], Tensor] = lambda iou, itself, t: (iou > t) | itself,
    total: Callable[[Tensor, Tensor], Tensor] = lambda w, member: w.sum(1, keepdim=True),
    table: Tensor | None = None,
) -> Tensor:
    """The weighted mean with the chosen slip."""
    iou = box_iou(boxes[keep], boxes) if table is None else table
    itself = keep[:, None] == torch.arange(len(boxes))
    member = members(iou, itself, threshold)
    w = weight(iou, sigma_t) * (scores if by_score else 1) * member
    return w @ boxes / total(w, member)


def _voting(**slips: Any) -> Callable[..., Tensor]:
    return lambda *inputs: _vote(*inputs, **slips)


def _wrong_rows(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b, k, s, t, sigma, table=box_iou(b, b)[: len(k)])


def _every_box(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b, torch.arange(len(b)), s, t, sigma)


def _kept_only(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b[k], torch.arange(len(k)), s[k], t, sigma)


def _in_input_order(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b, k.sort()[0], s, t, sigma)


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
    mistakes=(
        Mistake(
            "not_normalised",
            "The weighted boxes are added up, but not divided by the sum of their weights. A mean "
            "needs both.",
            _voting(total=lambda w, member: torch.ones(1)),
        ),
        Mistake(
            "over_count",
            "The sum is divided by the number of votes. Divide by the sum of their weights, or "
            "the boxes shrink towards (0, 0).",
            _voting(total=lambda w, member: member.sum(1, keepdim=True)),
        ),
        Mistake(
            "without_itself",
            "The kept box has no vote of its own. It belongs to the mean, with the full closeness "
            "of 1.",
            _voting(members=lambda iou, itself, t: (iou > t) & ~itself),
        ),
        Mistake(
            "threshold_one_forgotten",
            "At a threshold of 1 no IoU is larger, not even a box's with itself, and the mean of "
            "nothing is NaN. A kept box always has its own vote.",
            _voting(members=lambda iou, itself, t: iou > t),
        ),
        Mistake(
            "scores_only",
            "The votes are weighted by score alone. How near a box lies counts as well: "
            "exp(−(1 − IoU)²/σ).",
            _voting(weight=lambda iou, sigma: torch.ones_like(iou)),
        ),
        Mistake(
            "closeness_only",
            "The scores are missing from the weights. A sure box has a stronger vote: score times "
            "closeness.",
            _voting(by_score=False),
        ),
        Mistake(
            "plain_mean",
            "This is the plain mean of the boxes. Weigh each with its score and its closeness.",
            _voting(weight=lambda iou, sigma: torch.ones_like(iou), by_score=False),
        ),
        Mistake(
            "iou_for_closeness",
            "IoU itself is the weight. The closeness is exp(−(1 − IoU)²/σ): it falls much faster.",
            _voting(weight=lambda iou, sigma: iou),
        ),
        Mistake(
            "soft_nms_weight",
            "exp(−IoU²/σ) is the factor of Soft-NMS: it is small for near boxes. A vote should be "
            "strong there: exp(−(1 − IoU)²/σ).",
            _voting(weight=lambda iou, sigma: torch.exp(-(iou**2) / sigma)),
        ),
        Mistake(
            "not_squared",
            "1 − IoU is not squared in the exponent: exp(−(1 − IoU)²/σ).",
            _voting(weight=lambda iou, sigma: torch.exp(-(1 - iou) / sigma)),
        ),
        Mistake(
            "two_sigma_squared",
            "This divides by 2σ², as the bell curve of statistics does. The paper divides by σ "
            "alone.",
            _voting(weight=lambda iou, sigma: torch.exp(-((1 - iou) ** 2) / (2 * sigma**2))),
        ),
        Mistake(
            "threshold_forgotten",
            "Boxes that hardly overlap vote, too. Only those with an IoU over the threshold do.",
            _voting(members=lambda iou, itself, t: torch.ones_like(itself)),
        ),
        Mistake(
            "at_least",
            "A box with an IoU of exactly the threshold votes. Only those with more do: `>`.",
            _voting(members=lambda iou, itself, t: (iou >= t) | itself),
        ),
        Mistake(
            "kept_only",
            "Only the kept boxes vote. Ask all of them: the point is to use what the dropped "
            "boxes know.",
            _kept_only,
        ),
        Mistake(
            "unmoved",
            "These are the kept boxes as they were. Move each to the mean of its voters.",
            lambda b, k, s, t, sigma: b[k],
        ),
        Mistake(
            "every_box",
            "Every box was moved. Give only the kept ones, in the order of `keep`: [kept, 4].",
            _every_box,
        ),
        Mistake(
            "wrong_rows",
            "The overlaps of the first boxes are used, not those of the kept ones. The rows of "
            "the table are `boxes[keep]`.",
            _wrong_rows,
        ),
        Mistake(
            "input_order",
            "The right boxes in the order of the input. Row n belongs to `keep[n]`.",
            _in_input_order,
        ),
    ),
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
