"""The result of judging one notebook, kept under the hash of everything that decides it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.alone import Claim, beyond, settle
from autograde.cells import checked_exercise, clean_markdown, clean_outputs, grade_id
from autograde.demonstrations import left_out
from autograde.execution import Executed, execute
from autograde.exercises import find_lesson
from autograde.judge import Verdict, judge, nothing_handed_over
from autograde.sandbox import PROJECT, Limits, bubblewrap
from autograde.sheets import make_sheet
from autograde.source_check import borrowed, definitions, tampering
from autograde.spec import Exercise
from autograde.student.marking import Sheet

DECIDING = (
    *("alone", "cells", "demonstrations", "execution", "judge", "results", "sandbox", "sheets"),
    *("source_check", "spec", "warm"),
)


@dataclass
class Result:
    """A judged notebook: cells with outputs, a verdict for each task, flags for a person.

    codes: exercise -> the source of its definition, without the docstring.
    seconds: how long the notebook took in the sandbox.
    """

    notebook: NotebookNode
    verdicts: list[Verdict]
    flags: list[str]
    codes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_text(self) -> str:
        """As JSON, for the store and for the way from a worker."""
        plain = {
            "notebook": self.notebook,
            "verdicts": [v.to_json() for v in self.verdicts],
            "flags": self.flags,
            "codes": self.codes,
            "seconds": self.seconds,
        }
        return json.dumps(plain)

    @classmethod
    def from_text(cls, text: str) -> Result:
        data = json.loads(text)
        data["verdicts"] = [Verdict.from_json(v) for v in data["verdicts"]]
        return cls(**{**data, "notebook": nbformat.from_dict(data["notebook"])})


@cache
def hidden_sheets(lesson: str, secret: str) -> dict[str, Sheet]:
    """The hidden sheets of a lesson for the class with this secret."""
    found = find_lesson(lesson)
    return {task.name: make_sheet(found, task, secret) for task in found.tasks}


@cache
def machinery() -> str:
    """A hash of the code and the versions that decide a result."""
    digest = hashlib.sha256()
    files = [PROJECT / "autograde" / f"{name}.py" for name in DECIDING]
    for folder in ("autograde/student", "autograde/kernel", "autograde/exercises", "course_lib"):
        files += sorted((PROJECT / folder).rglob("*.py"))
    for file in files:
        digest.update(file.relative_to(PROJECT).as_posix().encode() + file.read_bytes())
    for package in ("torch", "numpy", "ipykernel", "ipython", "nbclient", "matplotlib"):
        digest.update(f"{package}=={version(package)}".encode())
    digest.update(f"{platform.python_version()} {bool(bubblewrap())}".encode())
    return digest.hexdigest()


def result_key(notebook: NotebookNode, lesson: str, secret: str, limits: Limits) -> str:
    """The hash under which the result of this notebook is kept."""
    cells = [[c.cell_type, c.source, grade_id(c)] for c in notebook.cells]
    decides = [cells, lesson, secret, asdict(limits), machinery()]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def make_result(
    notebook: NotebookNode, source: NotebookNode, lesson: str, secret: str, limits: Limits
) -> Result:
    """Run and judge a restored notebook."""
    sheets = hidden_sheets(lesson, secret)
    began = time.monotonic()
    executed = execute(notebook, sheets, limits, left_out(notebook, source))
    seconds = round(time.monotonic() - began, 2)
    result = _verdicts(executed, source, lesson, sheets, limits)
    exercises = [e.name for e in find_lesson(lesson).exercises]
    result.codes = definitions(result.notebook, exercises)
    result.seconds = seconds
    return result


def judged(
    notebook: NotebookNode, source: NotebookNode, lesson: str, secret: str, store: Path,
    limits: Limits,
) -> Result:  # fmt: skip
    """The result for a restored notebook: from the store if it is there, else made and stored."""
    key = result_key(notebook, lesson, secret, limits)
    result = from_store(store, key)
    if result is None:
        result = make_result(notebook, source, lesson, secret, limits)
        to_store(store, key, result.to_text())
    return result


def from_store(store: Path, key: str) -> Result | None:
    """What is kept under a key, or None."""
    try:
        return Result.from_text((store / f"{key}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def to_store(store: Path, key: str, text: str) -> None:
    """Keep a text under a key, whole or not at all: a batch may be killed at any point."""
    store.mkdir(parents=True, exist_ok=True)
    draft = store / f"{key}.{os.getpid()}.draft"
    draft.write_text(text, encoding="utf-8")
    draft.replace(store / f"{key}.json")


def _verdicts(
    executed: Executed, source: NotebookNode, lesson: str, sheets: dict[str, Sheet], limits: Limits
) -> Result:
    """Judge what was executed, and write each verdict into its check cell."""
    checks: dict[str, NotebookNode] = {}
    verdicts: dict[str, Verdict] = {}
    claims: list[Claim] = []
    code: list[str] = []
    given = frozenset(c.source for c in source.cells if c.cell_type == "code" and not grade_id(c))
    for cell in executed.notebook.cells:
        if cell.cell_type != "code":
            clean_markdown(cell, source)
            continue
        name = checked_exercise(cell)
        if name is None or name not in sheets:
            cell.outputs = clean_outputs(cell.outputs)
            code.append(cell.source)
            continue
        outcomes, reason = executed.answers.get(name, ([], ""))
        verdict = judge(sheets[name], outcomes, reason or _why_not(cell, name))
        if isinstance(find_lesson(lesson).task(name), Exercise):
            verdict = _refuse_borrowed(verdict, code, given, sheets[name])
            if verdict.points:
                claims.append(Claim(verdict, cell, list(code)))
        checks[name], verdicts[name] = cell, verdict
    if claims and beyond(code, given):
        verdicts |= settle(claims, sheets, given, limits)
    for name, verdict in verdicts.items():
        checks[name].outputs = [verdict.as_output()]
    odd = tampering(code, given)
    if odd:
        executed.flags.append(f"look-at-source:{'+'.join(odd)[:60]}")
    ordered = [verdicts[name] for name in sheets if name in verdicts]
    return Result(executed.notebook, ordered, executed.flags)


def _why_not(cell: NotebookNode, name: str) -> str:
    """Why a check cell handed nothing over, for the student."""
    for output in cell.outputs:
        if output.output_type == "error":
            if output.ename == "NameError":
                return f"{name} is not defined when the check runs. Did a cell above it fail?"
            return f"the check cell stopped with {output.ename}"
    return f"the check of {name} did not run, or handed nothing over"


def _refuse_borrowed(
    verdict: Verdict, code: list[str], given: frozenset[str], sheet: Sheet
) -> Verdict:
    """Refuse a solution whose source calls the library's answer; flag one that may hide a call."""
    name = sheet["name"]
    library, hiding = borrowed(code, name, given)
    if library and verdict.status not in ("refused", "not attempted"):
        verdict = nothing_handed_over(
            sheet,
            "The exercise asks you to write this yourself; your code uses "
            f"{', '.join(library)}. If you think this is a mistake, tell your instructor.",
            status="refused",
        )
        verdict.title = f"✗ {name}: refused, it uses the library's own"
        verdict.flags.append("calls-reference")
    if hiding:
        verdict.flags.append(f"look-at-source:{'+'.join(hiding)[:60]}")
    return verdict
