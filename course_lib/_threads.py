"""How many of the processor's cores an operation may share its work among."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, this thread does its work on the CPU alone; afterwards all is as it was.

    For a chain of many short operations. PyTorch shares whatever has more than 2**15 numbers among
    all cores, and then waits for the slowest. Where another program holds one of them, each wait is
    longer than the operation: 10,000 boxes on 100 objects went through NMS in 12 ms by one thread,
    and in 130 ms by two on a busy machine (12 ms on a quiet one).
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
