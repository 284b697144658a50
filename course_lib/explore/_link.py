"""Several ES modules as one text, because an anywidget is given one."""

import re
from functools import cache
from pathlib import Path

from matplotlib.colors import to_hex

from course_lib import draw
from course_lib._tags import tag_colors

FOLDER = Path(__file__).with_name("js")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|function|class)", re.MULTILINE)
DEFAULT = re.compile(r"^export default [^;]*;\n", re.MULTILINE)
SHEETS = ("look", "regions", "grids", "points")
COLORS = {
    "truth": draw.TRUTH, "prediction": draw.PREDICTION, "overlap": draw.OVERLAP,
    "union": draw.UNION, "enclosing": draw.ENCLOSING, "anchor": draw.ANCHOR,
    "ignored": draw.IGNORED,
}  # fmt: skip


@cache
def module(name: str) -> str:
    """`js/<name>.js` with all that it imports before it: no import is left, one default export.

    Only what imports look like here is understood: `import { a, b } from "./other.js";`, and no
    name may be declared at the top of two modules (a browser would refuse it).
    """
    texts: dict[str, str] = {}
    _collect(name, texts)
    parts = [f"// --- {part}.js\n\n{text.strip()}\n" for part, text in texts.items()]
    return "\n".join(parts)


def _collect(name: str, texts: dict[str, str], entry: bool = True) -> None:
    text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    for other in IMPORT.findall(text):
        if other not in texts:
            _collect(other, texts, entry=False)
    text = EXPORT.sub("", IMPORT.sub("", text))
    texts[name] = text if entry else DEFAULT.sub("", text)


@cache
def look() -> str:
    """The style sheet, with the course's colours in it."""
    colors = ""
    for name, color in COLORS.items():
        back, ink = tag_colors(color)
        colors += f"  --odx-{name}: {color};\n"
        colors += f"  --odx-{name}-tag: {to_hex(back)};\n  --odx-{name}-ink: {ink};\n"
    sheets = [(FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in SHEETS]
    return f".odx {{\n{colors}}}\n" + "\n".join(sheets)
