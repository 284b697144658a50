"""The batch engine: the same scores whatever happens to it, and however many work."""

from __future__ import annotations

import csv
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from conftest import LESSON, needs_sandbox, run_cli
from distributed import LocalCluster
from rich.console import Console

from autograde.__main__ import main
from autograde.batch import Workers
from autograde.build import build
from autograde.classroom import Classroom
from autograde.demo import ONE_LINER, QUESTIONS, Sample
from autograde.grades import Grade, read_grades, write_grades
from autograde.grading import Settings, grade
from autograde.jobs import Job, Judged, judge_submission
from autograde.regrade import regrade
from autograde.results import Result
from autograde.sandbox import PROJECT, Limits

pytestmark = needs_sandbox
SCORES = {"ada": 20.0, "bob": 10.0, "cleo": 4.0, "dan": 0.0, "eve": 0.0, "fay": 0.0}


def fill(room: Classroom) -> None:
    """Six who handed in: perfect, mistaken, questions only, blank, hostile, broken."""
    released = nbformat.read(build(LESSON, room, room.root / "release"), as_version=4)
    sample = Sample(released, room.source(LESSON))
    notebooks = {
        "ada": sample.solved(),
        "bob": sample.replaced("box_iou", ".clamp(min=0)", ""),
        "cleo": sample.only(QUESTIONS),
        "dan": sample.blank(),
        "eve": sample.with_line(ONE_LINER),
    }
    for student, notebook in notebooks.items():
        file = room.submission(student, LESSON)
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)
    broken = room.submission("fay", LESSON)
    broken.parent.mkdir(parents=True)
    broken.write_text('{"cells": [')


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    room = Classroom(tmp_path_factory.mktemp("handed") / "class")
    fill(room)
    return room


@pytest.fixture
def room(handed_in: Classroom, tmp_path: Path) -> Classroom:
    """A fresh class with the same submissions, and the same secret."""
    fresh = Classroom(tmp_path / "class")
    shutil.copytree(handed_in.submitted, fresh.submitted)
    fresh.root.joinpath("secret").write_text(handed_in.secret())
    return fresh


def scores(room: Classroom) -> dict[str, float]:
    with (room.reports / "grades.csv").open(newline="") as file:
        return {r["student"]: float(r["points"]) for r in csv.DictReader(file)}


def verdicts(grades: list[Grade]) -> list:
    return [(g.student, g.broken, [v.to_json() for v in g.verdicts]) for g in grades]


def quiet() -> Console:
    return Console(file=open(os.devnull, "w"))


def jobs(room: Classroom) -> Iterator[Job]:
    build(LESSON, room, room.root / "release")
    source = nbformat.writes(room.source(LESSON))
    for student in ("ada", "bob", "cleo", "dan"):
        file = room.submission(student, LESSON)
        yield Job(file.name, file.read_bytes(), source, LESSON, room.secret(), Limits())


def all_judged(workers: Workers, count: int) -> dict[str, float]:
    found = {}
    for _ in range(count):
        student, judged = workers.finished()
        assert isinstance(judged, Judged), judged
        assert not judged.broken, judged.broken
        result = Result.from_text(judged.result)
        found[student] = sum(v.points for v in result.verdicts)
    return found


def test_a_killed_worker_costs_nothing(room: Classroom) -> None:
    with Workers(2) as workers:
        for student, job in zip(("ada", "bob", "cleo", "dan"), jobs(room), strict=True):
            workers.submit(student, judge_submission, job)
        first = workers.finished()
        assert isinstance(first[1], Judged)
        os.kill(next(iter(workers._client.run(os.getpid).values())), signal.SIGKILL)
        found = all_judged(workers, 3)
    assert found == {s: SCORES[s] for s in ("ada", "bob", "cleo", "dan") if s != first[0]}
    left = [p for p in psutil.Process().children(recursive=True) if "bwrap" in p.name()]
    assert not [p for p in left if "autograde.kernel.server" not in " ".join(p.cmdline())]


def test_one_worker_or_a_cluster_elsewhere_give_the_same(room: Classroom) -> None:
    """Judged by one local worker, then, all anew, by a running Dask cluster."""
    one = grade(room, [LESSON], quiet(), Settings(workers=1))
    assert scores(room) == SCORES
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    try:
        there = Settings(scheduler=cluster.scheduler_address, force=True)
        again = grade(room, [LESSON], quiet(), there)
    finally:
        cluster.close()
    assert verdicts(one) == verdicts(again) == verdicts(read_grades(room))


def test_a_second_run_takes_all_from_the_store(room: Classroom) -> None:
    first = grade(room, [LESSON], quiet(), Settings())
    stamps = {f: f.stat().st_mtime_ns for f in room.results.rglob("*.json")}
    assert len(stamps) == 5 + 6  # five results; six files seen
    page = (room.feedback / "bob" / LESSON / f"{LESSON}.html").read_text()
    second = grade(room, [LESSON], quiet(), Settings())
    assert verdicts(first) == verdicts(second)
    assert {f: f.stat().st_mtime_ns for f in room.results.rglob("*.json")} == stamps
    assert (room.feedback / "bob" / LESSON / f"{LESSON}.html").read_text() == page


def start(room: Classroom, *args: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "autograde", "grade", "--classroom", str(room.root), *args]
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def no_process_left(parent: int, family: list[psutil.Process]) -> None:
    end = time.monotonic() + 20
    while left := [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < end, left
        time.sleep(0.2)


def test_ctrl_c_stops_cleanly(room: Classroom) -> None:
    process = start(room)
    deadline = time.monotonic() + 120
    while not list(room.results.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "are graded. The same command goes on from there" in said
    assert "Traceback" not in said
    no_process_left(process.pid, family)


@pytest.mark.full
def test_killed_at_ten_random_moments_and_started_again(room: Classroom, tmp_path: Path) -> None:
    """kill -9 to the process that leads; the next run ends in the scores of an undisturbed one."""
    undisturbed = grade(room, [LESSON], quiet(), Settings())
    length = 0.0
    rng = random.Random(0)
    for turn in range(10):
        again = Classroom(tmp_path / f"class-{turn}")
        shutil.copytree(room.submitted, again.submitted)
        shutil.copy(room.root / "secret", again.root / "secret")
        began = time.monotonic()
        process = start(again)
        if turn:
            time.sleep(rng.uniform(0, length))
            family = psutil.Process(process.pid).children(recursive=True)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            no_process_left(process.pid, family)
            done = run_cli("grade", "--classroom", str(again.root))
            assert done.returncode == 0, done.stderr
        else:
            assert process.wait() == 0
            length = time.monotonic() - began
        assert verdicts(read_grades(again)) == verdicts(undisturbed)
        assert scores(again) == SCORES


@pytest.mark.full
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_scores_do_not_depend_on_the_number_of_workers(room: Classroom, workers: int) -> None:
    grades = grade(room, [LESSON], quiet(), Settings(workers=workers))
    assert scores(room) == SCORES
    kept = room.root.parent.parent / "one.txt"
    text = repr(verdicts(grades))
    if kept.exists():
        assert kept.read_text() == text
    kept.write_text(text)


def test_no_scheduler_at_an_address_is_told(room: Classroom, capsys) -> None:
    address = ["--scheduler", "nonsense://127.0.0.1:1"]
    assert main(["grade", "--classroom", str(room.root), *address]) == 2
    assert "no Dask scheduler can be reached at nonsense" in capsys.readouterr().err


# ---------------------------------------------------------------- after the grading


def book_scores(room: Classroom) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book:
        return {s.student.id: s.score for s in book.assignment_submissions(LESSON)}


def test_regrade_shows_first_and_then_writes(room: Classroom, capsys) -> None:
    """As if box_iou had been judged too kindly, and iou_loss, too: only box_iou changes."""
    grades = grade(room, [LESSON], quiet(), Settings())
    for student, exercise, points in (("bob", "box_iou", 3.0), ("ada", "iou_loss", 0.5)):
        one = next(g for g in grades if g.student == student)
        next(v for v in one.verdicts if v.exercise == exercise).points = points
    write_grades(room, grades)
    before = (book_scores(room), scores(room), (room.reports / "grades.json").read_text())

    console = Console(width=100)
    changes = regrade(room, LESSON, "box_iou", False, console, Settings())
    assert [(c.grade.student, c.before.points, c.after.points) for c in changes] == [
        ("bob", 3.0, 0.0)
    ]
    said = capsys.readouterr().out
    assert "box_iou: 1 of 5 change" in said
    assert "Points would change in iou_loss, too; that is left as it was." in said
    assert "Nothing is written yet" in said
    assert before == (book_scores(room), scores(room), (room.reports / "grades.json").read_text())

    regrade(room, LESSON, "box_iou", True, console, Settings())
    assert "Nothing is written" not in capsys.readouterr().out
    assert scores(room) == SCORES | {"ada": 19.5}
    assert book_scores(room)["bob"] == SCORES["bob"]
    assert "✗ box_iou" in (room.feedback / "bob" / LESSON / f"{LESSON}.html").read_text()
    assert regrade(room, LESSON, "box_iou", False, console, Settings()) == []

    assert main(["regrade", LESSON, "box_iou2", "--classroom", str(room.root)]) == 2
    assert "has no exercise 'box_iou2'" in capsys.readouterr().err


def test_late_work_loses_points_and_the_reports_say_so(room: Classroom, capsys) -> None:
    (room.root / "deadlines.toml").write_text(
        f"[{LESSON}]\ndue = 2026-10-05T12:00:00Z\npenalty_per_day = 0.1\n"
        f"[{LESSON}.extensions]\nbob = 2026-10-09T12:00:00Z\n"
    )
    times = {"ada": "07T12:00", "bob": "07T12:00", "cleo": "05T11:59", "fay": "30T00:00"}
    rows = [f"{s},{LESSON},2026-10-{t}:00+00:00" for s, t in times.items()]
    (room.root / "handed_in.csv").write_text("\n".join(["student,lesson,time", *rows]))
    forged = room.submission("ada", LESSON).with_name("timestamp.txt")
    forged.write_text("2020-01-01 00:00:00 UTC")
    late = grade(room, [LESSON], quiet(), Settings())
    assert {g.student: g.penalty for g in late} == dict.fromkeys(SCORES, 0.0) | {"ada": 4.0}
    assert scores(room) == SCORES | {"ada": 16.0}
    page = (room.feedback / "ada" / LESSON / f"{LESSON}.html").read_text()
    assert "Late submission penalty (Score: -4.0)" in page
    for name in (f"{LESSON}.html", "canvas.csv", "moodle.csv"):
        (room.reports / name).unlink()
    assert main(["report", "--classroom", str(room.root)]) == 0
    assert "16" in (room.reports / "canvas.csv").read_text()
    assert (room.reports / f"{LESSON}.html").exists()
    assert "moodle.csv" in capsys.readouterr().out
    assert main(["report", "02_nms", "--classroom", str(room.root)]) == 2
    assert "02_nms has not been graded yet" in capsys.readouterr().err


# ---------------------------------------------------------------- PostgreSQL

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL server of our own, over a socket in a folder of its user's."""
    try:
        user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    except KeyError:
        pytest.skip("no user to run PostgreSQL")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    os.chown(folder, user.pw_uid, user.pw_gid)
    bin_folder = POSTGRES[-1].parent

    def run(program: str, *args: str) -> None:
        subprocess.run(
            [bin_folder / program, *args], user=user.pw_uid, group=user.pw_gid, cwd=folder,
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    run("initdb", "-D", "data", "-A", "trust")
    run("pg_ctl", "-D", "data", "-o", f"-k {folder} -c listen_addresses=", "-w", "start")
    try:
        run("createdb", "-h", str(folder), "grades")
        yield f"postgresql+psycopg://{user.pw_name}@/grades?host={folder}"
    finally:
        run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.mark.skipif(not POSTGRES, reason="no PostgreSQL here: apt-get install postgresql")
def test_a_gradebook_in_postgresql(room: Classroom, postgres: str) -> None:
    from nbgrader.api import Gradebook

    for _ in range(2):
        grade(room, [LESSON], quiet(), Settings(db_url=postgres))
    assert scores(room) == SCORES
    with Gradebook(postgres) as book:
        got = {s.student.id: s.score for s in book.assignment_submissions(LESSON)}
    assert got == {s: p for s, p in SCORES.items() if s != "fay"}
    assert not (room.root / "gradebook.db").exists()
    assert "points" in (room.feedback / "ada" / LESSON / f"{LESSON}.html").read_text()
