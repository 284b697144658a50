"""python -m course_lib.train: by name, on painted pictures and on files, with errors that help."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import PROJECT
from PIL import Image
from test_engine_distributed import torchrun

from course_lib import train
from course_lib._train_data import HELD_OUT, from_files, painted
from course_lib.data import CocoDetection, Shapes, write_coco
from course_lib.models import DETECTORS, create_detector

SHORT = ["--steps", "2", "--size", "16", "--eval", "4", "--side", "64", "--device", "cpu"]


def run(*args: str) -> int:
    return train.main([*args, "--progress", "none"])


@pytest.mark.parametrize("name", ["retinanet", "yolo"])
@pytest.mark.parametrize("data", ["shapes", "digits"])
def test_a_detector_by_name(name: str, data: str, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "result.json"
    assert run(name, "--data", data, *SHORT, "--json", str(file)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    record = json.loads(file.read_text())
    K = {"shapes": 3, "digits": 10}[data]
    params = sum(p.numel() for p in create_detector(name, K).parameters())
    assert out.startswith(
        f"{name}: {params:,} parameters, {K} classes; 16 images to learn from, 4 to evaluate on; "
        "cpu\n"
    )
    assert "AP50  Average Precision" in out
    assert record["detector"] == name
    assert record["params"] == params
    assert record["steps"] == 2
    assert record["seconds"] > 0
    assert record["images_per_second"] == pytest.approx(2 * 16 / record["seconds"], rel=0.01)
    assert 0 <= record["AP"] <= record["AP50"] <= 1
    assert (record["data"], record["seed"], record["device"]) == (data, 0, "cpu")


def test_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.train", "retinanet", *SHORT],
        capture_output=True, text=True, cwd=PROJECT, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(r"^2 steps in \d+\.\d s, loss ", done.stdout, re.MULTILINE)
    wrong = subprocess.run(
        [sys.executable, "-m", "course_lib.train", "retina"],
        capture_output=True, text=True, cwd=PROJECT, timeout=300, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_two_processes(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    out = torchrun(
        "--nproc-per-node", "2", "-m", "course_lib.train", "retinanet", *SHORT, "--json", str(file)
    )
    assert out.count("retinanet: ") == 1, "one of them speaks"
    assert "cpu, 2 processes" in out
    record = json.loads(file.read_text())
    assert record["processes"] == 2
    assert record["steps"] == 2


def test_the_seed_decides(tmp_path: Path) -> None:
    records = []
    for seed in ("0", "0", "1"):
        assert run("retinanet", *SHORT, "--seed", seed, "--json", str(tmp_path / "r.json"),
                   "--checkpoint", str(tmp_path / f"{len(records)}.pt")) == 0  # fmt: skip
        records.append(torch.load(tmp_path / f"{len(records)}.pt")["model"])
    first, same, other = records
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first["backbone.body.conv1.weight"], other["backbone.body.conv1.weight"])


def test_stopped_and_resumed(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    whole, broken = (tmp_path / f"{name}.pt" for name in ("whole", "broken"))
    longer = [*SHORT, "--steps", "4"]
    assert run("retinanet", *longer, "--checkpoint", str(whole)) == 0

    def stopped(model: Any, dataset: Any, config: Any, **options: Any) -> Any:
        def stop(moment: Any) -> None:
            if moment.step == 3:
                os.kill(os.getpid(), signal.SIGINT)

        return real_fit(model, dataset, config, on_step=stop, **options)

    real_fit = train.fit
    monkeypatch.setattr(train, "fit", stopped)
    assert run("retinanet", *longer, "--checkpoint", str(broken)) == 130
    assert "stopped; go on with --resume" in capsys.readouterr().err
    monkeypatch.setattr(train, "fit", real_fit)
    assert run("retinanet", *longer, "--checkpoint", str(broken), "--resume") == 0
    states = [torch.load(file)["model"] for file in (whole, broken)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["retinanett"], "there is no detector 'retinanett'; did you mean retinanet? There are: "),
        (["xyz"], f"there is no detector 'xyz'; There are: {', '.join(DETECTORS)}"),
        (["yolo", "--data", "shape"], "no data or file 'shape'; did you mean shapes?"),
        (["yolo", "--data", "nowhere.json"], "no data or file 'nowhere.json'"),
        (["yolo", "--device", "gpu"], "'gpu' is no device; cpu, cuda, cuda:1 or mps"),
        (["yolo", "--json", "/nowhere/at/all.json"], "--json: there is no folder /nowhere/at"),
        (["yolo", "--checkpoint", "/"], "--checkpoint: / is a folder, name a file in it"),
        (["yolo", "--resume"], "--resume needs --checkpoint FILE"),
        (["yolo", "--lr", "-1", *SHORT], "lr must be above 0, got -1.0"),
    ],
)
def test_wrong_commands(args: list[str], message: str, capsys: Any) -> None:
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("course_lib.train: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_a_device_that_is_not_there(capsys: Any) -> None:
    assert run("yolo", "--device", "cuda:1") == 2
    assert "--device: PyTorch finds no cuda device on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["yolo", "--steps", "0"], ["yolo", "--steps", "2", "--seconds", "3"], []])  # fmt: skip
def test_what_argparse_refuses(args: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(*args)
    assert stopped.value.code == 2
    assert "usage: python -m course_lib.train" in capsys.readouterr().err


def test_a_loss_that_is_not_finite(capsys: Any) -> None:
    assert run("retinanet", *SHORT, "--steps", "30", "--lr", "1e30") == 1
    err = capsys.readouterr().err
    assert "course_lib.train: not finite at step" in err
    assert "try a smaller lr (1e+29)" in err


# --- data ----------------------------------------------------------------------------------------


def test_no_picture_is_learnt_from_and_evaluated_on() -> None:
    seen: set[bytes] = set()
    for name in ("shapes", "digits", "meadows"):
        for seed in (0, 1):
            data = painted(name, 3, 3, None, seed)
            for part in (data.train, data.valid):
                pictures = {part[i][0].numpy().tobytes() for i in range(3)}
                assert not pictures & seen
                seen |= pictures
    assert len(seen) == 3 * 2 * 6
    data = painted("digits", 3, 3, None, 0)
    assert data.train.train
    assert not data.valid.train, "other handwriting"


@pytest.mark.parametrize("name", ["shapes", "digits", "meadows"])
def test_the_side(name: str) -> None:
    data = painted(name, 2, 2, 96, 0)
    assert all(min(part[i][0].shape[1:]) == 96 for part in (data.train, data.valid) for i in (0, 1))


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """21 pictures with a JSON file, in a folder of their own."""
    folder = tmp_path / "coco"
    write_coco(Shapes(21, side=64), folder)
    return folder


def voc(folder: Path, **lists: list[int]) -> Path:
    """Pictures with one object each, as Pascal VOC has them; lists: the numbers in each."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for name, numbers in lists.items():
        for i in numbers:
            Image.new("RGB", (64, 48), (i * 9, 0, 0)).save(folder / "JPEGImages" / f"{i}.jpg")
            kind = "cat" if i % 2 else "dog"
            (folder / "Annotations" / f"{i}.xml").write_text(
                "<annotation><size><width>64</width><height>48</height><depth>3</depth></size>"
                f"<object><name>{kind}</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>30</xmax>"
                "<ymax>40</ymax></bndbox></object></annotation>"
            )
        text = "".join(f"{i}\n" for i in numbers)
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    return folder


def files(path: Path, **options: Any) -> Any:
    given = dict.fromkeys(("images", "valid", "valid_images", "side")) | {"on_error": "refuse"}
    return from_files(path, **{**given, **options})


def ids(dataset: Any) -> list[int]:
    return [dataset[i][1]["image_id"] for i in range(len(dataset))]


def test_a_coco_file_keeps_every_tenth_picture(coco: Path) -> None:
    data = files(coco / "annotations.json")
    everything = ids(CocoDetection(coco / "annotations.json", coco / "images"))
    assert HELD_OUT == 10
    assert ids(data.valid) == [everything[9], everything[19]]
    assert sorted(ids(data.train) + ids(data.valid)) == sorted(everything)
    assert data.train.classes == data.valid.classes == Shapes().classes
    assert "21 images" in data.notes[0]


def test_two_coco_files(coco: Path, tmp_path: Path) -> None:
    other = write_coco(Shapes(3, seed=1, side=64), tmp_path / "other")
    data = files(coco / "annotations.json", valid=other, side=32)
    assert (len(data.train), len(data.valid)) == (21, 3)
    assert data.train[0][0].shape == data.valid[0][0].shape == (3, 32, 32)
    fewer = write_coco(Shapes(3, classes=("star",)), tmp_path / "fewer")
    with pytest.raises(ValueError, match=r"must have the same classes, got .* and star"):
        files(coco / "annotations.json", valid=fewer)


def test_images_elsewhere(coco: Path, tmp_path: Path) -> None:
    (coco / "images").rename(tmp_path / "pictures")
    assert len(files(coco / "annotations.json", images=tmp_path / "pictures").train) == 19


@pytest.mark.parametrize(
    ("lists", "train", "valid"),
    [
        ({"trainval": [1, 2, 3], "test": [4, 5]}, 3, 2),
        ({"train": [1, 2, 3], "val": [4, 6]}, 3, 2),
        ({"train": [1, 2], "val": [3, 4], "trainval": [1, 2, 3, 4]}, 2, 2),
        ({"trainval": list(range(20))}, 18, 2),
        ({"train": list(range(10))}, 9, 1),
    ],
    ids=str,
)
def test_the_lists_of_voc(
    lists: dict[str, list[int]], train: int, valid: int, tmp_path: Path
) -> None:
    data = files(voc(tmp_path / "voc", **lists))
    assert (len(data.train), len(data.valid)) == (train, valid)
    assert data.train.classes == data.valid.classes == ("cat", "dog")
    assert data.train[0][1]["boxes"].tolist() == [[4, 5, 30, 40]]


def test_another_voc_folder_to_evaluate_on(tmp_path: Path) -> None:
    data = files(
        voc(tmp_path / "a", trainval=[1, 2, 3], test=[4]),
        valid=voc(tmp_path / "b", test=[5, 6], trainval=[7]),
    )
    assert (len(data.train), len(data.valid)) == (3, 2)


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_a_training_on_files(kind: str, coco: Path, tmp_path: Path, capsys: Any) -> None:
    folder = voc(tmp_path / "voc", train=[1, 2, 3, 4], val=[5, 6])
    path = coco / "annotations.json" if kind == "coco" else folder
    assert run("retinanet", "--data", str(path), "--steps", "1", "--batch-size", "4",
               "--device", "cpu") == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "no problems" in out
    assert "classes; 19 images" in out or "2 classes; 4 images to learn from, 2 to" in out


def test_broken_files_are_refused_or_left_out(tmp_path: Path, capsys: Any) -> None:
    folder = voc(tmp_path / "voc", train=[1, 2, 3, 4], val=[5, 6])
    (folder / "JPEGImages" / "3.jpg").unlink()
    command = ["retinanet", "--data", str(folder), "--steps", "1", "--batch-size", "2"]
    assert run(*command, "--device", "cpu") == 2
    assert "3.jpg" in capsys.readouterr().err
    assert run(*command, "--device", "cpu", "--on-error", "skip") == 0
    out = capsys.readouterr().out
    assert "missing image" in out
    assert "3 images to learn from" in out
