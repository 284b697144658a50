"""The losses against loops in float64, their gradients, and their words for wrong calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    one_hot,
)
from torch.nn.functional import smooth_l1_loss as pytorch_smooth_l1_loss

from course_lib.boxes import box_iou, complete_box_iou, distance_box_iou, generalized_box_iou
from course_lib.losses import (
    _focal_blocks,
    balanced_cross_entropy,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    hard_negative_mining,
    iou_loss,
    ohem_loss,
    prior_bias,
    sigmoid_focal_loss,
    smooth_l1_loss,
    softmax_focal_loss,
)

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


@pytest.fixture(params=["as it reads", "in blocks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many logits on the CPU go through in blocks; here a few do, seven at a time."""
    if request.param == "in blocks":
        monkeypatch.setattr(_focal_blocks, "MANY", 0)
        monkeypatch.setattr(_focal_blocks, "BLOCK", 7)


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("alpha", [-1, 0.25])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3.7])
def test_focal_loss_gradient(alpha: float, gamma: float) -> None:
    x, t = some_logits()

    def loss(x: Tensor, t: Tensor) -> Tensor:
        return sigmoid_focal_loss(x, t, alpha, gamma)

    assert torch.autograd.gradcheck(loss, (x.requires_grad_(), t.requires_grad_()))


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


@pytest.mark.usefixtures("way")
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


# ------------------------------------------------------------------ focal loss, to the last digit

GAMMAS = [0, 0.1, 0.3, 0.5, 0.7, 1, 1.3, 2, 2.9, 3.7, 4.9, 5]


def paper_s_focal_loss(u: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Loss and slope in float64, for the logit u that speaks for the truth (equation 4; appendix B)."""
    p_t, doubt, log_p_t = 1 / (1 + (-u).exp()), 1 / (1 + u.exp()), -torch.log1p((-u).exp())
    log_p_t = torch.where(u < 0, u - torch.log1p(u.exp()), log_p_t)
    return -(doubt**gamma) * log_p_t, doubt**gamma * (gamma * p_t * log_p_t - doubt)


def roundings_off(actual: Tensor, exact: Tensor) -> float:
    """The worst error, in steps of the dtype; its smallest number counts as one, too."""
    info = torch.finfo(actual.dtype)
    step = exact.abs() * info.eps + info.smallest_normal * info.eps
    return ((actual.double() - exact).abs() / step).max().item()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_and_its_slope_are_the_paper_s_in_float32(gamma: float, target: float) -> None:
    x = torch.linspace(-30, 30, 20_011).requires_grad_()
    loss = sigmoid_focal_loss(x, torch.full_like(x, target), -1, gamma)
    loss.sum().backward()
    sign = 2 * target - 1
    exact, slope = paper_s_focal_loss(sign * x.detach().double(), gamma)
    tiny = torch.finfo(torch.float32).tiny  # below, float32 has fewer and fewer digits
    torch.testing.assert_close(loss.detach().double(), exact, rtol=1e-6, atol=tiny)
    torch.testing.assert_close(x.grad.double(), sign * slope, rtol=1e-6, atol=tiny)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 3.7, 5])
def test_focal_loss_and_its_slope_are_rounded_once_in_half_types(
    gamma: float, dtype: torch.dtype
) -> None:
    for target in (0.0, 1.0):
        x = torch.linspace(-30, 30, 20_011).to(dtype).requires_grad_()
        loss = sigmoid_focal_loss(x, torch.full_like(x, target), 0.25, gamma)
        loss.sum().backward()
        sign, alpha = (1, 0.25) if target else (-1, 0.75)
        exact, slope = paper_s_focal_loss(sign * x.detach().double(), gamma)
        assert roundings_off(loss.detach(), alpha * exact) < 0.51
        assert roundings_off(x.grad, sign * alpha * slope) < 0.51


@pytest.mark.usefixtures("way")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # inside of jacfwd
def test_focal_loss_under_the_transforms_of_pytorch() -> None:
    x, t = (v.flatten()[:6] for v in some_logits())

    def loss(x: Tensor, t: Tensor) -> Tensor:
        return sigmoid_focal_loss(x, t, reduction="sum")

    assert torch.autograd.gradgradcheck(loss, (x.requires_grad_(), t.requires_grad_()))
    x, t = x.detach(), t.detach()
    expected = torch.func.grad(loss)(x, t)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(x, t), expected)
    torch.testing.assert_close(torch.func.jacfwd(loss)(x, t), expected)


# ------------------------------------------------------------------ softmax_focal_loss


def softmax_focal_loop(rows: list, truths: list, alpha: list[float], gamma: float) -> list[float]:
    losses = []
    for row, y in zip(rows, truths, strict=True):
        p_t = math.exp(row[y]) / sum(math.exp(x) for x in row)
        losses.append(-alpha[y] * (1 - p_t) ** gamma * math.log(p_t))
    return losses


@given(
    st.lists(st.tuples(st.tuples(*[logit] * 3), st.integers(0, 2)), max_size=6),
    st.lists(st.floats(0, 3), min_size=3, max_size=3),
    power,
)
@settings(deadline=None, max_examples=60)
def test_softmax_focal_loss_equals_a_loop(examples: list, alpha: list, gamma: float) -> None:
    rows, truths = [r for r, _ in examples], [y for _, y in examples]
    x, y = double(rows).reshape(-1, 3), torch.tensor(truths, dtype=torch.int64)
    expected = double(softmax_focal_loop(rows, truths, alpha, gamma))
    loss = softmax_focal_loss(x, y, double(alpha), gamma)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)


def some_rows(n: int = 7, K: int = 5, scale: float = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = scale * (2 * torch.rand(n, K, generator=generator, dtype=torch.float64) - 1)
    return x, torch.randint(K, (n,), generator=generator)


def test_softmax_focal_loss_without_gamma_is_cross_entropy() -> None:
    x, y = some_rows()
    plain = cross_entropy(x, y, reduction="none")
    torch.testing.assert_close(softmax_focal_loss(x, y, gamma=0), plain)
    torch.testing.assert_close(softmax_focal_loss(x, y, 0.25, 0), 0.25 * plain)
    weights = torch.arange(5, dtype=torch.float64)
    weighted = cross_entropy(x, y, weights, reduction="none")
    torch.testing.assert_close(softmax_focal_loss(x, y, weights, 0), weighted)
    for reduction, number in (("mean", plain.mean()), ("sum", plain.sum())):
        torch.testing.assert_close(softmax_focal_loss(x, y, -1, 0, reduction), number)
    torch.testing.assert_close(softmax_focal_loss(x, y.int(), gamma=0), plain)


def test_softmax_of_two_classes_is_a_sigmoid() -> None:
    x, y = some_rows(K=2)
    expected = sigmoid_focal_loss(x[:, 1] - x[:, 0], y.double(), 0.3, 2)
    torch.testing.assert_close(softmax_focal_loss(x, y, double([0.7, 0.3]), 2), expected)


@pytest.mark.parametrize("gamma", [0, 0.5, 2, 3.7])
def test_softmax_focal_loss_gradient(gamma: float) -> None:
    x, y = some_rows()
    loss = partial(softmax_focal_loss, targets=y, alpha=0.25, gamma=gamma)
    assert torch.autograd.gradcheck(loss, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 3.7, 5])
def test_softmax_focal_loss_to_the_last_digit(gamma: float, dtype: torch.dtype) -> None:
    x, y = some_rows(500, 4, 30)
    x = x.to(dtype).requires_grad_()
    loss = softmax_focal_loss(x, y, -1, gamma)
    loss.sum().backward()
    mine = one_hot(y, 4).bool()
    others = x.detach().double()[~mine].reshape(-1, 3)
    exact, slope = paper_s_focal_loss(x.detach().double()[mine] - others.exp().sum(1).log(), gamma)
    slopes = torch.empty(500, 4, dtype=torch.float64)
    slopes[mine] = slope
    slopes[~mine] = (-slope[:, None] * others.softmax(1)).flatten()
    assert loss.dtype == x.grad.dtype == dtype
    assert roundings_off(loss.detach(), exact) < 0.51
    assert roundings_off(x.grad, slopes) < 0.51


def test_softmax_focal_loss_of_huge_logits_and_of_nothing() -> None:
    x = torch.tensor([[1000.0, -1000, 0], [-1000, 1000, 0]], requires_grad=True)
    for gamma in (0, 0.5, 2):
        loss = softmax_focal_loss(x, torch.tensor([0, 0]), -1, gamma)
        assert loss.tolist() == [0, 2000]
        (slopes,) = torch.autograd.grad(loss.sum(), x)
        torch.testing.assert_close(slopes, torch.tensor([[0.0, 0, 0], [-1, 1, 0]]))
    nothing = torch.zeros(0, 4, requires_grad=True)
    no_targets = torch.zeros(0, dtype=torch.int64)
    assert softmax_focal_loss(nothing, no_targets).shape == (0,)
    softmax_focal_loss(nothing, no_targets, reduction="sum").backward()
    assert nothing.grad.shape == (0, 4)


def test_softmax_focal_loss_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    x, y = torch.zeros(2, 3), torch.tensor([0, 2])
    with pytest.raises(ValueError, match=r"\[N, K\] with K at least 2, got \[2, 1\]; .* sigmoid"):
        softmax_focal_loss(x[:, :1], y)
    with pytest.raises(ValueError, match=r"\[N\] = \[2\], a class for each row .* got \[1\]"):
        softmax_focal_loss(x, y[:1])
    with pytest.raises(TypeError, match=r"got torch.float32; write targets.long\(\), or .*argmax"):
        softmax_focal_loss(x, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"lie in 0..2, as inputs have 3 classes, got -1 to 2"):
        softmax_focal_loss(x, torch.tensor([-1, 2]))
    with pytest.raises(ValueError, match=r"alpha must have shape \[K\] = \[3\], got \[2\]"):
        softmax_focal_loss(x, y, torch.ones(2))
    with pytest.raises(ValueError, match=r"alpha must lie in 0..1, .* got 2"):
        softmax_focal_loss(x, y, 2)
    with pytest.raises(ValueError, match="gamma must be 0 or more, got -1"):
        softmax_focal_loss(x, y, gamma=-1)
    with pytest.raises(TypeError, match=r"inputs must hold floats, got torch\.int64"):
        softmax_focal_loss(y[:, None], y)


# ------------------------------------------------------------------ balanced cross entropy, bias


def test_balanced_cross_entropy_weighs_the_two_sides() -> None:
    x, t = some_logits()
    plain = binary_cross_entropy_with_logits(x, t, reduction="none")
    expected = (0.75 * t + 0.25 * (1 - t)) * plain
    torch.testing.assert_close(balanced_cross_entropy(x, t), expected)
    torch.testing.assert_close(balanced_cross_entropy(x, t, 0.5), plain / 2)
    torch.testing.assert_close(balanced_cross_entropy(x, t, -1), plain)
    for reduction, number in (("mean", expected.mean()), ("sum", expected.sum())):
        torch.testing.assert_close(balanced_cross_entropy(x, t, 0.75, reduction), number)
    assert torch.autograd.gradcheck(balanced_cross_entropy, (x.requires_grad_(), t))
    with pytest.raises(ValueError, match=r"alpha must lie in 0\.\.1"):
        balanced_cross_entropy(x, t, 1.5)


@given(st.floats(1e-12, 1 - 1e-12))
@settings(deadline=None, max_examples=40)
def test_prior_bias_is_the_logit_of_pi(pi: float) -> None:
    assert 1 / (1 + math.exp(-prior_bias(pi))) == pytest.approx(pi, rel=1e-12)


def test_prior_bias_of_the_paper() -> None:
    assert prior_bias() == prior_bias(0.01) == pytest.approx(-4.59511985)
    assert prior_bias(0.5) == 0
    for pi in (0, 1, -0.1, 2.0, math.nan):
        with pytest.raises(ValueError, match="pi must lie between 0 and 1, both excluded, got"):
            prior_bias(pi)


# ------------------------------------------------------------------ smooth_l1_loss


def smooth_l1_loop(d: float, beta: float) -> float:
    return 0.5 * d * d / beta if abs(d) < beta else abs(d) - 0.5 * beta


number = st.floats(-100, 100)


@given(st.lists(st.tuples(number, number), max_size=6), st.one_of(st.just(0), st.floats(0.01, 10)))
@settings(deadline=None, max_examples=60)
def test_smooth_l1_equals_a_loop(pairs: list, beta: float) -> None:
    a, b = double([a for a, _ in pairs]), double([b for _, b in pairs])
    expected = double([smooth_l1_loop(x - y, beta) for x, y in pairs])
    torch.testing.assert_close(smooth_l1_loss(a, b, beta), expected)
    torch.testing.assert_close(smooth_l1_loss(b, a, beta), expected)


@pytest.mark.parametrize("beta", [0, 1 / 9, 1, 2.5])
def test_smooth_l1_is_pytorch_s(beta: float) -> None:
    a, b = some_logits()
    for reduction in ("none", "mean", "sum"):
        expected = pytorch_smooth_l1_loss(a, b, reduction=reduction, beta=beta)
        torch.testing.assert_close(smooth_l1_loss(a, b, beta, reduction), expected)
    assert torch.autograd.gradcheck(
        lambda a, b: smooth_l1_loss(a, b, beta), (a.requires_grad_(), b.requires_grad_())
    )


def test_smooth_l1_at_its_joints() -> None:
    d = torch.tensor([-2.0, -0.5, 0, 0.5, 2], dtype=torch.float64, requires_grad=True)
    loss = smooth_l1_loss(d, torch.zeros_like(d), 0.5)
    assert loss.tolist() == [1.75, 0.25, 0, 0.25, 1.75]
    assert torch.autograd.grad(loss.sum(), d)[0].tolist() == [-1, -1, 0, 1, 1]
    flat = smooth_l1_loss(d, torch.zeros_like(d), 0)
    assert torch.equal(flat, l1_loss(d, torch.zeros_like(d), reduction="none"))
    assert torch.autograd.grad(flat.sum(), d)[0].tolist() == [-1, -1, 0, 1, 1]


@pytest.mark.parametrize("beta", [0, 1e-300, 1e-44, 1e-30, 1, 1e30])
def test_smooth_l1_stays_finite(beta: float) -> None:
    d = torch.tensor([-1e30, -1, -1e-30, 0, 1e-30, 1, 1e30], requires_grad=True)
    loss = smooth_l1_loss(d, torch.zeros_like(d), beta)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert (d.grad.abs() <= 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_smooth_l1_of_half_types(dtype: torch.dtype) -> None:
    a, b = (v.to(dtype) for v in some_logits())
    a.requires_grad_()
    loss = smooth_l1_loss(a, b, 0.3)
    loss.sum().backward()
    d = a.detach().double() - b.double()
    exact = double([smooth_l1_loop(v, 0.3) for v in d.flatten().tolist()]).reshape(d.shape)
    assert loss.dtype == a.grad.dtype == dtype
    assert roundings_off(loss.detach(), exact) < 0.51
    assert roundings_off(a.grad, (d / 0.3).clamp(-1, 1)) < 0.51


def test_smooth_l1_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    x = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"a target for each number, got \[2, 4\] and \[4\]"):
        smooth_l1_loss(x, x[0])
    with pytest.raises(TypeError, match=r"target must hold floats, got torch\.int64; write"):
        smooth_l1_loss(x, x.long())
    with pytest.raises(TypeError, match=r"input must be a torch\.Tensor, got list"):
        smooth_l1_loss([0.0], x)  # type: ignore[arg-type]
    for beta in (-1, math.nan):
        with pytest.raises(ValueError, match=r"beta must be 0 \(for L1\) or more, got"):
            smooth_l1_loss(x, x, beta)
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'all'"):
        smooth_l1_loss(x, x, reduction="all")  # type: ignore[arg-type]


# ------------------------------------------------------------------ losses of boxes, row by row

BOX_LOSSES = {
    generalized_box_iou_loss: generalized_box_iou,
    distance_box_iou_loss: distance_box_iou,
    complete_box_iou_loss: complete_box_iou,
}
each_box_loss = pytest.mark.parametrize("loss", BOX_LOSSES, ids=lambda f: f.__name__)


def slow_box_loss(loss: Callable, a: list[float], b: list[float], eps: float) -> float:
    """The formulas of the papers on one pair of proper boxes, with torchvision's eps."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    (w1, h1), (w2, h2) = ((c[2] - c[0], c[3] - c[1]) for c in (a, b))
    inter = w * h if w > 0 and h > 0 else 0.0
    union = w1 * h1 + w2 * h2 - inter
    iou = inter / (union + eps)
    W, H = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    if loss is generalized_box_iou_loss:
        return 1 - iou + (W * H - union) / (W * H + eps)
    dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    diou_loss = 1 - iou + (dx * dx + dy * dy) / (W * W + H * H + eps)
    if loss is distance_box_iou_loss:
        return diou_loss
    v = 4 / math.pi**2 * (math.atan(w1 / h1) - math.atan(w2 / h2)) ** 2
    return diou_loss + v / (1 - iou + v + eps) * v


proper_side = st.integers(1, 15).map(float)
proper = st.tuples(corner, corner, proper_side, proper_side).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@each_box_loss
@given(pairs=st.lists(st.tuples(proper, proper), max_size=6), eps=st.sampled_from([EPS, 0.01]))
@settings(deadline=None, max_examples=40)
def test_box_losses_equal_a_loop(loss: Callable, pairs: list, eps: float) -> None:
    boxes1 = double([a for a, _ in pairs]).reshape(-1, 4)
    boxes2 = double([b for _, b in pairs]).reshape(-1, 4)
    expected = double([slow_box_loss(loss, a, b, eps) for a, b in pairs])
    actual = loss(boxes1, boxes2, eps=eps)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(loss(boxes2, boxes1, eps=eps), expected, rtol=0, atol=1e-12)
    assert ((actual > -1e-12) & (actual < 3)).all()


# Boxes without area and inverted ones, against each other and a proper one.
ODD = double(
    [
        [5, 5, 5, 5],
        [7, 9, 7, 9],
        [2, 5, 9, 5],
        [5, 2, 5, 9],
        [0, 0, 10, 10],
        [9, 9, 2, 3],
        [9, 2, 3, 8],
    ]
)


@each_box_loss
@given(pairs=st.lists(st.tuples(box, box), max_size=6))
@settings(deadline=None, max_examples=40)
def test_box_losses_are_the_diagonal_of_all_pairs(loss: Callable, pairs: list) -> None:
    boxes1 = torch.cat((double([a for a, _ in pairs]).reshape(-1, 4), ODD))
    boxes2 = torch.cat((double([b for _, b in pairs]).reshape(-1, 4), ODD.flip(0)))
    expected = 1 - torch.diagonal(BOX_LOSSES[loss](boxes1, boxes2))
    # eps is in pixels², and stands in more of the divisors here.
    torch.testing.assert_close(loss(boxes1, boxes2), expected, rtol=0, atol=1e-6)
    if loss is generalized_box_iou_loss:
        exact = loss(boxes1, boxes2, eps=0)
        torch.testing.assert_close(exact, expected, rtol=0, atol=1e-12)


@each_box_loss
def test_box_losses_reduce(loss: Callable) -> None:
    boxes1, boxes2 = some_pairs()
    each = loss(boxes1, boxes2)
    assert each.shape == (3,)
    assert torch.equal(loss(boxes1, boxes2, "none"), each)
    torch.testing.assert_close(loss(boxes1, boxes2, "mean"), each.mean())
    torch.testing.assert_close(loss(boxes1, boxes2, "sum", EPS), each.sum())


def apart_and_over() -> tuple[Tensor, Tensor]:
    boxes1, boxes2 = some_pairs()
    far = double([[30.0, 40, 35, 47], [1, 50, 4, 51]])
    return torch.cat((boxes1, far)), torch.cat((boxes2, far - 20.5))


@pytest.mark.parametrize("loss", [generalized_box_iou_loss, distance_box_iou_loss])
def test_box_losses_gradient(loss: Callable) -> None:
    boxes1, boxes2 = apart_and_over()
    inputs = boxes1.requires_grad_(), boxes2.requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


def test_complete_box_iou_loss_gradient_takes_alpha_for_a_constant() -> None:
    boxes1, boxes2 = apart_and_over()
    boxes1.requires_grad_()

    def v(boxes1: Tensor) -> Tensor:
        first, second = (
            ((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])).atan() for b in (boxes1, boxes2)
        )
        return 4 / math.pi**2 * (first - second) ** 2

    iou = torch.diagonal(box_iou(boxes1, boxes2))
    alpha = (v(boxes1) / (1 - iou + v(boxes1) + EPS)).detach()
    frozen = distance_box_iou_loss(boxes1, boxes2) + alpha * v(boxes1)
    (expected,) = torch.autograd.grad(frozen.sum(), boxes1)
    (actual,) = torch.autograd.grad(complete_box_iou_loss(boxes1, boxes2).sum(), boxes1)
    torch.testing.assert_close(actual, expected)
    assert torch.autograd.gradcheck(
        lambda b: distance_box_iou_loss(b, boxes2) + alpha * v(b), boxes1
    )


@pytest.mark.parametrize("loss", [iou_loss, *BOX_LOSSES], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_box_losses_of_odd_boxes_have_small_gradients(loss: Callable, dtype: torch.dtype) -> None:
    """Every pair of points, segments and inverted boxes: neither NaN nor one over eps."""
    boxes1 = ODD.to(dtype).repeat(7, 1).requires_grad_()
    boxes2 = ODD.to(dtype).repeat_interleave(7, 0)
    losses = loss(boxes1, boxes2)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert losses.dtype == dtype
    assert (boxes1.grad.abs() < 10).all()


def test_far_boxes_are_pulled_together() -> None:
    target = torch.tensor([[50.0, 50, 60, 60]])
    for loss in BOX_LOSSES:
        box = torch.tensor([[0.0, 0, 12, 9]], requires_grad=True)
        loss(box, target, "sum").backward()
        assert (box.grad[0, 2:] < 0).all(), "a step against the gradient goes right and down"
        assert loss(target, target).abs().item() < 1e-6


@pytest.mark.parametrize("loss", [iou_loss, *BOX_LOSSES], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_box_losses_of_half_types_and_integers(loss: Callable, dtype: torch.dtype) -> None:
    """In float16 the area of a 300 x 300 box is infinite."""
    boxes1 = torch.tensor([[0, 0, 600, 400], [10, 20, 42, 80]], dtype=dtype)
    boxes2 = torch.tensor([[30, 40, 640, 480], [12, 16, 40, 88]], dtype=dtype)
    if dtype.is_floating_point:
        boxes1.requires_grad_()
    actual = loss(boxes1, boxes2)
    assert actual.dtype == torch.float32
    exact1 = boxes1.detach().double().requires_grad_()
    expected = loss(exact1, boxes2.double())
    torch.testing.assert_close(actual, expected.float(), rtol=1e-5, atol=1e-6)
    if dtype.is_floating_point:
        actual.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(boxes1.grad, exact1.grad.to(dtype), rtol=4e-3, atol=1e-6)


@pytest.mark.parametrize("loss", [iou_loss, *BOX_LOSSES, smooth_l1_loss], ids=lambda f: f.__name__)
def test_losses_of_no_boxes(loss: Callable) -> None:
    nothing = torch.zeros(0, 4, requires_grad=True)
    assert loss(nothing, torch.zeros(0, 4)).shape == loss(nothing, nothing).shape
    for reduction in ("mean", "sum"):
        total = loss(nothing, torch.zeros(0, 4), reduction=reduction)
        assert total.item() == 0
        total.backward()
        assert nothing.grad.shape == (0, 4)


@each_box_loss
def test_box_losses_wrong_calls(loss: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    boxes = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"row n of one .* got \[2, 4\] and \[3, 4\]"):
        loss(boxes, torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"for one box write boxes1\[None\]"):
        loss(boxes[0], boxes[0])
    with pytest.raises(TypeError, match=r"boxes2 must be a torch\.Tensor, got list"):
        loss(boxes, [[0, 0, 1, 1]] * 2)
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'all'"):
        loss(boxes, boxes, reduction="all")


# ------------------------------------------------------------------ hard examples

a_loss = st.integers(0, 6).map(float)  # few values, so that many are equal


@given(st.lists(a_loss, max_size=10), st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_ohem_keeps_the_largest(values: list[float], count: int) -> None:
    losses = double(values).requires_grad_()
    kept = ohem_loss(losses, count)
    assert kept.tolist() == sorted(values, reverse=True)[:count]
    by_hardness = sorted(range(len(values)), key=lambda i: -values[i])[:count]  # stable
    total = ohem_loss(losses, count, "sum")
    assert total.item() == sum(values[i] for i in by_hardness)
    total.backward()
    assert losses.grad.nonzero().flatten().tolist() == sorted(by_hardness)
    mean = ohem_loss(losses, count, "mean").item()
    assert mean == pytest.approx(sum(kept.tolist()) / max(len(kept), 1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_ohem_of_a_matrix(dtype: torch.dtype) -> None:
    losses = torch.tensor([[0.5, 4], [3, 0.25]], dtype=dtype)
    kept = ohem_loss(losses, 3)
    assert kept.dtype == dtype
    assert kept.tolist() == [4, 3, 0.5]
    assert torch.autograd.gradcheck(lambda v: ohem_loss(v, 2), losses.double().requires_grad_())


def slow_mining(losses: list[float], labels: list[int], ratio: float) -> list[bool]:
    chosen = [label > 0 for label in labels]
    allowed = math.floor(ratio * sum(chosen))
    negatives = [i for i, label in enumerate(labels) if label == 0]
    for i in sorted(negatives, key=lambda i: -losses[i])[:allowed]:
        chosen[i] = True
    return chosen


anchor = st.tuples(a_loss, st.sampled_from([-1, 0, 0, 0, 0, 1, 3]))


@given(
    st.integers(0, 12).flatmap(
        lambda n: st.lists(st.lists(anchor, min_size=n, max_size=n), min_size=1, max_size=3)
    ),
    st.sampled_from([0, 1, 2.5, 3]),
)
@settings(deadline=None, max_examples=60)
def test_hard_negative_mining_equals_a_loop(images: list, ratio: float) -> None:
    losses = double([[v for v, _ in image] for image in images])
    labels = torch.tensor([[y for _, y in image] for image in images], dtype=torch.int64)
    chosen = hard_negative_mining(losses, labels, ratio)
    pairs = zip(losses.tolist(), labels.tolist(), strict=True)
    assert chosen.dtype == torch.bool
    assert chosen.tolist() == [slow_mining(v, y, ratio) for v, y in pairs]
    assert torch.equal(hard_negative_mining(losses[0], labels[0], ratio), chosen[0])
    assert (chosen & (labels == 0)).sum() <= ratio * (labels > 0).sum()
    positive = labels > 0
    assert torch.equal(
        hard_negative_mining(losses, positive, ratio),
        hard_negative_mining(losses, positive.long(), ratio),
    )


def test_hard_negative_mining_by_hand() -> None:
    losses = torch.tensor([[0.1, 0.9, 0.2, 0.8, 0.3, 0.7], [5, 5, 5, 5, 5, 5]], requires_grad=True)
    labels = torch.tensor([[2, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0]])
    chosen = hard_negative_mining(losses, labels)
    assert chosen.tolist() == [[True, True, False, True, True, False], [False] * 6]
    assert not chosen.requires_grad
    assert torch.equal(hard_negative_mining(losses.half(), labels), chosen)


def test_mining_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    losses = torch.zeros(2, 3)
    with pytest.raises(TypeError, match=r"count must be an int, got 0.25; a share is int\(share"):
        ohem_loss(losses, 0.25)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count must be 0 or more, got -1"):
        ohem_loss(losses, -1)
    with pytest.raises(TypeError, match=r"losses must hold floats, got torch\.int64"):
        ohem_loss(losses.long(), 1)
    with pytest.raises(ValueError, match=r"one shape \[..., N\].* got \[2, 3\] and \[3\]"):
        hard_negative_mining(losses, torch.zeros(3))
    with pytest.raises(ValueError, match="ratio must be 0 or more, got -3; SSD's is 3"):
        hard_negative_mining(losses, torch.zeros(2, 3), -3)
    with pytest.raises(TypeError, match=r"labels must be a torch\.Tensor, got list"):
        hard_negative_mining(losses, [0, 1])  # type: ignore[arg-type]


def test_the_mean_of_nothing_is_0() -> None:
    nothing = torch.zeros(0, 3)
    assert sigmoid_focal_loss(nothing, nothing, reduction="mean").item() == 0
    assert ohem_loss(nothing, 5, "mean").item() == 0
