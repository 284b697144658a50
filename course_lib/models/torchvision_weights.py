"""Weights of torchvision's detectors: names as its files have them, to names as ours are.

The files were written over years, and some names have changed since. What a module of torchvision
translates when it loads, is translated here, once and for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# Convolutions that stand in a block of their own today; Mask R-CNN's were counted from 1.
BLOCKS = re.compile(r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$")
PROPOSALS = re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$")
MASKS = re.compile(r"^(roi_heads\.mask_head)\.mask_fcn(\d)\.(weight|bias)$")
# RetinaNet's subnets were one flat list once, each convolution followed by its ReLU.
SUBNETS = re.compile(r"^(head\.(?:classification|regression)_head\.conv)\.(\d)\.(weight|bias)$")


def renamed(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights, under the names that torchvision's modules have today."""
    flat = "head.classification_head.conv.2.weight" in state_dict  # a ReLU in FCOS
    return {_renamed(name, flat): weight for name, weight in state_dict.items()}


def _renamed(name: str, flat: bool) -> str:
    if found := BLOCKS.search(name):
        return f"{name[: found.start()]}{found[1]}.0.{found[2]}"
    if found := PROPOSALS.match(name):
        return f"{found[1]}.0.0.{found[2]}"
    if found := MASKS.match(name):
        return f"{found[1]}.{int(found[2]) - 1}.0.{found[3]}"
    if flat and (found := SUBNETS.match(name)):
        return f"{found[1]}.{int(found[2]) // 2}.0.{found[3]}"
    return name
