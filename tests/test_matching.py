"""Matching against a plain loop, and balanced samples: how many, which, and always the same."""

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

from course_lib.boxes import box_iou
from course_lib.matching import (
    BalancedPositiveNegativeSampler,
    Matcher,
    match_anchors,
    objectness_labels,
    sample_balanced,
)

# Few different values: many ties, and many that are a threshold exactly.
matrices = st.integers(0, 5).flatmap(
    lambda M: st.integers(0, 6).flatmap(
        lambda N: st.lists(st.sampled_from(range(9)), min_size=M * N, max_size=M * N).map(
            lambda eighths: torch.tensor(eighths, dtype=torch.float64).reshape(M, N) / 8
        )
    )
)
thresholds = st.tuples(st.sampled_from(range(9)), st.sampled_from(range(9))).map(
    lambda pair: (max(pair) / 8, min(pair) / 8)
)


def loop(quality: Tensor, high: float, low: float, low_quality: bool) -> list[int]:
    M, N = quality.shape
    rows = quality.tolist()
    answers = []
    for n in range(N):
        own, best = -1, -math.inf
        for m in range(M):
            if rows[m][n] > best:  # strictly: the first of equal truths stays
                own, best = m, rows[m][n]
        favourite = low_quality and any(rows[m][n] == max(rows[m]) > 0 for m in range(M))
        if best >= high or favourite:
            answers.append(own)
        elif best >= low:
            answers.append(Matcher.BETWEEN_THRESHOLDS)
        else:
            answers.append(Matcher.BELOW_LOW_THRESHOLD)
    return answers


# ------------------------------------------------------------------ matching


@given(quality=matrices, thresholds=thresholds, low_quality=st.booleans())
@settings(deadline=None, max_examples=100)
def test_matching_equals_a_loop(
    quality: Tensor, thresholds: tuple[float, float], low_quality: bool
) -> None:
    high, low = thresholds
    expected = loop(quality, high, low, low_quality) if len(quality) else [-1] * quality.shape[1]
    for answer in (
        match_anchors(quality, high, low, low_quality),
        Matcher(high, low, low_quality)(quality),
        match_anchors(quality.float(), high, low, low_quality),
    ):
        assert answer.dtype == torch.int64
        assert answer.tolist() == expected


def test_the_two_thresholds_by_hand() -> None:
    quality = torch.tensor([[0.9, 0.7, 0.69, 0.3, 0.29, 0.0], [0.1, 0.8, 0.0, 0.1, 0.2, 0.0]])
    assert match_anchors(quality, 0.7, 0.3).tolist() == [0, 1, -2, -2, -1, -1]
    assert match_anchors(quality, 0.5, 0.5).tolist() == [0, 1, 0, -1, -1, -1]  # nothing between
    assert match_anchors(quality, 0, 0).tolist() == [0, 1, 0, 0, 0, 0]


def test_low_quality_matches_take_in_ties() -> None:
    quality = torch.tensor([[0.2, 0.2, 0.1, 0.0], [0.0, 0.0, 0.4, 0.8]])
    assert match_anchors(quality, 0.7, 0.3).tolist() == [-1, -1, -2, 1]
    assert match_anchors(quality, 0.7, 0.3, True).tolist() == [0, 0, -2, 1]
    # Between the thresholds it counts as well.
    assert match_anchors(quality[1:, :3], 0.7, 0.3, True).tolist() == [-1, -1, 0]


def test_an_anchor_keeps_its_own_best_truth() -> None:
    # Truth 0 likes anchor 0 most, but anchor 0 overlaps truth 1 more: truth 0 goes without.
    quality = torch.tensor([[0.4, 0.1], [0.6, 0.2]])
    assert match_anchors(quality, 0.7, 0.3, True).tolist() == [1, -1]
    # An anchor that is matched anyway is not taken away by a truth that has nothing better.
    quality = torch.tensor([[0.4, 0.1], [0.8, 0.2]])
    assert match_anchors(quality, 0.7, 0.3, True).tolist() == [1, -1]


def test_of_equal_truths_the_first_one_counts() -> None:
    quality = torch.tensor([[0.8, 0.2], [0.8, 0.2]])
    assert match_anchors(quality, 0.7, 0.3).tolist() == [0, -1]
    assert match_anchors(quality, 0.9, 0.3, True).tolist() == [0, -1]


@pytest.mark.parametrize("low_quality", [False, True])
def test_without_truths_every_anchor_is_background(low_quality: bool) -> None:
    for answer in (
        match_anchors(torch.zeros(0, 5), 0.7, 0.3, low_quality),
        match_anchors(box_iou(torch.zeros(0, 4), torch.ones(5, 4)), 0.7, 0.3, low_quality),
        match_anchors(torch.zeros(0, 5), 0, 0, low_quality),
    ):
        assert answer.tolist() == [-1] * 5
        assert answer.dtype == torch.int64
    assert match_anchors(torch.zeros(3, 0), 0.7, 0.3, low_quality).shape == (0,)


def test_a_truth_that_nothing_overlaps_matches_nothing() -> None:
    truths = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])  # the second one is empty
    anchors = torch.tensor([[0.0, 0, 10, 10], [2, 2, 8, 8], [50, 50, 60, 60], [90, 90, 99, 99]])
    assert match_anchors(box_iou(truths, anchors), 0.7, 0.3, True).tolist() == [0, -2, -1, -1]


def test_nan_is_no_match() -> None:
    quality = torch.tensor([[math.nan, 0.8, 0.5], [0.2, 0.1, 0.9]])
    for low_quality in (False, True):
        assert match_anchors(quality, 0.7, 0.3, low_quality).tolist() == [-1, 0, 1]


def test_the_matrix_is_left_alone() -> None:
    quality = torch.rand(4, 9, generator=torch.Generator().manual_seed(0))
    before = quality.clone()
    match_anchors(quality, 0.7, 0.3, True)
    assert torch.equal(quality, before)


def test_every_truth_of_a_scene_gets_an_anchor() -> None:
    generator = torch.Generator().manual_seed(4)
    corner = torch.rand(2000, 2, generator=generator, dtype=torch.float64) * 400
    boxes = torch.cat(
        (corner, corner + 5 + 90 * torch.rand(2000, 2, generator=generator).double()), 1
    )
    quality = box_iou(boxes[:10], boxes[10:])
    assert (quality.amax(1) > 0).all()
    matches = Matcher(0.7, 0.3, True)(quality)
    assert matches.tolist() == loop(quality, 0.7, 0.3, True)
    assert set(matches.tolist()) >= set(range(10))
    assert (Matcher(0.7, 0.3)(quality) >= 0).sum() < 10  # without low-quality matches they do not


def test_the_constants_and_fields_of_the_matcher() -> None:
    matcher = Matcher(0.7, 0.3)
    assert (matcher.BELOW_LOW_THRESHOLD, matcher.BETWEEN_THRESHOLDS) == (-1, -2)
    assert (matcher.high_threshold, matcher.low_threshold) == (0.7, 0.3)
    assert not matcher.allow_low_quality_matches


# ------------------------------------------------------------------ labels and samples


def test_labels_of_matches() -> None:
    matches = torch.tensor([-1, -2, 0, 3])
    assert objectness_labels(matches).tolist() == [0, -1, 1, 1]
    assert objectness_labels(matches[:0]).shape == (0,)


def labelled(positives: int, negatives: int, ignored: int) -> Tensor:
    labels = torch.tensor([1, 7, 2] * positives)[:positives].tolist()
    labels = torch.tensor(labels + [0] * negatives + [-1] * ignored, dtype=torch.int64)
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(9))]


@pytest.mark.parametrize(
    ("positives", "negatives", "count", "share", "expected"),
    [
        (50, 500, 64, 0.5, (32, 32)),
        (50, 500, 64, 0.25, (16, 48)),
        (50, 500, 10, 0.25, (2, 8)),  # 2.5 rounds down
        (5, 500, 64, 0.5, (5, 59)),  # negatives take the places that are left
        (0, 500, 64, 0.5, (0, 64)),
        (50, 3, 64, 0.5, (32, 3)),  # positives do not
        (5, 3, 64, 0.5, (5, 3)),
        (50, 500, 64, 0, (0, 64)),
        (50, 500, 64, 1, (50, 14)),
        (80, 500, 64, 1, (64, 0)),
        (50, 500, 0, 0.5, (0, 0)),
        (0, 0, 64, 0.5, (0, 0)),
    ],
)
def test_how_many_are_sampled(
    positives: int, negatives: int, count: int, share: float, expected: tuple[int, int]
) -> None:
    labels = labelled(positives, negatives, ignored=40)
    for given_labels in (labels, labels.float()):  # the RPN's labels are floats in torchvision
        positive, negative = sample_balanced(given_labels, count, share)
        assert positive.dtype == negative.dtype == torch.bool
        assert positive.shape == negative.shape == labels.shape
        assert (int(positive.sum()), int(negative.sum())) == expected
        assert (labels[positive] >= 1).all()
        assert (labels[negative] == 0).all()


@given(
    labels=st.lists(st.integers(-2, 3), max_size=30),
    count=st.integers(0, 20),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_ignored_ones_are_never_sampled(
    labels: list[int], count: int, share: float, seed: int
) -> None:
    tensor = torch.tensor(labels, dtype=torch.int64)
    positive, negative = sample_balanced(tensor, count, share, torch.Generator().manual_seed(seed))
    assert not (positive & negative).any()
    assert (tensor[positive] >= 1).all()
    assert (tensor[negative] == 0).all()
    assert positive.sum() == min(int((tensor >= 1).sum()), int(count * share))
    assert positive.sum() + negative.sum() <= count


def test_a_generator_makes_the_choice_repeatable() -> None:
    labels = labelled(50, 500, 10)

    def draw(seed: int) -> Tensor:
        return torch.stack(sample_balanced(labels, 64, 0.5, torch.Generator().manual_seed(seed)))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    state = torch.get_rng_state()
    draw(1)
    assert torch.equal(state, torch.get_rng_state())


def test_all_are_sampled_alike() -> None:
    labels = labelled(20, 40, 5)
    generator = torch.Generator().manual_seed(0)
    times = torch.zeros(len(labels))
    for _ in range(2000):
        positive, negative = sample_balanced(labels, 20, 0.5, generator)
        times += positive.float() + negative.float()
    # Half of the positives and a quarter of the negatives each time; 5 standard deviations.
    assert (times[labels >= 1] - 1000).abs().max() < 5 * math.sqrt(2000 / 4)
    assert (times[labels == 0] - 500).abs().max() < 5 * math.sqrt(2000 * 3 / 16)
    assert (times[labels < 0] == 0).all()


def test_the_sampler_serves_several_images() -> None:
    sampler = BalancedPositiveNegativeSampler(64, 0.5)
    images = [labelled(50, 500, 10), labelled(3, 100, 0), labelled(0, 0, 0)]
    positive, negative = sampler(images, torch.Generator().manual_seed(2))
    assert [int(mask.sum()) for mask in positive] == [32, 3, 0]
    assert [int(mask.sum()) for mask in negative] == [32, 61, 0]
    assert [mask.shape for mask in positive] == [labels.shape for labels in images]
    again, _ = sampler(images, torch.Generator().manual_seed(2))
    assert all(torch.equal(a, b) for a, b in zip(positive, again, strict=True))
    first = sample_balanced(images[0], 64, 0.5, torch.Generator().manual_seed(2))
    assert torch.equal(first[0], positive[0])
    assert torch.equal(first[1], negative[0])
    assert sampler([]) == ([], [])


# ------------------------------------------------------------------ wrong calls, and other devices

LABELS = torch.zeros(5)
WRONG: list[tuple[Callable, type[Exception], str]] = [
    (lambda: Matcher(0.3, 0.7), ValueError, "got high_threshold=0.3 and low_threshold=0.7"),
    (lambda: match_anchors(torch.zeros(2, 2), 0.3, 0.7), ValueError, "low_threshold must not be above high_threshold"),
    (lambda: match_anchors(LABELS, 0.7, 0.3), ValueError, "a row for each truth, got [5]; try box_iou(truths, anchors)"),
    (lambda: match_anchors([[0.5]], 0.7, 0.3), TypeError, "match_quality_matrix must be a torch.Tensor, got list"),
    (lambda: sample_balanced(LABELS[None], 3, 0.5), ValueError, "must have shape [N], got [1, 5]; give one image at a time"),
    (lambda: sample_balanced([1, 0], 3, 0.5), TypeError, "matched_idxs must be a torch.Tensor, got list"),
    (lambda: sample_balanced(LABELS, -3, 0.5), ValueError, "the count must be 0 or more"),
    (lambda: BalancedPositiveNegativeSampler(3, 1.5), ValueError, "positive_fraction in 0..1, got 3 and 1.5"),
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
    quality = (torch.rand(20, 5000, generator=torch.Generator().manual_seed(1)) * 16).round() / 16
    for low_quality in (False, True):
        there = match_anchors(quality.cuda(), 0.99, 0.5, low_quality)
        assert there.is_cuda
        assert torch.equal(there.cpu(), match_anchors(quality, 0.99, 0.5, low_quality))
    labels = labelled(50, 500, 10)
    here = sample_balanced(labels, 64, 0.5, torch.Generator().manual_seed(1))
    there = sample_balanced(labels.cuda(), 64, 0.5, torch.Generator().manual_seed(1))
    own = sample_balanced(labels.cuda(), 64, 0.5, torch.Generator("cuda").manual_seed(1))
    for a, b, c in zip(here, there, own, strict=True):
        assert b.is_cuda
        assert torch.equal(a, b.cpu())
        assert a.sum() == c.sum().cpu()
