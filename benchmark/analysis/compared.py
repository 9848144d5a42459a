"""A row beside its reference: how much more accurate it is, and at what cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.analysis.comparison import outcomes_difference
from benchmark.analysis.contender import Contender
from benchmark.analysis.intervals import mean_difference, mean_ratio
from benchmark.analysis.pareto import Candidate, pareto_front
from benchmark.analysis.protocols import has_same_images
from benchmark.analysis.ranks import rank_ranges
from benchmark.analysis.standings import MOST_ROWS
from benchmark.analysis.time_to import TimeTo, time_to
from benchmark.summaries import Difference, RankRange, Ratio


@dataclass(frozen=True)
class ComparedRow:
    """A row beside its ``reference``, which is itself for a reference, and None without one.

    The ``difference`` of accuracies and the ratios are the row's to the reference's. Each is None
    for a reference, and where either has no such figure. ``rank`` is that among all rows of the
    protocol, ``on_front`` whether it is on their Pareto front, ``time_to`` how long trainings took
    to the accuracy that the comparison asks for.
    """

    contender: Contender
    reference: Contender | None
    difference: Difference | None = None
    epoch_seconds: Ratio | None = None
    params: float | None = None
    macs: float | None = None
    peak_memory: Ratio | None = None
    rank: RankRange | None = None
    on_front: bool | None = None
    time_to: TimeTo | None = None

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with this row, and it with none."""
        return self.reference is self.contender

    @property
    def is_of_another_protocol(self) -> bool:
        """Whether it was trained otherwise than its reference."""
        return (
            self.reference is not None
            and self.reference.protocol.hash != self.contender.protocol.hash
        )


@dataclass(frozen=True)
class ComparedGroup:
    """Rows that stand in one table, the best first; ``accuracy`` is that of their ``time_to``."""

    rows: tuple[ComparedRow, ...]
    accuracy: float | None

    @property
    def contenders(self) -> list[Contender]:
        """Its rows as they are, not compared."""
        return [row.contender for row in self.rows]


def compared_group(
    contenders: Sequence[Contender],
    references: Mapping[str, Contender],
    accuracy: float | None = None,
) -> ComparedGroup:
    """Compare rows, of one protocol unless they are to be mixed, each with its reference.

    ``references`` has that of each row, by the row's name. Ranks and the front are those within a
    protocol. Without an ``accuracy`` to be reached, it is the lowest that a row has in the end,
    rounded down to a whole percentage.
    """
    ordered = sorted(contenders, key=lambda found: -found.outcomes.mean if found.outcomes else 1)
    target = _lowest_accuracy(ordered) if accuracy is None else accuracy
    ranks, front = _within_protocols(ordered)
    rows = []
    for contender in ordered:
        row = _beside(contender, references.get(contender.name))
        rows.append(
            dataclasses.replace(
                row,
                rank=ranks.get(contender.name),
                on_front=front.get(contender.name),
                time_to=None if target is None else time_to(contender.curves, target),
            )
        )
    return ComparedGroup(tuple(rows), target)


def best_of(contenders: Sequence[Contender]) -> Contender | None:
    """The one with the highest mean accuracy; None where no trial completed."""
    known = [(found.outcomes.mean, found) for found in contenders if found.outcomes is not None]
    return max(known, key=lambda item: item[0])[1] if known else None


def accuracy_difference(a: Contender, b: Contender) -> Difference | None:
    """By how much A is more accurate; by seeds alone where the test images are not the same."""
    if a.outcomes is None or b.outcomes is None:
        return None
    if has_same_images(a.protocol, b.protocol):
        return outcomes_difference(a.outcomes, b.outcomes)
    return mean_difference(a.accuracies, b.accuracies)


def are_timed_alike(contenders: Sequence[Contender]) -> bool:
    """Whether all were trained on one kind of device, so that times and memory compare."""
    return len({device for found in contenders for device in found.devices}) <= 1


def _beside(contender: Contender, reference: Contender | None) -> ComparedRow:
    if reference is None or reference is contender:
        return ComparedRow(contender, reference)
    alike = are_timed_alike([contender, reference])
    seconds = _ratio(contender.epoch_seconds, reference.epoch_seconds) if alike else None
    memory = _ratio(contender.peak_memory_bytes, reference.peak_memory_bytes) if alike else None
    return ComparedRow(
        contender,
        reference,
        difference=accuracy_difference(contender, reference),
        epoch_seconds=seconds,
        params=_exact_ratio(contender.params, reference.params),
        macs=_exact_ratio(contender.exact_macs, reference.exact_macs),
        peak_memory=memory,
    )


def _within_protocols(
    contenders: Sequence[Contender],
) -> tuple[dict[str, RankRange], dict[str, bool]]:
    """The rank of each row that has one, and whether it is on the front, by name."""
    by_protocol: dict[str, list[Contender]] = {}
    for found in contenders:
        by_protocol.setdefault(found.protocol.hash, []).append(found)
    ranks: dict[str, RankRange] = {}
    front: dict[str, bool] = {}
    for group in by_protocol.values():
        ranked = [(found.name, found.outcomes) for found in group if found.can_be_ranked]
        if not 2 <= len(ranked) <= MOST_ROWS:
            continue
        found_ranks = rank_ranges([outcomes for _, outcomes in ranked if outcomes is not None])
        ranks |= zip((name for name, _ in ranked), found_ranks, strict=True)
        completed = [found for found in group if found.outcomes is not None]
        on_front = pareto_front([*map(_candidate, completed)])
        front |= zip((found.name for found in completed), on_front, strict=True)
    return ranks, front


def _candidate(contender: Contender) -> Candidate:
    return Candidate(
        contender.outcomes if contender.can_be_ranked else None,
        contender.epoch_seconds,
        contender.devices,
        (contender.params, contender.exact_macs),
    )


def _lowest_accuracy(contenders: Sequence[Contender]) -> float | None:
    means = [found.outcomes.mean for found in contenders if found.outcomes is not None]
    # A little is added, so that rounding does not take a whole percentage down.
    lowest = math.floor(min(means, default=0.0) * 100 + 1e-9) / 100
    return lowest or None


def _ratio(values: Mapping[int, float], others: Mapping[int, float]) -> Ratio | None:
    if not values or not others or min(*values.values(), *others.values()) <= 0:
        return None
    return mean_ratio(values, others)


def _exact_ratio(value: int | None, other: int | None) -> float | None:
    return value / other if value is not None and other else None
