"""The driver's connection to the cluster: how it is made, and how its loss is noticed."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from benchmark import BenchmarkError, RunningClock
from benchmark.errors import one_line

from .options import RayOptions
from .request import Request

ADDRESS_VARIABLE = "RAY_ADDRESS"
# Ray's word for a cluster of its own, on this machine.
OF_ITS_OWN = "local"
CONNECTION_SECONDS = 10.0
LOOK_EVERY_SECONDS = 5.0
# Nodes may come back, or be started by a cluster that grows.
PATIENCE_SECONDS = 600.0


def connect(options: RayOptions) -> None:
    """Connect to the cluster, or start one here; raises BenchmarkError."""
    address = _address(options)
    if address.startswith("ray://"):
        raise BenchmarkError(
            f"executor.address: {address} is for Ray's client, which cannot send what a trial "
            "reports; give the cluster's own address (HOST:PORT, or auto), on one of its machines"
        )
    if ":" in address:
        _refuse_silent(address)
    # For a Ray that is started here; a running cluster has its own setting.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address,
            include_dashboard=options.dashboard if address == OF_ITS_OWN else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise BenchmarkError(_refusal(address, error)) from error


def _refusal(address: str, error: Exception) -> str:
    # Ray's first sentence says what is wrong, and the others are of Ray's own commands.
    why = one_line(error).partition(". ")[0].rstrip(".")
    if address == OF_ITS_OWN:
        return f"Ray cannot be started here: {why}"
    return (
        f"cannot connect to a cluster at {address}: {why}; give HOST:PORT of its head, "
        "as 'ray start' prints it, or auto on one of its machines; the cluster needs this "
        "machine's version of Ray, and its token"
    )


def _address(options: RayOptions) -> str:
    """Where the cluster is. Ray reads the variable itself, but later."""
    wanted = options.address
    if wanted in (None, "auto"):
        wanted = os.environ.get(ADDRESS_VARIABLE) or wanted
    return wanted or OF_ITS_OWN


def _refuse_silent(address: str) -> None:
    """Raise BenchmarkError where nothing answers: Ray itself would retry for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECTION_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise BenchmarkError(
            f"executor.address: nothing answers at {address} ({one_line(error)}); give HOST:PORT "
            "of the cluster's head, as 'ray start' prints it, or auto on one of its machines"
        ) from error


class ClusterWatch:
    """Notices that a cluster has no room for a trial any more: Ray itself would wait forever."""

    def __init__(self, request: Request, clock: RunningClock) -> None:
        self._request = request
        self._clock = clock
        self._looked = self._had_room = clock.seconds

    def look(self, *, is_silent: bool) -> None:
        """Raise BenchmarkError if no node has had room for a long time."""
        now = self._clock.seconds
        if not is_silent:
            self._had_room = now
        if not is_silent or now - self._looked < LOOK_EVERY_SECONDS:
            return
        self._looked = now
        if self._request.trials_at_a_time(ray.nodes()):
            self._had_room = now
        elif now - self._had_room > PATIENCE_SECONDS:
            raise BenchmarkError(_lost("no node has room for a trial any more"))


@contextmanager
def ray_errors_translated() -> Iterator[None]:
    """Turn Ray's own errors into a BenchmarkError."""
    try:
        yield
    except RayError as error:
        raise BenchmarkError(_lost(one_line(error))) from error


def _lost(why: str) -> str:
    return f"the cluster is lost ({why}); the same command resumes the run"
