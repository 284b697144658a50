"""Losses for detectors: each prediction against its own target, and no other.

Letters
    N       boxes, logits or anchors
    K       classes
    B       images

What is it, and where is it (classification.py, regression.py, mining.py)
    - `balanced_cross_entropy`, `sigmoid_focal_loss`, `softmax_focal_loss`, `prior_bias`: which
      class. Plain cross entropy from logits is PyTorch's binary_cross_entropy_with_logits.
    - `smooth_l1_loss`, `iou_loss`, `generalized_box_iou_loss`, `distance_box_iou_loss`,
      `complete_box_iou_loss`: which box.
    - `ohem_loss`, `hard_negative_mining`: which examples count at all.

Reductions: "none" for one value each, "mean" or "sum" for one value in all []. The mean of
    nothing is 0, as in torchvision's box losses: an image without boxes is no error. PyTorch's
    own losses answer NaN.
Half types: computed in float32. Losses of boxes are answered in float32 too, like everything in
    `course_lib.boxes`; all others in the dtype of their first argument.
"""

from course_lib.losses._reduction import Reduction
from course_lib.losses.classification import (
    balanced_cross_entropy,
    prior_bias,
    sigmoid_focal_loss,
    softmax_focal_loss,
)
from course_lib.losses.mining import hard_negative_mining, ohem_loss
from course_lib.losses.regression import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    iou_loss,
    smooth_l1_loss,
)

__all__ = [
    "Reduction",
    "balanced_cross_entropy",
    "complete_box_iou_loss",
    "distance_box_iou_loss",
    "generalized_box_iou_loss",
    "hard_negative_mining",
    "iou_loss",
    "ohem_loss",
    "prior_bias",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "softmax_focal_loss",
]
