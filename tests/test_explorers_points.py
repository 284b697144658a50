"""The explorers of FCOS's locations and of CenterNet's heatmaps in a browser.

`python tests/test_explorers_points.py latency` prints how long a movement takes to be seen.
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
from playwright.sync_api import Browser, Locator, Page, expect
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

from course_lib.boxes import box_area, box_iou
from course_lib.explore import FCOSExplorer, HeatmapExplorer
from course_lib.explore.fcos import LEVELS
from course_lib.explore.fcos import SCENES as PLACES
from course_lib.explore.heatmap import CASES, SCENES
from course_lib.models.centernet import gaussian_heatmap
from course_lib.models.fcos import centerness, smallest_box

pytestmark = needs_browser

RADIUS, IOU = "radius of centre sampling, in strides", "IoU that is nearly right"
RULES = {"Centre sampling": "sampling", "Level ranges": "ranges"}
ON = {True: "on", False: "off"}
KIND = {False: "right", True: "as published"}
ROUGH = ("heat-", "weight-")  # the library makes heatmaps in float32


def number(label: str) -> str:
    return f"{label}, as a number"


@dataclass
class Host:
    name: str
    page: Page
    fcos: Explorer
    heatmap: Explorer
    notebook: Notebook | None = None


def in_notebook(notebook: Notebook) -> Host:
    fcos, heatmap = (
        Explorer(notebook.cell(notebook.starting(start)).locator("[data-explorer]"))
        for start in ("located-fcos", "peaked-heatmap")
    )
    expect(heatmap.root.locator("data").last).to_be_attached()
    return Host("notebook", notebook.page, fcos, heatmap, notebook)


def on_page(page: Page) -> Host:
    fcos, heatmap = (Explorer(page.locator(f'[data-explorer="{n}"]')) for n in ("fcos", "heatmap"))
    expect(heatmap.root.locator("data").last).to_be_attached()
    return Host("page", page, fcos, heatmap)


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
    assert shown.keys() == wanted.keys()
    for name, (value, _) in shown.items():
        close = 1e-6 if name.startswith(ROUGH) else 1e-9
        assert value == pytest.approx(wanted[name], abs=close), name


def at(picture: Locator, world: dict[str, Any], x: float, y: float) -> tuple[float, float]:
    """A place of the picture, as one of the window."""
    picture.evaluate("e => e.scrollIntoView({block: 'center'})")
    left, top, width, height = picture.evaluate(FRAME)
    return left + x / world["width"] * width, top + y / world["height"] * height


def some_box(rng: random.Random, W: int, H: int) -> list[float]:
    """A box in the picture: whole, half or any pixels, small or large."""
    digits, size = rng.choice([0, 0, 1, 6]), rng.choice([20, 60, 150, 512])
    x1, y1 = round(rng.uniform(0, W - 8), digits), round(rng.uniform(0, H - 8), digits)
    w, h = (rng.uniform(4, size) for _ in "wh")
    return [x1, y1, round(min(x1 + w, W), digits), round(min(y1 + h, H), digits)]


Rows = list[list[float]]
Wanted = list[dict[str, float]]

# ------------------------------------------------------------------ FCOS


def fcos_wanted(python: FCOSExplorer) -> dict[str, float]:
    (row, column), boxes = python.location, torch.tensor(python.boxes, dtype=torch.float64)
    candidates = python.candidates
    owners = {k: smallest_box(asks, boxes) for k, asks in candidates.items()}
    asking = {k: asks.sum(1) for k, asks in candidates.items()}
    stride = 2**python.level
    point = torch.tensor([column + 0.5, row + 0.5], dtype=torch.float64) * stride
    owned = [[int((of == k).sum()) for k in range(len(boxes))] for of in owners.values()]
    winner = int(owners[python.level][row * 512 // stride + column])
    positive = {f"positive-{k}": int((of >= 0).sum()) for k, of in owners.items()}
    several = {f"ambiguous-{k}": int((count > 1).sum()) for k, count in asking.items()}
    wanted: dict[str, float] = {
        **positive, **several, "positive": sum(positive.values()),
        "ambiguous": sum(several.values()), "locations": sum(map(len, owners.values())),
        "ambiguous-here": several[f"ambiguous-{python.level}"],
    }  # fmt: skip
    for k, (box, four, area) in enumerate(zip(boxes, python.sides, box_area(boxes), strict=True)):
        name = "ABCD"[k]
        wanted |= {f"{side}-{name}": far for side, far in zip("ltrb", four.tolist(), strict=True)}
        away = ((box[:2] + box[2:]) / 2 - point).abs().max().item()
        wanted |= {f"away-{name}": away, f"longest-{name}": four.max().item()}
        wanted |= {f"area-{name}": area.item(), f"owned-{name}": sum(one[k] for one in owned)}
        wanted |= {f"owned-{name}-{m}": one[k] for m, one in zip(LEVELS, owned, strict=True)}
    return (
        wanted if winner < 0 else wanted | {"centerness": centerness(python.sides[winner]).item()}
    )


def places(host: Host) -> Locator:
    return host.fcos.root.locator(".odx-stack svg.odx-canvas").first


def place(host: Host, x: float, y: float) -> tuple[float, float]:
    return at(places(host), FCOSExplorer().world, x, y)


def spot(host: Host) -> tuple[int, int]:
    """Row and column of the chosen location, from 0."""
    host.fcos.read()
    label = host.fcos.root.locator(".odx-spot").get_attribute("aria-label") or ""
    match = re.match(r"Location in row (\d+) of \d+, column (\d+) of \d+: ", label)
    assert match, label
    return int(match[1]) - 1, int(match[2]) - 1


def start_fcos(host: Host, scene: str = "small and large") -> FCOSExplorer:
    host.fcos.press(scene)
    host.fcos.type([number(RADIUS)], [[1.5]])
    for group in RULES:
        switch(host.fcos, group, "on")
    return FCOSExplorer(scene)


def fcos_agrees(host: Host, python: FCOSExplorer) -> list[float]:
    """Take over what stands in the fields; the numbers must be the library's."""
    now = host.fcos.read()
    names = "ABCD"[: len(python.boxes)]
    with python.hold_trait_notifications():
        python.boxes = [[now["fields"][f"{name} {side}"] for side in CORNERS] for name in names]
        python.radius = now["fields"][number(RADIUS)]
        python.level = int(now["chosen"])
    python.location = spot(host)
    check(now["numbers"], fcos_wanted(python))
    return [side for box in python.boxes for side in box]


def around(rng: random.Random, python: FCOSExplorer) -> list[float]:
    """A box around the chosen location, of a size that its level may be in charge of."""
    (row, column), stride = python.location, 2**python.level
    half, aside = rng.uniform(4, 12) * stride, rng.uniform(-1.6, 1.6) * stride
    x, y, tall = (column + 0.5) * stride + aside, (row + 0.5) * stride, rng.uniform(0.4, 1) * half
    box = (x - half, y - tall, x + half, y + tall)
    return [round(min(max(side, 0), 512), rng.choice([0, 2])) for side in box]


@cache
def fcos_settings() -> tuple[list[tuple[FCOSExplorer, Rows, Wanted]], dict[str, int]]:
    """200 settings in groups that share what is chosen; how many have each kind of chosen place."""
    rng, groups = random.Random(11), []
    kinds = dict.fromkeys(
        ("answers", "answers, in several", "background", "background, in several", "ambiguous"), 0
    )
    for group in range(10):
        scene = list(PLACES)[group % 4]
        python = FCOSExplorer(scene)
        python.level = LEVELS[group % 5]
        python.sampling, python.ranges = group % 3 != 0, group % 4 != 1
        rows: Rows = []
        wanted: Wanted = []
        for n in range(20):
            boxes = [some_box(rng, 512, 512) for _ in python.boxes]
            if n % 3 == 0:
                boxes[-1] = boxes[0]  # equal areas: the first one gets it
            if n % 2 == 0:
                boxes[:2] = [around(rng, python) for _ in "AB"]
            python.boxes = boxes
            turned = []
            if python.sampling:
                python.radius = rng.choice([0.5, 1.5, 3, round(rng.uniform(0.5, 3), 2)])
                turned = [python.radius]
            rows.append(turned + [side for box in boxes for side in (512, 512, *box)])
            wanted.append(fcos_wanted(python))
            inside, wins = int((python.sides > 0).all(1).sum()), "centerness" in wanted[-1]
            kinds["answers" if wins else "background"] += 1
            kinds["answers, in several" if wins else "background, in several"] += inside > 1
            kinds["ambiguous"] += wanted[-1]["ambiguous-here"] > 0
        groups.append((python, rows, wanted))
    return groups, kinds


def test_locations_and_their_objects_are_the_library_s(host: Host) -> None:
    groups, kinds = fcos_settings()
    assert min(kinds.values()) > 10, kinds
    for python, rows, wanted in groups[:: 10 // settings(host, 10)]:
        start_fcos(host, next(name for name, s in PLACES.items() if s["place"] == python.place))
        switch(host.fcos, "Level", f"P{python.level}")
        for group, name in RULES.items():
            switch(host.fcos, group, ON[getattr(python, name)])
        labels = [number(RADIUS)] if python.sampling else []
        labels += [side for name in "ABCD"[: len(python.boxes)] for side in sides(name)]
        for shown, expected in zip(host.fcos.type(labels, rows), wanted, strict=True):
            check(shown, expected)


def test_fcos_buttons_and_rules_show_the_library_s_numbers(host: Host) -> None:
    for scene in PLACES:
        python = start_fcos(host, scene)
        fcos_agrees(host, python)
        pressed = host.fcos.root.get_by_role("button", pressed=True).all_inner_texts()
        assert pressed == [scene]
    python = start_fcos(host, "face in head")
    verdict = host.fcos.root.locator(".odx-verdict")
    expect(verdict).to_contain_text("A and B both ask for the chosen location. A is the smaller")
    for group, name in RULES.items():
        switch(host.fcos, group, "off")
        setattr(python, name, False)
        fcos_agrees(host, python)
    assert sum(level["ambiguous"] for level in python.counts.values()) > 300


def test_a_location_is_chosen_by_click_drag_and_key(host: Host) -> None:
    python = start_fcos(host, "face in head")
    for x, y in ((225, 120), (3, 3), (509, 509), (157, 83)):  # the first lies in both boxes
        host.page.mouse.click(*place(host, x, y))
        fcos_agrees(host, python)
        assert python.location == (y // 16, x // 16)
    host.page.mouse.click(*place(host, 225, 120))
    fcos_agrees(host, python)
    for key, (down, right) in (("ArrowRight", (0, 1)), ("ArrowDown", (1, 0)), ("ArrowUp", (-1, 0))):
        row, column = python.location
        host.page.keyboard.press(key)  # no Tab in between: the click has left the focus there
        fcos_agrees(host, python)
        assert python.location == (row + down, column + right)
    start = place(host, 400, 400)
    seen = drag(host.page, steps(start, (-60, 70)), lambda: spot(host))
    assert len(set(seen)) > 3
    assert python.boxes == PLACES["face in head"]["boxes"]
    host.fcos.root.locator(".odx-spot").focus()
    for _ in range(40):
        host.page.keyboard.press("ArrowLeft")
    fcos_agrees(host, python)
    assert python.location[1] == 0


def test_a_box_is_dragged_and_typed_and_moved_by_keys(host: Host) -> None:
    python = start_fcos(host, "head and collar")
    x1, y1, x2, y2 = python.boxes[1]
    owners = set()

    def agrees() -> list[float]:
        boxes = fcos_agrees(host, python)
        owners.add(str(python.owned.tolist()))
        return boxes

    chosen = python.location
    seen = drag(host.page, steps(place(host, 200, 260), (90, -60)), agrees)
    assert seen[-1][:4] == python.boxes[0]
    assert python.boxes[1][2] - python.boxes[1][0] == x2 - x1
    assert len(owners) > 1
    assert spot(host) == chosen  # a box that is dragged chooses no location
    corner = place(host, *python.boxes[1][2:])
    drag(host.page, steps(corner, (60, 80), 3), agrees)
    assert python.boxes[1][3] - python.boxes[1][1] > y2 - y1 + 40
    host.fcos.root.locator("g.odx-box").nth(1).focus()
    before = python.boxes[1]
    for key, change in (
        ("ArrowLeft", (-1, 0, -1, 0)), ("Control+ArrowDown", (0, 10, 0, 10)),
        ("Shift+ArrowLeft", (0, 0, -1, 0)),
    ):  # fmt: skip
        host.page.keyboard.press(key)
        agrees()
        before = [side + by for side, by in zip(before, change, strict=True)]
        assert python.boxes[1] == before
    host.fcos.field("A x1").click(click_count=3)
    host.page.keyboard.type("33.5")
    host.page.keyboard.press("Tab")
    assert agrees()[0] == 33.5


def test_levels_by_switch_and_by_their_maps(host: Host) -> None:
    figure, python = host.fcos, start_fcos(host)
    for level in LEVELS:
        switch(figure, "Level", f"P{level}")
        fcos_agrees(host, python)
        assert python.level == level
    figure.root.locator(".odx-card svg").nth(1).click()
    fcos_agrees(host, python)
    assert python.level == 4
    (title,) = figure.root.locator(".odx-card[data-here] h4").all_inner_texts()
    assert title == "P4: 64 to 128"


def test_the_radius_turns_centre_sampling_on(host: Host) -> None:
    python = start_fcos(host)
    switch(host.fcos, "Centre sampling", "off")
    python.sampling = False
    fcos_agrees(host, python)
    host.fcos.field(RADIUS).focus()
    host.page.keyboard.press("ArrowRight")
    python.sampling = True
    fcos_agrees(host, python)
    assert python.radius == pytest.approx(1.6)


# ------------------------------------------------------------------ heatmap


def heatmap_wanted(python: HeatmapExplorer) -> dict[str, float]:
    (row, column), step, box = python.location, python.stride, python.boxes[python.object]
    radii, ious, offset = python.radii, python.ious, python.offset.tolist()
    radius, worst = int(min(radii.values())), min(ious.values())
    wanted: dict[str, float] = {"radius": radius, "pixels": radius * step, "worst": worst}
    for case in CASES:
        wanted |= {f"radius-{case}": radii[case], f"iou-{case}": ious[case]}
    for k, (axis, at_) in enumerate(zip("xy", (column, row), strict=True)):
        middle = (box[k] + box[k + 2]) / 2
        wanted |= {f"centre-{axis}": middle, f"scaled-{axis}": middle / step, f"place-{axis}": at_}
        wanted |= {f"offset-{axis}": offset[k], f"lost-{axis}": offset[k] * step}
    alone = gaussian_heatmap(
        torch.tensor([[9, 9]]), torch.tensor([radius]), torch.tensor([0]), (19, 19), 1
    )[0, 9]
    one = torch.tensor([box], dtype=torch.float64)
    for far in range(5):
        value = alone[9 + far].item()
        wanted |= {f"heat-{far}": value, f"weight-{far}": (1 - value) ** 4}
        beside = one + far * step * torch.tensor([1, 0, 1, 0])
        wanted[f"beside-{far}"] = box_iou(one, beside).item()
    return wanted | {"back": python.read_back}


def peaks(host: Host) -> list[float]:
    """The heatmap as it is painted, 0 to 1, row by row."""
    alpha = host.heatmap.root.locator("canvas").evaluate("""e => {
        const { data } = e.getContext("2d").getImageData(0, 0, e.width, e.height)
        return [e.height, e.width, ...data.filter((_, n) => n % 4 === 3)]
    }""")
    assert alpha[0] * alpha[1] == len(alpha) - 2
    return [value / 255 for value in alpha[2:]]


def painted(host: Host, python: HeatmapExplorer) -> None:
    """The two maps show the library's heatmap."""
    wanted, (row, column), (H, W) = python.heatmap, python.location, python.size
    shown = torch.tensor(peaks(host)).reshape(H, W)
    torch.testing.assert_close(shown, wanted, rtol=0, atol=0.51 / 255)
    top, left = (min(max(k - 4, 0), n - 9) for k, n in ((row, H), (column, W)))
    texts = host.heatmap.root.locator(".odx-heat text").all_text_contents()
    part = wanted[top : top + 9, left : left + 9].flatten().tolist()
    assert [float(text) for text in texts] == pytest.approx(part, abs=0.00501)


def picture(host: Host) -> Locator:
    return host.heatmap.root.locator(".odx-picture svg.odx-canvas")


def on_scene(host: Host, x: float, y: float) -> tuple[float, float]:
    return at(picture(host), HeatmapExplorer().world, x, y)


def start_heatmap(host: Host, scene: str = "close together") -> HeatmapExplorer:
    host.heatmap.press(scene)
    switch(host.heatmap, "Radius", "right")
    switch(host.heatmap, "Stride", "4")
    host.heatmap.type([number(IOU)], [[0.7]])
    return HeatmapExplorer(scene)


def heatmap_agrees(host: Host, python: HeatmapExplorer) -> list[float]:
    now = host.heatmap.read()
    names = "AB"[: len(python.boxes)]
    python.boxes = [[now["fields"][f"{name} {side}"] for side in CORNERS] for name in names]
    python.iou = now["fields"][number(IOU)]
    check(now["numbers"], heatmap_wanted(python))
    return [side for box in python.boxes for side in box]


@cache
def heatmap_settings() -> list[tuple[HeatmapExplorer, Rows, Wanted]]:
    rng, groups = random.Random(12), []
    for group in range(8):
        python = HeatmapExplorer(published=group % 2 == 1)
        python.stride, python.object = (4, 8)[group // 2 % 2], group // 4
        rows: Rows = []
        wanted: Wanted = []
        for n in range(25):
            boxes = [some_box(rng, 420, 300) for _ in "AB"]
            if n % 5 == 0:
                boxes[1] = boxes[0]
            python.boxes = boxes
            python.iou = rng.choice([0.3, 0.5, 0.7, 0.95, round(rng.uniform(0.3, 0.95), 3)])
            last = [side for k in (1 - python.object, python.object) for side in (420, 300, *boxes[k])]  # fmt: skip
            rows.append([python.iou, *last])
            wanted.append(heatmap_wanted(python))
        groups.append((python, rows, wanted))
    return groups


def test_radii_and_centres_are_the_library_s(host: Host) -> None:
    groups, radii = heatmap_settings(), set()
    for python, rows, wanted in groups[:: 8 if host.name == "notebook" else 1]:
        start_heatmap(host)
        switch(host.heatmap, "Radius", KIND[python.published])
        switch(host.heatmap, "Stride", str(python.stride))
        names = "BA" if python.object == 0 else "AB"  # what is typed last is looked at
        labels = [number(IOU), *(side for name in names for side in sides(name))]
        for shown, expected in zip(host.heatmap.type(labels, rows), wanted, strict=True):
            check(shown, expected)
            radii.add(expected["radius"])
        painted(host, python)
    assert len(radii) > settings(host, 10)


def test_heatmap_buttons_show_the_library_s_numbers(host: Host) -> None:
    for scene in SCENES:
        python = start_heatmap(host, scene)
        for published in (True, False):
            switch(host.heatmap, "Radius", KIND[published])
            python.published = published
            heatmap_agrees(host, python)
            painted(host, python)
        pressed = host.heatmap.root.get_by_role("button", pressed=True).all_inner_texts()
        assert pressed == [scene]
        assert (
            host.heatmap.root.get_by_role("radio", name="B", exact=True).count()
            == len(python.boxes) - 1
        )
    expect(host.heatmap.root.locator(".odx-verdict")).to_contain_text("one peak for two objects")


def test_a_press_chooses_an_object_and_drags_it(host: Host) -> None:
    python = start_heatmap(host, "side by side")
    seen = set()

    def agrees() -> list[float]:
        boxes = heatmap_agrees(host, python)
        painted(host, python)
        seen.add(python.location)
        return boxes

    python.object = 1
    start = on_scene(host, 150, 250)
    boxes = drag(host.page, steps(start, (-70, -40), 4), agrees)
    assert boxes[-1][:4] == SCENES["side by side"]["boxes"][0]
    assert len(seen) > 3
    host.page.mouse.click(*on_scene(host, 80, 200))
    python.object = 0
    agrees()
    drag(host.page, steps(on_scene(host, *python.boxes[0][2:]), (60, 40), 3), agrees)
    host.heatmap.root.locator("g.odx-box").nth(0).focus()
    before = python.boxes[0]
    host.page.keyboard.press("Control+ArrowUp")
    agrees()
    assert python.boxes[0] == [before[0], before[1] - 10, before[2], before[3] - 10]
    switch(host.heatmap, "Look at", "B")
    python.object = 1
    agrees()


def test_the_iou_follows_the_keys(host: Host) -> None:
    python = start_heatmap(host, "a tree")
    host.heatmap.field(IOU).focus()
    radii = [python.radius]
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "Home", "End"):
        host.page.keyboard.press(key)
        heatmap_agrees(host, python)
        radii.append(python.radius)
    assert python.iou == 0.95
    assert max(radii) > 2 * radii[0]
    assert radii[-1] == 0
    expect(host.heatmap.root.locator(".odx-verdict")).to_contain_text("The peak stands alone")


def test_sides_rounded_up_are_spoken_of_where_they_cost_something(host: Host) -> None:
    python = start_heatmap(host, "one far away")
    verdict = host.heatmap.root.locator(".odx-verdict")
    for iou, says in ((0.5, "8 × 6"), (0.48, "0.48 was asked for")):
        host.heatmap.type([number(IOU)], [[iou]])
        heatmap_agrees(host, python)
        assert python.radius == 1
        assert (python.worst < iou) == ("×" in says)
        expect(verdict).to_contain_text(says)


# ------------------------------------------------------------------ Python


def test_python_reads_and_sets_them(explorers: Notebook) -> None:
    host = in_notebook(explorers)
    notebook = host.notebook
    assert notebook
    last = notebook.cells[-1]
    start_fcos(host, "face in head")
    start_heatmap(host, "a tree")
    switch(host.heatmap, "Radius", "as published")
    host.fcos.root.locator(".odx-spot").focus()
    host.page.keyboard.press("ArrowDown")
    notebook.write(last, "print(*located.location, located.answers, located.centerness, located.level, peaked.radius, peaked.worst, peaked.iou)")  # fmt: skip
    said = [float(x) for x in notebook.run(last).locator(OUTPUT).inner_text().split()]
    central = host.fcos.read()["numbers"]["centerness"][0]
    worst = host.heatmap.read()["numbers"]["worst"][0]
    assert said == pytest.approx([7, 14, 0, central, 4, 9, worst, 0.7], abs=1e-9)
    notebook.write(last, "located.level = 5; located.location = (4, 7); located.boxes = [[10.5, 20, 300, 400]]; located.radius = 2; peaked.boxes = [[20, 20, 200.5, 220]]; peaked.stride = 8; peaked.iou = 0.5")  # fmt: skip
    notebook.run(last)
    expect(host.fcos.field("A x1")).to_have_value("10.5")
    expect(host.heatmap.field("A x2")).to_have_value("200.5")
    fcos, heatmap = FCOSExplorer(), HeatmapExplorer(published=True)
    fcos.level, fcos.radius, fcos.boxes = 5, 2, [[10.5, 20, 300, 400]]
    fcos.location = (4, 7)
    heatmap.boxes, heatmap.stride, heatmap.iou = [[20, 20, 200.5, 220]], 8, 0.5
    check(host.fcos.read()["numbers"], fcos_wanted(fcos))
    check(host.heatmap.read()["numbers"], heatmap_wanted(heatmap))
    painted(host, heatmap)


# ------------------------------------------------------------------ looks

NARROW = 390
TAG = re.compile(r"[A-D]")  # on a box or a dot, in a colour of its own
SHOWN = [
    ("fcos", "small and large"), ("fcos", "face in head"),
    ("heatmap", "a tree"), ("heatmap", "close together"),
]  # fmt: skip


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

        for width in (1060, 634, NARROW):
            there.page.set_viewport_size({"width": width, "height": 900})
            for n, (kind, scene) in enumerate(SHOWN):
                figure = getattr(host, kind)
                figure.press(scene)
                if scene == "face in head":
                    switch(figure, "Centre sampling", "off")
                elif scene == "a tree":
                    switch(figure, "Radius", "as published")
                fits = "document.scrollingElement.scrollWidth <= innerWidth"
                assert there.page.evaluate(fits), (scene, width)
                wide = "e => [...e.querySelectorAll('.odx-row, .odx-table, .odx-card')].filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"  # fmt: skip
                assert figure.root.evaluate(wide) == [], (scene, width)
                if width == (1060, NARROW)[n % 2]:
                    look(figure, scene.replace(" ", "_"), width)
        assert found == []


def test_jupyterlab_s_themes_are_legible_and_fit(host: Host, pictures: Path) -> None:
    if not host.notebook:
        return
    start_fcos(host)
    start_heatmap(host)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        host.notebook.theme(theme)
        for figure in (host.fcos, host.heatmap):
            kind = figure.root.get_attribute("data-explorer")
            figure.root.screenshot(path=pictures / f"lab_{kind}_{theme.split()[-1].lower()}.png")
            for text, contrast in figure.root.evaluate(CONTRAST):
                assert TAG.fullmatch(text) or contrast >= 4.5, f"{theme}, {text!r}: {contrast:.2f}"
            wide = "e => (e = e.closest('.jp-OutputArea-output')).scrollWidth - e.clientWidth"
            assert figure.root.evaluate(wide) == 0


def test_tab_reaches_everything(browser: Browser) -> None:
    names = tab_order(browser)
    ours = names[names.index("small and large") - 1 :]
    scenes = [*PLACES, "Location in row 8 of 32, column 15 of 32", *(f"Box {k}" for k in "ABCD")]
    corners = {name: [f"{name} {side}" for side in CORNERS] for name in "ABCD"}
    assert ours == [
        "P4", *scenes, *(field for four in corners.values() for field in four),
        "on", RADIUS, number(RADIUS), "on",
        "right", "4", "A", *SCENES, "Box A", "Box B", *corners["A"], *corners["B"], IOU, number(IOU),
    ]  # fmt: skip


def test_a_finger_chooses_and_drags_and_scrolls_elsewhere(browser: Browser) -> None:
    with static_page(browser, has_touch=True, viewport={"width": NARROW, "height": 800}) as there:
        host = on_page(there.page)
        python = start_fcos(host, "face in head")
        host.page.touchscreen.tap(*place(host, 400, 300))
        before = fcos_agrees(host, python)
        assert python.location == (18, 25)
        touch(host.page, steps(place(host, 225, 140), (40, 30)))
        after = fcos_agrees(host, python)
        assert after[0] > before[0] + 30
        scrolled = host.page.evaluate("scrollY")
        touch(host.page, steps(place(host, 460, 400), (0, -200), 10))
        assert host.page.evaluate("scrollY") > scrolled + 100
        assert fcos_agrees(host, python) == after


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

    start_fcos(host)
    found["fcos, drag"] = dragged(host.fcos, place(host, 225, 140), "l-B")
    start_fcos(host)
    for group in RULES:
        switch(host.fcos, group, "off")
    switch(host.fcos, "Level", "P3")
    found["fcos, drag, 4096 in colour"] = dragged(host.fcos, place(host, 225, 140), "l-B")
    host.fcos.root.locator(".odx-spot").focus()
    host.fcos.read()
    found["fcos, key"] = measure(
        host.fcos, "keydown", "l-A", lambda n: keyboard.press(keys[n % 2]), moves
    )
    start_fcos(host)
    start_heatmap(host)
    found["heatmap, drag"] = dragged(host.heatmap, on_scene(host, 260, 220), "centre-x")
    start_heatmap(host, "a tree")
    switch(host.heatmap, "Radius", "as published")
    host.heatmap.field(IOU).focus()
    found["heatmap, key on IoU"] = measure(
        host.heatmap, "keydown", "radius-outwards", lambda n: keyboard.press(keys[n % 2]), moves
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
