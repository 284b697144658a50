"""Inputs of exercise 7: for each image a table of IoUs and the scores of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autograde.exercises.lesson_03_map.inputs import scores_of, shuffled, some, table
from autograde.spec import Draw

Images = tuple[list[Tensor], list[Tensor]]


def images(d: Draw, sizes: Sequence[tuple[int, int]]) -> Images:
    """A table and scores for each (detections, truths): mostly hits of any tightness."""
    tables = []
    for D, G in sizes:
        grid = (8 * d.numbers(D, G, high=5) + torch.arange(1, G + 1)) / 128  # all below 0.4
        for n in range(D):  # each detection aims at a truth, and one in four misses
            if G and d.integer(0, 3):
                k = d.integer(0, G - 1)
                grid[n, k] = (8 * d.integer(8, 15) + k + 1) / 128
        tables.append(grid)
    scores = scores_of(d, sum(D for D, _ in sizes))
    return tables, list(scores.split([D for D, _ in sizes]))


def one_image(d: Draw) -> Images:
    """Tight and loose boxes, by decreasing score: what changes with the threshold."""
    rows = [
        [some(d, 100, 101), 0.0, 0.0],
        [0.0, some(d, 72, 74), 0.0],
        [0.0, 0.0, some(d, 30, 50)],
        [0.0, 0.0, some(d, 117, 119)],
    ]
    return [table(*rows)], [scores_of(d, 4).sort(descending=True).values]


def three_images(d: Draw) -> Images:
    """7 objects. The best score is no hit, so that the order across images matters."""
    tables, scores = images(d, [(4, 3), (3, 2), (3, 2)])
    tables[0][0] = table([1 / 128, 2 / 128, 3 / 128])
    tables[0][1] = table([1 / 128, 90 / 128, 3 / 128])
    tables[1][1] = table([100 / 128, 2 / 128])
    tables[2][2] = table([1 / 128, 121 / 128])
    scores[0][0] = 0.99
    scores[2][2] = 0.01
    return tables, scores


def image_without_truth(d: Draw) -> Images:
    """The empty image has the boldest false alarms."""
    tables, scores = images(d, [(4, 3), (2, 0), (4, 4)])
    scores[1] = torch.tensor([0.97, 0.98])
    return _first_right(tables), scores


def image_without_detections(d: Draw) -> Images:
    tables, scores = images(d, [(4, 3), (0, 4), (4, 4)])
    return _first_right(tables), scores


def _first_right(tables: list[Tensor]) -> list[Tensor]:
    """At least two hits, so that the answer is not 0."""
    for n in (0, -1):
        tables[n][1] = torch.arange(1, tables[n].shape[1] + 1) / 128
        tables[n][1, 0] = 121 / 128
    return tables


def duplicates(d: Draw) -> Images:
    """Every object is reported twice, the worse box first."""
    rows = [[some(d, 86, 88), 0.0], [some(d, 109, 114), 0.0]]
    rows += [[0.0, some(d, 78, 82)], [0.0, some(d, 117, 120)]]
    far = [[some(d, 110, 120)], [0.0]]
    return [table(*rows), table(*far)], [
        torch.tensor([0.9, 0.8, 0.7, 0.6]),
        torch.tensor([0.3, 0.5]),
    ]


def voc_differs(d: Draw) -> Images:
    """Two objects side by side: the box on the second fits the first a little better."""
    rows = [[some(d, 109, 120), 0.0, 0.0], [some(d, 92, 95), some(d, 79, 82), 0.0]]
    return [table(*rows)], [torch.tensor([0.9, 0.5 + d.integer(0, 9) / 32])]


def half_threshold(d: Draw) -> Images:
    """IoU of exactly 0.5."""
    rows = [[0.5, 0.0, 0.0], [0.0, some(d, 109, 114), 0.0]]
    return [table(*rows)], [scores_of(d, 2)]


def equal_across(d: Draw) -> Images:
    """24 equal scores in the first image, 8 in the second: they keep their order.

    11 objects: no recall falls on a point. In each image every second box aims at some object, so
    the order decides which box finds it.
    """
    tables = []
    for D, G in ((24, 6), (8, 5)):
        grid = torch.zeros(D, G)
        for n in range(0, D, 2):
            grid[n, d.integer(0, G - 1)] = some(d, 100, 120)
        tables.append(grid[shuffled(d, D)])
    return tables, [torch.full((24,), 0.5), torch.full((8,), 0.5)]


def on_the_points(d: Draw) -> Images:
    """Precision drops after recalls of exactly 7/25 and 8/25. All ways to write 0.28 and 0.32 in
    float64 agree; float32 makes the first too large and the second too small."""
    grid = torch.zeros(11, 25)
    for n in (0, 1, 2, 3, 4, 5, 6, 8):  # row 7 and the last two find nothing
        grid[n, n] = some(d, 109, 114)
    return [grid], [scores_of(d, 11).sort(descending=True).values.double()]


def nothing_found(d: Draw) -> Images:
    return [torch.zeros(0, 3), torch.zeros(0, 1)], [torch.zeros(0), torch.zeros(0)]


def perfect(d: Draw) -> Images:
    tables = [torch.eye(3), torch.eye(2).flip(0), torch.eye(2)]
    return tables, list(scores_of(d, 7).split([3, 2, 2]))
