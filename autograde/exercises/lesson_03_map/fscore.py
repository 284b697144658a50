"""Exercise 3: f_beta."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import metrics as ref


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


def _from_counts(nothing: float | None) -> Any:
    """The form with TP, FP and FN; where all are 0 `nothing`, or an error."""

    def wrong(tp: float, fp: float, fn: float, beta: float) -> float:
        below = (1 + beta**2) * tp + beta**2 * fn + fp
        return nothing if below == 0 and nothing is not None else (1 + beta**2) * tp / below

    return wrong


def _rounded(digits: int) -> Mistake:
    says = f"{digits} digits" if digits else "a whole number"
    return Mistake(
        f"rounded_{digits}",
        f"The answer is rounded to {says}. Give it as it is; round only what you print.",
        _of_rates(lambda p, r, b: round(_right(p, r, b), digits)),
    )


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
            "The denominator needs parentheses: `a / b * c + d` is read as `((a / b) * c) + d`.",
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
            "factor_two",
            "The factor in front is 2, which is 1 + β² for β = 1 only. Write (1 + β²).",
            _of_rates(lambda p, r, b: 2 * p * r / (b**2 * p + r)),
        ),
        Mistake(
            "percent",
            "The answer is in percent. F lies between 0 and 1.",
            _of_rates(lambda p, r, b: 100 * _right(p, r, b)),
        ),
        *(_rounded(digits) for digits in range(4)),
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
        Mistake(
            "no_guard_at_nothing",
            "Nothing there and nothing said: the denominator is 0, and Python stops. By agreement "
            "F is 0: look at tp before you divide.",
            _from_counts(None),
        ),
        Mistake(
            "nan_at_nothing",
            "Nothing there and nothing said gives 0/0, which is NaN in torch and numpy. By "
            "agreement F is 0: look at tp before you divide.",
            _from_counts(math.nan),
        ),
    ),
    hints=(
        "First `if tp == 0: return 0.0`. After that no denominator can be 0.",
        "P = tp / (tp + fp), R = tp / (tp + fn), then the formula of the text. Mind its "
        "parentheses.",
    ),
)
