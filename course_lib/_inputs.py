"""What a picture can be made from: every common form is accepted, a wrong one is explained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.colors import is_color_like
from torch import Tensor


def as_boxes(boxes: Any) -> Float[Tensor, "N 4"]:
    """Boxes on the CPU, without gradients; an empty list is no boxes."""
    given = torch.as_tensor(boxes).detach().cpu().float()
    if given.numel() == 0:
        return given.reshape(0, 4)
    if given.ndim != 2 or given.shape[1] != 4:
        advice = ": give boxes[None] to draw one box" if given.shape == (4,) else ""
        raise ValueError(f"boxes must have shape [N, 4], got {list(given.shape)}{advice}")
    for i, box in enumerate(given.tolist()):
        if not np.isfinite(box).all():
            raise ValueError(f"boxes must be finite to be drawn, got boxes[{i}] = {box}")
    return given


def as_image(image: Any) -> np.ndarray:
    """An [H, W, 3] array, uint8 or float in 0..1, as `imshow` wants it."""
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        if image.ndim == 3 and image.shape[0] not in (1, 3):
            got = f"{list(image.shape)}: permute(2, 0, 1) if the colours come last"
            raise ValueError(f"an image tensor must have shape [3, H, W], got {got}")
        image = image.permute(1, 2, 0) if image.ndim == 3 else image
        image = (image.float() if image.is_floating_point() else image).numpy()
    pixels = np.asarray(image)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.size == 0:
        shape = list(np.shape(image))
        raise ValueError(f"an image array must have shape [H, W, 3] or [H, W], got {shape}")
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype != np.uint8:
        if not np.issubdtype(pixels.dtype, np.floating) or not -0.01 <= low <= high <= 1.01:
            got = f"{pixels.dtype} from {low:g} to {high:g}: rescale it to 0..1"
            raise ValueError(f"an image must be uint8, or float in 0..1, got {got}")
        pixels = pixels.clip(0, 1)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def as_scores(scores: Any, N: int) -> list[float]:
    """N numbers in 0..1."""
    given = torch.as_tensor(scores).detach().cpu().float()
    if given.shape != (N,):
        raise ValueError(f"scores must have shape [{N}], one for each box, got {list(given.shape)}")
    if N and not 0 <= given.min() <= given.max() <= 1:
        got = f"{given.min():g} to {given.max():g}: put logits through sigmoid or softmax first"
        raise ValueError(f"scores must lie in 0..1, got {got}")
    return given.tolist()


def as_labels(
    labels: Any, N: int, class_names: Sequence[str] | None
) -> tuple[list[str], list[int]]:
    """The words to write, and the class numbers that decide the colours."""
    given = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)
    if len(given) != N or isinstance(labels, str):
        raise ValueError(f"labels must be a list of {N}, one for each box, got {labels!r}")
    if all(isinstance(label, str) for label in given):
        known = list(dict.fromkeys([*(class_names or []), *given]))
        return given, [known.index(word) for word in given]
    if class_names is None:
        return [str(label) for label in given], [int(label) for label in given]
    K = len(class_names)
    if not all(0 <= label < K for label in given):
        raise ValueError(f"labels must lie in 0..{K - 1} for {K} class_names, got {given}")
    return [class_names[int(label)] for label in given], [int(label) for label in given]


def as_colors(colors: Any, N: int) -> list[Any]:
    """N colours that matplotlib knows; a single one stands for all boxes."""
    shades = [colors] * N if is_color_like(colors) else list(colors)
    if len(shades) != N or not all(is_color_like(shade) for shade in shades):
        raise ValueError(f"colors must be one colour, or a list of {N}, got {colors!r}")
    return shades
