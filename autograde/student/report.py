"""Say what a check found: as plain text, and as HTML with a picture of the case that failed."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

import torch

from autograde.student.compare import Difference, show_value
from autograde.student.marking import CaseMark, Marks, Sheet
from autograde.student.pictures import PAIRED, draw_case
from autograde.student.plain import PlainError, unpack

Examples = list[tuple[str, str]]  # what an input is called, and its value as text


def describe_inputs(
    case: dict[str, Any], difference: Difference, picture: str = "boxes"
) -> Examples:
    """The inputs of a failed case; where one number of the answer is wrong, only what made it.

    picture: of the exercise. It tells whether an answer's rows belong to the inputs' rows.
    """
    try:
        inputs = unpack(case["inputs"])
    except PlainError:
        return []
    where, names = difference.where or (), case["names"]
    if picture and picture not in PAIRED:
        where = ()
    focus = [x for x in inputs if torch.is_tensor(x) and x.ndim >= 2]
    examples: Examples = []
    axis = 0
    for name, value in zip(names, inputs, strict=False):
        if torch.is_tensor(value) and value.ndim == 4:  # [B, C, H, W]: the answer's rows are boxes
            examples.append((name, _maps_text(value)))
            continue
        if torch.is_tensor(value) and value.ndim >= 2 and where and len(value):
            # [N, M] answers take row n from the first and m from the second; [N] or [N, 4]
            # answers take row n from both.
            pairwise = len(focus) == 2 and len(where) == 2
            k = where[axis] if pairwise else where[0]
            axis += 1
            if k < len(value):
                examples.append((f"{name}[{k}]", _row_text(value[k])))
                continue
        examples.append((name, show_value(value)))
    place = difference.where or ()
    if place and (not where or len(place) > 2) and not difference.expected.endswith("]"):
        examples.append(("place in the answer", str(list(place))))
    return examples


def _row_text(row: torch.Tensor) -> str:
    """One row of an input: a large mask by its size, all else as every value."""
    if row.numel() > 24 and row.ndim == 2 and row.dtype in (torch.bool, torch.uint8):
        return f"{row.shape[0]}×{row.shape[1]} mask with {int(row.sum())} pixels set"
    return show_value(row)


def _maps_text(maps: torch.Tensor) -> str:
    """Feature maps [B, C, H, W]: their sizes, and the numbers where one small map is all."""

    def count(n: int, thing: str) -> str:
        return f"{n} {thing}{'' if n == 1 else 's'}"

    B, C, H, W = maps.shape
    sizes = f"{count(C, 'channel')}, {count(H, 'row')}, {count(W, 'column')}"
    text = f"a map of {sizes}" if B == 1 else f"{B} maps of {sizes} each"
    if B == C == 1 and maps.numel() <= 120:
        rows = ", ".join("[" + ", ".join(f"{x:.4g}" for x in r) + "]" for r in maps[0, 0].tolist())
        text += f": [{rows}]"
    return text


def _case_line(mark: CaseMark) -> str:
    d = mark.difference
    if d is None:
        return mark.probes
    values = f"expected {d.expected}   got {d.got}" if d.expected and d.got else ""
    return "   ".join(t for t in (mark.probes, values or d.says) if t)


def brief(cases: list[CaseMark]) -> list[CaseMark]:
    """The same, with an error's text only where it appears first."""
    seen: set[str] = set()
    short = []
    for mark in cases:
        d = mark.difference
        if d and d.kind == "error" and d.says in seen:
            mark = replace(mark, difference=replace(d, says="the same error"))
        elif d:
            seen.add(d.says)
        short.append(mark)
    return short


def by_probe(cases: list[CaseMark]) -> list[CaseMark]:
    """One mark for each thing probed: the first failed draw, or any where all passed."""
    first: dict[str, CaseMark] = {}
    for mark in cases:
        if mark.probes not in first or (first[mark.probes].passed and not mark.passed):
            first[mark.probes] = mark
    return list(first.values())


def headline(name: str, marks: Marks) -> str:
    """✓ box_iou: all 7 cases right"""
    cases = [c for c in by_probe(marks.cases) if not c.advice]
    right = sum(c.passed for c in cases)
    match marks.status:
        case "passed":
            return f"✓ {name}: all {len(cases)} cases right"
        case "not attempted":
            return f"○ {name}: not attempted yet"
        case "refused":
            return f"✗ {name}: refused, it calls {', '.join(marks.library)}"
        case _:
            return f"✗ {name}: {right} of {len(cases)} cases right"


def advice(name: str, marks: Marks, hints: int) -> list[str]:
    """What to do next, a line each."""
    if marks.status == "passed":
        return [f"→ {d}" for d in marks.diagnoses]
    if marks.status == "not attempted":
        return ["Replace the line `raise NotImplementedError` with your code, then run this again."]
    if marks.status == "refused":
        return ["This exercise asks you to write it yourself, so the library's version is closed."]
    lines = [f"→ {d}" for d in marks.diagnoses]
    if any(m.core and not m.passed for m in marks.cases):
        lines.append("A case marked * is the heart of the exercise: it earns nothing without it.")
    if hints:
        lines.append(f'`hint("{name}")` opens the first of {hints} hints.')
    return lines


def text_report(sheet: Sheet, marks: Marks) -> str:
    """The report of a public check in plain text."""
    name = sheet["name"]
    lines = [headline(name, marks)]
    if marks.status not in ("not attempted", "refused"):
        for mark in brief(by_probe(marks.cases)):
            star = " *" if mark.core and not mark.passed else ""
            lines.append(f"  {mark.sign} {_case_line(mark)}{star}")
            if mark.difference and _is_shown(mark, marks):
                examples = describe_inputs(
                    sheet["cases"][mark.index], mark.difference, sheet.get("picture", "")
                )
                lines += [f"      {n} = {v}" for n, v in examples]
    lines += [f"  {line}" for line in advice(name, marks, len(sheet["hints"]))]
    return "\n".join(lines)


def _is_shown(mark: CaseMark, marks: Marks) -> bool:
    """Is this the failed case that is shown in full: the first, a core one if there is any?"""
    if not marks.failed:
        return False
    return mark.index == min((not m.core, m.index) for m in marks.failed)[1]


ROW = '<tr style="background-color:transparent">'  # JupyterLab would stripe it
COLOURS = {"✓": "#009E73", "✗": "#D55E00", "○": "#0072B2"}


def table_row(sign: str, cells: list[str]) -> str:
    """A row of a report's table: a coloured sign, then cells of ready HTML."""
    style = "padding:1px 14px 1px 0;text-align:left;vertical-align:top"
    head = f'<td style="{style};color:{COLOURS[sign]};font-weight:bold">{sign}</td>'
    rest = "".join(f'<td style="{style}">{cell}</td>' for cell in cells)
    return f"{ROW}{head}{rest}</tr>"


def html_page(title: str, rows: list[str], notes: list[str], picture: str = "") -> str:
    """The frame of every report: a coloured bar, a headline, what is wrong (notes that begin with
    an arrow) with its picture, the table of cases, the other notes."""
    colour = COLOURS.get(title[0], COLOURS["○"])
    arrows = [n for n in notes if n.startswith("→")]
    others = [n for n in notes if not n.startswith("→")]
    parts = [
        f'<div style="border-left:4px solid {colour};padding:2px 12px;margin:4px 0;'
        'line-height:1.5">',
        f"<div><b>{html.escape(title)}</b></div>",
        *(f'<div style="margin:3px 0">{_code(note)}</div>' for note in arrows),
        picture,
    ]
    if rows:
        table = "border-collapse:collapse;margin:4px 0;font-size:inherit"
        parts.append(f'<table style="{table}">{"".join(rows)}</table>')
    parts += [f'<div style="margin:3px 0">{_code(note)}</div>' for note in others]
    return "".join([*parts, "</div>"])


def _code(note: str) -> str:
    """Escape, and set `what stands in backticks` as code."""
    pieces = html.escape(note).split("`")
    return "".join(f"<code>{p}</code>" if k % 2 else p for k, p in enumerate(pieces))


def html_report(sheet: Sheet, marks: Marks) -> str:
    """The report of a public check as HTML."""
    rows, picture = [], ""
    if marks.status not in ("not attempted", "refused"):
        for mark in brief(by_probe(marks.cases)):
            d = mark.difference
            star = " <b>*</b>" if mark.core and d else ""
            cells = [html.escape(mark.probes) + star]
            if d and d.expected and d.got:
                cells += [
                    f"expected <b>{html.escape(d.expected)}</b>",
                    f"got <b>{html.escape(d.got)}</b>",
                ]
            elif d:
                cells.append(html.escape(d.says))
            rows.append(table_row(mark.sign, cells))
            if d and _is_shown(mark, marks):
                case = sheet["cases"][mark.index]
                given = "<br>".join(
                    f"<code>{html.escape(n)} = {html.escape(v)}</code>"
                    for n, v in describe_inputs(case, d, sheet.get("picture", ""))
                )
                cell = f'<td colspan="3" style="text-align:left;padding:0 0 3px 0">{given}</td>'
                rows.append(f"{ROW}<td></td>{cell}</tr>")
                picture = draw_case(sheet.get("picture", ""), case, d, mark.answer)
    notes = advice(sheet["name"], marks, len(sheet["hints"]))
    return html_page(headline(sheet["name"], marks), rows, notes, picture)
