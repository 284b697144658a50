"""Compare an answer with what was expected, and say in a learner's words how it differs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

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


def show_number(x: float | int | bool, digits: int = 4) -> str:
    """A number as a learner wants to read it: 0.1429, 200.0, True."""
    if isinstance(x, bool | int):
        return str(x)
    text = f"{x + 0.0:.{digits}g}"  # + 0.0 turns -0.0 into 0.0
    return text if any(c in text for c in ".en") else f"{text}.0"


def show_value(value: Any, digits: int = 4) -> str:
    """A short text for a value: numbers in full, large tensors by shape."""
    if isinstance(value, torch.Tensor | np.ndarray):
        if value.ndim == 0:
            return show_number(value.item(), digits)
        if 0 in value.shape:
            return f"nothing, of shape {list(value.shape)}"
        if math.prod(value.shape) <= 24:
            return _show_nested(value.tolist(), digits)
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype} values of shape {list(value.shape)}"
    if isinstance(value, float | int):
        return show_number(value, digits)
    if isinstance(value, list):
        return "[" + ", ".join(show_value(v, digits) for v in value) + "]"
    return repr(value)


def _show_nested(x: Any, digits: int) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(_show_nested(v, digits) for v in x) + "]"
    return show_number(x, digits)


def show_both(expected: Any, got: Any) -> tuple[str, str]:
    """The two values as text, with as many digits as it takes to see that they differ."""
    texts = ("", "")
    for digits in (4, 6, 8, 12):
        texts = (show_value(expected, digits), show_value(got, digits))
        if texts[0] != texts[1]:
            break
    return texts


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
    if isinstance(expected, list) and case.get("outputs"):
        return _compare_parts(expected, got, case)
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
        if isinstance(got, torch.Tensor | np.ndarray) and math.prod(got.shape) == 1:
            got = got.item()
        if not isinstance(got, bool | int | float):
            return Difference(
                "type", f"expected a number, got {_describe(got)}", show_number(expected)
            )
        if math.isclose(got, expected, rel_tol=case["rtol"], abs_tol=case["atol"]):
            return None
        return Difference("numbers", "", *show_both(expected, got))
    return (
        None
        if expected == got
        else Difference("numbers", "", show_value(expected), show_value(got))
    )


def _compare_parts(expected: list[Any], got: Any, case: dict[str, Any]) -> Difference | None:
    """An answer of several parts: the first part that differs, by its name."""
    names = case["outputs"]
    asked = ", ".join(names)
    if not isinstance(got, list) or len(got) != len(expected):
        return Difference(
            "shape",
            f"expected {len(expected)} things ({asked}), got {_describe(got)}",
            generic=f"The answer has {len(expected)} parts: `return {asked}`.",
        )
    for name, e, g in zip(names, expected, got, strict=True):
        d = compare(e, g, {**case, "outputs": []})
        if d:
            return replace(
                d,
                says=d.says and f"{name}: {d.says}",
                expected=d.expected and f"{name} {d.expected}",
            )
    return None


NO_GRADIENT = (
    "The gradient does not come through. `.tolist()`, `.item()`, `float()`, `torch.tensor()`, "
    "numpy, `detach()` and `torch.no_grad()` all cut it: compute with tensors from end to end."
)


def _wrong_gradient(difference: Difference, case: dict[str, Any], k: int) -> Difference:
    """A gradient has the shape of an input: where it differs says nothing about a pair."""
    owners = _inputs_with_gradients(case)
    names = case.get("names", [])
    name = names[owners[k]] if k < len(owners) and owners[k] < len(names) else "an input"
    return replace(
        difference,
        says=f"the gradient of {name} differs",
        expected=difference.expected and f"slope {difference.expected}",
        got=difference.got and f"slope {difference.got}",
        where=None,
        generic="The gradient is another one than the formula's: see what stands inside "
        "`torch.no_grad()` or `detach()`, and what should.",
    )


def _inputs_with_gradients(case: dict[str, Any]) -> list[int]:
    """For each gradient of a case, in the runner's order, the place of the input it belongs to."""
    inputs = case.get("inputs", {}).get("data", [])
    owners = []
    for place in case.get("slopes") or range(len(inputs)):
        packed = inputs[place]
        for leaf in packed["data"] if packed["kind"] == "list" else [packed]:
            if leaf["kind"] == "tensor" and "float" in leaf["dtype"]:
                owners.append(place)
    return owners


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, list):
        kinds = {type(v).__name__ for v in value}
        return f"a list of {len(value)}{' numbers' if kinds and kinds <= {'int', 'float'} else ''}"
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
    got = _as_tensor(got, expected)
    if not torch.is_tensor(got):
        asked = "one number" if expected.ndim == 0 else f"a tensor of shape {list(expected.shape)}"
        return Difference(
            "type",
            f"expected {asked}, got {_describe(got)}",
            generic=f"Give back {asked}: it is {_describe(got)} now.",
        )
    if expected.ndim == 0 and got.numel() == 1:
        got = got.reshape(())
    if expected.shape != got.shape:
        return _wrong_shape(expected, got, case)
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


def _as_tensor(value: Any, expected: torch.Tensor) -> Any:
    """A number or a flat list of numbers as a tensor, where it can stand for what is expected."""
    if isinstance(value, bool | int | float) and expected.ndim == 0:
        return torch.tensor(value)
    if not isinstance(value, list) or expected.ndim > 1:
        return value
    numbers = [
        v.item() if isinstance(v, torch.Tensor | np.ndarray) and math.prod(v.shape) == 1 else v
        for v in value
    ]
    if not all(isinstance(v, bool | int | float) for v in numbers):
        return value
    return torch.tensor(numbers, dtype=None if numbers else expected.dtype)


def _whole(expected: torch.Tensor, got: torch.Tensor) -> bool:
    """Are these short rows of indices or of True and False, which say more when seen in full?"""
    whole = not expected.is_floating_point() and expected.ndim == got.ndim == 1
    return whole and max(len(expected), len(got)) <= 24


def _of_pairs(shape: list[int], case: dict[str, Any]) -> bool:
    """Is an answer of this shape a table of every row of one input with every row of another?"""
    inputs = case.get("inputs", {}).get("data", [])
    rows = [x["shape"][0] for x in inputs if x.get("kind") == "tensor" and len(x["shape"]) > 1]
    return len(rows) == 2 == len(shape) and rows == shape


def _wrong_shape(expected: torch.Tensor, got: torch.Tensor, case: dict[str, Any]) -> Difference:
    e, g = list(expected.shape), list(got.shape)
    generic, pairs = "", _of_pairs(e, case)
    if expected.dtype == torch.int64 and len(e) == 1:
        if got.dtype == torch.bool:
            generic = (
                "A mask of True and False came back. Indices are asked for: "
                "`mask.nonzero().squeeze(1)` makes them from a mask."
            )
        elif len(g) == 2 and g[1] == 1:
            generic = (
                f"A column {g} came, one row for each number (`nonzero()` gives such a one): "
                "`squeeze(1)` after it."
            )
        elif _whole(expected, got):
            return Difference("shape", "", show_value(expected), show_value(got))
    elif g == e[::-1] and len(e) == 2:
        generic = "Rows and columns are swapped"
        generic += (
            ": row n belongs to the n-th of the first argument."
            if pairs
            else f": {e} is asked for, {g} came."
        )
    elif len(g) < len(e) and not pairs and e[0] == 0 == got.numel() and 0 not in e[1:]:
        ends = ", ".join(str(side) for side in e[1:])
        generic = (
            f"An empty list became a tensor of shape {g}, and {e} is asked for: "
            f"`.reshape(-1, {ends})` at the end makes it right for any number of rows."
        )
    elif len(g) < len(e):
        generic = f"An axis is missing: {e} is asked for. "
        if pairs:
            generic += (
                "For every pair of N and M things put one list along the rows, `a[:, None]`, and "
                "the other along the columns, `b[None, :]`."
            )
        elif expected.numel() == 0:
            generic += f"{g} came. What is empty has a shape, too: `torch.zeros({str(e)[1:-1]})`."
        elif expected.numel() == got.numel() > 0:
            generic += f"The numbers are there, as {g}: is there a `squeeze`, `flatten`, `reshape`?"
        else:
            generic += f"{g} came: which of its axes was added up, or picked out?"
    elif not e:
        return Difference(
            "shape", f"expected one number, got {_describe(got)}", "one number", f"shape {g}"
        )
    elif len(g) > len(e) and expected.numel() == got.numel() > 0:
        generic = _another_shape(e, g)
    elif len(g) > len(e):
        generic = "There is an axis too many: look for a stray `[None]`, `[:, None]` or keepdim."
    return Difference(
        "shape", f"expected shape {e}, got {g}", f"shape {e}", f"shape {g}", generic=generic
    )


def _another_shape(e: list[int], g: list[int]) -> str:
    """As many numbers as asked for, with more axes than asked for."""
    says = f"The numbers are there, in another shape, {g} for {e}. "
    if len(e) > 1:
        last = f"`.reshape(-1, {e[-1]})`" if len(e) == 2 else f"`.reshape({str(e)[1:-1]})`"
        return f"{says}Flatten them at the end, {last}; or is there a stray `[None]` or a keepdim?"
    ones = [k for k, side in enumerate(g) if side == 1]
    if len(ones) == len(g) - 1 and len(g) == 2:
        return (
            f"{says}An axis of length 1 is left over, of a `[:, None]` or a keepdim: "
            f"`.squeeze({ones[0]})` at the end."
        )
    return f"{says}Make one row of them: `.flatten()`."


def _as_asked(numbers: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """True and False where they were asked for, and came."""
    logical = expected.dtype == torch.bool and bool(((numbers == 0) | (numbers == 1)).all())
    return numbers.bool() if logical else numbers


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
        generic = (
            "NaN came out. It is what 0 / 0 gives, and the mean of nothing: what shall the answer "
            "be there? (The log or the root of a negative number gives it as well.)"
        )
    elif torch.isinf(g).any() and not torch.isinf(e).any():
        kind = "nan"
        generic = "An infinity came out: a division by 0, a log of 0, or a fraction upside down."
    shown = where[:1] if case.get("rows") else where  # numbers that belong together are shown so
    if _whole(expected, got):
        return Difference(kind, "", show_value(expected), show_value(got), where, generic)
    return Difference(
        kind,
        count,
        *show_both(_as_asked(e, expected)[shown], _as_asked(g, expected)[shown]),
        where,
        generic,
    )
