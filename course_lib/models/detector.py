"""What every detector of the course is to the engine: three methods and a number of classes.

Letters
    B           images of a batch
    N           objects, or detections, of one image
    K           classes
    H, W        rows and columns of pixels

Images are float in 0..1: one tensor [B, 3, H, W], or a list of [3, H, W] of different sizes.
Targets are one dict an image with `boxes` [N, 4] xyxy in pixels and `labels` [N] in 0..K-1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Images = Float[Tensor, "B 3 H W"] | Sequence[Float[Tensor, "3 _ _"]]
Target = Mapping[str, Any]
Detections = dict[str, Tensor]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Detector(nn.Module):
    """The contract. `fit`, `evaluate` and `predict` know these methods and no detector by name.

    num_classes: K. Labels are 0..K-1.
    stride: images are padded, at the bottom and on the right, to a multiple of it.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        stride: int = 32,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be 1 or more, got {num_classes}")
        self.num_classes = num_classes
        self.stride = stride
        # Not in the state_dict: weights of the field do not bring them.
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1), persistent=False)

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

    def prepare(self, images: Images) -> tuple[Float[Tensor, "B 3 _ _"], list[tuple[int, int]]]:
        """The batch that `forward` takes, normalised and padded, and (height, width) of each image.

        Padding is 0 after normalisation, so it looks like the mean colour, as in torchvision.
        """
        for image in images:
            if image.ndim != 3 or image.shape[0] != 3:
                raise ValueError(
                    "images must have shape [B, 3, H, W], or be a list of [3, H, W], "
                    f"got an image of shape {list(image.shape)}"
                )
            if not image.is_floating_point():
                raise TypeError(f"images must be float in 0..1, got {image.dtype}; divide by 255")
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        if not sizes:
            raise ValueError("images must hold at least one image, got none")
        H, W = (-(-max(side) // self.stride) * self.stride for side in zip(*sizes, strict=True))
        if isinstance(images, Tensor) and images.shape[-2:] == (H, W):
            return (images - self.pixel_mean) / self.pixel_std, sizes
        batch = images[0].new_zeros(len(sizes), 3, H, W)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[1], : image.shape[2]] = (image - self.pixel_mean) / self.pixel_std
        return batch, sizes


def objects_of(target: Target, crowd: int) -> tuple[Tensor, Tensor]:
    """Boxes [N, 4] and labels [N] of a target; those of a crowd have the label `crowd`."""
    labels = target["labels"]
    if "iscrowd" in target:
        labels = labels.masked_fill(target["iscrowd"].bool(), crowd)
    return target["boxes"], labels
