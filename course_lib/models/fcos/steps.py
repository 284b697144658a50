"""FCOS's arithmetic, without a network: locations, targets, centre-ness, loss and inference.

Letters
    B       images
    M       annotated objects of one image
    N       locations of one image, all levels together, or of one level
    K       classes
    kept    detections
    l, t, r, b    from a location to the left, upper, right and lower side of a box, in pixels

There are no anchors. A location that lies in an object says the object's class and the four
distances to its sides. Three rules settle which location answers for which object: it lies in the
box, in the middle of it (`near_centre`); the box has the size that its level is in charge of
(`in_range`); and where two objects are left, it takes the smaller one (`smallest_box`).

Source, unless a function says another: Tian et al., FCOS: Fully Convolutional One-Stage Object
Detection, ICCV 2019; "TPAMI" is its longer version of 2020, A Simple and Strong Anchor-Free Object
Detector. Boxes are xyxy in pixels. A class number is 0..K-1; a location that answers for no object
has BACKGROUND (-1), one that answers for a crowd IGNORED (-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import box_area
from course_lib.losses import generalized_box_iou_loss, iou_loss
from course_lib.matching import BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS
from course_lib.models.candidates import best_scores, suppress
from course_lib.models.classification import summed_focal_loss

BACKGROUND = BELOW_LOW_THRESHOLD
IGNORED = BETWEEN_THRESHOLDS

# Which distances, in pixels, P3, P4, … are in charge of. Section 3.2.
RANGES = ((0.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 512.0), (512.0, float("inf")))


def grid_locations(
    grid: Sequence[int],
    stride: float | int | tuple[float | int, float | int],
    offset: float | int = 0.5,
    *,
    device: torch.device | str | None = None,
) -> Float[Tensor, "N 2"]:
    """(x, y) in pixels of each location of a map of `grid` (rows, columns), row by row.

        x = (column + offset) · stride    y = (row + offset) · stride

    stride: in pixels; a pair is (down, across).
    offset: 0.5 is the middle of the pixels that a location stands for, the paper's ⌊s/2⌋ + x·s for
        even strides. torchvision has 0, their upper left corner, and its weights have learned that.
    Source: section 3.1.
    """
    rows, columns = grid
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    y = (torch.arange(rows, dtype=torch.float32, device=device) + offset) * down
    x = (torch.arange(columns, dtype=torch.float32, device=device) + offset) * across
    return torch.stack((x.repeat(rows), y.repeat_interleave(columns)), dim=1)


def box_sides(locations: Float[Tensor, "N 2"], boxes: Num[Tensor, "M 4"]) -> Float[Tensor, "N M 4"]:
    """l, t, r, b from each location to the sides of each box; one below 0 where it lies outside.

    Source: section 3.1, equation 1.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    before = locations[:, None] - boxes[None, :, :2]  # l, t
    behind = boxes[None, :, 2:] - locations[:, None]  # r, b
    return torch.cat((before, behind), dim=-1)


def decode_sides(
    locations: Float[Tensor, "*N 2"], sides: Float[Tensor, "*N 4"]
) -> Float[Tensor, "*N 4"]:
    """The box that each location speaks of: (x − l, y − t, x + r, y + b)."""
    return torch.cat((locations - sides[..., :2], locations + sides[..., 2:]), dim=-1)


def near_centre(
    locations: Float[Tensor, "N 2"],
    strides: Num[Tensor, " N"],
    boxes: Num[Tensor, "M 4"],
    radius: float | int | None = 1.5,
) -> Bool[Tensor, "N M"]:
    """Does the location lie in the box, and less than `radius` strides from its centre in x and y?

    radius: None asks for the box alone, as the first version of the paper did.
    A location on a side is outside.
    Source: section 3.1; centre sampling is from TPAMI, section 2.2.
    """
    inside = (box_sides(locations, boxes) > 0).all(-1)  # [N, M]
    if radius is None:
        return inside
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # [M, 2]
    away = (locations[:, None] - centres[None]).abs().amax(-1)  # [N, M]
    return inside & (away < radius * strides[:, None])


def in_range(sides: Float[Tensor, "N M 4"], ranges: Float[Tensor, "N 2"]) -> Bool[Tensor, "N M"]:
    """Is the longest of l, t, r, b one that the location's level is in charge of?

    ranges: lowest and highest distance in pixels for each location, both included.
    Source: section 3.2: negative if max(l, t, r, b) > m_i or max(l, t, r, b) < m_(i-1). torchvision
        leaves both ends out.
    """
    longest = sides.amax(-1)  # [N, M]
    return (longest >= ranges[:, :1]) & (longest <= ranges[:, 1:])


def smallest_box(candidates: Bool[Tensor, "N M"], boxes: Num[Tensor, "M 4"]) -> Int64[Tensor, " N"]:
    """For each location the candidate of the smallest area, the first of equals; -1 if none.

    Areas are compared as they are. torchvision and detectron2 look for the largest 1e8 − area,
    which in float32 takes areas for equal that differ by up to 4 square pixels.
    Source: section 3.1: "we simply choose the bounding box with minimal area".
    """
    if candidates.shape[1] == 0:
        return torch.full(candidates.shape[:1], BACKGROUND, device=candidates.device)
    areas = box_area(boxes).to(torch.promote_types(boxes.dtype, torch.float32))  # [M]
    areas = areas.expand(candidates.shape).masked_fill(~candidates, float("inf"))  # [N, M]
    smallest = areas.amin(1, keepdim=True)  # [N, 1]
    first = ((areas == smallest) & candidates).int().argmax(1)  # [N]
    return torch.where(candidates.any(1), first, BACKGROUND)


def assign_targets(
    locations: Float[Tensor, "N 2"],
    strides: Num[Tensor, " N"],
    ranges: Float[Tensor, "N 2"],
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    radius: float | int | None = 1.5,
) -> tuple[Int64[Tensor, " N"], Float[Tensor, "N 4"]]:
    """What each location of one image shall say: a class [N] and l, t, r, b [N, 4] in pixels.

    Shapes: locations [N, 2] of all levels, with the stride [N] and the range [N, 2] of the level of
        each; boxes [M, 4] in pixels and labels [M]. Sides are 0 where there is no object. M may be
        0. A label of IGNORED makes its object's locations IGNORED: a crowd.
    radius: of `near_centre`.
    """
    check_labels(labels, boxes)
    sides = box_sides(locations, boxes)  # [N, M, 4]
    candidates = near_centre(locations, strides, boxes, radius) & in_range(sides, ranges)  # [N, M]
    matches = smallest_box(candidates, boxes)  # [N]
    if len(boxes) == 0:
        return matches, sides.new_zeros(len(locations), 4)
    chosen = matches.clamp(min=0)
    classes = torch.where(matches >= 0, labels[chosen], matches)  # [N]
    own = sides[torch.arange(len(chosen), device=chosen.device), chosen]  # [N, 4]
    return classes, own.masked_fill((classes < 0)[:, None], 0)


def centerness(sides: Float[Tensor, "*N 4"]) -> Float[Tensor, "*N"]:
    """How near to the middle: √(min(l, r) / max(l, r) · min(t, b) / max(t, b)), from 0 to 1.

    1 in the centre of the box, 0 on its sides; 0 for four zeros as well. Locations far from the
    centre say poor boxes, and at inference their scores are multiplied by it.
    Source: section 3.3, equation 3.
    """
    across, down = sides[..., [0, 2]], sides[..., [1, 3]]
    tiny = torch.finfo(sides.dtype).tiny
    ratio = across.amin(-1) / across.amax(-1).clamp(min=tiny)
    ratio = ratio * (down.amin(-1) / down.amax(-1).clamp(min=tiny))
    return ratio.clamp(min=0).sqrt()


def fcos_loss(
    cls_logits: Float[Tensor, "*B N K"],
    bbox_regression: Float[Tensor, "*B N 4"],
    bbox_ctrness: Float[Tensor, "*B N"],
    classes: Int64[Tensor, "*B N"],
    sides: Float[Tensor, "*B N 4"],
    *,
    alpha: float | int = 0.25,
    gamma: float | int = 2,
    box_loss: Literal["iou", "giou"] = "giou",
    positives: Num[Tensor, ""] | float | int | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Focal loss of all locations, the boxes' and the centre-ness' loss of the positives.

    Shapes: what the network said, logits [B, N, K], l, t, r, b [B, N, 4] and logits of the
        centre-ness [B, N]; and what it should have said, from `assign_targets`: classes [B, N] and
        sides [B, N, 4]. B may be left out. Both kinds of sides in one unit, pixels or strides.
        To {"classification": [], "bbox_regression": [], "bbox_ctrness": []}, in float32 at least.
    alpha, gamma: of the focal loss. box_loss: "iou" is −ln IoU, the paper's; "giou" is 1 − GIoU,
        torchvision's and TPAMI's.
    positives: what all three sums are divided by; by default the number of positive locations in
        the batch, at least 1. Where several processes learn together: `mean_over_processes` of it.
    Source: section 3.1, equation 2, and section 3.3. The authors' later code weighs each box's loss
        by its centre-ness; torchvision, and this function, do not.
    """
    if classes.shape != cls_logits.shape[:-1]:
        raise ValueError(
            "classes must have a number for each location of cls_logits, "
            f"{list(cls_logits.shape[:-1])}, got {list(classes.shape)}"
        )
    if box_loss not in ("iou", "giou"):
        raise ValueError(f'box_loss must be "iou" or "giou", got {box_loss!r}')
    positive = classes >= 0  # [B, N]
    count = positive.sum().clamp(min=1) if positives is None else positives
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    focal = summed_focal_loss(cls_logits, classes, alpha, gamma)
    truth, said = sides[positive].to(wide), bbox_regression[positive].to(wide)
    # IoU does not ask where two boxes are, only how they lie to each other: around (0, 0) will do.
    origin = truth.new_zeros(len(truth), 2)
    boxes = decode_sides(origin, said), decode_sides(origin, truth)
    away = iou_loss(*boxes) if box_loss == "iou" else generalized_box_iou_loss(*boxes)
    central = binary_cross_entropy_with_logits(
        bbox_ctrness[positive].to(wide), centerness(truth), reduction="sum"
    )
    return {
        "classification": focal / count,
        "bbox_regression": away.sum() / count,
        "bbox_ctrness": central / count,
    }


def decode(
    cls_logits: Sequence[Float[Tensor, "_ K"]],
    bbox_regression: Sequence[Float[Tensor, "_ 4"]],
    bbox_ctrness: Sequence[Float[Tensor, " _"]],
    locations: Sequence[Float[Tensor, "_ 2"]],
    size: Sequence[int],
    *,
    score_threshold: float | int = 0.2,
    candidates: int = 1000,
    nms_threshold: float | int = 0.6,
    max_detections: int = 100,
) -> dict[str, Tensor]:
    """The detections of one image: for each level its best candidates, all levels through NMS.

    1. A score is √(p(class) · centre-ness); at each level the best of them, see `best_scores`.
    2. l, t, r, b make boxes of their locations, cut at the border of the image.
    3. NMS among the boxes of each class, and the best `max_detections` of what it keeps.

    Shapes: for each level what the network said, [N, K] logits, [N, 4] sides in pixels and [N]
        logits of the centre-ness, and its locations [N, 2]; size is (height, width) of the image,
        in pixels. To `boxes` [kept, 4], `scores` [kept] and `labels` [kept] int64, by decreasing
        score, in float32 at least.
    Source: section 3.3, without the root there; the root is the authors' later code's and
        torchvision's, with its thresholds. It changes no order, only how much a score says.
    """
    parts = (cls_logits, bbox_regression, bbox_ctrness, locations)
    if not len(cls_logits) > 0 or len({len(part) for part in parts}) != 1:
        raise ValueError(
            "cls_logits, bbox_regression, bbox_ctrness and locations must have one entry a level, "
            f"got {', '.join(str(len(part)) for part in parts)}"
        )
    found = []
    for logits, said, central, points in zip(*parts, strict=True):
        wide = torch.promote_types(logits.dtype, torch.float32)
        scores = (logits.to(wide).sigmoid() * central.to(wide).sigmoid()[:, None]).sqrt()  # [N, K]
        best, place, labels = best_scores(scores, score_threshold, candidates)
        found.append((decode_sides(points[place], said[place].to(wide)), best, labels))
    boxes, best, labels = (torch.cat(part) for part in zip(*found, strict=True))
    return suppress(boxes, best, labels, size, nms_threshold, max_detections)
