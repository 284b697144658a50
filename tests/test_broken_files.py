"""Twenty broken files in a class of a hundred: every one ends with a score or with a reason."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from conftest import LESSON, needs_sandbox, run_cli

from autograde.build import build
from autograde.classroom import Classroom
from autograde.demo import QUESTIONS, Sample

pytestmark = needs_sandbox


def _text(make: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    return lambda file, whole: file.write_bytes(make(whole)) and None


def _other_name(file: Path, whole: bytes) -> None:
    file.with_name("my homework.ipynb").write_bytes(whole)


def _link(file: Path, whole: bytes) -> None:
    file.with_name("real.txt").write_bytes(whole)
    file.symlink_to("real.txt")


def _large(file: Path, whole: bytes) -> None:
    file.write_bytes(whole)
    os.truncate(file, 1 << 32)  # a file with a hole: 4 GB that take no room


def _changed(**parts: object) -> Callable[[Path, bytes], None]:
    return _text(lambda whole: json.dumps({**json.loads(whole), **parts}).encode())


BROKEN: dict[str, Callable[[Path, bytes], None]] = {
    "empty": _text(lambda _: b"\n"),
    "half": _text(lambda _: b'{"cells": ['),
    "list": _text(lambda _: b"[]"),
    "null": _text(lambda _: b"null"),
    "prose": _text(lambda _: b"Dear professor, my dog ate it."),
    "picture": _text(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "archive": _text(lambda whole: b"PK\x03\x04" + whole),
    "cut": _text(lambda whole: whole[: len(whole) // 2]),
    "utf16": _text(lambda whole: whole.decode().encode("utf-16")),
    "deep": _text(lambda _: b"[" * 200_000),
    "number": _changed(cells=7),
    "words": _changed(cells=["a", "b"]),
    "sourceless": _changed(cells=[{"cell_type": "code", "metadata": {}, "outputs": []}]),
    "future": _changed(nbformat=9),
    "nameless": _changed(nbformat="four"),
    "folder": lambda file, _: file.mkdir(),
    "renamed": _other_name,
    "nothing": lambda file, _: None,
    "link": _link,
    "large": _large,
}


@pytest.mark.parametrize("good", [8, pytest.param(80, marks=pytest.mark.full)])
def test_each_of_a_class_ends_with_a_score_or_a_reason(tmp_path: Path, good: int) -> None:
    assert len(BROKEN) == 20
    room = Classroom(tmp_path)
    released = nbformat.read(build(LESSON, room, room.root / "release"), as_version=4)
    sample = Sample(released, room.source(LESSON))
    kinds = (
        (sample.solved(), 20),
        (sample.replaced("box_iou", ".clamp(min=0)", ""), 10),
        (sample.only(QUESTIONS), 4),
        (sample.blank(), 0),
    )
    expected: dict[str, float] = {}
    for k in range(good):
        notebook, points = kinds[k % 4]
        file = room.submission(f"good-{k:02}", LESSON)
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)
        expected[f"good-{k:02}"] = points
    whole = room.submission("good-00", LESSON).read_bytes()
    for name, put in BROKEN.items():
        file = room.submission(f"bad-{name}", LESSON)
        file.parent.mkdir(parents=True)
        put(file, whole)
    done = run_cli("grade", LESSON, "--classroom", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    with (room.reports / "grades.csv").open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert len(rows) == good + 20
    assert {name: float(rows[name]["points"]) for name in expected} == expected
    page = (room.reports / f"{LESSON}.html").read_text(encoding="utf-8")
    for name in BROKEN:
        row = rows[f"bad-{name}"]
        assert row["status"] == "broken", name
        assert len(row["remarks"]) > 20, name
        assert "grading failed" not in row["remarks"], f"{name}: a reason, not an error of ours"
        assert f"bad-{name}" in page
        feedback = room.feedback / f"bad-{name}" / LESSON / f"{LESSON}.html"
        assert "could not be graded" in feedback.read_text(encoding="utf-8")
