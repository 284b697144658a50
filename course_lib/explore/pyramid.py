"""The pyramid explorer: one box, anchors on every level, and the level that takes the box."""

from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64, Int64
from skimage import data
from torch import Tensor

from course_lib.anchors import AnchorGenerator, base_anchors, pyramid_grids, shape_iou
from course_lib.boxes import box_iou
from course_lib.explore._boxes import Box, as_box
from course_lib.explore._link import look, module
from course_lib.explore._picture import jpeg
from course_lib.matching import BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS, match_anchors

OFFSET = 0.5  # a location stands in the middle of its stride x stride pixels
LEVELS = {"3-7": (3, 4, 5, 6, 7), "3-5": (3, 4, 5), "5": (5,)}
SCALES = {"2": 2, "4": 4, "8": 8}  # size of the smallest anchor of a level, in strides
SIZES = {"one": 1, "two": 2, "three": 3}  # in an octave
RATIOS = {"one": (1.0,), "three": (0.5, 1.0, 2.0)}
OBJECTS: dict[str, Box] = {
    "her eye": [189, 92, 214, 108],
    "a star": [20, 0, 52, 34],
    "name tag": [278, 339, 330, 378],
    "badge": [133, 346, 212, 423],
    "face": [170, 52, 280, 192],
    "rocket": [354, 0, 472, 290],
    "helmet": [277, 343, 512, 512],
    "astronaut": [18, 14, 512, 512],
}
RETINANET: dict[str, Any] = {"levels": "3-7", "scale": "4", "sizes": "three", "ratios": "three"}
DETECTORS: dict[str, dict[str, Any]] = {
    "RetinaNet": RETINANET,
    "the small one for 128 pixels": {
        "levels": "3-5", "scale": "2", "sizes": "three", "ratios": "one",
    },
    "one anchor a location": RETINANET | {"sizes": "one", "ratios": "one"},
    "no pyramid": RETINANET | {"levels": "5"},
}  # fmt: skip


class PyramidExplorer(anywidget.AnyWidget):
    """Drag a box over a photograph, turn anchors and thresholds; the browser computes everything.

    Python reads and sets what is shown: `box` (xyxy), `level` (that is looked at, 3 to 7; 0 for
    the one that fits best), `levels` (a name in LEVELS), `scale` (in SCALES), `sizes` (in SIZES),
    `ratios` (in RATIOS), `high`, `low` (IoU) and `low_quality`. It answers `anchors`, `ious`,
    `matches`, `counts`, `best` and `reach` of each level with `course_lib.anchors`, `boxes` and
    `matching` in float64.
    """

    title = "Which level of the pyramid takes it?"
    lead = (
        "A pyramid holds several maps of the same picture: P3 fine, for small things, P7 coarse, "
        "for large ones. On each, every location carries anchors of that level's size. Drag the "
        "box, make it smaller and larger: which level has an anchor that fits, and how few of the "
        "49,104 anchors are left to find it?"
    )
    _esm = module("pyramid_explorer")
    _css = look()
    box = traitlets.List[Any](OBJECTS["face"]).tag(sync=True)
    level = traitlets.Enum((0, 3, 4, 5, 6, 7), 0).tag(sync=True)
    levels = traitlets.Enum(list(LEVELS), RETINANET["levels"]).tag(sync=True)
    scale = traitlets.Enum(list(SCALES), RETINANET["scale"]).tag(sync=True)
    sizes = traitlets.Enum(list(SIZES), RETINANET["sizes"]).tag(sync=True)
    ratios = traitlets.Enum(list(RATIOS), RETINANET["ratios"]).tag(sync=True)
    high = traitlets.Float(0.5, min=0.05, max=0.95).tag(sync=True)
    low = traitlets.Float(0.4, min=0.05, max=0.95).tag(sync=True)
    low_quality = traitlets.Bool(False).tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, box: str = "face", preset: str | None = None) -> None:
        super().__init__()
        self.set_trait("world", _world())
        if box not in OBJECTS:
            raise ValueError(f"box must be one of {', '.join(OBJECTS)}, got {box!r}")
        self.box = OBJECTS[box]
        if preset is not None:
            self.choose(preset)

    @traitlets.validate("box")
    def _check_box(self, proposal: Any) -> Box:
        return as_box(proposal["value"], self.world["width"], self.world["height"], "box")

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
        """Press one of the buttons, "face" or "RetinaNet" for example."""
        presets = {name: {"box": box} for name, box in OBJECTS.items()} | DETECTORS
        if preset not in presets:
            raise ValueError(f"preset must be one of {', '.join(presets)}, got {preset!r}")
        with self.hold_trait_notifications():
            for name, value in presets[preset].items():
                setattr(self, name, value)

    @property
    def grids(self) -> dict[int, tuple[int, int]]:
        """(H, W) of the locations of each level."""
        used = LEVELS[self.levels]
        size = (self.world["height"], self.world["width"])
        return dict(zip(used, pyramid_grids(size, [2**k for k in used]), strict=True))

    @property
    def anchors(self) -> dict[int, Float64[Tensor, "_ 4"]]:
        """All anchors of each level, as AnchorGenerator lays them."""
        used = LEVELS[self.levels]
        sizes = [_sizes(SCALES[self.scale] * 2**k, SIZES[self.sizes]) for k in used]
        generator = AnchorGenerator(sizes, [RATIOS[self.ratios]] * len(used), offset=OFFSET)
        laid = generator(list(self.grids.values()), [2**k for k in used], dtype=torch.float64)
        return dict(zip(used, laid, strict=True))

    @property
    def ious(self) -> dict[int, Float64[Tensor, " _"]]:
        """IoU of the box with each anchor of each level."""
        box = torch.tensor([self.box], dtype=torch.float64)
        return {k: box_iou(box, anchors)[0] for k, anchors in self.anchors.items()}

    @property
    def matches(self) -> dict[int, Int64[Tensor, " _"]]:
        """For each anchor of each level 0 (the box), -1 (negative) or -2 (ignored)."""
        return self._matches(self.ious)

    def _matches(self, ious: dict[int, Tensor]) -> dict[int, Tensor]:
        quality = torch.cat(list(ious.values()))[None]  # [1, N]: all levels compete for the box
        found = match_anchors(quality, self.high, self.low, self.low_quality)
        parts = found.split([len(level) for level in ious.values()])
        return dict(zip(ious, parts, strict=True))

    @property
    def counts(self) -> dict[int, dict[str, int]]:
        """Of each level how many anchors, of what kind; "rescued" are positives below `high`."""
        counted, ious = {}, self.ious
        for k, matches in self._matches(ious).items():
            positive, iou = matches >= 0, ious[k]
            counted[k] = {
                "anchors": len(matches),
                "positive": int(positive.sum()),
                "rescued": int((positive & (iou < self.high)).sum()),
                "ignored": int((matches == BETWEEN_THRESHOLDS).sum()),
                "negative": int((matches == BELOW_LOW_THRESHOLD).sum()),
            }
        return counted

    @property
    def best(self) -> dict[int, float]:
        """The best IoU that any anchor of each level reaches."""
        return {k: iou.max().item() for k, iou in self.ious.items()}

    @property
    def reach(self) -> dict[int, float]:
        """The best IoU that an anchor of each level would reach, standing where the box stands."""
        x1, y1, x2, y2 = self.box
        box = torch.tensor([[x2 - x1, y2 - y1]], dtype=torch.float64)
        base = {k: self._base(2**k) for k in LEVELS[self.levels]}
        return {k: shape_iou(box, b[:, 2:] - b[:, :2]).max().item() for k, b in base.items()}

    def _base(self, stride: int) -> Tensor:
        """The anchors of one location of the level with this stride."""
        return _base(self.scale, self.sizes, self.ratios, stride)


def pyramid_explorer(box: str = "face", preset: str | None = None) -> PyramidExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    box: what it stands around, "face" for example. preset: another button, as "no pyramid".
    """
    return PyramidExplorer(box, preset)


def _sizes(smallest: int, count: int) -> tuple[float, ...]:
    """`count` sizes in an octave, RetinaNet's 2^0, 2^(1/3), 2^(2/3) for three."""
    return tuple(smallest * 2 ** (k / count) for k in range(count))


def _base(scale: str, sizes: str, ratios: str, stride: int) -> Float64[Tensor, "A 4"]:
    all_sizes = _sizes(SCALES[scale] * stride, SIZES[sizes])
    return base_anchors(all_sizes, RATIOS[ratios], dtype=torch.float64)


@cache
def _world() -> dict[str, Any]:
    photo = data.astronaut()
    bases = {
        f"{scale}/{sizes}/{ratios}": {
            k: _base(scale, sizes, ratios, 2**k).int().tolist() for k in LEVELS["3-7"]
        }
        for scale in SCALES
        for sizes in SIZES
        for ratios in RATIOS
    }
    return {
        "width": photo.shape[1],
        "height": photo.shape[0],
        "image": jpeg(photo),
        "alt": "A photograph of an astronaut in an orange suit, between a flag and a model rocket.",
        "offset": OFFSET,
        "levels": {name: list(levels) for name, levels in LEVELS.items()},
        "bases": bases,
        "objects": [[name, {"box": box}] for name, box in OBJECTS.items()],
        "detectors": [[name, settings] for name, settings in DETECTORS.items()],
    }
