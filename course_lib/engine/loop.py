"""The training loop: `fit`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from course_lib._distributed import process_count
from course_lib.engine.batches import to_device, training_batches
from course_lib.engine.config import FitConfig
from course_lib.engine.evaluate import device_of, evaluate
from course_lib.engine.history import History
from course_lib.engine.progress import Moment, ProgressKind, Reporter, make_reporter
from course_lib.engine.training import Clock, Training
from course_lib.models.detector import Detector

KEPT = ("AP", "AP50", "AP75", "APs", "APm", "APl")  # of each evaluation on the way


def fit(
    model: Detector,
    dataset: Any,
    config: FitConfig | None = None,
    *,
    valid: Any = None,
    on_step: Callable[[Moment], None] | None = None,
    progress: ProgressKind = "auto",
    resume: bool = False,
) -> History:
    """Trains a detector on a dataset, and shows how it goes.

        history = fit(model, Shapes(1500), FitConfig.of(model, seconds=45), valid=Shapes(200, 1))

    The model learns where it is; afterwards it is in evaluation mode, ready to detect.

    config: how; by default what the detector recommends, for 60 seconds.
    valid: a dataset to evaluate on, at the end and `config.evaluations` times in all.
    on_step: called after each step with a `Moment`; its time counts as training.
    progress: "auto" is a live curve in a notebook ("curve"), a line in a terminal ("line"),
        otherwise "lines"; "none" for silence.
    resume: go on from `config.checkpoint` if it exists. What follows is to the last bit what would
        have followed without the interruption, where steps are counted, on a CPU. All chance of
        step k follows from the seed and k; a dataset must do the same with its epoch and index.
    With `config.ema` the model has the averaged weights at the end, and in every evaluation.
    Where several processes learn together, see `course_lib.engine.distributed`, `batch_size` is
    that of all, and the history tells the mean of their losses. BatchNorm sees each one's share
    only, unless its layers were turned into SyncBatchNorm before (GPUs only).

    Errors: NotFiniteError when the loss or the gradient stops being a number; the model is as it
        was before that step. ValueError where a config does not fit the data, the processes or
        the checkpoint. When a training is interrupted, its checkpoint is written first.
    """
    config = FitConfig.of(model) if config is None else config
    if config.batch_size % process_count():
        raise ValueError(
            f"batch_size is that of all processes, so it must be a multiple of {process_count()}, "
            f"got {config.batch_size}"
        )
    device = device_of(model) if config.device is None else torch.device(config.device)
    model.to(device)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    reporter = make_reporter(progress, config)
    history = None
    try:
        reporter.start()
        training = Training(model, config, len(dataset), device)
        if resume:
            training.resume()
        history = training.history
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            _run(training, dataset, valid, on_step, reporter)
    finally:
        model.eval()
        reporter.close(history)
    return history


def _run(
    training: Training,
    dataset: Any,
    valid: Any,
    on_step: Callable[[Moment], None] | None,
    reporter: Reporter,
) -> None:
    """Step after step until it is done; evaluations and checkpoints when they are due."""
    model, config, history, device = (
        training.model, training.config, training.history, training.device,
    )  # fmt: skip
    batches = training_batches(
        dataset,
        config.seed,
        config.batch_size,
        first=history.steps,
        workers=config.workers,
        pin=device.type == "cuda",
    )
    model.train()
    written = time.monotonic()
    with batches, _interruptible() as stop:
        if not training.done:
            batches.begin()
        training.clock = Clock(before=training.seconds)
        while not training.done:
            share, waited = training.share, batches.waited
            batch = next(batches)
            history.waited += batches.waited - waited
            training.step(*to_device(batch, device))
            moment = _moment(training)
            reporter.show(moment)
            if on_step:
                on_step(moment)
            passed = int(training.share * config.evaluations) - int(share * config.evaluations)
            if valid is not None and (passed or training.done):
                with training.clock.paused():
                    _evaluate(training, valid)
            due = time.monotonic() - written >= config.checkpoint_every
            if due or training.done or stop.is_set():
                with training.clock.paused():
                    training.save()
                written = time.monotonic()
            if stop.is_set():
                raise KeyboardInterrupt
    if training.ema:
        training.ema.put_into(model)


def _moment(training: Training) -> Moment:
    history = training.history
    terms = {name: values[-1] for name, values in history.terms.items()}
    return Moment(
        step=history.steps,
        share=training.share,
        seconds=training.seconds,
        seconds_left=training.seconds_left,
        loss=sum(terms.values()),
        terms=terms,
        lr=history.lr[-1],
        history=history,
    )


def _evaluate(training: Training, valid: Any) -> None:
    history, config = training.history, training.config
    result = evaluate(
        training.model, valid, batch_size=config.batch_size, ema=training.ema,
        workers=config.workers,
    )  # fmt: skip
    numbers = {name: result[name] for name in KEPT}
    history.valid.append({"step": history.steps, "seconds": training.seconds, **numbers})
    history.result = result


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C (a notebook's stop button) only sets the event, the second stops.

    So a step is done or not done, never half: what a checkpoint holds fits together.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals go to the main thread
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
