"""Outlines: ellipse, rectangle, triangle and star, as signed distances.

The signed distance of a point is how far it is from the outline, negative inside. From it come,
for a pixel's centre, the mask (distance 0 or less) and how much of the pixel is painted (all to
nothing within half a pixel of the outline). So edges are smooth and cost one number a pixel.

A straight outline is a set of lines. A point is in a triangle if it is on the inner side of all
three, and in a five-pointed star if it is on the inner side of at least four of its five. So the
distance is the largest of those to the lines, or for the star the second largest.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Point = tuple[float, float]


@dataclass(frozen=True)
class Outline:
    """A closed outline around (0, 0), in units of its own.

    corners: its outer points; none for the ellipse, which is the unit circle.
    lines: pairs of corners that a line goes through.
    outside: how many lines a point inside may lie beyond.
    """

    corners: tuple[Point, ...] = ()
    lines: tuple[tuple[int, int], ...] = ()
    outside: int = 0


def _fan(corners: tuple[Point, ...], step: int = 1) -> tuple[tuple[int, int], ...]:
    return tuple((i, (i + step) % len(corners)) for i in range(len(corners)))


_SQUARE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
_TRIANGLE = ((0.0, -1.0), (0.8660254037844386, 0.5), (-0.8660254037844386, 0.5))
_FIVE = (  # sines and cosines of fifths of a circle
    (0.0, -1.0), (0.9510565162951535, -0.30901699437494745),
    (0.5877852522924731, 0.8090169943749475), (-0.5877852522924731, 0.8090169943749475),
    (-0.9510565162951535, -0.30901699437494745),
)  # fmt: skip

OUTLINES: dict[str, Outline] = {
    "ellipse": Outline(),
    "rectangle": Outline(_SQUARE, _fan(_SQUARE)),
    "triangle": Outline(_TRIANGLE, _fan(_TRIANGLE)),
    "star": Outline(_FIVE, _fan(_FIVE, 2), outside=1),
}


def signed_distance(
    outline: Outline, size: float, stretch: float, turned: Point, offset: Point = (0.0, 0.0)
) -> Float32[np.ndarray, "h w"]:
    """Signed distances, in pixels, of the centres of all pixels in a window around the outline.

    size: the longer side of the outline's box, in pixels.
    stretch: how many times wider than high it is before it is turned.
    turned: cosine and sine of the angle it is turned by, clockwise as y points down.
    offset: of its centre from the window's, in pixels: between whole pixels all is possible.
    """
    cos, sin = turned
    ax, ay, bx, by = stretch * cos, stretch * sin, -sin, cos  # where (1, 0) and (0, 1) end up
    corners = [(ax * x + bx * y, ay * x + by * y) for x, y in outline.corners]
    if corners:
        xs, ys = zip(*corners, strict=True)
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        x2, y2 = math.sqrt(ax * ax + bx * bx), math.sqrt(ay * ay + by * by)
        x1, y1 = -x2, -y2
    scale = size / max(x2 - x1, y2 - y1)
    wide, high = math.ceil(scale * (x2 - x1)) + 2, math.ceil(scale * (y2 - y1)) + 2
    left = wide / 2 - scale * (x1 + x2) / 2 + offset[0]  # of the point (0, 0) in the window
    top = high / 2 - scale * (y1 + y2) / 2 + offset[1]
    x = np.arange(wide, dtype=np.float32) + np.float32(0.5 - left)
    y = (np.arange(high, dtype=np.float32) + np.float32(0.5 - top))[:, None]
    if not corners:
        return _ellipse(x, y, scale * stretch, scale, cos, sin)
    beyond = []
    for i, j in outline.lines:
        (px, py), (qx, qy) = corners[i], corners[j]
        length = math.sqrt((qx - px) * (qx - px) + (qy - py) * (qy - py))
        nx, ny = (qy - py) / length, (px - qx) / length  # points outwards
        far = scale * (nx * px + ny * py)
        beyond.append((np.float32(nx) * x - np.float32(far)) + np.float32(ny) * y)
    first = beyond[0]
    if outline.outside == 0:
        for distance in beyond[1:]:
            first = np.maximum(first, distance)
        return first
    second = np.full_like(first, -np.inf)
    for distance in beyond[1:]:
        second = np.maximum(second, np.minimum(first, distance))
        first = np.maximum(first, distance)
    return second


def _ellipse(
    x: Float32[np.ndarray, " w"],
    y: Float32[np.ndarray, "h 1"],
    rx: float,
    ry: float,
    cos: float,
    sin: float,
) -> Float32[np.ndarray, "h w"]:
    """The usual first-order distance: how far the level is from 1, over its slope."""
    u = np.float32(cos / rx) * x + np.float32(sin / rx) * y
    v = np.float32(cos / ry) * y - np.float32(sin / ry) * x
    level = np.maximum(np.sqrt(u * u + v * v), np.float32(1e-3))  # the centre itself has no slope
    su, sv = u / np.float32(rx), v / np.float32(ry)
    slope = np.maximum(np.sqrt(su * su + sv * sv), np.float32(1e-3 / max(rx, ry)))
    return (level - np.float32(1)) * level / slope
