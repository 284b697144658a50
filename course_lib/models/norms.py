"""Normalisation layers, by name: "frozen", "batch" or "group".

Letters
    B, C, H, W    images, channels, rows, columns of a feature map

"batch" is nn.BatchNorm2d, for batches of 16 and more. "frozen" is the same with everything it once
learned held fast, for weights that were trained elsewhere and batches of two images. "group" needs
no batch at all.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["frozen", "batch", "group"]

GROUPS = 32  # Wu and He, Group Normalization, ECCV 2018, table 3


class FrozenBatchNorm2d(nn.Module):
    """BatchNorm with fixed statistics and fixed weights: (x − mean) / √(var + eps) · w + b.

    Shapes: [B, C, H, W] to the same. Its four rows [C] are buffers, so no optimizer sees them and
        they do not count as parameters; a state dict of nn.BatchNorm2d loads.
    eps: torchvision sets it to 0 after loading its detectors trained on COCO, whose statistics
        were made without. `model.apply(without_eps)` does it here. It travels with the state dict,
        in what PyTorch notes about each module there, so the names stay those of the weights.
    Source: torchvision.ops.FrozenBatchNorm2d.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        scale = self.weight * (self.running_var + self.eps).rsqrt()  # [C]
        shift = self.bias - self.running_mean * scale  # [C]
        scale, shift = scale[:, None, None].to(x.dtype), shift[:, None, None].to(x.dtype)
        return torch.addcmul(shift, x, scale)  # one pass over x, not two

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        notes = getattr(destination, "_metadata", {}).get(prefix[:-1])
        if notes is not None:
            notes["eps"] = self.eps

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        state_dict.pop(prefix + "num_batches_tracked", None)  # BatchNorm2d's own counter
        self.eps = local_metadata.get("eps", self.eps)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"


def without_eps(module: nn.Module) -> None:
    """Set eps of a FrozenBatchNorm2d to 0; to be given to `model.apply`. See there."""
    if isinstance(module, FrozenBatchNorm2d):
        module.eps = 0.0


def norm_layer(norm: Norm) -> Callable[[int], nn.Module]:
    """The layer of that name: a function that takes the number of channels C.

    "group" makes 32 groups, or as many as divide C where 32 do not.
    Errors: ValueError for an unknown name.
    """
    if norm == "frozen":
        return FrozenBatchNorm2d
    if norm == "batch":
        return nn.BatchNorm2d
    if norm == "group":
        return lambda channels: nn.GroupNorm(math.gcd(GROUPS, channels), channels)
    raise ValueError(f'norm must be "frozen", "batch" or "group", got {norm!r}')
