"""Which cells of a submission only show something, and need not run when it is graded.

The build tags the cells that only show (`build.to_notebook`). One that a student left as it was
is left out, unless something that the student wrote takes a name from it.
"""

from __future__ import annotations

import ast
import re
import symtable

from nbformat import NotebookNode

from autograde.source_check import parse

TAG = "demonstration"
# Who writes one of these may reach any name without naming it: then everything runs.
ANY_NAME = {
    *("globals", "locals", "vars", "eval", "exec", "compile", "getattr", "get_ipython", "dir"),
    *("__main__", "__builtins__", "__globals__", "__dict__", "modules", "user_ns", "_getframe"),
    *("In", "Out", "_", "__", "___", "inspect", "importlib", "__import__"),
}


def demonstrations(source: NotebookNode) -> set[str]:
    """The texts of the cells that the instructor's notebook tags as demonstrations."""
    cells = (c for c in source.cells if c.cell_type == "code")
    return {c.source for c in cells if TAG in c.metadata.get("tags", ())}


def left_out(notebook: NotebookNode, source: NotebookNode) -> set[int]:
    """The places of the cells in a restored submission that need not run."""
    shows = demonstrations(source)
    kept: set[int] = set()
    names: set[str] = set()
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source not in shows:
            used = names_used(cell.source)
            if used is None or used & ANY_NAME:
                return set()
            kept.add(k)
            names |= used
    rest = {
        k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code" and k not in kept
    }
    while needed := {k for k in rest if names & names_bound(notebook.cells[k].source)}:
        rest -= needed
        names |= {n for k in needed for n in names_used(notebook.cells[k].source) or ()}
    return rest


def _tables(code: str) -> list[symtable.SymbolTable] | None:
    """The symbol tables of a cell and of everything in it; None if it is no plain Python."""
    if re.search(r"^\s*[%!?]|\?\s*$", code, re.MULTILINE) or parse(code) is None:
        return None
    try:
        tables = [symtable.symtable(code, "cell", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return None
    for table in tables:  # grows while it is walked
        tables += table.get_children()
    return tables


def names_used(code: str) -> set[str] | None:
    """Names that a cell takes from the notebook; None where that cannot be told."""
    tables, tree = _tables(code), parse(code)
    if tables is None or tree is None:
        return None
    top, inner = tables[0], tables[1:]
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    used |= {s.get_name() for t in inner for s in t.get_symbols() if s.is_global()}
    # The words that reach any name count as attributes and in texts, too.
    used |= ANY_NAME & set(re.findall(r"[A-Za-z_]\w+", code))
    return used.union(*map(_changed, ast.walk(tree)))


def _changed(node: ast.AST) -> set[str]:
    """Names that must be there already for a statement to change or delete them."""
    targets: list[ast.expr] = [node.target] if isinstance(node, ast.AugAssign) else []
    targets += node.targets if isinstance(node, ast.Delete) else []
    return {t.id for t in targets if isinstance(t, ast.Name)}


def names_bound(code: str) -> set[str]:
    """Names that a cell gives to the notebook."""
    tables = _tables(code)
    if tables is None:
        return set()
    bound = {s.get_name() for s in tables[0].get_symbols() if s.is_assigned() or s.is_imported()}
    return bound | {
        s.get_name() for t in tables[1:] for s in t.get_symbols() if s.is_declared_global()
    }
