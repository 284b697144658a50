"""Exercise 2: batched_nms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.batched_mistakes import BATCHED_MISTAKES
from autograde.exercises.lesson_02_nms.inputs import (
    CHAIN,
    CROWD,
    MIXED,
    Scene,
    at_threshold,
    copies,
    crowd,
    equal_scores,
    falling,
    nothing,
    scene,
)
from autograde.spec import Case, Draw, Exercise
from course_lib import suppression as ref

Classes = tuple[Tensor, Tensor, Tensor]


def _with(s: Scene, idxs: list[int]) -> Classes:
    return (*s, torch.tensor(idxs, dtype=torch.int64))


def _two_classes(d: Draw) -> Classes:
    """Best first: A of class 1, B of class 0 on the same place, C of class 1 there as well."""
    return _with(scene(d, [(0, 0), (4, 0), (2, 3), (50, 9)], [2, 1, 3, 0]), [1, 0, 0, 1])


def _crowd_of_classes(d: Draw) -> Classes:
    boxes, scores = scene(d, CROWD, MIXED)
    idxs = torch.tensor([0, 2, 1, 1, 2, 1, 0, 0, 0, 2])
    return boxes, scores, idxs[list(MIXED)]


def _far_apart(d: Draw) -> Classes:
    """No two boxes overlap; classes and scores alternate."""
    corners = [(0, 0), (40, 0), (0, 40), (40, 40)]
    return _with(scene(d, corners, [2, 0, 3, 1]), [0, 0, 1, 1])


def _over_the_border(d: Draw) -> Classes:
    """Class 1 lies left of and above the picture, class 0 in its far corner.

    Moved by the largest coordinate, class 1 lands on class 0.
    """
    far = float(d.integer(60, 90))
    near, reach = far - 30, far + 1
    boxes = torch.tensor([
        [near, near, far, far],
        [near - reach - 2, near - reach, far - reach - 2, far - reach],
        [near - reach + 1, near - reach, far - reach + 1, far - reach],
    ])  # fmt: skip
    return boxes[[2, 0, 1]], falling(d, 3)[[2, 0, 1]], torch.tensor([1, 0, 1])


def _chain_in_class(d: Draw) -> Classes:
    """A drops B, and B would have dropped C; a box of another class lies on A."""
    return _with(scene(d, [*CHAIN, (1, 1)], [2, 0, 3, 1]), [1, 1, 0, 1])


def _whole_map(d: Draw) -> Classes:
    """Boxes so large that an offset of 10,000 hardly moves them."""
    boxes, scores, idxs = _two_classes(d)
    return boxes * 4000, scores, idxs


def _large_numbers(d: Draw) -> Classes:
    """Class numbers around 30,000 and one box far away: too much for float32."""
    boxes, scores, idxs = _crowd_of_classes(d)
    boxes[MIXED.index(9)] += 80_000
    return boxes, scores, idxs + 30_000 + d.integer(0, 500)


def _tied_classes(d: Draw) -> Classes:
    """Ties within a class only: their order over classes is nobody's business."""
    boxes, _ = equal_scores(d)
    return boxes, torch.tensor([0.75, 0.5, 0.75, 0.5]), torch.tensor([1, 0, 1, 0])


def _half_in_class(d: Draw) -> Classes:
    boxes, scores = at_threshold(d)
    return boxes, scores, torch.tensor([4, 2, 4])


def _batched_case(
    probes: str, make: Callable[[Draw], Classes], threshold: float = 0.5, core: bool = False
) -> Case:
    return Case(probes, lambda d: (*make(d), threshold), core=core)


BATCHED_NMS = Exercise(
    name="batched_nms",
    points=3,
    reference=ref.batched_nms,
    names=("boxes", "scores", "idxs", "iou_threshold"),
    cases=(
        _batched_case("two classes in one place", _two_classes, core=True),
        _batched_case("three classes, many boxes", _crowd_of_classes, core=True),
        _batched_case("a chain in one class: a dropped box drops nobody", _chain_in_class),
        _batched_case("boxes that do not meet: all, by decreasing score", _far_apart),
        _batched_case("one class: plain NMS", lambda d: _with(crowd(d), [0] * 10)),
        _batched_case(
            "class numbers with gaps", lambda d: (*(x := _crowd_of_classes(d))[:2], x[2] * 17 + 3)
        ),
        _batched_case("a class of its own for each box", lambda d: _with(copies(d), [3, 1, 0, 2])),
        _batched_case("equal scores in a class: the earlier box stays", _tied_classes),
        _batched_case("IoU of exactly the threshold: both stay", _half_in_class),
        _batched_case("negative coordinates", _over_the_border),
        _batched_case("a map of 200,000 pixels: a fixed offset is too small", _whole_map),
        _batched_case("class numbers over 30,000, a box far away", _large_numbers),
        _batched_case("one box", lambda d: _with(scene(d, [(0, 0)], [0]), [5])),
        _batched_case("no boxes at all", lambda d: _with(nothing(), [])),
    ),
    mistakes=BATCHED_MISTAKES,
    hints=(
        "Two ways lead there. Plain: for each class in `idxs.unique()` call your `nms` on its own "
        "boxes. Short: move each class to a place of its own, and call `nms` once for all.",
        "The loop: `members = (idxs == c).nonzero().squeeze(1)`, then `members[nms(boxes[members], "
        "scores[members], iou_threshold)]` are indices into the whole input. `torch.cat` them and "
        "sort by score.",
        "The trick: `span = boxes.max() - boxes.min() + 1`, `moved = boxes.double() + "
        "idxs[:, None].double() * span`, then `nms(moved, scores, iou_threshold)`. `max` of no "
        "boxes fails: catch that case first.",
    ),
    picture="kept",
)
