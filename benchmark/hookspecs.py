"""The hooks that a plugin can implement; ``docs/hooks/`` has a page for each.

A plugin is a module. It implements a hook with a function of the hook's name, marked with
``@benchmark.hookimpl``, that returns (or yields) entries. Order never decides anything: users
select entries by name, and a name that two plugins offer is an error that names both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from benchmark.entries import (
        Column,
        DatasetEntry,
        ExecutorEntry,
        MetricEntry,
        ModelEntry,
        RecipeEntry,
        TrackerEntry,
    )

PROJECT = "benchmark"
ENTRY_POINT_GROUP = "benchmark.plugins"
# What the package is called on the package index, where "benchmark" is another project's.
DISTRIBUTION = "benchmark-models"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def benchmark_models() -> Iterable[ModelEntry]:
    """Offer model architectures."""
    raise NotImplementedError


@hookspec
def benchmark_datasets() -> Iterable[DatasetEntry]:
    """Offer data sets."""
    raise NotImplementedError


@hookspec
def benchmark_recipes() -> Iterable[RecipeEntry]:
    """Offer ways to train."""
    raise NotImplementedError


@hookspec
def benchmark_metrics() -> Iterable[MetricEntry]:
    """Offer figures worked out from logits and labels."""
    raise NotImplementedError


@hookspec
def benchmark_trackers() -> Iterable[TrackerEntry]:
    """Offer observers of runs and trials."""
    raise NotImplementedError


@hookspec
def benchmark_columns() -> Iterable[Column]:
    """Offer columns of the table."""
    raise NotImplementedError


@hookspec
def benchmark_executors() -> Iterable[ExecutorEntry]:
    """Offer places to carry trials out."""
    raise NotImplementedError
