"""The sample class, graded by the command and by nbgrader itself."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from conftest import LESSON, needs_sandbox, run_cli

from autograde.cells import checked_exercise
from autograde.classroom import Classroom
from autograde.demo import BROKEN_FILES, CLASS, expected_points
from autograde.exercises import LESSONS
from autograde.grades import Grade
from autograde.grading import submissions
from autograde.results import hidden_sheets
from autograde.sandbox import PROJECT
from autograde.scores import write_scores
from autograde.triage import BrokenSubmission, read_submission

pytestmark = needs_sandbox


def rows(room: Classroom, name: str) -> list[dict[str, str]]:
    with (room.reports / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_expected_score_is_right(graded) -> None:
    room, _ = graded
    got = {r["student"]: float(r["points"]) for r in rows(room, "grades.csv")}
    assert got == expected_points()
    assert len(got) >= 14


def test_scores_csv(graded) -> None:
    room, _ = graded
    table = rows(room, "scores.csv")
    assert list(table[0]) == [
        "student",
        "lesson",
        "exercise",
        "points",
        "max_points",
        "status",
        "flags",
    ]
    assert len(table) == len(expected_points()) * len(LESSONS[LESSON].tasks)
    status = {(r["student"], r["exercise"]): r["status"] for r in table}
    assert status["ada", "box_iou"] == "passed"
    assert status["blank", "box_iou"] == "not attempted"
    assert status["mistake-clamp", "box_iou"] == "failed"
    assert status["hostile-borrower", "box_iou"] == "refused"
    assert status["broken-truncated", "box_iou"] == "broken"
    flags = {(r["student"], r["exercise"]): r["flags"] for r in table}
    assert "calls-reference" in flags["hostile-borrower", "box_iou"]
    assert "near-copy-of-solution" in flags["ada", "box_iou"]
    assert flags["grace-loops", "box_iou"] == ""


def test_reasons_are_told(graded) -> None:
    room, printed = graded
    remarks = {r["student"]: r["remarks"] for r in rows(room, "grades.csv")}
    assert "Rename the notebook to 01_iou.ipynb" in remarks["broken-name"]
    assert "was the upload cut off?" in remarks["broken-truncated"]
    assert "no file 01_iou.ipynb was handed in" in remarks["broken-nofile"]
    assert "no Jupyter notebook" in remarks["broken-json"]
    assert remarks["broken-deleted-check"] == "cell-restored:check_box_iou"
    assert remarks["broken-doubled-cell"] == "double-cell:check_box_iou"
    assert remarks["broken-language"] == "language:R"
    assert "kernel-died" in remarks["hostile-killer"]
    assert "mistake no_clamp in box_iou" in printed
    assert "Traceback" not in printed
    assert "Warning" not in printed


def feedback(room: Classroom, student: str) -> str:
    return (room.feedback / student / LESSON / f"{LESSON}.html").read_text()


def test_feedback_for_everyone(graded) -> None:
    room, _ = graded
    for student in expected_points():
        page = feedback(room, student)
        assert "points" in page
    assert "Both side lengths came out negative" in feedback(room, "mistake-clamp")
    assert "Rename the notebook" in feedback(room, "broken-name")


def test_feedback_is_safe_to_open(graded) -> None:
    room, _ = graded
    page = feedback(room, "hostile-script")
    body = page[page.index("<body") :]
    assert "alert(1)" not in re.sub(
        r"<div class=\"highlight.*?</div>", "", body, flags=re.DOTALL
    ) or ("onerror" not in re.sub(r"&[a-z]+;", "", body))
    outputs = [
        o
        for c in autograded(room, "hostile-script").cells
        if c.cell_type == "code"
        for o in c.outputs
    ]
    text = json.dumps(outputs)
    assert "<b>hello</b>" in text
    for bad in ("<script", "onerror", "application/javascript"):
        assert bad not in text


def autograded(room: Classroom, student: str) -> nbformat.NotebookNode:
    return nbformat.read(room.autograded / student / LESSON / f"{LESSON}.ipynb", as_version=4)


def test_no_hidden_case_in_what_goes_back_to_students(graded) -> None:
    """Neither the inputs nor the answers of a hidden sheet stand in feedback or in notebooks."""
    room, _ = graded
    sheets = hidden_sheets(LESSON, room.secret())
    needles = set()
    for sheet in sheets.values():
        for case in sheet.get("cases", []):
            for value in [*case["inputs"]["data"], case["expected"]]:
                data = value.get("data") if value["kind"] == "tensor" else None
                if data and len(data) >= 8 and len(set(data)) >= 6:
                    needles.add(", ".join(map(str, data)))
    assert len(needles) > 50
    for student in expected_points():
        texts = [feedback(room, student)]
        if student not in BROKEN_FILES:
            texts.append(nbformat.writes(autograded(room, student)))
        for text in texts:
            assert room.secret() not in text
            squeezed = re.sub(r"[\[\]\s]+", " ", text)
            assert not [n for n in needles if n in squeezed]


def test_snooper_found_nothing(graded) -> None:
    room, _ = graded
    text = json.dumps([c.get("outputs", []) for c in autograded(room, "hostile-snooper").cells])
    assert "no network" in text
    assert "FOUND" not in text


def test_no_solution_in_feedback_of_a_blank(graded) -> None:
    room, _ = graded
    page = feedback(room, "blank")
    for line in ("torch.maximum(boxes1[:, None, :2]", "boxes[:, 2] - boxes[:, 0]", "4 / math.pi"):
        assert line not in page


def test_points_stand_in_the_gradebook(graded) -> None:
    from nbgrader.api import Gradebook

    room, _ = graded
    with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book:
        got = {s.student.id: s.score for s in book.assignment_submissions(LESSON)}
    expected = expected_points()
    assert got == {name: expected[name] for name in expected if name not in BROKEN_FILES}


def nbgrader(room: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("nbgrader")), *args]
    env = {**os.environ, "CLASSROOM": str(room)}
    return subprocess.run(
        command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=600, check=False
    )


def test_nbgrader_by_itself_gives_the_same(graded, tmp_path: Path) -> None:
    """nbgrader autograde and generate_feedback, on a fresh copy of some of the class."""
    graded_room, _ = graded
    room = Classroom(tmp_path / "class")
    room.root.mkdir()
    for part in ("source", "secret", "results"):
        origin = graded_room.root / part
        (shutil.copytree if origin.is_dir() else shutil.copy)(origin, room.root / part)
    some = ["ada", "mistake-clamp", "hostile-oneliner", "broken-deleted-check", "broken-truncated"]
    for student in some:
        shutil.copytree(graded_room.submitted / student, room.submitted / student)
    link = room.submitted / "link" / LESSON
    link.mkdir(parents=True)
    (link / f"{LESSON}.ipynb").symlink_to(room.submission("ada", LESSON))
    (room.submitted / "ada" / LESSON / "torch.py").write_text("raise SystemExit")

    made = nbgrader(room.root, "generate_assignment", LESSON, "--force",
                    f"--CourseDirectory.release_directory={tmp_path / 'release'}")  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = nbgrader(room.root, "autograde", LESSON)
    assert "broken-truncated" in done.stderr
    assert "is a link, not a file" in done.stderr
    fed = nbgrader(room.root, "generate_feedback", LESSON)
    assert fed.returncode == 0, fed.stderr

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{room.root / 'gradebook.db'}") as book:
        got = {s.student.id: s.score for s in book.assignment_submissions(LESSON)}
    expected = expected_points()
    assert {n: got[n] for n in some[:4]} == {n: expected[n] for n in some[:4]}
    assert got.get("link", 0) == 0
    verdicts = [
        [c.outputs for c in autograded(r, "mistake-clamp").cells if checked_exercise(c)]
        for r in (room, graded_room)
    ]
    assert verdicts[0] == verdicts[1]
    assert "Both side lengths came out negative" in feedback(room, "mistake-clamp")
    assert not (room.autograded / "ada" / LESSON / "torch.py").exists()


def test_a_killed_batch_goes_on_where_it_was(graded, tmp_path: Path) -> None:
    graded_room, _ = graded
    room = Classroom(tmp_path / "class")
    room.root.mkdir()
    shutil.copy(graded_room.root / "secret", room.root / "secret")
    for student in ("answers-only", "blank", "half-done"):
        shutil.copytree(graded_room.submitted / student, room.submitted / student)
    command = [sys.executable, "-m", "autograde", "grade", "--classroom", str(room.root)]
    first = subprocess.Popen(
        [*command, "--workers", "1"], cwd=PROJECT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(room.results.glob("*.json")):
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {p.name: p.stat().st_mtime_ns for p in room.results.glob("*.json")}
    assert 1 <= len(kept) <= 2
    done = run_cli("grade", "--classroom", str(room.root), "--workers", "2")
    assert done.returncode == 0, done.stderr
    after = {p.name: p.stat().st_mtime_ns for p in room.results.glob("*.json")}
    assert len(after) == 3
    assert all(after[name] == stamp for name, stamp in kept.items())
    expected = expected_points()
    got = {r["student"]: float(r["points"]) for r in rows(room, "grades.csv")}
    assert got == {name: expected[name] for name in ("answers-only", "blank", "half-done")}


def test_the_same_work_is_judged_once(graded) -> None:
    room, _ = graded
    # A deleted check and a doubled cell, put back, leave the same notebook as ada's.
    assert len(list(room.results.glob("*.json"))) == len(CLASS) - 2


def test_csv_runs_no_formula(tmp_path: Path) -> None:
    room = Classroom(tmp_path)
    write_scores(room, [Grade("=HYPERLINK(1)", LESSON, broken="-1+1")])
    text = (room.reports / "grades.csv").read_text()
    assert "'=HYPERLINK(1)" in text
    assert "'-1+1" in text


def test_odd_names_are_found(tmp_path: Path) -> None:
    room = Classroom(tmp_path)
    for name in ("ünïcode name", "a'b", ".hidden", "x; rm -rf"):
        (room.submitted / name / LESSON).mkdir(parents=True)
    found = [s for s, _ in submissions(room, [LESSON])]
    assert found == sorted(["ünïcode name", "a'b", "x; rm -rf"])
    with pytest.raises(BrokenSubmission, match=r"no file 01_iou\.ipynb was handed in"):
        read_submission(room.submission("a'b", LESSON), room.submitted)
