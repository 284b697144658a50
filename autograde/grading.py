"""Grade a class: every submission judged by workers, recorded in nbgrader's gradebook, reported."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from distributed.deploy import Cluster
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from autograde.batch import Here, Workers, progress_bar
from autograde.build import build
from autograde.classroom import Classroom
from autograde.grades import Grade
from autograde.jobs import Judged, feedback_page, job_for, judge_submission
from autograde.recording import Recorder
from autograde.reports import write_reports
from autograde.results import Result, machinery, to_store
from autograde.sandbox import NO_SANDBOX, Limits, bubblewrap
from autograde.triage import BrokenSubmission, read_bytes

FEW = 50  # pages of feedback that are drawn sooner than workers start


class Stopped(Exception):
    """Grading was stopped by Ctrl-C; what was judged is kept."""


@dataclass(frozen=True)
class Settings:
    """How to grade.

    workers: how many to start on this machine; scheduler: a Dask cluster, or its address, instead.
    force: judge again what has a result already. db_url: another gradebook than the class's own.
    """

    workers: int = 2
    scheduler: str | Cluster | None = None
    force: bool = False
    db_url: str | None = None
    limits: Limits = field(default_factory=Limits)


def submissions(classroom: Classroom, lessons: list[str]) -> list[tuple[str, str]]:
    """(student, lesson) for every folder in submitted/<student>/<lesson>/."""
    if not classroom.submitted.is_dir():
        return []
    return [
        (student.name, lesson)
        for student in sorted(classroom.submitted.iterdir())
        if student.is_dir() and not student.name.startswith(".")
        for lesson in lessons
        if os.path.lexists(student / lesson)
    ]


def grade(
    classroom: Classroom, lessons: list[str], console: Console, settings: Settings
) -> list[Grade]:
    """Grade everything that was handed in; write reports and feedback; return the grades."""
    classroom = Classroom(classroom.root.resolve())
    if bubblewrap() is None and settings.scheduler is None:
        console.print(NO_SANDBOX, style="bold red", markup=False)
    todo = submissions(classroom, lessons)
    if not todo:
        return []
    handed = [lesson for lesson in lessons if any(lesson == name for _, name in todo)]
    for lesson in handed:
        build(lesson, classroom, classroom.root / "release", settings.db_url)
    with start_workers(classroom, todo, settings) as workers, progress_bar(console) as bar:
        batch = Batch(classroom, settings, workers, bar)
        try:
            grades = batch.run(todo)
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped: {batch.done} of {len(todo)} are graded. The same command goes on from "
                "there"
            ) from None
    write_reports(classroom, handed, grades)
    return grades


def start_workers(
    classroom: Classroom, todo: list[tuple[str, str]], settings: Settings
) -> Workers | Here:
    """As many workers as there is to judge for; none where a few results are in the store."""
    files = [classroom.submission(*who) for who in todo]
    new = sum(not _is_seen(classroom, file, settings) for file in files)
    if not new and len(todo) <= FEW:
        return Here()
    return Workers(min(settings.workers, max(1, new)), settings.scheduler)


class Batch:
    """One run over a list of submissions: judge, keep, record, draw feedback."""

    def __init__(
        self, classroom: Classroom, settings: Settings, workers: Workers | Here, bar: Progress
    ) -> None:
        self.classroom, self.settings, self.workers, self.bar = classroom, settings, workers, bar
        self.recorder = Recorder(classroom, settings.db_url)
        self.grades: dict[tuple[str, str], Grade] = {}
        self.done = 0

    def run(self, todo: list[tuple[str, str]]) -> list[Grade]:
        """Grade them all; a few pieces of work wait for the workers at any time, never all."""
        task = self.bar.add_task("grading", total=len(todo), now="")
        waiting = iter(todo)
        window = 2 * self.workers.slots + 2
        more = True
        while more or len(self.workers):
            while more and len(self.workers) < window:
                if (who := next(waiting, None)) is None:
                    more = False
                else:
                    self._begin(Grade(*who))
                self.bar.update(task, completed=self.done)
            self.wait(at_most=1)
            self.bar.update(task, completed=self.done)
        return [self.grades[who] for who in todo]

    def wait(self, at_most: int | None = None) -> None:
        """Go on with what the workers are done with, until there is nothing more."""
        while len(self.workers) and at_most != 0:
            self._go_on(*self.workers.finished())
            at_most = None if at_most is None else at_most - 1

    def _begin(self, grade: Grade) -> None:
        """Take a result from the store, or have a worker make it."""
        self.grades[grade.student, grade.lesson] = grade
        file = self.classroom.submission(grade.student, grade.lesson)
        try:
            raw = read_bytes(file, self.classroom.submitted)
        except (BrokenSubmission, OSError) as broken:
            self._broken(grade, str(broken))
            return
        key = _key(self.classroom, raw, grade.lesson, self.settings)
        kept = None if self.settings.force else _seen(self.classroom.results, key)
        if kept is not None:
            self._judged(grade, kept, "")
        else:
            source, secret = _source(self.classroom, grade.lesson), self.classroom.secret()
            job = job_for(file, raw, source, grade.lesson, secret, self.settings.limits)
            self.workers.submit((grade, key), judge_submission, job)

    def _go_on(self, tag: tuple[Grade, str], found: object) -> None:
        """A worker is done with a piece of work."""
        grade, key = tag
        if isinstance(found, Judged):
            self._judged(grade, found, key)
        elif isinstance(found, str):
            self.recorder.write_feedback(grade, found)
            self._finished(grade)
        else:  # the worker itself broke: this submission's problem only
            self._broken(grade, f"grading failed: {type(found).__name__}: {found}"[:300])

    def _judged(self, grade: Grade, found: Judged, key: str) -> None:
        """Keep a result that is new, record it, and have its feedback drawn."""
        if key:
            _keep(self.classroom.results, key, found)
        if found.broken:
            self._broken(grade, found.broken)
            return
        grade.flags = list(found.flags)
        self.record(grade, Result.from_text(found.result))

    def record(self, grade: Grade, result: Result) -> None:
        """Write a result down and have its feedback drawn."""
        try:
            page = self.recorder.record(grade, result)
        except Exception as error:
            self._broken(grade, f"nbgrader could not record it: {type(error).__name__}: {error}")
            return
        self.workers.submit((grade, ""), feedback_page, page.notebook, page.nbgrader, page.title)

    def _broken(self, grade: Grade, reason: str) -> None:
        grade.broken = reason
        grade.verdicts = []
        self.recorder.record_broken(grade)
        self._finished(grade)

    def _finished(self, grade: Grade) -> None:
        self.done += 1
        for task in self.bar.tasks:
            self.bar.update(task.id, now=escape(grade.student))


@cache
def _source(classroom: Classroom, lesson: str) -> str:
    return json.dumps(classroom.source(lesson))


def _key(classroom: Classroom, raw: bytes, lesson: str, settings: Settings) -> str:
    """What decides the result of a file, as a hash."""
    source, secret = _source(classroom, lesson), classroom.secret()
    decides = [lesson, source, secret, asdict(settings.limits), machinery()]
    return hashlib.sha256(json.dumps(decides).encode() + raw).hexdigest()


def _is_seen(classroom: Classroom, file: Path, settings: Settings) -> bool:
    """Is there nothing to judge in this file?"""
    if settings.force:
        return False
    try:
        raw = read_bytes(file, classroom.submitted)
    except (BrokenSubmission, OSError):
        return True
    key = _key(classroom, raw, file.parent.name, settings)
    return _seen(classroom.results, key) is not None


def _seen(store: Path, key: str) -> Judged | None:
    """What was found for a file before, if it is still in the store."""
    try:
        noted = json.loads((store / "seen" / f"{key}.json").read_text(encoding="utf-8"))
        if noted["broken"]:
            return Judged(broken=noted["broken"])
        result = (store / f"{noted['key']}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Judged(noted["key"], result, noted["flags"])


def _keep(store: Path, key: str, found: Judged) -> None:
    """Note what was found for a file. A failure of the machine is not kept: it is tried again."""
    if found.broken.startswith("grading failed"):
        return
    if found.key:
        to_store(store, found.key, found.result)
    noted = {"key": found.key, "flags": found.flags, "broken": found.broken}
    to_store(store / "seen", key, json.dumps(noted))
