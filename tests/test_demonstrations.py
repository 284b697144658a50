"""Cells that only show something are left out when graded, unless a student's work needs them."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograde.build import SOLUTIONS, to_notebook
from autograde.cells import restore
from autograde.demonstrations import TAG, demonstrations, left_out, names_bound, names_used
from autograde.exercises import LESSONS

SETUP = "import torch\nscale = 2"
SHOW = "picture = torch.zeros(3)\nwidth = 5\nprint(box_area(picture))"
LATER = "print(width)"


def notebooks(*cells: str, tagged: tuple[str, ...] = (SHOW, LATER)) -> tuple[NotebookNode, ...]:
    source = new_notebook(cells=[new_markdown_cell("# x"), *map(new_code_cell, (SETUP, *tagged))])
    for cell in source.cells[2:]:
        cell.metadata.tags = [TAG]
    return new_notebook(cells=[new_markdown_cell("# x"), *map(new_code_cell, cells)]), source


def test_unchanged_demonstrations_are_left_out() -> None:
    assert left_out(*notebooks(SETUP, "def f(x):\n    return x * scale", SHOW, LATER)) == {3, 4}


def test_changed_demonstrations_run() -> None:
    assert left_out(*notebooks(SETUP, SHOW + "\nprint(1)", LATER)) == {3}
    assert left_out(*notebooks(SETUP, SHOW, LATER + " ")) == set()  # it takes the other's width


@pytest.mark.parametrize(
    "own",
    [
        "def f(x):\n    return x * width",
        "print(-width)",
        "width += 1",
        "f = lambda: [width for _ in ()]",
        "class A:\n    w = width",
        "def f():\n    global width\n    width += 1",
        "def f():\n    def g():\n        return width\n    return g",
        "del width",
        "print(f'{width}')",
        "x: width = 1",
        "@width\ndef f(): pass",
        "def f(x=width): pass",
    ],
)
def test_what_a_student_takes_from_a_demonstration_runs(own: str) -> None:
    assert left_out(*notebooks(SETUP, SHOW, LATER, own)) == {3}  # LATER binds nothing


@pytest.mark.parametrize(
    "own",
    [
        "def f(width):\n    return width",
        "def f():\n    width = 1\n    return width",
        "[width for width in range(3)]",
        "f = lambda width: width",
        "a.width",
        "'width'",
    ],
)
def test_names_of_a_students_own_need_nothing(own: str) -> None:
    own = own.replace("a.", "torch.")
    assert {2, 3} <= left_out(*notebooks(SETUP, SHOW, LATER, own))


@pytest.mark.parametrize(
    "own",
    [
        "globals()['wid' + 'th']",
        "eval('wid' 'th')",
        "exec('print(wi' 'dth)')",
        "get_ipython().user_ns",
        "%run other.py",
        "!ls",
        "width?",
        "this is no Python",
        "vars()",
        "import __main__",
        "torch.__dict__",
        "print(_)",
        "Out[3]",
        "import sys; sys.modules",
        "def f():\n    return getattr(x, 'y')",
        "x = '__builtins__'",
    ],
)
def test_where_any_name_can_be_meant_everything_runs(own: str) -> None:
    assert left_out(*notebooks(SETUP, SHOW, LATER, own)) == set()


def test_a_demonstration_that_another_needs_runs_with_it() -> None:
    first, second, third = "a = 1", "b = a + 1", "c = 3"
    cells = (SETUP, first, second, third, "print(b)")
    assert left_out(*notebooks(*cells, tagged=(first, second, third))) == {4}


def test_a_chain_of_names() -> None:
    assert names_used("def f(a, *b, c=d, **e):\n    g = h\n    return [i for i in j]") == {
        *("d", "h", "j"),
    }
    assert names_bound("import a.b as c, d.e\nfor f in (): g = 1\nwith h as i: pass") == {
        *("c", "d", "f", "g", "i"),
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_solved_lessons_run_without_their_demonstrations(lesson: str) -> None:
    """The reference needs of the given cells only the one that sets things up."""
    text = (SOLUTIONS / f"{lesson}.py").read_text(encoding="utf-8")
    source = to_notebook(text, LESSONS[lesson])
    restored, _ = restore(nbformat.from_dict(source), source)
    out = left_out(restored, source)
    assert len(out) == len(demonstrations(source)) > 10
    given = [
        k
        for k, c in enumerate(source.cells)
        if c.cell_type == "code" and "nbgrader" not in c.metadata
    ]
    assert out == set(given[1:])
