"""Two sources side by side, with what differs marked."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

LINES, LONGEST = 80, 200  # of a side, and characters of a line: nobody reads more
PIECE = re.compile(r"\w+|\s+|[^\w\s]")

Pieces = list[tuple[str, bool]]  # text, and whether the other side has it otherwise


@dataclass(frozen=True)
class Row:
    """A line of each side; an empty list where a side has none."""

    left: Pieces
    right: Pieces

    @property
    def same(self) -> bool:
        return bool(self.left) and self.left == self.right


def side_by_side(one: str, other: str) -> list[Row]:
    """The lines of two sources in rows: equal lines meet, others are compared word by word."""
    left, right = _lines(one), _lines(other)
    rows: list[Row] = []
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            rows += [Row([(line, False)], [(line, False)]) for line in left[a:b]]
            continue
        for k in range(max(b - a, d - c)):
            here = left[a + k] if a + k < b else None
            there = right[c + k] if c + k < d else None
            rows.append(_compared(here, there))
    return rows


def _lines(code: str) -> list[str]:
    lines = code.splitlines()
    shown = [x if len(x) <= LONGEST else f"{x[:LONGEST]} …" for x in lines[:LINES]]
    return shown if len(lines) <= LINES else [*shown, f"… and {len(lines) - LINES} lines more"]


def _compared(here: str | None, there: str | None) -> Row:
    if here is None or there is None:
        return Row(
            [(here, True)] if here is not None else [], [(there, True)] if there is not None else []
        )
    a, b = PIECE.findall(here), PIECE.findall(there)
    left: Pieces = []
    right: Pieces = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left += [("".join(a[i:j]), tag != "equal")] if j > i else []
        right += [("".join(b[k:m]), tag != "equal")] if m > k else []
    return Row(left or [("", False)], right or [("", False)])
