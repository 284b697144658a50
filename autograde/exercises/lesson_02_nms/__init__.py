"""Lesson 02: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_02_nms.batched import BATCHED_NMS
from autograde.exercises.lesson_02_nms.plain import NMS
from autograde.exercises.lesson_02_nms.questions import QUESTIONS
from autograde.exercises.lesson_02_nms.settling import SETTLE
from autograde.exercises.lesson_02_nms.soft import SOFT_NMS
from autograde.exercises.lesson_02_nms.voting import WEIGHTED_BOXES
from autograde.spec import Lesson

LESSON = Lesson(
    name="02_nms",
    title="Non-maximum suppression",
    tasks=(NMS, BATCHED_NMS, SETTLE, SOFT_NMS, WEIGHTED_BOXES, *QUESTIONS),
)
