"""The review questions of lesson 07."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="grid_numbers",
        points=1,
        answer=1274,
        between=(1, 1_000_000),
        why="A cell says 5 numbers for each of its 2 predictors, and one for each of 16 classes, "
        "which the predictors share: 26. There are 7 · 7 = 49 cells: 1,274.",
        traps={
            2058: "The two predictors share the class probabilities: 2 · 5 + 16, not 2 · (5 + 16).",
            26: "That is one cell. There are 49.",
            1176: "Each predictor says five numbers: four for the box, and its confidence.",
            98: "That is the number of boxes. How many numbers does the network give?",
            182: "That is 7 times 26. The grid has 7 · 7 cells.",
        },
    ),
    Question(
        name="pulled_to_nothing",
        points=1,
        answer=95,
        between=(0, 98),
        why="49 cells have 98 predictors. Three objects in three cells have one responsible "
        "predictor each. All others, the second ones of these three cells included, belong to the "
        "no-object term: 95.",
        traps={
            92: "The second predictors of the three cells are not responsible: they belong to the "
            "no-object term, too.",
            46: "These are the empty cells. Each has two predictors.",
            98: "The three responsible predictors are pulled to their IoU, not to 0.",
            3: "These are the responsible ones. The others were asked for.",
        },
    ),
    Question(
        name="root_against_plain",
        points=1,
        answer=10.64,
        between=(0, 1000),
        tolerance=0.15,
        why="The roots: √0.04 = 0.2, √0.09 = 0.3, √0.64 = 0.8, √0.69 = 0.8307. The small box costs "
        "(0.3 − 0.2)² = 0.01, the large one 0.0307² = 0.00094: 10.6 times less. Without the roots "
        "both would cost 0.05² = 0.0025.",
        traps={
            1: "That is without the roots: 0.05² both times. Compare √w with √ŵ.",
        },
    ),
    Question(
        name="two_in_a_cell",
        points=1,
        choices=4,
        answer="C",
        why="A cell has one set of class probabilities and learns one object, however many "
        "predictors it has; the second pair of numbers is for another shape of the same object. A "
        "finer grid parts the two centres, if it is fine enough.",
        traps={
            "A": "The predictors of a cell share one target. The second one is told *no object*.",
            "B": "NMS comes after training. The cat was never in the target at all.",
            "D": "The weights change how much an error counts. What is not in the target is no "
            "error.",
        },
    ),
)
