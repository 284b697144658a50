"""Lesson 03 solved a second time, in another style: plain lists, numpy, other names.

Each function stands alone. The grader must give all of them full points.
"""

import numpy as np


def match_coco(ious, iou_threshold):
    taken, answer = set(), []
    for row in ious.tolist():
        choice, best = -1, iou_threshold
        for g, iou in enumerate(row):
            if g not in taken and iou >= best:
                choice, best = g, iou
        if choice != -1:
            taken.add(choice)
        answer.append(choice)
    return answer


def precision_recall_curve(scores, correct, positives):
    ranked = sorted(zip(scores.tolist(), correct.tolist(), strict=True), key=lambda pair: -pair[0])
    precision, recall, hits = [], [], 0
    for n, (_, right) in enumerate(ranked, start=1):
        hits += right
        precision.append(hits / n)
        recall.append(hits / positives)
    return precision, recall


def f_beta(tp, fp, fn, beta=1.0):
    weight = 1 + beta * beta
    below = weight * tp + beta * beta * fn + fp
    return weight * tp / below if below else 0


def _height(precision, recall, level):
    return max((p for p, r in zip(precision, recall, strict=True) if r >= level), default=0)


def average_precision_11(precision, recall):
    p, r = precision.tolist(), recall.tolist()
    return sum(_height(p, r, tenth / 10) for tenth in range(11)) / 11


def average_precision_all(precision, recall):
    area, height, right = 0.0, 0.0, 0.0
    for p, r in zip(precision.flip(0).tolist(), recall.flip(0).tolist(), strict=True):
        area += height * (right - r)  # from this recall up to the next one
        height, right = max(height, p), r
    return area + height * right


def average_precision_101(precision, recall):
    p, r = precision.numpy(), recall.numpy()
    heights = np.append(np.maximum.accumulate(p[::-1])[::-1], 0)
    return heights[np.searchsorted(r, np.linspace(0, 1, 101))].mean()


def coco_average_precision(ious, scores):
    ranked = []  # (score, image, its row)
    for k, said in enumerate(scores):
        ranked += [(score, k, n) for n, score in enumerate(said.tolist())]
    ranked.sort(key=lambda entry: -entry[0])
    objects = sum(table.shape[1] for table in ious)
    total = 0.0
    for percent in range(50, 100, 5):
        free = [set(range(table.shape[1])) for table in ious]
        curve, hits = [], 0
        for rank, (_, k, n) in enumerate(ranked, start=1):  # all images at once
            fits = [(ious[k][n, g].item(), g) for g in free[k]]
            best = max(fits, default=(-1.0, -1))
            if best[0] >= percent / 100:
                free[k].remove(best[1])
                hits += 1
            curve.append((hits / rank, hits / objects))
        p, r = [p for p, _ in curve], [r for _, r in curve]
        total += sum(_height(p, r, k / 100) for k in range(101)) / 101
    return total / 10
