"""A mean over seeds, and how far it may be off."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import special

from benchmark.summaries import MeanInterval


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Student's t interval of the mean of independent values (Student, Biometrika 6, 1908).

    Raises ValueError for no values at all.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return MeanInterval(mean, None, 1)
    # scipy.special has the quantile of t without the second that scipy.stats takes to import.
    quantile = float(special.stdtrit(len(values) - 1, 0.5 + confidence / 2))
    standard_error = statistics.stdev(values) / math.sqrt(len(values))
    return MeanInterval(mean, quantile * standard_error, len(values))
