"""Pascal VOC's folders: JPEGImages, Annotations, ImageSets/Main."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import torch

from course_lib.data.readers.fields import check_box, clip, number, short
from course_lib.data.readers.folder import Check, Entry, FolderDataset, check_check, examine
from course_lib.data.readers.problems import Finding, Inspector, OnError

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
SUFFIXES = (".jpg", ".jpeg", ".JPG", ".png")


class VocDetection(FolderDataset):
    """Images and objects of a folder as the Pascal VOC challenges (2007 to 2012) have them.

        train = VocDetection("VOCdevkit/VOC2007", "trainval")

    folder: the one that holds JPEGImages, Annotations and ImageSets.
    split: the list ImageSets/Main/<split>.txt, a name on each line.
    classes: their names, in the order of the labels: VOC's twenty, or your own. None takes the
        names that occur, sorted.
    keep_difficult: whether objects that VOC marks as difficult are there at all. Targets have
        `difficult` [N]; VOC's evaluation counts such objects neither way.
    on_error, check, cache: as in `CocoDetection`.

    VOC counts pixels from 1 and a box ends with its last pixel. So (xmin, ymin, xmax, ymax) becomes
    (xmin - 1, ymin - 1, xmax, ymax): a box from 1 to 1 is one pixel wide. A folder whose boxes
    count from 0 gives itself away by "box outside": at its left border x1 is -1.
    Targets: `image_id` is the place in the list, `area` the box's, `iscrowd` 0. `names[i]` is the
    name of a picture.
    Errors: DataError, which names file, object and reason of each problem.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        split: str = "trainval",
        *,
        classes: Sequence[str] | None = VOC_CLASSES,
        keep_difficult: bool = True,
        on_error: OnError = "refuse",
        check: Check = "headers",
        cache: bool = False,
    ) -> None:
        super().__init__(cache=cache)
        check_check(check)
        root = Path(folder)
        inspector = Inspector(f"{root} ({split})", on_error)
        entries = []
        for i, name in enumerate(_names(root, split, inspector)):
            entry = self._entry(root, name, i, classes, keep_difficult, inspector)
            if entry and examine(entry, check, inspector, ""):
                entries.append(entry)
        found = {one["labels"] for entry in entries for one in entry.objects}
        self.classes = tuple(sorted(found)) if classes is None else tuple(classes)
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must differ, got {list(self.classes)}")
        label_of = {name: label for label, name in enumerate(self.classes)}
        for entry in entries:
            for one in entry.objects:
                one["labels"] = label_of[one["labels"]]
        self.entries = entries
        self.names = tuple(entry.name for entry in entries)
        objects = sum(len(entry.objects) for entry in entries)
        self.report = inspector.finish(len(entries), objects)

    def _columns(self) -> Mapping[str, torch.dtype]:
        return {**super()._columns(), "difficult": torch.int64}

    def _entry(
        self,
        root: Path,
        name: str,
        image_id: int,
        classes: Sequence[str] | None,
        keep_difficult: bool,
        inspector: Inspector,
    ) -> Entry | None:
        """One image with its objects; None where nothing can be known about it."""
        file = root / "Annotations" / f"{name}.xml"
        try:
            tree = _parse(file)
            size = _child(tree, "size")
            H, W = _whole(size, "height"), _whole(size, "width")
            if H < 1 or W < 1:
                raise Finding("bad number", f"the image is {W} wide and {H} high")
        except Finding as finding:
            inspector.note(finding, str(file))
            return None
        pictures = [root / "JPEGImages" / f"{name}{suffix}" for suffix in SUFFIXES]
        picture = next((path for path in pictures if path.exists()), pictures[0])
        entry = Entry(name, picture, image_id, H, W)
        for k, element in enumerate(tree.findall("object"), 1):
            where = f"object {k} ({(element.findtext('name') or '').strip() or 'without name'})"
            try:
                one = _object(element, classes)
            except Finding as finding:
                inspector.note(finding, str(file), where)
                continue
            if one["difficult"] and not keep_difficult:
                continue
            box = one["box"]
            try:
                check_box(box, H, W)
            except Finding as finding:
                x1, y1, x2, y2 = clip(box, H, W)
                can = finding.kind == "box outside" and x2 > x1 and y2 > y1
                if inspector.note(finding, str(file), where, clips=can) != "clip":
                    continue
            x1, y1, x2, y2 = one["box"] = clip(box, H, W)
            one["area"] = (x2 - x1) * (y2 - y1)
            entry.objects.append(one)
        return entry


def _names(root: Path, split: str, inspector: Inspector) -> list[str]:
    """The names in the list of a split; DataError where there is no list."""
    file = root / "ImageSets" / "Main" / f"{split}.txt"
    if not file.is_file():
        inner = sorted(path.parent.name for path in root.glob("*/ImageSets"))
        lists = sorted(path.stem for path in file.parent.glob("*.txt")) if root.is_dir() else []
        hint = ""
        if inner:
            hint = f"; did you mean {root / inner[0]}?"
        elif lists:
            hint = f"; there are: {', '.join(lists[:8])}{', …' if len(lists) > 8 else ''}"
        raise inspector.refuse(Finding("broken file", f"is not there{hint}"), str(file))
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise inspector.refuse(
            Finding("broken file", f"cannot be read: {error}"), str(file)
        ) from None
    names: list[str] = []
    seen: set[str] = set()
    for n, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            if len(words) > 1:
                hint = "a list for one class, such as dog_train.txt, is no split"
                raise Finding(
                    "broken file", f"must have one name a line, got {short(line)}; {hint}"
                )
            if "/" in words[0] or "\\" in words[0] or words[0].startswith("."):
                raise Finding("broken file", f"must have names of images, got {short(words[0])}")
            if words[0] in seen:
                raise Finding("duplicate id", f"image {words[0]} is listed twice")
        except Finding as finding:
            inspector.note(finding, str(file), f"line {n}")
            continue
        seen.add(words[0])
        names.append(words[0])
    if not names and not inspector.report.problems:
        raise inspector.refuse(Finding("broken file", "lists no images"), str(file))
    return names


def _parse(file: Path) -> Element:
    """The annotation element of an XML file."""
    try:
        words = file.read_bytes()
    except FileNotFoundError:
        raise Finding("missing annotation", "there is no such file") from None
    except OSError as error:
        raise Finding("broken file", f"cannot be read: {error.strerror}") from None
    if not words.strip():
        raise Finding("broken file", "is empty")
    if b"<!DOCTYPE" in words or b"<!ENTITY" in words:  # a few lines of these can fill all memory
        raise Finding("broken file", "declares a document type, which an annotation has not")
    try:
        tree = ElementTree.fromstring(words)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Finding("broken file", f"is no XML: {error}") from None
    if tree.tag != "annotation":
        raise Finding("broken file", f"must hold an <annotation>, holds a <{tree.tag}>")
    return tree


def _object(element: Element, classes: Sequence[str] | None) -> dict:
    """Name, box and difficulty of an object."""
    name = _text(element, "name")
    if classes is not None and name not in classes:
        hint = "classes=None takes the names that occur"
        raise Finding("unknown class", f"{name!r} is not one of {len(classes)} classes; {hint}")
    box = _child(element, "bndbox")
    x1, y1, x2, y2 = (_number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise Finding("bad number", f"<difficult> must be 0 or 1, got {short(difficult)}")
    return {
        "box": (x1 - 1, y1 - 1, x2, y2),
        "labels": name,
        "difficult": int(difficult),
        "iscrowd": 0,
    }


def _child(element: Element, tag: str) -> Element:
    found = element.findall(tag)
    if not found:
        there = ", ".join(f"<{child.tag}>" for child in element) or "nothing"
        raise Finding("missing field", f"<{element.tag}> has no <{tag}>, only {there}")
    if len(found) > 1:
        raise Finding("duplicate id", f"<{element.tag}> has {len(found)} <{tag}>")
    return found[0]


def _text(element: Element, tag: str) -> str:
    words = (_child(element, tag).text or "").strip()
    if not words:
        raise Finding("missing field", f"<{tag}> of <{element.tag}> is empty")
    return words


def _number(element: Element, tag: str) -> float:
    words = _text(element, tag)
    try:
        value = float(words)
    except ValueError:
        raise Finding("wrong type", f"<{tag}> must be a number, got {short(words)}") from None
    return number(value, f"<{tag}>")


def _whole(element: Element, tag: str) -> int:
    value = _number(element, tag)
    if value != int(value):
        raise Finding("wrong type", f"<{tag}> must be a whole number, got {value:g}")
    return int(value)
