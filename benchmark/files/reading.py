"""Reading what anybody may have put in a file's place, without waiting and within memory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


# Of what a stranger has written and a message repeats.
LONGEST_TEXT = 200


class UnreadableError(Exception):
    """What cannot be read, is cut short or altered, makes no sense, or is of a newer version."""


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, also a link that leads nowhere."""
    return os.path.lexists(path)


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file to be read.

    Raises UnreadableError for what is not an ordinary file, OSError where the system refuses.
    """
    try:
        # Looked at first, because opening a device can have effects.
        _require_file(path.stat().st_mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadableError("it is a symbolic link to itself") from error
        if error.errno == errno.ENOENT and path.is_symlink():
            raise UnreadableError("it is a broken symbolic link") from error
        raise
    # Should it have become a pipe in between, nobody waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _require_file(os.fstat(descriptor).st_mode)
        yield file


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a file of so many bytes at most; raises UnreadableError."""
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > most_bytes:
                raise UnreadableError(
                    f"it is too large: {size:,} bytes (at most {most_bytes:,} are read)"
                )
            return file.read(size)
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from error


def _require_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise UnreadableError(
            f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"
        )


def in_a_line(text: str) -> str:
    """A stranger's text as a message can repeat it: not long, and nothing but what can be seen."""
    seen = "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST_TEXT])
    return seen if len(text) <= LONGEST_TEXT else f"{seen}..."
