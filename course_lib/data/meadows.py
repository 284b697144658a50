"""The painted scenes of the lessons as a dataset like all others."""

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data.scenes import Scene, scene
from course_lib.data.targets import Target
from course_lib.data.things import CLASSES


class Meadows(Dataset[tuple[Tensor, Target]]):
    """Sheep, dogs, cats, cars and trees on meadows: `scene(index, seed)` as picture and target.

    Pictures differ in size; some scenes have a flock as one crowd, a few have nothing in them. Each
    scene takes some hundredths of a second to paint, once.
    """

    classes = CLASSES

    def __init__(self, size: int = 60, seed: int = 0) -> None:
        for name, value in (("size", size), ("seed", seed)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
        self.size, self.seed = size, seed
        self._kept: dict[int, Scene] = {}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 H W"], Target]:
        i = index + self.size if index < 0 else index
        if not 0 <= i < self.size:
            raise IndexError(f"index {index} is outside a dataset of {self.size} pictures")
        if i not in self._kept:
            self._kept[i] = scene(i, self.seed)
        painted = self._kept[i]
        target: Target = {
            "boxes": painted.boxes.clone(),
            "labels": painted.labels.clone(),
            "area": painted.areas,
            "iscrowd": painted.crowd.long(),
            "visible": painted.visible.clone(),
            "image_id": i,
        }
        return torch.from_numpy(painted.image).permute(2, 0, 1).contiguous(), target
