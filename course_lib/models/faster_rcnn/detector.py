"""Faster R-CNN as a detector: backbone with pyramid, the two stages, and the steps around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.anchors import AnchorGenerator
from course_lib.coding import encode_boxes
from course_lib.matching import sample_balanced
from course_lib.models.backbones import create_backbone
from course_lib.models.background import IGNORED, WEIGHTS, DetectorWithBackground
from course_lib.models.detector import (
    Detections,
    Images,
    Target,
    channels_last,
    check_batch,
    inference_options,
)
from course_lib.models.faster_rcnn.heads import RegionProposalNetwork, RoIHeads
from course_lib.models.faster_rcnn.proposals import proposal_loss, proposal_targets, propose
from course_lib.models.faster_rcnn.steps import assign_proposals, decode, detection_loss
from course_lib.models.norms import Norm
from course_lib.models.pyramid import (
    BackboneWithFPN,
    anchors_per_location,
    check_grid,
    grids_and_strides,
)
from course_lib.models.resize import Resize, Size

Maps = list[Tensor]


@dataclass(frozen=True)
class Sampled:
    """The proposals of one image that a training step looks at.

    proposals [P, 4] in pixels; classes [P], 0 for background; objects [P] that they answer for;
    deltas [P, 4].
    """

    proposals: Tensor
    classes: Tensor
    objects: Tensor
    deltas: Tensor


class FasterRCNN(DetectorWithBackground):
    """Proposals from anchors on a pyramid; what is pooled of each says a class and four deltas.

    num_classes, background_is_0: see `DetectorWithBackground`.
    anchors: sizes and ratios of each level, the same number a location at all.
    pooled: rows and columns that a proposal is pooled to. width: of the two linear layers.
    grid: "image" places anchors as torchvision does, see `RetinaNet`.
    rpn_drawn, rpn_positive, drawn, positive: how many anchors, and then proposals, of an image a
        training step looks at, and at most which share of them has an object.
    candidates, proposals: of `propose`, each for training and for detecting. rpn_nms: its
        threshold.
    score_threshold, nms_threshold, max_detections: of `decode`.
    resize: see `Detector`.
    Source: Ren et al., Faster R-CNN, NeurIPS 2015; with a pyramid, Lin et al., Feature Pyramid
        Networks, CVPR 2017, sections 4 and 5. torchvision.models.detection.FasterRCNN.
    """

    # What the small one learns best with, for `course_lib.engine.FitConfig`.
    recommended: ClassVar[dict[str, Any]] = {"lr": 1e-2, "batch_size": 16}
    published_eps: ClassVar[float] = 0.0
    class_layers: ClassVar[tuple[str, ...]] = ("roi_heads.box_predictor",)

    def __init__(
        self,
        backbone: BackboneWithFPN,
        num_classes: int,
        anchors: AnchorGenerator,
        *,
        background_is_0: bool = False,
        pooled: int = 7,
        width: int = 1024,
        grid: str = "network",
        rpn_drawn: int = 256,
        rpn_positive: float | int = 0.5,
        drawn: int = 512,
        positive: float | int = 0.25,
        candidates: tuple[int, int] = (2000, 1000),
        proposals: tuple[int, int] = (2000, 1000),
        rpn_nms: float | int = 0.7,
        score_threshold: float | int = 0.05,
        nms_threshold: float | int = 0.5,
        max_detections: int = 100,
        resize: Resize | None = None,
    ) -> None:
        super().__init__(num_classes, background_is_0=background_is_0, stride=32, resize=resize)
        check_grid(grid)
        per_location = anchors_per_location(anchors, len(backbone.strides))
        self.backbone = backbone
        self.anchors = anchors
        self.grid = grid
        self.rpn = RegionProposalNetwork(backbone.out_channels, per_location)
        # What is pooled from is P2 to P5; a pooled P6 is for large anchors only.
        levels = [f"{number}" for number, stride in enumerate(backbone.strides) if stride <= 32]
        self.roi_heads = self.heads(levels, pooled, width)
        self.rpn_drawn, self.rpn_positive = rpn_drawn, rpn_positive
        self.drawn, self.positive = drawn, positive
        self.candidates, self.proposals, self.rpn_nms = candidates, proposals, rpn_nms
        self.inference = inference_options(
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        )

    def heads(self, levels: list[str], pooled: int, width: int) -> RoIHeads:
        """The second stage; a subclass may have more in it."""
        return RoIHeads(self.backbone.out_channels, levels, pooled, width, self.num_outputs)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Any]:
        """What both stages say: `objectness` [B, N] and `rpn_bbox_regression` [B, N, 4] of all
        anchors; `proposals`, [P, 4] for each image; `cls_logits` [R, K] and `bbox_regression`
        [R, K*4] of all proposals, those of the first image first.
        """
        check_batch(images)
        sizes = [(int(images.shape[-2]), int(images.shape[-1]))] * len(images)
        maps = self.backbone(images)
        first = self.rpn.head(maps)
        proposals = self.propose(first, self.grid_of(images.shape[-2:]), sizes)
        return {
            "objectness": first["objectness"],
            "rpn_bbox_regression": first["bbox_regression"],
            "proposals": proposals,
            **self.second_stage(maps, proposals, sizes),
        }

    def grid_of(self, size: Sequence[int]) -> list[Float[Tensor, "_ 4"]]:
        """The anchors of each level, for images padded to `size` (height, width)."""
        grids, strides = grids_and_strides(size, self.backbone.strides, self.grid)
        return self.anchors(grids, strides, device=self.pixel_mean.device)

    def propose(
        self, said: dict[str, Tensor], anchors: list[Tensor], sizes: Sequence[Size]
    ) -> list[Tensor]:
        """The proposals [P, 4] of each image, in pixels of the batch; no gradient leads through."""
        numbers = [len(level) for level in anchors]
        which = 0 if self.training else 1
        found = []
        for objectness, deltas, size in zip(
            said["objectness"].detach(), said["bbox_regression"].detach(), sizes, strict=True
        ):
            boxes, _ = propose(
                objectness.split(numbers),
                deltas.split(numbers),
                anchors,
                size,
                candidates=self.candidates[which],
                nms_threshold=self.rpn_nms,
                most=self.proposals[which],
            )
            found.append(boxes)
        return found

    def second_stage(
        self, maps: Maps, proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> dict[str, Tensor]:
        """`cls_logits` [R, K] and `bbox_regression` [R, K*4] of all proposals."""
        said: dict[str, Tensor] = self.roi_heads(named(maps), list(proposals), sizes)
        return said

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of `proposal_loss` and of `detection_loss`. Crowds are ignored.

        Which anchors and proposals count is drawn by torch's own generator.
        """
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        maps = self.backbone(batch)
        said = self.rpn.head(maps)
        anchors = self.grid_of(batch.shape[-2:])
        proposals = self.propose(said, anchors, sizes)
        terms = self.first_loss(said, torch.cat(anchors), targets)
        sampled = [self.sample(*pair) for pair in zip(proposals, targets, strict=True)]
        second = self.second_stage(maps, [each.proposals for each in sampled], sizes)
        classes = torch.cat([each.classes for each in sampled])
        deltas = torch.cat([each.deltas for each in sampled])
        terms |= detection_loss(second["cls_logits"], second["bbox_regression"], classes, deltas)
        return terms | self.further_loss(maps, sampled, targets, sizes)

    def first_loss(
        self, said: dict[str, Tensor], anchors: Tensor, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """The terms of the region proposal network."""
        rows = []
        for target in targets:
            wanted, deltas = proposal_targets(anchors, *self.objects(target))
            rows.append((deltas, *sample_balanced(wanted, self.rpn_drawn, self.rpn_positive)))
        parts = (torch.stack(part) for part in zip(*rows, strict=True))
        return proposal_loss(said["objectness"], said["bbox_regression"], *parts)

    @torch.no_grad()
    def sample(self, proposals: Tensor, target: Target) -> Sampled:
        """The proposals of one image to look at, those of the objects themselves among them."""
        boxes, labels = self.objects(target)
        single = labels != IGNORED
        proposals = torch.cat((proposals, boxes[single].to(proposals.dtype)))
        classes, objects = assign_proposals(proposals, boxes, labels)
        chosen = torch.stack(sample_balanced(classes, self.drawn, self.positive)).any(0)
        proposals, classes, objects = proposals[chosen], classes[chosen], objects[chosen]
        deltas = torch.zeros_like(proposals)
        if len(boxes):
            own = boxes[objects].to(proposals.dtype)
            deltas = encode_boxes(own, proposals, WEIGHTS).to(proposals.dtype)
        return Sampled(proposals, classes, objects, deltas)

    def further_loss(
        self, maps: Maps, sampled: list[Sampled], targets: Sequence[Target], sizes: Sequence[Size]
    ) -> dict[str, Tensor]:
        """Terms of what a subclass adds to the second stage."""
        return {}

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, scores and labels of each image, see `decode`."""
        batch, sizes = self.prepare(images)
        maps = self.backbone(batch)
        proposals = self.propose(self.rpn.head(maps), self.grid_of(batch.shape[-2:]), sizes)
        said = self.second_stage(maps, proposals, sizes)
        numbers = [len(each) for each in proposals]
        found = [
            decode(logits, deltas, boxes, size, **self.inference)
            for logits, deltas, boxes, size in zip(
                said["cls_logits"].split(numbers),
                said["bbox_regression"].split(numbers),
                proposals,
                sizes,
                strict=True,
            )
        ]
        self.add_to(found, maps, sizes)
        return self.in_own_pixels(images, found, sizes)

    def add_to(self, found: list[Detections], maps: Maps, sizes: Sequence[Size]) -> None:
        """What a subclass says of the detections beside box, score and class."""


def named(maps: Maps) -> dict[str, Tensor]:
    return {f"{number}": each for number, each in enumerate(maps)}


def faster_rcnn(num_classes: int, *, channels: int = 64, **options: Any) -> FasterRCNN:
    """A Faster R-CNN that learns small scenes from nothing in two minutes on two CPU cores.

    Three levels with strides 8, 16 and 32, three anchors a location. options: those of
    `FasterRCNN`.
    """
    backbone = BackboneWithFPN(create_backbone("tiny"), channels, norm="batch")
    anchors = AnchorGenerator(
        ((12,), (24,), (48,)), (0.5, 1.0, 2.0), offset=0.5, layout="detectron2"
    )
    options = {
        "width": 128,
        "rpn_drawn": 128,
        "drawn": 64,
        "candidates": (300, 200),
        "proposals": (200, 100),
        **options,
    }
    model = FasterRCNN(backbone, num_classes, anchors, **options)
    return channels_last(model)


def full_size(
    norm: Norm, trainable_layers: int
) -> tuple[BackboneWithFPN, AnchorGenerator, dict[str, Any]]:
    """ResNet-50 with P2 to P6, three anchors a location, and what else torchvision's have."""
    body = create_backbone("resnet50", norm)
    body.freeze(trainable_layers)
    backbone = BackboneWithFPN(body, 256, lowest=2, extra="pool")
    anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), (0.5, 1.0, 2.0))
    return backbone, anchors, {"background_is_0": True, "grid": "image", "resize": Resize()}


def fasterrcnn_resnet50_fpn(
    num_classes: int = 91, *, norm: Norm = "frozen", trainable_layers: int = 5, **options: Any
) -> FasterRCNN:
    """The full-size network: ResNet-50, P2 to P6, three anchors a location. 41,755,286 parameters.

    num_classes: background included, which is class 0. With 91 classes weights trained on COCO
        load, see `course_lib.models.torchvision_weights`.
    norm: of the backbone; "frozen" is for weights of the field, to learn from nothing take "batch"
        or "group".
    trainable_layers: see `ResNet.freeze`; 3 is the habit with ImageNet's weights.
    options: those of `FasterRCNN`.
    Source: torchvision.models.detection.fasterrcnn_resnet50_fpn.
    """
    backbone, anchors, usual = full_size(norm, trainable_layers)
    model = FasterRCNN(backbone, num_classes, anchors, **{**usual, **options})
    return channels_last(model)
