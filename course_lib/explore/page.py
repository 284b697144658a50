"""Explorers in a page of their own: one file, alive without Python and without a network."""

import copy
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import anywidget

from course_lib.explore._link import FOLDER

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
NO_SCRIPT = "This figure needs JavaScript."


def embed(states: Iterable[dict[str, Any]]) -> list[str]:
    """HTML for each widget state (`widget.get_state()`): together they make the figures alive.

    A module or style that several of them share is written once, with the first.
    """
    known: set[str] = set()
    pieces = []
    for state in states:
        piece = ""
        for key, tag in (("_css", "style"), ("_esm", 'script type="text/plain"')):
            text = state.get(key, "")
            if text not in known:
                known.add(text)
                piece += f'<{tag} id="{_name(text)}">{_inside(text)}</{tag.split()[0]}>\n'
        values = {k: v for k, v in state.items() if not k.startswith("_") and not _reference(v)}
        data = json.dumps({"module": _name(state["_esm"]), "state": values}, ensure_ascii=False)
        piece += f"<div>{NO_SCRIPT}</div>"
        piece += f'<script type="application/json" class="odx-data">{_inside(data)}</script>\n'
        pieces.append(piece)
    if pieces:  # a module runs when the whole page is there
        script = (FOLDER / "page.js").read_text(encoding="utf-8")
        pieces[-1] += f'<script type="module">\n{script}</script>\n'
    return pieces


def page(title: str, widgets: Sequence[anywidget.AnyWidget]) -> str:
    """A page of explorers; each brings its `title` and a `lead` of a few sentences."""
    figures = embed(widget.get_state() for widget in widgets)
    body = ""
    for widget, figure in zip(widgets, figures, strict=True):
        heading, lead = getattr(widget, "title", ""), getattr(widget, "lead", "")
        if heading != title:
            body += f"<h2>{html.escape(heading)}</h2>\n"
        body += f"<p>{html.escape(lead)}</p>\n{figure}"
    return PAGE.format(title=html.escape(title), body=body)


Notebook = Any  # nbformat.NotebookNode: nbformat takes a second to import, in every lesson


def alive(notebook: Notebook) -> Notebook:
    """A copy of an executed notebook whose explorers live on in an exported page.

    nbconvert would fetch a widget manager from the network for them. Other widgets stay as they
    are.
    """
    notebook = copy.deepcopy(notebook)
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            model = states.get(output.get("data", {}).get(VIEW, {}).get("model_id"))
            if model and model["model_module"] == "anywidget":
                shown.append((output, model["state"]))
    for (output, _), piece in zip(shown, embed(state for _, state in shown), strict=True):
        output.data = type(output)({"text/html": piece})
    if not any(VIEW in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])):
        notebook.metadata.pop("widgets", None)
    return notebook


def save(widget: anywidget.AnyWidget, file: str | Path) -> Path:
    """Write one explorer, as it stands now, as a page that opens in any browser."""
    file = Path(file)
    text = page(getattr(widget, "title", type(widget).__name__), [widget])
    file.write_text(text, encoding="utf-8")
    return file


def _name(text: str) -> str:
    return "odx-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _inside(text: str) -> str:
    """The text of a script or style, which ends at the first closing tag."""
    return text.replace("</s", "<\\/s")


def _reference(value: Any) -> bool:
    """Is it another widget (the layout, for example)?"""
    return isinstance(value, str) and value.startswith("IPY_MODEL_")


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; padding: 12px 16px 48px; max-width: 1080px; background: #ffffff;
  color: #1f1f1f; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }}
h1 {{ font-size: 26px; margin: 8px 0; }}
h2 {{ font-size: 20px; margin: 32px 0 0; }}
p {{ margin: 4px 0; max-width: 46em; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111418; color: #e8e8e8; }} }}
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
