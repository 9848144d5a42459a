"""What a trial says: its record, versioned, validated, nothing but data."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from benchmark.errors import StoreError
from benchmark.kept_files import KeptFile, read_array
from benchmark.plain_data import Record, SparseRecord
from benchmark.protocol import DatasetRecord, RecipeRecord
from benchmark.specs import Origin, TrialKey, Variant

SCHEMA: Literal[1] = 1

# A trial that was refused was not begun, because its code was not that of the run.
Status = Literal["completed", "failed", "diverged", "timed_out", "interrupted", "refused"]
PREDICTIONS_FILE = "predictions.npy"
WEIGHTS_FILE = "weights.safetensors"

# A trial that ended so is trained by the next command.
UNFINISHED: tuple[Status, ...] = ("interrupted", "refused")


class ParameterCount(Record):
    """Values in the model's state: ``total`` counts parameters and floating-point buffers.

    So does Keras ("Total params"); integer counters, such as PyTorch's number of batches that a
    BatchNorm has seen, are left out. ``trainable`` is what the optimiser may move.
    """

    total: int
    trainable: int
    buffers: int


class EpochRecord(SparseRecord):
    """One epoch; losses are means an image, accuracies fractions.

    Where images are held out, every epoch has figures of these, and the last alone has figures of
    the test images; ``validation_metrics`` are the run's metrics by their names.

    An epoch's training seconds are no timing if it is not ``timed``: the first after the training
    went on from a checkpoint, which was begun before, one whose device others could use, too, and
    one in which the process was suspended.
    """

    number: int = Field(ge=1)
    train_seconds: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_metrics: dict[str, float] | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    evaluation_seconds: float
    learning_rate: float
    timed: bool = True

    @property
    def accuracy(self) -> float | None:
        """That of the images that every epoch is judged by: held out or, without such, of test."""
        if self.validation_accuracy is not None:
            return self.validation_accuracy
        return self.test_accuracy


class Timing(Record):
    """Where a trial's time went, in seconds.

    ``epoch_seconds`` is the median training time of the timed epochs after the first and
    ``epoch_interquartile_seconds`` their interquartile range, None where there are none, or only
    one. ``total_seconds`` goes from the trial's start to its end; ``setup_seconds``, those for
    compiling and capturing, ``training_seconds`` of all epochs, and those for evaluating, writing
    checkpoints and reporting are its parts. A trial that went on from a checkpoint adds up what
    its processes spent up to their last checkpoint.
    """

    setup_seconds: float | None = None
    compile_seconds: float | None = None
    capture_seconds: float | None = None
    first_epoch_seconds: float | None = None
    epoch_seconds: float | None = None
    epoch_interquartile_seconds: float | None = None
    training_seconds: float | None = None
    evaluation_seconds: float | None = None
    checkpoint_seconds: float | None = None
    reporting_seconds: float | None = None
    total_seconds: float


class _Gpu(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    name: str


class Machine(BaseModel):
    """What the caption says of the machine; whatever else is known of it is kept along."""

    model_config = ConfigDict(frozen=True, extra="allow")

    processor: str | None = None
    threads: int | None = None
    gpus: tuple[_Gpu, ...] = ()


# So many parts of the images are left out in turn for a metric's standard error.
JACKKNIFE_GROUPS = 20


class MetricFigure(SparseRecord):
    """What a metric makes of a trial's final evaluation.

    ``image_standard_error`` is how far it may be off because there were these images and no others;
    None where that is not known.
    """

    value: float
    image_standard_error: float | None = Field(default=None, ge=0)


class TrialRecord(Variant):
    """What became of a trial of a variant.

    ``correct`` has a bit an image that models are compared by: was it classified rightly?
    ``predictions_file`` seals the class given to each, ``weights_file`` the weights that were
    evaluated; either is None where it is not kept. ``metrics`` are those that the run asked for and
    that could be worked out. ``core_version`` is that of the distribution that trained it.

    ``engine`` took the steps, None where the trial's process was lost; where it is not the one that
    was wanted, ``engine_reason`` says why.
    ``resumed`` counts how often the training went on from a checkpoint and came to the next.
    ``layout`` is how images and convolutions' weights lay in memory, None where the trial did not
    get so far. If ``macs_is_lower_bound``, the model uses operators that cannot be counted; the
    warnings name them.
    """

    # "schema" is the name in the file; pydantic's own models have an attribute of that name.
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    status: Status
    reason: str | None
    seed: int
    core_version: str
    dataset: DatasetRecord
    recipe: RecipeRecord
    recipe_origin: Origin
    protocol: str
    batch_size: int
    steps_per_epoch: int
    device: str
    precision: str
    engine: str | None
    engine_reason: str | None
    compiled: bool
    resumed: int
    layout: Literal["channels_last", "contiguous"] | None
    params: ParameterCount | None
    macs: int | None
    macs_is_lower_bound: bool
    epochs: tuple[EpochRecord, ...]
    timing: Timing
    peak_memory_bytes: int | None
    correct: str | None
    predictions_file: KeptFile | None = None
    weights_file: KeptFile | None = None
    metrics: dict[str, MetricFigure] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    environment: Machine

    # Where its files lie; known of what a store has read.
    _directory: Path | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # Where its files lie is no part of what it says.
        return isinstance(other, TrialRecord) and vars(self) == vars(other)

    def lying_in(self, directory: Path) -> TrialRecord:
        """The record, which then finds the files that are kept beside it."""
        self._directory = directory
        return self

    @property
    def variant(self) -> Variant:
        """The variant alone, without the record."""
        return Variant.model_construct(
            **{name: getattr(self, name) for name in Variant.model_fields}
        )

    @property
    def key(self) -> TrialKey:
        """Which trial of its run it is of."""
        return TrialKey(self.model, self.identity, self.seed)

    @property
    def test_accuracy(self) -> float | None:
        """The fraction of test images right after the last epoch.

        None unless the trial completed and the test images were looked at.
        """
        if self.status != "completed":
            return None
        return self.epochs[-1].test_accuracy

    @property
    def accuracy(self) -> float | None:
        """The fraction right, after the last epoch, of the images that models are compared by.

        None unless the trial completed.
        """
        if self.status != "completed":
            return None
        return self.test_accuracy if self.dataset.test_images else self.epochs[-1].accuracy

    @property
    def correct_images(self) -> numpy.ndarray[Any, numpy.dtype[numpy.bool_]] | None:
        """Which of these images were classified rightly, bool of N; None unless completed."""
        if self.correct is None:
            return None
        packed = numpy.frombuffer(base64.b64decode(self.correct), numpy.uint8)
        return numpy.unpackbits(packed, count=self.dataset.judging_images).astype(bool)

    @property
    def predictions(self) -> numpy.ndarray[Any, Any] | None:
        """The class given to each of these images, in the data set's order.

        An array of N of the smallest unsigned integer type that holds every class, read from the
        trial's folder whenever it is asked for. None where none were kept: unless the trial
        completed, and of trials made before predictions were.

        Raises StoreError where the file is missing, or is not the one that was written.
        """
        if self.predictions_file is None or self._directory is None:
            return None
        file = self._directory / PREDICTIONS_FILE
        array = read_array(file, self.predictions_file)
        is_whole = array.shape == (self.dataset.judging_images,) and array.dtype.kind == "u"
        if not is_whole or (array >= self.dataset.classes).any():
            raise StoreError(
                f"{file}: it makes no sense: it is not a class for each of "
                f"{self.dataset.judging_images:,} images"
            )
        return array


def pack_bits(correct: Sequence[bool] | numpy.ndarray[Any, Any]) -> str:
    """Base64 of bits, eight a byte, the first in the highest."""
    return base64.b64encode(numpy.packbits(numpy.asarray(correct, bool)).tobytes()).decode("ascii")
