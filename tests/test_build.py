"""What is committed is what the sources give, and holds nothing that a student must not see."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import LESSON, run_cli

from autograde.build import LESSONS as RELEASES
from autograde.build import (
    PUBLIC,
    SOLUTIONS,
    build,
    build_page,
    to_notebook,
    write_public_sheets,
)
from autograde.bundle import PYPROJECT, bundle
from autograde.cells import grade_id
from autograde.classroom import Classroom
from autograde.exercises import LESSONS, PAGES
from autograde.exercises.lesson_01_iou import another_way
from autograde.sandbox import PROJECT
from autograde.sheets import alike, make_sheet
from autograde.spec import LessonError, Question

REBUILD = "run `make lessons` and commit the result"


@pytest.mark.parametrize("name", LESSONS)
def test_lessons_do_not_drift(name: str, tmp_path: Path) -> None:
    fresh = build(name, Classroom(tmp_path / "class"), tmp_path / "release")
    committed = RELEASES / name / f"{name}.ipynb"
    assert fresh.read_bytes() == committed.read_bytes(), REBUILD
    if name == LESSON:
        again = build(name, Classroom(tmp_path / "class"), tmp_path / "release")
        assert again.read_bytes() == committed.read_bytes()


@pytest.mark.parametrize("name", PAGES)
def test_pages_do_not_drift(name: str, tmp_path: Path) -> None:
    committed = RELEASES / name / f"{name}.ipynb"
    for _ in range(2):
        assert build_page(name, tmp_path).read_bytes() == committed.read_bytes(), REBUILD


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_no_assignment(name: str) -> None:
    assert name not in LESSONS
    notebook = nbformat.read(RELEASES / name / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        assert cell.metadata == {}, "no grading, and an error stops Run All"
        assert not cell.get("outputs")
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("name", LESSONS)
def test_public_sheets_do_not_drift(name: str, tmp_path: Path) -> None:
    """But for rounding, which hangs on the processor; and what is only rounded is left alone."""
    fresh = write_public_sheets(name, tmp_path)
    committed = (PUBLIC / fresh.name).read_text(encoding="utf-8")
    assert alike(json.loads(fresh.read_text(encoding="utf-8")), json.loads(committed)), REBUILD
    fresh.write_text(committed, encoding="utf-8")
    assert write_public_sheets(name, tmp_path).read_text(encoding="utf-8") == committed


def test_what_is_alike() -> None:
    sheet = {"kind": "tensor", "dtype": "float32", "data": [1.0, 2, "x", None, [float("nan")]]}
    assert alike(sheet, sheet)
    for other in (
        {**sheet, "data": [1.001, 2, "x", None, [float("nan")]]},
        {**sheet, "data": [1.0, 3, "x", None, [float("nan")]]},
        {**sheet, "data": [1.0, 2, "y", None, [float("nan")]]},
        {**sheet, "data": [1.0, 2, "x", None]},
        {**sheet, "data": [1.0, 2, "x", None, [0.0]]},
        {**sheet, "data": [True, 2, "x", None, [float("nan")]]},
        {**sheet, "dtype": "float64"},
        {**sheet, "more": 1},
    ):
        assert not alike(sheet, other), other
    assert alike(sheet, {**sheet, "data": [1.000001, 2, "x", None, [float("nan")]]})
    half = {**sheet, "dtype": "float16"}
    assert alike(half, {**half, "data": [1.001, 2, "x", None, [float("nan")]]})


def test_nothing_else_lies_in_lessons() -> None:
    files = {p.relative_to(RELEASES).as_posix() for p in RELEASES.rglob("*") if p.is_file()}
    files = {f for f in files if ".ipynb_checkpoints" not in f}
    assert files == {f"{n}/{n}.ipynb" for n in (*LESSONS, *PAGES)}
    assert {p.name for p in PUBLIC.glob("*")} == {f"{n}.json" for n in LESSONS}


def solution_lines(name: str) -> set[str]:
    """Every line that stands between BEGIN SOLUTION and END SOLUTION, and is long enough to tell."""
    text = (SOLUTIONS / f"{name}.py").read_text()
    regions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.DOTALL)
    lines = {line.strip() for region in regions for line in region.splitlines()}
    return {line for line in lines if len(line) > 12}


def unhinted(name: str, text: str) -> str:
    """A file without the hints: the last of them may nearly give a line away."""
    if not name.endswith(".json"):
        return text
    data = json.loads(text)
    for sheet in data["sheets"].values():
        sheet.pop("hints", None)
    return json.dumps(data, ensure_ascii=False)


@pytest.mark.parametrize("name", LESSONS)
def test_no_solution_in_what_a_student_gets(name: str, tmp_path: Path) -> None:
    lines = solution_lines(name)
    assert len(lines) > 20
    bundle([name], tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        texts = {n: archive.read(n).decode() for n in archive.namelist()}
    notebook = next(t for n, t in texts.items() if n.endswith(f"{name}.ipynb"))
    sources = "\n".join(c.source for c in nbformat.reads(notebook, as_version=4).cells)
    given = (SOLUTIONS / f"{name}.py").read_text()
    given = re.sub(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", "", given, flags=re.DOTALL)
    for line in lines:
        if line not in given:
            assert line not in sources, f"a line of the solution is in the release: {line}"
            found = [n for n, t in texts.items() if "/autograde/" in n and line in unhinted(n, t)]
            assert not found, f"{line} is in {found}"
    forbidden = ("solutions/", "exercises/", "judge", "classroom", "secret", "grading", "demo")
    assert not [n for n in texts if any(f in n for f in forbidden)]
    assert "another_way" not in str(texts)


@pytest.mark.parametrize("name", LESSONS)
def test_no_answer_to_a_question_in_what_a_student_gets(name: str, tmp_path: Path) -> None:
    bundle([name], tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        everything = "\n".join(archive.read(n).decode() for n in archive.namelist())
    for task in LESSONS[name].tasks:
        if isinstance(task, Question):
            assert task.why not in everything
            assert json.dumps(task.why)[1:-1] not in everything
            assert f"{task.name} = None  # your answer" in everything


def test_no_hidden_case_in_what_a_student_gets(tmp_path: Path) -> None:
    room = Classroom(tmp_path)
    secret = room.secret()
    assert len(secret) == 32
    assert room.secret() == secret
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    secret = "of a class"  # fixed: a random one repeats the public draw of a small case at times
    lesson = LESSONS[LESSON]
    public = (PUBLIC / f"{LESSON}.json").read_text()
    for task in lesson.tasks:
        for case in make_sheet(lesson, task, secret).get("cases", []):
            data = [v["data"] for v in case["inputs"]["data"] if v["kind"] == "tensor"]
            if sum(len(d) for d in data) >= 16:
                assert not all(json.dumps(d, separators=(",", ":")) in public for d in data)


def test_notebook_is_well_formed(released) -> None:
    nbformat.validate(released)
    ids = [c.id for c in released.cells]
    assert len(set(ids)) == len(ids)
    points = [c.metadata.nbgrader.points for c in released.cells if "check_" in (grade_id(c) or "")]
    assert sum(points) == 20
    assert all(not c.get("outputs") for c in released.cells)


def test_every_figure_has_caption_and_alt(released) -> None:
    code = "\n".join(c.source for c in released.cells if c.cell_type == "code")
    assert code.count("plt.subplots") == code.count("draw.show(")
    assert "plt.show" not in code


def test_lesson_source_must_fit_its_exercises() -> None:
    lesson = LESSONS[LESSON]
    text = (SOLUTIONS / f"{LESSON}.py").read_text()
    with pytest.raises(KeyError, match="has no exercise 'box_aera'; it has box_convert"):
        to_notebook(text.replace('solve="box_area"', 'solve="box_aera"'), lesson)
    with pytest.raises(LessonError, match="one solve cell and one check cell for each"):
        to_notebook(text.replace('# %% check="box_area"', "# %%"), lesson)


def test_solution_opens_as_a_notebook() -> None:
    notebook = jupytext.read(SOLUTIONS / f"{LESSON}.py")
    assert notebook.metadata.kernelspec.name == "python3"
    assert sum(c.cell_type == "code" for c in notebook.cells) > 30


def test_other_style_answers_are_really_other() -> None:
    text = Path(another_way.__file__).read_text()
    shared = [line for line in solution_lines(LESSON) if line in text]
    assert len(shared) < len(solution_lines(LESSON)) / 4


def test_bundle_is_the_same_each_time(tmp_path: Path) -> None:
    for k in (1, 2):
        done = run_cli("bundle", "--out", str(tmp_path / f"{k}.zip"))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        names = archive.namelist()
        pins = archive.read("object-detection/requirements.txt").decode()
    assert "object-detection/START_HERE.md" in names
    lessons = {n.rsplit("/", 1)[1] for n in names if n.startswith("object-detection/lessons/")}
    assert lessons == {f"{n}.ipynb" for n in (*LESSONS, *PAGES)}
    library = {
        p for kind in ("py", "js", "css") for p in (PROJECT / "course_lib").rglob(f"*.{kind}")
    }
    assert {f"object-detection/{p.relative_to(PROJECT).as_posix()}" for p in library} <= set(names)
    assert "torch==" in pins
    assert "nbgrader" not in pins


def test_a_page_is_in_every_bundle(tmp_path: Path) -> None:
    for name in PAGES:
        assert f"lessons/{name}/{name}.ipynb" in bundle([LESSON], tmp_path / "b.zip")


def test_the_bundle_is_set_up_as_the_project_is() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    bundled = tomllib.loads(PYPROJECT)
    assert bundled["build-system"] == project["build-system"]
    setup = project["tool"]["setuptools"]
    data = setup["package-data"]
    data["autograde"] = [f for f in data["autograde"] if f.startswith("student/")]
    assert bundled["tool"] == {"setuptools": setup}


def test_requirements_are_pinned() -> None:
    for file in PROJECT.glob("requirements*.txt"):
        for line in file.read_text().splitlines():
            line = line.split("#")[0].strip()
            assert (
                not line
                or line.startswith(("-e", "-r"))
                or re.fullmatch(r"[\w\[\]-]+==[\w.]+(; sys_platform == \"linux\")?", line)
            )
