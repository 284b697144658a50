"""Exercise 3: settle."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_02_nms.inputs import (
    chain,
    network,
    table,
)
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import suppression as ref


def _rounds(overlaps: Tensor, count: int) -> Tensor:
    keep = torch.ones(len(overlaps), dtype=torch.bool)
    for _ in range(count):
        keep = ~(overlaps & keep[:, None]).any(0)
    return keep


def _groups(overlaps: Tensor) -> Tensor:
    """The first of each group of boxes that hang together, however loosely."""
    label = torch.arange(len(overlaps))
    both = overlaps.triu(1) | overlaps.triu(1).T
    for _ in range(len(overlaps)):
        for k in range(len(overlaps)):
            label[k] = torch.cat([label[k][None], label[both[k]]]).min()
    return label == torch.arange(len(overlaps))


def _star(d: Draw) -> Tensor:
    """The last box overlaps all others, which do not meet."""
    return table([(k, 4) for k in range(4)], 5)


def _settle_case(probes: str, make: Callable[[Draw], Tensor], core: bool = False) -> Case:
    return Case(probes, lambda d: (make(d),), core=core)


def _toggling(overlaps: Tensor, row: bool) -> Tensor:
    """The kept boxes along the wrong axis: a box is asked whether it stays itself."""
    better, keep = overlaps.triu(1), torch.ones(len(overlaps), dtype=torch.bool)
    for _ in range(len(overlaps)):
        keep = ~((better & keep[:, None]).any(1) if row else (better & keep).any(0))
    return keep


def _inverted(overlaps: Tensor) -> Tensor:
    better, keep = overlaps.triu(1), torch.ones(len(overlaps), dtype=torch.bool)
    for _ in range(len(overlaps)):
        keep = (better & keep[:, None]).any(0)
    return keep


def _too_few(count: int, word: str) -> Mistake:
    """A fixed number of rounds, told from other numbers by where a chain stands then."""
    return Mistake(
        f"{word.lower()}_rounds",
        f"{word} rounds are not always enough: a long chain settles by one box a round. N rounds "
        "are, or repeat until a round changes nothing.",
        lambda o: _rounds(o.triu(1), count),
    )


FIXED_ROUNDS = {
    2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight", 9: "Nine",
    10: "Ten", 12: "Twelve", 15: "Fifteen", 16: "Sixteen", 20: "Twenty", 25: "Twenty-five",
}  # fmt: skip

SETTLE = Exercise(
    name="settle",
    points=3,
    reference=ref.settle,
    names=("overlaps",),
    cases=(
        _settle_case("A drops B, and B would have dropped C", lambda d: chain(3), core=True),
        _settle_case(
            "five boxes, as in the example",
            lambda d: table([(0, 1), (1, 2), (2, 3), (0, 4)], 5),
            core=True,
        ),
        _settle_case("eight boxes, any overlaps", lambda d: network(d, 8, 0.3), core=True),
        _settle_case("a chain of 7: every other one stays", lambda d: chain(7)),
        _settle_case("a chain of 30: many rounds", lambda d: chain(30)),
        _settle_case("the worst box overlaps all others", _star),
        _settle_case("two pairs", lambda d: table([(0, 2), (1, 3)], 4)),
        _settle_case(
            "all overlap: only the best stays", lambda d: torch.ones(6, 6, dtype=torch.bool)
        ),
        _settle_case("nobody overlaps: all stay", lambda d: table([], 5)),
        _settle_case("40 boxes, any overlaps", lambda d: network(d, 40, 0.09)),
        Case(
            "True and False (bool): `boxes[keep]` takes 0 and 1 for indices",
            lambda d: (chain(4),),
            dtype="exact",
        ),
        _settle_case("no boxes at all", lambda d: torch.zeros(0, 0, dtype=torch.bool)),
    ),
    mistakes=(
        Mistake(
            "one_round",
            "This is the first round, or rounds in which no box may come back. A box that is "
            "itself dropped drops nobody: begin every round from all boxes, and ask the kept ones.",
            lambda o: _rounds(o.triu(1), 1),
        ),
        *(_too_few(count, word) for count, word in FIXED_ROUNDS.items()),
        Mistake(
            "half_the_rounds",
            "N/2 rounds are not always enough. In a chain each round makes one box more right: "
            "that takes up to N.",
            lambda o: _rounds(o.triu(1), len(o) // 2),
        ),
        Mistake(
            "wrong_axis_of_keep",
            "The kept boxes stand along the wrong axis, so each box asks about itself. The better "
            "boxes are the rows: `keep[:, None]`.",
            lambda o: _toggling(o, row=False),
        ),
        Mistake(
            "any_over_columns",
            "`.any(dim=1)` asks of each row whether it drops somebody. Ask of each column whether "
            "somebody drops it: `.any(dim=0)`.",
            lambda o: _toggling(o, row=True),
        ),
        Mistake(
            "all",
            "Every box is kept. One kept better box that overlaps is enough to drop a box: "
            "`.any(dim=0)`, not `.all(dim=0)`.",
            lambda o: torch.ones(len(o), dtype=torch.bool),
        ),
        Mistake(
            "not_forgotten",
            "No box is kept. A box stays if no kept better box overlaps it: the `~` in front of "
            "`(…).any(dim=0)` may be missing.",
            _inverted,
        ),
        Mistake(
            "numbers",
            "0 and 1 came out, and as indices they mean the boxes 0 and 1. Give True and False: "
            "`overlaps.new_ones(len(overlaps))` to start with, or `.bool()` at the end.",
            lambda o: ref.settle(o).float(),
        ),
        Mistake(
            "diagonal",
            "Every box drops itself: the diagonal says that a box overlaps itself. Take the part "
            "above the diagonal, `triu(1)`.",
            lambda o: _rounds(o.triu(0), len(o)),
        ),
        Mistake(
            "both_halves",
            "Later boxes drop earlier ones. Only a better box, one that comes earlier, may drop "
            "another: take the part above the diagonal, `triu(1)`.",
            lambda o: _rounds(o & ~torch.eye(len(o), dtype=torch.bool), len(o)),
        ),
        Mistake(
            "later_wins",
            "The worse box wins. That is what the part below the diagonal says, and what asking "
            "along the columns says. Take `triu(1)`, and ask of each column: `any(dim=0)`.",
            lambda o: _rounds(o.triu(1).T, len(o)),
        ),
        Mistake(
            "dropped",
            "True and False are swapped: True means that a box is kept.",
            lambda o: ~ref.settle(o),
        ),
        Mistake(
            "indices",
            "These are the indices of the kept boxes. Give True or False for every box: shape [N].",
            lambda o: ref.settle(o).nonzero().squeeze(1),
        ),
        Mistake(
            "groups",
            "Boxes that hang together over others count as one group, and only its first is kept. "
            "Where A and C do not overlap, B between them is no reason to drop C.",
            _groups,
        ),
        Mistake(
            "neighbour_only",
            "Each box is compared only with the one just before it. Any earlier kept box may drop "
            "it.",
            lambda o: _rounds(o.triu(1).tril(1), len(o)),
        ),
        Mistake(
            "best_only",
            "Only the first box drops others. Every kept box does.",
            lambda o: ~o.triu(1)[:1].any(0),
        ),
        Mistake(
            "how_often",
            "This counts how many kept boxes overlap each box. Kept are those with none.",
            lambda o: (o.triu(1) & ref.settle(o)[:, None]).sum(0),
        ),
    ),
    hints=(
        "`overlaps.triu(1)` leaves what stands above the diagonal: entry [i, j] says that i is "
        "better than j and overlaps it.",
        "One round, for all boxes at once: `(better & keep[:, None]).any(dim=0)` says of every "
        "box j whether some *kept* box i drops it. The new `keep` is the opposite, `~`.",
        "Start with all True. Make the new keep from the old; if `torch.equal(new, keep)`, you "
        "are done. Not `keep &= …`: a box may come back.",
    ),
    picture="settled",
)
