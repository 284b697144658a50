"""Which examples count at all: two answers from before focal loss to "nearly all are easy"."""

import math

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from course_lib._checks import check_tensor
from course_lib.losses._reduction import Reduction, check_floats, reduce


def ohem_loss(
    losses: Float[Tensor, "*shape"], count: int, reduction: Reduction = "none"
) -> Float[Tensor, "..."]:
    """The `count` largest of the losses; all others get no gradient.

    Args:
        losses: one value an example, of any shape.
        count: how many to keep; all of them, where there are fewer. Of equal ones the first.
        reduction: "none" for what is kept, hardest first [min(count, number of losses)], "mean"
            or "sum" of it [].

    Raises:
        TypeError: if losses are no tensor of floats, or count is no int.
        ValueError: if count is below 0, or the reduction is unknown.

    Source: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example
        Mining, CVPR 2016, section 4. It first drops RoIs that overlap a harder one by more than
        0.7; for that give it `losses[nms(boxes, losses, 0.7)]`.
    """
    check_floats(losses, "losses")
    if not isinstance(count, int):
        raise TypeError(f"count must be an int, got {count!r}; a share is int(share * len(losses))")
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    hardest = (
        losses.detach().flatten().argsort(dim=0, descending=True, stable=True)[:count]
    )  # [count]
    return reduce(losses.flatten()[hardest], reduction)


def hard_negative_mining(
    losses: Float[Tensor, "*B N"], labels: Shaped[Tensor, "*B N"], ratio: float | int = 3
) -> Bool[Tensor, "*B N"]:
    """True for all positives of an image and for its hardest negatives, `ratio` a positive.

    Use it as `losses[hard_negative_mining(losses, labels)].sum() / number of positives`.

    Args:
        losses: the classification loss of each anchor; leading axes are images.
        labels: above 0 for positives, 0 for negatives, below 0 for what is to be left out; or
            booleans, True for positives.
        ratio: at most so many negatives a positive. Of equally hard ones the first are taken.

    Raises:
        TypeError: if losses are no tensor of floats, or labels no tensor.
        ValueError: if they differ in shape or have none, or ratio is below 0.

    An image without a positive gets no negative either.
    Source: Liu et al., SSD, ECCV 2016, section 2.2 ("Hard negative mining"), 3 : 1.
    """
    check_floats(losses, "losses")
    check_tensor(labels, "labels")
    if losses.shape != labels.shape or losses.ndim == 0:
        raise ValueError(
            "losses and labels must have one shape [..., N], N anchors an image, got "
            f"{list(losses.shape)} and {list(labels.shape)}"
        )
    if not ratio >= 0:
        raise ValueError(f"ratio must be 0 or more, got {ratio}; SSD's is 3")
    positive, negative = labels > 0, labels == 0  # [*B, N] each
    hardness = losses.detach().masked_fill(~negative, -math.inf)
    order = hardness.argsort(dim=-1, descending=True, stable=True)
    place = order.argsort(-1) + 1  # [*B, N]: 1 for the hardest
    allowed = ratio * positive.sum(-1, keepdim=True, dtype=torch.float64)  # [*B, 1]
    return positive | (negative & (place <= allowed))
