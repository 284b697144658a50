"""What of course_lib.pooling is compared with torchvision.ops, forward and with its gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
import torchvision.ops as theirs
from torch import Tensor

from benchmarks.measure import Comparison
from course_lib import pooling as ours

CHANNELS, BINS, SAMPLES = 256, 7, 2
IMAGE_SIZE = (800, 1088)  # H, W
STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Call:
    """One row: the pooling as a function of a library, and the maps that it pools from."""

    op: str
    size: str
    pool: Callable[[ModuleType], Tensor]
    maps: list[Tensor]
    n: int = 0


def calls(device: str) -> list[Call]:
    generator = torch.Generator().manual_seed(11)
    H, W = IMAGE_SIZE
    maps = [torch.randn(1, CHANNELS, H // s, W // s, generator=generator) for s in STRIDES]
    maps = [each.to(device).requires_grad_() for each in maps]
    levels = {str(number): each for number, each in enumerate(maps)}
    some, many = ([random_rois(R, generator).to(device)] for R in (512, 1000))
    middle, scale = maps[2], 1 / STRIDES[2]

    def align(
        sampling_ratio: int, aligned: bool, rois: list[Tensor]
    ) -> Callable[[ModuleType], Tensor]:
        return lambda library: library.roi_align(middle, rois, BINS, scale, sampling_ratio, aligned)

    def pyramid(library: ModuleType) -> Tensor:
        pooler = library.MultiScaleRoIAlign(list(levels), BINS, SAMPLES)
        return pooler(levels, many, [IMAGE_SIZE])

    size = f"512 on {CHANNELS} × {middle.shape[2]} × {middle.shape[3]}"
    series = []
    for R in (10, 100, 500, 2000):
        rois = [random_rois(R, generator).to(device)]
        call = align(SAMPLES, False, rois)
        series.append(Call("roi_align", f"{R:,}", call, [middle], R))
    return [
        *series,
        Call("roi_align 2 × 2 points", size, align(SAMPLES, True, some), [middle]),
        Call("roi_align points by size", size, align(-1, False, some), [middle]),
        Call("MultiScaleRoIAlign", f"1,000 on 4 levels of {H} × {W}", pyramid, maps),
        Call(
            "roi_pool", size, lambda library: library.roi_pool(middle, some, BINS, scale), [middle]
        ),
    ]


def comparisons(device: str) -> list[Comparison]:
    rows = []
    for call in calls(device):
        # torchvision places its points in float32: 1e-4 cells off at 1,000 pixels.
        forward = [lambda c=call, lib=lib: without_gradient(c, lib) for lib in (theirs, ours)]
        rows.append(Comparison(call.op, call.size, *forward, atol=2e-3, n=call.n))
        both = [lambda c=call, lib=lib: gradients(c, lib) for lib in (theirs, ours)]
        name = f"{call.op} with gradient"
        rows.append(Comparison(name, call.size, *both, atol=2e-3, n=call.n))
    return rows


def without_gradient(call: Call, library: ModuleType) -> Tensor:
    with torch.no_grad():
        return call.pool(library)


def gradients(call: Call, library: ModuleType) -> Tensor:
    """Forward and backward, to maps that keep their gradient; that of the coarsest map."""
    for each in call.maps:
        each.grad = None
    pooled = call.pool(library)
    pooled.backward(pooled.detach())
    grad = call.maps[-1].grad
    assert grad is not None
    return grad


def random_rois(R: int, generator: torch.Generator) -> Tensor:
    """xyxy in an image of IMAGE_SIZE, sides of 16 to 450 pixels, as many small as large ones."""
    H, W = IMAGE_SIZE
    centre = torch.rand(R, 2, generator=generator) * torch.tensor([W, H])
    side = 16 * 28 ** torch.rand(R, 2, generator=generator)
    return torch.cat((centre - side / 2, centre + side / 2), 1)
