"""All trials of one variant, as one row of the table sees them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from benchmark.records import TrialRecord, Variant

Figure = TypeVar("Figure")

# What people read where there is no figure.
NO_FIGURE = "-"


@dataclass(frozen=True)
class MeanInterval:
    """A mean of ``count`` values; the interval is mean ± ``half_width``, None for one value."""

    mean: float
    half_width: float | None
    count: int


@dataclass(frozen=True)
class ModelSummary:
    """A variant's trials under one protocol; ``planned`` is how many there should be.

    ``test_accuracy`` is the mean accuracy after the last epoch over the completed trials, a
    fraction; None where none completed. ``distinction`` tells this row from others with the label.
    """

    variant: Variant
    records: tuple[TrialRecord, ...]
    planned: int
    test_accuracy: MeanInterval | None
    distinction: str = ""

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
