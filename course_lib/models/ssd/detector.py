"""SSD as a detector: backbone, heads, and the steps around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib._distributed import mean_over_processes
from course_lib.anchors import SSD300, DefaultBoxLayout, default_boxes
from course_lib.models.background import DetectorWithBackground
from course_lib.models.detector import Detections, Images, Target, check_batch, inference_options
from course_lib.models.resize import Resize
from course_lib.models.ssd.networks import SSDFeatureExtractorVGG, SSDHead
from course_lib.models.ssd.steps import assign_targets, decode, ssd_loss

# Of torchvision's weights: the mean colour of ImageNet, and pixels left in 0..255.
VGG_MEAN = (0.48235, 0.45882, 0.40784)
VGG_STD = (1 / 255, 1 / 255, 1 / 255)


class SSD(DetectorWithBackground):
    """Default boxes on several maps, a class and four deltas for each, softmax.

    backbone: an image to maps, with `channels` of each.
    num_classes, background_is_0: see `DetectorWithBackground`.
    layout: the size of the image and its default boxes, such as `course_lib.anchors.SSD300`. Images
        are brought to that size, whatever becomes of their shape.
    negatives: for each positive, in the loss.
    score_threshold, candidates, nms_threshold, max_detections: of `decode`.
    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.
        torchvision.models.detection.SSD.
    """

    class_layers: ClassVar[tuple[str, ...]] = ("head.classification_head",)
    anchors: Tensor

    def __init__(
        self,
        backbone: SSDFeatureExtractorVGG,
        num_classes: int,
        layout: DefaultBoxLayout = SSD300,
        *,
        background_is_0: bool = False,
        negatives: float | int = 3,
        score_threshold: float | int = 0.01,
        candidates: int = 400,
        nms_threshold: float | int = 0.45,
        max_detections: int = 200,
    ) -> None:
        resize = Resize(fixed=layout.size)
        super().__init__(
            num_classes,
            background_is_0=background_is_0,
            stride=1,
            mean=VGG_MEAN,
            std=VGG_STD,
            resize=resize,
        )
        self.backbone = backbone
        per_location = [2 + 2 * len(ratios) for ratios in layout.aspect_ratios]
        self.head = SSDHead(backbone.channels, per_location, self.num_outputs)
        self.register_buffer("anchors", default_boxes(*layout), persistent=False)
        self.negatives = negatives
        self.inference = inference_options(
            score_threshold=score_threshold,
            candidates=candidates,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
        """`cls_logits` [B, N, K] and `bbox_regression` [B, N, 4] of all default boxes."""
        check_batch(images)
        outputs: dict[str, Tensor] = self.head(self.backbone(images))
        return outputs

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """`classification` and `bbox_regression`, see `ssd_loss`. Crowds are ignored."""
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        outputs = self(batch)
        assigned = [assign_targets(self.anchors, *self.objects(target)) for target in targets]
        classes, deltas = (torch.stack(parts) for parts in zip(*assigned, strict=True))
        return ssd_loss(
            outputs["cls_logits"],
            outputs["bbox_regression"],
            classes,
            deltas,
            negatives=self.negatives,
            positives=mean_over_processes((classes > 0).sum()),
        )

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, scores and labels of each image, see `decode`."""
        batch, sizes = self.prepare(images)
        outputs = self(batch)
        found = [
            decode(logits, deltas, self.anchors, size, **self.inference)
            for logits, deltas, size in zip(
                outputs["cls_logits"], outputs["bbox_regression"], sizes, strict=True
            )
        ]
        return self.in_own_pixels(images, found, sizes)


def ssd300_vgg16(num_classes: int = 91, *, trainable_layers: int = 5, **options: Any) -> SSD:
    """The full-size network: VGG-16, images of 300 x 300, 8,732 default boxes. 35,641,826 weights.

    num_classes: background included, which is class 0. With 91 classes weights trained on COCO
        load, see `course_lib.models.torchvision_weights`.
    trainable_layers: how many of VGG's five parts learn, from the last one; 4 is the habit with
        ImageNet's weights.
    options: those of `SSD`.
    Source: torchvision.models.detection.ssd300_vgg16.
    """
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"trainable_layers must lie in 0..5, got {trainable_layers}")
    backbone = SSDFeatureExtractorVGG()
    parts: list[list[nn.Module]] = [[]]
    for layer in (*backbone.features, *[*backbone.extra[0].children()][:-1]):
        if isinstance(layer, nn.MaxPool2d):
            parts.append([])
        parts[-1].append(layer)
    for part in parts[: 5 - trainable_layers]:
        for layer in part:
            layer.requires_grad_(False)
    return SSD(backbone, num_classes, **{"background_is_0": True, **options})
