"""One plugin, and what became of it."""

from __future__ import annotations

import functools
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal

import pluggy

from benchmark.catalog.source import Source, file_source, module_source
from benchmark.errors import one_line


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
    """A plugin and what became of it; ``file`` is that which ``-p`` named, if any.

    Its ``changes`` to the process have been put back.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    module: ModuleType | None = None
    file: Path | None = None
    hooks: tuple[str, ...] = ()
    entries: int = 0
    failure: Failure | None = None
    blocked: bool = False
    changes: list[str] = field(default_factory=list)
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

    @functools.cached_property
    def source(self) -> Source:
        """What it consists of, as its files were when this was first asked for."""
        if self.file is not None:
            return file_source(self.file)
        assert self.module is not None
        return module_source(self.module, self.distribution)

    @property
    def folder(self) -> Path:
        """The folder of its file, from which the names of an entry's data files start."""
        assert self.module is not None
        return Path(self.file or self.module.__file__ or "").parent

    @property
    def warning(self) -> str:
        """The line about what it changed of its process."""
        return f"plugin {self.label} changed {', '.join(self.changes)} when it was loaded; put back"

    @property
    def refusal(self) -> str:
        """The line that says why a failed plugin is left out."""
        assert self.failure is not None
        where = f"{self.failure.hook}: " if self.failure.hook else ""
        return f"plugin {self.label} is left out: {where}{self.failure.cause}"
