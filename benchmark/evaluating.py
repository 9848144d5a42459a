"""Kept weights tested on other images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from benchmark.analysis import EvaluatedRow, evaluated_row
from benchmark.catalog import Catalog
from benchmark.config import resolve_selection
from benchmark.contenders import Source
from benchmark.datasets import load_dataset
from benchmark.entries import MetricEntry
from benchmark.errors import (
    PLUGIN_FAULTS,
    BenchmarkError,
    DatasetError,
    DeviceError,
    ModelError,
    StoreError,
    one_line,
)
from benchmark.evaluation_images import EvaluationImages, own_selection
from benchmark.process_settings import settings_put_back
from benchmark.progress import track
from benchmark.protocol import Selection
from benchmark.records import TrialRecord
from benchmark.report import Evaluations
from benchmark.store import Records, Version
from benchmark.training import (
    Evaluation,
    as_floats,
    evaluate,
    place,
    resolve_device,
    tuned,
)
from benchmark.trial import Measures, load_kept_model

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
    images = EvaluationImages(source, catalog, dataset, data_directory, device)
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
    own = own_selection(source, catalog, data_directory)
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


@dataclass
class _Bench:
    """Tests one record's weights after the other on the same images."""

    source: Source
    catalog: Catalog
    images: EvaluationImages
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
