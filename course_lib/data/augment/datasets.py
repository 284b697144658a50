"""Datasets around datasets: the same pictures, changed anew in each epoch.

What happens to a picture follows from (seed, epoch, index) alone: not from the order in which
pictures are asked for, nor from how many processes load them. `set_epoch` goes down to the dataset
inside, so one call serves the whole tower.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Generator, Tensor
from torch.utils.data import Dataset

from course_lib.data.augment.geometry import GREY, crop, drop_small, pad, resize
from course_lib.data.targets import PER_OBJECT, Sample, Target

Number = int | float


class _Around(Dataset[Sample]):
    """A dataset around another; it has the other's classes, keypoint names and the like."""

    stream = 0  # so that two of them with one seed do not draw the same numbers

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, 0
        self.classes: tuple[str, ...] = dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        # `dataset` is not there yet while this is unpickled; `truth` is of pictures as they were.
        if name.startswith("_") or name in ("dataset", "truth"):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def set_epoch(self, epoch: int) -> None:
        """From now on the changes of this epoch (0, 1, …)."""
        self.epoch = epoch
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def generator(self, index: int) -> Generator:
        """The generator of this epoch's picture `index`."""
        key = np.random.SeedSequence((self.seed, self.epoch, index % len(self), self.stream))
        return Generator().manual_seed(int(key.generate_state(1, np.uint64)[0] >> np.uint64(1)))


class Augmented(_Around):
    """A dataset whose every picture goes through a transform.

        train = Augmented(Shapes(), Compose([RandomHorizontalFlip(), ColorJitter()]), seed=0)
        train.set_epoch(1)

    transform: called with (image, target, generator), such as `Compose`.
    """

    stream = 1

    def __init__(
        self, dataset: Any, transform: Callable[[Tensor, Target, Generator], Sample], seed: int = 0
    ) -> None:
        super().__init__(dataset, seed)
        self.transform = transform

    def __getitem__(self, index: int) -> Sample:
        image, target = self.dataset[index]
        return self.transform(image, target, self.generator(index))


class Mosaic(_Around):
    """Each picture put together from four: itself at the top left, and three that chance picks.

    They meet at a point in the middle half of the picture. Each is made smaller by a factor within
    `scales`, but no smaller than its quarter, and a window of it fills the quarter. So a detector
    sees more objects at once, cut off and in other company, and statistics over four pictures.

    size: (H, W) of the result; by default that of the first of the four.
    p: the share of pictures that are mosaics; the others stay as they are.
    min_visible: objects of which less is left are no objects any more; nor are those with a side
        shorter than `min_side` pixels.
    Source: Bochkovskiy et al., YOLOv4, 2020. There, the four lie around the point uncut or cut as
        they come; here, no quarter is left grey.
    """

    stream = 2

    def __init__(
        self,
        dataset: Any,
        size: tuple[int, int] | None = None,
        *,
        p: Number = 1.0,
        scales: tuple[Number, Number] = (0.5, 1.0),
        min_visible: Number = 0.4,
        min_side: Number = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, seed)
        if not 0 < scales[0] <= scales[1]:
            raise ValueError(f"scales must be (least, most), above 0, got {scales}")
        for name, share in (("p", p), ("min_visible", min_visible)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {share}")
        if size is not None and min(size) < 4:
            raise ValueError(f"size must be (H, W), 4 or more each, got {size}")
        self.size, self.p, self.scales = size, p, scales
        self.min_visible, self.min_side = min_visible, min_side

    def __getitem__(self, index: int) -> Sample:
        rng = self.generator(index)
        u: Float32[Tensor, "4 4"] = torch.rand(4, 4, generator=rng)
        first = self.dataset[index]
        if u[0, 0] >= self.p:
            return first
        others = (u[1:, 0] * len(self)).long().clamp(max=len(self) - 1).tolist()
        four = [first, *(self.dataset[i] for i in others)]
        H, W = first[0].shape[1:] if self.size is None else self.size
        across = torch.rand(2, generator=rng).tolist()
        x, y = W // 4 + int(across[0] * (W // 2 + 1)), H // 4 + int(across[1] * (H // 2 + 1))
        quarters = ((0, 0, x, y), (x, 0, W, y), (0, y, x, H), (x, y, W, H))
        parts = [
            self._quarter(sample, quarter, (H, W), row.tolist()[1:])
            for sample, quarter, row in zip(four, quarters, u, strict=True)
        ]
        image = torch.empty_like(parts[0][0])
        for (x1, y1, x2, y2), (part, _) in zip(quarters, parts, strict=True):
            image[:, y1:y2, x1:x2] = part[:, y1:y2, x1:x2]
        return image, _together([target for _, target in parts])

    def _quarter(
        self,
        sample: Sample,
        quarter: tuple[int, int, int, int],
        size: tuple[int, int],
        u: Sequence[float],
    ) -> Sample:
        """A window of the picture at its place on an empty sheet."""
        image, target = sample
        x1, y1, x2, y2 = quarter
        h, w = image.shape[1:]
        least, most = self.scales
        factor = max(least + (most - least) * u[0], (y2 - y1) / h, (x2 - x1) / w)
        h, w = max(round(h * factor), y2 - y1), max(round(w * factor), x2 - x1)
        image, target = resize(image, target, (h, w))
        left, top = int(u[1] * (w - (x2 - x1) + 1)), int(u[2] * (h - (y2 - y1) + 1))
        window = (left, top, left + x2 - x1, top + y2 - y1)
        image, target = crop(image, target, window, min_visible=self.min_visible)
        image, target = drop_small(image, target, self.min_side)
        return pad(image, target, size, left=x1, top=y1, fill=GREY)


def _together(targets: Sequence[Target]) -> Target:
    """One target of several for one picture: what all of them know of their objects, joined."""
    joined = dict(targets[0])
    for key in PER_OBJECT:
        if all(key in target for target in targets):
            joined[key] = torch.cat([target[key] for target in targets])
        else:
            joined.pop(key, None)
    return joined
