"""The framework: a whole trial, as ``benchmark run`` has it carried out; a block is an epoch.

What is taken is the epoch's ``train_seconds``, the figure from which the table's epoch time comes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmark.catalog import load_catalog
from benchmark.complexity import count_parameters
from benchmark.config import Document, load_config, with_defaults
from benchmark.records import TrialEvent
from benchmark.runner import prepare
from benchmark.trial import build_model, run_trial
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

    def report(event: TrialEvent) -> None:
        if event.epoch is None:
            return
        goes_on = turns.give(event.epoch.train_seconds)
        if not goes_on and event.epoch.number < workload.blocks:
            # As a user would end a trial.
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(
            load_config(_document(workload), catalog),
            catalog,
            data_directory=Path(folder),
            out=Path(folder),
            plugins=(PLUGIN,),
            fresh=True,
            retry_failed=False,
            take_over=False,
            warn=print,
        )
        with prepared as run:
            record = run_trial(run.continuation.pending[0], report)
    if record.status not in ("completed", "interrupted"):
        raise RuntimeError(f"the trial {record.status}: {record.reason}")


def _document(workload: Workload) -> Document:
    images = {
        "train_images": workload.image_count,
        "test_images": TEST_IMAGES,
        "seed": workload.seed,
    }
    config = {
        "name": "framework",
        "dataset": {"name": NAME, **images},
        "models": [workload.model],
        "recipe": {"name": "adam", "learning_rate": LEARNING_RATE},
        "epochs": workload.blocks,
        "batch_size": workload.batch_size,
        "precision": workload.precision,
        "compile": workload.compiled,
        "device": "cpu",
        # Checkpoints are written outside an epoch's time, but to the same disk.
        "checkpoint_every": workload.blocks,
    }
    return with_defaults(Document("", config, {}))
