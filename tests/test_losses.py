"""iou_loss against a loop in float64, its gradient, and its words for wrong calls."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_lib.boxes import box_iou
from course_lib.losses import iou_loss

EPS = 1e-7


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
def test_equals_a_loop(pairs: list) -> None:
    boxes1 = torch.tensor([a for a, _ in pairs], dtype=torch.float64).reshape(-1, 4)
    boxes2 = torch.tensor([b for _, b in pairs], dtype=torch.float64).reshape(-1, 4)
    expected = torch.tensor(loop(boxes1, boxes2), dtype=torch.float64)
    torch.testing.assert_close(iou_loss(boxes1, boxes2), expected)
    assert not torch.isnan(iou_loss(boxes1, boxes2)).any()


def some_pairs() -> tuple[Tensor, Tensor]:
    boxes1 = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 30], [1, 2, 9, 7]], dtype=torch.float64)
    return boxes1, boxes1 + torch.tensor([1.25, -0.5, 2.75, 1.5], dtype=torch.float64)


def test_is_the_logarithm_of_the_diagonal() -> None:
    boxes1, boxes2 = some_pairs()
    expected = -torch.diagonal(box_iou(boxes1, boxes2)).log()
    torch.testing.assert_close(iou_loss(boxes1, boxes2), expected)
    torch.testing.assert_close(iou_loss(boxes1, boxes2, reduction="mean"), expected.mean())
    torch.testing.assert_close(iou_loss(boxes1, boxes2, reduction="sum"), expected.sum())


def test_gradient() -> None:
    boxes1, boxes2 = some_pairs()
    assert torch.autograd.gradcheck(iou_loss, (boxes1.requires_grad_(), boxes2.requires_grad_()))
    apart = torch.tensor([[0.0, 0, 1, 1], [3, 3, 3, 3]], requires_grad=True)
    iou_loss(apart, torch.tensor([[5.0, 5, 6, 6], [3, 3, 3, 3]])).sum().backward()
    assert apart.grad is not None
    assert torch.equal(apart.grad, torch.zeros(2, 4)), "no pull without overlap, and no NaN"


def test_wrong_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    boxes = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"row n of one .* got \[2, 4\] and \[3, 4\]"):
        iou_loss(boxes, torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"for one box write boxes1\[None\]"):
        iou_loss(boxes[0], boxes[0])
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'all'"):
        iou_loss(boxes, boxes, reduction="all")  # type: ignore[arg-type]
