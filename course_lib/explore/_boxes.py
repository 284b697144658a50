"""Is this a box that a picture can show? What explorers of boxes ask of what Python sets."""

import math
from typing import Any

import traitlets

Box = list[int | float]  # x1, y1, x2, y2


def as_box(value: Any, width: int | float, height: int | float, name: str) -> Box:
    """The box as a list, if it lies in the picture; TraitError if not."""
    try:
        x1, y1, x2, y2 = value
        fits = all(math.isfinite(side) for side in value)
        fits = fits and 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise traitlets.TraitError(
            f"{name} must be [x1, y1, x2, y2] with 0 <= x1 < x2 <= {width} and "
            f"0 <= y1 < y2 <= {height}, got {value!r}"
        )
    return [x1, y1, x2, y2]
