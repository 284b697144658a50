"""The FCOS explorer: which location of which level answers for which object, and how centrally."""

import math
from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Bool, Float64, Int64
from skimage import data
from torch import Tensor

from course_lib.anchors import pyramid_grids
from course_lib.explore._boxes import Box, as_box
from course_lib.explore._link import look, module
from course_lib.explore._picture import jpeg
from course_lib.models.fcos.steps import (
    RANGES,
    assign_targets,
    box_sides,
    centerness,
    grid_locations,
    in_range,
    near_centre,
)

LEVELS = (3, 4, 5, 6, 7)
MOST = 4  # objects: one colour for each
EVERYTHING = (0.0, math.inf)  # the range of a level that answers for every size
SCENES: dict[str, dict[str, Any]] = {
    "small and large": {
        "boxes": [
            [278, 339, 330, 378], [170, 52, 280, 192], [18, 14, 512, 512], [354, 0, 472, 290],
        ],
        "level": 4, "place": [232, 120],
    },
    "face in head": {
        "boxes": [[170, 52, 280, 192], [152, 12, 304, 196]], "level": 4, "place": [232, 104],
    },
    "head and collar": {
        "boxes": [[152, 12, 304, 196], [112, 148, 306, 296]], "level": 4, "place": [216, 168],
    },
    "eye in face": {
        "boxes": [[189, 92, 214, 108], [170, 52, 280, 192]], "level": 3, "place": [204, 100],
    },
}  # fmt: skip


class FCOSExplorer(anywidget.AnyWidget):
    """Drag boxes over a photograph, choose a location; the browser computes everything.

    Python reads and sets what is shown: `boxes` (1 to 4, xyxy), `level` (3 to 7), `place` [x, y]:
    the location in whose cell it lies is the chosen one, `location` (its row and column, from 0),
    `sampling` (centre sampling or all of the box), `radius` (its, in strides) and `ranges` (whether
    a level answers for its own sizes only). It answers `locations`, `candidates`, `owners`,
    `counts`, `owned`, and of the chosen location `sides`, `answers` and `centerness` with
    `course_lib.models.fcos` in float64.
    """

    title = "Which location answers for which object?"
    lead = (
        "FCOS has no anchors: every dot is a location, and a location in an object says how far it "
        "is to the object's four sides. Three rules settle who answers for what. Drag the boxes, "
        "choose a location, switch the rules off: how many locations are asked for by two objects "
        "at once, and which object wins?"
    )
    _esm = module("fcos_explorer")
    _css = look()
    boxes = traitlets.List[Any]().tag(sync=True)
    level = traitlets.Enum(LEVELS, 4).tag(sync=True)
    place = traitlets.List[Any]([232, 120]).tag(sync=True)
    sampling = traitlets.Bool(True).tag(sync=True)
    radius = traitlets.Float(1.5, min=0.5, max=3).tag(sync=True)
    ranges = traitlets.Bool(True).tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, scene: str = "small and large", sampling: bool = True) -> None:
        super().__init__()
        self.set_trait("world", _world())
        self.choose(scene)
        self.sampling = sampling

    @traitlets.validate("boxes")
    def _check_boxes(self, proposal: Any) -> list[Box]:
        boxes, (H, W) = proposal["value"], self.size
        if not 1 <= len(boxes) <= MOST:
            raise traitlets.TraitError(f"boxes must be 1 to {MOST} boxes, got {len(boxes)}")
        return [as_box(box, W, H, f"boxes[{k}]") for k, box in enumerate(boxes)]

    @traitlets.validate("place")
    def _check_place(self, proposal: Any) -> list[int | float]:
        value, (H, W) = proposal["value"], self.size
        try:
            x, y = value
            fits = 0 <= x <= W and 0 <= y <= H
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise traitlets.TraitError(
                f"place must be [x, y] with 0 <= x <= {W} and 0 <= y <= {H}, got {value!r}"
            )
        return [x, y]

    def choose(self, scene: str) -> None:
        """Press one of the buttons, "face in head" for example."""
        if scene not in SCENES:
            raise ValueError(f"scene must be one of {', '.join(SCENES)}, got {scene!r}")
        with self.hold_trait_notifications():
            for name, value in SCENES[scene].items():
                setattr(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.world["height"], self.world["width"]

    @property
    def grids(self) -> dict[int, tuple[int, int]]:
        """(H, W) of the locations of each level."""
        found = pyramid_grids(self.size, [2**k for k in LEVELS])
        return dict(zip(LEVELS, found, strict=True))

    @property
    def location(self) -> tuple[int, int]:
        """(row, column) of the chosen location on `level`, from 0. Setting it sets `place`."""
        (x, y), (H, W), stride = self.place, self.grids[self.level], 2**self.level
        return min(int(y // stride), H - 1), min(int(x // stride), W - 1)

    @location.setter
    def location(self, value: Any) -> None:
        H, W = self.grids[self.level]
        try:
            row, column = value
            fits = row in range(H) and column in range(W)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise traitlets.TraitError(
                f"location must be (row, column) in 0..{H - 1} and 0..{W - 1} on P{self.level}, "
                f"got {value!r}"
            )
        stride = 2**self.level
        self.place = [(column + 0.5) * stride, (row + 0.5) * stride]

    # --- of all locations

    @property
    def locations(self) -> dict[int, Float64[Tensor, "_ 2"]]:
        """(x, y) of the locations of each level, row by row."""
        return {k: grid_locations(grid, 2**k).double() for k, grid in self.grids.items()}

    @property
    def candidates(self) -> dict[int, Bool[Tensor, "_ M"]]:
        """Which objects each location of each level could answer for, before the smallest wins."""
        found, boxes = {}, self._boxes
        for k, points in self.locations.items():
            strides, ranges = self._rules(k, len(points))
            near = near_centre(points, strides, boxes, self._radius)
            found[k] = near & in_range(box_sides(points, boxes), ranges)
        return found

    @property
    def owners(self) -> dict[int, Int64[Tensor, " _"]]:
        """For each location of each level its object, from 0, or -1 (background)."""
        found, boxes = {}, self._boxes
        for k, points in self.locations.items():
            rules = self._rules(k, len(points))
            found[k], _ = assign_targets(
                points, *rules, boxes, torch.arange(len(boxes)), self._radius
            )
        return found

    @property
    def counts(self) -> dict[int, dict[str, int]]:
        """Of each level how many locations, of what kind; "ambiguous" have several candidates."""
        counted, candidates = {}, self.candidates
        for k, owners in self.owners.items():
            positive = int((owners >= 0).sum())
            counted[k] = {
                "locations": len(owners),
                "positive": positive,
                "ambiguous": int((candidates[k].sum(1) > 1).sum()),
                "background": len(owners) - positive,
            }
        return counted

    @property
    def owned(self) -> Int64[Tensor, "L M"]:
        """How many locations of each level answer for each object."""
        M = len(self.boxes)
        return torch.stack([torch.bincount(o[o >= 0], minlength=M) for o in self.owners.values()])

    # --- of the chosen one

    @property
    def sides(self) -> Float64[Tensor, "M 4"]:
        """l, t, r, b from the chosen location to each object; below 0 where it lies outside."""
        row, column = self.location
        point = self.locations[self.level][row * self.grids[self.level][1] + column]
        return box_sides(point[None], self._boxes)[0]

    @property
    def answers(self) -> int:
        """The object that the chosen location answers for, from 0, or -1."""
        row, column = self.location
        return int(self.owners[self.level][row * self.grids[self.level][1] + column])

    @property
    def centerness(self) -> float | None:
        """The centre-ness that the chosen location should say; None for background."""
        k = self.answers
        return None if k < 0 else centerness(self.sides[k]).item()

    @property
    def _boxes(self) -> Tensor:
        return torch.tensor(self.boxes, dtype=torch.float64)

    @property
    def _radius(self) -> float | None:
        return self.radius if self.sampling else None

    def _rules(self, level: int, count: int) -> tuple[Tensor, Tensor]:
        """Stride [N] and range [N, 2] of each of a level's locations."""
        strides = torch.full((count,), 2.0**level, dtype=torch.float64)
        reach = RANGES[LEVELS.index(level)] if self.ranges else EVERYTHING
        return strides, torch.tensor(reach, dtype=torch.float64).expand(count, 2)


def fcos_explorer(scene: str = "small and large", sampling: bool = True) -> FCOSExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    scene: the name on a button, "face in head" for example. sampling: with centre sampling?
    """
    return FCOSExplorer(scene, sampling)


@cache
def _world() -> dict[str, Any]:
    photo = data.astronaut()
    reach = [[low, high if math.isfinite(high) else None] for low, high in RANGES]
    return {
        "width": photo.shape[1],
        "height": photo.shape[0],
        "image": jpeg(photo),
        "alt": "A photograph of an astronaut in an orange suit, between a flag and a model rocket.",
        "levels": [[k, *ends] for k, ends in zip(LEVELS, reach, strict=True)],
        "scenes": [[name, settings] for name, settings in SCENES.items()],
    }
