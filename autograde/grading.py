"""Grade a class: every submission judged by workers, recorded in nbgrader's gradebook, reported."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

from distributed.deploy import Cluster
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from autograde.batch import Here, Workers, progress_bar
from autograde.build import build
from autograde.classroom import Classroom
from autograde.errors import Stopped
from autograde.grades import Grade
from autograde.jobs import Judged, feedback_page, judge_submission
from autograde.kept import Kept
from autograde.recording import Recorder
from autograde.reports import write_reports
from autograde.results import Result
from autograde.sandbox import NO_SANDBOX, Limits, bubblewrap
from autograde.triage import BrokenSubmission

FEW = 50  # pages of feedback that are drawn sooner than workers start


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
    kept = Kept(classroom, settings.limits, settings.force)
    with start_workers(kept, todo, settings) as workers, progress_bar(console) as bar:
        grades = Batch(kept, settings, workers, bar, "grading", len(todo)).run(todo)
    write_reports(classroom, handed, grades)
    return grades


def start_workers(kept: Kept, todo: list[tuple[str, str]], settings: Settings) -> Workers | Here:
    """As many workers as there is to judge for; none where a few results are in the store."""
    new = sum(kept.is_new(*who) for who in todo)
    if not new and len(todo) <= FEW:
        return Here()
    return Workers(min(settings.workers, max(1, new)), settings.scheduler)


class Batch:
    """One run over a list of submissions: judge, keep, record, draw feedback."""

    def __init__(
        self, kept: Kept, settings: Settings, workers: Workers | Here, bar: Progress, title: str,
        total: int,
    ) -> None:  # fmt: skip
        self.kept, self.workers, self.bar, self.total = kept, workers, bar, total
        self.classroom, self.settings = kept.classroom, settings
        self.task = bar.add_task(title, total=total, now="")
        self.done = 0

    @cached_property
    def recorder(self) -> Recorder:
        """Made when there is something to write down, and not before."""
        return Recorder(self.classroom, self.settings.db_url)

    def run(self, todo: list[tuple[str, str]]) -> list[Grade]:
        """Grade them all; a few pieces of work wait for the workers at any time, never all."""
        grades = [Grade(*who) for who in todo]
        window = 2 * self.workers.slots + 2
        try:
            for grade in grades:
                while len(self.workers) >= window:
                    self._go_on(*self.workers.finished())
                self._begin(grade)
            self.wait()
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped: {self.done} of {self.total} are graded. The same command goes on from "
                "there"
            ) from None
        return grades

    def wait(self) -> None:
        """Go on with what the workers are done with, until there is nothing more."""
        while len(self.workers):
            self._go_on(*self.workers.finished())

    def _begin(self, grade: Grade) -> None:
        """Take a result from the store, or have a worker make it."""
        try:
            key, job = self.kept.job(
                self.classroom.submission(grade.student, grade.lesson), grade.lesson
            )
        except (BrokenSubmission, OSError) as broken:
            self._broken(grade, str(broken))
            return
        found = self.kept.find(key)
        if found is not None:
            self._judged(grade, found)
        else:
            self.workers.submit((grade, key), judge_submission, job)

    def _go_on(self, tag: tuple[Grade, str], found: object) -> None:
        """A worker is done with a piece of work."""
        grade, key = tag
        if isinstance(found, Judged):
            self.kept.keep(key, found)
            self._judged(grade, found)
        elif isinstance(found, str):
            self.recorder.write_feedback(grade, found)
            self._finished(grade)
        else:  # the worker itself broke: this submission's problem only
            self._broken(grade, f"grading failed: {type(found).__name__}: {found}"[:300])

    def _judged(self, grade: Grade, found: Judged) -> None:
        """Record what was found, and have its feedback drawn."""
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
        self.workers.submit((grade, ""), feedback_page, page)

    def _broken(self, grade: Grade, reason: str) -> None:
        grade.broken = reason
        grade.verdicts = []
        self.recorder.record_broken(grade)
        self._finished(grade)

    def _finished(self, grade: Grade) -> None:
        self.done += 1
        self.bar.update(self.task, advance=1, now=escape(grade.student))
