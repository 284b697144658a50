"""Lesson 10: what is graded, and the mistakes that it knows."""

from autograde.exercises.lesson_10_centernet.heat_loss import HEATMAP_FOCAL_LOSS
from autograde.exercises.lesson_10_centernet.heatmaps import GAUSSIAN_HEATMAP
from autograde.exercises.lesson_10_centernet.peaks import KEEP_PEAKS
from autograde.exercises.lesson_10_centernet.places import PLACE_TARGETS
from autograde.exercises.lesson_10_centernet.questions import QUESTIONS
from autograde.exercises.lesson_10_centernet.radius import GAUSSIAN_RADIUS
from autograde.exercises.lesson_10_centernet.reading import DECODE_PEAKS
from autograde.exercises.lesson_10_centernet.whole_loss import CENTERNET_LOSS
from autograde.spec import Lesson

LESSON = Lesson(
    name="10_centernet",
    title="CenterNet",
    tasks=(
        GAUSSIAN_RADIUS,
        GAUSSIAN_HEATMAP,
        PLACE_TARGETS,
        HEATMAP_FOCAL_LOSS,
        CENTERNET_LOSS,
        KEEP_PEAKS,
        DECODE_PEAKS,
        *QUESTIONS,
    ),
)
