"""What the command line does, for Python: carry a run out, open one that there is.

The command line calls what is here and nothing beside it. Lines about progress, and about what is
left out or changed, are said on standard error; a notebook shows them below its cell.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.catalog import Catalog, load_catalog, selected_plugins, variant_identity
from benchmark.config import (
    Document,
    config_document,
    config_plugins,
    find_document,
    load_config,
    plugins_of_run,
    preset_names,
    with_keywords,
)
from benchmark.datasets import default_data_directory
from benchmark.display import TrainingDisplay, open_display, warnings_of
from benchmark.errors import BenchmarkError, StoreError
from benchmark.files import UnreadableError, is_there, usable_folder, usable_path
from benchmark.progress import shown_by
from benchmark.records import (
    UNFINISHED,
    PlannedVariant,
    TrialEvent,
    TrialKey,
    TrialRecord,
)
from benchmark.report import RunTable, TableView, epochs_frame
from benchmark.runner import Outcome, carry_out, prepare
from benchmark.standard_error import say
from benchmark.store import (
    RUN_FILE,
    Records,
    RunDescription,
    RunDirectory,
    Version,
    Versions,
    version_of,
)

if TYPE_CHECKING:
    import pandas


# Where runs are kept unless somebody says otherwise.
RUNS = "runs"


class Run:
    """A run in its directory: what was asked for, its trials' records, and their table.

    ``path`` is the directory; ``description`` is what its ``run.json`` says, None where that is
    damaged. Records are read from the disk whenever they are looked at.
    """

    def __init__(
        self,
        directory: RunDirectory,
        description: RunDescription | None,
        catalog: Catalog,
        trials: Set[TrialKey] | None = None,
    ) -> None:
        self.path = directory.path
        self.description = description
        self._directory = directory
        self.catalog = catalog
        self._trials = trials

    @property
    def variants(self) -> tuple[PlannedVariant, ...]:
        """What was trained: label, entry, options, identity and seeds, in the table's order.

        Of a variant whose code has changed, the present version. Empty where ``description`` is
        None.
        """
        return self.description.present if self.description else ()

    @cached_property
    def records(self) -> Sequence[TrialRecord]:
        """A record for each trial that has ended, as a sequence: variant by variant, seed by seed.

        Of a run that ``benchmark.run`` gave, those of the trials that it was called for; of one
        that was opened, those of all present versions. What became of a trial is its record's
        ``status`` and ``reason``.
        """
        return self._records(self._present())

    def table(
        self,
        format: str = "simple",
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        *,
        models: Sequence[str] | None = None,
        versions: bool = False,
        verbose: bool = False,
    ) -> RunTable:
        """Make the table, as ``benchmark table`` prints it.

        ``columns`` are shown in that order, by default those that the format is for; ``sort`` names
        the column by which rows are ordered, the best first. ``models`` are the labels of the rows,
        ``label@identity`` for an earlier version of one; with ``versions`` every version has a row.
        If ``verbose``, what there is to say of each trial is said on standard error.

        Raises UnknownNameError for a column, BenchmarkError for a format that there is not, and
        StoreError for a model or a version that the run does not have.
        """
        view = TableView.choose(self.catalog, format, columns, sort)
        shown = self._shown(models, versions)
        records: Iterable[TrialRecord] = self._records(shown)
        if verbose:
            records = map(_with_warnings, records)
        return view.table(records, self.description, shown, warn)

    def _present(self) -> list[Version]:
        if self._trials is not None:
            return [version_of(variant) for variant in self.variants]
        return Versions(self._directory, self.description).present()

    def _shown(self, models: Sequence[str] | None, versions: bool) -> list[Version]:
        found = Versions(self._directory, self.description)
        if versions:
            return [
                version
                for version in found.every()
                if models is None or version.label in {named.label for named in found.named(models)}
            ]
        return self._present() if models is None else found.named(models)

    def _records(self, versions: Sequence[Version]) -> Records:
        return Records(self._directory, self.description, versions, warn, self._trials)

    def to_pandas(self) -> pandas.DataFrame:
        """Make a frame with a row for each epoch of each trial.

        A trial that ended before its first epoch did has no row; ``records`` has it. Raises
        BenchmarkError where pandas is not installed.
        """
        return epochs_frame(self.records)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] = "quickstart",
    *,
    out: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    take_over: bool = False,
    plugins: Sequence[str | os.PathLike[str]] = (),
    **config_keys: Any,
) -> Run:
    """Train what a config names, as ``benchmark run`` does, and return the run.

    ``config`` is a file's path, a preset's name, a mapping, or the directory of a run whose last
    config is meant; every other keyword is a key of the config and takes the place of what stands
    there: ``epochs=2``, ``models=["baseline_cnn"]``,
    ``dataset={"name": "synthetic", "train_images": 512}``. ``out`` is the folder in which runs are
    kept, by default ``runs``, or that of the run that ``config`` names; ``data_dir`` is the one in
    which data sets lie and are cached; ``plugins`` are modules and files that are plugins, beside
    the installed ones and those of the config.

    The same call again finishes what is unfinished and trains nothing twice: ``fresh`` trains all
    again, ``retry_failed`` what did not complete, and ``take_over`` goes on with a run that a dead
    process on another machine has locked.

    A trial that does not complete raises nothing; its record says why. Raises the exceptions of
    ``benchmark.errors``, each a BenchmarkError, for a mistake of the caller's or a bad file; and
    KeyboardInterrupt where it is interrupted: finished trials are kept.
    """
    names = _plugin_names(plugins)
    found, beside = find_config(_config(config))
    folder = beside if out is None else _folder("out", out)
    data_directory = None if data_dir is None else _folder("data_dir", data_dir)
    document = with_keywords(found, config_keys)
    selection = selected_plugins([*config_plugins(document, selected_plugins(names)), *names])
    finished, outcome = train(
        document,
        _catalog(selection),
        plugins=selection,
        out=folder,
        data_directory=data_directory,
        fresh=fresh,
        retry_failed=retry_failed,
        take_over=take_over,
    )
    say_where_it_is(finished, outcome)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return finished


def open_run(
    path: str | os.PathLike[str], *, plugins: Sequence[str | os.PathLike[str]] = ()
) -> Run:
    """Open the run in a directory, to look at its records and its table.

    Its plugins are loaded, and ``plugins`` beside them, for the columns that they offer. Raises
    StoreError where there is no run.
    """
    names = _plugin_names(plugins)
    return opened_run(
        _folder("path", path), lambda its_own: _catalog(selected_plugins([*its_own, *names]))
    )


def opened_run(path: Path, load: Callable[[list[str]], Catalog]) -> Run:
    """The run in a directory; a description that cannot be read is left out with a line.

    ``load`` makes the catalog, of the run's plugins among others.
    """
    directory = RunDirectory(path)
    try:
        description = directory.read_description()
    except UnreadableError as error:
        warn(f"{path / RUN_FILE} is left out: {error}")
        description = None
    its_own = plugins_of_run(description.config, path, warn) if description else []
    return Run(directory, description, load(its_own))


def find_config(config: str | Mapping[str, Any]) -> tuple[Document, Path]:
    """The document that a config names, and the folder for its run where nobody names one.

    The directory of a run stands for the run's config; raises StoreError where that is damaged.
    """
    if not isinstance(config, str) or config in preset_names():
        return find_document(config), Path(RUNS)
    path = usable_path(config, config or "CONFIG")
    if not is_there(path / RUN_FILE):
        return find_document(config), Path(RUNS)
    try:
        description = RunDirectory(path).read_description()
    except UnreadableError as error:
        raise StoreError(f"{path / RUN_FILE}: {error}") from error
    beside = path if path.name not in ("", "..") else path.resolve()
    return config_document(description.config, str(path / RUN_FILE)), beside.parent


def train(
    document: Document,
    catalog: Catalog,
    *,
    plugins: tuple[str, ...],
    out: Path,
    data_directory: Path | None,
    fresh: bool,
    retry_failed: bool,
    take_over: bool,
    verbose: bool = False,
    listen: Callable[[TrialEvent], None] = lambda event: None,
) -> tuple[Run, Outcome]:
    """Carry out what a document asks for, its progress shown on standard error.

    ``plugins`` is the selection of which the ``catalog`` was made. If ``verbose``, the end of the
    log of a trial that did not complete is shown. ``listen`` gets every event after the display.
    Raises BenchmarkError; an interruption is told by the outcome.
    """
    config = load_config(document, catalog).model_copy(update={"plugins": plugins})
    with open_display() as display:
        prepared = prepare(
            config,
            catalog,
            data_directory=data_directory or default_data_directory(),
            out=out,
            plugins=plugins,
            fresh=fresh,
            retry_failed=retry_failed,
            take_over=take_over,
            warn=lambda line: display.say(f"benchmark: {line}"),
        )
        with ExitStack() as opened:
            with shown_by(display):
                ready = opened.enter_context(prepared)
            description = ready.description
            trials = {key for variant in description.variants for key in variant.keys}

            def look() -> Run:
                # A run keeps what it has once read: whoever looks at it later needs another.
                return Run(ready.directory, description, catalog, trials)

            shown = TrainingDisplay(display, ready.continuation.pending, verbose)

            def report(event: TrialEvent) -> None:
                shown.report(event)
                listen(event)

            outcome = carry_out(ready, report, look)
    return look(), outcome


def say_where_it_is(run: Run, outcome: Outcome) -> None:
    """Say how many trials are unfinished, if any are, and where the records are."""
    trials = [key for variant in run.variants for key in variant.keys]
    unfinished = [key for key in trials if outcome.statuses.get(key) in (None, *UNFINISHED)]
    if unfinished:
        count = f"{len(unfinished)} of {len(trials)} trials"
        warn(f"{count} are not finished yet: the same command goes on")
    say_of_versions(run)
    warn(f"records are in {run.path}")


def say_of_versions(run: Run) -> None:
    """Say which of the run's models were also trained by earlier code, and how to see that."""
    labels = {variant.model for variant in run.variants}
    earlier = Counter(
        version.label
        for version in Versions(RunDirectory(run.path), run.description).earlier()
        if version.label in labels
    )
    if earlier:
        counts = ", ".join(f"{label} ({count})" for label, count in earlier.items())
        warn(
            f"there are records of earlier versions of {counts}: "
            f"'benchmark table {shlex.quote(str(run.path))} --versions' shows them"
        )


def say_of_changed_code(run: Run) -> None:
    """Say which of the run's models have other code now than that of the figures.

    Of a model that cannot be found here nothing is known.
    """
    for variant in run.variants:
        if variant.entry not in run.catalog.models.offers:
            continue
        offer = run.catalog.models[variant.entry]
        identity = variant_identity(offer.entry, offer.plugin, variant.options)
        if identity != variant.identity:
            warn(
                f"the code of {variant.model} has changed since it was trained "
                f"({variant.identity}, now {identity}): 'benchmark run' trains it"
            )


def warn(line: str) -> None:
    """Say something on standard error."""
    say(f"benchmark: {line}")


def _with_warnings(record: TrialRecord) -> TrialRecord:
    """The same; what there is to say of its trial is said."""
    for warning in warnings_of(record):
        warn(f"{record.key}: {warning}")
    return record


def _catalog(selection: tuple[str, ...]) -> Catalog:
    """Load the plugins, with a line for each that failed or changed its process."""
    catalog = load_catalog(selection)
    for line in [*catalog.refusals, *catalog.warnings]:
        warn(line)
    return catalog


def _config(config: object) -> str | Mapping[str, Any]:
    match config:
        case str() | Mapping():
            return config
        case os.PathLike():
            return str(Path(config))
    raise _not_a("config: should be a path, a preset's name or a mapping", config)


def _folder(keyword: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise _not_a(f"{keyword}: should be a path", value)
    return usable_folder(Path(value) if value else "", f"{keyword} {value}".strip())


def _plugin_names(plugins: object) -> list[str]:
    if not isinstance(plugins, list | tuple):
        raise _not_a("plugins: should be a list of modules' names and of files", plugins)
    for item in plugins:
        if not isinstance(item, str | os.PathLike):
            raise _not_a("plugins: should be modules' names and files", item)
    return [os.fspath(item) for item in plugins]


def _not_a(message: str, value: object) -> BenchmarkError:
    return BenchmarkError(f"{message}, got a value of type {type(value).__name__}")
