"""What a submitted notebook may contain, and putting back what it should.

Points, ids and check cells always come from the instructor's source notebook; a student's file
only contributes the content of cells. Pure functions: no files, no database.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

CHECK = "check_"  # the grade_id of the cell that checks exercise X is check_X


def grade_id(cell: NotebookNode) -> str | None:
    """The nbgrader id of a cell, or None; whatever its metadata look like."""
    info = cell.get("metadata", {}).get("nbgrader")
    name = info.get("grade_id") if isinstance(info, dict) else None
    return name if isinstance(name, str) else None


def checked_exercise(cell: NotebookNode) -> str | None:
    """The exercise that a graded check cell checks, or None for any other cell."""
    name = grade_id(cell)
    if name and name.startswith(CHECK) and cell["metadata"]["nbgrader"].get("grade"):
        return name.removeprefix(CHECK)
    return None


def restore(submitted: NotebookNode, source: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The submission with every given graded cell as the instructor wrote it, and what was odd.

    Check cells are replaced by the source's, the missing put back after their solution cell,
    doubles reduced to the last one. Solution cells keep the student's code and get the source's
    metadata. All other metadata, outputs and attachments go.
    """
    official = {name: c for c in source.cells if (name := grade_id(c))}
    cells, flags = _plain_cells(submitted)
    last = {name: k for k, (cell, name) in enumerate(cells) if name in official}
    restored: list[NotebookNode] = []
    for k, (cell, name) in enumerate(cells):
        if name is None or name not in official:
            restored.append(cell)
            continue
        if last[name] != k:
            flags.append(f"double-cell:{name}")
            if not checked_exercise(official[name]):
                restored.append(cell)  # the code of a doubled solution cell still runs
            continue
        given = copy.deepcopy(official[name])
        if given.metadata.nbgrader.get("solution"):
            if cell.cell_type != given.cell_type:
                flags.append(f"cell-type-changed:{name}")
            given.source = cell.source
        elif (cell.source, cell.cell_type) != (given.source, given.cell_type):
            flags.append(f"cell-changed:{name}")
        given.id = cell.id
        restored.append(given)
    _put_back(restored, source, flags)
    for cell in restored:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook = copy.deepcopy(source)
    notebook.cells = _with_ids(restored)
    return notebook, flags


def _plain_cells(
    submitted: NotebookNode,
) -> tuple[list[tuple[NotebookNode, str | None]], list[str]]:
    """Each cell made anew from its type and text alone, with the id that it claims."""
    flags: list[str] = []
    cells = []
    for cell in submitted.cells:
        text = cell.get("source", "")
        text = "".join(map(str, text)) if isinstance(text, list) else str(text)
        make = new_code_cell if cell.get("cell_type") == "code" else new_markdown_cell
        plain = make(text)
        claimed = str(cell.get("id", ""))
        plain.id = claimed if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", claimed) else "x"
        cells.append((plain, grade_id(cell)))
    kernel = submitted.get("metadata", {}).get("kernelspec", {})
    language = kernel.get("language") if isinstance(kernel, dict) else None
    if isinstance(language, str) and language.lower() != "python":
        flags.append(f"language:{re.sub('[^A-Za-z0-9+#]', '', language)[:20]}")
    return cells, flags


def _put_back(cells: list[NotebookNode], source: NotebookNode, flags: list[str]) -> None:
    """Insert missing check cells after the cell that goes before them in the source."""
    order = [name for c in source.cells if (name := grade_id(c))]
    for name in order:
        given = next(c for c in source.cells if grade_id(c) == name)
        present = {grade_id(c): i for i, c in enumerate(cells)}
        if given.metadata.nbgrader.get("solution") or name in present:
            continue
        # Where its solution cell is gone, too, the end of the notebook is the safe place:
        # whatever the student wrote has run by then.
        solution = present.get(name.removeprefix(CHECK))
        position = len(cells) if solution is None else solution + 1
        cells.insert(position, copy.deepcopy(given))
        flags.append(f"cell-restored:{name}")


def _with_ids(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The same cells with ids that are valid and unique."""
    seen: set[str] = set()
    for k, cell in enumerate(cells):
        if cell.id in seen or cell.id == "x":
            cell.id = f"cell-{k}"
        seen.add(cell.id)
    return cells


# ---------------------------------------------------------------- what a marker's browser sees

_STYLES = CSSSanitizer(
    allowed_css_properties=[
        *("border", "border-collapse", "border-left", "border-radius", "color"),
        *("font-family", "font-size", "font-weight", "line-height", "margin", "max-width"),
        *("padding", "text-align", "vertical-align", "width", "height", "background-color"),
    ]
)
_TAGS = {
    *("a", "b", "br", "caption", "code", "div", "em", "figcaption", "figure", "h1", "h2", "h3"),
    *("h4", "hr", "i", "img", "li", "ol", "p", "pre", "small", "span", "strong", "sub", "sup"),
    *("table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
}


def _safe_attribute(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return bool(re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]*$", value))
    return name in ("alt", "style", "width", "height", "colspan", "rowspan", "role", "scope")


def clean_html(text: str) -> str:
    """HTML without script, links, forms, or pictures from elsewhere."""
    return bleach.clean(
        text,
        tags=_TAGS,
        attributes=_safe_attribute,
        protocols={"data"},
        css_sanitizer=_STYLES,
        strip=True,
    )


def clean_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs reduced to text, PNG and JPEG pictures, and cleaned HTML."""
    kept = []
    for output in outputs:
        if output.output_type in ("stream", "error"):
            kept.append(output)
            continue
        data: dict[str, Any] = output.get("data", {})
        safe = {k: v for k, v in data.items() if k in ("text/plain", "image/png", "image/jpeg")}
        if isinstance(data.get("text/html"), str):
            safe["text/html"] = clean_html(data["text/html"])
        if safe:
            # execute_result would be read as points by nbgrader: nothing of a student's may be.
            kept.append(NotebookNode(output_type="display_data", data=safe, metadata={}))
    return kept


def clean_markdown(cell: NotebookNode, source: NotebookNode) -> None:
    """Take raw HTML out of a markdown cell, unless the text is the instructor's own."""
    if cell.source not in {c.source for c in source.cells if c.cell_type == "markdown"}:
        text = bleach.clean(cell.source, tags=set())
        text = re.sub(r"&(?!(?:lt|gt|amp);)", "&amp;", text)  # entities could spell a scheme
        text = re.sub(r"&amp;(?=[#\w]+;)", "& ", text)
        text = re.sub(r"!+\[", "[", text)  # a picture would be fetched from elsewhere
        cell.source = re.sub(r"(?i)(javascript|vbscript|data)\\*:", r"\1 :", text)
