"""FitConfig, the learning rate over time, the order of the data, the optimizer's groups, averages."""

from __future__ import annotations

import inspect
import itertools
import math
import threading
import time

import pytest
import torch
from tiny_detector import Squares, tiny
from torch import nn

from course_lib.engine import Ema, FitConfig
from course_lib.engine.batches import (
    Ahead,
    batch_places,
    evaluation_batches,
    training_batches,
)
from course_lib.engine.optimizer import make_optimizer
from course_lib.engine.schedule import lr_factor

# --- FitConfig -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 5, "seconds": 5}, "steps or seconds, not both; got 5 steps, 5 seconds"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"seconds": 0}, "seconds must be above 0, got 0"),
        ({"lr": -0.1}, "lr must be above 0, got -0.1"),
        ({"lr": math.nan}, "lr must be above 0, got nan"),
        ({"weight_decay": -1}, "weight_decay must be 0 or more, got -1"),
        ({"ema": 1}, "ema must lie in 0..1, below 1, got 1"),
        ({"warmup": 1.5}, "warmup must lie in 0..1, below 1, got 1.5"),
        ({"milestones": (0.5, 3)}, r"milestones must be shares, .* got \(0.5, 3\)"),
        ({"optimizer": "adam"}, "optimizer must be adamw or sgd, got 'adam'"),
        ({"schedule": "step"}, "schedule must be one_cycle, steps or constant, got 'step'"),
        ({"precision": "half"}, "precision must be auto, .* got 'half'"),
    ],
)
def test_wrong_numbers_are_refused_when_the_config_is_made(wrong: dict, message: str) -> None:
    make = inspect.unwrap(FitConfig.__init__)  # past beartype, which users do not have
    with pytest.raises(ValueError, match=message):
        make(object.__new__(FitConfig), **wrong)


def test_how_long() -> None:
    assert FitConfig().budget == 60
    assert FitConfig(seconds=5).budget == 5
    assert FitConfig(steps=5).budget is None


def test_a_detector_recommends() -> None:
    model = tiny()
    assert FitConfig.of(model) == FitConfig(lr=0.02, batch_size=8)
    assert FitConfig.of(model, lr=0.1, steps=3) == FitConfig(lr=0.1, batch_size=8, steps=3)
    assert FitConfig.of(nn.Linear(1, 1), seed=3) == FitConfig(seed=3)
    model.recommended = {"seconds": 30}
    assert FitConfig.of(model).budget == 30
    assert FitConfig.of(model, steps=None).budget == 30
    assert FitConfig.of(model, steps=3).budget is None
    assert FitConfig.of(model, seconds=3).budget == 3
    assert model.recommended == {"seconds": 30}


def test_what_decides() -> None:
    """Two configs that differ in what does not decide count as one training, others do not."""
    config = FitConfig(steps=5)
    same = FitConfig(steps=5, log_every=1, checkpoint="x", checkpoint_every=0, workers=2)
    assert same.deciding() == config.deciding()
    for change in ({"seed": 1}, {"lr": 1}, {"batch_size": 3}, {"steps": 6}, {"ema": 0.5}):
        assert FitConfig(**{"steps": 5, **change}).deciding() != config.deciding()


# --- the learning rate ---------------------------------------------------------------------------


def test_one_cycle_is_pytorchs() -> None:
    config = FitConfig(lr=0.3, warmup=0.3, steps=11)
    parameter = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=11, pct_start=0.3, cycle_momentum=False, div_factor=25,
        final_div_factor=400,
    )  # fmt: skip
    for step in range(11):
        # Theirs ends its first phase at 0.3 · 11 − 1 steps of 10, and ours at 0.3 of all.
        share = step / 10
        up = 0.3 * 11 - 1
        share = 0.3 * step / up if step <= up else 0.3 + 0.7 * (step - up) / (10 - up)
        expected = optimizer.param_groups[0]["lr"]
        assert config.lr * lr_factor(config, share) == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        theirs.step()


def test_steps_and_constant() -> None:
    config = FitConfig(schedule="steps", warmup=0.1, milestones=(0.5, 0.75), drop=0.5)
    factors = {0: 0, 0.05: 0.5, 0.1: 1, 0.4: 1, 0.5: 0.5, 0.74: 0.5, 0.75: 0.25, 1: 0.25}
    for share, factor in factors.items():
        assert lr_factor(config, share) == pytest.approx(factor)
    config = FitConfig(schedule="constant", warmup=0.2)
    assert [lr_factor(config, share) for share in (0, 0.1, 0.2, 1)] == [0, 0.5, 1, 1]
    assert lr_factor(FitConfig(schedule="constant", warmup=0), 0) == 1
    assert lr_factor(FitConfig(warmup=0), 0) == 1


# --- the order of the data -----------------------------------------------------------------------


def test_every_epoch_has_every_image_once() -> None:
    places = list(itertools.chain(*(batch_places(0, 10, 4, step) for step in range(10))))
    for epoch in range(4):
        assert sorted(i for e, i in places if e == epoch) == list(range(10))
    assert [e for e, _ in places] == sorted(e for e, _ in places)
    orders = [[i for e, i in places if e == epoch] for epoch in range(4)]
    assert len(set(map(tuple, orders))) == 4, "each is shuffled anew"


def test_the_order_follows_from_seed_and_step() -> None:
    assert batch_places(3, 100, 8, 50) == batch_places(3, 100, 8, 50)
    assert batch_places(3, 100, 8, 50) != batch_places(4, 100, 8, 50)
    assert len(batch_places(0, 3, 8, 5)) == 8, "batches larger than the dataset"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_the_places_and_the_epochs(workers: int) -> None:
    data = Squares(6)
    with training_batches(data, 1, 4, first=2, workers=workers, pin=False) as batches:
        for step in range(2, 6):
            _, targets = next(batches)
            expected = [i for _, i in batch_places(1, 6, 4, step)]
            assert [target["image_id"] for target in targets] == expected
    if workers == 0:  # processes have datasets of their own
        assert data.epochs[:3] == [1, 2, 3]


def test_chance_outside_is_not_drawn_from() -> None:
    before = torch.get_rng_state()
    with training_batches(Squares(6), 0, 4, first=0, workers=0, pin=False) as batches:
        next(batches)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_goes_through_once() -> None:
    with evaluation_batches(Squares(7), 3) as batches:
        ids = [[target["image_id"] for target in targets] for _, targets in batches]
    assert ids == [[0, 1, 2], [3, 4, 5], [6]]


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ValueError, match="the dataset is empty"):
        training_batches(Squares(0), 0, 4, first=0, workers=0, pin=False)


def test_ahead_works_while_the_user_works() -> None:
    made = []

    def slow():
        for i in range(6):
            time.sleep(0.02)
            made.append(i)
            yield i

    with Ahead(slow) as items:
        assert next(items) == 0
        time.sleep(0.3)
        assert len(made) >= 5, "the others are ready"
        before = items.waited
        assert list(items) == [1, 2, 3, 4, 5]
        assert items.waited - before < 0.15
    assert before > 0


@pytest.mark.parametrize("ahead", [0, 2])
def test_the_first_item_is_nobodys_waiting(ahead: int) -> None:
    def slow():
        time.sleep(0.3)
        yield from (1, 2)

    with Ahead(slow, ahead) as items:
        items.begin()
        assert list(items) == [1, 2]
        assert items.waited < 0.2
    with Ahead(slow, ahead) as items:
        assert list(items) == [1, 2]
        assert items.waited > 0.2


def test_ahead_hands_errors_over_and_ends() -> None:
    def broken():
        yield 1
        raise ValueError("no such picture")

    before = threading.active_count()
    with pytest.raises(ValueError, match="no such picture"), Ahead(broken) as items:
        for _ in items:
            pass
    with Ahead(itertools.count) as endless:
        assert next(endless) == 0
    assert threading.active_count() == before


# --- optimizer and averages ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_no_decay_on_norms_and_biases(name: str) -> None:
    model = tiny()
    optimizer = make_optimizer(model, FitConfig(optimizer=name, weight_decay=0.3, momentum=0.7))
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for parameter_name, parameter in model.named_parameters():
        is_kernel = isinstance(
            model.get_submodule(parameter_name.rpartition(".")[0]), nn.Conv2d
        ) and parameter_name.endswith("weight")
        assert decay.pop(id(parameter)) == (0.3 if is_kernel else 0.0), parameter_name
    assert not decay
    group = optimizer.param_groups[0]
    assert (group["betas"][0] if name == "adamw" else group["momentum"]) == 0.7


def test_frozen_parameters_are_left_out() -> None:
    model = tiny()
    model.net[0].requires_grad_(False)
    optimizer = make_optimizer(model, FitConfig())
    ids = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(model.net[0].weight) not in ids
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that learns"):
        make_optimizer(model, FitConfig())


def test_averages_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    ema = Ema(model, 0.5)
    values, average = [1.0, 3.0, 2.0, 8.0, 5.0, 5.0, 6.0, 1.0, 9.0, 4.0], 1.0
    for step, value in enumerate(values):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(10 * value)
            model.num_batches_tracked.fill_(step)
        ema.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
    assert ema.average["weight"].item() == pytest.approx(average, rel=1e-6)
    assert ema.average["num_batches_tracked"] == 9
    with ema.applied(model):
        assert model.weight.item() == pytest.approx(average, rel=1e-6)
        assert model.running_mean.item() == pytest.approx(ema.average["running_mean"].item())
    assert model.weight.item() == 4
    assert model.running_mean.item() == 40
    with pytest.raises(KeyError), ema.applied(model):
        raise KeyError
    assert model.weight.item() == 4, "put back after an error too"
    ema.put_into(model)
    assert model.weight.item() == pytest.approx(average, rel=1e-6)
