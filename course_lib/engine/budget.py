"""How much of a lesson's training to do: all of it, or a share where only the way there matters.

A lesson that trains writes `steps=budget(400)`. A reader gets the 400 steps. `make test` wants to
know that every cell runs, not how good the detector becomes: it sets the environment variable
COURSE_BUDGET to a share of 1, and the same cell takes 8 steps. `make test-full` sets nothing.
"""

from __future__ import annotations

import os

VARIABLE = "COURSE_BUDGET"


def budget(amount: int) -> int:
    """The part of `amount`, steps or seconds of training, that COURSE_BUDGET leaves; at least 1.

    amount: what a reader gets, 1 or more. Without the variable it comes back as it is.
    Errors: ValueError where `amount` is below 1, or the variable no share above 0 and at most 1.
    """
    if amount < 1:
        raise ValueError(f"a budget is 1 step or more, got {amount}")
    text = os.environ.get(VARIABLE, "1")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"{VARIABLE} must be a share above 0 and at most 1, got {text!r}")
    return max(1, round(amount * share))
