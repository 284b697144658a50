"""Suppression: of the many boxes that a detector says for each object, keep one.

Letters
    N       boxes that came in
    kept    boxes that are left

Boxes are xyxy in pixels and half-open, as in `course_lib.boxes`. Two boxes clash where their IoU is
strictly above `iou_threshold`. Boxes that cover no pixel (empty, inverted, NaN) clash with nothing,
so all of them are kept. Of equal scores, the box that comes first in the input is the better one.

`nms_steps` is the plain loop that explains. `settle` makes the same choice without a loop over the
boxes, and `nms` is `settle` on so few pairs of boxes as can clash. A test holds the three equal.

NMS computes IoU in float64, whatever the boxes come in: the same indices everywhere as a loop over
Python numbers gives. torchvision's float32 may decide otherwise where IoU is the threshold but for
the seventh digit. (Apple's GPUs have no float64; there it is float32 here too.)

Nothing here changes its inputs. Only `weighted_boxes` has gradients: a choice has none. Errors, for
every function here: TypeError for what is not a tensor of numbers, ValueError for another shape or
a number out of its range. The message says what to write instead.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int64, Num
from torch import Tensor

from course_lib._checks import check_boxes, check_tensor
from course_lib._greedy import greedy
from course_lib._sweep import best_first, clashes, pairs_of, settle_pairs
from course_lib.boxes import box_iou


@dataclass(frozen=True)
class NmsStep:
    """One round of greedy NMS: the box that was kept, and those that went because of it."""

    kept: int
    suppressed: list[int]


# --- greedy NMS ---------------------------------------------------------------------------------


def nms_steps(
    boxes: Num[Tensor, "N 4"], scores: Num[Tensor, " N"], iou_threshold: float | int
) -> list[NmsStep]:
    """Greedy NMS as a story: keep the best box, drop what clashes with it, and so on with the rest.

    Shapes: [N, 4] boxes in pixels and [N] scores to one step for each box kept, best first. Every
        box is in one step, either as `kept` or in `suppressed`, which goes by decreasing score.
    Source: the greedy algorithm of Neubeck and Van Gool, Efficient Non-Maximum Suppression, ICPR
        2006. This is the version to read; it fills an [N, N] matrix, so use `nms` for thousands.
    """
    _check(boxes, iou_threshold, scores=scores)
    clash = clashes(boxes, boxes, iou_threshold).tolist()  # [N][N]
    left = best_first(scores).tolist()
    steps = []
    while left:
        best, *others = left
        steps.append(NmsStep(best, [i for i in others if clash[best][i]]))
        left = [i for i in others if not clash[best][i]]
    return steps


def settle(overlaps: Bool[Tensor, "N N"]) -> Bool[Tensor, " N"]:
    """Greedy NMS without a loop over boxes: keep whom no kept better box overlaps, until it holds.

    Shapes: [N, N] to [N]. The boxes come best first; overlaps[i, j] says that i and j overlap too
        much. Only i < j is looked at.
    At first all are kept, and after each round one more box at least is as greedy NMS has it: the
    first from the start, the second from round 1 on, since it depends on the first alone, ... So it
    ends after N rounds at the latest, after a handful as a rule: the longest chain of boxes that
    each hang on the one before.
    Source: the rule iterated is Cluster-NMS (Zheng et al., Enhancing Geometric Factors in Model
        Learning and Inference for Object Detection and Instance Segmentation, 2020).
    """
    check_tensor(overlaps, "overlaps")
    if overlaps.ndim != 2 or overlaps.shape[0] != overlaps.shape[1]:
        got = f"got {list(overlaps.shape)}; write box_iou(boxes, boxes) > iou_threshold"
        raise ValueError(f"overlaps must have shape [N, N], {got}")
    if overlaps.dtype != torch.bool:
        got = f"got {overlaps.dtype}; write overlaps > iou_threshold"
        raise TypeError(f"overlaps must be booleans, {got}")
    better, worse = pairs_of(overlaps)  # [pairs] each
    return settle_pairs(better, worse, len(overlaps))


def nms(
    boxes: Num[Tensor, "N 4"], scores: Num[Tensor, " N"], iou_threshold: float | int
) -> Int64[Tensor, " kept"]:
    """Indices of the boxes that greedy NMS keeps, by decreasing score.

    Shapes: [N, 4] boxes in pixels and [N] scores to [kept], int64.
    Source: as `nms_steps`. torchvision.ops.nms, except for boxes that cover no pixel and for the
        last digit of IoU (see the top of this file).
    """
    _check(boxes, iou_threshold, scores=scores)
    return greedy(boxes, scores, None, iou_threshold)


def batched_nms(
    boxes: Num[Tensor, "N 4"],
    scores: Num[Tensor, " N"],
    idxs: Int[Tensor, " N"],
    iou_threshold: float | int,
) -> Int64[Tensor, " kept"]:
    """NMS in each class by itself: boxes of two classes never clash.

    Shapes: [N, 4] boxes in pixels, [N] scores and [N] class numbers (any integers; they may number
        images or pyramid levels as well) to [kept], int64, by decreasing score over all classes.
    Source: torchvision.ops.batched_nms. With few boxes it moves every class to a place of its own
        in the plane and runs NMS once; far from 0, float32 then loses the digits that decide. Here
        only the order in which boxes are looked at is shifted by class, never the boxes.
    """
    _check(boxes, iou_threshold, scores=scores, idxs=idxs)
    if idxs.is_floating_point() or idxs.is_complex() or idxs.dtype == torch.bool:
        raise TypeError(f"idxs must hold integers, got {idxs.dtype}; write idxs.long()")
    return greedy(boxes, scores, idxs, iou_threshold)


# --- gentler ways -------------------------------------------------------------------------------


@torch.no_grad()
def soft_nms(
    boxes: Num[Tensor, "N 4"],
    scores: Num[Tensor, " N"],
    iou_threshold: float | int = 0.3,
    sigma: float | int = 0.5,
    score_threshold: float | int = 0.001,
    method: str = "gaussian",
) -> tuple[Int64[Tensor, " kept"], Float[Tensor, " kept"]]:
    """Soft-NMS: what overlaps a better box loses score instead of being dropped.

        gaussian: s ← s exp(-IoU² / sigma)       linear: s ← s (1 - IoU) where IoU > iou_threshold

    Shapes: [N, 4] boxes in pixels and [N] scores to ([kept] int64, [kept] decayed scores), in the
        order taken, which is by decreasing decayed score.
    iou_threshold: for "linear" alone. sigma: for "gaussian" alone, above 0.
    score_threshold: a box is dropped as soon as its score is strictly below it.
    Dtype: scores come back in float32, or in float64 if they came so.
    Source: Bodla et al., Soft-NMS, ICCV 2017, equations for s_i in section 3. The authors' code
        keeps the first box whatever its score, and adds 1 to every side; we do neither.
    """
    _check(boxes, iou_threshold, scores=scores)
    if method not in ("gaussian", "linear"):
        raise ValueError(f'method must be "gaussian" or "linear", got {method!r}')
    _check_above_zero(sigma, "sigma")
    decayed = scores.to(torch.float64 if scores.dtype == torch.float64 else torch.float32)
    index = (decayed >= score_threshold).nonzero().squeeze(1)  # [left]
    boxes, decayed = boxes[index], decayed[index]  # [left, 4], [left]
    taken, taken_scores = [index[:0]], [decayed[:0]]
    while len(index):
        best = decayed.argmax().reshape(1)  # [1]: the first of equal ones
        taken.append(index[best])
        taken_scores.append(decayed[best])
        iou = box_iou(boxes[best], boxes)[0].to(decayed.dtype)  # [left]
        if method == "gaussian":
            decayed = decayed * torch.exp(-iou.square() / sigma)
        else:
            decayed = decayed * torch.where(iou > iou_threshold, 1 - iou, 1)
        stays = decayed >= score_threshold  # [left]
        stays[best] = False
        index, boxes, decayed = index[stays], boxes[stays], decayed[stays]
    return torch.cat(taken), torch.cat(taken_scores)


@torch.no_grad()
def iou_guided_nms(
    boxes: Num[Tensor, "N 4"],
    scores: Num[Tensor, " N"],
    ious: Num[Tensor, " N"],
    iou_threshold: float | int,
) -> tuple[Int64[Tensor, " kept"], Num[Tensor, " kept"]]:
    """NMS that keeps the best placed box of each cluster, with the cluster's highest score.

    Shapes: [N, 4] boxes in pixels, [N] scores and [N] predicted localisation (the IoU that each box
        is believed to have with its object) to ([kept] int64, [kept] scores), by decreasing `ious`.
    A box belongs to the cluster of the box that suppressed it. Dtype: scores keep theirs.
    Source: Jiang et al., Acquisition of Localization Confidence (IoU-Net), ECCV 2018, algorithm 1.
    """
    _check(boxes, iou_threshold, scores=scores, ious=ious)
    keep = greedy(boxes, ious, None, iou_threshold)
    # The first kept box that clashes with a box is the one that suppressed it; argmax finds it.
    clash = clashes(boxes[keep], boxes, iou_threshold)  # [kept, N]
    if not len(keep):
        return keep, scores[keep]
    first = clash.byte().argmax(0)  # [N]
    first[keep] = torch.arange(len(keep), device=keep.device)
    return keep, scores[keep].scatter_reduce(0, first, scores, "amax")


def weighted_boxes(
    boxes: Num[Tensor, "N 4"],
    keep: Int64[Tensor, " kept"],
    weights: Num[Tensor, " N"] | Num[Tensor, "N 4"],
    iou_threshold: float | int = 0.0,
    sigma_t: float | int = 0.02,
) -> Float[Tensor, "kept 4"]:
    """Box voting: each kept box b becomes a mean of the boxes around it, the closer the weightier.

        b ← Σ p_i w_i b_i / Σ p_i w_i    p_i = exp(-(1 - IoU(b_i, b))² / sigma_t)

    Shapes: [N, 4] boxes in pixels, [kept] indices as from `nms`, and [N] or [N, 4] weights to
        [kept, 4]. The sums go over all boxes with IoU(b_i, b) > iou_threshold and b itself.
    weights: 1/σ², one for each coordinate, is the paper's variance voting; scores are the common
        choice of a detector without variances. None below 0; where all are 0, b stays as it is.
    sigma_t: in units of IoU²; the smaller, the less the distant boxes count.
    Dtype: float32, or float64 if the boxes are. Gradients flow to boxes and weights.
    Source: He et al., Bounding Box Regression with Uncertainty (Softer-NMS), CVPR 2019, equation
        10 and algorithm 1, where iou_threshold is 0.
    """
    check_boxes(boxes, "boxes")
    check_tensor(keep, "keep")
    check_tensor(weights, "weights")
    N = len(boxes)
    if weights.shape not in ((N,), (N, 4)):
        expected = f"[N] or [N, 4], one or four for each of the {N} boxes"
        raise ValueError(f"weights must have shape {expected}, got {list(weights.shape)}")
    if keep.ndim != 1 or keep.dtype != torch.int64:
        got = f"got {keep.dtype} {list(keep.shape)}; from a mask, write mask.nonzero().squeeze(1)"
        raise ValueError(f"keep must be int64 indices of shape [kept], {got}")
    _check_threshold(iou_threshold)
    _check_above_zero(sigma_t, "sigma_t")
    boxes = boxes.to(torch.float64 if boxes.dtype == torch.float64 else torch.float32)
    weights = (weights if weights.ndim == 2 else weights[:, None].expand(N, 4)).to(boxes.dtype)
    ious = box_iou(boxes[keep], boxes)  # [kept, N]
    itself = keep[:, None] == torch.arange(N, device=boxes.device)  # [kept, N]
    ious = ious.masked_fill(itself, 1)  # of an empty box too
    closeness = torch.exp(-(1 - ious).square() / sigma_t) * ((ious > iou_threshold) | itself)
    means = []
    for box, weight in zip(boxes.T, weights.T, strict=True):
        votes = closeness * weight  # [kept, N]: for one coordinate at a time
        total = votes.sum(1, keepdim=True)  # [kept, 1]
        share = torch.where(total > 0, votes / total.where(total > 0, 1), itself)  # [kept, N]
        means.append((share * box).sum(1))
    return torch.stack(means, dim=1)


# --- checks --------------------------------------------------------------------------------------


def _check(boxes: Tensor, iou_threshold: float | int, **one_each: Tensor) -> None:
    check_boxes(boxes, "boxes")
    one_for_each = boxes.shape[0]
    for name, values in one_each.items():
        check_tensor(values, name)
        if values.shape != (one_for_each,):
            expected = f"[N], one for each of the {len(boxes)} boxes"
            raise ValueError(f"{name} must have shape {expected}, got {list(values.shape)}")
    _check_threshold(iou_threshold)


def _check_threshold(iou_threshold: float | int) -> None:
    if not 0 <= iou_threshold <= 1:
        remedy = "write 0.5 for 50 %"
        raise ValueError(f"iou_threshold must lie in 0..1, got {iou_threshold}; {remedy}")


def _check_above_zero(value: float | int, name: str) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}; the smaller, the sharper")
