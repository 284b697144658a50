"""Exercise 4: hard_negative_mining."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_06_focal_loss.inputs import (
    anchors,
    easy_positives,
    with_classes,
)
from autograde.spec import Case, Exercise, Mistake
from course_lib import losses as ref

Mine = Callable[[Tensor, Tensor, float], Tensor]
Count = Callable[[Tensor, Tensor, float], float]


def mine(
    count: Count = lambda loss, y, ratio: ratio * int((y > 0).sum()),
    candidates: Callable[[Tensor], Tensor] = lambda y: y == 0,
    positives: Callable[[Tensor], Tensor] = lambda y: y > 0,
    hardness: Callable[[Tensor], Tensor] = lambda loss: loss,
    short: str = "all",
) -> Mine:
    """Image by image: all positives, and the `count` hardest candidates.

    short: where there are fewer candidates than that, take "all", whatever comes ("any"), or stop
    with an "error".
    """

    def wrong(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
        answer = positives(labels).clone()
        for loss, y, row in zip(losses, labels, answer, strict=True):
            k, able = int(count(loss, y, ratio)), candidates(y)
            if short == "error":
                row[able.nonzero().squeeze(1)[hardness(loss)[able].topk(k).indices]] = True
                continue
            rank = hardness(loss).masked_fill(~able, -torch.inf).argsort(descending=True)
            row[rank[: k if short == "any" else min(k, int(able.sum()))]] = True
        return answer

    return wrong


def _over_the_batch(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
    return mine()(losses.flatten()[None], labels.flatten()[None], ratio).view_as(labels)


def _count_of_the_batch(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
    every = int((labels > 0).sum())
    return mine(count=lambda loss, y, r: r * every)(losses, labels, ratio)


def _at_least_one(loss: Tensor, y: Tensor, ratio: float) -> float:
    return ratio * max(int((y > 0).sum()), 1)


def _one_argsort(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
    negative, positive = labels == 0, labels > 0
    order = losses.masked_fill(~negative, -torch.inf).argsort(1, descending=True)
    return positive | (negative & (order < ratio * positive.sum(1, keepdim=True)))


def _not_mapped_back(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
    answer = labels > 0
    for loss, y, row in zip(losses, labels, answer, strict=True):
        order = loss[y == 0].argsort(descending=True)
        row[order[: int(ratio * (y > 0).sum())]] = True
    return answer


def _indices(losses: Tensor, labels: Tensor, ratio: float) -> Tensor:
    return mine()(losses, labels, ratio).nonzero()


HARD_NEGATIVE_MINING = Exercise(
    name="hard_negative_mining",
    points=3,
    reference=ref.hard_negative_mining,
    names=("losses", "labels", "ratio"),
    cases=(
        Case("one image, 3 : 1", lambda d: (*anchors(d, (2, 12, 0)), 3), core=True),
        Case(
            "two images, each with its own count",
            lambda d: (*anchors(d, (1, 10, 0), (3, 8, 0)), 2),
            core=True,
        ),
        Case("positives with small losses stay", lambda d: (*easy_positives(d), 3)),
        Case("anchors to be left out (−1)", lambda d: (*anchors(d, (2, 9, 5), (1, 12, 3)), 3)),
        Case("fewer negatives than allowed", lambda d: (*anchors(d, (4, 5, 3)), 3)),
        Case("an image without positives", lambda d: (*anchors(d, (0, 10, 0), (2, 8, 0)), 3)),
        Case("labels above 1: classes, positives all", lambda d: (*with_classes(d), 2)),
        Case("as many negatives as positives", lambda d: (*anchors(d, (3, 10, 0)), 1)),
    ),
    mistakes=(
        Mistake(
            "easiest",
            "These are the easiest negatives, with the smallest losses. Hard means: a large loss.",
            mine(hardness=lambda loss: -loss),
        ),
        Mistake(
            "first_ones",
            "The negatives are taken in the order in which they come. Take those with the "
            "largest losses.",
            mine(hardness=lambda loss: -torch.arange(len(loss)).float()),
        ),
        Mistake(
            "ratio_alone",
            "Each image gets `ratio` negatives. It should be `ratio` for each of its positives.",
            mine(count=lambda loss, y, ratio: ratio),
        ),
        Mistake(
            "as_many_as_positives",
            "There are as many negatives as positives: `ratio` is not used.",
            mine(count=lambda loss, y, ratio: int((y > 0).sum())),
        ),
        Mistake(
            "labels_summed",
            "`labels.sum()` adds up the classes, and the −1. Count the positives: "
            "`(labels > 0).sum()`.",
            mine(count=lambda loss, y, ratio: max(ratio * int(y.sum()), 0)),
        ),
        Mistake(
            "losses_back",
            "The losses of the kept ones came back, and 0 for the rest. Give True or False: who "
            "stays.",
            lambda losses, labels, ratio: losses * mine()(losses, labels, ratio),
        ),
        Mistake(
            "ratio_fixed",
            "There are always three negatives for each positive. Use the argument `ratio`.",
            lambda losses, labels, ratio: mine()(losses, labels, 3),
        ),
        Mistake(
            "ratio_upside_down",
            "The number of positives is divided by `ratio`. There shall be `ratio` negatives for "
            "each positive: multiply.",
            mine(count=lambda loss, y, ratio: int((y > 0).sum()) / ratio),
        ),
        Mistake(
            "positives_compete",
            "The hardest are chosen among all anchors. Positives are kept anyway and must not use "
            "up places of negatives.",
            mine(candidates=lambda y: y >= 0),
        ),
        Mistake(
            "only_class_1",
            "Only label 1 is taken as a positive. A label is a class: every one above 0 is a "
            "positive.",
            mine(
                positives=lambda y: y == 1,
                count=lambda loss, y, ratio: ratio * int((y == 1).sum()),
            ),
        ),
        Mistake(
            "one_argsort",
            "argsort gives the index of the 1st, 2nd, … hardest, not the rank of each anchor. "
            "Sort the order again: `order.argsort(1)`.",
            _one_argsort,
        ),
        Mistake(
            "not_mapped_back",
            "The places come from the list of negatives alone and are used among all anchors. "
            "Look up which anchor each negative is.",
            _not_mapped_back,
        ),
        Mistake(
            "positives_drop",
            "The positives are missing. All of them are kept, together with the hard negatives.",
            mine(positives=lambda y: torch.zeros_like(y, dtype=torch.bool)),
        ),
        Mistake(
            "all_negatives",
            "All negatives are kept. Only the hardest are, `ratio` for each positive.",
            mine(count=lambda loss, y, ratio: len(loss)),
        ),
        Mistake(
            "over_the_batch",
            "All images are thrown together. Each image has its own count, and its own hardest "
            "negatives.",
            _over_the_batch,
        ),
        Mistake(
            "count_of_the_batch",
            "The positives of all images are counted together. Each image's count comes from its "
            "own positives.",
            _count_of_the_batch,
        ),
        Mistake(
            "ignored_as_negatives",
            "Anchors with label −1 are taken as negatives. They are to be left out: only "
            "labels == 0 are negatives.",
            mine(candidates=lambda y: y <= 0),
        ),
        Mistake(
            "ignored_as_positives",
            "Anchors with label −1 are taken as positives. Only labels above 0 are.",
            mine(
                positives=lambda y: y != 0,
                count=lambda loss, y, ratio: ratio * int((y != 0).sum()),
            ),
        ),
        Mistake(
            "at_least_one",
            "An image without positives still gets negatives. `ratio` times 0 positives is 0.",
            mine(count=_at_least_one),
        ),
        Mistake(
            "total_in_ratio",
            "`ratio` times the positives is taken as the number of all anchors that are kept. "
            "It is the number of negatives alone.",
            mine(count=lambda loss, y, ratio: (ratio - 1) * int((y > 0).sum())),
        ),
        Mistake(
            "fills_up",
            "Where there are fewer negatives than allowed, others fill the places. Take no more "
            "than there are: keep `& (labels == 0)`.",
            mine(short="any"),
        ),
        Mistake(
            "topk_too_many",
            "topk fails where it is asked for more than there are. Take "
            "min(ratio · positives, negatives).",
            mine(short="error"),
        ),
        Mistake(
            "indices",
            "Indices came back. Give True or False for every anchor, in the shape of `losses`.",
            _indices,
        ),
    ),
    hints=(
        "`labels > 0` are the positives: all stay. `labels == 0` are the candidates. A loop over "
        "the images is fine.",
        "Of one image: set the losses of all others to −inf with masked_fill, and sort with "
        "`argsort(descending=True)`: the first indices are the hardest negatives.",
        "Take `min(ratio * positives, negatives)` of them, and set these places of a copy of "
        "`labels > 0` to True.",
    ),
)
