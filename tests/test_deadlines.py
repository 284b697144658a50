"""Late work: due dates, extensions, and what a day costs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.classroom import Classroom
from autograde.deadlines import Deadline, handed_in, read_deadlines, timestamp_beside
from autograde.spec import LessonError

DUE = datetime(2026, 10, 5, 21, 59)
DAY = 86400.0


def room(folder: Path, deadlines: str = "", times: str = "") -> Classroom:
    if deadlines:
        (folder / "deadlines.toml").write_text(deadlines)
    if times:
        (folder / "handed_in.csv").write_text(times)
    return Classroom(folder)


FILE = """
[01_iou]
due = 2026-10-05T23:59:00+02:00
penalty_per_day = 0.1
most = 0.5

[01_iou.extensions]
ada = 2026-10-08T23:59:00+02:00
"""


def test_deadlines_are_read(tmp_path: Path) -> None:
    deadline = read_deadlines(room(tmp_path, FILE))["01_iou"]
    assert deadline == Deadline(DUE, 0.1, 0.5, {"ada": datetime(2026, 10, 8, 21, 59)})
    assert read_deadlines(Classroom(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    ("late", "student", "lost"),
    [
        (-5, "bob", 0),
        (0, "bob", 0),
        (1, "bob", 2),
        (DAY, "bob", 2),
        (DAY + 1, "bob", 4),
        (30 * DAY, "bob", 10),
        (3 * DAY, "ada", 0),
        (3 * DAY + 1, "ada", 2),
    ],
)
def test_each_day_begun_costs(tmp_path: Path, late: float, student: str, lost: float) -> None:
    deadline = read_deadlines(room(tmp_path, FILE))["01_iou"]
    assert deadline.penalty(student, 20, late) == pytest.approx(lost)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 100), st.floats(0, 1e7), st.floats(0, 1e7))
def test_penalties_grow_and_never_exceed(
    per_day: float, most: float, score: float, one: float, two: float
) -> None:
    deadline = Deadline(DUE, per_day, most)
    less, more = (deadline.penalty("x", score, late) for late in sorted((one, two)))
    assert 0 <= less <= more <= score * most + 1e-9


@pytest.mark.parametrize(
    "text",
    [
        "[01_iou]\npenalty_per_day = 0.1",
        "[01_iou]\ndue = 'tomorrow'",
        "[01_iou]\ndue = 2026-10-05T23:59:00Z\npenalty_per_day = 10",
        "[01_iou]\ndue = 2026-10-05T23:59:00Z\nextension = 1",
        "01_iou = 3",
        "[01_iou",
    ],
)
def test_a_wrong_file_says_what_is_expected(tmp_path: Path, text: str) -> None:
    with pytest.raises(LessonError, match=r"due = 2026-10-05T23:59:00\+02:00"):
        read_deadlines(room(tmp_path, text))


def test_times_are_the_instructors(tmp_path: Path) -> None:
    file = tmp_path / "submitted" / "ada" / "01_iou" / "01_iou.ipynb"
    file.parent.mkdir(parents=True)
    (file.parent / "timestamp.txt").write_text("2026-10-06 12:00:00 UTC")
    assert timestamp_beside(file) == datetime(2026, 10, 6, 12)
    assert handed_in(Classroom(tmp_path)) is None
    times = "student,lesson,time\nada,01_iou,2026-10-05T23:30:00+02:00\n"
    assert handed_in(room(tmp_path, times=times)) == {
        ("ada", "01_iou"): datetime(2026, 10, 5, 21, 30)
    }


@pytest.mark.parametrize("text", ["", "soon", "9" * 5000, "\0", "2026-13-45"])
def test_an_odd_timestamp_is_no_time(tmp_path: Path, text: str) -> None:
    (tmp_path / "timestamp.txt").write_text(text)
    assert timestamp_beside(tmp_path / "x.ipynb") is None


def test_odd_times_of_the_instructor_are_told(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="columns student, lesson and time"):
        handed_in(room(tmp_path, times="student,when\nada,now\n"))
