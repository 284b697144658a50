"""Grades for Canvas and Moodle: the rows that their importers read, and no formula."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograde.classroom import Classroom
from autograde.exports import KEYS, cell, comment, without_key, write_canvas, write_moodle
from autograde.grades import Grade
from autograde.judge import Verdict


def verdict(points: float, status: str = "passed") -> Verdict:
    return Verdict("box_iou", points, 4, status, "title")


def table(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    return Classroom(tmp_path)


GRADES = [
    Grade("bob", "01_iou", [verdict(2.5, "partial")], penalty=1.0),
    Grade("ada", "02_nms", [verdict(4)]),
    Grade("ada", "01_iou", [verdict(3)]),
    Grade("eve", "01_iou", broken="no <file> was handed in"),
]


def test_canvas(room: Classroom) -> None:
    assert table(write_canvas(room, GRADES)) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_iou", "02_nms"],
        ["    Points Possible", "", "", "", "", "20", "20"],
        ["ada", "", "", "ada", "", "3", "4"],
        ["bob", "", "", "bob", "", "1.5", ""],
        ["eve", "", "", "eve", "", "0", ""],
    ]
    assert (room.reports / "canvas.csv").exists()


def test_canvas_with_a_roster(room: Classroom) -> None:
    text = (
        '\ufeffStudent,canvas_id, SIS_ID ,name,shoe size\nada,17,S1,"Lovelace, Ada",37\neve\n,,,\n'
    )
    (room.root / "roster.csv").write_text(text, encoding="utf-8")
    rows = table(write_canvas(room, GRADES))
    assert rows[2] == ["Lovelace, Ada", "17", "S1", "ada", "", "3", "4"]
    assert rows[4] == ["eve", "", "", "eve", "", "0", ""]


def test_a_name_cannot_pose_as_the_row_of_maxima(room: Classroom) -> None:
    rows = table(write_canvas(room, [Grade("x Points Possible", "01_iou", [verdict(4)])]))
    assert rows[2] == ["", "", "", "x Points Possible", "", "4"]


def test_moodle(room: Classroom) -> None:
    assert table(write_moodle(room, GRADES)) == [
        ["Username", "01_iou", "01_iou (Feedback)", "02_nms", "02_nms (Feedback)"],
        ["ada", "3", "box_iou 3 of 4", "4", "box_iou 4 of 4"],
        ["bob", "1.5", "box_iou 2.5 of 4; late: 1 points off", "-", ""],
        ["eve", "0", "It could not be graded: no &lt;file&gt; was handed in", "-", ""],
    ]


def test_moodle_by_another_key(room: Classroom) -> None:
    (room.root / "roster.csv").write_text("student,email,sis_id\nada,a@x.org,0\nbob,,7\n")
    by_mail = table(write_moodle(room, GRADES, "email"))
    assert [r[0] for r in by_mail] == ["Email address", "a@x.org"]
    assert without_key(room, GRADES, "email") == ["bob", "eve"]
    by_number = table(write_moodle(room, GRADES, "idnumber"))
    assert [r[0] for r in by_number] == ["ID number", "7"], "Moodle takes a 0 for an empty cell"
    assert without_key(room, GRADES, "idnumber") == ["ada", "eve"]
    assert without_key(room, GRADES) == []
    with pytest.raises(ValueError, match="key must be one of username, email, idnumber, got 'id'"):
        write_moodle(room, GRADES, "id")  # type: ignore[arg-type]


def test_what_is_wrong_with_a_roster_is_said(room: Classroom) -> None:
    file = room.root / "roster.csv"
    file.write_text("name,email\nada,a@x.org\n")
    with pytest.raises(ValueError, match=r"must have a column `student`.*got name, email"):
        write_canvas(room, GRADES)
    file.write_text("student\nada\nada\n")
    with pytest.raises(ValueError, match="ada has two rows"):
        write_moodle(room, GRADES)
    file.write_text("")
    with pytest.raises(ValueError, match="got an empty file"):
        write_moodle(room, GRADES)


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    shown = cell(text)
    assert shown[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    assert shown.lstrip()[:1] not in ("=", "+", "-", "@")
    assert shown.removeprefix("'") == text or shown == text


HOSTILE = ["=HYPERLINK(1)", "\udcff", "+1", "-1", "@x", "\t=1", "\r=1", " =1"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(room: Classroom, name: str) -> None:
    grades = [Grade(name, "01_iou", broken="=1+1")]
    for file in (write_canvas(room, grades), *(write_moodle(room, grades, k) for k in KEYS)):
        for row in table(file):
            assert not [x for x in row if x != "-" and x.lstrip()[:1] in ("=", "+", "-", "@")]
    assert comment(grades[0]).startswith("It could not")


def test_other_states_are_told() -> None:
    g = Grade("a", "01_iou", [verdict(0, "refused"), verdict(4)])
    assert comment(g) == "box_iou 0 of 4 (refused); box_iou 4 of 4"
