"""A page that shows what is in a dataset: one file, no script, nothing from the network."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image
from torch import Tensor

from course_lib import draw
from course_lib.data.readers.problems import KINDS, Report
from course_lib.data.summary import DatasetSummary
from course_lib.data.targets import Target

BINS = 24  # of a histogram
WIDTH = 320  # px of the widest picture on the sheet, in the file
COLORS = {"small": draw.ANCHOR, "medium": draw.UNION, "large": draw.OVERLAP}


def dataset_page(dataset: Any, summary: DatasetSummary, *, pictures: int = 24) -> str:
    """The page as HTML: classes, sizes, shapes, objects in a picture, problems, a contact sheet."""
    facts = [
        ("pictures", f"{summary.images:,}"),
        ("objects", f"{summary.objects:,}"),
        ("classes", f"{len(summary.classes)}"),
        ("crowds", f"{summary.crowds:,}"),
        ("empty pictures", f"{summary.per_image[0]:,}"),
        ("picture size", _picture_sizes(summary)),
    ]
    body = '<dl class="facts">' + "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts
    )
    body += "</dl>"
    if summary.report is not None:
        body += _problems(summary.report)
    colors = {name: _color(k) for k, name in enumerate(summary.classes)}
    body += '<div class="charts">'
    body += _card("Classes", _rows(summary.per_class, colors, summary.images_per_class))
    if summary.objects:
        body += _card("Size", _sizes(summary))
        body += _card("Objects in a picture", _per_image(summary))
        body += _card("Width over height", _ratios(summary))
    body += "</div>"
    body += _sheet(dataset, summary, pictures)
    return PAGE.format(title=html.escape(summary.name), body=body)


def _picture_sizes(summary: DatasetSummary) -> str:
    sizes = summary.picture_sizes
    if len(sizes) == 1:
        ((H, W),) = sizes
        return f"{W} × {H}"
    if not sizes:
        return "none"
    heights, widths = zip(*sizes, strict=True)
    return f"{min(widths)}–{max(widths)} × {min(heights)}–{max(heights)}"


# --- charts --------------------------------------------------------------------------------------


def _card(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _rows(
    counts: Mapping[str, int], colors: Mapping[str, str], images: Mapping[str, int] | None = None
) -> str:
    """A bar for each name, as a table that can be read aloud."""
    most = max([1, *counts.values()])
    rows = ""
    for name, n in counts.items():
        also = "" if images is None else f" in {images[name]:,} pictures"
        rows += (
            f'<tr><th scope="row">{html.escape(name)}</th>'
            f'<td class="n">{n:,}</td><td class="bar" title="{n:,}{also}">'
            f'<i style="width:{100 * n / most:.1f}%;background:{colors[name]}"></i></td></tr>'
        )
    return f"<table>{rows}</table>"


def _sizes(summary: DatasetSummary) -> str:
    """Square roots of areas on a logarithmic axis, and how many are small, medium, large."""
    side = np.sqrt(summary.area[summary.area > 0])
    if len(side) == 0:
        return "<p>No object has an area.</p>"
    low, high = np.log2(side.min()), np.log2(side.max())
    edges = 2 ** np.linspace(low, max(high, low + 0.5), BINS + 1)
    counts = np.histogram(side, edges)[0]
    middle = np.sqrt(edges[:-1] * edges[1:])
    kinds = ["small" if m < 32 else "medium" if m <= 96 else "large" for m in middle]
    ticks = [t for t in (4, 8, 16, 32, 64, 96, 128, 256, 512, 1024) if edges[0] <= t <= edges[-1]]
    chart = _histogram(counts, [COLORS[kind] for kind in kinds], ticks, np.log2(edges), np.log2)
    return chart + "<p>√area in pixels</p>" + _rows(summary.sizes, COLORS)


def _ratios(summary: DatasetSummary) -> str:
    ratios = summary.aspect_ratios
    reach = max(1.0, float(np.abs(np.log2(ratios)).max())) if len(ratios) else 1.0
    reach = min(reach, 4.0)
    edges = np.linspace(-reach, reach, BINS + 1)
    counts = np.histogram(np.log2(ratios).clip(-reach, reach), edges)[0]
    ticks = [t for t in (0.125, 0.25, 0.5, 1, 2, 4, 8) if -reach <= np.log2(t) <= reach]
    chart = _histogram(counts, [draw.TRUTH] * BINS, ticks, edges, np.log2)
    return chart + "<p>narrow and tall on the left, wide and low on the right</p>"


def _per_image(summary: DatasetSummary) -> str:
    counts = summary.per_image
    most = max(counts)
    step = -(-(most + 1) // BINS)
    bars = np.zeros(-(-(most + 1) // step), dtype=np.int64)
    for n, images in counts.items():
        bars[n // step] += images
    edges = np.arange(len(bars) + 1) * float(step) - 0.5
    every = max(1, -(-(most + 1) // 8))
    ticks = list(range(0, most + 1, every))
    chart = _histogram(bars, [draw.TRUTH] * len(bars), ticks, edges, np.asarray)
    mean = summary.objects / max(summary.images, 1)
    return chart + f"<p>{mean:.1f} on average, {most} at most</p>"


def _histogram(
    counts: np.ndarray,
    colors: Sequence[str],
    ticks: Sequence[float | int],
    edges: Float64[np.ndarray, " n"],
    place: Any,
) -> str:
    """Columns over an axis; `place` takes a tick to the edges' scale."""
    wide, high, foot = 320, 120, 18
    most = max(1, int(counts.max()))
    span = float(edges[-1] - edges[0])
    bars, words = "", ""
    for n, color, left, right in zip(counts.tolist(), colors, edges[:-1], edges[1:], strict=True):
        x1, x2 = (wide * float(edge - edges[0]) / span for edge in (left, right))
        h = high * n / most
        bars += (
            f'<rect x="{x1 + 0.75:.1f}" y="{high - h:.1f}" width="{max(x2 - x1 - 1.5, 0.5):.1f}" '
            f'height="{h:.1f}" fill="{color}"><title>{n:,}</title></rect>'
        )
    for tick in ticks:
        x = wide * float(place(tick) - edges[0]) / span
        anchor = "start" if x < 8 else "end" if x > wide - 8 else "middle"
        words += f'<text x="{x:.1f}" y="{high + foot - 4}" text-anchor="{anchor}">{tick:g}</text>'
    label = f"Histogram, {int(counts.sum()):,} in all, highest column {most:,}."
    axis = f'<line x1="0" x2="{wide}" y1="{high}" y2="{high}"/>'
    return (
        f'<svg class="chart" viewBox="0 -2 {wide} {high + foot + 2}" role="img" '
        f'aria-label="{label}">{bars}{axis}{words}</svg>'
    )


# --- problems ------------------------------------------------------------------------------------


def _problems(report: Report) -> str:
    if not report.problems:
        return '<p class="good">Read without a problem.</p>'
    rows = "".join(
        f"<tr><th scope='row'>{kind}</th><td class='n'>{n:,}</td><td>{KINDS[kind]}</td></tr>"
        for kind, n in report.counts.items()
    )
    lines = "".join(
        f"<li><code>{html.escape(PurePath(problem.file).name)}</code> {html.escape(problem.where)} "
        f"{html.escape(problem.message)} <small>{problem.action}</small></li>"
        for problem in report.problems[:200]
    )
    more = len(report.problems) - 200
    if more > 0:
        lines += f"<li>… and {more:,} more</li>"
    return (
        f'<section class="problems"><h2>{len(report.problems):,} problems</h2><table>{rows}</table>'
        f"<details><summary>each of them</summary><ul>{lines}</ul></details></section>"
    )


# --- the contact sheet ---------------------------------------------------------------------------


def _sheet(dataset: Any, summary: DatasetSummary, pictures: int) -> str:
    n = min(pictures, summary.images)
    if not n:
        return ""
    figures = ""
    for i in range(n):
        try:
            image, target = dataset[i]
        except ValueError as error:  # a file that broke since, or whose head alone is whole
            figures += f"<figure><p>{html.escape(str(error))}</p></figure>"
            continue
        figures += _picture(i, image, target, summary.classes)
    switches, rules = "", ""
    for k, name in enumerate(summary.classes[:64]):
        switches += (
            f'<label style="--color:{_color(k)}"><input type="checkbox" id="class{k}" checked>'
            f"{html.escape(name)}</label>"
        )
        rules += f"body:has(#class{k}:not(:checked)) .class{k}{{display:none}}"
    return (
        f'<h2>The first {n} pictures</h2><style>{rules}</style><div class="switches">{switches}'
        f'</div><div class="sheet">{figures}</div>'
    )


def _picture(
    i: int, image: UInt8[Tensor, "3 H W"], target: Target, classes: tuple[str, ...]
) -> str:
    H, W = int(image.shape[1]), int(image.shape[2])
    crowd = target.get("iscrowd", [0] * len(target["labels"]))
    boxes, counts = "", dict.fromkeys(classes, 0)
    for (x1, y1, x2, y2), k, many in zip(
        target["boxes"].tolist(), target["labels"].tolist(), crowd, strict=True
    ):
        counts[classes[k]] += 1
        name = html.escape(classes[k]) + (" (crowd)" if many else "")
        place = f'x="{x1:g}" y="{y1:g}" width="{x2 - x1:g}" height="{y2 - y1:g}"'
        dashes = ' stroke-dasharray="4 3"' if many else ""
        boxes += (
            f'<g class="class{k}"><rect class="case" {place}/><rect {place} '
            f'stroke="{_color(k)}"{dashes}><title>{name}</title></rect></g>'
        )
    words = ", ".join(f"{n} {html.escape(name)}" for name, n in counts.items() if n) or "nothing"
    return (
        f'<figure><svg viewBox="0 0 {W} {H}" role="img" aria-label="Picture {i}: {words}.">'
        f'<image href="{_data(image)}" width="{W}" height="{H}"/>{boxes}</svg>'
        f"<figcaption>{i}: {words}</figcaption></figure>"
    )


def _data(image: UInt8[Tensor, "3 H W"]) -> str:
    """A picture as the browser takes it: JPEG, made smaller if it is large."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    picture.thumbnail((2 * WIDTH, 2 * WIDTH))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=86, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _color(k: int) -> str:
    return draw.PALETTE[k % len(draw.PALETTE)]


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1f1f1f; --soft: #5c5c5c; --paper: #fff;
  --card: #f5f6f7; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8e8e8; --soft: #a9adb2; --paper: #111418; --card: #1b2026; }}
}}
body {{ margin: 0 auto; padding: 12px 16px 48px; max-width: 1160px; background: var(--paper);
  color: var(--ink); font: 16px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; }}
h1 {{ font-size: 28px; margin: 12px 0; overflow-wrap: anywhere; }}
h2 {{ font-size: 18px; margin: 28px 0 8px; }}
section h2 {{ margin: 0 0 8px; }}
p {{ margin: 4px 0 8px; color: var(--soft); }}
section, .facts div {{ background: var(--card); border-radius: 10px; padding: 12px 16px; }}
.facts {{ display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 16px; }}
.facts div {{ flex: 1 1 auto; }}
dt {{ color: var(--soft); font-size: 14px; }}
dd {{ margin: 0; font-size: 22px; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.charts {{ display: grid; gap: 12px; grid-template-columns: repeat(auto-fit,
  minmax(min(420px, 100%), 1fr)); }}
table {{ border-collapse: collapse; width: 100%; }}
th {{ text-align: left; font-weight: normal; padding: 2px 10px 2px 0; white-space: nowrap; }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; padding-right: 10px; }}
.bar {{ width: 99%; }}
.bar i {{ display: block; height: 12px; border-radius: 3px; min-width: 1px; }}
.chart {{ width: 100%; overflow: visible; }}
.chart text {{ font-size: 11px; fill: var(--soft); }}
.chart line {{ stroke: var(--soft); }}
.good {{ font-size: 15px; }}
.problems {{ border: 2px solid #d55e00; margin-bottom: 16px; }}
.problems td:last-child {{ color: var(--soft); }}
.problems table {{ width: auto; }}
.problems ul {{ margin: 8px 0; padding-left: 20px; max-height: 320px; overflow: auto; }}
.problems small {{ border: 1px solid var(--soft); border-radius: 4px; padding: 0 4px; }}
summary {{ cursor: pointer; margin-top: 8px; }}
.switches {{ display: flex; flex-wrap: wrap; gap: 6px 16px; margin-bottom: 12px; }}
.switches label {{ border-bottom: 3px solid var(--color); padding-bottom: 2px; }}
.sheet {{ display: grid; gap: 14px; grid-template-columns: repeat(auto-fill,
  minmax(min(200px, 45%), 1fr));
  align-items: start; }}
figure {{ margin: 0; }}
figure svg {{ width: 100%; display: block; border-radius: 4px; }}
figure rect {{ fill: none; stroke-width: 2; vector-effect: non-scaling-stroke;
  pointer-events: all; }}
figure rect.case {{ stroke: #0008; stroke-width: 3.5; }}
figure g:hover rect {{ fill: #ffffff40; }}
figcaption {{ font-size: 13px; color: var(--soft); margin-top: 3px; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
