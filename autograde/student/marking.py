"""Compare outcomes with what was expected, and name the idea behind a wrong answer.

A sheet is an exercise made concrete: cases with inputs and expected values, and what each known
mistake answers to them. The student's `check` marks a public sheet; the judge marks a hidden one
with this same code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from autograde.student.plain import PlainError, unpack
from autograde.student.runner import NOT_YET, Outcome

Sheet = dict[str, Any]

KINDS = {
    "numbers": "other numbers than expected",
    "shape": "another shape than expected",
    "dtype": "another dtype than expected",
    "type": "another type than expected",
    "nan": "NaN or infinity",
    "error": "an error",
    "time": "did not come to an end in time",
    "changed": "the call changed its input",
    "none": "no answer",
}


@dataclass(frozen=True)
class Difference:
    """How an answer differs: a sentence, and the place in a tensor where it is largest.

    kind is one of KINDS: all that may be told of a hidden case, since the rest (an error's text,
    a shape) is the student's own words and could carry hidden inputs home.
    """

    kind: str
    says: str
    expected: str = ""
    got: str = ""
    where: tuple[int, ...] | None = None
    generic: str = ""  # a diagnosis that needs no known mistake


@dataclass(frozen=True)
class CaseMark:
    """One case, marked. `probes` is what it is about, in a learner's words."""

    index: int
    probes: str
    core: bool
    difference: Difference | None

    @property
    def passed(self) -> bool:
        return self.difference is None


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
        return [c for c in self.cases if not c.passed]


def show_number(x: float | int | bool) -> str:
    """A number as a learner wants to read it: 0.1429, 200.0, True."""
    if isinstance(x, bool | int):
        return str(x)
    text = f"{x + 0.0:.4g}"  # + 0.0 turns -0.0 into 0.0
    return text if any(c in text for c in ".en") else f"{text}.0"


def show_value(value: Any) -> str:
    """A short text for a value: numbers in full, large tensors by shape."""
    if isinstance(value, torch.Tensor | np.ndarray):
        if value.ndim == 0:
            return show_number(value.item())
        if 0 in value.shape:
            return f"nothing, of shape {list(value.shape)}"
        if math.prod(value.shape) <= 24:
            return _show_nested(value.tolist())
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype} values of shape {list(value.shape)}"
    if isinstance(value, float | int):
        return show_number(value)
    return repr(value)


def _show_nested(x: Any) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(_show_nested(v) for v in x) + "]"
    return show_number(x)


def plain_number(value: Any) -> float | None:
    """The number that a review question's answer is: a plain one, or one in a tensor or array."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        if math.prod(value.shape) != 1:
            return None
        value = value.item()
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def compare(expected: Any, got: Any, case: dict[str, Any]) -> Difference | None:
    """None where `got` is the expected value within the case's tolerance; else what differs."""
    if torch.is_tensor(expected):
        return _compare_tensor(expected, got, case)
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return Difference(
                "shape",
                f"expected {len(expected)} values, got {_describe(got)}",
                show_value(expected),
                show_value(got),
            )
        for k, (e, g) in enumerate(zip(expected, got, strict=True)):
            difference = compare(e, g, case)
            if difference and case.get("kind") == "grad":
                return _wrong_gradient(difference, case, k)
            if difference:
                return difference
        return None
    if isinstance(expected, bool | int | float):
        if torch.is_tensor(got) and got.numel() == 1:
            got = got.item()
        if not isinstance(got, bool | int | float):
            return Difference(
                "type", f"expected a number, got {_describe(got)}", show_number(expected)
            )
        if math.isclose(got, expected, rel_tol=case["rtol"], abs_tol=case["atol"]):
            return None
        return Difference("numbers", "", show_number(expected), show_number(got))
    return (
        None
        if expected == got
        else Difference("numbers", "", show_value(expected), show_value(got))
    )


NO_GRADIENT = (
    "The gradient does not come through. `.tolist()`, `.item()`, `float()`, `torch.tensor()`, "
    "numpy, `detach()` and `torch.no_grad()` all cut it: compute with tensors from end to end."
)


def _wrong_gradient(difference: Difference, case: dict[str, Any], k: int) -> Difference:
    """A gradient has the shape of an input: where it differs says nothing about a pair."""
    names = case.get("names", [])
    name = names[k] if k < len(names) else "an input"
    return replace(
        difference,
        says=f"the gradient of {name} differs",
        expected=difference.expected and f"slope {difference.expected}",
        got=difference.got and f"slope {difference.got}",
        where=None,
        generic="The gradient is another one than the formula's: see what stands inside "
        "`torch.no_grad()` or `detach()`, and what should.",
    )


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"{type(value).__name__} {show_value(value)}"


def _compare_tensor(expected: torch.Tensor, got: Any, case: dict[str, Any]) -> Difference | None:
    if isinstance(got, np.ndarray):
        if not case.get("numpy", True):
            return Difference(
                "type",
                "expected a torch tensor, got a numpy array",
                generic="The answer is a numpy array. Gradients cannot flow through numpy: "
                "stay in torch, or convert with torch.from_numpy.",
            )
        got = torch.from_numpy(got)
    if got is None:
        return Difference(
            "type",
            "expected a tensor, got None",
            generic="The function gave back None. Is there a `return` at its end?",
        )
    if isinstance(got, int | float) and expected.ndim == 0:
        got = torch.tensor(got)
    if not torch.is_tensor(got):
        return Difference(
            "type",
            f"expected a tensor of shape {list(expected.shape)}, got {_describe(got)}",
            generic="Give back one torch tensor, not a list or a number.",
        )
    if expected.shape != got.shape:
        return _wrong_shape(expected, got)
    if case.get("dtype") == "exact" and expected.dtype != got.dtype:
        e, g = (str(t.dtype).removeprefix("torch.") for t in (expected, got))
        return Difference(
            "dtype",
            f"expected dtype {e}, got {g}",
            e,
            g,
            generic=f"The numbers came out as {g} where {e} was asked for. Tensors made inside "
            "the function need the dtype of the input (torch.zeros_like, x.new_zeros).",
        )
    return _worst_element(expected, got, case)


def _wrong_shape(expected: torch.Tensor, got: torch.Tensor) -> Difference:
    e, g = list(expected.shape), list(got.shape)
    generic = ""
    if g == e[::-1] and len(e) == 2:
        generic = "Rows and columns are swapped: row n belongs to the n-th of the first argument."
    elif len(g) < len(e):
        generic = (
            f"An axis is missing: {e} is asked for. For every pair of N and M things put one "
            "list along the rows, `a[:, None]`, and the other along the columns, `b[None, :]`."
        )
    elif len(g) > len(e):
        generic = "There is an axis too many: look for a stray `[None]`, `[:, None]` or keepdim."
    return Difference(
        "shape", f"expected shape {e}, got {g}", f"shape {e}", f"shape {g}", generic=generic
    )


def _worst_element(
    expected: torch.Tensor, got: torch.Tensor, case: dict[str, Any]
) -> Difference | None:
    e, g = expected.to(torch.float64), got.to(torch.float64)
    error = (e - g).abs() - case["atol"] - case["rtol"] * e.abs()
    same_inf = torch.isinf(e) & (e == g)
    error = torch.where(same_inf, torch.full_like(e, -1.0), error)
    error = torch.where(torch.isnan(error), torch.full_like(e, math.inf), error)
    if error.numel() == 0 or error.max() <= 0:
        return None
    flat = int(error.argmax())
    where = tuple(int(k) for k in np.unravel_index(flat, tuple(e.shape))) if e.ndim else ()
    bad = int((error > 0).sum())
    count = f"{bad} of {e.numel()} numbers differ" if e.numel() > 1 else ""
    generic, kind = "", "numbers"
    if torch.isnan(g).any():
        kind = "nan"
        generic = "NaN came out: somewhere 0 is divided by 0, or a log is taken of a negative."
    elif torch.isinf(g).any() and not torch.isinf(e).any():
        kind = "nan"
        generic = "An infinity came out: a division by 0, a log of 0, or a fraction upside down."
    shown = where[:1] if case.get("rows") else where  # numbers that belong together are shown so
    return Difference(kind, count, show_value(e[shown]), show_value(g[shown]), where, generic)


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
        no_gradient = "does not require grad" in error or "unused" in error
        return Difference(
            "error",
            f"{error}, in the line `{line}`" if line else error,
            generic=NO_GRADIENT if case["kind"] == "grad" and no_gradient else "",
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


def _same_answer(a: Outcome, b: Outcome, case: dict[str, Any]) -> bool:
    if a.get("status") != b.get("status"):
        return False
    if a.get("status") == "error":
        kinds = (str(o.get("error", "")).partition(":")[0] for o in (a, b))
        return next(kinds) == next(kinds)
    if a.get("changed") != b.get("changed"):
        return False
    try:
        x, y = unpack(a.get("value")), unpack(b.get("value"))
    except PlainError:
        return a.get("value") == b.get("value")
    if x is None or y is None:
        return x is y
    return compare(_without_nan(x), _without_nan(y), {**case, "dtype": "exact"}) is None


def _without_nan(x: Any) -> Any:
    """For comparing two wrong answers: NaN equals NaN there."""
    return torch.nan_to_num(x, nan=1e30) if torch.is_tensor(x) and x.is_floating_point() else x


def recognise(sheet: Sheet, outcomes: list[Outcome], marks: list[CaseMark]) -> list[Sheet]:
    """The known mistake that behaves as these outcomes do, in a list of one; or an empty list.

    It must fail where the student fails and pass where the student passes, with the same wrong
    answers: what matches in one case only is a coincidence, and a wrong diagnosis is worse than
    none. Failures that are no wrong numbers (an error, NaN, a dtype) may come on top. Where no
    mistake explains all, one that explains every failed core case and most of the others will do.
    """
    failing = [m.index for m in marks if not m.passed]
    numeric = [
        m.index for m in marks if m.difference and m.difference.kind in ("numbers", "shape")
    ] or failing
    best: tuple[int, Sheet] | None = None
    for mistake in sheet["mistakes"]:
        hits = {
            k
            for k in failing
            if _same_answer(mistake["outcomes"][k], outcomes[k], sheet["cases"][k])
        }
        slips = [
            k
            for k, case in enumerate(sheet["cases"])
            if judge_outcome(case, mistake["outcomes"][k]) is not None
        ]
        if not hits or any(k not in failing for k in slips):
            continue  # it fails where the student is right: another mistake
        missed = [k for k in numeric if k not in hits]
        if any(sheet["cases"][k]["core"] for k in missed) or 3 * len(missed) > len(numeric):
            continue
        if best is None or len(hits) > best[0]:
            best = (len(hits), mistake)
    return [best[1]] if best else []


def mark(sheet: Sheet, outcomes: list[Outcome]) -> Marks:
    """Mark the outcomes of a sheet's cases (same order and number)."""
    library = sorted(
        {str(n)[:80] for o in outcomes if isinstance(o.get("library"), list) for n in o["library"]}
    )
    marks = [
        CaseMark(k, case["probes"], bool(case["core"]), judge_outcome(case, outcome))
        for k, (case, outcome) in enumerate(zip(sheet["cases"], outcomes, strict=True))
    ]
    if _unwritten(outcomes, sheet["name"]):
        return Marks("not attempted", 0.0, marks)
    if library:
        return Marks("refused", 0.0, marks, library=library)
    failing = [m.index for m in marks if not m.passed]
    found = recognise(sheet, outcomes, marks)
    diagnoses = [m["says"] for m in found]
    said = [m.difference.generic for m in marks if m.difference and m.difference.generic]
    if not diagnoses:
        diagnoses = said[:1]
    elif found:  # NaN or a wrong dtype on top of the mistake
        on_top = [m for m in marks if m.difference and m.difference.kind in ("nan", "dtype")]
        explained = [_same_answer(found[0]["outcomes"][m.index], outcomes[m.index],
                                  sheet["cases"][m.index]) for m in on_top]  # fmt: skip
        extra = [m for m, same in zip(on_top, explained, strict=True) if not same]
        diagnoses += [m.difference.generic for m in extra if m.difference][:1]
    share = share_of_points(marks)
    status = "passed" if not failing else ("partial" if share > 0 else "failed")
    return Marks(status, share, marks, diagnoses, [m["name"] for m in found])


def _unwritten(outcomes: list[Outcome], name: str) -> bool:
    """Is it this exercise that is not written yet, and not only one that it calls?"""
    if not outcomes or any(o.get("status") != "not attempted" for o in outcomes):
        return False
    return any(str(o.get("error") or f"{name}{NOT_YET}").startswith(name) for o in outcomes)


def share_of_points(marks: list[CaseMark]) -> float:
    """0 where a core case fails; else the share of the things probed that hold in every draw."""
    if not marks or any(m.core and not m.passed for m in marks):
        return 0.0
    probes = {m.probes for m in marks}
    failed = {m.probes for m in marks if not m.passed}
    return (len(probes) - len(failed)) / len(probes)
