"""What a worker prints, kept in its trial's log: the beginning, and the end."""

from __future__ import annotations

from pathlib import Path

from benchmark import StoreError
from benchmark.files import write_fault

# A worker that prints without end must fill neither the disk nor the memory.
LARGEST_BEGINNING_BYTES = 4 * 2**20
LARGEST_END_BYTES = 64 * 2**10
LONGEST_LINE = 200


class CapturedOutput:
    """Appends to a file what it is given; of more than a few megabytes, leaves the middle out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._room_bytes = LARGEST_BEGINNING_BYTES
        self._unwritten_bytes = 0
        self._end = b""

    def add(self, output: bytes) -> None:
        """Take the next part; raises StoreError where the disk refuses."""
        beginning = output[: self._room_bytes]
        self._append(beginning)
        self._room_bytes -= len(beginning)
        self._unwritten_bytes += len(output) - len(beginning)
        self._end = (self._end + output)[-LARGEST_END_BYTES:]

    def close(self) -> None:
        """Write the end, below a line that says how much is missing; raises StoreError."""
        end = self._end[-self._unwritten_bytes :] if self._unwritten_bytes else b""
        missing = self._unwritten_bytes - len(end)
        if missing:
            self._append(f"\n[{missing:,} bytes are left out here]\n".encode())
        self._append(end)
        self._unwritten_bytes = 0

    @property
    def end(self) -> str:
        """The last of it, some tens of KiB."""
        return self._end.decode("utf-8", errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that is not blank, if there is one, shortened to what people read."""
        lines = self.end.splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "".join(filter(str.isprintable, last))[:LONGEST_LINE]

    def _append(self, part: bytes) -> None:
        if not part:
            return
        try:
            self._write(part)
        except OSError as error:
            raise StoreError(write_fault(self._file, error)) from error

    def _write(self, part: bytes) -> None:
        with self._file.open("ab") as file:
            file.write(part)
