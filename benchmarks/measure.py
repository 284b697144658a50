"""Time two functions side by side, after a check that they agree; and what each holds in memory."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import profile


@dataclass(frozen=True)
class Comparison:
    """One row of the table: the same call to the peer and to us.

    n: the size as a number, for rows that differ in nothing else; 0 where there are no such.
    """

    op: str
    size: str
    theirs: Callable[[], Tensor]
    ours: Callable[[], Tensor]
    atol: float = 1e-5
    n: int = 0


@dataclass(frozen=True)
class Timing:
    """Milliseconds for one call: the lower quartile, the median and the upper quartile."""

    theirs: list[float]
    ours: list[float]

    @property
    def ratio(self) -> float:
        """How many times faster we are: above 1 is faster than the peer."""
        return self.theirs[1] / self.ours[1]


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


def measure(comparison: Comparison, seconds: float = 3.0, fewest: int = 15) -> Timing:
    """Interleaved runs: one of theirs, one of ours, in turn, swapping who is first.

    Both so see the same state of the machine. Short calls are repeated within a run until a run
    takes about a millisecond, far above the resolution of the clock. Calls of more than a second
    are run 3 times at least, all others `fewest` times.
    """
    calls = (comparison.theirs, comparison.ours)
    once = max(_time(call, 1) for call in calls)
    if once < 1:
        once = max(_time(call, 1) for call in calls for _ in range(2))  # both are warm now
    repeats = max(1, round(1e-3 / once))
    runs = min(300, max(fewest if once < 1 else 3, round(seconds / (2 * repeats * once))))
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs):
        for index in (0, 1) if run % 2 == 0 else (1, 0):
            times[index].append(1e3 * _time(calls[index], repeats))
    return Timing(*(statistics.quantiles(side, n=4, method="inclusive") for side in times))


def _time(call: Callable[[], Tensor], repeats: int) -> float:
    """Seconds for one call, averaged over `repeats` of them."""
    _wait()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    _wait()
    return (time.perf_counter() - start) / repeats


def _wait() -> None:
    """Until the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak(call: Callable[[], Tensor], device: str) -> float:
    """The most MiB that PyTorch holds at one time for a call, what was there before left out."""
    call()  # makes what is made once
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(profile_memory=True) as record:
        call()
    steps = sorted(
        (event.start_ns(), event.nbytes())
        for event in record.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    sizes = torch.tensor([0, *(size for _, size in steps)])
    return sizes.cumsum(0).max().item() / 2**20


def exponent(sizes: list[int], times: list[float]) -> float:
    """k of time ∝ size^k: the slope of the line through the logarithms, by least squares."""
    x, y = (torch.tensor(each, dtype=torch.float64).log() for each in (sizes, times))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / x.square().sum())
