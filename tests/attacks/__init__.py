"""The attack collection: submissions of lesson 01 that try to earn what they did not, or to harm.

Each is plain data: a function that makes the notebook or the folder that is handed in, a sentence
on what it tries, what its honest twin earns, and what must be told of it. They are graded as one
class by tests/test_attack_class.py.
"""

from attacks import answers, combined, files, greed, kernel, notebooks, outputs, system
from attacks.lab import ALL, LESSON, NONE, TASKS, WON, Attack, Ground

PARTS = (kernel, answers, notebooks, outputs, files, system, greed, combined)
ATTACKS: tuple[Attack, ...] = tuple(attack for part in PARTS for attack in part.ATTACKS)

__all__ = ["ALL", "ATTACKS", "LESSON", "NONE", "TASKS", "WON", "Attack", "Ground"]
