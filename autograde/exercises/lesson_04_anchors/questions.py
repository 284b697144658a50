"""The review questions of lesson 04."""

from __future__ import annotations

from autograde.spec import Question

QUESTIONS = (
    Question(
        name="anchor_count",
        points=1,
        answer=49_104,
        between=(1, 1_000_000),
        why="The levels have 64², 32², 16², 8² and 4² locations, 4,096 + 1,024 + 256 + 64 + 16 = "
        "5,456, with 9 anchors each: 49,104. The finest level has three quarters of them.",
        traps={
            5456: "These are the locations. Each has nine anchors.",
            36864: "That is the finest level alone. There are four more.",
            16368: "3 sizes and 3 ratios make 9 anchors a location, not 3.",
            32736: "3 sizes and 3 ratios make 9 anchors a location, not 6.",
        },
    ),
    Question(
        name="decoded_edge",
        points=1,
        answer=150,
        between=(0, 1000),
        tolerance=0.5,
        why="The centre moves by 0.25 widths, 10 pixels, to 110. The width becomes 40 · exp(0.693) "
        "= 80. The right edge lies half of that further: 110 + 40 = 150.",
        traps={
            130: "The box was moved, but not made wider: w = 40 · exp(0.693) = 80.",
            140: "The box was made wider, but not moved: 0.25 widths of the anchor are 10 pixels.",
            160: "dx is measured in widths of the anchor, 40, not of the new box, 80.",
            190: "From the centre, 110, it is half a width to the edge.",
            123.86: "0.693 is a logarithm: the width grows by exp(0.693) = 2.",
        },
    ),
    Question(
        name="positives",
        points=1,
        answer=3,
        between=(0, 5),
        why="Anchor 0 reaches the high threshold. Truth Q has no such anchor; its best IoU is "
        "0.25, and anchors 2 and 3 both have it: ties are all taken. Anchor 1 lies between the "
        "thresholds and is ignored, anchor 4 is negative.",
        traps={
            1: "Low-quality matches are allowed: truth Q must not go without.",
            2: "Anchors 2 and 3 overlap Q equally well. Both are taken.",
            4: "An IoU of 0.4 lies between the thresholds: anchor 1 is ignored, not positive.",
        },
    ),
    Question(
        name="fair_distance",
        points=1,
        choices=4,
        answer="B",
        why="Both differ by 10 pixels in width and in height: the same Euclidean distance, 14.1. "
        "But the bird's IoU is 100/400 = 0.25, the car's 40,000/44,100 = 0.91. 1 − IoU sees that "
        "the bird has no anchor that deserves the name.",
        traps={
            "A": "That is what Euclidean distance says: 14.1 pixels for both.",
            "C": "It is the other way round. Ten pixels are nothing to a box of 200.",
            "D": "Euclidean distance says 14.1 for both: it sees no difference.",
        },
    ),
)
