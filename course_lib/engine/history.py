"""What a training was like: every step's numbers, and what it measured on the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from course_lib.metrics import CocoResult


@dataclass
class History:
    """The numbers of a training, one for each step in every list.

    `print(history)` says in a line how it went, `history.figure()` draws the loss.
    """

    batch_size: int
    terms: dict[str, list[float]] = field(default_factory=dict)  # of the loss, by name
    lr: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)  # its length, before clipping
    seconds: list[float] = field(default_factory=list)  # of training, up to the end of the step
    waited: float = 0.0  # seconds in which the model waited for data
    valid: list[dict[str, int | float]] = field(default_factory=list)  # step, seconds, AP, AP50, …
    result: CocoResult | None = None  # the last evaluation in full

    @property
    def steps(self) -> int:
        return len(self.seconds)

    @property
    def loss(self) -> list[float]:
        """The sum of the terms at each step: what was minimised."""
        return [sum(values) for values in zip(*self.terms.values(), strict=True)]

    @property
    def waiting(self) -> float:
        """The share of the time in which the model waited for data, 0..1."""
        return self.waited / self.seconds[-1] if self.seconds else 0.0

    @property
    def images_per_second(self) -> float:
        """Images learnt from in a second of training."""
        return self.steps * self.batch_size / self.seconds[-1] if self.seconds else 0.0

    def lately(self) -> dict[str, float]:
        """The mean of each term over the last 20 steps, or the last tenth of them: single ones jump
        from batch to batch.
        """
        steps = min(20, self.steps // 10 + 1)
        return {name: sum(v[-steps:]) / len(v[-steps:]) for name, v in self.terms.items() if v}

    def plain(self) -> dict[str, Any]:
        """Everything but `result` in plain lists and numbers, for a file."""
        state = asdict(self)
        del state["result"]
        return state

    def figure(self) -> Any:
        """The loss over time as a `draw.Picture`; as the last line of a cell it is shown."""
        from course_lib.engine.figures import loss_picture  # which knows what a history is

        return loss_picture(self)

    def __str__(self) -> str:
        if not self.steps:
            return "no step yet"
        terms = self.lately()
        words = [
            f"{self.steps} steps in {self.seconds[-1]:.1f} s",
            f"loss {sum(terms.values()):.3f}",
            f"{self.images_per_second:.0f} images/s",
        ]
        if self.waiting >= 0.01:
            words.append(f"{self.waiting:.0%} of the time waiting for data")
        if self.valid:
            words.append(f"AP {self.valid[-1]['AP']:.3f}, AP50 {self.valid[-1]['AP50']:.3f}")
        return ", ".join(words)

    def __repr__(self) -> str:
        return f"<History: {self}>"
