"""The IoU explorer: two boxes on a photograph or a grid, or two blobs, and all that is measured."""

import math
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float64
from skimage import data
from torch import Tensor

from course_lib import boxes as ops
from course_lib.explore._link import look, module
from course_lib.explore._picture import jpeg

Box = list[int | float]  # x1, y1, x2, y2
W, H = 512, 340  # the part of the photograph that is shown, in pixels
FACE = (170, 52, 280, 192)  # box A of the photograph
SIDE = 27  # of the discs that the blobs are cut from, in pixels

PRESETS: dict[str, dict[str, list[tuple[float, ...]]]] = {
    "photo": {  # the lesson's three detections of a face, and what boxes can be to each other
        "poor 0.40": [FACE, (192, 92, 302, 232)],
        "good 0.73": [FACE, (180, 62, 290, 202)],
        "excellent 0.93": [FACE, (174, 52, 284, 192)],
        "touching": [FACE, (280, 52, 390, 192)],
        "nested": [FACE, (178, 60, 248, 140)],
        "wide": [FACE, (140, 92, 310, 152)],
        "apart": [FACE, (312, 130, 422, 270)],
    },
    "grid": {  # small enough to count squares
        "1/7": [(4, 3, 8, 7), (6, 5, 10, 9)],
        "half covered": [(4, 3, 8, 7), (6, 3, 10, 7)],
        "touching": [(4, 3, 8, 7), (8, 3, 12, 7)],
        "nested": [(3, 2, 11, 8), (4, 3, 8, 6)],
        "same centre": [(4, 4, 12, 6), (7, 1, 9, 9)],
        "apart": [(1, 1, 5, 4), (10, 6, 14, 9)],
    },
    "masks": {  # where the corners of the blobs' boxes are
        "same box": [(20, 8), (20, 8)],
        "hooked": [(14, 4), (22, 10)],
        "face to face": [(14, 8), (26, 8)],
        "apart": [(4, 7), (36, 9)],
    },
}


class IoUExplorer(anywidget.AnyWidget):
    """Drag, resize, nudge or type two boxes; everything is computed in the browser.

    Python reads and sets what is shown: `scene` ("photo", "grid" or "masks") and `boxes`. It
    answers `iou`, `giou`, `diou`, `ciou` and `masks` with `course_lib.boxes` in float64.
    """

    title = "How well do two boxes agree?"
    lead = (
        "In the photograph, box A in blue is where the face is, and box B in orange-red is what a "
        "detector said. Drag them and pull their corners. IoU, intersection over union, is the "
        "hatched green part over everything that lies inside the two boxes."
    )
    _esm = module("iou_explorer")
    _css = look()
    scene = traitlets.Enum(list(PRESETS), "photo").tag(sync=True)
    scenes = traitlets.Dict(read_only=True).tag(sync=True)
    places = traitlets.Dict().tag(sync=True)  # scene: [box A, box B]

    def __init__(self, scene: str = "photo", preset: str | None = None) -> None:
        super().__init__()
        self.set_trait("scenes", _scenes())
        self.places = {name: known["presets"][0][1] for name, known in self.scenes.items()}
        self.scene = scene
        if preset is not None:
            self.choose(preset)

    @traitlets.validate("places")
    def _check_places(self, proposal: Any) -> dict[str, list[Box]]:
        places = proposal["value"]
        try:
            pairs = {n: [[float(side) for side in box] for box in places[n]] for n in PRESETS}
            fits = set(places) == set(PRESETS) and all(
                [len(box) for box in pair] == [4, 4] for pair in pairs.values()
            )
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise traitlets.TraitError(
                f"places must map each of {', '.join(PRESETS)} to two boxes [x1, y1, x2, y2], "
                f"got {places!r}"
            )
        places = {**places, "masks": self._whole(places["masks"])}
        for name, pair in places.items():
            W, H = self.scenes[name]["width"], self.scenes[name]["height"]
            for x1, y1, x2, y2 in pair:
                if not (0 <= x1 <= x2 <= W and 0 <= y1 <= y2 <= H):
                    raise traitlets.TraitError(
                        f"a box [x1, y1, x2, y2] of the scene {name!r} needs 0 <= x1 <= x2 <= {W} "
                        f"and 0 <= y1 <= y2 <= {H}, got {[x1, y1, x2, y2]}"
                    )
        return places

    def _whole(self, pair: list[Box]) -> list[Box]:
        """The blobs' boxes at whole pixels inside the scene; a blob keeps its size."""
        known, kept = self.scenes["masks"], []
        for box, (width, height) in zip(pair, known["sides"], strict=True):
            if not all(map(math.isfinite, box)):
                raise traitlets.TraitError(f"a box has four finite numbers, got {box}")
            x = min(max(round(box[0]), 0), known["width"] - width)
            y = min(max(round(box[1]), 0), known["height"] - height)
            kept.append([x, y, x + width, y + height])
        return kept

    def choose(self, preset: str) -> None:
        """Press one of the scene's buttons, for example "nested"."""
        known = dict(self.scenes[self.scene]["presets"])
        if preset not in known:
            raise ValueError(f"preset must be one of {', '.join(known)}, got {preset!r}")
        self.boxes = known[preset]

    @property
    def boxes(self) -> Float64[Tensor, "2 4"]:
        """Box A and box B of the scene that is shown, xyxy in its pixels."""
        return torch.tensor(self.places[self.scene], dtype=torch.float64)

    @boxes.setter
    def boxes(self, boxes: Any) -> None:
        pair = torch.as_tensor(boxes, dtype=torch.float64)
        if pair.shape != (2, 4):
            raise ValueError(f"boxes must have shape [2, 4], got {list(pair.shape)}")
        self.places = {**self.places, self.scene: pair.tolist()}

    @property
    def masks(self) -> Bool[Tensor, "2 H W"]:
        """The two blobs where they are now, whichever scene is shown."""
        known = self.scenes["masks"]
        masks = torch.zeros(2, known["height"], known["width"], dtype=torch.bool)
        for mask, rows, box in zip(masks, known["rows"], self.places["masks"], strict=True):
            x, y, _, _ = box
            for n, row in enumerate(rows):
                for start, length in row:
                    mask[y + n, x + start : x + start + length] = True
        return masks

    @property
    def iou(self) -> float:
        """IoU of the two boxes; of the two masks in the scene "masks"."""
        if self.scene == "masks":
            a, b = self.masks
            return int((a & b).sum()) / int((a | b).sum())  # mask_iou answers in float32
        return self._measured(ops.box_iou)

    @property
    def giou(self) -> float:
        return self._measured(ops.generalized_box_iou)

    @property
    def diou(self) -> float:
        return self._measured(ops.distance_box_iou)

    @property
    def ciou(self) -> float:
        return self._measured(ops.complete_box_iou)

    def _measured(self, measure: Any) -> float:
        return float(measure(self.boxes[:1], self.boxes[1:]))


def iou_explorer(scene: str = "photo", preset: str | None = None) -> IoUExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    Args:
        scene: "photo" (512 x 340 pixels), "grid" (16 x 10 squares) or "masks".
        preset: the name on one of the scene's buttons, for example "nested".
    """
    return IoUExplorer(scene, preset)


def _scenes() -> dict[str, dict[str, Any]]:
    rows = [_runs(blob) for blob in _blobs()]
    sides = [[len(blob[0]), len(blob)] for blob in _blobs()]
    masks: dict[str, list[Any]] = {
        name: [
            [x, y, x + width, y + height]
            for (x, y), (width, height) in zip(corners, sides, strict=True)
        ]
        for name, corners in PRESETS["masks"].items()
    }
    pairs: dict[str, dict[str, list[Any]]] = {**PRESETS, "masks": masks}
    presets = {
        scene: [[name, [list(box) for box in pair]] for name, pair in known.items()]
        for scene, known in pairs.items()
    }
    alt = "An astronaut in front of a flag and a space shuttle."
    grid = "A grid of 16 by 10 squares."
    pixels = "Two crescents made of pixels."
    return {
        "photo": {"width": W, "height": H, "image": jpeg(data.astronaut()[:H, :W]), "alt": alt,
                  "far": 600, "presets": presets["photo"]},
        "grid": {"width": 16, "height": 10, "grid": 1, "alt": grid, "far": 16,
                 "presets": presets["grid"]},
        "masks": {"width": 64, "height": 42, "grid": 1, "alt": pixels, "rows": rows,
                  "sides": sides, "presets": presets["masks"]},
    }  # fmt: skip


def _blobs() -> tuple[np.ndarray, np.ndarray]:
    """A crescent that is open to the right and one that is open to the left; [H, W] bool."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    moon = (x**2 + y**2 < (SIDE / 2) ** 2) & ((x - 4.5) ** 2 + y**2 >= 10**2)
    moon = moon[:, moon.any(axis=0)]
    return moon, moon[:, ::-1]


def _runs(blob: np.ndarray) -> list[list[list[int]]]:
    """Each row as its runs of pixels, [start, length]."""
    rows = []
    for row in blob:
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row, [0]))))
        rows.append([[int(a), int(b - a)] for a, b in zip(edges[::2], edges[1::2], strict=True)])
    return rows
