"""What a trial is told and what it says: versioned, validated, nothing but data."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_serializer
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from benchmark.errors import StoreError
from benchmark.kept_files import KeptFile, read_array

SCHEMA: Literal[1] = 1

# An identity has so many hexadecimal digits.
IDENTITY_LENGTH = 12
_Identity = Annotated[str, Field(pattern=f"^[0-9a-f]{{{IDENTITY_LENGTH}}}$")]

# A trial that was refused was not begun, because its code was not that of the run.
Status = Literal["completed", "failed", "diverged", "timed_out", "interrupted", "refused"]
PREDICTIONS_FILE = "predictions.npy"
WEIGHTS_FILE = "weights.safetensors"

# A trial that ended so is trained by the next command.
UNFINISHED: tuple[Status, ...] = ("interrupted", "refused")


class _Record(BaseModel):
    # Strict, so that "1" is no number; keys this version does not know are left alone.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Selection(_Record):
    """An entry chosen by name, and its options."""

    name: str
    options: dict[str, Any] = {}


# What becomes of training images that are also among those to judge by.
Duplicates = Literal["keep", "drop"]


class ChosenDataset(Selection):
    """A data set chosen by name, its options, and what becomes of ``duplicates``."""

    duplicates: Duplicates = "keep"


class TrialKey(NamedTuple):
    """Which trial of its run a trial is: the label and the identity of its variant, and a seed."""

    model: str
    identity: str
    seed: int

    def __str__(self) -> str:
        """The trial as messages name it."""
        return f"{self.model}, seed {self.seed}"


class RecipeRecord(Selection):
    """A recipe with its options; ``identity`` tells its code from its next version."""

    identity: _Identity


class _Sparse(_Record):
    """A record that leaves out, where it is written, whatever is None."""

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


class DatasetRecord(_Sparse):
    """The images a trial saw. ``fingerprint`` is that of the whole data set, also of a subset's.

    ``identity`` tells the code of the data set's plugin from its next version. So many
    ``validation_images`` judge the model after every epoch, none where it is the test images that
    do. There are no ``test_images`` where a run leaves them alone. Where ``duplicates`` are
    dropped, no training image is also among those to judge by. ``image`` are channels, height and
    width of an image, and ``class_counts`` how many of the images that models are compared by each
    class has, in the order of the classes; both None in records that were written before there were
    such fields.
    """

    name: str
    identity: _Identity
    fingerprint: str
    train_images: int = Field(ge=1)
    validation_images: int | None = Field(default=None, ge=1)
    test_images: int = Field(ge=0)
    classes: int = Field(ge=1)
    duplicates: Literal["drop"] | None = None
    image: tuple[int, int, int] | None = None
    class_counts: tuple[int, ...] | None = None

    @property
    def judged_by(self) -> Literal["test", "validation"]:
        """Which images models are compared by."""
        return "test" if self.test_images else "validation"

    @property
    def judging_images(self) -> int:
        """How many images models are compared by."""
        return self.test_images or self.validation_images or 0

    @property
    def largest_class_share(self) -> float | None:
        """What always naming the largest class would score; None where that is not known."""
        counts = self.class_counts
        return max(counts) / sum(counts) if counts else None


# What follows from the fingerprint and the numbers of images, so that a protocol without it is the
# same one.
_IMPLIED_BY_IMAGES = frozenset(("image", "class_counts"))


class Protocol(_Record):
    """All that must be equal for two rows to be compared."""

    dataset: DatasetRecord
    recipe: RecipeRecord
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    steps_per_epoch: int = Field(ge=1)
    precision: str

    @property
    def hash(self) -> str:
        """SHA-256 of the protocol but for what its images imply, in hexadecimal."""
        stated = self.model_dump(mode="json", exclude={"dataset": set(_IMPLIED_BY_IMAGES)})
        return hashlib.sha256(canonical_json(stated)).hexdigest()


class Origin(_Record):
    """The plugin that an entry comes from; ``source`` is a digest of the plugin's source.

    ``libraries`` are the versions of what the source imports from elsewhere. None stands for what
    is not known: a file has neither distribution nor version.
    """

    plugin: str
    distribution: str | None
    version: str | None
    source: str | None
    libraries: dict[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the plugin's own distribution, if it has one, and of the libraries."""
        if self.distribution is None or self.version is None:
            return self.libraries
        return {self.distribution: self.version, **self.libraries}


class Variant(_Record):
    """A model entry with its options, under the label ``model``, which is its row's name.

    ``identity`` is a digest of the entry's code and of the options: it tells this state of the
    variant from others that have the same label.
    """

    model: str
    entry: str
    options: dict[str, Any]
    identity: _Identity
    origin: Origin


class PlannedVariant(Variant):
    """A variant and the seeds with which it is to be trained.

    ``control_of`` is the label of the variant that it repeats under another name and with other
    seeds, None where it repeats none.
    """

    seeds: tuple[int, ...]
    control_of: str | None = None

    @property
    def trials(self) -> list[TrialKey]:
        """Its trials."""
        return [TrialKey(self.model, self.identity, seed) for seed in self.seeds]


class TrialSpec(_Record):
    """One variant to be trained once with one seed, and all that is needed to do it anywhere.

    ``directory`` is the trial's own folder, in which its plugins may write, and ``log_file`` the
    log in it, for people; ``plugins`` is what was selected, so that a worker has the plugins
    its parent had, and ``core`` is a digest of the parent's core. ``device`` may leave open which
    GPU (``cuda``); a trial that ``shares_device`` with others is no timing.
    """

    variant: Variant
    recipe_origin: Origin
    seed: int = Field(ge=0)
    protocol: Protocol
    dataset: Selection
    device: str
    shares_device: bool = False
    engine: Literal["auto", "eager", "graph"] = "auto"
    compile: bool = False
    checkpoint_every: int = Field(default=1, ge=1)
    keep_weights: bool = True
    metrics: tuple[str, ...] = ()
    trackers: tuple[Selection, ...] = ()
    data_directory: Path
    directory: Path
    plugins: tuple[str, ...] = ()
    core: str

    @property
    def model(self) -> str:
        """The label of its variant."""
        return self.variant.model

    @property
    def key(self) -> TrialKey:
        """Which trial of its run it is."""
        return TrialKey(self.variant.model, self.variant.identity, self.seed)

    def on(self, device: str, *, shared: bool = False) -> TrialSpec:
        """The same trial on a certain device, which it may share with others at the time."""
        return self.model_copy(update={"device": device, "shares_device": shared})

    @property
    def log_file(self) -> Path:
        """What the trial's log and whatever its process printed are written to."""
        return self.directory / "log.txt"


class ParameterCount(_Record):
    """Values in the model's state: ``total`` counts parameters and floating-point buffers.

    So does Keras ("Total params"); integer counters, such as PyTorch's number of batches that a
    BatchNorm has seen, are left out. ``trainable`` is what the optimiser may move.
    """

    total: int
    trainable: int
    buffers: int


class EpochRecord(_Sparse):
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


class Timing(_Record):
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


class MetricFigure(_Sparse):
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
    metrics: dict[str, MetricFigure] = {}
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


class TrialStart(_Record):
    """What is known of a trial that is set up, with the epochs ``before`` from its checkpoint.

    Its weights will take so many ``weights_bytes`` on the disk, none if they are not to be kept.
    """

    params: ParameterCount
    macs: int | None
    macs_is_lower_bound: bool = False
    layout: Literal["channels_last", "contiguous"] | None = None
    weights_bytes: int = 0
    hardware: Machine
    before: tuple[EpochRecord, ...]


class TrialProgress(_Record):
    """Where a trial is at the moment.

    ``part`` is what its time is being charged to, as in ``Timing``. So many ``steps`` of ``epoch``,
    which is 0 before the first, are done, and took so many ``seconds``.
    """

    part: str
    epoch: int = Field(ge=0)
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)


class TrialEvent(_Record):
    """What just happened in ``trial``: it was set up, an epoch ended, or the trial did.

    Or nothing has, and there is only its ``progress``. With none of these it has begun to be set
    up. ``warnings`` are all that there have been so far, except beside ``progress``.
    """

    trial: TrialKey
    start: TrialStart | None = None
    epoch: EpochRecord | None = None
    record: TrialRecord | None = None
    progress: TrialProgress | None = None
    warnings: tuple[str, ...] = ()


def canonical_json(data: Mapping[str, Any]) -> bytes:
    """The one way to write ``data``: sorted keys, no spaces, no infinities."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")
