"""What can go wrong through nobody's bug: each kind is told to the user in a line.

Everything else that is raised is a bug and ends in a traceback.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass


class BenchmarkError(Exception):
    """A user's mistake or a bad file; its text says what is wrong, where, and what to do.

    Where several things are wrong, each is an argument and a line of its own.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, a line for each thing that is wrong; a name in one may have line feeds."""
        return tuple(map(str, self.args))

    def __str__(self) -> str:
        return "\n".join(self.lines)


# What foreign code may raise: a plugin that calls sys.exit() must not end the program.
PLUGIN_FAULTS = (Exception, SystemExit)

# What the system calls a full disk, and NumPy, which has no number for it.
FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
CUT_SHORT = re.compile(r"\d+ requested and \d+ written")


def one_line(error: BaseException) -> str:
    """An exception's kind and the first line of its message."""
    message = str(error).strip().split("\n")[0]
    full = f" ({is_full(error)})" if is_full(error) else ""
    return f"{type(error).__name__}: {message}{full}" if message else type(error).__name__


def is_full(error: BaseException) -> str | None:
    """In plain words that a disk is full, if that is what the error says."""
    if not isinstance(error, OSError):
        return None
    if error.errno is None and CUT_SHORT.search(str(error)):
        return FULL[errno.ENOSPC]
    return FULL.get(error.errno or 0)


def system_fault(error: OSError) -> str:
    """What the system says of a file or a disk, in plain words too where a disk is full."""
    said = error.strerror or str(error)
    return f"{said} ({is_full(error)})" if is_full(error) else said


class PathError(BenchmarkError, ValueError):
    """What was given as a path and can be none, whatever lies on the disk."""


class UnknownNameError(BenchmarkError):
    """A name that no plugin offers, or that more than one offers."""


class PluginError(BenchmarkError):
    """A plugin that was asked for cannot be used."""


class OtherCodeError(BenchmarkError):
    """A trial that would be trained by other code than its record would say."""


class ModelError(BenchmarkError):
    """A model that cannot be built, or is not what its entry promises."""


class DatasetError(BenchmarkError):
    """A data set that is damaged or not in the form it should have."""


class DatasetUnavailableError(DatasetError):
    """A data set that cannot be had here and now: the reason, and a remedy.

    Where a config lists several data sets, the next is tried.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy


class DeviceError(BenchmarkError):
    """A device or a precision that this machine does not have."""


class StoreError(BenchmarkError):
    """A run directory that cannot be written or read."""


class CheckpointError(BenchmarkError):
    """A training that cannot go on from its checkpoint, because something has changed since."""


class CaptureError(BenchmarkError):
    """A step whose capture as a graph failed half way: the process can train nothing more.

    Its text is the reason. The trial is carried out again in a fresh process, ``without_graph``.
    """


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a config: where it stands, the key it concerns, and what it is."""

    origin: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.key, self.message) if part)


class ConfigError(BenchmarkError):
    """A config with faults; all of them, a line each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(*map(str, faults))
        self.faults = tuple(faults)
