"""Lesson 01: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_01_iou.distances import DISTANCE_BOX_IOU, GENERALIZED_BOX_IOU
from autograde.exercises.lesson_01_iou.formats import BOX_AREA, BOX_CONVERT
from autograde.exercises.lesson_01_iou.overlap import BOX_IOU, MASK_IOU
from autograde.exercises.lesson_01_iou.questions import QUESTIONS
from autograde.exercises.lesson_01_iou.shapes import COMPLETE_BOX_IOU, IOU_LOSS
from autograde.spec import Lesson

LESSON = Lesson(
    name="01_iou",
    title="Intersection over union",
    tasks=(
        BOX_CONVERT,
        BOX_AREA,
        BOX_IOU,
        MASK_IOU,
        GENERALIZED_BOX_IOU,
        DISTANCE_BOX_IOU,
        COMPLETE_BOX_IOU,
        IOU_LOSS,
        *QUESTIONS,
    ),
)
