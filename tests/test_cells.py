"""Whatever a student does to the notebook file, the graded cells are the instructor's."""

from __future__ import annotations

import copy
import random

import nbformat
import pytest
from conftest import LESSON
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograde.cells import (
    CHECK,
    checked_exercise,
    clean_html,
    clean_markdown,
    clean_outputs,
    grade_id,
    restore,
)
from autograde.exercises import LESSONS

EXPECTED = [t.name for t in LESSONS[LESSON].tasks]


@pytest.fixture(scope="module")
def source(built):
    return built.source(LESSON)


def graded_cells(notebook) -> list[tuple[str, str, float]]:
    return [
        (checked_exercise(c), c.source, c.metadata.nbgrader.points)
        for c in notebook.cells
        if checked_exercise(c)
    ]


def test_untouched_release_comes_back_whole(source, released) -> None:
    restored, flags = restore(released, source)
    assert flags == []
    assert graded_cells(restored) == graded_cells(source)
    assert [c.source for c in restored.cells] == [c.source for c in released.cells]


def find(notebook, name: str) -> int:
    return next(k for k, c in enumerate(notebook.cells) if grade_id(c) == name)


def test_deleted_check_comes_back_after_its_solution(source, released) -> None:
    sent = copy.deepcopy(released)
    del sent.cells[find(sent, CHECK + "box_iou")]
    restored, flags = restore(sent, source)
    assert flags == ["cell-restored:check_box_iou"]
    assert find(restored, CHECK + "box_iou") == find(restored, "box_iou") + 1


def test_everything_deleted(source) -> None:
    restored, flags = restore(nbformat.v4.new_notebook(), source)
    assert sorted(n for n, _, _ in graded_cells(restored)) == sorted(EXPECTED)
    assert len(flags) == len(EXPECTED)


def test_doubles_become_one_and_keep_the_students_code(source, released) -> None:
    sent = copy.deepcopy(released)
    for name in ("box_iou", CHECK + "box_iou"):
        sent.cells.append(copy.deepcopy(sent.cells[find(sent, name)]))
    sent.cells[find(sent, "box_iou")].source = "first = 1"
    restored, flags = restore(sent, source)
    assert len(graded_cells(restored)) == len(EXPECTED)
    assert "first = 1" in [c.source for c in restored.cells]
    assert set(flags) == {"double-cell:box_iou", "double-cell:check_box_iou"}
    assert len({c.id for c in restored.cells}) == len(restored.cells)


def test_points_ids_and_code_of_checks_cannot_be_changed(source, released) -> None:
    sent = copy.deepcopy(released)
    cell = sent.cells[find(sent, CHECK + "box_iou")]
    cell.source = "print('all right')"
    cell.metadata.nbgrader.points = 1000
    cell.cell_type = "markdown"
    cell.metadata.tags = ['"><script>alert(1)</script>']
    sent.metadata.title = "<script>"
    restored, flags = restore(sent, source)
    assert graded_cells(restored) == graded_cells(source)
    assert flags == ["cell-changed:check_box_iou"]
    assert "<script>" not in nbformat.writes(restored)


def test_solution_cell_that_claims_to_be_a_check(source, released) -> None:
    sent = copy.deepcopy(released)
    sent.cells[find(sent, "box_area")].metadata.nbgrader.grade_id = CHECK + "box_iou"
    restored, _ = restore(sent, source)
    assert sorted(graded_cells(restored)) == sorted(graded_cells(source))


def test_another_language_is_flagged(source, released) -> None:
    sent = copy.deepcopy(released)
    sent.metadata.kernelspec = {"name": "ir", "language": "R<script>", "display_name": "R"}
    restored, flags = restore(sent, source)
    assert flags == ["language:Rscript"]
    assert restored.metadata.kernelspec.language == "python"


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_any_mess_is_put_in_order(built, released, mess: random.Random) -> None:
    source = built.source(LESSON)
    sent = copy.deepcopy(released)
    for _ in range(mess.randint(1, 12)):
        k = mess.randrange(len(sent.cells)) if sent.cells else 0
        match mess.randint(0, 6):
            case 0 if sent.cells:
                del sent.cells[k]
            case 1 if sent.cells:
                sent.cells.insert(mess.randrange(len(sent.cells)), copy.deepcopy(sent.cells[k]))
            case 2:
                mess.shuffle(sent.cells)
            case 3 if sent.cells:
                sent.cells[k].metadata = mess.choice(
                    [{}, {"nbgrader": 3}, {"nbgrader": {"grade_id": ["x"], "grade": True}}]
                )
            case 4 if sent.cells:
                sent.cells[k]["cell_type"] = mess.choice(["code", "markdown", "raw", "strange"])
            case 5 if sent.cells:
                sent.cells[k].metadata = {
                    "nbgrader": {"grade_id": mess.choice(["check_box_iou", "nobody"]), "points": 99}
                }
            case _ if sent.cells:
                sent.cells[k].pop("id", None)
    restored, _ = restore(sent, source)
    assert sorted(graded_cells(restored)) == sorted(graded_cells(source))
    nbformat.validate(restored)
    assert restore(restored, source)[0] == restored


HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    '<img src="http://example.org/pixel.png">',
    '<a href="javascript:alert(1)">x</a>',
    "<svg onload=alert(1)>",
    '<iframe src="data:text/html,<script>alert(1)</script>"></iframe>',
    '<div style="background:url(http://example.org/x)">x</div>',
    '<form action="http://example.org"><input></form>',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    "<style>*{display:none}</style>",
    '<meta http-equiv="refresh" content="0;url=http://example.org">',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_cleaned(text: str) -> None:
    clean = clean_html(f"<b>ok</b>{text}")
    assert clean.startswith("<b>ok</b>")
    for bad in ("<script", "onerror", "onload", "http://", "javascript:", "<svg", "<iframe",
                "<style", "<form", "<meta", "svg+xml"):  # fmt: skip
        assert bad not in clean.lower()


def test_our_own_pictures_survive_cleaning() -> None:
    page = '<figure style="max-width: 100%;"><img alt="a" src="data:image/png;base64,iVBO=" width="3"></figure>'
    assert clean_html(page) == page


def test_outputs_are_reduced_to_what_is_safe() -> None:
    output = nbformat.v4.new_output
    outputs = [
        output("execute_result", {"text/plain": "20", "application/javascript": "alert(1)"}),
        output("display_data", {"image/svg+xml": "<svg onload=alert(1)>"}),
        output("display_data", {"text/html": HOSTILE[0] + "<b>x</b>", "text/latex": "$x$"}),
        output("stream", text="<script>"),
    ]
    cleaned = clean_outputs(outputs)
    assert [o.output_type for o in cleaned] == ["display_data", "display_data", "stream"]
    assert cleaned[0].data == {"text/plain": "20"}
    assert cleaned[1].data == {"text/html": "alert(1)<b>x</b>"}


def test_markdown_of_a_student_holds_no_html(source) -> None:
    cell = new_markdown_cell("# Hi <script>alert(1)</script> [x](JavaScript:alert(1)) 3 < 4")
    clean_markdown(cell, source)
    assert "<script" not in cell.source
    assert "script:alert" not in cell.source.lower()
    given_text = next(c for c in source.cells if c.cell_type == "markdown")
    same = copy.deepcopy(given_text)
    clean_markdown(same, source)
    assert same.source == given_text.source


def test_checks_are_recognised_by_metadata_not_by_text() -> None:
    assert checked_exercise(new_code_cell("check('box_iou', box_iou)")) is None
    fake = new_code_cell("", metadata={"nbgrader": {"grade_id": "check_x", "grade": True}})
    assert checked_exercise(fake) == "x"
    assert checked_exercise(new_code_cell("", metadata={"nbgrader": [1]})) is None
