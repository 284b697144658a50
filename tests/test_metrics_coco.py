"""evaluate_coco against pycocotools: every number, on datasets made to trip it."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from course_lib.boxes import box_iou
from course_lib.metrics import (
    CocoResult,
    coco_average_precision,
    evaluate_coco,
    evaluate_coco_images,
    match_coco,
)
from course_lib.metrics._pairs import Pairs, match_pairs

H, W = 40, 60  # of the images that masks are drawn in

Rows = list[dict[str, Any]]


@pytest.fixture
def plain_calls() -> Iterator[None]:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


# --- pycocotools' answer ------------------------------------------------------------------------


class HonoursIgnore(COCOeval):
    """COCOeval overwrites `ignore` by `iscrowd` while it prepares; this one puts it back."""

    def _prepare(self) -> None:
        own = {a["id"]: a.get("ignore", 0) for a in self.cocoGt.dataset["annotations"]}
        super()._prepare()
        for truths in self._gts.values():
            for truth in truths:
                truth["ignore"] = int(bool(own[truth["id"]] or truth["iscrowd"]))


def pycocotools(truth: dict, found: Rows, iou_type: str = "bbox", ignore: bool = False) -> COCOeval:
    truth, found = copy.deepcopy(truth), copy.deepcopy(found)  # it writes into both
    with contextlib.redirect_stdout(io.StringIO()):
        known, results = COCO(), COCO()
        known.dataset = truth
        known.createIndex()
        if found:
            results = known.loadRes(found)
        else:  # loadRes fails
            results.dataset = {**truth, "annotations": []}
            results.createIndex()
        evaluation = (HonoursIgnore if ignore else COCOeval)(known, results, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def assert_same(ours: CocoResult, theirs: COCOeval) -> None:
    np.testing.assert_allclose(ours.stats, theirs.stats, rtol=0, atol=1e-9)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(getattr(ours, name), theirs.eval[name], rtol=0, atol=1e-9)


def compare(truth: dict, found: Rows, iou_type: str = "bbox", ignore: bool = False) -> CocoResult:
    before = json.dumps([truth, found])
    ours = evaluate_coco(truth, found, iou_type, use_ignore=ignore)
    assert json.dumps([truth, found]) == before, "the inputs are not changed"
    assert_same(ours, pycocotools(truth, found, iou_type, ignore))
    return ours


# --- datasets -----------------------------------------------------------------------------------


def dataset(seed: int) -> tuple[dict, Rows]:
    """Few places, sizes and scores, so that equal IoUs, equal scores and exact thresholds abound.

    Each seed draws how many images, classes and objects there are, how large they are, whether
    ids are odd, and how common crowds, ignored truths, empty boxes and clutter are.
    """
    rng = np.random.default_rng(seed)
    scale = float(rng.choice([1, 4, 8, 20, 32]))
    images = rng.permutation(rng.choice([0, 1, 2, 3, 17, 1000, 10**12], rng.integers(1, 6), False))
    classes = rng.permutation(rng.choice([0, 1, 2, 7, 90, 5000], rng.integers(1, 4), False))
    crowds, ignored, empty = rng.choice([0, 0.2, 0.6], 3)
    exact = rng.random() < 0.7
    levels = int(rng.choice([1, 3, 10, 1000]))

    def box() -> list[float]:
        x, y, w, h = rng.integers(0, 4, 2).tolist() + rng.integers(1, 5, 2).tolist()
        if not exact:
            x, y, w, h = (v + float(rng.normal(0, 0.2)) for v in (x, y, w, h))
        if rng.random() < empty / 2:
            w = 0
        return [x * scale, y * scale, w * scale, h * scale]

    annotations: Rows = []
    found: Rows = []
    for image in images.tolist():
        for category in classes.tolist():
            for _ in range(rng.integers(0, 5) * (rng.random() < 0.8)):
                bbox = box()
                area = bbox[2] * bbox[3] * float(rng.choice([1, 1, 0.7]))
                area = float(rng.choice([area] * 12 + [32**2, 96**2, 0, 1e11]))
                row = {"image_id": image, "category_id": category, "bbox": bbox, "area": area}
                row["iscrowd"] = int(rng.random() < crowds)
                if rng.random() < 0.7:
                    row["ignore"] = int(rng.random() < ignored)
                annotations.append(row)
            for _ in range(rng.integers(0, 9) * (rng.random() < 0.8)):
                near = [a["bbox"] for a in annotations if a["image_id"] == image]
                near = near[-3:]
                bbox = list(near[rng.integers(len(near))]) if near and rng.random() < 0.6 else box()
                if rng.random() < 0.2:
                    bbox[0] += scale / 4
                score = float(rng.integers(0, levels + 1) / levels)
                row = {"image_id": image, "category_id": category, "bbox": bbox, "score": score}
                found.append(row)
    ids = rng.permutation(len(annotations) * 3) + 1
    for row, identity in zip(annotations, ids.tolist(), strict=False):
        row["id"] = identity * (-1 if seed % 7 == 0 else 1)
    order = rng.permutation(len(annotations)).tolist()
    truth = {
        "images": [{"id": image, "height": H, "width": W} for image in images.tolist()],
        "annotations": [annotations[i] for i in order],
        "categories": [
            {"id": category, "name": f"class {category}"} for category in classes.tolist()
        ],
    }
    return truth, [found[i] for i in rng.permutation(len(found)).tolist()]


def with_masks(truth: dict, found: Rows, seed: int) -> tuple[dict, Rows]:
    """The same objects as masks: polygons, plain and compressed run lengths."""
    rng = np.random.default_rng(seed)

    def pixels(box: list[float]) -> np.ndarray:
        x, y, w, h = (int(v) % 60 for v in box)
        grid = np.zeros((H, W), dtype=np.uint8, order="F")
        grid[y : y + h, x : x + w] = 1
        grid[rng.integers(H), rng.integers(W)] ^= 1
        return grid

    def compressed(box: list[float]) -> dict:
        rle = coco_mask.encode(pixels(box))
        return {"size": rle["size"], "counts": rle["counts"].decode()}

    def plain(box: list[float]) -> dict:
        flat = pixels(box).flatten(order="F")
        borders = np.flatnonzero(np.diff(np.concatenate(([0], flat, [2]))))
        return {"size": [H, W], "counts": np.diff(borders, prepend=0).tolist()}

    def polygons(box: list[float]) -> list:
        x, y, w, h = box
        w, h = max(w, 1), max(h, 1)
        return [[x, y, x + w, y, x + w, y + h], [x, y, x + w / 2, y + h, x, y + h]]

    for row in truth["annotations"]:
        form = (compressed, plain, polygons)[rng.integers(3)]
        row["segmentation"] = form(row["bbox"])
    boxes_too = rng.random() < 0.3
    for row in found:
        row["segmentation"] = compressed(row["bbox"])
        if not boxes_too:
            del row["bbox"]
    return truth, found


def one_image(truths: list, found: list, **more: Any) -> tuple[dict, Rows]:
    """Boxes of one class in one image; the detections score 0.9, 0.8, …"""
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, box in enumerate(truths)
    ]  # fmt: skip
    results = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9 - 0.1 * i, **more}
        for i, box in enumerate(found)
    ]
    image = {"id": 1, "height": H, "width": W}
    return {"images": [image], "annotations": annotations, "categories": [{"id": 1}]}, results


SQUARE = [10, 10, 10, 10]


# --- the same as pycocotools ---------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [range(i, i + 30) for i in range(0, 300, 30)], ids=str)
def test_boxes_equal_pycocotools(seeds: range) -> None:
    for seed in seeds:
        compare(*dataset(seed))


@pytest.mark.parametrize("seeds", [range(i, i + 25) for i in range(1000, 1075, 25)], ids=str)
def test_use_ignore_equals_a_pycocotools_that_keeps_it(seeds: range) -> None:
    differ = 0
    for seed in seeds:
        truth, found = dataset(seed)
        honoured = compare(truth, found, ignore=True)
        differ += not np.array_equal(honoured.stats, evaluate_coco(truth, found).stats)
    assert differ >= 5


@pytest.mark.parametrize("seeds", [range(i, i + 20) for i in range(2000, 2060, 20)], ids=str)
def test_masks_equal_pycocotools(seeds: range) -> None:
    for seed in seeds:
        compare(*with_masks(*dataset(seed), seed), "segm", ignore=seed % 2 == 1)


def test_what_the_datasets_hold() -> None:
    """The comparisons above would be worth little if nothing were found, or all."""
    sets = [dataset(seed) for seed in range(100)]
    ap = np.array([evaluate_coco(*pair)["AP"] for pair in sets])
    assert ((ap > 0.02) & (ap < 0.98)).sum() > 65
    assert (ap == -1).any()
    annotations = [a for truth, _ in sets for a in truth["annotations"]]
    assert sum(a["iscrowd"] for a in annotations) > 65
    assert sum(a["bbox"][2] == 0 for a in annotations) > 15
    assert any(not truth["annotations"] for truth, _ in sets)
    assert any(not found for _, found in sets)
    assert any({0} & {image["id"] for image in truth["images"]} for truth, _ in sets)


def test_more_detections_than_count() -> None:
    rng = np.random.default_rng(3)
    truths = [[float(x), float(y), 9.0, 8.0] for x in range(0, 60, 10) for y in range(0, 40, 10)]
    for noise, levels in ((0.5, 1000), (1.0, 4), (0.0, 1)):
        found = []
        for _ in range(14):
            found += [[v + float(rng.normal(0, noise)) for v in box] for box in truths]
        truth, results = one_image(truths, found)
        for row in results:
            row["score"] = float(rng.integers(0, levels) / levels)
        result = compare(truth, results)
        assert result["AR1"] < result["AR10"] < result["AR100"]


def test_thresholds_are_reached_to_the_last_digit() -> None:
    # Boxes of w of 20 pixels have an IoU of w / 20 with the truth: 0.5, 0.55, …, 1 exactly.
    for w in range(9, 21):
        result = compare(*one_image([[0, 0, 20, 7]], [[0, 0, w, 7]]))
        assert result["AP"] == pytest.approx(min(max(w - 9, 0), 10) / 10)


def test_of_equal_ious_the_later_truth_is_taken() -> None:
    # The first detection lies between the truths; the second fits one of them only.
    left, right, between = [0, 0, 12, 10], [4, 0, 12, 10], [2, 0, 12, 10]
    fitting_left, fitting_right = [0, 0, 11, 10], [5, 0, 11, 10]
    assert compare(*one_image([left, right], [between, fitting_left]))["AR100"] == pytest.approx(
        0.7
    )
    assert compare(*one_image([left, right], [between, fitting_right]))["AR100"] == pytest.approx(
        0.45
    )
    assert compare(*one_image([right, left], [between, fitting_right]))["AR100"] == pytest.approx(
        0.7
    )


def test_real_coordinates_and_equal_scores_over_many_images() -> None:
    rng = np.random.default_rng(5)
    truth: dict = {"images": [], "annotations": [], "categories": [{"id": 3}, {"id": 1}]}
    found: Rows = []
    for image in rng.permutation(40).tolist():
        truth["images"].append({"id": image})
        for _ in range(rng.integers(0, 6)):
            x, y, w, h = rng.uniform(5, 200, 4).round(2).tolist()
            common = {"image_id": image, "category_id": int(rng.choice([1, 3]))}
            row = {**common, "bbox": [x, y, w, h], "area": w * h * 0.8, "iscrowd": 0}
            truth["annotations"].append({**row, "id": len(truth["annotations"]) + 1})
            for _ in range(rng.integers(0, 4)):
                bbox = (np.array([x, y, w, h]) + rng.normal(0, 0.06, 4) * w).round(3).tolist()
                found.append({**common, "bbox": bbox, "score": float(rng.integers(1, 5) / 4)})
    result = compare(truth, found)
    assert 0.05 < result["AP"] < 0.95


def test_no_detections_at_all() -> None:
    truth, _ = one_image([SQUARE], [])
    result = compare(truth, [])
    assert result["AP"] == result["AR100"] == 0
    assert result["APl"] == -1  # there is nothing large to find


def test_no_truths_no_images_no_categories() -> None:
    truth, found = one_image([], [SQUARE])
    assert (compare(truth, found).stats == -1).all()
    assert (compare(truth, []).stats == -1).all()
    nothing: dict = {"images": [], "annotations": [], "categories": []}
    empty = evaluate_coco(nothing, [])
    assert (empty.stats == -1).all()
    assert empty.precision.shape == (10, 101, 0, 4, 3)
    assert (evaluate_coco({**truth, "categories": []}, []).stats == -1).all()


def test_annotations_of_images_and_categories_that_are_not_listed_are_left_out() -> None:
    truth, found = one_image([SQUARE], [SQUARE])
    for change in ({"image_id": 2}, {"category_id": 2}):
        truth["annotations"].append(
            {**truth["annotations"][0], "id": 8 + len(truth["annotations"]), **change}
        )
    assert compare(truth, found)["AP"] == pytest.approx(1)


def test_results_with_masks_alone_are_compared_by_their_boxes() -> None:
    for seed in range(3000, 3010):
        truth, found = with_masks(*dataset(seed), seed)
        compare(truth, found, "bbox")


def test_results_with_boxes_alone_are_compared_as_masks() -> None:
    truth, found = one_image([SQUARE], [SQUARE, [10, 10, 8, 8]])
    square = [[10, 10, 20, 10, 20, 20, 10, 20]]
    truth["annotations"][0]["segmentation"] = square
    assert compare(truth, found, "segm")["AP"] > 0


# --- where pycocotools goes wrong ----------------------------------------------------------------


def test_a_truth_with_id_0_can_be_found() -> None:
    for seed in range(4000, 4020):
        truth, found = dataset(seed)
        for i, row in enumerate(truth["annotations"]):
            row["id"] = i
        from_1 = copy.deepcopy(truth)
        for row in from_1["annotations"]:
            row["id"] += 1
        assert_same(evaluate_coco(truth, found), pycocotools(from_1, found))
    truth, found = one_image([SQUARE], [SQUARE])
    truth["annotations"][0]["id"] = 0
    assert evaluate_coco(truth, found)["AP"] == pytest.approx(1)
    assert pycocotools(truth, found).stats[0] == 0


def test_ids_of_annotations_are_not_needed() -> None:
    truth, found = one_image([SQUARE], [SQUARE])
    del truth["annotations"][0]["id"]
    assert evaluate_coco(truth, found)["AP"] == pytest.approx(1)


def test_results_may_give_plain_run_lengths() -> None:
    truth, found = one_image([SQUARE], [SQUARE])
    runs = {"size": [H, W], "counts": [410, *[10, 30] * 9, 10, 1620]}
    truth["annotations"][0]["segmentation"] = runs
    found[0]["segmentation"] = runs
    del found[0]["bbox"]
    assert evaluate_coco(truth, found, "segm")["AP"] == pytest.approx(1)


def edited(**changes: Any) -> Callable[[dict, Rows], None]:
    """Put values at paths such as found__0__score; `...` removes the key."""

    def edit(truth: dict, found: Rows) -> None:
        for path, value in changes.items():
            place: Any = {"truth": truth, "found": found}
            *way, last = [int(key) if key.isdigit() else key for key in path.split("__")]
            for key in way:
                place = place[key]
            if value is ...:
                del place[last]
            else:
                place[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edited(found__1__image_id=7), r"detections\[1\] has image_id 7, which is not in .* images \(there are 1\)"),
        (edited(found__1__image_id="1"), r"detections\[1\] has image_id '1', .*\(there are 1\)"),
        (edited(found__0__category_id=0), r"detections\[0\] has category_id 0, .* categories \(there are 1\); give the ids"),
        (edited(found__1__score=...), r"detections\[1\] has no 'score', only 'image_id', 'category_id', 'bbox'"),
        (edited(found__1__bbox=...), r"detections\[1\] has no 'bbox'"),
        (edited(found__1__score=float("nan")), r"detections\[1\] has a 'score' that is not a number, nan"),
        (edited(found__1__score=[0.1]), "each 'score' of detections must be one number"),
        (edited(found__0__bbox=...), r"detections\[0\] has no 'bbox' and no 'segmentation'"),
        (edited(found__1__bbox=None), r"detections\[1\] must have a 'bbox' \[x, y, w, h\], got None"),
        (edited(found__1__bbox=[1, 2, 3, "x"]), "each 'bbox' of detections must be four numbers"),
        (edited(found__1__bbox=[1, 2, 3]), r"detections\[1\] must have a 'bbox' \[x, y, w, h\], got \[1, 2, 3\]"),
        (edited(found__1__bbox=[1, 2, 3, float("inf")]), r"detections\[1\] has a 'bbox' that is not finite"),
        (edited(truth__annotations__0__area=...), r"annotations\[0\] has no 'area'"),
        (edited(truth__annotations__0__image_id=...), r"annotations\[0\] has no 'image_id'"),
        (edited(truth__annotations__1__id=1), "two annotations have the id 1; give each its own"),
        (edited(truth__categories=[{"id": 1}, {"id": 1}]), "two of the categories have the same id"),
        (edited(truth__images=...), "ground_truth must have a list 'images', it has 'annotations', 'categories'"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong_and_where(edit: Callable, words: str) -> None:
    truth, found = one_image([SQUARE, SQUARE], [SQUARE, SQUARE])
    edit(truth, found)
    with pytest.raises(ValueError, match=words):
        evaluate_coco(truth, found)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        (..., r"annotations\[0\] has no 'segmentation'"),
        ([], r"annotations\[0\] must have a 'segmentation' of polygons .* got \[\]"),
        ("?", r"annotations\[0\] must have a 'segmentation' of polygons"),
    ],
)
def test_errors_of_masks(segmentation: Any, words: str) -> None:
    truth, found = one_image([SQUARE], [SQUARE])
    if segmentation is not ...:
        truth["annotations"][0]["segmentation"] = segmentation
    with pytest.raises(ValueError, match=words):
        evaluate_coco(truth, found, "segm")
    del truth["images"][0]["height"]
    truth["annotations"][0]["segmentation"] = [[1, 1, 5, 1, 5, 5]]
    with pytest.raises(ValueError, match="its image 1 has no 'height' and 'width'"):
        evaluate_coco(truth, found, "segm")


@pytest.mark.usefixtures("plain_calls")
def test_errors_of_types() -> None:
    truth, found = one_image([SQUARE], [SQUARE])
    with pytest.raises(TypeError, match=r"detections must be a list of COCO results.*got dict"):
        evaluate_coco(truth, {"annotations": found})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"detections\[1\] must be a dictionary, got list"):
        evaluate_coco(truth, [*found, [1, 2]])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"ground_truth must be a COCO dictionary.*got list"):
        evaluate_coco([truth], found)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='iou_type must be "bbox" or "segm", got \'keypoints\''):
        evaluate_coco(truth, found, "keypoints")  # type: ignore[arg-type]


# --- the result ----------------------------------------------------------------------------------


def test_files_work_as_dictionaries_do(tmp_path: Path) -> None:
    truth, found = dataset(11)
    files = tmp_path / "truth.json", tmp_path / "found.json"
    for file, content in zip(files, (truth, found), strict=True):
        file.write_text(json.dumps(content), encoding="utf-8")
    expected = evaluate_coco(truth, found).precision
    np.testing.assert_array_equal(evaluate_coco(*files).precision, expected)
    np.testing.assert_array_equal(evaluate_coco(str(files[0]), found).precision, expected)


def test_the_result_names_its_axes_and_prints_the_table() -> None:
    truth, found = dataset(12)
    result = evaluate_coco(truth, found)
    K = len(truth["categories"])
    assert result.precision.shape == result.scores.shape == (10, 101, K, 4, 3)
    assert result.recall.shape == (10, K, 4, 3)
    assert result.category_ids == sorted(row["id"] for row in truth["categories"])
    assert result.category_names == [f"class {identity}" for identity in result.category_ids]
    assert result.area_names == ("all", "small", "medium", "large")
    assert result.max_detections == (1, 10, 100)
    assert result.iou_thresholds.tolist() == np.linspace(0.5, 0.95, 10).tolist()
    assert result.stats[:3].tolist() == [result["AP"], result["AP50"], result["AP75"]]
    assert result.stats[6:9].tolist() == [result["AR1"], result["AR10"], result["AR100"]]
    with pytest.raises(KeyError, match="there are AP, AP50"):
        result["mAP"]
    assert f"AP {result['AP']:.3f}" in repr(result)


def test_the_table_reads_as_that_of_pycocotools() -> None:
    truth, found = dataset(12)
    theirs = pycocotools(truth, found)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        theirs.summarize()
    ours = str(evaluate_coco(truth, found)).splitlines()
    for mine, line in zip(ours, printed.getvalue().splitlines(), strict=True):
        assert mine.split("@")[1] == line.split("@")[1]
        assert " ".join(line.split()[:2]) in mine


def test_ap_of_each_class() -> None:
    truth, found = dataset(14)
    result = evaluate_coco(truth, found)
    there = [ap for ap in result.class_ap.values() if ap > -1]
    assert list(result.class_ap) == result.category_ids
    assert np.mean(there) == pytest.approx(result["AP"])
    for category, ap in result.class_ap.items():
        only = {**truth, "categories": [{"id": category}]}
        rows = [row for row in found if row["category_id"] == category]
        assert evaluate_coco(only, rows)["AP"] == pytest.approx(ap)


# --- targets and outputs of torchvision's kind ---------------------------------------------------


def as_images(truth: dict, found: Rows) -> tuple[list[dict], list[dict]]:
    """The same dataset as tensors, image by image in the order of the sorted ids."""

    def tensors(rows: Rows, *columns: str) -> dict[str, torch.Tensor]:
        xywh = torch.tensor([row["bbox"] for row in rows], dtype=torch.float64).reshape(-1, 4)
        labels = torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)
        boxes = torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), 1)
        more = {
            c: torch.tensor([row.get(c, 0) for row in rows], dtype=torch.float64) for c in columns
        }
        return {"boxes": boxes, "labels": labels, **more}

    targets, outputs = [], []
    for image in sorted(row["id"] for row in truth["images"]):
        mine = [row for row in truth["annotations"] if row["image_id"] == image]
        targets.append(tensors(mine, "area", "iscrowd", "ignore"))
        said = [row for row in found if row["image_id"] == image]
        outputs.append(tensors(said, "score"))
        outputs[-1]["scores"] = outputs[-1].pop("score")
    return targets, outputs


def test_images_equal_coco_dictionaries() -> None:
    compared = 0
    for seed in range(5000, 5040):
        truth, found = dataset(seed)
        xywh = [row["bbox"] for row in truth["annotations"] + found]
        if any(value != round(value) for box in xywh for value in box):
            continue  # x + w - x is w to the last digit only for whole numbers
        by_class = {row["category_id"] for row in truth["annotations"] + found}
        truth["categories"] = [row for row in truth["categories"] if row["id"] in by_class]
        for ignore in (False, True):
            expected = evaluate_coco(truth, found, use_ignore=ignore)
            result = evaluate_coco_images(*as_images(truth, found), use_ignore=ignore)
            np.testing.assert_array_equal(result.stats, expected.stats)
            np.testing.assert_array_equal(result.precision, expected.precision)
            assert result.category_ids == expected.category_ids
        compared += 1
    assert compared > 20


def test_area_and_crowd_of_an_image_may_be_missing() -> None:
    truth, found = one_image([SQUARE, [30, 10, 20, 20]], [SQUARE])
    targets, outputs = as_images(truth, found)
    targets = [{name: target[name] for name in ("boxes", "labels")} for target in targets]
    assert_same(evaluate_coco_images(targets, outputs), pycocotools(truth, found))
    assert (evaluate_coco_images([], []).stats == -1).all()


def test_masks_of_images() -> None:
    generator = torch.Generator().manual_seed(0)
    targets, outputs = [], []
    truth: dict = {"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 2}]}
    found: Rows = []

    def run_lengths(mask: torch.Tensor) -> dict:
        return coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))

    for image in range(6):
        masks = torch.zeros(4, H, W, dtype=torch.bool)
        for mask in masks:
            x, y = (int(torch.randint(0, 20, (), generator=generator)) for _ in "xy")
            mask[y : y + 15, x : x + 30] = True
        labels = torch.randint(1, 3, (4,), generator=generator)
        noise = torch.rand(4, H, W, generator=generator)
        said = torch.where(noise < 0.03 * image, ~masks, masks)
        scores = torch.rand(4, generator=generator)
        targets.append({"masks": masks, "labels": labels})
        probabilities = said[:, None].float() * 0.9
        outputs.append({"masks": probabilities, "labels": labels, "scores": scores})
        truth["images"].append({"id": image, "height": H, "width": W})
        for i in range(4):
            common = {"image_id": image, "category_id": int(labels[i])}
            row = {**common, "segmentation": run_lengths(masks[i]), "area": int(masks[i].sum())}
            truth["annotations"].append({**row, "iscrowd": 0, "id": 4 * image + i + 1})
            row = {**common, "segmentation": run_lengths(said[i]), "score": float(scores[i])}
            found.append(row)
    result = evaluate_coco_images(targets, outputs, "segm")
    assert_same(result, pycocotools(truth, found, "segm"))
    assert 0.2 < result["AP"] < 0.9


def test_more_masks_than_fit_into_8_bits() -> None:
    truth, found = one_image([SQUARE], [SQUARE] * 300)
    square = coco_mask.encode(np.asfortranarray(np.pad(np.ones((10, 10), np.uint8), 5)))
    square["counts"] = square["counts"].decode()
    truth["annotations"][0]["segmentation"] = square
    for row in found:
        row["segmentation"] = square
        del row["bbox"]
    assert compare(truth, found, "segm")["AP"] == pytest.approx(1)


BOXES, LABELS = torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([1])
TARGET = {"boxes": BOXES, "labels": LABELS}
OUTPUT = {**TARGET, "scores": torch.tensor([0.5])}


@pytest.mark.parametrize(
    ("targets", "outputs", "words"),
    [
        (TARGET, [OUTPUT], "targets must be a list of dictionaries.*got dict; write \\[targets\\]"),
        ([TARGET], [], "one entry for each image, got 1 and 0"),
        ([TARGET], [TARGET], r"outputs\[0\] must have 'scores', it has 'boxes', 'labels'"),
        ([{**TARGET, "labels": LABELS.float()}], [OUTPUT], r"targets\[0\]\['labels'\] must hold integers, got torch.float32"),
        ([{**TARGET, "boxes": BOXES[0]}], [OUTPUT], r"targets\[0\]\['boxes'\] must have shape \[N, 4\], got \[4\]"),
        ([TARGET], [{**OUTPUT, "scores": torch.rand(2)}], r"outputs\[0\]\['scores'\] must have shape \[1\] as boxes, got \[2\]"),
        ([TARGET], [{**OUTPUT, "scores": torch.tensor([torch.nan])}], r"outputs\[0\]\['scores'\] must be finite, got nan"),
        ([{**TARGET, "iscrowd": [0]}], [OUTPUT], r"targets\[0\]\['iscrowd'\] must be a torch.Tensor, got list"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("plain_calls")
def test_errors_of_images(targets: Any, outputs: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        evaluate_coco_images(targets, outputs)


def test_masks_of_two_sizes_are_refused() -> None:
    target = {"masks": torch.ones(1, 4, 5), "labels": LABELS}
    output = {"masks": torch.ones(1, 5, 4), "labels": LABELS, "scores": torch.rand(1)}
    with pytest.raises(ValueError, match=r"masks of image 0 are \[4, 5\] in targets and \[5, 4\]"):
        evaluate_coco_images([target], [output], "segm")


# --- the plain way and the fast one --------------------------------------------------------------


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(seed=st.integers(0, 10**6), cells=st.integers(0, 4))
def test_all_cells_at_once_equal_match_coco_cell_by_cell(seed: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    thresholds = np.array([0.4, 0.5, 0.7, 1.0])
    tables = [
        rng.choice([0, 0.4, 0.5, 0.6, 0.7, 1], (rng.integers(0, 6), rng.integers(0, 5)))
        for _ in range(cells)
    ]
    D, G = (sum(table.shape[axis] for table in tables) for axis in (0, 1))
    crowd, ignored = rng.random((2, G)) < 0.3
    ignored |= crowd
    columns, first_d, first_g = [], 0, 0
    expected, expected_ignored = np.zeros((D, 4), bool), np.zeros((D, 4), bool)
    for cell, table in enumerate(tables):
        d, g = (table >= 0.4).nonzero()
        columns.append((d + first_d, g + first_g, table[d, g], np.full(len(d), cell)))
        rows, truths = (
            slice(f, f + n) for f, n in zip((first_d, first_g), table.shape, strict=True)
        )
        for t, threshold in enumerate(thresholds.tolist()):
            matches = match_coco(
                torch.as_tensor(table),
                threshold,
                ignored=torch.as_tensor(ignored[truths]),
                crowd=torch.as_tensor(crowd[truths]),
            ).numpy()
            expected[rows, t] = matches >= 0
            expected_ignored[rows, t] = [m >= 0 and ignored[truths][m] for m in matches]
        first_d, first_g = first_d + table.shape[0], first_g + table.shape[1]
    none = (np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0, int))
    d, g, iou, cell = (np.concatenate(column) for column in zip(none, *columns, strict=True))
    found, found_ignored = match_pairs(Pairs(d, g, iou), cell, thresholds, D, ignored, crowd)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found_ignored, expected_ignored)


def test_coco_average_precision_is_the_ap_of_one_class() -> None:
    compared = 0
    for seed in range(6000, 6040):
        truth, found = dataset(seed)
        for row in truth["annotations"]:
            row.update(iscrowd=0, area=1.0)
        truth["categories"] = truth["categories"][:1]
        category = truth["categories"][0]["id"]
        found = [row for row in found if row["category_id"] == category]
        tables, scores = [], []
        for target, output in zip(*as_images(truth, found), strict=True):
            mine = target["labels"] == category
            tables.append(box_iou(output["boxes"], target["boxes"][mine]))
            scores.append(output["scores"])
        expected = evaluate_coco(truth, found)["AP"]
        if expected > -1 and all(len(table) <= 100 for table in tables):
            assert coco_average_precision(tables, scores).item() == pytest.approx(
                expected, abs=1e-9
            )
            compared += 1
    assert compared > 20
