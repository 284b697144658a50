"""Which detection found which truth: the rules of COCO and of PASCAL VOC, for one image and class.

Both go through the detections from the best score to the worst, and a truth can be found once: a
second detection of the same object is a false positive. They differ in what a detection may look
at. VOC's looks at the truth it overlaps most, whether that one is still free or not. COCO's looks
at the free ones only.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from course_lib._checks import check_tensor

UNMATCHED = -1


def match_coco(
    ious: Float[Tensor, "D G"],
    iou_threshold: float | int,
    *,
    ignored: Bool[Tensor, " G"] | None = None,
    crowd: Bool[Tensor, " G"] | None = None,
) -> Int64[Tensor, " D"]:
    """The truth that each detection found, or -1: COCO's rule.

    Each detection in turn takes, of the truths that are still free, the one of highest IoU, if
    that IoU reaches the threshold. Of equal IoUs it is the later truth.

    Args:
        ious: [D, G], one row a detection, the rows sorted by decreasing score; see `box_iou`.
        iou_threshold: an IoU of exactly the threshold is enough.
        ignored: [G], truths that neither count when found nor when missed, such as those of
            another size. A detection takes one only if no other truth would do.
        crowd: [G], regions that hold many objects. They are ignored as well, and stay free
            however many detections take them.

    Shapes: [D, G] to [D], int64 indices of truths. A detection whose truth is ignored is neither
        a true nor a false positive.
    Errors: TypeError or ValueError for another shape or dtype.
    Source: pycocotools.cocoeval.COCOeval.evaluateImg. As there, the threshold is lowered to
        1 - 1e-10, so that rounding cannot keep a box from matching itself.
    """
    D, G = _check(ious, ignored=ignored, crowd=crowd)
    crowd = torch.zeros(G, dtype=torch.bool) if crowd is None else crowd.cpu()
    ignored = crowd if ignored is None else ignored.cpu() | crowd
    table = ious.detach().cpu()
    free = torch.ones(G, dtype=torch.bool)
    matches = torch.full((D,), UNMATCHED)
    for d in range(D):
        enough = (table[d] >= min(iou_threshold, 1 - 1e-10)) & (free | crowd)  # [G]
        regular = enough & ~ignored
        choice = regular if regular.any() else enough
        if not choice.any():
            continue
        best = table[d][choice].max()
        g = int((choice & (table[d] == best)).nonzero()[-1])  # the later of equal ones
        free[g], matches[d] = False, g
    return matches.to(ious.device)


def match_voc(
    ious: Float[Tensor, "D G"],
    iou_threshold: float | int,
    *,
    difficult: Bool[Tensor, " G"] | None = None,
) -> Int64[Tensor, " D"]:
    """The truth that each detection found, or -1: PASCAL VOC's rule.

    Each detection in turn looks at the truth of highest IoU (of equal ones the first), and at no
    other. It has found it if the IoU reaches the threshold and no detection before it did.

    Args:
        ious: [D, G], one row a detection, the rows sorted by decreasing score; see `box_iou`.
        iou_threshold: an IoU of exactly the threshold is enough.
        difficult: [G], truths that neither count when found nor when missed. They stay free,
            however many detections take them.

    Shapes: [D, G] to [D], int64 indices of truths. A detection whose truth is difficult is
        neither a true nor a false positive.
    Errors: TypeError or ValueError for another shape or dtype.
    Source: VOCevaldet.m of the VOC2012 development kit, whose boxes are one pixel larger.
    """
    D, G = _check(ious, difficult=difficult)
    difficult = torch.zeros(G, dtype=torch.bool) if difficult is None else difficult.cpu()
    matches = torch.full((D,), UNMATCHED)
    if G == 0:
        return matches.to(ious.device)
    table = ious.detach().cpu()
    free = torch.ones(G, dtype=torch.bool)
    for d in range(D):
        g = int(table[d].argmax())  # the first of equal ones
        if table[d, g] >= iou_threshold and (free[g] or difficult[g]):
            free[g], matches[d] = False, g
    return matches.to(ious.device)


def _check(ious: Tensor, **flags: Tensor | None) -> tuple[int, int]:
    """D and G of a table of IoUs, once it and the marks of its truths make sense."""
    check_tensor(ious, "ious")
    if ious.ndim != 2 or not ious.is_floating_point():
        got = f"{list(ious.shape)} of {ious.dtype}"
        remedy = "a row for each detection, a column for each truth, as box_iou gives them"
        raise ValueError(f"ious must be a matrix of floats [D, G], got {got}; {remedy}")
    D, G = ious.shape
    for name, flag in flags.items():
        if flag is None:
            continue
        check_tensor(flag, name)
        if flag.shape != (G,) or flag.dtype != torch.bool:
            got = f"{list(flag.shape)} of {flag.dtype}"
            raise ValueError(f"{name} must be booleans [G] = [{G}], one for each truth, got {got}")
    return D, G
