"""The parts of explorers as widgets of their own: Python says what they show, and hears the reader.

Put them beside ipywidgets' sliders and boxes, `observe` what moves, set what follows. Colours are
the course's, by idea: "truth", "prediction", "overlap", "union", "enclosing", "anchor", "ignored";
"ink" for lines and points. What each dictionary may hold stands at the top of the part's module in
`js/`. Where the answer must follow the hand at once, write the explorer in JavaScript instead.
"""

from typing import Any

import anywidget
import traitlets

from course_lib.explore._link import look, module


class BoxCanvas(anywidget.AnyWidget):
    """A picture or a grid with boxes to drag, resize, nudge with the arrow keys and type."""

    _esm = module("box_canvas")
    _css = look()
    width = traitlets.Float(16).tag(sync=True)
    height = traitlets.Float(10).tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)  # address, for example data:image/jpeg;base64,...
    alt = traitlets.Unicode().tag(sync=True)
    grid = traitlets.Float(0).tag(sync=True)  # side of its squares; 0 for none
    boxes = traitlets.List[Any]().tag(sync=True)  # [[x1, y1, x2, y2], ...]
    names = traitlets.List[Any]().tag(sync=True)
    colors = traitlets.List[Any]().tag(sync=True)
    quiet = traitlets.List[Any]().tag(sync=True)  # [True, ...]: thin and without handles
    dashed = traitlets.List[Any]().tag(sync=True)
    regions = traitlets.List[Any]().tag(sync=True)
    step = traitlets.Float(1, min=1e-6).tag(sync=True)
    resizable = traitlets.Bool(True).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    badge = traitlets.Unicode().tag(sync=True)


class CurvePlot(anywidget.AnyWidget):
    """Curves over two axes, with points and guides; the reader may choose an x, `chosen`."""

    _esm = module("curve_plot")
    _css = look()
    x = traitlets.Dict({"label": "x", "min": 0, "max": 1, "ticks": [0, 0.5, 1]}).tag(sync=True)
    y = traitlets.Dict({"label": "y", "min": 0, "max": 1, "ticks": [0, 0.5, 1]}).tag(sync=True)
    curves = traitlets.List[Any]().tag(sync=True)
    points = traitlets.List[Any]().tag(sync=True)
    guides = traitlets.List[Any]().tag(sync=True)
    choosable = traitlets.Bool(False).tag(sync=True)
    chosen = traitlets.Float(0).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class BarStrip(anywidget.AnyWidget):
    """Bars on one scale, a row for each, in one piece or in several that add up."""

    _esm = module("bar_strip")
    _css = look()
    min = traitlets.Float(0).tag(sync=True)
    max = traitlets.Float(1).tag(sync=True)
    ticks = traitlets.List[Any]().tag(sync=True)
    rows = traitlets.List[Any]().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class Readout(anywidget.AnyWidget):
    """Numbers with the formula that gives them, filled in."""

    _esm = module("readout")
    _css = look()
    rows = traitlets.List[Any]().tag(sync=True)


class SceneView(anywidget.AnyWidget):
    """A picture with many boxes to look at, each in its own colour, with a name or without."""

    _esm = module("scene_view")
    _css = look()
    width = traitlets.Float(16).tag(sync=True)
    height = traitlets.Float(10).tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    boxes = traitlets.List[Any]().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class ColumnStrip(anywidget.AnyWidget):
    """Columns in a row, each with the height it had before behind it."""

    _esm = module("column_strip")
    _css = look()
    max = traitlets.Float(1).tag(sync=True)
    columns = traitlets.List[Any]().tag(sync=True)
    guide = traitlets.Float(None, allow_none=True).tag(sync=True)
    y = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
