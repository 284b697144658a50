"""What detectors with a softmax share: one of the network's classes means "nothing here"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from course_lib.models.detector import Detections, Detector, Images, Target, objects_of
from course_lib.models.resize import Size

BACKGROUND = 0  # the network's class for it, as in the papers; kinds of objects are 1, 2, …
IGNORED = -1  # what is asked for nothing: a crowd
WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the deltas: those of good proposals are small numbers


class DetectorWithBackground(Detector):
    """A detector whose network has background for its class 0.

    num_classes: K kinds of objects, labels 0..K-1; the network has an output more for background.
        With `background_is_0`, num_classes counts background, and label 0 is nobody's, as in
        torchvision: that is how its weights number COCO's categories.
    options: those of `Detector`.
    """

    def __init__(self, num_classes: int, *, background_is_0: bool = False, **options: Any) -> None:
        if background_is_0 and num_classes < 2:
            raise ValueError(
                f"num_classes counts background here, so it must be 2 or more, got {num_classes}; "
                "with background_is_0=False it counts kinds of objects alone"
            )
        super().__init__(num_classes, **options)
        self.shift = 0 if background_is_0 else 1  # from a label to the network's class

    @property
    def labels(self) -> range:
        """The labels of objects that it knows."""
        return range(1 - self.shift, self.num_classes)

    @property
    def num_outputs(self) -> int:
        """The classes of the network, background included."""
        return self.num_classes + self.shift

    def objects(self, target: Target) -> tuple[Tensor, Tensor]:
        """Boxes [M, 4] and the network's classes [M] of a target; IGNORED for a crowd."""
        boxes, labels = objects_of(target, IGNORED - self.shift)
        return boxes, labels + self.shift

    def in_own_pixels(
        self, images: Images, detections: list[Detections], sizes: Sequence[Size]
    ) -> list[Detections]:
        """Boxes in the pixels of the images as given; labels in place of the network's classes."""
        for found in detections:
            found["labels"] = found["labels"] - self.shift
        return super().in_own_pixels(images, detections, sizes)
