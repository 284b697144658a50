"""All detections with all truths of the same image and class, and who finds whom among them.

The image and class of an object are its cell. Objects are sorted by cell, and detections in a cell
by decreasing score, so that everything of one cell stands in one piece.

This is `matching.match_coco` once more, for all cells, thresholds and area ranges at a time: that
one loops over the detections of one image and can be read, this one is hundreds of times faster.
tests/test_metrics_coco.py holds them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int64
from pycocotools import mask as run_lengths

from course_lib.metrics._dataset import Objects, Shapes

BLOCK = 2**16  # pairs compared at a time: their columns stay in the cache


@dataclass(frozen=True)
class Pairs:
    """P pairs of a detection and a truth of one cell, sorted by detection."""

    d: Int64[np.ndarray, " P"]
    g: Int64[np.ndarray, " P"]
    iou: Float[np.ndarray, " P"]


def overlapping_pairs(
    detections: Objects,
    truths: Objects,
    cell_of_d: Int64[np.ndarray, " D"],
    cell_of_g: Int64[np.ndarray, " G"],
    least: float,
) -> Pairs:
    """The pairs whose IoU is at least `least`: the others could never match."""
    start = np.searchsorted(cell_of_g, cell_of_d, "left")  # [D], the first truth of the cell
    count = np.searchsorted(cell_of_g, cell_of_d, "right") - start  # [D], how many truths it has
    found, truth = detections.shapes, truths.shapes
    if not (isinstance(found, np.ndarray) and isinstance(truth, np.ndarray)):
        return _mask_pairs(found, truth, truths.crowd, cell_of_d, start, count, least)
    # Blocks of detections with about BLOCK pairs each.
    block = (count.cumsum() - count) // BLOCK  # [D]
    borders = np.searchsorted(block, np.arange(block[-1] + 2)) if len(block) else [0, 0]
    kept = []
    for first, last in pairwise(borders):
        counts = count[first:last]
        d = np.repeat(np.arange(first, last), counts)  # [pairs of the block]
        g = np.repeat(start[first:last], counts) + places_in_runs(d)
        iou = box_iou_of_pairs(found[d], truth[g], truths.crowd[g])
        keep = (iou >= least).nonzero()[0]
        kept.append((d[keep], g[keep], iou[keep]))
    return Pairs(*(np.concatenate(column) for column in zip(*kept, strict=True)))


def box_iou_of_pairs(
    found: Float[np.ndarray, "P 4"], truth: Float[np.ndarray, "P 4"], crowd: Bool[np.ndarray, " P"]
) -> Float[np.ndarray, " P"]:
    """IoU of box p with truth p; where the truth is a crowd, the share of the box inside of it.

    Boxes are xywh. The steps are those of COCO's maskApi.c (bbIou) in their order, so that an IoU
    on the threshold falls on the same side of it.
    """
    x1, y1, w1, h1 = found.T  # [P] each
    x2, y2, w2, h2 = truth.T
    width = np.minimum(x1 + w1, x2 + w2) - np.maximum(x1, x2)
    height = np.minimum(y1 + h1, y2 + h2) - np.maximum(y1, y2)
    inter = width.clip(min=0) * height.clip(min=0)
    area = w1 * h1
    union = np.where(crowd, area, area + w2 * h2 - inter)
    return np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)


def _mask_pairs(
    found: Shapes,
    truth: Shapes,
    crowd: Bool[np.ndarray, " G"],
    cell_of_d: Int64[np.ndarray, " D"],
    start: Int64[np.ndarray, " D"],
    count: Int64[np.ndarray, " D"],
    least: float,
) -> Pairs:
    """Cell by cell: pycocotools compares run lengths without drawing the masks."""
    nothing = np.zeros(0, dtype=np.int64)
    columns: list[tuple[np.ndarray, ...]] = [(nothing, nothing, np.zeros(0))]
    firsts = np.flatnonzero(np.diff(cell_of_d, prepend=-1))  # [cells], where each begins
    for first, last in pairwise([*firsts.tolist(), len(cell_of_d)]):
        if count[first] == 0:
            continue
        of_cell = slice(start[first], start[first] + count[first])
        iou = run_lengths.iou(found[first:last], truth[of_cell], crowd[of_cell].tolist())
        d, g = (iou >= least).nonzero()
        columns.append((d + first, g + of_cell.start, iou[d, g]))
    return Pairs(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def places_in_runs(values: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """0, 1, 2, … within each run of equal values, as in [7, 7, 8, 8, 8] → [0, 1, 0, 1, 2]."""
    first = np.diff(values, prepend=-1) != 0  # [N]; no value is below 0
    return np.arange(len(values)) - first.nonzero()[0][first.cumsum() - 1]


def match_pairs(
    pairs: Pairs,
    cell: Int64[np.ndarray, " P"],
    thresholds: Float[np.ndarray, " T"],
    D: int,
    ignored: Bool[np.ndarray, " G"],
    crowd: Bool[np.ndarray, " G"],
) -> tuple[Bool[np.ndarray, "D T"], Bool[np.ndarray, "D T"]]:
    """Which detections found a truth at each threshold, and which of them an ignored one.

    A detection takes the first truth that is free, in the order it likes them: regular before
    ignored, then by IoU, of equal ones the later. So each cell goes through its pairs by detection
    and in that order, and a pair is taken if both are free. Cells share nothing: a step of the
    loop below does the next pair of every cell at once.
    """
    order = np.lexsort((-pairs.g, -pairs.iou, ignored[pairs.g], pairs.d))
    d, g, iou, cell = pairs.d[order], pairs.g[order], pairs.iou[order], cell[order]
    reaches = iou[:, None] >= thresholds.clip(max=1 - 1e-10)  # [P, T]
    place = places_in_runs(cell)
    by_place = place.argsort(kind="stable")
    borders = np.searchsorted(place[by_place], np.arange(place.max(initial=-1) + 2))

    found = np.zeros((D, len(thresholds)), dtype=bool)
    found_ignored = np.zeros_like(found)
    taken = np.zeros((len(crowd), len(thresholds)), dtype=bool)
    for first, last in pairwise(borders):
        pair = by_place[first:last]  # the next one of each cell
        its_d, its_g = d[pair], g[pair]
        take = reaches[pair] & ~found[its_d] & ~taken[its_g]  # [pairs, T]
        found[its_d] |= take
        found_ignored[its_d] |= take & ignored[its_g, None]
        taken[its_g] |= take & ~crowd[its_g, None]  # a crowd stays free
    return found, found_ignored
