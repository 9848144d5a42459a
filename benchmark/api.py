"""What the command line does, for Python: carry a run out, open one that there is.

The command line calls what is here and nothing else. Lines about progress, and about what is
left out or changed, are said on standard error; a notebook shows them below its cell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmark.catalog import (
    Catalog,
    Plugin,
    PythonModel,
    dataset_chain,
    load_current_catalog,
    offer_python_model,
    require_unchanged,
    selected_plugins,
    without_python_models,
)
from benchmark.config import (
    Document,
    RunConfig,
    config_document,
    config_plugins,
    find_document,
    load_config,
    plugins_of_run,
    preset_names,
    with_keywords,
)
from benchmark.datasets import default_data_directory
from benchmark.display import TrainingDisplay, open_display
from benchmark.errors import BenchmarkError, StoreError
from benchmark.events import TrialEvent
from benchmark.files import UnreadableError, is_there, usable_path
from benchmark.progress import shown_by
from benchmark.python_arguments import folder, plugin_names, take_models
from benchmark.records import UNFINISHED
from benchmark.runner import Outcome, PreparedRun, carry_out, prepare
from benchmark.runs import Run, say_of_versions
from benchmark.standard_error import warn
from benchmark.store import RUN_FILE, RunDirectory

# Where runs are kept unless somebody says otherwise.
RUNS = "runs"


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

    ``models`` takes names, mappings with options, classes and functions, in a list or in a mapping
    of labels to them. A class or a function gets ``(input_shape, num_classes)`` and returns the
    model; where there is one, all models are trained in this process.

    The same call again finishes what is unfinished and trains nothing twice: ``fresh`` trains all
    again, ``retry_failed`` what did not complete, and ``take_over`` continues a run that a dead
    process on another machine has locked.

    A trial that does not complete raises nothing; its record says why. Raises the exceptions of
    ``benchmark.errors``, each a BenchmarkError, for a mistake of the caller's or a bad file; and
    KeyboardInterrupt where it is interrupted: finished trials are kept.
    """
    names = plugin_names(plugins)
    config, config_keys, python_models = take_models(config, config_keys)
    found, beside = find_config(config)
    out_folder = beside if out is None else folder("out", out)
    data_directory = None if data_dir is None else folder("data_dir", data_dir)
    document = with_keywords(found, config_keys)
    selection = (
        *selected_plugins([*config_plugins(document, selected_plugins(names)), *names]),
        *(offer_python_model(model, warn) for model in python_models),
    )
    catalog = _catalog(selection, python_models)
    finished, outcome = train(
        document,
        catalog,
        plugins=selection,
        out=out_folder,
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
    names = plugin_names(plugins)
    return opened_run(
        folder("path", path), lambda its_own: _catalog(selected_plugins([*its_own, *names]))
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
    lasting = without_python_models(plugins)
    config = load_config(document, catalog).model_copy(update={"plugins": lasting})
    require_unchanged(_plugins_of(config, catalog))
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
        with ExitStack() as stack:
            with shown_by(display):
                ready = stack.enter_context(prepared)
            shown = TrainingDisplay(display, ready.continuation.pending, verbose)
            description = ready.description

            def extend(larger: PreparedRun) -> None:
                nonlocal description
                description = larger.description
                shown.expect(larger.continuation.pending)

            def opened() -> Run:
                # A run keeps what it has once read: whoever looks at it later needs another.
                trials = {key for variant in description.variants for key in variant.trials}
                return Run(ready.directory, description, catalog, trials)

            def report(event: TrialEvent) -> None:
                shown.report(event)
                listen(event)

            outcome = carry_out(ready, report, opened, extend)
    return opened(), outcome


def say_where_it_is(run: Run, outcome: Outcome) -> None:
    """Say how many trials are unfinished, if any are, and where the records are."""
    trials = [key for variant in run.variants for key in variant.trials]
    unfinished = [key for key in trials if outcome.statuses.get(key) in (None, *UNFINISHED)]
    if unfinished:
        count = f"{len(unfinished)} of {len(trials)} trials"
        warn(f"{count} are not finished yet: the same command continues")
    say_of_versions(run)
    warn(f"records are in {run.path}")


def _catalog(selection: tuple[str, ...], models: Sequence[PythonModel] = ()) -> Catalog:
    """Load the plugins, with a line for each that failed or changed its process.

    Raises BenchmarkError where one of the ``models`` has the name of a plugin's.
    """
    catalog = load_current_catalog(selection)
    for model in models:
        if model.label in catalog.models.clashes:
            raise BenchmarkError(
                f"models: a plugin has a model {model.label!r}, too; give yours another label: "
                "models={'LABEL': ...}"
            )
    for line in [*catalog.refusals, *catalog.warnings]:
        warn(line)
    return catalog


def _plugins_of(config: RunConfig, catalog: Catalog) -> list[Plugin]:
    """The plugins whose code the run's figures depend on."""
    return [
        *(catalog.models[model.name].plugin for model in config.models),
        *(
            catalog.datasets[link.name].plugin
            for dataset in config.dataset
            for link in dataset_chain(dataset, catalog.datasets)
        ),
        catalog.recipes[config.recipe.name].plugin,
        catalog.executors[config.executor.name].plugin,
    ]
