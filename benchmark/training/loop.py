"""An epoch, an evaluation, a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.records import EpochRecord
from benchmark.training.clock import TimeAccount
from benchmark.training.data import ResidentImages, as_floats
from benchmark.training.epoch_progress import EpochProgress
from benchmark.training.layout import Layout
from benchmark.training.precision import computing_in
from benchmark.training.seeds import TRAINING, seed_everything
from benchmark.training.training import Training

# As many images as keep a CPU's cores busy without filling its memory with activations.
EVALUATION_BATCH = 500


class DivergedError(Exception):
    """The loss stopped being a finite number."""


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy an image, and which images were classified rightly (bool of N)."""

    loss: float
    correct: numpy.ndarray[tuple[int], numpy.dtype[numpy.bool_]]

    @property
    def accuracy(self) -> float:
        """The fraction classified rightly."""
        return float(self.correct.mean())


def train(
    training: Training,
    take: Callable[[int], None],
    test: ResidentImages,
    *,
    seed: int,
    epochs: Iterable[int],
    account: TimeAccount,
    progress: EpochProgress | None = None,
) -> Iterator[tuple[EpochRecord, Evaluation]]:
    """Train epoch by epoch, evaluating after each; ``take`` takes so many of the training's steps.

    Raises DivergedError, with epoch and step, when a loss is not finite, and BenchmarkError where
    the recipe cannot change the model for an epoch.
    """
    progress = progress or EpochProgress(training.device)
    for epoch in epochs:
        seed_everything(seed, TRAINING, epoch)
        with account.charge("training") as stretch:
            training.begin_epoch(seed, epoch)
            training.change_for_epoch(epoch)
            progress.take(take, training.steps_per_epoch, epoch=epoch)
        progress.finish()
        with account.charge("evaluation") as evaluation_stretch:
            loss, accuracy = epoch_figures(training, epoch)
            with training.evaluated_model() as model:
                evaluation = evaluate(model, test, training.precision, training.layout)
        if not numpy.isfinite(evaluation.loss):
            raise DivergedError(f"the test loss is not finite after epoch {epoch}")
        record = EpochRecord(
            number=epoch,
            train_seconds=stretch.seconds,
            train_loss=loss,
            train_accuracy=accuracy,
            test_loss=evaluation.loss,
            test_accuracy=evaluation.accuracy,
            evaluation_seconds=evaluation_stretch.seconds,
            learning_rate=training.learning_rate,
            timed=not stretch.was_suspended,
        )
        yield record, evaluation


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


# Not inference_mode: a model may keep a tensor of its evaluation that its training then needs.
@torch.no_grad()
def evaluate(
    model: nn.Module, images: ResidentImages, precision: str, layout: Layout = "channels_last"
) -> Evaluation:
    """Classify every image once, dropout off and BatchNorm on its moving statistics."""
    model.eval()
    device = images.pixels.device
    total_loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros(len(images), dtype=torch.bool, device=device)
    for batch in evaluation_batches(len(images)):
        labels = images.labels[batch]
        with computing_in(precision, device):
            logits = _logits(model, as_floats(images.pixels[batch], layout))
        logits = logits.float()
        total_loss += functional.cross_entropy(logits, labels, reduction="sum")
        correct[batch] = logits.argmax(1) == labels
    return Evaluation(float(total_loss) / len(images), correct.cpu().numpy())


def evaluation_batches(images: int) -> Iterator[slice]:
    """Batches of EVALUATION_BATCH images and what is left; one image left joins those before it."""
    start = 0
    while start < images:
        stop = start + EVALUATION_BATCH
        if stop >= images - 1:
            stop = images
        yield slice(start, stop)
        start = stop


def _logits(model: nn.Module, pixels: Tensor) -> Tensor:
    """What the model gives; a single image is given to it twice.

    There are models that drop a batch dimension of one, or normalise over the batch.
    """
    if len(pixels) > 1:
        return model(pixels)  # type: ignore[no-any-return]
    return model(pixels.repeat(2, 1, 1, 1))[:1]  # type: ignore[no-any-return]
