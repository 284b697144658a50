"""The share of a training that COURSE_BUDGET leaves."""

from __future__ import annotations

import pytest

from course_lib.engine.budget import VARIABLE, budget


def test_a_reader_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert [budget(amount) for amount in (1, 7, 400)] == [1, 7, 400]


@pytest.mark.parametrize(
    ("share", "left"),
    [("1", [1, 3, 400]), ("0.5", [1, 2, 200]), ("0.02", [1, 1, 8]), ("1e-9", [1, 1, 1])],
)
def test_a_share_leaves_at_least_one(
    monkeypatch: pytest.MonkeyPatch, share: str, left: list[int]
) -> None:
    monkeypatch.setenv(VARIABLE, share)
    assert [budget(amount) for amount in (1, 3, 400)] == left


@pytest.mark.parametrize("text", ["", "0", "-0.5", "1.01", "nan", "inf", "half", "20 %"])
def test_what_is_no_share_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ValueError, match=rf"COURSE_BUDGET must be a share .* got '{text}'"):
        budget(400)


@pytest.mark.parametrize("amount", [0, -5])
def test_nothing_is_no_budget(monkeypatch: pytest.MonkeyPatch, amount: int) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"a budget is 1 step or more, got {amount}"):
        budget(amount)
