"""What stays of a definition when it is copied: its tokens, its tree, its fingerprints.

Winnowing after Schleimer, Wilkerson, Aiken: "Winnowing: Local Algorithms for Document
Fingerprinting" (SIGMOD 2003), the method behind MOSS.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

LONGEST = 20_000  # characters; no solution comes near, and what is longer is compared as text only
GRAM = 5  # tokens in a fingerprint
WINDOW = 4  # every run of GRAM + WINDOW - 1 = 8 shared tokens shares a fingerprint

BUILTINS = frozenset(dir(builtins))
TOKEN = re.compile(
    r"(?P<text>[rbfuRBFU]{0,2}(?:"
    r"\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    r"|(?P<number>\d(?:[eE][+-]?\d|[\w.])*|\.\d(?:[eE][+-]?\d|[\w.])*)"
    r"|(?P<name>\w+)|(?P<sign>\*\*=?|//=?|->|:=|[<>=!+\-*/@%&|^]=|<<|>>|[^\s\w])"
)


def tokens(code: str) -> list[str]:
    """The tokens of a definition, names included, with every number and text alike.

    The code is a definition as `ast.unparse` writes it, without comments.
    """
    return ["0" if m.lastgroup in ("text", "number") else m.group() for m in TOKEN.finditer(code)]


@dataclass(frozen=True)
class Form:
    """A definition in the forms in which it is compared.

    exact: what is the same wherever only the layout differs: line breaks, brackets, the order of
        keyword arguments, 0.5 or 5e-1, annotations, docstrings.
    tree: the same with every name replaced by the place where it appears first, so that a
        definition with other names has the same. "" where the code is no Python.
    bones: the pieces of the tree, with all names alike.
    """

    code: str
    exact: str
    tree: str
    bones: tuple[str, ...] = ()

    @cached_property
    def tokens(self) -> list[str]:
        return tokens(self.code)

    @cached_property
    def bag(self) -> Counter[str]:
        return Counter(self.tokens)

    @cached_property
    def fingerprints(self) -> frozenset[int]:
        """Of the tokens, names included."""
        return _winnow(self.tokens)

    @cached_property
    def bone_prints(self) -> frozenset[int]:
        """Of the tree, whatever the names."""
        return _winnow(self.bones)


def _winnow(words: Sequence[str]) -> frozenset[int]:
    """Hashes of some runs of GRAM words, chosen so that the same runs choose the same."""
    grams = [
        zlib.crc32("\x1f".join(words[k : k + GRAM]).encode("utf-8", "surrogatepass"))
        for k in range(len(words) - GRAM + 1)
    ]
    windows = max(1, len(grams) - WINDOW + 1)
    return frozenset(min(grams[k : k + WINDOW]) for k in range(windows)) if grams else frozenset()


def form(code: str) -> Form:
    """The forms of a definition; of code that is no Python, or endless, only its text counts."""
    if len(code) <= LONGEST:
        try:
            tree = ast.parse(code)
            named, renamed = _Shape(tree, False).parts, _Shape(tree, True).parts
            bones = tuple("#" if part.startswith("#") else part for part in renamed)
            return Form(code, _digest(" ".join(named)), _digest(" ".join(renamed)), bones)
        except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
            pass
    return Form(code[:LONGEST], _digest(code), "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _bound(tree: ast.AST) -> tuple[set[str], set[str]]:
    """The names that a definition gives itself, and the attributes that it sets (self.x)."""
    names: set[str] = set()
    attributes: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            attributes.add(node.attr)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.split(".")[0])
    return names, attributes


class _Shape:
    """A syntax tree written as text, with or without its names."""

    def __init__(self, tree: ast.AST, renamed: bool) -> None:
        self._renamed = renamed
        self._bound, self._attributes = _bound(tree) if renamed else (set(), set())
        self._places: dict[str, str] = {}
        self.parts: list[str] = []
        self._write(tree)

    def _name(self, name: str) -> str:
        """A name, or the place where it appeared first. Python's own names stay."""
        if not self._renamed or (name in BUILTINS and name not in self._bound):
            return name
        return self._places.setdefault(name, f"#{len(self._places)}")

    def _write(self, node: object) -> None:
        put = self.parts.append
        match node:
            case ast.Name():
                put(self._name(node.id))
            case ast.Constant():
                put(_constant(node.value))
            case ast.Attribute():
                put(".")
                self._write(node.value)
                own = node.attr in self._attributes
                put(self._name(node.attr) if own else node.attr)
            case ast.arg():
                put(self._name(node.arg))
            case ast.AnnAssign():
                if node.value is not None:
                    self._write(ast.Assign(targets=[node.target], value=node.value))
            case ast.Call():
                put("Call(")
                self._write(node.func)
                self._write(node.args)
                # Values are written in the order of the keywords, so that no order hides a copy.
                self._write(sorted(node.keywords, key=lambda k: k.arg or ""))
                put(")")
            case ast.Global() | ast.Nonlocal():
                put(type(node).__name__)
                self.parts += [self._name(n) for n in node.names]
            case ast.AST():
                self._write_fields(node)
            case list():
                put("[")
                for item in node:
                    if not _says_nothing(item):
                        self._write(item)
                put("]")
            case None:
                put("-")
            case _:
                put(str(node))

    def _write_fields(self, node: ast.AST) -> None:
        named = isinstance(
            node,
            ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler
            | ast.MatchAs | ast.MatchStar,
        )  # fmt: skip
        self.parts.append(f"{type(node).__name__}(")
        for field, value in ast.iter_fields(node):
            if field in ("ctx", "annotation", "returns", "type_comment", "kind", "type_params"):
                continue
            if named and field == "name" and isinstance(value, str):
                self.parts.append(self._name(value))
            elif isinstance(node, ast.alias) and field == "asname":
                self.parts.append(self._name(value or node.name.split(".")[0]))
            else:
                self._write(value)
        self.parts.append(")")


def _says_nothing(node: object) -> bool:
    """A docstring, a comment in the guise of a text, `pass`, a bare annotation."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.AnnAssign) and node.value is None)


def _constant(value: object) -> str:
    """A literal by its value: 1 and 1.0 and 1e0 are the same."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return repr(float(value))
        except OverflowError:
            return hex(int(value))
    return repr(value)


def common_part(one: list[str], other: list[str]) -> float:
    """Twice the length of the longest common subsequence over the length of both, 0 to 1.

    Bit by bit, after Hyyrö: "Bit-Parallel LCS-length Computation Revisited" (2004).
    """
    if not one or not other:
        return 0.0
    places: dict[str, int] = {}
    for k, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << k
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        hit = row & places.get(token, 0)
        row = ((row + hit) | (row - hit)) & full
    return 2 * (len(one) - row.bit_count()) / (len(one) + len(other))
