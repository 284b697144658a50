"""Lesson 01 as a student has it: a real JupyterLab, started as `make lab` does, in a browser.

`python tests/test_lab.py docs/lesson.png` makes the README's picture.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from browser import (
    CONTRAST,
    ERROR,
    OUTPUT,
    PROJECT,
    Notebook,
    chromium,
    jupyterlab,
    needs_browser,
    open_notebook,
    picture,
)
from PIL import Image
from playwright.sync_api import Browser, expect

from course_lib import boxes as ops

SIDES = ("x1", "y1", "x2", "y2")
pytestmark = needs_browser

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


def solve_first_two(lesson: Notebook) -> None:
    for name in ("box_convert", "box_area"):
        lesson.write(name, answer(name))
        lesson.run(name)


@pytest.fixture(scope="module")
def lesson(browser: Browser, address: str) -> Iterator[Notebook]:
    """Lesson 01, all cells run."""
    lesson = open_notebook(browser, address)
    lesson.run_all()
    yield lesson
    lesson.page.close()


# ------------------------------------------------------------------ what must hold


def test_run_all_goes_to_the_end(lesson: Notebook, pictures: Path) -> None:
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


def test_figures_are_seen_and_told(lesson: Notebook, pictures: Path) -> None:
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


def test_the_explorer_is_alive(lesson: Notebook, pictures: Path) -> None:
    """The rest about it is in test_explorers.py."""
    cell = lesson.cell(lesson.starting("iou-explorer"))
    shown, mouse = cell.locator('data[data-name="iou"]'), lesson.page.mouse
    expect(shown).to_have_text("0.400")
    side = cell.get_by_label("B x1", exact=True)
    before = float(side.input_value())
    cell.locator("svg.odx-canvas").scroll_into_view_if_needed()
    box = cell.locator("g.odx-box").last.locator(".odx-outline").bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse.move(*at)
    mouse.down()
    mouse.move(at[0] + 30, at[1], steps=3)
    mouse.up()
    expect(shown).not_to_have_text("0.400")
    a, b = (
        torch.tensor([[float(cell.get_by_label(f"{box} {side}").input_value()) for side in SIDES]])
        for box in "AB"
    )
    assert b[0, 0] > before + 10
    expect(shown).to_have_text(f"{ops.box_iou(a, b).item():.3f}")
    cell.get_by_role("button", name="nested", exact=True).click()
    expect(shown).to_have_text("0.364")  # "an IoU of a third, however neatly it sits inside"
    picture(lesson, cell, pictures / "explorer.png")


def test_a_wrong_answer_is_told_the_idea_then_the_right_one_passes(
    lesson: Notebook, pictures: Path
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


def test_reports_are_legible(lesson: Notebook, pictures: Path) -> None:
    solve_first_two(lesson)
    lesson.write("box_iou", NO_CLAMP)
    lesson.run("box_iou")
    report = lesson.run("check_box_iou").locator(OUTPUT).first
    expect(report).to_contain_text("✗ box_iou")
    explorer = lesson.cell(lesson.starting("iou-explorer"))
    try:
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            name = theme.split()[-1].lower()
            lesson.theme(theme)
            texts = report.evaluate(CONTRAST)
            picture(lesson, lesson.check_cell("box_iou"), pictures / f"report_{name}.png")
            picture(lesson, explorer, pictures / f"explorer_{name}.png")
            lesson.page.set_viewport_size({"width": 600, "height": 900})
            lesson.page.keyboard.press("Control+b")  # no file browser
            picture(lesson, lesson.cell("box_iou"), pictures / f"narrow_{name}.png")
            picture(lesson, explorer, pictures / f"narrow_explorer_{name}.png")
            lesson.page.keyboard.press("Control+b")
            lesson.page.set_viewport_size({"width": 1400, "height": 900})
            assert len(texts) > 15
            for text, contrast in texts:
                enough = 3 if text in "✓✗○" else 4.5  # a sign is bold, and a headline says the same
                assert contrast >= enough, f"{theme}, {text!r}: {contrast:.2f}"
    finally:
        lesson.page.set_viewport_size({"width": 1400, "height": 900})
        lesson.theme("JupyterLab Light")


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


def test_console_is_quiet(lesson: Notebook) -> None:
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
        lesson = open_notebook(browser, address, viewport=view, device_scale_factor=1.4)
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
