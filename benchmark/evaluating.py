"""Kept weights tested on other images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmark.analysis import EvaluatedRow, Relation, evaluated_row
from benchmark.catalog import Catalog, dataset_chain
from benchmark.config import resolve_selection
from benchmark.contenders import Source
from benchmark.datasets import Dataset, load_dataset
from benchmark.entries import Images, MetricEntry
from benchmark.errors import (
    PLUGIN_FAULTS,
    BenchmarkError,
    DatasetError,
    DatasetUnavailableError,
    DeviceError,
    ModelError,
    StoreError,
    one_line,
)
from benchmark.process_settings import settings_put_back
from benchmark.progress import track
from benchmark.protocol import Selection
from benchmark.records import TrialRecord
from benchmark.report import Evaluations
from benchmark.store import Records, Version
from benchmark.training import (
    Evaluation,
    ResidentImages,
    as_floats,
    evaluate,
    place,
    resolve_device,
    subset,
    tuned,
)
from benchmark.trial import KeptModel, Measures, load_kept_model

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to test kept weights on: a data set and its options, where they were given, a device.

    Without a data set it is the run's own. With ``force`` a model is tested whose code has changed.
    """

    dataset: str | None = None
    options: Mapping[str, Any] | None = None
    device: str | None = None
    force: bool = False


def evaluate_weights(
    source: Source,
    versions: Sequence[Version],
    catalog: Catalog,
    request: Request,
    *,
    data_directory: Path,
    format: str,
    warn: Warn,
) -> Evaluations:
    """Test the weights that a run kept of these versions on the test images of a data set.

    What has no weights, or other code by now, is left out, and ``warn`` gets a line. Raises
    BenchmarkError for a data set that does not fit, and where nothing is left to test.
    """
    records = [
        record
        for record in Records(source.directory, source.description, versions, warn, source.trials)
        if record.status == "completed"
    ]
    selection = _selection(source, catalog, request, data_directory)
    dataset = load_dataset(selection, catalog.datasets, data_directory)
    device = _device(records, request.device, warn)
    images = _Images(source, catalog, dataset, data_directory, device)
    metrics = _metrics(source, catalog, warn)
    bench = _Bench(source, catalog, images, metrics, request.force, warn)
    distinctions = {(v.label, v.identity): v.distinction for v in versions}
    rows = [
        row
        for (label, identity), group in groupby(records, lambda r: (r.model, r.identity))
        for row in bench.rows(f"{label}{distinctions[label, identity]}", [*group])
    ]
    if not rows:
        raise BenchmarkError(f"{source.directory.path}: there are no weights that can be tested")
    return Evaluations(
        models=tuple(rows),
        run=source.directory.path,
        protocol=source.description.protocol,
        dataset=selection,
        fingerprint=dataset.fingerprint,
        images=len(images.test.labels),
        device=str(device),
        metrics=tuple(metrics),
        format=format,
        left_out=bench.left_out,
    )


def _metrics(source: Source, catalog: Catalog, warn: Warn) -> list[MetricEntry]:
    """The run's metrics, as far as there are plugins that offer them."""
    names = source.description.config.metrics
    for name in names:
        if name not in catalog.metrics.offers:
            warn(f"metric {name!r} is not shown: no plugin offers it; name its plugin with -p")
    return [catalog.metrics[name].entry for name in names if name in catalog.metrics.offers]


def _selection(
    source: Source, catalog: Catalog, request: Request, data_directory: Path
) -> Selection:
    """The data set that was asked for; what was left open is as the run has it."""
    own = _own_selection(source, catalog, data_directory)
    name = own.name if request.dataset is None else request.dataset
    given = dict(request.options or {})
    origins = {key: f"--set dataset.{key}" for key in given}
    if name == own.name:
        given = {**own.options, **given}
    wraps = catalog.datasets[name].entry.wraps
    if wraps is not None and given.get(wraps) is None:
        # First, so that an option of it that was given takes the place of its own.
        others = {key: value for key, value in given.items() if key != wraps}
        given = {wraps: {"name": own.name, **own.options}, **others}
    return resolve_selection(catalog.datasets, name, given, origins, ("dataset",))


def _own_selection(source: Source, catalog: Catalog, data_directory: Path) -> Selection:
    """The data set that the run was trained on, of those that its config lists."""
    record = source.description.protocol.dataset
    listed = [chosen for chosen in source.description.config.dataset if chosen.name == record.name]
    if len(listed) == 1:
        return listed[0]
    for chosen in listed:
        with suppress(DatasetUnavailableError):
            dataset = load_dataset(chosen, catalog.datasets, data_directory)
            if dataset.fingerprint == record.fingerprint:
                return chosen
    raise DatasetError(
        f"{source.directory.path}: none of the data sets {record.name!r} that its config lists has "
        "the images of the run; name one with -d and its options with --set dataset.KEY=VALUE"
    )


def _device(records: Iterable[TrialRecord], wanted: str | None, warn: Warn) -> torch.device:
    """The device that was asked for, else that of the trials if there is such a one here."""
    if wanted is not None:
        return resolve_device(wanted)
    used = next((record.device for record in records), "auto")
    try:
        return resolve_device(used)
    except DeviceError:
        warn(f"there is no {used} here, on which the models were trained; another is used")
        return resolve_device("auto")


class _Images:
    """A data set's test images on a device, with labels as the run's models know classes."""

    def __init__(
        self,
        source: Source,
        catalog: Catalog,
        dataset: Dataset,
        data_directory: Path,
        device: torch.device,
    ) -> None:
        record = source.description.protocol.dataset
        self.name = dataset.selection.name
        self.classes = dataset.splits.classes
        test = dataset.splits.test
        self.relation: Relation = "other"
        # Models that were judged by images held out have not seen the test images.
        if record.judged_by == "test":
            if dataset.fingerprint == record.fingerprint:
                self.relation = "original"
            elif self._is_changed(source, catalog, dataset, data_directory):
                self.relation = "changed"
        if self.relation != "other":
            test = subset(test, record.test_images)
        self.input_shape = test.pixels.shape[1:]
        self.test = test
        self.device = device
        self._resident: dict[tuple[str, ...], ResidentImages] = {}

    @staticmethod
    def _is_changed(
        source: Source, catalog: Catalog, dataset: Dataset, data_directory: Path
    ) -> bool:
        """Whether it is made of the run's own data set, with the same images in the same order."""
        own = _own_selection(source, catalog, data_directory)
        wrapped = dataset_chain(dataset.selection, catalog.datasets)[1:]
        if not any(link.name == own.name and link.options == own.options for link in wrapped):
            return False
        original = load_dataset(own, catalog.datasets, data_directory).splits
        same_labels = numpy.array_equal(original.test.labels, dataset.splits.test.labels)
        return same_labels and original.classes == dataset.splits.classes

    def for_model(self, model: KeptModel) -> ResidentImages:
        """The images; raises DatasetError where they are none for the model."""
        if self.input_shape != model.input_shape:
            raise DatasetError(
                f"data set {self.name!r} has images of {_size(self.input_shape)}, and the models "
                f"were trained on {_size(model.input_shape)}; see 'benchmark show {self.name}' "
                "for an option that changes their size"
            )
        numbers = {name: number for number, name in enumerate(model.classes)}
        unknown = [name for name in self.classes if name not in numbers]
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise DatasetError(
                f"data set {self.name!r} has classes that the models do not know: "
                f"{', '.join(unknown[:3])}{more} (they know {', '.join(model.classes[:10])}"
                f"{', ...' if len(model.classes) > 10 else ''})"
            )
        if model.classes not in self._resident:
            of_model = numpy.array([numbers[name] for name in self.classes])
            images = Images(self.test.pixels, of_model[self.test.labels])
            # Those for other models are let go of first.
            self._resident = {}
            self._resident = {model.classes: ResidentImages(images, self.device)}
        return self._resident[model.classes]


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


@dataclass
class _Bench:
    """Tests one record's weights after the other on the same images."""

    source: Source
    catalog: Catalog
    images: _Images
    metrics: Sequence[MetricEntry]
    force: bool
    warn: Warn
    left_out: int = 0

    def rows(self, label: str, records: Sequence[TrialRecord]) -> Iterator[EvaluatedRow]:
        """The row of one variant, none where no weights of it can be tested."""
        tested: list[TrialRecord] = []
        evaluations: list[Evaluation] = []
        for record in track(records, f"testing {label}", len(records)):
            try:
                evaluations.append(self._evaluate(record))
            except DatasetError:
                raise
            except BenchmarkError as error:
                self.warn(f"{error}; left out")
                self.left_out += 1
            else:
                tested.append(record)
        if tested:
            self._say_of_other_predictions(tested, evaluations)
            yield evaluated_row(
                label,
                tested,
                [evaluation.correct for evaluation in evaluations],
                [evaluation.metrics for evaluation in evaluations],
                self.images.relation,
            )

    def _evaluate(self, record: TrialRecord) -> Evaluation:
        folder = self.source.directory.trial_directory(record.key)

        def warn(line: str) -> None:
            self.warn(f"{record.key}: {line}")

        model = load_kept_model(record, folder, self.catalog, warn, force=self.force)
        images = self.images.for_model(model)
        layout = record.layout or "channels_last"
        prepare = partial(as_floats, layout=layout)
        measure = Measures(self.metrics, warn).with_errors
        try:
            with settings_put_back(warn), tuned(self.images.device, record.precision):
                place(model.module, self.images.device, layout)
                return evaluate(model.module, images, record.precision, prepare, measure)
        except PLUGIN_FAULTS as error:
            raise ModelError(f"{record.key}: its evaluation raised {one_line(error)}") from error

    def _say_of_other_predictions(
        self, records: Sequence[TrialRecord], evaluations: Sequence[Evaluation]
    ) -> None:
        """Say where the original images are not classified as they were."""
        if self.images.relation != "original":
            return
        for record, evaluation in zip(records, evaluations, strict=True):
            try:
                before = record.predictions
            except StoreError as error:
                self.warn(f"{record.key}: its predictions cannot be compared: {error}")
                continue
            if before is not None and (others := int((before != evaluation.predictions).sum())):
                self.warn(
                    f"{record.key}: {others:,} of {len(before):,} original images are given "
                    f"another class than at the end of training on {record.device}; another "
                    "device can do that, and a model that draws random numbers to classify"
                )
