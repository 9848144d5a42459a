"""Finds plugins: those that are installed, by their entry points, and those that are selected."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmark.catalog.importing import import_file, import_module
from benchmark.catalog.neighbours import current_folder, find_neighbour, look_up
from benchmark.catalog.plugin import Failure, Plugin
from benchmark.catalog.python_models import PYTHON, python_plugin
from benchmark.catalog.selection import (
    BLOCK,
    SelectionError,
    is_in_folder,
    is_module_name,
    origin_of,
)
from benchmark.errors import PLUGIN_FAULTS
from benchmark.files import usable_path
from benchmark.hookspecs import ENTRY_POINT_GROUP
from benchmark.spelling import did_you_mean


@dataclass
class Candidate:
    """A plugin that was found, and how to import it.

    ``place`` is where a selected one lies: its folder, and in it the plugin's name.
    """

    plugin: Plugin
    load: Callable[[], ModuleType]
    place: Path | None = None


def find_candidates(selection: Sequence[str]) -> list[Candidate]:
    """Find every plugin, as ``selection`` asks, which is what ``selected_plugins`` returns.

    The blocked are among them, marked so, and those that share a name, marked as failed. Raises
    SelectionError for a selected file or module that does not exist, and for a block of a plugin
    that does not exist; PathError for a file that can be none.
    """
    candidates, reasons = _found(selection)
    if reasons:
        raise SelectionError(reasons)
    return candidates


def unselectable(selection: Sequence[str]) -> dict[str, str]:
    """Which of these select nothing, and why."""
    return _found(selection)[1]


def _found(selection: Sequence[str]) -> tuple[list[Candidate], dict[str, str]]:
    """The candidates, and why a selection gave none."""
    installed, selected, reasons = [*_installed_candidates()], [], {}
    for item in selection:
        if not item.startswith(BLOCK):
            try:
                selected.append(_selected_candidate(item))
            except _NotFoundError as error:
                reasons[item] = str(error)
    selected = _each_file_once(selected)
    _name_apart(selected, [candidate.plugin.name for candidate in installed])
    candidates = [*installed, *selected]
    reasons |= _block(candidates, [item for item in selection if item.startswith(BLOCK)])
    _refuse_shared_names(candidates)
    return candidates, reasons


class _NotFoundError(Exception):
    """Why a selection selects nothing."""


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


def _selected_candidate(item: str) -> Candidate:
    if item.startswith(PYTHON):
        return _python_candidate(item)
    if not is_in_folder(item):
        return _module_candidate(item)
    path = usable_path(item, origin_of(item)).absolute()
    file = find_neighbour(path.parent.resolve(), f".{path.name}")
    if path.suffix != ".py" and file is not None:
        return _folder_candidate(path, file)
    if path.is_dir():
        raise _NotFoundError("a folder; give a module's name, or a file that ends in .py")
    if not path.is_file():
        raise _NotFoundError("no such file")
    if path.suffix != ".py":
        raise _NotFoundError("a plugin's file should end in .py")
    return _file_candidate(path)


def _file_candidate(path: Path) -> Candidate:
    # What lies beside it lies beside the file itself, wherever links to it may be.
    file = path.resolve()
    plugin = Plugin(path.stem, file=file, neighbourhood=file.parent)
    return Candidate(plugin, lambda: import_file(file, plugin.notes.append), path.with_suffix(""))


def _folder_candidate(place: Path, file: Path) -> Candidate:
    name, folder = place.name, place.parent.resolve()
    plugin = Plugin(name, file=file, neighbourhood=folder)
    return Candidate(plugin, lambda: import_module(folder, name, plugin.notes.append), place)


def _module_candidate(name: str) -> Candidate:
    here = look_up(current_folder(), name.partition(".")[0]) if is_module_name(name) else None
    hidden = here if here is not None and here.is_hidden else None
    if not _is_module(name):
        remedy = f"write a file with its ending ({name}.py), or {BLOCK}NAME to block a plugin"
        if hidden is not None:
            remedy = f"for {hidden.place}, which {hidden.installed_place} hides, write ./{name}"
        raise _NotFoundError(f"no module of that name can be imported; {remedy}")
    plugin = Plugin(name)
    if hidden is not None:
        plugin.notes.append(
            f"it is in {hidden.installed_place}, not in {hidden.place}, because what is installed "
            f"wins; for that one: -p ./{name}"
        )
    return Candidate(plugin, lambda: importlib.import_module(name), _place_of_module(name))


def _python_candidate(item: str) -> Candidate:
    plugin = python_plugin(item)
    module = plugin.module
    assert module is not None
    return Candidate(plugin, lambda: module)


def _is_module(name: str) -> bool:
    if not is_module_name(name):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        return not f"{name}.".startswith(f"{error.name}.")
    except PLUGIN_FAULTS:
        # The package it lies in fails; so will the plugin, with the reason.
        return True


def _place_of_module(name: str) -> Path | None:
    with suppress(*PLUGIN_FAULTS):
        spec = importlib.util.find_spec(name.partition(".")[0])
        if spec is not None and spec.has_location and spec.origin:
            top_level = Path(spec.origin)
            is_package = spec.submodule_search_locations is not None
            return (top_level.parents[1] if is_package else top_level.parent) / name
    return None


def _each_file_once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Without those whose file has been selected before, by another path, say."""
    once: dict[object, Candidate] = {}
    for candidate in candidates:
        file = candidate.plugin.file
        once.setdefault(file.resolve() if file else candidate.plugin.name, candidate)
    return [*once.values()]


def _name_apart(selected: Sequence[Candidate], taken: Sequence[str]) -> None:
    """Name each by as much of the end of its path as no other plugin's name or path has."""
    for candidate in selected:
        if candidate.place is None:
            continue
        others = [other.place for other in selected if other is not candidate and other.place]
        for length in range(1, len(candidate.place.parts) + 1):
            name = _end(candidate.place, length)
            if name not in taken and all(_end(other, length) != name for other in others):
                break
        candidate.plugin.name = name


def _end(place: Path, length: int) -> str:
    return os.path.join(*place.parts[-length:])


def _block(candidates: Sequence[Candidate], blocks: Sequence[str]) -> dict[str, str]:
    """Mark the blocked; returns why a block blocks nothing."""
    plugins, reasons = [candidate.plugin for candidate in candidates], {}
    for item in blocks:
        name = item.removeprefix(BLOCK)
        matches = [plugin for plugin in plugins if name in (plugin.name, plugin.distribution)]
        if not matches:
            reasons[item] = f"no such plugin{_hint(name, plugins)}"
        for plugin in matches:
            plugin.blocked = True
    return reasons


def _hint(name: str, plugins: Sequence[Plugin]) -> str:
    known = [n for plugin in plugins for n in (plugin.name, plugin.distribution) if n]
    longer = [other for other in known if other.endswith(f"{os.sep}{name}")]
    if name and longer:
        return f" - did you mean {' or '.join(map(repr, longer))}?"
    return did_you_mean(name, known)


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
