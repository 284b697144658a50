"""Every detector of the course on the engine: it learns, and the engine does not hold it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from course_lib.data import Shapes
from course_lib.data.augment import Augmented, ColorJitter, Compose, RandomHorizontalFlip
from course_lib.engine import FitConfig, fit, predict
from course_lib.models import DETECTORS, Detector, create_detector

# Those that a person can watch learning; the others are full-size networks.
LIVE = [name for name in DETECTORS if name in ("retinanet", "yolo", "fcos", "centernet")]
OTHERS = [name for name in DETECTORS if name not in LIVE]


def detector(name: str, dataset: Any) -> Detector:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return create_detector(name, len(dataset.classes))


@pytest.mark.parametrize("name", LIVE)
def test_ten_steps_on_one_batch_bring_every_term_down(name: str) -> None:
    data = Shapes(8, seed=5)
    model = detector(name, data)
    history = fit(model, data, FitConfig.of(model, steps=10, batch_size=8), progress="none")
    for term, values in history.terms.items():
        assert values[-1] < values[0], f"{term}: {values}"


@pytest.mark.parametrize("name", LIVE)
def test_eight_pictures_are_learnt_by_heart(name: str) -> None:
    data = Shapes(8, seed=5)
    model = detector(name, data)
    config = FitConfig.of(model, steps=140, batch_size=8)
    history = fit(model, data, config, valid=data, progress="none")
    assert history.result["AP"] >= 0.95


@pytest.mark.parametrize("name", LIVE)
def test_a_resumed_run_is_the_unbroken_one(name: str, tmp_path: Path) -> None:
    """With pictures that are changed anew in each epoch."""
    steps = Compose([RandomHorizontalFlip(), ColorJitter()])
    data = Augmented(Shapes(10, seed=3), steps, seed=1)
    states = []
    for stops in ((), (1, 4)):
        for stop in (*stops, None):
            model = detector(name, data)
            config = FitConfig.of(
                model, steps=6, batch_size=4, ema=0.9, checkpoint=tmp_path / f"{len(states)}.pt"
            )
            with nullcontext() if stop is None else pytest.raises(KeyboardInterrupt):
                fit(model, data, config, progress="none", resume=True,
                    on_step=partial(interrupt, stop))  # fmt: skip
        states.append(model.state_dict())
    whole, broken = states
    assert all(torch.equal(whole[key], broken[key]) for key in whole)


def interrupt(stop: int | None, moment: Any) -> None:
    if moment.step == stop:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("name", LIVE)
def test_images_of_any_size_are_predicted_as_they_are_detected(name: str) -> None:
    data = Shapes(3, seed=1)
    model = detector(name, data).eval()
    images = [data[0][0], data[1][0][:, :90, :101], data[2][0]]
    for image, found in zip(images, predict(model, images), strict=True):
        (expected,) = model.detect(image[None] / 255)
        assert found["scores"].shape == expected["scores"].shape
        torch.testing.assert_close(found["boxes"], expected["boxes"], rtol=1e-3, atol=1e-2)


WAITING = """
from course_lib.data import Digits, Shapes
from course_lib.data.augment import Augmented, ColorJitter, Compose, Mosaic, RandomHorizontalFlip
from course_lib.engine import FitConfig, fit
from course_lib.models import create_detector

steps = Compose([RandomHorizontalFlip(), ColorJitter()])
shapes, digits = Shapes(1000, seed=31), Digits(1000, seed=31)
for data in (shapes, digits, Augmented(Mosaic(Shapes(1000, seed=32), p=0.5), steps)):
    model = create_detector("yolo", len(data.classes))
    print(fit(model, data, FitConfig.of(model, steps=20), progress="none").waiting)
"""


def test_the_model_does_not_wait_for_data() -> None:
    """Every picture is painted for the first time, beside the faster of the small detectors. In a
    process of its own, since the checks of shapes slow Python down and not the convolutions.
    """
    done = subprocess.run(
        [sys.executable, "-c", WAITING], capture_output=True, text=True, timeout=300, check=False
    )
    shares = [float(line) for line in done.stdout.split()]
    assert len(shares) == 3, done.stderr
    assert max(shares) <= 0.10, shares


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_a_step_of_a_full_size_network(name: str) -> None:
    data = Shapes(2, seed=1, masks="mask" in name)
    model = detector(name, data)
    history = fit(model, data, FitConfig.of(model, steps=2, batch_size=2), progress="none")
    assert history.steps == 2
