"""course_lib.metrics, from matching to average precision, against loops and worked examples."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from course_lib.metrics import (
    average_precision_11,
    average_precision_101,
    average_precision_all,
    coco_average_precision,
    f_beta,
    match_coco,
    match_voc,
    precision_envelope,
    precision_recall,
    precision_recall_curve,
)

AVERAGES = (average_precision_11, average_precision_all, average_precision_101)
each_average = pytest.mark.parametrize("average", AVERAGES, ids=lambda f: f.__name__)


def given(**strategies: st.SearchStrategy) -> Callable[[Callable], Callable]:
    """hypothesis.given without a time limit: a busy machine is no error."""
    unhurried = hypothesis.settings(deadline=None, max_examples=40)
    return lambda test: unhurried(hypothesis.given(**strategies)(test))


@pytest.fixture
def plain_calls() -> Iterator[None]:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def bools(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)


# Few different IoUs, so that many are equal and many lie on the threshold.
some_iou = st.sampled_from([0.0, 0.3, 0.5, 0.5, 0.7, 1.0])


@st.composite
def tables(draw: st.DrawFn) -> Tensor:
    D, G = draw(st.integers(0, 6)), draw(st.integers(0, 5))
    rows = draw(st.lists(some_iou, min_size=D * G, max_size=D * G))
    return torch.tensor(rows, dtype=torch.float64).reshape(D, G)


@st.composite
def detections(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """Scores, verdicts, positives."""
    D = draw(st.integers(0, 12))
    scores = draw(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=D, max_size=D))
    correct = draw(st.lists(st.booleans(), min_size=D, max_size=D))
    positives = sum(correct) + draw(st.integers(0, 4))
    return torch.tensor(scores, dtype=torch.float64), bools(*correct), positives


# --- matching ------------------------------------------------------------------------------------


def test_coco_takes_the_next_best_truth_and_voc_does_not() -> None:
    # Both detections like truth 0 best. The second one overlaps truth 1 well enough, too.
    ious = torch.tensor([[0.9, 0.6], [0.8, 0.7]])
    assert match_coco(ious, 0.5).tolist() == [0, 1]
    assert match_voc(ious, 0.5).tolist() == [0, -1]


@pytest.mark.parametrize("match", [match_coco, match_voc])
def test_a_second_detection_of_one_truth_finds_nothing(match: Callable) -> None:
    assert match(torch.tensor([[0.6], [0.9]]), 0.5).tolist() == [0, -1]


@pytest.mark.parametrize("match", [match_coco, match_voc])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_iou_on_the_threshold_is_enough(match: Callable, dtype: torch.dtype) -> None:
    for threshold in (0.5, 0.7, 0.75, 1, 1.0):
        ious = torch.tensor([[threshold]], dtype=dtype)
        assert match(ious, threshold).tolist() == [0]
        assert match(ious - 1e-6, threshold).tolist() == [-1]


def test_coco_forgives_rounding_at_a_threshold_of_one() -> None:
    assert match_coco(torch.tensor([[1 - 5e-11]], dtype=torch.float64), 1.0).tolist() == [0]


def test_of_equal_ious_coco_takes_the_later_truth_and_voc_the_first() -> None:
    ious = torch.tensor([[0.6, 0.8, 0.8, 0.3]])
    assert match_coco(ious, 0.5).tolist() == [2]
    assert match_voc(ious, 0.5).tolist() == [1]


def test_an_ignored_truth_is_the_last_resort() -> None:
    ious = torch.tensor([[0.6, 0.9], [0.6, 0.9], [0.6, 0.9]])
    assert match_coco(ious, 0.5, ignored=bools(0, 1)).tolist() == [0, 1, -1]


def test_a_crowd_takes_all_comers() -> None:
    ious = torch.tensor([[0.9, 0.6], [0.9, 0.6], [0.9, 0.4]])
    assert match_coco(ious, 0.5, crowd=bools(1, 0)).tolist() == [1, 0, 0]
    assert match_coco(ious, 0.5, ignored=bools(1, 0), crowd=bools(1, 0)).tolist() == [1, 0, 0]


def test_a_difficult_truth_takes_all_comers() -> None:
    assert match_voc(torch.tensor([[0.9], [0.6]]), 0.5, difficult=bools(1)).tolist() == [0, 0]


@pytest.mark.parametrize("match", [match_coco, match_voc])
def test_no_truths_and_no_detections(match: Callable) -> None:
    assert match(torch.zeros(3, 0), 0.5).tolist() == [-1, -1, -1]
    assert match(torch.zeros(0, 3), 0.5).shape == (0,)
    assert match(torch.zeros(0, 0), 0.5).dtype == torch.int64


def slow_coco(ious: list, threshold: float, ignored: list, crowd: list) -> list[int]:
    """pycocotools' own loop over the truths, regular ones first."""
    matches, taken = [], set()
    order = sorted(range(len(ignored)), key=lambda g: ignored[g])
    for row in ious:
        best, at_least = -1, min(threshold, 1 - 1e-10)
        for g in order:
            if g in taken and not crowd[g]:
                continue
            if best > -1 and not ignored[best] and ignored[g]:
                break
            if row[g] >= at_least:
                best, at_least = g, row[g]
        matches.append(best)
        taken.add(best)
    return matches


@given(ious=tables(), threshold=st.sampled_from([0.3, 0.5, 0.7, 1.0]), seed=st.integers(0, 99))
def test_match_coco_equals_the_loop_of_pycocotools(
    ious: Tensor, threshold: float, seed: int
) -> None:
    marks = torch.rand(2, ious.shape[1], generator=torch.Generator().manual_seed(seed)) < 0.4
    ignored, crowd = marks[0], marks[0] & marks[1]
    expected = slow_coco(ious.tolist(), threshold, ignored.tolist(), crowd.tolist())
    assert match_coco(ious, threshold, ignored=ignored, crowd=crowd).tolist() == expected


@given(ious=tables(), threshold=st.sampled_from([0.3, 0.5, 0.7]))
def test_each_truth_is_found_at_most_once_and_well_enough(ious: Tensor, threshold: float) -> None:
    for match in (match_coco, match_voc):
        found = match(ious, threshold)
        taken = found[found >= 0]
        assert len(taken.unique()) == len(taken)
        assert (ious[found >= 0, taken] >= threshold).all()


@given(seed=st.integers(0, 10**6), D=st.integers(0, 8), G=st.integers(0, 5))
def test_each_truth_that_voc_finds_is_found_by_coco(seed: int, D: int, G: int) -> None:
    ious = torch.rand(D, G, generator=torch.Generator().manual_seed(seed))  # none are equal
    assert set(match_voc(ious, 0.5).tolist()) <= {-1, *match_coco(ious, 0.5).tolist()}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: match_coco([[0.5]], 0.5), r"ious must be a torch.Tensor, got list"),
        (lambda: match_coco(torch.zeros(3), 0.5), r"matrix of floats \[D, G\], got \[3\]"),
        (lambda: match_voc(torch.zeros(3, 1).long(), 0.5), r"got \[3, 1\] of torch.int64"),
        (
            lambda: match_coco(torch.zeros(3, 2), 0.5, crowd=bools(1)),
            r"crowd must be booleans \[G\] = \[2\], .*got \[1\] of torch.bool",
        ),
        (
            lambda: match_voc(torch.zeros(3, 2), 0.5, difficult=torch.zeros(2)),
            r"difficult must be booleans .*got \[2\] of torch.float32",
        ),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_match_explains_a_wrong_call(call: Callable, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


# --- precision and recall ------------------------------------------------------------------------


def test_precision_recall_and_f_by_hand() -> None:
    assert precision_recall(3, 1, 2) == (0.75, 0.6)
    assert f_beta(3, 1, 2) == pytest.approx(2 / (1 / 0.75 + 1 / 0.6))
    assert f_beta(3, 1, 2, beta=2) == pytest.approx(15 / 24)  # 5 TP / (5 TP + 4 FN + FP)
    assert f_beta(3, 1, 2, beta=0) == pytest.approx(0.75)
    assert f_beta(3, 1, 2, beta=1e6) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((0, 0, 0), (0, 0)), ((0, 3, 0), (0, 0)), ((0, 0, 3), (0, 0)), ((2, 0, 0), (1, 1))],
)
def test_nothing_said_or_nothing_there_is_0(counts: tuple, expected: tuple) -> None:
    assert precision_recall(*counts) == expected
    assert f_beta(*counts) == float(counts[0] > 0)


@given(tp=st.integers(1, 99), fp=st.integers(0, 99), fn=st.integers(0, 99), beta=st.floats(0, 9))
def test_f_beta_lies_between_precision_and_recall(tp: int, fp: int, fn: int, beta: float) -> None:
    low, high = sorted(precision_recall(tp, fp, fn))
    f = f_beta(tp, fp, fn, beta)
    assert low - 1e-12 <= f <= high + 1e-12
    assert f == pytest.approx((1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp))


def test_counts_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="fp is a count and cannot be -1"):
        precision_recall(1, -1, 0)
    with pytest.raises(ValueError, match="beta must be 0 or more"):
        f_beta(1, 1, 1, beta=-1)


def test_the_curve_by_hand() -> None:
    scores = torch.tensor([0.3, 0.9, 0.8, 0.6, 0.7])
    correct = bools(1, 1, 0, 1, 0)  # by score: 1 0 0 1 1
    precision, recall = precision_recall_curve(scores, correct, positives=4)
    torch.testing.assert_close(precision, torch.tensor([1, 1 / 2, 1 / 3, 2 / 4, 3 / 5]))
    torch.testing.assert_close(recall, torch.tensor([1, 1, 1, 2, 3]) / 4)
    torch.testing.assert_close(precision_envelope(precision), torch.tensor([1, 0.6, 0.6, 0.6, 0.6]))


def test_equal_scores_keep_their_order() -> None:
    scores = torch.full((40,), 0.5)
    correct = torch.arange(40) % 3 == 0
    precision, _ = precision_recall_curve(scores, correct, 20)
    torch.testing.assert_close(precision, correct.cumsum(0) / torch.arange(1, 41))


@pytest.mark.parametrize(
    ("given_dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_the_curve_has_the_dtype_of_the_scores(
    given_dtype: torch.dtype, expected: torch.dtype
) -> None:
    curve = precision_recall_curve(torch.tensor([0.5, 0.6], dtype=given_dtype), bools(1, 0), 1)
    assert [part.dtype for part in curve] == [expected, expected]
    assert all(average(*curve).dtype == expected for average in AVERAGES)


@given(case=detections())
def test_curves_behave(case: tuple) -> None:
    scores, correct, positives = case
    precision, recall = precision_recall_curve(scores, correct, positives)
    envelope = precision_envelope(precision)
    assert ((precision >= 0) & (precision <= 1) & (recall >= 0) & (recall <= 1)).all()
    assert (recall.diff() >= 0).all()
    assert (envelope.diff() <= 0).all()
    assert (envelope >= precision).all()
    assert torch.equal(precision_envelope(envelope), envelope)
    for d in range(len(scores)):
        assert envelope[d] == precision[d:].max()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: precision_recall_curve(torch.rand(3), bools(1, 0), 2),
            r"must have one shape \[D\], .* got \[3\] and \[2\]",
        ),
        (
            lambda: precision_recall_curve(torch.rand(2), torch.ones(2), 2),
            r"correct must be booleans, got torch.float32",
        ),
        (
            lambda: precision_recall_curve(torch.rand(2), bools(1, 1), 1),
            "2 detections are correct, but there are only 1 positives",
        ),
        (
            lambda: precision_recall_curve(torch.tensor([math.nan]), bools(1), 1),
            "scores hold NaN",
        ),
        (lambda: precision_envelope(torch.rand(2, 2)), r"shape \[D\], got \[2, 2\]"),
        (lambda: average_precision_11(torch.rand(2), torch.rand(3)), r"got \[2\] and \[3\]"),
        (
            lambda: average_precision_all(torch.ones(2), torch.tensor([0.5, 0.4])),
            "recall must never decrease",
        ),
        (
            lambda: average_precision_101(torch.ones(2), torch.tensor([0, 1])),
            "must hold floats, got torch.float32 and torch.int64",
        ),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_curves_explain_a_wrong_call(call: Callable, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


# --- average precision ---------------------------------------------------------------------------


def test_the_three_averages_by_hand() -> None:
    # By score: right, wrong, right, right, wrong; 4 truths.
    precision = torch.tensor([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5], dtype=torch.float64)
    recall = torch.tensor([1, 1, 2, 3, 3], dtype=torch.float64) / 4
    # Height 1 up to recall 1/4, 3/4 up to 3/4, then 0.
    assert average_precision_all(precision, recall).item() == pytest.approx(1 / 4 + 3 / 4 / 2)
    # 0, 0.1, 0.2 | 0.3 … 0.7 | 0.8, 0.9, 1
    assert average_precision_11(precision, recall).item() == pytest.approx((3 + 5 * 0.75) / 11)
    # 0, 0.01, … 0.25 | 0.26 … 0.75 | the rest
    assert average_precision_101(precision, recall).item() == pytest.approx((26 + 50 * 0.75) / 101)


def slow_averages(scores: Tensor, correct: Tensor, positives: int) -> tuple[Fraction, ...]:
    """In exact fractions, from the n-th truth found instead of from the d-th detection."""
    if positives == 0:
        return Fraction(0), Fraction(0), Fraction(0)
    order = sorted(range(len(scores)), key=lambda d: (-scores[d].item(), d))
    ranks = [place + 1 for place, d in enumerate(order) if correct[d]]
    precision = [Fraction(n + 1, rank) for n, rank in enumerate(ranks)]  # when n + 1 are found

    def height(recall: Fraction) -> Fraction:
        good = [p for n, p in enumerate(precision) if Fraction(n + 1, positives) >= recall]
        return max(good, default=Fraction(0))

    def height_at_float(recall: float) -> Fraction:
        # COCO's points are floats: a little above 0.07, so that 7 of 100 do not reach it.
        good = [p for n, p in enumerate(precision) if (n + 1) / positives >= recall]
        return max(good, default=Fraction(0))

    eleven = sum(height(Fraction(r, 10)) for r in range(11)) / Fraction(11)
    every = sum(height(Fraction(n + 1, positives)) for n in range(positives)) / Fraction(positives)
    hundred = sum(height_at_float(r) for r in np.linspace(0, 1, 101).tolist()) / Fraction(101)
    return eleven, every, hundred


@given(case=detections())
def test_averages_equal_exact_fractions(case: tuple) -> None:
    curve = precision_recall_curve(*case)
    exact = slow_averages(*case)
    for average, expected in zip(AVERAGES, exact, strict=True):
        assert average(*curve).item() == pytest.approx(float(expected), abs=1e-12)


@each_average
def test_the_best_and_the_worst(average: Callable) -> None:
    nothing = torch.zeros(0)
    assert average(nothing, nothing).item() == 0
    assert average(nothing, nothing).shape == ()
    perfect = precision_recall_curve(torch.rand(7), torch.ones(7).bool(), 7)
    assert average(*perfect).item() == pytest.approx(1)
    wrong = precision_recall_curve(torch.rand(7), torch.zeros(7).bool(), 7)
    assert average(*wrong).item() == 0
    unasked = precision_recall_curve(torch.rand(7), torch.zeros(7).bool(), 0)
    assert average(*unasked).item() == 0


@each_average
@given(case=detections())
def test_average_lies_in_0_to_1_and_only_the_order_of_scores_counts(
    average: Callable, case: tuple
) -> None:
    scores, correct, positives = case
    value = average(*precision_recall_curve(scores, correct, positives))
    assert 0 <= value <= 1 + 1e-12
    squashed = torch.sigmoid(20 * scores - 3)
    assert average(*precision_recall_curve(squashed, correct, positives)) == value


@each_average
@given(case=detections())
def test_what_helps_and_what_hurts(average: Callable, case: tuple) -> None:
    scores, correct, positives = case

    def ap(*extra: tuple[float, bool]) -> float:
        more = torch.tensor([score for score, _ in extra], dtype=torch.float64)
        verdicts = torch.tensor([right for _, right in extra], dtype=torch.bool)
        curve = precision_recall_curve(
            torch.cat((scores, more)), torch.cat((correct, verdicts)), positives + 1
        )
        return average(*curve).item()

    plain = ap()
    assert ap((0.01, False)) == pytest.approx(
        plain, abs=1e-12
    )  # clutter below everything costs nothing
    assert ap((0.99, False)) <= plain + 1e-12  # clutter above everything does
    assert ap((0.99, True)) >= plain - 1e-12
    assert ap((0.99, True)) >= ap((0.01, True)) - 1e-12 >= plain - 1e-11


def test_eleven_points_reach_exact_tenths() -> None:
    # 3 of 10 found: the points 0, 0.1, 0.2 and 0.3.
    for dtype in (torch.float32, torch.float64):
        curve = precision_recall_curve(torch.rand(3, dtype=dtype), bools(1, 1, 1), 10)
        assert average_precision_11(*curve).item() == pytest.approx(4 / 11)


# --- COCO's AP of one class ----------------------------------------------------------------------


def test_coco_average_precision_by_hand() -> None:
    # One truth, found with IoU 0.72: at the thresholds 0.50, 0.55, 0.60, 0.65 and 0.70.
    found = [torch.tensor([[0.72]])]
    assert coco_average_precision(found, [torch.tensor([0.9])]).item() == pytest.approx(0.5)
    # A second image, whose only detection is wrong and scores higher.
    ious, scores = [*found, torch.zeros(1, 0)], [torch.tensor([0.9]), torch.tensor([0.95])]
    assert coco_average_precision(ious, scores).item() == pytest.approx(0.25)


def test_coco_average_precision_sorts_each_image_by_score() -> None:
    table, scores = torch.tensor([[0.6, 0.0], [0.9, 0.8]]), torch.tensor([0.2, 0.7])
    turned = coco_average_precision([table.flip(0)], [scores.flip(0)])
    assert coco_average_precision([table], [scores]) == turned
    # Row 1 goes first and takes truth 0; row 0 then finds nothing: one of two, at 0.50 … 0.90.
    assert turned.item() == pytest.approx(9 / 10 * 51 / 101)


def test_coco_average_precision_of_nothing_is_0() -> None:
    nothing = torch.zeros(0)
    for ious, scores in (
        ([], []),
        ([torch.zeros(0, 3)], [nothing]),
        ([torch.zeros(2, 0)], [torch.rand(2)]),
        ([torch.zeros(0, 0)], [nothing]),
    ):
        assert coco_average_precision(ious, scores).item() == 0
        assert coco_average_precision(ious, scores).shape == ()


def test_coco_average_precision_explains_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="an entry for each image, got 1 and 0"):
        coco_average_precision([torch.rand(1, 1)], [])
    with pytest.raises(ValueError, match="image 0 has 2 rows of IoUs but 1 scores"):
        coco_average_precision([torch.rand(2, 1)], [torch.rand(1)])


@given(seed=st.integers(0, 10_000))
def test_coco_average_precision_is_the_mean_over_thresholds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = [torch.as_tensor(rng.random((rng.integers(0, 6), rng.integers(0, 4)))) for _ in "abc"]
    scores = [torch.as_tensor(rng.integers(0, 5, len(table)) / 4) for table in tables]
    positives = sum(table.shape[1] for table in tables)
    values = []
    for threshold in np.linspace(0.5, 0.95, 10):
        rows = []  # (score, image, place, found)
        for i, (table, said) in enumerate(zip(tables, scores, strict=True)):
            order = sorted(range(len(said)), key=lambda d: (-said[d].item(), d))
            free = [False] * table.shape[1]
            found = slow_coco([table[d].tolist() for d in order], threshold, free, free)
            rows += [(-said[d].item(), i, n, found[n] >= 0) for n, d in enumerate(order)]
        right = bools(*(row[3] for row in sorted(rows)))
        fake = -torch.arange(len(right), dtype=torch.float64)
        values.append(average_precision_101(*precision_recall_curve(fake, right, positives)))
    assert coco_average_precision(tables, scores).item() == pytest.approx(
        np.mean(values), abs=1e-12
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_everything_answers_on_the_device_it_is_asked_on() -> None:
    ious = torch.rand(6, 4)
    for match in (match_coco, match_voc):
        there = match(ious.cuda(), 0.5)
        assert there.is_cuda
        assert torch.equal(there.cpu(), match(ious, 0.5))
    scores, correct = torch.rand(6), bools(1, 0, 1, 1, 0, 1)
    here = precision_recall_curve(scores, correct, 5)
    there = precision_recall_curve(scores.cuda(), correct.cuda(), 5)
    for average in AVERAGES:
        torch.testing.assert_close(average(*there).cpu(), average(*here))
    assert coco_average_precision([ious.cuda()], [scores.cuda()]).cpu() == coco_average_precision(
        [ious], [scores]
    )
