"""course_lib.pooling against loops over single numbers, its own plain versions and gradcheck."""

import inspect
import math
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from course_lib.pooling import (
    MultiScaleRoIAlign,
    _rows,
    assign_levels,
    bilinear_sample,
    bin_cells,
    bin_points,
    hat_integrals,
    project_boxes,
    prroi_pool,
    prroi_pool_plain,
    roi_align,
    roi_align_plain,
    roi_pool,
    roi_pool_bins,
    roi_pool_plain,
    sample_points,
)

H, W = 6, 9
ODD_BOXES = {
    "ordinary": [1.3, 0.9, 6.2, 4.7],
    "on whole cells": [1, 1, 5, 4],
    "whole map": [0, 0, W, H],
    "half outside": [-3.4, -2.1, 3.3, 2.9],
    "other half outside": [6.2, 3.1, 13.9, 9.4],
    "outside": [20, 20, 30, 30],
    "outside before": [-30, -30, -20, -20],
    "huge": [-40.5, -31.25, 52.5, 47.75],
    "no size": [3.5, 2.25, 3.5, 2.25],
    "no width": [3.5, 1, 3.5, 4],
    "smaller than a cell": [2.1, 3.2, 2.4, 3.3],
    "inverted": [6.1, 4.2, 2.3, 1.1],
    "inverted in x": [6.1, 1.1, 2.3, 4.2],
    "up to the border": [-1, -1, W, H],
    "at halves": [0.5, 1.5, 4.5, 3.5],
}
BOXES = torch.tensor(list(ODD_BOXES.values()), dtype=torch.float64)
ALL = (roi_align, roi_pool, prroi_pool)
each_op = pytest.mark.parametrize("op", ALL, ids=lambda op: op.__name__)


def feature_map(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def random_rois(R: int, B: int, seed: int = 0) -> Tensor:
    """[R, 5]: around a map of H x W cells, some of them inverted, empty or outside."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    centre = uniform(R, 2) * torch.tensor([W + 4.0, H + 4.0]) - 2
    side = uniform(R, 2) * 10 - 0.5
    image = torch.randint(0, B, (R, 1), generator=generator)
    return torch.cat((image, centre - side / 2, centre + side / 2), 1)


def assert_close(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=0, atol=atol)


# --- the same once more, one number at a time, in plain Python -----------------------------------


def slow_surface(cells: list[list[float]], y: float, x: float) -> float:
    """RoIAlign's bilinear value at a point."""
    rows, columns = len(cells), len(cells[0])
    if y < -1 or y > rows or x < -1 or x > columns:
        return 0.0
    y, x = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
    total = 0.0
    for k in range(rows):
        for m in range(columns):
            total += max(0, 1 - abs(y - k)) * max(0, 1 - abs(x - m)) * cells[k][m]
    return total


def slow_align(
    cells: list[list[float]], box: list[float], P: int, Q: int, ratio: int, aligned: bool
) -> list[list[float]]:
    x1, y1, x2, y2 = (c - 0.5 if aligned else c for c in box)
    height, width = y2 - y1, x2 - x1
    if not aligned:
        height, width = max(height, 1.0), max(width, 1.0)
    n = ratio if ratio > 0 else max(0, math.ceil(height / P))
    m = ratio if ratio > 0 else max(0, math.ceil(width / Q))

    def one_bin(p: int, q: int) -> float:
        total = 0.0
        for i in range(n):
            for j in range(m):
                y = y1 + p * height / P + (i + 0.5) * height / P / n
                x = x1 + q * width / Q + (j + 0.5) * width / Q / m
                total += slow_surface(cells, y, x)
        return total / max(n * m, 1)

    return [[one_bin(p, q) for q in range(Q)] for p in range(P)]


def slow_round(x: float) -> int:
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def slow_pool(cells: list[list[float]], box: list[float], P: int, Q: int) -> list[list[float]]:
    x1, y1, x2, y2 = (slow_round(c) for c in box)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)

    def one_bin(p: int, q: int) -> float:
        # A cell is in a bin if they share more than an edge. Exact: all are integers.
        inside = [
            cells[y][x]
            for y in range(len(cells))
            for x in range(len(cells[0]))
            if (y + 1 - y1) * P > p * height and (y - y1) * P < (p + 1) * height
            if (x + 1 - x1) * Q > q * width and (x - x1) * Q < (q + 1) * width
        ]
        return max(inside, default=0.0)

    return [[one_bin(p, q) for q in range(Q)] for p in range(P)]


def slow_hat_integral(k: int, a: float, b: float) -> float:
    """The integral of max(0, 1 - |x - k|) from a to b, by its antiderivative."""

    def below(x: float) -> float:
        x = min(max(x - k, -1.0), 1.0)
        return (x + 1) ** 2 / 2 if x < 0 else 1 - (1 - x) ** 2 / 2

    return below(b) - below(a)


def slow_precise(cells: list[list[float]], box: list[float], P: int, Q: int) -> list[list[float]]:
    x1, y1, x2, y2 = box
    height, width = (y2 - y1) / P, (x2 - x1) / Q
    if height <= 0 or width <= 0:
        return [[0.0] * Q for _ in range(P)]

    def one_bin(p: int, q: int) -> float:
        total = 0.0
        for k in range(len(cells)):
            for m in range(len(cells[0])):
                in_y = slow_hat_integral(k, y1 + p * height, y1 + (p + 1) * height)
                in_x = slow_hat_integral(m, x1 + q * width, x1 + (q + 1) * width)
                total += in_y * in_x * cells[k][m]
        return total / (height * width)

    return [[one_bin(p, q) for q in range(Q)] for p in range(P)]


def slow(one_map: Callable, input: Tensor, rois: Tensor, size: tuple[int, int], *args) -> Tensor:  # type: ignore[no-untyped-def]
    pooled = [
        [one_map(cells, roi[1:], *size, *args) for cells in input[int(roi[0])].tolist()]
        for roi in rois.tolist()
    ]
    return torch.tensor(pooled, dtype=torch.float64).reshape(len(rois), input.shape[1], *size)


def both_types() -> Iterator[tuple[torch.dtype, float]]:
    yield from ((torch.float64, 1e-10), (torch.float32, 1e-5))


# --- forward -------------------------------------------------------------------------------------

with_image = torch.cat((torch.zeros(len(BOXES), 1), BOXES), 1)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_align_odd_boxes(size: tuple[int, int], sampling_ratio: int, aligned: bool) -> None:
    input, boxes = feature_map(1, 2, H, W), BOXES.float().double()
    rois = torch.cat((torch.zeros(len(boxes), 1), boxes), 1)
    expected = slow(slow_align, input.float().double(), rois, size, sampling_ratio, aligned)
    actual = roi_align(input.float(), rois.float(), size, 1.0, sampling_ratio, aligned)
    assert_close(actual, expected, 1e-5)
    expected = slow(slow_align, input, rois, size, sampling_ratio, aligned)
    assert_close(roi_align(input, rois, size, 1, sampling_ratio, aligned), expected, 1e-10)
    plain = roi_align_plain(input, rois, size, 1, sampling_ratio, aligned)
    assert_close(plain, expected, 1e-10)


@pytest.mark.parametrize("op", [roi_pool, prroi_pool], ids=lambda op: op.__name__)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (7, 7)])
def test_pool_odd_boxes(op: Callable, size: tuple[int, int]) -> None:
    one_map = slow_pool if op is roi_pool else slow_precise
    rois = with_image.float().double()
    for dtype, atol in both_types():
        input = feature_map(1, 2, H, W, dtype=dtype)
        expected = slow(one_map, input, rois, size)
        actual = op(input, rois.to(dtype), size)
        assert actual.dtype == dtype
        assert actual.is_contiguous()
        assert_close(actual, expected, atol)
        if op is roi_pool:
            assert torch.equal(actual, roi_pool_plain(input, rois, size))
        else:
            assert_close(prroi_pool_plain(input, rois, size), expected, atol)


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    scale=st.sampled_from([1.0, 0.37, 1 / 3, 1.9]),
    sampling_ratio=st.integers(-1, 4),
    aligned=st.booleans(),
)
def test_random_boxes(
    seed: int, size: tuple[int, int], scale: float, sampling_ratio: int, aligned: bool
) -> None:
    input, rois = feature_map(2, 1, H, W, seed=seed), random_rois(4, 2, seed)
    scaled = torch.cat((rois[:, :1], rois[:, 1:] * scale), 1)
    actual = roi_align(input, rois, size, scale, sampling_ratio, aligned)
    assert_close(actual, slow(slow_align, input, scaled, size, sampling_ratio, aligned), 1e-10)
    assert_close(roi_pool(input, rois, size, scale), slow(slow_pool, input, scaled, size), 0)
    actual = prroi_pool(input, rois, size, scale)
    assert_close(actual, slow(slow_precise, input, scaled, size), 1e-10)


@pytest.mark.parametrize("aligned", [False, True])
def test_many_points_close_together_and_far_apart(aligned: bool) -> None:
    """Points are found without listing all of them, whichever is many: points or cells."""
    input = feature_map(1, 2, H, W)
    boxes = [torch.cat((BOXES, torch.tensor([[-300.0, -200, 500, 700], [2, 2, 2.001, 2.5]])))]
    for sampling_ratio in (-1, 7, 40):
        expected = roi_align_plain(input, boxes, 2, 1.0, sampling_ratio, aligned)
        assert_close(roi_align(input, boxes, 2, 1.0, sampling_ratio, aligned), expected, 1e-10)


def test_boxes_of_any_length_take_no_more_memory() -> None:
    boxes = [torch.tensor([[-1e9, -1e9, 1e9, 1e9], [0, 0, 1e30, 1e30], [0, 0, math.inf, 4]])]
    for op in ALL:
        assert op(feature_map(1, 1, H, W, dtype=torch.float32), boxes, 2).shape == (3, 1, 2, 2)
    everything = torch.tensor([[-1e4, -1e4, 1e4, 1e4]])
    total = prroi_pool(feature_map(1, 1, H, W), [everything.double()], 1) * 4e8
    assert_close(total[0, 0, 0, 0], feature_map(1, 1, H, W).sum(), 1e-6)


@each_op
def test_a_box_of_nan_is_zero_and_harms_no_other(op: Callable) -> None:
    boxes = BOXES[:3].clone()
    boxes[1, 2] = math.nan
    pooled = op(feature_map(1, 2, H, W), [boxes], 2)
    assert (pooled[1] == 0).all()
    assert torch.equal(pooled[::2], op(feature_map(1, 2, H, W), [boxes[::2]], 2))


def test_known_numbers() -> None:
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)  # 4 y + x
    boxes = [torch.tensor([[0.5, 0.5, 2.5, 2.5]])]
    # The mean of a plane over a bin is its value in the middle.
    middle = torch.tensor([[5.0, 6.0], [9.0, 10.0]])  # at 1 and 2
    assert torch.equal(roi_align(ramp, boxes, 2)[0, 0], middle)
    assert torch.equal(roi_align(ramp, boxes, 2, aligned=True)[0, 0], middle - 2.5)
    assert_close(prroi_pool(ramp, boxes, 2)[0, 0], middle, 1e-6)
    # 0.5 rounds to 1 and 2.5 to 3: the cells 1, 2 and 3, and the bins share the middle one.
    expected = torch.tensor([[10.0, 11.0], [14.0, 15.0]])
    assert torch.equal(roi_pool(ramp, boxes, 2)[0, 0], expected)
    rows, columns = roi_pool_bins(boxes[0][0], 2, (4, 4))
    assert rows.tolist() == columns.tolist() == [[1, 3], [2, 4]]


def test_precise_is_the_limit_of_many_points() -> None:
    """Inside of the map, where both mean the same surface."""
    boxes = [torch.tensor([[1.2, 0.7, 6.9, 4.1]], dtype=torch.float64)]
    input = feature_map(1, 3, H, W)
    many = roi_align(input, boxes, 3, sampling_ratio=500)
    assert_close(prroi_pool(input, boxes, 3), many, 1e-5)


def test_sample_points_and_surface() -> None:
    y, x = sample_points(torch.tensor([0.0, 0.0, 64.0, 32.0]), (1, 2), 1 / 16, 2)
    assert y.tolist() == [[0.5, 1.5]]
    assert x.tolist() == [[0.5, 1.5], [2.5, 3.5]]
    assert sample_points(torch.tensor([3.0, 3, 1, 1]), 2, aligned=True)[0].shape == (2, 0)
    cells = feature_map(1, H, W)
    points = torch.tensor([-1.001, -1.0, -0.3, 0.0, 2.25, H - 1.0, H - 0.2, H, H + 0.001])
    for point in points.double():
        expected = slow_surface(cells[0].tolist(), point.item(), 3.5)
        actual = bilinear_sample(cells, point, torch.tensor(3.5, dtype=torch.float64))
        assert actual.item() == pytest.approx(expected, abs=1e-12)


def test_first_rounding_in_cells_and_pixels() -> None:
    boxes = torch.tensor([[20.0, 40.0, 99.0, 130.0], [-37.0, 24.0, 120.0, 160.0]])
    cells, moved = project_boxes(boxes, 1 / 16)
    assert cells.tolist() == [[1, 3, 6, 8], [-2, 2, 8, 10]]  # 1.5 and 7.5: away from 0
    assert moved.tolist() == [[-4, 8, -3, -2], [5, 8, 8, 0]]
    assert moved.dtype == torch.float32
    assert project_boxes(boxes.double(), 1 / 16)[1].dtype == torch.float64
    assert torch.equal(project_boxes(boxes.long(), 1 / 16)[1], moved)
    cells, moved = project_boxes(torch.zeros(0, 4), 1 / 8)
    assert cells.shape == moved.shape == (0, 4)
    with pytest.raises(ValueError, match=r"boxes must have shape \[R, 4\], got \[4\]"):
        inspect.unwrap(project_boxes)(torch.zeros(4), 1)


def test_second_rounding() -> None:
    first, last = torch.tensor([1, -2, 7, 4]), torch.tensor([5, 3, 9, 2])
    found = bin_cells(first, last, 2, 6)  # the map has 6 cells
    assert found.tolist() == [[[1, 4], [3, 6]], [[0, 1], [1, 4]], [[6, 6], [6, 6]], [[4, 5]] * 2]
    for length in range(1, 60):
        for bins in range(1, 9):
            rows = bin_cells(torch.tensor([0]), torch.tensor([length - 1]), bins, 99)[0].tolist()
            inside = [
                [
                    k
                    for k in range(length)
                    if (k + 1) * bins > p * length and k * bins < (p + 1) * length
                ]
                for p in range(bins)
            ]
            assert rows == [[cells[0], cells[-1] + 1] for cells in inside]


def test_points_along_an_axis() -> None:
    assert bin_points(1, 6, 2, 2).tolist() == [[1.75, 3.25], [4.75, 6.25]]
    assert bin_points(1, 6, 2).tolist() == [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]
    assert bin_points(0.5, 0.5, 1, 0).tolist() == [[0.75]]
    assert bin_points(3, -2, 2).shape == (2, 0)


def test_hats() -> None:
    low, high = torch.tensor([1.5, -3, 1.2, 2]).double(), torch.tensor([3, 9, 1.3, 2]).double()
    found = hat_integrals(low, high, 4)
    assert found.tolist()[0] == [0, 0.125, 0.875, 0.5]
    assert found.tolist()[1] == [1] * 4
    assert found.tolist()[3] == [0] * 4
    for row, a, b in zip(found.tolist(), low.tolist(), high.tolist(), strict=True):
        assert row == pytest.approx([slow_hat_integral(k, a, b) for k in range(4)], abs=1e-12)
    ends = low[:3].requires_grad_(), high[:3].requires_grad_()
    assert gradcheck(lambda low, high: hat_integrals(low + 0.01, high, 4), ends)


# --- call forms ----------------------------------------------------------------------------------


@each_op
def test_lists_and_rois_are_the_same(op: Callable) -> None:
    input, rois = feature_map(3, 4, H, W), random_rois(12, 3)
    rois = rois[rois[:, 0] != 1]  # the second image has no boxes
    rois = rois[rois[:, 0].sort(stable=True).indices]
    listed = [rois[rois[:, 0] == b, 1:] for b in range(3)]
    assert len(listed[1]) == 0
    pooled = op(input, rois, (2, 3), 0.5)
    assert pooled.shape == (len(rois), 4, 2, 3)
    assert torch.equal(pooled, op(input, listed, [2, 3], 0.5))
    assert torch.equal(pooled, op(input, tuple(listed), (2, 3), 0.5))
    backwards = op(input, rois.flip(0), (2, 3), 0.5)
    assert torch.equal(pooled, backwards.flip(0))


@each_op
def test_no_boxes(op: Callable) -> None:
    input = feature_map(2, 4, H, W).requires_grad_()
    for boxes in (torch.zeros(0, 5), [torch.zeros(0, 4)] * 2):
        pooled = op(input, boxes, 3)
        assert pooled.shape == (0, 4, 3, 3)
        pooled.sum().backward()
        assert (input.grad == 0).all()
    assert op(torch.zeros(0, 4, H, W), [], 3).shape == (0, 4, 3, 3)


@each_op
def test_layouts_channels_and_inputs_stay(op: Callable) -> None:
    """More channels than go through at a time; channels last; a slice of a larger map."""
    input, rois = feature_map(2, 150, H, W), random_rois(5, 2)
    before = input.clone(), rois.clone()
    pooled = op(input, rois, 2)
    assert torch.equal(input, before[0])
    assert torch.equal(rois, before[1])
    assert torch.equal(pooled, op(input.to(memory_format=torch.channels_last), rois, 2))
    larger = feature_map(2, 200, H + 3, W + 2)
    larger[:, 20:170, 1 : H + 1, 2:] = input
    assert torch.equal(pooled, op(larger[:, 20:170, 1 : H + 1, 2:], rois, 2))
    assert_close(pooled[:, 100:], op(input[:, 100:], rois, 2), 1e-14)


@each_op
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_float32(op: Callable, dtype: torch.dtype) -> None:
    input, boxes = feature_map(1, 3, H, W, dtype=dtype).requires_grad_(), [BOXES.float()]
    pooled = op(input, boxes, 3)
    assert pooled.dtype == dtype
    assert torch.equal(pooled, op(input.float(), boxes, 3).to(dtype))
    pooled.sum().backward()
    assert input.grad is not None
    assert input.grad.dtype == dtype
    assert op(input, [BOXES.to(dtype)], 3).dtype == dtype
    assert op(input, [torch.tensor([[1, 1, 4, 4]])], 3).dtype == dtype  # whole numbers


def test_a_map_of_one_cell() -> None:
    input, boxes = feature_map(1, 1, 1, 1), [BOXES]
    for ratio in (-1, 2):
        expected = roi_align_plain(input, boxes, 2, 1.0, ratio)
        assert_close(roi_align(input, boxes, 2, 1.0, ratio), expected, 1e-12)
    assert torch.equal(roi_pool(input, boxes, 2), roi_pool_plain(input, boxes, 2))


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many weights that they go through in several pieces."""
    input, rois = feature_map(2, 3, H, W).requires_grad_(), random_rois(30, 2)

    def answers() -> list[Tensor]:
        pooled = roi_align(input, rois, 3)
        return [pooled, *torch.autograd.grad(pooled.square().sum(), input)]

    whole = answers()
    monkeypatch.setattr(_rows, "ENTRIES", 50)
    monkeypatch.setattr(_rows, "CHANNELS", 2)
    for piece, expected in zip(answers(), whole, strict=True):
        assert_close(piece, expected, 1e-12)


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_align_gradients(sampling_ratio: int, aligned: bool) -> None:
    input, rois = feature_map(2, 1, 3, 5).requires_grad_(), random_rois(4, 2, seed=1)

    def pool(input: Tensor) -> Tensor:
        return roi_align(input, rois, (2, 1), 0.6, sampling_ratio, aligned)

    assert gradcheck(pool, input)
    assert gradgradcheck(pool, input, fast_mode=True)
    plain = roi_align_plain(input, rois, (2, 1), 0.6, sampling_ratio, aligned)
    upstream = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, input, upstream)[0]
    assert_close(torch.autograd.grad(pool(input), input, upstream)[0], expected, 1e-12)


def test_pool_gradients() -> None:
    input, rois = feature_map(2, 1, 3, 5).requires_grad_(), random_rois(4, 2, seed=1)
    assert gradcheck(lambda input: roi_pool(input, rois, (2, 1), 0.6), input)
    # Of equal cells the first one, row by row, as in torchvision.
    equal = torch.ones(1, 1, 4, 4, requires_grad=True)
    roi_pool(equal, [torch.tensor([[1.0, 1, 2, 2]])], 1).backward()
    assert equal.grad is not None
    assert equal.grad.nonzero().tolist() == [[0, 0, 1, 1]]


def test_precise_gradients_to_features_and_boxes() -> None:
    input = feature_map(2, 2, 3, 4).requires_grad_()
    image = torch.tensor([[0.0], [1], [0]])
    boxes = torch.tensor([[0.3, 0.9, 3.2, 2.7], [-2.2, 0.1, 2.3, 5.7], [1.1, 1.2, 1.4, 1.9]])
    boxes = boxes.double().requires_grad_()

    def pool(input: Tensor, boxes: Tensor) -> Tensor:
        return prroi_pool(input, torch.cat((image, boxes), 1), (2, 1), 0.9)

    assert gradcheck(pool, (input, boxes))
    assert gradgradcheck(pool, (input, boxes), fast_mode=True)
    assert gradcheck(lambda boxes: pool(input.detach(), boxes), boxes)
    pooled = pool(input, boxes)
    plain = prroi_pool_plain(input, torch.cat((image, boxes), 1), (2, 1), 0.9)
    upstream = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, (input, boxes), upstream)
    for actual, one in zip(
        torch.autograd.grad(pooled, (input, boxes), upstream), expected, strict=True
    ):
        assert_close(actual, one, 1e-12)


def test_precise_gradient_of_odd_boxes_is_finite() -> None:
    boxes = BOXES.clone().requires_grad_()
    prroi_pool(feature_map(1, 2, H, W), [boxes], 3).square().sum().backward()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()
    for name, grad in zip(ODD_BOXES, boxes.grad, strict=True):
        nothing = name.startswith(("inverted", "no ", "outside"))
        assert bool((grad == 0).all()) == nothing, name


def test_precise_gradient_moves_a_box_to_a_spot() -> None:
    """What the gradient to the coordinates is for: IoU-Net refines boxes with it."""
    spot = torch.zeros(1, 1, 12, 12)
    spot[0, 0, 6:9, 5:8] = 1
    box = torch.tensor([[2.0, 3.0, 6.0, 8.0]], requires_grad=True)
    start = prroi_pool(spot, [box], 1).item()
    for _ in range(60):
        (grad,) = torch.autograd.grad(prroi_pool(spot, [box], 1).sum(), box)
        box = (box + 2 * grad).detach().requires_grad_()
    assert prroi_pool(spot, [box], 1).item() > 3 * start


@each_op
def test_deterministic(op: Callable) -> None:
    input, rois = feature_map(2, 80, H, W, dtype=torch.float32), random_rois(200, 2).float()
    input.requires_grad_()
    rois.requires_grad_()

    def answers() -> list[Tensor | None]:
        pooled = op(input, rois, 3)
        grads = torch.autograd.grad(pooled.square().sum(), (input, rois), allow_unused=True)
        return [pooled, *grads]

    first = answers()
    assert (first[2] is not None) == (op is prroi_pool)
    for _ in range(3):
        for one, other in zip(first, answers(), strict=True):
            assert (one is None and other is None) or torch.equal(one, other)


# --- levels --------------------------------------------------------------------------------------


def test_levels() -> None:
    sides = torch.tensor([0, 1, 111, 112, 223, 224, 447, 448, 5000.0])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), 1)
    assert assign_levels(boxes, 2, 5).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]
    assert assign_levels(boxes, 3, 4).tolist() == [3, 3, 3, 3, 3, 4, 4, 4, 4]
    assert assign_levels(boxes, 2, 5, 112, 3).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]
    long = torch.tensor([[0, 0, 448, 112], [10, 10, 5, 5], [0, 0, -9, 9], [7, 7, 300, 7]])
    assert assign_levels(long, 2, 5).tolist() == [4, 2, 2, 2]  # 448 x 112 is as large as 224 x 224
    assert assign_levels(torch.zeros(0, 4), 2, 5).shape == (0,)
    assert assign_levels(boxes, 2, 5).dtype == torch.int64


def pyramid(B: int, C: int, names: str = "0123") -> dict[str, Tensor]:
    """Of images of 128 x 192 pixels, with strides 4, 8, 16, 32."""
    return {
        name: feature_map(B, C, 32 >> k, 48 >> k, seed=k)
        for k, name in zip(range(4), names, strict=True)
    }


def image_boxes(R: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(R, 2, generator=generator, dtype=torch.float64) * torch.tensor([192, 128])
    side = 6 * 40 ** torch.rand(R, 2, generator=generator, dtype=torch.float64)
    return torch.cat((centre - side / 2, centre + side / 2), 1)


@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_pyramid_is_level_by_level(sampling_ratio: int) -> None:
    x, boxes = pyramid(2, 3), [image_boxes(40, 1), image_boxes(25, 2)]
    boxes[1][3] = torch.tensor([-200.0, -200, 260, 255])
    boxes[0][7] = torch.tensor([-20.0, -50, 230, 205])
    pooler = MultiScaleRoIAlign(["0", "1", "2", "3"], (3, 2), sampling_ratio)
    pooled = pooler(x | {"pool": torch.zeros(2, 3, 2, 3)}, boxes, [(128, 192), (100, 150)])
    assert pooled.shape == (65, 3, 3, 2)
    image = torch.cat((torch.zeros(40, 1), torch.ones(25, 1))).double()
    rois = torch.cat((image, torch.cat(boxes)), 1)
    levels = assign_levels(rois[:, 1:], 2, 5)
    assert levels.unique().tolist() == [2, 3, 4, 5]
    for roi, level, actual in zip(rois, levels.tolist(), pooled, strict=True):
        one = roi_align_plain(x[str(level - 2)], roi[None], (3, 2), 2.0**-level, sampling_ratio)
        assert_close(actual, one[0], 1e-10)


def test_pyramid_gradients_and_few_maps() -> None:
    maps = [each.requires_grad_() for each in pyramid(1, 1).values()][1:]
    boxes = [image_boxes(4, 3)]
    pooler = MultiScaleRoIAlign(["a", "b", "c"], 2, 2)

    def pool(*maps: Tensor) -> Tensor:
        return pooler(dict(zip("abc", maps, strict=True)), boxes, [(128, 192)])

    assert gradcheck(pool, maps, fast_mode=True)
    alone = MultiScaleRoIAlign(["b"], 2, 2)({"b": maps[1]}, boxes, [(128, 192)])
    assert_close(alone, roi_align(maps[1], boxes, 2, 1 / 16, 2), 1e-12)
    assert pooler({"b": maps[1]}, [torch.zeros(0, 4)], [(128, 192)]).shape == (0, 1, 2, 2)
    assert "output_size=(2, 2)" in repr(pooler)


# --- errors --------------------------------------------------------------------------------------


@each_op
def test_wrong_calls_are_explained(op: Callable) -> None:
    unchecked = inspect.unwrap(op)  # past jaxtyping, which users do not have
    input, boxes = torch.zeros(2, 3, H, W), torch.zeros(1, 5)
    wrong = [
        ((input[0], boxes, 2), ValueError, r"\[B, C, H, W\], got \[3, 6, 9\]; .* input\[None\]"),
        ((input.int(), boxes, 2), TypeError, r"floats, got torch.int32; write input.float\(\)"),
        ((input[:, :, :0], boxes, 2), ValueError, r"got \[2, 3, 0, 9\]"),
        ((input, boxes[:, 1:], 2), ValueError, r"\[R, 5\].* got \[1, 4\]"),
        ((input, boxes + 2, 2), ValueError, r"0 to 1, got 2 to 2; input has 2 images"),
        ((input, boxes - 1, 2), ValueError, r"0 to 1, got -1"),
        ((input, [boxes[:, 1:]], 2), ValueError, r"each of the 2 images of input, got 1"),
        ((input, [boxes, boxes], 2), ValueError, r"boxes\[0\] must have shape \[R, 4\]"),
        ((input, [[1, 2, 3, 4]] * 2, 2), TypeError, r"boxes\[0\] must be a torch.Tensor, got list"),
        ((input, None, 2), TypeError, r"or a list of Tensors \[R, 4\], got NoneType"),
        ((input, boxes, 0), ValueError, r"output_size must be .* got 0"),
        ((input, boxes, (2, 3, 4)), ValueError, r"output_size must be .* got \(2, 3, 4\)"),
    ]
    for arguments, error, message in wrong:
        with pytest.raises(error, match=message):
            unchecked(*arguments)


def test_wrong_pyramids_are_explained() -> None:
    x, boxes, shapes = pyramid(1, 1), [image_boxes(2, 0)], [(128, 192)]
    with pytest.raises(ValueError, match="maps named 7, got 0, 1, 2, 3"):
        MultiScaleRoIAlign(["7"], 2, 2)(x, boxes, shapes)
    with pytest.raises(ValueError, match="half as fine as the one before"):
        MultiScaleRoIAlign(["0", "2"], 2, 2)(x, boxes, shapes)
    with pytest.raises(ValueError, match="image_shapes must hold"):
        MultiScaleRoIAlign(["0"], 2, 2)(x, boxes, [])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@each_op
def test_cuda_answers_as_the_cpu(op: Callable) -> None:
    input, rois = feature_map(2, 70, H, W), random_rois(100, 2)
    on_gpu = op(input.cuda().requires_grad_(), rois.cuda(), 3)
    assert on_gpu.is_cuda
    assert_close(on_gpu.cpu(), op(input, rois, 3), 1e-10)
    assert_close(op(input.float().cuda(), rois.cuda(), 3).cpu(), op(input, rois, 3), 1e-5)
    on_gpu.sum().backward()
