"""What an attack is, and the ground on which it is made."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograde.demo import LESSON, Sample, fill
from autograde.exercises import find_lesson

TASKS = {task.name: task.points for task in find_lesson(LESSON).tasks}
ALL, NONE = frozenset(TASKS), frozenset[str]()
_MEASURES = {"generalized_box_iou", "distance_box_iou", "complete_box_iou", "iou_loss"}
LEANING = {"box_iou": _MEASURES, "box_area": {"box_iou", *_MEASURES}}  # whose solutions call them

# An attack that reaches what it must not reach says so with this word, which stands in no source.
WON = "LE" + "AK"
TOOLS = """\
import ctypes, glob, json, os, re, signal, socket, subprocess, sys, threading, time, types
libc = ctypes.CDLL(None, use_errno=True)
def won(*what):
    print("LE" "AK", *what, flush=True)
"""


@dataclass(frozen=True)
class Ground:
    """What an attacker knows: the lesson and its solutions, where the class lies, what listens.

    port, abstract: a TCP port and an abstract Unix socket that the test listens to on the host.
    Their values replace @PORT@, @ABSTRACT@ and @ROOM@ in the code of an attack.
    """

    sample: Sample
    room: Path
    port: int = 0
    abstract: str = ""

    def notebook(
        self,
        solved: bool = False,
        first: Iterable[str] = (),
        last: Iterable[str] = (),
        **answers: str,
    ) -> NotebookNode:
        """The lesson, blank or solved but for `answers`, with cells at its start or its end."""
        notebook = self.sample.solved() if solved else self.sample.blank()
        fill(notebook, {name: self.known(code) for name, code in answers.items()})
        start = [TOOLS, *first] if first or last or answers else []
        cells = [new_code_cell(self.known(code)) for code in start]
        notebook.cells[1:1] = cells
        notebook.cells += [new_code_cell(self.known(code)) for code in last]
        for k, cell in enumerate(
            [*cells, *notebook.cells[len(notebook.cells) - len(list(last)) :]]
        ):
            cell.id = f"mine-{k}"
        return notebook

    def known(self, code: str) -> str:
        """The code with what the attacker knows of this machine filled in."""
        known = {"ROOM": self.room, "PORT": self.port, "ABSTRACT": self.abstract}
        for name, value in known.items():
            code = code.replace(f"@{name}@", str(value))
        return code


Folder = Callable[[Path], None]  # writes what is handed in into an empty folder
Handed = NotebookNode | Folder


@dataclass(frozen=True)
class Attack:
    """A submission that tries something.

    tries: what, in one sentence.
    earns: the tasks that its honest twin, the same work without the trick, is paid for.
    told: what must stand for this student in scores.csv or grades.csv.
    student: under which name it is handed in.
    slow: takes the limits' own time or all of the machine's: only in make test-full.
    """

    name: str
    tries: str
    make: Callable[[Ground], Handed]
    earns: frozenset[str] = NONE
    told: tuple[str, ...] = ()
    student: str = ""
    slow: bool = False

    @property
    def folder(self) -> str:
        return self.student or self.name

    @property
    def points(self) -> dict[str, float]:
        return {name: most if name in self.earns else 0.0 for name, most in TASKS.items()}


def lost_with(*names: str) -> set[str]:
    """The tasks that are lost where the answers to these are wrong."""
    return {name for n in names for name in (n, *LEANING.get(n, ()))}


def on_blank(name: str, tries: str, *code: str, told: tuple[str, ...] = ()) -> Attack:
    """Nothing is solved; the cells at the start shall earn points all the same."""
    return Attack(name, tries, lambda ground: ground.notebook(first=code), NONE, told)


def on_solved(
    name: str, tries: str, *code: str, told: tuple[str, ...] = (), slow: bool = False
) -> Attack:
    """Everything is solved; the cells at the end do harm, and cost nothing that was earned."""
    return Attack(
        name, tries, lambda ground: ground.notebook(True, last=code), ALL, told, slow=slow
    )


def in_answers(
    name: str,
    tries: str,
    first: tuple[str, ...] = (),
    told: tuple[str, ...] = (),
    slow: bool = False,
    borrowed: bool = False,
    **answers: str,
) -> Attack:
    """Everything is solved but for some answers, which shall earn points though they are wrong.

    borrowed: they are right, but not the student's own, so that what leans on them still counts.
    """
    return Attack(
        name,
        tries,
        lambda ground: ground.notebook(True, first=first, **answers),
        ALL - (answers.keys() if borrowed else lost_with(*answers)),
        told,
        slow=slow,
    )


def in_cells(
    name: str,
    tries: str,
    change: Callable[[NotebookNode], None],
    earns: frozenset[str] = ALL,
    told: tuple[str, ...] = (),
    solved: bool = True,
) -> Attack:
    """The notebook file itself is changed, not what its cells do."""

    def make(ground: Ground) -> NotebookNode:
        notebook = copy.deepcopy(ground.notebook(solved))
        change(notebook)
        return notebook

    return Attack(name, tries, make, earns, told)
