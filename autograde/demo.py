"""A sample class: perfect, blank, half done, mistaken, hostile and broken submissions."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograde.build import build
from autograde.cells import CHECK, grade_id
from autograde.classroom import Classroom
from autograde.exercises.lesson_01_iou import another_way

LESSON = "01_iou"
ONE_LINER = "get_ipython().input_transformers_post.append(lambda lines: [])"


@dataclass(frozen=True)
class Student:
    """A student of the sample class: what is handed in, and the points it must get."""

    name: str
    points: float
    make: Callable[[Sample], NotebookNode]


class Sample:
    """The material that submissions are made of: the released lesson and its solutions."""

    def __init__(self, released: NotebookNode, source: NotebookNode) -> None:
        self.released = released
        self.answers = {
            name: re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell.source)
            for cell in source.cells
            if (name := grade_id(cell)) and cell.metadata.nbgrader.solution
        }

    def blank(self) -> NotebookNode:
        return copy.deepcopy(self.released)

    def solved(self, **changed: str) -> NotebookNode:
        """Everything right, but for the cells that are given."""
        return fill(self.blank(), self.answers | changed)

    def only(self, names: list[str]) -> NotebookNode:
        return fill(self.blank(), {n: self.answers[n] for n in names})

    def other_style(self) -> NotebookNode:
        functions = ast.parse(inspect.getsource(another_way)).body
        texts = {f.name: ast.unparse(f) for f in functions if isinstance(f, ast.FunctionDef)}
        return fill(self.blank(), self.answers | texts)

    def with_line(self, line: str, *, solve: bool = False) -> NotebookNode:
        """A blank (or solved) notebook with a line of the student's own at the top."""
        notebook = self.solved() if solve else self.blank()
        notebook.cells.insert(3, new_code_cell(line, id="my-line"))
        return notebook

    def replaced(self, name: str, old: str, new: str) -> NotebookNode:
        """Everything right, but for one slip."""
        if old not in self.answers[name]:
            raise ValueError(f"the solution of {name} has no {old!r} any more: mend the sample")
        return self.solved(**{name: self.answers[name].replace(old, new)})


def fill(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Write answers into the solution cells of a notebook."""
    for cell in notebook.cells:
        name = grade_id(cell)
        if name in answers:
            cell.source = answers[name]
    return notebook


def _without(notebook: NotebookNode, name: str) -> NotebookNode:
    notebook.cells = [c for c in notebook.cells if grade_id(c) != name]
    return notebook


def _twice(notebook: NotebookNode, name: str) -> NotebookNode:
    at = next(k for k, c in enumerate(notebook.cells) if grade_id(c) == name)
    double = copy.deepcopy(notebook.cells[at])
    double.id += "-again"
    notebook.cells.insert(at, double)
    return notebook


def _in_r(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not (grade_id(cell) or "").startswith(CHECK):
            cell.source = "x <- c(1, 2)\nlibrary(torch)"
    return notebook


QUESTIONS = ["half_shifted", "tightness", "why_giou", "one_pixel"]

BORROWED = "from course_lib.boxes import box_iou\n"

XYWH = """\
def box_area(boxes, fmt="xyxy"):
    return boxes[:, 2] * boxes[:, 3]
"""

LIAR = """\
class Anything(torch.Tensor):
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 1.0
    def __array__(self, *a): raise SystemExit
def box_iou(boxes1, boxes2, fmt="xyxy"):
    return torch.zeros(len(boxes1), len(boxes2)).as_subclass(Anything)
"""

PATCHER = """\
import json, builtins
import autograde, autograde.student.check, autograde.student.marking as marking
marking.compare = lambda *a: None
marking.judge_outcome = lambda *a: None
torch.allclose = torch.equal = lambda *a, **k: True
autograde.student.check.check = check = lambda *a, **k: print("20 of 20 points")
builtins.isinstance = lambda *a: True
"""

SNOOPER = """\
import os, socket
for top in ["/work", "/home", "/root", "/course", "/tmp", "/etc", os.getcwd(), ".."]:
    for folder, _, files in os.walk(top):
        for name in files if "site-packages" not in folder else []:
            if name in ("gradebook.db", "secret") or name.startswith("01_iou"):
                print("FOUND", folder, name, open(os.path.join(folder, name), "rb").read(200))
try:
    socket.create_connection(("127.0.0.1", 8888), timeout=2)
    print("FOUND a network")
except OSError as error:
    print("no network:", error)
"""

SCRIPT = """\
from IPython.display import HTML, display, Javascript
display(HTML("<script>alert('marker')</script><img src=x onerror=alert(1)><b>hello</b>"))
display(Javascript("alert(2)"))
20
"""

CLASS: tuple[Student, ...] = (
    Student("ada", 20, lambda s: s.solved()),
    Student("grace-loops", 20, lambda s: s.other_style()),
    Student("blank", 0, lambda s: s.blank()),
    Student(
        "half-done", 9, lambda s: s.only(["box_convert", "box_area", "box_iou", "mask_iou"])
    ),
    Student("mistake-clamp", 10, lambda s: s.replaced("box_iou", ".clamp(min=0)", "")),
    Student(
        "mistake-plus-one",
        9,
        lambda s: s.replaced("box_iou", "bottom_right - top_left)", "bottom_right - top_left + 1)"),
    ),
    Student("mistake-xywh", 8, lambda s: s.solved(box_area=XYWH)),
    Student("mistake-sign", 19, lambda s: s.replaced("iou_loss", "return -iou", "return iou")),
    Student("answers-only", 4, lambda s: s.only(QUESTIONS)),
    Student("hostile-oneliner", 0, lambda s: s.with_line(ONE_LINER)),
    Student("hostile-patcher", 0, lambda s: s.with_line(PATCHER)),
    Student("hostile-liar", 9, lambda s: s.solved(box_iou=LIAR)),
    Student("hostile-snooper", 20, lambda s: s.with_line(SNOOPER, solve=True)),
    Student("hostile-script", 20, lambda s: s.with_line(SCRIPT, solve=True)),
    Student("hostile-killer", 20, lambda s: s.with_line("import os; os._exit(0)", solve=True)),
    Student("hostile-borrower", 16, lambda s: s.solved(box_iou=BORROWED)),
    Student("broken-deleted-check", 20, lambda s: _without(s.solved(), CHECK + "box_iou")),
    Student("broken-doubled-cell", 20, lambda s: _twice(s.solved(), CHECK + "box_iou")),
    Student("broken-language", 0, lambda s: _in_r(s.blank())),
)  # fmt: skip

BROKEN_FILES = ("broken-nofile", "broken-truncated", "broken-name", "broken-json")


def make_class(classroom: Classroom) -> int:
    """Fill an empty classroom with the sample class; returns how many handed in."""
    if classroom.submitted.exists() and any(classroom.submitted.iterdir()):
        raise FileExistsError(
            f"{classroom.submitted} is not empty. The sample class only goes into an empty "
            "classroom: name another with --classroom"
        )
    release = classroom.root / "release"
    released = nbformat.read(build(LESSON, classroom, release), as_version=4)
    sample = Sample(released, classroom.source(LESSON))
    for student in CLASS:
        file = classroom.submission(student.name, LESSON)
        file.parent.mkdir(parents=True)
        nbformat.write(student.make(sample), file)
    text = nbformat.writes(sample.solved())
    _write_broken(classroom, {
        "broken-nofile": ("notes.txt", "I could not get it to work, sorry."),
        "broken-truncated": (f"{LESSON}.ipynb", text[: len(text) // 2]),
        "broken-name": (f"{LESSON} (1).ipynb", text),
        "broken-json": (f"{LESSON}.ipynb", json.dumps({"cells": "none"})),
    })  # fmt: skip
    return len(CLASS) + len(BROKEN_FILES)


def _write_broken(classroom: Classroom, files: dict[str, tuple[str, str]]) -> None:
    for student, (name, text) in files.items():
        folder: Path = classroom.submitted / student / LESSON
        folder.mkdir(parents=True)
        (folder / name).write_text(text, encoding="utf-8")


def expected_points() -> dict[str, float]:
    """What the sample class must get."""
    return {s.name: s.points for s in CLASS} | dict.fromkeys(BROKEN_FILES, 0.0)
