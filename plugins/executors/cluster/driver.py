"""The driver's side of a run on a cluster: all its trials, and the connection."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import ray
from ray import ObjectRefGenerator
from ray.exceptions import RayError

from benchmark import TrialEvent, TrialRecord, TrialSpec
from benchmark.running_clock import RunningClock

from ..processes.guardian import LAST_WORDS, Guardian
from .connection import ClusterWatch, connect, told_if_lost
from .options import RayOptions
from .request import Request
from .task import Task

POLL_SECONDS = 0.5
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
        connect(self._options)
        request = Request.of(self._options, specs[0].device)
        request.refuse_if_impossible(ray.nodes())
        plugins = {path: Path(path).read_bytes() for path in specs[0].plugins if _is_file(path)}
        tasks = deque(Task(spec, self._options, plugins, report) for spec in specs)
        return _beside_ray(tasks, request)


def _beside_ray(tasks: deque[Task], request: Request) -> Iterator[TrialRecord]:
    """Carry the tasks out, while Ray may print something, or end this process."""
    # Standard output is the table's. If the cluster is lost, Ray ends the process without a word.
    with redirect_stdout(sys.stderr), Guardian(LAST_WORDS), RunningClock() as clock:
        yield from _carry_out(tasks, request, ClusterWatch(request, clock))


def _carry_out(
    waiting: deque[Task], request: Request, watch: ClusterWatch
) -> Iterator[TrialRecord]:
    ordered: dict[ObjectRefGenerator, Task] = {}
    try:
        while waiting or ordered:
            with told_if_lost():
                ready = _order_and_wait(waiting, ordered, request)
                watch.look(is_silent=not ready)
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


def _order_and_wait(
    waiting: deque[Task], ordered: dict[ObjectRefGenerator, Task], request: Request
) -> list[ObjectRefGenerator]:
    """Order what there is room for; returns those that have sent something, after a while."""
    if waiting:
        room = request.trials_at_a_time(ray.nodes()) + ORDERED_AHEAD
        while waiting and len(ordered) < room:
            task = waiting.popleft()
            ordered[task.order(request)] = task
    if ray.wait([*ordered], timeout=POLL_SECONDS)[0]:
        # All of them: the first in the list would be heard, and the others not, if they hurry.
        ready, _ = ray.wait([*ordered], num_returns=len(ordered), timeout=0)
        return [*ready]
    return []


def _take_from(
    parcels: ObjectRefGenerator, ordered: dict[ObjectRefGenerator, Task], waiting: deque[Task]
) -> TrialRecord | None:
    """Take the next that a task has sent; a task that was lost waits again. Returns its record."""
    task = ordered[parcels]
    try:
        record = task.take(ray.get(next(parcels)))
    except (RayError, StopIteration) as error:
        # What is lost to us may still be at work.
        ray.cancel(parcels)
        del ordered[parcels]
        record = task.lose(error)
        if record is None:
            waiting.appendleft(task)
        return record
    if record is not None:
        del ordered[parcels]
    return record


def _is_file(plugin: str) -> bool:
    return plugin.endswith(".py")
