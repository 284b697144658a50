"""Painted scenes: pictures whose every object is known exactly, because we painted it.

A meadow under a sky, and on it sheep, dogs, cats, cars and trees, with birds and balloons above.
What stands further away is smaller and is painted first, so near things hide far ones. A box is
the whole thing, the hidden part included, and the paint fits it exactly. Some scenes have a
distant flock that is annotated as one crowd, as COCO does where objects cannot be counted; a few
have nothing in them. A scene depends on its index and seed alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from course_lib.boxes import box_area
from course_lib.data.landscapes import Land, landscape
from course_lib.data.painting import Box, Ellipse, Number, Shape, chance, extent, mix, paint
from course_lib.data.things import CLASSES, draw_thing, sheep

SMALL, LARGE = 32.0**2, 96.0**2  # COCO's limits of area between small, medium and large
SIZES = ((240, 320), (240, 320), (240, 360), (270, 320))  # H, W
HEIGHT = {"sheep": 82, "dog": 74, "cat": 64, "bird": 46, "car": 88, "tree": 190, "balloon": 120}


@dataclass(frozen=True, eq=False)
class Scene:
    """A painted picture and what is in it.

    Shapes: image [H, W, 3]; boxes [G, 4] xyxy in whole pixels, half-open; labels [G], indices
        into CLASSES; crowd [G], True where one box stands for a flock that nobody counted;
        visible [G], the share of each object's paint that nothing in front hides.
    Order: as painted, from back to front.
    key: the numbers that all its chance comes from: no two scenes share them.
    """

    image: UInt8[np.ndarray, "H W 3"] = field(repr=False)
    boxes: Float[Tensor, "G 4"]
    labels: Int64[Tensor, " G"]
    crowd: Bool[Tensor, " G"]
    visible: Float[Tensor, " G"]
    caption: str
    key: tuple[int, ...]

    @property
    def areas(self) -> Float[Tensor, " G"]:
        """Area of each box: what counts as small, medium or large in this course's scenes."""
        return box_area(self.boxes)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        H, W = self.image.shape[:2]
        return H, W

    @property
    def alt(self) -> str:
        """The picture in words, for those who cannot see it."""
        return f"A painted {self.caption}."


@dataclass(frozen=True)
class _Thing:
    name: str
    drawing: Sequence[Shape]
    box: Box
    flip: bool = False
    crowd: int | None = None  # things with the same number are one crowd


def scene(index: int, seed: int = 0) -> Scene:
    """Paint scene number `index` (0, 1, …) of the series `seed`."""
    for name, value in (("index", index), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
    key = (seed, index)
    rng = chance(*key, 1)
    H, W = SIZES[int(rng.integers(len(SIZES)))]
    empty, flock = index % 20 == 7, index % 10 == 3
    road = rng.random() < 0.45
    zoom = 1.7 if index % 3 == 1 else 1.0  # some pictures are taken from close by
    land = landscape((*key, 2), H, W, road=road)
    things: list[_Thing] = []
    if flock:
        things += _flock(rng, land)
    if not empty:
        wanted = int(rng.integers(5, 11))
        for _ in range(6 * wanted):
            if sum(thing.crowd is None for thing in things) == wanted:
                break
            thing = _place(rng, land, zoom)
            if thing is not None and _fits(thing, things):
                things.append(thing)
    return _finish(land, things, key)


def evaluation_set(size: int = 60, seed: int = 0) -> list[Scene]:
    """The first `size` scenes of a series: what the course's detectors are measured on."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError(f"size must be a whole number, 0 or more, got {size!r}")
    return [scene(index, seed) for index in range(size)]


def crowded_scene() -> Scene:
    """A flock that stands close: 15 sheep, the dog that minds them, and a tree.

    Two of the sheep are the awkward pair: a white one right in front of a black one. Their boxes
    overlap with IoU 0.64, more than greedy NMS at 0.5 believes two objects ever do: of its
    `raw_detections` it keeps one box for each of 16 objects and loses the black sheep. Gaussian
    Soft-NMS (sigma 0.5), of which the scores from 0.3 on are kept, finds all 17.
    """
    H, W = 300, 420
    land = landscape((2**31, 5), H, W)
    rng = chance(2**31)
    things = [_at(rng, "tree", land, 60, 206, 150)]
    for x, y, h, flip in _FLOCK:
        things.append(_at(rng, "sheep", land, x, y, h, flip))
    things.append(_at(rng, "dog", land, 376, 286, 62, True))
    pair = _Thing("sheep", sheep(rng, black=True), (190.0, 154.0, 284.0, 234.0), True)
    front = _Thing("sheep", sheep(rng), (203.0, 167.0, 290.0, 240.0))
    return _finish(land, [*things, pair, front], CROWDED_KEY)


CROWDED_KEY = (2**31, 2662)  # its detections are as the docstring of `crowded_scene` says
_FLOCK = (  # x of the middle, y of the feet, height, facing left
    (170, 146, 24, True), (236, 148, 26, True), (248, 152, 27, False), (318, 158, 28, False),
    (372, 152, 26, True), (124, 196, 40, True), (142, 203, 41, False), (322, 208, 44, True),
    (342, 215, 46, False), (104, 250, 56, True), (132, 262, 60, False), (316, 268, 58, True),
    (214, 288, 62, False),
)  # fmt: skip


# --- where things stand -------------------------------------------------------------------------


def _place(rng: np.random.Generator, land: Land, zoom: Number) -> _Thing | None:
    """A thing of some class at some place, or None where it would not be wholly in the picture."""
    H, W = land.image.shape[:2]
    name = CLASSES[int(rng.integers(len(CLASSES)))]
    drawing = draw_thing(name, rng)
    depth, across, varied, side = rng.random(4)
    flip = bool(side < 0.5)
    if name in ("bird", "balloon"):
        scale = 0.25 + 0.75 * depth * depth
        height = HEIGHT[name] * zoom * scale * (0.85 + 0.3 * varied)
        bottom = height + 2 + (land.horizon * 1.02 - height) * rng.random()
    elif name == "car" and land.road:
        top, end = land.road
        bottom = (end - 3) if side < 0.5 else top + (end - top) * 0.5
        height = HEIGHT[name] * zoom * land.scale(bottom) * (0.9 + 0.2 * varied)
    else:
        bottom = land.horizon + 6 + (H - 4 - land.horizon - 6) * depth
        height = HEIGHT[name] * zoom * land.scale(bottom) * (0.85 + 0.3 * varied)
    box = _box(drawing, W * across, bottom, height)
    x1, y1, x2, y2 = box
    if x1 < 1 or y1 < 1 or x2 > W - 1 or y2 > H - 1:
        return None
    return _Thing(name, drawing, box, flip)


def _flock(rng: np.random.Generator, land: Land) -> list[_Thing]:
    """Far sheep, so close together that they are annotated as one crowd."""
    W = land.image.shape[1]
    middle = W * (0.25 + 0.5 * rng.random())
    things = []
    for _ in range(int(rng.integers(14, 22))):
        x = middle + 40 * (rng.random() + rng.random() - 1)
        y = land.horizon + 10 + 20 * rng.random()
        drawing = draw_thing("sheep", rng)
        box = _box(drawing, x, y, 11 + 5 * (y - land.horizon) / 30)
        if box[0] > 0 and box[2] < W:
            things.append(_Thing("sheep", drawing, box, bool(rng.random() < 0.5), crowd=0))
    return things


def _at(
    rng: np.random.Generator,
    name: str,
    land: Land,
    x: Number,
    y: Number,
    h: Number,
    flip: bool = False,
) -> _Thing:
    drawing = draw_thing(name, rng)
    return _Thing(name, drawing, _box(drawing, x, y, h), flip)


def _box(drawing: Sequence[Shape], x: Number, bottom: Number, height: Number) -> Box:
    """The box in whole pixels that keeps the drawing's proportions as well as it can."""
    x1, y1, x2, y2 = extent(drawing)
    h = max(round(height), 4)
    w = max(round(height * (x2 - x1) / (y2 - y1)), 4)
    left, top = round(x - w / 2), round(bottom) - h
    return float(left), float(top), float(left + w), float(top + h)


def _fits(new: _Thing, things: Sequence[_Thing]) -> bool:
    """True where the new thing neither hides an old one nor hides behind one."""
    x1, y1, x2, y2 = new.box
    area = (x2 - x1) * (y2 - y1)
    limit = 0.25 if any(thing.crowd is not None for thing in things) else 0.45
    for thing in things:
        a1, b1, a2, b2 = thing.box
        shared = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
        other = (a2 - a1) * (b2 - b1)
        if shared > limit * min(area, other) or shared > 0.4 * (area + other - shared):
            return False
    return True


# --- from things to a scene ---------------------------------------------------------------------


def _finish(land: Land, things: list[_Thing], key: tuple[int, ...]) -> Scene:
    """Paint the things from back to front, and write down what is where."""
    things = sorted(things, key=lambda thing: (thing.name not in ("bird", "balloon"), thing.box[3]))
    image = land.image
    marks = np.full(image.shape[:2], -1, dtype=np.int64)  # the foremost thing of each pixel
    painted = []
    for k, thing in enumerate(things):
        _shadow(image, thing)
        covered = paint(image, thing.drawing, thing.box, flip=thing.flip) >= 8
        marks[covered] = k
        painted.append(int(covered.sum()))
    seen = np.bincount(marks[marks >= 0], minlength=len(things))
    shown = [int(s) / max(p, 1) for s, p in zip(seen, painted, strict=True)]

    rows: list[tuple[Box, str, bool, float]] = []
    members = [thing.box for thing in things if thing.crowd is not None]
    if members:
        x1, y1, x2, y2 = zip(*members, strict=True)
        rows.append(((min(x1), min(y1), max(x2), max(y2)), "sheep", True, 1.0))
    for thing, share in zip(things, shown, strict=True):
        if thing.crowd is None:
            rows.append((thing.box, thing.name, False, share))
    return Scene(
        image=image,
        boxes=torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([CLASSES.index(row[1]) for row in rows], dtype=torch.int64),
        crowd=torch.tensor([row[2] for row in rows], dtype=torch.bool),
        visible=torch.tensor([row[3] for row in rows], dtype=torch.float32),
        caption=_words(land, rows),
        key=key,
    )


def _shadow(image: UInt8[np.ndarray, "H W 3"], thing: _Thing) -> None:
    """A darker patch of grass under the feet: part of the landscape, not of the thing."""
    if thing.name in ("bird", "balloon") or thing.crowd is not None:
        return
    x1, _, x2, y2 = thing.box
    H, W = image.shape[:2]
    share = 0.3 if thing.name == "tree" else 0.48
    half, flat = (x2 - x1) * share, max((x2 - x1) * 0.05, 1.2)
    middle = (x1 + x2) / 2
    y, x = min(int(y2), H - 1), min(max(int(middle), 0), W - 1)
    red, green, blue = (int(value) for value in image[y, x])
    color = mix((red, green, blue), (30, 50, 40), 0.3)
    patch = [Ellipse(color, 0, 0, 1, 1)]
    paint(image, patch, (middle - half, y2 - flat, middle + half, y2 + flat * 0.8))


def _words(land: Land, rows: Sequence[tuple[Box, str, bool, float]]) -> str:
    plural = {"sheep": "sheep"}
    counts = [(name, sum(row[1] == name and not row[2] for row in rows)) for name in CLASSES]
    parts = [
        f"{n} {plural.get(name, name + 's')}" if n > 1 else f"one {name}" for name, n in counts if n
    ]
    if any(row[2] for row in rows):
        parts.append("a distant flock of sheep")
    place = f"{land.mood} meadow" + (" with a road" if land.road else "")
    if not parts:
        return f"{place} with nothing on it"
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{place}: {listed}"
