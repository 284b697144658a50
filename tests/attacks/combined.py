"""Several attacks in one submission, where one covers for the other."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from attacks import answers, files, greed, kernel, notebooks, outputs, system
from attacks.lab import ALL, NONE, Attack, Folder, Ground, lost_with


def _table_and_liars(ground: Ground) -> NotebookNode:
    """Public answers by heart, everything equal to everything, results forged, checks doubled."""
    first = [kernel.COMPARATORS, kernel.DISPLAY_HOOK, kernel.EXCEPTIONS]
    notebook = ground.notebook(first=first, box_iou=answers.table_of_public_cases())
    notebooks.own_checks(notebook)
    return notebook


def _everything_forged(ground: Ground) -> NotebookNode:
    """Lying modules, rewriting threads, a forged idle, and no check left in the file."""
    first = [kernel.LATER, kernel.LIAR_MODULE, kernel.EARLY_IDLE]
    notebook = ground.notebook(first=first)
    notebooks.no_checks(notebook)
    return notebook


def _second_life(ground: Ground) -> NotebookNode:
    """Dies on purpose, and hopes that the next kernel finds what the first left behind."""
    first = [kernel.STARTUP_FILES, system.SHARED, "os.kill(os.getpid(), 9)", kernel.STARTUP_FILES]
    return ground.notebook(first=[*first, "os._exit(0)"])


def _tamper_and_leak(ground: Ground) -> NotebookNode:
    """Hidden inputs go out by errors, fields, files and the answer to a question at once."""
    return ground.notebook(
        True,
        last=[system.SHARED, outputs.ready(outputs.TEXTS)],
        box_area=answers.LEAKY_AREA,
        mask_iou=answers.LEAKY_MASK,
        iou_loss=answers.KEPT_FOR_LATER.replace("box_iou = keep", "iou_loss = keep"),
    )


def _noisy_library(ground: Ground) -> NotebookNode:
    """The library unwatched, behind floods of output and widgets that nobody wants to read."""
    right = "def box_iou(boxes1, boxes2, fmt='xyxy'):\n    return boxes1 @ boxes2.T"
    first = [answers.DISGUISED, kernel.COMMS, greed.SOCKET_FLOOD, outputs.ready(outputs.KINDS)]
    return ground.notebook(True, first=first, box_iou=right)


def _breakout(ground: Ground) -> NotebookNode:
    """Daemons that call out, mount, attach, kill and then stay."""
    first = [system.NETWORK, system.NEW_NAMESPACES, system.SIGNALS]
    return ground.notebook(True, first=[*first, greed.OUTLIVING], last=[system.PTRACE])


def _greedy_all(ground: Ground) -> NotebookNode:
    """Clocks frozen, everything full, thirty hogs, then memory and processes without an end."""
    return ground.notebook(
        True, last=[greed.CLOCK, greed.FULL_TMP, greed.HOGS, greed.HOG, greed.FORK_BOMB]
    )


def _all_hostile(ground: Ground) -> Folder:
    """A hostile name, files with our modules' names, a forged time, and metadata with script."""

    def write(folder: Path) -> None:
        notebook = ground.notebook(first=[kernel.INPUT_TRANSFORMER])
        notebooks.more_points(notebook)
        outputs.hostile_metadata(notebook)
        nbformat.write(notebook, folder / files.FILE)
        files.shadows(folder, ground)
        files.timestamp("1970-01-01 00:00:00 UTC")(folder, ground)

    return write


ATTACKS: tuple[Attack, ...] = (
    Attack("both-table-liars", "Public answers, patched and forged.", _table_and_liars, NONE),
    Attack("both-forged", "Lying modules and threads, no checks.", _everything_forged, NONE,
           ("cell-restored", "look-at-source")),
    Attack("both-second-life", "Dies, and lives on in what it left.", _second_life, NONE,
           ("kernel-died",)),
    Attack("both-leak", "Leaks inputs in every way at once.", _tamper_and_leak,
           ALL - lost_with("box_area", "mask_iou"),
        slow=True),
    Attack("both-noise", "Hides the library's answers behind noise.", _noisy_library,
           ALL - lost_with("box_iou"), ("look-at-source",), slow=True),
    Attack("both-breakout", "Calls out, mounts, attaches, kills, stays.", _breakout, ALL),
    Attack("both-greedy", "Fills, freezes and bombs.", _greedy_all, ALL, ("kernel-died",),
           slow=True),
    Attack("both-files", "A hostile name, folder, time and file.", _all_hostile, NONE,
           student="=1+1<script>alert(1)"),
)  # fmt: skip
