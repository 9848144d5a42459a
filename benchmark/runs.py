"""A run in its directory, as Python sees it."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.catalog import Catalog, variant_identity
from benchmark.comparing import compare
from benchmark.config import mapping_document
from benchmark.contenders import Argument, Source
from benchmark.datasets import default_data_directory
from benchmark.display import warnings_of
from benchmark.errors import BenchmarkError, PluginError, StoreError
from benchmark.evaluating import Request, evaluate_weights
from benchmark.files import UnreadableError, usable_folder
from benchmark.records import TrialRecord
from benchmark.report import Comparison, Evaluations, RunTable, TableView, epochs_frame
from benchmark.specs import (
    PlannedVariant,
    TrialKey,
)
from benchmark.standard_error import warn
from benchmark.store import Records, RunDescription, RunDirectory, Version, Versions, version_of
from benchmark.trial import load_kept_model

if TYPE_CHECKING:
    import pandas
    from torch import nn

# Said with a table of all versions.
ORDER = (
    "The identity of its code and options is behind each model's name; of a model's versions the "
    "last is the present one."
)


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
        return self._records(self._present(), self._trials)

    def table(
        self,
        format: str = "simple",
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        *,
        models: Sequence[str] | None = None,
        versions: bool = False,
        doubt: str = "both",
        verbose: bool = False,
    ) -> RunTable:
        """Make the table, as ``benchmark table`` prints it.

        ``columns`` are shown in that order, by default those that the format is for; ``sort`` names
        the column by which rows are ordered, the best first. ``models`` are the labels of the rows,
        ``label@identity`` for an earlier version of one; with ``versions`` every version has a row.
        ``doubt`` is what an accuracy's interval is about: other ``seeds``, other test ``images``,
        or ``both``. If ``verbose``, what there is to say of each trial is said on standard error.

        Raises UnknownNameError for a column, BenchmarkError for a format or a doubt that there is
        not, and StoreError for a model or a version that the run does not have.
        """
        view = TableView.choose(self.catalog, format, columns, sort, doubt)
        shown = self._shown(models, versions)
        # Of what is named, or of all versions, all seeds.
        trials = None if versions or models is not None else self._trials
        records: Iterable[TrialRecord] = self._records(shown, trials)
        if verbose:
            records = map(_with_warnings, records)
        return view.table(records, self.description, shown, warn, ORDER if versions else "")

    def model(self, label: str, seed: int = 0, *, force: bool = False) -> nn.Module:
        """Build a model with the weights that were evaluated, as a module in evaluation mode.

        It maps floats of N x C x H x W, pixels between 0 and 1, to logits of N x classes, and is on
        the CPU. ``label`` is the row's, ``label@identity`` for an earlier version of it.

        Raises StoreError for a row or a seed that the run does not have and where no weights were
        kept, OtherCodeError where the model's code has changed since, unless ``force`` is given.
        """
        if not isinstance(label, str) or isinstance(seed, bool) or not isinstance(seed, int):
            raise StoreError(f"a model is a label and a seed, got {label!r} and {seed!r}")
        version, *others = Versions(self._directory, self.description).named([label], "")
        if others:
            raise StoreError(f"{label}: stands for {1 + len(others)} models; name one")
        key = TrialKey(version.label, version.identity, seed)
        try:
            record = self._directory.read_record(key)
        except UnreadableError as error:
            raise StoreError(f"the record of {key} cannot be read: {error}") from error
        if record is None:
            seeds = [r.seed for r in self._records([version], None)]
            known = ", ".join(map(str, seeds)) or "none"
            raise StoreError(f"{label}: there is no record of seed {seed} (there are: {known})")
        folder = self._directory.trial_directory(key)
        return load_kept_model(record, folder, self.catalog, warn, force=force).module

    def evaluate(
        self,
        dataset: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        models: Sequence[str] | None = None,
        device: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        force: bool = False,
        format: str = "simple",
    ) -> Evaluations:
        """Test the weights that were kept on other images, as ``benchmark evaluate`` does.

        ``dataset`` is a data set's name, by default the run's own, whose test images are then
        classified again; ``options`` are the data set's. ``models`` are the labels of the rows.
        ``device`` is by default the one that the models were trained on. With ``force`` a model is
        tested although its code has changed.

        Raises BenchmarkError for a data set that does not fit, and where there are no weights.
        """
        if isinstance(models, str):
            raise BenchmarkError(f"models: should be a list of labels, got {models!r}")
        if not isinstance(dataset, str | None):
            raise BenchmarkError(f"dataset: should be a data set's name, got {dataset!r}")
        if not isinstance(options, Mapping | None):
            raise BenchmarkError(f"options: should be a mapping, got {options!r}")
        source = self._argument().source
        if models is not None:
            # Of what is named all seeds, also of an earlier version.
            source = replace(source, trials=None)
        shown = self._shown(models, versions=False)
        return evaluate_weights(
            source,
            shown,
            self.catalog,
            Request(dataset, mapping_document(options or {}).data, device, force),
            data_directory=usable_folder(os.fspath(data_dir), "data_dir")
            if data_dir is not None
            else default_data_directory(),
            format=format,
            warn=warn,
        )

    def compare(
        self,
        against: str | os.PathLike[str] | Run | None = None,
        models: Sequence[str] | None = None,
        *,
        time_to: float | None = None,
        allow_mixed: bool = False,
        format: str = "simple",
    ) -> Comparison:
        """Compare the rows with one another, as ``benchmark compare`` does.

        ``against`` is the label of the row that all are compared with, by default the best one's;
        or ``"RUN:label"``, a row of another run, whose directory is ``RUN``; or another run, whose
        rows are compared with those of the same label, and never pooled with them. ``models`` are
        the labels of the rows, ``label@identity`` for an earlier version of one. ``time_to`` is
        the test accuracy, a fraction, to which trainings are timed. With ``allow_mixed`` rows of
        different protocols stand in one table, marked.

        Raises BenchmarkError for a mistake in these, and where there is nothing to compare.
        """
        if isinstance(models, str):
            raise BenchmarkError(f"models: should be a list of labels, got {models!r}")
        if isinstance(against, os.PathLike):
            against = os.fspath(against)
        if not isinstance(against, str | Run | None):
            raise BenchmarkError(f"against: should be a label, a path or a Run, got {against!r}")
        if isinstance(time_to, bool) or not isinstance(time_to, int | float | None):
            raise BenchmarkError(f"time_to: should be a fraction such as 0.7, got {time_to!r}")
        return compare(
            [self._argument()],
            against._argument() if isinstance(against, Run) else against,
            models,
            allow_mixed=allow_mixed,
            accuracy=time_to,
            format=format,
            warn=warn,
        )

    def _argument(self) -> Argument:
        """The run as something to compare."""
        if self.description is None:
            return Argument(Source.open(self.path))
        return Argument(Source(self._directory, self.description, self._trials))

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

    def _records(self, versions: Sequence[Version], trials: Set[TrialKey] | None) -> Records:
        return Records(self._directory, self.description, versions, warn, trials)

    def to_pandas(self) -> pandas.DataFrame:
        """Make a frame with a row for each epoch of each trial.

        A trial that ended before its first epoch did has no row; ``records`` has it. Raises
        BenchmarkError where pandas is not installed.
        """
        return epochs_frame(self.records)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"


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
            f"there are records of other versions of {counts}: "
            f"'benchmark table {shlex.quote(str(run.path))} --versions' shows them"
        )


def say_of_changed_code(run: Run) -> None:
    """Say which of the run's models have other code now than that of the figures."""
    changed = [variant.model for variant in run.variants if _has_changed(variant, run.catalog)]
    if changed:
        warn(
            f"the code of {', '.join(changed)} has changed since; "
            f"'benchmark run {shlex.quote(str(run.path))}' trains what it is now"
        )


def _has_changed(variant: PlannedVariant, catalog: Catalog) -> bool:
    """Whether a variant's code is here, and is another than when it was trained."""
    if variant.entry not in catalog.models.offers:
        return False
    offer = catalog.models[variant.entry]
    try:
        return variant_identity(offer.entry, offer.plugin, variant.options) != variant.identity
    except PluginError as error:
        # Of a data file that is missing, say: the figures are there all the same.
        warn(str(error))
        return False


def _with_warnings(record: TrialRecord) -> TrialRecord:
    """The same; what there is to say of its trial is said."""
    for warning in warnings_of(record):
        warn(f"{record.key}: {warning}")
    return record
