"""What is at work and how far it is, as a line of parts of which a narrow terminal drops some."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from benchmark.printable import three_digits

if TYPE_CHECKING:
    from benchmark.events import TrialProgress
    from benchmark.specs import TrialSpec

# So long after the last that was heard of a trial, it is said how long ago that was.
STALE_SECONDS = 10.0

# What a trial does, by what its time is charged to; its training is told by its steps.
ACTIVITIES = {
    "setup": "being set up",
    "compile": "compiling",
    "capture": "capturing a step as a graph",
    "evaluation": "evaluating",
    "checkpoint": "writing a checkpoint",
    "reporting": "reporting",
}


@dataclass(frozen=True)
class Part:
    """A part of a line; where there is no room for all, the least ``important`` go first."""

    text: str
    important: int
    gap: str = "  "


class Status(Protocol):
    """Something at work. ``fraction`` says how much of it is done, None if that is not known."""

    @property
    def head(self) -> str:
        """What it is."""

    @property
    def fraction(self) -> float | None:
        """How much of it is done."""

    def parts(self, now: float) -> list[Part]:
        """How far it is; ``now`` is by ``time.monotonic``."""


@dataclass
class Work:
    """A piece of work that is not training, whose parts may be counted."""

    head: str
    done: int = 0
    total: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float | None:
        """How much of it is done."""
        return self.done / self.total if self.total else None

    def parts(self, now: float) -> list[Part]:
        """How many of how many are done, and for how long it has been at work."""
        counted = [Part(f"{self.done:,} of {self.total:,}", 2)] if self.total else []
        return [*counted, _elapsed(now - self.began, 1)]


@dataclass
class TrialStatus:
    """A trial at work, its ``heard`` and ``began`` by ``time.monotonic``.

    ``epoch_seconds`` is what an epoch of its model takes, evaluation and all, once that is known.
    """

    spec: TrialSpec
    epochs_done: int = 0
    epoch_seconds: float | None = None
    milliseconds_a_step: float | None = None
    progress: TrialProgress | None = None
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)

    @property
    def head(self) -> str:
        """Its model."""
        return self.spec.model

    @property
    def fraction(self) -> float | None:
        """None: the run's line has the bar."""
        return None

    def hear(self, progress: TrialProgress | None) -> None:
        """Take note that something was heard of it, and where it is if that was said."""
        self.heard = time.monotonic()
        if progress is None:
            return
        self.progress = progress
        if progress.steps:
            self.milliseconds_a_step = 1000 * progress.seconds / progress.steps

    @property
    def epochs_left(self) -> float:
        """The epochs that are left to train, and of the present one what is left of its steps."""
        protocol, progress = self.spec.protocol, self.progress
        left = protocol.epochs - self.epochs_done
        if progress is None or progress.epoch != self.epochs_done + 1:
            return left
        return left - progress.steps / protocol.steps_per_epoch

    @property
    def seconds_an_epoch(self) -> float | None:
        """What an epoch takes, before the first as far as its steps say; None where unknown."""
        if self.epoch_seconds is not None or self.milliseconds_a_step is None:
            return self.epoch_seconds
        return self.milliseconds_a_step * self.spec.protocol.steps_per_epoch / 1000

    def parts(self, now: float) -> list[Part]:
        """Seed, epoch, step, milliseconds a step, time elapsed, time left."""
        parts = [Part(f"seed {self.spec.seed}", 8, gap=" "), *self._position()]
        if self.milliseconds_a_step is not None:
            parts.append(Part(f"{three_digits(self.milliseconds_a_step)} ms/step", 4))
        parts.append(_elapsed(now - self.began, 3))
        if self.seconds_an_epoch is not None:
            parts.append(Part(f"{duration(self.seconds_an_epoch * self.epochs_left)} left", 5))
        if now - self.heard >= STALE_SECONDS:
            parts.append(Part(f"no news for {duration(now - self.heard)}", 7))
        return parts

    def _position(self) -> list[Part]:
        protocol, progress = self.spec.protocol, self.progress
        if progress is None or not progress.epoch:
            part = "setup" if progress is None else progress.part
            return [Part(ACTIVITIES.get(part, part), 6)]
        epoch = Part(f"epoch {progress.epoch}/{protocol.epochs}", 9)
        if progress.part == "training":
            return [epoch, Part(f"step {progress.steps:,}/{protocol.steps_per_epoch:,}", 6)]
        return [epoch, Part(ACTIVITIES.get(progress.part, progress.part), 6)]


def in_full(status: Status, now: float) -> str:
    """A status with all its parts."""
    return status.head + "".join(part.gap + part.text for part in status.parts(now))


def duration(seconds: float) -> str:
    """Write a time span for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _elapsed(seconds: float, important: int) -> Part:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return Part(f"{clock} elapsed", important)
