"""course_lib.data.readers: what is right is read exactly, and what is wrong is named, in every way.

Each mangled dataset is read three times: refused, skipped, clipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as run_lengths
from torch import Tensor

from course_lib.data import CocoDetection, DataError, Shapes, VocDetection, read_image
from course_lib.data.annotations import write_coco
from course_lib.data.readers import KINDS, VOC_CLASSES
from course_lib.data.readers.outlines import _uncompress

# --- a small dataset of each kind ----------------------------------------------------------------

SIZES = {1: (40, 60), 2: (30, 50), 5: (48, 48)}  # id: (H, W)


def noise(H: int, W: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)


def coco_content() -> dict[str, Any]:
    return {
        "images": [
            {"id": i, "file_name": f"deep/{i}.png", "height": H, "width": W}
            for i, (H, W) in SIZES.items()
        ],
        "categories": [
            {"id": 7, "name": "cat", "keypoints": ["nose", "tail"]}, {"id": 3, "name": "dog"},
        ],
        "annotations": [
            {"id": 10, "image_id": 1, "category_id": 7, "bbox": [1.5, 2, 10, 20], "area": 120.5,
             "iscrowd": 0, "segmentation": [[2, 2, 11, 2, 11, 22, 2, 22]],
             "keypoints": [3, 4, 2, 0, 0, 0]},
            {"id": 11, "image_id": 1, "category_id": 3, "bbox": [30, 10, 30, 30],
             "segmentation": {"size": [40, 60], "counts": [40 * 30, 40 * 30]}, "iscrowd": 1},
            {"id": 12, "image_id": 5, "category_id": 3, "bbox": [0, 0, 48.3, 48.4], "area": 9,
             "segmentation": [[0, 0, 9, 0, 9, 9]]},
        ],
    }  # fmt: skip


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for i, (H, W) in SIZES.items():
        Image.fromarray(noise(H, W, i)).save(tmp_path / "images" / "deep" / f"{i}.png")
    (tmp_path / "all.json").write_text(json.dumps(coco_content()), encoding="utf-8")
    return tmp_path


def read_coco(folder: Path, **options: Any) -> CocoDetection:
    return CocoDetection(folder / "all.json", folder / "images", **options)


VOC = {
    "000001": ((40, 60), [("dog", (1, 1, 60, 40), 0), ("cat", (5, 6, 5, 6), 1)]),
    "2008_000002": ((30, 50), []),
    "000007": ((48, 48), [("person", (3, 4, 20, 30), 0)]),
}


def voc_xml(name: str, size: tuple[int, int], objects: list[Any]) -> str:
    rows = "".join(
        f"<object><name>{label}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
        "</bndbox></part></object>"
        for label, (x1, y1, x2, y2), difficult in objects
    )
    return (
        f"<annotation><folder>VOC2007</folder><filename>{name}.jpg</filename><size>"
        f"<width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{rows}</annotation>"
    )


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2007"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for k, (name, (size, objects)) in enumerate(VOC.items()):
        Image.fromarray(noise(*size, k)).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        text = voc_xml(name, size, objects)
        (root / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("\n".join(VOC) + "\n")
    return root


# --- what is right -------------------------------------------------------------------------------


def test_coco_is_read_exactly(coco: Path) -> None:
    data = read_coco(coco, masks=True, keypoints=True)
    assert data.classes == ("dog", "cat")
    assert data.category_ids == (3, 7)
    assert data.keypoint_names == ("nose", "tail")
    assert len(data) == 3
    assert str(data.report).endswith("3 images, 3 objects, no problems")
    image, target = data[0]
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), noise(40, 60, 1))
    assert target["image_id"] == 1
    assert target["boxes"].tolist() == [[1.5, 2, 11.5, 22], [30, 10, 60, 40]]
    assert target["labels"].tolist() == [1, 0]
    assert target["area"].tolist() == [120.5, 900]
    assert target["iscrowd"].tolist() == [0, 1]
    assert target["keypoints"].tolist() == [[[3.5, 4.5, 2], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    expected = np.zeros((2, 40, 60), dtype=bool)
    expected[0, 2:22, 2:11] = True
    expected[1, :, 30:] = True
    np.testing.assert_array_equal(target["masks"].numpy(), expected)
    _, empty = data[1]
    assert empty["image_id"] == 2
    assert [tuple(empty[k].shape) for k in ("boxes", "labels", "masks", "keypoints", "area")] == [
        (0, 4), (0,), (0, 30, 50), (0, 2, 3), (0,),
    ]  # fmt: skip
    assert data[-1][1]["boxes"].tolist() == [[0, 0, 48, 48]]  # less than half a pixel too far


def test_voc_counts_from_one_and_to_the_last(voc: Path) -> None:
    data = VocDetection(voc)
    assert data.classes == VOC_CLASSES
    assert data.names == tuple(VOC)
    assert str(data.report).endswith("3 images, 3 objects, no problems")
    image, target = data[0]
    assert image.shape == (3, 40, 60)
    assert target["boxes"].tolist() == [[0, 0, 60, 40], [4, 5, 5, 6]]
    assert [VOC_CLASSES[k] for k in target["labels"]] == ["dog", "cat"]
    assert target["difficult"].tolist() == [0, 1]
    assert target["area"].tolist() == [2400, 1]
    assert target["image_id"] == 0
    assert [data[i][1]["image_id"] for i in range(3)] == [0, 1, 2]
    assert data[1][1]["boxes"].shape == (0, 4)
    assert VocDetection(voc, keep_difficult=False)[0][1]["boxes"].tolist() == [[0, 0, 60, 40]]
    own = VocDetection(voc, classes=None)
    assert own.classes == ("cat", "dog", "person")
    assert own[2][1]["labels"].tolist() == [2]
    with pytest.raises(ValueError, match="classes must differ"):
        VocDetection(voc, classes=("dog", "cat", "dog", "person"))


def test_targets_have_the_form_of_the_course(coco: Path, voc: Path) -> None:
    for data in (read_coco(coco), VocDetection(voc)):
        for image, target in (data[i] for i in range(len(data))):
            assert image.dtype == torch.uint8
            assert image.is_contiguous()
            types = {k: v.dtype for k, v in target.items() if isinstance(v, Tensor)}
            assert types["boxes"] == types["area"] == torch.float32
            assert types["labels"] == types["iscrowd"] == torch.int64
            assert isinstance(target["image_id"], int)
        with pytest.raises(IndexError, match="outside a dataset of 3"):
            data[3]


def test_a_cache_keeps_pictures_and_gives_copies(coco: Path) -> None:
    data = read_coco(coco, cache=True)
    first = data[0][0].clone()
    data[0][0].zero_()
    shutil.rmtree(coco / "images")
    assert torch.equal(data[0][0], first)
    with pytest.raises(ValueError, match=r"no such file \(missing image\)"):
        data[1]


@pytest.mark.parametrize("crowds", [0.0, 1.0])
def test_what_is_written_is_read_again(tmp_path: Path, crowds: float) -> None:
    shapes = Shapes(6, crowds=crowds, masks=True, keypoints=True)
    write_coco(shapes, tmp_path)
    read = CocoDetection(
        tmp_path / "annotations.json", tmp_path / "images", masks=True, keypoints=True
    )
    assert read.classes == shapes.classes
    assert read.keypoint_names == shapes.keypoint_names
    for i in range(6):
        (image, target), (again, truth) = read[i], shapes[i]
        assert torch.equal(image, again)
        for key in ("boxes", "labels", "area", "iscrowd", "masks", "keypoints"):
            assert torch.equal(target[key], truth[key]), key


# --- what is wrong with COCO ---------------------------------------------------------------------

Content = dict[str, Any]
Mangle = Callable[[Content, Path], Any]


def put(*path: Any, value: Any) -> Mangle:
    """Put a value at a place of the content."""

    def mangle(content: Content, folder: Path) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return mangle


def drop(*path: Any) -> Mangle:
    def mangle(content: Content, folder: Path) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return mangle


def file(name: str, how: Callable[[Path], Any]) -> Mangle:
    return lambda content, folder: how(folder / "images" / "deep" / name)


def first(key: str, value: Any) -> Mangle:
    return put("annotations", 0, key, value=value)


def again(key: str) -> Mangle:
    return lambda content, folder: content[key].append(dict(content[key][0]))


# name: how, kind, where it is said to be, and (images, objects) left when it is skipped
COCO_MANGLED: dict[str, tuple[Mangle, str, str, tuple[int, int]]] = {
    "no file name": (drop("images", 0, "file_name"), "missing field", "image 1", (2, 1)),
    "image without id": (drop("images", 0, "id"), "missing field", "a image without id", (2, 1)),
    "no height": (drop("images", 1, "height"), "missing field", "image 2", (2, 3)),
    "height as text": (put("images", 1, "height", value="30"), "wrong type", "image 2", (2, 3)),
    "width zero": (put("images", 1, "width", value=0), "bad number", "image 2", (2, 3)),
    "image twice": (again("images"), "duplicate id", "image 1", (3, 3)),
    "an image that is a text": (put("images", 1, value="2.png"), "wrong type", "images[1]", (2, 3)),
    "image file gone": (file("1.png", Path.unlink), "missing image", "image 1", (2, 1)),
    "image file empty": (file("1.png", lambda p: p.write_bytes(b"")), "unreadable image", "image 1", (2, 1)),
    "image file is text": (file("1.png", lambda p: p.write_text("<html>")), "unreadable image", "image 1", (2, 1)),
    "image file is a folder": (file("1.png", lambda p: (p.unlink(), p.mkdir())), "unreadable image", "image 1", (2, 1)),
    "image of another size": (file("1.png", lambda p: Image.fromarray(noise(40, 61, 0)).save(p)), "wrong size", "image 1", (2, 1)),
    "name leads out": (put("images", 0, "file_name", value="../all.json"), "missing image", "image 1", (2, 1)),
    "name is absolute": (put("images", 0, "file_name", value="/etc/hostname"), "missing image", "image 1", (2, 1)),
    "annotation without id": (drop("annotations", 0, "id"), "missing field", "a annotation without id", (3, 2)),
    "annotation twice": (again("annotations"), "duplicate id", "annotation 10", (3, 3)),
    "unknown image": (first("image_id", 99), "unknown image", "annotation 10", (3, 2)),
    "image id as text": (first("image_id", "1"), "wrong type", "annotation 10", (3, 2)),
    "unknown class": (first("category_id", 8), "unknown class", "annotation 10", (3, 2)),
    "no class": (drop("annotations", 0, "category_id"), "missing field", "annotation 10", (3, 2)),
    "no box": (drop("annotations", 0, "bbox"), "missing field", "annotation 10", (3, 2)),
    "box of three": (first("bbox", [1, 2, 3]), "wrong type", "annotation 10", (3, 2)),
    "box as text": (first("bbox", "1 2 3 4"), "wrong type", "annotation 10", (3, 2)),
    "a text in the box": (first("bbox", [1, 2, "3", 4]), "wrong type", "annotation 10", (3, 2)),
    "true in the box": (first("bbox", [1, 2, True, 4]), "wrong type", "annotation 10", (3, 2)),
    "NaN in the box": (first("bbox", [1, 2, float("nan"), 4]), "bad number", "annotation 10", (3, 2)),
    "infinity in the box": (first("bbox", [1, 2, float("inf"), 4]), "bad number", "annotation 10", (3, 2)),
    "a number of 400 digits": (first("bbox", [1, 2, 10**400, 4]), "bad number", "annotation 10", (3, 2)),
    "no width": (first("bbox", [1, 2, 0, 4]), "empty box", "annotation 10", (3, 2)),
    "negative height": (first("bbox", [1, 2, 3, -4]), "empty box", "annotation 10", (3, 2)),
    "box wholly outside": (first("bbox", [70, 2, 3, 4]), "box outside", "annotation 10", (3, 2)),
    "area not a number": (first("area", "big"), "wrong type", "annotation 10", (3, 2)),
    "negative area": (first("area", -1), "bad number", "annotation 10", (3, 2)),
    "half a crowd": (first("iscrowd", 0.5), "bad number", "annotation 10", (3, 2)),
    "polygon of two points": (first("segmentation", [[1, 1, 2, 2]]), "bad mask", "annotation 10", (3, 2)),
    "polygon of seven numbers": (first("segmentation", [[1, 1, 2, 2, 3, 3, 4]]), "bad mask", "annotation 10", (3, 2)),
    "polygon with NaN": (first("segmentation", [[1, 1, 2, float("nan"), 3, 3]]), "bad mask", "annotation 10", (3, 2)),
    "no polygons": (first("segmentation", []), "bad mask", "annotation 10", (3, 2)),
    "mask as a text": (first("segmentation", "abc"), "bad mask", "annotation 10", (3, 2)),
    "run lengths of another size": (first("segmentation", {"size": [60, 40], "counts": [2400]}), "bad mask", "annotation 10", (3, 2)),
    "run lengths too long": (first("segmentation", {"size": [40, 60], "counts": [2401]}), "bad mask", "annotation 10", (3, 2)),
    "negative run length": (first("segmentation", {"size": [40, 60], "counts": [-1, 2401]}), "bad mask", "annotation 10", (3, 2)),
    "compressed counts too long": (first("segmentation", {"size": [40, 60], "counts": "ooooo0"}), "bad mask", "annotation 10", (3, 2)),
    "compressed counts cut off": (first("segmentation", {"size": [40, 60], "counts": "PP"}), "bad mask", "annotation 10", (3, 2)),
    "no counts": (first("segmentation", {"size": [40, 60]}), "bad mask", "annotation 10", (3, 2)),
    "no segmentation": (drop("annotations", 0, "segmentation"), "missing field", "annotation 10", (3, 2)),
    "one keypoint too few": (first("keypoints", [1, 2, 2]), "bad keypoints", "annotation 10", (3, 2)),
    "keypoint of no kind": (first("keypoints", [1, 2, 3, 0, 0, 0]), "bad keypoints", "annotation 10", (3, 2)),
    "category twice": (again("categories"), "duplicate id", "category 7", (3, 3)),
    "category without name": (put("categories", 1, "name", value=""), "wrong type", "category 3", (3, 1)),
    "other keypoints": (put("categories", 1, "keypoints", value=["nose"]), "bad keypoints", "category 3", (3, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", COCO_MANGLED)
def test_mangled_coco(coco: Path, name: str) -> None:
    how, kind, where, left = COCO_MANGLED[name]
    content = coco_content()
    how(content, coco)
    (coco / "all.json").write_text(json.dumps(content), encoding="utf-8")
    options = {"masks": True, "keypoints": True}
    with pytest.raises(DataError) as caught:
        read_coco(coco, **options)
    message = str(caught.value)
    assert where in message
    assert f"({kind})" in message
    assert 'on_error="skip" leaves out' in message
    assert {problem.action for problem in caught.value.report.problems} == {"refuse"}
    for action in ("skip", "clip"):
        data = read_coco(coco, on_error=action, **options)
        problem = data.report.problems[0]
        assert (problem.kind, problem.where, problem.action) == (kind, where, "skip")
        assert problem.file
        assert (data.report.images, data.report.objects) == left
        assert data.report.counts[kind] >= 1
        assert (len(data), sum(len(data[i][1]["labels"]) for i in range(len(data)))) == left
    with pytest.raises(DataError):  # only other kinds may be wrong
        read_coco(coco, on_error=dict.fromkeys(KINDS.keys() - {kind}, "skip"), **options)
    assert (
        len(read_coco(coco, on_error=dict.fromkeys(data.report.counts, "skip"), **options))
        == left[0]
    )


def test_boxes_that_reach_out_are_clipped_where_asked(coco: Path) -> None:
    content = coco_content()
    content["annotations"][0]["bbox"] = [-5, 30, 70, 20]
    (coco / "all.json").write_text(json.dumps(content))
    with pytest.raises(
        DataError,
        match=r"annotation 10: the box reaches from \(-5, 30\) to \(65, 50\), the image is 60 wide and 40 high \(box outside\)",
    ):
        read_coco(coco)
    assert read_coco(coco, on_error="skip")[0][1]["boxes"].tolist() == [[30, 10, 60, 40]]
    for on_error in ("clip", {"box outside": "clip"}):
        data = read_coco(coco, on_error=on_error)
        assert data[0][1]["boxes"].tolist() == [[0, 30, 60, 40], [30, 10, 60, 40]]
        assert [problem.action for problem in data.report.problems] == ["clip"]
        assert "cut off at the border" in str(data.report)


BROKEN = {
    "no such file": (None, "broken file", "cannot be read"),
    "empty": (b"  \n", "broken file", "is empty"),
    "no JSON": (b'{"images": [', "broken file", "is no JSON"),
    "no text": (b"\xff\xfe\x00\x81" * 4, "broken file", "is no JSON"),
    "deeply nested": (b"[" * 200_000, "broken file", "is no JSON"),
    "a list": (b"[]", "wrong type", "holds a list"),
    "nothing in it": (b"{}", "missing field", "has no 'images'"),
    "no annotations": (b'{"images": [], "categories": []}', "missing field", "'annotations'"),
    "images as object": (b'{"images": {}, "categories": [], "annotations": []}', "wrong type", "'images' must be a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("on_error", ["refuse", "skip"])
def test_a_file_with_nothing_to_read_is_refused_always(
    tmp_path: Path, name: str, on_error: Any
) -> None:
    words, kind, message = BROKEN[name]
    if words is not None:
        (tmp_path / "all.json").write_bytes(words)
    with pytest.raises(DataError, match=message) as caught:
        CocoDetection(tmp_path / "all.json", tmp_path, on_error=on_error)
    assert [problem.kind for problem in caught.value.report.problems] == [kind]


def test_a_folder_that_is_not_there_is_one_problem(coco: Path) -> None:
    with pytest.raises(DataError, match=r"pictures: is no folder \(missing image\)"):
        CocoDetection(coco / "all.json", coco / "pictures", on_error="skip")
    assert len(CocoDetection(coco / "all.json", coco / "pictures", check="nothing")) == 3


def test_keypoints_of_no_category(coco: Path) -> None:
    content = coco_content()
    del content["categories"][0]["keypoints"]
    (coco / "all.json").write_text(json.dumps(content))
    assert "keypoints" not in read_coco(coco)[0][1]
    with pytest.raises(DataError, match="has no category with 'keypoints'"):
        read_coco(coco, keypoints=True, on_error="skip")


def test_all_problems_are_told_at_once(coco: Path) -> None:
    content = coco_content()
    for row in content["annotations"]:
        row["bbox"][2] = -1
    content["annotations"] += [{**content["annotations"][0], "id": 100 + k} for k in range(30)]
    (coco / "all.json").write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        read_coco(coco)
    message = str(caught.value)
    assert "33 problems" in message
    assert "and 21 more" in message
    assert "empty box (33)" in message
    report = read_coco(coco, on_error="skip").report
    assert report.counts == {"empty box": 33}
    assert report.count("skip") == 33
    assert "33 empty box: has a box without width or height" in str(report)


# --- what is wrong with VOC ----------------------------------------------------------------------


def xml(old: str, new: str, name: str = "000001") -> Callable[[Path], Any]:
    def mangle(root: Path) -> None:
        path = root / "Annotations" / f"{name}.xml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return mangle


def at(path: str, how: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda root: how(root / path)


XML, JPG, LIST = "Annotations/000001.xml", "JPEGImages/000001.jpg", "ImageSets/Main/trainval.txt"

VOC_MANGLED: dict[str, tuple[Callable[[Path], Any], str, str, str, tuple[int, int]]] = {
    "no annotation": (at(XML, Path.unlink), "missing annotation", "000001.xml", "", (2, 1)),
    "empty annotation": (at(XML, lambda p: p.write_bytes(b"")), "broken file", "000001.xml", "", (2, 1)),
    "broken XML": (xml("</size>", ""), "broken file", "000001.xml", "", (2, 1)),
    "not XML": (at(XML, lambda p: p.write_bytes(b"\xff\xd8\xff")), "broken file", "000001.xml", "", (2, 1)),
    "unknown encoding": (at(XML, lambda p: p.write_text('<?xml version="1.0" encoding="klingon"?><annotation/>')), "broken file", "000001.xml", "", (2, 1)),
    "another document": (at(XML, lambda p: p.write_text("<svg/>")), "broken file", "000001.xml", "", (2, 1)),
    "a bomb": (at(XML, lambda p: p.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')), "broken file", "000001.xml", "", (2, 1)),
    "no size": (xml("size>", "sighs>"), "broken file", "000001.xml", "", (2, 1)),
    "no width": (xml("<width>60</width>", ""), "missing field", "000001.xml", "", (2, 1)),
    "width of words": (xml(">60<", ">sixty<"), "wrong type", "000001.xml", "", (2, 1)),
    "half a pixel wide": (xml(">60<", ">60.5<"), "wrong type", "000001.xml", "", (2, 1)),
    "no rows": (xml("<height>40<", "<height>0<"), "bad number", "000001.xml", "", (2, 1)),
    "two sizes": (xml("<segmented>", "<size></size><segmented>"), "duplicate id", "000001.xml", "", (2, 1)),
    "no image": (at(JPG, Path.unlink), "missing image", "000001.jpg", "", (2, 1)),
    "image cut to nothing": (at(JPG, lambda p: p.write_bytes(p.read_bytes()[:20])), "unreadable image", "000001.jpg", "", (2, 1)),
    "image of another size": (at(JPG, lambda p: Image.fromarray(noise(41, 60, 0)).save(p)), "wrong size", "000001.jpg", "", (2, 1)),
    "unknown class": (xml(">dog<", ">wolf<"), "unknown class", "000001.xml", "object 1 (wolf)", (3, 2)),
    "no class": (xml("<name>dog</name>", ""), "missing field", "000001.xml", "object 1 (without name)", (3, 2)),
    "empty class": (xml(">dog<", "> <"), "missing field", "000001.xml", "object 1 (without name)", (3, 2)),
    "no box": (xml("bndbox>", "box>"), "broken file", "000001.xml", "", (2, 1)),
    "box without xmax": (xml("<xmax>60</xmax>", ""), "missing field", "000001.xml", "object 1 (dog)", (3, 2)),
    "empty number": (xml("<xmax>60</xmax>", "<xmax/>"), "missing field", "000001.xml", "object 1 (dog)", (3, 2)),
    "two xmin": (xml("<ymin>1<", "<xmin>3</xmin><ymin>1<"), "duplicate id", "000001.xml", "object 1 (dog)", (3, 2)),
    "number of words": (xml("<xmax>60<", "<xmax>right<"), "wrong type", "000001.xml", "object 1 (dog)", (3, 2)),
    "NaN": (xml("<xmax>60<", "<xmax>nan<"), "bad number", "000001.xml", "object 1 (dog)", (3, 2)),
    "infinity": (xml("<xmax>60<", "<xmax>-inf<"), "bad number", "000001.xml", "object 1 (dog)", (3, 2)),
    "box turned round": (xml("<xmax>60<", "<xmax>-3<"), "empty box", "000001.xml", "object 1 (dog)", (3, 2)),
    "no width of the box": (xml("<xmax>60<", "<xmax>0<"), "empty box", "000001.xml", "object 1 (dog)", (3, 2)),
    "very difficult": (xml("<difficult>0<", "<difficult>2<"), "bad number", "000001.xml", "object 1 (dog)", (3, 2)),
    "listed twice": (at(LIST, lambda p: p.write_text(p.read_text() + "000001\n")), "duplicate id", "trainval.txt", "line 4", (3, 3)),
    "a list of one class": (at(LIST, lambda p: p.write_text(p.read_text() + "000009  1\n")), "broken file", "trainval.txt", "line 4", (3, 3)),
    "a path in the list": (at(LIST, lambda p: p.write_text(p.read_text() + "../../secret\n")), "broken file", "trainval.txt", "line 4", (3, 3)),
    "listed and not there": (at(LIST, lambda p: p.write_text(p.read_text() + "000404\n")), "missing annotation", "000404.xml", "", (3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", VOC_MANGLED)
def test_mangled_voc(voc: Path, name: str) -> None:
    how, kind, file_name, where, left = VOC_MANGLED[name]
    how(voc)
    with pytest.raises(DataError) as caught:
        VocDetection(voc)
    assert f"({kind})" in str(caught.value)
    assert file_name in str(caught.value)
    for action in ("skip", "clip"):
        data = VocDetection(voc, on_error=action)
        (problem,) = data.report.problems
        assert (problem.kind, problem.where, problem.action) == (kind, where, "skip")
        assert problem.file.endswith(file_name)
        assert (data.report.images, data.report.objects) == left
        assert (len(data), sum(len(data[i][1]["labels"]) for i in range(len(data)))) == left
    with pytest.raises(DataError):
        VocDetection(voc, on_error=dict.fromkeys(KINDS.keys() - {kind}, "skip"))
    assert len(VocDetection(voc, on_error={kind: "skip"})) == left[0]


def test_a_folder_that_counts_from_zero_gives_itself_away(voc: Path) -> None:
    xml("<xmin>1<", "<xmin>0<")(voc)
    with pytest.raises(DataError, match=r"object 1 \(dog\): the box reaches from \(-1, 0\)"):
        VocDetection(voc)
    assert VocDetection(voc, on_error="clip")[0][1]["boxes"][0].tolist() == [0, 0, 60, 40]
    assert VocDetection(voc, on_error="skip")[0][1]["boxes"].tolist() == [[4, 5, 5, 6]]


def test_lists_that_are_not_there(voc: Path) -> None:
    with pytest.raises(DataError, match=r"test\.txt: is not there; there are: trainval"):
        VocDetection(voc, "test", on_error="skip")
    with pytest.raises(DataError, match=r"is not there; did you mean .*VOC2007\?"):
        VocDetection(voc.parent)
    with pytest.raises(DataError, match="is not there"):
        VocDetection(voc / "nowhere")
    (voc / LIST).write_text("\n\n")
    with pytest.raises(DataError, match="lists no images"):
        VocDetection(voc, on_error="skip")
    (voc / LIST).write_bytes(b"\xff\xfe\x81")
    with pytest.raises(DataError, match="cannot be read"):
        VocDetection(voc, on_error="skip")


# --- what the head of an image does not tell -----------------------------------------------------


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_an_image_that_is_cut_short(coco: Path, voc: Path) -> None:
    cut_short(coco / "images" / "deep" / "1.png")
    cut_short(voc / JPG)
    for data in (read_coco(coco), VocDetection(voc)):
        assert len(data) == 3
        with pytest.raises(
            ValueError, match=r"1\.(png|jpg): cannot be decoded.*unreadable image.*check="
        ):
            data[0]
        assert data[1][0].shape == (3, 30, 50)
    with pytest.raises(DataError, match=r"image 1: cannot be decoded.* \(unreadable image\)"):
        read_coco(coco, check="pixels")
    assert len(read_coco(coco, check="pixels", on_error="skip")) == 2
    assert len(VocDetection(voc, check="pixels", on_error="skip")) == 2


def test_nothing_is_looked_at_where_nothing_is_asked(coco: Path) -> None:
    (coco / "images" / "deep" / "1.png").unlink()
    Image.fromarray(noise(9, 9, 0)).save(coco / "images" / "deep" / "2.png")
    data = read_coco(coco, check="nothing")
    assert len(data) == 3
    with pytest.raises(ValueError, match="missing image"):
        data[0]
    with pytest.raises(ValueError, match=r"is 9 wide and 9 high, its annotation says 50 and 30"):
        data[1]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_explained(coco: Path) -> None:
    with pytest.raises(
        ValueError, match='on_error must be "refuse", "skip" or "clip", got \'ignore\''
    ):
        read_coco(coco, on_error="ignore")
    with pytest.raises(ValueError, match="no kind 'box out'; there are: broken file, "):
        read_coco(coco, on_error={"box out": "skip"})
    with pytest.raises(ValueError, match='check must be "nothing", "headers" or "pixels"'):
        read_coco(coco, check="all")


# --- image files ---------------------------------------------------------------------------------


def saved(picture: Image.Image, folder: Path, name: str = "x.png", **options: Any) -> Tensor:
    picture.save(folder / name, **options)
    image = read_image(folder / name)
    assert image.dtype == torch.uint8
    assert image.shape[0] == 3
    return image


def test_grey_palette_and_black_and_white(tmp_path: Path) -> None:
    pixels = noise(6, 7, 0)
    grey = saved(Image.fromarray(pixels[..., 0]), tmp_path)
    np.testing.assert_array_equal(grey.numpy(), pixels[..., 0][None].repeat(3, 0))
    few = Image.fromarray(pixels).quantize(4)
    palette = saved(few, tmp_path)
    np.testing.assert_array_equal(palette.permute(1, 2, 0).numpy(), np.array(few.convert("RGB")))
    assert len(np.unique(palette.flatten(1).numpy(), axis=1).T) == 4
    bits = saved(Image.fromarray(pixels[..., 0] > 127), tmp_path)
    assert set(bits.unique().tolist()) == {0, 255}


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), dtype=np.uint8)
    pixels[..., 0] = 200
    pixels[:, 1:, 3] = (51, 255)
    image = saved(Image.fromarray(pixels), tmp_path)
    assert image[:, 0].T.tolist() == [[255, 255, 255], [244, 204, 204], [200, 0, 0]]
    grey = saved(Image.fromarray(pixels[..., [0, 3]]), tmp_path)
    assert grey[0, 0].tolist() == [255, 244, 200]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    image = saved(palette, tmp_path, transparency=0)
    assert image[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 300, 32768, 65535]], dtype=np.uint16)
    for name in ("x.png", "x.tif"):
        image = saved(Image.fromarray(deep), tmp_path, name)
        assert image[1, 0].tolist() == [0, 1, 1, 128, 255]
    Image.fromarray(np.array([[0, 70000]], dtype=np.int32)).save(tmp_path / "deeper.tif")
    with pytest.raises(ValueError, match=r"deeper\.tif: has grey values 0 to 70000, 16 bits"):
        read_image(tmp_path / "deeper.tif")
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif: has float values"):
        read_image(tmp_path / "float.tif")


def test_four_inks(tmp_path: Path) -> None:
    image = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path, "x.jpg", quality=100)
    assert (image[0] > 245).all()
    assert (image[1:] < 10).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_camera_was_held(tmp_path: Path, orientation: int) -> None:
    upright = noise(5, 9, 0)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored))
    image = saved(picture, tmp_path, exif=exif.tobytes())
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), upright)
    asked = read_image(tmp_path / "x.png", (5, 9))
    assert torch.equal(asked, image)
    unturned = read_image(tmp_path / "x.png", (9, 5))  # boxes were drawn on it as it is stored
    if orientation >= 5:
        np.testing.assert_array_equal(unturned.permute(1, 2, 0).numpy(), stored)


def test_both_sizes_of_a_turned_picture_are_right(coco: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(noise(60, 40, 3))
    stored.save(coco / "images" / "deep" / "1.png", exif=exif.tobytes())  # shown 40 high, 60 wide
    assert read_coco(coco)[0][0].shape == (3, 40, 60)
    stored.transpose(Image.Transpose.ROTATE_90).save(
        coco / "images" / "deep" / "1.png", exif=exif.tobytes()
    )
    assert read_coco(coco)[0][0].shape == (3, 40, 60)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_image(tmp_path / "nowhere.png")
    (tmp_path / "words.png").write_text("words")
    with pytest.raises(ValueError, match=r"words\.png: is no image of a known kind"):
        read_image(tmp_path / "words.png")
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path)


def test_run_lengths_are_read_as_pycocotools_writes_them() -> None:
    chance = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        for _ in range(20):
            mask = np.asfortranarray(chance.random((37, 53)) < share)
            counts = run_lengths.encode(mask.astype(np.uint8, order="F"))["counts"].decode()
            lengths = _uncompress(counts)
            value = np.repeat(np.arange(len(lengths)) % 2, lengths).reshape(53, 37).T
            np.testing.assert_array_equal(value, mask)
