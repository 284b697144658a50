"""Exercise 4: encode_boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors import slips
from autograde.exercises.lesson_04_anchors.inputs import CLIP, boxes, pairs
from autograde.exercises.lesson_04_anchors.slips import encode
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import coding as ref

Inputs = tuple[Tensor, ...]


def _moved(d: Draw) -> Inputs:
    """A box of the same size, to the right and up."""
    anchors = boxes(d, 2)
    by = torch.stack([d.numbers(2, low=3, high=9), -d.numbers(2, low=11, high=19)], dim=1)
    return anchors + by.repeat(1, 2), anchors


def _grown(d: Draw) -> Inputs:
    """The same centre; wider and less high."""
    anchors = boxes(d, 2)
    x, y = d.numbers(2, low=2, high=9), d.numbers(2, low=2, high=5)
    return anchors + torch.stack([-x, y, x, -y], dim=1), anchors


def _twice_and_half(d: Draw) -> Inputs:
    """Twice as wide and half as high, and the other way round."""
    a = boxes(d, 1)
    w, h = a[:, 2] - a[:, 0], a[:, 3] - a[:, 1]
    zero = torch.zeros(1)
    first = a + torch.stack([zero, zero, w, -h / 2], dim=1)
    second = a + torch.stack([zero, zero, -w / 2, h], dim=1)
    return torch.cat([first, second]), torch.cat([a, a])


def _same(d: Draw) -> Inputs:
    anchors = boxes(d, 3)
    return anchors.clone(), anchors


def _hundredfold(d: Draw) -> Inputs:
    """Boxes about a hundred times as wide and as high as their anchors: ln is above 4.135."""
    truths = boxes(d, 2)
    centre = (truths[:, :2] + truths[:, 2:]) / 2
    half = (truths[:, 2:] - truths[:, :2]) / 256
    return truths, torch.cat([centre - half, centre + half], dim=1)


def _weights_in_log(codes: Tensor, weights: Tensor) -> Tensor:
    """log(weight * w / w_a)."""
    return torch.cat([codes[:, :2] * weights[:2], codes[:, 2:] + weights[2:].log()], dim=1)


def _corner_differences(truths: Tensor, proposals: Tensor, *_: object) -> Tensor:
    return truths - proposals


ENCODE_BOXES = Exercise(
    name="encode_boxes",
    points=2,
    reference=ref.encode_boxes,
    names=("reference_boxes", "proposals", "weights"),
    forbids=("encode_boxes", "encode_single", "encode"),
    rows=True,
    cases=(
        Case("a box of the same size, to the right and up", _moved, core=True),
        Case("the same centre, another size", _grown, core=True),
        Case("four boxes and their anchors", lambda d: pairs(d, 4), core=True),
        Case("twice as long and half as long", _twice_and_half),
        Case("the anchor itself: all zeros", _same),
        Case("a tiny anchor for a large box", _hundredfold),
        Case(
            "four different weights: 10, 8, 5, 4",
            lambda d: (*pairs(d, 3), [10.0, 8.0, 5.0, 4.0]),
        ),
        Case(
            "negative coordinates: boxes over the border",
            lambda d: tuple(x - 100 for x in pairs(d, 2)),
        ),
        Case(
            "float64 stays float64",
            lambda d: tuple(x.double() / 3 for x in pairs(d, 2)),
            dtype="exact",
        ),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4), torch.zeros(0, 4))),
    ),
    mistakes=(
        Mistake(
            "corner_for_centre",
            "dx and dy lead from one top-left corner to the other. They should lead from centre to "
            "centre: (x1 + x2) / 2.",
            encode(split=slips.by_corner),
        ),
        Mistake(
            "far_corner_for_centre",
            "dx and dy lead from one bottom-right corner to the other. They should lead from "
            "centre to centre: (x1 + x2) / 2.",
            encode(split=slips.by_far_corner),
        ),
        Mistake(
            "half_size_for_centre",
            "(x2 − x1) / 2 is half the width. The centre is in the middle between the corners: "
            "(x1 + x2) / 2.",
            encode(split=slips.half_way),
        ),
        Mistake(
            "centre_doubled",
            "dx and dy are twice too large: the centre is (x1 + x2) / 2, not the sum.",
            encode(split=slips.centre_doubled),
        ),
        Mistake(
            "taken_for_xywh",
            "The last two numbers were taken for width and height. The boxes are xyxy: the width "
            "is x2 − x1.",
            encode(split=slips.as_given),
        ),
        Mistake(
            "taken_for_cxcywh",
            "The boxes were read as centre and size. They are xyxy: the width is x2 − x1, the "
            "centre (x1 + x2) / 2.",
            encode(split=slips.as_centres),
        ),
        Mistake(
            "not_divided",
            "dx and dy are in pixels. Divide them by the anchor's width and height, so that small "
            "and large objects ask for the same numbers.",
            encode(shift=lambda away, _, size_p: away),
        ),
        Mistake(
            "divided_by_truth",
            "dx and dy were divided by the size of the truth. When the deltas are read again only "
            "the anchor is known: divide by its size.",
            encode(shift=lambda away, size, _: away / size),
        ),
        Mistake(
            "width_for_height",
            "dx was divided by the height and dy by the width. x goes with w, y with h.",
            encode(shift=lambda away, _, size_p: away / size_p.flip(1)),
        ),
        Mistake(
            "divided_by_width",
            "Both, dx and dy, were divided by the width. dy is measured in heights.",
            encode(shift=lambda away, _, size_p: away / size_p[:, :1]),
        ),
        Mistake(
            "no_log",
            "dw and dh are the plain quotients w / w_a. The logarithm is missing: an anchor that "
            "fits should get 0.",
            encode(stretch=lambda size, size_p: size / size_p),
        ),
        Mistake(
            "minus_one",
            "dw and dh are w / w_a − 1, the growth. Take the logarithm of the quotient: then twice "
            "as wide and half as wide are equally far from 0.",
            encode(stretch=lambda size, size_p: size / size_p - 1),
        ),
        Mistake(
            "log_upside_down",
            "The quotient in the logarithm is upside down: a larger box should have a positive dw, "
            "log(w / w_a).",
            encode(stretch=lambda size, size_p: (size_p / size).log()),
        ),
        Mistake(
            "other_base",
            "This is the logarithm to the base 2. Decoding uses exp, so take the natural one, "
            "`torch.log`.",
            encode(stretch=lambda size, size_p: (size / size_p).log2()),
        ),
        Mistake(
            "base_ten",
            "This is the logarithm to the base 10. Decoding uses exp, so take the natural one, "
            "`torch.log`.",
            encode(stretch=lambda size, size_p: (size / size_p).log10()),
        ),
        Mistake(
            "size_difference",
            "dw and dh are differences in pixels. A network should say the same for small and "
            "large objects: take log(w / w_a).",
            encode(stretch=lambda size, size_p: size - size_p),
        ),
        Mistake(
            "anchor_minus_truth",
            "dx and dy have the wrong sign. They lead from the anchor to the truth: truth minus "
            "anchor.",
            encode(shift=lambda away, _, size_p: -away / size_p),
        ),
        Mistake(
            "roles_swapped",
            "Anchor and truth have changed places. The first argument is where to go, the second "
            "where you are: measure in sizes of the second.",
            lambda truths, proposals, *weights: encode()(proposals, truths, *weights),
        ),
        Mistake(
            "corner_differences",
            "These are the four differences of the corners in pixels. Go to centres and sizes "
            "first.",
            _corner_differences,
        ),
        Mistake(
            "x_and_width_first",
            "The columns are dx, dw, dy, dh. The order is dx, dy, dw, dh.",
            encode(order=(0, 2, 1, 3)),
        ),
        Mistake(
            "height_before_width",
            "The last two columns have changed places: dw, log(w / w_a), comes before dh.",
            encode(order=(0, 1, 3, 2)),
        ),
        Mistake(
            "limited",
            "dw and dh are limited. The limit belongs to decoding, against wild predictions; "
            "encoding says how large the truth really is.",
            encode(stretch=lambda size, size_p: (size / size_p).log().clamp(max=CLIP)),
        ),
        Mistake(
            "weights_in_pairs",
            "dy got the weight of dx and dh that of dw. There are four weights, one for each "
            "column.",
            encode(weigh=lambda codes, weights: codes * weights[[0, 0, 2, 2]]),
        ),
        Mistake(
            "one_weight_for_all",
            "All columns got the first weight. There are four weights, one for each column.",
            encode(weigh=lambda codes, weights: codes * weights[0]),
        ),
        Mistake(
            "weights_in_log",
            "The weights of dw and dh stand inside the logarithm. Take the logarithm first, then "
            "multiply.",
            encode(weigh=_weights_in_log),
        ),
        Mistake(
            "weights_forgotten",
            "The weights are not used. Multiply the four columns by them.",
            encode(weigh=lambda codes, weights: codes),
        ),
        Mistake(
            "weights_divided",
            "The deltas were divided by the weights. Encoding multiplies, decoding divides.",
            encode(weigh=torch.div),
        ),
        Mistake(
            "one_pixel_more",
            "Widths and heights are one pixel too long: that is the old convention, x2 − x1 + 1. "
            "The course's boxes are half-open.",
            encode(split=lambda boxes: slips.parts(boxes, one=1)),
        ),
    ),
    hints=(
        "Four numbers of each box first: `w = x2 - x1`, `h = y2 - y1`, the centre `(x1 + x2) / 2` "
        "and `(y1 + y2) / 2`. `boxes.unbind(1)` gives the four columns.",
        "dx is the way from the anchor's centre to the truth's, in widths of the anchor: `(x - "
        "x_a) / w_a`. dw is `torch.log(w / w_a)`. dy and dh are the same with heights.",
        "`torch.stack([dx, dy, dw, dh], dim=1)` makes [N, 4] of the columns; multiplied by "
        "`dx.new_tensor(weights)`, which has the dtype of the boxes, it is the answer.",
    ),
)
