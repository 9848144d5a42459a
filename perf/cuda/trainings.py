"""Trainings of a few steps, and what captures, takes and compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn, optim
from torch.nn import functional

from benchmark import Optimization
from benchmark.training import (
    TRAINING,
    Engine,
    ResidentImages,
    TimeAccount,
    Training,
    seed_everything,
    started_engine,
)
from perf.built_in import configure
from perf.random_images import draw_images

BATCH = 8
STEPS = 8

Optimize = Callable[[nn.Module], Optimization]


def training_by(
    optimize: Optimize, model: nn.Module, device: torch.device, precision: str = "fp32"
) -> Training:
    """A training of ``model`` on images of noise: a few steps an epoch."""
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = ResidentImages(draw_images(BATCH * STEPS, 0), device)
    return Training(model, optimize(model), images, BATCH, precision)


def by_recipe(recipe: str) -> Optimize:
    """As a built-in recipe has it."""
    return lambda model: configure(
        recipe, model, epochs=20, steps_per_epoch=STEPS, batch_size=BATCH
    )


def by_optimizer(
    make: Callable[[nn.Module], optim.Optimizer], factors: list[float] | None = None
) -> Optimize:
    """By an optimiser alone, with cross-entropy."""
    return lambda model: Optimization(
        make(model), factors or [1.0] * (20 * STEPS), functional.cross_entropy
    )


def plain_sgd(model: nn.Module) -> optim.Optimizer:
    """SGD without momentum: a rate of zero moves nothing."""
    return optim.SGD(model.parameters(), lr=0.1)


def small_model() -> nn.Module:
    """A convolution with BatchNorm and dropout, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        # No bias: before BatchNorm its gradient is nothing but rounding.
        nn.Conv2d(3, 8, 3, stride=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 10),
    )


@contextmanager
def captured(training: Training) -> Iterator[Engine]:
    """Capture a step, which must succeed; a CPU's steps are eager."""
    account = TimeAccount(training.device)
    with started_engine(training, "auto", account) as engine:
        if training.device.type == "cuda":
            assert (engine.name, engine.reason) == ("graph", None)
        yield engine


def begin(training: Training, epoch: int) -> None:
    """Begin an epoch as a trial does."""
    seed_everything(0, TRAINING, epoch)
    training.begin_epoch(0, epoch)


def train(training: Training, take: Callable[[int], None], epochs: range) -> None:
    """Train so many epochs."""
    for epoch in epochs:
        begin(training, epoch)
        take(training.steps_per_epoch)


def assert_trained_alike(mine: Training, theirs: Training) -> None:
    """Compare the last epoch's losses, and the averages where there are some.

    A rate that a graph reads in fp32 is a Python number's in eager steps: rounding, which grows.
    """
    torch.testing.assert_close(mine.losses, theirs.losses, rtol=1e-3, atol=1e-4)
    if mine.average is not None:
        assert theirs.average is not None
        for name, value in mine.average.values.items():
            torch.testing.assert_close(value, theirs.average.values[name], rtol=1e-2, atol=1e-3)
