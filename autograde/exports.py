"""Grades as Canvas and Moodle import them: reports/canvas.csv and reports/moodle.csv.

A student is known by the name of the folder in submitted/. Where the other system knows them by
something else, `roster.csv` in the classroom's folder says so: a column `student` (the folder's
name), and any of `login`, `canvas_id`, `sis_id`, `email`, `name`.
"""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from autograde.classroom import Classroom
from autograde.exercises import find_lesson
from autograde.grades import Grade
from autograde.spec import LessonError

COLUMNS = ("student", "login", "canvas_id", "sis_id", "email", "name")
Key = Literal["username", "email", "idnumber"]
# What Moodle calls the column, and where it stands in the roster.
KEYS: dict[Key, tuple[str, str]] = {
    "username": ("Username", "login"),
    "email": ("Email address", "email"),
    "idnumber": ("ID number", "sis_id"),
}

Person = dict[str, str]


def cell(text: object) -> str:
    """A CSV cell that no spreadsheet runs as a formula."""
    plain = str(text)
    runs = plain[:1] in ("\t", "\r", "\n") or plain.lstrip()[:1] in ("=", "+", "-", "@")
    return f"'{plain}" if runs else plain


def read_roster(classroom: Classroom) -> dict[str, Person]:
    """roster.csv by student; {} if there is none."""
    file = classroom.root / "roster.csv"
    if not file.exists():
        return {}
    roster: dict[str, Person] = {}
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        names = [(n or "").strip().lower() for n in rows.fieldnames or []]
        if "student" not in names:
            raise LessonError(
                f"{file} must have a column `student`, the name of the folder in submitted/; "
                f"got {', '.join(names) or 'an empty file'}. Others it may have: "
                f"{', '.join(COLUMNS[1:])}"
            )
        for row in rows:
            values = ((v or "").strip() for v in list(row.values())[: len(names)])
            person = {k: v for k, v in zip(names, values, strict=False) if k in COLUMNS}
            student = person.get("student", "")
            if student in roster:
                raise LessonError(f"{file}: {student} has two rows; leave one")
            if student:
                roster[student] = person
    return roster


def _by_student(grades: Iterable[Grade]) -> dict[str, dict[str, Grade]]:
    """student -> lesson -> grade, students in order of their names."""
    table: dict[str, dict[str, Grade]] = {}
    for g in sorted(grades, key=lambda g: g.student):
        table.setdefault(g.student, {})[g.lesson] = g
    return table


def _lessons(grades: list[Grade]) -> list[str]:
    return sorted({g.lesson for g in grades})


def _points(points: float) -> str:
    return f"{points:.2f}".rstrip("0").rstrip(".")


def _write(file: Path, rows: Iterator[list[str]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    with draft.open("w", newline="", encoding="utf-8", errors="backslashreplace") as out:
        csv.writer(out).writerows(rows)
    draft.replace(file)
    return file


def write_canvas(classroom: Classroom, grades: list[Grade]) -> Path:
    """reports/canvas.csv, for Canvas: Grades, Import.

    Canvas takes the row of maxima by the words "Points Possible", finds a student by ID, else by
    SIS User ID, else by SIS Login ID, else by name, and an assignment by its title: one called
    01_iou is filled, else made (Canvas's lib/gradebook_importer.rb and gradebook_exporter.rb).
    A lesson that was not handed in stays empty.
    """
    return _write(classroom.reports / "canvas.csv", _canvas(read_roster(classroom), grades))


def _canvas(roster: dict[str, Person], grades: list[Grade]) -> Iterator[list[str]]:
    lessons = _lessons(grades)
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *lessons]
    maxima = [_points(find_lesson(name).points) for name in lessons]
    yield ["    Points Possible", "", "", "", "", *maxima]
    for student, own in _by_student(grades).items():
        person = roster.get(student, {})
        name = person.get("name") or student
        if "Points Possible" in name:  # Canvas would take it for the row of maxima
            name = ""
        known = (name, person.get("canvas_id", ""), person.get("sis_id", ""))
        login = person.get("login") or student
        scores = [_points(own[n].score) if n in own else "" for n in lessons]
        yield [*(cell(x) for x in (*known, login)), "", *scores]


def write_moodle(classroom: Classroom, grades: list[Grade], key: Key = "username") -> Path:
    """reports/moodle.csv, for Moodle: Grades, Import, CSV file.

    key: what Moodle is to know students by; map that column to the user field of the same name,
    each lesson to its grade item or to a new one, and its feedback to the item's feedback.

    Moodle gives a row without a key to the student of the row above, and one unknown key stops
    the whole import (grade/import/csv/classes/load_data.php). So a student whose key is not in
    the roster is left out: `without_key` names them. "-" is Moodle's word for no grade.
    """
    if key not in KEYS:
        raise LessonError(f"key must be one of {', '.join(KEYS)}, got {key!r}")
    return _write(classroom.reports / "moodle.csv", _moodle(read_roster(classroom), grades, key))


def without_key(classroom: Classroom, grades: list[Grade], key: Key = "username") -> list[str]:
    """The students who are not in moodle.csv, since roster.csv has no such key for them."""
    roster = read_roster(classroom)
    return [s for s in _by_student(grades) if not _key(roster, s, key)]


def _key(roster: dict[str, Person], student: str, key: Key) -> str:
    value = roster.get(student, {}).get(KEYS[key][1], "")
    if not value and key == "username":
        value = student
    return "" if value == "0" else value  # to PHP a "0" is empty, too


def _moodle(roster: dict[str, Person], grades: list[Grade], key: Key) -> Iterator[list[str]]:
    lessons = _lessons(grades)
    yield [KEYS[key][0], *(x for name in lessons for x in (name, f"{name} (Feedback)"))]
    for student, own in _by_student(grades).items():
        if value := _key(roster, student, key):
            both = (
                x
                for n in lessons
                for x in ((_points(own[n].score), cell(comment(own[n]))) if n in own else ("-", ""))
            )
            yield [cell(value), *both]


def comment(g: Grade) -> str:
    """What a student reads beside the grade: the points of each task. Moodle shows it as HTML."""
    if g.broken:
        return html.escape(f"It could not be graded: {g.broken}", quote=False)
    parts = [
        f"{v.exercise} {_points(v.points)} of {_points(v.max_points)}"
        + ("" if v.status in ("passed", "partial", "failed") else f" ({v.status})")
        for v in g.verdicts
    ]
    late = [f"late: {_points(g.penalty)} points off"] if g.penalty else []
    return html.escape("; ".join([*parts, *late]), quote=False)
