"""The IoU figure: its numbers are the library's, its errors are seen."""

import re
import time
import xml.etree.ElementTree as ET

import pytest
import torch

from course_lib import boxes as ops
from course_lib.explore import iou_figure


@pytest.fixture
def figure():
    return iou_figure()


def shown(figure):
    """The numbers a reader sees: intersection, union, C, IoU, GIoU."""
    return [
        float(number.replace(",", "").replace("−", "-"))
        for number in re.findall(r"<b>([^<]+)</b>", figure.numbers.value)
    ]


def move(figure, x, y, width, height):
    for name, value in {"x": x, "y": y, "width": width, "height": height}.items():
        figure.sliders[name].value = value


PLACES = [
    (192, 92, 110, 140), (0, 0, 50, 50), (280, 52, 110, 140), (170, 52, 110, 140),
    (100, 0, 200, 200), (200, 100, 0, 80), (0, 0, 0, 0), (312, 140, 200, 200), (171, 53, 7, 9),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_shown_numbers_are_the_library_s(figure, place):
    move(figure, *place)
    x, y, width, height = place
    assert figure.boxes[1].tolist() == [x, y, x + width, y + height]
    a, b = figure.boxes[:1], figure.boxes[1:]
    iou, giou = ops.box_iou(a, b).item(), ops.generalized_box_iou(a, b).item()
    inter, union, hull, shown_iou, shown_giou = shown(figure)
    assert (figure.iou, figure.giou) == (iou, giou)
    assert shown_iou == pytest.approx(iou, abs=5.1e-4)
    assert shown_giou == pytest.approx(giou, abs=5.1e-4)
    assert inter / union == pytest.approx(iou, abs=1e-6)
    assert union == ops.box_area(figure.boxes).sum().item() - inter
    assert iou - (hull - union) / hull == pytest.approx(giou, abs=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_the_formula_shown_is_true(figure, place):
    move(figure, *place)
    rows = re.sub(r"<[^>]+>", "\n", figure.numbers.value)
    plain = rows.replace(",", "").replace("−", "-").replace("\n", "")
    inter, union, iou = re.search(r"I / U = (\d+) / (\d+) = ([\d.]+)", plain).groups()
    assert int(inter) / int(union) == pytest.approx(float(iou[:5]), abs=5.1e-4)
    a, b, taken, total = map(int, re.search(r"(\d+) \+ (\d+) - (\d+) = (\d+)", plain).groups())
    assert a + b - taken == total


@pytest.mark.parametrize(("preset", "iou"), [("0.40", 0.40), ("0.73", 0.73), ("0.93", 0.93)])
def test_presets_give_the_iou_they_promise(figure, preset, iou):
    figure.choose("apart")
    figure.presets[preset].click()
    assert figure.iou == pytest.approx(iou, abs=0.005)
    assert shown(figure)[3] == pytest.approx(iou, abs=0.005)


def test_presets_touching_nested_apart(figure):
    figure.presets["touching"].click()
    assert figure.iou == 0
    assert figure.boxes[0, 2] == figure.boxes[1, 0]  # they share an edge
    figure.presets["apart"].click()
    assert figure.iou == 0
    assert figure.giou < -0.05
    figure.presets["nested"].click()
    a, b = figure.boxes
    assert torch.all(a[:2] < b[:2])
    assert torch.all(b[2:] < a[2:])
    assert figure.iou == figure.giou > 0


def drawn(figure):
    return ET.fromstring(figure.drawing.value)


@pytest.mark.parametrize("place", PLACES)
def test_the_drawing_stays_in_the_picture_and_shows_box_b(figure, place):
    move(figure, *place)
    svg = drawn(figure)
    _, _, W, H = map(float, svg.get("viewBox").split())
    frames = [
        tuple(float(rect.get(k)) for k in ("x", "y", "width", "height"))
        for rect in svg.iter("rect")
    ]
    assert place in frames
    for x, y, width, height in frames:
        assert 0 <= x <= x + width <= W or width == 0
        assert 0 <= y <= y + height <= H or height == 0


def test_the_text_alternative_changes_with_the_numbers(figure):
    figure.choose("0.40")
    before = drawn(figure).get("aria-label")
    figure.choose("apart")
    after = drawn(figure).get("aria-label")
    assert before.startswith("The blue box A, ")
    assert "The orange-red box B: x 192 to 302" in before
    assert "IoU 0.400" in before
    assert "IoU 0.000, GIoU −" in after


def test_controls_are_named_and_continuous(figure):
    assert [s.description for s in figure.sliders.values()] == ["B x", "B y", "B width", "B height"]
    assert all(slider.continuous_update for slider in figure.sliders.values())
    assert list(figure.presets) == ["0.40", "0.73", "0.93", "touching", "nested", "apart"]


def test_errors_are_shown_then_cleared(figure, monkeypatch):
    def broken(*_):
        raise RuntimeError("no <IoU> today")

    assert figure.error.value == ""
    with monkeypatch.context() as patch:
        patch.setattr("course_lib.explore.iou.box_iou", broken)
        with pytest.raises(RuntimeError, match="no <IoU> today"):
            figure.sliders["x"].value = 5
    assert 'role="alert"' in figure.error.value
    assert "no &lt;IoU&gt; today" in figure.error.value
    figure.sliders["x"].value = 6
    assert figure.error.value == ""


def test_a_redraw_is_quick(figure):
    times = []
    for x in range(100):
        start = time.perf_counter()
        figure.sliders["x"].value = x
        times.append(time.perf_counter() - start)
    assert sorted(times)[50] < 0.1


def test_a_change_sends_little(figure):
    assert len(figure.drawing.value) + len(figure.numbers.value) < 4000
