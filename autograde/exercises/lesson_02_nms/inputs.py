"""Inputs of lesson 02: boxes with scores, each scene made for one thing to probe.

The geometry of a scene is fixed, so that it probes the same thing in every draw; where it lies,
how large the scores are and, mostly, the order of the boxes come from the draw. Corners are whole
numbers and thresholds 0.25, 0.5 or 0.75: whether an IoU exceeds one does not hang on rounding.

Squares of side 20 that are `s` apart in a row have the IoU (20 - s) / (20 + s):
4: 0.67, 5: 0.6, 6: 0.54, 8: 0.43, 10: 0.33, 12: 0.25 exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autograde.spec import Draw

Scene = tuple[Tensor, Tensor]  # boxes [N, 4], scores [N]
SIDE = 20
CHAIN = ((0, 0), (6, 0), (12, 0))  # IoU 0.54 with the next one, 0.25 with the next but one
CROWD = (  # three objects, three boxes each, and one box on nothing; best first
    (0, 0), (60, 0), (4, 0), (30, 50), (64, 2), (27, 50), (2, 5), (56, 0), (33, 52), (0, 60),
)  # fmt: skip
MIXED = (7, 2, 9, 4, 1, 8, 0, 5, 3, 6)  # no order anybody would choose


def squares(d: Draw, corners: Sequence[tuple[int, int]], side: int = SIDE) -> Tensor:
    """Squares at these top-left corners, all moved together to where the draw says."""
    corner = torch.tensor(corners, dtype=torch.float32).reshape(-1, 2) + d.numbers(1, 2, high=30)
    return torch.cat([corner, corner + side], dim=1)


def falling(d: Draw, count: int) -> Tensor:
    """`count` different scores, the best first, 0.02 to 0.05 apart."""
    return 0.99 - d.numbers(count, low=2, high=5).cumsum(0) / 100


def scene(
    d: Draw, corners: Sequence[tuple[int, int]], order: Sequence[int], side: int = SIDE
) -> Scene:
    """Squares, the first with the best score, handed over in another order."""
    boxes, scores = squares(d, corners, side), falling(d, len(corners))
    at = torch.tensor(order)
    return boxes[at], scores[at]


def crowd(d: Draw) -> Scene:
    return scene(d, CROWD, MIXED)


def many(d: Draw, count: int = 40) -> Scene:
    """Boxes as they come, of different scores."""
    place = d.numbers(count, high=1_000_000).argsort(stable=True)
    return d.boxes(count, 80, smallest=15), (place + 1) / (count + 1)


def at_threshold(d: Draw) -> Scene:
    """A box and its left half, IoU exactly 0.5, and far away a third."""
    boxes = squares(d, [(0, 0), (0, 0), (50, 0)])
    boxes[1, 2] -= SIDE / 2
    return boxes[[1, 2, 0]], falling(d, 3)[[1, 2, 0]]


def small_in_large(d: Draw) -> Scene:
    """A small box in the middle of a large one, IoU 0.25."""
    boxes = torch.cat([squares(d, [(0, 0)], 40), torch.zeros(1, 4)])
    boxes[1] = boxes[0] + torch.tensor([10.0, 10.0, -10.0, -10.0])
    return boxes, falling(d, 2)


def few_pixels(d: Draw) -> Scene:
    """Two boxes of 4 x 4 pixels with IoU 1/3; with one pixel more a side it is 3/7."""
    return scene(d, [(0, 0), (2, 0), (9, 9)], [1, 2, 0], side=4)


def copies(d: Draw) -> Scene:
    """The same box three times, and another one."""
    return scene(d, [(0, 0), (0, 0), (40, 3), (0, 0)], [2, 1, 3, 0])


def touching(d: Draw) -> Scene:
    """Two boxes that only touch, and a third that shares a little with the second."""
    return scene(d, [(0, 0), (20, 0), (36, 16)], [1, 2, 0])


def equal_scores(d: Draw) -> Scene:
    """Two objects, two boxes each, all of one score."""
    return squares(d, [(0, 0), (50, 0), (4, 0), (54, 0)]), torch.full((4,), 0.75)


def equal_rows(d: Draw) -> Scene:
    """60 boxes of one score, six rows of ten; each overlaps its neighbours with IoU 0.54."""
    return squares(d, [(6 * (k % 10), 30 * (k // 10)) for k in range(60)]), torch.full((60,), 0.75)


def score_zero(d: Draw) -> Scene:
    """Two boxes of score 0, one of them on a better one."""
    boxes, scores = scene(d, [(0, 0), (50, 0), (4, 0), (50, 40)], [2, 3, 0, 1])
    scores[:2] = 0
    return boxes, scores


def negative(d: Draw) -> Scene:
    """A crowd that reaches over the left and the upper border of the picture."""
    boxes, scores = crowd(d)
    return boxes - 70, scores


def long_ago(d: Draw) -> Scene:
    """The box of lowest score overlaps the best one, and two others were kept in between."""
    return scene(d, [(0, 0), (50, 0), (50, 40), (4, 0)], [3, 1, 0, 2])


def nothing() -> Scene:
    return torch.zeros(0, 4), torch.zeros(0)


def double(boxes: Tensor, scores: Tensor) -> Scene:
    return boxes.double() / 3, scores.double()


def table(overlapping: Sequence[tuple[int, int]], count: int) -> Tensor:
    """Who overlaps whom [N, N]: both halves and the diagonal, as `box_iou(b, b) > t` gives it."""
    overlaps = torch.eye(count, dtype=torch.bool)
    for i, j in overlapping:
        overlaps[i, j] = overlaps[j, i] = True
    return overlaps


def chain(count: int) -> Tensor:
    """Everyone overlaps the next one only."""
    return table([(k, k + 1) for k in range(count - 1)], count)


def network(d: Draw, count: int, share: float) -> Tensor:
    """Any two overlap with the probability `share`."""
    half = (d.numbers(count, count, high=999) < 1000 * share).triu(1)
    return half | half.T | torch.eye(count, dtype=torch.bool)
