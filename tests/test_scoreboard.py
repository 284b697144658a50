"""The scoreboard says what its results say; multiply-adds are counted rightly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import scoreboard
from benchmarks.detectors import DETECTORS, SIDE, multiply_adds
from course_lib.models import create_detector

RESULTS: dict[str, Any] = json.loads(scoreboard.RESULTS.read_text(encoding="utf-8"))


def test_the_page_is_the_one_that_its_results_make() -> None:
    assert scoreboard.PAGE.read_text(encoding="utf-8") == scoreboard.page_of(RESULTS)
    assert scoreboard.PICTURE.stat().st_size > 10_000


def test_lesson_10_ends_in_the_same_numbers() -> None:
    lesson = scoreboard.PROJECT / "solutions" / "10_centernet.py"
    assert scoreboard.lesson_table(RESULTS) in lesson.read_text(encoding="utf-8")


def test_every_detector_is_there_with_three_seeds_or_more() -> None:
    assert tuple(RESULTS["detectors"]) == DETECTORS
    for entry in RESULTS["detectors"].values():
        assert len(entry["runs"]) >= 3


def test_the_table_has_the_median_and_both_ends(tmp_path: Path) -> None:
    results = json.loads(json.dumps(RESULTS))
    runs = list(results["detectors"]["yolo"]["runs"].values())[:3]
    for run, ap in zip(runs, (0.3, 0.1, 0.2), strict=True):
        run["AP"] = ap
    results["detectors"] = {
        "yolo": results["detectors"]["yolo"] | {"runs": dict(zip("abc", runs, strict=True))}
    }
    (line,) = [row for row in scoreboard.table(results).splitlines() if "YOLO" in row]
    assert line.startswith("| YOLO | 07 | **0.200** | 0.100 to 0.300 |")
    (tmp_path / "results.json").write_text(json.dumps(results))
    for path in scoreboard.write(
        tmp_path / "results.json", tmp_path / "page.md", tmp_path / "page.png"
    ):
        assert path.exists()


@pytest.mark.parametrize("name", DETECTORS)
def test_multiply_adds_are_those_of_the_convolutions(name: str) -> None:
    model = create_detector(name, 3)
    counted = 0

    def count(conv: nn.Conv2d, _: Any, out: torch.Tensor) -> None:
        nonlocal counted
        counted += out.numel() * conv.weight[0].numel()

    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    handles = [conv.register_forward_hook(count) for conv in convs]
    with torch.no_grad():
        model.eval()(model.prepare(torch.zeros(1, 3, SIDE, SIDE))[0])
    for handle in handles:
        handle.remove()
    assert multiply_adds(model) == counted
