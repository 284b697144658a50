"""Greedy NMS on the CPU where no box reaches many others: the idea of `_sweep` in numpy.

A call of numpy costs a third of a call of PyTorch, and with few boxes the calls are what is paid.
The boxes lie on a line in the order of their left edges; beside box i stand those that follow it,
as far as any box reaches: a rectangle of pairs [reach, n] that needs no copy. Of a hundred boxes,
one product of matrices says even sooner which pairs are worth a look.

A line has a column for each box and the rows x1, y1, x2, y2 and area. Where there are classes, each
has a stretch of the line for itself, and a sixth row says where that begins.
"""

import numpy as np

from course_lib._sweep import SLACK

FEW, MANY = 192, 1500  # up to FEW boxes are compared at once, up to MANY in any case
WIDEST = 400  # and more than those only if they reach no more
PAIRS = 2**14  # whose numbers stay in the cache

# What `_few_pairs` multiplies with. An IoU that is the threshold but for its last digits is worth a
# look, so the differences are a little smaller; rounding takes far less.
MIDDLE_AND_SIDE = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [-1, 0, 1, 0], [0, -1, 0, 1]])
HALF_DIFFERENCE = np.array([0.5, 0.5, -0.5, -0.5]) - 1e-12
FORM = np.diag([1.0, 1, 1, 1, 0, 0])  # v v' - h - h' of the columns [v, h, 1] and [v', h', 1]
FORM[4, 5] = FORM[5, 4] = -1
BETTER = np.triu(np.ones((FEW, FEW), bool), 1)


def best_first(scores: np.ndarray) -> np.ndarray:
    """The order of floats [N] from the highest down, equal ones as they came; NaN first, as in
    PyTorch.
    """
    order = (-scores).argsort(kind="stable")
    if len(order) and (worst := scores[order[-1]]) != worst:
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
    begins = None if classes is None else _begins(boxes, classes)
    if len(order) > MANY and _crowded(boxes, begins, threshold):
        return None
    if len(order) <= FEW or len(order) > MANY:
        return _settle(boxes, order, begins, threshold)
    kept = []
    while len(order) > FEW:
        head, rest = order[:FEW], order[FEW:]
        best = _settle(boxes, head, begins, threshold)
        if best is None or 2 * len(best) > len(head):
            break
        kept.append(best)
        order = rest[~_hit(boxes, best, rest, begins, threshold)]
    last = _settle(boxes, order, begins, threshold)
    return None if last is None else np.concatenate((*kept, last))


def _begins(boxes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Where on the line each one's class begins, [N]: behind all of the class before, if the
    numbers allow it, and for two classes never at the same place.
    """
    number = np.unique(classes, return_inverse=True)[1].astype(float)
    stretch = float(boxes[:, 2].max(initial=0)) - float(boxes[:, 0].min(initial=0)) + 1
    return number * stretch if np.isfinite(len(number) * stretch) else number


def _crowded(boxes: np.ndarray, begins: np.ndarray | None, threshold: float | int) -> bool:
    """Does one of a sample reach more than `WIDEST` others? That is sooner known than of all."""
    some = np.arange(0, len(boxes), len(boxes) // 200 + 1)
    reach = _reach(_lay_out(boxes, some, None), threshold)
    start = boxes[:, 0]
    if begins is not None:
        start, reach = start + begins, reach + begins[some]
    line = np.sort(start)
    reached = line.searchsorted(reach) - line.searchsorted(start[some])
    return bool(reached.max() > WIDEST)


def _lay_out(
    boxes: np.ndarray, which: np.ndarray, begins: np.ndarray | None, room: int = 0
) -> np.ndarray:
    """Some boxes as a line, [5 or 6, n + room]; behind them is 0: boxes that have no area."""
    line = _without_areas(boxes, which, begins, room)
    width, height = np.maximum(line[2:4] - line[:2], 0)
    np.multiply(width, height, out=line[4])
    return line


def _without_areas(
    boxes: np.ndarray, which: np.ndarray, begins: np.ndarray | None, room: int = 0
) -> np.ndarray:
    n = len(which)
    line = np.zeros((5 if begins is None else 6, n + room))
    line[:4, :n] = boxes.take(which, 0).T
    if begins is not None:
        line[5, :n] = begins.take(which)
    return line


def _settle(
    boxes: np.ndarray, order: np.ndarray, begins: np.ndarray | None, threshold: float | int
) -> np.ndarray | None:
    """`course_lib.suppression.settle` on those that clash: best first, [n] to [kept].

    None where too many would have to be compared.
    """
    n = len(order)
    pairs = (_few_pairs if n <= FEW else _pairs)(boxes, order, begins, threshold)
    if pairs is None:
        return None
    better, worse = pairs
    keep = np.ones(n, bool)
    keep[worse] = False
    while not (stays := keep.take(better)).all():  # until all who suppress are kept themselves
        again = np.ones(n, bool)
        again[worse[stays]] = False
        if (again == keep).all():
            break
        keep = again
    return order[keep]


def _few_pairs(
    boxes: np.ndarray, order: np.ndarray, begins: np.ndarray | None, threshold: float | int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Which of a few boxes clash, the better and the worse of each pair: best first, [n] to
    ([pairs], [pairs]).

    An IoU above t takes one above t in x alone, and in y alone. Two intervals of lengths w and w'
    have that only if their middles are less than (w + w') (1 - t) / 2 (1 + t) apart. Squared and
    written out, with m for twice the middle and s = w (1 - t) / (1 + t),

        (m² - s²) / 2 + (m'² - s'²) / 2  <  m m' + s s'.

    So one product of matrices tells for all pairs, x and y added up, which are worth a look.
    """
    if boxes.dtype == np.float64 and not np.abs(boxes).max(initial=0) < 1e150:
        return _pairs(boxes, order, begins, threshold)  # their squares are too large, or NaN
    n = len(order)
    line, form = _without_areas(boxes, order, begins), np.empty((6, n))
    sums = np.matmul(MIDDLE_AND_SIDE, line[:4], out=form[:4])  # m in x and in y, then the sides
    sides = np.maximum(sums[2:], 0, out=sums[2:])
    np.multiply(sides[0], sides[1], out=line[4])
    sides *= (1 - threshold) / (1 + threshold)
    np.matmul(HALF_DIFFERENCE, sums * sums, out=form[4])
    form[5] = 1
    near = form.T @ (FORM @ form) > 0  # [n, n]
    near &= BETTER[:n, :n]
    better, worse = divmod(np.flatnonzero(near), n)
    clash = _clash(line.take(better, 1), line.take(worse, 1), threshold)
    return better.compress(clash), worse.compress(clash)


def _pairs(
    boxes: np.ndarray, order: np.ndarray, begins: np.ndarray | None, threshold: float | int
) -> tuple[np.ndarray, np.ndarray] | None:
    """The same for any boxes, in one rectangle of pairs; None for one that is too large."""
    n = len(order)
    start = boxes[:, 0].take(order)
    rank = (start if begins is None else start + begins.take(order)).argsort()
    padded = _lay_out(boxes, order.take(rank), begins, room=n)
    line = padded[:, :n]  # from left to right
    start, reach = line[0], _reach(line, threshold)
    if begins is not None:
        start, reach = start + line[5], reach + line[5]
    widest = int((start.searchsorted(reach, "right") - np.arange(n)).max(initial=1))
    if n > MANY and widest > WIDEST:
        return None
    followers, band = _followers(padded, n, widest), max(1, PAIRS // max(n, 1))
    found = []
    for row in range(0, widest, band):
        clash = _clash(line[:, None], followers[:, row : row + band], threshold)  # [band, n]
        found.append(np.flatnonzero(clash) + row * n)
    ahead, first = divmod(np.concatenate(found), n)
    one, two = rank.take(first), rank.take(first + ahead + 1)
    return np.minimum(one, two), np.maximum(one, two)


def _reach(line: np.ndarray, threshold: float | int) -> np.ndarray:
    """The last place where a box can start that clashes with this one, [n]; without the classes."""
    start, end = line[0], line[2]
    return end - (end - start) * (threshold * SLACK)


def _hit(
    boxes: np.ndarray,
    best: np.ndarray,
    order: np.ndarray,
    begins: np.ndarray | None,
    threshold: float | int,
) -> np.ndarray:
    """Which of the others clash with a box that is kept: [k] and [n] to bool [n].

    Here the pairs are listed: of the few that are kept with those that each can reach.
    """
    rank = boxes[:, 0].take(order).argsort()
    kept, others = _lay_out(boxes, best, begins), _lay_out(boxes, order.take(rank), begins)
    start = others[0]
    longest = (_reach(others, threshold) - start).max(initial=0) * (2 - SLACK)
    begin = start.searchsorted(kept[0] - (longest if np.isfinite(longest) else np.inf))
    end = start.searchsorted(_reach(kept, threshold), side="right")
    count = np.maximum(end - begin, 0)
    ends = count.cumsum()
    first = np.repeat(np.arange(len(count)), count)  # [pairs]
    second = np.arange(len(first)) + np.repeat(begin - (ends - count), count)  # [pairs]
    clash = _clash(kept.take(first, 1), others.take(second, 1), threshold)
    hit = np.zeros(len(rank), bool)
    hit[rank.take(second[clash])] = True
    return hit


def _followers(padded: np.ndarray, n: int, widest: int) -> np.ndarray:
    """The first, the second, ... of those that follow each place: a view [rows, widest, n]."""
    row, step = padded.strides
    return np.ndarray((len(padded), widest, n), padded.dtype, padded, step, (row, step, step))


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
