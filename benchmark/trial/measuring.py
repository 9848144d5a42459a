"""Metrics worked out from logits and labels, and how far each depends on which images there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.entries import MetricEntry
from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.records import (
    JACKKNIFE_GROUPS,
    MetricFigure,
)

# So far apart, as shares of their mean, are numbers that are equal but for rounding.
ROUNDING = 1e-13


class Measures:
    """Works metrics out; one that fails is left out, and ``warn`` gets a line once."""

    def __init__(self, metrics: Sequence[MetricEntry], warn: Callable[[str], None]) -> None:
        self._metrics = metrics
        self._warn = warn
        self._told: set[str] = set()

    def alone(self, logits: Tensor, labels: Tensor) -> dict[str, MetricFigure]:
        """The figures of N images, from logits, float32 of N x classes, and labels, int64 of N."""
        return dict(self._sound(lambda metric: MetricFigure(value=_value(metric, logits, labels))))

    def with_errors(self, logits: Tensor, labels: Tensor) -> dict[str, MetricFigure]:
        """The same, with the standard errors that they have because of which images there are."""
        return dict(self._sound(lambda metric: _figure(metric, logits, labels)))

    def _sound(
        self, work_out: Callable[[MetricEntry], MetricFigure]
    ) -> Iterator[tuple[str, MetricFigure]]:
        for metric in self._metrics:
            try:
                yield metric.name, work_out(metric)
            except PLUGIN_FAULTS as error:
                if metric.name not in self._told:
                    self._told.add(metric.name)
                    self._warn(f"metric {metric.name!r} is left out: {_reason(error)}")


class NoFigureError(Exception):
    """A metric that gave something else than a finite number; the text says what."""


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, NoFigureError) else one_line(error)


def _value(metric: MetricEntry, logits: Tensor, labels: Tensor) -> float:
    # Copies: what one metric does to them is not to be another's.
    given: Any = metric.value(logits.clone(), labels.clone())
    if isinstance(given, str | bytes):
        raise NoFigureError(f"it gave a {type(given).__name__}, not a number")
    try:
        value = float(given)
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {tuple(given.shape)}" if isinstance(given, Tensor) else ""
        raise NoFigureError(f"it gave a {type(given).__name__}{shape}, not a number") from error
    if not math.isfinite(value):
        raise NoFigureError(f"it gave {value}, not a finite number")
    return value


def _figure(metric: MetricEntry, logits: Tensor, labels: Tensor) -> MetricFigure:
    error = _jackknife(metric, logits, labels) if metric.has_image_error else None
    return MetricFigure(
        value=_value(metric, logits, labels),
        image_standard_error=error,
    )


def _jackknife(metric: MetricEntry, logits: Tensor, labels: Tensor) -> float | None:
    """The standard error by leaving groups of images out in turn; None where that says nothing.

    The delete-group jackknife (Kott, 2001, "The delete-a-group jackknife"): whatever the metric,
    it is worked out again on all but one of G random groups, and the variance is
    (G - 1) / G times the sum of the squared deviations from their mean.
    """
    images = len(labels)
    groups = torch.randperm(images, generator=torch.Generator().manual_seed(0)) % JACKKNIFE_GROUPS
    groups = groups.to(labels.device)
    values = []
    for group in range(min(JACKKNIFE_GROUPS, images)):
        kept = torch.nonzero(groups != group).squeeze(1)
        try:
            values.append(_value(metric, logits[kept], labels[kept]))
        except (NoFigureError, *PLUGIN_FAULTS):
            # Of so few images there may be no figure.
            return None
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    deviations = [value - mean for value in values]
    if max(map(abs, deviations)) <= ROUNDING * abs(mean):
        return 0.0
    error = math.hypot(*deviations) * math.sqrt((len(values) - 1) / len(values))
    return error if math.isfinite(error) else None
