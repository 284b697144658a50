"""Due dates, extensions, and what being late costs: `classroom/deadlines.toml`.

    [01_iou]
    due = 2026-10-05T23:59:00+02:00
    penalty_per_day = 0.1     # of the points, for each day begun
    most = 0.5                # of the points at most

    [01_iou.extensions]
    ada = 2026-10-08T23:59:00+02:00

When somebody handed in stands in `classroom/handed_in.csv` (student,lesson,time), which is the
instructor's own. Without that file the `timestamp.txt` beside a notebook counts, as nbgrader
documents it: fine where nbgrader collected the work, but a student's own file elsewhere.
"""

from __future__ import annotations

import csv
import math
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.utils import parse_utc
from traitlets import Unicode

from autograde.classroom import Classroom
from autograde.spec import LessonError


@dataclass(frozen=True)
class Deadline:
    """When a lesson is due, for whom later, and what each day begun costs. Times in naive UTC."""

    due: datetime
    penalty_per_day: float = 0.0
    most: float = 1.0
    extensions: dict[str, datetime] = field(default_factory=dict)

    def penalty(self, student: str, score: float, seconds_late: float) -> float:
        """Points to take off; seconds_late counts from `due`."""
        extension = self.extensions.get(student, self.due) - self.due
        days = math.ceil(max(0.0, seconds_late - extension.total_seconds()) / 86400)
        return score * min(self.most, self.penalty_per_day * days)


def read_deadlines(classroom: Classroom) -> dict[str, Deadline]:
    """The deadline of each lesson that has one; a LessonError that says what is wrong."""
    file = classroom.root / "deadlines.toml"
    if not file.exists():
        return {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        return {lesson: _deadline(entry) for lesson, entry in table.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LessonError(
            f"{file} is not as it should be ({type(error).__name__}: {error}). Expected for each "
            "lesson [01_iou] with due = 2026-10-05T23:59:00+02:00, and penalty_per_day, most and "
            "[01_iou.extensions] if you want them"
        ) from None


def _deadline(entry: dict[str, Any]) -> Deadline:
    known = {"due", "penalty_per_day", "most", "extensions"}
    if odd := set(entry) - known:
        raise ValueError(f"unknown: {', '.join(sorted(odd))}")
    per_day, most = float(entry.get("penalty_per_day", 0)), float(entry.get("most", 1))
    if not (0 <= per_day <= 1 and 0 <= most <= 1):
        raise ValueError("penalty_per_day and most are shares of the points, between 0 and 1")
    later = {str(s): _utc(t) for s, t in entry.get("extensions", {}).items()}
    return Deadline(_utc(entry["due"]), per_day, most, later)


def _utc(time: object) -> datetime:
    if not isinstance(time, datetime):
        raise ValueError(f"expected a time like 2026-10-05T23:59:00+02:00, got {time!r}")
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def handed_in(classroom: Classroom) -> dict[tuple[str, str], datetime] | None:
    """(student, lesson) -> when, from handed_in.csv; None if there is no such file."""
    file = classroom.root / "handed_in.csv"
    if not file.exists():
        return None
    times = {}
    with file.open(newline="", encoding="utf-8-sig") as opened:
        for row in csv.DictReader(opened):
            try:
                times[row["student"], row["lesson"]] = parse_utc(row["time"])
            except (KeyError, TypeError, ValueError, OverflowError):
                raise LessonError(
                    f"{file} needs the columns student, lesson and time, the time like "
                    f"2026-10-05T21:30:00+02:00; got {dict(row)}"
                ) from None
    return times


def timestamp_beside(file: Path) -> datetime | None:
    """What a timestamp.txt beside a notebook says; None if there is none that can be read."""
    try:
        return parse_utc((file.parent / "timestamp.txt").read_text(encoding="utf-8")[:100].strip())
    except (OSError, ValueError, OverflowError, TypeError):
        return None


def write_due_dates(book: Gradebook, classroom: Classroom) -> None:
    """Tell the gradebook when its lessons are due."""
    for lesson, deadline in read_deadlines(classroom).items():
        if any(a.name == lesson for a in book.assignments):
            book.update_or_create_assignment(lesson, duedate=deadline.due)


class LatePolicy(LateSubmissionPlugin):
    """nbgrader's plugin point for late work, with deadlines.toml as the policy."""

    root = Unicode(help="The folder of the class").tag(config=True)

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float | None:
        lesson = getattr(self.parent, "assignment_id", "")
        deadline = read_deadlines(Classroom(Path(self.root))).get(lesson)
        if deadline is None:
            return None
        return deadline.penalty(student_id, score, total_seconds_late) or None
