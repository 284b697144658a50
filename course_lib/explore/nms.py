"""The NMS explorer: one box an object out of a hundred, step by step, hard or soft."""

from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64, Int64
from torch import Tensor

from course_lib.boxes import box_iou
from course_lib.data import Scene, crowded_scene, raw_detections
from course_lib.explore._link import look, module
from course_lib.explore._picture import jpeg
from course_lib.metrics import match_coco
from course_lib.suppression import nms, soft_nms

METHODS = ("greedy", "linear", "gaussian")
FOUND = 0.5  # the IoU from which an object counts as found


class NMSExplorer(anywidget.AnyWidget):
    """Turn the thresholds and go through the steps; everything is computed in the browser.

    Python reads and sets what is shown: `method` ("greedy", "linear" or "gaussian"), `threshold`
    (IoU), `sigma`, `least` (the lowest score that counts) and `step` (boxes taken so far, -1 for
    all). It answers `kept`, `kept_scores` and `found` with `course_lib.suppression` in float64.
    """

    title = "One object, one box"
    lead = (
        "A detector says each object many times over. Greedy NMS takes the box with the highest "
        "score, strikes out all that overlap it too much, and goes on with the best one left. Two "
        "of these animals stand close together: which rule finds both?"
    )
    _esm = module("nms_explorer")
    _css = look()
    method = traitlets.Enum(METHODS, "greedy").tag(sync=True)
    threshold = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    sigma = traitlets.Float(0.5, min=0.05, max=1).tag(sync=True)
    least = traitlets.Float(0.3, min=0.01, max=0.99).tag(sync=True)
    step = traitlets.Int(-1, min=-1).tag(sync=True)
    scene = traitlets.Dict(read_only=True).tag(sync=True)
    boxes = traitlets.List[Any](read_only=True).tag(sync=True)
    scores = traitlets.List[Any](read_only=True).tag(sync=True)
    truth = traitlets.List[Any](read_only=True).tag(sync=True)

    def __init__(self, method: str = "greedy", threshold: int | float = 0.5) -> None:
        super().__init__()
        scene = crowded_scene()
        said = raw_detections(scene)
        self.set_trait("scene", picture_of(scene))
        self.set_trait("boxes", rounded(said["boxes"], 1))
        self.set_trait("scores", rounded(said["scores"], 3))
        self.set_trait("truth", rounded(scene.boxes, 1))
        self.method, self.threshold = method, threshold

    @property
    def kept(self) -> Int64[Tensor, " kept"]:
        """Indices of the boxes that are taken in the end, in the order in which they are."""
        return self._chosen()[0]

    @property
    def kept_scores(self) -> Float64[Tensor, " kept"]:
        """Their scores when they are taken."""
        return self._chosen()[1]

    @property
    def found(self) -> int:
        """How many of the objects the taken boxes find, each once, at an IoU of 0.5."""
        boxes, truth = (torch.tensor(b, dtype=torch.float64) for b in (self.boxes, self.truth))
        return int((match_coco(box_iou(boxes[self.kept], truth), FOUND) >= 0).sum())

    def _chosen(self) -> tuple[Tensor, Tensor]:
        boxes, scores = (torch.tensor(x, dtype=torch.float64) for x in (self.boxes, self.scores))
        if self.method == "greedy":
            able = (scores >= self.least).nonzero().squeeze(1)
            keep = able[nms(boxes[able], scores[able], self.threshold)]
            return keep, scores[keep]
        return soft_nms(boxes, scores, self.threshold, self.sigma, self.least, self.method)


def nms_explorer(method: str = "greedy", threshold: int | float = 0.5) -> NMSExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    method: "greedy", "linear" or "gaussian". threshold: IoU in 0..1.
    """
    return NMSExplorer(method, threshold)


def picture_of(scene: Scene) -> dict[str, Any]:
    """A scene as a view shows it: { width, height, image, alt }."""
    H, W = scene.image.shape[:2]
    return {"width": W, "height": H, "image": jpeg(scene.image), "alt": scene.alt}


def rounded(values: Tensor, digits: int) -> Any:
    """As nested lists with few digits: what the page holds is what Python computes with."""
    return torch.round(values.double(), decimals=digits).tolist()
