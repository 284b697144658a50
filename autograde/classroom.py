"""One class's working data: where things are in its folder."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class Classroom:
    """The folder of a class. `root` need not exist yet."""

    root: Path

    @property
    def submitted(self) -> Path:
        return self.root / "submitted"

    @property
    def autograded(self) -> Path:
        return self.root / "autograded"

    @property
    def feedback(self) -> Path:
        return self.root / "feedback"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def solved(self) -> Path:
        return self.root / "solved"

    def source_file(self, lesson: str) -> Path:
        return self.root / "source" / lesson / f"{lesson}.ipynb"

    def source(self, lesson: str) -> NotebookNode:
        """The instructor's notebook of a lesson, solutions included."""
        file = self.source_file(lesson)
        if not file.exists():
            raise FileNotFoundError(
                f"there is no {file}; make it with: python -m autograde build {lesson}"
            )
        import nbformat  # slow to import, and most uses of a classroom need no notebook

        return nbformat.read(file, as_version=4)

    def submission(self, student: str, lesson: str) -> Path:
        return self.submitted / student / lesson / f"{lesson}.ipynb"

    def secret(self) -> str:
        """The seed of the hidden cases: made once, readable by its owner only."""
        file = self.root / "secret"
        if not file.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f"secret.{os.getpid()}")
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w") as out:
                out.write(secrets.token_hex(16) + "\n")
            try:
                os.link(draft, file)  # the first of several processes wins
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return file.read_text().strip()
