"""An invented class for lesson 01: real verdicts of known mistakes, and solutions of many wordings.

`python tests/invented_class.py 1000 folder` writes its report into the folder and says how long it
took.
"""

from __future__ import annotations

import ast
import inspect
import random
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from autograde.build import SOLUTIONS, to_notebook
from autograde.classroom import Classroom
from autograde.copies import flag_copies
from autograde.exercises import LESSONS
from autograde.exercises.lesson_01_iou import another_way
from autograde.grades import Grade
from autograde.judge import Verdict, judge, nothing_handed_over
from autograde.sheets import make_sheet
from autograde.source_check import definition
from autograde.spec import Exercise
from autograde.student.marking import Sheet
from autograde.student.plain import pack
from autograde.student.runner import NOT_YET

LESSON = LESSONS["01_iou"]
EXERCISES = [t for t in LESSON.tasks if isinstance(t, Exercise)]
QUESTIONS = [t for t in LESSON.tasks if not isinstance(t, Exercise)]


@cache
def sheets() -> dict[str, Sheet]:
    return {task.name: make_sheet(LESSON, task, "invented") for task in LESSON.tasks}


@cache
def reference() -> dict[str, str]:
    """The solution's definitions, as they stand in the lesson's source."""
    cells = to_notebook((SOLUTIONS / f"{LESSON.name}.py").read_text(encoding="utf-8"), LESSON).cells
    return {e.name: definition([c.source for c in cells], e.name) for e in EXERCISES}


@cache
def verdict_of(name: str, kind: str) -> Verdict:
    """What an answer earns: "right", "blank", "refused", "silent", or a mistake, by its name."""
    sheet = sheets()[name]
    if sheet["type"] == "question":
        given = {"right": sheet["answer"], "blank": None}.get(kind, kind)
        if sheet["choices"] == "" and kind not in ("right", "blank"):
            given = float(kind)
        return judge(sheet, [{"status": "ok", "value": pack(given)}])
    mistakes = {m["name"]: m["outcomes"] for m in sheet["mistakes"]}
    right = [{"status": "ok", "value": case["expected"]} for case in sheet["cases"]]
    match kind:
        case "right":
            return judge(sheet, right)
        case "blank":
            blank = {"status": "not attempted", "error": f"{name}{NOT_YET}"}
            return judge(sheet, [blank] * len(right))
        case "refused":
            return judge(sheet, [{**o, "library": [f"course_lib.boxes.{name}"]} for o in right])
        case "silent":
            return nothing_handed_over(sheet, "the code gave no answer in time")
        case "late case":  # right at the heart, wrong on the margin, and no mistake that we know
            wrong = {"status": "error", "error": "IndexError: ", "value": None}
            last = {c["probes"] for c in sheet["cases"] if not c["core"] and not c["advice"]}
            pick = sorted(last)[0]
            return judge(sheet, [wrong if c["probes"] == pick else o
                                 for c, o in zip(sheet["cases"], right, strict=True)])  # fmt: skip
        case _:
            return judge(sheet, mistakes[kind])


def fresh(verdict: Verdict) -> Verdict:
    """A verdict that may be changed."""
    return replace(verdict, flags=list(verdict.flags))


# ------------------------------------------------------------------ wordings

VOCABULARY = """
lt rb wh inter union area a b x y w h left right top bottom near far sides top_left result
bottom_right shared overlap together box1 box2 ious out res tmp size corner lower upper
iou enclosing around diag dist centre center d2 c2 v alpha ratio term total both first
second
"""


class Reworded(ast.NodeTransformer):
    """Another student's wording: other names, other order of what commutes, a step more."""

    def __init__(self, rng: random.Random, names: float, order: float, steps: float) -> None:
        self._rng, self._chance = rng, (names, order, steps)
        self._new: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._new.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._new.get(node.arg, node.arg), node.annotation)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Mult) and self._rng.random() < self._chance[1]:
            node.left, node.right = node.right, node.left
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        if node.value is None or self._rng.random() > self._chance[2]:
            return node
        name = self._rng.choice(["out", "result", "res", "answer", "ret", "value"])
        step = ast.Assign([ast.Name(name, ast.Store())], node.value)
        return [step, ast.Return(ast.Name(name, ast.Load()))]

    def of(self, code: str) -> str:
        tree = ast.parse(code)
        bound = {
            n.id: None
            for n in ast.walk(tree)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        free = VOCABULARY.split()
        self._rng.shuffle(free)
        taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        taken |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        free = [n for n in free if n not in taken]
        for name in bound:
            if free and self._rng.random() < self._chance[0]:
                self._new[name] = free.pop()
        return ast.unparse(ast.fix_missing_locations(self.visit(tree)))


def reworded(code: str, rng: random.Random, names: float = 0.7, order: float = 0.15,
             steps: float = 0.3) -> str:  # fmt: skip
    return Reworded(rng, names, order, steps).of(code)


def other_way() -> dict[str, str]:
    text = inspect.getsource(another_way)
    return {e.name: definition([text], e.name) for e in EXERCISES}


# ------------------------------------------------------------------ the class

COMMON = {  # the mistakes that this class makes most
    "box_iou": ["no_clamp", "plus_one", "nan_for_empty"],
    "generalized_box_iou": ["iou_only"],
    "complete_box_iou": ["late case"],
}
WRONG = {"half_shifted": ["0.5", "0.25"], "one_pixel": ["0.81", "0.7"]}


def answer(task: Any, rng: random.Random, skill: float) -> str:
    """What a student of this skill hands in for a task."""
    if rng.random() < 0.25 * (1 - skill):
        return "blank"
    if rng.random() < 0.25 + 0.7 * skill:
        return "right"
    if not isinstance(task, Exercise):
        return rng.choice(WRONG.get(task.name) or [c for c in task.letters if c != task.answer])
    if rng.random() < 0.08:
        return rng.choice(["refused", "silent", "late case"])
    known = [m.name for m in task.mistakes]
    usual = [m for m in COMMON.get(task.name, []) if m in (*known, "late case")] or known[:2]
    return rng.choice(usual if rng.random() < 0.7 else known)


def invented_class(size: int = 120, seed: int = 1) -> list[Grade]:
    """A class: weak and strong students, broken files, late ones, and three who copied."""
    rng = random.Random(seed)
    ways = (reference(), other_way())
    grades = []
    for k in range(size):
        student = f"student-{k:04d}"
        if rng.random() < 0.03:
            reason = rng.choice([
                "01_iou.ipynb is no Jupyter notebook: was the upload cut off?",
                "no file 01_iou.ipynb was handed in, but notes.txt",
            ])  # fmt: skip
            grades.append(Grade(student, LESSON.name, broken=reason))
            continue
        skill = rng.betavariate(2.2, 1.6)
        kinds = {task.name: answer(task, rng, skill) for task in LESSON.tasks}
        way = ways[rng.random() < 0.2]
        codes = {e.name: reworded(way[e.name], rng) for e in EXERCISES if kinds[e.name] != "blank"}
        verdicts = [fresh(verdict_of(t.name, kinds[t.name])) for t in LESSON.tasks]
        seconds = rng.lognormvariate(2.4, 0.35) + (90 if rng.random() < 0.01 else 0)
        flags = ["kernel-died: notebook stopped at cell 12"] if rng.random() < 0.01 else []
        late = 2.0 if rng.random() < 0.05 else 0.0
        grades.append(
            Grade(student, LESSON.name, verdicts, flags, "", codes, seconds, penalty=late)
        )
    copy_some(grades, rng)
    return grades


def copy_some(grades: list[Grade], rng: random.Random) -> None:
    """The second hands in the first's odd work as it is, the third with other names."""
    whole = [g for g in grades if not g.broken][:3]
    if len(whole) < 3:
        return
    odd = {name: odd_way(code, rng) for name, code in other_way().items()}
    for g, names in zip(whole, (0.0, 0.0, 1.0), strict=True):
        g.codes = {name: reworded(c, rng, names, 0, 0) for name, c in odd.items()}
        g.verdicts = [fresh(verdict_of(t.name, "right")) for t in LESSON.tasks]


def odd_way(code: str, rng: random.Random) -> str:
    """A wording that nobody else comes upon: odd steps between the others."""
    tree = ast.parse(code)
    body = tree.body[0].body  # type: ignore[attr-defined]
    for k in range(3):
        body.insert(0, ast.parse(f"q{k}{rng.randrange(999)} = max({k}, {k + 1}) - {k}").body[0])
    return ast.unparse(tree)


if __name__ == "__main__":
    from autograde.report import write_report

    size, room = int(sys.argv[1]), Classroom(Path(sys.argv[2]))
    grades = invented_class(size)
    start = time.perf_counter()
    pairs = flag_copies(LESSON, grades, reference())
    between = time.perf_counter()
    page = write_report(room, LESSON, grades, pairs)
    end = time.perf_counter()
    print(f"{size} students: copies {between - start:.1f} s ({len(pairs)} finds), ", end="")
    print(f"report {end - between:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
