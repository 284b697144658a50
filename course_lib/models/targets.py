"""Is this what a loss can learn from? What is not is refused, in words, before it teaches nonsense.

A box turned inside out or a label too many would otherwise be taken for background, or end in an
index error far from here. All images are looked at together: on a GPU that waits once a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib._checks import check_boxes, check_labels, check_tensor

Target = Mapping[str, Any]


def check_targets(targets: Sequence[Target], images: int, labels: range) -> None:
    """images: how many there are. labels: those that the detector knows.

    Errors: TypeError or ValueError that names the image and the object.
    """
    if isinstance(targets, Tensor | Mapping) or not hasattr(targets, "__len__"):
        got = type(targets).__name__
        raise TypeError(f"targets must be a list of dicts, one for each image, got {got}")
    if len(targets) != images:
        raise ValueError(
            f"targets must hold one dict for each of the {images} images, got {len(targets)}; an "
            "image without objects has boxes torch.zeros(0, 4) and no labels"
        )
    for n, target in enumerate(targets):
        for key in ("boxes", "labels"):
            if key not in target:
                has = ", ".join(map(repr, target)) or "nothing"
                raise ValueError(f"targets[{n}] must have {key!r}, it has {has}")
        boxes, numbers = target["boxes"], target["labels"]
        check_boxes(boxes, f"targets[{n}]['boxes']", "[N, 4]")
        check_tensor(numbers, f"targets[{n}]['labels']")
        check_labels(numbers, boxes, f"targets[{n}]['labels']", "N")
        if numbers.is_floating_point() and numbers.numel():
            got = f"targets[{n}]['labels'] must hold integers, got {numbers.dtype}"
            raise TypeError(f"{got}; write labels.long()")
    if torch.compiler.is_compiling():  # what follows hangs on numbers
        return
    boxes = torch.cat([target["boxes"] for target in targets])
    numbers = torch.cat([target["labels"] for target in targets])
    solid = (boxes[:, 2:] > boxes[:, :2]).all(1) & boxes.isfinite().all(1)  # [objects]
    known = (numbers >= labels.start) & (numbers < labels.stop)
    if not (solid & known).all():
        _explain(targets, labels, int((solid & known).int().argmin()))


def _explain(targets: Sequence[Target], labels: range, place: int) -> None:
    """Say what is wrong with the object at this place of all objects."""
    which = [(n, k) for n, target in enumerate(targets) for k in range(len(target["boxes"]))]
    n, k = which[place]
    label, box = int(targets[n]["labels"][k]), targets[n]["boxes"][k].tolist()
    where = f"object {k} of targets[{n}]"
    if label not in labels:
        zero = "; 0 is background here, as in torchvision" if labels.start == 1 else ""
        given = f"{where} has the label {label}, and this detector"
        raise ValueError(f"{given} knows {labels.start}..{labels.stop - 1}{zero}")
    numbers = ", ".join(f"{number:g}" for number in box)
    raise ValueError(
        f"{where} has the box [{numbers}], which covers nothing: x1 < x2 and y1 < y2 must hold, "
        'in pixels; is it "xywh"? course_lib.boxes.box_convert turns it round'
    )


def check_target_masks(targets: Sequence[Target], sizes: Sequence[Sequence[int]]) -> None:
    """sizes: (height, width) of each image. Errors: as above."""
    for n, (target, (H, W)) in enumerate(zip(targets, sizes, strict=True)):
        if "masks" not in target:
            raise ValueError(f"targets[{n}] must have masks [N, H, W] of its objects, 0 or 1")
        masks, expected = target["masks"], [len(target["boxes"]), int(H), int(W)]
        check_tensor(masks, f"targets[{n}]['masks']")
        if list(masks.shape) != expected:
            got = f"got {list(masks.shape)}"
            raise ValueError(f"targets[{n}]['masks'] must have shape [N, H, W] = {expected}, {got}")
        if masks.dtype == torch.bool or not masks.numel() or torch.compiler.is_compiling():
            continue
        low, high = (float(edge) for edge in masks.aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"targets[{n}]['masks'] must be 0 or 1, got {low:g} to {high:g}; write masks > 0"
            )
