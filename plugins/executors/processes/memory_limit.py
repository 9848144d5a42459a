"""Whether a process failed because of its memory limit, which its own message seldom says."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

GIB = 2**30
# How Python, NumPy, PyTorch, C++, C and the dynamic linker say that they were refused memory; a
# thread needs some for its stack. A GPU's memory is another.
REFUSED = re.compile(
    r"\b(?<!OutOf)_?(Array)?MemoryError|an't allocate memory|annot allocate memory|bad_alloc"
    r"|Unable to allocate|failed to map segment|can't start new thread"
    r"|Resource temporarily unavailable"
)
# A program that is refused memory may crash without a message. Where a process had this much of its
# limit shortly before, that is likely.
SUSPICIOUS_FRACTION = 0.5
ALLOCATED = re.compile(r"^VmData:\s*(\d+) kB$", re.MULTILINE)


class MemoryLimit:
    """The most that a process may allocate, None for any, and the most that it was seen to have."""

    def __init__(self, limit_bytes: int | None, process: int) -> None:
        self._limit_bytes = limit_bytes
        self._status_file = Path(f"/proc/{process}/status")
        self._most_bytes = 0

    def look(self) -> None:
        """See how much the process has allocated; to be called now and then."""
        if self._limit_bytes is None:
            return
        # It may have ended, and only Linux has this file.
        with suppress(OSError):
            found = ALLOCATED.search(self._status_file.read_text())
            self._most_bytes = max(self._most_bytes, 1024 * int(found[1]) if found else 0)

    def named_where_refused(self, reason: str) -> str:
        """The reason why a trial failed, with the limit if it was one of memory."""
        return self._with_limit(reason) if REFUSED.search(reason) else reason

    def named_where_likely(self, reason: str, output: str) -> str:
        """The reason why a process died, with the limit if that may have been the cause."""
        if REFUSED.search(output):
            return self._with_limit(reason)
        is_suspicious = self._most_bytes >= SUSPICIOUS_FRACTION * (self._limit_bytes or 0)
        return self._with_limit(reason) if is_suspicious else reason

    def _with_limit(self, reason: str) -> str:
        if self._limit_bytes is None:
            return reason
        limit = f"{self._limit_bytes / GIB:g} GiB (executor.memory_gib)"
        return f"{reason.rstrip(':')}; its process may allocate no more than {limit}"
