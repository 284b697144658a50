"""RetinaNet as a detector: a backbone with a pyramid, two subnets, and the steps around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib._distributed import mean_over_processes
from course_lib.anchors import AnchorGenerator
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
from course_lib.models.norms import Norm
from course_lib.models.pyramid import (
    BackboneWithFPN,
    Grid,
    anchors_per_location,
    check_grid,
    grids_and_strides,
)
from course_lib.models.resize import Resize
from course_lib.models.retinanet.heads import RetinaNetHead
from course_lib.models.retinanet.steps import IGNORED, assign_targets, decode, retinanet_loss


class RetinaNet(Detector):
    """Anchors on a pyramid, a class and four deltas for each, focal loss.

    anchors: sizes and ratios of each level that is used, the same number a location at all.
    levels: which of the pyramid's levels are used, (3, 4, 5) or fewer; all by default.
    alpha, gamma: of the focal loss. beta: of smooth L1 on the deltas, 0 for L1.
    prior: π, the probability that every anchor has in the beginning.
    head_depth, head_norm: of the two subnets, see `RetinaNetHead`.
    grid: "network" places anchors by the network's strides. "image" divides the image's side by the
        map's rows, as torchvision does; its weights have learned with that. They differ where a
        side is no multiple of the coarsest stride.
    normalise: "batch" divides the loss by the positive anchors of the batch; "images" that of each
        image by its own, and takes the mean, as torchvision does.
    score_threshold, candidates, nms_threshold, max_detections: of `decode`.
    resize: see `Detector`.
    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
        torchvision.models.detection.RetinaNet.
    """

    # What the small one learns best with, for `course_lib.engine.FitConfig`.
    recommended: ClassVar[dict[str, Any]] = {"lr": 1e-2, "batch_size": 16}
    published_eps: ClassVar[float] = 0.0
    class_layers: ClassVar[tuple[str, ...]] = ("head.classification_head.cls_logits",)

    def __init__(
        self,
        backbone: BackboneWithFPN,
        num_classes: int,
        anchors: AnchorGenerator,
        *,
        levels: Sequence[int] | None = None,
        alpha: float | int = 0.25,
        gamma: float | int = 2,
        beta: float | int = 0.0,
        prior: float | int = 0.01,
        head_depth: int = 4,
        head_norm: Norm | None = None,
        grid: Grid = "network",
        normalise: Literal["batch", "images"] = "batch",
        score_threshold: float | int = 0.05,
        candidates: int = 1000,
        nms_threshold: float | int = 0.5,
        max_detections: int = 300,
        resize: Resize | None = None,
    ) -> None:
        super().__init__(num_classes, stride=32, resize=resize)
        check_grid(grid)
        there = [stride.bit_length() - 1 for stride in backbone.strides]
        self.levels = there if levels is None else list(levels)
        if not self.levels or not set(self.levels) <= set(there):
            raise ValueError(f"levels must be some of {there}, got {self.levels}")
        A = anchors_per_location(anchors, len(self.levels))
        self.backbone = backbone
        self.head = RetinaNetHead(
            backbone.out_channels, A, num_classes, prior=prior, depth=head_depth, norm=head_norm
        )
        self.anchors = anchors
        self.alpha, self.gamma, self.beta = alpha, gamma, beta
        self.grid = grid
        self.normalise = normalise
        self.inference = inference_options(
            score_threshold=score_threshold,
            candidates=candidates,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        )

    def features(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The maps of the levels that are used, finest first."""
        pyramid = self.backbone(images)
        return [pyramid[level - self.backbone.lowest] for level in self.levels]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
        """`cls_logits` [B, N, K] and `bbox_regression` [B, N, 4] of all anchors, finest first."""
        check_batch(images)
        return self.head(self.features(images))

    def grid_of(self, size: Sequence[int]) -> list[Float[Tensor, "_ 4"]]:
        """The anchors of each level, for images padded to `size` (height, width)."""
        grids, strides = grids_and_strides(size, [2**level for level in self.levels], self.grid)
        return self.anchors(grids, strides, device=self.pixel_mean.device)

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """`classification` and `bbox_regression`, see `retinanet_loss`. Crowds are ignored."""
        batch, sizes = self.prepare(images)
        targets = self.prepare_targets(images, targets, sizes)
        outputs = self(batch)
        anchors = torch.cat(self.grid_of(batch.shape[-2:]))  # [N, 4]
        assigned = [assign_targets(anchors, *objects_of(target, IGNORED)) for target in targets]
        said = outputs["cls_logits"], outputs["bbox_regression"]
        focal: dict[str, Any] = {"alpha": self.alpha, "gamma": self.gamma, "beta": self.beta}
        if self.normalise == "images":
            rows = zip(*said, *zip(*assigned, strict=True), strict=True)
            terms = [retinanet_loss(*row, **focal) for row in rows]
            return {name: torch.stack([t[name] for t in terms]).mean() for name in terms[0]}
        classes, deltas = (torch.stack(parts) for parts in zip(*assigned, strict=True))
        positives = mean_over_processes((classes >= 0).sum())
        return retinanet_loss(*said, classes, deltas, **focal, positives=positives)

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        """Boxes, scores and labels of each image, see `decode`."""
        batch, sizes = self.prepare(images)
        outputs = self(batch)
        anchors = self.grid_of(batch.shape[-2:])
        numbers = [len(level) for level in anchors]
        found = [
            decode(logits.split(numbers), deltas.split(numbers), anchors, size, **self.inference)
            for logits, deltas, size in zip(
                outputs["cls_logits"], outputs["bbox_regression"], sizes, strict=True
            )
        ]
        return self.in_own_pixels(images, found, sizes)


def retinanet(
    num_classes: int,
    *,
    levels: Sequence[int] = (3, 4, 5),
    channels: int = 64,
    **options: Any,
) -> RetinaNet:
    """A RetinaNet that learns small scenes from nothing in a minute on two CPU cores.

    Three levels with strides 8, 16 and 32, three anchors a location. options: those of `RetinaNet`.
    """
    backbone = BackboneWithFPN(create_backbone("tiny"), channels, norm="batch")
    sizes = [tuple(2**level * 1.5 * 2 ** (k / 3) for k in range(3)) for level in levels]
    options = {"head_depth": 1, "head_norm": "group", "beta": 0.1, "max_detections": 100, **options}
    anchors = AnchorGenerator(sizes, (1.0,), offset=0.5, layout="detectron2")
    model = RetinaNet(backbone, num_classes, anchors, levels=levels, **options)
    return channels_last(model)


def retinanet_resnet50_fpn(
    num_classes: int = 91,
    *,
    norm: Norm = "frozen",
    trainable_layers: int = 5,
    **options: Any,
) -> RetinaNet:
    """The full-size network: ResNet-50, P3 to P7, nine anchors a location. 34,014,999 parameters.

    With 91 classes its state dict has the names and shapes of torchvision's, so that weights
    trained on COCO load; class k is then COCO's category k, and 0 is nobody's.
    norm: of the backbone; "frozen" is for weights of the field, to learn from nothing take "batch"
        or "group".
    trainable_layers: see `ResNet.freeze`; 3 is the habit with ImageNet's weights.
    options: those of `RetinaNet`.
    Source: torchvision.models.detection.retinanet_resnet50_fpn: P6 from P5, where the paper has C5;
        sizes cut to whole pixels, 32, 40 and 50 at P3 and so on.
    """
    body = create_backbone("resnet50", norm)
    body.freeze(trainable_layers)
    backbone = BackboneWithFPN(body, 256, extra="P5")
    firsts = (32, 64, 128, 256, 512)
    sizes = [(size, int(size * 2 ** (1 / 3)), int(size * 2 ** (2 / 3))) for size in firsts]
    anchors = AnchorGenerator(sizes, (0.5, 1.0, 2.0))
    usual = {"grid": "image", "resize": Resize(), "normalise": "images"}
    model = RetinaNet(backbone, num_classes, anchors, **{**usual, **options})
    return channels_last(model)
