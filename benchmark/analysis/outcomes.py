"""What is needed of a model's table of right and wrong answers, small enough to keep for many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy

from benchmark.records import TrialRecord

Floats = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

# With fewer images wrong, or right, a normal distribution no longer describes their number.
FEWEST_IMAGES = 10


@dataclass(frozen=True)
class Outcomes:
    """What is needed of a model's table of seeds by images, in which 1 is a right answer.

    ``accuracies`` are those of the seeds, ``shares`` for each image the share of the seeds that
    were right on it. ``residual`` is the residual mean square of the table, with
    (seeds - 1)(images - 1) degrees of freedom: the noise of a single answer. It is 0 for one seed.
    """

    accuracies: Floats
    shares: Floats
    residual: float

    @classmethod
    def of(cls, correct: Any) -> Outcomes:
        """Those of a boolean array of seeds x images.

        Raises ValueError for an array of another shape or type, and for an empty one.
        """
        table = numpy.asarray(correct)
        if table.ndim != 2 or table.dtype != bool or 0 in table.shape:
            raise ValueError(
                "should be a boolean array of seeds x images, "
                f"got {table.dtype} of shape {table.shape}"
            )
        seeds, images = table.shape
        rights = numpy.count_nonzero(table, axis=0)
        accuracies = numpy.count_nonzero(table, axis=1) / images
        shares = rights / seeds
        # Of zeros and ones, the sum of squares is the sum.
        mean = shares.mean()
        total = seeds * images * mean * (1 - mean)
        between_seeds = images * numpy.square(accuracies - mean).sum()
        between_images = seeds * numpy.square(shares - mean).sum()
        freedom = (seeds - 1) * (images - 1)
        residual = max(0.0, total - between_seeds - between_images) / freedom if freedom else 0.0
        return cls(accuracies, shares, float(residual))

    @classmethod
    def of_records(cls, records: Iterable[TrialRecord]) -> Outcomes | None:
        """Those of the trials that completed; None where none did."""
        rows = [record.correct_images for record in records if record.status == "completed"]
        known = [row for row in rows if row is not None]
        return cls.of(numpy.stack(known)) if known else None

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self.accuracies)

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.shares)

    @cached_property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(self.shares.mean())

    @cached_property
    def seed_variance(self) -> float:
        """The variance of the seeds' accuracies; 0 for one seed, which says nothing of it."""
        # Equal accuracies are to have none, which their rounded mean would give them.
        if self.seeds < 2 or numpy.ptp(self.accuracies) == 0:
            return 0.0
        return float(self.accuracies.var(ddof=1))

    @property
    def is_extreme(self) -> bool:
        """Whether too few images are wrong, or right, for a normal distribution."""
        return self.images * min(self.mean, 1 - self.mean) < FEWEST_IMAGES - 1e-9


def image_variance(shares: Floats, noise: float) -> float:
    """The variance of a mean over images, of which ``noise`` is that of each image's share."""
    images = len(shares)
    if images < 2:
        return 0.0
    return max(0.0, (float(shares.var(ddof=1)) - noise) / images)
