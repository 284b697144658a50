"""Exercise 5: average_precision_all, the area under the envelope."""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.exercises.lesson_03_map.heights import ELEVEN, HUNDRED, average, mean_precision
from autograde.exercises.lesson_03_map.inputs import AVERAGES, CURVES
from autograde.spec import Exercise, Mistake
from course_lib import metrics as ref


def _steps(p: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """(width of each step, height of the envelope there)."""
    return r.diff(prepend=r.new_zeros(1)), ref.precision_envelope(p)


def _no_envelope(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p).sum()


def _envelope_from_left(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p.cummax(0).values).sum() if len(p) else p.sum()


def _not_flipped_back(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p.flip(0).cummax(0).values).sum() if len(p) else p.sum()


def _lowest(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p.flip(0).cummin(0).values.flip(0)).sum() if len(p) else p.sum()


def _trapezoid(p: Tensor, r: Tensor) -> Tensor:
    return torch.trapezoid(p, r)


def _widths_of_precision(p: Tensor, r: Tensor) -> Tensor:
    return (p.diff(prepend=p.new_zeros(1)).abs() * r).sum()


def _first_step_forgotten(p: Tensor, r: Tensor) -> Tensor:
    return (r.diff() * _steps(p, r)[1][1:]).sum()


def _excludes_itself(p: Tensor, r: Tensor) -> Tensor:
    height = torch.cat([_steps(p, r)[1][1:], p.new_zeros(1)])[: len(p)]
    return (_steps(p, r)[0] * height).sum()


def _wraps_around(p: Tensor, r: Tensor) -> Tensor:
    return ((r - r.roll(1)) * _steps(p, r)[1]).sum() if len(p) else p.sum()


def _up_to_one(p: Tensor, r: Tensor) -> Tensor:
    rest = (1 - r[-1]) * p[-1] if len(p) else 0
    return ref.average_precision_all(p, r) + rest


def _over_last_recall(p: Tensor, r: Tensor) -> Tensor:
    return ref.average_precision_all(p, r) / (r[-1].clamp(min=1e-9) if len(r) else 1)


def _recall_as_width(p: Tensor, r: Tensor) -> Tensor:
    return (r * _steps(p, r)[1]).sum()


def _sizes_do_not_fit(p: Tensor, r: Tensor) -> Tensor:
    if len(p):
        raise RuntimeError("widths and heights differ in length")
    return p.sum()


def _trapezoid_from_start(p: Tensor, r: Tensor) -> Tensor:
    return torch.trapezoid(torch.cat([p.new_ones(1), p]), torch.cat([r.new_zeros(1), r]))


def _mean_of_envelope(p: Tensor, r: Tensor) -> Tensor:
    return _steps(p, r)[1].mean() if len(p) else p.sum()


def _sorted_heights(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p.sort(descending=True).values).sum()


def _sorted_upwards(p: Tensor, r: Tensor) -> Tensor:
    return (_steps(p, r)[0] * p.sort().values).sum()


def _higher_neighbour(p: Tensor, r: Tensor) -> Tensor:
    after = torch.cat([p[1:], p.new_zeros(1)])[: len(p)]
    return (_steps(p, r)[0] * torch.maximum(p, after)).sum()


def _begins_at_one(p: Tensor, r: Tensor) -> Tensor:
    return (r.diff(prepend=r.new_ones(1)) * _steps(p, r)[1]).sum()


def _ends_at_one(p: Tensor, r: Tensor) -> Tensor:
    return (r.diff(append=r.new_ones(1)) * _steps(p, r)[1]).sum()


def _swapped(p: Tensor, r: Tensor) -> Tensor:
    width, height = p.diff(prepend=p.new_zeros(1)), ref.precision_envelope(r)
    return (width * height).sum()


AVERAGE_PRECISION_ALL = Exercise(
    name="average_precision_all",
    points=3,
    reference=ref.average_precision_all,
    names=("precision", "recall"),
    forbids=AVERAGES,
    cases=CURVES,
    mistakes=(
        Mistake(
            "no_envelope",
            "The area under the raw curve is measured, teeth and all. First raise each precision "
            "to the highest one from there to the right.",
            _no_envelope,
        ),
        Mistake(
            "envelope_from_left",
            "The highest precision so far, from the left, is taken. It must be the highest from "
            "here to the right: flip, cummax, flip back.",
            _envelope_from_left,
        ),
        Mistake(
            "not_flipped_back",
            "After flip and cummax the heights are still in reverse order. Flip them back before "
            "they meet the widths.",
            _not_flipped_back,
        ),
        Mistake(
            "lowest_to_the_right",
            "The lowest precision from here to the right is taken. The envelope is the highest.",
            _lowest,
        ),
        Mistake(
            "trapezoid",
            "The points of the raw curve are joined by slopes (trapezoids). Take the envelope, a "
            "staircase: each jump of recall is a rectangle as high as the envelope there.",
            _trapezoid,
        ),
        Mistake(
            "trapezoid_from_start",
            "A point (0, 1) stands in front, and all points are joined by slopes (trapezoids). "
            "The envelope is a staircase: width · height, box by box.",
            _trapezoid_from_start,
        ),
        Mistake(
            "sorted_heights",
            "Sorting `precision` is no envelope: low values from the left end up far right. Each "
            "place takes the highest precision from there to the right.",
            _sorted_heights,
        ),
        Mistake(
            "sorted_upwards",
            "Sorting `precision` is no envelope, and upwards it even rises. Each place takes the "
            "highest precision from there to the right.",
            _sorted_upwards,
        ),
        Mistake(
            "higher_neighbour",
            "Each precision is compared with its right neighbour only. The highest may lie "
            "further right: go from the right end, and remember the highest so far.",
            _higher_neighbour,
        ),
        Mistake(
            "swapped",
            "Precision and recall have changed places: widths are steps of recall, heights come "
            "from the envelope of precision.",
            _swapped,
        ),
        Mistake(
            "widths_of_precision",
            "Widths and heights have changed places: the differences are taken of precision. Take "
            "them of recall.",
            _widths_of_precision,
        ),
        Mistake(
            "recall_as_width",
            "Each height is multiplied by the whole recall. A rectangle is as wide as the recall "
            "grew in that step: take differences.",
            _recall_as_width,
        ),
        Mistake(
            "first_step_forgotten",
            "The first rectangle is missing, from recall 0 to the first recall: `recall.diff()` is "
            "one shorter than the heights. Put a 0 in front: `diff(prepend=torch.zeros(1))`.",
            _first_step_forgotten,
        ),
        Mistake(
            "sizes_do_not_fit",
            "An error each time. If it speaks of sizes: `recall.diff()` is one shorter than the "
            "envelope. Put a 0 in front: `recall.diff(prepend=torch.zeros(1))`.",
            _sizes_do_not_fit,
        ),
        Mistake(
            "begins_at_one",
            "The first width is counted from recall 1 and comes out negative. Before the first "
            "box recall is 0: prepend a 0.",
            _begins_at_one,
        ),
        Mistake(
            "ends_at_one",
            "Each height is multiplied with the step behind it, the last one up to recall 1. Its "
            "width is the step in front of it: prepend a 0 instead of appending a 1.",
            _ends_at_one,
        ),
        Mistake(
            "excludes_itself",
            "The envelope begins one place too far right: precision[i + 1:]. The precision at i "
            "itself belongs to it: precision[i:].",
            _excludes_itself,
        ),
        Mistake(
            "wraps_around",
            "The first width is first recall minus last: index −1 (or roll) has gone round to the "
            "end. Before the first recall there is 0.",
            _wraps_around,
        ),
        Mistake(
            "up_to_one",
            "The last height goes on to recall 1. What the detector never reaches adds nothing.",
            _up_to_one,
        ),
        Mistake(
            "over_last_recall",
            "The area is divided by the last recall. It is the mean height over all recalls from 0 "
            "to 1, so what is never reached counts as 0.",
            _over_last_recall,
        ),
        Mistake(
            "eleven_points",
            "These are the 11 points of VOC 2007. Here the whole area is asked for.",
            average(ELEVEN),
        ),
        Mistake(
            "hundred_points",
            "These are COCO's 101 points. Here the exact area is asked for, without any points.",
            average(HUNDRED),
        ),
        Mistake(
            "mean_of_envelope",
            "This is the mean of the envelope, one value for each detection. Each height counts "
            "by its width instead: how much the recall grew there.",
            _mean_of_envelope,
        ),
        Mistake(
            "mean_of_precision",
            "This is the mean of `precision`. A false alarm is a point of the curve, too, but it "
            "adds no recall: its rectangle has width 0.",
            mean_precision,
        ),
    ),
    hints=(
        "First the envelope: `precision.flip(0).cummax(0).values.flip(0)`; or a loop from the "
        "right end that remembers the highest so far. (An empty tensor needs care in a loop.)",
        "Then the widths: each recall minus the one before it. Before the first one there is 0.",
        "Area = sum of width · height. `recall.diff(prepend=torch.zeros(1))` gives all widths.",
    ),
    picture="curve",
)
