"""What earlier commands left of a run, and what this one makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from benchmark.errors import BenchmarkError, CheckpointError, StoreError
from benchmark.files import UnreadableError
from benchmark.records import (
    UNFINISHED,
    Status,
)
from benchmark.specs import (
    PlannedVariant,
    TrialKey,
    TrialSpec,
)
from benchmark.store import RUN_FILE, RunDescription, RunDirectory
from benchmark.training import checkpoint_files
from benchmark.trial import trial_checkpoints

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Continuation:
    """Which of a run's trials stand, and with what status, and which are to be trained.

    Of the ``pending`` some are ``resumed`` from a checkpoint, and some ``retried`` though they
    failed before.
    """

    kept: Mapping[TrialKey, Status]
    pending: tuple[TrialSpec, ...]
    resumed: frozenset[TrialKey]
    retried: frozenset[TrialKey]

    def __str__(self) -> str:
        """What becomes of the trials, in numbers."""
        completed = [*self.kept.values()].count("completed")
        failed = len(self.kept) - completed
        parts = [f"{completed} of {len(self.kept) + len(self.pending)} trials completed earlier"]
        if failed:
            parts.append(f"{failed} failed (--retry-failed tries again)")
        counts = {"from a checkpoint": self.resumed, "that failed before": self.retried}
        details = ", ".join(f"{len(keys)} {what}" for what, keys in counts.items() if keys)
        parts.append(f"{len(self.pending)} to train" + (f" ({details})" if details else ""))
        return f"{', '.join(parts)}; --fresh trains all again"


def continue_run(
    directory: RunDirectory,
    description: RunDescription,
    specs: Sequence[TrialSpec],
    *,
    fresh: bool,
    retry_failed: bool,
    is_remote: bool,
    warn: Warn,
) -> Continuation:
    """Find out what there is of the trials, and say so through ``warn``; changes nothing.

    If the run ``is_remote``, other machines will say whether they can go on where it stopped.

    Raises CheckpointError for a trial that cannot go on as it began, and BenchmarkError for a run
    whose other results are of another kind of device.
    """
    present = _present_variants(directory, description, warn)
    _refuse_other_devices(directory, present, specs, fresh)
    if fresh:
        return Continuation({}, tuple(specs), frozenset(), frozenset())
    earlier = _earlier_trials(directory, specs, warn)
    kept = {
        key: trial.status
        for key, trial in earlier.items()
        if trial.status == "completed" or not retry_failed
    }
    pending = tuple(spec for spec in specs if spec.key not in kept)
    retried = frozenset(earlier.keys() - kept.keys())
    resumed = _resumable(pending, retried, is_remote, warn)
    for line in _changed_versions(specs, earlier):
        warn(line)
    continuation = Continuation(kept, pending, resumed, retried)
    if earlier or resumed:
        warn(str(continuation))
    return continuation


def _present_variants(
    directory: RunDirectory, description: RunDescription, warn: Warn
) -> tuple[PlannedVariant, ...]:
    """What each label stands for with this command; warns of a description that is damaged."""
    earlier: tuple[PlannedVariant, ...] = ()
    # A StoreError says that there has been no such command.
    with suppress(StoreError):
        try:
            earlier = directory.read_description().variants
        except UnreadableError as error:
            warn(f"{directory.path / RUN_FILE} is left out: {error}")
    return description.added_to(earlier).present


@dataclass(frozen=True)
class _EarlierTrial:
    """What is kept in memory of a record that an earlier command wrote."""

    status: Status
    versions: Mapping[str, str]


def _earlier_trials(
    directory: RunDirectory, specs: Sequence[TrialSpec], warn: Warn
) -> dict[TrialKey, _EarlierTrial]:
    trials = {}
    for spec in specs:
        try:
            record = directory.read_record(spec.key)
        except UnreadableError as error:
            warn(f"the record of {spec.key} is trained again: {error}")
            continue
        if not record or record.status in UNFINISHED or record.protocol != spec.protocol.hash:
            continue
        trials[spec.key] = _EarlierTrial(record.status, record.origin.versions)
    return trials


def _changed_versions(
    specs: Sequence[TrialSpec], earlier: Mapping[TrialKey, _EarlierTrial]
) -> Iterator[str]:
    """A line for each model that was trained with other versions of packages than there are now.

    They are no part of what makes two trials the same: each update would train all again.
    """
    for label, variant in {spec.model: spec.variant for spec in specs}.items():
        present = variant.origin.versions
        before = {
            f"{name} {version}": f"{name} {present.get(name, 'is not installed')}"
            for key, trial in earlier.items()
            if key.model == label
            for name, version in trial.versions.items()
            if present.get(name) != version
        }
        if before:
            yield (
                f"{label}: trained earlier with {', '.join(before)}, now there is "
                f"{', '.join(dict.fromkeys(before.values()))}; --fresh trains all again"
            )


def _refuse_other_devices(
    directory: RunDirectory,
    present: Sequence[PlannedVariant],
    specs: Sequence[TrialSpec],
    fresh: bool,
) -> None:
    """Raise BenchmarkError if the run would show results of two kinds of device in one table."""
    replaced = {spec.key for spec in specs} if fresh else set()
    device = specs[0].device
    versions = [(variant.model, variant.identity) for variant in present]
    protocol = specs[0].protocol.hash
    for record in directory.read_records(protocol, lambda line: None, versions):
        if record.key in replaced:
            continue
        if _device_type(record.device) != _device_type(device):
            raise BenchmarkError(
                f"{directory.path} has results of {record.device}, and this run is for "
                f"{device}: their times cannot be compared; give another --out"
            )


def _device_type(device: str) -> str:
    return device.partition(":")[0]


def _resumable(
    pending: Sequence[TrialSpec], retried: Set[TrialKey], is_remote: bool, warn: Warn
) -> frozenset[TrialKey]:
    """Those of the pending trials that go on from a checkpoint.

    Raises CheckpointError for one that cannot go on as it began. One that is ``retried`` begins
    anew then: what was changed since may well be what made it fail.
    """
    resumed = set()
    for spec in pending:
        try:
            trial_checkpoints(spec, is_remote=is_remote).check()
        except CheckpointError:
            if spec.key not in retried:
                raise
            warn(f"{spec.key}: something has changed since; it begins anew")
            continue
        if checkpoint_files(spec.directory):
            resumed.add(spec.key)
    return frozenset(resumed)
