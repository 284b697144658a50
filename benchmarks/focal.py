"""Focal loss beside torchvision's, forward and with its gradient."""

from collections.abc import Callable
from types import ModuleType

import torch
import torchvision.ops as theirs
from torch import Tensor

from benchmarks.measure import Comparison
from course_lib import losses as ours

CLASSES = 91
ANCHORS = (1_000, 10_000, 76_725)  # the last: RetinaNet's at 640 x 640


def comparisons(device: str) -> list[Comparison]:
    """Logits as a network gives them in the beginning, one anchor in a hundred with an object."""
    rows = []
    for N in ANCHORS:
        make = torch.Generator().manual_seed(12)
        logits = (torch.randn(N, CLASSES, generator=make) - 4).to(device).requires_grad_()
        targets = torch.zeros(N, CLASSES)
        some = torch.randperm(N, generator=make)[: N // 100]
        targets[some, torch.randint(0, CLASSES, (len(some),), generator=make)] = 1
        targets = targets.to(device)
        size = f"{N:,} × {CLASSES}"
        calls = [_loss(library, logits, targets) for library in (theirs, ours)]
        rows.append(Comparison("sigmoid_focal_loss", size, *calls, n=N))
        calls = [_gradient(library, logits, targets) for library in (theirs, ours)]
        rows.append(Comparison("sigmoid_focal_loss with gradient", size, *calls, n=N))
    return rows


def _loss(library: ModuleType, logits: Tensor, targets: Tensor) -> Callable[[], Tensor]:
    @torch.no_grad()
    def call() -> Tensor:
        return library.sigmoid_focal_loss(logits, targets)

    return call


def _gradient(library: ModuleType, logits: Tensor, targets: Tensor) -> Callable[[], Tensor]:
    def call() -> Tensor:
        loss = library.sigmoid_focal_loss(logits, targets, reduction="sum")
        return torch.autograd.grad(loss, logits)[0]

    return call
