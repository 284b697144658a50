"""evaluate and predict: sizes, kinds of images, batches, tiles, and that nothing is left changed."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_detector import COLORS, Squares, tiny
from torch import Tensor

from course_lib.data import collate
from course_lib.engine import Ema, FitConfig, evaluate, fit, merge_parts, predict, tile_windows
from course_lib.engine.tiles import Part
from course_lib.metrics import evaluate_coco_images
from course_lib.models.detector import Detector


class Seer(Detector):
    """Finds rectangles of pure colour, all of them and nothing else: what is known of its inputs.

    Each colour is one object (connected or not): the tests draw one of each. `seen` notes the
    sizes of the batches it was given.
    """

    colors = (*COLORS, (60, 60, 255))

    def __init__(self, stride: int = 4) -> None:
        super().__init__(3, stride=stride, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.dummy = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[tuple[int, int]]] = []
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        return images

    def loss(self, images: Any, targets: Any) -> dict[str, Tensor]:
        return {"nothing": self.dummy.sum()}

    def detect(self, images: Any) -> list[dict[str, Tensor]]:
        batch, sizes = self.prepare(images)
        self.seen.append(sizes)
        self.modes.append(self.training)
        assert 0 <= batch.min() <= batch.max() <= 1
        found = []
        for image, (height, width) in zip(batch, sizes, strict=True):
            rows = []
            for label, color in enumerate(self.colors):
                wanted = image.new_tensor(color)[:, None, None] / 255
                at = ((image - wanted).abs().amax(0) < 0.2)[:height, :width].nonzero()
                if len(at):
                    (y1, x1), (y2, x2) = at.amin(0).tolist(), (at.amax(0) + 1).tolist()
                    rows.append([x1, y1, x2, y2, 0.9 - label / 10, label])
            table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
            output = {"boxes": table[:, :4], "scores": table[:, 4], "labels": table[:, 5].long()}
            found.append({**output, "extra": torch.arange(len(table))})
        return found


def picture(*boxes: Sequence[int], size: tuple[int, int] = (40, 60)) -> Tensor:
    """Box k in colour k on black; None leaves a colour out."""
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for (x1, y1, x2, y2), color in zip(boxes, Seer.colors, strict=False):
        image[:, y1:y2, x1:x2] = torch.tensor(color, dtype=torch.uint8)[:, None, None]
    return image


BOX = [10, 5, 22, 19]

# --- evaluate ------------------------------------------------------------------------------------


class Pictures:
    classes = ("a", "b", "c")

    def __init__(self, *rows: tuple[Tensor, list[list[int]]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        image, boxes = self.rows[index]
        labels = torch.arange(len(boxes))
        return image, {"boxes": torch.tensor(boxes).float().reshape(-1, 4), "labels": labels}


def test_perfect_is_1_with_empty_pictures_and_many_sizes() -> None:
    other = [1, 2, 9, 33]
    data = Pictures(
        (picture(BOX, other), [BOX, other]),
        (picture(), []),
        (picture(BOX, size=(19, 22)), [BOX]),
        (picture(other, size=(64, 30)), [other]),
    )
    model = Seer()
    for batch_size in (1, 2, 4):
        assert evaluate(model, data, batch_size=batch_size)["AP"] == pytest.approx(1)
    assert model.seen[-1] == [(40, 60), (40, 60), (19, 22), (64, 30)], "without padding"
    wrong = Pictures((picture(BOX), [BOX]), (picture(BOX), []), (picture(), [BOX]))
    assert 0 < evaluate(model, wrong)["AP"] < 1
    assert evaluate(model, Pictures((picture(), [])))["AP"] == -1


def test_evaluate_is_detect_and_the_metrics() -> None:
    model, data = tiny(), Squares(10)
    fit(model, data, FitConfig.of(model, steps=40), progress="none")
    images, targets = collate([data[i] for i in range(10)])
    expected = evaluate_coco_images(targets, model.detect(images))
    assert expected["AP50"] > 0.2
    for options in ({}, {"batch_size": 3}, {"workers": 2}):
        result = evaluate(model, data, **options)
        assert result.stats == pytest.approx(expected.stats, abs=1e-6)


def test_the_modes_are_put_back() -> None:
    model = tiny()
    model.train()
    model.net[1].eval()  # a frozen norm
    before = [module.training for module in model.modules()]
    statistics = model.net[1].running_mean.clone()
    evaluate(model, Squares(4))
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model.net[1].running_mean, statistics)
    seer = Seer().train()
    evaluate(seer, Squares(2))
    predict(seer, picture(BOX))
    assert seer.modes == [False, False]
    assert seer.training


def test_with_averaged_weights() -> None:
    model, data = tiny(), Squares(10)
    fit(model, data, FitConfig.of(model, steps=40), progress="none")
    expected = evaluate(model, data)
    ema = Ema(model, 0.9)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert evaluate(model, data)["AP50"] <= 0
    assert evaluate(model, data, ema=ema).stats == pytest.approx(expected.stats)
    assert all((p == 0).all() for p in model.parameters())


def test_area_and_crowds_are_respected() -> None:
    class Areas(Pictures):
        def __getitem__(self, index: int) -> Any:
            image, target = super().__getitem__(index)
            return image, {**target, "area": torch.tensor([2000.0]), "iscrowd": torch.tensor([0])}

    result = evaluate(Seer(), Areas((picture(BOX), [BOX])))
    assert result["APm"] == pytest.approx(1), "its area says medium, its box small"
    assert result["APs"] == -1


# --- predict -------------------------------------------------------------------------------------


def as_file(image: Tensor, path: Path) -> Path:
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


KINDS = {
    "uint8 tensor": lambda image, folder: image,
    "float tensor": lambda image, folder: image / 255,
    "uint8 array": lambda image, folder: image.permute(1, 2, 0).numpy(),
    "float array": lambda image, folder: image.permute(1, 2, 0).numpy() / 255,
    "path": lambda image, folder: as_file(image, folder / "picture.png"),
    "name": lambda image, folder: str(as_file(image, folder / "picture.png")),
    "list": lambda image, folder: [image],
    "batch": lambda image, folder: image[None] / 255,
    "array of images": lambda image, folder: image.permute(1, 2, 0).numpy()[None],
    "generator": lambda image, folder: (each for each in [image]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image(kind: str, tmp_path: Path) -> None:
    (found,) = predict(Seer(), KINDS[kind](picture(BOX), tmp_path))
    assert found["boxes"].tolist() == [BOX]
    assert found["labels"].tolist() == [0]
    assert found["extra"].tolist() == [0]


def test_grey_images() -> None:
    (found,) = predict(Seer(), np.zeros((30, 20)))
    assert len(found["boxes"]) == 0
    assert predict(Seer(), []) == []


def test_only_images_of_one_padded_size_share_a_batch() -> None:
    sizes = [(40, 60), (38, 57), (40, 61), (40, 60), (20, 60), (40, 60), (37, 60)]
    model = Seer(stride=4)
    found = predict(model, [picture(BOX, size=size) for size in sizes], batch_size=3)
    assert [each["boxes"].tolist() for each in found] == [[BOX]] * 7
    assert model.seen == [
        [(40, 60), (38, 57), (40, 60)],
        [(40, 61)],
        [(20, 60)],
        [(40, 60), (37, 60)],
    ]


def test_company_changes_nothing() -> None:
    model = tiny()
    fit(model, Squares(32), FitConfig.of(model, steps=60), progress="none")
    images = [Squares(5, seed=2, side=side)[i][0] for i, side in enumerate((32, 31, 40, 32, 29))]
    together = predict(model, images)
    assert sum(len(found["boxes"]) for found in together) > 4
    for image, found in zip(images, together, strict=True):
        (alone,) = predict(model, image)
        for key in ("boxes", "scores"):
            torch.testing.assert_close(found[key], alone[key], rtol=1e-4, atol=1e-4)


def test_the_score_threshold() -> None:
    image = picture(BOX, [30, 20, 40, 30], [50, 20, 60, 30])
    (found,) = predict(Seer(), image, score_threshold=0.75)
    assert found["labels"].tolist() == [0, 1]
    assert found["extra"].tolist() == [0, 1]
    assert torch.equal(predict(Seer(), image)[0]["labels"], torch.arange(3))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.zeros(5, 4, 4), ValueError, r"images\[1\]: an image tensor must have shape \[3, H"),
        (np.zeros((4, 4, 3)) + 7, ValueError, r"images\[1\]: an image must be uint8, or float"),
        (7, TypeError, r"images\[1\]: an image is a tensor, an array or the name .* got int"),
        ("nowhere.png", FileNotFoundError, r"images\[1\]: nowhere.png: there is no such file"),
    ],
)
def test_what_is_no_image_is_named(image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        predict(Seer(), [picture(BOX), image])


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("hello")
    with pytest.raises(ValueError, match=r"images\[0\]: .*broken.png: "):
        predict(Seer(), tmp_path / "broken.png")


# --- tiles ---------------------------------------------------------------------------------------


def test_windows_by_hand() -> None:
    assert tile_windows((10, 25), 10, 0.2) == [(0, 0, 10, 10), (7, 0, 17, 10), (15, 0, 25, 10)]
    assert tile_windows((8, 9), 10, 0.25) == [(0, 0, 9, 8)]
    assert tile_windows((10, 20), 10, 0) == [(0, 0, 10, 10), (10, 0, 20, 10)]


@pytest.mark.parametrize("size", [(100, 100), (37, 211), (64, 65), (300, 16)])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0.25), (31, 0.5), (64, 0.1), (10, 0.99)])
def test_windows_cover_and_overlap(size: tuple[int, int], tile: int, overlap: float) -> None:
    windows = tile_windows(size, tile, overlap)
    for axis, side in ((1, size[0]), (0, size[1])):
        spans = sorted({(window[axis], window[axis + 2]) for window in windows})
        assert spans[0][0] == 0
        assert spans[-1][1] == side
        for (start, end), (next_start, next_end) in itertools.pairwise(spans):
            assert end - start == min(tile, side) == next_end - next_start
            assert end - next_start >= min(tile * overlap, tile - 1)
    assert len(windows) == len(set(windows))


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0.2), (10, 1.0), (10, -0.1)])
def test_wrong_tiles(tile: int, overlap: float) -> None:
    with pytest.raises(ValueError, match=r"tiles must be|overlap must be"):
        inspect.unwrap(tile_windows)((20, 20), tile, overlap)


@pytest.mark.parametrize("zoom", [1, 2, 1.5])
@pytest.mark.parametrize("whole", [True, False])
def test_every_object_once_wherever_it_lies(zoom: float, whole: bool) -> None:
    """Slid over all places of an image of 6 x 6 tiles, an object is found once, and in full."""
    dice = np.random.default_rng(0)
    model = Seer()
    for _ in range(10):
        w, h = dice.integers(4, 9, 2).tolist()
        x, y = int(dice.integers(0, 96 - w)), int(dice.integers(0, 90 - h))
        box = [x, y, x + w, y + h]
        image = picture(box, size=(90, 96))
        (found,) = predict(model, image, tiles=24, overlap=0.5, zoom=zoom, whole=whole)
        assert len(found["boxes"]) == 1, box
        assert (found["boxes"][0] - torch.tensor(box)).abs().max() <= (0 if zoom == 1 else 1)
        assert set(found) == {"boxes", "scores", "labels"}


def test_a_large_object_is_one_where_the_image_is_seen_whole() -> None:
    large, small = [5, 10, 80, 55], [82, 60, 88, 66]
    image = picture(large, small, size=(90, 96))
    (found,) = predict(Seer(), image, tiles=32)
    assert found["boxes"].tolist() == [large, small]
    (pieces,) = predict(Seer(), image, tiles=32, whole=False)
    assert len(pieces["boxes"]) > 2


def test_zoom_shows_larger_pictures() -> None:
    model = Seer()
    predict(model, picture(BOX, size=(20, 30)), tiles=20, zoom=2, whole=False, overlap=0)
    assert model.seen == [[(40, 40), (40, 40)]]
    model.seen.clear()
    predict(model, picture(BOX, size=(20, 20)), tiles=20)
    assert model.seen == [[(20, 20)]], "a tile that is the whole image is not looked at twice"


def part(window: tuple[int, int, int, int], *rows: list[float]) -> Part:
    """rows: x1, y1, x2, y2, score, label."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    found = {"boxes": table[:, :4], "scores": table[:, 4], "labels": table[:, 5].long()}
    return Part(window, found)


def test_merging_by_hand() -> None:
    left, right = (0, 0, 50, 50), (30, 0, 80, 50)
    merged = merge_parts(
        [
            part(
                left,
                [40, 10, 50, 20, 0.99, 0],  # cut at x = 50, and the object is whole on the right
                [40, 30, 50, 40, 0.5, 2],  # cut, but on the right there is another class
                [5, 0, 15, 10, 0.6, 1],  # at the image's own border: whole
                [32, 22, 36, 28, 0.4, 1],  # in both windows
            ),
            part(
                right,
                [40, 10, 58, 20, 0.7, 0],
                [40, 30, 58, 40, 0.3, 1],
                [32, 22, 36, 28, 0.45, 1],
            ),
        ],
        (50, 80),
    )
    assert merged["scores"].tolist() == pytest.approx([0.7, 0.6, 0.5, 0.45, 0.3])
    assert merged["boxes"][0].tolist() == [40, 10, 58, 20]
    assert merged["labels"].tolist() == [0, 1, 2, 1, 1]


def test_merging_nothing() -> None:
    merged = merge_parts([part((0, 0, 9, 9)), part((5, 0, 14, 9))], (9, 14))
    assert merged["boxes"].shape == (0, 4)
    assert merged["scores"].shape == merged["labels"].shape == (0,)
