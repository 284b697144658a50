"""Exercise 1: gaussian_radius."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref

Equation = tuple[float, float, float]
Radius = Callable[..., float]


def _reference(height: float, width: float, min_overlap: float = 0.7) -> float:
    return ref.gaussian_radius(height, width, min_overlap)


def _published(height: float, width: float, min_overlap: float = 0.7) -> float:
    return ref.gaussian_radius(height, width, min_overlap, published=True)


def _equations(h: float, w: float, o: float) -> tuple[Equation, Equation, Equation]:
    """a, b, c for corners that move the same way, inwards, outwards."""
    return (
        (1.0, -(h + w), h * w * (1 - o) / (1 + o)),
        (4.0, -2 * (h + w), (1 - o) * h * w),
        (4 * o, 2 * o * (h + w), (o - 1) * h * w),
    )


def _radius(
    divide: Callable[[float], float] = lambda a: 2 * a,
    signs: Sequence[int] = (-1, -1, 1),
    inside: float = -4,
    choose: Callable[[Sequence[float]], float] = min,
    which: Sequence[int] = (0, 1, 2),
    overlap: Callable[[float], float] = lambda o: o,
) -> Radius:
    """The exercise with one step replaced.

    divide: what the root is divided by. inside: of b² − 4ac. which: the equations that count.
    """

    def wrong(height: float, width: float, min_overlap: float = 0.7) -> float:
        radii = []
        equations = _equations(height, width, overlap(min_overlap))
        for (a, b, c), sign in zip(equations, signs, strict=True):
            root = math.sqrt(max(b * b + inside * a * c, 0.0))
            radii.append((-b + sign * root) / divide(a))
        return choose([radii[k] for k in which])

    return wrong


def _twice(height: float, width: float, min_overlap: float = 0.7) -> float:
    return 2 * _reference(height, width, min_overlap)


def _of_a_square(side: Callable[[float, float], float]) -> Radius:
    """Inwards, as if the box were a square."""

    def wrong(height: float, width: float, min_overlap: float = 0.7) -> float:
        return side(height, width) * (1 - math.sqrt(min_overlap)) / 2

    return wrong


def _linear(height: float, width: float, min_overlap: float = 0.7) -> float:
    return min(height, width) * (1 - min_overlap) / 2


def _whole(height: float, width: float, min_overlap: float = 0.7) -> float:
    return int(_reference(height, width, min_overlap))


def _plus_four(height: float, width: float, min_overlap: float = 0.7) -> float:
    return _radius(inside=4)(height, width, min_overlap)


def _case(
    probes: str, height: Sequence[int], width: Sequence[int], *overlap: float, **about: Any
) -> Case:
    """A box with sides in these ranges. A width of () takes the height."""

    def make(d: Draw) -> tuple[Any, ...]:
        h = d.integer(*height)
        w = d.integer(*width) if width else h
        return float(h), float(w), *overlap

    return Case(probes, make, **about)


def _rounded(digits: int) -> Radius:
    def wrong(height: float, width: float, min_overlap: float = 0.7) -> float:
        return float(round(_reference(height, width, min_overlap), digits))

    return wrong


def _root(a: float, b: float, c: float, sign: int) -> float:
    return (-b + sign * math.sqrt(b * b - 4 * a * c)) / (2 * a)


def _smallest_positive(height: float, width: float, min_overlap: float = 0.7) -> float:
    """Both roots of each equation, and of those above 0 the smallest."""
    rows = _equations(height, width, min_overlap)
    roots = [_root(*row, sign) for row in rows for sign in (-1, 1)]
    return min(r for r in roots if r > 0)


def _half_b(height: float, width: float, min_overlap: float = 0.7) -> float:
    """-(h + w) in the second equation: often there is no root at all."""
    same, (a, b, c), out = _equations(height, width, min_overlap)
    return min(_root(*same, -1), _root(a, b / 2, c, -1), _root(*out, 1))


def _c_of_the_rest(height: float, width: float, min_overlap: float = 0.7) -> float:
    """o hw in the second equation, where the share that is lost stands: (1 - o) hw."""
    same, (a, b, _), out = _equations(height, width, min_overlap)
    c = min_overlap * height * width
    return min(_root(*same, -1), _root(a, b, c, -1), _root(*out, 1))


def _not_negated(height: float, width: float, min_overlap: float = 0.7) -> float:
    signs = (-1, -1, 1)
    rows = _equations(height, width, min_overlap)
    return min(b / a + _root(a, b, c, s) for (a, b, c), s in zip(rows, signs, strict=True))


def _fractions(d: Draw) -> tuple[Any, ...]:
    return d.integer(5, 20) + 0.25, d.integer(30, 50) + 0.75, 0.7


GAUSSIAN_RADIUS = Exercise(
    name="gaussian_radius",
    points=3,
    reference=_reference,
    names=("height", "width", "min_overlap"),
    forbids=("gaussian_radius", "corner_radii"),
    cases=(
        _case("a square box, 0.7 by default", (40, 90), (), core=True),
        _case("a box wider than high", (16, 30), (60, 99), 0.7, core=True),
        _case("an overlap of 0.5", (60, 99), (25, 40), 0.5, core=True),
        _case("a box much higher than wide", (90, 120), (6, 12), 0.7),
        _case("an overlap of 0.9", (30, 80), (30, 80), 0.9),
        _case("a small overlap, 0.1", (30, 60), (), 0.1),
        Case("sides that are no whole numbers", _fractions),
        _case("a box without height", (0, 0), (20, 60), 0.7),
    ),
    mistakes=(
        Mistake(
            "published",
            "This is the radius of the published programs: divided by 2 where the formula has 2a, "
            "and the larger root taken twice. Boxes moved so far overlap far too little.",
            _published,
        ),
        Mistake(
            "same_way_only",
            "This is the radius of corners that move the same way. That of corners which both move "
            "inwards is smaller. Is its equation among yours, with a = 4, b = −2(h + w) and "
            "c = (1 − o)hw, and divided by 2a?",
            _radius(which=(0,)),
        ),
        Mistake(
            "divided_by_2",
            "Each root was divided by 2. The quadratic formula divides by 2a, and a is 1 in the "
            "first equation only.",
            _radius(divide=lambda a: 2.0),
        ),
        Mistake(
            "two_times_a",
            "Each root was divided by 2 and then multiplied with a: so Python reads `/ 2 * a`. "
            "Brackets make it one number, `/ (2 * a)`.",
            _radius(divide=lambda a: 2 / a),
        ),
        Mistake(
            "larger_root",
            "The larger root was taken in all three equations. In the first two the IoU falls to "
            "the limit at the smaller root; the larger one would turn the box inside out.",
            _radius(signs=(1, 1, 1)),
        ),
        Mistake(
            "plus_four_a_c",
            "Under the root stands b² + 4ac. It is b² − 4ac.",
            _plus_four,
        ),
        Mistake(
            "largest",
            "This is the largest of the three radii, that of corners which both move outwards. All "
            "three moves must be harmless: take the smallest.",
            _radius(choose=max),
        ),
        Mistake(
            "mean",
            "This is the mean of the three radii. All three moves must be harmless: take the "
            "smallest.",
            _radius(choose=lambda radii: sum(radii) / 3),
        ),
        Mistake(
            "twice",
            "The radius is twice as large as it should. Is there 2a below the fraction? And both "
            "corners move by r, so that a side becomes 2r shorter.",
            _twice,
        ),
        Mistake(
            "overlap_dropped",
            "0.7 is the overlap whatever `min_overlap` says.",
            _radius(overlap=lambda o: 0.7),
        ),
        Mistake(
            "square_of_one_area",
            "The box was taken for a square of the same area. Height and width stand in the "
            "equations by themselves: h + w and h · w.",
            _of_a_square(lambda h, w: math.sqrt(h * w)),
        ),
        Mistake(
            "shorter_side",
            "Only the shorter side was used. A long box bears more than a square of its shorter "
            "side: both sides stand in the equations.",
            _of_a_square(min),
        ),
        Mistake(
            "mean_side",
            "The box was taken for a square with the mean of its sides. Height and width stand in "
            "the equations by themselves: h + w and h · w.",
            _of_a_square(lambda h, w: (h + w) / 2),
        ),
        Mistake(
            "linear",
            "The overlap was taken as a share of a side. It is a share of the area, in which both "
            "sides shrink at once: solve the quadratic equations.",
            _linear,
        ),
        Mistake(
            "whole",
            "The radius was cut to a whole number. That comes later, when it is drawn; here the "
            "exact one is asked for.",
            _whole,
        ),
        Mistake(
            "rounded",
            "The radius was rounded to a whole number. It is cut later, when it is drawn; here the "
            "exact one is asked for.",
            _rounded(0),
        ),
        Mistake(
            "two_digits",
            "The radius was rounded to two digits. The exact one is asked for.",
            _rounded(2),
        ),
        Mistake(
            "negative",
            "The radius is below 0: the minus sign of the root was taken in the third equation, "
            "too. There it is the plus sign, see the last column of the table.",
            _radius(signs=(-1, -1, -1)),
        ),
        Mistake(
            "b_not_negated",
            "The fraction begins with b. It begins with −b, which is h + w in the first equation.",
            _not_negated,
        ),
        Mistake(
            "height_twice",
            "The height stands where the width should: this is the radius of a square of that "
            "height. h + w and h · w have both sides.",
            _of_a_square(lambda h, w: h),
        ),
        Mistake(
            "half_b",
            "In the second equation b is −(h + w), and often there is no root at all. Both "
            "corners move by r, so a side shrinks by 2r: b = −2(h + w).",
            _half_b,
        ),
        Mistake(
            "c_of_the_rest",
            "In the second equation c is o · hw. Both hw and o · hw stand in it, and what is left "
            "of them is (1 − o) · hw.",
            _c_of_the_rest,
        ),
        Mistake(
            "smallest_above_0",
            "The smallest root above 0 was taken, of all six. Take the one with the sign in the "
            "table: for a box without height it is 0, no corner may move.",
            _smallest_positive,
        ),
    ),
    hints=(
        "Write the three rows of the table as `(a, b, c, sign)` into a list, with "
        "`h, w, o = height, width, min_overlap`.",
        "For each row `(-b + sign * math.sqrt(b * b - 4 * a * c)) / (2 * a)`. The brackets around "
        "2 * a matter: `/ 2 * a` divides by 2 and multiplies with a.",
        "Collect the three in a list `radii` and `return min(radii)`.",
    ),
)
