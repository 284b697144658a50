"""Greedy NMS, whichever way is the fastest: a kernel on a GPU, numpy for few boxes, else a sweep.

All of them answer what the loop `course_lib.suppression.nms_steps` answers.
"""

import torch
from torch import Tensor

from course_lib import _few, _sweep
from course_lib._sweep import best_first
from course_lib._threads import one_thread
from course_lib.kernels import usable


def greedy(
    boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float | int
) -> Tensor:
    """Indices of the boxes that are kept, best first: [N, 4], [N] and [N] or None to [kept]."""
    if torch.compiler.is_compiling():  # one step of the graph, into which nothing looks
        kept: Tensor = torch.ops.course_lib.greedy_nms(boxes, scores, idxs, iou_threshold)
        return kept
    return _greedy(boxes, scores, idxs, iou_threshold)


@torch.no_grad()
def _greedy(
    boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float | int
) -> Tensor:
    order = best_first(scores)
    boxes, classes = boxes.index_select(0, order), None if idxs is None else idxs[order]
    if usable(boxes):
        from course_lib.kernels import nms as kernel

        return order[kernel.greedy(boxes, classes, iou_threshold)]
    if boxes.device.type == "cpu" and len(boxes) <= _few.MOST:
        numbers = None if classes is None else classes.numpy()
        keep = _few.greedy(boxes.detach().double().numpy(), numbers, iou_threshold)
        return order[torch.from_numpy(keep)]
    with one_thread():
        return order[_sweep.greedy(boxes, classes, iou_threshold)]


@torch.library.custom_op("course_lib::greedy_nms", mutates_args=())
def _op(boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float) -> Tensor:
    return _greedy(boxes, scores, idxs, iou_threshold)


@_op.register_fake
def _shape(boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float) -> Tensor:
    """What a graph knows of the answer: whole numbers, how many it will not know before."""
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)
