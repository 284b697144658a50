"""Focal loss in Triton: one kernel for the loss, one for its gradient.

    p = sigmoid(x)    q = 1 − p    d = t q + (1 − t) p                  how far from the truth
    loss  = a d^γ c             c = −t ln(p) − (1 − t) ln(q)             cross entropy
    slope = a (γ d^(γ−1) d′ c + d^γ c′)    d′ = p q (1 − 2t)    c′ = (1 − t) p − t q

with a = α t + (1 − α)(1 − t), or 1 for α below 0. The plain version (`sigmoid_focal_loss`) reads
and writes every number some twenty times on the way there, and keeps the steps for the gradient;
here it is read once and written once, and the gradient begins again from the logit: to compute a
thing twice costs a GPU less than to fetch it.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
MOST_GAMMA = 8  # powers are products here, which round less than exp(γ ln(d))


@triton.jit
def _exp_of_minus(a):
    """exp(−a) for a ≥ 0, as 2^−k exp(−r) with k whole and r small.

    tl.exp(x) alone multiplies x by log2(e) in float32, which at 30 is off by 2e-6 of the answer.
    """
    a = tl.minimum(a, 1000.0)  # where float64 too has nothing left
    k = tl.floor(a * 1.4426950408889634 + 0.5)
    r = (a - k * 0.693359375) + k * 2.12194440054690583e-4  # less k ln(2), in two parts
    return tl.exp2(-k) * tl.exp(-r)


@triton.jit
def _log1p(e):
    """ln(1 + e) for e in 0..1, exact to the last digits for small e too (Kahan's way)."""
    u = 1 + e
    small = u == 1
    return tl.where(small, e, tl.log(u) * (e / tl.where(small, 1, u - 1)))


@triton.jit
def _parts(x, t):
    """p, q, the doubt d and the cross entropy c of logits x."""
    e = _exp_of_minus(tl.abs(x))
    positive = x >= 0
    p = tl.where(positive, 1, e) / (1 + e)
    q = tl.where(positive, e, 1) / (1 + e)
    tail = _log1p(e)
    c = t * (tl.maximum(-x, 0) + tail) + (1 - t) * (tl.maximum(x, 0) + tail)
    return p, q, t * q + (1 - t) * p, c


@triton.jit
def _power(d, n: tl.constexpr):
    power = tl.full(d.shape, 1, d.dtype)
    for _ in tl.static_range(n):
        power = power * d
    return power


@triton.jit
def _weight(t, alpha):
    return tl.where(alpha < 0, 1, alpha * t + (1 - alpha) * (1 - t))


@triton.jit
def _load(pointer, at, N, WIDE: tl.constexpr):
    kind: tl.constexpr = tl.float64 if WIDE else tl.float32
    return tl.load(pointer + at, mask=at < N, other=0).to(kind)


@triton.jit
def _loss(
    inputs, targets, alphas, losses, N,
    GAMMA: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x, t = _load(inputs, at, N, WIDE), _load(targets, at, N, WIDE)
    _, _, d, c = _parts(x, t)
    loss = _weight(t, tl.load(alphas).to(x.dtype)) * _power(d, GAMMA) * c
    tl.store(losses + at, loss.to(losses.dtype.element_ty), mask=at < N)


@triton.jit
def _slope(
    inputs, targets, alphas, grads, slopes, N,
    GAMMA: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x, t = _load(inputs, at, N, WIDE), _load(targets, at, N, WIDE)
    p, q, d, c = _parts(x, t)
    slope = _power(d, GAMMA) * ((1 - t) * p - t * q)
    if GAMMA > 0:
        slope += GAMMA * _power(d, GAMMA - 1) * (p * q * (1 - 2 * t)) * c
    slope = _weight(t, tl.load(alphas).to(x.dtype)) * slope * _load(grads, at, N, WIDE)
    tl.store(slopes + at, slope.to(slopes.dtype.element_ty), mask=at < N)


def takes(inputs: Tensor, targets: Tensor, gamma: float | int) -> bool:
    """Does the kernel do this call? Whole γ only, and no gradient to the targets."""
    whole = gamma == int(gamma) and gamma <= MOST_GAMMA
    return whole and not targets.requires_grad and not torch.compiler.is_compiling()


def focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float | int, gamma: float | int, plain: Any
) -> Tensor:
    """The loss of each logit, of the shape of inputs, in float32 for half types.

    plain: a function of the same inputs, targets, alpha and gamma in PyTorch, for the gradient of
        the gradient.
    """
    loss: Tensor = _FocalLoss.apply(inputs, targets, float(alpha), int(gamma), plain)
    return loss


class _FocalLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, targets: Tensor, alpha: float, gamma: int, plain: Any
    ) -> Tensor:
        ctx.save_for_backward(inputs, targets)
        ctx.alpha, ctx.gamma, ctx.plain = alpha, gamma, plain
        losses = torch.empty_like(
            inputs,
            dtype=torch.promote_types(inputs.dtype, torch.float32),
            memory_format=torch.contiguous_format,
        )
        _start(_loss, inputs, targets, alpha, gamma, (losses,))
        return losses

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, targets = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted
            losses = ctx.plain(inputs, targets, ctx.alpha, ctx.gamma)
            (slopes,) = torch.autograd.grad(losses, inputs, grad, create_graph=True)
        else:
            slopes = torch.empty_like(inputs, memory_format=torch.contiguous_format)
            _start(_slope, inputs, targets, ctx.alpha, ctx.gamma, (grad.contiguous(), slopes))
        return slopes, None, None, None, None


def _start(
    kernel: Any, inputs: Tensor, targets: Tensor, alpha: float, gamma: int, others: Any
) -> None:
    N = inputs.numel()
    if N == 0:
        return
    wide = inputs.dtype == torch.float64
    # A number would reach the kernel in float32.
    alphas = torch.full((1,), alpha, dtype=torch.float64, device=inputs.device)
    given = (inputs.contiguous(), targets.contiguous(), alphas, *others, N)
    kernel[(triton.cdiv(N, BLOCK),)](*given, GAMMA=gamma, WIDE=wide, BLOCK=BLOCK)
