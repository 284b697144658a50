"""Points are for what stands in a definition: what else a notebook does must not matter.

Code that shares a process with the one who watches it can trick the watch. So where a notebook
holds anything that reaches deeper than a solution needs (processes, frames, files, IPython), its
exercises are run once more, each with nothing of the notebook but the statements that its
definition uses; and in those nothing deep may stand. What remains is what a person can read.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, replace

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograde.execution import execute
from autograde.judge import Verdict, judge
from autograde.sandbox import Limits
from autograde.source_check import aliases_of, chain, free_names, parse
from autograde.student.marking import Sheet

PLAIN_MODULES = {
    *("torch", "torchvision", "numpy", "math", "cmath", "matplotlib", "random", "time", "PIL"),
    *("itertools", "functools", "collections", "typing", "dataclasses", "copy", "warnings"),
    *("statistics", "fractions", "decimal", "numbers", "operator", "string", "re", "abc", "enum"),
    *("contextlib", "bisect", "heapq", "json", "textwrap", "__future__", "course_lib", "jaxtyping"),
    *("autograde", "datetime", "typing_extensions", "einops"),
}
DEEP_NAMES = {
    *("exec", "eval", "compile", "__import__", "globals", "locals", "vars", "open", "breakpoint"),
    *("get_ipython", "input", "__builtins__", "__loader__", "__spec__"),
}
# As attributes of anything: modules of Python's that others carry along, and ways to frames.
DEEP_ATTRIBUTES = {
    *("os", "sys", "gc", "ctypes", "inspect", "importlib", "subprocess", "multiprocessing"),
    *("threading", "builtins", "socket", "pickle", "marshal", "runpy", "pty", "posix", "fcntl"),
    *("mmap", "asyncio", "concurrent", "shutil", "pathlib", "io", "tempfile", "traceback"),
    *("atexit", "user_ns"),
    *("sysconfig", "weakref", "linecache", "pdb", "cffi", "ctypeslib", "f2py", "cpp_extension"),
    *("hub", "package", "ops", "f_back", "f_globals", "f_locals", "f_builtins", "gi_frame"),
    *("cr_frame", "ag_frame", "tb_frame", "attrgetter", "methodcaller"),
}
PLAIN_PARTS = ("sys.float_info", "sys.maxsize", "sys.version")
PLAIN_DUNDERS = {
    *("__init__", "__post_init__", "__call__", "__len__", "__getitem__", "__setitem__", "__iter__"),
    *("__next__", "__enter__", "__exit__", "__name__", "__class__", "__version__", "__repr__"),
}
BY_NAME = ("getattr", "setattr", "delattr")


def deep(node: ast.AST, aliases: dict[str, str]) -> set[str]:
    """What a piece of code uses that no solution needs. aliases: name -> what an import made it."""
    found: set[str] = set()
    aliases = aliases | aliases_of(ast.walk(node))
    reads = _reads(node)
    for n in ast.walk(node):
        if isinstance(n, ast.Import | ast.ImportFrom):
            found |= {d for d in aliases_of([n]).values() if _deep_path(d)}
        elif isinstance(n, ast.Name) and n.id in reads:
            dotted = aliases.get(n.id, n.id)
            if n.id in DEEP_NAMES:
                found.add(n.id)
            elif n.id in aliases and _deep_path(dotted) and not _plain_part(node, n, aliases):
                found.add(dotted)
        elif isinstance(n, ast.Attribute) and _deep_attribute(n, aliases):
            found.add(n.attr)
        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in BY_NAME:
            named = n.args[1] if len(n.args) > 1 else None
            text = named.value if isinstance(named, ast.Constant) else None
            if not isinstance(text, str) or text.startswith("_") or text in DEEP_ATTRIBUTES:
                found.add(n.func.id)
    return found


def _reads(node: ast.AST) -> set[str]:
    """Names that the code takes from outside of its functions: `vars` in one may be variances."""
    try:
        tables = [symtable.symtable(ast.unparse(node), "cell", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    names = {s.get_name() for s in tables[0].get_symbols() if s.is_referenced()}
    for table in tables:  # grows while it is walked
        tables += table.get_children()
        names |= {s.get_name() for s in table.get_symbols() if s.is_global() or s.is_imported()}
    return names


def _deep_path(dotted: str) -> bool:
    root, *parts = dotted.split(".")
    return root not in PLAIN_MODULES or any(
        p in DEEP_ATTRIBUTES or p.startswith("_") for p in parts if root != "__future__"
    )


def _deep_attribute(node: ast.Attribute, aliases: dict[str, str]) -> bool:
    name = node.attr
    if name.startswith("__") and name.endswith("__"):
        return name not in PLAIN_DUNDERS
    root = chain(node).partition(".")[0]
    if root in aliases and name.startswith("_"):
        return True  # a private part of a module
    return name in DEEP_ATTRIBUTES


def _plain_part(tree: ast.AST, name: ast.Name, aliases: dict[str, str]) -> bool:
    """Is a module only asked for one of its harmless parts here, as in sys.float_info?"""
    for n in ast.walk(tree):
        if isinstance(n, ast.Attribute) and n.value is name:
            return f"{aliases[name.id]}.{n.attr}".startswith(PLAIN_PARTS)
    return False


def _statements(cells: Iterable[str]) -> list[ast.stmt]:
    return [node for code in cells for node in getattr(parse(code), "body", ())]


def _touched(node: ast.stmt) -> set[str]:
    """Names that a statement binds, changes in place, or calls a method of."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    names: set[str] = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load):
            names.add(n.id)
        elif isinstance(n, ast.Attribute | ast.Subscript) and not isinstance(n.ctx, ast.Load):
            names.add(_root(n))
        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute):
            names.add(_root(n.func))
    return names


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def uses(cells: list[str], name: str) -> list[ast.stmt]:
    """The statements that make `name` what it is, and the imports, in the notebook's order."""
    statements = _statements(cells)
    modules = set(aliases_of(statements))
    wanted, chosen = {name}, set()
    while True:
        new = {
            k
            for k, node in enumerate(statements)
            if k not in chosen and _touched(node) & (wanted - modules)
        }
        if not new:
            break
        chosen |= new
        wanted |= {n for k in new for n in free_names(statements[k])}
    imports = {
        k for k, node in enumerate(statements) if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [statements[k] for k in sorted(chosen | imports)]


def beyond(cells: Iterable[str], given: frozenset[str] = frozenset()) -> list[str]:
    """What the cells that are not given use that no solution needs; where it stands is open."""
    found: set[str] = set()
    for code in cells:
        if code in given:
            continue
        if re.search(r"^\s*[%!?]", code, re.MULTILINE):
            found.add("IPython's own commands")
        tree = parse(code)
        if tree is None:
            found.add("what is no Python")
        else:
            found |= deep(tree, {})
    return sorted(found)


def within(cells: list[str], name: str, given: frozenset[str] = frozenset()) -> list[str]:
    """The same for the definition of `name` and all that it uses, but for given cells."""
    aliases = aliases_of(_statements(cells))
    own = [code for code in cells if code not in given]
    found: set[str] = set()
    for node in uses(own, name):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            found |= deep(node, aliases)
    return sorted(found)


@dataclass
class Claim:
    """An exercise that earned points: its verdict, and the notebook's code up to its check."""

    verdict: Verdict
    check: NotebookNode
    code: list[str]


def settle(
    claims: list[Claim], sheets: dict[str, Sheet], given: frozenset[str], limits: Limits
) -> dict[str, Verdict]:
    """Refusals: of the exercises whose points do not come from what their definitions say."""
    refused: dict[str, Verdict] = {}
    cells: list[NotebookNode] = []
    for claim in claims:
        name = claim.verdict.exercise
        if words := within(claim.code, name, given):
            refused[name] = _refuse(
                claim.verdict,
                f"What {name} is made of uses {', '.join(words)[:200]}. No solution needs that, "
                "and with it a machine cannot tell where an answer comes from. Write it without, "
                "or talk to your instructor.",
            )
        else:
            code = "\n".join(ast.unparse(node) for node in uses(claim.code, name))
            cells += [new_code_cell(code), claim.check]
    if not cells:
        return refused
    # Nothing deep stands in these cells, so that one kernel can take them one after another.
    alone = execute(new_notebook(cells=cells), sheets, limits)
    for claim in claims:
        name = claim.verdict.exercise
        if name in refused:
            continue
        outcomes, reason = alone.answers.get(name, ([], ""))
        points = judge(sheets[name], outcomes, reason).points
        if points < claim.verdict.points:
            refused[name] = _refuse(
                claim.verdict,
                f"Run alone, with only the lines that it uses, {name} earns {points:g} instead of "
                f"{claim.verdict.points:g} points: something else in the notebook makes its "
                "answers. Points are given for what stands in the definition. Let it use nothing "
                "but functions and values that the notebook defines, or talk to your instructor.",
            )
    return refused


def _refuse(verdict: Verdict, reason: str) -> Verdict:
    return replace(
        verdict,
        points=0.0,
        status="refused",
        title=f"✗ {verdict.exercise}: refused, its answers may come from elsewhere",
        rows=[],
        notes=[reason],
        mistakes=[],
        flags=[*verdict.flags, "not-from-source"],
    )
