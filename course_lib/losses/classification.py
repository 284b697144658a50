"""Losses from logits: balanced cross entropy and focal loss; and the bias that focal loss needs."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from course_lib._checks import check_tensor
from course_lib.kernels import usable
from course_lib.losses import _focal_blocks
from course_lib.losses._focal_blocks import power
from course_lib.losses._reduction import Reduction, check_floats, reduce


def sigmoid_focal_loss(
    inputs: Float[Tensor, "*shape"],
    targets: Float[Tensor, "*shape"],
    alpha: float | int = 0.25,
    gamma: float | int = 2,
    reduction: Reduction = "none",
) -> Float[Tensor, "..."]:
    """−α_t (1 − p_t)^γ ln(p_t) of each logit: cross entropy in which what is easy hardly counts.

    With p = sigmoid(input), p_t is the probability that was given to the truth: p for a target
    of 1, 1 − p for a target of 0. A target between mixes both, as in torchvision:
    p_t = p t + (1 − p)(1 − t), times the cross entropy −t ln(p) − (1 − t) ln(1 − p).

    Args:
        inputs: logits of any shape; K classes are K yes-or-no questions.
        targets: floats in 0..1 of the same shape, 1 where the class is present.
        alpha: weight of a target of 1; a target of 0 weighs 1 − alpha. Below 0: all weigh 1.
        gamma: 0 for plain cross entropy; the higher, the less the easy examples count.
        reduction: "none" for one value a logit [*shape], "mean" or "sum" for one value in all [].
            RetinaNet takes the sum and divides it by the number of matched anchors.

    Raises:
        TypeError: if one of the two is no tensor of floats.
        ValueError: if they differ in shape, alpha is above 1, gamma below 0, or the reduction
            is unknown.

    Dtype: that of inputs; half types are computed in float32.
    Precision: for targets of 0 and 1, γ up to 5 and logits from −30 to 30, loss and gradient are
        within 1e-6 of their size in float32, as far as float32 holds numbers so small, and half
        types round them once.
    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 5.
        torchvision.ops.sigmoid_focal_loss, whose alpha below 0 must be −1. Logits of any size have
        a finite loss and gradient here, for every gamma.
    """
    check_floats(inputs, "inputs")
    check_floats(targets, "targets")
    if inputs.shape != targets.shape:
        raise ValueError(
            "inputs and targets must have one shape, a target for each logit, got "
            f"{list(inputs.shape)} and {list(targets.shape)}"
        )
    _check_weights(alpha, gamma)
    if usable(inputs):
        from course_lib.kernels import focal_loss as kernel

        if kernel.takes(inputs, targets, gamma):
            loss = kernel.focal_loss(inputs, targets, alpha, gamma, _focal_loss)
            return reduce(loss, reduction).to(inputs.dtype)
    if _focal_blocks.takes(inputs, targets):
        loss = _focal_blocks.focal_loss(inputs, targets, alpha, gamma, _focal_loss)
    else:
        loss = _focal_loss(inputs, targets, alpha, gamma)
    return reduce(loss, reduction).to(inputs.dtype)


def _focal_loss(inputs: Tensor, targets: Tensor, alpha: float | int, gamma: float | int) -> Tensor:
    """The loss of each logit, in float32 for half types."""
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    x, t = inputs.to(dtype), targets.to(dtype)
    cross_entropy = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    # 1 − p_t as a sum of what is not negative: a subtraction from 1 would lose the small ones.
    doubt = t * _sigmoid(-x) + (1 - t) * _sigmoid(x)
    loss = power(doubt, gamma) * cross_entropy
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return loss


def softmax_focal_loss(
    inputs: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    alpha: Float[Tensor, " K"] | float | int = -1,
    gamma: float | int = 2,
    reduction: Reduction = "none",
) -> Float[Tensor, "..."]:
    """−α_t (1 − p_t)^γ ln(p_t) of each row, where exactly one of the K classes is right.

    p_t is the softmax of the row at its target. Seen from there, softmax is a sigmoid: of the
    target's logit less the logarithm of the sum of exp of all others.

    Args:
        inputs: logits, a row for each example; K at least 2, the background being one of them.
        targets: the class of each row, 0 to K − 1.
        alpha: one weight for each class [K], or a number from 0 to 1 for all alike. Below 0:
            all weigh 1.
        gamma: 0 for plain cross entropy.
        reduction: "none" for one value a row [N], "mean" or "sum" for one value in all []. The
            mean divides by N, where torch.nn.functional.cross_entropy divides by the weights.

    Raises:
        TypeError: if inputs are no tensor of floats, or targets no tensor of integers.
        ValueError: if a shape or a class is not as above, alpha is above 1, gamma below 0, or the
            reduction is unknown.

    Dtype: that of inputs. Computed in float64 where the device has it: in float32 the difference
        of two logits of 30 is off by 2e-6 already.
    Source: Lin et al., ICCV 2017, section 3, which calls it straightforward. torchvision has none.
    """
    check_floats(inputs, "inputs")
    check_tensor(targets, "targets")
    if inputs.ndim != 2 or inputs.shape[1] < 2:
        raise ValueError(
            f"inputs must have shape [N, K] with K at least 2, got {list(inputs.shape)}; for one "
            "yes-or-no question use sigmoid_focal_loss"
        )
    N, K = inputs.shape
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise TypeError(
            f"targets must hold the number of a class each, got {targets.dtype}; write "
            "targets.long(), or targets.argmax(1) if they are one-hot"
        )
    if targets.shape != (N,):
        raise ValueError(
            f"targets must have shape [N] = [{N}], a class for each row of inputs, got "
            f"{list(targets.shape)}"
        )
    if N and not 0 <= targets.min() <= targets.max() < K:
        raise ValueError(
            f"targets must lie in 0..{K - 1}, as inputs have {K} classes, got "
            f"{targets.min().item()} to {targets.max().item()}; leave ignored rows out"
        )
    if isinstance(alpha, Tensor) and alpha.shape != (K,):
        raise ValueError(f"alpha must have shape [K] = [{K}], got {list(alpha.shape)}")
    _check_weights(-1 if isinstance(alpha, Tensor) else alpha, gamma)
    dtype = torch.float32 if inputs.device.type == "mps" else torch.float64
    x, column = inputs.to(dtype), targets.long()[:, None]  # [N, K], [N, 1]
    others = x.scatter(1, column, -math.inf).logsumexp(1)  # [N]
    margin = x.gather(1, column).squeeze(1) - others  # [N]
    loss = -power(_sigmoid(-margin), gamma) * logsigmoid(margin)
    if isinstance(alpha, Tensor):
        loss = alpha.to(dtype)[column.squeeze(1)] * loss
    elif alpha >= 0:
        loss = alpha * loss
    return reduce(loss, reduction).to(inputs.dtype)


def balanced_cross_entropy(
    inputs: Float[Tensor, "*shape"],
    targets: Float[Tensor, "*shape"],
    alpha: float | int = 0.75,
    reduction: Reduction = "none",
) -> Float[Tensor, "..."]:
    """−α_t ln(p_t) of each logit: cross entropy in which one side counts more than the other.

    It is focal loss with γ = 0, and has its arguments, shapes, errors and precision. alpha is the
    weight of a target of 1, a target of 0 weighs 1 − alpha; 0.75 is the best of the paper's table
    1a. α changes how much positives count against negatives, never easy against hard.

    Source: Lin et al., ICCV 2017, eq. 3.
    """
    return sigmoid_focal_loss(inputs, targets, alpha, 0, reduction)


def prior_bias(pi: float | int = 0.01) -> float:
    """−ln((1 − π) / π): the logit of the probability π, in which a fresh classifier begins.

    With it as the bias of the last layer every anchor starts as an object with probability π. With
    0 it is 1/2, and the loss of a hundred thousand background anchors drowns the first steps.

    Raises:
        ValueError: if π does not lie between 0 and 1.

    Source: Lin et al., ICCV 2017, sections 3.3 and 4.1 ("Initialization").
    """
    if not 0 < pi < 1:
        raise ValueError(f"pi must lie between 0 and 1, both excluded, got {pi}; the paper's: 0.01")
    return math.log(pi) - math.log1p(-pi)


def _check_weights(alpha: float | int, gamma: float | int) -> None:
    if alpha > 1:
        raise ValueError(f"alpha must lie in 0..1, or below 0 for no weights, got {alpha}")
    if gamma < 0:
        raise ValueError(f"gamma must be 0 or more, got {gamma}")


def _sigmoid(x: Tensor) -> Tensor:
    """sigmoid(x), with a slope that is right where sigmoid(x) is 1 but for a rounding."""
    return _Sigmoid.apply(x)


class _Sigmoid(torch.autograd.Function):
    """PyTorch takes the slope p (1 − p) from the rounded p, and 1 − p is 0 from 17 on in float32.

    There the slope is small, but in focal loss it is multiplied by γ and by the cross entropy: the
    gradient of logit 17 was off by 2e-6 of its size for γ = 2, by 5e-6 for γ = 5.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * torch.sigmoid(x) * torch.sigmoid(-x)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return tangent * torch.sigmoid(x) * torch.sigmoid(-x)
