"""RetinaNet's two subnets: the same weights at every level of the pyramid.

Letters
    B       images
    C       channels of the pyramid
    A       anchors a location
    K       classes
    H, W    rows and columns of a level's map
    N       anchors of all levels together

One subnet says K logits for each anchor, the other four deltas. Both are four 3 x 3 convolutions
and a last one; no fully connected layer, so that they run on a map of any size. Names of the
parameters are torchvision's.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.losses import prior_bias
from course_lib.models.norms import Norm
from course_lib.models.pyramid import conv_norm


def flatten_levels(
    maps: Sequence[Float[Tensor, "B AK _ _"]], num_anchors: int
) -> Float[Tensor, "B N K"]:
    """The maps of all levels as one list of anchors, in the order of `grid_anchors`.

    Shapes: for each level [B, A*K, H, W], the K numbers of the first anchor in the first K
        channels, to [B, N, K]: level by level, row by row, the A anchors of a location together.
    """
    rows = []
    for each in maps:
        split = each.unflatten(1, (num_anchors, -1))  # [B, A, K, H, W]
        rows.append(split.permute(0, 3, 4, 1, 2).flatten(1, 3))  # [B, H*W*A, K]
    return torch.cat(rows, dim=1)


class Subnet(nn.Module):
    """`depth` convolutions with ReLU, `conv`; a subclass adds the last one, without."""

    def __init__(self, channels: int, depth: int, norm: Norm | None) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                conv_norm(channels, channels, 3, norm).append(nn.ReLU(inplace=True))
                for _ in range(depth)
            )
        )
        for module in self.conv.modules():
            if isinstance(module, nn.Conv2d) and norm is None:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # it has one
            elif isinstance(module, nn.Conv2d):
                # The norm takes the size of the weights away. Steps of one learning rate turn small
                # ones the further.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def last_conv(channels: int, wanted: int, bias: float) -> nn.Conv2d:
    conv = nn.Conv2d(channels, wanted, 3, padding=1)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]  # it has one
    return conv


class ClassificationHead(Subnet):
    """K logits for each anchor; it begins by giving every one the probability `prior`."""

    def __init__(
        self,
        channels: int,
        num_anchors: int,
        num_classes: int,
        prior: float | int,
        depth: int,
        norm: Norm | None,
    ) -> None:
        super().__init__(channels, depth, norm)
        self.num_anchors = num_anchors
        self.cls_logits = last_conv(channels, num_anchors * num_classes, prior_bias(prior))

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> Float[Tensor, "B N K"]:
        return flatten_levels([self.cls_logits(self.conv(x)) for x in pyramid], self.num_anchors)


class RegressionHead(Subnet):
    """Four deltas for each anchor, the same for all classes."""

    def __init__(self, channels: int, num_anchors: int, depth: int, norm: Norm | None) -> None:
        super().__init__(channels, depth, norm)
        self.num_anchors = num_anchors
        self.bbox_reg = last_conv(channels, num_anchors * 4, 0.0)

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> Float[Tensor, "B N 4"]:
        return flatten_levels([self.bbox_reg(self.conv(x)) for x in pyramid], self.num_anchors)


class RetinaNetHead(nn.Module):
    """Both subnets: a pyramid to {"cls_logits": [B, N, K], "bbox_regression": [B, N, 4]}.

    prior: π, the probability of every class at every anchor in the beginning.
    depth: convolutions before the last one of each subnet.
    norm: behind these; the paper has none.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4. torchvision's RetinaNetHead.
    """

    def __init__(
        self,
        channels: int,
        num_anchors: int,
        num_classes: int,
        *,
        prior: float | int = 0.01,
        depth: int = 4,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.classification_head = ClassificationHead(
            channels, num_anchors, num_classes, prior, depth, norm
        )
        self.regression_head = RegressionHead(channels, num_anchors, depth, norm)

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> dict[str, Tensor]:
        return {
            "cls_logits": self.classification_head(pyramid),
            "bbox_regression": self.regression_head(pyramid),
        }
