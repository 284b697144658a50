"""Lesson 07: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_07_yolo_loss.answering import RESPONSIBLE
from autograde.exercises.lesson_07_yolo_loss.decoding import DECODE_GRID
from autograde.exercises.lesson_07_yolo_loss.encoding import ENCODE_GRID
from autograde.exercises.lesson_07_yolo_loss.questions import QUESTIONS
from autograde.exercises.lesson_07_yolo_loss.reading import GRID_CANDIDATES
from autograde.exercises.lesson_07_yolo_loss.terms import YOLO_LOSS
from autograde.exercises.lesson_07_yolo_loss.v2 import DECODE_V2
from autograde.spec import Lesson

LESSON = Lesson(
    name="07_yolo_loss",
    title="YOLO's loss",
    tasks=(
        ENCODE_GRID,
        DECODE_GRID,
        RESPONSIBLE,
        YOLO_LOSS,
        GRID_CANDIDATES,
        DECODE_V2,
        *QUESTIONS,
    ),
)
