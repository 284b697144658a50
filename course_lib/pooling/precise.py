"""Precise RoI pooling: no points at all, the integral of the bilinear surface over the bin."""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.pooling._bands import integrated_band
from course_lib.pooling._regions import Boxes, Size, pair, regions
from course_lib.pooling._rows import pool_bands


def prroi_pool(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
) -> Float[Tensor, "R C P Q"]:
    """The mean of the bilinear surface over each bin, exactly, for each box.

    Args:
        input: feature maps. Outside of them all values are 0.
        boxes: xyxy in pixels; [R, 5] with the image in front, or a list of [R, 4] for each image.
        output_size: bins in rows and columns; one number for both.
        spatial_scale: cells of the map for each pixel.

    Empty and inverted boxes: 0, and no gradient.
    Dtype: that of input; half types are computed in float32, the weights in float64.
    Gradient: to the input and to the boxes, deterministic.
    Source: Jiang et al., Acquisition of Localization Confidence for Accurate Object Detection,
        ECCV 2018, section 3.3, equations 4 to 7. torchvision has no such function.
    """
    found = regions(input, boxes, spatial_scale)
    P, Q = pair(output_size)
    x1, y1, x2, y2 = found.xyxy.unbind(1)  # [R] each
    empty = (x2 <= x1) | (y2 <= y1)  # [R]
    height, width = ((end - start).masked_fill(empty, 0) for start, end in ((y1, y2), (x1, x2)))
    H, W = found.size([input])
    y = integrated_band(y1, height, H, P)
    x = integrated_band(x1, width, W, Q)
    return pool_bands([input], found.image, found.level, y, x)


def prroi_pool_plain(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
) -> Float[Tensor, "R C P Q"]:
    """`prroi_pool` as one reads it: weights by row times cells times weights by column. Slow."""
    found = regions(input, boxes, spatial_scale)
    (P, Q), (H, W) = pair(output_size), input.shape[2:]
    pooled = input.new_zeros(len(found), input.shape[1], P, Q)
    for r, (b, box) in enumerate(zip(found.image.tolist(), found.xyxy, strict=True)):
        x1, y1, x2, y2 = box
        if x2 > x1 and y2 > y1:
            y = y1 + torch.arange(P + 1, device=box.device) * (y2 - y1) / P  # the ends of the bins
            x = x1 + torch.arange(Q + 1, device=box.device) * (x2 - x1) / Q
            down = hat_integrals(y[:-1], y[1:], H) * P / (y2 - y1)  # [P, H]
            across = hat_integrals(x[:-1], x[1:], W) * Q / (x2 - x1)  # [Q, W]
            values = torch.einsum("ph,chw,qw->cpq", down, input[b].to(down), across)
            pooled[r] = values.to(input.dtype)
    return pooled


def hat_integrals(
    low: Float[Tensor, " P"], high: Float[Tensor, " P"], size: int
) -> Float[Tensor, "P size"]:
    """The integral of the hat of each cell of an axis, from low to high.

    The hat of cell k is max(0, 1 - |x - k|): 1 at the cell, 0 at its neighbours. A bilinear surface
    is a sum of such hats, so this is how much of each cell a stretch of the axis holds.

    Shapes: both ends [P], in cells, to [P, size]. Differentiable in both ends.
    """
    k = torch.arange(size, dtype=low.dtype, device=low.device)
    return _hat_up_to(high[:, None] - k) - _hat_up_to(low[:, None] - k)


def _hat_up_to(x: Tensor) -> Tensor:
    """The integral of the hat of cell 0 up to x, elementwise."""
    t = x.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)
