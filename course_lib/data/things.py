"""The things in the pictures: each a short list of shapes, told apart by colour and outline.

Each function gets a generator (for its colours) and answers a drawing that faces right, in
coordinates of its own: about 100 units across, y downwards.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from course_lib.data.painting import Ellipse, Polygon, Shape, Stroke, mix

CLASSES = ("sheep", "dog", "cat", "bird", "car", "tree", "balloon")

T = TypeVar("T")
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def draw_thing(name: str, rng: np.random.Generator) -> list[Shape]:
    """A drawing of one of CLASSES, in colours that the generator picks."""
    if name not in _DRAW:
        raise ValueError(f"name must be one of {', '.join(CLASSES)}, got {name!r}")
    return _DRAW[name](rng)


def sheep(rng: np.random.Generator, *, black: bool = False) -> list[Shape]:
    wool = (84, 76, 84) if black else mix((255, 252, 243), (236, 226, 206), rng.random())
    shade = mix(wool, (60, 56, 80), 0.28 if not black else 0.45)
    face = (196, 178, 160) if black else (52, 46, 50)
    ear = mix(face, BLACK, 0.25)
    leg = (40, 36, 40)
    eye = (40, 30, 30) if black else WHITE
    rim = mix(wool, (110, 96, 96), 0.34)  # so that one sheep stands out from the next
    puffs = ((14, 36, 8), (24, 38, 13), (34, 25, 13), (50, 21, 14), (65, 27, 13), (72, 40, 11))
    return [
        Stroke(leg, ((30, 58), (29, 78)), 7),
        Stroke(leg, ((66, 58), (67, 78)), 7),
        Stroke(mix(leg, BLACK, 0.3), ((41, 58), (42, 76)), 7),
        Stroke(mix(leg, BLACK, 0.3), ((57, 58), (56, 76)), 7),
        *(Ellipse(shade, x, y, r, r) for x, y, r in ((26, 53, 12), (42, 57, 13), (58, 56, 13))),
        Ellipse(shade, 69, 50, 11, 11),
        *(Ellipse(rim, x, y, r, r) for x, y, r in puffs),
        *(Ellipse(wool, x, y, r - 1.7, r - 1.7) for x, y, r in puffs),
        Ellipse(wool, 46, 41, 29, 19),
        *(Ellipse(wool, x, y, 9, 8) for x, y in ((26, 48), (42, 51), (58, 50))),
        Ellipse(face, 84, 33, 10, 15, -0.22),
        Ellipse(ear, 72.5, 27, 7.5, 4, 0.2),
        Ellipse(wool, 80, 19, 9, 7),
        Ellipse(eye, 86, 29, 2.8, 3.2),
        Ellipse(BLACK, 86.8, 29.4, 1.4, 1.7),
    ]


def dog(rng: np.random.Generator) -> list[Shape]:
    coat = _pick(rng, ((150, 92, 48), (176, 116, 62), (124, 74, 44)))
    dark = mix(coat, (40, 20, 10), 0.45)
    light = mix(coat, (255, 236, 208), 0.55)
    collar = _pick(rng, ((214, 40, 48), (40, 110, 200)))
    return [
        Stroke(coat, ((16, 42), (7, 32), (5, 18)), 7),
        Stroke(dark, ((27, 52), (31, 81)), 8),
        Stroke(dark, ((62, 52), (60, 81)), 8),
        Stroke(coat, ((20, 48), (19, 65), (21, 82)), 10),
        Stroke(coat, ((68, 48), (69, 82)), 10),
        Ellipse(light, 24, 84, 7, 4),
        Ellipse(light, 72, 84, 7, 4),
        Ellipse(coat, 24, 48, 13, 14),
        Ellipse(coat, 64, 46, 13, 15),
        Polygon(coat, ((22, 35), (66, 31), (66, 60), (24, 60))),
        Ellipse(light, 56, 58, 14, 5, -0.06),
        Polygon(coat, ((58, 40), (68, 14), (84, 30), (76, 52))),
        Stroke(collar, ((65, 33), (79, 40)), 6),
        Ellipse(coat, 78, 22, 15, 14),
        Ellipse(light, 92, 28, 12, 7.5, 0.08),
        Ellipse(coat, 82, 20, 9, 9),
        Ellipse((30, 22, 24), 102, 25, 4.5, 4),
        Ellipse(dark, 68, 27, 7, 15, 0.16),
        Ellipse((24, 18, 20), 86, 18, 2.6, 3),
        Ellipse(WHITE, 86.8, 17, 1, 1.1),
    ]


def cat(rng: np.random.Generator) -> list[Shape]:
    coat = _pick(rng, ((242, 146, 44), (246, 160, 64), (236, 130, 36)))
    stripe = mix(coat, (120, 40, 0), 0.45)
    light = (255, 240, 220)
    inner = (255, 176, 160)
    return [
        Stroke(coat, ((56, 92), (76, 91), (86, 80), (84, 66)), 9),
        Stroke(light, ((85, 72), (84, 66)), 8),
        Ellipse(coat, 40, 76, 25, 22),
        Ellipse(coat, 40, 60, 18, 24),
        Ellipse(light, 40, 68, 9, 17),
        *(Stroke(stripe, ((x, y), (x + d, y - 3)), 4) for x, y, d in ((17, 76, 7), (16, 84, 8))),
        *(Stroke(stripe, ((x, y), (x - d, y - 3)), 4) for x, y, d in ((63, 76, 7), (64, 84, 8))),
        Stroke(coat, ((33, 72), (32, 93)), 9),
        Stroke(coat, ((47, 72), (48, 93)), 9),
        Ellipse(light, 31, 95, 7, 4),
        Ellipse(light, 49, 95, 7, 4),
        Polygon(coat, ((16, 34), (15, 2), (38, 18))),
        Polygon(coat, ((64, 34), (65, 2), (42, 18))),
        Polygon(inner, ((20, 26), (19, 10), (31, 18))),
        Polygon(inner, ((60, 26), (61, 10), (49, 18))),
        Ellipse(coat, 40, 34, 27, 22),
        Stroke(stripe, ((40, 14), (40, 23)), 4),
        Stroke(stripe, ((32, 15), (33, 22)), 3.5),
        Stroke(stripe, ((48, 15), (47, 22)), 3.5),
        Ellipse(light, 40, 43, 13, 9),
        Ellipse((60, 140, 70), 29, 33, 5, 6),
        Ellipse((60, 140, 70), 51, 33, 5, 6),
        Ellipse((20, 20, 20), 29, 33.5, 2.2, 5),
        Ellipse((20, 20, 20), 51, 33.5, 2.2, 5),
        Polygon((230, 96, 110), ((36.5, 38), (43.5, 38), (40, 42.5))),
    ]


def bird(rng: np.random.Generator) -> list[Shape]:
    back = _pick(rng, ((32, 74, 158), (24, 60, 130), (52, 60, 150)))
    wing = mix(back, BLACK, 0.35)
    belly = (246, 132, 52)
    return [
        Ellipse(wing, 40, 24, 8, 23, -0.2),
        Polygon(back, ((26, 42), (0, 34), (6, 43), (0, 53), (26, 50))),
        Ellipse(back, 48, 44, 26, 13),
        Ellipse(belly, 54, 49, 19, 9.5),
        Ellipse(back, 72, 38, 12, 11),
        Polygon((250, 196, 48), ((81, 35), (97, 40), (81, 44))),
        Ellipse(wing, 51, 24, 11, 24, -0.04),
        Ellipse(mix(back, WHITE, 0.3), 52, 28, 6.5, 17, -0.04),
        Ellipse(WHITE, 75, 36, 4, 4),
        Ellipse((16, 16, 24), 76, 36, 2.2, 2.4),
    ]


def car(rng: np.random.Generator) -> list[Shape]:
    body = _pick(rng, ((214, 40, 44), (226, 60, 40), (44, 96, 200), (250, 196, 36), (30, 150, 140)))
    dark = mix(body, BLACK, 0.3)
    glass, tyre = (190, 226, 240), (36, 36, 42)
    return [
        Polygon(body, ((22, 26), (36, 4), (72, 4), (92, 26))),
        Stroke(body, ((37, 5.5), (71, 5.5)), 7),
        Polygon(glass, ((29, 25), (39, 9), (53, 9), (53, 25))),
        Polygon(glass, ((58, 25), (58, 9), (69, 9), (83, 25))),
        Polygon(mix(glass, WHITE, 0.6), ((44, 25), (49, 9), (53, 9), (48, 25))),
        Stroke(body, ((12, 30), (104, 31)), 14),
        Polygon(body, ((5, 28), (112, 30), (112, 46), (5, 46))),
        Stroke(dark, ((8, 45), (109, 45)), 5),
        Polygon(mix(body, WHITE, 0.35), ((8, 28), (100, 28), (104, 31), (8, 31))),
        Stroke(dark, ((55.5, 28), (55.5, 42)), 1.6),
        Stroke(dark, ((60, 34), (66, 34)), 2.2),
        Ellipse((255, 240, 160), 109, 35, 4.5, 4.5),
        Ellipse((250, 110, 70), 6.5, 34, 3, 4.5),
        *(Ellipse(tyre, x, 47, 12, 12) for x in (29, 88)),
        *(Ellipse((206, 210, 216), x, 47, 6, 6) for x in (29, 88)),
        *(Ellipse(tyre, x, 47, 2, 2) for x in (29, 88)),
    ]


def tree(rng: np.random.Generator) -> list[Shape]:
    bark = (112, 74, 46)
    if rng.random() < 0.4:
        dark = _pick(rng, ((22, 84, 66), (28, 92, 58)))
        light = mix(dark, (120, 190, 120), 0.35)
        layers: list[Shape] = [Polygon(bark, ((42, 100), (44, 124), (56, 124), (58, 100)))]
        for top, bottom, half in ((58, 112, 42), (30, 84, 34), (0, 54, 25)):
            layers.append(Polygon(dark, ((50, top), (50 + half, bottom), (50 - half, bottom))))
            slope = ((50, top), (50 - half, bottom), (50 - half * 0.25, bottom - 5))
            layers.append(Polygon(light, slope))
        return layers
    leaf = _pick(rng, ((42, 116, 48), (56, 126, 40), (34, 104, 62)))
    light, dark = mix(leaf, (196, 226, 96), 0.4), mix(leaf, (6, 40, 40), 0.4)
    return [
        Polygon(bark, ((43, 70), (40, 124), (60, 124), (57, 70))),
        Stroke(bark, ((50, 84), (68, 66)), 6),
        Stroke(mix(bark, BLACK, 0.3), ((55, 78), (57, 122)), 4),
        *(Ellipse(dark, x, y, r, r) for x, y, r in ((22, 58, 20), (50, 66, 20), (78, 58, 20))),
        *(
            Ellipse(leaf, x, y, r, r)
            for x, y, r in ((22, 50, 20), (78, 50, 20), (32, 28, 20), (66, 26, 20), (50, 44, 26))
        ),
        Ellipse(leaf, 50, 20, 19, 19),
        *(Ellipse(light, x, y, r, r) for x, y, r in ((42, 17, 10), (27, 31, 9), (62, 30, 8))),
        *(Ellipse(light, x, y, r, r) for x, y, r in ((20, 48, 7), (46, 46, 9), (74, 48, 7))),
    ]


def balloon(rng: np.random.Generator) -> list[Shape]:
    one, two = _pick(
        rng, (((226, 52, 88), (255, 214, 96)), ((124, 70, 180), (255, 170, 190)),
              ((240, 110, 40), (250, 244, 230)))
    )  # fmt: skip
    rope, basket = (92, 66, 50), (160, 104, 56)
    tip = 92.0  # where the envelope's stripes meet
    return [
        Stroke(rope, ((36, 84), (42, 106)), 1.8),
        Stroke(rope, ((60, 84), (54, 106)), 1.8),
        Ellipse(one, 48, 42, 42, 42),
        Polygon(one, ((19.3, 72.7), (40, tip), (56, tip), (76.7, 72.7))),
        Ellipse(two, 48, 42, 28, 42),
        Polygon(two, ((28.9, 72.7), (42.7, tip), (53.3, tip), (67.1, 72.7))),
        Ellipse(one, 48, 42, 12, 42),
        Polygon(one, ((39.8, 72.7), (45.7, tip), (50.3, tip), (56.2, 72.7))),
        Ellipse(mix(one, WHITE, 0.45), 26, 24, 5, 10, 0.25),
        Stroke(basket, ((42, 108), (54, 108)), 5),
        Polygon(basket, ((40, 107), (56, 107), (54.5, 121), (41.5, 121))),
        Stroke(mix(basket, BLACK, 0.3), ((41, 114), (55, 114)), 1.6),
    ]


def _pick(rng: np.random.Generator, options: tuple[T, ...]) -> T:
    return options[int(rng.integers(len(options)))]


_DRAW: dict[str, Callable[[np.random.Generator], list[Shape]]] = {
    "sheep": sheep, "dog": dog, "cat": cat, "bird": bird, "car": car, "tree": tree,
    "balloon": balloon,
}  # fmt: skip
