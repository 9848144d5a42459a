"""Imports a plugin from a folder, together with the modules beside it.

Each such plugin has a package of its own, made here, in which its folder's modules are imported. So
two plugins never share a neighbour, and whatever else this process imports never meets one. A
relative import is looked up in that package as in any other. An absolute one calls ``__import__``,
of which every module of the package has a version that looks beside the plugin first.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from benchmark.catalog.imports import imports_in
from benchmark.catalog.neighbours import FOLDERS_OF_PLUGINS, Neighbour, look_up

PREFIX = "benchmark_plugin_"

Warn = Callable[[str], None]

_FILES_READ: set[str] = set()


def import_file(file: Path, warn: Warn) -> ModuleType:
    """Import a plugin's file anew, and the modules beside it as it imports them.

    ``warn`` gets a line for each neighbour in whose place an installed module is imported. Of a
    plugin that fails nothing is left behind.
    """
    with _neighbourhood(file.parent, file.stem, warn) as neighbourhood:
        name = f"{neighbourhood.package}.{_free_identifier(file)}"
        loader = _Loader(name, str(file), neighbourhood)
        spec = spec_from_file_location(name, file, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        # Registered before it runs, so that dataclasses and pickle find the module by its name.
        sys.modules[name] = module
        loader.exec_module(module)
        return module


def import_module(folder: Path, name: str, warn: Warn) -> ModuleType:
    """Import a plugin from a folder by its module's name, in the same way."""
    with _neighbourhood(folder, name, warn) as neighbourhood:
        # Whatever is installed under its name, the modules of a package mean their own.
        neighbourhood.own_package = name.partition(".")[0]
        return importlib.import_module(f"{neighbourhood.package}.{name}")


def files_read() -> list[str]:
    """The files of plugins and of their neighbours that this process has read, also in vain."""
    return sorted(_FILES_READ)


@dataclass
class _Neighbourhood:
    """A plugin's folder, and the package in which it and its neighbours are modules."""

    folder: Path
    package: str
    warn: Warn
    own_package: str | None = None
    _neighbours: dict[str, Neighbour | None] = field(default_factory=dict)

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What ``__import__`` is for the modules of the package."""
        top_level = name.partition(".")[0]
        is_ours = level == 0 and self._is_beside(top_level)
        wanted = f"{self.package}.{name}" if is_ours else name
        try:
            module = builtins.__import__(wanted, globals, locals, fromlist or (), level)
        except ModuleNotFoundError as error:
            # Told by the name that the plugin has for it.
            error.name = error.name and error.name.removeprefix(f"{self.package}.")
            error.msg = error.msg.replace(f"{self.package}.", "")
            raise
        return sys.modules[f"{self.package}.{top_level}"] if is_ours and not fromlist else module

    def note_imports(self, source: bytes, package: str, file: Path) -> None:
        """Warn of each absolute import in a file for which what is installed wins."""
        imported, _ = imports_in(source)
        for name in dict.fromkeys(m.name.partition(".")[0] for m in imported if not m.level):
            is_new = name not in self._neighbours
            neighbour = self._look_up(name)
            if is_new and neighbour and neighbour.is_hidden and neighbour.place != str(file):
                dots = "." * (package.count(".") + 1)
                self.warn(
                    f"{file.name} imports {name!r} from {neighbour.installed_place}, not from "
                    f"{neighbour.place} beside it, because what is installed wins; "
                    f"for that one, write: from {dots} import {name}"
                )

    def _is_beside(self, name: str) -> bool:
        neighbour = self._look_up(name)
        is_beside = neighbour is not None and neighbour.is_imported and not neighbour.is_shared
        return is_beside or name == self.own_package

    def _look_up(self, name: str) -> Neighbour | None:
        # Once: what is put on the search path later, by another plugin, say, does not change it.
        if name not in self._neighbours:
            is_own = name == self.own_package
            self._neighbours[name] = None if is_own else look_up(self.folder, name)
        return self._neighbours[name]


class _Loader(SourceFileLoader):
    """Loads a module of a neighbourhood from its source, whatever was compiled of it before.

    Compiled files are told apart by second and length, which an edit may leave as they were.
    """

    def __init__(self, name: str, path: str, neighbourhood: _Neighbourhood) -> None:
        super().__init__(name, path)
        self._neighbourhood = neighbourhood

    def get_code(self, fullname: str) -> CodeType:
        _FILES_READ.add(self.path)
        source = self.get_data(self.path)
        code: CodeType = self.source_to_code(source, self.path)
        package = fullname if self.is_package(fullname) else fullname.rpartition(".")[0]
        self._neighbourhood.note_imports(source, package, Path(self.path))
        return code

    def exec_module(self, module: ModuleType) -> None:
        own = {"__import__": self._neighbourhood.import_}
        module.__dict__["__builtins__"] = vars(builtins) | own
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules of all neighbourhoods, by the packages that they are in."""

    def __init__(self) -> None:
        self.neighbourhoods: dict[str, _Neighbourhood] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        neighbourhood = self.neighbourhoods.get(fullname.partition(".")[0])
        if neighbourhood is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, neighbourhood)
        return spec


_FINDER = _Finder()


@contextmanager
def _neighbourhood(folder: Path, plugin: str, warn: Warn) -> Iterator[_Neighbourhood]:
    """The neighbourhood of a plugin, without what was imported there before; none if it fails."""
    digest = hashlib.sha256(os.fsencode(folder / plugin)).hexdigest()[:8]
    name = f"{PREFIX}{_identifier(plugin)}_{digest}"
    _forget(name, folder)
    package = ModuleType(name, f"The folder {folder}, as the package of a plugin in it.")
    package.__spec__ = ModuleSpec(name, None, is_package=True)
    package.__path__ = package.__spec__.submodule_search_locations = [str(folder)]
    package.__package__ = name
    sys.modules[name] = package
    neighbourhood = _FINDER.neighbourhoods[name] = _Neighbourhood(folder, name, warn)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    search_path = [*sys.path]
    try:
        yield neighbourhood
    except BaseException:
        _forget(name, folder)
        raise
    finally:
        FOLDERS_OF_PLUGINS.update({*sys.path} - {*search_path})


def _forget(package: str, folder: Path) -> None:
    _FINDER.neighbourhoods.pop(package, None)
    for name in [*sys.modules]:
        if name.partition(".")[0] == package:
            del sys.modules[name]
    # What Python remembers of folders is told apart by their time, which a new file may not change.
    for entry in [*sys.path_importer_cache]:
        if Path(entry).is_relative_to(folder):
            del sys.path_importer_cache[entry]


def _identifier(text: str) -> str:
    """A name as Python and TorchScript have them, made of any text."""
    name = re.sub(r"\W", "_", text)
    return name if name.isidentifier() else f"_{name}"


def _free_identifier(file: Path) -> str:
    """The name of a file's module: its own, or one that no module beside it has."""
    name = _identifier(file.stem)
    while name != file.stem and PathFinder.find_spec(name, [str(file.parent)]):
        name += "_"
    return name
