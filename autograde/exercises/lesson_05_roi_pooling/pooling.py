"""Exercise 3: roi_pool."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_05_roi_pooling import slips
from autograde.exercises.lesson_05_roi_pooling.inputs import H, W, features, on_image, pixel_boxes
from autograde.exercises.lesson_05_roi_pooling.slips import pool
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[Any, ...]


def _reference(
    input: Tensor, boxes: Tensor, output_size: Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    return ref.roi_pool(input, boxes, output_size, spatial_scale)


def _whole_cells(d: Draw) -> Inputs:
    near = d.numbers(1, 2, low=1, high=3)
    box = torch.cat([near, near + torch.tensor([[3.0, 5.0]])], dim=1)
    return features(d, 1, 1), on_image(box, 0), [3, 2], 1.0


def _one(d: Draw) -> Inputs:
    return features(d, 1, 1), on_image(pixel_boxes(d, 1), 0), [2, 2], 1 / 16


def _several(d: Draw) -> Inputs:
    return features(d, 2, 2), on_image(pixel_boxes(d, 3), 1, 0, 1), [2, 2], 1 / 16


def _oblong(d: Draw) -> Inputs:
    return features(d, 1, 2), on_image(pixel_boxes(d, 2), 0, 0), [2, 3], 1 / 16


def _half(d: Draw) -> Inputs:
    """Corners half way between two cells, from even ones: the nearest even one is another."""
    near = 2 * d.numbers(1, 2, high=1)
    box = torch.cat([near, near + 4], dim=1) * 8 + 4
    return features(d, 1, 1), on_image(box, 0), [2, 2], 1 / 8


def _below_zero(d: Draw) -> Inputs:
    maps = features(d, 1, 1)
    return maps - maps.max() - 1, on_image(pixel_boxes(d, 1), 0), [2, 2], 1 / 16


def _small(d: Draw) -> Inputs:
    """A box of about one cell in 4 x 4 bins."""
    near = 16 * d.numbers(1, 2, low=1, high=4) + d.numbers(1, 2, low=1, high=6)
    box = torch.cat([near, near + d.numbers(1, 2, low=16, high=17)], dim=1)
    return features(d, 1, 1), on_image(box, 0), [4, 4], 1 / 16


def _partly_outside(d: Draw) -> Inputs:
    """Boxes over the near corner of the map, and over the far one; no bin is wholly outside."""
    near = torch.tensor([[-28.0, -21.0, 52.0, 43.0]]) + d.numbers(1, 4, high=2)
    far = torch.tensor([[W * 16 - 52.0, H * 16 - 55.0, W * 16 + 10.0, H * 16 + 10.0]])
    far = far + d.numbers(1, 4, high=2)
    return features(d, 1, 1), on_image(torch.cat([near, far]), 0, 0), [2, 2], 1 / 16


def _outside(d: Draw) -> Inputs:
    """One box beyond the map, one of which some bins are."""
    beyond = torch.tensor([[W + 2.0, 2, W + 5, 5], [W - 2, 1, W + 6, 5]]) * 16 + 3
    return features(d, 1, 1) + d.integer(1, 5), on_image(beyond, 0, 0), [2, 3], 1 / 16


def _none(d: Draw) -> Inputs:
    return features(d, 1, 2), torch.zeros(0, 5), [2, 3], 1 / 16


def _in_double(d: Draw) -> Inputs:
    maps, *rest = _one(d)
    return maps.double() / 3, *rest


def _gradient(d: Draw) -> Inputs:
    maps, boxes, *rest = _several(d)
    return maps, boxes.long(), *rest  # whole numbers have no gradient: the maps alone count


def _first_column_kept(
    input: Tensor, boxes: Tensor, output_size: Sequence[int], spatial_scale: float
) -> Tensor:
    """The number of the image read as x1, and so on."""
    shifted = torch.cat([boxes[:, :1], boxes[:, :4]], dim=1)
    return pool()(input, shifted, output_size, spatial_scale)


def _all_channels(cells: Tensor) -> Tensor:
    return cells.max().expand(len(cells))


def _whole_box(first: int, last: int, bins: int, size: int) -> slips.Ends:
    return [(max(first, 0), min(last + 1, size))] * bins


def _last_row_of(first: int, last: int, bins: int, size: int) -> slips.Ends:
    """Bins whose far end was taken for a last cell."""
    return [(low, min(high + 1, size)) for low, high in slips.outward_bins(first, last, bins, size)]


def _channel_by_channel(cells: Tensor) -> Tensor:
    return torch.stack([channel.max() for channel in cells])


ROI_POOL = Exercise(
    name="roi_pool",
    points=3,
    reference=_reference,
    names=("input", "boxes", "output_size", "spatial_scale"),
    forbids=("roi_pool", "roi_pool_plain"),
    cases=(
        Case("a box on whole cells, 3 × 2 bins", _whole_cells, core=True),
        Case("a box in pixels, stride 16", _one, core=True),
        Case("two images, two channels, three boxes", _several, core=True),
        Case("2 rows and 3 columns of bins", _oblong),
        Case("corners half way between two cells", _half),
        Case("a map of negative numbers", _below_zero),
        Case("more bins than cells", _small),
        Case("boxes that reach out of the map", _partly_outside),
        Case("bins outside of the map are 0", _outside),
        Case("no boxes at all", _none),
        Case("float64 stays float64", _in_double, dtype="exact"),
        Case("the gradient reaches the map", _gradient, kind="grad", advice=True),
    ),
    mistakes=(
        Mistake(
            "mean",
            "Each bin holds the mean of its cells. RoIPool takes the largest.",
            pool(take=lambda cells: cells.mean((1, 2))),
        ),
        Mistake(
            "sum",
            "Each bin holds the sum of its cells. RoIPool takes the largest.",
            pool(take=lambda cells: cells.sum((1, 2))),
        ),
        Mistake(
            "smallest",
            "Each bin holds the smallest of its cells. RoIPool takes the largest.",
            pool(take=lambda cells: cells.amin((1, 2))),
        ),
        Mistake(
            "first_cell",
            "Each bin holds its first cell. RoIPool takes the largest of all of its cells.",
            pool(take=lambda cells: cells[:, 0, 0]),
        ),
        Mistake(
            "over_channels",
            "All channels hold the same number: the largest of all. Each channel is pooled for "
            "itself: `.amax(dim=(1, 2))` of cells [C, h, w].",
            pool(take=_all_channels),
        ),
        Mistake(
            "first_image",
            "All boxes were pooled from image 0. The first column of `boxes` says from which one.",
            pool(image=lambda b: 0),
        ),
        Mistake(
            "columns_shifted",
            "The number of the image was read as x1, x1 as y1, and so on. A row of `boxes` is "
            "image, x1, y1, x2, y2.",
            _first_column_kept,
        ),
        Mistake(
            "x_for_y",
            "x and y are swapped. x counts columns, and a map is indexed [row, column]: "
            "`input[b, :, y, x]`.",
            pool(read=slips.rows_first),
        ),
        Mistake(
            "scale_forgotten",
            "Pixels were taken for cells, so the boxes lie far outside of the map. Multiply by "
            "`spatial_scale`: 1/16 for a stride of 16. (Dividing by it takes you even further.)",
            pool(scale=lambda s: 1.0),
        ),
        Mistake(
            "rounded_down",
            "The corners were rounded down. RoIPool rounds them to the nearest cell (exercise 1).",
            pool(rounds=math.floor),
        ),
        Mistake(
            "to_even",
            "A corner half way between two cells went to the even one, as `round` and "
            "`torch.round` do. Here halves go up (exercise 1).",
            pool(rounds=round),
        ),
        Mistake(
            "last_left_out",
            "The last row and column of cells are left out. The far corner is the last cell that "
            "belongs to the box, so there is one cell more (exercise 2).",
            pool(cut=slips.short_bins),
        ),
        Mistake(
            "side_by_side",
            "The bins stand side by side. RoIPool's bins overlap: each takes in every cell that it "
            "touches (exercise 2).",
            pool(cut=slips.side_by_side),
        ),
        Mistake(
            "whole_steps",
            "The length of the bins was rounded down, and the rest of the box is lost (exercise "
            "2).",
            pool(cut=slips.whole_steps),
        ),
        Mistake(
            "clipped_first",
            "The box was cut to the map before it was divided into bins. First the bins, then cut "
            "each of them.",
            pool(cut=slips.visible_bins),
        ),
        Mistake(
            "one_cell_more",
            "Each bin has one cell too many. `bin_cells` names the cell after the last one, as a "
            "slice does: `input[b, :, top:bottom, left:right]`.",
            pool(cut=_last_row_of),
        ),
        Mistake(
            "whole_box",
            "Every bin holds the largest cell of the whole box. Look at the cells of its own bin.",
            pool(cut=_whole_box),
        ),
        Mistake(
            "at_least_zero",
            "No number is below 0, as if the maximum began at 0. Take the largest of the bin's own "
            "cells, whatever its sign.",
            pool(take=lambda cells: cells.amax((1, 2)).clamp(min=0)),
        ),
        Mistake(
            "empty_is_infinite",
            "A bin without cells is −infinity, the largest of nothing. Let it be 0: the network "
            "behind it cannot go on with infinities.",
            pool(empty=-math.inf),
        ),
        Mistake(
            "empty_breaks",
            "All is right until a bin has no cells: there is no largest of nothing. Begin with "
            "zeros and fill in only the bins that have cells.",
            pool(guard=False),
        ),
        Mistake(
            "max_of_empty",
            "All is right until a bin has no cells: `.max()` of nothing is an error. Begin with "
            "zeros and fill in only the bins that have cells.",
            pool(take=_channel_by_channel, guard=False),
        ),
        Mistake(
            "bins_crossed",
            "P and Q went to the wrong axes: y is cut into P rows of bins, `bin_cells(y1, y2, P, "
            "H)`, x into Q columns, `bin_cells(x1, x2, Q, W)`.",
            pool(crossed=True),
        ),
        Mistake(
            "slices_swapped",
            "The slices are swapped: a map is indexed [row, column], `input[b, :, top:bottom, "
            "left:right]`.",
            pool(turned_slices=True),
        ),
        Mistake(
            "places_swapped",
            "The numbers went to `pooled[r, :, q, p]`. The row of bins, p, stands before the "
            "column: `pooled[r, :, p, q]`.",
            pool(turned_places=True),
        ),
        Mistake(
            "first_box",
            "Every box got the numbers of the first one's place. `cells[r]` are the corners of box "
            "r, not `cells[0]`.",
            pool(first_box=True),
        ),
        Mistake(
            "squeezed",
            "The numbers are right, but axes of length 1 are gone: [R, C, P, Q] has four of them, "
            "also for one box or one channel. Is there a `squeeze`?",
            pool(done=lambda pooled: pooled.squeeze()),
        ),
        Mistake(
            "size_swapped",
            "`output_size` is (rows, columns): P belongs to y, Q to x.",
            pool(swap=True),
        ),
        Mistake(
            "turned_round",
            "Rows and columns of the answer are swapped: p counts the rows of bins, from top to "
            "bottom, q the columns. The answer is [R, C, P, Q].",
            pool(done=lambda pooled: pooled.transpose(2, 3)),
        ),
        Mistake(
            "channels_last",
            "The channels come last. The answer is [R, C, P, Q].",
            pool(done=lambda pooled: pooled.permute(0, 2, 3, 1)),
        ),
        Mistake(
            "one_row",
            "The numbers are right, in one row for each box. Keep the grid: [R, C, P, Q].",
            pool(done=lambda pooled: pooled.flatten(1)),
        ),
    ),
    hints=(
        "Begin with `pooled = input.new_zeros(len(boxes), C, P, Q)` and fill it: a loop over the "
        "boxes, in it one over the rows of bins, in it one over the columns.",
        "`cells, _ = project_boxes(boxes[:, 1:], spatial_scale)` rounds all boxes at once; "
        "`bin_cells(y1, y2, P, H)` and `bin_cells(x1, x2, Q, W)` give the rows and the columns of "
        "a box's bins. `.int().tolist()` makes plain numbers of them.",
        "The cells of a bin are `input[b, :, top:bottom, left:right]`, with b = int(boxes[r, 0]). "
        "If it has any (`bottom > top and right > left`), their `.amax(dim=(1, 2))` is the answer, "
        "[C].",
    ),
)
