"""What a student sees: reports, hints, errors, pictures."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from autograde import check, hint
from autograde.student.check import CheckFailed, NotAttempted, public_sheets
from autograde.student.marking import mark
from autograde.student.report import html_report, text_report
from autograde.student.runner import run_cases
from course_lib import boxes


def box_iou_unclamped(a, b, fmt="xyxy"):
    side = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(
        a[:, None, :2], b[None, :, :2]
    )
    inter = side.prod(-1)
    area = lambda x: (x[:, 2:] - x[:, :2]).prod(1)  # noqa: E731
    union = area(a)[:, None] + area(b)[None] - inter
    return torch.where(union > 0, inter / union.clamp(min=1e-9), 0)


def own_area(b, fmt="xyxy"):
    if fmt == "cxcywh":
        return b[:, 2] * b[:, 3]
    return (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])


def test_right_answer(capsys: pytest.CaptureFixture[str]) -> None:
    check("box_area", own_area)
    out = capsys.readouterr().out
    assert out.startswith("✓ box_area: all 6 cases right")


def test_wrong_answer_is_diagnosed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckFailed, match="not right yet"):
        check("box_iou", box_iou_unclamped)
    out = capsys.readouterr().out
    assert "→ Both side lengths came out negative" in out
    assert re.search(r"✗ boxes that do not overlap +expected 0.0 +got 0\.\d+ \*", out)
    assert "boxes1[0] = [" in out
    assert '`hint("box_iou")` opens the first of 4 hints.' in out


def test_failure_has_a_picture() -> None:
    sheet = public_sheets()["box_iou"]
    marks = mark(sheet, list(run_cases(box_iou_unclamped, sheet["cases"])))
    page = html_report(sheet, marks)
    assert re.search(r'<img alt="boxes1\[0\] \[[^"]+" src="data:image/png;base64,', page)
    assert "<script" not in page


def test_not_attempted(capsys: pytest.CaptureFixture[str]) -> None:
    def box_area(b, fmt="xyxy"):
        raise NotImplementedError("box_area: not attempted yet")

    with pytest.raises(NotAttempted, match="box_area: not attempted yet"):
        check("box_area", box_area)
    assert "○ box_area: not attempted yet" in capsys.readouterr().out


def test_a_stub_that_converts_formats_first_is_not_attempted() -> None:
    def f(b, fmt="xyxy"):
        raise NotImplementedError(
            f"{'box_area' if fmt == 'xyxy' else 'box_convert'}: not attempted yet"
        )

    assert report_of("box_area", f).startswith("○ box_area: not attempted yet")


def test_library_function_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    def box_iou(a, b, fmt="xyxy"):
        return boxes.box_iou(a, b, fmt)

    for borrowed in (box_iou, boxes.box_iou):
        with pytest.raises(
            CheckFailed, match=r"write it yourself, without course_lib\.boxes\.box_iou"
        ):
            check("box_iou", borrowed)


def test_library_function_may_be_a_part_of_another_exercise() -> None:
    def distance_box_iou(a, b, eps=1e-7):
        centre = lambda x: (x[:, :2] + x[:, 2:]) / 2  # noqa: E731
        far = torch.maximum(a[:, None, 2:], b[None, :, 2:])
        near = torch.minimum(a[:, None, :2], b[None, :, :2])
        d2 = (centre(a)[:, None] - centre(b)[None]).square().sum(-1)
        return boxes.box_iou(a, b) - d2 / ((far - near).square().sum(-1) + eps)

    check("distance_box_iou", distance_box_iou)


def test_wrong_calls_say_what_to_do() -> None:
    with pytest.raises(
        ValueError, match=r"no exercise 'box_aera'; did you mean 'box_area'\? There are: .*box_area"
    ):
        check("box_aera", own_area)
    with pytest.raises(TypeError, match=r'write check\("box_area", box_area\) without calling it'):
        check("box_area", torch.zeros(1))


def test_question_is_noted_not_marked(capsys: pytest.CaptureFixture[str]) -> None:
    check("tightness", "A")
    check("tightness", "c ")
    check("one_pixel", 0.5)
    out = capsys.readouterr().out
    assert out.count("is noted; it is marked when you hand in") == 3
    with pytest.raises(NotAttempted):
        check("tightness", None)
    with pytest.raises(CheckFailed, match="expected one of the letters A, B, C as text, got 'D'"):
        check("tightness", "D")
    with pytest.raises(CheckFailed, match="expected a number, got 'x'"):
        check("one_pixel", "x")


def test_hints_open_one_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(5):
        hint("box_iou")
        said.append(capsys.readouterr().out)
    assert [s.split("\n")[0] for s in said] == [f"○ Hint {k} of 4" for k in (1, 2, 3, 4, 1)]
    hint("tightness")
    assert "no hints" in capsys.readouterr().out


def test_report_names_shapes_and_types() -> None:
    sheet = public_sheets()["box_area"]

    def report(f) -> str:
        return text_report(sheet, mark(sheet, list(run_cases(f, sheet["cases"]))))

    assert "Is there a `return` at its end?" in report(lambda b, fmt="xyxy": None)
    assert "column [N, 1]" in report(lambda b, fmt="xyxy": own_area(b, fmt)[:, None])
    assert "expected float64" not in report(own_area)
    assert "float64 was asked for" in report(lambda b, fmt="xyxy": own_area(b, fmt).float())
    assert "TypeError" in report(lambda: 1)

    def in_place(b, fmt="xyxy"):
        b[:, 2:] -= b[:, :2]
        return b[:, 2] * b[:, 3]

    assert "Your function writes into boxes, which belongs to the caller" in report(in_place)


def report_of(name: str, f) -> str:
    sheet = public_sheets()[name]
    return text_report(sheet, mark(sheet, list(run_cases(f, sheet["cases"]))))


def test_an_error_names_the_line_once() -> None:
    def f(b, fmt="xyxy"):
        return b[:, 2] - undefined_name  # noqa: F821

    text = report_of("box_area", f)
    assert text.count("name 'undefined_name' is not defined, in the line `return b[:, 2]") == 1
    assert "the same error" in text


def test_calling_an_unwritten_exercise_is_said() -> None:
    def f(a, b, eps=1e-7):
        raise NotImplementedError("box_iou: not attempted yet")

    text = report_of("distance_box_iou", f)
    assert "box_iou is not written yet" in text
    assert "○" not in text


def test_a_wrong_gradient_names_its_input_in_lists_of_tensors() -> None:
    """Two maps, two weights, two biases: the third gradient is the first weight's."""
    sheet = public_sheets()["feature_pyramid"]

    def still_weights(maps, weights, biases):
        sums = [conv2d(maps[-1], weights[-1].detach(), biases[-1])]
        for c, w, b in list(zip(maps, weights, biases, strict=True))[-2::-1]:
            lateral = conv2d(c, w.detach(), b)
            sums.insert(0, lateral + interpolate(sums[0], size=lateral.shape[-2:]))
        return sums

    marks = mark(sheet, list(run_cases(still_weights, sheet["cases"])))
    (failed,) = marks.failed
    assert failed.difference.says == "the gradient of weights differs"


def test_wrong_gradient_is_told_from_wrong_value() -> None:
    def giou(a, b):
        iou = boxes.box_iou(a, b)
        with torch.no_grad():
            penalty = iou - boxes.generalized_box_iou(a, b)
        return iou - penalty

    text = report_of("generalized_box_iou", giou)
    assert text.startswith("✓ generalized_box_iou: all 8 cases right")
    assert "○ gradients pull distant boxes together" in text
    assert "→ (no points lost) The gradient" in text
    assert "slope" in text
    assert "see what stands inside `torch.no_grad()`" in text

    def through_lists(a, b, fmt="xyxy"):
        return torch.tensor(boxes.box_iou(a, b, fmt).tolist(), dtype=a.dtype).reshape(
            len(a), len(b)
        )

    text = report_of("box_iou", through_lists)
    assert "`.tolist()`, `.item()`" in text
    assert html_report(public_sheets()["box_iou"], mark(public_sheets()["box_iou"], list(
        run_cases(through_lists, public_sheets()["box_iou"]["cases"]))))  # fmt: skip


def test_numpy_gets_full_points_and_a_word_on_gradients() -> None:
    def giou(a, b):
        return torch.from_numpy(boxes.generalized_box_iou(a, b).numpy())

    text = report_of("generalized_box_iou", giou)
    assert text.startswith("✓ generalized_box_iou: all 8 cases right")
    assert "→ (no points lost) The gradient does not come through. `.tolist()`" in text


def test_no_diagnosis_is_better_than_a_wrong_one() -> None:
    def height_unclamped(a, b, fmt="xyxy"):
        a, b = boxes.box_convert(a, fmt, "xyxy"), boxes.box_convert(b, fmt, "xyxy")
        side = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(
            a[:, None, :2], b[None, :, :2]
        )
        inter = side[..., 0].clamp(min=0) * side[..., 1]
        area = lambda x: (x[:, 2:] - x[:, :2]).prod(1)  # noqa: E731
        union = area(a)[:, None] + area(b)[None] - inter
        return torch.where(union > 0, inter / union.clamp(min=1e-9), 0)

    assert "Both side lengths" not in report_of("box_iou", height_unclamped)
    # Half right: stopped at 0, which plain IoU would be for distant boxes only.
    clamped = report_of(
        "generalized_box_iou", lambda a, b: boxes.generalized_box_iou(a, b).clamp(0)
    )
    assert "This is plain IoU" not in clamped
    assert "GIoU may be negative" in clamped


def test_rows_of_four_are_shown_whole() -> None:
    text = report_of("box_convert", lambda b, i, o: b + 1)
    assert "expected [" in text


def test_number_of_a_question_may_come_from_torch(capsys: pytest.CaptureFixture[str]) -> None:
    check("half_shifted", torch.tensor(0.3))
    check("half_shifted", boxes.box_area(torch.tensor([[0.0, 0, 1, 0.5]])))
    assert "is noted" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match=r"33 cannot be; the answer lies between 0 and 1"):
        check("half_shifted", 33)
    with pytest.raises(CheckFailed, match="cannot be"):
        check("half_shifted", float("nan"))


def test_name_without_quotes() -> None:
    with pytest.raises(TypeError, match=r'name in quotes, like "own_area"'):
        hint(own_area)
