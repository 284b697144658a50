"""Exercise 2: box_sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.fcos import box_sides

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def _parts(locations: Tensor, boxes: Tensor) -> Parts:
    left, top, right, bottom = box_sides(locations, boxes).unbind(-1)
    return left, top, right, bottom


def _of(change: Callable[..., tuple[Tensor, ...]]) -> Callable[[Tensor, Tensor], Tensor]:
    """The right four numbers, changed."""
    return lambda locations, boxes: torch.stack(change(*_parts(locations, boxes)), dim=-1)


def _centre_and_size(locations: Tensor, boxes: Tensor) -> Tensor:
    first, last = box_sides(locations, boxes).chunk(2, dim=-1)
    return torch.cat([(last - first) / 2, first + last], -1)


def _xywh(locations: Tensor, boxes: Tensor) -> Tensor:
    return box_sides(locations, torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1))


def _crossed(locations: Tensor, boxes: Tensor) -> Tensor:
    return box_sides(locations.flip(1), boxes)


def _shares(locations: Tensor, boxes: Tensor) -> Tensor:
    return box_sides(locations, boxes) / (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


def _first_box(locations: Tensor, boxes: Tensor) -> Tensor:
    sides = box_sides(locations, boxes)
    return sides[:, :1].expand(sides.shape) if len(boxes) else sides


def _outside_zeroed(locations: Tensor, boxes: Tensor) -> Tensor:
    sides = box_sides(locations, boxes)
    return sides * (sides > 0).all(-1, keepdim=True)


def _case(probes: str, N: int, M: int, **about: Any) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return d.numbers(N, 2, high=99) + 0.5, d.boxes(M)

    return Case(probes, make, **about)


def _inside(d: Draw) -> tuple[Any, ...]:
    """Locations that lie in both boxes, not in their middle."""
    x, y = d.integer(20, 40), d.integer(20, 40)
    boxes = torch.tensor([[x, y, x + 50, y + 40], [x + 8, y - 10, x + 30, y + 30]]).float()
    start = torch.tensor([x + 10.0, y + 4.0])
    return start + d.numbers(3, 2, low=1, high=17) + 0.5, boxes


def _outside(d: Draw) -> tuple[Any, ...]:
    """Left of, above, right of and below the box."""
    x, y = d.integer(30, 50), d.integer(30, 50)
    box = torch.tensor([[x, y, x + 30.0, y + 20.0]])
    places = [[x - 7.5, y + 3.0], [x + 4.0, y - 11.5], [x + 41.5, y + 8.0], [x + 9.0, y + 26.5]]
    return torch.tensor(places), box


def _on_a_side(d: Draw) -> tuple[Any, ...]:
    x, y = d.integer(10, 30), d.integer(10, 30)
    box = torch.tensor([[x, y, x + 24.0, y + 16.0]])
    return torch.tensor([[x, y + 5.0], [x + 24.0, y + 16.0]]).float(), box


BOX_SIDES = Exercise(
    name="box_sides",
    points=2,
    reference=box_sides,
    names=("locations", "boxes"),
    rows=True,
    cases=(
        Case("locations in two boxes", _inside, core=True),
        _case("five locations, three boxes", 5, 3, core=True),
        Case("one location outside on each side", _outside),
        Case("a location on a side, and one in a corner", _on_a_side),
        _case("no boxes at all", 3, 0),
        _case("one location, four boxes", 1, 4),
    ),
    mistakes=(
        Mistake(
            "l_r_t_b",
            "The order is l, r, t, b. It goes round as the corners do: left, top, right, bottom.",
            _of(lambda left, top, right, bottom: (left, right, top, bottom)),
        ),
        Mistake(
            "t_l_b_r",
            "Horizontal and vertical distances are exchanged: l and r are along x, t and b "
            "along y.",
            _of(lambda left, top, right, bottom: (top, left, bottom, right)),
        ),
        Mistake(
            "r_b_l_t",
            "r and b come first. The left and the upper side come first, as x1, y1 do.",
            _of(lambda left, top, right, bottom: (right, bottom, left, top)),
        ),
        Mistake(
            "all_from_the_location",
            "l and t have the wrong sign: inside of the box all four are above 0. l = x − x1, but "
            "r = x2 − x.",
            _of(lambda left, top, right, bottom: (-left, -top, right, bottom)),
        ),
        Mistake(
            "all_to_the_location",
            "r and b have the wrong sign: inside of the box all four are above 0. l = x − x1, but "
            "r = x2 − x.",
            _of(lambda left, top, right, bottom: (left, top, -right, -bottom)),
        ),
        Mistake(
            "all_signs",
            "All four have the wrong sign: inside of the box they are above 0.",
            _of(lambda left, top, right, bottom: (-left, -top, -right, -bottom)),
        ),
        Mistake(
            "absolute",
            "The signs are gone. A distance below 0 says that the location is outside, and that "
            "has to be seen.",
            _of(
                lambda left, top, right, bottom: (left.abs(), top.abs(), right.abs(), bottom.abs())
            ),
        ),
        Mistake(
            "not_below_0",
            "Distances below 0 became 0. They say that the location is outside: leave them.",
            _of(
                lambda left, top, right, bottom: (
                    left.clamp(0),
                    top.clamp(0),
                    right.clamp(0),
                    bottom.clamp(0),
                )
            ),
        ),
        Mistake(
            "outside_zeroed",
            "Where a location lies outside, all four became 0. Leave them: which of them is below "
            "0 says on which side it lies.",
            _outside_zeroed,
        ),
        Mistake(
            "plus_one",
            "r and b are one pixel too long. Boxes end where x2 and y2 say: r = x2 − x, without "
            "+ 1.",
            _of(lambda left, top, right, bottom: (left, top, right + 1, bottom + 1)),
        ),
        Mistake(
            "sizes",
            "The last two are the box's width and height. They are the distances to its right and "
            "its lower side.",
            _of(lambda left, top, right, bottom: (left, top, left + right, top + bottom)),
        ),
        Mistake(
            "to_the_centre",
            "These are the way to the centre, and the size: the coding of anchors. Here it is the "
            "distance to each of the four sides.",
            _of(
                lambda left, top, right, bottom: (
                    (right - left) / 2,
                    (bottom - top) / 2,
                    left + right,
                    top + bottom,
                )
            ),
        ),
        Mistake(
            "xywh",
            "The last two columns of a box were taken for width and height. Boxes are xyxy.",
            _xywh,
        ),
        Mistake(
            "y_x_locations",
            "A location was read as (y, x). It is (x, y).",
            _crossed,
        ),
        Mistake(
            "shares",
            "The distances were divided by the box's width and height. They are pixels.",
            _shares,
        ),
        Mistake(
            "first_box_for_all",
            "All are distances to the first box. Every location gets its distances to every box.",
            _first_box,
        ),
        Mistake(
            "boxes_along_the_rows",
            "Rows and columns are exchanged: a row for each location, a column for each box, "
            "[N, M, 4]. That is `locations[:, None]` and `boxes[None]`.",
            lambda locations, boxes: box_sides(locations, boxes).transpose(0, 1),
        ),
    ),
    hints=(
        "`x, y = locations[:, 0, None], locations[:, 1, None]` are columns [N, 1]; "
        "`x1, y1, x2, y2 = boxes.unbind(1)` are rows [M]. Their difference is a table [N, M].",
        "l = x − x1, t = y − y1, r = x2 − x, b = y2 − y: four tables [N, M].",
        "`torch.stack((l, t, r, b), dim=-1)` makes [N, M, 4] of them.",
    ),
)
