"""The callbacks of a trial, none of which can end it."""

from __future__ import annotations

from typing import Any

from benchmark.catalog import Catalog
from benchmark.entries import Callback
from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.records import TrialSpec


class Callbacks:
    """A trial's callbacks. One that raises is dropped with a warning; the trial goes on."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._callbacks: list[Callback] = []

    def create(self, catalog: Catalog, spec: TrialSpec) -> None:
        """Make those that the plugins offer."""
        self._callbacks = catalog.callbacks(spec, self._warnings.append)

    def call(self, event: str, argument: Any) -> None:
        """Call that method of each with the argument."""
        for callback in [*self._callbacks]:
            try:
                getattr(callback, event)(argument)
            except PLUGIN_FAULTS as error:
                self._callbacks = [kept for kept in self._callbacks if kept is not callback]
                name = type(callback).__qualname__
                self._warnings.append(f"callback {name} is dropped: {event}: {one_line(error)}")
