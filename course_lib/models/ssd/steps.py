"""SSD's arithmetic, without a network: targets, loss and inference as pure functions.

Letters
    B       images
    M       annotated objects of one image
    N       default boxes of one image, all levels together
    K       classes that the network knows, background included
    kept    detections

Class 0 is background here, as in the paper: K - 1 kinds of objects are 1..K-1.

Source, unless a function says another: Liu et al., SSD, ECCV 2016, section 2.2.
torchvision.models.detection.ssd. Boxes are xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor
from torch.nn.functional import cross_entropy

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import box_iou
from course_lib.coding import decode_boxes, encode_boxes
from course_lib.losses import hard_negative_mining, smooth_l1_loss
from course_lib.matching import match_anchors
from course_lib.models.background import BACKGROUND, WEIGHTS
from course_lib.models.candidates import suppress


def assign_targets(
    anchors: Float[Tensor, "N 4"],
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    threshold: float | int = 0.5,
) -> tuple[Int64[Tensor, " N"], Float[Tensor, "N 4"]]:
    """What each default box of one image shall say: a class [N] and deltas [N, 4] to its object.

    It answers for the object that it overlaps most, if their IoU is at least `threshold`; and the
    best default box of an object answers for it in any case, also where it overlaps another one
    more. Of objects with the same best one, the last gets it.

    Shapes: anchors [N, 4] and boxes [M, 4] in pixels, labels [M], 1 or more; IGNORED for a crowd,
        whose default boxes are IGNORED, too. Deltas are 0 for those without an object. M may be 0.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    check_labels(labels, boxes)
    deltas = torch.zeros_like(anchors)
    iou = box_iou(boxes, anchors)  # [M, N]
    matches = match_anchors(iou, threshold, threshold)  # [N]
    if len(boxes) == 0:
        return torch.zeros_like(matches), deltas
    for number, best in enumerate(iou.argmax(1).tolist()):
        matches[best] = number
    classes = torch.where(matches >= 0, labels[matches.clamp(min=0)], BACKGROUND)  # [N]
    positive = classes > 0
    own = boxes[matches[positive]]
    deltas[positive] = encode_boxes(own, anchors[positive], WEIGHTS).to(deltas.dtype)
    return classes, deltas


def ssd_loss(
    cls_logits: Float[Tensor, "*B N K"],
    bbox_regression: Float[Tensor, "*B N 4"],
    classes: Int64[Tensor, "*B N"],
    deltas: Float[Tensor, "*B N 4"],
    *,
    negatives: float | int = 3,
    positives: Num[Tensor, ""] | float | int | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Log loss of the positives and of the hardest negatives, smooth L1 of the positives.

    Shapes: what the network said, logits [B, N, K] and deltas [B, N, 4], and what it should have
        said, from `assign_targets`: classes [B, N] and deltas [B, N, 4]. B may be left out.
        To {"classification": [], "bbox_regression": []}, in float32 at least.
    negatives: for each positive of an image, see `hard_negative_mining`.
    positives: what both sums are divided by; by default the number of positives in the batch, at
        least 1.
    Source: equations 1 to 3.
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    rows = cls_logits.to(wide).flatten(0, -2)  # [B*N, K]
    each = cross_entropy(rows, classes.flatten().clamp(min=0), reduction="none")
    each = each.unflatten(0, classes.shape)  # [B, N]
    counted = hard_negative_mining(each, classes, negatives)
    positive = classes > 0
    count = positive.sum().clamp(min=1) if positives is None else positives
    away = smooth_l1_loss(bbox_regression[positive].to(wide), deltas[positive].to(wide))
    return {"classification": each[counted].sum() / count, "bbox_regression": away.sum() / count}


def decode(
    cls_logits: Float[Tensor, "N K"],
    bbox_regression: Float[Tensor, "N 4"],
    anchors: Float[Tensor, "N 4"],
    size: Sequence[int],
    *,
    score_threshold: float | int = 0.01,
    candidates: int = 400,
    nms_threshold: float | int = 0.45,
    max_detections: int = 200,
) -> dict[str, Tensor]:
    """The detections of one image.

    1. Of each class but background the best `candidates` that score above `score_threshold`.
    2. Their deltas make boxes, cut at the border of the image; what lies wholly outside is dropped
       (torchvision keeps it, as an empty box).
    3. NMS among the boxes of each class, and the best `max_detections` of what it keeps.

    Shapes: what the network said, logits [N, K] and deltas [N, 4], and the default boxes [N, 4];
        size is (height, width) of the image. To `boxes` [kept, 4], `scores` [kept] and `labels`
        [kept] in 1..K-1, by decreasing score, in float32 at least.
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    scores = cls_logits.to(wide).softmax(-1)[:, 1:]  # [N, K-1]
    best, place = scores.T.topk(min(candidates, len(scores)))  # [K-1, candidates] each
    label, rank = (best > score_threshold).nonzero().unbind(1)
    place = place[label, rank]
    boxes = decode_boxes(bbox_regression[place], anchors[place], WEIGHTS)
    chosen = best[label, rank]
    return suppress(boxes, chosen, label + 1, size, nms_threshold, max_detections)
