"""Plain data crosses the wall unharmed or not at all; comparing says what differs."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograde.student.compare import compare, show_number
from autograde.student.marking import Sheet, mark
from autograde.student.plain import PlainError, pack, unpack
from autograde.student.runner import TooSlow, run_case, time_limit

CASE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "dtype": None, "numpy": True, "names": ["a"]}

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(plain)
@settings(deadline=None)
def test_plain_values_survive(value: Any) -> None:
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int64", "bool", "uint8"])
@pytest.mark.parametrize("shape", [(), (0, 4), (3,), (2, 3, 1)])
def test_tensors_survive(dtype: str, shape: tuple[int, ...]) -> None:
    tensor = torch.randint(0, 2, shape).to(getattr(torch, dtype))
    back = unpack(pack(tensor))
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_special_numbers_survive() -> None:
    back = unpack(pack(torch.tensor([math.nan, math.inf, -math.inf, -0.0])))
    assert math.isnan(back[0])
    assert back[1:].tolist() == [math.inf, -math.inf, 0.0]
    assert math.isinf(unpack(pack(math.inf)))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "data", "shape", "dtype", "status", "changed", "library"]),
            inner,
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(["tensor", "array", "number", "text", "list", "dict", "none", "other"])


@given(kinds, junk, junk, st.sampled_from(["float32", "int64", "bool", "str", "object"]) | junk)
@settings(deadline=None, max_examples=300)
def test_hostile_data_is_a_plain_error_or_a_value(
    kind: str, data: Any, shape: Any, dtype: Any
) -> None:
    packed = {"kind": kind, "data": data, "shape": shape, "dtype": dtype}
    with contextlib.suppress(PlainError):
        unpack(packed)


def one_case_sheet(expected: Any) -> Sheet:
    case = {**CASE, "probes": "a case", "core": True, "expected": pack(expected)}
    return {"name": "f", "cases": [{**case, "kind": "call", "inputs": pack([])}], "mistakes": []}


@given(junk)
@settings(deadline=None, max_examples=300)
def test_hostile_outcomes_are_marked_not_believed(outcome: Any) -> None:
    sheet = one_case_sheet(torch.tensor([0.125, 3.5]))
    outcome = outcome if isinstance(outcome, dict) else {"status": "ok", "value": outcome}
    assert mark(sheet, [outcome]).share == 0


def test_what_differs_is_said() -> None:
    e = torch.tensor([[0.0, 0.5]])
    said = lambda got, **case: compare(e, got, CASE | case)  # noqa: E731
    assert said(e + 1e-6) is None
    assert said(e.numpy()) is None
    assert said(e.double()) is None
    assert said(e.double(), dtype="exact").kind == "dtype"
    assert said(e.numpy(), numpy=False).kind == "type"
    assert said(e.T).generic.startswith("Rows and columns are swapped")
    assert said(e[0]).generic.startswith("An axis is missing: [1, 2] is asked for")
    none = compare(e[:0], torch.tensor([]), CASE)
    assert none is not None
    assert "An empty list" in none.generic
    assert "`.reshape(-1, 2)`" in none.generic
    assert said(e[None]).generic.startswith("The numbers are there, in another shape")
    assert "`.reshape(-1, 2)`" in said(e[:, None]).generic
    assert said(e.expand(3, 1, 2)).generic.startswith("There is an axis too many")
    column = compare(e[0], e.T, CASE)
    assert column is not None
    assert "`.squeeze(1)`" in column.generic
    empty = compare(torch.zeros(6, 0), torch.zeros(6), CASE)
    assert empty is not None
    assert "`torch.zeros(6, 0)`" in empty.generic
    assert "return" in said(None).generic
    assert said([[0.0, 0.5]]).kind == "type"
    wrong = said(torch.tensor([[0.0, 0.25]]))
    assert (wrong.where, wrong.expected, wrong.got) == ((0, 1), "0.5", "0.25")
    assert said(torch.tensor([[math.nan, 0.5]])).kind == "nan"
    assert "infinity" in said(torch.tensor([[math.inf, 0.5]])).generic


@pytest.mark.parametrize(
    ("error", "line", "says"),
    [
        ("ValueError: math domain error", "r = math.sqrt(b * b - 4 * a * c)", "A root of a number"),
        ("ValueError: math domain error", "return -math.log(1 - p)", "The logarithm (or the root)"),
        ("TypeError: list indices must be integers or slices, not str", "t['a']", "A list was"),
        ("AttributeError: 'list' object has no attribute 'places'", "t.places", "This is a list"),
        ("RuntimeError: max(): Expected reduction dim to be specified", "w.max()", "The highest"),
        ("ValueError: made up", "raise ValueError('made up')", ""),
    ],
)
def test_an_error_is_explained_where_its_text_does_not_help(
    error: str, line: str, says: str
) -> None:
    sheet = one_case_sheet(torch.zeros(1))
    (marked,) = mark(sheet, [{"status": "error", "error": error, "line": line}]).cases
    assert marked.difference is not None
    assert marked.difference.generic.startswith(says)
    assert bool(marked.difference.generic) == bool(says)


def test_numbers_that_differ_look_different() -> None:
    e = torch.tensor([[1204.0, -42.5]])
    difference = compare(e, e + torch.tensor([0.25, 0.0]), CASE)
    assert difference is not None
    assert (difference.expected, difference.got) == ("1204.0", "1204.25")


def sheet_of(*cases: tuple[str, torch.Tensor]) -> Sheet:
    sheet = one_case_sheet(torch.zeros(1))
    sheet["cases"] = [
        {**sheet["cases"][0], "kind": kind, "expected": pack(expected)} for kind, expected in cases
    ]
    return sheet


def answered(*values: Any) -> list[dict[str, Any]]:
    return [{"status": "ok", "value": pack(value)} for value in values]


def test_what_follows_from_wrong_numbers_is_not_the_diagnosis() -> None:
    right, wrong, nan = torch.tensor([0.5]), torch.tensor([0.75]), torch.tensor([math.nan])
    sheet = sheet_of(("call", right), ("call", right), ("grad", [right]))
    assert mark(sheet, answered(wrong, nan, [wrong])).diagnoses == []
    assert "NaN" in mark(sheet, answered(right, nan, [right])).diagnoses[0]
    assert "gradient" in mark(sheet, answered(right, right, [wrong])).diagnoses[0]


def test_what_stands_beside_nan_in_most_cases_is_no_diagnosis() -> None:
    right, wrong, nan = torch.tensor([0.5]), torch.tensor([0.75]), torch.tensor([math.nan])
    sheet = sheet_of(*[("call", right)] * 4)
    sheet["mistakes"] = [{"name": "slip", "says": "A slip.", "outcomes": answered(*[wrong] * 4)}]
    assert mark(sheet, answered(wrong, wrong, wrong, nan)).mistakes == ["slip"]
    marks = mark(sheet, answered(nan, nan, nan, wrong))
    assert marks.mistakes == []
    assert "NaN" in marks.diagnoses[0]


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x if x > 0 else -x, "whole tensor"),
        (lambda x: x ^ 2, "`**`"),
        (lambda x: math.log(1 - x[0] / x[0]), "brackets"),
    ],
)
def test_errors_that_say_little_are_explained(f: Any, words: str) -> None:
    sheet = one_case_sheet(torch.tensor([0.5, 0.5]))
    outcome = call(f, torch.tensor([0.25, 0.75]))
    assert words in mark(sheet, [outcome]).diagnoses[0]


def test_gradients_of_chosen_inputs() -> None:
    case = {"kind": "grad", "inputs": pack([torch.ones(2), torch.ones(2)]), "init": None}
    every = run_case(lambda a, b: a * b, case)
    one = run_case(lambda a, b: a * b, {**case, "slopes": [0]})
    assert [len(unpack(o["value"])) for o in (every, one)] == [2, 1]
    cut = run_case(lambda a, b: a.detach().numpy(), {**case, "slopes": [0]})
    sheet = sheet_of(("grad", [torch.ones(2)]))
    assert mark(sheet, [cut]).diagnoses[0].startswith("The gradient does not come through")


def test_each_part_carries_a_gradient_where_asked() -> None:
    case = {"kind": "grad", "inputs": pack([torch.ones(2)]), "init": None}
    for each, status in ((False, "ok"), (True, "error")):
        outcome = run_case(lambda a: (a.sum(), torch.tensor(0.0)), {**case, "each": each})
        assert outcome["status"] == status
    assert run_case(lambda a: (a.sum(), 0 * a), {**case, "each": True})["status"] == "ok"
    sheet = sheet_of(("grad", [torch.ones(2)]))
    assert mark(sheet, [outcome]).diagnoses[0].startswith("The gradient does not come through")


def test_expected_infinity_must_be_met() -> None:
    e = torch.tensor([math.inf, 1.0])
    assert compare(e, e.clone(), CASE) is None
    assert compare(e, torch.tensor([-math.inf, 1.0]), CASE) is not None
    assert compare(e, torch.tensor([1e30, 1.0]), CASE) is not None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (1 / 7, "0.1429"),
        (200.0, "200.0"),
        (2000.0, "2000.0"),
        (3, "3"),
        (1e-9, "1e-09"),
    ],
)
def test_numbers_are_shown_as_people_write_them(number: float, text: str) -> None:
    assert show_number(number) == text


def call(obj: Any, *inputs: Any, kind: str = "call", **options: Any) -> dict[str, Any]:
    case = {"kind": kind, "inputs": pack(list(inputs)), "init": None}
    return run_case(obj, case, **options)


def test_runner_reports_what_happened() -> None:
    x = torch.ones(2)

    def attempt(*_: Any) -> None:
        raise NotImplementedError

    def leave(*_: Any) -> None:
        raise SystemExit

    def change(t: torch.Tensor) -> torch.Tensor:
        t += 1
        return t

    def no_kernel(*_: Any) -> None:
        raise NotImplementedError("'and' is not there for 'Float'")

    assert call(attempt, x)["status"] == "not attempted"
    assert call(no_kernel, x)["status"] == "error", "only a stub's own words mean not attempted"
    assert call(leave, x)["error"].startswith("SystemExit")
    assert call(lambda t: t[5], x)["error"].startswith("IndexError")
    assert call(change, x)["changed"] == [0]
    assert call(lambda: None)["value"] == {"kind": "none"}
    assert unpack(call(lambda t: 3 * t, x, kind="grad")["value"])[0].tolist() == [3.0, 3.0]
    of_parts = call(lambda t: (3 * t, t.sum()), x, kind="grad")
    assert unpack(of_parts["value"])[0].tolist() == [4.0, 4.0]
    assert "grad" in call(lambda t: (3.0, 4.0), x, kind="grad")["error"]


def test_class_is_built_and_called() -> None:
    class Scale:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, t: torch.Tensor) -> torch.Tensor:
            return t * self.factor

    case = {"kind": "call", "inputs": pack([torch.ones(1)]), "init": pack([3.0])}
    assert unpack(run_case(Scale, case)["value"]).tolist() == [3.0]


def test_endless_loop_is_ended() -> None:
    def forever(*_: Any) -> None:
        while True:
            with contextlib.suppress(Exception):  # as a student's bare except does
                sum(range(1000))

    assert call(forever, torch.ones(1), seconds=0.3)["status"] == "too slow"


def test_time_limit_reaches_a_busy_loop() -> None:
    def spin() -> None:
        while True:
            pass

    with pytest.raises(TooSlow), time_limit(0.05):
        spin()


def test_answers_that_lie_are_read_plainly() -> None:
    class Liar(torch.Tensor):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    lie = lambda *_: torch.zeros(2).as_subclass(Liar)  # noqa: E731
    outcome = call(lie, torch.ones(2))
    assert mark(one_case_sheet(torch.ones(2)), [outcome]).share == 0
    assert unpack(outcome["value"]).tolist() == [0.0, 0.0]
