"""How a graded notebook hands its objects to the judge, from inside the sandbox.

After the cell `check("box_iou", box_iou)` has run, the trusted side asks for a snapshot. The
kernel forks: the child keeps the object and everything it uses just as they are at this cell,
waits until the whole notebook has run and its outputs are closed, and only then reads the
hidden inputs. So later cells cannot change what is judged, and nothing that a student prints
can carry a hidden input home.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from autograde.student.runner import CASE_SECONDS, run_cases, silence

ROOM = "AUTOGRADE_ROOM"  # the folder shared with the judge; set only when grading
_handed: dict[str, Any] = {}


def grading() -> bool:
    """Is this kernel run by the judge?"""
    return ROOM in os.environ


def hand_over(name: str, obj: Any) -> None:
    """Keep the object that a check cell named."""
    _handed[name] = obj


def snapshot(name: str) -> None:
    """Fork a child that will answer the judge for exercise `name`; the parent goes on at once."""
    import fcntl  # not there on Windows, where students check and nobody grades

    room = Path(os.environ[ROOM])
    if name not in _handed:
        return
    obj = _handed.pop(name)
    # Locked for as long as the child lives: so the judge need not wait for one that is gone.
    ready = (room / f"{name}.ready").open("w")
    fcntl.flock(ready, fcntl.LOCK_EX)
    if os.fork() != 0:
        ready.close()  # the lock is the child's alone now
        return
    with contextlib.suppress(BaseException):
        silence()
        answer(obj, room / f"{name}.in.json", room / f"{name}.out.jsonl")
    os._exit(0)


def answer(obj: Any, questions: Path, answers: Path) -> None:
    """Wait for the judge's inputs, run them, write one line of JSON for each outcome."""
    while not questions.exists():
        time.sleep(0.02)
    asked = json.loads(questions.read_text())
    with answers.open("w") as out:
        for outcome in run_cases(obj, asked["cases"], tuple(asked["forbidden"]), CASE_SECONDS):
            out.write(json.dumps(outcome) + "\n")
            out.flush()
        out.write('"end"\n')


def answer_for_file(source: str, name: str, questions: str, answers: str) -> None:
    """Judge one Python file: run it, take `name` from it, answer like a snapshot does."""
    scope: dict[str, Any] = {"__name__": "submission"}
    text = Path(source).read_text()
    with contextlib.redirect_stdout(None):
        try:
            exec(compile(text, source, "exec"), scope)
        except BaseException as error:  # a file may raise anything, SystemExit too
            failure = f"the file does not run: {type(error).__name__}: {error}"
        else:
            if name in scope:
                answer(scope[name], Path(questions), Path(answers))
                return
            failure = f"the file defines no {name!r}"
    Path(answers).write_text(json.dumps({"status": "no object", "error": failure[:400]}) + "\n")
