"""Exercise 5: centernet_loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from autograde.exercises.lesson_10_centernet.inputs import Triple, one_target, said
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref

Told = Sequence[Sequence[Tensor]]  # of each image: heatmap, places, sizes, offsets
Read = Callable[[Tensor, int, Tensor], Tensor]  # maps [B, 2, H, W], an image, places: to [M, 2]
Away = Callable[[Tensor, Tensor], Tensor]
Count = Callable[[Told, int], float | Tensor]  # what is divided by, of targets and B


def _reference(
    logits: Tensor,
    size: Tensor,
    offset: Tensor,
    targets: Told,
    lambda_size: float = 0.1,
    lambda_offset: float = 1,
) -> Triple:
    W = logits.shape[3]
    told = [
        ref.Targets(heatmap, places[:, 1] * W + places[:, 0], sizes, offsets)
        for heatmap, places, sizes, offsets in targets
    ]
    weights = {"lambda_size": lambda_size, "lambda_offset": lambda_offset}
    terms = ref.centernet_loss(logits, size, offset, told, **weights)
    return terms["heatmap"], terms["size"], terms["offset"]


def _read(maps: Tensor, b: int, places: Tensor) -> Tensor:
    return maps[b][:, places[:, 1], places[:, 0]].T


def _crossed(maps: Tensor, b: int, places: Tensor) -> Tensor:
    return maps[b][:, places[:, 1]][:, :, places[:, 0]].permute(2, 1, 0)  # [M, M, 2]


def _distance(there: Tensor, wanted: Tensor) -> Tensor:
    return (there - wanted).abs().sum()


def _objects(targets: Told, B: int) -> float:
    return max(1, sum(len(places) for _, places, _, _ in targets))


def _loss(
    read: Read = _read,
    away: Away = _distance,
    count: Count = _objects,
    count_heat: Count | None = None,
    count_rest: Count | None = None,
    focal: Callable[[Tensor, Tensor], Tensor] = lambda x, y: ref.heatmap_focal_loss(x, y).sum(),
    weights: Callable[[float, float], tuple[float, float]] = lambda size, offset: (size, offset),
    maps: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda size, offset: (size, offset),
    images: Callable[[Told], Told] = lambda targets: targets,
    answer: Callable[[Triple], Any] = lambda terms: terms,
) -> Callable[..., Any]:
    """The exercise with one step replaced."""

    def wrong(
        logits: Tensor,
        size: Tensor,
        offset: Tensor,
        targets: Told,
        lambda_size: float = 0.1,
        lambda_offset: float = 1,
    ) -> Any:
        B = len(logits)
        heat = focal(logits, torch.stack([told[0] for told in targets]))
        size, offset = maps(size, offset)
        terms = [heat / (count_heat or count)(targets, B)]
        for k, (said_there, weight) in enumerate(
            zip((size, offset), weights(lambda_size, lambda_offset), strict=True)
        ):
            far = torch.zeros(())
            for b, told in enumerate(images(targets)):
                far = far + away(read(said_there, b, told[1]), told[2 + k])
            terms.append(weight * far / (count_rest or count)(targets, B))
        return answer((terms[0], terms[1], terms[2]))

    return wrong


def _everywhere(
    logits: Tensor,
    size: Tensor,
    offset: Tensor,
    targets: Told,
    lambda_size: float = 0.1,
    lambda_offset: float = 1,
) -> Triple:
    """Size and offset are compared on the whole map, with 0 where no object is."""
    heat, _, _ = _reference(logits, size, offset, targets)
    count = _objects(targets, len(logits))
    terms = []
    for k, said_there in enumerate((size, offset)):
        wanted = torch.zeros_like(said_there)
        for b, told in enumerate(targets):
            wanted[b][:, told[1][:, 1], told[1][:, 0]] = told[2 + k].T
        terms.append((said_there - wanted).abs().sum() / count)
    return heat, lambda_size * terms[0], lambda_offset * terms[1]


def _image_by_image(
    logits: Tensor,
    size: Tensor,
    offset: Tensor,
    targets: Told,
    lambda_size: float = 0.1,
    lambda_offset: float = 1,
) -> Triple:
    """The mean of the images' own losses."""
    rows = [
        torch.stack(
            _reference(
                logits[[b]], size[[b]], offset[[b]], [targets[b]], lambda_size, lambda_offset
            )
        )
        for b in range(len(logits))
    ]
    mean = torch.stack(rows).mean(0)
    return mean[0], mean[1], mean[2]


def _plain_entropy(x: Tensor, y: Tensor) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="sum")


def _row_for_column(maps: Tensor, b: int, places: Tensor) -> Tensor:
    H, W = maps.shape[-2:]
    return maps[b][:, places[:, 0] % H, places[:, 1] % W].T


def _case(
    probes: str,
    *images: Sequence[Sequence[int]],
    K: int = 2,
    H: int = 5,
    W: int = 6,
    options: Sequence[float] = (),
    **about: Any,
) -> Case:
    """images: of each the places (column, row) of its objects."""

    def make(d: Draw) -> tuple[Any, ...]:
        maps = said(d, len(images), K, H, W)
        return *maps, [one_target(d, K, H, W, places) for places in images], *options

    return Case(probes, make, **about)


CENTERNET_LOSS = Exercise(
    name="centernet_loss",
    points=2,
    reference=_reference,
    names=("logits", "size", "offset", "targets", "lambda_size", "lambda_offset"),
    outputs=("heatmap", "size", "offset"),
    cases=(
        _case("one picture, two objects", [(1, 3), (4, 2)], core=True),
        _case("two pictures, one object and three", [(2, 1)], [(0, 4), (3, 2), (4, 0)], core=True),
        _case("λ_size = 0.5, λ_offset = 2", [(1, 2), (3, 4)], options=(0.5, 2), core=True),
        _case("one class, a map wider than high", [(7, 1), (2, 2)], K=1, H=3, W=9),
        _case("a picture without objects", []),
        _case("two pictures, one of them without objects", [(3, 1), (0, 2)], []),
        _case("two objects of one class in one place: both count", [(2, 3), (2, 3), (4, 1)], K=1),
        _case("the gradient", [(1, 3), (4, 2)], [(3, 3)], kind="grad", slopes=(0, 1, 2)),
    ),
    mistakes=(
        Mistake(
            "peaks_counted",
            "The sums were divided by the number of peaks. Two objects of one class in one place "
            "make one peak, and are two objects: count the rows of `places`.",
            _loss(count=lambda targets, B: max(1, sum(int((t[0] == 1).sum()) for t in targets))),
        ),
        Mistake(
            "objects_times_images",
            "The sums were divided by objects × pictures. They go over the whole batch already: "
            "divide by the number of its objects alone.",
            _loss(count=lambda targets, B: _objects(targets, B) * B),
        ),
        Mistake(
            "sums",
            "The sums were divided by nothing. A picture with many objects would pull many times "
            "harder: divide by the number of objects.",
            _loss(count=lambda targets, B: 1),
        ),
        Mistake(
            "over_images",
            "The sums were divided by the number of pictures. Divide by the number of objects in "
            "all of them.",
            _loss(count=lambda targets, B: B),
        ),
        Mistake(
            "image_by_image",
            "Each picture was divided by its own number of objects, and the mean taken. The batch "
            "is one: all sums by all objects.",
            _image_by_image,
        ),
        Mistake(
            "heat_over_places",
            "The focal loss is a mean over the whole map. It is a sum, divided by the number of "
            "objects: nearly all places are right already.",
            _loss(
                focal=lambda x, y: ref.heatmap_focal_loss(x, y).mean(),
                count_heat=lambda targets, B: 1,
            ),
        ),
        Mistake(
            "heat_mean",
            "The focal loss is a mean over the whole map, divided by the number of objects on top. "
            "It is a sum, divided by the number of objects.",
            _loss(focal=lambda x, y: ref.heatmap_focal_loss(x, y).mean()),
        ),
        Mistake(
            "heat_summed",
            "Size and offset are divided by the number of objects, the focal loss is not. All "
            "three are.",
            _loss(count_heat=lambda targets, B: 1),
        ),
        Mistake(
            "rest_summed",
            "The focal loss is divided by the number of objects, size and offset are not. All "
            "three are.",
            _loss(count_rest=lambda targets, B: 1),
        ),
        Mistake(
            "nan_without_objects",
            "In a picture without objects you divide by 0. Divide by `max(1, objects)`: its "
            "background has to be learned, too.",
            _loss(count=lambda targets, B: torch.tensor(sum(len(t[1]) for t in targets))),
        ),
        Mistake(
            "one_more",
            "You divide by the objects plus one. That keeps 0 away, but makes every loss smaller: "
            "take `max(1, objects)`.",
            _loss(count=lambda targets, B: 1 + sum(len(t[1]) for t in targets)),
        ),
        Mistake(
            "no_lambdas",
            "The weights λ are missing. Without λ_size the sizes, which are many places, drown "
            "all that is said about the heatmap.",
            _loss(weights=lambda size, offset: (1.0, 1.0)),
        ),
        Mistake(
            "lambdas_fixed",
            "λ_size is 0.1 and λ_offset is 1 whatever the arguments say.",
            _loss(weights=lambda size, offset: (0.1, 1.0)),
        ),
        Mistake(
            "lambdas_exchanged",
            "The two weights are exchanged: `lambda_size` belongs to the sizes, `lambda_offset` to "
            "the offsets.",
            _loss(weights=lambda size, offset: (offset, size)),
        ),
        Mistake(
            "everywhere",
            "Size and offset were compared on the whole map, with 0 where no object is. Nobody "
            "asks them there: read them at the objects' places alone.",
            _everywhere,
        ),
        Mistake(
            "row_for_column",
            "The maps were read at [column, row]. A place is (column, row), a map is indexed "
            "[row, column]: `size[b, :, y, x]`.",
            _loss(read=_row_for_column),
        ),
        Mistake(
            "every_row_with_every_column",
            "`[:, y][:, :, x]` reads each row of a centre at the column of every centre. Give both "
            "at once, `size[b, :, y, x]`: one place for each object.",
            _loss(read=_crossed),
        ),
        Mistake(
            "not_transposed",
            "What is read at the centres is [2, M], `sizes` is [M, 2]: with two objects they are "
            "subtracted the wrong way round, with others it is an error. `.T` turns it.",
            _loss(read=lambda maps, b, places: _read(maps, b, places).T),
        ),
        Mistake(
            "reshaped",
            "`reshape` and `view` leave the numbers in their order: all widths come first. "
            "`.T` makes a row for each object of [2, M].",
            _loss(read=lambda maps, b, places: _read(maps, b, places).T.reshape(-1, 2)),
        ),
        Mistake(
            "first_image",
            "The sizes and offsets of all objects were read from the first picture's map. Each "
            "picture has its own: `size[b]`.",
            _loss(read=lambda maps, b, places: _read(maps, 0, places)),
        ),
        Mistake(
            "last_image",
            "Only the last picture's objects are in the terms of size and offset: each round of "
            "the loop overwrites the one before. Add them up.",
            _loss(
                images=lambda targets: [
                    *([t[0], t[1][:0], t[2][:0], t[3][:0]] for t in targets[:-1]),
                    targets[-1],
                ]
            ),
        ),
        Mistake(
            "maps_exchanged",
            "The offset map was compared with the sizes, and the size map with the offsets.",
            _loss(maps=lambda size, offset: (offset, size)),
        ),
        Mistake(
            "height_first",
            "Width and height (and x and y) are exchanged: channel 0 is width and x, as in the "
            "targets.",
            _loss(read=lambda maps, b, places: _read(maps, b, places).flip(1)),
        ),
        Mistake(
            "size_height_first",
            "Width and height are exchanged in the term of the sizes: channel 0 is the width, as "
            "in the targets.",
            _loss(maps=lambda size, offset: (size.flip(1), offset)),
        ),
        Mistake(
            "squares",
            "The distances were squared. They are L1 here: their absolute values.",
            _loss(away=lambda there, wanted: (there - wanted).square().sum()),
        ),
        Mistake(
            "euclidean",
            "The distance is the length of the pair, the root of the squares. L1 is the sum of the "
            "absolute differences in both directions.",
            _loss(away=lambda there, wanted: (there - wanted).square().sum(1).sqrt().sum()),
        ),
        Mistake(
            "smooth",
            "This is smooth L1. The paper tried both and takes plain L1, the absolute distance.",
            _loss(away=lambda there, wanted: smooth_l1_loss(there, wanted, reduction="sum")),
        ),
        Mistake(
            "not_absolute",
            "Distances below 0 were taken as they are, and cancel those above. `.abs()` is "
            "missing.",
            _loss(away=lambda there, wanted: (there - wanted).sum()),
        ),
        Mistake(
            "mean_of_two",
            "The two distances of an object were averaged. Width and height are added, and x and "
            "y, too: these terms are twice as large.",
            _loss(away=lambda there, wanted: (there - wanted).abs().sum() / 2),
        ),
        Mistake(
            "cross_entropy",
            "The heatmap's term is a cross entropy. It is your `heatmap_focal_loss`.",
            _loss(focal=_plain_entropy),
        ),
        Mistake(
            "probabilities",
            "The sigmoid was taken before the focal loss, which takes it itself: give it the "
            "logits.",
            _loss(focal=lambda x, y: ref.heatmap_focal_loss(x.sigmoid(), y).sum()),
        ),
        Mistake(
            "added",
            "This is the sum of the three terms. Return all three by themselves, heatmap, size and "
            "offset; fit adds them, and draws each as a curve.",
            _loss(answer=lambda terms: terms[0] + terms[1] + terms[2]),
        ),
        Mistake(
            "other_order",
            "The three terms came in another order: heatmap, size, offset.",
            _loss(answer=lambda terms: (terms[0], terms[2], terms[1])),
        ),
    ),
    hints=(
        "Count first: `count = max(1, sum(len(places) for _, places, _, _ in targets))`. The "
        "heatmaps of the batch: `torch.stack([told[0] for told in targets])`.",
        "For picture b: `x, y = places.T`, and `size[b, :, y, x]` is [2, M]; its `.T` has a row "
        "for each object, as `sizes` has.",
        "Add up `(size[b, :, y, x].T - sizes).abs().sum()` over the pictures, the same for the "
        "offsets; then divide all three by `count`, and multiply with the λ's.",
    ),
)
