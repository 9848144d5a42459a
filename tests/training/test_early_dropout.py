"""Early dropout: a recipe may have dropout layers work in the first epochs only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn

from benchmark import ModelEntry, Options, Tracker, TrackerEntry, hookimpl
from benchmark.specs import TrialSpec
from benchmark.training.batch_norm import calibrated
from benchmark.training.graph import CapturedStep
from benchmark.training.loop import phases
from benchmark.training.recording import Body, Recording
from tests.conftest import CommandLine
from tests.support.made_training import make_training, plain_sgd, random_images, train_all
from tests.support.tiny import CONFIG

EPOCHS = 5
WORKING = Path("working.txt")


@given(
    first=st.integers(1, 20),
    count=st.integers(0, 20),
    dropout_epochs=st.none() | st.integers(0, 50),
)
def test_every_epoch_is_in_one_phase_and_those_with_dropout_come_first(
    first: int, count: int, dropout_epochs: int | None
) -> None:
    epochs = range(first, first + count)
    found = [
        (epoch, has_dropout)
        for phase, has_dropout in phases(epochs, dropout_epochs)
        for epoch in phase
    ]
    limit = first + count if dropout_epochs is None else dropout_epochs
    assert found == [(epoch, epoch <= limit) for epoch in epochs]
    assert all(phase for phase, _ in phases(epochs, dropout_epochs))


def model_with(probability: float) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.Dropout2d(probability),
        nn.Flatten(),
        nn.Dropout(probability),
        nn.AlphaDropout(probability),
        nn.Linear(144, 3),
    )


def test_an_epoch_without_dropout_is_one_of_a_model_that_has_none() -> None:
    images, test = random_images(64), random_images(30)
    without_layers = make_training(images=images, batch_size=16, model=model_with(0.0))
    switched_off = make_training(images=images, batch_size=16, model=model_with(0.5))
    switched_off.drops_out = False
    expected, found = (train_all(step, test, 5, 2) for step in (without_layers, switched_off))
    assert [e.train_loss for e, _ in found] == [e.train_loss for e, _ in expected]
    torch.testing.assert_close(
        switched_off.model.state_dict(), without_layers.model.state_dict(), rtol=0, atol=0
    )


def test_dropout_works_again_when_it_is_switched_on() -> None:
    training = make_training(images=random_images(64), batch_size=16, model=model_with(0.5))
    training.drops_out = False
    training.begin_epoch(0, 1)
    assert not any(layer.training for layer in dropout_layers(training.model))
    assert training.model.get_submodule("0").training
    training.drops_out = True
    training.begin_epoch(0, 2)
    assert all(layer.training for layer in dropout_layers(training.model))


def dropout_layers(model: nn.Module) -> list[nn.Module]:
    kinds = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout)
    return [layer for layer in model.modules() if isinstance(layer, kinds)]


def test_a_step_is_captured_as_it_is_then_trained() -> None:
    def record(body: Body) -> Recording:
        assert not any(layer.training for layer in dropout_layers(training.model))
        return Recording(body)

    training = make_training(images=random_images(64), batch_size=16, model=model_with(0.5))
    training.drops_out = False
    with calibrated(training.model, [], "fp32"):
        pass
    CapturedStep(training, record)


def test_a_negative_number_of_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match="dropout_epochs is a number of epochs, not -1"):
        dataclasses.replace(plain_sgd(nn.Linear(2, 2)), dropout_epochs=-1)


class Watched(nn.Module):
    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(192, num_classes)
        self.works = True

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.works = self.dropout.training
        logits: torch.Tensor = self.dense(self.dropout(pixels.flatten(1)))
        return logits


class Watch(Tracker):
    """Notes of each epoch whether dropout worked; ends the run after the fourth, once."""

    def __init__(self, options: Options) -> None:
        self.model: Any = None

    def on_trial_start(self, trial: TrialSpec, model: nn.Module, epochs_done: int) -> None:
        self.model = model

    def on_epoch_end(self, epoch: Any) -> None:
        with WORKING.open("a") as file:
            file.write(f"{epoch.number} {self.model.works}\n")
        stopped = Path("stopped")
        if epoch.number == 4 and not stopped.exists():
            stopped.touch()
            raise KeyboardInterrupt


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("watched", Watched)


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("watch", Watch)


def test_the_strong_recipe_ends_without_dropout_and_so_does_a_training_that_went_on(
    benchmark: CommandLine,
) -> None:
    Path("tiny.yaml").write_text(CONFIG)
    chosen = ("-m", "watched", "-r", "sgd_onecycle", "--tracker", "watch")
    arguments = ("run", "tiny.yaml", "-p", __file__, *chosen)
    settings = ("--set", "recipe.dropout_until=0.6", "--set", "checkpoint_every=1")
    options = ("--seeds", "1", "--epochs", str(EPOCHS), *settings)
    assert benchmark(*arguments, *options).code == 130
    assert benchmark(*arguments, *options).code == 0
    assert WORKING.read_text().splitlines() == ["1 True", "2 True", "3 True", "4 False", "5 False"]
