"""Which ranks each model may have: "cannot be told apart" is no order, so a rank is a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from scipy import special

from benchmark.analysis.outcomes import Floats, Outcomes
from benchmark.analysis.scores import scores_of_no_difference
from benchmark.analysis.student import check_confidence
from benchmark.summaries import RankRange

Bools = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]


def rank_ranges(outcomes: Sequence[Outcomes], confidence: float = 0.95) -> list[RankRange]:
    """The ranks that each of several models may have, from 1, the best.

    From 1 + the number of models that are surely better to k - the number that are surely worse.
    Every pair is compared as ``difference`` does, and a model is surely better where the p-value,
    adjusted for all pairs (Holm, Scandinavian Journal of Statistics 6, 1979), says so: that any
    pair of equal models is told apart happens in at most 1 - ``confidence`` of runs.

    Raises ValueError for a model with one seed, for different numbers of images, and for a
    confidence that is not between 0 and 1.
    """
    check_confidence(confidence)
    if not outcomes:
        return []
    means, p_values = pairwise_p_values(outcomes)
    differ = holm_adjusted(p_values) < 1 - confidence
    better = differ & (means[:, None] > means[None, :])
    count = len(outcomes)
    return [
        RankRange(1 + int(above), count - int(below))
        for above, below in zip(better.sum(axis=0), better.sum(axis=1), strict=True)
    ]


def pairwise_p_values(outcomes: Sequence[Outcomes]) -> tuple[Floats, Floats]:
    """The means of k models, and k x k p-values of their differences, all pairs at once.

    Raises ValueError for a model with one seed, and for different numbers of images.
    """
    if any(table.seeds < 2 for table in outcomes):
        raise ValueError("a model with one seed cannot be ranked")
    if len({table.images for table in outcomes}) > 1:
        raise ValueError("all models should have the same images")
    count, images = len(outcomes), outcomes[0].images
    means = numpy.array([table.mean for table in outcomes])
    from_seeds = numpy.array([table.seed_variance / table.seeds for table in outcomes])
    freedoms = numpy.array([table.seeds - 1.0 for table in outcomes])
    noises = numpy.array([table.residual / table.seeds for table in outcomes])
    extreme = numpy.array([table.is_extreme for table in outcomes])

    # The variance of a difference is that of both less twice what they share.
    centred = numpy.stack([table.shares for table in outcomes]) - means[:, None]
    shared = centred @ centred.T / max(images - 1, 1)
    own = numpy.diag(shared)
    varying = _of_pairs(own) - 2 * shared - _of_pairs(noises)
    seed_variance = _of_pairs(from_seeds)
    variance = seed_variance + numpy.maximum(0.0, varying) / images
    estimated = _of_pairs(from_seeds**2 / freedoms)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        deviation = numpy.abs(means[:, None] - means[None, :]) / numpy.sqrt(variance)
        p_values = 2 * special.stdtr(variance**2 / estimated, -deviation)
    is_normal = (seed_variance > 0) & ~(extreme[:, None] | extreme[None, :])
    scores = scores_of_no_difference(means[:, None] - means[None, :], images, variance)
    p_values = numpy.where(is_normal, p_values, 2 * special.ndtr(-numpy.abs(scores)))
    p_values[numpy.diag_indices(count)] = 1.0
    return means, p_values


def holm_adjusted(p_values: Floats) -> Floats:
    """Those of a symmetric k x k matrix, each pair adjusted for all k(k - 1)/2."""
    rows, columns = numpy.triu_indices(len(p_values), 1)
    pairs = p_values[rows, columns]
    order = numpy.argsort(pairs, kind="stable")
    weights = numpy.arange(len(pairs), 0, -1)
    adjusted = numpy.empty_like(pairs)
    adjusted[order] = numpy.minimum(1.0, numpy.maximum.accumulate(pairs[order] * weights))
    matrix = numpy.ones_like(p_values)
    matrix[rows, columns] = matrix[columns, rows] = adjusted
    return matrix


def _of_pairs(values: Floats) -> Floats:
    """The sum of the values of both, for each pair."""
    return values[:, None] + values[None, :]
