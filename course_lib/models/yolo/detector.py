"""YOLO as a detector: a network that answers with a grid, and the grid's arithmetic around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from course_lib.boxes import clip_boxes_to_image
from course_lib.models.detector import Detections, Detector, Images, Target, check_batch
from course_lib.models.yolo.grid import encode_grid, grid_candidates
from course_lib.models.yolo.loss import yolo_loss
from course_lib.models.yolo.networks import paper_network, small_network
from course_lib.suppression import batched_nms


class YOLO(Detector):
    """One look at the image: a network makes S x S cells of it, each cell says A boxes and a class.

    network: takes images [B, 3, side, side] and answers [B, A*5 + K, S, S], as `grid.py` says.
    side: every image is stretched to side x side pixels, as in the paper; boxes are shares of the
        image, so that they stretch with it.
    S, num_boxes, lambda_coord, lambda_noobj: of the grid and of the loss.
    score_threshold, iou_threshold, max_detections: what `detect` drops. Suppression is by class.
    Source: Redmon et al., You Only Look Once: Unified, Real-Time Object Detection, CVPR 2016.
    """

    # What the small one learns best with, for `course_lib.engine.FitConfig`.
    recommended: ClassVar[dict[str, Any]] = {"lr": 3e-3, "batch_size": 16}

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        side: int,
        S: int,
        num_boxes: int = 2,
        lambda_coord: float | int = 5.0,
        lambda_noobj: float | int = 0.5,
        score_threshold: float | int = 0.02,
        iou_threshold: float | int = 0.5,
        max_detections: int = 100,
    ) -> None:
        super().__init__(num_classes, stride=1)  # images are stretched, not padded
        self.network = network
        self.side = side
        self.S = S
        self.num_boxes = num_boxes
        self.lambda_coord = lambda_coord
        self.lambda_noobj = lambda_noobj
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections

    def prepare(
        self, images: Images
    ) -> tuple[Float[Tensor, "B 3 side side"], list[tuple[int, int]]]:
        """The images normalised and stretched to side x side, and (height, width) of each before.

        No padding: stretching an image takes its boxes along, since they are shares of it.
        """
        whole = isinstance(images, Tensor) or len(images) == 0
        parts = [images] if whole else [image[None] for image in images]
        batches, sizes = zip(*(super(YOLO, self).prepare(part) for part in parts), strict=True)
        shape = (self.side, self.side)
        stretched = [
            batch
            if batch.shape[-2:] == shape
            else interpolate(batch, shape, mode="bilinear", antialias=True)
            for batch in batches
        ]
        return torch.cat(stretched), [size for part in sizes for size in part]

    def forward(self, images: Float[Tensor, "B 3 side side"]) -> Float[Tensor, "B S S channels"]:
        """A*5 + K numbers for each cell; what they mean is in `grid.py`."""
        check_batch(images)
        cells: Tensor = self.network(images).movedim(1, -1)
        return cells

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The five terms of `yolo_loss`, weights included. Crowds are left out of the grid."""
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        grids = [
            encode_grid(*_objects(target), size, self.S, self.num_classes)
            for target, size in zip(targets, sizes, strict=True)
        ]
        terms = yolo_loss(
            self(batch),
            torch.stack(grids).to(batch.device),
            self.num_boxes,
            self.lambda_coord,
            self.lambda_noobj,
        )
        return terms._asdict()

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, class-specific confidences (limited to 0..1) and labels of each image."""
        batch, sizes = self.prepare(images)
        answer = self(batch)
        answer = answer.to(torch.promote_types(answer.dtype, torch.float32))
        return [self._read(cells, size) for cells, size in zip(answer, sizes, strict=True)]

    def _read(self, cells: Float[Tensor, "S S channels"], size: tuple[int, int]) -> Detections:
        """The detections of one image, in its own pixels."""
        found = grid_candidates(cells, size, self.num_boxes, self.score_threshold)
        boxes = clip_boxes_to_image(found.boxes, size)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        boxes, scores, labels = boxes[inside], found.scores[inside], found.labels[inside]
        keep = batched_nms(boxes, scores, labels, self.iou_threshold)[: self.max_detections]
        return {"boxes": boxes[keep], "scores": scores[keep].clamp(max=1), "labels": labels[keep]}


def yolo(num_classes: int, **options: Any) -> YOLO:
    """A YOLO that learns small scenes from nothing in about a minute on two CPU cores.

    128 x 128 pixels, a grid of 8 x 8 (finer than the paper's, for scenes of many objects), two
    predictors a cell. Convolutions to the end instead of the paper's two large linear layers, and
    BatchNorm: both are YOLOv2's. options: those of `YOLO`; side must be 16 S.
    """
    options = {"side": 128, "S": 8, **options}
    if options["side"] != 16 * options["S"]:
        raise ValueError(f"side must be 16 S, got side {options['side']} and S {options['S']}")
    channels = 5 * options.get("num_boxes", 2) + num_classes
    return YOLO(small_network(channels), num_classes, **options)


def yolov1(num_classes: int = 20, **options: Any) -> YOLO:
    """The network of the paper: 448 x 448 pixels, 24 convolutions, 7 x 7 x (2 · 5 + K).

    options: those of `YOLO`; side must be 64 S.
    """
    options = {"side": 448, "S": 7, **options}
    if options["side"] != 64 * options["S"]:
        raise ValueError(f"side must be 64 S, got side {options['side']} and S {options['S']}")
    channels = 5 * options.get("num_boxes", 2) + num_classes
    return YOLO(paper_network(channels, options["S"]), num_classes, **options)


def _objects(target: Target) -> tuple[Tensor, Tensor]:
    """Boxes and labels of the single objects of a target."""
    boxes, labels = target["boxes"], target["labels"]
    if "iscrowd" not in target:
        return boxes, labels
    single = target["iscrowd"] == 0
    return boxes[single], labels[single]
