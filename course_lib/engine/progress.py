"""Saying how far it is: a line that is rewritten, plain lines, a curve in a notebook; or not."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Literal, NamedTuple

from course_lib._distributed import process_number
from course_lib.engine.config import FitConfig, Number
from course_lib.engine.history import History

ProgressKind = Literal["auto", "line", "lines", "curve", "none"]
REWRITE_EVERY = 0.2  # seconds
PRINT_EVERY = 30.0  # seconds, where steps are slow


class Moment(NamedTuple):
    """How a training is going, after one of its steps."""

    step: int  # steps that are done
    share: float  # of the training that is done, 0..1
    seconds: float  # of training so far
    seconds_left: float  # of training, as far as one can tell
    loss: float  # of this step's batch
    terms: dict[str, float]
    lr: float
    history: History


class Reporter:
    """Tells a person how a training is going; this one says nothing."""

    def start(self) -> None:
        """Before anything else: loading PyTorch's optimizers takes seconds, the first time."""

    def show(self, moment: Moment) -> None:
        """After a step."""

    def close(self, history: History | None) -> None:
        """After the last one, or when the training was stopped; None: before it began."""


def choose(kind: ProgressKind) -> ProgressKind:
    """What "auto" stands for here: a curve in a notebook, a line in a terminal, otherwise lines.

    "none" in all processes but the first.
    """
    if process_number() > 0:
        return "none"
    if kind != "auto":
        return kind
    if in_notebook():
        return "curve"
    return "line" if sys.stdout.isatty() else "lines"


def in_notebook() -> bool:
    """Does a Jupyter kernel run this?"""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def make_reporter(kind: ProgressKind, config: FitConfig) -> Reporter:
    match choose(kind):
        case "curve":
            from course_lib.engine.curve import Curve  # matplotlib: not where nobody sees it

            return Curve(config)
        case "line":
            return Line()
        case "lines":
            return Lines(config.log_every)
    return Reporter()


class Line(Reporter):
    """One line of a terminal, rewritten a few times a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def start(self) -> None:
        rewrite("getting ready")

    def show(self, moment: Moment) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REWRITE_EVERY
            rewrite(in_words(moment))

    def close(self, history: History | None) -> None:
        rewrite(str(history or ""))
        print()


class Lines(Reporter):
    """A line every so many steps, or every half minute, for files and pipes."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._last = time.monotonic()

    def show(self, moment: Moment) -> None:
        now = time.monotonic()
        if moment.step % self.every == 0 or now - self._last >= PRINT_EVERY:
            self._last = now
            print(in_words(moment), flush=True)

    def close(self, history: History | None) -> None:
        if history is not None:
            print(history, flush=True)


def in_words(moment: Moment) -> str:
    """step 120   38%   loss 1.234 = classes 0.701 + boxes 0.533   212 images/s   23 s left"""
    terms = moment.history.lately()
    loss = f"loss {sum(terms.values()):.3f}"
    if len(terms) > 1:
        loss += " = " + " + ".join(f"{name} {value:.3f}" for name, value in terms.items())
    words = [f"step {moment.step}", f"{moment.share:.0%}", loss]
    words += [f"{moment.history.images_per_second:.0f} images/s", left(moment.seconds_left)]
    return "   ".join(words)


def left(seconds: Number) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min left"


def rewrite(text: str) -> None:
    """Puts the text in the place of the terminal's last line, cut to its width."""
    width = shutil.get_terminal_size().columns - 1
    text = text if len(text) <= width else text[: width - 1] + "…"
    sys.stdout.write(f"\r{text}\x1b[K")
    sys.stdout.flush()


class Counter:
    """Counts up to a known number, in a line that vanishes at the end; nothing outside a terminal.

    In a notebook a short evaluation needs no words, and a long one has the cell's own sign.
    """

    def __init__(self, kind: ProgressKind, total: int, what: str) -> None:
        self.total, self.what = total, what
        self.done = 0
        self._shown = choose(kind) == "line"

    def __enter__(self) -> Counter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            rewrite("")

    def add(self, number: int) -> None:
        self.reach(self.done + number)

    def reach(self, done: int) -> None:
        self.done = done
        if self._shown:
            rewrite(f"{self.done} of {self.total} {self.what}")
