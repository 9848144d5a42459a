"""Load the plugins and call their hooks, so that no plugin's failure is another's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from benchmark import hookspecs
from benchmark.catalog.discovery import Candidate, find_candidates
from benchmark.catalog.plugin import Failure, Plugin
from benchmark.errors import PLUGIN_FAULTS
from benchmark.spelling import did_you_mean


@dataclass
class PluginManager:
    """All plugins that were found, each behind hooks of its own, to keep faults apart."""

    plugins: list[Plugin] = field(default_factory=list)

    def add(self, candidate: Candidate) -> None:
        """Import a plugin and register its hooks; a failure is kept on the plugin."""
        plugin = candidate.plugin
        self.plugins.append(plugin)
        plugin.failure = plugin.failure or self._twin(plugin)
        if plugin.blocked or plugin.failure:
            return
        try:
            if plugin.file is not None:
                # First, so that an edit meanwhile is not taken for what was loaded.
                _ = plugin.source
            with _process_unchanged(plugin):
                plugin.module = candidate.load()
            plugin.failure = self._twin(plugin)
            if not plugin.failure:
                _register(plugin)
        except PLUGIN_FAULTS as error:
            plugin.failure = Failure.from_error(error, folder=plugin.neighbourhood)

    def _twin(self, plugin: Plugin) -> Failure | None:
        for other in self.plugins:
            if other is not plugin and _are_twins(plugin, other):
                return Failure(f"its module is loaded already, as the plugin {other.label}")
        return None

    def call(self, hook: str, plugin: Plugin) -> list[Any]:
        """Return what one plugin offers through one hook, generators run to their end.

        Raises whatever the plugin raises, and TypeError where it returns something that is not
        iterable.
        """
        if plugin.status != "loaded" or hook not in plugin.hooks:
            return []
        caller = getattr(plugin.relay, hook)
        expected = sum(not (impl.wrapper or impl.hookwrapper) for impl in caller.get_hookimpls())
        with _process_unchanged(plugin):
            results = caller()
            # pluggy leaves out what is None.
            if len(results) < expected:
                raise TypeError("returned None where an iterable of entries is wanted")
            return [entry for result in results for entry in result]


def _are_twins(plugin: Plugin, other: Plugin) -> bool:
    """Whether another plugin, which is loaded, is the same module, or the same file."""
    if other.module is None:
        return False
    files = [_file(plugin), _file(other)]
    return other.module is plugin.module or (files[0] == files[1] and files[0] is not None)


def _file(plugin: Plugin) -> Path | None:
    file = plugin.file or getattr(plugin.module, "__file__", None)
    return Path(file).resolve() if file else None


def load_plugins(selection: Sequence[str] = ()) -> PluginManager:
    """Load every plugin that is wanted; raises PluginError as ``find_candidates`` does."""
    manager = PluginManager()
    for candidate in find_candidates(selection):
        manager.add(candidate)
    return manager


@contextmanager
def _process_unchanged(plugin: Plugin) -> Iterator[None]:
    """Put back what a plugin changes of its process, which would concern everybody's models."""
    # Imported here: it imports torch, which takes seconds.
    from benchmark.process_settings import settings_put_back

    with settings_put_back(plugin.changes.append):
        yield


def _register(plugin: Plugin) -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin.module, name=plugin.label)
    except pluggy.PluginValidationError as error:
        plugin.failure = _validation_failure(error)
        return
    callers = manager.get_hookcallers(plugin.module) or []
    plugin.hooks = tuple(sorted(caller.name for caller in callers))
    plugin.failure = _unknown_hook(callers) or _no_hook(plugin)
    plugin.relay = manager.hook


def _validation_failure(error: pluggy.PluginValidationError) -> Failure:
    # pluggy's text spreads over lines: plugin, hook, what is wrong, and the definition.
    parts = [line.strip() for line in str(error).split("\n") if line.strip()]
    hook = re.search(r"\bhook '(\w+)'$", str(error), re.MULTILINE)
    wrong = [part for part in parts if not part.startswith(("Plugin ", "hook "))]
    return Failure("; ".join(wrong), hook and hook[1])


def _unknown_hook(callers: Iterable[pluggy.HookCaller]) -> Failure | None:
    known = [name for name in dir(hookspecs) if name.startswith("benchmark_")]
    for caller in callers:
        if not caller.has_spec():
            return Failure(f"there is no such hook{did_you_mean(caller.name, known)}", caller.name)
    return None


def _no_hook(plugin: Plugin) -> Failure | None:
    if plugin.hooks:
        return None
    return Failure("it offers nothing: no function in it is marked with @benchmark.hookimpl")
