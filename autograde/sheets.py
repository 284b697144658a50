"""Make exercises concrete: cases with inputs, expected values and each mistake's answers.

A public sheet comes from a fixed seed and goes to students. A hidden sheet comes from the
class's secret, exists only in the judge's memory, and never leaves it.
"""

from __future__ import annotations

import math
from typing import Any

from autograde.spec import Case, Draw, Exercise, Lesson, Question
from autograde.student.marking import Sheet
from autograde.student.plain import pack
from autograde.student.runner import CaseInputs, run_case

PUBLIC = "public"


# Processors round the last digits of exp, atan and sums differently; half types have few digits.
ROUNDING = {"float16": 1e-2, "bfloat16": 2e-2}


def alike(one: Any, other: Any, rel: float = 1e-4) -> bool:
    """Do two sheets, as JSON, say the same, but for what another processor may round otherwise?"""
    if isinstance(one, dict) and isinstance(other, dict):
        rel = ROUNDING.get(str(one.get("dtype", "")).removeprefix("torch."), rel)
        return one.keys() == other.keys() and all(alike(one[k], other[k], rel) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(alike(a, b, rel) for a, b in pairs)
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=rel, abs_tol=1e-5)
    return type(one) is type(other) and one == other


def make_sheet(lesson: Lesson, task: Exercise | Question, secret: str | None = None) -> Sheet:
    """The public sheet of a task, or with a secret the hidden one."""
    if isinstance(task, Question):
        return _question_sheet(task, public=secret is None)
    cases = [
        (case, _inputs(case, Draw(f"{lesson.name}/{task.name}/{k}/{draw}/{secret or PUBLIC}")))
        for k, case in enumerate(task.cases)
        for draw in range(case.draws if secret else 1)
    ]
    return {
        "type": "exercise",
        "name": task.name,
        "points": task.points,
        "forbidden": list(task.forbids or (task.name,)),
        "hints": list(task.hints),
        "picture": task.picture,
        "cases": [_sheet_case(task, case, inputs) for case, inputs in cases],
        "mistakes": [
            {
                "name": m.name,
                "says": m.says,
                "outcomes": [run_case(m.wrong, inputs) for _, inputs in cases],
            }
            for m in task.mistakes
        ],
    }


def _inputs(case: Case, draw: Draw) -> CaseInputs:
    init = pack(list(case.init(draw))) if case.init else None
    inputs: CaseInputs = {"kind": case.kind, "inputs": pack(list(case.make(draw))), "init": init}
    if case.slopes:
        inputs["slopes"] = list(case.slopes)
    if case.each:
        inputs["each"] = True
    return inputs


def _sheet_case(task: Exercise, case: Case, inputs: CaseInputs) -> dict[str, Any]:
    outcome = run_case(task.reference, inputs)
    if outcome["status"] != "ok" or outcome["changed"]:
        raise RuntimeError(f"{task.name}, case {case.probes!r}: the reference gave {outcome}")
    return {
        **inputs,
        "probes": case.probes,
        "core": case.core,
        "advice": case.advice,
        "dtype": case.dtype,
        "rtol": case.rtol,
        "atol": case.atol,
        "numpy": task.numpy,
        "rows": task.rows,
        "names": list(task.names),
        "outputs": [] if case.kind == "grad" else list(task.outputs),
        "expected": outcome["value"],
    }


def _question_sheet(task: Question, public: bool) -> Sheet:
    sheet: Sheet = {
        "type": "question",
        "name": task.name,
        "points": task.points,
        "choices": task.letters,
        "between": list(task.between) if task.between else None,
    }
    if public:  # the form of an answer only: a student's machine holds no answers
        return sheet
    return {
        **sheet,
        "answer": task.answer,
        "tolerance": task.tolerance,
        "why": task.why,
        "traps": [[trap, says] for trap, says in task.traps.items()],
    }


def case_inputs(sheet: Sheet) -> list[CaseInputs]:
    """What may be handed to a student's process: inputs, and nothing about the answers."""
    if sheet["type"] == "question":
        return [{"kind": "value", "inputs": pack([]), "init": None}]
    handed = ("kind", "inputs", "init", "slopes", "each")
    return [{k: case[k] for k in handed if k in case} for case in sheet["cases"]]
