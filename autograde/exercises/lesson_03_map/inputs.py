"""Inputs of lesson 03: tables of IoU, ranked detections and curves, each with one thing to probe.

IoUs are fractions that float32 holds exactly, away from every threshold of COCO unless a case is
about the threshold itself. Curves are in float64, as exercise 2 is told to make them. The numbers
of objects are chosen so that no recall falls on a recall point, unless a case is about that: right
answers in any dtype then agree.
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
    return ranking(d, [1, 0, 1, 1, 0, 1, 0], (1, 2, 4)[d.integer(0, 2)])  # never 7 objects


def in_order(d: Draw) -> tuple[Tensor, Tensor, int]:
    scores, correct, positives = ranking(d, [0, 1, 1, 0, 1], d.integer(3, 5))  # never 5 objects
    order = scores.argsort(descending=True)
    return scores[order], correct[order], positives


def equal_scores(d: Draw) -> tuple[Tensor, Tensor, int]:
    """30 boxes with two scores: torch's unstable sort leaves up to 16 equal ones in order."""
    scores = d.integer(10, 40) / 64 + 0.25 * (shuffled(d, 30) < 15)
    correct = shuffled(d, 30) < 14
    return scores, correct, 14 + d.integer(1, 3)


def precise(d: Draw) -> tuple[Tensor, Tensor, int]:
    scores, correct, positives = in_any_order(d)
    return scores.double(), correct, positives


def long_ranking(d: Draw) -> tuple[Tensor, Tensor, int]:
    correct = d.numbers(40, high=1) > 0
    return scores_of(d, 40), correct, int(correct.sum()) + d.integer(1, 5)


# ------------------------------------------------------------------ curves: precision, recall


def curve(verdicts: Sequence[int], positives: int) -> tuple[Tensor, Tensor]:
    """(precision, recall) after each verdict, best score first."""
    found = torch.tensor(verdicts, dtype=torch.float64).cumsum(0)
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
    return curve([0] * d.integer(3, 5), 3)


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
    return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)


def three_tenths(d: Draw) -> tuple[Tensor, Tensor]:
    """It drops right after recalls of exactly 3/10, 4/10 and 7/10.

    3 * 0.1 and 7 * 0.1 are a little more than those in float64; in float32 0.3 and 0.4 are.
    """
    return curve([1, 1, 1, 0, 1, 0, 1, 1, 1] + [0] * d.integer(1, 4), 10)


def three_fifths(d: Draw) -> tuple[Tensor, Tensor]:
    """It drops right after recalls of exactly 3/5 and 4/5: all ways to write 0.60 and 0.80 in
    float64 agree, and float32's are larger."""
    return curve([1, 1, 1] + [0] * d.integer(1, 3) + [1, 0, 0], 5)


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
