"""For the tests of the engine: a detector of 2,000 parameters, and pictures that it learns quickly.

A picture shows one to three squares, each in the colour of its class, on a dark ground. The
detector tells for each cell of 4 x 4 pixels whether a square's centre is in it, and how large it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from course_lib._distributed import mean_over_processes
from course_lib.models.detector import Detections, Detector, Images, Target
from course_lib.suppression import batched_nms

SIDE = 32
COLORS = ((255, 40, 40), (40, 255, 40))


class Squares:
    """Pictures of SIDE x SIDE pixels, each fixed by (seed, index)."""

    classes = ("red", "green")

    def __init__(self, size: int = 64, seed: int = 0, side: int = SIDE, most: int = 3) -> None:
        self.size, self.seed, self.side, self.most = size, seed, side, most
        self.epochs: list[int] = []

    def __len__(self) -> int:
        return self.size

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        dice = np.random.default_rng((self.seed, index))
        image = dice.integers(0, 60, (3, self.side, self.side)).astype(np.uint8)
        boxes, labels = [], []
        for _ in range(dice.integers(1, self.most + 1)):
            length = int(dice.integers(6, 11))
            x, y = dice.integers(0, self.side - length, 2).tolist()
            box = [x, y, x + length, y + length]
            if any(x < b[2] and b[0] < box[2] and y < b[3] and b[1] < box[3] for b in boxes):
                continue
            label = int(dice.integers(0, 2))
            image[:, y : y + length, x : x + length] = np.array(COLORS[label])[:, None, None]
            boxes.append(box)
            labels.append(label)
        target = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "image_id": index,
        }
        return torch.from_numpy(image), target


class Tiny(Detector):
    """norm: "batch" or none. dropout: so that chance inside the network has a say."""

    recommended = {"lr": 0.02, "batch_size": 8}

    def __init__(self, num_classes: int = 2, *, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__(num_classes, stride=4)
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 12, 2), (12, 16, 2), (16, 16, 1)):
            layers.append(nn.Conv2d(before, after, 3, stride, 1))
            layers += [nn.BatchNorm2d(after)] if norm else []
            layers += [nn.ReLU(), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers, nn.Conv2d(16, num_classes + 4, 1))
        nn.init.constant_(self.net[-1].bias[:num_classes], -3.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).movedim(1, -1)  # [B, h, w, K + 4]

    def loss(self, images: Images, targets: Sequence[Target]) -> dict[str, Tensor]:
        batch, _ = self.prepare(images)
        cells = self(batch).float()
        wanted = torch.zeros_like(cells)
        for rows, target in zip(wanted, targets, strict=True):
            boxes = target["boxes"]
            y, x = ((boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 8).long().unbind(1)
            rows[y, x, target["labels"]] = 1
            rows[y, x, self.num_classes :] = boxes / 4 - torch.stack((x, y, x, y), 1)
        there = wanted[..., : self.num_classes]
        mine = there.amax(-1) > 0
        count = mean_over_processes(mine.sum())
        bce = binary_cross_entropy_with_logits(
            cells[..., : self.num_classes], there, reduction="sum"
        )
        away = smooth_l1_loss(
            cells[mine][:, self.num_classes :],
            wanted[mine][:, self.num_classes :],
            reduction="sum",
        )
        return {"classes": bce / count, "boxes": away / count}

    @torch.no_grad()
    def detect(self, images: Images) -> list[Detections]:
        batch, sizes = self.prepare(images)
        found = []
        for cells, (height, width) in zip(self(batch), sizes, strict=True):
            scores, labels = cells[..., : self.num_classes].sigmoid().max(-1)
            y, x = (scores > 0.1).nonzero().unbind(1)
            boxes = (cells[y, x, self.num_classes :] + torch.stack((x, y, x, y), 1)) * 4
            boxes[:, 0::2].clamp_(0, width)
            boxes[:, 1::2].clamp_(0, height)
            scores, labels = scores[y, x], labels[y, x]
            keep = batched_nms(boxes, scores, labels, 0.3)
            found.append({"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]})
        return found


def tiny(seed: int = 0, **options: Any) -> Tiny:
    """A detector whose first weights follow from the seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Tiny(**options)
