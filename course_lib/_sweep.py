"""Greedy NMS for thousands of boxes: the choice of `suppression.nms_steps`, fast.

Boxes that overlap at all overlap in x, and an IoU above t takes more: what two boxes share in x is
more than t times the width of either. So we lay them out on a line in the order of their left
edges: whatever a box can clash with starts before 1 - t of its width is over, and follows it
directly. Every class gets a stretch of the line for itself. Nothing but the order hangs on that,
and rounding keeps order: where floats are too coarse for so long a line, we look at more pairs, and
answer the same.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from course_lib.boxes import box_iou

# A line is one tensor [9, n] with a column for each box, so that one operation picks boxes from it.
LEFT, TOP, RIGHT, BOTTOM, AREA, START, END, CLASS, RANK = range(9)
SLACK = 1 - 1e-6  # of the threshold: what rounding may take from an IoU is far less
FEW = 256  # so few boxes are compared in one matrix
FIRST_CHUNK = 256  # in a crowd, the best few boxes suppress most of the others already
BLOCK = 2**15  # on the CPU, so many pairs are compared at once: as stay in the cache of a core
CHUNK_PAIRS = 2**18  # and then about so many pairs are compared before the next suppression


def greedy(boxes: Tensor, classes: Tensor | None, iou_threshold: float | int) -> Tensor:
    """Which of some boxes that come best first are kept, [N, 4] to bool [N]: settle the best boxes
    left, drop what clashes with them, repeat.
    """
    if len(boxes) <= FEW:
        clash = clashes(boxes, boxes, iou_threshold)
        if classes is not None:
            clash &= classes[:, None] == classes
        better, worse = pairs_of(clash)
        return settle_pairs(better, worse, len(boxes))
    keep, line = _lay_out(boxes, classes, iou_threshold)
    size = FIRST_CHUNK if classes is None else _chunk_size(line)
    while size < line.shape[1]:
        best = line[RANK] <= line[RANK].kthvalue(size).values  # [n]
        kept = _settle_line(_pick(line, best), iou_threshold)
        keep[kept[RANK].long()] = True
        line = _pick(line, ~best)
        line = _pick(line, ~_suppressed(line, kept, iou_threshold, classes is not None))
        size = _chunk_size(line)
    keep[_settle_line(line, iou_threshold)[RANK].long()] = True
    return keep


def _lay_out(
    boxes: Tensor, classes: Tensor | None, iou_threshold: float | int
) -> tuple[Tensor, Tensor]:
    """Of boxes that come best first: which can clash with none, [N], and a line of the others."""
    left, top, right, bottom = _precise(boxes).T  # [N] each
    area = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    solid = (area > 0) & (area < torch.inf)  # IoU with another is 0 or NaN, and no NaN is above
    reach = right - (right - left) * (iou_threshold * SLACK)
    start, end = left.clamp(-1e30, 1e30), reach.clamp(-1e30, 1e30)
    number = torch.zeros_like(left)
    if classes is not None:
        number = classes.unique(return_inverse=True)[1].to(left)  # 0, 1, ..., K - 1
        stretch = torch.where(solid, end, 0).amax() - torch.where(solid, start, 0).amin() + 1
        start, end = start + number * stretch, end + number * stretch
    rank = torch.arange(len(left), device=left.device).to(left)
    line = torch.stack((left, top, right, bottom, area, start, end, number, rank))
    line = _pick(line, solid)
    return ~solid, line.index_select(1, line[START].argsort())


def _followers(line: Tensor) -> Tensor:
    """How many of the boxes after each one start before it ends, [n]."""
    ends = torch.searchsorted(line[START], line[END], right=True)
    return ends - torch.arange(1, line.shape[1] + 1, device=line.device)


def _chunk_size(line: Tensor) -> int:
    """As many boxes as have CHUNK_PAIRS pairs, if the best lie as close together as all do."""
    n = line.shape[1]
    sample = torch.arange(0, n, n // 200 + 1, device=line.device)  # fewer than 200 of the boxes
    ends = torch.searchsorted(line[START], line[END, sample], right=True)
    pairs = n * float((ends - sample).sum()) / max(1, len(sample))
    return n if pairs <= CHUNK_PAIRS else max(FIRST_CHUNK, int(n * (CHUNK_PAIRS / pairs) ** 0.5))


def _settle_line(line: Tensor, iou_threshold: float | int) -> Tensor:
    """The part of a line that greedy NMS keeps: each box compared with those that follow it."""
    n, followers = line.shape[1], _followers(line)
    if not n:
        return line
    widest = int(followers.max())
    rows = max(64, _block_size(line) // max(1, widest))
    reaches = [int(part.max()) for part in followers.split(rows)]
    padded = pad(line, (0, widest))  # with empty boxes
    found = [followers.new_zeros(2, 0)]
    for begin, reach in zip(range(0, n, rows), reaches, strict=True):
        these = line[:, begin : begin + rows]  # [9, R]
        R, steps = these.shape[1], max(1, _block_size(line) // rows)
        for step in range(begin + 1, begin + 1 + reach, steps):
            # Box i beside the boxes i + 1, i + 2, ...: a view of the line, not a copy.
            those = padded[:, step : min(step + steps, begin + 1 + reach) + R - 1].unfold(1, R, 1)
            iou = _line_iou(these[:, None], those)  # [steps, R]
            clashing = (iou.amax(0) > iou_threshold).nonzero().squeeze(1)  # few as a rule
            ahead, which = (iou.index_select(1, clashing) > iou_threshold).nonzero().unbind(1)
            first = clashing[which]
            found.append(torch.stack((first + begin, first + ahead + step)))
    pairs = torch.cat(found, dim=1)  # [2, pairs]
    same_class = line[CLASS, pairs[0]] == line[CLASS, pairs[1]]
    one, other = _pick(pairs, same_class)
    swap = line[RANK, one] > line[RANK, other]
    better, worse = torch.where(swap, other, one), torch.where(swap, one, other)
    return _pick(line, settle_pairs(better, worse, n))


def _suppressed(line: Tensor, kept: Tensor, iou_threshold: float | int, classes: bool) -> Tensor:
    """Which boxes of a line clash with those of another, the kept ones: [n]."""
    gone = torch.zeros_like(line[0], dtype=torch.bool)
    if not len(gone):
        return gone
    rows = 32 if line.device.type == "cpu" else 1024
    blocks, steps = kept.split(rows, dim=1), _block_size(line) // rows
    # A block can clash with boxes that end after its first start, and start before its last end.
    begins = torch.searchsorted(line[END].cummax(0).values, kept[START, ::rows].contiguous())
    ends = torch.searchsorted(line[START], torch.stack([b[END].max() for b in blocks]), right=True)
    for block, begin, end in zip(blocks, begins.tolist(), ends.tolist(), strict=True):
        for step in range(begin, end, steps):
            those = line[:, step : min(step + steps, end)]
            iou = _line_iou(block[:, :, None], those[:, None])  # [rows, steps]
            if classes:
                iou.masked_fill_(block[CLASS, :, None] != those[CLASS], 0)
            gone[step : step + those.shape[1]] |= iou.amax(0) > iou_threshold
    return gone


def _pick(line: Tensor, mask: Tensor) -> Tensor:
    """line[:, mask], in half the time."""
    return line.index_select(1, mask.nonzero().squeeze(1))


def _line_iou(one: Tensor, other: Tensor) -> Tensor:
    """IoU of solid boxes, column by column, broadcast, as in `box_iou`; at most 0 for none."""
    left1, top1, right1, bottom1, area1 = one[:5]
    left2, top2, right2, bottom2, area2 = other[:5]
    width = torch.minimum(right1, right2).sub_(torch.maximum(left1, left2))
    height = torch.minimum(bottom1, bottom2).sub_(torch.maximum(top1, top2))
    # One of the sides stopped at 0 is enough here: an IoU below 0 is not above any threshold.
    inter = width.clamp_(min=0).mul_(height)
    return inter.div_((area1 + area2).sub_(inter))


def _block_size(line: Tensor) -> int:
    return BLOCK if line.device.type == "cpu" else 2**22


def settle_pairs(better: Tensor, worse: Tensor, n: int) -> Tensor:
    """`settle` for pairs of positions that clash, [pairs] each, among n boxes: [n]."""
    keep = torch.ones(n, dtype=torch.bool, device=better.device)
    while True:
        again = torch.ones_like(keep)
        again[worse[keep[better]]] = False
        if torch.equal(again, keep):
            return keep
        keep = again


def pairs_of(overlaps: Tensor) -> Tensor:
    """Positions of the better and of the worse box where overlaps[better, worse]: [2, pairs]."""
    pairs = overlaps.nonzero().T
    return _pick(pairs, pairs[0] < pairs[1])


def best_first(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)  # [N]


def _precise(boxes: Tensor) -> Tensor:
    return boxes.to(torch.float32 if boxes.device.type == "mps" else torch.float64)


def clashes(boxes1: Tensor, boxes2: Tensor, iou_threshold: float | int) -> Tensor:
    return box_iou(_precise(boxes1), _precise(boxes2)) > iou_threshold  # [N, M]
