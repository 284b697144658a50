"""The focal-loss explorer: what γ and α do to one example, to a crowd, and to a whole data set."""

from typing import Any

import anywidget
import torch
import traitlets
from jaxtyping import Float64
from torch import Tensor

from course_lib.explore._link import look, module
from course_lib.losses import sigmoid_focal_loss

PAPER = {"gamma": 2.0, "alpha": 0.25}  # Lin et al., section 5.1
QUANTILES = 400
# Logits of a detector, positive where it is right: sure of the background, in doubt about objects.
# A stand-in for the sample behind Figure 4, which was not published, with the figure's features:
# at γ = 0 the hardest fifth holds about half of the loss on both sides.
LOGITS = {"object": (-0.5, 1.5), "background": (4.0, 1.0)}  # mean, standard deviation


class FocalLossExplorer(anywidget.AnyWidget):
    """Turn γ and α; everything is computed in the browser.

    Python reads and sets what is shown: `gamma`, `alpha`, `p` (the probability of the true class,
    for one example), `kind` of that example ("object" or "background"), and the two crowds,
    `many` (easy background) and `few` (hard objects), each {"count": ..., "p": ...}. It answers
    `loss`, `shares` and `cumulative` with `course_lib.losses.sigmoid_focal_loss` in float64.
    """

    title = "Who does a detector listen to?"
    lead = (
        "For every hard object a detector sees a thousand easy pieces of background, and each "
        "says a little. The focal loss (Lin et al., 2017) turns the easy ones down. Press “cross "
        "entropy, both sides alike”, then turn γ up and watch who holds the loss."
    )
    _esm = module("focal_loss_explorer")
    _css = look()
    gamma = traitlets.Float(2.0, min=0, max=5).tag(sync=True)
    alpha = traitlets.Float(0.25, min=0, max=1).tag(sync=True)
    p = traitlets.Float(0.9, min=0.001, max=0.999).tag(sync=True)
    kind = traitlets.Enum(["object", "background"], "object").tag(sync=True)
    many = traitlets.Dict({"count": 100_000, "p": 0.9}).tag(sync=True)
    few = traitlets.Dict({"count": 100, "p": 0.1}).tag(sync=True)
    logits = traitlets.Dict(read_only=True).tag(sync=True)
    paper = traitlets.Dict(PAPER, read_only=True).tag(sync=True)

    def __init__(
        self, gamma: int | float = PAPER["gamma"], alpha: int | float = PAPER["alpha"]
    ) -> None:
        super().__init__()
        self.set_trait("logits", {of: _normal(*spread) for of, spread in LOGITS.items()})
        self.gamma, self.alpha = gamma, alpha

    @traitlets.validate("many", "few")
    def _check_crowd(self, proposal: Any) -> dict[str, int | float]:
        crowd = proposal["value"]
        numbers = all(isinstance(value, int | float) for value in crowd.values())
        if set(crowd) != {"count", "p"} or not (
            numbers and crowd["count"] >= 0 and 0 < crowd["p"] < 1
        ):
            raise traitlets.TraitError(
                f"{proposal['trait'].name} must be like {{'count': 100, 'p': 0.1}} with a count "
                f"of at least 0 and 0 < p < 1, got {crowd!r}"
            )
        return crowd

    @property
    def loss(self) -> float:
        """Focal loss of the one example."""
        logit = torch.logit(torch.tensor(self.p, dtype=torch.float64))
        return float(_losses(logit, self.kind, self.gamma, self.alpha))

    @property
    def shares(self) -> dict[str, float]:
        """The hard objects' share of the total loss and of the total gradient, 0 to 1."""
        totals: dict[str, list[float]] = {"loss": [], "gradient": []}
        for crowd, kind in ((self.many, "background"), (self.few, "object")):
            logit = torch.logit(torch.tensor(crowd["p"], dtype=torch.float64)).requires_grad_()
            loss = _losses(logit, kind, self.gamma, self.alpha)
            (gradient,) = torch.autograd.grad(loss, logit)
            totals["loss"].append(crowd["count"] * float(loss.detach()))
            totals["gradient"].append(crowd["count"] * abs(float(gradient)))
        return {name: hard / ((easy + hard) or 1.0) for name, (easy, hard) in totals.items()}

    def cumulative(self, kind: str, gamma: int | float | None = None) -> Float64[Tensor, " Q"]:
        """Running share of the loss of the objects or the background, the easiest first.

        Args:
            kind: "object" or "background".
            gamma: by default the explorer's own.
        """
        logits = torch.tensor(self.logits[kind], dtype=torch.float64)
        losses = _losses(logits, kind, self.gamma if gamma is None else gamma, -1.0)
        total = losses.sort().values.cumsum(0)
        return torch.cat([total.new_zeros(1), total / total[-1]])


def focal_loss_explorer(
    gamma: int | float = PAPER["gamma"], alpha: int | float = PAPER["alpha"]
) -> FocalLossExplorer:
    """Make the explorer; as the last line of a cell it is shown. γ in 0..5, α in 0..1."""
    return FocalLossExplorer(gamma, alpha)


def _losses(right: Tensor, kind: str, gamma: int | float, alpha: int | float) -> Tensor:
    """Focal loss from logits that are positive where the example is right."""
    inputs = right if kind == "object" else -right
    targets = torch.full_like(right, float(kind == "object"))
    return sigmoid_focal_loss(inputs, targets, alpha=alpha, gamma=gamma)


def _normal(mean: float, deviation: float) -> list[float]:
    """The middles of QUANTILES equal shares of a normal distribution."""
    middles = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    logits = mean + deviation * torch.special.ndtri(middles)
    return [round(logit, 6) for logit in logits.tolist()]
