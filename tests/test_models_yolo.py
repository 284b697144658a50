"""course_lib.models.yolo against loops over single cells and predictors, written from the paper."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from course_lib.boxes import box_iou
from course_lib.models import create_detector
from course_lib.models.detector import Detector
from course_lib.models.yolo import (
    YOLO,
    cell_of,
    decode_grid,
    decode_v2,
    encode_grid,
    first_in_cell,
    grid_candidates,
    responsible,
    split_cells,
    yolo,
    yolo_loss,
    yolov1,
)

Box = list[float]


def dice(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(N: int, size: tuple[int, int], seed: int) -> Tensor:
    """N boxes in an image, some reaching over its border, float64."""
    generator = dice(seed)
    height, width = size
    centre = torch.rand(N, 2, generator=generator, dtype=torch.float64) * torch.tensor(
        [width, height]
    )
    half = torch.rand(N, 2, generator=generator, dtype=torch.float64) * min(size) / 2
    return torch.cat((centre - half, centre + half), dim=1)


# --- the same once more, one number at a time ---------------------------------------------------


def slow_encode(boxes: list[Box], labels: list[int], size: tuple[int, int], S: int, K: int) -> Any:
    height, width = size
    target = [[[0.0] * (5 + K) for _ in range(S)] for _ in range(S)]
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        x, y = (x1 + x2) / 2 * S / width, (y1 + y2) / 2 * S / height
        column, row = min(max(math.floor(x), 0), S - 1), min(max(math.floor(y), 0), S - 1)
        cell = target[row][column]
        if cell[4] == 1:
            continue  # the cell is taken
        cell[:5] = [x - column, y - row, ((x2 - x1) / width) ** 0.5, ((y2 - y1) / height) ** 0.5, 1]
        cell[5 + label] = 1.0
    return target


def slow_box(cell: list[float], row: int, column: int, S: int, size: tuple[float, float]) -> Box:
    height, width = size
    x, y = (column + cell[0]) / S * width, (row + cell[1]) / S * height
    w, h = cell[2] ** 2 * width, cell[3] ** 2 * height
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def slow_iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def slow_rmse(a: Box, b: Box) -> float:
    def cxcywh(box: Box) -> Box:
        x1, y1, x2, y2 = box
        return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]

    pairs = zip(cxcywh(a), cxcywh(b), strict=True)
    return math.sqrt(sum((p - q) ** 2 for p, q in pairs) / 4)


def slow_responsible(boxes: list[Box], truth: Box) -> tuple[int, float]:
    best, best_iou, best_rmse = -1, 0.0, math.inf
    for j, box in enumerate(boxes):
        iou, rmse = slow_iou(box, truth), slow_rmse(box, truth)
        if best_iou > 0 or iou > 0:
            if iou > best_iou:
                best, best_iou = j, iou
        elif rmse < best_rmse:
            best, best_rmse = j, rmse
    return best, best_iou


def slow_loss(
    predictions: Any, targets: Any, A: int, coord: float, noobj: float
) -> tuple[float, ...]:
    """Equation 3, image by image, cell by cell, predictor by predictor."""
    centre = size = with_object = without = classes = 0.0
    for prediction, target in zip(predictions, targets, strict=True):
        S = len(target)
        for row in range(S):
            for column in range(S):
                said, truth = prediction[row][column], target[row][column]
                cells = [said[5 * j : 5 * j + 5] for j in range(A)]
                chosen, iou = -1, 0.0
                if truth[4] == 1:
                    boxes = [slow_box(cell, row, column, S, (1, 1)) for cell in cells]
                    true_box = slow_box(truth, row, column, S, (1, 1))
                    chosen, iou = slow_responsible(boxes, true_box)
                    classes += sum(
                        (p - q) ** 2 for p, q in zip(said[5 * A :], truth[5:], strict=True)
                    )
                for j, cell in enumerate(cells):
                    if j == chosen:
                        centre += coord * sum((cell[k] - truth[k]) ** 2 for k in (0, 1))
                        size += coord * sum((cell[k] - truth[k]) ** 2 for k in (2, 3))
                        with_object += (cell[4] - iou) ** 2
                    else:
                        without += noobj * cell[4] ** 2
    return tuple(term / len(predictions) for term in (centre, size, with_object, without, classes))


def scene(
    B: int, S: int, A: int, K: int, seed: int, size: tuple[int, int] = (96, 128)
) -> tuple[Tensor, Tensor]:
    """Predictions near and far from the truth, and targets, float64: [B, S, S, ...] each."""
    generator = dice(seed)
    targets = []
    for n in range(B):
        N = int(torch.randint(0, 7, (), generator=generator)) if n else 6
        labels = torch.randint(0, K, (N,), generator=generator)
        targets.append(encode_grid(random_boxes(N, size, seed + n), labels, size, S, K))
    target = torch.stack(targets)
    noise = torch.randn(B, S, S, 5 * A + K, generator=generator, dtype=torch.float64)
    near = torch.cat((target[..., :5].repeat(1, 1, 1, A), target[..., 5:]), dim=-1)
    blurred = torch.rand(B, S, S, 1, generator=generator, dtype=torch.float64)
    return near + blurred * noise, target


# --- encoding -----------------------------------------------------------------------------------


@hypothesis.given(
    N=st.integers(0, 12),
    S=st.integers(1, 9),
    K=st.integers(1, 4),
    size=st.sampled_from([(128, 128), (448, 448), (96, 160), (37, 53)]),
    seed=st.integers(0, 10_000),
    whole=st.booleans(),
)
@hypothesis.settings(max_examples=80, deadline=None)
def test_encode_is_the_loop(
    N: int, S: int, K: int, size: tuple[int, int], seed: int, whole: bool
) -> None:
    boxes = random_boxes(N, size, seed)
    boxes = boxes.round() if whole else boxes  # whole corners bring centres on lines of the grid
    labels = torch.randint(0, K, (N,), generator=dice(seed))
    expected = torch.tensor(slow_encode(boxes.tolist(), labels.tolist(), size, S, K))
    actual = encode_grid(boxes, labels, size, S, K)
    assert actual.dtype == torch.float64
    torch.testing.assert_close(actual, expected.double(), rtol=1e-6, atol=1e-6)
    in_float32 = encode_grid(boxes.float(), labels, size, S, K)
    if whole and size == (128, 128) and S in (1, 2, 4, 8):  # exact in float32 too
        torch.testing.assert_close(in_float32, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("S", "side"), [(7, 448), (8, 128), (13, 416), (3, 96)])
def test_centre_on_a_line_belongs_to_the_next_cell(S: int, side: int) -> None:
    stride = side // S
    for k in range(S + 1):
        centre = float(k * stride)
        box = torch.tensor([[centre - 5, centre - 5, centre + 5, centre + 5]])
        target = encode_grid(box, torch.tensor([0]), (side, side), S, 1)
        ((row, column),) = target[..., 4].nonzero().tolist()
        assert row == column == min(k, S - 1)
        offset = 1.0 if k == S else 0.0  # the border of the image is the end of the last cell
        assert target[row, column, 0] == target[row, column, 1] == offset


def test_x_goes_right_and_y_down() -> None:
    # Centre (80, 40) of 128 x 128, cells of 16 pixels: column 5, row 2, in the middle of both.
    target = encode_grid(
        torch.tensor([[64.0, 32.0, 96.0, 48.0]]), torch.tensor([1]), (128, 128), 8, 3
    )
    assert target[..., 4].nonzero().tolist() == [[2, 5]]
    expected = torch.tensor([0.0, 0.5, 0.5, 0.125**0.5, 1, 0, 1, 0])
    torch.testing.assert_close(target[2, 5], expected)


def test_first_of_two_in_a_cell_is_written() -> None:
    boxes = torch.tensor([[10.0, 10, 30, 30], [12.0, 12, 26, 26], [80.0, 80, 90, 90]])
    labels = torch.tensor([2, 0, 1])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        target = encode_grid(boxes[order], labels[order], (128, 128), 8, 3)
        assert target[..., 4].sum() == 2
        first = next(k for k in order if k != 2)
        assert target[1, 1, 5:].argmax() == labels[first]
        assert target[1, 1, 5:].sum() == 1
    assert first_in_cell(torch.tensor([9, 9, 45, 9])).tolist() == [True, False, True, False]
    assert first_in_cell(torch.zeros(0, dtype=torch.long)).tolist() == []
    assert cell_of(torch.tensor([-0.5, 0.0, 2.0, 2.99, 8.0]), 8).tolist() == [0, 0, 2, 2, 7]


@hypothesis.given(
    N=st.integers(0, 10),
    S=st.integers(1, 9),
    size=st.sampled_from([(128, 128), (448, 448), (96, 160)]),
    seed=st.integers(0, 10_000),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_decoding_a_target_gives_the_truth_back(
    N: int, S: int, size: tuple[int, int], seed: int
) -> None:
    boxes, labels = random_boxes(N, size, seed), torch.arange(N) % 3
    target = encode_grid(boxes, labels, size, S, 3)
    found = grid_candidates(target, size, 1, 0.5)
    height, width = size
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 * S / torch.tensor([width, height])
    cell = cell_of(centre[:, 1], S) * S + cell_of(centre[:, 0], S)
    kept = first_in_cell(cell)
    order = cell[kept].argsort()
    torch.testing.assert_close(found.boxes, boxes[kept][order], rtol=1e-9, atol=1e-9)
    assert found.labels.tolist() == labels[kept][order].tolist()
    assert (found.scores == 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_encode_takes_other_types(dtype: torch.dtype) -> None:
    boxes = torch.tensor([[8, 16, 40, 32], [0, 0, 128, 128]])
    target = encode_grid(boxes.to(dtype), torch.tensor([0, 1]), (128, 128), 8, 2)
    assert target.dtype == torch.float32
    torch.testing.assert_close(target, encode_grid(boxes.float(), torch.tensor([0, 1]), (128, 128), 8, 2))  # fmt: skip


def test_encode_of_nothing_and_of_nonsense() -> None:
    none = encode_grid(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), (64, 64), 4, 3)
    assert none.shape == (4, 4, 8)
    assert none.count_nonzero() == 0
    inverted = encode_grid(torch.tensor([[30.0, 30, 20, 20]]), torch.tensor([0]), (64, 64), 4, 1)
    assert torch.isfinite(inverted).all()
    one = torch.tensor([[0.0, 0, 9, 9]])
    for labels in ([3], [-1]):
        with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2"):
            encode_grid(one, torch.tensor(labels), (64, 64), 4, 3)
    with pytest.raises(ValueError, match="labels must have shape"):
        inspect.unwrap(encode_grid)(one, torch.tensor([0, 1]), (64, 64), 4, 3)
    with pytest.raises(ValueError, match="got 10 channels"):
        split_cells(torch.zeros(2, 2, 10), 2)


# --- decoding -----------------------------------------------------------------------------------


@hypothesis.given(
    S=st.integers(1, 6),
    A=st.integers(1, 3),
    size=st.sampled_from([(1, 1), (128, 128), (60, 90)]),
    seed=st.integers(0, 10_000),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_decode_is_the_loop(S: int, A: int, size: tuple[int, int], seed: int) -> None:
    boxes = torch.randn(2, S, S, A, 4, generator=dice(seed), dtype=torch.float64)
    decoded = decode_grid(boxes, size)
    anchors = torch.rand(A, 2, generator=dice(seed), dtype=torch.float64) * 50 + 1
    decoded2 = decode_v2(boxes, anchors, size)
    height, width = size
    for b in range(2):
        for row in range(S):
            for column in range(S):
                for j in range(A):
                    cell = boxes[b, row, column, j].tolist()
                    expected = slow_box(cell, row, column, S, size)
                    assert decoded[b, row, column, j].tolist() == pytest.approx(expected, abs=1e-9)
                    sigmoid = [1 / (1 + math.exp(-t)) for t in cell[:2]]
                    x, y = (column + sigmoid[0]) * width / S, (row + sigmoid[1]) * height / S
                    w, h = (
                        a * math.exp(t) for a, t in zip(anchors[j].tolist(), cell[2:], strict=True)
                    )
                    expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                    assert decoded2[b, row, column, j].tolist() == pytest.approx(expected, abs=1e-9)


def test_a_negative_root_is_the_same_box() -> None:
    boxes = torch.rand(3, 3, 2, 4)
    turned = boxes * torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert torch.equal(decode_grid(boxes, (64, 64)), decode_grid(turned, (64, 64)))
    sides = decode_grid(torch.randn(3, 3, 2, 4), (64, 64))
    assert (sides[..., 2:] >= sides[..., :2]).all()


def test_v2_stays_in_its_cell() -> None:
    raw = torch.randn(4, 4, 2, 4, generator=dice(0), dtype=torch.float64)
    raw[..., :2] *= 8
    boxes = decode_v2(raw, torch.tensor([[20.0, 30.0], [50.0, 10.0]]), (64, 64))
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 / 16  # in cells
    index = torch.arange(4.0)
    cell = torch.stack(torch.meshgrid(index, index, indexing="xy"), dim=-1)[:, :, None]
    assert (centre - cell).min() >= 0
    assert (centre - cell).max() <= 1
    zero = decode_v2(torch.zeros(1, 1, 1, 4), torch.tensor([[20.0, 30.0]]), (64, 64))
    assert zero.flatten().tolist() == [22, 17, 42, 47]  # the anchor in the middle of its cell
    with pytest.raises(ValueError, match=r"anchors must have shape \[2, 2\]"):
        inspect.unwrap(decode_v2)(raw, torch.ones(3, 2), (64, 64))


# --- who is responsible -------------------------------------------------------------------------


@hypothesis.given(
    A=st.integers(1, 4), seed=st.integers(0, 100_000), step=st.sampled_from([1, 8, 32])
)
@hypothesis.settings(max_examples=120, deadline=None)
def test_responsible_is_the_loop(A: int, seed: int, step: int) -> None:
    """Corners in steps of 1, 8 or 32 pixels: the coarser, the more ties and zeros of IoU."""
    boxes = (random_boxes(6 * A, (96, 96), seed) / step).round() * step
    truths = (random_boxes(6, (96, 96), seed + 1) / step).round() * step
    best, iou = responsible(boxes.reshape(2, 3, A, 4), truths.reshape(2, 3, 4))
    for k in range(6):
        expected = slow_responsible(boxes[k * A : k * A + A].tolist(), truths[k].tolist())
        assert best.flatten()[k] == expected[0]
        assert iou.flatten()[k].item() == pytest.approx(expected[1], abs=1e-12)


def test_ties_and_zeros() -> None:
    truth = torch.tensor([[10.0, 10, 20, 20]])
    left, right = [5.0, 10, 15, 20], [15.0, 10, 25, 20]
    assert responsible(torch.tensor([[left, right]]), truth)[0].tolist() == [0]
    assert responsible(torch.tensor([[right, left]]), truth)[0].tolist() == [0]
    far, near = [60.0, 60, 70, 70], [30.0, 30, 40, 40]
    best, iou = responsible(torch.tensor([[far, near]]), truth)
    assert (best.tolist(), iou.tolist()) == ([1], [0.0])
    touching, nested = [20.0, 10, 30, 20], [14.0, 14, 15, 15]  # a little overlap beats none
    assert responsible(torch.tensor([[touching, nested]]), truth)[0].tolist() == [1]
    empty = responsible(torch.zeros(0, 2, 4), torch.zeros(0, 4))
    assert empty[0].shape == empty[1].shape == (0,)


# --- the loss -----------------------------------------------------------------------------------


@hypothesis.given(
    B=st.integers(1, 3),
    S=st.integers(1, 5),
    A=st.integers(1, 3),
    K=st.integers(1, 3),
    coord=st.sampled_from([5.0, 1.0, 0.0]),
    noobj=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 10_000),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_loss_is_the_loop(
    B: int, S: int, A: int, K: int, coord: float, noobj: float, seed: int
) -> None:
    predictions, targets = scene(B, S, A, K, seed)
    expected = slow_loss(predictions.tolist(), targets.tolist(), A, coord, noobj)
    actual = yolo_loss(predictions, targets, A, coord, noobj)
    assert [term.item() for term in actual] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    in_float32 = yolo_loss(predictions.float(), targets.float(), A, coord, noobj)
    assert [term.item() for term in in_float32] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_loss_by_hand() -> None:
    """One cell, two predictors, one class: the second box is the truth, but for its confidence."""
    target = encode_grid(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), (16, 16), 1, 1)[None]
    root = 0.5**0.5
    cell = [0.5, 0.5, 0.5, 0.5, 0.2, 0.25, 0.25, root, root, 0.6, 0.7]
    # The first box, (6, 6, 10, 10), has IoU 4 / 76; the second is the truth.
    loss = yolo_loss(torch.tensor(cell).reshape(1, 1, 1, 11), target)
    expected = [0.0, 0.0, 0.4**2, 0.5 * 0.2**2, 0.3**2]
    assert [term.item() for term in loss] == pytest.approx(expected, abs=1e-6)
    cell = [0.5, 0.5, 0.5, 0.5, 0.2, 0.5, 0.25, root, root + 0.1, 0.6, 0.7]
    loss = yolo_loss(torch.tensor(cell).reshape(1, 1, 1, 11), target)
    assert loss.centre.item() == pytest.approx(5 * 0.25**2, abs=1e-6)
    assert loss.size.item() == pytest.approx(5 * 0.1**2, abs=1e-6)


def test_perfect_answer_costs_nothing_but_the_second_predictor() -> None:
    _, targets = scene(3, 5, 1, 3, 7)
    loss = yolo_loss(targets, targets, 1)
    assert sum(loss).item() == pytest.approx(0, abs=1e-20)


def test_images_without_objects() -> None:
    predictions = torch.randn(2, 4, 4, 13, generator=dice(0), requires_grad=True)
    empty = torch.zeros(2, 4, 4, 8)
    loss = yolo_loss(predictions, empty)
    assert [loss.centre, loss.size, loss.object, loss.classes] == [0, 0, 0, 0]
    confidence = split_cells(predictions, 2).confidence
    torch.testing.assert_close(loss.no_object, 0.5 * confidence.square().sum() / 2)
    sum(loss).backward()
    assert torch.isfinite(predictions.grad).all()
    none = yolo_loss(predictions[:0], empty[:0])
    assert sum(none).item() == 0


def only(term: str) -> Callable[..., Tensor]:
    return lambda predictions, targets: getattr(yolo_loss(predictions, targets), term)


@pytest.mark.parametrize("term", ["centre", "size", "no_object", "classes"])
def test_gradients(term: str) -> None:
    predictions, targets = scene(2, 2, 2, 2, 3)
    assert gradcheck(only(term), (predictions.requires_grad_(), targets))


def test_gradient_of_the_object_term() -> None:
    """IoU is a constant in it: the confidence alone is pulled."""
    predictions, targets = scene(2, 2, 2, 2, 3)
    is_confidence = torch.zeros(12).bool()
    is_confidence[[4, 9]] = True

    def of_confidence(confidence: Tensor) -> Tensor:
        full = predictions.clone()
        full[..., is_confidence] = confidence
        return yolo_loss(full, targets).object

    assert gradcheck(of_confidence, predictions[..., is_confidence].requires_grad_())
    (slope,) = torch.autograd.grad(
        yolo_loss(predictions.requires_grad_(), targets).object, predictions
    )
    assert slope[..., is_confidence].count_nonzero() > 0
    assert slope[..., ~is_confidence].count_nonzero() == 0


def test_mean_over_images_is_what_processes_average() -> None:
    predictions, targets = scene(4, 3, 2, 3, 11)
    whole = yolo_loss(predictions, targets)
    halves = [yolo_loss(predictions[k : k + 2], targets[k : k + 2]) for k in (0, 2)]
    for term, a, b in zip(whole, *halves, strict=True):
        torch.testing.assert_close(term, (a + b) / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_float32(dtype: torch.dtype) -> None:
    predictions, targets = scene(2, 4, 2, 3, 5)
    rounded = predictions.to(dtype)
    loss = yolo_loss(rounded, targets.float())
    expected = yolo_loss(rounded.float(), targets.float())
    for a, b in zip(loss, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_loss_wants_as_many_targets_as_images() -> None:
    predictions, targets = scene(3, 2, 2, 2, 1)
    with pytest.raises(ValueError, match="of the same images, got 3 and 2"):
        inspect.unwrap(yolo_loss)(predictions, targets[:2])


# --- reading detections -------------------------------------------------------------------------


def slow_candidates(cells: Any, size: tuple[int, int], A: int, threshold: float) -> list[tuple]:
    found = []
    S = len(cells)
    for row in range(S):
        for column in range(S):
            cell = cells[row][column]
            for j in range(A):
                box = slow_box(cell[5 * j : 5 * j + 4], row, column, S, size)
                for k, p in enumerate(cell[5 * A :]):
                    score = max(cell[5 * j + 4], 0.0) * p
                    if score > threshold:
                        found.append((box, score, k))
    return sorted(found, key=lambda entry: -entry[1])


@hypothesis.given(
    S=st.integers(1, 4),
    A=st.integers(1, 3),
    K=st.integers(1, 3),
    threshold=st.sampled_from([0.0, 0.2, 5.0]),
    tied=st.booleans(),
    seed=st.integers(0, 10_000),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_candidates_are_the_loop(
    S: int, A: int, K: int, threshold: float, tied: bool, seed: int
) -> None:
    cells = torch.randn(S, S, 5 * A + K, generator=dice(seed), dtype=torch.float64)
    cells = (cells * 2).round() / 2 if tied else cells
    expected = slow_candidates(cells.tolist(), (60, 80), A, threshold)
    found = grid_candidates(cells, (60, 80), A, threshold)
    assert found.labels.tolist() == [k for _, _, k in expected]
    assert found.scores.tolist() == pytest.approx([s for _, s, _ in expected])
    boxes = torch.tensor([box for box, _, _ in expected], dtype=torch.float64).reshape(-1, 4)
    torch.testing.assert_close(found.boxes, boxes)


# --- the detector -------------------------------------------------------------------------------


def little_scene(seed: int, side: int = 128) -> tuple[Tensor, dict[str, Tensor]]:
    """A dark image with three bright rectangles, a colour for each class."""
    generator = dice(seed)
    image = torch.rand(3, side, side, generator=generator) * 0.2
    corner = torch.randint(4, side // 2, (3, 2), generator=generator)
    sides = torch.randint(20, side // 2 - 4, (3, 2), generator=generator)
    boxes = torch.cat((corner, corner + sides), dim=1)
    boxes[1, 0::2] += side - int(boxes[1, 2])
    boxes[2, 1::2] += side - int(boxes[2, 3])
    labels = torch.tensor([0, 1, 2])
    for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels, strict=True):
        image[label, y1:y2, x1:x2] = 0.9
    return image, {"boxes": boxes.float(), "labels": labels}


def batch_of(N: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    images, targets = zip(*(little_scene(seed) for seed in range(N)), strict=True)
    return torch.stack(images), list(targets)


def test_full_size_is_the_papers_network() -> None:
    with torch.device("meta"):
        detector = create_detector("yolov1", 20)
        answer = detector(torch.zeros(2, 3, 448, 448))
    assert answer.shape == (2, 7, 7, 30)
    # Counted from the paper's figure 3: (kernel, in, out) of the 24 convolutions, two linear layers.
    convolutions = [
        *((7, 3, 64), (3, 64, 192)),
        *((1, 192, 128), (3, 128, 256), (1, 256, 256), (3, 256, 512)),
        *4 * ((1, 512, 256), (3, 256, 512)),
        *((1, 512, 512), (3, 512, 1024)),
        *2 * ((1, 1024, 512), (3, 512, 1024)),
        *4 * ((3, 1024, 1024),),
    ]
    assert len(convolutions) == 24
    count = sum(k * k * a * b + b for k, a, b in convolutions)
    count += (7 * 7 * 1024 + 1) * 4096 + (4096 + 1) * 7 * 7 * 30
    assert sum(p.numel() for p in detector.parameters()) == count == 271_703_550
    assert yolov1.__doc__
    with pytest.raises(ValueError, match="side must be 64 S"):
        yolov1(side=500)
    with pytest.raises(ValueError, match="side must be 16 S"):
        yolo(3, side=448, S=7)


def test_small_one_by_name() -> None:
    detector = create_detector("yolo", 3)
    assert isinstance(detector, YOLO)
    assert isinstance(detector, Detector)
    assert detector(torch.zeros(2, 3, 128, 128)).shape == (2, 8, 8, 13)
    larger = yolo(5, side=160, S=10, num_boxes=3)
    assert larger(torch.zeros(1, 3, 160, 160)).shape == (1, 10, 10, 20)
    assert set(YOLO.recommended) >= {"lr", "batch_size"}


def test_ten_steps_bring_every_term_down() -> None:
    torch.manual_seed(0)
    detector = yolo(3).train()
    images, targets = batch_of(8)
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3)
    history = []
    for _ in range(11):
        terms = detector.loss(images, targets)
        history.append({name: term.item() for name, term in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert list(history[0]) == ["centre", "size", "object", "no_object", "classes"]
    for name, first in history[0].items():
        assert history[-1][name] < first, name


def test_detections_keep_the_contract() -> None:
    torch.manual_seed(0)
    # In float64, so that an image alone and among others is the same to all digits that decide.
    detector = yolo(3, score_threshold=0.001, max_detections=20).eval().double()
    with torch.no_grad():  # as if it had learned to see something everywhere
        detector.network[-1].bias += torch.tensor([0.5, 0.5, 0.6, 0.4, 0.9] * 2 + [0.9, 0.4, 0.2])
    images = [torch.rand(3, h, w).double() for h, w in ((100, 150), (128, 128), (300, 64))]
    found = detector.detect(images)
    assert len(found) == 3
    for image, detections in zip(images, found, strict=True):
        boxes, scores, labels = (detections[key] for key in ("boxes", "scores", "labels"))
        N = len(boxes)
        assert 0 < N <= 20
        assert boxes.shape == (N, 4)
        assert scores.shape == labels.shape == (N,)
        assert not boxes.requires_grad
        assert (scores.diff() <= 0).all()
        assert 0 <= scores.min() <= scores.max() <= 1
        assert labels.dtype == torch.int64
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= image.shape[2]).all()
        assert (boxes[:, 3] <= image.shape[1]).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        for k in range(3):
            of_class = boxes[labels == k]
            overlap = box_iou(of_class, of_class).fill_diagonal_(0)
            assert overlap.numel() == 0 or overlap.max() <= 0.5 + 1e-6
    alone = detector.detect(images[:1])[0]
    torch.testing.assert_close(alone["boxes"], found[0]["boxes"])


def test_other_sizes_are_stretched_and_boxes_with_them() -> None:
    """The same picture at twice the width: the same grid, and boxes twice as wide."""
    detector = yolo(3)
    image, target = little_scene(0)
    wide = image.repeat_interleave(2, dim=2)
    batch, sizes = detector.prepare([image, wide])
    assert batch.shape == (2, 3, 128, 128)
    assert sizes == [(128, 128), (128, 256)]
    mean_error = (batch[0] - batch[1]).abs().mean()
    assert mean_error < 0.3 * batch[0].std()
    stretched = target["boxes"] * torch.tensor([2.0, 1.0, 2.0, 1.0])
    torch.testing.assert_close(
        encode_grid(target["boxes"], target["labels"], sizes[0], 8, 3),
        encode_grid(stretched, target["labels"], sizes[1], 8, 3),
    )
    as_it_is, _ = detector.prepare(image[None])
    torch.testing.assert_close(as_it_is[0], (image - detector.pixel_mean) / detector.pixel_std)
    with pytest.raises(ValueError, match="at least one image"):
        detector.prepare([])


def test_crowds_and_empty_images_are_no_objects() -> None:
    detector = yolo(3).eval()
    images, targets = batch_of(2)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    crowd = {**targets[0], "iscrowd": torch.ones(3, dtype=torch.long)}
    for nothing in (empty, crowd):
        terms = detector.loss(images, [nothing, nothing])
        assert terms["centre"] == terms["classes"] == 0
        assert torch.isfinite(sum(terms.values()))
    single = {**targets[0], "iscrowd": torch.zeros(3, dtype=torch.bool)}
    assert detector.loss(images, [single, targets[1]]) == detector.loss(images, targets)


def test_under_autocast() -> None:
    torch.manual_seed(0)
    detector = yolo(3).train()
    images, targets = batch_of(4)
    expected = detector.loss(images, targets)
    with torch.autocast("cpu", torch.bfloat16):
        terms = detector.loss(images, targets)
        found = detector.detect(images)
    for name, term in terms.items():
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(expected[name].item(), rel=0.1, abs=0.1)
    sum(terms.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters())
    assert all(d["boxes"].dtype == torch.float32 for d in found)
