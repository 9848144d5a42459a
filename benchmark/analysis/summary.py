"""All trials of one model, as one row of the table sees them."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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
) -> Iterator[ModelSummary]:
    """Sum records up model by model, holding no more than one model's at a time.

    ``trials`` are the (model, seed) that there should be. The records are to come model by model,
    and the models in the order in which they first stand among ``trials``; a model of which there
    is none has a summary all the same.
    """
    planned = Counter(model for model, _ in trials)
    waiting = deque(planned)
    for model, group in itertools.groupby(records, key=lambda record: record.model.name):
        while model in waiting:
            following = waiting.popleft()
            if following == model:
                break
            yield ModelSummary(following, (), planned[following])
        found = tuple(sorted(group, key=lambda record: record.seed))
        yield ModelSummary(model, found, max(planned[model], len(found)))
    yield from (ModelSummary(model, (), planned[model]) for model in waiting)
