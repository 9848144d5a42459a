"""One plugin, and what became of it."""

from __future__ import annotations

import functools
import hashlib
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal

import pluggy

from benchmark.catalog.neighbours import find_neighbour
from benchmark.catalog.source import Source, folder_source, module_source
from benchmark.errors import one_line


@dataclass(frozen=True)
class Failure:
    """Why a plugin is not used: the cause, and the hook at fault where it got as far as one."""

    cause: str
    hook: str | None = None
    traceback: str = ""

    @classmethod
    def from_error(
        cls, error: BaseException, hook: str | None = None, folder: Path | None = None
    ) -> Failure:
        """Describe an exception in one line, its traceback kept.

        ``folder`` is where a plugin's modules may lie beside it.
        """
        cause = one_line(error)
        if isinstance(error, ModuleNotFoundError) and error.name:
            cause = _missing(error.name, folder)
        text = "".join(traceback.format_exception(error))
        return cls(cause, hook, text)


def _missing(module: str, folder: Path | None) -> str:
    if folder is None:
        return f"needs the module {module!r}, which is not installed"
    if find_neighbour(folder, module) is None:
        return f"needs the module {module!r}, which is neither installed nor in {folder}"
    return (
        f"needs the module {module!r}, which is beside it: import it by a statement, "
        f"or by importlib.import_module('.{module}', __package__)"
    )


@dataclass
class Plugin:
    """A plugin and what became of it.

    One that was selected by its place has a ``file``, and a ``neighbourhood``: the folder whose
    modules it may import. Its ``changes`` to the process have been put back. ``notes`` are lines on
    what it imports.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    module: ModuleType | None = None
    file: Path | None = None
    neighbourhood: Path | None = None
    hooks: tuple[str, ...] = ()
    entries: int = 0
    failure: Failure | None = None
    blocked: bool = False
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    relay: pluggy.HookRelay | None = field(default=None, repr=False)
    _data_digests: dict[Path, str] = field(default_factory=dict, repr=False)

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

    @functools.cached_property
    def source(self) -> Source:
        """What it consists of, as its files were when this was first asked for."""
        if self.file is not None and self.neighbourhood is not None:
            return folder_source(self.neighbourhood, self.file)
        assert self.module is not None
        return module_source(self.module, self.distribution)

    def data_digest(self, path: Path) -> str:
        """SHA-256 of a data file as it was when this was first asked for; raises OSError.

        Every variant of a model asks for it, and weights are large.
        """
        if path not in self._data_digests:
            with path.open("rb") as file:
                self._data_digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._data_digests[path]

    @property
    def folder(self) -> Path:
        """The folder of its file, from which the names of an entry's data files start."""
        assert self.module is not None
        return Path(self.file or self.module.__file__ or "").parent

    @property
    def warnings(self) -> list[str]:
        """Lines on what it changed of its process, and on what it imports."""
        changes = ", ".join(self.changes)
        changed = [f"plugin {self.label} changed {changes} when it was loaded; put back"]
        return [*(changed if changes else []), *(f"plugin {self.label}: {n}" for n in self.notes)]

    @property
    def refusal(self) -> str:
        """The line that says why a failed plugin is left out."""
        assert self.failure is not None
        where = f"{self.failure.hook}: " if self.failure.hook else ""
        return f"plugin {self.label} is left out: {where}{self.failure.cause}"
