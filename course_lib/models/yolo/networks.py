"""The two networks: a small one to watch while it learns, and the one of the paper."""

from __future__ import annotations

from torch import nn

LEAK = 0.1  # slope of the leaky ReLU below 0
POOL = (0, 0, 0)

# (kernel, channels, stride) of each convolution of figure 3, in order. Its first box says 192 for
# what the second layer makes; the first makes 64. The last two were added for detection, without
# ImageNet weights, as were the two before.
PAPER = (
    *((7, 64, 2), POOL),
    *((3, 192, 1), POOL),
    *((1, 128, 1), (3, 256, 1), (1, 256, 1), (3, 512, 1), POOL),
    *(4 * ((1, 256, 1), (3, 512, 1))),
    *((1, 512, 1), (3, 1024, 1), POOL),
    *(2 * ((1, 512, 1), (3, 1024, 1))),
    *((3, 1024, 1), (3, 1024, 2)),
    *((3, 1024, 1), (3, 1024, 1)),
)


def paper_network(channels: int, S: int = 7) -> nn.Sequential:
    """24 convolutions, two linear layers: [B, 3, 64 S, 64 S] to [B, channels, S, S].

    Source: Redmon et al., You Only Look Once, CVPR 2016, figure 3, with dropout 0.5 after the first
        linear layer (section 2.2). No BatchNorm: that came with the next version.
    """
    layers: list[nn.Module] = []
    before = 3
    for kernel, after, stride in PAPER:
        if not kernel:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(before, after, kernel, stride, kernel // 2), nn.LeakyReLU(LEAK)]
        before = after
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(before * S * S, 4096),
        nn.LeakyReLU(LEAK),
        nn.Dropout(0.5),
        nn.Linear(4096, channels * S * S),
        nn.Unflatten(1, (channels, S, S)),
    )


def small_network(channels: int, width: int = 16) -> nn.Sequential:
    """Four times a stride of 2, then three convolutions that see far: [B, 3, 16 S, 16 S] to
    [B, channels, S, S].

    width: channels of the first layer; they double with each stride.
    """
    w = width
    return nn.Sequential(
        _block(3, w, 2),
        _block(w, 2 * w, 2),
        _block(2 * w, 2 * w),
        _block(2 * w, 4 * w, 2),
        _block(4 * w, 4 * w),
        _block(4 * w, 8 * w, 2),
        _block(8 * w, 8 * w),
        _block(8 * w, 8 * w),
        _block(8 * w, 8 * w),
        nn.Conv2d(8 * w, channels, 1),
    )


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, BatchNorm, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(LEAK, inplace=True),
    )
