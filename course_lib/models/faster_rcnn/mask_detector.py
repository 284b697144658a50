"""Mask R-CNN as a detector: Faster R-CNN with a third head, which draws what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from course_lib.anchors import AnchorGenerator
from course_lib.models.detector import Detections, Images, Target, channels_last
from course_lib.models.faster_rcnn.detector import (
    FasterRCNN,
    Maps,
    Sampled,
    full_size,
    named,
)
from course_lib.models.faster_rcnn.heads import MaskRoIHeads
from course_lib.models.faster_rcnn.masks import mask_loss, mask_targets, paste_masks
from course_lib.models.norms import Norm
from course_lib.models.pyramid import BackboneWithFPN
from course_lib.models.resize import Size
from course_lib.models.targets import check_target_masks


class MaskRCNN(FasterRCNN):
    """Faster R-CNN, and for each detection a mask.

    Targets hold `masks` [M, H, W] as well, 0 or 1, in the pixels of the image. Detections have
    `masks` [N, 1, H, W], the probability of each pixel of the image, as in torchvision; 0.5 is the
    usual threshold.
    mask_pooled: rows and columns that a proposal is pooled to; its mask has twice as many.
    options: those of `FasterRCNN`.
    Source: He et al., Mask R-CNN, ICCV 2017. torchvision.models.detection.MaskRCNN.
    """

    class_layers: ClassVar[tuple[str, ...]] = (
        "roi_heads.box_predictor",
        "roi_heads.mask_predictor.mask_fcn_logits",
    )
    roi_heads: MaskRoIHeads

    def __init__(
        self,
        backbone: BackboneWithFPN,
        num_classes: int,
        anchors: AnchorGenerator,
        *,
        mask_pooled: int = 14,
        **options: Any,
    ) -> None:
        self.mask_pooled = mask_pooled
        super().__init__(backbone, num_classes, anchors, **options)

    def heads(self, levels: list[str], pooled: int, width: int) -> MaskRoIHeads:
        """The second stage, with masks."""
        channels, outputs = self.backbone.out_channels, self.num_outputs
        return MaskRoIHeads(channels, levels, pooled, width, outputs, self.mask_pooled)

    def check_targets(self, images: Images, targets: Sequence[Target]) -> None:
        """As `Detector` does, and the masks, too."""
        super().check_targets(images, targets)
        check_target_masks(targets, [(image.shape[-2], image.shape[-1]) for image in images])

    def mask_logits(self, maps: Maps, boxes: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        """One small mask for each class of each box: logits [R, K, S, S]."""
        return self.roi_heads.masks(named(maps), list(boxes), sizes)

    def further_loss(
        self, maps: Maps, sampled: list[Sampled], targets: Sequence[Target], sizes: Sequence[Size]
    ) -> dict[str, Tensor]:
        """`mask`: see `mask_loss`, of the proposals that answer for an object."""
        positive = [(each.classes > 0).nonzero().squeeze(1) for each in sampled]
        boxes = [each.proposals[k] for each, k in zip(sampled, positive, strict=True)]
        classes = [each.classes[k] for each, k in zip(sampled, positive, strict=True)]
        objects = [each.objects[k] for each, k in zip(sampled, positive, strict=True)]
        logits = self.mask_logits(maps, boxes, sizes)
        side = logits.shape[-1]
        wanted = [
            mask_targets(target["masks"], own, which, side)
            if len(which)
            else own.new_zeros(0, side, side)
            for target, own, which in zip(targets, boxes, objects, strict=True)
        ]
        return {"mask": mask_loss(logits, torch.cat(classes), torch.cat(wanted))}

    def add_to(self, found: list[Detections], maps: Maps, sizes: Sequence[Size]) -> None:
        """The small mask of each detection, [N, S, S], as probabilities."""
        logits = self.mask_logits(maps, [each["boxes"] for each in found], sizes)
        wide = torch.promote_types(logits.dtype, torch.float32)
        for each, own in zip(found, logits.split([len(e["boxes"]) for e in found]), strict=True):
            rows = torch.arange(len(own), device=own.device)
            each["masks"] = own[rows, each["labels"]].to(wide).sigmoid()

    def in_own_pixels(
        self, images: Images, detections: list[Detections], sizes: Sequence[Size]
    ) -> list[Detections]:
        """Boxes in the pixels of the images as given, and the masks painted there."""
        for image, each in zip(
            images, super().in_own_pixels(images, detections, sizes), strict=True
        ):
            each["masks"] = paste_masks(each["masks"], each["boxes"], image.shape[-2:])[:, None]
        return detections


def maskrcnn_resnet50_fpn(
    num_classes: int = 91, *, norm: Norm = "frozen", trainable_layers: int = 5, **options: Any
) -> MaskRCNN:
    """The full-size network: `fasterrcnn_resnet50_fpn` and masks of 28 x 28. 44,401,393 parameters.

    num_classes, norm, trainable_layers: see there. options: those of `MaskRCNN`.
    Source: torchvision.models.detection.maskrcnn_resnet50_fpn.
    """
    backbone, anchors, usual = full_size(norm, trainable_layers)
    return channels_last(MaskRCNN(backbone, num_classes, anchors, **{**usual, **options}))
