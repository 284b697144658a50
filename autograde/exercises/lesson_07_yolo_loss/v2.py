"""Exercise 6: decode_v2."""

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

Inputs = tuple[Tensor, Tensor, list[int]]


def _reference(raw: Tensor, anchors: Tensor, size: list[int]) -> Tensor:
    return ref.decode_v2(raw, anchors, (size[0], size[1]))


def _raw(d: Draw, S: int, A: int, size: tuple[int, int] = (128, 128)) -> Inputs:
    """tx, ty from -3 to 3 and tw, th from -1 to 1, in eighths, none of them 0."""
    signs = d.numbers(S, S, A, 4, low=0, high=1) * 2 - 1
    far = torch.tensor([24.0, 24.0, 8.0, 8.0])
    raw = signs * (d.numbers(S, S, A, 4, low=2, high=8) / 8 * far).round() / 8
    wide = torch.arange(A) % 2 == d.integer(0, 1)
    short, long = d.numbers(A, low=10, high=20), d.numbers(A, low=30, high=60)
    sides = torch.where(wide, long, short), torch.where(wide, short, long)
    return raw, torch.stack(sides, dim=1), list(size)


def _nothing_said(d: Draw) -> Inputs:
    """All zeros: the anchor itself, in the middle of its cell."""
    raw, anchors, size = _raw(d, 3, 2)
    return raw * 0, anchors, size


def _wild(d: Draw) -> Inputs:
    """tx and ty far beyond anything sensible."""
    raw, anchors, size = _raw(d, 2, 2)
    return raw * torch.tensor([20.0, 20.0, 1.0, 1.0]), anchors, size


Numbers = Callable[[Tensor], Tensor]


def decode(
    squash: Numbers = torch.sigmoid,
    grow: Numbers = torch.exp,
    grid: Callable[[Tensor], tuple[Tensor, Tensor]] = columns_and_rows,
    point: Callable[..., Tensor] = lambda inside, index, side, S: (index + inside) * side / S,
    length: Callable[..., Tensor] = lambda factor, anchor, side, S: factor * anchor,
    corners: Callable[..., Tensor] = as_xyxy,
    tall: Callable[[list[int]], tuple[int, int]] = lambda size: (size[0], size[1]),
    sides: Callable[[Tensor], tuple[Tensor, ...]] = lambda anchors: anchors.unbind(1),
) -> Callable[..., Tensor]:
    """decode_v2 with one step replaced."""

    def wrong(raw: Tensor, anchors: Tensor, size: list[int]) -> Tensor:
        S = raw.shape[-3]
        (H, W), (column, row), (w, h) = tall(size), grid(raw), sides(anchors)
        tx, ty, tw, th = raw.unbind(-1)
        return corners(
            point(squash(tx), column, W, S),
            point(squash(ty), row, H, S),
            length(grow(tw), w, W, S),
            length(grow(th), h, H, S),
        )

    return wrong


def _turned(raw: Tensor) -> tuple[Tensor, Tensor]:
    return columns_and_rows(raw)[::-1]


DECODE_V2 = Exercise(
    name="decode_v2",
    points=2,
    reference=_reference,
    names=("raw", "anchors", "size"),
    forbids=("decode_v2",),
    rows=True,
    cases=(
        Case("one anchor in 3 x 3 cells", lambda d: _raw(d, 3, 1), core=True),
        Case("two anchors a cell", lambda d: _raw(d, 3, 2), core=True),
        Case("an image that is wider than high", lambda d: _raw(d, 2, 2, (96, 160)), core=True),
        Case("as many anchors as cells on a side", lambda d: _raw(d, 3, 3)),
        Case("one cell for the whole image", lambda d: _raw(d, 1, 3)),
        Case("all zeros: the anchors, in the middles of the cells", _nothing_said),
        Case("tx and ty far beyond anything: still in their cells", _wild),
        Case(
            "float64 stays float64",
            lambda d: tuple(x.double() / 3 if torch.is_tensor(x) else x for x in _raw(d, 2, 2)),
            dtype="exact",
        ),
    ),
    mistakes=(
        Mistake(
            "no_sigmoid",
            "tx and ty were taken as they are, as in the first version. Here they go through a "
            "sigmoid, which keeps the centre in its cell.",
            decode(squash=lambda t: t),
        ),
        Mistake(
            "clamped",
            "tx and ty were cut off at 0 and 1. Here they go through a sigmoid.",
            decode(squash=lambda t: t.clamp(0, 1)),
        ),
        Mistake(
            "tanh",
            "tanh goes from −1 to 1, so that centres leave their cells. The sigmoid goes from 0 "
            "to 1.",
            decode(squash=torch.tanh),
        ),
        Mistake(
            "middle",
            "The sigmoid was taken from the middle of the cell. 0.5, which it says for 0, is the "
            "middle already: count from the edge.",
            decode(squash=lambda t: t.sigmoid() - 0.5),
        ),
        Mistake(
            "more_than_the_middle",
            "Everything lies half a cell too far to the right and down. The sigmoid of 0 is 0.5, "
            "the middle of the cell: add nothing to it.",
            decode(squash=lambda t: t.sigmoid() + 0.5),
        ),
        Mistake(
            "exp_of_all",
            "The centre went through exp. It goes through a sigmoid; exp is for w and h.",
            decode(squash=torch.exp),
        ),
        Mistake(
            "sigmoid_of_all",
            "w and h went through a sigmoid: no box could be larger than its anchor. They go "
            "through exp.",
            decode(grow=torch.sigmoid),
        ),
        Mistake(
            "no_exp",
            "tw and th multiply the anchor as they are. Sides could become negative: take exp.",
            decode(grow=lambda t: t),
        ),
        Mistake(
            "one_plus",
            "The anchor was multiplied by 1 + t. It is e^t: never below 0, and −t undoes t.",
            decode(grow=lambda t: 1 + t),
        ),
        Mistake(
            "squared",
            "tw and th were squared, as in the first version. Here the factor is e^t.",
            decode(grow=torch.square),
        ),
        Mistake(
            "power_of_2",
            "The factor is 2^t. It is e^t: `torch.exp`.",
            decode(grow=torch.exp2),
        ),
        Mistake(
            "anchor_forgotten",
            "The anchors are not used: e^t was taken for a share of the image.",
            decode(length=lambda factor, anchor, side, S: factor * side),
        ),
        Mistake(
            "anchor_in_cells",
            "The anchors were multiplied by the stride. They are in pixels already.",
            decode(length=lambda factor, anchor, side, S: factor * anchor * side / S),
        ),
        Mistake(
            "anchor_as_share",
            "The anchors were multiplied by the image's sides. They are in pixels already.",
            decode(length=lambda factor, anchor, side, S: factor * anchor * side),
        ),
        Mistake(
            "anchor_added",
            "e^t was added to the anchor. It multiplies it.",
            decode(length=lambda factor, anchor, side, S: factor + anchor),
        ),
        Mistake(
            "anchor_turned",
            "The anchors lie where they should stand: each is (width, height).",
            decode(sides=lambda anchors: anchors.flip(1).unbind(1)),
        ),
        Mistake(
            "first_anchor_only",
            "All predictors got the first anchor. Predictor a belongs to anchor a.",
            decode(sides=lambda anchors: anchors[:1].expand_as(anchors).unbind(1)),
        ),
        Mistake(
            "cell_forgotten",
            "All centres are in the upper left cell: add the number of the cell to the sigmoid.",
            decode(point=lambda inside, index, side, S: inside * side / S),
        ),
        Mistake(
            "share_of_the_image",
            "Cell number and sigmoid count cells. Multiply by the stride, the image's side divided "
            "by S, not by the whole side.",
            decode(point=lambda inside, index, side, S: (index + inside) * side),
        ),
        Mistake(
            "cell_not_scaled",
            "The sigmoid was turned into pixels, the number of the cell was not. Add first, then "
            "multiply by the stride.",
            decode(point=lambda inside, index, side, S: index + inside * side / S),
        ),
        Mistake(
            "still_in_cells",
            "The centres still count cells, the sides are pixels. Multiply by the stride.",
            decode(point=lambda inside, index, side, S: index + inside),
        ),
        Mistake(
            "sum_squashed",
            "The sigmoid was taken of cell number plus t. Take it of t alone, then add.",
            decode(
                squash=lambda t: t,
                point=lambda t, index, side, S: (index + t).sigmoid() * side / S,
            ),
        ),
        Mistake(
            "turned",
            "Rows and columns are swapped. `raw[row, column]`: the column goes with x, the row "
            "with y.",
            decode(grid=_turned),
        ),
        Mistake(
            "shared_by_predictors",
            "The cell's number is counted along the wrong axis. `raw` is [S, S, A, 4]: rows first, "
            "then columns, then predictors, which share their cell.",
            decode(grid=shared_by_predictors),
        ),
        Mistake(
            "size_swapped",
            "Width and height of the image are swapped: `size` is (height, width).",
            decode(tall=lambda size: (size[1], size[0])),
        ),
        Mistake(
            "as_cxcywh",
            "This is centre and size. Corners are asked for: centre minus half of the size, centre "
            "plus half of it.",
            decode(corners=lambda cx, cy, w, h: torch.stack([cx, cy, w, h], dim=-1)),
        ),
        Mistake(
            "corner_for_centre",
            "The centre became the upper left corner. Go half of w and h to each side.",
            decode(corners=lambda cx, cy, w, h: torch.stack([cx, cy, cx + w, cy + h], dim=-1)),
        ),
        Mistake(
            "twice_as_large",
            "The boxes are twice as wide and high: half of the side goes to the left, half to the "
            "right.",
            decode(corners=lambda cx, cy, w, h: as_xyxy(cx, cy, 2 * w, 2 * h)),
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
            decode(point=lambda inside, index, side, S: (index + inside) * (side // S)),
        ),
    ),
    hints=(
        "Begin with a copy of your `decode_grid` and change two things: what stands for x and y, "
        "and what stands for w and h.",
        "In place of x: `raw[..., 0].sigmoid()`. It is added to the column and divided by S, as "
        "before.",
        "In place of the squared root, times the width: `anchors[:, 0] * raw[..., 2].exp()`. It "
        "is in pixels already. `anchors[:, 0]` is [A], and goes with [S, S, A] as it is.",
    ),
)
