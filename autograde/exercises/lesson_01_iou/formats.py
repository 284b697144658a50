"""Exercises 1 and 2: box_convert, box_area."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_01_iou.slips import PLUS_ONE, areas
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import boxes as ref


def _convert_case(probes: str, in_fmt: str, out_fmt: str, core: bool = False) -> Case:
    def make(d: Draw) -> tuple[Tensor, str, str]:
        return ref.box_convert(d.boxes(3), "xyxy", in_fmt), in_fmt, out_fmt

    return Case(probes, make, core=core)


def _convert(
    boxes: Tensor, in_fmt: str, out_fmt: str, half: float = 0.5, one: float = 0, swap: bool = False
) -> Tensor:
    """A conversion with the chosen slip."""
    p, q, r, s = boxes.unbind(-1)
    if in_fmt == "xywh":
        p, q, r, s = p, q, p + r - one, q + s - one
    elif in_fmt == "cxcywh":
        w, h = r, s
        left, top = p - half * w, q - half * h
        p, q, r, s = left, top, left + w - one, top + h - one
    w, h = r - p + one, s - q + one
    if swap:
        w, h = h, w
    if out_fmt == "xywh":
        r, s = w, h
    elif out_fmt == "cxcywh":
        p, q, r, s = p + half * w, q + half * h, w, h
    return torch.stack([p, q, r, s], dim=-1)


def _centre_slip(centre: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Conversions to cxcywh with another idea of a centre; all others are right."""

    def convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
        right = ref.box_convert(boxes, in_fmt, out_fmt)
        if out_fmt != "cxcywh" or in_fmt == out_fmt:
            return right
        corners = ref.box_convert(boxes, in_fmt, "xyxy")
        return torch.cat([centre(corners[:, :2], corners[:, 2:]), right[:, 2:]], dim=1)

    return convert


BOX_CONVERT = Exercise(
    name="box_convert",
    points=2,
    reference=ref.box_convert,
    names=("boxes", "in_fmt", "out_fmt"),
    rows=True,
    cases=(
        _convert_case("xyxy to xywh: corners to corner and size", "xyxy", "xywh", core=True),
        _convert_case("xywh to xyxy: corner and size to corners", "xywh", "xyxy", core=True),
        _convert_case("xyxy to cxcywh: corners to centre and size", "xyxy", "cxcywh", core=True),
        _convert_case("cxcywh to xyxy: centre and size to corners", "cxcywh", "xyxy", core=True),
        _convert_case("xywh to cxcywh", "xywh", "cxcywh"),
        _convert_case("cxcywh to xywh", "cxcywh", "xywh"),
        _convert_case("the same format in and out", "xywh", "xywh"),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4), "xyxy", "cxcywh")),
        Case(
            "float64 stays float64",
            lambda d: (d.boxes(2).double() / 3, "xyxy", "cxcywh"),
            dtype="exact",
        ),
    ),
    mistakes=(
        Mistake("plus_one", PLUS_ONE, lambda b, i, o: _convert(b, i, o, one=1)),
        Mistake(
            "centre_is_corner",
            "The centre is taken for the top-left corner. The left edge lies half a width to the "
            "left of the centre: x1 = cx − w/2.",
            lambda b, i, o: _convert(b, i, o, half=0),
        ),
        Mistake(
            "whole_for_half",
            "From the centre to an edge it is half the width, not all of it.",
            lambda b, i, o: _convert(b, i, o, half=1),
        ),
        Mistake(
            "centre_not_halved",
            "The centre is x1 + x2 without the half. It lies midway: (x1 + x2) / 2.",
            _centre_slip(lambda near, far: near + far),
        ),
        Mistake(
            "half_side_for_centre",
            "(x2 − x1) / 2 is half the width. The centre is (x1 + x2) / 2, or x1 + w/2.",
            _centre_slip(lambda near, far: (far - near) / 2),
        ),
        Mistake(
            "x_and_y_swapped",
            "x and y changed places: a box is x first, then y.",
            lambda b, i, o: ref.box_convert(b, i, o)[:, [1, 0, 3, 2]] if i != o else b.clone(),
        ),
        Mistake(
            "width_height_swapped",
            "Width and height changed places: the width belongs to x, the height to y.",
            lambda b, i, o: _convert(b, i, o, swap=True),
        ),
        Mistake(
            "wrong_direction",
            "The conversion runs the wrong way round: in_fmt says what the numbers mean now, "
            "out_fmt what they should become.",
            lambda b, i, o: _convert(b, o, i),
        ),
        Mistake(
            "unchanged",
            "The boxes came back as they went in.",
            lambda b, i, o: b.clone(),
        ),
    ),
    hints=(
        "Nine pairs of formats are many; two steps are enough. First bring every format to xyxy, "
        "then go from xyxy to the one that is asked for.",
        "`boxes.unbind(-1)` gives the four columns; `torch.stack([...], dim=-1)` puts four "
        "columns back together.",
        "cxcywh to xyxy is cx − w/2, cy − h/2, cx + w/2, cy + h/2. The way back: "
        "(x1 + x2)/2, (y1 + y2)/2, x2 − x1, y2 − y1.",
    ),
    picture="",
)


def flat(d: Draw) -> Tensor:
    boxes = d.boxes(2)
    boxes[0, 2] = boxes[0, 0]
    return boxes


BOX_AREA = Exercise(
    name="box_area",
    points=1,
    reference=ref.box_area,
    names=("boxes",),
    cases=(
        Case("one box", lambda d: (d.boxes(1),), core=True),
        Case("several boxes: one area each", lambda d: (d.boxes(4),), core=True),
        Case("edges between two pixels", lambda d: (d.boxes(3) / 8,)),
        Case("a box without width has area 0", lambda d: (flat(d),)),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4),)),
        Case("float64 stays float64", lambda d: (d.boxes(2).double() / 3,), dtype="exact"),
    ),
    mistakes=(
        Mistake("plus_one", PLUS_ONE, lambda b: areas(b, 1)),
        Mistake(
            "xyxy_as_xywh",
            "x2 and y2 are multiplied as if they were width and height. They are the far corner: "
            "the width is x2 − x1.",
            lambda b: b[:, 2] * b[:, 3],
        ),
        Mistake(
            "sides_added",
            "The sides are added, which gives half the way around the box. An area is a product.",
            lambda b: b[:, 2] - b[:, 0] + b[:, 3] - b[:, 1],
        ),
        Mistake(
            "pairs_of_axes",
            "x and y are mixed: the width is x2 − x1 (columns 2 and 0), the height y2 − y1 "
            "(columns 3 and 1).",
            lambda b: (b[:, 1] - b[:, 0]) * (b[:, 3] - b[:, 2]),
        ),
        Mistake(
            "row_for_column",
            "`boxes[2]` is the third box. The third column, x2 of every box, is `boxes[:, 2]`.",
            lambda b: (b[2] - b[0]) * (b[3] - b[1]),
        ),
        Mistake(
            "first_only",
            "This is the area of the first box only. Give one number for each box: shape [N].",
            lambda b: areas(b)[0],
        ),
        Mistake(
            "kept_axis",
            "The areas come as a column [N, 1]. Give one number a box: shape [N]. "
            "`boxes[:, 2]` takes a column and drops the axis, `boxes[:, 2:3]` keeps it.",
            lambda b: areas(b)[:, None],
        ),
        Mistake(
            "total",
            "All areas are added up to one number. Give one number for each box.",
            lambda b: areas(b).sum(),
        ),
    ),
    hints=(
        "The columns of `boxes` are x1, y1, x2, y2. `boxes[:, 0]` is every box's x1 at once.",
        "(x2 − x1) · (y2 − y1), on whole columns: no loop is needed.",
    ),
    picture="boxes",
)
