"""The benchmarks' page says what their results say, and they measure what they say."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import record
from benchmarks.measure import (
    Comparison,
    DisagreementError,
    Timing,
    check_agreement,
    exponent,
    measure,
    peak,
)


def test_the_page_has_the_tables_that_its_results_make() -> None:
    page = record.README.read_text(encoding="utf-8")
    assert record.with_tables(page) == page
    kept = {file.stem for file in (record.HERE / "results").glob("*-cpu.json")}
    assert {found[2] for found in record.MARK.finditer(page)} == kept


def test_a_row_and_a_table_by_hand() -> None:
    row = {
        "op": "nms", "size": "1,000", "n": 1000, "torchvision_ms": [2.0, 3.0, 4.5],
        "ours_ms": [1.0, 1.5, 1.6], "torchvision_mib": 0.5, "ours_mib": 12.345,
    }  # fmt: skip
    assert record.row_text(row) == "| nms | 1,000 | 3 ± 1.2 | 1.5 ± 0.3 | 2.00 | 0.5 | 12.3 |"
    larger = {**row, "n": 2000, "torchvision_ms": [12, 12, 12], "ours_ms": [3, 3, 3]}
    assert "| nms | 1,000 to 2,000 | 2.00 | 1.00 |" in record.exponents_text([row, larger])
    assert record.exponents_text([row]) == ""


def test_a_page_gets_its_tables_and_keeps_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "HERE", tmp_path)
    (tmp_path / "results").mkdir()
    at = {"device": "cpu", "name": "a processor", "threads": 2, "torch": "2", "torchvision": "0"}
    record.save("ops-cpu", {**at, "date": "2026-01-02"}, [])
    page = "before\n<!-- table ops-cpu -->\nold\n<!-- end -->\nafter\n"
    filled = record.with_tables(page)
    assert filled.startswith(
        "before\n<!-- table ops-cpu -->\nOn 2026-01-02, a processor, 2 threads"
    )
    assert filled.endswith("<!-- end -->\nafter\n")
    assert "old" not in filled
    assert record.with_tables(filled) == filled


def test_rows_are_kept_until_they_are_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "HERE", tmp_path)
    (tmp_path / "results").mkdir()

    def kept(machine: str, *rows: tuple[str, int]) -> list[tuple[str, int]]:
        named = [{"op": op, "size": "1", "n": n} for op, n in rows]
        record.save("ops-cpu", {"name": machine}, named)
        result = json.loads((tmp_path / "results" / "ops-cpu.json").read_text())
        return [(row["op"], row["n"]) for row in result["rows"]]

    assert kept("one", ("nms", 1)) == [("nms", 1)]
    assert kept("one", ("area", 2)) == [("nms", 1), ("area", 2)]
    assert kept("one", ("nms", 3)) == [("nms", 3), ("area", 2)]
    assert kept("another", ("nms", 4)) == [("nms", 4)]


def test_measuring_alternates_and_gives_quartiles() -> None:
    calls = []

    def call(side: str, seconds: float) -> torch.Tensor:
        calls.append(side)
        time.sleep(seconds)
        return torch.ones(1)

    row = Comparison("op", "", lambda: call("theirs", 4e-3), lambda: call("ours", 2e-3))
    timing = measure(row, seconds=0.2, fewest=4)
    for quartiles in (timing.theirs, timing.ours):
        assert len(quartiles) == 3
        assert quartiles == sorted(quartiles)
    assert timing.ratio == timing.theirs[1] / timing.ours[1]
    runs = calls[-8:]
    assert runs.count("ours") == 4
    assert runs[:4] in (["theirs", "ours", "ours", "theirs"], ["ours", "theirs", "theirs", "ours"])


def test_a_ratio_is_theirs_over_ours() -> None:
    assert Timing([1, 6, 7], [1, 2, 3]).ratio == 3


def test_different_answers_are_not_timed() -> None:
    row = Comparison("op", "size", lambda: torch.ones(2), lambda: torch.tensor([1, 1 + 1e-3]))
    with pytest.raises(DisagreementError, match="op at size"):
        check_agreement(row)


def test_memory_is_the_most_at_one_time() -> None:
    def call() -> torch.Tensor:
        first = torch.zeros(2**18)  # 1 MiB
        second = first + 1
        del first
        return second + 1

    assert peak(call, "cpu") == pytest.approx(2, abs=0.1)


def test_the_exponent_of_a_cube() -> None:
    assert exponent([10, 100, 1000], [2e-3, 2.0, 2e3]) == pytest.approx(3)
