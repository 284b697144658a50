"""Exercise 6: fcos_loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from autograde.exercises.lesson_09_fcos.inputs import said
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.losses import generalized_box_iou_loss, iou_loss, sigmoid_focal_loss
from course_lib.models import fcos as ref
from course_lib.models.fcos import centerness

Triple = tuple[Tensor, Tensor, Tensor]
Pair = Callable[[Tensor, Tensor], Tensor]  # of what was said and what was wanted, to one number
Hot = Callable[[Tensor, Tensor], Tensor]  # of logits and classes
Of = Callable[[Tensor], Tensor]  # of classes


def _reference(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    terms = ref.fcos_loss(logits, said, central, classes, wanted)
    return terms["classification"], terms["bbox_regression"], terms["bbox_ctrness"]


def _one_hot(logits: Tensor, classes: Tensor) -> Tensor:
    wanted = torch.zeros_like(logits)
    here = classes >= 0
    wanted[here, classes[here]] = 1
    return wanted


def _count(classes: Tensor) -> Tensor:
    return (classes >= 0).sum().clamp(min=1)


def _one(classes: Tensor) -> Tensor:
    return torch.tensor(1.0)


def _positive(classes: Tensor) -> Tensor:
    return classes >= 0


def _boxes(sides: Tensor) -> Tensor:
    return torch.cat([-sides[:, :2], sides[:, 2:]], 1)


def _giou(said: Tensor, wanted: Tensor) -> Tensor:
    return generalized_box_iou_loss(_boxes(said), _boxes(wanted), "sum")


def _bce(said: Tensor, wanted: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(said, wanted, reduction="sum")


def _loss(
    hot: Hot = _one_hot,
    heard: Of = lambda classes: torch.ones_like(classes, dtype=torch.bool),
    boxed: Of = _positive,
    centred: Of = _positive,
    away: Pair = _giou,
    middle: Pair = _bce,
    centre: Callable[[Tensor, Tensor], Tensor] = lambda said, wanted: centerness(wanted),
    counts: Sequence[Of] = (_count, _count, _count),
    answer: Callable[[Triple], Any] = lambda terms: terms,
) -> Callable[..., Any]:
    """The exercise with one step replaced.

    heard, boxed, centred: which locations the three terms are about. counts: what they are divided
    by. centre: the wanted centre-ness, of the sides said and the sides wanted.
    """

    def wrong(
        logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
    ) -> Any:
        rows, here, mid = heard(classes), boxed(classes), centred(classes)
        focal = sigmoid_focal_loss(logits[rows], hot(logits, classes)[rows], 0.25, 2).sum()
        box = away(said[here], wanted[here])
        centres = middle(central[mid], centre(said[mid], wanted[mid]))
        terms = [
            term / count(classes) for term, count in zip((focal, box, centres), counts, strict=True)
        ]
        return answer((terms[0], terms[1], terms[2]))

    return wrong


def _all_hot(logits: Tensor, classes: Tensor) -> Tensor:
    """The 1 for all classes of a positive: `targets[positive] = 1`."""
    return torch.zeros_like(logits).masked_fill((classes >= 0)[:, None], 1.0)


def _none_hot(logits: Tensor, classes: Tensor) -> Tensor:
    """The 1 written into a copy: `targets[positive][:, classes[positive]] = 1`."""
    return torch.zeros_like(logits)


def _class_0_is_background(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    return _reference(logits, said, central, classes.masked_fill(classes == 0, -1), wanted)


def _plain_bce(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    _, box, centre = _reference(logits, said, central, classes, wanted)
    return _bce(logits, _one_hot(logits, classes)) / _count(classes), box, centre


def _focal_mean(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    _, box, centre = _reference(logits, said, central, classes, wanted)
    return sigmoid_focal_loss(logits, _one_hot(logits, classes), 0.25, 2).mean(), box, centre


def _sigmoid_before_focal(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    return _reference(logits.sigmoid(), said, central, classes, wanted)


def _zeros_early(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    """No positives: three zeros, and the background is not heard."""
    if (classes >= 0).any():
        return _reference(logits, said, central, classes, wanted)
    zero = (logits.sum() + said.sum() + central.sum()) * 0
    return zero, zero, zero


def _constant_zeros(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    """No positives: two zeros that hang on nothing."""
    terms = _reference(logits, said, central, classes, wanted)
    return terms if (classes >= 0).any() else (terms[0], torch.tensor(0.0), torch.tensor(0.0))


def _said_only_turned(said: Tensor, wanted: Tensor) -> Tensor:
    return generalized_box_iou_loss(_boxes(said), wanted, "sum")


def _wanted_only_turned(said: Tensor, wanted: Tensor) -> Tensor:
    return generalized_box_iou_loss(said, _boxes(wanted), "sum")


def _all_of(classes: Tensor) -> Tensor:
    return torch.tensor(len(classes))


def _everybody(classes: Tensor) -> Tensor:
    return torch.ones_like(classes, dtype=torch.bool)


def _own_logit_only(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    """Of a positive only its own class's logit; of a negative all."""
    hot = _one_hot(logits, classes)
    rows = sigmoid_focal_loss(logits, hot, 0.25, 2)
    counted = torch.where((classes >= 0)[:, None], hot, 1.0)
    _, box, centre = _reference(logits, said, central, classes, wanted)
    return (rows * counted).sum() / _count(classes), box, centre


def _weighted_by_centre(
    logits: Tensor, said: Tensor, central: Tensor, classes: Tensor, wanted: Tensor
) -> Triple:
    here = classes >= 0
    weights = centerness(wanted[here])
    rows = generalized_box_iou_loss(_boxes(said[here]), _boxes(wanted[here]))
    classification, _, centre = _reference(logits, said, central, classes, wanted)
    return classification, (rows * weights).sum() / weights.sum().clamp(min=1e-6), centre


def _below_1(d: Draw) -> tuple[Any, ...]:
    """All that is said is less than 1, and so is what is wanted: a small box, in strides."""
    logits, _, central, classes, wanted = said(d, 5, 2, [1, -1, 0, 0, -1])
    return logits, (2 * d.numbers(5, 4, high=6) + 1) / 16, central, classes, wanted / 8


def _case(probes: str, classes: Sequence[int], K: int, **about: Any) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        order = d.numbers(len(classes), high=1_000_000).argsort(stable=True)
        shuffled = torch.tensor(list(classes))[order].tolist()
        return said(d, len(classes), K, shuffled)

    return Case(probes, make, **about)


FCOS_LOSS = Exercise(
    name="fcos_loss",
    points=3,
    reference=_reference,
    names=("cls_logits", "bbox_regression", "bbox_ctrness", "classes", "sides"),
    outputs=("classification", "box", "centre"),
    forbids=("fcos_loss", "summed_focal_loss"),
    cases=(
        _case("two positives, four of background", [0, 2, -1, -1, -1, -1], 3, core=True),
        _case("one class only", [0, 0, 0, -1, -1], 1, core=True),
        _case("more positives than background", [1, 0, 1, 2, 0, -1], 3, core=True),
        _case("a picture without objects", [-1, -1, -1], 2),
        _case("one positive of class 0", [0, -1, -1, -1], 2),
        Case("distances below 1", _below_1),
        _case(
            "the gradients of the three that the network says",
            [1, 0, -1, -1],
            2,
            kind="grad",
            slopes=(0, 1, 2),
        ),
        _case(
            "the gradients in a picture without objects",
            [-1, -1, -1],
            2,
            kind="grad",
            slopes=(0, 1, 2),
            each=True,
        ),
    ),
    mistakes=(
        Mistake(
            "over_all_locations",
            "All three sums were divided by the number of all locations. Nearly all are background "
            "that is right already: divide by the number of positives.",
            _loss(counts=(_all_of, _all_of, _all_of)),
        ),
        Mistake(
            "sums",
            "The three sums were divided by nothing. A picture with many objects would pull many "
            "times harder: divide by the number of positives.",
            _loss(counts=(_one, _one, _one)),
        ),
        Mistake(
            "no_positives_nan",
            "In a picture without objects you divide by 0. Divide by `max(1, positives)`: its "
            "background has to be learned, too.",
            _loss(counts=[lambda classes: (classes >= 0).sum()] * 3),
        ),
        Mistake(
            "one_more",
            "You divide by the positives plus one. That keeps 0 away, but makes every loss "
            "smaller: take `max(1, positives)`.",
            _loss(counts=[lambda classes: (classes >= 0).sum() + 1] * 3),
        ),
        Mistake(
            "focal_over_all",
            "The focal loss was divided by the number of all locations. All three are divided by "
            "the number of positives.",
            _loss(counts=(_all_of, _count, _count)),
        ),
        Mistake(
            "focal_summed",
            "The focal loss was divided by nothing. All three are divided by the number of "
            "positives.",
            _loss(counts=(_one, _count, _count)),
        ),
        Mistake(
            "boxes_and_centres_summed",
            "Only the focal loss was divided by the number of positives. All three are.",
            _loss(counts=(_count, _one, _one)),
        ),
        Mistake(
            "boxes_summed",
            "The box loss was divided by nothing. All three are divided by the number of "
            "positives.",
            _loss(counts=(_count, _one, _count)),
        ),
        Mistake(
            "centres_summed",
            "The centre-ness' loss was divided by nothing. All three are divided by the number of "
            "positives.",
            _loss(counts=(_count, _count, _one)),
        ),
        Mistake(
            "focal_mean",
            "The focal loss is a mean over all locations and classes. It is a sum, divided by the "
            "number of positives.",
            _focal_mean,
        ),
        Mistake(
            "plain_bce",
            "The class loss is plain binary cross entropy. Background would drown the objects: "
            "take the focal loss, `sigmoid_focal_loss`.",
            _plain_bce,
        ),
        Mistake(
            "sigmoid_before_focal",
            "`sigmoid_focal_loss` takes logits, and yours had been through a sigmoid before.",
            _sigmoid_before_focal,
        ),
        Mistake(
            "zeros_early",
            "In a picture without objects you return zeros. Its background has to be learned as "
            "well: the focal loss is not 0 there.",
            _zeros_early,
        ),
        Mistake(
            "constant_zeros",
            "In a picture without objects box and centre are new zeros, through which no gradient "
            "flows. Leave the special case out: the sum over no positives is 0 by itself.",
            _constant_zeros,
        ),
        Mistake(
            "positives_only",
            "The focal loss hears the positives only. Then nobody learns to say no: all locations "
            "belong to it.",
            _loss(heard=_positive),
        ),
        Mistake(
            "background_is_last_class",
            "Background was told that it is of the last class: index −1 is the last place. Write "
            "the 1 for the positives only.",
            _loss(
                hot=lambda logits, classes: _one_hot(
                    logits, torch.where(classes < 0, logits.shape[1] - 1, classes)
                )
            ),
        ),
        Mistake(
            "all_classes_hot",
            "Positives were told that they are of all classes: `targets[positive] = 1` fills the "
            "row. The 1 belongs to one place of it: row and class in one pair of brackets.",
            _loss(hot=_all_hot),
        ),
        Mistake(
            "nothing_hot",
            "No target is 1. `targets[positive][...] = 1` writes into a copy. With row and class "
            "in one pair of brackets it arrives.",
            _loss(hot=_none_hot),
        ),
        Mistake(
            "class_0_is_background",
            "Locations of class 0 were taken for background: `classes > 0` leaves them out. "
            "Background is −1, positive is `classes >= 0`.",
            _class_0_is_background,
        ),
        Mistake(
            "background_is_class_0",
            "Background was told that it is of class 0. All its K targets are 0.",
            _loss(hot=lambda logits, classes: _one_hot(logits, classes.clamp(min=0))),
        ),
        Mistake(
            "own_logit_only",
            "Of a positive location only the logit of its class was heard. The other K − 1 are "
            "questions, too, and their answer is no.",
            _own_logit_only,
        ),
        Mistake(
            "class_0_forgotten",
            "Positives of class 0 have no box and no centre: `classes > 0` leaves them out. "
            "Class 0 is a class: `classes >= 0`.",
            _loss(boxed=lambda classes: classes > 0, centred=lambda classes: classes > 0),
        ),
        Mistake(
            "boxes_of_all",
            "The box loss is about all locations. Background has no box to be compared with: "
            "positives only.",
            _loss(boxed=_everybody),
        ),
        Mistake(
            "centres_of_all",
            "The centre-ness of background was told to be 0. Nobody asks it: a location that says "
            "no to all classes has no score to be lowered. Positives only.",
            _loss(centred=_everybody),
        ),
        Mistake(
            "sides_for_boxes",
            "l, t, r, b were taken for x1, y1, x2, y2. Around the point (0, 0) the box is "
            "(−l, −t, r, b).",
            _loss(away=lambda said, wanted: generalized_box_iou_loss(said, wanted, "sum")),
        ),
        Mistake(
            "only_the_said_box",
            "What was said became the box (−l, −t, r, b), what is true stayed l, t, r, b. Both "
            "have to be boxes around (0, 0).",
            _loss(away=_said_only_turned),
        ),
        Mistake(
            "only_the_true_box",
            "What is true became the box (−l, −t, r, b), what was said stayed l, t, r, b. Both "
            "have to be boxes around (0, 0).",
            _loss(away=_wanted_only_turned),
        ),
        Mistake(
            "exp_of_the_sides",
            "`exp` was taken of the distances. The network's last step does that already: "
            "`bbox_regression` holds distances.",
            _loss(away=lambda said, wanted: _giou(said.exp(), wanted)),
        ),
        Mistake(
            "at_least_1",
            "Distances below 1 were lifted to 1. In strides they are common, and the box must be "
            "the one that was said.",
            _loss(away=lambda said, wanted: _giou(said.clamp(min=1), wanted)),
        ),
        Mistake(
            "boxes_averaged_twice",
            "The box loss is a mean already, and was divided once more. Take the sum, and divide "
            "it by the number of positives.",
            _loss(away=lambda said, wanted: _giou(said, wanted) / max(1, len(said))),
        ),
        Mistake(
            "l1",
            "The box loss is L1, the sum of the absolute differences. Here it is 1 − GIoU of the "
            "two boxes.",
            _loss(away=lambda said, wanted: (said - wanted).abs().sum()),
        ),
        Mistake(
            "log_iou",
            "The box loss is −ln IoU, the first paper's. Here it is 1 − GIoU: "
            "`generalized_box_iou_loss`.",
            _loss(away=lambda said, wanted: iou_loss(_boxes(said), _boxes(wanted), "sum")),
        ),
        Mistake(
            "giou_not_from_1",
            "This is the GIoU itself. A loss has to fall as the boxes get better: 1 − GIoU.",
            _loss(away=lambda said, wanted: len(said) - _giou(said, wanted)),
        ),
        Mistake(
            "weighted_by_centre",
            "Each box's loss was weighted by its centre-ness, as in the authors' later code. Here "
            "all positives count alike.",
            _weighted_by_centre,
        ),
        Mistake(
            "centre_is_1",
            "Every positive was told to say centre-ness 1. What it should say is the centre-ness "
            "of its own `sides`.",
            _loss(centre=lambda said, wanted: torch.ones(len(wanted))),
        ),
        Mistake(
            "centre_of_what_was_said",
            "The wanted centre-ness was computed from what the network said. The truth stands in "
            "`sides`.",
            _loss(centre=lambda said, wanted: centerness(said)),
        ),
        Mistake(
            "sigmoid_twice",
            "`binary_cross_entropy_with_logits` takes logits, and yours had been through a sigmoid "
            "before.",
            _loss(middle=lambda said, wanted: _bce(said.sigmoid(), wanted)),
        ),
        Mistake(
            "bce_the_other_way_round",
            "The two inputs of the binary cross entropy are exchanged. What was said comes first, "
            "as logits, and the wanted centre-ness second.",
            _loss(middle=lambda said, wanted: _bce(wanted, said)),
        ),
        Mistake(
            "squares",
            "The centre-ness was compared by the square of the difference. It is learned by binary "
            "cross entropy, from its logit.",
            _loss(middle=lambda said, wanted: mse_loss(said.sigmoid(), wanted, reduction="sum")),
        ),
        Mistake(
            "centre_term_averaged_twice",
            'The centre-ness is a mean already, and was divided once more: `reduction="sum"`.',
            _loss(middle=lambda said, wanted: _bce(said, wanted) / max(1, len(said))),
        ),
        Mistake(
            "added",
            "This is the sum of the three. Return them one by one, "
            "`return classification, box, centre`; fit adds them, and draws each as a curve.",
            _loss(answer=lambda terms: sum(terms)),
        ),
        Mistake(
            "other_order",
            "The three came in another order: classification, box, centre.",
            _loss(answer=lambda terms: (terms[0], terms[2], terms[1])),
        ),
        Mistake(
            "box_first",
            "The box loss came first. Return them as classification, box, centre.",
            _loss(answer=lambda terms: (terms[1], terms[0], terms[2])),
        ),
    ),
    hints=(
        "`positive = classes >= 0`, `count = max(1, int(positive.sum()))`. The focal loss is about "
        "all locations, with zeros like `cls_logits` for targets and a 1 at "
        "`[positive, classes[positive]]`.",
        "A box around (0, 0): `torch.cat((-s[:, :2], s[:, 2:]), dim=1)`, once for "
        "`s = bbox_regression[positive]` and once for `s = sides[positive]`.",
        "`binary_cross_entropy_with_logits(bbox_ctrness[positive], centerness(sides[positive]), "
        'reduction="sum")`. Divide all three by `count`. A picture without objects needs no `if`: '
        "the sum over no rows is 0, with its gradient.",
    ),
)
