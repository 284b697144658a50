"""What a detector says before non-maximum suppression, imagined rather than computed.

A real detector looks at a picture and answers with a cloud of boxes around each object, each with
a score, and some boxes around nothing. Ours knows the truth and errs on purpose, so that its
faults are known: boxes are off by a share of the object's size, more so for small and hidden
objects, some of which it does not see at all. A score follows how sure it is of the object, and
only roughly how well the box fits. The predicted `ious` follow the fit much more closely; that is
what IoU-guided NMS lives on (Jiang et al., Acquisition of Localization Confidence for Accurate
Object Detection, ECCV 2018).

Everything about a scene comes from its key, so an answer depends on no other scene.
"""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from course_lib.data.painting import bell, chance
from course_lib.data.scenes import LARGE, SMALL, Scene
from course_lib.data.things import CLASSES

STEPS = 1000  # scores are whole thousandths: short to print, and room for ties
FAINT = 0.05  # no real detection scores lower


class Detections(TypedDict):
    """What a detector answers for one image: boxes [N, 4], scores [N] decreasing, labels [N]."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Candidates(Detections):
    """Detections before NMS, and how well each box is thought to fit: ious [N]."""

    ious: Tensor


@dataclass(frozen=True, eq=False)
class Cloud:
    """Candidates with what only their maker knows.

    truth [N]: the object that a candidate was made for, -1 for clutter. best [N]: True for the
    one of each object's candidates (and for each piece of clutter) that NMS would keep.
    """

    boxes: Float64[np.ndarray, "N 4"]
    scores: Float64[np.ndarray, " N"]
    labels: Int64[np.ndarray, " N"]
    ious: Float64[np.ndarray, " N"]
    truth: Int64[np.ndarray, " N"]
    best: Bool[np.ndarray, " N"]


def raw_detections(scene: Scene, seed: int = 0) -> Candidates:
    """The candidates of a scene, before any suppression.

    Shapes: boxes [N, 4] float32 xyxy, scores [N] float32, labels [N] int64, ious [N] float32: the
        predicted IoU of each box with its object. Sorted by decreasing score.
    seed: another number, another imagined detector, as good as this one.
    """
    check_scene(scene)
    made = cloud(scene, seed)
    order = np.argsort(-made.scores, kind="stable")
    return {
        "boxes": torch.from_numpy(made.boxes[order]).float(),
        "scores": torch.from_numpy(made.scores[order]).float(),
        "labels": torch.from_numpy(made.labels[order]),
        "ious": torch.from_numpy(made.ious[order]).float(),
    }


def cloud(scene: Scene, seed: int = 0) -> Cloud:
    """All candidates of a scene, object by object, then the clutter."""
    rng = chance(*scene.key, 3, seed)
    truths = scene.boxes.double().numpy()
    rows: list[tuple] = []  # box, score, label, predicted iou, truth, best
    for g, truth in enumerate(truths):
        label = int(scene.labels[g])
        if scene.crowd[g]:
            rows += _in_crowd(rng, truth, label, g)
        else:
            rows += _around(rng, truth, label, g, float(scene.visible[g]), len(truths))
    everywhere = clutter(rng, scene, int(rng.integers(1, 4)))
    for box in everywhere:
        score = 0.08 + 0.6 * rng.random() * rng.random()
        label = int(rng.integers(len(CLASSES)))
        rows.append((box, score, label, 0.15 + 0.5 * rng.random(), -1, True))
    boxes, scores, labels, ious, truth_of, best = zip(*rows, strict=True) if rows else [()] * 6
    return Cloud(
        boxes=clip(np.array(boxes, dtype=np.float64).reshape(-1, 4), scene),
        scores=thousandths(np.array(scores, dtype=np.float64)),
        labels=np.array(labels, dtype=np.int64),
        ious=np.array(ious, dtype=np.float64).clip(0.0, 1.0),
        truth=np.array(truth_of, dtype=np.int64),
        best=np.array(best, dtype=bool),
    )


def clutter(rng: np.random.Generator, scene: Scene, n: int) -> Float64[np.ndarray, "m 4"]:
    """At most n boxes around nothing: each has IoU below 0.3 with every object and each other."""
    H, W = scene.size
    u = rng.random((3 * n, 4))  # more than enough: most places show nothing
    sides = 10 + u[:, :2] * u[:, :2] * (80, 70)
    corner = (np.array((W, H)) - sides) * u[:, 2:]
    boxes = np.concatenate((corner, corner + sides), 1)
    apart = pair_iou(boxes, boxes) < 0.3
    chosen: list[int] = []
    for k in np.flatnonzero((pair_iou(boxes, scene.boxes.double().numpy()) < 0.3).all(1)):
        if len(chosen) < n and apart[k, chosen].all():
            chosen.append(int(k))
    return boxes[chosen]


def pair_iou(
    boxes1: Float64[np.ndarray, "N 4"], boxes2: Float64[np.ndarray, "M 4"]
) -> Float64[np.ndarray, "N M"]:
    """`course_lib.boxes.box_iou` of two small arrays, none of their boxes empty."""
    start = np.maximum(boxes1[:, None, :2], boxes2[:, :2])  # [N, M, 2]
    end = np.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = (end - start).clip(0)
    shared = sides[..., 0] * sides[..., 1]
    area1, area2 = (
        (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (boxes1, boxes2)
    )
    return shared / (area1[:, None] + area2 - shared)


def check_scene(scene: Scene) -> None:
    if not isinstance(scene, Scene):
        got = type(scene).__name__
        raise TypeError(f"scene must be a Scene, got {got}; make one with scene(index)")


def clip(boxes: Float64[np.ndarray, "N 4"], scene: Scene) -> Float64[np.ndarray, "N 4"]:
    """The part of each box inside the scene, in sixteenths of a pixel (exact in float32)."""
    H, W = scene.size
    return np.floor(boxes.clip(0, (W, H, W, H)) * 16 + 0.5) / 16


def thousandths(scores: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    return np.floor(scores.clip(FAINT, 0.999) * STEPS + 0.5) / STEPS


def _around(
    rng: np.random.Generator,
    truth: Float64[np.ndarray, "4"],
    label: int,
    g: int,
    visible: float,
    G: int,
) -> list[tuple]:
    """The cloud of one object: nothing where it is not seen."""
    w, h = truth[2] - truth[0], truth[3] - truth[1]
    area = w * h
    seen = 0.82 if area < SMALL else 0.97 if area <= LARGE else 0.99
    n = int(rng.integers(5, 8))
    fate, surety, other = rng.random(3)
    noise, doubt, guess = bell(rng, n, 4), bell(rng, n), bell(rng, n)
    if fate > seen * (0.5 + 0.5 * visible):
        return []
    sigma = 0.09 if area < SMALL else 0.065 if area <= LARGE else 0.055
    boxes = truth + noise * sigma * np.array([w, h, w, h])  # [n, 4]
    iou = pair_iou(boxes, truth[None])[:, 0]
    sure = (0.64 if area < SMALL else 0.75) + 0.24 * surety
    sure *= 0.7 + 0.3 * visible
    scores = sure * (0.1 + 0.85 * iou + 0.07 * doubt)
    top = int(np.argmax(scores))
    near = pair_iou(boxes, boxes[[top]])[:, 0] > 0.55
    near[top] = True
    predicted = iou + 0.03 * guess
    if other < 0.04:
        label = (label + 1) % len(CLASSES)
    return [(boxes[k], scores[k], label, predicted[k], g, k == top) for k in np.flatnonzero(near)]


def _in_crowd(
    rng: np.random.Generator, truth: Float64[np.ndarray, "4"], label: int, g: int
) -> list[tuple]:
    """Boxes around single members of a crowd, which a fair evaluation counts neither way."""
    w, h = truth[2] - truth[0], truth[3] - truth[1]
    rows = []
    for _ in range(int(rng.integers(2, 5))):
        u = rng.random(4)
        size = 0.38 * h
        x = truth[0] + (w - 1.2 * size) * u[0]
        y = truth[1] + (h - size) * u[1]
        box = np.array([x, y, x + 1.2 * size, y + size])
        rows.append((box, 0.15 + 0.6 * u[2], label, 0.5 + 0.3 * u[3], g, True))
    return rows
