"""Time, read when the device has finished what it was given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class Stretch:
    """A stretch of time; ``seconds`` is known when it has ended."""

    seconds = 0.0


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
        finally:
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

    A training that goes on from a checkpoint adds what went before.
    """

    def __init__(self, device: torch.device) -> None:
        self._clock = Clock(device)
        self._started = time.perf_counter()
        self._total_before = 0.0
        self._parts: dict[str, float] = {}

    @contextmanager
    def charge(self, part: str) -> Iterator[Stretch]:
        """Charge what is done inside to ``part``, also where it raises."""
        stretch = Stretch()
        try:
            with self._clock.measure() as stretch:
                yield stretch
        finally:
            self._parts[part] = self._parts.get(part, 0.0) + stretch.seconds

    def seconds(self, part: str) -> float:
        """What was charged to ``part``."""
        return self._parts.get(part, 0.0)

    def total_seconds(self) -> float:
        """Seconds in all, charged or not."""
        return self._total_before + time.perf_counter() - self._started

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
