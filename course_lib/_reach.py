"""Greedy NMS on the CPU where no box reaches many others: the idea of `_sweep` in numpy.

A call of numpy costs a third of a call of PyTorch, and with few boxes the calls are what is paid.
The boxes lie on a line in the order of their left edges; beside box i stand those that follow it,
as far as any box reaches: a rectangle of pairs [reach, n] that needs no copy.

A line has a column for each box and the rows x1, y1, x2, y2 and area; where there are classes, a
sixth says which, counted from 0.
"""

import numpy as np

from course_lib._sweep import SLACK

FEW, MANY = 192, 1500  # up to FEW boxes are compared at once, up to MANY in any case
WIDEST = 400  # and more than those only if they reach no more
PAIRS = 2**14  # whose numbers stay in the cache


def best_first(scores: np.ndarray) -> np.ndarray:
    """The order of floats [N] from the highest down, equal ones as they came; NaN first, as in
    PyTorch.
    """
    order = (-scores).argsort(kind="stable")
    if len(order) and np.isnan(scores[order[-1]]):
        odd = np.isnan(scores[order])
        order = np.concatenate((order[odd], order[~odd]))
    return order


@np.errstate(all="ignore")
def greedy(
    boxes: np.ndarray, order: np.ndarray, classes: np.ndarray | None, threshold: float | int
) -> np.ndarray | None:
    """Which of some boxes greedy NMS keeps: [N, 4], and in which order, [N], to [kept], best first.

    In a crowd (where of the best boxes at most half stay) those suppress most of the others, which
    then need not be compared with one another. None, where there are many boxes in a crowd.
    """
    line = _line(boxes, classes).take(order, 1)
    if len(order) <= FEW or len(order) > MANY:
        keep = _settle(line, threshold)
        return None if keep is None else order[keep]
    kept, left = [], np.arange(len(order))
    while len(left) > FEW:
        head, rest = left[:FEW], left[FEW:]
        best = head[_settle(line[:, head], threshold)]
        if 2 * len(best) > len(head):
            break
        kept.append(best)
        left = rest[~_hit(line[:, best], line[:, rest], threshold)]
    kept.append(left[_settle(line[:, left], threshold)])
    return order[np.concatenate(kept)]


def _line(boxes: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """[N, 4] to float64 [5 or 6, N]; an inverted side ends where it starts."""
    line = np.empty((5 if classes is None else 6, len(boxes)))
    start, end = line[:2], line[2:4]
    line[:4] = boxes.T
    np.maximum(end, start, out=end)
    width, height = end - start
    np.multiply(width, height, out=line[4])
    if classes is not None:
        line[5] = np.unique(classes, return_inverse=True)[1]
    return line


def _settle(line: np.ndarray, threshold: float | int) -> np.ndarray | None:
    """All boxes in one rectangle of pairs, and `course_lib.suppression.settle` on those that clash.

    Best first: [rows, n] to bool [n]; None for a rectangle that is too large.
    """
    n = line.shape[1]
    rank = _start(line).argsort()
    line = line.take(rank, 1)  # from left to right
    start, reach = _start(line), _start(line, threshold)
    widest = max(1, int((start.searchsorted(reach, side="right") - np.arange(n)).max(initial=0)))
    if n > MANY and widest > WIDEST:
        return None
    followers, band = _followers(line, widest), max(1, PAIRS // max(n, 1))
    found = []
    for row in range(0, widest, band):
        clash = _clash(line[:, None], followers[:, row : row + band], threshold)  # [band, n]
        found.append(np.flatnonzero(clash) + row * n)
    ahead, first = divmod(found[0] if len(found) == 1 else np.concatenate(found), n)
    one, two = rank.take(first), rank.take(first + ahead + 1)
    better, worse = np.minimum(one, two), np.maximum(one, two)
    keep = np.ones(n, bool)
    keep[worse] = False
    while not (stays := keep.take(better)).all():  # until all who suppress are kept themselves
        again = np.ones(n, bool)
        again[worse[stays]] = False
        if (again == keep).all():
            break
        keep = again
    return keep


def _start(line: np.ndarray, threshold: float | int | None = None) -> np.ndarray:
    """Where each box starts; with a threshold, the last place where one that clashes can start.

    Every class has a stretch of the line for itself, if the numbers allow it.
    """
    at = line[0] if threshold is None else line[2] - (line[2] - line[0]) * (threshold * SLACK)
    if len(line) == 5 or not len(at):
        return at
    stretch = line[2].max() - line[0].min() + 1
    return at + line[5] * stretch if np.isfinite(stretch) else at


def _hit(kept: np.ndarray, others: np.ndarray, threshold: float | int) -> np.ndarray:
    """Which of the others clash with a box that is kept: [rows, k] and [rows, n] to bool [n].

    Here the pairs are listed: of the few that are kept with those that each can reach.
    """
    rank = others[0].argsort()
    others = others.take(rank, 1)
    start = others[0]
    longest = (_start(others[:5], threshold) - start).max(initial=0) * (2 - SLACK)
    begin = start.searchsorted(kept[0] - (longest if np.isfinite(longest) else np.inf))
    end = start.searchsorted(_start(kept[:5], threshold), side="right")
    count = np.maximum(end - begin, 0)
    ends = count.cumsum()
    first = np.repeat(np.arange(len(count)), count)  # [pairs]
    second = np.arange(len(first)) + np.repeat(begin - (ends - count), count)  # [pairs]
    clash = _clash(kept.take(first, 1), others.take(second, 1), threshold)
    hit = np.zeros(len(rank), bool)
    hit[rank.take(second[clash])] = True
    return hit


def _followers(line: np.ndarray, widest: int) -> np.ndarray:
    """The first, the second, ... of those that follow each of n places: a view [rows, widest, n].

    What follows the last place is 0: boxes that have no area.
    """
    rows, n = line.shape
    padded = np.zeros((rows, n + widest))
    padded[:, :n] = line
    row, step = padded.strides
    return np.ndarray((rows, widest, n), line.dtype, padded, step, (row, step, step))


def _clash(one: np.ndarray, other: np.ndarray, threshold: float | int) -> np.ndarray:
    """Which pairs of boxes, broadcast, have an IoU above the threshold, and the same class."""
    sides = np.minimum(one[2:4], other[2:4])
    sides -= np.maximum(one[:2], other[:2])
    inter, height = sides
    np.maximum(inter, 0, out=inter)
    inter *= height
    union = one[4] + other[4]
    union -= inter
    inter /= union
    clash: np.ndarray = inter > threshold  # NaN is not
    if len(one) == 6:
        clash &= one[5] == other[5]
    return clash
