"""The feature pyramid network: maps that are fine and know much, at every size.

Letters
    B       images
    C       channels of the pyramid, 256 in the papers
    L       levels
    H, W    rows and columns of a map
    C3…C5   a backbone's maps; P3…P7 the pyramid's. Level l has stride 2^l.

A backbone's fine maps know where but not what, its coarse maps what but not where. The pyramid
brings all maps to C channels (lateral, 1 x 1), and on the way back from the coarsest to the finest
adds to each the one above it, enlarged (top-down). A 3 x 3 convolution smooths each sum.

Names of the parameters are torchvision's.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from course_lib.anchors import AnchorGenerator, pyramid_grids
from course_lib.models.backbones import ResNet
from course_lib.models.norms import Norm, norm_layer


def top_down(laterals: Sequence[Float[Tensor, "B C _ _"]]) -> list[Tensor]:
    """Each map plus the one above it, enlarged to its size; from the coarsest to the finest.

    Shapes: L maps [B, C, H_l, W_l], finest first, to L maps of the same shapes. The coarsest one
        stays as it is; the second coarsest has its sum, the next one the sum of these two, and so
        on. Enlarged by repetition: nearest neighbour, to the very size of the finer map, so that
        odd sizes fit.
    Source: Lin et al., Feature Pyramid Networks, CVPR 2017, section 3.
    """
    sums = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        above = interpolate(sums[0], size=lateral.shape[-2:], mode="nearest")
        sums.insert(0, lateral + above)
    return sums


def conv_norm(channels: int, wanted: int, side: int, norm: Norm | None) -> nn.Sequential:
    """A convolution that keeps the size, with a norm behind it, or else with a bias."""
    conv = nn.Conv2d(channels, wanted, side, padding=side // 2, bias=norm is None)
    return nn.Sequential(conv) if norm is None else nn.Sequential(conv, norm_layer(norm)(wanted))


class FeaturePyramidNetwork(nn.Module):
    """C3, C4, C5 of a backbone to P3, P4, P5, and with `extra_blocks` to P6 and P7.

    Shapes: L maps [B, in_channels[l], H_l, W_l], finest first, to maps [B, out_channels, H_l, W_l].
    extra_blocks: a module that is given the pyramid's maps and the backbone's, and returns further,
        coarser ones.
    norm: behind every convolution; the paper has none.
    Source: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, section 3.
        torchvision.ops.FeaturePyramidNetwork, which takes and gives dicts.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        extra_blocks: "LastLevelP6P7 | LastLevelMaxPool | None" = None,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(
            conv_norm(channels, out_channels, 1, norm) for channels in in_channels
        )
        self.layer_blocks = nn.ModuleList(
            conv_norm(out_channels, out_channels, 3, norm) for _ in in_channels
        )
        initialise(self)
        self.extra_blocks = extra_blocks

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Tensor]:
        if len(maps) != len(self.inner_blocks):
            raise ValueError(f"maps must be {len(self.inner_blocks)}, one a level, got {len(maps)}")
        laterals = [inner(x) for inner, x in zip(self.inner_blocks, maps, strict=True)]
        sums = top_down(laterals)
        pyramid = [layer(x) for layer, x in zip(self.layer_blocks, sums, strict=True)]
        return pyramid if self.extra_blocks is None else pyramid + self.extra_blocks(pyramid, maps)


class LastLevelP6P7(nn.Module):
    """P6 and P7 for objects that fill the image: 3 x 3 with stride 2, a ReLU, and once more.

    source: "C5" takes the backbone's last map, as the paper says; "P5" takes the pyramid's, as
        torchvision's retinanet_resnet50_fpn and later papers do: 4.1 million weights less.
    in_channels: of that map.
    Source: Lin et al., Focal Loss, ICCV 2017, section 4, footnote 2.
        torchvision.ops.feature_pyramid_network.LastLevelP6P7, which takes P5 if both numbers of
        channels are the same.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 256, source: Literal["P5", "C5"] = "P5"
    ) -> None:
        super().__init__()
        if source not in ("P5", "C5"):
            raise ValueError(f'source must be "P5" or "C5", got {source!r}')
        self.source = source
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)
        initialise(self)

    def forward(self, pyramid: Sequence[Tensor], maps: Sequence[Tensor]) -> list[Tensor]:
        p6 = self.p6(pyramid[-1] if self.source == "P5" else maps[-1])
        return [p6, self.p7(torch.relu(p6))]


class LastLevelMaxPool(nn.Module):
    """P6 for the largest anchors of a region proposal network: every second location of P5.

    Source: Lin et al., Feature Pyramid Networks, CVPR 2017, footnote 2.
        torchvision.ops.feature_pyramid_network.LastLevelMaxPool.
    """

    def forward(self, pyramid: Sequence[Tensor], maps: Sequence[Tensor]) -> list[Tensor]:
        return [pyramid[-1][:, :, ::2, ::2]]


class BackboneWithFPN(nn.Module):
    """An image to the maps of a pyramid: [P3, P4, P5] or [P3, …, P7], each of `out_channels`.

    lowest: the finest level, 3 in RetinaNet, 2 in Faster R-CNN; the backbone's coarsest is 5.
    extra: "P5" or "C5" adds P6 and P7 from there, see `LastLevelP6P7`; "pool" adds P6 alone, see
        `LastLevelMaxPool`.
    strides: pixels for a location, of each level.
    Source: torchvision.models.detection.backbone_utils.BackboneWithFPN.
    """

    def __init__(
        self,
        body: ResNet,
        out_channels: int = 256,
        *,
        lowest: Literal[2, 3, 4] = 3,
        extra: Literal["P5", "C5", "pool"] | None = None,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        channels = body.channels[lowest - 2 :]
        blocks: LastLevelP6P7 | LastLevelMaxPool | None = None
        if extra == "pool":
            blocks = LastLevelMaxPool()
        elif extra is not None:
            last = out_channels if extra == "P5" else channels[-1]
            blocks = LastLevelP6P7(last, out_channels, extra)
        self.body = body
        self.fpn = FeaturePyramidNetwork(channels, out_channels, blocks, norm)
        self.lowest = lowest
        self.out_channels = out_channels
        highest = {None: 5, "pool": 6}.get(extra, 7)
        self.strides = [2**level for level in range(lowest, highest + 1)]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        return self.fpn(self.body(images)[self.lowest - 2 :])


Grid = Literal["network", "image"]


def grids_and_strides(
    size: Sequence[int], strides: Sequence[int], grid: str
) -> tuple[list[tuple[int, int]], list[Any]]:
    """(rows, columns) of each level for images of `size` (height, width), and pixels a location.

    grid: "network" gives the network's strides. "image" divides the image's sides by rows and
        columns, as torchvision does: (down, across). They differ where a side is no multiple of the
        coarsest stride.
    """
    height, width = size
    grids = pyramid_grids((height, width), strides)
    if grid == "network":
        return grids, list(strides)
    return grids, [(height // rows, width // columns) for rows, columns in grids]


def check_grid(grid: str) -> None:
    """A ValueError for anything but the two that there are."""
    if grid not in ("network", "image"):
        raise ValueError(f'grid must be "network" or "image", got {grid!r}')


def anchors_per_location(anchors: AnchorGenerator, levels: int) -> int:
    """How many anchors a location has, the same number at each of so many levels."""
    numbers = set(anchors.num_anchors_per_location())
    if len(anchors.sizes) != levels or len(numbers) != 1:
        raise ValueError(
            f"anchors must have sizes for each of the {levels} levels, as many at all of them, "
            f"got {anchors.sizes} with {anchors.aspect_ratios}"
        )
    return numbers.pop()


def initialise(module: nn.Module) -> None:
    """Weights as torchvision begins with them: uniform, as wide as keeps a signal's size."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_uniform_(part.weight, a=1)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
