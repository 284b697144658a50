"""`torch.compile` makes of a detector one that answers the same: `python compiled.py BACKEND NAME...`.

A program of its own, because in the tests' process every function of ours checks the shapes of what
it gets, and those checks cannot be compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.models import create_detector
from course_lib.models.resize import Resize
from course_lib.suppression import batched_nms, nms

TWO_STAGES = ("faster_rcnn", "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)]


def assert_same(call: Callable[[Any], Any], given: Any, away: float, **options: Any) -> None:
    """Compiled and not, twice: what is compiled for one call is there for the next."""
    torch.compiler.reset()
    with torch.no_grad():
        expected = tensors(call(given))
        compiled = torch.compile(call, **options)
        for _ in range(2):
            got = tensors(compiled(given))
            assert len(got) == len(expected)
            for mine, other in zip(got, expected, strict=True):
                torch.testing.assert_close(mine, other, rtol=away, atol=away)


def detector(name: str, backend: str) -> None:
    """Its heads in one stage are one graph; around proposals and detections a graph may break."""
    torch.manual_seed(0)
    model = create_detector(name, 4).eval()
    if model.resize is not None and name != "ssd300_vgg16":
        model.resize = Resize(96, 160)
    make = torch.Generator().manual_seed(1)
    images = [torch.rand(3, *size, generator=make) for size in ((100, 120), (90, 130))]
    away = 1e-4 if backend == "aot_eager" else 1e-3
    batch = model.prepare(images)[0]
    assert_same(model.forward, batch, away, backend=backend, fullgraph=name not in TWO_STAGES)
    # In float32 a last digit may settle which of two boxes comes first.
    model.double()
    assert_same(model.detect, [image.double() for image in images], away, backend=backend)


def suppression(backend: str) -> None:
    """NMS is one step of a graph, into which nothing looks."""
    make = torch.Generator().manual_seed(2)
    corner = torch.rand(60, 2, generator=make) * 50
    boxes = torch.cat((corner, corner + 10 + torch.rand(60, 2, generator=make) * 20), dim=1)
    scores, classes = torch.rand(60, generator=make), torch.arange(60) % 3

    def both(given: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        boxes, scores, classes = given
        return [nms(boxes, scores, 0.5), boxes[batched_nms(boxes, scores, classes, 0.5)]]

    assert_same(both, (boxes, scores, classes), 0, backend=backend, fullgraph=True)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        if name == "nms":
            suppression(sys.argv[1])
        else:
            detector(name, sys.argv[1])
        print(name, "answers the same", flush=True)
