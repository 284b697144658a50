"""What wrong answers are made of: focal loss from logits, with a slip of your choice.

gamma = 0 gives the balanced cross entropy. Each part can be replaced by a slip.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, logsigmoid

Part = Callable[[Tensor, Tensor], Tensor]  # of inputs and targets
Weight = Callable[[Tensor, float], Tensor]  # of targets and alpha
Factor = Callable[[Tensor, Tensor, float], Tensor]  # of inputs, targets and gamma


def cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    return -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))


def weight(t: Tensor, alpha: float) -> Tensor:
    return alpha * t + (1 - alpha) * (1 - t)


def factor(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    p = torch.sigmoid(x)
    power: Tensor = ((1 - p) * t + p * (1 - t)) ** gamma
    return power


def focal(
    entropy: Part = cross_entropy,
    weighs: Weight = weight,
    modulates: Factor = factor,
    after: Callable[[Tensor], Tensor] = lambda loss: loss,
    below_0: bool = False,
    weighted: Callable[[float], bool] = lambda alpha: alpha >= 0,
) -> Callable[..., Tensor]:
    """(inputs, targets, alpha, gamma=0) -> loss, with the parts as given.

    below_0: whether a negative alpha is used as a weight, too. weighted: which alpha is one.
    """

    def wrong(x: Tensor, t: Tensor, alpha: float, gamma: float = 0) -> Tensor:
        loss = entropy(x, t)
        if gamma:
            loss = modulates(x, t, gamma) * loss
        if weighted(alpha) or below_0:
            loss = weighs(t, alpha) * loss
        return after(loss)

    return wrong


# ------------------------------------------------------------------ slips of the cross entropy


def naive_where(x: Tensor, t: Tensor) -> Tensor:
    p = torch.sigmoid(x)
    return -torch.where(t == 1, p, 1 - p).log()


def naive_sum(x: Tensor, t: Tensor) -> Tensor:
    p = torch.sigmoid(x)
    return -(t * p.log() + (1 - t) * (1 - p).log())


def naive_negatives(x: Tensor, t: Tensor) -> Tensor:
    return -(t * logsigmoid(x) + (1 - t) * (1 - torch.sigmoid(x)).log())


def capped(x: Tensor, t: Tensor) -> Tensor:
    """PyTorch's own for probabilities: it stops the logarithm at -100."""
    return binary_cross_entropy(torch.sigmoid(x), t, reduction="none")


def one_minus_log(x: Tensor, t: Tensor) -> Tensor:
    return -(t * logsigmoid(x) + (1 - t) * (1 - logsigmoid(x)))


def clamped(eps: float) -> Part:
    def wrong(x: Tensor, t: Tensor) -> Tensor:
        p = torch.sigmoid(x)
        return -(t * p.clamp(min=eps).log() + (1 - t) * (1 - p).clamp(min=eps).log())

    return wrong


def clamped_both(x: Tensor, t: Tensor) -> Tensor:
    p = torch.sigmoid(x).clamp(1e-7, 1 - 1e-7)
    return -(t * p.log() + (1 - t) * (1 - p).log())


def overflow(x: Tensor, t: Tensor) -> Tensor:
    return (1 + torch.exp(x * (1 - 2 * t))).log()


def overflow_sum(x: Tensor, t: Tensor) -> Tensor:
    return t * (1 + torch.exp(-x)).log() + (1 - t) * (1 + torch.exp(x)).log()


def mean_inside(x: Tensor, t: Tensor) -> Tensor:
    return cross_entropy(x, t).mean()


def double_sigmoid(x: Tensor, t: Tensor) -> Tensor:
    return cross_entropy(torch.sigmoid(x), t)


def log_of_logits(x: Tensor, t: Tensor) -> Tensor:
    return -(t * x.log() + (1 - t) * (1 - x).log())


def log_of_chosen_logits(x: Tensor, t: Tensor) -> Tensor:
    return -torch.where(t == 1, x, 1 - x).log()


def softmax_for_sigmoid(x: Tensor, t: Tensor) -> Tensor:
    p = x.softmax(-1)
    return -(t * p.log() + (1 - t) * (1 - p).log())


def all_positive(x: Tensor, t: Tensor) -> Tensor:
    return -logsigmoid(x)


def only_positive(x: Tensor, t: Tensor) -> Tensor:
    return -t * logsigmoid(x)


def targets_swapped(x: Tensor, t: Tensor) -> Tensor:
    return cross_entropy(x, 1 - t)


def times(number: float, entropy: Part = cross_entropy) -> Part:
    return lambda x, t: number * entropy(x, t)


LOG2, LOG10 = 1.4426950408889634, 0.4342944819032518


# ------------------------------------------------------------------ slips of the weight


def alike(t: Tensor, alpha: float) -> Tensor:
    return torch.full_like(t, alpha)


def swapped(t: Tensor, alpha: float) -> Tensor:
    return weight(1 - t, alpha)


def negatives_full(t: Tensor, alpha: float) -> Tensor:
    return alpha * t + (1 - t)


def twice(t: Tensor, alpha: float) -> Tensor:
    return weight(t, alpha) ** 2


def alpha_again(t: Tensor, alpha: float) -> Tensor:
    return alpha * weight(t, alpha)


def unweighted(t: Tensor, alpha: float) -> Tensor:
    return torch.ones_like(t)


# ------------------------------------------------------------------ slips of the factor


def p_for_p_t(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = (1 - torch.sigmoid(x)) ** gamma
    return power


def p_t_itself(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return factor(-x, t, gamma)


def product(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return gamma * factor(x, t, 1)


def one_minus_power(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return 1 - factor(-x, t, gamma)


def no_factor(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return torch.ones_like(x)


def always_2(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return factor(x, t, 2)


def cut_off(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return factor(x, t, gamma).detach()


def of_positives(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = (1 - torch.sigmoid(x) * t) ** gamma
    return power


def whole_gamma(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    return factor(x, t, int(gamma))


def upside_down(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = gamma ** factor(x, t, 1)
    return power


def no_sigmoid(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = ((1 - x) * t + x * (1 - t)) ** gamma
    return power


def loss_for_p_t(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = (1 - cross_entropy(x, t)) ** gamma
    return power


def log_for_p_t(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    power: Tensor = (1 + cross_entropy(x, t)) ** gamma
    return power


SAYS = {
    "naive_negatives": "log(1 − sigmoid(x)): the sigmoid rounds to 1 before the logarithm sees it. "
    "For the background take logsigmoid(−x), as you took logsigmoid(x) for the objects.",
    "capped": "`binary_cross_entropy` works on probabilities, and PyTorch stops its logarithm at "
    "100: sure mistakes are rounded or cut. Work on the logits (logsigmoid, or the function "
    "`…_with_logits`).",
    "one_minus_log": "A target of 0 got 1 − ln(p). The 1 − p belongs under the logarithm: "
    "ln(1 − p) = logsigmoid(−x).",
    "pos_weight": "`pos_weight=alpha` multiplies positives by α and leaves negatives at 1, even "
    "for a negative α. Negatives weigh 1 − α, and below 0 all weigh 1.",
    "by_number": "Each loss was divided by the number of logits. Who sums and divides is decided "
    "outside.",
    "alpha_twice": "α weighs twice: it is in the balanced cross entropy already.",
    "mean": "One mean came back. Give every logit its own loss: PyTorch's functions average unless "
    'you say `reduction="none"`.',
    "sum": "One sum came back. Give every logit its own loss: who sums and divides is decided "
    "outside.",
    "alpha_alike": "α multiplies both classes alike. Positives weigh α, negatives 1 − α.",
    "alpha_swapped": "α sits on the wrong class: positives weigh α, negatives 1 − α.",
    "negatives_full": "Positives weigh α, but negatives still weigh 1. They weigh 1 − α.",
    "alpha_ignored": "α has no effect. Multiply positives by α and negatives by 1 − α.",
    "alpha_below_0": "A negative α is used as a weight. It means: no weights, all count 1.",
    "double_sigmoid": "Sigmoid is applied twice: you take it of `inputs`, then hand the "
    "probability to a function that expects a logit.",
    "log_of_logits": "The logarithm is taken of the logits. They are no probabilities yet: "
    "p = sigmoid(input).",
    "softmax": "softmax makes the anchors compete with each other. Each logit is a yes-or-no "
    "question of its own: sigmoid.",
    "sign": "The loss came out negative: ln of a probability is below 0. A minus sign is missing.",
    "all_positive": "Every target is treated as 1: −ln(p) for all. For a target of 0 the truth "
    "got 1 − p.",
    "only_positive": "Only positives have a loss. A negative's is −ln(1 − p): the term with "
    "1 − t is missing.",
    "targets_swapped": "Positives and negatives are swapped: −ln(p) belongs to a target of 1, "
    "−ln(1 − p) to 0.",
    "log2": "The logarithm has base 2. The loss uses the natural one, `torch.log`.",
    "log10": "The logarithm has base 10. The loss uses the natural one, `torch.log`.",
    "naive": "The sigmoid rounds to 0 or to 1 before the logarithm sees it, and log(0) is −inf. "
    "Take logsigmoid(x) and logsigmoid(−x): no probability in between.",
    "naive_sum": "For sure answers 0 · log(0) = 0 · (−inf) is NaN. Take logsigmoid(x) and "
    "logsigmoid(−x) of the logit: no log(0) arises.",
    "clamped": "The probability is kept away from 0 by 1e-7, so the loss stops at 16 and its "
    "gradient is 0: who is most wrong learns nothing. Use logsigmoid.",
    "clamped_both": "p is kept within 1e-7 of 0 and 1, so the loss stops at 16 and its gradient is "
    "0: who is most wrong learns nothing. Use logsigmoid.",
    "overflow": "exp of a large number is infinite in float32 (from 89 on). `logsigmoid` and "
    "`softplus` compute ln(1 + e^z) without that.",
    "overflow_sum": "exp of a large number is infinite in float32, and 0 · inf is NaN. "
    "`logsigmoid` and `softplus` compute ln(1 + e^z) without that.",
    "mean_inside": "All share one mean of the cross entropy: "
    '`binary_cross_entropy_with_logits` averages unless you say `reduction="none"`.',
    "log_of_chosen_logits": "NaN or too large: the logarithm is taken of the logits, as if they "
    "were probabilities. p = sigmoid(input).",
    "alpha_0": "α = 0 is a weight like any other: positives weigh 0, negatives 1. Only below 0 "
    "are there no weights: `if alpha >= 0`.",
    "alpha_minus_1": "Only −1 is taken as *no weights*. Every α below 0 is: `if alpha >= 0`.",
    "clamped_8": "With 1e-8 under the logarithm the loss stops at 18 and its gradient is 0: who "
    "is most wrong learns nothing. Use logsigmoid.",
}
