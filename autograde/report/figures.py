"""Figures as inline SVG: the text stays text, and colours come from the page, light or dark."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from course_lib.draw import ANCHOR, ENCLOSING, IGNORED, OVERLAP, PREDICTION, TRUTH

COLOURS = {
    "passed": OVERLAP,
    "partial": ANCHOR,
    "failed": PREDICTION,
    "not attempted": IGNORED,
    "refused": ENCLOSING,
    "error": TRUTH,
}
WIDTH, HEIGHT = 480, 200  # units of a chart; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 22, 40


def slug(status: str) -> str:
    """The status as the name of a CSS class."""
    return status.replace(" ", "-")


def _svg(
    inner: str, title: str, kind: str, size: tuple[float, float], stretch: bool = False
) -> Markup:
    ratio = ' preserveAspectRatio="none"' if stretch else ""
    return Markup(
        f'<svg class="{kind}" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {size[0]:g} {size[1]:g}"{ratio}>{inner}</svg>'
    )


def stacked(counts: Mapping[str, int], title: str) -> Markup:
    """One bar: how many ended in each status, side by side."""
    total = sum(counts.values())
    parts, x = [], 0.0
    for status, count in counts.items():
        if count:
            width = 100 * count / total
            parts.append(
                f'<rect class="{slug(status)}" x="{x:.2f}" y="0" width="{width:.2f}" height="10">'
                f"<title>{count} {escape(status)}</title></rect>"
            )
            x += width
    return _svg("".join(parts), title, "stacked", (100, 10), stretch=True)


def bar(part: float, title: str) -> Markup:
    """A part of the whole, 0 to 1, as a bar."""
    width = 100 * min(max(part, 0.0), 1.0)
    inner = f'<rect class="ground" width="100" height="10"/><rect width="{width:.2f}" height="10"/>'
    return _svg(inner, title, "bar", (100, 10), stretch=True)


def _columns(counts: Sequence[int]) -> tuple[list[str], float, float]:
    """Bars of a chart, the width of a place, and units for each that is counted."""
    place = (WIDTH - LEFT - RIGHT) / max(len(counts), 1)
    unit = (HEIGHT - TOP - BOTTOM) / max(max(counts, default=0), 1)
    bars = [
        f'<rect x="{LEFT + k * place + 1:.1f}" y="{HEIGHT - BOTTOM - count * unit:.1f}" '
        f'width="{max(place - 2, 1):.1f}" height="{count * unit:.1f}"/>'
        for k, count in enumerate(counts)
        if count
    ]
    return bars, place, unit


def _frame(highest: int, unit: float, below: str) -> list[str]:
    """The ground line, the scale on the left, and what is counted below."""
    base = HEIGHT - BOTTOM
    step = _step(highest)
    marks = []
    for count in range(0, highest + 1, step):
        y = base - count * unit
        marks.append(
            f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="right" x="{LEFT - 6}" y="{y + 5:.1f}">{count}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*marks, f'<text class="mid" x="{middle}" y="{HEIGHT - 4}">{escape(below)}</text>']


def _step(highest: int) -> int:
    """A round step that gives two to five marks."""
    size = 10 ** int(math.log10(max(highest / 2, 1)))
    return next(s * size for s in (1, 2, 5, 10) if highest / (s * size) <= 5)


def score_counts(scores: Sequence[float], most: float) -> list[int]:
    """How many have 0 to below 1 point, 1 to below 2, and so on; all points have a place alone."""
    found = Counter(min(math.floor(s + 1e-9), math.floor(most)) for s in scores)
    return [found[k] for k in range(math.floor(most) + 1)]


def score_chart(
    scores: Sequence[float], most: float, quartiles: tuple[float, float, float] | None
) -> Markup:
    """How many have how many points, with the median and the middle half of the class."""
    counts = score_counts(scores, most)
    bars, place, unit = _columns(counts)
    base = HEIGHT - BOTTOM
    parts = _frame(max(counts), unit, "points")
    title = "Number of students by points"
    for k in range(0, len(counts), max(1, round(most / 4))):
        x = LEFT + (k + 0.5) * place
        parts.append(f'<text class="mid" x="{x:.1f}" y="{base + 17}">{k}</text>')
    parts += bars
    if quartiles:
        low, median, high = (LEFT + (q + 0.5) * place for q in quartiles)
        side = "right" if median > WIDTH / 2 else ""
        shift = -6 if side else 6
        parts.append(
            f'<line class="half" x1="{low:.1f}" x2="{high:.1f}" y1="{TOP - 4}" y2="{TOP - 4}"/>'
            f'<line class="median" x1="{median:.1f}" x2="{median:.1f}" y1="4" y2="{base}"/>'
            f'<text class="{side}" x="{median + shift:.1f}" y="13">'
            f"median {quartiles[1]:.4g}</text>"
        )
        title += (
            f"; median {quartiles[1]:.4g}, the middle half between {quartiles[0]:.4g} "
            f"and {quartiles[2]:.4g}"
        )
    return _svg("".join(parts), title, "chart", (WIDTH, HEIGHT))


def time_counts(seconds: Sequence[float]) -> list[tuple[str, int]]:
    """How many took up to 5 seconds, up to 10, 20, …: each place twice as wide as the last."""
    edges = [5.0]
    while edges[-1] < max(seconds, default=0.0) and len(edges) < 12:
        edges.append(edges[-1] * 2)
    places = Counter(
        next((k for k, e in enumerate(edges) if s <= e), len(edges) - 1) for s in seconds
    )
    first = min(places, default=0)
    return [(f"≤ {e:g}", places[k]) for k, e in enumerate(edges) if k >= first]


def time_chart(seconds: Sequence[float]) -> Markup:
    """How many notebooks took how long."""
    found = time_counts(seconds)
    counts = [count for _, count in found]
    bars, place, unit = _columns(counts)
    parts = [*_frame(max(counts, default=0), unit, "seconds"), *bars]
    for k, (label, count) in enumerate(found):
        x = LEFT + (k + 0.5) * place
        parts.append(f'<text class="mid" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}">{label}</text>')
        if count:
            y = HEIGHT - BOTTOM - count * unit - 5
            parts.append(f'<text class="mid" x="{x:.1f}" y="{y:.1f}">{count}</text>')
    title = "Number of notebooks by seconds: " + ", ".join(f"{n} {label}" for label, n in found)
    return _svg("".join(parts), title, "chart", (WIDTH, HEIGHT))
