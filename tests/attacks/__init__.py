"""The attack collection: submissions of lesson 01 that try to earn what they did not, or to harm.

Each is plain data: a function that makes the notebook or the folder that is handed in, a sentence
on what it tries, what its honest twin earns, and what must be told of it. They are graded as one
class by tests/test_attack_class.py.
"""

from dataclasses import replace

from attacks import answers, combined, files, greed, kernel, notebooks, outputs, system
from attacks.lab import ALL, LESSON, NONE, TASKS, WON, Attack, Ground

PARTS = (kernel, answers, notebooks, outputs, files, system, greed, combined)
# Nearly as another one, which stays: like the slow ones, these are made in make test-full.
LIKE_ANOTHER = {
    *("dispatch-mode", "by-clock", "public-from-disk", "leaky-fields", "endless-numbers"),
    *("new-minor", "output-pictures", "output-names", "hard-linked", "shadows-blank"),
    *("hostile-stamp", "name-dashes", "name-two-lines", "update-display", "both-forged"),
}
ATTACKS: tuple[Attack, ...] = tuple(
    replace(attack, slow=attack.slow or attack.name in LIKE_ANOTHER)
    for part in PARTS
    for attack in part.ATTACKS
)

__all__ = ["ALL", "ATTACKS", "LESSON", "NONE", "TASKS", "WON", "Attack", "Ground"]
