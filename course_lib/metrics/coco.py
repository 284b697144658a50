"""Microsoft COCO's protocol: the twelve numbers behind most tables of detectors since 2015."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
from torch import Tensor

from course_lib.metrics._accumulate import accumulate
from course_lib.metrics._dataset import Dataset, Objects
from course_lib.metrics._pairs import match_pairs, overlapping_pairs, places_in_runs
from course_lib.metrics._read_coco import read_coco
from course_lib.metrics._read_images import read_images
from course_lib.metrics._result import CocoResult
from course_lib.metrics.average import IOU_THRESHOLDS, RECALL_POINTS

IouType = Literal["bbox", "segm"]

AREAS = {  # square pixels, both ends included
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
MAX_DETECTIONS = (1, 10, 100)


def evaluate_coco(
    ground_truth: Mapping[str, Any] | str | PathLike[str],
    detections: Sequence[Mapping[str, Any]] | str | PathLike[str],
    iou_type: IouType = "bbox",
    *,
    use_ignore: bool = False,
) -> CocoResult:
    """Precision, recall and the twelve numbers of COCO, from COCO's own two files.

    Args:
        ground_truth: COCO's dictionary with `images`, `annotations` and `categories`, or the name
            of its JSON file. An annotation has `image_id`, `category_id`, `area`, `bbox` (xywh)
            or `segmentation`, and `iscrowd` where it is one.
        detections: a list of results {"image_id", "category_id", "score", "bbox" or
            "segmentation"}, in any order, or the name of its JSON file. It may be empty.
        iou_type: "bbox" compares boxes, "segm" masks.
        use_ignore: whether annotations that say `"ignore": 1` are ignored, as COCO's documents
            have it. pycocotools means to and forgets: it only ignores crowds.

    Errors: TypeError or ValueError for what is missing or does not fit; the message says where.
    Source: Lin et al., Microsoft COCO, ECCV 2014; cocodataset.org/#detection-eval; and to the last
        digit pycocotools 2.0.11, with `loadRes`, `evaluate`, `accumulate` and `summarize`. We
        differ where that one fails or goes wrong:
        - A truth with the annotation id 0 can be found; there, it cannot.
        - A detection of a category that the ground truth does not list is an error; there, it is
          left out in silence, and an off-by-one in the labels looks like a bad detector.
        - Two annotations of one id are an error; there, the second takes the place of the first.
        - No detections at all are an answer; there, an IndexError.
    """
    _check_iou_type(iou_type)
    return _evaluate(read_coco(ground_truth, detections, iou_type, use_ignore))


def evaluate_coco_images(
    targets: Sequence[Mapping[str, Tensor]],
    outputs: Sequence[Mapping[str, Tensor]],
    iou_type: IouType = "bbox",
    *,
    use_ignore: bool = False,
) -> CocoResult:
    """The same, from targets and outputs as the detectors of torchvision have them.

    Args:
        targets: for each image a dictionary of `labels` [G], `boxes` [G, 4] xyxy in pixels or
            `masks` [G, H, W]; where there are such, `iscrowd` [G], `ignore` [G], and `area` [G]
            (otherwise that of the box or mask).
        outputs: for each image a dictionary of `labels` [D], `scores` [D], and `boxes` [D, 4] or
            `masks` [D, H, W], which may be the probabilities [D, 1, H, W] of Mask R-CNN.
        iou_type, use_ignore: as in `evaluate_coco`.

    The classes are all labels that occur; those without a truth count in no mean.
    Errors: TypeError or ValueError for what is missing or does not fit; the message says where.
    """
    _check_iou_type(iou_type)
    return _evaluate(read_images(targets, outputs, iou_type, use_ignore))


def _evaluate(data: Dataset) -> CocoResult:
    """Match, count, and read off the curves; everything of all images and classes at once."""

    def cell(objects: Objects) -> np.ndarray:
        return objects.category * data.images + objects.image

    truths = data.truths.take(cell(data.truths).argsort(kind="stable"))
    # Stable, as pycocotools' mergesort: equal scores keep their order.
    detections = data.detections.take(np.lexsort((-data.detections.score, cell(data.detections))))
    rank = places_in_runs(cell(detections))
    keep = (rank < MAX_DETECTIONS[-1]).nonzero()[0]
    detections, rank = detections.take(keep), rank[keep]
    D, T, A, K = len(detections), len(IOU_THRESHOLDS), len(AREAS), len(data.category_ids)

    pairs = overlapping_pairs(detections, truths, cell(detections), cell(truths), IOU_THRESHOLDS[0])
    right = np.zeros((T, A, D), dtype=bool)
    wrong = np.zeros((T, A, D), dtype=bool)
    positives = np.zeros((K, A), dtype=np.int64)
    for a, (low, high) in enumerate(AREAS.values()):
        ignored = truths.ignored | (truths.area < low) | (truths.area > high)  # [G]
        outside = (detections.area < low) | (detections.area > high)  # [D]
        found, found_ignored = match_pairs(
            pairs, cell(detections)[pairs.d], IOU_THRESHOLDS, D, ignored, truths.crowd
        )  # [D, T] each
        right[:, a] = (found & ~found_ignored).T
        wrong[:, a] = (~found & ~outside[:, None]).T
        positives[:, a] = np.bincount(truths.category[~ignored], minlength=K)
    curves = accumulate(
        right, wrong, detections.score, rank, detections.category, positives, MAX_DETECTIONS
    )
    return CocoResult(
        curves.precision,
        curves.recall,
        curves.scores,
        IOU_THRESHOLDS.copy(),
        RECALL_POINTS.copy(),
        data.category_ids,
        data.category_names,
        tuple(AREAS),
        MAX_DETECTIONS,
    )


def _check_iou_type(iou_type: str) -> None:
    if iou_type not in ("bbox", "segm"):
        raise ValueError(f'iou_type must be "bbox" or "segm", got {iou_type!r}')
