"""Mask R-CNN's third answer, without a network: targets, loss, and masks in the image.

Letters
    M       annotated objects of one image
    R       proposals, or detections
    K       classes that the network knows, background included
    S       rows and columns of a small mask, 28 in the paper
    H, W    rows and columns of the image

For each proposal and each class the network draws a small mask, stretched over the proposal. The
class is settled elsewhere: the masks need not compete.

Source: He et al., Mask R-CNN, ICCV 2017, section 3. torchvision.models.detection.roi_heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Num, Shaped
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, pad

from course_lib.pooling import roi_align


def mask_targets(
    masks: Shaped[Tensor, "M H W"],
    proposals: Float[Tensor, "R 4"],
    objects: Int64[Tensor, " R"],
    side: int,
) -> Float[Tensor, "R S S"]:
    """The mask of its object inside each proposal, `side` x `side`, as shares of 1.

    Shapes: masks [M, H, W] of one image, 0 or 1; proposals [R, 4] in its pixels, and the object [R]
        of each, in 0..M-1.
    """
    dtype = proposals.dtype
    rois = torch.cat((objects[:, None].to(dtype), proposals), dim=1)  # [R, 5]
    return roi_align(masks[:, None].to(dtype), rois, side)[:, 0]


def mask_loss(
    mask_logits: Float[Tensor, "R K S S"],
    classes: Int64[Tensor, " R"],
    wanted: Float[Tensor, "R S S"],
) -> Float[Tensor, ""]:
    """The mean log loss of all pixels of the masks of the right classes; 0 for no proposal."""
    if len(classes) == 0:
        return mask_logits.sum() * 0
    wide = torch.promote_types(mask_logits.dtype, torch.float32)
    said = mask_logits[torch.arange(len(classes), device=classes.device), classes]  # [R, S, S]
    return binary_cross_entropy_with_logits(said.to(wide), wanted.to(wide))


def paste_masks(
    masks: Float[Tensor, "R S S"], boxes: Num[Tensor, "R 4"], size: Sequence[int]
) -> Float[Tensor, "R H W"]:
    """Each small mask stretched over its box, in an image of 0; probabilities.

    Shapes: masks [R, S, S] and boxes [R, 4] in pixels; size is (height, width) of the image.
    A mask gets a frame of zeros first, so that its rim fades; the box grows with it, and is rounded
    outwards to pixels as the first Detectron did: from the pixel of (x1, y1) to that of (x2, y2),
    both included.
    Source: torchvision's paste_masks_in_image.
    """
    H, W = size
    image = masks.new_zeros(len(masks), H, W)
    framed = pad(masks, (1, 1, 1, 1))  # [R, S + 2, S + 2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * (framed.shape[-1] / masks.shape[-1])
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2
    corners = torch.cat((centre - half, centre + half), dim=1).long().tolist()  # towards 0
    for row, mask, (x1, y1, x2, y2) in zip(image, framed, corners, strict=True):
        height, width = max(1, y2 - y1 + 1), max(1, x2 - x1 + 1)
        large = interpolate(
            mask[None, None], (height, width), mode="bilinear", align_corners=False
        )[0, 0]
        top, left = max(0, y1), max(0, x1)
        bottom, right = min(H, y1 + height), min(W, x1 + width)
        if top < bottom and left < right:
            row[top:bottom, left:right] = large[top - y1 : bottom - y1, left - x1 : right - x1]
    return image
