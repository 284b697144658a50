"""The course's scoreboard: docs/scoreboard.md and its picture, made from a results file."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results" / "detectors.json"
PAGE, PICTURE = PROJECT / "docs" / "scoreboard.md", PROJECT / "docs" / "scoreboard.png"

TITLES = {"yolo": "YOLO", "retinanet": "RetinaNet", "fcos": "FCOS", "centernet": "CenterNet"}
LESSONS = {"yolo": "07", "retinanet": "08", "fcos": "09", "centernet": "10"}

# COCO test-dev of the papers' full-size networks, single scale. Each is the paper's own number.
PUBLISHED = """\
| network | backbone | AP | AP50 | AP75 | paper |
|---|---|---:|---:|---:|---|
| YOLOv2 | Darknet-19, 544 pixels | 21.6 | 44.0 | 19.2 | Redmon and Farhadi, CVPR 2017 |
| RetinaNet | ResNet-101-FPN, 800 pixels | 39.1 | 59.1 | 42.3 | Lin et al., ICCV 2017 |
| FCOS | ResNet-101-FPN, 800 pixels | 41.5 | 60.7 | 45.0 | Tian et al., ICCV 2019 |
| CenterNet | Hourglass-104, 512 pixels in training | 42.1 | 61.1 | 45.9 | Zhou et al., 2019 |
"""


def write(results: Path = RESULTS, page: Path = PAGE, picture: Path = PICTURE) -> list[Path]:
    """Both files, from the results; the paths that were written."""
    found = json.loads(results.read_text(encoding="utf-8"))
    page.write_text(page_of(found), encoding="utf-8")
    _draw(found, picture)
    return [page, picture]


def page_of(results: dict[str, Any]) -> str:
    """The page's text, in Markdown."""
    setting = results["setting"]
    runs = max(len(entry["runs"]) for entry in results["detectors"].values())
    return f"""# Scoreboard

Made by `python -m benchmarks.detectors` from [its results](../benchmarks/results/detectors.json), not by hand.

The four small detectors of the course, from fresh weights, by one engine: {setting["seconds"]:g} seconds of training on {setting["threads"]} CPU cores, {setting["pictures"]:,} painted pictures ({setting["data"]}) of {setting["side"]} × {setting["side"]} pixels, {setting["evaluated"]} others to evaluate on. The median of {runs} seeds, and the lowest and the highest AP. torch {setting["torch"]}.

{table(results)}
![AP over speed, and AP by the size of the objects](scoreboard.png)

Multiply-adds are of one picture, images a second of batches of 16. Small objects are below 32 × 32 pixels, medium ones below 96 × 96.

**Read it with care.** The pictures are easy and the time is short: who learns fast is ahead here, not who is best in the end. Each detector has the learning rate that suits it, but none was tuned as long as the papers' were.

## What the papers report

COCO's photographs, full-size networks, days of training on several GPUs:

{PUBLISHED}
"""


def table(results: dict[str, Any]) -> str:
    """The measured numbers as a table in Markdown."""
    lines = [
        "| detector | lesson | AP | lowest to highest | AP50 | AP75 | AP small | AP medium "
        "| parameters | multiply-adds | images/s learning | images/s detecting |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, entry in results["detectors"].items():
        aps = [run["AP"] for run in entry["runs"].values()]
        numbers = [f"{_median(entry, key):.2f}" for key in ("AP50", "AP75", "APs", "APm")]
        lines.append(
            f"| {TITLES[name]} | {LESSONS[name]} | **{statistics.median(aps):.3f}** "
            f"| {min(aps):.3f} to {max(aps):.3f} | {' | '.join(numbers)} "
            f"| {entry['params'] / 1e6:.2f} M | {entry['multiply_adds'] / 1e6:,.0f} M "
            f"| {_median(entry, 'images_per_second'):.0f} "
            f"| {_median(entry, 'detections_per_second'):.0f} |"
        )
    return "\n".join(lines) + "\n"


def lesson_table(results: dict[str, Any]) -> str:
    """The short table at the end of lesson 10, as comments of its source."""
    lines = ["# | | lesson | AP | lowest to highest | AP50 | small | medium | weights | images/s |"]
    lines.append("# |---|---|---|---|---|---|---|---|---|")
    for name, entry in results["detectors"].items():
        aps = [run["AP"] for run in entry["runs"].values()]
        numbers = [f"{_median(entry, key):.2f}" for key in ("AP50", "APs", "APm")]
        lines.append(
            f"# | {TITLES[name]} | {LESSONS[name]} | **{statistics.median(aps):.2f}** "
            f"| {min(aps):.2f} to {max(aps):.2f} | {' | '.join(numbers)} "
            f"| {entry['params'] / 1e6:.1f} M | {_median(entry, 'detections_per_second'):.0f} |"
        )
    return "\n".join(lines)


def _median(entry: dict[str, Any], key: str) -> float:
    return statistics.median(run[key] for run in entry["runs"].values())


def _draw(results: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    from course_lib import draw

    detectors = results["detectors"]
    colors = [draw.PALETTE[k] for k in range(len(detectors))]
    fig = Figure(figsize=(10, 3.8), layout="constrained")
    speed, sizes = fig.subplots(1, 2)
    for (name, entry), color in zip(detectors.items(), colors, strict=True):
        aps = [run["AP"] for run in entry["runs"].values()]
        rate, ap = _median(entry, "detections_per_second"), statistics.median(aps)
        speed.errorbar([rate], [ap], [[ap - min(aps)], [max(aps) - ap]], fmt="o", ms=9, capsize=4,
                       color=color)  # fmt: skip
        speed.annotate(TITLES[name], (rate, ap), (9, 6), textcoords="offset points")
    speed.set(xlabel="images a second, detecting", ylabel="AP")
    speed.set_title("quality and speed (bar: lowest to highest seed)", fontsize=10)
    speed.margins(x=0.3, y=0.2)
    speed.set_xlim(left=0)
    for k, ((name, entry), color) in enumerate(zip(detectors.items(), colors, strict=True)):
        values = [_median(entry, key) for key in ("APs", "APm")]
        places = [x + 0.2 * (k - (len(detectors) - 1) / 2) for x in range(2)]
        bars = sizes.bar(places, values, width=0.18, color=color, label=TITLES[name])
        sizes.bar_label(bars, fmt="%.2f", fontsize=8)
    sizes.set(xticks=range(2), xticklabels=["small objects", "medium objects"], ylim=(0, 1))
    sizes.set_title("AP by size", fontsize=10)
    sizes.legend(frameon=False, ncols=2, fontsize=9)
    for ax in (speed, sizes):
        ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=130, metadata={"Software": None})
