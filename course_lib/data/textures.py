"""Backgrounds without objects: two muted colours, mixed by smooth noise and a pattern.

Value noise: random heights on a coarse grid, joined smoothly, the same again on finer grids with
less weight (Perlin, "An Image Synthesizer", SIGGRAPH 1985, has the idea with slopes for heights).

All arithmetic is single steps of +, -, * and / on float32, so the pictures are the same to the last
bit on every machine: sums of many floats and matrix products are not, their order differs.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from course_lib.data.painting import Number, direction

FINEST = 2  # px: no octave of the noise is finer
PATTERNS = ("plain", "stripes", "tiles", "rings")

Field = Float32[np.ndarray, "S S"]


def background(
    rng: np.random.Generator,
    side: int,
    contrast: Number = 1.0,
    light: tuple[Number, Number] = (40, 210),
) -> UInt8[np.ndarray, "3 S S"]:
    """A square of texture, `side` px; `contrast` 0 is one flat colour, 1 a lively one.

    light: of the first colour's channels, the darkest and the lightest in 0..255.
    """
    first = light[0] + (light[1] - light[0]) * rng.random(3)
    red, green, blue = first.tolist()
    mean = (red + green + blue) / 3
    first = mean + 0.25 * (first - mean)  # muted: bright colours are for the objects
    second = (first + contrast * 110 * (rng.random(3) - 0.5)).clip(8, 247)
    kind = PATTERNS[int(rng.random() * len(PATTERNS))]
    share = _noise(rng, side)
    if kind != "plain":
        share = np.float32(0.6) * share + np.float32(0.4) * _pattern(rng, kind, side, share)
    grain = rng.random((side, side), dtype=np.float32)
    grain = np.float32(14 * contrast) * (grain - np.float32(0.5)) + np.float32(0.5)
    picture = np.empty((3, side, side), dtype=np.uint8)
    for channel, start, end in zip(picture, first.tolist(), second.tolist(), strict=True):
        channel[:] = share * np.float32(end - start) + np.float32(start) + grain
    return picture


def _noise(rng: np.random.Generator, side: int) -> Field:
    """Heights from 0 to 1: four octaves from a third of the side down, each half as strong."""
    total, cells, weight = np.zeros((side, side), dtype=np.float32), 3, 0.5
    for _ in range(4):
        if cells * FINEST > side:
            break
        _add_octave(total, rng, cells, weight)
        cells, weight = 2 * cells, weight / 2
    return total


def _add_octave(total: Field, rng: np.random.Generator, cells: int, weight: float) -> None:
    """Add heights on a grid of cells x cells, joined by the smooth step 3t^2 - 2t^3."""
    side = len(total)
    heights = np.float32(weight) * rng.random((cells + 1, cells + 1), dtype=np.float32)
    place = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / side)
    cell = place.astype(np.int64).clip(max=cells - 1)
    t = place - cell.astype(np.float32)
    t = t * t * (np.float32(3) - np.float32(2) * t)
    rows = heights[cell] + (heights[cell + 1] - heights[cell]) * t[:, None]  # [S, cells + 1]
    steps = rows[:, 1:] - rows[:, :-1]
    between = steps.take(cell, axis=1)
    between *= t
    between += rows.take(cell, axis=1)
    total += between


def _pattern(rng: np.random.Generator, kind: str, side: int, noise: Field) -> Field:
    """Waves from 0 to 1, bent a little by the noise."""
    turn, period, bend, x0, y0 = rng.random(5).tolist()
    cos, sin = direction(2 * turn - 1)
    period = side * (0.08 + 0.14 * period)
    line = np.arange(side, dtype=np.float32)
    x, y = line[None] - np.float32(side * x0), line[:, None] - np.float32(side * y0)
    along = x * np.float32(cos / period) + y * np.float32(sin / period)
    across = y * np.float32(cos / period) - x * np.float32(sin / period)
    bent = np.float32(0.4 + bend) * noise
    if kind == "stripes":
        return _wave(along + bent)
    if kind == "tiles":
        return np.maximum(_wave(along + bent), _wave(across + bent))
    return _wave(np.sqrt(along * along + across * across) + bent)


def _wave(phase: Field) -> Field:
    """A wave of period 1 between 0 and 1, made of parabolas."""
    t = np.float32(2) * np.abs(phase - np.floor(phase) - np.float32(0.5))  # 1, 0, 1
    return t * t * (np.float32(3) - np.float32(2) * t)
