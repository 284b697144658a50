"""How good is a detector? Matching, precision and recall, average precision, VOC and COCO.

Letters
    D, G    detections and ground-truth objects ("truths")
    K       classes
    T, R    IoU thresholds and recall points of COCO (10 and 101)
    A, M    area ranges and limits on detections an image of COCO (4 and 3)

The way from boxes to one number, a step a module:
    matching    which detection found which truth
    curves      precision and recall, at one threshold and at all of them
    average     one number for a curve: AP by 11 points, by all points, by 101 points
    voc, coco   the two protocols, from whole datasets to the numbers that papers print
"""

from course_lib.metrics._result import CocoResult
from course_lib.metrics.average import (
    average_precision_11,
    average_precision_101,
    average_precision_all,
    coco_average_precision,
)
from course_lib.metrics.coco import evaluate_coco, evaluate_coco_images
from course_lib.metrics.curves import (
    f_beta,
    precision_envelope,
    precision_recall,
    precision_recall_curve,
)
from course_lib.metrics.matching import match_coco, match_voc
from course_lib.metrics.voc import VocResult, evaluate_voc

__all__ = [
    "CocoResult",
    "VocResult",
    "average_precision_11",
    "average_precision_101",
    "average_precision_all",
    "coco_average_precision",
    "evaluate_coco",
    "evaluate_coco_images",
    "evaluate_voc",
    "f_beta",
    "match_coco",
    "match_voc",
    "precision_envelope",
    "precision_recall",
    "precision_recall_curve",
]
