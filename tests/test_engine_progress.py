"""What a person sees of a training: lines, a line, a curve that grows in a notebook and stays."""

from __future__ import annotations

import re
import sys
from typing import Any
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from browser import PROJECT
from nbclient import NotebookClient
from tiny_detector import Squares, tiny

from course_lib.draw import Picture
from course_lib.engine import FitConfig, History, evaluate, fit
from course_lib.engine import progress as progress_module
from course_lib.engine.curve import live
from course_lib.engine.figures import binned, log_range, log_ticks, loss_figure, spread
from course_lib.engine.progress import Moment, choose, in_words, left, make_reporter

CONFIG = FitConfig(steps=12, batch_size=4, lr=0.01, log_every=5)


def history(steps: int = 300, valid: int = 0, names: tuple[str, ...] = ("a", "b")) -> History:
    """Made up: term k falls from 10 ** (1 - k), with noise."""
    dice, t = np.random.default_rng(0), np.arange(steps)
    fall = np.exp(-t / 50) + 0.1
    made = History(8)
    for k, name in enumerate(names):
        made.terms[name] = (10.0 ** (1 - k) * fall * np.exp(dice.normal(0, 0.2, steps))).tolist()
    made.seconds = (0.1 * (t + 1)).tolist()
    made.lr = made.gradient = [0.1] * steps
    for k in range(valid):
        at = (k + 1) * steps // valid
        made.valid.append({"step": at, "seconds": at / 10, "AP": 0.1 + k / 10, "AP50": 0.3 + k / 9})
    return made


def moment(made: History, share: float = 0.5) -> Moment:
    terms = {name: values[-1] for name, values in made.terms.items()}
    seconds = made.seconds[-1]
    return Moment(made.steps, share, seconds, seconds * (1 / share - 1), 1.0, terms, 0.1, made)


# --- in words ------------------------------------------------------------------------------------


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny(), Squares(24), CONFIG, valid=Squares(4), progress="lines")
    out, err = capsys.readouterr()
    first, second, last = out.splitlines()
    number = r"\d+\.\d{3}"
    assert re.fullmatch(
        rf"step 5   42%   loss {number} = classes {number} \+ boxes {number}   \d+ images/s   "
        r"\d+ s left", first,
    )  # fmt: skip
    assert second.startswith("step 10   83%   ")
    assert re.match(rf"12 steps in \d+\.\d s, loss {number}, .*AP \S+, AP50 \S+$", last)
    assert err == ""


def test_slow_steps_are_told_twice_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = make_reporter("lines", FitConfig(log_every=1000))
    reporter.show(moment(history(3)))
    monkeypatch.setattr(progress_module, "PRINT_EVERY", 0)
    reporter.show(moment(history(4)))
    assert capsys.readouterr().out.startswith("step 4 ")


def test_a_line_is_rewritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(progress_module, "REWRITE_EVERY", 0)
    fit(tiny(), Squares(24), CONFIG, progress="line")
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1, "one line"
    frames = [frame.removesuffix("\x1b[K") for frame in out.rstrip("\n").split("\r")[1:]]
    assert frames[0] == "getting ready"
    assert [frame.split()[1] for frame in frames[1:-1]] == [str(k) for k in range(1, 13)]
    assert frames[-1].startswith("12 steps in ")
    assert max(map(len, frames)) < 50


def test_the_line_of_an_evaluation_vanishes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(tiny(), Squares(5), batch_size=2, progress="line")
    out = capsys.readouterr().out
    assert re.findall(r"\d+ of 5 images evaluated", out) == [
        f"{k} of 5 images evaluated" for k in (2, 4, 5)
    ]
    assert out.endswith("\r\x1b[K")
    for kind in ("lines", "none", "curve"):
        evaluate(tiny(), Squares(5), progress=kind)
        assert capsys.readouterr().out == ""


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny(), Squares(24), CONFIG, progress="none")
    assert capsys.readouterr() == ("", "")


def test_where_auto_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto") == "lines", "pytest catches the output"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert choose("auto") == "line"
    monkeypatch.setattr(progress_module, "in_notebook", lambda: True)
    assert choose("auto") == "curve"
    assert choose("lines") == "lines"
    monkeypatch.setattr(progress_module, "process_number", lambda: 1)
    assert choose("line") == "none", "only the first process speaks"


def test_time_left_in_words() -> None:
    told = [left(seconds) for seconds in (0.4, 59.6, 89, 120, 3599, 7300)]
    assert told == [
        "0 s left", "60 s left", "89 s left", "2 min left", "60 min left", "2 h 2 min left",
    ]  # fmt: skip


def test_a_single_term_is_not_told_twice() -> None:
    assert "=" not in in_words(moment(history(3, names=("loss",))))


# --- the curve -----------------------------------------------------------------------------------


def test_bins_are_means_of_all_steps() -> None:
    values = np.random.default_rng(0).random(1234)
    bins = binned(values.tolist(), 100)
    counts = np.diff([*(k * 1234 // 100 for k in range(100)), 1234])
    assert bins.shape == (100,)
    assert (bins * counts).sum() == pytest.approx(values.sum())
    assert binned([3, 1, 2], 100).tolist() == [3, 1, 2]
    assert binned([1, 3, 5, 7], 2).tolist() == [2, 6]


def test_ranges_and_ticks() -> None:
    low, high = log_range([np.array([0.5, 20.0]), np.array([0.0, 2.0])])
    assert low < 0.5 < 20 < high
    assert log_ticks(0.4, 25.0) == [0.5, 1, 2, 5, 10, 20]
    assert log_ticks(0.012, 80.0) == pytest.approx([0.03, 0.1, 0.3, 1, 3, 10, 30])
    assert log_range([np.array([1e-12, 1.0])])[0] > 1e-5, "what is almost 0 does not press the rest"
    assert log_range([np.zeros(3)]) == (0.1, 1.0)
    low, high = log_range([np.ones(4)])
    assert log_ticks(low, high)


def test_names_are_kept_apart() -> None:
    assert spread([10, 50], 14) == [10, 50]
    moved = spread([30, 10, 12, 11], 14)
    assert np.diff(np.sort(moved)).min() > 13.9
    assert np.argsort(moved).tolist() == [1, 3, 2, 0], "in their order"
    assert np.mean(moved) == pytest.approx(np.mean([30, 10, 12, 11]))


@pytest.mark.parametrize("config", [FitConfig(seconds=60), FitConfig(steps=600)], ids=str)
def test_a_frame_of_the_live_curve(config: FitConfig) -> None:
    made = history(300, valid=1, names=("classes & co", "boxes"))
    page = live(moment(made), config)
    root = ElementTree.fromstring(page)  # well-formed, names escaped
    drawing = root.find("svg")
    assert "300" in drawing.get("aria-label")
    words = root.find("figcaption").text
    assert words.startswith("step 300 of 600" if config.steps else "step 300 · ")
    assert "30 s left" in words
    assert "AP 0.10, AP50 0.30" in words
    lines = drawing.findall("polyline")
    assert len(lines) == 3
    for line in lines:
        points = np.array([point.split(",") for point in line.get("points").split()], dtype=float)
        assert len(points) == 100
        assert (np.diff(points[:, 0]) > 0).all()
        assert points[-1, 0] == pytest.approx((46 + 470) / 2, abs=3), "half of it is done"
        assert ((points[:, 1] >= 10) & (points[:, 1] <= 216)).all()
    names = [text.text for text in drawing.findall("text")]
    assert any(re.fullmatch(r"classes & co [\d.]+", name) for name in names)
    assert len(page) < 12_000


def test_a_frame_takes_milliseconds() -> None:
    from timeit import repeat

    now = moment(history(3000, names=("a", "b", "c", "d", "e")))
    assert min(repeat(lambda: live(now, FitConfig()), number=1, repeat=9)) < 0.02


@pytest.mark.parametrize("valid", [0, 1, 3])
def test_the_figure_that_stays(valid: int) -> None:
    made = history(300, valid=valid)
    picture = made.figure()
    assert isinstance(picture, Picture)
    assert picture.caption.startswith("The loss over 300 steps in 30 s (80 images a second): from")
    assert ("AP50" in picture.caption) == (valid > 0)
    assert re.search(r"loss from \S+ to \S+, a from \S+ to \S+, b from \S+ to", picture.alt)
    fig = loss_figure(made)
    assert len(fig.axes) == (2 if valid > 1 else 1)
    assert len(fig.axes[0].lines) == 3
    if valid > 1:
        curve = fig.axes[1].lines[1]
        assert curve.get_ydata() == pytest.approx([0.1, 0.2, 0.3])


# --- in a notebook -------------------------------------------------------------------------------

CELL = f"""
import sys; sys.path.insert(0, {str(PROJECT / "tests")!r})
from tiny_detector import Squares, tiny
from course_lib.engine import FitConfig, fit
model = tiny()
history = fit(model, Squares(64), FitConfig.of(model, seconds={{seconds}}), valid=Squares(8, 1))
"""


def run(*cells: str) -> tuple[list[Any], list[dict[str, Any]]]:
    """The cells as they are saved, and all messages that asked for something to be shown."""
    shown: list[dict[str, Any]] = []

    class Client(NotebookClient):
        def process_message(self, message: Any, cell: Any, index: int) -> Any:
            if message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(message)
            return super().process_message(message, cell, index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    Client(notebook, timeout=400, allow_errors=True).execute()
    return notebook.cells, shown


def test_a_notebook_keeps_the_final_figure_alone() -> None:
    (cell, broken), shown = run(
        CELL.format(seconds=3),
        "fit(model, Squares(64), FitConfig(batch_size=8, seconds=1, device='nowhere'))",
    )
    (output,) = cell.outputs
    assert output.output_type == "display_data", "no stderr, no lines"
    page = output.data["text/html"]
    assert re.search(r'<img alt="Curves over \d+ seconds of training: loss from', page)
    assert "data:image/png;base64," in page
    assert re.search(r"AP50 \d\.\d\d on pictures not learnt from", page)
    first, *frames, last = [message["content"]["data"]["text/html"] for message in shown]
    assert "getting ready" in first
    assert len(frames) >= 2
    assert all("<svg" in frame for frame in frames)
    assert last == page
    assert {message["content"]["transient"]["display_id"] for message in shown} == {
        shown[0]["content"]["transient"]["display_id"]
    }
    assert [output.output_type for output in broken.outputs] == ["error"]


def test_an_interrupted_training_leaves_its_curve() -> None:
    stop = "\ndef stop(moment):\n    if moment.step == 9: os.kill(os.getpid(), signal.SIGINT)\n"
    ((cell,), _) = run(
        "import os, signal" + stop + CELL.format(seconds=20).replace("valid=", "on_step=stop, valid=")
    )  # fmt: skip
    figure, error = cell.outputs
    assert "The loss over 9 steps" in figure.data["text/plain"]
    assert error.ename == "KeyboardInterrupt"
