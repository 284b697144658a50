"""course_lib.suppression against plain Python loops over Python numbers."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator

import jaxtyping
import pytest
import torch
from torch import Tensor

from course_lib import _reach, _sweep
from course_lib.models._best import best_kept
from course_lib.suppression import (
    NmsStep,
    batched_nms,
    iou_guided_nms,
    nms,
    nms_steps,
    settle,
    soft_nms,
    weighted_boxes,
)

# --- the same once more, in plain Python ---------------------------------------------------------


def slow_iou(a: list[float], b: list[float]) -> float:
    if a[2] <= b[0] or b[2] <= a[0]:
        return 0.0
    a_area = max(a[2] - a[0], 0) * max(a[3] - a[1], 0)
    b_area = max(b[2] - b[0], 0) * max(b[3] - b[1], 0)
    if not (a_area > 0 and b_area > 0):
        return 0.0
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = w * h if w > 0 and h > 0 else 0.0
    return shared / (a_area + b_area - shared)


def slow_nms(boxes: list, scores: list, threshold: float, classes: list | None = None) -> list[int]:
    classes = classes or [0] * len(boxes)
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):  # sorted is stable
        rivals = [j for j in kept if classes[j] == classes[i]]
        if not any(slow_iou(boxes[i], boxes[j]) > threshold for j in rivals):
            kept.append(i)
    return kept


def slow_soft_nms(boxes, scores, iou_threshold, sigma, score_threshold, method):
    left = {i: s for i, s in enumerate(scores) if s >= score_threshold}
    keep = []
    while left:
        best = max(left, key=left.__getitem__)  # the first of equal ones
        keep.append((best, left.pop(best)))
        for i in list(left):
            iou = slow_iou(boxes[best], boxes[i])
            if method == "gaussian":
                left[i] *= math.exp(-iou * iou / sigma)
            elif iou > iou_threshold:
                left[i] *= 1 - iou
            if left[i] < score_threshold:
                del left[i]
    return [i for i, _ in keep], [s for _, s in keep]


def slow_weighted(boxes, keep, weights, iou_threshold, sigma_t):
    rows = []
    for k in keep:
        row = []
        for c in range(4):
            total, votes = 0.0, 0.0
            for i, box in enumerate(boxes):
                iou = 1.0 if i == k else slow_iou(box, boxes[k])
                if i == k or iou > iou_threshold:
                    vote = weights[i][c] * math.exp(-((1 - iou) ** 2) / sigma_t)
                    total, votes = total + vote * box[c], votes + vote
            row.append(total / votes if votes else boxes[k][c])
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)


# --- boxes of all kinds, from the number of the case alone ---------------------------------------


def scattered(n: int, g: torch.Generator) -> Tensor:
    corner = torch.rand(n, 2, generator=g) * 60
    return torch.cat((corner, corner + torch.rand(n, 2, generator=g) * 40 + 1), 1)


def whole(n: int, g: torch.Generator) -> Tensor:
    """Small whole numbers: boxes that touch, nest, coincide, and meet thresholds exactly."""
    corner = torch.randint(0, 5, (n, 2), generator=g)
    return torch.cat((corner, corner + torch.randint(1, 5, (n, 2), generator=g)), 1)


def crowd(n: int, g: torch.Generator) -> Tensor:
    truth = scattered(3, g)
    return truth[torch.randint(0, 3, (n,), generator=g)] + torch.randn(n, 4, generator=g) * 2


def nested(n: int, g: torch.Generator) -> Tensor:
    margin = torch.arange(n) % 20 * 1.5
    return torch.stack((margin, margin, 80 - margin, 80 - margin), 1)


def degenerate(n: int, g: torch.Generator) -> Tensor:
    boxes = whole(n, g).float()
    boxes[0::5, 2] = boxes[0::5, 0]  # no width
    boxes[1::5] = boxes[1::5][:, [2, 3, 0, 1]]  # both sides inverted
    boxes[2::7, 3] -= 9  # one side inverted
    boxes[3::11] = 0
    return boxes


def odd(n: int, g: torch.Generator) -> Tensor:
    boxes = whole(n, g).float()
    boxes[0::6, 0] = torch.nan
    boxes[1::6, 2] = torch.inf
    boxes[2::6] = torch.tensor([-torch.inf, -torch.inf, torch.inf, torch.inf])
    boxes[3::6, 3] = torch.nan
    boxes[4::12] = torch.tensor([torch.inf] * 4)
    return boxes


KINDS: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "scattered": scattered,
    "scattered float64": lambda n, g: scattered(n, g).double() / 3,
    "whole": whole,
    "whole uint8": lambda n, g: whole(n, g).to(torch.uint8),
    "crowd": crowd,
    "nested": nested,
    "duplicates": lambda n, g: scattered(3, g)[torch.randint(0, 3, (n,), generator=g)],
    "all one box": lambda n, g: scattered(1, g).expand(n, 4),
    "degenerate": degenerate,
    "odd": odd,
    "far away": lambda n, g: whole(n, g) + 10**9,
    "huge": lambda n, g: scattered(n, g) * 1e25,
    "tiny": lambda n, g: scattered(n, g) * 1e-25,
    "squares are no floats": lambda n, g: scattered(n, g).double() * torch.tensor([1e160, 1e-160] * 2, dtype=torch.float64),
    "small and far": lambda n, g: whole(n, g).double() / 1024 + 10**7,
    "odd float64": lambda n, g: odd(n, g).double(),
    "float16": lambda n, g: (scattered(n, g) * 8).half(),
    "bfloat16": lambda n, g: scattered(n, g).bfloat16(),
    "strips": lambda n, g: scattered(n, g) * torch.tensor([1, 50, 1, 50]),
    "one giant": lambda n, g: torch.cat((torch.tensor([[-1e4, -1e4, 1e4, 1e4]]), scattered(n, g)))[:n],
    "not contiguous": lambda n, g: scattered(n, g).T.contiguous().T,
    "every second": lambda n, g: scattered(2 * n, g)[::2],
    "exact thirds": lambda n, g: torch.tensor([[0, 0, 2, 1]]) + torch.randint(0, 9, (n, 1), generator=g) * torch.tensor([[1, 0, 1, 0]]),
}  # fmt: skip
THRESHOLDS = (0.5, 0, 1, 0.3, 1 / 3, 0.7, 0.6)
CLASSES = (50, 1, 3, 7)
CASES = 1000


def case(number: int) -> tuple[Tensor, Tensor, Tensor, float]:
    g = torch.Generator().manual_seed(number)
    size, kind = divmod(number, len(KINDS))
    n = size if size < 4 else 120 + size if size % 10 == 0 else 4 + size % 40
    boxes = list(KINDS.values())[kind](n, g)
    scores = torch.rand(n, generator=g)
    if number % 3 == 0:
        scores = (scores * 4).round() / 4  # ties
    if number % 21 == 0:
        scores = torch.ones(n).to(torch.float16 if number % 2 else torch.int64)
    classes = torch.randint(0, CLASSES[number % 4], (n,), generator=g)
    if number % 5 == 0:
        classes = (classes - 3) * 2**57 + number  # no float can tell all of these apart
    elif number % 5 == 1:
        classes = classes.to(torch.int32)
    return boxes, scores, classes, THRESHOLDS[number % 7]


@functools.cache
def expected(number: int) -> tuple[list[int], list[int]]:
    boxes, scores, classes, threshold = case(number)
    plain = boxes.double().tolist(), scores.tolist(), threshold
    return slow_nms(*plain), slow_nms(*plain, classes.tolist())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nms does with thousands of boxes, with a dozen of them."""
    monkeypatch.setattr(_reach, "greedy", lambda *given: None)
    monkeypatch.setattr(_sweep, "FEW", 0)
    monkeypatch.setattr(_sweep, "FIRST_CHUNK", 5)
    monkeypatch.setattr(_sweep, "CHUNK_PAIRS", 40)


def assert_all_cases_equal_the_loop() -> None:
    for number in range(CASES):
        boxes, scores, classes, threshold = case(number)
        before = boxes.clone(), scores.clone(), classes.clone()
        alone, batched = expected(number)
        what = f"case {number}, {list(KINDS)[number % len(KINDS)]}"
        keep = nms(boxes, scores, threshold)
        assert keep.dtype == torch.int64
        assert keep.tolist() == alone, what
        keep = batched_nms(boxes, scores, classes, threshold)
        assert keep.dtype == torch.int64
        assert keep.tolist() == batched, f"batched, {what}"
        for old, new in zip(before, (boxes, scores, classes), strict=True):
            assert torch.equal(old.nan_to_num(7), new.nan_to_num(7)), f"inputs changed, {what}"


def test_a_thousand_cases_equal_a_loop() -> None:
    assert {case(number)[0].dtype for number in range(CASES)} >= {torch.uint8, torch.float16}
    assert_all_cases_equal_the_loop()


@pytest.mark.usefixtures("small_chunks")
def test_a_thousand_cases_equal_a_loop_in_small_chunks() -> None:
    assert_all_cases_equal_the_loop()


def test_a_thousand_cases_equal_a_loop_where_the_best_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reach, "FEW", 6)
    assert_all_cases_equal_the_loop()


def test_a_thousand_cases_equal_a_loop_where_many_reach_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that reach more than a dozen go the other way."""
    monkeypatch.setattr(_reach, "FEW", 0)
    monkeypatch.setattr(_reach, "MANY", 0)
    monkeypatch.setattr(_reach, "WIDEST", 12)
    monkeypatch.setattr(_reach, "PAIRS", 30)
    assert_all_cases_equal_the_loop()


def test_a_thousand_cases_equal_a_loop_in_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few boxes go on a device that is neither the CPU nor a GPU with Triton."""
    monkeypatch.setattr(_reach, "greedy", lambda *given: None)
    assert_all_cases_equal_the_loop()


# --- nms -----------------------------------------------------------------------------------------


def test_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 3], [9, 9, 12, 12]])
    scores = torch.tensor([0.5, 0.9, 0.7, 0.1])
    # IoU: 0 and 1 have 8/16, 0 and 2 have 12/16, 1 and 2 have 8/12.
    assert nms(boxes, scores, 0.5).tolist() == [1, 0, 3]  # 1 suppresses 2; 0 is not above 1/2
    assert nms(boxes, scores, 0.49).tolist() == [1, 3]
    assert nms(boxes, scores, 0.7).tolist() == [1, 2, 3]  # 2 suppresses 0
    assert nms_steps(boxes, scores, 0.5) == [NmsStep(1, [2]), NmsStep(0, []), NmsStep(3, [])]


def test_scores_that_are_no_numbers_come_first() -> None:
    """As torch.argsort has it, for few boxes and for many."""
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 12, 12]]).repeat(600, 1)
    for n in (3, 6, 1800):
        scores = torch.rand(n, generator=torch.Generator().manual_seed(n))
        scores[1::3] = torch.nan
        assert nms(boxes[:n], scores, 0.5).tolist()[0] == 1
        order = scores.argsort(descending=True, stable=True)
        kept = nms(boxes[:n].float() + torch.arange(n)[:, None] * 100, scores, 0.5)
        assert torch.equal(kept, order)  # far from one another


def test_equal_scores_keep_the_order_of_the_input() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [9, 9, 12, 12], [0, 0, 4, 4], [20, 20, 22, 22]])
    assert nms(boxes, torch.ones(4), 0.5).tolist() == [0, 1, 3]
    assert nms(boxes.flip(0), torch.ones(4), 0.5).tolist() == [0, 1, 2]


def test_empty_boxes_clash_with_nothing() -> None:
    boxes = torch.tensor([[3, 3, 3, 3]]).repeat(300, 1)
    assert nms(boxes, torch.ones(300), 0).tolist() == list(range(300))


def test_no_boxes_and_one_box() -> None:
    none = torch.zeros(0, 4)
    for call in (nms, lambda b, s, t: batched_nms(b, s, torch.zeros(len(b), dtype=torch.int64), t)):
        for boxes in (none, torch.ones(1, 4), torch.tensor([[0, 0, 2, 2]])):
            keep = call(boxes, torch.ones(len(boxes)), 0.5)
            assert keep.tolist() == list(range(len(boxes)))
            assert keep.dtype == torch.int64


def test_float64_decides_where_float32_would_not() -> None:
    """7,001 / 14,002 + a little: the seventh digit and beyond."""
    boxes = torch.tensor([[0, 0, 2**24 - 2, 1], [0, 0, 2**23 - 1, 1], [0, 0, 2**23, 1]])
    assert nms(boxes, torch.tensor([3, 2, 1]), 0.5).tolist() == [0, 1]
    assert nms(boxes[[0, 2]], torch.tensor([3, 2]), 0.5).tolist() == [0]


def many(name: str, n: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(n)
    boxes = {
        "sparse": lambda: scattered(n, g) + (torch.rand(n, 2, generator=g) * 5000).repeat(1, 2),
        "dense": lambda: scattered(n, g) * 8,
        "crowd": lambda: crowd(n, g),
        "whole": lambda: whole(n, g) * 7,
        "one giant": lambda: KINDS["one giant"](n, g),
        "duplicates at the end": lambda: torch.cat((scattered(n // 4, g) * 50, scattered(1, g).expand(n - n // 4, 4))),
    }[name]()  # fmt: skip
    scores = torch.rand(n, generator=g).sort(descending=True).values
    return boxes, scores if name == "duplicates at the end" else scores[
        torch.randperm(n, generator=g)
    ]


@pytest.mark.parametrize(
    "name", ["sparse", "dense", "crowd", "whole", "one giant", "duplicates at the end"]
)
@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_loop_and_fast_version_agree_on_many_boxes(name: str, threshold: float) -> None:
    boxes, scores = many(name, 1200)
    steps = nms_steps(boxes, scores, threshold)
    assert nms(boxes, scores, threshold).tolist() == [step.kept for step in steps]
    same = torch.zeros(len(boxes), dtype=torch.int64)
    assert batched_nms(boxes, scores, same, threshold).tolist() == [step.kept for step in steps]
    assert batched_nms(boxes, scores, torch.arange(1200), 0).tolist() == scores.argsort(
        descending=True, stable=True
    ).tolist()  # fmt: skip


def test_steps_tell_of_every_box_once() -> None:
    boxes, scores = many("crowd", 200)
    steps = nms_steps(boxes, scores, 0.5)
    told = [i for step in steps for i in (step.kept, *step.suppressed)]
    assert sorted(told) == list(range(200))
    assert max(len(step.suppressed) for step in steps) > 20
    for step in steps:
        assert all(scores[i] <= scores[step.kept] for i in step.suppressed)
        assert sorted(step.suppressed, key=lambda i: -scores[i]) == step.suppressed
        for i in step.suppressed:
            assert slow_iou(boxes[i].tolist(), boxes[step.kept].tolist()) > 0.5


def test_gradients_of_the_inputs_are_no_obstacle() -> None:
    boxes, scores = (t.requires_grad_() for t in many("crowd", 300))
    classes = torch.arange(300) % 3
    for keep in (
        nms(boxes, scores, 0.5),
        batched_nms(boxes, scores, classes, 0.5),
        soft_nms(boxes, scores)[1],
        iou_guided_nms(boxes, scores, scores.detach(), 0.5)[1],
    ):
        assert not keep.requires_grad


# --- settle --------------------------------------------------------------------------------------


def slow_settle(overlaps: list[list[bool]]) -> list[bool]:
    keep: list[bool] = []
    for j in range(len(overlaps)):
        keep.append(not any(keep[i] and overlaps[i][j] for i in range(j)))
    return keep


@pytest.mark.parametrize("share", [0, 0.02, 0.2, 0.7, 1])
def test_settle_is_greedy(share: float) -> None:
    for n in range(60):
        overlaps = torch.rand(n, n, generator=torch.Generator().manual_seed(n)) < share
        before = overlaps.clone()
        keep = settle(overlaps)
        assert keep.dtype == torch.bool
        assert keep.tolist() == slow_settle(overlaps.tolist())
        assert torch.equal(overlaps, before)
        assert torch.equal(settle(overlaps.triu(1)), keep)  # only i < j counts


def test_settle_needs_as_many_rounds_as_the_chain_is_long() -> None:
    chain = torch.ones(50, 50, dtype=torch.bool).triu(1).tril(1)  # each overlaps the next
    assert settle(chain).tolist() == [i % 2 == 0 for i in range(50)]


# --- soft_nms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gaussian", "linear"])
@pytest.mark.parametrize("score_threshold", [0, 0.001, 0.3])
def test_soft_nms_equals_a_loop(method: str, score_threshold: float) -> None:
    for number in range(0, 400, 19):
        boxes, scores, _, threshold = case(number)
        boxes = boxes.double()
        if len(boxes) > 60 or not boxes.isfinite().all():
            continue
        scores = scores.double()
        before = boxes.clone(), scores.clone()
        keep, decayed = soft_nms(boxes, scores, threshold, 0.4, score_threshold, method)
        slow_keep, slow_decayed = slow_soft_nms(
            boxes.tolist(), scores.tolist(), threshold, 0.4, score_threshold, method
        )
        torch.testing.assert_close(decayed, torch.tensor(slow_decayed, dtype=torch.float64))
        # The last digit of exp may swap two boxes that are equal but for it.
        assert sorted(keep.tolist()) == sorted(slow_keep)
        swapped = keep != torch.tensor(slow_keep, dtype=torch.int64)
        if swapped.any():
            assert all((decayed - d).abs().sort().values[1] < 1e-12 for d in decayed[swapped])
        assert torch.equal(before[0], boxes)
        assert torch.equal(before[1], scores)


def test_soft_nms_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 2], [9, 9, 12, 12]])  # IoU 1/2, 0, 0
    scores = torch.tensor([0.9, 0.8, 0.5])
    keep, decayed = soft_nms(boxes, scores, method="linear")
    assert keep.tolist() == [0, 2, 1]
    torch.testing.assert_close(decayed, torch.tensor([0.9, 0.5, 0.4]))
    keep, decayed = soft_nms(boxes, scores)
    assert keep.tolist() == [0, 2, 1]
    torch.testing.assert_close(decayed, torch.tensor([0.9, 0.5, 0.8 * math.exp(-0.5)]))
    assert soft_nms(boxes, scores, 0.5, method="linear")[0].tolist() == [0, 1, 2]  # strictly above
    assert soft_nms(boxes, scores, score_threshold=0.49)[0].tolist() == [0, 2]
    exact = torch.tensor([1, 0.5, 0.25])
    assert soft_nms(boxes, exact, score_threshold=0.25, method="linear")[0].tolist() == [0, 1, 2]
    assert soft_nms(boxes, exact, score_threshold=0.26, method="linear")[0].tolist() == [0]


@pytest.mark.parametrize("name", ["sparse", "dense", "crowd"])
def test_soft_nms_between_its_limits(name: str) -> None:
    boxes, scores = many(name, 150)
    scores = scores + 0.1
    # σ → 0: whatever overlaps at all loses all its score, as in greedy NMS with threshold 0.
    keep, decayed = soft_nms(boxes, scores, sigma=1e-14, score_threshold=0.05)
    assert keep.tolist() == nms(boxes, scores, 0).tolist()
    assert torch.equal(decayed, scores[keep])
    # σ → ∞, or a threshold that nothing is above: nobody loses anything.
    by_score = scores.argsort(descending=True).tolist()
    assert soft_nms(boxes, scores, sigma=1e30)[0].tolist() == by_score
    assert soft_nms(boxes, scores, 1, method="linear")[0].tolist() == by_score
    # Among equal and separate boxes alone, linear is greedy.
    copies = (boxes[:5] + torch.arange(5)[:, None] * 9999).repeat(10, 1)
    linear = soft_nms(copies, scores[:50], 0.5, score_threshold=0.01, method="linear")[0]
    assert linear.tolist() == nms(copies, scores[:50], 0.5).tolist()


def test_soft_nms_dtypes() -> None:
    boxes, scores = many("crowd", 20)
    for dtype, answer in ((torch.float16, torch.float32), (torch.float64, torch.float64)):
        keep, decayed = soft_nms(boxes, scores.to(dtype))
        assert (keep.dtype, decayed.dtype) == (torch.int64, answer)
    keep, decayed = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert (keep.shape, decayed.shape) == ((0,), (0,))


# --- iou_guided_nms ------------------------------------------------------------------------------


def test_iou_guided_nms_equals_a_loop() -> None:
    for number in range(0, CASES, 7):
        boxes, scores, _, threshold = case(number)
        ious = torch.rand(len(boxes), generator=torch.Generator().manual_seed(number + 1))
        before = boxes.clone(), scores.clone(), ious.clone()
        if number % 2:
            ious = (ious * 3).round()
        keep, best = iou_guided_nms(boxes, scores, ious, threshold)
        assert best.dtype == scores.dtype
        left = sorted(range(len(boxes)), key=lambda i: -ious[i].item())
        plain, told = boxes.double().tolist(), []
        while left:
            cluster = [left[0]] + [
                i for i in left[1:] if slow_iou(plain[left[0]], plain[i]) > threshold
            ]
            told.append((left[0], max(scores[i].item() for i in cluster)))
            left = [i for i in left if i not in cluster]
        assert list(zip(keep.tolist(), best.tolist(), strict=True)) == told, number
        assert torch.equal(before[0].nan_to_num(7), boxes.nan_to_num(7))
        assert torch.equal(before[1], scores)


def test_iou_guided_nms_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]])
    scores, ious = torch.tensor([0.9, 0.4, 0.5]), torch.tensor([0.6, 0.8, 0.1])
    keep, best = iou_guided_nms(boxes, scores, ious, 0.5)
    assert keep.tolist() == [1, 2]  # the better placed of the pair, with the score of the other
    assert torch.equal(best, torch.tensor([0.9, 0.5]))


# --- weighted_boxes ------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 4])
def test_weighted_boxes_equals_a_loop(columns: int) -> None:
    for number in range(0, 700, 9):
        boxes, scores, _, threshold = case(number)
        boxes = boxes.double()
        if len(boxes) > 60 or not boxes.isfinite().all():
            continue
        g = torch.Generator().manual_seed(number)
        keep = nms(boxes, scores, 0.5)
        weights = torch.rand(len(boxes), columns, generator=g, dtype=torch.float64)
        slow = slow_weighted(
            boxes.tolist(), keep.tolist(), weights.expand(-1, 4).tolist(), threshold, 0.05
        )
        given = weights if columns == 4 else weights[:, 0]
        before = boxes.clone(), keep.clone(), given.clone()
        voted = weighted_boxes(boxes, keep, given, threshold, 0.05)
        scale = boxes.abs().max().item() if len(boxes) else 1
        torch.testing.assert_close(voted, slow, rtol=1e-9, atol=1e-9 * scale)
        for old, new in zip(before, (boxes, keep, given), strict=True):
            assert torch.equal(old, new)


def test_weighted_boxes_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 2], [9, 9, 12, 12]])  # IoU 1/2, 0, 0
    keep, scores = torch.tensor([0, 2]), torch.tensor([0.6, 0.4, 0.5])
    p = math.exp(-0.25 / 0.25)
    y2 = (0.6 * 4 + 0.4 * p * 2) / (0.6 + 0.4 * p)
    expected = torch.tensor([[0, 0, 4, y2], [9, 9, 12, 12]])
    torch.testing.assert_close(weighted_boxes(boxes, keep, scores, 0, 0.25), expected)
    # IoU 1/2 is not above 1/2: each box then votes alone.
    assert torch.equal(weighted_boxes(boxes, keep, scores, 0.5, 0.25), boxes[keep].float())
    # Variances of its own for each coordinate: the second box is sure of y2 alone.
    sure = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
    assert weighted_boxes(boxes, keep, sure, 0, 0.25)[0].tolist() == [0, 0, 4, 2]


def test_weighted_boxes_of_empty_boxes_and_zero_weights() -> None:
    boxes = torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 3], [0, 0, 5, 5], [0, 0, 5, 4]])
    keep = torch.arange(4)
    assert torch.equal(weighted_boxes(boxes, keep, torch.ones(4), 0.9), boxes)
    assert torch.equal(weighted_boxes(boxes, keep, torch.zeros(4)), boxes)
    none = torch.zeros(0, dtype=torch.int64)
    assert weighted_boxes(boxes, none, torch.ones(4)).shape == (0, 4)
    assert weighted_boxes(boxes[:0], none, torch.ones(0)).shape == (0, 4)
    assert weighted_boxes(boxes[:0], none, torch.ones(0, 4)).shape == (0, 4)


def test_weighted_boxes_dtypes() -> None:
    boxes, scores = scattered(20, torch.Generator().manual_seed(1)), torch.rand(20)
    keep = nms(boxes, scores, 0.5)
    for dtype in (torch.float16, torch.bfloat16, torch.int64, torch.float32):
        voted = weighted_boxes(boxes.to(dtype), keep, scores)
        assert voted.dtype == torch.float32
        assert torch.equal(voted, weighted_boxes(boxes.to(dtype).float(), keep, scores))
    assert weighted_boxes(boxes.double(), keep, scores).dtype == torch.float64


@pytest.mark.parametrize("columns", [1, 4])
def test_weighted_boxes_gradcheck(columns: int) -> None:
    g = torch.Generator().manual_seed(2)
    boxes = (crowd(8, g).double() / 20).requires_grad_()
    weights = torch.rand(8, columns, generator=g, dtype=torch.float64) + 0.1
    weights = (weights if columns == 4 else weights[:, 0]).requires_grad_()
    keep = nms(boxes, torch.arange(8), 0.5)
    assert 0 < len(keep) < 8
    assert torch.autograd.gradcheck(
        lambda b, w: weighted_boxes(b, keep, w, 0, 0.3), (boxes, weights)
    )


def test_weighted_boxes_gradient_is_finite_at_zero_weights() -> None:
    boxes = torch.tensor([[3.0, 3, 3, 3], [0, 0, 5, 5]], requires_grad=True)
    weights = torch.zeros(2, requires_grad=True)
    weighted_boxes(boxes, torch.arange(2), weights).sum().backward()
    assert boxes.grad.isfinite().all()
    assert weights.grad.isfinite().all()


# --- errors --------------------------------------------------------------------------------------


@pytest.fixture
def plain_calls() -> Iterator[None]:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


BOXES, SCORES, KEEP = torch.ones(3, 4), torch.ones(3), torch.arange(2)
CALLS: dict[str, Callable] = {
    "nms": nms,
    "nms_steps": nms_steps,
    "batched_nms": lambda b, s, t: batched_nms(b, s, torch.arange(3), t),
    "soft_nms": soft_nms,
    "iou_guided_nms": lambda b, s, t: iou_guided_nms(b, s, SCORES, t),
    "weighted_boxes": lambda b, s, t: weighted_boxes(b, KEEP, SCORES if s is None else s, t),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan, 50])
@pytest.mark.usefixtures("plain_calls")
def test_thresholds_out_of_range(name: str, threshold: float) -> None:
    message = f"iou_threshold must lie in 0..1, got {threshold}; write 0.5 for 50 %"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CALLS[name](BOXES, SCORES, threshold)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("plain_calls")
def test_wrong_boxes(name: str) -> None:
    message = "boxes must have shape [N, 4], got [4]; for one box write boxes[None]"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CALLS[name](torch.ones(4), SCORES, 0.5)
    with pytest.raises(TypeError, match=r"^boxes must be a torch\.Tensor, got list; "):
        CALLS[name]([[0, 0, 1, 1]], SCORES, 0.5)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "weighted_boxes"])
@pytest.mark.usefixtures("plain_calls")
def test_wrong_scores(name: str) -> None:
    message = "scores must have shape [N], one for each of the 3 boxes, got [3, 1]"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CALLS[name](BOXES, SCORES[:, None], 0.5)
    with pytest.raises(TypeError, match=r"^scores must be a torch\.Tensor, got list; "):
        CALLS[name](BOXES, [0.5, 0.5, 0.5], 0.5)
    with pytest.raises(ValueError, match=r"^scores must have shape .*, got \[2\]$"):
        CALLS[name](BOXES, SCORES[:2], 0.5)


WRONG: list[tuple[Callable, type, str]] = [
    (lambda: batched_nms(BOXES, SCORES, torch.arange(2), 0.5), ValueError, "idxs must have shape [N], one for each of the 3 boxes, got [2]"),
    (lambda: batched_nms(BOXES, SCORES, SCORES, 0.5), TypeError, "idxs must hold integers, got torch.float32; write idxs.long()"),
    (lambda: iou_guided_nms(BOXES, SCORES, SCORES[:1], 0.5), ValueError, "ious must have shape [N], one for each of the 3 boxes, got [1]"),
    (lambda: soft_nms(BOXES, SCORES, sigma=0), ValueError, "sigma must be above 0, got 0; the smaller, the sharper"),
    (lambda: soft_nms(BOXES, SCORES, method="hard"), ValueError, 'method must be "gaussian" or "linear", got \'hard\''),
    (lambda: weighted_boxes(BOXES, KEEP, SCORES, 0.5, -1), ValueError, "sigma_t must be above 0, got -1; the smaller, the sharper"),
    (lambda: weighted_boxes(BOXES, KEEP, SCORES[:2]), ValueError, "weights must have shape [N] or [N, 4], one or four for each of the 3 boxes, got [2]"),
    (lambda: weighted_boxes(BOXES, SCORES > 0, SCORES), ValueError, "keep must be int64 indices of shape [kept], got torch.bool [3]; from a mask, write mask.nonzero().squeeze(1)"),
    (lambda: settle(torch.ones(2, 3) > 0), ValueError, "overlaps must have shape [N, N], got [2, 3]; write box_iou(boxes, boxes) > iou_threshold"),
    (lambda: settle(torch.ones(2, 2)), TypeError, "overlaps must be booleans, got torch.float32; write overlaps > iou_threshold"),
    (lambda: settle([[True]]), TypeError, "overlaps must be a torch.Tensor, got list; write torch.as_tensor(overlaps)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), WRONG, ids=[m for _, _, m in WRONG])
@pytest.mark.usefixtures("plain_calls")
def test_other_wrong_values(call: Callable, kind: type, message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["sparse", "dense", "crowd"])
def test_the_gpu_answers_as_the_cpu_does(name: str) -> None:
    for n in (0, 1, 100, 5000):
        boxes, scores = many(name, max(n, 4))
        boxes, scores = boxes[:n], scores[:n]
        classes = torch.arange(n) % 50
        inputs = boxes.cuda(), scores.cuda()
        keep = nms(*inputs, 0.5)
        assert keep.is_cuda
        assert torch.equal(keep.cpu(), nms(boxes, scores, 0.5))
        batched = batched_nms(*inputs, classes.cuda(), 0.5)
        assert torch.equal(batched.cpu(), batched_nms(boxes, scores, classes, 0.5))
        if n <= 100:
            for gpu, cpu in (
                (soft_nms(*inputs), soft_nms(boxes, scores)),
                (iou_guided_nms(*inputs, inputs[1], 0.5), iou_guided_nms(boxes, scores, scores, 0.5)),
            ):  # fmt: skip
                assert torch.equal(gpu[0].cpu(), cpu[0])
                torch.testing.assert_close(gpu[1].cpu(), cpu[1])
        voted = weighted_boxes(inputs[0], keep[:50], inputs[1]).cpu()
        torch.testing.assert_close(voted, weighted_boxes(boxes, keep[:50].cpu(), scores))


# --- the best of what NMS keeps ------------------------------------------------------------------


def test_the_best_few_are_the_same_as_of_all() -> None:
    for number in range(CASES):
        boxes, scores, classes, threshold = case(number)
        everything = batched_nms(boxes, scores, classes, threshold)
        for most in (0, 1, 3, 10):
            best = best_kept(boxes, scores, classes, threshold, most)
            assert best.dtype == torch.int64
            assert best.tolist() == everything[:most].tolist(), (number, most)
