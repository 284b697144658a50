"""Which parameters learn how: the optimizer, and the running average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from course_lib.engine.config import FitConfig, Number


def make_optimizer(model: nn.Module, config: FitConfig) -> Optimizer:
    """AdamW or SGD over all parameters that learn, with decay on the weights only.

    Weights are what has two axes or more: kernels and matrices. Biases, and the scales of norms,
    have one; pulling them towards 0 protects from nothing and costs accuracy.
    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019. He et al.,
        Bag of Tricks for Image Classification, CVPR 2019, section 3.1 ("No bias decay").
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("the model has no parameter that learns: all have requires_grad=False")
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adamw":
        # One kernel for all parameters: a tenth of the time of a loop over them.
        return AdamW(groups, lr=config.lr, betas=(config.momentum, 0.999), fused=True)
    return SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


class Ema:
    """The exponential moving average of everything in a model's state that is a float.

        average ← d · average + (1 − d) · now,    d = min(decay, (1 + step) / (10 + step))

    In the beginning d is small, so that the random weights of the start are soon forgotten. The
    statistics of BatchNorm are averaged as well: the average of the weights makes other features
    than the last weights, and the average of the statistics is close to theirs.
    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; the
        rising decay is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: Number) -> None:
        self.decay = decay
        self.step = 0
        self.average = {name: value.detach().clone() for name, value in _state(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the model as it is after a step."""
        weight = 1 - min(self.decay, (1 + self.step) / (10 + self.step))
        self.step += 1
        for name, value in _state(model).items():
            average = self.average[name]
            if value.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)

    @torch.no_grad()
    def put_into(self, model: nn.Module) -> None:
        """Gives the model the averages; its own numbers are gone."""
        for name, value in _state(model).items():
            value.copy_(self.average[name])

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the averages; afterwards its own numbers again."""
        before = {name: value.detach().clone() for name, value in _state(model).items()}
        self.put_into(model)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in _state(model).items():
                    value.copy_(before[name])

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        for name, average in self.average.items():
            average.copy_(state["average"][name])


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers, by name."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
