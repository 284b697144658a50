"""What a bin sees of one axis: some cells, and the weight of each of them.

A bilinear surface is a sum of hats: cell k contributes its value times max(0, 1 - |x - k|), times
the same for y. So the mean of some points of it, or its integral, falls apart into the two axes,
and the weight of a cell in a bin is a weight by row times a weight by column.

Letters: R regions, P bins along this axis, E entries (cells) of all runs together. `size` is the
number of cells of the axis, one for each region, as regions may lie on maps of different sizes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Band:
    """Bin p of region r has count[r, p] cells; those of all bins follow one another, in order."""

    count: Int64[Tensor, "R P"]
    cell: Int64[Tensor, " E"]
    weight: Float[Tensor, " E"]

    def begin(self) -> Int64[Tensor, "R P"]:
        """Where in `cell` and `weight` the entries of each bin begin."""
        return begins(self.count)

    def halves(self) -> tuple["Band", "Band"]:
        """The first half of the regions, and the second."""
        counts = self.count.chunk(2)
        sizes = [int(counts[0].sum()), -1]
        sizes[1] = len(self.cell) - sizes[0]
        parts = zip(counts, self.cell.split(sizes), self.weight.split(sizes), strict=True)
        first, second = (Band(*part) for part in parts)
        return first, second


def sampled_band(
    start: Float[Tensor, " R"],
    length: Float[Tensor, " R"],
    size: Int64[Tensor, " R"],
    P: int,
    sampling_ratio: int,
) -> Band:
    """RoIAlign: the mean of n points in the middle of n equal parts of the bin.

    start, length: of the region along this axis, in cells.
    sampling_ratio: n; 0 or less for as many as the bin is long, rounded up.

    A point in (-1, 0] counts as 0, one in [size - 1, size) as size - 1, further out it has the
    value 0; the borders -1 and size themselves still count.
    """
    bin_length = (length / P)[:, None]  # [R, 1]
    n = bin_length.ceil().clamp(min=0)  # [R, 1]
    if sampling_ratio > 0:
        n = torch.full_like(n, sampling_ratio)
    step = bin_length / n.clamp(min=1)  # [R, 1]
    bins = torch.arange(P, device=start.device)
    # the first point, and the last
    near = start[:, None] + bins * bin_length + step / 2  # [R, P]
    far = near + (n - 1) * step  # [R, P]: before `near` if the region is inverted
    last_cell = size[:, None] - 1  # [R, 1]
    low, high = torch.minimum(near, far), torch.maximum(near, far)  # [R, P] each
    reached = (high >= -1) & (low <= last_cell + 1) & (n > 0)  # [R, P], False for NaN
    first, last = cells_between(low.floor(), high.floor() + 1, last_cell)
    count = (last - first + 1) * reached  # [R, P]

    run, offset = ragged(count.flatten())  # [E] each
    owner = run // P  # [E], the region
    cell = first.flatten()[run] + offset  # [E]
    near, n, step = near.flatten()[run], n[owner, 0], step[owner, 0]  # [E] each
    # Of n points, few are within one cell of this one: those from number `skip` on. One more on
    # each side, as rounding must not lose a point that lies on the border.
    within = torch.where(step > 0, (2 / step).floor() + 3, n).minimum(n)  # [E]
    most = int(within.max()) if len(within) else 0
    skip = torch.where(n > most, ((cell - 1 - near) / step).ceil() - 1, 0 * n).clamp(min=0)
    number = skip[:, None] + torch.arange(most, device=start.device)  # [E, most]
    point = near[:, None] + number * step[:, None]  # [E, most]
    end = size[owner, None]  # [E, 1]
    counts = (number < n[:, None]) & (point >= -1) & (point <= end)  # [E, most]
    snapped = point.clamp(min=0).minimum(end - 1)  # [E, most]
    hat = (1 - (cell[:, None] - snapped).abs()).clamp(min=0)  # [E, most]
    return _band(count, run, cell, (hat * counts).sum(1) / n)


def integrated_band(
    start: Float[Tensor, " R"], length: Float[Tensor, " R"], size: Int64[Tensor, " R"], P: int
) -> Band:
    """Precise RoI pooling: the integral of each hat over the bin, divided by the bin's length.

    Outside of the map all values are 0, so the surface falls to 0 within one cell around it.
    The weights are differentiable in start and length.
    """
    bin_length = (length / P)[:, None]  # [R, 1]
    bins = torch.arange(P, device=start.device)
    near = start[:, None] + bins * bin_length  # [R, P]
    far = near + bin_length  # [R, P]
    last_cell = size[:, None] - 1  # [R, 1]
    with torch.no_grad():
        reached = (far > -1) & (near < last_cell + 1) & (bin_length > 0)  # [R, P], no NaN
        first, last = cells_between(near.floor(), far.ceil(), last_cell)
        count = (last - first + 1) * reached  # [R, P]
    run, offset = ragged(count.flatten())  # [E] each
    cell = first.flatten()[run] + offset  # [E]
    near, far = (end.flatten()[run] - cell for end in (near, far))  # [E] each, as the cell sees it
    # Each half of a hat is a straight line, so its integral is its length times its middle.
    rise = (near.clamp(-1, 0), far.clamp(-1, 0))
    fall = (near.clamp(0, 1), far.clamp(0, 1))
    area = (rise[1] - rise[0]) * (1 + (rise[0] + rise[1]) / 2)  # [E]
    area = area + (fall[1] - fall[0]) * (1 - (fall[0] + fall[1]) / 2)
    return _band(count, run, cell, area / bin_length[run // P, 0])


def _band(count: Tensor, run: Tensor, cell: Tensor, weight: Tensor) -> Band:
    """Without the cells that weigh nothing: those that lie between two points."""
    kept = weight.detach() != 0  # [E]
    counted = torch.bincount(run[kept], minlength=count.numel()).reshape(count.shape)
    return Band(counted, cell[kept], weight[kept])


def cells_between(
    low: Tensor, high: Tensor, last_cell: Tensor
) -> tuple[Int64[Tensor, "R P"], Int64[Tensor, "R P"]]:
    """Both ends as cells of the map: clipped, then integer. Not a number becomes 0."""
    first, last = (end.nan_to_num(0).clamp(min=0).minimum(last_cell) for end in (low, high))
    return first.long(), last.long()


def begins(count: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """Where each run begins, if runs of these lengths lie one after another."""
    flat = count.flatten()
    return (flat.cumsum(0) - flat).reshape(count.shape)


def ragged(count: Int64[Tensor, " N"]) -> tuple[Int64[Tensor, " E"], Int64[Tensor, " E"]]:
    """For runs of these lengths, one after another: which run an entry is in, and which in it."""
    run = torch.repeat_interleave(count)
    return run, torch.arange(len(run), device=count.device) - begins(count)[run]
