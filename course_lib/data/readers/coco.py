"""COCO's annotation files, and those of the many tools that write the same format."""

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_lib.data.readers.fields import (
    check_box,
    clip,
    field,
    number,
    numbers,
    short,
    text,
    whole,
)
from course_lib.data.readers.folder import Check, Entry, FolderDataset, check_check, examine, inside
from course_lib.data.readers.outlines import check_segmentation, draw_segmentation
from course_lib.data.readers.problems import Finding, Inspector, OnError

Row = Mapping[str, Any]


class CocoDetection(FolderDataset):
    """Images and objects of a COCO annotation file.

        train = CocoDetection("annotations/instances_train2017.json", "train2017")
        print(train.report)

    annotation_file: its JSON. Images come in its order; those without objects are there too.
    image_folder: what the file names of the JSON are relative to.
    on_error: what to do about what is wrong: "refuse" (the default), "skip", "clip", or one of them
        for each kind of problem, {"box outside": "clip"}; kinds that are not named are refused. See
        `course_lib.data.readers.problems`. Boxes that reach out by at most half a pixel are cut off
        and not named: files round.
    masks, keypoints: whether targets have them, if the file does.
    check: whether to look at each image file now: "headers" (is it there, has it the size that the
        annotation says), "pixels" (can all of it be decoded), or "nothing". What was not found now
        is a ValueError when the picture is asked for.
    cache: keep decoded pictures in memory.

    classes: the names of the categories, in the order of their ids. `category_ids[label]` is the id
        of a label: COCO's 80 classes have ids from 1 to 90.
    Targets: `image_id` is the file's. Boxes [x, y, width, height] become x1, y1, x2, y2. `area` is
        the annotation's, or that of the box. COCO counts the pixels of keypoints: the first is 0,
        its middle is our 0.5. `keypoint_names` has what they are.
    Errors: DataError, which names file, id and reason of each problem.
    """

    keypoint_names: tuple[str, ...] = ()

    def __init__(
        self,
        annotation_file: str | PathLike[str],
        image_folder: str | PathLike[str],
        *,
        on_error: OnError = "refuse",
        masks: bool = False,
        keypoints: bool = False,
        check: Check = "headers",
        cache: bool = False,
    ) -> None:
        super().__init__(cache=cache)
        check_check(check)
        self.masks, self.keypoints = masks, keypoints
        self._file, folder = str(annotation_file), Path(image_folder)
        inspector = Inspector(self._file, on_error)
        content = _load(Path(annotation_file), inspector)
        if check != "nothing" and content["images"] and not folder.is_dir():
            raise inspector.refuse(Finding("missing image", "is no folder"), str(folder))
        self.classes, self.category_ids = self._categories(content, inspector)
        entries = self._images(content, folder, inspector)
        self._annotations(content, entries, inspector)
        self.entries = [
            entry
            for entry in entries.values()
            if examine(entry, check, inspector, f"image {entry.image_id}")
        ]
        objects = sum(len(entry.objects) for entry in self.entries)
        self.report = inspector.finish(len(self.entries), objects)

    def _categories(
        self, content: Row, inspector: Inspector
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        names: dict[int, str] = {}
        points: tuple[str, ...] | None = None
        for row in _rows(content, "categories", inspector):
            try:
                category, name = whole(row, "id"), text(row, "name")
                if category in names or name in names.values():
                    raise Finding("duplicate id", f"id {category} or name {name!r} is there twice")
                if self.keypoints and "keypoints" in row:
                    given = row["keypoints"]
                    if not isinstance(given, list) or not all(isinstance(p, str) for p in given):
                        raise Finding("bad keypoints", f"must be a list of names: {short(given)}")
                    if points not in (None, tuple(given)):
                        raise Finding("bad keypoints", "are not those of the classes before")
                    points = tuple(given)
            except Finding as finding:
                inspector.note(finding, self._file, _place("category", row))
                continue
            names[category] = name
        if self.keypoints:
            if points is None:
                missing = Finding("missing field", "has no category with 'keypoints'")
                raise inspector.refuse(missing, self._file)
            self.keypoint_names = points
        ids = tuple(sorted(names))
        return tuple(names[category] for category in ids), ids

    def _images(self, content: Row, folder: Path, inspector: Inspector) -> dict[int, Entry]:
        entries: dict[int, Entry] = {}
        for row in _rows(content, "images", inspector):
            try:
                image_id = whole(row, "id")
                if image_id in entries:
                    raise Finding("duplicate id", f"image id {image_id} is there twice")
                name, H, W = text(row, "file_name"), whole(row, "height", 1), whole(row, "width", 1)
                entries[image_id] = Entry(name, inside(folder, name), image_id, H, W)
            except Finding as finding:
                inspector.note(finding, self._file, _place("image", row))
        return entries

    def _annotations(
        self, content: Row, entries: Mapping[int, Entry], inspector: Inspector
    ) -> None:
        label_of = {category: label for label, category in enumerate(self.category_ids)}
        images, categories = (_ids(content[key]) for key in ("images", "categories"))
        seen: set[int] = set()
        for row in _rows(content, "annotations", inspector):
            place = _place("annotation", row)
            try:
                own = whole(row, "id")
                if own in seen:
                    raise Finding("duplicate id", f"annotation id {own} is there twice")
                seen.add(own)
                image_id, category = whole(row, "image_id"), whole(row, "category_id")
                if image_id not in images:
                    raise Finding("unknown image", f"image {image_id} is not in 'images'")
                if category not in categories:
                    raise Finding("unknown class", f"category {category} is not in 'categories'")
                if image_id not in entries or category not in label_of:
                    continue  # that has been named, and is left out with all that belongs to it
                entry = entries[image_id]
                one = self._object(row, label_of[category], entry)
            except Finding as finding:
                inspector.note(finding, self._file, place)
                continue
            try:
                check_box(one["box"], entry.H, entry.W)
            except Finding as finding:
                can = finding.kind == "box outside" and _has_size(
                    clip(one["box"], entry.H, entry.W)
                )
                if inspector.note(finding, self._file, place, clips=can) != "clip":
                    continue
            x1, y1, x2, y2 = one["box"] = clip(one["box"], entry.H, entry.W)
            one.setdefault("area", (x2 - x1) * (y2 - y1))
            entry.objects.append(one)

    def _object(self, row: Row, label: int, entry: Entry) -> dict[str, Any]:
        x, y, w, h = numbers(field(row, "bbox"), "'bbox'", 4)
        one: dict[str, Any] = {"box": (x, y, x + w, y + h), "labels": label}
        crowd = row.get("iscrowd", 0)
        if isinstance(crowd, bool) or crowd not in (0, 1):
            raise Finding("bad number", f"'iscrowd' must be 0 or 1, got {short(crowd)}")
        one["iscrowd"] = crowd
        if "area" in row:
            one["area"] = number(row["area"], "'area'")
            if one["area"] < 0:
                raise Finding("bad number", f"'area' must be 0 or more, got {one['area']:g}")
        if self.masks:
            one["mask"] = check_segmentation(field(row, "segmentation"), entry.H, entry.W)
        if self.keypoints:
            one["keypoints"] = self._points(row.get("keypoints", []))
        return one

    def _points(self, value: Any) -> list[list[float]]:
        P = len(self.keypoint_names)
        if not isinstance(value, list) or len(value) not in (0, 3 * P):
            got = f"{len(value)}" if isinstance(value, list) else short(value)
            raise Finding("bad keypoints", f"'keypoints' must be {3 * P} numbers, got {got}")
        given = numbers(value, "'keypoints'") or [0.0] * 3 * P
        points = []
        for x, y, v in zip(given[0::3], given[1::3], given[2::3], strict=True):
            if v not in (0, 1, 2):
                raise Finding("bad keypoints", f"a keypoint must end in 0, 1 or 2, got {v:g}")
            points.append([x + 0.5, y + 0.5, v] if v else [0.0, 0.0, 0.0])
        return points

    def _add(self, target: dict[str, Any], entry: Entry) -> None:
        if self.masks:
            masks = [draw_segmentation(one["mask"], entry.H, entry.W) for one in entry.objects]
            drawn = np.stack(masks) if masks else np.zeros((0, entry.H, entry.W), dtype=bool)
            target["masks"] = torch.from_numpy(drawn)
        if self.keypoints:
            rows = [one["keypoints"] for one in entry.objects]
            points = torch.tensor(rows, dtype=torch.float32)
            target["keypoints"] = points.reshape(-1, len(self.keypoint_names), 3)


def _load(file: Path, inspector: Inspector) -> Row:
    """The content of the file, whose three lists are lists; DataError for any other content."""

    def refuse(kind: str, message: str) -> Exception:
        return inspector.refuse(Finding(kind, message), str(file))

    try:
        words = file.read_bytes()
    except OSError as error:
        raise refuse("broken file", f"cannot be read: {error.strerror}") from None
    if not words.strip():
        raise refuse("broken file", "is empty")
    try:
        content = json.loads(words)
    except (ValueError, RecursionError) as error:  # JSONDecodeError, UnicodeDecodeError
        raise refuse("broken file", f"is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise refuse("wrong type", f"must hold one object {{…}}, holds a {type(content).__name__}")
    for key in ("images", "annotations", "categories"):
        if key not in content:
            hint = "; a file of results has none: give the annotations" if not content else ""
            raise refuse("missing field", f"has no {key!r}{hint}")
        if not isinstance(content[key], list):
            raise refuse("wrong type", f"{key!r} must be a list, got {short(content[key])}")
    return content


def _rows(content: Row, key: str, inspector: Inspector) -> Iterator[Row]:
    """The entries of one of the lists that are objects at all."""
    for i, row in enumerate(content[key]):
        if isinstance(row, dict):
            yield row
        else:
            finding = Finding("wrong type", f"must be an object {{…}}, got {short(row)}")
            inspector.note(finding, inspector.report.source, f"{key}[{i}]")


def _place(word: str, row: Row) -> str:
    return f"{word} {short(row['id'])}" if "id" in row else f"a {word} without id"


def _ids(rows: list[Any]) -> set[int]:
    """All ids that are whole numbers, of whatever else is wrong with their rows."""
    given = (row.get("id") for row in rows if isinstance(row, dict))
    return {own for own in given if isinstance(own, int)}


def _has_size(box: tuple[float, float, float, float]) -> bool:
    return box[2] > box[0] and box[3] > box[1]
