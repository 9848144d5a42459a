"""The six hooks a plugin can implement.

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
        Callback,
        Column,
        DatasetEntry,
        ExecutorEntry,
        ModelEntry,
        RecipeEntry,
    )
    from benchmark.records import TrialSpec

PROJECT = "benchmark"
ENTRY_POINT_GROUP = "benchmark.plugins"
# What the package is called on the package index, where "benchmark" is another project's.
DISTRIBUTION = "benchmark-models"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def benchmark_models() -> Iterable[ModelEntry]:
    """Offer model architectures.

    .. code-block:: python

        @hookimpl
        def benchmark_models():
            yield ModelEntry("linear", build_linear, "one dense layer")
    """
    raise NotImplementedError


@hookspec
def benchmark_datasets() -> Iterable[DatasetEntry]:
    """Offer data sets.

    .. code-block:: python

        @hookimpl
        def benchmark_datasets():
            yield DatasetEntry("digits", load_digits, "handwritten digits, 28 x 28, grey")
    """
    raise NotImplementedError


@hookspec
def benchmark_recipes() -> Iterable[RecipeEntry]:
    """Offer ways to train.

    .. code-block:: python

        @hookimpl
        def benchmark_recipes():
            yield RecipeEntry("sgd", configure_sgd, "plain SGD", options=SgdOptions)
    """
    raise NotImplementedError


@hookspec
def benchmark_callbacks(trial: TrialSpec) -> Iterable[Callback]:
    """Offer callbacks of one trial, fresh objects each time, made where the trial is trained.

    .. code-block:: python

        @hookimpl
        def benchmark_callbacks(trial):
            yield LossPrinter(trial.model, trial.seed)
    """
    raise NotImplementedError


@hookspec
def benchmark_columns() -> Iterable[Column]:
    """Offer columns of the table.

    .. code-block:: python

        @hookimpl
        def benchmark_columns():
            yield Column("total_seconds", "total s", median_total_seconds, better="lower")
    """
    raise NotImplementedError


@hookspec
def benchmark_executors() -> Iterable[ExecutorEntry]:
    """Offer places to carry trials out.

    .. code-block:: python

        @hookimpl
        def benchmark_executors():
            yield ExecutorEntry("queue", create_queue, "sends trials to a job queue")
    """
    raise NotImplementedError
