"""Rules of comparison that others use, and that do worse than the one of ``benchmark.analysis``."""

from __future__ import annotations

import math

import numpy
from scipy import special

from benchmark.analysis import Outcomes, outcomes_interval
from perf.simulation import Bools


def paired_by_seed(of_a: Bools, of_b: Bools, confidence: float = 0.95) -> tuple[float, float]:
    """The bounds of a difference whose seeds are paired, as its images are.

    The rule for one model, of the table of differences: its degrees of freedom are half as many.
    """
    seeds, images = of_a.shape
    differences = of_a.astype(numpy.int8) - of_b.astype(numpy.int8)
    shares = differences.mean(axis=0)
    of_seeds = differences.mean(axis=1)
    mean = float(of_seeds.mean())
    total = float(numpy.square(differences, dtype=float).sum()) - seeds * images * mean**2
    between = images * float(of_seeds.var()) * seeds + seeds * float(shares.var()) * images
    residual = (total - between) / ((seeds - 1) * (images - 1))
    from_seeds = float(of_seeds.var(ddof=1)) / seeds
    variance = from_seeds + max(0.0, (float(shares.var(ddof=1)) - residual / seeds) / images)
    level = 0.5 + confidence / 2
    if from_seeds == 0:
        reach = special.ndtri(level) * math.sqrt(variance)
    else:
        freedom = variance**2 / (from_seeds**2 / (seeds - 1))
        reach = special.stdtrit(freedom, level) * math.sqrt(variance)
    return mean - reach, mean + reach


def counting_noise_twice(a: Outcomes, b: Outcomes) -> tuple[Outcomes, Outcomes]:
    """The same as if nothing of what varies between images were the noise of single answers."""
    return Outcomes(a.accuracies, a.shares, 0.0), Outcomes(b.accuracies, b.shares, 0.0)


def by_satterthwaite(outcomes: Outcomes, confidence: float = 0.95) -> tuple[float, float]:
    """The bounds of one model's interval, with the degrees of freedom that serve for a difference.

    Where the interval is Wilson's it has none, and is left as it is.
    """
    found = outcomes_interval(outcomes, confidence)
    assert found.low is not None
    assert found.high is not None
    if found.degrees_of_freedom == math.inf:
        return found.low, found.high
    assert found.seed_standard_error is not None
    assert found.image_standard_error is not None
    variance = found.seed_standard_error**2 + found.image_standard_error**2
    freedom = variance**2 / (found.seed_standard_error**4 / (outcomes.seeds - 1))
    reach = special.stdtrit(freedom, 0.5 + confidence / 2) * math.sqrt(variance)
    return found.mean - reach, found.mean + reach
