"""Exercises that are checked at once, and a judge that cannot be talked into points.

A notebook needs two names from here: `check` and `hint`.
"""

from autograde.student.check import check, hint

__all__ = ["check", "hint"]
