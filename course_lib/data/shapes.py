"""Shapes: endless pictures to learn detection on, painted in memory in about a millisecond each.

Ellipses, rectangles and triangles, on request stars, turned and stretched, some in front of others,
on textured ground. Each class has its usual colours, as apples and lemons have, but shares them
with its neighbours: in the end the outline tells. What makes it harder is an option.
"""

from collections.abc import Sequence

import numpy as np

from course_lib.data.canvas import Alpha, Canvas
from course_lib.data.colors import apart, shading
from course_lib.data.outlines import OUTLINES, signed_distance
from course_lib.data.painted import PaintedDataset
from course_lib.data.painting import Number, chance, direction
from course_lib.data.textures import background

STREAM = 101  # the third number of the key: no other series of pictures has it
CLASSES = ("ellipse", "rectangle", "triangle", "star")


class Shapes(PaintedDataset):
    """Pictures of shapes; (seed, index) and the options fix each to the last bit, on any machine.

        image, target = Shapes()[0]              # uint8 [3, 128, 128] and its truth
        train, valid = Shapes(1500, seed=0), Shapes(200, seed=1)

    size: how many pictures the dataset has; picture i is the same in a larger one.
    side: S, rows and columns of a picture.
    classes: any of ellipse, rectangle, triangle, star, in the order of the labels.
    objects: fewest and most objects in a picture, not counting a crowd. Where there is no room
        for the last of them, there are fewer.
    sizes: shortest and longest side, in pixels, that the longer side of a box has; each octave
        between is as frequent as the next. By default 16 to half of `side`, so 256 fills COCO's
        small, medium and large, and 128 small and medium.
    stretch: up to so many times longer than wide.
    tilt: how far they are turned to either side, as the tangent of half the angle: 0.2 is 23
        degrees, and 1 lets them stand in any direction.
    hues: the share of the colour circle that each class takes its colours from, its middle a third
        of the circle from the next of three classes. 1: nothing but the outline tells the class.
    min_visible: at least this share of each object is not hidden by others; 1 for no occlusion.
    contrast: how lively the ground is, from 0 (flat) on.
    crowds: the share of pictures with a crowd: many small shapes of one class under one box with
        `iscrowd` 1, not counted in `objects`.
    masks, keypoints: whether targets have them; see `PaintedDataset`, as for all they hold.

    Errors: ValueError, TypeError for an option out of its range; IndexError past the end.
    """

    def __init__(
        self,
        size: int = 1500,
        seed: int = 0,
        *,
        side: int = 128,
        classes: Sequence[str] = CLASSES[:3],
        objects: tuple[int, int] = (1, 5),
        sizes: tuple[Number, Number] | None = None,
        stretch: Number = 1.3,
        tilt: Number = 0.2,
        hues: Number = 0.5,
        min_visible: Number = 0.75,
        contrast: Number = 0.6,
        crowds: Number = 0.0,
        masks: bool = False,
        keypoints: bool = False,
    ) -> None:
        super().__init__(
            size, seed, side=side, min_visible=min_visible, masks=masks, keypoints=keypoints
        )
        unknown = [name for name in classes if name not in OUTLINES]
        if unknown or not classes or len(set(classes)) < len(classes):
            raise ValueError(f"classes must be some of {', '.join(CLASSES)}, got {list(classes)}")
        if not 0 <= objects[0] <= objects[1]:
            raise ValueError(f"objects must be (fewest, most), 0 or more, got {objects}")
        self.sizes = (16.0, side / 2.0) if sizes is None else (float(sizes[0]), float(sizes[1]))
        if not 4 <= self.sizes[0] <= self.sizes[1] <= side - 2:
            raise ValueError(f"sizes must be (least, most) within 4..{side - 2}, got {self.sizes}")
        if stretch < 1:
            raise ValueError(f"stretch must be 1 or more, got {stretch}")
        shares = {"crowds": crowds, "contrast": contrast, "tilt": tilt, "hues": hues}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {share}")
        self.classes = tuple(classes)
        self.objects, self.stretch = objects, stretch
        self.tilt, self.hues = tilt, hues
        self.contrast, self.crowds = contrast, crowds

    def paint(self, index: int) -> Canvas:
        rng = chance(self.seed, index, STREAM)
        ground = background(rng, self.side, self.contrast)
        canvas = Canvas(ground, self.min_visible, self.keypoints)
        many, crowded = rng.random(2).tolist()
        if crowded < self.crowds:
            self._crowd(canvas, rng)
        fewest, most = self.objects
        lengths = octaves(rng, fewest + int(many * (most - fewest + 1)), *self.sizes)
        for length in sorted(lengths, reverse=True):  # the large ones behind
            label = int(rng.random() * len(self.classes))
            alpha, rim = self._shape(rng, label, length)
            place = canvas.room(alpha, rng)
            if place is not None:
                color = self._paint(rng, canvas, label, alpha, rim, place)
                canvas.put(alpha, color, *place, label)
        return canvas

    def _shape(self, rng: np.random.Generator, label: int, length: float) -> tuple[Alpha, Alpha]:
        """A window with one shape in it, and how much of each of its pixels is rim."""
        turn, long, around, dx, dy = rng.random(5).tolist()
        cos, sin = direction(self.tilt * (2 * turn - 1))
        other_half = self.tilt == 1 and around < 0.5  # of the circle
        turned = (-sin, cos) if other_half else (cos, sin)
        stretch = 1 + (self.stretch - 1) * long
        outline = OUTLINES[self.classes[label]]
        distance = signed_distance(outline, length, stretch, turned, (dx - 0.5, dy - 0.5))
        half = np.float32(0.5)
        rim = (distance + np.float32(2)).clip(0, 1)  # the last pixel and a half
        return (half - distance).clip(0, 1), rim

    def _paint(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        label: int,
        alpha: Alpha,
        rim: Alpha,
        place: tuple[int, int],
    ) -> np.ndarray:
        """A colour of the class that stands out here, shaded, with a rim of chance's darkness."""
        hues = (label / len(self.classes), self.hues)
        color = apart(rng, canvas.mean_color(alpha, *place), 170, hues)
        strength = np.float32(0.5 * rng.random())
        return shading(rng, color, *alpha.shape) * (np.float32(1) - strength * rim)

    def _crowd(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """A dozen shapes of the smallest size, close together, as one object."""
        label, wide, high, left, top, many = rng.random(6).tolist()
        label = int(label * len(self.classes))
        side = self.side
        least = self.sizes[0]
        w, h = (min(least * (3.2 + u), side - 2.0 * least) for u in (wide, high))
        x, y = (side - w - 2 * least) * left, (side - h - 2 * least) * top
        first = True
        for u, v, length in rng.random((9 + int(6 * many), 3)).tolist():
            alpha, rim = self._shape(rng, label, least * (0.8 + 0.4 * length))
            place = int(x + u * w), int(y + v * h)
            color = self._paint(rng, canvas, label, alpha, rim, place)
            canvas.put(alpha, color, *place, label, crowd=True, join=not first)
            first = False


def octaves(rng: np.random.Generator, n: int, least: float, most: float) -> list[float]:
    """n lengths from least to most: an octave (a, 2a) is as likely as the next, lengths within one
    are even. A power of 2 with a fraction would need a logarithm, whose last bit differs between
    machines.
    """
    whole, start = 0, least
    while 2 * start <= most:
        whole, start = whole + 1, 2 * start
    total = whole + (most / start - 1)  # the last one may be cut short
    lengths = []
    for u in (rng.random(n) * total).tolist():
        octave = int(u)
        lengths.append(least * 2**octave * (1 + (u - octave)))
    return lengths
