"""Exercise 4: location_targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_09_fcos.inputs import (
    INF,
    around,
    corner,
    labels_for,
    nested,
    places,
    small_beside_large,
    square,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.boxes import box_area
from course_lib.models.fcos import (
    assign_targets,
    box_sides,
    in_range,
    near_centre,
    smallest_box,
)

Answer = tuple[Tensor, Tensor]
Pick = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # may [N, M], boxes, sides, locations


def _reference(
    locations: Tensor,
    strides: Tensor,
    ranges: Tensor,
    boxes: Tensor,
    labels: Tensor,
    radius: float = 1.5,
) -> Answer:
    return assign_targets(locations, strides, ranges, boxes, labels, radius)


def _nobody(locations: Tensor) -> Answer:
    N = len(locations)
    return torch.full((N,), -1), torch.zeros(N, 4)


def _smallest(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    return smallest_box(may, boxes)


def _least(value: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Pick:
    """The candidate of the least value; value: of boxes, sides and locations, to [N, M] or [M]."""

    def pick(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
        values = value(boxes, sides, locations).expand(may.shape)
        best = values.masked_fill(~may, INF).argmin(1)
        return torch.where(may.any(1), best, -1)

    return pick


def _by_1e8(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    best = (may * (1e8 - box_area(boxes).float())).argmax(1)
    return torch.where(may.any(1), best, -1)


def _last_of_equals(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    match = smallest_box(may.flip(1), boxes.flip(0))
    return torch.where(match >= 0, len(boxes) - 1 - match, -1)


def _smallest_around(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    """The smallest box that the location lies in; and if it may not answer for that, none."""
    match = smallest_box((sides > 0).all(-1), boxes)
    allowed = may[torch.arange(len(may)), match.clamp(min=0)] & (match >= 0)
    return torch.where(allowed, match, -1)


def _centre_away(boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return (locations[:, None] - centres).norm(dim=-1)


def _assign(
    pick: Pick = _smallest,
    may: Callable[..., Tensor] = lambda locations, strides, ranges, boxes, radius: (
        near_centre(locations, strides, boxes, radius)
        & in_range(box_sides(locations, boxes), ranges)
    ),
    say: Callable[[Tensor, Tensor], Tensor] = lambda match, labels: torch.where(
        match >= 0, labels[match.clamp(min=0)], -1
    ),
    own: Callable[[Tensor, Tensor], Tensor] = lambda sides, match: sides[
        torch.arange(len(match)), match.clamp(min=0)
    ],
    unit: Callable[[Tensor], Tensor] = torch.ones_like,
    everywhere: bool = False,
    nobody: Callable[[Tensor], Answer] = _nobody,
) -> Callable[..., Any]:
    """The exercise with one step replaced."""

    def wrong(
        locations: Tensor,
        strides: Tensor,
        ranges: Tensor,
        boxes: Tensor,
        labels: Tensor,
        radius: float = 1.5,
    ) -> Answer:
        if len(boxes) == 0:
            return nobody(locations)
        sides = box_sides(locations, boxes)
        match = pick(may(locations, strides, ranges, boxes, radius), boxes, sides, locations)
        mine = own(sides, match) / unit(strides)[:, None]
        return say(match, labels), mine if everywhere else mine * (match >= 0)[:, None]

    return wrong


def _no_boxes_no_answer(locations: Tensor) -> Answer:
    """Without a look at the case of no objects: the minimum of nothing."""
    torch.zeros(len(locations), 0).min(dim=1)
    return _nobody(locations)


def _boxes_themselves(
    locations: Tensor,
    strides: Tensor,
    ranges: Tensor,
    boxes: Tensor,
    labels: Tensor,
    radius: float = 1.5,
) -> Answer:
    classes, sides = _reference(locations, strides, ranges, boxes, labels, radius)
    around_it = torch.cat([locations - sides[:, :2], locations + sides[:, 2:]], 1)
    return classes, around_it * (classes >= 0)[:, None]


def _case(
    probes: str, make: Callable[[Draw], tuple[Any, Tensor]], *radius: float, **about: Any
) -> Case:
    def inputs(d: Draw) -> tuple[Any, ...]:
        where, boxes = make(d)
        return *where, boxes, labels_for(d, len(boxes)), *radius

    return Case(probes, inputs, **about)


def _one(d: Draw) -> tuple[Any, Tensor]:
    x, y = corner(d)
    return around(x, y, 6, 7), torch.tensor([square(x, y, 32 + 16 * d.integer(0, 1), 40)]).float()


def _nested_the_other_way(d: Draw) -> tuple[Any, Tensor]:
    where, boxes = nested(d)
    return where, boxes.flip(0)


def _smaller_one_out_of_range(d: Draw) -> tuple[Any, Tensor]:
    """A small box in a large one, and a level that is not in charge of the small one."""
    x, y = corner(d)
    boxes = [square(x, y, 64, 56), square(x + 24, y + 20, 16, 16)]
    return around(x, y, reach=(20 + d.integer(0, 4), 64)), torch.tensor(boxes).float()


def _equal(d: Draw) -> tuple[Any, Tensor]:
    """Two boxes of equal area about one centre, one wide and one high."""
    x, y = corner(d)
    long = 32 + 16 * d.integer(0, 1)
    boxes = [square(x, y, long, 24), square(x + long / 2 - 12, y + 12 - long / 2, 24, long)]
    points = [[x + long / 2 + 0.25, y + 11.75], [x + long / 2 - 2.75, y + 9.25]]
    return places(points), torch.tensor(boxes).float()


def _nearly_equal(d: Draw) -> tuple[Any, Tensor]:
    """1600 and 1599 square pixels."""
    x, y = corner(d)
    boxes = [square(x, y, 40, 40), square(x, y, 41, 39)]
    return places([[x + 20.25, y + 19.75], [x + 15.25, y + 24.25]]), torch.tensor(boxes).float()


def _thin(d: Draw) -> tuple[Any, Tensor]:
    """A compact box and a long, thin one of smaller area over it."""
    x, y = corner(d)
    boxes = [square(x + 16, y, 32, 32), square(x, y + 12, 64, 8)]
    points = [[x + 30.25, y + 16.25], [x + 34.25, y + 15.75], [x + 26.25, y + 8.25]]
    return places(points), torch.tensor(boxes).float()


def _no_objects(d: Draw) -> tuple[Any, Tensor]:
    return around(*corner(d), 2, 3), torch.zeros(0, 4)


LOCATION_TARGETS = Exercise(
    name="location_targets",
    points=3,
    reference=_reference,
    names=("locations", "strides", "ranges", "boxes", "labels", "radius"),
    outputs=("classes", "sides"),
    forbids=("assign_targets", "smallest_box", "near_centre", "in_range"),
    rows=True,
    cases=(
        _case("one object", _one, core=True),
        _case("a small object in a large one", nested, core=True),
        _case("the same, and the small one comes first", _nested_the_other_way, core=True),
        _case("two levels, three objects", small_beside_large, core=True),
        _case("the smaller one is too small for the level", _smaller_one_out_of_range),
        _case("a thin object over a compact one", _thin),
        _case("two objects of equal area", _equal),
        _case("areas of 1600 and 1599 square pixels", _nearly_equal),
        _case("the whole box: radius ∞", nested, INF),
        _case("a picture without objects", _no_objects),
    ),
    mistakes=(
        Mistake(
            "first_candidate",
            "Where several objects may be answered for, you took the first. It is the one with "
            "the smallest area.",
            _assign(pick=_least(lambda boxes, sides, _: torch.arange(len(boxes)).float())),
        ),
        Mistake(
            "last_candidate",
            "Where several objects may be answered for, the last one has overwritten the others. "
            "It is the one with the smallest area.",
            _assign(pick=_least(lambda boxes, sides, _: -torch.arange(len(boxes)).float())),
        ),
        Mistake(
            "largest",
            "Where several objects may be answered for, you took the largest. It is the smallest: "
            "the large one has other places.",
            _assign(pick=_least(lambda boxes, sides, _: -box_area(boxes))),
        ),
        Mistake(
            "nearest_centre",
            "Where several objects may be answered for, you took the one with the nearest centre. "
            "It is the one with the smallest area.",
            _assign(pick=_least(_centre_away)),
        ),
        Mistake(
            "shortest_reach",
            "Where several objects may be answered for, you took the one with the smallest longest "
            "distance. It is the smallest area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: sides.amax(-1))),
        ),
        Mistake(
            "smallest_before_the_rules",
            "You took the smallest box around a location, and then asked whether it may answer for "
            "it. Ask first, and take the smallest of those that are left.",
            _assign(pick=_smallest_around),
        ),
        Mistake(
            "last_of_equals",
            "Of two objects of equal area you took the last. Take the first: `<`, not `<=`, in a "
            "loop; `argmin` does it.",
            _assign(pick=_last_of_equals),
        ),
        Mistake(
            "large_number_minus_area",
            "Areas of 1600 and 1599 look alike in your function: 1e8 − area has no digits left for "
            "the difference in float32. Compare the areas themselves.",
            _assign(pick=_by_1e8),
        ),
        Mistake(
            "no_centre_sampling",
            "Locations far from the centre answer. Let `may_answer` decide, with its radius.",
            _assign(
                may=lambda locations, strides, ranges, boxes, radius: (
                    near_centre(locations, strides, boxes, None)
                    & in_range(box_sides(locations, boxes), ranges)
                )
            ),
        ),
        Mistake(
            "no_range",
            "Levels answer for objects that are not of their size. Let `may_answer` decide, with "
            "the ranges.",
            _assign(
                may=lambda locations, strides, ranges, boxes, radius: near_centre(
                    locations, strides, boxes, radius
                )
            ),
        ),
        Mistake(
            "radius_dropped",
            "`radius` does not reach `may_answer`: hand it on.",
            _assign(
                may=lambda locations, strides, ranges, boxes, radius: (
                    near_centre(locations, strides, boxes, 1.5)
                    & in_range(box_sides(locations, boxes), ranges)
                )
            ),
        ),
        Mistake(
            "number_for_class",
            "The number of the object stands where its class should: `labels[match]` is the class "
            "of object number `match`.",
            _assign(say=lambda match, labels: match),
        ),
        Mistake(
            "background_is_0",
            "Locations without an object have class 0, which is an object's class. They are −1: no "
            "class at all.",
            _assign(say=lambda match, labels: torch.where(match >= 0, labels[match.clamp(0)], 0)),
        ),
        Mistake(
            "classes_from_one",
            "The classes are one too high, with 0 for background. Classes are as in `labels`, and "
            "background is −1.",
            _assign(
                say=lambda match, labels: torch.where(match >= 0, labels[match.clamp(0)] + 1, 0)
            ),
        ),
        Mistake(
            "last_label_everywhere",
            "Locations without an object have the class of the last one: an index of −1 picks it, "
            "without an error. They are −1.",
            _assign(say=lambda match, labels: labels[match]),
        ),
        Mistake(
            "sides_everywhere",
            "Locations without an object have distances. There is no box that they could belong "
            "to: 0 for them.",
            _assign(everywhere=True),
        ),
        Mistake(
            "sides_of_the_first",
            "The distances lead to the first object at every location. Each has its own: "
            "`sides[n, match[n]]`.",
            _assign(own=lambda sides, match: sides[:, 0]),
        ),
        Mistake(
            "sides_in_strides",
            "The distances are in strides. Leave them in pixels here; the network's unit comes "
            "later.",
            _assign(unit=lambda strides: strides),
        ),
        Mistake(
            "boxes_for_sides",
            "These are the boxes. Asked for are the distances from the location to their sides.",
            _boxes_themselves,
        ),
        Mistake(
            "empty_fails",
            "A picture without objects ends in an error: there is no minimum of nothing. Return "
            "early there, all classes −1 and all distances 0.",
            _assign(nobody=_no_boxes_no_answer),
        ),
        Mistake(
            "empty_is_class_0",
            "In a picture without objects all locations have class 0. They are background, −1: the "
            "detector has to learn to keep quiet there.",
            _assign(
                nobody=lambda locations: (
                    torch.zeros(len(locations)).long(),
                    torch.zeros(len(locations), 4),
                )
            ),
        ),
        Mistake(
            "swapped",
            "The two parts came in the other order. Return classes, then sides.",
            lambda *given: _reference(*given)[::-1],
        ),
    ),
    hints=(
        "No objects: return early, `torch.full((N,), -1)` and `torch.zeros(N, 4)`. Otherwise "
        "`may = may_answer(...)` [N, M].",
        "`areas` [M] are width times height. `areas.expand(may.shape).masked_fill(~may, inf)` is a "
        "table in which only candidates count; `.min(dim=1)` finds value and place of the least.",
        "`sides[torch.arange(N), best]` takes one row for each location. Where `may.any(dim=1)` is "
        "False, the class is −1 and the row 0.",
    ),
)
