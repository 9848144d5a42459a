"""Records made up for tests that train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.analysis.summary import model_summary
from benchmark.protocol import (
    DatasetRecord,
    Protocol,
    RecipeRecord,
    Selection,
)
from benchmark.records import (
    EpochRecord,
    ParameterCount,
    Timing,
    TrialRecord,
    pack_bits,
)
from benchmark.specs import (
    Origin,
    PlannedVariant,
    TrialKey,
    TrialSpec,
    Variant,
)
from benchmark.summaries import ModelSummary

IDENTITY = "0123456789ab"
TEST_IMAGES = 10_000
DATASET = DatasetRecord(
    name="synthetic",
    identity=IDENTITY,
    fingerprint="f" * 64,
    train_images=100,
    test_images=TEST_IMAGES,
    classes=10,
)
PROTOCOL = Protocol(
    dataset=DATASET,
    recipe=RecipeRecord(name="adam", options={"learning_rate": 1e-3}, identity=IDENTITY),
    epochs=2,
    batch_size=10,
    steps_per_epoch=10,
    precision="fp32",
)


def make_origin(plugin: str = "sample", **changes: Any) -> Origin:
    fields = {"distribution": "sample", "version": "1.0", "source": "5" * 64, "libraries": {}}
    return Origin(plugin=plugin, **{**fields, **changes})


def make_variant(model: str = "alpha", identity: str = IDENTITY, **changes: Any) -> Variant:
    fields = {"entry": model, "options": {}, "origin": make_origin(model)}
    return Variant(model=model, identity=identity, **{**fields, **changes})


def make_planned(model: str = "alpha", *seeds: int, **changes: Any) -> PlannedVariant:
    return PlannedVariant(**dict(make_variant(model, **changes)), seeds=seeds or (0,))


def make_key(model: str = "alpha", seed: int = 0) -> TrialKey:
    return TrialKey(model, IDENTITY, seed)


RECIPE_ORIGIN = make_origin("adam")


def make_epoch(epoch: int = 1, accuracy: float = 0.5, seconds: float = 2.0) -> EpochRecord:
    return EpochRecord(
        number=epoch,
        train_seconds=seconds,
        train_loss=1.0,
        train_accuracy=0.5,
        test_loss=1.5,
        test_accuracy=accuracy,
        evaluation_seconds=0.5,
        learning_rate=1e-3,
    )


def make_record(
    model: str = "alpha", seed: int = 0, accuracy: float = 0.5, **changes: Any
) -> TrialRecord:
    fields: dict[str, Any] = {
        "status": "completed",
        "reason": None,
        "seed": seed,
        **dict(make_variant(model)),
        "core_version": "0.1.0",
        "dataset": DATASET,
        "recipe": PROTOCOL.recipe,
        "recipe_origin": RECIPE_ORIGIN,
        "engine": "eager",
        "engine_reason": None,
        "compiled": False,
        "resumed": 0,
        "layout": "channels_last",
        "macs_is_lower_bound": False,
        "protocol": PROTOCOL.hash,
        "batch_size": 10,
        "steps_per_epoch": 10,
        "device": "cpu",
        "precision": "fp32",
        "params": ParameterCount(total=1_172_410, trainable=1_172_410, buffers=0),
        "macs": 55_150_000,
        "epochs": (make_epoch(1, 0.1), make_epoch(2, accuracy)),
        "timing": Timing(
            setup_seconds=0.1, first_epoch_seconds=3.0, epoch_seconds=2.0, total_seconds=6.0
        ),
        "peak_memory_bytes": 2**30,
        "correct": pack_bits([image < accuracy * TEST_IMAGES for image in range(TEST_IMAGES)]),
        "environment": {"versions": {"python": "3.11"}},
    }
    return TrialRecord(**{**fields, **changes})


def failed_record(model: str = "alpha", seed: int = 0, status: str = "failed") -> TrialRecord:
    return make_record(
        model,
        seed,
        status=status,
        reason="ValueError: no",
        params=None,
        macs=None,
        epochs=(),
        timing=Timing(total_seconds=0.1),
        correct=None,
    )


def make_summary(model: str, *accuracies: float, planned: int | None = None) -> ModelSummary:
    records = tuple(make_record(model, seed, value) for seed, value in enumerate(accuracies))
    return model_summary(make_variant(model), records, planned or len(records))


def make_spec(model: str = "alpha", seed: int = 0) -> TrialSpec:
    return TrialSpec(
        variant=make_variant(model),
        recipe_origin=RECIPE_ORIGIN,
        seed=seed,
        protocol=PROTOCOL,
        dataset=Selection(name="synthetic"),
        device="cpu",
        data_directory=Path("data"),
        directory=Path("runs") / model / f"seed-{seed}",
        core="core",
    )
