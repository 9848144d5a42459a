"""Trainings as the product makes them, on images of noise, and what takes and times their steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn

from benchmark import Optimization
from benchmark.training import (
    INITIAL_WEIGHTS,
    TRAINING,
    Clock,
    Engine,
    ResidentImages,
    Training,
    seed_everything,
)
from perf.built_in import build_model, configure
from perf.gpu.jobs import GRAPHS_NEED_CUDA
from perf.gpu.options import Options
from perf.random_images import draw_images

# As many epochs as any number of repeats takes.
EPOCHS = 100
# Two trainings that round differently drift apart; after so few steps they still say something.
COMPARED_STEPS = 10


class NotCapturedError(Exception):
    """A step of which there should be a graph; the text says why there is none."""


def make_training(
    options: Options, model: str, recipe: str = "adam", *, batch_size: int | None = None
) -> Training:
    """A training of a built-in model with a built-in recipe."""
    seed_everything(0, INITIAL_WEIGHTS)
    return training_of(
        build_model(model),
        options,
        lambda module, steps, size: configure(
            recipe, module, epochs=EPOCHS, steps_per_epoch=steps, batch_size=size
        ),
        batch_size,
    )


def training_of(
    model: nn.Module,
    options: Options,
    optimize: Callable[[nn.Module, int, int], Optimization],
    batch_size: int | None = None,
) -> Training:
    """A training of ``model``; ``optimize`` is given it, the steps an epoch and the batch size."""
    size = batch_size or options.batch_size
    model.to(device=options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimization = optimize(model, options.count // size, size)
    images = noise(options.count, options.device)
    return Training(model, optimization, images, size, options.precision)


@lru_cache(maxsize=1)
def noise(count: int, device: torch.device) -> ResidentImages:
    """Images and labels without meaning, the same ones each time."""
    return ResidentImages(draw_images(count, 0), device)


def why_not_captured(engine: Engine, device: torch.device) -> str | None:
    """Why there is no graph; None where there is one."""
    return engine.reason or (None if device.type == "cuda" else GRAPHS_NEED_CUDA)


def take_first_steps(training: Training, take: Callable[[int], None]) -> float:
    """Train for a few steps, the same ones each time; returns the last one's loss."""
    seed_everything(0, TRAINING, 0)
    training.begin_epoch(0, 0)
    steps = min(COMPARED_STEPS, training.steps_per_epoch)
    take(steps)
    return float(training.losses[steps - 1])


def finish_epoch(training: Training, take: Callable[[int], None]) -> None:
    """Take what is left of an epoch's steps: the next one begins with its first."""
    take(-training.steps_taken % training.steps_per_epoch)


def epoch_timer(training: Training, take: Callable[[int], None]) -> Callable[[int], float]:
    """A function that trains an epoch and returns its seconds, as a trial's clock has them."""
    clock = Clock(training.device)

    def run_epoch(epoch: int) -> float:
        seed_everything(0, TRAINING, epoch)
        with clock.measure() as stretch:
            training.begin_epoch(0, epoch)
            take(training.steps_per_epoch)
            training.draw_ahead(0, epoch + 1)
        return stretch.seconds

    return run_epoch
