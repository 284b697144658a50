"""The commands: what they print, and what they say of a wrong call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import needs_sandbox, run_cli

from autograde.__main__ import main
from autograde.exercises.lesson_01_iou import another_way

RIGHT = Path(another_way.__file__)


def try_json(exercise: str, file: Path) -> dict:
    done = run_cli("try", exercise, str(file), "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


@needs_sandbox
def test_try_right(tmp_path: Path) -> None:
    verdict = try_json("01_iou/box_iou", RIGHT)
    assert verdict["share"] == 1.0
    assert verdict["failed"] == []
    done = run_cli("try", "01_iou/box_area", str(RIGHT))
    assert done.returncode == 0
    assert "share of the points: 1" in done.stdout


@needs_sandbox
def test_try_right_without_gradients(tmp_path: Path) -> None:
    file = tmp_path / "answer.py"
    file.write_text(
        "import torch\n"
        "def box_iou(boxes1, boxes2):\n"
        "    a, b = boxes1.detach().numpy()[:, None], boxes2.detach().numpy()[None]\n"
        "    near, far = (a[..., :2], b[..., :2]), (a[..., 2:], b[..., 2:])\n"
        "    side = (torch.minimum(*map(torch.tensor, far)) - torch.maximum(*map(torch.tensor, near)))\n"
        "    inter = side.clamp(min=0).prod(-1)\n"
        "    area = lambda x: torch.tensor((x[..., 2:] - x[..., :2]).prod(-1))\n"
        "    union = area(a) + area(b) - inter\n"
        "    return torch.where(union > 0, inter / union, torch.zeros_like(inter))\n"
    )
    verdict = try_json("01_iou/box_iou", file)
    assert (verdict["share"], verdict["failed"]) == (1.0, [])


@needs_sandbox
def test_try_wrong(tmp_path: Path) -> None:
    file = tmp_path / "answer.py"
    file.write_text(
        "import torch\n"
        "def box_area(boxes, fmt='xyxy'):\n"
        "    print('noise')\n"
        "    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)\n"
    )
    verdict = try_json("01_iou/box_area", file)
    assert verdict["share"] == 0.0
    assert verdict["mistakes"] == ["plus_one"]
    assert "one pixel too long" in verdict["diagnosis"][0]
    done = run_cli("try", "01_iou/box_area", str(file))
    assert done.returncode == 1
    assert "✗ one box   expected" in done.stdout


BROKEN_FILES = {
    "no such name": ("def other(): pass", "the file defines no 'box_area'"),
    "syntax": ("def box_area(:", "the file does not run: SyntaxError"),
    "exit": ("raise SystemExit(0)", "the file does not run: SystemExit"),
    "dies": ("import os; os._exit(0)", "gave no answer"),
}


@needs_sandbox
@pytest.mark.parametrize("how", BROKEN_FILES)
def test_try_broken(how: str, tmp_path: Path) -> None:
    text, reason = BROKEN_FILES[how]
    file = tmp_path / "answer.py"
    file.write_text(text)
    verdict = try_json("01_iou/box_area", file)
    assert verdict["share"] == 0.0
    assert reason in " ".join(verdict["diagnosis"])


@needs_sandbox
def test_try_refuses_the_library(tmp_path: Path) -> None:
    file = tmp_path / "answer.py"
    file.write_text("from course_lib.boxes import box_area\n")
    verdict = try_json("01_iou/box_area", file)
    assert (verdict["share"], verdict["status"]) == (0.0, "refused")
    assert verdict["flags"] == ["calls-reference"]
    file.write_text(
        "import importlib\n"
        "def box_area(*a):\n    return importlib.import_module('course' + '_lib.boxes').box_area(*a)\n"
    )
    assert try_json("01_iou/box_area", file)["status"] == "refused"


WRONG_CALLS = {
    ("try", "02_nms/nms", "x.py"): "no file x.py",
    ("try", "02_mns/nms", __file__): "there is no lesson '02_mns'; there are: 01_iou, 02_nms",
    ("try", "01_iou/nms", __file__): "has no exercise 'nms'; it has box_convert",
    ("try", "01_iou/tightness", __file__): "is a review question; name a coding exercise",
    ("build", "99"): "there is no lesson '99'; there are: 01_iou",
    ("grade", "99"): "there is no lesson '99'",
    ("grade", "explorers"): "there is no lesson 'explorers'; there are: 01_iou",
    ("bundle", "99"): "there is no lesson '99'",
}


@pytest.mark.parametrize("call", WRONG_CALLS, ids=lambda c: "-".join(c[:2]))
def test_wrong_calls(call: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(call)) == 2
    assert WRONG_CALLS[call] in capsys.readouterr().err


def test_a_wrong_call_ends_with_its_message() -> None:
    """The last of them as a command: its exit status, and no traceback."""
    done = run_cli(*list(WRONG_CALLS)[-1])
    assert done.returncode == 2
    assert WRONG_CALLS["bundle", "99"] in done.stderr
    assert "Traceback" not in done.stderr


def test_empty_classroom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grade", "--classroom", str(tmp_path / "none")]) == 2
    printed = capsys.readouterr().err
    assert "nothing was handed in: expected" in printed
    assert "python -m autograde demo" in printed


def test_demo_spares_a_real_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "submitted" / "someone").mkdir(parents=True)
    assert main(["demo", "--classroom", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
