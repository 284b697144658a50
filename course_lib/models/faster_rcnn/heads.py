"""Faster R-CNN's networks beside the backbone, and Mask R-CNN's.

Letters
    B       images
    C       channels of the pyramid
    A       anchors a location
    N       anchors of all levels together
    R       proposals of all images together
    K       classes, background included
    P       rows and columns that a proposal is pooled to
    S       rows and columns of a small mask

Names of the parameters are torchvision's.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.models.pyramid import conv_norm
from course_lib.models.retinanet.heads import flatten_levels
from course_lib.pooling import MultiScaleRoIAlign


class RPNHead(nn.Module):
    """For each anchor one logit, "is there an object?", and four deltas.

    The same weights at every level: a 3 x 3 convolution with ReLU, and two of 1 x 1.
    Shapes: maps [B, C, H_l, W_l] to {"objectness": [B, N], "bbox_regression": [B, N, 4]}.
    Source: Ren et al., Faster R-CNN, NeurIPS 2015, section 3.1. torchvision's RPNHead.
    """

    def __init__(self, channels: int, num_anchors: int) -> None:
        super().__init__()
        self.num_anchors = num_anchors
        self.conv = nn.Sequential(
            conv_norm(channels, channels, 3, None).append(nn.ReLU(inplace=True))
        )
        self.cls_logits = nn.Conv2d(channels, num_anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * num_anchors, 1)
        _small_weights(self)

    def forward(self, pyramid: Sequence[Float[Tensor, "B C _ _"]]) -> dict[str, Tensor]:
        maps = [self.conv(x) for x in pyramid]
        objectness = flatten_levels([self.cls_logits(x) for x in maps], self.num_anchors)
        deltas = flatten_levels([self.bbox_pred(x) for x in maps], self.num_anchors)
        return {"objectness": objectness.squeeze(-1), "bbox_regression": deltas}


class RegionProposalNetwork(nn.Module):
    """The first stage's weights. What is done with what they say is in `proposals.py`."""

    def __init__(self, channels: int, num_anchors: int) -> None:
        super().__init__()
        self.head = RPNHead(channels, num_anchors)


class RoIHeads(nn.Module):
    """The second stage: pool each proposal from the map that suits it, and ask two linear layers.

    Maps by name, boxes [P, 4] of each image and its (height, width), to
        {"cls_logits": [R, K], "bbox_regression": [R, K*4]}.
    levels: names of the maps to pool from. pooled: rows and columns that a box is pooled to.
    """

    def __init__(
        self, channels: int, levels: Sequence[str], pooled: int, width: int, num_outputs: int
    ) -> None:
        super().__init__()
        self.levels = list(levels)
        self.box_roi_pool = MultiScaleRoIAlign(levels, pooled, sampling_ratio=2)
        self.box_head = TwoMLPHead(channels * pooled**2, width)
        self.box_predictor = FastRCNNPredictor(width, num_outputs)

    def forward(
        self, maps: dict[str, Tensor], boxes: Sequence[Tensor], sizes: Sequence[Sequence[int]]
    ) -> dict[str, Tensor]:
        said: dict[str, Tensor] = self.box_predictor(
            self.box_head(self.box_roi_pool(maps, boxes, sizes))
        )
        return said


class TwoMLPHead(nn.Module):
    """What is pooled of a proposal, [R, C, P, P], through two linear layers to [R, width].

    Source: Lin et al., Feature Pyramid Networks, CVPR 2017, section 5.2. torchvision's TwoMLPHead.
    """

    def __init__(self, channels: int, width: int = 1024) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels, width)
        self.fc7 = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "R C P P"]) -> Float[Tensor, "R width"]:
        return torch.relu(self.fc7(torch.relu(self.fc6(x.flatten(1)))))


class FastRCNNPredictor(nn.Module):
    """K logits and four deltas for each class, of each proposal.

    Shapes: [R, width] to {"cls_logits": [R, K], "bbox_regression": [R, K*4]}.
    Source: Girshick, Fast R-CNN, ICCV 2015, section 2.1. torchvision's FastRCNNPredictor.
    """

    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, num_outputs)
        self.bbox_pred = nn.Linear(width, 4 * num_outputs)

    def forward(self, x: Float[Tensor, "R width"]) -> dict[str, Tensor]:
        return {"cls_logits": self.cls_score(x), "bbox_regression": self.bbox_pred(x)}


class MaskRCNNHeads(nn.Sequential):
    """Four convolutions with ReLU on what is pooled of a proposal: [R, C, P, P] to the same.

    Source: He et al., Mask R-CNN, ICCV 2017, figure 4 on the right. torchvision's MaskRCNNHeads.
    """

    def __init__(self, channels: int, depth: int = 4) -> None:
        super().__init__(
            *(
                conv_norm(channels, channels, 3, None).append(nn.ReLU(inplace=True))
                for _ in range(depth)
            )
        )
        _wide_weights(self)


class MaskRCNNPredictor(nn.Sequential):
    """One mask for each class, twice as fine: [R, C, P, P] to logits [R, K, 2 P, 2 P].

    Source: He et al., Mask R-CNN, ICCV 2017, figure 4. torchvision's MaskRCNNPredictor.
    """

    def __init__(self, channels: int, num_outputs: int) -> None:
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(channels, channels, 2, stride=2),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(channels, num_outputs, 1),
            )
        )
        _wide_weights(self)


class MaskRoIHeads(RoIHeads):
    """The same with masks: `masks` gives one small mask for each class of each box, logits."""

    def __init__(
        self,
        channels: int,
        levels: Sequence[str],
        pooled: int,
        width: int,
        num_outputs: int,
        mask_pooled: int,
    ) -> None:
        super().__init__(channels, levels, pooled, width, num_outputs)
        self.mask_roi_pool = MultiScaleRoIAlign(levels, mask_pooled, sampling_ratio=2)
        self.mask_head = MaskRCNNHeads(channels)
        self.mask_predictor = MaskRCNNPredictor(channels, num_outputs)

    def masks(
        self, maps: dict[str, Tensor], boxes: Sequence[Tensor], sizes: Sequence[Sequence[int]]
    ) -> Float[Tensor, "R K S S"]:
        logits: Tensor = self.mask_predictor(self.mask_head(self.mask_roi_pool(maps, boxes, sizes)))
        return logits


def _small_weights(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # it has one


def _wide_weights(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # it has one
