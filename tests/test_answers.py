"""Answers of several parts, answers in lists, and the pictures of wrong ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autograde.sheets import make_sheet
from autograde.spec import Case, Exercise, Lesson, Mistake
from autograde.student.marking import Marks, Sheet, mark
from autograde.student.pictures import DRAW
from autograde.student.plain import pack
from autograde.student.report import html_report, text_report
from autograde.student.runner import run_cases

BOXES = torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4], [9, 9, 12, 12]])
SCORES = torch.tensor([0.9, 0.8, 0.7])
TABLE = torch.tensor([[0.9, 0.1], [0.8, 0.6]])
OVERLAPS = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]]).bool()
PRECISION, RECALL = torch.tensor([1.0, 0.5, 2 / 3]), torch.tensor([0.5, 0.5, 1.0])


def sheet(
    reference: Callable[..., Any],
    inputs: tuple[Any, ...] = (BOXES, SCORES),
    picture: Any = "",
    outputs: tuple[str, ...] = (),
    wrong: Callable[..., Any] | None = None,
    dtype: Any = None,
) -> Sheet:
    mistakes = (Mistake("slip", "This is the slip.", wrong),) if wrong else ()
    exercise = Exercise(
        "task", 1, reference, ("boxes", "scores"), (Case("a case", lambda d: inputs, True, dtype=dtype),),
        mistakes, (), picture=picture, outputs=outputs,
    )  # fmt: skip
    return make_sheet(Lesson("00_test", "Test", (exercise,)), exercise)


def marks_of(asked: Sheet, answer: Any) -> Marks:
    return mark(asked, list(run_cases(lambda *_: answer, asked["cases"])))


def told(asked: Sheet, answer: Any) -> str:
    return text_report(asked, marks_of(asked, answer))


INDICES = sheet(lambda b, s: torch.tensor([0, 2]), picture="kept")
NUMBERS = sheet(lambda b, s: torch.tensor([0.25, 0.5]))
NUMBER = sheet(lambda b, s: torch.tensor(0.25))
PLAIN_NUMBER = sheet(lambda b, s: 0.25)
PARTS = sheet(lambda b, s: (torch.tensor([0, 2]), torch.tensor([0.9, 0.7])), outputs=("keep", "scores"))  # fmt: skip
SOFT = (torch.tensor([0, 2]), torch.tensor([0.9, 0.7]))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (INDICES, [0, 2]),
        (INDICES, (0, 2)),
        (INDICES, [torch.tensor(0), torch.tensor(2)]),
        (INDICES, [np.int64(0), torch.tensor([2])]),
        (INDICES, np.array([0, 2])),
        (NUMBERS, [0.25, 0.5]),
        (NUMBERS, [torch.tensor(0.25), torch.tensor(0.5)]),
        (NUMBER, 0.25),
        (NUMBER, torch.tensor([0.25])),
        (NUMBER, np.float64(0.25)),
        (PLAIN_NUMBER, torch.tensor(0.25)),
        (PLAIN_NUMBER, np.array([0.25])),
        (PARTS, SOFT),
        (PARTS, list(SOFT)),
        (PARTS, ([0, 2], [0.9, 0.7])),
    ],
)
def test_right_numbers_in_any_holder(asked: Sheet, answer: Any) -> None:
    assert marks_of(asked, answer).status == "passed"


def test_no_index_at_all_may_be_an_empty_list() -> None:
    nothing = sheet(lambda b, s: torch.zeros(0, dtype=torch.int64))
    assert marks_of(nothing, []).status == "passed"
    assert marks_of(nothing, [0]).status == "failed"


@pytest.mark.parametrize(
    ("asked", "answer", "says"),
    [
        (INDICES, [2, 0], "expected [0, 2]   got [2, 0]"),
        (INDICES, [0, 1, 2], "expected [0, 2]   got [0, 1, 2]"),
        (INDICES, torch.tensor([True, False, True]), "Indices are asked for"),
        (INDICES, torch.tensor([[0], [2]]), "`squeeze(1)`"),
        (INDICES, None, "Is there a `return`"),
        (INDICES, ["0", "2"], "it is a list of 2 now"),
        (INDICES, 3, "Give back a tensor of shape [2]: it is int 3 now"),
        (NUMBERS, [[0.25], [0.5, 1.0]], "Give back a tensor of shape [2]"),
        (NUMBER, [0.25, 0.5], "expected one number   got shape [2]"),
        (NUMBER, [], "expected one number"),
        (PLAIN_NUMBER, [0.25, 1.0], "expected a number, got a list of 2 numbers"),
        (PARTS, SOFT[0], "The answer has 2 parts: `return keep, scores`."),
        (PARTS, None, "The answer has 2 parts"),
        (PARTS, (*SOFT, 3), "got a list of 3"),
        (PARTS, ([0, 2], [0.9, 0.6]), "expected scores 0.7   got 0.6"),
        (PARTS, ([2, 0], [0.9, 0.7]), "expected keep [0, 2]   got [2, 0]"),
        (NUMBERS, torch.tensor([float("nan"), 0.5]), "NaN came out."),
    ],
)
def test_wrong_holder_is_told_from_wrong_number(asked: Sheet, answer: Any, says: str) -> None:
    assert says in told(asked, answer)


@pytest.mark.parametrize("holder", [list, tuple, np.array, torch.tensor])
@pytest.mark.parametrize("kind", [int, float])
def test_a_mistake_is_named_in_any_holder_and_dtype(holder: Any, kind: type) -> None:
    asked = sheet(lambda b, s: torch.tensor([0, 2]), wrong=lambda b, s: torch.tensor([0, 1]))
    marks = marks_of(asked, holder([kind(0), kind(1)]))
    assert marks.diagnoses == ["This is the slip."]


def test_nan_where_the_mistake_has_nan_is_that_mistake() -> None:
    asked = sheet(lambda b, s: torch.tensor([0.5, 0.25]), wrong=lambda b, s: torch.tensor([float("nan"), 0.2]))  # fmt: skip
    marks = marks_of(asked, np.array([np.nan, 0.2]))
    assert marks.diagnoses == ["This is the slip."]


def test_only_a_dtype_is_another_mistake_than_the_numbers() -> None:
    asked = sheet(
        lambda b, s: torch.tensor([0.5, 0.25], dtype=torch.float64),
        wrong=lambda b, s: torch.tensor([0.5, 0.25], dtype=torch.float32),
        dtype="exact",
    )
    assert marks_of(asked, torch.tensor([0.5, 0.25])).diagnoses[0] == "This is the slip."
    assert marks_of(asked, torch.tensor([0.5, 0.25]).half()).diagnoses[0] == "This is the slip."
    assert "slip" not in marks_of(asked, torch.tensor([0.5, 0.3])).diagnoses[0]


def test_lists_of_tensors_as_inputs_are_shown_and_guarded() -> None:
    asked = sheet(lambda ious, scores: 0.5, ([TABLE, TABLE[:1]], [SCORES[:2], SCORES[:1]]))
    assert "boxes = [[[0.9, 0.1], [0.8, 0.6]], [[0.9, 0.1]]]" in told(asked, 0.25)

    def writes(ious: list[Tensor], scores: list[Tensor]) -> float:
        ious[1][0, 0] = 0
        return 0.5

    marks = mark(asked, list(run_cases(writes, asked["cases"])))
    assert "writes into boxes" in marks.diagnoses[0]


def settle(overlaps: Tensor) -> Tensor:
    return torch.tensor([True, False, True])


PICTURES: list[tuple[str, Sheet, Any, str]] = [
    ("kept", INDICES, [0, 1], "kept rightly [0], missing [2], too many [1]"),
    ("kept", sheet(lambda b, s: SOFT, picture="kept", outputs=("keep", "scores")), ([0], [0.9]), "missing [2]"),
    ("moved", sheet(lambda b, s: BOXES[:2], picture="moved"), BOXES[:2] + 1, "got [[1.0, 1.0, 5.0, 5.0]"),
    ("settled", sheet(settle, (OVERLAPS,), "settled"), torch.tensor([1, 0, 0]), "kept [True, False, True]"),
    ("matches", sheet(lambda i, t: torch.tensor([0, 1]), (TABLE, 0.5), "matches"), [0, -1], "got [0, -1]"),
    ("curve", sheet(lambda p, r: torch.tensor(0.8), (PRECISION, RECALL), "curve"), 0.7, "the curve"),
    ("curve", sheet(lambda s, c: (PRECISION, RECALL), (SCORES, SCORES > 0.75), "curve", ("precision", "recall")), (RECALL, PRECISION), "expected and yours"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "asked", "answer", "alt"), PICTURES)
def test_wrong_answer_is_drawn(kind: str, asked: Sheet, answer: Any, alt: str) -> None:
    page = html_report(asked, marks_of(asked, answer))
    found = re.search(r'<img alt="([^"]+)" src="data:image/png;base64,', page)
    assert found
    assert alt in found.group(1)
    assert kind in DRAW


anything = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
).map(pack) | st.sampled_from(
    [pack(torch.full((2, 4), float("nan"))), pack(torch.full((3,), 1e300, dtype=torch.float64)),
     pack(torch.zeros(0)), pack(np.array(7)), {"kind": "junk"}, {}]
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(packed=anything, which=st.sampled_from(PICTURES))
def test_any_answer_is_reported_without_an_error(packed: Any, which: Any) -> None:
    _, asked, _, _ = which
    outcome = {"status": "ok", "value": packed, "changed": [], "library": []}
    html_report(asked, mark(asked, [outcome]))
