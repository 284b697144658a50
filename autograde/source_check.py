"""Read a student's code without running it: does it call the answer, is it somebody else's?

What is found here is refused (a call of the reference) or flagged for a person (a near copy).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from nbformat import NotebookNode

CLOSED = ("course_lib", "torchvision")
OPEN = ("course_lib.draw", "course_lib.explore")  # pictures are for everybody
HIDING = {
    *("exec", "eval", "__import__", "import_module", "getattr", "compile", "globals", "vars"),
    *("__dict__", "__code__", "__globals__", "modules", "FunctionType", "attrgetter"),
}


def parse(code: str) -> ast.Module | None:
    """The syntax tree of a cell, with IPython's own lines blanked; None if it is no Python."""
    lines = ["pass" if re.match(r"\s*[%!?]", line) else line for line in code.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return None


def _bindings(trees: Iterable[ast.Module]) -> dict[str, list[ast.AST]]:
    """Every top-level name and the statements that bind it."""
    bound: dict[str, list[ast.AST]] = {}
    for tree in trees:
        for node in tree.body:
            names: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                names = [node.name]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.asname or a.name.split(".")[0] for a in node.names]
            else:
                names = [
                    n.id
                    for n in ast.walk(node)
                    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
                ]
            for name in names:
                bound.setdefault(name, []).append(node)
    return bound


def _closed(dotted: str) -> bool:
    return dotted.split(".")[0] in CLOSED and not dotted.startswith(OPEN)


def _private(dotted: str) -> bool:
    """A part of the library that is nobody's tool: the inside of a fast version, say."""
    parts = dotted.split(".")[1:]
    return parts[:1] == ["kernels"] or any(part.startswith("_") for part in parts)


def _names_library(node: ast.AST) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and len(text) < 200 and any(word in text for word in CLOSED)


def free_names(node: ast.AST) -> set[str]:
    """Names that a statement takes from outside: in a function, not its own locals."""
    loads = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return loads
    own = {a.arg for n in ast.walk(node) if isinstance(n, ast.arguments) for a in _arguments(n)}
    own |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not _loads(n)}
    return loads - own | {n for g in ast.walk(node) if isinstance(g, ast.Global) for n in g.names}


def _loads(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _arguments(node: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (node.vararg, node.kwarg) if a is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *extra]


def chain(node: ast.AST) -> str:
    """The dotted text of a name or of attributes of a name: "library.box_iou"; else ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def aliases_of(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """What the imports among these nodes bind: local name -> dotted name."""
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for a in node.names:
                top = a.name.split(".")[0]
                aliases[a.asname or top] = a.name if a.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for a in node.names:
                aliases[a.asname or a.name] = f"{node.module}.{a.name}"
    return aliases


def borrowed(
    cells: list[str], name: str, given: frozenset[str] = frozenset()
) -> tuple[list[str], list[str]]:
    """What the definition of `name` uses of the library, over all the cells that it reaches.

    given: cells that the instructor wrote; only their imports count.
    Returns (the library's own `name` or its private parts, where used; names that could hide such
    a use). Only what is used counts: an import elsewhere in the notebook is no crime, and the
    library's box_iou inside one's own generalized_box_iou is none either.
    """
    trees = []
    for code in cells:
        tree = parse(code)
        if tree is not None and code in given:
            tree.body = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        trees += [tree] if tree is not None else []
    bound = _bindings(trees)
    outer = aliases_of(n for nodes in bound.values() for n in nodes)
    todo, seen = [name], {name}
    library: set[str] = set()
    if name not in bound:  # then `from course_lib.boxes import *` may have brought it
        library |= {f"{m.removesuffix('.*')}.{name}" for m in outer.values() if m.endswith(".*")}
        library = {d for d in library if _closed(d)}
    hiding: set[str] = set()
    while todo:
        for node in bound.get(todo.pop(), []):
            inside = list(ast.walk(node))
            aliases = outer | aliases_of(inside)
            used = {c for n in inside if (c := chain(n))}
            used |= {a for n in inside for a in aliases_of([n]).values()}
            for text in used:
                root, _, rest = text.partition(".")
                full = ".".join(p for p in (aliases.get(root, root), rest) if p)
                last = full.rpartition(".")[2]
                if _closed(full) and (last in (name, "*") or _private(full)):
                    library.add(full)
            free = free_names(node)
            hiding |= (free & HIDING) - bound.keys()
            todo += free - seen
            seen |= free
            for n in inside:
                if isinstance(n, ast.Attribute) and n.attr in HIDING:
                    hiding.add(n.attr)
                elif _names_library(n):
                    hiding.add("library-name-in-text")
    return sorted(library), sorted(hiding)


MACHINERY = (
    *("handover", "hand_over", "snapshot", "AUTOGRADE_ROOM", "NBGRADER_EXECUTION"),
    *("setprofile", "settrace", "fork", "_exit", "input_transformers_post", "ast_transformers"),
    *("input_transformers_cleanup", "set_custom_exc", "showtraceback", "iopub_socket"),
    *("autograde.student", "_getframe", "get_objects"),
)


def tampering(cells: list[str], given: frozenset[str] = frozenset()) -> list[str]:
    """Names of the grading machinery that a student's cells mention; no solution needs them."""
    found: set[str] = set()
    for code in cells:
        if code in given:
            continue
        found |= {word for word in MACHINERY if re.search(rf"\b{re.escape(word)}\b", code)}
        tree = parse(code)
        if tree is not None and "check" in _bindings([tree]) and "import" not in code:
            found.add("check")
    return sorted(found)


def definition(cells: list[str], name: str) -> str:
    """The source of the last definition of `name`, without its docstring; "" if there is none."""
    for code in reversed(cells):
        tree = parse(code)
        for node in reversed(tree.body if tree else []):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                body = node.body
                is_doc = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
                if is_doc and len(body) > 1:
                    node.body = body[1:]
                return ast.unparse(node)
    return ""


def definitions(notebook: NotebookNode, names: Iterable[str]) -> dict[str, str]:
    """Of these names, those that a notebook defines, each with its `definition`."""
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    return {name: text for name in names if (text := definition(code, name))}
