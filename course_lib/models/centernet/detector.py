"""CenterNet as a detector: a network with one fine map, three heads, and the steps around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib._distributed import mean_over_processes
from course_lib.losses import prior_bias
from course_lib.models.backbones import create_backbone
from course_lib.models.centernet.networks import STRIDE, HourglassNetwork, Upsampled
from course_lib.models.centernet.steps import (
    IGNORED,
    Targets,
    centernet_loss,
    decode,
    encode_targets,
)
from course_lib.models.detector import (
    Detections,
    Detector,
    Images,
    Target,
    channels_last,
    check_batch,
    inference_options,
)
from course_lib.models.norms import Norm


def head(channels: int, wanted: int, width: int, bias: float) -> nn.Sequential:
    """3 x 3, ReLU, 1 x 1: to `wanted` numbers at every location."""
    first, last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, wanted, 1)
    for conv in (first, last):
        nn.init.normal_(conv.weight, std=0.01 if conv is last else (2 / (9 * width)) ** 0.5)
        nn.init.constant_(conv.bias, bias if conv is last else 0.0)  # type: ignore[arg-type]
    return nn.Sequential(first, nn.ReLU(inplace=True), last)


class CenterNet(Detector):
    """A heatmap for each class, a size and an offset at every location of one fine map.

    network: takes images [B, 3, H, W], answers [B, C, H / 4, W / 4], and has `out_channels` C.
    min_overlap, published_radius: of the Gaussians, see `gaussian_radius`.
    alpha, beta, lambda_size, lambda_offset: of `centernet_loss`.
    prior: the probability that every location has in the beginning.
    head_width: channels inside of each head.
    flip_test: at inference look at the mirrored image, too, and take the mean of both heatmaps and
        sizes; costs twice the time.
    max_detections, score_threshold: of `decode`.
    Source: Zhou et al., Objects as Points, arXiv 1904.07850, 2019.
    """

    # What the small one learns best with, for `course_lib.engine.FitConfig`.
    recommended: ClassVar[dict[str, Any]] = {"lr": 4e-3, "batch_size": 16}

    def __init__(
        self,
        network: Upsampled | HourglassNetwork,
        num_classes: int,
        *,
        min_overlap: float | int = 0.7,
        published_radius: bool = False,
        alpha: float | int = 2,
        beta: float | int = 4,
        lambda_size: float | int = 0.1,
        lambda_offset: float | int = 1.0,
        prior: float | int = 0.1,
        head_width: int = 64,
        flip_test: bool = False,
        max_detections: int = 100,
        score_threshold: float | int = 0.01,
    ) -> None:
        super().__init__(num_classes, stride=32)
        channels = network.out_channels
        self.network = network
        self.heatmap = head(channels, num_classes, head_width, prior_bias(prior))
        self.size = head(channels, 2, head_width, 0.0)
        self.offset = head(channels, 2, head_width, 0.5)
        self.min_overlap, self.published_radius = min_overlap, published_radius
        self.weights: dict[str, Any] = {
            "alpha": alpha,
            "beta": beta,
            "lambda_size": lambda_size,
            "lambda_offset": lambda_offset,
        }
        self.flip_test = flip_test
        self.inference = inference_options(
            max_detections=max_detections,
            score_threshold=score_threshold,
        )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
        """`heatmap` [B, K, H / 4, W / 4], logits; `size` and `offset` [B, 2, H / 4, W / 4]."""
        check_batch(images)
        x = self.network(images)
        return {"heatmap": self.heatmap(x), "size": self.size(x), "offset": self.offset(x)}

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The three terms of `centernet_loss`. Where a crowd is, its class learns nothing."""
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        outputs = self(batch)
        H, W = outputs["heatmap"].shape[-2:]
        wanted = [self._wanted(target, (H, W)) for target in targets]
        count = sum(len(target.places) for target in wanted)
        return centernet_loss(
            outputs["heatmap"],
            outputs["size"],
            outputs["offset"],
            wanted,
            objects=mean_over_processes(torch.tensor(count, device=batch.device)),
            **self.weights,
        )

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, scores and labels of each image, see `decode`."""
        batch, sizes = self.prepare(images)
        said = self._said(batch)
        if self.flip_test:
            # Mirrored within its own width: padding stays on the right.
            mirrored = self._said(_mirror(batch, [width for _, width in sizes]))
            widths = [-(-width // STRIDE) for _, width in sizes]
            for name in ("heatmap", "size"):  # an offset does not mirror
                said[name] = (said[name] + _mirror(mirrored[name], widths)) / 2
        return [
            decode(heatmap, size, offset, STRIDE, image_size, **self.inference)
            for heatmap, size, offset, image_size in zip(
                said["heatmap"], said["size"], said["offset"], sizes, strict=True
            )
        ]

    def _said(self, batch: Tensor) -> dict[str, Tensor]:
        """The outputs with the heatmap as probabilities, in float32 at least."""
        outputs = {
            name: x.to(torch.promote_types(x.dtype, torch.float32))
            for name, x in self(batch).items()
        }
        return outputs | {"heatmap": outputs["heatmap"].sigmoid()}

    def _wanted(self, target: Target, size: tuple[int, int]) -> Targets:
        boxes, labels = target["boxes"], target["labels"]
        crowd = torch.zeros_like(labels, dtype=torch.bool)
        if "iscrowd" in target:
            crowd = target["iscrowd"].bool()
        wanted = encode_targets(
            boxes[~crowd],
            labels[~crowd],
            size,
            STRIDE,
            self.num_classes,
            self.min_overlap,
            self.published_radius,
        )
        for box, label in zip(
            (boxes[crowd] / STRIDE).round().int().tolist(), labels[crowd].tolist(), strict=True
        ):
            x1, y1, x2, y2 = box
            region = wanted.heatmap[label, y1:y2, x1:x2]
            region[region == 0] = IGNORED
        return wanted


def _mirror(maps: Tensor, widths: Sequence[int]) -> Tensor:
    """Each of the maps [B, C, H, W] mirrored left to right within its first `widths[b]` columns."""
    mirrored = maps.clone()
    for row, source, width in zip(mirrored, maps, widths, strict=True):
        row[..., :width] = source[..., :width].flip(-1)
    return mirrored


def centernet(
    num_classes: int, *, channels: Sequence[int] = (32, 48, 96, 128), **options: Any
) -> CenterNet:
    """A CenterNet that learns small scenes from nothing in about a minute on two CPU cores.

    One small hourglass. channels: of its sizes, strides 4, 8, 16 and 32. options: those of
    `CenterNet`.
    """
    options = {"head_width": 32, **options}
    model = CenterNet(HourglassNetwork(tuple(channels)), num_classes, **options)
    return channels_last(model)


def centernet_resnet18(num_classes: int = 80, *, norm: Norm = "batch", **options: Any) -> CenterNet:
    """ResNet-18 with three transposed convolutions, the paper's fastest network in full size."""
    return CenterNet(Upsampled(create_backbone("resnet18", norm)), num_classes, **options)


def centernet_resnet101(
    num_classes: int = 80, *, norm: Norm = "batch", **options: Any
) -> CenterNet:
    """ResNet-101 with three transposed convolutions."""
    return CenterNet(Upsampled(create_backbone("resnet101", norm)), num_classes, **options)
