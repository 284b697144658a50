"""A loss curve that grows in the notebook while the model learns, and stays there when it has.

While it grows it is a small drawing in SVG, which takes a millisecond; a figure of matplotlib would
take a tenth of a second, several times a second. At the end a figure takes its place, which is
saved with the notebook.
"""

from __future__ import annotations

import html
import time
from typing import Any

import numpy as np
from IPython.display import HTML, display

from course_lib.draw import INK
from course_lib.engine.config import FitConfig
from course_lib.engine.figures import (
    binned,
    curves,
    log_range,
    log_ticks,
    look,
    loss_picture,
    number,
    spread,
)
from course_lib.engine.history import History
from course_lib.engine.progress import Moment, Reporter, left

EVERY = 0.5  # seconds between two drawings
SHARE = 0.02  # of the time, at most, for drawing
WIDTH, HEIGHT = 620, 250  # of the drawing, in CSS pixels
LEFT, RIGHT, TOP, BOTTOM = 46, 150, 10, 34  # around the plot


class Curve(Reporter):
    """Shows the curve in the output of the cell that calls `fit`."""

    def __init__(self, config: FitConfig) -> None:
        self.config = config
        self._handle: Any = None
        self._next = 0.0

    def start(self) -> None:
        self._handle = display(HTML(_card("getting ready", _svg([], ""))), display_id=True)

    def show(self, moment: Moment) -> None:
        now = time.monotonic()
        if now < self._next and moment.share < 1:
            return
        self._handle.update(HTML(live(moment, self.config)))
        took = time.monotonic() - now
        self._next = now + max(EVERY, took / SHARE)

    def close(self, history: History | None) -> None:
        self._handle.update(loss_picture(history) if history and history.steps else HTML(""))


def live(moment: Moment, config: FitConfig) -> str:
    """The drawing after a step, with a line of numbers above it."""
    history, budget = moment.history, config.budget
    rows = curves(history)
    if budget is None:
        total, unit = float(config.steps or 1), "steps"
        x = binned(range(1, history.steps + 1)) / total
        done = f"step {moment.step} of {config.steps}"
    else:
        total, unit = float(budget), "seconds"
        x = binned(history.seconds) / total
        done = f"step {moment.step}"
    words = [done, f"loss {number(rows['loss'][-1])}"]
    words += [f"{history.images_per_second:.0f} images/s", left(moment.seconds_left)]
    if history.valid:
        words.append(f"AP {history.valid[-1]['AP']:.2f}, AP50 {history.valid[-1]['AP50']:.2f}")
    drawing = _axes(rows, total, unit) + _lines(x, rows)
    return _card(" · ".join(words), _svg(drawing, ", ".join(words)))


def _card(words: str, drawing: str) -> str:
    """White like all figures of the course, whatever the notebook's theme."""
    return (
        f'<figure style="margin:0.5em 0;padding:10px;max-width:{WIDTH + 20}px;'
        f'box-sizing:border-box;background-color:#fff;border-radius:8px;color:{INK}">'
        '<figcaption style="color:#333;font-size:0.9em;line-height:1.4;margin-bottom:6px;'
        f'font-variant-numeric:tabular-nums">{html.escape(words)}</figcaption>{drawing}</figure>'
    )


def _svg(parts: list[str], label: str) -> str:
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" style="max-width:100%;height:auto;display:block" '
        f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _axes(rows: dict[str, np.ndarray], total: float, unit: str) -> list[str]:
    low, high = log_range(list(rows.values()))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" '
        'stroke="#bbb"/>'
    ]
    for tick in log_ticks(low, high):
        y = _y(np.array([tick]), low, high)[0]
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{tick:g}</text>'
        )
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = LEFT + share * (right - LEFT)
        value = number(total * share) if share else "0"
        text = f"{value} {unit}" if share == 1 else value
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{INK}">{text}</text>'
        )
    return parts


def _lines(x: np.ndarray, rows: dict[str, np.ndarray]) -> list[str]:
    low, high = log_range(list(rows.values()))
    xs = LEFT + x.clip(0, 1) * (WIDTH - RIGHT - LEFT)
    heights = {name: _y(row, low, high) for name, row in rows.items()}
    places = spread([float(ys[-1]) for ys in heights.values()], 14)
    parts = []
    for k, ((name, ys), place) in enumerate(zip(heights.items(), places, strict=True)):
        color, dashes = look(k)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs, ys, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" '
            f'stroke-width="{2.2 if k == 0 else 1.6}" stroke-dasharray="{dashes}"/>'
            f'<circle cx="{xs[-1]:.1f}" cy="{ys[-1]:.1f}" r="3" fill="{color}"/>'
            f'<text x="{xs[-1] + 8:.1f}" y="{place + 4:.1f}" fill="{color}">'
            f"{html.escape(name)} {number(rows[name][-1])}</text>"
        )
    return parts


def _y(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.log(values.clip(low, high) / low) / np.log(high / low)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
