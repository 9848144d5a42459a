"""The workers that run at the same time, and the slots that they run in."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

from benchmark import RunningClock, TrialEvent, TrialRecord, TrialSpec

from .guardian import Guardian
from .limits import LimitOptions
from .worker_process import WorkerProcess

# How far a trial may exceed a limit, and how late its end may be noticed.
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Slot:
    """Room for one trial at a time: a device, or a share of one."""

    device: str
    shared: bool


class WorkerPool:
    """Workers, one for each trial. Leaving the pool kills those that still run."""

    def __init__(
        self, limits: LimitOptions, guardian: Guardian, report: Callable[[TrialEvent], None]
    ) -> None:
        self.workers: dict[WorkerProcess, Slot] = {}
        self._limits = limits
        self._guardian = guardian
        self._report = report
        # If this process is suspended, so are most likely its workers, and they are not late.
        self._clock = RunningClock()
        self._selector = selectors.DefaultSelector()

    def start(self, spec: TrialSpec, slot: Slot) -> None:
        """Start a worker for a trial."""
        spec = spec.on(slot.device, shared=slot.shared)
        worker = WorkerProcess(spec, self._limits, self._guardian, self._clock, self._report)
        self.workers[worker] = slot
        for pipe in worker.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, partial(worker.read, pipe))

    def ended(self) -> list[tuple[Slot, TrialRecord]]:
        """Listen for a while; returns the slots and records of the workers that have ended."""
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
            # Not before the worker has ended: until then it has to be guarded.
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
