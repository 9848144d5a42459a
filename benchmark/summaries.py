"""All trials of one variant, as one row of the table sees them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from benchmark.records import TrialRecord
from benchmark.specs import Variant

Figure = TypeVar("Figure")

# What people read where there is no figure.
NO_FIGURE = "-"
# The metric by which models are compared, which is worked out from each trial's answers.
ACCURACY = "accuracy"


@dataclass(frozen=True)
class Interval:
    """A mean over ``count`` seeds, and the bounds between which it may well be; None if unknown.

    ``seed_standard_error`` and ``image_standard_error`` are what seeds and test images contribute
    to the doubt, None for one that is left out. ``degrees_of_freedom`` may be infinite.
    """

    mean: float
    low: float | None
    high: float | None
    count: int
    seed_standard_error: float | None = None
    image_standard_error: float | None = None
    degrees_of_freedom: float | None = None

    def text(self, *, in_percent: bool) -> str:
        """The mean as people read it, with the interval if it has one."""
        scale = 100 if in_percent else 1
        mean = f"{self.mean * scale:.2f}" if in_percent else f"{self.mean:.4g}"
        if self.low is None or self.high is None:
            return mean
        above, below = self.high - self.mean, self.mean - self.low
        if not in_percent:
            digits = mean.partition(".")[2]
            return f"{mean} ± {above:.{len(digits)}f}"
        if math.isclose(above, below, abs_tol=5e-5):
            return f"{mean} ± {above * scale:.2f}"
        return f"{mean} [{_bound_text(self.low)}, {_bound_text(self.high)}]"


def _bound_text(bound: float) -> str:
    """A bound in per cent; the ends of the scale, which many a bound is, without decimals."""
    return str(round(bound) * 100) if bound in (0, 1) else f"{bound * 100:.2f}"


@dataclass(frozen=True)
class Difference:
    """By how much a mean of A exceeds that of B; ``counts`` are their numbers of seeds.

    ``low`` and ``high`` are the bounds of an interval of this ``confidence``, the standard errors
    and the degrees of freedom those of ``Interval``. ``p_value`` is how often models that are alike
    would differ as much, ``superiority`` the probability that one training of A beats one of B,
    ``detectable`` the smallest difference that 80 % power would have detected. All of
    these are None where either has one seed.

    ``trainings_p_value`` is that of the exact McNemar test of one training each, None elsewhere.
    Of models that are alike it finds at least one pair in six different at 5 %.
    """

    mean: float
    counts: tuple[int, int]
    low: float | None = None
    high: float | None = None
    seed_standard_error: float | None = None
    image_standard_error: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = None
    superiority: float | None = None
    detectable: float | None = None
    trainings_p_value: float | None = None
    confidence: float = 0.95

    @property
    def is_sure(self) -> bool:
        """Whether the interval says that there is one; False without an interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Ratio:
    """How many times that of B a figure of A is, with the bounds of an interval; None if unknown.

    It ``is_paired`` where each seed's trials of both are compared with one another.
    """

    mean: float
    low: float | None
    high: float | None
    is_paired: bool


@dataclass(frozen=True)
class RankRange:
    """The ranks that a model may have, from ``best``, which is 1 or more, to ``worst``."""

    best: int
    worst: int

    def __str__(self) -> str:
        """One rank, or the first and the last."""
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


@dataclass(frozen=True)
class ModelSummary:
    """A variant's trials under one protocol; ``planned`` is how many there should be.

    ``accuracy`` is the mean accuracy after the last epoch over the completed trials, a fraction;
    None where none completed. ``metrics`` are those that all completed trials have, by name.
    ``distinction`` tells this row from others with the label.
    ``rank`` is known to columns that need it, where two rows or more have two seeds or more.
    """

    variant: Variant
    records: tuple[TrialRecord, ...]
    planned: int
    accuracy: Interval | None
    distinction: str = ""
    rank: RankRange | None = None
    metrics: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The variant's label."""
        return self.variant.model

    @property
    def label(self) -> str:
        """What the row is called: the label, and what tells it from others with that label."""
        return f"{self.model}{self.distinction}"

    @property
    def completed(self) -> tuple[TrialRecord, ...]:
        """The trials that completed."""
        return tuple(record for record in self.records if record.status == "completed")

    @property
    def test_accuracy(self) -> Interval | None:
        """The accuracy, where it is that of test images and not of images held out."""
        is_of_test_images = any(record.dataset.test_images for record in self.records)
        return self.accuracy if is_of_test_images else None

    @property
    def beats_largest_class(self) -> bool | None:
        """Whether the accuracy is shown to be above what naming the largest class would score.

        With one seed, whether it is above it at all; None where either is not known.
        """
        share = self.constant(lambda record: record.dataset.largest_class_share)
        if share is None or self.accuracy is None:
            return None
        low = self.accuracy.mean if self.accuracy.low is None else self.accuracy.low
        return low > share

    def metric(self, name: str) -> Interval | None:
        """The mean of a metric over the completed trials; None unless all of them have it."""
        return self.accuracy if name == ACCURACY else self.metrics.get(name)

    @property
    def status(self) -> str:
        """``completed`` where all trials did, else the status of the first that did not."""
        for record in self.records:
            if record.status != "completed":
                return record.status
        return "completed" if len(self.records) >= self.planned else "unfinished"

    @property
    def epoch_seconds(self) -> float | None:
        """Median over the completed trials of their median epoch."""
        values = self.figures(lambda record: record.timing.epoch_seconds)
        return statistics.median(values) if values else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most that any completed trial used."""
        return max(self.figures(lambda record: record.peak_memory_bytes), default=None)

    def figures(self, figure: Callable[[TrialRecord], Figure | None]) -> list[Figure]:
        """A figure of each completed trial that has it."""
        values = (figure(record) for record in self.completed)
        return [value for value in values if value is not None]

    def constant(self, figure: Callable[[TrialRecord], Figure | None]) -> Figure | None:
        """A figure that no seed changes, from the first trial that has it, completed or not."""
        values = (figure(record) for record in self.records)
        return next((value for value in values if value is not None), None)
