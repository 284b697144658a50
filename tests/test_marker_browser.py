"""Feedback as a marker opens it: real pages of hostile students, in a real browser.

Whatever the students' scripts would do, running one is seen here: it sets window.__canary, opens
a dialog or a window, leaves the page, or asks for a file from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from attacks import ATTACKS, LESSON, Attack, combined, outputs
from attacks.lab import ALL, on_solved
from browser import needs_browser
from conftest import needs_sandbox, run_cli
from playwright.sync_api import Browser, Page
from test_attack_class import make_attack_class

from autograde.classroom import Classroom

pytestmark = [needs_browser, needs_sandbox]

EVERY_KIND = """
import warnings
import matplotlib.pyplot as plt
from IPython.display import HTML, Latex, Markdown, display
plt.plot([1, 2], [3, 4])
plt.show()
display(HTML("<table><tr><th>AP</th><td>0.5</td></tr></table>"))
display(Markdown("**bold** and $x^2$"), Latex("$x^2$"))
display({"a": [1, 2]}, torch.arange(3))
print("printed \\x1b[31mred\\x1b[0m")
print("an error", file=sys.stderr)
"""
NAMED = {"both-noise", "both-files", "name-markup", "odd-names", "same-ids", "odd-metadata"}
STUDENTS = (
    on_solved(
        "every-kind", "An honest student who shows all there is to show.", EVERY_KIND, "1 / 0"
    ),
    *outputs.ATTACKS,
    *(a for a in ATTACKS if a.name in NAMED),
)


@dataclass
class Seen:
    """What a page did when it was opened."""

    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """The hostile students' class, graded."""
    room = make_attack_class(tmp_path_factory.mktemp("pages"), list(STUDENTS), light=True)
    done = run_cli("grade", LESSON, "--classroom", str(room.root), "--workers", "2")
    assert done.returncode == 0, done.stderr
    return room


def open_page(browser: Browser, file: Path) -> tuple[Page, Seen]:
    """Open a page and use it as a person does: scroll, move over it, follow what is there."""
    seen = Seen()
    page = browser.new_page()

    def dialog(box) -> None:
        seen.opened.append(box.message)
        box.dismiss()

    page.on("dialog", dialog)
    page.on("popup", lambda other: seen.opened.append(other.url))
    page.on("request", lambda r: seen.asked.append(r.url))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.route(lambda url: not url.startswith(("file:", "data:")), lambda route: route.abort())
    page.goto(file.as_uri(), wait_until="load")
    page.mouse.wheel(0, 100_000)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for link in page.locator("a[href]").all()[:200]:
        target = (link.get_attribute("href") or "").strip()
        if not target.startswith(("#", "http")):
            link.dispatch_event("click")
    page.wait_for_timeout(300)
    return page, seen


def student_text(page: Page) -> str:
    return page.locator("body").inner_text()


@pytest.mark.parametrize("attack", STUDENTS, ids=lambda attack: attack.name)
def test_opening_feedback_runs_nothing(browser: Browser, pages: Classroom, attack: Attack) -> None:
    file = pages.feedback / attack.folder / LESSON / f"{LESSON}.html"
    page, seen = open_page(browser, file)
    try:
        assert page.url.partition("#")[0] == file.as_uri()
        assert page.evaluate("window.__canary") is None
        assert seen.opened == []
        here = ("file:", "data:", "attachment:")  # the last leads nowhere
        assert [url for url in seen.asked if not url.startswith(here)] == []
        own = [url for url in seen.asked if url.startswith("file:") and "/fonts/" not in url]
        assert own == [file.as_uri()]  # Bootstrap asks for its fonts beside the page, in vain
        assert len(page.frames) == 1
        assert page.locator("iframe, object, embed, form, base").count() == 0
        assert "points" in student_text(page) or "could not be graded" in student_text(page)
    finally:
        page.close()


def test_feedback_asks_for_nothing_from_elsewhere(browser: Browser, pages: Classroom) -> None:
    file = pages.feedback / "every-kind" / LESSON / f"{LESSON}.html"
    page, seen = open_page(browser, file)
    page.close()
    assert [url for url in seen.asked if not url.startswith(("file:", "data:"))] == []


def test_honest_outputs_are_shown(browser: Browser, pages: Classroom) -> None:
    """Cleaning takes nothing from whoever shows ordinary things."""
    file = pages.feedback / "every-kind" / LESSON / f"{LESSON}.html"
    page, _ = open_page(browser, file)
    try:
        pictures = page.locator("img[src^='data:image/png']")
        assert pictures.count() >= 1
        assert pictures.first.evaluate("e => e.naturalWidth") > 50
        text = student_text(page)
        for shown in ("0.5", "tensor([0, 1, 2])", "printed red", "an error", "ZeroDivisionError"):
            assert shown in text
        assert page.locator("table td").get_by_text("0.5", exact=True).count() >= 1
    finally:
        page.close()


def test_a_script_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    """The detectors work: a page with a student's script in it trips every one of them."""
    file = tmp_path / "hostile.html"
    texts = "<p>".join(t for t in outputs.HTML if "refresh" not in t and "base" not in t)
    file.write_text(f"<!doctype html><body>{texts}", encoding="utf-8")
    page, seen = open_page(browser, file)
    try:
        assert page.evaluate("window.__canary") == 1
        assert seen.opened
        assert any(url.startswith("http:") for url in seen.asked)
        assert len(page.frames) > 1
    finally:
        page.close()


def test_the_hostile_students_are_all_here() -> None:
    assert {a.name for a in STUDENTS} >= NAMED | {a.name for a in outputs.ATTACKS}
    assert {a.name for a in combined.ATTACKS} & NAMED
    assert STUDENTS[0].earns == ALL
