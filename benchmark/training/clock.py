"""Time, read when the device has finished what it was given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch

from benchmark.running_clock import RunningClock


class Stretch:
    """A stretch of time; ``seconds`` is known when it has ended.

    ``was_suspended`` says whether the process was suspended in it, which is part of its seconds.
    """

    seconds = 0.0
    was_suspended = False


class Clock:
    """Measures stretches of time on a device, from all work done to all work done.

    On CUDA between two events of the device's, elsewhere with ``time.perf_counter``.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # A GPU's start-up is the process's, and in no stretch.
        self._synchronize()

    @contextmanager
    def measure(self) -> Iterator[Stretch]:
        """Measure what is done inside, also where it raises."""
        stretch = Stretch()
        start = self._mark()
        try:
            yield stretch
        except BaseException:
            # A device that has failed may fail again when it is asked; the first error counts.
            with suppress(RuntimeError):
                stretch.seconds = self._seconds_since(start)
            raise
        stretch.seconds = self._seconds_since(start)

    def _mark(self) -> Any:
        self._synchronize()
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _seconds_since(self, start: Any) -> float:
        end = self._mark()
        if self._device.type != "cuda":
            return float(end - start)
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()


class TimeAccount:
    """Where a trial's time went: seconds by part, and in all since this object was made.

    A training that goes on from a checkpoint adds what went before. Whether the process was
    suspended meanwhile is known only where a ``running_clock`` is given. ``part`` is the one that
    was charged last.
    """

    def __init__(self, device: torch.device, running_clock: RunningClock | None = None) -> None:
        self._clock = Clock(device)
        self._running_clock = running_clock
        self._started = time.perf_counter()
        self._total_before = 0.0
        self._parts: dict[str, float] = {}
        self.part = "setup"

    @contextmanager
    def charge(self, part: str) -> Iterator[Stretch]:
        """Charge what is done inside to ``part``, also where it raises."""
        self.part = part
        stretch = Stretch()
        suspended_before = self._suspended_seconds()
        try:
            with self._clock.measure() as stretch:
                yield stretch
        finally:
            stretch.was_suspended = self._suspended_seconds() > suspended_before
            self._parts[part] = self._parts.get(part, 0.0) + stretch.seconds

    def seconds(self, part: str) -> float:
        """What was charged to ``part``."""
        return self._parts.get(part, 0.0)

    def total_seconds(self) -> float:
        """Seconds in all, charged or not."""
        return self._total_before + time.perf_counter() - self._started

    def _suspended_seconds(self) -> float:
        if self._running_clock is None:
            return 0.0
        # Its own thread may not have looked yet.
        self._running_clock.look()
        return self._running_clock.suspended_seconds

    def balance(self) -> dict[str, float]:
        """The account, as plain data: every part, and ``total``."""
        return {**self._parts, "total": self.total_seconds()}

    def add(self, earlier: Mapping[str, float]) -> None:
        """Add an earlier account's balance."""
        for part, seconds in earlier.items():
            if part == "total":
                self._total_before += seconds
            else:
                self._parts[part] = self._parts.get(part, 0.0) + seconds
