"""The mistakes of exercise 1 that the check knows."""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.slips import (
    AT_LEAST,
    best_first,
    greedy,
    indices,
    iou_plus_one,
    over_smaller,
)
from autograde.spec import Mistake
from autograde.student.runner import TooSlow
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


def _dropped(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    kept = greedy(boxes, scores, threshold)
    return indices([k for k in best_first(scores) if k not in kept])


def _similar_enough(iou: Tensor, threshold: float) -> Tensor:
    return 1 - iou > threshold


def _endless_at_one(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """`while len(order): ...; order = order[iou(best, order) <= t]`: the best box drops itself."""
    if threshold >= 1 and len(boxes):
        raise TooSlow
    return indices(greedy(boxes, scores, threshold))


def _list_changed(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """`for j in left: if ...: left.remove(j)`: Python skips the one after each removed box."""
    overlap, left, kept = box_iou(boxes, boxes), best_first(scores), list[int]()
    while left:
        best = left.pop(0)
        kept.append(best)
        for j in left:
            if overlap[best, j] > threshold:
                left.remove(j)
    return indices(kept)


def _both_lists_changed(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    overlap, left = box_iou(boxes, boxes), best_first(scores)
    for i in left:
        for j in left:
            if i != j and overlap[i, j] > threshold:
                left.remove(j)
    return indices(left)


def _last_missing(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """`while len(order) > 1`: a box that is left over alone is never kept."""
    overlap, left, kept = box_iou(boxes, boxes), best_first(scores), list[int]()
    while len(left) > 1:
        best, *left = left
        kept.append(best)
        left = [k for k in left if overlap[best, k] <= threshold]
    return indices(kept)


def _worst_missing(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    return indices([k for k in greedy(boxes, scores, threshold) if k != best_first(scores)[-1]])


def _zero_missing(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    return indices([k for k in greedy(boxes, scores, threshold) if scores[k] > 0])


NMS_MISTAKES = (
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
        "dropped",
        "These are the boxes that NMS drops. Give the ones that it keeps.",
        _dropped,
    ),
    Mistake(
        "always_half",
        "The threshold is 0.5 whatever `iou_threshold` says. Compare with `iou_threshold`.",
        lambda b, s, t: indices(greedy(b, s, 0.5)),
    ),
    Mistake(
        "one_minus_iou",
        "1 − IoU is compared with the threshold. Compare IoU itself: what is left after a step "
        "are the boxes with IoU <= threshold.",
        lambda b, s, t: indices(greedy(b, s, t, drops=_similar_enough)),
    ),
    Mistake(
        "endless_at_one",
        "The best box is still among those that it is compared with, and you rely on it to drop "
        "itself. At a threshold of 1 it never does: take it out first, `order[1:]`.",
        _endless_at_one,
    ),
    Mistake(
        "list_changed",
        "Some boxes survive that should not: `remove` on a list that a `for` is going through "
        "makes Python skip the next entry. Make a new list of those that stay.",
        _list_changed,
    ),
    Mistake(
        "both_lists_changed",
        "A list that loses entries while two loops go through it: Python skips an entry after "
        "each `remove`. Make a new list of those that stay.",
        _both_lists_changed,
    ),
    Mistake(
        "last_missing",
        "The last box is missing where it is left over alone. It is kept as well: loop while "
        "`len(order) > 0`.",
        _last_missing,
    ),
    Mistake(
        "worst_missing",
        "The box of lowest score is never kept. If nothing drops it, it stays: the loop ends one "
        "too early.",
        _worst_missing,
    ),
    Mistake(
        "zero_missing",
        "Boxes of score 0 are missing. 0 is a score like any other: if you mark dropped boxes by "
        "their score, no number is safe. Keep a list or a mask of what is left.",
        _zero_missing,
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
)
