"""The framework: a whole trial, as ``benchmark run`` has it carried out; a block is an epoch.

What is taken is the epoch's ``train_seconds``, the figure from which the table's epoch time comes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmark.api import train
from benchmark.catalog import load_catalog
from benchmark.complexity import count_parameters
from benchmark.config import find_document
from benchmark.events import TrialEvent
from benchmark.trial import build_model
from perf.random_images import CLASSES, NAME, PLUGIN, SIDE
from perf.turns import Turns
from perf.workload import LEARNING_RATE, Workload

# An evaluation follows every epoch, outside its time; it need not be a long one.
TEST_IMAGES = 128


def contend(workload: Workload, turns: Turns) -> None:
    """Carry a trial out, waiting for the next turn after every epoch."""
    catalog = load_catalog((PLUGIN,))
    model = build_model(catalog.models[workload.model], {}, (3, SIDE, SIDE), len(CLASSES), print)
    turns.describe(parameters=count_parameters(model).total, precision=workload.precision)

    def listen(event: TrialEvent) -> None:
        if event.epoch is None:
            return
        goes_on = turns.give(event.epoch.train_seconds)
        if not goes_on and event.epoch.number < workload.blocks:
            # As a user would end a trial.
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        run, _ = train(
            find_document(_config(workload)),
            catalog,
            plugins=(PLUGIN,),
            out=Path(folder),
            data_directory=Path(folder),
            fresh=True,
            retry_failed=False,
            take_over=False,
            listen=listen,
        )
        (record,) = run.records
    if record.status not in ("completed", "interrupted"):
        raise RuntimeError(f"the trial {record.status}: {record.reason}")


def _config(workload: Workload) -> dict[str, Any]:
    images = {
        "train_images": workload.image_count,
        "test_images": TEST_IMAGES,
        "seed": workload.seed,
    }
    return {
        "name": "framework",
        "dataset": {"name": NAME, **images},
        "models": [workload.model],
        "recipe": {"name": "adam", "learning_rate": LEARNING_RATE},
        "epochs": workload.blocks,
        "batch_size": workload.batch_size,
        "precision": workload.precision,
        "compile": workload.compiled,
        "device": "cpu",
        "executor": "inline",
        # Checkpoints are written outside an epoch's time, but to the same disk.
        "checkpoint_every": workload.blocks,
    }
