"""Makes sure that no worker outlives the process that started it, however that one dies.

A small process reads from a pipe which groups of processes to guard. The pipe ends when its only
writer is gone, also by SIGKILL; then the guardian kills every group that it guards. A worker could
not do that itself: a model that never returns to Python would keep it from noticing, and processes
that a model has started would be left.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmark import BenchmarkError

from . import guard

RUN_DIED = (
    "benchmark: the run's process has died; the same command, without --fresh, resumes the run"
)


class Guardian:
    """The guardian's process, as its parent sees it; a group's number is its leader's.

    If the parent dies, the guardian prints ``message_on_death`` on the parent's standard error.
    """

    def __init__(self, message_on_death: str = "") -> None:
        # In a session of its own: what kills the parent's group, or Ctrl-C, must not reach it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            # Never written to: only its end is read.
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        # It ends at once, and leaves a child of its own that keeps watch.
        self._process.wait()
        self._message_on_death = message_on_death

    def guard(self, group: int) -> None:
        """Have a group killed if the parent dies; raises BenchmarkError if the guardian died."""
        try:
            self._send(f"+{group}")
        except BrokenPipeError as error:
            raise BenchmarkError(
                "the process that guards the trials' processes was killed; "
                "the same command resumes the run"
            ) from error

    def dismiss(self, group: int) -> None:
        """Stop guarding a group, which has ended."""
        # A guardian that was killed guards nothing.
        with suppress(BrokenPipeError):
            self._send(f"-{group}")

    def remove_in_the_end(self, folder: Path) -> None:
        """Have a folder removed when the parent is done, or has died."""
        with suppress(BrokenPipeError):
            self._send(str(folder.absolute()))

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        with suppress(BrokenPipeError):
            self._send(f"!{self._message_on_death}")
        return self

    def __exit__(self, *raised: object) -> None:
        # With the pipe's end it kills what is still guarded, and goes.
        with suppress(BrokenPipeError):
            self._process.communicate("!\n")
