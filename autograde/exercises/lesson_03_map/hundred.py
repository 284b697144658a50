"""Exercise 6: average_precision_101."""

from __future__ import annotations

import torch

from autograde.exercises.lesson_03_map.heights import (
    ELEVEN,
    HUNDRED,
    average,
    evenly,
    height_mistakes,
    over,
)
from autograde.exercises.lesson_03_map.inputs import AVERAGES, CURVES, three_fifths
from autograde.spec import Case, Exercise, Mistake
from course_lib import metrics as ref

AVERAGE_PRECISION_101 = Exercise(
    name="average_precision_101",
    points=2,
    reference=ref.average_precision_101,
    names=("precision", "recall"),
    forbids=AVERAGES,
    cases=(
        *CURVES,
        Case("a recall of exactly 3/5 reaches the point 0.60, 4/5 reaches 0.80", three_fifths),
    ),
    mistakes=(
        *height_mistakes(HUNDRED),
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
            average(evenly(100)),
        ),
        Mistake(
            "over_100",
            "101 heights are divided by 100. From 0 to 1 in steps of 0.01 there are 101 points.",
            over(HUNDRED, 100),
        ),
        Mistake(
            "hundred_over_101",
            "The point 1 is left out: `range(100)` ends at 0.99. You divide by 101, and so many "
            "points there are: 0, 0.01, …, 1.",
            over(HUNDRED[:-1], 101),
        ),
        Mistake(
            "divided_by_101",
            "The points are k / 101, so they end below 1. In steps of 0.01 they are k / 100, for k "
            "from 0 to 100.",
            average([k / 101 for k in range(101)]),
        ),
        Mistake(
            "from_0.01_to_1.01",
            "These are the points 0.01, 0.02, …, 1.01. They begin with 0: 0, 0.01, …, 1.",
            average([(k + 1) / 100 for k in range(101)]),
        ),
        Mistake(
            "points_in_float32",
            "The points are in float32, where 0.6 is 0.6000000238: a recall of 3/5 in float64 "
            "misses it. Write k / 100, or `torch.linspace(0, 1, 101, dtype=recall.dtype)`.",
            average(torch.linspace(0, 1, 101).tolist()),
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
    ),
    hints=(
        "It is exercise 4 with other points: 0, 0.01, …, 1.",
        "`for k in range(101)`: the point is k / 100, and at the end divide by 101.",
        "Without a loop: `torch.searchsorted(recall, points)` says where each point is reached "
        "first; read the envelope there, with a 0 behind its end for what is never reached. "
        "The points: `torch.linspace(0, 1, 101, dtype=recall.dtype)`.",
    ),
    picture="curve",
)
