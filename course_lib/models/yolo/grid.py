"""YOLO's grid: the cell that an object falls into, and what is written there.

Letters
    S       cells on a side of the image, S x S in all
    A       predictors of a cell, each with a box of its own; B in the paper
    K       classes
    N       objects of an image, or detections
    *B      leading axes, of images

A network's answer is [S, S, A*5 + K]: for each predictor (x, y, √w, √h, confidence), then one
number for each class, which the A predictors of the cell share. (x, y) is the centre of the box,
measured in the cell, 0 at its left or upper edge and 1 at the other; w and h are shares of the
image's sides. A target is laid out in the same way, with one predictor: [S, S, 5 + K] is what a
perfect network says, so that decoding a target gives the truth back.

Source, unless a function says another: Redmon et al., You Only Look Once, CVPR 2016, section 2.
There √ stands in the loss only. As in the authors' code, the numbers that the network gives are the
roots themselves: no root of a negative number is ever taken, and a predicted side is never below 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor
from torch.nn.functional import one_hot

from course_lib._checks import check_boxes
from course_lib._pairs import iou, right_way_round
from course_lib.boxes import box_convert


class Cells(NamedTuple):
    """An answer or a target in its parts."""

    boxes: Num[Tensor, "*B S S A 4"]  # x, y, √w, √h
    confidence: Num[Tensor, "*B S S A"]
    classes: Num[Tensor, "*B S S K"]


class Candidates(NamedTuple):
    """Boxes with scores and labels, best first, before any suppression."""

    boxes: Num[Tensor, "N 4"]
    scores: Num[Tensor, " N"]
    labels: Int64[Tensor, " N"]


def encode_grid(
    boxes: Num[Tensor, "N 4"],
    labels: Int64[Tensor, " N"],
    size: tuple[int, int],
    S: int,
    num_classes: int,
) -> Float[Tensor, "S S channels"]:
    """The target of one image: in the cell of each object's centre x, y, √w, √h, 1 and its class.

    Shapes: N xyxy boxes in pixels and labels in 0..K-1 to [S, S, 5 + K], row by row from the top;
        float32, or float64 for such boxes. A cell without an object holds zeros.
    size: (height, width) of the image.
    A centre on the line between two cells belongs to the right or lower one; on the right or lower
        border of the image, to the last one. Of several objects in one cell the first in the list
        is written, and the others are lost, as in the authors' code (which shuffles them before).
    Errors: ValueError for a label outside 0..K-1 or another number of labels than of boxes.
    """
    check_boxes(boxes, "boxes")
    if labels.shape != boxes.shape[:1]:
        raise ValueError(
            f"labels must have shape [{len(boxes)}], one for each box, got {list(labels.shape)}"
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {labels.tolist()}")
    height, width = size
    dtype = torch.promote_types(boxes.dtype, torch.float32)
    cx, cy, w, h = box_convert(right_way_round(boxes.to(dtype)), "xyxy", "cxcywh").unbind(1)
    # Multiply first: 192 * 7 / 448 is 3, but 192 / 448 * 7 may not be.
    x, y = cx * S / width, cy * S / height  # [N] each, in cells from the upper left corner
    column, row = cell_of(x, S), cell_of(y, S)
    values = torch.cat(
        (
            torch.stack((x - column, y - row, (w / width).sqrt(), (h / height).sqrt()), dim=1),
            torch.ones_like(x)[:, None],
            one_hot(labels, num_classes).to(dtype),
        ),
        dim=1,
    )  # [N, 5 + K]
    target = values.new_zeros(S, S, 5 + num_classes)
    first = first_in_cell(row * S + column)
    target[row[first], column[first]] = values[first]
    return target


def cell_of(position: Num[Tensor, " N"], S: int) -> Int64[Tensor, " N"]:
    """The row or column, 0..S-1, of a centre that is `position` cells from the border."""
    return position.floor().long().clamp(0, S - 1)


def first_in_cell(cell: Int64[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Which objects have no earlier one in the same cell: those that YOLO can learn."""
    earlier = torch.ones(len(cell), len(cell), dtype=torch.bool, device=cell.device).tril(-1)
    return ~((cell[:, None] == cell) & earlier).any(dim=1)


def split_cells(cells: Num[Tensor, "*B S S channels"], num_boxes: int) -> Cells:
    """An answer in its parts; with num_boxes = 1, a target.

    Shapes: [..., S, S, A*5 + K] to [..., S, S, A, 4], [..., S, S, A] and [..., S, S, K]; views.
    num_boxes: A.
    Errors: ValueError where no channel is left for a class.
    """
    channels = cells.shape[-1]
    if channels <= 5 * num_boxes:
        raise ValueError(
            f"{num_boxes} predictors take {5 * num_boxes} channels and each class one more, "
            f"got {channels} channels"
        )
    boxes, classes = cells.split((5 * num_boxes, channels - 5 * num_boxes), dim=-1)
    boxes = boxes.unflatten(-1, (num_boxes, 5))  # [..., S, S, A, 5]
    return Cells(boxes[..., :4], boxes[..., 4], classes)


def decode_grid(
    boxes: Num[Tensor, "*B S S A 4"], size: tuple[int | float, int | float]
) -> Float[Tensor, "*B S S A 4"]:
    """The boxes that x, y, √w, √h of each cell mean, as xyxy in the unit of `size`.

    Shapes: [..., S, S, A, 4] to the same; not clipped to the image.
    size: (height, width) of the image in pixels; (1, 1) gives shares of the image.
    A root below 0 stands for the same side as the one above 0, since it is squared.
    """
    S = boxes.shape[-3]
    height, width = size
    index = torch.arange(S, device=boxes.device, dtype=boxes.dtype)
    x, y, root_w, root_h = boxes.unbind(-1)  # [..., S, S, A] each
    cx = (x + index[:, None]) * (width / S)  # index as columns, [S, 1] beside A
    cy = (y + index[:, None, None]) * (height / S)  # index as rows, [S, 1, 1]
    w, h = root_w.square() * width, root_h.square() * height
    return torch.stack((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), dim=-1)


def responsible(
    boxes: Num[Tensor, "*cells A 4"], truths: Num[Tensor, "*cells 4"]
) -> tuple[Int64[Tensor, "*cells"], Float[Tensor, "*cells"]]:
    """Which of a cell's predictors answers for the cell's object, and its IoU with it.

    Shapes: [..., A, 4] predicted and [..., 4] true xyxy boxes, in one unit, to [...] and [...].
    Of the A boxes the one with the highest IoU, of equal ones the first. Where none overlaps the
        truth, the one closest to it: the smallest root mean square error of (centre x, centre y,
        width, height), of equal ones again the first.
    Source: section 2.2, "the highest current IOU with the ground truth". The paper leaves open
        what happens where all are 0, as at the start they often are; this is what its code does.
    """
    overlaps = iou(right_way_round(boxes), right_way_round(truths)[..., None, :])  # [..., A]
    error = box_convert(boxes, "xyxy", "cxcywh") - box_convert(
        truths[..., None, :], "xyxy", "cxcywh"
    )
    distance = error.square().mean(dim=-1)  # [..., A]; the root changes no order
    none = overlaps.amax(dim=-1, keepdim=True) == 0  # [..., 1]
    best = torch.where(none, -distance, overlaps).argmax(dim=-1)  # [...]
    return best, overlaps.gather(-1, best[..., None])[..., 0]


@torch.no_grad()
def who_answers(
    boxes: Num[Tensor, "*B S S A 4"], true_boxes: Num[Tensor, "*B S S 1 4"]
) -> tuple[Int64[Tensor, "*B S S"], Float[Tensor, "*B S S"]]:
    """`responsible` for every cell at once, from what the network and the target say.

    Shapes: [..., S, S, A, 4] and [..., S, S, 1, 4] of x, y, √w, √h to the number of a predictor and
        its IoU, [..., S, S] each. Both are constants, without a gradient. What they hold in cells
        without an object means nothing.
    """
    whole = (1, 1)  # shares of the image: IoU does not change if an image is stretched
    truths = decode_grid(true_boxes.to(boxes.dtype), whole)[..., 0, :]  # [..., S, S, 4]
    return responsible(decode_grid(boxes, whole), truths)


def grid_candidates(
    cells: Num[Tensor, "S S channels"],
    size: tuple[int, int],
    num_boxes: int = 2,
    score_threshold: float | int = 0.05,
) -> Candidates:
    """What the answer for one image says is there: a box for each predictor and class that is sure.

        score = P(class | object) · confidence,   "class-specific confidence"

    Shapes: [S, S, A*5 + K] to N boxes, scores and labels; boxes are xyxy in pixels, not clipped.
    size: (height, width) of the image. num_boxes: A.
    score_threshold: only scores above it are kept. One predictor may appear with several classes.
    Order: best first; of equal scores, first the upper cell, the left one, the first predictor,
        the lower class.
    Source: equation 1. Both factors come from a linear layer and may leave 0..1 a little. A
        confidence below 0 counts as 0, so that two wrong signs make no detection; beyond 1 they are
        taken as they are.
    """
    boxes, confidence, classes = split_cells(cells, num_boxes)
    scores = confidence.clamp(min=0)[..., None] * classes[..., None, :]  # [S, S, A, K]
    place = (scores > score_threshold).nonzero()  # [N, 4]: row, column, predictor, class
    row, column, predictor, label = place.unbind(1)
    found = Candidates(
        decode_grid(boxes, size)[row, column, predictor],
        scores[row, column, predictor, label],
        label,
    )
    order = found.scores.argsort(descending=True, stable=True)
    return Candidates(*(part[order] for part in found))
