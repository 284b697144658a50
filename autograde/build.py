"""Build lessons: solutions/NN_topic.py → classroom/source → lessons/. Deterministic to the byte.

A page (`PAGES`) is no assignment and goes from solutions/ to lessons/ directly.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograde.cells import CHECK
from autograde.classroom import Classroom
from autograde.demonstrations import TAG
from autograde.exercises import find_lesson
from autograde.nbgrader_setup import configure
from autograde.sandbox import PROJECT
from autograde.sheets import alike, make_sheet
from autograde.spec import Lesson, LessonError, Question
from course_lib.explore.page import alive

SOLUTIONS = PROJECT / "solutions"
LESSONS = PROJECT / "lessons"
PUBLIC = PROJECT / "autograde" / "student" / "public"


def nbgrader_api(classroom: Classroom, release: Path, db_url: str | None = None) -> NbGraderAPI:
    """nbgrader's own interface, set up for a class."""
    config = Config()
    configure(config, classroom.root.resolve(), release.resolve(), db_url)
    course = CourseDirectory(config=config)
    course.root = str(PROJECT)
    return NbGraderAPI(course, config=config)


def build(
    lesson_name: str, classroom: Classroom, release: Path = LESSONS, db_url: str | None = None
) -> Path:
    """Build one lesson: its source notebook, its release, and its place in the gradebook.

    Returns the released notebook's path.
    """
    lesson = find_lesson(lesson_name)
    notebook = to_notebook(_text(lesson.name), lesson)
    source = classroom.source_file(lesson.name)
    source.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, source)
    result = nbgrader_api(classroom, release, db_url).generate_assignment(lesson.name, force=True)
    if not result["success"]:
        raise LessonError(f"nbgrader could not build {lesson.name}:\n{result['log']}")
    released = release / lesson.name / f"{lesson.name}.ipynb"
    _tidy(released)
    return released


def build_page(name: str, release: Path = LESSONS) -> Path:
    """Build a notebook without exercises; returns its path."""
    notebook = to_notebook(_text(name), Lesson(name, title=name, tasks=()))
    released = release / name / f"{name}.ipynb"
    released.parent.mkdir(parents=True, exist_ok=True)
    _write(notebook, released)
    return released


def _text(name: str) -> str:
    file = SOLUTIONS / f"{name}.py"
    if not file.exists():
        raise LessonError(f"{name} has no source: expected {file.name} in solutions/")
    return file.read_text(encoding="utf-8")


def to_notebook(text: str, lesson: Lesson) -> NotebookNode:
    """The source notebook of a lesson, from percent-format text.

    A cell `# %% solve="box_iou"` is what the student writes, `# %% check="box_iou"` what is
    graded; points come from the exercise's declaration. Of the other code cells the first sets
    things up; those after it show something, and are tagged as demonstrations.
    """
    notebook = jupytext.reads(text, fmt="py:percent")
    solved: list[str] = []
    checked: list[str] = []
    set_up = False
    for index, cell in enumerate(notebook.cells):
        marks = {k: cell.metadata.pop(k, None) for k in ("solve", "check")}
        cell.metadata.pop("lines_to_next_cell", None)
        for kind, name in marks.items():
            if name is None:
                continue
            task = lesson.task(name)
            cell.metadata = NotebookNode(nbgrader=NotebookNode(_nbgrader(kind, name, task.points)))
            if isinstance(task, Question) and kind == "solve":
                cell.metadata.question = True
            (solved if kind == "solve" else checked).append(name)
        name = marks["solve"] or (marks["check"] and CHECK + marks["check"])
        cell.id = name or f"{_slug(cell.source)}-{_digest(f'{lesson.name}/{index}')}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            given = not (marks["solve"] or marks["check"])
            if given and set_up and lesson.tasks:
                cell.metadata.tags = [TAG]
            set_up = set_up or given
    expected = [t.name for t in lesson.tasks]
    if solved != expected or checked != expected:
        raise LessonError(
            f"lesson {lesson.name} must have one solve cell and one check cell for each of "
            f"{expected}, in this order; got solve {solved} and check {checked}"
        )
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(
            display_name="Python 3 (ipykernel)", language="python", name="python3"
        ),
        language_info=NotebookNode(name="python", file_extension=".py"),
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _nbgrader(kind: str, name: str, points: float) -> dict[str, Any]:
    info = {"schema_version": 3, "solution": kind == "solve", "grade": kind == "check",
            "locked": kind == "check", "task": False, "grade_id": name}  # fmt: skip
    if kind == "check":
        info |= {"grade_id": CHECK + name, "points": points}
    return info


def _slug(text: str) -> str:
    first = re.sub(r"[^a-z0-9]+", "-", text.lower())[:24].strip("-")
    return first or "cell"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _tidy(released: Path) -> None:
    """The released file in one form: sorted keys, no traces of the build."""
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("question", None)
        if cell.cell_type == "code":
            # "Run All" goes on past what is not solved yet.
            cell.metadata.tags = ["raises-exception"]
    _write(notebook, released)


def _write(notebook: NotebookNode, file: Path) -> None:
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def write_public_sheets(lesson_name: str, folder: Path = PUBLIC) -> Path:
    """The public cases of a lesson, for the student's side.

    A file that says the same but for rounding is left as it is.
    """
    lesson = find_lesson(lesson_name)
    sheets = {task.name: make_sheet(lesson, task) for task in lesson.tasks}
    for sheet in sheets.values():
        for case in sheet.get("cases", []):
            if case["init"] is None:
                del case["init"]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{lesson.name}.json"
    data = {"lesson": lesson.name, "sheets": sheets}
    if file.exists() and alike(json.loads(file.read_text(encoding="utf-8")), data):
        return file
    lines = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    file.write_text(lines.replace('{"cases"', '\n{"cases"') + "\n", encoding="utf-8")
    return file


def build_solved(lesson_name: str, classroom: Classroom, seconds: int = 900) -> Path:
    """Run the solution notebook and leave it with outputs, and as a page, in classroom/solved."""
    notebook = classroom.source(lesson_name)
    classroom.solved.mkdir(parents=True, exist_ok=True)
    NotebookClient(
        notebook, timeout=seconds, resources={"metadata": {"path": str(PROJECT)}}
    ).execute()
    file = classroom.solved / f"{lesson_name}.ipynb"
    nbformat.write(notebook, file)
    page, _ = HTMLExporter(template_name="lab").from_notebook_node(alive(notebook))
    file.with_suffix(".html").write_text(page, encoding="utf-8")
    return file
