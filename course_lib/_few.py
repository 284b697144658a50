"""Greedy NMS for up to a thousand boxes on the CPU: the idea of `_sweep` in numpy.

A call of numpy costs a third of a call of PyTorch, and with so few boxes the calls are what is
paid. The boxes lie on a line in the order of their left edges; beside box i stand those that follow
it, as far as any box reaches: a rectangle of pairs [n, reach] that needs no copy.
"""

import numpy as np

from course_lib._sweep import SLACK

FEW, MOST = 128, 1500  # boxes that are compared at once; boxes for which this is the fast way


def greedy(boxes: np.ndarray, classes: np.ndarray | None, threshold: float | int) -> np.ndarray:
    """Which of some boxes that come best first greedy NMS keeps: float64 [N, 4] to bool [N].

    In a crowd (where of the best boxes at most half stay) those suppress most of the others, which
    then need not be compared with one another.
    """
    N = len(boxes)
    boxes = _with_area(boxes)
    if N <= FEW:
        return _settle(boxes, classes, threshold)
    keep, left = np.zeros(N, bool), np.arange(N)
    while len(left):
        head, rest = left[:FEW], left[FEW:]
        stays = _settle(boxes[:, head], _some(classes, head), threshold)
        if len(rest) and 2 * stays.sum() > len(head):
            keep[left] = _settle(boxes[:, left], _some(classes, left), threshold)
            return keep
        kept = head[stays]
        keep[kept] = True
        hit = _iou(boxes[:, kept, None], boxes[:, None, rest]) > threshold  # [kept, rest]
        if classes is not None:
            hit &= classes[kept, None] == classes[rest]
        left = rest[~hit.any(0)]
    return keep


def _with_area(boxes: np.ndarray) -> np.ndarray:
    """[n, 4] to [5, n]; an inverted side ends where it starts."""
    rows = np.empty((5, len(boxes)))
    rows[:4] = boxes.T
    np.maximum(rows[2:4], rows[:2], out=rows[2:4])
    with np.errstate(all="ignore"):
        width, height = rows[2:4] - rows[:2]
        np.multiply(width, height, out=rows[4])
    return rows


def _some(classes: np.ndarray | None, which: np.ndarray) -> np.ndarray | None:
    return None if classes is None else classes[which]


def _settle(boxes: np.ndarray, classes: np.ndarray | None, threshold: float | int) -> np.ndarray:
    """All boxes in one rectangle of pairs, and `course_lib.suppression.settle` on those that clash.

    Best first: [5, n] to bool [n].
    """
    n = boxes.shape[1]
    rank = boxes[0].argsort()
    line = boxes.take(rank, 1)  # [5, n] from left to right
    left, right = line[0], line[2]
    with np.errstate(all="ignore"):
        reach = right - (right - left) * (threshold * SLACK)
    widest = int((left.searchsorted(reach, side="right") - np.arange(n)).max(initial=1))
    padded = np.zeros((5, n + widest))  # what is beyond the end has no area
    padded[:, :n] = line
    hit = _iou(line[:, :, None], _followers(padded, n, widest)) > threshold  # [n, widest]
    if classes is not None:
        number = np.zeros(n + widest, classes.dtype)
        number[:n] = classes[rank]
        hit &= number[:n, None] == _followers(number[None], n, widest)[0]
    first, ahead = divmod(np.flatnonzero(hit), widest)
    one, two = rank[first], rank[first + ahead + 1]
    better, worse = np.minimum(one, two), np.maximum(one, two)
    keep = np.ones(n, bool)
    while True:
        again = np.ones(n, bool)
        again[worse[keep[better]]] = False
        if (again == keep).all():
            return keep
        keep = again


def _followers(line: np.ndarray, n: int, widest: int) -> np.ndarray:
    """Beside each of n places the `widest` that follow it: a view [rows, n, widest]."""
    row, step = line.strides
    return np.ndarray((len(line), n, widest), line.dtype, line, step, (row, step, step))


def _iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU of boxes given by their five rows, broadcast; NaN or at most 0 where none is shared."""
    left1, top1, right1, bottom1, area1 = one
    left2, top2, right2, bottom2, area2 = other
    with np.errstate(all="ignore"):
        inter = np.minimum(right1, right2)
        inter -= np.maximum(left1, left2)
        np.maximum(inter, 0, out=inter)
        height = np.minimum(bottom1, bottom2)
        height -= np.maximum(top1, top2)
        inter *= height
        union = area1 + area2
        union -= inter
        inter /= union
    return inter
