"""The review questions of lesson 01."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="half_shifted",
        points=1,
        answer=1 / 3,
        between=(0, 1),
        why="The squares share half of each, so I = 1/2 and U = 1 + 1 − 1/2 = 3/2: IoU = 1/3. "
        "Half overlap is far from an IoU of 0.5.",
        traps={
            0.5: "Half of each square is shared, but the union is larger than one square.",
            0.25: "0.25 is the overlap of a shift both across and down; here it goes across only.",
        },
    ),
    Question(
        name="tightness",
        points=1,
        choices=3,
        answer="C",
        why="IoU measures how tightly one box fits another. AP and mAP count boxes as right or "
        "wrong at a threshold and rank them by score: two detectors of equal AP50 can differ "
        "much in tightness.",
    ),
    Question(
        name="why_giou",
        points=1,
        choices=4,
        answer="B",
        why="Without overlap IoU is 0 and stays 0 for every small move: the gradient is 0 and "
        "nothing is learned. The enclosing box of GIoU shrinks as the boxes come closer.",
    ),
    Question(
        name="one_pixel",
        points=1,
        answer=81 / 119,
        between=(0, 1),
        tolerance=5e-3,
        why="They share 9 × 9 = 81 pixels, the union is 100 + 100 − 81 = 119, so IoU = 81/119 ≈ "
        "0.68. The same one-pixel slip costs a 100 × 100 box only 4 hundredths.",
        traps={0.81: "81 pixels are shared, but the union is 119 pixels, not 100."},
    ),
)
