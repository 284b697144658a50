"""Anchors: literal rows of the published layouts, counts of the published detectors, k-means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_lib.anchors import (
    SSD300,
    SSD512,
    AnchorGenerator,
    base_anchors,
    centred_boxes,
    default_box_scales,
    default_boxes,
    grid_anchors,
    kmeans_anchors,
    pyramid_grids,
    shape_iou,
)
from course_lib.boxes import box_iou

RATIOS = (0.5, 1.0, 2.0)
STRIDES = (8, 16, 32, 64, 128)
RETINANET = tuple(
    (x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512)
)


def assert_rows(actual: Tensor, expected: list[list[float]], atol: float = 0.0) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=atol)


# ------------------------------------------------------------------ one location

# 128·√2 = 181.02, halved 90.51; 128/√2 = 90.51, halved 45.25; and so on with twice and four times.
TORCHVISION = [
    [-91.0, -45.0, 91.0, 45.0],
    [-181.0, -91.0, 181.0, 91.0],
    [-362.0, -181.0, 362.0, 181.0],
    [-64.0, -64.0, 64.0, 64.0],
    [-128.0, -128.0, 128.0, 128.0],
    [-256.0, -256.0, 256.0, 256.0],
    [-45.0, -91.0, 45.0, 91.0],
    [-91.0, -181.0, 91.0, 181.0],
    [-181.0, -362.0, 181.0, 362.0],
]
# Sizes 32 and 64, ratios 1/4, 1 and 4, whose roots are whole: (w, h) = (64, 16), (32, 32), …
DETECTRON2 = [
    [-32.0, -8.0, 32.0, 8.0],
    [-16.0, -16.0, 16.0, 16.0],
    [-8.0, -32.0, 8.0, 32.0],
    [-64.0, -16.0, 64.0, 16.0],
    [-32.0, -32.0, 32.0, 32.0],
    [-16.0, -64.0, 16.0, 64.0],
]


def test_torchvision_rounds_and_goes_ratio_by_ratio() -> None:
    assert_rows(base_anchors((128, 256, 512), RATIOS), TORCHVISION)


def test_detectron2_goes_size_by_size() -> None:
    both = base_anchors((32, 64), (0.25, 1, 4), rounded=False, order="size")
    assert_rows(both, DETECTRON2)


def test_detectron2_does_not_round() -> None:
    w, h = 32 * math.sqrt(2), 32 / math.sqrt(2)  # 45.2548 x 22.6274
    wide = [-22.627417, -11.313708, 22.627417, 11.313708]
    assert wide[2:] == pytest.approx([w / 2, h / 2], abs=1e-6)
    assert_rows(base_anchors((32,), (0.5,), rounded=False, order="size"), [wide], atol=1e-5)
    assert_rows(base_anchors((32,), (0.5,)), [[-23.0, -11.0, 23.0, 11.0]])


def test_halves_round_to_the_even_number() -> None:
    squares = base_anchors((1, 3, 5, 45), (1,))
    assert_rows(squares[:, 2:], [[0.0, 0], [2, 2], [2, 2], [22, 22]])
    assert_rows(squares[:, :2], [[0.0, 0], [-2, -2], [-2, -2], [-22, -22]])


@given(
    sizes=st.lists(st.floats(1, 600), min_size=1, max_size=4),
    ratios=st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=40)
def test_sizes_and_ratios_are_what_they_say(sizes: list[float], ratios: list[float]) -> None:
    by_ratio = base_anchors(sizes, ratios, rounded=False, dtype=torch.float64)
    by_size = base_anchors(sizes, ratios, rounded=False, order="size", dtype=torch.float64)
    A, S = len(sizes) * len(ratios), len(sizes)
    assert by_ratio.shape == by_size.shape == (A, 4)
    w, h = (by_ratio[:, 2:] - by_ratio[:, :2]).unbind(1)
    for a in range(A):
        size, ratio = sizes[a % S], ratios[a // S]
        assert math.sqrt(w[a] * h[a]) == pytest.approx(size)
        assert h[a] / w[a] == pytest.approx(ratio)
        assert torch.equal(by_ratio[a], by_size[(a % S) * len(ratios) + a // S])
    assert torch.equal(by_ratio[:, :2], -by_ratio[:, 2:])
    assert torch.equal(base_anchors(sizes, ratios), by_ratio.round().float())


def test_centred_boxes() -> None:
    assert_rows(
        centred_boxes(torch.tensor([[4.0, 2], [3, 8]])), [[-2.0, -1, 2, 1], [-1.5, -4, 1.5, 4]]
    )
    assert centred_boxes(torch.zeros(0, 2)).shape == (0, 4)


# ------------------------------------------------------------------ a grid of locations


def loop(base: Tensor, grid: tuple[int, int], sy: float, sx: float, offset: float) -> Tensor:
    rows = [
        [
            x1 + (x + offset) * sx,
            y1 + (y + offset) * sy,
            x2 + (x + offset) * sx,
            y2 + (y + offset) * sy,
        ]
        for y in range(grid[0])
        for x in range(grid[1])
        for x1, y1, x2, y2 in base.tolist()
    ]
    return torch.tensor(rows, dtype=base.dtype).reshape(-1, 4)


@given(
    grid=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    stride=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    offset=st.sampled_from([0.0, 0.25, 0.5]),
    A=st.integers(0, 3),
)
@settings(deadline=None, max_examples=40)
def test_grid_anchors_equal_a_loop(
    grid: tuple[int, int], stride: tuple[int, int], offset: float, A: int
) -> None:
    base = torch.arange(A * 4, dtype=torch.float64).reshape(-1, 4) - 5.5
    assert torch.equal(
        grid_anchors(base, grid, stride, offset=offset), loop(base, grid, *stride, offset)
    )


def test_torchvision_puts_the_first_location_on_the_corner() -> None:
    rows = grid_anchors(base_anchors((10,), (1,)), (3, 3), 5)
    expected = [
        [-5.0, -5, 5, 5], [0, -5, 10, 5], [5, -5, 15, 5],
        [-5, 0, 5, 10], [0, 0, 10, 10], [5, 0, 15, 10],
        [-5, 5, 5, 15], [0, 5, 10, 15], [5, 5, 15, 15],
    ]  # fmt: skip
    assert_rows(rows, expected)


def test_detectron2_on_the_corner_and_in_the_middle() -> None:
    corner = AnchorGenerator(((32, 64),), ((0.25, 1, 4),), layout="detectron2")
    (rows,) = corner([(1, 2)], [4])
    right = [[x1 + 4, y1, x2 + 4, y2] for x1, y1, x2, y2 in DETECTRON2]
    assert_rows(rows, DETECTRON2 + right)
    middle = AnchorGenerator(((32, 64),), ((0.25, 1, 4),), layout="detectron2", offset=0.5)
    (rows,) = middle([(1, 2)], [4])
    assert_rows(rows[:3], [[-30.0, -6, 34, 10], [-14, -14, 18, 18], [-6, -30, 10, 34]])
    assert_rows(rows[6:9], [[-26.0, -6, 38, 10], [-10, -14, 22, 18], [-2, -30, 14, 34]])


def test_an_offset_of_one_half_is_the_middle_of_the_cell() -> None:
    point = torch.zeros(1, 4)
    assert_rows(grid_anchors(point, (1, 2), 16, offset=0.5), [[8.0, 8, 8, 8], [24, 8, 24, 8]])
    assert_rows(
        grid_anchors(point, (2, 1), (10, 99), offset=0.5),
        [[49.5, 5, 49.5, 5], [49.5, 15, 49.5, 15]],
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_of_the_base_is_kept(dtype: torch.dtype) -> None:
    rows = grid_anchors(base_anchors((32,), (1,), dtype=dtype), (2, 2), 16)
    assert rows.dtype == dtype
    assert rows[3].tolist() == [0, 0, 32, 32]


# ------------------------------------------------------------------ a pyramid


def count(size: int, A: int, strides: tuple[int, ...] = STRIDES) -> int:
    base = torch.zeros(A, 4)
    grids = pyramid_grids((size, size), strides)
    return sum(len(grid_anchors(base, grid, s)) for grid, s in zip(grids, strides, strict=True))


def test_the_counts_of_the_published_detectors() -> None:
    assert len(grid_anchors(base_anchors((128, 256, 512), RATIOS), (38, 50), 16)) == 17_100
    assert pyramid_grids((600, 800), (16,)) == [(38, 50)]
    assert pyramid_grids((800, 800), STRIDES) == [(100, 100), (50, 50), (25, 25), (13, 13), (7, 7)]
    retinanet = AnchorGenerator(RETINANET, RATIOS)
    for size, total in ((600, 67_995), (800, 120_087)):
        levels = retinanet(pyramid_grids((size, size), STRIDES), STRIDES)
        assert sum(map(len, levels)) == total
        assert count(size, A=1) * 9 == total  # FCOS has a ninth
    assert len(default_boxes(*SSD300)) == 8_732
    assert len(default_boxes(*SSD512)) == 24_564
    assert count(448, A=2, strides=(64,)) == 98  # YOLOv1
    assert count(416, A=5, strides=(32,)) == 845  # YOLOv2
    assert count(416, A=3, strides=(8, 16, 32)) == 10_647  # YOLOv3
    assert count(512, A=9) == 49_104  # EfficientDet-D0


def test_levels_have_their_own_sizes_ratios_and_strides() -> None:
    generator = AnchorGenerator(((10, 20), (40,)), ((1,), (0.25, 4)))
    assert generator.num_anchors_per_location() == [2, 2]
    fine, coarse = generator([(1, 2), (1, 1)], [8, (16, 32)])
    assert_rows(fine, [[-5.0, -5, 5, 5], [-10, -10, 10, 10], [3, -5, 13, 5], [-2, -10, 18, 10]])
    assert_rows(coarse, [[-40.0, -10, 40, 10], [-10, -40, 10, 40]])


def test_flat_sizes_are_one_a_level_and_flat_ratios_serve_all() -> None:
    short = AnchorGenerator((32, 64), RATIOS)
    long = AnchorGenerator(((32,), (64,)), (RATIOS, RATIOS))
    assert short.num_anchors_per_location() == [3, 3]
    for a, b in zip(short.base(), long.base(), strict=True):
        assert torch.equal(a, b)


def test_strides_that_are_made_from_the_image_drift() -> None:
    last = AnchorGenerator((512,), (1,))
    (network,), (quotient,) = last([(7, 7)], [128]), last([(7, 7)], [800 // 7])
    assert (network[-1] - quotient[-1]).tolist() == [84, 84, 84, 84]


def test_rounding_and_order_can_be_chosen_one_by_one() -> None:
    mixed = AnchorGenerator(((32, 64),), (RATIOS,), rounded=False, order="ratio")
    assert torch.equal(mixed.base()[0], base_anchors((32, 64), RATIOS, rounded=False))
    mixed = AnchorGenerator(((32, 64),), (RATIOS,), layout="detectron2", rounded=True)
    assert torch.equal(mixed.base()[0], base_anchors((32, 64), RATIOS, order="size"))


def test_shapes_of_feature_maps_can_be_given_as_they_are() -> None:
    features = torch.zeros(1, 8, 3, 4)
    (rows,) = AnchorGenerator((32,), (1,))([features.shape[-2:]], [8], dtype=torch.float64)
    assert rows.shape == (12, 4)
    assert rows.dtype == torch.float64


# ------------------------------------------------------------------ default boxes


def test_the_first_and_the_last_default_boxes_of_ssd300() -> None:
    rows = default_boxes(*SSD300)
    # Scale 0.07 of 300 is 21, √(0.07·0.15) is 30.741, ratio 2 makes 29.698 x 14.849, all at (4, 4).
    assert_rows(
        rows[:4],
        [
            [-6.5, -6.5, 14.5, 14.5],
            [-11.37043, -11.37043, 19.37043, 19.37043],
            [-10.84924, -3.42462, 18.84924, 11.42462],
            [-3.42462, -10.84924, 11.42462, 18.84924],
        ],
        atol=1e-4,
    )
    assert rows[4].tolist() == [1.5, -6.5, 22.5, 14.5]  # one step of 8 to the right
    # Scale 0.87 is 261; √(0.87·1.05) is 286.732; 261·√2 = 369.1 is longer than the image: 300.
    assert_rows(
        rows[-4:],
        [
            [19.5, 19.5, 280.5, 280.5],
            [6.63420, 6.63420, 293.36580, 293.36580],
            [0.0, 57.72256, 300, 242.27744],
            [57.72256, 0, 242.27744, 300],
        ],
        atol=1e-4,
    )
    assert default_boxes(*SSD300, clip=False)[-2, 0].item() == pytest.approx(
        150 - 261 / math.sqrt(2)
    )


def test_the_first_default_boxes_of_ssd512() -> None:
    rows = default_boxes(*SSD512)
    assert_rows(rows[:1], [[-13.92, -13.92, 21.92, 21.92]], atol=1e-4)  # 0.07·512 = 35.84 at (4, 4)
    second = rows[64 * 64 * 4 :][:6]  # 0.15·512 = 76.8 at (8, 8)
    assert_rows(second[:1], [[-30.4, -30.4, 46.4, 46.4]], atol=1e-4)
    w, h = (second[:, 2:] - second[:, :2]).unbind(1)
    ratios = [1, 1, 2, 1 / 2, 3, 1 / 3]
    assert (w / h).tolist() == pytest.approx(ratios, rel=1e-5)
    assert (w * h)[[0, 2, 3, 4, 5]].tolist() == pytest.approx([76.8**2] * 5, rel=1e-5)
    assert (w * h)[1].item() == pytest.approx(76.8 * 153.6, rel=1e-5)


def test_one_default_box_location_with_the_default_scales() -> None:
    # The only level: scales 0.15 and 0.9, centre (7.5, 7.5).
    assert default_box_scales(1) == [0.15, 0.9]
    assert_rows(
        default_boxes((15, 15), [(1, 1)], [[2]]),
        [
            [6.375, 6.375, 8.625, 8.625],
            [4.7443, 4.7443, 10.2557, 10.2557],
            [5.9090, 6.7045, 9.0910, 8.2955],
            [6.7045, 5.9090, 8.2955, 9.0910],
        ],
        atol=1e-4,
    )


def test_scales_are_evenly_spaced() -> None:
    assert default_box_scales(6) == pytest.approx([0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1])
    assert default_box_scales(6, 0.2) == pytest.approx([0.2, 0.34, 0.48, 0.62, 0.76, 0.9, 1])


def test_without_steps_the_grid_is_spread_over_an_oblong_image() -> None:
    rows = default_boxes((100, 200), [(2, 4)], [[]], scales=[0.1, 0.4])
    centres = (rows[::2, :2] + rows[::2, 2:]) / 2
    assert centres.tolist() == [[25 + 50 * x, 25 + 50 * y] for y in range(2) for x in range(4)]
    assert_rows(rows[:2], [[15.0, 20, 35, 30], [5, 15, 45, 35]], atol=1e-5)
    assert default_boxes((9, 9), [], []).shape == (0, 4)


# ------------------------------------------------------------------ k-means


def random_sizes(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, 2, generator=generator, dtype=torch.float64) * 0.8 + 3.5).exp()


def skewed_sizes(n: int) -> Tensor:
    """Pedestrians: about 0.4 as wide as high, mostly small, a few large."""
    generator = torch.Generator().manual_seed(5)
    high = (torch.randn(n, generator=generator, dtype=torch.float64) * 0.7 + 3).exp()
    return torch.stack((high * (0.41 + 0.05 * torch.rand(n, generator=generator)), high), dim=1)


@given(seed=st.integers(0, 10_000), N=st.integers(0, 6), M=st.integers(0, 6))
@settings(deadline=None, max_examples=40)
def test_shape_iou_is_the_iou_of_centred_boxes(seed: int, N: int, M: int) -> None:
    sizes = random_sizes(N + M, seed)
    expected = box_iou(centred_boxes(sizes[:N]), centred_boxes(sizes[N:]))
    torch.testing.assert_close(shape_iou(sizes[:N], sizes[N:]), expected)


def test_shape_iou_by_hand() -> None:
    ious = shape_iou(torch.tensor([[4, 2], [0, 3]]), torch.tensor([[2, 4], [4, 2], [8, 4], [0, 3]]))
    assert_rows(ious, [[4 / 12, 1, 8 / 32, 0], [0, 0, 0, 0]], atol=1e-7)
    assert torch.equal(
        shape_iou(torch.tensor([[-4.0, -2]]), torch.tensor([[4.0, 2]])), torch.zeros(1, 1)
    )
    half = torch.tensor([[300.0, 300]], dtype=torch.float16)
    assert torch.equal(shape_iou(half, half), torch.ones(1, 1))


def test_the_same_seed_gives_the_same_anchors() -> None:
    sizes = random_sizes(400)
    anchors, fit = kmeans_anchors(sizes, 6, seed=3)
    again, fit_again = kmeans_anchors(sizes, 6, seed=3)
    assert torch.equal(anchors, again)
    assert fit == fit_again
    others = [kmeans_anchors(sizes, 6, seed=seed, iterations=0)[0] for seed in range(4)]
    assert not all(torch.equal(others[0], other) for other in others)
    state = torch.get_rng_state()
    kmeans_anchors(sizes, 6)
    assert torch.equal(state, torch.get_rng_state())  # nobody else's randomness is touched


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 5])
def test_the_fit_never_falls(seed: int, k: int) -> None:
    sizes = random_sizes(300, seed)
    fits = [kmeans_anchors(sizes, k, seed, iterations=i)[1] for i in range(12)]
    assert all(after >= before for before, after in pairwise(fits))
    assert fits[-1] > fits[0]


@pytest.mark.parametrize("seed", range(3))
def test_more_anchors_fit_better(seed: int) -> None:
    fits = [kmeans_anchors(random_sizes(300), k, seed)[1] for k in (1, 2, 4, 8, 16)]
    assert all(more > fewer for fewer, more in pairwise(fits))


@pytest.mark.parametrize("seed", range(10))
def test_planted_clusters_are_found(seed: int) -> None:
    planted = torch.tensor(
        [[8.0, 20], [30, 30], [90, 40], [60, 150], [300, 200]], dtype=torch.float64
    )
    noise = torch.Generator().manual_seed(seed)
    members = torch.arange(500) % 5
    wobble = 1 + 0.06 * (torch.rand(500, 2, generator=noise, dtype=torch.float64) - 0.5)
    anchors, fit = kmeans_anchors(planted[members] * wobble, 5, seed)
    torch.testing.assert_close(anchors, planted, rtol=0.02, atol=0)
    assert fit > 0.95


def test_learned_anchors_beat_hand_picked_ones_on_skewed_sizes() -> None:
    sizes = skewed_sizes(1000)
    picked = base_anchors((32, 64, 128), RATIOS, rounded=False, dtype=torch.float64)
    by_hand = shape_iou(sizes, picked[:, 2:] - picked[:, :2]).amax(1).mean().item()
    anchors, fit = kmeans_anchors(sizes, 9)
    assert by_hand < 0.6
    assert fit > 0.84
    assert kmeans_anchors(sizes, 3)[1] > by_hand  # a third as many
    assert (anchors[:, 1] / anchors[:, 0]).min() > 1.8  # none of them is square


def test_the_fit_is_the_mean_best_iou_and_anchors_come_by_area() -> None:
    sizes = random_sizes(200)
    anchors, fit = kmeans_anchors(sizes, 7)
    assert fit == pytest.approx(shape_iou(sizes, anchors).amax(1).mean().item(), abs=1e-12)
    areas = anchors.prod(1)
    assert torch.equal(areas, areas.sort().values)


def test_as_many_anchors_as_sizes_fit_perfectly() -> None:
    sizes = torch.tensor([[10, 10], [20, 10], [10, 10], [10, 20]])
    anchors, fit = kmeans_anchors(sizes, 3)
    assert sorted(anchors.tolist()) == [[10, 10], [10, 20], [20, 10]]
    assert anchors.dtype == torch.float32
    assert fit == 1
    assert kmeans_anchors(sizes.double(), 1)[0].dtype == torch.float64


def test_units_do_not_matter() -> None:
    sizes = random_sizes(200)
    pixels, shares = kmeans_anchors(sizes, 4), kmeans_anchors(sizes / 1024, 4)
    assert torch.equal(pixels[0] / 1024, shares[0])
    assert pixels[1] == shares[1]


# ------------------------------------------------------------------ wrong calls, and other devices


@pytest.fixture
def plain_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


TWO = torch.ones(3, 2)
WRONG: list[tuple[Callable, type[Exception], str]] = [
    (lambda: base_anchors((32, 0), (1,)), ValueError, "sizes must be finite and above 0, got (32, 0)"),
    (lambda: base_anchors((32,), (-1,)), ValueError, "aspect_ratios must be finite and above 0, got (-1,)"),
    (lambda: base_anchors((32,), (1,), order="area"), ValueError, "order must be \"ratio\" or \"size\", got 'area'"),
    (lambda: grid_anchors(torch.zeros(4), (2, 2), 8), ValueError, "base must have shape [A, 4], got [4]"),
    (lambda: grid_anchors(torch.zeros(1, 4).long(), (2, 2), 8), TypeError, "base must hold floats, got torch.int64"),
    (lambda: grid_anchors(torch.zeros(1, 4), (-1, 2), 8), ValueError, "grid must be (rows, columns)"),
    (lambda: grid_anchors(torch.zeros(1, 4), (2, 2), (8, 0)), ValueError, "stride must be finite and above 0"),
    (lambda: pyramid_grids((600, 600), (8, 0)), ValueError, "strides must be finite and above 0, got (8, 0)"),
    (lambda: AnchorGenerator((32, 64), ((1,),)), ValueError, "one entry a level, got 2 and 1"),
    (lambda: AnchorGenerator((32, 64), ((1,), 2)), ValueError, "one entry a level"),
    (lambda: AnchorGenerator((32,), (1,), layout="mmdet"), ValueError, "layout must be \"torchvision\" or \"detectron2\""),
    (lambda: AnchorGenerator((32, -1), (1,)), ValueError, "sizes must be finite and above 0, got (-1,)"),
    (lambda: AnchorGenerator((32,), (1,))([(1, 1), (2, 2)], [8, 16]), ValueError, "must have 1 entries, one for each level of sizes, got 2 and 2"),
    (lambda: default_boxes((9, 9), [(1, 1)], [[2]], scales=[0.5]), ValueError, "scales must have 2 entries for 1 grids, got 1"),
    (lambda: default_boxes((9, 9), [(1, 1)], []), ValueError, "aspect_ratios must have 1 entries for 1 grids, got 0"),
    (lambda: default_boxes((9, 9), [(1, 1)], [[2]], steps=[8, 16]), ValueError, "steps must have 1 entries"),
    (lambda: shape_iou(torch.ones(3, 4), TWO), ValueError, "sizes1 must have shape [N, 2], a width and a height each, got [3, 4]"),
    (lambda: shape_iou(TWO, [[1, 2]]), TypeError, "sizes2 must be a torch.Tensor, got list"),
    (lambda: kmeans_anchors(TWO, 0), ValueError, "k must be at least 1"),
    (lambda: kmeans_anchors(TWO, 2), ValueError, "sizes must hold at least k = 2 different sizes, got 1"),
    (lambda: kmeans_anchors(TWO * 0, 1), ValueError, "drop empty boxes first"),
    (lambda: kmeans_anchors(TWO / 0, 1), ValueError, "sizes must be finite and above 0"),
]  # fmt: skip


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_a_wrong_call_says_what_to_write(
    call: Callable, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_answers_as_the_cpu_does() -> None:
    grids = pyramid_grids((800, 800), STRIDES)
    generator = AnchorGenerator(RETINANET, RATIOS)
    for there, here in zip(
        generator(grids, STRIDES, device="cuda"), generator(grids, STRIDES), strict=True
    ):
        assert there.is_cuda
        assert torch.equal(there.cpu(), here)
    assert torch.equal(default_boxes(*SSD300, device="cuda").cpu(), default_boxes(*SSD300))
    sizes = random_sizes(300)
    torch.testing.assert_close(
        shape_iou(sizes.cuda(), sizes.cuda()).cpu(), shape_iou(sizes, sizes), rtol=0, atol=1e-12
    )
    there, fit = kmeans_anchors(sizes.cuda(), 5)
    assert there.is_cuda
    assert torch.equal(there.cpu(), kmeans_anchors(sizes, 5)[0])
    assert fit == kmeans_anchors(sizes, 5)[1]
