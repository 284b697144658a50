"""Exercises 3 and 4: box_iou, mask_iou."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_01_iou.inputs import (
    apart,
    beside,
    big_table,
    both_empty,
    identical,
    nested,
    none_first,
    overlapping,
    overlapping_double,
    overlapping_fractions,
    table,
    touching,
)
from autograde.exercises.lesson_01_iou.slips import (
    NO_CLAMP,
    PLUS_ONE,
    areas,
    as_corner_and_size,
    divide,
    enclosing_sides,
    iou_and_union,
    on,
    sides,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import boxes as ref


def _clamp_after(a: Tensor, b: Tensor) -> Tensor:
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    far = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (far - top_left).prod(-1).clamp(min=0)
    return divide(inter, areas(a)[:, None] + areas(b)[None] - inter)


def _inter_area(a: Tensor, b: Tensor) -> Tensor:
    w, h = sides(a, b)
    return w * h


def _max_min_swapped(a: Tensor, b: Tensor) -> Tensor:
    side = enclosing_sides(a, b).clamp(min=0)
    inter = side.prod(-1)
    return divide(inter, areas(a)[:, None] + areas(b)[None] - inter)


def _floored_union(a: Tensor, b: Tensor) -> Tensor:
    inter = _inter_area(a, b)
    return inter / (areas(a)[:, None] + areas(b)[None] - inter).clamp(min=1)


def _row_with_row(a: Tensor, b: Tensor) -> Tensor:
    side = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    inter = side.prod(-1)
    return divide(inter, areas(a) + areas(b) - inter)


def _plus_one_in_overlap(a: Tensor, b: Tensor) -> Tensor:
    w, h = sides(a, b, one=1)
    return divide(w * h, areas(a)[:, None] + areas(b)[None] - w * h)


def _iou_nan(a: Tensor, b: Tensor) -> Tensor:
    inter = _inter_area(a, b)
    return inter / (areas(a)[:, None] + areas(b)[None] - inter)


BOX_IOU = Exercise(
    name="box_iou",
    points=4,
    reference=ref.box_iou,
    names=("boxes1", "boxes2"),
    cases=(
        Case("boxes that overlap", overlapping, core=True),
        Case("boxes that do not overlap", apart, core=True),
        Case("2 boxes against 3: a table of 2 rows and 3 columns", table, core=True),
        Case("side by side with a gap", beside),
        Case("boxes that only touch", touching),
        Case("one box inside the other", nested),
        Case("a box and itself: 1", identical),
        Case("many boxes against many", big_table),
        Case("coordinates between 0 and 1", lambda d: tuple(b / 64 for b in overlapping(d))),
        Case("no boxes at all in the first list", none_first),
        Case("two boxes without area: 0, not NaN", both_empty),
        Case("float64 stays float64", overlapping_double, dtype="exact"),
        Case("gradients reach both lists", overlapping_fractions, kind="grad", advice=True),
    ),
    mistakes=(
        Mistake("no_clamp", NO_CLAMP, lambda a, b: iou_and_union(a, b, clamp=False)[0]),
        Mistake(
            "clamp_after_product",
            "The product is stopped at 0, but a product of two negative sides is positive already. "
            "Stop each side at 0 before you multiply.",
            _clamp_after,
        ),
        Mistake("plus_one", PLUS_ONE, lambda a, b: iou_and_union(a, b, one=1)[0]),
        Mistake("plus_one_in_overlap", PLUS_ONE, _plus_one_in_overlap),
        Mistake(
            "xyxy_as_xywh",
            "The last two numbers are used as width and height. Our boxes are xyxy: "
            "they are the far corner.",
            on(lambda a, b: iou_and_union(a, b)[0], as_corner_and_size),
        ),
        Mistake(
            "shared_part_twice",
            "The union is area1 + area2, so the shared part counts twice. "
            "Take the intersection away once.",
            lambda a, b: divide(_inter_area(a, b), areas(a)[:, None] + areas(b)[None]),
        ),
        Mistake(
            "over_smaller_area",
            "The intersection is divided by the smaller box's area, so a small box inside a large "
            "one gets 1. IoU divides by the union.",
            lambda a, b: divide(
                _inter_area(a, b), torch.minimum(areas(a)[:, None], areas(b)[None])
            ),
        ),
        Mistake(
            "over_first_area",
            "The intersection is divided by the area of the first box only. "
            "IoU divides by the union.",
            lambda a, b: divide(_inter_area(a, b), areas(a)[:, None].expand(-1, len(b))),
        ),
        Mistake(
            "intersection_only",
            "This is the intersection in pixels. Divide it by the union.",
            _inter_area,
        ),
        Mistake(
            "max_min_swapped",
            "max and min changed places, which gives the box around both. The overlap begins at "
            "the larger of the near edges and ends at the smaller of the far edges.",
            _max_min_swapped,
        ),
        Mistake(
            "dice",
            "This is 2·I / (A + B), the Dice score. IoU is I / (A + B − I).",
            lambda a, b: divide(2 * _inter_area(a, b), areas(a)[:, None] + areas(b)[None]),
        ),
        Mistake(
            "over_enclosing",
            "The intersection is divided by the box around both. The union is smaller than that: "
            "it leaves out the corners that neither box covers.",
            lambda a, b: divide(_inter_area(a, b), enclosing_sides(a, b).prod(-1)),
        ),
        Mistake(
            "one_minus",
            "This is 1 − IoU, a loss. IoU itself is 1 for a perfect fit.",
            lambda a, b: 1 - iou_and_union(a, b)[0],
        ),
        Mistake(
            "union_floor_too_high",
            "The union is kept at 1 or above, which is wrong for boxes smaller than a pixel, as "
            "in coordinates from 0 to 1. Guard against 0 only.",
            _floored_union,
        ),
        Mistake(
            "row_with_row",
            "Row n is compared with row n only. Every box of the first list meets every box of "
            "the second: boxes1[:, None] against boxes2[None, :] makes the table.",
            _row_with_row,
        ),
        Mistake(
            "transposed",
            "Rows and columns are swapped: entry [n, m] belongs to boxes1[n] and boxes2[m].",
            lambda a, b: iou_and_union(b, a)[0],
        ),
        Mistake(
            "nan_for_empty",
            "0 was divided by 0. Two boxes without area have an empty union: "
            "their IoU is 0 by agreement.",
            _iou_nan,
        ),
    ),
    hints=(
        "First two boxes on paper. The overlap begins at the larger of the two left edges and "
        "ends at the smaller of the two right edges. The same holds downwards.",
        "For all pairs at once let the shapes meet: `boxes1[:, None, :2]` is [N, 1, 2] and "
        "`boxes2[None, :, :2]` is [1, M, 2]; torch.maximum of the two is [N, M, 2].",
        "Sides = (far corner − near corner).clamp(min=0). Intersection = product of the two "
        "sides. Union = area1[:, None] + area2[None, :] − intersection.",
        "Where the union is 0, the answer is 0: torch.where(union > 0, …), and see that you do "
        "not divide by 0 on the way (a clamp of the union helps the gradient, too).",
    ),
    picture="pairs",
)


def _mask_counts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shared pixels [N, M], and the pixels of each: [N, 1], [1, M]."""
    x, y = a.flatten(1).double(), b.flatten(1).double()
    return x @ y.T, x.sum(1)[:, None], y.sum(1)[None]


def _mask_ratio(a: Tensor, b: Tensor, f: Callable[..., Tensor]) -> Tensor:
    return f(*_mask_counts(a, b)).float()


def _shifted_masks(d: Draw) -> tuple[Tensor, Tensor]:
    """A filled rectangle and the same moved by two pixels: easy to count by hand."""
    a = torch.zeros(1, 8, 8, dtype=torch.bool)
    y, x = d.integer(0, 2), d.integer(0, 2)
    a[0, y : y + 4, x : x + 4] = True
    return a, a.roll(2, dims=2)


def _disjoint_masks(d: Draw) -> tuple[Tensor, Tensor]:
    a, b = d.masks(2), d.masks(2)
    a[:, :, 4:], b[:, :, :4] = False, False
    return a, b


def _mask_in_mask(d: Draw) -> tuple[Tensor, Tensor]:
    large = d.masks(1, density=0.8)
    return large, large & d.masks(1, density=0.5)


def _counted_in_bytes(a: Tensor, b: Tensor) -> Tensor:
    x, y = a.flatten(1).byte(), b.flatten(1).byte()
    inter = (x[:, None] * y[None]).sum(-1, dtype=torch.uint8).float()
    union = x.sum(1, dtype=torch.uint8)[:, None] + y.sum(1, dtype=torch.uint8)[None]
    return divide(inter, union.float() - inter)


def _nothing_and_something(d: Draw) -> tuple[Tensor, Tensor]:
    empty = torch.zeros(1, 8, 8, dtype=torch.bool)
    return torch.cat([empty, d.masks(1)]), empty


MASK_IOU = Exercise(
    name="mask_iou",
    points=2,
    reference=ref.mask_iou,
    names=("masks1", "masks2"),
    cases=(
        Case("a square and the same square moved", _shifted_masks, core=True),
        Case("2 masks against 3", lambda d: (d.masks(2), d.masks(3)), core=True),
        Case("masks that share no pixel", _disjoint_masks),
        Case("a mask and itself: 1", lambda d: (m := d.masks(1), m.clone())),
        Case("a small mask inside a large one", _mask_in_mask),
        Case("empty masks: 0, not NaN", _nothing_and_something),
        Case("more than 255 shared pixels", lambda d: (d.masks(2, 30, 0.8), d.masks(2, 30, 0.8))),
        Case("no masks at all", lambda d: (torch.zeros(0, 8, 8, dtype=torch.bool), d.masks(2))),
    ),
    mistakes=(
        Mistake(
            "shared_part_twice",
            "The union is the sum of both pixel counts, so shared pixels count twice. "
            "Take the intersection away once.",
            lambda a, b: _mask_ratio(a, b, lambda i, x, y: divide(i, x + y)),
        ),
        Mistake(
            "dice",
            "This is 2·I / (A + B), the Dice score. IoU is I / (A + B − I).",
            lambda a, b: _mask_ratio(a, b, lambda i, x, y: divide(2 * i, x + y)),
        ),
        Mistake(
            "pixel_accuracy",
            "Pixels that both masks leave empty are counted as agreement. "
            "IoU looks at set pixels only, or else a large background makes everything look good.",
            lambda a, b: (a[:, None] == b[None]).flatten(2).float().mean(2),
        ),
        Mistake(
            "bytes_overflow",
            "Pixels are counted in uint8, which starts again at 0 after 255. "
            "Count in a wider dtype.",
            _counted_in_bytes,
        ),
        Mistake(
            "over_first_mask",
            "The shared pixels are divided by the first mask's only. Divide by the union.",
            lambda a, b: _mask_ratio(a, b, lambda i, x, y: divide(i, x.expand_as(i))),
        ),
        Mistake(
            "over_picture",
            "The intersection is divided by the number of pixels in the picture. "
            "Divide by the pixels of the union.",
            lambda a, b: _mask_ratio(a, b, lambda i, x, y: i / a[0].numel() if len(a) else i),
        ),
        Mistake(
            "transposed",
            "Rows and columns are swapped: entry [n, m] belongs to masks1[n] and masks2[m].",
            lambda a, b: _mask_ratio(b, a, lambda i, x, y: divide(i, x + y - i)),
        ),
        Mistake(
            "nan_for_empty",
            "0 was divided by 0: two empty masks have an empty union. Their IoU is 0 by agreement.",
            lambda a, b: _mask_ratio(a, b, lambda i, x, y: i / (x + y - i)),
        ),
    ),
    hints=(
        "Of two masks a and b the intersection is `(a & b).sum()`, the union `(a | b).sum()`.",
        "All pairs: `masks1[:, None] & masks2[None]` is [N, M, H, W]. Sum over the last two axes.",
        "Less memory: flatten each mask to a row of 0 and 1. The matrix product of rows counts "
        "the shared pixels of every pair.",
    ),
    picture="masks",
)
