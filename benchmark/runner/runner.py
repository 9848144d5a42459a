"""A config to trials, trials to an executor, records to the store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.catalog import Catalog, Offer, Plugin
from benchmark.config import RunConfig
from benchmark.datasets import Dataset, first_available
from benchmark.entries import Executor, ModelEntry
from benchmark.environment import describe_environment
from benchmark.errors import PLUGIN_FAULTS, BenchmarkError, PluginError, one_line
from benchmark.records import (
    DatasetRecord,
    Machine,
    ModelRecord,
    Origin,
    Protocol,
    Status,
    TrialEvent,
    TrialKey,
    TrialRecord,
    TrialSpec,
)
from benchmark.runner.continuation import Continuation, Warn, continue_run
from benchmark.store import DirectoryLock, RunDescription, RunDirectory
from benchmark.training import check_engine, remove_checkpoints, resolve_device, resolve_precision


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
    protocol = _protocol(config, dataset, precision)
    directory = RunDirectory.of(out, config.name, protocol)
    identities = catalog.identities
    origins = {model: _model_record(catalog.models[model]) for model in config.models}
    recipe_origin = _origin(catalog.recipes[protocol.recipe.name].plugin)
    # Seed by seed, so that a drift of the machine's speed hits all models alike.
    specs = tuple(
        TrialSpec(
            model=model,
            origin=origins[model],
            recipe_origin=recipe_origin,
            seed=seed,
            protocol=protocol,
            dataset=dataset.selection,
            device=str(device),
            engine=config.engine,
            compile=config.compile,
            checkpoint_every=config.checkpoint_every,
            data_directory=data_directory.absolute(),
            directory=directory.trial_directory(model, seed).absolute(),
            plugins=plugins,
            identities=identities,
        )
        for seed in config.seeds
        for model in config.models
    )
    description = RunDescription(
        config=config,
        trials=tuple((spec.model, spec.seed) for spec in specs),
        protocol=protocol,
        environment=Machine(**describe_environment()),
    )
    with DirectoryLock(directory.path, take_over=take_over) as lock:
        # Held from here on, so that nobody changes what is looked at now.
        if directory.path.exists():
            lock.acquire()
        continuation = continue_run(
            directory,
            specs,
            catalog,
            fresh=fresh,
            retry_failed=retry_failed,
            is_remote=is_remote,
            warn=warn,
        )
        executor = _create_executor(config, catalog)
        yield PreparedRun(description, directory, lock, executor, continuation, warn)


def carry_out(run: PreparedRun, report: Callable[[TrialEvent], None]) -> Outcome:
    """Train what is pending and keep each record as it comes; ``report`` is told of every event.

    An interruption ends the run; finished trials are kept. Raises StoreError.
    """
    directory, pending = run.directory, run.continuation.pending

    def keep_and_report(event: TrialEvent) -> None:
        if event.start is not None:
            directory.write_history(*event.trial, event.start.before)
        if event.epoch is not None:
            directory.append_epoch(*event.trial, event.epoch)
        report(event)

    # First of all, because the executor may refuse.
    trials = run.executor.run(pending, keep_and_report)
    run.lock.acquire()
    _lay_out(run)
    statuses = dict(run.continuation.kept)
    interrupted = False
    try:
        with closing(_until_closed(trials)) as ended:
            for record in ended:
                _keep(run, record)
                statuses |= _outdated_by(run, record, statuses)
                statuses[record.key] = record.status
                report(TrialEvent(trial=record.key, record=record))
                interrupted |= record.status == "interrupted"
    except KeyboardInterrupt:
        interrupted = True
    return Outcome(statuses, interrupted)


def _keep(run: PreparedRun, record: TrialRecord) -> None:
    """Write a record, unless it would replace one of a trial that ended by one that did not."""
    if record.status == "interrupted" and record.key in run.continuation.outdated:
        return
    run.directory.write_record(record)
    _remove_needless_checkpoints(run.directory, record.key, record.status)


def _outdated_by(
    run: PreparedRun, record: TrialRecord, statuses: Mapping[TrialKey, Status]
) -> dict[TrialKey, Status]:
    """The model's earlier trials, as unfinished, if the record shows that their code was another.

    That is said; the next command finds it out from the records.
    """
    differences = run.continuation.contradictions(record)
    model = record.model.name
    earlier = [key for key in run.continuation.kept if key[0] == model]
    if not differences or all(statuses[key] == "interrupted" for key in earlier):
        return {}
    run.warn(
        f"{model}, seed {record.seed}: not the network that its earlier seeds have trained "
        f"({'; '.join(differences)}), so its code has changed; the same command trains all again"
    )
    return dict.fromkeys(earlier, "interrupted")


def _lay_out(run: PreparedRun) -> None:
    """Write down what is to be done, and make room for it."""
    run.directory.remove_temporary_files()
    run.directory.write_description(run.description)
    for spec in run.continuation.pending:
        for obstacle in run.directory.remove_obstacles(spec.model, spec.seed):
            run.warn(f"{obstacle} was removed: it was not an ordinary file")
        run.directory.start_trial(
            spec.model,
            spec.seed,
            keep=spec.key in run.continuation.resumed,
            keep_record=spec.key in run.continuation.outdated,
        )
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
        remove_checkpoints(directory.trial_directory(*key))


def _origin(plugin: Plugin) -> Origin:
    return Origin(
        plugin=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        source=plugin.source,
    )


def _model_record(offer: Offer[ModelEntry]) -> ModelRecord:
    return ModelRecord(name=offer.entry.name, **_origin(offer.plugin).model_dump())


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


def _protocol(config: RunConfig, dataset: Dataset, precision: str) -> Protocol:
    train_images = _size(config.train_images, len(dataset.splits.train.labels))
    if config.batch_size > train_images:
        raise BenchmarkError(
            f"batch_size {config.batch_size} is larger than the training set "
            f"({train_images} images); give {train_images} or less"
        )
    return Protocol(
        dataset=DatasetRecord(
            name=dataset.selection.name,
            fingerprint=dataset.fingerprint,
            train_images=train_images,
            test_images=_size(config.test_images, len(dataset.splits.test.labels)),
            classes=len(dataset.splits.classes),
        ),
        recipe=config.recipe,
        epochs=config.epochs,
        batch_size=config.batch_size,
        steps_per_epoch=train_images // config.batch_size,
        precision=precision,
    )


def _size(wanted: int | None, available: int) -> int:
    return available if wanted is None else min(wanted, available)
