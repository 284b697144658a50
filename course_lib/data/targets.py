"""What a target holds, and the steps that every reader and augmentation needs on it.

A dataset of the course is a map-style `torch.utils.data.Dataset` with `classes`; dataset[i] is a
picture, uint8 [3, H, W], and its target, a dict:

    boxes       float32 [N, 4]      xyxy in pixels, half-open
    labels      int64   [N]         0..K-1, indices into the dataset's `classes`
    image_id    int                 whole number that no other picture of the dataset has
    area        float32 [N]         in square pixels: what counts as small, medium or large
    iscrowd     int64   [N]         1 where one box stands for a crowd that nobody counted
    masks       bool    [N, H, W]
    keypoints   float32 [N, P, 3]   x, y in pixels (the middle of the first is 0.5), and v:
                                    0 unknown (x = y = 0), 1 hidden, 2 visible
    difficult   int64   [N]         VOC's: neither found nor missed in its evaluation
    visible     float32 [N]         painted pictures': the share of the object that is to be seen

A target has the first three; the others where its dataset has them.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

Target = dict[str, Any]
Sample = tuple[UInt8[Tensor, "3 _ _"], Target]

PER_OBJECT = (
    "boxes", "labels", "area", "iscrowd", "masks", "keypoints", "difficult", "visible",
)  # fmt: skip


def pick(target: Mapping[str, Any], keep: Bool[Tensor, " N"]) -> Target:
    """The target with these of its objects only; what is not about single objects stays."""
    rows = keep.nonzero()[:, 0]  # once for all: a mask as index would look for them each time
    if len(rows) == len(keep):
        return dict(target)
    return {
        key: value.index_select(0, rows) if key in PER_OBJECT else value
        for key, value in target.items()
    }


def box_sides(boxes: Float32[Tensor, "N 4"]) -> Float32[Tensor, "N 2"]:
    """Widths and heights."""
    return boxes[:, 2:] - boxes[:, :2]


def check_sample(image: Tensor, target: Mapping[str, Any]) -> None:
    """Errors: TypeError or ValueError that say what a picture or its target lacks."""
    if not isinstance(image, Tensor) or image.dtype != torch.uint8:
        got = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"image must be a uint8 tensor [3, H, W], got {got}")
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"image must have shape [3, H, W], got {list(image.shape)}")
    for key in ("boxes", "labels"):
        if key not in target:
            raise ValueError(f"target must have {key!r}, it has {', '.join(map(repr, target))}")
    N = len(target["boxes"])
    for key in PER_OBJECT:
        if key in target and len(target[key]) != N:
            raise ValueError(
                f"target[{key!r}] must have a row for each of {N} boxes, got {len(target[key])}"
            )
