"""The mistakes of exercise 5 that the check knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Mistake
from course_lib.boxes import box_iou


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
    change: Callable[[Tensor, Tensor], Tensor] = lambda w, itself: w,
    total: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda w, m, s: w.sum(1, keepdim=True),
    table: Tensor | None = None,
) -> Tensor:
    """The weighted mean with the chosen slip.

    table: of IoU [kept, N]. members: who votes, from that. change: of the weights at the end.
    total: what is divided by, from the weights, the members and the scores.
    """
    iou = box_iou(boxes[keep], boxes) if table is None else table
    itself = keep[:, None] == torch.arange(len(boxes))
    member = members(iou, itself, threshold)
    w = change(weight(iou, sigma_t) * (scores if by_score else 1) * member, itself)
    return w @ boxes / total(w, member, scores)


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


def _first_rows(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b, torch.arange(len(k)), s, t, sigma)


def _own_weight_one(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    return _vote(b, k, s, t, sigma, change=lambda w, itself: torch.where(itself, 1, w))


def _moved_vote(b: Tensor, k: Tensor, s: Tensor, t: float, sigma: float) -> Tensor:
    """One kept box after the other, each written into a copy that the next one reads."""
    b = b.clone()
    for n in range(len(k)):
        b[k[n]] = _vote(b, k[n : n + 1], s, t, sigma)[0]
    return b[k]


def _whole_column(iou: Tensor, itself: Tensor, t: float) -> Tensor:
    return (iou > t) | itself.any(0)


def _no_other_kept(iou: Tensor, itself: Tensor, t: float) -> Tensor:
    return ((iou > t) & ~itself.any(0)) | itself


WEIGHTED_MISTAKES = (
    Mistake(
        "not_normalised",
        "The weighted boxes are added up, but not divided by the sum of their weights. A mean "
        "needs both.",
        _voting(total=lambda w, m, s: torch.ones(1)),
    ),
    Mistake(
        "over_count",
        "The sum is divided by the number of votes. Divide by the sum of their weights, or "
        "the boxes shrink towards (0, 0).",
        _voting(total=lambda w, m, s: m.sum(1, keepdim=True)),
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
        "The voters' scores change nothing. They are missing from the weights, or it is the kept "
        "box's score that is there, `scores[keep][:, None]`: it cancels. Give each voter its own.",
        _voting(by_score=False),
    ),
    Mistake(
        "wrong_sum",
        "The sum of the weights goes over the wrong axis. Each kept box has a row of weights: "
        "`weights.sum(dim=1, keepdim=True)`.",
        _voting(total=lambda w, m, s: w.sum(0)),
    ),
    Mistake(
        "no_keepdim",
        "The sums have lost their axis: [kept] does not stand beside [kept, 4]. Write "
        "`weights.sum(dim=1, keepdim=True)`.",
        _voting(total=lambda w, m, s: w.sum(1)),
    ),
    Mistake(
        "over_scores",
        "The sum is divided by the voters' scores alone. Divide by the sum of the same weights, "
        "score times closeness.",
        _voting(total=lambda w, m, s: (m * s).sum(1, keepdim=True)),
    ),
    Mistake(
        "over_all_scores",
        "The sum is divided by the sum of all scores. Divide by the sum of the weights of this "
        "kept box's voters, score times closeness.",
        _voting(total=lambda w, m, s: s.sum()),
    ),
    Mistake(
        "itself_twice",
        "The kept box votes twice: it is among the boxes over the threshold already.",
        _voting(change=lambda w, itself: w * (1 + 1 * itself)),
    ),
    Mistake(
        "itself_with_one",
        "The kept box votes with weight 1. Its closeness is 1, its weight is its score.",
        _own_weight_one,
    ),
    Mistake(
        "whole_column",
        "The kept boxes vote everywhere: `votes[:, keep] = True` fills whole columns. Row n needs "
        "one place only, the column `keep[n]`; `torch.arange` names all rows at once.",
        _voting(members=_whole_column),
    ),
    Mistake(
        "other_kept_excluded",
        "A kept box has no vote on another kept box. All boxes over the threshold vote, kept or "
        "dropped.",
        _voting(members=_no_other_kept),
    ),
    Mistake(
        "moved_vote",
        "Boxes that have moved already vote on the next. Read from the boxes as they came, write "
        "the means somewhere else.",
        _moved_vote,
    ),
    Mistake(
        "first_rows",
        "The first boxes of the input are moved. `keep` says which: `boxes[keep]`.",
        _first_rows,
    ),
    Mistake(
        "zero_at_one",
        "At a threshold of 1 no IoU is larger, and boxes of zeros came out. A kept box always has "
        "its own vote.",
        _voting(
            members=lambda iou, itself, t: iou > t,
            total=lambda w, m, s: w.sum(1, keepdim=True).clamp(min=1e-9),
        ),
    ),
    Mistake(
        "sigma_squared",
        "This divides by σ². The paper divides by σ itself.",
        _voting(weight=lambda iou, sigma: torch.exp(-((1 - iou) ** 2) / sigma**2)),
    ),
    Mistake(
        "wrong_sign",
        "Far boxes have the strongest votes: the minus in exp(−(1 − IoU)²/σ) is missing.",
        _voting(weight=lambda iou, sigma: torch.exp((1 - iou) ** 2 / sigma)),
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
        "This divides by 2σ², as the bell curve of statistics does. The paper divides by σ alone.",
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
        "The right boxes in the order of the input. Row n belongs to `keep[n]`; a mask made from "
        "`keep` forgets its order.",
        _in_input_order,
    ),
)
