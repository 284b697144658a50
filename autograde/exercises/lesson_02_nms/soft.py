"""Exercise 4: soft_nms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
    Scene,
    at_threshold,
    crowd,
    double,
    negative,
    nothing,
    scene,
    squares,
    touching,
)
from autograde.exercises.lesson_02_nms.slips import (
    Decay,
    decay,
    greedy,
    indices,
    soft,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import suppression as ref

Answer = tuple[Tensor, Tensor]


def _overtaken(d: Draw) -> Scene:
    """Best first: A, B (IoU 0.6 with A), C (0.25 with A, 0.48 with B), D apart.

    A lowers B below C, so C is taken before B.
    """
    first = d.integer(90, 95) / 100
    scores = torch.tensor([first, first - 0.1, first - 0.25, first - 0.45])
    boxes = squares(d, [(0, 0), (5, 0), (12, 0), (60, 10)])
    return boxes[[1, 3, 0, 2]], scores[[1, 3, 0, 2]]


def _apart(d: Draw) -> Scene:
    """Boxes that do not meet, one of them with a score of exactly 0.25 and one below that."""
    boxes = squares(d, [(0, 0), (40, 0), (0, 40), (40, 40)])
    return boxes, torch.tensor([0.125, 0.25, 0.875, 0.5])


def _tied(d: Draw) -> Scene:
    """Two objects far apart, two boxes each; the first of each pair have equal scores."""
    boxes = squares(d, [(4, 0), (50, 0), (0, 0), (55, 0)])
    return boxes, torch.tensor([0.5, 0.75, 0.75, 0.25])


def _soft_case(
    probes: str,
    make: Callable[[Draw], Scene],
    method: str,
    least: float = 0.001,
    sigma: float = 0.4,
    threshold: float = 0.5,
    core: bool = False,
) -> Case:
    return Case(probes, lambda d: (*make(d), threshold, sigma, least, method), core=core)


SoftNms = Callable[[Tensor, Tensor, float, float, float, str], Answer]


def _with_decay(make: Callable[[str, float, float], Decay], **slips: bool) -> SoftNms:
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


SOFT_NMS = Exercise(
    name="soft_nms",
    points=3,
    reference=ref.soft_nms,
    names=("boxes", "scores", "iou_threshold", "sigma", "score_threshold", "method"),
    outputs=("keep", "scores"),
    cases=(
        _soft_case("Gaussian: four boxes, all stay", _overtaken, "gaussian", core=True),
        _soft_case("linear: four boxes, all stay", _overtaken, "linear", core=True),
        _soft_case("Gaussian: low scores drop out", _overtaken, "gaussian", least=0.4, core=True),
        _soft_case("linear: low scores drop out", _overtaken, "linear", least=0.4),
        _soft_case("a wide Gaussian, σ = 0.9", _overtaken, "gaussian", sigma=0.9),
        _soft_case("linear: IoU of exactly the threshold costs nothing", at_threshold, "linear"),
        _soft_case("three objects, many boxes, Gaussian", crowd, "gaussian", sigma=0.3),
        _soft_case("three objects, many boxes, linear", crowd, "linear", threshold=0.25),
        _soft_case("a score of exactly the threshold stays", _apart, "gaussian", least=0.25),
        _soft_case("equal scores: the earlier box comes first", _tied, "linear"),
        _soft_case("boxes that only touch", touching, "gaussian", sigma=0.2),
        _soft_case("negative coordinates, float64", lambda d: double(*negative(d)), "gaussian"),
        _soft_case("one box", lambda d: scene(d, [(0, 0)], [0]), "gaussian"),
        _soft_case("no boxes at all", lambda d: nothing(), "linear"),
    ),
    mistakes=(
        Mistake(
            "fixed_order",
            "The boxes are taken in the order of their first scores. Scores change on the way: "
            "look for the highest one anew in every round.",
            _with_decay(decay, fixed_order=True),
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
            "The score is multiplied by IoU, so the closest boxes lose least. Linear means "
            "1 − IoU.",
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
            "Nothing ever drops out. A box whose score has fallen below the score threshold is "
            "gone.",
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
    ),
    hints=(
        "Work on a copy, `scores = scores.clone()`, and on a list `waiting` of the indices that "
        "are still there. One round: find the index in `waiting` with the highest score, take "
        "it, lower the others.",
        "`best = max(waiting, key=lambda k: scores[k])` finds it (of equal ones the first). If "
        "even the best is below the score threshold, you are done. "
        "`iou = box_iou(boxes[best][None], boxes[waiting])[0]` is its overlap with the rest.",
        "The factor: `torch.exp(-iou**2 / sigma)`, or `torch.where(iou > iou_threshold, 1 - iou, "
        "1)`. Then `scores[waiting] *= factor`. At the end return the indices and `scores[keep]`.",
    ),
    picture="kept",
)
