"""Metrics of the probabilities that a model gives: how likely the truth, how honest the doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark import MetricEntry, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15


def negative_log_likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of minus the natural logarithm of the probability given to an image's class."""
    likelihoods = logits.double().log_softmax(1).gather(1, labels.unsqueeze(1))
    return -likelihoods.mean()


def calibration_error(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much confidence exceeds accuracy, or falls short of it, on average.

    Images are put into 15 bins of equal width by the probability of the class that they are given;
    the error is the mean over images of their bin's difference between its mean probability and its
    accuracy (Guo et al., 2017, "On calibration of modern neural networks", equation 3).
    """
    confidences, predictions = logits.double().softmax(1).max(1)
    right = (predictions == labels).double()
    # A bin holds its upper edge, not its lower one.
    bins = (confidences * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    excess = confidences.new_zeros(BINS).index_add_(0, bins, confidences - right)
    return excess.abs().sum() / len(labels)


@hookimpl
def benchmark_metrics() -> Iterator[MetricEntry]:
    """Offer the metrics."""
    yield MetricEntry(
        "negative_log_likelihood",
        "NLL",
        negative_log_likelihood,
        "lower",
        "mean negative log-likelihood, nats",
    )
    yield MetricEntry(
        "calibration_error",
        "calibr.\nerror (%)",
        calibration_error,
        "lower",
        "expected calibration error, 15 bins",
        in_percent=True,
        # Of a well calibrated model it is above the truth by what chance makes of each bin.
        has_image_error=False,
    )
