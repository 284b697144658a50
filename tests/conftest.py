"""Shared by the tests: a graded sample class, made once for the whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograde.build import build
from autograde.classroom import Classroom
from autograde.demo import make_class
from autograde.sandbox import PROJECT, bubblewrap

LESSON = "01_iou"
needs_sandbox = pytest.mark.skipif(bubblewrap() is None, reason="no bubblewrap here")


def run_cli(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """python -m autograde … in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "autograde", *args],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "100", **env},
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """A classroom with the lesson built into it, its release in release/."""
    room = Classroom(tmp_path_factory.mktemp("built"))
    build(LESSON, room, room.root / "release")
    return room


@pytest.fixture(scope="session")
def released(built: Classroom) -> nbformat.NotebookNode:
    return nbformat.read(built.root / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)


@pytest.fixture(scope="session")
def graded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classroom, str]:
    """The sample class, graded by `python -m autograde grade`; (classroom, what was printed)."""
    room = Classroom(tmp_path_factory.mktemp("graded"))
    make_class(room)
    done = run_cli("grade", "--classroom", str(room.root), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return room, done.stdout


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
