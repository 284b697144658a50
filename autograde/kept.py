"""What was found for files before: kept under the hash of all that decides it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograde.classroom import Classroom
from autograde.jobs import Job, Judged
from autograde.results import machinery, to_store
from autograde.sandbox import Limits
from autograde.triage import BrokenSubmission, read_bytes


class Kept:
    """The results of a class. force: take none of them, judge everything again."""

    def __init__(self, classroom: Classroom, limits: Limits, force: bool = False) -> None:
        self.classroom, self.limits, self.force = classroom, limits, force
        self.secret = classroom.secret()
        self._sources: dict[str, str] = {}
        self._begun: dict[str, Any] = {}  # what decides the results of a lesson, hashed

    def job(self, file: Path, lesson: str) -> tuple[str, Job]:
        """The key of a submitted file's result, and the work that makes it."""
        raw = read_bytes(file, self.classroom.submitted)
        if lesson not in self._sources:
            source = self._sources[lesson] = json.dumps(self.classroom.source(lesson))
            decides = [lesson, source, self.secret, asdict(self.limits), machinery()]
            self._begun[lesson] = hashlib.sha256(json.dumps(decides).encode())
        digest = self._begun[lesson].copy()
        digest.update(raw)
        job = Job(file.name, raw, self._sources[lesson], lesson, self.secret, self.limits)
        return digest.hexdigest(), job

    def is_new(self, student: str, lesson: str) -> bool:
        """Is there something to judge?"""
        try:
            key, _ = self.job(self.classroom.submission(student, lesson), lesson)
        except (BrokenSubmission, OSError):
            return False
        return self._noted(key) is None

    def find(self, key: str) -> Judged | None:
        """What was found for a file before, if it is still there."""
        noted = self._noted(key)
        if noted is None:
            return None
        if noted["broken"]:
            return Judged(broken=noted["broken"])
        result = self._result(noted["key"]).read_text(encoding="utf-8")
        return Judged(noted["key"], result, noted["flags"])

    def _noted(self, key: str) -> dict[str, Any] | None:
        """What was noted of a file, where all that belongs to it is still there."""
        file = self.classroom.results / "seen" / f"{key}.json"
        if self.force or not file.exists():
            return None
        noted = json.loads(file.read_text(encoding="utf-8"))
        return noted if noted["broken"] or self._result(noted["key"]).exists() else None

    def _result(self, key: str) -> Path:
        return self.classroom.results / f"{key}.json"

    def keep(self, key: str, found: Judged) -> None:
        """Note what was found. A failure of the machine is not kept: it is tried again."""
        store = self.classroom.results
        if found.broken.startswith("grading failed"):
            return
        if found.key:
            to_store(store, found.key, found.result)
        noted = {"key": found.key, "flags": found.flags, "broken": found.broken}
        to_store(store / "seen", key, json.dumps(noted))
