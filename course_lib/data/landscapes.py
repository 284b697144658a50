"""The ground and the sky that the things stand before: gradients, hills, clouds, grass."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from course_lib.data.painting import Color, Ellipse, Number, Polygon, chance, mix, paint

FAR, NEAR = 0.15, 1.0  # how large a thing looks on the horizon, and on the bottom edge


@dataclass(frozen=True)
class Mood:
    """The colours of a time of day: sky above and at the horizon, hills, meadow far and near."""

    name: str
    sky: tuple[Color, Color]
    hills: tuple[Color, Color]
    meadow: tuple[Color, Color]
    cloud: Color
    sun: Color
    flowers: tuple[Color, ...]


MOODS = (
    Mood("summer", ((96, 176, 236), (206, 234, 246)), ((150, 190, 190), (128, 182, 128)),
         ((160, 206, 110), (104, 172, 72)), (255, 255, 255), (255, 240, 170),
         ((255, 255, 255), (255, 226, 90))),
    Mood("morning", ((130, 168, 222), (255, 226, 204)), ((176, 176, 206), (146, 178, 156)),
         ((178, 206, 128), (122, 176, 88)), (255, 240, 236), (255, 236, 190),
         ((255, 255, 255), (240, 170, 210))),
    Mood("evening", ((96, 104, 176), (255, 196, 138)), ((152, 120, 160), (120, 140, 112)),
         ((186, 184, 104), (116, 148, 78)), (255, 214, 190), (255, 214, 130),
         ((255, 220, 160), (230, 140, 170))),
    Mood("autumn", ((132, 180, 214), (238, 232, 214)), ((190, 166, 150), (196, 158, 96)),
         ((208, 194, 112), (164, 164, 72)), (250, 246, 240), (255, 236, 180),
         ((214, 120, 50), (236, 186, 70))),
)  # fmt: skip


@dataclass(frozen=True)
class Land:
    """An empty landscape: its picture, the row of its horizon, and its road if it has one."""

    image: UInt8[np.ndarray, "H W 3"]
    horizon: float
    mood: str
    road: tuple[float, float] | None

    def scale(self, y: Number) -> float:
        """How large a thing looks whose feet stand on row y: perspective of a flat meadow."""
        H = self.image.shape[0]
        return FAR + (NEAR - FAR) * (y - self.horizon) / (H - self.horizon)


def landscape(key: tuple[int, ...], H: int, W: int, *, road: bool = False) -> Land:
    """Paint an empty landscape of H rows and W columns."""
    rng = chance(*key)
    mood = MOODS[int(rng.integers(len(MOODS)))]
    horizon = H * (0.34 + 0.1 * rng.random())
    image = np.zeros((H, W, 3), dtype=np.uint8)
    first = round(horizon)
    image[:first] = _gradient(*mood.sky, first)[:, None]
    image[first:] = _gradient(*mood.meadow, H - first)[:, None]

    r = 0.06 * W
    x, y = W * rng.random(), horizon * (0.25 + 0.4 * rng.random())
    for wide, share in ((1.7, 0.25), (1.35, 0.5), (1.0, 1.0)):
        color = mix(mood.sky[1], mood.sun, share)
        _dab(image, x, y, r * wide, r * wide, color)
    for _ in range(int(rng.integers(2, 5))):
        _cloud(image, rng, mood, horizon)
    for color, rise in zip(mood.hills, (0.42, 0.24), strict=True):
        _hills(image, rng, color, horizon, rise * horizon)
    _texture(image, rng, first)
    lane = None
    if road:
        top = horizon + (H - horizon) * (0.5 + 0.12 * rng.random())
        lane = top, top + (H - horizon) * 0.2
        _road(image, rng, lane)
    _grass(image, rng, mood, horizon, lane)
    return Land(image, horizon, mood.name, lane)


def _gradient(a: Color, b: Color, n: int) -> UInt8[np.ndarray, "n 3"]:
    share = (np.arange(n) + 0.5)[:, None] / n
    return (np.array(a) + (np.array(b) - np.array(a)) * share + 0.5).astype(np.uint8)


def _dab(image: np.ndarray, x: Number, y: Number, rx: Number, ry: Number, color: Color) -> None:
    paint(image, [Ellipse(color, x, y, rx, ry)], (x - rx, y - ry, x + rx, y + ry))


def _cloud(image: np.ndarray, rng: np.random.Generator, mood: Mood, horizon: Number) -> None:
    x, y = image.shape[1] * rng.random(), horizon * (0.12 + 0.45 * rng.random())
    w = image.shape[1] * (0.06 + 0.06 * rng.random())
    color = mix(mood.sky[1], mood.cloud, 0.5 + 0.4 * rng.random())
    puffs = (
        (-0.6, 0, 0.5, 0.18), (0.6, 0.02, 0.55, 0.17), (-0.2, -0.12, 0.36, 0.28),
        (0.25, -0.06, 0.34, 0.22), (0, 0.04, 1.0, 0.16),
    )  # fmt: skip
    drawing = [Ellipse(color, *puff) for puff in puffs]
    paint(image, drawing, (x - w, y - 0.22 * w, x + w, y + 0.22 * w))


def _hills(
    image: np.ndarray, rng: np.random.Generator, color: Color, horizon: Number, rise: Number
) -> None:
    """A row of overlapping half ellipses that stand on the horizon."""
    W = image.shape[1]
    base = round(horizon)
    x = -0.1 * W
    while x < 1.1 * W:
        rx, ry = W * (0.16 + 0.16 * rng.random()), rise * (0.45 + 0.55 * rng.random())
        above = image[:base]  # a view: what would lie below the horizon is not painted
        paint(above, [Ellipse(color, 0, 0, rx, ry)], (x - rx, base - ry, x + rx, base + ry))
        x += rx * (0.7 + 0.5 * rng.random())


def _texture(image: np.ndarray, rng: np.random.Generator, first: int) -> None:
    """Wide, faint patches on the meadow, stretched sideways as seen from the side."""
    H, W = image.shape[:2]
    rows, columns = 9, 8
    patches = rng.random((rows + 1, columns + 1)) - 0.5
    y = (np.arange(H - first) + 0.5) / (H - first)
    y = y * (2 - y) * rows  # narrower rows towards the horizon, as perspective has it
    x = (np.arange(W) + 0.5) / W * columns
    i, j = y.astype(np.int64).clip(max=rows - 1), x.astype(np.int64).clip(max=columns - 1)
    u, v = (y - i)[:, None], (x - j)[None]
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    i, j = i[:, None], j[None]
    top = patches[i, j] * (1 - v) + patches[i, j + 1] * v
    bottom = patches[i + 1, j] * (1 - v) + patches[i + 1, j + 1] * v
    light = (top * (1 - u) + bottom * u) * 30
    meadow = image[first:]
    meadow[:] = (meadow + np.floor(light)[..., None]).clip(0, 255).astype(np.uint8)


def _road(image: np.ndarray, rng: np.random.Generator, lane: tuple[float, float]) -> None:
    W = image.shape[1]
    top, bottom = lane
    grey = mix((150, 146, 148), (176, 160, 140), rng.random())
    edge = mix(grey, (255, 255, 255), 0.35)

    image[round(top) - 2 : round(bottom) + 3] = edge
    image[round(top) : round(bottom)] = grey
    middle, x = (top * 0.52 + bottom * 0.48), -20 * rng.random()
    while x < W:
        paint(
            image,
            [Polygon((240, 236, 220), ((1, 0), (10, 0), (9, 1), (0, 1)))],
            (x, middle - 1.2, x + 22, middle + 1.2),
        )
        x += 44


def _grass(
    image: np.ndarray,
    rng: np.random.Generator,
    mood: Mood,
    horizon: Number,
    lane: tuple[float, float] | None,
) -> None:
    """Tufts and flowers, the nearer the larger, none on the road."""
    H, W = image.shape[:2]
    for where, kind, shade in rng.random((52, 3)):
        y = horizon + 3 + (H - horizon - 3) * where
        x = W * rng.random()
        size = 1.2 + 5 * (y - horizon) / (H - horizon)
        if lane and lane[0] - 6 < y < lane[1] + size + 4:
            continue
        ground = mix(*mood.meadow, where)
        if kind < 0.72:
            dark = mix(ground, (30, 80, 40) if shade < 0.6 else (240, 250, 170), 0.22)
            blades = ((0, 4), (1.2, 0.8), (2, 4), (3, 0), (4, 4), (5, 1.4), (6, 4))
            half = size * 0.9
            paint(image, [Polygon(dark, blades)], (x - half, y - size, x + half, y))
        else:
            flower = mood.flowers[int(shade * len(mood.flowers))]
            r = size * 0.3
            _dab(image, x, y - r, r, r, flower)
