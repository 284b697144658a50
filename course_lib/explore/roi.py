"""The RoI explorer: one region of a feature map, pooled in three ways side by side."""

from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64
from torch import Tensor

from course_lib import pooling
from course_lib.explore._link import look, module

STRIDE = 16  # pixels of the image that one cell stands for
STEP = 0.1  # cells
METHODS = ("pool", "align", "precise")
MAP = [
    [0.4, 0.9, 1.1, 0.6, 0.3, 0.8, 0.5, 0.2],
    [1.0, 2.6, 3.8, 2.1, 0.7, 1.2, 1.6, 0.4],
    [1.3, 4.2, 7.9, 5.0, 1.9, 0.6, 2.3, 0.9],
    [0.8, 3.1, 6.4, 8.8, 4.1, 1.5, 1.0, 0.3],
    [0.5, 1.7, 3.3, 5.6, 6.9, 3.7, 1.8, 0.7],
    [0.2, 0.6, 1.4, 2.9, 4.8, 7.2, 3.0, 1.1],
    [0.9, 0.3, 0.8, 1.2, 2.4, 3.5, 2.2, 0.6],
    [0.1, 0.5, 0.2, 0.7, 0.9, 1.3, 0.8, 0.4],
]


class RoIExplorer(anywidget.AnyWidget):
    """Drag a region over a feature map; everything is computed in the browser.

    Python reads and sets what is shown: `box` (xyxy in cells), `bins` (2 or 3 a side), `points` (1
    to 3, RoIAlign's sampling ratio) and `aligned`. It answers `pooled("pool")`, `pooled("align")`
    and `pooled("precise")`, and how far rounding `moved` the box, with `course_lib.pooling` in
    float64. `map` is the feature map, `stride` how many pixels of the image a cell stands for.
    """

    title = "Where does a box lie on a feature map?"
    lead = (
        "A detector's box seldom ends where a cell ends. RoIPool rounds it to whole cells, "
        "RoIAlign looks at points in between, Precise RoI Pooling takes the mean over all of "
        "them. Move the region by a tenth of a cell, 1.6 pixels of the image: which numbers stay, "
        "which jump, which follow?"
    )
    _esm = module("roi_explorer")
    _css = look()
    box = traitlets.List[Any]([1.4, 1.3, 4.3, 4.4]).tag(sync=True)
    bins = traitlets.Int(2, min=2, max=3).tag(sync=True)
    points = traitlets.Int(2, min=1, max=3).tag(sync=True)
    aligned = traitlets.Bool(True).tag(sync=True)
    map = traitlets.List[Any](MAP, read_only=True).tag(sync=True)
    stride = traitlets.Int(STRIDE, read_only=True).tag(sync=True)

    def __init__(self, bins: int = 2, points: int = 2, aligned: bool = True) -> None:
        super().__init__()
        self.bins, self.points, self.aligned = bins, points, aligned

    @traitlets.validate("box")
    def _check_box(self, proposal: Any) -> list[int | float]:
        box, H, W = proposal["value"], len(MAP), len(MAP[0])
        try:
            x1, y1, x2, y2 = (float(side) for side in box)
            fits = 0 <= x1 < x2 <= W and 0 <= y1 < y2 <= H
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise traitlets.TraitError(
                "box must be [x1, y1, x2, y2] in cells with "
                f"0 <= x1 < x2 <= {W} and 0 <= y1 < y2 <= {H}, got {box!r}"
            )
        return list(box)

    def pooled(self, method: str) -> Float64[Tensor, "bins bins"]:
        """What "pool" (RoIPool), "align" (RoIAlign) or "precise" (Precise RoI Pooling) answers."""
        return self._pooled(method, self.box)

    @property
    def moved(self) -> float:
        """By how many cells rounding moves the side of the box that it moves most."""
        box = torch.tensor([self.box], dtype=torch.float64)
        return float(pooling.project_boxes(box, 1)[1].abs().max())

    def _pooled(self, method: str, box: list[int | float]) -> Tensor:
        features = torch.tensor(self.map, dtype=torch.float64)[None, None]
        pixels = torch.tensor([box], dtype=torch.float64) * self.stride
        common = (features, [pixels], self.bins, 1 / self.stride)
        if method == "pool":
            answer = pooling.roi_pool(*common)
        elif method == "align":
            answer = pooling.roi_align(*common, self.points, self.aligned)
        elif method == "precise":  # has no such switch: it is given the box that `aligned` makes
            half = self.stride / 2 if self.aligned else 0
            answer = pooling.prroi_pool(features, [pixels - half], self.bins, 1 / self.stride)
        else:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        return answer[0, 0]


def roi_explorer(bins: int = 2, points: int = 2, aligned: bool = True) -> RoIExplorer:
    """Make the explorer; as the last line of a cell it is shown.

    bins: 2 or 3 a side. points: 1 to 3 a side in each bin, for RoIAlign. aligned: RoIAlign's.
    """
    return RoIExplorer(bins, points, aligned)
