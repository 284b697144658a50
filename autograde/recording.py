"""The one writer: what was judged goes into nbgrader's gradebook, and out of it into feedback."""

from __future__ import annotations

import contextlib
import html
import json
import logging
import shutil
import warnings
from datetime import datetime
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    GetGrades,
    OverwriteCells,
    SaveAutoGrades,
)
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from autograde.classroom import Classroom
from autograde.deadlines import handed_in, timestamp_beside, write_due_dates
from autograde.grades import Grade
from autograde.jobs import Page
from autograde.nbgrader_setup import COURSE_ID, configure, gradebook_url
from autograde.preprocessors import META
from autograde.results import Result
from autograde.student.report import html_page


class Recorder:
    """Writes judged work into the gradebook of a class, one after another."""

    def __init__(self, classroom: Classroom, db_url: str | None = None) -> None:
        self.classroom = classroom
        self.url = db_url or gradebook_url(classroom.root)
        self._times = handed_in(classroom)
        config = Config()
        configure(config, classroom.root, classroom.root / "release", db_url)
        steps = (OverwriteCells, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata)
        self._steps = [step(config=config) for step in steps]
        self._get_grades = GetGrades(config=config)
        for step in (*self._steps, self._get_grades):
            step.log = logging.getLogger("autograde.recording")
        logging.getLogger("autograde.recording").setLevel(logging.CRITICAL)
        with self._book() as book:
            write_due_dates(book, classroom)

    def _book(self) -> Gradebook:
        return Gradebook(self.url, COURSE_ID)

    def handed_in(self, student: str, lesson: str) -> datetime | None:
        """When a lesson was handed in, as far as is known."""
        if self._times is not None:
            return self._times.get((student, lesson))
        return timestamp_beside(self.classroom.submission(student, lesson))

    def record(self, grade: Grade, result: Result) -> Page:
        """Write a judged submission into the gradebook and autograded/; what to show of it."""
        grade.verdicts, grade.codes = result.verdicts, result.codes
        grade.flags, grade.seconds = sorted({*grade.flags, *result.flags}), result.seconds
        notebook = result.notebook
        notes = {"flags": grade.flags, "verdicts": [v.to_json() for v in grade.verdicts]}
        notebook.metadata[META] = notes
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=SAWarning)
            with self._book() as book:
                book.update_or_create_student(grade.student)
                when = self.handed_in(grade.student, grade.lesson)
                book.update_or_create_submission(grade.lesson, grade.student, timestamp=when)
            asked = {"notebook": grade.lesson, "assignment": grade.lesson,
                     "student": grade.student, "db_url": self.url}  # fmt: skip
            resources: dict[str, Any] = {"nbgrader": asked}
            for step in self._steps:
                notebook, resources = step.preprocess(notebook, resources)
            self._write(grade, notebook)
            return self._page(grade, notebook, resources)

    def _write(self, grade: Grade, notebook: NotebookNode) -> None:
        folder = self.classroom.autograded / grade.student / grade.lesson
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{grade.lesson}.ipynb")

    def _page(self, grade: Grade, notebook: NotebookNode, resources: dict[str, Any]) -> Page:
        notebook, resources = self._get_grades.preprocess(notebook, resources)
        shown = {k: v for k, v in resources["nbgrader"].items() if k != "db_url"}
        grade.penalty = round(float(shown["late_penalty"]), 2)
        return Page(json.dumps(notebook), shown)

    def write_feedback(self, grade: Grade, page: str) -> None:
        """feedback/<student>/<lesson>/<lesson>.html; nothing older stays."""
        folder = self.classroom.feedback / grade.student / grade.lesson
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / f"{grade.lesson}.html").write_text(page, encoding="utf-8")

    def record_broken(self, grade: Grade) -> None:
        """A submission that could not be graded: its student reads why, and nothing older stays."""
        folder = self.classroom.autograded / grade.student / grade.lesson
        shutil.rmtree(folder, ignore_errors=True)
        with self._book() as book, contextlib.suppress(MissingEntry):
            book.remove_submission(grade.lesson, grade.student)
        title = f"✗ {grade.lesson} could not be graded"
        page = html_page(title, [], [grade.broken, "0 points so far."])
        head = f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>'
        self.write_feedback(grade, f"{head}{page}\n")
