"""How sure a metric's mean over seeds is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmark.analysis.comparison import Doubt
from benchmark.analysis.student import t_quantile, welch_freedom
from benchmark.records import (
    JACKKNIFE_GROUPS,
    MetricFigure,
    TrialRecord,
)
from benchmark.summaries import Interval


def metric_intervals(records: Sequence[TrialRecord], doubt: Doubt = "both") -> dict[str, Interval]:
    """The interval of each metric that all of the completed trials have."""
    completed = [record.metrics for record in records if record.status == "completed"]
    names = [name for name in (completed[0] if completed else ()) if _is_in_all(name, completed)]
    return {name: metric_interval([m[name] for m in completed], doubt) for name in names}


def _is_in_all(name: str, completed: Sequence[dict[str, MetricFigure]]) -> bool:
    return all(name in metrics for metrics in completed)


def metric_interval(
    figures: Sequence[MetricFigure], doubt: Doubt = "both", confidence: float = 0.95
) -> Interval:
    """The mean of a metric over n trainings, one a seed, and its interval.

    With S² the variance of the n figures and J_i the jackknife's standard error of each because of
    which images there are:

        V = S²/n + I,   I = (J_1² + ... + J_n²) / n
        df = V² / ((S²/n)² / (n - 1) + I² / 19)

    and the interval is the mean ± t(df) sqrt(V). ``doubt`` leaves one of the two out. The same
    images judge every training, so more trainings do not reduce I. It has a share of S²/n in it,
    by which the interval is too wide rather than too narrow. For one training there is no interval
    unless it is about images. Where a standard error is not known, the interval is over seeds alone
    (``image_standard_error`` is None then), and there is none that is about images.
    """
    count = len(figures)
    mean = statistics.fmean(figure.value for figure in figures)
    errors = [figure.image_standard_error for figure in figures]
    known = [error for error in errors if error is not None]
    if len(known) < count:
        if doubt == "images":
            return Interval(mean, None, None, count)
        doubt = "seeds"
    if count == 1 and doubt != "images":
        return Interval(mean, None, None, count)
    parts: list[tuple[float, int]] = []
    if doubt != "images":
        parts.append((statistics.variance(figure.value for figure in figures) / count, count))
    if doubt != "seeds":
        parts.append((statistics.fmean(error**2 for error in known), JACKKNIFE_GROUPS))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, None, None, count)
    freedom = welch_freedom(variance, *parts)
    reach = t_quantile(freedom, confidence) * math.sqrt(variance)
    return Interval(
        mean,
        mean - reach,
        mean + reach,
        count,
        seed_standard_error=None if doubt == "images" else math.sqrt(parts[0][0]),
        image_standard_error=None if doubt == "seeds" else math.sqrt(parts[-1][0]),
        degrees_of_freedom=freedom,
    )
