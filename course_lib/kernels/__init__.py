"""Kernels for the GPU, in Triton: the same answers as the plain versions, in fewer trips to memory.

A GPU runs thousands of small programs side by side. A PyTorch operation is one such crowd: every
program reads its numbers from memory, does one thing to them and writes them back, and the next
operation reads them again. A kernel of our own does all the steps while it holds the numbers, and
decides by itself what comes next, where PyTorch would have to ask the processor (a host
synchronisation: the GPU idles until the answer has come).

    nms            what is kept of the best tile goes on to the next, without a matrix of all pairs
    roi_align      each bin samples its points by itself, forwards and backwards
    focal_loss     some twenty operations as one, and one more for the gradient

A Triton program is written for a block of numbers at a time: `tl.arange` names them, `tl.load` and
`tl.store` move them, a mask leaves out what lies beyond the end, and `tl.program_id` says which
block is ours. Each file has first what one program does, then the function that starts them all.

The ops choose by device: `usable` is asked, and what it says no to takes the plain way. Nothing
else calls a kernel. Triton comes with PyTorch's builds for CUDA; where there is no GPU, it can run
the same programs one by one on the processor (TRITON_INTERPRET=1): so they are tested.
"""

from functools import cache
from importlib.util import find_spec

from torch import Tensor


def usable(tensor: Tensor) -> bool:
    """Is it on a GPU that our kernels run on?"""
    return tensor.is_cuda and _triton_is_there()


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None
