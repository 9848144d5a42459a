"""A config to trials, trials to an executor, records to the store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.catalog import (
    Catalog,
    code_identity,
    core_identity,
    plugin_origin,
    variant_identity,
)
from benchmark.config import ChosenModel, RunConfig
from benchmark.datasets import Dataset, first_available
from benchmark.entries import Executor
from benchmark.environment import describe_environment
from benchmark.errors import PLUGIN_FAULTS, BenchmarkError, PluginError, one_line
from benchmark.records import (
    DatasetRecord,
    Machine,
    PlannedVariant,
    Protocol,
    RecipeRecord,
    Status,
    TrialEvent,
    TrialKey,
    TrialRecord,
    TrialSpec,
    Variant,
)
from benchmark.runner.continuation import Continuation, Warn, continue_run
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
    protocol = _protocol(config, dataset, precision, catalog)
    directory = RunDirectory.of(out, config.name, protocol)
    for line in say_of_other_code(directory, config.name, protocol):
        warn(line)
    variants = [_variant(model, catalog) for model in config.models]
    recipe_origin = plugin_origin(catalog.recipes[protocol.recipe.name].plugin)
    # Seed by seed, so that a drift of the machine's speed hits all models alike.
    specs = tuple(
        TrialSpec(
            variant=variant,
            recipe_origin=recipe_origin,
            seed=seed,
            protocol=protocol,
            dataset=dataset.selection,
            device=str(device),
            engine=config.engine,
            compile=config.compile,
            checkpoint_every=config.checkpoint_every,
            trackers=config.trackers,
            data_directory=data_directory.absolute(),
            directory=directory.trial_directory(
                TrialKey(variant.model, variant.identity, seed)
            ).absolute(),
            plugins=plugins,
            core=core_identity(),
        )
        for seed in config.seeds
        for variant in variants
    )
    description = RunDescription(
        config=config,
        variants=tuple(PlannedVariant(**dict(variant), seeds=config.seeds) for variant in variants),
        protocol=protocol,
        environment=Machine(**describe_environment()),
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


def _variant(model: ChosenModel, catalog: Catalog) -> Variant:
    offer = catalog.models[model.name]
    return Variant(
        model=model.label,
        entry=model.name,
        options=model.options,
        identity=variant_identity(offer.entry, offer.plugin, model.options),
        origin=plugin_origin(offer.plugin),
    )


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


def _protocol(config: RunConfig, dataset: Dataset, precision: str, catalog: Catalog) -> Protocol:
    train_images = _size(config.train_images, len(dataset.splits.train.labels))
    if config.batch_size > train_images:
        raise BenchmarkError(
            f"batch_size {config.batch_size} is larger than the training set "
            f"({train_images} images); give {train_images} or less"
        )
    images = catalog.datasets[dataset.selection.name]
    recipe = catalog.recipes[config.recipe.name]
    return Protocol(
        dataset=DatasetRecord(
            name=dataset.selection.name,
            identity=code_identity(images.entry, images.plugin),
            fingerprint=dataset.fingerprint,
            train_images=train_images,
            test_images=_size(config.test_images, len(dataset.splits.test.labels)),
            classes=len(dataset.splits.classes),
        ),
        recipe=RecipeRecord(
            **dict(config.recipe), identity=code_identity(recipe.entry, recipe.plugin)
        ),
        epochs=config.epochs,
        batch_size=config.batch_size,
        steps_per_epoch=train_images // config.batch_size,
        precision=precision,
    )


def _size(wanted: int | None, available: int) -> int:
    return available if wanted is None else min(wanted, available)
