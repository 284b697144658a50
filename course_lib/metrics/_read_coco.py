"""COCO's two files, a ground truth and a list of results, checked and turned into columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pycocotools import mask as run_lengths

from course_lib.metrics._dataset import Dataset, Rle, Shapes, mask_areas, objects

Row = Mapping[str, Any]  # an annotation or a result


def read_coco(ground_truth: Any, detections: Any, iou_type: str, use_ignore: bool) -> Dataset:
    """The two as tables, with errors that say what is wrong with them."""
    truth, results = _open(ground_truth), _open(detections)
    if not isinstance(truth, Mapping):
        raise TypeError(
            "ground_truth must be a COCO dictionary with 'images', 'annotations' and "
            f"'categories', or the name of its file, got {type(truth).__name__}"
        )
    if not isinstance(results, Sequence) or isinstance(results, str):
        raise TypeError(
            "detections must be a list of COCO results, [{'image_id': 1, 'category_id': 1, "
            "'bbox': [x, y, w, h], 'score': 0.9}, …], or the name of its file, got "
            f"{type(results).__name__}"
        )
    images, categories = _by_id(truth, "images"), _by_id(truth, "categories")
    image_index = {image: i for i, image in enumerate(sorted(images))}
    category_index = {category: k for k, category in enumerate(sorted(categories))}
    annotations = _annotations(truth, image_index, category_index)
    _check_known(results, "image_id", image_index, "images")
    _check_known(results, "category_id", category_index, "categories")

    crowd = _flags(annotations, "iscrowd")
    truths = objects(
        [image_index[row["image_id"]] for row in annotations],
        [category_index[row["category_id"]] for row in annotations],
        area=_numbers(annotations, "area", "annotations"),
        shapes=_masks(annotations, "annotations", images)
        if iou_type == "segm"
        else _boxes(annotations, "annotations"),
        crowd=crowd,
        ignored=_flags(annotations, "ignore") if use_ignore else crowd,
    )
    shapes, area = _result_shapes(results, iou_type, images)
    found = objects(
        [image_index[row["image_id"]] for row in results],
        [category_index[row["category_id"]] for row in results],
        area=area,
        shapes=shapes,
        score=_numbers(results, "score", "detections"),
    )
    names = [str(categories[category].get("name", category)) for category in category_index]
    return Dataset(truths, found, len(images), list(category_index), names)


# --- the lists ----------------------------------------------------------------------------------


def _open(source: Any) -> Any:
    if not isinstance(source, str | PathLike):
        return source
    with Path(source).open(encoding="utf-8") as file:
        return json.load(file)


def _by_id(truth: Row, name: str) -> dict[Any, Row]:
    if name not in truth:
        got = ", ".join(map(repr, truth)) or "nothing"
        raise ValueError(f"ground_truth must have a list {name!r}, it has {got}")
    rows = dict(zip(_column(truth[name], "id", name), truth[name], strict=True))
    if len(rows) < len(truth[name]):
        raise ValueError(f"two of the {name} have the same id; give each its own")
    return rows


def _annotations(truth: Row, images: Mapping, categories: Mapping) -> list[Row]:
    """Those of the listed images and categories: as pycocotools, others are left out.

    So a part of a dataset is evaluated by a shorter list of images.
    """
    rows = truth.get("annotations", [])
    ids = [row["id"] for row in rows if "id" in row]
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise ValueError(f"two annotations have the id {twice!r}; give each its own")
    of_image = _column(rows, "image_id", "annotations")
    of_category = _column(rows, "category_id", "annotations")
    return [
        row
        for row, image, category in zip(rows, of_image, of_category, strict=True)
        if image in images and category in categories
    ]


def _check_known(results: Sequence[Row], key: str, known: Mapping, listed: str) -> None:
    for i, identity in enumerate(_column(results, key, "detections")):
        if identity not in known:
            some = ", ".join(repr(one) for one in list(known)[:5]) or "none at all"
            more = ", …" if len(known) > 5 else ""
            raise ValueError(
                f"detections[{i}] has {key} {identity!r}, which is not in the ground truth's "
                f"{listed} (there are {some}{more}); give the ids of the ground truth, or leave "
                "the detection out"
            )


# --- the columns --------------------------------------------------------------------------------


def _column(rows: Sequence[Row], key: str, name: str) -> list[Any]:
    try:
        return [row[key] for row in rows]
    except (KeyError, TypeError):
        for i, row in enumerate(rows):
            if not isinstance(row, Mapping):
                got = type(row).__name__
                raise TypeError(f"{name}[{i}] must be a dictionary, got {got}") from None
        i, row = next((i, row) for i, row in enumerate(rows) if key not in row)
        raise ValueError(f"{name}[{i}] has no {key!r}, only {', '.join(map(repr, row))}") from None


def _numbers(rows: Sequence[Row], key: str, name: str) -> Float[np.ndarray, " N"]:
    given = _column(rows, key, name)
    try:
        column = np.array(given, dtype=np.float64).reshape(len(rows))
    except (TypeError, ValueError):
        raise ValueError(f"each {key!r} of {name} must be one number") from None
    if np.isnan(column).any():
        i = int(np.isnan(column).argmax())
        raise ValueError(f"{name}[{i}] has a {key!r} that is not a number, {given[i]!r}")
    return column


def _flags(rows: Iterable[Row], key: str) -> np.ndarray:
    return np.array([bool(row.get(key, 0)) for row in rows], dtype=bool)


def _result_shapes(
    results: Sequence[Row], iou_type: str, images: Mapping[Any, Row]
) -> tuple[Shapes, Float[np.ndarray, " D"]]:
    """What is compared, and the areas: the boxes' if the first result has one, else the masks'.

    That holds whatever is compared, as in pycocotools: with boxes beside the masks, a mask counts
    as small or large by its box.
    """
    if results and not results[0].keys() & {"bbox", "segmentation"}:
        raise ValueError(f"detections[0] has no 'bbox' and no 'segmentation', only {[*results[0]]}")
    if not results or len(results[0].get("bbox", [])):
        boxes = _boxes(results, "detections")
        shapes = boxes if iou_type == "bbox" else _masks(results, "detections", images)
        return shapes, boxes[:, 2] * boxes[:, 3]
    masks = _masks(results, "detections", images)
    return masks if iou_type == "segm" else run_lengths.toBbox(masks), mask_areas(masks)


def _boxes(rows: Sequence[Row], name: str) -> Float[np.ndarray, "N 4"]:
    given = _column(rows, "bbox", name)
    for i, box in enumerate(given):
        if not isinstance(box, list | tuple | np.ndarray) or len(box) != 4:
            raise ValueError(f"{name}[{i}] must have a 'bbox' [x, y, w, h], got {box!r}")
    try:
        boxes = np.fromiter(chain.from_iterable(given), np.float64, 4 * len(given)).reshape(-1, 4)
    except (TypeError, ValueError):
        raise ValueError(f"each 'bbox' of {name} must be four numbers [x, y, w, h]") from None
    if not np.isfinite(boxes).all():
        i = int((~np.isfinite(boxes)).any(1).argmax())
        raise ValueError(f"{name}[{i}] has a 'bbox' that is not finite, {given[i]!r}")
    return boxes


def _masks(rows: Sequence[Row], name: str, images: Mapping) -> list[Rle]:
    masks = []
    for i, row in enumerate(rows):
        if "segmentation" in row:
            shape = row["segmentation"]
        elif name == "detections" and "bbox" in row:  # as pycocotools: the box is the mask
            x, y, w, h = row["bbox"]
            shape = [[x, y, x, y + h, x + w, y + h, x + w, y]]
        else:
            raise ValueError(f"{name}[{i}] has no 'segmentation', which iou_type='segm' compares")
        masks.append(_run_lengths(shape, images[row["image_id"]], f"{name}[{i}]"))
    return masks


def _run_lengths(shape: Any, image: Row, where: str) -> Rle:
    """Polygons, lists of run lengths, or run lengths as COCO compresses them: all compressed."""
    if isinstance(shape, Mapping) and not isinstance(shape.get("counts"), list):
        return shape
    if "height" not in image or "width" not in image:
        raise ValueError(
            f"{where} is given as polygons or plain run lengths, and its image {image['id']!r} "
            "has no 'height' and 'width' to draw it in"
        )
    try:
        drawn = run_lengths.frPyObjects(shape, image["height"], image["width"])
        return run_lengths.merge(drawn) if isinstance(drawn, list) else drawn
    except Exception as error:
        raise ValueError(
            f"{where} must have a 'segmentation' of polygons [[x1, y1, x2, y2, …], …] or run "
            f"lengths {{'size': [H, W], 'counts': …}}, got {str(shape)[:60]} ({error})"
        ) from None
