"""COCO's AP of one class in plain Python, with room for a slip at every step."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from torch import Tensor

from autograde.exercises.lesson_03_map.matching import greedy

Match = Callable[[Tensor, float], list[int]]
THRESHOLDS = [0.5 + 0.05 * k for k in range(10)]


def _averaged(precision: list[float], recall: list[float], points: int = 101) -> float:
    """AP by so many points; 0 points mean the whole area."""
    envelope = [*[*accumulate(reversed(precision), max)][::-1], 0.0]  # 0 behind the end
    if not points:
        before = [0.0, *recall]
        return sum((r - b) * h for r, b, h in zip(recall, before, envelope, strict=False))
    reached = (bisect_left(recall, k / (points - 1)) for k in range(points))
    return sum(envelope[k] for k in reached) / points


def average(
    ious: list[Tensor],
    scores: list[Tensor],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    match: Match = greedy,
    hit: Callable[[int], int] = lambda g: g >= 0,
    points: int = 101,
    positives: int | None = None,
    within: str = "both",
    across: bool = True,
    averaged: Callable[[list[float], list[float], int], float] = _averaged,
) -> float:
    """COCO's AP of one class in plain Python, with a slip of your choice."""
    if positives is None:
        positives = sum(table.shape[1] for table in ious)
    orders = [s.argsort(descending=True, stable=True) for s in scores]
    tables, said = list(ious), list(scores)
    if within == "upwards":
        orders = [s.argsort(stable=True) for s in scores]
    if within in ("both", "upwards", "table"):
        tables = [table[order] for table, order in zip(ious, orders, strict=True)]
    if within in ("both", "upwards", "scores"):
        said = [s[order] for s, order in zip(scores, orders, strict=True)]
    flat = [score for s in said for score in s.tolist()]
    ranks = list(range(len(flat)))
    if across:
        ranks.sort(key=lambda n: -flat[n])
    total = 0.0
    for threshold in thresholds:
        right = [hit(g) for table in tables for g in match(table, threshold)]
        found = list(accumulate(right[n] for n in ranks))
        precision = [tp / n for n, tp in enumerate(found, start=1)]
        total += averaged(precision, [tp / max(positives, 1) for tp in found], points)
    return total / len(thresholds)


def highest_of(precision: list[float], recall: list[float], points: int) -> float:
    """The same as _averaged, by a loop over the points that takes a max."""
    heights = [
        max((p for p, r in zip(precision, recall, strict=True) if r >= k / (points - 1)), default=0)
        for k in range(points)
    ]
    return sum(heights) / points


def piled_up(
    ious: list[Tensor], scores: list[Tensor], positives_too: bool, one_curve: bool
) -> float:
    """The lists of scores and verdicts grow from threshold to threshold."""
    orders = [s.argsort(descending=True, stable=True) for s in scores]
    objects = sum(table.shape[1] for table in ious)
    said: list[tuple[float, bool]] = []
    values = []
    for round_, threshold in enumerate(THRESHOLDS, start=1):
        for table, s, order in zip(ious, scores, orders, strict=True):
            verdicts = (g >= 0 for g in greedy(table[order], threshold))
            said += zip(s[order].tolist(), verdicts, strict=True)
        found = list(accumulate(right for _, right in sorted(said, key=lambda pair: -pair[0])))
        positives = objects * round_ if positives_too else objects
        precision = [tp / n for n, tp in enumerate(found, start=1)]
        values.append(_averaged(precision, [tp / positives for tp in found]))
    return values[-1] if one_curve else sum(values) / len(values)


def fails(error: type[Exception], always: bool = True) -> Callable[..., float]:
    def wrong(ious: list[Tensor], scores: list[Tensor]) -> float:
        if always or not sum(map(len, scores)):
            raise error("what an earlier function gave is no tensor")
        return average(ious, scores)

    return wrong


def each_image(ious: list[Tensor], scores: list[Tensor], truth_only: bool) -> float:
    values = [
        average([table], [s])
        for table, s in zip(ious, scores, strict=True)
        if table.shape[1] or not truth_only
    ]
    return sum(values) / max(len(values), 1)


def only(keep: Callable[[Tensor], int]) -> Callable[[list[Tensor], list[Tensor]], float]:
    def wrong(ious: list[Tensor], scores: list[Tensor]) -> float:
        pairs = [(t, s) for t, s in zip(ious, scores, strict=True) if keep(t)]
        return average([t for t, _ in pairs], [s for _, s in pairs])

    return wrong
