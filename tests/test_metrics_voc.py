"""evaluate_voc against worked examples and a slow evaluation of another build."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import hypothesis
import jaxtyping
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from course_lib.metrics import VocResult, evaluate_voc

Images = list[dict[str, Tensor]]


@pytest.fixture
def plain_calls() -> Iterator[None]:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def image(boxes: list, labels: list, **more: list) -> dict[str, Tensor]:
    """Boxes as numbers, the other columns as they are."""
    columns = {name: torch.tensor(values, dtype=torch.float64) for name, values in more.items()}
    if "difficult" in columns:
        columns["difficult"] = columns["difficult"].bool()
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        **columns,
    }


A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]
HALF_OF_A = [0, 0, 10, 5]  # IoU with A is 1/2 exactly


# --- by hand ------------------------------------------------------------------------------------


def test_two_images_by_hand() -> None:
    targets = [image([A, B], [1, 1]), image([A], [1])]
    outputs = [
        image([A, FAR, B], [1, 1, 1], scores=[0.9, 0.8, 0.5]),
        image([FAR, A], [1, 1], scores=[0.6, 0.7]),
    ]
    # By score: right 1/1, wrong, right 2/3, wrong, right 3/5; 3 truths.
    result = evaluate_voc(targets, outputs)
    assert result.class_ap[1] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    precision, recall = result.curves[1]
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4, 3 / 5])
    assert recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    # 0 … 0.3 | 0.4 … 0.6 | 0.7 … 1
    eleven = evaluate_voc(targets, outputs, year=2007)
    assert eleven.class_ap[1] == pytest.approx((4 + 3 * 2 / 3 + 4 * 3 / 5) / 11)


def test_an_iou_on_the_threshold_is_enough() -> None:
    targets, outputs = [image([A], [1])], [image([HALF_OF_A], [1], scores=[0.5])]
    assert evaluate_voc(targets, outputs).mean_ap == 1
    assert evaluate_voc(targets, outputs, iou_threshold=0.51).mean_ap == 0


def test_the_second_detection_of_a_truth_is_wrong() -> None:
    targets = [image([A, B], [1, 1])]
    outputs = [image([A, A, B], [1, 1, 1], scores=[0.9, 0.8, 0.7])]
    assert evaluate_voc(targets, outputs).mean_ap == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_does_not_fall_back_on_its_second_best_truth() -> None:
    close = [0, 0, 10, 9]
    targets = [image([A, close], [1, 1])]
    outputs = [image([A, [0, 0, 10, 9.6]], [1, 1], scores=[0.9, 0.8])]
    assert evaluate_voc(targets, outputs).mean_ap == pytest.approx(1 / 2)


def test_difficult_truths_do_not_count() -> None:
    targets = [image([A, B], [1, 1], difficult=[1, 0])]
    right = image([B], [1], scores=[0.5])
    assert evaluate_voc(targets, [right]).mean_ap == 1, "a miss of a difficult one costs nothing"
    twice = image([A, A, B], [1, 1, 1], scores=[0.9, 0.8, 0.5])
    assert evaluate_voc(targets, [twice]).mean_ap == 1, "nor do detections of it"
    assert len(evaluate_voc(targets, [twice]).curves[1][0]) == 1


def test_classes_are_apart_and_only_those_with_truths_count() -> None:
    targets = [image([A, B, FAR], [1, 2, 4], difficult=[0, 0, 1])]
    outputs = [image([A, A, B], [1, 2, 3], scores=[0.9, 0.8, 0.7])]
    result = evaluate_voc(targets, outputs)
    assert result.class_ap == {1: 1, 2: 0}  # 3 has no truth, 4 none that is not difficult
    assert result.mean_ap == 0.5
    assert str(result).splitlines() == [
        " label  AP",
        "     1  1.000",
        "     2  0.000",
        "  mean  0.500",
    ]


@pytest.mark.parametrize("year", [2007, 2010])
def test_nothing(year: int) -> None:
    nothing, none_said = image([], []), image([], [], scores=[])
    assert evaluate_voc([image([A], [1])], [none_said], year).class_ap == {1: 0}
    for targets, outputs in (
        ([], []),
        ([nothing], [none_said]),
        ([nothing], [image([A], [1], scores=[1])]),
    ):
        result = evaluate_voc(targets, outputs, year)
        assert result.class_ap == {}
        assert result.mean_ap == -1


# --- another build: one loop over all detections of all images ------------------------------------


def exact_iou(a: list[float], b: list[float]) -> Fraction:
    a, b = [Fraction(v) for v in a], [Fraction(v) for v in b]
    w = max(min(a[2], b[2]) - max(a[0], b[0]), Fraction(0))
    h = max(min(a[3], b[3]) - max(a[1], b[1]), Fraction(0))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union else Fraction(0)


def slow_voc(targets: Images, outputs: Images, label: int, year: int) -> Fraction | None:
    """As VOCevaldet.m and VOCap.m go about it, in exact fractions."""
    said, todo, difficult = [], {}, {}
    for i, (target, output) in enumerate(zip(targets, outputs, strict=True)):
        for g, box in enumerate(target["boxes"].tolist()):
            if target["labels"][g] == label:
                todo[i, g] = box
                difficult[i, g] = "difficult" in target and bool(target["difficult"][g])
        for d, box in enumerate(output["boxes"].tolist()):
            if output["labels"][d] == label:
                said.append((-output["scores"][d].item(), i, d, box))
    positives = sum(not hard for hard in difficult.values())
    if positives == 0:
        return None
    taken, tp, fp, curve = set(), 0, 0, []
    for _, i, _, box in sorted(said, key=lambda row: row[:3]):
        ious = [(exact_iou(box, truth), -g, g) for (where, g), truth in todo.items() if where == i]
        best, _, g = max(ious, default=(Fraction(-1), 0, -1))
        if best >= Fraction(1, 2):
            if difficult[i, g]:
                continue
            tp, fp = (tp, fp + 1) if (i, g) in taken else (tp + 1, fp)
            taken.add((i, g))
        else:
            fp += 1
        curve.append((Fraction(tp, positives), Fraction(tp, tp + fp)))
    if year == 2007:
        tops = [max((p for r, p in curve if r >= Fraction(t, 10)), default=0) for t in range(11)]
        return sum(tops, Fraction(0)) / 11
    area, before = Fraction(0), Fraction(0)
    for recall in sorted({r for r, _ in curve}):
        area += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return area


# Small numbers, so that IoUs of exactly 1/2, equal boxes and empty ones are common.
small_box = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(0, 4)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@st.composite
def voc_datasets(draw: st.DrawFn) -> tuple[Images, Images]:
    targets, outputs = [], []
    for _ in range(draw(st.integers(0, 3))):
        boxes = draw(st.lists(small_box, max_size=4))
        labels = [draw(st.integers(1, 2)) for _ in boxes]
        hard = (
            {"difficult": [draw(st.integers(0, 3)) == 0 for _ in boxes]}
            if draw(st.booleans())
            else {}
        )
        targets.append(image(boxes, labels, **hard))
        said = draw(
            st.lists(small_box if not boxes else small_box | st.sampled_from(boxes), max_size=6)
        )
        labels = [draw(st.integers(1, 2)) for _ in said]
        scores = [draw(st.sampled_from([0.25, 0.5, 0.75])) for _ in said]
        outputs.append(image(said, labels, scores=scores))
    return targets, outputs


@pytest.mark.parametrize("year", [2007, 2010])
@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(pair=voc_datasets())
def test_equals_a_slow_evaluation(year: int, pair: tuple[Images, Images]) -> None:
    result = evaluate_voc(*pair, year)
    for label in (1, 2):
        expected = slow_voc(*pair, label, year)
        if expected is None:
            assert label not in result.class_ap
        else:
            assert result.class_ap[label] == pytest.approx(float(expected), abs=1e-12)


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(pair=voc_datasets())
def test_only_the_order_of_scores_counts(pair: tuple[Images, Images]) -> None:
    targets, outputs = pair
    result = evaluate_voc(targets, outputs)
    squashed = [{**output, "scores": output["scores"] ** 3 / 9} for output in outputs]
    assert evaluate_voc(targets, squashed).class_ap == result.class_ap
    assert all(0 <= ap <= 1 + 1e-12 for ap in result.class_ap.values())
    assert isinstance(result, VocResult)


def test_many_random_boxes_equal_the_slow_evaluation() -> None:
    generator = torch.Generator().manual_seed(0)
    targets, outputs = [], []
    for _ in range(12):
        corner = torch.rand(8, 2, generator=generator, dtype=torch.float64) * 60
        boxes = torch.cat((corner, corner + 20), 1)
        labels = torch.randint(1, 4, (8,), generator=generator)
        targets.append({"boxes": boxes, "labels": labels})
        said = boxes.repeat(3, 1) + torch.randn(24, 4, generator=generator, dtype=torch.float64) * 3
        scores = torch.rand(24, generator=generator, dtype=torch.float64)
        outputs.append({"boxes": said, "labels": labels.repeat(3), "scores": scores})
    for year in (2007, 2010):
        result = evaluate_voc(targets, outputs, year)
        for label in (1, 2, 3):
            expected = float(slow_voc(targets, outputs, label, year))
            assert result.class_ap[label] == pytest.approx(expected, abs=1e-12)
            assert 0.1 < expected < 0.9


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: evaluate_voc([], [], 2012),
            r"year must be 2007 \(11 points\) or 2010 .* got 2012",
        ),
        (lambda: evaluate_voc([image([A], [1])], []), "one entry for each image, got 1 and 0"),
        (
            lambda: evaluate_voc([image([A], [1])], [image([A], [1])]),
            r"outputs\[0\] must have 'scores', it has 'boxes', 'labels'",
        ),
        (
            lambda: evaluate_voc(
                [image([A], [1], difficult=[0, 1])], [image([A], [1], scores=[1])]
            ),
            r"targets\[0\]\['difficult'\] must have shape \[1\] as boxes, got \[2\]",
        ),
    ],
)
def test_errors_say_what_is_wrong_and_where(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
