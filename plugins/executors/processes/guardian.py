"""Sees to it that no worker outlives the process that started it, however that one dies.

A small process reads from a pipe which groups of processes to guard. The pipe ends when its only
writer is gone, also by SIGKILL; then the guardian kills every group that it guards. A worker could
not do that itself: a model that never returns to Python would keep it from noticing, and of the
processes that a model has started nobody else would think.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmark.errors import BenchmarkError

from . import guard

LAST_WORDS = (
    "benchmark: the run's process has died; the same command again, without --fresh, goes on"
)


class Guardian:
    """The guardian's process, as its employer sees it; a group's number is its leader's.

    If the employer dies, the ``last_words`` are printed on its standard error.
    """

    def __init__(self, last_words: str = "") -> None:
        # In a session of its own: what kills the employer's group, or Ctrl-C, is not for it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            # Nothing comes from it but its end.
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        # It ends at once, and leaves a child of its own that keeps watch.
        self._process.wait()
        self._last_words = last_words

    def guard(self, group: int) -> None:
        """Have a group killed if the employer dies; raises BenchmarkError if the guardian did."""
        try:
            self._tell(f"+{group}")
        except BrokenPipeError as error:
            raise BenchmarkError(
                "the process that guards the trials' processes was killed; "
                "the same command again goes on"
            ) from error

    def dismiss(self, group: int) -> None:
        """Leave a group alone that has ended."""
        # A guardian that was killed guards nobody.
        with suppress(BrokenPipeError):
            self._tell(f"-{group}")

    def remove_in_the_end(self, folder: Path) -> None:
        """Have a folder removed when the employer has left, or has died."""
        with suppress(BrokenPipeError):
            self._tell(str(folder.absolute()))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        with suppress(BrokenPipeError):
            self._tell(f"!{self._last_words}")
        return self

    def __exit__(self, *raised: object) -> None:
        # With the pipe's end it kills what is still guarded, and goes.
        with suppress(BrokenPipeError):
            self._process.communicate("!\n")
