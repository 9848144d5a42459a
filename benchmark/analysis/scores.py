"""Intervals and tests over images for where a normal distribution would be wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
from scipy import special

from benchmark.analysis.outcomes import Floats, Outcomes

# Halvings of an interval until nothing of it is left in double precision.
_HALVINGS = 60


def wilson_bounds(outcomes: Outcomes, variance: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval (JASA 22, 1927), ``quantile`` standard errors wide to either side.

    It is for as many images as would have that ``variance`` (Korn and Graubard, Survey Methodology
    24, 1998), and at most for those that there are.
    """
    mean = outcomes.mean
    images: float = outcomes.images
    if variance > 0:
        # The variance of answers of one network is mean * (1 - mean) / (images - 1).
        images = min(images, 1 + mean * (1 - mean) / variance)
    scale = 1 + quantile**2 / images
    middle = (mean + quantile**2 / 2 / images) / scale
    reach = quantile * math.sqrt(mean * (1 - mean) / images + quantile**2 / 4 / images**2) / scale
    # All right is within the interval, which rounding could deny.
    return max(0.0, min(mean, middle - reach)), min(1.0, max(mean, middle + reach))


@dataclass(frozen=True)
class PairedAnswers:
    """So many images, of which A alone is right on a share, and B alone on another.

    Tango's score interval (Statistics in Medicine 17, 1998) is for the answers of two networks.
    The means of several are put as the two whose difference has the same variance.
    """

    images: float
    only_a: float
    only_b: float

    @classmethod
    def of(cls, mean: float, images: int, variance: float) -> PairedAnswers:
        """Those whose difference has this mean and this variance."""
        # Of two networks that is (differing - mean**2) / (images - 1).
        differing = max(abs(mean), (images - 1) * variance + mean**2)
        if differing > 1:
            return cls(1 + (1 - mean**2) / variance, (1 + mean) / 2, (1 - mean) / 2)
        return cls(images, (differing + mean) / 2, (differing - mean) / 2)

    def score(self, difference: float) -> float:
        """How many standard errors the observed difference is above one that is supposed."""
        mean = self.only_a - self.only_b
        # Of the share that B alone has right, the most likely one if that is the difference.
        linear = -self.only_a - self.only_b + (2 - mean) * difference
        constant = -self.only_b * difference * (1 - difference)
        root = math.sqrt(max(0.0, linear**2 - 8 * constant))
        only_b = (root - linear) / 4
        variance = (2 * only_b + difference * (1 - difference)) / self.images
        if mean == difference:
            return 0.0
        if variance <= 0:
            return math.copysign(math.inf, mean - difference)
        return (mean - difference) / math.sqrt(variance)

    def bound(self, quantile: float) -> float:
        """The difference that is so many standard errors from the observed one, up or down."""
        near, far = self.only_a - self.only_b, math.copysign(1.0, quantile)
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            if abs(self.score(middle)) < abs(quantile):
                near = middle
            else:
                far = middle
        return near


def scores_of_no_difference(means: Floats, images: int, variances: Floats) -> Floats:
    """``PairedAnswers.of(mean, images, variance).score(0)`` of many at once."""
    squares = means**2
    differing = numpy.maximum(numpy.abs(means), (images - 1) * variances + squares)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        # More than all images cannot differ: then there are fewer images.
        effective = numpy.where(differing > 1, 1 + (1 - squares) / variances, images)
        scores = means * numpy.sqrt(effective / numpy.minimum(1.0, differing))
    return numpy.where(means == 0, 0.0, scores)


def mcnemar(right_a: Floats, right_b: Floats) -> float:
    """The exact test of McNemar (Psychometrika 12, 1947): of images that one alone has right."""
    only_a = int(numpy.count_nonzero(right_a > right_b))
    only_b = int(numpy.count_nonzero(right_a < right_b))
    fewer = min(only_a, only_b)
    return min(1.0, 2 * float(special.bdtr(fewer, only_a + only_b, 0.5)))
