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

from benchmark import RunningClock, TrialEvent, TrialRecord, TrialSpec

from ..processes.guardian import RUN_DIED, Guardian
from .connection import ClusterWatch, connect, ray_errors_translated
from .options import RayOptions
from .remote_trial import RemoteTrial
from .request import Request

POLL_SECONDS = 0.5
# More than there is room for, so that a node that becomes free has its next trial at once, and a
# cluster that can grow knows that it should.
SUBMITTED_AHEAD = 4


class RayExecutor:
    """Carries each trial out as a task of Ray's, on whichever node has room for it."""

    def __init__(self, options: RayOptions) -> None:
        self._options = options

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; on Ctrl-C, those of the running trials.

        Raises BenchmarkError where there is no cluster, and where a trial asks for more than any
        of its nodes has.
        """
        if not specs:
            return iter(())
        request = Request.of(self._options, specs[0].device)
        connect(self._options)
        request.refuse_if_impossible(ray.nodes())
        plugins = {path: Path(path).read_bytes() for path in specs[0].plugins if _is_file(path)}
        trials = deque(RemoteTrial(spec, self._options, plugins, report) for spec in specs)
        return _beside_ray(trials, request)


def _beside_ray(trials: deque[RemoteTrial], request: Request) -> Iterator[TrialRecord]:
    """Carry the trials out, while Ray may print something, or end this process."""
    # Standard output is the table's. If the cluster is lost, Ray ends the process silently.
    with redirect_stdout(sys.stderr), Guardian(RUN_DIED), RunningClock() as clock:
        yield from _carry_out(trials, request, ClusterWatch(request, clock))


def _carry_out(
    waiting: deque[RemoteTrial], request: Request, watch: ClusterWatch
) -> Iterator[TrialRecord]:
    submitted: dict[ObjectRefGenerator, RemoteTrial] = {}
    try:
        while waiting or submitted:
            with ray_errors_translated():
                ready = _submit_and_wait(waiting, submitted, request)
                watch.look(is_silent=not ready)
            for updates in ready:
                record = _receive_from(updates, submitted, waiting)
                if record is not None:
                    yield record
    except KeyboardInterrupt:
        for updates in submitted:
            ray.cancel(updates)
        records = [trial.interrupted() for trial in submitted.values()]
        yield from filter(None, records)
        raise
    finally:
        ray.shutdown()


def _submit_and_wait(
    waiting: deque[RemoteTrial], submitted: dict[ObjectRefGenerator, RemoteTrial], request: Request
) -> list[ObjectRefGenerator]:
    """Submit what there is room for; returns those that have an update, after a while."""
    if waiting:
        room = request.trials_at_a_time(ray.nodes()) + SUBMITTED_AHEAD
        while waiting and len(submitted) < room:
            trial = waiting.popleft()
            submitted[trial.submit(request)] = trial
    if ray.wait([*submitted], timeout=POLL_SECONDS)[0]:
        # All that are ready: otherwise the first in the list would crowd out the others.
        ready, _ = ray.wait([*submitted], num_returns=len(submitted), timeout=0)
        return [*ready]
    return []


def _receive_from(
    updates: ObjectRefGenerator,
    submitted: dict[ObjectRefGenerator, RemoteTrial],
    waiting: deque[RemoteTrial],
) -> TrialRecord | None:
    """Take a trial's next update; one whose task was lost waits again. Returns its record."""
    trial = submitted[updates]
    try:
        record = trial.receive(ray.get(next(updates)))
    except (RayError, StopIteration) as error:
        # A task that is lost to the driver may still be running.
        ray.cancel(updates)
        del submitted[updates]
        record = trial.lose(error)
        if record is None:
            waiting.appendleft(trial)
        return record
    if record is not None:
        del submitted[updates]
    return record


def _is_file(plugin: str) -> bool:
    return plugin.endswith(".py")
