"""Run a student's function or class on the inputs of a case, and say plainly what came out.

The runner knows no expected value. It runs beside the student's code, so nothing it reports is
trusted: a forged report can only be compared with the right answer like any other.
"""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch

from autograde.student.plain import Packed, pack, unpack

CASE_SECONDS = 10
IMPATIENT_SECONDS = 2
Outcome = dict[str, Any]
# What one case hands over: {"inputs": packed list, "kind": "call" | "grad" | "value",
#                           "init": packed list or None, "slopes": places of inputs, if not all,
#                           "each": True if every part of the answer must carry a gradient}
CaseInputs = dict[str, Any]


class TooSlow(BaseException):
    """A case ran past its time. A BaseException, so that a bare `except Exception` lets it by."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TooSlow in the main thread after `seconds`; no limit where signals cannot reach."""
    usable = seconds and hasattr(signal, "setitimer")
    if not usable or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


NOT_YET = ": not attempted yet"  # how a stub speaks of itself: "box_iou: not attempted yet"


def _guilty_line(error: BaseException) -> str:
    """The last line of the student's own that the error passed through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        own = "site-packages" not in frame.filename and "autograde" not in frame.filename
        if own and frame.line and not frame.filename.startswith("<frozen"):
            return frame.line.strip()[:120]
    return ""


LIBRARY = ("course_lib.", "torchvision.")


@contextlib.contextmanager
def watch_library_calls(forbidden: tuple[str, ...]) -> Iterator[set[str]]:
    """Collect the library functions that would be the answer and that the student's code calls.

    forbidden: names of functions, e.g. "box_iou". Private functions of the library count, too;
    what the library itself calls does not. The set holds names like "course_lib.boxes.box_iou".
    """
    seen: set[str] = set()

    def module(frame: Any) -> str:
        name = frame.f_globals.get("__name__", "") if frame else ""
        return name if isinstance(name, str) else ""

    def profile(frame: Any, event: str, _: Any) -> None:
        if event != "call" or not module(frame).startswith(LIBRARY):
            return
        name = frame.f_code.co_name
        private = name.startswith("_") and not name.startswith("__")
        if not (name in forbidden or private):
            return
        caller = frame.f_back
        while caller is not None:  # somewhere up there the library, or only the student?
            if module(caller).startswith(LIBRARY):
                return
            caller = caller.f_back
        seen.add(f"{module(frame)}.{name}")

    before = sys.getprofile()
    sys.setprofile(profile if forbidden else before)
    try:
        yield seen
    finally:
        if forbidden and sys.getprofile() is not profile:
            seen.add("sys.setprofile")  # whoever takes the watch off has something to hide
        sys.setprofile(before)


def _call(obj: Any, case: CaseInputs, inputs: list[Any]) -> Any:
    if case.get("init") is not None:
        obj = obj(*unpack(case["init"]))
    if case["kind"] == "grad":
        return _gradients(obj, inputs, case.get("slopes"), bool(case.get("each")))
    return obj(*inputs)


def _gradients(
    obj: Callable[..., Any],
    inputs: list[Any],
    slopes: list[int] | None = None,
    each: bool = False,
) -> list[torch.Tensor]:
    """d(sum of the output, or of all its parts)/d(input), for each float tensor among the inputs.

    slopes: the places of the inputs that count, where not all do. An input that is a list of
    tensors counts with each of them. each: a part that carries no gradient, be it 0, is an error.
    """
    chosen = inputs if slopes is None else [inputs[k] for k in slopes]
    flat = [x for each in chosen for x in (each if isinstance(each, list) else [each])]
    leaves = [x.requires_grad_() for x in flat if torch.is_tensor(x) and x.is_floating_point()]
    total = obj(*inputs)
    if isinstance(total, tuple | list):
        parts = [torch.as_tensor(part).sum() for part in total]
        cut = [k for k, part in enumerate(parts, 1) if not part.requires_grad]
        if each and cut:
            raise TypeError(f"no grad flows from part {cut[0]} of {len(parts)}")
        total = torch.stack(parts)
    if not torch.is_tensor(total):
        raise TypeError("the answer is no torch tensor, so no grad flows")
    total = total.sum()
    grads = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, grads, strict=True)]


def run_case(
    obj: Any,
    case: CaseInputs,
    forbidden: tuple[str, ...] = (),
    seconds: float | None = None,
) -> Outcome:
    """Run one case.

    Returns {"status": "ok" | "error" | "not attempted" | "too slow", "value": packed,
    "error": "TypeError: …", "line": where, "changed": indices of inputs that the call changed,
    "library": names of forbidden library functions that were entered}.
    """
    if case["kind"] == "value":
        return {"status": "ok", "value": pack(obj), "changed": [], "library": []}
    inputs = unpack(case["inputs"])
    before = copy.deepcopy(inputs)
    outcome: Outcome = {"status": "ok", "value": {"kind": "none"}, "changed": [], "library": []}
    try:
        with watch_library_calls(forbidden) as seen, time_limit(seconds):
            value = _call(obj, case, inputs)
        outcome["value"] = pack(value)
    except TooSlow:
        outcome["status"] = "too slow"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a student's sys.exit() is an error of the student's
        outcome["status"] = "error"
        outcome["error"] = f"{type(error).__name__}: {str(error)[:400]}"
        outcome["line"] = _guilty_line(error)
        text = str(error)
        if isinstance(error, NotImplementedError) and (not text or NOT_YET in text):
            outcome["status"] = "not attempted"
            outcome["error"] = text
    outcome["library"] = sorted(seen)[:10]
    with contextlib.suppress(Exception):
        outcome["changed"] = [
            k for k, (x, y) in enumerate(zip(inputs, before, strict=True)) if not _same(x, y)
        ]
    return outcome


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, list):
        return len(x) == len(y) and all(_same(a, b) for a, b in zip(x, y, strict=True))
    if torch.is_tensor(x):
        return x.shape == y.shape and bool(torch.equal(x.detach(), y.detach()))
    return bool(x == y)


def run_cases(
    obj: Any, cases: list[CaseInputs], forbidden: tuple[str, ...] = (), seconds: float | None = None
) -> Iterator[Outcome]:
    """Outcomes in the order of the cases, each as soon as it is there.

    Once a case has not come to an end, the later ones get a shorter time: an endless loop is rarely
    alone, and a learner should not wait minutes to hear of it.
    """
    for case in cases:
        outcome = run_case(obj, case, forbidden, seconds)
        if outcome["status"] == "too slow" and seconds:
            seconds = min(seconds, IMPATIENT_SECONDS)
        yield outcome


def silence() -> None:
    """Send everything this process prints to nowhere (a forked judge must not speak)."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process


__all__ = ["CaseInputs", "Outcome", "Packed", "TooSlow", "run_case", "run_cases", "silence"]
