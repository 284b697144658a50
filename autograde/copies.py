"""Near copies in a class: who handed in what somebody else, or the solution, has too.

A sign for a person, never a verdict. Three levels, strongest first:

- "identical": the same but for layout (line breaks, order of keyword arguments, 0.5 or 5e-1);
- "same tree with other names": the same after variables were renamed;
- "near tokens": nearly all tokens shared, names included.

What a large part of a class has alike is the natural solution, and no evidence. So a find that
too many share bears no flag, and the others are ranked: two who are found together in many
exercises first, then by how few have what is shared. Short definitions never count: they look
alike by nature.

Definitions meet by their forms and fingerprints, so a thousand students take seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import median_low
from typing import Literal

from autograde.code_forms import Form, common_part, form
from autograde.grades import Grade
from autograde.judge import Verdict
from autograde.spec import Lesson

COPY_LENGTH = 60  # tokens; shorter definitions look alike by nature
COPY_RATIO = 0.92  # of the tokens of both
FEW, FEW_OF = 5, 0.05  # students, or part of the class: what more have may be the natural way
FEW_WORDINGS = 2  # times as many: even the same names, all of them, may be natural then
RARE_TREE = 0.15  # of a tree's pieces must be held by few, else it is made of what everybody writes
RARE_WORDS = 0.5  # of what two wordings share
SOLUTION = "the solution"
FLAG = "near-copy-of"

Level = Literal["identical", "same tree with other names", "near tokens"]
LEVELS: tuple[Level, ...] = ("identical", "same tree with other names", "near tokens")


@dataclass(frozen=True)
class Side:
    """Whose definition, and its source."""

    whom: str
    code: str


@dataclass(frozen=True)
class Pair:
    """Two near copies, or a group of which two are shown.

    students: all who share it, sorted. The solution is not among them.
    sides: the two to look at; with_solution: the first of them is the solution.
    holders: how many of the class have what the sides share. The fewer, the more it says.
    of: how many definitions of the exercise were compared.
    common: so many have it that it is no evidence; then there is no flag.
    times: in how many exercises two of these students are found together.
    """

    exercise: str
    level: Level
    students: tuple[str, ...]
    sides: tuple[Side, Side]
    holders: int
    of: int
    common: bool = False
    with_solution: bool = False
    times: int = 1


@dataclass
class _Text:
    """One wording of a definition, and all who handed it in."""

    form: Form
    students: list[str] = field(default_factory=list)

    @property
    def side(self) -> Side:
        return Side(self.students[0], self.form.code)


def flag_copies(lesson: Lesson, grades: list[Grade], reference: dict[str, str]) -> list[Pair]:
    """Flag near copies on the verdicts that earned points; return all finds, the rarest first.

    reference: the solution's definition of each exercise. Exercises that it lacks are compared
    among students only. Flags of an earlier call go.
    """
    mine = [g for g in grades if g.lesson == lesson.name and not g.broken]
    verdicts = {(g.student, v.exercise): v for g in mine for v in g.verdicts}
    for verdict in verdicts.values():
        verdict.flags[:] = [f for f in verdict.flags if not f.startswith(FLAG)]
    pairs: list[Pair] = []
    for task in lesson.exercises:
        own = {s: v for (s, name), v in verdicts.items() if name == task.name}
        blank = {s for s, v in own.items() if v.status == "not attempted"}  # all alike
        codes = {
            g.student: code
            for g in mine
            if g.student not in blank and (code := g.codes.get(task.name))
        }
        found = near_copies(task.name, codes, reference.get(task.name, ""))
        _flag(found, own)
        pairs += found
    return sorted(_counted(pairs), key=_rank)


def _rank(pair: Pair) -> tuple[bool, int, int, int, int]:
    level = LEVELS.index(pair.level)
    return pair.common, -pair.times, pair.holders, level, -len(pair.sides[1].code)


def _counted(pairs: list[Pair]) -> Iterator[Pair]:
    """The same, each with the number of exercises in which two of its students are together."""
    together: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pair in pairs:
        if not pair.common and not pair.with_solution:
            for two in combinations(pair.students, 2):
                together[two].add(pair.exercise)
    for pair in pairs:
        counts = [1]
        if not pair.common and not pair.with_solution:
            counts += [len(together[two]) for two in combinations(pair.students, 2)]
        yield replace(pair, times=max(counts))


def _flag(pairs: list[Pair], verdicts: dict[str, Verdict]) -> None:
    near_solution: set[str] = set()
    twins: dict[str, dict[str, None]] = {}  # in the order of the finds, each once
    for pair in (p for p in sorted(pairs, key=_rank) if not p.common):
        if pair.with_solution:
            near_solution.update(pair.students)
            continue
        for student in pair.students:
            others = twins.setdefault(student, {})
            others.update(dict.fromkeys(s for s in pair.students if s != student))
    for student, verdict in verdicts.items():
        if verdict.points <= 0:
            continue
        if student in near_solution:
            verdict.flags.append(f"{FLAG}-solution")
        if names := list(twins.get(student, {})):
            more = f"+{len(names) - 1}-more" if len(names) > 1 else ""
            verdict.flags.append(f"{FLAG}:{names[0]}{more}")


def near_copies(exercise: str, codes: dict[str, str], solution: str = "") -> list[Pair]:
    """The near copies among the definitions of one exercise: student -> source."""
    texts: dict[str, _Text] = {}
    forms = {code: form(code) for code in set(codes.values())}
    for student in sorted(codes):
        shape = forms[codes[student]]
        texts.setdefault(shape.exact, _Text(shape)).students.append(student)
    group = _Class(exercise, list(texts.values()))
    pairs = [*group.alike(), *group.near()]
    if solution:
        pairs += group.beside(form(solution))
    return sorted(pairs, key=_rank)


class _Class:
    """All wordings of one exercise in a class, and how many have what fingerprint.

    texts: those that are long enough to count. The short ones count as holders only.
    """

    def __init__(self, exercise: str, texts: list[_Text]) -> None:
        self.exercise = exercise
        self.texts = [t for t in texts if len(t.form.tokens) >= COPY_LENGTH]
        self.size = sum(len(t.students) for t in texts)
        self.few = max(FEW, int(FEW_OF * self.size))
        self.words: Counter[int] = Counter()
        self.bones: Counter[int] = Counter()
        for text in texts:
            for holders, marks in (
                (self.words, text.form.fingerprints),
                (self.bones, text.form.bone_prints),
            ):
                holders.update(dict.fromkeys(marks, len(text.students)))

    def _pair(
        self, level: Level, students: list[str], sides: tuple[Side, Side], holders: int,
        common: bool = False,
    ) -> Pair:  # fmt: skip
        names = tuple(sorted(students))
        return Pair(self.exercise, level, names, sides, holders, self.size, common)

    def _rare(self, marks: frozenset[int], holders: Counter[int]) -> list[int]:
        """How many have each of those fingerprints that few have."""
        return [holders[m] for m in marks if holders[m] <= self.few]

    def _odd_words(self, marks: frozenset[int]) -> list[int]:
        """The same, if most of these fingerprints are such; else []."""
        rare = self._rare(marks, self.words)
        return rare if len(rare) >= RARE_WORDS * len(marks) else []

    def alike(self) -> Iterator[Pair]:
        """Groups of one wording, or of one tree."""
        trees: dict[str, list[_Text]] = defaultdict(list)
        for text in self.texts:
            trees[text.form.tree or text.form.exact].append(text)
        for group in trees.values():
            students = [s for text in group for s in text.students]
            common = len(students) > self.few
            bones = group[0].form.bone_prints
            odd = len(self._rare(bones, self.bones)) >= RARE_TREE * len(bones)
            if len(group) > 1 and (common or odd):
                sides = (group[0].side, Side(group[-1].students[-1], group[-1].form.code))
                yield self._pair(LEVELS[1], students, sides, len(students), common)
            for text in group:
                count = len(text.students)
                if count > 1 and (not common or self._odd_words(text.form.fingerprints)):
                    sides = (text.side, Side(text.students[1], text.form.code))
                    many = count > FEW_WORDINGS * self.few
                    yield self._pair("identical", text.students, sides, count, many)

    def near(self) -> Iterator[Pair]:
        """Pairs of different wordings that share nearly all tokens, and most of them with few."""
        where: dict[int, list[int]] = defaultdict(list)
        for k, text in enumerate(self.texts):
            for mark in text.form.fingerprints:
                if self.words[mark] <= self.few:
                    where[mark].append(k)
        together: Counter[tuple[int, int]] = Counter()
        for places in where.values():
            together.update(combinations(places, 2))
        trees = Counter[str]()
        for text in self.texts:
            trees[text.form.tree] += len(text.students)
        for (k, j), count in together.items():
            one, other = self.texts[k], self.texts[j]
            alike = one.form.tree and one.form.tree == other.form.tree
            if count < 2 or (alike and trees[one.form.tree] <= self.few):
                continue  # one tree that few have is a group of `alike`
            shared = one.form.fingerprints & other.form.fingerprints
            if (rare := self._odd_words(shared)) and near_tokens(one.form, other.form):
                students = [*one.students, *other.students]
                yield self._pair("near tokens", students, (one.side, other.side), median_low(rare))

    def beside(self, solution: Form) -> Iterator[Pair]:
        """Who is near the solution. What many have is no sign: it may be the natural way."""
        found: dict[Level, list[_Text]] = defaultdict(list)
        if len(solution.tokens) < COPY_LENGTH:
            return
        for text in self.texts:
            if text.form.exact == solution.exact:
                found["identical"].append(text)
            elif near_tokens(text.form, solution):
                found["near tokens"].append(text)
            elif text.form.tree and text.form.tree == solution.tree:
                found["same tree with other names"].append(text)
        for level, texts in found.items():
            students = [s for text in texts for s in text.students]
            # Nobody comes upon all of its names by chance: that is a sign however many have them.
            common = level != "identical" and len(students) > self.few
            sides = (Side(SOLUTION, solution.code), texts[0].side)
            pair = self._pair(level, students, sides, len(students), common)
            yield replace(pair, with_solution=True)


def near_tokens(one: Form, other: Form) -> bool:
    """Do two definitions share nearly all their tokens, in order?"""
    a, b = one.tokens, other.tokens
    total = len(a) + len(b)
    if 2 * min(len(a), len(b)) < COPY_RATIO * total:
        return False
    if 2 * (one.bag & other.bag).total() < COPY_RATIO * total:
        return False
    return common_part(a, b) >= COPY_RATIO
