"""All trials of one model that the same code trained, as one row of the table sees them."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmark.analysis.intervals import MeanInterval, mean_interval
from benchmark.provenance import by_provenance
from benchmark.records import TrialRecord

Figure = TypeVar("Figure")

# As many as a line has room for.
MOST_SEEDS_NAMED = 10


@dataclass(frozen=True)
class ModelSummary:
    """A model's trials under one protocol; ``planned`` is how many there should be.

    ``code`` tells this version of the model's code from others where several were trained.
    """

    model: str
    records: tuple[TrialRecord, ...]
    planned: int
    code: str | None = None

    @property
    def label(self) -> str:
        """What the row is called: the model's name, with its code where there are several."""
        return self.model if self.code is None else f"{self.model}@{self.code}"

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
    records: Iterable[TrialRecord],
    trials: Sequence[tuple[str, int]] = (),
    warn: Callable[[str], None] | None = None,
) -> Iterator[ModelSummary]:
    """Sum records up model by model, holding no more than one model's at a time.

    ``trials`` are the (model, seed) that there should be. The records are to come model by model,
    and the models in the order in which they first stand among ``trials``; a model of which there
    is none has a summary all the same. One that was trained by different code has a summary for
    each version of it, and ``warn`` is told.
    """
    planned = Counter(model for model, _ in trials)
    waiting = deque(planned)
    for model, group in itertools.groupby(records, key=lambda record: record.model.name):
        while model in waiting:
            following = waiting.popleft()
            if following == model:
                break
            yield ModelSummary(following, (), planned[following])
        yield from _summaries(model, tuple(group), planned[model], warn)
    yield from (ModelSummary(model, (), planned[model]) for model in waiting)


def _summaries(
    model: str,
    found: Sequence[TrialRecord],
    planned: int,
    warn: Callable[[str], None] | None,
) -> Iterator[ModelSummary]:
    """A model's summary, or one for each version of the code that trained it."""
    groups = by_provenance(sorted(found, key=lambda record: record.seed))
    planned = max(planned, len(found))
    if len(groups) == 1:
        yield ModelSummary(model, groups[0][1], planned)
        return
    summaries = [ModelSummary(model, group, planned, code.digest) for code, group in groups]
    if warn is not None:
        versions = (
            f"{summary.label} ({code}; {_seeds(summary)})"
            for summary, (code, _) in zip(summaries, groups, strict=True)
        )
        warn(
            f"the records of {model} come from {len(groups)} versions of its code, shown in "
            f"separate rows: {', '.join(versions)}; 'benchmark run' trains the outdated ones again"
        )
    yield from summaries


def _seeds(summary: ModelSummary) -> str:
    seeds = [str(record.seed) for record in summary.records]
    shown = ", ".join(seeds[:MOST_SEEDS_NAMED])
    more = f" and {len(seeds) - MOST_SEEDS_NAMED} more" if len(seeds) > MOST_SEEDS_NAMED else ""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {shown}{more}"
