"""Backbones: from an image to feature maps C2, C3, C4, C5, each half as fine as the one before.

Letters
    B       images
    H, W    rows and columns of pixels
    C2…C5   the maps; level l has stride 2^l: one location for 2^l x 2^l pixels

A ResNet is a stem and four layers; layer k ends in the map C(k + 1). Names of the parameters are
torchvision's, so that weights for ImageNet and the backbones of detectors load as they are. What is
left out is the classifier at the end (`fc`): a detector wants to know where, and the mean over all
places is where that gets lost.

`tiny` is a ResNet as well, with one block a layer and few channels: it learns in a minute on a CPU.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from course_lib.models.norms import Norm, norm_layer


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, and the input added to what they say.

    Source: He et al., Deep Residual Learning, CVPR 2016, figure 5 on the left.
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        make = norm_layer(norm)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = make(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = make(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, width, stride, norm)

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1 x 1 to few channels, 3 x 3 among the few, 1 x 1 to four times as many; the input added.

    Source: He et al., figure 5 on the right. The stride is in the 3 x 3, as in torchvision; the
        paper has it in the first 1 x 1, which skips three quarters of its input.
    """

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        make = norm_layer(norm)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = make(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = make(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = make(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, 4 * width, stride, norm)

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += self.downsample(x)
        return self.relu(out)


def shortcut(channels: int, wanted: int, stride: int, norm: Norm) -> nn.Module:
    """What brings a block's input to the shape of its output: nothing, or a 1 x 1 convolution."""
    if stride == 1 and channels == wanted:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels, wanted, 1, stride, bias=False), norm_layer(norm)(wanted)
    )


class ResNet(nn.Module):
    """A residual network without its classifier: image to [C2, C3, C4, C5].

    Shapes: [B, 3, H, W] to four maps [B, channels[k], H / 2^(k + 2), W / 2^(k + 2)], rounded up.
    depths: blocks of each of the four layers.
    width: channels of the stem, doubled from layer to layer; 64 in the paper.
    norm: of every convolution, see `course_lib.models.norms`.
    channels: of the four maps.
    Loading: weights of a classifier `fc` are passed over; all other names must be there.
    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
        torchvision.models.resnet.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        *,
        norm: Norm = "batch",
        width: int = 64,
    ) -> None:
        super().__init__()
        if len(depths) != 4 or min(depths) < 1:
            raise ValueError(f"depths must be four numbers above 0, one a layer, got {depths}")
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(norm)(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.channels = [width * 2**k * block.expansion for k in range(4)]
        before = width
        for k, depth in enumerate(depths):
            blocks = []
            for n in range(depth):
                stride = 2 if k > 0 and n == 0 else 1
                blocks.append(block(before, width * 2**k, stride, norm))
                before = self.channels[k]
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # stride 4
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps

    def freeze(self, trainable_layers: int) -> None:
        """Let only the last `trainable_layers` of the five parts learn: 0 for none, 5 for all.

        The parts are layer4, layer3, layer2, layer1 and the stem. The first ones see edges and
        colours, which are the same in every data set; 3 is the habit with ImageNet's weights.
        Source: trainable_backbone_layers of torchvision's detectors.
        """
        if not 0 <= trainable_layers <= 5:
            raise ValueError(f"trainable_layers must lie in 0..5, got {trainable_layers}")
        parts = ("layer4", "layer3", "layer2", "layer1", "conv1", "bn1")
        learning = parts if trainable_layers == 5 else parts[:trainable_layers]
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.split(".")[0] in learning)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in ("fc.weight", "fc.bias"):
            state_dict.pop(prefix + name, None)
        super()._load_from_state_dict(state_dict, prefix, *args)


def resnet18(norm: Norm = "batch") -> ResNet:
    """11,176,512 parameters; maps of 64, 128, 256 and 512 channels."""
    return ResNet(BasicBlock, (2, 2, 2, 2), norm=norm)


def resnet34(norm: Norm = "batch") -> ResNet:
    """21,284,672 parameters; maps of 64, 128, 256 and 512 channels."""
    return ResNet(BasicBlock, (3, 4, 6, 3), norm=norm)


def resnet50(norm: Norm = "batch") -> ResNet:
    """23,508,032 parameters; maps of 256, 512, 1,024 and 2,048 channels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), norm=norm)


def resnet101(norm: Norm = "batch") -> ResNet:
    """42,500,160 parameters; maps of 256, 512, 1,024 and 2,048 channels."""
    return ResNet(Bottleneck, (3, 4, 23, 3), norm=norm)


def tiny(norm: Norm = "batch", width: int = 16) -> ResNet:
    """One basic block a layer and a quarter of the channels: learns in a minute on a CPU."""
    return ResNet(BasicBlock, (1, 1, 1, 1), norm=norm, width=width)


BACKBONES = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "tiny": tiny,
}


def create_backbone(name: str, norm: Norm = "batch") -> ResNet:
    """The backbone of that name. Errors: KeyError for an unknown one, with those there are."""
    if name not in BACKBONES:
        raise KeyError(f"there is no backbone {name!r}; there are: {', '.join(BACKBONES)}")
    return BACKBONES[name](norm)
