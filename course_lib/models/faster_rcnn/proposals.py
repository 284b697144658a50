"""The first stage, the region proposal network, without a network: targets, loss, proposals.

Letters
    B       images
    M       annotated objects of one image
    N       anchors of one image, all levels together, or of one level
    P       proposals of one image

It asks of each anchor one question, "is there an object, whatever it be?", and how the anchor would
have to move. The best answers, without doubles, are the proposals that the second stage looks at.

Source, unless a function says another: Ren et al., Faster R-CNN, NeurIPS 2015, section 3.1.
torchvision.models.detection.rpn. Boxes are xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import box_iou, clip_boxes_to_image, remove_small_boxes
from course_lib.coding import decode_boxes, encode_boxes
from course_lib.losses import smooth_l1_loss
from course_lib.matching import BETWEEN_THRESHOLDS, match_anchors, objectness_labels
from course_lib.suppression import batched_nms

BETA = 1 / 9  # of smooth L1, from the authors' code; the paper does not say


def propose(
    objectness: Sequence[Float[Tensor, " _"]],
    bbox_regression: Sequence[Float[Tensor, "_ 4"]],
    anchors: Sequence[Float[Tensor, "_ 4"]],
    size: Sequence[int],
    *,
    candidates: int = 1000,
    nms_threshold: float | int = 0.7,
    most: int = 1000,
    min_size: float | int = 1e-3,
) -> tuple[Float[Tensor, "P 4"], Float[Tensor, " P"]]:
    """The proposals of one image, boxes [P, 4] and probabilities [P], best first.

    1. At each level the best `candidates` anchors; their deltas make boxes, cut at the border.
    2. What is smaller than `min_size` pixels on a side is dropped.
    3. NMS among the boxes of each level, and the best `most` of what it keeps.

    Shapes: for each level what the network said, logits [N] and deltas [N, 4], and its anchors
        [N, 4]; size is (height, width) of the image. In float32 at least.
    """
    boxes, logits, levels = [], [], []
    for level, (said, deltas, places) in enumerate(
        zip(objectness, bbox_regression, anchors, strict=True)
    ):
        best = said.sort(descending=True, stable=True).indices[:candidates]
        boxes.append(decode_boxes(deltas[best], places[best]))
        logits.append(said[best])
        levels.append(torch.full_like(best, level))
    together = clip_boxes_to_image(torch.cat(boxes), size)
    scores = torch.cat(logits)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).sigmoid()
    keep = remove_small_boxes(together, min_size)
    together, scores, level_of = together[keep], scores[keep], torch.cat(levels)[keep]
    keep = batched_nms(together, scores, level_of, nms_threshold)[:most]
    return together[keep], scores[keep]


def proposal_targets(
    anchors: Float[Tensor, "N 4"],
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    high_threshold: float | int = 0.7,
    low_threshold: float | int = 0.3,
) -> tuple[Int64[Tensor, " N"], Float[Tensor, "N 4"]]:
    """What each anchor of one image shall say: 1 object, 0 none, -1 not asked; deltas [N, 4].

    Shapes: anchors [N, 4] and boxes [M, 4] in pixels, labels [M]: below 0 for a crowd, whose
        anchors are not asked. Deltas are 0 for anchors without an object. M may be 0.
    The best anchor of every object answers for it however little it overlaps.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    check_labels(labels, boxes)
    matches = match_anchors(box_iou(boxes, anchors), high_threshold, low_threshold, True)  # [N]
    deltas = torch.zeros_like(anchors)
    if len(boxes) == 0:
        return objectness_labels(matches), deltas
    of_crowd = (matches >= 0) & (labels[matches.clamp(min=0)] < 0)
    wanted = objectness_labels(torch.where(of_crowd, BETWEEN_THRESHOLDS, matches))
    positive = wanted == 1
    deltas[positive] = encode_boxes(boxes[matches[positive]], anchors[positive]).to(deltas.dtype)
    return wanted, deltas


def proposal_loss(
    objectness: Float[Tensor, "*B N"],
    bbox_regression: Float[Tensor, "*B N 4"],
    deltas: Float[Tensor, "*B N 4"],
    positive: Bool[Tensor, "*B N"],
    negative: Bool[Tensor, "*B N"],
) -> dict[str, Float[Tensor, ""]]:
    """Log loss of the anchors that were drawn, smooth L1 of the positive ones, both over all drawn.

    Shapes: what the network said, logits [B, N] and deltas [B, N, 4]; the deltas that it should
        have said; and who was drawn, two masks [B, N] from `sample_balanced`. B may be left out.
        To {"objectness": [], "rpn_bbox_regression": []}, in float32 at least.
    Source: equation 1, with all anchors drawn as the divisor of both, as the authors' later code.
    """
    wide = torch.promote_types(objectness.dtype, torch.float32)
    drawn = positive | negative
    count = drawn.sum().clamp(min=1)
    log_loss = binary_cross_entropy_with_logits(
        objectness[drawn].to(wide), positive[drawn].to(wide), reduction="sum"
    )
    away = smooth_l1_loss(bbox_regression[positive].to(wide), deltas[positive].to(wide), BETA)
    return {"objectness": log_loss / count, "rpn_bbox_regression": away.sum() / count}
