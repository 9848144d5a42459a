"""A config to trials, trials to an executor, records to the store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.catalog import Catalog
from benchmark.config import RunConfig
from benchmark.datasets import first_available
from benchmark.entries import Executor
from benchmark.environment import describe_environment
from benchmark.errors import PLUGIN_FAULTS, PluginError, one_line
from benchmark.records import (
    Machine,
    Status,
    TrialEvent,
    TrialKey,
    TrialRecord,
)
from benchmark.runner.continuation import Continuation, Warn, continue_run
from benchmark.runner.planning import plan_protocol, plan_trials, plan_variants
from benchmark.runner.siblings import say_of_other_code
from benchmark.store import DirectoryLock, RunDescription, RunDirectory
from benchmark.training import check_engine, remove_checkpoints, resolve_device, resolve_precision
from benchmark.trial import Trackers


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to be carried out: all that could be wrong has been looked for.

    Its directory is changed only under the ``lock``.
    """

    description: RunDescription
    directory: RunDirectory
    lock: DirectoryLock
    executor: Executor
    continuation: Continuation
    catalog: Catalog
    warn: Warn


@dataclass(frozen=True)
class Outcome:
    """What became of a run's trials, earlier ones among them, and whether it was interrupted."""

    statuses: Mapping[TrialKey, Status]
    interrupted: bool


@contextmanager
def prepare(
    config: RunConfig,
    catalog: Catalog,
    *,
    data_directory: Path,
    out: Path,
    plugins: tuple[str, ...],
    fresh: bool,
    retry_failed: bool,
    take_over: bool,
    warn: Warn,
) -> Iterator[PreparedRun]:
    """Load the data set and lay the trials out; within the context the run is this process's own.

    ``plugins`` is what was selected; ``fresh`` leaves earlier records out of account,
    ``retry_failed`` those of trials that did not complete. Where another process is at work on the
    run this is refused, but with ``take_over`` not if it is on another machine. Writes nothing but
    the data set's cache and the lock.

    Raises DeviceError, DatasetError, StoreError, CheckpointError for a trial that cannot go on as
    it began, and BenchmarkError for a batch larger than the training set.
    """
    is_remote = catalog.executors[config.executor.name].entry.remote
    device = resolve_device(config.device, remote=is_remote)
    check_engine(config.engine, device.type)
    precision = resolve_precision(config.precision, device)
    dataset = first_available(config.dataset, catalog.datasets, data_directory, warn)
    protocol = plan_protocol(config, dataset, precision, catalog)
    directory = RunDirectory.of(out, config.name, protocol)
    for line in say_of_other_code(directory, config.name, protocol):
        warn(line)
    description = RunDescription(
        config=config,
        variants=plan_variants(config, catalog),
        protocol=protocol,
        environment=Machine(**describe_environment()),
    )
    specs = plan_trials(
        description,
        catalog,
        dataset=dataset.selection,
        device=str(device),
        data_directory=data_directory.absolute(),
        directory=directory,
        plugins=plugins,
    )
    with DirectoryLock(directory.path, take_over=take_over) as lock:
        # Held from here on, so that nobody changes what is looked at now.
        if directory.path.exists():
            lock.acquire()
        continuation = continue_run(
            directory,
            description,
            specs,
            fresh=fresh,
            retry_failed=retry_failed,
            is_remote=is_remote,
            warn=warn,
        )
        executor = _create_executor(config, catalog)
        yield PreparedRun(description, directory, lock, executor, continuation, catalog, warn)


def carry_out(
    run: PreparedRun, report: Callable[[TrialEvent], None], look: Callable[[], object]
) -> Outcome:
    """Train what is pending and keep each record as it comes; ``report`` is told of every event.

    ``look`` gives what trackers are given as the run, as it is at the time. An interruption ends
    the run; finished trials are kept. Raises StoreError.
    """
    directory, pending = run.directory, run.continuation.pending

    def keep_and_report(event: TrialEvent) -> None:
        if event.start is not None:
            directory.write_history(event.trial, event.start.before)
        if event.epoch is not None:
            directory.append_epoch(event.trial, event.epoch)
        report(event)

    # First of all, because the executor may refuse.
    trials = run.executor.run(pending, keep_and_report)
    run.lock.acquire()
    _lay_out(run)
    statuses = dict(run.continuation.kept)
    interrupted = False
    try:
        with _tracked(run, look), closing(_until_closed(trials)) as ended:
            for record in ended:
                directory.write_record(record)
                _remove_needless_checkpoints(directory, record.key, record.status)
                statuses[record.key] = record.status
                report(TrialEvent(trial=record.key, record=record))
                interrupted |= record.status == "interrupted"
    except KeyboardInterrupt:
        interrupted = True
    return Outcome(statuses, interrupted)


@contextmanager
def _tracked(run: PreparedRun, look: Callable[[], object]) -> Iterator[None]:
    """Have the trackers look on at the run: at its start, and at its end, however it ends."""
    with Trackers(run.warn) as trackers:
        trackers.create(run.catalog, run.description.config.trackers)
        try:
            trackers.call("on_run_start", look())
            yield
        finally:
            trackers.call("on_run_end", look())


def _lay_out(run: PreparedRun) -> None:
    """Write down what is to be done, and make room for it."""
    run.directory.remove_temporary_files()
    run.directory.write_description(run.description)
    for spec in run.continuation.pending:
        for obstacle in run.directory.remove_obstacles(spec.key):
            run.warn(f"{obstacle} was removed: it was not an ordinary file")
        run.directory.start_trial(spec.key, keep=spec.key in run.continuation.resumed)
    for key, status in run.continuation.kept.items():
        # Left by a kill between writing the record and removing them.
        _remove_needless_checkpoints(run.directory, key, status)


def _until_closed(trials: Iterator[TrialRecord]) -> Generator[TrialRecord, None, None]:
    """The same; when this is closed, so is an executor's generator."""
    yield from trials


def _remove_needless_checkpoints(directory: RunDirectory, key: TrialKey, status: Status) -> None:
    """Remove a completed trial's; one that did not complete may be tried again.

    Raises StoreError.
    """
    if status == "completed":
        remove_checkpoints(directory.trial_directory(key))


def _create_executor(config: RunConfig, catalog: Catalog) -> Executor:
    offer = catalog.executors[config.executor.name]
    options = offer.entry.options.from_mapping(config.executor.options)
    try:
        return offer.entry.create(options)
    except PLUGIN_FAULTS as error:
        raise PluginError(
            f"executor {config.executor.name!r} of {offer.plugin.label} cannot be created: "
            f"{one_line(error)}"
        ) from error
