"""Exercise 1: nms."""

from __future__ import annotations

from collections.abc import Callable

from autograde.exercises.lesson_02_nms.inputs import (
    CHAIN,
    Scene,
    at_threshold,
    copies,
    crowd,
    double,
    equal_rows,
    equal_scores,
    few_pixels,
    long_ago,
    many,
    negative,
    nothing,
    scene,
    score_zero,
    small_in_large,
    touching,
)
from autograde.exercises.lesson_02_nms.plain_mistakes import NMS_MISTAKES
from autograde.spec import Case, Draw, Exercise
from course_lib import suppression as ref


def _nms_case(
    probes: str, make: Callable[[Draw], Scene], threshold: float = 0.5, core: bool = False
) -> Case:
    return Case(probes, lambda d: (*make(d), threshold), core=core)


NMS = Exercise(
    name="nms",
    points=4,
    reference=ref.nms,
    forbids=("nms", "batched_nms", "nms_steps", "settle", "soft_nms", "iou_guided_nms"),
    names=("boxes", "scores", "iou_threshold"),
    cases=(
        _nms_case(
            "two boxes on one object, one elsewhere",
            lambda d: scene(d, [(0, 0), (4, 0), (40, 10)], [1, 2, 0]),
            core=True,
        ),
        _nms_case("a dropped box drops nobody", lambda d: scene(d, CHAIN, [2, 0, 1]), core=True),
        _nms_case("three objects, many boxes", crowd, core=True),
        _nms_case("an overlap with a box kept long before", long_ago),
        _nms_case("IoU of exactly the threshold: both stay", at_threshold),
        _nms_case("equal scores: the earlier box comes first", equal_scores),
        _nms_case("60 equal scores: input order, as `stable=True` keeps it", equal_rows),
        _nms_case("a score of exactly 0 counts like any other", score_zero),
        _nms_case("a small box inside a large one", small_in_large),
        _nms_case("boxes of a few pixels", few_pixels, threshold=0.375),
        _nms_case("the same box three times", copies, threshold=0.75),
        _nms_case("threshold 0: boxes that only touch stay", touching, threshold=0.0),
        _nms_case("threshold 1: every box stays", copies, threshold=1.0),
        _nms_case("negative coordinates", negative),
        _nms_case("float64 boxes and scores", lambda d: double(*crowd(d))),
        _nms_case("40 boxes", many),
        _nms_case("one box", lambda d: scene(d, [(0, 0)], [0])),
        _nms_case("no boxes at all", lambda d: nothing()),
    ),
    mistakes=NMS_MISTAKES,
    hints=(
        "`order = scores.argsort(descending=True, stable=True)` is a list of indices, best first. "
        "Work on this list: take its first entry, then make the list shorter.",
        "One step: `best, rest = order[0], order[1:]`. Note `best` as kept. "
        "`box_iou(boxes[best][None], boxes[rest])[0]` holds the overlap of the best box with "
        "each of the rest.",
        "Keep going with `order = rest[iou <= iou_threshold]` while `len(order) > 0`. At the end "
        "`torch.tensor(kept, dtype=torch.int64)`, which is right for an empty list as well.",
    ),
    picture="kept",
)
