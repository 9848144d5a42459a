"""What a trial has reported so far, which is its record if its process dies."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmark import EpochRecord, Status, TrialEvent, TrialRecord, TrialSpec, TrialStart
from benchmark.trial import record_lost_trial, stage


class TrialState:
    """What is known of a trial from its events.

    It ``began`` (by ``time.monotonic``) with its first event, unless another time is given.
    """

    def __init__(self, spec: TrialSpec, began: float | None = None) -> None:
        self._spec = spec
        self._began = began
        self.is_set_up = False
        self._start: TrialStart | None = None
        self._epochs: Sequence[EpochRecord] = ()
        self._warnings: tuple[str, ...] = ()

    def note(self, event: TrialEvent) -> None:
        """Note what the trial reports."""
        self._began = self._began or time.monotonic()
        if event.progress is not None:
            return
        self._warnings = event.warnings
        if event.epoch is not None:
            self._epochs = [*self._epochs, event.epoch]
            return
        self.is_set_up = event.start is not None
        if event.start is not None:
            self._start, self._epochs = event.start, event.start.before

    def restart(self) -> None:
        """Note that the trial is to be set up again."""
        self.is_set_up = False

    @property
    def has_begun(self) -> bool:
        """Whether the trial has reported anything."""
        return self._began is not None

    @property
    def stage(self) -> str:
        """Where the trial is: ``in epoch 3 of 50``."""
        return stage(self._spec.protocol, len(self._epochs), is_set_up=self.is_set_up)

    def lost_record(self, status: Status, reason: str) -> TrialRecord:
        """The record of the trial, if it reports nothing more."""
        now = time.monotonic()
        return record_lost_trial(
            self._spec,
            status=status,
            reason=reason,
            start=self._start,
            epochs=self._epochs,
            warnings=self._warnings,
            total_seconds=now - (self._began or now),
        )
