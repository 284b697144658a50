"""Several processes that learn one model together: PyTorch's DistributedDataParallel.

    torchrun --nproc-per-node 2 -m course_lib.train retinanet

Each process sees its share of every batch; the gradients are averaged; so all make the same step.
The loss must be the mean over the processes' shares, see `course_lib._distributed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from course_lib._distributed import process_count, process_number
from course_lib.models.detector import Detector, Images, Target


@contextmanager
def processes(device: str | None = None) -> Iterator[torch.device]:
    """Inside, the processes that torchrun started know of each other; gives the device of this one.

    Started without torchrun, it is one process and joins nothing. On GPUs each process has its own,
    by its number on the machine, and they talk by nccl; on CPUs by gloo.
    device: "cuda", "cpu", …; None takes a GPU where there is one.
    """
    chosen = best_device() if device is None else torch.device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield chosen
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield chosen
    finally:
        torch.distributed.destroy_process_group()


def best_device() -> torch.device:
    """The GPU, if there is one: CUDA's, or Apple's; otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class LossOf(nn.Module):
    """A detector whose forward is its loss.

    DistributedDataParallel averages the gradients of what its `forward` computed; `model.loss`
    called beside it would learn on each process alone.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Images, targets: Sequence[Target]) -> Any:
        return self.model.loss(images, targets)


def together(model: Detector) -> nn.Module:
    """Called like `model.loss`; its backward averages the gradients over all processes."""
    wrapped = LossOf(model)
    if process_count() == 1:
        return wrapped
    return DistributedDataParallel(wrapped)


def mean_terms(terms: Tensor) -> Tensor:
    """The mean over processes of what each has measured; the same tensor, changed."""
    if process_count() > 1:
        torch.distributed.all_reduce(terms)
        terms /= process_count()
    return terms


def gather(rows: list[Any]) -> list[Any]:
    """The rows of all processes; process p of W had p, p + W, … of the whole list."""
    W = process_count()
    if W == 1:
        return rows
    parts: list[list[Any]] = [[] for _ in range(W)]
    torch.distributed.all_gather_object(parts, rows)
    total = sum(len(part) for part in parts)
    return [parts[i % W][i // W] for i in range(total)]


def share_of(rows: Sequence[Any]) -> Sequence[Any]:
    """The rows that are this process's: every W-th."""
    return rows[process_number() :: process_count()]
