"""FCOS as a detector: a backbone with a pyramid, two subnets, and the steps around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib._distributed import mean_over_processes
from course_lib.models.backbones import create_backbone
from course_lib.models.detector import (
    Detections,
    Detector,
    Images,
    Target,
    channels_last,
    check_batch,
    inference_options,
    objects_of,
)
from course_lib.models.fcos.heads import FCOSHead, Sides
from course_lib.models.fcos.steps import (
    IGNORED,
    RANGES,
    assign_targets,
    decode,
    fcos_loss,
    grid_locations,
)
from course_lib.models.norms import Norm
from course_lib.models.pyramid import BackboneWithFPN, Grid, check_grid, grids_and_strides
from course_lib.models.resize import Resize


class FCOS(Detector):
    """A class, four sides and a centre-ness from each location of a pyramid.

    ranges: lowest and highest distance in pixels that each level is in charge of.
    radius: of the middle that counts as inside of an object, in strides; None for the whole box.
    alpha, gamma, box_loss: of `fcos_loss`.
    offset: where in its stride a location lies, see `grid_locations`.
    grid: "network" places locations by the network's strides. "image" divides the image's side by
        the map's rows, as torchvision does; its weights have learned with that. They differ where a
        side is no multiple of the coarsest stride.
    prior, head_depth, head_norm, sides: of the two subnets, see `FCOSHead`.
    score_threshold, candidates, nms_threshold, max_detections: of `decode`.
    resize: see `Detector`.
    Source: Tian et al., FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019.
        torchvision.models.detection.FCOS.
    """

    # What the small one learns best with, for `course_lib.engine.FitConfig`.
    recommended: ClassVar[dict[str, Any]] = {"lr": 1e-2, "batch_size": 16}
    class_layers: ClassVar[tuple[str, ...]] = ("head.classification_head.cls_logits",)

    def __init__(
        self,
        backbone: BackboneWithFPN,
        num_classes: int,
        *,
        ranges: Sequence[Sequence[float | int]] = RANGES,
        radius: float | int | None = 1.5,
        alpha: float | int = 0.25,
        gamma: float | int = 2,
        box_loss: Literal["iou", "giou"] = "giou",
        offset: float | int = 0.5,
        grid: Grid = "network",
        prior: float | int = 0.01,
        head_depth: int = 4,
        head_norm: Norm | None = "group",
        sides: Sides = "exp",
        score_threshold: float | int = 0.2,
        candidates: int = 1000,
        nms_threshold: float | int = 0.6,
        max_detections: int = 100,
        resize: Resize | None = None,
    ) -> None:
        super().__init__(num_classes, stride=32, resize=resize)
        check_grid(grid)
        if len(ranges) != len(backbone.strides):
            raise ValueError(
                f"ranges must be {len(backbone.strides)}, one for each level of the backbone, "
                f"got {len(ranges)}"
            )
        self.backbone = backbone
        self.head = FCOSHead(
            backbone.out_channels,
            len(ranges),
            num_classes,
            prior=prior,
            depth=head_depth,
            norm=head_norm,
            sides=sides,
        )
        self.ranges = [(float(low), float(high)) for low, high in ranges]
        self.radius = radius
        self.alpha, self.gamma, self.box_loss = alpha, gamma, box_loss
        self.offset, self.grid = offset, grid
        self.inference = inference_options(
            score_threshold=score_threshold,
            candidates=candidates,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
        """`cls_logits` [B, N, K], `bbox_regression` [B, N, 4] in strides, `bbox_ctrness` [B, N, 1].

        Of all locations, finest level first.
        """
        check_batch(images)
        outputs: dict[str, Tensor] = self.head(self.backbone(images))
        return outputs

    def locations_of(self, size: Sequence[int]) -> list[Float[Tensor, "_ 2"]]:
        """The locations of each level, for images padded to `size` (height, width)."""
        grids, strides = grids_and_strides(size, self.backbone.strides, self.grid)
        return [
            grid_locations(grid, stride, self.offset, device=self.pixel_mean.device)
            for grid, stride in zip(grids, strides, strict=True)
        ]

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The three terms of `fcos_loss`. Crowds are ignored."""
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        outputs = self(batch)
        levels = self.locations_of(batch.shape[-2:])
        locations = torch.cat(levels)  # [N, 2]
        strides = _for_each(levels, self.backbone.strides)  # [N]
        ranges = _for_each(levels, self.ranges)  # [N, 2]
        assigned = [
            assign_targets(locations, strides, ranges, *objects_of(target, IGNORED), self.radius)
            for target in targets
        ]
        classes, sides = (torch.stack(parts) for parts in zip(*assigned, strict=True))
        return fcos_loss(
            outputs["cls_logits"],
            outputs["bbox_regression"],
            outputs["bbox_ctrness"].squeeze(-1),
            classes,
            sides / strides[:, None],
            alpha=self.alpha,
            gamma=self.gamma,
            box_loss=self.box_loss,
            positives=mean_over_processes((classes >= 0).sum()),
        )

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, scores and labels of each image, see `decode`."""
        batch, sizes = self.prepare(images)
        outputs = self(batch)
        levels = self.locations_of(batch.shape[-2:])
        numbers = [len(level) for level in levels]
        pixels = outputs["bbox_regression"] * _for_each(levels, self.backbone.strides)[:, None]
        central = outputs["bbox_ctrness"].squeeze(-1)
        found = [
            decode(
                logits.split(numbers),
                sides.split(numbers),
                centre.split(numbers),
                levels,
                size,
                **self.inference,
            )
            for logits, sides, centre, size in zip(
                outputs["cls_logits"], pixels, central, sizes, strict=True
            )
        ]
        return self.in_own_pixels(images, found, sizes)


def fcos(num_classes: int, *, channels: int = 64, **options: Any) -> FCOS:
    """An FCOS that learns small scenes from nothing in about a minute on two CPU cores.

    Three levels with strides 8, 16 and 32, in charge of distances up to 16, 32 and any number of
    pixels. options: those of `FCOS`.
    """
    backbone = BackboneWithFPN(create_backbone("tiny"), channels, norm="batch")
    options = {
        "ranges": ((0, 16), (16, 32), (32, float("inf"))),
        "head_depth": 1,
        "score_threshold": 0.05,
        **options,
    }
    model = FCOS(backbone, num_classes, **options)
    return channels_last(model)


def fcos_resnet50_fpn(
    num_classes: int = 91, *, norm: Norm = "frozen", trainable_layers: int = 5, **options: Any
) -> FCOS:
    """The full-size network: ResNet-50, P3 to P7, one answer a location. 32,269,600 parameters.

    With 91 classes its state dict has the names and shapes of torchvision's, so that weights
    trained on COCO load; class k is then COCO's category k, and 0 is nobody's.
    norm: of the backbone; "frozen" is for weights of the field, to learn from nothing take "batch"
        or "group".
    trainable_layers: see `ResNet.freeze`; 3 is the habit with ImageNet's weights.
    options: those of `FCOS`. The paper has offset=0.5, grid="network" and sides="exp".
    Source: torchvision.models.detection.fcos_resnet50_fpn.
    """
    body = create_backbone("resnet50", norm)
    body.freeze(trainable_layers)
    backbone = BackboneWithFPN(body, 256, extra="P5")
    usual = {"offset": 0.0, "grid": "image", "sides": "relu", "resize": Resize()}
    return FCOS(backbone, num_classes, **{**usual, **options})


def _for_each(levels: Sequence[Tensor], values: Sequence[Any]) -> Tensor:
    """The value of its level for each location: [N], or [N, …] where values are rows."""
    lengths = torch.tensor([len(level) for level in levels], device=levels[0].device)
    numbers = torch.tensor(values, dtype=torch.float32, device=levels[0].device)
    return numbers.repeat_interleave(lengths, dim=0)
