"""Grading where there is no bubblewrap: it says so loudly, and still runs with process limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

import autograde.sandbox as sandbox_module
from autograde.__main__ import main
from autograde.build import _nbgrader
from autograde.execution import execute
from autograde.exercises.lesson_01_iou import another_way
from autograde.judge import judge
from autograde.results import hidden_sheets
from autograde.sandbox import Limits, Sandbox, read_room_file
from autograde.trial import try_file

RIGHT = Path(another_way.__file__)


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "bubblewrap", lambda: None)
    monkeypatch.setattr("autograde.__main__.bubblewrap", lambda: None)


@pytest.mark.usefixtures("no_bubblewrap")
def test_try_without_bubblewrap(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "01_iou/box_area", str(RIGHT)]) == 0
    said = capsys.readouterr()
    assert "WARNING: no working bubblewrap" in said.err
    assert "apt-get install bubblewrap" in said.err
    assert "share of the points: 1" in said.out


@pytest.mark.usefixtures("no_bubblewrap")
def test_limits_hold_without_bubblewrap(tmp_path: Path) -> None:
    file = tmp_path / "hog.py"
    file.write_text("import time\nx = [b'x' * (50 << 20) for _ in range(30)]\ntime.sleep(60)\n")
    trial = try_file("01_iou/box_area", file, Limits(memory=600 << 20))
    assert trial.verdict.points == 0
    assert "more than 600 MB of memory" in " ".join(trial.verdict.notes)


@pytest.mark.usefixtures("no_bubblewrap")
def test_notebook_without_bubblewrap() -> None:
    solve, check = (new_code_cell(), new_code_cell('check("half_shifted", half_shifted)'))
    solve.source = "from autograde import check\nhalf_shifted = 1 / 3"
    check.metadata.nbgrader = _nbgrader("check", "half_shifted", 1)
    sheet = hidden_sheets("01_iou", "s")["half_shifted"]
    executed = execute(new_notebook(cells=[solve, check]), {"half_shifted": sheet}, Limits())
    assert executed.flags == ["no-sandbox"]
    assert judge(sheet, *executed.answers["half_shifted"]).points == 1


def test_environment_inside_is_not_the_graders(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("A_TOKEN", "of-the-grader")
    for bwrap in (None, "/usr/bin/bwrap"):
        command = Sandbox(tmp_path, Limits(), bwrap).command(["true"])
        assert "of-the-grader" not in " ".join(command)
        assert "-i" in command


def test_room_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_room_file(tmp_path / "a", 10) == b"abc"
    assert read_room_file(tmp_path / "a", 2) is None
    assert read_room_file(tmp_path / "link", 10) is None
    assert read_room_file(tmp_path / "none", 10) is None
    assert read_room_file(tmp_path, 10) is None
