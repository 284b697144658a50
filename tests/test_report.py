"""The instructor's page: numbers worked by hand, figures, and a page that escapes all it shows."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_class import LESSON, invented_class, reference, sheets

from autograde.classroom import Classroom
from autograde.copies import Pair, Side, flag_copies
from autograde.grades import Grade
from autograde.judge import Verdict
from autograde.report import write_report
from autograde.report.figures import (
    bar,
    score_chart,
    score_counts,
    stacked,
    time_chart,
    time_counts,
)
from autograde.report.page import SHOWN_PAIRS, coded, render
from autograde.report.sides import LINES, LONGEST, side_by_side
from autograde.report.statistics import (
    Idea,
    correlation,
    failures,
    not_understood,
    quartiles,
    summary,
    task_stats,
)
from autograde.spec import Exercise, Lesson, Mistake, Question

# ------------------------------------------------------------------ a small class by hand


def nothing(*args: object) -> None:
    return None


SMALL = Lesson(
    "small",
    "Small",
    (
        Exercise("f", 4, nothing, ("x",), (), (
            Mistake("no_clamp", "Stop each side at 0.", nothing),
            Mistake("plus_one", "One too many.", nothing),
            Mistake("plus_one_in_width", "One too many.", nothing),
        ), ()),
        Exercise("g", 2, nothing, ("x",), (), (), ()),
        Question("q", 1, 0.5, "It is a half.", traps={0.25: "That is a quarter."}),
    ),
)  # fmt: skip


def student(
    name: str, f: float, g: float, q: str = "0.5", mistake: str = "", **more: object
) -> Grade:
    """A student by hand: points of f and g, the answer to q."""
    status = {0.0: "failed", 4.0: "passed"}.get(f, "partial")
    rows = [(f > 0, "touching boxes", "" if f > 0 else "other numbers than expected *"),
            (f == 4, "no boxes", "" if f == 4 else "an error: IndexError")]  # fmt: skip
    right = q == "0.5"
    said = ["That is a quarter."] if q == "0.25" else []
    verdicts = [
        Verdict("f", f, 4, status, "", rows, [], [mistake] if mistake else []),
        Verdict("g", g, 2, "passed" if g else "not attempted", ""),
        Verdict("q", float(right), 1, "passed" if right else "failed",
                f"✓ q: {q} is right" if right else f"✗ q: {q} is not right", [],
                [*said, "It is a half."]),
    ]  # fmt: skip
    return Grade(name, "small", verdicts, **more)  # type: ignore[arg-type]


CLASS = [
    student("a", 4, 2),
    student("b", 2, 2, "0.25"),
    student("c", 0, 0, "0.25", "no_clamp"),
    student("d", 0, 0, "7", "plus_one"),
    student("e", 0, 2, "0.5", "plus_one_in_width", penalty=1.0),
    Grade("z", "small", broken="no file"),
]


def test_the_class_in_numbers() -> None:
    found = summary(SMALL, CLASS)
    assert (found.handed_in, found.graded, found.broken, found.most) == (6, 5, 1, 7)
    assert found.scores == [7, 4, 0, 0, 2], "e has 3 points and is late"
    assert found.quartiles == (0, 2, 4)


def test_quartiles_by_hand() -> None:
    assert quartiles([]) is None
    assert quartiles([3.0]) == (3, 3, 3)
    assert quartiles([1.0, 2.0]) == (1.25, 1.5, 1.75)
    assert quartiles([4, 1, 3, 2]) == (1.75, 2.5, 3.25)


def test_correlation_by_hand() -> None:
    assert correlation([0, 0, 1, 1], [1, 2, 3, 4]) == pytest.approx(2 / math.sqrt(5))
    assert correlation([0, 1], [5, 5]) is None
    assert correlation([0.1 + 0.2, 0.3], [1, 2]) is None, "a rounding is no difference"
    assert correlation([1], [1]) is None
    assert correlation([0, 1], [1, 0]) == pytest.approx(-1)


def test_a_task_in_numbers() -> None:
    f, g, q = task_stats(SMALL, CLASS)
    assert f.statuses == {
        "passed": 1, "partial": 1, "failed": 3, "not attempted": 0, "refused": 0, "error": 0
    }  # fmt: skip
    assert (f.share, f.passed, f.graded) == (pytest.approx(0.3), 0.2, 5)
    assert f.discrimination is None, "five are too few"
    assert f.ideas == [
        Idea("f", "plus one", "One too many.", 2),
        Idea("f", "no clamp", "Stop each side at 0.", 1),
    ]
    assert f.unknown == 1, "b's"
    assert [(p.says, p.failed, p.of, p.how, p.core) for p in f.probes] == [
        ("no boxes", 4, 5, [("an error: IndexError", 4)], False),
        ("touching boxes", 3, 5, [("other numbers than expected", 3)], True),
    ]
    assert g.statuses["not attempted"] == 2
    assert (q.passed, q.unknown, q.probes) == (0.4, 0, [])
    assert sorted(q.ideas, key=lambda i: i.name) == [
        Idea("q", "0.25", "That is a quarter.", 2),
        Idea("q", "0.5", "", 2, right=True),
        Idea("q", "7", "", 1),
    ]


def test_discrimination_by_hand() -> None:
    grades = [student(f"s{k}", 4 * (k % 2), 2 * (k // 5), "0.5") for k in range(10)]
    f, g, q = task_stats(SMALL, grades)
    # Shares 0101010101 of f; the rest is 1, and 2 more from the sixth on: r = 1/5.
    assert f.discrimination == pytest.approx(0.2)
    assert g.discrimination == pytest.approx(0.2)
    assert q.discrimination is None, "all got the same"


def test_what_was_not_understood() -> None:
    assert not_understood(task_stats(SMALL, CLASS)) == [
        Idea("q", "answered 0.25 (2), 7 (1)", "That is a quarter.", 3),
        Idea("f", "plus one", "One too many.", 2),
        Idea("g", "not attempted", "", 2),
        Idea("f", "no clamp", "Stop each side at 0.", 1),
        Idea("f", "another mistake",
             "No known mistake explains it. Most fail the case: no boxes.", 1),
    ]  # fmt: skip
    assert not_understood(task_stats(SMALL, [])) == []
    assert not_understood(task_stats(SMALL, [student("a", 4, 2)])) == []


def test_failures_are_grouped_by_reason() -> None:
    refused = student("r", 0, 0)
    refused.verdicts[0] = Verdict("f", 0, 4, "refused", "", notes=["calls it"])
    odd = student("o", 4, 2, flags=["kernel-died"])
    found = failures([*CLASS, odd, refused, Grade("y", "small", broken="no file")])
    assert [(f.what, f.reason, f.students) for f in found] == [
        ("broken file", "no file", ["z", "y"]),
        ("odd in the file", "kernel-died", ["o"]),
        ("f: refused", "calls it", ["r"]),
    ]


def test_a_task_without_verdict_counts_as_error() -> None:
    (f, *_) = task_stats(SMALL, [Grade("a", "small")])
    assert f.statuses["error"] == 1
    assert f.share == 0


# ------------------------------------------------------------------ figures


def test_every_score_has_its_place() -> None:
    assert score_counts([0, 0.99, 1, 2.5, 3, 3.5], 3) == [2, 1, 1, 2]
    assert score_counts([20, 19.99], 20) == [*[0] * 19, 1, 1]
    assert score_counts([0.1 + 0.2 + 0.7], 1) == [0, 1], "a rounding is no loss"


def test_every_time_has_its_place() -> None:
    assert time_counts([6, 7, 12, 100]) == [
        ("≤ 10", 2), ("≤ 20", 1), ("≤ 40", 0), ("≤ 80", 0), ("≤ 160", 1)
    ]  # fmt: skip
    assert time_counts([5, 1]) == [("≤ 5", 2)]
    assert sum(n for _, n in time_counts([1e12, 1])) == 2


SCORES = st.lists(st.floats(0, 20), min_size=1, max_size=50)


@settings(deadline=None)
@given(SCORES, st.text())
def test_figures_are_whole(scores: list[float], title: str) -> None:
    counts = score_counts(scores, 20)
    assert sum(counts) == len(scores)
    title = re.sub(r"[^\x20-\x7e\xa0-\ud7ff]", "", title)  # what XML can hold
    drawn = [
        score_chart(scores, 20, quartiles(scores)),
        time_chart(scores),
        stacked({"passed": len(scores), "failed": 1}, title),
        bar(scores[0] / 20, title),
    ]
    for svg in drawn:
        root = ET.fromstring(str(svg))
        assert root.get("role") == "img"
    assert ET.fromstring(str(drawn[2])).get("aria-label") == title
    widths = [float(r.get("width", 0)) for r in ET.fromstring(str(drawn[2])).iter("rect")]
    assert sum(widths) == pytest.approx(100, abs=0.02)


# ------------------------------------------------------------------ side by side

CODE = st.lists(st.text("ab (", max_size=8), max_size=12).map("\n".join)


@settings(deadline=None)
@given(CODE, CODE)
def test_sides_say_all_of_both(one: str, other: str) -> None:
    rows = side_by_side(one, other)
    for code, side in ((one, "left"), (other, "right")):
        lines = ["".join(t for t, _ in getattr(r, side)) for r in rows if getattr(r, side)]
        assert lines == code.splitlines()
    for row in rows:
        marked = any(odd for _, odd in row.left + row.right)
        assert marked != row.same or row.left == row.right


def test_sides_mark_what_differs() -> None:
    (row,) = side_by_side("    lt = max(a, b)", "    tl = max(a, b)")
    assert row.left == [("    ", False), ("lt", True), (" = max(a, b)", False)]
    assert row.right == [("    ", False), ("tl", True), (" = max(a, b)", False)]


def test_nobody_reads_endless_code() -> None:
    rows = side_by_side("x\n" * 1000, "y" * 1000)
    assert len(rows) == LINES + 1
    assert rows[-1].left == [("… and 920 lines more", True)]
    assert len("".join(t for t, _ in rows[0].right)) == LONGEST + 2


# ------------------------------------------------------------------ the page


class Page(HTMLParser):
    """Tags, ids, links and text of a page; fails where tags do not close."""

    VOID = {"meta", "link", "input", "rect", "line", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return Classroom(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(room: Classroom) -> str:
    """The page of an invented class of 120."""
    grades = invented_class(120)
    pairs = flag_copies(LESSON, grades, reference())
    file = write_report(room, LESSON, [*grades, Grade("of-another-lesson", "02_nms")], pairs)
    assert file == room.reports / "01_iou.html"
    return file.read_text(encoding="utf-8")


def test_the_page_is_whole(page: str) -> None:
    found = Page(page)
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in found.tags if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert "handed in 120 " in found.words
    assert "student-0119" in found.words
    assert "of-another-lesson" not in page
    for task in LESSON.tasks:
        assert f"task-{task.name}" in ids


def test_the_page_needs_nothing_else(page: str) -> None:
    found = Page(page)
    for tag, attrs in found.tags:
        assert tag not in ("iframe", "object", "embed", "img", "base", "form")
        assert not {"src", "style", "action"} & attrs.keys()
        assert not [k for k in attrs if k.startswith("on")]
    assert [a["href"] for t, a in found.tags if t == "link"] == ["data:,"]
    assert not re.search(r"https?://|url\(|@import", page)


def test_no_script_but_its_own_may_run(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_three_who_copied_are_there(page: str) -> None:
    text = Page(page).words
    assert "student-0000 and student-0001 8" in text
    assert "box_iou identical" in text


def test_no_hidden_case_in_the_page(page: str) -> None:
    needles = set()
    for sheet in sheets().values():
        for case in sheet.get("cases", []):
            for value in [*case["inputs"]["data"], case["expected"]]:
                data = value.get("data") if value["kind"] == "tensor" else None
                if data and len(data) >= 8 and len(set(data)) >= 6:
                    needles.add(json.dumps(data).strip("[]"))
    assert len(needles) > 50
    assert not [n for n in needles if n in page]


HOSTILE = (
    "</script><script>window.owned=1</script>",
    "<img src=x onerror=window.owned=1>",
    '"><svg onload=window.owned=1>',
    "' autofocus onfocus=window.owned=1 x='",
    "{{ 7 * 7 }}{% raw %}",
    "</bdi></td></table><h1>",
    "\u202egnp.exe",
    "\x00\x0b\udcff",
    "",
    "x" * 5000,
    "]]><!--",
)


def hostile_class() -> tuple[list[Grade], list[Pair]]:
    """A student of every hostile name, who puts it wherever words of a student may come."""
    grades = []
    for k, text in enumerate(HOSTILE * 2):
        name = f"{text}{k // len(HOSTILE) or ''}"
        if k % 3 == 0:
            grades.append(Grade(name, LESSON.name, broken=text))
            continue
        verdicts = [
            Verdict(t.name, 0.5 * t.points, t.points, "partial" if k % 3 == 1 else "refused",
                    f"✗ {t.name}: {text} is not right", [(False, text, text)], [text], [text],
                    [text])
            for t in LESSON.tasks
        ]  # fmt: skip
        for verdict, task in zip(verdicts, LESSON.tasks, strict=True):
            if isinstance(task, Question):
                verdict.points, verdict.status = 0.0, "failed"
        grades.append(Grade(name, LESSON.name, verdicts, [text], seconds=k))
    sides = (Side(HOSTILE[0], HOSTILE[0] + "\n" + HOSTILE[1]), Side(HOSTILE[2], HOSTILE[1]))
    pair = Pair("box_iou", "near tokens", HOSTILE, sides, 2, 20)
    return grades, [pair, pair]


def test_what_students_write_is_shown_and_not_obeyed(room: Classroom) -> None:
    grades, pairs = hostile_class()
    text = write_report(room, LESSON, grades, pairs).read_text(encoding="utf-8")
    found = Page(text)
    tags = [t for t, _ in found.tags]
    assert tags.count("script") == 1
    assert tags.count("h1") == 1
    assert "img" not in tags
    for _, attrs in found.tags:
        assert not [k for k in attrs if k.startswith("on")]
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", text)
    assert "{{ 7 * 7 }}" in text
    assert HOSTILE[0] in "".join(found.text)


@pytest.mark.parametrize(
    "grades",
    [[], [Grade("a", "01_iou", broken="x")], [Grade("a", "01_iou")]],
    ids=["nobody", "all broken", "no verdicts"],
)
def test_small_classes_have_a_page(grades: list[Grade]) -> None:
    text = "".join(Page(render(LESSON, grades)).text)
    assert "Traceback" not in text
    assert "nan" not in text.lower().split()
    assert "None was found." in text


def test_a_class_of_a_thousand_is_a_page_of_less_than_five_megabytes(room: Classroom) -> None:
    rng = random.Random(2)
    grades = invented_class(60)
    many = [
        Grade(f"student-{k:04d}", g.lesson, g.verdicts, g.flags, g.broken, {}, rng.uniform(3, 60))
        for k in range(1000)
        if (g := grades[k % len(grades)])
    ]
    code = "\n".join(f"line{k} = torch.maximum(first[:, None], second[None, :])" for k in range(60))
    names = tuple(f"student-{k:04d}" for k in range(50))
    sides = (Side(names[0], code), Side(names[1], code.replace("first", "other")))
    pairs = [Pair("box_iou", "near tokens", names, sides, 2, 1000)] * 400
    file = write_report(room, LESSON, many, pairs)
    assert file.stat().st_size < 5e6
    text = file.read_text(encoding="utf-8")
    assert text.count('class="pair"') == SHOWN_PAIRS
    assert f"{400 - SHOWN_PAIRS} more are in scores.csv" in text
    Page(text)


def test_code_in_a_sentence() -> None:
    assert str(coded("a `b<c>` d & e")) == "a <code>b&lt;c&gt;</code> d &amp; e"
    assert str(coded("<b>")) == "&lt;b&gt;"


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    room = Classroom(tmp_path)
    write_report(room, LESSON, [])
    assert [f.name for f in room.reports.iterdir()] == ["01_iou.html"]
