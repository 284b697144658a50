"""fit: it learns, counts, stops, repeats and resumes; on a detector that takes milliseconds."""

from __future__ import annotations

import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_detector import Squares, Tiny, tiny
from torch import Tensor

from course_lib.engine import FitConfig, History, NotFiniteError, evaluate, fit, load_weights
from course_lib.engine.batches import batch_places
from course_lib.engine.checkpoint import read_checkpoint
from course_lib.engine.training import half_type


def quick(**changes: Any) -> FitConfig:
    return FitConfig(**{"steps": 8, "batch_size": 4, "lr": 0.01, **changes})


def train(model: Tiny, config: FitConfig, data: Squares | None = None, **more: Any) -> History:
    return fit(model, data or Squares(24), config, progress="none", **more)


def same(one: Tiny, other: Tiny) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# --- learning ------------------------------------------------------------------------------------


def test_it_learns() -> None:
    model, data = tiny(), Squares(8)
    history = train(model, FitConfig.of(model, steps=150, batch_size=8), data, valid=data)
    assert history.result["AP50"] > 0.97
    assert history.valid == [
        {"step": 150, "seconds": history.seconds[-1]}
        | {name: history.result[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")}
    ]
    for name, values in history.terms.items():
        assert values[-1] < values[0] / 5, name
    assert not model.training, "ready to detect"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": "sgd", "lr": 0.02},
        {"schedule": "constant", "warmup": 0},
        {"schedule": "steps", "lr": 0.02},
        {"clip_norm": None},
        {"ema": 0.5},
        {"channels_last": False},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_ten_steps_on_one_batch_bring_every_term_down(change: dict[str, Any]) -> None:
    history = train(tiny(), quick(steps=10, batch_size=8, **change), Squares(8))
    for name, values in history.terms.items():
        assert values[-1] < values[0], name


def test_one_step_of_sgd_by_hand() -> None:
    """Gradient, clipping, decay and the learning rate of the first step, without the engine."""
    model, by_hand, data = tiny(), tiny(), Squares(24)
    config = quick(
        steps=1, optimizer="sgd", momentum=0, weight_decay=0.1, clip_norm=0.5, warmup=0,
        schedule="constant", lr=0.3,
    )  # fmt: skip
    history = train(model, config, data)
    samples = [data[i] for _, i in batch_places(0, 24, 4, 0)]
    images = torch.stack([image for image, _ in samples]) / 255
    sum(by_hand.loss(images, [target for _, target in samples]).values()).backward()
    length = torch.stack([p.grad.square().sum() for p in by_hand.parameters()]).sum().sqrt()
    assert length > 0.5
    assert history.gradient[0] == pytest.approx(length.item(), rel=1e-4)
    for (name, after), before in zip(model.named_parameters(), by_hand.parameters(), strict=True):
        move = before.grad * 0.5 / length + (0.1 * before if before.ndim > 1 else 0)
        torch.testing.assert_close(after, before - 0.3 * move, msg=name, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_no_longer_than_the_limit() -> None:
    plain, clipped = tiny(), tiny()
    numbers = {"steps": 1, "optimizer": "sgd", "momentum": 0, "weight_decay": 0, "warmup": 0}
    numbers |= {"schedule": "constant", "lr": 1.0}
    moves = []
    for model, limit in ((plain, None), (clipped, 0.01)):
        train(model, quick(clip_norm=limit, **numbers))
        first = tiny().state_dict()
        differences = [p - first[name] for name, p in model.named_parameters()]
        moves.append(torch.cat([d.flatten() for d in differences]).norm().item())
    assert moves[0] > 0.1
    assert moves[1] == pytest.approx(0.01, rel=1e-3)


def test_the_history_counts() -> None:
    moments = []
    history = train(tiny(), quick(), on_step=moments.append)
    assert history.steps == len(history.lr) == len(history.gradient) == len(moments) == 8
    assert set(history.terms) == {"classes", "boxes"}
    assert history.loss == [
        pytest.approx(a + b) for a, b in zip(*history.terms.values(), strict=True)
    ]
    assert history.seconds == sorted(history.seconds)
    assert 0 <= history.waited <= history.seconds[-1]
    assert history.waiting == history.waited / history.seconds[-1]
    assert history.images_per_second == pytest.approx(32 / history.seconds[-1])
    assert [moment.step for moment in moments] == list(range(1, 9))
    assert [moment.share for moment in moments] == [step / 8 for step in range(1, 9)]
    last = moments[-1]
    assert (last.loss, last.lr, last.seconds_left) == (history.loss[-1], history.lr[-1], 0)
    assert last.history is history
    assert max(history.lr) <= 0.01
    assert "8 steps in " in repr(history)


def test_evaluations_are_spread_evenly() -> None:
    history = train(tiny(), quick(evaluations=4), valid=Squares(4, seed=1))
    assert [row["step"] for row in history.valid] == [2, 4, 6, 8]
    more = train(tiny(), quick(steps=3, evaluations=10), valid=Squares(4, seed=1))
    assert [row["step"] for row in more.valid] == [1, 2, 3]


def test_seconds_are_kept() -> None:
    def slow(moment: Any) -> None:
        time.sleep(0.05)

    model = tiny()
    history = train(model, quick(steps=None, seconds=1.0, evaluations=3), valid=Squares(4),
                    on_step=slow)  # fmt: skip
    assert 0.6 < history.seconds[-1] <= 1.5
    assert history.lr[-1] < 0.01 * 0.2, "the schedule has come to its end"
    assert max(history.lr) > 0.005
    assert 1 <= len(history.valid) <= 3


def test_evaluation_does_not_count_as_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from course_lib.engine import loop

    def slow_evaluate(*args: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return evaluate(*args, **options)

    monkeypatch.setattr(loop, "evaluate", slow_evaluate)
    start = time.perf_counter()
    history = train(tiny(), quick(steps=4, evaluations=4), valid=Squares(2))
    assert time.perf_counter() - start - history.seconds[-1] > 1.9


# --- the same again ------------------------------------------------------------------------------


def test_the_seed_decides() -> None:
    models = [tiny(dropout=0.2) for _ in range(3)]
    torch.manual_seed(1)
    train(models[0], quick())
    torch.manual_seed(2)
    train(models[1], quick())
    train(models[2], quick(seed=1))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_nobody_elses_chance_is_touched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(tiny(dropout=0.2), quick(steps=2))
    assert torch.equal(torch.rand(1), expected)


def interrupt_at(step: int):
    def on_step(moment: Any) -> None:
        if moment.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


@pytest.mark.parametrize("change", [{}, {"optimizer": "sgd"}, {"precision": "float16"}], ids=str)
@pytest.mark.parametrize("stops", [[3], [1, 5, 7]], ids=str)
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(
    change: dict[str, Any], stops: list[int], tmp_path: Path
) -> None:
    whole = tiny(dropout=0.2)
    config = quick(ema=0.9, evaluations=2, checkpoint=tmp_path / "whole.pt", **change)
    expected = train(whole, config, valid=Squares(4))
    config = quick(ema=0.9, evaluations=2, checkpoint=tmp_path / "broken.pt", **change)
    for k, stop in enumerate(stops):
        torch.manual_seed(k)  # a new process, as far as chance is concerned
        with pytest.raises(KeyboardInterrupt):
            train(tiny(seed=k, dropout=0.2), config, valid=Squares(4), resume=True,
                  on_step=interrupt_at(stop))  # fmt: skip
    resumed = tiny(seed=9, dropout=0.2)
    history = train(resumed, config, valid=Squares(4), resume=True)
    assert same(resumed, whole)
    for name in ("terms", "lr", "gradient"):
        assert getattr(history, name) == getattr(expected, name)
    scores = [[row["AP"] for row in h.valid] for h in (history, expected)]
    assert scores[0] == scores[1]
    one, other = (read_checkpoint(tmp_path / f"{name}.pt") for name in ("whole", "broken"))
    assert_equal_states(one["optimizer"]["state"], other["optimizer"]["state"])
    assert_equal_states(one["ema"], other["ema"])
    assert_equal_states(one["model"], other["model"])


def assert_equal_states(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal_states(one[key], other[key])
    elif isinstance(one, Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    config = quick(ema=0.9, checkpoint=tmp_path / "run.pt")
    model, again = tiny(), tiny(seed=1)
    train(model, config)
    history = train(again, config, resume=True)
    assert same(model, again)
    assert history.steps == 8


def test_a_run_of_seconds_goes_on_with_the_time_that_is_left(tmp_path: Path) -> None:
    config = quick(steps=None, seconds=1.0, checkpoint=tmp_path / "run.pt")
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), config, on_step=interrupt_at(5))
    begun = read_checkpoint(config.checkpoint)["history"]["seconds"]
    start = time.perf_counter()
    history = train(tiny(), config, resume=True)
    assert history.seconds[:5] == begun
    assert history.seconds[-1] <= 1.5
    assert time.perf_counter() - start < 1.0 - begun[-1] + 0.5


def test_checkpoints_are_written_on_the_way(tmp_path: Path) -> None:
    seen = []

    def look(moment: Any) -> None:
        if moment.step > 1:
            seen.append(len(read_checkpoint(tmp_path / "run.pt")["history"]["seconds"]))

    train(tiny(), quick(checkpoint=tmp_path / "run.pt", checkpoint_every=0), on_step=look)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("ema", [None, 0.5])
def test_weights_of_a_checkpoint(ema: float | None, tmp_path: Path) -> None:
    model, other = tiny(), tiny(seed=1)
    train(model, quick(ema=ema, checkpoint=tmp_path / "run.pt"))
    load_weights(other, tmp_path / "run.pt")
    assert same(model, other)
    if ema:
        assert not same(model, tiny()), "it has learnt"
        raw = read_checkpoint(tmp_path / "run.pt")["model"]
        assert not torch.equal(raw["net.0.weight"], model.net[0].weight)


def test_what_cannot_be_resumed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(ValueError, match="resume needs to know the file"):
        train(tiny(), quick(), resume=True)
    train(tiny(), quick(checkpoint=path))
    with pytest.raises(ValueError, match=r"of another training.* lr: 0.01 then, 0.02 now; images"):
        train(tiny(), quick(checkpoint=path, lr=0.02), Squares(7), resume=True)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        train(tiny(), quick(checkpoint=path), resume=True)
    torch.save({"model": 1}, path)
    with pytest.raises(ValueError, match="not a checkpoint that `fit` wrote"):
        load_weights(tiny(), path)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_weights(tiny(), tmp_path / "none.pt")


# --- when it goes wrong --------------------------------------------------------------------------


class Spoilt(Tiny):
    """Its loss becomes nan, or only the gradient, at one step."""

    spoilt_at = 4
    where = "loss"
    calls = 0

    def loss(self, images: Any, targets: Any) -> dict[str, Tensor]:
        terms = super().loss(images, targets)
        if self.calls == self.spoilt_at:
            weight = self.net[0].weight
            zero = (weight - weight.detach()).sum()
            # √0 is 0, its slope is infinite, and infinite · 0 is nan
            terms["boxes"] = terms["boxes"] + (math.nan if self.where == "loss" else zero.sqrt())
        self.calls += 1
        return terms


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops(where: str) -> None:
    good, model = tiny(), Spoilt()
    model.load_state_dict(good.state_dict())
    model.where = where
    config = {"schedule": "constant", "warmup": 0}
    train(good, quick(steps=4, **config))
    with pytest.raises(NotFiniteError) as caught:
        train(model, quick(steps=8, **config))
    assert same(model, good), "as after 4 steps, BatchNorm's statistics too"
    text = str(caught.value)
    assert text.startswith("not finite at step 4: ")
    assert str([i for _, i in batch_places(0, 24, 4, 4)]) in text
    assert "learning rate 0.01, length of the gradient one step before " in text
    assert "try a smaller lr (0.001), a longer warmup;" in text
    assert "the model is as it was after 4 steps" in text
    if where == "loss":
        assert "boxes is nan" in text
        assert "finite: classes " in text
    else:
        assert "the gradient of net.0.weight" in text
    assert all(p.grad is None for p in model.parameters())
    assert not model.training


def answering(answer: Any) -> Tiny:
    """A detector whose loss gives what the list holds, one entry a step, over its own terms."""
    model = tiny()
    answers = iter(answer)

    def loss(images: Any, targets: Any) -> Any:
        entry = next(answers)
        return entry(Tiny.loss(model, images, targets))

    model.loss = loss
    return model


@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        ([lambda t: t["boxes"]], TypeError, "Tiny.loss must return a dict of terms"),
        ([lambda t: {}], TypeError, "Tiny.loss must return a dict of terms"),
        ([lambda t: {"a": 1.0}], TypeError, r"'a' must be a tensor \[\], got float"),
        ([lambda t: {"a": t["boxes"][None]}], TypeError, r"'a' must be a tensor .* got \[1\]"),
        (
            [dict, lambda t: {"boxes": t["boxes"]}],
            ValueError,
            "the same terms at every step, .* got boxes after classes, boxes",
        ),
    ],
)
def test_a_loss_against_the_contract_is_explained(
    answers: list[Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(answering(answers), quick())


def test_a_bad_picture_stops_the_training_where_it_is_used() -> None:
    class Broken(Squares):
        def __getitem__(self, index: int) -> Any:
            if index == 5:
                raise OSError("picture 5 cannot be read")
            return super().__getitem__(index)

    with pytest.raises(OSError, match="picture 5 cannot be read"):
        train(tiny(), quick(), Broken(12))


def test_an_interruption_between_two_steps(tmp_path: Path) -> None:
    """The step that was being made is made, the checkpoint is written, and Ctrl-C is Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), quick(checkpoint=tmp_path / "run.pt"), on_step=interrupt_at(3))
    assert len(read_checkpoint(tmp_path / "run.pt")["history"]["seconds"]) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_in_a_thread() -> None:
    """Signals belong to the main thread: elsewhere fit leaves them alone."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(train, tiny(), quick(steps=2)).result().steps == 2


# --- the machine ---------------------------------------------------------------------------------


def test_half_types() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert half_type(FitConfig(), cpu) is None
    assert half_type(FitConfig(precision="bfloat16"), cpu) == torch.bfloat16
    with pytest.MonkeyPatch.context() as patch:
        for known, expected in ((True, torch.bfloat16), (False, torch.float16)):
            patch.setattr(torch.cuda, "is_bf16_supported", lambda known=known, **_: known)
            assert half_type(FitConfig(), gpu) == expected
            assert half_type(FitConfig(precision="float32"), gpu) is None


def test_float16_scales_the_loss(tmp_path: Path) -> None:
    """The gradient that is clipped and noted is that of the loss, not of the scaled loss."""
    plain = train(tiny(), quick(steps=1), Squares(4))
    model = tiny()
    scaled = train(model, quick(steps=20, precision="float16", checkpoint=tmp_path / "run.pt"),
                   Squares(4))  # fmt: skip
    done = [length for length in scaled.gradient if math.isfinite(length)]
    assert 10 < len(done) < 20, "the first scale was too large, and such steps are skipped"
    assert done[0] == pytest.approx(plain.gradient[0], rel=0.05)
    assert scaled.loss[-1] < scaled.loss[0]
    assert read_checkpoint(tmp_path / "run.pt")["scaler"]["scale"] < 65536


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(tmp_path: Path) -> None:
    model, data = tiny(), Squares(8)
    config = FitConfig.of(model, steps=150, batch_size=8, device="cuda", ema=0.9)
    history = fit(model, data, config, valid=data, progress="none")
    assert next(model.parameters()).is_cuda
    assert history.result["AP50"] > 0.9
