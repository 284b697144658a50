"""What `Shapes` and `Digits` share: pictures that are painted when first asked for, then kept."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int16, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data.canvas import Canvas
from course_lib.data.painting import Number
from course_lib.data.targets import Target

KEPT = 512 * 2**20  # bytes of pictures that a dataset keeps in memory

KEYPOINTS = ("top", "left", "bottom", "right")
FLIP_PAIRS = ((1, 3),)  # the keypoints that change places in a mirror


@dataclass(frozen=True, eq=False)
class Painting:
    """One picture with its truth, as it is kept."""

    image: UInt8[Tensor, "3 S S"]
    boxes: Float32[Tensor, "N 4"]
    labels: Int64[Tensor, " N"]
    area: Float32[Tensor, " N"]
    iscrowd: Int64[Tensor, " N"]
    visible: Float32[Tensor, " N"]
    owner: Int16[Tensor, "S S"] | None
    keypoints: Float32[Tensor, "N 4 3"] | None


class PaintedDataset(Dataset[tuple[Tensor, Target]]):
    """A series of painted pictures; `seed` and index fix each one, whatever `size` is.

    size: how many pictures the dataset has. Painting is lazy, so it may be very large.
    side: S, rows and columns of each picture.
    min_visible: at least this share of each object is not hidden.
    masks: with `masks` [N, S, S] of what is visible; no pixel is in two of them.
    keypoints: with `keypoints` [N, 4, 3], the extreme points of each object (Zhou et al.,
        ExtremeNet, CVPR 2019): the middle of the top row, left column, bottom row and right column
        of its pixels, in this order (`keypoint_names`). A crowd has none. In a mirror, left and
        right change places (`flip_pairs`).

    Each target also has `visible` [N], the share of each object that nothing hides. A box goes
    around the whole object. `area` is the box's, as for the painted scenes, so that truths and
    detections are small or large by one rule.
    """

    classes: tuple[str, ...]
    keypoint_names = KEYPOINTS
    flip_pairs = FLIP_PAIRS

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        side: int,
        min_visible: Number,
        masks: bool,
        keypoints: bool,
    ) -> None:
        for name, value, least in (("size", size, 0), ("seed", seed, 0), ("side", side, 16)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")
        if not 0 <= min_visible <= 1:
            raise ValueError(f"min_visible must lie in 0..1, got {min_visible}")
        self.size, self.seed, self.side = size, seed, side
        self.min_visible, self.masks, self.keypoints = float(min_visible), masks, keypoints
        self._kept: dict[int, Painting] | None = {} if size * side * side * 3 <= KEPT else None

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 S S"], Target]:
        i = index + self.size if index < 0 else index
        if not 0 <= i < self.size:
            raise IndexError(f"index {index} is outside a dataset of {self.size} pictures")
        painting = self._kept.get(i) if self._kept is not None else None
        if painting is None:
            painting = self._finish(self.paint(i))
            if self._kept is not None:
                self._kept[i] = painting
        # Clones: what the caller does to a picture must not come back with the next epoch.
        target: Target = {
            name: getattr(painting, name).clone()
            for name in ("boxes", "labels", "area", "iscrowd", "visible")
        }
        target["image_id"] = i
        if painting.owner is not None:
            N = len(painting.labels)
            target["masks"] = painting.owner == torch.arange(N, dtype=torch.int16).view(N, 1, 1)
        if painting.keypoints is not None:
            target["keypoints"] = painting.keypoints.clone()
        return painting.image.clone(), target

    @abstractmethod
    def paint(self, index: int) -> Canvas:
        """Picture number `index`, from (seed, index) alone."""

    def _finish(self, canvas: Canvas) -> Painting:
        boxes = torch.tensor(canvas.boxes, dtype=torch.float32).reshape(-1, 4)
        seen = [s / p for s, p in zip(canvas.seen, canvas.pixels, strict=True)]
        return Painting(
            image=torch.from_numpy(canvas.image),
            boxes=boxes,
            labels=torch.tensor(canvas.labels, dtype=torch.int64),
            area=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
            iscrowd=torch.tensor(canvas.crowd, dtype=torch.int64),
            visible=torch.tensor(seen, dtype=torch.float32),
            owner=torch.from_numpy(canvas.owner) if self.masks else None,
            keypoints=_keypoints(canvas) if self.keypoints else None,
        )


def _keypoints(canvas: Canvas) -> Float32[Tensor, "N 4 3"]:
    rows = torch.zeros(len(canvas.boxes), len(KEYPOINTS), 3)
    for k, points in enumerate(canvas.extremes):
        if canvas.crowd[k]:
            continue
        for p, (x, y) in enumerate(points):
            shown = canvas.owner[int(y), int(x)] == k
            rows[k, p] = torch.tensor((x, y, 2.0 if shown else 1.0))
    return rows
