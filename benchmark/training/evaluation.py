"""A model judged by images: the class it gives to each, and its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.records import MetricFigure
from benchmark.training.data import ResidentImages
from benchmark.training.evaluation_batches import EvaluationBatches
from benchmark.training.precision import computing_in
from benchmark.training.preparation import as_floats


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of N images.

    ``loss`` is the mean cross-entropy an image, ``predictions`` the class given to each (N, of the
    smallest unsigned integer type that holds every class), ``correct`` whether it is the right one
    (bool of N). ``metrics`` are figures that were measured besides, by name.
    """

    loss: float
    predictions: numpy.ndarray[Any, Any]
    correct: numpy.ndarray[tuple[int], numpy.dtype[numpy.bool_]]
    metrics: Mapping[str, MetricFigure] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """The fraction classified rightly."""
        return float(self.correct.mean())


Measure = Callable[[Tensor, Tensor], Mapping[str, MetricFigure]]
Prepare = Callable[[Tensor], Tensor]


def measure_nothing(logits: Tensor, labels: Tensor) -> Mapping[str, MetricFigure]:
    """Compute no figures."""
    return {}


# Not inference_mode: a model may keep a tensor of its evaluation that its training then needs.
@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: ResidentImages,
    precision: str,
    prepare: Prepare = as_floats,
    measure: Measure = measure_nothing,
    batches: EvaluationBatches | None = None,
) -> Evaluation:
    """Classify every image once, dropout off and BatchNorm on its moving statistics.

    ``prepare`` makes what the model is given of uint8 of N x H x W x C.
    ``measure(logits, labels)`` computes figures from float32 of N x classes and int64 of N.
    ``batches`` remembers how many images the model can be given, for its next evaluation.
    """
    model.eval()
    batches = batches or EvaluationBatches()
    device = images.pixels.device

    def classify(batch: slice) -> Tensor:
        with computing_in(precision, device):
            logits = _logits(model, prepare(images.pixels[batch]))
        return logits.float()

    batches.measure_largest(len(images), device, classify)
    logits, total_loss = batches.within_memory(
        len(images), lambda slices: _classified(classify, slices, images.labels)
    )
    predictions = logits.argmax(1)
    loss = total_loss / len(images)
    return Evaluation(
        loss=loss,
        predictions=predictions.cpu().numpy().astype(smallest_type(logits.shape[1])),
        correct=(predictions == images.labels).cpu().numpy(),
        metrics=measure(logits, images.labels) if math.isfinite(loss) else {},
    )


def smallest_type(classes: int) -> numpy.dtype[Any]:
    """The smallest unsigned integer type that numbers so many classes."""
    return numpy.min_scalar_type(max(classes - 1, 0))


def _classified(
    classify: Callable[[slice], Tensor], batches: Sequence[slice], labels: Tensor
) -> tuple[Tensor, float]:
    """The logits of all images, and the sum of their losses."""
    total_loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    parts = []
    for batch in batches:
        parts.append(classify(batch))
        total_loss += functional.cross_entropy(parts[-1], labels[batch], reduction="sum")
    return torch.cat(parts), float(total_loss)


def _logits(model: nn.Module, pixels: Tensor) -> Tensor:
    """What the model gives; a single image is given to it twice.

    There are models that drop a batch dimension of one, or normalise over the batch.
    """
    if len(pixels) > 1:
        return model(pixels)  # type: ignore[no-any-return]
    return model(pixels.repeat(2, 1, 1, 1))[:1]  # type: ignore[no-any-return]
