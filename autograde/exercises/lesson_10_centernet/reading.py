"""Exercise 7: decode_peaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from autograde.exercises.lesson_10_centernet.inputs import Size, Triple, peaked
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.boxes import clip_boxes_to_image
from course_lib.models import centernet as ref
from course_lib.suppression import batched_nms

Split = tuple[Tensor, Tensor, Tensor]  # class, row and column
Shape = tuple[int, int, int]


class Asked(NamedTuple):
    """What the exercise is called with."""

    heatmap: Tensor
    size: Tensor
    offset: Tensor
    stride: int
    image_size: Size
    most: int = 100
    score_threshold: float = 0.1


def _reference(*given: Any) -> Triple:
    image, asked = given[:5], Asked(*given)
    most, threshold = asked.most, asked.score_threshold
    found = ref.decode(*image, max_detections=most, score_threshold=threshold)
    return found["boxes"], found["scores"], found["labels"]


def _highest(heatmap: Tensor, window: int = 3) -> Tensor:
    return max_pool2d(heatmap[None], window, stride=1, padding=window // 2)[0]


def _peaks(heatmap: Tensor) -> Tensor:
    return heatmap * (heatmap == _highest(heatmap))


def _split(index: Tensor, shape: Shape) -> Split:
    _, H, W = shape
    return index // (H * W), index // W % H, index % W


def _at(maps: Tensor, row: Tensor, column: Tensor) -> Tensor:
    return maps[:, row, column].T


def _box(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    centre, half = place + offset, size / 2
    return stride * torch.cat((centre - half, centre + half), 1)


def _inside(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] > boxes[:, :2]).all(1)


def _clip(boxes: Tensor, size: Size) -> Tensor:
    return clip_boxes_to_image(boxes, (size[0], size[1]))


def _detect(
    peaks: Callable[[Tensor], Tensor] = _peaks,
    above: Callable[[Tensor, float], Tensor] = torch.gt,
    order: Callable[[Tensor, int], Tensor] = lambda s, most: s.argsort(descending=True)[:most],
    split: Callable[[Tensor, Shape], Split] = _split,
    read: Callable[[Tensor, Tensor, Tensor], Tensor] = _at,
    box: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _box,
    limits: Callable[[Size, Shape, int], Size] = lambda image, shape, stride: image,
    clip: Callable[[Tensor, Size], Tensor] = _clip,
    inside: Callable[[Tensor], Tensor] = _inside,
    answer: Callable[[Triple], Any] = lambda found: found,
    **fixed: Any,
) -> Callable[..., Any]:
    """The exercise with one step replaced. fixed: options that ignore the arguments."""

    def wrong(*given: Any) -> Any:
        asked = Asked(*given)._replace(**fixed)
        K, H, W = asked.heatmap.shape
        flat = peaks(asked.heatmap).flatten()
        index = above(flat, asked.score_threshold).nonzero().squeeze(1)
        index = index[order(flat[index], asked.most)]
        label, row, column = split(index, (K, H, W))
        place = torch.stack((column, row), 1)
        offset, size = read(asked.offset, row, column), read(asked.size, row, column)
        boxes = box(place, offset, size, asked.stride)
        boxes = clip(boxes, limits(asked.image_size, (K, H, W), asked.stride))
        keep = inside(boxes)
        return answer((boxes[keep], flat[index][keep], label[keep]))

    return wrong


def _most_of_each_class(*given: Any) -> Triple:
    asked = Asked(*given)
    parts = []
    for k in range(len(asked.heatmap)):
        boxes, scores, labels = _reference(*asked._replace(heatmap=asked.heatmap[[k]]))
        parts.append((boxes, scores, torch.full_like(labels, k)))
    boxes, scores, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    best = scores.argsort(descending=True, stable=True)
    return boxes[best], scores[best], labels[best]


def _suppressed(found: Triple) -> Triple:
    keep = batched_nms(*found, 0.5)
    return found[0][keep], found[1][keep], found[2][keep]


def _best_class(heatmap: Tensor) -> Tensor:
    """Only the best class of each place takes part."""
    return _peaks(heatmap) * (heatmap == heatmap.amax(0, keepdim=True))


def _over_classes(heatmap: Tensor) -> Tensor:
    return heatmap * (heatmap == _highest(heatmap).amax(0))


def _lacking(*given: Any) -> Triple:
    """topk of more than there are is an error."""
    asked = Asked(*given)
    _peaks(asked.heatmap).flatten().topk(asked.most)
    return _reference(*given)


def _emptied_first(*given: Any) -> Triple:
    """`most` boxes with an area, where `most` peaks are asked for."""
    asked = Asked(*given)
    boxes, scores, labels = _reference(*asked._replace(most=asked.heatmap.numel()))
    return boxes[: asked.most], scores[: asked.most], labels[: asked.most]


def _boxes_alone(*given: Any) -> Triple:
    """Boxes without area are dropped, their scores and classes are not."""
    boxes, _, _ = _reference(*given)
    _, scores, labels = _detect(inside=_all)(*given)
    return boxes, scores, labels


def _all(boxes: Tensor) -> Tensor:
    return torch.ones(len(boxes), dtype=torch.bool)


def _from_left_top(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    corner = place + offset
    return stride * torch.cat((corner, corner + size), 1)


def _xywh(found: Triple) -> Triple:
    boxes = found[0]
    return torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1), found[1], found[2]


def _sizes_not_scaled(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    centre, half = stride * (place + offset), size / 2
    return torch.cat((centre - half, centre + half), 1)


def _centres_not_scaled(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    centre, half = place + offset, stride * size / 2
    return torch.cat((centre - half, centre + half), 1)


def _as_read(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    """cx, cy, w, h."""
    return stride * torch.cat((place + offset, size), 1)


def _offset_in_pixels(place: Tensor, offset: Tensor, size: Tensor, stride: int) -> Tensor:
    centre, half = stride * place + offset, stride * size / 2
    return torch.cat((centre - half, centre + half), 1)


def _case(
    probes: str,
    *peaks: Sequence[float],
    K: int = 2,
    H: int = 12,
    W: int = 16,
    stride: int = 4,
    options: Sequence[float] = (),
    **about: Any,
) -> Case:
    """peaks: (class, column, row, height), moved by chance by up to 1 place, all together."""

    def make(d: Draw) -> tuple[Any, ...]:
        dx, dy = d.integer(0, 1), d.integer(0, 1)
        moved = [(k, x + dx, y + dy, height) for k, x, y, height in peaks]
        maps = peaked(d, K, H, W, moved)
        return *maps, stride, [H * stride, W * stride], *options

    return Case(probes, make, **about)


THREE = ((0, 3, 6, 0.6), (1, 9, 3, 0.9), (0, 11, 8, 0.3))
FIVE = (*THREE, (1, 5, 2, 0.45), (1, 13, 5, 0.75))


def _over_the_border(d: Draw) -> tuple[Any, ...]:
    """Objects that reach over each border of an image that is wider than high."""
    peaks = [(0, 0, 5, 0.9), (0, 7, 0, 0.8), (1, 15, 6, 0.7), (1, 8, 11, 0.6)]
    return *peaked(d, 2, 12, 16, peaks), 4, [48, 64]


def _with_size(width: float, height: float, most: int = 100) -> Callable[[Draw], tuple[Any, ...]]:
    """The best object's size is multiplied with these two."""

    def make(d: Draw) -> tuple[Any, ...]:
        heatmap, size, offset = peaked(d, 2, 12, 16, THREE)
        size[:, 3, 9] *= torch.tensor([width, height])
        return heatmap, size, offset, 4, [48, 64], most

    return make


def _far_offset(d: Draw) -> tuple[Any, ...]:
    heatmap, size, offset = peaked(d, 2, 12, 16, THREE)
    offset[:, 3, 9], offset[:, 6, 3] = torch.tensor([-0.25, 1.25]), torch.tensor([1.5, -0.5])
    return heatmap, size, offset, 4, [48, 64]


def _at_the_threshold(d: Draw) -> tuple[Any, ...]:
    heatmap, size, offset = peaked(d, 2, 12, 16, THREE)
    heatmap[0, 6, 3] = 0.625
    return heatmap, size, offset, 4, [48, 64], 100, 0.625


def _padded(d: Draw) -> tuple[Any, ...]:
    """An image smaller than its map: a peak in the padding makes a box outside of the image."""
    peaks = [(0, 3, 6, 0.6), (1, 14, 4, 0.9)]
    heatmap, size, offset = peaked(d, 2, 12, 16, peaks)
    size[:, 4, 14] = 1.5
    return heatmap, size, offset, 4, [48, 50]


def _equal_neighbours(d: Draw) -> tuple[Any, ...]:
    """Two large objects of one class, three places apart: their boxes overlap by far."""
    x, y = d.integer(4, 6), d.integer(5, 6)
    heatmap, size, offset = peaked(d, 2, 12, 16, [(0, x, y, 0.9), (0, x + 3, y, 0.7)])
    size[0], size[1], offset[:] = 12.5, 7.25, 0.375
    return heatmap, size, offset, 4, [48, 80]


DECODE_PEAKS = Exercise(
    name="decode_peaks",
    points=3,
    reference=_reference,
    names=("heatmap", "size", "offset", "stride", "image_size", "most", "score_threshold"),
    outputs=("boxes", "scores", "labels"),
    forbids=("decode", "decode_peaks", "find_peaks"),
    cases=(
        _case("three objects", *THREE, core=True),
        _case("five objects of three classes", *FIVE[:4], (2, 13, 8, 0.7), K=3, core=True),
        _case("stride 8", *THREE, stride=8, core=True),
        _case("at most two", *FIVE, options=(2,)),
        _case("a threshold of 0.5", *FIVE, options=(100, 0.5)),
        _case("a map higher than wide", (0, 2, 9, 0.9), (0, 5, 3, 0.5), K=1, H=15, W=9),
        _case("two classes in one place", (0, 6, 5, 0.9), (1, 6, 5, 0.6)),
        Case("two objects of one class that overlap by far", _equal_neighbours),
        _case("two objects of one class, two places apart", (0, 5, 5, 0.9), (0, 7, 5, 0.6)),
        Case("objects that reach over the border", _over_the_border),
        Case("a height below 0", _with_size(1, -1)),
        Case("width and height below 0", _with_size(-1, -1)),
        Case("a box narrower than a pixel", _with_size(0.0625, 1)),
        Case("at most two, and the best one has no area", _with_size(-1, 1, 2)),
        Case("an offset outside of 0 … 1", _far_offset),
        _case("fewer places than `most`", (0, 1, 1, 0.9), K=1, H=4, W=5),
        Case("a score that equals the threshold", _at_the_threshold),
        Case("a peak outside of the image", _padded),
        _case("nothing above the threshold", *THREE, options=(100, 0.95)),
    ),
    mistakes=(
        Mistake(
            "no_peaks",
            "All places above the threshold became boxes, so that every object is found many "
            "times. Only peaks do: `keep_peaks(heatmap)` first.",
            _detect(peaks=lambda heatmap: heatmap),
        ),
        Mistake(
            "five",
            "An object two places away from a better one is missing: the window is 5 × 5. A peak "
            "is compared with its eight neighbours, as your `keep_peaks` does it.",
            _detect(peaks=lambda heat: heat * (heat == _highest(heat, 5))),
        ),
        Mistake(
            "over_classes",
            "Peaks of different classes were compared with each other. Each class has a map of its "
            "own, as in your `keep_peaks`.",
            _detect(peaks=_over_classes),
        ),
        Mistake(
            "second_sigmoid",
            "The sigmoid was taken of the heatmap. It holds probabilities already, and its 0 would "
            "become 0.5.",
            _detect(peaks=lambda heatmap: _peaks(heatmap.sigmoid())),
        ),
        Mistake(
            "no_offset",
            "The offset is missing: each centre stands on its place's corner, up to a stride away "
            "from where it should.",
            _detect(box=lambda p, o, s, stride: _box(p, torch.zeros_like(o), s, stride)),
        ),
        Mistake(
            "half_for_offset",
            "Each centre stands in the middle of its place. The network says where it lies: place "
            "plus offset.",
            _detect(box=lambda p, o, s, stride: _box(p, torch.full_like(o, 0.5), s, stride)),
        ),
        Mistake(
            "half_too_much",
            "All boxes are half a place too far to the right and below. An offset begins at the "
            "place's corner: nothing is to be added to it.",
            _detect(box=lambda p, o, s, stride: _box(p, o + 0.5, s, stride)),
        ),
        Mistake(
            "offset_subtracted",
            "The offset was subtracted. It is what `floor` cut away: add it to the place.",
            _detect(box=lambda p, o, s, stride: _box(p, -o, s, stride)),
        ),
        Mistake(
            "offset_cut",
            "The offsets were cut to 0 … 1. Take them as the network says them: a centre may lie "
            "a little beside its place.",
            _detect(box=lambda p, o, s, stride: _box(p, o.clamp(0, 1), s, stride)),
        ),
        Mistake(
            "size_not_halved",
            "The boxes are twice as large as they should be. From the centre it is half a width to "
            "either side.",
            _detect(box=lambda p, o, s, stride: _box(p, o, 2 * s, stride)),
        ),
        Mistake(
            "from_left_top",
            "The peak was taken for the left upper corner. It is the centre: half a width to the "
            "left, half to the right.",
            _detect(box=_from_left_top),
        ),
        Mistake(
            "no_stride",
            "The boxes are counted in places. Multiply with the stride: pixels.",
            _detect(box=lambda p, o, s, stride: _box(p, o, s, 1)),
        ),
        Mistake(
            "stride_of_four",
            "4 is the stride whatever `stride` says.",
            _detect(box=lambda p, o, s, stride: _box(p, o, s, 4)),
        ),
        Mistake(
            "centres_not_scaled",
            "The sizes are in pixels, the centres still in places. Both times the stride.",
            _detect(box=_centres_not_scaled),
        ),
        Mistake(
            "sizes_not_scaled",
            "The centres are in pixels, the sizes still in places. Both times the stride.",
            _detect(box=_sizes_not_scaled),
        ),
        Mistake(
            "offset_in_pixels",
            "The offset was added after the multiplication. It is a part of a place: "
            "stride · (place + offset).",
            _detect(box=_offset_in_pixels),
        ),
        Mistake(
            "height_first",
            "Width and height are exchanged: channel 0 of `size` is the width.",
            _detect(box=lambda p, o, s, stride: _box(p, o, s.flip(1), stride)),
        ),
        Mistake(
            "offset_y_first",
            "The offset's x and y are exchanged: channel 0 is x.",
            _detect(box=lambda p, o, s, stride: _box(p, o.flip(1), s, stride)),
        ),
        Mistake(
            "row_for_column",
            "Row and column are exchanged: the centre's x is the column, its y the row.",
            _detect(box=lambda p, o, s, stride: _box(p.flip(1), o, s, stride)),
        ),
        Mistake(
            "read_at_column_row",
            "Size and offset were read at [column, row]. A map is indexed [row, column]: "
            "`size[:, row, column]`.",
            _detect(read=lambda maps, row, column: maps[:, column, row].T),
        ),
        Mistake(
            "read_first",
            "Sizes and offsets of the first places of the map were taken, not those at the peaks: "
            "`size[:, row, column]`.",
            _detect(read=lambda maps, row, column: maps.flatten(1)[:, : len(row)].T),
        ),
        Mistake(
            "classes_from_one",
            "The classes begin with 1. The first one is 0.",
            _detect(answer=lambda found: (found[0], found[1], found[2] + 1)),
        ),
        Mistake(
            "one_class",
            "All detections have class 0. The class is the map that the peak stands in: "
            "index // (H · W).",
            _detect(answer=lambda found: (found[0], found[1], torch.zeros_like(found[2]))),
        ),
        Mistake(
            "row_of_all_classes",
            "The row went on counting from class to class: index // W is the row in all maps one "
            "below the other. % H is missing.",
            _detect(split=lambda i, s: (i // (s[1] * s[2]), i // s[2], i % s[2])),
        ),
        Mistake(
            "divided_by_h",
            "The flat index was taken apart with H. A row has W places: index // W % H is the row, "
            "index % W the column.",
            _detect(split=lambda i, s: (i // (s[1] * s[2]), i // s[1] % s[1], i % s[1] % s[2])),
        ),
        Mistake(
            "best_class",
            "Of each place only the best class was read. Two objects of different classes may "
            "share a place: every class has its own peaks.",
            _detect(peaks=_best_class),
        ),
        Mistake(
            "suppressed",
            "Boxes that overlap were removed. CenterNet has no NMS: two peaks are two objects, "
            "however much their boxes overlap.",
            _detect(answer=_suppressed),
        ),
        Mistake(
            "not_clipped",
            "Boxes reach over the border of the image. Cut them: "
            "`clip_boxes_to_image(boxes, image_size)`.",
            _detect(clip=lambda boxes, size: boxes),
        ),
        Mistake(
            "cut_at_the_map",
            "The boxes were cut at H and W of the map. They are in pixels: cut them at "
            "`image_size`.",
            _detect(limits=lambda image, shape, stride: shape[1:]),
        ),
        Mistake(
            "cut_at_the_padding",
            "The boxes were cut at H · stride and W · stride. The picture may be smaller than its "
            "map: cut them at `image_size`.",
            _detect(limits=lambda image, shape, stride: (shape[1] * stride, shape[2] * stride)),
        ),
        Mistake(
            "width_for_height",
            "The boxes were cut at the width below and at the height on the right. `image_size` is "
            "(height, width).",
            _detect(clip=lambda boxes, size: _clip(boxes, (size[1], size[0]))),
        ),
        Mistake(
            "empty_boxes_kept",
            "There is a box without area: its size is below 0, or it lies outside of the image. "
            "Drop it.",
            _detect(
                box=lambda p, o, s, stride: _box(p, o, s.clamp(min=0), stride),
                inside=_all,
            ),
        ),
        Mistake(
            "nothing_dropped",
            "A box whose right side lies left of its left one (a size below 0) is among them, or "
            "one outside of the image. Keep those with x2 > x1 and y2 > y1.",
            _detect(inside=_all),
        ),
        Mistake(
            "boxes_alone",
            "Boxes without area were dropped, their scores and labels were not. Use the same mask "
            "for all three.",
            _boxes_alone,
        ),
        Mistake(
            "area_as_product",
            "Where width and height are both below 0 their product is above, and the box was kept. "
            "Each side has to be above 0 by itself.",
            _detect(inside=lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) > 0),
        ),
        Mistake(
            "width_alone",
            "Only the width was looked at. A box with a height of 0 or below has no area either.",
            _detect(inside=lambda b: b[:, 2] > b[:, 0]),
        ),
        Mistake(
            "height_alone",
            "Only the height was looked at. A box with a width of 0 or below has no area either.",
            _detect(inside=lambda b: b[:, 3] > b[:, 1]),
        ),
        Mistake(
            "sides_of_zero_kept",
            "A box with a side of 0 was kept. It has no area: x2 > x1 and y2 > y1, not `>=`.",
            _detect(inside=lambda b: (b[:, 2:] >= b[:, :2]).all(1)),
        ),
        Mistake(
            "small_ones_dropped",
            "A box with a side below 1 pixel was dropped. Only boxes without any area are.",
            _detect(inside=lambda b: (b[:, 2:] - b[:, :2] >= 1).all(1)),
        ),
        Mistake(
            "absolute_size",
            "A size below 0 was turned into one above. A network that says −2 means that there is "
            "nothing: such a box has no area and is dropped.",
            _detect(box=lambda p, o, s, stride: _box(p, o, s.abs(), stride)),
        ),
        Mistake(
            "threshold_ignored",
            "0.1 is the threshold whatever `score_threshold` says.",
            _detect(score_threshold=0.1),
        ),
        Mistake(
            "no_threshold",
            "Peaks below the threshold are among them. Every ripple of the map is a peak; take "
            "those above `score_threshold` only.",
            _detect(score_threshold=0.0),
        ),
        Mistake(
            "at_the_threshold",
            "A score that equals the threshold was kept: `>`, not `>=`.",
            _detect(above=torch.ge),
        ),
        Mistake(
            "most_ignored",
            "There are more than `most`. Take the best `most` of all classes together.",
            _detect(most=10**6),
        ),
        Mistake(
            "most_of_each_class",
            "`most` were taken for each class. It is a limit for all classes together.",
            _most_of_each_class,
        ),
        Mistake(
            "most_after_dropping",
            "Boxes without area were dropped first, and then the best `most` taken. It is the "
            "other way round: the best `most` peaks, and what of them has no area is dropped.",
            _emptied_first,
        ),
        Mistake(
            "topk_of_too_many",
            "`topk(most)` is an error where the map has fewer than `most` numbers. "
            "`min(most, heatmap.numel())`, or sort all and take `[:most]`.",
            _lacking,
        ),
        Mistake(
            "not_sorted",
            "The right ones, but not the best first.",
            _detect(order=lambda s, most: s.argsort(descending=True)[:most].sort().values),
        ),
        Mistake(
            "worst_first",
            "The lowest scores come first. `argsort` and `sort` go up unless you say "
            "`descending=True`.",
            _detect(order=lambda s, most: s.argsort()[:most]),
        ),
        Mistake(
            "cxcywh",
            "The boxes are centre and size. Boxes are xyxy: centre − half, centre + half.",
            _detect(box=_as_read),
        ),
        Mistake(
            "xywh",
            "The last two columns are width and height. Boxes are xyxy.",
            _detect(answer=_xywh),
        ),
        Mistake(
            "labels_second",
            "Scores and labels are exchanged. Return boxes, scores, labels.",
            _detect(answer=lambda found: (found[0], found[2], found[1])),
        ),
        Mistake(
            "other_order",
            "The three parts came in another order. Return boxes, scores, labels.",
            _detect(answer=lambda found: (found[1], found[0], found[2])),
        ),
    ),
    hints=(
        "`scores, index = keep_peaks(heatmap).flatten().sort(descending=True)`; keep the indices "
        "with a score above the threshold, of these the first `most`. Then "
        "`index // (H * W)`, `index // W % H` and `index % W` are class, row and column.",
        "`centre = torch.stack((column, row), 1) + offset[:, row, column].T` and "
        "`half = size[:, row, column].T / 2`, both [kept, 2].",
        "`stride * torch.cat((centre - half, centre + half), 1)` are the boxes. Clip them; "
        "`(boxes[:, 2:] > boxes[:, :2]).all(1)` says which ones have an area.",
    ),
)
