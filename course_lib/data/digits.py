"""Digits: real handwriting in coloured chalk on a dark board, to learn something real in minutes.

The handwriting is scikit-learn's copy of the test part of the Optical Recognition of Handwritten
Digits (Alpaydin & Kaynak, UCI Machine Learning Repository, 1998): 1,797 digits of 8 x 8 pixels.
"""

from functools import cache

import numpy as np
from jaxtyping import Float32, Int64

from course_lib.data.canvas import Alpha, Canvas
from course_lib.data.colors import apart, shading
from course_lib.data.painted import PaintedDataset
from course_lib.data.painting import Number, chance, direction
from course_lib.data.shapes import octaves
from course_lib.data.textures import background

STREAMS = {True: 102, False: 103}  # the third number of the key: train, test
TRAIN = 1437  # the first 1,437 digits of the file are for training, the last 360 for testing
CELL = 6  # a digit is kept at six times its resolution
BOARD = (25, 95)  # how light the ground is, in 0..255
INKED = 0.45  # of a digit's darkest ink: what counts as written


class Digits(PaintedDataset):
    """Pictures of handwritten digits; `classes` are "0" to "9".

        train, test = Digits(1500), Digits(200, train=False)

    size, seed, side, masks, keypoints: as in `Shapes`.
    train: True takes the digits 0 to 1,436 of scikit-learn's `load_digits`, False 1,437 to 1,796,
        in the order of the file. So no digit of a test picture has been in a training picture. The
        grounds differ too.
    objects: fewest and most digits in a picture.
    sizes: shortest and longest side, in pixels, that the longer side of a box has. By default 28
        to half of `side`.
    min_visible: at least this share of each digit is not hidden by others.

    A digit is turned by a few degrees at most: a 6 must not become a 9. Its pixels, of which the
    box is the bounds, are those with at least 0.45 of its darkest ink.
    Errors: as in `Shapes`.
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        size: int = 1500,
        seed: int = 0,
        *,
        train: bool = True,
        side: int = 128,
        objects: tuple[int, int] = (1, 4),
        sizes: tuple[Number, Number] | None = None,
        min_visible: Number = 0.95,
        contrast: Number = 0.6,
        masks: bool = False,
        keypoints: bool = False,
    ) -> None:
        super().__init__(
            size, seed, side=side, min_visible=min_visible, masks=masks, keypoints=keypoints
        )
        if not 0 <= objects[0] <= objects[1]:
            raise ValueError(f"objects must be (fewest, most), 0 or more, got {objects}")
        self.sizes = (28.0, side / 2.0) if sizes is None else (float(sizes[0]), float(sizes[1]))
        if not 8 <= self.sizes[0] <= self.sizes[1] <= side - 4:
            raise ValueError(f"sizes must be (least, most) within 8..{side - 4}, got {self.sizes}")
        if not 0 <= contrast <= 1:
            raise ValueError(f"contrast must lie in 0..1, got {contrast}")
        self.train, self.objects, self.contrast = bool(train), objects, contrast

    def paint(self, index: int) -> Canvas:
        rng = chance(self.seed, index, STREAMS[self.train])
        ground = background(rng, self.side, self.contrast, BOARD)
        canvas = Canvas(ground, self.min_visible, self.keypoints)
        fewest, most = self.objects
        n = fewest + int(rng.random() * (most - fewest + 1))
        first, last = (0, TRAIN) if self.train else (TRAIN, len(handwriting()[1]))
        for length in sorted(octaves(rng, n, *self.sizes), reverse=True):
            which = first + int(rng.random() * (last - first))
            alpha = _digit(rng, which, length)
            place = canvas.room(alpha, rng)
            if place is not None:
                color = apart(rng, canvas.mean_color(alpha, *place), 260)
                color = shading(rng, color, *alpha.shape)
                canvas.put(alpha, color, *place, int(handwriting()[1][which]))
        return canvas


@cache
def handwriting() -> tuple[Float32[np.ndarray, "1797 60 60"], Int64[np.ndarray, " 1797"]]:
    """All digits as ink from 0 to 1, smoothly enlarged and with an empty rim, and what they are.

    The curve goes through the pixels themselves (Catmull & Rom, 1974): each of its points is a sum
    of 4 x 4 pixels, with weights that are polynomials of its place.
    """
    from sklearn.datasets import load_digits  # takes a second: only those who want digits wait

    images, labels = load_digits(return_X_y=True)
    ink = (images.reshape(-1, 8, 8) / 16).astype(np.float32)
    ink = _enlarge(_enlarge(ink).swapaxes(1, 2)).swapaxes(1, 2)
    return ink / ink.max((1, 2), keepdims=True), labels.astype(np.int64)


def _enlarge(ink: Float32[np.ndarray, "D n m"]) -> Float32[np.ndarray, "D n2 m"]:
    """CELL times as many rows, and one empty row of the old size more on each side."""
    padded = np.pad(ink, ((0, 0), (3, 3), (0, 0)))  # one for the rim, two for the curve's reach
    n = ink.shape[1] + 2
    place = (np.arange(n * CELL) + 0.5) / CELL + 1.5  # in padded rows, 0 the middle of the first
    row = np.floor(place).astype(np.int64)
    t = (place - row)[None, :, None].astype(np.float32)
    square, cube = t * t, t * t * t
    half, two, more = np.float32(0.5), np.float32(2), np.float32(2.5)
    weights = (
        square - half * (t + cube),
        np.float32(1) - more * square + np.float32(1.5) * cube,
        half * t + two * square - np.float32(1.5) * cube,
        half * (cube - square),
    )
    total = weights[0] * padded[:, row - 1]
    for k, weight in enumerate(weights[1:]):
        total = total + weight * padded[:, row + k]
    return total.clip(0, None)


def _digit(rng: np.random.Generator, which: int, length: float) -> Alpha:
    """Digit number `which`, its longer side `length` pixels, a little turned and slanted."""
    ink = handwriting()[0][which]  # [60, 60]
    turn, slant, wide, dx, dy = rng.random(5).tolist()
    cos, sin = direction(0.16 * (turn - 0.5))  # about 9 degrees to either side
    slant, wide = 0.3 * (slant - 0.5), 0.8 + 0.3 * wide
    dark = ink >= INKED
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    step = max(int(bottom - top), int(right - left) * wide) / length  # of the digit a pixel
    # From the digit to the picture: turn · slant · stretch. Here we go back, pixel by pixel.
    side = int(1.5 * length) + 2
    x = (np.arange(side, dtype=np.float32) + np.float32(dx - side / 2)) * np.float32(step)
    y = (np.arange(side, dtype=np.float32) + np.float32(dy - side / 2))[:, None] * np.float32(step)
    v = np.float32(cos) * y - np.float32(sin) * x
    u = np.float32(cos) * x + np.float32(sin) * y + np.float32(slant) * v
    u = u / np.float32(wide) + np.float32(float(left + right) / 2 - 0.5)
    v = v + np.float32(float(top + bottom) / 2 - 0.5)
    steepness = np.float32(max(4.5 / step, 3.0))  # an edge two pixels wide, and no haze around it
    alpha = (_sample(ink, u, v) - np.float32(INKED)) * steepness + np.float32(0.5)
    return _trim(alpha.clip(0, 1))


def _sample(
    ink: Float32[np.ndarray, "n n"], u: Float32[np.ndarray, "h w"], v: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """Bilinear values at columns u and rows v; outside is no ink."""
    n = len(ink)
    u, v = u.clip(0, n - 1), v.clip(0, n - 1)  # the rim is empty
    column, row = (np.minimum(p.astype(np.int64), n - 2) for p in (u, v))
    fu, fv = u - column.astype(np.float32), v - row.astype(np.float32)
    flat, first = ink.reshape(-1), row * n + column
    upper = flat[first] + (flat[first + 1] - flat[first]) * fu
    lower = flat[first + n] + (flat[first + n + 1] - flat[first + n]) * fu
    return upper + (lower - upper) * fv


def _trim(alpha: Alpha) -> Float32[np.ndarray, "h2 w2"]:
    """Without the empty rows and columns around the ink."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
