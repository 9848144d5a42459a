"""What a recipe changes before each epoch's first step: when, how often, and after a stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmark import ModelEntry, Optimization, RecipeEntry, TrainingPlan, hookimpl
from benchmark.training.clock import TimeAccount
from benchmark.training.engine import started_engine
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine
from tests.support.made_training import make_training, plain_sgd, random_images
from tests.support.sampling import sampled
from tests.support.tiny import CONFIG
from tests.support.trial_files import figures, trial_record

EPOCHS = 5
CALLS = Path("calls.txt")

Change = Callable[[Any, int], object]


class Model(nn.Module):
    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(math.prod(input_shape), 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, num_classes)
        self.scale = 1.0

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.norm(self.dense(pixels.flatten(1))).relu() * self.scale
        return self.head(self.dropout(hidden))


# Each in two ways: by the epoch's number, and building on what was changed before.


def freeze(model: Model, epoch: int) -> None:
    if epoch == 2:
        model.dense.requires_grad_(False)


def thaw(model: Model, epoch: int) -> None:
    model.dense.requires_grad_(epoch > 3)


def lower_dropout(model: Model, epoch: int) -> None:
    model.dropout.p -= 0.1


def scale_by_epoch(model: Model, epoch: int) -> None:
    model.scale = 1 / epoch


def scale_at_random(model: Model, epoch: int) -> None:
    model.scale *= 0.5 + torch.rand(()).item()


def hold_statistics(model: Model, epoch: int) -> None:
    if epoch > 2:
        model.norm.eval()


def reset_head(model: Model, epoch: int) -> None:
    if epoch == 2:
        model.head.reset_parameters()


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        *(freeze, thaw, lower_dropout, scale_by_epoch, scale_at_random),
        *(hold_statistics, reset_head),
    )
}


def note(model: Model, epoch: int) -> None:
    """Note the epoch, that the model is in training mode, and that it is before the first step."""
    batches = int(model.norm.num_batches_tracked or 0)
    with CALLS.open("a") as file:
        file.write(f"{epoch} {model.training} {batches}\n")


def fail(model: Model, epoch: int) -> None:
    if epoch == 2:
        raise ValueError("no such layer\nand a second line")


def recipe(change: Change | None) -> Callable[[nn.Module, TrainingPlan], Optimization]:
    def configure(model: nn.Module, plan: TrainingPlan) -> Optimization:
        return Optimization(
            optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
            [1.0] * plan.total_steps,
            functional.cross_entropy,
            ema_decay=0.9,
            on_epoch_start=change,
        )

    return configure


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("model", Model)


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    for name, change in {**CHANGES, "note": note, "fail": fail, "plain": None}.items():
        yield RecipeEntry(name, recipe(change))


@pytest.fixture
def train(benchmark: CommandLine) -> Callable[..., int]:
    """Train the model for five epochs of four steps; returns the exit code."""
    text = CONFIG.replace("seeds: 2", "seeds: 1").replace("epochs: 2", f"epochs: {EPOCHS}")
    Path("tiny.yaml").write_text(f"{text}checkpoint_every: 1\n")

    def call(recipe: str, *arguments: str) -> int:
        chosen = ("-m", "model", "-r", recipe)
        return benchmark("run", "tiny.yaml", "-p", __file__, *chosen, *arguments).code

    return call


def interrupt(log: TrialLog, epoch: Any) -> None:
    if epoch.number == 3:
        raise KeyboardInterrupt


@pytest.mark.parametrize("change", sampled("changes of an epoch", [*CHANGES], 3))
def test_a_resumed_training_is_changed_as_an_uninterrupted_one(
    train: Callable[..., int], change: str
) -> None:
    assert train(change, "--out", "whole") == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        assert train(change) == 130
    assert train(change) == 0
    resumed, whole = trial_record("model"), trial_record("model", out="whole")
    assert resumed["resumed"] == 1
    assert figures(resumed) == figures(whole)
    # Also of attributes that no checkpoint keeps: they are changed again.
    assert resumed["warnings"] == whole["warnings"] == []
    assert train("plain", "--out", "plain") == 0
    assert figures(trial_record("model", out="plain")) != figures(whole)


def test_it_is_called_before_each_epochs_first_step(train: Callable[..., int]) -> None:
    assert train("note") == 0
    noted = [f"{epoch} True {4 * (epoch - 1)}" for epoch in range(1, EPOCHS + 1)]
    assert CALLS.read_text().splitlines() == noted


def test_one_that_raises_fails_the_trial_in_a_line(train: Callable[..., int]) -> None:
    assert train("fail") == 1
    record = trial_record("model")
    reason = "the recipe's on_epoch_start failed in epoch 2: ValueError: no such layer"
    assert (record["status"], record["reason"]) == ("failed", reason)
    assert len(record["epochs"]) == 1


def test_steps_are_not_captured_where_a_graph_would_not_notice_a_change() -> None:
    training = make_training(images=random_images(64), batch_size=16)
    account = TimeAccount(training.device)
    training.device = torch.device("cuda")
    training.optimization = dataclasses.replace(training.optimization, on_epoch_start=print)
    with started_engine(training, "auto", account) as engine:
        assert engine.name == "eager"
        assert engine.reason is not None
        assert "on_epoch_start" in engine.reason
    with started_engine(training, "eager", account) as engine:
        assert engine.reason is None


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ValueError, match="on_epoch_start is a function, not 3"):
        dataclasses.replace(plain_sgd(nn.Linear(2, 2)), on_epoch_start=3)  # type: ignore[arg-type]
