"""A config to trials, trials to an executor, records to the store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.catalog import Catalog
from benchmark.config import RunConfig
from benchmark.datasets import first_available, overlap_sentences
from benchmark.entries import Executor
from benchmark.environment import describe_environment
from benchmark.errors import PLUGIN_FAULTS, PluginError, one_line
from benchmark.events import TrialEvent
from benchmark.records import (
    Machine,
    Status,
    TrialRecord,
)
from benchmark.runner.continuation import Continuation, Warn, continue_run
from benchmark.runner.controls import refuse_shared_controls
from benchmark.runner.looks import first_seeds, more_seeds, with_looks, with_seeds
from benchmark.runner.planning import plan_images, plan_protocol, plan_trials, plan_variants
from benchmark.runner.siblings import say_of_other_code
from benchmark.runner.space import SpaceForWeights
from benchmark.specs import (
    TrialKey,
    TrialSpec,
)
from benchmark.store import DirectoryLock, RunDescription, RunDirectory
from benchmark.training import (
    check_engine,
    remove_checkpoints,
    require_room,
    resolve_device,
    resolve_precision,
)
from benchmark.trial import Trackers


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to be carried out: all that could be wrong has been looked for.

    Its directory is changed only under the ``lock``. ``with_seeds`` prepares the same run with more
    seeds each, of which those that it has already are settled.
    """

    description: RunDescription
    directory: RunDirectory
    lock: DirectoryLock
    executor: Executor
    continuation: Continuation
    catalog: Catalog
    warn: Warn
    with_seeds: Callable[[int], PreparedRun]


@dataclass(frozen=True)
class _Setup:
    """What holds for a run at each of its looks; ``whole`` has all seeds that there may be."""

    whole: RunDescription
    specs: tuple[TrialSpec, ...]
    directory: RunDirectory
    lock: DirectoryLock
    catalog: Catalog
    fresh: bool
    retry_failed: bool
    warn: Warn

    def prepared(self, count: int, settled: int = 0) -> PreparedRun:
        """The run with so many seeds, of which this command has seen to some already."""
        description = with_seeds(self.whole, count)
        models = len(description.variants)
        config = description.config
        continuation = continue_run(
            self.directory,
            description,
            self.specs[settled * models : count * models],
            fresh=self.fresh,
            retry_failed=self.retry_failed,
            is_remote=self.catalog.executors[config.executor.name].entry.remote,
            warn=self.warn,
        )
        return PreparedRun(
            description=description,
            directory=self.directory,
            lock=self.lock,
            executor=_create_executor(config, self.catalog),
            continuation=continuation,
            catalog=self.catalog,
            warn=self.warn,
            with_seeds=lambda more: self.prepared(more, settled=count),
        )


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

    Where seeds are added look by look, it has those of the first look.

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
    images = plan_images(config, dataset)
    for line in overlap_sentences(images.parts, images.classes):
        warn(f"data set {dataset.selection.name!r}: {line}")
    protocol = plan_protocol(config, dataset, images, precision, catalog)
    if not is_remote:
        require_room(protocol.dataset, device)
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
        dataset=dataset,
        device=str(device),
        data_directory=data_directory.absolute(),
        directory=directory,
        plugins=plugins,
    )
    with DirectoryLock(directory.path, take_over=take_over) as lock:
        # Held from here on, so that nobody changes what is looked at now.
        if directory.path.exists():
            lock.acquire()
        refuse_shared_controls(directory, description)
        description = with_looks(description, directory, warn)
        setup = _Setup(description, specs, directory, lock, catalog, fresh, retry_failed, warn)
        yield setup.prepared(first_seeds(config))


def carry_out(
    run: PreparedRun,
    report: Callable[[TrialEvent], None],
    opened: Callable[[], object],
    extend: Callable[[PreparedRun], None],
) -> Outcome:
    """Train what is pending and keep each record as it comes; ``report`` is told of every event.

    ``opened`` gives what trackers are given as the run, as it is at the time. Where seeds are added
    look by look, ``extend`` is called with the run as each further look has it. An interruption
    ends the run; finished trials are kept. Raises StoreError.
    """
    statuses = dict(run.continuation.kept)
    space = SpaceForWeights(run.directory.path, run.warn)
    trials = _begun(run, report, space)
    interrupted = False
    try:
        with _tracked(run, opened):
            interrupted = _train(run, trials, statuses, report)
            while count := _more_seeds(run, statuses, interrupted):
                run = run.with_seeds(count)
                extend(run)
                statuses |= run.continuation.kept
                interrupted = _train(run, _begun(run, report, space), statuses, report)
    except KeyboardInterrupt:
        interrupted = True
    return Outcome(statuses, interrupted)


def _more_seeds(
    run: PreparedRun, statuses: Mapping[TrialKey, Status], interrupted: bool
) -> int | None:
    if interrupted:
        return None
    return more_seeds(run.description, run.directory, statuses, run.warn)


def _begun(
    run: PreparedRun, report: Callable[[TrialEvent], None], space: SpaceForWeights
) -> Iterator[TrialRecord]:
    """Hand what is pending to the executor, and lay it out on the disk."""

    def keep_and_report(event: TrialEvent) -> None:
        space.note(event, run.continuation.pending)
        if event.start is not None:
            run.directory.write_history(event.trial, event.start.before)
        if event.epoch is not None:
            run.directory.append_epoch(event.trial, event.epoch)
        report(event)

    # First of all, because the executor may refuse.
    trials = run.executor.run(run.continuation.pending, keep_and_report)
    run.lock.acquire()
    _lay_out(run)
    return trials


def _train(
    run: PreparedRun,
    trials: Iterator[TrialRecord],
    statuses: dict[TrialKey, Status],
    report: Callable[[TrialEvent], None],
) -> bool:
    """Keep each trial's record, and its status in ``statuses``; whether any was interrupted."""
    interrupted = False
    with closing(_until_closed(trials)) as ended:
        for record in ended:
            run.directory.write_record(record)
            _remove_needless_checkpoints(run.directory, record.key, record.status)
            statuses[record.key] = record.status
            report(TrialEvent(trial=record.key, record=record))
            interrupted |= record.status == "interrupted"
    return interrupted


@contextmanager
def _tracked(run: PreparedRun, opened: Callable[[], object]) -> Iterator[None]:
    """Have the trackers look on at the run: at its start, and at its end, however it ends."""
    with Trackers(run.warn) as trackers:
        trackers.create(run.catalog, run.description.config.trackers)
        try:
            trackers.call("on_run_start", opened())
            yield
        finally:
            trackers.call("on_run_end", opened())


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
