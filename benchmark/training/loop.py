"""An epoch after another, and what is made of the model after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.optimization import EpochFigures
from benchmark.records import EpochRecord
from benchmark.training.clock import TimeAccount
from benchmark.training.epoch_progress import EpochProgress
from benchmark.training.evaluation import Evaluation
from benchmark.training.seeds import TRAINING, seed_everything
from benchmark.training.training import Training


class DivergedError(Exception):
    """The loss stopped being a finite number."""


@dataclass(frozen=True)
class Judgement:
    """What a model is worth after an epoch: by the images held out, and by the test images.

    Either is None where it was not looked at; one of them always is looked at.
    """

    validation: Evaluation | None
    test: Evaluation | None

    @property
    def final(self) -> Evaluation:
        """That by which models are compared: by the test images, where they were looked at."""
        evaluation = self.test or self.validation
        assert evaluation is not None
        return evaluation


Judge = Callable[[nn.Module, int], Judgement]


def _keep_nothing(model: nn.Module, epoch: int) -> None:
    pass


def train(
    training: Training,
    take: Callable[[int], None],
    judge: Judge,
    keep: Callable[[nn.Module, int], None] = _keep_nothing,
    *,
    seed: int,
    epochs: Iterable[int],
    account: TimeAccount,
    progress: EpochProgress | None = None,
    earlier: Sequence[EpochRecord] = (),
) -> Iterator[tuple[EpochRecord, Judgement]]:
    """Train epoch by epoch, judging the model after each; ``take`` takes so many steps.

    ``earlier`` are the epochs that are done already.

    ``judge(model, epoch)`` is given the model as the recipe has it evaluated, and so is ``keep``,
    which may write to disk.

    Raises DivergedError, with epoch and step, when a loss is not finite, and BenchmarkError where
    the recipe cannot change the model, or decide its learning rates, for an epoch.
    """
    progress = progress or EpochProgress(training.device)
    figures = [*map(_as_figures, earlier)]
    for epoch in epochs:
        seed_everything(seed, TRAINING, epoch)
        with account.charge("training") as stretch:
            training.begin_epoch(seed, epoch)
            training.change_for_epoch(epoch)
            training.rates.decide(figures)
            progress.take(take, training.steps_per_epoch, epoch=epoch)
            # A GPU is still at work on what it was given.
            training.draw_ahead(seed, epoch + 1)
        progress.finish()
        with ExitStack() as lent:
            with account.charge("evaluation") as evaluation_stretch:
                loss, accuracy = epoch_figures(training, epoch)
                model = lent.enter_context(training.evaluated_model())
                judgement = judge(model, epoch)
            _require_finite(judgement, epoch)
            with account.charge("checkpoint"):
                keep(model, epoch)
        record = EpochRecord(
            number=epoch,
            train_seconds=stretch.seconds,
            train_loss=loss,
            train_accuracy=accuracy,
            evaluation_seconds=evaluation_stretch.seconds,
            learning_rate=training.learning_rate,
            timed=not stretch.was_suspended,
            **_judged(judgement),
        )
        figures.append(_as_figures(record))
        yield record, judgement


def phases(epochs: range, dropout_epochs: int | None) -> Iterator[tuple[range, bool]]:
    """Those of the epochs that have dropout, then those that have none; True for the first."""
    end = epochs.stop if dropout_epochs is None else dropout_epochs + 1
    end = min(max(end, epochs.start), epochs.stop)
    for phase, has_dropout in (range(epochs.start, end), True), (range(end, epochs.stop), False):
        if phase:
            yield phase, has_dropout


def epoch_figures(training: Training, epoch: int) -> tuple[float, float]:
    """Mean loss and accuracy over the epoch's steps: the epoch's one read from the device.

    Raises DivergedError if a step's loss is not finite.
    """
    losses = training.losses.cpu()
    not_finite = torch.nonzero(~torch.isfinite(losses))
    if len(not_finite):
        first = int(not_finite[0]) + 1
        raise DivergedError(
            f"the loss is not finite in epoch {epoch}, step {first} of {training.steps_per_epoch}"
        )
    images = training.steps_per_epoch * training.batch_size
    return float(losses.double().mean()), int(training.hits.sum()) / images


def _as_figures(record: EpochRecord) -> EpochFigures:
    return EpochFigures(
        epoch=record.number,
        train_loss=record.train_loss,
        train_accuracy=record.train_accuracy,
        validation_loss=record.validation_loss,
        validation_accuracy=record.validation_accuracy,
    )


def _judged(judgement: Judgement) -> dict[str, Any]:
    """What an epoch's record has of the images that the model was judged by."""
    figures: dict[str, Any] = {}
    for part in ("validation", "test"):
        evaluation = getattr(judgement, part)
        if evaluation is not None:
            figures[f"{part}_loss"] = evaluation.loss
            figures[f"{part}_accuracy"] = evaluation.accuracy
    if judgement.validation is not None:
        metrics = judgement.validation.metrics
        figures["validation_metrics"] = {name: f.value for name, f in metrics.items()}
    return figures


def _require_finite(judgement: Judgement, epoch: int) -> None:
    for part in ("validation", "test"):
        evaluation = getattr(judgement, part)
        if evaluation is not None and not math.isfinite(evaluation.loss):
            raise DivergedError(f"the {part} loss is not finite after epoch {epoch}")
