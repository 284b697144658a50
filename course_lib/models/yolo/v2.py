"""The way on: how YOLOv2 and its successors read a box from a cell."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def decode_v2(
    raw: Float[Tensor, "*B S S A 4"], anchors: Float[Tensor, "A 2"], size: tuple[int, int]
) -> Float[Tensor, "*B S S A 4"]:
    """The boxes that the raw numbers tx, ty, tw, th of each cell and anchor mean, as xyxy pixels.

        centre = (cell + σ(t)) · stride        side = anchor · exp(t)

    Shapes: [..., S, S, A, 4] and anchors' (width, height) in pixels to [..., S, S, A, 4]; not
        clipped to the image.
    size: (height, width) of the image; the stride is size / S.
    The sigmoid keeps the centre in its own cell whatever the network says, so nothing can run away
        early in training. The exponential makes every side positive, and makes a step of t mean
        the same factor for small anchors and for large ones, which is what the root was for.
    Source: Redmon and Farhadi, YOLO9000: Better, Faster, Stronger, CVPR 2017, section 2, "Direct
        location prediction". Its configuration files give anchors in cells of 32 pixels.
    """
    if len(anchors) != raw.shape[-2]:
        raise ValueError(
            f"anchors must have shape [{raw.shape[-2]}, 2], a (width, height) for each predictor "
            f"of a cell, got {list(anchors.shape)}"
        )
    S = raw.shape[-3]
    height, width = size
    index = torch.arange(S, device=raw.device, dtype=raw.dtype)
    tx, ty, tw, th = raw.unbind(-1)  # [..., S, S, A] each
    cx = (tx.sigmoid() + index[:, None]) * (width / S)
    cy = (ty.sigmoid() + index[:, None, None]) * (height / S)
    w, h = anchors[:, 0] * tw.exp(), anchors[:, 1] * th.exp()
    return torch.stack((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), dim=-1)
