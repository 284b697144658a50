"""Grade a class: every submission judged in worker processes, recorded by nbgrader, reported."""

from __future__ import annotations

import contextlib
import csv
import html
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

import nbformat
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SAWarning

from autograde.build import build, nbgrader_api
from autograde.cells import restore
from autograde.classroom import Classroom
from autograde.exercises import find_lesson
from autograde.judge import Verdict
from autograde.preprocessors import META
from autograde.results import judged
from autograde.sandbox import NO_SANDBOX, Limits, bubblewrap
from autograde.source_check import definition, near_copy
from autograde.spec import Exercise, Lesson
from autograde.student.report import html_page
from autograde.triage import BrokenSubmission, read_submission


@dataclass
class Grade:
    """One student's lesson: verdicts, or the reason why there are none."""

    student: str
    lesson: str
    verdicts: list[Verdict] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def points(self) -> float:
        return sum(v.points for v in self.verdicts)


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


def grade(classroom: Classroom, lessons: list[str], workers: int, console: Console) -> list[Grade]:
    """Grade everything that was handed in; write reports and feedback; return the grades."""
    if bubblewrap() is None:
        console.print(NO_SANDBOX, style="bold red", markup=False)
    for lesson in lessons:
        build(lesson, classroom, release=classroom.root / "release")
    todo = submissions(classroom, lessons)
    with _progress(console) as progress:
        reasons = _judge_all(classroom, todo, workers, progress)
        grades = _record_all(classroom, todo, reasons, progress)
    for lesson in lessons:
        _flag_copies(classroom, find_lesson(lesson), grades)
    write_scores(classroom, grades)
    return grades


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


def _judge_all(
    classroom: Classroom, todo: list[tuple[str, str]], workers: int, progress: Progress
) -> dict[tuple[str, str], str]:
    """Judge in parallel into the result store; the reason for each that could not be."""
    reasons: dict[tuple[str, str], str] = {}
    bar = progress.add_task("judging", total=len(todo), now="")
    classroom.secret()  # made before several processes ask for it
    context = get_context("spawn")
    with ProcessPoolExecutor(max(1, workers), mp_context=context) as pool:
        jobs = {pool.submit(_judge_one, classroom, s, lesson): (s, lesson) for s, lesson in todo}
        for job in as_completed(jobs):
            who = jobs[job]
            try:
                reason = job.result()
            except Exception as error:  # a worker that was killed: this submission's problem only
                reason = f"grading failed: {type(error).__name__}: {error}"
            if reason:
                reasons[who] = reason
            progress.update(bar, advance=1, now=escape(who[0]))
    return reasons


def _judge_one(classroom: Classroom, student: str, lesson: str) -> str:
    """Judge one submission into the store. Runs in a worker; "" or the reason why not."""
    try:
        notebook = read_submission(classroom.submission(student, lesson), classroom.submitted)
        source = classroom.source(lesson)
        restored, _ = restore(notebook, source)
        secret = classroom.secret()
        judged(restored, source, lesson, secret, classroom.results, Limits())
    except BrokenSubmission as broken:
        return str(broken)
    except Exception as error:
        return f"grading failed: {type(error).__name__}: {error}"
    return ""


def _record_all(
    classroom: Classroom,
    todo: list[tuple[str, str]],
    reasons: dict[tuple[str, str], str],
    progress: Progress,
) -> list[Grade]:
    """Have nbgrader record each judged submission and write its feedback, one after another."""
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=SAWarning, module=r"nbgrader\.")
    api = nbgrader_api(classroom, classroom.root / "release")
    api.log.setLevel(logging.CRITICAL)
    bar = progress.add_task("recording", total=len(todo), now="")
    grades = []
    for student, lesson in todo:
        result = Grade(student, lesson, broken=reasons.get((student, lesson), ""))
        if not result.broken:
            done = api.autograde(lesson, student, force=True, create=True)
            feedback = done["success"] and api.generate_feedback(lesson, student, force=True)
            if not (done["success"] and feedback and feedback["success"]):
                log = (done if not done["success"] else feedback)["log"]
                result.broken = f"nbgrader could not record it: {log.strip().splitlines()[-1]}"
        if result.broken:
            _write_broken_feedback(classroom, result)
        else:
            _read_verdicts(classroom, result)
        grades.append(result)
        progress.update(bar, advance=1, now=escape(student))
    return grades


def _read_verdicts(classroom: Classroom, result: Grade) -> None:
    file = classroom.autograded / result.student / result.lesson / f"{result.lesson}.ipynb"
    notes = nbformat.read(file, as_version=4).metadata[META]
    result.verdicts = [Verdict.from_json(v) for v in notes["verdicts"]]
    result.flags = list(notes["flags"])


def _write_broken_feedback(classroom: Classroom, result: Grade) -> None:
    """A page for the student whose submission could not be graded; nothing older stays."""
    for room in (classroom.autograded, classroom.feedback):
        shutil.rmtree(room / result.student / result.lesson, ignore_errors=True)
    folder = classroom.feedback / result.student / result.lesson
    folder.mkdir(parents=True, exist_ok=True)
    title = f"✗ {result.lesson} could not be graded"
    page = html_page(title, [], [result.broken, "0 points so far."])
    (folder / f"{result.lesson}.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>{page}\n',
        encoding="utf-8",
    )


def _flag_copies(classroom: Classroom, lesson: Lesson, grades: list[Grade]) -> None:
    """Flag definitions that are near copies of the reference's or of each other, for a person."""
    solved = [c.source for c in classroom.source(lesson.name).cells if c.cell_type == "code"]
    codes: dict[str, list[str]] = {}
    for g in grades:
        if g.lesson == lesson.name and not g.broken:
            file = classroom.autograded / g.student / g.lesson / f"{g.lesson}.ipynb"
            cells = nbformat.read(file, as_version=4).cells
            codes[g.student] = [c.source for c in cells if c.cell_type == "code"]
    by_student = {g.student: g for g in grades if g.lesson == lesson.name}
    for task in lesson.tasks:
        if not isinstance(task, Exercise):
            continue
        own = {s: d for s, cells in codes.items() if (d := definition(cells, task.name))}
        reference = definition(solved, task.name)
        for student, text in own.items():
            verdict = next(v for v in by_student[student].verdicts if v.exercise == task.name)
            if verdict.points <= 0:
                continue
            if near_copy(text, reference):
                verdict.flags.append("near-copy-of-solution")
            twins = [s for s, other in own.items() if s != student and near_copy(text, other)]
            if twins:
                more = f"+{len(twins) - 1}-more" if len(twins) > 1 else ""
                verdict.flags.append(f"near-copy-of:{twins[0]}{more}")


# ---------------------------------------------------------------- reports


def _rows(g: Grade) -> Iterator[tuple[str, float, float, str, list[str]]]:
    """(exercise, points, max_points, status, flags) for every task of the lesson."""
    judged_tasks = {v.exercise: v for v in g.verdicts}
    for task in find_lesson(g.lesson).tasks:
        v = judged_tasks.get(task.name)
        if g.broken or v is None:
            yield task.name, 0.0, task.points, "broken" if g.broken else "missing", []
        else:
            yield task.name, v.points, v.max_points, v.status, v.flags


def _cell(text: object) -> str:
    """A CSV cell that no spreadsheet runs as a formula."""
    plain = str(text)
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@", "\t", "\r") else plain


def write_scores(classroom: Classroom, grades: list[Grade]) -> None:
    """reports/scores.csv, a row an exercise; reports/grades.csv, a row a student and lesson."""
    classroom.reports.mkdir(parents=True, exist_ok=True)
    with (classroom.reports / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["student", "lesson", "exercise", "points", "max_points", "status", "flags"])
        for g in grades:
            for name, points, most, status, flags in _rows(g):
                row = (g.student, g.lesson, name, f"{points:g}", f"{most:g}", status)
                out.writerow([_cell(x) for x in (*row, " ".join(flags))])
    with (classroom.reports / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["student", "lesson", "points", "max_points", "status", "remarks"])
        for g in grades:
            most = find_lesson(g.lesson).points
            status = "broken" if g.broken else "graded"
            remarks = g.broken or " ".join(g.flags)
            row = (g.student, g.lesson, f"{g.points:g}", f"{most:g}", status, remarks)
            out.writerow([_cell(x) for x in row])


def print_table(grades: list[Grade], console: Console) -> None:
    """The class at a glance: a row a student with the points of each task, then what to look at."""
    for lesson_name in dict.fromkeys(g.lesson for g in grades):
        lesson = find_lesson(lesson_name)
        mine = [g for g in grades if g.lesson == lesson_name]
        title = f"{lesson.name} · {lesson.title} · {len(mine)} handed in"
        table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
        table.add_column("student", no_wrap=True)
        for k in range(len(lesson.tasks)):
            table.add_column(f"{k + 1}", justify="right")
        table.add_column(f"of {lesson.points:g}", justify="right", style="bold")
        for g in mine:
            table.add_row(escape(g.student), *(_points(r) for r in _rows(g)), f"{g.points:g}")
        console.print(table)
        legend = "  ".join(f"{k + 1} {t.name} ({t.points:g})" for k, t in enumerate(lesson.tasks))
        console.print(f"[dim]{legend}   · not attempted[/dim]\n")
        notes = [(g, _remarks(g)) for g in mine]
        if any(text for _, text in notes):
            console.print("[bold]what to look at[/bold]")
        for g, text in notes:
            if text:
                line = Table.grid(padding=(0, 2))
                line.add_column(width=22)
                line.add_column(overflow="fold")
                line.add_row(escape(g.student), text)
                console.print(line)
        console.print()


COLOURS = {"passed": "green", "partial": "yellow", "failed": "red", "refused": "magenta"}


def _points(row: tuple[str, float, float, str, list[str]]) -> str:
    _, points, _, status, _ = row
    if status == "not attempted":
        return "[dim]·[/dim]"
    colour = COLOURS.get(status, "red")
    return f"[{colour}]{points:g}[/{colour}]"


def _remarks(g: Grade) -> str:
    """What a person should look at: what was odd in the file, flags, and the mistakes known."""
    if g.broken:
        return f"[red]{escape(g.broken)}[/red]"
    by_flag: dict[str, list[str]] = {}
    for v in g.verdicts:
        # Whom a copy is near stands in scores.csv; here one line must do.
        for flag in dict.fromkeys("near-copy" if f.startswith("near-copy") else f for f in v.flags):
            by_flag.setdefault(flag, []).append(v.exercise)
        for mistake in v.mistakes[:1]:
            by_flag.setdefault(f"mistake {mistake}", []).append(v.exercise)
    lines = [f"{flag} in {', '.join(names)}" for flag, names in by_flag.items()]
    return escape("\n".join([*g.flags, *lines]))
