"""Exercise 4: yolo_loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autograde.exercises.lesson_07_yolo_loss.inputs import answers
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import yolo as ref


@dataclass(frozen=True)
class Parts:
    """What an answer is compared with: [B, S, S, ...] each."""

    boxes: Tensor
    confidence: Tensor
    classes: Tensor
    true_boxes: Tensor
    is_object: Tensor
    true_classes: Tensor
    best: Tensor
    iou: Tensor

    @property
    def mine(self) -> Tensor:
        """1 for each responsible predictor, else 0: [B, S, S, A]."""
        return self.chosen(self.best)

    def chosen(self, predictor: Tensor) -> Tensor:
        return one_hot(predictor, self.boxes.shape[-2]) * self.is_object


def _read(predictions: Tensor, targets: Tensor, A: int) -> Parts:
    said, truth = ref.split_cells(predictions, A), ref.split_cells(targets, 1)
    best, iou = ref.who_answers(said.boxes, truth.boxes)
    return Parts(*said, *truth, best, iou)


Where = Callable[[Parts], Tensor]
Errors = Callable[[Parts], Tensor]


def loss(
    mine: Where = lambda p: p.mine,
    others: Where = lambda p: 1 - p.mine,
    with_object: Where = lambda p: p.is_object,
    off: Errors = lambda p: p.boxes - p.true_boxes,
    aim: Errors = lambda p: p.iou[..., None],
    of_classes: Errors = lambda p: (p.classes - p.true_classes) ** 2,
    power: Callable[[Tensor], Tensor] = torch.square,
    total: Callable[[Tensor, Parts], Tensor] = lambda errors, p: errors.sum() / len(p.boxes),
    weigh: Callable[..., Any] = lambda c, n: (c, c, 1, n, 1),
    give: Callable[..., Any] = lambda *terms: terms,
    read: Callable[[Tensor, Tensor, int], Parts] = _read,
) -> Callable[..., Any]:
    """yolo_loss with one step replaced."""

    def wrong(
        predictions: Tensor, targets: Tensor, A: int = 2, coord: float = 5, noobj: float = 0.5
    ) -> Any:
        p = read(predictions, targets, A)
        chosen, error = mine(p), power(off(p))
        terms = (
            total(error[..., :2] * chosen[..., None], p),
            total(error[..., 2:] * chosen[..., None], p),
            total(power(p.confidence - aim(p)) * chosen, p),
            total(power(p.confidence) * others(p), p),
            total(of_classes(p) * with_object(p), p),
        )
        return give(*(w * term for w, term in zip(weigh(coord, noobj), terms, strict=True)))

    return wrong


def _other(choice: Callable[[Parts], Tensor]) -> Callable[..., Any]:
    """The loss with another responsible predictor: the number of one in each cell."""
    return loss(mine=lambda p: p.chosen(choice(p)), others=lambda p: 1 - p.chosen(choice(p)))


def _overlap(p: Parts) -> Tensor:
    """IoU of every predictor of every cell, [B, S, S, A], with its gradient."""
    whole = (1, 1)
    found, truth = ref.decode_grid(p.boxes, whole), ref.decode_grid(p.true_boxes, whole)
    low = torch.maximum(found[..., :2], truth[..., :2])
    high = torch.minimum(found[..., 2:], truth[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area = (found[..., 2:] - found[..., :2]).prod(-1)
    return inter / (area + (truth[..., 2:] - truth[..., :2]).prod(-1) - inter).clamp(min=1e-9)


def _lowest(p: Parts) -> Tensor:
    return _overlap(p).argmin(-1)


def _no_roots(p: Parts) -> Tensor:
    """w and h compared themselves."""
    xy = p.boxes[..., :2] - p.true_boxes[..., :2]
    return torch.cat([xy, p.boxes[..., 2:] ** 2 - p.true_boxes[..., 2:] ** 2], dim=-1)


def _more_roots(p: Parts) -> Tensor:
    """The root of what is a root already."""
    xy = p.boxes[..., :2] - p.true_boxes[..., :2]
    return torch.cat([xy, p.boxes[..., 2:].sqrt() - p.true_boxes[..., 2:].sqrt()], dim=-1)


def _true_class_only(p: Parts) -> Tensor:
    return (p.classes - p.true_classes) ** 2 * p.true_classes


def _entropy(p: Parts) -> Tensor:
    return -p.true_classes * p.classes.log_softmax(-1)


def _by_objects(errors: Tensor, p: Parts) -> Tensor:
    return errors.sum() / p.is_object.sum().clamp(min=1)


def _empty_cells(p: Parts) -> Tensor:
    return (1 - p.is_object).expand_as(p.confidence)


def _same_cells(p: Parts) -> Tensor:
    """Only the other predictors of cells with an object."""
    return p.is_object - p.mine


def _all_of_the_cell(p: Parts) -> Tensor:
    return p.is_object.expand_as(p.confidence)


SAYS_MEAN = (
    "The errors were averaged over cells and numbers. The paper sums them; only over the images of "
    "the batch a mean is taken: sum, divided by B."
)


def _two(d: Draw) -> tuple[Tensor, Tensor]:
    return answers(d, [2, 1])


def _by_hand(d: Draw) -> tuple[Tensor, Tensor]:
    """The lesson's example: one cell, one class, and the first of two predictors answers."""
    predictions = [0.5, 0.5, 0.8, 0.7, 0.6, 0.1, 0.1, 0.1, 0.1, 0.4, 0.9]
    return (
        torch.tensor(predictions).reshape(1, 1, 1, 11),
        torch.tensor([0.5, 0.5, 0.8, 0.8, 1.0, 1.0]).reshape(1, 1, 1, 6),
    )


def _below_0(d: Draw) -> tuple[Tensor, Tensor]:
    """Every predictor has a root below 0; which boxes these are does not change."""
    predictions, targets = answers(d, [2, 1])
    predictions[..., [2, 8]] *= -1
    return predictions, targets


def _wild_confidence(d: Draw) -> tuple[Tensor, Tensor]:
    """Confidences from -1 to 2, below 0 and above 1 in every cell."""
    predictions, targets = answers(d, [2, 3])
    low = -d.numbers(2, 3, 3, low=4, high=15) / 16
    high = 1 + d.numbers(2, 3, 3, low=4, high=15) / 16
    flip = (torch.arange(9).reshape(3, 3) + d.integer(0, 1)) % 2 == 0
    predictions[..., 4] = torch.where(flip, low, high)
    predictions[..., 9] = torch.where(flip, high, low)
    return predictions, targets


def _roots_as(change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """The loss of predicted roots that were changed first."""

    def off(p: Parts) -> Tensor:
        said = torch.cat([p.boxes[..., :2], change(p.boxes[..., 2:])], dim=-1)
        return said - p.true_boxes

    return loss(off=off)


def _confidence_as(change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """The loss of confidences that were changed first."""

    def read(predictions: Tensor, targets: Tensor, A: int) -> Parts:
        p = _read(predictions, targets, A)
        return replace(p, confidence=change(p.confidence))

    return loss(read=read)


def _roots_cut_off_first(predictions: Tensor, targets: Tensor, A: int) -> Parts:
    """Roots below 0 are 0 before anybody asks who answers."""
    said, truth = ref.split_cells(predictions, A), ref.split_cells(targets, 1)
    boxes = torch.cat([said.boxes[..., :2], said.boxes[..., 2:].clamp(min=0)], dim=-1)
    best, iou = ref.who_answers(boxes, truth.boxes)
    return Parts(boxes, said.confidence, said.classes, *truth, best, iou)


def _box_mean(predictions: Tensor, targets: Tensor, *rest: Any) -> Any:
    """The mean in the terms of centre and size, the sum in the others."""
    mean = loss(total=lambda errors, p: errors.mean())(predictions, targets, *rest)
    return *mean[:2], *loss()(predictions, targets, *rest)[2:]


def _absolute_but_nothing(predictions: Tensor, targets: Tensor, *rest: Any) -> Any:
    """Absolute errors of everybody who answers, squares of the others."""
    wrong = loss(power=torch.abs, of_classes=lambda p: (p.classes - p.true_classes).abs())
    a, b, c, _, e = wrong(predictions, targets, *rest)
    return a, b, c, loss()(predictions, targets, *rest)[3], e


def _hot(columns: Callable[[Parts], int]) -> Callable[..., Any]:
    """The loss with so many columns in the choice of a predictor."""

    def mine(p: Parts) -> Tensor:
        return one_hot(p.best, columns(p)) * p.is_object

    return loss(mine=mine, others=lambda p: 1 - mine(p))


def _whole(d: Draw) -> tuple[Tensor, Tensor]:
    """Objects as large as the image, at corners of cells: whole numbers, which have no gradient.

    So that the gradient is that of the predictions alone, however a mask is made of the targets.
    """
    predictions, targets = answers(d, [1, 2])
    return predictions, targets.ceil().long()


YOLO_LOSS = Exercise(
    name="yolo_loss",
    points=4,
    reference=ref.yolo_loss,
    names=("predictions", "targets", "num_boxes", "lambda_coord", "lambda_noobj"),
    outputs=("centre", "size", "object", "no_object", "classes"),
    forbids=("yolo_loss",),
    cases=(
        Case("one image with one object", lambda d: (*answers(d, [1]), 2, 5, 0.5), core=True),
        Case(
            "two images with several objects", lambda d: (*answers(d, [3, 2]), 2, 5, 0.5), core=True
        ),
        Case("an image without objects", lambda d: (*answers(d, [0]), 2, 5, 0.5)),
        Case("one of three images has no objects", lambda d: (*answers(d, [2, 0, 1]), 2, 5, 0.5)),
        Case("three predictors a cell", lambda d: (*answers(d, [2, 3], A=3), 3, 5, 0.5)),
        Case("one predictor a cell", lambda d: (*answers(d, [2], A=1), 1, 5, 0.5)),
        Case(
            "the example by hand: the first predictor answers", lambda d: (*_by_hand(d), 2, 5, 0.5)
        ),
        Case("roots below 0", lambda d: (*_below_0(d), 2, 5, 0.5)),
        Case("confidences below 0 and above 1", lambda d: (*_wild_confidence(d), 2, 5, 0.5)),
        Case("other weights", lambda d: (*_two(d), 2, 2, 0.25)),
        Case("all weights 1", lambda d: (*_two(d), 2, 1, 1)),
        Case("as many objects as there is room for", lambda d: (*answers(d, [6], S=3), 2, 5, 0.5)),
        Case("the gradient of the predictions", lambda d: (*_whole(d), 2, 5, 0.5), kind="grad"),
    ),
    mistakes=(
        Mistake(
            "stacked",
            "One tensor came back. Give the five terms apart, as five tensors: `return centre, "
            "size, ...`, without `torch.stack`.",
            loss(give=lambda *terms: torch.stack(terms)),
        ),
        Mistake(
            "as_many_as_needed",
            "`one_hot(best)` makes as many columns as it needs: only one, where the first "
            "predictor answers everywhere, and that one then counts for all. Say how many: "
            "`one_hot(best, num_boxes)`.",
            _hot(lambda p: -1),
        ),
        Mistake(
            "always_two",
            "Your loss counts on two predictors in each cell. Their number is `num_boxes`.",
            _hot(lambda p: 2),
        ),
        Mistake(
            "roots_made_positive",
            "Roots below 0 were made positive first. In the loss −0.559 is not as good as 0.559: "
            "take the difference as it is.",
            _roots_as(torch.abs),
        ),
        Mistake(
            "roots_cut_off",
            "Roots below 0 were cut off at 0. Take the difference as it is: cut off, it has no "
            "gradient, and nothing would bring such a root back.",
            _roots_as(lambda root: root.clamp(min=0)),
        ),
        Mistake(
            "roots_cut_off_first",
            "Roots below 0 were cut off at 0 before anything else. Take all boxes as they are: "
            "cut off, a root has no gradient, and nothing would bring it back.",
            loss(read=_roots_cut_off_first),
        ),
        Mistake(
            "box_mean",
            "The terms of centre and size are means over cells and numbers. They are summed: sum, "
            "divided by B.",
            _box_mean,
        ),
        Mistake(
            "half_of_the_boxes",
            "Half of the squares was taken for centre and size. The paper has no ½ here.",
            loss(weigh=lambda c, n: (c / 2, c / 2, 1, n, 1)),
        ),
        Mistake(
            "coord_squared",
            "λ_coord stands inside of the squares, so that it was squared, too. It multiplies the "
            "sums.",
            loss(weigh=lambda c, n: (c * c, c * c, 1, n, 1)),
        ),
        Mistake(
            "noobj_squared",
            "λ_noobj stands inside of the square, so that it was squared, too. It multiplies the "
            "sum.",
            loss(weigh=lambda c, n: (c, c, 1, n * n, 1)),
        ),
        Mistake(
            "boxes_absolute",
            "The errors of centre and size were taken absolutely. They are squared.",
            loss(
                off=lambda p: (p.boxes - p.true_boxes).abs().clamp(min=1e-12).sqrt(),
            ),
        ),
        Mistake(
            "absolute_but_nothing",
            "The errors of those who answer were taken absolutely. All five terms are sums of "
            "squares.",
            _absolute_but_nothing,
        ),
        Mistake(
            "confidence_kept_in_0_1",
            "The confidences were limited to 0..1. The loss takes them as they are: cut off, they "
            "would cost nothing and have no gradient beyond.",
            _confidence_as(lambda c: c.clamp(0, 1)),
        ),
        Mistake(
            "confidence_cut_off",
            "Confidences below 0 were cut off at 0. The loss takes them as they are.",
            _confidence_as(lambda c: c.clamp(min=0)),
        ),
        Mistake(
            "confidence_made_positive",
            "Confidences below 0 were made positive. The loss takes them as they are.",
            _confidence_as(torch.abs),
        ),
        Mistake(
            "weights_squared",
            "The weights stand inside of the squares, so that they were squared, too. They "
            "multiply the sums.",
            loss(weigh=lambda c, n: (c * c, c * c, 1, n * n, 1)),
        ),
        Mistake(
            "mean_and_by_images",
            "The errors were averaged over cells and numbers, and then divided by B. They are "
            "summed: sum, divided by B.",
            loss(total=lambda errors, p: errors.mean() / len(p.boxes)),
        ),
        Mistake(
            "coord_unweighted",
            "λ_coord is missing: it multiplies the terms of the centre and of the size.",
            loss(weigh=lambda c, n: (1, 1, 1, n, 1)),
        ),
        Mistake(
            "size_unweighted",
            "λ_coord is missing in the term of the size. It multiplies both, centre and size.",
            loss(weigh=lambda c, n: (c, 1, 1, n, 1)),
        ),
        Mistake(
            "noobj_unweighted",
            "λ_noobj is missing: it multiplies the term of all who are not responsible.",
            loss(weigh=lambda c, n: (c, c, 1, 1, 1)),
        ),
        Mistake(
            "weights_swapped",
            "λ_coord and λ_noobj are swapped: the large one is for centre and size.",
            loss(weigh=lambda c, n: (n, n, 1, c, 1)),
        ),
        Mistake(
            "weights_fixed",
            "The weights are always 5 and 0.5. Use the arguments `lambda_coord` and "
            "`lambda_noobj`.",
            loss(weigh=lambda c, n: (5, 5, 1, 0.5, 1)),
        ),
        Mistake(
            "object_weighted",
            "λ_coord multiplies the object term as well. It is for centre and size alone.",
            loss(weigh=lambda c, n: (c, c, c, n, 1)),
        ),
        Mistake(
            "confidence_weighted",
            "λ_noobj multiplies the object term as well. It is for those who are not responsible.",
            loss(weigh=lambda c, n: (c, c, n, n, 1)),
        ),
        Mistake("mean", SAYS_MEAN, loss(total=lambda errors, p: errors.mean())),
        Mistake(
            "sum_over_images",
            "The images of the batch were added up. Divide by their number, B: otherwise a larger "
            "batch takes larger steps.",
            loss(total=lambda errors, p: errors.sum()),
        ),
        Mistake(
            "by_objects",
            "The sums were divided by the number of objects. Divide by the number of images, B.",
            loss(total=_by_objects),
        ),
        Mistake(
            "first_answers",
            "The first predictor answers in every cell. The one with the highest IoU does: "
            "`best` of `who_answers`.",
            _other(lambda p: torch.zeros_like(p.best)),
        ),
        Mistake(
            "lowest_answers",
            "The predictor with the lowest IoU answers. It should be the one with the highest.",
            _other(_lowest),
        ),
        Mistake(
            "surest_answers",
            "The predictor with the highest confidence answers. It should be the one whose box has "
            "the highest IoU with the truth.",
            _other(lambda p: p.confidence.argmax(-1)),
        ),
        Mistake(
            "all_answer",
            "All predictors of a cell with an object answer for it. Only one does, the one with "
            "the highest IoU; the others count as *no object*.",
            loss(mine=_all_of_the_cell, others=_empty_cells),
        ),
        Mistake(
            "others_left_in_peace",
            "In a cell with an object the predictors that are not responsible cost nothing. Their "
            "confidence belongs to the no_object term, too.",
            loss(others=_empty_cells),
        ),
        Mistake(
            "all_counted_empty",
            "The no_object term counts every predictor, the responsible ones as well: they are "
            "pulled up and down at once. Leave them out.",
            loss(others=lambda p: torch.ones_like(p.confidence)),
        ),
        Mistake(
            "only_in_object_cells",
            "The no_object term looks at cells with an object only. All predictors of empty cells "
            "belong to it as well: they are most of it.",
            loss(others=_same_cells),
        ),
        Mistake(
            "everybody_has_an_object",
            "Empty cells have a responsible predictor as well. Multiply the choice by the target's "
            "fifth number, which is 1 only in cells with an object.",
            loss(
                mine=lambda p: one_hot(p.best, p.boxes.shape[-2]).to(p.boxes.dtype),
                others=lambda p: 1 - one_hot(p.best, p.boxes.shape[-2]),
            ),
        ),
        Mistake(
            "classes_everywhere",
            "The classes of empty cells cost something, too. A cell without an object has no "
            "class: only cells with one count.",
            loss(with_object=lambda p: torch.ones_like(p.is_object)),
        ),
        Mistake(
            "classes_per_predictor",
            "The classes were counted once for each predictor. The cell has one set of them, which "
            "its predictors share.",
            loss(with_object=lambda p: p.boxes.shape[-2] * p.is_object),
        ),
        Mistake(
            "true_class_only",
            "Only the true class costs something. The others should be 0: sum over all classes.",
            loss(of_classes=_true_class_only),
        ),
        Mistake(
            "cross_entropy",
            "The classes' term is a cross entropy. YOLO's first version takes squared errors "
            "throughout.",
            loss(of_classes=_entropy),
        ),
        Mistake(
            "aim_1",
            "The confidence of the responsible predictor is pulled to 1. Its target is the IoU "
            "that its box has with the truth.",
            loss(aim=lambda p: torch.ones_like(p.confidence)),
        ),
        Mistake(
            "aim_of_each",
            "The IoU has a gradient in your loss: the box is pulled by its confidence. It is a "
            "constant here: compute it under `torch.no_grad()`, or `detach()` it.",
            loss(aim=_overlap),
        ),
        Mistake(
            "absolute",
            "The errors are not squared, but taken absolutely.",
            loss(power=torch.abs, of_classes=lambda p: (p.classes - p.true_classes).abs()),
        ),
        Mistake(
            "roots_of_errors",
            "A root was taken of the squared errors. The loss is a sum of squares.",
            loss(total=lambda errors, p: (errors.sum() / len(p.boxes)).sqrt()),
        ),
        Mistake(
            "half_of_squares",
            "Half of every square was taken. The paper has no ½ here.",
            loss(total=lambda errors, p: errors.sum() / len(p.boxes) / 2),
        ),
        Mistake(
            "squares_compared",
            "w and h were compared, not their roots. The numbers in the grid are roots already: "
            "take their difference as it is.",
            loss(off=_no_roots),
        ),
        Mistake(
            "root_of_a_root",
            "A root was taken of √w and √h. They are roots already: take their difference as it "
            "is.",
            loss(off=_more_roots),
        ),
        Mistake(
            "two_swapped",
            "The object and the no_object term are swapped in your answer.",
            loss(give=lambda a, b, c, d, e: (a, b, d, c, e)),
        ),
        Mistake(
            "one_sum",
            "One sum came back. Give the five terms apart: centre, size, object, no_object, "
            "classes.",
            loss(give=lambda *terms: sum(terms)),
        ),
    ),
    hints=(
        "`boxes, confidence, classes = split_cells(predictions, num_boxes)` and `true_boxes, "
        "is_object, true_classes = split_cells(targets, 1)`. `is_object` is [B, S, S, 1]: 1 or 0.",
        "`best, iou = who_answers(boxes, true_boxes)`, [B, S, S] each. "
        "`torch.nn.functional.one_hot(best, num_boxes) * is_object` is 1 for each responsible "
        "predictor, [B, S, S, A]; `1 - mine` is everybody else.",
        "`off = (boxes - true_boxes) ** 2 * mine[..., None]`: centre is `off[..., :2]`, size the "
        "rest. Object: `(confidence - iou[..., None]) ** 2 * mine`. Classes: squared difference "
        "times `is_object`. Each `.sum() / B`.",
    ),
)
