"""Which plugins a user selects or blocks, by ``-p`` and by the environment.

In ``BENCHMARK_PLUGINS`` selections are separated by commas. Each is written as a module's name, as
a path that ends in ``.py``, as ``FOLDER/module.name`` for a module in a folder, or as ``no:NAME``,
which blocks the plugin or the whole distribution of that name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmark.catalog.neighbours import find_neighbour, look_up
from benchmark.files import usable_path

ENVIRONMENT_VARIABLE = "BENCHMARK_PLUGINS"
BLOCK = "no:"


def selected_plugins(arguments: Sequence[str]) -> tuple[str, ...]:
    """What the environment and then ``-p`` select, each once; what lies in a folder with its path.

    So it means the same in another process, in another folder, and in another environment: a
    module in the current folder, too. Raises PathError for a file that can be none.
    """
    named = [_settled(item, f"{ENVIRONMENT_VARIABLE}: {item}") for item in _in_environment()]
    given = [_settled(item, f"-p {item}") for item in arguments]
    return tuple(dict.fromkeys([*named, *given]))


def origin_of(item: str) -> str:
    """How messages say where an item was selected, and as what."""
    for written in _in_environment():
        origin = f"{ENVIRONMENT_VARIABLE}: {written}"
        if _settled(written, origin) == item:
            return origin
    return f"-p {item}"


def is_in_folder(item: str) -> bool:
    """Whether an item is a file, or a module in a folder, and no installed module or block."""
    return not item.startswith(BLOCK) and (item.endswith(".py") or os.sep in item)


def _in_environment() -> list[str]:
    items = os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")
    return [item.strip() for item in items if item.strip()]


def _settled(item: str, origin: str) -> str:
    """The same selection, as it is written in any folder."""
    if item.startswith(BLOCK):
        return item
    if item.endswith(".py"):
        return str(usable_path(item, origin).absolute())
    if is_in_folder(item):
        path = usable_path(item, origin).absolute()
        return _module_in(path.parent, path.name) or item
    here = look_up(Path.cwd(), item.partition(".")[0])
    if here is None or here.is_installed or not here.is_imported:
        return item
    return _module_in(Path.cwd(), item) or item


def _module_in(folder: Path, name: str) -> str | None:
    """How a module in a folder is selected: by its file, or in a package by its name."""
    file = find_neighbour(folder, f".{name}")
    if file is None:
        return None
    is_single = file.parent == folder and file.suffix == ".py"
    return str(file if is_single else folder / name)
