"""Inputs of lesson 03: tables of IoU, ranked detections and curves, each with one thing to probe.

IoUs are fractions that float32 holds exactly, away from every threshold of COCO unless a case is
about the threshold itself. The numbers of objects are chosen so that no recall falls on a recall
point, unless a case is about that: right answers in any dtype then agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autograde.spec import Case, Draw


def some(d: Draw, low: int, high: int) -> float:
    """An IoU: a whole number of 128ths from [low, high]."""
    return d.integer(low, high) / 128


def table(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def shuffled(d: Draw, count: int) -> Tensor:
    """0 … count - 1 in some order."""
    return d.numbers(count, high=1_000_000).argsort(stable=True)


def scores_of(d: Draw, count: int) -> Tensor:
    """`count` different scores below 1, in any order."""
    return (shuffled(d, count) + 1).float() / (count + 1)


# ------------------------------------------------------------------ tables [D, G] for match_coco


def some_hits(d: Draw) -> tuple[Tensor, float]:
    """Hit, too loose, hit; the first truth of the first row would do, but another fits better."""
    first = [some(d, 66, 76), some(d, 90, 120), some(d, 2, 20)]
    loose = [some(d, 2, 20), some(d, 2, 20), some(d, 30, 60)]
    return table(first, loose, [some(d, 80, 120), some(d, 2, 20), some(d, 22, 40)]), 0.5


def same_object(d: Draw) -> tuple[Tensor, float]:
    """Two boxes on one truth: the better score takes it, though the other fits better."""
    other = [some(d, 2, 10), some(d, 70, 90), some(d, 11, 20)]
    third = [some(d, 2, 10), some(d, 11, 20), some(d, 80, 120)]
    return table(other, [some(d, 11, 20), some(d, 100, 120), some(d, 2, 10)], third), 0.5


def second_best_is_free(d: Draw) -> tuple[Tensor, float]:
    """The truth that the second box fits best is taken; another one would do."""
    best = [some(d, 110, 120), some(d, 2, 20)]
    return table(best, [some(d, 90, 105), some(d, 70, 85)]), 0.5


def fits_two(d: Draw) -> tuple[Tensor, float]:
    """One box lies on two truths and fits the later one better."""
    return table([some(d, 70, 80), some(d, 100, 120)], [some(d, 5, 15), some(d, 82, 95)]), 0.5


def lies_on_both(d: Draw) -> tuple[Tensor, float]:
    """One box lies on two truths, fits the first better; the second is left for the next box."""
    return table([some(d, 110, 120), some(d, 95, 105)], [some(d, 5, 15), some(d, 70, 90)]), 0.5


def exactly(d: Draw) -> tuple[Tensor, float]:
    threshold = (0.5, 0.75)[d.integer(0, 1)]
    return table([threshold, some(d, 2, 20)], [some(d, 2, 20), threshold]), threshold


def strict_threshold(d: Draw) -> tuple[Tensor, float]:
    """Good enough for 0.5, too loose for 0.75."""
    return table([some(d, 70, 90), some(d, 2, 20)], [some(d, 5, 15), some(d, 100, 120)]), 0.75


def mild_threshold(d: Draw) -> tuple[Tensor, float]:
    """Too loose for 0.5, good enough for 0.25."""
    return table([some(d, 2, 20), some(d, 36, 60)], [some(d, 70, 120), some(d, 2, 20)]), 0.25


def takes_nothing_away(d: Draw) -> tuple[Tensor, float]:
    """A box that fits nothing comes first; the truth under it stays free."""
    return table([some(d, 35, 60), some(d, 2, 20)], [some(d, 80, 120), some(d, 2, 20)]), 0.5


def many(d: Draw) -> tuple[Tensor, float]:
    """12 boxes, 6 truths, any IoU; no two equal in a row, none on a threshold."""
    return (8 * d.numbers(12, 6, high=15) + torch.arange(1, 7)) / 128, 0.5


# ------------------------------------------------------------------ scores, correct, positives


def ranking(d: Draw, verdicts: Sequence[int], more: int) -> tuple[Tensor, Tensor, int]:
    """These verdicts by decreasing score, in a shuffled order; `more` objects are not found."""
    right = torch.tensor(verdicts, dtype=torch.bool)
    scores = scores_of(d, len(right))
    correct = right[scores.argsort(descending=True).argsort()]
    return scores, correct, int(right.sum()) + more


def in_any_order(d: Draw) -> tuple[Tensor, Tensor, int]:
    return ranking(d, [1, 0, 1, 1, 0, 1, 0], d.integer(1, 4))


def in_order(d: Draw) -> tuple[Tensor, Tensor, int]:
    scores, correct, positives = ranking(d, [0, 1, 1, 0, 1], d.integer(2, 4))
    order = scores.argsort(descending=True)
    return scores[order], correct[order], positives


def equal_scores(d: Draw) -> tuple[Tensor, Tensor, int]:
    low = d.integer(10, 40) / 64
    scores = torch.tensor([low, low + 0.25, low, low + 0.25, low])
    return scores, torch.tensor([True, True, False, False, True]), 3 + d.integer(1, 3)


def long_ranking(d: Draw) -> tuple[Tensor, Tensor, int]:
    correct = d.numbers(40, high=1) > 0
    return scores_of(d, 40), correct, int(correct.sum()) + d.integer(1, 5)


# ------------------------------------------------------------------ curves: precision, recall


def curve(verdicts: Sequence[int], positives: int) -> tuple[Tensor, Tensor]:
    """(precision, recall) after each verdict, best score first."""
    found = torch.tensor(verdicts, dtype=torch.float32).cumsum(0)
    return found / torch.arange(1, len(verdicts) + 1), found / positives


def falling_curve(d: Draw) -> tuple[Tensor, Tensor]:
    """It falls, rises again and stops before all is found."""
    return curve([1, 1, 0, 1, 0, 0, 1, 1, 0], (7, 9, 11)[d.integer(0, 2)])


def rising_curve(d: Draw) -> tuple[Tensor, Tensor]:
    """False alarms come first: the best precision lies to the right."""
    return curve([0] * d.integer(1, 2) + [1, 0, 1, 1, 1, 1, 0, 0, 1], (7, 9, 11)[d.integer(0, 2)])


def halting_curve(d: Draw) -> tuple[Tensor, Tensor]:
    """It halts far from recall 1."""
    return curve([1, 0, 1, 1, 0, 0, 0], (7, 9, 11)[d.integer(0, 2)])


def all_right(d: Draw) -> tuple[Tensor, Tensor]:
    found = (7, 9, 11)[d.integer(0, 2)]
    return curve([1] * found, found)


def all_wrong(d: Draw) -> tuple[Tensor, Tensor]:
    return curve([0] * d.integer(2, 5), 3)


def half_exactly(d: Draw) -> tuple[Tensor, Tensor]:
    """Precision drops right after a recall of exactly 0.5."""
    return curve([1, 1, 0, 1, 0, 0], 4) if d.integer(0, 1) else curve([1] * 4 + [0, 0, 1, 1], 8)


def all_found(d: Draw) -> tuple[Tensor, Tensor]:
    """Every object is found in the end, among false alarms that go on behind it."""
    return curve([1, 1, 0, 1, 1, 0, 0, 1, 1, 1] + [0] * d.integer(1, 3), 7)


def long_curve(d: Draw) -> tuple[Tensor, Tensor]:
    verdicts = (d.numbers(90, high=2) > 0).int().tolist()
    return curve(verdicts, next(n for n in (67, 71, 73, 79, 83, 97) if n > sum(verdicts)))


def no_curve(d: Draw) -> tuple[Tensor, Tensor]:
    return torch.zeros(0), torch.zeros(0)


# What would be the answer to an average, or most of it.
AVERAGES = (
    "average_precision_11",
    "average_precision_all",
    "average_precision_101",
    "precision_envelope",
)

CURVES = (
    Case("a curve that falls and rises again", falling_curve, core=True),
    Case("a curve whose best precision lies further right", rising_curve, core=True),
    Case("a curve that halts early: 0 beyond its last recall", halting_curve, core=True),
    Case("a recall of exactly 0.5", half_exactly),
    Case("all objects found in the end", all_found),
    Case("a long curve", long_curve),
    Case("all right, all found: 1", all_right),
    Case("all wrong: 0", all_wrong),
    Case("no detections: 0", no_curve),
)


# ------------------------------------------------------------------ images: tables and scores

Images = tuple[list[Tensor], list[Tensor]]


def images(d: Draw, sizes: Sequence[tuple[int, int]]) -> Images:
    """A table and scores for each (detections, truths): mostly hits of any tightness."""
    tables = []
    for D, G in sizes:
        grid = (8 * d.numbers(D, G, high=5) + torch.arange(1, G + 1)) / 128  # all below 0.4
        for n in range(D):  # each detection aims at a truth, and one in four misses
            if G and d.integer(0, 3):
                k = d.integer(0, G - 1)
                grid[n, k] = (8 * d.integer(8, 15) + k + 1) / 128
        tables.append(grid)
    scores = scores_of(d, sum(D for D, _ in sizes))
    return tables, list(scores.split([D for D, _ in sizes]))


def one_image(d: Draw) -> Images:
    """Tight and loose boxes, by decreasing score: what changes with the threshold."""
    rows = [
        [some(d, 100, 101), 0.0, 0.0],
        [0.0, some(d, 72, 74), 0.0],
        [0.0, 0.0, some(d, 30, 50)],
        [0.0, 0.0, some(d, 117, 119)],
    ]
    return [table(*rows)], [scores_of(d, 4).sort(descending=True).values]


def three_images(d: Draw) -> Images:
    """7 objects. The best score is no hit, so that the order across images matters."""
    tables, scores = images(d, [(4, 3), (3, 2), (3, 2)])
    tables[0][0] = table([1 / 128, 2 / 128, 3 / 128])
    tables[0][1] = table([1 / 128, 90 / 128, 3 / 128])
    tables[1][1] = table([100 / 128, 2 / 128])
    tables[2][2] = table([1 / 128, 121 / 128])
    scores[0][0] = 0.99
    scores[2][2] = 0.01
    return tables, scores


def image_without_truth(d: Draw) -> Images:
    """The empty image has the boldest false alarms."""
    tables, scores = images(d, [(4, 3), (2, 0), (4, 4)])
    scores[1] = torch.tensor([0.97, 0.98])
    return _first_right(tables), scores


def image_without_detections(d: Draw) -> Images:
    tables, scores = images(d, [(4, 3), (0, 4), (4, 4)])
    return _first_right(tables), scores


def _first_right(tables: list[Tensor]) -> list[Tensor]:
    """At least two hits, so that the answer is not 0."""
    for n in (0, -1):
        tables[n][1] = torch.arange(1, tables[n].shape[1] + 1) / 128
        tables[n][1, 0] = 121 / 128
    return tables


def duplicates(d: Draw) -> Images:
    """Every object is reported twice, the worse box first."""
    rows = [[some(d, 86, 88), 0.0], [some(d, 109, 114), 0.0]]
    rows += [[0.0, some(d, 78, 82)], [0.0, some(d, 117, 120)]]
    far = [[some(d, 110, 120)], [0.0]]
    return [table(*rows), table(*far)], [
        torch.tensor([0.9, 0.8, 0.7, 0.6]),
        torch.tensor([0.3, 0.5]),
    ]


def voc_differs(d: Draw) -> Images:
    """Two objects side by side: the box on the second fits the first a little better."""
    rows = [[some(d, 109, 120), 0.0, 0.0], [some(d, 92, 95), some(d, 79, 82), 0.0]]
    return [table(*rows)], [torch.tensor([0.9, 0.5 + d.integer(0, 9) / 32])]


def half_threshold(d: Draw) -> Images:
    """IoU of exactly 0.5."""
    rows = [[0.5, 0.0, 0.0], [0.0, some(d, 109, 114), 0.0]]
    return [table(*rows)], [scores_of(d, 2)]


def equal_across(d: Draw) -> Images:
    """Equal scores, in an image and across images: they keep their order."""
    tables = [
        table([some(d, 5, 15), 0.0], [some(d, 117, 120), 0.0]),
        table([some(d, 109, 114)], [0.0]),
    ]
    return tables, [torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.75])]


def nothing_found(d: Draw) -> Images:
    return [torch.zeros(0, 3), torch.zeros(0, 1)], [torch.zeros(0), torch.zeros(0)]


def perfect(d: Draw) -> Images:
    tables = [torch.eye(3), torch.eye(2).flip(0), torch.eye(2)]
    return tables, list(scores_of(d, 7).split([3, 2, 2]))
