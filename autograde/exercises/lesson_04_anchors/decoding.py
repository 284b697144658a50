"""Exercise 5: decode_boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors import slips
from autograde.exercises.lesson_04_anchors.inputs import CLIP, boxes, deltas
from autograde.exercises.lesson_04_anchors.slips import decode
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import coding as ref

Inputs = tuple[Any, ...]
LEFT_ALONE = torch.tensor([1.0, 1.0, 0.0, 0.0])


def _only_moved(d: Draw) -> Inputs:
    return deltas(d, 2) * LEFT_ALONE, boxes(d, 2)


def _only_grown(d: Draw) -> Inputs:
    return deltas(d, 2) * (1 - LEFT_ALONE), boxes(d, 2)


def _wild(d: Draw) -> Inputs:
    """dw and dh of a network that has not learned yet: far too large."""
    return torch.tensor([[0.5, -0.25, 8.0, 0.5], [0.25, 0.5, -0.5, 6.0]]), boxes(d, 2)


def _tiny(d: Draw) -> Inputs:
    return torch.tensor([[0.5, 0.25, -7.0, -5.0]]), boxes(d, 1)


def _far(d: Draw) -> Inputs:
    """Eight widths to the right, six heights up."""
    return torch.tensor([[8.0, -6.0, 0.25, 0.5]]), boxes(d, 1)


def _own_limit(d: Draw) -> Inputs:
    return (
        torch.tensor([[0.5, -0.25, 2.0, 0.5], [0.25, 0.5, -0.5, 3.0]]),
        boxes(d, 2),
        [1.0, 1.0, 1.0, 1.0],
        1.5,
    )


def _clip_to(limit: float) -> Callable[[Tensor, float], Tensor]:
    """A limit of one's own, whatever the argument says."""
    return lambda codes, _: torch.cat([codes[:, :2], codes[:, 2:].clamp(max=limit)], dim=1)


def _clip_all(codes: Tensor, limit: float) -> Tensor:
    return codes.clamp(max=limit)


def _clip_both_ways(codes: Tensor, limit: float) -> Tensor:
    return torch.cat([codes[:, :2], codes[:, 2:].clamp(-limit, limit)], dim=1)


def _clip_from_below(codes: Tensor, limit: float) -> Tensor:
    return torch.cat([codes[:, :2], codes[:, 2:].clamp(min=limit)], dim=1)


def _clip_width_only(codes: Tensor, limit: float) -> Tensor:
    return torch.cat([codes[:, :2], codes[:, 2:3].clamp(max=limit), codes[:, 3:]], dim=1)


def _clip_late(dwh: Tensor, size: Tensor) -> Tensor:
    return dwh.exp().clamp(max=CLIP) * size


DECODE_BOXES = Exercise(
    name="decode_boxes",
    points=2,
    reference=ref.decode_boxes,
    names=("rel_codes", "boxes", "weights", "bbox_xform_clip"),
    forbids=("decode_boxes", "decode_single", "decode"),
    rows=True,
    cases=(
        Case("moved to the right and up, the same size", _only_moved, core=True),
        Case("the same centre, another size", _only_grown, core=True),
        Case("moved and stretched", lambda d: (deltas(d, 4), boxes(d, 4)), core=True),
        Case("all zeros: the anchor itself", lambda d: (torch.zeros(2, 4), boxes(d, 2))),
        Case("a wild prediction: dw of 8 counts as log(1000/16)", _wild),
        Case("another limit: bbox_xform_clip of 1.5", _own_limit),
        Case("a strong shrink is not limited", _tiny),
        Case("a long way is not limited", _far),
        Case(
            "four different weights: 10, 8, 5, 4",
            lambda d: (deltas(d, 3) * 5, boxes(d, 3), [10.0, 8.0, 5.0, 4.0]),
        ),
        Case(
            "weights and a wild prediction: divided first, then limited",
            lambda d: (torch.tensor([[2.0, 1.0, 18.0, 32.0]]), boxes(d, 1), [10.0, 8.0, 5.0, 4.0]),
        ),
        Case(
            "float64 stays float64",
            lambda d: (deltas(d, 2).double() / 3, boxes(d, 2).double()),
            dtype="exact",
        ),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4), torch.zeros(0, 4))),
    ),
    mistakes=(
        Mistake(
            "not_limited",
            "A wild dw is not limited: exp(8) is nearly 3,000 times the width, exp(100) infinite. "
            "Limit dw and dh to log(1000/16) before exp.",
            decode(clip=lambda codes, _: codes),
        ),
        Mistake(
            "limit_of_its_own",
            "The limit is always log(1000/16). That is only its default: use the argument "
            "`bbox_xform_clip`.",
            decode(clip=_clip_to(CLIP)),
        ),
        Mistake(
            "limit_rounded",
            "The limit is 4.135, which is log(1000/16) rounded: wide boxes come out a bit too "
            "small. Use the argument `bbox_xform_clip`.",
            decode(clip=_clip_to(4.135)),
        ),
        Mistake(
            "width_limited_only",
            "dw is limited, dh is not. Both go through exp, so both need the limit.",
            decode(clip=_clip_width_only),
        ),
        Mistake(
            "limited_from_below",
            "`clamp(min=...)` lifts every dw and dh to the limit at least. It is a largest value: "
            "`clamp(max=bbox_xform_clip)`.",
            decode(clip=_clip_from_below),
        ),
        Mistake(
            "all_limited",
            "dx and dy are limited as well. Only dw and dh go through exp; a long way is no "
            "danger.",
            decode(clip=_clip_all),
        ),
        Mistake(
            "limited_both_ways",
            "dw and dh are limited from below, too. There is no need: exp of a very negative "
            "number is nearly 0, and a width of nearly 0 does no harm.",
            decode(clip=_clip_both_ways),
        ),
        Mistake(
            "limited_late",
            "The limit log(1000/16) was put on exp(dw). It is meant for dw itself, before exp: "
            "then the factor may be up to 62.5.",
            decode(clip=lambda codes, _: codes, grow=_clip_late),
        ),
        Mistake(
            "limited_first",
            "The limit was applied before the weights were taken off. Divide by the weights first, "
            "then limit dw and dh.",
            decode(clip_first=True),
        ),
        Mistake(
            "no_exp",
            "The width was multiplied by dw itself. dw is a logarithm: multiply by exp(dw), which "
            "is 1 for dw = 0.",
            decode(grow=lambda dwh, size: dwh * size),
        ),
        Mistake(
            "one_plus",
            "The width was multiplied by 1 + dw. That is near exp(dw) for small dw only, and can "
            "become negative.",
            decode(grow=lambda dwh, size: (1 + dwh) * size),
        ),
        Mistake(
            "added_width",
            "dw was added to the width. It is the logarithm of a factor: w = w_a · exp(dw).",
            decode(grow=lambda dwh, size: dwh + size),
        ),
        Mistake(
            "added_exp",
            "exp(dw) was added to the width. It is a factor: w = w_a · exp(dw).",
            decode(grow=lambda dwh, size: dwh.exp() + size),
        ),
        Mistake(
            "exp_upside_down",
            "A positive dw made the box smaller: the exponent has the wrong sign.",
            decode(grow=lambda dwh, size: (-dwh).exp() * size),
        ),
        Mistake(
            "powers_of_two",
            "This is 2 to the power of dw. Encoding took the natural logarithm, so its way back is "
            "exp.",
            decode(grow=lambda dwh, size: 2**dwh * size),
        ),
        Mistake(
            "pixels",
            "dx and dy were added as pixels. They are in widths and heights of the anchor: "
            "multiply by these first.",
            decode(move=lambda dxy, size, new: dxy),
        ),
        Mistake(
            "new_size",
            "dx was multiplied by the new width. It is measured in widths of the anchor, before it "
            "is stretched.",
            decode(move=lambda dxy, size, new: dxy * new),
        ),
        Mistake(
            "width_for_height",
            "dx was multiplied by the height and dy by the width. x goes with w, y with h.",
            decode(move=lambda dxy, size, new: dxy * size.flip(1)),
        ),
        Mistake(
            "sides_exchanged",
            "The new width was made from the anchor's height and the new height from its width. "
            "w = w_a · exp(dw), h = h_a · exp(dh).",
            decode(grow=lambda dwh, size: dwh.exp() * size.flip(1)),
        ),
        Mistake(
            "backwards",
            "dx and dy were taken away: the box moved the other way. They are added.",
            decode(move=lambda dxy, size, new: -dxy * size),
        ),
        Mistake(
            "corner_for_centre",
            "The anchor's top-left corner was moved as if it were its centre. Find the centre "
            "first: (x1 + x2) / 2.",
            decode(split=slips.by_corner),
        ),
        Mistake(
            "anchored_at_corner",
            "The new box begins at the moved corner, so it grows to the right and down only. The "
            "centre moves, and the box grows on all sides.",
            decode(split=slips.by_corner, corners=lambda corner, size: (corner, corner + size)),
        ),
        Mistake(
            "half_size_for_centre",
            "(x2 − x1) / 2 is half the width. The centre is (x1 + x2) / 2.",
            decode(split=slips.half_way),
        ),
        Mistake(
            "taken_for_xywh",
            "The last two numbers of the anchors were taken for width and height. They are xyxy: "
            "the width is x2 − x1.",
            decode(split=slips.as_given),
        ),
        Mistake(
            "taken_for_cxcywh",
            "The anchors were read as centre and size. They are xyxy: the width is x2 − x1, the "
            "centre (x1 + x2) / 2.",
            decode(split=slips.as_centres),
        ),
        Mistake(
            "y_before_x",
            "The columns are y1, x1, y2, x2. The course writes x1, y1, x2, y2.",
            decode(
                corners=lambda centre, size: (
                    (centre - size / 2).flip(1),
                    (centre + size / 2).flip(1),
                )
            ),
        ),
        Mistake(
            "whole_side",
            "The corners lie a whole side from the centre, so the box is twice as long: half a "
            "side each way.",
            decode(corners=lambda centre, size: (centre - size, centre + size)),
        ),
        Mistake(
            "centre_as_corner",
            "The box begins at its centre: go half a side back for the first corner, half a side "
            "on for the second.",
            decode(corners=lambda centre, size: (centre, centre + size)),
        ),
        Mistake(
            "cxcywh",
            "These are centre and size. Turn them into corners at the end: centre − size/2, centre "
            "+ size/2.",
            decode(corners=lambda centre, size: (centre, size)),
        ),
        Mistake(
            "weights_in_pairs",
            "dy was divided by the weight of dx and dh by that of dw. There are four weights, one "
            "for each column.",
            decode(unweigh=lambda codes, weights: codes / weights[[0, 0, 2, 2]]),
        ),
        Mistake(
            "one_weight_for_all",
            "All columns were divided by the first weight. There are four, one for each column.",
            decode(unweigh=lambda codes, weights: codes / weights[0]),
        ),
        Mistake(
            "weights_forgotten",
            "The weights are not used. Encoding multiplied by them, so divide the deltas by them.",
            decode(unweigh=lambda codes, weights: codes),
        ),
        Mistake(
            "weights_multiplied",
            "The deltas were multiplied by the weights again. Decoding goes backwards: divide.",
            decode(unweigh=torch.mul),
        ),
    ),
    hints=(
        "Everything backwards. First the weights: `rel_codes / rel_codes.new_tensor(weights)`; "
        "`.unbind(1)` of that is dx, dy, dw, dh. Then width, height and centre of the anchors, as "
        "in encoding.",
        "`x = x_a + dx * w_a` and `w = w_a * torch.exp(dw)`. Before the exponential: `dw = "
        "dw.clamp(max=bbox_xform_clip)`. y and h in the same way.",
        "Corners at last: `torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1)`.",
    ),
    picture="",
)
