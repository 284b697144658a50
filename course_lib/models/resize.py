"""The size in which a network wants its images, and the way back to the image's own pixels.

Letters
    N       boxes of one image
    H, W    rows and columns of pixels

Weights of the field have learned from images of about one size. A detector that carries them brings
every image to that size by itself, and answers in the pixels of the image that it was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor
from torch.nn.functional import interpolate

Size = tuple[int, int]


@dataclass(frozen=True)
class Resize:
    """How an image is brought to size: its shorter side to `shorter`, unless the longer one would
    be more than `longer`; or both sides to `fixed` (height, width), whatever becomes of its shape.

    Source: Girshick, Fast R-CNN, ICCV 2015, section 3.2, for the sides; Liu et al., SSD, ECCV 2016,
        for the fixed size. torchvision.models.detection.transform.GeneralizedRCNNTransform.
    """

    shorter: int = 800
    longer: int = 1333
    fixed: Size | None = None

    def __post_init__(self) -> None:
        sides = (self.shorter, self.longer) if self.fixed is None else self.fixed
        if not isinstance(sides, tuple | list) or len(sides) != 2 or min(sides) < 1:
            raise ValueError(f"sides must be two numbers of pixels above 0, got {sides}")

    def size_of(self, size: Sequence[int]) -> Size:
        """What becomes of (height, width): rounded down to whole pixels."""
        if self.fixed is not None:
            return self.fixed
        scale = min(self.shorter / min(size), self.longer / max(size))
        height, width = (max(1, math.floor(side * scale)) for side in size)
        return height, width


def resize_image(image: Float[Tensor, "C _ _"], size: Sequence[int]) -> Float[Tensor, "C _ _"]:
    """The image in another (height, width), bilinear; the very same where it has that size.

    Source: torchvision.models.detection.transform: no smoothing before an image is made smaller.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    bigger: Tensor = interpolate(image[None], list(size), mode="bilinear", align_corners=False)
    return bigger[0]


def resize_masks(masks: Shaped[Tensor, "N _ _"], size: Sequence[int]) -> Shaped[Tensor, "N _ _"]:
    """Masks in another (height, width), each pixel that of its nearest neighbour."""
    if len(masks) == 0:
        return masks.new_zeros(0, *size)
    return interpolate(masks[:, None].float(), list(size), mode="nearest")[:, 0].to(masks.dtype)


def resize_boxes(
    boxes: Num[Tensor, "N 4"], old: Sequence[int], new: Sequence[int]
) -> Float[Tensor, "N 4"]:
    """xyxy boxes of an image of the `old` (height, width) where it has the `new` one.

    Source: torchvision.models.detection.transform.resize_boxes.
    """
    down, across = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([across, down, across, down], dtype=_float(boxes.dtype))


def _float(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32
