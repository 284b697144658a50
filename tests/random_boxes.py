"""Boxes for the tests of detectors: at random, the same for the same seed."""

from __future__ import annotations

import torch
from torch import Tensor


def random_boxes(count: int, seed: int, side: int) -> Tensor:
    """xyxy boxes [count, 4] inside side x side, with sides from 6 to 6 + side / 2 pixels."""
    dice = torch.Generator().manual_seed(seed)
    size = 6 + torch.rand(count, 2, generator=dice) * side / 2
    corner = torch.rand(count, 2, generator=dice) * (side - size)
    return torch.cat((corner, corner + size), dim=1)
