"""Trainings so small that a step takes a millisecond."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import torch
from torch import nn, optim
from torch.nn import functional

from benchmark import Images, Optimization
from benchmark.records import EpochRecord
from benchmark.training.clock import TimeAccount
from benchmark.training.data import ResidentImages
from benchmark.training.evaluation import Evaluation, Prepare, evaluate
from benchmark.training.loop import Judge, Judgement, train
from benchmark.training.preparation import as_floats
from benchmark.training.training import Training

CPU = torch.device("cpu")


def random_images(
    count: int, side: int = 8, classes: int = 3, device: torch.device = CPU
) -> ResidentImages:
    """Images of noise, the same ones each time."""
    generator = numpy.random.default_rng(count)
    pixels = generator.integers(0, 256, (count, 3, side, side), numpy.uint8)
    return ResidentImages(Images(pixels, generator.integers(0, classes, count)), device)


def plain_sgd(model: nn.Module) -> Optimization:
    """SGD at 0.1, for a thousand steps at most."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return Optimization(optimizer, [1.0] * 1000, functional.cross_entropy)


def make_training(
    optimize: Callable[[nn.Module], Optimization] = plain_sgd,
    *,
    images: ResidentImages,
    batch_size: int,
    model: nn.Module | None = None,
    precision: str = "fp32",
) -> Training:
    """A step of ``model``, by default a small convolution with BatchNorm and dropout."""
    if model is None:
        torch.manual_seed(0)
        model = nn.Sequential(
            # No bias: before BatchNorm its gradient is nothing but rounding.
            nn.Conv2d(3, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.LazyLinear(3),
        )
        model(torch.zeros(2, *images.pixels.permute(0, 3, 1, 2).shape[1:]))
    model = model.to(images.pixels.device)
    return Training(model, optimize(model), images, batch_size, precision)


def train_all(
    training: Training, test: ResidentImages, seed: int, epochs: int
) -> list[tuple[EpochRecord, Evaluation]]:
    """Train eagerly from the first epoch to the last."""
    account = TimeAccount(training.device)
    wanted = range(1, epochs + 1)
    judge = judge_by(test, training.precision, training.prepare)
    trained = train(training, training.take, judge, seed=seed, epochs=wanted, account=account)
    return [(record, judgement.final) for record, judgement in trained]


def judge_by(test: ResidentImages, precision: str, prepare: Prepare = as_floats) -> Judge:
    """Judge by the test images after every epoch, as a training without held-out images does."""
    return lambda model, epoch: Judgement(None, evaluate(model, test, precision, prepare))
