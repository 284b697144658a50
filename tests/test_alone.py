"""Points come from what a definition says: what reaches deeper is refused, all else is not."""

from __future__ import annotations

import ast

import pytest
from attack_lab import AREA, IOU, LESSON, POINTS, SECRET, handed_in, points
from conftest import BuiltClassroom
from test_exercises import another_way

from autograde.alone import beyond, uses, within
from autograde.cells import checked_exercise, grade_id
from autograde.demo import Sample
from autograde.exercises import LESSONS
from autograde.results import Result, make_result
from autograde.sandbox import Limits
from autograde.sheets import make_sheet
from autograde.student.runner import run_case

PLAIN = [
    "def f(x):\n    return getattr(x, 'shape')",
    "import sys\ndef f(x):\n    return x + sys.float_info.epsilon",
    "import math, time\ndef f(x):\n    return math.sqrt(x) + time.time()",
    "import torch.nn.functional as F\ndef f(x):\n    return F.relu(x).select(0, 1).copy_(x)",
    "class f(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.inner = list(self.modules())",
    "from collections import Counter\nTABLE = Counter()\nTABLE['a'] = 1\ndef f(x):\n    return TABLE",
    "from course_lib import boxes\ndef f(x):\n    return boxes.box_area(x)",
    "import os\nprint(os.getcwd())\ndef f(x):\n    return x",
    "import torch\ndef f(x):\n    os = torch.zeros(1)\n    return os",
    "def f(x, input, vars=None):\n    open = x.var()\n    return input + open",
    "%matplotlib inline\n!ls\ndef f(x):\n    return x",
]
DEEP = {
    "import os\ndef f(x):\n    return os.fork()": "os",
    "import torch\ndef f(x):\n    return torch.os.fork()": "os",
    "import torch\ndef f(x):\n    return torch._C": "_C",
    "import torch as t\ndef g():\n    return t.sys\ndef f(x):\n    return g()": "sys",
    "import torch\nh = torch.sys\ndef f(x):\n    return h.modules": "sys",
    "def f(x):\n    return eval('x')": "eval",
    "def f(x, eval=eval):\n    return eval('x')": "eval",
    "def f(x):\n    def g(eval):\n        return 1\n    return eval('x')": "eval",
    "def f(x):\n    return getattr(x, 'o' + 's')": "getattr",
    "def f(x):\n    return getattr(x, '__globals__')": "getattr",
    "def f(x):\n    return f.__globals__": "__globals__",
    "def f(x):\n    return (i for i in x).gi_frame": "gi_frame",
    "import ctypes as c\ndef f(x, _=c.CDLL(None)):\n    return x": "ctypes",
    "from os import fork as go\n@go\ndef f(x):\n    return x": "os.fork",
    "def f(x):\n    import subprocess\n    return x": "subprocess",
    "def f(x):\n    from importlib import import_module as g\n    return g": "importlib.import_module",
    "T = {}\nT['a'] = open('/proc/self/mem')\ndef f(x):\n    return T": "open",
    "import operator\ndef f(x):\n    return operator.attrgetter('o' + 's')(x)": "attrgetter",
}


@pytest.mark.parametrize("code", PLAIN)
def test_plain_code_is_plain(code: str) -> None:
    assert within([code], "f") == []


@pytest.mark.parametrize("code", DEEP)
def test_deep_code_is_seen_wherever_the_definition_reaches(code: str) -> None:
    assert DEEP[code] in within([code], "f")
    assert beyond([code])
    assert beyond([code], given=frozenset([code])) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_right_answer_uses_anything_deep(lesson: str, built: BuiltClassroom) -> None:
    """Neither the solution as a student would hand it in, nor the second style of every answer."""
    source = built.source(lesson)
    code = [c.source for c in source.cells if c.cell_type == "code" and not checked_exercise(c)]
    given = frozenset(c.source for c in source.cells if c.cell_type == "code" and not grade_id(c))
    module = another_way(LESSONS[lesson])["__file__"]
    with open(module, encoding="utf-8") as file:
        other = file.read()
    for exercise in LESSONS[lesson].exercises:
        assert within(code, exercise.name, given) == []
        assert within([other], exercise.name) == []
    assert beyond(code, given) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_solution_stands_alone(lesson: str, built: BuiltClassroom) -> None:
    """Of a solved lesson, the lines that an exercise uses are enough to answer."""
    source = built.source(lesson)
    code: list[str] = []
    for cell in source.cells:
        if cell.cell_type != "code":
            continue
        name = checked_exercise(cell)
        if name is None:
            code.append(cell.source)
        elif name in {e.name for e in LESSONS[lesson].exercises}:
            scope: dict[str, object] = {}
            text = "\n".join(ast.unparse(node) for node in uses(code, name))
            exec(compile(text, "<alone>", "exec"), scope)
            case = make_sheet(LESSONS[lesson], LESSONS[lesson].task(name))["cases"][0]
            outcome = run_case(scope[name], case)
            assert outcome["status"] == "ok", (name, outcome)


def graded(**parts: object) -> Result:
    source = handed_in()
    return make_result(handed_in(**parts), source, LESSON, SECRET, Limits())  # type: ignore[arg-type]


HONEST_BUT_ODD = """
import os, sys, subprocess
print(os.getcwd(), sys.version)
subprocess.run(["true"])
REGISTRY = {}
REGISTRY["eps"] = 1e-12
class Sides: pass
Sides.of = lambda b: b[:, 2:] - b[:, :2]
"""
WITH_REGISTRY = IOU.replace("1e-12", 'REGISTRY["eps"]')
WITH_SIDES = AREA.replace(
    "return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])",
    "return Sides.of(boxes).prod(-1)",
)


def test_odd_cells_cost_an_honest_student_nothing() -> None:
    result = graded(
        first=[HONEST_BUT_ODD, "!true\n%timeit -n 1 -r 1 1 + 1"], area=WITH_SIDES, iou=WITH_REGISTRY
    )
    assert points(result) == POINTS


AT_FORK = """
import os, torch
def answer_by(boxes1, boxes2, fmt="xyxy"):
    low = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    return low[..., 0]
def swap():
    from autograde.student import handover
    right = handover.run_cases
    handover.run_cases = lambda obj, *rest: right(REAL if callable(obj) else obj, *rest)
os.register_at_fork(after_in_child=swap)
"""


def test_what_answers_only_beside_its_source_is_refused_and_told_why() -> None:
    real = IOU.replace("def box_iou", "def REAL")
    result = graded(
        first=[AT_FORK, real], iou="def box_iou(boxes1, boxes2, fmt='xyxy'):\n    return boxes1"
    )
    assert points(result)["box_iou"] == 0
    verdict = next(v for v in result.verdicts if v.exercise == "box_iou")
    assert verdict.status == "refused"
    assert "not-from-source" in verdict.flags
    assert "Run alone" in verdict.notes[0]
    assert points(result)["half_shifted"] == 1


def test_a_deep_word_in_a_definition_is_refused_and_named() -> None:
    deep = IOU.replace('fmt="xyxy"', 'fmt="xyxy", _=getattr(torch, "o" + "s").getpid()')
    result = graded(iou=deep)
    assert points(result) == POINTS | {"box_iou": 0.0}
    verdict = next(v for v in result.verdicts if v.exercise == "box_iou")
    assert "uses getattr" in verdict.notes[0]


def test_an_attack_of_one_exercise_costs_the_others_nothing(built: BuiltClassroom) -> None:
    """All of a solved lesson is run alone where one line is odd, and keeps its points."""
    import nbformat

    from autograde.build import LESSONS as RELEASES

    released = nbformat.read(RELEASES / LESSON / f"{LESSON}.ipynb", as_version=4)
    notebook = Sample(released, built.source(LESSON)).solved()
    notebook.cells.append(nbformat.v4.new_code_cell("import os\nos.getpid()"))
    result = make_result(notebook, built.source(LESSON), LESSON, SECRET, Limits())
    assert sum(v.points for v in result.verdicts) == 20
