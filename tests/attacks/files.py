"""Attacks in the folder that is handed in: names, links, and files that stand in the way."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat

from attacks.lab import ALL, NONE, Attack, Folder, Ground
from autograde.demo import LESSON

FILE = f"{LESSON}.ipynb"
BOMB = "open('@ROOM@/reports/SHADOWED', 'w').close()\nraise SystemExit(0)\n"


def _beside(
    change: Callable[[Path, Ground], None], solved: bool = True
) -> Callable[[Ground], Folder]:
    """The notebook, and what `change` puts beside it or in its place."""

    def make(ground: Ground) -> Folder:
        def write(folder: Path) -> None:
            nbformat.write(ground.notebook(solved), folder / FILE)
            change(folder, ground)

        return write

    return make


def linked_file(folder: Path, ground: Ground) -> None:
    (folder / FILE).unlink()
    (folder / FILE).symlink_to(ground.room / "submitted" / "honest-first" / LESSON / FILE)


def linked_folder(folder: Path, ground: Ground) -> None:
    (folder / FILE).unlink()
    folder.rmdir()
    folder.symlink_to(ground.room / "submitted" / "honest-first" / LESSON)


def linked_beside(folder: Path, ground: Ground) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").symlink_to(ground.room / "secret")
    (folder / "book.db").symlink_to(ground.room / "gradebook.db")


def hard_linked(folder: Path, ground: Ground) -> None:
    (folder / "feedback.txt").write_text("mine")
    os.link(folder / "feedback.txt", folder / "again.txt")


def fifo(folder: Path, ground: Ground) -> None:
    (folder / FILE).unlink()
    os.mkfifo(folder / FILE)


def fifo_beside(folder: Path, ground: Ground) -> None:
    os.mkfifo(folder / "notes.txt")


def folder_for_file(folder: Path, ground: Ground) -> None:
    (folder / FILE).unlink()
    (folder / FILE / FILE).mkdir(parents=True)


def huge(folder: Path, ground: Ground) -> None:
    with (folder / FILE).open("r+b") as file:
        file.truncate(30 << 30)  # sparse: it takes no room on the disk


def shadows(folder: Path, ground: Ground) -> None:
    """Modules and settings with the names of ours."""
    bomb = ground.known(BOMB)
    for name in (
        "torch",
        "json",
        "sitecustomize",
        "conftest",
        "nbgrader_config",
        "random",
        "cells",
    ):
        (folder / f"{name}.py").write_text(bomb)
    for name in ("course_lib", "autograde", "numpy", ".ipython/profile_default/startup"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(bomb)
    config = f"import builtins\n{bomb}"
    for name in ("ipython_config.py", "jupyter_config.py", ".pth", "x.pth", "pyproject.toml"):
        (folder / name).write_text(config)


def odd_names(folder: Path, ground: Ground) -> None:
    names = ["<img src=x onerror=alert(1)>.txt", "=HYPERLINK(1).csv", "\u202etxt.exe", "a\nb.txt",
             "-rf", ".hidden", "..notes", "$(touch x)", "feedback.html", "timestamp.txt.bak"]  # fmt: skip
    for name in names:
        (folder / name).write_text("x")
    for name in (f"{LESSON}.html", f"{LESSON} .ipynb", "other.ipynb"):
        (folder / name).write_text("<script>window.__canary=1;alert(1)</script>")


def timestamp(text: str) -> Callable[[Path, Ground], None]:
    def write(folder: Path, ground: Ground) -> None:
        (folder / "timestamp.txt").write_text(text)

    return write


def zip_bomb(folder: Path, ground: Ground) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("../../../x", b"\0" * (40 << 20))


def _as(student: str) -> Callable[[Ground], Folder]:
    return _beside(lambda folder, ground: None, solved=True)


NAMES = {
    "formula": '=cmd|"calc"!A1',
    "plus": "+1+1",
    "markup": "<img src=x onerror=alert(1)>",
    "turned": "\u202eeve",
    "dashes": "--force",
    "shell": "$(touch x);`id`",
    "spaced": " eve [bold]",
    "percent": "%2e%2e%2fadmin",
    "two-lines": "eve\nada,01_iou,20",
}
ATTACKS: tuple[Attack, ...] = (
    Attack("linked-file", "Links to another's notebook.", _beside(linked_file), NONE, ("is a link",)),
    Attack("linked-folder", "Links to another's folder.", _beside(linked_folder), NONE,
           ("is a link",)),
    Attack("linked-beside", "Links to the secret beside its notebook.", _beside(linked_beside), NONE,
           ("link",)),
    Attack("hard-linked", "Has a file with two names.", _beside(hard_linked), ALL),
    Attack("fifo", "Hands in a pipe.", _beside(fifo), NONE, ("not a plain file",)),
    Attack("fifo-beside", "Has a pipe beside it.", _beside(fifo_beside), NONE, ("no plain file",)),
    Attack("folder-for-file", "Hands in a folder.", _beside(folder_for_file), NONE,
           ("not a plain file",)),
    Attack("huge-file", "Hands in 30 GB.", _beside(huge), NONE, ("MB",)),
    Attack("shadows", "Hands in modules with our names.", _beside(shadows), ALL),
    Attack("shadows-blank", "Hands in modules that would give points.", _beside(shadows, False), NONE),
    Attack("odd-names", "Has files with hostile names beside it.", _beside(odd_names), ALL),
    Attack("early-stamp", "Says that it was in time, in 1970.",
           _beside(timestamp("1970-01-01 00:00:00 UTC")), ALL),
    Attack("hostile-stamp", "Has a time that is none.",
           _beside(timestamp("<script>alert(1)</script>\n" + "9" * 10_000)), ALL),
    Attack("zip-bomb", "Has an archive that grows, and leads out, beside it.", _beside(zip_bomb), ALL),
    *(Attack(f"name-{kind}", "Has a name that is markup, a formula or an option.", _as(name), ALL,
             student=name, slow=kind in ("plus", "turned", "shell", "percent", "spaced"))
      for kind, name in NAMES.items()),
)  # fmt: skip
