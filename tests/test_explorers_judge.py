"""The explorers of NMS and of mAP in a browser: what they show is what the library computes.

`python tests/test_explorers_judge.py latency` prints how long a movement takes to be seen.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, OUTPUT, Notebook, chromium, jupyterlab, needs_browser, open_explorers
from playwright.sync_api import Browser, Page, expect
from test_explorers import MOVES, Explorer, Numbers, measure, settings, static_page, table, written

from course_lib.explore import MAPExplorer, NMSExplorer
from course_lib.explore.mean_ap import RULES, SHOWN
from course_lib.explore.nms import METHODS

pytestmark = needs_browser

TITLES = {"greedy": "Greedy NMS", "linear": "Soft, linear", "gaussian": "Soft, Gaussian"}
BY = {"11": "11 points", "all": "all points", "101": "101 points"}
STEPS, LEAST = "steps done", "lowest score that counts"
THRESHOLD, SIGMA = "IoU threshold", "σ of the Gaussian"
PICTURE, SCORE = "picture", "score threshold"


@dataclass
class Host:
    name: str
    page: Page
    nms: Explorer
    map: Explorer
    notebook: Notebook | None = None


def in_notebook(notebook: Notebook) -> Host:
    nms, judged = (
        Explorer(notebook.cell(notebook.starting(start)).locator("[data-explorer]"))
        for start in ("suppression-nms", "judged-map")
    )
    expect(judged.root.locator("data").last).to_be_attached()
    return Host("notebook", notebook.page, nms, judged, notebook)


def on_page(page: Page) -> Host:
    nms, judged = (Explorer(page.locator(f'[data-explorer="{n}"]')) for n in ("nms", "map"))
    expect(judged.root.locator("data").last).to_be_attached()
    return Host("page", page, nms, judged)


@pytest.fixture(scope="module", params=["notebook", "page"])
def host(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Host]:
    if request.param == "notebook":
        host = in_notebook(request.getfixturevalue("explorers"))
        yield host
        assert host.notebook
        assert host.notebook.complaints == []
    else:
        with static_page(browser) as there:
            yield on_page(there.page)


def fields(*labels: str) -> list[str]:
    """Those beside the sliders."""
    return [f"{label}, as a number" for label in labels]


def number(explorer: Explorer, label: str, value: float) -> None:
    """Type into the field beside a slider, and leave it."""
    explorer.type(fields(label), [[value]])


def in_full(numbers: Numbers) -> dict[str, float]:
    """The numbers on the screen, each in full; what is written agrees with it."""
    for name, (value, text) in numbers.items():
        if text is not None and " of " not in text:
            near, half = written(text)
            assert abs(near - value) <= 1.001 * half + 1e-12, f"{name}: {value} as {text}"
    return {name: value for name, (value, _) in numbers.items()}


def shown(explorer: Explorer) -> dict[str, float]:
    return in_full(explorer.read()["numbers"])


# ------------------------------------------------------------------ NMS


def nms_wanted(python: NMSExplorer) -> dict[str, float]:
    kept, found = len(python.kept), python.found
    candidates = sum(score >= python.least for score in python.scores)
    return {"candidates": candidates, "kept": kept, "found": found, "extra": kept - found}


@pytest.mark.parametrize("method", METHODS)
def test_boxes_kept_are_the_library_s(host: Host, method: str) -> None:
    rng, python = random.Random(method), NMSExplorer(method)
    host.nms.choose(TITLES[method])
    host.nms.press("to the end")
    rows, wanted = [], []
    for _ in range(settings(host, 40)):
        python.least = round(rng.uniform(0.01, 0.7), 2)
        python.threshold = rng.choice([0.0, 0.5, 1.0, round(rng.random(), 2)])
        python.sigma = rng.choice([0.5, round(rng.uniform(0.05, 1), 2)])
        rows.append([python.least, python.sigma if method == "gaussian" else python.threshold])
        wanted.append(nms_wanted(python))
    labels = fields(LEAST, SIGMA if method == "gaussian" else THRESHOLD)
    for row, numbers, right in zip(rows, host.nms.type(labels, rows), wanted, strict=True):
        assert in_full(numbers) == right, row
    assert len({tuple(right.values()) for right in wanted}) > len(rows) / 3


def test_steps_go_forth_and_back_and_end_where_nms_ends(host: Host) -> None:
    host.nms.choose(TITLES["greedy"])
    number(host.nms, LEAST, 0.3)
    number(host.nms, THRESHOLD, 0.5)
    host.nms.press("to the end")
    end = shown(host.nms)
    host.nms.press("to the start")
    assert shown(host.nms)["kept"] == 0
    for n in range(1, int(end["kept"]) + 1):
        host.nms.press("one step")
        assert shown(host.nms)["kept"] == n
    assert shown(host.nms) == end
    host.nms.press("one step")
    assert shown(host.nms) == end
    host.nms.press("one back")
    assert shown(host.nms)["kept"] == end["kept"] - 1
    number(host.nms, STEPS, 3)
    assert shown(host.nms)["kept"] == 3
    host.nms.field(STEPS).focus()
    host.page.keyboard.press("ArrowRight")
    assert shown(host.nms)["kept"] == 4
    host.page.keyboard.press("End")
    assert shown(host.nms) == end


def test_the_awkward_pair(host: Host) -> None:
    """What lesson 02 tells: greedy NMS at 0.5 loses one object, Soft-NMS finds it."""
    host.nms.choose(TITLES["greedy"])
    number(host.nms, LEAST, 0.3)
    number(host.nms, THRESHOLD, 0.5)
    host.nms.press("to the end")
    objects = len(NMSExplorer().truth)
    assert shown(host.nms)["found"] == objects - 1
    host.nms.choose(TITLES["gaussian"])
    assert shown(host.nms)["found"] == objects


# ------------------------------------------------------------------ mAP


def map_wanted(python: MAPExplorer) -> dict[str, float]:
    counts = python.counts
    precision, recall = python.precision, python.recall
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    areas = {f"ap-{rule}": python.average_precision(rule) for rule in RULES}
    return counts | {"precision": precision, "recall": recall, "f1": f1} | areas


@pytest.mark.parametrize("detector", SHOWN)
def test_numbers_of_a_detector_are_the_library_s(host: Host, detector: str) -> None:
    rng, python = random.Random(detector), MAPExplorer(detector)
    host.map.choose(detector)
    rows, wanted = [], []
    for _ in range(settings(host, 12)):
        python.score = rng.choice([0.0, 1.0, round(rng.random(), 2)])
        python.iou = round(rng.choice([0.5, 0.75, 0.05 * rng.randint(1, 19)]), 2)
        rows.append([python.score, python.iou])
        wanted.append(map_wanted(python))
    for numbers, right in zip(host.map.type(fields(SCORE, THRESHOLD), rows), wanted, strict=True):
        assert in_full(numbers) == pytest.approx(right, abs=1e-9)


def test_dragging_along_the_curve_turns_the_score(host: Host) -> None:
    host.map.choose("gullible")
    number(host.map, THRESHOLD, 0.5)
    left, top, width, height = host.map.root.locator("svg.odx-plot").evaluate(
        "e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height] }"
    )
    recalls = []
    for share in (0.3, 0.5, 0.7):
        host.page.mouse.click(left + share * width, top + height / 2)
        recalls.append(shown(host.map)["recall"])
    assert recalls == sorted(recalls)
    assert len(set(recalls)) == 3


def test_keys_turn_everything(host: Host) -> None:
    host.map.choose("good")
    number(host.map, SCORE, 0.5)
    number(host.map, THRESHOLD, 0.5)
    before = shown(host.map)
    host.map.field(THRESHOLD).focus()
    for _ in range(6):
        host.page.keyboard.press("ArrowRight")
    assert shown(host.map)["tp"] < before["tp"]
    number(host.map, THRESHOLD, 0.5)
    host.map.field(SCORE).focus()
    host.page.keyboard.press("End")
    assert shown(host.map)["recall"] < before["recall"]
    host.map.field(PICTURE).focus()
    host.page.keyboard.press("Home")
    first = host.map.root.locator("svg.odx-canvas").get_attribute("aria-label")
    host.page.keyboard.press("ArrowRight")
    host.map.read()
    assert host.map.root.locator("svg.odx-canvas").get_attribute("aria-label") != first


def test_python_reads_and_sets_them(explorers: Notebook) -> None:
    host = in_notebook(explorers)
    host.map.choose("timid")
    number(host.map, SCORE, 0.4)
    host.map.choose(BY["11"])
    number(host.nms, THRESHOLD, 0.35)
    assert host.notebook
    last = host.notebook.cells[-1]
    host.notebook.write(last, "print(judged.detector, judged.rule, judged.precision, judged.average_precision(), suppression.threshold, len(suppression.kept))")  # fmt: skip
    printed = host.notebook.run(last).locator(OUTPUT).inner_text().split()
    now = shown(host.map)
    assert printed[:2] == ["timid", "11"]
    assert [float(x) for x in printed[2:4]] == pytest.approx([now["precision"], now["ap-11"]])
    assert printed[4:] == ["0.35", str(int(shown(host.nms)["kept"]))]
    host.notebook.write(last, "judged.detector = 'loose'; suppression.method = 'linear'")
    host.notebook.run(last)
    expect(host.map.root.get_by_role("radio", name="loose", exact=True)).to_be_checked()
    expect(host.nms.root.get_by_role("radio", name=TITLES["linear"])).to_be_checked()


# ------------------------------------------------------------------ looks


def test_they_are_legible_and_fit(host: Host, pictures: Path) -> None:
    for scheme in ("light", "dark") if host.name == "page" else ("light",):
        host.page.emulate_media(color_scheme=scheme)
        for method in METHODS:
            host.nms.choose(TITLES[method])
            host.nms.root.screenshot(path=pictures / f"{host.name}_nms_{method}_{scheme}.png")
        for detector in ("good", "cluttered"):
            host.map.choose(detector)
            host.map.root.screenshot(path=pictures / f"{host.name}_map_{detector}_{scheme}.png")
        for figure in (host.nms, host.map):
            texts = figure.root.evaluate(CONTRAST)
            assert len(texts) > 30
            for text, contrast in texts:
                tag = text.replace(".", "").isdigit()  # tags on the picture: see test_draw.py
                assert tag or contrast >= 4.5, f"{text!r}: {contrast:.2f}"


def latencies(host: Host, moves: int = MOVES) -> dict[str, dict[str, float]]:
    found: dict[str, Any] = {}
    keyboard = host.page.keyboard
    for what, figure, label, name in (
        ("NMS, key on the lowest score", host.nms, LEAST, "candidates"),
        ("mAP, key on the score threshold", host.map, SCORE, "precision"),
    ):
        edge = _edge(figure, label, name)
        number(figure, label, edge)
        figure.field(label).focus()
        keys = ["ArrowRight", "ArrowLeft"]
        found[what] = measure(figure, "keydown", name, lambda n: keyboard.press(keys[n % 2]), moves)  # noqa: B023
    return found


def _edge(figure: Explorer, label: str, name: str) -> float:
    """A setting from which one step up changes the number."""
    for n in range(20, 90):
        number(figure, label, n / 100)
        before = figure.read()["numbers"][name][0]
        number(figure, label, (n + 1) / 100)
        if figure.read()["numbers"][name][0] != before:
            return n / 100
    raise AssertionError(f"{name} never changes")


def test_a_key_is_seen_at_once(host: Host) -> None:
    found = latencies(host, moves=10)
    print(table({host.name: found}))
    assert {times["n"] for times in found.values()} == {10}  # speed is not tested


def print_latencies() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with static_page(browser) as there:
            found = {"page": latencies(on_page(there.page))}
        with jupyterlab(Path(folder)) as address:
            found["notebook"] = latencies(in_notebook(open_explorers(browser, address)))
    print(table(found))


if __name__ == "__main__":
    if sys.argv[1:] != ["latency"]:
        sys.exit(__doc__)
    print_latencies()
