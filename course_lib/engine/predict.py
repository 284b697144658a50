"""Using a detector: on images of any size and kind, in batches, in tiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from course_lib._inputs import as_image
from course_lib.data.readers.pictures import read_image
from course_lib.engine.config import Number
from course_lib.engine.evaluate import device_of, evaluating
from course_lib.engine.progress import Counter, ProgressKind
from course_lib.engine.tiles import Part, Window, merge_parts, tile_windows
from course_lib.models.detector import Detections, Detector, Images


@torch.no_grad()
def predict(
    model: Detector,
    images: Any,
    *,
    batch_size: int = 16,
    score_threshold: Number = 0.0,
    tiles: int | None = None,
    overlap: Number = 0.25,
    zoom: Number = 1,
    whole: bool = True,
    iou_threshold: Number = 0.5,
    progress: ProgressKind = "none",
) -> list[Detections]:
    """What the detector finds in each image: `predict(model, "street.jpg")[0]["boxes"]`.

    images: one image or a list of images: tensors [3, H, W] or [H, W, 3] and [H, W] arrays, uint8
        or float in 0..1, or names of image files; or one tensor [B, 3, H, W]. Sizes may differ.
        Files are read when it is their turn.
    Answers: one dict an image, on the CPU: `boxes` [N, 4] xyxy in pixels of that image, `scores`,
        `labels`, best first, and what else the detector says.
    score_threshold: detections with a lower score are dropped; the detector has its own threshold.
    tiles: for objects that are small in large images: a window of tiles x tiles pixels is moved
        over each image, see `tile_windows`, and enlarged `zoom` times before it is looked at.
        Then only boxes, scores and labels are answered.
    overlap: of neighbouring tiles, as a share of a tile; the size of the objects looked for, or
        more, so that each is whole somewhere.
    whole: with tiles, also look at the image in one piece, for the objects too large for tiles.
    iou_threshold: of the suppression among boxes of different tiles.
    Only images that the detector pads to the same size share a batch, so that what is found in one
    never depends on its company.
    Errors: TypeError, ValueError, FileNotFoundError for what is not an image, with its number.
    """
    rows = _listed(images)
    parts: list[list[Part]] = [[] for _ in rows]
    sizes: dict[int, tuple[int, int]] = {}
    counter = Counter(progress, len(rows), "images")
    with evaluating(model), counter:
        looks = _looks(rows, device_of(model), tiles, overlap, zoom, whole)
        for batch in _batches(looks, batch_size, model.stride):
            for look, found in zip(batch, model.detect(_stacked(batch)), strict=True):
                parts[look.image].append(_part(look, found, score_threshold))
                sizes[look.image] = look.size
            counter.reach(len(sizes))
    if tiles is None:
        return [found for ((_, found),) in parts]
    return [merge_parts(parts[i], sizes[i], iou_threshold) for i in range(len(rows))]


class _Look(NamedTuple):
    """A window of an image, as it is shown to the detector."""

    image: int  # its place in the list
    size: tuple[int, int]  # its height and width
    window: Window
    pixels: Float[Tensor, "3 _ _"]  # of the window, enlarged


def _looks(
    images: Sequence[Any],
    device: torch.device,
    tiles: int | None,
    overlap: Number,
    zoom: Number,
    whole: bool,
) -> Iterator[_Look]:
    """Everything that the detector shall look at, image by image."""
    for i, image in enumerate(images):
        pixels = _pixels(image, i).to(device)
        height, width = size = (pixels.shape[1], pixels.shape[2])
        everything = (0, 0, width, height)
        if tiles is None:
            yield _Look(i, size, everything, pixels)
            continue
        windows = tile_windows(size, tiles, overlap)
        for window in windows:
            x1, y1, x2, y2 = window
            yield _Look(i, size, window, _enlarged(pixels[:, y1:y2, x1:x2], zoom))
        if whole and (windows != [everything] or zoom != 1):
            yield _Look(i, size, everything, pixels)


def _enlarged(pixels: Float[Tensor, "3 _ _"], zoom: Number) -> Float[Tensor, "3 _ _"]:
    if zoom == 1:
        return pixels
    H, W = (max(round(side * zoom), 1) for side in pixels.shape[1:])
    return interpolate(pixels[None], (H, W), mode="bilinear", antialias=zoom < 1)[0]


def _batches(looks: Iterable[_Look], batch_size: int, stride: int) -> Iterator[list[_Look]]:
    """Looks of one padded size together; full batches at once, the rest at the end."""
    waiting: dict[tuple[int, ...], list[_Look]] = {}
    for look in looks:
        padded = tuple(-(-side // stride) for side in look.pixels.shape[1:])
        row = waiting.setdefault(padded, [])
        row.append(look)
        if len(row) == batch_size:
            yield waiting.pop(padded)
    yield from waiting.values()


def _stacked(batch: Sequence[_Look]) -> Images:
    """One tensor if all have the same size, otherwise the list."""
    pixels = [look.pixels for look in batch]
    return torch.stack(pixels) if len({each.shape for each in pixels}) == 1 else pixels


def _part(look: _Look, found: Detections, score_threshold: Number) -> Part:
    """Detections above the threshold, on the CPU, boxes in pixels of the image."""
    keep = (found["scores"] >= score_threshold).cpu()
    found = {key: value.cpu()[keep] for key, value in found.items()}
    x1, y1, x2, y2 = look.window
    H, W = look.pixels.shape[1:]
    boxes = found["boxes"]
    scale = boxes.new_tensor([(x2 - x1) / W, (y2 - y1) / H] * 2)
    return Part(look.window, {**found, "boxes": boxes * scale + boxes.new_tensor([x1, y1] * 2)})


def _listed(images: Any) -> list[Any]:
    """The images one by one, unread."""
    one = isinstance(images, str | PathLike) or (
        isinstance(images, Tensor | np.ndarray) and images.ndim < 4
    )
    return [images] if one else list(images)


def _pixels(image: Any, i: int) -> Float[Tensor, "3 _ _"]:
    """Any kind of image as float in 0..1."""
    try:
        if isinstance(image, str | PathLike):
            return read_image(image) / 255
        if not isinstance(image, Tensor | np.ndarray):
            got = type(image).__name__
            raise TypeError(f"an image is a tensor, an array or the name of a file, got {got}")
        pixels = torch.from_numpy(as_image(image).copy()).permute(2, 0, 1)  # [3, H, W]
        return pixels / 255 if pixels.dtype == torch.uint8 else pixels.float()
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise type(error)(f"images[{i}]: {error}") from None
