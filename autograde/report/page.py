"""Put the instructor's page of a lesson together: one HTML file that needs nothing else.

All that comes from students (names, code, reasons, answers) is hostile: the template escapes
everything, and the page's content security policy runs no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograde.classroom import Classroom
from autograde.copies import FLAG, Pair
from autograde.grades import Grade
from autograde.judge import Verdict
from autograde.report import figures, statistics
from autograde.report.sides import side_by_side
from autograde.spec import Lesson

HERE = Path(__file__).parent
SHOWN_PAIRS = 50
SHOWN_NAMES = 12
SLOWEST = 8


def write_report(
    classroom: Classroom, lesson: Lesson, grades: list[Grade], pairs: Sequence[Pair] = ()
) -> Path:
    """Write reports/<lesson>.html for the instructor; returns its path.

    grades: of any lessons; those of this one count.
    pairs: what `flag_copies` found in it.
    """
    file = classroom.reports / f"{lesson.name}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    text = render(lesson, [g for g in grades if g.lesson == lesson.name], pairs)
    # A folder's name need not be text; what is none is shown as its code.
    draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    draft.replace(file)
    return file


def render(lesson: Lesson, grades: list[Grade], pairs: Sequence[Pair] = ()) -> str:
    """The page of a lesson as HTML."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    stats = statistics.task_stats(lesson, grades)
    summary = statistics.summary(lesson, grades)
    seconds = sorted((g.seconds for g in grades if g.seconds > 0), reverse=True)
    telling = [p for p in pairs if not p.common]
    return _environment().get_template("page.html").render(
        lesson=lesson,
        script=Markup(script),
        script_hash=digest,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        summary=summary,
        stats=stats,
        ideas=statistics.not_understood(stats),
        statuses=statistics.STATUSES,
        seconds=seconds,
        time=statistics.quartiles(seconds),
        slowest=sorted(grades, key=lambda g: -g.seconds)[:SLOWEST] if seconds else [],
        failures=statistics.failures(grades),
        rows=[_row(lesson, g) for g in sorted(grades, key=lambda g: g.student)],
        pairs=telling,
        shown_pairs=SHOWN_PAIRS,
        natural=[p for p in pairs if p.common],
        often=_often(telling),
    )  # fmt: skip


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "stacked": figures.stacked,
        "bar": figures.bar,
        "score_chart": figures.score_chart,
        "time_chart": figures.time_chart,
        "side_by_side": side_by_side,
        "slug": figures.slug,
        "shown_names": SHOWN_NAMES,
    }
    environment.filters |= {"points": _points, "percent": _percent, "coded": coded}
    return environment


def _points(number: float) -> str:
    return f"{round(number, 2):g}"


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def coded(text: str) -> Markup:
    """Text with `what stands in backticks` as code; escaped."""
    escape = Markup.escape
    return Markup().join(
        Markup("<code>{}</code>").format(p) if k % 2 else escape(p)
        for k, p in enumerate(text.split("`"))
    )


@dataclass(frozen=True)
class Row:
    """A student in the table: a cell for each task, and what to look at."""

    grade: Grade
    cells: list[tuple[str, str]]  # the status, and what is written
    remarks: str


SIGNS = {"not attempted": "·", "refused": "0 r", "error": "0 !"}


def _row(lesson: Lesson, g: Grade) -> Row:
    verdicts = {v.exercise: v for v in g.verdicts}
    cells = [] if g.broken else [_cell(verdicts.get(task.name)) for task in lesson.tasks]
    return Row(g, cells, g.broken or "; ".join(_remarks(g)))


def _cell(verdict: Verdict | None) -> tuple[str, str]:
    status = verdict.status if verdict else "error"
    status = status if status in statistics.STATUSES else "error"
    return status, SIGNS.get(status) or _points(verdict.points if verdict else 0.0)


def _remarks(g: Grade) -> list[str]:
    """What is odd in the file, then each flag with the tasks that bear it."""
    where: dict[str, list[str]] = defaultdict(list)
    for v in g.verdicts:
        for flag in dict.fromkeys("near copy" if f.startswith(FLAG) else f for f in v.flags):
            where[flag].append(v.exercise)
    late = [f"late: {_points(g.penalty)} points off"] if g.penalty else []
    flags = [f"{flag} in {_tasks(names)}" for flag, names in where.items()]
    return [*g.flags, *late, *flags]


def _tasks(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} tasks"


def _often(pairs: Sequence[Pair]) -> list[tuple[tuple[str, ...], int]]:
    """Students found together in several exercises, and in how many; the most first."""
    together: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for pair in pairs:
        if not pair.with_solution:
            for two in combinations(pair.students, 2):
                together[two].add(pair.exercise)
    counts = Counter({two: len(names) for two, names in together.items() if len(names) > 1})
    return counts.most_common(20)
