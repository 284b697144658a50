"""Box deltas against numbers worked by hand, a loop, each other, and their words for wrong calls."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_lib.coding import BBOX_XFORM_CLIP, BoxCoder, decode_boxes, encode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def random_boxes(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 600 - 50
    sides = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 200 + 4
    return torch.cat((corner, corner + sides), dim=1)


coordinate = st.floats(-1000, 1000)
side = st.floats(1, 60)  # at most 60 times another one: below the clip of 62.5
box = st.tuples(coordinate, coordinate, side, side).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
pairs = st.lists(st.tuples(box, box), max_size=6).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).reshape(-1, 2, 4).unbind(1)
)
four_weights = st.tuples(*[st.floats(0.5, 20)] * 4)
some_deltas = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 4), st.floats(-3, 4))


# ------------------------------------------------------------------ by hand


def test_encode_by_hand() -> None:
    proposal = torch.tensor([[0.0, 0, 10, 20]])  # centre (5, 10)
    for box, deltas in (
        ([0.0, 0, 10, 20], [0, 0, 0, 0]),
        ([1.0, 4, 11, 24], [0.1, 0.2, 0, 0]),  # a tenth of the width, a fifth of the height
        ([-5.0, 5, 15, 15], [0, 0, math.log(2), -math.log(2)]),  # twice as wide, half as high
        ([5.0, 0, 10, 40], [0.25, 0.5, -math.log(2), math.log(2)]),
    ):
        answer = encode_boxes(torch.tensor([box]), proposal)
        assert answer[0].tolist() == pytest.approx(deltas, abs=1e-6)
        weighted = encode_boxes(torch.tensor([box]), proposal, WEIGHTS)
        expected = [w * d for w, d in zip(WEIGHTS, deltas, strict=True)]
        assert weighted[0].tolist() == pytest.approx(expected, abs=1e-5)
        torch.testing.assert_close(decode_boxes(answer, proposal), torch.tensor([box]))
        torch.testing.assert_close(decode_boxes(weighted, proposal, WEIGHTS), torch.tensor([box]))


def test_decode_by_hand() -> None:
    boxes = torch.tensor([[10.0, 20, 30, 60]])  # centre (20, 40), size 20 x 40
    deltas = torch.tensor([[0.5, -0.25, math.log(2), 0]])
    assert decode_boxes(deltas, boxes)[0].tolist() == pytest.approx([10, 10, 50, 50])


def test_deltas_say_the_same_of_small_and_large_boxes() -> None:
    truths, proposals = random_boxes(5, 1), random_boxes(5, 2)
    deltas = encode_boxes(truths, proposals)
    torch.testing.assert_close(encode_boxes(truths * 8 + 64, proposals * 8 + 64), deltas)


def loop(references: Tensor, proposals: Tensor, weights: tuple) -> Tensor:
    rows = []
    for (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(
        references.tolist(), proposals.tolist(), strict=True
    ):
        dx = ((x1 + x2) / 2 - (a1 + a2) / 2) / (a2 - a1)
        dy = ((y1 + y2) / 2 - (b1 + b2) / 2) / (b2 - b1)
        dw, dh = math.log((x2 - x1) / (a2 - a1)), math.log((y2 - y1) / (b2 - b1))
        rows.append([w * d for w, d in zip(weights, (dx, dy, dw, dh), strict=True)])
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)


@given(pairs=pairs, weights=four_weights)
@settings(deadline=None, max_examples=50)
def test_encode_equals_a_loop(pairs: tuple[Tensor, Tensor], weights: tuple) -> None:
    torch.testing.assert_close(
        encode_boxes(*pairs, weights), loop(*pairs, weights), rtol=1e-9, atol=1e-9
    )


# ------------------------------------------------------------------ there and back


@given(pairs=pairs, weights=four_weights)
@settings(deadline=None, max_examples=60)
def test_decode_takes_encode_back(pairs: tuple[Tensor, Tensor], weights: tuple) -> None:
    references, proposals = pairs
    back = decode_boxes(encode_boxes(references, proposals, weights), proposals, weights)
    torch.testing.assert_close(back, references, rtol=0, atol=1e-9)


@given(rows=st.lists(st.tuples(box, some_deltas), max_size=6), weights=four_weights)
@settings(deadline=None, max_examples=60)
def test_encode_takes_decode_back(rows: list, weights: tuple) -> None:
    proposals = torch.tensor([b for b, _ in rows], dtype=torch.float64).reshape(-1, 4)
    deltas = torch.tensor([d for _, d in rows], dtype=torch.float64).reshape(-1, 4)
    deltas = deltas * deltas.new_tensor(weights)
    back = encode_boxes(decode_boxes(deltas, proposals, weights), proposals, weights)
    torch.testing.assert_close(back, deltas, rtol=0, atol=1e-9)


def test_there_and_back_in_float32() -> None:
    truths, proposals = random_boxes(200, 1).float(), random_boxes(200, 2).float()
    back = decode_boxes(encode_boxes(truths, proposals, WEIGHTS), proposals, WEIGHTS)
    torch.testing.assert_close(back, truths, rtol=0, atol=1e-3)


# ------------------------------------------------------------------ the clip, classes, shapes


def test_a_box_grows_at_most_62_and_a_half_times() -> None:
    assert math.log(1000 / 16) == BBOX_XFORM_CLIP
    boxes = torch.tensor([[0.0, 0, 10, 10]], dtype=torch.float64)
    for stretch, side in ((4.0, 10 * math.exp(4)), (BBOX_XFORM_CLIP, 625), (5.0, 625), (1e4, 625)):
        deltas = torch.tensor([[0, 0, stretch, 0], [0, 0, 0, stretch]], dtype=torch.float64)
        wide, high = decode_boxes(deltas, boxes.expand(2, 4))
        assert (wide[2:] - wide[:2]).tolist() == pytest.approx([side, 10])
        assert (high[2:] - high[:2]).tolist() == pytest.approx([10, side])
    # The weights come first: 30 / 10 is below the clip.
    (third,) = decode_boxes(torch.tensor([[0.0, 0, 30, 0]]), boxes.float(), (10, 10, 10, 10))
    assert (third[2] - third[0]).item() == pytest.approx(10 * math.exp(3), rel=1e-5)
    # A centre is not limited, nor is a shrinking side; another limit can be asked for.
    (far,) = decode_boxes(torch.tensor([[100.0, 0, -1e4, 0]]), boxes.float())
    assert far.tolist() == [1005, 0, 1005, 10]
    (twice,) = decode_boxes(torch.full((1, 4), 9.0), boxes.float(), bbox_xform_clip=math.log(2))
    assert (twice[2] - twice[0]).item() == pytest.approx(20)


def test_four_deltas_for_each_class() -> None:
    boxes = random_boxes(5)
    deltas = torch.randn(5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    together = decode_boxes(deltas, boxes, WEIGHTS)
    assert together.shape == (5, 12)
    for k in range(3):
        columns = slice(4 * k, 4 * k + 4)
        alone = decode_boxes(deltas[:, columns], boxes, WEIGHTS)
        assert torch.equal(together[:, columns], alone)
        assert torch.equal(together.reshape(5, 3, 4)[:, k], alone)


def test_no_boxes_at_all() -> None:
    none = torch.zeros(0, 4)
    assert encode_boxes(none, none).shape == (0, 4)
    assert decode_boxes(none, none).shape == (0, 4)
    assert decode_boxes(torch.zeros(0, 8), none).shape == (0, 8)
    assert BoxCoder().decode(torch.zeros(0, 8), [none, none]).shape == (0, 2, 4)


def test_inputs_are_left_alone() -> None:
    truths, proposals = random_boxes(3, 1), random_boxes(3, 2)
    before = truths.clone(), proposals.clone()
    deltas = encode_boxes(truths, proposals)
    kept = deltas.clone()
    decode_boxes(deltas, proposals)
    assert torch.equal(truths, before[0])
    assert torch.equal(proposals, before[1])
    assert torch.equal(deltas, kept)


# ------------------------------------------------------------------ empty boxes, gradients, dtypes

EMPTY = torch.tensor(
    [[5.0, 5, 5, 5], [5, 5, 15, 5], [0, 0, 0, 0], [9, 9, 2, 3], [0, 0, 10, 10]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_empty_boxes_keep_values_and_gradients_finite(dtype: torch.dtype, scale: float) -> None:
    n = len(EMPTY)
    references = (EMPTY * scale).to(dtype).repeat_interleave(n, 0).requires_grad_()
    proposals = (EMPTY * scale).to(dtype).repeat(n, 1).requires_grad_()
    deltas = encode_boxes(references, proposals, WEIGHTS)
    assert deltas.isfinite().all()
    deltas.sum().backward()
    assert references.grad.isfinite().all()
    assert proposals.grad.isfinite().all()


def test_gradcheck() -> None:
    truths, proposals = random_boxes(4, 1), random_boxes(4, 2)
    deltas = torch.randn(4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs = truths.requires_grad_(), proposals.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: encode_boxes(a, b, WEIGHTS), inputs)
    inputs = deltas.requires_grad_(), proposals
    assert torch.autograd.gradcheck(lambda a, b: decode_boxes(a, b, WEIGHTS), inputs)


@pytest.mark.parametrize("size", [4.0, 5.0, 100.0, 1e4, -1e4, math.inf, -math.inf])
def test_the_gradient_of_a_wild_prediction_is_finite(size: float) -> None:
    deltas = torch.tensor([[0.1, 0.2, size, size]], requires_grad=True)
    boxes = torch.tensor([[0.0, 0, 10, 20]])
    answer = decode_boxes(deltas, boxes)
    answer.square().sum().backward()
    assert answer.isfinite().all()
    assert deltas.grad.isfinite().all()
    assert (deltas.grad[0, 2:] == 0).all() == (size > BBOX_XFORM_CLIP or size < -1e3)
    assert (deltas.grad[0, :2] != 0).all()


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int32, torch.int64])
def test_half_types_and_integers_answer_in_float32(dtype: torch.dtype) -> None:
    truths = torch.tensor([[900, 100, 1000, 300]], dtype=dtype)
    proposals = torch.tensor([[880, 120, 1000, 280]], dtype=dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    deltas = encode_boxes(truths, proposals)
    assert deltas.dtype == wide
    torch.testing.assert_close(deltas, encode_boxes(truths.to(wide), proposals.to(wide)))
    decoded = decode_boxes(deltas.to(dtype), proposals)
    assert decoded.dtype == wide
    assert decode_boxes(deltas.to(dtype).half(), proposals.double()).dtype == torch.float64


def test_half_deltas_of_far_boxes_lose_no_pixels() -> None:
    boxes = torch.tensor([[4000.25, 4000.25, 4100.25, 4100.25]])
    deltas = torch.tensor([[0.125, 0, 0, 0]], dtype=torch.float16)
    assert decode_boxes(deltas, boxes)[0].tolist() == [4012.75, 4000.25, 4112.75, 4100.25]


# ------------------------------------------------------------------ BoxCoder


def test_the_coder_has_torchvisions_four_methods() -> None:
    coder = BoxCoder(WEIGHTS)
    assert coder.weights == WEIGHTS
    assert coder.bbox_xform_clip == BBOX_XFORM_CLIP
    truths, proposals = random_boxes(5, 1), random_boxes(5, 2)
    deltas = coder.encode_single(truths, proposals)
    assert torch.equal(deltas, encode_boxes(truths, proposals, WEIGHTS))
    assert torch.equal(
        coder.decode_single(deltas, proposals), decode_boxes(deltas, proposals, WEIGHTS)
    )
    parts = coder.encode(truths.split([2, 0, 3]), proposals.split([2, 0, 3]))
    assert [len(part) for part in parts] == [2, 0, 3]
    assert torch.equal(torch.cat(parts), deltas)
    decoded = coder.decode(deltas.repeat(1, 3), list(proposals.split([2, 0, 3])))
    assert decoded.shape == (5, 3, 4)
    assert torch.equal(decoded[:, 1], decode_boxes(deltas, proposals, WEIGHTS))
    images = coder.decode(deltas[:4].reshape(2, 2, 4), list(proposals[:4].split(2)))  # [B, N, 4]
    assert torch.equal(images, decoded[:4, :1])


def test_the_clip_of_the_coder_is_used() -> None:
    (grown,) = BoxCoder(bbox_xform_clip=math.log(3)).decode_single(
        torch.full((1, 4), 7.0), torch.tensor([[0.0, 0, 2, 2]])
    )
    assert (grown[2] - grown[0]).item() == pytest.approx(6)


# ------------------------------------------------------------------ wrong calls, and other devices

FOUR = torch.ones(2, 4)
WRONG: list[tuple[Callable, type[Exception], str]] = [
    (lambda: encode_boxes(FOUR, FOUR[0]), ValueError, "for one box write proposals[None]"),
    (lambda: encode_boxes(FOUR, FOUR[:1]), ValueError, "got [2, 4] and [1, 4]; pick the matched boxes first"),
    (lambda: encode_boxes([[0, 0, 1, 1]], FOUR), TypeError, "reference_boxes must be a torch.Tensor, got list"),
    (lambda: encode_boxes(FOUR, FOUR, (1, 1)), ValueError, "weights must be four numbers above 0"),
    (lambda: decode_boxes(FOUR, FOUR, (1, 1, 0, 1)), ValueError, "for dx, dy, dw, dh, got (1, 1, 0, 1)"),
    (lambda: decode_boxes(torch.ones(2, 6), FOUR), ValueError, "with N that of boxes, got [2, 6] for boxes [2, 4]"),
    (lambda: decode_boxes(torch.ones(3, 4), FOUR), ValueError, "got [3, 4] for boxes [2, 4]"),
    (lambda: decode_boxes(FOUR, torch.ones(2, 5)), ValueError, "boxes must have shape [N, 4], got [2, 5]"),
    (lambda: BoxCoder((1, 1, 1)), ValueError, "weights must be four numbers above 0"),
    (lambda: BoxCoder().encode([FOUR], [FOUR, FOUR]), ValueError, "one entry an image, got 1 and 2"),
    (lambda: BoxCoder().decode(FOUR, []), ValueError, "got an empty list"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_a_wrong_call_says_what_to_write(
    call: Callable, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(error, match=re.escape(words)):
        call()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_answers_as_the_cpu_does() -> None:
    truths, proposals = random_boxes(500, 1).float(), random_boxes(500, 2).float()
    deltas = encode_boxes(truths.cuda(), proposals.cuda(), WEIGHTS)
    assert deltas.is_cuda
    torch.testing.assert_close(deltas.cpu(), encode_boxes(truths, proposals, WEIGHTS))
    boxes = decode_boxes(deltas, proposals.cuda(), WEIGHTS)
    assert boxes.is_cuda
    torch.testing.assert_close(boxes.cpu(), truths, rtol=0, atol=1e-3)
