"""The program that the guardian's process runs: kill the guarded groups when the input ends.

Each line says which group of processes to guard from now on (``+123``) or no longer (``-123``), or
names a folder that is to be removed after them (``/tmp/a``), or has a message to print if the
parent dies (``!it died``; none, ``!``, once the parent is done). It is run as a file, without the
project and without site packages, so that it starts in no time.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

ATTEMPTS = 20
PAUSE_SECONDS = 0.1


def kill_group(group: int) -> None:
    """Kill every process of a group, if there are any."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def remove(folder: str) -> None:
    """Remove a folder; what was killed may still be writing its last file."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(PAUSE_SECONDS)


def keep_watch(lines: Iterable[str]) -> None:
    """Note what to guard until the lines end; then kill, remove, and print the message."""
    guarded, folders, message = set(), [], ""
    for line in lines:
        if line.startswith("/"):
            folders.append(line.rstrip("\n"))
        elif line.startswith("!"):
            message = line[1:].rstrip("\n")
        elif line.startswith("+"):
            guarded.add(int(line[1:]))
        else:
            guarded.discard(int(line[1:]))
    for group in guarded:
        kill_group(group)
    for folder in folders:
        remove(folder)
    if message:
        # Standard error may be gone with the parent.
        with suppress(OSError):
            print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Not as a child of its parent: what kills the parent may kill its children, too.
    if os.fork() == 0:
        keep_watch(sys.stdin)
