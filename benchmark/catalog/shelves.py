"""What the plugins offer, looked up by name."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from benchmark.catalog.manager import PluginManager, load_plugins
from benchmark.catalog.plugin import Failure, Plugin
from benchmark.catalog.selection import BLOCK
from benchmark.entries import (
    Column,
    DatasetEntry,
    Entry,
    ExecutorEntry,
    MetricEntry,
    ModelEntry,
    RecipeEntry,
    TrackerEntry,
)
from benchmark.errors import PLUGIN_FAULTS, PluginError, UnknownNameError
from benchmark.hookspecs import DISTRIBUTION
from benchmark.metric_columns import metric_columns
from benchmark.spelling import did_you_mean

# What the table of kept weights on other images has besides metrics.
EVALUATION_COLUMNS = frozenset(
    (
        *("entry", "options", "identity", "seeds", "original_accuracy", "images"),
        *("difference", "difference_low", "difference_high"),
    )
)

AnyEntry = TypeVar("AnyEntry", bound=Entry)


@dataclass(frozen=True)
class Offer(Generic[AnyEntry]):
    """An entry and the plugin it comes from."""

    entry: AnyEntry
    plugin: Plugin


@dataclass
class Shelf(Generic[AnyEntry]):
    """All entries of one kind, by name; by one that two plugins offer, none can be chosen."""

    kind: str
    hook: str
    entry_type: type[AnyEntry]
    offered: dict[str, list[Offer[AnyEntry]]] = field(default_factory=dict)
    has_failures: bool = False

    def __iter__(self) -> Iterator[Offer[AnyEntry]]:
        return iter(self.offers.values())

    @property
    def offers(self) -> dict[str, Offer[AnyEntry]]:
        """The entries that can be chosen, by name."""
        return {name: offers[0] for name, offers in self.offered.items() if len(offers) == 1}

    @property
    def clashes(self) -> dict[str, list[Offer[AnyEntry]]]:
        """The entries that share a name, by that name."""
        return {name: offers for name, offers in self.offered.items() if len(offers) > 1}

    @property
    def unchosen(self) -> Iterator[Offer[AnyEntry]]:
        """The entries for whoever chooses none by name: of those that share one, the built-in."""
        for offers in self.offered.values():
            built_in = [offer for offer in offers if offer.plugin.distribution == DISTRIBUTION]
            yield from offers if len(offers) == 1 else built_in[:1]

    def __getitem__(self, name: str) -> Offer[AnyEntry]:
        """Return the offer of that name.

        Raises UnknownNameError, with the nearest name, where there is none or more than one.
        """
        offers = self.offered.get(name, [])
        if len(offers) == 1:
            return offers[0]
        if offers:
            raise UnknownNameError(self.clash(name))
        known = ", ".join(sorted(self.offered)) or "none"
        hint = did_you_mean(name, self.offered) or f" (there are: {known})"
        failed = (
            "; some plugins failed to load: see 'benchmark plugins'" if self.has_failures else ""
        )
        raise UnknownNameError(f"unknown {self.kind} {name!r}{hint}{failed}")

    def add(self, entry: AnyEntry, plugin: Plugin) -> None:
        """Put an entry on the shelf; of a name that is taken, none can be chosen any more."""
        self.offered.setdefault(entry.name, []).append(Offer(entry, plugin))

    def clash(self, name: str) -> str:
        """The line about a name that is offered more than once."""
        plugins = {offer.plugin.label: offer.plugin for offer in self.offered[name]}
        rivals = " and ".join(plugins)
        if len(plugins) == 1:
            return f"{self.kind} {name!r} is offered twice by {rivals}; rename one of them"
        blocks = " or ".join(f"-p {shlex.quote(BLOCK + p.name)}" for p in plugins.values())
        remedy = f"block one with {blocks}, or give one of them another name"
        return f"{self.kind} {name!r} is offered by {rivals}; {remedy}"


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
    metrics: Shelf[MetricEntry] = field(
        default_factory=lambda: Shelf("metric", "benchmark_metrics", MetricEntry)
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
            "metrics": self.metrics,
            "trackers": self.trackers,
            "columns": self.columns,
            "executors": self.executors,
        }

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin that was found, also the failed and the blocked."""
        return self.manager.plugins

    @property
    def refusals(self) -> list[str]:
        """A line for every plugin that failed and for every name that two plugins offer."""
        failed = [plugin.refusal for plugin in self.plugins if plugin.failure]
        clashes = [shelf.clash(name) for shelf in self.shelves.values() for name in shelf.clashes]
        return failed + clashes

    @property
    def warnings(self) -> list[str]:
        """Lines on what plugins changed of their process, and on what they import."""
        return [line for plugin in self.plugins for line in plugin.warnings]

    def collect(self) -> None:
        """Fill the shelves; a plugin of which one hook fails offers nothing at all."""
        entries_of = {id(plugin): self._entries_of(plugin) for plugin in self.plugins}
        columns = {
            entry.name
            for entries in entries_of.values()
            for shelf, entry in entries
            if shelf is self.columns
        }
        for plugin in self.plugins:
            entries = entries_of[id(plugin)]
            plugin.failure = plugin.failure or self._clash_with_columns(entries, columns)
            if plugin.failure:
                continue
            plugin.entries = len(entries)
            for shelf, entry in entries:
                shelf.add(entry, plugin)
        for shelf in self.shelves.values():
            shelf.has_failures = any(plugin.failure for plugin in self.plugins)

    def _clash_with_columns(
        self, entries: Iterable[tuple[Shelf[Any], Entry]], columns: Set[str]
    ) -> Failure | None:
        """What keeps a plugin from being used whose metric would take another column's name."""
        for shelf, entry in entries:
            names = {entry.name, f"{entry.name}_low", f"{entry.name}_high"}
            taken = names & ({*columns} | EVALUATION_COLUMNS) if shelf is self.metrics else None
            if taken:
                return Failure(
                    f"metric {entry.name!r} would have a column {min(taken)!r}, and there is "
                    "another one of that name; rename the metric",
                    shelf.hook,
                )
        return None

    @property
    def metric_columns(self) -> dict[str, tuple[Column, ...]]:
        """The columns of each metric, by its name."""
        return {o.entry.name: metric_columns(o.entry) for o in self.metrics.unchosen}

    @property
    def table_columns(self) -> Shelf[Column]:
        """Every column that a table can have: those that are offered, and those of the metrics."""
        columns = replace(self.columns, offered={k: [*v] for k, v in self.columns.offered.items()})
        for offer in self.metrics.unchosen:
            for column in metric_columns(offer.entry):
                columns.add(column, offer.plugin)
        return columns

    def _entries_of(self, plugin: Plugin) -> list[tuple[Shelf[Any], Entry]]:
        entries: list[tuple[Shelf[Any], Entry]] = []
        for shelf in self.shelves.values():
            try:
                offered = self.manager.call(shelf.hook, plugin)
                entries += [(shelf, _checked(entry, shelf.entry_type)) for entry in offered]
            except PLUGIN_FAULTS as error:
                plugin.failure = Failure.from_error(error, shelf.hook, plugin.neighbourhood)
                return []
        return entries


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
