"""A log of every trial, for people: ``log.txt`` in the trial's folder."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmark import Options, Tracker, TrackerEntry, hookimpl, three_digits

if TYPE_CHECKING:
    from torch import nn

    from benchmark import EpochRecord, TrialRecord, TrialSpec


class TrialLog(Tracker):
    """Writes what happens in a trial, a failure's traceback included."""

    def on_trial_start(self, trial: TrialSpec, model: nn.Module, epochs_done: int) -> None:
        """Note what is trained and how."""
        protocol = trial.protocol
        self._write(
            f"{trial.model}, seed {trial.seed}: {protocol.epochs} epochs of "
            f"{protocol.steps_per_epoch} steps on {protocol.dataset.name}, recipe "
            f"{protocol.recipe.name}, {trial.device}, {protocol.precision}"
        )
        self._write(str(model))

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        """Note an epoch's figures."""
        self._write(epoch.model_dump_json())

    def on_trial_end(self, record: TrialRecord, model: nn.Module) -> None:
        """Note that it completed."""
        self._write(f"{record.status} after {three_digits(record.timing.total_seconds)} s")

    def on_trial_error(self, error: BaseException) -> None:
        """Note what ended it, in full."""
        self._write("".join(traceback.format_exception(error)))

    def _write(self, text: str) -> None:
        # Set before a trial's first call, also of one that fails before it starts.
        assert self.trial is not None
        file = self.trial.log_file
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z {text.rstrip()}\n")


def create(options: Options) -> TrialLog:
    """Make the log; it has no options."""
    del options
    return TrialLog()


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    """Offer the log."""
    yield TrackerEntry("log", create, "log.txt in each trial's folder")
