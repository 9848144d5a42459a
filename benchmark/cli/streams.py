"""Standard output and standard error while a command runs.

Whatever is written to standard output passes ``StandardOutput``: what a terminal would act upon is
escaped, and a failure is kept until the command has done its work.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from benchmark.printable import printable
from benchmark.standard_error import TolerantStream


class StandardOutput(TolerantStream):
    """Standard output: safe to look at, and ended by its first failure, so that it has no gaps."""

    def write(self, text: str, /) -> int:
        """Write what there is to see; a failure shows in ``failure``."""
        return len(text) if self.failure else super().write(printable(text))

    @property
    def fault(self) -> str:
        """What to tell the user; nothing where all is well, or where its reader has enough."""
        match self.failure:
            case None | BrokenPipeError():
                return ""
            case OSError(errno=number) if number != errno.EBADF:
                return f"standard output cannot be written: {self.failure.strerror}"
            case _:
                return "standard output cannot be written: it is closed"


@contextmanager
def guarded_streams() -> Iterator[StandardOutput]:
    """Put both streams behind those guards, and have all written in the end."""
    earlier = sys.stdout, sys.stderr
    output, errors = StandardOutput(sys.stdout), TolerantStream(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = earlier


def open_missing_descriptors() -> None:
    """Open the descriptors 0 to 2 where they are closed, before anything else is.

    The next file to be opened would have their number, and get what is meant for the terminal.
    Nothing can be written to descriptor 1 then, so that a command still learns that it was closed.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, mode)
            os.set_inheritable(descriptor, True)
    # Python has none of its own for those.
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def abandon_what_cannot_be_written() -> None:
    """Keep the interpreter from trying again when it exits, which would change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
