"""The modules beside a plugin's file: which of them its imports mean.

A file that is given as a plugin may import the modules and packages in its own folder, as a script
may. What is installed wins over a neighbour of the same name, wherever the command is given: the
current folder does not count as installed.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# What is the same module for everybody in this process, whatever lies beside a plugin.
NEVER_BESIDE = ("benchmark", "__main__")


@dataclass(frozen=True)
class Neighbour:
    """A module or package beside a plugin's file, and the installed one of its name, if any."""

    name: str
    found: ModuleSpec
    installed: ModuleSpec | None

    @property
    def is_imported(self) -> bool:
        """Whether an absolute import of the name means this file, installed or not."""
        return self.is_installed or not self._installed_wins

    @property
    def is_hidden(self) -> bool:
        """Whether it is a module, and an import of its name means the installed one."""
        return not self.is_imported and _has_code(self.found)

    @property
    def is_installed(self) -> bool:
        """Whether it is itself what is installed."""
        return self.installed is not None and _is_same(self.installed, self.found)

    @property
    def is_shared(self) -> bool:
        """Whether it is itself installed, and has been imported as what it is by somebody."""
        spec = getattr(sys.modules.get(self.name), "__spec__", None)
        return self.is_installed and spec is not None and _is_same(spec, self.found)

    @property
    def place(self) -> str:
        """Its file or folder."""
        return _place(self.found)

    @property
    def installed_place(self) -> str:
        """The file or folder of the installed one, or what else that is a part of."""
        return _place(self.installed) if self.installed else ""

    @property
    def _installed_wins(self) -> bool:
        if self.installed is None:
            return False
        # As on one search path: a folder without __init__ comes after every module.
        return not _is_folder_alone(self.installed) or _is_folder_alone(self.found)


def find_neighbour(folder: Path, name: str) -> Path | None:
    """The file of a module beside a plugin's, if an import of that name finds it there.

    ``folder`` is the folder of the plugin's file, whichever of its neighbours has the import: an
    absolute import means the same in all of them. The file is a module's source, a package's
    ``__init__``, or an extension module. None where there is none, also for a folder without
    ``__init__``, and where an installed module has the first part of the name.

    A relative import never asks what is installed. Write it with one leading dot and the whole
    path from ``folder``: ``from .parts import X`` in the plugin's file is ``.parts`` and may also
    be ``.parts.X``; ``from .blocks import X`` in a module of the package ``parts`` is
    ``.parts.blocks``. What leads out of ``folder`` (``from .. import x`` in the plugin's file)
    cannot be imported.
    """
    parts = name.removeprefix(".").split(".")
    if not all(parts):
        return None
    if not name.startswith("."):
        neighbour = look_up(folder, parts[0])
        if neighbour is None or not neighbour.is_imported:
            return None
    spec = _found_beside(folder, parts)
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def current_folder() -> Path:
    """The current folder, or what has nothing in it where that has been removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.devnull)


def look_up(folder: Path, name: str) -> Neighbour | None:
    """Find what lies beside a plugin's file under a name without dots."""
    if name in NEVER_BESIDE or os.fspath(folder) in _installations():
        return None
    found = _found_beside(folder, [name])
    return Neighbour(name, found, _installed(name)) if found else None


def _found_beside(folder: Path, parts: Sequence[str]) -> ModuleSpec | None:
    search = [str(folder)]
    spec = None
    for part in parts:
        spec = PathFinder.find_spec(part, search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or ())
    return spec


def _installed(name: str) -> ModuleSpec | None:
    """Find a module as an import would, but for the current folder."""
    for finder in sys.meta_path:
        if finder is PathFinder:
            spec = PathFinder.find_spec(name, _search_path())
        else:
            spec = finder.find_spec(name, None)
        if spec is not None:
            return spec
    return None


def _search_path() -> list[str]:
    """Where modules are searched for, without the entry that Python makes of the current folder."""
    first, *others = sys.path or [""]
    return [entry for entry in [*([] if _is_current(first) else [first]), *others] if entry]


def _is_current(entry: str) -> bool:
    try:
        return not entry or Path(entry).samefile(Path())
    except OSError:
        return False


@functools.cache
def _installations() -> frozenset[str]:
    """The folders in which all is installed: the standard library's, and that of packages."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(os.path.realpath(sysconfig.get_path(kind)) for kind in kinds)


def _is_same(one: ModuleSpec, other: ModuleSpec) -> bool:
    if one.origin is None or other.origin is None:
        return one.origin is other.origin and _folders(one) == _folders(other)
    return os.path.realpath(one.origin) == os.path.realpath(other.origin)


def _folders(spec: ModuleSpec) -> list[str]:
    return [os.path.realpath(folder) for folder in spec.submodule_search_locations or ()]


def _is_folder_alone(spec: ModuleSpec) -> bool:
    """Whether it is a folder without ``__init__``, which Python takes for a package, too."""
    return spec.origin is None


def _has_code(spec: ModuleSpec) -> bool:
    """Whether it is more than a folder of other files that happens to have the name."""
    folders = map(Path, spec.submodule_search_locations or ())
    return not _is_folder_alone(spec) or any(any(folder.glob("*.py")) for folder in folders)


def _place(spec: ModuleSpec) -> str:
    if spec.has_location and spec.origin:
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), "Python itself")
