"""All that is written down of a grading: scores, the instructor's page, files for an LMS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autograde.classroom import Classroom
from autograde.copies import flag_copies
from autograde.exercises import find_lesson
from autograde.exports import write_canvas, write_moodle
from autograde.grades import Grade, read_grades, write_grades
from autograde.report import write_report
from autograde.scores import write_scores
from autograde.source_check import definition
from autograde.spec import Exercise


def write_reports(classroom: Classroom, lessons: Iterable[str], grades: list[Grade]) -> list[Path]:
    """Flag near copies in these lessons, and write reports/; returns the lessons' pages.

    Other lessons that were graded before keep their place in scores.csv and the rest.
    """
    pages = []
    for name in lessons:
        lesson = find_lesson(name)
        code = [c.source for c in classroom.source(name).cells if c.cell_type == "code"]
        exercises = [t.name for t in lesson.tasks if isinstance(t, Exercise)]
        mine = [g for g in grades if g.lesson == name]
        pairs = flag_copies(lesson, mine, {e: definition(code, e) for e in exercises})
        pages.append(write_report(classroom, lesson, mine, pairs))
    write_grades(classroom, grades)
    everything = read_grades(classroom)
    write_scores(classroom, everything)
    write_canvas(classroom, everything)
    write_moodle(classroom, everything)
    return pages
