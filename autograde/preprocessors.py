"""The judge as nbgrader preprocessors, so that nbgrader's own commands give the judge's grades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor
from traitlets import Unicode

from autograde.cells import restore
from autograde.classroom import Classroom
from autograde.deadlines import handed_in, write_due_dates
from autograde.results import judged
from autograde.sandbox import Limits
from autograde.triage import BrokenSubmission, look_at

META = "autograde"  # the key of our notes in a notebook's metadata


class WriteStubs(ClearSolutions):
    """Take solutions out: functions get a stub that says so, questions keep `name = None`."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, cell_index: int
    ) -> tuple[NotebookNode, Any]:
        if utils.is_solution(cell):
            name = cell.metadata.nbgrader.grade_id
            stub = f'raise NotImplementedError("{name}: not attempted yet")'
            if cell.metadata.get("question"):
                stub = f"{name} = None  # your answer"
            self.code_stub = {"python": stub}
        return super().preprocess_cell(cell, resources, cell_index)


class _InClassroom(NbGraderPreprocessor):
    """A preprocessor that knows which class it works for."""

    root = Unicode(help="The folder of the class: source/, submitted/, gradebook.db").tag(
        config=True
    )

    def source(self, resources: Any) -> NotebookNode:
        return Classroom(Path(self.root)).source(resources["nbgrader"]["assignment"])


class RestoreCells(_InClassroom):
    """Put back what a student may not change: check cells, points, ids, the kernel."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        info = resources["nbgrader"]
        room = Classroom(Path(self.root))
        file = room.submission(info["student"], info["assignment"])
        try:
            look_at(file, room.submitted)
        except BrokenSubmission as broken:
            raise ValueError(f"{info['student']}: {broken}") from None
        self._note_time(room, info)
        restored, flags = restore(nb, self.source(resources))
        restored.metadata[META] = {"flags": flags}
        return restored, resources

    def _note_time(self, room: Classroom, info: dict[str, str]) -> None:
        """Where the instructor says when things were handed in, that counts."""
        times = handed_in(room)
        if times is not None:
            student, lesson = info["student"], info["assignment"]
            with Gradebook(info["db_url"]) as book:
                write_due_dates(book, room)
                when = times.get((student, lesson))
                book.update_or_create_submission(lesson, student, timestamp=when)


class JudgeNotebook(_InClassroom):
    """Run the notebook in the sandbox and write each verdict into its check cell."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        room = Classroom(Path(self.root))
        lesson = resources["nbgrader"]["assignment"]
        notes = nb.metadata.get(META, {})
        source = self.source(resources)
        result = judged(nb, source, lesson, room.secret(), room.results, Limits())
        judged_nb = nbformat.from_dict(result.notebook)
        judged_nb.metadata[META] = {
            "flags": sorted({*notes.get("flags", []), *result.flags}),
            "verdicts": [v.to_json() for v in result.verdicts],
        }
        return judged_nb, resources
