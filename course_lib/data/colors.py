"""Colours for things: any hue, and far enough from what is behind."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from course_lib.data.painting import Number, direction

CANDIDATES = 8


def apart(
    rng: np.random.Generator, behind: Sequence[float], distance: Number
) -> Float32[np.ndarray, "3 1 1"]:
    """A colour (0..255) whose channels differ from those behind by `distance` in all, if chance has
    one among eight; otherwise the most different of the eight. It knows nothing of classes.
    """
    best, furthest = (0.0, 0.0, 0.0), -1.0
    for hue, grey, light in rng.random((CANDIDATES, 3)).tolist():
        color = from_hsv(hue, 1 - grey * grey, 60 + 195 * light)
        far = sum(abs(c - b) for c, b in zip(color, behind, strict=True))
        if far > furthest:
            best, furthest = color, far
        if far >= distance:
            break
    return np.array(best, dtype=np.float32).reshape(3, 1, 1)


def from_hsv(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Red, green and blue, as large as `value` at most; hue and saturation in 0..1."""

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
