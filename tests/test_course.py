"""The whole course at once: every lesson handed in by three students, graded with one command."""

from __future__ import annotations

import csv
from pathlib import Path

import nbformat
import pytest
from conftest import BuiltClassroom, run_cli

from autograde.build import LESSONS as RELEASES
from autograde.classroom import Classroom
from autograde.demo import Sample
from autograde.exercises import LESSONS
from autograde.spec import Exercise, Lesson


def half(lesson: Lesson) -> list[str]:
    """The first half of the exercises, which build on no later one, and all questions but one."""
    exercises = [task.name for task in lesson.tasks if isinstance(task, Exercise)]
    questions = [task.name for task in lesson.tasks if not isinstance(task, Exercise)]
    return exercises[: len(exercises) // 2] + questions[1:]


@pytest.mark.full
def test_perfect_blank_and_half_done_work_get_what_they_deserve(
    built: BuiltClassroom, tmp_path: Path
) -> None:
    room = Classroom(tmp_path)
    expected: dict[tuple[str, str], float] = {}
    for name, lesson in LESSONS.items():
        released = nbformat.read(RELEASES / name / f"{name}.ipynb", as_version=4)
        sample = Sample(released, built.source(name))
        for student, notebook, points in (
            ("perfect", sample.solved(), 20),
            ("blank", sample.blank(), 0),
            ("mixed", sample.only(half(lesson)), sum(lesson.task(n).points for n in half(lesson))),
        ):
            file = room.submission(student, name)
            file.parent.mkdir(parents=True)
            nbformat.write(notebook, file)
            expected[student, name] = points
    done = run_cli("grade", "--classroom", str(tmp_path), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    with (room.reports / "grades.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["student"], row["lesson"]): float(row["points"]) for row in rows} == expected
    with (room.reports / "scores.csv").open(encoding="utf-8") as file:
        flags = {flag for row in csv.DictReader(file) for flag in row["flags"].split()}
    assert all(flag.startswith("near-copy") for flag in flags), "the perfect one is the solution"
