"""Exercise 2: batched_nms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
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
from autograde.exercises.lesson_02_nms.slips import (
    AT_LEAST,
    best_first,
    greedy,
    indices,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import suppression as ref
from course_lib.boxes import box_iou

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


def _large_numbers(d: Draw) -> Classes:
    """Classes that are numbered in the millions: in float32 an offset swallows the boxes."""
    boxes, scores, idxs = _crowd_of_classes(d)
    return boxes, scores, idxs + 3_000_000 + d.integer(0, 1000)


def _tied_classes(d: Draw) -> Classes:
    """Ties within a class only: their order over classes is nobody's business."""
    boxes, _ = equal_scores(d)
    return boxes, torch.tensor([0.75, 0.5, 0.75, 0.5]), torch.tensor([1, 0, 1, 0])


def _half_in_class(d: Draw) -> Classes:
    boxes, scores = at_threshold(d)
    return boxes, scores, torch.tensor([4, 2, 4])


def _shifted(
    boxes: Tensor, scores: Tensor, shift: Tensor, threshold: float, near: bool, far: bool
) -> Tensor:
    moved = boxes.clone()
    if near:
        moved[:, :2] += shift[:, None]
    if far:
        moved[:, 2:] += shift[:, None]
    return indices(greedy(moved, scores, threshold))


def _offset(boxes: Tensor, idxs: Tensor) -> Tensor:
    """An offset that is large enough in every way."""
    span = boxes.max() - boxes.min() + 1 if len(boxes) else 1
    return idxs.double() * span


def _one_corner(near: bool) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    def wrong(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
        return _shifted(b.double(), s, _offset(b, i), t, near, not near)

    return wrong


def _max_only(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    shift = i.double() * (b.max() + 1 if len(b) else 1)
    return _shifted(b.double(), s, shift, t, True, True)


def _single_precision(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    span = b.max() - b.min() + 1 if len(b) else torch.tensor(1.0)
    return _shifted(b, s, i.to(b.dtype) * span, t, True, True)


def _by_class(
    b: Tensor, s: Tensor, i: Tensor, t: float, local: bool = False, last: bool = True
) -> list[int]:
    """Class after class, without the sorting at the end."""
    found: list[int] = []
    for c in i.unique().tolist()[: None if last else -1]:
        members = (i == c).nonzero().squeeze(1)
        kept = greedy(b[members], s[members], t)
        found += kept if local else members[kept].tolist()
    return found


def _sorted_by_class(
    b: Tensor, s: Tensor, i: Tensor, t: float, drops: Callable[..., Tensor] = torch.gt
) -> Tensor:
    return indices(greedy(b.double() + _offset(b, i)[:, None], s, t, drops=drops))


def _one_each(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    seen: set[int] = set()
    kept = []
    for k in best_first(s):
        if int(i[k]) not in seen:
            seen.add(int(i[k]))
            kept.append(k)
    return indices(kept)


def _without_last(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    kept = indices(_by_class(b, s, i, t, last=False))
    return kept[indices(best_first(s[kept]))]


def _other_classes_only(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    overlap, kept = box_iou(b, b), list[int]()
    for k in best_first(s):
        if not any(overlap[j, k] > t and i[j] != i[k] for j in kept):
            kept.append(k)
    return indices(kept)


def _none_breaks_batched(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    b.max()  # an error where there are no boxes
    return _sorted_by_class(b, s, i, t)


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
        _batched_case("boxes that do not meet: all, by decreasing score", _far_apart),
        _batched_case("one class: plain NMS", lambda d: _with(crowd(d), [0] * 10)),
        _batched_case(
            "class numbers with gaps", lambda d: (*(x := _crowd_of_classes(d))[:2], x[2] * 17 + 3)
        ),
        _batched_case("a class of its own for each box", lambda d: _with(copies(d), [3, 1, 0, 2])),
        _batched_case("equal scores in a class: the earlier box stays", _tied_classes),
        _batched_case("IoU of exactly the threshold: both stay", _half_in_class),
        _batched_case("negative coordinates", _over_the_border),
        _batched_case("class numbers in the millions", _large_numbers),
        _batched_case("one box", lambda d: _with(scene(d, [(0, 0)], [0]), [5])),
        _batched_case("no boxes at all", lambda d: _with(nothing(), [])),
    ),
    mistakes=(
        Mistake(
            "classes_ignored",
            "Boxes of other classes are dropped, too. A box may only drop boxes of its own class.",
            lambda b, s, i, t: indices(greedy(b, s, t)),
        ),
        Mistake(
            "class_order",
            "The boxes come class after class. Sort them at the end: by decreasing score over all "
            "classes.",
            lambda b, s, i, t: indices(_by_class(b, s, i, t)),
        ),
        Mistake(
            "input_order",
            "The right boxes, in the order of the input. Give them by decreasing score.",
            lambda b, s, i, t: indices(sorted(_by_class(b, s, i, t))),
        ),
        Mistake(
            "local_indices",
            "These indices count within a class. Translate them back to places in the whole "
            "input: `members[kept]`.",
            lambda b, s, i, t: indices(_by_class(b, s, i, t, local=True)),
        ),
        Mistake(
            "offset_too_small",
            "Adding the class number alone moves the classes by a pixel each, and they still "
            "overlap. Move each class by more than the whole span of the coordinates.",
            lambda b, s, i, t: _shifted(b.double(), s, i.double(), t, True, True),
        ),
        Mistake(
            "negative_forgotten",
            "The classes are moved by the largest coordinate. Boxes that reach below 0 still meet "
            "the class before: the offset must exceed max − min.",
            _max_only,
        ),
        Mistake(
            "near_corner_only",
            "Only x1 and y1 are moved, so the boxes turn inside out and overlap nothing. Add the "
            "offset to all four numbers.",
            _one_corner(near=True),
        ),
        Mistake(
            "far_corner_only",
            "Only x2 and y2 are moved, so the boxes grow and overlap everything. Add the offset "
            "to all four numbers.",
            _one_corner(near=False),
        ),
        Mistake(
            "single_precision",
            "The offset is so large that float32 has no digits left for the boxes: their sides "
            "are rounded away. Go to float64 (`.double()`), or take class after class.",
            _single_precision,
        ),
        Mistake(
            "last_class_lost",
            "The boxes of the last class are missing: the loop over the classes ends one too "
            "early. `idxs.unique()` lists them all.",
            _without_last,
        ),
        Mistake(
            "one_each",
            "This keeps the best box of each class only. A class may have many objects: run NMS "
            "inside it.",
            _one_each,
        ),
        Mistake(
            "other_classes_only",
            "The condition is turned round: boxes drop those of other classes and spare their own.",
            _other_classes_only,
        ),
        Mistake(
            "at_least",
            AT_LEAST,
            lambda b, s, i, t: _sorted_by_class(b, s, i, t, drops=torch.ge),
        ),
        Mistake(
            "boxes_returned",
            "These are the kept boxes themselves. Give their indices.",
            lambda b, s, i, t: b[_sorted_by_class(b, s, i, t)],
        ),
        Mistake(
            "none_breaks",
            "All is right as long as there are boxes. Without any there is no largest coordinate: "
            "answer that case first, with an empty tensor.",
            _none_breaks_batched,
        ),
    ),
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
