"""Exercises 2 and 3: precision_recall_curve, f_beta."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_03_map.inputs import (
    equal_scores,
    in_any_order,
    in_order,
    long_ranking,
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
        Case("equal scores keep their order", equal_scores),
        Case("forty detections", long_ranking),
        Case("all right, and all objects found", lambda d: ranking(d, [1, 1, 1, 1], 0)),
        Case("all wrong: 0, not NaN", lambda d: ranking(d, [0, 0, 0], d.integer(1, 4))),
        Case("no detections", _nothing),
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
        "Precision divides those by 1, 2, 3, … (`torch.arange(1, D + 1)`), recall by `positives`.",
    ),
    picture="curve",
)


def _of_rates(formula: Callable[[float, float, float], float], default: float = 0.0) -> Any:
    """An F-score with another formula of precision, recall and beta; `default` for 0 / 0."""

    def wrong(tp: float, fp: float, fn: float, beta: float) -> float:
        if tp + fp + fn == 0:
            return default
        if tp == 0:
            return 0.0
        return formula(tp / (tp + fp), tp / (tp + fn), beta)

    return wrong


def _right(p: float, r: float, b: float) -> float:
    return (1 + b**2) * p * r / (b**2 * p + r)


def _unguarded(tp: float, fp: float, fn: float, beta: float) -> float:
    return _right(tp / (tp + fp), tp / (tp + fn), beta)


def _counts(d: Draw, beta: float) -> tuple[int, int, int, float]:
    """Few false alarms and many misses, or the other way round."""
    few, lots = d.integer(1, 4), d.integer(6, 12)
    return (d.integer(5, 20), *((few, lots) if d.integer(0, 1) else (lots, few)), beta)


F_BETA = Exercise(
    name="f_beta",
    points=1,
    reference=ref.f_beta,
    names=("tp", "fp", "fn", "beta"),
    cases=(
        Case("F2: recall counts twice as much", lambda d: _counts(d, 2.0), core=True),
        Case("F0.5: recall counts half as much", lambda d: _counts(d, 0.5), core=True),
        Case("F1: both alike", lambda d: _counts(d, 1.0)),
        Case("F3", lambda d: _counts(d, 3.0)),
        Case("all right: 1", lambda d: (d.integer(1, 9), 0, 0, 2.0)),
        Case(
            "nothing right: 0, not an error", lambda d: (0, d.integer(1, 9), d.integer(1, 9), 2.0)
        ),
        Case("nothing there and nothing said: 0", lambda d: (0, 0, 0, 1.0)),
    ),
    mistakes=(
        Mistake(
            "beta_not_squared",
            "β stands in the formula without its square. It is β² in both places: recall then "
            "counts β times as much, see the text.",
            _of_rates(lambda p, r, b: (1 + b) * p * r / (b * p + r)),
        ),
        Mistake(
            "beta_with_recall",
            "β² stands with the recall in the denominator, and so favours precision (or FP and FN "
            "have changed places). It belongs to precision there: β²·P + R.",
            _of_rates(lambda p, r, b: (1 + b**2) * p * r / (p + b**2 * r)),
        ),
        Mistake(
            "arithmetic_mean",
            "This is the plain mean of precision and recall. F is a harmonic mean: one small value "
            "pulls it down, however large the other.",
            _of_rates(lambda p, r, b: (p + r) / 2),
        ),
        Mistake(
            "weighted_arithmetic_mean",
            "The weights are right, but this is an arithmetic mean, (P + β²·R) / (1 + β²). F takes "
            "the harmonic one: a small value pulls it down.",
            _of_rates(lambda p, r, b: (p + b**2 * r) / (1 + b**2)),
        ),
        Mistake(
            "geometric_mean",
            "This is the geometric mean √(P·R). F is the harmonic mean, and knows β.",
            _of_rates(lambda p, r, b: math.sqrt(p * r)),
        ),
        Mistake(
            "always_f1",
            "β makes no difference here: this is F1 for every β.",
            _of_rates(lambda p, r, b: 2 * p * r / (p + r)),
        ),
        Mistake(
            "beta_doubled",
            "β is doubled where it should be squared: `beta**2`, not `beta * 2`. For β = 2 both "
            "are 4, for others they are not.",
            _of_rates(lambda p, r, b: (1 + b * 2) * p * r / (b * 2 * p + r)),
        ),
        Mistake(
            "no_parentheses_below",
            "The denominator needs parentheses: a / b * c + d is read as ((a / b) · c) + d.",
            _of_rates(lambda p, r, b: (1 + b**2) * p * r / b**2 * p + r),
        ),
        Mistake(
            "no_parentheses_above",
            "The factor needs parentheses: 1 + β² · P · R adds 1 to the product. Write "
            "(1 + β²) · P · R.",
            _of_rates(lambda p, r, b: 1 + b**2 * p * r / (b**2 * p + r)),
        ),
        Mistake(
            "no_factor",
            "The factor 1 + β² in front is missing, so a perfect detector does not get 1.",
            _of_rates(lambda p, r, b: p * r / (b**2 * p + r)),
        ),
        Mistake(
            "precision_only",
            "This is the precision alone. F asks for the recall as well.",
            _of_rates(lambda p, r, b: p),
        ),
        Mistake(
            "recall_only",
            "This is the recall alone. F asks for the precision as well.",
            _of_rates(lambda p, r, b: r),
        ),
        Mistake(
            "overlap",
            "This is TP / (TP + FP + FN), the IoU of what was said and what is there. F weighs "
            "precision against recall.",
            _of_rates(lambda p, r, b: 1 / (1 / p + 1 / r - 1)),
        ),
        Mistake(
            "one_for_nothing",
            "Nothing there and nothing said: many would call that perfect. By agreement it is 0.",
            _of_rates(_right, default=1.0),
        ),
        Mistake(
            "no_guard",
            "Where nothing is right a denominator is 0, and Python stops with ZeroDivisionError. "
            "By agreement F is 0 there: look at tp before you divide.",
            _unguarded,
        ),
    ),
    hints=(
        "First `if tp == 0: return 0.0`. After that no denominator can be 0.",
        "P = tp / (tp + fp), R = tp / (tp + fn), then the formula of the text. Mind its "
        "parentheses.",
    ),
)
