"""The explorers of anchors and of RoI pooling in a browser: what they show is the library's.

`python tests/test_explorers_regions.py latency` prints how long a movement takes to be seen.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import (
    CONTRAST,
    OUTPUT,
    Notebook,
    chromium,
    faults,
    jupyterlab,
    needs_browser,
    open_explorers,
)
from playwright.sync_api import Browser, Page, expect
from test_explorers import (
    FRAME,
    LOOKS,
    MOVES,
    Explorer,
    Numbers,
    drag,
    measure,
    settings,
    static_page,
    steps,
    switch,
    tab_order,
    table,
    written,
)

from course_lib.anchors import shape_iou
from course_lib.explore import AnchorsExplorer, RoIExplorer
from course_lib.explore.anchors import PRESETS, STRIDES
from course_lib.explore.roi import METHODS, STEP
from course_lib.pooling import roi_pool_bins

pytestmark = needs_browser

TRUTHS = {"scene": "the painted scene", "own": "a box of your own"}
SIZES = {"one": "one", "octave": "3 in an octave", "doubling": "3 doubled"}
RATIOS = {"one": "1", "three": "½, 1, 2", "five": "⅓, ½, 1, 2, 3"}
SIZE, HIGH, LOW = "smallest anchor, in pixels", "high IoU threshold", "low IoU threshold"
A_SIDES, R_SIDES = ([f"{box} {side}" for side in ("x1", "y1", "x2", "y2")] for box in "AR")
TURNS = [f"{label}, as a number" for label in (SIZE, LOW, HIGH, LOW)]  # low makes room for high


@dataclass
class Host:
    name: str
    page: Page
    anchors: Explorer
    roi: Explorer
    notebook: Notebook | None = None


def in_notebook(notebook: Notebook) -> Host:
    anchors, roi = (
        Explorer(notebook.cell(notebook.starting(start)).locator("[data-explorer]"))
        for start in ("anchored-anchors", "region-roi")
    )
    expect(roi.root.locator("data").last).to_be_attached()
    return Host("notebook", notebook.page, anchors, roi, notebook)


def on_page(page: Page) -> Host:
    anchors, roi = (Explorer(page.locator(f'[data-explorer="{n}"]')) for n in ("anchors", "roi"))
    expect(roi.root.locator("data").last).to_be_attached()
    return Host("page", page, anchors, roi)


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


def check(shown: Numbers, wanted: dict[str, float]) -> None:
    """Each number in full is what is wanted; what is written agrees with it."""
    for name, (value, text) in shown.items():
        if text is not None and " of " not in text:
            near, half = written(text)
            assert abs(near - value) <= 1.001 * half + 1e-12, f"{name}: {value} as {text}"
    assert {name: value for name, (value, _) in shown.items()} == pytest.approx(wanted, abs=1e-9)


# ------------------------------------------------------------------ anchors


def anchors_wanted(python: AnchorsExplorer) -> dict[str, float]:
    best = python.ious.amax(1)
    sides = python.boxes[:, 2:] - python.boxes[:, :2]
    reach = shape_iou(sides, python.base[:, 2:] - python.base[:, :2]).amax(1)
    wanted: dict[str, float] = {**python.counts, "missed": len(python.missed)}
    for k, (iou, most, count) in enumerate(zip(best, reach, python.positives, strict=True), 1):
        wanted |= {f"best-{k}": float(iou), f"reach-best-{k}": float(most)}
        wanted[f"positives-{k}"] = int(count)
    return wanted | {f"here-{a}": float(iou) for a, iou in enumerate(python.here, 1)}


def set_anchors(figure: Explorer, python: AnchorsExplorer) -> None:
    """What is chosen from a few."""
    switch(figure, "Truth", TRUTHS[python.truth])
    switch(figure, "Sizes", SIZES[python.sizes])
    switch(figure, "Height : width", RATIOS[python.ratios])
    switch(figure, "Stride", str(python.stride))
    switch(figure, "Low-quality matches", "on" if python.low_quality else "off")


@pytest.mark.parametrize("truth", TRUTHS)
def test_anchors_and_matches_are_the_library_s(host: Host, truth: str) -> None:
    """Settings in groups of ten that share what is chosen and differ in what is typed."""
    rng, python, seen = random.Random(truth), AnchorsExplorer(truth), set()
    W, H = python.world["width"], python.world["height"]
    for group in range(settings(host, 10)):
        python.sizes, python.ratios = rng.choice(list(SIZES)), rng.choice(list(RATIOS))
        python.stride, python.low_quality = STRIDES[group % 4], group % 2 == 0
        set_anchors(host.anchors, python)
        rows, wanted = [], []
        for _ in range(10):
            high = round(rng.uniform(0.05, 0.95), 2)
            low = rng.choice([high, round(rng.uniform(0, high), 2), 0.0])
            size = rng.choice([8, 16, 24, 64, round(rng.uniform(8, 160), 3)])
            with python.hold_trait_notifications():
                python.size, python.high, python.low = size, high, low
            row = [size, 0, high, low]
            if truth == "own":
                x1, y1 = rng.randint(0, W - 30), round(rng.uniform(0, H - 30), 2)
                x2, y2 = rng.randint(x1 + 4, W), round(rng.uniform(y1 + 4, H), 2)
                python.own = [x1, y1, x2, y2]
                row += [W, H, *python.own]
            rows.append(row)
            wanted.append(anchors_wanted(python))
        labels = TURNS + (A_SIDES[2:] + A_SIDES if truth == "own" else [])
        for shown, expected in zip(host.anchors.type(labels, rows), wanted, strict=True):
            check(shown, expected)
            seen.add((expected["positive"], expected["rescued"], expected["missed"]))
    assert len(seen) > settings(host, 40)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_tell_their_stories(host: Host, preset: str) -> None:
    switch(host.anchors, "Truth", TRUTHS["scene"])
    host.anchors.press(preset)
    now, python = host.anchors.read(), AnchorsExplorer(preset=preset)
    python.place = [4, 4]
    choose_place(host, 4, 4)
    check(host.anchors.read()["numbers"], anchors_wanted(python))
    pressed = host.anchors.root.get_by_role("button", pressed=True)
    assert pressed.all_inner_texts() == [preset]
    assert now["numbers"]["missed"][1].endswith("of 8")


def choose_place(host: Host, x: float, y: float) -> None:
    host.page.mouse.click(*at_place(host, x, y))
    host.anchors.read()


def at_place(host: Host, x: float, y: float) -> tuple[float, float]:
    """A place of the scene, as one of the window."""
    python = AnchorsExplorer()
    host.anchors.root.locator(".odx-stack").evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, height = host.anchors.root.locator("svg.odx-canvas").first.evaluate(FRAME)
    W, H = python.world["width"], python.world["height"]
    return left + x / W * width, top + y / H * height


def location(host: Host) -> tuple[int, int]:
    """Row and column of the chosen location, from 0."""
    host.anchors.read()
    label = host.anchors.root.locator(".odx-spot").get_attribute("aria-label")
    row, _, column, _ = re.match(r"Location in row (\d+) of (\d+), column (\d+) of (\d+)", label).groups()  # fmt: skip
    return int(row) - 1, int(column) - 1


def test_a_location_is_chosen_by_click_drag_and_key(host: Host) -> None:
    figure, keyboard = host.anchors, host.page.keyboard
    switch(figure, "Truth", TRUTHS["scene"])
    figure.press("a first try")
    python = AnchorsExplorer(preset="a first try")
    for x, y in ((181, 152), (3, 3), (316, 236), (157, 83)):
        choose_place(host, x, y)
        python.place = [x, y]
        assert location(host) == python.location
        check(figure.read()["numbers"], anchors_wanted(python))
    start = at_place(host, 40, 40)
    seen = drag(host.page, steps(start, (200, 60)), lambda: location(host))
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    choose_place(host, 24, 24)
    assert location(host) == (1, 1)
    figure.root.locator(".odx-spot").focus()
    for key, place in (
        ("ArrowRight", (1, 2)), ("ArrowDown", (2, 2)), ("ArrowLeft", (2, 1)), ("ArrowUp", (1, 1)),
        ("ArrowUp", (0, 1)), ("ArrowUp", (0, 1)),
    ):  # fmt: skip
        keyboard.press(key)
        assert location(host) == place
    switch(figure, "Stride", "64")
    assert location(host) == (0, 0)
    for _ in range(6):
        figure.root.locator(".odx-spot").press("ArrowRight")
        figure.root.locator(".odx-spot").press("ArrowDown")
    assert location(host) == (3, 4)


def test_a_threshold_takes_the_other_along(host: Host) -> None:
    figure, low, high = host.anchors, f"{LOW}, as a number", f"{HIGH}, as a number"
    figure.press("a first try")
    figure.type([low], [[0.8]])
    assert (figure.read()["fields"][low], figure.read()["fields"][high]) == (0.8, 0.8)
    figure.type([high], [[0.3]])
    assert (figure.read()["fields"][low], figure.read()["fields"][high]) == (0.3, 0.3)
    figure.field(HIGH).focus()
    host.page.keyboard.press("ArrowRight")
    assert figure.read()["fields"][high] == pytest.approx(0.31)
    assert figure.read()["fields"][low] == 0.3


def test_a_box_of_one_s_own_is_dragged(host: Host) -> None:
    figure, python = host.anchors, AnchorsExplorer("own", "a first try")
    switch(figure, "Truth", TRUTHS["own"])
    figure.press("a first try")
    choose_place(host, 300, 20)
    python.place = [300, 20]
    sides = [320, 240, 100, 60, 160, 140]
    figure.type(A_SIDES[2:] + A_SIDES, [sides])
    seen = set()

    def agrees() -> list[float]:
        now = figure.read()
        python.own = [now["fields"][side] for side in A_SIDES]
        check(now["numbers"], anchors_wanted(python))
        seen.add(tuple(python.own))
        return python.own

    drag(host.page, steps(at_place(host, 130, 100), (90, 40)), agrees)
    drag(host.page, steps(at_place(host, *python.own[2:]), (40, 60), 3), agrees)
    assert len(seen) > 6
    assert location(host) == python.location  # a box that is dragged chooses no location
    figure.root.locator("g.odx-box").focus()
    before = python.own
    host.page.keyboard.press("ArrowLeft")
    assert agrees()[0] == before[0] - 1
    switch(figure, "Truth", TRUTHS["scene"])


# ------------------------------------------------------------------ RoI pooling


def roi_wanted(python: RoIExplorer) -> dict[str, float]:
    """All that is shown for a box."""
    x1, y1, x2, y2 = box = python.box
    H, W, n = len(python.map), len(python.map[0]), python.bins
    sides = torch.tensor(box, dtype=torch.float64)
    rows, columns = roi_pool_bins(sides * 16, n, (H, W), 1 / 16)
    moved = (sides - (sides + 0.5).floor()).abs().max().item()
    assert python.moved == moved
    wanted = {
        "area": (x2 - x1) * (y2 - y1),
        "cells": int((rows[-1, 1] - rows[0, 0]) * (columns[-1, 1] - columns[0, 0])),
        "moved": moved, "pixels": 16 * moved,
    }  # fmt: skip
    pooled = {method: python.pooled(method) for method in METHODS}
    for method, values in pooled.items():
        for r in range(n):
            for c in range(n):
                wanted[f"{method}-{r}-{c}"] = values[r, c].item()
    step = STEP if x2 + STEP <= W + 1e-9 else -STEP
    left = min(max(x1 + step, 0), W - (x2 - x1))
    python.box = [round(left, 6), y1, round(left + x2 - x1, 6), y2]
    for method, values in pooled.items():
        wanted[f"step-{method}"] = (python.pooled(method) - values).abs().max().item()
    python.box = box
    return wanted


def set_roi(figure: Explorer, python: RoIExplorer) -> None:
    squared = {1: "1", 2: "2 × 2", 3: "3 × 3"}
    switch(figure, "Bins", squared[python.bins])
    switch(figure, "Points in a bin", squared[python.points])
    switch(figure, "aligned", "true" if python.aligned else "false")


@pytest.mark.parametrize("bins", [2, 3])
def test_pooled_numbers_are_the_library_s(host: Host, bins: int) -> None:
    """9 settings of each choice: whole and half cells, tenths, anything, at the border, thin."""
    rng, python = random.Random(bins), RoIExplorer(bins)
    choices = [(points, aligned) for points in (1, 2, 3) for aligned in (True, False)]
    for points, aligned in rng.sample(choices, max(settings(host, len(choices)), 2)):
        python.points, python.aligned = points, aligned
        set_roi(host.roi, python)
        rows, wanted = [], []
        for k in range(9):
            digits = (0, 1, 1, 4, 6)[k % 5]
            xs, ys = (sorted(rng.sample(range(8 * 10**digits + 1), 2)) for _ in "xy")
            box = [side / 10**digits for side in (xs[0], ys[0], xs[1], ys[1])]
            if k == 5:
                box = [0, 0, 8, 8]
            elif k == 6:
                box = [2.5, 1.5, 4.5, 6.5]
            elif k == 7:
                box[2] = round(min(box[0] + 0.1, 8), 6)
            box[0], box[1] = min(box[0], 7.9), min(box[1], 7.9)
            box[2], box[3] = max(box[2], box[0] + 0.1), max(box[3], box[1] + 0.1)
            python.box = [round(min(side, 8), 6) for side in box]
            rows.append([8, 8, *python.box])
            wanted.append(roi_wanted(python))
        for shown, expected in zip(host.roi.type(R_SIDES[2:] + R_SIDES, rows), wanted, strict=True):
            check(shown, expected)


def agrees(host: Host, python: RoIExplorer) -> list[float]:
    now = host.roi.read()
    python.box = [now["fields"][side] for side in R_SIDES]
    check(now["numbers"], roi_wanted(python))
    return python.box


def start_roi(host: Host, box: tuple[float, ...]) -> RoIExplorer:
    python = RoIExplorer()
    set_roi(host.roi, python)
    host.roi.type(R_SIDES[2:] + R_SIDES, [[8, 8, *box]])
    return python


def test_the_region_is_dragged_resized_and_nudged(host: Host) -> None:
    figure = host.roi
    python = start_roi(host, (1.4, 1.3, 4.3, 4.4))
    figure.root.locator(".odx-stack").evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, _ = figure.root.locator("svg.odx-canvas").first.evaluate(FRAME)
    cell = width / 8
    seen = drag(host.page, steps((left + 2 * cell, top + 3 * cell), (cell, -cell / 2)), lambda: agrees(host, python))  # fmt: skip
    assert len({tuple(box) for box in seen}) > 3
    assert seen[-1][2] - seen[-1][0] == pytest.approx(2.9)
    x2, y2 = seen[-1][2:]
    corner = left + x2 * cell, top + y2 * cell
    (end,) = drag(host.page, steps(corner, (cell, cell), 1), lambda: agrees(host, python))
    assert end[:2] == seen[-1][:2]
    assert end[2:] == pytest.approx([x2 + 1, y2 + 1])
    for arrow, by in (("→", (1, 0)), ("↓", (0, 1)), ("←", (-1, 0)), ("↑", (0, -1))):
        before = agrees(host, python)
        figure.press(arrow)
        moved = [side + STEP * by[k % 2] for k, side in enumerate(before)]
        assert agrees(host, python) == pytest.approx(moved)
    figure.root.locator("g.odx-box").focus()
    for key, by in (("ArrowRight", 0.1), ("Control+ArrowLeft", -1)):
        before = agrees(host, python)
        host.page.keyboard.press(key)
        assert agrees(host, python)[0] == pytest.approx(before[0] + by)
    figure.root.locator("svg.odx-plot").evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, height = figure.root.locator("svg.odx-plot").evaluate(FRAME)
    places = []
    for share in (0.2, 0.5, 0.9, 2):
        host.page.mouse.click(left + min(share * width, width - 2), top + height / 2)
        places.append(agrees(host, python)[0])
    assert places == sorted(places)
    assert agrees(host, python)[2] == 8


def test_a_tenth_of_a_cell(host: Host) -> None:
    """What lesson 05 tells: RoIPool stays or jumps, RoIAlign and Precise RoI Pooling follow."""
    python = start_roi(host, (1.0, 1.3, 3.9, 4.4))
    jumps = []
    for _ in range(15):
        numbers = host.roi.read()["numbers"]
        agrees(host, python)
        jumps.append(numbers["step-pool"][0])
        for method in ("align", "precise"):
            assert 0 < numbers[f"step-{method}"][0] < 0.8
        host.roi.press("→")
    assert jumps.count(0) > 9
    assert max(jumps) > 2


# ------------------------------------------------------------------ Python


def test_python_reads_and_sets_them(explorers: Notebook) -> None:
    host = in_notebook(explorers)
    notebook = host.notebook
    assert notebook
    last = notebook.cells[-1]
    host.anchors.press("… and rescued")
    choose_place(host, 100, 50)
    host.roi.press("→")
    notebook.write(last, "print(anchored.high, anchored.low_quality, *anchored.location, anchored.counts['rescued'], *region.box, region.pooled('precise')[0, 0].item())")  # fmt: skip
    high, rescue, *rest = notebook.run(last).locator(OUTPUT).inner_text().split()
    assert (high, rescue) == ("0.7", "True")
    assert [int(number) for number in rest[:3]] == [*location(host), 9]
    assert [float(number) for number in rest[3:7]] == pytest.approx([1.5, 1.3, 4.4, 4.4])
    assert float(rest[7]) == pytest.approx(host.roi.read()["numbers"]["precise-0-0"][0], abs=1e-9)
    notebook.write(last, "anchored.choose('too large'); anchored.truth = 'own'; anchored.own = [10, 20, 30.5, 40]; region.box = [0, 0, 8, 8]; region.aligned = False")  # fmt: skip
    notebook.run(last)
    expect(host.anchors.field("A x2")).to_have_value("30.5")
    expect(host.anchors.root.get_by_role("radio", name=TRUTHS["own"])).to_be_checked()
    python = AnchorsExplorer("own", "too large")
    python.own, python.place = [10, 20, 30.5, 40], [100, 50]
    check(host.anchors.read()["numbers"], anchors_wanted(python))
    expect(host.roi.field("R x2")).to_have_value("8")
    region = RoIExplorer(aligned=False)
    agrees(host, region)


# ------------------------------------------------------------------ looks


@LOOKS
def test_axe_finds_nothing_and_all_fits(
    browser: Browser, pictures: Path, width: int, scheme: Any
) -> None:
    view = {"width": width, "height": 900}
    with static_page(browser, color_scheme=scheme, viewport=view) as there:
        host, found = on_page(there.page), []

        def look(figure: Explorer, name: str) -> None:
            figure.root.screenshot(path=pictures / f"{name}_{scheme}_{width}.png")
            assert there.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), name
            wide = "e => [...e.querySelectorAll('.odx-tbar, .odx-row, .odx-output')].filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"  # fmt: skip
            assert figure.root.evaluate(wide) == [], name
            kind = figure.root.get_attribute("data-explorer")
            for fault in faults(there.page, f'[data-explorer="{kind}"]'):
                where = [node["target"] for node in fault["nodes"]]
                found.append((name, fault["id"], fault["impact"], fault["help"], where[:3]))
            texts = figure.root.evaluate(CONTRAST)
            assert len(texts) > 60
            for text, contrast in texts:
                tag = re.fullmatch(r"[AR]|\d( ×)?", text)  # see the test of colours below
                assert tag or contrast >= 4.5, f"{name}, {text!r}: {contrast:.2f}"

        for preset in ("a first try", "all found", "… and rescued"):
            host.anchors.press(preset)
            look(host.anchors, f"anchors_{preset.replace(' ', '_')}")
        switch(host.anchors, "Height : width", RATIOS["five"])
        look(host.anchors, "anchors_five")
        switch(host.anchors, "Truth", TRUTHS["own"])
        look(host.anchors, "anchors_own")
        for bins, points, aligned in ((2, 2, True), (3, 3, False)):
            set_roi(host.roi, RoIExplorer(bins, points, aligned))
            look(host.roi, f"roi_{bins}_{points}_{aligned}")
        assert found == []


def test_jupyterlab_s_themes_are_legible_and_fit(explorers: Notebook, pictures: Path) -> None:
    host = in_notebook(explorers)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        explorers.theme(theme)
        for figure in (host.anchors, host.roi):
            kind = figure.root.get_attribute("data-explorer")
            figure.root.screenshot(path=pictures / f"lab_{kind}_{theme.split()[-1].lower()}.png")
            for text, contrast in figure.root.evaluate(CONTRAST):
                tag = re.fullmatch(r"[AR]|\d( ×)?", text)
                assert tag or contrast >= 4.5, f"{theme}, {text!r}: {contrast:.2f}"
            wide = "e => (e = e.closest('.jp-OutputArea-output')).scrollWidth - e.clientWidth"
            assert figure.root.evaluate(wide) == 0


def test_letters_on_the_deepest_cell_are_legible(host: Host) -> None:
    """Dark on the course's sky blue, and white or dark on the tags."""
    seen = host.roi.root.evaluate(
        """root => {
            const light = rgb => rgb.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0)
            const cell = light(getComputedStyle(root.querySelector(".odx-heat rect")).fill)
            return [".odx-heat text", ".odx-output data"].map(name => {
                const style = getComputedStyle(root.querySelector(name))
                const ink = light(name.includes("data") ? style.color : style.fill)
                return (Math.max(ink, cell) + 0.05) / (Math.min(ink, cell) + 0.05)
            })
        }"""
    )
    assert min(seen) >= 4.5


def test_the_keyboard_s_focus_is_seen(host: Host, pictures: Path) -> None:
    switch(host.anchors, "Truth", TRUTHS["scene"])
    spot = host.anchors.root.locator(".odx-spot")
    host.anchors.root.get_by_role("button", name="… and rescued").focus()
    host.page.keyboard.press("Tab")
    expect(spot).to_be_focused()
    style, width = spot.evaluate(
        "e => (e = getComputedStyle(e)) && [e.outlineStyle, parseFloat(e.outlineWidth)]"
    )
    assert (style, width >= 2) == ("solid", True)
    host.anchors.root.locator(".odx-stack").screenshot(path=pictures / f"{host.name}_focus.png")


def test_tab_reaches_everything(browser: Browser) -> None:
    ours = ["Location in row 10 of 15, column 12 of 20", SIZE, HIGH, LOW, "Box R", *R_SIDES]
    assert list(dict.fromkeys(name for name in tab_order(browser) if name in ours)) == ours


# ------------------------------------------------------------------ latency


def latencies(host: Host, moves: int = MOVES) -> dict[str, dict[str, float]]:
    found: dict[str, Any] = {}
    keyboard, mouse = host.page.keyboard, host.page.mouse
    keys = ["ArrowRight", "ArrowLeft"]
    switch(host.anchors, "Truth", TRUTHS["scene"])
    switch(host.anchors, "Height : width", RATIOS["five"])
    for stride in ("16", "8"):
        host.anchors.press("a first try")
        switch(host.anchors, "Stride", stride)
        host.anchors.field(SIZE).focus()
        found[f"anchors, key on the size, stride {stride}"] = measure(
            host.anchors, "keydown", "negative", lambda n: keyboard.press(keys[n % 2]), moves
        )
    start_roi(host, (1.4, 1.3, 4.3, 4.4))
    host.roi.root.locator("g.odx-box").focus()
    found["RoI, key"] = measure(
        host.roi, "keydown", "precise-0-0", lambda n: keyboard.press(keys[n % 2]), moves
    )
    host.roi.root.locator(".odx-stack").evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, _ = host.roi.root.locator("svg.odx-canvas").first.evaluate(FRAME)
    x, y = left + width / 3, top + width / 3
    mouse.move(x, y)
    mouse.down()
    found["RoI, drag"] = measure(
        host.roi, "pointermove", "precise-0-0",
        lambda n: mouse.move(x + (12 if n % 2 == 0 else 0), y), moves,
    )  # fmt: skip
    mouse.up()
    return found


def test_a_movement_is_seen_at_once(host: Host) -> None:
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
