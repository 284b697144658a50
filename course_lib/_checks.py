"""Is this call meaningful? Each check answers in microseconds, or says what to write instead."""

import torch
from torch import Tensor

FORMATS = ("xyxy", "xywh", "cxcywh")
NOT_NUMBERS = frozenset({torch.bool, torch.complex32, torch.complex64, torch.complex128})


def check_boxes(boxes: Tensor, name: str, shape: str = "[N, 4]", batches: bool = False) -> None:
    check_tensor(boxes, name)
    if boxes.dtype in NOT_NUMBERS:
        raise TypeError(f"{name} must hold floats or integers, got {boxes.dtype}; convert it first")
    sizes = boxes.shape
    ndim, last = len(sizes), sizes[-1] if sizes else 0
    if last == 4 and (ndim == 2 or (batches and ndim > 2)):
        return
    if last != 4:
        remedy = "each box is 4 numbers, and no boxes at all are torch.zeros(0, 4)"
    elif ndim == 1:
        remedy = f"for one box write {name}[None]"
    else:
        remedy = "call it for one image at a time"
    raise ValueError(f"{name} must have shape {shape}, got {list(boxes.shape)}; {remedy}")


def check_labels(labels: Tensor, boxes: Tensor, name: str = "labels", number: str = "M") -> None:
    if labels.shape != (len(boxes),):
        raise ValueError(
            f"{name} must have shape [{number}] = [{len(boxes)}], one for each box, got "
            f"{list(labels.shape)}"
        )


def check_masks(masks: Tensor, name: str, shape: str = "[N, H, W]") -> None:
    check_tensor(masks, name)
    if masks.ndim != 3:
        remedy = f"for one mask write {name}[None]" if masks.ndim == 2 else "one mask is [H, W]"
        raise ValueError(f"{name} must have shape {shape}, got {list(masks.shape)}; {remedy}")


def check_tensor(value: object, name: str) -> None:
    if not isinstance(value, Tensor):
        got = type(value).__name__
        raise TypeError(f"{name} must be a torch.Tensor, got {got}; write torch.as_tensor({name})")


def check_format(fmt: str, name: str) -> None:
    if fmt not in FORMATS:
        raise ValueError(
            f'{name} must be "xyxy", "xywh" or "cxcywh", got {fmt!r}; '
            "rotated boxes are not part of this course"
        )
