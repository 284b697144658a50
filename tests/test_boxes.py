"""course_lib.boxes against plain Python loops, pycocotools and the properties of the formulas."""

import math
import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from torch import Tensor

from course_lib.boxes import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    mask_iou,
    masks_to_boxes,
    remove_small_boxes,
)

PAIRWISE = (box_iou, generalized_box_iou, distance_box_iou, complete_box_iou)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
FORMATS = ("xyxy", "xywh", "cxcywh")
EPS = 1e-7


def given(**strategies: st.SearchStrategy) -> Callable[[Callable], Callable]:
    """hypothesis.given without a time limit: a busy machine is no error."""
    unhurried = hypothesis.settings(deadline=None, max_examples=60)
    return lambda test: unhurried(hypothesis.given(**strategies)(test))


each_pairwise = pytest.mark.parametrize("op", PAIRWISE, ids=lambda op: op.__name__)


# --- the same formulas once more, one pair at a time, in plain Python ----------------------------


def slow_iou(a: list[float], b: list[float]) -> float:
    a_area = max(a[2] - a[0], 0) * max(a[3] - a[1], 0)
    b_area = max(b[2] - b[0], 0) * max(b[3] - b[1], 0)
    shared_x = min(a[2], b[2]) - max(a[0], b[0])
    shared_y = min(a[3], b[3]) - max(a[1], b[1])
    shared = shared_x * shared_y if shared_x > 0 and shared_y > 0 else 0.0
    together = a_area + b_area - shared
    return shared / together if together > 0 else 0.0


def slow_giou(a: list[float], b: list[float]) -> float:
    a_area, b_area = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    iou = slow_iou(a, b)
    together = (a_area + b_area) / (1 + iou)  # since shared = iou * together
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return iou - (hull - together) / hull if hull > 0 else iou


def slow_diou(a: list[float], b: list[float]) -> float:
    between = math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2
    across = math.hypot(max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))
    return slow_iou(a, b) - between**2 / (across**2 + EPS)


def slow_angle(a: list[float]) -> float:
    w, h = a[2] - a[0], a[3] - a[1]
    if h > 0:
        return math.atan(w / h)
    return math.pi / 2 if w > 0 else 0.0


def slow_ciou(a: list[float], b: list[float]) -> float:
    v = (2 / math.pi * (slow_angle(a) - slow_angle(b))) ** 2
    return slow_diou(a, b) - v * v / (1 - slow_iou(a, b) + v + EPS)


SLOW = dict(zip(PAIRWISE, (slow_iou, slow_giou, slow_diou, slow_ciou), strict=True))


def slow_matrix(op: Callable, boxes1: Tensor, boxes2: Tensor) -> Tensor:
    rows = [[SLOW[op](a, b) for b in boxes2.tolist()] for a in boxes1.tolist()]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(boxes1), len(boxes2))


def random_boxes(n: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    sides = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 0.8 + 0.05
    return torch.cat((corner, corner + sides), 1) * scale


# Whole numbers leave room for boxes that touch, lie inside each other, coincide or are empty.
coordinate = st.integers(-20, 20)
box = st.tuples(coordinate, coordinate, st.integers(0, 20), st.integers(0, 20)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
box_lists = st.lists(box, max_size=6).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
)
proper_box = st.tuples(coordinate, coordinate, st.integers(1, 20), st.integers(1, 20)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
proper_box_lists = st.lists(proper_box, min_size=1, max_size=6).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def assert_close(actual: Tensor, expected: Tensor, atol: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# --- every box with every box --------------------------------------------------------------------


@each_pairwise
@given(boxes1=box_lists, boxes2=box_lists)
def test_pairwise_equals_a_loop(op: Callable, boxes1: Tensor, boxes2: Tensor) -> None:
    assert_close(op(boxes1, boxes2), slow_matrix(op, boxes1, boxes2))


@each_pairwise
def test_pairwise_equals_a_loop_on_random_boxes(op: Callable) -> None:
    boxes1, boxes2 = random_boxes(40, 1), random_boxes(50, 2)
    assert_close(op(boxes1, boxes2), slow_matrix(op, boxes1, boxes2))


@each_pairwise
def test_row_blocks_join_to_the_same_matrix(op: Callable) -> None:
    boxes1, boxes2 = random_boxes(700, 1), random_boxes(900, 2)  # 630,000 pairs: several blocks
    whole = op(boxes1, boxes2)
    assert whole.shape == (700, 900)
    for rows in (slice(0, 3), slice(288, 295), slice(697, 700)):
        assert_close(whole[rows], slow_matrix(op, boxes1[rows], boxes2))
    boxes1.requires_grad_()
    op(boxes1, boxes2).sum().backward()
    blocked = boxes1.grad[::100].clone()
    boxes1.grad = None
    op(boxes1[::100], boxes2).sum().backward()
    assert_close(blocked, boxes1.grad[::100])
    assert blocked.abs().max() > 0


@each_pairwise
def test_more_columns_than_a_block_holds(op: Callable) -> None:
    boxes2 = random_boxes(2**18 + 1, 3, scale=50).float()
    boxes1 = boxes2[[5, -1]]
    answer = op(boxes1, boxes2)
    assert answer.shape == (2, 2**18 + 1)
    assert_close(answer[:, -3:].double(), slow_matrix(op, boxes1, boxes2[-3:]), atol=1e-5)


def test_values_worked_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 2, 2]])
    b = torch.tensor([[1.0, 1, 3, 3], [2, 0, 4, 2], [4, 4, 6, 6], [0, 0, 2, 2], [0, 0, 4, 2]])
    assert_close(box_iou(a, b), torch.tensor([[1 / 7, 0, 0, 1, 1 / 2]]), 1e-6)
    assert_close(
        generalized_box_iou(a, b), torch.tensor([[1 / 7 - 2 / 9, 0, -28 / 36, 1, 1 / 2]]), 1e-6
    )
    assert_close(
        distance_box_iou(a, b),
        torch.tensor([[1 / 7 - 2 / 18, -4 / 20, -32 / 72, 1, 1 / 2 - 1 / 20]]),
        1e-6,
    )
    v = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2
    ciou = complete_box_iou(a, b)[0, 4].item()
    assert ciou == pytest.approx(1 / 2 - 1 / 20 - v * v / (1 / 2 + v), abs=1e-6)


@each_pairwise
@given(boxes1=box_lists, boxes2=box_lists)
def test_symmetry(op: Callable, boxes1: Tensor, boxes2: Tensor) -> None:
    assert_close(op(boxes1, boxes2), op(boxes2, boxes1).T)


@given(boxes1=box_lists, boxes2=box_lists)
def test_ranges_and_order(boxes1: Tensor, boxes2: Tensor) -> None:
    iou, giou, diou, ciou = (op(boxes1, boxes2) for op in PAIRWISE)
    slack = 1e-12
    assert ((iou >= 0) & (iou <= 1)).all()
    assert ((giou >= -1 - slack) & (giou <= iou + slack)).all()
    assert ((diou >= -1 - slack) & (diou <= iou + slack)).all()
    assert ((ciou > -2) & (ciou <= diou + slack)).all()


@each_pairwise
@given(boxes=proper_box_lists)
def test_a_box_with_itself_is_1(op: Callable, boxes: Tensor) -> None:
    assert_close(op(boxes, boxes).diagonal(), torch.ones(len(boxes), dtype=torch.float64))


@each_pairwise
@given(
    boxes1=proper_box_lists,
    boxes2=proper_box_lists,
    shift=st.tuples(st.integers(-999, 999), st.integers(-999, 999)),
    power=st.integers(-6, 6),
)
def test_translation_and_scale_change_nothing(
    op: Callable, boxes1: Tensor, boxes2: Tensor, shift: tuple[int, int], power: int
) -> None:
    moved1, moved2 = ((boxes + torch.tensor(shift * 2)) * 2.0**power for boxes in (boxes1, boxes2))
    # eps is in pixels² and does not scale with the boxes.
    assert_close(op(moved1, moved2), op(boxes1, boxes2), atol=1e-3 if power < 0 else 1e-6)


@each_pairwise
@given(boxes1=proper_box_lists, boxes2=proper_box_lists)
def test_mirroring_changes_nothing(op: Callable, boxes1: Tensor, boxes2: Tensor) -> None:
    mirrored1, mirrored2 = (
        torch.stack((-b[:, 2], b[:, 1], -b[:, 0], b[:, 3]), 1) for b in (boxes1, boxes2)
    )
    assert_close(op(mirrored1, mirrored2), op(boxes1, boxes2))


def test_box_iou_equals_pycocotools() -> None:
    boxes1, boxes2 = random_boxes(60, 1), random_boxes(70, 2)
    xywh1, xywh2 = (box_convert(boxes, "xyxy", "xywh").numpy() for boxes in (boxes1, boxes2))
    expected = coco_mask.iou(xywh1, xywh2, np.zeros(70, dtype=np.uint8))
    assert_close(box_iou(boxes1, boxes2), torch.from_numpy(expected))


@pytest.mark.parametrize("fmt", FORMATS)
def test_box_iou_reads_each_format(fmt: str) -> None:
    boxes1, boxes2 = random_boxes(9, 1), random_boxes(7, 2)
    answer = box_iou(box_convert(boxes1, "xyxy", fmt), box_convert(boxes2, "xyxy", fmt), fmt=fmt)
    assert_close(answer, slow_matrix(box_iou, boxes1, boxes2))


# --- boxes without area --------------------------------------------------------------------------

DEGENERATE = torch.tensor(
    [
        [5.0, 5, 5, 5],  # a point
        [7, 9, 7, 9],  # another
        [5, 7, 5, 7],  # a third, below the first
        [2, 5, 9, 5],  # a horizontal segment through the first point
        [5, 2, 5, 9],  # a vertical one
        [2, 5, 9, 5],  # the horizontal one again
        [0, 0, 10, 10],  # a proper box around all of them
        [9, 9, 2, 3],  # inverted on both axes
        [9, 2, 3, 8],  # inverted on one
    ],
    dtype=torch.float64,
)


def test_iou_with_an_empty_or_inverted_box_is_0() -> None:
    expected = torch.zeros(9, 9, dtype=torch.float64)
    expected[6, 6] = 1
    assert_close(box_iou(DEGENERATE, DEGENERATE), expected)


def test_what_the_others_answer_for_empty_boxes() -> None:
    point, other, below, segment, standing, again = DEGENERATE[:6, None]
    whole, inverted = DEGENERATE[6:8, None]
    for op in (generalized_box_iou, distance_box_iou, complete_box_iou):
        for same in (point, segment, standing):
            assert op(same, same).item() == 0
        assert op(segment, again).item() == 0
        assert op(point, other).item() == pytest.approx(-1)
    assert generalized_box_iou(point, below).item() == 0  # the box around both has no area
    assert generalized_box_iou(point, segment).item() == 0
    assert distance_box_iou(point, below).item() == pytest.approx(-1)
    assert generalized_box_iou(point, whole).item() == 0  # IoU 0, and nothing around is wasted
    # Inverted sides end where they start: [9, 9, 2, 3] is the point (9, 9).
    assert_close(generalized_box_iou(inverted, point), torch.tensor([[-1.0]], dtype=torch.float64))
    v = 4 / math.pi**2 * (math.pi / 2) ** 2  # horizontal against vertical: the largest v there is
    centres = (5.5 - 5) ** 2 + (5 - 5.5) ** 2
    expected = -centres / (7**2 + 7**2) - v * v / (1 + v)
    assert complete_box_iou(segment, standing).item() == pytest.approx(expected, abs=1e-6)


@each_pairwise
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_degenerate_boxes_keep_values_and_gradients_finite(
    op: Callable, dtype: torch.dtype, scale: float
) -> None:
    boxes1 = (DEGENERATE * scale).to(dtype).requires_grad_()
    boxes2 = (DEGENERATE * scale).to(dtype).requires_grad_()
    answer = op(boxes1, boxes2)
    assert answer.isfinite().all()
    assert ((answer >= -2) & (answer <= 1 + 1e-6)).all()
    answer.sum().backward()
    assert boxes1.grad.isfinite().all()
    assert boxes2.grad.isfinite().all()


def test_the_gradient_of_iou_is_0_for_two_empty_boxes() -> None:
    empty = torch.cat((DEGENERATE[:6], DEGENERATE[7:])).requires_grad_()
    box_iou(empty, empty.detach()).sum().backward()
    assert (empty.grad == 0).all()


@each_pairwise
@given(rows=st.lists(st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4), max_size=5))
def test_any_four_numbers_give_a_bounded_answer(op: Callable, rows: list[list[float]]) -> None:
    boxes = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
    answer = op(boxes, boxes)
    assert ((answer >= -2 - 1e-9) & (answer <= 1 + 1e-9)).all()
    answer = op(boxes.float(), boxes.float())
    assert ((answer >= -2 - 1e-4) & (answer <= 1 + 1e-4)).all()


@each_pairwise
def test_nan_coordinates_stay_visible(op: Callable) -> None:
    boxes = torch.tensor([[0.0, 0, math.nan, 2], [0, 0, 2, 2]])
    answer = op(boxes, boxes)
    assert answer[0].isnan().all()
    assert answer[1, 1] == 1


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", PAIRWISE[:3], ids=lambda op: op.__name__)
def test_gradcheck(op: Callable) -> None:
    boxes1, boxes2 = random_boxes(5, 1, 4).requires_grad_(), random_boxes(4, 2, 4).requires_grad_()
    assert (box_iou(boxes1, boxes2) > 0).any()
    assert (box_iou(boxes1, boxes2) == 0).any()
    assert torch.autograd.gradcheck(op, (boxes1, boxes2))
    assert torch.autograd.gradgradcheck(op, (boxes1, boxes2))


def test_gradcheck_through_a_format() -> None:
    boxes1 = box_convert(random_boxes(4, 1, 4), "xyxy", "cxcywh").requires_grad_()
    boxes2 = box_convert(random_boxes(3, 2, 4), "xyxy", "cxcywh").requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: box_iou(a, b, "cxcywh"), (boxes1, boxes2))


def test_the_gradient_of_ciou_takes_alpha_for_a_constant() -> None:
    boxes1, boxes2 = random_boxes(5, 1, 4), random_boxes(4, 2, 4)

    def v_of(boxes1: Tensor, boxes2: Tensor) -> Tensor:
        angle1, angle2 = (
            torch.atan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (boxes1, boxes2)
        )
        return 4 / math.pi**2 * (angle1[:, None] - angle2) ** 2

    v = v_of(boxes1, boxes2)
    alpha = v / (1 - box_iou(boxes1, boxes2) + v + EPS)

    def frozen(boxes1: Tensor, boxes2: Tensor) -> Tensor:
        return distance_box_iou(boxes1, boxes2) - alpha * v_of(boxes1, boxes2)

    weights = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs = (boxes1.requires_grad_(), boxes2.requires_grad_())
    actual = torch.autograd.grad((complete_box_iou(*inputs) * weights).sum(), inputs)
    expected = torch.autograd.grad((frozen(*inputs) * weights).sum(), inputs)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other)
        assert one.abs().max() > 0.01


@pytest.mark.parametrize(("in_fmt", "out_fmt"), [(a, b) for a in FORMATS for b in FORMATS])
def test_gradcheck_of_the_other_ops(in_fmt: str, out_fmt: str) -> None:
    boxes = random_boxes(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: box_convert(b, in_fmt, out_fmt), boxes)
    assert torch.autograd.gradcheck(lambda b: box_area(b, in_fmt), boxes)
    assert torch.autograd.gradcheck(lambda b: clip_boxes_to_image(b, (60, 50)), boxes)


# --- one box at a time ---------------------------------------------------------------------------


def slow_convert(box: list[float], in_fmt: str, out_fmt: str) -> list[float]:
    a, b, c, d = box
    corners = {
        "xyxy": (a, b, c, d),
        "xywh": (a, b, a + c, b + d),
        "cxcywh": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    }
    x1, y1, x2, y2 = corners[in_fmt]
    return {
        "xyxy": [x1, y1, x2, y2],
        "xywh": [x1, y1, x2 - x1, y2 - y1],
        "cxcywh": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
    }[out_fmt]


@pytest.mark.parametrize(("in_fmt", "out_fmt"), [(a, b) for a in FORMATS for b in FORMATS])
def test_box_convert_equals_a_loop_and_goes_back(in_fmt: str, out_fmt: str) -> None:
    boxes = random_boxes(20)
    converted = box_convert(boxes, in_fmt, out_fmt)
    expected = [slow_convert(box, in_fmt, out_fmt) for box in boxes.tolist()]
    assert_close(converted, torch.tensor(expected, dtype=torch.float64))
    assert_close(box_convert(converted, out_fmt, in_fmt), boxes)
    assert converted.data_ptr() != boxes.data_ptr()


@pytest.mark.parametrize("dtype", [*FLOATS, *INTS])
def test_box_convert_dtypes(dtype: torch.dtype) -> None:
    xyxy = torch.tensor([[2, 4, 5, 10]], dtype=dtype)
    xywh = torch.tensor([[2, 4, 3, 6]], dtype=dtype)
    cxcywh = torch.tensor([[3.5, 7, 3, 6]], dtype=dtype if dtype.is_floating_point else None)
    torch.testing.assert_close(box_convert(xyxy, "xyxy", "xywh"), xywh)
    torch.testing.assert_close(box_convert(xywh, "xywh", "xyxy"), xyxy)
    torch.testing.assert_close(box_convert(xyxy, "xyxy", "cxcywh"), cxcywh)
    torch.testing.assert_close(box_convert(xywh, "xywh", "cxcywh"), cxcywh)
    torch.testing.assert_close(box_convert(xywh, "cxcywh", "cxcywh"), xywh)


@given(boxes=box_lists, fmt=st.sampled_from(FORMATS))
def test_box_area_equals_a_loop(boxes: Tensor, fmt: str) -> None:
    expected = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes.tolist()]
    expected = torch.tensor(expected, dtype=torch.float64)
    assert_close(box_area(box_convert(boxes, "xyxy", fmt), fmt), expected)


def test_box_area_dtypes_and_signs() -> None:
    boxes = torch.tensor([[0, 0, 100, 120], [0, 0, 0, 50]])
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert box_area(boxes.to(dtype)).dtype == torch.float32
    assert box_area(boxes.double()).dtype == torch.float64
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        area = box_area(boxes.to(dtype))
        assert area.dtype == torch.int32
        assert area.tolist() == [12000, 0]
    assert box_area(boxes).dtype == torch.int64
    large = torch.tensor([[0, 0, 300, 300]], dtype=torch.float16)
    assert box_area(large).item() == 90000  # beyond float16
    assert box_area(torch.tensor([[5.0, 0, 2, 2], [5, 2, 2, 0]])).tolist() == [-6, 6]


@given(boxes=box_lists, height=st.integers(0, 15), width=st.integers(0, 15))
def test_clip_equals_a_loop(boxes: Tensor, height: int, width: int) -> None:
    expected = [
        [min(max(value, 0), limit) for value, limit in zip(box, (width, height) * 2, strict=True)]
        for box in boxes.tolist()
    ]
    clipped = clip_boxes_to_image(boxes, (height, width))
    assert_close(clipped, torch.tensor(expected, dtype=torch.float64).reshape(-1, 4))
    assert_close(clip_boxes_to_image(clipped, (height, width)), clipped)


def test_clip_takes_height_first() -> None:
    boxes = torch.tensor([[-5.0, -5, 1000, 1000]])
    image = torch.zeros(3, 20, 30)
    assert clip_boxes_to_image(boxes, image.shape[-2:]).tolist() == [[0, 0, 30, 20]]


@given(boxes=box_lists, min_size=st.integers(0, 12))
def test_remove_small_equals_a_loop(boxes: Tensor, min_size: int) -> None:
    expected = [
        i
        for i, (x1, y1, x2, y2) in enumerate(boxes.tolist())
        if x2 - x1 >= min_size and y2 - y1 >= min_size
    ]
    kept = remove_small_boxes(boxes, min_size)
    assert kept.tolist() == expected
    assert kept.dtype == torch.int64


def test_per_box_ops_take_leading_axes() -> None:
    boxes = random_boxes(12).reshape(2, 3, 2, 4)
    flat = boxes.reshape(12, 4)
    assert_close(
        box_convert(boxes, "xyxy", "cxcywh").reshape(12, 4), box_convert(flat, "xyxy", "cxcywh")
    )
    assert_close(box_area(boxes).reshape(12), box_area(flat))
    assert_close(
        clip_boxes_to_image(boxes, (60, 50)).reshape(12, 4), clip_boxes_to_image(flat, (60, 50))
    )


# --- dtypes, empty sets, layouts, side effects ---------------------------------------------------


@each_pairwise
@pytest.mark.parametrize("dtype", [*FLOATS, *INTS])
def test_pairwise_dtypes(op: Callable, dtype: torch.dtype) -> None:
    # Whole numbers up to 120 are exact in each of these dtypes; their areas are not.
    boxes1 = torch.tensor([[0, 0, 100, 120], [3, 7, 101, 119], [50, 60, 51, 62]])
    boxes2 = torch.tensor([[1, 0, 100, 120], [3, 7, 4, 119]])
    answer = op(boxes1.to(dtype), boxes2.to(dtype))
    assert answer.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_close(answer.double(), slow_matrix(op, boxes1, boxes2), atol=1e-6)


@each_pairwise
def test_mixed_dtypes_meet_in_the_wider(op: Callable) -> None:
    boxes1, boxes2 = random_boxes(3, 1), random_boxes(4, 2)
    assert op(boxes1.float(), boxes2).dtype == torch.float64
    assert op(boxes1.long(), boxes2).dtype == torch.float64
    assert op(boxes1.half(), boxes2.bfloat16()).dtype == torch.float32
    assert op(boxes1.long(), boxes2.half()).dtype == torch.float32


@each_pairwise
def test_half_types_compute_in_float32(op: Callable) -> None:
    boxes = (random_boxes(20, 1, 600)).half()
    assert_close(op(boxes, boxes), op(boxes.float(), boxes.float()))


@each_pairwise
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
def test_no_boxes(op: Callable, dtype: torch.dtype) -> None:
    none, some = torch.zeros(0, 4, dtype=dtype), torch.tensor([[0, 0, 2, 2]], dtype=dtype)
    assert op(none, some).shape == (0, 1)
    assert op(some, none).shape == (1, 0)
    assert op(none, none).shape == (0, 0)


def test_no_boxes_in_the_other_ops() -> None:
    none = torch.zeros(0, 4)
    for in_fmt, out_fmt in pairwise((*FORMATS, *FORMATS[::-1])):
        assert box_convert(none, in_fmt, out_fmt).shape == (0, 4)
    assert box_area(none).shape == (0,)
    assert clip_boxes_to_image(none, (3, 4)).shape == (0, 4)
    assert remove_small_boxes(none, 1.0).shape == (0,)
    none.requires_grad_()
    box_iou(none, torch.ones(2, 4)).sum().backward()
    assert none.grad.shape == (0, 4)


def test_inputs_are_never_changed_and_any_layout_works() -> None:
    wide = random_boxes(8, 1).T.contiguous()
    boxes1, boxes2 = wide.T, random_boxes(16, 2)[::2]  # neither is contiguous
    masks1 = torch.rand(16, 6, 5).gt(0.5).permute(1, 2, 0)  # [6, 5, 16]
    before = [t.clone() for t in (boxes1, boxes2, masks1)]
    calls: list[Callable[[Tensor, Tensor, Tensor], Tensor]] = [
        *(lambda a, b, m, op=op: op(a, b) for op in PAIRWISE),
        *(lambda a, b, m, f=f, g=g: box_convert(a, f, g) for f in FORMATS for g in FORMATS),
        lambda a, b, m: box_area(a),
        lambda a, b, m: clip_boxes_to_image(a, (30, 40)),
        lambda a, b, m: remove_small_boxes(a, 20),
        lambda a, b, m: mask_iou(m, m),
        lambda a, b, m: masks_to_boxes(m),
    ]
    for call in calls:
        result = call(boxes1, boxes2, masks1)
        torch.testing.assert_close(result, call(*(t.contiguous() for t in before)))
        result.zero_()  # shares no memory with the inputs
        for now, then in zip((boxes1, boxes2, masks1), before, strict=True):
            assert torch.equal(now, then)


# --- masks ---------------------------------------------------------------------------------------


def rectangle_masks(boxes: Tensor, height: int, width: int) -> Tensor:
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


@given(boxes1=proper_box_lists, boxes2=proper_box_lists)
def test_mask_iou_of_rectangles_is_box_iou(boxes1: Tensor, boxes2: Tensor) -> None:
    masks1, masks2 = (rectangle_masks(boxes + 20, 60, 64) for boxes in (boxes1, boxes2))
    assert_close(mask_iou(masks1, masks2).double(), box_iou(boxes1, boxes2), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_mask_iou_equals_pycocotools(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    density = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])[:, None, None]
    masks1 = torch.rand(5, 30, 41, generator=generator) < density
    masks2 = torch.rand(5, 30, 41, generator=generator) < density
    encode = [
        [coco_mask.encode(np.asfortranarray(m)) for m in masks.to(torch.uint8).numpy()]
        for masks in (masks1, masks2)
    ]
    expected = torch.from_numpy(coco_mask.iou(*encode, [0] * 5))
    answer = mask_iou(masks1.to(dtype), masks2.to(dtype))
    assert answer.dtype == torch.float32
    assert_close(answer.double(), expected, atol=1e-6)
    assert (answer[0] == 0).all()  # the first mask is empty, and so is the first of the others
    assert answer[4, 4] == 1


def test_mask_iou_counts_exactly_beyond_float32() -> None:
    side = 4112  # 16,908,544 pixels, more than 2**24
    full = torch.ones(1, side, side, dtype=torch.bool)
    assert side * side > 2**24
    one_less = full.clone()
    one_less[0, -1, -1] = False
    # In float32 both counts round to the same neighbour, and the answer would be 1 or above.
    answer = mask_iou(full, one_less).item()
    assert answer == pytest.approx(1 - 1 / side**2, abs=6e-8)
    few = torch.zeros_like(full)
    few[0, -1, -3:] = True
    assert mask_iou(full, few).item() == pytest.approx(3 / side**2, rel=1e-6)


def test_mask_iou_ignores_autocast() -> None:
    masks = torch.zeros(2, 30, 30, dtype=torch.bool)
    masks[0].view(-1)[:257] = True  # 257 is not a bfloat16
    masks[1].view(-1)[:263] = True
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mask_iou(masks, masks)[0, 1].item() == pytest.approx(257 / 263, abs=1e-6)


@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 6), (2, 5, 0)])
def test_masks_without_pixels(shape: tuple[int, int, int]) -> None:
    masks = torch.zeros(shape)
    assert masks_to_boxes(masks).shape == (shape[0], 4)
    assert mask_iou(masks, masks).tolist() == [[0.0] * shape[0]] * shape[0]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_masks_to_boxes_equals_a_loop(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(200, 7, 9, generator=generator) < 0.04  # about one in ten is empty
    inclusive, half_open = [], []
    for mask in masks:
        pixels = [(y, x) for y in range(7) for x in range(9) if mask[y, x]]
        ys, xs = [y for y, _ in pixels], [x for _, x in pixels]
        inclusive.append([min(xs), min(ys), max(xs), max(ys)] if pixels else [0] * 4)
        half_open.append([min(xs), min(ys), max(xs) + 1, max(ys) + 1] if pixels else [0] * 4)
    assert [0, 0, 0, 0] in half_open
    values = masks.to(dtype) * (1 if dtype == torch.bool else 3)
    assert masks_to_boxes(values).tolist() == inclusive
    assert masks_to_boxes(values, half_open=True).tolist() == half_open
    assert masks_to_boxes(values).dtype == torch.float32


@given(boxes=proper_box_lists)
def test_half_open_boxes_go_to_masks_and_back(boxes: Tensor) -> None:
    masks = rectangle_masks(boxes + 20, 60, 64)
    assert_close(masks_to_boxes(masks, half_open=True).double(), boxes + 20)
    area = box_area(masks_to_boxes(masks, half_open=True))
    assert area.tolist() == masks.sum((1, 2)).tolist()


# --- wrong inputs --------------------------------------------------------------------------------


@pytest.fixture
def plain_calls() -> Iterator[None]:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


FOUR, FIVE = torch.ones(4), torch.ones(3, 5)
TWO_D, THREE_D = torch.ones(2, 4), torch.ones(2, 3, 4)
NO_BOXES = "each box is 4 numbers, and no boxes at all are torch.zeros(0, 4)"
ROTATED = "rotated boxes are not part of this course"
ONE_IMAGE = "call it for one image at a time"
AS_TENSOR = "write torch.as_tensor"
NUMBERS = "must hold floats or integers, got torch"
WRONG = [
    (lambda op: op(FOUR, TWO_D), "boxes1 must have shape [N, 4], got [4]; for one box write boxes1[None]"),
    (lambda op: op(TWO_D, FOUR), "boxes2 must have shape [M, 4], got [4]; for one box write boxes2[None]"),
    (lambda op: op(THREE_D, TWO_D), f"boxes1 must have shape [N, 4], got [2, 3, 4]; {ONE_IMAGE}"),
    (lambda op: op(TWO_D, FIVE), f"boxes2 must have shape [M, 4], got [3, 5]; {NO_BOXES}"),
    (lambda op: op(FOUR[:0], TWO_D), f"boxes1 must have shape [N, 4], got [0]; {NO_BOXES}"),
    (lambda op: op(FOUR[0], TWO_D), f"boxes1 must have shape [N, 4], got []; {NO_BOXES}"),
    (lambda op: op([[0]], TWO_D), f"boxes1 must be a torch.Tensor, got list; {AS_TENSOR}(boxes1)"),
    (lambda op: op(TWO_D, "4"), f"boxes2 must be a torch.Tensor, got str; {AS_TENSOR}(boxes2)"),
    (lambda op: op(TWO_D.bool(), TWO_D), f"boxes1 {NUMBERS}.bool; convert it first"),
    (lambda op: op(TWO_D, TWO_D + 1j), f"boxes2 {NUMBERS}.complex64; convert it first"),
]  # fmt: skip


@each_pairwise
@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
@pytest.mark.usefixtures("plain_calls")
def test_wrong_boxes_in_pairwise_ops(op: Callable, call: Callable, message: str) -> None:
    kind = ValueError if "shape" in message else TypeError
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call(op)


PER_BOX = {
    "box_convert": lambda boxes: box_convert(boxes, "xyxy", "xywh"),
    "box_area": box_area,
    "clip_boxes_to_image": lambda boxes: clip_boxes_to_image(boxes, (5, 5)),
    "remove_small_boxes": lambda boxes: remove_small_boxes(boxes, 1),
}


@pytest.mark.parametrize("name", PER_BOX)
@pytest.mark.parametrize(
    ("boxes", "kind", "message"),
    [
        (FOUR, ValueError, "boxes must have shape [N, 4], got [4]; for one box write boxes[None]"),
        (torch.ones(3, 5), ValueError, f"boxes must have shape [N, 4], got [3, 5]; {NO_BOXES}"),
        ("box", TypeError, "boxes must be a torch.Tensor, got str; write torch.as_tensor(boxes)"),
        (
            TWO_D.bool(),
            TypeError,
            "boxes must hold floats or integers, got torch.bool; convert it first",
        ),
    ],
    ids=["4", "3x5", "str", "bool"],
)
@pytest.mark.usefixtures("plain_calls")
def test_wrong_boxes_in_per_box_ops(name: str, boxes: object, kind: type, message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        PER_BOX[name](boxes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: remove_small_boxes(THREE_D, 1),
            f"boxes must have shape [N, 4], got [2, 3, 4]; {ONE_IMAGE}",
        ),
        (
            lambda: box_convert(TWO_D, "xyhw", "xyxy"),
            f'in_fmt must be "xyxy", "xywh" or "cxcywh", got \'xyhw\'; {ROTATED}',
        ),
        (
            lambda: box_convert(TWO_D, "xyxy", "cxcywhr"),
            f'out_fmt must be "xyxy", "xywh" or "cxcywh", got \'cxcywhr\'; {ROTATED}',
        ),
        (
            lambda: box_area(TWO_D, "xywhr"),
            f'fmt must be "xyxy", "xywh" or "cxcywh", got \'xywhr\'; {ROTATED}',
        ),
        (
            lambda: box_iou(TWO_D, TWO_D, fmt=None),
            f'fmt must be "xyxy", "xywh" or "cxcywh", got None; {ROTATED}',
        ),
        (
            lambda: clip_boxes_to_image(TWO_D, (3, 20, 30)),
            "size must be (height, width), got (3, 20, 30); try image.shape[-2:]",
        ),
        (
            lambda: clip_boxes_to_image(TWO_D, 20),
            "size must be (height, width), got 20; try image.shape[-2:]",
        ),
        (
            lambda: clip_boxes_to_image(TWO_D, (20, -1)),
            "size must be (height, width), neither below 0, got (20, -1)",
        ),
        (
            lambda: mask_iou(torch.ones(5, 6), torch.ones(2, 5, 6)),
            "masks1 must have shape [N, H, W], got [5, 6]; for one mask write masks1[None]",
        ),
        (
            lambda: mask_iou(torch.ones(2, 5, 6), torch.ones(2, 1, 5, 6)),
            "masks2 must have shape [M, H, W], got [2, 1, 5, 6]; one mask is [H, W]",
        ),
        (
            lambda: mask_iou(torch.ones(2, 5, 6), torch.ones(3, 6, 5)),
            "masks1 and masks2 must have the same H and W, got [2, 5, 6] and [3, 6, 5]; "
            "resize or pad one of them to the other's size",
        ),
        (
            lambda: masks_to_boxes(torch.ones(5, 6)),
            "masks must have shape [N, H, W], got [5, 6]; for one mask write masks[None]",
        ),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_other_wrong_values(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.usefixtures("plain_calls")
def test_masks_that_are_no_tensor() -> None:
    message = "masks must be a torch.Tensor, got ndarray; write torch.as_tensor(masks)"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        masks_to_boxes(np.ones((1, 2, 3)))


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_answers_as_the_cpu_does() -> None:
    boxes1, boxes2 = random_boxes(700, 1).float(), random_boxes(900, 2).float()
    boxes1[:3] = DEGENERATE[[0, 3, 7]].float()
    masks = rectangle_masks(boxes1[:50] / 3, 64, 64)
    calls: list[Callable[[Tensor, Tensor, Tensor], Tensor]] = [
        *(lambda a, b, m, op=op: op(a, b) for op in PAIRWISE),
        *(lambda a, b, m, f=f, g=g: box_convert(a, f, g) for f in FORMATS for g in FORMATS),
        lambda a, b, m: box_area(a),
        lambda a, b, m: clip_boxes_to_image(a, (30, 40)),
        lambda a, b, m: remove_small_boxes(a, 20),
        lambda a, b, m: mask_iou(m, m),
        lambda a, b, m: masks_to_boxes(m),
    ]
    for call in calls:
        on_gpu = call(boxes1.cuda(), boxes2.cuda(), masks.cuda())
        assert on_gpu.is_cuda
        torch.testing.assert_close(on_gpu.cpu(), call(boxes1, boxes2, masks), rtol=1e-5, atol=1e-5)
