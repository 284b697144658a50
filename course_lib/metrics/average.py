"""Average precision: one number for a curve, by the three rules that papers use.

All three are the mean height of the curve over recalls from 0 to 1, and all take the envelope: the
highest precision at this recall or a higher one. They differ in where they look.

    11 points     VOC up to 2009    at recalls 0, 0.1, …, 1
    all points    VOC from 2010     everywhere: the exact area under the envelope
    101 points    COCO              at recalls 0, 0.01, …, 1

Beyond the last recall that the detector reaches, the height is 0.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from course_lib._checks import check_tensor
from course_lib.metrics.curves import precision_envelope, precision_recall_curve
from course_lib.metrics.matching import UNMATCHED, match_coco

# As in pycocotools, to the last digit: np.linspace and arithmetic by hand differ there.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0, 1, 101)


def average_precision_11(
    precision: Float[Tensor, " D"], recall: Float[Tensor, " D"]
) -> Float[Tensor, ""]:
    """Mean of the envelope at the recalls 0, 0.1, …, 1: the AP of VOC until 2009.

    Shapes: precision and recall [D], as `precision_recall_curve` gives them, to [].
    No detections: 0.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, equations 1
        and 2. A recall of exactly 3/10 reaches the point 0.3 here; in VOC's own code that hangs
        on the last digit of a float.
    """
    _check_curve(precision, recall)
    points = torch.arange(11, dtype=recall.dtype, device=recall.device) / 10
    return _height_at(points, precision, recall).mean()


def average_precision_all(
    precision: Float[Tensor, " D"], recall: Float[Tensor, " D"]
) -> Float[Tensor, ""]:
    """The area under the envelope: the AP of VOC from 2010 on.

    Between two detections recall stays or jumps; each jump is a rectangle as high as the envelope
    at its right end.

    Shapes: precision and recall [D], as `precision_recall_curve` gives them, to [].
    No detections: 0.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge: A Retrospective, IJCV
        2015, section 2.2; VOCap.m of the VOC2012 development kit.
    """
    _check_curve(precision, recall)
    width = recall.diff(prepend=recall.new_zeros(1))  # [D]
    return (width * precision_envelope(precision)).sum()


def average_precision_101(
    precision: Float[Tensor, " D"], recall: Float[Tensor, " D"]
) -> Float[Tensor, ""]:
    """Mean of the envelope at the recalls 0, 0.01, …, 1: the AP of COCO at one IoU threshold.

    Shapes: precision and recall [D], as `precision_recall_curve` gives them, to [].
    No detections: 0.
    Source: pycocotools.cocoeval.COCOeval.accumulate, to the last digit for float64.
    """
    _check_curve(precision, recall)
    points = torch.as_tensor(RECALL_POINTS, dtype=recall.dtype, device=recall.device)
    return _height_at(points, precision, recall).mean()


def coco_average_precision(
    ious: Sequence[Float[Tensor, "_ _"]], scores: Sequence[Float[Tensor, " _"]]
) -> Float[Tensor, ""]:
    """COCO's AP of one class: the mean over the IoU thresholds 0.50, 0.55, …, 0.95.

    Args:
        ious: for each image its table [D_i, G_i] of detections and truths of the class.
        scores: for each image its scores [D_i], in the order of the rows, sorted or not.

    Returns: [], in float64. 0 where there are no detections, and where there are no truths (COCO
        writes -1 there, and leaves the class out of the mean).
    Errors: ValueError if the two lists, or an image's table and scores, differ in length.
    Source: Lin et al., Microsoft COCO, ECCV 2014, and cocodataset.org/#detection-eval. All
        detections count here: COCO keeps the 100 best of an image, and knows crowds and sizes:
        see `evaluate_coco`.
    """
    if len(ious) != len(scores):
        raise ValueError(
            f"ious and scores must have an entry for each image, got {len(ious)} and {len(scores)}"
        )
    orders = []
    for i, (table, said) in enumerate(zip(ious, scores, strict=True)):
        if len(table) != len(said):
            raise ValueError(
                f"image {i} has {len(table)} rows of IoUs but {len(said)} scores; "
                "both must have one for each detection"
            )
        orders.append(said.argsort(descending=True, stable=True))
    positives = sum(table.shape[1] for table in ious)
    if positives == 0 or not len(ious):
        return torch.zeros((), dtype=torch.float64)
    ranked = torch.cat([said[o] for said, o in zip(scores, orders, strict=True)]).double()
    tables = [table[o] for table, o in zip(ious, orders, strict=True)]
    average = torch.zeros(len(IOU_THRESHOLDS), dtype=torch.float64, device=ranked.device)
    for t, threshold in enumerate(IOU_THRESHOLDS.tolist()):
        correct = torch.cat([match_coco(table, threshold) != UNMATCHED for table in tables])
        average[t] = average_precision_101(*precision_recall_curve(ranked, correct, positives))
    return average.mean()


def _height_at(points: Tensor, precision: Tensor, recall: Tensor) -> Tensor:
    """The envelope at the first detection whose recall reaches the point, or 0: [points]."""
    first = torch.searchsorted(recall.contiguous(), points)  # [points], D where none does
    padded = torch.cat((precision_envelope(precision), precision.new_zeros(1)))  # [D + 1]
    return padded[first]


def _check_curve(precision: Tensor, recall: Tensor) -> None:
    check_tensor(precision, "precision")
    check_tensor(recall, "recall")
    if precision.ndim != 1 or precision.shape != recall.shape:
        raise ValueError(
            "precision and recall must have one shape [D], one entry for each detection, got "
            f"{list(precision.shape)} and {list(recall.shape)}"
        )
    if not (precision.is_floating_point() and recall.is_floating_point()):
        raise TypeError(
            f"precision and recall must hold floats, got {precision.dtype} and {recall.dtype}"
        )
    if (recall.diff() < 0).any():
        raise ValueError(
            "recall must never decrease; give the curve by decreasing score, as "
            "precision_recall_curve does"
        )
