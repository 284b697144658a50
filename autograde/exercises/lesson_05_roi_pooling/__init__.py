"""Lesson 05: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_05_roi_pooling.aligning import ROI_ALIGN
from autograde.exercises.lesson_05_roi_pooling.bins import BIN_CELLS
from autograde.exercises.lesson_05_roi_pooling.integrating import HAT_INTEGRALS
from autograde.exercises.lesson_05_roi_pooling.levelling import ASSIGN_LEVELS
from autograde.exercises.lesson_05_roi_pooling.placing import BIN_POINTS
from autograde.exercises.lesson_05_roi_pooling.pooling import ROI_POOL
from autograde.exercises.lesson_05_roi_pooling.projecting import PROJECT_BOXES
from autograde.exercises.lesson_05_roi_pooling.questions import QUESTIONS
from autograde.exercises.lesson_05_roi_pooling.sampling import BILINEAR_SAMPLE
from autograde.spec import Lesson

LESSON = Lesson(
    name="05_roi_pooling",
    title="RoI pooling",
    tasks=(
        PROJECT_BOXES,
        BIN_CELLS,
        ROI_POOL,
        BILINEAR_SAMPLE,
        BIN_POINTS,
        ROI_ALIGN,
        HAT_INTEGRALS,
        ASSIGN_LEVELS,
        *QUESTIONS,
    ),
)
