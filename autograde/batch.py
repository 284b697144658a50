"""Workers that judge: two on this machine, or as many as a Dask cluster has.

The same code serves both. Jobs carry all that they need (`autograde.jobs`), so workers share no
disk with the class; results come back here, to the one process that writes.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import dask
from distributed import Client, LocalCluster, Security, as_completed
from distributed.deploy import Cluster
from distributed.utils import get_mp_context
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from autograde.errors import NoWorkers
from autograde.results import machinery

SETTINGS = {
    "distributed.worker.daemon": False,  # a worker starts sandboxes
    "distributed.worker.multiprocessing-method": "forkserver",  # what all import is there once
    "distributed.scheduler.allowed-failures": 2,
    "distributed.worker.memory.spill": False,
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.admin.log-length": 50,  # what is remembered of each task holds its whole work
    "distributed.admin.low-level-log-length": 5,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.scheduler.http.routes": [],  # nothing to see for others on this machine
    "distributed.worker.http.routes": [],
}


class Workers:
    """Workers to whom work is given piece by piece.

    count: how many to start here. there: those of a Dask cluster instead, named by the address
    of its scheduler or by an object that stands for it.
    """

    def __init__(self, count: int, there: str | Cluster | None = None) -> None:
        self._tags: dict[str, Any] = {}
        self._cluster: LocalCluster | None = None
        self._until_closed = contextlib.ExitStack()
        scratch = tempfile.TemporaryDirectory(prefix="autograde-", ignore_cleanup_errors=True)
        self._scratch = self._until_closed.enter_context(scratch)
        self._until_closed.enter_context(dask.config.set(SETTINGS))  # a worker may start anew
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if there is None:
            there = self._cluster = self._start(count)
        self._client = self._connect(there)
        self._finished = as_completed([], with_results=False)
        self._check_versions()

    def _start(self, count: int) -> LocalCluster:
        get_mp_context().set_forkserver_preload(["distributed", "autograde.ahead"])
        # Whoever can speak to a scheduler can run code as its user: only we can, by certificate.
        return LocalCluster(
            n_workers=max(1, count),
            threads_per_worker=1,
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=self._scratch,
            silence_logs=logging.CRITICAL,
            preload=["autograde.batch"],
        )

    def _connect(self, there: str | Cluster) -> Client:
        try:
            return Client(there, timeout="60s")
        except (OSError, TypeError, ValueError) as error:  # TypeError: tls:// without a certificate
            self._until_closed.close()
            raise NoWorkers(
                f"no Dask scheduler can be reached at {there} ({type(error).__name__}: {error}). "
                "Expected an address like tls://10.0.0.1:8786"
            ) from None

    def _check_versions(self) -> None:
        ours = machinery()
        for worker, theirs in self._client.run(machinery).items():
            if theirs != ours:
                self.close()
                raise NoWorkers(
                    f"the worker {worker} has another version of the course, of Python or of a "
                    "package than this machine: install the same on both, and start it again"
                )

    @property
    def slots(self) -> int:
        """How many pieces of work can be done at once."""
        return max(1, sum(self._client.nthreads().values()))

    def __len__(self) -> int:
        return len(self._tags)

    def submit(self, tag: Any, function: Callable[..., Any], *args: Any) -> None:
        """Have a worker call the function; `finished` gives its result with this tag."""
        key = f"{function.__name__}-{uuid.uuid4()}"
        self._tags[key] = tag
        self._finished.add(self._client.submit(_tidily, function, *args, key=key, pure=False))

    def finished(self) -> tuple[Any, Any]:
        """(tag, result) of a piece of work that is done; the exception, if it raised one."""
        future = next(self._finished)
        tag = self._tags.pop(future.key)
        error = future.exception()
        result = error if error is not None else future.result()
        future.release()
        return tag, result

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is not done, and end the workers that were started here."""
        with contextlib.suppress(TimeoutError):
            self._client.close(timeout=5)
        if self._cluster is not None:
            nannies = list(self._cluster.workers.values())
            with contextlib.suppress(TimeoutError):
                self._cluster.close(timeout=20)
            for nanny in nannies:  # one that was being started again may have missed it
                if (process := getattr(nanny, "process", None)) is not None:
                    with contextlib.suppress(AttributeError, OSError, ValueError):
                        process.process.kill()
        self._until_closed.close()


def _tidily(function: Callable[..., Any], *args: Any) -> Any:
    """Call the function, and leave nothing behind: a page of feedback is full of cycles."""
    result = function(*args)
    gc.collect()  # cheap: all that was there before the first job is frozen
    return result


class Here:
    """The same for a few small pieces of work: they are done at once, in this process."""

    slots = 1

    def __init__(self) -> None:
        self._done: deque[tuple[Any, Any]] = deque()

    def __len__(self) -> int:
        return len(self._done)

    def submit(self, tag: Any, function: Callable[..., Any], *args: Any) -> None:
        try:
            self._done.append((tag, function(*args)))
        except Exception as error:
            self._done.append((tag, error))

    def finished(self) -> tuple[Any, Any]:
        return self._done.popleft()

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.clear()


def dask_setup(worker: Any) -> None:
    """Called in each local worker: Ctrl-C is for the process that leads, and then ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(1)


class _Rate(ProgressColumn):
    """Submissions a minute."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed * 60:.0f}/min" if task.speed else "", style="progress.data.speed")


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console, speed_estimate_period=120) as progress:
        yield progress
