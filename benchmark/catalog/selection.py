"""Which plugins a user selects or blocks, by ``-p`` and by the environment.

In ``BENCHMARK_PLUGINS`` selections are separated by commas. Each is written as a module's name, as
a path that ends in ``.py``, as ``FOLDER/module.name`` for a module in a folder, or as ``no:NAME``,
which blocks the plugin or the whole distribution of that name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.catalog.neighbours import current_folder, find_neighbour, look_up
from benchmark.errors import PluginError
from benchmark.files import usable_path

ENVIRONMENT_VARIABLE = "BENCHMARK_PLUGINS"
BLOCK = "no:"


class SelectionError(PluginError):
    """Selections that select nothing; ``reasons`` has why, by the selection."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(*(f"{origin_of(item)}: {reason}" for item, reason in reasons.items()))
        self.reasons = dict(reasons)


def selected_plugins(arguments: Sequence[str]) -> tuple[str, ...]:
    """What the environment and then ``-p`` select, each once; what lies in a folder with its path.

    So it means the same in another process, in another folder, and in another environment: a
    module in the current folder, too. Raises PathError for a file that can be none.
    """
    here = current_folder()
    named = [settled(item, here, f"{ENVIRONMENT_VARIABLE}: {item}") for item in _in_environment()]
    given = [settled(item, here, f"-p {item}") for item in arguments]
    return tuple(dict.fromkeys([*named, *given]))


def origin_of(item: str) -> str:
    """How messages say where an item was selected, and as what."""
    for written in _in_environment():
        origin = f"{ENVIRONMENT_VARIABLE}: {written}"
        if settled(written, current_folder(), origin) == item:
            return origin
    return f"-p {item}"


def is_in_folder(item: str) -> bool:
    """Whether an item is a file, or a module in a folder, and no installed module or block."""
    return not item.startswith(BLOCK) and (item.endswith(".py") or os.sep in item)


def is_module_name(text: str) -> bool:
    """Whether text can be a module's name with its packages."""
    return all(text.split(".")) and text.isprintable()


def _in_environment() -> list[str]:
    items = os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")
    return [item.strip() for item in items if item.strip()]


def settled(item: str, folder: Path, origin: str) -> str:
    """The same selection, made in a folder, as it is written in any; raises PathError."""
    if item.startswith(BLOCK):
        return item
    if is_in_folder(item):
        path = folder / usable_path(item, origin)
        if ".." in path.parts:
            path = path.parent.resolve() / path.name
        return str(path) if item.endswith(".py") else _module_in(path.parent, path.name) or item
    if not is_module_name(item):
        return item
    here = look_up(folder, item.partition(".")[0])
    if here is None or here.is_installed or not here.is_imported:
        return item
    return _module_in(folder, item) or item


def _module_in(folder: Path, name: str) -> str | None:
    """How a module in a folder is selected: by its file, or in a package by its name."""
    file = find_neighbour(folder, f".{name}")
    if file is None:
        return None
    is_single = file.parent == folder and file.suffix == ".py"
    return str(file if is_single else folder / name)
