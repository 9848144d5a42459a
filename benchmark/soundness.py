"""Whether a record, or a run's description, makes sense as a whole.

A checksum says that nobody has altered a file by mistake. It does not say that what the file says
can be true, and whoever shows a figure must be able to rely on it.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmark.entries import is_name
from benchmark.files import LARGEST_WHOLE_NUMBER
from benchmark.protocol import (
    DatasetRecord,
    Protocol,
)
from benchmark.records import (
    EpochRecord,
    Machine,
    ParameterCount,
    TrialRecord,
)
from benchmark.specs import (
    PlannedVariant,
    Variant,
)

# Longer than there have been computers, by far.
MOST_SECONDS = 1e12
# Of what the caption names.
LONGEST_WORD = 100

# A field's name, its value, and the smallest that it may have.
_Count = tuple[str, int | None, int]


def fault_in_record(record: TrialRecord) -> str | None:
    """The first thing in a record that cannot be, in words; None where all can be."""
    return next(_record_faults(record), None)


def fault_in_epochs(epochs: Sequence[EpochRecord]) -> str | None:
    """Likewise of a training's epochs so far."""
    return next(_epoch_faults(epochs), None)


def fault_in_description(
    variants: Sequence[PlannedVariant], protocol: Protocol, machine: Machine
) -> str | None:
    """Likewise of what a run's description says was asked for."""
    return next(_description_faults(variants, protocol, machine), None)


def _record_faults(record: TrialRecord) -> Iterator[str]:
    yield from _variant_faults(record)
    yield from _word_faults(
        {"device": record.device, "precision": record.precision, "engine": record.engine or ""}
    )
    yield from _count_faults(
        [
            ("seed", record.seed, 0),
            ("batch_size", record.batch_size, 1),
            ("steps_per_epoch", record.steps_per_epoch, 1),
            ("resumed", record.resumed, 0),
            ("macs", record.macs, 0),
            ("peak_memory_bytes", record.peak_memory_bytes, 0),
        ]
    )
    yield from _dataset_faults(record.dataset)
    if record.params is not None:
        yield from _parameter_faults(record.params)
    yield from _seconds_faults("timing", vars(record.timing))
    yield from _machine_faults(record.environment)
    yield from _number_faults("recipe", record.recipe.options)
    yield from _epoch_faults(record.epochs)
    yield from _outcome_faults(record)


def _outcome_faults(record: TrialRecord) -> Iterator[str]:
    """What a trial that completed must have, and how it must fit together."""
    if record.correct is not None:
        yield from _correct_faults(
            record.correct, record.dataset.judging_images, record.dataset.judged_by
        )
    if record.status != "completed":
        return
    if record.correct is None:
        yield "it completed, but has no correct"
    if not record.epochs:
        yield "it completed without an epoch"
    elif record.correct is not None and not _agree(record.correct, record):
        yield f"the last epoch's {_accuracy_name(record)} is not the share of correct images"
    if record.epochs and _protocol(record) != record.protocol:
        count = len(record.epochs)
        yield f"protocol does not match its settings and its number of epochs ({count})"


def _protocol(record: TrialRecord) -> str:
    """The hash of the protocol under which the record as it stands would have completed."""
    return Protocol(
        dataset=record.dataset,
        recipe=record.recipe,
        epochs=len(record.epochs),
        batch_size=record.batch_size,
        steps_per_epoch=record.steps_per_epoch,
        precision=record.precision,
    ).hash


def _correct_faults(correct: str, images: int, name: str) -> Iterator[str]:
    try:
        packed = base64.b64decode(correct, validate=True)
    except (binascii.Error, ValueError):
        yield "correct is not base64"
        return
    if len(packed) != math.ceil(images / 8):
        yield f"correct has {8 * len(packed)} bits for {images} {name} images"


def _agree(correct: str, record: TrialRecord) -> bool:
    """Whether the images classified rightly are as many as the last epoch says."""
    try:
        right = int.from_bytes(base64.b64decode(correct, validate=True)).bit_count()
    except (binascii.Error, ValueError):
        # That it is not base64 has been said.
        return True
    images, accuracy = record.dataset.judging_images, record.accuracy
    return accuracy is not None and abs(right - accuracy * images) < 0.5


def _accuracy_name(record: TrialRecord) -> str:
    return f"{record.dataset.judged_by}_accuracy"


def _epoch_faults(epochs: Sequence[EpochRecord]) -> Iterator[str]:
    for number, epoch in enumerate(epochs, start=1):
        if epoch.number != number:
            yield f"epochs.{number - 1}.number is {_shown(epoch.number)}, not {number}"
        # Words are made only for what is wrong: a table reads half a million epochs.
        if not (
            0 <= epoch.train_accuracy <= 1
            and (epoch.test_accuracy is None or 0 <= epoch.test_accuracy <= 1)
            and (epoch.validation_accuracy is None or 0 <= epoch.validation_accuracy <= 1)
        ):
            yield from _accuracy_faults(f"epochs.{number - 1}", epoch)
        if not (
            0 <= epoch.train_seconds <= MOST_SECONDS
            and 0 <= epoch.evaluation_seconds <= MOST_SECONDS
        ):
            seconds = {
                "train_seconds": epoch.train_seconds,
                "evaluation_seconds": epoch.evaluation_seconds,
            }
            yield from _seconds_faults(f"epochs.{number - 1}", seconds)


def _accuracy_faults(where: str, epoch: EpochRecord) -> Iterator[str]:
    for name in ("train_accuracy", "validation_accuracy", "test_accuracy"):
        accuracy = getattr(epoch, name)
        if accuracy is not None and not 0 <= accuracy <= 1:
            yield f"{where}.{name} is {accuracy:g}, not between 0 and 1"


def _description_faults(
    variants: Sequence[PlannedVariant], protocol: Protocol, machine: Machine
) -> Iterator[str]:
    if len({(variant.model, variant.identity) for variant in variants}) < len(variants):
        yield "variants has one twice"
    for variant in variants:
        yield from _variant_faults(variant)
        if len(set(variant.seeds)) < len(variant.seeds):
            yield f"{variant.model} has a seed twice"
        yield from _count_faults([("a seed", seed, 0) for seed in variant.seeds])
        if variant.control_of not in (None, *(other.model for other in variants)):
            yield f"{variant.model} is the control of a model that is not there"
    yield from _dataset_faults(protocol.dataset)
    yield from _count_faults(
        [
            ("protocol.epochs", protocol.epochs, 1),
            ("protocol.batch_size", protocol.batch_size, 1),
            ("protocol.steps_per_epoch", protocol.steps_per_epoch, 1),
        ]
    )
    yield from _word_faults({"protocol.precision": protocol.precision})
    yield from _machine_faults(machine)


def _variant_faults(variant: Variant) -> Iterator[str]:
    for name in (variant.model, variant.entry):
        if not is_name(name):
            yield f"a model cannot have the name {name[:LONGEST_WORD]!a}"
    yield from _number_faults("options", variant.options)


def _word_faults(words: Mapping[str, str]) -> Iterator[str]:
    for name, word in words.items():
        if len(word) > LONGEST_WORD or not word.isprintable():
            yield f"{name} is {word[:LONGEST_WORD]!a}"


def _dataset_faults(dataset: DatasetRecord) -> Iterator[str]:
    yield from _count_faults(
        [
            ("dataset.train_images", dataset.train_images, 1),
            ("dataset.validation_images", dataset.validation_images, 1),
            ("dataset.test_images", dataset.test_images, 0),
            ("dataset.classes", dataset.classes, 1),
            *(("dataset.image", length, 1) for length in dataset.image or ()),
            *(("dataset.class_counts", count, 0) for count in dataset.class_counts or ()),
        ]
    )
    if not dataset.judging_images:
        yield "dataset has neither test images nor images held out"
    counts = dataset.class_counts
    if counts is not None and len(counts) != dataset.classes:
        yield f"dataset.class_counts has {len(counts):,} classes of {_shown(dataset.classes)}"
    if counts is not None and sum(counts) != dataset.judging_images:
        yield (
            f"dataset.class_counts is not of all {_shown(dataset.judging_images)} "
            f"{dataset.judged_by} images"
        )


def _parameter_faults(params: ParameterCount) -> Iterator[str]:
    yield from _count_faults([(f"params.{name}", count, 0) for name, count in vars(params).items()])
    if max(params.trainable, params.buffers) > params.total:
        yield "params has more trainable values, or values in buffers, than in all"


def _machine_faults(machine: Machine) -> Iterator[str]:
    yield from _count_faults([("environment.threads", machine.threads, 0)])
    yield from _number_faults("environment", machine.model_extra)
    for gpu in machine.gpus:
        yield from _number_faults("environment.gpus", gpu.model_extra)


def _count_faults(counts: Iterable[_Count]) -> Iterator[str]:
    for name, count, least in counts:
        if count is not None and not least <= count <= LARGEST_WHOLE_NUMBER:
            yield f"{name} is {_shown(count)}"


def _seconds_faults(where: str, seconds: Mapping[str, float | None]) -> Iterator[str]:
    for name, value in seconds.items():
        if value is not None and not 0 <= value <= MOST_SECONDS:
            yield f"{where}.{name} is {value:g}"


def _number_faults(where: str, value: Any) -> Iterator[str]:
    """Numbers that no other program could read, however deep they lie."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _number_faults(f"{where}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _number_faults(f"{where}.{index}", item)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where} is {value}"
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
        yield f"{where} is {_shown(value)}"


def _shown(count: int) -> str:
    # Python refuses to write out the longest.
    return f"{count:,}" if abs(count) <= LARGEST_WHOLE_NUMBER else "out of range"
