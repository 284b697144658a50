"""The mistakes of exercise 2 that the check knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.slips import (
    AT_LEAST,
    best_first,
    greedy,
    indices,
)
from autograde.spec import Mistake
from course_lib.boxes import box_iou


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


def _max_only_single(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    top = b.max() + 1 if len(b) else torch.tensor(1.0)
    return _shifted(b, s, i.to(b.dtype) * top, t, True, True)


def _fixed(dtype: torch.dtype) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    return lambda b, s, i, t: _shifted(b.to(dtype), s, i.to(dtype) * 10_000, t, True, True)


def _scaled(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    return indices(greedy(b.double() * (i[:, None] + 1), s, t))


def _sorted_at_the_end(b: Tensor, s: Tensor, kept: list[int]) -> Tensor:
    return indices(kept)[indices(best_first(s[kept]))]


def _local_sorted(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    return _sorted_at_the_end(b, s, _by_class(b, s, i, t, local=True))


def _counted(count: Callable[[Tensor], int]) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """A loop over 0, 1, ..., count - 1 in place of the class numbers that there are."""

    def wrong(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
        some = (i < count(i)).nonzero().squeeze(1)
        return some[_sorted_by_class(b[some], s[some], i[some], t)]

    return wrong


def _dropped_boxes_drop(b: Tensor, s: Tensor, i: Tensor, t: float) -> Tensor:
    order = indices(best_first(s))
    overlap = (box_iou(b, b) > t) & (i[:, None] == i)
    return order[~overlap[order][:, order].triu(1).any(0)]


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


BATCHED_MISTAKES = (
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
        "local_sorted",
        "These indices count within a class, and were sorted by the scores of other boxes. Write "
        "`members[nms(…)]` in the loop, then sort.",
        _local_sorted,
    ),
    Mistake(
        "three_classes",
        "Only the classes 0, 1 and 2 are looked at. Which classes there are is in the input: "
        "`idxs.unique()`.",
        _counted(lambda i: 3),
    ),
    Mistake(
        "classes_counted",
        "The classes are counted, and taken to be 0, 1, 2, … Class numbers may have gaps: go "
        "through `idxs.unique()` itself.",
        _counted(lambda i: len(i.unique())),
    ),
    Mistake(
        "ascending",
        "The right boxes, the worst one first. Sort with `descending=True`.",
        lambda b, s, i, t: _sorted_by_class(b, s, i, t).flip(0),
    ),
    Mistake(
        "scaled",
        "The boxes are multiplied by the class number. Boxes near (0, 0) hardly move then, and two "
        "large class numbers scale almost alike: add an offset, do not multiply.",
        _scaled,
    ),
    Mistake(
        "dropped_boxes_drop",
        "A dropped box drops others. Go back to your `nms`: only a kept box may drop.",
        _dropped_boxes_drop,
    ),
    Mistake(
        "fixed_offset",
        "The offset is a fixed number. There are pictures that are larger: take it from the "
        "boxes, max − min + 1.",
        _fixed(torch.float64),
    ),
    Mistake(
        "fixed_offset_single",
        "Both traps: the offset is a fixed number, where large pictures need more (max − min + 1), "
        "and float32 has no digits left for it at large class numbers (`.double()` first).",
        _fixed(torch.float32),
    ),
    Mistake(
        "negative_and_single",
        "Both traps: the offset must exceed max − min, not only the maximum, and float32 has no "
        "digits left at large class numbers (`.double()` first).",
        _max_only_single,
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
)
