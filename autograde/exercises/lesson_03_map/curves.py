"""Exercise 2: precision_recall_curve."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_03_map.inputs import (
    equal_scores,
    in_any_order,
    in_order,
    long_ranking,
    precise,
    ranking,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import metrics as ref

Curve = tuple[Tensor, Tensor]


def _order(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)


def _by(
    precision: Callable[[Tensor, Tensor, int], Tensor] | None = None,
    recall: Callable[[Tensor, Tensor, int], Tensor] | None = None,
    order: Callable[[Tensor], Tensor] = _order,
) -> Callable[[Tensor, Tensor, int], Curve]:
    """A curve with a slip: other formulas of (tp, rank, positives), or another order."""

    def wrong(scores: Tensor, correct: Tensor, positives: int) -> Curve:
        tp = correct[order(scores)].cumsum(0).float()
        rank = torch.arange(1, len(tp) + 1)
        p = precision(tp, rank, positives) if precision else tp / rank
        return p, recall(tp, rank, positives) if recall else tp / positives

    return wrong


def _false_unsorted(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    tp, fp = correct[_order(scores)].cumsum(0), (~correct).cumsum(0)
    return tp / (tp + fp), tp / positives


def _not_cumulative(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    right = correct[_order(scores)].float()
    return right / torch.arange(1, len(right) + 1), right / positives


def _with_start(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    p, r = ref.precision_recall_curve(scores, correct, positives)
    return torch.cat([torch.ones(1), p]), torch.cat([torch.zeros(1), r])


def _in_input_order(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    back = _order(scores).argsort()
    p, r = ref.precision_recall_curve(scores, correct, positives)
    return p[back], r[back]


def _enveloped(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    p, r = ref.precision_recall_curve(scores, correct, positives)
    return ref.precision_envelope(p), r


def _verdicts_sorted(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    tp = correct.sort(descending=True).values.cumsum(0)
    return tp / torch.arange(1, len(tp) + 1), tp / positives


def _said_at(
    said: Callable[[Tensor, Tensor], Tensor],
    levels: Callable[[Tensor], Tensor] = lambda s: s.sort(descending=True).values,
    none: float = float("nan"),
) -> Callable[[Tensor, Tensor, int], tuple[list[float], list[float]]]:
    """A threshold after the other: what is said at each; `none` is the precision of nothing."""

    def wrong(scores: Tensor, correct: Tensor, positives: int) -> tuple[list[float], list[float]]:
        chosen = [correct[said(scores, level)].float() for level in levels(scores)]
        precision = [c.mean().item() if len(c) else none for c in chosen]
        return precision, [c.sum().item() / positives for c in chosen]

    return wrong


def _from_nothing(scores: Tensor, correct: Tensor, positives: int) -> Curve:
    p, r = ref.precision_recall_curve(scores, correct, positives)
    nothing = torch.tensor([float("nan")]), torch.zeros(1)
    return torch.cat([nothing[0], p])[: len(p)], torch.cat([nothing[1], r])[: len(r)]


def _one_point(scores: Tensor, correct: Tensor, positives: int) -> tuple[float, float]:
    return correct.float().mean().item(), correct.sum().item() / positives


def _nothing(d: Draw) -> tuple[Tensor, Tensor, int]:
    return torch.zeros(0), torch.zeros(0, dtype=torch.bool), d.integer(2, 5)


PRECISION_RECALL_CURVE = Exercise(
    name="precision_recall_curve",
    points=2,
    reference=ref.precision_recall_curve,
    names=("scores", "correct", "positives"),
    outputs=("precision", "recall"),
    cases=(
        Case("detections by decreasing score", in_order, core=True),
        Case("detections in any order", in_any_order, core=True),
        Case("thirty boxes, two scores: equal ones keep their order, stable=True", equal_scores),
        Case("forty detections", long_ranking),
        Case("all right, and all objects found", lambda d: ranking(d, [1, 1, 1, 1], 0)),
        Case("all wrong: 0, not NaN", lambda d: ranking(d, [0, 0, 0], d.integer(1, 4))),
        Case("no detections", _nothing),
        Case(
            "in float64, by .double(): in float32 a recall of 7/10 can miss 0.7 later on",
            precise,
            dtype="exact",
            advice=True,
        ),
    ),
    mistakes=(
        Mistake(
            "not_sorted",
            "The detections are taken as they come. The best score comes first: sort `correct` by "
            "decreasing score before you count.",
            _by(order=lambda s: torch.arange(len(s))),
        ),
        Mistake(
            "ascending",
            "The lowest score comes first here: argsort sorts upwards unless you say "
            "descending=True.",
            _by(order=lambda s: s.argsort(stable=True)),
        ),
        Mistake(
            "false_not_sorted",
            "The right ones are counted by decreasing score, the false alarms in the order in "
            "which they came. Sort `correct` once, and count both from that.",
            _false_unsorted,
        ),
        Mistake(
            "swapped",
            "Precision and recall have changed places: precision divides by the detections so far, "
            "recall by the objects.",
            _by(lambda tp, rank, n: tp / n, lambda tp, rank, n: tp / rank),
        ),
        Mistake(
            "recall_over_detections",
            "Recall is divided by the number of detections. It asks how many of the objects are "
            "found: divide by `positives`.",
            _by(recall=lambda tp, rank, n: tp / len(tp)),
        ),
        Mistake(
            "recall_over_found",
            "Recall is divided by the objects that are found in the end, so it always reaches 1. "
            "Objects that nobody found count as well: divide by `positives`.",
            _by(recall=lambda tp, rank, n: tp / tp[-1:].clamp(min=1)),
        ),
        Mistake(
            "recall_with_false_alarms",
            "Recall is divided by objects plus false alarms. False alarms are precision's "
            "business: recall divides by `positives` alone.",
            _by(recall=lambda tp, rank, n: tp / (n + rank - tp)),
        ),
        Mistake(
            "precision_over_all",
            "Precision is divided by all detections from the start. At rank k only the best k "
            "have been taken: divide by 1, 2, 3, …",
            _by(lambda tp, rank, n: tp / len(tp)),
        ),
        Mistake(
            "rank_from_zero",
            "The ranks begin with 0, so the first precision is a division by 0. After the first "
            "detection one has been taken: 1, 2, 3, …",
            _by(lambda tp, rank, n: tp / (rank - 1)),
        ),
        Mistake(
            "not_cumulative",
            "Each detection is counted by itself. A point of the curve counts all detections up to "
            "this one: sum them up with cumsum.",
            _not_cumulative,
        ),
        Mistake(
            "envelope_already",
            "The teeth of the curve are filled in already. That comes later, in average precision; "
            "the curve itself goes down and up.",
            _enveloped,
        ),
        Mistake(
            "verdicts_sorted",
            "`correct` is sorted by itself, so all the right ones come first. Sort it by the "
            "scores: `correct[scores.argsort(descending=True, stable=True)]`.",
            _verdicts_sorted,
        ),
        Mistake(
            "strictly_above",
            "`scores > t` leaves out the box whose score is t, so the first point has no box at "
            "all. A box of exactly the threshold is kept; simpler: sort, and count by rank.",
            _said_at(lambda s, level: s > level),
        ),
        Mistake(
            "strictly_above_guarded",
            "The curve is a point late: it begins with no box at all (`scores > t`, or a count "
            "from 0). Its first point is the best box alone.",
            _said_at(lambda s, level: s > level, none=0.0),
        ),
        Mistake(
            "from_nothing",
            "`correct[:k]` from k = 0 is empty at first, and its mean NaN. The first point is the "
            "best box alone: k = 1, 2, …, D.",
            _from_nothing,
        ),
        Mistake(
            "ties_merged",
            "Boxes of equal score are all counted at once (`scores >= t`). Here they come one "
            "after the other, in the order in which they came: sort, then count by rank.",
            _said_at(lambda s, level: s >= level),
        ),
        Mistake(
            "distinct_scores",
            "There is one point for each different score. Boxes of equal score have a point each: "
            "D boxes, D points.",
            _said_at(lambda s, level: s >= level, lambda s: s.unique().flip(0)),
        ),
        Mistake(
            "floor_division",
            "`//` cuts off what is behind the point, so fractions become 0. Divide with `/`.",
            _by(lambda tp, rank, n: tp // rank, lambda tp, rank, n: tp // n),
        ),
        Mistake(
            "floor_precision",
            "Precision is divided with `//`, which cuts off what is behind the point. Divide with "
            "`/`.",
            _by(lambda tp, rank, n: tp // rank),
        ),
        Mistake(
            "start_added",
            "There is a point too many, precision 1 at recall 0. Here the curve has one point for "
            "each detection and no more.",
            _with_start,
        ),
        Mistake(
            "ties_reversed",
            "Equal scores have changed their order. They keep the order in which they came: "
            "argsort(descending=True, stable=True), and no flip.",
            _by(order=lambda s: s.argsort(stable=True).flip(0)),
        ),
        Mistake(
            "back_in_input_order",
            "The points have been put back into the order in which the detections came. A curve "
            "runs by decreasing score.",
            _in_input_order,
        ),
        Mistake(
            "one_point",
            "This is one pair of numbers for all detections. The curve has a pair for the best "
            "one, the best two, the best three, …",
            _one_point,
        ),
    ),
    hints=(
        "Which detection comes first? `order = scores.argsort(descending=True, stable=True)`, then "
        "`correct[order]`.",
        "After each detection: how many were right so far? `cumsum(0)` says it for all at once.",
        "Precision divides those by 1, 2, 3, … (`torch.arange(1, D + 1)`), recall by `positives`. "
        "With `.double()` before you divide, both come out in float64.",
    ),
    picture="curve",
)
