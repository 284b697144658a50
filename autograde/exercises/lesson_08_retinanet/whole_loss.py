"""Exercise 4: retinanet_loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_08_retinanet.inputs import said
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.losses import sigmoid_focal_loss, smooth_l1_loss
from course_lib.models import retinanet as ref

Pair = tuple[Tensor, Tensor]
IGNORED = -2


def _reference(
    logits: Tensor,
    deltas: Tensor,
    classes: Tensor,
    wanted: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
) -> Pair:
    terms = ref.retinanet_loss(logits, deltas, classes, wanted, alpha=alpha, gamma=gamma)
    return terms["classification"], terms["bbox_regression"]


def _one_hot(logits: Tensor, classes: Tensor) -> Tensor:
    wanted = torch.zeros_like(logits)
    here = classes >= 0
    wanted[here, classes[here]] = 1
    return wanted


def _count(classes: Tensor) -> Tensor:
    return (classes >= 0).sum().clamp(min=1)


def _loss(
    hot: Callable[[Tensor, Tensor], Tensor] = _one_hot,
    heard: Callable[[Tensor], Tensor] = lambda classes: classes != IGNORED,
    focal: Callable[..., Tensor] = sigmoid_focal_loss,
    boxed: Callable[[Tensor], Tensor] = lambda classes: classes >= 0,
    away: Callable[[Tensor, Tensor], Tensor] = lambda said, wanted: (said - wanted).abs().sum(),
    count: Callable[[Tensor], Tensor] = _count,
    count_boxes: Callable[[Tensor], Tensor] | None = None,
    mean: bool = False,
) -> Callable[..., Pair]:
    """The exercise with one step replaced. mean: the focal loss is averaged, not summed."""

    def wrong(
        logits: Tensor,
        deltas: Tensor,
        classes: Tensor,
        wanted: Tensor,
        alpha: float = 0.25,
        gamma: float = 2,
    ) -> Pair:
        keep, here = heard(classes), boxed(classes)
        rows = focal(logits[keep], hot(logits, classes)[keep], alpha, gamma)
        total = rows.mean() if mean else rows.sum() / count(classes)
        return total, away(deltas[here], wanted[here]) / (count_boxes or count)(classes)

    return wrong


def _hot_with_background(logits: Tensor, classes: Tensor) -> Tensor:
    """Background counted as the last class: a negative index, and no error."""
    return _one_hot(logits, torch.where(classes == -1, logits.shape[1] - 1, classes))


def _hot_class_0(logits: Tensor, classes: Tensor) -> Tensor:
    return _one_hot(logits, classes.clamp(min=0))


def _all_classes_hot(logits: Tensor, classes: Tensor) -> Tensor:
    return (classes >= 0)[:, None].expand_as(logits).to(logits.dtype)


def _constant(value: int) -> Callable[[Tensor], Tensor]:
    return lambda classes: torch.tensor(float(value))


def _fixed(**given: float) -> Callable[..., Pair]:
    """α or γ is not taken from the arguments."""

    def wrong(
        logits: Tensor,
        deltas: Tensor,
        classes: Tensor,
        wanted: Tensor,
        alpha: float = 0.25,
        gamma: float = 2,
    ) -> Pair:
        options = {"alpha": alpha, "gamma": gamma, **given}
        return _reference(logits, deltas, classes, wanted, options["alpha"], options["gamma"])

    return wrong


def _own_logit_only(
    logits: Tensor,
    deltas: Tensor,
    classes: Tensor,
    wanted: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
) -> Pair:
    """Of a positive only its own class's logit; of a negative all."""
    hot = _one_hot(logits, classes)
    rows = sigmoid_focal_loss(logits, hot, alpha, gamma)
    counts = torch.where((classes >= 0)[:, None], hot, 1.0) * (classes != IGNORED)[:, None]
    count = _count(classes)
    box = (deltas - wanted)[classes >= 0].abs().sum() / count
    return (rows * counts).sum() / count, box


def _added(
    logits: Tensor,
    deltas: Tensor,
    classes: Tensor,
    wanted: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
) -> Tensor:
    classification, box = _reference(logits, deltas, classes, wanted, alpha, gamma)
    return classification + box


def _box_detached(*given: Any) -> Pair:
    classification, box = _reference(*given)
    return classification, box.detach()


def _swapped(*given: Any) -> Pair:
    classification, box = _reference(*given)
    return box, classification


def _case(
    probes: str, classes: Sequence[int], K: int, options: Sequence[float] = (), **about: Any
) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        order = d.numbers(len(classes), high=1_000_000).argsort(stable=True)
        shuffled = torch.tensor(list(classes))[order].tolist()
        return *said(d, len(classes), K, shuffled), *options

    return Case(probes, make, **about)


RETINANET_LOSS = Exercise(
    name="retinanet_loss",
    points=3,
    reference=_reference,
    names=("cls_logits", "bbox_regression", "classes", "deltas", "alpha", "gamma"),
    outputs=("classification", "box"),
    forbids=("retinanet_loss", "summed_focal_loss"),
    cases=(
        _case("two positives, four of background", [0, 2, -1, -1, -1, -1], 3, core=True),
        _case("and some ignored", [1, 0, 2, -1, -1, -1, -2, -2], 3, core=True),
        _case("an image without objects", [-1, -1, -1, -2], 2),
        _case("α = 0.75, γ = 0", [0, 1, 1, -1, -1, -2], 2, (0.75, 0), core=True),
        _case("γ = 1", [0, -1, -1, -1], 3, (0.25, 1)),
        _case("one class only", [0, 0, -1, -1, -1, -2], 1),
        _case("more positives than background", [1, 0, 1, 2, 0, -1, -2], 3),
        _case("the gradient", [1, 0, -1, -1, -2], 2, kind="grad", slopes=(0, 1)),
    ),
    mistakes=(
        Mistake(
            "over_all_anchors",
            "Both sums were divided by the number of all anchors. Nearly all are background that "
            "is right already: divide by the number of positives.",
            _loss(count=lambda classes: torch.tensor(len(classes))),
        ),
        Mistake(
            "over_heard_anchors",
            "Both sums were divided by the number of anchors that are not ignored. Divide by the "
            "number of positives.",
            _loss(count=lambda classes: (classes != IGNORED).sum().clamp(min=1)),
        ),
        Mistake(
            "mean_of_focal",
            "The focal loss is a mean over all logits, as cross entropy often is. It is a sum, "
            "divided by the number of positives.",
            _loss(mean=True),
        ),
        Mistake(
            "sums",
            "Both sums were divided by nothing. A picture with many objects would pull many times "
            "harder: divide by the number of positives.",
            _loss(count=_constant(1)),
        ),
        Mistake(
            "focal_over_all_boxes_over_positives",
            "The box loss is divided by the number of positives, the focal loss by that of all "
            "anchors. Both by the number of positives.",
            _loss(count=lambda classes: torch.tensor(len(classes)), count_boxes=_count),
        ),
        Mistake(
            "focal_summed_boxes_over_positives",
            "The box loss is divided by the number of positives, the focal loss is not. Both are.",
            _loss(count=_constant(1), count_boxes=_count),
        ),
        Mistake(
            "boxes_summed",
            "The focal loss is divided by the number of positives, the box loss is not. Both are.",
            _loss(count_boxes=_constant(1)),
        ),
        Mistake(
            "no_positives_nan",
            "In an image without objects you divide by 0. Divide by `max(1, positives)`: its "
            "background has to be learned, too.",
            _loss(count=lambda classes: (classes >= 0).sum()),
        ),
        Mistake(
            "one_more",
            "You divide by the positives plus one. That keeps 0 away, but makes every loss "
            "smaller: take `max(1, positives)`.",
            _loss(count=lambda classes: (classes >= 0).sum() + 1),
        ),
        Mistake(
            "ignored_count_as_positives",
            "The ignored anchors were counted among the positives. A positive has a class of 0 or "
            "more.",
            _loss(count=lambda classes: (classes != -1).sum().clamp(min=1)),
        ),
        Mistake(
            "ignored_are_background",
            "The ignored anchors are in the focal loss, as background. Leave every row with −2 "
            "out.",
            _loss(heard=lambda classes: torch.ones_like(classes, dtype=torch.bool)),
        ),
        Mistake(
            "positives_only",
            "The focal loss hears the positives only. Then nobody learns to say no: background "
            "belongs to it, the ignored do not.",
            _loss(heard=lambda classes: classes >= 0),
        ),
        Mistake(
            "background_only",
            "The focal loss hears background only. The positives belong to it as well.",
            _loss(heard=lambda classes: classes == -1),
        ),
        Mistake(
            "background_is_last_class",
            "Background anchors were told that they are of the last class: index −1 is the last "
            "place. Write the 1 for the positives only.",
            _loss(hot=_hot_with_background),
        ),
        Mistake(
            "background_is_class_0",
            "Background anchors were told that they are of class 0. All their K targets are 0.",
            _loss(hot=_hot_class_0),
        ),
        Mistake(
            "all_classes",
            "A positive anchor was told that it is of every class. Only its own class has the "
            "target 1.",
            _loss(hot=_all_classes_hot),
        ),
        Mistake(
            "own_logit_only",
            "Of a positive anchor only the logit of its class was heard. The other K − 1 are "
            "questions, too, and their answer is no.",
            _own_logit_only,
        ),
        Mistake(
            "boxes_of_all",
            "The box loss is about all anchors. Background has no box to be compared with: "
            "positives only.",
            _loss(boxed=lambda classes: torch.ones_like(classes, dtype=torch.bool)),
        ),
        Mistake(
            "boxes_of_heard",
            "The box loss is about background as well. It has no box to be compared with: "
            "positives only, class 0 or more.",
            _loss(boxed=lambda classes: classes != IGNORED),
        ),
        Mistake(
            "class_0_forgotten",
            "Positives of class 0 have no box loss: `classes > 0` leaves them out. Class 0 is a "
            "class: `classes >= 0`.",
            _loss(boxed=lambda classes: classes > 0),
        ),
        Mistake(
            "mean_of_four",
            "The four deltas of an anchor were averaged. Their distances are added: the box loss "
            "is four times as large.",
            _loss(away=lambda said, wanted: (said - wanted).abs().sum() / 4),
        ),
        Mistake(
            "squares",
            "The box loss squares the distances. It is L1 here: their absolute values.",
            _loss(away=lambda said, wanted: (said - wanted).square().sum()),
        ),
        Mistake(
            "smooth",
            "This is smooth L1 with β = 1. Here it is plain L1, the absolute distance.",
            _loss(away=lambda said, wanted: smooth_l1_loss(said, wanted, reduction="sum")),
        ),
        Mistake(
            "distances_not_absolute",
            "Distances below 0 were taken as they are, and cancel those above. `.abs()` is "
            "missing.",
            _loss(away=lambda said, wanted: (said - wanted).sum()),
        ),
        Mistake(
            "alpha_dropped",
            "`alpha` does not reach the focal loss. Its third argument is alpha, its fourth gamma.",
            _fixed(alpha=0.25),
        ),
        Mistake(
            "gamma_dropped",
            "`gamma` does not reach the focal loss. Its third argument is alpha, its fourth gamma.",
            _fixed(gamma=2),
        ),
        Mistake(
            "added",
            "This is the sum of the two losses. Return both, `return classification, box`; fit "
            "adds them, and draws each as a curve.",
            _added,
        ),
        Mistake(
            "both_dropped",
            "Neither `alpha` nor `gamma` reaches the focal loss: they are its third and fourth "
            "argument.",
            _fixed(alpha=0.25, gamma=2),
        ),
        Mistake(
            "detached",
            "The numbers are right, but no gradient comes through: `.item()`, `float()`, "
            "`.detach()` or numpy is in the way, and the network would never learn.",
            lambda *given: tuple(loss.detach() for loss in _reference(*given)),
        ),
        Mistake(
            "box_detached",
            "No gradient comes through the box loss: `.item()`, `float()`, `.detach()` or numpy is "
            "in the way, and the boxes would never be learned.",
            _box_detached,
        ),
        Mistake(
            "swapped",
            "The two losses came in the other order: classification first, then box.",
            _swapped,
        ),
    ),
    hints=(
        "`positive = classes >= 0`. The targets of the focal loss: zeros like `cls_logits`, and "
        "`targets[positive, classes[positive]] = 1`.",
        "`heard = classes != -2`, and `sigmoid_focal_loss(cls_logits[heard], targets[heard], "
        "alpha, gamma).sum()`. The box loss: `(bbox_regression - deltas)[positive].abs().sum()`.",
        "Divide both by `max(1, int(positive.sum()))` and return them as two values.",
    ),
)
