"""COCO's segmentations: looked at first, since the C code that draws them trusts its input."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as run_lengths

from course_lib.data.readers.fields import field, numbers, short
from course_lib.data.readers.problems import Finding


def check_segmentation(value: Any, H: int, W: int) -> Any:
    """Polygons or run lengths of an image of H x W, as pycocotools takes them; or Finding."""
    try:
        return _run_lengths(value, H, W) if isinstance(value, Mapping) else _polygons(value)
    except Finding as finding:
        raise Finding("bad mask", f"the segmentation {finding.message}") from None


def draw_segmentation(value: Any, H: int, W: int) -> Bool[np.ndarray, "H W"]:
    """The pixels of a segmentation that `check_segmentation` has answered."""
    drawn = run_lengths.frPyObjects(value, H, W) if isinstance(value, list) else value
    return run_lengths.decode(
        run_lengths.merge(drawn) if isinstance(drawn, list) else drawn
    ).astype(bool)


def _polygons(value: Any) -> list[list[float]]:
    if not isinstance(value, list) or not value:
        raise Finding("bad mask", f"must be polygons or run lengths, got {short(value)}")
    polygons = []
    for i, polygon in enumerate(value):
        points = numbers(polygon, f"polygon {i}")
        if len(points) < 6 or len(points) % 2:
            raise Finding("bad mask", f"has a polygon of {len(points)} numbers: x, y of 3 or more")
        polygons.append(points)
    return polygons


def _run_lengths(value: Mapping[str, Any], H: int, W: int) -> dict[str, Any]:
    """Compressed run lengths, whose sum is the number of pixels."""
    size, counts = field(value, "size"), field(value, "counts")
    if size != [H, W]:
        raise Finding("bad mask", f"is of size {short(size)}, its image is [{H}, {W}]")
    if isinstance(counts, list):
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
            raise Finding("bad mask", f"has counts that are no whole numbers: {short(counts)}")
        total = sum(counts)
    elif isinstance(counts, str):
        total = sum(_uncompress(counts))
    else:
        raise Finding("bad mask", f"has counts that are no list and no text: {short(counts)}")
    if total != H * W:
        raise Finding("bad mask", f"has counts that add up to {total} and not to {H} x {W} pixels")
    if isinstance(counts, list):
        return run_lengths.frPyObjects({"size": size, "counts": counts}, H, W)
    return {"size": size, "counts": counts}


def _uncompress(counts: str) -> list[int]:
    """COCO's text of run lengths: five bits a character, each from the third on a difference."""
    lengths: list[int] = []
    value = bits = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise Finding("bad mask", f"has the character {character!r} in its counts")
        value |= (code & 31) << bits
        bits += 5
        if code & 32:
            if bits > 60:
                raise Finding("bad mask", "has a count that does not end")
            continue
        if code & 16:
            value -= 1 << bits
        length = value + (lengths[-2] if len(lengths) > 2 else 0)
        if length < 0:
            raise Finding("bad mask", f"has a negative count, {length}")
        lengths.append(length)
        value = bits = 0
    if bits:
        raise Finding("bad mask", "breaks off in the middle of a count")
    return lengths
