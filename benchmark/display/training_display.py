"""A run's events as lines for people."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.display.displays import WHOLE, Display
from benchmark.display.status import Part, TrialStatus, Work, duration
from benchmark.files import last_lines
from benchmark.printable import three_digits

if TYPE_CHECKING:
    from benchmark.events import TrialEvent
    from benchmark.records import (
        EpochRecord,
        TrialRecord,
    )
    from benchmark.specs import (
        TrialKey,
        TrialSpec,
    )

# How much of the log of a trial that did not complete is shown with ``-v``.
LOG_LINES = 40


@dataclass
class RunStatus(Work):
    """All of a run's trials, in epochs."""

    head: str = "training"
    epochs_left: float = 0.0
    seconds_left: float | None = None

    @property
    def fraction(self) -> float | None:
        """How much is done, epochs that have begun among it."""
        return 1 - self.epochs_left / self.total if self.total else None

    def parts(self, now: float) -> list[Part]:
        """Epochs, time elapsed, time left."""
        epochs, elapsed = super().parts(now)
        parts = [replace(epochs, text=f"{epochs.text} epochs"), elapsed]
        if self.seconds_left is not None:
            parts.append(Part(f"{duration(self.seconds_left)} left", 3))
        return parts


class TrainingDisplay:
    """Turns a run's events into lines: all of an epoch's figures, and the time left for the run.

    If ``verbose``, also the end of the log of a trial that did not complete. Events may come from
    several threads.
    """

    def __init__(
        self, display: Display, pending: Sequence[TrialSpec], verbose: bool = False
    ) -> None:
        self._display = display
        self._verbose = verbose
        self._lock = threading.Lock()
        self._specs: dict[TrialKey, TrialSpec] = {}
        self._epochs_left: dict[TrialKey, int] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._at_work: dict[TrialKey, TrialStatus] = {}
        self._warned: set[str] = set()
        self._run = RunStatus(total=0)
        self.expect(pending)

    def expect(self, pending: Sequence[TrialSpec]) -> None:
        """Count these trials among those that the run has."""
        with self._lock:
            self._specs |= {spec.key: spec for spec in pending}
            self._epochs_left |= {spec.key: spec.protocol.epochs for spec in pending}
            self._run.total += sum(spec.protocol.epochs for spec in pending)
            self._update_run()
            if self._run.total:
                self._display.put(WHOLE, self._run)

    def report(self, event: TrialEvent) -> None:
        """Show an epoch's figures, a trial's warnings, and why a trial did not complete."""
        with self._lock:
            spec = self._specs[event.trial]
            status = self._status(spec)
            status.hear(event.progress)
            self._warn(spec, event.warnings)
            if event.start is not None and event.start.before:
                self._count(status, event.start.before)
                self._display.say(
                    f"benchmark: {spec.model}, seed {spec.seed}: goes on after epoch "
                    f"{len(event.start.before)} of {spec.protocol.epochs}"
                )
            if event.epoch is not None:
                self._count(status, [event.epoch])
                self._display.say(epoch_line(spec, event.epoch, self.seconds_left()))
                self._display.have_said(spec.key)
            if event.record is not None:
                self._end(event.record, spec)
            self._update_run()

    def _status(self, spec: TrialSpec) -> TrialStatus:
        if spec.key not in self._at_work:
            self._at_work[spec.key] = TrialStatus(spec)
            self._display.put(spec.key, self._at_work[spec.key])
        return self._at_work[spec.key]

    def _end(self, record: TrialRecord, spec: TrialSpec) -> None:
        del self._at_work[spec.key]
        self._display.take_away(spec.key)
        self._epochs_left[spec.key] = 0
        self._warn(spec, warnings_of(record))
        if self._verbose and record.status != "completed":
            for line in last_lines(spec.log_file, LOG_LINES):
                self._display.say(f"    {line}")

    def _warn(self, spec: TrialSpec, warnings: Sequence[str]) -> None:
        """Show what has not been shown of this trial yet."""
        for warning in warnings:
            line = f"benchmark: {spec.model}, seed {spec.seed}: {warning}"
            if line not in self._warned:
                self._warned.add(line)
                self._display.say(line)

    def _count(self, status: TrialStatus, epochs: Sequence[EpochRecord]) -> None:
        spec = status.spec
        status.epochs_done = epochs[-1].number
        self._epochs_left[spec.key] = spec.protocol.epochs - epochs[-1].number
        self._seconds[spec.model] += [
            epoch.train_seconds + epoch.evaluation_seconds for epoch in epochs
        ]
        for other in self._at_work.values():
            if other.spec.model == spec.model:
                other.epoch_seconds = statistics.median(self._seconds[spec.model])

    def _update_run(self) -> None:
        self._run.done = self._run.total - sum(self._epochs_left.values())
        self._run.epochs_left = sum(self._exact_epochs_left().values())
        self._run.seconds_left = self.seconds_left()

    def _exact_epochs_left(self) -> dict[TrialKey, float]:
        """The epochs that each trial has left, and of its present one what is left of it."""
        begun = {key: status.epochs_left for key, status in self._at_work.items()}
        return {**self._epochs_left, **begun}

    def seconds_left(self) -> float | None:
        """What each trial's epochs left will take, shared among the trials at work.

        A model's epoch takes the median of those it has had, or before the first what its steps so
        far say. Of a model that has had none it is not known: it is taken to be as fast as the
        others.
        """
        known = {status.spec.model: status.seconds_an_epoch for status in self._at_work.values()}
        known |= {model: statistics.median(seconds) for model, seconds in self._seconds.items()}
        seconds = {model: value for model, value in known.items() if value is not None}
        if not seconds:
            return None
        overall = statistics.median(seconds.values())
        left = sum(
            seconds.get(key.model, overall) * epochs
            for key, epochs in self._exact_epochs_left().items()
        )
        return left / max(len(self._at_work), 1)


def warnings_of(record: TrialRecord) -> list[str]:
    """A trial's warnings, why it has another engine, and its reason where it did not complete."""
    lines = list(record.warnings)
    if record.engine_reason:
        lines.append(f"trained with engine {record.engine}, {record.engine_reason}")
    if record.status != "completed":
        lines.append(f"{record.status}: {record.reason}")
    return lines


def epoch_line(spec: TrialSpec, epoch: EpochRecord, seconds_left: float | None) -> str:
    """An epoch in a line: what Keras logged of it, and model, seed and the time left."""
    milliseconds_a_step = 1000 * epoch.train_seconds / spec.protocol.steps_per_epoch
    left = "" if seconds_left is None else f"  {duration(seconds_left)} left"
    return (
        f"{spec.model} seed {spec.seed}  epoch {epoch.number}/{spec.protocol.epochs}  "
        f"{three_digits(epoch.train_seconds)} s {three_digits(milliseconds_a_step)} ms/step  "
        f"loss {epoch.train_loss:.4f} acc {epoch.train_accuracy:.4f}  "
        f"{_judged(epoch)}{left}"
    )


def _judged(epoch: EpochRecord) -> str:
    """What the images say that the epoch was judged by, one kind after the other."""
    figures = {
        "validation": (epoch.validation_loss, epoch.validation_accuracy),
        "test": (epoch.test_loss, epoch.test_accuracy),
    }
    return "  ".join(
        f"{images} loss {loss:.4f} acc {accuracy:.4f}"
        for images, (loss, accuracy) in figures.items()
        if loss is not None and accuracy is not None
    )
