"""Exercise 3: match_anchors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autograde.exercises.lesson_04_anchors import matching_slips as slips
from autograde.exercises.lesson_04_anchors.inputs import many, mixed, table
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib import matching as ref


def _untouched(d: Draw) -> tuple[Tensor, float, float, bool]:
    """The second truth overlaps nothing; the first anchor is none that anybody would take."""
    rest = mixed(d, table([[13, 5, 0, 1, 3], [0] * 5]))
    return torch.cat([table([[1], [0]]), rest], dim=1), 0.75, 0.25, True


def _case(
    probes: str,
    rows: Sequence[Sequence[int]],
    high: float = 0.75,
    low: float = 0.25,
    allow: bool = False,
    core: bool = False,
    of: int = 16,
) -> Case:
    return Case(probes, lambda d: (mixed(d, table(rows, of)), high, low, allow), core=core)


MATCH_ANCHORS = Exercise(
    name="match_anchors",
    points=4,
    reference=ref.match_anchors,
    names=("iou", "high", "low", "allow_low_quality"),
    forbids=("match_anchors", "__call__"),
    cases=(
        _case(
            "positive, ignored and negative anchors",
            [[14, 8, 1, 0, 2, 6], [3, 2, 13, 1, 15, 0], [0, 1, 2, 2, 14, 9]],
            core=True,
        ),
        _case(
            "low-quality matches: no truth goes without",
            [[14, 5, 1, 0, 2, 9], [1, 6, 2, 7, 0, 1], [0, 1, 3, 0, 2, 1]],
            allow=True,
            core=True,
        ),
        _case(
            "the same without low-quality matches",
            [[14, 5, 1, 0, 2, 9], [1, 6, 2, 7, 0, 1], [0, 1, 3, 0, 2, 1]],
            core=True,
        ),
        _case("IoU of exactly the high threshold", [[12, 11, 5, 0, 1], [0, 2, 7, 12, 13]]),
        _case("IoU of exactly the low threshold", [[14, 4, 3, 0, 1], [0, 2, 1, 4, 13]]),
        _case(
            "several anchors tie for a truth: all of them",
            [[6, 6, 1, 0, 5, 6], [0, 1, 13, 15, 0, 2]],
            allow=True,
        ),
        _case(
            "a truth's best anchor prefers another truth: it keeps its own",
            [[13, 5, 0, 1, 2], [6, 3, 2, 1, 0], [1, 2, 0, 7, 5]],
            allow=True,
        ),
        _case(
            "a lifted anchor that prefers another truth answers for that one",
            [[14, 8, 3, 0, 1], [0, 6, 1, 0, 2], [1, 0, 2, 1, 0]],
            allow=True,
        ),
        _case(
            "a truth's anchor helps another truth first: it still lifts its own best one",
            [[6, 0, 1, 2], [7, 10, 2, 0]],
            allow=True,
        ),
        _case(
            "nearly as good as a truth's best anchor is not as good",
            [[57, 3, 0, 56, 1], [2, 30, 28, 0, 29], [0, 1, 9, 8, 0]],
            allow=True,
            of=64,
        ),
        Case("a truth that no anchor overlaps brings no match", _untouched),
        _case("one threshold for both: nothing is ignored", [[9, 8, 7, 1], [0, 2, 3, 8]], 0.5, 0.5),
        _case("one anchor, three truths", [[13], [15], [14]]),
        Case(
            "many anchors, with low-quality matches",
            lambda d: (many(d, 4, 25), 0.75, 0.5, True),
        ),
        Case("many anchors, without", lambda d: (many(d, 4, 25), 0.5, 0.4, False)),
        Case(
            "an image without truths: all negative",
            lambda d: (torch.zeros(0, d.integer(3, 6)), 0.75, 0.25, True),
        ),
    ),
    mistakes=(
        Mistake(
            "codes_swapped",
            "−1 and −2 are swapped. −1 is a negative, below the low threshold; −2 lies between the "
            "thresholds and is ignored.",
            slips.matching(negative=slips.IGNORED, ignored=slips.NEGATIVE),
        ),
        Mistake(
            "codes_swapped_throughout",
            "−1 and −2 are swapped, in an image without truths, too. −1 is a negative, below the "
            "low threshold; −2 lies between the thresholds and is ignored.",
            slips.swapped_throughout,
        ),
        Mistake(
            "nothing_ignored",
            "All that is not positive became negative. From the low threshold up to the high one "
            "an anchor is ignored: −2.",
            slips.matching(ignored=slips.NEGATIVE),
        ),
        Mistake(
            "all_ignored",
            "All that is not positive is ignored, so nothing learns what background looks like. "
            "Below the low threshold an anchor is −1. If you write both codes in turn, −2 comes "
            "first: what is below `low` is below `high`, too.",
            slips.matching(negative=slips.IGNORED),
        ),
        Mistake(
            "strict_high",
            "An anchor with an IoU of exactly the high threshold is left out. *At least* the "
            "threshold is enough: `>=`.",
            slips.matching(reaches_high=torch.gt),
        ),
        Mistake(
            "strict_low",
            "An anchor with an IoU of exactly the low threshold became negative. Only *below* it "
            "is negative.",
            slips.matching(reaches_low=torch.gt),
        ),
        Mistake(
            "strict_low_overwrites",
            "An anchor with an IoU of exactly the low threshold became negative, even where the "
            "high one is the same and it was positive. Only *below* the low one is negative: `<`.",
            slips.strict_low_overwrites,
        ),
        Mistake(
            "thresholds_swapped",
            "The two thresholds are swapped: the low one decides what is positive.",
            lambda iou, high, low, allow: slips.match(iou, low, high, allow),
        ),
        Mistake(
            "wrong_axis",
            "This answers for each truth which anchor it takes. The question is put to each "
            "anchor: the best truth of a column is `iou.max(dim=0)`.",
            slips.wrong_axis,
        ),
        Mistake(
            "labels",
            "These are labels: 1, 0 and −1 for positive, negative and ignored. Say which truth a "
            "positive anchor belongs to: its row.",
            slips.labels,
        ),
        Mistake(
            "always_number_one",
            "Every positive got the number 1. Say which truth the anchor answers for: its row, 0 "
            "for the first.",
            slips.always_number_one,
        ),
        Mistake(
            "counted_from_one",
            "The truths are counted from 1. Truth 0 is the first row.",
            slips.matching(first_number=1),
        ),
        Mistake(
            "always_the_best",
            "Every anchor got its best truth, however little they overlap. Ask whether the IoU "
            "reaches the thresholds.",
            slips.always_best,
        ),
        Mistake(
            "last_wins",
            "Where several truths reach the threshold, the last one overwrote the others. An "
            "anchor belongs to the one with which its IoU is highest.",
            slips.last_wins,
        ),
        Mistake(
            "first_wins",
            "Where several truths reach the threshold, the first one took the anchor. It belongs "
            "to the one with which its IoU is highest.",
            slips.first_wins,
        ),
        Mistake(
            "low_quality_forgotten",
            "Low-quality matches are allowed and nothing is lifted. You wrote the rule? After "
            "`matches = truth` both names mean one tensor: your −1 and −2 stand in `truth`, too, "
            "and are read back. Take `truth.clone()`.",
            lambda iou, high, low, allow: slips.match(iou, high, low, False),
        ),
        Mistake(
            "low_quality_always",
            "Low-quality matches are made even where they are not allowed. Look at the fourth "
            "argument.",
            lambda iou, high, low, allow: slips.match(iou, high, low, True),
        ),
        Mistake(
            "first_of_ties",
            "Only the first of several equally good anchors was taken: `argmax` finds one. Compare "
            "with the truth's best IoU: `iou == iou.amax(dim=1, keepdim=True)`.",
            slips.matching(lifts=slips.first_of_ties),
        ),
        Mistake(
            "taken_by_force",
            "A truth took its best anchor away from another truth that this anchor overlaps more. "
            "The rule makes the anchor positive; it still answers for its own best truth.",
            slips.forced,
        ),
        Mistake(
            "one_by_force",
            "Each truth took one anchor, the first of its best ones, even away from a truth that "
            "this anchor overlaps more. Take all that tie for its best IoU, above 0, and let each "
            "answer for its own best truth.",
            slips.one_by_force,
        ),
        Mistake(
            "all_by_force",
            "Each truth took the anchors that tie for its best IoU, away from other truths and "
            "even where that IoU is 0. The rule makes them positive; each still answers for its "
            "own best truth.",
            slips.all_by_force,
        ),
        Mistake(
            "rest_by_force",
            "An anchor that was not positive got the number of the truth that lifted it. The rule "
            "makes it positive; it answers for its own best truth, which may be another one.",
            slips.rest_by_force,
        ),
        Mistake(
            "ignored_stay",
            "Only negative anchors were lifted. The rule makes an ignored one (−2) positive, too, "
            "when it is a truth's best.",
            slips.ignored_stay,
        ),
        Mistake(
            "own_truth_only",
            "An anchor was lifted only by its own best truth. Any truth lifts the anchors that "
            "reach its best IoU, even those that prefer another truth (and answer for that one).",
            slips.own_truth_only,
        ),
        Mistake(
            "best_of_its_own",
            "A truth looked for its best anchor only among those whose first choice it is. It "
            "looks along its whole row; if it is nobody's first choice, it still lifts its best.",
            slips.best_of_its_own,
        ),
        Mistake(
            "near_ties",
            "An anchor that is nearly as good as a truth's best one was lifted, too. Ties are "
            "equal numbers: compare with `==`, without a tolerance.",
            slips.matching(lifts=slips.near_ties),
        ),
        Mistake(
            "argmax_finds_one",
            "`argmax` finds one anchor for each truth: only the first of several equally good "
            "ones, and one even where no anchor overlaps it. Compare with the truth's best IoU, "
            "and ask that it is above 0.",
            slips.matching(lifts=slips.first_or_any),
        ),
        Mistake(
            "only_the_forgotten",
            "A truth was passed over because some anchor answered for it already, one that another "
            "truth had lifted. The rule asks nothing about the answers so far: every truth lifts "
            "the best anchors of its row.",
            slips.only_the_forgotten,
        ),
        Mistake(
            "one_maximum",
            "One maximum of the whole table was used, so only the best anchor of all is lifted. "
            "Each truth has its own best IoU: `iou.amax(dim=1)`, a number for each row.",
            slips.matching(lifts=lambda iou: (iou == iou.max()).any(dim=0)),
        ),
        Mistake(
            "down_the_column",
            "Every anchor that overlaps anything was lifted: its best truth was looked up down its "
            "column. The rule looks along the row of each truth, for the best anchor.",
            slips.matching(lifts=lambda iou: iou.amax(dim=0) > 0),
        ),
        Mistake(
            "zeros_tie",
            "A truth that no anchor overlaps ties with all of them at 0, and made every anchor "
            "positive. A best IoU of 0 is no match.",
            slips.matching(lifts=lambda iou: slips.lifted(iou, zeros=True)),
        ),
        Mistake(
            "only_from_low",
            "A low-quality match was made only from the low threshold on. It is meant for the "
            "truths that have nothing better, however little it is.",
            slips.only_from_low,
        ),
        Mistake(
            "one_each",
            "Only the best anchor of each truth is positive. All anchors that reach the high "
            "threshold are, too.",
            slips.one_each,
        ),
        Mistake(
            "none_ignored",
            "In an image without truths the anchors came back ignored. Their IoU with anything is "
            "0, below the low threshold: all are negative, −1.",
            slips.without_truths(lambda N: torch.full((N,), slips.IGNORED)),
        ),
        Mistake(
            "none_empty",
            "Without truths nothing came back. The image still has its N anchors: a −1 for each, "
            "`torch.full((iou.shape[1],), -1)`.",
            slips.without_truths(lambda N: torch.zeros(0)),
        ),
        Mistake(
            "none_breaks",
            "All is right as long as there are truths. Without any there is no largest IoU: "
            "answer that case first, with −1 for every anchor.",
            slips.none_breaks,
        ),
    ),
    hints=(
        "`quality, truth = iou.max(dim=0)` gives for each anchor, each column, its highest IoU and "
        "the row in which it stands. Without rows there is no maximum: if `len(iou) == 0`, give "
        "`torch.full((iou.shape[1],), -1)` back at once.",
        "Begin with the answer for everybody, `matches = truth.clone()` (a copy: you need `truth` "
        "again), and overwrite: where the quality is below `high` put −2, then where it is below "
        "`low` put −1. Or with `torch.where`.",
        "Low quality: `best = iou.amax(dim=1, keepdim=True)` is each truth's highest IoU; `lifted "
        "= ((iou == best) & (best > 0)).any(dim=0)` are the anchors that reach it. At the end "
        "`matches[lifted] = truth[lifted]`.",
    ),
    picture="",
)
