"""Weights of torchvision's detectors: names as its files have them, to names as ours are.

`renamed` translates, `fitting` also says what is wrong with weights that are not ours to load.
The files were written over years, and some names have changed since. What a module of torchvision
translates when it loads, is translated here, once and for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

# Convolutions that stand in a block of their own today; Mask R-CNN's were counted from 1.
BLOCKS = re.compile(r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$")
PROPOSALS = re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$")
MASKS = re.compile(r"^(roi_heads\.mask_head)\.mask_fcn(\d)\.(weight|bias)$")
# RetinaNet's subnets were one flat list once, each convolution followed by its ReLU.
SUBNETS = re.compile(r"^(head\.(?:classification|regression)_head\.conv)\.(\d)\.(weight|bias)$")


# What a file or a network may have alone: the counter of BatchNorm2d, and the classifier that a
# backbone was trained with.
NO_MATTER = re.compile(r"\.num_batches_tracked$|\.body\.fc\.(weight|bias)$")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile
WRAPPINGS = ("model", "state_dict", "model_state_dict", "model_ema")


def fitting(
    given: Any,
    own: Mapping[str, Tensor],
    class_layers: Sequence[str] = (),
    outputs: int = 1,
    new_classes: bool = False,
) -> dict[str, Tensor]:
    """Weights that can be loaded in place of `own`, under names of today.

    class_layers: how the names of the layers begin that have a row, or some, for each of `outputs`
        classes. new_classes: those stay as they are.
    Errors: TypeError for what is no state dict, RuntimeError for another network's.
    """
    weights = renamed(_state_dict(given))
    layers = tuple(f"{layer}." for layer in class_layers)
    if new_classes:
        weights |= {name: weight for name, weight in own.items() if name.startswith(layers)}
    missing = [name for name in own if name not in weights and not NO_MATTER.search(name)]
    extra = [name for name in weights if name not in own and not NO_MATTER.search(name)]
    if missing or extra:
        raise RuntimeError(
            f"these weights are not of this network: {_some(missing)} missing, "
            f"{_some(extra)} not known here"
        )
    other = [name for name in own if name in weights and weights[name].shape != own[name].shape]
    if not other:
        return weights
    name = other[0]
    there, here = weights[name].shape[0], own[name].shape[0]
    if all(name.startswith(layers) for name in other) and there * outputs % here == 0:
        raise RuntimeError(
            f"these weights know {there * outputs // here} classes, this detector {outputs}; build "
            "it with as many, or write from_torchvision(..., new_classes=True) to keep all but the "
            "last layers and learn your own classes"
        )
    shapes = f"{name} has shape {list(weights[name].shape)} there and {list(own[name].shape)} here"
    raise RuntimeError(f"these weights are not of this network: {shapes}; {_some(other)} differ")


def _state_dict(given: Any) -> Mapping[str, Tensor]:
    if isinstance(given, nn.Module):
        raise TypeError("weights must be a state dict, got a network; write network.state_dict()")
    if not isinstance(given, Mapping):
        got = type(given).__name__
        load = "torch.load(file, map_location='cpu', weights_only=True)"
        raise TypeError(f"weights must be a state dict, names to tensors, got {got}; write {load}")
    inner = next((name for name in WRAPPINGS if isinstance(given.get(name), Mapping)), None)
    if inner is not None:
        got = f"got a whole checkpoint with {', '.join(map(repr, list(given)[:6]))}"
        raise TypeError(f"weights must be a state dict, {got}; write checkpoint[{inner!r}]")
    for prefix in PREFIXES:
        if given and all(name.startswith(prefix) for name in given):
            raise RuntimeError(
                f"all names begin with {prefix!r}, which a wrapper put there; take it away with "
                f"{{name.removeprefix({prefix!r}): w for name, w in weights.items()}}"
            )
    return given


def _some(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} names ({shown})" if names else "none"


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
