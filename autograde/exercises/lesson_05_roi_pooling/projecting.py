"""Exercise 1: project_boxes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_05_roi_pooling.inputs import pixel_boxes
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import pooling as ref

Both = tuple[Tensor, Tensor]
Step = Callable[[Tensor], Tensor]


def nearest(x: Tensor) -> Tensor:
    return (x + 0.5).floor()


def _reference(boxes: Tensor, spatial_scale: float) -> Both:
    """The library's, but for halves below 0: it has torchvision's, away from 0; here they go up."""
    cells, _ = ref.project_boxes(boxes, spatial_scale)
    exact = boxes.double() * spatial_scale
    half = exact - exact.floor() == 0.5
    cells = torch.where(half, exact.ceil().long(), cells)
    return cells, (cells / spatial_scale - boxes.double()).to(boxes.dtype)


def _way(cells: Tensor, boxes: Tensor, scale: float) -> Tensor:
    return cells / scale - boxes


def _projected(
    rounds: Step = nearest,
    project: Callable[[Tensor, float], Tensor] = lambda boxes, scale: boxes * scale,
    way: Callable[[Tensor, Tensor, float], Tensor] = _way,
) -> Callable[[Tensor, float], Both]:
    """The exercise with one step replaced."""

    def wrong(boxes: Tensor, scale: float) -> Both:
        cells = rounds(project(boxes, scale))
        return cells, way(cells, boxes, scale)

    return wrong


def _outwards(x: Tensor) -> Tensor:
    return torch.cat([x[:, :2].floor(), x[:, 2:].ceil()], dim=1)


def _inwards(x: Tensor) -> Tensor:
    return torch.cat([x[:, :2].ceil(), x[:, 2:].floor()], dim=1)


def _sides(x: Tensor) -> Tensor:
    """Corner and sides rounded, each for itself."""
    corner = nearest(x[:, :2])
    return torch.cat([corner, corner + nearest(x[:, 2:] - x[:, :2])], dim=1)


def _last_one_more(x: Tensor) -> Tensor:
    return nearest(x) + torch.tensor([0.0, 0.0, 1.0, 1.0])


def _swapped(boxes: Tensor, scale: float) -> Both:
    cells, moved = _projected()(boxes, scale)
    return moved, cells


def _in_pixels(boxes: Tensor, scale: float) -> Both:
    cells, moved = _projected()(boxes, scale)
    return cells / scale, moved


def _on_cells(d: Draw) -> tuple[Tensor, float]:
    return pixel_boxes(d, 2) // 16 * 16, 1 / 16


def _in_the_middle(d: Draw) -> tuple[Tensor, float]:
    """Every corner half way between two cells, even and odd ones."""
    near = torch.tensor([[0.0, 1.0], [3.0, 2.0]]) + 2 * d.numbers(2, 2, high=2)
    return torch.cat([near, near + 3 + 2 * d.numbers(2, 2, high=1)], dim=1) * 8 + 4, 1 / 8


def _outside(d: Draw) -> tuple[Tensor, float]:
    """The first corner lies left of and above the picture, two or three cells away."""
    near = -16 * d.numbers(2, 2, low=2, high=3) - d.numbers(2, 2, low=1, high=7)
    near[1] = near[1] - 8
    return torch.cat([near, pixel_boxes(d, 2)[:, 2:]], dim=1), 1 / 16


def _half_below_zero(d: Draw) -> tuple[Tensor, float]:
    """The near corner half way between two negative cells, at even and odd ones."""
    near = -16 * (torch.tensor([[1.0, 2.0], [2.0, 3.0]]) + 2 * d.numbers(2, 2, high=1)) - 8
    return torch.cat([near, pixel_boxes(d, 2)[:, 2:]], dim=1), 1 / 16


def _half_away(x: Tensor) -> Tensor:
    return x.sign() * (x.abs() + 0.5).floor()


def _stride_16(boxes: Tensor, scale: float) -> Both:
    return _projected()(boxes, 1 / 16)


PROJECT_BOXES = Exercise(
    name="project_boxes",
    points=2,
    reference=_reference,
    names=("boxes", "spatial_scale"),
    forbids=("project_boxes", "roi_pool_bins", "roi_pool"),
    outputs=("cells", "moved"),
    rows=True,
    cases=(
        Case("one box, stride 16", lambda d: (pixel_boxes(d, 1), 1 / 16), core=True),
        Case("three boxes, stride 16", lambda d: (pixel_boxes(d, 3), 1 / 16), core=True),
        Case("stride 8", lambda d: (pixel_boxes(d, 2, 8), 1 / 8)),
        Case("stride 32", lambda d: (pixel_boxes(d, 2, 32), 1 / 32)),
        Case("a box that lies on whole cells: nothing moves", _on_cells),
        Case("half way between two cells: up", _in_the_middle),
        Case("a box that begins outside of the picture", _outside),
        Case("half way between two negative cells: up as well, −2.5 to −2", _half_below_zero),
        Case("no boxes at all", lambda d: (torch.zeros(0, 4), 1 / 16)),
    ),
    mistakes=(
        Mistake(
            "rounded_down",
            "All corners were rounded down, as `int()`, `//` and `.floor()` do. RoIPool rounds to "
            "the nearest whole cell.",
            _projected(torch.floor),
        ),
        Mistake(
            "cut_off",
            "The fractions were cut off, as `.int()`, `.long()` and `.trunc()` do: down, or up "
            "where the number is negative. RoIPool rounds to the nearest whole cell.",
            _projected(torch.trunc),
        ),
        Mistake(
            "rounded_up",
            "All corners were rounded up, as `.ceil()` does. RoIPool rounds to the nearest whole "
            "cell.",
            _projected(torch.ceil),
        ),
        Mistake(
            "outwards",
            "The box was rounded outwards, so that it loses nothing. RoIPool rounds each corner to "
            "the nearest cell, whichever side that is.",
            _projected(_outwards),
        ),
        Mistake(
            "inwards",
            "The box was rounded inwards. RoIPool rounds each corner to the nearest cell, "
            "whichever side that is.",
            _projected(_inwards),
        ),
        Mistake(
            "to_even",
            "`round()` and `torch.round` take 2.5 to 2, the even neighbour. Here a half goes up: "
            "`(x + 0.5).floor()`.",
            _projected(torch.round),
        ),
        Mistake(
            "half_away_from_zero",
            "Below 0 a half went down, away from 0: −2.5 became −3. Up is towards the larger "
            "number, −2, on both sides of 0: `(x + 0.5).floor()`.",
            _projected(_half_away),
        ),
        Mistake(
            "stride_16",
            "The stride is always 16 here. `spatial_scale` says what it is: 1/8 for a stride of 8.",
            _stride_16,
        ),
        Mistake(
            "new_place",
            "The cells are right, but `moved` is the new place in pixels, not the way there: "
            "subtract the old place, `boxes`.",
            _projected(way=lambda cells, boxes, scale: cells / scale),
        ),
        Mistake(
            "half_added_and_cut",
            "`int(x + 0.5)` is right for numbers above 0 only: it cuts towards 0, so −2.8 becomes "
            "−2. Round down after adding the half: `(x + 0.5).floor()`.",
            _projected(lambda x: (x + 0.5).trunc()),
        ),
        Mistake(
            "cut_at_zero",
            "Negative cells became 0. A box may begin outside of the picture; it is cut later, bin "
            "by bin.",
            _projected(lambda x: nearest(x).clamp(min=0)),
        ),
        Mistake(
            "divided",
            "The boxes were divided by `spatial_scale`. It is a small number, 1/16 for a stride of "
            "16: from pixels to cells you multiply by it.",
            _projected(project=lambda boxes, scale: boxes / scale),
        ),
        Mistake(
            "sides_rounded",
            "The corner and the sides were rounded, each for itself. Round all four numbers of "
            "x1, y1, x2, y2.",
            _projected(_sides),
        ),
        Mistake(
            "last_one_more",
            "The far corner is one cell too far. That the last cell belongs to the box comes in "
            "the next exercise; here it is only rounded.",
            _projected(_last_one_more),
        ),
        Mistake(
            "not_rounded",
            "The cells have fractions: the box is projected, but not rounded to whole cells.",
            _projected(lambda x: x),
        ),
        Mistake(
            "way_in_cells",
            "The cells are right, but `moved` is in cells. Ask in pixels of the image: one cell is "
            "1 / spatial_scale of them.",
            _projected(way=lambda cells, boxes, scale: cells - boxes * scale),
        ),
        Mistake(
            "way_scaled_down",
            "The cells are right. To bring the way from cells to pixels you multiplied by "
            "`spatial_scale`; that is the way from pixels to cells. Divide.",
            _projected(way=lambda cells, boxes, scale: (cells - boxes * scale) * scale),
        ),
        Mistake(
            "mixed_units",
            "Cells minus pixels: two different units. Bring the cells back into pixels first, "
            "cells / spatial_scale.",
            _projected(way=lambda cells, boxes, scale: cells - boxes),
        ),
        Mistake(
            "way_back",
            "The signs of `moved` are turned round: it is where the side went, minus where it was.",
            _projected(way=lambda cells, boxes, scale: boxes - cells / scale),
        ),
        Mistake(
            "only_how_far",
            "`moved` says how far, not to which side. Leave the sign: positive is to the right or "
            "down.",
            _projected(way=lambda cells, boxes, scale: (cells / scale - boxes).abs()),
        ),
        Mistake(
            "parts_swapped",
            "The two parts of the answer are swapped: first the cells, then the way.",
            _swapped,
        ),
        Mistake(
            "back_in_pixels",
            "The first part of the answer is in pixels again. Give the rounded corners in cells.",
            _in_pixels,
        ),
    ),
    hints=(
        "`boxes * spatial_scale` are the corners in cells, with their fractions.",
        "`(x + 0.5).floor()` rounds to the nearest whole number, and halves go up. (`torch.round` "
        "takes halves to the even neighbour.)",
        "Back in pixels the rounded corners are `cells / spatial_scale`. How far did they move? "
        "New place minus old place: subtract `boxes`.",
    ),
)
