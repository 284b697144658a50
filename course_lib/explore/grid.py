"""The grid explorer: the cell that answers for an object, the box that does, and YOLO's loss."""

from functools import cache
from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64, Int64
from torch import Tensor

from course_lib.boxes import box_convert
from course_lib.data import CLASSES, scene
from course_lib.explore._boxes import Box, as_box
from course_lib.explore._link import look, module
from course_lib.explore.nms import picture_of, rounded
from course_lib.models.yolo import (
    YoloLoss,
    cell_of,
    decode_grid,
    encode_grid,
    first_in_cell,
    responsible,
    yolo_loss,
)

PICTURE = 64  # a scene with five objects, two of them close together
A = 2  # predictors of a cell
SLIP = 10  # pixels
LEARNED: list[list[Box]] = [  # what the cell of each object says after a while
    [[238, 2, 272, 34], [250, 6, 312, 20]],
    [[86, 36, 120, 82], [68, 50, 122, 78]],
    [[164, 88, 206, 110], [170, 76, 196, 126]],
    [[196, 60, 250, 140], [170, 62, 252, 118]],
    [[62, 78, 170, 232], [40, 128, 214, 218]],
]
BESIDE: list[list[Box]] = [  # two boxes next to each object
    [[206, 8, 240, 30], [284, 40, 318, 60]],
    [[44, 76, 78, 100], [130, 70, 170, 90]],
    [[138, 40, 170, 80], [140, 118, 172, 150]],
    [[268, 70, 318, 130], [200, 140, 300, 180]],
    [[198, 140, 292, 206], [4, 60, 44, 200]],
]
START: dict[str, Any] = {
    "S": 7, "object": 4, "predicted": LEARNED, "confidence": [0.5, 0.4], "empty": 0.1, "p": 0.6,
    "lambda_coord": 5.0, "lambda_noobj": 0.5,
}  # fmt: skip


class GridExplorer(anywidget.AnyWidget):
    """Drag objects and predictions, turn S and the weights; the browser computes everything.

    Python reads and sets what is shown: `S` (cells on a side), `object` (whose cell is looked at,
    from 0), `truths` [T boxes], `predicted` [T pairs of boxes: what the cell of each object says],
    `confidence` (of the two), `empty` (what cells without an object say), `p` (probability of the
    right class; the others share the rest), `lambda_coord` and `lambda_noobj`. Boxes are xyxy in
    pixels. It answers `cells`, `lost`, `owner`, `targets`, `predictions`, `ious`, `answers`, `loss`
    and `here` with `course_lib.models.yolo` in float64.
    """

    title = "Which cell, which box?"
    lead = (
        "YOLO lays a grid over the picture. The cell that holds the centre of an object has to "
        "find it. The cell says two boxes, and the one that overlaps the object more answers for "
        "it. Drag an object (blue) or one of the two boxes (1 and 2), and see what the cell should "
        "have said and what it costs."
    )
    _esm = module("grid_explorer")
    _css = look()
    S = traitlets.Int(START["S"], min=3, max=14).tag(sync=True)
    object = traitlets.Int(START["object"], min=0).tag(sync=True)
    truths = traitlets.List[Any]().tag(sync=True)
    predicted = traitlets.List[Any]().tag(sync=True)
    confidence = traitlets.List[Any](START["confidence"]).tag(sync=True)
    empty = traitlets.Float(START["empty"], min=0, max=1).tag(sync=True)
    p = traitlets.Float(START["p"], min=0, max=1).tag(sync=True)
    lambda_coord = traitlets.Float(START["lambda_coord"], min=0, max=10).tag(sync=True)
    lambda_noobj = traitlets.Float(START["lambda_noobj"], min=0, max=1).tag(sync=True)
    world = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(self, S: int = 7, preset: str | None = None) -> None:
        super().__init__()
        self.set_trait("world", _world())
        self.choose(preset or next(iter(dict(self.world["presets"]))))
        if preset is None:
            self.S = S

    @traitlets.validate("truths")
    def _check_truths(self, proposal: Any) -> list[Box]:
        return self._boxes(proposal["value"], "truths")

    @traitlets.validate("predicted")
    def _check_predicted(self, proposal: Any) -> list[list[Box]]:
        pairs = proposal["value"]
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != A:
                raise traitlets.TraitError(f"predicted must have {A} boxes an object, got {pair!r}")
        first, second = ([pair[k] for pair in pairs] for k in range(A))
        both = self._boxes(first, "predicted"), self._boxes(second, "predicted")
        return [list(pair) for pair in zip(*both, strict=True)]

    @traitlets.validate("confidence")
    def _check_confidence(self, proposal: Any) -> list[int | float]:
        pair = proposal["value"]
        numbers = all(isinstance(c, int | float) and 0 <= c <= 1 for c in pair)
        if len(pair) != A or not numbers:
            raise traitlets.TraitError(f"confidence must be {A} numbers in 0..1, got {pair!r}")
        return list(pair)

    @traitlets.validate("object")
    def _check_object(self, proposal: Any) -> int:
        known = self.world.get("names", ())
        if known and proposal["value"] >= len(known):
            raise traitlets.TraitError(
                f"object must lie in 0..{len(known) - 1}, got {proposal['value']}"
            )
        return int(proposal["value"])

    def _boxes(self, boxes: Any, name: str) -> list[Box]:
        W, H, T = self.world["width"], self.world["height"], len(self.world["names"])
        if len(boxes) != T:
            raise traitlets.TraitError(
                f"{name} must have {T} entries, an object each, got {len(boxes)}"
            )
        return [as_box(box, W, H, f"{name}[{k}]") for k, box in enumerate(boxes)]

    def choose(self, preset: str) -> None:
        """Press one of the buttons, for example "both miss"."""
        presets = dict(self.world["presets"])
        if preset not in presets:
            raise ValueError(f"preset must be one of {', '.join(presets)}, got {preset!r}")
        with self.hold_trait_notifications():
            for name, value in presets[preset].items():
                setattr(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.world["height"], self.world["width"]

    @property
    def cells(self) -> Int64[Tensor, "T 2"]:
        """(row, column) of the cell that holds each object's centre."""
        H, W = self.size
        cx, cy, _, _ = _middles(self.truths)
        return torch.stack((cell_of(cy * self.S / H, self.S), cell_of(cx * self.S / W, self.S)), 1)

    @property
    def lost(self) -> list[int]:
        """The objects whose cell holds an earlier one, from 0."""
        row, column = self.cells.unbind(1)
        return (~first_in_cell(row * self.S + column)).nonzero().squeeze(1).tolist()

    @property
    def owner(self) -> int:
        """The object that the chosen object's cell holds; itself, unless it is lost."""
        same = (self.cells == self.cells[self.object]).all(1)
        return int(same.nonzero()[0])

    @property
    def targets(self) -> Float64[Tensor, "S S channels"]:
        """What a perfect network says, `encode_grid`."""
        boxes = torch.tensor(self.truths, dtype=torch.float64)
        labels = torch.tensor(self.world["labels"])
        return encode_grid(boxes, labels, self.size, self.S, len(self.world["classes"]))

    @property
    def predictions(self) -> Float64[Tensor, "S S channels"]:
        """What this network says: of each cell two boxes with their confidences, and the classes.

        The boxes of cells without an object are nothing; no term of the loss looks at them.
        """
        K, (H, W) = len(self.world["classes"]), self.size
        cells = torch.zeros(self.S, self.S, A * 5 + K, dtype=torch.float64)
        cells[..., 4 : A * 5 : 5] = self.empty
        lost = self.lost
        for k, (row, column) in enumerate(self.cells.tolist()):
            if k in lost:
                continue
            cx, cy, w, h = _middles(self.predicted[k])
            x, y = cx * self.S / W - column, cy * self.S / H - row
            sure = torch.tensor(self.confidence, dtype=torch.float64)
            said = torch.stack((x, y, (w / W).sqrt(), (h / H).sqrt(), sure), dim=1)  # [A, 5]
            classes = torch.full((K,), (1 - self.p) / (K - 1), dtype=torch.float64)
            classes[self.world["labels"][k]] = self.p
            cells[row, column] = torch.cat((said.flatten(), classes))
        return cells

    @property
    def ious(self) -> Float64[Tensor, " A"]:
        """IoU of each of the chosen cell's boxes with the object that the cell holds."""
        return torch.stack([self._answer([k])[1] for k in range(A)])

    @property
    def answers(self) -> int:
        """Which of the chosen cell's two predictors is responsible, 0 or 1."""
        return int(self._answer([0, 1])[0])

    @property
    def loss(self) -> YoloLoss:
        """The five terms, of the whole picture."""
        return self._loss(self.predictions, self.targets)

    @property
    def here(self) -> YoloLoss:
        """The five terms, of the chosen cell alone."""
        row, column = self.cells[self.object].tolist()
        chosen = torch.zeros(self.S, self.S, 1, dtype=torch.float64)
        chosen[row, column] = 1
        return self._loss(self.predictions * chosen, self.targets * chosen)

    def slip(self, pixels: int | float = SLIP) -> float:
        """What a box with the right centre, but so many pixels too wide, costs in size."""
        row, column = self.cells[self.object].tolist()
        right = self.targets[row, column]
        wrong = right.clone()
        wrong[2] = (right[2].square() + pixels / self.size[1]).sqrt()
        both = torch.zeros(2, self.S, self.S, len(right), dtype=torch.float64)
        both[:, row, column] = torch.stack((wrong, right))
        return yolo_loss(both[:1], both[1:], 1, self.lambda_coord).size.item()

    def _answer(self, predictors: list[int]) -> tuple[Tensor, Tensor]:
        """`responsible` among some of the chosen cell's predictors."""
        row, column = self.cells[self.object].tolist()
        said = self.predictions[..., : A * 5].unflatten(-1, (A, 5))[..., predictors, :4]
        boxes = decode_grid(said, (1, 1))[row, column]
        truth = decode_grid(self.targets[..., None, :4], (1, 1))[row, column, 0]
        return responsible(boxes, truth)

    def _loss(self, predictions: Tensor, targets: Tensor) -> YoloLoss:
        return yolo_loss(predictions[None], targets[None], A, self.lambda_coord, self.lambda_noobj)


def grid_explorer(S: int = 7, preset: str | None = None) -> GridExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    S: cells on a side, 3 to 14. preset: the name on a button, for example "both miss".
    """
    return GridExplorer(S, preset)


def _middles(boxes: list[Box]) -> tuple[Tensor, ...]:
    """cx, cy, w, h of each box, [N] each, in pixels."""
    return box_convert(torch.tensor(boxes, dtype=torch.float64), "xyxy", "cxcywh").unbind(1)


@cache
def _world() -> dict[str, Any]:
    painted = scene(PICTURE)
    truths = [[int(side) for side in box] for box in rounded(painted.boxes, 0)]
    too_wide = [[[x1 - SLIP / 2, y1, x2 + SLIP / 2, y2] for x1, y1, x2, y2 in truths]] * A
    wide_pairs = [list(pair) for pair in zip(*too_wide, strict=True)]
    start = START | {"truths": truths}
    right = start | {"confidence": [1, 0], "empty": 0.0, "p": 1.0}
    presets = {
        "learned a little": start,
        "both miss": start | {"predicted": BESIDE},
        "two in one cell": start | {"S": 4, "object": 3},
        "too sure of nothing": start | {"empty": 0.4, "lambda_noobj": 1.0},
        "10 pixels too wide": right | {"predicted": wide_pairs},
        "perfect": right | {"predicted": [[box, box] for box in truths]},
    }
    return picture_of(painted) | {
        "names": [CLASSES[label] for label in painted.labels.tolist()],
        "labels": painted.labels.tolist(),
        "classes": list(CLASSES),
        "presets": [[name, settings] for name, settings in presets.items()],
    }
