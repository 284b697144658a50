"""Exercise 5: best_candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_08_retinanet.inputs import table_of_logits
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.retinanet import best_candidates

Triple = tuple[Tensor, Tensor, Tensor]


def _best(
    score: Callable[[Tensor], Tensor] = torch.sigmoid,
    flat: Callable[[Tensor], Tensor] = torch.flatten,
    above: Callable[[Tensor, float], Tensor] = torch.gt,
    order: Callable[[Tensor, int], Tensor] = lambda s, most: s.argsort(descending=True)[:most],
    split: Callable[[Tensor, int, int], tuple[Tensor, Tensor]] = lambda index, N, K: (
        index // K,
        index % K,
    ),
) -> Callable[[Tensor, float, int], Triple]:
    """The exercise with one step replaced."""

    def wrong(cls_logits: Tensor, threshold: float = 0.05, most: int = 1000) -> Triple:
        N, K = cls_logits.shape
        scores = flat(score(cls_logits))
        index = above(scores, threshold).nonzero().squeeze(1)
        index = index[order(scores[index], most)]
        return scores[index], *split(index, N, K)

    return wrong


def _best_class_only(cls_logits: Tensor, threshold: float = 0.05, most: int = 1000) -> Triple:
    """For each anchor its best class only."""
    scores, labels = cls_logits.sigmoid().max(dim=1)
    anchors = (scores > threshold).nonzero().squeeze(1)
    anchors = anchors[scores[anchors].argsort(descending=True)[:most]]
    return scores[anchors], anchors, labels[anchors]


def _most_of_each_class(cls_logits: Tensor, threshold: float = 0.05, most: int = 1000) -> Triple:
    parts = []
    for k in range(cls_logits.shape[1]):
        scores, anchors, _ = best_candidates(cls_logits[:, k : k + 1], threshold, most)
        parts.append((scores, anchors, torch.full_like(anchors, k)))
    scores, anchors, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    order = scores.argsort(descending=True, stable=True)
    return scores[order], anchors[order], labels[order]


def _first_then_threshold(cls_logits: Tensor, threshold: float = 0.05, most: int = 1000) -> Triple:
    """The first `most` as they come, then the threshold: nothing was sorted before cutting."""
    scores = cls_logits.sigmoid().flatten()
    index = (scores > threshold).nonzero().squeeze(1)[:most]
    index = index[scores[index].argsort(descending=True)]
    K = cls_logits.shape[1]
    return scores[index], index // K, index % K


def _positions_among_the_kept(
    cls_logits: Tensor, threshold: float = 0.05, most: int = 1000
) -> Triple:
    """Numbers among those above the threshold are taken for numbers among all."""
    scores = cls_logits.sigmoid().flatten()
    kept = scores[scores > threshold]
    index = kept.argsort(descending=True)[:most]
    K = cls_logits.shape[1]
    return kept[index], index // K, index % K


def _fixed(**given: Any) -> Callable[..., Triple]:
    def wrong(cls_logits: Tensor, threshold: float = 0.05, most: int = 1000) -> Triple:
        options = {"threshold": threshold, "most": most, **given}
        return best_candidates(cls_logits, options["threshold"], options["most"])

    return wrong


def _case(
    probes: str, N: int, K: int, threshold: float = 0.05, most: int = 1000, **about: Any
) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return table_of_logits(d, N, K), threshold, most

    return Case(probes, make, **about)


def _at_the_threshold(d: Draw) -> tuple[Any, ...]:
    """A score of exactly 1/2, and the threshold there."""
    table = table_of_logits(d, 4, 2)
    table[d.integer(0, 3), d.integer(0, 1)] = 0.0
    return table, 0.5, 1000


def _all_low(d: Draw) -> tuple[Any, ...]:
    return table_of_logits(d, 3, 2) - 9, 0.05, 1000


BEST_CANDIDATES = Exercise(
    name="best_candidates",
    points=2,
    reference=best_candidates,
    names=("cls_logits", "score_threshold", "most"),
    outputs=("scores", "anchors", "labels"),
    forbids=("best_candidates", "best_scores", "decode"),
    cases=(
        _case("six anchors, three classes", 6, 3, core=True),
        _case("more above the threshold than are taken", 8, 3, 0.05, 7, core=True),
        _case("a high threshold", 8, 2, 0.6, core=True),
        _case("many anchors, few classes", 40, 2, 0.3, 12),
        _case("one class", 9, 1, 0.3, 4),
        Case("a score that equals the threshold", _at_the_threshold),
        Case("nothing above the threshold", _all_low),
    ),
    mistakes=(
        Mistake(
            "no_threshold",
            "Scores below the threshold are among them. Take those above `score_threshold` only, "
            "and of these the best.",
            _best(above=lambda scores, _: torch.ones_like(scores, dtype=torch.bool)),
        ),
        Mistake(
            "at_the_threshold",
            "A score that equals the threshold was kept: `>`, not `>=`.",
            _best(above=torch.ge),
        ),
        Mistake(
            "threshold_on_logits",
            "The threshold was compared with the logits. A logit of 0.05 is a probability of 0.51: "
            "take the sigmoid first.",
            lambda table, threshold=0.05, most=1000: _best(
                above=lambda scores, t: scores > torch.sigmoid(torch.tensor(t))
            )(table, threshold, most),
        ),
        Mistake(
            "logits_for_scores",
            "The scores are logits. A score is a probability: their sigmoid.",
            _best(
                score=lambda logits: logits,
                above=lambda scores, t: scores > torch.logit(torch.tensor(t)),
            ),
        ),
        Mistake(
            "logits_all_the_way",
            "The logits were taken for scores, and compared with the threshold. A score is a "
            "probability: their sigmoid comes first.",
            _best(score=lambda logits: logits),
        ),
        Mistake(
            "as_they_come",
            "The first `most` above the threshold, as they come. Sort them by score, best first, "
            "before you cut.",
            _best(order=lambda s, most: torch.arange(len(s))[:most]),
        ),
        Mistake(
            "topk_of_too_many",
            "`topk(most)` fails where there are fewer than `most`: take "
            "`min(most, len(scores))`, or sort and cut.",
            _best(order=lambda s, most: s.topk(most).indices),
        ),
        Mistake(
            "softmax",
            "The scores are a softmax over the classes. They are K separate questions, and all "
            "may be answered with no: a sigmoid for each.",
            _best(score=lambda logits: logits.softmax(dim=1)),
        ),
        Mistake(
            "no_limit",
            "There are more than `most`. Only the best `most` go on to the NMS.",
            _fixed(most=10**6),
        ),
        Mistake(
            "threshold_fixed",
            "0.05 is the threshold whatever `score_threshold` says.",
            _fixed(threshold=0.05),
        ),
        Mistake(
            "not_sorted",
            "The right ones, but not the best first.",
            _best(order=lambda s, most: s.argsort(descending=True)[:most].sort().values),
        ),
        Mistake(
            "worst_first",
            "The lowest scores come first. `argsort` and `sort` go up unless you say "
            "`descending=True`.",
            _best(order=lambda s, most: s.argsort()[:most]),
        ),
        Mistake(
            "cut_before_sorting",
            "The first `most` were taken as they came. Sort by score, then cut.",
            _first_then_threshold,
        ),
        Mistake(
            "best_class_only",
            "Each anchor has only its best class. All N·K scores compete: an anchor may go on with "
            "two classes.",
            _best_class_only,
        ),
        Mistake(
            "most_of_each_class",
            "`most` were taken for each class. It is a limit for the whole level, all classes "
            "together.",
            _most_of_each_class,
        ),
        Mistake(
            "divided_by_n",
            "The place in the flat list was taken apart with N. A row has K numbers: place // K is "
            "the anchor, place % K the class.",
            _best(split=lambda index, N, K: (index // N, index % N)),
        ),
        Mistake(
            "exchanged",
            "Anchor and class are exchanged: place // K is the row, the anchor; place % K the "
            "column, the class.",
            _best(split=lambda index, N, K: (index % K, index // K)),
        ),
        Mistake(
            "class_by_class",
            "The table was laid out column by column and read row by row. Flatten [N, K] as it is, "
            "or take the place apart the other way.",
            _best(flat=lambda scores: scores.T.flatten()),
        ),
        Mistake(
            "place_for_anchor",
            "The anchors are places in the flat list of N·K scores. Divide by K, without a rest.",
            _best(split=lambda index, N, K: (index, index % K)),
        ),
        Mistake(
            "positions_among_the_kept",
            "The places are counted among those above the threshold. They have to be found among "
            "all N·K: keep the places of the kept, `nonzero()`, and sort these.",
            _positions_among_the_kept,
        ),
        Mistake(
            "classes_from_one",
            "The classes begin with 1. The first one is 0.",
            _best(split=lambda index, N, K: (index // K, index % K + 1)),
        ),
    ),
    hints=(
        "`scores = cls_logits.sigmoid().flatten()`: N·K numbers. "
        "`places = (scores > score_threshold).nonzero().squeeze(1)` says where the good ones are.",
        "`order = scores[places].argsort(descending=True)[:most]`, and `places = places[order]`.",
        "A row of the table has K numbers, so `places // K` is the anchor and `places % K` the "
        "class.",
    ),
)
