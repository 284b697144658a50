"""Exercise 6: keep_peaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d, pad

from autograde.exercises.lesson_10_centernet.inputs import probabilities
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref


def _reference(heatmap: Tensor) -> Tensor:
    scores, places, labels = ref.find_peaks(heatmap, heatmap.numel())
    answer = torch.zeros_like(heatmap).flatten(1)
    answer[labels, places] = scores
    return answer.reshape(heatmap.shape)


def _pooled(heatmap: Tensor, rows: int = 3, columns: int = 3) -> Tensor:
    return max_pool2d(heatmap[None], (rows, columns), 1, (rows // 2, columns // 2))[0]


def _keep(
    highest: Callable[[Tensor], Tensor] = _pooled,
    answer: Callable[[Tensor, Tensor], Tensor] = lambda heat, top: heat * (heat == top),
) -> Callable[[Tensor], Tensor]:
    """The exercise with one step replaced. answer: from the map and the highest values around."""

    def wrong(heatmap: Tensor) -> Tensor:
        return answer(heatmap, highest(heatmap))

    return wrong


def _cross(heatmap: Tensor) -> Tensor:
    return torch.maximum(_pooled(heatmap, 3, 1), _pooled(heatmap, 1, 3))


def _over_classes(heatmap: Tensor) -> Tensor:
    return _pooled(heatmap).amax(0, keepdim=True).expand_as(heatmap)


def _best_class_at_a_place(heatmap: Tensor) -> Tensor:
    """Of each place the best class only, and that must be a peak."""
    best = heatmap == heatmap.amax(0, keepdim=True)
    return heatmap * (heatmap == _pooled(heatmap)) * best


def _quarter(heatmap: Tensor) -> Tensor:
    """A window of 2 x 2: the place, and what is to the left, above, and left above of it."""
    return max_pool2d(pad(heatmap[None], (1, 0, 1, 0)), 2, 1)[0]


def _strictly(heatmap: Tensor) -> Tensor:
    """Higher than each of the eight others."""
    _, H, W = heatmap.shape
    around = pad(heatmap, (1, 1, 1, 1), value=-1.0)
    shifts = [(r, c) for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    others = torch.stack([around[:, r : r + H, c : c + W] for r, c in shifts]).amax(0)
    return heatmap * (heatmap > others)


def _no_border(heatmap: Tensor) -> Tensor:
    kept = _reference(heatmap)
    inner = torch.zeros_like(kept)
    inner[:, 1:-1, 1:-1] = kept[:, 1:-1, 1:-1]
    return inner


def _shifted(heatmap: Tensor, rows: int, columns: int) -> Tensor:
    """The neighbour so many rows and columns further; an index below 0 counts from the end."""
    _, H, W = heatmap.shape
    around = pad(heatmap, (0, 1, 0, 1), value=-1.0)
    y, x = torch.arange(H) + rows, torch.arange(W) + columns
    return around[:, torch.where(y < 0, H - 1, y)][:, :, torch.where(x < 0, W - 1, x)]


def _from_the_other_border(heatmap: Tensor) -> Tensor:
    shifts = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    return torch.stack([_shifted(heatmap, *shift) for shift in shifts]).amax(0)


def _in_the_copy(heatmap: Tensor) -> Tensor:
    """What is no peak is written 0 at once, and the next place sees the 0."""
    kept = heatmap.clone()
    K, H, W = kept.shape
    for k in range(K):
        for y in range(H):
            for x in range(W):
                window = kept[k, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                if kept[k, y, x] < window.max():
                    kept[k, y, x] = 0
    return kept


def _cube(heatmap: Tensor) -> Tensor:
    return max_pool3d(heatmap[None], 3, stride=1, padding=1)[0]


def _half(heatmap: Tensor) -> Tensor:
    return heatmap * (heatmap > 0.5)


def _case(probes: str, K: int, H: int, W: int, **about: Any) -> Case:
    return Case(probes, lambda d: (probabilities(d, K, H, W),), **about)


def _in_the_corners(d: Draw) -> tuple[Any, ...]:
    heatmap = probabilities(d, 1, 4, 5) / 2
    heatmap[0, 0, 0], heatmap[0, 3, 4], heatmap[0, 0, d.integer(2, 3)] = 0.9, 0.75, 0.8
    return (heatmap,)


def _equal_beside(d: Draw) -> tuple[Any, ...]:
    heatmap = probabilities(d, 1, 5, 6) / 2
    row, column = d.integer(1, 3), d.integer(1, 3)
    heatmap[0, row, column : column + 2] = 0.875
    return (heatmap,)


def _classes_above_each_other(d: Draw) -> tuple[Any, ...]:
    """A peak of one class beside a higher one, and at the place of a higher one, of another."""
    heatmap = probabilities(d, 3, 5, 6) / 4
    x, y = d.integer(1, 3), d.integer(1, 3)
    heatmap[0, y, x], heatmap[1, y, x + 1], heatmap[2, y, x] = 0.9, 0.8, 0.7
    return (heatmap,)


def _one_high(d: Draw) -> tuple[Any, ...]:
    """A small peak two places from a high one."""
    heatmap = probabilities(d, 1, 5, 7) / 8
    row = d.integer(1, 3)
    heatmap[0, row, 1], heatmap[0, row, 3], heatmap[0, row, 2] = 0.9, 0.4, 0.3
    return (heatmap,)


def _hardly_lower(d: Draw) -> tuple[Any, ...]:
    """Beside a peak a value that is lower by the seventeenth power of a half."""
    heatmap = probabilities(d, 1, 5, 6) / 2
    row, column = d.integer(1, 3), d.integer(1, 3)
    heatmap[0, row, column], heatmap[0, row, column + 1] = 0.875, 0.875 - 2**-17
    return (heatmap,)


KEEP_PEAKS = Exercise(
    name="keep_peaks",
    points=1,
    reference=_reference,
    names=("heatmap",),
    forbids=("keep_peaks", "find_peaks"),
    cases=(
        _case("one class", 1, 5, 6, core=True),
        _case("three classes", 3, 4, 5, core=True),
        Case("classes above each other", _classes_above_each_other, core=True),
        Case("a low peak two places from a high one", _one_high),
        Case("peaks in the corners and on the border", _in_the_corners),
        Case("two equal values side by side", _equal_beside),
        Case("beside a peak a value that is hardly lower", _hardly_lower),
        _case("a map of one row", 2, 1, 7),
        _case("a large map", 1, 9, 11),
    ),
    mistakes=(
        Mistake(
            "one_of_each_class",
            "Only the highest value of each class is left. A picture may hold many objects of a "
            "class: compare each value with its eight neighbours.",
            _keep(lambda heat: heat.amax((1, 2), keepdim=True).expand_as(heat)),
        ),
        Mistake(
            "over_classes",
            "Peaks of different classes were compared with each other. Each class has a map of its "
            "own.",
            _keep(_over_classes),
        ),
        Mistake(
            "next_classes",
            "The window goes over the classes, too: 3 × 3 × 3. Each class has a map of its own, "
            "and a window of 3 × 3.",
            _keep(_cube),
        ),
        Mistake(
            "best_class_at_a_place",
            "Of each place only the best class was kept. Two objects of different classes may "
            "have their centres in one place: each map by itself.",
            _best_class_at_a_place,
        ),
        Mistake(
            "four_neighbours",
            "The diagonal neighbours were left out. A peak is no lower than any of its eight "
            "neighbours: a window of 3 × 3.",
            _keep(_cross),
        ),
        Mistake(
            "rows_only",
            "Only the neighbours on the left and right were compared. The window is 3 × 3: above "
            "and below, too.",
            _keep(lambda heat: _pooled(heat, 1, 3)),
        ),
        Mistake(
            "columns_only",
            "Only the neighbours above and below were compared. The window is 3 × 3: left and "
            "right, too.",
            _keep(lambda heat: _pooled(heat, 3, 1)),
        ),
        Mistake(
            "five",
            "The window is 5 × 5, and an object two places away is lost. It is 3 × 3.",
            _keep(lambda heat: _pooled(heat, 5, 5)),
        ),
        Mistake(
            "two",
            "The window is 2 × 2, which looks to one side only. It is 3 × 3, with the place in its "
            "middle.",
            _keep(_quarter),
        ),
        Mistake(
            "strictly",
            "Of two equal values side by side both are gone. A peak is **no lower** than its "
            "neighbours: better twice than not at all.",
            _strictly,
        ),
        Mistake(
            "nearly",
            "A value that is a little lower than its neighbour was kept as well. Compare exactly: "
            "`==`, or `>=`.",
            _keep(answer=lambda heat, top: heat * (top - heat < 1e-3)),
        ),
        Mistake(
            "higher_than_itself",
            "Nothing is left. The highest value of a window that holds the place itself is never "
            "lower than it: ask whether the two are equal.",
            _keep(answer=lambda heat, top: heat * (heat > top)),
        ),
        Mistake(
            "in_the_copy",
            "What had been set to 0 already was taken for a neighbour. Compare with the map as it "
            "came, and write into another one.",
            _in_the_copy,
        ),
        Mistake(
            "pooled",
            "These are the highest values around each place. Keep the map's own value where it "
            "equals that, and write 0 elsewhere.",
            _keep(answer=lambda heat, top: top),
        ),
        Mistake(
            "mask",
            "This says where the peaks are. Their values are asked for: multiply the map with it.",
            _keep(answer=lambda heat, top: (heat == top).to(heat.dtype)),
        ),
        Mistake(
            "inverted",
            "The peaks are 0, and all else is left. It is the other way round.",
            _keep(answer=lambda heat, top: heat * (heat != top)),
        ),
        Mistake(
            "no_border",
            "Peaks on the border are missing. `padding=1` gives the border its window, too.",
            _no_border,
        ),
        Mistake(
            "from_the_other_border",
            "The left and the upper border were compared with the other end of the map: an index "
            "below 0 counts from there. Outside there are no neighbours.",
            _keep(_from_the_other_border),
        ),
        Mistake(
            "no_padding",
            "The map became smaller by two rows and columns. `stride=1, padding=1` keep its size.",
            lambda heat: max_pool2d(heat[None], min(3, heat.shape[1]), stride=1)[0],
        ),
        Mistake(
            "stride_of_three",
            "The windows do not overlap: a max-pooling steps as far as its window is wide, unless "
            "you say `stride=1`.",
            lambda heat: max_pool2d(heat[None], 3, padding=1)[0],
        ),
        Mistake(
            "half",
            "All above 0.5 was kept. How high does not matter here, only whether a neighbour is "
            "higher.",
            _half,
        ),
    ),
    hints=(
        "`max_pool2d(heatmap[None], 3, stride=1, padding=1)[0]` has the highest value of the "
        "3 × 3 window around each place, in a map of the same size.",
        "A place is a peak where the map equals that. There keep its value, elsewhere write 0: "
        "`torch.where`, or a product.",
        "`return heatmap * (heatmap == highest)`.",
    ),
)
