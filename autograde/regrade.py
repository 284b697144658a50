"""Judge one exercise of a class again after it was mended, and show whose points change first."""

from __future__ import annotations

from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograde.batch import progress_bar
from autograde.build import build
from autograde.cells import checked_exercise
from autograde.classroom import Classroom
from autograde.exercises import find_lesson
from autograde.grades import Grade, read_grades
from autograde.grading import Batch, Settings, start_workers
from autograde.judge import Verdict
from autograde.kept import Kept
from autograde.reports import write_reports
from autograde.results import Result
from autograde.spec import LessonError


@dataclass(frozen=True)
class Change:
    """Somebody's verdict on the exercise, before and now."""

    grade: Grade
    before: Verdict
    after: Verdict


class _Rejudge(Batch):
    """A batch that judges and keeps, and writes nothing down."""

    def record(self, grade: Grade, result: Result) -> None:
        grade.verdicts = result.verdicts
        self._finished(grade)

    def _broken(self, grade: Grade, reason: str) -> None:
        grade.broken = reason
        self._finished(grade)


def regrade(
    classroom: Classroom, lesson: str, exercise: str, write: bool, console: Console,
    settings: Settings,
) -> list[Change]:  # fmt: skip
    """Judge the exercise again for all whom `grade` has graded; write only if told to."""
    classroom = Classroom(classroom.root.resolve())
    find_lesson(lesson).task(exercise)  # says which there are, if there is no such one
    mine = [g for g in read_grades(classroom) if g.lesson == lesson]
    recorded = [g for g in mine if not g.broken]
    if not recorded:
        raise LessonError(
            f"nobody has grades in {lesson} yet; first: python -m autograde grade {lesson}"
        )
    build(lesson, classroom, classroom.root / "release", settings.db_url)
    todo = [(g.student, g.lesson) for g in recorded]
    kept = Kept(classroom, settings.limits)
    with start_workers(kept, todo, settings) as workers, progress_bar(console) as bar:
        again = _Rejudge(kept, settings, workers, bar, "judging", len(todo)).run(todo)
        changes = [
            Change(old, before, after)
            for old, new in zip(recorded, again, strict=True)
            if (before := _verdict(old, exercise)) and (after := _verdict(new, exercise))
            if before.points != after.points
        ]
        if write and changes:
            _write(changes, Batch(kept, settings, workers, bar, "writing", len(changes)))
            write_reports(classroom, [lesson], mine)
    _show(changes, recorded, again, exercise, write, console)
    return changes


def _verdict(grade: Grade, exercise: str) -> Verdict | None:
    return next((v for v in grade.verdicts if v.exercise == exercise), None)


def _write(changes: list[Change], batch: Batch) -> None:
    """Put the new verdicts into the grades, the gradebook, the autograded notebooks, feedback."""
    for change in changes:
        grade = change.grade
        at = grade.verdicts.index(change.before)
        verdicts = [*grade.verdicts[:at], change.after, *grade.verdicts[at + 1 :]]
        file = batch.classroom.autograded / grade.student / grade.lesson / f"{grade.lesson}.ipynb"
        notebook = nbformat.read(file, as_version=4)
        _replace(notebook, change.after)
        result = Result(notebook, verdicts, grade.flags, grade.codes, grade.seconds)
        batch.record(grade, result)
    batch.wait()


def _replace(notebook: NotebookNode, verdict: Verdict) -> None:
    for cell in notebook.cells:
        if checked_exercise(cell) == verdict.exercise:
            cell.outputs = [verdict.as_output()]


def _show(
    changes: list[Change], recorded: list[Grade], again: list[Grade], exercise: str, wrote: bool,
    console: Console,
) -> None:  # fmt: skip
    """Whose points change, and whether anything else would."""
    title = f"{exercise}: {len(changes)} of {len(recorded)} change"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name in ("student", "before", "now", "lesson"):
        table.add_column(name, justify="left" if name == "student" else "right")
    for c in changes:
        total = c.grade.points + (0 if wrote else c.after.points - c.before.points)
        row = (f"{c.before.points:g}", f"{c.after.points:g}", f"{total:g}")
        table.add_row(escape(c.grade.student), *row)
    console.print(table)
    others = {
        new.exercise
        for old, fresh in zip(recorded, again, strict=True)
        for new in fresh.verdicts
        if new.exercise != exercise
        and (v := _verdict(old, new.exercise))
        and v.points != new.points
    }
    if others:
        names = ", ".join(sorted(others))
        console.print(f"Points would change in {names}, too; that is left as it was.")
    if changes and not wrote:
        console.print("Nothing is written yet. The same command with --write writes it.")
