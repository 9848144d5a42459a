"""A metric as columns of the table: its mean, and the bounds of its interval."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

from benchmark.entries import Column, MetricEntry
from benchmark.summaries import ACCURACY, NO_FIGURE, Interval, ModelSummary

# Behind the accuracy of a model that does no better than always naming the largest class.
NO_BETTER = " *"


# Columns are compared by their functions, so those of a metric are made once.
@cache
def metric_columns(metric: MetricEntry) -> tuple[Column, Column, Column]:
    """The columns ``NAME``, ``NAME_low`` and ``NAME_high``; people see the first."""
    name, header, better = metric.name, metric.header, metric.better
    low, high = f"{name}_low", f"{name}_high"
    return (
        Column(name, header, partial(_mean, metric), better, partial(_text, metric)),
        Column(low, f"{header}\nfrom", partial(_low, metric), better, shown=False),
        Column(high, f"{header}\nto", partial(_high, metric), better, shown=False),
    )


def bounded(metric: MetricEntry, interval: Interval | None) -> Interval | None:
    """The interval; that of a share is cut off at 0 and 1."""
    if interval is None or not metric.in_percent or interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))


def _interval(metric: MetricEntry, summary: ModelSummary) -> Interval | None:
    return bounded(metric, summary.metric(metric.name))


def _mean(metric: MetricEntry, summary: ModelSummary) -> float | None:
    interval = _interval(metric, summary)
    return interval.mean if interval else None


def _low(metric: MetricEntry, summary: ModelSummary) -> float | None:
    interval = _interval(metric, summary)
    return interval.low if interval else None


def _high(metric: MetricEntry, summary: ModelSummary) -> float | None:
    interval = _interval(metric, summary)
    return interval.high if interval else None


def _text(metric: MetricEntry, summary: ModelSummary) -> str:
    interval = _interval(metric, summary)
    if interval is None:
        return NO_FIGURE
    is_marked = metric.name == ACCURACY and summary.beats_largest_class is False
    return interval.text(in_percent=metric.in_percent) + (NO_BETTER if is_marked else "")
