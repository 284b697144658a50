"""What a pooling function is given, checked and brought to one form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from course_lib._checks import check_tensor

Boxes = Num[Tensor, "R 5"] | Sequence[Num[Tensor, "_ 4"]]  # the two call forms of torchvision
Size = int | Sequence[int]


@dataclass(frozen=True)
class Regions:
    """R boxes in cells of the map, not yet clipped, and which image and which map each is on."""

    image: Int64[Tensor, " R"]
    level: Int64[Tensor, " R"]
    xyxy: Float[Tensor, "R 4"]  # float64 where the device has it

    def __len__(self) -> int:
        return len(self.image)

    def size(self, maps: Sequence[Tensor]) -> tuple[Int64[Tensor, " R"], Int64[Tensor, " R"]]:
        """H and W of each region's map."""
        H, W = (torch.tensor([each.shape[axis] for each in maps]) for axis in (2, 3))
        return H.to(self.level)[self.level], W.to(self.level)[self.level]


def regions(input: Tensor, boxes: object, spatial_scale: float | int) -> Regions:
    """The boxes in cells, in float64: where a bin ends must not hang on the seventh digit."""
    check_map(input, "input")
    image, xyxy = split_boxes(boxes, len(input))
    check_device(input, xyxy)
    return Regions(image, torch.zeros_like(image), xyxy.to(exact(input.device)) * spatial_scale)


def split_boxes(boxes: object, B: int) -> tuple[Int64[Tensor, " R"], Num[Tensor, "R 4"]]:
    """Both call forms, to the image of each box and its corners."""
    if isinstance(boxes, Tensor):
        _check_numbers(boxes, "boxes")
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise ValueError(
                "boxes must have shape [R, 5] (image, x1, y1, x2, y2), or be a list of [R, 4] for "
                f"each image, got {list(boxes.shape)}; for one image write [boxes]"
            )
        image, xyxy = boxes[:, 0].detach().long(), boxes[:, 1:]
        if len(boxes) and not 0 <= int(image.min()) <= int(image.max()) < B:
            raise ValueError(
                f"boxes[:, 0] must hold numbers of images, 0 to {B - 1}, got {int(image.min())} "
                f"to {int(image.max())}; input has {B} images"
            )
        return image, xyxy
    if not isinstance(boxes, Sequence):
        got = type(boxes).__name__
        raise TypeError(f"boxes must be a Tensor [R, 5] or a list of Tensors [R, 4], got {got}")
    if len(boxes) != B:
        raise ValueError(
            f"boxes must have an entry for each of the {B} images of input, got {len(boxes)}; an "
            "image without boxes has torch.zeros(0, 4)"
        )
    for i, entry in enumerate(boxes):
        _check_numbers(entry, f"boxes[{i}]")
        if entry.ndim != 2 or entry.shape[1] != 4:
            raise ValueError(f"boxes[{i}] must have shape [R, 4], got {list(entry.shape)}")
    if B == 0:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)
    counts = torch.tensor([len(entry) for entry in boxes])
    image = torch.repeat_interleave(torch.arange(B), counts).to(boxes[0].device)
    return image, torch.cat(list(boxes))


def pair(size: object) -> tuple[int, int]:
    """`output_size` as rows and columns of bins."""
    both = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(both) != 2 or not all(isinstance(n, int) and n >= 1 for n in both):
        raise ValueError(
            f"output_size must be one whole number of bins, or two as (rows, columns), got {size!r}"
        )
    return both[0], both[1]


def check_map(input: Tensor, name: str) -> None:
    check_tensor(input, name)
    if not input.is_floating_point():
        raise TypeError(f"{name} must hold floats, got {input.dtype}; write {name}.float()")
    if input.ndim != 4 or 0 in input.shape[2:]:
        remedy = f"for one map write {name}[None]" if input.ndim == 3 else "give whole maps"
        raise ValueError(f"{name} must have shape [B, C, H, W], got {list(input.shape)}; {remedy}")


def check_device(input: Tensor, boxes: Tensor) -> None:
    if input.device != boxes.device and len(boxes):
        raise ValueError(
            f"input and boxes must be on one device, got {input.device} and {boxes.device}; "
            f"write boxes.to({str(input.device)!r})"
        )


def exact(device: torch.device) -> torch.dtype:
    """float64, except on Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def _check_numbers(boxes: Any, name: str) -> None:
    check_tensor(boxes, name)
    if boxes.dtype == torch.bool or boxes.is_complex():
        raise TypeError(f"{name} must hold floats or integers, got {boxes.dtype}; convert it first")
