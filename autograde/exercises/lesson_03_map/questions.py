"""The review questions of lesson 03."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="pedestrians",
        points=1,
        answer=0.005,
        between=(0, 1),
        tolerance=1e-5,
        why="All 5 pedestrians are found, so the recall is 1. Of the 1,000 boxes 5 are right: "
        "precision 5/1000 = 0.005. Recall alone is easy to buy: say everything.",
        traps={
            1.0: "1 is the recall. Precision asks how many of the boxes are right.",
            5 / 995: "Precision divides by all boxes, right and wrong: 1,000.",
        },
    ),
    Question(
        name="pedestrians_ranked",
        points=1,
        answer=1.0,
        between=(0, 1),
        tolerance=1e-5,
        why="When the fifth box is taken, all 5 pedestrians are found and nothing is wrong yet: "
        "precision 1 up to recall 1. What comes behind cannot raise the recall, and the envelope "
        "forgets its precision. AP judges the order, not the rubbish at its end.",
        traps={
            0.005: "That is the precision at the very end. AP is the area under the whole curve.",
            0.5: "The curve lies at precision 1 all the way to recall 1.",
        },
    ),
    Question(
        name="careful_or_thorough",
        points=1,
        choices=3,
        answer="B",
        why="F2 counts recall twice as much: careful 5 · 0.45 / (4 · 0.9 + 0.5) ≈ 0.55, thorough "
        "5 · 0.45 / (4 · 0.5 + 0.9) ≈ 0.78. F1 cannot tell them apart.",
    ),
    Question(
        name="always_072",
        points=1,
        answer=0.5,
        between=(0, 1),
        tolerance=1e-5,
        why="At the thresholds 0.50, 0.55, 0.60, 0.65 and 0.70 everything is right, AP 1; at the "
        "five from 0.75 on nothing is, AP 0. The mean is 0.5, with a perfect AP50.",
        traps={
            1.0: "That is AP50. COCO's AP goes on to nine stricter thresholds.",
            0.72: "IoUs are not averaged: at each threshold a box is right or wrong.",
            0.4: "Count the thresholds that 0.72 reaches: 0.50, 0.55, 0.60, 0.65 and 0.70.",
            0.6: "0.75 is above 0.72: count the thresholds again.",
        },
    ),
)
