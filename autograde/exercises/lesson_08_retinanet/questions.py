"""Lesson 08: the review questions."""

from __future__ import annotations

from autograde.spec import Question

LOCATIONS = (100 * 64, 50 * 32, 25 * 16, 13 * 8, 7 * 4)  # of P3 to P7 on 800 x 512 pixels

QUESTIONS = (
    Question(
        name="pyramid_anchors",
        points=1,
        answer=9 * sum(LOCATIONS),
        between=(0, 10_000_000),
        tolerance=0.5,
        why="The maps have 100 × 64, 50 × 32, 25 × 16, 13 × 8 and 7 × 4 locations (halves are "
        "rounded up), 8,532 together, with nine anchors each: 76,788.",
        traps={
            sum(LOCATIONS): "These are the locations. At each of them stand nine anchors.",
            76_680: "Rows that do not come out even are rounded up: 25 rows make 13, 13 make 7.",
            3 * sum(LOCATIONS): "Three sizes and three ratios make nine anchors a location.",
        },
    ),
    Question(
        name="what_reaches_nms",
        points=1,
        answer=3 * 1000 + 9 * (LOCATIONS[3] + LOCATIONS[4]),
        between=(0, 10_000_000),
        tolerance=0.5,
        why="P3, P4 and P5 have more than 1,000 anchors each, so 1,000 of each go on. P6 has only "
        "9 · 104 = 936 and P7 only 9 · 28 = 252, with one score each. 3,000 + 936 + 252 = 4,188.",
        traps={
            5000: "P6 and P7 do not have 1,000 anchors.",
            1000: "The limit holds for each level by itself.",
            9 * sum(LOCATIONS): "At most 1,000 of each level go on.",
        },
    ),
    Question(
        name="batch_loss",
        points=1,
        answer=1.0,
        between=(0, 1000),
        why="(30 + 12) / (40 + 2) = 1. The quotient of each image by itself would be 0.75 and 6, "
        "3.375 in the mean: the two anchors of the second image would count as much as the 40 of "
        "the first.",
        traps={
            3.375: "That is the mean of the two images' own quotients, as torchvision computes it.",
            6.75: "These are the two images' own quotients, added.",
            42: "This is the sum, before it is divided.",
            21: "Divided by the number of images: divide by the number of positives.",
        },
    ),
    Question(
        name="parts_of_retinanet",
        points=1,
        choices=4,
        answer="C",
        why="No proposals of any kind: neither selective search nor a region proposal network "
        "comes first, every anchor is answered at once. And no fully connected layers: all is "
        "convolution, so that one set of weights serves maps of every size.",
        traps={
            "A": "Region proposals are the first stage of two-stage detectors. RetinaNet has one "
            "stage.",
            "B": "A fully connected layer needs inputs of one size. The subnets run on maps of all "
            "sizes: they are convolutions.",
            "D": "Selective search was R-CNN's, before networks proposed boxes.",
        },
    ),
)
