"""Painting with a handful of shapes, the same to the last bit on every machine.

A drawing is a list of shapes, each of one colour, painted in their order. A shape knows which
points are inside of it and how far it reaches, so a drawing knows its own extents, and `paint` can
stretch it into any box: the box comes first, and the paint is tight in it by construction.

Each pixel is tested at 4 x 4 points (supersampling), which makes the edges smooth. There are no
fonts and no photographs, and the arithmetic is +, -, *, / and sqrt of float64, which IEEE 754
defines to the last bit, then counts of points. Chance comes from `chance`, which asks its
generator for uniform numbers only.

Coordinates are (x, y) with y downwards, in any unit: `paint` fits them to pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, UInt8

Color = tuple[int, int, int]
Number = int | float
Box = tuple[Number, Number, Number, Number]
Grid = Float64[np.ndarray, "..."]  # x as [1, columns] or y as [rows, 1]

POINTS = 4  # along each side of a pixel; `paint` adds them up four by four


@dataclass(frozen=True)
class Ellipse:
    """An ellipse around (x, y); `turn` is the tangent of half the angle it is turned by."""

    color: Color
    x: Number
    y: Number
    rx: Number
    ry: Number
    turn: Number = 0

    @cached_property
    def extent(self) -> Box:
        cos, sin = direction(self.turn)
        half_w = math.sqrt((self.rx * cos) ** 2 + (self.ry * sin) ** 2)
        half_h = math.sqrt((self.rx * sin) ** 2 + (self.ry * cos) ** 2)
        return self.x - half_w, self.y - half_h, self.x + half_w, self.y + half_h

    def inside(self, x: Grid, y: Grid) -> Bool[np.ndarray, "rows columns"]:
        x, y = x - self.x, y - self.y
        if self.turn:
            cos, sin = direction(self.turn)
            x, y = cos * x + sin * y, cos * y - sin * x
        u, v = x / self.rx, y / self.ry
        return u * u + v * v <= 1.0


@dataclass(frozen=True)
class Polygon:
    """The inside of a closed line through `points`, by the even-odd rule."""

    color: Color
    points: tuple[tuple[Number, Number], ...]

    @cached_property
    def extent(self) -> Box:
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def inside(self, x: Grid, y: Grid) -> Bool[np.ndarray, "rows columns"]:
        odd = np.zeros((y.shape[0], x.shape[1]), dtype=bool)
        previous = (*self.points[-1:], *self.points[:-1])
        for (ax, ay), (bx, by) in zip(previous, self.points, strict=True):
            if ay != by:
                crossing = (ay > y) != (by > y)  # [rows, 1]
                odd ^= crossing & (x < ax + (y - ay) / (by - ay) * (bx - ax))
        return odd


@dataclass(frozen=True)
class Stroke:
    """A round pen of the given width, drawn along `points`."""

    color: Color
    points: tuple[tuple[Number, Number], ...]
    width: Number

    @cached_property
    def extent(self) -> Box:
        xs, ys = zip(*self.points, strict=True)
        r = self.width / 2
        return min(xs) - r, min(ys) - r, max(xs) + r, max(ys) + r

    def inside(self, x: Grid, y: Grid) -> Bool[np.ndarray, "rows columns"]:
        hit = np.zeros((y.shape[0], x.shape[1]), dtype=bool)
        r2 = self.width * self.width / 4
        for (ax, ay), (bx, by) in zip(self.points[:-1], self.points[1:], strict=True):
            ux, uy = bx - ax, by - ay
            along = ((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy)
            along = np.clip(along, 0.0, 1.0)
            dx, dy = x - ax - along * ux, y - ay - along * uy
            hit |= dx * dx + dy * dy <= r2
        return hit


Shape = Ellipse | Polygon | Stroke


def extent(drawing: Sequence[Shape]) -> Box:
    """The smallest (x1, y1, x2, y2) around all shapes of a drawing, in its own coordinates."""
    if not drawing:
        raise ValueError("a drawing needs at least one shape")
    x1, y1, x2, y2 = zip(*(shape.extent for shape in drawing), strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def paint(
    image: UInt8[np.ndarray, "H W 3"], drawing: Sequence[Shape], box: Box, *, flip: bool = False
) -> UInt8[np.ndarray, "H W"]:
    """Paint a drawing on the image, in place, stretched so that it just fills the box.

    Shapes: image [H, W, 3]; the answer [H, W] counts the painted points of each pixel, 0 to 16.
    box: xyxy in pixels, half-open; may be fractional, may reach out of the image.
    flip: mirror it, left to right.
    """
    x1, y1, x2, y2 = box
    if not (x2 > x1 and y2 > y1):
        raise ValueError(f"box must have x2 > x1 and y2 > y1, got {box}")
    H, W = image.shape[:2]
    left, top = max(math.floor(x1), 0), max(math.floor(y1), 0)
    right, bottom = min(math.ceil(x2), W), min(math.ceil(y2), H)
    covered = np.zeros((H, W), dtype=np.uint8)
    if right <= left or bottom <= top:
        return covered

    ex1, ey1, ex2, ey2 = extent(drawing)
    columns, rows = (right - left) * POINTS, (bottom - top) * POINTS
    step_x, step_y = (ex2 - ex1) / (x2 - x1), (ey2 - ey1) / (y2 - y1)
    x = (left + (np.arange(columns) + 0.5) / POINTS - x1) * step_x  # from the edge of the drawing
    x = ex2 - x if flip else ex1 + x
    y = ey1 + (top + (np.arange(rows) + 0.5) / POINTS - y1) * step_y

    which = np.zeros((rows, columns), dtype=np.uint8)  # 0 not painted, k for shape k - 1
    for k, shape in enumerate(drawing, 1):
        sx1, sy1, sx2, sy2 = shape.extent
        near_x, near_y = (x >= sx1) & (x <= sx2), (y >= sy1) & (y <= sy2)
        if not (near_x.any() and near_y.any()):
            continue
        across = slice(int(near_x.argmax()), columns - int(near_x[::-1].argmax()))
        down = slice(int(near_y.argmax()), rows - int(near_y[::-1].argmax()))
        which[down, across][shape.inside(x[None, across], y[down, None])] = k

    # A word for each point: 1, red, green and blue, 16 bits each, so that one sum adds up all four.
    palette = [
        0,
        *((1 << 48) + (r << 32) + (g << 16) + b for r, g, b in (s.color for s in drawing)),
    ]
    words = np.array(palette, dtype=np.uint64).take(which)
    words = words[0::4] + words[1::4] + words[2::4] + words[3::4]
    words = words[:, 0::4] + words[:, 1::4] + words[:, 2::4] + words[:, 3::4]  # [h, w]
    points = (words >> np.uint64(48)).astype(np.int32)  # 0 to 16
    everything = POINTS * POINTS
    part = image[top:bottom, left:right]
    for channel, shift in enumerate((32, 16, 0)):
        paint_sum = (words >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int32)
        bare = part[..., channel] * (everything - points)
        part[..., channel] = (bare + paint_sum + everything // 2) // everything
    covered[top:bottom, left:right] = points
    return covered


def chance(*key: int) -> np.random.Generator:
    """A generator for this key alone: what it gives depends on no other key and no order."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def bell(rng: np.random.Generator, *shape: int) -> Float64[np.ndarray, "..."]:
    """Numbers that are nearly normal: mean 0, variance 1, never beyond 6.

    The sum of 12 uniform numbers, less 6: a true normal number would need a logarithm, whose last
    bit differs between machines.
    """
    total = np.zeros(shape)
    for uniform in rng.random((12, *shape)):
        total = total + uniform
    return total - 6.0


def mix(a: Color, b: Color, share: Number) -> Color:
    """The colour that is `share` of the way from a to b."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]


def direction(turn: Number) -> tuple[float, float]:
    """Cosine and sine of the angle whose half has the tangent `turn`, without either function."""
    return (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
