"""Lesson 01 solved a second time, in another style: plain loops, numpy, other names.

Each function stands alone. The grader must give all of them full points.
"""

import math

import torch


def box_convert(boxes, in_fmt, out_fmt):
    corners = boxes.clone()
    if in_fmt == "xywh":
        corners[:, 2:] = boxes[:, :2] + boxes[:, 2:]
    if in_fmt == "cxcywh":
        corners[:, :2] = boxes[:, :2] - 0.5 * boxes[:, 2:]
        corners[:, 2:] = boxes[:, :2] + 0.5 * boxes[:, 2:]
    out = corners.clone()
    if out_fmt != "xyxy":
        out[:, 2] = corners[:, 2] - corners[:, 0]
        out[:, 3] = corners[:, 3] - corners[:, 1]
    if out_fmt == "cxcywh":
        for axis in (0, 1):
            out[:, axis] = (corners[:, axis] + corners[:, axis + 2]) / 2
    return out


def box_area(boxes, fmt="xyxy"):
    corners = box_convert(boxes, fmt, "xyxy").numpy()
    sides = corners[:, 2:] - corners[:, :2]
    return sides.prod(axis=1)  # numpy is welcome here


def box_iou(boxes1, boxes2, fmt="xyxy"):
    first, second = box_convert(boxes1, fmt, "xyxy"), box_convert(boxes2, fmt, "xyxy")
    answer = []
    for a in first:
        for b in second:
            w = min(a[2], b[2]) - max(a[0], b[0])
            h = min(a[3], b[3]) - max(a[1], b[1])
            shared = w * h if w > 0 and h > 0 else 0 * a[0]
            together = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
            answer.append(shared / together if together > 0 else 0 * a[0])
    if not answer:
        return torch.zeros(len(boxes1), len(boxes2), dtype=boxes1.dtype)
    return torch.stack(answer).reshape(len(boxes1), len(boxes2))


def mask_iou(masks1, masks2):
    both = (masks1[:, None] & masks2[None]).sum(dim=(2, 3))
    any_of_them = (masks1[:, None] | masks2[None]).sum(dim=(2, 3))
    return torch.nan_to_num(both / any_of_them, nan=0.0)


def generalized_box_iou(boxes1, boxes2):
    near = torch.max(boxes1[:, None, :2], boxes2[:, :2])
    far = torch.min(boxes1[:, None, 2:], boxes2[:, 2:])
    shared = torch.relu(far - near).prod(2)
    size = lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])  # noqa: E731
    union = size(boxes1).unsqueeze(1) + size(boxes2) - shared
    x1, y1 = torch.min(boxes1[:, None, :2], boxes2[:, :2]).unbind(-1)
    x2, y2 = torch.max(boxes1[:, None, 2:], boxes2[:, 2:]).unbind(-1)
    around = (x2 - x1) * (y2 - y1)
    return shared / union + union / around - 1


def distance_box_iou(boxes1, boxes2, eps=1e-7):
    rows = []
    for a in boxes1:
        for b in boxes2:
            dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
            cw = max(a[2], b[2]) - min(a[0], b[0])
            ch = max(a[3], b[3]) - min(a[1], b[1])
            overlap = box_iou(a[None], b[None])[0, 0]
            rows.append(overlap - (dx * dx + dy * dy) / (cw * cw + ch * ch + eps))
    if not rows:
        return boxes1.new_zeros(len(boxes1), len(boxes2))
    return torch.stack(rows).view(len(boxes1), len(boxes2))


def complete_box_iou(boxes1, boxes2, eps=1e-7):
    def angle(b):
        return torch.atan2(b[:, 3] - b[:, 1], b[:, 2] - b[:, 0])  # of h/w: the same difference

    v = (angle(boxes1).view(-1, 1) - angle(boxes2)).mul(2 / math.pi).square()
    weight = (v / (1 - box_iou(boxes1, boxes2) + v + eps)).detach()
    return distance_box_iou(boxes1, boxes2, eps) - weight * v


def iou_loss(boxes1, boxes2, eps=1e-7):
    lt = torch.maximum(boxes1[:, :2], boxes2[:, :2])
    rb = torch.minimum(boxes1[:, 2:], boxes2[:, 2:])
    w, h = (rb - lt).clamp_min(0).T
    a1, a2 = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes1, boxes2))
    ratio = w * h / (a1 + a2 - w * h)
    return -torch.log(torch.maximum(ratio, torch.full_like(ratio, eps)))
