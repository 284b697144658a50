"""Large images in overlapping tiles: small objects get the detector's full attention.

Letters
    M, N    detections of all tiles together, and those that are kept
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib._pairs import overlap as overlap_of
from course_lib.boxes import box_area
from course_lib.engine.config import Number
from course_lib.models.detector import Detections
from course_lib.suppression import batched_nms

Window = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the image

RIM = 2.0  # pixels: a box that ends so close to a cut edge of its tile may be cut itself
COVERED = 0.6  # share of a cut box inside a whole one from which on it is a piece of it


class Part(NamedTuple):
    """What was found in one window of an image, its boxes in pixels of the image."""

    window: Window
    found: Detections


def tile_windows(size: tuple[int, int], tile: int, overlap: Number) -> list[Window]:
    """Windows of tile x tile pixels that cover an image, row by row, evenly spaced.

    size: (height, width) of the image. Where it is smaller than a tile, so is the window.
    overlap: neighbours share at least this part of a tile: 0.25 of 256 is 64 pixels. An object
        that is no larger than that is whole in at least one of the windows.
    """
    if tile < 1:
        raise ValueError(f"tiles must be 1 pixel or more on a side, got {tile}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be a share of a tile, 0 or more and below 1, got {overlap}")
    height, width = size
    return [
        (x, y, min(x + tile, width), min(y + tile, height))
        for y in _starts(height, tile, overlap)
        for x in _starts(width, tile, overlap)
    ]


def _starts(side: int, tile: int, overlap: Number) -> list[int]:
    if side <= tile:
        return [0]
    shared = min(math.ceil(tile * overlap), tile - 1)
    count = math.ceil((side - shared) / (tile - shared))
    return [(side - tile) * i // (count - 1) for i in range(count)]


def merge_parts(
    parts: Sequence[Part], size: tuple[int, int], iou_threshold: Number = 0.5
) -> Detections:
    """The detections of all windows of one image as one list, best first.

    1. A box that ends at an edge where its window cuts the image may be a piece of an object. The
       other boxes go first: NMS among those of each class.
    2. Of the pieces, those that lie in a kept box of their class, 0.6 of them or more, are dropped;
       NMS among the rest. An object larger than the overlap may stay in pieces, unless one of the
       windows is the whole image.

    Shapes: to `boxes` [N, 4] in pixels of the image, `scores` [N], `labels` [N].
    size: (height, width) of the image, whose own border cuts nothing that could be seen.
    """
    boxes = torch.cat([part.found["boxes"] for part in parts])  # [M, 4]
    scores = torch.cat([part.found["scores"] for part in parts])
    labels = torch.cat([part.found["labels"] for part in parts])
    cut = torch.cat([_is_cut(part.found["boxes"], part.window, size) for part in parts])  # [M]
    whole, pieces = (~cut).nonzero().squeeze(1), cut.nonzero().squeeze(1)
    whole = whole[batched_nms(boxes[whole], scores[whole], labels[whole], iou_threshold)]
    shared, _ = overlap_of(boxes[pieces, None], boxes[None, whole])  # [pieces, whole]
    inside = shared >= COVERED * box_area(boxes[pieces])[:, None]
    same = labels[pieces, None] == labels[None, whole]
    pieces = pieces[~(inside & same).any(1)]
    pieces = pieces[batched_nms(boxes[pieces], scores[pieces], labels[pieces], iou_threshold)]
    kept = torch.cat((whole, pieces))
    kept = kept[scores[kept].sort(descending=True, stable=True).indices]
    return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}


def _is_cut(
    boxes: Float[Tensor, "M 4"], window: Window, size: tuple[int, int]
) -> Bool[Tensor, " M"]:
    """Which boxes end at an edge of the window that is not the image's own."""
    height, width = size
    x1, y1, x2, y2 = window
    sides = torch.stack((
        (boxes[:, 0] < x1 + RIM) & (x1 > 0),
        (boxes[:, 1] < y1 + RIM) & (y1 > 0),
        (boxes[:, 2] > x2 - RIM) & (x2 < width),
        (boxes[:, 3] > y2 - RIM) & (y2 < height),
    ))  # fmt: skip
    return sides.any(0)
