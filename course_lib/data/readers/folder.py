"""What both readers share: image files with the objects that a file says are in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data.readers.pictures import check_size, decode
from course_lib.data.readers.problems import Finding, Inspector, Report
from course_lib.data.targets import Sample, Target

Check = Literal["nothing", "headers", "pixels"]


@dataclass
class Entry:
    """One image as its annotation has it. objects: a dict of plain numbers for each."""

    name: str
    file: Path
    image_id: int
    H: int
    W: int
    objects: list[dict[str, Any]] = field(default_factory=list)


class FolderDataset(Dataset[Sample]):
    """Pictures from files; `classes`, `report`, and an `Entry` for each picture in `entries`.

    Decoding happens anew each time, unless `cache` keeps the decoded pictures in memory.
    """

    classes: tuple[str, ...]
    report: Report
    entries: list[Entry]

    def __init__(self, *, cache: bool) -> None:
        self._kept: dict[int, Tensor] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside a dataset of {len(self)} pictures")
        i = index % len(self)
        entry = self.entries[i]
        image = None if self._kept is None else self._kept.get(i)
        if image is None:
            image = self._read(entry)
            if self._kept is not None:
                self._kept[i] = image
        return image.clone() if self._kept is not None else image, self.truth(i)[1]

    def truth(self, index: int) -> tuple[tuple[int, int], Target]:
        """(H, W) and target of a picture, without decoding it."""
        entry = self.entries[index]
        boxes = torch.tensor([one["box"] for one in entry.objects], dtype=torch.float32)
        target = {
            "boxes": boxes.reshape(-1, 4),
            "image_id": entry.image_id,
            **{
                key: torch.tensor([one[key] for one in entry.objects], dtype=dtype)
                for key, dtype in self._columns().items()
            },
        }
        self._add(target, entry)
        return (entry.H, entry.W), target

    def _columns(self) -> Mapping[str, torch.dtype]:
        """What is one number for each object, besides its box."""
        return {"labels": torch.int64, "area": torch.float32, "iscrowd": torch.int64}

    def _add(self, target: dict[str, Any], entry: Entry) -> None:
        """Put what a kind of dataset has besides into the target."""

    def _read(self, entry: Entry) -> Tensor:
        """The picture. ValueError if it is not what it was when the dataset was made."""
        try:
            image = decode(entry.file, (entry.H, entry.W))
        except Finding as finding:
            raise ValueError(
                f'{entry.file}: {finding.message} ({finding.kind}); with check="pixels" such files '
                "are found when the dataset is made"
            ) from None
        if image.shape[1:] != (entry.H, entry.W):
            H, W = image.shape[1:]
            raise ValueError(
                f"{entry.file}: is {W} wide and {H} high, its annotation says {entry.W} and "
                f"{entry.H} (wrong size)"
            )
        return image


def check_check(check: str) -> None:
    if check not in ("nothing", "headers", "pixels"):
        raise ValueError(f'check must be "nothing", "headers" or "pixels", got {check!r}')


def examine(entry: Entry, check: Check, inspector: Inspector, where: str) -> bool:
    """Is the image file there, and as the annotation says? What is wrong is noted."""
    if check == "nothing":
        return True
    try:
        check_size(entry.file, entry.H, entry.W)
        if check == "pixels":
            decode(entry.file, (entry.H, entry.W))
    except Finding as finding:
        inspector.note(finding, str(entry.file), where)
        return False
    return True


def inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder; Finding for a name that leads out of it."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise Finding("missing image", f"the name {name!r} leads out of the image folder")
    return folder / path
