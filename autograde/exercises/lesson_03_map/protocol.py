"""Exercise 7: coco_average_precision, from the tables of all images to one number."""

from __future__ import annotations

from autograde.exercises.lesson_03_map import images as give
from autograde.exercises.lesson_03_map.matching import again_and_again, strictly, voc
from autograde.exercises.lesson_03_map.slips import (
    THRESHOLDS,
    average,
    each_image,
    fails,
    highest_of,
    only,
    piled_up,
)
from autograde.spec import Case, Exercise, Mistake
from course_lib import metrics as ref

COCO_AVERAGE_PRECISION = Exercise(
    name="coco_average_precision",
    points=3,
    reference=ref.coco_average_precision,
    names=("ious", "scores"),
    forbids=(
        "coco_average_precision",
        "evaluate_coco",
        "evaluate_coco_images",
    ),
    cases=(
        Case("one image, by decreasing score", give.one_image, core=True),
        Case("three images, detections in any order", give.three_images, core=True),
        Case("every object reported twice", give.duplicates),
        Case("an image without objects: its boxes are false alarms", give.image_without_truth),
        Case("an image without boxes: its objects are missed", give.image_without_detections),
        Case("its best object is taken, its second best is free", give.voc_differs),
        Case("an IoU of exactly 0.5", give.half_threshold),
        Case("24 equal scores in an image keep their order, stable=True", give.equal_across),
        Case("a perfect detector: 1", give.perfect),
        Case("no detections at all: 0", give.nothing_found),
        Case(
            "recalls of exactly 7/25 and 8/25 (if not: is all of it in float64?)",
            give.on_the_points,
            advice=True,
        ),
    ),
    mistakes=(
        Mistake(
            "half_only",
            "This is AP at IoU 0.5 alone. COCO takes the mean over ten thresholds, 0.50, 0.55, …, "
            "0.95: does each of them reach match_coco?",
            lambda i, s: average(i, s, thresholds=[0.5]),
        ),
        Mistake(
            "without_95",
            "The last threshold, 0.95, is left out. There are ten, from 0.50 to 0.95.",
            lambda i, s: average(i, s, thresholds=THRESHOLDS[:-1]),
        ),
        Mistake(
            "without_50",
            "The first threshold, 0.50, is left out. There are ten, from 0.50 to 0.95.",
            lambda i, s: average(i, s, thresholds=THRESHOLDS[1:]),
        ),
        Mistake(
            "with_100",
            "There is a threshold too many, 1.00. COCO ends at 0.95.",
            lambda i, s: average(i, s, thresholds=[*THRESHOLDS, 1.0]),
        ),
        Mistake(
            "up_to_100",
            "The thresholds begin at 0.55 and end at 1.00. They are 0.50, 0.55, …, 0.95.",
            lambda i, s: average(i, s, thresholds=[*THRESHOLDS[1:], 1.0]),
        ),
        Mistake(
            "stretched_to_100",
            "Ten thresholds from 0.50 to 1.00 are more than 0.05 apart. COCO ends at 0.95.",
            lambda i, s: average(i, s, thresholds=[0.5 + k / 18 for k in range(10)]),
        ),
        Mistake(
            "nine_over_ten",
            "The last threshold, 0.95, is left out: arange and range stop before their end. You "
            "divide by ten, and ten there are, from 0.50 to 0.95.",
            lambda i, s: 0.9 * average(i, s, thresholds=THRESHOLDS[:-1]),
        ),
        Mistake(
            "eleven_over_ten",
            "There is a threshold too many, 1.00: eleven values are added and divided by ten.",
            lambda i, s: 1.1 * average(i, s, thresholds=[*THRESHOLDS, 1.0]),
        ),
        Mistake(
            "steps_of_tenth",
            "The thresholds are 0.1 apart: 0.5, 0.6, …, 0.9. COCO's are 0.05 apart, and there are "
            "ten of them.",
            lambda i, s: average(i, s, thresholds=[0.5, 0.6, 0.7, 0.8, 0.9]),
        ),
        Mistake(
            "list_of_ten",
            "These are the APs at the ten thresholds. The answer is their mean, one number.",
            lambda i, s: [average(i, s, thresholds=[t]) for t in THRESHOLDS],
        ),
        Mistake(
            "lists_pile_up",
            "The lists of scores and verdicts are not emptied before the next threshold, so the "
            "boxes of the last one are still there. Begin each threshold with empty lists.",
            lambda i, s: piled_up(i, s, positives_too=False, one_curve=False),
        ),
        Mistake(
            "lists_and_positives_pile_up",
            "Scores, verdicts and positives go on growing from threshold to threshold. Begin each "
            "threshold anew.",
            lambda i, s: piled_up(i, s, positives_too=True, one_curve=False),
        ),
        Mistake(
            "one_curve_of_all",
            "The boxes of all ten thresholds are in one ranking. Each threshold has a curve and an "
            "AP of its own; the mean of the ten is the answer.",
            lambda i, s: piled_up(i, s, positives_too=False, one_curve=True),
        ),
        Mistake(
            "one_curve_of_all_objects",
            "The boxes and the objects of all ten thresholds are in one ranking. Each threshold "
            "has a curve and an AP of its own; then take their mean.",
            lambda i, s: piled_up(i, s, positives_too=True, one_curve=True),
        ),
        Mistake(
            "sum_of_thresholds",
            "The APs of the ten thresholds are added but not divided by ten.",
            lambda i, s: 10 * average(i, s),
        ),
        Mistake(
            "mean_over_images",
            "AP is computed for each image and averaged. There is one ranking: put the detections "
            "of all images together, then draw one curve.",
            lambda i, s: each_image(i, s, truth_only=False),
        ),
        Mistake(
            "mean_over_images_with_objects",
            "AP is computed for each image that has objects, and averaged. There is one ranking of "
            "all images together, and false alarms on empty images belong to it.",
            lambda i, s: each_image(i, s, truth_only=True),
        ),
        Mistake(
            "empty_images_skipped",
            "Images without objects are skipped, and their false alarms with them. They count.",
            only(lambda table: table.shape[1]),
        ),
        Mistake(
            "silent_images_skipped",
            "Images without detections are skipped, and their objects with them. Those objects "
            "are missed: they belong to the positives.",
            only(lambda table: table.shape[0]),
        ),
        Mistake(
            "not_sorted_across",
            "The boxes of all images must stand in one ranking by score, not image after image. "
            "Does your precision_recall_curve sort, and is its check green?",
            lambda i, s: average(i, s, across=False),
        ),
        Mistake(
            "not_sorted_within",
            "In each image the boxes choose in the order in which they came. The best score "
            "chooses first: sort the rows of its table before you match.",
            lambda i, s: average(i, s, within="no"),
        ),
        Mistake(
            "rows_left_behind",
            "The scores of each image are sorted, but the rows of its table are not, so boxes get "
            "other boxes' scores. Sort both with the same order.",
            lambda i, s: average(i, s, within="scores"),
        ),
        Mistake(
            "scores_left_behind",
            "The rows of each table are sorted, but the scores are not, so boxes get other boxes' "
            "scores. Sort both with the same order.",
            lambda i, s: average(i, s, within="table"),
        ),
        Mistake(
            "first_object_lost",
            "Boxes that found object 0 count as wrong: `matches > 0` leaves it out. No match is "
            "-1, so ask `matches >= 0`.",
            lambda i, s: average(i, s, hit=lambda g: g > 0),
        ),
        Mistake(
            "minus_one_is_true",
            "The matches are used as True and False: -1 counts as True then, and object 0 as "
            "False. Ask `matches >= 0`.",
            lambda i, s: average(i, s, hit=lambda g: bool(g)),
        ),
        Mistake(
            "matches_as_verdicts",
            "The matches themselves are handed on as verdicts, and their numbers get added up. "
            "Right or wrong is `matches >= 0`.",
            lambda i, s: average(i, s, hit=lambda g: g),
        ),
        Mistake(
            "matches_counted",
            "The numbers of the objects are counted as if they were verdicts, -1 and all. Right or "
            "wrong is `matches >= 0`.",
            lambda i, s: average(i, s, hit=lambda g: g, averaged=highest_of),
        ),
        Mistake(
            "upwards_within",
            "In each image the lowest score chooses first: argsort sorts upwards unless you say "
            "descending=True.",
            lambda i, s: average(i, s, within="upwards"),
        ),
        Mistake(
            "eleven_points",
            "The thresholds are right, but the curve is averaged by 11 points. COCO takes 101.",
            lambda i, s: average(i, s, points=11),
        ),
        Mistake(
            "whole_area",
            "The thresholds are right, but this is the exact area under the curve. COCO takes 101 "
            "points.",
            lambda i, s: average(i, s, points=0),
        ),
        Mistake(
            "over_images",
            "Recall is divided by the number of images. The positives are the objects of all "
            "images: the columns of all tables.",
            lambda i, s: average(i, s, positives=len(i)),
        ),
        Mistake(
            "over_detections",
            "Recall is divided by the number of detections. The positives are the objects of all "
            "images: the columns of all tables.",
            lambda i, s: average(i, s, positives=sum(len(t) for t in i)),
        ),
        Mistake(
            "taken_twice",
            "A second box on the same object counts as right. It is a false alarm: each object can "
            "be found once.",
            lambda i, s: average(i, s, match=again_and_again),
        ),
        Mistake(
            "voc_rule",
            "A box whose best object is taken gets nothing: that is PASCAL VOC's matching. Use "
            "your match_coco, which looks among the free objects.",
            lambda i, s: average(i, s, match=voc),
        ),
        Mistake(
            "strictly_greater",
            "An IoU of exactly the threshold is refused somewhere. It is enough: `>=`, not `>`.",
            lambda i, s: average(i, s, match=strictly),
        ),
        Mistake(
            "earlier_gives_no_tensor",
            "An error each time. If it speaks of lists or arrays: is what your earlier functions "
            "give a tensor? `torch.as_tensor(...)` makes one of a list or an array.",
            fails(TypeError),
        ),
        Mistake(
            "earlier_gives_no_attribute",
            "An error each time. If something has no such attribute: is what your earlier "
            "functions give a tensor? `torch.as_tensor(...)` makes one of a list or a number.",
            fails(AttributeError),
        ),
        Mistake(
            "plain_zero_for_nothing",
            "Without boxes it stops. Do your averages give a plain 0 there? Then add them up as "
            "numbers, `sum(values) / 10`, or make tensors of them by torch.as_tensor.",
            fails(TypeError, always=False),
        ),
    ),
    hints=(
        "Positives: the sum of `table.shape[1]` over all images, with and without detections.",
        "For each image: `order = s.argsort(descending=True, stable=True)`, then use "
        "`table[order]` and `s[order]`. Put the scores of all images together with torch.cat.",
        "For each threshold: match every image, `matches >= 0`, torch.cat in the same order as the "
        "scores. Then your curve and your 101-point average.",
        "In the end the mean of the ten: `sum(values) / 10` takes tensors and plain numbers. "
        "An error that speaks of lists? Is what your earlier functions give a tensor? "
        "`torch.as_tensor(...)` makes one of it.",
    ),
)
