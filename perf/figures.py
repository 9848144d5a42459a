"""From seconds to figures: ratios with their spread, and how cost grows with size."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, with the lowest and the highest ratio of a single repeat."""

    median: float
    lowest: float
    highest: float


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Compare two series of seconds, whose values of one repeat belong together.

    Raises ValueError for series of different lengths, or empty ones.
    """
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError(f"{len(numerators)} and {len(denominators)} repeats make no ratio")
    pairs = [above / below for above, below in zip(numerators, denominators, strict=True)]
    median = statistics.median(numerators) / statistics.median(denominators)
    return Ratio(median, min(pairs), max(pairs))


@dataclass(frozen=True)
class Line:
    """Seconds as ``intercept`` + ``slope`` times images, by least squares.

    ``r_squared`` is the share of the variance that the line explains, ``largest_residual`` the
    largest distance of a measured time from it, as a fraction of that time.
    """

    slope: float
    intercept: float
    r_squared: float
    largest_residual: float


def fit_line(images: Sequence[int], seconds: Sequence[float]) -> Line:
    """Fit a line; raises ValueError for fewer than two different sizes."""
    if len(set(images)) < 2:
        raise ValueError("a line needs two different sizes or more")
    x, y = numpy.asarray(images, float), numpy.asarray(seconds, float)
    slope, intercept = (float(value) for value in numpy.polyfit(x, y, 1))
    residuals = y - (intercept + slope * x)
    variance = float(((y - y.mean()) ** 2).sum())
    # Times that are all alike lie on a level line, which explains all there is to explain.
    explained = 1 - float((residuals**2).sum()) / variance if variance else 1.0
    return Line(slope, intercept, explained, float((abs(residuals) / y).max()))
