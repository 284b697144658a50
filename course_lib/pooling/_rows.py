"""Bins as weighted sums of cells: the maps as a table [cells, C], a bin as some rows of it.

That is a sparse matrix [bins, cells] times a table. Its gradient is the transposed matrix times the
gradient: what was gathered is spread, and the gradient of spreading is to gather again. The fast
kernel for both is PyTorch's embedding_bag: it adds up weighted rows of numbers that lie in one
piece, and always in the same order.

Letters: E entries of the matrix, L maps; the rest as in `course_lib.pooling`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

from course_lib.pooling._bands import Band, begins, ragged

# So many channels, and so many entries, go through at one time. What stands in the layout of a
# table is then a small part of the maps and of the answer. With FEW entries all channels do.
CHANNELS, ENTRIES, FEW = 64, 2**22, 2**15


@dataclass(frozen=True)
class Bins:
    """Of R * P * Q bins, n holds the cells cell[begin[n] : begin[n + 1]] of the table."""

    begin: Int64[Tensor, " _"]
    cell: Int64[Tensor, " E"]
    shape: tuple[int, int, int]  # R, P, Q
    images: int
    sizes: tuple[tuple[int, int], ...]  # H, W of each map

    def bin(self) -> Int64[Tensor, " E"]:
        """The bin of each entry."""
        count = self.begin.diff()
        return torch.repeat_interleave(count)

    def by_cell(self) -> tuple[Tensor, Int64[Tensor, " E"]]:
        """The same entries cell by cell: where each cell's begin, and which they are."""
        cell, order = self.cell.sort(stable=True)
        cells = self.images * sum(H * W for H, W in self.sizes)
        every = torch.arange(cells + 1, device=cell.device)
        return torch.searchsorted(cell, every), order


class Gather(torch.autograd.Function):
    """Weighted sums of cells: maps [B, C, H, W] to [R, C, P, Q]."""

    @staticmethod
    def forward(ctx: Any, bins: Bins, weight: Tensor, *maps: Tensor) -> Tensor:
        ctx.bins = bins
        ctx.save_for_backward(weight, *(maps if weight.requires_grad else ()))
        R, P, Q = bins.shape
        pooled = maps[0].new_empty(R, maps[0].shape[1], P, Q)
        for part in channels(pooled, len(bins.cell)):
            table = table_of([each[:, part] for each in maps])  # [cells, c]
            sums = _weighted_sums(table, bins.begin, bins.cell, weight)  # [R*P*Q, c]
            del table
            pooled[:, part] = sums.unflatten(0, bins.shape).permute(0, 3, 1, 2)
            del sums
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *maps = ctx.saved_tensors
        to_weight: Tensor | None = None
        to_maps: Sequence[Tensor | None] = [None] * (len(ctx.needs_input_grad) - 2)
        if ctx.needs_input_grad[1]:
            to_weight = _products(grad, maps, ctx.bins).to(weight.dtype)
        if any(ctx.needs_input_grad[2:]):
            to_maps = Spread.apply(ctx.bins, weight, grad)
        return None, to_weight, *to_maps


class Spread(torch.autograd.Function):
    """The way back: what each bin has goes to its cells, by weight. [R, C, P, Q] to maps."""

    @staticmethod
    def forward(ctx: Any, bins: Bins, weight: Tensor, pooled: Tensor) -> tuple[Tensor, ...]:
        ctx.bins = bins
        ctx.save_for_backward(weight, *((pooled,) if weight.requires_grad else ()))
        C = pooled.shape[1]
        maps = [pooled.new_empty(bins.images, C, H, W) for H, W in bins.sizes]
        begin, order = bins.by_cell()
        bin, weight = bins.bin()[order], weight[order]
        for part in channels(pooled):
            table = table_of([pooled[:, part]])  # [R*P*Q, c]
            sums = _weighted_sums(table, begin, bin, weight).unflatten(0, (bins.images, -1))
            del table
            cells = [H * W for H, W in bins.sizes]
            for each, piece in zip(maps, sums.split(cells, dim=1), strict=True):
                each[:, part].flatten(2).copy_(piece.transpose(1, 2))
            del sums, piece
        return tuple(maps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, *pooled = ctx.saved_tensors
        to_weight = to_pooled = None
        if ctx.needs_input_grad[1]:
            to_weight = _products(pooled[0], grads, ctx.bins).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            to_pooled = Gather.apply(ctx.bins, weight, *grads)
        return None, to_weight, to_pooled


def pool_bands(
    maps: Sequence[Float[Tensor, "B C _ _"]],
    image: Int64[Tensor, " R"],
    level: Int64[Tensor, " R"],
    y: Band,
    x: Band,
) -> Float[Tensor, "R C P Q"]:
    """The bins of each region: weight by row times weight by column, times the cells.

    image, level: which image, and which of the maps, a region is on.
    """
    C, P, Q = maps[0].shape[1], y.count.shape[1], x.count.shape[1]
    sizes = tuple((each.shape[2], each.shape[3]) for each in maps)
    corner, width = _corners(sizes, image, level)
    entries = (y.count.sum(1) * x.count.sum(1)).cumsum(0)  # [R]
    if not len(entries):
        return sum((each.flatten()[:0].sum() for each in maps), maps[0].new_zeros(0, C, P, Q))
    pooled = []
    for part in _pieces(entries):
        begin, cell, weight = _outer(corner[part], width[part], part, y, x)
        bins = Bins(begin, cell, (len(corner[part]), P, Q), len(maps[0]), sizes)
        pooled.append(Gather.apply(bins, weight, *maps))
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled)


def _pieces(entries: Int64[Tensor, " R"]) -> list[slice]:
    """The regions in parts of about ENTRIES entries, which are counted up to each of them."""
    if int(entries[-1]) <= ENTRIES:
        return [slice(0, len(entries))]
    piece = (entries - 1).clamp(min=0) // ENTRIES  # [R]
    ends = torch.unique_consecutive(piece, return_counts=True)[1].cumsum(0).tolist()
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def table_of(maps: Sequence[Float[Tensor, "B C _ _"]]) -> Float[Tensor, "cells C"]:
    """Every cell of every map as a row: image by image, in it map by map, row by row."""
    tables = [each.flatten(2).transpose(1, 2) for each in maps]  # [B, H*W, C] each, views
    table = tables[0] if len(tables) == 1 else torch.cat(tables, dim=1)
    dtype = torch.promote_types(table.dtype, torch.float32)
    return table.reshape(-1, table.shape[2]).to(dtype)


def channels(map: Tensor, entries: int = ENTRIES) -> Iterator[slice]:
    step = CHANNELS if entries > FEW else max(1, map.shape[1])
    return (slice(start, start + step) for start in range(0, map.shape[1], step))


def _weighted_sums(table: Tensor, begin: Tensor, row: Tensor, weight: Tensor) -> Tensor:
    return embedding_bag(
        row,
        table.detach(),
        begin,
        mode="sum",
        per_sample_weights=weight.detach().to(table.dtype),
        include_last_offset=True,
    )


def _products(pooled: Tensor, maps: Sequence[Tensor], bins: Bins) -> Float[Tensor, " E"]:
    """The gradient of each weight: what its bin wants, times what its cell has, over channels."""
    bin, few = bins.bin(), CHANNELS // 4  # so many channels of every entry are held at one time
    products = pooled.new_zeros(len(bin), dtype=torch.promote_types(pooled.dtype, torch.float32))
    for start in range(0, pooled.shape[1], few):
        part = slice(start, start + few)
        wanted = table_of([pooled[:, part]])[bin]  # [E, c]
        present = table_of([each[:, part] for each in maps])[bins.cell]  # [E, c]
        products = products + (wanted * present).sum(1)
    return products


def _corners(
    sizes: Sequence[tuple[int, int]], image: Tensor, level: Tensor
) -> tuple[Int64[Tensor, " R"], Int64[Tensor, " R"]]:
    """Of each region's map: the row of the table that holds its first cell, and its width."""
    cells = [H * W for H, W in sizes]
    before = torch.tensor([sum(cells[:number]) for number in range(len(cells))]).to(level)
    widths = torch.tensor([W for _, W in sizes]).to(level)
    return image * sum(cells) + before[level], widths[level]


def _outer(
    corner: Tensor, width: Tensor, part: slice, y: Band, x: Band
) -> tuple[Int64[Tensor, " _"], Int64[Tensor, " E"], Float[Tensor, " E"]]:
    """Every pair of a row and a column in each bin of the regions in `part`."""
    R, P, Q = len(corner), y.count.shape[1], x.count.shape[1]

    def by_row(of_y: Tensor) -> Tensor:  # [regions, P] to [R*P*Q]
        return of_y[part][:, :, None].expand(R, P, Q).flatten()

    def by_column(of_x: Tensor) -> Tensor:  # [regions, Q] to [R*P*Q]
        return of_x[part][:, None].expand(R, P, Q).flatten()

    # First the lines, the rows of all bins; then the cells of all lines.
    bin, down = ragged(by_row(y.count))  # [lines] each
    entry_y = by_row(y.begin())[bin] + down  # [lines]
    first = corner[bin // (P * Q)] + y.cell[entry_y] * width[bin // (P * Q)]  # [lines]
    count = by_column(x.count)[bin]  # [lines]
    line = torch.repeat_interleave(count)  # [E]
    shift = by_column(x.begin())[bin] - begins(count)  # [lines]
    entry_x = shift[line] + torch.arange(len(line), device=bin.device)  # [E]
    cell = first[line] + x.cell[entry_x]  # [E]
    weight = y.weight[entry_y][line] * x.weight[entry_x]  # [E]
    size = by_row(y.count) * by_column(x.count)  # [R*P*Q]
    return torch.cat((size.new_zeros(1), size.cumsum(0))), cell, weight
