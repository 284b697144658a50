"""`check("box_iou", box_iou)` and `hint("box_iou")`: what a learner calls in a notebook."""

from __future__ import annotations

import difflib
import json
import math
from functools import cache
from importlib import resources
from typing import Any

from autograde.student import handover
from autograde.student.compare import plain_number
from autograde.student.marking import Marks, Sheet, mark
from autograde.student.report import html_page, html_report, text_report
from autograde.student.runner import CASE_SECONDS, LIBRARY, run_cases


class CheckFailed(Exception):
    """The check of an exercise failed; the report above it says why."""

    def _render_traceback_(self) -> list[str]:
        """One line instead of a traceback: IPython asks for this."""
        return [f"{type(self).__name__}: {self}"]


class NotAttempted(CheckFailed, NotImplementedError):
    """The exercise is still to be written."""


@cache
def public_sheets() -> dict[str, Sheet]:
    """Every public sheet by the name of its exercise."""
    folder = resources.files("autograde.student") / "public"
    sheets: dict[str, Sheet] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            sheets |= json.loads(file.read_text())["sheets"]
    return sheets


def _sheet(name: str) -> Sheet:
    sheets = public_sheets()
    if not isinstance(name, str):
        shown = getattr(name, "__name__", "box_iou")
        raise TypeError(f'expected the exercise\'s name in quotes, like "{shown}", got {name!r}')
    if name not in sheets:
        near = difflib.get_close_matches(name, sheets, 1)
        guess = f"did you mean {near[0]!r}? There" if near else "there"
        raise ValueError(f"there is no exercise {name!r}; {guess} are: {', '.join(sheets)}")
    return sheets[name]


def check(name: str, obj: Any) -> None:
    """Try `obj` on the public cases of exercise `name`, and say what was right and what was not.

    Raises CheckFailed if something was wrong, NotAttempted if there is nothing to try yet.
    """
    if handover.grading():
        handover.hand_over(name, obj)
        return
    sheet = _sheet(name)
    if sheet["type"] == "question":
        _check_answer(sheet, obj)
        return
    if not callable(obj):
        raise TypeError(
            f"check({name!r}, …) expects the function itself, got {type(obj).__name__}; "
            f'write check("{name}", {name}) without calling it'
        )
    marks = mark(
        sheet, list(run_cases(obj, sheet["cases"], tuple(sheet["forbidden"]), CASE_SECONDS))
    )
    marks = _refuse_borrowed(obj, sheet, marks)
    _show(text_report(sheet, marks), html_report(sheet, marks))
    if marks.status == "not attempted":
        raise NotAttempted(f"{name}: not attempted yet")
    if marks.status == "refused":
        raise CheckFailed(f"{name}: write it yourself, without {', '.join(marks.library)}")
    if marks.status != "passed":
        raise CheckFailed(f"{name}: not right yet, see the report above")


def _refuse_borrowed(obj: Any, sheet: Sheet, marks: Marks) -> Marks:
    """The library's own function handed in as one's own is refused."""
    module, name = (getattr(obj, a, None) or "" for a in ("__module__", "__name__"))
    if module.startswith(LIBRARY) and name in sheet["forbidden"]:
        return Marks("refused", 0.0, marks.cases, library=[f"{module}.{name}"])
    return marks


def _check_answer(sheet: Sheet, answer: Any) -> None:
    """A review question: is the answer of the right form? Whether it is right is for grading."""
    name, choices = sheet["name"], sheet["choices"]
    if answer is None or answer is Ellipsis:
        text = f"○ {name}: not answered yet"
        _show(text, html_page(text, [], []))
        raise NotAttempted(f"{name}: not attempted yet")
    if choices:
        if not isinstance(answer, str) or answer.strip().upper() not in tuple(choices):
            letters = ", ".join(choices)
            raise CheckFailed(
                f"{name}: expected one of the letters {letters} as text, got {answer!r}; "
                f'write for example {name} = "A"'
            )
    else:
        number = plain_number(answer)
        if number is None:
            raise CheckFailed(
                f"{name}: expected a number, got {answer!r}; write for example {name} = 0.25"
            )
        low, high = sheet["between"] or (-math.inf, math.inf)
        if not low <= number <= high:
            raise CheckFailed(
                f"{name}: {answer!r} cannot be; the answer lies between {low:g} and {high:g}"
            )
    text = f"✓ {name}: your answer {answer!r} is noted; it is marked when you hand in"
    _show(text, html_page(text, [], []))


_opened: dict[str, int] = {}


def hint(name: str) -> None:
    """Open the next hint of exercise `name`; after the last they start again."""
    sheet = _sheet(name)
    hints = sheet.get("hints", [])
    if not hints:
        print(f"{name} has no hints: everything it needs stands in the text above it.")
        return
    k = _opened.get(name, 0) % len(hints)
    _opened[name] = k + 1
    more = (
        f'hint("{name}") again for the next.'
        if k + 1 < len(hints)
        else "That was the last; they begin again."
    )
    text = f"○ Hint {k + 1} of {len(hints)}"
    _show(f"{text}\n  {hints[k]}\n  {more}", html_page(text, [], [hints[k], more]))


def _show(text: str, page: str) -> None:
    """Show the page in a notebook, print the text elsewhere."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(text)
        return
    if get_ipython() is None:
        print(text)
    else:
        display({"text/html": page, "text/plain": text}, raw=True)
