"""The program that the guardian's process runs: kill the guarded groups when the input ends.

Each line says which group of processes to guard from now on (``+123``) or no longer (``-123``). It
is run as a file, without the project and without site packages, so that it starts in no time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def kill_group(group: int) -> None:
    """Kill every process of a group, if there are any."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def keep_watch(lines: Iterable[str]) -> None:
    """Note whom to guard until the lines end, then kill them."""
    guarded = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            guarded.add(group)
        else:
            guarded.discard(group)
    for group in guarded:
        kill_group(group)


if __name__ == "__main__":
    keep_watch(sys.stdin)
