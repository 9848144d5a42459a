"""What the plugins offer, looked up by name."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmark.catalog.manager import PluginManager, load_plugins
from benchmark.catalog.plugin import Failure, Plugin, files_digest
from benchmark.entries import (
    Column,
    DatasetEntry,
    Entry,
    ExecutorEntry,
    ModelEntry,
    RecipeEntry,
    TrackerEntry,
)
from benchmark.errors import PLUGIN_FAULTS, PluginError, UnknownNameError
from benchmark.spelling import did_you_mean

CORE = Path(__file__).parents[1]

AnyEntry = TypeVar("AnyEntry", bound=Entry)


@dataclass(frozen=True)
class Offer(Generic[AnyEntry]):
    """An entry and the plugin it comes from."""

    entry: AnyEntry
    plugin: Plugin


@dataclass
class Shelf(Generic[AnyEntry]):
    """All entries of one kind, by name; a name that two plugins offer is on no shelf."""

    kind: str
    hook: str
    entry_type: type[AnyEntry]
    offers: dict[str, Offer[AnyEntry]] = field(default_factory=dict)
    clashes: dict[str, list[Plugin]] = field(default_factory=dict)
    has_failures: bool = False

    def __iter__(self) -> Iterator[Offer[AnyEntry]]:
        return iter(self.offers.values())

    def __getitem__(self, name: str) -> Offer[AnyEntry]:
        """Return the offer of that name.

        Raises UnknownNameError, with the nearest name, where there is none or more than one.
        """
        if name in self.offers:
            return self.offers[name]
        if name in self.clashes:
            raise UnknownNameError(self.clash(name))
        known = ", ".join(sorted(self.offers)) or "none"
        hint = did_you_mean(name, self.offers) or f" (there are: {known})"
        failed = (
            "; some plugins failed to load: see 'benchmark plugins'" if self.has_failures else ""
        )
        raise UnknownNameError(f"unknown {self.kind} {name!r}{hint}{failed}")

    def add(self, entry: AnyEntry, plugin: Plugin) -> None:
        """Put an entry on the shelf, or take both off where the name is taken."""
        if entry.name in self.clashes:
            self.clashes[entry.name].append(plugin)
        elif entry.name in self.offers:
            self.clashes[entry.name] = [self.offers.pop(entry.name).plugin, plugin]
        else:
            self.offers[entry.name] = Offer(entry, plugin)

    def clash(self, name: str) -> str:
        """The line about a name that more than one plugin offers."""
        labels = list(dict.fromkeys(plugin.label for plugin in self.clashes[name]))
        if len(labels) == 1:
            return f"{self.kind} {name!r} is offered twice by {labels[0]}"
        rivals = " and ".join(labels)
        return f"{self.kind} {name!r} is offered by {rivals}; block one with -p no:PLUGIN"


@dataclass
class Catalog:
    """Everything the plugins offer."""

    manager: PluginManager
    models: Shelf[ModelEntry] = field(
        default_factory=lambda: Shelf("model", "benchmark_models", ModelEntry)
    )
    datasets: Shelf[DatasetEntry] = field(
        default_factory=lambda: Shelf("data set", "benchmark_datasets", DatasetEntry)
    )
    recipes: Shelf[RecipeEntry] = field(
        default_factory=lambda: Shelf("recipe", "benchmark_recipes", RecipeEntry)
    )
    trackers: Shelf[TrackerEntry] = field(
        default_factory=lambda: Shelf("tracker", "benchmark_trackers", TrackerEntry)
    )
    columns: Shelf[Column] = field(
        default_factory=lambda: Shelf("column", "benchmark_columns", Column)
    )
    executors: Shelf[ExecutorEntry] = field(
        default_factory=lambda: Shelf("executor", "benchmark_executors", ExecutorEntry)
    )

    @property
    def shelves(self) -> dict[str, Shelf[Any]]:
        """Every shelf by the plural that ``benchmark list`` takes."""
        return {
            "models": self.models,
            "datasets": self.datasets,
            "recipes": self.recipes,
            "trackers": self.trackers,
            "columns": self.columns,
            "executors": self.executors,
        }

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin that was found, also the failed and the blocked."""
        return self.manager.plugins

    @property
    def identities(self) -> dict[str, str]:
        """What each plugin is that was not blocked, by name; a worker should have the same.

        The core is among them.
        """
        found = {plugin.name: plugin.identity for plugin in self.plugins if not plugin.blocked}
        return {"the core": _core_identity(), **found}

    @property
    def refusals(self) -> list[str]:
        """A line for every plugin that failed and for every name that two plugins offer."""
        failed = [plugin.refusal for plugin in self.plugins if plugin.failure]
        clashes = [shelf.clash(name) for shelf in self.shelves.values() for name in shelf.clashes]
        return failed + clashes

    @property
    def warnings(self) -> list[str]:
        """A line for every plugin that changed its process when it was loaded."""
        return [plugin.warning for plugin in self.plugins if plugin.changes]

    def collect(self) -> None:
        """Fill the shelves; a plugin of which one hook fails offers nothing at all."""
        for plugin in self.plugins:
            entries = self._entries_of(plugin)
            if plugin.failure:
                continue
            plugin.entries = len(entries)
            for shelf, entry in entries:
                shelf.add(entry, plugin)
        for shelf in self.shelves.values():
            shelf.has_failures = any(plugin.failure for plugin in self.plugins)

    def _entries_of(self, plugin: Plugin) -> list[tuple[Shelf[Any], Entry]]:
        entries: list[tuple[Shelf[Any], Entry]] = []
        for shelf in self.shelves.values():
            try:
                offered = self.manager.call(shelf.hook, plugin)
                entries += [(shelf, _checked(entry, shelf.entry_type)) for entry in offered]
            except PLUGIN_FAULTS as error:
                plugin.failure = Failure.from_error(error, shelf.hook)
                return []
        return entries


@functools.cache
def _core_identity() -> str:
    """The core that this process runs, whatever becomes of its files meanwhile."""
    return f"the core of benchmark, source {files_digest(CORE, CORE.rglob('*.py'))[:8]}"


def _checked(entry: Any, wanted: type[Any]) -> Any:
    if not isinstance(entry, wanted):
        raise TypeError(f"gave a {type(entry).__name__} where a {wanted.__name__} is wanted")
    return entry


@functools.lru_cache(maxsize=8)
def load_catalog(selection: tuple[str, ...] = ()) -> Catalog:
    """Find and load the plugins, once a process for each selection (``selected_plugins``).

    Raises PluginError for a selection that names something that does not exist.
    """
    catalog = Catalog(load_plugins(selection))
    catalog.collect()
    return catalog


def require_sound(catalog: Catalog) -> None:
    """Raise PluginError if any plugin failed: what ``--strict`` asks for."""
    if catalog.refusals:
        raise PluginError(*catalog.refusals)


def require_same(catalog: Catalog, wanted: Mapping[str, str]) -> None:
    """Raise PluginError if the plugins are not ``wanted``, the identities that a run began with."""
    here = catalog.identities
    differences = [
        _difference(wanted.get(name), here.get(name))
        for name in dict.fromkeys([*wanted, *here])
        if wanted.get(name) != here.get(name)
    ]
    if differences:
        where = f"{socket.gethostname()} has other plugins than the run began with"
        raise PluginError(f"{where}: {'; '.join(differences)}")


def _difference(wanted: str | None, here: str | None) -> str:
    if wanted is None:
        return f"{here} beside them"
    return f"{here or 'nothing'} instead of {wanted}"
