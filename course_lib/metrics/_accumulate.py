"""From found and missed to the precision, recall and scores that COCO averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from course_lib.metrics.average import RECALL_POINTS


@dataclass(frozen=True)
class Curves:
    """-1 where a class has no truth to find."""

    precision: Float[np.ndarray, "T R K A M"]
    recall: Float[np.ndarray, "T K A M"]
    scores: Float[np.ndarray, "T R K A M"]


def accumulate(
    right: Bool[np.ndarray, "T A D"],
    wrong: Bool[np.ndarray, "T A D"],
    score: Float[np.ndarray, " D"],
    rank: Int64[np.ndarray, " D"],
    category: Int64[np.ndarray, " D"],
    positives: Int64[np.ndarray, "K A"],
    max_detections: tuple[int, ...],
) -> Curves:
    """The envelope at 101 recalls for each class, area range and limit on detections.

    Args:
        right, wrong: whether detection d is a true or a false positive at threshold t in range a;
            neither, where it does not count.
        score, rank, category: of each detection; rank 0 is the best one of its image and class.
            Sorted by class, then by image, then by rank.
        positives: how many truths of a class count in a range.
        max_detections: of an image and class only so many are looked at.
    """
    (T, A, _), (K, _), M, R = right.shape, positives.shape, len(max_detections), len(RECALL_POINTS)
    recall = np.full((T, A, M, K), -1.0)
    precision = np.full((T, A, M, K, R), -1.0)
    scores = np.full((T, A, M, K, R), -1.0)
    needed = [_truths_needed(positives[:, a]) for a in range(A)]  # [K, R] each
    # Stable, so that of equal scores the earlier image comes first.
    order = np.lexsort((-score, category))
    for m, limit in enumerate(max_detections):
        d = order[rank[order] < limit]  # [D_m], class by class, the best score first
        begin = np.searchsorted(category[d], np.arange(K + 1))  # [K + 1], where classes begin
        score_or_0 = np.append(score[d], 0)
        for a in range(A):
            there = positives[:, a].nonzero()[0]  # the classes with something to find
            for t in range(T):
                found, height, place = _at_recalls(right[t, a, d], wrong[t, a, d], begin, needed[a])
                recall[t, a, m, there] = found[there] / positives[there, a]
                precision[t, a, m, there] = height[there]
                scores[t, a, m, there] = score_or_0[place[there]]
    return Curves(
        precision.transpose(0, 4, 3, 1, 2),
        recall.transpose(0, 3, 1, 2),
        scores.transpose(0, 4, 3, 1, 2),
    )


def _truths_needed(positives: Int64[np.ndarray, " K"]) -> Int64[np.ndarray, "K R"]:
    """How many truths a class must have found to reach each recall point."""
    # By the same division as recall itself, so that rounding decides alike.
    rows = [np.searchsorted(np.arange(p + 1) / max(p, 1), RECALL_POINTS) for p in positives]
    return np.array(rows, dtype=np.int64).reshape(len(positives), len(RECALL_POINTS))


def _at_recalls(
    right: Bool[np.ndarray, " D"],
    wrong: Bool[np.ndarray, " D"],
    begin: Int64[np.ndarray, " borders"],
    needed: Int64[np.ndarray, "K R"],
) -> tuple[Int64[np.ndarray, " K"], Float[np.ndarray, "K R"], Int64[np.ndarray, "K R"]]:
    """All classes at once, at one threshold: truths found, envelope, and the detection it is at.

    The detections of class k are begin[k] … begin[k + 1] - 1, by decreasing score. Where no
    detection reaches a recall, the envelope is 0 and the detection D.

    `average_precision_101` computes the same for one class and is easier to read;
    tests/test_metrics_coco.py holds them equal. Here, only the detections that found a truth are
    looked at, since the envelope has its corners there; the others are counted.
    """
    D = len(right)
    hit = right.nonzero()[0]  # [F], the detections that found a truth
    start = np.searchsorted(hit, begin)  # [K + 1], the first hit of each class
    found = np.diff(start)  # [K]
    its_class = np.repeat(np.arange(len(found)), found)  # [F]
    tp = np.arange(len(hit)) - start[its_class] + 1  # [F], 1, 2, 3, … in each class
    said = np.append(0, (right | wrong).cumsum())  # [D + 1], how many count before detection d
    tp_fp = said[hit + 1] - said[begin[its_class]]  # [F]
    precision = tp / (tp_fp + np.spacing(1))  # as in pycocotools, to the last digit

    # The hit that reaches each recall; if none does, the first one of the next class.
    target = needed.clip(min=1)
    reached = target <= found[:, None]  # [K, R]
    first = np.where(reached, start[:-1, None] + target - 1, start[1:, None])
    # The best from each recall point up to the next, then from each recall point to the end.
    best = np.maximum.reduceat(np.append(precision, 0), first.ravel()).reshape(first.shape)
    best[~reached] = 0
    height = np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1]

    place = np.append(hit, D)[np.where(reached, first, len(hit))]
    # Recall 0 is reached by the best detection, right or wrong, if the class has one.
    place[:, 0] = np.where(begin[:-1] < begin[1:], begin[:-1], D)
    return found, height, place
