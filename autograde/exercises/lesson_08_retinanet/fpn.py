"""Exercise 1: feature_pyramid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from autograde.exercises.lesson_08_retinanet.inputs import Maps, Size, backbone_maps, laterals
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.pyramid import top_down

Merge = Callable[[Tensor, Tensor], Tensor]  # a lateral and the map above it, enlarged
Enlarge = Callable[[Tensor, Tensor], Tensor]  # the map above and the lateral whose size it takes


def _reference(maps: Maps, weights: Maps, biases: Maps) -> Maps:
    each = zip(maps, weights, biases, strict=True)
    return top_down([conv2d(c, weight, bias) for c, weight, bias in each])


def _nearest(above: Tensor, lateral: Tensor) -> Tensor:
    return interpolate(above, size=lateral.shape[-2:], mode="nearest")


def _bilinear(above: Tensor, lateral: Tensor) -> Tensor:
    return interpolate(above, size=lateral.shape[-2:], mode="bilinear")


def _tiled(above: Tensor, lateral: Tensor) -> Tensor:
    """The whole map repeated side by side, instead of each of its numbers."""
    H, W = lateral.shape[-2:]
    h, w = above.shape[-2:]
    return above.repeat(1, 1, -(-H // h), -(-W // w))[..., :H, :W]


def _zeros_between(above: Tensor, lateral: Tensor) -> Tensor:
    spread = torch.zeros_like(lateral)
    H, W = lateral.shape[-2:]
    part = spread[..., ::2, ::2]
    h, w = part.shape[-2:]
    part += above[..., :h, :w]
    return spread[..., :H, :W]


def _path(
    merge: Merge = torch.add,
    enlarge: Enlarge = _nearest,
    chained: bool = True,
    bias: Callable[[Tensor], Tensor | None] = lambda b: b,
    activate: Callable[[Tensor], Tensor] = lambda x: x,
    top: Callable[[Tensor], Tensor] = lambda x: x,
    after: Callable[[Maps, Maps], Maps] = lambda sums, _: sums,
) -> Callable[[Maps, Maps, Maps], Maps]:
    """The exercise with one step replaced.

    chained: whether a map gets the sum above it, or only the lateral above it.
    after: what is returned, from the sums and the laterals, both finest first.
    """

    def wrong(maps: Maps, weights: Maps, biases: Maps) -> Maps:
        each = zip(maps, weights, biases, strict=True)
        flat = [activate(conv2d(c, weight, bias(b))) for c, weight, b in each]
        sums = [top(flat[-1])]
        for k in reversed(range(len(flat) - 1)):
            above = sums[0] if chained else flat[k + 1]
            sums.insert(0, merge(flat[k], enlarge(above, flat[k])))
        return after(sums, flat)

    return wrong


def _bottom_up(maps: Maps, weights: Maps, biases: Maps) -> Maps:
    """From the finest to the coarsest, by taking every other number."""
    flat = [conv2d(c, w, b) for c, w, b in zip(maps, weights, biases, strict=True)]
    sums = [flat[0]]
    for lateral in flat[1:]:
        H, W = lateral.shape[-2:]
        sums.append(lateral + interpolate(sums[-1], size=(H, W), mode="nearest"))
    return sums


def _from_the_coarsest(maps: Maps, weights: Maps, biases: Maps) -> Maps:
    """The coarsest map added to every level at once, past those between."""
    flat = [conv2d(c, w, b) for c, w, b in zip(maps, weights, biases, strict=True)]
    return [x + _nearest(flat[-1], x) for x in flat[:-1]] + [flat[-1]]


def _detached(maps: Maps, weights: Maps, biases: Maps) -> Maps:
    return [x.detach() for x in _reference(maps, weights, biases)]


def _twice_as_large(above: Tensor, lateral: Tensor) -> Tensor:
    return interpolate(above, scale_factor=2, mode="nearest")


def _first_bias(maps: Maps, weights: Maps, biases: Maps) -> Maps:
    return _reference(maps, weights, [biases[0]] * len(biases))


def _case(
    probes: str, sizes: Sequence[Size], channels: Sequence[int], C: int, B: int = 1, **about: Any
) -> Case:
    def make(d: Draw) -> tuple[Any, ...]:
        return backbone_maps(d, sizes, channels, B), *laterals(d, channels, C)

    return Case(probes, make, **about)


FEATURE_PYRAMID = Exercise(
    name="feature_pyramid",
    points=3,
    reference=_reference,
    names=("maps", "weights", "biases"),
    forbids=("feature_pyramid", "top_down", "FeaturePyramidNetwork", "BackboneWithFPN"),
    cases=(
        _case("two levels", [(2, 4), (1, 2)], [1, 2], 1, core=True),
        _case("three levels", [(4, 4), (2, 2), (1, 1)], [2, 3, 2], 2, core=True),
        _case("as many channels everywhere", [(4, 8), (2, 4), (1, 2)], [2, 2, 2], 2),
        _case("two images", [(4, 2), (2, 1)], [2, 3], 3, B=2),
        _case("odd sizes: 5 rows above 3, 7 columns above 4", [(5, 7), (3, 4)], [1, 2], 2),
        _case("five levels", [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)], [1, 2, 1, 2, 1], 1),
        _case("one level alone", [(2, 3)], [2], 2),
        _case("the gradient", [(4, 2), (2, 1)], [1, 2], 2, kind="grad"),
    ),
    mistakes=(
        Mistake(
            "from_the_lateral",
            "Each map got the lateral map above it, not the sum above it, so what the coarsest map "
            "knows reaches one level only. Go from the top down and take the sum that you have "
            "just made.",
            _path(chained=False),
        ),
        Mistake(
            "from_the_coarsest",
            "The coarsest map was added to every level. Each level gets the sum right above it; "
            "what is between would not come down.",
            _from_the_coarsest,
        ),
        Mistake(
            "scale_factor",
            "The maps were enlarged by 2. That fits only where a map is exactly half as large: "
            "give `interpolate` the size of the finer map, `size=lateral.shape[-2:]`.",
            _path(enlarge=_twice_as_large),
        ),
        Mistake(
            "finest_map_itself",
            "This is the finest map itself, not a list. A pyramid returns all of its maps, finest "
            "first.",
            lambda maps, weights, biases: _reference(maps, weights, biases)[0],
        ),
        Mistake(
            "detached",
            "The numbers are right, but no gradient comes through: `.detach()`, `torch.no_grad()` "
            "or numpy is in the way, and the backbone would never learn.",
            _detached,
        ),
        Mistake(
            "no_top_down",
            "These are the lateral maps: the way from the top down is missing. The fine maps still "
            "do not know what the coarse ones know.",
            _path(after=lambda _, flat: flat),
        ),
        Mistake(
            "bottom_up",
            "You went from the finest map up. The backbone has done that already; here the coarse "
            "maps, which know more, are added to the finer ones.",
            _bottom_up,
        ),
        Mistake(
            "mean_for_sum",
            "The two maps were averaged. The paper adds them.",
            _path(merge=lambda lateral, above: (lateral + above) / 2),
        ),
        Mistake(
            "maximum",
            "The larger of the two numbers was taken at each place. The paper adds them.",
            _path(merge=torch.maximum),
        ),
        Mistake(
            "product",
            "The two maps were multiplied. The paper adds them.",
            _path(merge=torch.mul),
        ),
        Mistake(
            "difference",
            "One of the two maps was subtracted. Both are added.",
            _path(merge=torch.sub),
        ),
        Mistake(
            "coarse_only",
            "The lateral maps were dropped on the way down: all levels show the coarsest map, "
            "enlarged. Add the lateral map at each level; it knows where the edges are.",
            _path(merge=lambda lateral, above: above),
        ),
        Mistake(
            "concatenated",
            "The two maps stand one behind the other in the channels. The paper adds them, so that "
            "all levels keep the same number of channels.",
            _path(
                merge=lambda lateral, above: torch.cat([lateral, above], 1),
                chained=False,
            ),
        ),
        Mistake(
            "bilinear",
            "Between the numbers of the coarse map there are mixtures of them: that is bilinear "
            'enlarging. Here each number is repeated: `mode="nearest"`.',
            _path(enlarge=_bilinear),
        ),
        Mistake(
            "tiled",
            "The coarse map was repeated as a whole, side by side. Each single number is to be "
            "repeated, so that it stays at its place in the picture.",
            _path(enlarge=_tiled),
        ),
        Mistake(
            "zeros_between",
            "The numbers of the coarse map were spread out with zeros between them. Each one fills "
            "all the places that it stands for.",
            _path(enlarge=_zeros_between),
        ),
        Mistake(
            "bias_forgotten",
            "The biases are missing: the third argument of `conv2d`.",
            _path(bias=lambda _: None),
        ),
        Mistake(
            "one_bias",
            "The biases of the first level were used at every level. Each level has its own "
            "weights and biases.",
            _first_bias,
        ),
        Mistake(
            "relu_laterals",
            "There is a ReLU behind the lateral convolutions. The pyramid has none: negative "
            "numbers go on.",
            _path(activate=torch.relu),
        ),
        Mistake(
            "relu_sums",
            "There is a ReLU behind the sums. The pyramid has none: negative numbers go on.",
            _path(
                merge=lambda lateral, above: torch.relu(lateral + above),
                top=torch.relu,
            ),
        ),
        Mistake(
            "top_missing",
            "The coarsest map is missing in the answer. It has nothing above it and is its lateral "
            "map; there are as many maps out as in.",
            _path(after=lambda sums, _: sums[:-1]),
        ),
        Mistake(
            "only_the_finest",
            "This is the finest map alone. A pyramid returns all of them, finest first: small "
            "objects are looked for in the fine ones, large ones in the coarse ones.",
            _path(after=lambda sums, _: sums[:1]),
        ),
        Mistake(
            "coarsest_first",
            "The right maps, coarsest first. They go out as they came in, finest first.",
            _path(after=lambda sums, _: sums[::-1]),
        ),
        Mistake(
            "top_twice",
            "The coarsest map was added to itself. There is nothing above it: it stays its "
            "lateral map.",
            _path(top=lambda x: 2 * x),
        ),
    ),
    hints=(
        "First the lateral maps: `conv2d(c, weight, bias)` with a 1 × 1 weight, for every level. "
        "All have the same number of channels then.",
        "Start a list with the coarsest lateral map. Then level by level to the finer ones: "
        "enlarge what you made last, add the lateral map, put the sum in front of the list.",
        '`above = interpolate(sums[0], size=lateral.shape[-2:], mode="nearest")` has the size of '
        "the finer map, odd sizes too; then `sums.insert(0, lateral + above)`.",
    ),
)
