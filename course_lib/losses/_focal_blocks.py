"""Focal loss of many logits on the CPU: some thousands at a time, from the logit to the gradient.

`sigmoid_focal_loss` read as it is written makes some twenty passes over memory, and as many again
for the gradient. Here a block of logits goes through all steps while it stays in the cache, and
its gradient is computed along with it, since all that it takes is at hand. With p = sigmoid(x),
q = 1 − p, the doubt d = t q + (1 − t) p and the cross entropy c:

    loss  = a d^γ c
    slope = a (d^γ c′ + γ d^(γ−1) d′ c)    c′ = (1 − t) p − t q    d′ = p q (1 − 2t)

`torch.lerp(p, q, t)` is t q + (1 − t) p, and exactly q or p for a t of 1 or 0.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

MANY, BLOCK = 2**14, 2**17
Plain = Callable[[Tensor, Tensor, float | int, float | int], Tensor]


def takes(inputs: Tensor, targets: Tensor) -> bool:
    """Is this the faster way for them, and a way at all?"""
    plainly = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    many = inputs.device.type == "cpu" and inputs.numel() >= MANY
    return many and not targets.requires_grad and not plainly


def focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float | int, gamma: float | int, plain: Plain
) -> Tensor:
    """The loss of each logit, of the shape of inputs, in float32 for half types.

    plain: the same in PyTorch's operations, for the gradient of the gradient.
    """
    learns = inputs.requires_grad and torch.is_grad_enabled()
    loss: Tensor = _FocalLoss.apply(inputs, targets, alpha, gamma, plain, learns)
    return loss


class _FocalLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        targets: Tensor,
        alpha: float | int,
        gamma: float | int,
        plain: Plain,
        learns: bool,
    ) -> Tensor:
        dtype = torch.promote_types(inputs.dtype, torch.float32)
        losses = torch.empty(inputs.shape, dtype=dtype)
        slopes = torch.empty(inputs.shape if learns else 0, dtype=dtype)
        rows = (each.reshape(-1).split(BLOCK) for each in (inputs, targets, losses))
        for n, (x, t, loss) in enumerate(zip(*rows, strict=True)):
            slope = slopes.view(-1)[n * BLOCK : (n + 1) * BLOCK] if learns else None
            _block(x.to(dtype), t.to(dtype), alpha, gamma, loss, slope)
        ctx.save_for_backward(inputs, targets, slopes)
        ctx.given = alpha, gamma, plain
        return losses

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, targets, slopes = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return (slopes * grad).to(inputs.dtype), None, None, None, None, None
        alpha, gamma, plain = ctx.given  # a gradient of this gradient is wanted
        losses = plain(inputs, targets, alpha, gamma)
        (again,) = torch.autograd.grad(losses, inputs, grad, create_graph=True)
        return again, None, None, None, None, None


def _block(
    x: Tensor, t: Tensor, alpha: float | int, gamma: float | int, loss: Tensor, slope: Tensor | None
) -> None:
    """Fill in the loss, and the slope if it is wanted, of some logits."""
    yes_or_no = torch.equal(t, t * t)
    (_yes_or_no if yes_or_no else _shares)(x, t, gamma, loss, slope)
    if alpha >= 0:
        one, other = x.new_tensor(alpha), x.new_tensor(1 - alpha)
        weight = torch.where(t > 0, one, other) if yes_or_no else torch.lerp(other, one, t)
        loss.mul_(weight)
        if slope is not None:
            slope.mul_(weight)


def _yes_or_no(
    x: Tensor, t: Tensor, gamma: float | int, loss: Tensor, slope: Tensor | None
) -> None:
    """For targets of 0 and 1: with s = 1 − 2t and u = s x, d = sigmoid(u), c = −ln(sigmoid(−u)),
    and the slope is s d^γ (d + γ (1 − d) c).
    """
    s = torch.rsub(t, 1, alpha=2)
    u = s * x
    d = torch.sigmoid(u)
    minus_u = u.neg_()
    c = logsigmoid(minus_u).neg_()
    power_of_d = power(d, gamma)
    torch.mul(power_of_d, c, out=loss)
    if slope is not None:
        if gamma:
            d.addcmul_(minus_u.sigmoid_(), c, value=gamma)
        torch.mul(d, s.mul_(power_of_d), out=slope)


def _shares(x: Tensor, t: Tensor, gamma: float | int, loss: Tensor, slope: Tensor | None) -> None:
    """For targets between 0 and 1."""
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    c = x.clamp(min=0).addcmul_(x, t, value=-1).sub_(logsigmoid(x.abs()))
    d = torch.lerp(p, q, t)
    power_of_d = power(d, gamma)
    torch.mul(power_of_d, c, out=loss)
    if slope is not None:
        torch.lerp(p, -q, t, out=slope)
        slope.mul_(power_of_d)
        if gamma:
            less = power(d, gamma - 1)
            slope.addcmul_(p.mul_(q).mul_(c), less.mul_(1 - 2 * t), value=gamma)


def power(base: Tensor, exponent: float | int) -> Tensor:
    """`base` in 0..1 to the power of an exponent that its dtype may not hold.

    3.7 is 1e-7 more in float32, which shifts (1e-13)^3.7 by 3e-6 of its size.
    """
    if exponent == 2:
        return base * base
    # Above 0, because the slope of 0^γ is infinite for γ < 1.
    base = base.clamp(min=torch.finfo(base.dtype).tiny)
    held = torch.tensor(exponent, dtype=base.dtype).item()
    powered = base**held
    if held != exponent:
        powered = powered * torch.exp((exponent - held) * base.log())
    return powered
