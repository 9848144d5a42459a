"""Standard error, to which a program says how it is doing: writing to it never fails."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from benchmark.printable import printable_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def say(line: str) -> None:
    """Say a line on standard error, if anybody can hear it."""
    stream = TolerantStream(sys.stderr)
    stream.write(printable_line(line) + "\n")
    stream.flush()


def warn(line: str) -> None:
    """Say a line that shows whose it is."""
    say(f"benchmark: {line}")


def say_indented(text: str) -> None:
    """Say a text of several lines, such as a traceback, so that none passes for a line of ours."""
    for line in text.splitlines():
        say(f"    {line}")


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
