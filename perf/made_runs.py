"""A run on disk that nobody trained, with as many trials as are wanted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy

from benchmark.catalog import load_catalog
from benchmark.config import find_document, load_config
from benchmark.environment import describe_environment
from benchmark.files import write_atomically
from benchmark.kept_files import KeptFile, array_content
from benchmark.protocol import (
    IDENTITY_LENGTH,
    DatasetRecord,
    Protocol,
    RecipeRecord,
)
from benchmark.records import (
    PREDICTIONS_FILE,
    EpochRecord,
    Machine,
    MetricFigure,
    ParameterCount,
    Timing,
    TrialRecord,
    pack_bits,
)
from benchmark.specs import (
    Origin,
    PlannedVariant,
)
from benchmark.store import RunDescription, RunDirectory

# As the preset cifar10 has it, with ten seeds.
EPOCHS = 50
TEST_IMAGES = 10_000
CLASSES = 10
SEEDS = 10


def make_run(parent: Path, trials: int) -> RunDirectory:
    """Write a run of so many trials, a multiple of ten, as the trials' ends would."""
    config = load_config(find_document("cifar10"), load_catalog())
    dataset = DatasetRecord(
        name="cifar10",
        identity="0" * IDENTITY_LENGTH,
        fingerprint="0" * 64,
        train_images=50_000,
        test_images=TEST_IMAGES,
        classes=CLASSES,
        image=(3, 32, 32),
        class_counts=(TEST_IMAGES // CLASSES,) * CLASSES,
    )
    protocol = Protocol(
        dataset=dataset,
        recipe=RecipeRecord(**dict(config.recipe), identity="0" * IDENTITY_LENGTH),
        epochs=EPOCHS,
        batch_size=128,
        steps_per_epoch=390,
        precision="bf16",
    )
    variants = tuple(_variant(f"model_{m:05d}") for m in range(trials // SEEDS))
    machine = Machine(**describe_environment())
    directory = RunDirectory.of(parent, f"made-{trials}", protocol)
    directory.write_description(
        RunDescription(config=config, variants=variants, protocol=protocol, environment=machine)
    )
    for record, predictions in _trials(variants, protocol, machine):
        directory.start_trial(record.key, keep=False)
        write_atomically(directory.trial_directory(record.key) / PREDICTIONS_FILE, predictions)
        directory.write_history(record.key, record.epochs)
        directory.write_record(record)
    return directory


def _variant(model: str) -> PlannedVariant:
    return PlannedVariant(
        model=model,
        entry=model,
        options={},
        identity="0" * IDENTITY_LENGTH,
        origin=_origin(model),
        seeds=tuple(range(SEEDS)),
    )


def _origin(plugin: str) -> Origin:
    return Origin(plugin=plugin, distribution="made", version="1.0", source=None, libraries={})


def _trials(
    variants: Iterable[PlannedVariant], protocol: Protocol, machine: Machine
) -> Iterator[tuple[TrialRecord, bytes]]:
    """Each trial's record and what is in its file of predictions; weights are left out."""
    generator = numpy.random.default_rng(0)
    for variant, seed in itertools.product(variants, range(SEEDS)):
        correct = generator.random(TEST_IMAGES) < 0.8
        accuracy = float(numpy.count_nonzero(correct) / TEST_IMAGES)
        predictions = array_content(generator.integers(0, CLASSES, TEST_IMAGES, numpy.uint8))
        record = TrialRecord(
            status="completed",
            reason=None,
            seed=seed,
            **variant.model_dump(exclude={"origin", "seeds"}),
            origin=variant.origin,
            core_version="0.1.0",
            dataset=protocol.dataset,
            recipe=protocol.recipe,
            recipe_origin=_origin("adam"),
            engine="eager",
            engine_reason=None,
            compiled=False,
            resumed=0,
            layout="channels_last",
            macs_is_lower_bound=False,
            protocol=protocol.hash,
            batch_size=protocol.batch_size,
            steps_per_epoch=protocol.steps_per_epoch,
            device="cpu",
            precision=protocol.precision,
            params=ParameterCount(total=1_172_410, trainable=1_172_410, buffers=0),
            macs=55_150_000,
            epochs=(
                *(_epoch(number, generator, generator.random()) for number in range(1, EPOCHS)),
                _epoch(EPOCHS, generator, accuracy),
            ),
            timing=Timing(first_epoch_seconds=31.0, epoch_seconds=30.0, total_seconds=1_600.0),
            peak_memory_bytes=2**30,
            correct=pack_bits(correct),
            predictions_file=KeptFile.of_bytes(predictions),
            metrics={"accuracy": MetricFigure(value=accuracy, image_standard_error=0.004)},
            environment=machine,
        )
        yield record, predictions


def _epoch(number: int, generator: numpy.random.Generator, accuracy: float) -> EpochRecord:
    figures = [float(figure) for figure in generator.random(6)]
    return EpochRecord(
        number=number,
        train_seconds=30 + figures[0],
        train_loss=figures[1],
        train_accuracy=figures[2],
        test_loss=figures[3],
        test_accuracy=accuracy,
        evaluation_seconds=figures[4],
        learning_rate=figures[5],
    )
