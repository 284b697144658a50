"""Mark the outcomes of an exercise, and name the idea behind a wrong answer.

A sheet is an exercise made concrete: cases with inputs and expected values, and what each known
mistake answers to them. The student's `check` marks a public sheet; the judge marks a hidden one
with this same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autograde.student.compare import NO_GRADIENT, Difference, compare
from autograde.student.plain import PlainError, unpack
from autograde.student.runner import NOT_YET, Outcome

Sheet = dict[str, Any]


@dataclass(frozen=True)
class CaseMark:
    """One case, marked. `probes` is what it is about, in a learner's words.

    advice: worth saying, but costs no points.
    """

    index: int
    probes: str
    core: bool
    difference: Difference | None
    advice: bool = False
    answer: Any = None  # as it came, packed: for the picture

    @property
    def passed(self) -> bool:
        return self.difference is None

    @property
    def sign(self) -> str:
        return "✓" if self.passed else ("○" if self.advice else "✗")


@dataclass(frozen=True)
class Marks:
    """All cases of a sheet, marked.

    status: "passed", "partial", "failed", "not attempted", "refused".
    share: part of the points earned, 0 to 1.
    """

    status: str
    share: float
    cases: list[CaseMark] = field(default_factory=list)
    diagnoses: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)  # names of the known mistakes recognised
    library: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[CaseMark]:
        return [c for c in self.cases if not c.passed and not c.advice]


def judge_outcome(case: dict[str, Any], outcome: Outcome) -> Difference | None:
    """Mark one outcome against its case."""
    status = outcome.get("status")
    if status == "not attempted":
        name = str(outcome.get("error") or "").partition(NOT_YET)[0]
        return Difference("none", f"{name or 'it'} is not written yet")
    if status == "too slow":
        return Difference(
            "time", "did not come to an end in time", generic="Is there an endless loop?"
        )
    if status != "ok":
        error, line = str(outcome.get("error") or "it gave no answer"), outcome.get("line")
        no_gradient = case["kind"] == "grad" and "grad" in error
        return Difference(
            "error",
            f"{error}, in the line `{line}`" if line else error,
            generic=NO_GRADIENT if no_gradient else _about_error(error, str(line or "")),
        )
    changed = outcome.get("changed") or []
    if changed and isinstance(changed, list):
        names = case.get("names", [])
        k = changed[0] if isinstance(changed[0], int) else 0
        name = names[k] if 0 <= k < len(names) else "an input"
        return Difference(
            "changed",
            f"the call changed {name}",
            generic=f"Your function writes into {name}, which belongs to the caller. "
            "Work on new tensors (no `x[...] = `, `-=`, `clamp_` on an input).",
        )
    try:
        got = unpack(outcome.get("value"))
    except PlainError:
        value = outcome.get("value")
        kind = value.get("type", value.get("kind")) if isinstance(value, dict) else value
        return Difference("type", f"expected a tensor, got something else ({str(kind)[:60]})")
    return compare(unpack(case["expected"]), got, case)


EMPTY_SLICE = (
    "The highest of no numbers at all was asked for. A slice that begins below 0 counts from the "
    "end and is often empty: begin it at `max(0, …)`."
)
SAID_OF_ERRORS = {
    "bitwise_xor": "`^` is no power in Python: write `**`.",
    "sqrt: math domain error": "A root of a number below 0 was asked for, and there is none. Look "
    "at what stands under it: every sign, every factor, and do the brackets stand right?",
    "math domain error": "The logarithm (or the root) was given a number that has none. Do the "
    "brackets stand right? `a - b / c` divides first.",
    "list indices must be integers": "A list was asked for an entry by name, as a dict would be. "
    "Its entries are counted, `x[0]`, or unpacked, `a, b = x`.",
    "'list' object has no attribute": "This is a list, and a list has no such thing. Its entries "
    "are counted, `x[0]`, or unpacked, `a, b = x`; `torch.tensor(x)` makes a tensor of numbers.",
    "max(): Expected reduction dim": EMPTY_SLICE,
    "zero-size array to reduction operation maximum": EMPTY_SLICE,
    "Boolean value of Tensor": "`if` was asked about a whole tensor, which is neither true nor "
    "false. `torch.is_tensor(x)` tells a tensor from a number; `torch.where` chooses element by "
    "element.",
}


def _about_error(error: str, line: str = "") -> str:
    """What a learner should know of an error whose text alone does not help.

    line: the student's own one in which it came up; Python does not say which function it was.
    """
    if "math domain error" in error and "sqrt" in line and "log" not in line:
        error = "sqrt: math domain error"
    return next((says for words, says in SAID_OF_ERRORS.items() if words in error), "")


def _same_answer(a: Outcome, b: Outcome, case: dict[str, Any]) -> bool:
    if a.get("status") != b.get("status"):
        return False
    if a.get("status") == "error":
        kinds = (str(o.get("error", "")).partition(":")[0] for o in (a, b))
        return next(kinds) == next(kinds)
    if a.get("changed") != b.get("changed"):
        return False
    if a.get("value") == b.get("value"):  # the common case of a known mistake, and a quick one
        return True
    try:
        x, y = unpack(a.get("value")), unpack(b.get("value"))
    except PlainError:
        return False
    if x is None or y is None:
        return x is y
    if compare(_numbers(x), _numbers(y), {**case, "dtype": None, "outputs": []}) is not None:
        return False
    # The same numbers. If they are the right ones, only the dtype can be what is wrong.
    differences = [judge_outcome(case, o) for o in (a, b)]
    wrong = [d.kind if d else "" for d in differences]
    return wrong[0] == wrong[1] or "dtype" not in wrong or "numbers" in wrong


def _numbers(x: Any) -> Any:
    """For comparing two wrong answers: the numbers, whatever holds them; NaN equals NaN."""
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(x)
    if isinstance(x, bool | int | float):
        x = torch.tensor(x)
    if isinstance(x, list):
        parts = [_numbers(v) for v in x]
        if not parts:
            return torch.zeros(0, dtype=torch.float64)
        if all(torch.is_tensor(p) and p.numel() == 1 for p in parts):
            return torch.stack([p.reshape(()) for p in parts])
        return parts
    if torch.is_tensor(x):
        return torch.nan_to_num(x.double(), nan=1e30, posinf=2e30, neginf=-2e30)
    return x


def recognise(sheet: Sheet, outcomes: list[Outcome], marks: list[CaseMark]) -> list[Sheet]:
    """The known mistake that behaves as these outcomes do, in a list of one; or an empty list.

    It must fail where the student fails and pass where the student passes, with the same wrong
    answers: what matches in one case only is a coincidence, and a wrong diagnosis is worse than
    none. Failures that are no wrong numbers (an error, NaN, a dtype) may come on top. Where no
    mistake explains all, one that explains every failed core case and most of the others will do.
    """
    marks = [m for m in marks if not m.advice]
    failing = [m.index for m in marks if not m.passed]
    numeric = [
        m.index for m in marks if m.difference and m.difference.kind in ("numbers", "shape")
    ] or failing
    best: tuple[int, Sheet] | None = None
    for mistake in sheet["mistakes"]:
        hits = _explained(mistake, outcomes, sheet["cases"], failing, numeric)
        if not hits or (best is not None and hits <= best[0]):
            continue
        right = [m.index for m in marks if m.passed]
        if all(judge_outcome(sheet["cases"][k], mistake["outcomes"][k]) is None for k in right):
            best = (hits, mistake)  # else it fails where the student is right: another one
    return [best[1]] if best else []


def _explained(
    mistake: Sheet,
    outcomes: list[Outcome],
    cases: list[dict[str, Any]],
    failing: list[int],
    numeric: list[int],
) -> int:
    """How many of the failing cases the mistake explains; 0 where it explains too few.

    Core cases come first: nearly all mistakes are out after one or two comparisons. What stands
    beside NaN or errors in most of the cases is no diagnosis: they are what has to be spoken of.
    """
    hits = missed = 0
    for k in sorted(failing, key=lambda k: not cases[k]["core"]):
        # The same numbers as a mistake's may be right there, and only their form wrong.
        if _same_answer(mistake["outcomes"][k], outcomes[k], cases[k]) and judge_outcome(
            cases[k], mistake["outcomes"][k]
        ):
            hits += 1
        elif k in numeric:
            missed += 1
            if cases[k]["core"] or 3 * missed > len(numeric):
                return 0
    return hits if 2 * hits >= len(failing) else 0


def mark(sheet: Sheet, outcomes: list[Outcome]) -> Marks:
    """Mark the outcomes of a sheet's cases (same order and number)."""
    library = sorted(
        {str(n)[:80] for o in outcomes if isinstance(o.get("library"), list) for n in o["library"]}
    )
    marks = [
        CaseMark(
            k,
            case["probes"],
            bool(case["core"]),
            judge_outcome(case, outcome),
            bool(case.get("advice")),
            outcome.get("value"),
        )
        for k, (case, outcome) in enumerate(zip(sheet["cases"], outcomes, strict=True))
    ]
    if _unwritten(outcomes, sheet["name"]):
        return Marks("not attempted", 0.0, marks)
    if library:
        return Marks("refused", 0.0, marks, library=library)
    failing = [m.index for m in marks if not m.passed and not m.advice]
    found = recognise(sheet, outcomes, marks)
    diagnoses = [m["says"] for m in found]
    said = [
        f"(no points lost) {m.difference.generic}" if m.advice else m.difference.generic
        for m in sorted(marks, key=lambda m: m.advice)
        if m.difference and m.difference.generic and not _follows(m, marks, sheet["cases"])
    ]
    if not found:
        diagnoses = said[:1]
    else:  # NaN or a wrong dtype may come on top of the mistake
        diagnoses += [
            m.difference.generic
            for m in marks
            if m.difference
            and m.difference.kind in ("nan", "dtype")
            and not _same_answer(
                found[0]["outcomes"][m.index], outcomes[m.index], sheet["cases"][m.index]
            )
        ][:1]
    share = share_of_points(marks)
    status = "passed" if not failing else ("partial" if share > 0 else "failed")
    return Marks(status, share, marks, diagnoses, [m["name"] for m in found])


def _follows(mark: CaseMark, marks: list[CaseMark], cases: list[dict[str, Any]]) -> bool:
    """May this NaN, or this other gradient, come of numbers that are wrong already?

    Then to speak of it would lead away from the mistake.
    """
    d = mark.difference
    grad = cases[mark.index]["kind"] == "grad"
    if d is None or not (d.kind == "nan" or grad):
        return False
    return any(
        m.difference.kind == "numbers"
        and cases[m.index]["kind"] == "call"
        and (grad or (not m.core, m.index) < (not mark.core, mark.index))
        for m in marks
        if m.difference
    )


def _unwritten(outcomes: list[Outcome], name: str) -> bool:
    """Is it this exercise that is not written yet, and not only one that it calls?"""
    if not outcomes or any(o.get("status") != "not attempted" for o in outcomes):
        return False
    return any(str(o.get("error") or f"{name}{NOT_YET}").startswith(name) for o in outcomes)


def share_of_points(marks: list[CaseMark]) -> float:
    """0 where a core case fails; else the share of the things probed that hold in every draw."""
    marks = [m for m in marks if not m.advice]
    if not marks or any(m.core and not m.passed for m in marks):
        return 0.0
    probes = {m.probes for m in marks}
    failed = {m.probes for m in marks if not m.passed}
    return (len(probes) - len(failed)) / len(probes)
