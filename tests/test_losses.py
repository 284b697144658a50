"""The losses against loops in float64, their gradients, and their words for wrong calls."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from course_lib.boxes import box_iou
from course_lib.losses import iou_loss, sigmoid_focal_loss

EPS = 1e-7


# ------------------------------------------------------------------ iou_loss


def loop(boxes1: Tensor, boxes2: Tensor) -> list[float]:
    losses = []
    for (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) in zip(
        boxes1.tolist(), boxes2.tolist(), strict=True
    ):
        w, h = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
        inter = w * h if w > 0 and h > 0 else 0.0
        union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inter
        losses.append(-math.log(max(inter / union if union > 0 else 0.0, EPS)))
    return losses


corner = st.integers(0, 20).map(float)
side = st.integers(0, 15).map(float)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(st.lists(st.tuples(box, box), max_size=6))
@settings(deadline=None)
def test_iou_loss_equals_a_loop(pairs: list) -> None:
    boxes1 = torch.tensor([a for a, _ in pairs], dtype=torch.float64).reshape(-1, 4)
    boxes2 = torch.tensor([b for _, b in pairs], dtype=torch.float64).reshape(-1, 4)
    expected = torch.tensor(loop(boxes1, boxes2), dtype=torch.float64)
    torch.testing.assert_close(iou_loss(boxes1, boxes2), expected)
    assert not torch.isnan(iou_loss(boxes1, boxes2)).any()


def some_pairs() -> tuple[Tensor, Tensor]:
    boxes1 = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 30], [1, 2, 9, 7]], dtype=torch.float64)
    return boxes1, boxes1 + torch.tensor([1.25, -0.5, 2.75, 1.5], dtype=torch.float64)


def test_iou_loss_is_the_logarithm_of_the_diagonal() -> None:
    boxes1, boxes2 = some_pairs()
    expected = -torch.diagonal(box_iou(boxes1, boxes2)).log()
    torch.testing.assert_close(iou_loss(boxes1, boxes2), expected)
    torch.testing.assert_close(iou_loss(boxes1, boxes2, reduction="mean"), expected.mean())
    torch.testing.assert_close(iou_loss(boxes1, boxes2, reduction="sum"), expected.sum())


def test_iou_loss_gradient() -> None:
    boxes1, boxes2 = some_pairs()
    assert torch.autograd.gradcheck(iou_loss, (boxes1.requires_grad_(), boxes2.requires_grad_()))
    apart = torch.tensor([[0.0, 0, 1, 1], [3, 3, 3, 3]], requires_grad=True)
    iou_loss(apart, torch.tensor([[5.0, 5, 6, 6], [3, 3, 3, 3]])).sum().backward()
    assert apart.grad is not None
    assert torch.equal(apart.grad, torch.zeros(2, 4)), "no pull without overlap, and no NaN"


def test_iou_loss_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    boxes = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"row n of one .* got \[2, 4\] and \[3, 4\]"):
        iou_loss(boxes, torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"for one box write boxes1\[None\]"):
        iou_loss(boxes[0], boxes[0])
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'all'"):
        iou_loss(boxes, boxes, reduction="all")  # type: ignore[arg-type]


# ------------------------------------------------------------------ sigmoid_focal_loss


def focal_loop(logits: list[float], truths: list[int], alpha: float, gamma: float) -> list[float]:
    """Equations 4 and 5 of the paper, one logit after the other."""
    losses = []
    for x, y in zip(logits, truths, strict=True):
        p = 1 / (1 + math.exp(-x))
        p_t = p if y == 1 else 1 - p
        alpha_t = 1 if alpha < 0 else alpha if y == 1 else 1 - alpha
        losses.append(-alpha_t * (1 - p_t) ** gamma * math.log(p_t))
    return losses


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


logit = st.floats(-12, 12)
weight = st.one_of(st.just(-1), st.floats(0, 1))
power = st.one_of(st.sampled_from([0, 1, 2]), st.floats(0, 5))


@given(st.lists(st.tuples(logit, st.integers(0, 1)), max_size=8), weight, power)
@settings(deadline=None)
def test_focal_loss_equals_a_loop(examples: list, alpha: float, gamma: float) -> None:
    logits, truths = [x for x, _ in examples], [y for _, y in examples]
    expected = double(focal_loop(logits, truths, alpha, gamma))
    loss = sigmoid_focal_loss(double(logits), double(truths), alpha, gamma)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("p", "truth", "alpha", "gamma", "expected"),
    [
        (0.9, 1, 0.25, 2, 0.25 * 0.01 * 0.1053605),  # easy and right: 400 times less than below
        (0.9, 1, -1, 0, 0.1053605),
        (0.9, 0, 0.25, 2, 0.75 * 0.81 * 2.3025851),
        (0.1, 0, 0.25, 2, 0.75 * 0.01 * 0.1053605),
        (0.5, 1, 0.25, 2, 0.25 * 0.25 * 0.6931472),
        (0.5, 0, -1, 5, 0.03125 * 0.6931472),
        (0.8, 0.5, -1, 1, 0.5 * (0.2231436 + 1.6094379) / 2),
    ],
)
def test_focal_loss_by_hand(
    p: float, truth: float, alpha: float, gamma: float, expected: float
) -> None:
    logits = torch.tensor([math.log(p / (1 - p))])
    loss = sigmoid_focal_loss(logits, torch.tensor([float(truth)]), alpha, gamma)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def some_logits() -> tuple[Tensor, Tensor]:
    """Logits [2, 5, 3], with targets of which a third is 0, a third 1, a third between."""
    generator = torch.Generator().manual_seed(0)
    logits = 8 * torch.rand(2, 5, 3, generator=generator, dtype=torch.float64) - 4
    targets = torch.rand(2, 5, 3, generator=generator, dtype=torch.float64)
    targets[..., 0], targets[..., 1] = 0, 1
    return logits, targets


@pytest.mark.parametrize("alpha", [-1, 0, 0.25, 1])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3.7])
def test_focal_loss_is_torchvision_s(alpha: float, gamma: float) -> None:
    x, t = some_logits()
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    expected = binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        expected = (alpha * t + (1 - alpha) * (1 - t)) * expected
    torch.testing.assert_close(sigmoid_focal_loss(x, t, alpha, gamma), expected)
    for reduction, number in (("mean", expected.mean()), ("sum", expected.sum())):
        torch.testing.assert_close(sigmoid_focal_loss(x, t, alpha, gamma, reduction), number)


def test_focal_loss_without_gamma_and_alpha_is_cross_entropy() -> None:
    for x, t in (some_logits(), tuple(v.float() for v in some_logits())):
        expected = binary_cross_entropy_with_logits(x, t, reduction="none")
        torch.testing.assert_close(sigmoid_focal_loss(x, t, alpha=-1, gamma=0), expected)
    assert torch.equal(
        sigmoid_focal_loss(x, t), sigmoid_focal_loss(x, t, alpha=0.25, gamma=2, reduction="none")
    )


@pytest.mark.parametrize("alpha", [-1, 0.25])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3.7])
def test_focal_loss_gradient(alpha: float, gamma: float) -> None:
    x, t = some_logits()

    def loss(x: Tensor, t: Tensor) -> Tensor:
        return sigmoid_focal_loss(x, t, alpha, gamma)

    assert torch.autograd.gradcheck(loss, (x.requires_grad_(), t.requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0, 0.01, 0.5, 1, 2])
def test_focal_loss_of_huge_logits(gamma: float, dtype: torch.dtype) -> None:
    x = torch.tensor([1000, -1000, 1000, -1000, 1000, -1000], dtype=dtype, requires_grad=True)
    t = torch.tensor([1, 0, 0, 1, 0.5, 0.5], dtype=dtype)
    loss = sigmoid_focal_loss(x, t, 0.25, gamma)
    loss.sum().backward()
    half = 500 * 0.5 * 0.5**gamma
    expected = torch.tensor([0, 0, 750, 250, half, half], dtype=dtype)
    torch.testing.assert_close(loss, expected, rtol=4e-3, atol=0)
    slope = half / 1000
    expected = torch.tensor([0, 0, 0.75, -0.25, slope, -slope], dtype=dtype)
    torch.testing.assert_close(x.grad, expected, rtol=4e-3, atol=0)


@pytest.mark.parametrize("gamma", [0, 0.01, 0.5, 1, 2])
def test_focal_loss_of_every_logit_is_finite(gamma: float) -> None:
    """From where float32 still tells 1 − p_t from 0 to where it does not."""
    x = torch.linspace(-150, 150, 3001).repeat(3, 1).requires_grad_()
    t = torch.tensor([[0.0], [1.0], [1e-30]]).expand(3, 3001)
    loss = sigmoid_focal_loss(x, t, -1, gamma)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert x.grad.isfinite().all()
    assert (loss >= 0).all()
    assert (loss[0].diff() >= 0).all()
    assert (loss[1].diff() <= 0).all()


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_focal_loss_keeps_small_losses(gamma: float) -> None:
    """What is very sure and right: 1 − p_t is 1e-9, and float32 near 1 has no such steps."""
    x = torch.tensor([15.0, 20, 25, 30])
    t = torch.ones(4)
    expected = [(1 / (1 + math.exp(v))) ** gamma * math.log1p(math.exp(-v)) for v in x.tolist()]
    torch.testing.assert_close(
        sigmoid_focal_loss(x, t, -1, gamma), torch.tensor(expected), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(
        sigmoid_focal_loss(-x, 1 - t, -1, gamma), torch.tensor(expected), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_focal_loss_of_half_types(dtype: torch.dtype, reduction: str) -> None:
    x, t = (v.to(dtype) for v in some_logits())
    expected = sigmoid_focal_loss(x.double(), t.double(), reduction=reduction).to(dtype)
    x.requires_grad_()
    loss = sigmoid_focal_loss(x, t, reduction=reduction)
    assert loss.dtype == dtype
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(loss, expected, rtol=step, atol=6e-8)
    loss.sum().backward()
    assert x.grad.dtype == dtype
    float_targets = sigmoid_focal_loss(x, t.float(), reduction=reduction)
    assert torch.equal(float_targets, loss), "the result has the dtype of the logits"


def test_focal_loss_of_nothing() -> None:
    for shape in ((0,), (0, 80), (3, 0, 2)):
        nothing = torch.zeros(shape, requires_grad=True)
        assert sigmoid_focal_loss(nothing, torch.zeros(shape)).shape == shape
        total = sigmoid_focal_loss(nothing, torch.zeros(shape), reduction="sum")
        assert total.item() == 0
        total.backward()
        assert nothing.grad.shape == shape
    one = sigmoid_focal_loss(torch.tensor(0.0), torch.tensor(1.0))
    assert one.shape == ()
    assert one.item() == pytest.approx(0.25 * 0.25 * math.log(2))


def test_focal_loss_leaves_its_inputs_alone() -> None:
    x, t = some_logits()
    before = x.clone(), t.clone()
    sigmoid_focal_loss(x, t)
    assert torch.equal(x, before[0])
    assert torch.equal(t, before[1])


def test_focal_loss_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"a target for each logit, got \[2, 3\] and \[3\]"):
        sigmoid_focal_loss(x, x[0])
    with pytest.raises(
        TypeError, match=r"targets must hold floats, got torch.int64; write targets"
    ):
        sigmoid_focal_loss(x, x.long())
    with pytest.raises(TypeError, match=r"inputs must be a torch\.Tensor, got list"):
        sigmoid_focal_loss([0.0], x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"alpha must lie in 0..1, or below 0 .* got 1.5"):
        sigmoid_focal_loss(x, x, alpha=1.5)
    with pytest.raises(ValueError, match="gamma must be 0 or more, got -2"):
        sigmoid_focal_loss(x, x, gamma=-2)
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'all'"):
        sigmoid_focal_loss(x, x, reduction="all")  # type: ignore[arg-type]
