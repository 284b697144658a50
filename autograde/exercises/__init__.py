"""All lessons with graded exercises, by name. They never leave the instructor's side."""

from __future__ import annotations

from autograde.exercises import (
    lesson_01_iou,
    lesson_02_nms,
    lesson_03_map,
    lesson_04_anchors,
    lesson_05_roi_pooling,
    lesson_06_focal_loss,
    lesson_07_yolo_loss,
    lesson_08_retinanet,
    lesson_09_fcos,
    lesson_10_centernet,
)
from autograde.spec import Exercise, Lesson

LESSONS: dict[str, Lesson] = {
    module.LESSON.name: module.LESSON
    for module in (
        lesson_01_iou,
        lesson_02_nms,
        lesson_03_map,
        lesson_04_anchors,
        lesson_05_roi_pooling,
        lesson_06_focal_loss,
        lesson_07_yolo_loss,
        lesson_08_retinanet,
        lesson_09_fcos,
        lesson_10_centernet,
    )
}
PAGES = ("explorers",)  # notebooks beside the lessons: nothing to solve, nothing graded


def find_lesson(name: str) -> Lesson:
    """The lesson of that name; a KeyError that lists the names there are."""
    if name not in LESSONS:
        raise KeyError(f"there is no lesson {name!r}; there are: {', '.join(LESSONS)}")
    return LESSONS[name]


def find_exercise(path: str) -> tuple[Lesson, Exercise]:
    """The coding exercise at "01_iou/box_iou"."""
    lesson_name, _, name = path.partition("/")
    lesson = find_lesson(lesson_name)
    task = lesson.task(name)
    if not isinstance(task, Exercise):
        raise KeyError(f"{path} is a review question; name a coding exercise")
    return lesson, task
