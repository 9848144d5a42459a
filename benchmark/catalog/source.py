"""The source that a plugin consists of, and the libraries that it imports from elsewhere.

Of a file, these are the file and the modules beside it that it imports; of a module in a package,
the module and those of its distribution that it imports, packages' ``__init__`` among them. What
has no version that tells its states apart, a module on the path or a package that is edited where
it lies, belongs to the source as well. Where a module imports others by names made at run time,
all of its package counts.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

from benchmark.catalog.code_digest import code_digest
from benchmark.catalog.imports import Imported, imports_in
from benchmark.catalog.libraries import is_released
from benchmark.catalog.neighbours import look_up
from benchmark.hookspecs import PROJECT

SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES, ".pyc")


@dataclass(frozen=True)
class Source:
    """A digest of a plugin's code, None where none can be read; and the libraries it imports.

    ``libraries`` are names of top-level modules that have a version; the standard library and
    ``benchmark`` are not among them. ``elsewhere`` are those modules of the source, each with a
    digest, that a process imports once for all: those that do not lie beside the plugin's file.
    """

    digest: str | None
    libraries: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def folder_source(folder: Path, file: Path) -> Source:
    """The source of a plugin that lies in a folder, with what it imports from there, as it is now.

    ``file`` is in the folder itself, whatever its name, or in a package there.
    """
    if file.parent == folder and file.stem != "__init__":
        walk = _Walk(_Beside(folder))
        walk.add("", file)
        return walk.source()
    parts = file.relative_to(folder).with_suffix("").parts
    walk = _Walk(_Beside(folder, own_package=parts[0]))
    walk.follow(".".join(parts).removesuffix(".__init__"))
    return walk.source()


def module_source(module: ModuleType, distribution: str | None) -> Source:
    """The source of a plugin that is an importable module, as its files are now.

    ``distribution`` is the name of that which it was installed with, if any.
    """
    file = Path(module.__file__ or "")
    if _suffix(file) != ".py" or not file.is_file():
        return Source(None)
    top_level = module.__name__.partition(".")[0]
    walk = _Walk(_Installed(_top_levels(distribution) | {top_level}))
    walk.follow(module.__name__)
    walk.add(module.__name__, file)
    return walk.source()


def folder_digest(folder: Path) -> str:
    """A digest of all Python files in a folder, whichever line endings they have."""
    digest = hashlib.sha256()
    for name, file in sorted(
        (file.relative_to(folder).as_posix(), file) for file in folder.rglob("*.py")
    ):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def _digest(file: Path) -> str:
    content = file.read_bytes()
    is_code = _suffix(file) == ".py"
    return code_digest(content) if is_code else hashlib.sha256(content).hexdigest()


def _joined(digests: Mapping[str, str]) -> str:
    lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class _Place:
    """A module's file, and the folders of its submodules; neither where there is no such module."""

    file: Path | None = None
    folders: tuple[Path, ...] = ()

    def __getitem__(self, name: str) -> _Place:
        for folder in self.folders:
            if (folder / name / "__init__.py").is_file():
                return _Place(folder / name / "__init__.py", (folder / name,))
            for suffix in SUFFIXES:
                if (folder / f"{name}{suffix}").is_file():
                    return _Place(folder / f"{name}{suffix}")
        spaces = [folder / name for folder in self.folders]
        return _Place(folders=tuple(space for space in spaces if space.is_dir()))


class _Home(Protocol):
    """Where a plugin's own modules lie."""

    def place(self, top_level: str) -> _Place | None:
        """Where the module of that name lies, None where it is not the plugin's own."""

    def modules(self, name: str) -> Iterator[tuple[str, Path]]:
        """All modules, by name, among which those are that a module imports by other means."""


@dataclass(frozen=True)
class _Beside:
    """Modules beside a file, or in a package's folder, which are named as seen from there."""

    folder: Path
    own_package: str | None = None

    def place(self, top_level: str) -> _Place | None:
        neighbour = look_up(self.folder, top_level)
        is_beside = neighbour is not None and neighbour.is_imported
        if not is_beside and top_level != self.own_package:
            return None
        return _Place(folders=(self.folder,))[top_level]

    def modules(self, name: str) -> Iterator[tuple[str, Path]]:
        for entry in sorted(self.folder.iterdir()):
            if entry.suffix == ".py":
                yield entry.stem, entry
            elif (entry / "__init__.py").is_file():
                yield from _modules_in(entry, entry.name)


@dataclass(frozen=True)
class _Installed:
    """Modules of the plugin's own distribution, which are named as they are imported."""

    top_levels: frozenset[str]

    def place(self, top_level: str) -> _Place | None:
        return _installed_place(top_level) if top_level in self.top_levels else None

    def modules(self, name: str) -> Iterator[tuple[str, Path]]:
        top_level = name.partition(".")[0]
        for folder in _installed_place(top_level).folders:
            yield from _modules_in(folder, top_level)


def _installed_place(top_level: str) -> _Place:
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(top_level)
        if spec is not None:
            file = Path(spec.origin) if spec.has_location and spec.origin else None
            return _Place(file, tuple(map(Path, spec.submodule_search_locations or ())))
    return _Place()


def _modules_in(folder: Path, package: str) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        yield ".".join((package, *parts)).removesuffix(".__init__"), file


@dataclass
class _Walk:
    """A plugin's own modules by name, found from import to import; and what else they import."""

    home: _Home
    modules: dict[str, Path] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)
    top_levels_elsewhere: set[str] = field(default_factory=set)
    _waiting: list[tuple[str, Path]] = field(default_factory=list)

    def source(self) -> Source:
        """What there is, found from what was added or followed."""
        while self._waiting:
            self._read(*self._waiting.pop())
        digests = {name: _digest(file) for name, file in self.modules.items()}
        elsewhere = {
            name: digest
            for name, digest in digests.items()
            if name.partition(".")[0] in self.top_levels_elsewhere
        }
        return Source(_joined(digests), tuple(sorted(self.libraries)), elsewhere)

    def add(self, name: str, file: Path) -> None:
        """Add a module; what it imports is found later."""
        if name not in self.modules:
            self.modules[name] = file
            self._waiting.append((name, file))

    def follow(self, name: str) -> None:
        """Add the module of that name, and the packages that it lies in, if they are own."""
        top_level, _, rest = name.partition(".")
        self._descend(self._place(top_level), top_level, rest)

    def _descend(self, place: _Place, path: str, rest: str) -> None:
        """Add what lies at a place, and what the rest of a name leads to from there."""
        if place.file is not None:
            self.add(path, place.file)
        if rest:
            part, _, rest = rest.partition(".")
            self._descend(place[part], f"{path}.{part}".removeprefix("."), rest)

    def _place(self, top_level: str) -> _Place:
        """Where a module lies that belongs to the source; a library is noted, and lies nowhere."""
        place = self.home.place(top_level)
        if place is not None:
            return place
        if top_level == PROJECT or top_level in sys.stdlib_module_names:
            return _Place()
        if is_released(top_level):
            self.libraries.add(top_level)
            return _Place()
        self.top_levels_elsewhere.add(top_level)
        return _installed_place(top_level)

    def _read(self, name: str, file: Path) -> None:
        if _suffix(file) != ".py":
            return
        imported, makes_names = imports_in(file.read_bytes())
        for module in imported:
            if module.level:
                self._follow_relative(module, name, file)
            else:
                self.follow(module.name)
        for other in self.home.modules(name) if makes_names else ():
            self.add(*other)

    def _follow_relative(self, module: Imported, name: str, file: Path) -> None:
        """Add what a module imports from its own package, or from one above that."""
        package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
        above, folder = module.level - 1, file.parent
        if above > len(package):
            return
        for _ in range(above):
            folder = folder.parent
        self._descend(
            _Place(folders=(folder,)), ".".join(package[: len(package) - above]), module.name
        )


def _top_levels(distribution: str | None) -> frozenset[str]:
    """The top-level modules of a distribution, but not this project's core."""
    if distribution is None:
        return frozenset()
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    names: Iterable[str] = (found.read_text("top_level.txt") or "").split()
    files = [file for file in found.files or () if file.suffix == ".py"]
    names = names or {file.parts[0].removesuffix(".py") for file in files}
    return frozenset(names) - {PROJECT}


def _suffix(file: Path) -> str:
    return next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), file.suffix)
