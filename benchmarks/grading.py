"""How long grading takes: beside plain nbgrader, and for a class of a thousand.

    python -m benchmarks.grading  # 40 submissions, three times each way; half an hour
    python -m benchmarks.grading --scale 100 1000  # a class of each size, with ours alone

Both grade the same submissions of lesson 01, on this machine, in one run, turn by turn. Plain
nbgrader is `nbgrader autograde` with its own default preprocessors; ours is `autograde grade`
with the sandbox on, and writes feedback and reports besides. No two submissions are alike, so
that nothing can be taken from the store.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import psutil

from autograde.build import build
from autograde.classroom import Classroom
from autograde.demo import LESSON, QUESTIONS, Sample
from autograde.sandbox import PROJECT, bubblewrap

RESULTS = Path(__file__).parent / "results" / "grading.json"
PLAIN = """
c = get_config()
c.CourseDirectory.course_id = "plain"
"""


def make_class(room: Classroom, count: int) -> None:
    """Fill a classroom with submissions as honest students hand them in, no two alike."""
    released = nbformat.read(build(LESSON, room, room.root / "release"), as_version=4)
    sample = Sample(released, room.source(LESSON))
    kinds = (
        lambda: sample.solved(),
        lambda: sample.other_style(),
        lambda: sample.replaced("box_iou", ".clamp(min=0)", ""),
        lambda: sample.replaced("iou_loss", "return -iou", "return iou"),
        lambda: sample.only(["box_convert", "box_area", "box_iou", "mask_iou"]),
        lambda: sample.only(QUESTIONS),
        lambda: sample.solved(half_shifted="half_shifted = 0.5"),
        lambda: sample.solved(),
    )
    for k in range(count):
        notebook = kinds[k % len(kinds)]()
        for cell in notebook.cells:
            if cell.cell_type == "code" and "def box_convert" in cell.source:
                cell.source += f"\n# student {k}\n"
        file = room.submission(f"student-{k:04}", LESSON)
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)


def plain_course(room: Classroom, folder: Path) -> None:
    """The same submissions in a course of plain nbgrader."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(PLAIN)
    shutil.copytree(room.root / "source", folder / "source")
    shutil.copytree(room.submitted, folder / "submitted")
    _run(["nbgrader", "generate_assignment", LESSON], folder)


def _run(command: list[str], folder: Path) -> float:
    """Run a command of this environment; its seconds."""
    program = str(Path(sys.executable).with_name(command[0]))
    began = time.monotonic()
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return time.monotonic() - began


def plain_seconds(room: Classroom) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "course"
        plain_course(room, folder)
        seconds = _run(["nbgrader", "autograde", LESSON], folder)
        marked = len(list((folder / "autograded").glob(f"*/{LESSON}/{LESSON}.ipynb")))
        if marked != len(list(room.submitted.iterdir())):
            raise RuntimeError(f"nbgrader marked {marked} only")
        return seconds


class Memory(threading.Thread):
    """Watches the memory of a command: the grader's own processes, not the students' sandboxes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.most, self.stop = psutil.Process(pid), 0, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            total = 0
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.Error:
                return
            for process in family:
                try:
                    inside = "bwrap" in process.name() or self._in_sandbox(process)
                    total += 0 if inside else _proportional(process.pid)
                except (psutil.Error, OSError):
                    continue
            self.most = max(self.most, total)

    @staticmethod
    def _in_sandbox(process: psutil.Process) -> bool:
        return any("bwrap" in parent.name() for parent in process.parents())


def _proportional(pid: int) -> int:
    """Bytes of a process, with what it shares divided among those who share it."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition("Pss:")[2].split()[0]) * 1024


def our_seconds(room: Classroom, workers: int) -> tuple[float, int]:
    """(seconds, bytes at most) of `autograde grade` from nothing but the submissions."""
    for name in ("results", "autograded", "feedback", "reports", "release"):
        shutil.rmtree(room.root / name, ignore_errors=True)
    (room.root / "gradebook.db").unlink(missing_ok=True)
    command = [sys.executable, "-m", "autograde", "grade", LESSON, "--classroom", str(room.root)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--workers", str(workers)], cwd=PROJECT, stdout=subprocess.DEVNULL
    )
    memory = Memory(process.pid)
    memory.start()
    if process.wait() != 0:
        raise RuntimeError("autograde grade failed")
    seconds = time.monotonic() - began
    memory.stop.set()
    memory.join()
    _check_scores(room)
    return seconds, memory.most


EXPECTED = (20, 20, 10, 19, 9, 4, 19, 20)


def _check_scores(room: Classroom) -> None:
    """A fast grader that is wrong is no grader."""
    with (room.reports / "grades.csv").open(newline="") as file:
        for k, row in enumerate(csv.DictReader(file)):
            if float(row["points"]) != EXPECTED[k % len(EXPECTED)]:
                raise RuntimeError(f"wrong: {row}")


def compare(count: int, repeats: int, workers: int) -> dict[str, Any]:
    """Both ways of grading, turn by turn."""
    with tempfile.TemporaryDirectory() as scratch:
        room = Classroom(Path(scratch) / "class")
        make_class(room, count)
        plain, ours, most = [], [], []
        for turn in range(repeats):
            seconds, memory = our_seconds(room, workers)
            ours.append(seconds)
            most.append(memory)
            plain.append(plain_seconds(room))
            print(f"turn {turn + 1}: nbgrader {plain[-1]:.1f} s, ours {ours[-1]:.1f} s", flush=True)
    ratio = statistics.median(p / o for p, o in zip(plain, ours, strict=True))
    print(f"{count} submissions: {ratio:.1f} times as fast (median of {repeats})")
    return {"count": count, "workers": workers, "nbgrader_s": plain, "ours_s": ours,
            "ratio": ratio, "grader_memory_bytes": max(most)}  # fmt: skip


def scale(counts: list[int], workers: int) -> list[dict[str, Any]]:
    """Classes of several sizes."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            room = Classroom(Path(scratch) / "class")
            make_class(room, count)
            seconds, memory = our_seconds(room, workers)
        rows.append({"count": count, "seconds": seconds, "grader_memory_bytes": memory})
        each, size = seconds / count, memory / 1e6
        print(f"{count} submissions: {seconds:.1f} s, {each:.2f} s each, {size:.0f} MB", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", type=int, nargs="+", metavar="COUNT")
    args = parser.parse_args()
    if bubblewrap() is None:
        raise SystemExit("no bubblewrap here: the sandbox is part of what is measured")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, {date.today()}"
    if args.scale:
        results["scale"] = scale(args.scale, args.workers)
    else:
        results["beside_nbgrader"] = compare(args.count, args.repeats, args.workers)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
