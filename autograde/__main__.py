"""python -m autograde: build lessons, grade a class, make a sample class, try an answer, bundle."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from autograde.classroom import Classroom
from autograde.errors import NoWorkers, Stopped
from autograde.exercises import LESSONS, PAGES, find_lesson
from autograde.sandbox import NO_SANDBOX, PROJECT, bubblewrap
from autograde.spec import LessonError

# nbgrader takes seconds to import: each command imports only what it needs.


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    console = Console(highlight=False)
    try:
        for name in getattr(args, "lessons", []):
            if args.command != "build" or name not in PAGES:
                find_lesson(name)
        return args.run(args, console)
    except (KeyError, FileExistsError, FileNotFoundError, LessonError, NoWorkers) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"autograde {args.command}: {message}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"autograde {args.command}: {stopped}", file=sys.stderr)
        return 130


def _build(args: argparse.Namespace, console: Console) -> int:
    from autograde.build import build, build_page, build_solved, write_public_sheets

    classroom = Classroom(args.classroom)
    for name in args.lessons or (*LESSONS, *PAGES):
        if name in PAGES:
            console.print(f"built {build_page(name).relative_to(PROJECT)}")
            continue
        write_public_sheets(name)
        console.print(f"built {build(name, classroom).relative_to(PROJECT)}")
        if args.solved:
            file = build_solved(name, classroom)
            console.print(f"solved {file} and {file.with_suffix('.html').name}")
    return 0


def _grade(args: argparse.Namespace, console: Console) -> int:
    from autograde.grading import Settings, grade
    from autograde.scores import print_table

    classroom, lessons = Classroom(args.classroom), args.lessons or list(LESSONS)
    settings = Settings(args.workers, args.scheduler, args.force, args.db_url)
    grades = grade(classroom, lessons, console, settings)
    if not grades:
        print(
            f"autograde grade: nothing was handed in: expected {classroom.submitted}"
            f"/<student>/<lesson>/<lesson>.ipynb with a lesson of {', '.join(lessons)}. "
            "To see how it works, fill an empty classroom with a sample class: "
            "python -m autograde demo",
            file=sys.stderr,
        )
        return 2
    print_table(grades, console)
    for name in dict.fromkeys(g.lesson for g in grades):
        console.print(f"report    {classroom.reports / name}.html", soft_wrap=True)
    console.print(f"scores    {classroom.reports}/: scores.csv, grades.csv", soft_wrap=True)
    console.print(f"feedback  {classroom.feedback}/<student>/<lesson>/", soft_wrap=True)
    return 0


def _report(args: argparse.Namespace, console: Console) -> int:
    from autograde.exports import without_key
    from autograde.grades import read_grades
    from autograde.reports import write_reports

    classroom = Classroom(args.classroom)
    grades = read_grades(classroom)
    graded = list(dict.fromkeys(g.lesson for g in grades))
    wanted = args.lessons or graded
    if not graded or set(wanted) - set(graded):
        missing = ", ".join(x for x in wanted if x not in graded) or "anything"
        raise FileNotFoundError(
            f"{missing} has not been graded yet; first: python -m autograde grade"
        )
    mine = [g for g in grades if g.lesson in wanted]
    pages = write_reports(classroom, wanted, mine, args.moodle_key)
    for file in (*pages, classroom.reports / "canvas.csv", classroom.reports / "moodle.csv"):
        console.print(str(file), soft_wrap=True)
    if left := without_key(classroom, grades, args.moodle_key):
        names = ", ".join(left)
        print(
            f"not in moodle.csv, for roster.csv has no {args.moodle_key}: {names}", file=sys.stderr
        )
    return 0


def _regrade(args: argparse.Namespace, console: Console) -> int:
    from autograde.grading import Settings
    from autograde.regrade import regrade

    settings = Settings(args.workers, args.scheduler, db_url=args.db_url)
    room = Classroom(args.classroom)
    regrade(room, args.lesson, args.exercise, args.write, console, settings)
    return 0


def _demo(args: argparse.Namespace, console: Console) -> int:
    from autograde.demo import make_class

    classroom = Classroom(args.classroom)
    count = make_class(classroom)
    console.print(f"{count} submissions in {classroom.submitted}; now: python -m autograde grade")
    return 0


def _try(args: argparse.Namespace, console: Console) -> int:
    from autograde.trial import try_file

    if not args.file.is_file():
        raise FileNotFoundError(f"there is no file {args.file}; name a Python file to judge")
    if bubblewrap() is None:
        print(NO_SANDBOX, file=sys.stderr)
    trial = try_file(args.exercise, args.file)
    if args.json:
        print(json.dumps(trial.to_json(), ensure_ascii=False, indent=1))
    else:
        verdict = trial.verdict
        print(f"public cases\n{trial.public}\n\nhidden cases\n{verdict.title}")
        for right, probes, remark in verdict.rows:
            print(f"  {'✓' if right else '✗'} {probes}" + (f": {remark}" if remark else ""))
        print("\n".join(f"  {note}" for note in verdict.notes))
        print(f"share of the points: {verdict.share:.4g}")
    return 0 if trial.verdict.status == "passed" else 1


def _bundle(args: argparse.Namespace, console: Console) -> int:
    from autograde.bundle import bundle

    names = bundle(args.lessons or list(LESSONS), args.out)
    console.print(f"{args.out}: {len(names)} files, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autograde", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    room = os.environ.get("CLASSROOM", "classroom")

    def command(
        name: str, run: object, text: str, lessons: Iterable[str] = LESSONS
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        if lessons:
            known = f"one of {', '.join(lessons)}; all if none is named"
            sub.add_argument("lessons", nargs="*", metavar="LESSON", help=known)
        return sub

    def judging(sub: argparse.ArgumentParser) -> None:
        cores = os.cpu_count() or 1
        sub.add_argument("--classroom", type=Path, default=Path(room), help="default: %(default)s")
        sub.add_argument("--workers", type=int, default=cores, help="default: %(default)s")
        sub.add_argument("--scheduler", metavar="ADDRESS", help="judge on a running Dask cluster")
        text = "a gradebook elsewhere, e.g. postgresql://…"
        sub.add_argument("--db-url", metavar="URL", help=text)

    text = "Make classroom/source and lessons/ from solutions/."
    sub = command("build", _build, text, lessons=(*LESSONS, *PAGES))
    sub.add_argument("--solved", action="store_true", help="run the solutions and keep the pages")
    sub.add_argument("--classroom", type=Path, default=Path(room), help="default: %(default)s")
    sub = command("grade", _grade, "Grade everything in submitted/; write reports and feedback.")
    judging(sub)
    sub.add_argument("--force", action="store_true", help="judge again what has a result already")
    text = "Write reports/ anew from the last grading: pages, scores, files for Canvas and Moodle."
    sub = command("report", _report, text)
    sub.add_argument("--classroom", type=Path, default=Path(room), help="default: %(default)s")
    keys = ("username", "email", "idnumber")
    sub.add_argument("--moodle-key", choices=keys, default="username", help="default: %(default)s")
    text = "Judge one exercise again, after it was mended; show whose points change."
    sub = command("regrade", _regrade, text, lessons=())
    sub.add_argument("lesson", metavar="LESSON")
    sub.add_argument("exercise", metavar="EXERCISE")
    sub.add_argument("--write", action="store_true", help="write the new points down")
    judging(sub)
    sub = command("demo", _demo, "Fill an empty classroom with a sample class.", lessons=())
    sub.add_argument("--classroom", type=Path, default=Path(room), help="default: %(default)s")
    sub = command("try", _try, "Judge one Python file in the sandbox.", lessons=())
    sub.add_argument("exercise", metavar="LESSON/EXERCISE", help="for example 01_iou/box_iou")
    sub.add_argument(
        "file", type=Path, metavar="FILE.py", help="defines what the exercise asks for"
    )
    sub.add_argument("--json", action="store_true", help="print the verdict as JSON")
    sub = command("bundle", _bundle, "A zip to hand to students.")
    sub.add_argument("--out", type=Path, default=Path("dist/object-detection.zip"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
