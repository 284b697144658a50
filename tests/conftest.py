"""Shared by the tests: a sample class graded once for the whole run, and a browser for each file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser import chromium, jupyterlab
from playwright.sync_api import Browser

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


class BuiltClassroom(Classroom):
    """A classroom into which a lesson is built when it is first asked for."""

    def source(self, lesson: str) -> nbformat.NotebookNode:
        if not self.source_file(lesson).exists():
            build(lesson, self, self.root / "release")
        return super().source(lesson)

    def release(self, lesson: str) -> nbformat.NotebookNode:
        self.source(lesson)
        return nbformat.read(self.root / "release" / lesson / f"{lesson}.ipynb", as_version=4)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltClassroom:
    """A classroom with the lessons in it, their releases in release/."""
    room = BuiltClassroom(tmp_path_factory.mktemp("built"))
    room.source(LESSON)
    return room


@pytest.fixture(scope="session")
def released(built: BuiltClassroom) -> nbformat.NotebookNode:
    return built.release(LESSON)


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


# ------------------------------------------------------------------ for tests in a browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
