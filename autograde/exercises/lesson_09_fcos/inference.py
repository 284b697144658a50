"""Exercise 7: decode_locations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_09_fcos.inputs import Maps, levels, signed, size_of, square
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.boxes import clip_boxes_to_image
from course_lib.models import fcos as ref
from course_lib.models.candidates import best_scores
from course_lib.models.fcos import decode_sides
from course_lib.suppression import batched_nms, nms

Triple = tuple[Tensor, Tensor, Tensor]
Size = Sequence[int]
NAMES = ("score_threshold", "candidates", "nms_threshold", "max_detections")


def _options(given: Sequence[float]) -> dict[str, Any]:
    return dict(zip(NAMES, (0.05, 1000, 0.6, 100), strict=True)) | dict(
        zip(NAMES, given, strict=False)
    )


def _reference(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *given: float
) -> Triple:
    found = ref.decode(logits, sides, central, locations, size, **_options(given))
    return found["boxes"], found["scores"], found["labels"]


def _score(p: Tensor, c: Tensor) -> Tensor:
    return (p * c).sqrt()


def _clip(boxes: Tensor, size: Size) -> Tensor:
    return clip_boxes_to_image(boxes, size)


def _rows(table: Tensor, place: Tensor) -> Tensor:
    return table[place]


def _first_rows(table: Tensor, place: Tensor) -> Tensor:
    return table[torch.arange(len(place)) % len(table)]


def _detect(
    score: Callable[[Tensor, Tensor], Tensor] = _score,
    central_of: Callable[[Tensor], Tensor] = torch.sigmoid,
    choose: Callable[[Tensor, Tensor], Tensor] | None = None,
    box: Callable[[Tensor, Tensor], Tensor] = decode_sides,
    clip: Callable[[Tensor, Size], Tensor] = _clip,
    suppress: Callable[..., Tensor] = batched_nms,
    pick: Callable[[Tensor, Tensor], Tensor] = _rows,
    pick_sides: Callable[[Tensor, Tensor], Tensor] = _rows,
    join: Callable[[Sequence[Tensor]], Tensor] = lambda parts: torch.cat(list(parts)),
    by_level: bool = False,
    limit: bool = True,
    answer: Callable[[Triple], Any] = lambda found: found,
    **given: float,
) -> Callable[..., Any]:
    """The exercise with one step replaced. given: options that ignore the arguments.

    choose: what candidates are chosen by, if not by their score.
    """

    def wrong(
        logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
    ) -> Any:
        options = _options(args) | given
        found = []
        for rows, said, centre, points in zip(logits, sides, central, locations, strict=True):
            p, c = rows.sigmoid(), central_of(centre)[:, None]
            scores = score(p, c)
            best, place, labels = best_scores(
                scores if choose is None else choose(p, c),
                options["score_threshold"],
                int(options["candidates"]),
            )
            if choose is not None:
                best = scores[place, labels]
            boxes = clip(box(pick(points, place), pick_sides(said, place)), size)
            if by_level:
                keep = suppress(boxes, best, labels, options["nms_threshold"])
                boxes, best, labels = boxes[keep], best[keep], labels[keep]
            found.append((boxes, best, labels))
        boxes, best, labels = (join(parts) for parts in zip(*found, strict=True))
        if by_level:
            keep = best.argsort(descending=True, stable=True)
        else:
            keep = suppress(boxes, best, labels, options["nms_threshold"])
        if limit:
            keep = keep[: int(options["max_detections"])]
        return answer((boxes[keep], best[keep], labels[keep]))

    return wrong


def _all_together(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """The limit on candidates for all levels together."""
    rows, said, centres, points = ([torch.cat(x)] for x in (logits, sides, central, locations))
    return _reference(rows, said, centres, points, size, *args)


def _cut_first(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    most = int(_options(args)["max_detections"])

    def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
        best = scores.argsort(descending=True, stable=True)[:most]
        return best[batched_nms(boxes[best], scores[best], labels[best], threshold)]

    found: Triple = _detect(suppress=suppress)(logits, sides, central, locations, size, *args)
    return found


def _centre_after_nms(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """NMS by p; what it keeps is sorted by the score."""
    options = _options(args)
    found = []
    for rows, said, centre, points in zip(logits, sides, central, locations, strict=True):
        p, c = rows.sigmoid(), centre.sigmoid()[:, None]
        best, place, labels = best_scores(
            _score(p, c), options["score_threshold"], int(options["candidates"])
        )
        boxes = _clip(decode_sides(points[place], said[place]), size)
        found.append((boxes, best, labels, p[place, labels]))
    boxes, best, labels, sure = (torch.cat(parts) for parts in zip(*found, strict=True))
    keep = batched_nms(boxes, sure, labels, options["nms_threshold"])
    keep = keep[best[keep].argsort(descending=True, stable=True)]
    keep = keep[: int(options["max_detections"])]
    return boxes[keep], best[keep], labels[keep]


def _clipped_last(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """NMS on boxes that reach over the border; what it keeps is cut."""
    far = (10**6, 10**6)
    boxes, scores, labels = _detect(clip=lambda boxes, _: boxes)(
        logits, sides, central, locations, far, *args
    )
    return clip_boxes_to_image(boxes, (size[0], size[1])), scores, labels


def _from_the_joined_list(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """The candidate's place in its level, looked up in the locations of all levels."""
    every = torch.cat(locations)
    found: Triple = _detect(pick=lambda _, place: every[place])(
        logits, sides, central, locations, size, *args
    )
    return found


def _one_class_a_location(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """Of each location only its best class."""
    best = [
        rows.masked_fill(torch.arange(rows.shape[1]) != rows.argmax(1, keepdim=True), -100)
        for rows in logits
    ]
    return _reference(best, sides, central, locations, size, *args)


def _softmax(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    shares = [rows.softmax(1).logit(eps=1e-7) for rows in logits]
    return _reference(shares, sides, central, locations, size, *args)


def _ascending(
    logits: Maps, sides: Maps, central: Maps, locations: Maps, size: Size, *args: float
) -> Triple:
    """What NMS keeps, sorted once more, the worst first."""

    def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
        keep = batched_nms(boxes, scores, labels, threshold)
        return keep[scores[keep].argsort()]

    found: Triple = _detect(suppress=suppress)(logits, sides, central, locations, size, *args)
    return found


def _no_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    return scores.argsort(descending=True, stable=True)


def _one_class(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    return nms(boxes, scores, threshold)


def _centre_and_size(locations: Tensor, sides: Tensor) -> Tensor:
    """The location in the middle of a box of width l + r and height t + b."""
    half = (sides[:, :2] + sides[:, 2:]) / 2
    return torch.cat([locations - half, locations + half], 1)


def _case(probes: str, counts: Sequence[int], *options: float, **about: Any) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return *levels(d, *counts), size_of(500, 900), *options

    return Case(probes, make, **about)


def _against_each_other(d: Draw) -> tuple[Any, ...]:
    """The surer of a class, the further from the middle: the centre-ness decides who goes on."""
    logits, sides, _, locations = levels(d, 6, 6)
    central = [0.25 - 1.5 * rows.amax(1) for rows in logits]
    return logits, sides, central, locations, size_of(500, 900), 0.05, 2


def _told(d: Draw, boxes: Sequence[Sequence[float]]) -> tuple[Tensor, Tensor]:
    """A location in each box, and the sides from it."""
    table = torch.tensor(boxes).float()
    share = d.numbers(len(boxes), 2, low=4, high=12) / 16
    points = table[:, :2] + share * (table[:, 2:] - table[:, :2])
    return points, torch.cat([points - table[:, :2], table[:, 2:] - points], 1)


def _sure_but_at_the_edge(d: Draw) -> tuple[Any, ...]:
    """Two locations of one object, the surer one at its edge; and one with a centre-ness near 0."""
    corners = [(60, 50, 40, 40), (61, 50, 38, 40), (200, 80, 44, 36), (320, 60, 30, 50)]
    points, sides = _told(d, [square(*corner) for corner in corners])
    logits = torch.tensor([[0.5], [1.5], [3.0], [-1.0]]) + signed(d, 4, 1, most=1) / 4
    central = torch.tensor([1.5, -1.5, -9.0, 2.0]) + signed(d, 4, most=1) / 4
    return [logits], [sides], [central], [points], size_of(500, 900)


def _heap(d: Draw) -> tuple[Any, ...]:
    """Two levels over one object: boxes that all but coincide, in two classes; one further off.

    IoU is above 0.75 in the heap, and from 0.25 to 0.4 between the heap and the third and the
    seventh box.
    """
    x, y = d.integer(30, 90), d.integer(30, 70)
    fine = [square(x + dx, y + dy, 40, 44) for dx, dy in ((0, 0), (3, 1), (22, 2), (90, 0))]
    coarse = [square(x + dx, y - 2, 44, 44) for dx in (0, 2, 95)] + [square(x, y + 24, 40, 44)]
    told = [_told(d, boxes) for boxes in (fine, coarse)]
    order = d.numbers(16, high=10_000_000).argsort(stable=True)
    logits = (order / 3 - 2.5).reshape(8, 2)
    central = [signed(d, 4, most=4), signed(d, 4, most=4)]
    points, sides = [p for p, _ in told], [s for _, s in told]
    return [logits[:4], logits[4:]], sides, central, points, size_of(200, 260)


def _heap_with(*options: float) -> Callable[[Draw], tuple[Any, ...]]:
    return lambda d: (*_heap(d), *options)


def _heap_on_top(d: Draw) -> tuple[Any, ...]:
    """The same, and the best four scores are all of one object."""
    logits, sides, central, locations, size = _heap(d)
    heap = torch.tensor([[6.5, 0], [6.5, 0], [0, 0], [0, 0]])
    central = [rows / 32 for rows in central]
    return [rows + heap for rows in logits], sides, central, locations, size, 0.05, 1000, 0.6, 4


def _over_the_border(d: Draw) -> tuple[Any, ...]:
    """Boxes that reach over each border of a picture that is wider than high."""
    corners = ((-9, 20), (40, -7), (118, 30), (60, 66))
    points, sides = _told(d, [square(*corner, 24, 20) for corner in corners])
    points = points.minimum(torch.tensor([129.0, 79.0])).maximum(torch.tensor([1.0, 1.0]))
    logits = (d.numbers(4, high=1_000_000).argsort(stable=True) / 2 - 1 / 4).reshape(4, 1)
    return [logits], [sides], [signed(d, 4, most=4)], [points], size_of(80, 130)


def _alike_in_the_picture(d: Draw) -> tuple[Any, ...]:
    """Over the right border, first a pair that overlaps more inside of the picture than in all.

    And below it a pair that overlaps less inside. IoU 0.4 and 1, and 0.65 and 0.47.
    """
    x, y = 4 * d.integer(0, 3), d.integer(2, 6)
    corners = [
        (100 - x, y, 40 + x, 40),
        (100 - x, y, 100 + x, 40),
        (60, y + 60, 100, 30),
        (92, y + 60, 73, 30),
    ]
    table = torch.tensor([square(*corner) for corner in corners]).float()
    points = torch.stack(
        (torch.tensor([110.0, 112, 90, 105]), table[:, 1] + d.numbers(4, low=5, high=25)), 1
    )
    sides = torch.cat([points - table[:, :2], table[:, 2:] - points], 1)
    logits = torch.tensor([[2.0], [1], [1.5], [0.5]]) + signed(d, 4, 1, most=1) / 4
    return [logits], [sides], [signed(d, 4, most=1) / 4], [points], size_of(120, 120)


def _nothing(d: Draw) -> tuple[Any, ...]:
    logits, sides, central, locations = levels(d, 3, 2)
    return [rows - 9 for rows in logits], sides, central, locations, size_of(500, 900)


DECODE_LOCATIONS = Exercise(
    name="decode_locations",
    points=2,
    reference=_reference,
    names=("cls_logits", "bbox_regression", "bbox_ctrness", "locations", "size", *NAMES),
    outputs=("boxes", "scores", "labels"),
    forbids=("decode", "suppress"),
    rows=True,
    cases=(
        _case("one level, boxes far apart", [5], core=True),
        _case("three levels", [4, 3, 2], core=True),
        Case("a heap of boxes over one object, from two levels", _heap, core=True),
        Case("sure of the class, but at the edge", _sure_but_at_the_edge),
        Case("the best two of each level, by score", _against_each_other),
        Case("boxes that reach over the border", _over_the_border),
        Case("pairs that overlap otherwise once they are cut", _alike_in_the_picture),
        _case("a high score threshold", [6, 5], 0.4),
        Case("a heap, and an NMS threshold of 0.2", _heap_with(0.05, 1000, 0.2)),
        Case("a heap, and at most four detections", _heap_on_top),
        Case("nothing found", _nothing),
    ),
    mistakes=(
        Mistake(
            "no_centre",
            "The scores do not know the centre-ness: they are the probabilities of the classes. "
            "A score is √(p · c).",
            _detect(score=lambda p, c: p),
        ),
        Mistake(
            "no_root",
            "The root is missing: a score is √(p · c). The order stays the same without it, but "
            "all scores are lower, and the threshold cuts away more.",
            _detect(score=lambda p, c: p * c),
        ),
        Mistake(
            "root_of_the_class_only",
            "The root is taken of p only. It is taken of the product: √(p · c).",
            _detect(score=lambda p, c: p.sqrt() * c),
        ),
        Mistake(
            "root_of_the_centre_only",
            "The root is taken of c only. It is taken of the product: √(p · c).",
            _detect(score=lambda p, c: p * c.sqrt()),
        ),
        Mistake(
            "softmax",
            "p came out of a softmax over the classes. Each class is a yes or no by itself: "
            "`sigmoid`.",
            _softmax,
        ),
        Mistake(
            "one_class_a_location",
            "Of each location only its best class goes on. Every class above the threshold does: "
            "`best_scores` takes the whole table [N, K].",
            _one_class_a_location,
        ),
        Mistake(
            "mean",
            "The score is the mean of class and centre-ness. A location that is sure of neither "
            "must not profit from the other: √(p · c).",
            _detect(score=lambda p, c: (p + c) / 2),
        ),
        Mistake(
            "centre_logits",
            "The centre-ness came without a sigmoid. The network says a logit, below 0 as well.",
            _detect(central_of=lambda centre: centre.clamp(min=0)),
        ),
        Mistake(
            "centre_only",
            "The score is the centre-ness alone, and says nothing of the class: √(p · c).",
            _detect(score=lambda p, c: c.expand(p.shape).sqrt()),
        ),
        Mistake(
            "candidates_by_class",
            "The candidates were chosen by the class alone, and the centre-ness came afterwards. "
            "Threshold and limit ask for the score, √(p · c).",
            _detect(choose=lambda p, c: p),
        ),
        Mistake(
            "centre_after_nms",
            "NMS knew only p, and the centre-ness came behind it. It is there to make NMS keep the "
            "better box: before.",
            _centre_after_nms,
        ),
        Mistake(
            "sides_for_boxes",
            "These are l, t, r, b. A box is (x − l, y − t, x + r, y + b).",
            _detect(box=lambda points, sides: sides, clip=lambda boxes, _: boxes),
        ),
        Mistake(
            "all_added",
            "All four distances were added to the location. l and t lead to the left and up: "
            "(x − l, y − t, x + r, y + b).",
            _detect(box=lambda points, sides: points.repeat(1, 2) + sides),
        ),
        Mistake(
            "no_location",
            "The boxes lie around (0, 0). Each belongs to its location: (x − l, y − t, x + r, "
            "y + b).",
            _detect(box=lambda points, sides: decode_sides(points * 0, sides)),
        ),
        Mistake(
            "y_x_locations",
            "A location was read as (y, x). It is (x, y).",
            _detect(box=lambda points, sides: decode_sides(points.flip(1), sides)),
        ),
        Mistake(
            "location_for_centre",
            "The location was taken for the centre of the box. It lies anywhere in it: l and r "
            "each lead to a side of their own.",
            _detect(box=_centre_and_size),
        ),
        Mistake(
            "l_r_t_b",
            "The distances were read as l, r, t, b. Their order is l, t, r, b.",
            _detect(box=lambda points, sides: decode_sides(points, sides[:, [0, 2, 1, 3]])),
        ),
        Mistake(
            "first_locations",
            "The first locations of the level were taken, not those that the candidates belong to: "
            "`locations[place]`, and the sides likewise.",
            _detect(pick=_first_rows, pick_sides=_first_rows),
        ),
        Mistake(
            "sides_of_other_locations",
            "The sides were taken as they come, the locations by the candidates' places. Both "
            "belong to the same candidate: `[place]` for both.",
            _detect(pick_sides=_first_rows),
        ),
        Mistake(
            "from_the_joined_list",
            "`place` counts within a level, and was looked up in the locations of all levels. Take "
            "the location from the level's own list.",
            _from_the_joined_list,
        ),
        Mistake(
            "clipped_last",
            "NMS saw boxes that reach over the border, and they were cut afterwards. Cut first: "
            "how far two boxes overlap is asked inside of the picture.",
            _clipped_last,
        ),
        Mistake(
            "not_clipped",
            "Boxes reach over the border of the picture. Cut them: "
            "`clip_boxes_to_image(boxes, size)`.",
            _detect(clip=lambda boxes, _: boxes),
        ),
        Mistake(
            "width_for_height",
            "The boxes were cut at the width below and at the height on the right. `size` is "
            "(height, width).",
            _detect(clip=lambda boxes, size: clip_boxes_to_image(boxes, (size[1], size[0]))),
        ),
        Mistake(
            "no_nms",
            "Every object is found many times: NMS is missing. FCOS has no anchors, but many "
            "locations for one object.",
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
            "`candidates` was taken as a limit for all levels together. Each level has its own.",
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
            "`score_threshold` does not count: another number stands in its place.",
            _detect(score_threshold=0.05),
        ),
        Mistake(
            "candidates_ignored",
            "`candidates` does not count: of each level at most so many, the best, go on.",
            _detect(candidates=1000),
        ),
        Mistake(
            "nms_threshold_ignored",
            "`nms_threshold` does not reach the NMS: another number stands in its place.",
            _detect(nms_threshold=0.6),
        ),
        Mistake(
            "first_level_only",
            "The detections are of the first level only. Collect those of every level, then join "
            "them.",
            _detect(join=lambda parts: parts[0]),
        ),
        Mistake(
            "last_level_only",
            "The detections are of the last level only: each round of the loop overwrites the one "
            "before. Collect them in a list.",
            _detect(join=lambda parts: parts[-1]),
        ),
        Mistake(
            "other_order",
            "The three parts came in another order. Return boxes, scores, labels.",
            _detect(answer=lambda found: (found[1], found[0], found[2])),
        ),
        Mistake(
            "labels_before_scores",
            "Labels and scores are exchanged. Return boxes, scores, labels.",
            _detect(answer=lambda found: (found[0], found[2], found[1])),
        ),
        Mistake(
            "labels_from_one",
            "The labels are one too high. Class 0 is a class; `best_scores` counts as the columns "
            "of the logits do.",
            _detect(answer=lambda found: (found[0], found[1], found[2] + 1)),
        ),
        Mistake(
            "ascending",
            "The worst detections come first. Best first: `batched_nms` returns them so; or sort "
            "with `descending=True`.",
            _ascending,
        ),
    ),
    hints=(
        "For each level: `p = logits.sigmoid()` [N, K], `c = central.sigmoid()[:, None]` [N, 1], "
        "`scores, place, labels = best_scores((p * c).sqrt(), score_threshold, candidates)`.",
        "`x, s = points[place], sides[place]`; the boxes are "
        "`torch.cat((x - s[:, :2], x + s[:, 2:]), dim=1)`, clipped. Collect boxes, scores and "
        "labels of all levels, and `torch.cat` each.",
        "`keep = batched_nms(boxes, scores, labels, nms_threshold)[:max_detections]`. Return the "
        "three at `[keep]`.",
    ),
)
