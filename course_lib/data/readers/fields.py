"""Values from files, looked at before they are believed: each is answered, or a Finding raised."""

import math
from collections.abc import Mapping
from typing import Any

from course_lib.data.readers.problems import Finding

BORDER = 0.5  # px that a box may reach out of its image: files round


def field(row: Mapping[str, Any], key: str) -> Any:
    """row[key], which must be there."""
    if key not in row:
        there = ", ".join(map(repr, row)) or "nothing"
        raise Finding("missing field", f"has no {key!r}, only {there}")
    return row[key]


def whole(row: Mapping[str, Any], key: str, least: int | None = None) -> int:
    """A whole number; `least`: the smallest that makes sense."""
    value = field(row, key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Finding("wrong type", f"{key!r} must be a whole number, got {short(value)}")
    if least is not None and value < least:
        raise Finding("bad number", f"{key!r} must be {least} or more, got {value}")
    return value


def text(row: Mapping[str, Any], key: str) -> str:
    """A text that is not empty."""
    value = field(row, key)
    if not isinstance(value, str) or not value.strip():
        raise Finding("wrong type", f"{key!r} must be a text, got {short(value)}")
    return value


def number(value: Any, name: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Finding("wrong type", f"{name} must be a number, got {short(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise Finding("bad number", f"{name} must be finite, got {short(value)}")
    return result


def numbers(value: Any, name: str, count: int | None = None) -> list[float]:
    """A list of finite numbers, `count` of them."""
    if not isinstance(value, list):
        raise Finding("wrong type", f"{name} must be a list of numbers, got {short(value)}")
    if count is not None and len(value) != count:
        raise Finding("wrong type", f"{name} must have {count} numbers, got {len(value)}")
    return [number(item, f"{name}[{i}]") for i, item in enumerate(value)]


def check_box(box: tuple[float, float, float, float], H: int, W: int) -> None:
    """Has it a size, and does it lie in its image of H x W?"""
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        raise Finding("empty box", f"the box is {x2 - x1:g} wide and {y2 - y1:g} high")
    if x1 < -BORDER or y1 < -BORDER or x2 > W + BORDER or y2 > H + BORDER:
        reach = f"from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g})"
        raise Finding("box outside", f"the box reaches {reach}, the image is {W} wide and {H} high")


def clip(
    box: tuple[float, float, float, float], H: int, W: int
) -> tuple[float, float, float, float]:
    """The part of the box in its image of H x W; empty if there is none."""
    x1, y1, x2, y2 = box
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(W)), min(y2, float(H))


def short(value: Any) -> str:
    """A value as text, not longer than a line."""
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."
