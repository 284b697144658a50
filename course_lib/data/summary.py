"""What is in a dataset: how many, how large, of what shape."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from course_lib.data.readers.problems import Report
from course_lib.data.scenes import LARGE, SMALL
from course_lib.data.targets import Target

BAR = 24  # characters of the longest bar in a printed summary


@dataclass(frozen=True, eq=False)
class DatasetSummary:
    """Numbers about N objects in B pictures; a crowd is counted apart and nowhere else.

    label [N], area [N] in square pixels, width [N] and height [N] of the boxes, image [N] the
    index of the picture each is in. picture_sizes: how many pictures have the size (H, W).
    """

    name: str
    classes: tuple[str, ...]
    images: int
    crowds: int
    label: Int64[np.ndarray, " N"] = field(repr=False)
    image: Int64[np.ndarray, " N"] = field(repr=False)
    area: Float64[np.ndarray, " N"] = field(repr=False)
    width: Float64[np.ndarray, " N"] = field(repr=False)
    height: Float64[np.ndarray, " N"] = field(repr=False)
    picture_sizes: Counter[tuple[int, int]] = field(repr=False)
    report: Report | None = field(repr=False)

    @property
    def objects(self) -> int:
        """N."""
        return len(self.label)

    @property
    def per_class(self) -> dict[str, int]:
        """How many objects of each class, in the order of the labels."""
        counts = np.bincount(self.label, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counts, strict=True))

    @property
    def images_per_class(self) -> dict[str, int]:
        """In how many pictures each class is."""
        return {
            name: len(np.unique(self.image[self.label == k])) for k, name in enumerate(self.classes)
        }

    @property
    def sizes(self) -> dict[str, int]:
        """How many are small, medium, large as COCO has it: below 32², up to 96², above."""
        small, large = int((self.area < SMALL).sum()), int((self.area > LARGE).sum())
        return {"small": small, "medium": self.objects - small - large, "large": large}

    @property
    def per_image(self) -> Counter[int]:
        """How many pictures have so many objects."""
        return Counter(np.bincount(self.image, minlength=self.images).tolist())

    @property
    def aspect_ratios(self) -> Float64[np.ndarray, " N"]:
        """Width over height of each box; boxes without height are left out."""
        there = self.height > 0
        return self.width[there] / self.height[there]

    def __str__(self) -> str:
        crowds = f", {self.crowds} crowds" if self.crowds else ""
        rows = [f"{self.name}: {self.images} pictures, {self.objects} objects{crowds}"]
        for title, counts in (
            ("class", self.per_class),
            ("size", self.sizes),
            ("objects in a picture", dict(sorted(self.per_image.items()))),
        ):
            rows += ["", title, *_bars({str(key): n for key, n in counts.items()})]
        if self.objects:
            low, middle, high = np.quantile(self.aspect_ratios, (0.05, 0.5, 0.95))
            rows += ["", f"width over height: {middle:.2f}, nine of ten {low:.2f} to {high:.2f}"]
        if self.report is not None and self.report.problems:
            rows += ["", str(self.report)]
        return "\n".join(rows)


def dataset_summary(dataset: Any, name: str | None = None) -> DatasetSummary:
    """Count what is in a dataset of the course: `print(dataset_summary(Shapes(200)))`.

    All pictures are asked for once; those of a reader are not even decoded.
    """
    labels, images, boxes, areas = [], [], [], []
    sizes: Counter[tuple[int, int]] = Counter()
    crowds = 0
    for i, (size, target) in enumerate(_truths(dataset)):
        sizes[size] += 1
        single = ~_crowd(target)
        crowds += int((~single).sum())
        xyxy = target["boxes"].double().numpy()[single]
        sides = xyxy[:, 2:] - xyxy[:, :2]
        area = target["area"].double().numpy()[single] if "area" in target else sides.prod(1)
        labels.append(target["labels"].numpy()[single])
        images.append(np.full(len(xyxy), i))
        boxes.append(sides)
        areas.append(area)
    sides = np.concatenate([np.zeros((0, 2)), *boxes])
    return DatasetSummary(
        name=type(dataset).__name__ if name is None else name,
        classes=tuple(dataset.classes),
        images=sum(sizes.values()),
        crowds=crowds,
        label=np.concatenate([np.zeros(0, dtype=np.int64), *labels]),
        image=np.concatenate([np.zeros(0, dtype=np.int64), *images]),
        area=np.concatenate([np.zeros(0), *areas]),
        width=sides[:, 0],
        height=sides[:, 1],
        picture_sizes=sizes,
        report=getattr(dataset, "report", None),
    )


def _truths(dataset: Any) -> Iterator[tuple[tuple[int, int], Target]]:
    """(H, W) and target of each picture, without its pixels where the dataset can do that."""
    for i in range(len(dataset)):
        if hasattr(dataset, "truth"):
            yield dataset.truth(i)
        else:
            image, target = dataset[i]
            yield (int(image.shape[1]), int(image.shape[2])), target


def _crowd(target: Target) -> np.ndarray:
    if "iscrowd" not in target:
        return np.zeros(len(target["labels"]), dtype=bool)
    return target["iscrowd"].numpy() != 0


def _bars(counts: dict[str, int]) -> list[str]:
    most = max([1, *counts.values()])
    wide = max([1, *map(len, counts)])
    digits = len(str(most))
    return [
        f"  {name:<{wide}}  {n:>{digits}}  {'█' * round(BAR * n / most)}".rstrip()
        for name, n in counts.items()
    ]
