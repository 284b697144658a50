"""The learning rate over time, as a pure function of the share of the training that is done.

So it is the same whether a training counts steps or seconds, and nothing of it has to be saved.
"""

import math

from course_lib.engine.config import FitConfig, Number

START, END = 1 / 25, 1e-4  # of the highest learning rate: where one cycle begins and ends


def lr_factor(config: FitConfig, share: Number) -> float:
    """The factor on `config.lr` when `share` of the training, 0..1, is done.

        one_cycle   up from 1/25 over the warm-up, then down to 1/10,000; half a cosine each way
        steps       1, and after each milestone `drop` times what it was before
        constant    1

    For "steps" and "constant", the warm-up is a straight line from 0.
    Source: Smith and Topin, Super-Convergence, 2018, with the cosines of fastai and
        torch.optim.lr_scheduler.OneCycleLR. Goyal et al., Accurate, Large Minibatch SGD, 2017,
        section 2.2, for the warm-up.
    """
    warm = share < config.warmup
    if config.schedule == "one_cycle":
        if warm:
            return _half_cosine(START, 1.0, share / config.warmup)
        return _half_cosine(1.0, END, (share - config.warmup) / (1 - config.warmup))
    factor = 1.0
    if config.schedule == "steps":
        factor = config.drop ** sum(share >= milestone for milestone in config.milestones)
    return factor * share / config.warmup if warm else factor


def _half_cosine(start: float, end: float, share: float) -> float:
    """From start to end, slowly at both ends."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
