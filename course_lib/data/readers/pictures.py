"""Image files of any common kind as uint8 [3, H, W]."""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from course_lib.data.readers.problems import Finding

_TURNED = {5, 6, 7, 8}  # EXIF orientations that exchange rows and columns
ORIENTATION = 0x0112


def read_image(
    file: str | PathLike[str], size: tuple[int, int] | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file, and turn it as a viewer would show it.

    Grey pictures get three equal channels; a palette and CMYK become red, green and blue; 16 bits
    are divided by 257, so that 65535 becomes 255; where a picture is transparent, it is white.
    size: (H, W) as its annotation says. A camera that was held upright writes a lying picture and
        a note to turn it (EXIF). If only the unturned picture has this size, it is not turned: some
        tools have drawn their boxes on it.

    Errors: FileNotFoundError; ValueError if it cannot be decoded, with the reason.
    """
    try:
        return decode(Path(file), size)
    except Finding as finding:
        error = FileNotFoundError if finding.kind == "missing image" else ValueError
        raise error(f"{file}: {finding.message}") from None


def decode(file: Path, size: tuple[int, int] | None = None) -> UInt8[Tensor, "3 H W"]:
    """The same, with a Finding for an error."""
    try:
        with Image.open(file) as picture:
            turned = _turned_size(picture) == size or picture.size != (size or (0, 0))[::-1]
            shown = ImageOps.exif_transpose(picture) if turned else picture
            pixels = _pixels(shown)
    except FileNotFoundError:
        raise Finding("missing image", "there is no such file") from None
    except Finding:
        raise
    except _UNREADABLE as error:
        raise Finding("unreadable image", _reason(error)) from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def check_size(file: Path, H: int, W: int) -> None:
    """Is the picture H x W, as shown or as stored? From the file's head if it is; or Finding."""
    try:
        with Image.open(file) as picture:
            if picture.size == (W, H) or _turned_size(picture) == (H, W):
                return
            height, width = _turned_size(picture)
    except FileNotFoundError:
        raise Finding("missing image", "there is no such file") from None
    except _UNREADABLE as error:
        raise Finding("unreadable image", _reason(error)) from None
    raise Finding(
        "wrong size",
        f"the file is {width} wide and {height} high, the annotation says {W} and {H}",
    )


# What Pillow raises for files that are broken, cut short, of no known kind, or far too large.
_UNREADABLE = (
    OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError, IndexError, TypeError,
    Image.DecompressionBombError,
)  # fmt: skip


def _turned_size(picture: Image.Image) -> tuple[int, int]:
    W, H = picture.size
    return (W, H) if picture.getexif().get(ORIENTATION) in _TURNED else (H, W)


def _pixels(picture: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    mode = picture.mode
    if mode.startswith("I"):  # 16 bits, or 16 bits in 32
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise Finding(
                "unreadable image",
                f"has grey values {deep.min()} to {deep.max()}, 16 bits expected",
            )
        grey = ((deep + 128) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "F":
        raise Finding("unreadable image", "has float values, whose range is not known")
    if mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, layer)
    return np.array(picture.convert("RGB"))


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is no image of a known kind"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    return f"cannot be decoded: {error}"
