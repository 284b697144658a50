"""Exercise 5: softmax_focal_loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_06_focal_loss.inputs import (
    class_weights,
    high_rows,
    rows,
    sure_rows,
)
from autograde.exercises.lesson_06_focal_loss.slips import LOG2, SAYS
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import losses as ref

Alpha = Tensor | float


def at(table: Tensor, y: Tensor) -> Tensor:
    """The entry of each row in the column of its class."""
    return table.gather(1, y[:, None]).squeeze(1)


def focal(
    log_p: Callable[[Tensor], Tensor] = lambda x: x.log_softmax(1),
    pick: Callable[[Tensor, Tensor], Tensor] = at,
    factor: Callable[[Tensor, float], Any] = lambda p_t, gamma: (1 - p_t) ** gamma,
    weigh: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda a, x, y: a[y],
    after: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Callable[..., Tensor]:
    def wrong(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
        log_p_t = pick(log_p(x), y)
        loss = -factor(log_p_t.exp(), gamma) * log_p_t
        if torch.is_tensor(alpha):
            loss = weigh(alpha.to(loss.dtype), x, y) * loss
        return after(loss)

    return wrong


def _all_classes(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    """The sigmoid loss of each class, added up."""
    hot = torch.nn.functional.one_hot(y, x.shape[1]).to(x.dtype)
    loss = ref.sigmoid_focal_loss(x, hot, -1, gamma).sum(1)
    return alpha.to(loss.dtype)[y] * loss if torch.is_tensor(alpha) else loss


def _whole_table(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    log_p = x.log_softmax(1)
    loss = -((1 - log_p.exp()) ** gamma) * log_p
    return alpha.to(loss.dtype) * loss if torch.is_tensor(alpha) else loss


def _exp_over_sum(x: Tensor) -> Tensor:
    return (x.exp() / x.exp().sum(1, keepdim=True)).log()


def _weight_first(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    loss = -at(x.log_softmax(1), y)
    if torch.is_tensor(alpha):
        loss = alpha.to(loss.dtype)[y] * loss
    wrong: Tensor = (1 - torch.exp(-loss)) ** gamma * loss
    return wrong


def _factor_of_logits(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    loss: Tensor = -((1 - at(x, y)) ** gamma) * at(x.log_softmax(1), y)
    return alpha.to(loss.dtype)[y] * loss if torch.is_tensor(alpha) else loss


def _log_in_factor(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    log_p_t = at(x.log_softmax(1), y)
    loss: Tensor = -((1 - log_p_t) ** gamma) * log_p_t
    return alpha.to(loss.dtype)[y] * loss if torch.is_tensor(alpha) else loss


def _alpha_compared(x: Tensor, y: Tensor, alpha: Alpha, gamma: float) -> Tensor:
    loss = focal()(x, y, -1, gamma)
    return alpha[y] * loss if alpha >= 0 else loss  # type: ignore[index]


def _three(d: Draw) -> tuple[Tensor, Tensor]:
    return rows(d, 6, 3)


SOFTMAX_FOCAL_LOSS = Exercise(
    name="softmax_focal_loss",
    points=3,
    reference=ref.softmax_focal_loss,
    names=("inputs", "targets", "alpha", "gamma"),
    cases=(
        Case("γ = 2, no weights", lambda d: (*rows(d), -1, 2), core=True),
        Case("a weight for each class", lambda d: (*rows(d, 4), class_weights(d), 2), core=True),
        Case("γ = 0: cross entropy", lambda d: (*_three(d), -1, 0)),
        Case("another γ", lambda d: (*_three(d), -1, (0.5, 3.0, 5.0)[d.integer(0, 2)])),
        Case("two classes", lambda d: (*rows(d, 5, 2), -1, 1)),
        Case("one logit beyond 100", lambda d: (*sure_rows(d), -1, 2)),
        Case("all logits beyond 500", lambda d: (*high_rows(d), -1, 2)),
        Case("the gradient", lambda d: (*rows(d), -1, 2), kind="grad"),
        Case("no rows at all", lambda d: (torch.zeros(0, 3), torch.zeros(0).long(), -1, 2)),
    ),
    mistakes=(
        Mistake(
            "sigmoid",
            "p_t comes from sigmoid. Here exactly one class is right, and the classes compete: "
            "softmax over the row.",
            focal(log_p=torch.nn.functional.logsigmoid),
        ),
        Mistake(
            "all_sigmoids",
            "This is the sum of the sigmoid losses of all classes. Softmax focal loss looks at "
            "the target's probability only.",
            _all_classes,
        ),
        Mistake(
            "down_the_columns",
            "softmax runs down the columns, over the examples. Each row is one example: dim=1.",
            focal(log_p=lambda x: x.log_softmax(0)),
        ),
        Mistake(
            "whole_table",
            "A loss for every class came back. Pick the target's column of each row.",
            _whole_table,
        ),
        Mistake(
            "best_class",
            "p_t is the probability of the best class. It is the target's: "
            "`log_p[range(N), targets]`.",
            focal(pick=lambda table, y: table.amax(1)),
        ),
        Mistake(
            "naive",
            "softmax rounds to 0 before the logarithm sees it, and log(0) is −inf. "
            "`log_softmax` does both in one, without that.",
            focal(log_p=lambda x: x.softmax(1).log()),
        ),
        Mistake(
            "exp_over_sum",
            "exp of a large logit is infinite, and inf / inf is NaN. `log_softmax` takes the "
            "largest logit away first.",
            focal(log_p=_exp_over_sum),
        ),
        Mistake(
            "double_softmax",
            "softmax is applied twice: `log_softmax` (or cross_entropy) wants logits, not "
            "probabilities.",
            focal(log_p=lambda x: x.softmax(1).log_softmax(1)),
        ),
        Mistake(
            "p_t_itself",
            "The factor is p_t^γ: it turns down the hard rows. (1 − p_t)^γ turns down the easy "
            "ones.",
            focal(factor=lambda p_t, gamma: p_t**gamma),
        ),
        Mistake(
            "gamma_times",
            "γ multiplies. It is an exponent: (1 − p_t) ** gamma.",
            focal(factor=lambda p_t, gamma: gamma * (1 - p_t)),
        ),
        Mistake(
            "one_minus_power",
            "This is 1 − p_t^γ: the brackets stand wrong. First 1 − p_t, then the power.",
            focal(factor=lambda p_t, gamma: 1 - p_t**gamma),
        ),
        Mistake(
            "column_of_all",
            "`log_p[:, targets]` takes every target from every row, [N, N]. One of each row: "
            "`log_p[torch.arange(N), targets]`.",
            focal(pick=lambda table, y: table[:, y]),
        ),
        Mistake(
            "weight_first",
            "p_t = exp(−loss) holds for the plain cross entropy only: with `weight=alpha` α is in "
            "it already. Compute the factor first, weigh afterwards.",
            _weight_first,
        ),
        Mistake(
            "mean_inside",
            "One mean of the cross entropy goes into everything: `cross_entropy` averages unless "
            'you say `reduction="none"`.',
            focal(pick=lambda table, y: at(table, y).mean()),
        ),
        Mistake(
            "with_eps",
            "With 1e-8 under the logarithm the loss stops at 18 and its gradient is 0. "
            "`log_softmax` needs no such help.",
            focal(log_p=lambda x: (x.softmax(1) + 1e-8).log()),
        ),
        Mistake(
            "gamma_ignored",
            "γ has no effect: this is cross entropy. Multiply by (1 − p_t)^γ.",
            focal(factor=lambda p_t, gamma: 1.0),
        ),
        Mistake(
            "gamma_fixed",
            "γ is always 2 in your function. Use the argument `gamma`.",
            focal(factor=lambda p_t, gamma: (1 - p_t) ** 2),
        ),
        Mistake(
            "detached",
            "The numbers are right, the gradient is not: the factor is cut off by `detach()` or "
            "`torch.no_grad()`, and its own slope is missing.",
            focal(factor=lambda p_t, gamma: ((1 - p_t) ** gamma).detach()),
        ),
        Mistake(
            "alpha_ignored",
            "α has no effect. Each row weighs alpha[its target].",
            focal(weigh=lambda a, x, y: torch.ones(len(y), dtype=a.dtype)),
        ),
        Mistake(
            "alpha_of_best",
            "The weight is that of the predicted class. It belongs to the true one: "
            "`alpha[targets]`.",
            focal(weigh=lambda a, x, y: a[x.argmax(1)]),
        ),
        Mistake(
            "one_minus_alpha",
            "The weight is 1 − alpha[target]. With a weight for each class there is no 1 − α: "
            "`alpha[targets]`.",
            focal(weigh=lambda a, x, y: 1 - a[y]),
        ),
        Mistake(
            "alpha_in_order",
            "`alpha * loss` gives the first row the first weight, the second row the second. A row "
            "weighs what its class weighs: `alpha[targets]`.",
            focal(weigh=lambda a, x, y: a),
        ),
        Mistake(
            "alpha_of_first",
            "All rows got the weight of class 0. Each row has that of its own class: "
            "`alpha[targets]`.",
            focal(weigh=lambda a, x, y: a[0]),
        ),
        Mistake(
            "alpha_compared",
            "`alpha >= 0` of a tensor is a tensor again, and `if` cannot decide. Ask what alpha "
            "is, not how large: `if torch.is_tensor(alpha):`.",
            _alpha_compared,
        ),
        Mistake(
            "log_in_factor",
            "The factor is (1 − ln p_t)^γ: the logarithm stands where p_t should. "
            "p_t = `log_p_t.exp()`.",
            _log_in_factor,
        ),
        Mistake(
            "logits_in_factor",
            "The factor was made of the logit itself. A probability is meant: p_t is exp of "
            "`log_softmax`, in the target's column.",
            _factor_of_logits,
        ),
        Mistake(
            "sign",
            "The loss came out negative: ln of a probability is below 0. A minus sign is missing.",
            focal(after=lambda loss: -loss),
        ),
        Mistake(
            "log2",
            "The logarithm has base 2. The loss uses the natural one.",
            focal(after=lambda loss: LOG2 * loss),
        ),
        Mistake("mean", SAYS["mean"].replace("logit", "row"), focal(after=torch.mean)),
        Mistake("sum", SAYS["sum"].replace("logit", "row"), focal(after=torch.sum)),
    ),
    hints=(
        "`log_p = inputs.log_softmax(1)` gives ln of all probabilities, [N, K], without "
        "overflow. You need one column of each row.",
        "ln(p_t) is `log_p[torch.arange(len(targets)), targets]`, and p_t is its `.exp()`.",
        "Loss: `-(1 - p_t) ** gamma * log_p_t`. If alpha is a tensor, times `alpha[targets]`.",
    ),
)
