"""Count what the verdicts of a class say: of the class, of each task, of each wrong idea."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from autograde.grades import Grade
from autograde.judge import Verdict
from autograde.spec import Exercise, Lesson, Question

STATUSES = ("passed", "partial", "failed", "not attempted", "refused", "error")
ENOUGH = 10  # graded students, for a correlation to say anything


@dataclass(frozen=True)
class Summary:
    """The class in numbers. The quartiles are those of the scores, None where nobody was graded."""

    handed_in: int
    graded: int
    broken: int
    most: float
    quartiles: tuple[float, float, float] | None
    scores: list[float]


def summary(lesson: Lesson, grades: list[Grade]) -> Summary:
    scores = [g.score for g in grades if not g.broken]
    broken = len(grades) - len(scores)
    return Summary(len(grades), len(scores), broken, lesson.points, quartiles(scores), scores)


def quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Lower quartile, median, upper quartile, with the ends counted in (as numpy does)."""
    if not values:
        return None
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's r; None where one of the two never varies."""
    if len(xs) < 2 or _constant(xs) or _constant(ys):
        return None
    return statistics.correlation(xs, ys)


def _constant(values: Sequence[float]) -> bool:
    """Are these all one number, but for rounding?"""
    return math.isclose(min(values), max(values), rel_tol=1e-9, abs_tol=1e-9)


@dataclass(frozen=True)
class Idea:
    """A wrong idea, and how many had it.

    name: of a known mistake, in words; or the answer that was given.
    says: the sentence that the students were told.
    """

    task: str
    name: str
    says: str
    count: int
    right: bool = False


@dataclass(frozen=True)
class Probe:
    """A hidden case, by what it probes: how many failed it, and how."""

    says: str
    failed: int
    of: int
    how: list[tuple[str, int]]
    core: bool


@dataclass(frozen=True)
class TaskStats:
    """One task, over all who were graded.

    statuses: how many ended in each of STATUSES.
    share: the mean part of the points.
    discrimination: Pearson's r of the part earned here with the points of all other tasks.
    ideas: known mistakes, or answers to a question, the most frequent first.
    unknown: how many failed in a way that no known mistake explains.
    """

    number: int
    task: Exercise | Question
    graded: int
    statuses: dict[str, int]
    share: float
    discrimination: float | None
    ideas: list[Idea]
    unknown: int = 0
    probes: list[Probe] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def is_question(self) -> bool:
        return isinstance(self.task, Question)

    @property
    def passed(self) -> float:
        """The part of the graded who have all of it right."""
        return self.statuses["passed"] / self.graded if self.graded else 0.0


def task_stats(lesson: Lesson, grades: list[Grade]) -> list[TaskStats]:
    """The statistics of each task, in the order of the lesson."""
    graded = [g for g in grades if not g.broken]
    stats = []
    for number, task in enumerate(lesson.tasks, 1):
        verdicts = [_verdict(g, task) for g in graded]
        shares = [v.share for v in verdicts]
        rest = [g.points - v.points for g, v in zip(graded, verdicts, strict=True)]
        found = Counter(v.status if v.status in STATUSES else "error" for v in verdicts)
        question = isinstance(task, Question)
        stats.append(
            TaskStats(
                number=number,
                task=task,
                graded=len(graded),
                statuses={s: found[s] for s in STATUSES},
                share=statistics.fmean(shares) if shares else 0.0,
                discrimination=correlation(shares, rest) if len(graded) >= ENOUGH else None,
                ideas=_answers(task, verdicts) if question else _mistakes(task, verdicts),
                unknown=0 if question else sum(map(_unexplained, verdicts)),
                probes=_probes(verdicts),
            )
        )
    return stats


def _verdict(g: Grade, task: Exercise | Question) -> Verdict:
    for verdict in g.verdicts:
        if verdict.exercise == task.name:
            return verdict
    return Verdict(task.name, 0.0, task.points, "missing", "")


def _unexplained(verdict: Verdict) -> bool:
    return verdict.status in ("failed", "partial") and not verdict.mistakes


def _mistakes(task: Exercise | Question, verdicts: list[Verdict]) -> list[Idea]:
    """Known mistakes by frequency. Those that the same sentence explains count as one."""
    if not isinstance(task, Exercise):
        return []
    said = {m.name: m.says for m in task.mistakes}
    names: dict[str, list[str]] = defaultdict(list)
    for mistake in task.mistakes:
        names[mistake.says].append(mistake.name)
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update({said[m] for m in verdict.mistakes if m in said})
    return [
        Idea(task.name, names[says][0].replace("_", " "), says, count)
        for says, count in counts.most_common()
    ]


def _answers(task: Exercise | Question, verdicts: list[Verdict]) -> list[Idea]:
    """The answers to a question by frequency, with what is said of those that are traps."""
    if not isinstance(task, Question):
        return []
    counts: Counter[str] = Counter()
    said: dict[str, str] = {}
    right: set[str] = set()
    for verdict in verdicts:
        answer = _given(verdict)
        if not answer:
            continue
        counts[answer] += 1
        if verdict.status == "passed":
            right.add(answer)
        elif verdict.notes and verdict.notes[0] in task.traps.values():
            said[answer] = verdict.notes[0]
    return [
        Idea(task.name, answer, said.get(answer, ""), count, answer in right)
        for answer, count in counts.most_common()
    ]


def _given(verdict: Verdict) -> str:
    """The answer in a question's title: "✗ tightness: B is not right"; "" if there is none."""
    head, tail = f"{verdict.exercise}: ", " is not right" if verdict.points <= 0 else " is right"
    start = verdict.title.find(head)
    if start < 0 or not verdict.title.endswith(tail):
        return ""
    return verdict.title[start + len(head) : -len(tail)].strip()


def _probes(verdicts: list[Verdict]) -> list[Probe]:
    """The hidden cases that somebody failed, the worst first."""
    seen: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    how: dict[str, Counter[str]] = defaultdict(Counter)
    core: set[str] = set()
    for verdict in verdicts:
        for right, says, remark in verdict.rows:
            seen[says] += 1
            if not right:
                failed[says] += 1
                how[says][remark.removesuffix(" *")] += 1
                if remark.endswith(" *"):
                    core.add(says)
    return [
        Probe(says, count, seen[says], how[says].most_common(), says in core)
        for says, count in failed.most_common()
    ]


def not_understood(stats: list[TaskStats], most: int = 6) -> list[Idea]:
    """What to come back to in class: the most frequent wrong ideas of all tasks.

    All wrong answers to a question count together; questions take half of the places at most.
    What many left out counts, too: there they got stuck; and so does what many failed in a way
    that no known mistake explains.
    """
    ideas: list[Idea] = []
    answers: list[Idea] = []
    for s in stats:
        if s.is_question:
            answers.append(_wrong_answers(s))
        else:
            ideas += s.ideas
        if 4 * s.statuses["not attempted"] >= s.graded:
            ideas.append(Idea(s.name, "not attempted", "", s.statuses["not attempted"]))
        if s.probes and 10 * s.unknown >= s.graded:
            says = f"No known mistake explains it. Most fail the case: {s.probes[0].says}."
            ideas.append(Idea(s.name, "another mistake", says, s.unknown))
    answers = sorted(answers, key=lambda i: -i.count)[: most // 2]
    return sorted((i for i in ideas + answers if i.count), key=lambda i: -i.count)[:most]


def _wrong_answers(stats: TaskStats) -> Idea:
    """All wrong answers to a question as one idea, the three most frequent by name."""
    wrong = [i for i in stats.ideas if not i.right]
    names = [f"{i.name} ({i.count})" for i in wrong[:3]] + ["…"] * (len(wrong) > 3)
    why = stats.task.why if isinstance(stats.task, Question) else ""
    says = next((i.says for i in wrong[:1] if i.says), "") or why
    return Idea(stats.name, "answered " + ", ".join(names), says, sum(i.count for i in wrong))


@dataclass(frozen=True)
class Failure:
    """Why something could not be judged, or what was odd, and for whom."""

    what: str
    reason: str
    students: list[str]


def failures(grades: list[Grade]) -> list[Failure]:
    """All that went wrong, grouped by reason: files, then what was odd in them, then tasks."""
    groups: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for g in grades:
        if g.broken:
            groups[0, "broken file", g.broken].append(g.student)
            continue
        for flag in dict.fromkeys(g.flags):
            groups[1, "odd in the file", flag].append(g.student)
        for v in g.verdicts:
            if v.status in ("refused", "error", "missing"):
                reason = v.notes[0] if v.notes else v.title
                groups[2, f"{v.exercise}: {v.status}", reason].append(g.student)
    order = sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1:]))
    return [Failure(what, reason, students) for (_, what, reason), students in order]
