"""What README.md and CONTRIBUTING.md show of training, works."""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import PROJECT
from PIL import Image

from course_lib import models, train
from course_lib.data import Shapes
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.models import DETECTORS


def blocks(file: str, heading: str) -> list[str]:
    text = (PROJECT / file).read_text(encoding="utf-8").split(f"## {heading}\n")[1]
    section = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```\w*\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> type:
    """The detector of CONTRIBUTING.md, in its place and in the list."""
    code, line = blocks("CONTRIBUTING.md", "A detector")
    module = types.ModuleType("course_lib.models.cells")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(models, "DETECTORS", dict(DETECTORS))
    exec(line, {"DETECTORS": models.DETECTORS})
    monkeypatch.setattr(train, "DETECTORS", models.DETECTORS)
    return module.Cells


def test_a_detector_of_ones_own_learns(cells: type) -> None:
    data = Shapes(8, seed=2, side=64)
    torch.manual_seed(0)
    model = cells(len(data.classes))
    config = FitConfig.of(model, steps=150, batch_size=8)
    assert (config.lr, config.batch_size) == (1e-2, 8)
    history = fit(model, data, config, progress="none")
    for name, values in history.terms.items():
        assert values[-1] < values[0] / 4, name
    assert evaluate(model, data)["AP50"] > 0.9


def test_without_objects_it_has_a_loss(cells: type) -> None:
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    terms = cells(3).loss(torch.rand(2, 3, 32, 40), [nothing, nothing])
    assert terms["classes"] > 0
    assert terms["sides"] == 0


def test_a_detector_of_ones_own_on_the_command_line(cells: type, capsys: Any) -> None:
    command = ["cells", "--steps", "1", "--size", "16", "--eval", "2", "--device", "cpu"]
    assert train.main(command) == 0
    assert capsys.readouterr().out.startswith("cells: ")


def test_the_commands_of_the_readme_are_understood() -> None:
    commands = [
        shlex.split(line) for line in blocks("README.md", "Train a detector")[0].splitlines()
    ]
    assert len(commands) == 4
    for command in commands:
        args = train._parser().parse_args(command[command.index("course_lib.train") + 1 :])
        assert args.name in DETECTORS


def test_the_notebook_lines_of_the_readme(tmp_path: Path, monkeypatch: Any) -> None:
    code = blocks("README.md", "Train a detector")[1]
    monkeypatch.chdir(tmp_path)
    for name in ("street.jpg", "park.jpg"):
        Image.new("RGB", (300, 260)).save(name)
    quick = code.replace("Shapes(1500)", "Shapes(16)").replace("Shapes(200", "Shapes(4")
    quick = quick.replace("seconds=60", "steps=1")
    assert "seconds" not in quick
    *lines, last = quick.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    assert names["history"].steps == 1
    found = eval(last, names)
    assert [set(each) for each in found] == [{"boxes", "scores", "labels"}] * 2
