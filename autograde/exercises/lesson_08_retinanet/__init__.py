"""Lesson 08: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_08_retinanet.candidates import BEST_CANDIDATES
from autograde.exercises.lesson_08_retinanet.fpn import FEATURE_PYRAMID
from autograde.exercises.lesson_08_retinanet.inference import DECODE
from autograde.exercises.lesson_08_retinanet.questions import QUESTIONS
from autograde.exercises.lesson_08_retinanet.subnets import SUBNET
from autograde.exercises.lesson_08_retinanet.targets import ASSIGN_TARGETS
from autograde.exercises.lesson_08_retinanet.whole_loss import RETINANET_LOSS
from autograde.spec import Lesson

LESSON = Lesson(
    name="08_retinanet",
    title="RetinaNet",
    tasks=(
        FEATURE_PYRAMID,
        SUBNET,
        ASSIGN_TARGETS,
        RETINANET_LOSS,
        BEST_CANDIDATES,
        DECODE,
        *QUESTIONS,
    ),
)
