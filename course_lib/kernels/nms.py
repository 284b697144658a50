"""Greedy NMS in Triton: whom the best boxes suppress, tile by tile.

Letters
    N        boxes, best first
    T        boxes of a tile: two tiles are compared in one go, T * T pairs
    panel    TILES tiles, one after another

Greedy NMS is a chain: whether a box stays hangs on all better ones. Inside a tile we let all decide
at once and repeat until nobody changes his mind (`course_lib.suppression.settle`), which takes a
handful of rounds. One program settles the tiles of a panel so, each after it has heard of those
kept in the tiles before. Then a crowd of programs tells all boxes behind the panel whom it has
kept, and the next panel begins. The processor starts two kernels a panel and never waits.

torchvision writes a bit for every pair into memory first, 1.25 GB for 100,000 boxes. Here nothing
is written but who is left, and pairs with boxes that are gone already are hardly looked at.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

T, TILES = 64, 8


@triton.jit
def _iou_parts(boxes, rows, columns, N, WIDE: tl.constexpr):
    """Intersection and union of each of some boxes with each of others, [rows, columns] each."""
    kind: tl.constexpr = tl.float64 if WIDE else tl.float32
    left1 = tl.load(boxes + rows, mask=rows < N, other=0).to(kind)[:, None]
    top1 = tl.load(boxes + N + rows, mask=rows < N, other=0).to(kind)[:, None]
    right1 = tl.load(boxes + 2 * N + rows, mask=rows < N, other=0).to(kind)[:, None]
    bottom1 = tl.load(boxes + 3 * N + rows, mask=rows < N, other=0).to(kind)[:, None]
    left2 = tl.load(boxes + columns, mask=columns < N, other=0).to(kind)[None, :]
    top2 = tl.load(boxes + N + columns, mask=columns < N, other=0).to(kind)[None, :]
    right2 = tl.load(boxes + 2 * N + columns, mask=columns < N, other=0).to(kind)[None, :]
    bottom2 = tl.load(boxes + 3 * N + columns, mask=columns < N, other=0).to(kind)[None, :]
    width = tl.maximum(tl.minimum(right1, right2) - tl.maximum(left1, left2), 0)
    height = tl.maximum(tl.minimum(bottom1, bottom2) - tl.maximum(top1, top2), 0)
    inter = width * height
    areas = (right1 - left1) * (bottom1 - top1) + (right2 - left2) * (bottom2 - top2)
    return inter, areas - inter


@triton.jit
def _clash(boxes, classes, rows, columns, N, threshold, CLASSES: tl.constexpr, WIDE: tl.constexpr):
    """Which of some boxes have an IoU above the threshold with which of others."""
    inter, union = _iou_parts(boxes, rows, columns, N, WIDE)
    limit = tl.load(threshold)
    if WIDE:
        above = inter / union > limit
    else:
        # Each side of `inter > threshold * union` is right to 1e-6 of the union. Where that is not
        # enough (or where numbers were too large or too small), the tile is done again in float64:
        # seldom, and many GPUs do 64 operations in float32 in the time of one in float64.
        apart = inter - limit.to(tl.float32) * union
        above = apart > 0
        sure = (tl.abs(apart) > 4e-6 * union) & (union > 1e-30)
        if tl.min(tl.min(sure.to(tl.int32), axis=1), axis=0) == 0:
            inter64, union64 = _iou_parts(boxes, rows, columns, N, True)
            above = inter64 / union64 > limit
    if CLASSES:
        first = tl.load(classes + rows, mask=rows < N, other=0)
        second = tl.load(classes + columns, mask=columns < N, other=0)
        above = above & (first[:, None] == second[None, :])
    return above


@triton.jit
def _any_hit(hits, kept):
    """Which columns are hit by a row that is kept."""
    return tl.max((hits & kept[:, None]).to(tl.int32), axis=0) > 0


@triton.jit
def _settle_panel(
    boxes, classes, keep, N, start, threshold,
    CLASSES: tl.constexpr, WIDE: tl.constexpr, T: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """One program: who stays of the boxes from `start` on, TILES tiles of them."""
    for tile in range(TILES):
        mine = start + tile * T + tl.arange(0, T)
        alive = tl.load(keep + mine, mask=mine < N, other=0) != 0
        if tl.max(alive.to(tl.int32), axis=0) > 0:
            for before in range(tile):
                better = start + before * T + tl.arange(0, T)
                kept = tl.load(keep + better, mask=better < N, other=0) != 0
                hits = _clash(boxes, classes, better, mine, N, threshold, CLASSES, WIDE)
                alive = alive & ~_any_hit(hits, kept)
            hits = _clash(boxes, classes, mine, mine, N, threshold, CLASSES, WIDE)
            hits = hits & (mine[:, None] < mine[None, :])
            kept = alive
            changing = 1
            while changing > 0:
                again = alive & ~_any_hit(hits, kept)
                changing = tl.max((again != kept).to(tl.int32), axis=0)
                kept = again
            tl.store(keep + mine, kept.to(tl.int8), mask=mine < N)
        tl.debug_barrier()  # what was stored is there for all threads before it is loaded


@triton.jit
def _suppress_behind(
    boxes, classes, keep, N, start, threshold,
    CLASSES: tl.constexpr, WIDE: tl.constexpr, T: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """One program for each tile behind a settled panel: whom that panel leaves of it."""
    mine = start + (TILES + tl.program_id(0)) * T + tl.arange(0, T)
    alive = tl.load(keep + mine, mask=mine < N, other=0) != 0
    if tl.max(alive.to(tl.int32), axis=0) > 0:
        for tile in range(TILES):
            better = start + tile * T + tl.arange(0, T)
            kept = tl.load(keep + better, mask=better < N, other=0) != 0
            if tl.max(kept.to(tl.int32), axis=0) > 0:
                hits = _clash(boxes, classes, better, mine, N, threshold, CLASSES, WIDE)
                alive = alive & ~_any_hit(hits, kept)
        tl.store(keep + mine, alive.to(tl.int8), mask=mine < N)


def greedy(boxes: Tensor, classes: Tensor | None, iou_threshold: float | int) -> Tensor:
    """Which of some boxes that come best first greedy NMS keeps: [N, 4] to bool [N].

    classes: a number for each box, [N]; boxes of two classes never clash. None: all may.
    IoU is decided as in float64.
    """
    N = len(boxes)
    wide = boxes.dtype == torch.float64 or not boxes.is_floating_point()
    kind = torch.float64 if wide else torch.float32  # which holds half types exactly
    start, end = boxes.to(kind).split(2, dim=1)
    corners = torch.cat((start, torch.maximum(start, end)), dim=1).T.contiguous()  # [4, N]
    keep = torch.ones(N, dtype=torch.int8, device=boxes.device)
    # Numbers reach a kernel in float32, and 0.7 in float32 is another number: hence in memory.
    limit = torch.full((1,), iou_threshold, dtype=torch.float64, device=boxes.device)
    options = {"CLASSES": classes is not None, "WIDE": wide, "T": T, "TILES": TILES}
    given = (corners, corners if classes is None else classes.contiguous(), keep, N)
    for first in range(0, N, T * TILES):
        _settle_panel[(1,)](*given, first, limit, **options, num_warps=8)
        behind = triton.cdiv(N - first, T) - TILES
        if behind > 0:
            _suppress_behind[(behind,)](*given, first, limit, **options, num_warps=8)
    return keep.bool()
