"""The classification loss of a dense detector: K questions to each anchor or location.

Letters
    B       images
    N       anchors or locations of one image
    K       classes
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from course_lib.losses import sigmoid_focal_loss
from course_lib.matching import BETWEEN_THRESHOLDS


def summed_focal_loss(
    cls_logits: Float[Tensor, "*B N K"],
    classes: Int64[Tensor, "*B N"],
    alpha: float | int,
    gamma: float | int,
) -> Float[Tensor, ""]:
    """The focal losses of all that is not ignored, added up.

    Shapes: logits [B, N, K] and for each a class [B, N] in 0..K-1, or below 0 for background, which
        answers no to all K questions; BETWEEN_THRESHOLDS (-2) is not asked. To [], in float32 at
        least.
    """
    wide = torch.promote_types(cls_logits.dtype, torch.float32)
    positive = (classes >= 0)[..., None]  # [B, N, 1]
    wanted = torch.zeros_like(cls_logits, dtype=wide)  # [B, N, K]
    wanted.scatter_(-1, classes.clamp(min=0)[..., None], positive.to(wide))
    focal = sigmoid_focal_loss(cls_logits.to(wide), wanted, alpha, gamma)  # [B, N, K]
    return focal.sum(-1).masked_fill(classes == BETWEEN_THRESHOLDS, 0).sum()
