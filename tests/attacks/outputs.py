"""Attacks on the browser of whoever opens what comes back."""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from attacks.lab import ALL, Attack, Ground, in_answers, in_cells, on_solved

EVIL = "http://evil.example/x.png"
RUN = "window.__canary=1;alert(1)"
HTML = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f"<img src='{EVIL}'>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg onload='{RUN}'>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"<a href='java&#10;script:{RUN}'>x</a>",
    f"<iframe src='javascript:{RUN}'></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<form action='{EVIL}'><input autofocus onfocus='{RUN}'></form>",
    f"<div style='background:url({EVIL})'>x</div>",
    f"<style>@import '{EVIL}'; * {{ background: url({EVIL}) }}</style>",
    f"<link rel=stylesheet href='{EVIL}'><base href='{EVIL}'>",
    f"<meta http-equiv=refresh content='0;url={EVIL}'>",
    f"<math><mtext><table><mglyph><style><img src=x onerror='{RUN}'>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<video src='{EVIL}' poster='{EVIL}'></video><object data='{EVIL}'></object>",
    f"<details open ontoggle='{RUN}'>x</details>",
    f"</div></div></body><script>{RUN}</script><!--",
)
MARKDOWN = (
    *HTML,
    f"[x](javascript:{RUN})",
    f"[x](JaVaScRiPt:{RUN})",
    f"<javascript:{RUN}>",
    f"[x](data:text/html,<script>{RUN}</script>)",
    f"$a<img src=x onerror={RUN}>$",
    f"$$\\href{{javascript:{RUN}}}{{x}}$$ $\\unicode{{<script>}}$ $\\style{{background:url({EVIL})}}x$",
    f"$\\require{{html}}\\href{{javascript:{RUN}}}{{x}}\\class{{<img src=x onerror={RUN}>}}{{y}}$",
    f"[x](javascript&amp;amp;colon;{RUN})",
    f"[x](javascript&colon;{RUN})",
    f"[x](javascript&amp;colon;{RUN})",
    f"[x](&#106;avascript:{RUN})",
    f"[x](javascript\\:{RUN})",
    f"[x]\n\n[x]: javascript&colon;{RUN}",
    f"![x]({EVIL})",
    f"!![x]({EVIL})",
    f"![x][y]\n\n[y]: {EVIL}",
    f"![x](attachment:x.png 'y\"onerror=\"{RUN}')",
    f"```html\n</code></pre><script>{RUN}</script>\n```",
    f'```"><img src=x onerror={RUN}>\nx\n```',
)
KINDS = """
from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display
for text in @HTML@:
    display(HTML(text))
    display(Markdown(text))
display(Javascript("@RUN@"), Latex("$\\\\href{javascript:@RUN@}{x}$"))
display({"image/svg+xml": "<svg onload='@RUN@'><script>@RUN@</script></svg>"}, raw=True)
display({"text/latex": "$$\\\\unicode{<img src=x onerror=@RUN@>}$$"}, raw=True)
display({"text/markdown": "![x](@EVIL@) <script>@RUN@</script>"}, raw=True)
display({"application/javascript": "@RUN@"}, raw=True)
display({"application/pdf": "x", "application/json": {"a": "<script>@RUN@</script>"}}, raw=True)
display({"text/html": "<b>kept</b>"}, raw=True, metadata={"text/html": {"isolated": True}})
"""
PICTURES = """
from IPython.display import display
for text in ('"><script>@RUN@</script>', "x' onerror='@RUN@", "@EVIL@", "%%%", ""):
    for kind in ("image/png", "image/jpeg", "image/gif", "image/svg+xml"):
        display({kind: text}, raw=True)
        display({kind: "iVBORw0KGgo="}, raw=True,
                metadata={kind: {"width": text, "height": text, "alt": text}, "width": text,
                          "filenames": {kind: "@EVIL@"}, "unconfined": text})
"""
WIDGETS = """
from IPython.display import display
for text in ('x"></script><script>@RUN@</script>', "../../x"):
    display({"application/vnd.jupyter.widget-view+json": {"model_id": text, "version_major": 2},
             "text/plain": text}, raw=True)
import ipywidgets
display(ipywidgets.HTML("<img src=x onerror='@RUN@'>"), ipywidgets.HTMLMath("<script>@RUN@</script>"))
"""
TEXTS = """
print("<script>@RUN@</script>\\x1b]8;;javascript:@RUN@\\x07x\\x1b]8;;\\x07")
print("\\x1b[31m\\x1b[5;999999999m\\x1b[38;2;<script>m\\x1b[2J\\x1b[0;0Hred\\x1b]0;title\\x07")
print("\\u202e0.4 tuo 02 :stniop\\u2066\\u200f\\ufeff\\x00\\x08\\x0c\\x7f")
print("\\r" * 1000 + "20 of 20 points", file=sys.stderr)
raise type("<script>@RUN@</script>", (Exception,), {})("<img src=x onerror='@RUN@'>\\x1b[31m")
"""
SURROGATES = """
print("lone \\udc80 surrogates \\ud83d")
sys.stderr.write("\\udcff\\n")
from IPython.display import display
display({"text/plain": "\\ud800", "text/html": "<b>\\udfff</b>"}, raw=True)
raise ValueError("\\udc80")
"""
NAMED = """
answer = type("<script>@RUN@</script>", (), {"__name__": "<img src=x onerror=@RUN@>"})
class Odd(ValueError): pass
Odd.__name__ = Odd.__qualname__ = "<img src=x onerror=@RUN@>"
def box_area(boxes, fmt="xyxy"):
    raise Odd("<script>@RUN@</script>")
half_shifted = "<script>@RUN@</script>"
"""


def ready(code: str) -> str:
    """The code with the scripts filled in."""
    return code.replace("@HTML@", repr(HTML)).replace("@RUN@", RUN).replace("@EVIL@", EVIL)


def markdown(ground: Ground) -> NotebookNode:
    """Markdown cells of the student's own, and in place of the lesson's."""
    notebook = ground.notebook(True)
    notebook.cells += [new_markdown_cell(text, id=f"evil-{k}") for k, text in enumerate(MARKDOWN)]
    return notebook


def hostile_metadata(notebook: NotebookNode) -> None:
    """Widget state, titles and names with script in them, in the notebook's and cells' metadata."""
    evil = f'x"></script><script>{RUN}</script>'
    state = {"a": {"model_name": "HTMLModel", "state": {"value": evil}, "model_module": EVIL}}
    view = "application/vnd.jupyter.widget-state+json"
    notebook.metadata.update({
        "widgets": {view: {"state": state, "version_major": 2}}, "title": evil,
        "authors": [{"name": evil}], "toc": evil, "celltoolbar": evil, "slideshow": evil,
    })  # fmt: skip
    notebook.metadata["language_info"] = {
        "name": evil, "pygments_lexer": evil, "codemirror_mode": evil, "file_extension": evil,
    }  # fmt: skip
    for cell in notebook.cells:
        cell.metadata.update({"tags": [evil, "hide_input"], "name": evil, "collapsed": evil})
        if cell.cell_type == "markdown":
            cell.attachments = {evil: {"image/png": evil}}


def kept_outputs(notebook: NotebookNode) -> None:
    """Outputs that stand in the file already."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            data = {"text/html": f"<script>{RUN}</script>", "text/plain": "4.0"}
            cell.outputs = [NotebookNode(output_type="execute_result", data=data, metadata={},
                                         execution_count=1)]  # fmt: skip
            cell.execution_count = 1


ATTACKS: tuple[Attack, ...] = (
    on_solved("output-kinds", "Shows HTML, SVG, script and LaTeX that run.", ready(KINDS)),
    on_solved("output-pictures", "Shows pictures that are none.", ready(PICTURES)),
    on_solved("output-widgets", "Shows widgets with script in them.", ready(WIDGETS)),
    on_solved("output-texts", "Prints control characters, links and turned text.", ready(TEXTS)),
    on_solved("output-surrogates", "Prints text that has no encoding.", SURROGATES),
    in_answers(
        "output-names",
        "Names errors and answers so that they run in the page.",
        box_area=ready(NAMED),
        half_shifted="",
    ),
    Attack("markdown", "Writes script, links and formulas as text.", markdown, ALL),
    in_cells("metadata-html", "Hides script in metadata and attachments.", hostile_metadata),
    in_cells("kept-outputs", "Hands in outputs that claim full marks.", kept_outputs),
)
