"""The explorers of YOLO's grid and of the pyramid in a browser: what they show is the library's.

`python tests/test_explorers_detectors.py latency` prints how long a movement takes to be seen.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
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
    CORNERS,
    FRAME,
    MOVES,
    Explorer,
    Numbers,
    drag,
    measure,
    settings,
    sides,
    static_page,
    steps,
    switch,
    tab_order,
    table,
    touch,
    written,
)

from course_lib.explore import GridExplorer, PyramidExplorer
from course_lib.explore.pyramid import DETECTORS, OBJECTS, RATIOS, SCALES, SIZES
from course_lib.models.yolo import yolo_loss

pytestmark = needs_browser

OBJECT = ("A bird", "B bird", "C cat", "D sheep", "E dog")
TURNS = (
    "S, cells on a side", "confidence of predictor 1", "confidence of predictor 2",
    "confidence of cells without an object", "probability of the right class",
    "λ_coord, the weight of the boxes", "λ_noobj, the weight of no object",
)  # fmt: skip
HIGH, LOW = "high IoU threshold", "low IoU threshold"
WORDS = {
    "Levels": {"3-7": "P3 to P7", "3-5": "P3 to P5", "5": "P5 alone"},
    "Smallest anchor, in strides": {name: name for name in SCALES},
    "Sizes in an octave": {name: str(count) for name, count in SIZES.items()},
    "Height : width": {"one": "1", "three": "½, 1, 2"},
    "Low-quality matches": {False: "off", True: "on"},
}


def fields(*labels: str) -> list[str]:
    return [f"{label}, as a number" for label in labels]


@dataclass
class Host:
    name: str
    page: Page
    grid: Explorer
    pyramid: Explorer
    notebook: Notebook | None = None


def in_notebook(notebook: Notebook) -> Host:
    grid, pyramid = (
        Explorer(notebook.cell(notebook.starting(start)).locator("[data-explorer]"))
        for start in ("gridded-grid", "levelled-pyramid")
    )
    expect(pyramid.root.locator("data").last).to_be_attached()
    return Host("notebook", notebook.page, grid, pyramid, notebook)


def on_page(page: Page) -> Host:
    grid, pyramid = (Explorer(page.locator(f'[data-explorer="{n}"]')) for n in ("grid", "pyramid"))
    expect(pyramid.root.locator("data").last).to_be_attached()
    return Host("page", page, grid, pyramid)


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
        if text is not None:
            near, half = written(text)
            assert abs(near - value) <= 1.001 * half + 1e-12, f"{name}: {value} as {text}"
    assert {name: value for name, (value, _) in shown.items()} == pytest.approx(wanted, abs=1e-9)


def at(figure: Explorer, world: dict[str, Any], x: float, y: float) -> tuple[float, float]:
    """A place of the picture, as one of the window."""
    stack = figure.root.locator(".odx-stack")
    stack.evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, height = stack.locator("svg.odx-canvas").first.evaluate(FRAME)
    return left + x / world["width"] * width, top + y / world["height"] * height


# ------------------------------------------------------------------ grid


def grid_wanted(python: GridExplorer) -> dict[str, float]:
    row, column = python.cells[python.object].tolist()
    targets, said = python.targets, python.predictions
    fours = {"target": targets[row, column, :4], "1": said[row, column, :4], "2": said[row, column, 5:9]}  # fmt: skip
    ious, best, wanted = python.ious.tolist(), python.answers, {}
    for name, (x, y, w, h) in fours.items():
        values = {"x": x, "y": y, "w": w**2, "h": h**2, "root-w": w, "root-h": h}
        wanted |= {f"{key}-{name}": float(value) for key, value in values.items()}
    for k in (0, 1):
        wanted |= {f"iou-{k + 1}": ious[k], f"is-{k + 1}": python.confidence[k]}
        wanted[f"should-{k + 1}"] = ious[k] if k == best else 0
    empty = (targets[..., 4:5] == 0).double()
    weights = (2, python.lambda_coord, python.lambda_noobj)
    idle = yolo_loss((said * empty)[None], (targets * empty)[None], *weights)
    parts, loss = python.here._asdict(), python.loss
    for term, whole in loss._asdict().items():
        here = parts[term].item()
        free = idle.no_object.item() if term == "no_object" else 0
        wanted |= {f"here-{term}": here, f"bar-{term}-here": here, f"bar-{term}-empty": free}
        wanted[f"bar-{term}-objects"] = whole.item() - here - free
    wanted["slip-plain"] = python.lambda_coord * (10 / python.world["width"]) ** 2
    return wanted | {"loss": sum(loss).item(), "slip": python.slip()}


def some_box(rng: random.Random, W: int, H: int) -> list[float]:
    """A box in the picture: whole, half or any pixels."""
    digits = rng.choice([0, 0, 1, 6])
    x1, y1 = round(rng.uniform(0, W - 6), digits), round(rng.uniform(0, H - 6), digits)
    x2, y2 = (round(rng.uniform(low + 2, high), digits) for low, high in ((x1, W), (y1, H)))
    return [x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)]


Rows = list[list[float]]
Wanted = list[dict[str, float]]


@cache
def grid_settings() -> tuple[list[tuple[int, Rows, Wanted]], set[tuple[int, bool, bool]]]:
    """200 settings: of each object 20 places and weights, then 20 pairs of boxes in its cell.

    Also what kinds there are: who answers, whether both miss, whether the object keeps its cell.
    """
    rng, groups, kinds = random.Random(7), [], set()
    for k in range(5):
        python = GridExplorer()
        python.object, W, H = k, python.world["width"], python.world["height"]
        rows: Rows = []
        wanted: Wanted = []
        for n in range(40):
            owner = python.owner
            truth, pair = python.truths[k], python.predicted[owner]
            if n % 2 == 0:
                truth = some_box(rng, W, H) if n % 4 else near(rng, python.truths[k - 1], W, H)
                python.S = rng.choice([3, 4, 5, 7, 10, 14])
                python.confidence = [round(rng.random(), 2), rng.choice([0, 1, 0.5])]
                python.empty, python.p = round(rng.random(), 2), rng.choice([0, 1, rng.random()])
                python.lambda_coord = rng.choice([0, 1, 5, round(rng.uniform(0, 10), 2)])
                python.lambda_noobj = rng.choice([0, 1, 0.5, round(rng.random(), 2)])
                python.truths = [truth if j == k else box for j, box in enumerate(python.truths)]
            else:
                pair = [some_box(rng, W, H), near(rng, python.truths[owner], W, H)]
                said = [pair if j == owner else both for j, both in enumerate(python.predicted)]
                python.predicted = said
            turns = [python.S, *python.confidence, python.empty, python.p]
            turns += [python.lambda_coord, python.lambda_noobj]
            boxes = [side for box in (truth, *pair) for side in (W, H, *box)]
            rows.append([*turns, *boxes])
            wanted.append(grid_wanted(python))
            kinds.add((python.answers, bool(python.ious.max() == 0), python.owner == k))
        groups.append((k, rows, wanted))
    return groups, kinds


def test_cells_and_losses_are_the_library_s(host: Host) -> None:
    groups, kinds = grid_settings()
    assert {(0, False, True), (1, False, True), (0, True, True), (1, True, True)} <= kinds
    assert (1, False, False) in kinds
    for k, rows, wanted in groups:
        host.grid.press("learned a little")
        switch(host.grid, "Object", OBJECT[k])
        labels = fields(*TURNS) + sides("ABCDE"[k]) + sides("1") + sides("2")
        n = settings(host, len(rows))
        for shown, expected in zip(host.grid.type(labels, rows[:n]), wanted[:n], strict=True):
            check(shown, expected)


def near(rng: random.Random, box: list[float], W: int, H: int) -> list[float]:
    """A box that overlaps a given one, or is equal to it."""
    moved = [side + rng.randint(-9, 9) * rng.choice([0, 1]) for side in box]
    x1, y1 = min(max(moved[0], 0), W - 6), min(max(moved[1], 0), H - 6)
    return [x1, y1, min(max(moved[2], x1 + 2), W), min(max(moved[3], y1 + 2), H)]


def test_grid_presets_show_the_library_s_numbers(host: Host) -> None:
    for preset, _ in GridExplorer().world["presets"]:
        host.grid.press(preset)
        check(host.grid.read()["numbers"], grid_wanted(GridExplorer(preset=preset)))
        pressed = host.grid.root.get_by_role("button", pressed=True)
        assert pressed.all_inner_texts() == [preset]
    expect(host.grid.root.locator(".odx-verdict")).to_contain_text("Nothing is left to learn")
    host.grid.press("two in one cell")
    expect(host.grid.root.locator(".odx-verdict")).to_contain_text("D, the sheep, is lost")


def start_grid(host: Host, preset: str = "learned a little") -> GridExplorer:
    host.grid.press(preset)
    return GridExplorer(preset=preset)


def grid_agrees(host: Host, python: GridExplorer) -> list[float]:
    """Take over what stands in the fields; the numbers must be the library's."""
    now = host.grid.read()
    typed = [[now["fields"][f"{name} {side}"] for side in CORNERS] for name in "ABCDE12"]
    python.object, python.truths = int(now["chosen"]), typed[:5]
    python.S = int(now["fields"][fields(TURNS[0])[0]])
    owner = python.owner
    python.predicted = [typed[5:] if k == owner else p for k, p in enumerate(python.predicted)]
    check(now["numbers"], grid_wanted(python))
    return [side for box in typed for side in box]


def test_an_object_is_dragged_from_cell_to_cell(host: Host) -> None:
    figure, python = host.grid, start_grid(host)
    cells, world = set(), python.world

    def agrees() -> list[float]:
        boxes = grid_agrees(host, python)
        cells.add(tuple(python.cells[python.object].tolist()))
        return boxes

    x1, y1, x2, y2 = python.truths[0]  # a bird, not the chosen object: the press chooses it
    middle = at(figure, world, (x1 + x2) / 2 + 8, (y1 + y2) / 2)
    drag(host.page, steps(middle, (-330, 60), 8), agrees)
    assert python.object == 0
    assert len(cells) > 3
    assert python.truths[0][2] - python.truths[0][0] == x2 - x1
    before = python.truths[0]
    (end,) = drag(host.page, steps(at(figure, world, *before[2:]), (40, 30), 1), agrees)
    assert end[:2] == before[:2]
    assert end[2] > before[2]
    assert end[3] > before[3]


def test_a_press_chooses_and_a_prediction_is_dragged(host: Host) -> None:
    figure, python = host.grid, start_grid(host)
    host.page.mouse.click(*at(figure, python.world, 240, 120))  # the sheep
    grid_agrees(host, python)
    assert python.object == 3
    truths = python.truths
    x1, _, x2, y2 = python.predicted[3][0]
    inside = at(figure, python.world, (x1 + x2) / 2 - 18, y2 - 2)
    drag(host.page, steps(inside, (-120, 0), 6), lambda: grid_agrees(host, python))
    assert python.predicted[3][0][0] < x1 - 50
    assert python.truths == truths
    assert python.answers == 1


def test_two_objects_meet_in_one_cell(host: Host) -> None:
    """The earlier one keeps the cell, and the two boxes are the cell's."""
    python = start_grid(host)
    figure = host.grid
    switch(figure, "Object", OBJECT[3])
    figure.field(TURNS[0]).focus()
    for _ in range(3):
        host.page.keyboard.press("ArrowLeft")
        grid_agrees(host, python)
    assert (python.S, python.lost, python.owner) == (4, [3], 2)
    figure.root.locator("g.odx-box").nth(6).focus()
    before = python.predicted[2][1]
    host.page.keyboard.press("Control+ArrowRight")
    grid_agrees(host, python)
    assert python.predicted[2][1] == [before[0] + 10, before[1], before[2] + 10, before[3]]
    figure.root.locator("g.odx-box").nth(3).focus()
    for _ in range(3):
        host.page.keyboard.press("Control+ArrowRight")
    grid_agrees(host, python)
    assert (python.lost, python.owner) == ([], 3)


def test_grid_sliders_follow_the_keys(host: Host) -> None:
    start_grid(host)
    for label in TURNS:
        host.grid.field(label).focus()
        field = f"{label}, as a number"
        before = host.grid.read()["fields"][field]
        for key, sign in (("ArrowLeft", -1), ("ArrowRight", 0), ("ArrowRight", 1)):
            host.page.keyboard.press(key)
            now = host.grid.read()["fields"][field] - before
            assert (now > 1e-9) - (now < -1e-9) == sign, label


# ------------------------------------------------------------------ pyramid


def pyramid_wanted(python: PyramidExplorer) -> dict[str, float]:
    counts, best, reach, wanted = python.counts, python.best, python.reach, {}
    for kind in ("anchors", "positive", "rescued", "ignored", "negative"):
        wanted[kind] = sum(level[kind] for level in counts.values())
        if kind != "rescued":
            wanted |= {f"{kind}-{k}": level[kind] for k, level in counts.items()}
    for k, level in counts.items():
        wanted |= {f"best-{k}": best[k], f"reach-best-{k}": reach[k]}
        wanted[f"row-positive-{k}"] = level["positive"]
    return wanted


@cache
def pyramid_settings() -> list[tuple[dict[str, Any], Rows, Wanted]]:
    """200 settings, in groups that share what is chosen and differ in what is typed."""
    rng, python, groups = random.Random(8), PyramidExplorer(), []
    for group in range(20):
        chosen = {
            "levels": ("3-7", "3-7", "3-5", "5")[group % 4], "scale": rng.choice(list(SCALES)),
            "sizes": rng.choice(list(SIZES)), "ratios": rng.choice(list(RATIOS)),
            "low_quality": group % 2 == 0,
        }  # fmt: skip
        for name, value in chosen.items():
            setattr(python, name, value)
        rows: Rows = []
        wanted: Wanted = []
        for n in range(10):
            high = round(rng.uniform(0.05, 0.95), 2) if n % 2 else 0.5
            low = rng.choice([high, round(rng.uniform(0.05, high), 2), 0.05])
            with python.hold_trait_notifications():
                python.high, python.low = high, low
            size = rng.choice([8, 20, 60, 200, 512])
            x1, y1 = rng.randint(0, 512 - size), rng.randint(0, 512 - size)
            box = [side + x1 for side in some_box(rng, size, size)]
            python.box = [box[0], box[1] - x1 + y1, box[2], box[3] - x1 + y1]
            rows.append([0.05, high, low, 512, 512, *python.box])
            wanted.append(pyramid_wanted(python))
        groups.append((chosen, rows, wanted))
    return groups


def test_matches_of_every_level_are_the_library_s(host: Host) -> None:
    labels, seen = fields(LOW, HIGH, LOW) + sides("A"), set()
    groups = pyramid_settings()
    for chosen, rows, wanted in groups[: settings(host, len(groups))]:
        for (group, words), value in zip(WORDS.items(), chosen.values(), strict=True):
            switch(host.pyramid, group, words[value])
        for shown, expected in zip(host.pyramid.type(labels, rows), wanted, strict=True):
            check(shown, expected)
            seen.add((expected["positive"], expected["rescued"], expected["ignored"]))
    assert len(seen) > settings(host, 60)
    assert len([one for one in seen if one[1]]) > settings(host, 20)


@pytest.mark.parametrize("preset", [*OBJECTS, *DETECTORS])
def test_pyramid_buttons_show_the_library_s_numbers(host: Host, preset: str) -> None:
    python = start_pyramid(host)
    host.pyramid.press(preset)
    python.choose(preset)
    check(host.pyramid.read()["numbers"], pyramid_wanted(python))
    pressed = host.pyramid.root.get_by_role("button", pressed=True).all_inner_texts()
    assert preset in pressed


def start_pyramid(host: Host) -> PyramidExplorer:
    python = PyramidExplorer()
    host.pyramid.press("RetinaNet")
    host.pyramid.press("face")
    host.pyramid.press("the level that fits best")
    switch(host.pyramid, "Low-quality matches", "off")
    host.pyramid.type(fields(LOW, HIGH, LOW), [[0.05, 0.5, 0.4]])
    return python


def pyramid_agrees(host: Host, python: PyramidExplorer) -> list[float]:
    now = host.pyramid.read()
    python.box = [now["fields"][f"A {side}"] for side in CORNERS]
    check(now["numbers"], pyramid_wanted(python))
    return python.box


def looked_at(host: Host) -> str:
    """The level whose map stands over the picture."""
    host.pyramid.read()
    (title,) = host.pyramid.root.locator(".odx-card[data-here] h4").all_inner_texts()
    return title.split(",")[0]


def test_a_box_is_dragged_over_the_levels(host: Host) -> None:
    figure, python = host.pyramid, start_pyramid(host)
    x1, y1, x2, _ = python.box
    middle = at(figure, python.world, (x1 + x2) / 2, y1 + 30)
    seen = drag(host.page, steps(middle, (150, 90), 4), lambda: pyramid_agrees(host, python))
    assert len({tuple(box) for box in seen}) == 4
    assert seen[-1][2] - seen[-1][0] == x2 - x1
    levels = []

    def level() -> list[float]:
        levels.append(looked_at(host))
        return pyramid_agrees(host, python)

    corner = at(figure, python.world, *python.box[2:])
    drag(host.page, [corner, *(at(figure, python.world, *p) for p in ((310, 220), (345, 230), (512, 512)))], level)  # fmt: skip
    assert levels[:3] == sorted(levels[:3])
    assert len(set(levels)) > 1
    figure.root.locator("g.odx-box").focus()
    before = python.box
    for key, change in (
        ("ArrowLeft", (-1, 0, -1, 0)), ("Control+ArrowUp", (0, -10, 0, -10)),
        ("Shift+ArrowLeft", (0, 0, -1, 0)),
    ):  # fmt: skip
        host.page.keyboard.press(key)
        before = [side + by for side, by in zip(before, change, strict=True)]
        assert pyramid_agrees(host, python) == before


def test_the_plot_makes_the_box_larger(host: Host) -> None:
    python = start_pyramid(host)
    plot = host.pyramid.root.locator("svg.odx-plot")
    plot.evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, height = plot.evaluate(FRAME)
    start, areas, levels = (left + 70, top + height / 2), [], []

    def agrees() -> list[float]:
        x1, y1, x2, y2 = pyramid_agrees(host, python)
        areas.append((x2 - x1) * (y2 - y1))
        levels.append(looked_at(host))
        return [x1, y1, x2, y2]

    drag(host.page, steps(start, (width - 90, 0), 7), agrees)
    assert areas[:7] == sorted(areas[:7])
    assert levels[:7] == sorted(levels[:7])
    assert len(set(levels)) == 4
    assert areas[6] > 100 * areas[0]


def test_a_level_is_looked_at_by_button_and_by_its_map(host: Host) -> None:
    figure = host.pyramid
    start_pyramid(host)
    assert looked_at(host) == "P5"
    figure.press("P3")
    assert looked_at(host) == "P3"
    figure.root.locator(".odx-card svg").nth(3).click()
    assert looked_at(host) == "P6"
    switch(figure, "Levels", WORDS["Levels"]["3-5"])
    assert looked_at(host) == "P5"  # the nearest that there is
    assert figure.root.locator(".odx-card").count() == 3
    figure.press("the level that fits best")
    figure.press("name tag")
    assert looked_at(host) == "P3"


def test_thresholds_take_each_other_along(host: Host) -> None:
    start_pyramid(host)
    low, high = fields(LOW, HIGH)
    host.pyramid.type([low], [[0.8]])
    assert [host.pyramid.read()["fields"][f] for f in (low, high)] == [0.8, 0.8]
    host.pyramid.type([high], [[0.3]])
    assert [host.pyramid.read()["fields"][f] for f in (low, high)] == [0.3, 0.3]
    host.pyramid.field(HIGH).focus()
    host.page.keyboard.press("ArrowRight")
    now = host.pyramid.read()["fields"]
    assert [now[low], now[high]] == pytest.approx([0.3, 0.31])


# ------------------------------------------------------------------ Python


def test_python_reads_and_sets_them(explorers: Notebook) -> None:
    host = in_notebook(explorers)
    notebook = host.notebook
    assert notebook
    last = notebook.cells[-1]
    start_grid(host, "two in one cell")
    start_pyramid(host)
    host.pyramid.press("rocket")
    notebook.write(last, "print(gridded.S, gridded.object, *gridded.lost, gridded.owner, gridded.loss.centre.item(), levelled.box[3], levelled.best[5])")  # fmt: skip
    said = [float(x) for x in notebook.run(last).locator(OUTPUT).inner_text().split()]
    shown = host.grid.read()["numbers"]
    assert said[:4] == [4, 3, 3, 2]
    centre = sum(shown[f"bar-centre-{of}"][0] for of in ("here", "objects", "empty"))
    assert said[4] == pytest.approx(centre, abs=1e-9)
    assert said[5:] == pytest.approx([290, host.pyramid.read()["numbers"]["best-5"][0]], abs=1e-9)
    notebook.write(last, "gridded.choose('both miss'); gridded.S = 9; levelled.choose('no pyramid'); levelled.box = [10.5, 20, 300, 400]; levelled.low_quality = True")  # fmt: skip
    notebook.run(last)
    expect(host.pyramid.field("A x1")).to_have_value("10.5")
    grid, pyramid = GridExplorer(preset="both miss"), PyramidExplorer(preset="no pyramid")
    grid.S = 9
    pyramid.box, pyramid.low_quality = [10.5, 20, 300, 400], True
    check(host.grid.read()["numbers"], grid_wanted(grid))
    check(host.pyramid.read()["numbers"], pyramid_wanted(pyramid))


# ------------------------------------------------------------------ looks

NARROW = 390
TAG = re.compile(r"[A-E12]")  # on a box, in a colour of its own


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_all_fits(browser: Browser, pictures: Path, scheme: Any) -> None:
    with static_page(browser, color_scheme=scheme) as there:
        host, found = on_page(there.page), []

        def look(figure: Explorer, name: str, width: int) -> None:
            figure.root.screenshot(path=pictures / f"{name}_{scheme}_{width}.png")
            kind = figure.root.get_attribute("data-explorer")
            for fault in faults(there.page, f'[data-explorer="{kind}"]'):
                where = [node["target"] for node in fault["nodes"]]
                found.append((name, fault["id"], fault["impact"], fault["help"], where[:3]))
            texts = figure.root.evaluate(CONTRAST)
            assert len(texts) > 60
            for text, contrast in texts:
                assert TAG.fullmatch(text) or contrast >= 4.5, f"{name}, {text!r}: {contrast:.2f}"

        for width in (1060, 820, 600, NARROW):
            there.page.set_viewport_size({"width": width, "height": 900})
            shown = [(host.grid, p) for p in ("learned a little", "two in one cell")]
            shown += [(host.pyramid, p) for p in ("face", "astronaut", "one anchor a location")]
            for figure, preset in shown:
                figure.press(preset)
                fits = "document.scrollingElement.scrollWidth <= innerWidth"
                assert there.page.evaluate(fits), (preset, width)
                wide = "e => [...e.querySelectorAll('.odx-tbar, .odx-row, .odx-table, .odx-card')].filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"  # fmt: skip
                assert figure.root.evaluate(wide) == [], (preset, width)
                if width in (1060, NARROW):
                    look(figure, preset.replace(" ", "_"), width)
        assert found == []


def test_jupyterlab_s_themes_are_legible_and_fit(host: Host, pictures: Path) -> None:
    if not host.notebook:
        return
    start_grid(host)
    start_pyramid(host)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        host.notebook.theme(theme)
        for figure in (host.grid, host.pyramid):
            kind = figure.root.get_attribute("data-explorer")
            figure.root.screenshot(path=pictures / f"lab_{kind}_{theme.split()[-1].lower()}.png")
            for text, contrast in figure.root.evaluate(CONTRAST):
                assert TAG.fullmatch(text) or contrast >= 4.5, f"{theme}, {text!r}: {contrast:.2f}"
            wide = "e => (e = e.closest('.jp-OutputArea-output')).scrollWidth - e.clientWidth"
            assert figure.root.evaluate(wide) == 0


def test_tab_reaches_everything(browser: Browser) -> None:
    names = tab_order(browser)
    ours = ["E dog", *(f"Box {name}" for name in "ABCDE12"), *TURNS, "her eye", HIGH, LOW]
    grid, after = names.index("E dog"), names.index("small and large")  # of the next explorer
    assert [name for name in names[grid:after] if name in ours] == [
        "E dog", *(f"Box {name}" for name in "ABCDE12"), *TURNS[:3], TURNS[4], TURNS[3],
        *TURNS[5:], "her eye", "Box A", HIGH, LOW,
    ]  # fmt: skip


def test_a_finger_chooses_and_drags_and_scrolls_elsewhere(browser: Browser) -> None:
    with static_page(browser, has_touch=True, viewport={"width": NARROW, "height": 800}) as there:
        host = on_page(there.page)
        python = start_grid(host)
        before = grid_agrees(host, python)
        touch(host.page, steps(at(host.grid, python.world, 265, 16), (-60, 30)))
        after = grid_agrees(host, python)
        assert python.object == 0
        assert after[0] < before[0] - 30
        assert after[4:20] == before[4:20]
        scrolled = host.page.evaluate("scrollY")
        touch(host.page, steps(at(host.grid, python.world, 300, 200), (0, -200), 10))
        assert host.page.evaluate("scrollY") > scrolled + 100
        assert grid_agrees(host, python) == after


# ------------------------------------------------------------------ latency


def latencies(host: Host, moves: int = MOVES) -> dict[str, dict[str, float]]:
    found: dict[str, Any] = {}
    keyboard, mouse = host.page.keyboard, host.page.mouse
    keys = ["ArrowRight", "ArrowLeft"]

    def dragged(figure: Explorer, place: tuple[float, float], number: str) -> dict[str, float]:
        x, y = place
        mouse.move(x, y)
        mouse.down()
        times = measure(
            figure, "pointermove", number,
            lambda n: mouse.move(x + (12 if n % 2 == 0 else 0), y + (6 if n % 2 == 0 else 0)),
            moves,
        )  # fmt: skip
        mouse.up()
        return times

    grid = start_grid(host)
    found["grid, drag"] = dragged(host.grid, at(host.grid, grid.world, 100, 120), "x-1")
    host.grid.field(TURNS[0]).focus()
    found["grid, key on S"] = measure(
        host.grid, "keydown", "loss", lambda n: keyboard.press(keys[n % 2]), moves
    )
    pyramid = start_pyramid(host)
    place = at(host.pyramid, pyramid.world, 225, 90)
    found["pyramid, drag"] = dragged(host.pyramid, place, "best-5")
    host.pyramid.press("astronaut")
    host.pyramid.press("P3")
    host.pyramid.type(fields(LOW, HIGH, LOW), [[0.05, 0.06, 0.05]])
    host.pyramid.field(HIGH).focus()
    found["pyramid, key, all in green"] = measure(
        host.pyramid, "keydown", "positive", lambda n: keyboard.press(keys[n % 2]), moves
    )
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
