"""Precision and recall: of all detections at once, and at every score where one could stop."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib._checks import check_tensor


def precision_recall(tp: int | float, fp: int | float, fn: int | float) -> tuple[float, float]:
    """How much of what was said is true, and how much of what is true was said.

        precision = TP / (TP + FP)    recall = TP / (TP + FN)

    Args:
        tp, fp, fn: how many detections found a truth, how many found none, and how many truths
            were found by no detection. Neither below 0.

    Returns: (precision, recall), each in [0, 1]; 0 where nothing was said, or nothing was there.
    Errors: ValueError for a count below 0.
    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7.
    """
    for name, count in (("tp", tp), ("fp", fp), ("fn", fn)):
        if not count >= 0:
            raise ValueError(f"{name} is a count and cannot be {count}; it must be 0 or more")
    precision = tp / (tp + fp) if tp + fp > 0 else 0.0
    recall = tp / (tp + fn) if tp + fn > 0 else 0.0
    return precision, recall


def f_beta(tp: int | float, fp: int | float, fn: int | float, beta: float | int = 1.0) -> float:
    """Precision and recall in one number, in which recall counts beta times as much.

        F_β = (1 + β²) P R / (β² P + R) = (1 + β²) TP / ((1 + β²) TP + β² FN + FP)

    Args:
        tp, fp, fn: as in `precision_recall`.
        beta: 1 for the harmonic mean of both, 2 if a miss hurts more than a false alarm, 0.5 if
            less, 0 for precision alone.

    Returns: a number in [0, 1]; 0 where no detection found a truth.
    Errors: ValueError for a count or a beta below 0.
    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7 (there as effectiveness 1 - F).
    """
    precision, recall = precision_recall(tp, fp, fn)
    if not beta >= 0:
        raise ValueError(f"beta must be 0 or more, got {beta}")
    if tp == 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def precision_recall_curve(
    scores: Float[Tensor, " D"], correct: Bool[Tensor, " D"], positives: int
) -> tuple[Float[Tensor, " D"], Float[Tensor, " D"]]:
    """Precision and recall of the best detection alone, of the best two, of the best three …

    Args:
        scores: [D], in any order, of all images together.
        correct: [D], whether the detection found a truth. Leave out those that found an ignored
            one before you call this.
        positives: how many truths there are, found or not.

    Returns: (precision, recall), [D] each, by decreasing score; equal scores keep their order.
        Recall is 0 where there are no positives.
    Dtype: that of the scores, float32 for half types.
    Errors: TypeError or ValueError for two shapes, a score that is NaN, or more correct detections
        than positives.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2.
    """
    check_tensor(scores, "scores")
    check_tensor(correct, "correct")
    if scores.ndim != 1 or correct.shape != scores.shape:
        raise ValueError(
            "scores and correct must have one shape [D], one entry for each detection, got "
            f"{list(scores.shape)} and {list(correct.shape)}"
        )
    if correct.dtype != torch.bool:
        raise TypeError(f"correct must be booleans, got {correct.dtype}; write correct.bool()")
    if scores.isnan().any():
        raise ValueError("scores hold NaN, which has no place in an order; mend the detector")
    if correct.sum() > positives:
        raise ValueError(
            f"{int(correct.sum())} detections are correct, but there are only {positives} "
            "positives; a truth can be found once"
        )
    dtype = scores.dtype if scores.dtype == torch.float64 else torch.float32
    right = correct[scores.argsort(descending=True, stable=True)]  # [D]
    tp = right.cumsum(0).to(dtype)  # [D]
    said = torch.arange(1, len(right) + 1, dtype=dtype, device=right.device)  # [D], TP + FP
    return tp / said, tp / max(positives, 1)


def precision_envelope(precision: Float[Tensor, " D"]) -> Float[Tensor, " D"]:
    """The highest precision from here to the right: the curve without its teeth.

    Whoever wants a recall of at least r would stop where precision is highest beyond r. So the
    envelope at r is the best that the detector can do there.

    Shapes: [D] to [D], never increasing, nowhere below `precision`.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, equation 2.
    """
    check_tensor(precision, "precision")
    if precision.ndim != 1:
        raise ValueError(f"precision must have shape [D], got {list(precision.shape)}")
    if len(precision) == 0:
        return precision.clone()
    return precision.flip(0).cummax(0).values.flip(0)
