"""RoIAlign in Triton: every bin goes to its points by itself, and back on the same way.

Letters
    R, P, Q    regions, and the rows and columns of bins of each
    C, H, W    channels, rows and columns of a map
    n          points in a bin, along one axis

One program has a region and a few channels, and holds all P * Q bins of it at once: forwards a
number for each bin, which sums up its points; backwards the gradient of each, which it adds to the
four cells around every point. Several programs may add to one cell at the same time, so the
additions are atomic: none is lost, but their order is chance, and with it the last digit. Where
PyTorch is told to be deterministic (`torch.use_deterministic_algorithms`), the plain way is taken.

Where a point lies is decided in float64, as in the plain version: it is one number for each row and
each column of bins, whereas what is read and added is one for each channel.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

CHANNELS = 8  # of one program


@triton.jit
def _axis(start, length, number, bins, size, SAMPLES: tl.constexpr):
    """Where the points of a bin begin along one axis, how far apart they are, how many there are,
    which of them is the first that can lie on the map, and how many more have to be looked at.
    """
    part = length / bins
    n = part * 0 + SAMPLES if SAMPLES > 0 else tl.ceil(part)
    fine = (tl.abs(part) < 1e15) & (n > 0)  # False for NaN and for infinity
    n = tl.where(fine, n, 0.0)
    step = part / tl.maximum(n, 1.0)
    near = start + number * part + step / 2
    # A region may be far longer than the map. One more on each side, as rounding must lose none.
    ahead = tl.where(step > 0, tl.ceil((-1 - near) / step) - 1, 0.0)
    first = tl.minimum(tl.maximum(ahead, 0.0), n)
    enough = tl.where(step > 0, tl.floor((size + 1) / step) + 3, n)
    return near, step, n, first, tl.minimum(n, enough).to(tl.int32)


@triton.jit
def _cells(point, size):
    """The two cells around a point, the weight of each, and whether it is on the map at all."""
    inside = (point >= -1) & (point <= size)
    point = tl.minimum(tl.maximum(point, 0.0), size - 1.0)
    low = tl.floor(point)
    high = tl.minimum(low + 1, size - 1.0)
    share = (point - low).to(tl.float32)
    return low.to(tl.int32), high.to(tl.int32), share, inside


@triton.jit
def _pool(
    map, sides, images, levels, pooled, LEVEL, C, H, W, stride_b, stride_c, stride_h, stride_w,
    P: tl.constexpr, Q: tl.constexpr, BINS: tl.constexpr, CHANNELS: tl.constexpr,
    SAMPLES: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """One program: a region and CHANNELS channels. BACK: from `pooled` to `map`, not to `pooled`.

    sides: x1, y1, width and height of each region in cells, [R, 4]. LEVEL: the number of this map;
    regions of other levels are left alone.
    """
    r = tl.program_id(0).to(tl.int64)
    if tl.load(levels + r) == LEVEL:
        bins = tl.arange(0, BINS)
        channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
        real = (channel < C)[:, None] & (bins < P * Q)[None, :]
        x1, y1 = tl.load(sides + 4 * r), tl.load(sides + 4 * r + 1)
        width, height = tl.load(sides + 4 * r + 2), tl.load(sides + 4 * r + 3)
        row, column = (bins // Q).to(tl.float64), (bins % Q).to(tl.float64)
        near_y, step_y, n_y, first_y, most_y = _axis(y1, height, row, P, H, SAMPLES)
        near_x, step_x, n_x, first_x, most_x = _axis(x1, width, column, Q, W, SAMPLES)
        share_of_each = (1 / tl.maximum(n_y * n_x, 1.0)).to(tl.float32)

        at = map + tl.load(images + r) * stride_b + channel.to(tl.int64)[:, None] * stride_c
        out = pooled + (r * C + channel.to(tl.int64)[:, None]) * (P * Q) + bins[None, :]
        total = tl.zeros([CHANNELS, BINS], tl.float32)
        if BACK:
            total = tl.load(out, mask=real, other=0).to(tl.float32) * share_of_each
        for i in range(most_y):
            top, bottom, down, inside_y = _cells(near_y + (first_y + i) * step_y, H)
            inside_y = inside_y & (first_y + i < n_y)
            for j in range(most_x):
                left, right, across, inside_x = _cells(near_x + (first_x + j) * step_x, W)
                inside = inside_y & inside_x & (first_x + j < n_x)
                looked = real & inside[None, :]
                upper, lower = (top * stride_h)[None, :], (bottom * stride_h)[None, :]
                west, east = (left * stride_w)[None, :], (right * stride_w)[None, :]
                northwest = ((1 - down) * (1 - across))[None, :]
                northeast = ((1 - down) * across)[None, :]
                southwest = (down * (1 - across))[None, :]
                southeast = (down * across)[None, :]
                if BACK:
                    tl.atomic_add(at + upper + west, total * northwest, mask=looked)
                    tl.atomic_add(at + upper + east, total * northeast, mask=looked)
                    tl.atomic_add(at + lower + west, total * southwest, mask=looked)
                    tl.atomic_add(at + lower + east, total * southeast, mask=looked)
                else:
                    total += northwest * tl.load(at + upper + west, mask=looked, other=0)
                    total += northeast * tl.load(at + upper + east, mask=looked, other=0)
                    total += southwest * tl.load(at + lower + west, mask=looked, other=0)
                    total += southeast * tl.load(at + lower + east, mask=looked, other=0)
        if not BACK:
            mean = total * share_of_each
            tl.store(out, mean.to(pooled.dtype.element_ty), mask=real)


def takes(maps: Sequence[Tensor]) -> bool:
    """Does the kernel do this call? What must not hang on the order of additions it leaves."""
    small = all(each.dtype != torch.float64 for each in maps)
    ordered = torch.are_deterministic_algorithms_enabled()
    return small and not ordered and not torch.compiler.is_compiling()


def pool(
    maps: Sequence[Tensor],
    sides: Tensor,
    images: Tensor,
    levels: Tensor,
    bins: tuple[int, int],
    sampling_ratio: int,
) -> Tensor:
    """RoIAlign of regions that lie on several maps: maps [B, C, H, W] to [R, C, P, Q].

    sides: x1, y1, width and height of each region in cells of its map, float64 [R, 4].
    images, levels: which image and which map each is on, [R].
    """
    where = (sides.double().contiguous(), images.contiguous(), levels.contiguous())
    pooled: Tensor = _Pool.apply(where, bins, sampling_ratio, *maps)
    return pooled


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, where: Any, bins: Any, sampling_ratio: int, *maps: Tensor) -> Tensor:
        ctx.given = where, bins, sampling_ratio, [each.shape for each in maps]
        pooled = maps[0].new_zeros(len(where[0]), maps[0].shape[1], *bins)
        for level, each in enumerate(maps):
            _start(each, where, level, pooled, bins, sampling_ratio, back=False)
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *_Spread.apply(*ctx.given, grad)


class _Spread(torch.autograd.Function):
    """The way back. What was gathered is spread; the gradient of spreading is to gather again."""

    @staticmethod
    def forward(
        ctx: Any, where: Any, bins: Any, sampling_ratio: int, shapes: Any, pooled: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.given = where, bins, sampling_ratio
        maps = []
        for level, shape in enumerate(shapes):
            sums = pooled.new_zeros(shape, dtype=torch.float32)
            _start(sums, where, level, pooled.contiguous(), bins, sampling_ratio, back=True)
            maps.append(sums.to(pooled.dtype))
        return tuple(maps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, _Pool.apply(*ctx.given, *grads)


def _start(
    map: Tensor, where: Any, level: int, pooled: Tensor, bins: Any, sampling_ratio: int, back: bool
) -> None:
    R, C, P, Q = pooled.shape
    if R == 0 or C == 0:
        return
    H, W = map.shape[2:]
    options = {"P": P, "Q": Q, "BINS": triton.next_power_of_2(P * Q), "CHANNELS": CHANNELS}
    _pool[(R, triton.cdiv(C, CHANNELS))](
        map, *where, pooled, level, C, H, W, *map.stride(),
        SAMPLES=max(sampling_ratio, 0), BACK=back, **options,
    )  # fmt: skip
