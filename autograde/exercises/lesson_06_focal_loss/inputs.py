"""Inputs of lesson 06: logits with their targets, each with one thing to probe.

Logits are odd sixteenths, so that none is 0 and none is another's opposite by accident.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autograde.spec import Draw

Logits = tuple[Tensor, Tensor]  # inputs, targets of the same shape


def logits(d: Draw, *shape: int, low: int = -24, high: int = 23) -> Tensor:
    """Odd sixteenths, from -3 to 3 by default."""
    return (2 * d.numbers(*shape, low=low, high=high) + 1) / 16


def both_kinds(d: Draw) -> Logits:
    """Easy, middling and hard ones of both kinds: p_t from 0.02 to 0.98."""
    right = torch.tensor([3.5, 1.0, -0.5, -2.5]).repeat(2) + logits(d, 8, low=-4, high=3)
    targets = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    order = d.numbers(8, high=1_000_000).argsort(stable=True)
    return (right * (2 * targets - 1))[order], targets[order]


def rare_positives(d: Draw) -> Logits:
    """Two positives among 13, as a detector sees them, most of the others easy."""
    inputs = logits(d, 13) - 2.5
    targets = torch.zeros(13)
    inputs[d.integer(0, 5)], inputs[d.integer(6, 12)] = 0.6875, -1.8125
    targets[(inputs == 0.6875) | (inputs == -1.8125)] = 1
    return inputs, targets


def grid(d: Draw) -> Logits:
    """3 images with 5 anchors each; every image has a positive."""
    targets = (d.numbers(3, 5, high=2) == 0).float()
    targets[:, d.integer(0, 4)] = 1
    targets[:, 0] = torch.tensor([0.0, 1.0, 0.0])
    return logits(d, 3, 5), targets


def wrong(d: Draw) -> Logits:
    """Sure of the opposite: p rounds to 1 for the negatives, but e^x is still a number."""
    far = torch.tensor([d.integer(20, 80), d.integer(20, 80), d.integer(20, 80)]).float()
    return far * torch.tensor([1.0, -1.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])


def very_wrong(d: Draw) -> Logits:
    """Sure of the opposite: logits beyond ±100. The loss is as large as the logit."""
    far = torch.tensor([d.integer(110, 250), d.integer(110, 250)]).float()
    return torch.stack([-far[0], far[1], far[0] / 256]), torch.tensor([1.0, 0.0, 1.0])


def very_right(d: Draw) -> Logits:
    """Sure and right: logits beyond ±100. The loss is 0."""
    far = torch.tensor([d.integer(110, 250), d.integer(110, 250)]).float()
    return torch.stack([far[0], -far[1], far[1] / 128]), torch.tensor([1.0, 0.0, 1.0])


def none(d: Draw) -> Logits:
    return torch.zeros(0), torch.zeros(0)


def in_double(d: Draw) -> Logits:
    inputs, targets = both_kinds(d)
    return inputs.double() / 3, targets.double()


# ------------------------------------------------------------------ rows of K logits, a class each


def rows(d: Draw, N: int = 6, K: int = 4) -> tuple[Tensor, Tensor]:
    """Each row's target has a clear lead, a small one, none, or lies far behind, in turn.

    No row is its own class's: the wrong class is the best one in every second row.
    """
    inputs = logits(d, N, K, low=-12, high=11)
    targets = (d.numbers(N, high=1_000_000).argsort(stable=True) + d.integer(0, 3)) % K
    lead = torch.tensor([2.5, -1.5, 0.5, -3.0, 1.5, -0.5]).repeat(N // 6 + 1)[:N]
    place = torch.arange(N)
    others = inputs.scatter(1, targets[:, None], -100.0).amax(1)
    inputs[place, targets] = others + lead + 1 / 32
    return inputs, targets


def class_weights(d: Draw, K: int = 4) -> Tensor:
    """K different weights from 0.1 to 0.9."""
    return (d.numbers(9, high=1_000_000).argsort(stable=True)[:K] + 1).float() / 10


def sure_rows(d: Draw) -> tuple[Tensor, Tensor]:
    """One logit towers above the others: for the first row the wrong one, for the second right."""
    far = float(d.integer(110, 250))
    inputs = torch.tensor([[far, 0.0, -0.5], [1.0, far, 0.25], [0.5, 1.0, -0.75]])
    return inputs, torch.tensor([2, 1, d.integer(0, 2)])


def high_rows(d: Draw) -> tuple[Tensor, Tensor]:
    """All logits are large: only their differences count."""
    inputs, targets = rows(d, 6, 3)
    return inputs + 128 * d.integer(4, 7), targets


# ------------------------------------------------------------------ anchors with losses and labels

Anchors = tuple[Tensor, Tensor]  # losses [B, N], labels [B, N]: a class, 0 or -1


def anchors(d: Draw, *images: tuple[int, int, int]) -> Anchors:
    """For each image (positives, negatives, ignored), shuffled; all losses differ.

    Positives have losses from the whole range, so that some are easier than every negative taken.
    """
    losses, labels = [], []
    for positives, negatives, ignored in images:
        kinds = torch.tensor([1] * positives + [0] * negatives + [-1] * ignored)
        N = len(kinds)
        losses.append((d.numbers(N, high=1_000_000).argsort(stable=True) + 1).float() / 8)
        labels.append(kinds[d.numbers(N, high=1_000_000).argsort(stable=True)])
    return torch.stack(losses), torch.stack(labels)


def with_classes(d: Draw) -> Anchors:
    """4 positives with labels from 1 to 4, 13 negatives and 2 to be left out."""
    losses, labels = anchors(d, (4, 13, 2))
    positive = labels > 0
    labels[positive] = torch.tensor([3, 1, 4, 2])
    return losses, labels


def easy_positives(d: Draw) -> Anchors:
    """2 positives with the smallest losses, 12 negatives with larger ones, the last the hardest."""
    losses = (torch.arange(14) + 1).float()[None] / 8 + d.integer(0, 7) / 64
    labels = torch.tensor([[1, 1] + [0] * 12])
    return losses, labels
