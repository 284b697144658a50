"""The curve of a training as it grows in a real JupyterLab."""

from __future__ import annotations

from browser import EXPLORERS, OUTPUT, PROJECT, needs_browser, open_notebook
from playwright.sync_api import Browser

CELL = f"""
import sys; sys.path.insert(0, {str(PROJECT / "tests")!r})
from tiny_detector import Squares, tiny
from course_lib.engine import FitConfig, fit
model = tiny()
history = fit(model, Squares(64), FitConfig.of(model, seconds=6), valid=Squares(8, 1))
"""

RECORD = """cell => {
    window.frames_seen = []
    const look = () => {
        const area = cell.querySelector('.jp-OutputArea')
        const what = cell.querySelector('.jp-OutputArea svg[role=img], .jp-OutputArea figure img')
        const box = what?.getBoundingClientRect()
        const done = what?.tagName === 'IMG' ? what.complete && what.naturalWidth > 0 : true
        window.frames_seen.push({
            at: performance.now(), height: area?.offsetHeight ?? 0, kind: what?.tagName ?? 'none',
            shown: Boolean(box && box.height > 100 && done),
            words: cell.querySelector('figcaption')?.innerText ?? '',
        })
        window.recording = requestAnimationFrame(look)
    }
    look()
}"""


@needs_browser
def test_the_curve_grows_in_jupyterlab_without_flicker(browser: Browser, address: str) -> None:
    """Every frame that the browser paints has the whole drawing in it, as high as before."""
    notebook = open_notebook(browser, address, EXPLORERS)
    last = notebook.cells[-1]
    notebook.write(last, CELL)
    notebook.cell(last).evaluate(RECORD)
    notebook.run(last)
    frames = notebook.page.evaluate("() => { cancelAnimationFrame(recording); return frames_seen }")
    begun = next(k for k, frame in enumerate(frames) if frame["shown"])
    growing = [frame for frame in frames[begun:] if frame["kind"] == "svg"]
    assert len({frame["words"] for frame in growing}) >= 5
    assert frames[-1]["kind"] == "IMG"
    assert all(frame["shown"] for frame in frames[begun:])
    heights = {frame["height"] for frame in growing}
    assert max(heights) - min(heights) <= 1, heights
    assert abs(frames[-1]["height"] - max(heights)) < 60
    assert notebook.cell(last).locator(OUTPUT).count() == 1
    assert not notebook.complaints
