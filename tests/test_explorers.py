"""The explorers as a reader has them, in a real JupyterLab and as a page without Python or network.

`python tests/test_explorers.py latency` prints how long a movement takes to be seen.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import (
    CONTRAST,
    OUTPUT,
    PROJECT,
    Notebook,
    chromium,
    faults,
    jupyterlab,
    needs_browser,
    open_explorers,
    wait_for,
)
from playwright.sync_api import Browser, Locator, Page, expect
from torch import Tensor

from course_lib import boxes as ops
from course_lib.explore import FocalLossExplorer, IoUExplorer
from course_lib.losses import sigmoid_focal_loss

pytestmark = needs_browser

PAGE = (PROJECT / "docs" / "explorers.html").as_uri()
SIZES = {"photo": (512, 340), "grid": (16, 10), "masks": (64, 42)}  # width, height
SCENES = {"photo": "Photograph", "grid": "Grid", "masks": "Masks"}
POOR = "poor 0.40"  # two boxes that overlap
PAPER, CROSS_ENTROPY = "the paper's γ 2, α 0.25", "cross entropy, both sides alike"
SIDES = [f"{box} {side}" for box in "AB" for side in ("x1", "y1", "x2", "y2")]
GAMMA, ALPHA = "γ, the focus", "α, the weight of objects"
P = "p of the true class, for one example"
MANY, MANY_P = "number of easy background examples", "p of the true class, easy background"
FEW, FEW_P = "number of hard objects", "p of the true class, hard objects"
SLIDERS = [GAMMA, ALPHA, P, MANY, MANY_P, FEW, FEW_P]
FIELDS = [f"{label}, as a number" for label in SLIDERS]

# ------------------------------------------------------------------ what is on the screen

# Of the next frame: every number {name: [value, text]}, where the plots' own have no text; what
# stands in the fields {label: number}; which radio button is chosen.
READ = """root => new Promise(done => requestAnimationFrame(() => {
    const numbers = {}
    const add = (name, value, text) => {
        if (name in numbers) throw Error(`${name} is shown twice`)
        numbers[name] = [parseFloat(value), text]
    }
    for (const e of root.querySelectorAll("data")) {
        const end = e.closest(".odx-bar")?.querySelector(".odx-bartext")
        add(e.dataset.name, e.value, e.textContent || end.textContent)
    }
    for (const e of root.querySelectorAll("[data-iou-loss]")) {
        add("iou-loss", e.dataset.iouLoss, null)
        add("giou-loss", e.dataset.giouLoss, null)
    }
    root.querySelectorAll("[data-top]").forEach((e, k) =>
        add(["top-object", "top-background"][k], e.dataset.top, null))
    const fields = [...root.querySelectorAll("input[aria-label]")]
    done({
        numbers,
        fields: Object.fromEntries(fields.map(e => [e.getAttribute("aria-label"), e.valueAsNumber])),
        chosen: root.querySelector("input[type=radio]:checked").value,
    })
}))"""
TYPE = f"""async (root, [labels, rows]) => {{
    const fields = labels.map(label => root.querySelector(`input[aria-label="${{label}}"]`))
    const answers = []
    for (const row of rows) {{
        row.forEach((value, k) => {{
            fields[k].value = value
            fields[k].dispatchEvent(new Event("input", {{ bubbles: true }}))
            fields[k].dispatchEvent(new Event("blur"))
        }})
        answers.push((await ({READ})(root)).numbers)
    }}
    return answers
}}"""
FRAME = """e => {
    e.scrollIntoView({ block: "nearest" })
    const { x, y, width, height } = e.getBoundingClientRect()
    return [x, y, width, height]
}"""
Numbers = dict[str, tuple[float, str | None]]


class Explorer:
    def __init__(self, root: Locator) -> None:
        self.root, self.page = root, root.page

    def read(self) -> dict[str, Any]:
        return self.root.evaluate(READ)

    def type(self, labels: list[str], rows: list[list[float]]) -> list[Numbers]:
        """Put each row into the fields, all at once, and read the numbers of the next frame."""
        return self.root.evaluate(TYPE, [labels, rows])

    def field(self, label: str) -> Locator:
        return self.root.get_by_label(label, exact=True)

    def choose(self, option: str) -> None:
        self.root.get_by_role("radio", name=option, exact=True).check()
        self.read()  # drawn in the next frame

    def press(self, button: str) -> None:
        self.root.get_by_role("button", name=button, exact=True).click()
        self.read()

    def chosen(self) -> str:
        return self.read()["chosen"]


class IoU(Explorer):
    def show(self, scene: str, preset: str | None = None) -> None:
        self.choose(SCENES[scene])
        if preset:
            self.press(preset)

    def boxes(self) -> Tensor:
        return boxes_in(self.read())

    def box(self, name: str) -> Locator:
        return self.root.locator("g.odx-box").nth("AB".index(name))

    def at(self, *places: float | Tensor) -> tuple[float, float]:
        """A place of the scene, as one of the window."""
        left, top, width, height = self.root.locator("svg.odx-canvas").evaluate(FRAME)
        W, H = SIZES[self.chosen()]
        x, y = map(float, places)
        return left + x / W * width, top + y / H * height

    def agrees(self) -> Tensor:
        """The boxes that are shown; the numbers beside them must be the library's."""
        now = self.read()
        boxes = boxes_in(now)
        wanted = masks_wanted(boxes) if now["chosen"] == "masks" else boxes_wanted(boxes[None])
        check([now["numbers"]], wanted)
        return boxes


def boxes_in(now: dict[str, Any]) -> Tensor:
    sides = [now["fields"][side] for side in SIDES]
    return torch.tensor(sides, dtype=torch.float64).reshape(2, 4)


def centre(box: Tensor) -> Tensor:
    return (box[:2] + box[2:]) / 2


class Focal(Explorer):
    def plot(self, k: int) -> list[float]:
        """Its left, top, width and height."""
        return self.root.locator("svg.odx-plot").nth(k).evaluate(FRAME)

    def agrees(self) -> list[float]:
        """What the fields say; the numbers must be the library's."""
        now = self.read()
        row = [now["fields"][field] for field in FIELDS]
        check(
            [now["numbers"]], focal_wanted(torch.tensor([row], dtype=torch.float64), now["chosen"])
        )
        return row


# ------------------------------------------------------------------ what must be shown


@cache
def explorers() -> tuple[IoUExplorer, FocalLossExplorer]:
    """The Python sides, shown nowhere."""
    return IoUExplorer("masks"), FocalLossExplorer()


def boxes_wanted(pairs: Tensor) -> dict[str, Tensor]:
    """All that is shown of pairs of boxes [N, 2, 4]."""
    a, b = pairs.unbind(1)
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(1)
    wanted = {
        "inter": inter,
        "union": ops.box_area(a) + ops.box_area(b) - inter,
        "enclosing": around.prod(1),
        "iou": ops.box_iou(a, b).diagonal(),
        "giou": ops.generalized_box_iou(a, b).diagonal(),
        "diou": ops.distance_box_iou(a, b).diagonal(),
        "ciou": ops.complete_box_iou(a, b).diagonal(),
    }
    for name in ("IoU", "GIoU", "DIoU", "CIoU"):
        wanted[f"bar-{name}"] = wanted[name.lower()]
    return wanted | {"iou-loss": 1 - wanted["iou"], "giou-loss": 1 - wanted["giou"]}


def masks_wanted(boxes: Tensor) -> dict[str, Tensor]:
    """All that is shown of the two masks whose boxes are [2, 4]."""
    python = explorers()[0]
    python.boxes = boxes
    a, b = masks = python.masks
    corners = ops.masks_to_boxes(masks, half_open=True).double()
    assert torch.equal(corners, boxes)
    inter, union = (a & b).sum().double(), (a | b).sum().double()
    iou = (inter / union)[None]
    torch.testing.assert_close(iou.float(), ops.mask_iou(masks[:1], masks[1:])[0])
    box_iou = ops.box_iou(corners[:1], corners[1:])[0]
    return {
        "inter": inter[None], "union": union[None], "iou": iou, "box-iou": box_iou,
        "bar-masks": iou, "bar-boxes": box_iou,
    }  # fmt: skip


def focal_wanted(rows: Tensor, kind: str) -> dict[str, Tensor]:
    """All that is shown of γ, α, p, count and p of the many, count and p of the few: [N, 7]."""
    gammas, alphas, p, many, many_p, few, few_p = rows.unbind(1)

    def pull(p: Tensor, of: str, gammas: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and absolute gradient [N]."""
        right = torch.logit(p).requires_grad_()
        inputs = right if of == "object" else -right
        targets = torch.full_like(right, of == "object")
        each = zip(inputs, targets, alphas.tolist(), gammas.tolist(), strict=True)
        loss = torch.stack([sigmoid_focal_loss(*one) for one in each])
        (slope,) = torch.autograd.grad(loss.sum(), right)
        return loss.detach(), slope.abs()

    none = torch.zeros_like(p)
    entropy, _ = pull(p, kind, none, none - 1)
    modulated, _ = pull(p, kind, gammas, none - 1)
    loss, gradient = pull(p, kind, gammas, alphas)
    easy = [many * each for each in pull(many_p, "background", gammas, alphas)]
    hard = [few * each for each in pull(few_p, "object", gammas, alphas)]
    wanted = {
        "entropy": entropy, "factor": modulated / entropy, "modulated": modulated,
        "loss": loss, "gradient": gradient, "easy-total": easy[0], "hard-total": hard[0],
    }  # fmt: skip
    for name, e, h in zip(("loss", "gradient"), easy, hard, strict=True):
        wanted |= {f"easy-{name}": e / (e + h), f"hard-{name}": h / (e + h)}
    for of in ("object", "background"):
        curves = [explorers()[1].cumulative(of, g) for g in gammas.tolist()]
        wanted[f"top-{of}"] = torch.stack([1 - c[round(0.8 * (len(c) - 1))] for c in curves])
    return wanted


def check(shown: list[Numbers], wanted: dict[str, Tensor]) -> None:
    for one in shown:
        assert one.keys() == wanted.keys()
        for name, (value, text) in one.items():
            if text is not None:
                number, half = written(text)
                assert abs(number - value) <= 1.001 * half + 1e-12, f"{name}: {value} as {text}"
    for name, values in wanted.items():
        seen = torch.tensor([one[name][0] for one in shown], dtype=torch.float64)
        close = {"rtol": 1e-9, "atol": 0} if "total" in name else {"rtol": 0, "atol": 1e-9}
        torch.testing.assert_close(seen, values, **close, msg=lambda m, name=name: f"{name}: {m}")


def written(text: str) -> tuple[float, float]:
    """A number as people write it, and half a unit of its last digit."""
    form = r"([-−]?)([\d,]+)(?:\.(\d+))?(?: × 10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(%?)"
    match = re.fullmatch(form, text)
    assert match, text
    sign, whole, part, power, percent = match.groups(default="")
    scale = 10.0 ** -int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")) or 0)
    scale *= 0.01 if percent else 1
    number = float(f"{whole.replace(',', '')}.{part or 0}") * scale
    return (-number if sign else number), 0.5 * 10.0 ** -len(part) * scale


# ------------------------------------------------------------------ the two places


@dataclass
class Host:
    name: str
    page: Page
    complaints: list[str]
    iou: IoU
    focal: Focal
    notebook: Notebook | None = None


@contextmanager
def static_page(browser: Browser, **options: Any) -> Iterator[Host]:
    """docs/explorers.html without a network; a complaint fails."""
    context = browser.new_context(**{"viewport": {"width": 1060, "height": 900}, **options})
    context.set_offline(True)
    page, complaints = context.new_page(), []
    page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda r: re.match("file:|data:|blob:", r.url) or complaints.append(f"asked for {r.url}"),
    )
    page.goto(PAGE)
    focal = page.locator('[data-explorer="focal-loss"]')
    expect(focal.locator("data").last).to_be_attached()
    yield Host("page", page, complaints, IoU(page.locator('[data-explorer="iou"]')), Focal(focal))
    context.close()
    assert complaints == []


def in_notebook(notebook: Notebook) -> Host:
    """Those of explorers.ipynb."""
    iou, focal = (
        notebook.cell(notebook.starting(start)).locator("[data-explorer]")
        for start in ("overlap-iou", "focal-focal")
    )
    expect(focal.locator("data").last).to_be_attached()
    return Host("notebook", notebook.page, notebook.complaints, IoU(iou), Focal(focal), notebook)


@pytest.fixture(scope="module", params=["notebook", "page"])
def host(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Host]:
    if request.param == "notebook":
        yield in_notebook(request.getfixturevalue("explorers"))
    else:
        with static_page(browser) as host:
            yield host


CORNERS = ("x1", "y1", "x2", "y2")


def switch(explorer: Explorer, group: str, option: str) -> None:
    """Choose an option of one of several groups of radio buttons."""
    group_ = explorer.root.get_by_role("group", name=group, exact=True)
    group_.get_by_role("radio", name=option, exact=True).check()
    explorer.read()


def sides(name: str) -> list[str]:
    """Fields of a box: its right and lower sides make room first."""
    return [f"{name} {side}" for side in ("x2", "y2", *CORNERS)]


def settings(host: Any, count: int) -> int:
    """Of so many random settings: all on the page; a few where Python follows each of them."""
    return count if host.name == "page" else count // 5


only_notebook = pytest.mark.parametrize("host", ["notebook"], indirect=True)

# ------------------------------------------------------------------ the numbers


def random_pairs(scene: str, count: int, seed: int) -> Tensor:
    """Pairs of boxes [count, 2, 4] that overlap, touch, nest, keep apart, are equal or thin."""
    rng, (W, H) = random.Random(seed), SIZES[scene]

    def box(x1: float, y1: float, x2: float, y2: float) -> list[float]:
        xs, ys = (sorted(rng.uniform(*ends) for _ in "12") for ends in ((x1, x2), (y1, y2)))
        return [xs[0], ys[0], xs[1], ys[1]]

    def pair(n: int) -> list[list[float]]:
        a, b = box(0, 0, W, H), box(0, 0, W, H)
        match n % 6:
            case 1:
                a, b = box(0, 0, W / 2, H), box(W / 2, 0, W, H)
                b[0] = a[2]
            case 2:
                b = box(*a)
            case 3:
                a, b = box(0, 0, W / 2, H), box(W / 2, 0, W, H)
            case 4:
                b = a
            case 5:
                b[2] = b[0] + 1e-3
        return [a, b]

    def typed(box: list[float]) -> bool:
        """A typed box leaves room for a step at the border."""
        return box[0] < W - 1 and box[1] < H - 1 and box[2] > 1 and box[3] > 1

    pairs: list[list[list[float]]] = []
    while len(pairs) < count:
        a, b = pair(len(pairs))
        if typed(a) and typed(b):
            pairs.append([a, b])
    return torch.tensor(pairs, dtype=torch.float64)


@pytest.mark.parametrize("scene", ["photo", "grid"])
def test_numbers_of_boxes_are_the_library_s(host: Host, scene: str) -> None:
    pairs = random_pairs(scene, settings(host, 100), seed=len(scene))
    assert 0.2 < (ops.box_iou(pairs[:, 0], pairs[:, 1]).diagonal() > 0).float().mean() < 0.8
    host.iou.show(scene)
    room = [side for side in SIDES if "2" in side]  # the right and lower sides make room first
    rows = [[*SIZES[scene], *SIZES[scene], *pair] for pair in pairs.flatten(1).tolist()]
    check(host.iou.type(room + SIDES, rows), boxes_wanted(pairs))


def test_numbers_of_masks_are_the_library_s(host: Host) -> None:
    rng = random.Random(3)
    host.iou.show("masks", "apart")
    boxes = host.iou.agrees()
    sizes = boxes[:, 2:] - boxes[:, :2]  # [2, 2]: width, height
    room = [SIZES["masks"][k % 2] - int(side) for k, side in enumerate(sizes.flatten())]
    corners = [[rng.randint(0, far) for far in room] for _ in range(settings(host, 50))]
    shown = host.iou.type(["A x1", "A y1", "B x1", "B y1"], corners)
    wanted = []
    for corner in corners:
        low = torch.tensor(corner, dtype=torch.float64).reshape(2, 2)
        wanted.append(masks_wanted(torch.cat([low, low + sizes], dim=1)))
    check(shown, {name: torch.cat([one[name] for one in wanted]) for name in wanted[0]})
    assert len({round(one["iou"][0], 6) for one in shown}) > len(shown) / 5


@pytest.mark.parametrize("kind", ["object", "background"])
def test_numbers_of_the_focal_loss_are_the_library_s(host: Host, kind: str) -> None:
    rng = random.Random(kind)

    def p() -> float:
        return rng.choice([rng.uniform(0.001, 0.999), 0.001, 0.999, 0.5])

    rows = [
        [
            rng.choice([rng.uniform(0, 5), 0, 2]), rng.choice([rng.random(), 0.25, 0.5]), p(),
            rng.randint(1, 10**6), p(), rng.randint(1, 10**6), p(),
        ]
        for _ in range(settings(host, 100))
    ]  # fmt: skip
    host.focal.choose({"object": "an object", "background": "background"}[kind])
    shown = host.focal.type(FIELDS, rows)
    check(shown, focal_wanted(torch.tensor(rows, dtype=torch.float64), kind))


# ------------------------------------------------------------------ by hand


def drag(page: Page, way: list[tuple[float, float]], after: Callable[[], Any]) -> list[Any]:
    """Along a way in the window; what `after` gives after each step."""
    page.mouse.move(*way[0])
    page.mouse.down()
    seen = []
    for place in way[1:]:
        page.mouse.move(*place)
        seen.append(after())
    page.mouse.up()
    page.mouse.move(*way[0])
    assert torch.equal(*(torch.as_tensor(x) for x in (after(), seen[-1])))  # it has let go
    return seen


def steps(start: tuple[float, float], by: tuple[float, float], n: int = 5) -> list[Any]:
    return [(start[0] + by[0] * k / n, start[1] + by[1] * k / n) for k in range(n + 1)]


@pytest.mark.parametrize("scene", list(SIZES))
def test_a_box_is_dragged_and_stays_inside(host: Host, scene: str) -> None:
    figure, (W, H) = host.iou, SIZES[scene]
    figure.show(scene, "apart")
    a, b = figure.agrees()
    size = b[2:] - b[:2]
    seen = set()
    for by in ((60, -30), (3000, 20), (-3000, -3000), (0, 3000)):
        at = figure.at(*centre(figure.boxes()[1]))
        for boxes in drag(host.page, steps(at, by, 4), figure.agrees):
            assert torch.equal(boxes[0], a)
            assert torch.equal(boxes[1, 2:] - boxes[1, :2], size)
            assert boxes[1].min() >= 0
            assert torch.all(boxes[1, 2:] <= torch.tensor([W, H]))
            seen.add(tuple(boxes[1].tolist()))
    assert figure.boxes()[1].tolist() == [0, H - size[1], size[0], H]
    assert len(seen) > 5


@pytest.mark.parametrize("scene", ["photo", "grid"])
def test_each_corner_is_dragged(host: Host, scene: str) -> None:
    figure, (W, H) = host.iou, SIZES[scene]
    figure.show(scene)
    for cx, cy in ((0, 1), (2, 1), (0, 3), (2, 3)):
        figure.press("nested")
        before = figure.agrees()[0]
        x, y = figure.at(before[cx], before[cy])
        start = x + 3, y - 3  # all of the handle is the corner's, where a tag meets it too
        out = figure.at(-W / 9 if cx == 0 else W / 0.9, -H / 9 if cy == 1 else H / 0.9)
        across = figure.at(W if cx == 0 else 0, H if cy == 1 else 0)
        middle = (start[0] + out[0]) / 2, (start[1] + out[1]) / 2
        seen = drag(host.page, [start, middle, out, start, across], figure.agrees)
        for box, _ in seen:
            assert box[2 - cx] == before[2 - cx]
            assert box[4 - cy] == before[4 - cy]
        assert seen[1][0, cx] == (0 if cx == 0 else W)
        assert seen[1][0, cy] == (0 if cy == 1 else H)
        assert torch.equal(seen[2][0], before)
        assert (seen[3][0, 2:] - seen[3][0, :2]).tolist() == [1, 1]


def test_a_small_box_is_grabbed_inside_a_large_one(host: Host) -> None:
    figure = host.iou
    for scene in ("photo", "grid"):
        figure.show(scene, "nested")
        a, b = figure.agrees()
        drag(host.page, steps(figure.at(*centre(b)), (-90, 0), 2), figure.agrees)
        assert torch.equal(figure.boxes()[0], a)
        assert figure.boxes()[1, 0] < b[0]


def test_keys_move_and_resize_a_box(host: Host) -> None:
    figure, keyboard = host.iou, host.page.keyboard
    figure.show("photo", POOR)
    x1, y1, x2, y2 = figure.boxes()[1].tolist()
    figure.box("B").focus()
    for key, by in (
        ("ArrowRight", (1, 0, 1, 0)), ("ArrowUp", (0, -1, 0, -1)), ("ArrowLeft", (-1, 0, -1, 0)),
        ("Control+ArrowDown", (0, 10, 0, 10)), ("Shift+ArrowRight", (0, 0, 1, 0)),
        ("Shift+ArrowUp", (0, 0, 0, -1)), ("Control+Shift+ArrowLeft", (0, 0, -10, 0)),
    ):  # fmt: skip
        keyboard.press(key)
        x1, y1, x2, y2 = (side + d for side, d in zip((x1, y1, x2, y2), by, strict=True))
        assert figure.agrees()[1].tolist() == [x1, y1, x2, y2]
    for _ in range(30):
        keyboard.press("Control+ArrowLeft")
    assert figure.agrees()[1].tolist() == [0, y1, x2 - x1, y2]

    figure.show("masks", "apart")
    before = figure.agrees()
    figure.box("A").focus()
    keyboard.press("ArrowRight")
    keyboard.press("Shift+ArrowRight")
    assert (figure.agrees() - before).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_a_side_is_typed_digit_by_digit(host: Host) -> None:
    figure, keyboard = host.iou, host.page.keyboard
    figure.show("photo", POOR)
    boxes = figure.boxes()
    for label, text in (("B x2", "412"), ("B y1", "7.5"), ("A y2", "205"), ("A x1", "33")):
        figure.field(label).click(click_count=3)
        keyboard.type(text)
        keyboard.press("Tab")
        boxes.view(-1)[SIDES.index(label)] = float(text)
        assert torch.equal(figure.agrees(), boxes), label

    figure.show("masks", "hooked")
    before = figure.boxes()
    figure.field("B x1").click(click_count=3)
    keyboard.type("24.6")
    keyboard.press("Tab")
    assert torch.equal(figure.agrees()[1] - before[1], torch.tensor([3, 0, 3, 0]))  # whole pixels


def test_the_cursor_tells_what_a_press_would_do(host: Host) -> None:
    figure = host.iou
    figure.show("photo", "apart")
    left, top, width, _ = figure.root.locator(".odx-tag").first.evaluate(FRAME)
    tag = left + width - 3, top + 3  # away from the corner
    for place, cursor in (
        (figure.at(170, 52), "nwse-resize"),
        (figure.at(280, 52), "nesw-resize"),
        (figure.at(225, 100), "move"),
        (figure.at(60, 300), "auto"),
    ):
        assert cursor_at(host.page, place) == cursor
    before, promised = figure.boxes(), cursor_at(host.page, tag) == "move"
    drag(host.page, steps(tag, (40, 0), 2), figure.agrees)
    assert torch.equal(figure.boxes(), before) != promised


def cursor_at(page: Page, place: tuple[float, float]) -> str:
    page.mouse.move(*place)
    under = "([x, y]) => getComputedStyle(document.elementFromPoint(x, y)).cursor"
    return page.evaluate(under, list(place))


def test_focal_sliders_follow_the_arrow_keys(host: Host) -> None:
    figure, keyboard = host.focal, host.page.keyboard
    figure.press(PAPER)
    figure.choose("an object")
    figure.type(FIELDS, [[2, 0.25, 0.9, 1e5, 0.9, 2, 0.1]])
    before = figure.agrees()
    for n, label in enumerate(SLIDERS):
        slider = figure.field(label)
        slider.focus()
        keyboard.press("ArrowLeft")
        assert figure.agrees()[n] < before[n], label
        keyboard.press("ArrowRight")
        assert figure.agrees()[n] == pytest.approx(before[n]), label
        for _ in range(9 if label == FEW else 2):
            keyboard.press("ArrowRight")
        assert figure.agrees()[n] > before[n], label
    figure.choose("background")
    figure.agrees()


def test_dragging_in_the_plots_chooses_p_and_gamma(host: Host) -> None:
    figure = host.focal
    figure.press(CROSS_ENTROPY)
    for plot, n, low, high in ((0, 2, 0.005, 0.995), (1, 0, 0, 5)):
        left, top, width, height = figure.plot(plot)
        start = left + width / 2, top + height / 2
        way = [*steps(start, (150, 10)), *steps(start, (-150, 0)), (0, start[1]), (1390, start[1])]
        seen = [row[n] for row in drag(host.page, way, figure.agrees)]
        assert len(set(seen)) > 10
        assert seen[-2:] == [low, high]


# ------------------------------------------------------------------ Python and JupyterLab


def ask(notebook: Notebook, code: str) -> str:
    """What the last cell prints."""
    last = notebook.cells[-1]
    notebook.write(last, code)
    return "\n".join(notebook.run(last).locator(OUTPUT).all_inner_texts())


@only_notebook
def test_python_reads_and_sets_what_is_shown(host: Host) -> None:
    notebook, iou, focal = host.notebook, host.iou, host.focal
    last = notebook.cell(notebook.cells[-1])
    iou.show("photo", POOR)
    drag(host.page, steps(iou.at(250, 200), (41, 23)), iou.agrees)
    left, top, *_ = focal.plot(0)
    drag(host.page, steps((left + 200, top + 100), (-60, 0)), focal.agrees)
    notebook.run(notebook.cells[-1])
    printed = last.locator(OUTPUT).inner_text()
    boxes, shown = iou.agrees(), iou.read()["numbers"]
    assert boxes[1].tolist() != [192, 92, 302, 232]
    assert f"boxes       {boxes.tolist()}" in printed
    assert f"IoU, GIoU   {shown['iou'][0]:.3f} {shown['giou'][0]:.3f}" in printed
    gamma, alpha, p, *_ = focal.agrees()
    assert f"γ, α, loss  {gamma:.1f} {alpha}" in printed
    answer = ask(notebook, "print(focal.p, focal.loss, overlap.diou, overlap.ciou)")
    wanted = [p, focal.read()["numbers"]["loss"][0], shown["diou"][0], shown["ciou"][0]]
    assert [float(number) for number in answer.split()] == pytest.approx(wanted, abs=1e-9)

    pair = [[10.5, 20, 200, 300], [50, 60, 400, 330.25]]
    ask(notebook, f"overlap.boxes = {pair}; focal.gamma = 0.5; focal.kind = 'background'")
    wait_for(lambda: focal.chosen() == "background", 10)
    assert iou.agrees().tolist() == pair
    assert focal.agrees()[0] == 0.5
    ask(notebook, "overlap.boxes = [[0, 52, 0.5, 192], [60, 60, 60, 80]]")  # thinner than a step
    wait_for(lambda: iou.boxes()[0, 2] == 0.5, 10)
    drag(host.page, steps(iou.at(0, 52), (-30, 0), 2), iou.agrees)
    assert iou.boxes()[0, 0] == 0
    ask(notebook, "overlap.scene = 'grid'; overlap.choose('nested')")
    wait_for(lambda: iou.chosen() == "grid" and iou.boxes()[1].tolist() == [4, 3, 8, 6], 10)
    iou.agrees()
    ask(notebook, "overlap.scene = 'masks'; overlap.boxes = [[3, 4, 0, 0], [20.4, 9.6, 0, 0]]")
    wait_for(lambda: iou.chosen() == "masks" and iou.boxes()[1, :2].tolist() == [20, 10], 10)
    iou.agrees()


@only_notebook
def test_one_key_commands_keep_away(host: Host) -> None:
    page = host.page
    state = """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].map(cell =>
        [cell.className.match(/jp-mod-\\w+|jp-\\w+Cell\\b/g).sort().join(" "),
         cell.querySelector(".cm-content, .jp-MarkdownOutput")?.textContent])"""
    host.iou.show("photo", POOR)
    for place in (
        host.iou.box("B"), host.iou.root.get_by_role("button", name="nested"),
        host.iou.field("A x1"), host.iou.root.get_by_role("radio").first,
        host.focal.field(GAMMA), host.focal.field(f"{P}, as a number"),
    ):  # fmt: skip
        place.focus()
        host.iou.read()
        before = page.evaluate(state)
        mode = page.locator(".jp-Notebook").get_attribute("class")
        for key in (
            "ArrowUp", "ArrowDown", "ArrowLeft", "d", "d", "a", "b", "x", "m", "y", "z", "0", "0",
            "Enter", "Shift+m", "ArrowRight",
        ):  # fmt: skip
            page.keyboard.press(key)
        host.iou.read()
        assert page.evaluate(state) == before
        assert page.locator(".jp-Notebook").get_attribute("class") == mode
        expect(page.locator(".jp-Dialog")).to_have_count(0)


@only_notebook
def test_two_views_keep_in_step(host: Host) -> None:
    notebook = host.notebook
    ask(notebook, "display(overlap, focal)")
    again = notebook.cell(notebook.cells[-1]).locator("[data-explorer]")
    iou, focal = IoU(again.first), Focal(again.last)
    iou.show("grid", "1/7")
    drag(host.page, steps(iou.at(8, 7), (60, -20), 4), iou.agrees)
    assert torch.equal(host.iou.agrees(), iou.agrees())
    host.iou.show("photo", "excellent 0.93")
    assert iou.chosen() == "photo"
    assert torch.equal(host.iou.agrees(), iou.agrees())
    focal.field(ALPHA).focus()
    host.page.keyboard.press("ArrowRight")
    assert focal.agrees() == host.focal.agrees()
    ask(notebook, "pass")
    expect(again).to_have_count(0)
    host.iou.box("A").press("ArrowDown")
    host.iou.agrees()


# ------------------------------------------------------------------ keyboard alone

# The names of all controls in their order; of radio buttons only one is a stop.
CONTROLS = """() => [...document.querySelectorAll("[data-explorer]")].flatMap(root =>
    [...root.querySelectorAll("input:not([type=radio]), input:checked, button, [tabindex='0']")]
    .filter(e => e.checkVisibility()).map(nameOf))"""
NAME = """() => { window.nameOf = e =>
    e.getAttribute("aria-label")?.split(":")[0] ?? (e.closest("label") ?? e).textContent }"""

# What has the focus: [its name or null outside of explorers, is the focus seen?].
FOCUSED = """() => {
    const e = document.activeElement
    if (!e.closest("[data-explorer]")) return [null, true]
    const outlined = x => x && getComputedStyle(x).outlineStyle !== "none" &&
        parseFloat(getComputedStyle(x).outlineWidth) >= 2
    const casing = e.querySelector(".odx-casing"), ring = casing && getComputedStyle(casing).stroke
    const other = casing && e.parentNode.querySelector(".odx-box:not(:focus) .odx-casing")
    return [nameOf(e), !!(outlined(e) || outlined(e.nextElementSibling) ||
        ring && ring !== "none" && ring !== (other && getComputedStyle(other).stroke))]
}"""


def tab_through(page: Page) -> list[str]:
    """Press Tab from outside until it has come into the explorers and out again."""
    names: list[str] = []
    page.evaluate(NAME)
    for _ in range(300):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        if name is None and names:
            return names
        if name is not None:
            assert seen, f"no focus to be seen on {name}"
            names.append(name)
    raise AssertionError(f"a trap: {names}")


def tab_to(page: Page, name: str) -> None:
    page.evaluate(NAME)
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED)[0] == name:
            return
    raise AssertionError(f"never came to {name}")


@cache
def tab_order(browser: Browser) -> list[str]:
    """All controls of the page as Tab comes to them; once for all that look at it."""
    with static_page(browser) as host:
        names = tab_through(host.page)
        assert names == host.page.evaluate(CONTROLS)
    return names


def test_tab_reaches_everything_on_the_page(browser: Browser) -> None:
    names = tab_order(browser)
    first = ["Photograph", POOR, "Box A", "Box B", *SIDES, GAMMA, ALPHA, P, MANY, FEW]
    assert list(dict.fromkeys(name for name in names if name in first)) == first
    with static_page(browser) as host:
        keyboard, iou, focal = host.page.keyboard, host.iou, host.focal
        tab_to(host.page, "nested")
        keyboard.press("Enter")
        assert iou.agrees()[1].tolist() == [178, 60, 248, 140]
        tab_to(host.page, "Box B")
        keyboard.press("Shift+ArrowDown")
        assert iou.agrees()[1].tolist() == [178, 60, 248, 141]
        tab_to(host.page, "B x1")
        keyboard.type("100")
        tab_to(host.page, GAMMA)
        assert iou.agrees()[1].tolist() == [100, 60, 248, 141]
        keyboard.press("End")
        assert focal.agrees()[0] == 5
        tab_to(host.page, "an object")
        keyboard.press("ArrowRight")
        assert focal.chosen() == "background"
        focal.agrees()
        for _ in range(names.index("an object")):
            keyboard.press("Shift+Tab")
        assert host.page.evaluate(FOCUSED)[0] == "Photograph"
        keyboard.press("ArrowRight")
        assert iou.chosen() == "grid"
        iou.agrees()


@only_notebook
def test_tab_reaches_everything_in_the_notebook(host: Host) -> None:
    notebook = host.notebook
    host.iou.show("photo")
    host.focal.choose("an object")
    notebook.cell(notebook.starting("from-course-lib")).locator(".cm-content").click()
    host.page.keyboard.press("Escape")
    assert tab_through(host.page) == host.page.evaluate(CONTROLS)


# ------------------------------------------------------------------ touch


def touch(page: Page, way: list[tuple[float, float]]) -> None:
    session = page.context.new_cdp_session(page)
    for kind, place in [
        ("touchStart", way[0]), *(("touchMove", place) for place in way[1:]), ("touchEnd", None),
    ]:  # fmt: skip
        points = [{"x": place[0], "y": place[1]}] if place else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_finger_drags_a_box_and_scrolls_elsewhere(browser: Browser) -> None:
    with static_page(browser, has_touch=True, viewport={"width": 390, "height": 800}) as host:
        figure, page = host.iou, host.page
        figure.press(POOR)
        before = figure.agrees()
        scrolled = page.evaluate("scrollY")
        touch(page, steps(figure.at(245, 218), (30, -60)))
        after = figure.agrees()
        assert torch.equal(after[0], before[0])
        assert after[1, 0] > before[1, 0] + 20
        assert after[1, 1] < before[1, 1] - 40
        touch(page, steps(figure.at(*after[1, :2].tolist()), (-20, -20)))
        assert torch.all(figure.agrees()[1, :2] < after[1, :2])
        assert torch.equal(figure.boxes()[1, 2:], after[1, 2:])
        after = figure.boxes()
        assert page.evaluate("scrollY") == scrolled
        touch(page, steps(figure.at(440, 300), (0, -200), 10))
        assert page.evaluate("scrollY") > scrolled + 100
        assert torch.equal(figure.agrees(), after)


# ------------------------------------------------------------------ access and looks


WIDE, NARROW = 1060, 390
LOOKS = pytest.mark.parametrize(  # each width and each scheme; in test-full all four together
    ("width", "scheme"),
    [
        (WIDE, "light"),
        (NARROW, "dark"),
        pytest.param(WIDE, "dark", marks=pytest.mark.full),
        pytest.param(NARROW, "light", marks=pytest.mark.full),
    ],
)


@LOOKS
def test_axe_finds_nothing_serious(
    browser: Browser, pictures: Path, width: int, scheme: Any
) -> None:
    with static_page(
        browser, color_scheme=scheme, viewport={"width": width, "height": 900}
    ) as host:
        found = {}
        for scene in SIZES:
            host.iou.show(scene)
            host.iou.root.screenshot(path=pictures / f"page_{scene}_{scheme}_{width}.png")
            where = None if scene == "photo" else '[data-explorer="iou"]'
            for found_here in faults(host.page, where):
                where = [node["target"] for node in found_here["nodes"]]
                found[scene, found_here["id"]] = (found_here["impact"], found_here["help"], where)
        host.focal.root.screenshot(path=pictures / f"page_focal_{scheme}_{width}.png")
    for place, (impact, text, where) in found.items():
        print(scheme, width, *place, impact, text, where[:3])
    assert not [place for place, what in found.items() if what[0] in ("serious", "critical")]


def test_the_page_fits_its_width(browser: Browser) -> None:
    with static_page(browser) as host:
        for width in (1060, 600, 390):
            host.page.set_viewport_size({"width": width, "height": 900})
            for scene in SIZES:
                host.iou.show(scene)
                assert host.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


@only_notebook
def test_jupyterlab_s_outputs_fit_their_width(host: Host, pictures: Path) -> None:
    page = host.page

    def turn_file_browser() -> None:
        page.evaluate("document.activeElement.blur()")  # in an explorer the keys are the explorer's
        page.keyboard.press("Control+b")

    too_wide = []
    turn_file_browser()
    for width in (1060, 600, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scene in SIZES:
            host.iou.show(scene)
            for figure in (host.iou, host.focal):
                wide = "e => (e = e.closest('.jp-OutputArea-output')).scrollWidth - e.clientWidth"
                if more := figure.root.evaluate(wide):
                    too_wide.append((width, scene, more))
        page.screenshot(path=pictures / f"lab_{width}.png")
    page.set_viewport_size({"width": 1400, "height": 900})
    turn_file_browser()
    assert not too_wide


@only_notebook
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_jupyterlab_s_themes_are_legible(host: Host, pictures: Path, theme: str) -> None:
    host.notebook.theme(theme)
    host.page.set_viewport_size({"width": 1400, "height": 1800})
    name = theme.split()[-1].lower()
    texts = host.focal.root.evaluate(CONTRAST)
    host.focal.root.screenshot(path=pictures / f"lab_focal_{name}.png")
    for scene in SIZES:
        host.iou.show(scene)
        texts += host.iou.root.evaluate(CONTRAST)
        host.iou.root.screenshot(path=pictures / f"lab_{scene}_{name}.png")
    host.page.set_viewport_size({"width": 1400, "height": 900})
    host.notebook.theme("JupyterLab Light")
    assert len(texts) > 200
    for text, contrast in texts:
        if text not in ("A", "B"):  # they stand on tags of their own, see test_draw.py
            assert contrast >= 4.5, f"{text!r}: {contrast:.2f}"


# ------------------------------------------------------------------ latency

MOVES = 100  # for a figure that means something; the tests make do with ten

# The time from the browser's own stamp on each event until a new number has been painted.
CLOCK = """([root, kind, name]) => {
    const clock = window.clock = { times: [], start: null }
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
        clock.times.push(performance.now() - clock.start)
        clock.start = null
        clock.painted()
    }
    const begin = event => { clock.start ??= event.timeStamp }
    // The number changes in an animation frame: the next task comes after the paint.
    const seen = new MutationObserver(() => clock.start !== null && port2.postMessage(""))
    seen.observe(root.querySelector(`data[data-name="${name}"]`), { attributeFilter: ["value"] })
    root.addEventListener(kind, begin, true)
    const late = fail => setTimeout(fail, 30000, Error("no new number"))
    const next = () => { clock.wait = new Promise(done => { clock.painted = done }) }
    clock.seen = () => Promise.race([clock.wait, new Promise((_, fail) => late(fail))]).then(next)
    next()
    clock.stop = () => {
        seen.disconnect()
        root.removeEventListener(kind, begin, true)
        return clock.times
    }
}"""


def measure(
    figure: Explorer, kind: str, name: str, act: Callable[[int], None], moves: int = MOVES
) -> dict[str, float]:
    page = figure.page
    page.evaluate(CLOCK, [figure.root.element_handle(), kind, name])
    for n in range(moves):
        act(n)
        page.evaluate("clock.seen()")
    times = page.evaluate("clock.stop()")
    assert len(times) == moves
    p95 = statistics.quantiles(times, n=20)[-1]
    return {"n": moves, "median": statistics.median(times), "p95": p95}


def latencies(host: Host, moves: int = MOVES) -> dict[str, dict[str, float]]:
    """Milliseconds until a movement is seen: {what: {n, median, p95}}."""
    mouse, keyboard, iou, focal = host.page.mouse, host.page.keyboard, host.iou, host.focal
    found = {}

    def dragged(figure: Explorer, name: str, x: float, y: float) -> dict[str, float]:
        mouse.move(x, y)
        mouse.down()
        turn = moves // 2  # there and back
        times = measure(
            figure, "pointermove", name,
            lambda n: mouse.move(x + 3 * (n + 1 if n < turn else moves - n - 1), y), moves,
        )  # fmt: skip
        mouse.up()
        return times

    def pressed(figure: Explorer, name: str) -> dict[str, float]:
        keys = ["ArrowRight", "ArrowLeft"]
        return measure(
            figure, "keydown", name, lambda n: keyboard.press(keys[n >= moves // 2]), moves
        )

    iou.show("photo", POOR)
    iou.agrees()
    found["IoU, drag"] = dragged(iou, "diou", *iou.at(250, 200))
    found["IoU, key"] = pressed(iou, "diou")
    focal.press(CROSS_ENTROPY)
    focal.agrees()
    left, top, *_ = focal.plot(0)
    found["focal loss, drag"] = dragged(focal, "loss", left + 150, top + 100)
    focal.field(GAMMA).focus()
    found["focal loss, key"] = pressed(focal, "loss")
    return found


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [f"{'to the paint, in ms':40} {'n':>5} {'median':>8} {'p95':>8}"]
    for place, all_of_it in found.items():
        for what, times in all_of_it.items():
            lines.append(
                f"{place + ', ' + what:40} {times['n']:5} {times['median']:8.1f} {times['p95']:8.1f}"
            )
    return "\n".join(lines)


def test_a_movement_is_seen_at_once(host: Host, pictures: Path) -> None:
    file = pictures / "latency.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    found[host.name] = latencies(host, moves=10)
    file.write_text(json.dumps(found, indent=1))
    print(table({host.name: found[host.name]}))
    assert {times["n"] for times in found[host.name].values()} == {10}  # speed is not tested


def test_console_is_quiet(host: Host) -> None:
    """After all of the above: no error in the browser, no request to another machine."""
    assert host.complaints == []
    expect(host.page.locator(".odx-error:visible, .jp-Dialog, .Toastify__toast")).to_have_count(0)


def print_latencies() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with static_page(browser) as host:
            found = {"page": latencies(host)}
        with jupyterlab(Path(folder)) as address:
            found["notebook"] = latencies(in_notebook(open_explorers(browser, address)))
    print(table(found))


if __name__ == "__main__":
    if sys.argv[1:] != ["latency"]:
        sys.exit(__doc__)
    print_latencies()
