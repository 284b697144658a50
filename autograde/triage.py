"""Look at a submitted file before anything opens it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LARGEST = 20 << 20  # bytes of a submitted notebook; nobody writes 20 MB by hand


class BrokenSubmission(Exception):
    """A submission that cannot be graded; the message says why, for student and instructor."""


def look_at(file: Path, submitted: Path) -> None:
    """Raise BrokenSubmission unless `file` is a plain file of modest size inside `submitted`."""
    for part in (file, *file.parents):
        if part == submitted:
            break
        if part.is_symlink():
            raise BrokenSubmission(f"{part.name} is a link, not a file: hand in the file itself")
    if not os.path.lexists(file):
        found = sorted(p.name for p in file.parent.iterdir()) if file.parent.is_dir() else []
        others = [n for n in found if n.endswith(".ipynb")]
        if others:
            raise BrokenSubmission(
                f"no file {file.name}; found {', '.join(others[:3])} instead. "
                f"Rename the notebook to {file.name} and hand in again"
            )
        raise BrokenSubmission(f"no file {file.name} was handed in")
    info = file.lstat()
    if not stat.S_ISREG(info.st_mode):
        raise BrokenSubmission(f"{file.name} is not a plain file")
    if info.st_size > LARGEST:
        raise BrokenSubmission(
            f"{file.name} has {info.st_size >> 20} MB, more than {LARGEST >> 20} MB: "
            "clear the outputs, save, and hand in again"
        )
    _look_beside(file)


def _look_beside(file: Path) -> None:
    """nbgrader copies what stands beside a notebook, into the feedback, too: no links there."""
    total, todo = 0, [str(file.parent)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                total += max(4096, info.st_size)
                if stat.S_ISDIR(info.st_mode):
                    todo.append(entry.path)
                elif not stat.S_ISREG(info.st_mode):
                    raise BrokenSubmission(
                        f"{entry.name} is a link or no plain file: hand in the file itself"
                    )
                if total > LARGEST:
                    raise BrokenSubmission(
                        f"more than {LARGEST >> 20} MB were handed in: hand in the notebook alone"
                    )


def read_bytes(file: Path, submitted: Path) -> bytes:
    """What stands in a submitted file, or BrokenSubmission with the reason."""
    look_at(file, submitted)
    fd = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(fd, "rb") as opened:
        return opened.read(LARGEST + 1)


def parse_submission(raw: bytes, name: str) -> NotebookNode:
    """The notebook in a file's bytes, or BrokenSubmission with the reason."""
    try:
        data = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BrokenSubmission(
            f"{name} is no whole notebook file ({type(error).__name__}): "
            "was the upload cut off? Hand in again"
        ) from None
    try:
        notebook = nbformat.reads(json.dumps(data), as_version=4)
        cells = notebook.cells
        for cell in cells:
            cell["cell_type"], cell["source"], cell["metadata"].get("x")
    except Exception as error:  # a hostile file may break the reader in any way
        raise BrokenSubmission(
            f"{name} is JSON but no Jupyter notebook ({type(error).__name__}). "
            "Open it in JupyterLab, save, and hand in again"
        ) from None
    return notebook


def read_submission(file: Path, submitted: Path) -> NotebookNode:
    """The notebook in `file`, or BrokenSubmission with the reason."""
    return parse_submission(read_bytes(file, submitted), file.name)
