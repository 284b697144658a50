"""What an exercise is: declared once, in `autograde/exercises/`, one module a lesson."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch


class LessonError(ValueError):
    """A lesson's source does not fit its exercises."""


class Draw:
    """Random inputs for a case, the same for the same seed on every machine."""

    def __init__(self, seed: str) -> None:
        number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big")
        self._generator = torch.Generator().manual_seed(number)

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return int(torch.randint(low, high + 1, (1,), generator=self._generator))

    def numbers(self, *shape: int, low: int = 0, high: int = 100) -> torch.Tensor:
        """Whole numbers in [low, high] as float32, of the given shape."""
        return torch.randint(low, high + 1, shape, generator=self._generator).float()

    def boxes(self, count: int, size: int = 100, smallest: int = 5) -> torch.Tensor:
        """`count` xyxy boxes with whole-number corners and sides, inside size x size."""
        side = self.numbers(count, 2, low=smallest, high=size // 2)
        corner = self.numbers(count, 2, high=size // 2)
        return torch.cat([corner, corner + side], dim=1)

    def masks(self, count: int, size: int = 8, density: float = 0.4) -> torch.Tensor:
        """`count` boolean masks of size x size with about `density` of the pixels set."""
        return torch.rand(count, size, size, generator=self._generator) < density


@dataclass(frozen=True)
class Case:
    """One thing to probe.

    make: inputs from a Draw. Called once for the public sheet, `draws` times for the hidden one.
    core: without it the exercise earns nothing.
    kind: "call" compares the output, "grad" the gradients of the output's sum.
    slopes: of a "grad" case, the places of the inputs whose gradients count; () all float ones.
    each: of a "grad" case, whether every part of the answer must carry a gradient, be it 0.
    dtype: "exact" if the output's dtype is part of the task.
    init: for a class, the arguments of its constructor.
    advice: shown, but costs no points: what later cells need of a right answer.
    """

    probes: str
    make: Callable[[Draw], Sequence[Any]]
    core: bool = False
    kind: Literal["call", "grad"] = "call"
    slopes: tuple[int, ...] = ()
    each: bool = False
    dtype: Literal["exact"] | None = None
    draws: int = 2
    rtol: float = 1e-4
    atol: float = 1e-5
    init: Callable[[Draw], Sequence[Any]] | None = None
    advice: bool = False


@dataclass(frozen=True)
class Mistake:
    """A plausible wrong implementation, and one sentence to the learner who made it."""

    name: str
    says: str
    wrong: Callable[..., Any]


@dataclass(frozen=True)
class Exercise:
    """A coding exercise, named after the function or class that it asks for.

    names: what the inputs are called, for messages.
    forbids: library functions that would be the answer itself; by default the one of its name.
    numpy: whether a numpy array is accepted as an answer.
    rows: whether the numbers of an answer's row belong together, as a box's four do.
    outputs: what the parts of an answer are called, where it has several: ("keep", "scores").
    picture: how a failed case is drawn, by `autograde/student/pictures.py`.
    """

    name: str
    points: float
    reference: Callable[..., Any]
    names: tuple[str, ...]
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    forbids: tuple[str, ...] = ()
    numpy: bool = True
    rows: bool = False
    outputs: tuple[str, ...] = ()
    picture: Literal[
        "boxes", "pairs", "masks", "kept", "moved", "settled", "matches", "curve", ""
    ] = ""


@dataclass(frozen=True)
class Question:
    """A review question that a machine can grade fairly.

    answer: a number; or the letter of a choice.
    choices: how many lettered choices there are; 0 for a number.
    between: the range in which a number can lie at all, e.g. (0, 1) for an IoU.
    why: the explanation, shown after grading.
    """

    name: str
    points: float
    answer: float | str
    why: str
    choices: int = 0
    tolerance: float = 1e-3
    between: tuple[float, float] | None = None
    traps: dict[float | str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choices and str(self.answer) not in self.letters:
            raise ValueError(f"question {self.name}: answer {self.answer!r} is no choice")

    @property
    def letters(self) -> str:
        return "ABCDEFGH"[: self.choices]


@dataclass(frozen=True)
class Lesson:
    """All that is graded in one lesson, in the order of the lesson."""

    name: str
    title: str
    tasks: tuple[Exercise | Question, ...]

    def __post_init__(self) -> None:
        names = [t.name for t in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"lesson {self.name}: two tasks of one name in {names}")

    @property
    def points(self) -> float:
        return sum(t.points for t in self.tasks)

    @property
    def exercises(self) -> list[Exercise]:
        """The coding exercises, without the questions."""
        return [t for t in self.tasks if isinstance(t, Exercise)]

    def task(self, name: str) -> Exercise | Question:
        """The task of that name; a KeyError that lists the names there are."""
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(t.name for t in self.tasks)
        raise KeyError(f"lesson {self.name} has no exercise {name!r}; it has {known}")
