"""Exercise 4: average_precision_11."""

from __future__ import annotations

import numpy as np
import torch

from autograde.exercises.lesson_03_map.heights import (
    ELEVEN,
    HUNDRED,
    average,
    height_mistakes,
    over,
)
from autograde.exercises.lesson_03_map.inputs import AVERAGES, CURVES, three_tenths
from autograde.spec import Case, Exercise, Mistake
from course_lib import metrics as ref

AVERAGE_PRECISION_11 = Exercise(
    name="average_precision_11",
    points=2,
    reference=ref.average_precision_11,
    names=("precision", "recall"),
    forbids=AVERAGES,
    cases=(
        *CURVES,
        Case("a recall of exactly 3/10 reaches the point 0.3, 7/10 reaches 0.7", three_tenths),
    ),
    mistakes=(
        *height_mistakes(ELEVEN),
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
            over(ELEVEN, 10),
        ),
        Mistake(
            "ten_over_eleven",
            "The point 1 is left out: `range(10)` ends at 0.9. You divide by 11, and eleven "
            "points there are: 0, 0.1, …, 1.",
            over(ELEVEN[:-1], 11),
        ),
        Mistake(
            "from_0.1_to_1.1",
            "These are the points 0.1, 0.2, …, 1.1. They begin with 0: 0, 0.1, …, 1.",
            average([(k + 1) / 10 for k in range(11)]),
        ),
        Mistake(
            "steps_added_up",
            "Some points are a hair too high: 3 * 0.1 (np.arange and np.linspace do that) is "
            "0.30000000000000004, and a recall of 3/10 misses it. Divide: k / 10.",
            average(np.linspace(0, 1, 11).tolist()),
        ),
        Mistake(
            "steps_from_both_ends",
            "torch.linspace makes 0.3 as 3 * 0.1, which is 0.30000000000000004: a recall of 3/10 "
            "misses it. Divide: `torch.arange(11, dtype=recall.dtype) / 10`.",
            average(torch.linspace(0, 1, 11, dtype=torch.float64).tolist()),
        ),
        Mistake(
            "points_in_float32",
            "The points are in float32, where 0.3 is 0.3000000119: a recall of 3/10 in float64 "
            "misses it. Write k / 10, or `torch.arange(11, dtype=recall.dtype) / 10`.",
            average((torch.arange(11) / 10).tolist()),
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
    ),
    hints=(
        "One height for each of the points 0, 0.1, …, 1: `for k in range(11)`, "
        "the point is k / 10.",
        "The height at a point is the highest precision among `precision[recall >= point]`.",
        "If that selection is empty, the height is 0. At the end: sum / 11.",
    ),
    picture="curve",
)
