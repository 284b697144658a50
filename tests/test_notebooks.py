"""The lessons as they are opened: the release before anything is solved, and the solution.

`make test` takes lessons that train through a share of their steps; `make test-full` through all.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import LESSON
from nbclient import NotebookClient

from autograde.build import LESSONS as RELEASES
from autograde.build import SOLUTIONS, build_solved
from autograde.cells import checked_exercise
from autograde.exercises import LESSONS, PAGES
from course_lib.engine.budget import VARIABLE

SECONDS = 600  # for one cell: it ends a cell that hangs, and measures nothing
SHARE = "0.02"  # of a training: enough to see that its cells run
TRAINING = [name for name in LESSONS if "budget(" in (SOLUTIONS / f"{name}.py").read_text()]
SOLVED = [
    *((name, SHARE) for name in LESSONS),
    *(pytest.param(name, "1", marks=pytest.mark.full) for name in TRAINING),
]


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, allow_errors=True, resources=where).execute()
    return notebook


def problems(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """(kind, text) of every error and every line on stderr."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append((output.ename, output.evalue))
            elif output.output_type == "stream" and output.name == "stderr":
                found.append(("stderr", output.text))
    return found


@pytest.mark.parametrize("name", LESSONS)
def test_release_runs_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SHARE)
    file = RELEASES / name / f"{name}.ipynb"
    notebook = run(nbformat.read(file, as_version=4), file.parent)
    found = problems(notebook)
    assert found
    for kind, text in found:
        assert kind in ("NotImplementedError", "NotAttempted"), text
        assert "not attempted yet" in text
    failed_checks = [c for c in notebook.cells if checked_exercise(c) and c.outputs]
    assert len(failed_checks) == len(LESSONS[name].tasks)
    for cell in failed_checks:
        shown = [o for o in cell.outputs if o.output_type == "display_data"]
        assert "not attempted yet" in str(shown) or "not answered yet" in str(shown)
        error = next(o for o in cell.outputs if o.output_type == "error")
        assert len(error.traceback) == 1, "a check fails in one line, without a traceback"


@pytest.mark.parametrize("name", PAGES)
def test_page_runs_clean(name: str) -> None:
    file = RELEASES / name / f"{name}.ipynb"
    notebook = run(nbformat.read(file, as_version=4), file.parent)
    assert problems(notebook) == []


@pytest.mark.parametrize(("name", "share"), SOLVED)
def test_solution_runs_clean(name: str, share: str, built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, share)
    file = build_solved(name, built, seconds=SECONDS)
    notebook = nbformat.read(file, as_version=4)
    assert problems(notebook) == []
    for cell in notebook.cells:
        if checked_exercise(cell):
            text = str(cell.outputs)
            assert "✓" in text
            assert "✗" not in text
    pictures = [o for c in notebook.cells for o in c.get("outputs", []) if "<figure" in str(o)]
    assert len(pictures) >= 10
    page = file.with_suffix(".html").read_text()
    assert page.count("<figcaption") == len(pictures)
    assert file.stat().st_size < 8e6, "a lesson with its pictures must be easy to hand in"


def test_nbgrader_validate(tmp_path: Path, released, built) -> None:
    """nbgrader's own command says the same as our checks."""
    half = copy.deepcopy(released)
    answers = {c.id: c.source for c in built.source(LESSON).cells}
    for cell in half.cells:
        if cell.id != "box_iou" and cell.id in answers:
            cell.source = answers[cell.id]
    keep = ("box_area", "box_iou", "half_shifted")
    half.cells = [
        c
        for c in half.cells
        if c.id in keep or checked_exercise(c) in keep or c.source.startswith("import math")
    ]
    file = tmp_path / f"{LESSON}.ipynb"
    nbformat.write(half, file)
    command = [str(Path(sys.executable).with_name("nbgrader")), "validate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "VALIDATION FAILED ON 1 CELL(S)" in done.stdout, done.stdout + done.stderr
    assert 'check("box_iou", box_iou)' in done.stdout
    assert 'check("box_area", box_area)' not in done.stdout
    assert 'check("half_shifted"' not in done.stdout
