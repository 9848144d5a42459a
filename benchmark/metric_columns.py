"""A metric as columns of the table: its mean, and the bounds of its interval."""

from __future__ import annotations

from functools import cache, partial

from benchmark.entries import Column, MetricEntry
from benchmark.summaries import ACCURACY, NO_FIGURE, ModelSummary

# Behind the accuracy of a model that does no better than always naming the largest class.
NO_BETTER = " *"


# One that is made twice would not be equal to itself.
@cache
def metric_columns(metric: MetricEntry) -> tuple[Column, Column, Column]:
    """The columns ``NAME``, ``NAME_low`` and ``NAME_high``; people see the first."""
    name, better = metric.name, metric.better
    return (
        Column(
            name,
            metric.header,
            partial(_mean, name),
            better,
            partial(_text, name, metric.in_percent),
        ),
        Column(f"{name}_low", f"{metric.header}\nfrom", partial(_low, name), better, shown=False),
        Column(f"{name}_high", f"{metric.header}\nto", partial(_high, name), better, shown=False),
    )


def _mean(name: str, summary: ModelSummary) -> float | None:
    interval = summary.metric(name)
    return interval.mean if interval else None


def _low(name: str, summary: ModelSummary) -> float | None:
    interval = summary.metric(name)
    return interval.low if interval else None


def _high(name: str, summary: ModelSummary) -> float | None:
    interval = summary.metric(name)
    return interval.high if interval else None


def _text(name: str, in_percent: bool, summary: ModelSummary) -> str:
    interval = summary.metric(name)
    if interval is None:
        return NO_FIGURE
    is_marked = name == ACCURACY and summary.beats_largest_class is False
    return interval.text(in_percent=in_percent) + (NO_BETTER if is_marked else "")
