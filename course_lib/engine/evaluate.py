"""How good is a detector? COCO's answer, for any detector and dataset of the course."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from course_lib.engine.batches import evaluation_batches, to_device
from course_lib.engine.distributed import gather
from course_lib.engine.optimizer import Ema
from course_lib.engine.progress import Counter, ProgressKind
from course_lib.metrics import CocoResult, evaluate_coco_images
from course_lib.models.detector import Detector, Images

TRUTH = ("boxes", "labels", "iscrowd", "area", "ignore")


@torch.no_grad()
def evaluate(
    model: Detector,
    dataset: Any,
    *,
    batch_size: int = 16,
    device: str | torch.device | None = None,
    ema: Ema | None = None,
    iou_type: Literal["bbox", "segm"] = "bbox",
    workers: int = 0,
    progress: ProgressKind = "none",
) -> CocoResult:
    """Runs the detector over a dataset and compares: `evaluate(model, valid)["AP50"]`.

    device: where to run; by default where the model is. It stays there.
    ema: averaged weights to evaluate with, in place of the model's own.
    iou_type: "bbox", or "segm" for a detector and a dataset with masks.
    workers: processes that load data; 0 is a thread.
    Where several processes learn together, all must call it: each takes its share of the images,
    and all get the result.
    The model is in evaluation mode for the time being, and afterwards in the mode it was in.
    """
    device = device_of(model) if device is None else torch.device(device)
    model.to(device)
    keys = (*TRUTH, "masks") if iou_type == "segm" else TRUTH
    rows: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    batches = evaluation_batches(dataset, batch_size, workers, pin=device.type == "cuda")
    averaged = ema.applied(model) if ema else nullcontext()
    counter = Counter(progress, len(dataset), "images evaluated")
    with evaluating(model), averaged, batches, counter:
        for batch in batches:
            images, targets = to_device(batch, device)
            found = model.detect(_unpadded(images, [target["size"] for target in targets]))
            for target, output in zip(targets, found, strict=True):
                truth = {key: target[key].cpu() for key in keys if key in target}
                rows.append((truth, {key: value.cpu() for key, value in output.items()}))
            counter.add(len(found))
    rows = gather(rows)
    return evaluate_coco_images([row[0] for row in rows], [row[1] for row in rows], iou_type)


def _unpadded(images: Tensor, sizes: list[tuple[int, int]]) -> Images:
    """Each image at its own size again, so that no box can lie in the padding."""
    if len(set(sizes)) == 1:
        return images
    return [image[:, :h, :w] for image, (h, w) in zip(images, sizes, strict=True)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; afterwards each part is in the mode it was in."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter or buffer is."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")
