"""Exercise 3: place_targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_10_centernet.inputs import Size, Triple, boxes_at
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref


def _reference(boxes: Tensor, size: Size, stride: int) -> Triple:
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    told = ref.encode_targets(boxes, labels, size, stride, 1)
    W = size[1]
    return torch.stack((told.places % W, told.places // W), 1), told.sizes, told.offsets


def _clamped(places: Tensor, size: Size) -> Tensor:
    return places.clamp(min=0).minimum(torch.tensor([size[1] - 1, size[0] - 1]))


def _targets(
    scale: Callable[[Tensor, int], Tensor] = lambda boxes, stride: boxes / stride,
    centre: Callable[[Tensor], Tensor] = lambda b: (b[:, :2] + b[:, 2:]) / 2,
    whole: Callable[[Tensor], Tensor] = torch.floor,
    clamp: Callable[[Tensor, Size], Tensor] = _clamped,
    sides: Callable[[Tensor, int], Tensor] = lambda b, stride: b[:, 2:] - b[:, :2],
    rest: Callable[[Tensor, Tensor, Tensor, int], Tensor] = lambda c, p, s, stride: c - p,
    answer: Callable[[Triple, Size], Any] = lambda found, size: found,
) -> Callable[[Tensor, Size, int], Any]:
    """The exercise with one step replaced."""

    def wrong(boxes: Tensor, size: Size, stride: int) -> Any:
        scaled = scale(boxes, stride)
        middle = centre(scaled)
        places = clamp(whole(middle).long(), size)
        wide = sides(scaled, stride)
        return answer((places, wide, rest(middle, places, wide, stride)), size)

    return wrong


def _one_too_far(places: Tensor, size: Size) -> Tensor:
    return places.clamp(min=0).minimum(torch.tensor([size[1], size[0]]))


def _rows_for_columns(places: Tensor, size: Size) -> Tensor:
    return places.clamp(min=0).minimum(torch.tensor([size[0] - 1, size[1] - 1]))


def _clamp_first(boxes: Tensor, size: Size, stride: int) -> Triple:
    """The centre itself was pulled into the map, so its offset is lost there."""
    places, sizes, _ = _reference(boxes, size, stride)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / stride
    limit = torch.tensor([size[1] - 1.0, size[0] - 1.0])
    return places, sizes, centres.clamp(min=0).minimum(limit) - places


def _case(
    probes: str, *centres: Sequence[float], size: Size = (9, 12), stride: int = 4, **about: Any
) -> Case:
    """Objects with these centres, in locations; each moved by chance, 0 to 2 places, if `free`."""
    free = about.pop("free", True)

    def make(d: Draw) -> tuple[Any, ...]:
        sides = d.numbers(len(centres), 2, low=7, high=30) + torch.tensor([0.0, 24.0])
        moved = [[c + (d.integer(0, 2) if free else 0) for c in one] for one in centres]
        return boxes_at(moved, sides, stride), list(size), stride

    return Case(probes, make, **about)


def _none(d: Draw) -> tuple[Any, ...]:
    return torch.zeros(0, 4), [d.integer(4, 9), d.integer(4, 9)], 4


PLACE_TARGETS = Exercise(
    name="place_targets",
    points=2,
    reference=_reference,
    names=("boxes", "map_size", "stride"),
    outputs=("places", "sizes", "offsets"),
    forbids=("place_targets", "encode_targets"),
    rows=True,
    cases=(
        _case("one object", (5.625, 2.25), core=True),
        _case("three objects", (2.125, 5.75), (8.625, 1.25), (4.375, 4.875), core=True),
        _case("stride 8", (6.75, 3.625), (2.125, 5.375), stride=8, core=True),
        _case("a centre that lies on a corner of its place", (4.0, 3.0), (7.0, 2.5)),
        _case(
            "centres on the border and beyond", (12.0, 3.25), (5.5, 9.25), (-0.5, 2.5), free=False
        ),
        _case("a map higher than wide", (3.875, 9.125), (2.375, 6.5), size=(14, 6)),
        Case("no objects at all", _none),
    ),
    mistakes=(
        Mistake(
            "pixels",
            "All is in pixels. The map has one place for `stride` × `stride` pixels: divide the "
            "boxes by the stride first.",
            _targets(scale=lambda boxes, stride: boxes.clone()),
        ),
        Mistake(
            "multiplied",
            "The boxes were multiplied with the stride. A place of the map stands for `stride` × "
            "`stride` pixels: divide.",
            _targets(scale=lambda boxes, stride: boxes * stride),
        ),
        Mistake(
            "floor_divided",
            "The corners were cut to whole places already by `//`, and with them the size and the "
            "offset. Divide with `/`; only the place is cut down, at the end.",
            _targets(scale=lambda boxes, stride: boxes // stride),
        ),
        Mistake(
            "sizes_in_pixels",
            "The sizes are in pixels. They are counted in places, as everything here: divided by "
            "the stride.",
            _targets(sides=lambda b, stride: (b[:, 2:] - b[:, :2]) * stride),
        ),
        Mistake(
            "offsets_in_pixels",
            "The offsets are in pixels. They are parts of a place, 0 to 1 inside of the map.",
            _targets(rest=lambda c, p, s, stride: (c - p) * stride),
        ),
        Mistake(
            "rounded",
            "The centres were rounded to the nearest place. They are cut down: place 5 covers all "
            "from 5 to 6, and the offset is never negative inside of the map.",
            _targets(whole=torch.round),
        ),
        Mistake(
            "cut_up",
            "The centres were rounded up. They are cut down: place 5 covers all from 5 to 6.",
            _targets(whole=torch.ceil),
        ),
        Mistake(
            "left_top",
            "The place is that of the box's left upper corner. CenterNet's point is the centre, "
            "((x1 + x2) / 2, (y1 + y2) / 2).",
            _targets(centre=lambda b: b[:, :2]),
        ),
        Mistake(
            "half_sides",
            "The centre was computed as half of the size, as if each box began at 0: "
            "((x1 + x2) / 2, (y1 + y2) / 2).",
            _targets(centre=lambda b: (b[:, 2:] - b[:, :2]) / 2),
        ),
        Mistake(
            "centre_not_halved",
            "The corners were added but not halved: the centre is (x1 + x2) / 2.",
            _targets(centre=lambda b: b[:, :2] + b[:, 2:]),
        ),
        Mistake(
            "half_sizes",
            "The sizes are half as large as they should be. Width and height are asked for, not "
            "the way from the centre to the side.",
            _targets(sides=lambda b, stride: (b[:, 2:] - b[:, :2]) / 2),
        ),
        Mistake(
            "corner_for_size",
            "The sizes are the box's right lower corner. Width is x2 − x1, height is y2 − y1.",
            _targets(sides=lambda b, stride: b[:, 2:].clone()),
        ),
        Mistake(
            "height_first",
            "Height and width are exchanged. x comes before y everywhere: width, then height.",
            _targets(sides=lambda b, stride: (b[:, 2:] - b[:, :2]).flip(1)),
        ),
        Mistake(
            "offset_backwards",
            "The offsets have the wrong sign: centre minus place. They are what must be added to "
            "the place.",
            _targets(rest=lambda c, p, s, stride: p - c),
        ),
        Mistake(
            "offset_from_the_middle",
            "The offsets are counted from the middle of a place. They begin at its corner: centre "
            "minus place, 0 to 1.",
            _targets(rest=lambda c, p, s, stride: c - p - 0.5),
        ),
        Mistake(
            "offset_by_size",
            "The offsets were divided by the object's size. They are parts of a place, the same "
            "for objects of every size.",
            _targets(rest=lambda c, p, s, stride: (c - p) / s),
        ),
        Mistake(
            "no_offset",
            "The offsets are 0: nothing is left of the part that `floor` cut away. It is centre "
            "minus place.",
            _targets(rest=lambda c, p, s, stride: torch.zeros_like(c)),
        ),
        Mistake(
            "row_first",
            "Row and column are exchanged. A place is (column, row), as x comes before y.",
            _targets(answer=lambda found, size: (found[0].flip(1), *found[1:])),
        ),
        Mistake(
            "offset_cut",
            "The offset of a centre beyond the border was cut to 0 … 1. It is the way from the "
            "place to where the centre really lies, and may be longer there.",
            _targets(rest=lambda c, p, s, stride: (c - p).clamp(0, 1)),
        ),
        Mistake(
            "offset_before_the_clamp",
            "The offset was taken before a centre beyond the border got its place. It is the "
            "centre minus the place that you return.",
            _targets(rest=lambda c, p, s, stride: c - c.floor()),
        ),
        Mistake(
            "all_row_first",
            "x and y are exchanged in places and offsets. x comes before y everywhere: column, "
            "then row.",
            _targets(answer=lambda found, size: (found[0].flip(1), found[1], found[2].flip(1))),
        ),
        Mistake(
            "everything_row_first",
            "y comes before x in all three parts: places, sizes and offsets. x comes first, as in "
            "a box.",
            _targets(answer=lambda found, size: tuple(part.flip(1) for part in found)),
        ),
        Mistake(
            "not_clamped",
            "A centre on the border, or beyond, got a place that the map does not have. The last "
            "column is W − 1, the last row H − 1, the first ones 0.",
            _targets(clamp=lambda places, size: places),
        ),
        Mistake(
            "one_too_far",
            "A centre on the border got column W or row H. Counting begins at 0: the last ones "
            "are W − 1 and H − 1.",
            _targets(clamp=_one_too_far),
        ),
        Mistake(
            "rows_for_columns",
            "Columns were limited by H and rows by W. `map_size` is (H, W): a column is at most "
            "W − 1, a row at most H − 1.",
            _targets(clamp=_rows_for_columns),
        ),
        Mistake(
            "centre_clamped",
            "The centre was pulled into the map before the offset was taken. Only the place is: "
            "the offset is the way from there to where the centre really lies.",
            _clamp_first,
        ),
        Mistake(
            "other_order",
            "The three parts came in another order. Return places, sizes, offsets.",
            _targets(answer=lambda found, size: (found[0], found[2], found[1])),
        ),
    ),
    hints=(
        "First `scaled = boxes / stride`: from here on all is counted in places. Then "
        "`centres = (scaled[:, :2] + scaled[:, 2:]) / 2` and "
        "`sizes = scaled[:, 2:] - scaled[:, :2]`.",
        "`places = centres.floor().long()`. Keep the columns in 0 … W − 1 and the rows in "
        "0 … H − 1: `places[:, 0].clamp(0, W - 1)`, and `torch.stack((columns, rows), 1)`.",
        "`offsets = centres - places`, after the clamp and with the centres as they were.",
    ),
)
