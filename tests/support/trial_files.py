"""What a trial has left on disk, as tests look at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Of an epoch: what differs though the training was the same.
TIMES = ("train_seconds", "evaluation_seconds", "timed")


def trial_folder(model: str, seed: int = 0, out: str = "runs") -> Path:
    """The folder of a trial of the only run in ``out``."""
    (trials,) = Path(out).glob("*/trials")
    return folder_in(trials.parent, model, seed)


def folder_in(run: Path, model: str, seed: int = 0) -> Path:
    """The folder of a trial in a run, of a model of which the run has one version."""
    (version,) = (run / "trials" / model).iterdir()
    return version / f"seed-{seed}"


def trial_record(model: str, seed: int = 0, out: str = "runs") -> dict[str, Any]:
    """The record of a trial of the only run in ``out``."""
    return read_record(trial_folder(model, seed, out))


def read_record(folder: Path) -> dict[str, Any]:
    """The record in a trial's folder."""
    content: dict[str, Any] = json.loads((folder / "trial.json").read_text())
    return content


def figures(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What a record says of its epochs, but for times."""
    return [
        {key: value for key, value in epoch.items() if key not in TIMES}
        for epoch in record["epochs"]
    ]
