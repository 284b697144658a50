"""python -m course_lib.explore FILE: write the page with every explorer."""

import argparse
from pathlib import Path

from course_lib.explore import focal_loss_explorer, iou_explorer
from course_lib.explore.page import page


def explorers_page() -> str:
    """What docs/explorers.html holds."""
    return page(
        "Drag it, turn it, see it",
        [
            (
                "How well do two boxes agree?",
                "Box A, in blue, is where the face is. Box B, in orange-red, is what a detector "
                "said. Drag them, pull their corners, or move them with the arrow keys. IoU is "
                "the green part of all that is coloured.",
                iou_explorer(),
            ),
            (
                "Who does a detector listen to?",
                "For every hard object a detector sees a thousand easy pieces of background, and "
                "each says a little. The focal loss turns the easy ones down: start at γ = 0, "
                "then turn γ up.",
                focal_loss_explorer(),
            ),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course_lib.explore", description=__doc__)
    parser.add_argument("file", type=Path, help="the HTML file to write")
    file = parser.parse_args().file
    file.write_text(explorers_page(), encoding="utf-8")
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB; open it in any browser")


if __name__ == "__main__":
    main()
