"""Lesson 09: the review questions."""

from __future__ import annotations

from autograde.spec import Question

LOCATIONS = (96 * 160, 48 * 80, 24 * 40, 12 * 20, 6 * 10)  # of P3 to P7 on 768 x 1280 pixels

QUESTIONS = (
    Question(
        name="locations_counted",
        points=1,
        answer=sum(LOCATIONS),
        between=(0, 10_000_000),
        tolerance=0.5,
        why="The maps have 96 × 160, 48 × 80, 24 × 40, 12 × 20 and 6 × 10 locations: 15,360 + "
        "3,840 + 960 + 240 + 60 = 20,460. Each answers once. RetinaNet has nine anchors at each.",
        traps={
            9 * sum(LOCATIONS): "These are RetinaNet's anchors. FCOS answers once at a location.",
            LOCATIONS[0]: "These are P3's alone.",
            4 * sum(LOCATIONS): "l, t, r, b are four numbers, but one answer.",
        },
    ),
    Question(
        name="score_of_a_location",
        points=1,
        answer=0.4,
        between=(0, 1),
        why="l = 8, r = 32, t = 10 and b = 40, so the centre-ness is √(1/4 · 1/4) = 1/4, and the "
        "score √(0.64 · 0.25) = 0.4.",
        traps={
            0.16: "This is p · c. The score is its root.",
            0.25: "This is the centre-ness alone.",
            0.64: "This is the probability of the class alone.",
            0.8: "This is √p: the centre-ness is missing.",
            0.2: "The root of the centre-ness is missing: it is 1/4.",
        },
    ),
    Question(
        name="levels_of_an_object",
        points=1,
        choices=5,
        answer="C",
        why="In the centre the longest distance is 100, half of the width: P4's range is 64 to "
        "128. Near the left or right side it is nearly 200: P5's, 128 to 256. No location of the "
        "box has a longest distance below 100 or above 200.",
        traps={
            "A": "Half of the height is 45, but the longest of the four distances decides, and "
            "half of the width is 100.",
            "B": "That is right for the centre. Near the left side, r is nearly 200.",
            "D": "That is right near the left and right side. In the centre it is only 100.",
            "E": "The range keeps most levels away from an object: that is what it is for.",
        },
    ),
    Question(
        name="why_centerness",
        points=1,
        choices=4,
        answer="B",
        why="NMS keeps the box with the highest score. The class is often as clear near the edge "
        "as in the middle, and a poor box from there can remove a good one. Centre-ness lowers "
        "its score before the NMS.",
        traps={
            "A": "Centre-ness moves no box. It only changes which one wins.",
            "C": "It does not make locations fewer while learning: centre sampling does that.",
            "D": "The ranges and the smallest-area rule settle which object a location is for.",
        },
    ),
)
