"""What earlier commands left of a run, and what this one makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field

from benchmark.analysis import Provenance
from benchmark.catalog import Catalog
from benchmark.errors import BenchmarkError, CheckpointError, StoreError
from benchmark.files import UnreadableError
from benchmark.records import Status, TrialKey, TrialRecord, TrialSpec
from benchmark.store import RUN_FILE, RunDirectory
from benchmark.training import checkpoint_files
from benchmark.trial import trial_checkpoints

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Continuation:
    """Which of a run's trials stand, and with what status, and which are to be trained.

    Of the ``pending`` some are ``resumed`` from a checkpoint, some ``retried`` though they failed
    before, and some ``outdated``: trained before, but by different code. ``trained_by`` is the code
    of those that are kept, by model.
    """

    kept: Mapping[TrialKey, Status]
    pending: tuple[TrialSpec, ...]
    resumed: frozenset[TrialKey]
    retried: frozenset[TrialKey]
    outdated: frozenset[TrialKey] = frozenset()
    trained_by: Mapping[str, Provenance] = field(default_factory=dict)

    def __str__(self) -> str:
        """What becomes of the trials, in numbers."""
        completed = [*self.kept.values()].count("completed")
        failed = len(self.kept) - completed
        parts = [f"{completed} of {len(self.kept) + len(self.pending)} trials completed earlier"]
        if failed:
            parts.append(f"{failed} failed (--retry-failed tries again)")
        counts = {
            "from a checkpoint": self.resumed,
            "that failed before": self.retried,
            "trained before by different code": self.outdated,
        }
        details = ", ".join(f"{len(keys)} {what}" for what, keys in counts.items() if keys)
        parts.append(f"{len(self.pending)} to train" + (f" ({details})" if details else ""))
        return f"{', '.join(parts)}; --fresh trains all again"

    def contradictions(self, record: TrialRecord) -> list[str]:
        """How the code of a new record differs from that of the kept ones of its model.

        What a model imports from other files than its plugin's can be told only once it is built.
        """
        kept = self.trained_by.get(record.model.name)
        return kept.differences(Provenance.of(record)) if kept else []


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
    _warn_of_damaged_description(directory, warn)
    _refuse_other_devices(directory, specs, fresh)
    if fresh:
        return Continuation({}, tuple(specs), frozenset(), frozenset())
    earlier = _earlier_trials(directory, specs, warn)
    # Told only when it is sure that the run is not refused.
    warnings: list[str] = []
    outdated = _outdated(earlier, specs, warnings.append)
    kept = {
        key: trial.status
        for key, trial in earlier.items()
        if key not in outdated and (trial.status == "completed" or not retry_failed)
    }
    pending = tuple(spec for spec in specs if spec.key not in kept)
    retried = frozenset(earlier.keys() - kept.keys() - outdated)
    resumed = _resumable(pending, retried | outdated, catalog, is_remote, warn)
    for warning in warnings:
        warn(warning)
    codes: dict[str, list[Provenance]] = defaultdict(list)
    for model, seed in kept:
        codes[model].append(earlier[model, seed].code)
    trained_by = {model: _most_complete(found) for model, found in codes.items()}
    continuation = Continuation(kept, pending, resumed, retried, outdated, trained_by)
    if earlier or resumed:
        warn(str(continuation))
    return continuation


def _warn_of_damaged_description(directory: RunDirectory, warn: Warn) -> None:
    """Warn where a damaged description no longer shows which trials earlier commands asked for."""
    # A StoreError says that there has been no such command.
    with suppress(StoreError):
        try:
            directory.read_description()
        except UnreadableError as error:
            warn(f"{directory.path / RUN_FILE} is left out: {error}")


@dataclass(frozen=True)
class _EarlierTrial:
    """What is kept in memory of a record that an earlier command wrote."""

    status: Status
    code: Provenance


def _earlier_trials(
    directory: RunDirectory, specs: Sequence[TrialSpec], warn: Warn
) -> dict[TrialKey, _EarlierTrial]:
    trials = {}
    for spec in specs:
        try:
            record = directory.read_record(spec.model, spec.seed)
        except UnreadableError as error:
            warn(f"the record of {spec.model}, seed {spec.seed} is trained again: {error}")
            continue
        if not record or record.status == "interrupted" or record.protocol != spec.protocol.hash:
            continue
        trials[spec.key] = _EarlierTrial(record.status, Provenance.of(record))
    return trials


def _outdated(
    earlier: Mapping[TrialKey, _EarlierTrial], specs: Sequence[TrialSpec], warn: Warn
) -> frozenset[TrialKey]:
    """The trials that different code has trained, with a line for each model that has any.

    Where trials of the same source differ in size, it is unknown which is of the present code.
    """
    expected = {spec.model: Provenance.expected(spec) for spec in specs}
    differences: dict[str, list[str]] = defaultdict(list)
    outdated: dict[str, list[TrialKey]] = defaultdict(list)
    present: dict[str, list[TrialKey]] = defaultdict(list)
    for key, trial in earlier.items():
        model = key[0]
        found = trial.code.differences(expected[model])
        differences[model] += found
        (outdated if found else present)[model].append(key)
    for model, keys in present.items():
        found = _differences_among([earlier[key].code for key in keys])
        if found:
            differences[model] += found
            outdated[model] += keys
    for model, keys in outdated.items():
        seeds = ", ".join(str(seed) for _, seed in sorted(keys))
        warn(
            f"{model}, {'seed' if len(keys) == 1 else 'seeds'} {seeds}: trained by different code "
            f"({'; '.join(dict.fromkeys(differences[model]))}), so trained again; each old record "
            "is kept until its new trial ends (to keep it for good, give another --out)"
        )
    return frozenset(key for keys in outdated.values() for key in keys)


def _differences_among(codes: Sequence[Provenance]) -> list[str]:
    """How codes of the same source differ, each from that of which most is known."""
    known = _most_complete(codes)
    return [difference for code in dict.fromkeys(codes) for difference in code.differences(known)]


def _most_complete(codes: Sequence[Provenance]) -> Provenance:
    return max(codes, key=lambda code: (code.params is not None, code.macs is not None))


def _refuse_other_devices(directory: RunDirectory, specs: Sequence[TrialSpec], fresh: bool) -> None:
    """Raise BenchmarkError if the run would show results of two kinds of device in one table."""
    replaced = {spec.key for spec in specs} if fresh else set()
    device = specs[0].device
    for record in directory.read_records(specs[0].protocol.hash, warn=lambda line: None):
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
    replaced: Set[TrialKey],
    catalog: Catalog,
    is_remote: bool,
    warn: Warn,
) -> frozenset[TrialKey]:
    """Those of the pending trials that go on from a checkpoint.

    Raises CheckpointError for one that cannot go on as it began. One whose record will be
    ``replaced`` begins anew then: what was changed since may well be what made it fail.
    """
    resumed = set()
    for spec in pending:
        try:
            trial_checkpoints(spec, catalog, is_remote=is_remote).check()
        except CheckpointError:
            if spec.key not in replaced:
                raise
            warn(f"{spec.model}, seed {spec.seed}: something has changed since; it begins anew")
            continue
        if checkpoint_files(spec.directory):
            resumed.add(spec.key)
    return frozenset(resumed)
