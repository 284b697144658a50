"""Exercise 3: may_answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_09_fcos.inputs import (
    INF,
    around,
    corner,
    joined,
    large_and_small,
    large_and_thin,
    level,
    places,
    small_beside_large,
    square,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.fcos import box_sides, in_range, near_centre, smallest_box


def _reference(
    locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
) -> Tensor:
    near = near_centre(locations, strides, boxes, radius)
    return near & in_range(box_sides(locations, boxes), ranges)


def _square(dx: Tensor, dy: Tensor) -> Tensor:
    return torch.maximum(dx.abs(), dy.abs())


def _longest(sides: Tensor, boxes: Tensor) -> Tensor:
    return sides.amax(-1)


def _between(longest: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return (longest >= low) & (longest <= high)


def _may(
    inside: Callable[[Tensor], Tensor] = lambda sides: (sides > 0).all(-1),
    away: Callable[[Tensor, Tensor], Tensor] = _square,
    near: Callable[[Tensor, Tensor], Tensor] = torch.lt,
    reach: Callable[[Tensor, float], Tensor] = lambda strides, radius: radius * strides,
    longest: Callable[[Tensor, Tensor], Tensor] = _longest,
    between: Callable[[Tensor, Tensor, Tensor], Tensor] = _between,
    join: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda a, b, c: a & b & c,
    centre: Callable[[Tensor], Tensor] = lambda boxes: (boxes[:, :2] + boxes[:, 2:]) / 2,
    ends: Callable[[Tensor], Tensor] = lambda ranges: ranges,
    unit: Callable[[Tensor], Tensor] = torch.ones_like,
) -> Callable[..., Tensor]:
    """The exercise with one step replaced. unit: what the range's numbers are multiplied by."""

    def wrong(
        locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
    ) -> Tensor:
        sides = box_sides(locations, boxes)
        dx, dy = (locations[:, None] - centre(boxes)[None]).unbind(-1)
        ranges = ends(ranges)
        ranges = torch.where(ranges.isfinite(), ranges * unit(strides)[:, None], ranges)
        return join(
            inside(sides),
            near(away(dx, dy), reach(strides, radius)[:, None]),
            between(longest(sides, boxes), ranges[:, :1], ranges[:, 1:]),
        )

    return wrong


def _each_side_in_range(
    locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
) -> Tensor:
    sides = box_sides(locations, boxes)
    each = (sides >= ranges[:, :1, None]) & (sides <= ranges[:, 1:, None])
    return near_centre(locations, strides, boxes, radius) & each.all(-1)


def _strides_in_a_row(
    locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
) -> Tensor:
    """radius · strides [N] against a table [N, M]: an error, or for one box a table [N, N]."""
    sides = box_sides(locations, boxes)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = (locations[:, None] - centres).abs().amax(-1)
    return (away < radius * strides) & (sides > 0).all(-1) & in_range(sides, ranges)


def _ends_in_a_row(
    locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
) -> Tensor:
    longest = box_sides(locations, boxes).amax(-1)
    between = (longest >= ranges[:, 0]) & (longest <= ranges[:, 1])
    return near_centre(locations, strides, boxes, radius) & between


def _smallest_only(
    locations: Tensor, strides: Tensor, ranges: Tensor, boxes: Tensor, radius: float = 1.5
) -> Tensor:
    may = _reference(locations, strides, ranges, boxes, radius)
    return may & (smallest_box(may, boxes)[:, None] == torch.arange(len(boxes)))


def _size(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def _case(
    probes: str, make: Callable[[Draw], tuple[Any, Tensor]], *radius: float, **about: Any
) -> Case:
    def inputs(d: Draw) -> tuple[Any, ...]:
        where, boxes = make(d)
        return *where, boxes, *radius

    return Case(probes, inputs, **about)


def _on_a_side(d: Draw) -> tuple[Any, ...]:
    """On the left and the right side, in a corner, and just inside."""
    x, y = corner(d)
    points = [[x, y + 5], [x + 16, y + 5], [x, y], [x + 1, y + 5], [x + 6, y + 16]]
    return places(points), torch.tensor([square(x, y, 16, 16)]).float()


def _at_the_radius(d: Draw) -> tuple[Any, ...]:
    """Just 12 pixels from the centre, in x and in y, and a little less."""
    x, y = corner(d)
    points: list[list[float]] = [
        [x + 44, y + 32],
        [x + 43.5, y + 32],
        [x + 30, y + 20],
        [x + 30, y + 20.5],
    ]
    return places(points), torch.tensor([square(x, y, 64, 64)]).float()


def _at_the_ends(d: Draw) -> tuple[Any, ...]:
    """The longest distance is 24, and the range begins there, ends there, or just misses it."""
    x, y = corner(d)
    reach: list[list[float]] = [[24, 64], [0, 24], [24.25, 64], [0, 23.75]]
    points = [[x + 24, y + 13]] * 4
    return places(points, 8, reach), torch.tensor([square(x, y, 40, 26)]).float()


def _long_and_thin(d: Draw) -> tuple[Any, ...]:
    """A row of locations in a box that is nine times as long as high, and a row below it."""
    x, y = corner(d)
    box = torch.tensor([square(x, y, 72, 8)]).float()
    return level(x + 1.25, y + 3.25, 2, 9, 8, (0, 40 + 4 * d.integer(0, 2))), box


def _between_pixels(d: Draw) -> tuple[Any, ...]:
    """The centre lies at a half in x and in y; locations half a pixel around the radius."""
    x, y = corner(d)
    centre = torch.tensor([x + 20.5, y + 10.5])
    away = torch.tensor([[11.75, 0.25], [-12.25, 0.25], [0.25, 9.75], [-11.75, -4.25], [12.25, 1]])
    return places((centre + away).tolist()), torch.tensor([square(x, y, 41, 21)]).float()


def _coarse_levels(d: Draw) -> tuple[Any, ...]:
    """Strides of 16 and 32 over two boxes: 24 and 48 pixels are near."""
    x, y = corner(d)
    boxes = [square(x, y, 120, 100), square(x + 50, y + 20, 100, 130 + 4 * d.integer(0, 3))]
    levels = joined(
        level(x + 5.25, y + 7.25, 7, 8, 16, (0, 88)), level(x + 9.25, y + 3.25, 4, 4, 32, (88, INF))
    )
    return levels, torch.tensor(boxes).float()


def _no_boxes(d: Draw) -> tuple[Any, ...]:
    return around(*corner(d), 2, 3), torch.zeros(0, 4)


MAY_ANSWER = Exercise(
    name="may_answer",
    points=3,
    reference=_reference,
    names=("locations", "strides", "ranges", "boxes", "radius"),
    forbids=("near_centre", "in_range", "smallest_box", "assign_targets"),
    cases=(
        _case("a large box and a narrow one, any distance", large_and_thin, core=True),
        _case("a range from 20 to 34, the whole box", large_and_small, INF, core=True),
        _case("two levels, three boxes", small_beside_large, core=True),
        _case("a radius of half a stride", large_and_thin, 0.5),
        _case("locations on the sides of a box", _on_a_side),
        _case("just 1.5 strides from the centre", _at_the_radius),
        _case("a distance at the end of the range", _at_the_ends),
        _case("a long, thin box", _long_and_thin, INF),
        _case("a centre between two pixels", _between_pixels),
        _case("strides of 16 and 32", _coarse_levels),
        _case("no boxes at all", _no_boxes),
    ),
    mistakes=(
        Mistake(
            "whole_box",
            "Every location of the box may answer. Only those near its centre may: less than "
            "`radius` strides away in x and in y.",
            _may(near=lambda away, reach: torch.ones_like(away, dtype=torch.bool)),
        ),
        Mistake(
            "no_range",
            "The range of the level does not count here. The longest of l, t, r, b must lie in "
            "`ranges`, or all levels answer for all objects.",
            _may(between=lambda longest, low, high: torch.ones_like(longest, dtype=torch.bool)),
        ),
        Mistake(
            "box_not_asked",
            "Locations outside of the box may answer: near the centre is not enough where the box "
            "is narrow. All of l, t, r, b must be above 0.",
            _may(inside=lambda sides: torch.ones_like(sides[..., 0], dtype=torch.bool)),
        ),
        Mistake(
            "left_and_top_only",
            "Only l and t were asked whether a location lies in the box: one to the right of it or "
            "below was taken for inside. All four must be above 0.",
            _may(inside=lambda sides: (sides[..., :2] > 0).all(-1)),
        ),
        Mistake(
            "absolute",
            "Distances lost their sign, and a location outside counts as inside. Ask `box_sides` "
            "as they are: `(sides > 0).all(dim=2)`, without `.abs()`.",
            _may(inside=lambda sides: (sides.abs() > 0).all(-1)),
        ),
        Mistake(
            "across_only",
            "Only l and r were asked whether a location lies in the box: one above or below it was "
            "taken for inside. All four must be above 0.",
            _may(inside=lambda sides: (sides[..., [0, 2]] > 0).all(-1)),
        ),
        Mistake(
            "side_is_inside",
            "A location on a side was taken for inside. There a distance is 0, and a box with a "
            "side of 0 from it is nothing to learn: `> 0`.",
            _may(inside=lambda sides: (sides >= 0).all(-1)),
        ),
        Mistake(
            "at_the_radius",
            "A location just `radius` strides from the centre may answer here. It must be less: "
            "`<`, not `<=`.",
            _may(near=torch.le),
        ),
        Mistake(
            "radius_in_pixels",
            "The radius was taken for pixels. It is in strides: `radius * strides`, with the "
            "stride of each location.",
            _may(reach=lambda strides, radius: torch.full_like(strides, radius)),
        ),
        Mistake(
            "strides_in_a_row",
            "`radius * strides` has N numbers, and they meet the M columns of your table. They "
            "belong to its rows: `radius * strides[:, None]` is a column.",
            _strides_in_a_row,
        ),
        Mistake(
            "ends_in_a_row",
            "`ranges[:, 0]` has N numbers, and they meet the M columns of your table. They belong "
            "to its rows: `ranges[:, :1]` and `ranges[:, 1:]` are columns.",
            _ends_in_a_row,
        ),
        Mistake(
            "stride_of_8",
            "Near is `radius` times 8 pixels on every level here. Each location has the stride of "
            "its own level: `strides[:, None]`.",
            _may(reach=lambda strides, radius: torch.full_like(strides, 8 * radius)),
        ),
        Mistake(
            "one_stride_for_all",
            "All locations have the stride of the first one. Each has that of its own level: "
            "`strides[:, None]`.",
            _may(reach=lambda strides, radius: (radius * strides[:1]).expand(len(strides))),
        ),
        Mistake(
            "radius_fixed",
            "1.5 is the radius whatever `radius` says.",
            _may(reach=lambda strides, radius: 1.5 * strides),
        ),
        Mistake(
            "width_of_the_square",
            "The square about the centre is `radius` strides wide here. That is its half: `radius` "
            "strides to either side.",
            _may(reach=lambda strides, radius: radius * strides / 2),
        ),
        Mistake(
            "twice_the_radius",
            "The square about the centre reaches twice as far as it should. `radius` strides to "
            "either side is all.",
            _may(reach=lambda strides, radius: 2 * radius * strides),
        ),
        Mistake(
            "half_the_size_for_the_centre",
            "(x2 − x1) / 2 is half of the width. The centre lies between the corners: "
            "(x1 + x2) / 2, and y likewise.",
            _may(centre=lambda boxes: _size(boxes) / 2),
        ),
        Mistake(
            "centre_rounded_down",
            "`//` puts the centre on a whole pixel: of 10 and 51 it makes 30. It is 30.5; divide "
            "by `/`.",
            _may(centre=lambda boxes: (boxes[:, :2] + boxes[:, 2:]) // 2),
        ),
        Mistake(
            "near_across_only",
            "Only x was asked whether a location is near. It must be near in y as well: take the "
            "larger of both distances.",
            _may(away=lambda dx, dy: dx.abs()),
        ),
        Mistake(
            "near_down_only",
            "Only y was asked whether a location is near. It must be near in x as well: take the "
            "larger of both distances.",
            _may(away=lambda dx, dy: dy.abs()),
        ),
        Mistake(
            "diamond",
            "The distances in x and y were added. Each by itself must be less than `radius` "
            "strides: take the larger one, `amax`.",
            _may(away=lambda dx, dy: dx.abs() + dy.abs()),
        ),
        Mistake(
            "circle",
            "The locations lie in a circle about the centre. It is a square: the distance in x and "
            "that in y each by itself.",
            _may(away=torch.hypot),
        ),
        Mistake(
            "x_or_y",
            "Near in x or near in y is enough here. Both distances must be small: take the larger "
            "one.",
            _may(away=lambda dx, dy: torch.minimum(dx.abs(), dy.abs())),
        ),
        Mistake(
            "signed",
            "A location left of the centre or above it is near however far it is: its distance is "
            "below 0. Take `.abs()`.",
            _may(away=torch.maximum),
        ),
        Mistake(
            "ends_left_out",
            "A distance at an end of the range was refused. Both ends belong to it: `>=` and `<=`.",
            _may(between=lambda longest, low, high: (longest > low) & (longest < high)),
        ),
        Mistake(
            "upper_end_left_out",
            "A distance at the upper end of the range was refused. It belongs to it: `<=`.",
            _may(between=lambda longest, low, high: (longest >= low) & (longest < high)),
        ),
        Mistake(
            "lower_end_left_out",
            "A distance at the lower end of the range was refused. It belongs to it: `>=`.",
            _may(between=lambda longest, low, high: (longest > low) & (longest <= high)),
        ),
        Mistake(
            "lower_end_only",
            "Only the lower end of the range counts here. Small levels answer for large objects "
            "then: the upper end counts as well.",
            _may(between=lambda longest, low, high: longest >= low),
        ),
        Mistake(
            "upper_end_only",
            "Only the upper end of the range counts here. Coarse levels answer for small objects "
            "then: the lower end counts as well.",
            _may(between=lambda longest, low, high: longest <= high),
        ),
        Mistake(
            "one_range_for_all",
            "All locations have the range of the first one. Each has that of its own level: "
            "`ranges[:, :1]` and `ranges[:, 1:]`.",
            _may(ends=lambda ranges: ranges[:1].expand(ranges.shape)),
        ),
        Mistake(
            "shortest",
            "The shortest of l, t, r, b was compared with the range. It is the longest.",
            _may(longest=lambda sides, boxes: sides.amin(-1)),
        ),
        Mistake(
            "each_side_in_range",
            "All four distances must lie in the range here. Only the longest is asked.",
            _each_side_in_range,
        ),
        Mistake(
            "longer_side",
            "The box's longer side was compared with the range. It is the longest distance from "
            "the location, which differs from place to place.",
            _may(longest=lambda sides, boxes: _size(boxes).amax(-1).expand(sides.shape[:2])),
        ),
        Mistake(
            "half_the_longer_side",
            "Half of the box's longer side was compared with the range. That is the longest "
            "distance from its centre only; every location has its own.",
            _may(longest=lambda sides, boxes: _size(boxes).amax(-1).expand(sides.shape[:2]) / 2),
        ),
        Mistake(
            "root_of_the_area",
            "√(width · height) was compared with the range, as pyramids of anchors do. Here it is "
            "the longest of l, t, r, b.",
            _may(longest=lambda sides, boxes: _size(boxes).prod(-1).sqrt().expand(sides.shape[:2])),
        ),
        Mistake(
            "range_in_strides",
            "The range was multiplied by the stride. It is in pixels already, as l, t, r, b are.",
            _may(unit=lambda strides: strides),
        ),
        Mistake(
            "near_or_in_range",
            "Near the centre or in the range is enough here. A location has to keep all the rules: "
            "`&`, not `|`.",
            _may(join=lambda a, b, c: a & (b | c)),
        ),
        Mistake(
            "any_rule",
            "One rule is enough here. A location has to keep all three: join them with `&`.",
            _may(join=lambda a, b, c: a | b | c),
        ),
        Mistake(
            "smallest_only",
            "Each location has at most one box here: the smallest. That is rule 3, and comes in "
            "the next exercise. This table says for every box whether it may.",
            _smallest_only,
        ),
        Mistake(
            "the_others",
            "True and False are exchanged: these are the locations that may not answer.",
            _may(join=lambda a, b, c: ~(a & b & c)),
        ),
    ),
    hints=(
        "`sides = box_sides(locations, boxes)`; a location is inside where "
        "`(sides > 0).all(dim=2)`.",
        "`centres = (boxes[:, :2] + boxes[:, 2:]) / 2`, and "
        "`away = (locations[:, None] - centres).abs().amax(dim=2)` is [N, M]. It is near where "
        "`away < radius * strides[:, None]`.",
        "`longest = sides.amax(dim=2)` lies between `ranges[:, :1]` and `ranges[:, 1:]`. Join the "
        "three with `&`. No boxes need no `if`: the table is [N, 0] then, by itself.",
    ),
)
