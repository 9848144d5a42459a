"""Trials on a cluster, through Ray, where one machine is too few. Needs the extra ``ray``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from benchmark import BenchmarkError, Executor, ExecutorEntry, hookimpl

from .cluster.options import RayOptions


def create(options: RayOptions) -> Executor:
    """Make the executor; raises BenchmarkError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise BenchmarkError("the executor 'ray' needs Ray: pip install 'ray>=2.60'")
    # Imported here: importing Ray takes long, and most runs do not use it.
    from .cluster.driver import RayExecutor

    return RayExecutor(options)


@hookimpl
def benchmark_executors() -> Iterator[ExecutorEntry]:
    """Offer the executor."""
    yield ExecutorEntry("ray", create, "on a cluster, through Ray", RayOptions, remote=True)
