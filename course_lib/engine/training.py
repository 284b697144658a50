"""A training between two steps: all that changes, one step, and going on from a file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from course_lib._distributed import process_number
from course_lib.engine.batches import batch_places
from course_lib.engine.checkpoint import check_continues, read_checkpoint, write_checkpoint
from course_lib.engine.config import FitConfig
from course_lib.engine.distributed import mean_terms, together
from course_lib.engine.history import History
from course_lib.engine.optimizer import Ema, make_optimizer
from course_lib.engine.schedule import lr_factor
from course_lib.models.detector import Detector, Target


class NotFiniteError(ArithmeticError):
    """The loss or its gradient was infinite or not a number. The model is as before that step."""


class Clock:
    """Seconds of training: those that pass, but not while it is paused."""

    def __init__(self, before: float = 0.0) -> None:
        self._start = time.perf_counter() - before

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        before = self.seconds
        yield
        self._start = time.perf_counter() - before


class Training:
    """Model, optimizer, averages, scale and history: what `step` changes, and a checkpoint holds.

    images: how many the dataset has; the order of the data follows from it.
    """

    def __init__(
        self, model: Detector, config: FitConfig, images: int, device: torch.device
    ) -> None:
        self.model, self.config, self.images, self.device = model, config, images, device
        self.loss = together(model)
        self.buffers = list(model.buffers())
        self.optimizer = make_optimizer(model, config)
        self.ema = Ema(model, config.ema) if config.ema else None
        self.half = half_type(config, device)
        # float16 ends at 65,504 and 6e-8: the scaler moves the gradients into the middle.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half == torch.float16)
        self.history = History(config.batch_size)
        self.clock = Clock()

    # --- how far it is

    @property
    def share(self) -> float:
        """The share of the training that is done, 0..1."""
        budget = self.config.budget
        if budget is None:
            return self.history.steps / (self.config.steps or 1)
        return min(self.seconds / budget, 1.0)

    @property
    def seconds_left(self) -> float:
        if self.config.budget is not None:
            return max(self.config.budget - self.seconds, 0.0)
        steps = self.history.steps
        return self.seconds / steps * ((self.config.steps or 0) - steps) if steps else math.inf

    @property
    def done(self) -> bool:
        """Are the steps made, or is there no time for another one?"""
        if self.config.steps is not None:
            return self.history.steps >= self.config.steps
        return self.history.steps > 0 and self.seconds_left < self._usual_step()

    @property
    def seconds(self) -> float:
        """Of training, up to the end of the last step."""
        return self.history.seconds[-1] if self.history.seconds else 0.0

    def _usual_step(self) -> float:
        """The seconds that one of the last steps took, on average."""
        times = self.history.seconds[-11:]
        return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0

    # --- one step

    def step(self, images: Tensor, targets: Sequence[Target]) -> None:
        """Loss, gradient, and one move of the weights; notes the numbers."""
        step = self.history.steps
        lr = self.config.lr * lr_factor(self.config, self.share)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        statistics = [buffer.clone() for buffer in self.buffers]
        _seed(self.device, self.config.seed, step)
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            terms = self.loss(images, targets)
        names = self._names(terms)
        numbers = torch.stack([terms[name].detach().float() for name in names])
        seconds = numbers.new_tensor([self.clock.seconds])  # one clock for all processes
        *values, seconds = mean_terms(torch.cat((numbers, seconds))).tolist()
        if not all(map(math.isfinite, values)):
            self._put_back(statistics)
            raise NotFiniteError(self._complaint(dict(zip(names, values, strict=True)), lr))
        self.scaler.scale(sum(terms.values())).backward()
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if self.config.clip_norm is None else self.config.clip_norm
        length = float(clip_grad_norm_(self.model.parameters(), limit))
        # In float16 it is now and then too long: the scaler skips the step and scales less.
        if not math.isfinite(length) and not (
            self.scaler.is_enabled() and self.scaler.get_scale() > 1
        ):
            message = self._complaint(dict(zip(names, values, strict=True)), lr)
            self._put_back(statistics)
            raise NotFiniteError(message)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.model)
        for name, value in zip(names, values, strict=True):
            self.history.terms.setdefault(name, []).append(value)
        self.history.lr.append(lr)
        self.history.gradient.append(length)
        self.history.seconds.append(seconds)

    def _names(self, terms: Any) -> list[str]:
        """The terms of the loss, if it is what the contract says."""
        kind = type(self.model).__name__
        if not isinstance(terms, dict) or not terms:
            raise TypeError(
                f"{kind}.loss must return a dict of terms, {{name: scalar tensor}}, got {terms!r}"
            )
        for name, value in terms.items():
            if not isinstance(value, Tensor) or value.ndim:
                got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"{kind}.loss: the term {name!r} must be a tensor [], got {got}")
        if self.history.terms and list(terms) != list(self.history.terms):
            raise ValueError(
                f"{kind}.loss must return the same terms at every step, 0 where one does not "
                f"apply; got {', '.join(terms)} after {', '.join(self.history.terms)}"
            )
        return list(terms)

    def _put_back(self, statistics: list[Tensor]) -> None:
        """The model as it was before the step: norms have seen a batch, weights have not moved."""
        self.optimizer.zero_grad()
        for buffer, before in zip(self.buffers, statistics, strict=True):
            buffer.copy_(before)

    def _complaint(self, terms: dict[str, float], lr: float) -> str:
        """What was not finite, where, and what one may try."""
        step, config = self.history.steps, self.config
        bad = [f"{name} is {value}" for name, value in terms.items() if not math.isfinite(value)]
        if not bad:
            wrong = [
                name
                for name, parameter in self.model.named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ]
            bad = [f"the gradient of {wrong[0]} and of {len(wrong) - 1} other parameters"]
        fine = [f"{name} {value:.4g}" for name, value in terms.items() if math.isfinite(value)]
        lines = [f"not finite at step {step}: {', '.join(bad)}"]
        if fine:
            lines.append(f"finite: {', '.join(fine)}")
        lines.append(f"learning rate {lr:.3g}")
        if self.history.gradient:
            lines[-1] += f", length of the gradient one step before {self.history.gradient[-1]:.3g}"
        indices = [i for _, i in batch_places(config.seed, self.images, config.batch_size, step)]
        lines.append(f"images of the batch, as indices of the dataset: {indices}")
        lines.append(f"the model is as it was after {step} steps")
        advice = f"try a smaller lr ({config.lr / 10:.3g}), a longer warmup"
        advice += ", clip_norm=10" if config.clip_norm is None else ""
        advice += ', precision="float32"' if self.half is not None else ""
        lines.append(f"{advice}; or look for boxes without area in these images")
        return "\n  ".join(lines)

    # --- files

    def save(self) -> None:
        """Writes the checkpoint, where the config names one; the first process alone."""
        if self.config.checkpoint is None or process_number() > 0:
            return
        state = {
            "config": self.config.deciding(),
            "images": self.images,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "history": self.history.plain(),
        }
        write_checkpoint(self.config.checkpoint, state)

    def resume(self) -> bool:
        """Goes on from the checkpoint; False if there is none yet."""
        if self.config.checkpoint is None:
            raise ValueError("resume needs to know the file: FitConfig(checkpoint=...)")
        if not Path(self.config.checkpoint).exists():
            return False
        state = read_checkpoint(self.config.checkpoint)
        check_continues(state, self.config, self.images)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        self.history = History(**state["history"])
        self.clock = Clock(self.seconds)
        return True


def half_type(config: FitConfig, device: torch.device) -> torch.dtype | None:
    """The type in which convolutions compute, where it is not float32."""
    if config.precision == "auto":
        if device.type != "cuda":
            return None
        # Older GPUs only pretend to know bfloat16.
        known = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if known else torch.float16
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


def _seed(device: torch.device, seed: int, step: int) -> None:
    """All chance inside the network at this step: from the seed, the step and the process."""
    key = np.random.SeedSequence((seed, step, process_number()))
    number = int(key.generate_state(1, np.uint64)[0] >> np.uint64(1))
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
