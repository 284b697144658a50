"""What of course_lib.suppression is compared with torchvision.ops, and on which boxes."""

from functools import partial

import torch
import torchvision.ops as theirs
from torch import Tensor

from benchmarks.boxes import random_boxes
from benchmarks.measure import Comparison
from course_lib import suppression as ours

THRESHOLD = 0.5


def comparisons(device: str) -> list[Comparison]:
    """Scattered boxes of 4 to 204 pixels a side on 600 × 800, and harder and easier ones."""
    rows: list[Comparison] = []

    def add(op: str, size: str, *args: Tensor, n: int = 0) -> None:
        args = tuple(each.to(device) for each in args)
        their_call = partial(getattr(theirs, op.split()[0]), *args, THRESHOLD)
        our_call = partial(getattr(ours, op.split()[0]), *args, THRESHOLD)
        rows.append(Comparison(op, size, their_call, our_call, atol=0, n=n))

    for size, boxes in (
        ("100", random_boxes(100, seed=5)),
        ("1,000", random_boxes(1_000, seed=5)),
        ("1,000 on 30 objects", on_objects(1_000, 30)),
        ("10,000 dense", random_boxes(10_000, seed=5)),
        ("10,000 on 100 objects", on_objects(10_000, 100)),
    ):
        add("nms", size, boxes, different_scores(len(boxes)))
    for n in (100, 1_000, 10_000, 100_000):  # a larger picture as there are more: as dense always
        boxes = sparse(n, 6000 * 8000 / 10_000 * n)
        add("nms of spread boxes", f"{n:,}", boxes, different_scores(n), n=n)
    for size, boxes, classes in (
        ("1,000 in 80 classes", random_boxes(1_000, seed=5), 80),
        ("10,000 in 50 classes", random_boxes(10_000, seed=5), 50),
        ("10,000 on 100 objects in 50 classes", on_objects(10_000, 100), 50),
        ("10,000 in 1,000 classes", random_boxes(10_000, seed=5), 1_000),
    ):
        generator = torch.Generator().manual_seed(6)
        idxs = torch.randint(0, classes, (len(boxes),), generator=generator)
        add("batched_nms", size, boxes, different_scores(len(boxes)), idxs)
    return rows


def sparse(n: int, area: float) -> Tensor:
    """The boxes of `random_boxes` on so many square pixels, four to three."""
    boxes, generator = random_boxes(n, seed=5), torch.Generator().manual_seed(7)
    sides = torch.tensor([(area * 4 / 3) ** 0.5, (area * 3 / 4) ** 0.5])
    corner = torch.rand(n, 2, generator=generator) * sides
    return torch.cat((corner, corner + boxes[:, 2:] - boxes[:, :2]), dim=1)


def on_objects(n: int, objects: int) -> Tensor:
    """What a detector says: many boxes around each of a few objects, some pixels off."""
    generator = torch.Generator().manual_seed(8)
    truth = random_boxes(objects, seed=9)
    said = truth[torch.randint(0, objects, (n,), generator=generator)]
    return said + torch.randn(n, 4, generator=generator) * 5


def different_scores(n: int) -> Tensor:
    """torchvision's batched_nms does not promise an order for equal ones."""
    return (torch.randperm(n, generator=torch.Generator().manual_seed(10)) + 1) / n
