"""Lesson 04: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_04_anchors.base import BASE_ANCHORS
from autograde.exercises.lesson_04_anchors.decoding import DECODE_BOXES
from autograde.exercises.lesson_04_anchors.encoding import ENCODE_BOXES
from autograde.exercises.lesson_04_anchors.grid import GRID_ANCHORS
from autograde.exercises.lesson_04_anchors.matching import MATCH_ANCHORS
from autograde.exercises.lesson_04_anchors.questions import QUESTIONS
from autograde.exercises.lesson_04_anchors.shapes import SHAPE_IOU
from autograde.spec import Lesson

LESSON = Lesson(
    name="04_anchors",
    title="Anchors",
    tasks=(
        BASE_ANCHORS,
        GRID_ANCHORS,
        MATCH_ANCHORS,
        ENCODE_BOXES,
        DECODE_BOXES,
        SHAPE_IOU,
        *QUESTIONS,
    ),
)
