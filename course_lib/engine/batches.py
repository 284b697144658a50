"""The order of the data, and getting it ready while the model learns.

Which images make batch k follows from (seed, k) alone. The images of epoch 0, shuffled, are
followed by those of epoch 1, shuffled anew, and so on without end; batch k is the k-th stretch of
B images of this row. So a training that goes on from step k needs nothing but the number k, and
two processes see together what one would see.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from course_lib._threads import one_thread
from course_lib.data.batches import collate
from course_lib.engine.distributed import share_of

Place = tuple[int, int]  # an epoch and an index of the dataset
AHEAD = 4  # batches that are kept ready


def batch_places(seed: int, size: int, batch_size: int, step: int) -> list[Place]:
    """(epoch, index) of each image of batch `step`, for a dataset of `size` images."""
    positions = range(step * batch_size, (step + 1) * batch_size)
    epochs = range(positions[0] // size, positions[-1] // size + 1)
    orders = {epoch: _shuffled(seed, epoch, size) for epoch in epochs}
    return [(p // size, int(orders[p // size][p % size])) for p in positions]


def _shuffled(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(size)


class AtEpoch(Dataset[Any]):
    """A dataset that is asked for (epoch, index); `set_epoch`, if it has one, is told of a change.

    Augmentation then changes a picture differently in every epoch, and equally in every run.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.epoch: int | None = None

    def __getitem__(self, place: Place) -> Any:
        epoch, index = place
        if epoch != self.epoch and hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
        self.epoch = epoch
        return self.dataset[index]


class Ahead:
    """An iterator whose next items are made in a thread while the present one is used.

        with Ahead(lambda: loader) as items:
            for item in items: ...

    waited: the seconds that the user has waited for items so far.
    ahead: how many items are kept ready. With 0 there is no thread: right for what has processes of
        its own at work.
    What goes wrong in the thread is raised where the item was to be used.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], ahead: int = AHEAD) -> None:
        self.waited = 0.0
        self._direct = iter(make()) if ahead == 0 else None
        self._first: tuple[str, Any] | None = None
        self._ready: queue.Queue[tuple[str, Any]] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True)

    def __enter__(self) -> Ahead:
        if self._direct is None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._direct is None:
            self._thread.join()
        self._direct = None  # ends its processes

    def __iter__(self) -> Iterator[Any]:
        return self

    def begin(self) -> None:
        """Waits for the first item, which may have to load a library or start processes. This does
        not count as waiting.
        """
        self._first = self._take()

    def _take(self) -> tuple[str, Any]:
        if self._direct is None:
            return self._ready.get()
        return next((("item", item) for item in self._direct), ("end", None))

    def __next__(self) -> Any:
        start = time.perf_counter()
        (kind, item), self._first = self._first or self._take(), None
        self.waited += time.perf_counter() - start
        if kind == "error":
            raise item
        if kind == "end":
            raise StopIteration
        return item

    def _work(self, make: Callable[[], Iterable[Any]]) -> None:
        try:
            with one_thread():  # the cores are the model's
                for item in make():
                    if not self._offer("item", item):
                        return
            self._offer("end", None)
        except BaseException as error:  # the user's thread raises it
            self._offer("error", error)

    def _offer(self, kind: str, item: Any) -> bool:
        """Waits for room; False when nobody wants it any more."""
        while not self._stop.is_set():
            try:
                self._ready.put((kind, item), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def training_batches(
    dataset: Any, seed: int, batch_size: int, first: int, workers: int, pin: bool
) -> Ahead:
    """This process's share of batches `first`, `first` + 1, … as (images, targets), without end.

    Errors: ValueError for an empty dataset, or a batch that cannot be shared equally: a mean over
        unequal shares would be another loss than that of the whole batch.
    """
    if len(dataset) == 0:
        raise ValueError("the dataset is empty: there is nothing to learn from")
    shares = (
        share_of(batch_places(seed, len(dataset), batch_size, step))
        for step in itertools.count(first)
    )
    return _loaded(AtEpoch(dataset), shares, workers, pin)


def evaluation_batches(dataset: Any, batch_size: int, workers: int = 0, pin: bool = False) -> Ahead:
    """This process's share of the dataset in its own order, as (images, targets)."""
    mine = share_of(range(len(dataset)))
    parts = [mine[i : i + batch_size] for i in range(0, len(mine), batch_size)]
    return _loaded(dataset, parts, workers, pin)


def _loaded(dataset: Any, batches: Iterable[Any], workers: int, pin: bool) -> Ahead:
    loader = partial(
        DataLoader[Any],
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        generator=torch.Generator(),  # or it would draw from everybody's
    )
    return Ahead(loader, ahead=0 if workers else AHEAD)


def to_device(
    batch: tuple[Tensor, list[dict[str, Any]]], device: torch.device
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Images and the tensors of all targets on the device."""
    images, targets = batch
    moved = [
        {
            key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for key, value in target.items()
        }
        for target in targets
    ]
    return images.to(device, non_blocking=True), moved
