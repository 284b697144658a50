"""A picture that things are put on, one before the other, and that remembers whose each pixel is.

Letters
    S       side of the square picture, in pixels
    N       objects that count; a crowd counts as one
    h, w    rows and columns of one thing's window

A thing is an alpha [h, w] from 0 to 1. Its pixels are those of alpha 0.5 or more; its box is the
smallest around them, in whole pixels, and stays what it is when something is put before it.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8

Alpha = Float32[np.ndarray, "h w"]
Window = tuple[int, int, int, int]  # x1, y1, x2, y2 in whole pixels, half-open
NOBODY = -1
TRIES = 12  # places that are looked at for one thing


@dataclass(eq=False)
class Canvas:
    """image [3, S, S] is painted in place; owner [S, S] has the foremost object of each pixel."""

    image: UInt8[np.ndarray, "3 S S"]
    min_visible: float
    points: bool = False  # whether to find the extreme points of each object
    owner: Int16[np.ndarray, "S S"] = field(init=False)
    boxes: list[Window] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)  # of the whole thing
    seen: list[int] = field(default_factory=list)  # of these, how many nothing hides
    extremes: list[list[tuple[float, float]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner = np.full(self.image.shape[1:], NOBODY, dtype=np.int16)

    def room(self, alpha: Alpha, rng: np.random.Generator) -> tuple[int, int] | None:
        """A place (x, y) for the window where it hides nothing too much, or None.

        The same number of random numbers is drawn, whatever is found.
        """
        S = len(self.owner)
        inside = alpha >= 0.5
        h, w = alpha.shape
        if h > S or w > S:
            return None
        for u, v in rng.random((TRIES, 2)).tolist():
            x, y = int(u * (S - w + 1)), int(v * (S - h + 1))
            if not self.boxes:
                return x, y
            hidden = self._hidden(inside, x, y)
            if all(
                seen - lost >= self.min_visible * pixels
                for seen, lost, pixels in zip(self.seen, hidden, self.pixels, strict=True)
            ):
                return x, y
        return None

    def put(
        self,
        alpha: Alpha,
        color: Float32[np.ndarray, "3 _ _"],
        x: int,
        y: int,
        label: int,
        *,
        crowd: bool = False,
        join: bool = False,
    ) -> None:
        """Paint a thing with its window's corner at (x, y); `join` makes it part of the last."""
        h, w = alpha.shape
        part = self.image[:, y : y + h, x : x + w]
        bare = part.astype(np.float32)
        part[:] = bare + (color - bare) * alpha + np.float32(0.5)
        inside = alpha >= 0.5
        hidden = self._hidden(inside, x, y)
        self.seen = [seen - lost for seen, lost in zip(self.seen, hidden, strict=True)]
        box = _bounds(inside, x, y)
        pixels = int(np.count_nonzero(inside))
        if join:
            old = self.boxes[-1]
            self.boxes[-1] = (
                min(old[0], box[0]), min(old[1], box[1]), max(old[2], box[2]), max(old[3], box[3]),
            )  # fmt: skip
            self.pixels[-1] += pixels - hidden[-1]
            self.seen[-1] += pixels
        else:
            self.boxes.append(box)
            self.labels.append(label)
            self.crowd.append(crowd)
            self.pixels.append(pixels)
            self.seen.append(pixels)
            if self.points:
                self.extremes.append(_extremes(inside, box, x, y))
        self.owner[y : y + h, x : x + w][inside] = len(self.boxes) - 1

    def mean_color(self, alpha: Alpha, x: int, y: int) -> list[float]:
        """The mean of the colours behind a window: of 64 of its pixels, added as whole numbers."""
        h, w = alpha.shape
        sample = self.image[:, y : y + h : max(h // 8, 1), x : x + w : max(w // 8, 1)]
        return (sample.sum((1, 2), dtype=np.int64) / sample[0].size).tolist()

    def _hidden(self, inside: Bool[np.ndarray, "h w"], x: int, y: int) -> list[int]:
        """How many visible pixels of each object lie under the window's pixels."""
        h, w = inside.shape
        under = self.owner[y : y + h, x : x + w][inside]
        return np.bincount(under[under >= 0], minlength=len(self.boxes)).tolist()


def _bounds(inside: Bool[np.ndarray, "h w"], x: int, y: int) -> Window:
    h, w = inside.shape
    columns, rows = np.asarray(inside.any(0)), np.asarray(inside.any(1))
    return (
        x + int(columns.argmax()),
        y + int(rows.argmax()),
        x + w - int(columns[::-1].argmax()),
        y + h - int(rows[::-1].argmax()),
    )


def _extremes(
    inside: Bool[np.ndarray, "h w"], box: Window, x: int, y: int
) -> list[tuple[float, float]]:
    """The middle pixel of the first row, first column, last row and last column, as its centre."""
    x1, y1, x2, y2 = box[0] - x, box[1] - y, box[2] - x, box[3] - y

    def middle(line: Bool[np.ndarray, " n"]) -> int:
        places = np.flatnonzero(line)
        return int(places[len(places) // 2])

    return [
        (x + middle(inside[y1]) + 0.5, y + y1 + 0.5),
        (x + x1 + 0.5, y + middle(inside[:, x1]) + 0.5),
        (x + middle(inside[y2 - 1]) + 0.5, y + y2 - 0.5),
        (x + x2 - 0.5, y + middle(inside[:, x2 - 1]) + 0.5),
    ]
