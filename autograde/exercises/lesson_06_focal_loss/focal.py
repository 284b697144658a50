"""Exercise 2: sigmoid_focal_loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
from autograde.exercises.lesson_06_focal_loss.slips import LOG2, SAYS, focal, times
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import losses as ref


def _focused(d: Draw) -> float:
    """A gamma that is neither 0 nor 1 nor 2."""
    return (3.0, 4.0, 5.0)[d.integer(0, 2)]


def _p_t_from_weighted(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    loss = slips.cross_entropy(x, t)
    if alpha >= 0:
        loss = slips.weight(t, alpha) * loss
    wrong: Tensor = (1 - torch.exp(-loss)) ** gamma * loss
    return wrong


def _weight_inside(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    loss = slips.cross_entropy(x, t)
    wrong: Tensor = slips.factor(x, t, gamma) + loss
    return slips.weight(t, alpha) * wrong if alpha >= 0 else wrong


def _by_positives(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    loss = focal()(x, t, alpha, gamma)
    return loss / t.sum().clamp(min=1)


def _mean_everywhere(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    mean = slips.cross_entropy(x, t).mean()
    loss: Tensor = (1 - torch.exp(-mean)) ** gamma * mean
    return slips.weight(t, alpha) * loss if alpha >= 0 else loss


def _power_of_all(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    wrong: Tensor = (slips.factor(x, t, 1) * slips.cross_entropy(x, t)) ** gamma
    return slips.weight(t, alpha) * wrong if alpha >= 0 else wrong


def _added_to_weighted(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    return slips.factor(x, t, gamma) + focal()(x, t, alpha)


def _default_alpha(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    return focal()(x, t, 0.75, gamma)


def _always_a_quarter(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    return focal()(x, t, 0.25, gamma)


def _says(name: str, **parts: Any) -> Mistake:
    return Mistake(name, SAYS[name], focal(**parts))


SIGMOID_FOCAL_LOSS = Exercise(
    name="sigmoid_focal_loss",
    points=4,
    reference=ref.sigmoid_focal_loss,
    names=("inputs", "targets", "alpha", "gamma"),
    forbids=("sigmoid_focal_loss",),
    cases=(
        Case("γ = 2, no weights", lambda d: (*both_kinds(d), -1, 2), core=True),
        Case("γ = 2, α = 0.25", lambda d: (*both_kinds(d), 0.25, 2), core=True),
        Case("γ = 0: cross entropy again", lambda d: (*both_kinds(d), 0.75, 0)),
        Case("a larger γ", lambda d: (*both_kinds(d), -1, _focused(d))),
        Case("γ = 0.5", lambda d: (*both_kinds(d), 0.5, 0.5)),
        Case("few positives, many negatives", lambda d: (*rare_positives(d), 0.9, 1)),
        Case("3 images with 5 anchors each", lambda d: (*grid(d), 0.25, 2)),
        Case("wrong: logits beyond ±20", lambda d: (*wrong(d), -1, 2)),
        Case("very wrong: logits beyond ±100", lambda d: (*very_wrong(d), -1, 2)),
        Case("very right: logits beyond ±100", lambda d: (*very_right(d), 0.25, 2)),
        Case("the gradient", lambda d: (*both_kinds(d), 0.25, 2), kind="grad", slopes=(0,)),
        Case("no logits at all", lambda d: (*none(d), 0.25, 2)),
        Case("float64 stays float64", lambda d: (*in_double(d), 0.25, 2), dtype="exact"),
    ),
    mistakes=(
        Mistake(
            "p_for_p_t",
            "The factor is (1 − p)^γ for every target. For negatives p_t is 1 − p, so theirs is "
            "p^γ: now the easy negatives keep their weight and the hard ones lose it.",
            focal(modulates=slips.p_for_p_t),
        ),
        Mistake(
            "p_t_itself",
            "The factor is p_t^γ: it turns down the hard ones. (1 − p_t)^γ turns down the easy "
            "ones.",
            focal(modulates=slips.p_t_itself),
        ),
        Mistake(
            "gamma_times",
            "γ multiplies. It is an exponent: (1 − p_t) ** gamma.",
            focal(modulates=slips.product),
        ),
        Mistake(
            "one_minus_power",
            "This is 1 − p_t^γ: the brackets stand wrong. First 1 − p_t, then the power.",
            focal(modulates=slips.one_minus_power),
        ),
        Mistake(
            "gamma_ignored",
            "γ has no effect: this is the balanced cross entropy. Multiply by (1 − p_t)^γ.",
            focal(modulates=slips.no_factor),
        ),
        Mistake(
            "gamma_fixed",
            "γ is always 2 in your function. Use the argument `gamma`.",
            lambda x, t, a, g: focal(modulates=slips.always_2)(x, t, a, 2),
        ),
        Mistake(
            "alpha_fixed",
            "α is always 0.25 in your function. Use the argument `alpha`.",
            _always_a_quarter,
        ),
        Mistake(
            "alpha_not_passed",
            "α is always 0.75: `balanced_cross_entropy(inputs, targets)` takes its own default. "
            "Hand it on: `balanced_cross_entropy(inputs, targets, alpha)`.",
            _default_alpha,
        ),
        Mistake("alpha_twice", SAYS["alpha_twice"], focal(weighs=slips.twice)),
        Mistake(
            "alpha_again",
            "All are multiplied by α once more. The balanced cross entropy has weighed them "
            "already, positives by α and negatives by 1 − α.",
            focal(weighs=slips.alpha_again),
        ),
        Mistake(
            "detached",
            "The numbers are right, the gradient is not: the factor is cut off by `detach()` or "
            "`torch.no_grad()`, and its own slope is missing.",
            focal(modulates=slips.cut_off),
        ),
        Mistake(
            "of_positives",
            "Only positives are turned down: for a negative your p_t is 0 and the factor 1. Its "
            "p_t is 1 − p, so its factor is p^γ.",
            focal(modulates=slips.of_positives),
        ),
        Mistake(
            "whole_gamma",
            "γ was cut to a whole number, and 0.5 became 0. Take it as it comes: "
            "(1 − p_t) ** gamma.",
            focal(modulates=slips.whole_gamma),
        ),
        Mistake(
            "power_upside_down",
            "Base and exponent have changed places: γ^(1 − p_t). The factor is (1 − p_t)^γ.",
            focal(modulates=slips.upside_down),
        ),
        Mistake(
            "no_sigmoid",
            "The factor was made of the logit itself. A probability is meant: p = sigmoid(input), "
            "then 1 − p_t.",
            focal(modulates=slips.no_sigmoid),
        ),
        Mistake(
            "loss_for_p_t",
            "The factor is (1 − cross entropy)^γ. The cross entropy is −ln(p_t), not p_t: "
            "p_t = exp(−cross entropy).",
            focal(modulates=slips.loss_for_p_t),
        ),
        Mistake(
            "log_for_p_t",
            "The factor is (1 − ln p_t)^γ: the logarithm stands where p_t should. "
            "p_t = exp(ln p_t).",
            focal(modulates=slips.log_for_p_t),
        ),
        Mistake(
            "added_to_weighted",
            "The factor (1 − p_t)^γ is added to the weighted cross entropy. It multiplies it.",
            _added_to_weighted,
        ),
        Mistake(
            "added",
            "The factor (1 − p_t)^γ is added to the cross entropy. It multiplies it.",
            _weight_inside,
        ),
        Mistake(
            "p_t_from_weighted",
            "p_t = exp(−loss) holds for the plain cross entropy only. Yours has α in it already: "
            "compute the factor first, weigh afterwards.",
            _p_t_from_weighted,
        ),
        Mistake(
            "mean_everywhere",
            "One mean of the cross entropy goes into the factor and the loss: "
            '`binary_cross_entropy_with_logits` averages unless you say `reduction="none"`.',
            _mean_everywhere,
        ),
        Mistake(
            "gamma_and_alpha",
            "γ and α are swapped. As in torchvision alpha comes before gamma: alpha weighs, gamma "
            "is the exponent.",
            lambda x, t, a, g: focal()(x, t, g, a),
        ),
        Mistake(
            "power_of_all",
            "The power takes in the cross entropy as well. Only 1 − p_t goes to the power of γ.",
            _power_of_all,
        ),
        Mistake(
            "no_logarithm",
            "This is the factor alone, (1 − p_t)^γ. It multiplies the cross entropy, −ln(p_t).",
            focal(entropy=lambda x, t: torch.ones_like(x)),
        ),
        Mistake(
            "by_positives",
            "Each loss is divided by the number of positives already. That comes later, after "
            "the sum.",
            _by_positives,
        ),
        _says("alpha_alike", weighs=slips.alike),
        _says("alpha_swapped", weighs=slips.swapped),
        _says("negatives_full", weighs=slips.negatives_full),
        _says("alpha_ignored", weighs=slips.unweighted),
        _says("alpha_below_0", below_0=True),
        _says("naive", entropy=slips.naive_where),
        _says("naive_sum", entropy=slips.naive_sum),
        _says("naive_negatives", entropy=slips.naive_negatives),
        _says("capped", entropy=slips.capped),
        _says("one_minus_log", entropy=slips.one_minus_log),
        _says("by_number", after=lambda loss: loss / loss.numel()),
        _says("clamped", entropy=slips.clamped(1e-7)),
        _says("clamped_8", entropy=slips.clamped(1e-8)),
        _says("clamped_both", entropy=slips.clamped_both),
        _says("overflow", entropy=slips.overflow),
        _says("overflow_sum", entropy=slips.overflow_sum),
        _says("mean_inside", entropy=slips.mean_inside),
        _says("log_of_logits", entropy=slips.log_of_logits),
        _says("log_of_chosen_logits", entropy=slips.log_of_chosen_logits),
        _says("double_sigmoid", entropy=slips.double_sigmoid),
        _says("sign", entropy=times(-1)),
        _says("log2", entropy=times(LOG2)),
        _says("mean", after=lambda loss: loss.mean()),
        _says("sum", after=lambda loss: loss.sum()),
    ),
    hints=(
        "Your `balanced_cross_entropy(inputs, targets, alpha)` is two thirds of the answer. What "
        "is missing is the factor (1 − p_t) ** gamma.",
        "p = inputs.sigmoid(). The probability of the truth is p for positives, 1 − p for "
        "negatives: `p_t = p * targets + (1 - p) * (1 - targets)`.",
        "`return (1 - p_t) ** gamma * balanced_cross_entropy(inputs, targets, alpha)`",
    ),
)
