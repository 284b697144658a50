"""Give points: compare what came out of the sandbox with what the reference answers.

Runs in the trusted process only. A verdict holds no hidden input and no hidden answer, so that it
can be shown to the student as it is.
"""

from __future__ import annotations

import builtins
import html
import json
import math
import sys
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nbformat import NotebookNode

from autograde.student.compare import KINDS, plain_number
from autograde.student.marking import CaseMark, Sheet, mark
from autograde.student.plain import PlainError, unpack
from autograde.student.report import by_probe, headline, html_page, table_row
from autograde.student.runner import Outcome


@dataclass
class Verdict:
    """What one task of one submission earned, and why.

    status: passed, partial, failed, not attempted, refused, error, missing.
    rows: (right, what was probed, remark) for each thing probed.
    """

    exercise: str
    points: float
    max_points: float
    status: str
    title: str
    rows: list[tuple[bool, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.points / self.max_points if self.max_points else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(**{**data, "rows": [tuple(r) for r in data["rows"]]})

    def as_html(self) -> str:
        """The verdict as it stands in feedback."""
        rows = [
            table_row("✓" if right else "✗", [html.escape(probes), html.escape(remark)])
            for right, probes, remark in self.rows
        ]
        points = f"{self.points:g} of {self.max_points:g} points"
        return html_page(f"{self.title} · {points}", rows, self.notes)

    def as_output(self) -> NotebookNode:
        """The verdict as the output of its check cell: nbgrader reads the points from the text."""
        data = {"text/html": self.as_html(), "text/plain": f"{self.points:g}"}
        return NotebookNode(
            output_type="execute_result", data=data, metadata={}, execution_count=None
        )


def parse_answers(
    raw: bytes | None, count: int, own_words: bool = False
) -> tuple[list[Outcome], str]:
    """The outcomes in a room's answer file, and a reason if there are fewer than `count`.

    own_words: pass on what the file says of why there is no object. Only where no hidden input
    is at stake: the words are the student's.
    """
    if raw is None:
        return [], "the code gave no answer in time"
    outcomes: list[Outcome] = []
    ended = False
    for line in raw.splitlines()[: count + 1]:
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            break
        if data == "end":
            ended = True
        if not isinstance(data, dict):
            break
        if data.get("status") == "no object":
            return [], str(data.get("error", ""))[:400] if own_words else "there was no object"
        outcomes.append(data)
    reason = "" if ended else "the code came to no end in time, or ended the process"
    return outcomes[:count], reason


def judge(sheet: Sheet, outcomes: list[Outcome], reason: str = "") -> Verdict:
    """The verdict on an exercise, or on a question, from the outcomes of its hidden sheet."""
    if sheet["type"] == "question":
        return judge_question(sheet, outcomes, reason)
    if not outcomes:
        return nothing_handed_over(sheet, reason or "there was no answer")
    silent: Outcome = {"status": "error", "error": reason or "no answer"}
    outcomes = outcomes + [silent] * (len(sheet["cases"]) - len(outcomes))
    marks = mark(sheet, outcomes)
    if marks.status == "refused":
        marks = replace(marks, library=_known_functions(marks.library))
    points = math.floor(marks.share * sheet["points"] * 100 + 0.5) / 100
    counting = [m for m in by_probe(marks.cases) if not m.advice]
    rows = [(m.passed, m.probes, _remark(m, outcomes)) for m in counting]
    notes = [f"→ {d}" for d in marks.diagnoses]
    if marks.status == "refused":
        notes = [
            "The exercise asks you to write this yourself; your code calls "
            f"{', '.join(marks.library)}. If you think this is a mistake, tell your instructor."
        ]
    if any(m.core and not m.passed for m in marks.cases) and marks.status == "failed":
        notes.append("A failed case marked * is the heart of the exercise: no points without it.")
    return Verdict(
        exercise=sheet["name"],
        points=points,
        max_points=sheet["points"],
        status=marks.status,
        title=headline(sheet["name"], marks),
        rows=[] if marks.status in ("refused", "not attempted") else rows,
        notes=notes,
        mistakes=marks.mistakes,
        flags=["calls-reference"] if marks.status == "refused" else [],
    )


def _remark(mark: CaseMark, outcomes: list[Outcome]) -> str:
    """What may be told of a hidden case: the kind of difference, never the student's words.

    An error's text or a shape is made by the student's code, which has seen the hidden inputs.
    """
    if mark.difference is None:
        return ""
    text = KINDS[mark.difference.kind]
    name = str(outcomes[mark.index].get("error", "")).partition(":")[0]
    if mark.difference.kind == "error" and name in BUILTIN_ERRORS:
        text = f"an error: {name}"
    return f"{text} *" if mark.core else text


BUILTIN_ERRORS = frozenset(
    name for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception)
)  # fmt: skip


def _known_functions(names: list[str]) -> list[str]:
    """Of the library functions that the student's process reports, those that there are."""
    known = [
        name
        for name in names
        if name == "sys.setprofile"
        or (
            name.startswith("course_lib.")
            and hasattr(sys.modules.get(name.rpartition(".")[0]), name.rpartition(".")[2])
        )
    ]
    return known or ["course_lib"]


def nothing_handed_over(sheet: Sheet, reason: str, status: str = "error") -> Verdict:
    """The verdict where there was nothing to judge, and why."""
    name = sheet["name"]
    return Verdict(name, 0.0, sheet["points"], status, f"✗ {name}: nothing to judge", [], [reason])


def judge_question(sheet: Sheet, outcomes: list[Outcome], reason: str = "") -> Verdict:
    """The verdict on a review question."""
    name, points = sheet["name"], sheet["points"]
    if not outcomes:
        return nothing_handed_over(sheet, reason or "there was no answer")
    try:
        given = unpack(outcomes[0].get("value"))
    except PlainError:
        given = None
    if given is None:
        title = f"○ {name}: not answered"
        return Verdict(name, 0.0, points, "not attempted", title, [], [sheet["why"]])
    right = _answers(given, sheet["answer"], sheet)
    trap = [says for wrong, says in sheet["traps"] if not right and _answers(given, wrong, sheet)]
    sign, word = ("✓", "right") if right else ("✗", "not right")
    shown = str(given)[:60]
    return Verdict(
        exercise=name,
        points=points if right else 0.0,
        max_points=points,
        status="passed" if right else "failed",
        title=f"{sign} {name}: {shown} is {word}",
        notes=[*trap, sheet["why"]],
    )


def _answers(given: Any, answer: Any, sheet: Sheet) -> bool:
    if sheet["choices"]:
        return isinstance(given, str) and given.strip().upper() == answer
    number = plain_number(given)
    if number is None:
        return False
    return math.isclose(number, answer, rel_tol=0, abs_tol=sheet["tolerance"])
