"""All trials of one model, as one row of the table sees them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmark.analysis.intervals import MeanInterval, mean_interval
from benchmark.records import TrialRecord

Figure = TypeVar("Figure")


@dataclass(frozen=True)
class ModelSummary:
    """A model's trials under one protocol; ``planned`` is how many there should be."""

    model: str
    records: tuple[TrialRecord, ...]
    planned: int

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
    def test_accuracy(self) -> MeanInterval | None:
        """Mean accuracy after the last epoch over the completed trials, a fraction."""
        values = self.figures(lambda record: record.test_accuracy)
        return mean_interval(values) if values else None

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


def summarize(
    records: Iterable[TrialRecord], trials: Sequence[tuple[str, int]] = ()
) -> list[ModelSummary]:
    """Group records by model, in the order in which models first stand among ``trials``.

    ``trials`` are the (model, seed) that there should be.
    """
    by_model: dict[str, list[TrialRecord]] = {model: [] for model, _ in trials}
    for record in records:
        by_model.setdefault(record.model.name, []).append(record)
    planned = Counter(model for model, _ in trials)
    return [
        ModelSummary(
            model,
            tuple(sorted(found, key=lambda record: record.seed)),
            max(planned[model], len(found)),
        )
        for model, found in by_model.items()
    ]
