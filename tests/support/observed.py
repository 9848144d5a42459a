"""A plugin whose trials write down, in one file for all, when which of them did what.

It imports nothing of the tests: on a node there is no more of it than this file.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark import ModelEntry, Options, Tracker, TrackerEntry, hookimpl
from benchmark.records import EpochRecord
from benchmark.specs import TrialSpec

# What has a run load it and look on with it.
CHOSEN = ("-p", __file__, "--tracker", "log", "--tracker", "notes")

NOTES = "notes.jsonl"
# Written by a test that lets the model ``waits`` continue.
CONTINUE = "continue"


class Steady(nn.Module):
    """A model that works, and draws random numbers."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(math.prod(input_shape), num_classes)
        self.dropout = nn.Dropout(0.2)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.dense(self.dropout(pixels.flatten(1)))


class Crashes(Steady):
    """Crashes its process."""

    def forward(self, pixels: Tensor) -> Tensor:
        ctypes.string_at(0)
        return super().forward(pixels)


class KillsItsTask(Steady):
    """Kills the process of Ray's that supervises its own."""

    def forward(self, pixels: Tensor) -> Tensor:
        os.kill(os.getppid(), signal.SIGKILL)
        return super().forward(pixels)


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("steady", Steady)
    yield ModelEntry("waits", Steady)
    yield ModelEntry("crashes", Crashes)
    yield ModelEntry("kills_its_task", KillsItsTask)


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("notes", Notes)


class Notes(Tracker):
    """Notes a trial's start, its epochs and its end; ``waits`` waits after its second epoch."""

    trial: TrialSpec

    def __init__(self, options: Options) -> None:
        pass

    def note(self, event: str, **more: Any) -> None:
        line = {
            "event": event,
            "model": self.trial.model,
            "seed": self.trial.seed,
            "time": time.time(),
            "process": os.getpid(),
            "parent": os.getppid(),
            "directory": str(self.trial.directory),
            "threads": torch.get_num_threads(),
            "usage_statistics": os.environ.get("RAY_USAGE_STATS_ENABLED"),
            "spin_count": os.environ.get("GOMP_SPINCOUNT"),
            **more,
        }
        # Short enough to be written at once.
        with (self.trial.data_directory / NOTES).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def on_trial_start(self, trial: TrialSpec, model: nn.Module, epochs_done: int) -> None:
        self.note("start")

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        self.note("epoch", epoch=epoch.number)
        if self.trial.model == "waits" and epoch.number == 2:
            while not (self.trial.data_directory / CONTINUE).exists():
                time.sleep(0.02)

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        self.note("end")
        (self.trial.directory / "mine").mkdir()
        (self.trial.directory / "mine" / "note.txt").write_text("from far away")


def read_notes(data_directory: Path) -> list[dict[str, Any]]:
    """What has been written down so far."""
    file = data_directory / NOTES
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
