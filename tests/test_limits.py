"""Limits that hold: each greed is stopped within its limit and five seconds, at its own cost only.

The times are measured from outside: an attack's cell leaves a file in its room as it begins, and
it is over when the next cell leaves another or the room is gone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from attack_lab import LESSON, POINTS, SECRET, handed_in, points, printed, sheets
from attacks import greed
from attacks.lab import TOOLS
from conftest import needs_sandbox

from autograde import execution, results
from autograde.cells import restore
from autograde.results import Result, judged, make_result
from autograde.sandbox import Limits
from autograde.warm import ForkedProvisioner

pytestmark = needs_sandbox

SPARE = 5  # seconds that stopping may take, past the limit
SMALL = Limits(cell_seconds=4, memory=1 << 30, processes=40, threads=200, room=32 << 20)
BEGIN = "open(os.environ['AUTOGRADE_ROOM'] + '/{name}', 'w').close()\n"
Grade = Callable[..., tuple[Result, float]]


@dataclass(frozen=True)
class Greed:
    """What a cell takes, and what is said of it where the student looks."""

    name: str
    code: str
    says: str = ""
    dies: bool | None = False  # the kernel does, and starts anew; None: that depends


GREED = (
    Greed("endless loop", "while True: pass", "KeyboardInterrupt"),
    Greed("sleep", "time.sleep(1e6)", "KeyboardInterrupt"),
    Greed("deaf loop", greed.DEAF, "could not be interrupted", dies=True),
    Greed("50 GB at once", greed.VAST, dies=None),
    Greed("50 GB bit by bit", greed.HOG, "more than 1024 MB of memory", dies=True),
    Greed("memory files", greed.MEMFD, "more than 1024 MB of memory", dies=True),
    Greed("fork bomb", greed.FORK_BOMB, "more than 40 processes", dies=True),
    Greed("thread bomb", greed.THREAD_BOMB, "thread", dies=True),
    Greed("a gigabyte printed", greed.GIGABYTE, dies=None),
    Greed("messages too large", greed.SOCKET_FLOOD, dies=None),  # on a busy machine, of its time
    Greed("full /tmp", greed.FULL_TMP),
    Greed("full room", greed.FULL_ROOM, "MB of files", dies=True),
)


class Stopwatch:
    """How long the cell took that leaves the file `began`, seen from outside of the sandbox."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Stopwatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        began: Path | None = None
        start = 0.0
        while not self._done.wait(0.02):
            if began is None:
                began = next(Path("/tmp").glob("rooms-*/room-*/began"), None)
                start = time.monotonic()
            elif not began.exists() or began.with_name("ended").exists():
                self.seconds = time.monotonic() - start
                return


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grade:
    """Judge a notebook of the small lesson; the result, and the seconds it took."""
    monkeypatch.setattr(results, "hidden_sheets", lambda lesson, secret: sheets())

    def run(notebook, limits: Limits) -> tuple[Result, float]:
        restored, _ = restore(notebook, handed_in())
        started = time.monotonic()
        result = judged(restored, handed_in(), LESSON, SECRET, tmp_path / "results", limits)
        return result, time.monotonic() - started

    return run


def greedy(code: str) -> list[str]:
    """The cells of an attack: its tools, itself, and one that tells that it is over."""
    return [TOOLS, BEGIN.format(name="began") + code, BEGIN.format(name="ended")]


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            g, id=g.name,
        )
        for g in GREED
    ],
)  # fmt: skip
def test_greed_is_stopped_in_time(
    grade: Grade, attack: Greed, record_property: Callable[[str, object], None]
) -> None:
    with Stopwatch() as watch:
        result, total = grade(handed_in(last=greedy(attack.code)), SMALL)
    record_property("stopped after seconds", watch.seconds)
    record_property("graded after seconds", total)
    print(f"MEASURED {attack.name}: stopped after {watch.seconds:.1f} s, all after {total:.1f} s")
    assert points(result) == POINTS
    said = printed(result) + str(result.notebook.cells[-2].outputs)
    # On a busy machine a bomb may have its time before it is counted: ended all the same.
    assert attack.says in said or (attack.dies and "could not be interrupted" in said)
    died = any(f.startswith("kernel-died") for f in result.flags)
    assert attack.dies in (None, died)
    assert watch.seconds is not None
    spare = SPARE * (3 if attack.name == "fork bomb" else 1)  # it has the processors, and so less
    assert watch.seconds <= SMALL.cell_seconds + spare  # of them is left for who stops it


def test_a_notebook_has_a_time(grade: Grade, record_property) -> None:
    """Many slow cells: the notebook ends, and what was handed over before still counts."""
    limits = replace(SMALL, notebook_seconds=8)
    _, usual = grade(handed_in(), limits)
    slow = ["import time\ntime.sleep(3)"] * 10
    result, total = grade(handed_in(last=slow), limits)
    record_property("graded after seconds", total)
    print(f"MEASURED notebook of 8 s: {total:.1f} s, {usual:.1f} s without")
    assert points(result) == POINTS
    assert "out-of-time" in result.flags
    assert total <= limits.notebook_seconds + usual + SPARE


def test_cells_before_keep_their_points(grade: Grade) -> None:
    """Where nothing runs after the greed, what was handed over before it still counts."""
    limits = replace(SMALL, notebook_seconds=12, cell_seconds=15)
    result, _ = grade(handed_in(between=["import time\ntime.sleep(13)"]), limits)
    assert points(result) == {**dict.fromkeys(POINTS, 0.0), "box_area": POINTS["box_area"]}


KILLED = greed.STOPPED_SNAPSHOTS.replace("SIGSTOP", "SIGKILL")


@pytest.mark.parametrize("code", [KILLED, greed.STOPPED_SNAPSHOTS], ids=["killed", "stopped"])
def test_answers_that_cannot_come_are_not_waited_for(
    grade: Grade, code: str, monkeypatch: pytest.MonkeyPatch, record_property
) -> None:
    """All processes that would answer are gone: the exercises together cost one time, not each."""
    monkeypatch.setattr(execution, "ANSWER_SECONDS", 8)
    monkeypatch.setattr(execution, "ANSWERS_SECONDS", 8)
    _, usual = grade(handed_in(), SMALL)
    result, total = grade(handed_in(last=[TOOLS, code]), SMALL)
    record_property("graded after seconds", total)
    print(f"MEASURED no process answers: {total:.1f} s, {usual:.1f} s usually")
    assert set(points(result).values()) <= {0.0}
    assert total <= usual + 4 * 2 + SPARE


@pytest.mark.parametrize("times", [1, 3])
def test_an_endless_answer_costs_its_exercise(
    grade: Grade, times: int, monkeypatch: pytest.MonkeyPatch, record_property
) -> None:
    """It is judged for so long and no longer, deaf or not; the other exercises count."""
    monkeypatch.setattr(execution, "ANSWER_SECONDS", 4 * times)
    _, usual = grade(handed_in(), SMALL)
    result, total = grade(handed_in(iou="import signal" + greed.DEAF_ANSWER), SMALL)
    record_property("graded after seconds", total)
    print(f"MEASURED endless answer of {4 * times} s: {total - usual:.1f} s more than usual")
    assert points(result) == POINTS | {"box_iou": 0.0}
    assert total <= usual + 4 * times + SPARE


def test_outputs_are_bounded(grade: Grade) -> None:
    """What is kept of floods fits its bound, for a cell and for the notebook."""
    limits = replace(SMALL, cell_output=1 << 20, notebook_output=2 << 20, cell_seconds=20)
    flood = "for _ in range(16):\n    print('x' * (1 << 18))"
    result, _ = grade(handed_in(last=[flood] * 6), limits)
    kept = [len(str(c.get("outputs", ""))) for c in result.notebook.cells]
    assert max(kept) < 3 << 19
    assert sum(kept) < 5 << 19
    assert points(result) == POINTS


BREAKS_THE_LINE = """
import os
for _ in range(3):
    for k in range(3, 256):
        try:
            os.write(k, b"\\xff" * 999)
        except OSError:
            pass
"""


def test_a_kernel_that_breaks_the_line_to_the_judge_holds_nobody_up() -> None:
    """Garbage in every open file, so in the sockets as well: a message to it may never go out."""
    for _ in range(3):
        began = time.monotonic()
        result = make_result(
            handed_in(last=[BREAKS_THE_LINE]), handed_in(), LESSON, SECRET, Limits(cell_seconds=4)
        )
        assert time.monotonic() - began < 60
        assert points(result)["box_area"] in (0.0, POINTS["box_area"])


def test_a_kernel_that_seems_alive_for_a_moment_costs_nothing(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a kernel ends, its snapshots end a bit before it, and on a busy machine that shows."""
    ended: dict[int, float] = {}
    poll, ask = ForkedProvisioner.poll, execution._ask

    async def late(self: ForkedProvisioner) -> int | None:
        status = await poll(self)
        since = ended.setdefault(self.pid, time.monotonic()) if status is not None else None
        return status if since is None or time.monotonic() > since + 1.5 else None

    async def slow(*given: Any) -> Any:
        await asyncio.sleep(0.4)  # so the kernel has ended by then
        return await ask(*given)

    monkeypatch.setattr(ForkedProvisioner, "poll", late)
    monkeypatch.setattr(execution, "_ask", slow)
    leave = "get_ipython().ask_exit()\nget_ipython().kernel.do_shutdown(True)\nquit()"
    result, _ = grade(handed_in(last=[leave]), SMALL)
    assert points(result) == POINTS
    assert any(flag.startswith("kernel-died") for flag in result.flags)
