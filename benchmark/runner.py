"""A config to trials, trials to an executor, records to the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.catalog import Catalog
from benchmark.config import RunConfig, validate_options
from benchmark.datasets import Dataset, first_available
from benchmark.entries import Executor
from benchmark.environment import describe_environment
from benchmark.errors import BenchmarkError, PluginError, one_line
from benchmark.plugin import PLUGIN_FAULTS
from benchmark.records import DatasetRecord, Protocol, TrialEvent, TrialRecord, TrialSpec
from benchmark.store import RunDescription, RunDirectory, UnreadableError
from benchmark.training.checkpoint import has_checkpoints, remove_checkpoints
from benchmark.training.device import resolve_device
from benchmark.training.engine import check_engine
from benchmark.training.precision import resolve_precision
from benchmark.trial import trial_checkpoints

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run that is ready to be carried out: all that could be wrong has been looked for.

    ``earlier`` are the records that are there already, ``pending`` the trials still to train,
    ``fresh`` if from their start.
    """

    description: RunDescription
    directory: RunDirectory
    executor: Executor
    earlier: tuple[TrialRecord, ...]
    pending: tuple[TrialSpec, ...]
    fresh: bool


@dataclass(frozen=True)
class Outcome:
    """The records of a run's trials, earlier ones among them, and whether it was interrupted."""

    records: tuple[TrialRecord, ...]
    interrupted: bool


def prepare(
    config: RunConfig,
    catalog: Catalog,
    *,
    data_directory: Path,
    out: Path,
    plugins: tuple[str, ...],
    fresh: bool,
    warn: Warn,
) -> Run:
    """Load the data set and lay the trials out; writes nothing but the data set's cache.

    ``plugins`` is what came after ``-p``; ``fresh`` leaves earlier records out of account.

    Raises DeviceError, DatasetError, CheckpointError for a trial that cannot go on as it began, and
    BenchmarkError for a batch larger than the training set.
    """
    device = resolve_device(config.device)
    check_engine(config.engine, device.type)
    precision = resolve_precision(config.precision, device)
    dataset = first_available(config.dataset, catalog.datasets, data_directory, warn)
    protocol = _protocol(config, dataset, precision)
    directory = RunDirectory.of(out, config.name, protocol)
    # Seed by seed, so that a drift of the machine's speed hits all models alike.
    specs = tuple(
        TrialSpec(
            model=model,
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
        )
        for seed in config.seeds
        for model in config.models
    )
    description = RunDescription(
        config=config,
        trials=tuple((spec.model, spec.seed) for spec in specs),
        protocol=protocol,
        environment=describe_environment(),
    )
    _refuse_other_devices(directory, specs, fresh)
    earlier = [] if fresh else _earlier_records(directory, specs, warn)
    done = {(record.model.name, record.seed) for record in earlier}
    pending = tuple(spec for spec in specs if (spec.model, spec.seed) not in done)
    if earlier:
        warn(_reuse_line(earlier, len(pending)))
    if not fresh:
        for spec in pending:
            trial_checkpoints(spec, catalog).check()
    executor = _create_executor(config, catalog)
    return Run(description, directory, executor, tuple(earlier), pending, fresh)


def carry_out(run: Run, report: Callable[[TrialEvent], None]) -> Outcome:
    """Train what is pending and keep each record as it comes; ``report`` is told of every event.

    An interruption ends the run; finished trials are kept. Raises StoreError.
    """
    run.directory.write_description(run.description)
    for spec in run.pending:
        goes_on = not run.fresh and has_checkpoints(Path(spec.directory))
        run.directory.start_trial(spec.model, spec.seed, keep=goes_on)
    for record in run.earlier:
        # Left by a kill between writing the record and removing them.
        _remove_checkpoints(run.directory, record)

    def keep_and_report(event: TrialEvent) -> None:
        if event.epoch is None and event.record is None:
            run.directory.write_history(event.spec.model, event.spec.seed, event.before)
        if event.epoch is not None:
            run.directory.append_epoch(event.spec.model, event.spec.seed, event.epoch)
        report(event)

    specs = {(spec.model, spec.seed): spec for spec in run.pending}
    records = [*run.earlier]
    interrupted = False
    try:
        for record in run.executor.run(run.pending, keep_and_report):
            run.directory.write_record(record)
            if record.status != "interrupted":
                _remove_checkpoints(run.directory, record)
            records.append(record)
            report(TrialEvent(specs[record.model.name, record.seed], record=record))
            interrupted = record.status == "interrupted"
            if interrupted:
                break
    except KeyboardInterrupt:
        interrupted = True
    return Outcome(tuple(records), interrupted)


def _remove_checkpoints(directory: RunDirectory, record: TrialRecord) -> None:
    remove_checkpoints(directory.trial_directory(record.model.name, record.seed))


def _create_executor(config: RunConfig, catalog: Catalog) -> Executor:
    offer = catalog.executors[config.executor.name]
    options = validate_options(offer.entry.options, config.executor.options)
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


def _earlier_records(
    directory: RunDirectory, specs: Sequence[TrialSpec], warn: Warn
) -> list[TrialRecord]:
    records = []
    for spec in specs:
        try:
            record = directory.read_record(spec.model, spec.seed)
        except UnreadableError as error:
            warn(f"the record of {spec.model}, seed {spec.seed} is trained again: {error}")
            continue
        if not record or record.status == "interrupted" or record.protocol != spec.protocol.hash:
            continue
        records.append(record)
    return records


def _refuse_other_devices(directory: RunDirectory, specs: Sequence[TrialSpec], fresh: bool) -> None:
    """Raise BenchmarkError if the run would show results of two kinds of device in one table."""
    replaced = {(spec.model, spec.seed) for spec in specs} if fresh else set()
    device = specs[0].device
    for record in directory.read_records(specs[0].protocol.hash)[0]:
        if (record.model.name, record.seed) in replaced:
            continue
        if _device_type(record.device) != _device_type(device):
            raise BenchmarkError(
                f"{directory.path} has results of {record.device}, and this run is for "
                f"{device}: their times cannot be compared; give another --out"
            )


def _device_type(device: str) -> str:
    return device.partition(":")[0]


def _reuse_line(records: Sequence[TrialRecord], pending: int) -> str:
    completed = sum(record.status == "completed" for record in records)
    failed = len(records) - completed
    failed_text = f", {failed} failed" if failed else ""
    return (
        f"{completed} of {len(records) + pending} trials completed earlier{failed_text}, "
        f"{pending} to train (--fresh trains all again)"
    )
