"""The driver's side of a run on a cluster: all its trials, and the connection."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import ObjectRefGenerator
from ray.exceptions import RayError

from benchmark.errors import BenchmarkError, one_line
from benchmark.records import TrialEvent, TrialRecord, TrialSpec

from .options import RayOptions
from .request import Request
from .task import Task

POLL_SECONDS = 0.5
CONNECTION_SECONDS = 10.0
# More than there is room for, so that a node that has room finds something to do at once, and a
# cluster that can grow knows that it should.
ORDERED_AHEAD = 4


class RayExecutor:
    """Carries each trial out as a task of Ray's, on whichever node has room for it."""

    def __init__(self, options: RayOptions) -> None:
        self._options = options

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; on Ctrl-C, those of the trials then at work.

        Raises BenchmarkError where there is no cluster, and where a trial asks for more than any
        of its nodes has.
        """
        if not specs:
            return iter(())
        _connect(self._options)
        request = Request.of(self._options, specs[0].device)
        request.refuse_if_impossible(ray.nodes())
        plugins = {path: Path(path).read_bytes() for path in specs[0].plugins if _is_file(path)}
        tasks = deque(Task(spec, self._options, plugins, report) for spec in specs)
        return _carry_out(tasks, request)


def _carry_out(waiting: deque[Task], request: Request) -> Iterator[TrialRecord]:
    ordered: dict[ObjectRefGenerator, Task] = {}
    try:
        while waiting or ordered:
            with _told_if_lost():
                if waiting:
                    _order_more(waiting, ordered, request)
                ready, _ = ray.wait([*ordered], timeout=POLL_SECONDS)
            for parcels in ready:
                record = _take_from(parcels, ordered, waiting)
                if record is not None:
                    yield record
    except KeyboardInterrupt:
        for parcels in ordered:
            ray.cancel(parcels)
        records = [task.interrupted() for task in ordered.values()]
        yield from filter(None, records)
        raise
    finally:
        ray.shutdown()


def _order_more(
    waiting: deque[Task], ordered: dict[ObjectRefGenerator, Task], request: Request
) -> None:
    """Order as many tasks as there is room for, and a few more."""
    room = request.trials_at_a_time(ray.nodes()) + ORDERED_AHEAD
    while waiting and len(ordered) < room:
        task = waiting.popleft()
        ordered[task.order(request)] = task


def _take_from(
    parcels: ObjectRefGenerator, ordered: dict[ObjectRefGenerator, Task], waiting: deque[Task]
) -> TrialRecord | None:
    """Take the next that a task has sent; a task that was lost waits again. Returns its record."""
    task = ordered[parcels]
    try:
        record = task.take(ray.get(next(parcels)))
    except (RayError, StopIteration) as error:
        record = task.lose(error)
        if record is None:
            waiting.appendleft(task)
        del ordered[parcels]
        return record
    if record is not None:
        del ordered[parcels]
    return record


def _connect(options: RayOptions) -> None:
    """Connect to the cluster, or start one here; raises BenchmarkError."""
    address = options.address
    if address and address.startswith("ray://"):
        raise BenchmarkError(
            f"executor.address: {address} is for Ray's client, which cannot send what a trial "
            "reports; give the cluster's own address (HOST:PORT, or auto), on one of its machines"
        )
    if address and ":" in address:
        _refuse_silent(address)
    # Of a Ray that is started here; a cluster's own was settled when that was started.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address,
            include_dashboard=options.dashboard,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        where = f"at {address}" if address else "here"
        raise BenchmarkError(
            f"no cluster can be had {where}: {one_line(error)}; a cluster that there is has to "
            "have this machine's version of Ray, and its token"
        ) from error


def _refuse_silent(address: str) -> None:
    """Raise BenchmarkError where nobody answers: Ray itself would go on asking for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECTION_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise BenchmarkError(
            f"executor.address: nothing answers at {address} ({one_line(error)}); give HOST:PORT "
            "of the cluster's head, as 'ray start' prints it, or auto on one of its machines"
        ) from error


@contextmanager
def _told_if_lost() -> Iterator[None]:
    try:
        yield
    except RayError as error:
        raise BenchmarkError(
            f"the cluster does not answer any more: {one_line(error)}; "
            "the same command again goes on"
        ) from error


def _is_file(plugin: str) -> bool:
    return plugin.endswith(".py")
