"""How to train: everything that `fit` can be told, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, Literal

from torch import nn

Number = float | int
SECONDS = 60  # of training, where neither steps nor seconds are given


@dataclass(frozen=True)
class FitConfig:
    """The numbers of a training. `FitConfig.of(model)` begins with what the detector recommends.

    Two trainings with the same config, model and data are the same to the last bit on a CPU, if
    they count steps. If they count seconds, how many steps there is time for depends on the day.
    Errors: ValueError for a number out of its range, when the config is made.
    """

    # --- how long: one of the two; neither means 60 seconds
    steps: int | None = None  # batches to learn from
    seconds: Number | None = None  # of training; evaluating and writing checkpoints do not count

    # --- each step
    batch_size: int = 16  # images of all processes together
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Number = 1e-3  # the highest learning rate
    weight_decay: Number = 0.01  # on weights, not on biases and norms; 1e-4 is usual with sgd
    momentum: Number = 0.9  # of sgd; β₁ of AdamW
    clip_norm: Number | None = 10.0  # the gradient is made no longer than this
    ema: Number | None = None  # 0.999 averages the weights over about 1,000 steps; None does not

    # --- the learning rate over time; shares are of the whole training
    schedule: Literal["one_cycle", "steps", "constant"] = "one_cycle"
    warmup: Number = 0.2  # share in which the learning rate rises
    milestones: tuple[Number, ...] = (2 / 3, 8 / 9)  # "steps": shares after which it drops to ...
    drop: Number = 0.1  # ... so much of what it was

    # --- the machine
    device: str | None = None  # where to train: "cuda", "cpu", …; None: where the model is
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: half on GPUs
    channels_last: bool = True  # the memory format that convolutions are fastest in
    workers: int = 0  # processes that load data; 0 is a thread, right for data in memory

    # --- chance, reports, files
    seed: int = 0  # of the order of the data and of everything random in the network
    evaluations: int = 1  # how often `valid` is evaluated, evenly spread; the last is at the end
    log_every: int = 50  # steps between two printed lines, where no line can be rewritten
    checkpoint: str | PathLike[str] | None = None  # a file to go on from: `fit(..., resume=True)`
    checkpoint_every: Number = 60  # seconds between two checkpoints; 0: at every step

    def __post_init__(self) -> None:
        if self.steps is not None and self.seconds is not None:
            raise ValueError(
                f"give steps or seconds, not both; got {self.steps} steps, {self.seconds} seconds"
            )
        for name in ("steps", "batch_size", "evaluations", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        for name in ("seconds", "lr", "clip_norm", "drop"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name in ("weight_decay", "workers", "checkpoint_every", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("momentum", "ema", "warmup"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must lie in 0..1, below 1, got {value}")
        if not all(0 < share < 1 for share in self.milestones):
            raise ValueError(f"milestones must be shares, between 0 and 1, got {self.milestones}")
        for name, known in (
            ("optimizer", ("adamw", "sgd")),
            ("schedule", ("one_cycle", "steps", "constant")),
            ("precision", ("auto", "float32", "bfloat16", "float16")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be {', '.join(known[:-1])} or {known[-1]}, "
                    f"got {getattr(self, name)!r}"
                )

    @classmethod
    def of(cls, model: nn.Module, **changes: Any) -> FitConfig:
        """What `model.recommended`, a dict, says, with `changes`; the defaults where it is silent.

        A change of steps or seconds takes the place of either.
        """
        recommended = dict(getattr(model, "recommended", {}))
        if {"steps", "seconds"} & {key for key, value in changes.items() if value is not None}:
            recommended.pop("steps", None)
            recommended.pop("seconds", None)
        return cls(**{**recommended, **changes})

    @property
    def budget(self) -> Number | None:
        """The seconds that the training may take; None where it counts steps."""
        if self.steps is not None:
            return None
        return SECONDS if self.seconds is None else self.seconds

    def deciding(self) -> dict[str, Any]:
        """The fields that decide what the weights become, for comparing two trainings."""
        free = ("device", "workers", "evaluations", "log_every", "checkpoint", "checkpoint_every")
        return {key: value for key, value in asdict(self).items() if key not in free}
