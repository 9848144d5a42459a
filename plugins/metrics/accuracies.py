"""Metrics of the class that a model gives each image: which are right, and of which classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark import MetricEntry, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

GUESSES = 5


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of images whose highest logit is that of their class."""
    return (logits.argmax(1) == labels).double().mean()


def top5_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of images whose class is among the five with the highest logits."""
    guesses = logits.topk(min(GUESSES, logits.shape[1])).indices
    return (guesses == labels.unsqueeze(1)).any(1).double().mean()


def balanced_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of the classes' own accuracies (Brodersen et al., 2010); of classes with images."""
    return _class_accuracies(logits, labels).mean()


def worst_class_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The lowest of the classes' own accuracies; of classes with images."""
    return _class_accuracies(logits, labels).min()


def macro_f1(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of the classes' F1 scores, the harmonic means of precision and recall.

    Of classes that have images or are given to one; a class that is never right scores 0.
    """
    classes = logits.shape[1]
    predictions = logits.argmax(1)
    right = labels[predictions == labels].bincount(minlength=classes).double()
    both = labels.bincount(minlength=classes) + predictions.bincount(minlength=classes)
    known = both > 0
    return (2 * right[known] / both[known]).mean()


def _class_accuracies(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each class with images the share that is right."""
    classes = logits.shape[1]
    right = labels[logits.argmax(1) == labels].bincount(minlength=classes).double()
    images = labels.bincount(minlength=classes)
    known = images > 0
    return right[known] / images[known]


@hookimpl
def benchmark_metrics() -> Iterator[MetricEntry]:
    """Offer the metrics, all of them fractions."""
    yield MetricEntry("accuracy", "acc. (%)", accuracy, "higher", "images that are right", True)
    yield MetricEntry(
        "top5_accuracy",
        "top-5\nacc. (%)",
        top5_accuracy,
        "higher",
        "class among the five most likely",
        True,
    )
    yield MetricEntry(
        "balanced_accuracy",
        "balanced\nacc. (%)",
        balanced_accuracy,
        "higher",
        "mean accuracy of the classes",
        True,
    )
    yield MetricEntry(
        "macro_f1",
        "macro\nF1 (%)",
        macro_f1,
        "higher",
        "mean F1 score of the classes",
        True,
    )
    yield MetricEntry(
        "worst_class_accuracy",
        "worst class\nacc. (%)",
        worst_class_accuracy,
        "higher",
        "lowest accuracy of a class",
        in_percent=True,
        # Which class that is depends on a few images, and the lowest of several is too low.
        has_image_error=False,
    )
