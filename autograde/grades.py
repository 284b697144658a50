"""What grading found out, one Grade for a student's lesson; kept in reports/grades.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from autograde.classroom import Classroom
from autograde.judge import Verdict


@dataclass
class Grade:
    """One student's lesson: verdicts, or the reason why there are none.

    flags: what is odd about the file as a whole. Those of an exercise are in its verdict.
    codes: the source of each exercise's definition as it was handed in, without its docstring.
    seconds: how long the notebook took in the sandbox.
    penalty: points taken off for being late.
    """

    student: str
    lesson: str
    verdicts: list[Verdict] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    broken: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    penalty: float = 0.0

    @property
    def points(self) -> float:
        """The points of all exercises, before a penalty."""
        return sum(v.points for v in self.verdicts)

    @property
    def score(self) -> float:
        """What counts: points less the penalty."""
        return max(0.0, self.points - self.penalty)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Grade:
        return cls(**{**data, "verdicts": [Verdict.from_json(v) for v in data["verdicts"]]})


def write_grades(classroom: Classroom, grades: list[Grade]) -> None:
    """Write reports/grades.json; lessons that are not among `grades` keep their entries."""
    lessons = {g.lesson for g in grades}
    kept = [g for g in read_grades(classroom) if g.lesson not in lessons]
    classroom.reports.mkdir(parents=True, exist_ok=True)
    file = classroom.reports / "grades.json"
    draft = file.with_suffix(".draft")
    draft.write_text(
        json.dumps([g.to_json() for g in kept + grades], ensure_ascii=False), encoding="utf-8"
    )
    draft.replace(file)


def read_grades(classroom: Classroom) -> list[Grade]:
    """The grades of the last grading of each lesson; [] if there was none."""
    file = classroom.reports / "grades.json"
    if not file.exists():
        return []
    return [Grade.from_json(g) for g in json.loads(file.read_text(encoding="utf-8"))]
