"""A row and the reference it is compared with: how much more accurate it is, and at what cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmark.analysis.comparison import outcomes_difference
from benchmark.analysis.contender import Contender, by_protocol, shared_confidence
from benchmark.analysis.enough import CONFIDENCE, looks_of
from benchmark.analysis.intervals import mean_difference, mean_ratio
from benchmark.analysis.pareto import Candidate, surely_dominating
from benchmark.analysis.protocols import has_same_images
from benchmark.analysis.ranks import rank_ranges
from benchmark.analysis.standings import MOST_ROWS
from benchmark.analysis.time_to import TimeTo, time_to
from benchmark.protocol import Protocol
from benchmark.summaries import Difference, RankRange, Ratio


@dataclass(frozen=True)
class ComparedRow:
    """A row and its ``reference``: a reference is its own, and a row without one has None.

    The ``difference`` of accuracies and the ratios are the row's to the reference's. Each is None
    for a reference, and where either has no such figure. ``rank`` is that among all rows of the
    protocol, None where it has none, ``reference_rank`` the reference's; ``on_front`` whether it is
    on their Pareto front, None where too few rows have two seeds to tell, and ``dominating`` the
    row that surely dominates it. ``time_to`` is how long trainings took to the accuracy that the
    comparison asks for.
    """

    contender: Contender
    reference: Contender | None
    difference: Difference | None = None
    epoch_seconds: Ratio | None = None
    params: float | None = None
    macs: float | None = None
    peak_memory: Ratio | None = None
    rank: RankRange | None = None
    reference_rank: RankRange | None = None
    on_front: bool | None = None
    dominating: Contender | None = None
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
    """Rows that stand in one table; ``accuracy`` is the one that their ``time_to`` is about.

    The best is the first; where there are several references, each is before its rows.
    """

    rows: tuple[ComparedRow, ...]
    accuracy: float | None

    @property
    def protocol(self) -> Protocol:
        """The protocol of its rows, unless they are mixed; then that of the first."""
        return self.rows[0].contender.protocol

    @property
    def seeds_were_added(self) -> bool:
        """Whether any run added seeds look by look, until there were enough."""
        return any(found.confidence > CONFIDENCE for found in self.contenders)

    @property
    def is_mixed(self) -> bool:
        """Whether its rows have several protocols."""
        return len({found.protocol.hash for found in self.contenders}) > 1

    @property
    def contenders(self) -> list[Contender]:
        """Its rows as they are, not compared."""
        return [row.contender for row in self.rows]

    @property
    def references(self) -> list[Contender]:
        """What any of the rows is compared with."""
        return [row.contender for row in self.rows if row.is_reference]


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
    target = _lowest_accuracy(contenders) if accuracy is None else accuracy
    rows = {found.name: _beside(found, references.get(found.name)) for found in contenders}
    for alike in by_protocol(contenders):
        rows |= {row.contender.name: row for row in _ranked([rows[found.name] for found in alike])}
    rows = {
        name: dataclasses.replace(row, reference_rank=rows[row.reference.name].rank)
        if row.reference and row.reference.name in rows
        else row
        for name, row in rows.items()
    }
    if target is not None:
        rows = {name: _timed(row, target) for name, row in rows.items()}
    has_several = len({row.reference for row in rows.values()} - {None}) > 1
    order = _place_beside_reference if has_several else _place
    return ComparedGroup(tuple(sorted(rows.values(), key=order)), target)


def best_of(contenders: Sequence[Contender]) -> Contender | None:
    """The one with the highest mean accuracy; None where no trial completed.

    A control is none of them, unless all are.
    """
    known = [found for found in contenders if found.outcomes is not None]
    models = [found for found in known if found.control_of is None]
    return max(models or known, key=_mean, default=None)


def accuracy_difference(a: Contender, b: Contender) -> Difference | None:
    """By how much A is more accurate; by seeds alone where the test images are not the same.

    Where seeds were added look by look, the interval and the p-value are those of all looks.
    """
    if a.outcomes is None or b.outcomes is None:
        return None
    confidence = shared_confidence([a, b])
    if has_same_images(a.protocol, b.protocol):
        found = outcomes_difference(a.outcomes, b.outcomes, confidence)
    else:
        found = mean_difference(a.accuracies, b.accuracies, confidence)
    if found.p_value is None:
        return found
    return dataclasses.replace(found, p_value=min(1.0, found.p_value * looks_of(confidence)))


def _beside(contender: Contender, reference: Contender | None) -> ComparedRow:
    if reference is None or reference is contender:
        return ComparedRow(contender, reference)
    ratio = partial(_ratio, is_one_run=contender.run == reference.run)
    alike = contender.is_timed_like(reference)
    return ComparedRow(
        contender,
        reference,
        difference=accuracy_difference(contender, reference),
        epoch_seconds=ratio(contender.epoch_seconds, reference.epoch_seconds) if alike else None,
        params=_exact_ratio(contender.params, reference.params),
        macs=_exact_ratio(contender.exact_macs, reference.exact_macs),
        peak_memory=(
            ratio(contender.peak_memory_bytes, reference.peak_memory_bytes) if alike else None
        ),
    )


def _ranked(rows: Sequence[ComparedRow]) -> list[ComparedRow]:
    """The rows of one protocol that are models with their ranks, and with what dominates them."""
    known = [
        row
        for row in rows
        if row.contender.outcomes is not None and row.contender.control_of is None
    ]
    outcomes = [row.contender.rankable for row in known]
    tables = [table for table in outcomes if table is not None]
    if not 2 <= len(tables) <= MOST_ROWS:
        return [*rows]
    confidence = shared_confidence(row.contender for row in known)
    ranks = iter(rank_ranges(tables, confidence))
    dominating = surely_dominating([_candidate(row.contender) for row in known], confidence)
    return [
        dataclasses.replace(
            row,
            rank=None if table is None else next(ranks),
            on_front=place is None,
            dominating=None if place is None else known[place].contender,
        )
        for row, table, place in zip(known, outcomes, dominating, strict=True)
    ]


def _candidate(contender: Contender) -> Candidate:
    return Candidate(
        contender.rankable,
        contender.epoch_seconds,
        contender.devices,
        (contender.params, contender.exact_macs),
        contender.run,
    )


def _timed(row: ComparedRow, accuracy: float) -> ComparedRow:
    return dataclasses.replace(row, time_to=time_to(row.contender.curves, accuracy))


def _place(row: ComparedRow) -> Any:
    return -_mean(row.contender)


def _place_beside_reference(row: ComparedRow) -> Any:
    lead = row.reference
    if lead is None:
        return math.inf, "", True, _place(row)
    return -_mean(lead), lead.name, not row.is_reference, _place(row)


def _mean(contender: Contender) -> float:
    return contender.outcomes.mean if contender.outcomes else -1.0


def _lowest_accuracy(contenders: Sequence[Contender]) -> float | None:
    means = [found.outcomes.mean for found in contenders if found.outcomes is not None]
    # A little is added, so that rounding does not take a whole percentage down.
    lowest = math.floor(min(means, default=0.0) * 100 + 1e-9) / 100
    return lowest or None


def _ratio(
    values: Mapping[int, float], others: Mapping[int, float], *, is_one_run: bool
) -> Ratio | None:
    if not values or not others or min(*values.values(), *others.values()) <= 0:
        return None
    return mean_ratio(values, others, is_one_run=is_one_run)


def _exact_ratio(value: int | None, other: int | None) -> float | None:
    return value / other if value is not None and other else None
