"""Part 10: both models trained from the command to the record, once and with several seeds."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from perf.built_in import MODELS
from perf.gpu.jobs import Figures, Job, alone
from perf.gpu.options import Options
from perf.gpu.runs import Run, completed
from perf.gpu.targets import of_a_training

SECONDS = 240


def jobs(options: Options) -> Iterator[Job]:
    """A model's one training, for the target is that of one; then all seeds of each."""
    for model in MODELS:
        name = f"{model}, adam, {options.epochs} epochs, from the command to the record"
        yield alone(name, SECONDS, partial(train_once, options, model))
    for model in MODELS:
        name = f"{model}, adam, {options.epochs} epochs, {options.seeds} seeds"
        yield alone(name, SECONDS, partial(train, options, model))


def train_once(options: Options, model: str) -> Figures:
    """Train a model with one seed on images that were prepared before the command."""
    dataset = images(options)
    run = Run(options, f"{model}-once", dataset=dataset, models=[model], seeds=1)
    run.prepare()
    seconds = run.finish()
    (record,) = completed(run.records(), 1)
    return {
        "dataset": dataset["name"],
        "seconds": seconds,
        "training_seconds": record.timing.training_seconds,
        **of_a_training(options, record.dataset.train_images),
        "total_seconds": record.timing.total_seconds,
        "engine": record.engine,
        "reason": record.engine_reason,
    }


def train(options: Options, model: str) -> Figures:
    """Train a model as a user would; ``seconds_a_trial`` is from the command to the record."""
    dataset = images(options)
    run = Run(options, model, dataset=dataset, models=[model], seeds=options.seeds)
    seconds = run.finish()
    records = completed(run.records(), options.seeds)
    return {
        "dataset": dataset["name"],
        "seconds_a_trial": seconds / options.seeds,
        "total_seconds": [record.timing.total_seconds for record in records],
        "training_seconds": [record.timing.training_seconds for record in records],
        "epoch_seconds": [record.timing.epoch_seconds for record in records],
        "accuracy": [record.test_accuracy for record in records],
        "engine": records[0].engine,
        "reason": records[0].engine_reason,
    }


def images(options: Options) -> dict[str, Any]:
    """The data set: images that were given, or drawn ones."""
    if options.images is None:
        counts = {"train_images": options.count, "test_images": max(10, options.count // 5)}
        return {"name": "synthetic", **counts}
    root = options.images
    if not root.is_dir():
        root = unpacked(root, options.work / "images")
    return {"name": "imagefolder", "root": str(root.resolve())}


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive that holds one folder, unless that was done, and return the folder."""
    if not folder.exists():
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root
