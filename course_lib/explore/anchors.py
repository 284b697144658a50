"""The anchors explorer: a grid of boxes over a scene, and which of them answer for an object."""

import math
from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64, Int64
from torch import Tensor

from course_lib.anchors import base_anchors, grid_anchors, pyramid_grids
from course_lib.boxes import box_iou
from course_lib.data import CLASSES, scene
from course_lib.explore._link import look, module
from course_lib.explore.nms import picture_of, rounded
from course_lib.matching import BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS, match_anchors

PICTURE = 42  # a scene with eight objects from 15 to 135 pixels, wide ones and tall ones
OFFSET = 0.5  # a location stands in the middle of its stride x stride pixels
STRIDES = (8, 16, 32, 64)
SIZES = {
    "one": (1.0,),
    "octave": tuple(2 ** (k / 3) for k in range(3)),  # RetinaNet's
    "doubling": (1.0, 2.0, 4.0),  # Faster R-CNN's: 128, 256, 512
}
RATIOS = {"one": (1.0,), "three": (0.5, 1.0, 2.0), "five": (1 / 3, 0.5, 1.0, 2.0, 3.0)}
START: dict[str, Any] = {
    "size": 24, "sizes": "doubling", "ratios": "three", "stride": 16, "high": 0.5, "low": 0.4,
    "low_quality": False,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "a first try": START,
    "all found": START | {"size": 22, "stride": 8},
    "squares only": START | {"size": 27, "stride": 8, "ratios": "one", "high": 0.55, "low": 0.45},
    "too large": START | {"size": 64, "sizes": "octave"},
    "stride 64": START | {"size": 22, "stride": 64},
    "0.7 and 0.3": START | {"high": 0.7, "low": 0.3},
    "… and rescued": START | {"high": 0.7, "low": 0.3, "low_quality": True},
}


class AnchorsExplorer(anywidget.AnyWidget):
    """Turn sizes, ratios, stride and thresholds; everything is computed in the browser.

    Python reads and sets what is shown: `truth` ("scene" or "own"), `own` (a box, xyxy), `size`
    (side of the smallest anchor), `sizes` (a name in SIZES), `ratios` (a name in RATIOS), `stride`,
    `high` and `low` (IoU), `low_quality`, and `place` [x, y]: the location in whose cell it lies is
    the chosen one. It answers `boxes`, `anchors`, `ious`, `matches`, `counts`, `missed` and `here`
    with `course_lib.anchors`, `boxes` and `matching` in float64.
    """

    title = "Which anchor answers for what?"
    lead = (
        "Every dot is a location, and every location carries the same few boxes, the anchors. One "
        "that overlaps an object well enough has to find it. Here two of the eight objects have "
        "no such anchor yet: which sizes, ratios, stride and thresholds give one to each of them?"
    )
    _esm = module("anchors_explorer")
    _css = look()
    truth = traitlets.Enum(("scene", "own"), "scene").tag(sync=True)
    own = traitlets.List[Any]([160, 70, 205, 215]).tag(sync=True)
    size = traitlets.Float(START["size"], min=8, max=160).tag(sync=True)
    sizes = traitlets.Enum(list(SIZES), START["sizes"]).tag(sync=True)
    ratios = traitlets.Enum(list(RATIOS), START["ratios"]).tag(sync=True)
    stride = traitlets.Enum(STRIDES, START["stride"]).tag(sync=True)
    high = traitlets.Float(START["high"], min=0.05, max=0.95).tag(sync=True)
    low = traitlets.Float(START["low"], min=0, max=0.95).tag(sync=True)
    low_quality = traitlets.Bool(START["low_quality"]).tag(sync=True)
    place = traitlets.List[Any]([184, 152]).tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, truth: str = "scene", preset: str | None = None) -> None:
        super().__init__()
        self.set_trait("world", _world())
        self.truth = truth
        if preset is not None:
            self.choose(preset)

    @traitlets.validate("own")
    def _check_own(self, proposal: Any) -> list[int | float]:
        x1, y1, x2, y2 = _numbers(proposal["value"], 4, "own", "a box [x1, y1, x2, y2]")
        W, H = self.world["width"], self.world["height"]
        if not (0 <= x1 < x2 <= W and 0 <= y1 < y2 <= H):
            raise traitlets.TraitError(
                f"own needs 0 <= x1 < x2 <= {W} and 0 <= y1 < y2 <= {H}, got {proposal['value']}"
            )
        return [x1, y1, x2, y2]

    @traitlets.validate("place")
    def _check_place(self, proposal: Any) -> list[int | float]:
        x, y = _numbers(proposal["value"], 2, "place", "a point [x, y]")
        W, H = self.world["width"], self.world["height"]
        if not (0 <= x <= W and 0 <= y <= H):
            raise traitlets.TraitError(
                f"place needs 0 <= x <= {W} and 0 <= y <= {H}, got {proposal['value']}"
            )
        return [x, y]

    @traitlets.validate("high", "low")
    def _check_thresholds(self, proposal: Any) -> float:
        pair = {"high": self.high, "low": self.low, proposal["trait"].name: proposal["value"]}
        if pair["low"] > pair["high"]:
            raise traitlets.TraitError(
                f"low must not be above high, got high={pair['high']} and low={pair['low']}; set "
                "the other one first, or both inside `with explorer.hold_trait_notifications():`"
            )
        return float(proposal["value"])

    def choose(self, preset: str) -> None:
        """Press one of the buttons, for example "squares only"."""
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
        with self.hold_trait_notifications():
            for name, value in PRESETS[preset].items():
                setattr(self, name, value)

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W) of the locations."""
        size = (self.world["height"], self.world["width"])
        return pyramid_grids(size, [self.stride])[0]

    @property
    def boxes(self) -> Float64[Tensor, "M 4"]:
        """The truths: the objects of the scene, or the one box of the reader's."""
        known = self.world["boxes"] if self.truth == "scene" else [self.own]
        return torch.tensor(known, dtype=torch.float64)

    @property
    def base(self) -> Float64[Tensor, "A 4"]:
        """The anchors of one location, around (0, 0)."""
        sizes = [self.size * factor for factor in SIZES[self.sizes]]
        return base_anchors(sizes, RATIOS[self.ratios], rounded=False, dtype=torch.float64)

    @property
    def anchors(self) -> Float64[Tensor, "N 4"]:
        """All anchors, row by row, those of a location together."""
        return grid_anchors(self.base, self.grid, self.stride, offset=OFFSET)

    @property
    def ious(self) -> Float64[Tensor, "M N"]:
        """IoU of each truth with each anchor."""
        return box_iou(self.boxes, self.anchors)

    @property
    def matches(self) -> Int64[Tensor, " N"]:
        """For each anchor its truth, or -1 (negative) or -2 (ignored)."""
        return match_anchors(self.ious, self.high, self.low, self.low_quality)

    @property
    def counts(self) -> dict[str, int]:
        """How many anchors there are and of what kind; "rescued" are positives below `high`."""
        quality, matches = self.ious.amax(0), self.matches
        positive = matches >= 0
        return {
            "anchors": len(matches),
            "positive": int(positive.sum()),
            "rescued": int((positive & (quality < self.high)).sum()),
            "ignored": int((matches == BETWEEN_THRESHOLDS).sum()),
            "negative": int((matches == BELOW_LOW_THRESHOLD).sum()),
        }

    @property
    def positives(self) -> Int64[Tensor, " M"]:
        """How many anchors answer for each truth."""
        matches = self.matches
        return torch.bincount(matches[matches >= 0], minlength=len(self.boxes))

    @property
    def missed(self) -> list[int]:
        """Which truths have no positive anchor, from 0."""
        return (self.positives == 0).nonzero().squeeze(1).tolist()

    @property
    def location(self) -> tuple[int, int]:
        """(row, column) of the chosen location."""
        (x, y), (H, W) = self.place, self.grid
        return min(int(y // self.stride), H - 1), min(int(x // self.stride), W - 1)

    @property
    def here(self) -> Float64[Tensor, " A"]:
        """The best IoU of each anchor of the chosen location."""
        (row, column), A = self.location, len(self.base)
        first = (row * self.grid[1] + column) * A
        return self.ious.amax(0)[first : first + A]


def anchors_explorer(truth: str = "scene", preset: str | None = None) -> AnchorsExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    truth: "scene" or "own", a box to drag. preset: the name on a button, for example "too large".
    """
    return AnchorsExplorer(truth, preset)


def _numbers(values: Any, count: int, name: str, what: str) -> list[int | float]:
    """The list, if it holds `count` finite numbers."""
    try:
        if len(values) == count and all(math.isfinite(value) for value in values):
            return list(values)
    except TypeError:
        pass
    raise traitlets.TraitError(f"{name} must be {what} of finite numbers, got {values!r}")


@cache
def _world() -> dict[str, Any]:
    painted = scene(PICTURE)
    return picture_of(painted) | {
        "boxes": rounded(painted.boxes, 1),
        "names": [CLASSES[label] for label in painted.labels.tolist()],
        "offset": OFFSET,
        "sizes": {name: list(factors) for name, factors in SIZES.items()},
        "ratios": {name: list(ratios) for name, ratios in RATIOS.items()},
        "presets": [[name, settings] for name, settings in PRESETS.items()],
    }
