"""Every exercise of every lesson: right answers get all, wrong ones are refused and named."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from autograde.build import SOLUTIONS
from autograde.exercises import LESSONS
from autograde.sheets import case_inputs, make_sheet
from autograde.spec import Draw, Exercise, Lesson, Question
from autograde.student.marking import Marks, Sheet, mark
from autograde.student.plain import Packed
from autograde.student.runner import Outcome, run_cases

TASKS = [(lesson, t) for lesson in LESSONS.values() for t in lesson.tasks]
EXERCISES = [(lesson, t) for lesson, t in TASKS if isinstance(t, Exercise)]
CLASS = "one class"
SECRETS = [None, CLASS, pytest.param("another class", marks=pytest.mark.full)]


def name(value: Any) -> str:
    return getattr(value, "name", "public" if value is None else str(value))


@cache
def sheet_of(lesson_name: str, task_name: str, secret: str | None) -> Sheet:
    lesson = LESSONS[lesson_name]
    return make_sheet(lesson, lesson.task(task_name), secret)


def marks_of(lesson: Lesson, task: Exercise, obj: Callable[..., Any], secret: str | None) -> Marks:
    sheet = sheet_of(lesson.name, task.name, secret)
    return mark(sheet, list(run_cases(obj, case_inputs(sheet), tuple(sheet["forbidden"]))))


def unnamed(task: Exercise, sheet: Sheet, answers: dict[str, list[Outcome]]) -> dict[str, Any]:
    """The mistakes that are not refused, or not named first by their own sentence: what came."""
    found = {}
    for mistake in task.mistakes:
        marks = mark(sheet, answers[mistake.name])
        refused = marks.status in ("failed", "partial") and marks.share < 1
        named = marks.mistakes[:1] == [mistake.name] and marks.diagnoses[:1] == [mistake.says]
        if not (refused and named):
            found[mistake.name] = (marks.status, marks.share, marks.mistakes, marks.diagnoses)
    return found


@pytest.mark.parametrize("secret", SECRETS, ids=name)
@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_known_mistakes_are_refused_and_named(
    lesson: Lesson, task: Exercise, secret: str | None
) -> None:
    sheet = sheet_of(lesson.name, task.name, secret)
    answers = {m["name"]: m["outcomes"] for m in sheet["mistakes"]}  # as run for the sheet
    assert unnamed(task, sheet, answers) == {}


def in_double(packed: Packed) -> Packed:
    """The same numbers as a student who computes in float64 would give them."""
    if packed["kind"] == "list":
        return {**packed, "data": [in_double(part) for part in packed["data"]]}
    if packed["kind"] != "tensor" or packed["dtype"] == "bool":
        return packed
    numbers = [x if isinstance(x, str) else float(x) for x in packed["data"]]  # "nan", "inf"
    return {**packed, "dtype": "float64", "data": numbers}


@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_known_mistakes_are_named_in_float64(lesson: Lesson, task: Exercise) -> None:
    sheet = sheet_of(lesson.name, task.name, None)
    answers = {
        m["name"]: [o | {"value": in_double(o["value"])} for o in m["outcomes"]]
        for m in sheet["mistakes"]
    }
    assert unnamed(task, sheet, answers) == {}


def solved_functions(lesson: Lesson) -> dict[str, Callable[..., Any]]:
    """The functions of the lesson's solution, without running the lesson."""
    tree = ast.parse((SOLUTIONS / f"{lesson.name}.py").read_text())
    wanted = [t.name for t in lesson.tasks if isinstance(t, Exercise)]
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    defs = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in wanted]
    scope: dict[str, Any] = {}
    code = "\n".join(ast.unparse(node) for node in (*imports, *defs))
    exec(compile(code, "<solution>", "exec"), scope)
    return {n: scope[n] for n in wanted}


def another_way(lesson: Lesson) -> dict[str, Callable[..., Any]]:
    return vars(importlib.import_module(f"autograde.exercises.lesson_{lesson.name}.another_way"))


@pytest.mark.parametrize("secret", SECRETS, ids=name)
@pytest.mark.parametrize("style", [solved_functions, another_way])
@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_right_answer_in_any_style_gets_all(
    lesson: Lesson, task: Exercise, style: Callable[..., Any], secret: str | None
) -> None:
    marks = marks_of(lesson, task, style(lesson)[task.name], secret)
    assert marks.status == "passed", [(m.probes, m.difference) for m in marks.failed]
    assert marks.share == 1


LAZY: dict[str, Callable[..., Any]] = {
    "nothing": lambda *a: None,
    "zero": lambda *a: 0.0,
    "first input": lambda *a: a[0],
    "copy of the first input": lambda *a: a[0].clone(),
    "last input": lambda *a: a[-1],
    "empty": lambda *a: torch.zeros(0),
    "zeros of the right shape": lambda a, b=None, *_: (
        torch.zeros(len(a), len(b)) if torch.is_tensor(b) else torch.zeros(len(a))
    ),
    "ones of the right shape": lambda a, b=None, *_: (
        torch.ones(len(a), len(b)) if torch.is_tensor(b) else torch.ones(len(a))
    ),
    "zeros, a number a row": lambda a, *_: torch.zeros(len(a)),
    "NaN": lambda a, *_: torch.full((len(a),), float("nan")),
    "random": lambda a, b=None, *_: torch.rand(len(a), len(b)) if torch.is_tensor(b) else a * 0.5,
}


@pytest.mark.parametrize("lazy", LAZY, ids=name)
@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_constants_echoes_and_empty_answers_earn_nothing(
    lesson: Lesson, task: Exercise, lazy: str
) -> None:
    assert marks_of(lesson, task, LAZY[lazy], CLASS).share == 0


@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_the_library_itself_is_refused(lesson: Lesson, task: Exercise) -> None:
    def wrapped(*args: Any) -> Any:
        return task.reference(*args)

    for borrowed in (task.reference, wrapped):
        marks = marks_of(lesson, task, borrowed, CLASS)
        assert marks.status == "refused"
        assert marks.share == 0
        assert marks.library


@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_exercise_is_well_made(lesson: Lesson, task: Exercise) -> None:
    assert len(task.mistakes) >= 4
    assert any(c.core for c in task.cases)
    assert task.hints
    assert len({c.probes for c in task.cases}) == len(task.cases)
    assert len({m.name for m in task.mistakes}) == len(task.mistakes)
    assert len({m.says for m in task.mistakes}) >= len(task.mistakes) - 1
    for text in (*task.hints, *(m.says for m in task.mistakes)):
        assert 20 < len(text) < 300


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=name)
def test_lesson_is_worth_20_points(lesson: Lesson) -> None:
    assert lesson.points == 20
    assert sum(isinstance(t, Exercise) for t in lesson.tasks) >= 5
    assert sum(isinstance(t, Question) for t in lesson.tasks) == 4


def test_every_task_has_a_name_of_its_own() -> None:
    names = [task.name for _, task in TASKS]  # check("nms", nms) knows no lesson
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("lesson", "task"), EXERCISES, ids=name)
def test_hidden_cases_come_from_the_secret(lesson: Lesson, task: Exercise) -> None:
    public, one = (sheet_of(lesson.name, task.name, s) for s in (None, CLASS))
    unmistaken = replace(task, mistakes=())
    again, other = (make_sheet(lesson, unmistaken, s) for s in (CLASS, "another class"))
    assert again["cases"] == one["cases"]  # and mistakes: test_public_sheets_do_not_drift
    inputs = {str(c["inputs"]) for c in one["cases"]}
    assert inputs != {str(c["inputs"]) for c in other["cases"]}
    assert inputs != {str(c["inputs"]) for c in public["cases"]}


def test_public_sheet_of_a_question_holds_no_answer() -> None:
    for lesson, task in TASKS:
        if isinstance(task, Question):
            sheet = make_sheet(lesson, task)
            assert set(sheet) == {"type", "name", "points", "choices", "between"}


FIRST_NUMBERS = [79.0, 87.0, 63.0, 14.0, 74.0, 95.0]


def test_draw_is_the_same_on_every_machine() -> None:
    expected = FIRST_NUMBERS  # written down once: a change would move every hidden case
    assert Draw("seed").numbers(6).tolist() == expected
    boxes = Draw("seed").boxes(500)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 5
    assert boxes.min() >= 0
    assert boxes.max() <= 100
