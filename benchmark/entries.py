"""What a plugin can offer: models, data sets, recipes, metrics, trackers, columns, executors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy
    import torch

    from benchmark.events import TrialEvent
    from benchmark.optimization import Optimization
    from benchmark.records import (
        EpochRecord,
        TrialRecord,
    )
    from benchmark.specs import TrialSpec
    from benchmark.summaries import ModelSummary

# A name is a folder's, too. On Windows the first words are devices, whatever follows a dot.
_NAME = re.compile(
    r"(?!(?i:con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|\Z))[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?<!\.)"
)


def is_name(name: str) -> bool:
    """Whether a text can be an entry's name, and a folder's on any system."""
    return _NAME.fullmatch(name) is not None


def check_name(name: object) -> str:
    """Return ``name`` if it can be an entry's, else raise ValueError."""
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(
            f"not a name: {name!r} (1 to 80 letters, digits, '.', '_' or '-', the first a letter "
            "or digit, the last no dot, and no device's of Windows, such as 'nul')"
        )
    return name


class Options(BaseModel):
    """Base of an entry's options: typed fields with defaults; an unknown key is an error.

    A text below a field says what it means: ``benchmark show`` and ``benchmark list -v`` print it.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check what a user gave, strictly, as if read from JSON, and fill in the defaults.

        Raises pydantic's ValidationError.
        """
        return cls.model_validate_json(json.dumps(given), strict=True)


# What stands beside an entry's options in a config, and so can be no option's name.
RESERVED_KEYS = frozenset(("name", "label", "each"))


@dataclass(frozen=True)
class Entry:
    """What every entry has: a name that users type.

    Raises ValueError for what can be no name, and for an option that has the name of what stands
    beside the options in a config: ``name``, ``label`` or ``each``; of a data set, ``duplicates``.
    """

    reserved_keys: ClassVar[frozenset[str]] = RESERVED_KEYS

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)
        for option in getattr(self, "options", Options).model_fields:
            if option in self.reserved_keys:
                raise ValueError(f"{self.name!r} has an option called {option!r}; rename it")


@dataclass(frozen=True)
class ModelEntry(Entry):
    """A model architecture.

    ``build(input_shape, num_classes)`` returns a fresh ``torch.nn.Module`` that maps a float
    tensor of N x C x H x W, pixels between 0 and 1, to N x ``num_classes`` logits, where
    ``input_shape`` is (C, H, W). It draws its initial weights from torch's global generator,
    which is seeded before the call, and raises ValueError for a shape it cannot work with.
    Where the entry has ``options``, they are a third argument.

    What tells this model from its next version is a digest of its plugin's source. ``files`` are
    data files that count as source, relative to the plugin's own; a ``version``, where given,
    counts instead of the source.
    """

    build: Callable[..., torch.nn.Module]
    summary: str = ""
    options: type[Options] = Options
    files: tuple[str | os.PathLike[str], ...] = ()
    version: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        version: object = self.version
        if version is not None and not isinstance(version, str):
            raise ValueError(f"the version of {self.name!r} should be a text, not {version!r}")
        files: object = self.files
        if isinstance(files, str):
            raise ValueError(f"the files of {self.name!r} should be a tuple of names")

    @property
    def has_options(self) -> bool:
        """Whether ``build`` takes options."""
        return self.options is not Options


@dataclass(frozen=True)
class Images:
    """Labelled images: ``pixels`` uint8 of N x C x H x W, ``labels`` int64 of N."""

    pixels: numpy.ndarray[Any, Any]
    labels: numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class ImageSplits:
    """A data set: images to train on, images to test on, and the names of the classes.

    ``validation`` are images that the data set itself holds out, None where it holds out none.
    ``notes`` say what its users should know of how it was read, a sentence each: what was left
    aside, changed, or taken as what.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    validation: Images | None = None
    notes: tuple[str, ...] = ()

    @property
    def halves(self) -> dict[str, Images]:
        """All its images by what they are for: training, validation if there are such, test."""
        held_out = {} if self.validation is None else {"validation": self.validation}
        return {"training": self.train, **held_out, "test": self.test}


@dataclass(frozen=True)
class DatasetEntry(Entry):
    """A data set.

    ``load(data_directory, options)`` fetches or reads it and returns all its images; it raises
    DatasetUnavailableError where it cannot be had and DatasetError where it is damaged.

    ``identify(data_directory, options)``, where given, says cheaply and without reading the
    images what ``load`` would read (a checksum; file names, sizes and times). What was loaded is
    then cached under that text, and ``load`` is called again only when the text changes.

    With ``wraps`` it is made of another data set, which the user names in the option of that name:
    as anywhere in a config, a name or a mapping with a name and options, and in ``options`` a
    mapping with all options. It is loaded first, and ``load(data_directory, options, images)`` gets
    its ImageSplits. What is cached is then cached under that data set's code and images, too.

    Raises ValueError where ``wraps`` names no option of its own.
    """

    reserved_keys = RESERVED_KEYS | {"duplicates"}

    load: Callable[..., ImageSplits]
    summary: str = ""
    options: type[Options] = Options
    identify: Callable[[Path, Any], str] | None = None
    wraps: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [*self.options.model_fields]
        if self.wraps is not None and self.wraps not in known:
            raise ValueError(
                f"{self.name!r} wraps what its option {self.wraps!r} names, and has no such option"
                f" (it has {', '.join(known) or 'none'})"
            )


@dataclass(frozen=True)
class TrainingPlan:
    """What a recipe knows before it configures a training."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    options: Any
    num_classes: int

    @property
    def total_steps(self) -> int:
        """The number of optimiser steps in the whole training."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class RecipeEntry(Entry):
    """A way to train: ``configure(model, plan)`` returns the Optimization of one training.

    Where models may return more than logits in training mode, ``logits(outputs)`` finds the logits
    in that, N x K floats by which hits are counted, and the loss is given all of it. Without it a
    model has to return its logits and nothing else. In evaluation mode it always has to.

    Raises ValueError for ``logits`` that cannot be called.
    """

    configure: Callable[[torch.nn.Module, TrainingPlan], Optimization]
    summary: str = ""
    options: type[Options] = Options
    logits: Callable[[Any], torch.Tensor] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.logits is not None and not callable(self.logits):
            raise ValueError(f"the logits of {self.name!r} should be a function")


@dataclass(frozen=True)
class MetricEntry(Entry):
    """A figure worked out from what a model makes of the images that it is judged by.

    ``value(logits, labels)`` is given all of them at once, float32 of N x classes and int64 of N on
    the training's device, and returns a finite number, or a tensor with one. It is called again on
    parts of the images, which shows how far the figure depends on them. ``header`` stands above the
    column, in one line or two; ``better`` says which direction wins. A figure ``in_percent`` is a
    fraction that people read in per cent.
    ``has_image_error`` is false for one whose dependence on the images its spread over parts of
    them does not show, because it is biased or decided by few; its interval is over seeds alone.

    Raises ValueError for a ``value`` that cannot be called, and for a ``better`` that is no
    direction.
    """

    header: str
    value: Callable[[torch.Tensor, torch.Tensor], float | torch.Tensor]
    better: Literal["higher", "lower"]
    summary: str = ""
    in_percent: bool = False
    has_image_error: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.value):
            raise ValueError(f"the value of {self.name!r} is a function, not {self.value!r}")
        if self.better not in ("higher", "lower"):
            raise ValueError(
                f"better is 'higher' or 'lower' for {self.name!r}, not {self.better!r}"
            )


@dataclass(frozen=True)
class Column(Entry):
    """A column of the table.

    ``value(summary)`` returns a model's figure, something that JSON can hold, in base units
    (seconds, bytes, fractions), or None where there is none; ``text(summary)``, where given,
    writes it for people. ``better`` says which direction wins and so which row ``--sort`` puts
    first. A column that is not ``shown`` stands only in the formats for programs and where
    ``--columns`` names it. One that ``needs_rank`` is worked out when all rows are known: its
    summary has a ``rank``, and no records.
    """

    header: str
    value: Callable[[ModelSummary], Any]
    better: Literal["higher", "lower"] | None = None
    text: Callable[[ModelSummary], str] | None = None
    shown: bool = True
    needs_rank: bool = False


class Executor(Protocol):
    """Carries trials out, somewhere."""

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; call ``report`` in this process as epochs end."""


@dataclass(frozen=True)
class ExecutorEntry(Entry):
    """A place to carry trials out: ``create(options)`` returns an Executor.

    A ``remote`` one does so on other machines: what devices there are, and whether a checkpoint
    made there can go on, is not for this machine to say.
    """

    create: Callable[[Any], Executor]
    summary: str = ""
    options: type[Options] = Options
    remote: bool = False


class Tracker:
    """Looks on at a run and its trials, outside the timed regions; every method is optional.

    In the run's process one object has ``on_run_start`` and ``on_run_end`` called. In each trial's
    process, where the trial's own object is created, it is the other methods. All calls of one
    object come from one thread, which is not the main one. A tracker changes nothing: what changes
    a training is for a recipe to do. One that raises, or that does not return in time, is dropped
    with a warning.

    An object of any other class that has some of the methods is a tracker as well.
    """

    trial: TrialSpec | None = None
    """The trial that the object was created for, None in the run's process; set before any call."""

    def on_run_start(self, run: Any) -> None:
        """Called before the first trial; ``run.path`` is the run's directory."""

    def on_trial_start(self, trial: TrialSpec, model: torch.nn.Module, epochs_done: int) -> None:
        """Called when the model is on its device, before the first step.

        ``epochs_done`` is 0, or the number of epochs after which the training resumes.
        """

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        """Called after every epoch's evaluation."""

    def on_trial_end(self, record: TrialRecord, model: torch.nn.Module) -> None:
        """Called when a trial has completed, with the model as it was last evaluated.

        Its weights are the averaged ones and its BatchNorm statistics the calibrated ones, where
        the recipe has such; it is in evaluation mode.
        """

    def on_trial_error(self, error: BaseException) -> None:
        """Called with what ended a trial that did not complete, whether it was started or not."""

    def on_run_end(self, run: Any) -> None:
        """Called after the last trial, however the run ends."""


@dataclass(frozen=True)
class TrackerEntry(Entry):
    """An observer: ``create(options)`` returns a Tracker, or any object that has its methods.

    It is called once in the run's process and once in each trial's.
    """

    create: Callable[[Any], Any]
    summary: str = ""
    options: type[Options] = Options
