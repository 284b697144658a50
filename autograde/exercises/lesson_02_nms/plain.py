"""Exercise 1: nms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
    CHAIN,
    Scene,
    at_threshold,
    copies,
    crowd,
    double,
    equal_scores,
    few_pixels,
    long_ago,
    many,
    negative,
    nothing,
    scene,
    small_in_large,
    touching,
)
from autograde.exercises.lesson_02_nms.slips import (
    AT_LEAST,
    best_first,
    greedy,
    indices,
    iou_plus_one,
    over_smaller,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import suppression as ref
from course_lib.boxes import box_iou


def _one_pass(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order = indices(best_first(scores))
    earlier = (box_iou(boxes[order], boxes[order]) > threshold).triu(1)
    return order[~earlier.any(0)]


def _both_dropped(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order = indices(best_first(scores))
    crowded = (box_iou(boxes[order], boxes[order]) > threshold).sum(0) > 1
    return order[~crowded]


def _inverted(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    return indices(greedy(boxes, scores, threshold, drops=torch.le))


def _first_step_only(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order = best_first(scores)
    overlap = box_iou(boxes, boxes)
    return indices([k for k in order if k == order[0] or overlap[order[0], k] <= threshold])


def _previous_only(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    overlap, kept = box_iou(boxes, boxes), list[int]()
    for k in best_first(scores):
        if not kept or overlap[kept[-1], k] <= threshold:
            kept.append(k)
    return indices(kept)


def _mask(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    mask = torch.zeros(len(boxes), dtype=torch.bool)
    mask[greedy(boxes, scores, threshold)] = True
    return mask


def _ranks(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order = indices(best_first(scores))
    return indices(greedy(boxes[order], scores[order], threshold))


def _ties_reversed(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    order: list[int] = scores.argsort(stable=True).flip(0).tolist()
    return indices(greedy(boxes, scores, threshold, order=order))


def _none_breaks(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    return torch.stack([torch.tensor(k) for k in greedy(boxes, scores, threshold)])


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
    mistakes=(
        Mistake("at_least", AT_LEAST, lambda b, s, t: indices(greedy(b, s, t, drops=torch.ge))),
        Mistake(
            "one_pass",
            "A box is dropped because of another box that is itself dropped. Only boxes that you "
            "keep may drop others: take them one by one.",
            _one_pass,
        ),
        Mistake(
            "not_sorted",
            "The boxes are taken in the order in which they came. Take the one with the best "
            "score first, every time.",
            lambda b, s, t: indices(greedy(b, s, t, order=list(range(len(s))))),
        ),
        Mistake(
            "ascending",
            "The worst box is taken first, so it drops the better ones. argsort goes upwards "
            "unless you say `descending=True`.",
            lambda b, s, t: indices(greedy(b, s, t, order=best_first(-s))),
        ),
        Mistake(
            "input_order",
            "The right boxes, in the order of the input. Give them by decreasing score: the order "
            "in which you took them.",
            lambda b, s, t: indices(sorted(greedy(b, s, t))),
        ),
        Mistake(
            "ranks",
            "These are places in the sorted list. The caller knows the boxes by their places in "
            "the input: translate them back, `order[k]`.",
            _ranks,
        ),
        Mistake(
            "mask",
            "This is a mask of True and False. Give the indices of the kept boxes, best first.",
            _mask,
        ),
        Mistake(
            "boxes_returned",
            "These are the kept boxes themselves. Give their indices: the caller wants to look up "
            "scores and labels with them, too.",
            lambda b, s, t: b[greedy(b, s, t)],
        ),
        Mistake(
            "scores_returned",
            "These are the scores of the kept boxes. Give the indices of the boxes.",
            lambda b, s, t: s[greedy(b, s, t)],
        ),
        Mistake(
            "previous_only",
            "A box is compared only with the one kept last. It may overlap any box that was kept "
            "before.",
            _previous_only,
        ),
        Mistake(
            "first_step_only",
            "Only the best box of all drops others. Go on: the best of what is left is the next "
            "to be kept, and it drops its own overlaps.",
            _first_step_only,
        ),
        Mistake(
            "both_dropped",
            "Where two boxes overlap, both are gone. The better one stays.",
            _both_dropped,
        ),
        Mistake(
            "inverted",
            "The comparison is turned round: boxes that overlap stay and those that do not are "
            "dropped. What is left after a step are the boxes with IoU <= threshold.",
            _inverted,
        ),
        Mistake(
            "plus_one",
            "Each side is one pixel too long in your IoU: there is a `+ 1` too many. Our boxes are "
            "half-open, a width is x2 − x1.",
            lambda b, s, t: indices(greedy(b, s, t, overlap=iou_plus_one)),
        ),
        Mistake(
            "over_smaller",
            "The overlap is divided by the smaller box, so a small box inside a large one is "
            "dropped. IoU divides by the union.",
            lambda b, s, t: indices(greedy(b, s, t, overlap=over_smaller)),
        ),
        Mistake(
            "ties_reversed",
            "Among equal scores the later box comes first. Sort with `descending=True, "
            "stable=True` and they keep their order; an upward sort read backwards turns them "
            "round.",
            _ties_reversed,
        ),
        Mistake(
            "none_breaks",
            "All is right as long as there are boxes. On an image without any, nothing can be "
            "stacked: give an empty tensor there.",
            _none_breaks,
        ),
    ),
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
