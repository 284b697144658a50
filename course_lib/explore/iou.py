"""A photograph with a blue box A and an orange-red box B: move B, read IoU and GIoU.

The photograph goes to the browser once; each change sends only the SVG drawing that lies over it.
"""

import base64
import html
import io
import traceback
from typing import Any

import ipywidgets as widgets
import torch
from matplotlib.colors import to_hex
from PIL import Image
from skimage import data
from torch import Tensor

from course_lib._tags import tag_colors
from course_lib.boxes import box_iou, generalized_box_iou
from course_lib.draw import ENCLOSING, OVERLAP, PREDICTION, TRUTH, UNION

W, H = 512, 340  # the part of the photograph that is shown, in pixels
BOX_A = [170, 52, 110, 140]  # x, y, width, height: around the face
PRESETS = {  # box B as x, y, width, height
    "0.40": [192, 92, 110, 140],
    "0.73": [180, 62, 110, 140],
    "0.93": [174, 52, 110, 140],
    "touching": [280, 52, 110, 140],
    "nested": [190, 82, 70, 80],
    "apart": [312, 130, 110, 140],
}
RANGES = {"x": 312, "y": 140, "width": 200, "height": 200}  # so box B stays in the picture
CARD = "color:#1f1f1f;background:#fff;border-radius:8px;padding:6px 12px;line-height:1.7"


class IoUFigure(widgets.VBox):
    """The blue box A is fixed; `sliders` and `presets` move the orange-red box B.

    Read `boxes`, `iou` and `giou`.
    """

    def __init__(self) -> None:
        wide = {"width": f"{W}px", "max_width": "100%"}
        self.sliders = {
            name: widgets.IntSlider(
                max=most, description=f"B {name}", tooltip=f"Box B: {name} in pixels", layout=wide
            )
            for name, most in RANGES.items()
        }
        self.presets = {
            name: widgets.Button(
                description=name,
                tooltip=f"Move the orange-red box B: {name}",
                layout={"width": "auto"},
            )
            for name in PRESETS
        }
        layer = {"grid_area": "1 / 1 / 2 / 2", "margin": "0"}  # both in one cell of the grid
        self.drawing, self.numbers = widgets.HTML(layout=layer), widgets.HTML(layout=wide)
        self.error = widgets.HTML()
        for slider in self.sliders.values():
            slider.observe(self._moved, "value")
        for button in self.presets.values():
            button.on_click(lambda pressed: self.choose(pressed.description))
        self.choose("0.40")
        picture = widgets.GridBox([widgets.HTML(_photograph(), layout=layer), self.drawing])
        buttons = widgets.HBox(list(self.presets.values()))
        super().__init__([picture, self.numbers, self.error, buttons, *self.sliders.values()])

    @property
    def boxes(self) -> Tensor:
        """[2, 4] xyxy in pixels: box A, box B."""
        xywh = torch.tensor([BOX_A, [slider.value for slider in self.sliders.values()]])
        return torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1).float()

    @property
    def iou(self) -> float:
        return float(box_iou(self.boxes[:1], self.boxes[1:]))

    @property
    def giou(self) -> float:
        return float(generalized_box_iou(self.boxes[:1], self.boxes[1:]))

    def choose(self, preset: str) -> None:
        """Move box B to one of PRESETS."""
        for slider, value in zip(self.sliders.values(), PRESETS[preset], strict=True):
            slider.value = value

    def redraw(self) -> None:
        """Write the drawing, its text alternative and the numbers anew."""
        A, B = self.boxes.int().tolist()
        shared = [max(A[0], B[0]), max(A[1], B[1]), min(A[2], B[2]), min(A[3], B[3])]
        around = [min(A[0], B[0]), min(A[1], B[1]), max(A[2], B[2]), max(A[3], B[3])]
        a, b, inter, hull = _area(A), _area(B), _area(shared), _area(around)
        union = a + b - inter
        iou, giou = f"{self.iou:.3f}", f"{self.giou:.3f}".replace("-", "−")
        alt = (
            f"The blue box A, around an astronaut's face: x {A[0]} to {A[2]}, y {A[1]} to {A[3]}. "
            f"The orange-red box B: x {B[0]} to {B[2]}, y {B[1]} to {B[3]}. "
            f"Intersection {inter}, union {union}, IoU {iou}, GIoU {giou}."
        )
        drawn = (
            _rect(A, f'fill="{UNION}" fill-opacity=".3"'),
            _rect(B, f'fill="{UNION}" fill-opacity=".3"'),
            _rect(shared, f'fill="{OVERLAP}" fill-opacity=".45"'),
            _rect(
                around, f'fill="none" stroke="{ENCLOSING}" stroke-width="3" stroke-dasharray="6"'
            ),
            _rect(A, f'fill="none" stroke="{TRUTH}" stroke-width="3"'),
            _rect(B, f'fill="none" stroke="{PREDICTION}" stroke-width="3"'),
            _tag(A[0], A[1] - 18, "A", TRUTH),
            _tag(max(B[2] - 18, 0), min(B[3], H - 18), "B", PREDICTION),
        )
        self.drawing.value = (
            f'<svg role="img" aria-label="{alt}" width="{W}" viewBox="0 0 {W} {H}" '
            f'style="display:block">{"".join(drawn)}</svg>'
        )
        rows = (
            f"{_dot(OVERLAP)} intersection I = <b>{inter:,}</b>",
            f"{_dot(UNION)} union U = A + B − I = {a:,} + {b:,} − {inter:,} = <b>{union:,}</b>",
            f"{_dot(ENCLOSING)} smallest box around both C = <b>{hull:,}</b>",
            f"IoU = I / U = {inter:,} / {union:,} = <b>{iou}</b>",
            f"GIoU = IoU − (C − U) / C = {iou} − {hull - union:,} / {hull:,} = <b>{giou}</b>",
        )
        self.numbers.value = f'<div style="{CARD}">{"<br>".join(rows)}</div>'

    def _moved(self, change: Any = None) -> None:
        try:
            self.redraw()
            self.error.value = ""
        except Exception:  # Jupyter would only log it: show it, then let it take its way
            trace = html.escape(traceback.format_exc())
            self.error.value = f'<pre role="alert" style="{CARD};color:#a00">{trace}</pre>'
            raise


def iou_figure() -> IoUFigure:
    """Make the figure; as the last line of a cell it is shown."""
    return IoUFigure()


def _photograph() -> str:
    jpeg = io.BytesIO()
    Image.fromarray(data.astronaut()[:H, :W]).save(jpeg, "JPEG", quality=88)
    source = base64.b64encode(jpeg.getvalue()).decode()
    return (
        f'<img alt="An astronaut in front of a flag and a space shuttle" width="{W}" '
        f'style="display:block" src="data:image/jpeg;base64,{source}">'
    )


def _area(box: list[int]) -> int:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _rect(box: list[int], style: str) -> str:
    width, height = max(box[2] - box[0], 0), max(box[3] - box[1], 0)
    return f'<rect x="{box[0]}" y="{box[1]}" width="{width}" height="{height}" {style}/>'


def _tag(x: int, y: int, name: str, color: str) -> str:
    back, ink = tag_colors(color)
    return (
        f'<rect x="{x}" y="{y}" width="18" height="18" fill="{to_hex(back)}"/>'
        f'<text x="{x + 9}" y="{y + 14}" fill="{ink}" font-family="sans-serif" font-size="14" '
        f'font-weight="bold" text-anchor="middle">{name}</text>'
    )


def _dot(color: str) -> str:
    return f'<span aria-hidden="true" style="color:{color}">⬤</span>'
