"""`python -m benchmarks.models`: the full-size detectors beside torchvision's, in one run.

    python -m benchmarks.models                          # all five, on the CPU; ten minutes
    python -m benchmarks.models retinanet_resnet50_fpn
    python -m benchmarks.models --device cuda --save     # and keep it in benchmarks/results/

Both have the same random weights and get the same square image. A step of training is the loss, its
gradient and SGD with momentum, whose learning rate is 0 so that no side runs away; detection is
all from the image to the boxes. RetinaNet is measured at several sizes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.ops import arguments, run, unknown

SIDE = 640
SIDES = {"retinanet_resnet50_fpn": (320, 480, 640), "ssd300_vgg16": (300,)}
SECONDS = 16.0  # for each row


def comparisons(name: str, side: int, device: str) -> list[Any]:
    """The rows of one detector at one size."""
    from benchmarks.equivalence import images_and_targets, twins
    from benchmarks.measure import Comparison

    ours, theirs = (each.to(device) for each in twins(name, side))
    _as_after_training(theirs)
    ours.load_state_dict(theirs.state_dict())
    (image,), (target,) = images_and_targets(1, 5, masks=name.startswith("mask"), square=side)
    image = image.to(device)
    target = {key: value.to(device) for key, value in target.items()}
    n = side if len(sides(name)) > 1 else 0
    size = f"{side} × {side}"
    detect = [partial(_detect, ours.detect, image), partial(_detect, theirs, image)]
    step = [_step(ours, ours.loss, image, target), _step(theirs, theirs, image, target)]
    # Two stages draw their proposals, and a last digit of one changes all that is drawn after.
    atol = 0.5 if "rcnn" in name else 1e-3
    return [
        Comparison(f"{name} train step", size, step[1], step[0], atol=atol, n=n),
        Comparison(f"{name} detect", size, detect[1], detect[0], atol=1e-3, n=n),
    ]


def _as_after_training(theirs: Any) -> None:
    """Most places are background, and some thousand candidates reach the threshold."""
    import torch

    with torch.no_grad():
        for part, module in theirs.named_modules():
            bias = getattr(module, "bias", None)
            if part.endswith("cls_logits") and bias is not None:
                bias -= 9
            elif part.endswith("cls_score"):
                bias[0] += 6
            elif "classification_head.module_list" in part and bias is not None:
                bias[0::91] += 6


def _detect(detect: Callable[..., Any], image: Any) -> Any:
    """The best scores: how many there are may differ by one in float32, and torchvision keeps boxes
    that lie wholly outside of the image.
    """
    import torch

    with torch.no_grad():
        found = detect([image])[0]
    solid = (found["boxes"][:, 2:] > found["boxes"][:, :2]).all(1)
    return found["scores"][solid][:20]


def _step(model: Any, loss: Callable[..., Any], image: Any, target: Any) -> Callable[[], Any]:
    import torch

    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=0.0, momentum=0.9)

    def step() -> Any:
        torch.manual_seed(7)
        model.train()
        optimizer.zero_grad()
        total = sum(loss([image], [target]).values())
        total.backward()
        optimizer.step()
        model.eval()
        return total.detach()

    return step


def main() -> int:
    given = arguments("benchmarks.models", __doc__, "detectors, such as ssd300_vgg16")
    from course_lib.models import FULL_SIZE

    if unknown(given, FULL_SIZE):
        return 2
    sizes = [(name, side) for name in given.only or FULL_SIZE for side in sides(name)]
    rows = (row for name, side in sizes for row in comparisons(name, side, given.device))
    return run("models", given, rows, seconds=SECONDS, fewest=5)


def sides(name: str) -> tuple[int, ...]:
    return SIDES.get(name, (SIDE,))


if __name__ == "__main__":
    sys.exit(main())
