"""Exercise 5: grid_candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_07_yolo_loss.inputs import cells, shuffled
from autograde.exercises.lesson_07_yolo_loss.slips import columns_and_rows
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import yolo as ref
from course_lib.suppression import batched_nms

Inputs = tuple[Tensor, list[int], int, float]
Answer = tuple[Tensor, Tensor, Tensor]


def _reference(cells: Tensor, size: list[int], num_boxes: int, threshold: float) -> Answer:
    return ref.grid_candidates(cells, (size[0], size[1]), num_boxes, threshold)


# ------------------------------------------------------------------ answers of a network


def _said(
    d: Draw,
    sure: int,
    A: int = 2,
    S: int = 3,
    K: int = 3,
    size: tuple[int, int] = (96, 128),
    threshold: float = 0.25,
    both: bool = False,
) -> Inputs:
    """`sure` predictors with a clear class; all others are below the threshold in every product.

    All scores above it differ: confidences and class probabilities are different sixteenths and
    primes of 64ths. both: a second class of each sure predictor is above it as well.
    """
    boxes = torch.cat(
        [
            d.numbers(S, S, A, 2, low=1, high=15) / 16,
            d.numbers(S, S, A, 1, low=1, high=3) / 8,
            d.numbers(S, S, A, 1, low=4, high=6) / 8,
        ],
        dim=3,
    )
    confidence = d.numbers(S, S, A, low=1, high=3) / 16
    classes = d.numbers(S, S, K, low=1, high=5) / 64
    row, column = cells(d, sure, S)
    predictor = torch.arange(sure) % A
    confidence[row, column, predictor] = 0.95 - 0.07 * shuffled(d, sure).float()
    label = (torch.arange(sure) + d.integer(0, K - 1)) % K
    classes[row, column, label] = 0.75 + 0.04 * shuffled(d, sure).float()
    if both:
        classes[row, column, (label + 1) % K] = 0.45 + 0.03 * shuffled(d, sure).float()
    answer = torch.cat([torch.cat([boxes, confidence[..., None]], dim=3).flatten(2), classes], 2)
    return answer, list(size), A, threshold


def _both_predictors(d: Draw) -> Inputs:
    """Both predictors of one cell are sure: they share its class."""
    answer, size, A, threshold = _said(d, 1)
    row, column = (answer[..., [4, 9]].amax(2) > 0.5).nonzero()[0].tolist()
    answer[row, column, 4], answer[row, column, 9] = 0.8, 0.6 + 0.02 * d.integer(0, 5)
    return answer, size, A, threshold


def _sure_of_nothing(d: Draw) -> Inputs:
    """One cell knows the class but not whether there is an object; another the other way round."""
    answer, size, A, threshold = _said(d, 1)
    row, column = (answer[..., 4] < 0.5).nonzero()[:2].unbind(1)
    answer[row[0], column[0], 10:] = torch.tensor([0.0, 0.95, 0.0])
    answer[row[1], column[1], 4] = 0.9
    return answer, size, A, threshold


def _at_the_threshold(d: Draw) -> Inputs:
    """One score is exactly the threshold, another hardly above."""
    answer, size, A, _ = _said(d, 2)
    spots = (answer[..., 4 : 5 * A : 5].amax(2) > 0.5).nonzero()
    (row1, column1), (row2, column2) = spots.tolist()
    for row, column, confidence in ((row1, column1, 0.5), (row2, column2, 0.5625)):
        place = 4 + 5 * int(answer[row, column, 4 : 5 * A : 5].argmax())
        answer[row, column, place] = confidence
        answer[row, column, 5 * A + int(answer[row, column, 5 * A :].argmax())] = 0.5
    return answer, size, A, 0.25


def _below_0(d: Draw) -> Inputs:
    """A predictor whose confidence and whose class came out below 0."""
    answer, size, A, threshold = _said(d, 1)
    row, column = (answer[..., [4, 9]].amax(2) < 0.5).nonzero()[d.integer(0, 3)].tolist()
    answer[row, column, 4], answer[row, column, 11] = -0.75, -0.875
    return answer, size, A, threshold


def _sure_below_0(d: Draw) -> Inputs:
    """A predictor whose confidence came out below 0, in a cell that is sure of a class."""
    answer, size, A, threshold = _said(d, 1)
    row, column = (answer[..., [4, 9]].amax(2) < 0.5).nonzero()[d.integer(0, 3)].tolist()
    answer[row, column, 4], answer[row, column, 11] = -0.75, 0.875
    return answer, size, A, threshold


def _class_beyond_1(d: Draw) -> Inputs:
    """A class of 1.125: its score is above the confidence, and in the order of another."""
    answer, size, A, threshold = _said(d, 3)
    for row, column in (answer[..., [4, 9]].amax(2) > 0.5).nonzero().tolist()[:2]:
        answer[row, column, 10 + int(answer[row, column, 10:].argmax())] = 1.125
    return answer, size, A, threshold


def _twins(d: Draw) -> Inputs:
    """Both predictors of one cell are sure of nearly the same box."""
    answer, size, A, threshold = _both_predictors(d)
    row, column = (answer[..., [4, 9]].amax(2) > 0.5).nonzero()[0].tolist()
    answer[row, column, 5:9] = answer[row, column, 0:4] + 1 / 64
    return answer, size, A, threshold


def _beyond_1(d: Draw) -> Inputs:
    """A linear layer may say 1.1: two scores come out above 1, one in the order of the other."""
    answer, size, A, threshold = _said(d, 3)
    spots = (answer[..., [4, 9]].amax(2) > 0.5).nonzero().tolist()
    for (row, column), confidence in zip(spots[:2], (1.125, 1.25), strict=True):
        answer[row, column, 4 + 5 * int(answer[row, column, 4] < answer[row, column, 9])] = (
            confidence
        )
        answer[row, column, 10 + int(answer[row, column, 10:].argmax())] = 0.9375
    return answer, size, A, threshold


# ------------------------------------------------------------------ wrong answers


def _product(confidence: Tensor, classes: Tensor) -> Tensor:
    """[S, S, A, K]."""
    return confidence[..., None] * classes[..., None, :]


def _places(scores: Tensor, confidence: Tensor, threshold: float) -> Tensor:
    return (scores > threshold).nonzero()


def _sorted(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)


def read(
    score: Callable[[Tensor, Tensor], Tensor] = _product,
    places: Callable[[Tensor, Tensor, float], Tensor] = _places,
    decode: Callable[[Tensor, list[int]], Tensor] = lambda boxes, size: ref.decode_grid(
        boxes, (size[0], size[1])
    ),
    order: Callable[[Tensor], Tensor] = _sorted,
    label: Callable[[Tensor], Tensor] = lambda place: place[:, 3],
    split: Callable[[Tensor, int], Any] = ref.split_cells,
    give: Callable[..., Any] = lambda boxes, scores, labels: (boxes, scores, labels),
    signs: bool = False,
) -> Callable[..., Any]:
    """grid_candidates with one step replaced. signs: a confidence below 0 is taken as it is."""

    def wrong(cells: Tensor, size: list[int], A: int, threshold: float) -> Any:
        boxes, confidence, classes = split(cells, A)
        scores = score(confidence if signs else confidence.clamp(min=0), classes)
        place = places(scores, confidence, threshold)
        row, column, predictor, k = place.unbind(1)
        found = scores[row, column, predictor, k]
        best = order(found)
        return give(
            decode(boxes, size)[row, column, predictor][best], found[best], label(place)[best]
        )

    return wrong


def _best_class(scores: Tensor, confidence: Tensor, threshold: float) -> Tensor:
    top, k = scores.max(-1)
    place = (top > threshold).nonzero()
    return torch.cat([place, k[tuple(place.unbind(1))][:, None]], dim=1)


def _best_predictor(scores: Tensor, confidence: Tensor, threshold: float) -> Tensor:
    top, j = scores.max(2)  # [S, S, K]
    place = (top > threshold).nonzero()
    return torch.cat([place[:, :2], j[tuple(place.unbind(1))][:, None], place[:, 2:]], dim=1)


def _by_confidence(scores: Tensor, confidence: Tensor, threshold: float) -> Tensor:
    sure = (confidence > threshold)[..., None].expand_as(scores)
    return sure.nonzero()


def _by_confidence_best_class(scores: Tensor, confidence: Tensor, threshold: float) -> Tensor:
    place = (confidence > threshold).nonzero()
    k = scores.argmax(-1)[tuple(place.unbind(1))]
    return torch.cat([place, k[:, None]], dim=1)


def _classes_first(cells: Tensor, A: int) -> Any:
    """Read as if the classes stood before the boxes, as in the authors' code."""
    K = cells.shape[-1] - 5 * A
    boxes = cells[..., K:].unflatten(-1, (A, 5))
    return boxes[..., :4], boxes[..., 4], cells[..., :K]


def _confidence_first(cells: Tensor, A: int) -> Any:
    classes = ref.split_cells(cells, A).classes
    whole = cells[..., : 5 * A].unflatten(-1, (A, 5))
    return whole[..., 1:], whole[..., 0], classes


def _without_cell(boxes: Tensor, size: list[int]) -> Tensor:
    """Decoded as if all were in the upper left cell."""
    column, row = columns_and_rows(boxes)
    moved = torch.stack([column, row, column, row], dim=-1) / len(boxes)
    wh = boxes.new_tensor([size[1], size[0]]).repeat(2)
    return ref.decode_grid(boxes, (size[0], size[1])) - moved * wh


def _clipped(boxes: Tensor, size: list[int]) -> Tensor:
    wh = boxes.new_tensor([size[1], size[0]]).repeat(2)
    return torch.minimum(ref.decode_grid(boxes, (size[0], size[1])).clamp(min=0), wh)


def _suppressed(boxes: Tensor, scores: Tensor, labels: Tensor) -> Answer:
    keep = batched_nms(boxes, scores, labels, 0.5)
    return boxes[keep], scores[keep], labels[keep]


GRID_CANDIDATES = Exercise(
    name="grid_candidates",
    points=2,
    reference=_reference,
    names=("cells", "size", "num_boxes", "score_threshold"),
    outputs=("boxes", "scores", "labels"),
    forbids=("grid_candidates", "detect"),
    cases=(
        Case("one sure predictor", lambda d: _said(d, 1), core=True),
        Case("four of them in four cells, best first", lambda d: _said(d, 4), core=True),
        Case("two classes above the threshold: two candidates", lambda d: _said(d, 2, both=True)),
        Case("both predictors of a cell", _both_predictors),
        Case("sure of the class, not of an object, and the other way round", _sure_of_nothing),
        Case("a score of exactly the threshold is left out", _at_the_threshold),
        Case("three predictors a cell, two classes", lambda d: _said(d, 3, A=3, K=2)),
        Case("one predictor a cell", lambda d: _said(d, 2, A=1)),
        Case("confidence and class below 0: no candidate", _below_0),
        Case("a confidence below 0 and a sure class: no candidate", _sure_below_0),
        Case("a confidence above 1", _beyond_1),
        Case("a class above 1", _class_beyond_1),
        Case("two boxes of one class, nearly the same: both are candidates", _twins),
        Case("nothing above the threshold", lambda d: (*_said(d, 2)[:3], 0.97)),
    ),
    mistakes=(
        Mistake(
            "confidence_alone",
            "The score is the confidence alone. Multiply it by the probability of the class.",
            read(score=lambda c, p: c[..., None] + 0 * p[..., None, :]),
        ),
        Mistake(
            "confidence_of_the_best",
            "The score is the confidence alone, with the cell's best class as the label. Multiply "
            "it by the probability of each class.",
            read(
                score=lambda c, p: c[..., None] * (p == p.amax(-1, keepdim=True))[..., None, :],
            ),
        ),
        Mistake(
            "class_alone",
            "The score is the class's probability alone. Without the confidence nobody knows "
            "whether there is an object: multiply.",
            read(score=lambda c, p: p[..., None, :] + 0 * c[..., None]),
        ),
        Mistake(
            "added",
            "Confidence and probability were added. P(class and object) is a product.",
            read(score=lambda c, p: c[..., None] + p[..., None, :]),
        ),
        Mistake(
            "mean",
            "The score is the mean of confidence and probability. It is their product: either "
            "alone is not enough.",
            read(score=lambda c, p: (c[..., None] + p[..., None, :]) / 2),
        ),
        Mistake(
            "softmax",
            "softmax was put over the classes. They are probabilities already: take them as they "
            "are.",
            read(score=lambda c, p: _product(c, p.softmax(-1))),
        ),
        Mistake(
            "sigmoid",
            "sigmoid was put over the numbers. In the first YOLO they are probabilities already.",
            read(score=lambda c, p: _product(c.sigmoid(), p.sigmoid())),
        ),
        Mistake(
            "best_class_only",
            "Only the best class of each predictor was taken. Every class with a score above the "
            "threshold makes a candidate.",
            read(places=_best_class),
        ),
        Mistake(
            "best_predictor_only",
            "Only the best predictor of each cell was taken. Every one with a score above the "
            "threshold makes a candidate.",
            read(places=_best_predictor),
        ),
        Mistake(
            "by_confidence",
            "The threshold was put to the confidence. It is for the score, the product.",
            read(places=_by_confidence),
        ),
        Mistake(
            "by_confidence_best_class",
            "The threshold was put to the confidence, and one class taken of each predictor. It is "
            "for the score, the product, and for every class.",
            read(places=_by_confidence_best_class),
        ),
        Mistake(
            "at_least",
            "A score of exactly the threshold was kept. It must be above: `>`.",
            read(places=lambda scores, _, t: (scores >= t).nonzero()),
        ),
        Mistake(
            "everything",
            "All candidates came back, whatever their score. Keep those above the threshold.",
            read(places=lambda scores, _, t: (scores > -100).nonzero()),
        ),
        Mistake(
            "unsorted",
            "The candidates are in the order of the grid. Sort them: the highest score first.",
            read(order=lambda scores: torch.arange(len(scores))),
        ),
        Mistake(
            "worst_first",
            "The lowest score comes first. The best one should: `descending=True`.",
            read(order=lambda scores: scores.argsort(stable=True)),
        ),
        Mistake(
            "predictor_for_label",
            "The label is the number of the predictor. It is the number of the class.",
            read(label=lambda place: place[:, 2]),
        ),
        Mistake(
            "labels_from_one",
            "The labels count from 1. The first class is 0.",
            read(label=lambda place: place[:, 3] + 1),
        ),
        Mistake(
            "not_decoded",
            "The boxes are still x, y, √w, √h. Decode them.",
            read(decode=lambda boxes, size: boxes),
        ),
        Mistake(
            "shares",
            "The boxes are shares of the image. Decode them with its size, to get pixels.",
            read(decode=lambda boxes, size: ref.decode_grid(boxes, (1, 1))),
        ),
        Mistake(
            "first_cell",
            "All boxes were decoded as if they were in the upper left cell. Decode the whole grid "
            "first, then pick.",
            read(decode=_without_cell),
        ),
        Mistake(
            "size_swapped",
            "Width and height of the image are swapped: `size` is (height, width).",
            read(decode=lambda boxes, size: ref.decode_grid(boxes, (size[1], size[0]))),
        ),
        Mistake(
            "clipped",
            "The boxes were cut off at the border of the image. Leave them as they are here.",
            read(decode=_clipped),
        ),
        Mistake(
            "classes_first",
            "The classes were read from the front. They stand behind the boxes: use `split_cells`.",
            read(split=_classes_first),
        ),
        Mistake(
            "confidence_first",
            "The confidence was read from the front. It is the last of a predictor's five numbers: "
            "use `split_cells`.",
            read(split=_confidence_first),
        ),
        Mistake(
            "signs_multiply",
            "Minus times minus made a detection. A confidence below 0 counts as 0.",
            read(signs=True),
        ),
        Mistake(
            "kept_below_1",
            "Scores above 1 were cut off, and the best are all alike now. Take them as they are.",
            read(give=lambda b, s, k: (b, s.clamp(max=1), k)),
        ),
        Mistake(
            "confidence_kept_below_1",
            "A confidence above 1 was cut off. Only below 0 is it limited.",
            read(score=lambda c, p: _product(c.clamp(max=1), p)),
        ),
        Mistake(
            "classes_kept_below_1",
            "A class above 1 was cut off. Only the confidence is limited, and only below 0.",
            read(score=lambda c, p: _product(c, p.clamp(max=1))),
        ),
        Mistake(
            "confidence_made_positive",
            "A confidence below 0 was made positive. It counts as 0: `clamp(min=0)`.",
            read(score=lambda c, p: _product(c.abs(), p), signs=True),
        ),
        Mistake(
            "suppressed",
            "Overlapping boxes of a class were removed. NMS comes later: here every score above "
            "the threshold makes a candidate.",
            read(give=_suppressed),
        ),
        Mistake(
            "two_swapped",
            "Scores and labels are swapped. The order is boxes, scores, labels.",
            read(give=lambda boxes, scores, labels: (boxes, labels, scores)),
        ),
        Mistake(
            "sigmoid_of_the_confidence",
            "sigmoid was put over the confidence. In the first YOLO it is taken as it is.",
            read(score=lambda c, p: _product(c.sigmoid(), p), signs=True),
        ),
        Mistake(
            "sigmoid_of_the_classes",
            "sigmoid was put over the classes. In the first YOLO they are probabilities already.",
            read(score=lambda c, p: _product(c, p.sigmoid())),
        ),
        Mistake(
            "threshold_fixed",
            "The threshold is always 0.05. Use the argument `score_threshold`.",
            read(places=lambda scores, _, t: (scores > 0.05).nonzero()),
        ),
    ),
    hints=(
        "`boxes, confidence, classes = split_cells(cells, num_boxes)`. All scores at once, "
        "[S, S, A, K]: `confidence.clamp(min=0)[..., None] * classes[..., None, :]`.",
        "`(scores > score_threshold).nonzero()` has a row for each candidate: row, column, "
        "predictor and class. `.unbind(1)` gives the four columns, to pick with.",
        "Boxes: `decode_grid(boxes, size)[row, column, predictor]`; scores: `scores[row, column, "
        "predictor, label]`. Last, sort all three by `s.argsort(descending=True, stable=True)`.",
    ),
)
