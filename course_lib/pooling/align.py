"""RoIAlign: nothing is rounded; a bin is the mean of a few points of the bilinear surface."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from course_lib.kernels import usable
from course_lib.pooling._bands import sampled_band
from course_lib.pooling._regions import Boxes, Regions, Size, exact, pair, regions
from course_lib.pooling._rows import pool_bands


def roi_align(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Float[Tensor, "R C P Q"]:
    """The mean of some points of the bilinear surface in each bin, for each box.

    Args:
        input: feature maps.
        boxes: xyxy in pixels; [R, 5] with the image in front, or a list of [R, 4] for each image.
        output_size: bins in rows and columns; one number for both.
        spatial_scale: cells of the map for each pixel.
        sampling_ratio: points in a bin along each axis; 0 or less for as many as the bin has
            cells, rounded up, which is up to the box.
        aligned: True subtracts the half cell by which the centre of a pixel lies off its corner.
            False is the first implementation's rule, and makes boxes at least one cell long.

    Borders: a point in (-1, 0] counts as 0, so on the far sides; further out the value is 0.
    Inverted or empty boxes: with aligned=False one cell; with True, 0 where the points are counted
        from the box, and points all the same where sampling_ratio says how many.
    Dtype: that of input; half types are computed in float32. The place of the points is computed
        in float64, where torchvision's is in the dtype of the input.
    Gradient: to the input; to the boxes none, as in torchvision. On a GPU several bins add to a
        cell in an order that is chance, unless torch.use_deterministic_algorithms is on.
    Source: He et al., Mask R-CNN, ICCV 2017, section 3; `aligned` is detectron2's.
        torchvision.ops.roi_align, whose loops over bins and points are one sparse product here, and
        on a GPU the kernel of `course_lib.kernels.roi_align`. `roi_align_plain` is the loop.
    """
    found = regions(input, boxes, spatial_scale)
    return align_regions([input], found, pair(output_size), sampling_ratio, aligned)


def align_regions(
    maps: Sequence[Float[Tensor, "B C _ _"]],
    found: Regions,
    bins: tuple[int, int],
    sampling_ratio: int,
    aligned: bool,
) -> Float[Tensor, "R C P Q"]:
    """`roi_align` of checked regions, each on one of several maps."""
    x1, y1, x2, y2 = (found.xyxy.detach() - (0.5 if aligned else 0)).unbind(1)  # [R] each
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    if usable(maps[0]):
        from course_lib.kernels import roi_align as kernel

        if kernel.takes(maps):
            sides = torch.stack((x1, y1, width, height), dim=1)
            return kernel.pool(maps, sides, found.image, found.level, bins, sampling_ratio)
    H, W = found.size(maps)
    if bins[0] == bins[1] and len(found):  # both axes in one go: half as many operations
        starts, lengths, sizes = (torch.cat(each) for each in ((y1, x1), (height, width), (H, W)))
        y, x = sampled_band(starts, lengths, sizes, bins[0], sampling_ratio).halves()
    else:
        y = sampled_band(y1, height, H, bins[0], sampling_ratio)
        x = sampled_band(x1, width, W, bins[1], sampling_ratio)
    return pool_bands(maps, found.image, found.level, y, x)


def roi_align_plain(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Float[Tensor, "R C P Q"]:
    """`roi_align` as one reads it: take the points, sample them, take the mean. Slow."""
    found = regions(input, boxes, spatial_scale)
    P, Q = pair(output_size)
    pooled = input.new_zeros(len(found), input.shape[1], P, Q)
    for r, (b, box) in enumerate(zip(found.image.tolist(), found.xyxy, strict=True)):
        y, x = sample_points(box, (P, Q), 1.0, sampling_ratio, aligned)  # [P, n], [Q, m]
        if y.numel() and x.numel():
            values = bilinear_sample(input[b], y[:, :, None, None], x)  # [C, P, n, Q, m]
            pooled[r] = values.mean(dim=(2, 4))
    return pooled


def sample_points(
    box: Num[Tensor, "4"],
    output_size: Size,
    spatial_scale: float | int = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> tuple[Float[Tensor, "P n"], Float[Tensor, "Q m"]]:
    """Where RoIAlign looks: the y of the points of each row of bins, and the x of each column.

    Shapes: one box xyxy in pixels to [P, n] and [Q, m] in cells, with n and m the sampling_ratio,
        or the length of a bin rounded up. Arguments are those of `roi_align`.
    """
    x1, y1, x2, y2 = (box.to(exact(box.device)) * spatial_scale - (0.5 if aligned else 0)).tolist()
    height, width = y2 - y1, x2 - x1
    if not aligned:
        height, width = max(height, 1.0), max(width, 1.0)
    P, Q = pair(output_size)
    y = bin_points(y1, height, P, sampling_ratio).to(box.device, exact(box.device))
    return y, bin_points(x1, width, Q, sampling_ratio).to(box.device, exact(box.device))


def bin_points(
    start: float | int, length: float | int, bins: int, sampling_ratio: int = -1
) -> Float64[Tensor, "bins n"]:
    """The points of each bin along one axis: each in the middle of one of n equal parts.

    start, length: of the region, in cells.
    sampling_ratio: n; 0 or less for as many as a bin is long, rounded up.
    """
    n = sampling_ratio if sampling_ratio > 0 else max(math.ceil(length / bins), 0)
    step = length / bins / max(n, 1)
    bin_start = start + torch.arange(bins, dtype=torch.float64)[:, None] * (length / bins)
    return bin_start + step / 2 + torch.arange(n, dtype=torch.float64) * step  # [bins, n]


def bilinear_sample(
    map: Float[Tensor, "C H W"], y: Float[Tensor, "*#points"], x: Float[Tensor, "*#points"]
) -> Float[Tensor, "C ..."]:
    """The bilinear surface through the cells of a map, at some points (y and x broadcast).

    A point up to one cell outside of the map has the value of the border, further out 0.
    """
    H, W = map.shape[1:]
    inside = (y >= -1) & (y <= H) & (x >= -1) & (x <= W)
    y, x = y.clamp(0, H - 1), x.clamp(0, W - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=H - 1), (left + 1).clamp(max=W - 1)
    down, across = y - top, x - left  # how far into the cell, 0 to 1
    value = (
        map[:, top, left] * (1 - down) * (1 - across)
        + map[:, top, right] * (1 - down) * across
        + map[:, bottom, left] * down * (1 - across)
        + map[:, bottom, right] * down * across
    )
    return (value * inside).to(map.dtype)
