"""Exercise 6: decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_08_retinanet.inputs import Maps, levels, size_of, square
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.boxes import clip_boxes_to_image
from course_lib.coding import decode_boxes
from course_lib.models import retinanet as ref
from course_lib.models.retinanet import best_candidates
from course_lib.suppression import batched_nms, nms

Triple = tuple[Tensor, Tensor, Tensor]
Size = Sequence[int]
NAMES = ("score_threshold", "candidates", "nms_threshold", "max_detections")


def _options(given: Sequence[float]) -> dict[str, Any]:
    return dict(zip(NAMES, (0.05, 1000, 0.5, 100), strict=True)) | dict(
        zip(NAMES, given, strict=False)
    )


def _reference(logits: Maps, deltas: Maps, anchors: Maps, size: Size, *given: float) -> Triple:
    found = ref.decode(logits, deltas, anchors, (size[0], size[1]), **_options(given))
    return found["boxes"], found["scores"], found["labels"]


def _detect(
    box: Callable[[Tensor, Tensor], Tensor] = decode_boxes,
    clip: Callable[[Tensor, Size], Tensor] = lambda boxes, size: clip_boxes_to_image(
        boxes, (size[0], size[1])
    ),
    suppress: Callable[..., Tensor] = batched_nms,
    pick: Callable[[Tensor, Tensor], Tensor] = lambda rows, anchor: rows[anchor],
    pick_anchor: Callable[[Tensor, Tensor], Tensor] = lambda rows, anchor: rows[anchor],
    join: Callable[[Sequence[Tensor]], Tensor] = lambda parts: torch.cat(list(parts)),
    by_level: bool = False,
    limit: bool = True,
    answer: Callable[[Triple], Any] = lambda found: found,
    **given: float,
) -> Callable[..., Any]:
    """The exercise with one step replaced. given: options that ignore the arguments."""

    def wrong(logits: Maps, deltas: Maps, anchors: Maps, size: Size, *args: float) -> Any:
        options = _options(args) | given
        found = []
        for rows, codes, boxes in zip(logits, deltas, anchors, strict=True):
            scores, anchor, labels = best_candidates(
                rows, options["score_threshold"], int(options["candidates"])
            )
            moved = clip(box(pick(codes, anchor), pick_anchor(boxes, anchor)), size)
            if by_level:
                keep = suppress(moved, scores, labels, options["nms_threshold"])
                moved, scores, labels = moved[keep], scores[keep], labels[keep]
            found.append((moved, scores, labels))
        boxes, scores, labels = (join(parts) for parts in zip(*found, strict=True))
        if by_level:
            keep = scores.argsort(descending=True, stable=True)
        else:
            keep = suppress(boxes, scores, labels, options["nms_threshold"])
        if limit:
            keep = keep[: int(options["max_detections"])]
        return answer((boxes[keep], scores[keep], labels[keep]))

    return wrong


def _all_together(logits: Maps, deltas: Maps, anchors: Maps, size: Size, *args: float) -> Triple:
    """The limit on candidates for all levels together."""
    joined = [torch.cat(logits)], [torch.cat(deltas)], [torch.cat(anchors)]
    return _reference(*joined, size, *args)


def _limit_before(
    boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, most: int
) -> Tensor:
    """The best `most`, and of these what NMS keeps."""
    best = scores.argsort(descending=True, stable=True)[:most]
    return best[batched_nms(boxes[best], scores[best], labels[best], threshold)]


def _cut_first(logits: Maps, deltas: Maps, anchors: Maps, size: Size, *args: float) -> Triple:
    most = int(_options(args)["max_detections"])

    def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
        return _limit_before(boxes, scores, labels, threshold, most)

    found: Triple = _detect(suppress=suppress)(logits, deltas, anchors, size, *args)
    return found


def _levels_kept_apart(
    logits: Maps, deltas: Maps, anchors: Maps, size: Size, *args: float
) -> Triple:
    parts = [
        _reference([rows], [codes], [boxes], size, *args)
        for rows, codes, boxes in zip(logits, deltas, anchors, strict=True)
    ]
    boxes, scores, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return boxes, scores, labels


def _width_for_height(boxes: Tensor, size: Size) -> Tensor:
    return clip_boxes_to_image(boxes, (size[1], size[0]))


def _no_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    return scores.argsort(descending=True, stable=True)


def _one_class(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    return nms(boxes, scores, threshold)


def _case(probes: str, counts: Sequence[int], *options: float, **about: Any) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return *levels(d, *counts), size_of(400, 600), *options

    return Case(probes, make, **about)


def _heap(d: Draw) -> tuple[Any, ...]:
    """Two levels over one object: boxes that all but coincide, in two classes; one further off.

    IoU is above 0.7 in the heap, and about 0.3 between the heap and the third and seventh box.
    """
    x, y = d.integer(30, 90), d.integer(30, 70)
    fine = [square(x + dx, y + dy, 40, 44) for dx, dy in ((0, 0), (3, 1), (22, 2), (90, 0))]
    coarse = [square(x + dx, y - 2, 44, 44) for dx in (0, 2, 95)] + [square(x, y + 24, 40, 44)]
    anchors = [torch.tensor(fine).float(), torch.tensor(coarse).float()]
    scores = (d.numbers(16, high=10_000_000).argsort(stable=True) / 3 - 2.5).reshape(8, 2)
    deltas = [torch.zeros(4, 4) + 1 / 64, torch.zeros(4, 4) - 1 / 64]
    return [scores[:4], scores[4:]], deltas, anchors, size_of(200, 260)


def _heap_with(*options: float) -> Callable[[Draw], tuple[Any, ...]]:
    return lambda d: (*_heap(d), *options)


def _over_the_border(d: Draw) -> tuple[Any, ...]:
    """Anchors that reach over each border of an image that is wider than high."""
    corners = ((-9, 20), (40, -7), (118, 30), (60, 66))
    anchors = torch.tensor([square(*corner, 24, 20) for corner in corners]).float()
    logits = (d.numbers(4, high=1_000_000).argsort(stable=True) / 2 - 1 / 4).reshape(4, 1)
    return [logits], [torch.zeros(4, 4)], [anchors], size_of(80, 130)


def _nothing(d: Draw) -> tuple[Any, ...]:
    logits, deltas, anchors = levels(d, 3, 2)
    return [rows - 9 for rows in logits], deltas, anchors, size_of(400, 600)


DECODE = Exercise(
    name="decode",
    points=2,
    reference=_reference,
    names=("cls_logits", "bbox_regression", "anchors", "size", *NAMES),
    outputs=("boxes", "scores", "labels"),
    forbids=("decode", "suppress"),
    cases=(
        _case("one level, boxes far apart", [5], core=True),
        _case("three levels", [4, 3, 2], core=True),
        Case("a heap of boxes over one object, from two levels", _heap, core=True),
        Case("anchors that reach over the border", _over_the_border),
        _case("at most three candidates a level", [6, 6], 0.05, 3),
        _case("a high score threshold", [6, 5], 0.4),
        Case("a heap, and an NMS threshold of 0.2", _heap_with(0.05, 1000, 0.2)),
        Case("a heap, and at most four detections", _heap_with(0.05, 1000, 0.5, 4)),
        Case("nothing found", _nothing),
    ),
    mistakes=(
        Mistake(
            "anchors_not_moved",
            "These are the anchors, not yet moved by their deltas: `decode_boxes`.",
            _detect(box=lambda deltas, anchors: anchors),
        ),
        Mistake(
            "deltas_for_boxes",
            "These are deltas. `decode_boxes(deltas, anchors)` makes boxes in pixels of them.",
            _detect(box=lambda deltas, anchors: deltas, clip=lambda boxes, _: boxes),
        ),
        Mistake(
            "first_anchors",
            "The first anchors of the level were moved, not those that the candidates belong to: "
            "`anchors[level][anchor]`, and the deltas likewise.",
            _detect(
                pick=lambda rows, anchor: rows[torch.arange(len(anchor)) % len(rows)],
                pick_anchor=lambda rows, anchor: rows[torch.arange(len(anchor)) % len(rows)],
            ),
        ),
        Mistake(
            "deltas_of_other_anchors",
            "The deltas were taken as they come, the anchors by the candidates' numbers. Both "
            "belong to the same anchor: `[anchor]` for both.",
            _detect(pick=lambda rows, anchor: rows[torch.arange(len(anchor)) % len(rows)]),
        ),
        Mistake(
            "not_clipped",
            "Boxes reach over the border of the image. Cut them: "
            "`clip_boxes_to_image(boxes, size)`.",
            _detect(clip=lambda boxes, _: boxes),
        ),
        Mistake(
            "width_for_height",
            "The boxes were cut at the width below and at the height on the right. `size` is "
            "(height, width).",
            _detect(clip=_width_for_height),
        ),
        Mistake(
            "no_nms",
            "Every object is found many times: NMS is missing.",
            _detect(suppress=_no_nms),
        ),
        Mistake(
            "nms_over_all_classes",
            "Boxes of different classes suppressed each other. NMS runs in each class by itself: "
            "`batched_nms(boxes, scores, labels, nms_threshold)`.",
            _detect(suppress=_one_class),
        ),
        Mistake(
            "nms_by_level",
            "NMS ran in each level by itself, so that an object that two levels found stays twice. "
            "Join the levels first.",
            _detect(by_level=True),
        ),
        Mistake(
            "candidates_of_all_levels",
            "`candidates` was taken as a limit for all levels together. Each level has its own: a "
            "loud fine level should not silence a coarse one.",
            _all_together,
        ),
        Mistake(
            "no_limit_at_the_end",
            "There are more than `max_detections`. Keep the best of what NMS leaves.",
            _detect(limit=False),
        ),
        Mistake(
            "limit_before_nms",
            "`max_detections` was applied before the NMS. Boxes that it removes then take the "
            "places of objects: cut at the very end.",
            _cut_first,
        ),
        Mistake(
            "threshold_ignored",
            "0.05 is the score threshold whatever `score_threshold` says.",
            _detect(score_threshold=0.05),
        ),
        Mistake(
            "candidates_ignored",
            "1,000 candidates are taken whatever `candidates` says.",
            _detect(candidates=1000),
        ),
        Mistake(
            "nms_threshold_ignored",
            "NMS suppresses at 0.5 whatever `nms_threshold` says.",
            _detect(nms_threshold=0.5),
        ),
        Mistake(
            "options_dropped",
            "`score_threshold` and `candidates` do not reach `best_candidates`: hand both over.",
            _detect(score_threshold=0.05, candidates=1000),
        ),
        Mistake(
            "kept_in_place",
            "The detections stand in the order of the levels. `batched_nms` answers best first: "
            "do not sort its indices.",
            _detect(suppress=lambda *given: batched_nms(*given).sort().values),
        ),
        Mistake(
            "levels_kept_apart",
            "NMS ran in each level by itself, and the levels were put one behind the other. Join "
            "them first, then NMS: it sorts all of them.",
            _levels_kept_apart,
        ),
        Mistake(
            "score_threshold_for_nms",
            "NMS was given the score threshold: boxes that hardly overlap are gone. Its own is "
            "`nms_threshold`.",
            lambda logits, deltas, anchors, size, *args: _detect(
                nms_threshold=_options(args)["score_threshold"]
            )(logits, deltas, anchors, size, *args),
        ),
        Mistake(
            "first_level_only",
            "The detections are of the first level only. Collect those of every level, then join "
            "them.",
            _detect(join=lambda parts: parts[0]),
        ),
        Mistake(
            "last_level_only",
            "The detections are of the last level only: each round of the loop overwrites the "
            "one before. Collect them in a list.",
            _detect(join=lambda parts: parts[-1]),
        ),
        Mistake(
            "xywh",
            "The last two columns are width and height. Boxes are xyxy.",
            _detect(
                answer=lambda found: (
                    torch.cat([found[0][:, :2], found[0][:, 2:] - found[0][:, :2]], 1),
                    *found[1:],
                )
            ),
        ),
        Mistake(
            "other_order",
            "The three parts came in another order. Return boxes, scores, labels.",
            _detect(answer=lambda found: (found[1], found[0], found[2])),
        ),
    ),
    hints=(
        "For each level: `scores, anchor, labels = best_candidates(...)`, then the boxes of these "
        "anchors: `decode_boxes(deltas[anchor], level_anchors[anchor])`, and clip them.",
        "Collect boxes, scores and labels in three lists; behind the loop `torch.cat` each.",
        "`keep = batched_nms(boxes, scores, labels, nms_threshold)[:max_detections]` comes by "
        "falling score already. Return the three at `[keep]`.",
    ),
)
