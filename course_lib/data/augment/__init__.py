"""Augmentation: pictures changed so that their truth is still known.

`geometry` and `color` have the changes as pure functions, `transforms` the same with chance, to be
put together with `Compose`, `datasets` what makes a dataset of changed pictures of a dataset.

    steps = Compose([RandomHorizontalFlip(), RandomScale(), RandomCrop((128, 128)), ColorJitter()])
    train = Augmented(Mosaic(Shapes(), p=0.5), steps, seed=0)
"""

from course_lib.data.augment.color import adjust_color
from course_lib.data.augment.datasets import Augmented, Mosaic
from course_lib.data.augment.geometry import crop, drop_small, hflip, pad, resize
from course_lib.data.augment.transforms import (
    ColorJitter,
    Compose,
    DropSmall,
    RandomCrop,
    RandomHorizontalFlip,
    RandomScale,
    Resize,
)

__all__ = [
    "Augmented",
    "ColorJitter",
    "Compose",
    "DropSmall",
    "Mosaic",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomScale",
    "Resize",
    "adjust_color",
    "crop",
    "drop_small",
    "hflip",
    "pad",
    "resize",
]
