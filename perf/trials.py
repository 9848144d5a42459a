"""Whole trials by the command line, for what a block of steps cannot show: memory, and size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.records import TrialRecord
from perf.processes import ROOT, WorkerError
from perf.random_images import NAME, PLUGIN

# The first epoch pays for what happens once; the median of the others counts, as in the table.
EPOCHS = 3


@dataclass(frozen=True)
class TrialPlan:
    """What the trials have in common; ``sizes`` are numbers of training images, growing."""

    sizes: Sequence[int]
    test_images: int
    batch_size: int
    precision: str


def measure_sizes(
    model: str, plan: TrialPlan, folder: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Carry a trial out for every size, each in a process of its own; returns their figures.

    ``images`` are those that an epoch trains on: whole batches. Raises WorkerError for a trial
    that fails.
    """
    measured = []
    for size in plan.sizes:
        record = _carry_out(model, size, plan, folder)
        measured.append(
            {
                "images": record.steps_per_epoch * record.batch_size,
                "epoch_seconds": record.timing.epoch_seconds,
                "epochs": [epoch.train_seconds for epoch in record.epochs],
                "peak_memory_bytes": record.peak_memory_bytes,
            }
        )
        say(f"{size:,} images: {record.timing.epoch_seconds:.2f} s an epoch")
    return measured


def _carry_out(model: str, size: int, plan: TrialPlan, folder: Path) -> TrialRecord:
    name = f"{model}-{size}"
    config = folder / f"{name}.yaml"
    # JSON is YAML too.
    config.write_text(json.dumps(_config(model, size, plan)), encoding="utf-8")
    out = folder / name
    command = [sys.executable, "-m", "benchmark", "run", str(config), "-p", PLUGIN]
    command += ["--out", str(out), "--data-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise WorkerError(f"the trial of {name} failed:\n{done.stderr}")
    (file,) = out.rglob("trial.json")
    return TrialRecord.model_validate_json(file.read_text(encoding="utf-8"))


def _config(model: str, size: int, plan: TrialPlan) -> Mapping[str, Any]:
    # All are subsets of one data set, so that it is drawn and cached once.
    images = {"train_images": max(plan.sizes), "test_images": plan.test_images}
    return {
        "dataset": {"name": NAME, **images},
        "train_images": size,
        "models": [model],
        "epochs": EPOCHS,
        "batch_size": plan.batch_size,
        "precision": plan.precision,
        "device": "cpu",
    }
