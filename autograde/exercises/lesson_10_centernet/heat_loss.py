"""Exercise 4: heatmap_focal_loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from autograde.exercises.lesson_10_centernet.inputs import drawn, signed
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref

Side = Callable[[Tensor, Tensor, float, float], Tensor]  # of the logits, y, α and β


def _reference(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    return ref.heatmap_focal_loss(logits, heatmap, alpha, beta)


def _positive(x: Tensor, y: Tensor, alpha: float, beta: float) -> Tensor:
    return (-x).sigmoid() ** alpha * -logsigmoid(x)


def _negative(x: Tensor, y: Tensor, alpha: float, beta: float) -> Tensor:
    return (1 - y) ** beta * x.sigmoid() ** alpha * -logsigmoid(-x)


def _loss(
    positive: Side = _positive,
    negative: Side = _negative,
    peak: Callable[[Tensor], Tensor] = lambda y: y == 1,
    after: Callable[[Tensor], Tensor] = lambda loss: loss,
    **fixed: float,
) -> Callable[..., Tensor]:
    """The exercise with one step replaced. fixed: α or β whatever the arguments say."""

    def wrong(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
        told = {"alpha": alpha, "beta": beta} | fixed
        pair = (logits, heatmap, told["alpha"], told["beta"])
        return after(torch.where(peak(heatmap), positive(*pair), negative(*pair)))

    return wrong


def _exchanged(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    return _reference(logits, heatmap, beta, alpha)


def _soft(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    """y and 1 − y as weights of both sides, as in a cross entropy with soft targets."""
    sides = (logits, heatmap, alpha, 0.0)
    return heatmap * _positive(*sides) + (1 - heatmap) * _negative(*sides)


def _no_logits(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    p = logits
    positive = (1 - p) ** alpha * -p.log()
    negative = (1 - heatmap) ** beta * p**alpha * -(1 - p).log()
    return torch.where(heatmap == 1, positive, negative)


def _unstable(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    return _no_logits(logits.sigmoid(), heatmap, alpha, beta)


def _raw(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    """The logits in place of p, with the right logarithms."""
    yes = (1 - logits) ** alpha * -logsigmoid(logits)
    no = (1 - heatmap) ** beta * logits**alpha * -logsigmoid(-logits)
    return torch.where(heatmap == 1, yes, no)


def _kept_finite(added: float = 0.0, clamp: float = 0.0) -> Callable[..., Tensor]:
    """A small number inside of the logarithms, or p kept away from 0 and 1."""

    def wrong(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
        p = logits.sigmoid().clamp(clamp, 1 - clamp)
        yes = (1 - p) ** alpha * -(p + added).log()
        no = (1 - heatmap) ** beta * p**alpha * -(1 - p + added).log()
        return torch.where(heatmap == 1, yes, no)

    return wrong


def _weighted(logits: Tensor, heatmap: Tensor, alpha: float = 2, beta: float = 4) -> Tensor:
    pair = (logits, heatmap, alpha, beta)
    return heatmap * _positive(*pair) + _negative(*pair)


def _sides(other: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Both sides, with another function of p and 1 − p for the logarithm."""
    return _loss(
        positive=lambda x, y, a, b: (-x).sigmoid() ** a * other(x),
        negative=lambda x, y, a, b: (1 - y) ** b * x.sigmoid() ** a * other(-x),
    )


def _heat(d: Draw, K: int, H: int, W: int, radius: int = 2) -> Tensor:
    """A map with a peak in each class, and Gaussians around them."""
    peaks = [(d.integer(0, W - 1), d.integer(0, H - 1), radius, k) for k in range(K)]
    return ref.gaussian_heatmap(*drawn(peaks), (H, W), K)


def _case(
    probes: str, K: int, H: int, W: int, *options: float, radius: int = 2, **about: Any
) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return signed(d, K, H, W), _heat(d, K, H, W, radius), *options

    return Case(probes, make, **about)


def _nothing_there(d: Draw) -> tuple[Any, ...]:
    return signed(d, 2, 3, 4), torch.zeros(2, 3, 4)


def _peaks_only(d: Draw) -> tuple[Any, ...]:
    return signed(d, 1, 2, 3), torch.ones(1, 2, 3)


def _nearly_one(d: Draw) -> tuple[Any, ...]:
    heatmap = torch.tensor([[[0.75, 0.875, 1.0, 0.9375, 0.5, 0.0, 1023 / 1024]]])
    return signed(d, 1, 1, 7, most=6) + 2, heatmap, 2, 1


def _very_sure(d: Draw) -> tuple[Any, ...]:
    logits = torch.tensor([[[120.0, -120.0, 120.0, -120.0, 60.0]]]) + d.integer(0, 20)
    return logits, torch.tensor([[[1.0, 1.0, 0.0, 0.0, 0.5]]])


HEATMAP_FOCAL_LOSS = Exercise(
    name="heatmap_focal_loss",
    points=2,
    reference=_reference,
    names=("logits", "heatmap", "alpha", "beta"),
    cases=(
        _case("a peak and what is around it", 1, 4, 5, core=True),
        _case("three classes, wide hills", 3, 4, 5, radius=3, core=True),
        _case("α = 1, β = 2", 2, 4, 4, 1, 2, core=True),
        _case("α = 0: no discount for what is right already", 1, 3, 5, 0, 4),
        _case("β = 0: nothing is forgiven", 1, 4, 4, 2, 0),
        Case("no objects: all 0", _nothing_there),
        Case("peaks only", _peaks_only),
        Case("values just below 1", _nearly_one),
        Case("a network that is very sure: logits of 120", _very_sure),
        _case("the gradient of the logits", 2, 3, 4, kind="grad", slopes=(0,)),
    ),
    mistakes=(
        Mistake(
            "nothing_forgiven",
            "The factor (1 − y)^β is missing. A place beside the centre would make nearly the same "
            "box, and is not to be punished as one far away.",
            _loss(beta=0),
        ),
        Mistake(
            "y_to_the_beta",
            "The factor is y^β. Then places far from all objects cost nothing at all: it is "
            "(1 − y)^β.",
            _loss(negative=lambda x, y, a, b: y**b * x.sigmoid() ** a * -logsigmoid(-x)),
        ),
        Mistake(
            "power_before_the_difference",
            "The factor is 1 − y^β. It is (1 − y)^β: the brackets are inside of the power.",
            _loss(negative=lambda x, y, a, b: (1 - y**b) * x.sigmoid() ** a * -logsigmoid(-x)),
        ),
        Mistake(
            "beta_on_peaks_too",
            "The peaks were forgiven, too: (1 − y)^β is 0 where y = 1, and the network hears "
            "nothing of the objects. Peaks have no such factor.",
            _loss(positive=lambda x, y, a, b: (1 - y) ** b * _positive(x, y, a, b)),
        ),
        Mistake(
            "soft_targets",
            "Both sides were mixed with y and 1 − y, as in a cross entropy with soft targets. Only "
            "y = 1 is a yes; everything below is a no that is forgiven by (1 − y)^β.",
            _soft,
        ),
        Mistake(
            "weighted_by_y",
            "The side of the peaks was multiplied with y, and is heard beside them, too. Only "
            "y = 1 is a yes: `torch.where(heatmap == 1, yes, no)`.",
            _weighted,
        ),
        Mistake(
            "all_of_the_gaussian",
            "Every place with y above 0 was taken for a peak. Only y = 1 is one; around it the "
            "answer is still no.",
            _loss(peak=lambda y: y > 0),
        ),
        Mistake(
            "half_of_the_gaussian",
            "Every place with y above 0.5 was taken for a peak. Only y = 1 is one; around it the "
            "answer is still no.",
            _loss(peak=lambda y: y > 0.5),
        ),
        Mistake(
            "from_nine_tenths_on",
            "Every place with y above 0.9 was taken for a peak. Only y = 1 is one; around it the "
            "answer is still no.",
            _loss(peak=lambda y: y > 0.9),
        ),
        Mistake(
            "nearly_one",
            "A y that is nearly 1 was taken for a peak. Only y = 1 is one, `heatmap == 1`; the "
            "place beside the centre of a very large object has 0.999.",
            _loss(peak=lambda y: y > 0.99),
        ),
        Mistake(
            "no_focus",
            "The factors (1 − p)^α and p^α are missing: a thousand easy places are heard as loudly "
            "as one hard one.",
            _loss(alpha=0),
        ),
        Mistake(
            "focus_exchanged",
            "(1 − p)^α and p^α are exchanged. A peak that is right already, p near 1, should count "
            "little: (1 − p)^α.",
            _loss(
                positive=lambda x, y, a, b: x.sigmoid() ** a * -logsigmoid(x),
                negative=lambda x, y, a, b: (1 - y) ** b * (-x).sigmoid() ** a * -logsigmoid(-x),
            ),
        ),
        Mistake(
            "p_at_peaks",
            "At the peaks the factor is p^α. A peak that is right already, p near 1, should count "
            "little: (1 − p)^α.",
            _loss(positive=lambda x, y, a, b: x.sigmoid() ** a * -logsigmoid(x)),
        ),
        Mistake(
            "rest_off_peaks",
            "Away from the peaks the factor is (1 − p)^α. Background that is right already, p near "
            "0, should count little: p^α.",
            _loss(negative=lambda x, y, a, b: (1 - y) ** b * (-x).sigmoid() ** a * -logsigmoid(-x)),
        ),
        Mistake(
            "focus_on_peaks_only",
            "The factor p^α is missing away from the peaks: easy background is heard at full "
            "volume.",
            _loss(negative=lambda x, y, a, b: (1 - y) ** b * -logsigmoid(-x)),
        ),
        Mistake(
            "focus_off_peaks_only",
            "The factor (1 − p)^α is missing at the peaks.",
            _loss(positive=lambda x, y, a, b: -logsigmoid(x)),
        ),
        Mistake(
            "alpha_as_weight",
            "α was taken for lesson 06's weight of the positives. Here α is an exponent, the γ of "
            "lesson 06: (1 − p)^α.",
            _loss(
                positive=lambda x, y, a, b: a * -logsigmoid(x),
                negative=lambda x, y, a, b: (1 - y) ** b * (1 - a) * -logsigmoid(-x),
            ),
        ),
        Mistake(
            "exchanged",
            "α and β are exchanged: α belongs to p, β to y.",
            _exchanged,
        ),
        Mistake(
            "alpha_dropped",
            "2 is the exponent of p whatever `alpha` says.",
            _loss(alpha=2),
        ),
        Mistake(
            "beta_dropped",
            "4 is the exponent of 1 − y whatever `beta` says.",
            _loss(beta=4),
        ),
        Mistake(
            "no_sigmoid",
            "The logits were taken for probabilities. Take the sigmoid first.",
            _no_logits,
        ),
        Mistake(
            "raw_logits",
            "The factors (1 − p)^α and p^α were made of the logits. p is their sigmoid; only "
            "`logsigmoid` takes the logits themselves.",
            _raw,
        ),
        Mistake(
            "wrong_sign",
            "The loss is negative. The logarithm of a probability is below 0: −ln.",
            _loss(after=lambda loss: -loss),
        ),
        Mistake(
            "log_of_the_wrong_one",
            "The logarithms are exchanged: −ln p at a peak, −ln(1 − p) elsewhere.",
            _sides(lambda x: -logsigmoid(-x)),
        ),
        Mistake(
            "summed",
            "The loss was summed. One value for each number of the map is asked for; the sum comes "
            "in the next exercise.",
            _loss(after=lambda loss: loss.sum()),
        ),
        Mistake(
            "averaged",
            "The loss was averaged. One value for each number of the map is asked for; the sum "
            "comes in the next exercise.",
            _loss(after=lambda loss: loss.mean()),
        ),
        Mistake(
            "log_of_zero",
            "Where the network is very sure, p is 1 in float32 and the logarithm of 1 − p "
            "infinite. `logsigmoid(-logits)` is ln(1 − p), without that.",
            _unstable,
        ),
        Mistake(
            "a_millionth_added",
            "1e-6 was added inside of the logarithm. That keeps it finite, but a loss of 120 "
            "becomes 13.8, and its gradient 0: who is wrong by far hears nothing. "
            "`logsigmoid` needs no such help.",
            _kept_finite(added=1e-6),
        ),
        Mistake(
            "less_than_a_millionth_added",
            "1e-8 was added inside of the logarithm. At p = 0 the loss is 18.4 then, not 120, and "
            "beside p = 1 it is lost in float32. `logsigmoid` needs no such help.",
            _kept_finite(added=1e-8),
        ),
        Mistake(
            "a_ten_millionth_added",
            "1e-7 was added inside of the logarithm. At p = 0 the loss is 16.1 then, not 120, and "
            "its gradient 0. `logsigmoid` needs no such help.",
            _kept_finite(added=1e-7),
        ),
        Mistake(
            "hardly_anything_added",
            "1e-12 was added inside of the logarithm. At p = 0 the loss is 27.6 then, not 120, and "
            "its gradient 0. `logsigmoid` needs no such help.",
            _kept_finite(added=1e-12),
        ),
        Mistake(
            "clamped",
            "p was kept between 0.0001 and 0.9999, as in the published program. Then a network "
            "that is very sure, and wrong, gets no gradient: `logsigmoid` of the logits needs no "
            "such help.",
            _kept_finite(clamp=1e-4),
        ),
        Mistake(
            "clamped_by_a_millionth",
            "p was kept away from 0 and 1 by 1e-6. Then a network that is very sure, and wrong, "
            "gets no gradient: `logsigmoid` of the logits needs no such help.",
            _kept_finite(clamp=1e-6),
        ),
    ),
    hints=(
        "`p = logits.sigmoid()`; `logsigmoid(logits)` is ln p, and `logsigmoid(-logits)` is "
        "ln(1 − p), since 1 − sigmoid(x) = sigmoid(−x).",
        "Compute both sides for the whole map: `yes = (1 - p)**alpha * -logsigmoid(logits)` and "
        "`no = (1 - heatmap)**beta * p**alpha * -logsigmoid(-logits)`.",
        "`return torch.where(heatmap == 1, yes, no)`.",
    ),
)
