"""Figures to play with: move something, and see geometry and numbers change together."""

from course_lib.explore.iou import IoUFigure, iou_figure

__all__ = ["IoUFigure", "iou_figure"]
