"""Intervals of any figure of a training, over seeds alone.

They leave out the doubt that comes from the test images, which only a mean over images shows: for
accuracies see ``comparison``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmark.analysis.student import (
    check_confidence,
    smallest_detectable,
    t_quantile,
    two_sided_p_value,
    welch_freedom,
)
from benchmark.summaries import Difference, Interval, Ratio

# From so many seeds on, trials of the same seed are paired: with fewer, the degrees of freedom
# that are lost cost more than a drift of the machine's speed.
FEWEST_PAIRS = 5


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values (Student, Biometrika 6, 1908).

    Raises ValueError for no values at all, and a confidence that is not between 0 and 1.
    """
    check_confidence(confidence)
    if not values:
        raise ValueError("a mean needs at least one value")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Interval(mean, None, None, 1)
    freedom = len(values) - 1
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = t_quantile(freedom, confidence) * error
    return Interval(
        mean,
        mean - reach,
        mean + reach,
        len(values),
        seed_standard_error=error,
        degrees_of_freedom=freedom,
    )


def mean_difference(
    values_a: Sequence[float], values_b: Sequence[float], confidence: float = 0.95
) -> Difference:
    """Welch's t interval of the difference of two means (Welch, Biometrika 34, 1947).

    One value has no spread: where either has one there is no interval, and neither is there where
    no value differs from another of its model. Raises ValueError for no values at all, and a
    confidence that is not between 0 and 1.
    """
    check_confidence(confidence)
    if not values_a or not values_b:
        raise ValueError("a mean needs at least one value")
    mean = statistics.fmean(values_a) - statistics.fmean(values_b)
    counts = len(values_a), len(values_b)
    if 1 in counts:
        return Difference(mean, counts, confidence=confidence)
    variances = statistics.variance(values_a), statistics.variance(values_b)
    parts = [variance / count for variance, count in zip(variances, counts, strict=True)]
    if sum(parts) == 0:
        return Difference(mean, counts, confidence=confidence)
    freedom = welch_freedom(sum(parts), *zip(parts, counts, strict=True))
    error = math.sqrt(sum(parts))
    reach = t_quantile(freedom, confidence) * error
    normal = statistics.NormalDist()
    return Difference(
        mean,
        counts,
        low=mean - reach,
        high=mean + reach,
        seed_standard_error=error,
        degrees_of_freedom=freedom,
        p_value=two_sided_p_value(abs(mean) / error, freedom),
        superiority=normal.cdf(mean / math.sqrt(sum(variances))),
        detectable=smallest_detectable(error, freedom, confidence),
        confidence=confidence,
    )


def mean_ratio(
    values_a: Mapping[int, float],
    values_b: Mapping[int, float],
    confidence: float = 0.95,
    *,
    is_one_run: bool = True,
) -> Ratio:
    """How many times those of B the values of A are, from positive values by seed.

    The ratio of geometric means, whose interval is that of the difference of the logarithms' means:
    Welch's, or, where five or more seeds of one run have both, Student's over the seeds, since a
    run trains all models of one seed soon after one another. Raises ValueError for no values, for
    one that is not positive, and a confidence that is not between 0 and 1.
    """
    check_confidence(confidence)
    if not values_a or not values_b or min(*values_a.values(), *values_b.values()) <= 0:
        raise ValueError("a ratio needs positive values of both")
    logarithms_a = {seed: math.log(value) for seed, value in values_a.items()}
    logarithms_b = {seed: math.log(value) for seed, value in values_b.items()}
    shared = [seed for seed in logarithms_a if seed in logarithms_b]
    found: Interval | Difference
    if is_one_run and len(shared) >= FEWEST_PAIRS:
        differences = [logarithms_a[seed] - logarithms_b[seed] for seed in shared]
        found = mean_interval(differences, confidence)
    else:
        found = mean_difference([*logarithms_a.values()], [*logarithms_b.values()], confidence)
    return Ratio(
        math.exp(found.mean),
        None if found.low is None else _exponential(found.low),
        None if found.high is None else _exponential(found.high),
        is_paired=isinstance(found, Interval),
    )


def _exponential(logarithm: float) -> float:
    """The number, infinite where it is larger than any: a bound by two seeds can be."""
    try:
        return math.exp(logarithm)
    except OverflowError:
        return math.inf
