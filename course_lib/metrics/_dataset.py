"""Truths and detections as columns of numbers, which is what the evaluation works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from pycocotools import mask as run_lengths

Rle = Mapping[str, Any]  # COCO's run lengths of one mask
Shapes = Float[np.ndarray, "N 4"] | Sequence[Rle]  # boxes as xywh in pixels, or masks


@dataclass(frozen=True)
class Objects:
    """N truths or N detections of many images, a column for each property.

    Truths have no score, detections are no crowds and never ignored: zeros stand there.
    """

    image: Int64[np.ndarray, " N"]  # index into the sorted image ids
    category: Int64[np.ndarray, " N"]  # index into the sorted category ids
    area: Float[np.ndarray, " N"]  # in square pixels: decides in which area ranges it counts
    shapes: Shapes  # what is compared
    score: Float[np.ndarray, " N"]
    crowd: Bool[np.ndarray, " N"]
    ignored: Bool[np.ndarray, " N"]  # crowds are ignored too

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Int64[np.ndarray, " P"]) -> Objects:
        """These rows, in this order."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return Objects(**{name: _rows(column, rows) for name, column in columns.items()})


@dataclass(frozen=True)
class Dataset:
    """All that is evaluated, and what its images and classes are called outside."""

    truths: Objects
    detections: Objects
    images: int  # how many
    category_ids: list[Any]  # [K]
    category_names: list[str]  # [K]


def objects(
    image: Sequence[int] | Int64[np.ndarray, " N"],
    category: Sequence[int] | Int64[np.ndarray, " N"],
    area: Float[np.ndarray, " N"],
    shapes: Shapes,
    score: Float[np.ndarray, " N"] | None = None,
    crowd: Bool[np.ndarray, " N"] | None = None,
    ignored: Bool[np.ndarray, " N"] | None = None,
) -> Objects:
    """The table, with zeros where a column is not given."""
    N = len(image)
    crowd = np.zeros(N, dtype=bool) if crowd is None else crowd
    return Objects(
        image=np.asarray(image, dtype=np.int64),
        category=np.asarray(category, dtype=np.int64),
        area=area,
        shapes=shapes,
        score=np.zeros(N) if score is None else score,
        crowd=crowd,
        ignored=crowd if ignored is None else crowd | ignored,
    )


def mask_areas(masks: Sequence[Rle]) -> Float[np.ndarray, " N"]:
    """How many pixels each mask has."""
    # One at a time: of a list, pycocotools 2.0.11 puts the length into 8 bits and fails beyond 255.
    return np.array([run_lengths.area(mask) for mask in masks], dtype=np.float64)


def _rows(column: Any, rows: np.ndarray) -> Any:
    return column[rows] if isinstance(column, np.ndarray) else [column[i] for i in rows.tolist()]
