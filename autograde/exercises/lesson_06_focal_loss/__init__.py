"""Lesson 06: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_06_focal_loss.balanced import BALANCED_CROSS_ENTROPY
from autograde.exercises.lesson_06_focal_loss.focal import SIGMOID_FOCAL_LOSS
from autograde.exercises.lesson_06_focal_loss.mining import HARD_NEGATIVE_MINING
from autograde.exercises.lesson_06_focal_loss.prior import PRIOR_BIAS
from autograde.exercises.lesson_06_focal_loss.questions import QUESTIONS
from autograde.exercises.lesson_06_focal_loss.rows import SOFTMAX_FOCAL_LOSS
from autograde.spec import Lesson

LESSON = Lesson(
    name="06_focal_loss",
    title="Focal loss",
    tasks=(
        BALANCED_CROSS_ENTROPY,
        SIGMOID_FOCAL_LOSS,
        PRIOR_BIAS,
        HARD_NEGATIVE_MINING,
        SOFTMAX_FOCAL_LOSS,
        *QUESTIONS,
    ),
)
