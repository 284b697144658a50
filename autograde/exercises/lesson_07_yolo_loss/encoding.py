"""Exercise 1: encode_grid."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autograde.exercises.lesson_07_yolo_loss.inputs import (
    Scene,
    around,
    objects,
    offsets,
    scene,
    sides,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import yolo as ref


def _reference(boxes: Tensor, labels: Tensor, size: list[int], S: int, num_classes: int) -> Tensor:
    return ref.encode_grid(boxes, labels, (size[0], size[1]), S, num_classes)


# ------------------------------------------------------------------ scenes


def _crowded(d: Draw, larger_first: bool) -> Scene:
    """Two objects in one cell, a third elsewhere; the two differ in class and size."""
    boxes, labels, size, S, K = scene(d, 2)
    x, y = ((boxes[0, :2] + boxes[0, 2:]) / 2).tolist()
    at = torch.tensor(
        [[x // 32 * 32 + 4.0 * d.integer(1, 3), y // 32 * 32 + 4.0 * d.integer(4, 7)]]
    )
    side = boxes[:1, 2:] - boxes[:1, :2]
    first = around(at, side + 12 if larger_first else side - 4)
    both = torch.cat([first, boxes])
    return both, torch.cat([(labels[:1] + 1) % K, labels]), size, S, K


def _crowded_at_the_edge(d: Draw) -> Scene:
    """Two objects in one cell; the first has its centre at the cell's corner, where x = y = 0."""
    column, row = d.integer(1, 3), d.integer(1, 3)
    corner = torch.tensor([[32.0 * column, 32.0 * row]])
    at = torch.cat([corner, corner + 4.0 * torch.tensor([[d.integer(1, 3), d.integer(4, 7)]])])
    return around(at, sides(d, 2, [128, 128])), torch.tensor([2, 0]), [128, 128], 4, 3


def _on_a_line(d: Draw) -> Scene:
    """Two centres on lines between cells: one across and one down."""
    across, down = d.integer(1, 3) * 32.0, d.integer(1, 3) * 32.0
    at = torch.tensor([[across, 4.0 * d.integer(1, 6)], [4.0 * d.integer(1, 6), down]])
    return around(at, sides(d, 2, [128, 128])), torch.tensor([0, 2]), [128, 128], 4, 3


def _on_the_border(d: Draw) -> Scene:
    """A centre on the right border, another on the lower one."""
    at = torch.tensor([[128.0, 4.0 * d.integer(9, 15)], [4.0 * d.integer(1, 7), 128.0]])
    return around(at, sides(d, 2, [128, 128])), torch.tensor([1, 2]), [128, 128], 4, 3


def _everything(d: Draw) -> Scene:
    """One object that is the whole image, but for a strip."""
    left, below = 8.0 * d.integer(1, 3), 8.0 * d.integer(4, 6)
    return torch.tensor([[left, 0.0, 128.0, 128.0 - below]]), torch.tensor([1]), [128, 128], 4, 3


def _paper(d: Draw) -> Scene:
    boxes, labels = objects(d, 3, [448, 448], 7)
    return boxes, labels, [448, 448], 7, 3


def _many_classes(d: Draw) -> Scene:
    boxes, labels, size, S, _ = scene(d, 2)
    return boxes, labels + 5, size, S, 9


def _one_cell(d: Draw) -> Scene:
    """S = 1: x and y are shares of the image."""
    at = offsets(d, 1) * 128
    boxes = around(at, sides(d, 1, [128, 128]))
    return boxes, torch.tensor([d.integer(0, 2)]), [128, 128], 1, 3


def _in_double(d: Draw) -> Scene:
    boxes, labels, size, S, K = scene(d, 2)
    return boxes.double() + 1 / 3, labels, size, S, K


# ------------------------------------------------------------------ wrong answers

Parts = tuple[Tensor, Tensor]


def _middle(boxes: Tensor) -> Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _in_cells(at: Tensor, wh: Tensor, S: int) -> Tensor:
    return at * S / wh


def _floor(at: Tensor, S: int) -> Tensor:
    return at.floor().long().clamp(0, S - 1)


def _roots(side: Tensor, wh: Tensor, S: int) -> Tensor:
    return (side / wh).sqrt()


def _line(xy: Tensor, roots: Tensor, classes: Tensor) -> Tensor:
    return torch.cat([xy, roots, torch.ones(len(xy), 1).to(xy.dtype), classes], dim=1)


def _first(target: Tensor, row: int, column: int, line: Tensor) -> None:
    if target[row, column].count_nonzero() == 0:
        target[row, column] = line


def _last(target: Tensor, row: int, column: int, line: Tensor) -> None:
    target[row, column] = line


def _by_place(target: Tensor, row: int, column: int, line: Tensor) -> None:
    if target[row, column, 0] == 0:
        target[row, column] = line


def _larger(target: Tensor, row: int, column: int, line: Tensor) -> None:
    if line[2] * line[3] > target[row, column, 2] * target[row, column, 3]:
        target[row, column] = line


def _smaller(target: Tensor, row: int, column: int, line: Tensor) -> None:
    old = target[row, column, 2] * target[row, column, 3]
    if old == 0 or line[2] * line[3] < old:
        target[row, column] = line


def _both_classes(target: Tensor, row: int, column: int, line: Tensor) -> None:
    classes = torch.maximum(target[row, column, 5:], line[5:])
    target[row, column] = line
    target[row, column, 5:] = classes


def _added(target: Tensor, row: int, column: int, line: Tensor) -> None:
    target[row, column] += line


def encode(
    middle: Callable[[Tensor], Tensor] = _middle,
    position: Callable[[Tensor, Tensor, int], Tensor] = _in_cells,
    index: Callable[[Tensor, int], Tensor] = _floor,
    inside: Callable[[Tensor, Tensor, Tensor, int], Tensor] = lambda at, cell, wh, S: at - cell,
    extent: Callable[[Tensor, Tensor, int], Tensor] = _roots,
    line: Callable[[Tensor, Tensor, Tensor], Tensor] = _line,
    write: Callable[[Tensor, int, int, Tensor], None] = _first,
    wide: Callable[[list[int]], list[int]] = lambda size: [size[1], size[0]],
    classes: Callable[[Tensor, int], Tensor] = lambda labels, K: one_hot(labels, K),
    turned: bool = False,
) -> Callable[..., Tensor]:
    """encode_grid with one step replaced."""

    def wrong(boxes: Tensor, labels: Tensor, size: list[int], S: int, K: int) -> Tensor:
        wh = boxes.new_tensor(wide(size))
        at = position(middle(boxes), wh, S)  # [N, 2]
        cell = index(at, S)
        lines = line(
            inside(at, cell, wh, S),
            extent(boxes[:, 2:] - boxes[:, :2], wh, S),
            classes(labels, K).to(boxes.dtype),
        )
        target = boxes.new_zeros(S, S, 5 + K)
        for (column, row), numbers in zip(cell.tolist(), lines, strict=True):
            write(target, *((column, row) if turned else (row, column)), numbers)
        return target

    return wrong


def _everywhere(boxes: Tensor, labels: Tensor, size: list[int], S: int, K: int) -> Tensor:
    """The object in every cell that it reaches into, each with its own offset."""
    wh = boxes.new_tensor([size[1], size[0]])
    target = boxes.new_zeros(S, S, 5 + K)
    at, roots = _in_cells(_middle(boxes), wh, S), _roots(boxes[:, 2:] - boxes[:, :2], wh, S)
    low = (boxes[:, :2] * S / wh).floor().clamp(0, S - 1).long().tolist()
    high = (boxes[:, 2:] * S / wh).ceil().clamp(1, S).long().tolist()
    for n, ((left, top), (right, bottom)) in enumerate(zip(low, high, strict=True)):
        for row in range(top, bottom):
            for column in range(left, right):
                xy = at[n : n + 1] - at.new_tensor([[column, row]])
                hot = one_hot(labels[n : n + 1], K).to(boxes.dtype)
                _first(target, row, column, _line(xy, roots[n : n + 1], hot)[0])
    return target


def _loose(at: Tensor, S: int) -> Tensor:
    return at.floor().long()  # 4 of 4 cells on the border: an error


def _fraction(at: Tensor, cell: Tensor, wh: Tensor, S: int) -> Tensor:
    return at - at.floor()


def _flag_first(xy: Tensor, roots: Tensor, classes: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(xy), 1).to(xy.dtype), xy, roots, classes], dim=1)


def _classes_first(xy: Tensor, roots: Tensor, classes: Tensor) -> Tensor:
    return torch.cat([classes, xy, roots, torch.ones(len(xy), 1).to(xy.dtype)], dim=1)


def _no_flag(xy: Tensor, roots: Tensor, classes: Tensor) -> Tensor:
    return torch.cat([xy, roots, torch.zeros(len(xy), 1).to(xy.dtype), classes], dim=1)


def _before(labels: Tensor, K: int) -> Tensor:
    """Label k at place k - 1; label 0 falls on the 1 before the classes."""
    return torch.cat([one_hot(labels, K)[:, 1:], torch.zeros(len(labels), 1).long()], dim=1)


def _number(labels: Tensor, K: int) -> Tensor:
    """The number of the class in the first of the K places."""
    return torch.cat([labels[:, None], torch.zeros(len(labels), K - 1).long()], dim=1)


ENCODE_GRID = Exercise(
    name="encode_grid",
    points=3,
    reference=_reference,
    names=("boxes", "labels", "size", "S", "num_classes"),
    forbids=("encode_grid",),
    rows=False,
    cases=(
        Case("one object", lambda d: scene(d, 1), core=True),
        Case("three objects in three cells", lambda d: scene(d, 3), core=True),
        Case("an image that is wider than high", lambda d: scene(d, 3, (64, 128)), core=True),
        Case("an image that is higher than wide", lambda d: scene(d, 2, (256, 128), 8)),
        Case("two objects in one cell, the larger one first", lambda d: _crowded(d, True)),
        Case("two objects in one cell, the smaller one first", lambda d: _crowded(d, False)),
        Case("a centre on the line between two cells", _on_a_line),
        Case("a centre on the right and on the lower border", _on_the_border),
        Case("an object nearly as large as the image", _everything),
        Case("7 x 7 cells on 448 pixels, as in the paper", _paper),
        Case("5 x 5 cells on 128 pixels: a cell is 25.6 wide", lambda d: scene(d, 3, S=5)),
        Case("two objects in one cell, the first with x = 0 and y = 0", _crowded_at_the_edge),
        Case("nine classes", _many_classes),
        Case("one cell for the whole image", _one_cell),
        Case("float64 stays float64", _in_double, dtype="exact"),
        Case(
            "no objects at all",
            lambda d: (torch.zeros(0, 4), torch.zeros(0).long(), [128, 128], 4, 3),
        ),
    ),
    mistakes=(
        Mistake(
            "turned",
            "The object stands in the mirror cell: rows and columns are swapped. The row comes "
            "from y, the column from x, and it is `target[row, column]`.",
            encode(turned=True),
        ),
        Mistake(
            "x_for_y",
            "Cell and class are right, but y stands before x. The order is x, y, √w, √h.",
            encode(inside=lambda at, cell, wh, S: (at - cell).flip(1)),
        ),
        Mistake(
            "of_the_image",
            "x and y say where in the image the centre lies, 0 to 1. They should say where in its "
            "cell: take away the cell's number after multiplying by S.",
            encode(inside=lambda at, cell, wh, S: at / S),
        ),
        Mistake(
            "in_pixels",
            "x and y are pixels from the edge of the cell. They should be shares of the cell, 0 to "
            "1: divide by its width and height.",
            encode(inside=lambda at, cell, wh, S: (at - cell) * wh / S),
        ),
        Mistake(
            "cells_not_offset",
            "x and y count cells from the border of the image. Take away the number of the cell, "
            "so that the part inside of it is left.",
            encode(inside=lambda at, cell, wh, S: at),
        ),
        Mistake(
            "from_the_middle",
            "x and y are measured from the middle of the cell. They are 0 at its left and upper "
            "edge and 1 at the other.",
            encode(inside=lambda at, cell, wh, S: at - cell - 0.5),
        ),
        Mistake(
            "share_of_the_image",
            "The way from the cell's edge was divided by the image's side. Divide by the cell's "
            "side: the answer then goes from 0 to 1 within the cell.",
            encode(inside=lambda at, cell, wh, S: (at - cell) / S),
        ),
        Mistake(
            "no_root",
            "w and h are shares of the image, but their square roots are asked for.",
            encode(extent=lambda side, wh, S: side / wh),
        ),
        Mistake(
            "squared",
            "w and h were squared. Take the square root.",
            encode(extent=lambda side, wh, S: (side / wh) ** 2),
        ),
        Mistake(
            "sides_in_pixels",
            "The roots were taken of pixels. First divide the width by the image's width and the "
            "height by its height.",
            encode(extent=lambda side, wh, S: side.sqrt()),
        ),
        Mistake(
            "root_then_divided",
            "The root was taken first and then divided by the image's side. First divide, then "
            "take the root: √(w / W).",
            encode(extent=lambda side, wh, S: side.sqrt() / wh),
        ),
        Mistake(
            "shares_of_the_cell",
            "w and h were divided by the cell's sides. x and y are measured in the cell, but w and "
            "h are shares of the whole image.",
            encode(extent=lambda side, wh, S: (side * S / wh).sqrt()),
        ),
        Mistake(
            "half_sides",
            "Half of the width and of the height were taken. w and h are whole sides.",
            encode(extent=lambda side, wh, S: (side / wh / 2).sqrt()),
        ),
        Mistake(
            "h_for_w",
            "√h stands before √w. The order is x, y, √w, √h.",
            encode(extent=lambda side, wh, S: (side / wh).sqrt().flip(1)),
        ),
        Mistake(
            "size_swapped",
            "Width and height of the image are swapped: `size` is (height, width). x and w are "
            "divided by the width.",
            encode(wide=lambda size: list(size)),
        ),
        Mistake(
            "width_for_both",
            "The image's width was used for its height, too. y and h are divided by the height: "
            "`size` is (height, width).",
            encode(wide=lambda size: [size[1], size[1]]),
        ),
        Mistake(
            "height_for_both",
            "The image's height was used for its width, too. x and w are divided by the width: "
            "`size` is (height, width).",
            encode(wide=lambda size: [size[0], size[0]]),
        ),
        Mistake(
            "whole_stride",
            "The cell's side was rounded down to whole pixels, `//`. 128 pixels in 5 cells are "
            "25.6 each: divide with `/`.",
            encode(position=lambda at, wh, S: at / (wh // S)),
        ),
        Mistake(
            "centre_not_halved",
            "x1 + x2 is twice the centre. Divide by 2, for y as well.",
            encode(middle=lambda boxes: boxes[:, :2] + boxes[:, 2:]),
        ),
        Mistake(
            "empty_by_place",
            "Two objects in one cell: whether it is taken was read from x or y, which may be 0 for "
            "an object. Ask the fifth number, which is 1 in every taken cell.",
            encode(write=_by_place),
        ),
        Mistake(
            "corner",
            "This is the cell of the upper left corner. The cell of an object is the one that its "
            "centre lies in.",
            encode(middle=lambda boxes: boxes[:, :2]),
        ),
        Mistake(
            "read_as_xywh",
            "x2 and y2 were taken for width and height. The boxes are xyxy.",
            lambda boxes, *rest: encode()(
                torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1), *rest
            ),
        ),
        Mistake(
            "rounded",
            "The cell was rounded to the nearest number. A centre at 2.7 cells lies in cell 2: "
            "round down.",
            encode(index=lambda at, S: at.round().long().clamp(0, S - 1)),
        ),
        Mistake(
            "last_wins",
            "Two objects in one cell: the later one has overwritten the earlier. The first in the "
            "list stays.",
            encode(write=_last),
        ),
        Mistake(
            "larger_wins",
            "Two objects in one cell: the larger one was written. The first in the list stays, "
            "whatever its size.",
            encode(write=_larger),
        ),
        Mistake(
            "smaller_wins",
            "Two objects in one cell: the smaller one was written. The first in the list stays, "
            "whatever its size.",
            encode(write=_smaller),
        ),
        Mistake(
            "both_classes",
            "Two objects in one cell: the second overwrote the box, and both classes are 1. The "
            "first object stays, with its box and its class; skip the second wholly.",
            encode(write=_both_classes),
        ),
        Mistake(
            "added",
            "Two objects in one cell: their numbers were added up. The first in the list stays, "
            "the second is left out.",
            encode(write=_added),
        ),
        Mistake(
            "every_cell",
            "The object stands in every cell that it covers. Only the cell of its centre is "
            "responsible; all others hold zeros.",
            _everywhere,
        ),
        Mistake(
            "over_the_border",
            "A centre on the right or lower border is S cells from the left, and there is no cell "
            "S. It belongs to the last one, S − 1.",
            encode(index=_loose),
        ),
        Mistake(
            "fraction_on_the_border",
            "On the right or lower border the fraction is 0, as if the object lay at the other end "
            "of its cell. There x or y is 1: position minus cell number.",
            encode(inside=_fraction),
        ),
        Mistake(
            "line_to_the_left",
            "A centre on the line between two cells was given to the left or upper one. It belongs "
            "to the right or lower one: round down.",
            encode(index=lambda at, S: (at.ceil() - 1).long().clamp(0, S - 1)),
        ),
        Mistake(
            "flag_first",
            "The 1 stands first. A cell is laid out as x, y, √w, √h, 1, then the classes.",
            encode(line=_flag_first),
        ),
        Mistake(
            "classes_first",
            "The classes stand first. A cell is laid out as x, y, √w, √h, 1, then the classes.",
            encode(line=_classes_first),
        ),
        Mistake(
            "no_flag",
            "The fifth number is missing: it is 1 in a cell with an object. Without it nobody can "
            "tell these cells from empty ones.",
            encode(line=_no_flag),
        ),
        Mistake(
            "classes_from_one",
            "The class was written one place too far to the front. Labels start at 0: label k "
            "stands at place 5 + k.",
            encode(classes=_before),
        ),
        Mistake(
            "class_number",
            "The number of the class was written. Each class has a place of its own, with a 1 for "
            "the right one and 0 elsewhere.",
            encode(classes=_number),
        ),
    ),
    hints=(
        "Centre of a box: ((x1 + x2) / 2, (y1 + y2) / 2). Times S and divided by the image's "
        "width (or height) it counts cells from the left (or from the top), 2.7 for example.",
        "The whole part of 2.7 is the column (int, at most S − 1), the rest 0.7 is x. The same "
        "with y for the row.",
        "`target = torch.zeros(S, S, 5 + num_classes)` in the dtype of the boxes; then for each "
        "object, if `target[row, column, 4]` is still 0, write x, y, √(w / W), √(h / H), 1 and a 1 "
        "at place 5 + label.",
    ),
)
