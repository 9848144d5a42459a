"""Where plugins come from, and which of them are wanted.

A plugin comes from an entry point in the group ``benchmark.plugins``, from ``-p``, or from the
environment variable ``BENCHMARK_PLUGINS`` (comma-separated, as after ``-p``). A selection is
written as a module's name, as a path that ends in ``.py``, or as ``no:NAME``, which blocks the
plugin or the whole distribution of that name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmark.catalog.plugin import Failure, Plugin
from benchmark.errors import PLUGIN_FAULTS, PluginError
from benchmark.files import usable_path
from benchmark.hookspecs import ENTRY_POINT_GROUP
from benchmark.spelling import did_you_mean

ENVIRONMENT_VARIABLE = "BENCHMARK_PLUGINS"
BLOCK = "no:"


@dataclass
class Candidate:
    """A plugin that was found, and how to import it."""

    plugin: Plugin
    load: Callable[[], ModuleType]


def selected_plugins(arguments: Sequence[str]) -> tuple[str, ...]:
    """What the environment and then ``-p`` select, each once; files as absolute paths.

    So it means the same in another process, in another folder, and in another environment. Raises
    PathError for a file that can be none.
    """
    named = [_absolute(item, f"{ENVIRONMENT_VARIABLE}: {item}") for item in _in_environment()]
    given = [_absolute(item, f"-p {item}") for item in arguments]
    return tuple(dict.fromkeys([*named, *given]))


def _in_environment() -> list[str]:
    items = os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")
    return [item.strip() for item in items if item.strip()]


def find_candidates(selection: Sequence[str]) -> list[Candidate]:
    """Find every plugin, as ``selection`` asks, which is what ``selected_plugins`` returns.

    The blocked are among them, marked so, and those that share a name, marked as failed. Raises
    PluginError for a selected file or module that does not exist, and for a block of a plugin
    that does not exist; PathError for a file that can be none.
    """
    candidates = [*_installed_candidates()]
    blocks = []
    for item in selection:
        if item.startswith(BLOCK):
            blocks.append((item.removeprefix(BLOCK), _origin(item)))
        else:
            candidates.append(_selected_candidate(item, _origin(item)))
    _block(candidates, blocks)
    _refuse_shared_names(candidates)
    return candidates


def _origin(item: str) -> str:
    """How messages say where an item was selected, and as what."""
    for written in _in_environment():
        origin = f"{ENVIRONMENT_VARIABLE}: {written}"
        if _absolute(written, origin) == item:
            return origin
    return f"-p {item}"


def _absolute(item: str, origin: str) -> str:
    is_file = item.endswith(".py") and not item.startswith(BLOCK)
    return str(usable_path(item, origin).absolute()) if is_file else item


def _is_file(item: str) -> bool:
    return not item.startswith(BLOCK) and (item.endswith(".py") or os.sep in item)


def _installed_candidates() -> Iterable[Candidate]:
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    found = {}
    for point in points:
        distribution = point.dist.name if point.dist else None
        version = point.dist.version if point.dist else None
        # An editable install can list its entry points twice.
        found[point.name, point.value, distribution] = Candidate(
            Plugin(point.name, distribution, version), point.load
        )
    return (found[key] for key in sorted(found, key=str))


def _selected_candidate(item: str, origin: str) -> Candidate:
    if _is_file(item):
        return _file_candidate(usable_path(item, origin), origin)
    if not _is_module(item):
        raise PluginError(
            f"{origin}: no module of that name can be imported; "
            f"write a file with its ending (-p {item}.py), or -p {BLOCK}NAME to block a plugin"
        )
    return Candidate(Plugin(item), lambda: importlib.import_module(item))


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


def _file_candidate(path: Path, origin: str) -> Candidate:
    if path.is_dir():
        raise PluginError(f"{origin}: a folder; give a module's name, or a file that ends in .py")
    if not path.is_file():
        raise PluginError(f"{origin}: no such file")
    if path.suffix != ".py":
        raise PluginError(f"{origin}: a plugin's file should end in .py")
    return Candidate(Plugin(path.stem, file=path), lambda: _import_file(path))


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


def _block(candidates: Sequence[Candidate], blocks: Sequence[tuple[str, str]]) -> None:
    plugins = [candidate.plugin for candidate in candidates]
    for name, origin in blocks:
        matches = [plugin for plugin in plugins if name in (plugin.name, plugin.distribution)]
        if not matches:
            known = [n for plugin in plugins for n in (plugin.name, plugin.distribution) if n]
            raise PluginError(f"{origin}: no such plugin{did_you_mean(name, known)}")
        for plugin in matches:
            plugin.blocked = True


def _refuse_shared_names(candidates: Sequence[Candidate]) -> None:
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
