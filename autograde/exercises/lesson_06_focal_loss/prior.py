"""Exercise 3: prior_bias."""

from __future__ import annotations

import math

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import losses as ref


def _percent(d: Draw, low: int, high: int) -> tuple[float]:
    return (d.integer(low, high) / 100,)


PRIOR_BIAS = Exercise(
    name="prior_bias",
    points=2,
    reference=ref.prior_bias,
    names=("pi",),
    cases=(
        Case("the paper's π = 0.01", lambda d: (0.01,), core=True),
        Case("another small π", lambda d: _percent(d, 2, 9), core=True),
        Case("a very small π", lambda d: (d.integer(1, 9) / 10_000,)),
        Case("π = 0.5: a bias of 0", lambda d: (0.5,)),
        Case("objects more frequent than background", lambda d: _percent(d, 60, 90)),
    ),
    mistakes=(
        Mistake(
            "sign",
            "The sign is wrong: with this bias the sigmoid gives 1 − π, and everything begins as "
            "an object.",
            lambda pi: math.log((1 - pi) / pi),
        ),
        Mistake(
            "log_pi",
            "This is ln(π). It is close, but sigmoid of it is π / (1 + π). The odds have 1 − π "
            "below: ln(π / (1 − π)).",
            math.log,
        ),
        Mistake(
            "minus_log_pi",
            "This is −ln(π), the loss of a positive. The bias is ln(π / (1 − π)), below 0 for a "
            "small π.",
            lambda pi: -math.log(pi),
        ),
        Mistake(
            "log_of_rest",
            "This is ln(1 − π), which is nearly 0. The logit is ln(π / (1 − π)).",
            lambda pi: math.log(1 - pi),
        ),
        Mistake(
            "minus_log_of_rest",
            "This is −ln(1 − π), the loss of a background anchor. The logit is ln(π / (1 − π)).",
            lambda pi: -math.log(1 - pi),
        ),
        Mistake(
            "log2",
            "The logarithm has base 2. sigmoid is made of e, so take the natural one: `math.log`.",
            lambda pi: math.log2(pi / (1 - pi)),
        ),
        Mistake(
            "log10",
            "The logarithm has base 10. sigmoid is made of e, so take the natural one: `math.log`.",
            lambda pi: math.log10(pi / (1 - pi)),
        ),
        Mistake(
            "pi_itself",
            "π is a probability. The bias is a logit: the number whose sigmoid is π.",
            lambda pi: pi,
        ),
        Mistake(
            "sigmoid_of_pi",
            "This is sigmoid(π). You want the other direction: the number whose sigmoid is π.",
            lambda pi: 1 / (1 + math.exp(-pi)),
        ),
        Mistake(
            "odds",
            "These are the odds, π / (1 − π). Their logarithm is missing.",
            lambda pi: pi / (1 - pi),
        ),
        Mistake(
            "odds_against",
            "These are the odds against, (1 − π) / π. The logarithm is missing, and the minus.",
            lambda pi: (1 - pi) / pi,
        ),
        Mistake(
            "minus_odds_against",
            "−(1 − π) / π lacks the logarithm: −ln((1 − π) / π).",
            lambda pi: -(1 - pi) / pi,
        ),
        Mistake(
            "log_too_early",
            "Only 1 − π stands under the logarithm, and π divides the result. The brackets: "
            "−ln((1 − π) / π).",
            lambda pi: -math.log(1 - pi) / pi,
        ),
        Mistake(
            "always_001",
            "This is the bias for π = 0.01 whatever π is. Use the argument `pi`.",
            lambda pi: ref.prior_bias(0.01),
        ),
        Mistake(
            "always_4_6",
            "−4.6 is the example's number, rounded, and for π = 0.01 only. Compute it from the "
            "argument `pi`.",
            lambda pi: -4.6,
        ),
        Mistake(
            "one_more",
            "This is −ln(1/π + 1): a sign has slipped. Solve 1 + e^(−b) = 1/π for b: "
            "e^(−b) = 1/π − 1.",
            lambda pi: -math.log(1 / pi + 1),
        ),
    ),
    hints=(
        "Solve π = 1 / (1 + e^(−b)) for b. First turn both sides upside down.",
        "1 + e^(−b) = 1/π, so e^(−b) = (1 − π) / π. Now the logarithm, and the minus.",
        "`return -math.log((1 - pi) / pi)`",
    ),
)
