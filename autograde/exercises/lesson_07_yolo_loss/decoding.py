"""Exercise 2: decode_grid."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_07_yolo_loss.slips import (
    as_xyxy,
    columns_and_rows,
    shared_by_predictors,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import yolo as ref

Inputs = tuple[Tensor, list[float]]


def _reference(boxes: Tensor, size: list[float]) -> Tensor:
    return ref.decode_grid(boxes, (size[0], size[1]))


def _said(d: Draw, S: int, A: int, size: tuple[float, float] = (128, 128)) -> Inputs:
    """Boxes inside of their cells: x, y in sixteenths, roots in eighths, w never h."""
    xy = d.numbers(S, S, A, 2, low=1, high=15) / 16
    w, h = d.numbers(S, S, A, low=1, high=3) / 8, d.numbers(S, S, A, low=4, high=7) / 8
    return torch.cat([xy, torch.stack([w, h], dim=-1)], dim=-1), list(size)


def _negative(d: Draw) -> Inputs:
    """Each box has a root below 0, in turn √w, √h and both."""
    boxes, size = _said(d, 3, 2)
    sign = torch.tensor([[-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    boxes[..., 2:] *= sign[torch.arange(18).reshape(3, 3, 2) % 3]
    return boxes, size


def _outside(d: Draw) -> Inputs:
    """Centres that left their cells, as before anything is learned."""
    boxes, size = _said(d, 2, 2)
    boxes[..., :2] = boxes[..., :2] * 2 + torch.tensor([-2.0, 1.0])
    return boxes, size


def _shares(d: Draw) -> Inputs:
    return _said(d, 4, 1)[0], [1.0, 1.0]


Grid = Callable[[Tensor], tuple[Tensor, Tensor]]
Point = Callable[[Tensor, Tensor, float, int], Tensor]  # of x, column, W and S


def _point(x: Tensor, index: Tensor, side: float, S: int) -> Tensor:
    return (index + x) / S * side


def decode(
    grid: Grid = columns_and_rows,
    point: Point = _point,
    length: Callable[[Tensor, float, int], Tensor] = lambda root, side, S: root**2 * side,
    corners: Callable[..., Tensor] = as_xyxy,
    tall: Callable[[list[float]], tuple[float, float]] = lambda size: (size[0], size[1]),
) -> Callable[[Tensor, list[float]], Tensor]:
    """decode_grid with one step replaced."""

    def wrong(boxes: Tensor, size: list[float]) -> Tensor:
        S = boxes.shape[-3]
        (H, W), (column, row) = tall(size), grid(boxes)
        x, y, root_w, root_h = boxes.unbind(-1)
        return corners(
            point(x, column, W, S), point(y, row, H, S), length(root_w, W, S), length(root_h, H, S)
        )

    return wrong


def _turned(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return columns_and_rows(boxes)[::-1]


def _from_one(boxes: Tensor) -> tuple[Tensor, Tensor]:
    column, row = columns_and_rows(boxes)
    return column + 1, row + 1


DECODE_GRID = Exercise(
    name="decode_grid",
    points=2,
    reference=_reference,
    names=("boxes", "size"),
    forbids=("decode_grid", "who_answers", "grid_candidates"),
    rows=True,
    cases=(
        Case("one predictor in 3 x 3 cells", lambda d: _said(d, 3, 1), core=True),
        Case("two predictors a cell", lambda d: _said(d, 3, 2), core=True),
        Case("an image that is wider than high", lambda d: _said(d, 2, 2, (96, 160)), core=True),
        Case("as many predictors as cells on a side", lambda d: _said(d, 3, 3)),
        Case("one cell for the whole image", lambda d: _said(d, 1, 2)),
        Case("7 x 7 cells on 448 pixels, as in the paper", lambda d: _said(d, 7, 1, (448, 448))),
        Case("roots below 0: the same boxes as above 0", _negative),
        Case("centres that left their cells", _outside),
        Case("size (1, 1): shares of the image", _shares),
        Case(
            "float64 stays float64",
            lambda d: (_said(d, 2, 2)[0].double() / 3, [128, 128]),
            dtype="exact",
        ),
    ),
    mistakes=(
        Mistake(
            "cell_forgotten",
            "All centres are in the upper left cell: the number of the cell is not added. Column "
            "plus x, row plus y, then divided by S.",
            decode(point=lambda x, index, side, S: x / S * side),
        ),
        Mistake(
            "share_of_the_image",
            "x and y were taken for shares of the image. They say where in its cell the centre "
            "lies: add the cell's number and divide by S.",
            decode(point=lambda x, index, side, S: x * side),
        ),
        Mistake(
            "not_divided",
            "Cell number plus x counts cells, and you multiplied by the whole image's side. Divide "
            "by S first.",
            decode(point=lambda x, index, side, S: (index + x) * side),
        ),
        Mistake(
            "offset_not_divided",
            "Only the cell's number was divided by S. x is a share of a cell, too: add first, then "
            "divide.",
            decode(point=lambda x, index, side, S: (index / S + x) * side),
        ),
        Mistake(
            "cell_not_scaled",
            "The cell's number is added as if it were pixels. Add it to x first, then turn cells "
            "into pixels.",
            decode(point=lambda x, index, side, S: index + x / S * side),
        ),
        Mistake(
            "still_in_cells",
            "The centres still count cells, the sides are pixels. Divide by S and multiply by the "
            "image's side.",
            decode(point=lambda x, index, side, S: index + x),
        ),
        Mistake(
            "offset_unused",
            "All centres are on the upper left corners of their cells: x and y are not used.",
            decode(point=lambda x, index, side, S: index / S * side + 0 * x),
        ),
        Mistake(
            "from_the_middle",
            "Everything lies half a cell too far to the right and down. x is 0 at the left edge of "
            "the cell, not in its middle.",
            decode(point=lambda x, index, side, S: (index + x + 0.5) / S * side),
        ),
        Mistake(
            "turned",
            "Rows and columns are swapped. `boxes[row, column]`: the column goes with x, the row "
            "with y.",
            decode(grid=_turned),
        ),
        Mistake(
            "shared_by_predictors",
            "The cell's number is counted along the wrong axis. `boxes` is [S, S, A, 4]: rows "
            "first, then columns, then predictors, which share their cell.",
            decode(grid=shared_by_predictors),
        ),
        Mistake(
            "from_one",
            "Everything lies one cell too far to the right and down. Cells are counted from 0.",
            decode(grid=_from_one),
        ),
        Mistake(
            "not_squared",
            "The roots were taken for w and h themselves. Square them.",
            decode(length=lambda root, side, S: root.abs() * side),
        ),
        Mistake(
            "not_squared_below_0",
            "The roots were taken for w and h themselves, so that some sides are negative. Square "
            "them.",
            decode(length=lambda root, side, S: root * side),
        ),
        Mistake(
            "root_of_a_root",
            "Another root was taken. The network's number is √w: square it.",
            decode(length=lambda root, side, S: root.abs().sqrt() * side),
        ),
        Mistake(
            "cut_below_0",
            "A root below 0 became 0, and the box vanished. Its square is as good as any: square "
            "it as it is.",
            decode(length=lambda root, side, S: root.clamp(min=0) ** 2 * side),
        ),
        Mistake(
            "sign_kept",
            "A root below 0 made a side below 0: the sign was put back. A square has none.",
            decode(length=lambda root, side, S: root * root.abs() * side),
        ),
        Mistake(
            "squared_with_the_side",
            "The image's side was squared, too. Square the root, then multiply.",
            decode(length=lambda root, side, S: (root * side) ** 2),
        ),
        Mistake(
            "sides_of_the_cell",
            "w and h were taken for shares of the cell. They are shares of the whole image: "
            "multiply by its sides, not by the cell's.",
            decode(length=lambda root, side, S: root**2 * side / S),
        ),
        Mistake(
            "as_cxcywh",
            "This is centre and size. Corners are asked for: centre minus half of the size, centre "
            "plus half of it.",
            decode(corners=lambda cx, cy, w, h: torch.stack([cx, cy, w, h], dim=-1)),
        ),
        Mistake(
            "as_xywh",
            "This is corner and size. Both corners are asked for.",
            decode(
                corners=lambda cx, cy, w, h: torch.stack([cx - w / 2, cy - h / 2, w, h], dim=-1)
            ),
        ),
        Mistake(
            "corner_for_centre",
            "The centre became the upper left corner. It is in the middle: go half of w and h to "
            "each side.",
            decode(corners=lambda cx, cy, w, h: torch.stack([cx, cy, cx + w, cy + h], dim=-1)),
        ),
        Mistake(
            "twice_as_large",
            "The boxes are twice as wide and high: half of the side goes to the left, half to the "
            "right.",
            decode(corners=lambda cx, cy, w, h: as_xyxy(cx, cy, 2 * w, 2 * h)),
        ),
        Mistake(
            "in_pairs",
            "The order is x1, x2, y1, y2. A box is x1, y1, x2, y2.",
            decode(corners=lambda *parts: as_xyxy(*parts)[..., [0, 2, 1, 3]]),
        ),
        Mistake(
            "size_swapped",
            "Width and height of the image are swapped: `size` is (height, width). x and w belong "
            "to the width.",
            decode(tall=lambda size: (size[1], size[0])),
        ),
        Mistake(
            "h_for_w",
            "√h was taken for √w. The four numbers are x, y, √w, √h.",
            lambda boxes, size: decode()(boxes[..., [0, 1, 3, 2]], size),
        ),
        Mistake(
            "clipped",
            "The boxes were cut off at the border of the image. Leave them as they are here: that "
            "comes later.",
            lambda boxes, size: torch.minimum(
                decode()(boxes, size).clamp(min=0),
                boxes.new_tensor([size[1], size[0], size[1], size[0]]),
            ),
        ),
        Mistake(
            "kept_in_the_cell",
            "Centres outside of their cells were moved to its edge. Take x and y as they are.",
            decode(point=lambda x, index, side, S: (index + x.clamp(0, 1)) / S * side),
        ),
        Mistake(
            "cut_off_at_0",
            "Corners below 0 were cut off at 0. Nothing is cut off here.",
            decode(corners=lambda *parts: as_xyxy(*parts).clamp(min=0)),
        ),
        Mistake(
            "whole_stride",
            "The cell's side was rounded down to whole pixels, `//`. 128 pixels in 3 cells are "
            "42.67 each: divide with `/`.",
            decode(point=lambda x, index, side, S: (index + x) * (side // S)),
        ),
    ),
    hints=(
        "x = 0.25 in column 2 of S = 4 is (2 + 0.25) / 4 of the image's width. For w the cell does "
        "not matter: the square of the number, times the image's width.",
        "Loops over row, column and predictor do it. Without loops: `index = torch.arange(S)`; "
        "along the columns it is `index[None, :, None]`, along the rows `index[:, None, None]`, "
        "to go with [S, S, A].",
        "`x, y, rw, rh = boxes.unbind(-1)`, then `cx = (x + columns) / S * width`, `w = rw ** 2 * "
        "width`, and `torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=-1)`.",
    ),
)
