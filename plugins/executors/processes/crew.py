"""The workers that are at work at a time, listened to all at once."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

from benchmark import TrialEvent, TrialRecord, TrialSpec
from benchmark.running_clock import RunningClock

from .guardian import Guardian
from .limits import LimitOptions
from .worker_process import WorkerProcess

# How much a limit may be overstepped, and how late an end be noticed.
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Place:
    """Room for one trial at a time: a device, or a share of one."""

    device: str
    shared: bool


class Crew:
    """The workers that are there at a time. Leaving it kills those that still are."""

    def __init__(
        self, limits: LimitOptions, guardian: Guardian, report: Callable[[TrialEvent], None]
    ) -> None:
        self.workers: dict[WorkerProcess, Place] = {}
        self._limits = limits
        self._guardian = guardian
        self._report = report
        # If this process is suspended, so are most likely its workers, and they are not late.
        self._clock = RunningClock()
        self._selector = selectors.DefaultSelector()

    def start(self, spec: TrialSpec, place: Place) -> None:
        """Start a worker for a trial."""
        spec = spec.on(place.device, shared=place.shared)
        worker = WorkerProcess(spec, self._limits, self._guardian, self._clock, self._report)
        self.workers[worker] = place
        for pipe in worker.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, partial(worker.read, pipe))

    def ended(self) -> list[tuple[Place, TrialRecord]]:
        """Listen for a while; the places and records of the workers that have ended by then."""
        for key, _ in self._selector.select(POLL_SECONDS):
            if not key.data():
                self._selector.unregister(key.fileobj)
        for worker in self.workers:
            worker.enforce_limits()
        gone = [worker for worker in self.workers if worker.has_ended(POLL_SECONDS)]
        return [(self.workers[worker], self._close(worker)) for worker in gone]

    def interrupt(self) -> None:
        """Have all workers end, as by Ctrl-C."""
        for worker in self.workers:
            worker.interrupt()

    def _close(self, worker: WorkerProcess) -> TrialRecord:
        for pipe in worker.pipes:
            self._selector.unregister(pipe)
        try:
            return worker.close()
        finally:
            # Not before its end: until then somebody has to guard it.
            self._guardian.dismiss(worker.group)
            del self.workers[worker]

    def __enter__(self) -> Self:
        self._clock.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        with ExitStack() as closing:
            closing.callback(self._selector.close)
            closing.push(self._clock)
            for worker in self.workers:
                worker.kill()
                closing.callback(self._close, worker)
