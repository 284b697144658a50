"""What a detector has to know of the other processes that learn together with it.

Each process computes the loss of its own share of a batch, and the gradients are averaged. A loss
that is a mean over images needs nothing else. One that is divided by a count, such as the number
of positives, is the whole batch's only if every process divides by the same number:

    loss = errors.sum() / mean_over_processes(positives)

With W processes the average of the gradients is (1/W) Σ errors / ((1/W) Σ positives): the whole
batch's errors over the whole batch's positives.
"""

import torch
from jaxtyping import Float, Num
from torch import Tensor


def mean_over_processes(count: Num[Tensor, ""], *, least: int | float = 1) -> Float[Tensor, ""]:
    """The mean of a count over the processes that learn together, to divide a loss by.

    Shapes: a number [] of any dtype to [], float32, or float64 where it is float64. No gradient
        flows through it. With one process it is the number itself.
    least: the count of the whole batch is taken to be at least so much; 1, so that a batch without
        any positives is divided by 1, not by 0.
    Every process must call it, the same number of times.
    """
    total = count.detach().to(torch.promote_types(count.dtype, torch.float32), copy=True)
    W = process_count()
    if W > 1:
        torch.distributed.all_reduce(total)
    return total.clamp(min=least) / W


def process_count() -> int:
    """How many processes learn together; 1 where none have been joined by torch.distributed."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    return torch.distributed.get_world_size()


def process_number() -> int:
    """Which of them this is: 0, 1, …; number 0 writes files and prints."""
    return torch.distributed.get_rank() if process_count() > 1 else 0
