"""Records summed up, variant by variant."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from benchmark.analysis.alike import by_network
from benchmark.analysis.comparison import Doubt, outcomes_interval
from benchmark.analysis.metrics import metric_intervals
from benchmark.analysis.outcomes import Outcomes
from benchmark.records import TrialRecord
from benchmark.specs import (
    PlannedVariant,
    Variant,
)
from benchmark.summaries import ModelSummary

# As many as a line has room for.
MOST_SEEDS_NAMED = 10


def model_summary(
    variant: Variant,
    records: Sequence[TrialRecord],
    planned: int,
    distinction: str = "",
    doubt: Doubt = "both",
) -> ModelSummary:
    """Sum up a variant's trials; ``planned`` is how many there should be.

    ``distinction`` stands behind the label in the row's name, where other rows have that label. The
    accuracy's interval is about ``doubt``.
    """
    outcomes = Outcomes.of_records(records)
    accuracy = outcomes_interval(outcomes, doubt=doubt) if outcomes else None
    return ModelSummary(
        variant,
        tuple(records),
        planned,
        accuracy,
        distinction,
        metrics=metric_intervals(records, doubt),
    )


def summarize(
    records: Iterable[TrialRecord],
    variants: Sequence[PlannedVariant] = (),
    warn: Callable[[str], None] | None = None,
    distinctions: Mapping[tuple[str, str], str] = MappingProxyType({}),
    doubt: Doubt = "both",
) -> Iterator[ModelSummary]:
    """Sum records up variant by variant, holding no more than one variant's at a time.

    ``variants`` are those that there should be. The records are to come variant by variant, and in
    the order of ``variants``; one of which there is none has a summary all the same. What
    ``distinctions`` has for a label and an identity stands behind the label in the row's name. The
    accuracies' intervals are about ``doubt``.

    Records of one variant that cannot be of one network are never summed up: each network has a
    summary, and ``warn`` is told.
    """
    waiting = deque(variants)
    for version, group in itertools.groupby(records, key=_version):
        planned = 0
        while version in map(_version, waiting):
            following = waiting.popleft()
            if _version(following) == version:
                planned = len(following.seeds)
                break
            yield _without_records(following, distinctions)
        yield from _summaries(tuple(group), planned, distinctions, warn, doubt)
    yield from (_without_records(following, distinctions) for following in waiting)


def _version(variant: Variant) -> tuple[str, str]:
    return variant.model, variant.identity


def _without_records(
    variant: PlannedVariant, distinctions: Mapping[tuple[str, str], str]
) -> ModelSummary:
    return model_summary(variant, (), len(variant.seeds), _distinction(variant, distinctions))


def _distinction(variant: Variant, distinctions: Mapping[tuple[str, str], str]) -> str:
    return distinctions.get(_version(variant), "")


def _summaries(
    records: Sequence[TrialRecord],
    planned: int,
    distinctions: Mapping[tuple[str, str], str],
    warn: Callable[[str], None] | None,
    doubt: Doubt,
) -> Iterator[ModelSummary]:
    """A variant's summary, or one for each network that its records are of."""
    groups = by_network(sorted(records, key=lambda record: record.seed))
    planned = max(planned, len(records))
    distinction = _distinction(records[0], distinctions)
    if len(groups) == 1:
        yield model_summary(records[0].variant, groups[0][1], planned, distinction, doubt)
        return
    summaries = [
        model_summary(group[0].variant, group, planned, f"{distinction}#{number}", doubt)
        for number, (_, group) in enumerate(groups, start=1)
    ]
    if warn is not None:
        networks = (
            f"{summary.label} ({network}; {_seeds(summary)})"
            for summary, (network, _) in zip(summaries, groups, strict=True)
        )
        warn(
            f"the records of {records[0].model} are of {len(groups)} networks or releases, shown "
            f"in separate rows: {', '.join(networks)}; "
            "'benchmark run' with --fresh trains all again"
        )
    yield from summaries


def _seeds(summary: ModelSummary) -> str:
    seeds = [str(record.seed) for record in summary.records]
    shown = ", ".join(seeds[:MOST_SEEDS_NAMED])
    more = f" and {len(seeds) - MOST_SEEDS_NAMED} more" if len(seeds) > MOST_SEEDS_NAMED else ""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {shown}{more}"
