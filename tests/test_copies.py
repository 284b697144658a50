"""Near copies: what hides none, what is none, and a class of a thousand."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_class import EXERCISES, LESSON, fresh, other_way, reference, reworded, verdict_of

from autograde.code_forms import common_part, form, tokens
from autograde.copies import COPY_LENGTH, Pair, flag_copies, near_copies
from autograde.grades import Grade

LONG = """\
def f(boxes1, boxes2):
    top_left = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = torch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1, keepdim=False)
    return intersection / (area(boxes1)[:, None] + area(boxes2)[None, :] - intersection)"""
LOCALS = ("boxes1", "boxes2", "top_left", "bottom_right", "intersection")
NAME = st.text(string.ascii_letters + "_", min_size=1, max_size=8).map(lambda s: f"v_{s}")


def renamed(code: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        code = code.replace(old, f"<{new}>")
    return code.replace("<", "").replace(">", "")


def levels(pairs: list[Pair]) -> list[tuple[str, tuple[str, ...]]]:
    return [(p.level, p.students) for p in pairs]


# ------------------------------------------------------------------ forms


def test_layout_hides_nothing() -> None:
    other = LONG.replace("dim=-1, keepdim=False", "keepdim = False,   dim=(-1)")
    other = other.replace("min=0", "min=0.0").replace("def f(", "def f(  # mine\n    ")
    other = other.replace("boxes2):", "boxes2: Tensor) -> Tensor:\n    'words'\n    pass")
    assert form(other).exact == form(LONG).exact
    assert form(LONG.replace(":2]", ":3]")).exact != form(LONG).exact


@settings(max_examples=60, deadline=None)
@given(st.lists(NAME, min_size=len(LOCALS), max_size=len(LOCALS), unique=True))
def test_renaming_hides_nothing(names: list[str]) -> None:
    other = renamed(LONG, dict(zip(LOCALS, names, strict=True)))
    assert form(other).tree == form(LONG).tree
    (pair,) = near_copies("f", {"a": LONG, "b": other})
    assert pair.level in ("same tree with other names", "near tokens")
    assert pair.students == ("a", "b")


@pytest.mark.parametrize("exercise", [e.name for e in EXERCISES])
def test_every_solution_is_found_under_other_names(exercise: str) -> None:
    for way in (reference(), other_way()):
        code = way[exercise]
        other = reworded(code, random.Random(exercise), names=1, order=0, steps=0)
        assert form(other).tree == form(code).tree
        assert bool(near_copies(exercise, {"a": code, "b": other})) == (
            len(tokens(code)) >= COPY_LENGTH
        )


def test_tokens() -> None:
    code = "def f(x):\n    '''A 'b'\n    c'''\n    return x ** 2 // 1e-07 != .5j + s['a\\'b']"
    assert tokens(code) == [
        *("def", "f", "(", "x", ")", ":", "0", "return", "x", "**", "0", "//", "0", "!=", "0"),
        *("+", "s", "[", "0", "]"),
    ]


def test_names_of_a_class_are_names_too() -> None:
    one = (
        "class A(nn.Module):\n    def __init__(self, k):\n        self.conv = nn.Conv2d(k, k, 3)\n"
    )
    other = one.replace("self.conv", "me.layer").replace("(self", "(me").replace("k", "width")
    assert form(one).tree == form(other).tree
    assert form(one).tree != form(one.replace("Conv2d", "Linear")).tree


def test_the_role_of_a_name_is_not_lost() -> None:
    one, other = "def f(a, b):\n    return a - b", "def f(a, b):\n    return b - a"
    assert form(one).tree != form(other).tree


WORDS = st.lists(st.sampled_from("abcd"), max_size=14)


@given(WORDS, WORDS)
def test_the_common_part_is_the_longest_common_subsequence(
    one: list[str], other: list[str]
) -> None:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            best = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else best
    total = len(one) + len(other)
    expected = 2 * table[-1][-1] / total if one and other else 0.0
    assert common_part(one, other) == pytest.approx(expected)


@given(st.text())
def test_any_text_has_a_form(text: str) -> None:
    assert near_copies("f", {"a": text, "b": text + " x"}) is not None
    assert form(text).fingerprints == form(text).fingerprints


def test_endless_and_deep_code_costs_little() -> None:
    deep = "x = " + "(" * 9000 + ")" * 9000
    wide = "def f():\n" + "    x = 1\n" * 200_000
    for code in (deep, wide, "\x00", "def f(:"):
        assert form(code).tree == ""


# ------------------------------------------------------------------ pairs


def test_small_changes_are_near_tokens() -> None:
    other = LONG.replace("torch.minimum", "torch.min").replace("top_left", "lt", 1)
    assert levels(near_copies("f", {"a": LONG, "b": other})) == [("near tokens", ("a", "b"))]


@pytest.mark.parametrize("exercise", [e.name for e in EXERCISES])
def test_another_algorithm_is_no_copy(exercise: str) -> None:
    codes = {"loops": other_way()[exercise]}
    assert near_copies(exercise, codes, reference()[exercise]) == []
    assert near_copies(exercise, codes | {"ada": reference()[exercise]}) == []


def test_short_definitions_never_count() -> None:
    short = "def f(b):\n    return (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])"
    assert len(tokens(short)) < COPY_LENGTH
    assert near_copies("f", {"a": short, "b": short}, short) == []


def crowd(size: int) -> dict[str, str]:
    return {f"s{k:03d}": LONG.replace("top_left", f"name{k}") for k in range(size)}


def test_what_many_have_is_no_evidence() -> None:
    few = near_copies("f", crowd(5))
    assert [(p.common, p.holders, p.of) for p in few] == [(False, 5, 5)]
    many = near_copies("f", crowd(40))
    assert [(p.common, p.holders, p.of) for p in many] == [(True, 40, 40)]


def test_rare_names_in_a_common_tree_are_evidence() -> None:
    odd = renamed(LONG, dict(zip(LOCALS, ["qa", "qb", "qc", "qd", "qe"], strict=True)))
    found = near_copies("f", crowd(40) | {"x": odd, "y": odd})
    assert levels([p for p in found if not p.common]) == [("identical", ("x", "y"))]
    assert [p.holders for p in found] == [2, 42]


# ------------------------------------------------------------------ flags


def handed_in(codes: dict[str, dict[str, str]], kind: str = "right") -> list[Grade]:
    """Grades of students who hand in these definitions."""
    return [
        Grade(
            student, LESSON.name, [fresh(verdict_of(n, kind)) for n in own], codes=dict(own)
        )
        for student, own in codes.items()
    ]  # fmt: skip


def flags(grades: list[Grade]) -> dict[str, list[str]]:
    return {g.student: g.verdicts[0].flags for g in grades}


def test_the_flags() -> None:
    solution, loops = reference()["box_iou"], other_way()["box_iou"]
    codes = {"ada": solution, "grace": loops, "x": loops, "y": loops, "z": loops}
    grades = handed_in({s: {"box_iou": c} for s, c in codes.items() if s != "grace"})
    pairs = flag_copies(LESSON, grades, reference())
    assert flags(grades) == {
        "ada": ["near-copy-of-solution"],
        "x": ["near-copy-of:y+1-more"],
        "y": ["near-copy-of:x+1-more"],
        "z": ["near-copy-of:x+1-more"],
    }
    assert [(p.students, p.with_solution) for p in pairs] == [
        (("ada",), True),
        (("x", "y", "z"), False),
    ]
    flag_copies(LESSON, grades, reference())
    assert flags(grades)["x"] == ["near-copy-of:y+1-more"], "a second time adds nothing"
    alone = handed_in({"ada": {"box_iou": solution}, "grace": {"box_iou": loops}})
    flag_copies(LESSON, alone, reference())
    assert flags(alone)["grace"] == []


def test_no_flag_without_points() -> None:
    code = other_way()["box_iou"]
    grades = handed_in({"a": {"box_iou": code}}) + handed_in({"b": {"box_iou": code}}, "no_clamp")
    assert len(flag_copies(LESSON, grades, {})) == 1
    assert flags(grades) == {"a": ["near-copy-of:b"], "b": []}


def test_what_was_given_and_left_as_it_was_is_no_copy() -> None:
    code = {"box_iou": other_way()["box_iou"] + "\n    raise NotImplementedError"}
    assert flag_copies(LESSON, handed_in({"a": code, "b": code}, "blank"), reference()) == []


def test_a_student_may_have_any_name() -> None:
    code = other_way()["box_iou"]
    names = ("the solution", "<script>", "")
    grades = handed_in({name: {"box_iou": code} for name in names})
    (pair,) = flag_copies(LESSON, grades, reference())
    assert not pair.with_solution
    assert flags(grades)["<script>"] == ["near-copy-of:+1-more"]


def test_broken_files_and_other_lessons_stay_out() -> None:
    code = {"box_iou": other_way()["box_iou"]}
    grades = handed_in({"a": code, "b": code})
    grades[0].broken = "no file"
    grades.append(Grade("c", "02_nms", codes=code))
    assert flag_copies(LESSON, grades, {}) == []


def test_those_found_together_often_come_first() -> None:
    way = other_way()
    both = {name: way[name] for name in ("box_iou", "iou_loss")}
    once = {"complete_box_iou": way["complete_box_iou"]}
    pairs = flag_copies(LESSON, handed_in({"a": both, "b": both, "c": once, "d": once}), {})
    assert [(p.students, p.times) for p in pairs] == [
        (("a", "b"), 2), (("a", "b"), 2), (("c", "d"), 1)
    ]  # fmt: skip


def test_the_order_of_the_students_changes_nothing() -> None:
    code = other_way()["box_iou"]
    rng = random.Random(5)
    codes = {f"s{k}": {"box_iou": reworded(code, rng)} for k in range(30)}
    some = handed_in(codes)
    found = flag_copies(LESSON, some, reference())
    assert flag_copies(LESSON, some[::-1], reference()) == found
