"""What of course_lib.boxes is compared with torchvision.ops, and at which sizes."""

from functools import partial

import torch
import torchvision.ops as theirs
from torch import Tensor

from benchmarks.measure import Comparison
from course_lib import boxes as ours

IMAGE_SIZE = (600, 800)  # H, W


def comparisons(device: str) -> list[Comparison]:
    rows: list[Comparison] = []

    def add(op: str, size: str, *args: object, **kwargs: object) -> None:
        name = op.split()[0]
        args = tuple(each.to(device) if isinstance(each, Tensor) else each for each in args)
        their_call = partial(getattr(theirs, name), *args, **kwargs)
        our_call = partial(getattr(ours, name), *args, **kwargs)
        # Converted boxes are in pixels, where one step of float32 is 6e-5 at 800.
        atol = 2e-4 if name == "box_convert" else 1e-5
        rows.append(Comparison(op, size, their_call, our_call, atol))

    pairwise = ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou")
    for n in (1000, 3000):
        boxes1, boxes2 = random_boxes(n, seed=1), random_boxes(n, seed=2)
        for op in pairwise:
            add(op, f"{n:,} × {n:,}", boxes1, boxes2)
    for n in (1000, 3000):
        boxes = random_boxes(n, seed=3)
        size = f"{n:,}"
        for in_fmt in ("xyxy", "xywh", "cxcywh"):
            converted = theirs.box_convert(boxes, "xyxy", in_fmt)
            for out_fmt in ("xyxy", "xywh", "cxcywh"):
                add(f"box_convert {in_fmt} → {out_fmt}", size, converted, in_fmt, out_fmt)
        add("box_area", size, boxes)
        add("clip_boxes_to_image", size, boxes, IMAGE_SIZE)
        add("remove_small_boxes", size, boxes, 40.0)
    for n, height, width in ((1000, 100, 100), (3000, 28, 28), (100, 480, 640)):
        masks = random_masks(n, height, width)
        add("masks_to_boxes bool", f"{n:,} × {height} × {width}", masks)
        add("masks_to_boxes uint8", f"{n:,} × {height} × {width}", masks.to(torch.uint8))
    return rows


def random_boxes(n: int, seed: int) -> Tensor:
    """xyxy boxes of 4 to 204 pixels a side, some of them partly outside of IMAGE_SIZE."""
    generator = torch.Generator().manual_seed(seed)
    height, width = IMAGE_SIZE
    corner = torch.rand(n, 2, generator=generator) * torch.tensor([width, height]) - 20
    sides = torch.rand(n, 2, generator=generator) * 200 + 4
    return torch.cat((corner, corner + sides), dim=1)  # [N, 4]


def random_masks(n: int, height: int, width: int) -> Tensor:
    """Filled rectangles, [N, H, W] bool."""
    generator = torch.Generator().manual_seed(4)
    y = torch.rand(n, 2, generator=generator).sort(1).values * height  # [N, 2]
    x = torch.rand(n, 2, generator=generator).sort(1).values * width  # [N, 2]
    rows, columns = torch.arange(height), torch.arange(width)
    inside_y = (rows >= y[:, :1]) & (rows < y[:, 1:])  # [N, H]
    inside_x = (columns >= x[:, :1]) & (columns < x[:, 1:])  # [N, W]
    return inside_y[:, :, None] & inside_x[:, None, :]
