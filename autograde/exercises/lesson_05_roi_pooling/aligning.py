"""Exercise 6: roi_align."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_05_roi_pooling import slips
from autograde.exercises.lesson_05_roi_pooling.inputs import H, W, on_image, pixel_boxes, surface
from autograde.exercises.lesson_05_roi_pooling.slips import Corners, align
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[Any, ...]


def _reference(
    input: Tensor,
    boxes: Tensor,
    output_size: Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    return ref.roi_align(input, boxes, output_size, spatial_scale, sampling_ratio, aligned)


def _one(d: Draw, ratio: int, aligned: bool) -> Inputs:
    return surface(d, 1, 1), on_image(pixel_boxes(d, 1), 0), [2, 2], 1 / 16, ratio, aligned


def _several(d: Draw) -> Inputs:
    boxes = on_image(pixel_boxes(d, 3), 1, 0, 1)
    return surface(d, 2, 2), boxes, [2, 2], 1 / 16, 2, True


def _oblong(d: Draw) -> Inputs:
    """A box that is much wider than high, with another number of bins each way."""
    near = 16 * d.numbers(1, 2, low=1, high=2) + d.numbers(1, 2, low=1, high=7)
    box = torch.cat([near, near + torch.tensor([[107.0, 45.0]])], dim=1)
    return surface(d, 1, 1), on_image(box, 0), [2, 3], 1 / 16, -1, True


def _whole_scale(d: Draw) -> Inputs:
    near = d.numbers(1, 2, low=1, high=2)
    box = torch.cat([near, near + d.numbers(1, 2, low=3, high=5)], dim=1)
    return surface(d, 1, 1), on_image(box, 0), [2, 2], 1.0, 1, False


def _tiny(d: Draw, aligned: bool) -> Inputs:
    near = 16 * d.numbers(1, 2, low=1, high=5) + d.numbers(1, 2, low=2, high=5)
    box = torch.cat([near, near + torch.tensor([[6.0, 9.0]])], dim=1)
    return surface(d, 1, 1), on_image(box, 0), [2, 2], 1 / 16, 2, aligned


def _no_width(d: Draw) -> Inputs:
    """A box that is a line, and beside it one that is none."""
    maps, boxes, *rest = _one(d, -1, True)
    line = boxes.clone()
    line[:, 3] = line[:, 1]
    return maps + 1, torch.cat([line, boxes]), *rest


def _partly_outside(d: Draw) -> Inputs:
    """Some points lie on the border, some beyond; none where a rounding error would decide."""
    boxes = torch.tensor([[-58, -42, 38, 54], [W * 16 - 46, H * 16 - 54, W * 16 + 50, H * 16 + 42]])
    boxes = boxes + d.numbers(2, 4, high=1)
    return surface(d, 1, 1) + 1, on_image(boxes.float(), 0, 0), [2, 2], 1 / 16, 2, True


def _none(d: Draw) -> Inputs:
    return surface(d, 1, 2), torch.zeros(0, 5), [2, 3], 1 / 16, 2, True


def _in_double(d: Draw) -> Inputs:
    maps, *rest = _one(d, 2, True)
    return maps.double() / 3, *rest


def _gradient(d: Draw) -> Inputs:
    maps, boxes, *rest = _several(d)
    return maps, boxes.long(), *rest  # whole numbers have no gradient: the maps alone count


def _half_added(box: Corners, scale: float, aligned: bool) -> Corners:
    return [c * scale + 0.5 * aligned for c in box]


def _half_in_pixels(box: Corners, scale: float, aligned: bool) -> Corners:
    return [(c - 0.5 * aligned) * scale for c in box]


def _near_corner_only(box: Corners, scale: float, aligned: bool) -> Corners:
    x1, y1, x2, y2 = (c * scale for c in box)
    return x1 - 0.5 * aligned, y1 - 0.5 * aligned, x2, y2


def _whole_cells(box: Corners, scale: float, aligned: bool) -> Corners:
    return [slips.nearest(c * scale) - 0.5 * aligned for c in box]


def _scale_forgotten(box: Corners, scale: float, aligned: bool) -> Corners:
    return [c - 0.5 * aligned for c in box]


def _far_corner_as_side(box: Corners, scale: float, aligned: bool) -> Corners:
    x1, y1, x2, y2 = (c * scale - 0.5 * aligned for c in box)
    return x1, y1, x1 + x2, y1 + y2


def _turned(aligned: bool | None) -> slips.Pool:
    """As if `aligned` were always this; None for the opposite."""

    def wrong(
        input: Tensor, boxes: Tensor, size: Sequence[int], scale: float, ratio: int, given: bool
    ) -> Tensor:
        return align()(input, boxes, size, scale, ratio, not given if aligned is None else aligned)

    return wrong


def _nearest_cell(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return slips.sampled(feature, (y + 0.5).floor(), (x + 0.5).floor())


def _first_column_kept(
    input: Tensor, boxes: Tensor, size: Sequence[int], scale: float, ratio: int, aligned: bool
) -> Tensor:
    shifted = torch.cat([boxes[:, :1], boxes[:, :4]], dim=1)
    return align()(input, shifted, size, scale, ratio, aligned)


def _from_end_to_end(start: float, length: float, bins: int, n: int) -> Tensor:
    return torch.linspace(start, start + length, bins * n, dtype=torch.float64)


def _mixed_up(values: Tensor) -> Tensor:
    """The points of a bin cut apart in the wrong order: as [n, P] and [m, Q]."""
    C, P, n, Q, m = values.shape
    return values.reshape(C, n, P, m, Q).mean((1, 3))


ROI_ALIGN = Exercise(
    name="roi_align",
    points=2,
    reference=_reference,
    names=("input", "boxes", "output_size", "spatial_scale", "sampling_ratio", "aligned"),
    forbids=("roi_align", "roi_align_plain", "prroi_pool", "prroi_pool_plain"),
    cases=(
        Case("one box, 2 × 2 points in a bin, aligned", lambda d: _one(d, 2, True), core=True),
        Case("the same, not aligned", lambda d: _one(d, 2, False), core=True),
        Case("two images, two channels, three boxes", _several, core=True),
        Case("a point in each bin, map and image of one size", _whole_scale),
        Case("points by the size of the bins", lambda d: _one(d, -1, True)),
        Case("2 rows and 3 columns of bins, points by size", _oblong),
        Case("smaller than a cell, not aligned: one cell", lambda d: _tiny(d, False)),
        Case("smaller than a cell, aligned: as small as it is", lambda d: _tiny(d, True)),
        Case("a box without width, aligned, points by size: 0", _no_width),
        Case("boxes that reach out of the map", _partly_outside),
        Case("no boxes at all", _none),
        Case("float64 stays float64", _in_double, dtype="exact"),
        Case("the gradient reaches the map", _gradient, kind="grad", advice=True),
    ),
    mistakes=(
        Mistake(
            "largest",
            "Each bin holds the largest of its points. RoIAlign takes their mean.",
            align(take=lambda values: values.amax((2, 4))),
        ),
        Mistake(
            "sum",
            "Each bin holds the sum of its points. RoIAlign takes their mean, so that the number "
            "of points does not matter.",
            align(take=lambda values: values.sum((2, 4))),
        ),
        Mistake(
            "first_point",
            "Each bin holds its first point alone. RoIAlign takes the mean of all n · m.",
            align(take=lambda values: values[:, :, 0, :, 0]),
        ),
        Mistake(
            "never_aligned",
            "`aligned` has no effect. If it is True, take half a cell off all four corners, after "
            "the scale.",
            _turned(False),
        ),
        Mistake(
            "always_aligned",
            "The half cell is taken off always. Do it only if `aligned` is True.",
            _turned(True),
        ),
        Mistake(
            "aligned_turned_round",
            "True and False are swapped: with aligned=True the half cell is taken off.",
            _turned(None),
        ),
        Mistake(
            "half_added",
            "The half cell was added. The value of cell 0 stands at 0 here, but its middle lies "
            "half a cell inside of the picture: take 0.5 off.",
            align(place=_half_added),
        ),
        Mistake(
            "half_in_pixels",
            "You took off half a pixel of the image, not half a cell. First multiply by "
            "`spatial_scale`, then subtract 0.5.",
            align(place=_half_in_pixels),
        ),
        Mistake(
            "near_corner_only",
            "Only x1 and y1 were moved by half a cell, so the box has grown. Move both corners.",
            align(place=_near_corner_only),
        ),
        Mistake(
            "rounded",
            "The corners were rounded to whole cells. That is RoIPool: in RoIAlign nothing is ever "
            "rounded.",
            align(place=_whole_cells),
        ),
        Mistake(
            "one_cell_more",
            "The box is one cell too long: that was RoIPool's last cell. Here the length is x2 − "
            "x1.",
            align(side=lambda length, aligned: length + 1),
        ),
        Mistake(
            "no_least_length",
            "A box smaller than a cell stayed so with aligned=False. The first version of RoIAlign "
            "makes each side at least one cell long.",
            align(side=lambda length, aligned: length),
        ),
        Mistake(
            "always_a_cell",
            "A box smaller than a cell became one cell long with aligned=True, too. That belongs "
            "to aligned=False only.",
            align(side=lambda length, aligned: max(length, 1.0)),
        ),
        Mistake(
            "scale_forgotten",
            "Pixels were taken for cells, so the boxes lie far outside of the map. Multiply by "
            "`spatial_scale`: 1/16 for a stride of 16. (Dividing by it takes you even further.)",
            align(place=_scale_forgotten),
        ),
        Mistake(
            "first_image",
            "All boxes were pooled from image 0. The first column of `boxes` says from which one.",
            align(image=lambda b: 0),
        ),
        Mistake(
            "columns_shifted",
            "The number of the image was read as x1, x1 as y1, and so on. A row of `boxes` is "
            "image, x1, y1, x2, y2.",
            _first_column_kept,
        ),
        Mistake(
            "x_for_y",
            "x and y are swapped. The rows of bins go down, from y1 to y2, the columns from x1 to "
            "x2.",
            align(read=slips.rows_first),
        ),
        Mistake(
            "indexing_xy",
            'The meshgrid has its rows along x. `indexing="ij"` keeps y in the rows, so that the '
            "values are [C, P·n, Q·m].",
            align(indexing="xy"),
        ),
        Mistake(
            "yy_xx_swapped",
            "`bilinear_sample` got x for y and y for x. It takes y, the row, first: "
            "`bilinear_sample(input[b], yy, xx)`.",
            align(look=lambda feature, y, x: slips.sampled(feature, x, y)),
        ),
        Mistake(
            "far_corner_as_side",
            "x2 and y2 were taken for width and height, so the box is far too long. The length is "
            "x2 − x1.",
            align(place=_far_corner_as_side),
        ),
        Mistake(
            "shape_of_y_for_x",
            "All is right until there are more points across than down: n was used for both axes. "
            "Cut apart as [C, P, n, Q, m], with m from the points of x.",
            align(same_shape=True),
        ),
        Mistake(
            "squeezed",
            "The numbers are right, but axes of length 1 are gone: [R, C, P, Q] has four of them, "
            "also for one box or one channel. Is there a `squeeze`?",
            align(done=lambda pooled: pooled.squeeze()),
        ),
        Mistake(
            "nearest_cell",
            "Each point took the nearest cell. Look between the cells: `bilinear_sample`.",
            align(look=_nearest_cell),
        ),
        Mistake(
            "from_end_to_end",
            "The points reach from one edge of the box to the other. Each lies in the middle of "
            "its part (exercise 5).",
            align(points=_from_end_to_end),
        ),
        Mistake(
            "ratio_ignored",
            "The number of points follows the size of the bins even where it is given. Hand "
            "`sampling_ratio` on to `bin_points`.",
            align(count=lambda ratio, length, bins: math.ceil(length / bins)),
        ),
        Mistake(
            "two_points",
            "There are 2 points each way where none are asked for. Hand `sampling_ratio` on to "
            "`bin_points`: 0 or less means as many as the bin is long.",
            align(count=lambda ratio, length, bins: ratio if ratio > 0 else 2),
        ),
        Mistake(
            "same_number_both_ways",
            "There are as many points across as down. A wide bin needs more of them across: count "
            "for each axis on its own.",
            align(same_count=True),
        ),
        Mistake(
            "bins_mixed_up",
            "The points went into other bins than their own. [P, n] flattened is P·n, bin by bin: "
            "cut it apart again as P, n, not as n, P.",
            align(take=_mixed_up),
        ),
        Mistake(
            "size_swapped",
            "`output_size` is (rows, columns): P belongs to y, Q to x.",
            align(swap=True),
        ),
        Mistake(
            "turned_round",
            "Rows and columns of the answer are swapped. It is [R, C, P, Q]: P rows of bins from "
            "top to bottom.",
            align(done=lambda pooled: pooled.transpose(2, 3)),
        ),
    ),
    hints=(
        "It goes as `roi_pool` did: `pooled = input.new_zeros(len(boxes), C, P, Q)`, and a loop "
        "over the boxes. Corners: `c * spatial_scale - 0.5 * aligned`.",
        "`height = y2 - y1`, at least 1 if not aligned. Then `y = bin_points(y1, height, P, "
        "sampling_ratio)` is [P, n], and x likewise [Q, m].",
        '`yy, xx = torch.meshgrid(y.flatten(), x.flatten(), indexing="ij")` are all points, and '
        "`bilinear_sample(input[b], yy, xx)` is [C, P·n, Q·m]. `.reshape(C, P, n, Q, m).mean(dim="
        "(2, 4))` is [C, P, Q]. Without points, `values.numel() == 0`, leave the 0.",
    ),
)
