"""Progress for people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmark.cli.streams import say
from benchmark.files import last_lines
from benchmark.printable import printable_line
from benchmark.progress import Display

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from benchmark.records import EpochRecord, TrialEvent, TrialKey, TrialRecord, TrialSpec

# How often a plain line tells of work that is not training, in seconds.
PLAIN_INTERVAL = 5.0
# How much of the log of a trial that did not complete is shown with ``-v``.
LOG_LINES = 40


@contextmanager
def open_display() -> Iterator[Display]:
    """A bar where stderr is a terminal, else plain lines."""
    if not sys.stderr.isatty():
        yield PlainDisplay()
        return
    # Imported here: only a terminal needs it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarDisplay(progress)


class PlainDisplay:
    """Lines on stderr; of long work, one every few seconds and one at its end."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def say(self, line: str) -> None:
        """Print the line."""
        say(line)

    def advance(self, description: str, done: int, total: int) -> None:
        """Print a line if it is time for one."""
        if description == TRAINING:
            return
        now = time.monotonic()
        if now - self._told >= PLAIN_INTERVAL:
            self._told = now
            say(f"{description}: {done:,} of {total:,}")


class BarDisplay:
    """A bar of rich's for each piece of work, lines above them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._progress.console.print(printable_line(line), markup=False, soft_wrap=True)

    def advance(self, description: str, done: int, total: int) -> None:
        """Move the bar, and take it away at its end."""
        if description not in self._tasks:
            self._tasks[description] = self._progress.add_task(description, total=total)
        self._progress.update(self._tasks[description], completed=done)
        if done >= total:
            self._progress.remove_task(self._tasks.pop(description))


TRAINING = "training"


class TrainingDisplay:
    """Turns a run's events into lines: all of an epoch's figures, and the time left for the run.

    If ``verbose``, also the end of the log of a trial that did not complete.
    """

    def __init__(
        self, display: Display, pending: Sequence[TrialSpec], verbose: bool = False
    ) -> None:
        self._display = display
        self._verbose = verbose
        self._epochs_left = {spec.key: spec.protocol.epochs for spec in pending}
        self._total = sum(self._epochs_left.values())
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._at_work: set[TrialKey] = set()
        self._remarks: set[str] = set()
        if self._total:
            self._display.advance(TRAINING, 0, self._total)

    def report(self, event: TrialEvent) -> None:
        """Show an epoch's figures, a trial's warnings, and why a trial did not complete."""
        spec = event.spec
        self._at_work.add(spec.key)
        self._remark(spec, event.warnings)
        if event.start is not None and event.start.before:
            self._count(spec, event.start.before)
            self._display.say(
                f"benchmark: {spec.model}, seed {spec.seed}: goes on after epoch "
                f"{len(event.start.before)} of {spec.protocol.epochs}"
            )
        if event.epoch is not None:
            self._count(spec, [event.epoch])
            self._display.say(epoch_line(spec, event.epoch, self.seconds_left()))
        if event.record is not None:
            self._at_work.remove(spec.key)
            self._epochs_left[spec.key] = 0
            self._remark(spec, remarks(event.record))
            if self._verbose and event.record.status != "completed":
                for line in last_lines(spec.log_file, LOG_LINES):
                    self._display.say(f"    {line}")
        done = self._total - sum(self._epochs_left.values())
        self._display.advance(TRAINING, done, self._total)

    def _remark(self, spec: TrialSpec, remarks: Sequence[str]) -> None:
        """Show what has not been shown of this trial yet."""
        for remark in remarks:
            line = f"benchmark: {spec.model}, seed {spec.seed}: {remark}"
            if line not in self._remarks:
                self._remarks.add(line)
                self._display.say(line)

    def _count(self, spec: TrialSpec, epochs: Sequence[EpochRecord]) -> None:
        self._epochs_left[spec.key] = spec.protocol.epochs - epochs[-1].epoch
        self._seconds[spec.model] += [epoch.train_seconds + epoch.eval_seconds for epoch in epochs]

    def seconds_left(self) -> float:
        """Each model's median epoch times its epochs left, shared among the trials at work.

        A model that has had no epoch is taken to be as fast as the others.
        """
        medians = {model: statistics.median(seconds) for model, seconds in self._seconds.items()}
        overall = statistics.median(medians.values())
        left = sum(
            medians.get(model, overall) * epochs for (model, _), epochs in self._epochs_left.items()
        )
        return left / len(self._at_work)


def remarks(record: TrialRecord) -> list[str]:
    """A trial's warnings, why it has another engine, and its reason where it did not complete."""
    lines = list(record.warnings)
    if record.engine_reason:
        lines.append(f"trained with engine {record.engine}, {record.engine_reason}")
    if record.status != "completed":
        lines.append(f"{record.status}: {record.reason}")
    return lines


def epoch_line(spec: TrialSpec, epoch: EpochRecord, seconds_left: float) -> str:
    """An epoch in a line: what Keras logged of it, and model, seed and the time left."""
    milliseconds_a_step = 1000 * epoch.train_seconds / spec.protocol.steps_per_epoch
    return (
        f"{spec.model} seed {spec.seed}  epoch {epoch.epoch}/{spec.protocol.epochs}  "
        f"{epoch.train_seconds:.1f} s {milliseconds_a_step:.0f} ms/step  "
        f"loss {epoch.train_loss:.4f} acc {epoch.train_accuracy:.4f}  "
        f"test loss {epoch.test_loss:.4f} acc {epoch.test_accuracy:.4f}  "
        f"{duration(seconds_left)} left"
    )


def duration(seconds: float) -> str:
    """Write a time span for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
