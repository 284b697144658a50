"""Exercises 4 and 6: average_precision_11, average_precision_101: the mean of some heights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from autograde.exercises.lesson_03_map.inputs import AVERAGES, CURVES
from autograde.spec import Exercise, Mistake
from course_lib import metrics as ref

Height = Callable[[Tensor, Tensor, float], float]  # of precision, recall and a recall point
Average = Callable[[Tensor, Tensor], float]


def _points(count: int) -> list[float]:
    return [k / (count - 1) for k in range(count)]


def _to_the_right(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r >= point].tolist(), default=0.0)


def _where_reached(p: Tensor, r: Tensor, point: float) -> float:
    return next(iter(p[r >= point].tolist()), 0.0)


def _strictly_right(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r > point].tolist(), default=0.0)


def _mean_to_the_right(p: Tensor, r: Tensor, point: float) -> float:
    reached = p[r >= point]
    return float(reached.mean()) if len(reached) else 0.0


def _to_the_left(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r <= point].tolist(), default=0.0)


def _last_goes_on(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r >= point].tolist(), default=p[-1].item() if len(p) else 0.0)


def _linear(p: Tensor, r: Tensor, point: float) -> float:
    return float(np.interp(point, r.numpy(), p.numpy(), right=0.0)) if len(p) else 0.0


def _max_of_nothing(p: Tensor, r: Tensor, point: float) -> float:
    return float(p[r >= point].max())


def average(points: list[float], height: Height = _to_the_right) -> Average:
    return lambda p, r: sum(height(p, r, point) for point in points) / len(points)


def _over_reached(points: list[float]) -> Average:
    def wrong(p: Tensor, r: Tensor) -> float:
        reached = [_to_the_right(p, r, t) for t in points if (r >= t).any()]
        return sum(reached) / max(len(reached), 1)

    return wrong


def _over(points: list[float], count: int) -> Average:
    return lambda p, r: sum(_to_the_right(p, r, point) for point in points) / count


def mean_precision(p: Tensor, r: Tensor) -> float:
    return p.mean().item() if len(p) else 0.0


HEIGHT_MISTAKES: tuple[tuple[str, str, Height], ...] = (
    (
        "where_reached",
        "You take the precision where the recall is reached first. The curve may rise again "
        "further right: take the highest from there on.",
        _where_reached,
    ),
    (
        "strictly_right",
        "A recall of exactly the point is left out by `>`. It reaches the point: use `>=`.",
        _strictly_right,
    ),
    (
        "mean_to_the_right",
        "This is the mean precision from the point on. Take the highest one: whoever needs that "
        "recall would stop where precision is best.",
        _mean_to_the_right,
    ),
    (
        "to_the_left",
        "You look to the left of the point, at recalls that are too small. What counts lies at "
        "the point or to its right: recall >= point.",
        _to_the_left,
    ),
    (
        "last_goes_on",
        "Beyond the last recall the last precision goes on. What the detector never reaches has "
        "height 0.",
        _last_goes_on,
    ),
    (
        "linear",
        "The height is drawn as a straight line from point to point of the curve. The rule takes "
        "the highest precision at this recall or a higher one.",
        _linear,
    ),
    (
        "max_of_nothing",
        "max() of an empty selection is an error. Where no recall is as large as the point, the "
        "height is 0.",
        _max_of_nothing,
    ),
)


def _height_mistakes(points: list[float]) -> tuple[Mistake, ...]:
    return tuple(Mistake(n, says, average(points, h)) for n, says, h in HEIGHT_MISTAKES)


ELEVEN, HUNDRED = _points(11), _points(101)

AVERAGE_PRECISION_11 = Exercise(
    name="average_precision_11",
    points=2,
    reference=ref.average_precision_11,
    names=("precision", "recall"),
    forbids=AVERAGES,
    cases=CURVES,
    mistakes=(
        *_height_mistakes(ELEVEN),
        Mistake(
            "without_0",
            "The point 0 is left out: there are eleven points, 0, 0.1, …, 1. `range(1, 11)` has "
            "only ten of them.",
            average(ELEVEN[1:]),
        ),
        Mistake(
            "without_1",
            "The point 1 is left out: `range(10)` ends at 0.9. There are eleven points, "
            "0, 0.1, …, 1.",
            average(ELEVEN[:-1]),
        ),
        Mistake(
            "over_ten",
            "Eleven heights are divided by ten. From 0 to 1 in steps of 0.1 there are eleven "
            "points: divide by 11.",
            _over(ELEVEN, 10),
        ),
        Mistake(
            "over_reached",
            "The mean is taken over the points that are reached only. The others have height 0, "
            "and they count: divide by 11.",
            _over_reached(ELEVEN),
        ),
        Mistake(
            "sum_of_heights",
            "The heights are added but not divided by their number: the mean is what is asked for.",
            _over(ELEVEN, 1),
        ),
        Mistake(
            "hundred_points",
            "These are COCO's 101 points. VOC 2007 looks at 11: 0, 0.1, …, 1.",
            average(HUNDRED),
        ),
        Mistake(
            "whole_area",
            "This is the whole area under the envelope. VOC 2007 looks at 11 points only and "
            "takes the mean of the heights there.",
            lambda p, r: ref.average_precision_all(p, r).item(),
        ),
        Mistake(
            "mean_of_precision",
            "This is the mean of `precision`, one value for each detection. Every recall point "
            "counts alike instead, however many detections lie between two of them.",
            mean_precision,
        ),
    ),
    hints=(
        "One height for each of the points 0, 0.1, …, 1: `for k in range(11)`, "
        "the point is k / 10.",
        "The height at a point is the highest precision among `precision[recall >= point]`.",
        "If that selection is empty, the height is 0. At the end: sum / 11.",
    ),
    picture="curve",
)


AVERAGE_PRECISION_101 = Exercise(
    name="average_precision_101",
    points=2,
    reference=ref.average_precision_101,
    names=("precision", "recall"),
    forbids=AVERAGES,
    cases=CURVES,
    mistakes=(
        *_height_mistakes(HUNDRED),
        Mistake(
            "without_0",
            "The point 0 is left out: COCO's points are 0, 0.01, …, 1, and that is 101 of them.",
            average(HUNDRED[1:]),
        ),
        Mistake(
            "without_1",
            "The point 1 is left out: `range(100)` ends at 0.99. There are 101 points.",
            average(HUNDRED[:-1]),
        ),
        Mistake(
            "hundred_from_0_to_1",
            "These are 100 points from 0 to 1, a little more than 0.01 apart. In steps of 0.01 "
            "there are 101.",
            average(_points(100)),
        ),
        Mistake(
            "over_100",
            "101 heights are divided by 100. From 0 to 1 in steps of 0.01 there are 101 points.",
            _over(HUNDRED, 100),
        ),
        Mistake(
            "over_reached",
            "The mean is taken over the points that are reached only. The others have height 0, "
            "and they count: divide by 101.",
            _over_reached(HUNDRED),
        ),
        Mistake(
            "eleven_points",
            "These are the 11 points of VOC 2007. COCO looks at 101: 0, 0.01, …, 1.",
            average(ELEVEN),
        ),
        Mistake(
            "whole_area",
            "This is the exact area under the envelope. COCO takes the mean of its heights at 101 "
            "points, which is near but not the same.",
            lambda p, r: ref.average_precision_all(p, r).item(),
        ),
        Mistake(
            "mean_of_precision",
            "This is the mean of `precision`, one value for each detection. Every recall point "
            "counts alike instead, however many detections lie between two of them.",
            mean_precision,
        ),
    ),
    hints=(
        "It is exercise 4 with other points: 0, 0.01, …, 1.",
        "`for k in range(101)`: the point is k / 100, and at the end divide by 101.",
        "Without a loop: `torch.searchsorted(recall, points)` says where each point is reached "
        "first; read the envelope there, with a 0 behind its end for what is never reached.",
    ),
    picture="curve",
)
