"""All that is written down of a grading: scores, the instructor's page, files for an LMS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autograde.classroom import Classroom
from autograde.copies import flag_copies
from autograde.exercises import find_lesson
from autograde.exports import Key, write_canvas, write_moodle
from autograde.grades import Grade, read_grades, write_grades
from autograde.report import write_report
from autograde.scores import write_scores
from autograde.source_check import definitions


def write_reports(
    classroom: Classroom, lessons: Iterable[str], grades: list[Grade], moodle_key: Key = "username"
) -> list[Path]:
    """Flag near copies in these lessons, and write reports/; returns the lessons' pages.

    Other lessons that were graded before keep their place in scores.csv and the rest.
    """
    pages = []
    for name in lessons:
        lesson = find_lesson(name)
        reference = definitions(classroom.source(name), [e.name for e in lesson.exercises])
        mine = [g for g in grades if g.lesson == name]
        pairs = flag_copies(lesson, mine, reference)
        pages.append(write_report(classroom, lesson, mine, pairs))
    write_grades(classroom, grades)
    everything = read_grades(classroom)
    write_scores(classroom, everything)
    write_canvas(classroom, everything)
    write_moodle(classroom, everything, moodle_key)
    return pages
