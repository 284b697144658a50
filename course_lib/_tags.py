"""The tags at the boxes of a picture: readable colours, and spots that hide little.

All positions are in display pixels, where y points up.
"""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase, IdentityTransform

FONT_SIZE = 9.5  # points: still easy to read where the notebook shows the figure at its own size
PAD = 0.15  # around the words, in font sizes


class Tags(Artist):
    """Places the labels of one axes just before they are drawn, when all sizes are known.

    Each tag takes the spot along its box's edges that hides least of the tags placed so far and
    of the box itself, and never leaves the axes.
    """

    def __init__(self, ax: Axes) -> None:
        super().__init__()
        self.ax = ax
        self.set_zorder(4.5)  # after the boxes, before the text
        self.set_in_layout(False)
        self.entries: list[tuple[tuple[float, ...], Text, float]] = []

    @classmethod
    def on(cls, ax: Axes) -> "Tags":
        for artist in ax.artists:
            if isinstance(artist, cls):
                return artist
        tags = cls(ax)
        ax.add_artist(tags)
        return tags

    def add(self, xyxy: tuple, words: str, color: Any, rank: float) -> None:
        back, ink = tag_colors(color)
        frame = {"boxstyle": f"square,pad={PAD}", "fc": back, "ec": "none"}
        text = self.ax.text(
            0, 0, words, transform=IdentityTransform(), va="bottom", ha="left", bbox=frame,
            color=ink, fontweight="bold", zorder=5, clip_on=True, parse_math=False,
        )  # fmt: skip
        text.set_in_layout(False)
        self.entries.append((xyxy, text, rank))

    def draw(self, renderer: Any) -> None:
        frame, taken = self.ax.get_window_extent(renderer), list[Bbox]()
        for xyxy, text, _ in sorted(self.entries, key=lambda entry: -entry[2]):
            w, h, pad = _fit(text, frame.width, renderer)
            corners = self.ax.transData.transform(np.reshape(xyxy, (2, 2)))
            box = Bbox([corners.min(0), corners.max(0)])
            if min(box.width, box.height) < pad:
                box = box.padded(5 * pad)  # room for the cross of a box without area
            spot = _best_spot(box, w, h, frame, taken)
            text.set_position((spot.x0 + pad, spot.y0 + pad))
            taken.append(spot)


def _fit(text: Text, width: float, renderer: Any) -> tuple[float, float, float]:
    """Set the font size, smaller for a long name in a small picture: tag width, height, pad."""
    size = FONT_SIZE
    while True:
        text.set_fontsize(size)
        pad = renderer.points_to_pixels(PAD * size)
        extent = text.get_window_extent(renderer).padded(pad)
        if extent.width <= width or size < 1:
            return extent.width, extent.height, pad
        size *= 0.97 * width / extent.width  # widths follow the size only roughly: look again


def _best_spot(box: BboxBase, w: float, h: float, frame: BboxBase, taken: list[Bbox]) -> Bbox:
    """The w x h spot at the box and in the frame that hides least; early candidates win ties."""
    along = np.linspace(box.x0, box.x1 - w, 5)
    spots = [(x, y) for y in (box.y1, box.y1 - h, box.y0 - h, box.y0) for x in along]
    down = np.arange(box.y1 - h, box.y0, -h / 2)[:24]
    spots += [(x, y) for y in down for x in (box.x0, box.x1 - w, box.x1, box.x0 - w)]
    best, least = Bbox.null(), float("inf")
    for order, (x, y) in enumerate(spots):
        x0 = max(min(x, frame.x1 - w), frame.x0)
        y0 = max(min(y, frame.y1 - h), frame.y0)
        spot = Bbox.from_bounds(x0, y0, w, h)
        hidden = 4 * sum(_shared(spot, other) for other in taken)
        hidden += _shared(spot, box) * min(1.0, w * h / max(box.width * box.height, 1.0))
        cost = hidden + 1e-3 * w * h * order
        if cost < least:
            best, least = spot, cost
        if hidden == 0:
            break
    return best


def _shared(a: BboxBase, b: BboxBase) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width * height if width > 0 and height > 0 else 0.0


def ink_on(color: Any) -> str:
    """Black or white, whichever has the higher contrast on the colour (WCAG 2.1)."""
    return "black" if _luminance(color) > 0.179 else "white"


def tag_colors(color: Any) -> tuple[Any, str]:
    """Background and text of a tag, with a contrast of at least 4.5 (WCAG 2.1, level AA).

    White wins where a slightly darker background is enough for it. On vermillion, black has the
    higher contrast by the formula, but small black letters look muddy.
    """
    for factor in np.linspace(1, 0.9, 6):
        back = tuple(factor * np.array(to_rgb(color)))
        if 1.05 / (_luminance(back) + 0.05) >= 4.5:
            return back, "white"
    return color, "black"


def _luminance(color: Any) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
