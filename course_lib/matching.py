"""Matching: which anchor answers for which truth, and which of them a training step looks at.

Letters
    M    truths: the annotated boxes of one image
    N    anchors or proposals

Matching goes from IoU [M, N] to one number an anchor: the truth that it answers for, or a reason
why it answers for none. Below the low threshold it is a negative and learns "nothing here". Between
the two thresholds it is too good for a negative and too bad for a positive, and learns nothing.

Sampling then takes a small and balanced part of the anchors: of the 100,000 of an image, a dozen
are positive, and a loss over all would hear the negatives only. (The focal loss is another answer.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor

from course_lib._checks import check_tensor

BELOW_LOW_THRESHOLD = -1
BETWEEN_THRESHOLDS = -2


def match_anchors(
    match_quality_matrix: Float[Tensor, "M N"],
    high_threshold: int | float,
    low_threshold: int | float,
    allow_low_quality_matches: bool = False,
) -> Int64[Tensor, " N"]:
    """For each anchor the index of its best truth, or -1 below `low`, -2 between the thresholds.

    Shapes: IoU [M, N], a row for each truth, to int64 [N]: 0..M-1 where an anchor's highest IoU is
        at least `high_threshold`; -2 (BETWEEN_THRESHOLDS) where it is at least `low_threshold`; -1
        (BELOW_LOW_THRESHOLD) for the rest. Of truths with the same IoU the first one counts.
    allow_low_quality_matches: no truth shall go without: the anchor that overlaps a truth most is
        matched however little that is, and all anchors that overlap it exactly as much. Matched to
        its own best truth, though, which may be another one: then the first truth stays without.
    No truths: every anchor is -1. torchvision raises an error here, for no anchors too.
    No overlap: a truth that no anchor overlaps (its best IoU is 0) brings no low-quality match. In
        torchvision it ties with every anchor beside it: one empty box among the truths, and all
        background anchors turn positive.
    NaN: no match.
    Errors: ValueError if low_threshold is above high_threshold, or for another shape.
    Source: Ren et al., Faster R-CNN, NeurIPS 2015, section 3.1.2.
        torchvision.models.detection._utils.Matcher.
    """
    _check_thresholds(high_threshold, low_threshold)
    check_tensor(match_quality_matrix, "match_quality_matrix")
    if match_quality_matrix.ndim != 2:
        raise ValueError(
            "match_quality_matrix must have shape [M, N], a row for each truth, got "
            f"{list(match_quality_matrix.shape)}; try box_iou(truths, anchors)"
        )
    M, N = match_quality_matrix.shape
    if M == 0 or N == 0:
        device = match_quality_matrix.device
        return torch.full((N,), BELOW_LOW_THRESHOLD, dtype=torch.int64, device=device)
    quality, truth = match_quality_matrix.max(dim=0)  # [N] each
    matched = quality >= high_threshold  # [N]
    if allow_low_quality_matches:
        best = match_quality_matrix.amax(dim=1, keepdim=True)  # [M, 1]
        is_best = (match_quality_matrix == best) & (best > 0)  # [M, N]
        matched = matched | is_best.any(dim=0)
    unmatched = torch.where(quality >= low_threshold, BETWEEN_THRESHOLDS, BELOW_LOW_THRESHOLD)
    return torch.where(matched, truth, unmatched)


@dataclass(frozen=True)
class Matcher:
    """`match_anchors` with the thresholds kept, to be called with `box_iou(truths, anchors)`.

    Faster R-CNN's RPN uses 0.7, 0.3 and low-quality matches, its second stage 0.5, 0.5 without;
    RetinaNet 0.5, 0.4 with them.
    Source: torchvision.models.detection._utils.Matcher; see `match_anchors` for the differences.
    """

    high_threshold: int | float
    low_threshold: int | float
    allow_low_quality_matches: bool = False

    BELOW_LOW_THRESHOLD: ClassVar[int] = BELOW_LOW_THRESHOLD
    BETWEEN_THRESHOLDS: ClassVar[int] = BETWEEN_THRESHOLDS

    def __post_init__(self) -> None:
        _check_thresholds(self.high_threshold, self.low_threshold)

    def __call__(self, match_quality_matrix: Float[Tensor, "M N"]) -> Int64[Tensor, " N"]:
        """IoU [M, N] of M truths with N anchors, to int64 [N]."""
        return match_anchors(
            match_quality_matrix,
            self.high_threshold,
            self.low_threshold,
            self.allow_low_quality_matches,
        )


def objectness_labels(matches: Int64[Tensor, " N"]) -> Int64[Tensor, " N"]:
    """What `match_anchors` found, as the sampler wants it: 1 object, 0 background, -1 ignored.

    Shapes: [N] to [N]. Mind the two meanings of -1: a match of -1 is a negative, a label of -1 is
        left out.
    Source: assign_targets_to_anchors of torchvision's RegionProposalNetwork.
    """
    return (matches >= 0).long() - (matches == BETWEEN_THRESHOLDS).long()


def sample_balanced(
    matched_idxs: Num[Tensor, " N"],
    count: int,
    positive_fraction: int | float,
    generator: torch.Generator | None = None,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """A random choice of `count` anchors, of which at most a given share is positive.

    Shapes: labels [N] to two masks [N], the chosen positives and the chosen negatives.
    matched_idxs: labels, 1 or more for a positive (its class, say), 0 for a negative, below 0 for
        what is never chosen. Not what `match_anchors` answers: see `objectness_labels`.
    positive_fraction: int(count * positive_fraction) positives, or all where there are fewer;
        negatives take the places that are left. With too few of these as well, fewer are chosen.
    generator: makes the choice repeatable.
    Errors: ValueError for a count below 0 or a share outside of 0..1.
    Source: Ren et al., Faster R-CNN, NeurIPS 2015, section 3.1.3 (256 anchors, one half).
        torchvision.models.detection._utils.BalancedPositiveNegativeSampler.
    """
    check_tensor(matched_idxs, "matched_idxs")
    if matched_idxs.ndim != 1:
        shape = list(matched_idxs.shape)
        raise ValueError(f"matched_idxs must have shape [N], got {shape}; give one image at a time")
    _check_share(count, positive_fraction)
    positive, negative = matched_idxs >= 1, matched_idxs == 0  # [N] each
    chosen_positive = _choose(positive, int(count * positive_fraction), generator)
    room = count - int(chosen_positive.sum())
    return chosen_positive, _choose(negative, room, generator)


@dataclass(frozen=True)
class BalancedPositiveNegativeSampler:
    """`sample_balanced` for the labels of several images.

    Source: torchvision.models.detection._utils.BalancedPositiveNegativeSampler, whose masks are
        uint8 and which takes no generator.
    """

    batch_size_per_image: int
    positive_fraction: int | float

    def __post_init__(self) -> None:
        _check_share(self.batch_size_per_image, self.positive_fraction)

    def __call__(
        self, matched_idxs: Sequence[Tensor], generator: torch.Generator | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels [N] of each image, to masks [N] of each image: positives, and negatives."""
        chosen = [
            sample_balanced(labels, self.batch_size_per_image, self.positive_fraction, generator)
            for labels in matched_idxs
        ]
        return [positive for positive, _ in chosen], [negative for _, negative in chosen]


def _choose(mask: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """At most `count` of those that the mask [N] holds, as a mask [N]."""
    candidates = mask.nonzero().squeeze(1)  # [number held]
    device = generator.device if generator is not None else mask.device
    order = torch.randperm(len(candidates), generator=generator, device=device)[:count]
    chosen = torch.zeros_like(mask)
    chosen[candidates[order.to(mask.device)]] = True
    return chosen


def _check_thresholds(high_threshold: int | float, low_threshold: int | float) -> None:
    if low_threshold > high_threshold:
        raise ValueError(
            "low_threshold must not be above high_threshold, got "
            f"high_threshold={high_threshold} and low_threshold={low_threshold}"
        )


def _check_share(count: int, positive_fraction: int | float) -> None:
    if count < 0 or not 0 <= positive_fraction <= 1:
        raise ValueError(
            "the count must be 0 or more and positive_fraction in 0..1, got "
            f"{count} and {positive_fraction}"
        )
