"""What can be wrong with a dataset on disk: named, counted, and dealt with as the reader was asked.

A reader looks at everything before it answers. Each problem says what kind it is, in which file, of
which image or object, and what is wrong. What is done about it is the caller's choice, for all
kinds or for each:

    "refuse"    no dataset: DataError, with all problems in it
    "skip"      what the problem is about is left out: an object, or an image with all its objects
    "clip"      a box that reaches out of its image is cut off at the border; the rest is skipped
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["refuse", "skip", "clip"]
OnError = Action | Mapping[str, Action]

KINDS: dict[str, str] = {
    "broken file": "is empty, or is not the JSON, XML or list that it should be",
    "missing field": "does not say something that it must say",
    "wrong type": "says something that is not a number, a list or a text where it should be",
    "bad number": "has a number that is infinite, not a number, or out of its range",
    "duplicate id": "has an id or a name for the second time",
    "unknown image": "is about an image that the file does not list",
    "unknown class": "is of a class that is not among the classes",
    "missing annotation": "is listed and has no annotation file",
    "missing image": "has no image file",
    "unreadable image": "has an image file that cannot be decoded",
    "wrong size": "has an image file of another size than the annotation says",
    "empty box": "has a box without width or height, or with a negative one",
    "box outside": "has a box that reaches out of its image",
    "bad mask": "has a segmentation that is none, or not of its image",
    "bad keypoints": "has keypoints that are not three numbers for each of its class's",
}
SHOWN = 12  # problems that an error lists


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. where: the image or object in the file, such as "annotation 7"."""

    kind: str
    file: str
    where: str
    message: str
    action: Action

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        return f"{place}: {self.message} ({self.kind})"


@dataclass
class Report:
    """What a reader found: how many images and objects it took, and all problems."""

    source: str
    images: int = 0
    objects: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many problems of each kind, in the order of KINDS; kinds without any are left out."""
        found = Counter(problem.kind for problem in self.problems)
        return {kind: found[kind] for kind in KINDS if kind in found}

    def count(self, action: Action) -> int:
        """How many problems were dealt with so."""
        return sum(problem.action == action for problem in self.problems)

    def __str__(self) -> str:
        taken = f"{self.source}: {_many(self.images, 'image')}, {_many(self.objects, 'object')}"
        if not self.problems:
            return f"{taken}, no problems"
        rows = [f"{taken}, {_many(len(self.problems), 'problem')}"]
        rows += [f"  {n:6} {kind}: {KINDS[kind]}" for kind, n in self.counts.items()]
        rows += [f"  {problem}: {_DONE[problem.action]}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            rows.append(f"  … and {len(self.problems) - SHOWN} more in `.problems`")
        return "\n".join(rows)


_DONE = {"refuse": "refused", "skip": "left out", "clip": "cut off at the border"}


class DataError(ValueError):
    """A dataset that is refused. report: all that is wrong with it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        refused = [problem for problem in report.problems if problem.action == "refuse"]
        rows = [f"{report.source}: {_many(len(refused), 'problem')}"]
        rows += [f"  {problem}" for problem in refused[:SHOWN]]
        if len(refused) > SHOWN:
            rows.append(f"  … and {len(refused) - SHOWN} more in `.report.problems`")
        kinds = ", ".join(f"{kind} ({n})" for kind, n in report.counts.items())
        rows.append(f"kinds: {kinds}")
        rows.append(
            'on_error="skip" leaves out what is wrong, "clip" also cuts boxes at the border'
        )
        super().__init__("\n".join(rows))


class Finding(Exception):
    """A problem as it is met, before it is known where it belongs."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class Inspector:
    """Notes problems and says what to do about each."""

    def __init__(self, source: str, on_error: OnError) -> None:
        self.report = Report(source)
        given = dict.fromkeys(KINDS, on_error) if isinstance(on_error, str) else dict(on_error)
        unknown = [kind for kind in given if kind not in KINDS]
        if unknown:
            raise ValueError(
                f"on_error knows no kind {unknown[0]!r}; there are: {', '.join(KINDS)}"
            )
        for action in given.values():
            if action not in _DONE:
                raise ValueError(f'on_error must be "refuse", "skip" or "clip", got {action!r}')
        self._actions = {kind: given.get(kind, "refuse") for kind in KINDS}

    def note(self, finding: Finding, file: str, where: str = "", *, clips: bool = False) -> Action:
        """Write a problem down; what to do now. `clips`: cutting off at the border is possible."""
        action: Action = self._actions[finding.kind]
        if action == "clip" and not clips:
            action = "skip"
        problem = Problem(finding.kind, file, where, finding.message, action)
        self.report.problems.append(problem)
        return action

    def refuse(self, finding: Finding, file: str) -> DataError:
        """The error for what leaves nothing to read, whatever was asked for."""
        self.report.problems.append(Problem(finding.kind, file, "", finding.message, "refuse"))
        return DataError(self.report)

    def finish(self, images: int, objects: int) -> Report:
        """The report; DataError if something is to be refused."""
        self.report.images, self.report.objects = images, objects
        if self.report.count("refuse"):
            raise DataError(self.report)
        return self.report


def _many(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
