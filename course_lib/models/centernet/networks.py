"""What makes one fine map of an image: a ResNet that is led up again, or an hourglass.

Letters
    B       images
    C       channels of the output
    H, W    rows and columns of pixels
    D       how often an hourglass halves its map

A peak must stand at the right place, so the map is fine: a location for 4 x 4 pixels. And each
location must have seen a whole object, so the way there leads through coarse maps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from course_lib.models.backbones import BasicBlock, ResNet
from course_lib.models.norms import Norm, norm_layer

STRIDE = 4


class Upsampled(nn.Module):
    """A ResNet's coarsest map, enlarged three times by transposed convolutions: stride 32 to 4.

    Shapes: [B, 3, H, W] to [B, out_channels, H / 4, W / 4]; H and W are multiples of 32.
    channels: of the three transposed convolutions, 4 x 4 with stride 2; each begins as the
        bilinear enlargement of its input's channels.
    Source: Xiao et al., Simple Baselines for Human Pose Estimation, ECCV 2018, and Zhou et al.,
        Objects as Points, section 5, which puts a deformable convolution before each of the three.
    """

    def __init__(
        self, body: ResNet, channels: tuple[int, ...] = (256, 256, 256), norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.body = body
        layers: list[nn.Module] = []
        before = body.channels[-1]
        for after in channels:
            conv = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(conv.weight, std=0.001)
            layers += [conv, norm_layer(norm)(after), nn.ReLU(inplace=True)]
            before = after
        self.deconv_layers = nn.Sequential(*layers)
        self.out_channels = before

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C _ _"]:
        up: Tensor = self.deconv_layers(self.body(images)[-1])
        return up


class Hourglass(nn.Module):
    """D times down, D times up again, and at every size a way straight across.

    Shapes: [B, channels[0], H, W] to the same. H and W may be any.
    channels: of the D + 1 sizes, finest first.
    Source: Newell et al., Stacked Hourglass Networks, ECCV 2016; as in Law and Deng, CornerNet,
        section 3.4: strides of 2 instead of pooling, nearest neighbour on the way up.
    """

    def __init__(self, channels: tuple[int, ...], norm: Norm = "batch") -> None:
        super().__init__()
        here, below = channels[0], channels[1]
        self.across = BasicBlock(here, here, 1, norm)
        self.down = BasicBlock(here, below, 2, norm)
        self.inner: nn.Module = (
            Hourglass(channels[1:], norm)
            if len(channels) > 2
            else BasicBlock(below, below, 1, norm)
        )
        self.up = BasicBlock(below, here, 1, norm)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        coarse = self.up(self.inner(self.down(x)))
        across: Tensor = self.across(x)
        return across + interpolate(coarse, size=x.shape[-2:], mode="nearest")


class HourglassNetwork(nn.Module):
    """A stem to a quarter of the sides, and one hourglass: [B, 3, H, W] to [B, C, H / 4, W / 4].

    channels: of the hourglass's sizes, finest first; the first is C.
    The paper's has two hourglasses, one behind the other, of about 190 million parameters.
    """

    def __init__(self, channels: tuple[int, ...], norm: Norm = "batch") -> None:
        super().__init__()
        first = channels[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first // 2, 7, stride=2, padding=3, bias=False),
            norm_layer(norm)(first // 2),
            nn.ReLU(inplace=True),
            BasicBlock(first // 2, first, 2, norm),
        )
        self.hourglass = Hourglass(channels, norm)
        self.out_channels = first
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C _ _"]:
        x: Tensor = self.hourglass(self.stem(images))
        return torch.relu(x)
