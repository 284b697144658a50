"""Exercise 3: responsible."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_07_yolo_loss.inputs import shuffled
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.boxes import box_convert, box_iou, generalized_box_iou
from course_lib.models import yolo as ref

Cells = tuple[Tensor, Tensor]  # boxes [M, A, 4], truths [M, 4]
Answer = tuple[Tensor, Tensor]


def _two_cells(first: list[Tensor], second: list[Tensor], truth: Tensor) -> Cells:
    """Two cells with one truth, and the boxes of each."""
    return torch.stack([torch.stack(first), torch.stack(second)]), truth.repeat(2, 1)


def _mixed(d: Draw, boxes: Tensor) -> Tensor:
    """The boxes of each cell in another order."""
    return torch.stack([row[shuffled(d, len(row))] for row in boxes])


def _cells(d: Draw, M: int, A: int) -> Cells:
    """Truths of 24 x 40 or 40 x 24; boxes that overlap less and less, in some order.

    The best one is a little off on every side; the second has the truth's very shape and lies
    further off; the third is far too large and covers it all; the last overlaps hardly.
    """
    corner = d.numbers(M, 2, low=40, high=60)
    wide = (torch.arange(M) % 2 == d.integer(0, 1))[:, None]
    side = torch.where(wide, torch.tensor([40.0, 24.0]), torch.tensor([24.0, 40.0]))
    truths = torch.cat([corner, corner + side], dim=1)
    close = truths + d.numbers(M, 4, low=3, high=6) * torch.tensor([-1.0, 1.0, 1.0, 1.0])
    moved = truths + (d.numbers(M, 2, low=8, high=10) * torch.tensor([1.0, -1.0])).repeat(1, 2)
    huge = truths + d.numbers(M, 4, low=14, high=18) * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    beside = truths + d.numbers(M, 2, low=17, high=20).repeat(1, 2)
    return _mixed(d, torch.stack([close, moved, huge, beside][:A], dim=1)), truths


def _equal(d: Draw) -> Cells:
    """The same overlap from the left and from the right, or above and below: a tie at the top."""
    x, y, by = (float(d.integer(30, 50)) for _ in range(3))
    by = 4.0 * d.integer(1, 3)
    truth = torch.tensor([x, y, x + 32, y + 32])
    across, down = torch.tensor([by, 0.0, by, 0.0]), torch.tensor([0.0, by, 0.0, by])
    first = torch.stack([truth + 25, truth + across, truth - across])
    second = torch.stack([truth - down, truth + down, truth + 25])
    return torch.stack([first, second]), truth.repeat(2, 1)


def _apart(d: Draw) -> Cells:
    """No overlap at all. The nearest one comes last in the first cell, first in the second."""
    x = float(d.integer(60, 70))
    truth = torch.tensor([x, x, x + 16, x + 16])
    near, far, further = truth + 17 + d.integer(0, 3), truth - 40, truth + 70
    return _two_cells([further, far, near], [near, further, far], truth)


def _size_counts(d: Draw) -> Cells:
    """No overlap; the nearest centre belongs to a speck, so that another box is closer.

    Truth 40 x 40 at (100, 100). The speck is 2 x 2, centre 22 away; the other 10 x 40 and 26 away.
    """
    x, y = 100.0 + d.integer(0, 9), 100.0 + d.integer(0, 9)
    truth = torch.tensor([x - 20, y - 20, x + 20, y + 20])
    speck = torch.tensor([x + 21, y - 1, x + 23, y + 1])
    narrow = torch.tensor([x - 31, y - 20, x - 21, y + 20])
    return _two_cells([speck, narrow], [narrow, speck], truth)


def _as_far(d: Draw) -> Cells:
    """No overlap, the same error to the left and right, or above and below: a tie."""
    x, by = float(d.integer(60, 70)), 40.0 + d.integer(0, 9)
    truth = torch.tensor([x, x, x + 16, x + 16])
    across, down = torch.tensor([by, 0.0, by, 0.0]), torch.tensor([0.0, by, 0.0, by])
    first = torch.stack([truth + 70, truth + across, truth - across])
    second = torch.stack([truth - down, truth + down, truth + 70])
    return torch.stack([first, second]), truth.repeat(2, 1)


def _alike(d: Draw) -> Cells:
    """No overlap; centres equally far, the second box is the one of the truth's size."""
    x, by = float(d.integer(60, 70)), 40.0 + d.integer(0, 9)
    truth = torch.tensor([x, x, x + 20, x + 20])
    beside = torch.tensor([by, 0.0, by, 0.0])
    small = truth - beside + torch.tensor([6.0, 6.0, -6.0, -6.0])
    return torch.stack([small, truth + beside])[None], truth[None]


def _squares_count(d: Draw) -> Cells:
    """No overlap; 31 to the side and 31 down is closer than 46 up, though 62 is more than 46."""
    x = float(d.integer(60, 70))
    truth = torch.tensor([x, x, x + 30, x + 30])
    aslant, straight = truth + 31, truth + torch.tensor([0.0, -46.0, 0.0, -46.0])
    return _two_cells([straight, aslant], [aslant, straight], truth)


def _corners_mislead(d: Draw) -> Cells:
    """No overlap; by the corners the first box is closer, by centre and size the second.

    Errors (centre x, centre y, w, h): (34, 0, -28, 0) and (0, 42, 0, 0). Of the squares of the
    corners' errors those of the size count half and those of the centre twice.
    """
    x, y = 100.0 + d.integer(0, 9), 100.0 + d.integer(0, 9)
    truth = torch.tensor([x - 20, y - 20, x + 20, y + 20])
    narrow = torch.tensor([x + 34 - 6, y - 20, x + 34 + 6, y + 20])
    alike = truth + torch.tensor([0.0, -42.0, 0.0, -42.0])
    return torch.stack([narrow, alike])[None], truth[None]


def _hardly(d: Draw) -> Cells:
    """A little overlap beats none, though the one without lies closer."""
    x = float(d.integer(60, 70))
    truth = torch.tensor([x, x, x + 16, x + 16])
    beside = truth + torch.tensor([17.0, 0.0, 17.0, 0.0])
    huge = torch.tensor([x - 50, x - 50, x + 4.0, x + 4.0])
    return _two_cells([beside, huge], [huge, beside], truth)


def _closer_but_worse(d: Draw) -> Cells:
    """Both overlap: a shifted box of the right size is closer, a larger one around it fits better.

    IoU 0.54 and 0.64; mean squared errors 36 and 50.
    """
    x = 60.0 + d.integer(0, 9)
    truth = torch.tensor([x, x, x + 40, x + 40])
    shifted = truth + torch.tensor([12.0, 0.0, 12.0, 0.0])
    around = truth + torch.tensor([-5.0, -5.0, 5.0, 5.0])
    return _two_cells([shifted, around], [around, shifted], truth)


def _start(d: Draw) -> Cells:
    """Before anything is learned: boxes without a size, at different distances."""
    x = float(d.integer(60, 70))
    truth = torch.tensor([x, x, x + 16, x + 32])
    points = torch.tensor([[x - 30, x - 2], [x - 3, x - 4], [x + 60, x + 40]])
    boxes = torch.cat([points, points], dim=1)[shuffled(d, 3)]
    return boxes[None], truth[None]


def _mix(d: Draw) -> Cells:
    """Cells with and without overlap in one call."""
    parts = [_cells(d, 2, 3), _apart(d), _cells(d, 1, 3)]
    return torch.cat([boxes for boxes, _ in parts]), torch.cat([truths for _, truths in parts])


# ------------------------------------------------------------------ wrong answers


def overlaps(boxes: Tensor, truths: Tensor) -> Tensor:
    """IoU of each cell's boxes with its truth, [M, A]."""
    rows = [box_iou(b, t[None])[:, 0] for b, t in zip(boxes, truths, strict=True)]
    return torch.stack(rows).to(boxes.dtype) if rows else boxes.new_zeros(boxes.shape[:2])


def far(boxes: Tensor, truths: Tensor) -> Tensor:
    """RMSE of centre and size, [M, A]."""
    off = box_convert(boxes, "xyxy", "cxcywh") - box_convert(truths, "xyxy", "cxcywh")[:, None]
    return off.square().mean(-1).sqrt()


def choose(
    measure: Callable[[Tensor, Tensor], Tensor] = overlaps,
    otherwise: Callable[[Tensor, Tensor], Tensor] = far,
    pick: Callable[[Tensor], Tensor] = lambda score: score.argmax(1),
    iou: Callable[[Tensor, Tensor], Tensor] = lambda table, best: table.gather(1, best[:, None])[
        :, 0
    ],
) -> Callable[[Tensor, Tensor], Answer]:
    """responsible with one step replaced: the larger `measure`, else the smaller `otherwise`."""

    def wrong(boxes: Tensor, truths: Tensor) -> Answer:
        table = overlaps(boxes, truths)
        none = table.amax(1, keepdim=True) == 0
        best = pick(torch.where(none, -otherwise(boxes, truths), measure(boxes, truths)))
        return best, iou(table, best)

    return wrong


def _last(score: Tensor) -> Tensor:
    return score.shape[1] - 1 - score.flip(1).argmax(1)


def _centres(boxes: Tensor, truths: Tensor) -> Tensor:
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 - ((truths[:, :2] + truths[:, 2:]) / 2)[:, None]
    return middle.square().sum(-1).sqrt()


def _corners(boxes: Tensor, truths: Tensor) -> Tensor:
    return (boxes - truths[:, None]).square().mean(-1).sqrt()


def _steps(boxes: Tensor, truths: Tensor) -> Tensor:
    off = box_convert(boxes, "xyxy", "cxcywh") - box_convert(truths, "xyxy", "cxcywh")[:, None]
    return off.abs().sum(-1)


def _sizes(boxes: Tensor, truths: Tensor) -> Tensor:
    off = box_convert(boxes, "xyxy", "cxcywh") - box_convert(truths, "xyxy", "cxcywh")[:, None]
    return off[..., 2:].square().mean(-1)


def _rooted(boxes: Tensor, truths: Tensor) -> Tensor:
    said = box_convert(boxes, "xyxy", "cxcywh")
    true = box_convert(truths, "xyxy", "cxcywh")[:, None]
    roots = said[..., 2:].sqrt() - true[..., 2:].sqrt()
    return torch.cat([said[..., :2] - true[..., :2], roots], dim=-1).square().mean(-1)


def _at_least_one(boxes: Tensor, truths: Tensor) -> Answer:
    """Collected in lists and stacked."""
    best, iou = choose()(boxes, truths)
    return torch.stack(list(best)), torch.stack(list(iou))


def _nothing(boxes: Tensor, truths: Tensor) -> Tensor:
    return torch.zeros_like(boxes[..., 0])


def _shared(boxes: Tensor, truths: Tensor) -> Tensor:
    """The intersection alone, [M, A]."""
    t = truths[:, None]
    low, high = torch.maximum(boxes[..., :2], t[..., :2]), torch.minimum(boxes[..., 2:], t[..., 2:])
    return (high - low).clamp(min=0).prod(-1)


def _unclamped(boxes: Tensor, truths: Tensor) -> Tensor:
    """IoU whose intersection is a product of signed sides."""
    t = truths[:, None]
    low, high = torch.maximum(boxes[..., :2], t[..., :2]), torch.minimum(boxes[..., 2:], t[..., 2:])
    inter = (high - low).prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1) + (t[..., 2:] - t[..., :2]).prod(-1)
    return inter / (areas - inter)


def _giou(boxes: Tensor, truths: Tensor) -> Tensor:
    rows = [generalized_box_iou(b, t[None])[:, 0] for b, t in zip(boxes, truths, strict=True)]
    return torch.stack(rows).to(boxes.dtype) if rows else boxes.new_zeros(boxes.shape[:2])


def _area(boxes: Tensor, truths: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def _unclamped_answer(boxes: Tensor, truths: Tensor) -> Answer:
    table = _unclamped(boxes, truths)
    best = table.argmax(1)
    return best, table.gather(1, best[:, None])[:, 0]


def _giou_answer(boxes: Tensor, truths: Tensor) -> Answer:
    table = _giou(boxes, truths)
    return table.argmax(1), table.amax(1)


def _always_far(boxes: Tensor, truths: Tensor) -> Answer:
    best = far(boxes, truths).argmin(1)
    return best, overlaps(boxes, truths).gather(1, best[:, None])[:, 0]


def _all_or_none(boxes: Tensor, truths: Tensor) -> Answer:
    """One rule for the whole call: RMSE only where no cell has any overlap."""
    table = overlaps(boxes, truths)
    nowhere = (table == 0).all()
    best = far(boxes, truths).argmin(1) if nowhere else table.argmax(1)
    return best, table.gather(1, best[:, None])[:, 0]


def _one_by_one(boxes: Tensor, truths: Tensor) -> Answer:
    """Predictors that do not overlap compete with their distance, too, wherever one of them is."""
    table = overlaps(boxes, truths)
    best = torch.where(table == 0, 1 / (1 + far(boxes, truths)), table).argmax(1)
    return best, table.gather(1, best[:, None])[:, 0]


def _counted_through(boxes: Tensor, truths: Tensor) -> Answer:
    best, iou = choose()(boxes, truths)
    return best + torch.arange(len(boxes)) * boxes.shape[1], iou


RESPONSIBLE = Exercise(
    name="responsible",
    points=3,
    reference=ref.responsible,
    names=("boxes", "truths"),
    outputs=("best", "iou"),
    forbids=("responsible", "who_answers"),
    cases=(
        Case("two boxes in one cell", lambda d: _cells(d, 1, 2), core=True),
        Case("three cells with three boxes each", lambda d: _cells(d, 3, 3), core=True),
        Case("four boxes a cell", lambda d: _cells(d, 2, 4), core=True),
        Case("equal IoU: the first one", _equal),
        Case("no overlap at all: the closest one", _apart),
        Case("no overlap: the size counts, too", _size_counts),
        Case("no overlap: centre and size, not corners", _corners_mislead),
        Case("no overlap: errors are squared", _squares_count),
        Case("no overlap, centres equally far: the one of a like size", _alike),
        Case("no overlap, equally far: the first one", _as_far),
        Case("a little overlap beats none", _hardly),
        Case("both overlap: IoU decides, not the distance", _closer_but_worse),
        Case("boxes without a size, as at the start", _start),
        Case("cells with and without overlap", _mix),
        Case("one box a cell", lambda d: _cells(d, 3, 1)),
        Case(
            "boxes as shares of the image",
            lambda d: tuple(x / 128 for x in _cells(d, 2, 3)),
        ),
        Case("no cells at all", lambda d: (torch.zeros(0, 2, 4), torch.zeros(0, 4))),
    ),
    mistakes=(
        Mistake(
            "lowest",
            "The box with the lowest IoU was chosen. The best one answers: the highest.",
            choose(measure=lambda b, t: -overlaps(b, t)),
        ),
        Mistake(
            "always_the_first",
            "The first box was chosen in every cell. The one with the highest IoU answers.",
            choose(pick=lambda score: score.argmax(1) * 0),
        ),
        Mistake(
            "always_the_last",
            "The last box was chosen in every cell. The one with the highest IoU answers.",
            choose(pick=lambda score: score.argmax(1) * 0 + score.shape[1] - 1),
        ),
        Mistake(
            "last_of_equals",
            "Of two boxes with equal IoU the later one was chosen. Take the first: a box must be "
            "strictly better to replace it.",
            choose(pick=_last),
        ),
        Mistake(
            "zeros_tie",
            "Where no box overlaps the truth, the first one was taken. All IoUs are 0 there: the "
            "closest box answers, by the root mean square error.",
            choose(otherwise=_nothing),
        ),
        Mistake(
            "by_the_centre",
            "Where no box overlaps, the one with the nearest centre was taken. Centre and size "
            "count: four squared errors.",
            choose(otherwise=_centres),
        ),
        Mistake(
            "by_the_roots",
            "Where no box overlaps, √w and √h were compared. Centre x, centre y, width and height "
            "are, as they are: the roots come only in the loss.",
            choose(otherwise=_rooted),
        ),
        Mistake(
            "last_of_equal_distances",
            "Where no box overlaps, of two that are equally far the later one was taken. Take the "
            "first.",
            choose(
                pick=lambda score: torch.where(score.amax(1) > 0, score.argmax(1), _last(score))
            ),
        ),
        Mistake(
            "swapped",
            "The two are swapped: first the number of the predictor, then its IoU.",
            lambda boxes, truths: choose()(boxes, truths)[::-1],
        ),
        Mistake(
            "no_cells",
            "Without any cell your function stops with an error. Then both answers are empty: "
            "`torch.stack` needs at least one, `torch.tensor([])` does not.",
            _at_least_one,
        ),
        Mistake(
            "by_the_size",
            "Where no box overlaps, only the sizes were compared. Centre and size count: four "
            "squared errors.",
            choose(otherwise=_sizes),
        ),
        Mistake(
            "by_the_corners",
            "Where no box overlaps, the corners were compared. The error is that of centre x, "
            "centre y, width and height: convert both boxes first.",
            choose(otherwise=_corners),
        ),
        Mistake(
            "by_absolute_errors",
            "Where no box overlaps, the errors were added up without squaring them.",
            choose(otherwise=_steps),
        ),
        Mistake(
            "farthest",
            "Where no box overlaps, the farthest one was chosen. The smallest error wins there: "
            "argmin, not argmax.",
            choose(otherwise=lambda b, t: -far(b, t)),
        ),
        Mistake(
            "always_by_distance",
            "The distance decides everywhere. It is only for cells in which no box overlaps the "
            "truth; wherever one does, IoU decides.",
            _always_far,
        ),
        Mistake(
            "all_cells_or_none",
            "The rule for no overlap was used only if no cell of the whole call has any. It is "
            "asked in each cell by itself.",
            _all_or_none,
        ),
        Mistake(
            "distance_against_iou",
            "A box without overlap won by its distance over one that overlaps a little. As soon as "
            "one box of the cell overlaps, only IoU counts.",
            _one_by_one,
        ),
        Mistake(
            "intersection",
            "The box that covers most of the truth was chosen, however large it is. Divide by the "
            "union.",
            choose(measure=_shared),
        ),
        Mistake(
            "largest",
            "The largest box was chosen. The one with the highest IoU answers.",
            choose(measure=_area),
        ),
        Mistake(
            "giou",
            "This is GIoU. It tells far from near, but YOLO's rule is IoU, and the error of centre "
            "and size only where all IoUs are 0.",
            _giou_answer,
        ),
        Mistake(
            "negative_sides",
            "Boxes that are apart got an overlap: two negative sides make a positive product. Cut "
            "the sides of the intersection off at 0, or use `box_iou`.",
            _unclamped_answer,
        ),
        Mistake(
            "mean_iou",
            "The index is right, but the IoU is the mean of the cell's boxes. It is that of the "
            "chosen one.",
            choose(iou=lambda table, best: table.mean(1)),
        ),
        Mistake(
            "first_iou",
            "The index is right, but the IoU is that of the first box. It is that of the chosen "
            "one.",
            choose(iou=lambda table, best: table[:, 0]),
        ),
        Mistake(
            "iou_of_all",
            "The index is right, but you gave the IoU of every box, [M, A]. One number for each "
            "cell: that of the chosen box.",
            choose(iou=lambda table, best: table),
        ),
        Mistake(
            "certain",
            "The IoU is 1 in every cell. How well the chosen box fits is asked for: it will be the "
            "target of the confidence.",
            choose(iou=lambda table, best: torch.ones_like(table[:, 0])),
        ),
        Mistake(
            "one_minus_iou",
            "1 − IoU came back. IoU itself is asked for.",
            choose(iou=lambda table, best: 1 - table.gather(1, best[:, None])[:, 0]),
        ),
        Mistake(
            "counted_through",
            "The boxes are counted through all cells. Count within each cell, from 0 to A − 1.",
            _counted_through,
        ),
        Mistake(
            "counted_from_one",
            "The boxes of a cell are counted from 1. The first is 0.",
            choose(iou=lambda table, best: table.amax(1), pick=lambda score: score.argmax(1) + 1),
        ),
    ),
    hints=(
        "For one cell: `box_iou(boxes[m], truths[m][None])[:, 0]` are the IoUs of its A boxes. "
        "`argmax` takes the first of equal ones.",
        "Is the largest of them 0? Then turn boxes and truth into centre and size, "
        '`box_convert(b, "xyxy", "cxcywh")`, and take the smallest of the means of the four '
        "squared differences: `argmin`. (The root changes no order.)",
        "Collect the index and the IoU of each cell in two lists, and make tensors of them at the "
        "end: `torch.tensor(best)`, `torch.stack(ious)`; with no cells `torch.zeros(0)` each.",
    ),
)
