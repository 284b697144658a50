"""python -m course_lib.explore FILE: write the page with every explorer."""

import argparse
from pathlib import Path

from course_lib.explore import (
    anchors_explorer,
    fcos_explorer,
    focal_loss_explorer,
    grid_explorer,
    heatmap_explorer,
    iou_explorer,
    map_explorer,
    nms_explorer,
    pyramid_explorer,
    roi_explorer,
)
from course_lib.explore.page import page


def explorers_page() -> str:
    """What docs/explorers.html holds."""
    widgets = [iou_explorer(), nms_explorer(), map_explorer()]
    widgets += [anchors_explorer(), roi_explorer(), focal_loss_explorer()]
    widgets += [grid_explorer(), pyramid_explorer()]
    widgets += [fcos_explorer(), heatmap_explorer()]
    return page("Drag it, turn it, see it", widgets)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course_lib.explore", description=__doc__)
    parser.add_argument("file", type=Path, help="the HTML file to write")
    file = parser.parse_args().file
    file.write_text(explorers_page(), encoding="utf-8")
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB; open it in any browser")


if __name__ == "__main__":
    main()
