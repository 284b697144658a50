"""The review questions of lesson 06."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="hard_share",
        points=1,
        answer=0.1643,
        between=(0, 1),
        tolerance=8e-3,
        why="Easy: 100,000 · 0.1 · 0.105 ≈ 1,054. Hard: 100 · 0.9 · 2.303 ≈ 207. Share: "
        "207 / 1,261 ≈ 0.164 (0.171 with the logarithms rounded to 0.1 and 2.3), against 0.02 with "
        "γ = 0 and 0.64 with γ = 2.",
        traps={
            0.0214: "That is γ = 0, plain cross entropy.",
            0.639: "That is γ = 2. Here γ is 1: the factor is 1 − p_t itself.",
            0.8357: "That is the share of the easy ones.",
        },
    ),
    Question(
        name="what_alpha_cannot",
        points=1,
        choices=4,
        answer="C",
        why="α multiplies every negative by the same number. Among the negatives an easy one "
        "still counts for as much of a hard one as before; only γ changes that.",
    ),
    Question(
        name="first_loss",
        points=1,
        answer=6931.5,
        tolerance=2.0,
        between=(0, 1e9),
        why="Every anchor has p = 1/2 and the loss ln 2 = 0.693. 100,000 · 0.693 / 10 ≈ 6,931. "
        "With π = 0.01 it would be about 105.",
        traps={
            0.6931: "That is the mean over all anchors. Divide the sum by the 10 positives.",
            69314.7: "That is the sum. Divide it by the 10 positives.",
            105.1: "That is with π = 0.01. With a bias of 0 every p is 1/2.",
        },
    ),
    Question(
        name="smaller_alpha",
        points=1,
        choices=4,
        answer="B",
        why="With γ = 2 nearly all negatives count almost nothing. The positives, most of them "
        "not so easy, are then over-represented: α can go down, and in the table it does.",
    ),
)
