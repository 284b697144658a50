"""Exercise 2: subnet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from autograde.exercises.lesson_08_retinanet.inputs import Maps, Size, backbone_maps, tower
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models.retinanet import flatten_levels


def _tower(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = torch.relu(conv2d(x, weight, bias, padding=1))
    return conv2d(x, weights[-1], biases[-1], padding=1)


def _reference(pyramid: Maps, weights: Maps, biases: Maps, num_anchors: int) -> Tensor:
    return flatten_levels([_tower(x, weights, biases) for x in pyramid], num_anchors)


def _in_order(x: Tensor, A: int) -> Tensor:
    """[B, A*K, H, W] to [B, H*W*A, K]."""
    return x.unflatten(1, (A, -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)


def _join(rows: Maps) -> Tensor:
    return torch.cat(rows, dim=1)


def _subnet(
    run: Callable[[Tensor, Maps, Maps], Tensor] = _tower,
    order: Callable[[Tensor, int], Tensor] = _in_order,
    join: Callable[[Maps], Tensor] = _join,
) -> Callable[[Maps, Maps, Maps, int], Tensor]:
    """The exercise with one step replaced."""

    def wrong(pyramid: Maps, weights: Maps, biases: Maps, num_anchors: int) -> Tensor:
        return join([order(run(x, weights, biases), num_anchors) for x in pyramid])

    return wrong


def _relu_everywhere(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    return torch.relu(_tower(x, weights, biases))


def _relu_nowhere(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight, bias in zip(weights, biases, strict=True):
        x = conv2d(x, weight, bias, padding=1)
    return x


def _relu_first(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    return _tower(torch.relu(x), weights, biases)


def _relu_before(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    """Each convolution sees the positive part only, and the last one has none behind it."""
    for weight, bias in zip(weights, biases, strict=True):
        x = conv2d(torch.relu(x), weight, bias, padding=1)
    return x


def _no_bias(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight in weights[:-1]:
        x = torch.relu(conv2d(x, weight, padding=1))
    return conv2d(x, weights[-1], padding=1)


def _last_without_bias(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = torch.relu(conv2d(x, weight, bias, padding=1))
    return conv2d(x, weights[-1], padding=1)


def _last_only(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    return conv2d(x, weights[-1], biases[-1], padding=1)


def _sigmoid(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    return _tower(x, weights, biases).sigmoid()


def _mirrored_border(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = torch.relu(conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias))
    return conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), weights[-1], biases[-1])


def _no_padding(x: Tensor, weights: Maps, biases: Maps) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = torch.relu(conv2d(x, weight, bias))
    return conv2d(x, weights[-1], biases[-1])


def _case(probes: str, sizes: Sequence[Size], A: int, K: int, **about: Any) -> Case:
    B, C, depth = about.pop("B", 1), about.pop("C", 2), about.pop("depth", 1)

    def make(d: Draw) -> tuple[Any, ...]:
        maps = backbone_maps(d, sizes, [C] * len(sizes), B)
        return maps, *tower(d, C, depth, A * K), A

    return Case(probes, make, rtol=1e-3, atol=1e-4, **about)


SUBNET = Exercise(
    name="subnet",
    points=3,
    reference=_reference,
    names=("pyramid", "weights", "biases", "num_anchors"),
    forbids=("subnet", "flatten_levels", "RetinaNetHead", "ClassificationHead", "RegressionHead"),
    rows=True,
    cases=(
        _case("one level, one anchor a location", [(5, 6)], 1, 2, core=True),
        _case("one level, two anchors a location", [(2, 3)], 2, 3, core=True),
        _case("two levels: the same weights for both", [(4, 4), (2, 2)], 2, 2, core=True),
        _case("three convolutions and the last one", [(3, 4)], 1, 2, depth=3),
        _case("the last convolution alone", [(3, 2)], 2, 3, depth=0),
        _case("two images", [(2, 2), (1, 1)], 2, 3, B=2),
        _case("as many anchors as classes", [(2, 2)], 3, 3),
        _case("four deltas for three anchors, on three levels", [(4, 2), (2, 1), (1, 1)], 3, 4),
        _case("a map of one place", [(1, 1)], 2, 2, C=3),
        _case("the gradient", [(2, 2)], 2, 2, kind="grad"),
    ),
    mistakes=(
        Mistake(
            "relu_at_the_end",
            "There is a ReLU behind the last convolution. A logit and a delta may be negative: "
            "ReLU stands between the convolutions only.",
            _subnet(_relu_everywhere),
        ),
        Mistake(
            "detached",
            "The numbers are right, but no gradient comes through: `.detach()`, `torch.no_grad()` "
            "or numpy is in the way, and the network would never learn.",
            _subnet(join=lambda rows: _join(rows).detach()),
        ),
        Mistake(
            "no_relu",
            "There is no ReLU. Convolutions without anything between them are one convolution.",
            _subnet(_relu_nowhere),
        ),
        Mistake(
            "relu_first",
            "There is a ReLU before the first convolution as well. It takes the pyramid's map as "
            "it is, negative numbers and all.",
            _subnet(_relu_first),
        ),
        Mistake(
            "bias_forgotten",
            "The biases are missing: the third argument of `conv2d`.",
            _subnet(_no_bias),
        ),
        Mistake(
            "last_bias_forgotten",
            "The last convolution has a bias, too. In the classification subnet it is the one that "
            "holds the prior π.",
            _subnet(_last_without_bias),
        ),
        Mistake(
            "last_only",
            "Only the last convolution was used. The others come first, one after the other, each "
            "with a ReLU.",
            _subnet(_last_only),
        ),
        Mistake(
            "sigmoid",
            "A sigmoid was taken of the answers. The subnet answers with logits; the loss and the "
            "inference take the sigmoid themselves, and the box subnet needs none.",
            _subnet(_sigmoid),
        ),
        Mistake(
            "reshaped",
            "The numbers were cut into rows without moving the axes: each row mixes several places "
            "of the map. Bring the axes into the order B, H, W, A, K first (`permute`), then "
            "`reshape`.",
            _subnet(order=lambda x, A: x.reshape(len(x), -1, x.shape[1] // A)),
        ),
        Mistake(
            "classes_first",
            "The channels were read as K times A. The K numbers of the first anchor come first, "
            "then those of the second: [B, A, K, H, W].",
            _subnet(
                order=lambda x, A: x.unflatten(1, (-1, A)).permute(0, 3, 4, 2, 1).flatten(1, 3)
            ),
        ),
        Mistake(
            "anchor_by_anchor",
            "All places of the first anchor come first, then those of the second. The anchors of "
            "one location stay together, as in `grid_anchors`: the order is H, W, A.",
            _subnet(
                order=lambda x, A: x.unflatten(1, (A, -1)).permute(0, 1, 3, 4, 2).flatten(1, 3)
            ),
        ),
        Mistake(
            "column_by_column",
            "The map was read column by column. The order of the anchors is row by row: H before "
            "W.",
            _subnet(
                order=lambda x, A: x.unflatten(1, (A, -1)).permute(0, 4, 3, 1, 2).flatten(1, 3)
            ),
        ),
        Mistake(
            "coarsest_first",
            "The coarsest level comes first. The levels go out as they came in, finest first, as "
            "the anchors do.",
            _subnet(join=lambda rows: _join(rows[::-1])),
        ),
        Mistake(
            "first_level_only",
            "These are the answers of the first level only. The subnet runs over every level.",
            _subnet(join=lambda rows: rows[0]),
        ),
        Mistake(
            "levels_in_the_batch",
            "The levels were put behind each other as if they were images. They are more anchors "
            "of the same image: concatenate along dimension 1.",
            _subnet(join=lambda rows: torch.cat([row.flatten(0, 1) for row in rows])[None]),
        ),
        Mistake(
            "still_a_map",
            "A location's numbers all stand in one row. Each anchor has a row of its own: "
            "[B, H·W·A, K], not [B, H·W, A·K].",
            _subnet(order=lambda x, A: x.permute(0, 2, 3, 1).flatten(1, 2)),
        ),
        Mistake(
            "mirrored_border",
            "At the border your convolutions see copies of the last row and column. `padding=1` "
            "puts zeros there.",
            _subnet(_mirrored_border),
        ),
        Mistake(
            "no_padding",
            "Each convolution made the map smaller by two rows and columns. With `padding=1` it "
            "keeps its size, and every location its anchors.",
            _subnet(_no_padding),
        ),
    ),
    hints=(
        "One level: run through `zip(weights[:-1], biases[:-1])`, each time "
        "`x = relu(conv2d(x, weight, bias, padding=1))`; then the last pair without the ReLU.",
        "The result has A·K channels. `x.reshape(B, A, -1, H, W)` parts them, "
        "`.permute(0, 3, 4, 1, 2)` brings B, H, W, A, K, and `.reshape(B, H * W * A, -1)` makes "
        "the list.",
        "Collect the lists of all levels and return `torch.cat(rows, dim=1)`. The weights are the "
        "same for all levels: that is all there is to sharing.",
    ),
)
