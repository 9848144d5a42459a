"""The source that a plugin consists of, and the libraries that it imports from elsewhere.

Of a file, these are the file and the modules beside it that it imports; of a module in a package,
the module and those of its distribution that it imports, packages' ``__init__`` among them. Imports
are found by reading the source, also those in functions, so nothing is imported for this. Where a
module of a package imports others by a name made at run time, its whole package counts.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

from benchmark.catalog.code_digest import code_digest
from benchmark.catalog.neighbours import look_up
from benchmark.hookspecs import PROJECT

# What a module uses that imports others by names made at run time.
DYNAMIC_IMPORTS = frozenset(
    ("__import__", "import_module", "attach", "attach_stub", "iter_modules", "walk_packages")
)
SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES, ".pyc")
SITE_PACKAGES = frozenset(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))


@dataclass(frozen=True)
class Source:
    """A digest of a plugin's code, None where none can be read; and the libraries it imports.

    ``libraries`` are names of top-level modules; the standard library and ``benchmark`` are not
    among them.
    """

    digest: str | None
    libraries: tuple[str, ...] = ()


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
    walk = _Walk(_Installed(module.__name__.partition(".")[0], _top_levels(distribution)))
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


def _joined(modules: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, file in sorted(modules.items()):
        content = file.read_bytes()
        is_code = _suffix(file) == ".py"
        found = code_digest(content) if is_code else hashlib.sha256(content).hexdigest()
        digest.update(f"{name} {found}\n".encode())
    return digest.hexdigest()


class _Origin(Protocol):
    """Where a plugin's own modules lie."""

    def has(self, top_level: str) -> bool:
        """Whether an absolute import of that name is one of the plugin's own modules."""

    def place(self, top_level: str) -> _Place:
        """Where the module of that name lies."""


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


@dataclass(frozen=True)
class _Beside:
    """Modules beside a file, or in a package's folder, which are named as seen from there."""

    folder: Path
    own_package: str | None = None

    def has(self, top_level: str) -> bool:
        if top_level == self.own_package:
            return True
        neighbour = look_up(self.folder, top_level)
        return neighbour is not None and neighbour.is_imported

    def place(self, top_level: str) -> _Place:
        return _Place(folders=(self.folder,))[top_level]


@dataclass(frozen=True)
class _Installed:
    """Modules of the plugin's own distribution, which are named as they are imported."""

    main: str
    top_levels: frozenset[str]

    def has(self, top_level: str) -> bool:
        return top_level == self.main or top_level in self.top_levels or self._is_beside(top_level)

    def place(self, top_level: str) -> _Place:
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(top_level)
            if spec is not None:
                file = Path(spec.origin) if spec.has_location and spec.origin else None
                return _Place(file, tuple(map(Path, spec.submodule_search_locations or ())))
        return _Place()

    def _is_beside(self, top_level: str) -> bool:
        """Whether it lies beside the plugin's, in a folder that is not one for distributions."""
        mine, other = _parent(self.place(self.main)), _parent(self.place(top_level))
        return other is not None and other == mine and other not in SITE_PACKAGES


def _parent(place: _Place) -> Path | None:
    if place.folders:
        return place.folders[0].parent
    return place.file.parent if place.file else None


@dataclass
class _Walk:
    """A plugin's own modules by name, found from import to import; and what else they import."""

    origin: _Origin
    modules: dict[str, Path] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)

    def source(self) -> Source:
        """What has been found."""
        return Source(_joined(self.modules), tuple(sorted(self.libraries)))

    def add(self, name: str, file: Path) -> None:
        """Add a module and, however deep, those that it imports."""
        if name in self.modules:
            return
        self.modules[name] = file
        if _suffix(file) != ".py":
            return
        tree = _parsed(file)
        package = name if file.stem == "__init__" else name.rpartition(".")[0]
        for imported, is_relative in _imports(tree, package):
            self.follow(imported, is_own=is_relative)
        top_level = name.partition(".")[0]
        if _uses_dynamic_imports(tree) and top_level:
            self._add_all(top_level)

    def follow(self, name: str, *, is_own: bool = False) -> None:
        """Add the module of that name, and the packages that it lies in, if they are own."""
        top_level, *rest = name.split(".")
        if top_level == PROJECT and not is_own:
            return
        if not is_own and not self.origin.has(top_level):
            if top_level not in sys.stdlib_module_names:
                self.libraries.add(top_level)
            return
        place, path = self.origin.place(top_level), top_level
        for part in [*rest, None]:
            if place.file is not None:
                self.add(path, place.file)
            if part is not None:
                place, path = place[part], f"{path}.{part}"

    def _add_all(self, top_level: str) -> None:
        for folder in self.origin.place(top_level).folders:
            for file in sorted(folder.rglob("*.py")):
                parts = file.relative_to(folder).with_suffix("").parts
                name = ".".join((top_level, *parts)).removesuffix(".__init__")
                self.add(name, file)


def _parsed(file: Path) -> ast.AST:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        # It fails when it is imported, and says why.
        return ast.Module([], [])


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    """What each import statement may import, and whether it is relative to ``package``."""
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: max(0, package.count(".") + 2 - node.level)]
            base = ".".join(filter(None, [*(above if node.level else ()), node.module]))
            # What is imported from a package may be a module in it.
            names = ["", *(f".{alias.name}" for alias in node.names if alias.name != "*")]
            modules = ((base + name).removeprefix(".") for name in names)
            yield from ((module, node.level > 0) for module in modules if module)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that are there for type checkers alone."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _uses_dynamic_imports(tree: ast.AST) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in DYNAMIC_IMPORTS)
        or (isinstance(node, ast.Attribute) and node.attr in DYNAMIC_IMPORTS)
        for node in ast.walk(tree)
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
