"""course_lib.data: the summary counts rightly, and the page and the contact sheet show it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from browser import faults
from playwright.sync_api import Browser
from torch import Tensor

from course_lib import draw
from course_lib.data import (
    CocoDetection,
    Digits,
    Meadows,
    Shapes,
    contact_sheet,
    dataset_summary,
    evaluation_set,
    write_coco,
)
from course_lib.data.__main__ import main
from course_lib.data.page import dataset_page


class Three(torch.utils.data.Dataset):
    """Three pictures, all known by heart."""

    classes = ("cat", "dog & <i>co</i>", "bird")
    boxes = (
        [[0, 0, 10, 20], [5, 5, 37, 37], [0, 0, 96, 96]],
        [],
        [[0, 0, 100, 97], [1, 1, 90, 90]],
    )
    labels = ([0, 1, 1], [], [1, 0])

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> tuple[Tensor, dict[str, Any]]:
        target = {
            "boxes": torch.tensor(self.boxes[i], dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(self.labels[i], dtype=torch.int64),
            "image_id": i,
        }
        if i == 2:
            target["iscrowd"] = torch.tensor([0, 1])
        return torch.full((3, 100, 100 + 20 * i), 50 * i, dtype=torch.uint8), target


class Nothing(Three):
    def __len__(self) -> int:
        return 0


# --- the summary ---------------------------------------------------------------------------------


def test_what_is_counted() -> None:
    summary = dataset_summary(Three())
    assert (summary.name, summary.images, summary.objects, summary.crowds) == ("Three", 3, 4, 1)
    assert summary.per_class == {"cat": 1, "dog & <i>co</i>": 3, "bird": 0}
    assert summary.images_per_class == {"cat": 1, "dog & <i>co</i>": 2, "bird": 0}
    assert summary.sizes == {"small": 1, "medium": 2, "large": 1}  # 96² is medium, 32² too
    assert summary.per_image == Counter({3: 1, 0: 1, 1: 1})
    np.testing.assert_allclose(summary.aspect_ratios, [0.5, 1, 1, 100 / 97])
    assert summary.picture_sizes == Counter({(100, 100): 1, (100, 120): 1, (100, 140): 1})
    words = str(summary)
    assert words.startswith("Three: 3 pictures, 4 objects, 1 crowds")
    assert re.search(r"dog & <i>co</i>  3  █{24}\n", words)
    assert "width over height: 1.00" in words


def test_nothing_at_all_is_a_dataset_too() -> None:
    summary = dataset_summary(Nothing())
    assert (summary.images, summary.objects) == (0, 0)
    assert "0 pictures, 0 objects" in str(summary)
    assert "<h1>Three</h1>" in dataset_page(Nothing(), dataset_summary(Nothing(), "Three"))


def test_areas_decide_what_is_small() -> None:
    """A file's area may be that of a mask."""

    class Own(Three):
        def __getitem__(self, i: int) -> tuple[Tensor, dict[str, Any]]:
            image, target = super().__getitem__(i)
            return image, {**target, "area": torch.full((len(target["labels"]),), 1000.0)}

    assert dataset_summary(Own()).sizes == {"small": 4, "medium": 0, "large": 0}


def test_a_reader_need_not_decode(tmp_path: Path) -> None:
    file = write_coco(Shapes(5, crowds=1.0), tmp_path)
    read = CocoDetection(file, tmp_path / "images")
    for picture in (tmp_path / "images").iterdir():
        picture.unlink()
    read, made = dataset_summary(read), dataset_summary(Shapes(5, crowds=1.0))
    assert read.crowds == made.crowds == 5
    assert read.per_class == made.per_class
    np.testing.assert_allclose(read.area, made.area)
    np.testing.assert_allclose(read.width, made.width)


def test_the_painted_scenes_are_a_dataset() -> None:
    meadows = Meadows(12, seed=1)
    for i, painted in enumerate(evaluation_set(12, seed=1)):
        image, target = meadows[i]
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), painted.image)
        assert torch.equal(target["boxes"], painted.boxes)
        assert torch.equal(target["labels"], painted.labels)
        assert torch.equal(target["iscrowd"] == 1, painted.crowd)
        assert target["image_id"] == i
    target["boxes"].add_(1)
    assert torch.equal(meadows[11][1]["boxes"], painted.boxes)
    assert len(meadows) == 12
    assert torch.equal(meadows[-1][0], image)
    with pytest.raises(IndexError, match="outside a dataset of 12"):
        meadows[12]
    with pytest.raises(ValueError, match="size must be a whole number"):
        Meadows(-1)


# --- the contact sheet ---------------------------------------------------------------------------


def test_a_contact_sheet_shows_pictures_with_their_boxes() -> None:
    fig = contact_sheet(Three(), 3, columns=2)
    shown = [ax for ax in fig.axes if ax.images]
    assert len(shown) == 3
    assert [len(ax.patches) for ax in shown] == [3, 0, 2]
    assert [patch.get_linestyle() for patch in shown[2].patches] == ["-", "--"]
    first = shown[0].patches[0]
    assert (first.get_x(), first.get_y(), first.get_width(), first.get_height()) == (0, 0, 10, 20)
    colors = [patch.get_edgecolor()[:3] for patch in shown[0].patches]
    assert colors[1] == colors[2] != colors[0]
    words = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
    assert words == list(Three.classes)
    assert draw.picture(fig, "Three pictures.", "Grey pictures with boxes.").width > 300


def test_classes_are_written_where_colours_do_not_tell_them() -> None:
    assert contact_sheet(Shapes(3), 2).legends
    fig = contact_sheet(Digits(3), 2)
    assert not fig.legends
    assert draw.picture(fig, "Digits.", "Digits.").data
    plt.close("all")


def test_a_contact_sheet_of_nothing_is_refused() -> None:
    for options in ({"first": 3}, {"n": 0}, {"columns": 0}):
        with pytest.raises(ValueError, match="must be 1 or more and first below 3"):
            contact_sheet(Three(), **options)
    assert len(contact_sheet(Three(), 9, first=2).axes) == 1
    plt.close("all")


# --- the page ------------------------------------------------------------------------------------


def test_the_command_knows_names_files_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in (("shapes", 20), ("digits", 20), ("meadows", 4)):
        assert main([name, "--size", str(size), "--seed", "2"]) == 0
        assert (tmp_path / f"{name}.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        printed = capsys.readouterr().out
        assert f"{name.capitalize()}, seed 2: {size} pictures" in printed
        assert f"{name}.html: open it in a browser" in printed

    file = write_coco(Shapes(5), tmp_path / "coco")
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"][2] = -1
    file.write_text(json.dumps(content))
    assert main([str(file), "--out", "mine.html"]) == 0
    assert "1 empty box" in capsys.readouterr().out
    assert "annotation 1" in (tmp_path / "mine.html").read_text(encoding="utf-8")

    voc = tmp_path / "VOC"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    (voc / "ImageSets/Main/val.txt").write_text("a\n")
    (tmp_path / "coco/images/000000.png").rename(voc / "JPEGImages/a.png")
    (voc / "Annotations/a.xml").write_text(
        "<annotation><size><width>128</width><height>128</height></size><object><name>kite</name>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        "</annotation>"
    )
    assert main([str(voc), "--split", "val", "--any-class", "--out", "voc.html"]) == 0
    assert "VOC, val: 1 pictures, 1 objects" in capsys.readouterr().out
    assert main([str(voc), "--split", "val", "--out", "voc.html"]) == 0
    assert "'kite' is not one of 20 classes" in capsys.readouterr().out


def test_the_command_explains_what_it_cannot_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.json").write_text("")
    for name, message in (
        ("shape", "shape is no file, no folder, and none of shapes, digits, meadows"),
        (str(tmp_path / "empty.json"), "is empty (broken file)"),
        (str(tmp_path), "trainval.txt: is not there"),
    ):
        assert main([name]) == 1
        assert message in capsys.readouterr().err


def test_images_are_found_where_they_usually_are(tmp_path: Path) -> None:
    from course_lib.data.__main__ import _images_of

    file = tmp_path / "annotations" / "instances_val2017.json"
    file.parent.mkdir()
    assert _images_of(file) == file.parent
    for folder in ("images", "val2017", "images/val2017"):  # the closer, the better
        (tmp_path / folder).mkdir()
        assert _images_of(file) == tmp_path / folder
    assert _images_of(tmp_path / "x.json") == tmp_path / "images"


def test_what_a_dataset_says_is_text(tmp_path: Path) -> None:
    """Names come from files: nothing in them becomes part of the page."""
    text = dataset_page(Three(), dataset_summary(Three(), "<script>alert(1)</script>"))
    assert "<script" not in text
    assert "<i>co</i>" not in text
    assert "dog &amp; &lt;i&gt;co&lt;/i&gt;" in text
    assert "http" not in text.replace("data:image", "")


def test_the_page_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    meadows = Meadows(6)
    file = tmp_path / "page.html"
    file.write_text(dataset_page(meadows, dataset_summary(meadows)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 420, "height": 800})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on(
        "request", lambda request: errors.append(request.url) if request.url[:4] == "http" else None
    )
    page.goto(file.as_uri())
    assert page.locator("figure").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    trees = page.locator("figure .class5").count()
    assert trees == dataset_summary(meadows).per_class["tree"]
    assert page.locator("figure .class5:visible").count() == trees
    page.get_by_label("tree", exact=True).uncheck()
    assert page.locator("figure .class5:visible").count() == 0
    assert page.locator("figure .class0:visible").count() > 0
    assert page.locator("figure svg[aria-label^='Picture 0: ']").count() == 1
    rows = page.locator("section:has(h2:text-is('Classes')) tr")
    counts = {row.locator("th").inner_text(): row.locator(".n").inner_text() for row in rows.all()}
    expected = dataset_summary(meadows).per_class
    assert counts == {name: str(n) for name, n in expected.items()}
    assert not errors
    page.close()


def test_the_page_keeps_nobody_out(browser: Browser, tmp_path: Path) -> None:
    file = write_coco(Shapes(3), tmp_path)
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"][2] = -1
    file.write_text(json.dumps(content))
    read = CocoDetection(file, tmp_path / "images", on_error="skip")
    (tmp_path / "page.html").write_text(dataset_page(read, dataset_summary(read)), encoding="utf-8")
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        assert not faults(page)
        page.close()
