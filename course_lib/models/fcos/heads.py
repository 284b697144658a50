"""FCOS's two subnets and its third output: the same weights at every level of the pyramid.

Letters
    B       images
    C       channels of the pyramid
    K       classes
    L       levels
    N       locations of all levels together

As RetinaNet's, with GroupNorm and with one answer a location where there were nine anchors. Names
of the parameters are torchvision's.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.losses import prior_bias
from course_lib.models.norms import Norm, norm_layer
from course_lib.models.retinanet.heads import flatten_levels, last_conv

Sides = Literal["exp", "relu"]


def subnet(channels: int, depth: int, norm: Norm | None) -> nn.Sequential:
    """`depth` convolutions, each with its norm and a ReLU."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(conv.weight, std=0.01)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one
        layers += (
            [conv, nn.ReLU(inplace=True)]
            if norm is None
            else [conv, norm_layer(norm)(channels), nn.ReLU(inplace=True)]
        )
    return nn.Sequential(*layers)


class ClassificationHead(nn.Module):
    """K logits for each location; it begins by giving every one the probability `prior`."""

    def __init__(
        self, channels: int, num_classes: int, prior: float | int, depth: int, norm: Norm | None
    ) -> None:
        super().__init__()
        self.conv = subnet(channels, depth, norm)
        self.cls_logits = last_conv(channels, num_classes, prior_bias(prior))

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> Float[Tensor, "B N K"]:
        return flatten_levels([self.cls_logits(self.conv(x)) for x in pyramid], 1)


class RegressionHead(nn.Module):
    """l, t, r, b in strides, never below 0, and the logit of the centre-ness, of each location.

    sides: how they are kept from going below 0. "exp" is the paper's e^(s·x), with a number s for
        each level that is learned (`scales` [L]). "relu" is torchvision's.
    Centre-ness comes from this subnet, as in the authors' later code; the paper has it beside the
    classes.
    """

    def __init__(
        self, channels: int, num_levels: int, depth: int, norm: Norm | None, sides: Sides
    ) -> None:
        super().__init__()
        self.conv = subnet(channels, depth, norm)
        self.bbox_reg = last_conv(channels, 4, 0.0)
        self.bbox_ctrness = last_conv(channels, 1, 0.0)
        self.scales = nn.Parameter(torch.ones(num_levels)) if sides == "exp" else None

    def forward(
        self, pyramid: Sequence[Float[Tensor, "B C _ _"]]
    ) -> tuple[Float[Tensor, "B N 4"], Float[Tensor, "B N 1"]]:
        maps = [self.conv(x) for x in pyramid]
        said = [self.bbox_reg(x) for x in maps]
        if self.scales is None:
            said = [each.relu() for each in said]
        else:
            said = [(s * each).exp() for s, each in zip(self.scales, said, strict=True)]
        central = [self.bbox_ctrness(x) for x in maps]
        return flatten_levels(said, 1), flatten_levels(central, 1)


class FCOSHead(nn.Module):
    """Both subnets: a pyramid to {"cls_logits": [B, N, K], "bbox_regression": [B, N, 4],
    "bbox_ctrness": [B, N, 1]}, the sides in strides.

    prior: π, the probability of every class at every location in the beginning.
    depth: convolutions before the last one of each subnet. norm: behind these.
    sides: see `RegressionHead`.
    Source: Tian et al., FCOS, ICCV 2019, figure 2. torchvision's FCOSHead.
    """

    def __init__(
        self,
        channels: int,
        num_levels: int,
        num_classes: int,
        *,
        prior: float | int = 0.01,
        depth: int = 4,
        norm: Norm | None = "group",
        sides: Sides = "exp",
    ) -> None:
        super().__init__()
        if sides not in ("exp", "relu"):
            raise ValueError(f'sides must be "exp" or "relu", got {sides!r}')
        self.classification_head = ClassificationHead(channels, num_classes, prior, depth, norm)
        self.regression_head = RegressionHead(channels, num_levels, depth, norm, sides)

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> dict[str, Tensor]:
        sides, central = self.regression_head(pyramid)
        return {
            "cls_logits": self.classification_head(pyramid),
            "bbox_regression": sides,
            "bbox_ctrness": central,
        }
