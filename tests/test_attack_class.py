"""A class of attackers, graded as one, with two honest students among them.

Each attack is a submission of its own (tests/attacks). What may not get out carries a canary, and
no canary may stand in anything that grading writes.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import ctypes
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import psutil
import pytest
from attack_lab import live
from attacks import ALL, ATTACKS, LESSON, TASKS, WON, Attack, Ground, combined
from conftest import needs_sandbox, run_cli
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from autograde.build import build
from autograde.cells import checked_exercise, grade_id
from autograde.classroom import Classroom
from autograde.demo import Sample
from autograde.exports import cell as _cell
from autograde.results import hidden_sheets

pytestmark = needs_sandbox

NUMBER = r"\d+(?:\.\d+)?"
WON_TEXT = rf"{WON}[\[\]\d., _]*"  # and the numbers that follow, whole
HONEST = ("0-honest-first", "zz-honest-last")  # one before and one after all attackers
KINDS = ("work", "gradebook", "environment", "home", "temporary", "keyring")
CANARIES = {kind: f"canary-{kind}-{os.urandom(8).hex()}" for kind in KINDS}
RUNS = {
    "light": [a for a in ATTACKS if not a.slow],
    "slow": [a for a in ATTACKS if a.slow],
    "whole": list(combined.ATTACKS),  # the whole lesson, figures and all
}
run_of = [
    pytest.param(run, attack, id=attack.name if run == "light" else f"{run}-{attack.name}",
                 marks=[] if run == "light" else pytest.mark.full)
    for run, attacks in RUNS.items() for attack in attacks
]  # fmt: skip


def keyctl(*args: object) -> int:
    """The system call, where there is one; -1 where not."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return -1
    return ctypes.CDLL(None).syscall(*args)


SESSION = ctypes.c_long(-3)


@contextlib.contextmanager
def key_in_session(text: str) -> Iterator[int]:
    """A canary in the keyring of this session, which processes started from here inherit."""
    key = keyctl(248, b"user", b"grader", text.encode(), len(text), SESSION)
    try:
        yield key
    finally:
        if key > 0:
            keyctl(250, 9, ctypes.c_long(key), SESSION)


each_run = pytest.mark.parametrize(
    "run", [r if r == "light" else pytest.param(r, marks=pytest.mark.full) for r in RUNS]
)


@dataclass
class Graded:
    """The class after grading."""

    room: Classroom
    attacks: list[Attack]
    done: subprocess.CompletedProcess[str]
    seconds: float
    rooms: list[Path]  # of the sandbox, left over
    processes: list[str]  # left over
    calls: int  # that reached a socket of ours
    secrets: dict[str, str]

    @cached_property
    def scores(self) -> dict[str, dict[str, dict[str, str]]]:
        """student -> exercise -> row of scores.csv."""
        table: dict[str, dict[str, dict[str, str]]] = {}
        for row in self._rows("scores.csv"):
            table.setdefault(row["student"], {})[row["exercise"]] = row
        return table

    @cached_property
    def grades(self) -> dict[str, dict[str, str]]:
        return {row["student"]: row for row in self._rows("grades.csv")}

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (self.room.reports / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def points(self, student: str) -> dict[str, float]:
        return {name: float(r["points"]) for name, r in self.scores[_cell(student)].items()}

    def told(self, student: str) -> str:
        """All that the reports say of a student."""
        rows = [self.grades[_cell(student)], *self.scores[_cell(student)].values()]
        return "\n".join(" ".join(str(v) for v in row.values()) for row in rows)

    def written(self, student: str) -> dict[str, str]:
        """Every file that goes back to a student or stays with the grader, as text."""
        folders = [r / student / LESSON for r in (self.room.autograded, self.room.feedback)]
        files = [f for folder in folders for f in folder.rglob("*") if f.is_file()]
        return {str(f): f.read_text("utf-8", "replace") for f in files}

    @cached_property
    def shown_numbers(self) -> set[float]:
        """Those that stand in the code of the lesson for everybody to read."""
        sources = [c.source for c in self.room.source(LESSON).cells if c.cell_type == "code"]
        return {float(number) for number in re.findall(NUMBER, "\n".join(sources))}

    def open_to_all(self, told: str) -> bool:
        """Does it tell only boxes that the lesson itself gave to the attacker's function?"""
        numbers = [float(number) for number in re.findall(NUMBER, told)]
        return len(numbers) >= 4 and self.shown_numbers.issuperset(numbers)

    @cached_property
    def needles(self) -> set[tuple[str, ...]]:
        """Runs of four numbers from hidden inputs and answers, as JSON and Python write them."""
        found: set[tuple[str, ...]] = set()
        for sheet in hidden_sheets(LESSON, self.room.secret()).values():
            for case in sheet.get("cases", []):
                for value in [*case["inputs"]["data"], case["expected"]]:
                    data = value.get("data") if value["kind"] == "tensor" else None
                    for k in range(0, len(data or []) - 3, 4):
                        four = tuple(map(str, data[k : k + 4]))
                        if len(set(four)) == 4 and any(len(x) > 5 for x in four):
                            found.add(four)
        return found

    def hidden_numbers(self, text: str) -> set[tuple[str, ...]]:
        """The hidden runs of four numbers that stand in a text."""
        said = re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)
        return self.needles & set(zip(said, said[1:], said[2:], said[3:], strict=False))


def _honest(sample: Sample, canary: str) -> NotebookNode:
    notebook = sample.solved()
    notebook.cells.append(new_markdown_cell(f"My notes: {canary}", id="notes"))
    return notebook


def _orphans() -> list[str]:
    """Processes that belong to a room which is gone, or that say that they outlive all."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        try:
            text = command + " ".join(f"{k}={v}" for k, v in process.environ().items())
        except psutil.Error:
            text = command
        rooms = re.findall(r"/tmp/(?:rooms-\w+/)?room-\w+", text)
        if (rooms and not any(os.path.isdir(r) for r in rooms)) or "outliving-" in command:
            found.append(f"{process.pid} {command[:200]}")
    return found


def _gone(look, seconds: float) -> list:
    """What `look` still finds after some seconds of patience."""
    end = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def _rooms() -> set[Path]:
    return {*Path("/tmp").glob("room-*"), *Path("/tmp").glob("rooms-*/room-*")}


IMPORTS = "import math\n\nimport torch\n\nfrom autograde import check, hint"


def lightened(notebook: NotebookNode, released: NotebookNode) -> NotebookNode:
    """A notebook without what the lesson itself shows: figures take most of the time."""
    notebook = copy.deepcopy(notebook)
    given = {cell.id for cell in released.cells if not grade_id(cell)}
    for cell in notebook.cells:
        if cell.source.startswith("import math\n"):
            cell.source = IMPORTS
            given.discard(cell.id)
    notebook.cells = [cell for cell in notebook.cells if cell.id not in given]
    return notebook


def make_attack_class(
    root: Path, attacks: list[Attack], light: bool, port: int = 0, abstract: str = ""
) -> Classroom:
    """Fill a classroom with two honest students and these attackers."""
    room = Classroom(root)
    released = nbformat.read(build(LESSON, room, root / "release"), as_version=4)
    source = room.source(LESSON)
    sample = Sample(lightened(released, released) if light else released, source)
    ground = Ground(sample, root, port, abstract)
    for student in HONEST:
        file = room.submission(student, LESSON)
        file.parent.mkdir(parents=True)
        nbformat.write(_honest(sample, CANARIES["work"]), file)
    for attack in attacks:
        folder = room.submission(attack.folder, LESSON).parent
        folder.mkdir(parents=True)
        handed = attack.make(ground)
        if isinstance(handed, NotebookNode):
            nbformat.write(handed, folder / f"{LESSON}.ipynb")
        else:
            handed(folder)
    return room


_graded: dict[str, Graded | None] = {}


@pytest.fixture
def graded(run: str, tmp_path_factory: pytest.TempPathFactory, record_testsuite_property) -> Graded:
    """The class of a run, graded once by `python -m autograde grade`."""
    if run not in _graded:
        _graded[run] = None  # a class that cannot be graded is not tried again for each attack
        made = _graded[run] = _grade(run, tmp_path_factory.mktemp(f"attacked-{run}"))
        record_testsuite_property(f"seconds of the {run} class", made.seconds)
        print(f"MEASURED {len(RUNS[run])} attacks graded in {made.seconds:.0f} s")
    made = _graded[run]
    assert made is not None, "the class could not be graded"
    return made


def _grade(run: str, root: Path) -> Graded:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    port = listener.getsockname()[1]
    abstract = f"room-{os.getpid()}-{port}"
    local = socket.socket(socket.AF_UNIX)
    local.bind(f"\0{abstract}")
    local.listen()
    local.settimeout(0.2)
    room = make_attack_class(root / "class", RUNS[run], run != "whole", port, abstract)
    home = root / "home"
    home.mkdir()
    (home / "canary.txt").write_text(CANARIES["home"])
    with sqlite3.connect(room.root / "notes.db") as book:
        book.execute("create table student (note text)")
        book.execute("insert into student values (?)", [CANARIES["gradebook"]])
    temporary = Path("/tmp") / f"canary-{os.getpid()}.txt"
    temporary.write_text(CANARIES["temporary"])
    before, started = _rooms(), time.monotonic()
    try:
        with key_in_session(CANARIES["keyring"]):
            done = run_cli(
                "grade", LESSON, "--classroom", str(room.root), "--workers", "2",
                A_TOKEN=CANARIES["environment"], HOME=str(home),
            )  # fmt: skip
    finally:
        temporary.unlink()
    seconds = time.monotonic() - started
    calls = 0
    for server in (listener, local):
        try:
            server.accept()
            calls += 1
        except TimeoutError:
            pass
        server.close()
    processes = _gone(_orphans, 10)
    rooms = _gone(lambda: [r for r in _rooms() - before if not _in_use(r)], 10)
    secrets = {**CANARIES, "secret": room.secret()}
    return Graded(room, RUNS[run], done, seconds, rooms, processes, calls, secrets)


def _in_use(room: Path) -> bool:
    """Does a process of another test work in this room?"""
    for process in psutil.process_iter(["cmdline"]):
        if str(room) in " ".join(process.info["cmdline"] or []):
            return True
    return False


@pytest.mark.parametrize(("run", "attack"), run_of)
def test_attack_earns_what_its_honest_twin_does(graded: Graded, attack: Attack) -> None:
    got = graded.points(attack.folder)
    assert got == attack.points, graded.told(attack.folder)


@pytest.mark.parametrize(("run", "attack"), run_of)
def test_attack_is_told_of(graded: Graded, attack: Attack) -> None:
    told = graded.told(attack.folder)
    assert [text for text in attack.told if text not in told] == [], told


@pytest.mark.parametrize(("run", "attack"), run_of)
def test_attack_gets_nothing_out(graded: Graded, attack: Attack) -> None:
    """No canary, no success that it tells of, and no hidden number in what goes back."""
    assert len(graded.needles) > 40  # how many differs with the secret
    for file, text in graded.written(attack.folder).items():
        found = [kind for kind, value in graded.secrets.items() if value in text]
        found += [told for told in re.findall(WON_TEXT, text) if not graded.open_to_all(told)]
        assert found == [], file
        assert graded.hidden_numbers(text) == set(), file
    assert WON not in graded.told(attack.folder)


@pytest.mark.parametrize(("run", "attack"), run_of)
def test_attack_shows_nothing_live(graded: Graded, attack: Attack) -> None:
    """Nothing in the notebook, rendered, would run or call out."""
    file = graded.room.autograded / attack.folder / LESSON / f"{LESSON}.ipynb"
    if file.exists():
        notebook = nbformat.read(file, as_version=4)
        own = copy.deepcopy(notebook)
        given = {c.id for c in graded.room.source(LESSON).cells}
        own.cells = [c for c in notebook.cells if c.id not in given or c.cell_type == "code"][-150:]
        assert live(own) == []
        free = [c for c in notebook.cells if c.cell_type == "code" and not checked_exercise(c)]
        # nbgrader reads results as points: none of a student's own may stand there.
        assert [o for c in free for o in c.outputs if o.output_type == "execute_result"] == []


@each_run
@pytest.mark.parametrize("student", HONEST)
def test_honest_students_get_full_marks(graded: Graded, student: str) -> None:
    assert graded.points(student) == TASKS
    assert graded.grades[student]["status"] == "graded"
    page = graded.room.feedback / student / LESSON / f"{LESSON}.html"
    assert CANARIES["work"] in page.read_text(encoding="utf-8")


@each_run
def test_everyone_is_in_the_reports(graded: Graded) -> None:
    assert graded.done.returncode == 0, graded.done.stderr
    everyone = {_cell(s) for s in (*HONEST, *(a.folder for a in graded.attacks))}
    assert set(graded.grades) == set(graded.scores) == everyone
    for attack in graded.attacks:
        if graded.grades[_cell(attack.folder)]["status"] == "broken":
            assert graded.grades[_cell(attack.folder)]["remarks"]
        folder = graded.room.feedback / attack.folder / LESSON
        assert (folder / f"{LESSON}.html").is_file()


@each_run
def test_reports_hold_no_secret(graded: Graded) -> None:
    files = [f for f in graded.room.reports.rglob("*") if f.is_file() and f.name != "grades.json"]
    texts = [f.read_text("utf-8", "replace") for f in files]
    for grade in json.loads((graded.room.reports / "grades.json").read_text(encoding="utf-8")):
        texts.append(json.dumps({**grade, "codes": {}}, ensure_ascii=False))
    texts += [graded.done.stdout, graded.done.stderr]
    for text in texts:
        assert [kind for kind, value in graded.secrets.items() if value in text] == []
        assert WON not in text


@each_run
def test_reports_run_no_formula(graded: Graded) -> None:
    for file in graded.room.reports.glob("*.csv"):
        with file.open(newline="", encoding="utf-8") as text:
            cells = [cell for row in csv.reader(text) for cell in row]
        # A lone "-" is Moodle's word for no grade.
        assert [c for c in cells if c != "-" and c[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


@each_run
def test_nothing_is_left_on_the_machine(graded: Graded) -> None:
    assert graded.processes == []
    assert graded.rooms == []
    assert graded.calls == 0
    names = {p.name for p in graded.room.root.iterdir()} | {
        p.name for p in graded.room.reports.iterdir()
    }
    assert not names & {"x", "LIAR", "SHADOWED"}


@each_run
def test_grading_says_nothing_odd(graded: Graded) -> None:
    assert "Traceback" not in graded.done.stdout + graded.done.stderr
    json.dumps(graded.done.stdout)


def test_the_collection_is_large_and_named() -> None:
    assert len(ATTACKS) >= 40
    assert len(combined.ATTACKS) >= 6
    assert len({a.folder for a in ATTACKS}) == len({a.name for a in ATTACKS}) == len(ATTACKS)
    assert all(a.tries.endswith(".") and a.earns <= ALL for a in ATTACKS)
