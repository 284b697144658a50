"""Exercise 1: match_coco."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograde.exercises.lesson_03_map import inputs as give
from autograde.spec import Case, Exercise, Mistake
from course_lib import metrics as ref


def greedy(
    ious: Tensor,
    threshold: float,
    *,
    once: bool = True,
    enough: Callable[[float, float], bool] = lambda iou, threshold: iou >= threshold,
    choose: str = "best free",
    loose_takes: bool = False,
) -> list[int]:
    """COCO's matching in plain Python, with a slip of your choice."""
    taken: set[int] = set()
    matches = []
    for row in ious.tolist():
        free = [g for g in range(len(row)) if g not in taken]
        match = -1
        if choose == "first":
            match = next((g for g in free if enough(row[g], threshold)), -1)
        elif free:
            options = range(len(row)) if choose == "best" else free
            best = max(options, key=lambda g: row[g])
            if enough(row[best], threshold):
                match = -1 if best in taken else best
            elif loose_takes:
                taken.add(best)
        if match >= 0 and once:
            taken.add(match)
        matches.append(match)
    return matches


def strictly(ious: Tensor, threshold: float) -> list[int]:
    return greedy(ious, threshold, enough=lambda iou, least: iou > least)


def voc(ious: Tensor, threshold: float) -> list[int]:
    return greedy(ious, threshold, choose="best")


def again_and_again(ious: Tensor, threshold: float) -> list[int]:
    return greedy(ious, threshold, once=False)


def _best_box_for_each_truth(ious: Tensor, threshold: float) -> list[int]:
    matches = [-1] * len(ious)
    for g, column in enumerate(ious.T.tolist()):
        if column and max(column) >= threshold:
            matches[column.index(max(column))] = g
    return matches


def _objects_choose(ious: Tensor, threshold: float) -> list[int]:
    matches = [-1] * len(ious)
    for g, column in enumerate(ious.T.tolist()):
        free = [d for d in range(len(matches)) if matches[d] < 0]
        best = max(free, key=lambda d: column[d], default=-1)
        if best >= 0 and column[best] >= threshold:
            matches[best] = g
    return matches


def _best_pair_first(ious: Tensor, threshold: float) -> list[int]:
    matches = [-1] * len(ious)
    pairs = [(iou, d, g) for d, row in enumerate(ious.tolist()) for g, iou in enumerate(row)]
    for iou, d, g in sorted(pairs, reverse=True):
        if iou >= threshold and matches[d] < 0 and g not in matches:
            matches[d] = g
    return matches


def _column_removed(ious: Tensor, threshold: float) -> list[int]:
    rows, matches = ious.tolist(), []
    for n, row in enumerate(rows):
        match = -1
        if row and max(row) >= threshold:
            match = row.index(max(row))
            for later in rows[n + 1 :]:
                del later[match]
        matches.append(match)
    return matches


def _answer_for_each_truth(ious: Tensor, threshold: float) -> list[int]:
    matches = greedy(ious, threshold)
    return [matches.index(g) if g in matches else -1 for g in range(ious.shape[1])]


def _stop_at_miss(ious: Tensor, threshold: float) -> list[int]:
    matches = greedy(ious, threshold)
    end = matches.index(-1) if -1 in matches else len(matches)
    return matches[:end] + [-1] * (len(matches) - end)


def _last_row_first(ious: Tensor, threshold: float) -> list[int]:
    return greedy(ious.flip(0), threshold)[::-1]


def _empty_without_objects(ious: Tensor, threshold: float) -> list[int]:
    return greedy(ious, threshold) if ious.shape[1] else []


def _max_of_nothing(error: type[Exception]) -> Callable[[Tensor, float], list[int]]:
    def wrong(ious: Tensor, threshold: float) -> list[int]:
        if len(ious) and not ious.shape[1]:
            raise error("max of an empty row")
        return greedy(ious, threshold)

    return wrong


MATCH_COCO = Exercise(
    name="match_coco",
    points=3,
    reference=ref.match_coco,
    names=("ious", "iou_threshold"),
    forbids=("match_coco", "match_voc"),
    cases=(
        Case("a hit, a box too loose, a hit", give.some_hits, core=True),
        Case("two boxes on one object: the first one takes it", give.same_object, core=True),
        Case("its best object is taken, its second best is free", give.second_best_is_free),
        Case("one box fits two objects: it takes the better one", give.fits_two),
        Case("one box lies on two objects: the other stays free", give.lies_on_both),
        Case("an IoU of exactly the threshold is enough", give.exactly),
        Case("a stricter threshold", give.strict_threshold),
        Case("a milder threshold", give.mild_threshold),
        Case("a box that fits nothing takes nothing away", give.takes_nothing_away),
        Case("twelve boxes, six objects", give.many),
        Case("no objects at all: all -1", lambda d: (torch.zeros(d.integer(2, 4), 0), 0.5)),
        Case("no boxes at all", lambda d: (torch.zeros(0, d.integer(2, 4)), 0.5)),
    ),
    mistakes=(
        Mistake(
            "taken_twice",
            "One object is found twice. Once a box has taken it, it is no longer free; the second "
            "box is a false alarm.",
            again_and_again,
        ),
        Mistake(
            "strictly_greater",
            "An IoU of exactly the threshold is refused. It is enough: `>=`, not `>`.",
            strictly,
        ),
        Mistake(
            "voc_rule",
            "If its best object is taken already, the box gets nothing: that is PASCAL VOC's rule. "
            "COCO looks for the best among the objects that are still free.",
            voc,
        ),
        Mistake(
            "threshold_ignored",
            "A box takes an object although their IoU is below the threshold. Compare before you "
            "take.",
            lambda ious, t: greedy(ious, t, enough=lambda iou, least: True),
        ),
        Mistake(
            "always_half",
            "The threshold is 0.5 whatever the caller says. Use `iou_threshold`.",
            lambda ious, t: greedy(ious, 0.5),
        ),
        Mistake(
            "first_above_threshold",
            "The box takes the first free object that reaches the threshold. It should take the "
            "one with the highest IoU.",
            lambda ious, t: greedy(ious, t, choose="first"),
        ),
        Mistake(
            "loose_box_takes",
            "A box below the threshold matches nothing, yet its object is marked as taken. Mark it "
            "only where there is a match.",
            lambda ious, t: greedy(ious, t, loose_takes=True),
        ),
        Mistake(
            "best_box_for_each_object",
            "For each object the best-fitting box is looked up. It is the boxes that choose, one "
            "after another: a better score goes before a better fit.",
            _best_box_for_each_truth,
        ),
        Mistake(
            "objects_choose",
            "The loop runs over the objects, and each takes the best free box. Let it run over the "
            "boxes: the best score chooses first.",
            _objects_choose,
        ),
        Mistake(
            "best_pair_first",
            "The pairs are taken by IoU, the highest of all first. The order is the score's: row 0 "
            "chooses before row 1, even if row 1 fits better.",
            _best_pair_first,
        ),
        Mistake(
            "column_removed",
            "Taken columns are removed from the table, so the columns behind them get new numbers. "
            "Keep the table and remember what is taken.",
            _column_removed,
        ),
        Mistake(
            "answer_for_each_object",
            "The answer has an entry for each object. It needs one for each box: which object that "
            "box found, or -1.",
            _answer_for_each_truth,
        ),
        Mistake(
            "stop_at_miss",
            "The loop ends at the first box that finds nothing (`break`, or a `return` too far "
            "in). The boxes behind it have their turn, too.",
            _stop_at_miss,
        ),
        Mistake(
            "last_row_first",
            "The last row chooses first. Row 0 has the best score: go from the top down.",
            _last_row_first,
        ),
        Mistake(
            "empty_without_objects",
            "Without objects the answer is empty here. There are still boxes, and each needs its "
            "entry: -1.",
            _empty_without_objects,
        ),
        Mistake(
            "max_of_nothing",
            "Without objects a row is empty, and `max()` of nothing is an error. Then no box has "
            "found anything: all -1.",
            _max_of_nothing(RuntimeError),
        ),
        Mistake(
            "argmax_of_nothing",
            "Without objects a row is empty, and has no largest entry: `max(0)` and `argmax` stop "
            "with an error. Then no box has found anything: all -1.",
            _max_of_nothing(IndexError),
        ),
        Mistake(
            "counted_from_one",
            "The objects are counted from 1. Columns are counted from 0, and no match is -1.",
            lambda ious, t: [g + 1 if g >= 0 else -1 for g in greedy(ious, t)],
        ),
        Mistake(
            "zero_for_none",
            "A box that found nothing gets 0, which is the number of the first object. It gets -1.",
            lambda ious, t: [max(g, 0) for g in greedy(ious, t)],
        ),
        Mistake(
            "true_or_false",
            "The answer says only whether each box found something. Say which object: its column, "
            "or -1.",
            lambda ious, t: torch.tensor(greedy(ious, t), dtype=torch.int64) >= 0,
        ),
        Mistake(
            "without_misses",
            "Boxes that found nothing are left out of the answer. They get -1, so that entry d "
            "belongs to row d.",
            lambda ious, t: [g for g in greedy(ious, t) if g >= 0],
        ),
    ),
    hints=(
        "A loop over the rows, in order. Remember which objects are still free: "
        "`free = torch.ones(G, dtype=torch.bool)`.",
        "In a row only the free objects count: torch.where(free, row, -1) puts -1 for the others. "
        "Then max and argmax.",
        "Begin with `matches = torch.full((D,), -1)`. If that max reaches the threshold, write the "
        "argmax into `matches[d]` and set `free[argmax] = False`. Else leave both as they are.",
        "max of an empty row is an error: if there are no objects, return all -1 at once.",
    ),
    picture="matches",
)
