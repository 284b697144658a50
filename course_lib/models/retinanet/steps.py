"""RetinaNet's arithmetic, without a network: targets, loss and inference as pure functions.

Letters
    B       images
    M       annotated objects of one image
    N       anchors of one image, all levels together, or of one level
    K       classes
    kept    detections

Boxes are xyxy in pixels. A class number is 0..K-1; an anchor that answers for no object has
BACKGROUND (-1) or IGNORED (-2), the numbers of `course_lib.matching`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import box_iou
from course_lib.coding import decode_boxes, encode_boxes
from course_lib.losses import smooth_l1_loss
from course_lib.matching import BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS, match_anchors
from course_lib.models.candidates import best_scores, suppress
from course_lib.models.classification import summed_focal_loss

BACKGROUND = BELOW_LOW_THRESHOLD
IGNORED = BETWEEN_THRESHOLDS


def assign_targets(
    anchors: Float[Tensor, "N 4"],
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    high_threshold: float | int = 0.5,
    low_threshold: float | int = 0.4,
    allow_low_quality_matches: bool = True,
) -> tuple[Int64[Tensor, " N"], Float[Tensor, "N 4"]]:
    """What each anchor of one image shall say: a class [N] and the deltas [N, 4] to its object.

    An anchor answers for the object that it overlaps most, if its IoU is at least
    `high_threshold`; below `low_threshold` it is BACKGROUND, between the two IGNORED. With
    low-quality matches the best anchor of every object answers for it in any case.

    Shapes: anchors [N, 4] and boxes [M, 4] in pixels, labels [M]. Deltas are 0 for anchors without
        an object. M may be 0. A label of IGNORED makes its object's anchors IGNORED: a crowd.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4 ("Anchors"), which matches without
        low-quality matches; torchvision's and detectron2's RetinaNet have them.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    check_labels(labels, boxes)
    iou = box_iou(boxes, anchors)  # [M, N]
    matches = match_anchors(iou, high_threshold, low_threshold, allow_low_quality_matches)  # [N]
    deltas = torch.zeros_like(anchors)
    if len(boxes) == 0:
        return matches, deltas
    classes = torch.where(matches >= 0, labels[matches.clamp(min=0)], matches)  # [N]
    positive = classes >= 0
    deltas[positive] = encode_boxes(boxes[matches[positive]], anchors[positive]).to(deltas.dtype)
    return classes, deltas


def retinanet_loss(
    cls_logits: Float[Tensor, "*B N K"],
    bbox_regression: Float[Tensor, "*B N 4"],
    classes: Int64[Tensor, "*B N"],
    deltas: Float[Tensor, "*B N 4"],
    *,
    alpha: float | int = 0.25,
    gamma: float | int = 2,
    beta: float | int = 0.0,
    positives: Num[Tensor, ""] | float | int | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Focal loss of all anchors but the ignored, L1 of the positives; both over the positives.

    Shapes: what the network said, logits [B, N, K] and deltas [B, N, 4], and what it should have
        said, from `assign_targets`: classes [B, N] and deltas [B, N, 4]. B may be left out.
        To {"classification": [], "bbox_regression": []}, in float32 at least.
    alpha, gamma: of the focal loss. beta: of smooth L1; 0 is L1.
    positives: what both sums are divided by; by default the number of positive anchors in the
        batch, at least 1. Where several processes learn together: `mean_over_processes` of it.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4 ("Training"): smooth L1, equal weights.
        torchvision's RetinaNet: L1, each image divided by its own positives, and the mean over
        images; the same for one image. Per batch, an image with one positive anchor counts no more
        than any other anchor.
    """
    if classes.shape != cls_logits.shape[:-1]:
        raise ValueError(
            "classes must have a number for each anchor of cls_logits, "
            f"{list(cls_logits.shape[:-1])}, got {list(classes.shape)}"
        )
    positive = classes >= 0  # [B, N]
    count = positive.sum().clamp(min=1) if positives is None else positives
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    focal = summed_focal_loss(cls_logits, classes, alpha, gamma)
    away = smooth_l1_loss(bbox_regression[positive].to(wide), deltas[positive].to(wide), beta)
    return {"classification": focal / count, "bbox_regression": away.sum() / count}


def best_candidates(
    cls_logits: Float[Tensor, "N K"],
    score_threshold: float | int = 0.05,
    most: int = 1000,
) -> tuple[Float[Tensor, " kept"], Int64[Tensor, " kept"], Int64[Tensor, " kept"]]:
    """Scores, anchors and classes [kept] of what is worth a look at one level, best first.

    Shapes: logits [N, K]. Of all N*K scores those above `score_threshold`, and of these the best
        `most`; a class and an anchor number for each. Equal scores: by anchor, then by class.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4 ("Inference").
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    return best_scores(cls_logits.to(wide).sigmoid(), score_threshold, most)


def decode(
    cls_logits: Sequence[Float[Tensor, "_ K"]],
    bbox_regression: Sequence[Float[Tensor, "_ 4"]],
    anchors: Sequence[Float[Tensor, "_ 4"]],
    size: tuple[int, int],
    *,
    score_threshold: float | int = 0.05,
    candidates: int = 1000,
    nms_threshold: float | int = 0.5,
    max_detections: int = 300,
) -> dict[str, Tensor]:
    """The detections of one image: for each level its best candidates, all levels through NMS.

    1. At each level the `best_candidates`, of all anchors and classes together.
    2. Their deltas make boxes of their anchors, cut at the border of the image; what lies wholly
        outside is dropped (torchvision keeps it, as an empty box).
    3. NMS among the boxes of each class, and the best `max_detections` of what it keeps.

    Shapes: for each level what the network said, [N, K] logits and [N, 4] deltas, and its anchors
        [N, 4]; size is (height, width) of the image, in pixels. To `boxes` [kept, 4], `scores`
        [kept] and `labels` [kept] int64, by decreasing score, in float32 at least.
    An anchor may be kept with two classes: the K scores are K questions. Of equal scores the
    earlier level, anchor and class comes first.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4 ("Inference"), with at most 100
        detections in COCO's evaluation. postprocess_detections of torchvision's RetinaNet.
    """
    if not len(cls_logits) == len(bbox_regression) == len(anchors) > 0:
        raise ValueError(
            "cls_logits, bbox_regression and anchors must have one entry a level, got "
            f"{len(cls_logits)}, {len(bbox_regression)} and {len(anchors)}"
        )
    found = []
    for logits, deltas, level_anchors in zip(cls_logits, bbox_regression, anchors, strict=True):
        scores, anchor, labels = best_candidates(logits, score_threshold, candidates)
        boxes = decode_boxes(deltas[anchor], level_anchors[anchor])
        found.append((boxes, scores, labels))
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    return suppress(boxes, scores, labels, size, nms_threshold, max_detections)
