"""What earlier commands left of a run, and what this one makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from benchmark.catalog import Catalog
from benchmark.errors import BenchmarkError, CheckpointError
from benchmark.records import Status, TrialKey, TrialSpec
from benchmark.store import RunDirectory, UnreadableError
from benchmark.training.checkpoint import checkpoint_files
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
    specs: Sequence[TrialSpec],
    catalog: Catalog,
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
    _refuse_other_devices(directory, specs, fresh)
    if fresh:
        return Continuation({}, tuple(specs), frozenset(), frozenset())
    earlier = _earlier_statuses(directory, specs, warn)
    kept = {key: earlier[key] for key in earlier if earlier[key] == "completed" or not retry_failed}
    pending = tuple(spec for spec in specs if spec.key not in kept)
    retried = frozenset(earlier.keys() - kept.keys())
    resumed = _resumable(pending, retried, catalog, is_remote, warn)
    continuation = Continuation(kept, pending, resumed, retried)
    if earlier or resumed:
        warn(str(continuation))
    return continuation


def _earlier_statuses(
    directory: RunDirectory, specs: Sequence[TrialSpec], warn: Warn
) -> dict[TrialKey, Status]:
    statuses: dict[TrialKey, Status] = {}
    for spec in specs:
        try:
            record = directory.read_record(spec.model, spec.seed)
        except UnreadableError as error:
            warn(f"the record of {spec.model}, seed {spec.seed} is trained again: {error}")
            continue
        if not record or record.status == "interrupted" or record.protocol != spec.protocol.hash:
            continue
        statuses[spec.key] = record.status
    return statuses


def _refuse_other_devices(directory: RunDirectory, specs: Sequence[TrialSpec], fresh: bool) -> None:
    """Raise BenchmarkError if the run would show results of two kinds of device in one table."""
    replaced = {spec.key for spec in specs} if fresh else set()
    device = specs[0].device
    for record in directory.read_records(specs[0].protocol.hash, complain=lambda line: None):
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
    pending: Sequence[TrialSpec],
    retried: Set[TrialKey],
    catalog: Catalog,
    is_remote: bool,
    warn: Warn,
) -> frozenset[TrialKey]:
    """Those of the pending trials that go on from a checkpoint.

    Raises CheckpointError for one that cannot go on as it began. One that had failed begins anew
    then: what was changed since may well be what made it fail.
    """
    resumed = set()
    for spec in pending:
        try:
            trial_checkpoints(spec, catalog, is_remote=is_remote).check()
        except CheckpointError:
            if spec.key not in retried:
                raise
            warn(f"{spec.model}, seed {spec.seed}: something has changed since; it begins anew")
            continue
        if checkpoint_files(spec.directory):
            resumed.add(spec.key)
    return frozenset(resumed)
