"""Targets and outputs as torchvision's detectors have them, checked and turned into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pycocotools import mask as run_lengths
from torch import Tensor

from course_lib._checks import check_boxes, check_tensor
from course_lib.metrics._dataset import Dataset, Objects, Rle, Shapes, mask_areas, objects

Image = Mapping[str, Any]  # the target or the output of one image


def read_images(
    targets: Sequence[Image], outputs: Sequence[Image], iou_type: str, use_ignore: bool
) -> Dataset:
    """The two as tables; the classes are all labels that occur in either."""
    check_images(targets, outputs, "masks" if iou_type == "segm" else "boxes")
    labels = sorted(set(_stack(targets, "labels")) | set(_stack(outputs, "labels")))
    truths = _table(targets, labels, iou_type, use_ignore)
    found = _table(outputs, labels, iou_type, use_ignore)
    return Dataset(truths, found, len(targets), labels, [str(label) for label in labels])


def check_images(targets: Sequence[Image], outputs: Sequence[Image], shape: str = "boxes") -> None:
    """Are these lists of dictionaries of tensors that fit together? `shape`: "boxes", "masks"."""
    for images, name in ((targets, "targets"), (outputs, "outputs")):
        if not isinstance(images, Sequence) or not all(isinstance(i, Mapping) for i in images):
            raise TypeError(
                f"{name} must be a list of dictionaries, one for each image, "
                f"got {type(images).__name__}; write [{name}] for one image"
            )
    if len(targets) != len(outputs):
        raise ValueError(
            "targets and outputs must have one entry for each image, got "
            f"{len(targets)} and {len(outputs)}; an image without detections has empty tensors"
        )
    for i, (target, output) in enumerate(zip(targets, outputs, strict=True)):
        _check_image(target, f"targets[{i}]", (shape, "labels"))
        _check_image(output, f"outputs[{i}]", (shape, "labels", "scores"))
        if shape == "masks" and len(target["masks"]) and len(output["masks"]):
            sizes = [list(side["masks"].shape[-2:]) for side in (target, output)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"the masks of image {i} are {sizes[0]} in targets and {sizes[1]} in outputs; "
                    "resize one of them to the other's size"
                )


def _check_image(image: Image, name: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in image:
            got = ", ".join(map(repr, image)) or "nothing"
            raise ValueError(f"{name} must have {key!r}, it has {got}")
    N = len(image[keys[0]])
    for key in (*keys, "iscrowd", "ignore", "difficult", "area"):
        if key not in image:
            continue
        where, value = f"{name}[{key!r}]", image[key]
        check_tensor(value, where)
        if key == "boxes":
            check_boxes(value, where)
        elif key == "masks":
            if value.ndim != 3 and not (value.ndim == 4 and value.shape[1] == 1):
                raise ValueError(f"{where} must have shape [N, H, W], got {list(value.shape)}")
        elif value.shape != (N,):
            raise ValueError(f"{where} must have shape [{N}] as {keys[0]}, got {list(value.shape)}")
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{where} must be finite, got {value[~value.isfinite()][0].item()}")
        if key == "labels" and (value.is_floating_point() or value.dtype == torch.bool):
            raise TypeError(f"{where} must hold integers, got {value.dtype}; write .long()")


def _table(images: Sequence[Image], labels: list[int], iou_type: str, use_ignore: bool) -> Objects:
    index = {label: k for k, label in enumerate(labels)}
    counts = [len(image["labels"]) for image in images]
    shapes: Shapes
    if iou_type == "segm":
        shapes = [mask for image in images for mask in _encode(image["masks"])]
        area = mask_areas(shapes)
    else:
        shapes = _xywh(images)
        area = shapes[:, 2] * shapes[:, 3]
    own = _given(images, "area", np.nan)
    crowd = _given(images, "iscrowd", 0) != 0
    return objects(
        np.repeat(np.arange(len(images)), counts),
        [index[label] for label in _stack(images, "labels")],
        area=np.where(np.isnan(own), area, own),
        shapes=shapes,
        score=_given(images, "scores", 0),
        crowd=crowd,
        ignored=_given(images, "ignore", 0) != 0 if use_ignore else crowd,
    )


def _encode(masks: Tensor) -> list[Rle]:
    """Run lengths of [N, H, W] masks, or of torchvision's [N, 1, H, W] probabilities."""
    masks = masks.detach().flatten(0, 1) if masks.ndim == 4 else masks.detach()
    inside = masks > 0.5 if masks.is_floating_point() else masks != 0
    pixels = inside.cpu().numpy().astype(np.uint8).transpose(1, 2, 0)  # [H, W, N]
    return run_lengths.encode(np.asfortranarray(pixels)) if pixels.shape[2] else []


def _xywh(images: Sequence[Image]) -> Float[np.ndarray, "N 4"]:
    rows = [image["boxes"].detach().cpu().double().numpy() for image in images]
    xyxy = np.concatenate([np.zeros((0, 4)), *rows])
    return np.concatenate((xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]), axis=1)


def _stack(images: Sequence[Image], key: str) -> list[int]:
    return [value for image in images for value in image[key].tolist()]


def _given(images: Sequence[Image], key: str, missing: float | int) -> Float[np.ndarray, " N"]:
    """One number an object, `missing` for the images that do not say."""
    columns = [
        image[key].detach().cpu().double().numpy()
        if key in image
        else np.full(len(image["labels"]), missing)
        for image in images
    ]
    return np.concatenate([np.zeros(0), *columns])
