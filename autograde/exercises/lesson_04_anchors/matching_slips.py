"""What wrong answers of match_anchors are made of: one step of it replaced, or another rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NEGATIVE, IGNORED = -1, -2
Rule = Callable[[Tensor, float], Tensor]


def lifted(iou: Tensor, zeros: bool = False) -> Tensor:
    """Which anchors the low-quality rule makes positive, [N]."""
    best = iou.amax(dim=1, keepdim=True)
    return ((iou == best) & ((best > 0) | zeros)).any(dim=0)


def match(
    iou: Tensor,
    high: float,
    low: float,
    allow: bool,
    reaches_high: Rule = torch.ge,
    reaches_low: Rule = torch.ge,
    negative: int = NEGATIVE,
    ignored: int = IGNORED,
    lifts: Callable[[Tensor], Tensor] = lifted,
    first_number: int = 0,
) -> Tensor:
    """The exercise with one step replaced."""
    if len(iou) == 0:
        return torch.full((iou.shape[1],), NEGATIVE)
    quality, truth = iou.max(dim=0)
    positive = reaches_high(quality, high)
    if allow:
        positive = positive | lifts(iou)
    other = torch.where(reaches_low(quality, low), ignored, negative)
    return torch.where(positive, truth + first_number, other)


def matching(**slips: Any) -> Callable[..., Tensor]:
    return lambda *inputs: match(*inputs, **slips)


def first_of_ties(iou: Tensor) -> Tensor:
    mask = torch.zeros(iou.shape[1], dtype=torch.bool)
    mask[iou.argmax(dim=1)[iou.amax(dim=1) > 0]] = True
    return mask


def forced(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """The truth takes the anchor, whatever that anchor overlaps more."""
    matches = match(iou, high, low, False)
    if allow:
        for t, row in enumerate(iou):
            if row.max() > 0:
                matches[row == row.max()] = t
    return matches


def one_by_force(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """`matches[iou.argmax(dim=1)] = torch.arange(len(iou))`."""
    matches = match(iou, high, low, False)
    if allow:
        for t, row in enumerate(iou):
            matches[row.argmax()] = t
    return matches


def all_by_force(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    matches = match(iou, high, low, False)
    if allow:
        for t, row in enumerate(iou):
            matches[row == row.max()] = t
    return matches


def first_or_any(iou: Tensor) -> Tensor:
    mask = torch.zeros(iou.shape[1], dtype=torch.bool)
    mask[iou.argmax(dim=1)] = True
    return mask


def swapped_throughout(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    matches = match(iou, high, low, allow)
    return torch.where(matches < 0, NEGATIVE + IGNORED - matches, matches)


def rest_by_force(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """Lifts what is not positive yet, and writes the number of the truth that lifts it."""
    matches = match(iou, high, low, False)
    if allow:
        for t, row in enumerate(iou):
            if row.max() > 0:
                matches[(row == row.max()) & (matches < 0)] = t
    return matches


def ignored_stay(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    before = match(iou, high, low, False)
    return torch.where(before == NEGATIVE, match(iou, high, low, allow), before)


def own_truth_only(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """An anchor is lifted only where its own best truth has no better anchor."""

    def lifts(iou: Tensor) -> Tensor:
        quality, truth = iou.max(dim=0)
        return (quality > 0) & (quality == iou.amax(dim=1)[truth])

    return match(iou, high, low, allow, lifts=lifts)


def best_of_its_own(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """Each truth lifts the best of the anchors whose first choice it is."""

    def lifts(iou: Tensor) -> Tensor:
        first_choice = torch.arange(len(iou))[:, None] == iou.argmax(dim=0)
        return lifted(iou * first_choice)

    return match(iou, high, low, allow, lifts=lifts)


def only_the_forgotten(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """A loop that lifts for a truth only while no anchor answers for it."""
    matches = match(iou, high, low, False)
    if allow and len(iou):
        truth = iou.argmax(dim=0)
        for t, row in enumerate(iou):
            if row.max() > 0 and not (matches == t).any():
                matches = torch.where(row == row.max(), truth, matches)
    return matches


def strict_low_overwrites(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """`matches[quality <= low] = -1`, written after the positives."""
    matches = match(iou, high, low, False)
    if len(iou):
        matches = torch.where(iou.amax(dim=0) <= low, NEGATIVE, matches)
        if allow:
            matches = torch.where(lifted(iou), iou.argmax(dim=0), matches)
    return matches


def always_number_one(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    matches = match(iou, high, low, allow)
    return torch.where(matches >= 0, 1, matches)


def without_truths(answer: Callable[[int], Tensor]) -> Callable[..., Tensor]:
    """Right as long as there are truths; without any, `answer` of the number of anchors."""

    def wrong(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
        return match(iou, high, low, allow) if len(iou) else answer(iou.shape[1])

    return wrong


def near_ties(iou: Tensor) -> Tensor:
    best = iou.amax(dim=1, keepdim=True)
    return ((iou >= best - 0.05) & (best > 0)).any(dim=0)


def wrong_axis(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    return match(iou, high, low, allow) if len(iou) == 0 else match(iou.T, high, low, allow)


def last_wins(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """A loop over the truths in which a later one overwrites an earlier one."""
    matches = match(iou, high, low, False)
    for t, row in enumerate(iou):
        matches[row >= high] = t
    return torch.where(lifted(iou), match(iou, high, low, allow), matches) if allow else matches


def first_wins(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    matches = match(iou, high, low, False)
    for t in reversed(range(len(iou))):
        matches[iou[t] >= high] = t
    return torch.where(lifted(iou), match(iou, high, low, allow), matches) if allow else matches


def one_each(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """Each truth gets its best anchor, and nobody else anything."""
    best = match(iou, high, low, allow)
    if len(iou) == 0:
        return best
    quality = iou.amax(dim=0)
    other = torch.where(quality >= low, IGNORED, NEGATIVE)
    return torch.where(lifted(iou) & (best >= 0), best, other)


def labels(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    matches = match(iou, high, low, allow)
    return (matches >= 0).long() - (matches == IGNORED).long()


def always_best(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    return iou.argmax(dim=0) if len(iou) else match(iou, high, low, allow)


def only_from_low(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    """A truth whose best anchor lies below the low threshold stays without."""
    return match(iou, high, low, allow, lifts=lambda iou: lifted(iou) & (iou.amax(0) >= low))


def none_breaks(iou: Tensor, high: float, low: float, allow: bool) -> Tensor:
    iou.max(dim=0)  # an error where there are no truths
    return match(iou, high, low, allow)
