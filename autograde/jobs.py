"""What a worker does: judge one submission, draw one page of feedback.

Workers know no classroom, no gradebook and no file of the class: everything comes with the job
and goes back with the answer, so a worker may stand on another machine.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograde.cells import restore
from autograde.results import make_result, result_key
from autograde.sandbox import Limits
from autograde.triage import BrokenSubmission, parse_submission


@dataclass(frozen=True)
class Job:
    """A submission to judge: the file as it was handed in, and what it is judged by."""

    name: str
    raw: bytes
    source: str
    lesson: str
    secret: str
    limits: Limits


@dataclass(frozen=True)
class Judged:
    """What a worker found: the text of a Result with its key, or why there is none."""

    key: str = ""
    result: str = ""
    flags: list[str] = field(default_factory=list)
    broken: str = ""


@dataclass(frozen=True)
class Page:
    """What a page of feedback is drawn from: a notebook whose cells carry their scores."""

    notebook: str
    nbgrader: dict[str, Any]


def judge_submission(job: Job) -> Judged:
    """Judge one submission; whatever is wrong with it ends as a reason, never as an error."""
    try:
        notebook = parse_submission(job.raw, job.name)
        source = nbformat.reads(job.source, as_version=4)
        restored, flags = restore(notebook, source)
        key = result_key(restored, job.lesson, job.secret, job.limits)
        result = make_result(restored, source, job.lesson, job.secret, job.limits)
        return Judged(key, result.to_text(), flags)
    except BrokenSubmission as broken:
        return Judged(broken=str(broken))
    except Exception as error:
        return Judged(broken=f"grading failed: {type(error).__name__}: {error}"[:500])


# A page of feedback is text and pictures: whatever got into it, a browser runs and fetches nothing.
CLOSED = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


@cache
def exporter() -> HTMLExporter:
    """nbgrader's feedback template, made ready once."""
    settings = GenerateFeedback(coursedir=CourseDirectory(), config=Config()).config
    exporter = HTMLExporter(config=settings)
    exporter.register_preprocessor(CSSHTMLHeaderPreprocessor, enabled=True)
    return exporter


def feedback_page(asked: Page) -> str:
    """The feedback for a judged notebook, as nbgrader draws it."""
    resources = {"nbgrader": asked.nbgrader, "metadata": {"name": asked.nbgrader["assignment"]}}
    notebook = nbformat.from_dict(json.loads(asked.notebook))
    page, _ = exporter().from_notebook_node(notebook, resources)
    page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)  # MathJax, from elsewhere
    return page.replace("<head>", f"<head>\n{CLOSED}", 1)
