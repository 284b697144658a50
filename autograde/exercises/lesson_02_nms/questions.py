"""The review questions of lesson 02."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="survivors",
        points=1,
        answer=3,
        between=(0, 4),
        why="A drops B (0.7 > 0.5). C overlaps only B too much, and B is gone, so C stays. C and D "
        "overlap by exactly 0.5, which is not more than 0.5: D stays as well. A, C and D.",
        traps={
            1: "A touches only B: what B would have dropped is not dropped with it.",
            2: "Either B, which is gone, was allowed to drop C, or an IoU of exactly 0.5 was "
            "counted as more than 0.5.",
            4: "A and B overlap by 0.7, more than the threshold: B is dropped.",
        },
    ),
    Question(
        name="softened",
        points=1,
        answer=0.43807,
        between=(0, 1),
        tolerance=5e-3,
        why="0.9 · exp(−0.6²/0.5) = 0.9 · exp(−0.72) ≈ 0.9 · 0.487 ≈ 0.438. It stays in the list, "
        "behind every box with a better score.",
        traps={
            0.36: "0.36 is what the linear decay leaves, 0.9 · (1 − 0.6).",
            0.487: "0.487 is the factor; the score is 0.9 times that.",
            0.2711: "IoU is not squared: the exponent is −0.6²/0.5 = −0.72.",
            0.0: "0 is what greedy NMS makes of it.",
        },
    ),
    Question(
        name="rescue",
        points=1,
        choices=4,
        answer="C",
        why="The duplicates of one sheep overlap by as much as the two sheep do, so no IoU "
        "threshold separates them. Soft-NMS lowers the second sheep to 0.85 · exp(−0.64²/0.5) ≈ "
        "0.37, which is over 0.3; a duplicate falls to 0.6 · exp(−0.6²/0.5) ≈ 0.29 at best. With "
        "a second sheep of 0.65 it would fail. Voting only moves boxes that were kept.",
        traps={
            "A": "At 0.7 both sheep stay, and so do the duplicates with an IoU of 0.6 to 0.7.",
            "B": "A lower threshold drops more: the second sheep is lost all the same.",
            "D": "Voting moves the boxes that NMS has kept. It brings none back.",
        },
    ),
    Question(
        name="better_placed",
        points=1,
        choices=4,
        answer="C",
        why="IoU-guided NMS ranks by the predicted IoU, so Q, the better placed box, stays; it "
        "takes over the best score of the boxes that it drops, 0.95. What the object is, and where "
        "it is, are two things that two boxes may know best.",
        traps={
            "A": "That is what plain NMS does: it ranks by the score.",
            "B": "The right box, but it takes over the best score of its cluster.",
            "D": "They overlap by 0.7, over the threshold: only one stays.",
        },
    ),
)
