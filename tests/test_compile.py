"""`torch.compile` makes of every detector one that answers the same: see compiled.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.models import DETECTORS


def run(backend: str, *names: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("compiled.py")), backend, *names]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [f"{name} answers the same" for name in names]


def test_a_detector_and_nms() -> None:
    run("aot_eager", "nms", "retinanet")


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(DETECTORS.keys() - {"retinanet"}))
def test_all_detectors(name: str) -> None:
    run("aot_eager", name)


@pytest.mark.full
@pytest.mark.parametrize("name", ["nms", "retinanet", "fcos", "centernet", "yolo"])
def test_compiled_to_machine_code(name: str) -> None:
    run("inductor", name)
