"""The mAP explorer: from matches on pictures to the precision-recall curve and to one number."""

from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Bool, Float64
from torch import Tensor

from course_lib import metrics
from course_lib.boxes import box_iou
from course_lib.data import DETECTORS, Scene, evaluation_set
from course_lib.explore._link import look, module
from course_lib.explore.nms import picture_of, rounded

PICTURES = 6
SHOWN = ("good", "loose", "twice", "cluttered", "gullible", "shortsighted", "timid", "shuffled")
RULES = {
    "11": metrics.average_precision_11,
    "all": metrics.average_precision_all,
    "101": metrics.average_precision_101,
}


class MAPExplorer(anywidget.AnyWidget):
    """Choose a detector and turn two thresholds; everything is computed in the browser.

    Python reads and sets what is shown: `detector` (a name of `course_lib.data.DETECTORS`),
    `picture` (from 0), `score` and `iou` (thresholds) and `rule` ("11", "all" or "101"). It
    answers `counts`, `precision`, `recall` and `average_precision` with `course_lib.metrics`.
    """

    title = "How good is a detector?"
    lead = (
        "Eight pretended detectors look at the same six pictures; whatever is in them counts as "
        "one class here. The score threshold decides which boxes count, the IoU threshold which "
        "of them are right. Each score threshold is one point of the curve; average precision is "
        "the height of the whole curve."
    )
    _esm = module("map_explorer")
    _css = look()
    detector = traitlets.Enum(SHOWN, "good").tag(sync=True)
    picture = traitlets.Int(0, min=0, max=PICTURES - 1).tag(sync=True)
    score = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    iou = traitlets.Float(0.5, min=0.05, max=0.95).tag(sync=True)
    rule = traitlets.Enum(list(RULES), "101").tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, detector: str = "good", iou: int | float = 0.5) -> None:
        super().__init__()
        self.set_trait("world", _world())
        self.detector, self.iou = detector, iou

    @property
    def counts(self) -> dict[str, int]:
        """True positives, false positives and false negatives at both thresholds."""
        scores, right, objects = self._ranked()
        shown = scores >= self.score
        found = int(right[shown].sum())
        return {"tp": found, "fp": int(shown.sum()) - found, "fn": objects - found}

    @property
    def precision(self) -> float:
        """Of the boxes that count, how many are right?"""
        return metrics.precision_recall(**self.counts)[0]

    @property
    def recall(self) -> float:
        """Of the objects, how many are found?"""
        return metrics.precision_recall(**self.counts)[1]

    def average_precision(self, rule: str | None = None) -> float:
        """By 11, all or 101 points; by default the rule that is chosen."""
        scores, right, objects = self._ranked()
        precision, recall = metrics.precision_recall_curve(scores, right, objects)
        return float(RULES[rule or self.rule](precision, recall))

    def _ranked(self) -> tuple[Float64[Tensor, " D"], Bool[Tensor, " D"], int]:
        """Score of each detection, whether it is right, and how many objects there are."""
        known = {d["name"]: d["detections"] for d in self.world["detectors"]}[self.detector]
        scores, right, objects = [], [], 0
        for said, image in zip(known, self.world["images"], strict=True):
            boxes = torch.tensor([d["box"] for d in said], dtype=torch.float64).reshape(-1, 4)
            truth = torch.tensor(image["truth"], dtype=torch.float64).reshape(-1, 4)
            scores.append(torch.tensor([d["score"] for d in said], dtype=torch.float64))
            right.append(metrics.match_coco(box_iou(boxes, truth), self.iou) >= 0)
            objects += len(truth)
        return torch.cat(scores), torch.cat(right), objects


def map_explorer(detector: str = "good", iou: int | float = 0.5) -> MAPExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    detector: one of SHOWN. iou: the threshold, 0.05..0.95.
    """
    return MAPExplorer(detector, iou)


def _slips(scene: Scene) -> int:
    """How many boxes of `good` find nothing."""
    (said,) = DETECTORS["good"].detect([scene])
    order = said["scores"].argsort(descending=True, stable=True)
    ious = box_iou(said["boxes"][order].double(), scene.boxes.double())
    return int((metrics.match_coco(ious, 0.5) < 0).sum())


@cache
def _world() -> dict[str, Any]:
    """Some pictures, and what each detector says of them, best score first.

    Without crowds, and those in which even `good` errs most: a curve needs something to fall over.
    """
    counted = [s for s in evaluation_set() if not bool(s.crowd.any())]
    scenes = sorted(counted, key=_slips, reverse=True)[:PICTURES]
    detectors = []
    for name in SHOWN:
        detector = DETECTORS[name]
        detections = []
        for said in detector.detect(scenes):
            order = said["scores"].argsort(descending=True, stable=True)
            boxes, scores = said["boxes"][order], said["scores"][order]
            rows = zip(rounded(boxes, 1), rounded(scores, 3), strict=True)
            detections.append([{"box": box, "score": score} for box, score in rows])
        detectors.append(
            {"name": name, "text": name, "says": detector.says, "detections": detections}
        )
    images = [picture_of(scene) | {"truth": rounded(scene.boxes, 1)} for scene in scenes]
    return {"images": images, "detectors": detectors}
