"""Time two functions side by side, after a check that they agree."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Comparison:
    """One row of the table: the same call to the peer and to us."""

    op: str
    size: str
    theirs: Callable[[], Tensor]
    ours: Callable[[], Tensor]
    atol: float = 1e-5


@dataclass(frozen=True)
class Timing:
    """Median time of one call in milliseconds."""

    theirs: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times faster we are: above 1 is faster than the peer."""
        return self.theirs / self.ours


class DisagreementError(Exception):
    """The two functions answer differently, so comparing their speed would mean nothing."""


def check_agreement(comparison: Comparison) -> None:
    """Raise DisagreementError unless both answers agree in shape, dtype and values."""
    try:
        torch.testing.assert_close(
            comparison.ours(), comparison.theirs(), rtol=1e-5, atol=comparison.atol
        )
    except AssertionError as error:
        raise DisagreementError(f"{comparison.op} at {comparison.size}: {error}") from None


def measure(comparison: Comparison, seconds: float = 3.0) -> Timing:
    """Medians over interleaved runs: one of theirs, one of ours, in turn, swapping who is first.

    Both so see the same state of the machine. Short calls are repeated within a run until a run
    takes about a millisecond, far above the resolution of the clock.
    """
    calls = (comparison.theirs, comparison.ours)
    once = max(_time(call, 1) for call in calls for _ in range(3))  # also warms both up
    repeats = max(1, round(1e-3 / once))
    runs = min(300, max(15, round(seconds / (2 * repeats * once))))
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs):
        for index in (0, 1) if run % 2 == 0 else (1, 0):
            times[index].append(_time(calls[index], repeats))
    return Timing(*(1e3 * statistics.median(side) for side in times))


def print_table(comparisons: Iterable[Comparison]) -> None:
    """A markdown table, one row at a time as it is measured."""
    print("| op | size | torchvision ms | ours ms | ratio |", flush=True)
    print("| --- | --- | ---: | ---: | ---: |", flush=True)
    for comparison in comparisons:
        check_agreement(comparison)
        timing = measure(comparison)
        print(
            f"| {comparison.op} | {comparison.size} | {timing.theirs:.4g} | {timing.ours:.4g} "
            f"| {timing.ratio:.2f} |",
            flush=True,
        )


def _time(call: Callable[[], Tensor], repeats: int) -> float:
    """Seconds for one call, averaged over `repeats` of them."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
