"""The workers that run at the same time, and the slots that they run in."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from benchmark import BenchmarkError, RunningClock, TrialEvent, TrialRecord, TrialSpec

from .guardian import Guardian
from .limits import LimitOptions
from .started_process import StartedProcess
from .worker_process import WorkerProcess

# How far a trial may exceed a limit, and how late its end may be noticed.
POLL_SECONDS = 0.5
# Microseconds of processors that a container may use in so many, as Linux shows it inside of it.
_CONTAINER_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Slot:
    """Room for one trial at a time: a device, or a share of one."""

    device: str
    shared: bool


class WorkerPool:
    """Workers, one for each trial, and at times the process of the next one.

    A trial of which a step's capture failed half way goes on in a fresh process. Leaving the pool
    kills all that still run.
    """

    def __init__(
        self, limits: LimitOptions, guardian: Guardian, report: Callable[[TrialEvent], None]
    ) -> None:
        self.workers: dict[WorkerProcess, Slot] = {}
        self._limits = limits
        self._guardian = guardian
        self._report = report
        self._spare: StartedProcess | None = None
        # Why, by the identity of the variant.
        self._failed_captures: dict[str, str] = {}
        # If this process is suspended, so are most likely its workers, and they are not late.
        self._clock = RunningClock()
        self._selector = selectors.DefaultSelector()

    def start(self, spec: TrialSpec, slot: Slot) -> None:
        """Start a worker for a trial.

        Where a capture has failed half way, none is tried for the same model's other seeds. Raises
        BenchmarkError where no process can be started.
        """
        reason = self._failed_captures.get(spec.variant.identity)
        if reason is not None:
            spec = spec.without_graph(reason)
        self._start(spec.on(slot.device, shared=slot.shared), slot)

    def start_ahead(self) -> None:
        """Have the next worker's process import what it needs, where that disturbs no trial."""
        if self._spare is None and self._has_room_for_spare():
            # One that cannot be started is missed when it is needed, and not before.
            with suppress(OSError):
                self._spare = StartedProcess(self._limits.memory_bytes, self._guardian)

    def ended(self) -> list[tuple[Slot, TrialRecord]]:
        """Listen for a while; returns the slots and records of the workers that have ended."""
        for key, _ in self._selector.select(POLL_SECONDS):
            if not key.data():
                self._selector.unregister(key.fileobj)
        for worker in self.workers:
            worker.enforce_limits()
        gone = [worker for worker in self.workers if worker.has_ended(POLL_SECONDS)]
        ended = []
        for worker in gone:
            slot, record = self.workers[worker], self._close(worker)
            if worker.again is None:
                ended.append((slot, record))
            else:
                self._start(worker.again, slot, worker.begun)
        return ended

    def interrupt(self) -> None:
        """Have all workers end, as by Ctrl-C."""
        for worker in self.workers:
            worker.interrupt()

    def _start(self, spec: TrialSpec, slot: Slot, begun: float | None = None) -> None:
        if spec.no_graph_because is not None:
            self._failed_captures[spec.variant.identity] = spec.no_graph_because
        process = self._take_spare() or self._new_process(spec)
        worker = WorkerProcess(spec, process, self._limits, self._clock, self._report, begun)
        self.workers[worker] = slot
        for pipe in worker.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, partial(worker.read, pipe))

    def _new_process(self, spec: TrialSpec) -> StartedProcess:
        try:
            return StartedProcess(self._limits.memory_bytes, self._guardian)
        except OSError as error:
            raise BenchmarkError(
                f"no process can be started for {spec.model}, seed {spec.seed}: {error.strerror}; "
                "the same command resumes the run"
            ) from error

    def _has_room_for_spare(self) -> bool:
        """Whether all trials are under way on devices of their own, with a processor to spare."""
        are_apart = all(leaves_processors(slot.device) for slot in self.workers.values())
        are_set_up = all(worker.is_set_up for worker in self.workers)
        return are_apart and are_set_up and _processors() >= len(self.workers) + 1

    def _take_spare(self) -> StartedProcess | None:
        """The process that has been started ahead, unless it has died since."""
        spare, self._spare = self._spare, None
        if spare is None or not spare.has_ended():
            return spare
        _discard(spare)
        return None

    def _close(self, worker: WorkerProcess) -> TrialRecord:
        for pipe in worker.pipes:
            self._selector.unregister(pipe)
        try:
            return worker.close()
        finally:
            del self.workers[worker]

    def __enter__(self) -> Self:
        self._clock.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        with ExitStack() as closing:
            closing.callback(self._selector.close)
            closing.push(self._clock)
            if self._spare is not None:
                closing.callback(_discard, self._spare)
            for worker in self.workers:
                worker.kill()
                closing.callback(self._close, worker)


def leaves_processors(device: str) -> bool:
    """Whether a trial on a device leaves the machine's processors to others: on a CPU it does not.

    Imports beside it would show in its epoch times.
    """
    return device != "cpu"


def _processors() -> float:
    """How many processors this process may use; a container's may be so many and a half."""
    available = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    try:
        quota, period = map(float, _CONTAINER_QUOTA.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        # There is no limit, or no way to know it.
        return available
    return min(available, quota / period)


def _discard(spare: StartedProcess) -> None:
    spare.end()
    spare.close()
