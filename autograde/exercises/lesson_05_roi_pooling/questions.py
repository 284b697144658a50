"""The review questions of lesson 05."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="cells_looked_at",
        points=1,
        answer=42,
        between=(1, 1000),
        why="In cells the box is (3.125, 2.25, 9.0625, 6.71875), rounded (3, 2, 9, 7). The last "
        "cells belong to it: columns 3 to 9 are 7, rows 2 to 7 are 6, and 7 · 6 = 42. The box "
        "itself covers 5.94 · 4.47 = 26.5 cells.",
        traps={
            30: "The last row and column belong to the region: columns 3 to 9 are seven.",
            26.533: "That is the area of the box itself. RoIPool looks at whole cells.",
            35: "Row 6.72 is rounded to 7, and from row 2 to row 7 there are six.",
            36: "Columns 3 to 9 are seven: the last one belongs to the region.",
        },
    ),
    Question(
        name="cells_with_gradient",
        points=1,
        answer=784,
        between=(0, 100_000),
        why="7 · 7 bins, 2 · 2 points in each, and every point mixes 4 cells: 49 · 4 · 4 = 784. "
        "RoIPool reaches 49 at most, Precise RoI Pooling every cell that the box touches.",
        traps={
            49: "That is RoIPool, one cell for each bin.",
            196: "These are the points. Each lies between four cells.",
            16: "That is one bin. There are 49 of them.",
            98: "2 × 2 points are 4 in each bin, and each mixes four cells.",
        },
    ),
    Question(
        name="what_made_it",
        points=1,
        choices=4,
        answer="C",
        why="The second row interpolates, the third takes means as well, and both gain next to "
        "nothing over RoIPool, because the box is still rounded first. The fourth does not round "
        "and takes the largest value, like RoIPool, and has all of the gain.",
        traps={
            "A": "The second row interpolates, too, and gains 0.3.",
            "B": "The last two rows differ in that only, by 0.1.",
            "D": "The number of points is not in the table; the second row has them, too.",
        },
    ),
    Question(
        name="level_of_a_box",
        points=1,
        answer=3,
        between=(0, 10),
        why="√(320 · 80) = 160, and log2(160 / 224) = −0.49. 4 − 0.49 = 3.51, rounded down 3.",
        traps={
            4: "3.51 is rounded down, not to the nearest; or did you take the longer side, 320?",
            2: "Did you take the shorter side? √(w · h) = 160 decides.",
            5: "The area is 25,600; its root, 160, is compared with 224.",
        },
    ),
)
