"""Lesson 09: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_09_fcos.answering import MAY_ANSWER
from autograde.exercises.lesson_09_fcos.central import CENTERNESS
from autograde.exercises.lesson_09_fcos.inference import DECODE_LOCATIONS
from autograde.exercises.lesson_09_fcos.locations import GRID_LOCATIONS
from autograde.exercises.lesson_09_fcos.questions import QUESTIONS
from autograde.exercises.lesson_09_fcos.sides import BOX_SIDES
from autograde.exercises.lesson_09_fcos.targets import LOCATION_TARGETS
from autograde.exercises.lesson_09_fcos.whole_loss import FCOS_LOSS
from autograde.spec import Lesson

LESSON = Lesson(
    name="09_fcos",
    title="FCOS",
    tasks=(
        GRID_LOCATIONS,
        BOX_SIDES,
        MAY_ANSWER,
        LOCATION_TARGETS,
        CENTERNESS,
        FCOS_LOSS,
        DECODE_LOCATIONS,
        *QUESTIONS,
    ),
)
