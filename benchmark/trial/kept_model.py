"""A trial's model as it was evaluated, built anew and given the weights that were kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.catalog import Catalog, Offer, plugin_origin, variant_identity
from benchmark.entries import ModelEntry
from benchmark.errors import (
    ModelError,
    OtherCodeError,
    StoreError,
    UnknownNameError,
    one_line,
)
from benchmark.files import is_there
from benchmark.kept_files import require_sealed
from benchmark.optimization import Normalization
from benchmark.records import (
    WEIGHTS_FILE,
    TrialRecord,
)
from benchmark.training import read_weights
from benchmark.trial.keeping import NOT_KEPT
from benchmark.trial.model import build_model

# As many digits of an identity as a message needs.
SHORT_IDENTITY = 8
# Of an image that any model is for.
LARGEST_SIDE = 2**16


@dataclass(frozen=True)
class KeptModel:
    """A module in evaluation mode on the CPU, and the images and classes that it is for.

    It maps floats of N x C x H x W between 0 and 1 to logits of N x classes.
    """

    module: nn.Module
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]


class NormalizedModel(nn.Module):
    """A model that a recipe had trained on normalised images, and that now normalises its own."""

    def __init__(self, model: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.model = model
        self.mean: Tensor
        self.standard_deviation: Tensor
        for name, numbers in asdict(normalization).items():
            self.register_buffer(name, torch.tensor(numbers).view(-1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map floats of N x C x H x W between 0 and 1 to logits of N x classes."""
        logits: Tensor = self.model(pixels.sub(self.mean).div_(self.standard_deviation))
        return logits


def load_kept_model(
    record: TrialRecord,
    folder: Path,
    catalog: Catalog,
    warn: Callable[[str], None],
    *,
    force: bool = False,
) -> KeptModel:
    """Build the model of a completed trial, whose files lie in ``folder``, with its weights.

    Raises StoreError where there are none, where the file was altered, and where they do not fit;
    OtherCodeError where the model's code has changed since, unless ``force`` is given; and
    ModelError where it cannot be built.
    """
    file = folder / WEIGHTS_FILE
    if record.weights_file is None:
        raise StoreError(f"{record.key}: {_without_weights(record)}")
    if not is_there(file):
        raise StoreError(
            f"{record.key}: {file} is no longer there; 'benchmark run' with --fresh trains it again"
        )
    require_sealed(file, record.weights_file)
    if not force:
        _require_same_code(record, catalog)
    weights = read_weights(file)
    input_shape, classes, normalization = _purpose(file, weights.metadata)
    wanted = record.dataset.image or input_shape
    if input_shape != wanted or len(classes) != record.dataset.classes:
        raise StoreError(f"{file}: it is for other images than its record says")
    offer = _offer(record, catalog)
    try:
        module = build_model(offer, record.options, input_shape, len(classes), warn)
        weights.put_into(module)
    except (ModelError, StoreError) as error:
        raise StoreError(f"{record.key}: {file}: {error}") from error
    # Not what it returns: a model's own may return nothing.
    module.eval()
    if normalization is not None:
        module = NormalizedModel(module, normalization).eval()
    return KeptModel(module, input_shape, classes)


def _purpose(
    file: Path, metadata: Mapping[str, str]
) -> tuple[tuple[int, int, int], tuple[str, ...], Normalization | None]:
    """The shape of the images, the names of the classes, and what images are normalised with."""
    try:
        shape = json.loads(metadata["input_shape"])
        classes = json.loads(metadata["classes"])
        numbers = json.loads(metadata["normalization"])
        normalization = None if numbers is None else Normalization(**numbers)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{file}: its metadata makes no sense: {one_line(error)}") from error
    is_shape = isinstance(shape, list) and [type(length) for length in shape] == [int, int, int]
    if not is_shape or not all(0 < length <= LARGEST_SIDE for length in shape):
        raise StoreError(f"{file}: its metadata makes no sense: input_shape")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise StoreError(f"{file}: its metadata makes no sense: classes")
    channels, height, width = shape
    return (channels, height, width), tuple(classes), normalization


def _without_weights(record: TrialRecord) -> str:
    if record.status != "completed":
        return f"there are no weights, because it {record.status.replace('_', ' ')}"
    reasons = (line for line in record.warnings if line.startswith(NOT_KEPT))
    return next(
        reasons,
        "no weights were kept; 'benchmark run' with --fresh and keep_weights: true trains it again "
        "and keeps them",
    )


def _offer(record: TrialRecord, catalog: Catalog) -> Offer[ModelEntry]:
    try:
        return catalog.models[record.entry]
    except UnknownNameError as error:
        raise OtherCodeError(
            f"{record.key}: {error}; a plugin is named with -p, and a model that was given as a "
            "class or a function is known to the run that benchmark.run returns"
        ) from error


def _require_same_code(record: TrialRecord, catalog: Catalog) -> None:
    """Raise OtherCodeError, with what differs, where a model's code is not what it was."""
    forced = "--force, or force=True, takes the weights all the same"
    offer = _offer(record, catalog)
    here = variant_identity(offer.entry, offer.plugin, record.options)
    if here == record.identity:
        return
    origin = plugin_origin(offer.plugin)
    if origin.source != record.origin.source:
        difference = f"the source of its plugin {origin.plugin} has changed"
    else:
        difference = "its options, files or version have changed"
    raise OtherCodeError(
        f"{record.key}: the weights are of version {record.identity[:SHORT_IDENTITY]} of the "
        f"model, which is now {here[:SHORT_IDENTITY]}: {difference}; {forced}"
    )
