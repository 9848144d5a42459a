"""A process of its own for every trial, on this machine: the default executor."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

import torch
from pydantic import Field

from benchmark import BenchmarkError, ExecutorEntry, TrialEvent, TrialRecord, TrialSpec, hookimpl

from .processes.guardian import RUN_DIED, Guardian
from .processes.limits import LimitOptions
from .processes.worker_pool import Slot, WorkerPool


class LocalOptions(LimitOptions):
    """Options of the executor ``local``, beside the limits of a trial."""

    jobs: int | None = Field(default=None, ge=1)
    """How many trials run at a time; null is one on each device."""

    devices: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The devices that trials run on; null is all of the run's kind."""

    share_device: bool = False
    """Whether two trials may be on one device; their epoch times are no timings then."""


class LocalExecutor:
    """Carries each trial out in a new process; whatever a plugin does there stays there."""

    def __init__(self, options: LocalOptions) -> None:
        self._options = options

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; on Ctrl-C, those of the running trials.

        Raises BenchmarkError for devices that this machine does not have, or too few of them.
        """
        if not specs:
            return iter(())
        return self._carry_out(specs, _slots(self._options, specs[0].device), report)

    def _carry_out(
        self,
        specs: Sequence[TrialSpec],
        slots: Sequence[Slot],
        report: Callable[[TrialEvent], None],
    ) -> Iterator[TrialRecord]:
        waiting, free = deque(specs), deque(slots)
        with Guardian(RUN_DIED) as guardian, WorkerPool(self._options, guardian, report) as pool:
            try:
                while waiting or pool.workers:
                    while waiting and free:
                        pool.start(waiting.popleft(), free.popleft())
                    if waiting:
                        pool.start_ahead()
                    for slot, record in pool.ended():
                        free.append(slot)
                        yield record
            except KeyboardInterrupt:
                pool.interrupt()
                while pool.workers:
                    yield from (record for _, record in pool.ended())
                raise


def _slots(options: LocalOptions, device: str) -> list[Slot]:
    devices = _devices(options.devices, device)
    jobs = options.jobs or len(devices)
    if jobs > len(devices) and not options.share_device:
        raise BenchmarkError(
            f"{jobs} trials at a time on {', '.join(devices)} would share a device: give fewer "
            "jobs, more devices, or --share-device (their epoch times are no timings then)"
        )
    taken = [devices[job % len(devices)] for job in range(jobs)]
    trials_on = Counter(taken)
    return [Slot(name, shared=trials_on[name] > 1) for name in taken]


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
                f"{name!r} is not among the devices that this run can be carried out on: "
                f"{', '.join(available)}"
            )
    if len(set(wanted)) < len(wanted):
        raise BenchmarkError(f"a device is named twice: {', '.join(wanted)}")
    return [*wanted]


@hookimpl
def benchmark_executors() -> Iterator[ExecutorEntry]:
    """Offer the executor."""
    yield ExecutorEntry(
        "local", LocalExecutor, "a process of its own for each", options=LocalOptions
    )
