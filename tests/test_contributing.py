"""What CONTRIBUTING.md shows, works."""

import re
import shutil

import anywidget
import pytest
import traitlets
from browser import PROJECT, needs_browser
from playwright.sync_api import expect

from course_lib.explore import _link as link
from course_lib.explore import save

TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## An explorer")[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_an_explorer_in_python():
    language, code = BLOCKS[0]
    assert language == "python"
    names = {}
    exec(code, names)
    canvas, bars, threshold = names["canvas"], names["bars"], names["threshold"]
    assert bars.rows[0]["text"] == "0.200"
    assert bars.rows[0]["parts"][0]["color"] == "ignored"
    threshold.value = 0.15
    assert bars.rows[0]["parts"][0]["color"] == "overlap"
    canvas.boxes = [[0, 0, 2, 2], [1, 0, 3, 2]]
    assert bars.rows[0]["text"] == "0.333"


@needs_browser
def test_an_explorer_in_the_browser(tmp_path, monkeypatch, browser):
    (language, code), (_, python) = BLOCKS[1:3]
    assert language == "js"
    shutil.copytree(link.FOLDER, tmp_path / "js")
    (tmp_path / "js" / "shift_explorer.js").write_text(code, encoding="utf-8")
    monkeypatch.setattr(link, "FOLDER", tmp_path / "js")
    names = {"anywidget": anywidget, "traitlets": traitlets, "look": link.look}
    exec(python, names | {"module": link.module}, names)
    page = browser.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(save(names["ShiftExplorer"](), tmp_path / "shift.html").as_uri())
    number = page.locator('data[data-name="IoU"]')
    expect(number).to_have_text("0.333")
    page.get_by_role("slider", name="shift, in pixels", exact=True).press("ArrowLeft")
    expect(number).to_have_text("0.429")
    assert float(number.get_attribute("value")) == pytest.approx(6 / 14, abs=1e-12)
    assert complaints == []
    page.close()
