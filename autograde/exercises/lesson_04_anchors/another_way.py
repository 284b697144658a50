"""Lesson 04 solved a second time, in another style: plain loops, numpy, other formulas.

Each function stands alone. The grader must give all of them full points.
"""

import math

import numpy as np
import torch

from course_lib.boxes import box_iou

CLIP = math.log(1000 / 16)


def base_anchors(sizes, aspect_ratios):
    # torchvision's way: roots of the ratios first, then an outer product with the sizes
    root = np.sqrt(np.asarray(aspect_ratios, dtype=np.float64))
    h = np.outer(root, sizes).ravel()
    w = np.outer(1 / root, sizes).ravel()
    return np.round(np.column_stack([-w, -h, w, h]) / 2)


def grid_anchors(base, grid, stride):
    found = []
    for place in range(grid[0] * grid[1]):
        row, column = divmod(place, grid[1])
        for x1, y1, x2, y2 in base.tolist():
            x, y = column * stride, row * stride
            found.append([x1 + x, y1 + y, x2 + x, y2 + y])
    return torch.tensor(found, dtype=base.dtype)


def match_anchors(iou, high, low, allow_low_quality):
    columns = [column.tolist() for column in iou.unbind(1)]
    best_of = [max(row) for row in iou.tolist()] if iou.shape[1] else []
    answer = []
    for column in columns:
        quality = max(column, default=0.0)
        lifted = allow_low_quality and any(
            value == best > 0 for value, best in zip(column, best_of, strict=True)
        )
        if column and (quality >= high or lifted):
            answer.append(column.index(quality))
        elif quality >= low:
            answer.append(-2)
        else:
            answer.append(-1)
    return answer


def encode_boxes(reference_boxes, proposals, weights=(1, 1, 1, 1)):
    columns = []
    for axis in (0, 1):
        low, high = reference_boxes[:, axis], reference_boxes[:, axis + 2]
        low_p, high_p = proposals[:, axis], proposals[:, axis + 2]
        side, side_p = high - low, high_p - low_p
        columns.append(weights[axis] * ((low + high) - (low_p + high_p)) / (2 * side_p))
        columns.append(weights[axis + 2] * (torch.log(side) - torch.log(side_p)))
    dx, dw, dy, dh = columns
    return torch.stack((dx, dy, dw, dh), dim=-1)


def decode_boxes(rel_codes, boxes, weights=(1, 1, 1, 1), bbox_xform_clip=CLIP):
    answer = np.empty_like(rel_codes.numpy())
    codes = rel_codes.numpy() / np.array(weights, dtype=answer.dtype)
    for n, (x1, y1, x2, y2) in enumerate(boxes.numpy()):
        dx, dy, dw, dh = codes[n]
        half_w = (x2 - x1) / 2 * min(np.exp(dw), np.exp(bbox_xform_clip))
        half_h = (y2 - y1) / 2 * min(np.exp(dh), np.exp(bbox_xform_clip))
        x, y = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
        answer[n] = x - half_w, y - half_h, x + half_w, y + half_h
    return answer


def shape_iou(sizes1, sizes2):
    # boxes with one common corner overlap as those with one common centre do
    first, second = (torch.cat([torch.zeros_like(s), s], dim=1) for s in (sizes1, sizes2))
    return box_iou(first, second)
