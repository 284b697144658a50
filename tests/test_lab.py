"""Lesson 01 as a student has it: a real JupyterLab, started as `make lab` does, in a browser.

SCREENSHOTS=folder keeps the pictures. `python tests/test_lab.py docs/lesson.png` makes the
README's picture.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from course_lib import boxes as ops
from course_lib.explore.iou import BOX_A, PRESETS

PROJECT = Path(__file__).resolve().parents[1]
LESSON = "lessons/01_iou/01_iou.ipynb"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
MAKE = shutil.which("make")
pytestmark = [
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(BROWSER is None or MAKE is None, reason="no Chromium or no make here"),
]
expect.set_options(timeout=30_000)

NO_CLAMP = '''def box_iou(boxes1, boxes2, fmt="xyxy"):
    """IoU [N, M] of every box in boxes1 [N, 4] with every box in boxes2 [M, 4]."""
    if fmt != "xyxy":
        boxes1, boxes2 = box_convert(boxes1, fmt, "xyxy"), box_convert(boxes2, fmt, "xyxy")
    top_left = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = torch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = (bottom_right - top_left).prod(dim=-1)
    union = box_area(boxes1)[:, None] + box_area(boxes2)[None, :] - intersection
    return torch.where(union > 0, intersection / union, 0.0)'''


def answer(name: str) -> str:
    """The lesson's own solution of an exercise."""
    text = (PROJECT / "solutions" / "01_iou.py").read_text(encoding="utf-8")
    cell = text.split(f'# %% solve="{name}"\n')[1].split("\n# %%")[0]
    return re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell).strip()


def solve_first_two(lesson: Lesson) -> None:
    for name in ("box_convert", "box_area"):
        lesson.write(name, answer(name))
        lesson.run(name)


# ------------------------------------------------------------------ JupyterLab and the browser


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """`make lab` on copies of the lessons in `folder`; gives its address."""
    for name in ("lessons", "solutions"):
        shutil.copytree(PROJECT / name, folder / "root" / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (
        f"--no-browser --allow-root --port={port} --ServerApp.port_retries=0 --ServerApp.token='' "
        f"--ServerApp.root_dir='{folder / 'root'}'"
    )
    places = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    places |= {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    places |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "IPYTHONDIR": "ipython"}
    venv = Path(sys.prefix)
    command = ["make", "-o", f"{venv}/installed", "lab", f"VENV={venv}", f"LAB_OPTIONS={options}"]
    log = folder / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | {name: str(folder / place) for name, place in places.items()},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        wait_for(lambda: server.poll() is not None or answers(port), 60)
        assert server.poll() is None, log.read_text()
        yield f"http://localhost:{port}"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)  # the server stops its kernels
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://localhost:{port}/api", timeout=1))
    except OSError:
        return False


def wait_for(true: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"still false after {seconds} s: {true}")


@contextmanager
def chromium() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=BROWSER, args=flags)


@dataclass
class Lesson:
    """A notebook open in JupyterLab."""

    page: Page
    cells: list[str]  # their ids, from the top
    complaints: list[str] = field(default_factory=list)  # what the browser's console says

    def cell(self, cell_id: str) -> Locator:
        k = self.cells.index(cell_id)
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{k}"]')

    def check_cell(self, name: str) -> Locator:
        return self.cell(f"check_{name}")

    def starting(self, text: str) -> str:
        """The id of the cell whose id starts so."""
        return next(c for c in self.cells if c.startswith(text))

    def run(self, cell_id: str) -> Locator:
        """Click into a cell and press Shift+Enter; wait until it has run."""
        cell = self.cell(cell_id)
        cell.locator(".cm-content").click()
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.page.keyboard.press("Shift+Enter")
        wait_for(lambda: re.search(r"\d", now := prompt.inner_text()) and now != before, 60)
        return cell

    def write(self, cell_id: str, code: str) -> None:
        """Replace all of a cell."""
        self.cell(cell_id).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def type_last_line(self, cell_id: str, code: str) -> None:
        """Replace the last line of a cell, key by key."""
        self.cell(cell_id).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.press("Shift+Home")
        self.page.keyboard.type(code)

    def menu(self, first: str, *names: str) -> None:
        """Choose from the menu bar."""
        self.page.get_by_role("menuitem", name=first, exact=True).click()
        for name in names:
            self.page.locator(".lm-Menu-item").get_by_text(name, exact=True).click()

    def theme(self, name: str) -> None:
        self.menu("Settings", "Theme", name)
        light = "false" if "Dark" in name else "true"
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)

    def idle(self, seconds: float = 60) -> None:
        """Wait until the kernel is there and has nothing to do."""
        bar = self.page.locator("#jp-main-statusbar").get_by_text("| Idle")
        expect(bar).to_be_visible(timeout=seconds * 1000)

    def run_all(self) -> None:
        self.menu("Run", "Run All Cells")
        prompts = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt")
        expect(prompts.first).to_have_text(re.compile(r"\[(\*|\d+)\]"))
        # The last cell has run, or Run All has stopped: between two cells nothing is busy either.
        with suppress(AssertionError):
            expect(prompts.last).to_have_text(re.compile(r"\[\d+\]"), timeout=120_000)
        self.idle()


def open_lesson(browser: Browser, address: str, **options: Any) -> Lesson:
    """Open what `make lab` opens, and wait for its kernel."""
    page = browser.new_page(**{"viewport": {"width": 1400, "height": 900}, **options})
    page.set_default_timeout(30_000)
    notebook = nbformat.read(PROJECT / LESSON, as_version=4)
    lesson = Lesson(page, [cell.id for cell in notebook.cells])
    page.on("console", lambda m: m.type == "error" and lesson.complaints.append(m.text))
    page.on("pageerror", lambda error: lesson.complaints.append(str(error)))
    page.on("request", lambda r: lesson.complaints.extend(elsewhere(r.url)))
    page.goto(address)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    lesson.idle()
    return lesson


def elsewhere(url: str) -> list[str]:
    """The address, if it is not on this machine."""
    here = re.match(r"(https?|wss?)://localhost:|data:|blob:|about:", url)
    return [] if here else [f"asked for {url}"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def lesson(browser: Browser, address: str) -> Lesson:
    """Lesson 01, all cells run."""
    lesson = open_lesson(browser, address)
    lesson.run_all()
    return lesson


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def picture(lesson: Lesson, place: Locator, file: Path, **options: Any) -> None:
    """What the student sees with `place` at the top; JupyterLab lays cells out as they come in."""
    for _ in range(2):
        place.evaluate("e => e.scrollIntoView({block: 'start'})")
        lesson.page.wait_for_timeout(200)
    lesson.page.screenshot(path=file, **options)


# ------------------------------------------------------------------ what must hold

OUTPUT = ".jp-OutputArea-output"
ERROR = f'{OUTPUT}[data-mime-type="application/vnd.jupyter.stderr"]'


def test_run_all_goes_to_the_end(lesson: Lesson, pictures: Path) -> None:
    code = lesson.page.locator(".jp-Notebook .jp-CodeCell")
    prompts = code.locator(".jp-InputPrompt").all_text_contents()
    not_run = [k for k, prompt in enumerate(prompts) if not re.search(r"\d", prompt)]
    assert not not_run, "Run All Cells stopped: cells that may fail need the tag raises-exception"
    errors = code.locator(ERROR).all_text_contents()
    assert len(errors) > 12
    for text in errors:
        assert "not attempted yet" in text.strip().splitlines()[-1]
        assert re.search("^(NotAttempted|NotImplementedError)", text.strip().splitlines()[-1])
    picture(lesson, lesson.check_cell("box_convert"), pictures / "not_attempted.png")


def test_figures_are_seen_and_told(lesson: Lesson, pictures: Path) -> None:
    found = lesson.page.locator(f"{OUTPUT} figure")
    figures = found.evaluate_all(
        """figures => figures.map(f => {
            const img = f.querySelector("img"), box = img.getBoundingClientRect()
            return {alt: img.alt, caption: f.querySelector("figcaption")?.textContent,
                    loaded: img.complete && img.naturalWidth > 0,
                    width: box.width, right: box.right, room: innerWidth}})"""
    )
    assert len(figures) >= 7
    for figure in figures:
        assert len(figure["alt"]) > 20, figure
        assert len(figure["caption"]) > 20, figure
        assert figure["loaded"], figure
    for k in range(len(figures)):
        found.nth(k).scroll_into_view_if_needed()
        expect(found.nth(k).locator("img")).to_be_visible()
        box = found.nth(k).locator("img").bounding_box()
        assert box["width"] > 150
        assert box["x"] + box["width"] <= 1400
    last = found.nth(len(figures) - 1)
    picture(lesson, last, pictures / "figure.png")


class Explorer:
    """The IoU figure, through what is on the page."""

    def __init__(self, lesson: Lesson) -> None:
        self.page = lesson.page
        self.cell = lesson.cell(lesson.starting("iou-figure"))
        self.cell.scroll_into_view_if_needed()
        self.drawing = self.cell.locator(f"{OUTPUT} svg[role=img]")
        expect(self.drawing).to_be_visible()

    def handle(self, name: str) -> Locator:
        slider = self.cell.locator(".widget-slider").filter(has_text=re.compile(f"^B {name}\\d"))
        return slider.get_by_role("slider")

    def preset(self, name: str) -> None:
        self.cell.get_by_role("button", name=name, exact=True).click()

    def place(self) -> list[int]:
        """Box B as the sliders say: x, y, width, height."""
        return [int(t) for t in self.cell.locator(".widget-readout").all_text_contents()]

    def numbers(self) -> list[float]:
        """Intersection, union, C, IoU, GIoU as they are shown."""
        shown = self.cell.locator(f"{OUTPUT} b").all_text_contents()
        return [float(number.replace(",", "").replace("−", "-")) for number in shown]

    def settles(self) -> bool:
        """Do the numbers and the drawing come to agree with the sliders?"""
        x, y, width, height = place = self.place()
        a = torch.tensor([[BOX_A[0], BOX_A[1], BOX_A[0] + BOX_A[2], BOX_A[1] + BOX_A[3]]]).float()
        b = torch.tensor([[x, y, x + width, y + height]]).float()
        iou, giou = ops.box_iou(a, b).item(), ops.generalized_box_iou(a, b).item()
        area = ops.box_area(a).item() + ops.box_area(b).item()
        _, union, _, shown_iou, shown_giou = shown = self.numbers()
        drawn = self.drawing.locator("rect").evaluate_all(
            "rs => rs.map(r => ['x', 'y', 'width', 'height'].map(k => +r.getAttribute(k)))"
        )
        return (
            shown_iou == pytest.approx(iou, abs=5.1e-4)
            and shown_giou == pytest.approx(giou, abs=5.1e-4)
            and shown[0] + union == area
            and place in drawn
            and place == self.place()
        )


def test_the_iou_figure_follows_the_hand(lesson: Lesson, pictures: Path) -> None:
    figure, keyboard, mouse = Explorer(lesson), lesson.page.keyboard, lesson.page.mouse
    figure.preset("nested")
    wait_for(lambda: figure.place() == PRESETS["nested"] and figure.settles(), 10)

    figure.handle("x").focus()
    for _ in range(5):
        keyboard.press("ArrowRight")
    figure.handle("height").focus()
    keyboard.press("ArrowLeft")
    x, y, width, height = PRESETS["nested"]
    wait_for(lambda: figure.place() == [x + 5, y, width, height - 1], 10)
    wait_for(figure.settles, 10)

    for name, way in (("x", 60), ("y", -45), ("width", 80)):
        box, before = figure.handle(name).bounding_box(), figure.place()
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse.move(*at)
        mouse.down()
        for step in range(1, 5):
            mouse.move(at[0] + way * step / 4, at[1])
            wait_for(lambda before=before: figure.place() != before, 10)
            wait_for(figure.settles, 10)
            before = figure.place()
        mouse.up()

    for name, place in PRESETS.items():
        figure.preset(name)
        wait_for(lambda place=place: figure.place() == place and figure.settles(), 10)
    picture(lesson, figure.cell, pictures / "explorer.png")


def test_a_wrong_answer_is_told_the_idea_then_the_right_one_passes(
    lesson: Lesson, pictures: Path
) -> None:
    def hint() -> str:
        lesson.write(playground, 'hint("box_area")')
        return lesson.run(playground).locator(OUTPUT).inner_text()

    lesson.type_last_line("box_area", "return boxes[:, 2] * boxes[:, 3]")
    lesson.run("box_area")
    cell = lesson.run("check_box_area")
    report = cell.locator(f'{OUTPUT}[data-mime-type="text/html"]')
    expect(report).to_have_count(1)
    expect(report).to_contain_text("✗ box_area")
    expect(report).to_contain_text("→ ")
    expect(report).to_contain_text("multiplied as if they were width and height")
    assert report.locator("img").evaluate("i => i.alt.length > 10 && i.naturalWidth > 300")
    error = cell.locator(ERROR).inner_text().strip()
    assert error == "CheckFailed: box_area: not right yet, see the report above"
    picture(lesson, lesson.cell("box_area"), pictures / "wrong.png")

    playground = lesson.starting("areas-box-area")
    hints = [hint(), hint()]
    assert "Hint 1 of" in hints[0]
    assert "Hint 2 of" in hints[1]

    solve_first_two(lesson)
    cell = lesson.run("check_box_area")
    expect(cell.locator(OUTPUT)).to_have_count(1)
    expect(cell.locator(OUTPUT)).to_contain_text("✓ box_area: all")
    bar = "getComputedStyle(e.querySelector('div')).borderLeftColor"
    assert cell.locator(OUTPUT).evaluate(f"e => {bar}") == "rgb(0, 158, 115)"
    picture(lesson, lesson.cell("box_area"), pictures / "right.png")


CONTRAST = """place => {
    const rgba = text => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number)
        return [r, g, b, a]
    }
    const over = ([r, g, b, a], under) => [r, g, b].map((v, k) => a * v + (1 - a) * under[k])
    const background = e => {
        const own = rgba(getComputedStyle(e).backgroundColor)
        if (own[3] === 1 || !e.parentElement) return own.slice(0, 3)
        return over(own, background(e.parentElement))
    }
    const light = rgb => rgb
        .map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0)
    const found = [], walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement
        if (!text) continue
        const under = background(e), ink = over(rgba(getComputedStyle(e).color), under)
        const [low, high] = [light(ink), light(under)].sort((a, b) => a - b)
        found.push([text, (high + 0.05) / (low + 0.05)])
    }
    return found
}"""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_reports_are_legible(lesson: Lesson, pictures: Path, theme: str) -> None:
    solve_first_two(lesson)
    lesson.write("box_iou", NO_CLAMP)
    lesson.run("box_iou")
    report = lesson.run("check_box_iou").locator(OUTPUT).first
    expect(report).to_contain_text("✗ box_iou")
    name = theme.split()[-1].lower()
    lesson.theme(theme)
    try:
        texts = report.evaluate(CONTRAST)
        picture(lesson, lesson.check_cell("box_iou"), pictures / f"report_{name}.png")
        explorer = lesson.cell(lesson.starting("iou-figure"))
        picture(lesson, explorer, pictures / f"explorer_{name}.png")
        texts += explorer.locator(f"{OUTPUT} b").first.evaluate(CONTRAST)
        lesson.page.set_viewport_size({"width": 600, "height": 900})
        lesson.page.keyboard.press("Control+b")  # no file browser
        picture(lesson, lesson.cell("box_iou"), pictures / f"narrow_{name}.png")
        picture(lesson, explorer, pictures / f"narrow_explorer_{name}.png")
        lesson.page.keyboard.press("Control+b")
    finally:
        lesson.page.set_viewport_size({"width": 1400, "height": 900})
        lesson.theme("JupyterLab Light")
    assert len(texts) > 15
    for text, contrast in texts:
        enough = 3 if text in "✓✗○" else 4.5  # a sign is bold, and a headline says the same
        assert contrast >= enough, f"{text!r}: {contrast:.2f}"


def test_a_text_source_opens_as_a_notebook(browser: Browser, address: str, pictures: Path) -> None:
    """What jupyter_config/ is for."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{address}/lab/tree/solutions?reset")
    page.locator(".jp-DirListing-item").filter(has_text="01_iou.py").dblclick()
    panel = page.locator(".jp-NotebookPanel")
    expect(panel.locator(".jp-MarkdownCell h1").first).to_contain_text("Intersection over union")
    expect(panel.locator(".jp-CodeCell").first).to_contain_text("import math")
    expect(panel.locator(".jp-CodeCell").first).not_to_contain_text("# %%")
    expect(page.locator(".jp-FileEditor")).to_have_count(0)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    page.screenshot(path=pictures / "source.png")
    page.close()


def test_console_is_quiet(lesson: Lesson) -> None:
    """No error in the browser, no request to another machine, no dialog, no toast."""
    assert lesson.complaints == []
    for what in (".jp-Dialog", ".Toastify__toast"):
        expect(lesson.page.locator(what)).to_have_count(0)
    expect(lesson.page.get_by_text("Create Assignment")).to_have_count(0)  # for instructors


# ------------------------------------------------------------------ the README's picture


def make_picture(file: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    with jupyterlab(folder) as address, chromium() as browser:
        view = {"width": 1066, "height": 1200}
        lesson = open_lesson(browser, address, viewport=view, device_scale_factor=1.4)
        lesson.page.keyboard.press("Control+b")
        lesson.run(lesson.starting("import-math"))
        solve_first_two(lesson)
        lesson.write("box_iou", NO_CLAMP)
        lesson.run("box_iou")
        report = lesson.run("check_box_iou")
        expect(report.locator("img")).to_be_visible()
        picture(lesson, lesson.cell("box_iou"), file)
        frame = lesson.page.locator("#jp-main-dock-panel").bounding_box()
        end = report.bounding_box()
        frame["height"] = end["y"] + end["height"] - 4 - frame["y"]
        picture(lesson, lesson.cell("box_iou"), file, clip=frame)
    shutil.rmtree(folder, ignore_errors=True)
    Image.open(file).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        file, optimize=True
    )
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]))
