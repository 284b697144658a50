"""What of course_lib.pooling is compared with torchvision.ops, forward and with its gradient.

`python -m benchmarks.pooling` measures memory: the most that each side holds at one time.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
import torchvision.ops as theirs
from torch import Tensor
from torch.profiler import profile

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


def calls() -> list[Call]:
    generator = torch.Generator().manual_seed(11)
    H, W = IMAGE_SIZE
    maps = [torch.randn(1, CHANNELS, H // s, W // s, generator=generator) for s in STRIDES]
    maps = [each.requires_grad_() for each in maps]
    levels = {str(number): each for number, each in enumerate(maps)}
    some, many = [random_rois(512, generator)], [random_rois(1000, generator)]
    middle, scale = maps[2], 1 / STRIDES[2]

    def align(sampling_ratio: int, aligned: bool) -> Callable[[ModuleType], Tensor]:
        return lambda library: library.roi_align(middle, some, BINS, scale, sampling_ratio, aligned)

    def pyramid(library: ModuleType) -> Tensor:
        pooler = library.MultiScaleRoIAlign(list(levels), BINS, SAMPLES)
        return pooler(levels, many, [IMAGE_SIZE])

    size = f"512 on {CHANNELS} × {middle.shape[2]} × {middle.shape[3]}"
    return [
        Call("roi_align 2 × 2 points", size, align(SAMPLES, True), [middle]),
        Call("roi_align points by size", size, align(-1, False), [middle]),
        Call("MultiScaleRoIAlign", f"1,000 on 4 levels of {H} × {W}", pyramid, maps),
        Call(
            "roi_pool", size, lambda library: library.roi_pool(middle, some, BINS, scale), [middle]
        ),
    ]


def comparisons() -> list[Comparison]:
    rows = []
    for call in calls():
        # torchvision places its points in float32: 1e-4 cells off at 1,000 pixels.
        forward = [lambda c=call, lib=lib: without_gradient(c, lib) for lib in (theirs, ours)]
        rows.append(Comparison(call.op, call.size, forward[0], forward[1], atol=2e-3))
        both = [lambda c=call, lib=lib: gradients(c, lib) for lib in (theirs, ours)]
        rows.append(Comparison(f"{call.op} with gradient", call.size, both[0], both[1], atol=2e-3))
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


def peak(call: Call, library: ModuleType) -> float:
    """The most MiB that PyTorch holds at one time in forward and backward, the maps left out."""
    for _ in range(2):  # the first run also makes what is made once
        for each in call.maps:
            each.grad = None
        with profile(profile_memory=True) as record:
            gradients(call, library)
    steps = sorted(
        (event.start_ns(), event.nbytes())
        for event in record.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    sizes = torch.tensor([size for _, size in steps])
    return sizes.cumsum(0).max().item() / 2**20


def main() -> int:
    torch.set_num_threads(2)
    print("| op, with gradient | size | torchvision MiB | ours MiB | ratio |")
    print("| --- | --- | ---: | ---: | ---: |")
    for call in calls():
        sides = [peak(call, library) for library in (theirs, ours)]
        ratio = sides[1] / sides[0]
        print(f"| {call.op} | {call.size} | {sides[0]:.1f} | {sides[1]:.1f} | {ratio:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
