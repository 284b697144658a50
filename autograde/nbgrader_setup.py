"""nbgrader's configuration for a class, used by nbgrader_config.py and by our commands alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    ComputeChecksums,
    LockCells,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
    SaveCells,
)

from autograde.deadlines import LatePolicy
from autograde.preprocessors import JudgeNotebook, RestoreCells, WriteStubs

COURSE_ID = "object-detection"
# A file that came with a submission and could stand in the way of a module of ours. nbgrader
# copies the rest beside the notebook, where the sandbox does not look anyhow.
IGNORE = [".*", "*.py", "*.pyc", "*.so", "__pycache__", "course_lib", "autograde", "*.pth"]


def gradebook_url(classroom: Path) -> str:
    """The gradebook of a class, where no other is named."""
    return f"sqlite:///{classroom / 'gradebook.db'}"


def configure(c: Any, classroom: Path, release: Path, db_url: str | None = None) -> None:
    """Point nbgrader at the rooms of a class, and plug in the judge."""
    # nbgrader runs `alembic` by name: it must be found where the environment is not activated.
    here = str(Path(sys.executable).parent)
    if here not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])
    c.CourseDirectory.course_id = COURSE_ID
    for room in ("source", "submitted", "autograded", "feedback"):
        setattr(c.CourseDirectory, f"{room}_directory", str(classroom / room))
    c.CourseDirectory.release_directory = str(release)
    c.CourseDirectory.db_url = db_url or gradebook_url(classroom)
    c.CourseDirectory.ignore = IGNORE
    c.AssignLatePenalties.plugin_class = LatePolicy
    for step in (RestoreCells, JudgeNotebook, LatePolicy):
        c[step.__name__].root = str(classroom)
    c.GenerateAssignment.preprocessors = [
        LockCells,
        WriteStubs,
        ClearOutput,
        CheckCellMetadata,
        ComputeChecksums,
        SaveCells,
        CheckCellMetadata,
    ]
    c.Autograde.sanitize_preprocessors = [
        RestoreCells,
        ClearOutput,
        OverwriteKernelspec,
        OverwriteCells,
        CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        JudgeNotebook,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
