"""Exercise 7: coco_average_precision, from the tables of all images to one number."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from torch import Tensor

from autograde.exercises.lesson_03_map import inputs as give
from autograde.exercises.lesson_03_map.matching import again_and_again, greedy, strictly, voc
from autograde.spec import Case, Exercise, Mistake
from course_lib import metrics as ref

Match = Callable[[Tensor, float], list[int]]
THRESHOLDS = [0.5 + 0.05 * k for k in range(10)]


def _averaged(precision: list[float], recall: list[float], points: int = 101) -> float:
    """AP by so many points; 0 points mean the whole area."""
    height, envelope = 0.0, [0.0]
    for p in reversed(precision):
        height = max(height, p)
        envelope.append(height)
    envelope.reverse()  # [D + 1], 0 behind the end
    if not points:
        before = [0.0, *recall]
        return sum((r - b) * h for r, b, h in zip(recall, before, envelope, strict=False))
    reached = (bisect_left(recall, k / (points - 1)) for k in range(points))
    return sum(envelope[k] for k in reached) / points


def _average(
    ious: list[Tensor],
    scores: list[Tensor],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    match: Match = greedy,
    hit: Callable[[int], bool] = lambda g: g >= 0,
    points: int = 101,
    positives: int | None = None,
    within: str = "both",
    across: bool = True,
) -> float:
    """COCO's AP of one class in plain Python, with a slip of your choice."""
    if positives is None:
        positives = sum(table.shape[1] for table in ious)
    orders = [s.argsort(descending=True, stable=True) for s in scores]
    tables, said = list(ious), list(scores)
    if within in ("both", "table"):
        tables = [table[order] for table, order in zip(ious, orders, strict=True)]
    if within in ("both", "scores"):
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
        total += _averaged(precision, [tp / max(positives, 1) for tp in found], points)
    return total / len(thresholds)


def _each_image(ious: list[Tensor], scores: list[Tensor], truth_only: bool) -> float:
    values = [
        _average([table], [s])
        for table, s in zip(ious, scores, strict=True)
        if table.shape[1] or not truth_only
    ]
    return sum(values) / max(len(values), 1)


def _only(keep: Callable[[Tensor], int]) -> Callable[[list[Tensor], list[Tensor]], float]:
    def wrong(ious: list[Tensor], scores: list[Tensor]) -> float:
        pairs = [(t, s) for t, s in zip(ious, scores, strict=True) if keep(t)]
        return _average([t for t, _ in pairs], [s for _, s in pairs])

    return wrong


COCO_AVERAGE_PRECISION = Exercise(
    name="coco_average_precision",
    points=3,
    reference=ref.coco_average_precision,
    names=("ious", "scores"),
    forbids=(
        "coco_average_precision",
        "evaluate_coco",
        "evaluate_coco_images",
    ),
    cases=(
        Case("one image, by decreasing score", give.one_image, core=True),
        Case("three images, detections in any order", give.three_images, core=True),
        Case("every object reported twice", give.duplicates),
        Case("an image without objects: its boxes are false alarms", give.image_without_truth),
        Case("an image without boxes: its objects are missed", give.image_without_detections),
        Case("its best object is taken, its second best is free", give.voc_differs),
        Case("an IoU of exactly 0.5", give.half_threshold),
        Case("equal scores keep their order", give.equal_across),
        Case("a perfect detector: 1", give.perfect),
        Case("no detections at all: 0", give.nothing_found),
    ),
    mistakes=(
        Mistake(
            "half_only",
            "This is AP at IoU 0.5 alone. COCO takes the mean over ten thresholds, 0.50, 0.55, …, "
            "0.95: does each of them reach match_coco?",
            lambda i, s: _average(i, s, thresholds=[0.5]),
        ),
        Mistake(
            "without_95",
            "The last threshold, 0.95, is left out. There are ten, from 0.50 to 0.95.",
            lambda i, s: _average(i, s, thresholds=THRESHOLDS[:-1]),
        ),
        Mistake(
            "without_50",
            "The first threshold, 0.50, is left out. There are ten, from 0.50 to 0.95.",
            lambda i, s: _average(i, s, thresholds=THRESHOLDS[1:]),
        ),
        Mistake(
            "with_100",
            "There is a threshold too many, 1.00. COCO ends at 0.95.",
            lambda i, s: _average(i, s, thresholds=[*THRESHOLDS, 1.0]),
        ),
        Mistake(
            "sum_of_thresholds",
            "The APs of the ten thresholds are added but not divided by ten.",
            lambda i, s: 10 * _average(i, s),
        ),
        Mistake(
            "mean_over_images",
            "AP is computed for each image and averaged. There is one ranking: put the detections "
            "of all images together, then draw one curve.",
            lambda i, s: _each_image(i, s, truth_only=False),
        ),
        Mistake(
            "mean_over_images_with_objects",
            "AP is computed for each image that has objects, and averaged. There is one ranking of "
            "all images together, and false alarms on empty images belong to it.",
            lambda i, s: _each_image(i, s, truth_only=True),
        ),
        Mistake(
            "empty_images_skipped",
            "Images without objects are skipped, and their false alarms with them. They count.",
            _only(lambda table: table.shape[1]),
        ),
        Mistake(
            "silent_images_skipped",
            "Images without detections are skipped, and their objects with them. Those objects "
            "are missed: they belong to the positives.",
            _only(lambda table: table.shape[0]),
        ),
        Mistake(
            "not_sorted_across",
            "The detections are ranked image after image. One ranking by score runs across all "
            "images: a bold box of the last image may come first of all.",
            lambda i, s: _average(i, s, across=False),
        ),
        Mistake(
            "not_sorted_within",
            "In each image the boxes choose in the order in which they came. The best score "
            "chooses first: sort the rows of its table before you match.",
            lambda i, s: _average(i, s, within="no"),
        ),
        Mistake(
            "rows_left_behind",
            "The scores of each image are sorted, but the rows of its table are not, so boxes get "
            "other boxes' scores. Sort both with the same order.",
            lambda i, s: _average(i, s, within="scores"),
        ),
        Mistake(
            "scores_left_behind",
            "The rows of each table are sorted, but the scores are not, so boxes get other boxes' "
            "scores. Sort both with the same order.",
            lambda i, s: _average(i, s, within="table"),
        ),
        Mistake(
            "first_object_lost",
            "Boxes that found object 0 count as wrong: `matches > 0` leaves it out. No match is "
            "-1, so ask `matches >= 0`.",
            lambda i, s: _average(i, s, hit=lambda g: g > 0),
        ),
        Mistake(
            "minus_one_is_true",
            "The matches are used as True and False: -1 counts as True then, and object 0 as "
            "False. Ask `matches >= 0`.",
            lambda i, s: _average(i, s, hit=lambda g: bool(g)),
        ),
        Mistake(
            "eleven_points",
            "The thresholds are right, but the curve is averaged by 11 points. COCO takes 101.",
            lambda i, s: _average(i, s, points=11),
        ),
        Mistake(
            "whole_area",
            "The thresholds are right, but this is the exact area under the curve. COCO takes 101 "
            "points.",
            lambda i, s: _average(i, s, points=0),
        ),
        Mistake(
            "over_images",
            "Recall is divided by the number of images. The positives are the objects of all "
            "images: the columns of all tables.",
            lambda i, s: _average(i, s, positives=len(i)),
        ),
        Mistake(
            "over_detections",
            "Recall is divided by the number of detections. The positives are the objects of all "
            "images: the columns of all tables.",
            lambda i, s: _average(i, s, positives=sum(len(t) for t in i)),
        ),
        Mistake(
            "taken_twice",
            "A second box on the same object counts as right. It is a false alarm: each object can "
            "be found once.",
            lambda i, s: _average(i, s, match=again_and_again),
        ),
        Mistake(
            "voc_rule",
            "A box whose best object is taken gets nothing: that is PASCAL VOC's matching. Use "
            "your match_coco, which looks among the free objects.",
            lambda i, s: _average(i, s, match=voc),
        ),
        Mistake(
            "strictly_greater",
            "An IoU of exactly the threshold is refused somewhere. It is enough: `>=`, not `>`.",
            lambda i, s: _average(i, s, match=strictly),
        ),
    ),
    hints=(
        "Positives: the sum of `table.shape[1]` over all images, with and without detections.",
        "For each image: `order = s.argsort(descending=True, stable=True)`, then use "
        "`table[order]` and `s[order]`. Put the scores of all images together with torch.cat.",
        "For each threshold: match every image, `matches >= 0`, torch.cat in the same order as the "
        "scores. Then your curve and your 101-point average.",
        "In the end the mean of the ten values.",
    ),
)
