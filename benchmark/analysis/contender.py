"""A row to be compared: of its records what a comparison needs, small enough to keep for many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmark.analysis.devices import kind_of_device
from benchmark.analysis.enough import CONFIDENCE, joint_confidence
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.time_to import Curve
from benchmark.protocol import Protocol
from benchmark.records import TrialRecord
from benchmark.specs import Variant
from benchmark.summaries import ModelSummary

Figure = TypeVar("Figure")

# A training that ended otherwise was ended from outside, and says nothing of the model.
HAVE_CURVES = ("completed", "diverged")


# Two are the same only if they are one.
@dataclass(frozen=True, eq=False)
class Contender:
    """A variant's trials in one run. ``name`` is no other contender's.

    ``outcomes`` and the figures, which are by seed, are those of the completed trials; ``outcomes``
    is None where none completed. A figure that no trial has is missing, as ``epoch_seconds`` are
    where they would be no timing. ``devices`` are those of the completed trials, with what is known
    of the hardware; ``torch`` and ``core_versions`` are versions with which they were trained. A
    statement about accuracies has to be as sure as ``confidence``: surer than 95 % where seeds were
    added until there were enough. ``control_of`` is the label of the row of the same run that it
    repeats with other seeds, if it is a control.
    """

    name: str
    run: Path
    variant: Variant
    protocol: Protocol
    planned: int
    status: str
    outcomes: Outcomes | None
    seeds: tuple[int, ...]
    epoch_seconds: Mapping[int, float]
    peak_memory_bytes: Mapping[int, int]
    params: int | None
    trainable_params: int | None
    macs: int | None
    macs_is_lower_bound: bool
    curves: tuple[Curve, ...]
    devices: tuple[str, ...]
    core_versions: tuple[str, ...]
    torch_versions: tuple[str, ...]
    confidence: float = CONFIDENCE
    control_of: str | None = None

    @property
    def label(self) -> str:
        """The variant's label, without what tells the row from others of that label."""
        return self.variant.model

    @property
    def exact_macs(self) -> int | None:
        """The multiply-accumulates, unless there are more than could be counted."""
        return None if self.macs_is_lower_bound else self.macs

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each completed trial, in the order of ``seeds``."""
        return [] if self.outcomes is None else self.outcomes.accuracies.tolist()

    @property
    def rankable(self) -> Outcomes | None:
        """The outcomes, if they are of the two seeds without which their spread is not known.

        A control has no rank: it is not a separate model.
        """
        if self.outcomes is None or self.outcomes.seeds == 1 or self.control_of is not None:
            return None
        return self.outcomes

    def is_timed_like(self, other: Contender) -> bool:
        """Whether one kind of device trained both, so that times and memory can be compared."""
        return len({*self.devices, *other.devices}) <= 1


def shared_confidence(contenders: Iterable[Contender]) -> float:
    """How sure a statement about several rows has to be: see ``joint_confidence``."""
    by_run: dict[Path, float] = {}
    for found in contenders:
        by_run[found.run] = max(found.confidence, by_run.get(found.run, CONFIDENCE))
    return joint_confidence(*by_run.values())


def by_protocol(contenders: Iterable[Contender]) -> list[list[Contender]]:
    """The rows of each protocol, in the order in which the protocols come."""
    groups: dict[str, list[Contender]] = {}
    for found in contenders:
        groups.setdefault(found.protocol.hash, []).append(found)
    return [*groups.values()]


def contender_of(
    summary: ModelSummary,
    run: Path,
    protocol: Protocol,
    confidence: float = CONFIDENCE,
    control_of: str | None = None,
) -> Contender:
    """What is needed of a row, under the name that it has in the run's table."""
    completed = summary.completed
    params = summary.constant(lambda record: record.params)
    return Contender(
        summary.label,
        run,
        summary.variant,
        protocol,
        summary.planned,
        summary.status,
        outcomes=Outcomes.of_records(completed),
        seeds=tuple(record.seed for record in completed),
        epoch_seconds=_by_seed(completed, lambda record: record.timing.epoch_seconds),
        peak_memory_bytes=_by_seed(completed, lambda record: record.peak_memory_bytes),
        params=params.total if params else None,
        trainable_params=params.trainable if params else None,
        macs=summary.constant(lambda record: record.macs),
        macs_is_lower_bound=any(record.macs_is_lower_bound for record in summary.records),
        curves=tuple(
            Curve.of(record) for record in summary.records if record.status in HAVE_CURVES
        ),
        devices=_each(map(kind_of_device, completed)),
        core_versions=_each(record.core_version for record in completed),
        torch_versions=_each(_torch_version(record) for record in completed),
        confidence=confidence,
        control_of=control_of,
    )


def _by_seed(
    records: Sequence[TrialRecord], figure: Callable[[TrialRecord], Figure | None]
) -> dict[int, Figure]:
    """A figure of each trial that has it."""
    values = ((record.seed, figure(record)) for record in records)
    return {seed: value for seed, value in values if value is not None}


def _each(values: Iterable[str | None]) -> tuple[str, ...]:
    """Every value that is known, once, in order."""
    return tuple(sorted({value for value in values if value is not None}))


def _torch_version(record: TrialRecord) -> str | None:
    libraries = {**record.recipe_origin.libraries, **record.origin.libraries}
    return libraries.get("torch")
