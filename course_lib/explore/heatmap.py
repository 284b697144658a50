"""The heatmap explorer: how far a Gaussian reaches around a centre, and what it lets pass."""

import math
from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float, Float64
from torch import Tensor

from course_lib.boxes import box_iou
from course_lib.data import crowded_scene
from course_lib.explore._boxes import Box, as_box
from course_lib.explore._link import look, module
from course_lib.explore.nms import picture_of
from course_lib.models.centernet.steps import Targets, corner_radii, encode_targets

STRIDES = (4, 8)
MOST = 2  # objects
CASES = ("shifted", "inwards", "outwards")  # how both corners move
SCENES: dict[str, dict[str, Any]] = {
    "close together": {"boxes": [[190, 154, 284, 234], [203, 167, 290, 240]]},
    "side by side": {"boxes": [[70, 194, 137, 250], [96, 202, 168, 262]]},
    "one far away": {"boxes": [[156, 122, 185, 146]]},
    "a tree": {"boxes": [[2, 56, 119, 206]]},
    "one peak for two": {"boxes": [[190, 154, 284, 234], [218, 178, 258, 212]]},
}


class HeatmapExplorer(anywidget.AnyWidget):
    """Drag one or two boxes of one class, turn the IoU; the browser computes everything.

    Python reads and sets what is shown: `boxes` (1 or 2, xyxy), `object` (that is looked at, from
    0), `iou` (that a box must keep to be nearly right), `stride` (4 or 8) and `published` (the
    radius as CornerNet's and CenterNet's programs compute it). It answers `targets`, `heatmap`,
    `location`, `offset`, `radii`, `radius`, `moved`, `ious`, `worst` and `read_back` with
    `course_lib.models.centernet` and `boxes` in float64.
    """

    title = "How near is nearly right?"
    lead = (
        "CenterNet says an object as one point: a peak in the heatmap of its class. Places "
        "beside the peak would make nearly the same box, so a Gaussian forgives them. How wide "
        "may it be? Drag a box, turn the IoU that still counts as nearly right, then compute the "
        "radius as the published programs do."
    )
    _esm = module("heatmap_explorer")
    _css = look()
    boxes = traitlets.List[Any]().tag(sync=True)
    object = traitlets.Int(0, min=0).tag(sync=True)
    iou = traitlets.Float(0.7, min=0.3, max=0.95).tag(sync=True)
    stride = traitlets.Enum(STRIDES, 4).tag(sync=True)
    published = traitlets.Bool(False).tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, scene: str = "close together", published: bool = False) -> None:
        super().__init__()
        self.set_trait("world", _world())
        self.choose(scene)
        self.published = published

    @traitlets.validate("boxes")
    def _check_boxes(self, proposal: Any) -> list[Box]:
        boxes = proposal["value"]
        if not 1 <= len(boxes) <= MOST:
            raise traitlets.TraitError(f"boxes must be 1 to {MOST} boxes, got {len(boxes)}")
        W, H = self.world["width"], self.world["height"]
        return [as_box(box, W, H, f"boxes[{k}]") for k, box in enumerate(boxes)]

    @traitlets.validate("object")
    def _check_object(self, proposal: Any) -> int:
        if proposal["value"] >= len(self.boxes):
            raise traitlets.TraitError(
                f"object must be below the number of boxes, {len(self.boxes)}, got "
                f"{proposal['value']}"
            )
        return int(proposal["value"])

    @traitlets.observe("boxes")
    def _keep_object(self, _: Any) -> None:
        self.object = min(self.object, len(self.boxes) - 1)

    def choose(self, scene: str) -> None:
        """Press one of the buttons, "a tree" for example."""
        if scene not in SCENES:
            raise ValueError(f"scene must be one of {', '.join(SCENES)}, got {scene!r}")
        for name, value in SCENES[scene].items():
            setattr(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the output's map."""
        H, W = self.world["height"], self.world["width"]
        return -(-H // self.stride), -(-W // self.stride)

    @property
    def targets(self) -> Targets:
        """What the map should say, as `encode_targets` makes it: one class."""
        boxes = torch.tensor(self.boxes, dtype=torch.float64)
        labels = torch.zeros(len(boxes), dtype=torch.int64)
        return encode_targets(boxes, labels, self.size, self.stride, 1, self.iou, self.published)

    @property
    def heatmap(self) -> Float[Tensor, "H W"]:
        """The heatmap of the class: the higher one of the two Gaussians."""
        return self.targets.heatmap[0]

    @property
    def location(self) -> tuple[int, int]:
        """(row, column) of the chosen object's peak."""
        row, column = divmod(int(self.targets.places[self.object]), self.size[1])
        return row, column

    @property
    def offset(self) -> Float64[Tensor, "2"]:
        """x and y from the location's corner to the centre, in locations: what rounding loses."""
        return self.targets.offsets[self.object]

    @property
    def radii(self) -> dict[str, float]:
        """How far both corners may move, in locations, in each of the three CASES.

        Those of a box whose sides are rounded up to whole locations, as in the programs: so
        `worst` may fall a little below `iou`.
        """
        w, h = self.targets.sizes[self.object].tolist()
        return corner_radii(math.ceil(h), math.ceil(w), self.iou, self.published)

    @property
    def radius(self) -> int:
        """The Gaussian's: the smallest of `radii`, in whole locations."""
        return int(min(self.radii.values()))

    @property
    def moved(self) -> dict[str, Box]:
        """The chosen box with both corners moved by the radius, in each of the CASES, in pixels.

        Corners that would pass each other meet in the middle.
        """
        x1, y1, x2, y2 = self.boxes[self.object]
        far, x, y = self.radius * self.stride, (x1 + x2) / 2, (y1 + y2) / 2
        inwards = [min(x1 + far, x), min(y1 + far, y), max(x2 - far, x), max(y2 - far, y)]
        return {
            "shifted": [x1 + far, y1 + far, x2 + far, y2 + far],
            "inwards": inwards,
            "outwards": [x1 - far, y1 - far, x2 + far, y2 + far],
        }

    @property
    def ious(self) -> dict[str, float]:
        """IoU of the chosen box with each of `moved`."""
        moved = torch.tensor(list(self.moved.values()), dtype=torch.float64)
        box = torch.tensor([self.boxes[self.object]], dtype=torch.float64)
        return dict(zip(CASES, box_iou(box, moved)[0].tolist(), strict=True))

    @property
    def worst(self) -> float:
        """The lowest IoU of a box that the Gaussian's radius lets pass as nearly right."""
        return min(self.ious.values())

    @property
    def read_back(self) -> float:
        """IoU of the chosen box with the one read at its peak without the offset."""
        box = torch.tensor([self.boxes[self.object]], dtype=torch.float64)
        return box_iou(box, box - self.offset.repeat(2) * self.stride).item()


def heatmap_explorer(scene: str = "close together", published: bool = False) -> HeatmapExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    scene: the name on a button, "a tree" for example. published: the radius as published?
    """
    return HeatmapExplorer(scene, published)


@cache
def _world() -> dict[str, Any]:
    return picture_of(crowded_scene()) | {
        "scenes": [[name, settings] for name, settings in SCENES.items()]
    }
