"""What wrong answers are made of: RoIPool, the surface and RoIAlign, with a slip of your choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Corners = Sequence[float]  # x1, y1, x2, y2
Size = Sequence[int]
Ends = list[tuple[int, int]]
Pool = Callable[..., Tensor]


def nearest(x: float) -> int:
    return math.floor(x + 0.5)


def outward_bins(first: int, last: int, bins: int, size: int) -> Ends:
    length = max(last - first + 1, 1)
    ends = [(p * length // bins, -(-(p + 1) * length // bins)) for p in range(bins)]
    return [tuple(min(max(first + e, 0), size) for e in pair) for pair in ends]  # type: ignore[misc]


def short_bins(first: int, last: int, bins: int, size: int) -> Ends:
    """The last cell left out."""
    return outward_bins(first, max(last - 1, first), bins, size)


def side_by_side(first: int, last: int, bins: int, size: int) -> Ends:
    length = last - first + 1
    cuts = [min(max(first + nearest(p * length / bins), 0), size) for p in range(bins + 1)]
    return list(itertools.pairwise(cuts))


def whole_steps(first: int, last: int, bins: int, size: int) -> Ends:
    step = (last - first + 1) // bins
    cuts = [min(max(first + p * step, 0), size) for p in range(bins + 1)]
    return list(itertools.pairwise(cuts))


def visible_bins(first: int, last: int, bins: int, size: int) -> Ends:
    """The region cut to the map first, then divided."""
    first, last = max(first, 0), min(last, size - 1)
    return outward_bins(first, last, bins, size) if first <= last else [(0, 0)] * bins


def largest(cells: Tensor) -> Tensor:
    return cells.amax((1, 2))


def as_given(corners: Corners) -> Corners:
    return corners


def rows_first(corners: Corners) -> Corners:
    """x taken for y."""
    return corners[1], corners[0], corners[3], corners[2]


def pool(
    rounds: Callable[[float], int] = nearest,
    read: Callable[[Corners], Corners] = as_given,
    cut: Callable[[int, int, int, int], Ends] = outward_bins,
    take: Callable[[Tensor], Tensor] = largest,
    empty: float = 0.0,
    image: Callable[[int], int] = lambda b: b,
    scale: Callable[[float], float] = lambda spatial_scale: spatial_scale,
    done: Callable[[Tensor], Tensor] = lambda pooled: pooled,
    swap: bool = False,
    crossed: bool = False,
    turned_slices: bool = False,
    turned_places: bool = False,
    first_box: bool = False,
    guard: bool = True,
) -> Pool:
    """roi_pool with one step replaced. take: of the cells of a bin [C, h, w] to [C].

    crossed: Q bins of rows and P of columns. turned_slices: columns before rows in the map,
    turned_places: in the answer. first_box: the corners of box 0 for all. guard: bins without
    cells are left out.
    """

    def wrong(input: Tensor, boxes: Tensor, output_size: Size, spatial_scale: float = 1) -> Tensor:
        P, Q = reversed(output_size) if swap else output_size
        C, H, W = input.shape[1:]
        pooled = input.new_full((len(boxes), C, P, Q), empty)
        for r, (b, *own) in enumerate(boxes.tolist()):
            corners = boxes[0, 1:].tolist() if first_box else own
            x1, y1, x2, y2 = (rounds(c * scale(spatial_scale)) for c in read(corners))
            for p, (top, bottom) in enumerate(cut(y1, y2, Q if crossed else P, H)):
                for q, (left, right) in enumerate(cut(x1, x2, P if crossed else Q, W)):
                    down, across = slice(top, bottom), slice(left, right)
                    where = (across, down) if turned_slices else (down, across)
                    if not guard or (bottom > top and right > left):
                        place = (q, p) if turned_places else (p, q)
                        pooled[r, :, *place] = take(input[image(int(b)), :, *where])
        return done(pooled)

    return wrong


def sampled(
    feature: Tensor,
    y: Tensor,
    x: Tensor,
    reach: float = 1,
    fade: bool = False,
    weigh: Callable[[Tensor, Tensor], tuple[Tensor, ...]] | None = None,
) -> Tensor:
    """The bilinear surface [C, ...] at some points, with a slip at the border or in the weights.

    reach: how far outside of the map a point still has the border's value.
    fade: outside of the map all cells are 0, and the surface falls to it.
    weigh: from how far down and across a point is in its cell, to the weights of its four cells.
    """
    H, W = feature.shape[1:]
    total = torch.zeros(())
    inside = (y >= -reach) & (y <= H - 1 + reach) & (x >= -reach) & (x <= W - 1 + reach)
    if not fade:
        y, x = y.clamp(0, H - 1), x.clamp(0, W - 1)
    top, left = y.floor(), x.floor()
    down, across = y - top, x - left
    weights = (
        weigh(down, across)
        if weigh
        else (
            (1 - down) * (1 - across),
            (1 - down) * across,
            down * (1 - across),
            down * across,
        )
    )
    corners = ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1))
    for weight, (row, column) in zip(weights, corners, strict=True):
        there = (row >= 0) & (row < H) & (column >= 0) & (column < W)
        at = feature[:, row.clamp(0, H - 1).long(), column.clamp(0, W - 1).long()]
        total = total + at * (weight * there if fade else weight)
    return (total * inside).to(feature.dtype)


def in_the_middles(start: float, length: float, bins: int, n: int) -> Tensor:
    """The points of all bins along one axis, [bins * n]."""
    return start + (torch.arange(bins * n, dtype=torch.float64) + 0.5) * length / (bins * n)


def mean(values: Tensor) -> Tensor:
    return values.mean((2, 4))


def align(
    read: Callable[[Corners], Corners] = as_given,
    place: Callable[[Corners, float, bool], Corners] | None = None,
    side: Callable[[float, bool], float] = lambda length, aligned: (
        length if aligned else max(length, 1.0)
    ),
    count: Callable[[int, float, int], int] = lambda ratio, length, bins: (
        ratio if ratio > 0 else math.ceil(length / bins)
    ),
    take: Callable[[Tensor], Tensor] = mean,
    look: Callable[[Tensor, Tensor, Tensor], Tensor] = sampled,
    image: Callable[[int], int] = lambda b: b,
    points: Callable[[float, float, int, int], Tensor] = in_the_middles,
    done: Callable[[Tensor], Tensor] = lambda pooled: pooled,
    swap: bool = False,
    same_count: bool = False,
    same_shape: bool = False,
    indexing: str = "ij",
) -> Pool:
    """roi_align with one step replaced. take: of the values [C, P, n, Q, m] to [C, P, Q].

    same_shape: cut into bins as if there were n points across, too. indexing: of the meshgrid.
    """
    place = place or (lambda box, scale, aligned: [c * scale - 0.5 * aligned for c in box])

    def wrong(
        input: Tensor,
        boxes: Tensor,
        output_size: Size,
        spatial_scale: float = 1,
        sampling_ratio: int = -1,
        aligned: bool = False,
    ) -> Tensor:
        P, Q = reversed(output_size) if swap else output_size
        pooled = input.new_zeros(len(boxes), input.shape[1], P, Q)
        for r, (b, *corners) in enumerate(boxes.tolist()):
            x1, y1, x2, y2 = place(read(corners), spatial_scale, aligned)
            height, width = side(y2 - y1, aligned), side(x2 - x1, aligned)
            n = count(sampling_ratio, height, P)
            m = n if same_count else count(sampling_ratio, width, Q)
            if n == 0 or m == 0:
                continue  # no points: 0
            y, x = points(y1, height, P, n), points(x1, width, Q, m)
            yy, xx = torch.meshgrid(y, x, indexing=indexing)
            values = look(input[image(int(b))].double(), yy, xx)  # [C, P*n, Q*m]
            pooled[r] = take(values.reshape(len(values), P, n, Q, n if same_shape else m))
        return done(pooled)

    return wrong
