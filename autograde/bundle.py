"""A zip to hand to students: lessons, the library, the student's side, and a page to start from."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from autograde.exercises import PAGES, find_lesson
from autograde.sandbox import PROJECT

START = """\
# Object detection, lesson by lesson

You need Python 3.11 or newer. In this folder, once:

    python -m venv .venv
    .venv/bin/pip install -r requirements.txt        (Windows: .venv\\Scripts\\pip ...)

Then, each time:

    .venv/bin/jupyter lab lessons                    (Windows: .venv\\Scripts\\jupyter ...)

Open a lesson, work from the top, save, and hand in the notebook under its own name.

{lessons}
- `explorers.html`: the same figures as a page, for any browser
"""

PYPROJECT = """\
[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"

[project]
name = "object-detection-course"
version = "0.1.0"
requires-python = ">=3.11"

[tool.setuptools.packages.find]
include = ["course_lib*", "autograde*"]

[tool.setuptools.package-data]
autograde = ["student/public/*.json"]
course_lib = ["explore/js/*.js", "explore/js/*.css"]
"""

# What a learner's machine does not need: it belongs to writing and grading lessons.
GRADING_ONLY = (
    *("nbgrader", "jupytext", "psutil", "rich", r"bleach\[css\]"),
    *("distributed", "cryptography", "jinja2"),
)


def bundle(lessons: list[str], file: Path) -> list[str]:
    """Write the zip; returns the names inside it."""
    titles = [f"- `lessons/{n}/{n}.ipynb`: {find_lesson(n).title}" for n in lessons]
    titles.append("- `lessons/explorers/explorers.ipynb`: figures to play with")
    texts = {
        "START_HERE.md": START.format(lessons="\n".join(titles)),
        "pyproject.toml": PYPROJECT,
        "requirements.txt": _requirements(),
    }
    files = [PROJECT / "LICENSE", PROJECT / "autograde" / "__init__.py"]
    for kind in ("py", "js", "css"):
        files += sorted((PROJECT / "course_lib").rglob(f"*.{kind}"))
    files += sorted((PROJECT / "autograde" / "student").rglob("*.py"))
    for lesson in lessons:
        files.append(PROJECT / "autograde" / "student" / "public" / f"{lesson}.json")
    files += [PROJECT / "lessons" / name / f"{name}.ipynb" for name in (*lessons, *PAGES)]
    missing = [f for f in files if not f.exists()]
    if missing:
        names = ", ".join(f.name for f in missing)
        raise FileNotFoundError(f"{names} missing: run `python -m autograde build` first")
    texts |= {f.relative_to(PROJECT).as_posix(): f.read_text(encoding="utf-8") for f in files}
    texts["explorers.html"] = (PROJECT / "docs" / "explorers.html").read_text(encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name in sorted(texts):
            # A fixed date: the same content gives the same zip.
            entry = zipfile.ZipInfo(f"object-detection/{name}", date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, texts[name])
    return sorted(texts)


def _requirements() -> str:
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    drop = re.compile(rf"({'|'.join(GRADING_ONLY)})==")
    return "\n".join(line for line in lines if not drop.match(line)) + "\n"
