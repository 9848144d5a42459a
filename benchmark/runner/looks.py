"""Seeds that are added look by look, until the models that lead differ or agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from benchmark.analysis import Decision, Outcomes, decide, look_confidence, planned_looks
from benchmark.config import RunConfig, SeedsUntil
from benchmark.errors import StoreError
from benchmark.files import UnreadableError
from benchmark.records import (
    UNFINISHED,
    Status,
    TrialRecord,
)
from benchmark.specs import (
    PlannedVariant,
    TrialKey,
)
from benchmark.store import RunDescription, RunDirectory

Warn = Callable[[str], None]


def first_seeds(config: RunConfig) -> int:
    """How many seeds each a run begins with; all, unless they are added look by look."""
    seeds = config.seeds
    return planned_looks(seeds.until)[0] if isinstance(seeds, SeedsUntil) else len(seeds)


def with_looks(description: RunDescription, directory: RunDirectory, warn: Warn) -> RunDescription:
    """A run with the looks that this command and earlier ones planned.

    Where there have been looks, any other number of seeds is one more: the data had a part in it.
    """
    rule = description.config.seeds
    planned = planned_looks(rule.until) if isinstance(rule, SeedsUntil) else ()
    earlier: tuple[int, ...] = ()
    # There may be none, and of one that is damaged something is said elsewhere.
    with suppress(StoreError, UnreadableError):
        earlier = directory.read_description().looks
    if earlier and not isinstance(rule, SeedsUntil):
        planned = (len(rule),)
    looks = tuple(sorted({*earlier, *planned}))
    if earlier and looks != earlier:
        warn(
            f"this run had looks after {_listed(earlier)} seeds each, and with this command after "
            f"{_listed(looks)}; what was seen may have led to that, so each now has to be "
            f"{100 * look_confidence(len(looks)):.4g} % sure"
        )
    return description.model_copy(update={"looks": looks})


def _listed(looks: tuple[int, ...]) -> str:
    return ", ".join(map(str, looks))


def with_seeds(description: RunDescription, count: int) -> RunDescription:
    """A run with the first ``count`` seeds of each variant alone."""
    variants = tuple(
        variant.model_copy(update={"seeds": variant.seeds[:count]})
        for variant in description.variants
    )
    return description.model_copy(update={"variants": variants})


def more_seeds(
    description: RunDescription,
    directory: RunDirectory,
    statuses: Mapping[TrialKey, Status],
    warn: Warn,
) -> int | None:
    """How many seeds each a run is to have at its next look; None where there is none.

    ``description`` has the seeds of the present look, and these decide: no others that earlier
    commands have left. What the look says, and what follows, is said through ``warn``.
    """
    rule = description.config.seeds
    if not isinstance(rule, SeedsUntil) or not _have_ended(description, statuses):
        return None
    looks = planned_looks(rule.until)
    count = len(description.variants[0].seeds)
    number = looks.index(count) + 1
    outcomes = {
        variant.model: Outcomes.of_records(_records(directory, variant, warn))
        for variant in description.variants
        if variant.control_of is None
    }
    resolve = None if rule.resolve is None else rule.resolve / 100
    decision = decide(outcomes, look_confidence(len(description.looks)), resolve)
    following = looks[number] if number < len(looks) else None
    if decision.verdict != "undecided":
        following = None
    heading = f"look {number} of {len(looks)}, {count} seeds each"
    warn(f"{heading}: {_finding(decision, rule)}; {_consequence(decision, count, following)}")
    return following


def _have_ended(description: RunDescription, statuses: Mapping[TrialKey, Status]) -> bool:
    """Whether the same command would train none of the look's trials again."""
    return not any(
        statuses.get(key) in (None, *UNFINISHED)
        for variant in description.variants
        for key in variant.trials
    )


def _records(directory: RunDirectory, variant: PlannedVariant, warn: Warn) -> Iterator[TrialRecord]:
    for key in variant.trials:
        try:
            record = directory.read_record(key)
        except UnreadableError as error:
            warn(f"the record of {key} is left out: {error}")
            continue
        if record is not None:
            yield record


def _finding(decision: Decision, rule: SeedsUntil) -> str:
    if decision.leaders is None or decision.difference is None:
        return ", ".join(
            f"{name} cannot be compared ({count} completed, and 2 seeds are needed)"
            for name, count in decision.waiting
        )
    first, second = decision.leaders
    lead = f"{first} leads {second} by {100 * decision.difference.mean:.2f} points"
    if decision.difference.mean == 0:
        lead = f"{first} and {second} are level"
    match decision.verdict:
        case "differ":
            return f"{lead}, they differ"
        case "agree":
            return f"{lead}, they agree within {rule.resolve:g} points"
        case _:
            return f"{lead}, undecided"


def _consequence(decision: Decision, count: int, following: int | None) -> str:
    if following is not None:
        more = following - count
        return f"{more} more seed{'s' if more > 1 else ''} each"
    if decision.verdict != "undecided":
        return "no more seeds are needed"
    return f"stopping at {count} seeds each, as planned"
