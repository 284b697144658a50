"""The scores of a class: as CSV files, and as a table on the screen."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograde.classroom import Classroom
from autograde.exercises import find_lesson
from autograde.exports import cell
from autograde.grades import Grade


def _rows(g: Grade) -> Iterator[tuple[str, float, float, str, list[str]]]:
    """(exercise, points, max_points, status, flags) for every task of the lesson."""
    judged_tasks = {v.exercise: v for v in g.verdicts}
    for task in find_lesson(g.lesson).tasks:
        v = judged_tasks.get(task.name)
        if g.broken or v is None:
            yield task.name, 0.0, task.points, "broken" if g.broken else "missing", []
        else:
            yield task.name, v.points, v.max_points, v.status, v.flags


def write_scores(classroom: Classroom, grades: list[Grade]) -> None:
    """reports/scores.csv, a row an exercise; reports/grades.csv, a row a student and lesson."""
    classroom.reports.mkdir(parents=True, exist_ok=True)
    with (classroom.reports / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["student", "lesson", "exercise", "points", "max_points", "status", "flags"])
        for g in grades:
            for name, points, most, status, flags in _rows(g):
                row = (g.student, g.lesson, name, f"{points:g}", f"{most:g}", status)
                out.writerow([cell(x) for x in (*row, " ".join(flags))])
    with (classroom.reports / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["student", "lesson", "points", "max_points", "status", "remarks"])
        for g in grades:
            most = find_lesson(g.lesson).points
            status = "broken" if g.broken else "graded"
            remarks = g.broken or " ".join(g.flags)
            row = (g.student, g.lesson, f"{g.score:g}", f"{most:g}", status, remarks)
            out.writerow([cell(x) for x in row])


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
            table.add_row(escape(g.student), *(_points(r) for r in _rows(g)), f"{g.score:g}")
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
