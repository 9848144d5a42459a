"""The images that kept weights are tested on, as the run's models know their classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy
import torch

from benchmark.analysis import Relation
from benchmark.catalog import Catalog, dataset_chain
from benchmark.contenders import Source
from benchmark.datasets import Dataset, load_dataset
from benchmark.entries import Images
from benchmark.errors import DatasetError, DatasetUnavailableError
from benchmark.protocol import Selection
from benchmark.training import ResidentImages, subset
from benchmark.trial import KeptModel


class EvaluationImages:
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
        own = own_selection(source, catalog, data_directory)
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


def own_selection(source: Source, catalog: Catalog, data_directory: Path) -> Selection:
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
