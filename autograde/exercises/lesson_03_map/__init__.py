"""Lesson 03: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_03_map.area import AVERAGE_PRECISION_ALL
from autograde.exercises.lesson_03_map.curves import PRECISION_RECALL_CURVE
from autograde.exercises.lesson_03_map.eleven import AVERAGE_PRECISION_11
from autograde.exercises.lesson_03_map.fscore import F_BETA
from autograde.exercises.lesson_03_map.hundred import AVERAGE_PRECISION_101
from autograde.exercises.lesson_03_map.matching import MATCH_COCO
from autograde.exercises.lesson_03_map.protocol import COCO_AVERAGE_PRECISION
from autograde.exercises.lesson_03_map.questions import QUESTIONS
from autograde.spec import Lesson

LESSON = Lesson(
    name="03_map",
    title="Mean average precision",
    tasks=(
        MATCH_COCO,
        PRECISION_RECALL_CURVE,
        F_BETA,
        AVERAGE_PRECISION_11,
        AVERAGE_PRECISION_ALL,
        AVERAGE_PRECISION_101,
        COCO_AVERAGE_PRECISION,
        *QUESTIONS,
    ),
)
