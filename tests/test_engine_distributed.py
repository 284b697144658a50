"""Two processes that learn together, joined by gloo: what one process with the whole batch does.

The processes run this file as a program, write what they have seen, and the tests compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_detector import Squares, tiny
from torch import Tensor

from course_lib._distributed import mean_over_processes, process_count, process_number
from course_lib.anchors import AnchorGenerator
from course_lib.data import Shapes, collate
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.engine.distributed import gather, processes, share_of, together
from course_lib.models.backbones import create_backbone
from course_lib.models.centernet import CenterNet, HourglassNetwork
from course_lib.models.detector import Detector
from course_lib.models.fcos import FCOS
from course_lib.models.pyramid import BackboneWithFPN
from course_lib.models.retinanet import RetinaNet

HERE = Path(__file__).resolve()
CONFIG = {"steps": 6, "batch_size": 8, "lr": 0.05, "optimizer": "sgd"}


def retinanet_without() -> RetinaNet:
    """BatchNorm sees its own process's images only; GroupNorm sees one image at a time."""
    torch.manual_seed(0)
    backbone = BackboneWithFPN(create_backbone("tiny", "group"), 32)
    anchors = AnchorGenerator([(16,), (32,), (64,)], (1.0,), offset=0.5)
    return RetinaNet(backbone, 4, anchors, levels=(3, 4, 5), head_depth=1)


def fcos_without() -> FCOS:
    torch.manual_seed(0)
    backbone = BackboneWithFPN(create_backbone("tiny", "group"), 32)
    return FCOS(backbone, 4, ranges=((0, 16), (16, 32), (32, 64)), head_depth=1)


def centernet_without() -> CenterNet:
    torch.manual_seed(0)
    return CenterNet(HourglassNetwork((24, 32), norm="group"), 4)


MODELS = {
    "tiny": partial(tiny, norm=False),
    "retinanet": retinanet_without,
    "fcos": fcos_without,
    "centernet": centernet_without,
}


def samples(name: str) -> list[Any]:
    """Unequal numbers of objects in the two halves, so that a mean of two means would be wrong."""
    data: Any = Squares(8) if name == "tiny" else Shapes(8, side=64)
    return sorted((data[i] for i in range(8)), key=lambda row: len(row[1]["boxes"]))


def gradients(name: str) -> dict[str, Tensor]:
    """Of the model on this process's half of the batch, averaged; on all of it, if alone."""
    model: Detector = MODELS[name]()
    rows = samples(name)
    half = len(rows) // process_count()
    mine = rows[process_number() * half :][:half]
    loss = together(model)  # must live until the backward pass is over
    sum(loss(*collate(mine)).values()).backward()
    return {key: p.grad for key, p in model.named_parameters() if p.grad is not None}


def trained() -> dict[str, Any]:
    model = tiny(norm=False)
    history = fit(model, Squares(24), FitConfig(**CONFIG), valid=Squares(9, 1), progress="none")
    return {
        "weights": model.state_dict(),
        "loss": history.loss,
        "lr": history.lr,
        "images": history.steps * history.batch_size,
        "stats": torch.tensor(history.result.stats),
        "again": torch.tensor(evaluate(model, Squares(9, 1)).stats),
    }


def timed(folder: Path) -> dict[str, Any]:
    """Both must stop after the same step, whatever their clocks say."""
    config = FitConfig(seconds=1, batch_size=8, checkpoint=folder / f"{process_number()}.pt")
    history = fit(tiny(), Squares(24), config, progress="none")
    return {"steps": history.steps, "seconds": history.seconds}


def everything(folder: Path) -> dict[str, Any]:
    """What a process of two sees."""
    numbers = [torch.tensor(3 + 2 * process_number()), torch.tensor(0)]
    seen: dict[str, Any] = {
        "count": (process_number(), process_count()),
        "means": [mean_over_processes(number) for number in numbers],
        "rows": gather([(i, process_number()) for i in share_of(range(7))]),
        "trained": trained(),
        "timed": timed(folder),
    }
    for name in MODELS:
        seen[name] = gradients(name)
    try:
        fit(tiny(), Squares(9), FitConfig(batch_size=7), progress="none")
    except ValueError as error:
        seen["odd"] = str(error)
    return seen


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has seen, started by torchrun."""
    folder = tmp_path_factory.mktemp("two")
    torchrun("--nproc-per-node", "2", str(HERE), str(folder))
    return [torch.load(folder / f"seen_{rank}.pt") for rank in range(2)]


def torchrun(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *args],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=HERE.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_know_of_each_other(two: list[dict[str, Any]]) -> None:
    assert [seen["count"] for seen in two] == [(0, 2), (1, 2)]
    for seen in two:
        assert [mean.item() for mean in seen["means"]] == [4.0, 0.5], "(3 + 5) / 2, max(0, 1) / 2"
        assert seen["rows"] == [(i, i % 2) for i in range(7)]


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_whole_batch(name: str, two: list[dict[str, Any]]) -> None:
    alone = gradients(name)
    assert alone.keys() == two[0][name].keys()
    for seen in two:
        for key, expected in alone.items():
            scale = expected.abs().max().item()
            assert scale > 0, key
            torch.testing.assert_close(
                seen[name][key],
                expected,
                rtol=0,
                atol=1e-5 * scale + 1e-9,
                msg=lambda text, key=key: f"{key}: {text}",
            )


def test_a_training_is_that_of_one_process(two: list[dict[str, Any]]) -> None:
    alone = trained()
    for seen in (each["trained"] for each in two):
        assert seen["lr"] == alone["lr"]
        assert seen["images"] == alone["images"]
        assert seen["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        for key, expected in alone["weights"].items():
            torch.testing.assert_close(
                seen["weights"][key],
                expected,
                rtol=1e-4,
                atol=1e-5,
                msg=lambda text, key=key: f"{key}: {text}",
            )
        torch.testing.assert_close(seen["stats"], alone["stats"], rtol=1e-3, atol=1e-4)
        assert torch.equal(seen["stats"], seen["again"])
    first, second = (each["trained"]["weights"] for each in two)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_one_clock_for_all(two: list[dict[str, Any]]) -> None:
    assert two[0]["timed"] == two[1]["timed"]
    assert two[0]["timed"]["steps"] > 1


def test_a_batch_that_cannot_be_shared(two: list[dict[str, Any]]) -> None:
    for seen in two:
        assert "batch_size is that of all processes" in seen["odd"]
        assert "a multiple of 2, got 7" in seen["odd"]


def test_alone() -> None:
    assert (process_number(), process_count()) == (0, 1)
    assert mean_over_processes(torch.tensor(3)).item() == 3
    assert mean_over_processes(torch.tensor(0.0)).item() == 1
    assert mean_over_processes(torch.tensor(0), least=0).item() == 0
    with processes("cpu") as device:
        assert device == torch.device("cpu")
        assert not torch.distributed.is_initialized()


if __name__ == "__main__":
    with processes("cpu"):
        told = everything(Path(sys.argv[1]))
        torch.save(told, Path(sys.argv[1]) / f"seen_{process_number()}.pt")
