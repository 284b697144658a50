"""The mistakes of exercise 4 that the check knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.slips import (
    Decay,
    decay,
    greedy,
    indices,
    soft,
)
from autograde.spec import Mistake

Answer = tuple[Tensor, Tensor]
SoftNms = Callable[[Tensor, Tensor, float, float, float, str], Answer]


def _with_decay(make: Callable[[str, float, float], Decay], **slips: Any) -> SoftNms:
    """Soft-NMS with a slip in the decay, or in the loop."""

    def wrong(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
        return soft(b, s, least, make(method, t, sigma), **slips)

    return wrong


def _gaussian(change: Callable[[Tensor, float], Tensor]) -> SoftNms:
    """Soft-NMS with another Gaussian; linear is right."""
    return _with_decay(
        lambda method, t, sigma: (
            decay(method, t, sigma) if method == "linear" else lambda iou: change(iou, sigma)
        )
    )


def _linear(change: Callable[[Tensor, float], Tensor]) -> SoftNms:
    """Soft-NMS with another linear decay; the Gaussian is right."""
    return _with_decay(
        lambda method, t, sigma: (
            decay(method, t, sigma) if method != "linear" else lambda iou: change(iou, t)
        )
    )


def _where_over(iou: Tensor, threshold: float, factor: Tensor) -> Tensor:
    return torch.where(iou > threshold, factor, torch.ones_like(iou))


def _gaussian_over_threshold(method: str, t: float, sigma: float) -> Decay:
    if method == "linear":
        return decay(method, t, sigma)
    return lambda iou: _where_over(iou, t, torch.exp(-(iou**2) / sigma))


def _hard(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
    kept = indices([k for k in greedy(b, s, t) if s[k] >= least])
    return kept, s[kept]


def _nothing_dropped(
    b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str
) -> Answer:
    return soft(b, s, -1.0, decay(method, t, sigma))


def _dropped_before(
    b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str
) -> Answer:
    members = (s >= least).nonzero().squeeze(1)
    kept, scores = soft(b[members], s[members], -1.0, decay(method, t, sigma))
    return members[kept], scores


def _dropped_at(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    return kept[scores > least], scores[scores > least]


def _first_scores(
    b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str
) -> Answer:
    kept, _ = soft(b, s, least, decay(method, t, sigma))
    return kept, s[kept]


def _input_order(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    return kept[kept.argsort()], scores[kept.argsort()]


def _all_scores(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    return kept, torch.zeros_like(s).index_copy(0, kept, scores)


def _swapped(b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    return scores, kept


def _swapped_methods(method: str, t: float, sigma: float) -> Decay:
    return decay("gaussian" if method == "linear" else "linear", t, sigma)


def _by_first_score(
    b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str
) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    order = s[kept].argsort(descending=True, stable=True)
    return kept[order], scores[order]


def _boxes_returned(
    b: Tensor, s: Tensor, t: float, sigma: float, least: float, method: str
) -> Answer:
    kept, scores = soft(b, s, least, decay(method, t, sigma))
    return b[kept], scores


SOFT_MISTAKES = (
    Mistake(
        "fixed_order",
        "The boxes are taken in the order of their first scores. Scores change on the way: "
        "look for the highest one anew in every round.",
        _with_decay(decay, fixed_order=True),
    ),
    Mistake(
        "fixed_order_break",
        "The boxes are sorted once, by their first scores, and the loop ends at the first that is "
        "too low. A later one may be higher by then: look for the highest one anew in every round.",
        _with_decay(decay, fixed_order=True, stop=True),
    ),
    Mistake(
        "lowers_itself",
        "A box that is taken lowers its own score, too: its IoU with itself is 1. Lower only the "
        "others.",
        _with_decay(decay, own=True),
    ),
    Mistake(
        "all_lowered",
        "Every box loses score in every round, those that were taken and the new one itself as "
        "well. Lower only those that still wait.",
        _with_decay(decay, own=True, taken_decay=True),
    ),
    Mistake(
        "last_of_equals",
        "Of equal scores the last box is taken. Take the first: `max` and `argmax` of a list in "
        "the order of the input do.",
        _with_decay(decay, last_of_equals=True),
    ),
    Mistake(
        "by_first_score",
        "The right boxes and scores, sorted by the scores that they had at first. Give them in "
        "the order in which they were taken.",
        _by_first_score,
    ),
    Mistake(
        "methods_swapped",
        'The two methods are swapped: "linear" multiplies by 1 − IoU, "gaussian" by exp(−IoU²/σ).',
        _with_decay(_swapped_methods),
    ),
    Mistake(
        "boxes_returned",
        "The first part holds the boxes themselves. Give their indices.",
        _boxes_returned,
    ),
    Mistake(
        "linear_to_zero",
        "Linear drops a box over the threshold, as greedy NMS does. Multiply its score by 1 − IoU.",
        _linear(lambda iou, t: _where_over(iou, t, torch.zeros_like(iou))),
    ),
    Mistake(
        "linear_inverted",
        "The linear condition is turned round: boxes up to the threshold lose, those over it do "
        "not. The close ones are to lose.",
        _linear(lambda iou, t: torch.where(iou > t, torch.ones_like(iou), 1 - iou)),
    ),
    Mistake(
        "linear_below",
        "Linear lowers the boxes below the threshold and spares the close ones: the comparison "
        "is turned round.",
        _linear(lambda iou, t: torch.where(iou < t, 1 - iou, torch.ones_like(iou))),
    ),
    Mistake(
        "two_sigma",
        "This is exp(−IoU²/(2σ)). Soft-NMS divides by σ alone, without the 2.",
        _gaussian(lambda iou, sigma: torch.exp(-(iou**2) / (2 * sigma))),
    ),
    Mistake(
        "sigma_squared",
        "This is exp(−IoU²/σ²). Soft-NMS divides by σ itself, not by its square.",
        _gaussian(lambda iou, sigma: torch.exp(-(iou**2) / sigma**2)),
    ),
    Mistake(
        "wrong_sign",
        "The scores of near boxes grow: the minus in exp(−IoU²/σ) is missing. (`-iou**2` is "
        "−(iou²), but `(-iou)**2` is +iou².)",
        _gaussian(lambda iou, sigma: torch.exp(iou**2 / sigma)),
    ),
    Mistake(
        "linear_for_all",
        'The decay is linear whatever `method` says. For "gaussian" it is exp(−IoU²/σ).',
        _with_decay(lambda method, t, sigma: decay("linear", t, sigma)),
    ),
    Mistake(
        "gaussian_for_all",
        'The decay is Gaussian whatever `method` says. For "linear" it is 1 − IoU, for boxes '
        "over the IoU threshold.",
        _with_decay(lambda method, t, sigma: decay("gaussian", t, sigma)),
    ),
    Mistake(
        "linear_everywhere",
        "The linear decay forgets the IoU threshold. Boxes that overlap little, up to the "
        "threshold, keep their score.",
        _linear(lambda iou, t: 1 - iou),
    ),
    Mistake(
        "linear_at_least",
        "Linear: a box with an IoU of exactly the threshold keeps its score. It loses only "
        "with more, `>`.",
        _linear(lambda iou, t: torch.where(iou >= t, 1 - iou, torch.ones_like(iou))),
    ),
    Mistake(
        "linear_times_iou",
        "The score is multiplied by IoU, so the closest boxes lose least. Linear means 1 − IoU.",
        _linear(lambda iou, t: _where_over(iou, t, iou)),
    ),
    Mistake(
        "gaussian_over_threshold",
        "The Gaussian is applied only above the IoU threshold. It needs none: it fades by "
        "itself, and every overlap costs a little.",
        _with_decay(_gaussian_over_threshold),
    ),
    Mistake(
        "not_squared",
        "IoU is not squared in the exponent: exp(−IoU²/σ).",
        _gaussian(lambda iou, sigma: torch.exp(-iou / sigma)),
    ),
    Mistake(
        "two_sigma_squared",
        "This is exp(−IoU²/(2σ²)), the bell curve of statistics. Soft-NMS divides by σ alone.",
        _gaussian(lambda iou, sigma: torch.exp(-(iou**2) / (2 * sigma**2))),
    ),
    Mistake(
        "one_minus_iou",
        "The Gaussian is taken of 1 − IoU, so the closest boxes lose least. It is of IoU: the "
        "more overlap, the less is left.",
        _gaussian(lambda iou, sigma: torch.exp(-((1 - iou) ** 2) / sigma)),
    ),
    Mistake(
        "not_compound",
        "Each round starts from the first score again. A box that overlaps two taken boxes "
        "pays twice: lower the score that it has now.",
        _with_decay(decay, compound=False),
    ),
    Mistake(
        "taken_decay",
        "Boxes that were taken go on losing score. Lower only those that still wait.",
        _with_decay(decay, taken_decay=True),
    ),
    Mistake(
        "nothing_dropped",
        "Nothing ever drops out. A box whose score has fallen below the score threshold is gone.",
        _nothing_dropped,
    ),
    Mistake(
        "dropped_before",
        "The score threshold is asked only before the first round. What counts is the score "
        "after it was lowered.",
        _dropped_before,
    ),
    Mistake(
        "dropped_at",
        "A box whose score is exactly the score threshold is dropped. It goes only when it is "
        "below.",
        _dropped_at,
    ),
    Mistake(
        "first_scores",
        "The boxes are right, but their scores are the first ones. Give the lowered scores.",
        _first_scores,
    ),
    Mistake(
        "hard",
        "This is greedy NMS: boxes over the IoU threshold are gone at once. Here they stay, "
        "with a lower score.",
        _hard,
    ),
    Mistake(
        "input_order",
        "The right boxes and scores, in the order of the input. Give them in the order in "
        "which they were taken.",
        _input_order,
    ),
    Mistake(
        "all_scores",
        "There is a score for every box. Give one for each kept box, in the order of `keep`.",
        _all_scores,
    ),
    Mistake(
        "swapped",
        "The two parts of the answer are swapped: first the indices, then the scores.",
        _swapped,
    ),
)
