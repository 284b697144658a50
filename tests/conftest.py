"""Shared by the tests: who runs what, a sample class graded once, one browser for all that look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import Notebook, Workplace
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling

from autograde.build import LESSONS as RELEASES
from autograde.build import SOLUTIONS, to_notebook
from autograde.classroom import Classroom
from autograde.demo import make_class
from autograde.exercises import LESSONS
from autograde.sandbox import PROJECT, bubblewrap

LESSON = "01_iou"
needs_sandbox = pytest.mark.skipif(bubblewrap() is None, reason="no bubblewrap here")


# ------------------------------------------------------------------ who runs what

# What takes long begins early, so that the workers end together. A fresh JupyterLab comes first.
LONG = (
    "test_lab",
    "test_explorers",
    "test_attack_class",
    "test_grading",
    "test_notebooks",
    "test_exercises",
)

IN_A_BROWSER = ("test_lab", "test_explorers", "test_marker_browser", "test_report_page")
IN_A_BROWSER += ("test_engine_lab", "test_contributing", "test_data_pages")


def group(nodeid: str) -> str:
    """The tests of a group run in one process: those of a file, or of a lesson in a file.

    The files that drive a browser share one JupyterLab and one browser: "lab".
    """
    path, _, rest = nodeid.partition("::")
    stem = Path(path).stem
    lessons = [name for name in LESSONS if name in rest.partition("[")[2]]
    return "lab" if stem.startswith(IN_A_BROWSER) else " ".join([stem, *lessons])


class ByGroup(LoadScopeScheduling):
    """Hands whole groups to the workers. (xdist's own "loadgroup" does nothing in pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        stem = item.path.stem
        return next((k for k, start in enumerate(LONG) if stem.startswith(start)), len(LONG))

    items.sort(key=place)


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
    """A classroom with the sources of all lessons, each made when it is first asked for."""

    def source(self, lesson: str) -> nbformat.NotebookNode:
        file = self.source_file(lesson)
        if not file.exists():
            text = (SOLUTIONS / f"{lesson}.py").read_text(encoding="utf-8")
            file.parent.mkdir(parents=True)
            nbformat.write(to_notebook(text, LESSONS[lesson]), file)
        return super().source(lesson)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltClassroom:
    return BuiltClassroom(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def released() -> nbformat.NotebookNode:
    """The lesson as students have it: what `build` gives, see test_lessons_do_not_drift."""
    return nbformat.read(RELEASES / LESSON / f"{LESSON}.ipynb", as_version=4)


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

WORKPLACE = pytest.StashKey[Workplace]()


def close_workplace(config: pytest.Config) -> None:
    if WORKPLACE in config.stash:
        config.stash[WORKPLACE].close()
        del config.stash[WORKPLACE]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The last test in a browser closes it: beside playwright's event loop no other can run."""
    if nextitem is None or group(nextitem.nodeid) != "lab":
        close_workplace(item.config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    close_workplace(session.config)


@pytest.fixture(scope="module")
def workplace(pytestconfig: pytest.Config) -> Workplace:
    return pytestconfig.stash.setdefault(WORKPLACE, Workplace())


@pytest.fixture(scope="module")
def address(workplace: Workplace) -> str:
    return workplace.address


@pytest.fixture(scope="module")
def browser(workplace: Workplace) -> Browser:
    return workplace.browser


@pytest.fixture(scope="module")
def explorers(workplace: Workplace) -> Notebook:
    return workplace.explorers


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
