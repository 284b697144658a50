"""Exercise 4: soft_nms."""

from __future__ import annotations

from collections.abc import Callable

import torch

from autograde.exercises.lesson_02_nms.inputs import (
    Scene,
    at_threshold,
    crowd,
    double,
    negative,
    nothing,
    scene,
    squares,
    touching,
)
from autograde.exercises.lesson_02_nms.soft_mistakes import SOFT_MISTAKES
from autograde.spec import Case, Draw, Exercise
from course_lib import suppression as ref


def _overtaken(d: Draw) -> Scene:
    """Best first: A, B (IoU 0.6 with A), C (0.25 with A, 0.48 with B), D apart.

    A lowers B below C, so C is taken before B.
    """
    first = d.integer(90, 95) / 100
    scores = torch.tensor([first, first - 0.1, first - 0.25, first - 0.45])
    boxes = squares(d, [(0, 0), (5, 0), (12, 0), (60, 10)])
    return boxes[[1, 3, 0, 2]], scores[[1, 3, 0, 2]]


def _apart(d: Draw) -> Scene:
    """Boxes that do not meet, one of them with a score of exactly 0.25 and one below that."""
    boxes = squares(d, [(0, 0), (40, 0), (0, 40), (40, 40)])
    return boxes, torch.tensor([0.125, 0.25, 0.875, 0.5])


def _tied(d: Draw) -> Scene:
    """Two objects far apart, two boxes each; the first of each pair have equal scores."""
    boxes = squares(d, [(4, 0), (50, 0), (0, 0), (55, 0)])
    return boxes, torch.tensor([0.5, 0.75, 0.75, 0.25])


def _soft_case(
    probes: str,
    make: Callable[[Draw], Scene],
    method: str,
    least: float = 0.001,
    sigma: float = 0.4,
    threshold: float = 0.5,
    core: bool = False,
) -> Case:
    return Case(probes, lambda d: (*make(d), threshold, sigma, least, method), core=core)


SOFT_NMS = Exercise(
    name="soft_nms",
    points=3,
    reference=ref.soft_nms,
    names=("boxes", "scores", "iou_threshold", "sigma", "score_threshold", "method"),
    outputs=("keep", "scores"),
    cases=(
        _soft_case("Gaussian: four boxes, all stay", _overtaken, "gaussian", core=True),
        _soft_case("linear: four boxes, all stay", _overtaken, "linear", core=True),
        _soft_case("Gaussian: low scores drop out", _overtaken, "gaussian", least=0.4, core=True),
        _soft_case("linear: low scores drop out", _overtaken, "linear", least=0.4),
        _soft_case("a wide Gaussian, σ = 0.9", _overtaken, "gaussian", sigma=0.9),
        _soft_case("linear: IoU of exactly the threshold costs nothing", at_threshold, "linear"),
        _soft_case("three objects, many boxes, Gaussian", crowd, "gaussian", sigma=0.3),
        _soft_case("three objects, many boxes, linear", crowd, "linear", threshold=0.25),
        _soft_case("a score of exactly the threshold stays", _apart, "gaussian", least=0.25),
        _soft_case("equal scores: the earlier box comes first", _tied, "linear"),
        _soft_case("boxes that only touch", touching, "gaussian", sigma=0.2),
        _soft_case("negative coordinates, float64", lambda d: double(*negative(d)), "gaussian"),
        _soft_case("one box", lambda d: scene(d, [(0, 0)], [0]), "gaussian"),
        _soft_case("no boxes at all", lambda d: nothing(), "linear"),
    ),
    mistakes=SOFT_MISTAKES,
    hints=(
        "Work on a copy, `scores = scores.clone()`, and on a list `waiting` of the indices that "
        "are still there. One round: find the index in `waiting` with the highest score, take "
        "it, lower the others.",
        "`best = max(waiting, key=lambda k: scores[k])` finds it (of equal ones the first). If "
        "even the best is below the score threshold, you are done. "
        "`iou = box_iou(boxes[best][None], boxes[waiting])[0]` is its overlap with the rest.",
        "The factor: `torch.exp(-iou**2 / sigma)`, or `torch.where(iou > iou_threshold, 1 - iou, "
        "1)`. Then `scores[waiting] *= factor`. At the end return the indices and `scores[keep]`.",
    ),
    picture="kept",
)
