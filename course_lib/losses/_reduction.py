"""How a loss becomes one number, and the checks that several losses need."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from course_lib._checks import check_tensor

Reduction = Literal["none", "mean", "sum"]


def reduce(loss: Float[Tensor, "*shape"], reduction: Reduction) -> Float[Tensor, "..."]:
    """`loss` as it is, its mean (0 where there is nothing) or its sum."""
    match reduction:
        case "none":
            return loss
        case "mean":
            return loss.mean() if loss.numel() else loss.sum()
        case "sum":
            return loss.sum()
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def check_floats(tensor: Tensor, name: str) -> None:
    check_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must hold floats, got {tensor.dtype}; write {name}.float()")
