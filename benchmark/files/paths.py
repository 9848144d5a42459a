"""Paths as users write them: what can be none is refused before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.errors import PathError
from benchmark.printable import is_encodable

# As long as what a run or a cache has below its folder.
_INSIDE = Path("x" * 80, "x" * 80)


def usable_path(text: str | Path, origin: str) -> Path:
    """Read a path, ``~`` expanded; what is there, if anything, is not asked.

    Raises PathError, with its ``origin``, for what can be no path: an empty text, the home of a
    user who does not exist, a name that is too long, and whatever else the system refuses.
    """
    path = _expanded(text, origin, "path")
    _ask_system(path, origin)
    return path


def usable_folder(text: str | Path, origin: str) -> Path:
    """Read a folder's path, ``~`` expanded, which must leave room for those of files in it.

    What is there, if anything, is not asked. Raises BenchmarkError, with the text's ``origin``, for
    what can be no folder.
    """
    path = _expanded(text, origin, "folder")
    _ask_system(path / _INSIDE, origin)
    return path


def _expanded(text: str | Path, origin: str, what: str) -> Path:
    written = os.fspath(text)
    # As a script's empty variable: it must not mean the current folder.
    if not written:
        raise PathError(f"{origin}: should be a {what}, but is empty")
    if "\0" in written:
        raise PathError(f"{origin}: a {what} cannot have a null character in its name")
    path = Path(written)
    if not written.startswith("~"):
        # Of "./~name" nothing but "~name" is left, which the next reader would expand.
        return path.absolute() if path.parts[:1] and path.parts[0].startswith("~") else path
    try:
        return path.expanduser()
    except RuntimeError as error:
        home = path.parts[0]
        raise PathError(
            f"{origin}: there is no such user; write ./{home} for a file or folder of that name"
        ) from error


def _ask_system(path: Path, origin: str) -> None:
    try:
        if not is_encodable(str(path.absolute())):
            raise PathError(f"{origin}: its whole path is not UTF-8 text")
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        # Some of it may be made yet, or will be missed by whoever needs it.
        return
    except OSError as error:
        raise PathError(f"{origin}: {error.strerror}") from error
