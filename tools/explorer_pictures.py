"""python tools/explorer_pictures.py: the README's pictures of docs/explorers.html."""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SHOWN = {"iou": 2, "focal-loss": 3}  # explorer: how many of its panels


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1060, "height": 900}, device_scale_factor=1.4)
        page.goto((DOCS / "explorers.html").as_uri())
        for name, panels in SHOWN.items():
            explorer = page.locator(f'[data-explorer="{name}"]')
            explorer.wait_for()
            page.wait_for_timeout(500)
            frame = explorer.bounding_box()
            last = explorer.locator(".odx-columns").nth(panels - 1).bounding_box()
            assert frame is not None
            assert last is not None
            frame["height"] = last["y"] + last["height"] + 6 - frame["y"]
            picture = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=frame)))
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            file = DOCS / f"{name.replace('-', '_')}_explorer.png"
            few.save(file, optimize=True)
            print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
