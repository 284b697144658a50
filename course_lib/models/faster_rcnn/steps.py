"""The second stage without a network: which proposal answers for what, loss, detections.

Letters
    B       images
    M       annotated objects of one image
    P       proposals of one image; R of all images together
    K       classes that the network knows, background included
    kept    detections

Class 0 is background here, as in the papers: K - 1 kinds of objects are 1..K-1.

Source, unless a function says another: Girshick, Fast R-CNN, ICCV 2015, section 2.3.
torchvision.models.detection.roi_heads. Boxes are xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor
from torch.nn.functional import cross_entropy

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import box_iou, clip_boxes_to_image, remove_small_boxes
from course_lib.coding import decode_boxes
from course_lib.losses import smooth_l1_loss
from course_lib.matching import match_anchors
from course_lib.models._best import best_kept
from course_lib.models.background import BACKGROUND, WEIGHTS
from course_lib.models.faster_rcnn.proposals import BETA


def assign_proposals(
    proposals: Float[Tensor, "P 4"],
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    threshold: float | int = 0.5,
) -> tuple[Int64[Tensor, " P"], Int64[Tensor, " P"]]:
    """For each proposal of one image its class [P] and the object [P] that it answers for.

    The object that it overlaps most, if their IoU is at least `threshold`; else BACKGROUND and
    object 0.

    Shapes: proposals [P, 4] and boxes [M, 4] in pixels, labels [M], 1 or more; IGNORED for a crowd,
        whose proposals are IGNORED, too. M may be 0.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    check_labels(labels, boxes)
    matches = match_anchors(box_iou(boxes, proposals), threshold, threshold)  # [P]
    objects = matches.clamp(min=0)
    if len(boxes) == 0:
        return torch.zeros_like(matches), objects
    return torch.where(matches >= 0, labels[objects], BACKGROUND), objects


def detection_loss(
    cls_logits: Float[Tensor, "R K"],
    bbox_regression: Float[Tensor, "R K4"],
    classes: Int64[Tensor, " R"],
    deltas: Float[Tensor, "R 4"],
) -> dict[str, Float[Tensor, ""]]:
    """Log loss of all proposals, smooth L1 of those of an object, both over all proposals.

    Shapes: what the network said, logits [R, K] and four deltas for each class [R, K*4]; the class
        [R] and the deltas [R, 4] that it should have said. Of the deltas only those of the right
        class are asked for. To {"classification": [], "bbox_regression": []}, in float32 at least.
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    count = max(1, len(classes))
    log_loss = cross_entropy(cls_logits.to(wide), classes, reduction="sum") / count
    positive = (classes > 0).nonzero().squeeze(1)
    said = bbox_regression.unflatten(1, (-1, 4))[positive, classes[positive]]
    away = smooth_l1_loss(said.to(wide), deltas[positive].to(wide), BETA)
    return {"classification": log_loss, "bbox_regression": away.sum() / count}


def decode(
    cls_logits: Float[Tensor, "P K"],
    bbox_regression: Float[Tensor, "P K4"],
    proposals: Float[Tensor, "P 4"],
    size: Sequence[int],
    *,
    score_threshold: float | int = 0.05,
    nms_threshold: float | int = 0.5,
    max_detections: int = 100,
    min_size: float | int = 1e-2,
) -> dict[str, Tensor]:
    """The detections of one image.

    1. Each proposal makes a box for every class but background, cut at the border; its score is the
       probability of the class. What scores no more than `score_threshold`, or is smaller than
       `min_size` pixels on a side, is dropped.
    2. NMS among the boxes of each class, and the best `max_detections` of what it keeps.

    Shapes: what the network said, logits [P, K] and deltas [P, K*4], and the proposals [P, 4]; size
        is (height, width) of the image. To `boxes` [kept, 4], `scores` [kept] and `labels` [kept]
        in 1..K-1, by decreasing score, in float32 at least.
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    scores = cls_logits.to(wide).softmax(-1)[:, 1:]  # [P, K-1]
    proposal, kind = (scores > score_threshold).nonzero().unbind(1)  # [candidates] each
    deltas = bbox_regression.unflatten(1, (-1, 4))[proposal, kind + 1]
    boxes = clip_boxes_to_image(decode_boxes(deltas, proposals[proposal], WEIGHTS), size)
    best = scores[proposal, kind]
    keep = remove_small_boxes(boxes, min_size)
    boxes, best, labels = boxes[keep], best[keep], kind[keep] + 1
    keep = best_kept(boxes, best, labels, nms_threshold, max_detections)
    return {"boxes": boxes[keep], "scores": best[keep], "labels": labels[keep]}
