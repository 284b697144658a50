"""From single pictures to a batch."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor


def collate(
    batch: Sequence[tuple[Tensor, dict[str, Any]]],
) -> tuple[Float32[Tensor, "B 3 H W"], list[dict[str, Any]]]:
    """Pictures and targets of a dataset as a detector takes them: `DataLoader(collate_fn=collate)`.

    Shapes: images uint8 [3, h, w] become one float32 [B, 3, H, W] in 0..1, H and W the largest.
        Smaller ones have zeros at the bottom and on the right, so boxes stay where they are.
    Targets: as they are, in a list. Their own sizes are not lost: `target["size"]` is (h, w).
    Errors: TypeError for pictures that are not uint8, ValueError for an empty batch or a picture
        that is not [3, h, w].
    """
    if not batch:
        raise ValueError("batch must hold at least one (image, target), got none")
    images = [image for image, _ in batch]
    for i, image in enumerate(images):
        if image.dtype != torch.uint8:
            raise TypeError(
                f"images of a dataset are uint8, image {i} of the batch is {image.dtype}"
            )
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(
                f"images of a dataset are [3, H, W], image {i} here is {list(image.shape)}"
            )
    sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
    targets = [{**target, "size": size} for (_, target), size in zip(batch, sizes, strict=True)]
    if len(set(sizes)) == 1:
        return torch.stack(images).float().div_(255), targets
    H, W = (max(side) for side in zip(*sizes, strict=True))
    padded = torch.zeros(len(images), 3, H, W)
    for row, image, (h, w) in zip(padded, images, sizes, strict=True):
        torch.div(image, 255, out=row[:, :h, :w])
    return padded, targets
