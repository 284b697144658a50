"""Exercise 1: balanced_cross_entropy."""

from __future__ import annotations

from typing import Any

from autograde.exercises.lesson_06_focal_loss import slips
from autograde.exercises.lesson_06_focal_loss.inputs import (
    both_kinds,
    grid,
    in_double,
    none,
    rare_positives,
    very_right,
    very_wrong,
    wrong,
)
from autograde.exercises.lesson_06_focal_loss.slips import LOG2, LOG10, SAYS, focal, times
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import losses as ref


def _alpha(d: Draw) -> float:
    """A weight of positives above 1/2."""
    return (0.6, 0.75, 0.8)[d.integer(0, 2)]


def _says(name: str, slip: str = "", **parts: Any) -> Mistake:
    return Mistake(name, SAYS[slip or name], focal(**parts))


BALANCED_CROSS_ENTROPY = Exercise(
    name="balanced_cross_entropy",
    points=4,
    reference=ref.balanced_cross_entropy,
    names=("inputs", "targets", "alpha"),
    forbids=("balanced_cross_entropy", "sigmoid_focal_loss"),
    cases=(
        Case("no weights (α = −1): plain cross entropy", lambda d: (*both_kinds(d), -1), core=True),
        Case("weights for both kinds", lambda d: (*both_kinds(d), _alpha(d)), core=True),
        Case("few positives, many negatives", lambda d: (*rare_positives(d), 0.9)),
        Case("α = 0.25", lambda d: (*both_kinds(d), 0.25)),
        Case("α = 0: positives weigh nothing", lambda d: (*both_kinds(d), 0)),
        Case("α = −2: below 0, no weights", lambda d: (*both_kinds(d), -2)),
        Case("3 images with 5 anchors each", lambda d: (*grid(d), _alpha(d))),
        Case("wrong: logits beyond ±20", lambda d: (*wrong(d), -1)),
        Case("very wrong: logits beyond ±100", lambda d: (*very_wrong(d), -1)),
        Case("very right: logits beyond ±100", lambda d: (*very_right(d), 0.75)),
        Case("the gradient", lambda d: (*both_kinds(d), _alpha(d)), kind="grad", slopes=(0,)),
        Case("no logits at all", lambda d: (*none(d), 0.75)),
        Case("float64 stays float64", lambda d: (*in_double(d), 0.75), dtype="exact"),
    ),
    mistakes=(
        _says("naive", entropy=slips.naive_where),
        _says("naive_sum", entropy=slips.naive_sum),
        _says("naive_negatives", entropy=slips.naive_negatives),
        _says("capped", entropy=slips.capped),
        _says("one_minus_log", entropy=slips.one_minus_log),
        _says("clamped", entropy=slips.clamped(1e-7)),
        _says("clamped_8", entropy=slips.clamped(1e-8)),
        _says("clamped_both", entropy=slips.clamped_both),
        _says("overflow", entropy=slips.overflow),
        _says("overflow_sum", entropy=slips.overflow_sum),
        _says("mean_inside", entropy=slips.mean_inside),
        _says("double_sigmoid", entropy=slips.double_sigmoid),
        _says("log_of_logits", entropy=slips.log_of_logits),
        _says("log_of_chosen_logits", entropy=slips.log_of_chosen_logits),
        _says("softmax", entropy=slips.softmax_for_sigmoid),
        _says("all_positive", entropy=slips.all_positive),
        _says("only_positive", entropy=slips.only_positive),
        _says("targets_swapped", entropy=slips.targets_swapped),
        _says("sign", entropy=times(-1)),
        _says("log2", entropy=times(LOG2)),
        _says("log10", entropy=times(LOG10)),
        _says("alpha_alike", weighs=slips.alike),
        _says("alpha_swapped", weighs=slips.swapped),
        _says("negatives_full", weighs=slips.negatives_full),
        _says("pos_weight", weighs=slips.negatives_full, below_0=True),
        _says("alpha_ignored", weighs=slips.unweighted),
        _says("alpha_below_0", below_0=True),
        _says("alpha_0", weighted=lambda alpha: alpha > 0),
        _says("alpha_minus_1", weighted=lambda alpha: alpha != -1),
        _says("by_number", after=lambda loss: loss / loss.numel()),
        _says("mean", after=lambda loss: loss.mean()),
        _says("sum", after=lambda loss: loss.sum()),
    ),
    hints=(
        "ln(p) is `logsigmoid(inputs)`, and ln(1 − p) is `logsigmoid(-inputs)`, since "
        "1 − sigmoid(x) = sigmoid(−x).",
        "Targets are 0 and 1, so they pick a term: "
        "`-(targets * logsigmoid(inputs) + (1 - targets) * logsigmoid(-inputs))`.",
        "If alpha >= 0, multiply by `alpha * targets + (1 - alpha) * (1 - targets)`. No mean, "
        "no sum.",
    ),
)
