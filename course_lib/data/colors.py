"""Colours for things: any hue, and far enough from what is behind."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from course_lib.data.painting import Number, direction

CANDIDATES = 8


def apart(
    rng: np.random.Generator,
    behind: Sequence[float],
    distance: Number,
    hues: tuple[float, Number] = (0.0, 1.0),
) -> Float32[np.ndarray, "3 1 1"]:
    """A bright colour (0..255) whose channels differ from those behind by `distance` in all, if
    chance has one among eight; otherwise the most different of the eight.

    hues: where the hue lies, as the middle and the width of a part of the colour circle.
    """
    middle, width = hues
    best, furthest = (0.0, 0.0, 0.0), -1.0
    for hue, grey, light in rng.random((CANDIDATES, 3)).tolist():
        color = from_hsv(middle + width * (hue - 0.5), 1 - 0.45 * grey, 120 + 135 * light)
        far = sum(abs(c - b) for c, b in zip(color, behind, strict=True))
        if far > furthest:
            best, furthest = color, far
        if far >= distance:
            break
    return np.array(best, dtype=np.float32).reshape(3, 1, 1)


def from_hsv(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Red, green and blue, as large as `value` at most; hue is a share of the circle."""

    def channel(n: int) -> float:
        k = (n + 6 * hue) % 6
        return value - value * saturation * max(0.0, min(k, 4 - k, 1.0))

    return channel(5), channel(3), channel(1)


def shading(
    rng: np.random.Generator, color: Float32[np.ndarray, "3 1 1"], h: int, w: int
) -> Float32[np.ndarray, "3 h w"]:
    """The colour for each pixel of a window: a little lighter on one side than on the other."""
    turn, strength = rng.random(2).tolist()
    cos, sin = direction(2 * turn - 1)
    strength = 0.36 * (strength - 0.5) / max(h, w)
    x = np.arange(w, dtype=np.float32) - np.float32(w / 2)
    y = np.arange(h, dtype=np.float32)[:, None] - np.float32(h / 2)
    light = np.float32(1) + np.float32(strength * cos) * x + np.float32(strength * sin) * y
    return np.minimum(light * color, np.float32(255))
