"""SSD's networks: VGG-16 and what comes behind it, and a convolution for each map's answers.

Letters
    B       images
    C       channels
    N       default boxes of all levels together
    K       classes, background included
    H, W    rows and columns

Names of the parameters are torchvision's.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from course_lib.models.retinanet.heads import flatten_levels

# Simonyan and Zisserman, VGG, ICLR 2015, table 1, column D; "M" halves the map.
VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)


class SSDFeatureExtractorVGG(nn.Module):
    """An image to six maps, each about half as fine as the one before: the first with stride 8.

    conv4_3 of VGG-16, each location's channels brought to length 20 (a number that is learned, one
    a channel); VGG's fully connected layers as convolutions, with holes instead of a last pooling;
    and four blocks of two convolutions.
    Shapes: [B, 3, 300, 300] to [B, 512, 38, 38], [B, 1024, 19, 19], [B, 512, 10, 10],
        [B, 256, 5, 5], [B, 256, 3, 3] and [B, 256, 1, 1].
    Source: Liu et al., SSD, ECCV 2016, figure 2 and section 3. torchvision's class of this name.
    """

    channels = (512, 1024, 512, 256, 256, 256)

    def __init__(self) -> None:
        super().__init__()
        layers = _vgg()
        pools = [k for k, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        layers[pools[2]] = nn.MaxPool2d(2, stride=2, ceil_mode=True)  # 75 becomes 38, not 37
        self.scale_weight = nn.Parameter(torch.full((512,), 20.0))
        self.features = nn.Sequential(*layers[: pools[3]])
        as_convolutions = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(inplace=True),
        )
        self.extra = nn.ModuleList(
            (
                nn.Sequential(*layers[pools[3] :], as_convolutions),
                _block(1024, 256, 512, stride=2, padding=1),
                _block(512, 128, 256, stride=2, padding=1),
                _block(256, 128, 256, stride=1, padding=0),
                _block(256, 128, 256, stride=1, padding=0),
            )
        )
        initialise(self)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        x = self.features(images)
        maps = [self.scale_weight.view(1, -1, 1, 1) * normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return maps


def _vgg() -> list[nn.Module]:
    """The convolutions of VGG-16 with their ReLUs, and four of its five poolings."""
    layers: list[nn.Module] = []
    before = 3
    for width in VGG16:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, stride=2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
            before = width
    return layers


def _block(channels: int, inner: int, wanted: int, *, stride: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, inner, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, wanted, 3, stride, padding),
        nn.ReLU(inplace=True),
    )


class _Answers(nn.Module):
    """One convolution a map, which says `numbers` numbers for each default box there."""

    def __init__(self, channels: Sequence[int], num_anchors: Sequence[int], numbers: int) -> None:
        super().__init__()
        self.num_anchors = list(num_anchors)
        self.module_list = nn.ModuleList(
            nn.Conv2d(c, a * numbers, 3, padding=1)
            for c, a in zip(channels, num_anchors, strict=True)
        )
        initialise(self)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B N numbers"]:
        rows = [
            flatten_levels([conv(x)], a)
            for conv, x, a in zip(self.module_list, maps, self.num_anchors, strict=True)
        ]
        return torch.cat(rows, dim=1)


class SSDHead(nn.Module):
    """Maps to {"cls_logits": [B, N, K], "bbox_regression": [B, N, 4]}.

    Source: Liu et al., SSD, ECCV 2016, section 2.1. torchvision's SSDHead.
    """

    def __init__(
        self, channels: Sequence[int], num_anchors: Sequence[int], num_outputs: int
    ) -> None:
        super().__init__()
        self.classification_head = _Answers(channels, num_anchors, num_outputs)
        self.regression_head = _Answers(channels, num_anchors, 4)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> dict[str, Tensor]:
        return {
            "cls_logits": self.classification_head(maps),
            "bbox_regression": self.regression_head(maps),
        }


def initialise(module: nn.Module) -> None:
    """Glorot's uniform weights, as the authors have them."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # it has one
