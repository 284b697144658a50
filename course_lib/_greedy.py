"""Greedy NMS, whichever way is the fastest: numpy on a CPU, a kernel on a GPU, a sweep in a crowd.

All of them answer what the loop `course_lib.suppression.nms_steps` answers.
"""

import numpy as np
import torch
from torch import Tensor

from course_lib import _reach, _sweep
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


def _greedy(
    boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float | int
) -> Tensor:
    on_gpu = usable(boxes)
    if boxes.is_cpu and not on_gpu:
        ranked, numbers = _order(scores), None if idxs is None else idxs.numpy()
        kept = _reach.greedy(_plain(boxes), ranked, numbers, iou_threshold)
        if kept is not None:
            return torch.from_numpy(kept)
        order = torch.from_numpy(ranked)
    else:
        order = best_first(scores)
    boxes, classes = boxes.detach()[order], None if idxs is None else idxs[order]
    if on_gpu:
        from course_lib.kernels import nms as kernel

        return order[kernel.greedy(boxes, classes, iou_threshold)]
    with torch.no_grad(), one_thread():
        return order[_sweep.greedy(boxes, classes, iou_threshold)]


def _order(scores: Tensor) -> np.ndarray:
    numbers = _plain(scores)
    if numbers.dtype.kind == "f":
        return _reach.best_first(numbers)
    return best_first(scores).numpy()  # of some integers there is no negative


def _plain(tensor: Tensor) -> np.ndarray:
    """The same numbers for numpy, which knows neither gradients nor bfloat16."""
    try:
        numbers: np.ndarray = tensor.numpy()
    except (RuntimeError, TypeError):  # it has a gradient, or is of bfloat16
        tensor = tensor.detach()
        numbers = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return numbers


@torch.library.custom_op("course_lib::greedy_nms", mutates_args=())
def _op(boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float) -> Tensor:
    return _greedy(boxes, scores, idxs, iou_threshold)


@_op.register_fake
def _shape(boxes: Tensor, scores: Tensor, idxs: Tensor | None, iou_threshold: float) -> Tensor:
    """What a graph knows of the answer: whole numbers, how many it will not know before."""
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)
