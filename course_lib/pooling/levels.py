"""Which map of a pyramid a box is pooled from, and RoIAlign over the whole pyramid."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor, nn

from course_lib._checks import check_boxes
from course_lib.pooling._regions import Regions, Size, check_map, exact, pair, split_boxes
from course_lib.pooling.align import align_regions


def assign_levels(
    boxes: Num[Tensor, "R 4"],
    k_min: int,
    k_max: int,
    canonical_scale: float | int = 224,
    canonical_level: int = 4,
    eps: float = 1e-6,
) -> Int64[Tensor, " R"]:
    """The level k of the pyramid for each box: twice the side, one level up.

        k = floor(canonical_level + log2(sqrt(w h) / canonical_scale) + eps), within k_min..k_max

    Shapes: [R, 4] xyxy in pixels of the image to [R], in k_min..k_max.
    Empty and inverted boxes: k_min.
    Source: Lin et al., Feature Pyramid Networks, CVPR 2017, equation 1; eps is torchvision's,
        whose LevelMapper counts from k_min.
    """
    check_boxes(boxes, "boxes", "[R, 4]")
    sides = (boxes[:, 2:] - boxes[:, :2]).to(exact(boxes.device)).clamp(min=0)  # [R, 2]
    scale = sides.prod(1).sqrt()  # [R]
    level = (canonical_level + torch.log2(scale / canonical_scale) + eps).floor()  # -inf for 0
    return level.clamp(k_min, k_max).long()


class MultiScaleRoIAlign(nn.Module):
    """RoIAlign of each box on the map of the pyramid that suits its size: see `assign_levels`.

    Args:
        featmap_names: which maps to pool from, finest first; each half as fine as the one before.
        output_size, sampling_ratio: as for `roi_align`; `aligned` is False.
        canonical_scale, canonical_level: as for `assign_levels`.

    The module takes x, the maps by name; boxes, a list of [R, 4] for each image, xyxy in pixels;
    and image_shapes, the (H, W) of each image. It gives [R, C, P, Q], in the order of the boxes.
    Source: torchvision.ops.MultiScaleRoIAlign, which pools level by level and puts the answers
        together. Here all maps are one table of cells, and it is done at once. Boxes without an
        area, for which torchvision's level is undefined if a side is negative, go to the finest.
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: Size,
        sampling_ratio: int,
        *,
        canonical_scale: float | int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = list(featmap_names)
        self.output_size = pair(output_size)
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self,
        x: dict[str, Float[Tensor, "B C _ _"]],
        boxes: Sequence[Num[Tensor, "_ 4"]],
        image_shapes: Sequence[Sequence[int]],
    ) -> Float[Tensor, "R C P Q"]:
        maps = [x[name] for name in self.featmap_names if name in x]
        if not maps:
            raise ValueError(
                f"x must have maps named {', '.join(self.featmap_names)}, got {', '.join(x)}"
            )
        for number, each in enumerate(maps):
            check_map(each, f"map {number} of x")
        image, xyxy = split_boxes(boxes, len(maps[0]))
        scales = [scale_of(each.shape[2], image_shapes) for each in maps]
        k_min = round(-math.log2(scales[0]))
        if scales != [2.0 ** -(k_min + number) for number in range(len(maps))]:
            raise ValueError(
                f"each map of x must be half as fine as the one before, got scales {scales}; are "
                "featmap_names in order, and image_shapes those of the images that x was made from?"
            )
        k_max = k_min + len(maps) - 1
        levels = assign_levels(xyxy, k_min, k_max, self.canonical_scale, self.canonical_level)
        map_number = levels - k_min  # [R]
        scale = torch.tensor(scales, dtype=exact(xyxy.device)).to(xyxy.device)[map_number]  # [R]
        found = Regions(image, map_number, xyxy.to(scale.dtype) * scale[:, None])
        return align_regions(maps, found, self.output_size, self.sampling_ratio, aligned=False)

    def extra_repr(self) -> str:
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}"
        )


def scale_of(rows: int, image_shapes: Sequence[Sequence[int]]) -> float:
    """Cells for each pixel: the power of two next to the map's rows over the highest image's."""
    if not image_shapes:
        raise ValueError("image_shapes must hold (H, W) of each image, got none")
    return 2.0 ** round(math.log2(rows / max(shape[0] for shape in image_shapes)))
