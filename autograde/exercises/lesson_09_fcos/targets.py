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


def _zeros_win(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    """Areas times the table: 0 where a location may not answer, and that is the least."""
    return torch.where(may.any(1), (box_area(boxes) * may).argmin(1), -1)


def _below_10000(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    best = box_area(boxes).expand(may.shape).masked_fill(~may, 10_000).argmin(1)
    return torch.where(may.any(1), best, -1)


def _only_one(may: Tensor, boxes: Tensor, sides: Tensor, locations: Tensor) -> Tensor:
    """A location that may answer for two objects answers for none."""
    return torch.where(may.sum(1) == 1, may.int().argmax(1), -1)


def _size(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


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
    filler: float = 0,
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
        kept = mine if everywhere else mine.masked_fill((match < 0)[:, None], filler)
        return say(match, labels), kept

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


def _positives_only(*given: Any) -> Answer:
    classes, sides = _reference(*given)
    return classes[classes >= 0], sides[classes >= 0]


def _l_r_t_b(*given: Any) -> Answer:
    classes, sides = _reference(*given)
    return classes, sides[:, [0, 2, 1, 3]]


def _a_column(*given: Any) -> Answer:
    classes, sides = _reference(*given)
    return classes[:, None], sides


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


def _not_by_the_area(d: Draw) -> tuple[Any, Tensor]:
    """Eight pairs of objects, far apart, a location over each; one has the smaller area, but:

    1, 2: the longer short side; it is taller than a wide one and ends lower, or wider than a high
    one and ends further right. 3, 4: it is the high or the wide one itself. 5: it ends further
    down and to the right. 6: it is longer, though not in the sum of both sides. 7: it is longer,
    though the longest distance is not. 8: with a pixel more on each side it would be larger.
    """
    s = d.integer(0, 3)
    pairs = [
        ([20, 4, 24, 24 + s], [0, 0, 64 + s, 12], (32.25, 8.25)),
        ([4, 20, 24 + s, 24], [0, 0, 12, 64 + s], (8.25, 32.25)),
        ([12, 0, 8, 64 + s], [0, 16, 32, 32], (16.25, 30.25)),
        ([0, 12, 64 + s, 8], [16, 0, 32, 32], (30.25, 16.25)),
        ([16, 16, 24, 24 + s], [0, 0, 36, 36], (23.25, 22.75)),
        ([0, 3, 40, 30], [2, 0, 36, 36 + s], (20.25, 18.25)),
        ([0, 12, 48, 16], [12, 0, 40, 40 + s], (24.25, 20.25)),
        ([0, 6, 60, 5], [21, 0, 18, 17], (30.25, 8.25)),
    ]
    points, boxes = [], []
    for k, (small, large, (x, y)) in enumerate(pairs):
        to = 100 * k + 4 * s
        for left, top, width, height in (small, large) if k % 2 else (large, small):
            boxes.append(square(to + left, to + top, width, height))
        points.append([to + x, to + y])
    return places(points), torch.tensor(boxes).float()


def _huge(d: Draw) -> tuple[Any, Tensor]:
    """An object of more than a million square pixels, and small ones beside it."""
    x, y = corner(d)
    boxes = [square(x + 80, y, 24, 24), square(x, y + 40, 1200 + 4 * d.integer(0, 9), 1000)]
    points = [[x + 600.25, y + 539.75], [x + 92.25, y + 11.75], [x + 605.25, y + 545.75]]
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
        _case("smaller in area, but wider, taller or further down", _not_by_the_area),
        _case("an object of over 1,000,000 square pixels", _huge),
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
            "by_width",
            "Where several objects may be answered for, you took the narrowest. It is the smallest "
            "area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: _size(boxes)[:, 0])),
        ),
        Mistake(
            "by_height",
            "Where several objects may be answered for, you took the flattest. It is the "
            "smallest area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: _size(boxes)[:, 1])),
        ),
        Mistake(
            "by_the_shorter_side",
            "Where several objects may be answered for, you took the one with the shortest side. "
            "It is the smallest area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: _size(boxes).amin(1))),
        ),
        Mistake(
            "by_the_longer_side",
            "Where several objects may be answered for, you compared their longer sides. It is the "
            "smallest area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: _size(boxes).amax(1))),
        ),
        Mistake(
            "by_the_sum_of_the_sides",
            "Where several objects may be answered for, you compared width plus height (l + t + r "
            "+ b is the same). It is the area: width times height.",
            _assign(pick=_least(lambda boxes, sides, _: _size(boxes).sum(1))),
        ),
        Mistake(
            "by_y2",
            "Where several objects may be answered for, you compared y2: where they end, not how "
            "large they are. The area is (x2 − x1) · (y2 − y1).",
            _assign(pick=_least(lambda boxes, sides, _: boxes[:, 3])),
        ),
        Mistake(
            "by_x2",
            "Where several objects may be answered for, you compared x2: where they end, not how "
            "large they are. The area is (x2 − x1) · (y2 − y1).",
            _assign(pick=_least(lambda boxes, sides, _: boxes[:, 2])),
        ),
        Mistake(
            "by_x2_y2",
            "You took x2 · y2 for the area. The last two columns are a corner, not width and "
            "height: (x2 − x1) · (y2 − y1).",
            _assign(pick=_least(lambda boxes, sides, _: boxes[:, 2] * boxes[:, 3])),
        ),
        Mistake(
            "plus_one_areas",
            "Your areas have a pixel more on each side, and that changes who is smaller. Boxes end "
            "where x2 and y2 say: no + 1.",
            _assign(pick=_least(lambda boxes, sides, _: (_size(boxes) + 1).prod(1))),
        ),
        Mistake(
            "zeros_win",
            "Areas times True or False are 0 where a location may not answer, and 0 is the least. "
            "Put ∞ there: `masked_fill(~may, math.inf)`.",
            _assign(pick=_zeros_win),
        ),
        Mistake(
            "a_large_number_for_inf",
            "The number that stands where a location may not answer is less than a large object's "
            "area, and wins. Put ∞ there: `masked_fill(~may, math.inf)`.",
            _assign(pick=_below_10000),
        ),
        Mistake(
            "several_is_background",
            "A location that may answer for two objects became background. It answers for the "
            "smaller one.",
            _assign(pick=_only_one),
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
            "background_sides_minus_1",
            "The distances of background are −1. They are 0; that it is background, the class "
            "says.",
            _assign(filler=-1),
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
            "l_r_t_b",
            "The distances came as l, r, t, b. The order is l, t, r, b, as `box_sides` gives them.",
            _l_r_t_b,
        ),
        Mistake(
            "positives_only",
            "Only the locations with an object came back. Every location has a row: background is "
            "−1 and four zeros.",
            _positives_only,
        ),
        Mistake(
            "classes_in_a_column",
            "The classes came as a column [N, 1]. One number a location is asked for, [N]: "
            "`squeeze(1)`, or no keepdim.",
            _a_column,
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
