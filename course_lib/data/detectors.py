"""Pretended detectors, each with one fault that is known: patients to try a metric on.

All of them are one imagined detector, `good`, with something done to its answers. So what differs
between two measured numbers is the named fault and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64

from course_lib.data.candidates import (
    FAINT,
    Detections,
    check_scene,
    clip,
    cloud,
    clutter,
    raw_detections,
    thousandths,
)
from course_lib.data.painting import bell, chance
from course_lib.data.scenes import SMALL, Scene
from course_lib.data.things import CLASSES

BARELY = 0.53  # an IoU that is just enough at 0.5, whatever the rounding


@dataclass(frozen=True)
class Detector:
    """A detector of known character. `says` is its fault in one sentence."""

    name: str
    says: str
    look: Callable[[Scene], Detections] = field(repr=False)

    def detect(self, scenes: Sequence[Scene]) -> list[Detections]:
        """For each scene a dict of boxes [N, 4] float32 xyxy, scores [N] float32, decreasing, and
        labels [N] int64. What it says of a scene does not depend on the other scenes."""
        if isinstance(scenes, Scene):
            raise TypeError("scenes must be a list of Scene; for one write detect([scene])")
        for scene in scenes:
            check_scene(scene)
        return [self.look(scene) for scene in scenes]


@dataclass(frozen=True, eq=False)
class _Answer:
    """An answer in the making: numpy, float64, in any order."""

    boxes: Float64[np.ndarray, "N 4"]
    scores: Float64[np.ndarray, " N"]
    labels: Int64[np.ndarray, " N"]
    truth: Int64[np.ndarray, " N"]  # the object that it was made for, -1 for none

    def but(self, **changes: Any) -> "_Answer":
        return replace(self, **changes)

    def where(self, chosen: Any) -> "_Answer":
        return _Answer(*(column[chosen] for column in vars(self).values()))

    def plus(self, other: "_Answer") -> "_Answer":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Answer(*(np.concatenate(pair) for pair in pairs))

    def done(self) -> Detections:
        order = np.argsort(-self.scores, kind="stable")
        return {
            "boxes": torch.from_numpy(self.boxes[order]).float(),
            "scores": torch.from_numpy(self.scores[order]).float(),
            "labels": torch.from_numpy(self.labels[order]),
        }


def _base(scene: Scene) -> _Answer:
    made = cloud(scene)
    return _Answer(
        made.boxes[made.best], made.scores[made.best], made.labels[made.best], made.truth[made.best]
    )


def _good(scene: Scene) -> Detections:
    return _base(scene).done()


def _loose(scene: Scene) -> Detections:
    """Each box that is right at IoU 0.5 is moved off its object, so far that it is just right."""
    answer = _base(scene)
    real = (answer.truth >= 0) & ~scene.crowd.numpy()[answer.truth] if len(scene.boxes) else []
    if not np.any(real):
        return answer.done()
    truths = scene.boxes.double().numpy()[answer.truth[real]]
    off = answer.boxes[real] - truths
    fit = _fit(answer.boxes[real], truths)
    goal = np.where(fit > BARELY, BARELY + 0.5 * (fit - BARELY), 1.0)  # 1: stays where it is
    low, high = np.ones(len(off)), np.full(len(off), 8.0)  # how many times as far off
    for _ in range(20):
        middle = (low + high) / 2
        still = _fit(truths + middle[:, None] * off, truths) > goal
        low, high = np.where(still, middle, low), np.where(still, high, middle)
    boxes = answer.boxes.copy()
    boxes[real] = clip(truths + low[:, None] * off, scene)
    return answer.but(boxes=boxes).done()


def _twice(scene: Scene) -> Detections:
    answer = _base(scene)
    rng = chance(*scene.key, 4)
    sides = answer.boxes[:, 2:] - answer.boxes[:, :2]
    moved = answer.boxes + 0.03 * bell(rng, *answer.boxes.shape) * np.tile(sides, 2)
    again = answer.but(boxes=clip(moved, scene), scores=thousandths(answer.scores * 0.95))
    return answer.plus(again).done()


def _cluttered(scene: Scene) -> Detections:
    rng = chance(*scene.key, 5)
    extra = _clutter(rng, scene, 40)
    scores = np.floor((0.001 + (FAINT - 0.002) * rng.random(len(extra.scores))) * 1000) / 1000
    return _base(scene).plus(extra.but(scores=scores)).done()


def _gullible(scene: Scene) -> Detections:
    rng = chance(*scene.key, 6)
    extra = _clutter(rng, scene, 5)
    scores = thousandths(0.6 + 0.4 * rng.random(len(extra.scores)))
    return _base(scene).plus(extra.but(scores=scores)).done()


def _shortsighted(scene: Scene) -> Detections:
    answer = _base(scene)
    sides = answer.boxes[:, 2:] - answer.boxes[:, :2]
    seen = sides[:, 0] * sides[:, 1] >= SMALL  # for clutter; of an object its own size decides
    made = answer.truth >= 0
    true_area = scene.areas.double().numpy()[answer.truth[made]]
    seen[made] = (true_area >= SMALL) & ~scene.crowd.numpy()[answer.truth[made]]
    return answer.where(seen).done()


def _overconfident(scene: Scene) -> Detections:
    answer = _base(scene)
    return answer.but(scores=0.9 + 0.1 * answer.scores).done()


def _shuffled(scene: Scene) -> Detections:
    answer = _base(scene)
    rng = chance(*scene.key, 7)
    return answer.but(scores=thousandths(FAINT + 0.94 * rng.random(len(answer.scores)))).done()


def _timid(scene: Scene) -> Detections:
    answer = _base(scene)
    answer = answer.where((answer.truth >= 0) & (answer.scores >= 0.735))
    truths = scene.boxes.double().numpy()[answer.truth]
    right = ~scene.crowd.numpy()[answer.truth]
    right &= scene.labels.numpy()[answer.truth] == answer.labels
    right &= _fit(answer.boxes, truths) >= 0.5
    return answer.where(right).done()


def _confused(scene: Scene) -> Detections:
    answer = _base(scene)
    dog, cat = CLASSES.index("dog"), CLASSES.index("cat")
    swapped = chance(*scene.key, 8).random(len(answer.labels)) < 0.5
    labels = answer.labels.copy()
    labels[swapped & (answer.labels == dog)] = cat
    labels[swapped & (answer.labels == cat)] = dog
    return answer.but(labels=labels).done()


def _raw(scene: Scene) -> Detections:
    raw = raw_detections(scene)
    return {"boxes": raw["boxes"], "scores": raw["scores"], "labels": raw["labels"]}


_ALL = (
    Detector(
        "good",
        "It finds most objects, its boxes fit well, and where it is surer it is more often right.",
        _good,
    ),
    Detector(
        "loose",
        "It finds what good finds, but its boxes fit badly: just well enough for an IoU of 0.5.",
        _loose,
    ),
    Detector(
        "twice",
        "It reports every object twice, and is nearly as sure of the second box as of the first.",
        _twice,
    ),
    Detector(
        "cluttered",
        "It adds dozens of boxes around nothing, all with scores below its worst real detection.",
        _cluttered,
    ),
    Detector(
        "gullible",
        "It adds boxes around nothing, and is as sure of them as of its best detections.",
        _gullible,
    ),
    Detector("shortsighted", "It does not see small objects at all.", _shortsighted),
    Detector(
        "overconfident",
        "It gives every box a score above 0.9, in the same order as good.",
        _overconfident,
    ),
    Detector("shuffled", "Its boxes are those of good, but its scores mean nothing.", _shuffled),
    Detector(
        "timid",
        "It reports only what it is sure of: about half of the objects, and all of it is right.",
        _timid,
    ),
    Detector("confused", "It calls every second dog a cat, and every second cat a dog.", _confused),
    Detector(
        "raw",
        "It leaves out non-maximum suppression and reports a cloud of boxes around each object.",
        _raw,
    ),
)
DETECTORS: dict[str, Detector] = {detector.name: detector for detector in _ALL}


def _clutter(rng: np.random.Generator, scene: Scene, n: int) -> _Answer:
    boxes = clip(clutter(rng, scene, n), scene)
    labels = rng.integers(len(CLASSES), size=len(boxes))
    return _Answer(boxes, np.zeros(len(boxes)), labels, np.full(len(boxes), -1))


def _fit(
    boxes: Float64[np.ndarray, "N 4"], truths: Float64[np.ndarray, "N 4"]
) -> Float64[np.ndarray, " N"]:
    """IoU of each box with the truth in its own row."""
    start, end = np.maximum(boxes[:, :2], truths[:, :2]), np.minimum(boxes[:, 2:], truths[:, 2:])
    shared = (end - start).clip(0).prod(1)
    areas = [(one[:, 2:] - one[:, :2]).prod(1) for one in (boxes, truths)]
    return shared / (areas[0] + areas[1] - shared)
