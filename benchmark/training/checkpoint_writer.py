"""Checkpoints written by a thread, while the training that they are of goes on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from benchmark.training.checkpoint import Checkpoints
from benchmark.training.host_copies import HostCopies


class CheckpointWriter:
    """Writes one checkpoint at a time, until it is closed.

    What a write has raised is raised where it is waited for: it is never lost.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._copies = HostCopies()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._write: Future[None] | None = None

    def write(self, content: Mapping[str, Any]) -> None:
        """Copy ``content``, which is all plain data, and begin to write the copy.

        Waits for the write before, whose memory the copy takes; raises what that has raised.
        """
        self.finish()
        copy = self._copies.take(dict(content))
        self._write = self._thread.submit(self._checkpoints.save, copy)

    def finish(self) -> None:
        """Wait until nothing is being written.

        Raises StoreError where the disk has refused the last write.
        """
        if self._write is None:
            return
        # Whoever interrupts this wait can wait for the same write again.
        wait([self._write])
        write, self._write = self._write, None
        write.result()

    def close(self) -> None:
        """Wait for the last write, and end the thread; raises what ``finish`` raises."""
        self._thread.shutdown()
        self.finish()
