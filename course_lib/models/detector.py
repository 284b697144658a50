"""What every detector of the course is to the engine: three methods and a number of classes.

Letters
    B           images of a batch
    N           objects, or detections, of one image
    K           classes
    H, W        rows and columns of pixels

Images are float in 0..1: one tensor [B, 3, H, W], or a list of [3, H, W] of different sizes.
Targets are one dict an image with `boxes` [N, 4] xyxy in pixels and `labels` [N] in 0..K-1; boxes
cover something.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.boxes import clip_boxes_to_image
from course_lib.models.norms import FrozenBatchNorm2d
from course_lib.models.resize import Resize, Size, resize_boxes, resize_image, resize_masks
from course_lib.models.targets import Target, check_targets
from course_lib.models.torchvision_weights import fitting

Images = Float[Tensor, "B 3 H W"] | Sequence[Float[Tensor, "3 _ _"]]
Detections = dict[str, Tensor]
D = TypeVar("D", bound="Detector")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Detector(nn.Module):
    """The contract. `fit`, `evaluate` and `predict` know these methods and no detector by name.

    num_classes: K. Labels are 0..K-1.
    stride: images are padded, at the bottom and on the right, to a multiple of it.
    resize: the size to which images are brought before; None leaves them as they are. Boxes go in
        and come out in the pixels of the image that was given.
    inference: what `detect` goes by, such as the score threshold; to look at and to change:
        `model.inference["score_threshold"] = 0.5`. (YOLO has an attribute for each.)
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    inference: dict[str, Any]
    published_eps: ClassVar[float] = 1e-5  # of frozen BatchNorm, with torchvision's weights
    class_layers: ClassVar[tuple[str, ...]] = ()  # have a row, or some, for each class

    def __init__(
        self,
        num_classes: int,
        *,
        stride: int = 32,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        resize: Resize | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be 1 or more, got {num_classes}")
        if not isinstance(resize, Resize | None):
            raise TypeError(f"resize must be a Resize, such as Resize(320, 533), got {resize!r}")
        self.num_classes = num_classes
        self.stride = stride
        self.resize = resize
        # Not in the state_dict: weights of the field do not bring them.
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @property
    def labels(self) -> range:
        """The labels of objects that it knows."""
        return range(self.num_classes)

    @property
    def num_outputs(self) -> int:
        """The classes of the network."""
        return self.num_classes

    def from_torchvision(
        self: D,
        state_dict: Mapping[str, Tensor],
        *,
        new_classes: bool = False,
        norm_eps: float | None = None,
    ) -> D:
        """Load the weights of torchvision's detector of the same name; the detector itself.

        state_dict: what `torch.load(file, weights_only=True)` gives for torchvision's file.
        new_classes: leave the last layers, which say the classes, as they are, to learn other ones.
        norm_eps: of frozen BatchNorm. By default what torchvision gives its detectors with the
            published weights, 0 or (FCOS) 1e-5. A network that you made with torchvision and
            `weights=None` has 1e-5: the file does not tell. Ours does, see `FrozenBatchNorm2d`.
        Errors: TypeError for what is no state dict; RuntimeError for weights of another detector,
            or of another number of classes. Nothing is loaded then.
        """
        own = self.state_dict()
        given = fitting(state_dict, own, self.class_layers, self.num_outputs, new_classes)
        eps = self.published_eps if norm_eps is None else norm_eps
        frozen = {k: m for k, m in self.named_modules() if isinstance(m, FrozenBatchNorm2d)}
        for name in frozen if eps == 0 else ():
            spread = given[f"{name}.running_var"]
            if not spread.is_meta and not spread.all():
                raise RuntimeError(
                    f"{name} has a variance of 0, and without eps that is a division by 0: these "
                    "are not the published weights; write from_torchvision(..., norm_eps=1e-5)"
                )
        self.load_state_dict(given)
        for module in frozen.values():
            module.eps = eps
        return self

    @abstractmethod
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Any:
        """What the heads say, before anything is decoded."""

    @abstractmethod
    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of the loss by name, [] each; training minimises their sum."""

    @abstractmethod
    def detect(self, images: Images) -> list[Detections]:
        """For each image `boxes` [N, 4] in its own pixels, `scores` [N] and `labels` [N].

        Best first, and no box reaches over the border.
        """

    def prepare(self, images: Images) -> tuple[Float[Tensor, "B 3 _ _"], list[Size]]:
        """The batch that `forward` takes, and (height, width) that each image has in it.

        Normalised, resized and padded. Padding is 0 after normalisation, so it looks like the mean
        colour, as in torchvision.
        """
        sizes = self._sizes(images)
        if self.resize is not None:
            sizes = [self.resize.size_of(size) for size in sizes]
        H, W = (-(-max(side) // self.stride) * self.stride for side in zip(*sizes, strict=True))
        whole = isinstance(images, Tensor) and self.resize is None
        if isinstance(images, Tensor) and whole and images.shape[-2:] == (H, W):
            return (images - self.pixel_mean) / self.pixel_std, sizes
        batch = images[0].new_zeros(len(sizes), 3, H, W)
        for row, image, (height, width) in zip(batch, images, sizes, strict=True):
            normal = (image - self.pixel_mean) / self.pixel_std
            row[:, :height, :width] = resize_image(normal, (height, width))
        return batch, sizes

    def _sizes(self, images: Images) -> list[Size]:
        for image in images:
            if image.ndim != 3 or image.shape[0] != 3:
                raise ValueError(
                    "images must have shape [B, 3, H, W], or be a list of [3, H, W], "
                    f"got an image of shape {list(image.shape)}"
                )
            if not image.is_floating_point():
                raise TypeError(f"images must be float in 0..1, got {image.dtype}; divide by 255")
            if not image.numel():
                raise ValueError(f"images must have pixels, got an image of {list(image.shape)}")
        if not len(images):
            raise ValueError("images must hold at least one image, got none")
        return [(int(image.shape[-2]), int(image.shape[-1])) for image in images]

    def check_targets(self, images: Images, targets: Sequence[Target]) -> None:
        """Refuse targets that no loss can learn from; a subclass may ask for more."""
        check_targets(targets, len(images), self.labels)

    def prepare_targets(
        self, images: Images, targets: Sequence[Target], sizes: Sequence[Size]
    ) -> Sequence[Target]:
        """The targets, checked, in the pixels of the batch and with labels in int64.

        sizes: what `prepare` gave.
        """
        self.check_targets(images, targets)
        targets = [
            target
            if target["labels"].dtype == torch.int64
            else {**target, "labels": target["labels"].long()}
            for target in targets
        ]
        if self.resize is None:
            return targets
        prepared = []
        for image, target, size in zip(images, targets, sizes, strict=True):
            moved = dict(target)
            moved["boxes"] = resize_boxes(target["boxes"], image.shape[-2:], size)
            if "masks" in target:
                moved["masks"] = resize_masks(target["masks"], size)
            prepared.append(moved)
        return prepared

    def in_own_pixels(
        self, images: Images, detections: list[Detections], sizes: Sequence[Size]
    ) -> list[Detections]:
        """Detections found in the batch, with boxes in the pixels of the images as given."""
        if self.resize is not None:
            for image, found, size in zip(images, detections, sizes, strict=True):
                moved = resize_boxes(found["boxes"], size, image.shape[-2:])
                # But for a last digit all of it is inside already.
                found["boxes"] = clip_boxes_to_image(moved, image.shape[-2:])
        return detections


def inference_options(**options: float | int) -> dict[str, Any]:
    """What `detect` goes by, checked.

    Errors: ValueError for a threshold outside of 0..1 and for a number below 0.
    """
    for name, value in options.items():
        if name.endswith("threshold") and not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0..1, got {value}")
        if not value >= 0:
            raise ValueError(f"{name} must be 0 or more, got {value}")
    return options


def check_batch(images: object) -> None:
    """Is it what `forward` takes? Those who come from torchvision give it a list."""
    if not isinstance(images, Tensor) or images.ndim != 4:
        got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(
            f"forward takes one batch [B, 3, H, W] and gives what the heads say, got {got}; for "
            "boxes write detect(images), to train loss(images, targets), and both take lists"
        )


def channels_last(model: D) -> D:
    """The model with the channels of its weights innermost: so convolutions are fastest.

    Maps take the layout of the weights. RetinaNet with ResNet-50 detects a seventh faster on a CPU.
    Sums are rounded otherwise; FCOS and SSD in full size, where that shows most, go without.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def objects_of(target: Target, crowd: int) -> tuple[Tensor, Tensor]:
    """Boxes [N, 4] and labels [N] of a target; those of a crowd have the label `crowd`."""
    labels = target["labels"]
    if "iscrowd" in target:
        labels = labels.masked_fill(target["iscrowd"].bool(), crowd)
    return target["boxes"], labels
