"""Find the plugins, load those that are not blocked, and let no plugin's failure be another's.

A plugin comes from an entry point in the group ``benchmark``, from ``-p``, or from the
environment variable ``BENCHMARK_PLUGINS`` (comma-separated, as after ``-p``). A selection is
written as a module's name, as a path that ends in ``.py``, or as ``no:NAME``, which blocks the
plugin or the whole distribution of that name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from benchmark import hookspecs
from benchmark.errors import PluginError, one_line
from benchmark.spelling import did_you_mean

ENVIRONMENT_VARIABLE = "BENCHMARK_PLUGINS"
BLOCK = "no:"

# A plugin that calls sys.exit() while it is imported must not end the program.
PLUGIN_FAULTS = (Exception, SystemExit)


@dataclass(frozen=True)
class Failure:
    """Why a plugin is not used: the cause, and the hook at fault where it got as far as one."""

    cause: str
    hook: str | None = None
    traceback: str = ""

    @classmethod
    def from_error(cls, error: BaseException, hook: str | None = None) -> Failure:
        """Describe an exception in one line, its traceback kept."""
        cause = one_line(error)
        if isinstance(error, ModuleNotFoundError) and error.name:
            cause = f"needs the module {error.name!r}, which is not installed"
        text = "".join(traceback.format_exception(error))
        return cls(cause, hook, text)


@dataclass
class Plugin:
    """A plugin and what became of it."""

    name: str
    distribution: str | None = None
    version: str | None = None
    module: ModuleType | None = None
    hooks: tuple[str, ...] = ()
    entries: int = 0
    failure: Failure | None = None
    blocked: bool = False
    relay: pluggy.HookRelay | None = field(default=None, repr=False)

    @property
    def status(self) -> Literal["loaded", "blocked", "failed"]:
        """Whether its entries can be used."""
        if self.blocked:
            return "blocked"
        return "failed" if self.failure else "loaded"

    @property
    def label(self) -> str:
        """Name, distribution and version, as messages give them."""
        if self.distribution is None:
            return f"{self.name} (no distribution)"
        return f"{self.name} ({self.distribution} {self.version})"

    @property
    def complaint(self) -> str:
        """The line that says why a failed plugin is left out."""
        assert self.failure is not None
        where = f"{self.failure.hook}: " if self.failure.hook else ""
        return f"plugin {self.label} is left out: {where}{self.failure.cause}"


@dataclass
class _Candidate:
    """A plugin that was found, and how to import it."""

    plugin: Plugin
    load: Callable[[], ModuleType]


@dataclass
class PluginManager:
    """All plugins that were found, each behind hooks of its own, to keep faults apart."""

    plugins: list[Plugin] = field(default_factory=list)

    def add(self, candidate: _Candidate) -> None:
        """Import a plugin and register its hooks; a failure is kept on the plugin."""
        plugin = candidate.plugin
        self.plugins.append(plugin)
        if plugin.blocked or plugin.failure:
            return
        try:
            plugin.module = candidate.load()
            plugin.failure = self._twin(plugin)
            if not plugin.failure:
                _register(plugin)
        except PLUGIN_FAULTS as error:
            plugin.failure = Failure.from_error(error)

    def _twin(self, plugin: Plugin) -> Failure | None:
        for other in self.plugins:
            if other is not plugin and other.module is plugin.module and plugin.module:
                return Failure(f"its module is loaded already, as the plugin {other.label}")
        return None

    def call(self, hook: str, plugin: Plugin, **arguments: Any) -> list[Any]:
        """Return what one plugin offers through one hook, generators run to their end.

        Raises whatever the plugin raises, and TypeError where it returns something that is not
        iterable.
        """
        if plugin.status != "loaded" or hook not in plugin.hooks:
            return []
        caller = getattr(plugin.relay, hook)
        results = caller(**arguments)
        expected = sum(not (impl.wrapper or impl.hookwrapper) for impl in caller.get_hookimpls())
        # pluggy leaves out what is None.
        if len(results) < expected:
            raise TypeError("returned None where an iterable of entries is wanted")
        return [entry for result in results for entry in result]


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


def find_plugins(selection: Sequence[str] = ()) -> PluginManager:
    """Load every plugin, as ``selection`` (what came after ``-p``) and the environment ask.

    Raises PluginError for a selected file or module that does not exist, and for a block of a
    plugin that does not exist.
    """
    candidates = [*_installed_candidates()]
    blocks = []
    for item, origin in _selected_items(selection).items():
        if item.startswith(BLOCK):
            blocks.append((item.removeprefix(BLOCK), origin))
        else:
            candidates.append(_selected_candidate(item, origin))
    _block(candidates, blocks)
    _refuse_shared_names(candidates)
    manager = PluginManager()
    for candidate in candidates:
        manager.add(candidate)
    return manager


def _selected_items(selection: Sequence[str]) -> dict[str, str]:
    """What is selected, each item once, and how messages say where it was."""
    in_environment = os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")
    items = {item.strip(): f"{ENVIRONMENT_VARIABLE}: {item.strip()}" for item in in_environment}
    items.pop("", None)
    items |= {item: f"-p {item}" for item in selection}
    return {str(Path(i).absolute()) if _is_file(i) else i: origin for i, origin in items.items()}


def _is_file(item: str) -> bool:
    return not item.startswith(BLOCK) and (item.endswith(".py") or os.sep in item)


def _installed_candidates() -> Iterable[_Candidate]:
    points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    found = {}
    for point in points:
        distribution = point.dist.name if point.dist else None
        version = point.dist.version if point.dist else None
        # An editable install can list its entry points twice.
        found[point.name, point.value, distribution] = _Candidate(
            Plugin(point.name, distribution, version), point.load
        )
    return (found[key] for key in sorted(found, key=str))


def _selected_candidate(item: str, origin: str) -> _Candidate:
    if _is_file(item):
        return _file_candidate(Path(item), origin)
    if not _is_module(item):
        raise PluginError(
            f"{origin}: no module of that name can be imported; "
            f"write a file with its ending (-p {item}.py), or -p {BLOCK}NAME to block a plugin"
        )
    return _Candidate(Plugin(item), lambda: importlib.import_module(item))


def _is_module(name: str) -> bool:
    if not all(name.split(".")):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        return not f"{name}.".startswith(f"{error.name}.")
    except PLUGIN_FAULTS:
        # The package it lies in fails; so will the plugin, with the reason.
        return True


def _file_candidate(path: Path, origin: str) -> _Candidate:
    if not path.is_file():
        raise PluginError(f"{origin}: no such file")
    if path.suffix != ".py":
        raise PluginError(f"{origin}: a plugin's file should end in .py")
    return _Candidate(Plugin(path.stem), lambda: _import_file(path))


def _import_file(path: Path) -> ModuleType:
    name = f"benchmark_plugin_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, so that dataclasses and pickle find the module by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _block(candidates: Sequence[_Candidate], blocks: Sequence[tuple[str, str]]) -> None:
    plugins = [candidate.plugin for candidate in candidates]
    for name, origin in blocks:
        matches = [plugin for plugin in plugins if name in (plugin.name, plugin.distribution)]
        if not matches:
            known = [n for plugin in plugins for n in (plugin.name, plugin.distribution) if n]
            raise PluginError(f"{origin}: no such plugin{did_you_mean(name, known)}")
        for plugin in matches:
            plugin.blocked = True


def _refuse_shared_names(candidates: Sequence[_Candidate]) -> None:
    by_name = defaultdict(list)
    for candidate in candidates:
        if not candidate.plugin.blocked:
            by_name[candidate.plugin.name].append(candidate.plugin)
    for plugins in by_name.values():
        for plugin in plugins:
            rivals = [other.label for other in plugins if other is not plugin]
            if rivals:
                plugin.failure = Failure(
                    f"its name is also that of {', '.join(rivals)}; "
                    f"rename one, or block it with -p {BLOCK}DISTRIBUTION"
                )


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
