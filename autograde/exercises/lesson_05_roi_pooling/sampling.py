"""Exercise 4: bilinear_sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_05_roi_pooling.inputs import eighths, points, surface
from autograde.exercises.lesson_05_roi_pooling.slips import sampled
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Inputs = tuple[Tensor, Tensor, Tensor]
ROWS, COLUMNS = 4, 6


def _points(d: Draw, *shape: int, C: int = 1) -> Inputs:
    return surface(d, 1, C, ROWS, COLUMNS)[0], *points(d, *shape, rows=ROWS, columns=COLUMNS)


def _on_cells(d: Draw) -> Inputs:
    """Whole numbers, and the last row and column among them."""
    y = torch.tensor([0.0, ROWS - 1, ROWS - 1, 1])
    x = torch.tensor([COLUMNS - 1.0, 0, COLUMNS - 1, d.integer(1, 3)])
    return surface(d, 1, 2, ROWS, COLUMNS)[0], y, x


def _on_an_edge(d: Draw) -> Inputs:
    """Between two cells only: one of the two numbers is whole."""
    part = eighths(d, 4)
    y = torch.stack([part[0] + 1, torch.tensor(2.0), part[2], torch.tensor(ROWS - 1.0)])
    x = torch.stack([torch.tensor(3.0), part[1] + 2, torch.tensor(COLUMNS - 1.0), part[3]])
    return surface(d, 1, 1, ROWS, COLUMNS)[0], y, x


def _just_outside(d: Draw) -> Inputs:
    """Less than one cell outside, on each side, and in the corner."""
    part = eighths(d, 5)
    y = torch.stack([-part[0], ROWS - 1 + part[1], part[2] + 1, part[3] + 1, -part[4]])
    x = torch.stack([part[2] + 1, part[0] + 3, -part[1], COLUMNS - 1 + part[4], -part[3]])
    return surface(d, 1, 1, ROWS, COLUMNS)[0] + 1, y, x


def _one_cell_outside(d: Draw) -> Inputs:
    """Exactly one cell outside: that still counts."""
    y = torch.tensor([-1.0, ROWS, d.integer(0, 2) + 0.5, 1.5])
    x = torch.tensor([d.integer(0, 3) + 0.5, 2.5, -1.0, COLUMNS])
    return surface(d, 1, 1, ROWS, COLUMNS)[0] + 1, y, x


def _far_outside(d: Draw) -> Inputs:
    y = torch.tensor([-1.25, ROWS + 0.5, 1.5, 2.5, -4.0]) * 1.0
    x = torch.tensor([2.5, 1.5, -2.5, COLUMNS + 1.25, 40.0]) + d.integer(0, 1) / 8
    return surface(d, 1, 2, ROWS, COLUMNS)[0] + 1, y, x


def _in_double(d: Draw) -> Inputs:
    feature, y, x = _points(d, 3)
    return feature.double() / 3, y.double(), x.double()


def _sampled(**slip: Any) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda feature, y, x: sampled(feature, y, x, **slip)


def _at(rounds: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """One cell alone."""

    def wrong(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return sampled(feature, rounds(y), rounds(x))

    return wrong


def _nearest(x: Tensor) -> Tensor:
    return (x + 0.5).floor()


def _beyond_breaks(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The neighbours of a point on the last row or column are looked up, and are not there."""
    H, W = feature.shape[1:]
    inside = (y >= -1) & (y <= H) & (x >= -1) & (x <= W)
    y, x = y.clamp(0, H - 1), x.clamp(0, W - 1)
    if bool((y.floor() + 1 >= H).any() or (x.floor() + 1 >= W).any()):
        feature[:, y.floor().long() + 1, x.floor().long() + 1]
    return sampled(feature, y, x) * inside


def _wraps(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Neighbours by modulo: beyond the last column comes the first one again."""
    H, W = feature.shape[1:]
    total = torch.zeros(())
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = y.floor() + dy, x.floor() + dx
            weight = (1 - (y - row).abs()) * (1 - (x - column).abs())
            total = total + weight * feature[:, (row % H).long(), (column % W).long()]
    inside = (y >= -1) & (y <= H) & (x >= -1) & (x <= W)
    return (total * inside).to(feature.dtype)


def _cells_have_middles(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return sampled(feature, y - 0.5, x - 0.5)


def _ceil_weights(down: Tensor, across: Tensor) -> tuple[Tensor, ...]:
    """The distance to the next whole number, as `y.ceil() - y` has it: 0 on a whole number."""
    up, back = (1 - down) * (down > 0), (1 - across) * (across > 0)
    return up * back, up * across, down * back, down * across


def _by_size(
    size: Sequence[int], feature: Tensor, y: Tensor, x: Tensor, room: int = 1, pushed: bool = True
) -> Tensor:
    """As one writes it, with the sizes that one has. pushed: y and x are clamped first.

    room: how far below the last row the lower neighbour is looked for.
    """
    H, W = size
    inside = (y >= -1) & (y <= H) & (x >= -1) & (x <= W)
    if pushed:
        y, x = y.clamp(0, H - 1), x.clamp(0, W - 1)
    top = y.floor().long().clamp(0, H - 2 + room)
    left = x.floor().long().clamp(0, W - 2 + room)
    bottom, right = (top + 1).clamp(max=H - 1), (left + 1).clamp(max=W - 1)
    down, across = y - top, x - left
    value = feature[:, top, left] * (1 - down) * (1 - across)
    value = value + feature[:, top, right] * (1 - down) * across
    value = value + feature[:, bottom, left] * down * (1 - across)
    value = value + feature[:, bottom, right] * down * across
    return (value * inside).to(feature.dtype)


def _limited(
    allowed: Callable[[Tensor, int], Tensor],
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Another rule of what lies far outside. allowed: of a coordinate and the size."""

    def wrong(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
        H, W = feature.shape[1:]
        return sampled(feature, y, x, reach=1e9) * (allowed(y, H) & allowed(x, W))

    return wrong


BILINEAR_SAMPLE = Exercise(
    name="bilinear_sample",
    points=3,
    reference=ref.bilinear_sample,
    names=("feature", "y", "x"),
    forbids=("bilinear_sample",),
    cases=(
        Case("one point between four cells", lambda d: _points(d, 1), core=True),
        Case("four points", lambda d: _points(d, 4), core=True),
        Case("three points in two channels", lambda d: _points(d, 3, C=2), core=True),
        Case("points on a cell, in the last row and column, too", _on_cells),
        Case("points between two cells", _on_an_edge),
        Case("points up to one cell outside: the value of the border", _just_outside),
        Case("points exactly one cell outside: still the border", _one_cell_outside),
        Case("points further outside: 0", _far_outside),
        Case("points in a grid of 2 × 3", lambda d: _points(d, 2, 3, C=2)),
        Case("no points at all", lambda d: _points(d, 0, C=2)),
        Case("float64 stays float64", _in_double, dtype="exact"),
    ),
    mistakes=(
        Mistake(
            "x_for_y",
            "x and y are swapped. y counts rows, x columns, and a map is indexed [row, column].",
            lambda feature, y, x: sampled(feature, x, y),
        ),
        Mistake(
            "nearest_cell",
            "This is the nearest cell alone. Mix the four around the point, the nearer ones more.",
            _at(_nearest),
        ),
        Mistake(
            "upper_left_cell",
            "This is the upper left one of the four cells alone. Mix all four, the nearer ones "
            "more.",
            _at(torch.floor),
        ),
        Mistake(
            "mean_of_four",
            "All four cells count alike. The nearer a cell, the more it counts: (1 − distance in "
            "y) · (1 − distance in x).",
            _sampled(weigh=lambda down, across: (down * 0 + 0.25,) * 4),
        ),
        Mistake(
            "weights_turned_round",
            "The farther a cell, the more it counts here. The upper left one weighs (1 − down) · "
            "(1 − across): all, when the point lies on it.",
            _sampled(
                weigh=lambda down, across: (
                    down * across,
                    down * (1 - across),
                    (1 - down) * across,
                    (1 - down) * (1 - across),
                )
            ),
        ),
        Mistake(
            "weights_crossed",
            "Upper right and lower left have each other's weight. `across` moves weight to the "
            "right cells, `down` to the lower ones.",
            _sampled(
                weigh=lambda down, across: (
                    (1 - down) * (1 - across),
                    down * (1 - across),
                    (1 - down) * across,
                    down * across,
                )
            ),
        ),
        Mistake(
            "weights_by_ceil",
            "On a whole number `floor` and `ceil` are the same cell, so `y.ceil() - y` is 0, and "
            "all weights vanish. The lower cell is `top + 1`, its weight y − top, the upper one's "
            "1 − (y − top).",
            _sampled(weigh=_ceil_weights),
        ),
        Mistake(
            "size_swapped",
            "Height and width are swapped: the shape is C, H, W, so y is limited by H and x by W.",
            lambda feature, y, x: _by_size(feature.shape[:0:-1], feature, y, x),
        ),
        Mistake(
            "not_pushed_back",
            "Just outside of the map the line through two cells was drawn on. There it has the "
            "value of the border: clamp y and x themselves, before `down` and `across`.",
            lambda feature, y, x: _by_size(feature.shape[1:], feature, y, x, pushed=False),
        ),
        Mistake(
            "drawn_on",
            "Just outside of the map, on every side, the line through the last two cells was drawn "
            "on. There it has the value of the border: clamp y and x first.",
            lambda feature, y, x: _by_size(feature.shape[1:], feature, y, x, 0, pushed=False),
        ),
        Mistake(
            "ends_left_out",
            "A point exactly one cell outside got 0. The ends are included: `y >= -1`, `y <= H`.",
            _limited(lambda t, size: (t > -1) & (t < size)),
        ),
        Mistake(
            "far_side_too_near",
            "Below and to the right the border's value ends at H − 1 and W − 1, the last cell. It "
            "reaches one cell further, to H and W.",
            _limited(lambda t, size: (t >= -1) & (t <= size - 1)),
        ),
        Mistake(
            "far_side_too_far",
            "Below and to the right the border's value reaches to H + 1 and W + 1. The last cell "
            "is H − 1, and one cell further is H.",
            _limited(lambda t, size: (t >= -1) & (t <= size + 1)),
        ),
        Mistake(
            "in_one_row",
            "The values are right, but y and x came as a grid: the answer has the channels, then "
            "the shape of y.",
            lambda feature, y, x: sampled(feature, y, x).flatten(1),
        ),
        Mistake(
            "squeezed",
            "The values are right, but an axis of length 1 is gone: one channel gives [1, N]. Is "
            "there a `squeeze`, or `feature[0]`?",
            lambda feature, y, x: sampled(feature, y, x).squeeze(),
        ),
        Mistake(
            "weights_added",
            "The distances in y and x were added to a weight. They are multiplied, (1 − |dy|) · (1 "
            "− |dx|), so that the four weights add up to 1.",
            _sampled(
                weigh=lambda down, across: (
                    2 - down - across,
                    1 - down + across,
                    1 + down - across,
                    down + across,
                )
            ),
        ),
        Mistake(
            "only_across",
            "You mixed left and right, but not up and down: the answer jumps from one row to the "
            "next.",
            lambda feature, y, x: sampled(feature, y.floor(), x),
        ),
        Mistake(
            "only_down",
            "You mixed up and down, but not left and right: the answer jumps from one column to "
            "the next.",
            lambda feature, y, x: sampled(feature, y, x.floor()),
        ),
        Mistake(
            "half_a_cell_off",
            "Everything lies half a cell too far up and left. Here the value of cell (2, 3) stands "
            "at the point (2, 3) itself; the half cell comes in exercise 6.",
            _cells_have_middles,
        ),
        Mistake(
            "border_breaks",
            "All is right until a point lies on the last row or column: it has no lower or right "
            "neighbour. Limit the neighbours' numbers to H − 1 and W − 1; their weight is 0 then.",
            _beyond_breaks,
        ),
        Mistake(
            "nothing_outside",
            "Every point outside of the map got 0. Up to one cell outside it has the value of the "
            "border: clamp y to 0..H − 1 and x to 0..W − 1.",
            _sampled(reach=0),
        ),
        Mistake(
            "up_to_half_a_cell",
            "From half a cell outside on the value is 0. The border's value reaches a whole cell "
            "out, up to −1 and H.",
            _sampled(reach=0.5),
        ),
        Mistake(
            "fades_out",
            "Outside of the map the value sinks to 0 little by little. Here it stays that of the "
            "border for one cell, and is 0 further out.",
            _sampled(fade=True),
        ),
        Mistake(
            "border_for_ever",
            "A point far outside has the border's value. More than one cell outside it is 0.",
            _sampled(reach=1e9),
        ),
        Mistake(
            "other_side",
            "Just outside of the map the value comes from the opposite border: an index of −1 is "
            "the last one. Clamp y and x before you look for the four cells.",
            _wraps,
        ),
        Mistake(
            "points_first",
            "The channels come last. The answer is [C, ...]: first the channels, then the shape of "
            "y and x.",
            lambda feature, y, x: sampled(feature, y, x).movedim(0, -1),
        ),
        Mistake(
            "channels_added",
            "The channels were added up. Each of them is sampled for itself: [C, ...].",
            lambda feature, y, x: sampled(feature, y, x).sum(0),
        ),
        Mistake(
            "every_y_with_every_x",
            "This is a table of every y with every x. y[n] and x[n] belong together: one point, "
            "one value.",
            lambda feature, y, x: sampled(feature, y.flatten()[:, None], x.flatten()),
        ),
    ),
    hints=(
        "The four cells are rows `top = y.floor().long()` and `top + 1`, columns `left = "
        "x.floor().long()` and `left + 1`. How far the point is in: `down = y - top`, `across = x "
        "- left`.",
        "Four products make the answer, and the first is `feature[:, top, left] * (1 - down) * (1 "
        "- across)`. Indexing with tensors takes all points at once.",
        "Remember first which points count, `inside = (y >= -1) & (y <= H) & …`. Then clamp y to "
        "0..H − 1 and x to 0..W − 1, and `bottom`, `right` to H − 1 and W − 1. At the end multiply "
        "by `inside`.",
    ),
)
