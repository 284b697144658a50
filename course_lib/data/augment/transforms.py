"""The steps with chance in them: thin classes over the functions of `geometry` and `color`.

Each is called `step(image, target, rng)` and answers a new (image, target), as torchvision's v2
transforms do. All chance comes from `rng`, a `torch.Generator`; without one, from PyTorch's own,
which `torch.manual_seed` sets. The same generator in the same state gives the same picture.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

from course_lib.data.augment.color import adjust_color
from course_lib.data.augment.geometry import GREY, Keep, crop, drop_small, hflip, pad, resize
from course_lib.data.targets import Sample, Target, check_sample

Number = int | float
Picture = UInt8[Tensor, "3 _ _"]
Transform = Callable[[Tensor, Target, Generator | None], Sample]


class Compose:
    """One step after the other, all with the same generator."""

    def __init__(self, steps: Sequence[Transform]) -> None:
        self.steps = list(steps)

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        for step in self.steps:
            image, target = step(image, target, rng)
        return image, target

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.steps))}])"


class RandomHorizontalFlip:
    """The mirror image with probability p; targets with keypoints need `flip_pairs`: `hflip`."""

    def __init__(
        self, p: Number = 0.5, flip_pairs: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self.p, self.flip_pairs = _share("p", p), flip_pairs

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        if _uniform(rng) < self.p:
            return hflip(image, target, self.flip_pairs)
        return image, target

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class Resize:
    """A fixed size (H, W), or the shorter side brought to one of several lengths.

    size: (H, W): both sides, whatever the proportions; or a whole number: the shorter side, the
        proportions kept; or a list of such numbers, of which chance picks one.
    longest: the longer side becomes no longer than this; the shorter one gives way.
    torchvision's detectors resize to a shorter side of 800 and at most 1333.
    """

    def __init__(
        self, size: int | tuple[int, int] | list[int], *, longest: int | None = None
    ) -> None:
        if isinstance(size, tuple) and longest is not None:
            raise ValueError("longest has no meaning for a fixed (H, W)")
        lengths = [size] if isinstance(size, int) else list(size)
        if not lengths or min(lengths) < 1:
            raise ValueError(f"size must be 1 or more, got {size}")
        self.size, self.longest = size, longest

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        if isinstance(self.size, tuple):
            return resize(image, target, self.size)
        lengths = [self.size] if isinstance(self.size, int) else self.size
        length = lengths[int(_uniform(rng) * len(lengths))] if len(lengths) > 1 else lengths[0]
        H, W = image.shape[1:]
        factor = length / min(H, W)
        if self.longest is not None:
            factor = min(factor, self.longest / max(H, W))
        return resize(image, target, _scaled(H, W, factor))

    def __repr__(self) -> str:
        return f"Resize({self.size}, longest={self.longest})"


class RandomScale:
    """Larger or smaller by a factor between `least` and `most`, proportions kept.

    Each doubling is as likely as the next. With `RandomCrop` behind it, the picture stays as large
    as it was while the things in it grow and shrink: scale jitter (Ghiasi et al., CVPR 2021).
    """

    def __init__(self, least: Number = 0.75, most: Number = 1.33) -> None:
        if not 0 < least <= most:
            raise ValueError(f"least and most must be 0 < least <= most, got {least} and {most}")
        self.least, self.most = least, most

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        factor = self.least * (self.most / self.least) ** _uniform(rng)
        H, W = image.shape[1:]
        return resize(image, target, _scaled(H, W, factor))

    def __repr__(self) -> str:
        return f"RandomScale({self.least}, {self.most})"


class RandomCrop:
    """A window of exactly `size` (H, W) somewhere in the picture, see `crop`.

    Where the picture is smaller than that, it lies somewhere on a sheet of grey `fill`.
    keep, min_visible: which objects stay, as in `crop`.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        keep: Keep = "area",
        min_visible: Number = 0.3,
        fill: int = GREY,
    ) -> None:
        if min(size) < 1:
            raise ValueError(f"size must be (H, W), 1 or more each, got {size}")
        self.size, self.keep, self.fill = size, keep, fill
        self.min_visible = _share("min_visible", min_visible)

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        height, width = self.size
        H, W = image.shape[1:]
        top = int(_uniform(rng) * (abs(H - height) + 1))  # of the window in the picture, or of
        left = int(_uniform(rng) * (abs(W - width) + 1))  # the picture on the sheet
        y1, x1 = min(top, max(H - height, 0)), min(left, max(W - width, 0))
        window = (x1, y1, min(x1 + width, W), min(y1 + height, H))
        if window != (0, 0, W, H):
            rule: dict = {"keep": self.keep, "min_visible": self.min_visible}
            image, target = crop(image, target, window, **rule)
        if image.shape[1:] != (height, width):
            y, x = min(top, max(height - H, 0)), min(left, max(width - W, 0))
            image, target = pad(image, target, self.size, left=x, top=y, fill=self.fill)
        return image, target

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, keep={self.keep!r}, min_visible={self.min_visible})"


class ColorJitter:
    """Other colours, see `adjust_color`: each factor between 1 - x and 1 + x, the hue within x."""

    def __init__(
        self,
        brightness: Number = 0.2,
        contrast: Number = 0.2,
        saturation: Number = 0.3,
        hue: Number = 0.02,
    ) -> None:
        self.brightness = _share("brightness", brightness)
        self.contrast = _share("contrast", contrast)
        self.saturation = _share("saturation", saturation)
        self.hue = _share("hue", hue)

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        check_sample(image, target)
        u = (2 * torch.rand(4, generator=rng) - 1).tolist()
        changed = adjust_color(
            image,
            brightness=1 + self.brightness * u[0],
            contrast=1 + self.contrast * u[1],
            saturation=1 + self.saturation * u[2],
            hue=self.hue * u[3],
        )
        return changed, target

    def __repr__(self) -> str:
        return f"ColorJitter({self.brightness}, {self.contrast}, {self.saturation}, {self.hue})"


class DropSmall:
    """Without objects with a side shorter than `least` pixels, see `drop_small`."""

    def __init__(self, least: Number) -> None:
        self.least = least

    def __call__(self, image: Picture, target: Target, rng: Generator | None = None) -> Sample:
        return drop_small(image, target, self.least)

    def __repr__(self) -> str:
        return f"DropSmall({self.least})"


def _uniform(rng: Generator | None) -> float:
    return torch.rand((), generator=rng).item()


def _share(name: str, value: Number) -> Number:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in 0..1, got {value}")
    return value


def _scaled(H: int, W: int, factor: float) -> tuple[int, int]:
    return max(round(H * factor), 1), max(round(W * factor), 1)
