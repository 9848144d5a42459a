"""Standard output and standard error while a command runs.

Whatever is written to standard output passes ``StandardOutput``: what a terminal would act upon is
escaped, and a failure is kept until the command has done its work. Standard error only tells of
progress, so writing to it never fails; a line of the project's own is said by ``say``.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from benchmark.printable import printable, printable_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class TolerantStream(io.TextIOBase):
    """A text stream to which writing never fails; None, as of a closed one, is as good.

    ``failure`` is what went wrong first, if anything has. Characters that the stream's encoding
    does not have are escaped.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.failure: Exception | None = None
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write, if that is possible; returns how much there was to write."""
        encodable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        try:
            self._opened().write(encodable)
        except (OSError, ValueError) as error:
            self.failure = self.failure or error
        return len(text)

    def flush(self) -> None:
        """Have everything written, if that is possible."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            self.failure = self.failure or error

    def writable(self) -> bool:
        """It always is."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal; what is closed is none."""
        with suppress(OSError, ValueError):
            return self._opened().isatty()
        return False

    def fileno(self) -> int:
        """The stream's descriptor; raises OSError or ValueError where it has none."""
        return self._opened().fileno()

    @property
    def buffer(self) -> io.BufferedIOBase:
        """What takes bytes; they are UTF-8."""
        return _Bytes(cast(TextIO, self))

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of characters that it does not have."""
        return "backslashreplace"

    def __getattr__(self, name: str) -> Any:
        # Whatever else streams have: "reconfigure", which some plugins call when imported.
        return getattr(self._stream, name)

    def _opened(self) -> TextIO:
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream


class _Bytes(io.BufferedIOBase):
    """What takes a stream's bytes, such as click's completions; they pass its text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        content = bytes(data)
        self._stream.write(content.decode("utf-8", "backslashreplace"))
        return len(content)

    def flush(self) -> None:
        self._stream.flush()


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


def say(line: str) -> None:
    """Say a line on standard error, if anybody can hear it."""
    stream = TolerantStream(sys.stderr)
    stream.write(printable_line(line) + "\n")
    stream.flush()


def say_indented(text: str) -> None:
    """Say a text of several lines, such as a traceback, so that none passes for a line of ours."""
    for line in text.splitlines():
        say(f"    {line}")


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
