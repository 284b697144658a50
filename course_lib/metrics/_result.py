"""What an evaluation by COCO's rules answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

# name, mean of precision or recall, IoU threshold (or all), area range, limit on detections
SUMMARY = (
    ("AP", "precision", None, "all", 100),
    ("AP50", "precision", 0.5, "all", 100),
    ("AP75", "precision", 0.75, "all", 100),
    ("APs", "precision", None, "small", 100),
    ("APm", "precision", None, "medium", 100),
    ("APl", "precision", None, "large", 100),
    ("AR1", "recall", None, "all", 1),
    ("AR10", "recall", None, "all", 10),
    ("AR100", "recall", None, "all", 100),
    ("ARs", "recall", None, "small", 100),
    ("ARm", "recall", None, "medium", 100),
    ("ARl", "recall", None, "large", 100),
)


@dataclass(frozen=True, repr=False, eq=False)
class CocoResult:
    """Precision and recall of every class, and the twelve numbers that COCO prints.

    T IoU thresholds, R recall points, K classes, A area ranges, M limits on the number of
    detections of an image and class. -1 where there is no truth to find.

    `print(result)` gives pycocotools' table, `result["AP50"]` one of its numbers by name.
    """

    precision: Float[np.ndarray, "T R K A M"]  # the envelope at each recall point
    recall: Float[np.ndarray, "T K A M"]  # the highest that is reached
    scores: Float[np.ndarray, "T R K A M"]  # where to stop for that recall
    iou_thresholds: Float[np.ndarray, " T"]
    recall_points: Float[np.ndarray, " R"]
    category_ids: list[Any]  # [K]
    category_names: list[str]  # [K]
    area_names: tuple[str, ...]  # [A]
    max_detections: tuple[int, ...]  # [M]

    @property
    def stats(self) -> Float[np.ndarray, " 12"]:
        """The twelve numbers, in pycocotools' order: see `SUMMARY`."""
        return np.array([self[name] for name, *_ in SUMMARY])

    def __getitem__(self, name: str) -> float:
        """One of the twelve numbers: "AP", "AP50", "AP75", "APs", …, "AR1", …, "ARl"."""
        for known, table, threshold, area, limit in SUMMARY:
            if known == name:
                a, m = self.area_names.index(area), self.max_detections.index(limit)
                values = getattr(self, table)[..., a, m]  # [T, R, K] or [T, K]
                if threshold is not None:
                    values = values[np.isclose(self.iou_thresholds, threshold)]
                return _mean(values)
        raise KeyError(f"{name!r}; there are {', '.join(known for known, *_ in SUMMARY)}")

    @property
    def class_ap(self) -> dict[Any, float]:
        """AP of each category id, at all IoU thresholds and sizes; -1 without truths."""
        of_class = self.precision[:, :, :, 0, -1]  # [T, R, K]
        return {category: _mean(of_class[:, :, k]) for k, category in enumerate(self.category_ids)}

    def __str__(self) -> str:
        lines = []
        for name, table, threshold, area, limit in SUMMARY:
            ious = "0.50:0.95" if threshold is None else f"{threshold:.2f}"
            title = f"Average {table.capitalize()}"
            lines.append(
                f"{name:<6}{title:<18} @[ IoU={ious:<9} | area={area:>6} | "
                f"maxDets={limit:>3} ] = {self[name]:.3f}"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<CocoResult AP {self['AP']:.3f}, AP50 {self['AP50']:.3f}, AP75 {self['AP75']:.3f}>"


def _mean(values: np.ndarray) -> float:
    there = values[values > -1]
    return float(there.mean()) if there.size else -1.0
