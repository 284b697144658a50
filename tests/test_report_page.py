"""The instructor's page in a browser: sorting, filtering, paper, and no script but its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, faults, needs_browser
from invented_class import LESSON, invented_class, reference
from playwright.sync_api import Browser, Page, expect
from test_report import hostile_class

from autograde.classroom import Classroom
from autograde.copies import flag_copies
from autograde.report import write_report
from autograde.report.statistics import STATUSES

pytestmark = needs_browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    grades = invented_class(120)
    pairs = flag_copies(LESSON, grades, reference())
    return write_report(Classroom(tmp_path_factory.mktemp("class")), LESSON, grades, pairs)


def opened(browser: Browser, file: Path, **options: Any) -> tuple[Page, list[str]]:
    """The page, and all that the browser complains of or asks for."""
    page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **options})
    said: list[str] = []
    page.on("console", lambda m: said.append(f"{m.type}: {m.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda d: said.append(d.message))
    page.on("request", lambda r: said.append(r.url) if r.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page, [*said] if options.get("java_script_enabled") is False else said


@pytest.fixture
def page(browser: Browser, file: Path) -> Any:
    page, said = opened(browser, file)
    yield page
    assert [s for s in said if not s.startswith("data:,")] == []
    page.close()


def column(page: Page, number: int) -> list[str]:
    rows = page.locator("#students tbody tr")
    cells = rows.evaluate_all(
        "(rows, k) => rows.filter(r => !r.hidden).map(r => (r.cells[k] ?? r.cells[0]).textContent)",
        number,
    )
    return [c.strip() for c in cells]


def head(page: Page, name: str) -> Any:
    return page.locator("#students thead th", has=page.get_by_role("button", name=name))


def numbers(texts: list[str]) -> list[float]:
    return [float(t) if re.match(r"\d", t) else -1 for t in texts]


def test_a_click_sorts(page: Page) -> None:
    expect(head(page, "student")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="points").click()
    points = numbers(column(page, 1))
    assert len(points) == 120
    assert points == sorted(points, reverse=True)
    expect(head(page, "points")).to_have_attribute("aria-sort", "descending")
    assert head(page, "student").get_attribute("aria-sort") is None
    page.get_by_role("button", name="points").click()
    assert numbers(column(page, 1)) == sorted(points)
    expect(head(page, "points")).to_have_attribute("aria-sort", "ascending")


def test_the_keyboard_sorts(page: Page) -> None:
    page.locator("#filter").focus()
    for _ in range(2):  # past the region that scrolls, to the first head
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="student")).to_be_focused()
    page.keyboard.press("Enter")
    names = column(page, 0)
    assert names == sorted(names, reverse=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    points = numbers(column(page, 1))
    assert points == sorted(points, reverse=True)


def test_a_task_sorts_with_broken_files_at_its_end(page: Page) -> None:
    page.get_by_role("button", name="3 box_iou").click()
    rows = page.locator("#students tbody tr")
    texts = rows.evaluate_all(
        "rows => rows.map(r => r.cells.length > 5 ? r.cells[4].textContent : '')"
    )
    assert texts[-2:] == ["", ""], "two files are broken"
    points = [parse(t) for t in texts]
    assert points == sorted(points, reverse=True)
    page.get_by_role("button", name="seconds").click()
    seconds = numbers(
        rows.evaluate_all("rows => rows.map(r => r.cells[r.cells.length - 2].textContent)")
    )
    assert seconds == sorted(seconds, reverse=True)


def parse(text: str) -> float:
    return {"": -2.0, "·": -1.0}.get(text) or float(text.split()[0] if text != "·" else -1)


def test_the_filter(page: Page) -> None:
    page.locator("#filter").fill("student-001")
    assert column(page, 0) == [f"student-001{k}" for k in range(10)]
    expect(page.get_by_role("status")).to_have_text("10 of 120")
    page.locator("#filter").fill("NEAR COPY")
    shown = column(page, 0)
    assert "student-0000" in shown
    assert len(shown) < 60
    page.locator("#filter").fill("")
    assert len(column(page, 0)) == 120
    expect(page.get_by_role("status")).to_have_text("")


def test_a_near_copy_opens_side_by_side(page: Page) -> None:
    find = page.locator("details.pair").first
    find.locator("summary").click()
    expect(find.locator("table")).to_be_visible()
    sides = find.locator("td pre")
    assert sides.nth(0).inner_text() == sides.nth(1).inner_text() != ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_faults(browser: Browser, file: Path, scheme: str) -> None:
    page, _ = opened(browser, file, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = [(f["id"], [n["html"][:200] for n in f["nodes"]][:3]) for f in faults(page)]
    assert found == []
    low = {
        (text, round(ratio, 2))
        for text, ratio in page.locator("main").evaluate(CONTRAST)
        if ratio < 4.5
        and not re.fullmatch(rf"\d+ ({'|'.join(STATUSES)})", text)  # of a bar's title
    }
    assert low == set()
    page.close()


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out(browser: Browser, file: Path, width: int) -> None:
    page, _ = opened(browser, file, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_paper_has_no_controls_and_shows_the_details(
    browser: Browser, file: Path, pictures: Path
) -> None:
    page, _ = opened(browser, file)
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#filter")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    details = page.locator("details.on-paper").first
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert details.evaluate("d => d.open")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not details.evaluate("d => d.open")
    page.pdf(path=pictures / "report.pdf", prefer_css_page_size=True)
    page.close()


def test_without_script_all_is_there_but_sorting(browser: Browser, file: Path) -> None:
    page, _ = opened(browser, file, java_script_enabled=False)
    expect(page.locator("#students tbody tr")).to_have_count(120)
    expect(page.locator("#students button")).to_have_count(0)
    expect(page.locator("#filter")).to_be_hidden()
    page.locator("details.pair summary").first.click()
    expect(page.locator("details.pair table").first).to_be_visible()
    page.close()


def test_hostile_students_run_nothing(browser: Browser, tmp_path: Path) -> None:
    grades, pairs = hostile_class()
    page, said = opened(browser, write_report(Classroom(tmp_path), LESSON, grades, pairs))
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.get_by_role("button", name="remarks").click()
    page.locator("#filter").fill("<img")
    page.wait_for_timeout(300)
    assert page.evaluate("window.owned === undefined")
    assert [s for s in said if not s.startswith("data:,")] == []
    assert page.locator("h1").count() == 1
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    page.close()


def test_even_a_script_that_got_in_would_not_run(
    browser: Browser, file: Path, tmp_path: Path
) -> None:
    """The policy is the second wall."""
    text = file.read_text(encoding="utf-8")
    bad = "<script>window.owned=1</script><img src=x onerror=window.owned=1>"
    copy = tmp_path / "page.html"
    copy.write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    page, _ = opened(browser, copy)
    page.wait_for_timeout(300)
    assert page.evaluate("window.owned === undefined")
    page.close()


def test_pictures(browser: Browser, file: Path, pictures: Path) -> None:
    for name, width, scheme in (
        ("light", 1200, "light"),
        ("dark", 1200, "dark"),
        ("narrow", 390, "light"),
    ):
        page, _ = opened(
            browser, file, viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        page.screenshot(path=pictures / f"report-{name}.png")
        page.close()
