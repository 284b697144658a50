"""Data by name or by path, for `python -m course_lib.train`: something to learn from, something to
evaluate on, and no picture in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from course_lib.data import CocoDetection, Digits, Meadows, Shapes, VocDetection
from course_lib.data.augment import Augmented, RandomHorizontalFlip, Resize

PAINTED = ("shapes", "digits", "meadows")
TO_LEARN = ("trainval", "train")  # VOC's lists of pictures, the first that is there
TO_EVALUATE = {"trainval": ("test",), "train": ("val", "test")}
HELD_OUT = 10  # where nothing else is there to evaluate on: every tenth picture

OnError = Literal["refuse", "skip", "clip"]


class Datasets(NamedTuple):
    train: Any
    valid: Any
    notes: list[str]  # what the readers found


class Part:
    """Some pictures of a dataset; it has the dataset's classes."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices
        self.classes: tuple[str, ...] = dataset.classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]


def painted(name: str, size: int, valid_size: int, side: int | None, seed: int) -> Datasets:
    """Pictures painted in memory: `size` to learn from, others to evaluate on.

    A seed stands for two of the dataset's, 2 · seed and 2 · seed + 1: so no two trainings share
    pictures, and none is evaluated on what it has learnt.
    """
    options: dict[str, Any] = {} if side is None or name == "meadows" else {"side": side}
    if name == "digits":
        train: Any = Digits(size, 2 * seed, **options)
        valid: Any = Digits(valid_size, 2 * seed + 1, train=False, **options)
    else:
        kind = {"shapes": Shapes, "meadows": Meadows}[name]
        train, valid = kind(size, 2 * seed, **options), kind(valid_size, 2 * seed + 1, **options)
        train = Augmented(train, RandomHorizontalFlip(), seed)  # a mirrored digit is none
    if name == "meadows" and side is not None:
        train, valid = resized(train, side), resized(valid, side)
    return Datasets(train, valid, [])


def from_files(
    path: Path,
    images: Path | None,
    valid: Path | None,
    valid_images: Path | None,
    side: int | None,
    on_error: OnError,
) -> Datasets:
    """A COCO file with its folder of images, or a folder as Pascal VOC has it.

    Errors: ValueError, DataError, FileNotFoundError for what is not there or does not fit.
    """
    split, other_split = _voc_lists(path)
    everything = _read(path, images, on_error, split)
    notes = [str(everything.report)]
    train: Any = everything
    if valid is None and other_split is None:
        held_out = range(HELD_OUT - 1, len(everything), HELD_OUT)
        rest = [i for i in range(len(everything)) if i not in held_out]
        train, other = Part(everything, rest), Part(everything, held_out)
    else:
        if valid is not None:
            path, images = valid, valid_images or images
            other_split = "test" if "test" in _voc_names(path) else _voc_lists(path)[0]
        other = _read(path, images, on_error, other_split, everything.classes)
        notes.append(str(other.report))
    if other.classes != train.classes:
        raise ValueError(
            "what is learnt from and what is evaluated on must have the same classes, got "
            f"{', '.join(train.classes)} and {', '.join(other.classes)}"
        )
    if side is not None:
        train, other = resized(train, side), resized(other, side)
    return Datasets(train, other, notes)


def resized(dataset: Any, side: int) -> Any:
    """The shorter side of each picture brought to `side` pixels, the longer to 5/3 of it at most.

    Source: the habit of torchvision's detectors, 800 and 1333.
    """
    return Augmented(dataset, Resize(side, longest=side * 5 // 3))


def _read(
    path: Path,
    images: Path | None,
    on_error: OnError,
    split: str | None,
    classes: Sequence[str] | None = None,
) -> Any:
    if path.is_dir():
        return VocDetection(path, split or TO_LEARN[0], classes=classes, on_error=on_error)
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    return CocoDetection(path, folder, on_error=on_error)


def _voc_names(path: Path) -> set[str]:
    """The lists of pictures that a folder has; none for a file."""
    return {file.stem for file in (path / "ImageSets" / "Main").glob("*.txt")}


def _voc_lists(path: Path) -> tuple[str | None, str | None]:
    """The lists to learn from and to evaluate on, if the folder has them.

    trainval goes with test, train with val. VOC 2012 came without the annotations of its test.
    """
    there = _voc_names(path)
    pairs = [(learn, other) for learn in TO_LEARN for other in TO_EVALUATE[learn]]
    for learn, other in pairs:
        if {learn, other} <= there:
            return learn, other
    return next((learn for learn in TO_LEARN if learn in there), None), None
