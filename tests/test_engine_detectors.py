"""Every detector of the course on the engine: it learns, and the engine does not hold it up."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from course_lib.data import Shapes
from course_lib.engine import FitConfig, History, fit
from course_lib.models import DETECTORS, Detector, create_detector

# Those that a person can watch learning; the others are full-size networks.
LIVE = [name for name in DETECTORS if name in ("retinanet", "yolo", "fcos", "centernet")]


def detector(name: str, dataset: Any) -> Detector:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return create_detector(name, len(dataset.classes))


@cache
def on_one_batch(name: str, steps: int) -> History:
    """Eight pictures, all of them in every batch."""
    data = Shapes(8, seed=5)
    model = detector(name, data)
    return fit(model, data, FitConfig.of(model, steps=steps, batch_size=8), progress="none")


@pytest.mark.parametrize("name", LIVE)
def test_ten_steps_on_one_batch_bring_every_term_down(name: str) -> None:
    history = on_one_batch(name, 10)
    for term, values in history.terms.items():
        assert values[-1] < values[0], f"{term}: {values}"


@pytest.mark.parametrize("name", LIVE)
def test_eight_pictures_are_learnt_by_heart(name: str) -> None:
    data = Shapes(8, seed=5)
    model = detector(name, data)
    config = FitConfig.of(model, steps=200, batch_size=8, weight_decay=0)
    history = fit(model, data, config, valid=data, progress="none")
    assert history.result["AP"] >= 0.95
