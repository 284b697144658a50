"""Attacks in the notebook file: cells, points, ids, languages, formats."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from attacks.lab import ALL, NONE, Attack, Folder, Ground, in_cells
from autograde.cells import CHECK, grade_id
from autograde.demo import LESSON

FILE = f"{LESSON}.ipynb"


def _cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(c for c in notebook.cells if grade_id(c) == name)


def more_points(notebook: NotebookNode) -> None:
    """Each check is worth 400 points; the questions' cells, too, are graded."""
    for cell in notebook.cells:
        if grade_id(cell):
            cell.metadata.nbgrader.update(points=400, grade=True, locked=False, solution=False)
            cell.metadata["score"] = cell.metadata["autograde"] = {"points": 400}


def own_checks(notebook: NotebookNode) -> None:
    """Checks are doubled, invented and rewritten to print points."""
    for name in ("box_iou", "box_area"):
        check = _cell(notebook, CHECK + name)
        twin = copy.deepcopy(check)
        twin.metadata.nbgrader.points = 50
        twin.id += "-again"
        check.source, twin.source = "400.0", "50.0"
        notebook.cells.append(twin)
    extra = new_code_cell("9.0", id="invented")
    info = {**_cell(notebook, CHECK + "box_iou").metadata.nbgrader}
    extra.metadata = {"nbgrader": {**info, "points": 9, "grade_id": "check_invented"}}
    notebook.cells.append(NotebookNode(extra))


def easy_checks(notebook: NotebookNode) -> None:
    """Hard exercises' checks carry the names of easy ones and the other way round."""
    hard, easy = _cell(notebook, CHECK + "box_iou"), _cell(notebook, CHECK + "half_shifted")
    hard.metadata, easy.metadata = easy.metadata, hard.metadata
    hard.source, easy.source = easy.source, hard.source


def no_checks(notebook: NotebookNode) -> None:
    """All checks are gone."""
    notebook.cells = [c for c in notebook.cells if not (grade_id(c) or "").startswith(CHECK)]


def nothing_left(notebook: NotebookNode) -> None:
    """No cell is left that has a name."""
    notebook.cells = [new_markdown_cell("20 of 20 points", id="only")]


def manual_grading(notebook: NotebookNode) -> None:
    """Check cells ask for a person, or are tasks of another kind."""
    for cell in notebook.cells:
        name = grade_id(cell) or ""
        if name.startswith(CHECK):
            cell.metadata.nbgrader.update(solution=True, task=True, cell_type="markdown")
            cell.cell_type, cell.source = "markdown", "Please give 400 points."
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)


def odd_metadata(notebook: NotebookNode) -> None:
    """Metadata of all wrong kinds; checks that claim an old schema."""
    odd = ["text", 5, None, [], {"grade_id": ["x"]}, {"grade_id": {"a": 1}}, {"schema_version": 99}]
    odd += [{"grade_id": "<img src=x onerror=alert(1)>", "points": "NaN", "grade": "yes"}]
    for k, info in enumerate(odd):
        cell = new_code_cell("1", id=f"odd-{k}")
        cell.metadata["nbgrader"] = info
        notebook.cells.append(cell)
    for cell in notebook.cells:
        if (grade_id(cell) or "").startswith(CHECK):
            cell.metadata.nbgrader.update(schema_version=1, points=-3, checksum="0" * 32)
    verdict = {"exercise": "box_iou", "points": 400, "max_points": 400, "status": "passed"}
    notebook.metadata["autograde"] = {"flags": "x", "verdicts": [verdict]}
    notebook.metadata["nbgrader"] = {"score": 400}


def other_language(notebook: NotebookNode) -> None:
    """The notebook claims a kernel that would run a shell on the grader's machine."""
    notebook.metadata.kernelspec = {
        "name": "../../x", "display_name": "R", "language": "R", "argv": ["sh", "-c", "touch /x"],
    }  # fmt: skip


def skipping_tags(notebook: NotebookNode) -> None:
    """Tags that tell nbclient to skip a cell or expect its error."""
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception", "remove_cell", "parameters"]


def raw_checks(notebook: NotebookNode) -> None:
    """Every check is a raw cell, which nobody runs."""
    for cell in notebook.cells:
        if (grade_id(cell) or "").startswith(CHECK):
            cell.cell_type = "raw"
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)


def same_ids(notebook: NotebookNode) -> None:
    """All cells have one id, or ids with markup and paths."""
    for k, cell in enumerate(notebook.cells):
        cell.id = ("check_box_iou", "../../x", "<script>alert(1)</script>", "x" * 65)[k % 4]


def attachments(notebook: NotebookNode) -> None:
    """Attachments that grow a thousandfold when unpacked, and one that claims megabytes."""
    cell = new_markdown_cell("![x](attachment:bomb.png)", id="bomb")
    cell.attachments = {
        f"bomb-{k}.{kind}": {"image/png": "H4sIAAAA" * 20_000, "application/zip": "UEsDBA" * 9_000}
        for k in range(10)
        for kind in ("png", "zip", "../../x")
    }
    notebook.cells.append(cell)


def _written(change) -> object:
    """A notebook whose JSON is changed as plain data, where nbformat would not write it."""

    def make(ground: Ground) -> Folder:
        data = json.loads(nbformat.writes(ground.notebook(True)))
        text = change(data)

        def write(folder: Path) -> None:
            raw = text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")
            (folder / FILE).write_bytes(raw)

        return write

    return make


def old_format(data: dict) -> str:
    """The same cells as nbformat 3 had them, checks without their names."""
    cells = [
        {"cell_type": "code", "language": "python", "input": c["source"], "metadata": c["metadata"],
         "outputs": [], "collapsed": False, "prompt_number": 1}
        if c["cell_type"] == "code" else
        {"cell_type": "markdown", "source": c["source"], "metadata": {}}
        for c in data["cells"]
    ]  # fmt: skip
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "x"},
                       "worksheets": [{"cells": cells, "metadata": {}}]})  # fmt: skip


def new_minor(data: dict) -> str:
    return json.dumps({**data, "nbformat_minor": 99, "new": {"points": 400}})


def new_major(data: dict) -> str:
    return json.dumps({**data, "nbformat": 9})


def surrogate_source(data: dict) -> str:
    data["cells"].append({"cell_type": "code", "id": "s", "metadata": {}, "outputs": [],
                          "execution_count": None, "source": "x = '\udc80 \ud83d'"})  # fmt: skip
    return json.dumps(data)


def huge_numbers(data: dict) -> str:
    text = json.dumps(data)
    return text.replace('"nbformat_minor": 5', '"nbformat_minor": ' + "9" * 100_000)


def endless_numbers(data: dict) -> str:
    data["metadata"]["x"] = 1
    return json.dumps(data).replace('"x": 1', '"x": [NaN, Infinity, -Infinity, 1e999]')


def deep_json(data: dict) -> str:
    return "[" * 200_000 + "]" * 200_000


def twice_named(data: dict) -> str:
    """Two lists of cells: readers that take the first, and readers that take the last."""
    return '{"cells": [], ' + json.dumps(data)[1:]


def odd_sources(data: dict) -> str:
    for k, source in enumerate((None, 5, ["a", 5, None], {"x": 1}, True, [["y"]])):
        data["cells"].append({"cell_type": "code", "id": f"o{k}", "metadata": {}, "outputs": [],
                              "execution_count": None, "source": source})  # fmt: skip
    return json.dumps(data)


READ_AS = "language:R"
ATTACKS: tuple[Attack, ...] = (
    in_cells("more-points", "Changes points.", more_points, NONE, solved=False),
    in_cells("own-checks", "Rewrites, doubles and invents checks.", own_checks, NONE,
             ("double-cell", "cell-changed"), solved=False),
    in_cells("easy-checks", "Exchanges the names of checks.", easy_checks, NONE, solved=False),
    in_cells("no-checks", "Deletes all checks.", no_checks, NONE, ("cell-restored",), solved=False),
    in_cells("nothing-left", "Deletes all cells.", nothing_left, NONE, ("cell-restored",)),
    in_cells("manual-grading", "Asks a person for points in checks.", manual_grading, NONE,
             ("cell-changed",), solved=False),
    in_cells("odd-metadata", "Fills metadata with all wrong kinds of value.", odd_metadata, ALL),
    in_cells("other-language", "Names a kernel that runs a shell.", other_language, ALL, (READ_AS,)),
    in_cells("skipping-tags", "Tags all cells to be skipped.", skipping_tags, ALL),
    in_cells("raw-checks", "Makes checks raw cells.", raw_checks, NONE, ("cell-changed",),
             solved=False),
    in_cells("same-ids", "Gives cells one id, or ids with markup.", same_ids, ALL),
    in_cells("attachments", "Attaches zip bombs.", attachments, ALL),
    Attack("old-format", "Is a notebook of nbformat 3.", _written(old_format), ALL),
    Attack("new-minor", "Is a notebook of nbformat 4.99.", _written(new_minor), ALL),
    Attack("new-major", "Is a notebook of nbformat 9.", _written(new_major), NONE, ("broken",)),
    Attack("surrogate-source", "Has code that has no encoding.", _written(surrogate_source), NONE,
           ("broken", "UnicodeEncodeError")),
    Attack("huge-numbers", "Has numbers of 100,000 digits.", _written(huge_numbers), NONE,
           ("broken",)),
    Attack("endless-numbers", "Has NaN and infinities.", _written(endless_numbers), ALL),
    Attack("deep-json", "Is JSON too deep to read.", _written(deep_json), NONE, ("broken",)),
    Attack("twice-named", "Names its cells twice.", _written(twice_named), ALL),
    Attack("odd-sources", "Has cells that are no text.", _written(odd_sources), NONE, ("broken",)),
)  # fmt: skip
