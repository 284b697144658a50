"""Notebooks as a student has them: a real JupyterLab, started as `make lab` does, in a browser.

SCREENSHOTS=folder keeps the pictures. The fixtures `browser`, `address`, `explorers` and `pictures`
are in conftest.py.
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
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
LESSON_01 = "01_iou/01_iou.ipynb"  # what `make lab` opens
EXPLORERS = "explorers/explorers.ipynb"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
MAKE = shutil.which("make")
needs_browser = pytest.mark.skipif(not (BROWSER and MAKE), reason="no Chromium or no make here")
expect.set_options(timeout=30_000)

OUTPUT = ".jp-OutputArea-output"
ERROR = f'{OUTPUT}[data-mime-type="application/vnd.jupyter.stderr"]'


@contextmanager
def jupyterlab(folder: Path, copied: Iterable[str] = ("lessons", "solutions")) -> Iterator[str]:
    """`make lab` on copies of the project's folders in `folder`; gives its address."""
    for name in copied:
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
        wait_for(lambda: server.poll() is not None or answers(port), 240)
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
class Notebook:
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
        light, body = "false" if "Dark" in name else "true", self.page.locator("body")
        if body.get_attribute("data-jp-theme-light") != light:
            self.menu("Settings", "Theme", name)
            expect(body).to_have_attribute("data-jp-theme-light", light)

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


def open_notebook(
    browser: Browser, address: str, path: str = LESSON_01, **options: Any
) -> Notebook:
    """Open a notebook of lessons/ and wait for its kernel; lesson 01 as `make lab` opens it."""
    page = browser.new_page(**{"viewport": {"width": 1400, "height": 900}, **options})
    page.set_default_timeout(30_000)
    cells = nbformat.read(PROJECT / "lessons" / path, as_version=4).cells
    notebook = Notebook(page, [cell.id for cell in cells])
    page.on("console", lambda m: m.type == "error" and notebook.complaints.append(m.text))
    page.on("pageerror", lambda error: notebook.complaints.append(str(error)))
    page.on("request", lambda r: notebook.complaints.extend(elsewhere(r.url)))
    page.goto(address if path == LESSON_01 else f"{address}/lab/tree/lessons/{path}?reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    notebook.idle()
    return notebook


def open_explorers(browser: Browser, address: str) -> Notebook:
    """explorers.ipynb, all cells run."""
    notebook = open_notebook(browser, address, EXPLORERS)
    notebook.run_all()
    return notebook


class Workplace:
    """One JupyterLab and one browser for all tests of a process, each opened when first asked for.

    explorers: explorers.ipynb, all cells run. Its tests share it, so each sets what it needs.
    """

    def __init__(self) -> None:
        self._closing = ExitStack()

    @cached_property
    def address(self) -> str:
        folder = tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
        return self._closing.enter_context(jupyterlab(Path(self._closing.enter_context(folder))))

    @cached_property
    def browser(self) -> Browser:
        return self._closing.enter_context(chromium())

    @cached_property
    def explorers(self) -> Notebook:
        return open_explorers(self.browser, self.address)

    def close(self) -> None:
        self._closing.close()


def elsewhere(url: str) -> list[str]:
    """The address, if it is not on this machine."""
    here = re.match(r"(https?|wss?)://localhost:|data:|blob:|about:", url)
    return [] if here else [f"asked for {url}"]


def picture(notebook: Notebook, place: Locator, file: Path, **options: Any) -> None:
    """What the student sees with `place` at the top; JupyterLab lays cells out as they come in."""
    for _ in range(2):
        place.evaluate("e => e.scrollIntoView({block: 'start'})")
        notebook.page.wait_for_timeout(200)
    notebook.page.screenshot(path=file, **options)


def faults(page: Page, where: str | None = None) -> list[dict[str, Any]]:
    """What axe finds against accessibility rules, on the page or in what a selector names."""
    if not page.evaluate("!!window.axe"):
        page.evaluate(Axe().axe_script)
    answer = page.evaluate(
        "where => axe.run(where ?? document, {resultTypes: ['violations']})", where
    )
    return answer["violations"]


# The contrast of every text in a place with what is under it: [text, ratio]. Of an SVG's texts it
# is the contrast with what is under the SVG.
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
        const style = getComputedStyle(e), under = background(e)
        const ink = over(rgba(e.ownerSVGElement ? style.fill : style.color), under)
        const [low, high] = [light(ink), light(under)].sort((a, b) => a - b)
        found.push([text, (high + 0.05) / (low + 0.05)])
    }
    return found
}"""
