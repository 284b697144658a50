"""RoIPool: boxes and bins rounded to whole cells, and the largest cell of each bin."""

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from course_lib._checks import check_boxes
from course_lib.pooling._bands import begins, ragged
from course_lib.pooling._regions import Boxes, Size, exact, pair, regions
from course_lib.pooling._rows import channels, table_of


def roi_pool(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
) -> Float[Tensor, "R C P Q"]:
    """The largest value in each bin of each box, box and bins rounded to whole cells.

    Args:
        input: feature maps.
        boxes: xyxy in pixels; [R, 5] with the image in front, or a list of [R, 4] for each image.
        output_size: bins in rows and columns; one number for both.
        spatial_scale: cells of the map for each pixel.

    Rounding: corners to the nearest cell, halves away from 0; the last cell belongs to the box, so
        that every box has at least one cell along each axis. A bin takes in every cell that it
        touches, so bins overlap. A bin that lies outside of the map is 0.
    Inverted boxes: one cell, at the first corner. A box with a NaN: every bin is 0.
    Gradient: to the largest cell of a bin alone, of equal ones the first by rows; deterministic.
    Source: Girshick, Fast R-CNN, ICCV 2015, section 2.1. torchvision.ops.roi_pool finds where bins
        end with floats: with 7 bins and boxes of 57 cells or more it may take in one row too many,
        as 7 * (57 / 7) comes out above 57. We count in integers. `roi_pool_plain` is the loop.
    """
    found = regions(input, boxes, spatial_scale)
    P, Q = pair(output_size)
    H, W = input.shape[2:]
    x1, y1, x2, y2 = _nearest(found.xyxy.detach()).unbind(1)  # [R] each
    rows, columns = bin_cells(y1, y2, P, H), bin_cells(x1, x2, Q, W)  # [R, P, 2], [R, Q, 2]
    known = ~found.xyxy.isnan().any(1)[:, None, None]  # [R, 1, 1]
    shape = (len(found), P, Q)
    height = ((rows[..., 1] - rows[..., 0])[:, :, None] * known).expand(shape).flatten()
    width = (columns[..., 1] - columns[..., 0])[:, None].expand(shape).flatten()  # [R*P*Q]
    corner = found.image[:, None, None] * (H * W) + rows[..., :1] * W + columns[:, None, :, 0]

    # The cells of all bins, bin by bin, and in each row by row.
    bin, number = ragged(height * width)  # [E] each
    across = width[bin]
    cell = corner.flatten()[bin] + number // across * W + number % across  # [E]
    empty = (height * width == 0).reshape(len(found), 1, P, Q)
    parts = [input.new_zeros(len(found), 0, P, Q)]
    for part in channels(input):
        table = table_of([input[:, part]])  # [B*H*W, c]
        largest = _largest(table.detach(), begins(height * width), cell)  # [R*P*Q, c]
        parts.append(
            table.gather(0, largest).unflatten(0, shape).permute(0, 3, 1, 2).to(input.dtype)
        )
    return torch.cat(parts, dim=1).masked_fill(empty, 0)


def roi_pool_plain(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
) -> Float[Tensor, "R C P Q"]:
    """`roi_pool` as one reads it: cut out the cells of each bin, take the largest. Slow."""
    found = regions(input, boxes, spatial_scale)
    P, Q = pair(output_size)
    H, W = input.shape[2:]
    pooled = input.new_zeros(len(found), input.shape[1], P, Q)
    for r, (b, box) in enumerate(zip(found.image.tolist(), found.xyxy, strict=True)):
        rows, columns = roi_pool_bins(box, (P, Q), (H, W))
        for p, (top, bottom) in enumerate(rows.tolist()):
            for q, (left, right) in enumerate(columns.tolist()):
                if top < bottom and left < right:
                    pooled[r, :, p, q] = input[b, :, top:bottom, left:right].amax((1, 2))
    return pooled


def roi_pool_bins(
    box: Num[Tensor, "4"],
    output_size: Size,
    map_size: tuple[int, int],
    spatial_scale: float | int = 1.0,
) -> tuple[Int64[Tensor, "P 2"], Int64[Tensor, "Q 2"]]:
    """Where RoIPool's bins lie: the rows of each row of bins, and the columns of each column.

    Shapes: one box xyxy in pixels, and the map's (H, W), to [P, 2] and [Q, 2]: the first cell, and
        one past the last. Equal numbers are a bin outside of the map.
    """
    P, Q = pair(output_size)
    corners = _nearest(box.detach().to(exact(box.device)) * spatial_scale)[:, None]  # [4, 1]
    x1, y1, x2, y2 = corners
    return bin_cells(y1, y2, P, map_size[0])[0], bin_cells(x1, x2, Q, map_size[1])[0]


def project_boxes(
    boxes: Num[Tensor, "R 4"], spatial_scale: float | int
) -> tuple[Int64[Tensor, "R 4"], Float[Tensor, "R 4"]]:
    """RoIPool's first rounding: the boxes at whole cells, and how far that moved each side.

    Shapes: [R, 4] xyxy in pixels to the cells of the corners [R, 4], of which the last ones still
        belong to the box, and to the way in pixels of the image [R, 4], to the right and down.
    Rounding: halves away from 0.
    Source: Girshick, Fast R-CNN, ICCV 2015, section 2.1, as in torchvision.ops.roi_pool.
    """
    check_boxes(boxes, "boxes", "[R, 4]")
    here = boxes.detach().to(exact(boxes.device))  # [R, 4]
    cells = _nearest(here * spatial_scale)
    moved = cells / spatial_scale - here
    return cells, moved.to(boxes.dtype if boxes.is_floating_point() else torch.float32)


def bin_cells(
    first: Int64[Tensor, " R"], last: Int64[Tensor, " R"], bins: int, size: int
) -> Int64[Tensor, "R bins 2"]:
    """RoIPool's second rounding: equal parts of the cells first..last, each rounded outwards.

    Shapes: the first and the last cell of each region along one axis, [R] each, to [R, bins, 2]:
        the first cell of each bin, and one past its last, clipped to the `size` cells of the map.
        Equal numbers are a bin outside of the map.
    Inverted regions: one cell, the first.
    """
    length = (last - first + 1).clamp(min=1)[:, None]  # [R, 1]
    p = torch.arange(bins, device=first.device)
    ends = torch.stack((p * length // bins, -(-(p + 1) * length // bins)), dim=2)  # [R, bins, 2]
    return (first[:, None, None] + ends).clamp(0, size)


def _nearest(corners: Float[Tensor, "*R 4"]) -> Int64[Tensor, "*R 4"]:
    """The nearest whole numbers, halves away from 0, as C's round. PyTorch's takes the even one."""
    whole = corners.trunc()
    rounded = whole + corners.sign() * ((corners - whole).abs() >= 0.5)
    return rounded.nan_to_num(0).clamp(-(2**30), 2**30).long()  # no map is as large


def _largest(table: Tensor, begin: Tensor, cell: Tensor) -> Int64[Tensor, "bins c"]:
    """Of each bin, and in each channel, the row of `table` that is the largest."""
    mode = ("sum", "mean", "max").index("max")
    return torch.embedding_bag(table, cell, begin, False, mode)[3]
