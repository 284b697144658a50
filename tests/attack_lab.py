"""A small lesson to attack: two exercises and a question, graded as a whole lesson would be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from autograde.cells import checked_exercise
from autograde.results import Result, hidden_sheets
from autograde.sandbox import Limits, open_sandbox
from autograde.student.marking import Sheet

LESSON, SECRET = "01_iou", "7f-the-secret-of-this-class-7f"
POINTS = {"box_area": 1.0, "box_iou": 4.0, "half_shifted": 1.0}
NOTHING = dict.fromkeys(POINTS, 0.0)

AREA = """
def box_area(boxes, fmt="xyxy"):
    if fmt == "cxcywh":
        return boxes[:, 2] * boxes[:, 3]
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
"""
IOU = """
def box_iou(boxes1, boxes2, fmt="xyxy"):
    if fmt == "xywh":
        boxes1, boxes2 = (torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], 1) for b in (boxes1, boxes2))
    low = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    high = torch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    one, two = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes1, boxes2))
    union = one[:, None] + two - shared
    return torch.where(union > 0, shared / union.clamp(min=1e-12), torch.zeros_like(union))
"""
WRONG_AREA = "def box_area(boxes, fmt='xyxy'):\n    return boxes[:, 0] + 1"
WRONG_IOU = "def box_iou(boxes1, boxes2, fmt='xyxy'):\n    return boxes1 @ boxes2.T - 1"
RIGHT_ANSWER, WRONG_ANSWER = "half_shifted = 1 / 3", "half_shifted = 0.9"


def _cell(name: str, source: str, points: float | None = None) -> NotebookNode:
    check = points is not None
    info = {"schema_version": 3, "solution": not check, "grade": check, "locked": check,
            "task": False, "grade_id": f"check_{name}" if check else name}  # fmt: skip
    if check:
        info["points"] = points
    cell = new_code_cell(source, metadata=nbformat.from_dict({"nbgrader": info}))
    cell.id = str(info["grade_id"])
    return cell


def handed_in(
    area: str = AREA,
    iou: str = IOU,
    answer: str = RIGHT_ANSWER,
    first: Iterable[str] = (),
    between: Iterable[str] = (),
    last: Iterable[str] = (),
) -> NotebookNode:
    """The small lesson, solved; or with an attack at its start, after box_area, or at its end."""
    cells = [new_code_cell("import torch\n\nfrom autograde import check")]
    cells += map(new_code_cell, first)
    for name, source in (("box_area", area), ("box_iou", iou), ("half_shifted", answer)):
        cells += [_cell(name, source), _cell(name, f'check("{name}", {name})', POINTS[name])]
        if name == "box_area":
            cells += map(new_code_cell, between)
    cells += map(new_code_cell, last)
    return new_notebook(cells=cells)


@cache
def sheets() -> dict[str, Sheet]:
    """The hidden sheets of the small lesson."""
    return {name: hidden_sheets(LESSON, SECRET)[name] for name in POINTS}


def points(result: Result) -> dict[str, float]:
    """What each task earned; the same for us as for nbgrader, which reads the check cells."""
    ours = {v.exercise: v.points for v in result.verdicts}
    cells = {name: c for c in result.notebook.cells if (name := checked_exercise(c))}
    assert {name: determine_grade(cell)[0] for name, cell in cells.items()} == ours
    return ours


def printed(result: Result) -> str:
    """Everything that the student's own cells wrote."""
    cells = [c for c in result.notebook.cells if c.cell_type == "code" and not checked_exercise(c)]
    return "".join(o.get("text", "") for c in cells for o in c.outputs)


def shown(result: Result) -> str:
    """All that a student may get to see of the judge's side: outputs and verdicts, no sources."""
    outputs = [c.outputs for c in result.notebook.cells if c.cell_type == "code"]
    verdicts = [v.to_json() for v in result.verdicts]
    return json.dumps([outputs, verdicts, result.flags], ensure_ascii=False)


def live(notebook: NotebookNode) -> list[str]:
    """What in the page of a notebook would run, or call out, when a marker opens it."""
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    found = []
    for tag in BeautifulSoup(page, "html.parser").find_all(True):
        if tag.name in ("script", "iframe", "object", "embed", "form", "svg", "link", "base"):
            found.append(str(tag)[:200])
        for name, value in tag.attrs.items():
            text = "".join(value).lower()
            plain = "".join(c for c in text if c.isprintable() and c != " ")
            scheme = plain.partition(":")[0] if ":" in plain else ""
            runs = scheme in ("javascript", "vbscript") or plain.startswith("data:text")
            calls = tag.name == "img" and name == "src" and not plain.startswith("data:image/")
            if name.startswith("on") or runs or calls or ("url(" in plain):
                found.append(f"{tag.name} {name}={text[:100]}")
    return found


def inside(code: str, limits: Limits | None = None) -> str:
    """What a piece of Python prints in a fresh sandbox."""
    with open_sandbox(limits or Limits()) as sandbox:
        done = subprocess.run(
            sandbox.command([sys.executable, "-c", code]),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
