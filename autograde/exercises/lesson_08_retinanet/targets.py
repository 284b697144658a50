"""Exercise 3: assign_targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_08_retinanet.inputs import (
    crowd_of_anchors,
    graded_objects,
    moved_object,
    no_objects,
    rescued_object,
    rivals,
)
from autograde.spec import Case, Exercise, Mistake
from course_lib.boxes import box_iou
from course_lib.coding import encode_boxes
from course_lib.matching import match_anchors
from course_lib.models.retinanet import assign_targets

Answer = tuple[Tensor, Tensor]
Encode = Callable[[Tensor, Tensor], Tensor]  # of the truths and the anchors of the positives


def _assign(
    high: float = 0.5,
    low: float = 0.4,
    rescue: bool = True,
    kinds: Callable[[Tensor, Tensor], Tensor] = lambda matches, labels: torch.where(
        matches >= 0, labels[matches.clamp(min=0)], matches
    ),
    encode: Encode = encode_boxes,
    everywhere: bool = False,
    pick: Callable[[Tensor, Tensor], Tensor] = lambda boxes, matches: boxes[matches],
) -> Callable[[Tensor, Tensor, Tensor], Answer]:
    """The exercise with one step replaced."""

    def wrong(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
        matches = match_anchors(box_iou(boxes, anchors), high, low, rescue)
        deltas = torch.zeros_like(anchors)
        if len(boxes) == 0:
            return kinds(matches, torch.zeros(1, dtype=torch.int64)), deltas
        here = torch.ones_like(matches, dtype=torch.bool) if everywhere else matches >= 0
        chosen = matches.clamp(min=0)
        deltas[here] = encode(pick(boxes, chosen[here]), anchors[here])
        return kinds(matches, labels), deltas

    return wrong


def _classes(
    background: int = -1, ignored: int = -2, shift: int = 0
) -> Callable[[Tensor, Tensor], Tensor]:
    def kinds(matches: Tensor, labels: Tensor) -> Tensor:
        found = torch.where(matches >= 0, labels[matches.clamp(min=0)] + shift, matches)
        return torch.where(matches == -1, background, torch.where(matches == -2, ignored, found))

    return kinds


def _offsets(boxes: Tensor, anchors: Tensor) -> Tensor:
    return boxes - anchors


def _parts(boxes: Tensor) -> tuple[Tensor, Tensor]:
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size


def _no_log(boxes: Tensor, anchors: Tensor) -> Tensor:
    deltas = encode_boxes(boxes, anchors)
    return torch.cat([deltas[:, :2], deltas[:, 2:].exp()], 1)


def _in_pixels(boxes: Tensor, anchors: Tensor) -> Tensor:
    (centre, _), (centre_a, _) = _parts(boxes), _parts(anchors)
    return torch.cat([centre - centre_a, encode_boxes(boxes, anchors)[:, 2:]], 1)


def _iou_the_other_way(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    """The table turned round: a choice for each object, not for each anchor."""
    if len(boxes) == 0:
        return torch.full((len(anchors),), -1), torch.zeros_like(anchors)
    best = match_anchors(box_iou(anchors, boxes), 0.5, 0.4, True)  # [M]: an anchor for each object
    classes, deltas = torch.full((len(anchors),), -1), torch.zeros_like(anchors)
    taken = best >= 0
    classes[best[taken]] = labels[taken]
    deltas[best[taken]] = encode_boxes(boxes[taken], anchors[best[taken]])
    return classes, deltas


def _no_boxes_no_answer(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    """Without a look at the case of no objects."""
    matches = match_anchors(box_iou(boxes, anchors), 0.5, 0.4, True)
    classes = torch.where(matches >= 0, labels[matches.clamp(min=0)], matches)
    deltas = torch.zeros_like(anchors)
    deltas[matches >= 0] = encode_boxes(boxes[matches[matches >= 0]], anchors[matches >= 0])
    return classes, deltas


def _last_for_nobody(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    """`labels[matches]` for all: -1 picks the last object's class, -2 the one before it."""
    matches = match_anchors(box_iou(boxes, anchors), 0.5, 0.4, True)
    return labels[matches], assign_targets(anchors, boxes, labels)[1]


def _encoded_for_nobody(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    """`boxes[matches]` for all: -1 picks the last object, -2 the one before it."""
    matches = match_anchors(box_iou(boxes, anchors), 0.5, 0.4, True)
    return assign_targets(anchors, boxes, labels)[0], encode_boxes(boxes[matches], anchors)


def _of_the_ignored(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    """Deltas for the ignored anchors as well."""
    classes, deltas = assign_targets(anchors, boxes, labels)
    if len(boxes) and (classes == -2).any():
        ignored = classes == -2
        best = box_iou(boxes, anchors).argmax(0)
        deltas[ignored] = encode_boxes(boxes[best[ignored]], anchors[ignored])
    return classes, deltas


def _everything_ignored(anchors: Tensor, boxes: Tensor, labels: Tensor) -> Answer:
    if len(boxes) == 0:
        return torch.full((len(anchors),), -2), torch.zeros_like(anchors)
    return assign_targets(anchors, boxes, labels)


ASSIGN_TARGETS = Exercise(
    name="assign_targets",
    points=3,
    reference=assign_targets,
    names=("anchors", "boxes", "labels"),
    outputs=("classes", "deltas"),
    cases=(
        Case("IoU of 0.75, 0.6, 0.5, 0.45, 0.38 and 0", graded_objects, core=True),
        Case("an object that is moved and stretched", moved_object, core=True),
        Case("two objects over one anchor: the better one", rivals, core=True),
        Case("an object without a good anchor", rescued_object),
        Case("60 anchors, three objects", crowd_of_anchors),
        Case("a picture without objects", no_objects),
    ),
    mistakes=(
        Mistake(
            "one_threshold",
            "Anchors between 0.4 and 0.5 became background. They are ignored, −2: too good to be "
            "punished, too bad to learn from.",
            _assign(0.5, 0.5),
        ),
        Mistake(
            "everything_above_low",
            "Anchors between 0.4 and 0.5 became positives. They are ignored, −2; a positive needs "
            "an IoU of 0.5.",
            _assign(0.4, 0.4),
        ),
        Mistake(
            "thresholds_of_rpn",
            "0.7 and 0.3 are the thresholds of Faster R-CNN's region proposals. RetinaNet uses 0.5 "
            "and 0.4.",
            _assign(0.7, 0.3),
        ),
        Mistake(
            "nobody_rescued",
            "An object without an anchor of IoU 0.5 was given up. Here low-quality matches are "
            "allowed: its best anchor takes it, `match_anchors(..., True)`.",
            _assign(rescue=False),
        ),
        Mistake(
            "match_for_class",
            "The number of the object stands where its class should: `labels[match]` is the class "
            "of object number `match`.",
            _assign(kinds=lambda matches, labels: matches),
        ),
        Mistake(
            "background_is_class_0",
            "Background is 0 and the classes begin with 1. RetinaNet's K classes are 0 to K − 1, "
            "and background, −1, is none of them: all K answers should be no.",
            _assign(kinds=_classes(background=0, shift=1)),
        ),
        Mistake(
            "background_class_0_unshifted",
            "Background became class 0, which is an object's class. It is −1: no class at all.",
            _assign(kinds=_classes(background=0)),
        ),
        Mistake(
            "shifted_classes",
            "The classes are one too high. They are 0 to K − 1, as in `labels`; background needs "
            "no number of its own among them.",
            _assign(kinds=_classes(shift=1)),
        ),
        Mistake(
            "signs_exchanged",
            "Background and ignored are exchanged: −1 is background, −2 is ignored, as "
            "`match_anchors` says it.",
            _assign(kinds=_classes(background=-2, ignored=-1)),
        ),
        Mistake(
            "last_for_nobody",
            "Background took the class of the last object: `labels[matches]` with a match of −1 "
            "picks from the end, without an error. Fill in the positives only.",
            _last_for_nobody,
        ),
        Mistake(
            "encoded_for_nobody",
            "Background has deltas to the last object: `boxes[matches]` with a match of −1 picks "
            "from the end, without an error. Fill in the positives only.",
            _encoded_for_nobody,
        ),
        Mistake(
            "deltas_of_the_ignored",
            "The ignored anchors have deltas. Nobody asks them anything: 0 for them.",
            _of_the_ignored,
        ),
        Mistake(
            "parts_exchanged",
            "The two parts came in the other order: classes first, then deltas.",
            lambda *given: tuple(reversed(assign_targets(*given))),
        ),
        Mistake(
            "positives_only",
            "Every positive anchor has the same number, whatever its object is. It takes the class "
            "of its object: `labels[match]`.",
            _assign(kinds=lambda matches, labels: torch.where(matches >= 0, 1, matches)),
        ),
        Mistake(
            "deltas_everywhere",
            "Anchors without an object have deltas. There is no box that they should be moved to: "
            "0 for them. (A match of −1 picks the last object, without an error.)",
            _assign(everywhere=True),
        ),
        Mistake(
            "first_object_for_all",
            "All positive anchors lead to the first object. Each one has its own: `boxes[match]`.",
            _assign(pick=lambda boxes, matches: boxes[torch.zeros_like(matches)]),
        ),
        Mistake(
            "encoded_backwards",
            "The deltas lead from the object to the anchor. `encode_boxes` takes the goal first, "
            "then the start: the object's box, then the anchor.",
            _assign(encode=lambda boxes, anchors: encode_boxes(anchors, boxes)),
        ),
        Mistake(
            "corner_differences",
            "These are differences of corners in pixels. The deltas are lesson 04's: "
            "`encode_boxes` divides by the anchor's size and takes the logarithm.",
            _assign(encode=_offsets),
        ),
        Mistake(
            "boxes_themselves",
            "The boxes themselves stand where their deltas should: `encode_boxes(boxes, anchors)`.",
            _assign(encode=lambda boxes, _: boxes),
        ),
        Mistake(
            "no_logarithm",
            "dw and dh are quotients of sizes. Their logarithm is missing.",
            _assign(encode=_no_log),
        ),
        Mistake(
            "shift_in_pixels",
            "dx and dy are in pixels. They are shares of the anchor's width and height.",
            _assign(encode=_in_pixels),
        ),
        Mistake(
            "objects_choose",
            "Each object has chosen one anchor. It is the other way round: each anchor asks which "
            "object it overlaps most. The table is `box_iou(boxes, anchors)`, [M, N].",
            _iou_the_other_way,
        ),
        Mistake(
            "empty_fails",
            "A picture without objects ends in an error. `labels[...]` cannot pick from nothing: "
            "return early there, all anchors −1 and all deltas 0.",
            _no_boxes_no_answer,
        ),
        Mistake(
            "empty_is_ignored",
            "In a picture without objects all anchors were ignored. They are background, −1: the "
            "detector has to learn to keep quiet there.",
            _everything_ignored,
        ),
    ),
    hints=(
        "`matches = match_anchors(box_iou(boxes, anchors), 0.5, 0.4, True)` does the first half: "
        "an object's number, −1 or −2 for each anchor.",
        "`classes = matches.clone()`; `positive = matches >= 0`; then "
        "`classes[positive] = labels[matches[positive]]`. That works without objects, too.",
        "`deltas = torch.zeros_like(anchors)`, and "
        "`deltas[positive] = encode_boxes(boxes[matches[positive]], anchors[positive])`.",
    ),
)
