"""What wrong answers of several exercises are made of: cells of a grid, corners of boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def columns_and_rows(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The column and the row of each predictor of boxes [S, S, A, 4], [S, S, A] each."""
    index = torch.arange(boxes.shape[-3]).to(boxes.dtype)
    still = torch.zeros_like(boxes[..., 0])
    return index[:, None] + still, index[:, None, None] + still


def shared_by_predictors(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Counted along columns and predictors, as where [S, S, A] is taken for [A, S, S]."""
    column, row = columns_and_rows(boxes)
    index = torch.arange(boxes.shape[-2]).to(boxes.dtype)
    return index + 0 * column, column + 0 * row


def as_xyxy(cx: Tensor, cy: Tensor, w: Tensor, h: Tensor) -> Tensor:
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=-1)
