"""The review questions of lesson 10."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="two_in_one_place",
        points=1,
        answer=8,
        between=(0, 10),
        tolerance=0.01,
        why="Each class has a map of its own, so the car and the person in one place are two "
        "peaks. The two persons in one place share one, and so do the two cars: 10 − 2 = 8.",
        traps={
            7: "The car and the person in one place are in different maps: two peaks.",
            10: "Two objects of one class in one place make a single peak.",
            9: "There are two pairs of one class in one place. Each loses one.",
        },
    ),
    Question(
        name="forgiven",
        points=1,
        answer=625,
        between=(0, 1_000_000),
        tolerance=0.5,
        why="The factors are (1 − 0)⁴ = 1 and (1 − 0.8)⁴ = 0.0016, and all else is the same: "
        "1 / 0.0016 = 625.",
        traps={
            0.0016: "That is the factor of the place beside the centre. How many times as large "
            "is the other one?",
            25: "β is 4, not 2.",
            5: "The factor is the fourth power of 1 − y.",
            2.4414: "That is 1 / y⁴. The factor is (1 − y)⁴.",
        },
    ),
    Question(
        name="offset_left_out",
        points=1,
        answer=100 / 188,
        between=(0, 1),
        tolerance=0.006,
        why="30 / 4 = 7.5: place 7. Without the offset the centre comes back at 4 · 7 = 28, two "
        "pixels to the left, and two above. The boxes share 10 · 10 = 100 of 144 + 144 − 100 = "
        "188: IoU 0.53.",
        traps={
            100 / 144: "That is the share of one box. The union is 144 + 144 − 100.",
            120 / 168: "The centre moves in both directions: up as well as to the left.",
            1.0: "The place is 7, and 4 · 7 is 28, not 30.",
        },
    ),
    Question(
        name="no_suppression",
        points=1,
        choices=4,
        answer="B",
        why="Each object has one centre, and the network is taught a single 1 there. Beside it "
        "the heatmap is lower, and what is lower than a neighbour makes no box. Nothing was ever "
        "said about the boxes: they may overlap as much as they like.",
        traps={
            "A": "They may overlap by far: nothing compares the boxes at all.",
            "C": "The pooling compares scores of neighbouring places. It never sees a box.",
            "D": "A threshold leaves many places around each centre. That only peaks are read is "
            "what makes one box of them.",
        },
    ),
)
