"""Records summed up, model by model."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from benchmark.analysis.intervals import mean_interval
from benchmark.analysis.provenance import by_provenance
from benchmark.records import TrialRecord
from benchmark.summaries import ModelSummary

# As many as a line has room for.
MOST_SEEDS_NAMED = 10


def model_summary(
    model: str, records: Sequence[TrialRecord], planned: int, code: str | None = None
) -> ModelSummary:
    """Sum up a model's trials; ``planned`` is how many there should be."""
    accuracies = [record.test_accuracy for record in records if record.test_accuracy is not None]
    accuracy = mean_interval(accuracies) if accuracies else None
    return ModelSummary(model, tuple(records), planned, accuracy, code)


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
            yield model_summary(following, (), planned[following])
        yield from _summaries(model, tuple(group), planned[model], warn)
    yield from (model_summary(model, (), planned[model]) for model in waiting)


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
        yield model_summary(model, groups[0][1], planned)
        return
    summaries = [model_summary(model, group, planned, code.digest) for code, group in groups]
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
