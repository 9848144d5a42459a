"""A log of every trial, for people: ``log.txt`` in the trial's folder."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmark import Callback, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from benchmark import EpochRecord, TrialRecord, TrialSpec


class TrialLog(Callback):
    """Writes what happens in a trial, a failure's traceback included."""

    def __init__(self, trial: TrialSpec) -> None:
        self._trial = trial
        self._file = trial.log_file

    def on_trial_start(self, model: nn.Module) -> None:
        """Note what is trained and how."""
        trial, protocol = self._trial, self._trial.protocol
        self._write(
            f"{trial.model}, seed {trial.seed}: {protocol.epochs} epochs of "
            f"{protocol.steps_per_epoch} steps on {protocol.dataset.name}, recipe "
            f"{protocol.recipe.name}, {trial.device}, {protocol.precision}"
        )
        self._write(str(model))

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        """Note an epoch's figures."""
        self._write(epoch.model_dump_json())

    def on_trial_end(self, record: TrialRecord) -> None:
        """Note that it completed."""
        self._write(f"{record.status} after {record.timing.total_seconds:.1f} s")

    def on_trial_error(self, error: BaseException) -> None:
        """Note what ended it, in full."""
        self._write("".join(traceback.format_exception(error)))

    def _write(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {text.rstrip()}\n")


@hookimpl
def benchmark_callbacks(trial: TrialSpec) -> Iterator[Callback]:
    """Log every trial."""
    yield TrialLog(trial)
