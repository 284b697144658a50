"""Lesson 10 solved a second time, in another style: bisection, numpy, loops over places.

Each function stands alone. The grader must give all of them full points.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F


def gaussian_radius(height, width, min_overlap=0.7):
    if height <= 0 or width <= 0:
        return 0.0

    def iou(r):
        area = height * width
        inner = max(height - 2 * r, 0) * max(width - 2 * r, 0)
        outer = (height + 2 * r) * (width + 2 * r)
        both = max(height - r, 0) * max(width - r, 0)
        return min(inner / area, area / outer, both / (2 * area - both))

    low, high = 0.0, max(height, width)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if iou(middle) > min_overlap else (low, middle)
    return low


def gaussian_heatmap(places, radii, labels, size, num_classes):
    H, W = size
    heatmap = np.zeros((num_classes, H, W))
    for n in range(len(places)):
        column, row, r = int(places[n, 0]), int(places[n, 1]), int(radii[n])
        sigma = (2 * r + 1) / 6
        layer = heatmap[int(labels[n])]
        for y in range(max(0, row - r), min(H, row + r + 1)):
            for x in range(max(0, column - r), min(W, column + r + 1)):
                d2 = (x - column) ** 2 + (y - row) ** 2
                layer[y, x] = max(layer[y, x], math.exp(-d2 / (2 * sigma * sigma)))
    return heatmap


def place_targets(boxes, size, stride):
    H, W = size
    places, sizes, offsets = [], [], []
    for x1, y1, x2, y2 in boxes.double().numpy() / stride:
        cx, cy = x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2
        column = min(max(math.floor(cx), 0), W - 1)
        row = min(max(math.floor(cy), 0), H - 1)
        places.append((column, row))
        sizes.append((x2 - x1, y2 - y1))
        offsets.append((cx - column, cy - row))
    rows = (np.array(part).reshape(-1, 2) for part in (places, sizes, offsets))
    return tuple(rows)


def heatmap_focal_loss(logits, heatmap, alpha=2, beta=4):
    sign = torch.where(heatmap == 1, 1.0, -1.0)
    right = logits * sign  # the higher, the better the answer
    focus = torch.sigmoid(-right) ** alpha
    forgiven = torch.where(heatmap == 1, torch.ones_like(heatmap), (1 - heatmap) ** beta)
    return forgiven * focus * F.softplus(-right)


def centernet_loss(logits, size, offset, targets, lambda_size=0.1, lambda_offset=1):
    image = torch.cat([torch.full((len(t[1]),), b) for b, t in enumerate(targets)]).long()
    column, row = torch.cat([t[1] for t in targets]).unbind(1)
    objects = max(1, len(image))
    heat = heatmap_focal_loss(logits, torch.stack([t[0] for t in targets])).sum() / objects
    terms = [heat]
    for maps, k, weight in ((size, 2, lambda_size), (offset, 3, lambda_offset)):
        there = maps.permute(0, 2, 3, 1)[image, row, column]  # [M, 2]
        wanted = torch.cat([t[k] for t in targets])
        terms.append(weight * F.l1_loss(there, wanted, reduction="sum") / objects)
    return tuple(terms)


def keep_peaks(heatmap):
    heat = np.asarray(heatmap)
    answer = np.zeros_like(heat)
    K, H, W = heat.shape
    for k in range(K):
        for y in range(H):
            for x in range(W):
                window = heat[k, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                if heat[k, y, x] >= window.max():
                    answer[k, y, x] = heat[k, y, x]
    return answer


def decode_peaks(heatmap, size, offset, stride, image_size, most=100, score_threshold=0.1):
    peaks = torch.as_tensor(keep_peaks(heatmap))
    found = []
    for k, y, x in (peaks > score_threshold).nonzero().tolist():
        found.append((float(peaks[k, y, x]), k, x, y))
    found.sort(reverse=True)
    boxes, scores, labels = [], [], []
    for score, k, x, y in found[:most]:
        (w, h), (dx, dy) = size[:, y, x].tolist(), offset[:, y, x].tolist()
        cx, cy = (x + dx) * stride, (y + dy) * stride
        box = [cx - w * stride / 2, cy - h * stride / 2, cx + w * stride / 2, cy + h * stride / 2]
        height, width = image_size
        limits = (width, height, width, height)
        x1, y1, x2, y2 = (min(max(v, 0.0), m) for v, m in zip(box, limits, strict=True))
        if x2 > x1 and y2 > y1:
            boxes.append([x1, y1, x2, y2])
            scores.append(score)
            labels.append(k)
    return np.array(boxes).reshape(-1, 4), scores, labels
