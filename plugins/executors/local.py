"""A process of its own for every trial, on this machine: the default executor."""

from __future__ import annotations

import selectors
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from pydantic import Field

from benchmark import BenchmarkError, ExecutorEntry, Options, hookimpl
from benchmark.records import TrialEvent, TrialRecord, TrialSpec

from .processes.guardian import Guardian
from .processes.worker_process import Limits, WorkerProcess

# How much a limit may be overstepped, and how late an end be noticed.
POLL_SECONDS = 0.5


class LocalOptions(Options):
    """Options of the executor ``local``.

    A trial is ended after ``timeout_seconds``, and if its process gives no sign of life for
    ``silence_seconds``. Its process may allocate ``memory_gib`` GiB (enforced on Linux).
    ``devices`` are to be trained on, all GPUs of the run's kind if none are given, one trial at a
    time on each; or ``jobs`` trials at a time, of which only with ``share_device`` two can be on
    one device.
    """

    jobs: int | None = Field(default=None, ge=1)
    devices: tuple[str, ...] | None = Field(default=None, min_length=1)
    share_device: bool = False
    timeout_seconds: float | None = Field(default=None, gt=0)
    silence_seconds: float = Field(default=300.0, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class Place:
    """Room for one trial at a time: a device, or a share of one."""

    device: str
    shared: bool


class LocalExecutor:
    """Carries each trial out in a new process; whatever a plugin does there stays there."""

    def __init__(self, options: LocalOptions) -> None:
        self._options = options
        memory_gib = options.memory_gib
        self._limits = Limits(
            timeout_seconds=options.timeout_seconds,
            silence_seconds=options.silence_seconds,
            memory_bytes=None if memory_gib is None else int(memory_gib * 2**30),
        )

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; on Ctrl-C, those of the trials then at work.

        Raises BenchmarkError for devices that this machine does not have, or too few of them.
        """
        if not specs:
            return iter(())
        return self._carry_out(specs, _places(self._options, specs[0].device), report)

    def _carry_out(
        self,
        specs: Sequence[TrialSpec],
        places: Sequence[Place],
        report: Callable[[TrialEvent], None],
    ) -> Iterator[TrialRecord]:
        waiting, free = deque(specs), deque(places)
        with Guardian() as guardian, Crew(self._limits, guardian, report) as crew:
            try:
                while waiting or crew.workers:
                    while waiting and free:
                        crew.start(waiting.popleft(), free.popleft())
                    for place, record in crew.ended():
                        free.append(place)
                        yield record
            except KeyboardInterrupt:
                crew.interrupt()
                while crew.workers:
                    yield from (record for _, record in crew.ended())
                raise


class Crew:
    """The workers that are there at a time. Leaving it kills those that still are."""

    def __init__(
        self, limits: Limits, guardian: Guardian, report: Callable[[TrialEvent], None]
    ) -> None:
        self.workers: dict[WorkerProcess, Place] = {}
        self._limits = limits
        self._guardian = guardian
        self._report = report
        self._selector = selectors.DefaultSelector()

    def start(self, spec: TrialSpec, place: Place) -> None:
        """Start a worker for a trial."""
        spec = spec.on(place.device, shared=place.shared)
        worker = WorkerProcess(spec, self._limits, self._guardian, self._report)
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
        return self

    def __exit__(self, *raised: object) -> None:
        with ExitStack() as closing:
            closing.callback(self._selector.close)
            for worker in self.workers:
                worker.kill()
                closing.callback(self._close, worker)


def _places(options: LocalOptions, device: str) -> list[Place]:
    devices = _devices(options.devices, device)
    jobs = options.jobs or len(devices)
    if jobs > len(devices) and not options.share_device:
        raise BenchmarkError(
            f"{jobs} trials at a time on {', '.join(devices)} would share a device: give fewer "
            "jobs, more devices, or --share-device (their epoch times are no timings then)"
        )
    taken = [devices[job % len(devices)] for job in range(jobs)]
    trials_on = Counter(taken)
    return [Place(name, shared=trials_on[name] > 1) for name in taken]


def _devices(wanted: Sequence[str] | None, device: str) -> list[str]:
    """The devices to train on, of the kind that the run is for."""
    kind = device.partition(":")[0]
    available = [device]
    if kind == "cuda":
        available = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if wanted is None:
        return available if device == "cuda" else [device]
    for name in wanted:
        if name not in available:
            raise BenchmarkError(
                f"executor.devices: {name!r} is not among the devices that this run can be "
                f"carried out on: {', '.join(available)}"
            )
    if len(set(wanted)) < len(wanted):
        raise BenchmarkError("executor.devices: a device is named twice")
    return [*wanted]


@hookimpl
def benchmark_executors() -> Iterator[ExecutorEntry]:
    """Offer the executor."""
    yield ExecutorEntry(
        "local", LocalExecutor, "a process of its own for each", options=LocalOptions
    )
