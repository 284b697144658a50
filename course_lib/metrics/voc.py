"""PASCAL VOC's protocol: one IoU threshold, one AP for each class, and their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.boxes import box_iou
from course_lib.metrics._read_images import check_images
from course_lib.metrics.average import average_precision_11, average_precision_all
from course_lib.metrics.curves import precision_recall_curve
from course_lib.metrics.matching import UNMATCHED, match_voc

Curve = tuple[Float[Tensor, " D"], Float[Tensor, " D"]]


@dataclass(frozen=True, eq=False)
class VocResult:
    """Each by label, for the labels that have a truth to find."""

    class_ap: dict[int, float]
    curves: dict[int, Curve]  # (precision [D], recall [D]), by decreasing score

    @property
    def mean_ap(self) -> float:
        """mAP: the mean over the classes; -1 where no class has a truth to find."""
        return sum(self.class_ap.values()) / len(self.class_ap) if self.class_ap else -1.0

    def __str__(self) -> str:
        rows = [f"{label!s:>6}  {ap:.3f}" for label, ap in self.class_ap.items()]
        return "\n".join([" label  AP", *rows, f"  mean  {self.mean_ap:.3f}"])


def evaluate_voc(
    targets: Sequence[Mapping[str, Tensor]],
    outputs: Sequence[Mapping[str, Tensor]],
    year: Literal[2007, 2010] = 2010,
    iou_threshold: float | int = 0.5,
) -> VocResult:
    """AP of each class by the rules of PASCAL VOC.

    Args:
        targets: for each image a dictionary of `boxes` [G, 4] xyxy in pixels, `labels` [G], and
            where there are such, `difficult` [G]: truths that neither count when found nor when
            missed.
        outputs: for each image a dictionary of `boxes` [D, 4], `labels` [D] and `scores` [D], in
            any order.
        year: 2007 for the AP of 11 points (until 2009), 2010 for that of all points (since then).
        iou_threshold: how well a detection must overlap its truth, VOC's a_o; exactly it is enough.

    Errors: TypeError or ValueError for what does not fit together, or another year.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2,
        and VOCevaldet.m of its development kits. There a box ends at its last pixel, so that its
        sides are one pixel longer; here boxes are half-open, as in the whole course. To compare
        with VOC's own numbers, add 1 to x2 and y2 of all boxes.
    """
    average = {2007: average_precision_11, 2010: average_precision_all}.get(year)
    if average is None:
        raise ValueError(f"year must be 2007 (11 points) or 2010 (all points), got {year!r}")
    check_images(targets, outputs)
    curves: dict[int, Curve] = {}
    for label in sorted({label for target in targets for label in target["labels"].tolist()}):
        scores, correct, positives = _of_class(label, targets, outputs, iou_threshold)
        if positives > 0:
            curves[label] = precision_recall_curve(scores, correct, positives)
    return VocResult({label: average(*curve).item() for label, curve in curves.items()}, curves)


def _of_class(
    label: int,
    targets: Sequence[Mapping[str, Tensor]],
    outputs: Sequence[Mapping[str, Tensor]],
    iou_threshold: float | int,
) -> tuple[Tensor, Tensor, int]:
    """Scores and verdicts of the detections that count, image after image, and the truths."""
    positives = 0
    all_scores, all_correct = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0).bool()]
    for target, output in zip(targets, outputs, strict=True):
        mine, said = target["labels"] == label, output["labels"] == label
        truths = target["boxes"][mine].detach().cpu().double()
        difficult = target.get("difficult", torch.zeros(len(mine)))[mine.cpu()].cpu() != 0
        scores = output["scores"][said].detach().cpu().double()
        order = scores.argsort(descending=True, stable=True)
        boxes = output["boxes"][said].detach().cpu().double()[order]
        matches = match_voc(box_iou(boxes, truths), iou_threshold, difficult=difficult)
        # -1 looks up the entry appended here: what matched nothing is no difficult one.
        counts = ~torch.cat((difficult, torch.zeros(1, dtype=torch.bool)))[matches]
        all_scores.append(scores[order][counts])
        all_correct.append((matches != UNMATCHED)[counts])
        positives += int((~difficult).sum())
    return torch.cat(all_scores), torch.cat(all_correct), positives
