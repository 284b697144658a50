"""Judge one Python file: for people who write exercises, and for tests."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde.exercises import find_exercise
from autograde.judge import Verdict, judge, nothing_handed_over, parse_answers
from autograde.sandbox import Limits, Sandbox, open_sandbox, read_room_file, run_inside
from autograde.sheets import case_inputs, make_sheet
from autograde.source_check import borrowed
from autograde.student.marking import Marks, Sheet, mark
from autograde.student.report import text_report
from autograde.student.runner import Outcome

TRIAL_SECRET = "a trial, not a class"
SECONDS = 120


@dataclass(frozen=True)
class Trial:
    """What a file earns on the hidden cases, and the report on the public ones."""

    verdict: Verdict
    public: str

    def to_json(self) -> dict[str, Any]:
        v = self.verdict
        return {
            "exercise": v.exercise,
            "share": round(v.share, 4),
            "status": v.status,
            "failed": [f"{probes}: {remark}" for right, probes, remark in v.rows if not right],
            "diagnosis": v.notes,
            "mistakes": v.mistakes,
            "flags": v.flags,
        }


def try_file(path: str, file: Path, limits: Limits | None = None) -> Trial:
    """Judge `file`, which defines the exercise's function or class, e.g. for "01_iou/box_iou"."""
    lesson, task = find_exercise(path)
    source = file.read_text(encoding="utf-8")
    public, hidden = make_sheet(lesson, task), make_sheet(lesson, task, TRIAL_SECRET)
    with open_sandbox(limits or Limits()) as sandbox:
        asked = case_inputs(public) + case_inputs(hidden)
        outcomes, reason = _answers(sandbox, file, task.name, asked, public)
    split = len(public["cases"])
    verdict = judge(hidden, outcomes[split:], reason)
    report = _public_report(public, outcomes[:split], reason)
    library, hiding = borrowed([source], task.name)
    if library:
        text = f"the code uses {', '.join(library)}: the exercise asks to write it"
        verdict = nothing_handed_over(hidden, text, "refused")
        verdict.flags.append("calls-reference")
    if hiding:
        verdict.flags.append(f"look-at-source:{'+'.join(hiding)[:60]}")
    return Trial(verdict, report)


def _answers(
    sandbox: Sandbox, file: Path, name: str, asked: list[Any], sheet: Sheet
) -> tuple[list[Outcome], str]:
    room = sandbox.room
    shutil.copyfile(file, room / "submission.py")
    questions, answers = room / "in.json", room / "out.jsonl"
    questions.write_text(json.dumps({"cases": asked, "forbidden": sheet["forbidden"]}))
    code = (
        "from autograde.student.handover import answer_for_file as f; "
        f"f({str(room / 'submission.py')!r}, {name!r}, {str(questions)!r}, {str(answers)!r})"
    )
    reason = run_inside([sys.executable, "-c", code], sandbox, SECONDS)
    outcomes, short = parse_answers(read_room_file(answers, sandbox.limits.file), len(asked), True)
    return outcomes, reason or short


def _public_report(sheet: Sheet, outcomes: list[Outcome], reason: str) -> str:
    if not outcomes:
        return f"✗ {sheet['name']}: {reason or 'no answer'}"
    silent: Outcome = {"status": "error", "error": reason or "no answer"}
    outcomes = outcomes + [silent] * (len(sheet["cases"]) - len(outcomes))
    marks: Marks = mark(sheet, outcomes)
    return text_report(sheet, marks)
